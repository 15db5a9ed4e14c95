//! A request with all that decides its answer: the network it comes from, who sends it, which tags it has.

use std::net::Ipv4Addr;
use std::sync::Arc;

use boot::hosts::Who;
use boot::matching::{Tags, client_name};
use boot::{Facts, Host};
use config::{Gives, Range, SharedOn};
use dhcp::v4::packet::sub_options;
use dhcp::v4::{Packet, code};
use leases::{ClientKey, Clock};

use super::Settings;

/// Sub-option of option 82: the subnet that the client is on, where that is not the relay's own (RFC 3527).
const LINK_SELECTION: u8 = 5;

pub(super) struct Ctx<'a> {
    pub packet: Packet<'a>,
    pub facts: Facts,
    pub key: ClientKey,
    pub now: Clock,
    /// Where it arrived: a place in [`Settings::links`].
    pub link: usize,
    pub network: Network,
    /// What is laid down for the client.
    pub host: Option<Arc<Host>>,
    /// The tags that its circumstances set: interface, host, `known`.
    pub base: Tags,
    /// All but those of the range of its address.
    pub tags: Tags,
    /// The ranges that its tags admit to, in order of precedence: places in `config::Dhcp::ranges`.
    pub admitted: Vec<usize>,
}

/// The network that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Our address as that network reaches us: option 54.
    pub us: Ipv4Addr,
    /// Who is the router there unless told otherwise: the relay, or we.
    pub router: Ipv4Addr,
    /// The ranges that serve it: places in `config::Dhcp::ranges`.
    pub ranges: Vec<usize>,
}

impl Network {
    /// `None`: no range serves it.
    pub fn of(packet: &Packet<'_>, link: usize, settings: &Settings) -> Option<Network> {
        let ours = &settings.links[link].addresses;
        let relay = packet.relay();
        let told = selected_subnet(packet).or(relay);
        let anchors: Vec<Ipv4Addr> = match told {
            Some(address) => vec![address],
            None => ours.iter().map(|net| net.addr()).collect(),
        };
        let mut ranges = serving(settings, link, &anchors);
        let ciaddr = packet.ciaddr();
        if ranges.is_empty() && told.is_none() && !ciaddr.is_unspecified() {
            // A client behind a relay renews straight with us (RFC 2131 section 4.3.2).
            ranges = serving(settings, link, &[ciaddr]);
        }
        let range = &settings.dhcp.ranges[*ranges.first()?];
        let near = ours.iter().find(|net| range.subnet.contains(&net.addr())).or(ours.first())?;
        let us = near.addr();
        // A relay on our own link passes packets on and routes nothing.
        let router = relay.filter(|relay| !ours.iter().any(|net| net.contains(relay))).unwrap_or(us);
        Some(Network { us, router, ranges })
    }

    pub fn contains(&self, address: Ipv4Addr, settings: &Settings) -> bool {
        self.ranges.iter().any(|at| settings.dhcp.ranges[*at].subnet.contains(&address))
    }

    /// The range that an address is given from: one that holds it, else one of its subnet.
    pub fn range<'s>(&self, address: Ipv4Addr, settings: &'s Settings) -> Option<&'s Range> {
        let ranges = || self.ranges.iter().map(|at| &settings.dhcp.ranges[*at]);
        let holds = |range: &&Range| matches!(range.gives, Gives::Addresses(a, b) if (a..=b).contains(&address));
        let reserved = |range: &&Range| range.gives == Gives::Reserved && range.subnet.contains(&address);
        let by_subnet = || ranges().find(|range| range.subnet.contains(&address));
        ranges().find(holds).or_else(|| ranges().find(reserved)).or_else(by_subnet)
    }
}

/// The ranges whose subnet one of `anchors` is in, and those that share the network with them.
fn serving(settings: &Settings, link: usize, anchors: &[Ipv4Addr]) -> Vec<usize> {
    let dhcp = &settings.dhcp;
    let is_meant = |on: &SharedOn| match on {
        SharedOn::Interface(name) => *name == settings.links[link].name,
        SharedOn::Address(address) => anchors.contains(address),
    };
    let shared = dhcp.shared.iter().filter(|shared| is_meant(&shared.on)).map(|shared| shared.subnet);
    let all: Vec<Ipv4Addr> = anchors.iter().copied().chain(shared).collect();
    let serves = |range: &Range| all.iter().any(|address| range.subnet.contains(address));
    dhcp.ranges.iter().enumerate().filter(|(_, range)| serves(range)).map(|(at, _)| at).collect()
}

/// Where a relay or a client says that another subnet than the relay's is meant: option 82's link selection (RFC
/// 3527), or option 118 (RFC 3011).
fn selected_subnet(packet: &Packet<'_>) -> Option<Ipv4Addr> {
    let by_relay = packet.option(code::RELAY_AGENT).and_then(|data| {
        let (_, address) = sub_options(&data).find(|(code, _)| *code == LINK_SELECTION)?;
        <[u8; 4]>::try_from(address).ok().map(Ipv4Addr::from)
    });
    by_relay.or_else(|| packet.address(code::SUBNET_SELECTION)).filter(|address| !address.is_unspecified())
}

/// What is laid down for who asks, and the tags that the circumstances set: interface, host, `known`.
pub(super) fn identify(
    packet: &Packet<'_>,
    link: usize,
    network: &Network,
    settings: &Settings,
) -> (Option<Arc<Host>>, Tags) {
    let (rules, hosts) = (&settings.dhcp.rules, &settings.dhcp.hosts);
    let mut base = Tags::default();
    base.set(settings.links[link].name.as_str());
    if hosts.is_empty() {
        return (None, base);
    }
    let tags = rules.tags(packet, base.clone());
    let name = client_name(packet);
    let client_id = packet.option(code::CLIENT_ID);
    let who = Who {
        hardware: (packet.htype(), packet.chaddr()),
        client_id: client_id.as_deref(),
        name: name.as_deref().and_then(|name| name.split('.').next()),
    };
    let host = hosts.find(who, &tags, |address| network.contains(address, settings));
    match &host {
        Some(host) => {
            host.set.iter().for_each(|tag| base.set(tag.clone()));
            base.set("known");
        }
        None if hosts.find(who, &tags, |_| true).is_some() => base.set("known-othernet"),
        None => {}
    }
    (host, base)
}

/// The ranges of a network that these tags admit to: those that ask for tags first.
pub(super) fn admitted(network: &Network, tags: &Tags, settings: &Settings) -> Vec<usize> {
    let range = |at: &usize| &settings.dhcp.ranges[*at];
    let asking = network.ranges.iter().filter(|at| !range(at).when.is_empty() && range(at).when.holds(tags));
    asking.chain(network.ranges.iter().filter(|at| range(at).when.is_empty())).copied().collect()
}
