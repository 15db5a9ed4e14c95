//! Hears IPv6 router solicitations and advertisements on the link, and answers a solicitation.

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use dhcp::router_advert::{NO_ROUTER, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, link_local};
use etherparse::PacketBuilder;
use mac::Mac;

use super::frame::{ETH_P_IPV6, packet_socket, send_frame};
use super::{Interface, OpenError};

/// Octets into a frame: IPv6's next header, and the ICMPv6 type behind a header without extensions.
const NEXT_HEADER: usize = 20;
const ICMP_TYPE: usize = 54;
const ICMPV6: u8 = 58;

pub enum RouterMessage {
    /// A machine looks for a router. `address`: its link-local one.
    Solicitation {
        from: Mac,
        address: Ipv6Addr,
    },
    Advertisement,
}

pub struct RouterSocket {
    fd: OwnedFd,
    interface: Interface,
}

impl RouterSocket {
    pub fn open(interface: &Interface) -> Result<RouterSocket, OpenError> {
        let open = || {
            let fd = packet_socket(interface, ETH_P_IPV6)?;
            router_messages_only(&fd)?;
            Ok(fd)
        };
        let fd = open().map_err(interface.error("a packet socket for IPv6 router messages", None))?;
        Ok(RouterSocket { fd, interface: interface.clone() })
    }

    /// The next message of others; `None` when nothing waits.
    pub fn receive(&self) -> Option<RouterMessage> {
        let mut frame = [0; 256];
        loop {
            let octets = nix::unistd::read(&self.fd, &mut frame).ok()?;
            let Some(message) = parse(&frame[..octets]) else { continue };
            match message {
                RouterMessage::Solicitation { from, .. } if from == self.interface.mac => continue,
                message => return Some(message),
            }
        }
    }

    /// Tells one machine that there is no router here.
    pub fn say_no_router(&self, to: Mac, address: Ipv6Addr) -> io::Result<()> {
        let us = self.interface.mac;
        let builder = PacketBuilder::ethernet2(us.0, to.0)
            .ipv6(link_local(us).octets(), address.octets(), 255)
            .icmpv6_raw(ROUTER_ADVERTISEMENT, 0, [NO_ROUTER[0], NO_ROUTER[1], NO_ROUTER[2], NO_ROUTER[3]]);
        let mut frame = Vec::new();
        builder.write(&mut frame, &NO_ROUTER[4..]).expect("a Vec takes every octet");
        send_frame(&self.fd, &self.interface, &frame)
    }
}

impl AsFd for RouterSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn parse(frame: &[u8]) -> Option<RouterMessage> {
    if *frame.get(NEXT_HEADER)? != ICMPV6 {
        return None;
    }
    match *frame.get(ICMP_TYPE)? {
        ROUTER_ADVERTISEMENT => Some(RouterMessage::Advertisement),
        ROUTER_SOLICITATION => {
            let from = Mac(frame[6..12].try_into().ok()?);
            let address: [u8; 16] = frame[22..38].try_into().ok()?;
            let address = Ipv6Addr::from(address);
            (!address.is_unspecified()).then_some(RouterMessage::Solicitation { from, address })
        }
        _ => None,
    }
}

/// Has the kernel pass on nothing else, so that ordinary IPv6 traffic never wakes us.
fn router_messages_only(fd: &OwnedFd) -> io::Result<()> {
    let load = |at: usize| libc::sock_filter { code: 0x30, jt: 0, jf: 0, k: at as u32 }; // A = octet at k
    let equal = |value: u8, jt, jf| libc::sock_filter { code: 0x15, jt, jf, k: value.into() }; // A == k ?
    let result = |k| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k }; // octets to pass on
    let mut program = [
        load(NEXT_HEADER),
        equal(ICMPV6, 0, 3),
        load(ICMP_TYPE),
        equal(ROUTER_SOLICITATION, 2, 0),
        equal(ROUTER_ADVERTISEMENT, 1, 0),
        result(0),
        result(256),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter and its program outlive the call, which copies them.
    let set = unsafe {
        let (value, length) = ((&raw const filter).cast(), size_of_val(&filter) as u32);
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, length)
    };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
