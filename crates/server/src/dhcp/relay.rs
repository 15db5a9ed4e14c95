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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dhcp::tests::{guide, message};

    const US: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
    const MAC: mac::Mac = mac::Mac([2, 0, 0, 0, 0, 1]);

    fn relaying(answers_by: Option<&str>) -> Settings {
        let by = |name: &str| config::InterfacePattern { name: name.into(), open: false };
        let to = |last| RelayTo::Server(SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, last), 67));
        let relay = |last| Relay { local: US, to: to(last), answers_by: answers_by.map(by) };
        let dhcp = config::Dhcp { relays: vec![relay(8), relay(9)], ..guide() };
        let link = |name, net: &str| Link::new(name, vec![net.parse().unwrap()]);
        let links = vec![link("net", "10.0.1.1/24"), link("up", "10.0.2.1/24")];
        Settings { links, dhcp, policy: Arc::default() }
    }

    fn discover(hops: u8, giaddr: Ipv4Addr) -> Vec<u8> {
        let mut octets = message(MAC, &[(53, &[1])]);
        octets[HOPS] = hops;
        octets[GIADDR].copy_from_slice(&giaddr.octets());
        octets
    }

    #[test]
    fn a_request_goes_to_every_server_once_with_our_address_in_it() {
        let settings = relaying(None);
        let octets = discover(0, Ipv4Addr::UNSPECIFIED);
        let all = forward(&settings, &settings.links[0], &Packet::parse(&octets).unwrap()).unwrap().unwrap();
        let [Forwarded { from, to, octets }] = &all[..] else { panic!("{all:?}") };
        assert_eq!((*from, to.len(), octets[HOPS], &octets[GIADDR]), (US, 2, 1, &US.octets()[..]));
        assert!(forward(&settings, &settings.links[1], &Packet::parse(octets).unwrap()).is_none());
    }

    #[test]
    fn relays_before_us_stay_and_circles_end() {
        let settings = relaying(None);
        let before = Ipv4Addr::new(10, 0, 1, 7);
        let pass = |hops, giaddr| {
            let octets = discover(hops, giaddr);
            forward(&settings, &settings.links[0], &Packet::parse(&octets).unwrap()).unwrap()
        };
        assert_eq!(&pass(3, before).unwrap()[0].octets[GIADDR], before.octets());
        assert!(pass(20, before).is_ok() && pass(21, before).is_err() && pass(3, US).is_err());
    }

    #[test]
    fn an_answer_goes_where_the_request_came_from_if_it_may_come_by_that_interface() {
        let mut octets = discover(0, US);
        octets[0] = 2;
        octets[16..20].copy_from_slice(&[10, 0, 1, 50]);
        let answer = Packet::parse(&octets).unwrap();
        let by = |answers_by| {
            let settings = relaying(answers_by);
            back(&settings, &settings.links[1], &answer)
        };
        let address = Ipv4Addr::new(10, 0, 1, 50);
        for answers_by in [None, Some("up")] {
            let (link, reply) = by(answers_by).unwrap();
            assert_eq!((link, reply.to), (0, Destination::Hardware { mac: MAC, address }));
            assert_eq!(reply.octets, octets);
        }
        assert_eq!(by(Some("elsewhere")), None);
    }
}
