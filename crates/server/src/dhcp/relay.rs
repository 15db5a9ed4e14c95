//! Being a relay (RFC 2131 section 4.1.1, RFC 1542 section 4.1): requests go on to servers, their answers to machines.

use std::net::{Ipv4Addr, SocketAddrV4};

use config::{Relay, RelayTo};
use dhcp::v4::packet::{BROADCAST, Packet};
use dhcp::v4::{Destination, MessageType, Origin, Reply};

use super::{Link, Settings};

/// Requests that came by more relays than this go in circles. RFC 1542 section 4.1.1 has 16; dnsmasq, 20.
const MOST_HOPS: u8 = 20;
const HOPS: usize = 3;
const GIADDR: std::ops::Range<usize> = 24..28;

/// A request on its way to servers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forwarded {
    /// Our address where it arrived.
    pub from: Ipv4Addr,
    pub to: Vec<SocketAddrV4>,
    pub octets: Vec<u8>,
}

/// Passes a request on that arrived by `link`; `None` where nothing is relayed.
///
/// # Errors
/// Why it is dropped.
pub(super) fn forward(
    settings: &Settings,
    link: &Link,
    request: &Packet<'_>,
) -> Option<Result<Vec<Forwarded>, &'static str>> {
    let is_here = |relay: &&Relay| link.addresses.iter().any(|net| net.addr() == relay.local);
    let relays: Vec<&Relay> = settings.dhcp.relays.iter().filter(is_here).collect();
    if relays.is_empty() {
        return None;
    }
    let hops = request.octets()[HOPS];
    if hops > MOST_HOPS {
        return Some(Err("it came by more than 20 relays: relays pass it around in a circle"));
    }
    if request.relay().is_some_and(|before| relays.iter().any(|relay| relay.local == before)) {
        return Some(Err("we have relayed it already: relays pass it around in a circle"));
    }
    let mut all: Vec<Forwarded> = Vec::new();
    for relay in relays {
        let Some(to) = target(settings, relay) else { continue };
        match all.iter_mut().find(|forwarded| forwarded.from == relay.local) {
            Some(forwarded) => forwarded.to.push(to),
            None => {
                let mut octets = request.octets().to_vec();
                octets[HOPS] = hops + 1;
                if request.relay().is_none() {
                    octets[GIADDR].copy_from_slice(&relay.local.octets());
                }
                all.push(Forwarded { from: relay.local, to: vec![to], octets });
            }
        }
    }
    Some(Ok(all))
}

fn target(settings: &Settings, relay: &Relay) -> Option<SocketAddrV4> {
    match &relay.to {
        RelayTo::Server(address) => Some(*address),
        RelayTo::Everyone { interface, port } => {
            let link = settings.links.iter().find(|link| link.name == *interface)?;
            Some(SocketAddrV4::new(link.addresses.first()?.broadcast(), *port))
        }
    }
}

/// Hands a server's answer that arrived by `link` to the machine it is for: through which link, and how. `None`: it is
/// for none of our relays.
pub(super) fn back(settings: &Settings, link: &Link, answer: &Packet<'_>) -> Option<(usize, Reply)> {
    let giaddr = answer.relay()?;
    let relay = settings.dhcp.relays.iter().find(|relay| relay.local == giaddr)?;
    if relay.answers_by.as_ref().is_some_and(|by| !by.matches(&link.name)) {
        return None;
    }
    let has = |link: &Link| link.addresses.iter().any(|net| net.addr() == giaddr);
    let at = settings.links.iter().position(has)?;
    let kind = answer.message_type().unwrap_or(MessageType::Ack);
    let to = match () {
        () if answer.flags() & BROADCAST != 0 => Destination::Broadcast,
        () => Origin::of(answer).without_relay().destination(kind, answer.yiaddr()),
    };
    Some((at, Reply { kind, octets: answer.octets().to_vec(), to }))
}
