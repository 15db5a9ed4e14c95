//! The DNS options.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dns::settings::{Domains, Order, Retry, Route, Scope, Settings, SourcePorts, Stale, To};
use dns::{Data, Name, Record, Rtype};
use ipnet::IpNet;

use super::super::options::dns::{Cname, DnsOption, HostRecord, Mx, RouteTo, Routes};
use super::Where;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::surroundings::Surroundings;
use crate::value::dns::reverse_zones;
use crate::{Dns, DnsClients, HostsFiles, Resolv};

const PORT: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// dnsmasq's defaults.
const CACHE_SIZE: usize = 150;
const FORWARD_MAX: usize = 150;
const MAX_TCP: usize = 20;
const STALE: Duration = Duration::from_secs(24 * 3600);
/// The lowest port that queries leave from unless `min-port` is given.
const MIN_PORT: u16 = 1024;
/// What dnsmasq remembers unless `cache-rr` names more.
const CACHED: [Rtype; 5] = [Rtype::A, Rtype::AAAA, Rtype::CNAME, Rtype::PTR, Rtype::SRV];

/// What was said of DNS.
pub(super) struct Lowering {
    port: u16,
    settings: Settings,
    /// `routes` by names of servers are looked up last.
    routes: Vec<(Routes, Place)>,
    /// The first one takes the place of the default; `None` in it: none is read.
    resolv_files: Vec<Option<PathBuf>>,
    no_resolv: bool,
    resolv: Resolv,
    no_poll: Option<Place>,
    no_hosts: bool,
    hosts: HostsFiles,
    clients: Option<DnsClients>,
    max_tcp: usize,
    min_port: Option<(u16, Place)>,
    max_port: Option<(u16, Place)>,
    mx: Vec<Mx>,
    services: Vec<Record>,
    /// Names that have PTR records among those of the settings.
    pointers: HashSet<Name>,
    domains: Domains,
    /// Queries are logged with their numbers and who asks.
    pub logs_extra: bool,
}

impl Default for Lowering {
    fn default() -> Lowering {
        let mut settings = Settings::default();
        settings.forward.max = FORWARD_MAX;
        settings.forward.domain_needed = false;
        settings.forward.bogus_priv = false;
        settings.forward.detect_loops = false;
        settings.cache.size = CACHE_SIZE;
        settings.cache.only = CACHED.to_vec();
        settings.local.identify = true;
        Lowering {
            port: PORT,
            settings,
            routes: Vec::new(),
            resolv_files: Vec::new(),
            no_resolv: false,
            resolv: Resolv::default(),
            no_poll: None,
            no_hosts: false,
            hosts: HostsFiles::default(),
            clients: None,
            max_tcp: MAX_TCP,
            min_port: None,
            max_port: None,
            mx: Vec::new(),
            services: Vec::new(),
            pointers: HashSet::new(),
            domains: Domains::default(),
            logs_extra: false,
        }
    }
}

impl Lowering {
    pub fn take(&mut self, option: &DnsOption, place: &Place) {
        let settings = &mut self.settings;
        match option.clone() {
            DnsOption::Port(port) => self.port = port,
            DnsOption::Routes(routes) => self.routes.push((routes, place.clone())),
            // What it says comes on its own.
            DnsOption::ServersFile(_) => {}
            DnsOption::ResolvFile(path) => self.resolv_files.push(path),
            DnsOption::NoResolv => self.no_resolv = true,
            DnsOption::NoPoll => self.no_poll = Some(place.clone()),
            DnsOption::ClearOnReload => self.resolv.clears_cache = true,
            DnsOption::StrictOrder => settings.forward.order = Order::Strict,
            DnsOption::AllServers => settings.forward.order = Order::All,
            DnsOption::DomainNeeded => settings.forward.domain_needed = true,
            DnsOption::BogusPriv => settings.forward.bogus_priv = true,
            DnsOption::FilterWindows => settings.forward.filter_windows = true,
            DnsOption::EdnsMax(octets) => settings.forward.edns_max = octets,
            DnsOption::QueryPort(port) => settings.forward.ports.fixed = Some(port),
            DnsOption::MinPort(port) => self.min_port = Some((port, place.clone())),
            DnsOption::MaxPort(port) => self.max_port = Some((port, place.clone())),
            DnsOption::ForwardMax(max) => settings.forward.max = max as usize,
            DnsOption::Retry { first, total } => settings.forward.retry = Some(Retry { first, total }),
            DnsOption::DetectLoops => settings.forward.detect_loops = true,
            DnsOption::CpeId(text) => settings.forward.cpe_id = Some(text.as_str().into()),
            DnsOption::ProxyDnssec => settings.forward.pass_ad = true,
            DnsOption::FilterTypes(types) => settings.filter.types.extend(types),
            DnsOption::StopRebind => settings.filter.rebind.stop = true,
            DnsOption::RebindLocalhostOk => settings.filter.rebind.localhost_ok = true,
            DnsOption::RebindDomainOk(scopes) => settings.filter.rebind.domains_ok.extend(scopes),
            DnsOption::IgnoreAddress(net) => settings.filter.ignore.push(net),
            DnsOption::BogusNxdomain(net) => settings.filter.bogus_nxdomain.push(net),
            DnsOption::Alias(alias) => settings.filter.alias.push(alias),
            option => self.remember(option),
        }
    }

    /// What is kept, and for how long.
    fn remember(&mut self, option: DnsOption) {
        let cache = &mut self.settings.cache;
        match option {
            DnsOption::CacheSize(size) => cache.size = size as usize,
            // Once all types are meant, single ones add nothing.
            DnsOption::CacheTypes(types) if types.contains(&Rtype::ANY) => cache.only.clear(),
            DnsOption::CacheTypes(types) if !cache.only.is_empty() => cache.only.extend(types),
            DnsOption::CacheTypes(_) => {}
            DnsOption::NoNegativeCache => cache.negative = false,
            DnsOption::UseStale(None) => cache.stale = Stale::For(STALE),
            DnsOption::UseStale(Some(0)) => cache.stale = Stale::Always,
            DnsOption::UseStale(Some(seconds)) => cache.stale = Stale::For(Duration::from_secs(seconds.into())),
            DnsOption::NegativeTtl(seconds) => cache.negative_ttl = some(seconds),
            DnsOption::MaxTtl(seconds) => cache.max_told_ttl = some(seconds),
            DnsOption::MaxCacheTtl(seconds) => cache.max_ttl = some(seconds),
            DnsOption::MinCacheTtl(seconds) => cache.min_ttl = seconds,
            option => self.know(option),
        }
    }

    /// What is known here, and who may ask for it.
    fn know(&mut self, option: DnsOption) {
        let local = &mut self.settings.local;
        match option {
            DnsOption::NoHosts => self.no_hosts = true,
            DnsOption::AddHosts(path) => self.hosts.paths.push(path),
            DnsOption::HostsDir(folder) => self.hosts.folders.push(folder),
            DnsOption::ExpandHosts => local.expand_hosts = true,
            DnsOption::LocalTtl(seconds) => local.ttl = seconds,
            DnsOption::DhcpTtl(seconds) => local.lease_ttl = Some(seconds),
            DnsOption::HostRecord(host) => self.host_record(&host),
            DnsOption::Cname(Cname { aliases, target, ttl }) => {
                let record = |name| Record { name, data: Data::Cname(target.clone()), ttl };
                local.records.extend(aliases.into_iter().map(|alias| record(alias.value)));
            }
            DnsOption::Mx(mx) => self.mx.push(mx),
            DnsOption::Srv(record) => self.services.push(record),
            DnsOption::Record(record) => {
                if matches!(record.data, Data::Ptr(_)) {
                    self.pointers.insert(record.name.clone());
                }
                local.records.push(record);
            }
            DnsOption::SelfMx => local.mx.to_itself = true,
            DnsOption::LocalMx => local.mx.to_target = true,
            DnsOption::MxTarget(name) => local.mx.target = Some(name),
            DnsOption::DynamicHost(host) => local.dynamic_hosts.push(host),
            DnsOption::OfInterface(name) => local.interface_names.push(name),
            // Later lines overrule.
            DnsOption::Synth(synth) => local.synth.insert(0, synth),
            DnsOption::LogQueries { extra } => (self.settings.log, self.logs_extra) = (true, extra),
            DnsOption::LocalService { this_host: true } => self.clients = Some(DnsClients::ThisHost),
            DnsOption::LocalService { this_host: false } => self.clients = Some(DnsClients::Neighbours),
            DnsOption::LocaliseQueries => local.localise = true,
            DnsOption::NoRoundRobin => local.keep_order = true,
            DnsOption::NoIdent => local.identify = false,
            DnsOption::MaxTcp(max) => self.max_tcp = max as usize,
            _ => unreachable!("every option is taken by `take`, `remember` or here"),
        }
    }

    /// Each address leads back to the first name that it is given.
    fn host_record(&mut self, host: &HostRecord) {
        let records = &mut self.settings.local.records;
        let v4 = host.v4.map(|address| (IpAddr::V4(address), Data::A(address)));
        let v6 = host.v6.map(|address| (IpAddr::V6(address), Data::Aaaa(address)));
        for (address, data) in v4.into_iter().chain(v6) {
            records.extend(host.names.iter().map(|name| Record {
                name: name.clone(),
                data: data.clone(),
                ttl: host.ttl,
            }));
            let back = Name::reverse(address);
            if self.pointers.insert(back.clone()) {
                let first = host.names[0].clone();
                records.push(Record { name: back, data: Data::Ptr(first), ttl: host.ttl });
            }
        }
    }

    /// `domain=NAME,NET,local`: what is not known here of either does not exist.
    pub fn keep_here(&mut self, domain: &str, net: IpNet) {
        let names = domain.parse().into_iter().chain(reverse_zones(net));
        let routes = names.map(|name| Route { scope: Scope::Domain(name), to: To::Nobody });
        self.settings.routes.extend(routes);
    }

    /// The domain of these ranges, which later lines overrule.
    pub fn domains(&mut self, domain: &str, ranges: &[(IpAddr, IpAddr)]) {
        let Ok(name) = domain.parse::<Name>() else { return };
        self.domains.ranges.splice(0..0, ranges.iter().map(|(first, last)| (*first, *last, name.clone())));
    }

    pub fn domain_of_all(&mut self, domain: Option<&str>) {
        self.domains.default = domain.and_then(|name| name.parse().ok());
    }

    /// Whether machines can be told that we answer: option 6 has no port.
    pub fn is_told(&self) -> bool {
        self.port == PORT
    }

    pub fn is_off(&self) -> bool {
        self.port == 0
    }

    /// Who is answered where no interface and no address is named.
    pub fn clients(&self) -> Option<DnsClients> {
        self.clients
    }

    /// `None`: no DNS.
    pub fn lower(
        &mut self,
        at: &Where,
        full_names_only: bool,
        around: &dyn Surroundings,
        found: &mut Diagnostics,
    ) -> Option<Dns> {
        if self.is_off() {
            return None;
        }
        let mut settings = self.settings.clone();
        for (routes, place) in &self.routes {
            settings.routes.extend(lower_routes(routes, place, around, found));
        }
        settings.forward.ports = self.ports(found);
        settings.local.domains = self.domains.clone();
        settings.local.leases_by_full_name_only = full_names_only;
        self.services(&mut settings);
        self.mail(&mut settings, around, found);
        let paths = (!self.no_hosts).then(|| PathBuf::from(HOSTS));
        // dnsmasq reads later ones first; an address keeps the name that it gets first.
        let paths = paths.into_iter().chain(self.hosts.paths.iter().rev().cloned()).collect();
        Some(Dns {
            port: self.port,
            at: at.dns_at(&around.interfaces()),
            resolv: self.resolv(found),
            hosts: HostsFiles { paths, ..self.hosts.clone() },
            clients: self.clients.filter(|_| at.names_nothing()).unwrap_or(DnsClients::All),
            max_tcp: self.max_tcp,
            settings,
        })
    }

    fn ports(&self, found: &mut Diagnostics) -> SourcePorts {
        let ports = self.settings.forward.ports;
        let Some((_, place)) = self.max_port.as_ref().or(self.min_port.as_ref()) else { return ports };
        let min = self.min_port.as_ref().map_or(MIN_PORT, |(port, _)| *port);
        let max = self.max_port.as_ref().map_or(u16::MAX, |(port, _)| *port);
        if max < min {
            let what = format!("there is no port from {min} to {max}");
            let fix = format!("let max-port be no less than min-port, which is {MIN_PORT} unless given");
            found.push(Diagnostic::error(what).at(place.clone()).fix(fix));
        }
        SourcePorts { range: Some((min, max)), ..ports }
    }

    fn resolv(&self, found: &mut Diagnostics) -> Resolv {
        let said = match &*self.resolv_files {
            [] => vec![RESOLV_CONF.into()],
            files => files.iter().flatten().cloned().collect(),
        };
        let files: Vec<PathBuf> = if self.no_resolv { Vec::new() } else { said };
        if let (Some(place), [_, second, ..]) = (&self.no_poll, &*files) {
            let what = format!("without polling one resolv-file is read, and {} is another one", second.display());
            found.push(Diagnostic::error(what).at(place.clone()).fix("leave out no-poll, or all but one resolv-file"));
        }
        Resolv { files, watched: self.no_poll.is_none(), ..self.resolv.clone() }
    }

    /// A service without a domain, like `_ldap._tcp`, is everybody's domain's.
    fn services(&self, settings: &mut Settings) {
        let whole = |record: &Record| {
            let domain = self.domains.default.as_ref().filter(|_| record.name.labels().count() == 2);
            let name = domain.and_then(|domain| record.name.below(domain).ok()).unwrap_or(record.name.clone());
            Record { name, ..record.clone() }
        };
        settings.local.records.extend(self.services.iter().map(whole));
    }

    /// Who takes mail: `mx-host`, and what is said of it where it is left out.
    fn mail(&self, settings: &mut Settings, around: &dyn Surroundings, found: &mut Diagnostics) {
        let this_host = around.text_of(Path::new(HOST_NAME)).ok().and_then(|name| name.trim().parse::<Name>().ok());
        let mx = &mut settings.local.mx;
        let is_asked_for = mx.to_target || mx.target.is_some();
        mx.target = mx.target.take().or(this_host.clone());
        let target = mx.target.clone();
        let record = |name: &Name, preference, to: Option<&Name>| {
            let target = to.or(target.as_ref())?.clone();
            Some(Record { name: name.clone(), data: Data::Mx { preference, target }, ttl: None })
        };
        let records = &mut settings.local.records;
        for mx in &self.mx {
            match record(&mx.name, mx.preference, mx.target.as_ref()) {
                Some(record) => records.push(record),
                None => {
                    let what =
                        format!("nobody is said to take mail for {}, and this host's name is not known", mx.name);
                    let fix = format!("name who does: mx-host={},HOST, or mx-target=HOST for all", mx.name);
                    found.push(Diagnostic::error(what).fix(fix));
                }
            }
        }
        let of_this_host = this_host.filter(|_| self.mx.is_empty() && is_asked_for);
        records.extend(of_this_host.and_then(|name| record(&name, 1, None)));
    }
}

/// Zero sets no bound.
fn some(seconds: u32) -> Option<u32> {
    Some(seconds).filter(|seconds| *seconds > 0)
}

fn lower_routes(routes: &Routes, place: &Place, around: &dyn Surroundings, found: &mut Diagnostics) -> Vec<Route> {
    let all: Vec<To> = match &routes.to {
        RouteTo::Known(to) => vec![to.clone()],
        RouteTo::Named { name, port, from } => match around.addresses_of(&name.value) {
            Ok(addresses) => {
                let server = |address: IpAddr| {
                    let mut server = from.server(address)?;
                    server.address.set_port(*port);
                    Some(To::Server(server))
                };
                addresses.into_iter().filter_map(server).collect()
            }
            Err(error) => {
                let what = format!("no address of the DNS server {} is found: {error}", name.value);
                let fix = "write its address, or its name with its address into /etc/hosts";
                found.push(Diagnostic::error(what).at(place.clone()).fix(fix));
                Vec::new()
            }
        },
    };
    let of = |scope: &Scope| all.iter().map(|to| Route { scope: scope.clone(), to: to.clone() }).collect::<Vec<_>>();
    routes.scopes.iter().flat_map(of).collect()
}
