//! Directives to the one [`Config`] that the engine knows: the dialect's second half.
//!
//! What is read but not served yet is refused by name here, so that nothing that a user relies on is lost in silence.

mod answers;
mod dns;
pub(super) mod hosts;
mod manners;
pub(super) mod network;
mod process;
mod pxe;
mod script;
mod tftp;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use boot::Hosts;
use boot::matching::{Tag, TagExpr, TagIf};
use boot::rules::{OptionRule, Rules, Target};
use dhcp::v4::options::code;
use journal::Role;

pub use process::Process;

use super::options::hosts::DhcpHost;
use super::options::ranges::{DhcpRange, RangeMode};
use super::options::service::Domain;
use super::options::tags::TagTest;
use super::{Directive, Directives, Lists, Meaning};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::said::Given;
use crate::surroundings::Surroundings;
use crate::{
    Allocation, Chooser, Config, ConflictCheck, Dhcp, DnsClients, Gives, Http, Identity, Link, Manners, Network, Ports,
    Publish, RelaysAsServers, Shared, Source,
};
pub use network::Where;
pub use script::Script;

/// The options that are read by their grammar and served. docs/dnsmasq.md says so of these, and of no others.
#[rustfmt::skip]
pub const SERVED: &[&str] = &[
    "keep-in-foreground", "no-daemon", "pid-file", "conf-file", "conf-dir", "conf-script", "test", "version", "help",
    "user", "group", "log-facility", "log-dhcp", "quiet-dhcp", "quiet-tftp",
    "interface", "except-interface", "no-dhcp-interface", "no-dhcpv4-interface", "listen-address", "bind-interfaces", "bind-dynamic",
    "dhcp-range", "shared-network", "dhcp-host", "dhcp-lease-max", "dhcp-leasefile", "dhcp-authoritative", "dhcp-sequential-ip",
    "dhcp-hostsfile", "dhcp-hostsdir", "dhcp-optsfile", "dhcp-optsdir", "read-ethers",
    "leasefile-ro", "dhcp-script", "dhcp-scriptuser", "script-arp", "script-on-renewal",
    "dhcp-no-override", "no-ping", "dhcp-ignore-clid", "dhcp-proxy", "dhcp-relay", "bridge-interface",
    "dhcp-match", "dhcp-vendorclass", "dhcp-userclass", "dhcp-mac", "dhcp-circuitid", "dhcp-remoteid", "dhcp-subscrid",
    "dhcp-name-match", "tag-if", "dhcp-ignore",
    "dhcp-option", "dhcp-option-force", "dhcp-boot", "pxe-service", "pxe-prompt", "dhcp-pxe-vendor", "domain",
    "dhcp-ignore-names", "dhcp-generate-names", "dhcp-client-update", "dhcp-fqdn", "dhcp-broadcast", "bootp-dynamic",
    "dhcp-rapid-commit", "dhcp-reply-delay", "dhcp-alternate-port",
    "enable-tftp", "tftp-root", "tftp-unique-root", "tftp-secure", "tftp-no-fail", "tftp-lowercase", "tftp-no-blocksize",
    "tftp-max", "tftp-mtu", "tftp-port-range", "tftp-single-port",
    "http-root", "http-port",
    "port", "server", "local", "rev-server", "servers-file", "resolv-file", "no-resolv", "no-poll", "clear-on-reload",
    "strict-order", "all-servers", "domain-needed", "bogus-priv", "filterwin2k", "filter-A", "filter-AAAA", "filter-rr",
    "edns-packet-max", "query-port", "min-port", "max-port", "dns-forward-max", "fast-dns-retry",
    "stop-dns-rebind", "rebind-localhost-ok", "rebind-domain-ok", "dns-loop-detect", "ignore-address", "strip-mac",
    "strip-subnet", "add-cpe-id", "proxy-dnssec", "cache-size", "no-negcache", "use-stale-cache", "cache-rr", "neg-ttl",
    "max-ttl", "max-cache-ttl", "min-cache-ttl", "no-hosts", "addn-hosts", "hostsdir", "expand-hosts", "log-queries",
    "local-service", "localise-queries", "local-ttl", "dhcp-ttl", "selfmx", "localmx", "mx-target", "no-round-robin",
    "no-ident", "max-tcp-connections", "address", "bogus-nxdomain", "alias", "host-record", "dynamic-host",
    "interface-name", "cname", "mx-host", "srv-host", "txt-record", "ptr-record", "naptr-record", "caa-record", "dns-rr",
    "synth-domain",
];

/// What a dnsmasq command line comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub config: Config,
    pub process: Process,
    /// What is served where, for interfaces and addresses that come later.
    pub later: Where,
    pub script: Script,
}

/// Where dnsmasq keeps its leases on Debian unless told otherwise.
const LEASE_FILE: &str = "/var/lib/misc/dnsmasq.leases";
/// dnsmasq's default for dhcp-lease-max.
const LEASE_MAX: usize = 1000;

/// Lowers directives to a configuration.
///
/// # Errors
/// Everything that is not served yet, and what does not fit together, each with its place.
pub fn lower(directives: &Directives, around: &dyn Surroundings) -> Result<(Service, Diagnostics), Diagnostics> {
    lower_with(directives, &Lists::default(), around)
}

/// As [`lower`], with what lists say that are read again while we serve.
///
/// # Errors
/// As for [`lower`].
pub fn lower_with(
    directives: &Directives,
    lists: &Lists,
    around: &dyn Surroundings,
) -> Result<(Service, Diagnostics), Diagnostics> {
    let mut lowering = Lowering::default();
    for directive in directives.list.iter().chain(lists.directives()) {
        lowering.take(directive);
    }
    lowering.name_servers();
    let config = lowering.config(around);
    let Lowering { found, process, script, at, .. } = lowering;
    match config {
        Some(config) if !found.has_errors() => Ok((Service { config, process, script, later: at }, found)),
        _ => Err(found),
    }
}

/// The mistakes that show without looking at the host, for `--test`.
pub fn check(directives: &Directives) -> Diagnostics {
    let mut lowering = Lowering::default();
    directives.list.iter().for_each(|directive| lowering.take(directive));
    lowering.name_servers();
    lowering.found
}

#[derive(Default)]
pub(super) struct Lowering {
    pub(super) found: Diagnostics,
    process: Process,
    script: Script,
    at: Where,
    dhcp_ranges: Vec<DhcpRange>,
    shared: Vec<Shared>,
    hosts: Vec<DhcpHost>,
    pub(super) rules: Rules,
    pub(super) manners: Manners,
    domains: Vec<(Domain, crate::Place)>,
    /// The places of `rules.boots` whose server is told by its name.
    boot_servers: Vec<(usize, Given<String>)>,
    lease_max: Option<usize>,
    lease_file: Option<PathBuf>,
    authoritative: bool,
    sequential: bool,
    no_ping: bool,
    dns: dns::Lowering,
    ignores_client_id: bool,
    relays_as_servers: RelaysAsServers,
    tftp: tftp::Lowering,
    http_root: Option<PathBuf>,
    http_port: Option<u16>,
}

impl Lowering {
    pub(super) fn take(&mut self, directive: &Directive) {
        if self.process.take(&directive.meaning) {
            return;
        }
        let place = &directive.place;
        if self.script.take(&directive.meaning) {
            return;
        }
        match &directive.meaning {
            // What these lists say comes on its own.
            Meaning::DhcpHostsFile(_) | Meaning::DhcpHostsDir(_) | Meaning::DhcpOptsFile(_) => {}
            Meaning::DhcpOptsDir(_) | Meaning::ReadEthers => {}
            Meaning::Dns(option) => {
                self.dns.take(option, place);
                self.at.dns_for_this_host = self.dns.clients() == Some(DnsClients::ThisHost);
            }
            Meaning::Nothing => {}
            Meaning::BindInterfaces => self.at.bound = true,
            Meaning::BindDynamic => self.at.bound = false,
            Meaning::Interface(patterns) => {
                self.at.interfaces.extend(patterns.iter().map(|pattern| (pattern.clone(), place.clone())));
            }
            Meaning::ExceptInterface(patterns) => self.at.except.extend(patterns.iter().cloned()),
            Meaning::ListenAddress(addresses) => self.at.addresses.extend(addresses.iter().cloned()),
            Meaning::NoDhcpInterface(patterns) => self.at.no_dhcp_at_all.extend(patterns.iter().cloned()),
            Meaning::NoDhcpv4Interface(patterns) => self.at.no_dhcp.extend(patterns.iter().cloned()),
            Meaning::DhcpRange(range) => self.dhcp_ranges.push(range.clone()),
            Meaning::SharedNetwork(shared) => self.shared_network(shared),
            Meaning::DhcpHost(host) => self.hosts.push(host.clone()),
            Meaning::DhcpLeaseMax(max) => self.lease_max = Some(*max as usize),
            Meaning::DhcpLeaseFile(path) => self.lease_file = path.clone(),
            Meaning::DhcpAuthoritative => self.authoritative = true,
            Meaning::DhcpSequentialIp => self.sequential = true,
            Meaning::DhcpNoOverride => self.rules.keep_fields = true,
            Meaning::Relay(relay) => self.at.relays.push(relay.clone()),
            Meaning::BridgeInterface { interface, aliases } => {
                self.at.aliases.extend(aliases.iter().map(|alias| (alias.clone(), interface.clone())));
            }
            Meaning::DhcpIgnoreClid => self.ignores_client_id = true,
            Meaning::DhcpProxy(relays) if relays.is_empty() => self.relays_as_servers = RelaysAsServers::All,
            Meaning::DhcpProxy(relays) => self.relay_as_server(relays),
            Meaning::NoPing => self.no_ping = true,
            Meaning::DhcpRapidCommit => self.manners.rapid_commit = true,
            Meaning::DhcpClientUpdate => self.manners.client_updates = true,
            Meaning::DhcpFqdn => self.manners.names_with_domains = true,
            Meaning::ReplyDelay(delay) => {
                let wait = Duration::from_secs(delay.seconds.into());
                self.manners.delays.push((expr(&delay.tests), wait));
            }
            Meaning::Domain(domain) => self.domains.push((domain.clone(), place.clone())),
            Meaning::AlternatePort(ports) => {
                self.manners.ports = Ports { server: ports.server, client: ports.client };
            }
            Meaning::DhcpIgnoreNames(tests) => self.manners.ignore_names.push(expr(tests)),
            Meaning::DhcpGenerateNames(tests) => self.manners.generate_names.push(expr(tests)),
            Meaning::DhcpBroadcast(tests) => self.manners.broadcast.push(expr(tests)),
            Meaning::BootpDynamic(tests) => self.manners.bootp.push(expr(tests)),
            Meaning::Match(rule) => self.tag_rule(rule),
            Meaning::TagIf(rule) => {
                let set = rule.set.iter().map(|tag| Tag::from(tag.value.as_str())).collect();
                self.rules.tag_ifs.push(TagIf { when: expr(&rule.tests), set });
            }
            Meaning::DhcpIgnore(tests) => self.rules.ignore.push(expr(tests)),
            Meaning::DhcpOption(option) => self.option(option),
            Meaning::DhcpBoot(boot) => self.boot(boot),
            Meaning::PxeService(service) => self.pxe_service(service, directive),
            Meaning::PxePrompt(prompt) => self.pxe_prompt(prompt, directive),
            Meaning::PxeVendor(vendors) => {
                self.rules.pxe.vendors.extend(vendors.iter().map(|vendor| vendor.as_str().to_owned()));
            }
            Meaning::EnableTftp(patterns) => {
                self.tftp.enabled = true;
                self.at.tftp.extend(patterns.iter().cloned());
            }
            Meaning::HttpRoot(folder) => self.http_root = Some(folder.clone()),
            Meaning::HttpPort(port) => self.http_port = Some(*port),
            _ if self.tftp.take(directive, &mut self.found) => {}
            _ => self.later(directive, ""),
        }
    }

    /// Refuses what is read but not served. `part`: which part of the option, where the rest is.
    fn later(&mut self, directive: &Directive, part: &str) {
        let what = format!("`{}`{part} is read, but not served yet", directive.row.name);
        let fix = "leave it out, or stay with dnsmasq until lanboot serves it";
        self.found.push(Diagnostic::error(what).at(directive.place.clone()).fix(fix));
    }

    /// dnsmasq names itself to machines as their DNS server, where it can: an address without a port.
    fn name_servers(&mut self) {
        let names_some = |rule: &OptionRule| rule.target == Target::Plain(code::DNS_SERVERS);
        if self.dns.is_told() || self.dns.is_off() || self.rules.options.iter().any(names_some) {
            return;
        }
        let Some(range) = self.dhcp_ranges.iter().find(|range| range.mode != RangeMode::Proxy) else { return };
        let what = "machines are told no DNS server: ours is not on port 53, and they cannot be told another port";
        let fix = "name one: dhcp-option=option:dns-server,ADDRESS; or leave out port, or write port=0";
        self.found.push(Diagnostic::warning(what).at(range.start.place.clone()).fix(fix));
    }

    /// Whether nothing but DNS is asked for, which any address will do for.
    fn is_dns_alone(&self) -> bool {
        let none_else = self.dhcp_ranges.is_empty() && self.at.relays.is_empty() && !self.tftp.enabled;
        !self.dns.is_off() && none_else && self.http_root.is_none() && self.http_port.is_none()
    }

    /// `None` only after an error.
    fn config(&mut self, around: &dyn Surroundings) -> Option<Config> {
        let served = self.served(around);
        let (name, address) = match served.first() {
            Some(first) => (first.interface.clone(), first.addresses.first().copied()),
            None if self.is_dns_alone() => {
                let lo = around.interfaces().into_iter().find(|nic| nic.is_loopback)?;
                (lo.name, lo.addresses.first().copied())
            }
            None => return None,
        };
        self.process.lease_file = self.lease_file.clone().unwrap_or_else(|| LEASE_FILE.into());
        let mut state_dir = self.process.lease_file.clone().into_os_string();
        state_dir.push(".lanboot");
        let domain = self.domains(around);
        let dhcp = self.dhcp(domain, around);
        self.process.log_queries_extra = self.dns.logs_extra;
        let dns = self.dns.lower(&self.at, self.manners.names_with_domains, around, &mut self.found);
        let tftp::Lowered { tftp, publish } =
            self.tftp.lower(&served, self.http_root.is_some(), around, &mut self.found);
        let http_root = self.http_root.iter().map(|folder| Publish {
            name: String::new(),
            source: Source::Folder(folder.clone()),
            role: Role::Other,
        });
        let publish = publish.into_iter().chain(http_root).collect();
        let serves_tftp = tftp.is_some() && served.iter().any(|served| served.tftp);
        let serves_http = self.http_root.is_some() || self.http_port.is_some();
        Some(Config {
            dns,
            network: Network { link: Link::Existing { name }, address, masquerade: false, forwards: Vec::new() },
            dhcp,
            boot: boot::Policy { tftp: serves_tftp, ..boot::Policy::default() },
            tftp,
            http: serves_http.then(|| Http { port: self.http_port.unwrap_or(80) }),
            publish,
            file_rules: self.tftp.file_rules(),
            ipxe: None,
            leases: None,
            state_dir: state_dir.into(),
            served,
        })
    }

    /// As in dnsmasq, there is DHCP where there is a range, or something to relay.
    fn dhcp(&mut self, domain: Option<String>, around: &dyn Surroundings) -> Option<Dhcp> {
        let ranges = self.ranges(around);
        self.find_boot_servers(around);
        // dnsmasq leaves a proxy with nothing but dhcp-boot silent, so that nobody boots by it.
        let only_proxies = !ranges.is_empty() && ranges.iter().all(|range| range.gives == Gives::Proxy);
        self.rules.pxe.enabled |= only_proxies && !self.rules.boots.is_empty();
        (!ranges.is_empty() || !self.at.relays.is_empty()).then(|| Dhcp {
            ranges,
            shared: self.shared.clone(),
            // Of several lines for one machine, dnsmasq takes the last.
            hosts: Hosts::new(self.hosts.iter().rev().map(hosts::host)),
            allocation: if self.sequential { Allocation::Sequential } else { Allocation::Hashed },
            authoritative: self.authoritative,
            lease_limit: Some(self.lease_max.unwrap_or(LEASE_MAX)),
            client_rate: Dhcp::CLIENT_RATE,
            conflict_check: if self.no_ping { ConflictCheck::Off } else { ConflictCheck::Arp },
            conflict_wait: Duration::from_millis(300),
            identity: Identity::Machine,
            ignores_client_id: self.ignores_client_id,
            relays: self.at.relays.iter().map(network::relay).collect(),
            relays_as_servers: self.relays_as_servers.clone(),
            // dnsmasq names itself as router unless a rule says otherwise.
            router: Some(Ipv4Addr::UNSPECIFIED),
            dns: if self.dns.is_told() { vec![Ipv4Addr::UNSPECIFIED] } else { Vec::new() },
            domain,
            chooser: Chooser::Rules,
            rules: self.rules.clone(),
            manners: self.manners.clone(),
        })
    }
}

fn expr(tests: &[TagTest]) -> TagExpr {
    let terms: Vec<String> =
        tests.iter().map(|test| format!("{}{}", if test.absent { "!" } else { "" }, test.name)).collect();
    TagExpr::all(terms.iter().map(String::as_str))
}
