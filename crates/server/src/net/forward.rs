//! Where a relay's requests go out: by whatever route leads to the server, from our port and the relay's address.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

use super::OpenError;

const SERVER_PORT: u16 = 67;

/// A raw socket: one for all interfaces beside those that are each bound to one, which hold the port.
pub struct ForwardSocket(UdpSocket);

impl ForwardSocket {
    pub fn open() -> Result<ForwardSocket, OpenError> {
        const RAW: i32 = 255; // IPPROTO_RAW: we write the header, and hear nothing
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::from(libc::SOCK_RAW), Some(Protocol::from(RAW)))?;
            socket.set_broadcast(true)?;
            socket.set_nonblocking(true)?;
            Ok(ForwardSocket(socket.into()))
        };
        let error = |source| OpenError { what: "a raw socket".into(), port: None, interface: "any".into(), source };
        open().map_err(error)
    }

    pub fn send(&self, from: Ipv4Addr, to: SocketAddrV4, payload: &[u8]) -> io::Result<()> {
        const TTL: u8 = 64;
        let builder = PacketBuilder::ipv4(from.octets(), to.ip().octets(), TTL).udp(SERVER_PORT, to.port());
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut packet, payload).expect("a DHCP message fits an IPv4 datagram, and a Vec takes every octet");
        self.0.send_to(&packet, to).map(drop)
    }
}
