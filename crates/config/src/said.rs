//! What the user said: every value optional, each with the place where it was said.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use boot::matching::{Tag, TagExpr};
use boot::rules::Rules;
use boot::{Chain, Host, ReplaceRomIpxe};
use dhcp::Platform;
use dns::Record;
use dns::settings::{OfInterface, Route, Server, Settings};
use ipnet::Ipv4Net;
use mac::Mac;

use crate::{Allocation, ConflictCheck, DnsClients, Gives, Identity, Mode, Place, Transport, UniqueRoot};

/// A value and where it was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Given<T> {
    pub value: T,
    pub place: Place,
}

/// What a configuration file or a set of flags says, by section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub network: Network,
    pub dhcp: Dhcp,
    pub machines: Vec<Machine>,
    pub boot: Boot,
    pub tftp: Tftp,
    pub http: Http,
    pub dns: Dns,
    pub leases: Leases,
    pub state_dir: Option<Given<PathBuf>>,
    /// Where each key was said (`network.bridge`), even when its value could not be read.
    pub places: BTreeMap<String, Place>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leases {
    pub database: Option<Given<String>>,
    pub password_file: Option<Given<PathBuf>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    pub bridge: Option<Given<String>>,
    pub interface: Option<Given<String>>,
    pub address: Option<Given<Ipv4Net>>,
    pub ports: Vec<Given<String>>,
    pub masquerade: Option<Given<bool>>,
    pub forwards: Vec<Forward>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    pub protocol: Transport,
    pub interface: Option<String>,
    pub port: u16,
    pub to: SocketAddrV4,
    pub place: Place,
    pub to_place: Place,
}

/// First and last address, both included.
pub type Range = (Ipv4Addr, Ipv4Addr);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dhcp {
    pub enabled: Option<Given<bool>>,
    pub mode: Option<Given<Mode>>,
    pub ranges: Vec<Given<Range>>,
    pub lease: Option<Given<Duration>>,
    pub allocation: Option<Given<Allocation>>,
    pub authoritative: Option<Given<bool>>,
    pub lease_limit: Option<Given<usize>>,
    pub client_rate: Option<Given<u32>>,
    pub conflict_check: Option<Given<ConflictCheck>>,
    pub conflict_wait: Option<Given<Duration>>,
    pub identity: Option<Given<Identity>>,
    /// `Some(None)`: none, said so.
    pub router: Option<Given<Option<Ipv4Addr>>>,
    pub dns: Vec<Given<Ipv4Addr>>,
    pub domain: Option<Given<String>>,
    pub rules: Option<Rules>,
    pub pools: Vec<Pool>,
    pub hosts: Vec<Host>,
}

/// A part of a subnet on its own terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub gives: Given<Gives>,
    /// `None`: the network's own.
    pub subnet: Option<Given<Ipv4Net>>,
    pub broadcast: Option<Given<Ipv4Addr>>,
    /// `None`: `dhcp.lease`.
    pub lease: Option<Given<Duration>>,
    pub set: Option<Tag>,
    pub when: TagExpr,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// The `[[machine]]` itself.
    pub place: Place,
    pub mac: Option<Given<Mac>>,
    pub name: Option<Given<String>>,
    pub address: Option<Given<Ipv4Addr>>,
    pub target: Target,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boot {
    pub target: Target,
    pub ipxe: Option<Given<PathBuf>>,
    pub replace_rom_ipxe: Option<Given<ReplaceRomIpxe>>,
    /// `Some(None)`: the rules of `[dhcp]` alone say what is booted.
    pub chain: Option<Given<Option<Chain>>>,
}

/// What to boot: a kernel, a script or a boot file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    pub kernel: Option<Given<PathBuf>>,
    pub initrds: Vec<Given<PathBuf>>,
    pub cmdline: Option<Given<String>>,
    pub script: Option<Given<PathBuf>>,
    pub file: Option<Given<String>>,
    pub files: BTreeMap<Platform, Given<String>>,
    /// Whether something of it could not be read, so that what seems to be missing may have been said.
    pub unreadable: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tftp {
    pub enabled: Option<Given<bool>>,
    pub root: Option<Given<PathBuf>>,
    pub unique_root: Option<Given<UniqueRoot>>,
    pub secure: Option<Given<bool>>,
    pub port: Option<Given<u16>>,
    /// First and last.
    pub port_range: Option<Given<(u16, u16)>>,
    pub single_port: Option<Given<bool>>,
    pub max_blksize: Option<Given<u16>>,
    pub max_windowsize: Option<Given<u16>>,
    pub max_transfers: Option<Given<usize>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    pub enabled: Option<Given<bool>>,
    pub root: Option<Given<PathBuf>>,
    pub port: Option<Given<u16>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dns {
    pub enabled: Option<Given<bool>>,
    pub port: Option<Given<u16>>,
    pub upstream: Vec<Given<Server>>,
    pub resolv: Vec<Given<PathBuf>>,
    pub hosts: Vec<Given<PathBuf>>,
    pub expand_hosts: Option<Given<bool>>,
    pub clients: Option<Given<DnsClients>>,
    pub max_tcp: Option<Given<usize>>,
    /// Those of `[[dns.forward]]`, then those of `[[dns.override]]`.
    pub routes: Vec<DnsRoute>,
    /// Each with the place of its data.
    pub records: Vec<Given<Record>>,
    pub interface_names: Vec<OfInterface>,
    /// The rest, which needs nothing else to be understood; the above is not in it.
    pub settings: Settings,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DnsRoute {
    pub route: Route,
    pub domain_place: Place,
    pub to_place: Place,
}

impl Said {
    /// The place of a key such as `tftp.port`: for errors that show only later, such as a port that is taken.
    /// [`Place::Host`] when the value is lanboot's default.
    pub fn place(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or_default()
    }

    pub(crate) fn mentions(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Puts what flags say over what a file says, value by value; a list is replaced as a whole. Where only one of
    /// several keys can hold (bridge or interface; kernel, script or boot file), naming one drops the file's other,
    /// and with it what only that one has use for.
    pub(crate) fn over(self, mut file: Said) -> Said {
        drop_displaced(&self, &mut file);
        let mut places = file.places;
        places.extend(self.places);
        Said {
            network: self.network.over(file.network),
            dhcp: self.dhcp.over(file.dhcp),
            machines: if self.machines.is_empty() { file.machines } else { self.machines },
            boot: self.boot.over(file.boot),
            tftp: self.tftp.over(file.tftp),
            http: self.http.over(file.http),
            // Flags turn it off, and say no more of it.
            dns: Dns { enabled: self.dns.enabled.or(file.dns.enabled), ..file.dns },
            leases: Leases {
                // A password goes with its database.
                password_file: self.leases.password_file.or(file.leases.password_file),
                database: self.leases.database.or(file.leases.database),
            },
            state_dir: self.state_dir.or(file.state_dir),
            places,
        }
    }
}

fn drop_displaced(flags: &Said, file: &mut Said) {
    let mut forget = |keys: &[&str]| keys.iter().for_each(|key| drop(file.places.remove(*key)));
    if flags.mentions("network.interface") {
        forget(&["network.bridge", "network.ports"]);
        (file.network.bridge, file.network.ports) = (None, Vec::new());
    } else if flags.mentions("network.bridge") {
        forget(&["network.interface"]);
        file.network.interface = None;
    }
    let target = &mut file.boot.target;
    let named = |key| flags.mentions(key);
    let (kernel, script, boot_file) = (named("boot.kernel"), named("boot.script"), named("boot.file"));
    if script || boot_file {
        forget(&["boot.kernel", "boot.initrd", "boot.cmdline"]);
        (target.kernel, target.initrds, target.cmdline) = (None, Vec::new(), None);
    }
    if kernel || boot_file {
        forget(&["boot.script"]);
        target.script = None;
    }
    if kernel || script || boot_file {
        forget(&["boot.file", "boot.files"]);
        (target.file, target.files) = (None, BTreeMap::new());
    }
}

/// `flags.over(file)` for a section: the flags' value where there is one, else the file's.
trait Empty: Sized {
    fn is_said(&self) -> bool;

    fn or_else_said(self, file: Self) -> Self {
        if self.is_said() { self } else { file }
    }
}

impl<T> Empty for Option<T> {
    fn is_said(&self) -> bool {
        self.is_some()
    }
}

impl<T> Empty for Vec<T> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }
}

impl<K, V> Empty for BTreeMap<K, V> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }
}

impl Empty for bool {
    fn is_said(&self) -> bool {
        *self
    }
}

/// Writes `over` for a section by its list of fields; a forgotten field does not compile.
macro_rules! over {
    ($section:ident { $($field:ident),* }) => {
        impl $section {
            fn over(self, file: $section) -> $section {
                $section { $($field: self.$field.or_else_said(file.$field)),* }
            }
        }
    };
}

over!(Network { bridge, interface, address, ports, masquerade, forwards });
over!(Dhcp {
    enabled,
    mode,
    ranges,
    lease,
    allocation,
    authoritative,
    lease_limit,
    client_rate,
    conflict_check,
    conflict_wait,
    identity,
    router,
    dns,
    domain,
    rules,
    pools,
    hosts
});
over!(Target { kernel, initrds, cmdline, script, file, files, unreadable });
over!(Tftp {
    enabled,
    root,
    unique_root,
    secure,
    port,
    port_range,
    single_port,
    max_blksize,
    max_windowsize,
    max_transfers
});
over!(Http { enabled, root, port });

impl Boot {
    fn over(self, file: Boot) -> Boot {
        Boot {
            target: self.target.over(file.target),
            ipxe: self.ipxe.or(file.ipxe),
            replace_rom_ipxe: self.replace_rom_ipxe.or(file.replace_rom_ipxe),
            chain: self.chain.or(file.chain),
        }
    }
}
