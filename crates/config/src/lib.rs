//! What the user said, and what it means.
//!
//! `file` and `flags` read lanboot.toml and the command line into what was *said* (every value with its place);
//! `resolve` turns that into the [`Config`] that is *meant*, or into every [`Diagnostic`] at once. [`load`] does all.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use boot::Hosts;
use boot::matching::{Tag, TagExpr};
use ipnet::Ipv4Net;

mod diagnostic;
mod dns;
pub mod dnsmasq;
mod file;
mod flags;
pub mod keys;
mod manners;
mod nearest;
mod print;
mod resolve;
pub mod said;
mod surroundings;
mod syntax;
mod tftp;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity, TextFile};
pub use dns::{Dns, DnsAt, DnsClients, HostsFiles, Resolv};
pub use file::read as read_file;
pub use flags::Flags;
pub use manners::{DomainOf, Manners, Ports};
pub use resolve::{Loaded, default_range, load, load_text};
pub use said::Said;
pub use surroundings::{Entry, Nic, Surroundings, ThisHost};
pub use tftp::{Access, FileRules, InterfacePattern, InterfaceRoot, Tftp, TransferPorts, UniqueRoot};

/// The whole configuration, checked and complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub network: Network,
    /// `None`: no DHCP service.
    pub dhcp: Option<Dhcp>,
    pub tftp: Option<Tftp>,
    pub http: Option<Http>,
    /// `None`: no DNS service.
    pub dns: Option<Dns>,
    pub boot: boot::Policy,
    /// What is published, in order of precedence: the first that has the asked name serves it.
    pub publish: Vec<Publish>,
    pub file_rules: FileRules,
    /// A folder with iPXE's binaries; `None`: where the distribution's package puts them.
    pub ipxe: Option<PathBuf>,
    /// Where leases are kept that other nodes serve from as well; `None`: in the state folder.
    pub leases: Option<LeaseDatabase>,
    /// Leases, the record of host changes, fetched firmware. Default `/var/lib/lanboot`.
    pub state_dir: PathBuf,
    /// The interfaces that are served as they are, where there is more than [`Config::network`]; else none.
    pub served: Vec<Served>,
}

/// A PostgreSQL database with leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseDatabase {
    /// `postgresql://user@host/database`, not read any further.
    pub url: String,
    /// A file with the password on its first line.
    pub password_file: Option<PathBuf>,
}

/// An interface, and what is served there.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    pub interface: String,
    /// Ours on it, the first being the one that clients are told.
    pub addresses: Vec<Ipv4Net>,
    pub dhcp: bool,
    pub tftp: bool,
    /// Heard for the answers that servers send to our relays, whether served or not.
    pub relays: bool,
    /// The interface in whose place this one is served, as one of its ports: `bridge-interface`.
    pub in_place_of: Option<String>,
}

impl Served {
    /// An interface on which everything is served.
    pub fn whole(interface: &str, address: Ipv4Net) -> Served {
        Served {
            interface: interface.to_owned(),
            addresses: vec![address],
            dhcp: true,
            tftp: true,
            relays: false,
            in_place_of: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub link: Link,
    /// The address lanboot serves from, with its prefix. For an existing interface: its own, when none was given
    /// (then `None` here, and read from the kernel at start).
    pub address: Option<Ipv4Net>,
    /// Masquerade what leaves the subnet, and forward for it.
    pub masquerade: bool,
    pub forwards: Vec<Forward>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// A bridge that lanboot makes when it is not there, with these ports enslaved.
    Bridge { name: String, ports: Vec<String> },
    /// An interface that exists and is used as it is.
    Existing { name: String },
}

impl Link {
    pub fn name(&self) -> &str {
        match self {
            Link::Bridge { name, .. } | Link::Existing { name } => name,
        }
    }
}

/// A port on the outside that leads to a machine inside (DNAT).
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    pub protocol: Transport,
    /// Only what arrives on this interface; `None`: on any but our own.
    pub interface: Option<String>,
    pub port: u16,
    pub to: SocketAddrV4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dhcp {
    /// What is given out, in order of precedence. A request is served from those of its own network.
    pub ranges: Vec<Range>,
    /// Networks whose ranges serve other networks too.
    pub shared: Vec<Shared>,
    /// What is laid down for single machines.
    pub hosts: Hosts,
    pub allocation: Allocation,
    /// Sends DHCPNAK to clients that ask for an address nobody gave them (RFC 2131 section 4.3.2).
    pub authoritative: bool,
    /// At most this many leases at once; `None`: as many as the ranges hold.
    pub lease_limit: Option<usize>,
    /// Messages a second that a client may send for long; more are left unanswered.
    pub client_rate: u32,
    pub conflict_check: ConflictCheck,
    /// How long a probe waits for an answer.
    pub conflict_wait: Duration,
    pub identity: Identity,
    /// Option 61 counts for nothing: not for who a machine is, and not in its lease.
    pub ignores_client_id: bool,
    /// Relays that clients are to take for their server, so that renewals come through them too.
    pub relays_as_servers: RelaysAsServers,
    /// Networks of ours whose requests other servers answer.
    pub relays: Vec<Relay>,
    /// Option 3; 0.0.0.0: us, or the relay. Default: our own address when masquerading, else none.
    pub router: Option<Ipv4Addr>,
    /// Option 6; 0.0.0.0: us.
    pub dns: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<String>,
    pub chooser: Chooser,
    /// What sets tags, and what answers carry beyond the above.
    pub rules: boot::rules::Rules,
    pub manners: Manners,
}

impl Dhcp {
    /// Unless said otherwise: more than a machine says that repeats itself at every stage of its boot.
    pub const CLIENT_RATE: u32 = 20;
}

/// Who gives out addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Server,
    /// Another server; we say what to boot.
    Proxy,
}

/// What says which file a machine boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chooser {
    /// [`Config::boot`]: lanboot's own chain.
    #[default]
    Policy,
    /// The rules alone, as in the dnsmasq dialect.
    Rules,
}

/// A part of a subnet, and who gets addresses of it on which terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// With the prefix that machines there are told.
    pub subnet: Ipv4Net,
    /// Nobody told the prefix: it is that of the address's class (RFC 791), and good for networks behind relays only.
    pub guessed: bool,
    /// Option 28.
    pub broadcast: Ipv4Addr,
    pub gives: Gives,
    /// `u32::MAX` seconds: for ever.
    pub lease: Duration,
    /// A tag for those who get an address of it.
    pub set: Option<Tag>,
    /// Only requests with these tags are served from it.
    pub when: TagExpr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Inclusive.
    Addresses(Ipv4Addr, Ipv4Addr),
    /// What is laid down for single machines, and nothing else.
    Reserved,
    /// Nothing: another server gives out addresses, and we say what to boot.
    Proxy,
}

/// Being a relay between a network of ours and a DHCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Our address on the machines' network, which answers come back to.
    pub local: Ipv4Addr,
    pub to: RelayTo,
    /// The interfaces that answers may come by; `None`: any.
    pub answers_by: Option<InterfacePattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayTo {
    Server(SocketAddrV4),
    /// By broadcast.
    Everyone {
        interface: String,
        port: u16,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelaysAsServers {
    #[default]
    None,
    All,
    These(Vec<Ipv4Addr>),
}

impl RelaysAsServers {
    pub fn contains(&self, relay: Ipv4Addr) -> bool {
        match self {
            RelaysAsServers::None => false,
            RelaysAsServers::All => true,
            RelaysAsServers::These(relays) => relays.contains(&relay),
        }
    }
}

/// Two networks on one wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    pub on: SharedOn,
    /// An address of the subnet whose ranges are added.
    pub subnet: Ipv4Addr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedOn {
    Interface(String),
    /// One of ours, or a relay's.
    Address(Ipv4Addr),
}

impl Dhcp {
    /// The addresses that are given out to anyone, inclusive.
    pub fn dynamic(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> + '_ {
        self.ranges.iter().filter_map(|range| match range.gives {
            Gives::Addresses(first, last) => Some((first, last)),
            Gives::Reserved | Gives::Proxy => None,
        })
    }

    /// Whether PXE clients may come to port 4011: beside another server, or for what a menu offers.
    pub fn listens_on_4011(&self) -> bool {
        self.rules.pxe.enabled || self.ranges.iter().any(|range| range.gives == Gives::Proxy)
    }

    /// Whether no addresses are given out at all, as another server does so everywhere.
    pub fn is_proxy_only(&self) -> bool {
        !self.ranges.is_empty() && self.ranges.iter().all(|range| range.gives == Gives::Proxy)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    #[default]
    Sequential,
    /// By a hash of the MAC, so that a machine tends to get the same address even without a record.
    Hashed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictCheck {
    /// ARP on the own link, ICMP echo behind a relay.
    #[default]
    Arp,
    Icmp,
    Off,
}

/// What makes two requests the same client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The MAC: one address from ROM to operating system, whatever client identifier each sends.
    #[default]
    Machine,
    /// Option 61 where sent, else the MAC (RFC 2131 section 4.2 to the letter).
    ClientId,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub port: u16,
}

/// One thing that is published over TFTP and HTTP alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Published name: empty for a folder at the root, `boot/vmlinuz` for one file.
    pub name: String,
    pub source: Source,
    pub role: journal::Role,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Everything below this folder, confined to it.
    Folder(PathBuf),
    File(PathBuf),
}
