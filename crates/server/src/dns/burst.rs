//! Datagrams by the dozen: one system call receives many queries, one sends the replies, and no memory is taken for any
//! of them.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use socket2::SockAddr;

/// At most so many at once: enough to share the system calls, few enough that nobody waits for the last of them.
pub(super) const BURST: usize = 64;
/// A query has one name, and EDNS options; what is longer is none.
const QUERY_OCTETS: usize = 4096;
/// More than `in6_pktinfo` takes with its header, and aligned as the kernel wants it.
const CONTROL_WORDS: usize = 8;

type Control = [u64; CONTROL_WORDS];

/// The buffers of all sockets of one thread. The arrays never move, as the kernel's headers point from one into another.
pub(super) struct Burst {
    octets: Box<[[u8; QUERY_OCTETS]]>,
    controls: Box<[Control]>,
    names: Box<[libc::sockaddr_storage]>,
    _parts: Box<[libc::iovec]>,
    heads: Box<[libc::mmsghdr]>,
    /// Those that the last call filled.
    used: usize,
    pub replies: Replies,
}

/// A datagram, from whom, and by which interface (0: not told).
pub(super) struct Arrived<'a> {
    pub octets: &'a [u8],
    pub from: SocketAddr,
    pub interface: u32,
}

impl Burst {
    pub fn new() -> Burst {
        // SAFETY: all of these are plain old data, for which zeros are values.
        let (names, parts, heads) = unsafe { (vec![zeroed(); BURST], vec![zeroed(); BURST], vec![zeroed(); BURST]) };
        let mut octets = vec![[0; QUERY_OCTETS]; BURST].into_boxed_slice();
        let mut controls = vec![[0; CONTROL_WORDS]; BURST].into_boxed_slice();
        let mut names: Box<[libc::sockaddr_storage]> = names.into();
        let mut parts: Box<[libc::iovec]> = parts.into();
        let mut heads: Box<[libc::mmsghdr]> = heads.into();
        for at in 0..BURST {
            parts[at] = libc::iovec { iov_base: octets[at].as_mut_ptr().cast(), iov_len: QUERY_OCTETS };
            let head = &mut heads[at].msg_hdr;
            head.msg_name = (&raw mut names[at]).cast();
            head.msg_iov = &raw mut parts[at];
            head.msg_iovlen = 1;
            head.msg_control = controls[at].as_mut_ptr().cast();
        }
        Burst { octets, controls, names, _parts: parts, heads, used: BURST, replies: Replies::new() }
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

    /// One of those that [`Burst::receive`] counted, with the queue for its reply; `None`: it is no query of ours.
    pub fn arrived(&mut self, at: usize) -> Option<(Arrived<'_>, &mut Replies)> {
        let head = &self.heads[at];
        let from = address_of(&self.names[at])?;
        if head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let controls = &self.controls[at][..];
        debug_assert_eq!(controls.as_ptr().cast(), head.msg_hdr.msg_control.cast_const());
        let octets = &self.octets[at][..head.msg_len as usize];
        Some((Arrived { octets, from, interface: interface_of(&head.msg_hdr) }, &mut self.replies))
    }
}

/// What is to be sent from one socket.
pub(super) struct Replies {
    /// The first `count` are replies; the rest is memory for others.
    octets: Vec<Vec<u8>>,
    to: Vec<SockAddr>,
    count: usize,
    // For the time of a call only.
    parts: Box<[libc::iovec]>,
    heads: Box<[libc::mmsghdr]>,
}

impl Replies {
    fn new() -> Replies {
        let nobody = SockAddr::from(SocketAddr::from(([0, 0, 0, 0], 0)));
        // SAFETY: plain old data, for which zeros are values.
        let (parts, heads): (Vec<_>, Vec<_>) = unsafe { (vec![zeroed(); BURST], vec![zeroed(); BURST]) };
        Replies {
            octets: (0..BURST).map(|_| Vec::with_capacity(512)).collect(),
            to: vec![nobody; BURST],
            count: 0,
            parts: parts.into(),
            heads: heads.into(),
        }
    }

    /// A buffer for the next reply; it counts once [`Replies::push`] is called. At most [`BURST`] may be pushed.
    pub fn next(&mut self) -> &mut Vec<u8> {
        &mut self.octets[self.count]
    }

    pub fn push(&mut self, to: SocketAddr) {
        self.to[self.count] = to.into();
        self.count += 1;
    }

    pub fn is_full(&self) -> bool {
        self.count == BURST
    }

    /// Sends all. A reply that cannot be sent is lost, as replies are: who asked asks again.
    pub fn send(&mut self, socket: BorrowedFd<'_>) {
        let count = std::mem::take(&mut self.count);
        let Replies { octets, to, parts, heads, .. } = self;
        for at in 0..count {
            let (octets, to) = (&octets[at], &to[at]);
            parts[at] = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
            let head = &mut heads[at].msg_hdr;
            head.msg_name = to.as_ptr().cast_mut().cast();
            head.msg_namelen = to.len();
            head.msg_iov = &raw mut parts[at];
            head.msg_iovlen = 1;
        }
        let mut sent = 0;
        while sent < count {
            // SAFETY: the heads point to buffers and addresses that outlive the call, which only reads them.
            let now = unsafe {
                let rest = heads[sent..].as_mut_ptr();
                libc::sendmmsg(socket.as_raw_fd(), rest, (count - sent) as u32, libc::MSG_DONTWAIT as _)
            };
            match usize::try_from(now) {
                Ok(now) => sent += now.max(1),
                Err(_) => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return,
                    // That one has no way to go; the others may.
                    _ => sent += 1,
                },
            }
        }
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
            // Longer than any query: passed over.
            clients[0].send_to(&[0; QUERY_OCTETS + 1], ours.address).unwrap();
            let mut burst = Burst::new();
            let mut received = 0;
            while received <= BURST {
                let Ok(count) = burst.receive(ours.udp.as_fd()) else { continue };
                received += count;
                for at in 0..count {
                    let Some((arrived, replies)) = burst.arrived(at) else { continue };
                    assert_eq!((arrived.octets.len(), arrived.interface), (20, 1), "lo is the first interface");
                    replies.next().clear();
                    replies.next().extend([arrived.octets, b"!"].concat());
                    replies.push(arrived.from);
                }
                burst.replies.send(ours.udp.as_fd());
            }
            for (at, client) in clients.iter().enumerate() {
                let mut octets = [0; 64];
                let length = client.recv(&mut octets).unwrap();
                assert_eq!(octets[..length], [&[at as u8; 20][..], b"!"].concat());
            }
            assert!(burst.receive(ours.udp.as_fd()).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock));
        }
    }
}
