//! Ranges, reservations and what machines are told.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use boot::matching::TagExpr;
use boot::pxe_menu::sub;
use boot::rules::{OptionRule, Rules, Target};
use boot::{Host, Hosts};
use ipnet::Ipv4Net;

use super::{Resolver, Subnet, value};
use crate::diagnostic::{Diagnostic, Place};
use crate::said::{Given, Pool, Range};
use crate::value::host_addresses;
use crate::{Allocation, Chooser, ConflictCheck, Dhcp, Gives, Mode};

/// What is given out when no range is named: from the 100th of every 256 addresses to the last. `10.0.1.100` to
/// `10.0.1.254` in `10.0.1.0/24`; the lower part is left for addresses that people set by hand.
pub fn default_range(net: Ipv4Net) -> Range {
    let octets = 1u64 << (32 - net.prefix_len());
    let skip = u32::try_from(octets * 100 / 256).expect("less than the subnet, which has 32 bits");
    let (_, last) = host_addresses(net);
    (Ipv4Addr::from_bits(net.network().to_bits() + skip.max(1)), last)
}

impl Resolver<'_> {
    /// Checked even when DHCP is off: a mistake that waits for its day is a mistake.
    pub(super) fn dhcp(&mut self, subnet: Option<&Subnet>, masquerade: bool) -> Option<Dhcp> {
        let said = &self.said.dhcp;
        let ranges = self.ranges(subnet);
        let hosts = self.hosts(subnet);
        let router = self.router(subnet, masquerade);
        // Without a subnet there is no interface, and the host's plan says so.
        let net = subnet.map_or(Ipv4Net::default(), |subnet| subnet.net.trunc());
        let lease = value(&said.lease).unwrap_or(Duration::from_secs(12 * 3600));
        let range = |(first, last)| crate::Range {
            subnet: net,
            guessed: false,
            broadcast: net.broadcast(),
            gives: Gives::Addresses(first, last),
            lease,
            set: None,
            when: TagExpr::default(),
        };
        let pools = said.pools.iter().map(|pool| pool_range(pool, net, lease));
        let proxies = value(&said.mode) == Some(Mode::Proxy);
        let ranges: Vec<crate::Range> = match proxies {
            true => vec![crate::Range { gives: Gives::Proxy, ..range((net.addr(), net.addr())) }],
            false => ranges.into_iter().map(range).chain(pools).collect(),
        };
        if proxies {
            self.gives_nothing();
        }
        let mut rules = said.rules.clone().unwrap_or_default();
        self.menu_needs_rules(&rules);
        let prompt = |rule: &OptionRule| matches!(rule.target, Target::Vendor { sub: sub::MENU_PROMPT, .. });
        let is_proxy = |range: &crate::Range| range.gives == Gives::Proxy;
        let answers_beside = match self.by_rules() {
            true => ranges.iter().all(is_proxy) && !rules.boots.is_empty(),
            false => ranges.iter().any(is_proxy),
        };
        rules.pxe.enabled = answers_beside || !rules.pxe.services.is_empty() || rules.options.iter().any(prompt);
        let dhcp = Dhcp {
            ranges,
            shared: Vec::new(),
            hosts,
            allocation: value(&said.allocation).unwrap_or(if self.said.leases.database.is_some() {
                // Nodes that hear the same machine at once offer it the same address, and other machines others.
                Allocation::Hashed
            } else {
                Allocation::default()
            }),
            authoritative: value(&said.authoritative).unwrap_or(true),
            lease_limit: value(&said.lease_limit),
            client_rate: value(&said.client_rate).unwrap_or(Dhcp::CLIENT_RATE),
            conflict_check: match proxies {
                true => ConflictCheck::Off,
                false => value(&said.conflict_check).unwrap_or_default(),
            },
            conflict_wait: value(&said.conflict_wait).unwrap_or(Duration::from_millis(300)),
            identity: value(&said.identity).unwrap_or_default(),
            ignores_client_id: false,
            relays: Vec::new(),
            relays_as_servers: crate::RelaysAsServers::None,
            router,
            dns: said.dns.iter().map(|given| given.value).collect(),
            domain: value(&said.domain),
            chooser: match &self.said.boot.chain {
                Some(Given { value: None, .. }) => Chooser::Rules,
                _ => Chooser::Policy,
            },
            rules,
            manners: crate::Manners::default(),
        };
        (value(&said.enabled) != Some(false)).then_some(dhcp)
    }

    /// Whether the rules alone say what is booted.
    fn by_rules(&self) -> bool {
        matches!(&self.said.boot.chain, Some(Given { value: None, .. }))
    }

    /// A menu and our own chain would both say what is booted.
    fn menu_needs_rules(&mut self, rules: &Rules) {
        if !rules.pxe.services.is_empty() && !self.by_rules() {
            let what = "a PXE menu says what is booted, and so does lanboot's own chain";
            let fix = "let the rules alone say it: chain = \"rules\" in [boot], or leave [[dhcp.menu]] out";
            let place = self.said.place("boot.chain");
            self.found.push(Diagnostic::error(what).at(place).fix(fix));
        }
    }

    /// Complains of all that is said of addresses where another server gives them out.
    fn gives_nothing(&mut self) {
        let said = &self.said.dhcp;
        let mode = said.mode.as_ref().map_or(Place::Host, |mode| mode.place.clone());
        let ranges = said.ranges.iter().map(|given| ("range", &given.place));
        let pools = said.pools.iter().map(|pool| ("pool", &pool.gives.place));
        let lease = said.lease.iter().map(|given| ("lease", &given.place));
        let limit = said.lease_limit.iter().map(|given| ("lease limit", &given.place));
        let mut given: Vec<_> = ranges.chain(pools).chain(lease).chain(limit).collect();
        let addresses = self.said.machines.iter().filter_map(|machine| machine.address.as_ref());
        given.extend(addresses.map(|given| ("machine's address", &given.place)));
        for (what, place) in given {
            let what = format!("this {what} is for nobody: in proxy mode another server gives out addresses");
            let fix = "leave it out, or let lanboot give out addresses: mode = \"server\"";
            self.found.push(Diagnostic::error(what).at(place.clone()).also(mode.clone(), "proxy mode").fix(fix));
        }
    }

    fn ranges(&mut self, subnet: Option<&Subnet>) -> Vec<Range> {
        let said = &self.said.dhcp.ranges;
        for pool in &self.said.dhcp.pools {
            self.check_pool(pool, subnet);
        }
        if said.is_empty() && self.said.mentions("dhcp.pool") {
            return Vec::new();
        }
        if said.is_empty() && !self.said.mentions("dhcp.range") {
            return subnet.map_or(Vec::new(), |subnet| without(default_range(subnet.net), subnet.net.addr()));
        }
        for range in said {
            subnet.inspect(|subnet| self.check_range(range, subnet));
        }
        let mut sorted: Vec<&Given<Range>> = said.iter().collect();
        sorted.sort_by_key(|range| range.value);
        for pair in sorted.windows(2) {
            if pair[1].value.0 <= pair[0].value.1 {
                let what = format!("the ranges {} and {} overlap", show(pair[0].value), show(pair[1].value));
                let both = (pair[0].value.0, pair[0].value.1.max(pair[1].value.1));
                self.found.push(
                    Diagnostic::error(what)
                        .at(pair[1].place.clone())
                        .also(pair[0].place.clone(), "the other")
                        .fix(format!("write one range: {}", show(both))),
                );
            }
        }
        let ranges = sorted.iter().map(|range| range.value);
        let Some(subnet) = subnet else { return ranges.collect() };
        let left: Vec<Range> = ranges.flat_map(|range| without(range, subnet.net.addr())).collect();
        if let (true, Some(range)) = (left.is_empty(), said.first()) {
            let what = format!("the range holds no address but lanboot's own, {}", subnet.net.addr());
            self.error(what, &range.place, format!("give out more, such as {}", show(default_range(subnet.net))));
        }
        left
    }

    fn check_pool(&mut self, pool: &Pool, subnet: Option<&Subnet>) {
        let own = pool.subnet.as_ref().map(|given| given.value).or(subnet.map(|subnet| subnet.net.trunc()));
        let (Gives::Addresses(first, last), Some(net)) = (pool.gives.value, own) else { return };
        if !net.contains(&first) || !net.contains(&last) {
            let what = format!("the pool {} lies outside its subnet {net}", show((first, last)));
            self.error(what, &pool.gives.place, "name the subnet that it is part of: subnet = \"10.0.2.0/24\"");
        }
    }

    fn check_range(&mut self, range: &Given<Range>, subnet: &Subnet) {
        let (first, last) = range.value;
        let net = subnet.net;
        let in_subnet = (net.contains(&first), net.contains(&last));
        let hosts = host_addresses(net);
        let outside = |who: &str| format!("{who} outside the subnet {}", net.trunc());
        let (what, place) = match in_subnet {
            (false, false) => (outside(&format!("the range {} lies", show(range.value))), range.place.clone()),
            (false, true) => {
                (outside(&format!("the range starts at {first},")), range.place.first_word(&first.to_string()))
            }
            (true, false) => (outside(&format!("the range ends at {last},")), range.place.last_word(&last.to_string())),
            (true, true) if first < hosts.0 => {
                let what = format!("the range starts at {first}, which is the subnet itself");
                (what, range.place.first_word(&first.to_string()))
            }
            (true, true) if last > hosts.1 => {
                let what = format!("the range ends at {last}, which is the subnet's broadcast address");
                (what, range.place.last_word(&last.to_string()))
            }
            (true, true) => return,
        };
        let fix = match in_subnet {
            (false, false) => {
                format!("use addresses from {} to {}, such as {}", hosts.0, hosts.1, show(default_range(net)))
            }
            _ => format!("write {}", show((first.clamp(hosts.0, hosts.1), last.clamp(hosts.0, hosts.1)))),
        };
        self.found.push(Diagnostic::error(what).at(place).also(subnet.place.clone(), "the subnet").fix(fix));
    }

    fn hosts(&mut self, subnet: Option<&Subnet>) -> Hosts {
        let machines = &self.said.machines;
        let mut macs = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut hosts = Vec::new();
        for machine in machines {
            if let Some(given) = &machine.mac {
                let fix = "put all that is said of a machine into one [[machine]]";
                self.unique(
                    &mut macs,
                    given.value,
                    given,
                    &format!("two machines have the MAC address {}", given.value),
                    fix,
                );
            }
            if let Some(given) = &machine.address {
                let what = format!("two machines have the address {}", given.value);
                self.unique(&mut addresses, given.value, given, &what, "give each machine an address of its own");
                subnet.inspect(|subnet| self.check_reservation(given, subnet));
            }
            if let Some(given) = &machine.name {
                let what = format!("two machines are named {}", given.value);
                self.unique(
                    &mut names,
                    given.value.to_lowercase(),
                    given,
                    &what,
                    "give each machine a name of its own",
                );
            }
            if let (Some(mac), true) = (&machine.mac, machine.address.is_some() || machine.name.is_some()) {
                let (address, name) = (value(&machine.address), value(&machine.name));
                hosts.push(Host { hardware: vec![mac.value.into()], address, name, ..Host::default() });
            }
        }
        Hosts::new(hosts.into_iter().chain(self.said.dhcp.hosts.iter().cloned()))
    }

    /// Complains when `key` was seen before, and remembers where.
    pub(super) fn unique<K: Ord, T>(
        &mut self,
        seen: &mut BTreeMap<K, Place>,
        key: K,
        given: &Given<T>,
        what: &str,
        fix: &str,
    ) {
        let place = given.place.clone();
        match seen.get(&key) {
            None => drop(seen.insert(key, place)),
            Some(first) => {
                self.found.push(Diagnostic::error(what).at(place).also(first.clone(), "the first").fix(fix));
            }
        }
    }

    fn check_reservation(&mut self, given: &Given<Ipv4Addr>, subnet: &Subnet) {
        let (address, net) = (given.value, subnet.net);
        let (first, last) = host_addresses(net);
        let what = if !net.contains(&address) {
            format!("{address} lies outside the subnet {}", net.trunc())
        } else if address < first {
            format!("{address} is the subnet itself, not an address for a machine")
        } else if address > last {
            format!("{address} is the subnet's broadcast address, not one for a machine")
        } else if address == net.addr() {
            format!("{address} is lanboot's own address")
        } else {
            return;
        };
        let fix = format!("use another address from {first} to {last}");
        self.found
            .push(Diagnostic::error(what).at(given.place.clone()).also(subnet.place.clone(), "the subnet").fix(fix));
    }

    fn router(&mut self, subnet: Option<&Subnet>, masquerade: bool) -> Option<Ipv4Addr> {
        let Some(given) = &self.said.dhcp.router else {
            return subnet.filter(|_| masquerade).map(|subnet| subnet.net.addr());
        };
        if let (Some(router), Some(subnet)) = (given.value, subnet)
            && !router.is_unspecified()
            && !subnet.net.contains(&router)
        {
            let what = format!("the router {router} lies outside the subnet {}", subnet.net.trunc());
            let fix = "machines reach their router directly: name an address of the subnet, or \"none\"";
            self.found.push(
                Diagnostic::error(what).at(given.place.clone()).also(subnet.place.clone(), "the subnet").fix(fix),
            );
        }
        given.value
    }
}

fn pool_range(pool: &Pool, own: Ipv4Net, lease: Duration) -> crate::Range {
    let subnet = pool.subnet.as_ref().map_or(own, |given| given.value);
    crate::Range {
        subnet,
        guessed: false,
        broadcast: pool.broadcast.as_ref().map_or(subnet.broadcast(), |given| given.value),
        gives: pool.gives.value,
        lease: value(&pool.lease).unwrap_or(lease),
        set: pool.set.clone(),
        when: pool.when.clone(),
    }
}

/// A range as a user writes it.
pub(crate) fn show((first, last): Range) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// What is left of a range without one address: nothing, one range or two.
fn without((first, last): Range, taken: Ipv4Addr) -> Vec<Range> {
    if taken < first || last < taken {
        return vec![(first, last)];
    }
    let mut left = Vec::new();
    if first < taken {
        left.push((first, Ipv4Addr::from_bits(taken.to_bits() - 1)));
    }
    if taken < last {
        left.push((Ipv4Addr::from_bits(taken.to_bits() + 1), last));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> Range {
        (first.parse().unwrap(), last.parse().unwrap())
    }

    #[test]
    fn default_range_is_the_upper_part_of_any_subnet() {
        let cases = [
            ("10.0.1.1/24", "10.0.1.100", "10.0.1.254"),
            ("10.0.0.1/16", "10.0.100.0", "10.0.255.254"),
            ("10.0.0.1/1", "50.0.0.0", "127.255.255.254"),
            ("10.0.1.17/28", "10.0.1.22", "10.0.1.30"),
            ("10.0.1.1/30", "10.0.1.1", "10.0.1.2"),
        ];
        for (net, first, last) in cases {
            assert_eq!(default_range(net.parse().unwrap()), range(first, last), "{net}");
        }
    }

    #[test]
    fn own_address_is_cut_out_of_a_range() {
        let ten = range("10.0.1.1", "10.0.1.10");
        let cut = |taken: &str| without(ten, taken.parse().unwrap());
        assert_eq!(cut("10.0.1.5"), [range("10.0.1.1", "10.0.1.4"), range("10.0.1.6", "10.0.1.10")]);
        assert_eq!(cut("10.0.1.1"), [range("10.0.1.2", "10.0.1.10")]);
        assert_eq!(cut("10.0.1.10"), [range("10.0.1.1", "10.0.1.9")]);
        assert_eq!(cut("10.0.1.11"), [ten]);
        assert_eq!(without(range("10.0.1.1", "10.0.1.1"), "10.0.1.1".parse().unwrap()), []);
    }
}
