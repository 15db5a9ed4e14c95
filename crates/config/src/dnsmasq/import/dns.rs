//! dnsmasq's DNS options as `[dns]`.

use dns::settings::{Scope, To};
use dns::{Data, Name, Record};

use super::super::options::dns::{DnsOption, HostRecord, RouteTo, Routes};
use super::{Section, UNASKED};
use crate::print::dns as print;
use crate::print::{quote, time};
use crate::value::dns::{show_addresses, show_scope, show_to, show_ttl};

/// Why a line is not in lanboot.toml.
pub(super) enum Left {
    /// Clients will notice.
    Out(&'static str),
    /// Nobody will.
    NotNeeded(&'static str),
}

use Left::{NotNeeded, Out};

/// No equivalent, as far as anybody has needed one.
const DIALECT_ALONE: Left = Out("lanboot.toml has no equivalent yet: `lanboot dnsmasq` takes it");

#[derive(Default)]
pub(super) struct Dns {
    dns: Section,
    cache: Section,
    filter: Section,
    /// Tables, each with its origin above it.
    tables: Vec<String>,
    /// What is forwarded or overridden already, which lanboot.toml wants to be said once.
    routes: Vec<(Scope, To)>,
    services: Vec<(Record, String)>,
    /// First and last, each with its origin.
    source_ports: (Option<u16>, Option<u16>, String),
    no_resolv: Option<String>,
    no_hosts: Option<String>,
    is_off: bool,
}

impl Dns {
    pub fn take(&mut self, option: &DnsOption, origin: &str) -> Result<(), Left> {
        let (dns, origin_text) = (&mut self.dns, origin.to_owned());
        let mut yes = |key| dns.put(key, "true".into(), origin_text.clone());
        match option {
            DnsOption::Port(0) => {
                self.is_off = true;
                self.dns.put("enabled", "false".into(), origin.to_owned());
            }
            DnsOption::Port(port) => self.dns.put("port", port.to_string(), origin.to_owned()),
            DnsOption::Routes(routes) => return self.route(routes, origin),
            DnsOption::ResolvFile(Some(path)) => self.dns.list("resolv", [quote(path.display())], origin),
            DnsOption::ResolvFile(None) | DnsOption::NoResolv => self.no_resolv = Some(origin.to_owned()),
            DnsOption::NoPoll => return Err(NotNeeded("lanboot reads what has changed, and nothing else")),
            DnsOption::StrictOrder => self.dns.put("order", quote("strict"), origin.to_owned()),
            DnsOption::AllServers => self.dns.put("order", quote("all"), origin.to_owned()),
            DnsOption::DomainNeeded => yes("domain_needed"),
            DnsOption::BogusPriv => yes("bogus_priv"),
            DnsOption::FilterWindows => yes("filter_windows"),
            DnsOption::DetectLoops => yes("detect_loops"),
            DnsOption::ProxyDnssec => yes("pass_ad"),
            DnsOption::ExpandHosts => yes("expand_hosts"),
            DnsOption::LocaliseQueries => yes("localise"),
            DnsOption::NoRoundRobin => yes("keep_order"),
            DnsOption::LogQueries { .. } => yes("log"),
            DnsOption::EdnsMax(octets) => self.dns.put("edns_max", octets.to_string(), origin.to_owned()),
            DnsOption::ForwardMax(max) => self.dns.put("max_queries", max.to_string(), origin.to_owned()),
            DnsOption::MaxTcp(max) => self.dns.put("max_tcp", max.to_string(), origin.to_owned()),
            DnsOption::MinPort(port) => self.source_ports(Some(*port), None, origin),
            DnsOption::MaxPort(port) => self.source_ports(None, Some(*port), origin),
            DnsOption::LocalTtl(secs) => self.dns.put("ttl", quote(show_ttl(*secs)), origin.to_owned()),
            DnsOption::DhcpTtl(secs) => self.dns.put("lease_ttl", quote(show_ttl(*secs)), origin.to_owned()),
            DnsOption::LocalService { this_host } => {
                let clients = if *this_host { "this-host" } else { "neighbours" };
                self.dns.put("clients", quote(clients), origin.to_owned());
            }
            DnsOption::NoIdent => return Err(NotNeeded("lanboot does not tell its version by DNS")),
            option => return self.keep(option, origin),
        }
        Ok(())
    }

    /// What is remembered, and what is not believed.
    fn keep(&mut self, option: &DnsOption, origin: &str) -> Result<(), Left> {
        let seconds = |secs: &u32| quote(show_ttl(*secs));
        let mut cache = |key, value| self.cache.put(key, value, origin.to_owned());
        match option {
            DnsOption::CacheSize(size) => cache("size", size.to_string()),
            DnsOption::CacheTypes(_) => return Err(NotNeeded("lanboot keeps records of all types")),
            DnsOption::NoNegativeCache => cache("negative", "false".into()),
            DnsOption::UseStale(None) => cache("stale", quote("1d")),
            DnsOption::UseStale(Some(0)) => cache("stale", quote("always")),
            DnsOption::UseStale(Some(secs)) => {
                cache("stale", quote(time(std::time::Duration::from_secs((*secs).into()))));
            }
            DnsOption::NegativeTtl(0) | DnsOption::MaxTtl(0) | DnsOption::MaxCacheTtl(0) => {
                return Err(NotNeeded("0 is no bound"));
            }
            DnsOption::NegativeTtl(secs) => cache("negative_ttl", seconds(secs)),
            DnsOption::MaxTtl(secs) => cache("told_ttl", seconds(secs)),
            DnsOption::MaxCacheTtl(secs) => cache("max_ttl", seconds(secs)),
            DnsOption::MinCacheTtl(secs) => cache("min_ttl", seconds(secs)),
            DnsOption::FilterTypes(types) => self.filter.list("types", types.iter().map(quote), origin),
            DnsOption::StopRebind => self.filter.put("rebind", "true".into(), origin.to_owned()),
            DnsOption::RebindLocalhostOk => {
                self.filter.put("rebind_localhost_ok", "true".into(), origin.to_owned());
            }
            DnsOption::RebindDomainOk(scopes) => {
                self.filter.list("rebind_ok", scopes.iter().map(show_scope).map(quote), origin);
            }
            DnsOption::IgnoreAddress(net) => self.filter.list("ignore", [quote(show_addresses(net))], origin),
            DnsOption::BogusNxdomain(net) => self.filter.list("bogus_nxdomain", [quote(show_addresses(net))], origin),
            DnsOption::Alias(alias) => self.tables(origin, [print::alias(alias)]),
            option => return self.know(option, origin),
        }
        Ok(())
    }

    /// What is known here.
    fn know(&mut self, option: &DnsOption, origin: &str) -> Result<(), Left> {
        match option {
            DnsOption::NoHosts => self.no_hosts = Some(origin.to_owned()),
            DnsOption::AddHosts(path) | DnsOption::HostsDir(path) => {
                self.dns.list("hosts", [quote(path.display())], origin);
            }
            DnsOption::HostRecord(host) => self.tables(origin, [host_record(host)]),
            DnsOption::Cname(cname) => {
                let record = |name| Record { name, data: Data::Cname(cname.target.clone()), ttl: cname.ttl };
                let records: Vec<_> = cname.aliases.iter().map(|alias| record(alias.value.clone())).collect();
                self.tables(origin, print::records(&records));
            }
            DnsOption::Mx(mx) => {
                let target = mx.target.clone();
                let target = target.ok_or(Out("lanboot.toml wants the name of the server that takes the mail"))?;
                let data = Data::Mx { preference: mx.preference, target };
                self.tables(origin, print::records(&[Record { name: mx.name.clone(), data, ttl: None }]));
            }
            DnsOption::Srv(record) => self.services.push((record.clone(), origin.to_owned())),
            DnsOption::Record(record) => self.tables(origin, print::records(std::slice::from_ref(record))),
            DnsOption::OfInterface(name) => self.tables(origin, [print::interface_name(name)]),
            DnsOption::Synth(synth) => self.tables(origin, [print::synth(synth)]),
            _ => return Err(DIALECT_ALONE),
        }
        Ok(())
    }

    fn tables(&mut self, origin: &str, tables: impl IntoIterator<Item = String>) {
        self.tables.extend(tables.into_iter().map(|table| format!("# {origin}\n{table}")));
    }

    fn route(&mut self, routes: &Routes, origin: &str) -> Result<(), Left> {
        let RouteTo::Known(to) = &routes.to else {
            return Err(Out("lanboot.toml wants the server's address in place of its name"));
        };
        let mut new = routes.scopes.clone();
        new.retain(|scope| !self.routes.contains(&(scope.clone(), to.clone())));
        if new.is_empty() {
            return Err(NotNeeded("another line says so"));
        }
        self.routes.extend(new.iter().map(|scope| (scope.clone(), to.clone())));
        let upstream = |scope: &Scope| *scope == Scope::All && matches!(to, To::Server(_));
        let (all, domains): (Vec<Scope>, Vec<Scope>) = new.into_iter().partition(upstream);
        if !all.is_empty() {
            self.dns.list("upstream", [quote(show_to(to))], origin);
        }
        if !domains.is_empty() {
            self.tables(origin, [print::route(&domains, &[to])]);
        }
        Ok(())
    }

    fn source_ports(&mut self, first: Option<u16>, last: Option<u16>, origin: &str) {
        let (min, max, origins) = &mut self.source_ports;
        (*min, *max) = (first.or(*min), last.or(*max));
        origins.push_str(if origins.is_empty() { "" } else { "; " });
        origins.push_str(origin);
        let (min, max) = (min.unwrap_or(1024), max.unwrap_or(u16::MAX));
        self.dns.put("source_ports", quote(format_args!("{min}-{max}")), origins.clone());
    }

    /// What dnsmasq does unless told otherwise, and what only the whole can tell. `names_interface`: whether the file
    /// says where to serve; `domain`: what it says of all machines.
    pub fn finish(&mut self, names_interface: bool, domain: Option<&Name>) {
        for (record, origin) in std::mem::take(&mut self.services) {
            // A service without a domain, like `_ldap._tcp`, is of everybody's.
            let domain = domain.filter(|_| record.name.labels().count() == 2);
            let name = domain.and_then(|domain| record.name.below(domain).ok()).unwrap_or(record.name);
            self.tables(&origin, print::records(&[Record { name, ..record }]));
        }
        match self.no_resolv.take() {
            Some(origin) => self.dns.put("resolv", "[]".into(), origin),
            // Elsewhere what is said of upstream takes its place.
            None if self.dns.has("upstream") && !self.dns.has("resolv") => {
                self.dns.put("resolv", quote("/etc/resolv.conf"), UNASKED.into());
            }
            None => {}
        }
        match self.no_hosts.take() {
            Some(_) if self.dns.has("hosts") => {}
            Some(origin) => self.dns.put("hosts", "[]".into(), origin),
            None if self.dns.has("hosts") => self.dns.list_first("hosts", quote("/etc/hosts")),
            None => {}
        }
        if self.is_off {
            return;
        }
        if names_interface {
            // With an interface named, dnsmasq answers whoever comes by it.
            self.dns.put("clients", quote("all"), UNASKED.into());
        }
        for key in ["domain_needed", "bogus_priv", "expand_hosts"] {
            if !self.dns.has(key) {
                self.dns.put(key, "false".into(), UNASKED.into());
            }
        }
    }

    pub fn print(&self, out: &mut String) {
        self.dns.print("dns", out);
        self.cache.print("dns.cache", out);
        self.filter.print("dns.filter", out);
        for table in &self.tables {
            out.push_str(&format!("\n{}\n", table.trim_end()));
        }
    }
}

fn host_record(host: &HostRecord) -> String {
    let addresses: Vec<std::net::IpAddr> =
        host.v4.into_iter().map(Into::into).chain(host.v6.into_iter().map(Into::into)).collect();
    print::addresses(&host.names, &addresses, host.ttl)
}
