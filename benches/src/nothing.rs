//! A server that does nothing: it turns each DHCP message that it gets into its answer, on the spot, for ever. It remembers
//! and writes nothing, so what it costs is what no server can go below that takes and sends one datagram at a time.

use std::net::{Ipv4Addr, UdpSocket};

use dhcp::v4::packet::{COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, code};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{BindToDevice, RcvBufForce};

use crate::Result;

/// `arguments`: the server's address, and the first that it gives out.
pub fn serve(arguments: &[String]) -> Result<()> {
    let [server, first] = arguments else { return Err("usage: bench nothing SERVER FIRST".into()) };
    let (server, first): (Ipv4Addr, Ipv4Addr) = (server.parse()?, first.parse()?);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67))?;
    setsockopt(&socket, BindToDevice, &"net".into())?;
    setsockopt(&socket, RcvBufForce, &(8 << 20))?;
    socket.set_broadcast(true)?;
    let mut next = first.to_bits();
    let mut buffer = [0; 2048];
    loop {
        let octets = socket.recv(&mut buffer)?;
        // The clients of the bench begin their options with the kind of message.
        let Some(&[kind, ..]) = buffer.get(HEADER_OCTETS + 2..octets) else { continue };
        let (kind, address) = if kind == MessageType::Discover as u8 {
            next += 1;
            (MessageType::Offer, next)
        } else {
            // Requests carry the address third, after the kind and the server.
            let asked = HEADER_OCTETS + 3 + 6 + 2;
            let octets = buffer[asked..asked + 4].try_into().expect("four octets");
            (MessageType::Ack, u32::from_be_bytes(octets))
        };
        buffer[0] = 2;
        buffer[16..20].copy_from_slice(&address.to_be_bytes());
        buffer[HEADER_OCTETS - 4..HEADER_OCTETS].copy_from_slice(&COOKIE);
        let mut end = HEADER_OCTETS;
        for (code, data) in [(code::MESSAGE_TYPE, &[kind as u8][..]), (code::SERVER_ID, &server.octets())] {
            buffer[end] = code;
            buffer[end + 1] = data.len() as u8;
            buffer[end + 2..end + 2 + data.len()].copy_from_slice(data);
            end += 2 + data.len();
        }
        buffer[end] = code::END;
        // As long as the answers of the others.
        buffer[end + 1..300].fill(0);
        socket.send_to(&buffer[..300], (Ipv4Addr::BROADCAST, 68))?;
    }
}
