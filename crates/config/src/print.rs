//! Writes a configuration as lanboot.toml, every default spelt out: what `lanboot check --print` shows.

pub(crate) mod dns;
pub(crate) mod rules;

use std::fmt::{Display, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use boot::{Chain, Host, MachinePolicy, ReplaceRomIpxe, Target};
use ipnet::Ipv4Net;
use mac::Mac;

use crate::resolve::show;
use crate::value::{self, INFINITE};
use crate::{
    Access, Allocation, Chooser, Config, ConflictCheck, Dhcp, Identity, LeaseDatabase, Link, Network, Source,
    TransferPorts, Transport,
};

impl Config {
    /// The configuration as TOML. Read again in the same surroundings, it gives the same configuration, provided that
    /// its paths are UTF-8.
    pub fn to_toml(&self) -> String {
        let mut out = Printer(String::new());
        out.network(&self.network);
        out.dhcp(self);
        out.boot(self);
        out.services(self);
        out.dns(self);
        if let Some(LeaseDatabase { url, password_file }) = &self.leases {
            out.section("leases");
            out.text("database", url);
            password_file.as_ref().inspect(|file| out.text("password_file", file.display()));
        }
        out.section("state");
        out.text("dir", self.state_dir.display());
        for (mac, machine) in &self.boot.machines {
            out.machine(self, *mac, machine);
        }
        out.0
    }

    /// Where a published file lies.
    fn path_of<'a>(&'a self, name: &'a str) -> &'a Path {
        let path = self.publish.iter().find_map(|publish| match &publish.source {
            Source::File(path) if publish.name == name => Some(path.as_path()),
            _ => None,
        });
        path.unwrap_or(Path::new(name))
    }
}

struct Printer(String);

impl Printer {
    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("writing to a String cannot fail");
    }

    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}[{name}]"));
    }

    /// A number, true or false.
    fn bare(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.bare(key, quote(value));
    }

    fn texts<T: Display>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let values: Vec<_> = values.into_iter().map(quote).collect();
        if !values.is_empty() {
            self.bare(key, format_args!("[{}]", values.join(", ")));
        }
    }

    /// A single text stands for itself.
    fn one_or_more<T: Display>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        match values.into_iter().collect::<Vec<_>>().as_slice() {
            [one] => self.text(key, one),
            several => self.texts(key, several),
        }
    }

    fn network(&mut self, network: &Network) {
        self.section("network");
        match &network.link {
            Link::Bridge { name, ports } => {
                self.text("bridge", name);
                self.texts("ports", ports);
            }
            Link::Existing { name } => self.text("interface", name),
        }
        network.address.inspect(|address| self.text("address", address));
        self.bare("masquerade", network.masquerade);
        for forward in &network.forwards {
            self.line("\n[[network.forward]]");
            let protocol = match forward.protocol {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            };
            self.text("protocol", protocol);
            forward.interface.as_ref().inspect(|name| self.text("interface", name));
            self.bare("port", forward.port);
            self.text("to", forward.to);
        }
    }

    fn dhcp(&mut self, config: &Config) {
        self.section("dhcp");
        self.bare("enabled", config.dhcp.is_some());
        let Some(dhcp) = &config.dhcp else {
            // DNS has use for it without DHCP.
            let domain = config.dns.as_ref().and_then(|dns| dns.settings.local.domains.default.as_ref());
            domain.inspect(|domain| self.text("domain", domain));
            return;
        };
        let own = config.network.address.map(|net| net.trunc());
        // One lease time and no terms: then they are the ranges of [dhcp] itself.
        let plain = |range: &&crate::Range| {
            let first = &dhcp.ranges[0];
            matches!(range.gives, crate::Gives::Addresses(..))
                && range.set.is_none()
                && range.when.is_empty()
                && range.lease == first.lease
                && range.subnet == first.subnet
                && range.broadcast == range.subnet.broadcast()
        };
        let is_proxy = |range: &crate::Range| {
            let plain = range.set.is_none() && range.when.is_empty() && own == Some(range.subnet);
            range.gives == crate::Gives::Proxy && plain
        };
        if let [range] = dhcp.ranges.as_slice()
            && is_proxy(range)
        {
            self.text("mode", "proxy");
            return self.rest_of_dhcp(dhcp, own, false);
        }
        let as_pools = !dhcp.ranges.iter().all(|range| plain(&range)) || dhcp.ranges.is_empty();
        if !as_pools {
            self.texts("range", dhcp.dynamic().map(show));
            self.text("lease", time(dhcp.ranges[0].lease));
        }
        dhcp.lease_limit.inspect(|limit| self.bare("lease_limit", limit));
        if dhcp.client_rate != crate::Dhcp::CLIENT_RATE {
            self.bare("client_rate", dhcp.client_rate);
        }
        self.rest_of_dhcp(dhcp, own, as_pools);
    }

    fn rest_of_dhcp(&mut self, dhcp: &Dhcp, own: Option<Ipv4Net>, as_pools: bool) {
        let allocation = match dhcp.allocation {
            Allocation::Sequential => "sequential",
            Allocation::Hashed => "hashed",
        };
        self.text("allocation", allocation);
        self.bare("authoritative", dhcp.authoritative);
        let conflict_check = match dhcp.conflict_check {
            ConflictCheck::Arp => "arp",
            ConflictCheck::Icmp => "icmp",
            ConflictCheck::Off => "off",
        };
        self.text("conflict_check", conflict_check);
        self.text("conflict_wait", time(dhcp.conflict_wait));
        let identity = match dhcp.identity {
            Identity::Machine => "machine",
            Identity::ClientId => "client-id",
        };
        self.text("identity", identity);
        self.text("router", router(dhcp.router));
        match dhcp.dns.is_empty() {
            true => self.bare("dns", "[]"),
            false => self.texts("dns", dhcp.dns.iter().map(|server| router(Some(*server)))),
        }
        dhcp.domain.as_ref().inspect(|domain| self.text("domain", domain));
        self.rules(dhcp, own, as_pools);
    }

    fn rules(&mut self, dhcp: &Dhcp, own: Option<Ipv4Net>, as_pools: bool) {
        let rules = &dhcp.rules;
        if !rules.ignore.is_empty() {
            self.texts("ignore", rules.ignore.iter().map(rules::tags));
        }
        if rules.keep_fields {
            self.bare("keep_fields", true);
        }
        if !rules.pxe.vendors.is_empty() {
            self.texts("pxe_classes", &rules.pxe.vendors);
        }
        let pools = dhcp.ranges.iter().filter(|_| as_pools).map(|range| rules::pool(range, own));
        let matches = rules.matches.iter().map(|rule| rules::tag_rule(rule, None));
        let tag_ifs = rules.tag_ifs.iter().map(rules::tag_if);
        let options = rules.options.iter().map(|rule| rules::option(rule, None));
        let boots = rules.boots.iter().map(rules::boot);
        let menu = rules.pxe.services.iter().map(rules::menu);
        let hosts = dhcp.hosts.iter().filter(|host| !is_machine(host)).map(rules::host);
        for table in pools.chain(matches).chain(tag_ifs).chain(options).chain(boots).chain(menu).chain(hosts) {
            self.line(format_args!("\n{}", table.trim_end()));
        }
    }

    fn boot(&mut self, config: &Config) {
        self.section("boot");
        let replace_rom_ipxe = match config.boot.replace_rom_ipxe {
            ReplaceRomIpxe::WhenNeeded => "when-needed",
            ReplaceRomIpxe::Always => "always",
            ReplaceRomIpxe::Never => "never",
        };
        self.text("replace_rom_ipxe", replace_rom_ipxe);
        let by_rules = config.dhcp.as_ref().is_some_and(|dhcp| dhcp.chooser == Chooser::Rules);
        let chain = match config.boot.chain {
            _ if by_rules => "rules",
            Chain::Auto => "auto",
            Chain::Ipxe => "ipxe",
            Chain::Direct => "direct",
        };
        self.text("chain", chain);
        config.ipxe.as_ref().inspect(|folder| self.text("ipxe", folder.display()));
        self.target(config, &config.boot.target);
    }

    fn target(&mut self, config: &Config, target: &Target) {
        match target {
            Target::Nothing => {}
            Target::Linux { kernel, initrds, cmdline } => {
                self.text("kernel", config.path_of(kernel).display());
                self.texts("initrd", initrds.iter().map(|initrd| config.path_of(initrd).display()));
                self.text("cmdline", cmdline);
            }
            Target::Script { name } => self.text("script", config.path_of(name).display()),
            Target::BootFile { any, by_platform } => {
                any.as_ref().inspect(|name| self.text("file", name));
                for (platform, name) in by_platform {
                    self.text(&format!("files.{}", platform.name()), name);
                }
            }
        }
    }

    fn services(&mut self, config: &Config) {
        let mut folders = config.publish.iter().filter_map(|publish| match &publish.source {
            Source::Folder(path) => Some(path),
            Source::File(_) => None,
        });
        self.section("tftp");
        self.bare("enabled", config.tftp.is_some());
        folders.next().inspect(|root| self.text("root", root.display()));
        if config.file_rules.access == Access::Own {
            self.bare("secure", true);
        }
        if let Some(tftp) = &config.tftp {
            tftp.unique_root.inspect(|by| self.text("unique_root", value::unique_root_name(*by)));
            self.bare("port", tftp.port);
            match tftp.ports {
                TransferPorts::Any => {}
                TransferPorts::Range(first, last) => self.text("port_range", format!("{first}-{last}")),
                TransferPorts::Single => self.bare("single_port", true),
            }
            tftp.max_blksize.inspect(|octets| self.bare("max_blksize", octets));
            self.bare("max_windowsize", tftp.max_windowsize);
            self.bare("max_transfers", tftp.max_transfers);
        }
        self.section("http");
        self.bare("enabled", config.http.is_some());
        folders.next().inspect(|root| self.text("root", root.display()));
        config.http.as_ref().inspect(|http| self.bare("port", http.port));
    }

    fn machine(&mut self, config: &Config, mac: Mac, machine: &MachinePolicy) {
        self.line("\n[[machine]]");
        self.text("mac", mac);
        machine.name.as_ref().inspect(|name| self.text("name", name));
        let hosts = config.dhcp.iter().flat_map(|dhcp| dhcp.hosts.iter());
        let mut hosts = hosts.filter(|host| host.hardware.iter().any(|hardware| hardware.mac() == Some(mac)));
        hosts.find_map(|host| host.address).inspect(|address| self.text("address", address));
        if let Some(target) = &machine.target {
            self.line("[machine.boot]");
            self.target(config, target);
        }
    }
}

/// Whether all of it can be said in a `[[machine]]`.
fn is_machine(host: &Host) -> bool {
    let Some(mac) = host.hardware.first().and_then(|hardware| hardware.mac()) else { return false };
    let (address, name) = (host.address, host.name.clone());
    *host == Host { hardware: vec![mac.into()], address, name, ..Host::default() }
}

pub(crate) fn router(router: Option<Ipv4Addr>) -> String {
    match router {
        None => "none".to_owned(),
        Some(Ipv4Addr::UNSPECIFIED) => "self".to_owned(),
        Some(router) => router.to_string(),
    }
}

/// A TOML string.
pub(crate) fn quote(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

pub(crate) fn time(time: Duration) -> String {
    match time {
        INFINITE => "infinite".to_owned(),
        _ if time.subsec_millis() != 0 => format!("{}ms", time.as_millis()),
        _ => {
            let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
            let secs = time.as_secs();
            let (unit, letter) =
                units.into_iter().find(|(unit, _)| secs > 0 && secs.is_multiple_of(*unit)).unwrap_or((1, "s"));
            format!("{}{letter}", secs / unit)
        }
    }
}
