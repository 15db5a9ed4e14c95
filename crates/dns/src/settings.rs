//! What is to be answered, and how. The defaults are those of a `[dns]` section that says nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::record::Record;
use crate::{Name, Rtype};

/// All of it. What changes while we serve (hosts files, leases, servers from resolv.conf, addresses of interfaces) comes
/// by methods of [`crate::Resolver`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Which domains are whose, in the order said. Servers read from resolv.conf are those of [`Scope::All`] as well.
    pub routes: Vec<Route>,
    pub local: Local,
    pub forward: Forwarding,
    pub cache: Caching,
    pub filter: Filters,
    /// [`crate::Effect::Log`] for every query.
    pub log: bool,
}

/// A part of all names, and who answers for it. The longest matching domain decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub scope: Scope,
    pub to: To,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every name.
    All,
    /// Names of one label.
    Plain,
    /// This domain and all below it.
    Domain(Name),
    /// All below this domain, without itself: `*.google.com`.
    Below(Name),
    /// All names that end so; `*oogle.com` is meant by `oogle.com` here: the first label may begin within one.
    Ending(Name),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Queries go there.
    Server(Server),
    /// To the servers of [`Scope::All`], where a shorter domain leads elsewhere.
    Usual,
    /// Nowhere: what is not known here does not exist.
    Nobody,
    /// The answer, to queries for addresses of its family.
    Address(IpAddr),
    /// The answer is 0.0.0.0 and ::.
    Null,
}

/// An upstream server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    pub address: SocketAddr,
    /// Queries to it leave from this address and port (0: any), and by this interface.
    pub from: Option<SocketAddr>,
    pub interface: Option<InterfaceName>,
}

/// An interface's name: at most 15 octets, the rest zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(pub [u8; 16]);

impl InterfaceName {
    /// `None`: no interface can have this name.
    pub fn new(name: &str) -> Option<InterfaceName> {
        let mut octets = [0; 16];
        let may_be = !name.is_empty() && name.len() < 16 && !name.contains(['\0', '/']);
        octets.get_mut(..name.len()).filter(|_| may_be)?.copy_from_slice(name.as_bytes());
        Some(InterfaceName(octets))
    }

    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|octet| *octet == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

/// Names that are known here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Local {
    /// Laid down, in the order said: host-record, cname, ptr-record, srv-host, txt-record, mx-host and so on. An address has
    /// a PTR record only if one is among them; any others for it (ptr-record) take the place of that which leads to a name
    /// with this address.
    pub records: Vec<Record>,
    /// A name with the addresses of an interface, whatever they are now.
    pub interface_names: Vec<OfInterface>,
    /// A name with an address whose network part is an interface's.
    pub dynamic_hosts: Vec<DynamicHost>,
    /// Names made out of addresses; the first one that fits counts.
    pub synth: Vec<Synth>,
    /// Plain names of hosts files and leases are known with their domain as well.
    pub domains: Domains,
    /// Plain names of hosts files get their domain.
    pub expand_hosts: bool,
    /// Leases are known by their names with domains alone.
    pub leases_by_full_name_only: bool,
    /// TTL of local answers, in seconds.
    pub ttl: u32,
    /// TTL of names of leases; `None`: as other local ones.
    pub lease_ttl: Option<u32>,
    /// Where a name has several addresses, those in the asking client's subnet alone are told, if there are any.
    pub localise: bool,
    /// The order of records is not changed from answer to answer.
    pub keep_order: bool,
    pub mx: LocalMx,
    /// `version.bind` and its like in class CH are answered.
    pub identify: bool,
}

/// MX records for machines that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalMx {
    /// Each local machine gets its own: `selfmx`.
    pub to_itself: bool,
    /// Each local machine points to the target: `localmx`.
    pub to_target: bool,
    /// This host's name, unless another was said. `None`: it has none; then nothing points to it.
    pub target: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfInterface {
    pub name: Name,
    pub interface: String,
    pub v4: bool,
    pub v6: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicHost {
    pub name: Name,
    pub interface: String,
    /// The host's part; the network's part is zero.
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

/// `PREFIX10-0-1-2.DOMAIN` for the addresses from `first` to `last`, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synth {
    pub domain: Name,
    pub first: IpAddr,
    /// Inclusive, of the same family.
    pub last: IpAddr,
    pub prefix: String,
    /// Addresses are counted from the first one: `PREFIX0`, `PREFIX1`.
    pub counted: bool,
}

/// Domains by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    /// First and last (inclusive), in order of precedence.
    pub ranges: Vec<(IpAddr, IpAddr, Name)>,
    /// Everybody else's.
    pub default: Option<Name>,
}

impl Domains {
    pub fn of(&self, address: IpAddr) -> Option<&Name> {
        let of = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&address));
        of.map(|(_, _, name)| name).or(self.default.as_ref())
    }
}

/// How upstream servers are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    pub order: Order,
    /// Names of one label are not forwarded.
    pub domain_needed: bool,
    /// Neither are names of private addresses.
    pub bogus_priv: bool,
    /// SOA, SRV and ANY queries of Windows are not forwarded: `filterwin2k`.
    pub filter_windows: bool,
    /// The size of UDP answers that we take, and give at most (RFC 6891): octets.
    pub edns_max: u16,
    pub ports: SourcePorts,
    /// At most so many queries are in flight.
    pub max: usize,
    /// When a query is asked again; `None`: by the times that servers take.
    pub retry: Option<Retry>,
    /// Servers that lead back to us are found and left out.
    pub detect_loops: bool,
    /// Letters of names are sent in random case, which an answer must repeat (0x20).
    pub random_case: bool,
    /// This text goes along with all queries (EDNS option 65074).
    pub cpe_id: Option<Vec<u8>>,
    /// The AD bit of upstream answers is passed on.
    pub pass_ad: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one that lately answered fastest; others now and then, and when it is late.
    #[default]
    Quickest,
    /// As said; the next one when one fails.
    Strict,
    /// All at once; the first answer counts.
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Doubled each time.
    pub first: Duration,
    /// No more after this.
    pub total: Duration,
}

/// Ports that queries leave from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourcePorts {
    /// All leave from this one; 0: from one that the kernel chooses once.
    pub fixed: Option<u16>,
    /// Inclusive; `None`: the kernel's range.
    pub range: Option<(u16, u16)>,
}

impl Default for Forwarding {
    fn default() -> Forwarding {
        Forwarding {
            order: Order::Quickest,
            domain_needed: true,
            bogus_priv: true,
            filter_windows: false,
            // What crosses every path unfragmented (DNS flag day 2020).
            edns_max: 1232,
            ports: SourcePorts::default(),
            max: 1000,
            retry: None,
            detect_loops: true,
            random_case: true,
            cpe_id: None,
            pass_ad: false,
        }
    }
}

/// What is remembered of upstream answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caching {
    /// Answers; 0: none. Their octets are bounded as well.
    pub size: usize,
    /// Also that a name does not exist, or has no such record (RFC 2308).
    pub negative: bool,
    /// TTL of negative answers that name none themselves, in seconds.
    pub negative_ttl: Option<u32>,
    /// Bounds of how long answers are kept, in seconds.
    pub min_ttl: u32,
    pub max_ttl: Option<u32>,
    /// The most that clients are told, in seconds.
    pub max_told_ttl: Option<u32>,
    /// Answers out of date are given while they are asked anew.
    pub stale: Stale,
    /// Only these types are kept; empty: all.
    pub only: Vec<Rtype>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stale {
    #[default]
    Never,
    /// As long as they are this much out of date at most.
    For(Duration),
    Always,
}

impl Default for Caching {
    fn default() -> Caching {
        Caching {
            size: 10_000,
            negative: true,
            negative_ttl: None,
            min_ttl: 0,
            max_ttl: None,
            max_told_ttl: None,
            stale: Stale::Never,
            only: Vec::new(),
        }
    }
}

/// What is changed in upstream answers, or not believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Private addresses in upstream answers are an attack on browsers.
    pub rebind: Rebind,
    /// An answer with one of these means: no such name.
    pub bogus_nxdomain: Vec<IpNet>,
    /// Answers with one of these are dropped.
    pub ignore: Vec<IpNet>,
    /// Records of these types are left out.
    pub types: Vec<Rtype>,
    /// Addresses that are changed into others.
    pub alias: Vec<Alias>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebind {
    pub stop: bool,
    /// Except in 127.0.0.0/8, 0.0.0.0/8, ::1 and ::: many lists of names to be blocked give these.
    pub localhost_ok: bool,
    /// Except for these.
    pub domains_ok: Vec<Scope>,
}

/// Addresses from `first` to `last` become those of `new`, by `mask`: what is not in the mask stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    pub first: Ipv4Addr,
    /// Inclusive.
    pub last: Ipv4Addr,
    pub new: Ipv4Addr,
    pub mask: Ipv4Addr,
}
