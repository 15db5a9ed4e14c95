//! Where to serve, and what to give out there.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use boot::matching::{Tag, TagExpr};
use ipnet::{IpNet, Ipv4Net};

use super::super::options::interfaces::Pattern;
use super::super::options::ranges::{DhcpRange, Lease, RangeMode, SharedNetwork};
use super::super::options::relay::Relay;
use super::{Lowering, expr};
use crate::diagnostic::{Diagnostic, Severity};
use crate::said::Given;
use crate::surroundings::{Nic, Surroundings};
use crate::{DnsAt, Gives, Range, RelayTo, RelaysAsServers, Served, Shared, SharedOn};

/// dnsmasq's lease time where a range names none.
const LEASE_SECS: u32 = 3600;

/// What the options on interfaces say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Where {
    /// `bind-interfaces`: what is named must be there at the start.
    pub(super) bound: bool,
    /// Where there are relays, servers' answers may come by other interfaces.
    pub(super) relays: Vec<Relay>,
    pub(super) interfaces: Vec<(Pattern, crate::Place)>,
    pub(super) except: Vec<Pattern>,
    pub(super) addresses: Vec<Given<IpAddr>>,
    pub(super) no_dhcp: Vec<Pattern>,
    /// [`Where::no_dhcp`], and no TFTP either.
    pub(super) no_dhcp_at_all: Vec<Pattern>,
    /// Interfaces that are served in the place of another.
    pub(super) aliases: Vec<(Pattern, String)>,
    /// `local-service=host`, where neither interfaces nor addresses are named.
    pub(super) dns_for_this_host: bool,
    /// Served for TFTP only where `enable-tftp` names interfaces; empty: all.
    pub(super) tftp: Vec<Pattern>,
}

fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl Where {
    /// Whether an interface is served, by its name or one of its addresses. Without any name or address, all are.
    fn allows(&self, nic: &Nic) -> bool {
        let named = self.interfaces.iter().any(|(pattern, _)| pattern.matches(&nic.name));
        let by_address = |net: &Ipv4Net| self.addresses.iter().any(|given| given.value == IpAddr::V4(net.addr()));
        let nothing_said = self.interfaces.is_empty() && self.addresses.is_empty();
        let allowed = nothing_said || named || nic.addresses.iter().any(by_address);
        allowed && !any(&self.except, &nic.name) && !nic.addresses.is_empty() && !nic.is_loopback
    }

    /// Whether no option says where to serve.
    pub(super) fn names_nothing(&self) -> bool {
        self.interfaces.is_empty() && self.except.is_empty() && self.addresses.is_empty()
    }

    /// Where DNS is answered, of the addresses of these interfaces. Unlike DHCP it is on the loopback interface too,
    /// and at an address that is named there alone.
    pub fn dns_at(&self, nics: &[Nic]) -> Vec<DnsAt> {
        let named = |nic: &Nic| {
            let by_name = self.interfaces.iter().any(|(pattern, _)| pattern.matches(&nic.name));
            by_name || nic.is_loopback && !self.interfaces.is_empty()
        };
        let nothing_said = self.interfaces.is_empty() && self.addresses.is_empty();
        let mut at = Vec::new();
        for nic in nics.iter().filter(|nic| !any(&self.except, &nic.name)) {
            let nets = nic.addresses.iter().map(|net| IpNet::V4(*net)).chain(nic.v6.iter().map(|net| IpNet::V6(*net)));
            let is_whole = named(nic) || nothing_said && (nic.is_loopback || !self.is_for_this_host());
            for net in nets {
                let own = Some(net.addr()).filter(|_| is_whole);
                // All of 127.0.0.0/8 is ours, not just the one that `ip address` shows.
                let asked = self.addresses.iter().map(|given| given.value);
                let asked = asked.filter(|asked| *asked == net.addr() || nic.is_loopback && net.contains(asked));
                let new = own.into_iter().chain(asked).map(|address| DnsAt { interface: nic.name.clone(), address });
                for new in new {
                    if !at.contains(&new) {
                        at.push(new);
                    }
                }
            }
        }
        at
    }

    fn is_for_this_host(&self) -> bool {
        self.dns_for_this_host && self.names_nothing()
    }

    /// As [`Where::served`] for an interface that is not served itself, but stands for another that is.
    fn alias(&self, nic: &Nic, nics: &[Nic]) -> Option<Served> {
        let (_, name) = self.aliases.iter().find(|(pattern, _)| pattern.matches(&nic.name))?;
        let meant = nics.iter().find(|meant| meant.name == *name && meant.name != nic.name && self.allows(meant))?;
        Some(Served { interface: nic.name.clone(), tftp: false, in_place_of: Some(name.clone()), ..self.served(meant) })
    }

    /// An interface that only servers' answers to our relays come by.
    fn for_answers(&self, nic: &Nic) -> Option<Served> {
        let may = |relay: &Relay| relay.interface.as_ref().is_none_or(|pattern| pattern.matches(&nic.name));
        let heard = !nic.is_loopback && !nic.addresses.is_empty() && self.relays.iter().any(may);
        heard.then(|| Served { dhcp: false, tftp: false, ..self.served(nic) })
    }

    /// Whether interfaces that come later may be served. As in dnsmasq, for DHCP it is not enough to bind to those that
    /// are there; they must be named as well.
    pub fn is_open(&self) -> bool {
        let named = !self.interfaces.is_empty() && self.interfaces.iter().all(|(pattern, _)| !pattern.open);
        !self.bound || !named
    }

    /// Whether DNS is answered at addresses that come later, on interfaces of any name that is served.
    pub fn dns_is_open(&self) -> bool {
        !self.bound
    }

    /// What is served of these interfaces.
    pub fn served_of(&self, nics: &[Nic]) -> Vec<Served> {
        let serve = |nic: &Nic| match self.allows(nic) {
            true => Some(self.served(nic)),
            false => self.alias(nic, nics).or_else(|| self.for_answers(nic)),
        };
        let relays = !self.relays.is_empty();
        nics.iter().filter_map(serve).map(|served| Served { relays, ..served }).collect()
    }

    fn served(&self, nic: &Nic) -> Served {
        let silent = any(&self.no_dhcp_at_all, &nic.name);
        // As in dnsmasq, an address to listen on chooses interfaces for DHCP, and addresses for all else.
        let mut addresses = nic.addresses.clone();
        addresses.sort_by_key(|net| !self.addresses.iter().any(|given| given.value == IpAddr::V4(net.addr())));
        Served {
            interface: nic.name.clone(),
            addresses,
            dhcp: !silent && !any(&self.no_dhcp, &nic.name),
            tftp: !silent && (self.tftp.is_empty() || any(&self.tftp, &nic.name)),
            relays: false,
            in_place_of: None,
        }
    }
}

impl Lowering {
    /// The interfaces to serve. Empty only after an error.
    pub(super) fn served(&mut self, around: &dyn Surroundings) -> Vec<Served> {
        let nics = around.interfaces();
        let at = &self.at;
        let served = at.served_of(&nics);
        let dns_alone = self.is_dns_alone() && !at.dns_at(&nics).is_empty();
        let can_serve = |nic: &Nic| !nic.addresses.is_empty() || dns_alone && !nic.v6.is_empty();
        let mut found = Vec::new();
        for (pattern, place) in at.interfaces.iter().filter(|(pattern, _)| !pattern.open && pattern.name != "lo") {
            let name = &pattern.name;
            let error = |what: String, fix: String| Diagnostic::error(what).at(place.clone()).fix(fix);
            if any(&at.except, name) {
                let what = format!("{name} is both served and excepted: it is not served");
                found.push(Diagnostic::warning(what).at(place.clone()).fix("leave it out of one of the two"));
            } else if !nics.iter().any(|nic| nic.name == *name && can_serve(nic)) {
                let what = format!("{name} has no IPv4 address to serve from, or is not there");
                let fix = format!("ip link add {name} type bridge; ip address add 10.0.1.1/24 dev {name}");
                found.push(match at.bound || served.is_empty() && !dns_alone {
                    true => error(what, format!("make it first: {fix}")),
                    // As in dnsmasq, it is served once it is there.
                    false => {
                        Diagnostic::warning(format!("{what}, yet")).at(place.clone()).fix(format!("make it: {fix}"))
                    }
                });
            }
        }
        for given in &at.addresses {
            let IpAddr::V4(address) = given.value else { continue };
            let here = nics.iter().flat_map(|nic| &nic.addresses).any(|net| net.addr() == address);
            if !here && !address.is_loopback() {
                let what = format!("no interface has the address {address}");
                found.push(
                    Diagnostic::error(what).at(given.place.clone()).fix("name an address that `ip address` shows"),
                );
            }
        }
        if served.is_empty() && !dns_alone && !found.iter().any(|found| found.severity == Severity::Error) {
            let fix = "give an interface an address, and name it: --interface=NAME";
            found.push(Diagnostic::error("there is no interface with an IPv4 address to serve").fix(fix));
        }
        self.found.extend(found);
        served
    }

    pub(super) fn ranges(&mut self, around: &dyn Surroundings) -> Vec<Range> {
        let nics = around.interfaces();
        let said = std::mem::take(&mut self.dhcp_ranges);
        let mut ranges: Vec<Range> = said.iter().map(|range| lower_range(range, &nics)).collect();
        for (said, range) in said.iter().zip(&mut ranges) {
            let Gives::Addresses(first, last) = range.gives else { continue };
            if !range.subnet.contains(&last) {
                // dnsmasq tells of it with every packet, and offers addresses that no client could use.
                let end = Ipv4Addr::from_bits(range.subnet.broadcast().to_bits() - 1);
                let what =
                    format!("the range {first} to {last} goes beyond its network {}: it ends at {end}", range.subnet);
                let fix = "end it within that network, or write the netmask of a wider one behind it";
                self.found.push(Diagnostic::warning(what).at(said.start.place.clone()).fix(fix));
                range.gives = Gives::Addresses(first, end);
            }
        }
        ranges
    }

    /// Once all relays are meant, single ones add nothing.
    pub(super) fn relay_as_server(&mut self, relays: &[Given<Ipv4Addr>]) {
        let relays = relays.iter().map(|given| given.value);
        match &mut self.relays_as_servers {
            RelaysAsServers::All => {}
            RelaysAsServers::These(all) => all.extend(relays),
            none @ RelaysAsServers::None => *none = RelaysAsServers::These(relays.collect()),
        }
    }

    pub(super) fn shared_network(&mut self, shared: &SharedNetwork) {
        use super::super::options::ranges::SharedOn as On;
        let on = match &shared.on {
            On::Interface(name) => SharedOn::Interface(name.clone()),
            On::Address(address) => SharedOn::Address(*address),
        };
        self.shared.push(Shared { on, subnet: shared.subnet.value });
    }
}

pub(super) fn relay(said: &Relay) -> crate::Relay {
    const SERVER_PORT: u16 = 67;
    let port = said.port.unwrap_or(SERVER_PORT);
    let pattern = said.interface.as_ref();
    let to = match &said.server {
        Some(server) => RelayTo::Server(SocketAddrV4::new(server.value, port)),
        None => RelayTo::Everyone { interface: pattern.map_or_else(String::new, |it| it.name.clone()), port },
    };
    crate::Relay { local: said.local.value, to, answers_by: pattern.cloned() }
}

pub(in super::super) fn lower_range(range: &DhcpRange, nics: &[Nic]) -> Range {
    let start = range.start.value;
    let end = match &range.mode {
        RangeMode::To(end) => end.value,
        RangeMode::Static | RangeMode::Proxy => start,
    };
    let told = match &range.netmask {
        Some(netmask) => Ipv4Net::with_netmask(start, netmask.value).ok(),
        None => {
            let holds = |net: &&Ipv4Net| net.contains(&start) && net.contains(&end);
            nics.iter().flat_map(|nic| &nic.addresses).find(holds).copied()
        }
    };
    let subnet = told.unwrap_or_else(|| by_class(start)).trunc();
    let secs = match range.lease {
        None => LEASE_SECS,
        Some(Lease::Seconds(secs)) => secs,
        Some(Lease::Infinite) => u32::MAX,
    };
    Range {
        subnet,
        guessed: told.is_none(),
        broadcast: range.broadcast.as_ref().map_or(subnet.broadcast(), |given| given.value),
        gives: match &range.mode {
            RangeMode::To(end) => Gives::Addresses(start, end.value),
            RangeMode::Static => Gives::Reserved,
            RangeMode::Proxy => Gives::Proxy,
        },
        lease: Duration::from_secs(secs.into()),
        set: range.set.as_ref().map(|given| Tag::from(given.value.as_str())),
        when: if range.tests.is_empty() { TagExpr::default() } else { expr(&range.tests) },
    }
}

/// The subnet that dnsmasq takes for a network behind a relay when no netmask says it: by the classes of RFC 791.
fn by_class(address: Ipv4Addr) -> Ipv4Net {
    let prefix = match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    };
    Ipv4Net::new(address, prefix).expect("a prefix of at most 32 bits")
}
