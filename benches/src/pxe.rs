//! What the ROM of a BIOS machine says in DHCP, for any number of machines.

use std::net::{Ipv4Addr, UdpSocket};

use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code};
use mac::Mac;

/// DHCPDISCOVER of machine `number`, which is its transaction's number as well.
pub fn discover(number: u32) -> Vec<u8> {
    message(MessageType::Discover, number, &[])
}

/// DHCPREQUEST for what was offered.
pub fn request(number: u32, offer: &Answer) -> Vec<u8> {
    let options = [(code::SERVER_ID, offer.server), (code::REQUESTED_ADDRESS, offer.address)];
    message(MessageType::Request, number, &options)
}

pub fn send(socket: &UdpSocket, message: &[u8]) -> std::io::Result<usize> {
    socket.send_to(message, (Ipv4Addr::BROADCAST, 67))
}

/// What a server said.
pub struct Answer {
    pub kind: MessageType,
    /// Of the machine that it is for.
    pub number: u32,
    pub address: Ipv4Addr,
    pub server: Ipv4Addr,
}

/// The next answer, if one waits.
pub fn receive(socket: &UdpSocket) -> Option<Answer> {
    let mut buffer = [0; 2048];
    loop {
        let octets = socket.recv(&mut buffer).ok()?;
        if let Some(answer) = answer(&buffer[..octets]) {
            return Some(answer);
        }
    }
}

fn answer(octets: &[u8]) -> Option<Answer> {
    let packet = Packet::parse(octets).ok()?;
    Some(Answer {
        kind: packet.message_type()?,
        number: packet.xid(),
        address: packet.yiaddr(),
        server: packet.address(code::SERVER_ID)?,
    })
}

/// Another number for each, in no visible order, as if the machines had been bought here and there: dnsmasq derives the
/// address from the MAC address, and offers the same one to several clients at once when theirs are alike.
fn scattered(number: u32) -> u32 {
    let number = (number ^ number >> 16).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ number >> 13).wrapping_mul(0xc2b2_ae35);
    number ^ number >> 16
}

fn message(kind: MessageType, number: u32, addresses: &[(u8, Ipv4Addr)]) -> Vec<u8> {
    let [a, b, c, d] = scattered(number).to_be_bytes();
    let mac = Mac([2, 0, a, b, c, d]);
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[4..8].copy_from_slice(&number.to_be_bytes());
    octets[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
    octets[28..34].copy_from_slice(&mac.0);
    octets[236..240].copy_from_slice(&COOKIE);
    let mut option = |code: u8, data: &[u8]| {
        octets.extend([code, data.len() as u8]);
        octets.extend_from_slice(data);
    };
    option(code::MESSAGE_TYPE, &[kind as u8]);
    for (code, address) in addresses {
        option(*code, &address.octets());
    }
    option(code::MAX_MESSAGE_SIZE, &1260_u16.to_be_bytes());
    option(code::PARAMETER_REQUEST_LIST, &[1, 2, 3, 5, 6, 11, 12, 13, 15, 16, 17, 18, 43, 54, 60, 67, 128, 129, 130]);
    option(code::CLIENT_MACHINE_ID, &[0, 0x6d, 0x61, 0x63, 0x68, 0x69, 0x6e, 0x65, 0, 0, 0, 0, 0, a, b, c, d]);
    option(code::CLIENT_ARCH, &[0, 0]);
    option(code::CLIENT_NDI, &[1, 2, 1]);
    option(code::VENDOR_CLASS, b"PXEClient:Arch:00000:UNDI:002001");
    octets.push(code::END);
    octets
}
