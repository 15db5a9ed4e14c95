//! The DNS: who is asked, what is answered here, and what contradicts itself in that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dns::settings::{Route, Scope, To};
use dns::{Data, Name};

use super::{Resolver, Subnet, value};
use crate::diagnostic::Diagnostic;
use crate::print::dns::is_forward;
use crate::said::{DnsRoute, Given};
use crate::surroundings::Entry;
use crate::value::dns::{show_scope, show_server, show_ttl};
use crate::{Dhcp, Dns, DnsClients, HostsFiles, Resolv};

/// The port that clients ask on; DHCP can name no other.
const PORT: u16 = 53;

/// Top-level domains that the world's DNS does not have, and never will: names in them are known here or nowhere.
const OF_NOBODY_ELSE: &[&str] = &[
    "lan",
    "home",
    "internal",
    "intranet",
    "private",
    "corp",
    "local",
    "localdomain",
    "localhost",
    "test",
    "example",
    "invalid",
];

impl Resolver<'_> {
    /// Checked even when DNS is off, as DHCP is.
    pub(super) fn dns(&mut self, subnet: Option<&Subnet>, dhcp: Option<&Dhcp>) -> Option<Dns> {
        let said = &self.said.dns;
        self.check_port();
        self.check_servers(subnet);
        self.check_routes();
        self.check_records();
        self.check_cache_and_filters();
        let mut settings = said.settings.clone();
        let upstream = said.upstream.iter().map(|given| Route { scope: Scope::All, to: To::Server(given.value) });
        let (forwards, overrides): (Vec<_>, Vec<_>) =
            said.routes.iter().map(|said| said.route.clone()).partition(is_forward);
        settings.routes = upstream.chain(forwards).chain(overrides).collect();
        let domain = self.said.dhcp.domain.as_ref().and_then(|given| given.value.parse::<Name>().ok());
        settings.routes.extend(self.own_domain(domain.as_ref()));
        settings.local.records = said.records.iter().map(|given| given.value.clone()).collect();
        settings.local.interface_names = said.interface_names.clone();
        settings.local.domains.default = domain;
        settings.local.expand_hosts = value(&said.expand_hosts).unwrap_or(true);
        let dns = Dns {
            port: value(&said.port).unwrap_or(PORT),
            at: Vec::new(),
            settings,
            resolv: self.resolv(),
            hosts: self.hosts_files(),
            clients: value(&said.clients).unwrap_or_else(|| clients(subnet, dhcp)),
            max_tcp: value(&said.max_tcp).unwrap_or(MAX_TCP),
        };
        let gives_addresses = dhcp.is_some_and(|dhcp| !dhcp.is_proxy_only());
        let on = value(&said.enabled).unwrap_or(gives_addresses || self.said.mentions("dns"));
        on.then_some(dns)
    }

    /// Machines ask us, unless they are told otherwise.
    pub(super) fn name_servers(&mut self, dhcp: &mut Dhcp, dns: Option<&Dns>) {
        let served = dns.is_some_and(|dns| dns.port == PORT);
        if !self.said.mentions("dhcp.dns") && served {
            dhcp.dns = vec![std::net::Ipv4Addr::UNSPECIFIED];
        }
        let us = self.said.dhcp.dns.iter().find(|given| given.value.is_unspecified());
        if let (false, Some(given)) = (served, us) {
            let what = "machines are told to ask lanboot for names, but it does not answer on port 53";
            self.warn(what, &given.place.clone(), "name another DNS server, or turn [dns] on");
        }
    }

    /// Where the domain of the machines cannot be anybody else's, nobody else is asked for its names.
    fn own_domain(&self, domain: Option<&Name>) -> Option<Route> {
        let scope = Scope::Domain(domain?.clone());
        let said = self.said.dns.routes.iter().any(|said| said.route.scope == scope);
        let text = domain?.to_string();
        let top = text.rsplit('.').next().unwrap_or_default();
        let ours = OF_NOBODY_ELSE.contains(&top) || text == "home.arpa" || text.ends_with(".home.arpa");
        (ours && !said).then_some(Route { scope, to: To::Nobody })
    }

    fn resolv(&mut self) -> Resolv {
        let said = &self.said.dns.resolv;
        for given in said {
            if self.around.look(&given.value).is_err() {
                let what = format!("{} is not there", given.value.display());
                self.warn(what, &given.place, "check the path, unless another program makes the file later");
            }
        }
        let default = !self.said.mentions("dns.resolv") && !self.said.mentions("dns.upstream");
        let mut files: Vec<PathBuf> = said.iter().map(|given| given.value.clone()).collect();
        files.extend(default.then(|| PathBuf::from("/etc/resolv.conf")));
        Resolv { files, watched: true, clears_cache: false }
    }

    fn hosts_files(&mut self) -> HostsFiles {
        let said = &self.said.dns.hosts;
        for given in said {
            if !matches!(self.around.look(&given.value), Ok(Entry::File | Entry::Folder)) {
                self.exists(given, "hosts file", Entry::File);
            }
        }
        let mut paths: Vec<PathBuf> = said.iter().map(|given| given.value.clone()).collect();
        paths.extend((!self.said.mentions("dns.hosts")).then(|| PathBuf::from("/etc/hosts")));
        HostsFiles { paths, folders: Vec::new(), watched: true, loopback_is_us: true }
    }

    fn check_port(&mut self) {
        if let Some(port) = self.said.dns.port.as_ref().filter(|port| port.value != PORT) {
            let what = format!("machines ask for names on port 53, not {}", port.value);
            self.warn(what, &port.place.clone(), "leave dns.port out, unless this is a test");
        }
    }

    fn check_servers(&mut self, subnet: Option<&Subnet>) {
        let said = &self.said.dns;
        let forwards = said.routes.iter().filter_map(|said| match said.route.to {
            To::Server(server) => Some((server, &said.to_place)),
            _ => None,
        });
        let upstream: Vec<_> = said.upstream.iter().map(|given| (given.value, &given.place)).collect();
        let port = value(&said.port).unwrap_or(PORT);
        let us = subnet.map(|subnet| (std::net::SocketAddr::from((subnet.net.addr(), port)), subnet));
        for (server, place) in upstream.iter().copied().chain(forwards) {
            if let Some((_, subnet)) = us.as_ref().filter(|(us, _)| *us == server.address) {
                let what = format!("{} is lanboot itself, which would ask itself for ever", server.address.ip());
                let fix = "name the servers that this host asks, or leave it out: /etc/resolv.conf says who they are";
                let found = Diagnostic::error(what).at(place.clone()).also(subnet.place.clone(), "our address");
                self.found.push(found.fix(fix));
            }
        }
        let mut seen = BTreeMap::new();
        for given in &said.upstream {
            let what = format!("{} is named twice", given.value.address.ip());
            self.unique(&mut seen, show_server(&given.value), given, &what, "name each server once");
        }
    }

    /// What leads to two places at once.
    fn check_routes(&mut self) {
        let said = &self.said.dns.routes;
        for all in said.iter().filter(|said| said.route.scope == Scope::All && is_forward(&said.route)) {
            let fix = "write upstream = [\"192.0.2.1\"] in [dns], and leave this out";
            self.error("all names lead upstream, and need no forward of their own", &all.domain_place, fix);
        }
        for (at, DnsRoute { route, domain_place, .. }) in said.iter().enumerate() {
            let clashes =
                |earlier: &&DnsRoute| earlier.route.scope == route.scope && !go_together(&earlier.route.to, &route.to);
            let Some(earlier) = said[..at].iter().find(clashes) else { continue };
            let domain = show_scope(&route.scope);
            let what = match earlier.route.to == route.to {
                true => format!("{domain} leads to the same place twice"),
                false => format!("{domain} leads to two places that exclude each other"),
            };
            let found =
                Diagnostic::error(what).at(domain_place.clone()).also(earlier.domain_place.clone(), "the other");
            self.found.push(found.fix("keep one of the two, or name a domain below it in one of them"));
        }
    }

    /// A name that stands for another one has nothing else of its own (RFC 1034 section 3.6.2).
    fn check_records(&mut self) {
        let said = &self.said.dns.records;
        let mut targets: BTreeMap<&Name, (&Name, &Given<dns::Record>)> = BTreeMap::new();
        for given in said {
            if let Data::Cname(target) = &given.value.data {
                targets.entry(&given.value.name).or_insert((target, given));
            }
        }
        for given in said {
            let name = &given.value.name;
            let Some((target, cname)) = targets.get(name).filter(|(_, cname)| !std::ptr::eq(*cname, given)) else {
                continue;
            };
            let what = format!("{name} stands for {target}, and so can have nothing of its own");
            let fix = format!("leave its cname out, or give this to {target}");
            let found = Diagnostic::error(what).at(given.place.clone()).also(cname.place.clone(), "its cname");
            self.found.push(found.fix(fix));
        }
        for (name, (target, given)) in &targets {
            let mut at = *target;
            // Each step leads to another name, or round a loop that is shorter than all of them.
            for _ in 0..targets.len() {
                if at == *name {
                    break;
                }
                at = targets.get(at).map_or(at, |(next, _)| *next);
            }
            if at == *name {
                let what = format!("{name} stands for itself, by way of {target}");
                self.error(what, &given.place.clone(), "let the last of these names have an address");
            }
        }
    }

    fn check_cache_and_filters(&mut self) {
        let cache = &self.said.dns.settings.cache;
        if let Some(max) = cache.max_ttl.filter(|max| *max < cache.min_ttl) {
            let (min, max) = (show_ttl(cache.min_ttl), show_ttl(max));
            let what = format!("answers cannot be kept for {min} at least and {max} at most");
            let place = self.said.place("dns.cache.min_ttl");
            let found = Diagnostic::error(what).at(place).also(self.said.place("dns.cache.max_ttl"), "the most");
            self.found.push(found.fix("let min_ttl be the smaller one"));
        }
        let rebind = &self.said.dns.settings.filter.rebind;
        for key in ["dns.filter.rebind_ok", "dns.filter.rebind_localhost_ok"] {
            if !rebind.stop && self.said.mentions(key) {
                let fix = "add rebind = true to [dns.filter], or leave it out";
                self.warn(format!("{key} changes nothing where rebind is false"), &self.said.place(key), fix);
            }
        }
    }
}

/// TCP connections at once: plenty for a LAN, little for the host.
const MAX_TCP: usize = 100;

/// Whether one domain can lead to both: to several servers or addresses, to servers for what is not an address, or to
/// an address and to nothing else.
fn go_together(a: &To, b: &To) -> bool {
    let open = |to: &To| matches!(to, To::Server(_) | To::Address(_));
    let alone = |a: &To, b: &To| matches!((a, b), (To::Address(_), To::Nobody));
    a != b && (open(a) && open(b) || alone(a, b) || alone(b, a))
}

/// Machines behind a relay are no neighbours.
fn clients(subnet: Option<&Subnet>, dhcp: Option<&Dhcp>) -> DnsClients {
    let own = subnet.map(|subnet| subnet.net.trunc());
    let far = |range: &crate::Range| own.is_some_and(|own| !own.contains(&range.subnet));
    if dhcp.is_some_and(|dhcp| dhcp.ranges.iter().any(far)) { DnsClients::All } else { DnsClients::Neighbours }
}
