//! DHCP messages of the tests' own making, for what no well-behaved client would do on demand.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code};
use mac::Mac;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{BindToDevice, RcvBuf};

use crate::harness::Network;

/// A socket on `eth0` that speaks for any number of machines. Without an address it hears broadcast answers only.
pub struct Raw(UdpSocket);

impl Raw {
    pub fn on(network: &Network) -> Raw {
        network.inside(|| {
            for interface in ["all", "eth0"] {
                // Answers come from an address to which no route leads yet.
                fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"), "0").expect("IPv4 is there");
            }
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).expect("nobody else is here");
            setsockopt(&socket, BindToDevice, &"eth0".into()).expect("eth0 is there");
            setsockopt(&socket, RcvBuf, &(4 << 20)).expect("a large buffer");
            socket.set_broadcast(true).expect("a UDP socket may broadcast");
            Raw(socket)
        })
    }

    pub fn send(&self, message: &[u8]) {
        self.0.send_to(message, (Ipv4Addr::BROADCAST, 67)).expect("eth0 is up");
    }

    /// The next answer, unless none comes in time.
    pub fn receive(&self, limit: Duration) -> Option<Answer> {
        self.0.set_read_timeout(Some(limit)).expect("not zero");
        let mut buffer = [0; 2048];
        match self.0.recv(&mut buffer) {
            Ok(octets) => Some(Answer::of(&Packet::parse(&buffer[..octets]).expect("a DHCP message"))),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What a server said, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub kind: MessageType,
    pub mac: Mac,
    /// yiaddr.
    pub address: Ipv4Addr,
    pub server: Ipv4Addr,
}

impl Answer {
    fn of(packet: &Packet<'_>) -> Answer {
        Answer {
            kind: packet.message_type().expect("option 53"),
            mac: packet.mac().expect("Ethernet"),
            address: packet.yiaddr(),
            server: packet.address(code::SERVER_ID).expect("option 54"),
        }
    }
}

/// DHCPDISCOVER. `flags`: [`BROADCAST`] or 0.
pub fn discover(mac: Mac, flags: u16) -> Vec<u8> {
    message(MessageType::Discover, mac, flags, &[])
}

/// DHCPREQUEST of a machine that was offered `address` by `server`.
pub fn select(mac: Mac, address: Ipv4Addr, server: Ipv4Addr) -> Vec<u8> {
    let options = [(code::SERVER_ID, server), (code::REQUESTED_ADDRESS, address)];
    message(MessageType::Request, mac, BROADCAST, &options)
}

/// DHCPREQUEST of a machine that is switched on and believes that `address` is its own (INIT-REBOOT).
pub fn reboot(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    message(MessageType::Request, mac, BROADCAST, &[(code::REQUESTED_ADDRESS, address)])
}

fn message(kind: MessageType, mac: Mac, flags: u16, options: &[(u8, Ipv4Addr)]) -> Vec<u8> {
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[4..8].copy_from_slice(&mac.0[2..]);
    octets[10..12].copy_from_slice(&flags.to_be_bytes());
    octets[28..34].copy_from_slice(&mac.0);
    octets[236..240].copy_from_slice(&COOKIE);
    octets.extend([code::MESSAGE_TYPE, 1, kind as u8]);
    for (code, address) in options {
        octets.extend([*code, 4]);
        octets.extend(address.octets());
    }
    octets.push(code::END);
    octets.resize(octets.len().max(300), 0); // as BOOTP has it
    octets
}
