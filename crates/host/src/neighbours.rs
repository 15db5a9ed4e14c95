//! Who is near: the kernel's neighbour table, told as it changes (rtnetlink(7), RTM_NEWNEIGH).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use mac::Mac;
use nix::sys::socket::{MsgFlags, recv};

use crate::netlink::{Attributes, Netlink, attributes, messages_of};

/// A machine that came near or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub came: bool,
    pub mac: Mac,
    pub address: IpAddr,
}

/// Octets of `struct ndmsg`.
const HEADER_OCTETS: usize = 12;
/// Multicast group of neighbours (`RTNLGRP_NEIGH`).
const GROUP: u32 = 3;
/// States in which the table has an address for a neighbour, and does so because it was heard of.
const KNOWN: u16 = libc::NUD_REACHABLE | libc::NUD_STALE | libc::NUD_DELAY | libc::NUD_PROBE | libc::NUD_PERMANENT;

/// The table, followed from when this was made.
#[derive(Debug)]
pub struct Neighbours {
    socket: OwnedFd,
    known: HashMap<IpAddr, Mac>,
    /// Those that were near when this was made, until they are told.
    at_first: Vec<Neighbour>,
}

impl Neighbours {
    /// # Errors
    /// When the kernel does not tell.
    pub fn follow() -> io::Result<Neighbours> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes numbers only; what it gives is ours alone.
        let socket = unsafe {
            match libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) {
                -1 => return Err(io::Error::last_os_error()),
                socket => OwnedFd::from_raw_fd(socket),
            }
        };
        // SAFETY: integers only, for which zero is a value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = 1 << (GROUP - 1);
        let length = size_of::<libc::sockaddr_nl>() as u32;
        // SAFETY: the address is of the length told and outlives the call.
        if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut neighbours = Neighbours { socket, known: HashMap::new(), at_first: Vec::new() };
        let dump =
            || Netlink::open(libc::NETLINK_ROUTE)?.dump(libc::RTM_GETNEIGH, &Attributes::after(&[0; HEADER_OCTETS]));
        // Those that cannot be had now are told of when they change.
        for reply in dump().unwrap_or_default() {
            let came = neighbours.take(reply.kind, &reply.body);
            neighbours.at_first.extend(came);
        }
        Ok(neighbours)
    }

    /// Waits for the next changes. One whose MAC has changed went, and came.
    ///
    /// # Errors
    /// When the kernel no longer tells.
    pub fn changes(&mut self) -> io::Result<Vec<Neighbour>> {
        if !self.at_first.is_empty() {
            return Ok(std::mem::take(&mut self.at_first));
        }
        let mut buffer = vec![0; 32 << 10];
        loop {
            let octets = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(octets) => octets,
                // Some changes are lost: later ones set it right.
                Err(nix::Error::EINTR | nix::Error::ENOBUFS) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut changes = Vec::new();
            for (kind, body) in messages_of(&buffer[..octets]) {
                changes.extend(self.take(kind, &body));
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn take(&mut self, kind: u16, body: &[u8]) -> Vec<Neighbour> {
        let Some((address, mac, state)) = parse(body) else { return Vec::new() };
        let now = mac.filter(|_| kind == libc::RTM_NEWNEIGH && state & KNOWN != 0);
        let before = match now {
            Some(mac) => self.known.insert(address, mac),
            None => self.known.remove(&address),
        };
        if before == now {
            return Vec::new();
        }
        let gone = before.map(|mac| Neighbour { came: false, mac, address });
        let come = now.map(|mac| Neighbour { came: true, mac, address });
        gone.into_iter().chain(come).collect()
    }
}

fn parse(body: &[u8]) -> Option<(IpAddr, Option<Mac>, u16)> {
    let (header, rest) = body.split_at_checked(HEADER_OCTETS)?;
    let state = u16::from_ne_bytes([header[8], header[9]]);
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let address = find(libc::NDA_DST)?;
    let address = match (i32::from(header[0]), address.len()) {
        (libc::AF_INET, 4) => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        (libc::AF_INET6, 16) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some((address, find(libc::NDA_LLADDR).and_then(|mac| Some(Mac(mac.try_into().ok()?))), state))
}
