//! Datagrams by the dozen: one system call receives many, one sends many, and no memory is taken for any of them.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use socket2::SockAddr;

/// At most so many at once: enough to share the system calls, few enough that nobody waits for the last of them.
pub(crate) const BURST: usize = 64;
/// More than any request has: a query has one name and EDNS options, a DHCP message fits an Ethernet frame.
const MOST_OCTETS: usize = 4096;
/// More than `in6_pktinfo` takes with its header, and aligned as the kernel wants it.
const CONTROL_WORDS: usize = 8;

type Control = [u64; CONTROL_WORDS];

/// What came, for all sockets of one thread. The arrays never move, as the kernel's headers point from one into another.
pub(crate) struct Arrivals {
    octets: Box<[[u8; MOST_OCTETS]]>,
    controls: Box<[Control]>,
    names: Box<[libc::sockaddr_storage]>,
    _parts: Box<[libc::iovec]>,
    heads: Box<[libc::mmsghdr]>,
    /// Those that the last call filled.
    used: usize,
}

// SAFETY: the pointers lead into its own arrays alone, which go with it.
unsafe impl Send for Arrivals {}

/// A datagram, from whom, and by which interface (0: not told).
pub(crate) struct Arrived<'a> {
    pub octets: &'a [u8],
    pub from: SocketAddr,
    pub interface: u32,
}

impl Arrivals {
    pub fn new() -> Arrivals {
        // SAFETY: all of these are plain old data, for which zeros are values.
        let (names, parts, heads) = unsafe { (vec![zeroed(); BURST], vec![zeroed(); BURST], vec![zeroed(); BURST]) };
        let mut octets = vec![[0; MOST_OCTETS]; BURST].into_boxed_slice();
        let mut controls = vec![[0; CONTROL_WORDS]; BURST].into_boxed_slice();
        let mut names: Box<[libc::sockaddr_storage]> = names.into();
        let mut parts: Box<[libc::iovec]> = parts.into();
        let mut heads: Box<[libc::mmsghdr]> = heads.into();
        for at in 0..BURST {
            parts[at] = libc::iovec { iov_base: octets[at].as_mut_ptr().cast(), iov_len: MOST_OCTETS };
            let head = &mut heads[at].msg_hdr;
            head.msg_name = (&raw mut names[at]).cast();
            head.msg_iov = &raw mut parts[at];
            head.msg_iovlen = 1;
            head.msg_control = controls[at].as_mut_ptr().cast();
        }
        Arrivals { octets, controls, names, _parts: parts, heads, used: BURST }
    }

    /// Takes what has come to this socket. Fewer than [`BURST`]: that was all.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has come.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for head in &mut self.heads[..self.used] {
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            head.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: all that the heads point to is ours, as long as they say, and lent out nowhere.
        let count = unsafe {
            let heads = self.heads.as_mut_ptr();
            libc::recvmmsg(socket.as_raw_fd(), heads, BURST as u32, libc::MSG_DONTWAIT as _, ptr::null_mut())
        };
        self.used = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.used)
    }

    /// One of those that [`Arrivals::receive`] counted; `None`: it is longer than any that is meant for us.
    pub fn arrived(&self, at: usize) -> Option<Arrived<'_>> {
        let head = &self.heads[at];
        let from = address_of(&self.names[at])?;
        if head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let controls = &self.controls[at][..];
        debug_assert_eq!(controls.as_ptr().cast(), head.msg_hdr.msg_control.cast_const());
        let octets = &self.octets[at][..head.msg_len as usize];
        Some(Arrived { octets, from, interface: interface_of(&head.msg_hdr) })
    }
}

/// Where a datagram goes.
pub(crate) enum Way {
    To(SocketAddr),
    /// From this address of this interface, where it has several.
    From {
        interface: u32,
        address: Ipv4Addr,
        to: SocketAddrV4,
    },
    /// To where the socket is bound: a whole frame, for a packet socket.
    Bound,
}

/// What is to be sent from one socket.
pub(crate) struct Departures {
    /// The first `count` are to be sent; the rest is memory for others.
    octets: Vec<Vec<u8>>,
    to: Vec<Option<SockAddr>>,
    /// Where not all zeros: the source.
    controls: Box<[Control]>,
    count: usize,
    // For the time of a call only.
    parts: Box<[libc::iovec]>,
    heads: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers are looked at in `send` alone, which sets them first.
unsafe impl Send for Departures {}

impl Departures {
    pub fn new() -> Departures {
        // SAFETY: plain old data, for which zeros are values.
        let (parts, heads): (Vec<_>, Vec<_>) = unsafe { (vec![zeroed(); BURST], vec![zeroed(); BURST]) };
        Departures {
            octets: vec![Vec::new(); BURST],
            to: vec![None; BURST],
            controls: vec![[0; CONTROL_WORDS]; BURST].into(),
            count: 0,
            parts: parts.into(),
            heads: heads.into(),
        }
    }

    /// A buffer for the next datagram, with what an earlier one left in it; it counts once [`Departures::push`] is called.
    /// At most [`BURST`] may be pushed.
    pub fn next(&mut self) -> &mut Vec<u8> {
        &mut self.octets[self.count]
    }

    pub fn push(&mut self, way: Way) {
        self.controls[self.count] = [0; CONTROL_WORDS];
        self.to[self.count] = match way {
            Way::To(to) => Some(to.into()),
            Way::From { interface, address, to } => {
                put_source(&mut self.controls[self.count], interface, address);
                Some(to.into())
            }
            Way::Bound => None,
        };
        self.count += 1;
    }

    pub fn is_full(&self) -> bool {
        self.count == BURST
    }

    /// Sends all; returns how many. What cannot be sent is lost, as datagrams are: who asked asks again.
    ///
    /// # Errors
    /// What the kernel said of the first that could not be sent. Those behind it were tried all the same, unless there
    /// was no room for any.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = std::mem::take(&mut self.count);
        let Departures { octets, to, controls, parts, heads, .. } = self;
        for at in 0..count {
            parts[at] = libc::iovec { iov_base: octets[at].as_ptr().cast_mut().cast(), iov_len: octets[at].len() };
            let head = &mut heads[at].msg_hdr;
            (head.msg_name, head.msg_namelen) = match &to[at] {
                Some(to) => (to.as_ptr().cast_mut().cast(), to.len()),
                None => (ptr::null_mut(), 0),
            };
            (head.msg_iov, head.msg_iovlen) = (&raw mut parts[at], 1);
            let has_source = controls[at][0] != 0;
            head.msg_control = if has_source { controls[at].as_mut_ptr().cast() } else { ptr::null_mut() };
            head.msg_controllen = if has_source { source_octets() as _ } else { 0 };
        }
        let (mut sent, mut failed) = (0, Ok(count));
        while sent < count {
            // SAFETY: the heads point to buffers and addresses that outlive the call, which only reads them.
            let now = unsafe {
                let rest = heads[sent..].as_mut_ptr();
                libc::sendmmsg(socket.as_raw_fd(), rest, (count - sent) as u32, libc::MSG_DONTWAIT as _)
            };
            let Ok(now) = usize::try_from(now) else {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock => return failed.and(Err(error)),
                    // That one has no way to go; the others may.
                    _ => sent += 1,
                }
                failed = failed.and(Err(error));
                continue;
            };
            sent += now.max(1);
        }
        failed
    }
}

/// Octets of a control message that [`put_source`] writes.
fn source_octets() -> usize {
    // SAFETY: computes, and touches nothing.
    unsafe { libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as usize }
}

/// Says from which address of which interface a datagram is to go (ip(7), IP_PKTINFO).
fn put_source(control: &mut Control, interface: u32, address: Ipv4Addr) {
    debug_assert!(source_octets() <= size_of::<Control>());
    let info = libc::in_pktinfo {
        ipi_ifindex: interface as i32,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from(address).to_be() },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    // SAFETY: the control buffer is aligned for the header and has room for it and the data behind it.
    unsafe {
        let head = control.as_mut_ptr().cast::<libc::cmsghdr>();
        (*head).cmsg_len = libc::CMSG_LEN(size_of_val(&info) as u32) as _;
        (*head).cmsg_level = libc::IPPROTO_IP;
        (*head).cmsg_type = libc::IP_PKTINFO;
        libc::CMSG_DATA(head).cast::<libc::in_pktinfo>().write_unaligned(info);
    }
}

fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let storage: *const libc::sockaddr_storage = name;
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: a storage is large enough and aligned for every family, and the kernel says that it is this one.
            let v4 = unsafe { &*storage.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*storage.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn interface_of(head: &libc::msghdr) -> u32 {
    // SAFETY: the kernel filled the control buffer that the head points to, and says how far.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(head);
        while let Some(found) = control.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (found.cmsg_level, found.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    return ptr::read_unaligned(data.cast::<libc::in_pktinfo>()).ipi_ifindex as u32;
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    return ptr::read_unaligned(data.cast::<libc::in6_pktinfo>()).ipi6_ifindex as u32;
                }
                _ => control = libc::CMSG_NXTHDR(head, control),
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, UdpSocket};
    use std::os::fd::AsFd;

    use config::DnsAt;

    use super::*;
    use crate::net::DnsSockets;

    #[test]
    fn many_come_at_once_and_each_gets_its_reply() {
        for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let ours = DnsSockets::open(&DnsAt { interface: "lo".into(), address }, 0).unwrap();
            let clients: Vec<_> = (0..BURST).map(|_| UdpSocket::bind((address, 0)).unwrap()).collect();
            for (at, client) in clients.iter().enumerate() {
                client.send_to(&[at as u8; 20], ours.address).unwrap();
            }
            // Longer than any request: passed over.
            clients[0].send_to(&[0; MOST_OCTETS + 1], ours.address).unwrap();
            let (mut arrivals, mut replies) = (Arrivals::new(), Departures::new());
            let mut received = 0;
            while received <= BURST {
                let Ok(count) = arrivals.receive(ours.udp.as_fd()) else { continue };
                received += count;
                for at in 0..count {
                    let Some(arrived) = arrivals.arrived(at) else { continue };
                    assert_eq!((arrived.octets.len(), arrived.interface), (20, 1), "lo is the first interface");
                    replies.next().clear();
                    replies.next().extend([arrived.octets, b"!"].concat());
                    replies.push(Way::To(arrived.from));
                }
                replies.send(ours.udp.as_fd()).unwrap();
            }
            for (at, client) in clients.iter().enumerate() {
                let mut octets = [0; 64];
                let length = client.recv(&mut octets).unwrap();
                assert_eq!(octets[..length], [&[at as u8; 20][..], b"!"].concat());
            }
            assert!(arrivals.receive(ours.udp.as_fd()).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock));
        }
    }

    #[test]
    fn the_source_is_the_one_said_and_one_that_has_no_way_to_go_stops_no_other() {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = UdpSocket::bind("0.0.0.0:0").unwrap();
        let SocketAddr::V4(to) = client.local_addr().unwrap() else { unreachable!("bound to an IPv4 address") };
        let mut out = Departures::new();
        // The second of them would be a broadcast, which this socket may not send.
        for (last, to) in [(5, to), (6, SocketAddrV4::new(Ipv4Addr::BROADCAST, 9)), (7, to)] {
            out.next().clear();
            out.next().push(last);
            out.push(Way::From { interface: 1, address: Ipv4Addr::new(127, 0, 0, last), to });
        }
        assert_eq!(out.send(ours.as_fd()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        for last in [5, 7] {
            let mut octets = [0; 8];
            let (length, from) = client.recv_from(&mut octets).unwrap();
            assert_eq!((octets[0], length, from.ip()), (last, 1, IpAddr::from([127, 0, 0, last])));
        }
        out.send(ours.as_fd()).unwrap();
    }
}
