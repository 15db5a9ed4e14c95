//! Looks for another DHCP server on a link before we serve there, with a DHCPDISCOVER of our own.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use mac::Mac;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::net::{Interface, OpenError, ip_socket, send_broadcast};

/// Servers answer within a second unless they probe the address first, as dnsmasq and ISC dhcpd do.
const PATIENCE: Duration = Duration::from_millis(3500);
/// Once one has answered, others may.
const OTHERS: Duration = Duration::from_millis(300);

/// How long a wire may take to come up.
const CARRIER: Duration = Duration::from_secs(5);

/// Another DHCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its server identifier (option 54), or the sender's address.
    pub server: Ipv4Addr,
    pub mac: Mac,
    /// What it offered us.
    pub offered: Ipv4Addr,
}

/// Asks on the link, and waits up to 3.5 s for offers. Nothing is taken: no DHCPREQUEST follows. On an
/// interface that is down, or whose wire does not come up within 5 s, there is nobody to ask.
///
/// # Errors
/// When no packet socket can be had; see [`OpenError`].
pub fn look(interface: &Interface) -> Result<Vec<Rival>, OpenError> {
    let socket = ip_socket(interface)?;
    let asked = |error| OpenError {
        what: "a packet socket".into(),
        port: None,
        interface: interface.name.clone(),
        source: error,
    };
    if !interface.wait_for_carrier(CARRIER).map_err(asked)? {
        return Ok(Vec::new());
    }
    let xid = std::process::id() ^ interface.index.rotate_left(24) ^ 0x6c61_6e62;
    let start = Instant::now();
    let mut end = start + PATIENCE;
    let mut found: Vec<Rival> = Vec::new();
    for repeat in [Duration::ZERO, Duration::from_secs(1)] {
        if found.is_empty() {
            send_broadcast(&socket, interface, &discover(interface.mac, xid)).map_err(asked)?;
        }
        let until = if repeat.is_zero() { start + Duration::from_secs(1) } else { end };
        while let Some(rival) = next_offer(&socket, xid, until.min(end)).map_err(asked)? {
            if !found.contains(&rival) {
                end = end.min(Instant::now() + OTHERS);
                found.push(rival);
            }
        }
    }
    Ok(found)
}

fn discover(mac: Mac, xid: u32) -> Vec<u8> {
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[4..8].copy_from_slice(&xid.to_be_bytes());
    octets[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
    octets[28..34].copy_from_slice(&mac.0);
    octets[236..240].copy_from_slice(&COOKIE);
    octets.extend([code::MESSAGE_TYPE, 1, MessageType::Discover as u8]);
    octets.extend([code::PARAMETER_REQUEST_LIST, 2, code::SUBNET_MASK, code::ROUTER, code::END]);
    octets.resize(300, 0);
    octets
}

fn next_offer(socket: &OwnedFd, xid: u32, until: Instant) -> io::Result<Option<Rival>> {
    let mut frame = vec![0; 2048];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue, // stopped and continued, say
            Err(error) => return Err(error.into()),
        }
        match nix::unistd::read(socket, &mut frame) {
            Ok(octets) => {
                if let Some(rival) = offer_in(&frame[..octets], xid) {
                    return Ok(Some(rival));
                }
            }
            Err(nix::errno::Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The offer in an Ethernet frame, if it is one for us.
fn offer_in(frame: &[u8], xid: u32) -> Option<Rival> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (&sliced.net, &sliced.transport) else {
        return None;
    };
    if udp.destination_port() != 68 {
        return None;
    }
    let packet = Packet::parse(udp.payload()).ok()?;
    if packet.op() != 2 || packet.xid() != xid || packet.message_type() != Some(MessageType::Offer) {
        return None;
    }
    Some(Rival {
        server: packet.address(code::SERVER_ID).unwrap_or(ip.header().source_addr()),
        mac: Mac(frame[6..12].try_into().ok()?),
        offered: packet.yiaddr(),
    })
}
