//! Directives to the one [`Config`] that the engine knows: the dialect's second half.
//!
//! What is read but not served yet is refused by name here, so that nothing that a user relies on is lost in silence.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use boot::matching::{Condition, HardwarePattern, NamePattern, Tag, TagExpr, TagIf, TagRule, relay_agent};
use boot::rules::{BootRule, OptionRule, Rules, Target};
use dhcp::v4::options::{Pattern as ValuePattern, Written};
use journal::Role;
use mac::Mac;

use super::options::answers::{BootFile, DhcpOption, Server, Wrap};
use super::options::hosts::{DhcpHost, Hardware};
use super::options::interfaces::Pattern;
use super::options::process::LogTo;
use super::options::ranges::{DhcpRange, Lease, RangeMode};
use super::options::tags::{Match, On, TagTest};
use super::text::Text;
use super::{Directive, Directives, Meaning};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::said::Given;
use crate::surroundings::Surroundings;
use crate::{
    Allocation, Config, ConflictCheck, Dhcp, Http, Identity, Link, Network, Publish, Reservation, Source, Tftp,
};

/// The options that are read by their grammar and served. docs/dnsmasq.md says so of these, and of no others.
#[rustfmt::skip]
pub const SERVED: &[&str] = &[
    "keep-in-foreground", "no-daemon", "pid-file", "conf-file", "conf-dir", "conf-script", "test", "version", "help",
    "log-facility",
    "interface", "except-interface", "listen-address", "bind-interfaces", "bind-dynamic", "port",
    "dhcp-range", "dhcp-host", "dhcp-lease-max", "dhcp-leasefile", "dhcp-authoritative", "dhcp-sequential-ip",
    "dhcp-no-override", "no-ping",
    "dhcp-match", "dhcp-vendorclass", "dhcp-userclass", "dhcp-mac", "dhcp-circuitid", "dhcp-remoteid", "dhcp-subscrid",
    "dhcp-name-match", "tag-if", "dhcp-ignore",
    "dhcp-option", "dhcp-option-force", "dhcp-boot",
    "enable-tftp", "tftp-root", "tftp-max",
    "http-root", "http-port",
];

/// The options that are read by their grammar and then only warned of, each with the reason.
pub const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("user", "lanboot goes on as the user who started it, for now"),
    ("group", "lanboot goes on as the group that started it, for now"),
    ("log-dhcp", "the journal has every exchange, with its tags, in any case"),
    ("quiet-dhcp", "the journal keeps every exchange"),
    ("quiet-tftp", "the journal keeps every transfer"),
];

/// What a dnsmasq command line comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub config: Config,
    pub process: Process,
}

/// How the program behaves as a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// `-k`, `-d`: do not go into the background.
    pub foreground: bool,
    /// `None`: `/run/dnsmasq.pid`; `Some(None)`: write none.
    pub pid_file: Option<Option<PathBuf>>,
    /// The lease file in dnsmasq's format, kept current for others; our own log beside it is the truth.
    pub lease_file: PathBuf,
}

/// Where dnsmasq keeps its leases on Debian unless told otherwise.
const LEASE_FILE: &str = "/var/lib/misc/dnsmasq.leases";
/// dnsmasq's default for dhcp-lease-max.
const LEASE_MAX: usize = 1000;
/// dnsmasq's default for tftp-max.
const TFTP_MAX: usize = 50;
const LEASE: Duration = Duration::from_secs(3600);

/// Lowers directives to a configuration.
///
/// # Errors
/// Everything that is not served yet, and what does not fit together, each with its place.
pub fn lower(directives: &Directives, around: &dyn Surroundings) -> Result<(Service, Diagnostics), Diagnostics> {
    let mut lowering = Lowering::default();
    for directive in &directives.list {
        lowering.take(directive);
    }
    let config = lowering.config(around);
    let Lowering { found, process, .. } = lowering;
    match config {
        Some(config) if !found.has_errors() => Ok((Service { config, process }, found)),
        _ => Err(found),
    }
}

/// The mistakes that show without looking at the host, for `--test`.
pub fn check(directives: &Directives) -> Diagnostics {
    let mut lowering = Lowering::default();
    directives.list.iter().for_each(|directive| lowering.take(directive));
    lowering.found
}

#[derive(Default)]
struct Lowering {
    found: Diagnostics,
    process: Process,
    interfaces: Vec<(Pattern, Place)>,
    except: Vec<Pattern>,
    addresses: Vec<Given<IpAddr>>,
    ranges: Vec<DhcpRange>,
    hosts: BTreeMap<Mac, Reservation>,
    rules: Rules,
    lease_max: Option<usize>,
    lease_file: Option<PathBuf>,
    authoritative: bool,
    sequential: bool,
    no_ping: bool,
    tftp: bool,
    tftp_max: Option<usize>,
    tftp_root: Option<PathBuf>,
    http_root: Option<PathBuf>,
    http_port: Option<u16>,
}

impl Lowering {
    fn take(&mut self, directive: &Directive) {
        let place = &directive.place;
        match &directive.meaning {
            Meaning::Nothing | Meaning::NoDns | Meaning::BindInterfaces | Meaning::BindDynamic => {}
            Meaning::User(Some(_)) | Meaning::Group(Some(_)) => self.without_effect(directive),
            Meaning::LogDhcp | Meaning::QuietDhcp | Meaning::QuietTftp => self.without_effect(directive),
            Meaning::KeepInForeground | Meaning::NoDaemon => self.process.foreground = true,
            Meaning::User(None) | Meaning::Group(None) => {}
            Meaning::PidFile(path) => self.process.pid_file = Some(path.clone()),
            Meaning::LogTo(LogTo::StandardError) => {}
            Meaning::LogTo(_) => self.later(directive, " to syslog or a file"),
            Meaning::Interface(patterns) => {
                self.interfaces.extend(patterns.iter().map(|pattern| (pattern.clone(), place.clone())));
            }
            Meaning::ExceptInterface(patterns) => self.except.extend(patterns.iter().cloned()),
            Meaning::ListenAddress(addresses) => self.addresses.extend(addresses.iter().cloned()),
            Meaning::DhcpRange(range) => self.range(range, directive),
            Meaning::DhcpHost(host) => self.host(host, directive),
            Meaning::DhcpLeaseMax(max) => self.lease_max = Some(*max as usize),
            Meaning::DhcpLeaseFile(path) => self.lease_file = path.clone(),
            Meaning::DhcpAuthoritative => self.authoritative = true,
            Meaning::DhcpSequentialIp => self.sequential = true,
            Meaning::DhcpNoOverride => self.rules.keep_fields = true,
            Meaning::NoPing => self.no_ping = true,
            Meaning::Match(rule) => self.tag_rule(rule),
            Meaning::TagIf(rule) => {
                let set = rule.set.iter().map(|tag| Tag::from(tag.value.as_str())).collect();
                self.rules.tag_ifs.push(TagIf { when: expr(&rule.tests), set });
            }
            Meaning::DhcpIgnore(tests) => self.rules.ignore.push(expr(tests)),
            Meaning::DhcpOption(option) => self.option(option, directive),
            Meaning::DhcpBoot(boot) => self.boot(boot, directive),
            Meaning::EnableTftp(patterns) if patterns.is_empty() => self.tftp = true,
            Meaning::TftpMax(max) => self.tftp_max = Some(*max as usize),
            Meaning::TftpRoot(root) if root.interface.is_none() => self.tftp_root = Some(root.folder.clone()),
            Meaning::HttpRoot(folder) => self.http_root = Some(folder.clone()),
            Meaning::HttpPort(port) => self.http_port = Some(*port),
            _ => self.later(directive, ""),
        }
    }

    /// Refuses what is read but not served. `part`: which part of the option, where the rest is.
    fn later(&mut self, directive: &Directive, part: &str) {
        let what = format!("`{}`{part} is read, but not served yet", directive.row.name);
        let fix = "leave it out, or stay with dnsmasq until lanboot serves it";
        self.found.push(Diagnostic::error(what).at(directive.place.clone()).fix(fix));
    }

    fn without_effect(&mut self, directive: &Directive) {
        let reason = WITHOUT_EFFECT.iter().find(|(name, _)| *name == directive.row.name);
        let (name, why) = reason.expect("whatever is warned of here is in the table");
        let what = format!("`{name}` changes nothing here: {why}");
        self.found.push(Diagnostic::warning(what).at(directive.place.clone()));
    }

    fn range(&mut self, range: &DhcpRange, directive: &Directive) {
        match range.mode {
            RangeMode::To(_) if range.tests.is_empty() => self.ranges.push(range.clone()),
            RangeMode::To(_) => self.later(directive, " for requests with a tag"),
            RangeMode::Static | RangeMode::Proxy => self.later(directive, " with `static` or `proxy`"),
        }
    }

    fn host(&mut self, host: &DhcpHost, directive: &Directive) {
        let plain = host.client_id.is_none()
            && host.set.is_empty()
            && host.tests.is_empty()
            && host.addresses6.is_empty()
            && host.lease.is_none()
            && !host.ignore;
        match (host.hardware.as_slice(), plain) {
            ([hardware], true) => match one_mac(&hardware.value) {
                Some(mac) => {
                    let address = host.address.as_ref().map(|address| address.value);
                    let hostname = host.name.as_ref().map(|name| name.value.clone());
                    // dnsmasq looks at all lines of a machine; we keep one, so a second must not replace it unseen.
                    if self.hosts.insert(mac, Reservation { address, hostname }).is_some() {
                        self.later(directive, " twice for one MAC");
                    }
                }
                None => self.later(directive, " with wildcards"),
            },
            _ => self.later(directive, " beyond one MAC, an address and a name"),
        }
    }

    fn tag_rule(&mut self, rule: &Match) {
        let when = match condition(&rule.on) {
            Ok(when) => when,
            Err(error) => {
                let fix = "see the manual's section on dhcp-match for what a value may be";
                self.found.push(Diagnostic::error(error).at(rule.set.place.clone()).fix(fix));
                return;
            }
        };
        self.rules.matches.push(TagRule { when, set: vec![Tag::from(rule.set.value.as_str())] });
    }

    fn option(&mut self, option: &DhcpOption, directive: &Directive) {
        let code = option.code.value;
        // T1 and T2 come from the lease time.
        if option.wrap == Wrap::None && matches!(code, 58 | 59) {
            return self.later(directive, " for T1 and T2");
        }
        let target = match &option.wrap {
            Wrap::None => Target::Plain(code),
            Wrap::Option(outer) => Target::Encap { option: *outer, sub: code },
            Wrap::Vendor(class) => Target::Vendor { class: class.as_str().into(), sub: code },
            Wrap::Enterprise(enterprise) => Target::ViEncap { enterprise: *enterprise, sub: code },
        };
        let (tags, value) = (expr(&option.tests), option.value.clone());
        self.rules.options.push(OptionRule { tags, target, value, force: option.force });
    }

    fn boot(&mut self, boot: &BootFile, directive: &Directive) {
        let server_address = match &boot.server {
            None => None,
            Some(Server::Address(address)) => Some(address.value),
            Some(Server::Name(_)) => return self.later(directive, " with a server's name in place of its address"),
        };
        self.rules.boots.push(BootRule {
            tags: expr(&boot.tests),
            file: boot.file.as_str().to_owned(),
            server_name: boot.server_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            server_address,
        });
    }

    /// `None` only after an error.
    fn config(&mut self, around: &dyn Surroundings) -> Option<Config> {
        let interface = self.interface()?;
        let Some(net) = around.address(&interface) else {
            let what = format!("{interface} has no IPv4 address to serve from, or is not there");
            let fix = format!(
                "make it first: ip link add {interface} type bridge; ip address add 10.0.1.1/24 dev {interface}"
            );
            self.found.push(Diagnostic::error(what).at(self.interfaces[0].1.clone()).fix(fix));
            return None;
        };
        for address in &self.addresses {
            if address.value != IpAddr::V4(net.addr()) {
                let what = format!("{} is not the address of {interface}, which is {}", address.value, net.addr());
                let fix = "lanboot serves one address of one interface, for now";
                self.found.push(Diagnostic::error(what).at(address.place.clone()).fix(fix));
            }
        }
        self.rules.interface = interface.clone();
        self.process.lease_file = self.lease_file.clone().unwrap_or_else(|| LEASE_FILE.into());
        let mut state_dir = self.process.lease_file.clone().into_os_string();
        state_dir.push(".lanboot");
        let dhcp = self.dhcp(net);
        let tftp = self.tftp.then(|| Tftp {
            port: 69,
            max_blksize: None,
            max_windowsize: 64,
            max_transfers: self.tftp_max.unwrap_or(TFTP_MAX),
        });
        let folders = self.tftp_root.iter().filter(|_| self.tftp).chain(&self.http_root);
        let publish = |folder: &PathBuf| Publish {
            name: String::new(),
            source: Source::Folder(folder.clone()),
            role: Role::Other,
        };
        let serves_http = self.http_root.is_some() || self.http_port.is_some();
        Some(Config {
            network: Network {
                link: Link::Existing { name: interface },
                address: Some(net),
                masquerade: false,
                forwards: Vec::new(),
            },
            dhcp,
            boot: boot::Policy { tftp: tftp.is_some(), ..boot::Policy::default() },
            tftp,
            http: serves_http.then(|| Http { port: self.http_port.unwrap_or(80) }),
            publish: folders.map(publish).collect(),
            ipxe: None,
            state_dir: state_dir.into(),
        })
    }

    fn interface(&mut self) -> Option<String> {
        let named = |(pattern, place): &(Pattern, Place)| (pattern.name.clone(), pattern.open, place.clone());
        let mut names: Vec<_> = self.interfaces.iter().map(named).collect();
        names.dedup_by(|a, b| a.0 == b.0);
        let one = "name the one interface to serve: --interface=NAME";
        match names.as_slice() {
            [(name, false, place)] if self.except.iter().any(|except| except.matches(name)) => {
                let what = format!("{name} is both served and excepted");
                self.found.push(Diagnostic::error(what).at(place.clone()).fix(one));
                None
            }
            [(name, false, _)] => Some(name.clone()),
            [] => {
                self.found.push(Diagnostic::error("lanboot serves one interface, and none is named").fix(one));
                None
            }
            [_, .., (_, _, place)] | [(_, _, place)] => {
                let what = "lanboot serves one interface, for now, and more than one is named";
                self.found.push(Diagnostic::error(what).at(place.clone()).fix(one));
                None
            }
        }
    }

    fn dhcp(&mut self, net: ipnet::Ipv4Net) -> Option<Dhcp> {
        let mut ranges = Vec::new();
        let mut lease = None;
        for range in std::mem::take(&mut self.ranges) {
            let RangeMode::To(end) = &range.mode else { continue };
            let (first, last) = (range.start.value, end.value);
            if !net.contains(&first) || !net.contains(&last) || first > last {
                let what = format!("the range {first} to {last} lies outside {}, the network served", net.trunc());
                let fix = "serve a network that holds it; ranges of other networks are not served yet";
                self.found.push(Diagnostic::error(what).at(range.start.place.clone()).fix(fix));
                continue;
            }
            ranges.push((first, last));
            if let Some(tag) = &range.set {
                self.rules.ranges.push((first, last, Tag::from(tag.value.as_str())));
            }
            let this = match range.lease {
                None => LEASE,
                Some(Lease::Seconds(secs)) => Duration::from_secs(secs.into()),
                Some(Lease::Infinite) => Duration::from_secs(u32::MAX.into()),
            };
            if lease.is_some_and(|other| other != this) {
                let what = "ranges with different lease times are not served yet";
                let fix = "give all ranges the same";
                self.found.push(Diagnostic::error(what).at(range.start.place.clone()).fix(fix));
            }
            lease = Some(this);
        }
        let lease = lease?;
        ranges.sort();
        Some(Dhcp {
            ranges,
            lease,
            allocation: if self.sequential { Allocation::Sequential } else { Allocation::Hashed },
            authoritative: self.authoritative,
            lease_limit: Some(self.lease_max.unwrap_or(LEASE_MAX)),
            conflict_check: if self.no_ping { ConflictCheck::Off } else { ConflictCheck::Arp },
            conflict_wait: Duration::from_millis(300),
            identity: Identity::Machine,
            reservations: self.hosts.clone(),
            // dnsmasq names itself as router unless a rule says otherwise.
            router: Some(net.addr()),
            dns: Vec::new(),
            domain: None,
            rules: Some(self.rules.clone()),
        })
    }
}

fn expr(tests: &[TagTest]) -> TagExpr {
    let terms: Vec<String> =
        tests.iter().map(|test| format!("{}{}", if test.absent { "!" } else { "" }, test.name)).collect();
    TagExpr::all(terms.iter().map(String::as_str))
}

fn one_mac(hardware: &Hardware) -> Option<Mac> {
    let octets: Option<Vec<u8>> = hardware.octets.iter().copied().collect();
    let ethernet = hardware.kind.is_none_or(|kind| kind == 1);
    octets.filter(|_| ethernet)?.try_into().ok().map(Mac)
}

fn written(text: &Text) -> Written<'_> {
    if text.is_quoted() { Written::quoted(text.as_str()) } else { Written::bare(text.as_str()) }
}

fn condition(on: &On) -> Result<Condition, String> {
    let relay = |sub: u8, id: &[u8]| Condition::RelayAgent { sub, id: id.to_vec() };
    Ok(match on {
        On::Option { code, value } => {
            let value = value.as_ref().map(|text| ValuePattern::read(*code, written(text)));
            let value = value.transpose().map_err(|error| error.to_string())?.unwrap_or(ValuePattern::Any);
            Condition::Option { code: *code, value }
        }
        On::Enterprise { number, value } => {
            let value = value.as_ref().map(|text| ValuePattern::read_as(None, written(text)));
            let value = value.transpose().map_err(|error| error.to_string())?.unwrap_or(ValuePattern::Any);
            Condition::VendorIdentified { enterprise: *number, value }
        }
        On::VendorClass(text) => Condition::VendorClass(text.as_str().into()),
        On::UserClass(text) => Condition::UserClass(text.as_str().into()),
        On::Hardware(hardware) => {
            let pattern: Result<HardwarePattern, _> = hardware.to_string().parse();
            Condition::Hardware(pattern.map_err(|_| format!("`{hardware}` is not a hardware address"))?)
        }
        On::CircuitId(id) => relay(relay_agent::CIRCUIT_ID, id),
        On::RemoteId(id) => relay(relay_agent::REMOTE_ID, id),
        On::SubscriberId(id) => relay(relay_agent::SUBSCRIBER_ID, id),
        On::Name { name, open } => {
            let text = if *open { format!("{name}*") } else { name.clone() };
            Condition::Name(NamePattern::new(&text))
        }
    })
}
