//! Domains of machines, and servers of boot files that are told by their names.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ipnet::IpNet;

use super::super::options::service::{self, Domain};
use super::Lowering;
use crate::DomainOf;
use crate::diagnostic::Diagnostic;
use crate::surroundings::{Nic, Surroundings};

/// The first and the last address of a network.
fn ends(net: IpNet) -> (IpAddr, IpAddr) {
    match net {
        IpNet::V4(net) => (net.network().into(), net.broadcast().into()),
        IpNet::V6(net) => (net.network().into(), net.broadcast().into()),
    }
}

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

impl Lowering {
    /// Takes the domains of parts of the network; returns everybody else's. The last line that fits counts.
    pub(super) fn domains(&mut self, around: &dyn Surroundings) -> Option<String> {
        let mut for_all = None;
        for (Domain { name, of, local }, place) in std::mem::take(&mut self.domains) {
            let Some(name) = name.or_else(|| searched(around)) else {
                let what = format!("`#` is the domain that {RESOLV_CONF} searches, and it searches none");
                self.found.push(Diagnostic::error(what).at(place).fix("write the domain in place of #"));
                continue;
            };
            if let (service::DomainOf::Net(net), true) = (&of, local) {
                self.dns.keep_here(&name, *net);
            }
            let ranges: Vec<(IpAddr, IpAddr)> = match of {
                service::DomainOf::All => {
                    for_all = Some(name);
                    continue;
                }
                service::DomainOf::Range(first, last) => vec![(first, last)],
                service::DomainOf::Net(net) => vec![ends(net)],
                service::DomainOf::Interface(interface) => {
                    let nics = around.interfaces().into_iter().filter(|nic| nic.name == interface);
                    let nets = |nic: Nic| {
                        let v6 = nic.v6.into_iter().map(IpNet::V6);
                        nic.addresses.into_iter().map(IpNet::V4).chain(v6).map(ends).collect::<Vec<_>>()
                    };
                    nics.flat_map(nets).collect()
                }
            };
            let v4 = ranges.iter().filter_map(|ends| match *ends {
                (IpAddr::V4(first), IpAddr::V4(last)) => Some(DomainOf { first, last, name: name.clone() }),
                _ => None,
            });
            self.manners.domains.splice(0..0, v4);
            self.dns.domains(&name, &ranges);
        }
        self.dns.domain_of_all(for_all.as_deref());
        for_all
    }

    /// Looks up the servers of boot files in /etc/hosts, as dnsmasq does.
    pub(super) fn find_boot_servers(&mut self, around: &dyn Surroundings) {
        let hosts = around.text_of(Path::new(HOSTS)).unwrap_or_default();
        for (at, name) in std::mem::take(&mut self.boot_servers) {
            let mut addresses = addresses(&hosts, &name.value).into_iter();
            let rule = &mut self.rules.boots[at];
            rule.server_address = addresses.next();
            rule.more_servers = addresses.collect();
            if rule.server_address.is_none() {
                let what = format!("{HOSTS} has no IPv4 address of `{}`: machines are told ours", name.value);
                let fix = format!("add a line such as `10.0.1.1 {}` there, or write the address here", name.value);
                self.found.push(Diagnostic::warning(what).at(name.place).fix(fix));
            }
        }
    }
}

/// The addresses of a name, in the order of the lines.
fn addresses(hosts: &str, name: &str) -> Vec<Ipv4Addr> {
    let address = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    hosts.lines().filter_map(address).collect()
}

/// The first domain that this host itself searches.
fn searched(around: &dyn Surroundings) -> Option<String> {
    let text = around.text_of(Path::new(RESOLV_CONF)).ok()?;
    let domain = |line: &str| {
        let mut words = line.split_whitespace();
        let is_search = matches!(words.next()?, "search" | "domain");
        words.next().filter(|_| is_search).map(|name| name.trim_end_matches('.').to_owned())
    };
    text.lines().find_map(domain).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_several_addresses() {
        let hosts = "127.0.0.1 localhost\n10.0.1.1 boot Boot2 # boot3\n::1 boot\n10.0.1.2\tboot\n";
        assert_eq!(addresses(hosts, "BOOT"), [Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 1, 2)]);
        assert_eq!(addresses(hosts, "boot2"), [Ipv4Addr::new(10, 0, 1, 1)]);
        assert!(addresses(hosts, "boot3").is_empty());
    }
}
