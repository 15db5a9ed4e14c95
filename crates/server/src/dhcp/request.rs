//! A request with all that decides its answer: the network it comes from, who sends it, which tags it has.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use boot::hosts::Who;
use boot::matching::{Tags, client_name};
use boot::{Facts, Host};
use config::{Gives, Range, Shared, SharedOn};
use dhcp::v4::packet::sub_options;
use dhcp::v4::{MessageType, Packet, code};
use ipnet::Ipv4Net;
use leases::{ClientKey, Clock};

use super::Settings;

/// Sub-option of option 82: the subnet that the client is on, where that is not the relay's own (RFC 3527).
const LINK_SELECTION: u8 = 5;

/// Sub-option of option 82: the relay is to be taken for the server (RFC 5107).
const SERVER_ID_OVERRIDE: u8 = 11;

pub(super) struct Ctx<'a> {
    pub packet: Packet<'a>,
    pub facts: Arc<Facts>,
    pub key: ClientKey,
    pub now: Clock,
    /// Where it arrived: a place in [`Settings::links`].
    pub link: usize,
    pub network: Network,
    /// Option 54 of every answer, where it is not simply our address there.
    pub server_id: Option<Ipv4Addr>,
    /// What is laid down for the client.
    pub host: Option<Arc<Host>>,
    /// The tags that its circumstances set: interface, host, `known`.
    pub base: Tags,
    /// All but those of the range of its address.
    pub tags: Tags,
    /// The ranges that its tags admit to, in order of precedence.
    pub admitted: Vec<Reached>,
}

/// A range, and how the network that a request comes from reaches us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// A place in `config::Dhcp::ranges`.
    pub range: usize,
    /// Our address there.
    pub us: Ipv4Addr,
    /// Who is the router there unless told otherwise: the relay, or we. `None`: nobody knows.
    pub router: Option<Ipv4Addr>,
}

/// The relays that were heard last, each for its own subnet: who renews straight with us is behind one of them.
pub(super) type Relays = HashMap<Ipv4Net, Ipv4Addr>;

impl Ctx<'_> {
    /// The range that an address is given from: one that holds it, else one of its subnet. Only those count that the
    /// request's tags admit to.
    pub fn reached(&self, address: Ipv4Addr, settings: &Settings) -> Option<Reached> {
        let range = |reached: &&Reached| &settings.dhcp.ranges[reached.range];
        let find = |test: &dyn Fn(&Range) -> bool| self.admitted.iter().find(|reached| test(range(reached)));
        let holds = |range: &Range| matches!(range.gives, Gives::Addresses(a, b) if (a..=b).contains(&address));
        let on_subnet = |range: &Range| range.subnet.contains(&address);
        let reserved = |range: &Range| range.gives == Gives::Reserved && on_subnet(range);
        find(&holds).or_else(|| find(&reserved)).or_else(|| find(&on_subnet)).copied()
    }

    pub fn range<'s>(&self, address: Ipv4Addr, settings: &'s Settings) -> Option<&'s Range> {
        self.reached(address, settings).map(|reached| &settings.dhcp.ranges[reached.range])
    }

    /// Our address as who has this one reaches us.
    pub fn us(&self, address: Ipv4Addr, settings: &Settings) -> Ipv4Addr {
        self.reached(address, settings).map_or(self.network.us, |reached| reached.us)
    }

    /// Option 54 of the answer to who has, or gets, this address.
    pub fn server_id(&self, address: Ipv4Addr, settings: &Settings) -> Ipv4Addr {
        self.server_id.unwrap_or_else(|| self.us(address, settings))
    }

    /// Whether the client begins anew: it looks for an address, or takes one that was offered.
    pub fn begins(&self) -> bool {
        let takes = || self.packet.option(code::SERVER_ID).is_some();
        match self.packet.message_type() {
            Some(MessageType::Discover) => true,
            Some(MessageType::Request) => takes(),
            _ => false,
        }
    }
}

/// The network that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Our address as that network reaches us.
    pub us: Ipv4Addr,
    /// The ranges that serve it.
    pub ranges: Vec<Reached>,
}

impl Network {
    /// `None`: no range serves it.
    pub fn of(packet: &Packet<'_>, link: usize, settings: &Settings, relays: &Relays) -> Option<Network> {
        let (relay, ciaddr) = (packet.relay(), packet.ciaddr());
        let remote = |anchor| remote(settings, link, anchor, relay, relays);
        let holds = |reached: &Reached| settings.dhcp.ranges[reached.range].subnet.contains(&ciaddr);
        let ranges = match selected_subnet(packet).or(relay) {
            Some(anchor) => remote(anchor),
            None => {
                let near = near(settings, link);
                // A client behind a relay renews straight with us (RFC 2131 section 4.3.2).
                let away = !ciaddr.is_unspecified() && !near.iter().any(holds);
                Some(ciaddr).filter(|_| away).map(remote).filter(|remote| !remote.is_empty()).unwrap_or(near)
            }
        };
        Some(Network { us: ranges.first()?.us, ranges })
    }

    pub fn contains(&self, address: Ipv4Addr, settings: &Settings) -> bool {
        self.ranges.iter().any(|reached| settings.dhcp.ranges[reached.range].subnet.contains(&address))
    }
}

/// The ranges for who is on the link itself: by its addresses, and by the networks that share it. As in dnsmasq, those of
/// a later address come first.
fn near(settings: &Settings, link: usize) -> Vec<Reached> {
    let Settings { links, dhcp, .. } = settings;
    let mut all: Vec<Reached> = Vec::new();
    for us in links[link].addresses.iter().rev().map(Ipv4Net::addr) {
        let shares = |shared: &&Shared| match &shared.on {
            SharedOn::Interface(name) => *name == links[link].name,
            SharedOn::Address(address) => *address == us,
        };
        let own = std::iter::once((us, Some(us)));
        // Nobody told us who routes for a network that shares ours.
        let shared = dhcp.shared.iter().filter(shares).map(|shared| (shared.subnet, None));
        for (anchor, router) in own.chain(shared) {
            let serves = |(_, range): &(usize, &Range)| range.subnet.contains(&anchor) && !range.guessed;
            let serving = dhcp.ranges.iter().enumerate().filter(serves);
            for (range, _) in serving {
                if !all.iter().any(|reached| reached.range == range) {
                    all.push(Reached { range, us, router });
                }
            }
        }
    }
    all
}

/// The ranges for another network, which `anchor` is an address of.
fn remote(
    settings: &Settings,
    link: usize,
    anchor: Ipv4Addr,
    relay: Option<Ipv4Addr>,
    relays: &Relays,
) -> Vec<Reached> {
    let Settings { links, dhcp, .. } = settings;
    let ours = &links[link].addresses;
    let first = ours.first().map_or(Ipv4Addr::UNSPECIFIED, Ipv4Net::addr);
    let shared: Vec<Ipv4Addr> = match relay {
        Some(relay) => {
            let shares = |shared: &&Shared| shared.on == SharedOn::Address(relay);
            dhcp.shared.iter().filter(shares).map(|shared| shared.subnet).collect()
        }
        None => Vec::new(),
    };
    let reach = |(at, range): (usize, &Range)| {
        let subnet = &range.subnet;
        if shared.iter().any(|shared| subnet.contains(shared)) {
            return Some(Reached { range: at, us: first, router: None });
        }
        if !subnet.contains(&anchor) {
            return None;
        }
        // A relay on one of our own links passes packets on and routes nothing; one of another subnet cannot be its router.
        let all = ours.iter().chain(links.iter().flat_map(|link| &link.addresses));
        let own = all.map(Ipv4Net::addr).find(|us| subnet.contains(us) && !range.guessed);
        let relay = relay.filter(|relay| subnet.contains(relay)).or_else(|| relays.get(subnet).copied());
        Some(Reached { range: at, us: own.unwrap_or(first), router: own.or(relay) })
    };
    dhcp.ranges.iter().enumerate().filter_map(reach).collect()
}

/// In place of our address: what a relay wants clients to take for their server, or that one of our addresses there that
/// the client names.
pub(super) fn server_id(packet: &Packet<'_>, link: usize, settings: &Settings) -> Option<Ipv4Addr> {
    let Settings { links, dhcp, .. } = settings;
    let relay = packet.relay();
    let by_option = || sub_option(packet, SERVER_ID_OVERRIDE);
    let as_server = || relay.filter(|relay| dhcp.relays_as_servers.contains(*relay));
    let named = || {
        let ours = |named: &Ipv4Addr| links[link].addresses.iter().any(|net| net.addr() == *named);
        packet.address(code::SERVER_ID).filter(ours)
    };
    as_server().or_else(by_option).or_else(named)
}

fn sub_option(packet: &Packet<'_>, wanted: u8) -> Option<Ipv4Addr> {
    let data = packet.option(code::RELAY_AGENT)?;
    let (_, address) = sub_options(&data).find(|(code, _)| *code == wanted)?;
    let address = <[u8; 4]>::try_from(address).map(Ipv4Addr::from).ok()?;
    Some(address).filter(|address| !address.is_unspecified())
}

/// Where a relay or a client says that another subnet than the relay's is meant: option 82's link selection (RFC
/// 3527), or option 118 (RFC 3011).
fn selected_subnet(packet: &Packet<'_>) -> Option<Ipv4Addr> {
    sub_option(packet, LINK_SELECTION).or_else(|| subnet_by_client(packet))
}

/// The subnet that the client itself chose, where that counts; the answer says it again (RFC 3011 section 3).
pub(super) fn subnet_by_client(packet: &Packet<'_>) -> Option<Ipv4Addr> {
    let chosen = packet.address(code::SUBNET_SELECTION).filter(|address| !address.is_unspecified());
    chosen.filter(|_| sub_option(packet, LINK_SELECTION).is_none())
}

/// What is laid down for who asks, and the tags that the circumstances set: interface, host, `known`.
///
/// `client_id`: option 61, or what it was when the client had the lease that it has.
pub(super) fn identify(
    packet: &Packet<'_>,
    link: usize,
    network: &Network,
    settings: &Settings,
    client_id: Option<&[u8]>,
) -> (Option<Arc<Host>>, Tags) {
    let (rules, hosts) = (&settings.dhcp.rules, &settings.dhcp.hosts);
    let mut base = Tags::default();
    base.set(settings.links[link].name.as_str());
    if hosts.is_empty() {
        return (None, base);
    }
    let tags = rules.tags(packet, base.clone());
    let name = client_name(packet);
    let who = Who {
        hardware: (packet.htype(), packet.chaddr()),
        client_id,
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
pub(super) fn admitted(network: &Network, tags: &Tags, settings: &Settings) -> Vec<Reached> {
    let when = |reached: &Reached| &settings.dhcp.ranges[reached.range].when;
    let asking = network.ranges.iter().filter(|reached| !when(reached).is_empty() && when(reached).holds(tags));
    asking.chain(network.ranges.iter().filter(|reached| when(reached).is_empty())).copied().collect()
}
