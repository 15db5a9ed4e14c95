//! DNS: whom to ask, what is known here, what is remembered.

mod filters;
mod names;
mod records;
mod servers;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use dns::settings::{Alias, DynamicHost, OfInterface, Scope, Synth, To};
use dns::{Name, Record, Rtype};
use ipnet::IpNet;

use super::{Meaning, Read, Said, number, port, settled};
use crate::dnsmasq::text::Text;
use crate::said::Given;

pub(in super::super) use filters::*;
pub(in super::super) use names::ascii;
pub(in super::super) use records::*;
pub(in super::super) use servers::*;

/// What one use of a DNS option says. TTLs and ages are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DnsOption {
    /// 0: no DNS.
    Port(u16),
    Routes(Routes),
    ServersFile(PathBuf),
    /// `None`: read none.
    ResolvFile(Option<PathBuf>),
    NoResolv,
    NoPoll,
    ClearOnReload,
    StrictOrder,
    AllServers,
    DomainNeeded,
    BogusPriv,
    FilterWindows,
    EdnsMax(u16),
    QueryPort(u16),
    MinPort(u16),
    MaxPort(u16),
    ForwardMax(u32),
    Retry {
        first: Duration,
        total: Duration,
    },
    DetectLoops,
    CpeId(Text),
    ProxyDnssec,

    FilterTypes(Vec<Rtype>),
    StopRebind,
    RebindLocalhostOk,
    RebindDomainOk(Vec<Scope>),
    IgnoreAddress(IpNet),
    BogusNxdomain(IpNet),
    Alias(Alias),

    CacheSize(u32),
    CacheTypes(Vec<Rtype>),
    NoNegativeCache,
    /// `None`: for a day.
    UseStale(Option<u32>),
    NegativeTtl(u32),
    MaxTtl(u32),
    MaxCacheTtl(u32),
    MinCacheTtl(u32),

    NoHosts,
    AddHosts(PathBuf),
    HostsDir(PathBuf),
    ExpandHosts,
    LocalTtl(u32),
    DhcpTtl(u32),
    HostRecord(HostRecord),
    Cname(Cname),
    Mx(Mx),
    Srv(Record),
    Record(Record),
    SelfMx,
    LocalMx,
    MxTarget(Name),
    DynamicHost(DynamicHost),
    OfInterface(OfInterface),
    Synth(Synth),

    LogQueries {
        extra: bool,
    },
    LocalService {
        this_host: bool,
    },
    LocaliseQueries,
    NoRoundRobin,
    NoIdent,
    MaxTcp(u32),
}

/// Names, and who answers for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    pub scopes: Vec<Scope>,
    pub to: RouteTo,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RouteTo {
    Known(To),
    /// A server that is told by its name, which is looked up when we start.
    Named {
        name: Given<String>,
        port: u16,
        from: From,
    },
}

/// What queries to a server leave from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct From {
    pub interface: Option<dns::settings::InterfaceName>,
    pub address: Option<std::net::IpAddr>,
    /// 0: any.
    pub port: u16,
}

/// Names with their addresses. Each address leads back to the first of the names.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRecord {
    pub names: Vec<Name>,
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
    pub ttl: Option<u32>,
}

/// Other names of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Cname {
    pub aliases: Vec<Given<Name>>,
    pub target: Name,
    pub ttl: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mx {
    pub name: Name,
    /// `None`: that of `mx-target`, or this host.
    pub target: Option<Name>,
    pub preference: u16,
}

fn dns(option: DnsOption) -> Read {
    Ok(Meaning::Dns(Box::new(option)))
}

/// A number, or nothing where the value is empty.
pub(in super::super) fn number_of(said: &Said<'_>, meant: fn(u32) -> DnsOption) -> Read {
    said.some().map_or(Ok(Meaning::Nothing), |text| dns(meant(number(&text, u32::MAX)?)))
}

pub(in super::super) fn port_of(said: &Said<'_>, meant: fn(u16) -> DnsOption) -> Read {
    said.some().map_or(Ok(Meaning::Nothing), |text| dns(meant(port(&text)?)))
}

pub(in super::super) fn path_of(said: &Said<'_>, meant: fn(PathBuf) -> DnsOption) -> Read {
    said.some().map_or(Ok(Meaning::Nothing), |text| dns(meant(settled(&text))))
}

/// At least one.
pub(in super::super) fn some_of(said: &Said<'_>, meant: fn(u32) -> DnsOption) -> Read {
    let text = said.text();
    match number(&text, u32::MAX)? {
        0 => Err(said.wrong("none is too few", format!("write {}=1 or more", said.row.name))),
        count => dns(meant(count)),
    }
}

pub(in super::super) fn resolv_file(said: &mut Said<'_>) -> Read {
    dns(DnsOption::ResolvFile(said.some().map(|text| settled(&text))))
}

pub(in super::super) fn cache_size(said: &mut Said<'_>) -> Read {
    match said.value {
        None => Err(said.wrong("the size is missing", "write cache-size=1000, or cache-size=0 for no cache")),
        Some(_) => number_of(said, DnsOption::CacheSize),
    }
}

/// dnsmasq's lowest is what any DNS message may have (RFC 1035 section 4.2.1).
const LEAST_OCTETS: u32 = 512;

pub(in super::super) fn edns_packet_max(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let octets = number(&text, u32::MAX)?;
    let fitting = octets.clamp(LEAST_OCTETS, u16::MAX.into());
    if fitting != octets {
        said.note(format!("datagrams of {octets} octets there are not: {fitting} are taken for it"));
    }
    dns(DnsOption::EdnsMax(fitting as u16))
}

/// Milliseconds.
const RETRY_FIRST: u32 = 1000;
const RETRY_TOTAL: u32 = 10_000;
const RETRY_LEAST: u32 = 50;

pub(in super::super) fn fast_dns_retry(said: &mut Said<'_>) -> Read {
    let takes = "fast-dns-retry, or fast-dns-retry=1000,10000: milliseconds, 50 at least";
    let millis = |millis: u32| Duration::from_millis(millis.into());
    let (mut first, mut total) = (RETRY_FIRST, RETRY_TOTAL);
    if let Some(text) = &said.value {
        let fields = text.split(',');
        super::nothing_more(fields.get(2..).unwrap_or_default(), takes)?;
        first = number(&fields[0], i32::MAX as u32)?;
        if first < RETRY_LEAST {
            return Err(fields[0].wrong(format!("{first} ms are too short for any answer"), format!("write {takes}")));
        }
        if let Some(field) = fields.get(1).filter(|field| !field.is_empty()) {
            total = number(field, i32::MAX as u32)?;
        }
    }
    dns(DnsOption::Retry { first: millis(first), total: millis(total) })
}

pub(in super::super) fn use_stale_cache(said: &mut Said<'_>) -> Read {
    let seconds = said.some().map(|text| number(&text, i32::MAX as u32)).transpose()?;
    dns(DnsOption::UseStale(seconds))
}

pub(in super::super) fn min_cache_ttl(said: &mut Said<'_>) -> Read {
    const MOST: u32 = 3600;
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let seconds = number(&text, u32::MAX)?;
    if seconds > MOST {
        said.note(format!("{seconds} seconds are more than the {MOST} that are allowed: {MOST} count"));
    }
    dns(DnsOption::MinCacheTtl(seconds.min(MOST)))
}

pub(in super::super) fn log_queries(said: &mut Said<'_>) -> Read {
    let word = said.some();
    let extra = word.as_ref().is_some_and(|word| word.as_str() == "extra");
    if let Some(word) = word.filter(|_| !extra) {
        said.note(format!("`{word}` adds nothing to the log: `extra` does"));
    }
    dns(DnsOption::LogQueries { extra })
}

pub(in super::super) fn local_service(said: &mut Said<'_>) -> Read {
    let this_host = match said.value.as_ref().map(Text::as_str) {
        None | Some("net") => false,
        Some("host") => true,
        Some(word) => {
            let what = format!("`{word}` is neither `net` nor `host`");
            return Err(said.wrong(what, "write local-service for our subnets, or local-service=host for this host"));
        }
    };
    dns(DnsOption::LocalService { this_host })
}

pub(in super::super) fn mx_target(said: &mut Said<'_>) -> Read {
    said.some().map_or(Ok(Meaning::Nothing), |text| dns(DnsOption::MxTarget(names::name(&text)?)))
}

pub(in super::super) fn cpe_id(said: &mut Said<'_>) -> Read {
    said.some().map_or(Ok(Meaning::Nothing), |text| dns(DnsOption::CpeId(text)))
}
