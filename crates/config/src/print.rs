//! Writes a configuration as lanboot.toml, every default spelt out: what `lanboot check --print` shows.

use std::fmt::{Display, Write};
use std::path::Path;
use std::time::Duration;

use boot::{Chain, MachinePolicy, ReplaceRomIpxe, Target};
use mac::Mac;

use crate::resolve::show;
use crate::value::{self, INFINITE};
use crate::{
    Access, Allocation, Config, ConflictCheck, Dhcp, Identity, Link, Network, Source, TransferPorts, Transport,
};

impl Config {
    /// The configuration as TOML. Read again in the same surroundings, it gives the same configuration, provided that
    /// its paths are UTF-8.
    pub fn to_toml(&self) -> String {
        let mut out = Printer(String::new());
        out.network(&self.network);
        out.dhcp(self.dhcp.as_ref());
        out.boot(self);
        out.services(self);
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

    fn dhcp(&mut self, dhcp: Option<&Dhcp>) {
        self.section("dhcp");
        self.bare("enabled", dhcp.is_some());
        let Some(dhcp) = dhcp else { return };
        self.texts("range", dhcp.dynamic().map(show));
        dhcp.ranges.first().inspect(|range| self.text("lease", time(range.lease)));
        let allocation = match dhcp.allocation {
            Allocation::Sequential => "sequential",
            Allocation::Hashed => "hashed",
        };
        self.text("allocation", allocation);
        self.bare("authoritative", dhcp.authoritative);
        dhcp.lease_limit.inspect(|limit| self.bare("lease_limit", limit));
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
        self.text("router", dhcp.router.map_or("none".to_owned(), |router| router.to_string()));
        self.texts("dns", &dhcp.dns);
        dhcp.domain.as_ref().inspect(|domain| self.text("domain", domain));
    }

    fn boot(&mut self, config: &Config) {
        self.section("boot");
        let replace_rom_ipxe = match config.boot.replace_rom_ipxe {
            ReplaceRomIpxe::WhenNeeded => "when-needed",
            ReplaceRomIpxe::Always => "always",
            ReplaceRomIpxe::Never => "never",
        };
        self.text("replace_rom_ipxe", replace_rom_ipxe);
        let chain = match config.boot.chain {
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

/// A TOML string.
fn quote(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

fn time(time: Duration) -> String {
    match time {
        INFINITE => "infinite".to_owned(),
        _ if time.subsec_millis() != 0 => format!("{}ms", time.as_millis()),
        _ => format!("{}s", time.as_secs()),
    }
}
