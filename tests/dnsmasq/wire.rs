//! The client's end of the cable: whole Ethernet frames, for any number of machines.

use std::ffi::CString;
use std::mem::size_of;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use mac::Mac;
use nix::libc;
use nix::sys::socket::sockopt::{ReceiveTimeout, SndBuf};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket};
use nix::sys::time::TimeVal;

use crate::harness::Network;

const IPV4: [u8; 2] = [8, 0];
const ARP: [u8; 2] = [8, 6];
const UDP: u8 = 17;

/// A UDP datagram with the addresses it travels under.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The cable it came by.
    pub cable: String,
    /// The link-layer destination of one received, the source of one sent.
    pub mac: Mac,
    pub from: (Ipv4Addr, u16),
    pub to: (Ipv4Addr, u16),
    pub payload: Vec<u8>,
}

/// A packet socket on one interface.
pub struct Wire {
    socket: OwnedFd,
    cable: String,
    /// Addresses that our machines have: for these we answer ARP.
    pub at_home: Vec<(Ipv4Addr, Mac)>,
}

impl Wire {
    /// At the client's end of a cable, which is this interface.
    pub fn on(network: &Network, cable: &str, interface: &str, patience: Duration) -> Wire {
        let socket = network.inside(|| {
            let all = SockProtocol::EthAll;
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all).expect("root");
            let name = CString::new(interface).expect("no NUL");
            // SAFETY: integers and octets only, for which zero is a value.
            let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            // SAFETY: the name ends with NUL and outlives the call.
            address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
            let length = size_of::<libc::sockaddr_ll>() as u32;
            // SAFETY: the address is of the length told and outlives the call.
            let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
            assert_eq!(bound, 0, "the interface is there");
            socket
        });
        setsockopt(&socket, SndBuf, &(1 << 20)).expect("a large buffer");
        let patience = TimeVal::new(patience.as_secs() as i64, patience.subsec_micros().into());
        setsockopt(&socket, ReceiveTimeout, &patience).expect("not zero");
        Wire { socket, cable: cable.to_owned(), at_home: Vec::new() }
    }

    /// Sends a datagram in a frame to everyone.
    pub fn send(&self, datagram: &Datagram) {
        let Datagram { mac, from, to, payload, .. } = datagram;
        let mut udp = [from.1.to_be_bytes(), to.1.to_be_bytes(), (payload.len() as u16 + 8).to_be_bytes()].concat();
        udp.extend([0, 0]); // no checksum (RFC 768)
        udp.extend(payload);
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0];
        ip.extend(from.0.octets());
        ip.extend(to.0.octets());
        ip[2..4].copy_from_slice(&(20 + udp.len() as u16).to_be_bytes());
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        self.frame(Mac::BROADCAST, *mac, IPV4, &[ip, udp].concat());
    }

    /// The next datagram; `None` when none comes in time. Answers ARP meanwhile.
    pub fn receive(&self) -> Option<Datagram> {
        let mut buffer = [0; 4096];
        loop {
            let octets = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(octets) => octets,
                Err(nix::Error::EAGAIN) => return None,
                Err(nix::Error::EINTR) => continue,
                Err(error) => panic!("{error}"),
            };
            let frame = &buffer[..octets];
            match frame.get(12..14) {
                Some(kind) if kind == ARP => self.answer_arp(&frame[14..]),
                Some(kind) if kind == IPV4 => match datagram(frame, &self.cable) {
                    Some(datagram) => return Some(datagram),
                    None => continue,
                },
                _ => {}
            }
        }
    }

    fn answer_arp(&self, question: &[u8]) {
        let [_, _, _, _, _, _, 0, 1, asker @ .., _, _, _, _, _, _, a, b, c, d] = &question[..28] else { return };
        let wanted = Ipv4Addr::new(*a, *b, *c, *d);
        let Some((_, mac)) = self.at_home.iter().rev().find(|(address, _)| *address == wanted) else { return };
        let mut answer = vec![0, 1, 8, 0, 6, 4, 0, 2];
        answer.extend(mac.0);
        answer.extend(wanted.octets());
        answer.extend(asker);
        self.frame(Mac(asker[..6].try_into().expect("six octets")), *mac, ARP, &answer);
    }

    fn frame(&self, to: Mac, from: Mac, kind: [u8; 2], content: &[u8]) {
        let frame = [&to.0[..], &from.0, &kind, content].concat();
        send(self.socket.as_raw_fd(), &frame, MsgFlags::empty()).expect("the interface is up");
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn datagram(frame: &[u8], cable: &str) -> Option<Datagram> {
    let ip = frame.get(14..34)?;
    let header = usize::from(ip[0] & 15) * 4;
    let udp = frame.get(14 + header..).filter(|udp| ip[9] == UDP && udp.len() >= 8)?;
    let number = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
    Some(Datagram {
        cable: cable.to_owned(),
        mac: Mac(frame[..6].try_into().expect("six octets")),
        from: (address(12), number(0)),
        to: (address(16), number(2)),
        payload: udp.get(8..usize::from(number(4)))?.to_vec(),
    })
}

fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
