//! A dnsmasq configuration as lanboot.toml, each line's origin beside it; what has no equivalent is listed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use dhcp::v4::options::Written;

use super::lower::{Lowering, hosts, network};
use super::options::answers::{BootFile, Server};
use super::options::ranges::{DhcpRange, RangeMode};
use super::options::service::{Domain, DomainOf};
use super::options::tags::On;
use super::options::tftp::UniqueRoot;
use super::{Directive, Directives, Meaning, Text, lint, lists, syntax};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity, TextFile};
use crate::print::{quote, rules as print, time};
use crate::surroundings::{Entry, Nic, Surroundings};

mod dns;

/// The origin of what no line says.
const UNASKED: &str = "dnsmasq does so unasked";

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// lanboot.toml, with a comment for each line that it comes from and for each that it lacks.
    pub toml: String,
    /// The lines that are not in it, each with the reason: errors where machines will notice, warnings where not.
    pub left_out: Diagnostics,
    /// What will not boot, and why.
    pub lint: Diagnostics,
}

/// Turns directives into lanboot.toml. `mistakes`: lines that could not be read, or that lanboot refuses by name.
pub fn import(directives: &Directives, mistakes: Diagnostics, around: &dyn Surroundings) -> Imported {
    let mut import = Import { nics: around.interfaces(), left_out: mistakes, ..Import::default() };
    let ranges: Vec<_> = directives.list.iter().filter_map(range).collect();
    import.ranges_are_plain = are_plain(&ranges);
    directives.list.iter().for_each(|directive| match list(&directive.meaning) {
        Some(path) => import.list(directive, path, around),
        None => import.directive(directive),
    });
    import.defaults(!ranges.is_empty());
    import.unsaid(directives);
    import.left_out.sort();
    let lint = lint::lint(directives, around);
    Imported { toml: import.print(directives), left_out: import.left_out, lint }
}

fn range(directive: &Directive) -> Option<&DhcpRange> {
    match &directive.meaning {
        Meaning::DhcpRange(range) => Some(range),
        _ => None,
    }
}

/// Whether `range` and `lease` of `[dhcp]` can say them all.
fn are_plain(ranges: &[&DhcpRange]) -> bool {
    ranges.iter().all(|range| {
        let plain = matches!(range.mode, RangeMode::To(_)) && range.set.is_none() && range.tests.is_empty();
        plain && range.netmask.is_none() && range.broadcast.is_none() && range.lease == ranges[0].lease
    })
}

/// The file, or folder of files, of machines that a directive names.
fn list(meaning: &Meaning) -> Option<&Path> {
    match meaning {
        Meaning::DhcpHostsFile(path) | Meaning::DhcpHostsDir(path) => Some(path),
        Meaning::ReadEthers => Some(Path::new("/etc/ethers")),
        _ => None,
    }
}

#[derive(Default)]
struct Import {
    nics: Vec<Nic>,
    ranges_are_plain: bool,
    interface: Option<String>,
    network: Section,
    dhcp: Section,
    /// `range`, gathered into one list.
    ranges: Vec<(String, String)>,
    boot: Section,
    tftp: Section,
    http: Section,
    dns: dns::Dns,
    /// Tables, each with its origin above it.
    tables: Vec<String>,
    /// Likewise for single machines, of which dnsmasq takes the last that fits, and lanboot.toml the first.
    hosts: Vec<String>,
    /// Those of lists, which count first.
    listed: Vec<String>,
    left_out: Diagnostics,
    /// Where each line went that is in the TOML.
    told: Vec<Place>,
    serves_tftp: bool,
    serves_http: bool,
}

/// `key = value` and where it comes from; empty for what dnsmasq does unasked.
#[derive(Default)]
struct Section(Vec<(&'static str, String, String)>);

impl Section {
    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, ..)| *name == key)
    }

    fn put(&mut self, key: &'static str, value: String, origin: String) {
        self.0.retain(|(name, ..)| *name != key);
        self.0.push((key, value, origin));
    }

    /// Adds to a list.
    fn list(&mut self, key: &'static str, items: impl IntoIterator<Item = String>, origin: &str) {
        let items: Vec<_> = items.into_iter().collect();
        match self.0.iter_mut().find(|(name, ..)| *name == key) {
            Some((_, list, origins)) => {
                *list = format!("[{}, {}]", list.trim_matches(['[', ']']), items.join(", "));
                origins.push_str(&format!("; {origin}"));
            }
            None => self.0.push((key, format!("[{}]", items.join(", ")), origin.to_owned())),
        }
    }

    /// Adds an item to a list that is there.
    fn list_first(&mut self, key: &str, item: String) {
        let list = self.0.iter_mut().find(|(name, ..)| *name == key);
        list.into_iter().for_each(|(_, list, _)| *list = format!("[{item}, {}", list.trim_start_matches('[')));
    }

    fn print(&self, name: &str, out: &mut String) {
        if self.0.is_empty() {
            return;
        }
        writeln!(out, "\n[{name}]").expect("writing to a String cannot fail");
        let width = self.0.iter().map(|(key, value, _)| key.len() + value.len()).filter(|width| *width < 50).max();
        for (key, value, origin) in &self.0 {
            let line = format!("{key} = {value}");
            writeln!(out, "{line:width$}  # {origin}", width = width.unwrap_or(0) + 3)
                .expect("writing to a String cannot fail");
        }
    }
}

/// Directives that say how the program behaves as a process, or what lanboot does in any case.
const NOT_NEEDED: &[(&str, &str)] = &[
    ("keep-in-foreground", "`lanboot up` stays in the foreground; a service manager keeps it running"),
    ("no-daemon", "`lanboot up` stays in the foreground"),
    ("pid-file", "`lanboot up` stays in the foreground, so that its pid is known"),
    ("user", "`lanboot up` runs as root"),
    ("group", "`lanboot up` runs as root"),
    ("log-facility", "`lanboot up` prints what happens, and keeps it in journal.jsonl in its state folder"),
    ("log-async", "`lanboot up` never waits for its log"),
    ("log-dhcp", "the journal has every exchange"),
    ("quiet-dhcp", "the journal keeps every exchange"),
    ("quiet-tftp", "the journal keeps every transfer"),
    ("bind-interfaces", "lanboot binds its interface only"),
    ("bind-dynamic", "lanboot binds its interface only"),
    ("dhcp-leasefile", "lanboot keeps leases in its own log; `lanboot leases` prints them"),
    ("conf-file", "its lines are here"),
    ("conf-dir", "its lines are here"),
];

impl Import {
    fn directive(&mut self, directive: &Directive) {
        let origin = origin(&directive.place);
        let mut one = Lowering::default();
        one.take(directive);
        let told = match &directive.meaning {
            Meaning::Interface(patterns) => match patterns.as_slice() {
                [pattern] if !pattern.open && self.interface.as_ref().is_none_or(|name| *name == pattern.name) => {
                    self.interface = Some(pattern.name.clone());
                    self.network.put("interface", quote(&pattern.name), origin);
                    true
                }
                _ => return self.leave_out(directive, "lanboot.toml serves one network: write a file for each"),
            },
            Meaning::ExceptInterface(_) => return self.not_needed(directive, "lanboot serves the one interface named"),
            Meaning::ListenAddress(addresses) => return self.listen(directive, addresses),
            Meaning::DhcpRange(range) => self.range(range, &origin),
            Meaning::DhcpHost(host) => {
                self.hosts.push(format!("# {origin}\n{}", print::host(&hosts::host(host))));
                true
            }
            Meaning::DhcpLeaseMax(max) => self.set("lease_limit", max.to_string(), origin),
            Meaning::DhcpAuthoritative => self.set("authoritative", "true".into(), origin),
            Meaning::DhcpSequentialIp => self.set("allocation", quote("sequential"), origin),
            Meaning::DhcpNoOverride => self.set("keep_fields", "true".into(), origin),
            Meaning::NoPing => self.set("conflict_check", quote("off"), origin),
            Meaning::Match(rule) => {
                let said = match &rule.on {
                    On::Option { value, .. } | On::Enterprise { value, .. } => value.as_ref(),
                    _ => None,
                };
                let rules = one.rules.matches.iter();
                self.tables_of(&origin, rules.map(|rule| print::tag_rule(rule, said.map(written))))
            }
            Meaning::TagIf(_) => self.tables_of(&origin, one.rules.tag_ifs.iter().map(print::tag_if)),
            Meaning::DhcpIgnore(_) => {
                let tests = one.rules.ignore.iter().map(|expr| quote(print::tags(expr)));
                self.dhcp.list("ignore", tests, &origin);
                true
            }
            Meaning::DhcpOption(option) => {
                let written = written(&option.text);
                self.tables_of(&origin, one.rules.options.iter().map(|rule| print::option(rule, Some(written))))
            }
            Meaning::PxeService(_) => self.tables_of(&origin, one.rules.pxe.services.iter().map(print::menu)),
            Meaning::PxePrompt(_) => {
                self.tables_of(&origin, one.rules.options.iter().map(|rule| print::option(rule, None)))
            }
            Meaning::PxeVendor(vendors) => {
                let list: Vec<_> = vendors.iter().map(|vendor| quote(vendor.as_str())).collect();
                self.set("pxe_classes", format!("[{}]", list.join(", ")), origin)
            }
            Meaning::DhcpBoot(BootFile { server: Some(Server::Name(_)), .. }) => {
                return self.leave_out(directive, "lanboot.toml wants the server's address in place of its name");
            }
            Meaning::DhcpBoot(_) => self.tables_of(&origin, one.rules.boots.iter().map(print::boot)),
            Meaning::EnableTftp(patterns) if patterns.is_empty() => {
                self.serves_tftp = true;
                self.tftp.put("enabled", "true".into(), origin);
                true
            }
            Meaning::TftpRoot(root) if root.interface.is_none() => {
                self.tftp.put("root", quote(root.folder.display()), origin);
                true
            }
            Meaning::TftpMax(max) => self.set_tftp("max_transfers", max.to_string(), origin),
            Meaning::TftpUniqueRoot(UniqueRoot::Ip) => self.set_tftp("unique_root", quote("ip"), origin),
            Meaning::TftpUniqueRoot(UniqueRoot::Mac) => self.set_tftp("unique_root", quote("mac"), origin),
            Meaning::TftpSecure => self.set_tftp("secure", "true".into(), origin),
            Meaning::TftpSinglePort => self.set_tftp("single_port", "true".into(), origin),
            Meaning::TftpPortRange(first, last) => {
                self.set_tftp("port_range", quote(format!("{first}-{last}")), origin)
            }
            Meaning::HttpRoot(root) => {
                self.serves_http = true;
                self.http.put("root", quote(root.display()), origin);
                true
            }
            Meaning::HttpPort(port) => {
                self.serves_http = true;
                self.http.put("port", port.to_string(), origin);
                true
            }
            Meaning::Domain(Domain { name: Some(name), of: DomainOf::All, .. }) => {
                self.set("domain", quote(name), origin)
            }
            Meaning::Dns(option) => match self.dns.take(option, &origin) {
                Ok(()) => true,
                Err(dns::Left::Out(why)) => return self.leave_out(directive, why),
                Err(dns::Left::NotNeeded(why)) => return self.not_needed(directive, why),
            },
            _ => match NOT_NEEDED.iter().find(|(name, _)| *name == directive.row.name) {
                Some((_, why)) => return self.not_needed(directive, why),
                None => {
                    return self.leave_out(directive, "lanboot.toml has no equivalent yet: `lanboot dnsmasq` takes it");
                }
            },
        };
        if told && !one.found.has_errors() {
            self.told.push(directive.place.clone());
        } else {
            self.left_out.extend(one.found.0);
        }
    }

    /// Takes the machines of a list as it is now.
    fn list(&mut self, directive: &Directive, path: &Path, around: &dyn Surroundings) {
        let mut files = vec![path.to_owned()];
        if let Ok(Entry::Folder) = around.look(path) {
            let mut names = around.names(path);
            names.sort();
            files = names.into_iter().map(|name| path.join(name)).collect();
        }
        for file in files {
            let text = match around.text_of(&file) {
                Ok(text) => text,
                Err(error) => {
                    let what = format!("{} cannot be read, so its machines are not here: {error}", file.display());
                    self.left_out.push(Diagnostic::error(what).at(directive.place.clone()));
                    continue;
                }
            };
            let source = TextFile::new(file, text);
            let read = if directive.meaning == Meaning::ReadEthers { lists::ethers } else { lists::hosts_file };
            for given in read(&source, &mut self.left_out) {
                let table = print::host(&hosts::host(&given.value));
                self.listed.push(format!("# {}\n{table}", origin(&given.place)));
            }
        }
        self.not_needed(directive, "its machines are here, as they are now; lanboot.toml follows no list");
    }

    fn set(&mut self, key: &'static str, value: String, origin: String) -> bool {
        self.dhcp.put(key, value, origin);
        true
    }

    fn set_tftp(&mut self, key: &'static str, value: String, origin: String) -> bool {
        self.tftp.put(key, value, origin);
        true
    }

    fn table(&mut self, origin: &str, table: String) -> bool {
        self.tables.push(format!("# {origin}\n{table}"));
        true
    }

    fn tables_of(&mut self, origin: &str, tables: impl Iterator<Item = String>) -> bool {
        tables.for_each(|table| {
            self.table(origin, table);
        });
        true
    }

    fn range(&mut self, said: &DhcpRange, origin: &str) -> bool {
        let range = network::lower_range(said, &self.nics);
        if let (true, crate::Gives::Addresses(first, last)) = (self.ranges_are_plain, range.gives) {
            self.ranges.push((quote(crate::resolve::show((first, last))), origin.to_owned()));
            self.dhcp.put("lease", quote(time(range.lease)), origin.to_owned());
            return true;
        }
        // Without a netmask it is part of the network that is served.
        let own = said.netmask.is_none().then_some(range.subnet);
        let range = crate::Range {
            broadcast: if said.broadcast.is_none() { range.subnet.broadcast() } else { range.broadcast },
            ..range
        };
        self.table(origin, print::pool(&range, own))
    }

    fn listen(&mut self, directive: &Directive, addresses: &[crate::said::Given<std::net::IpAddr>]) {
        let nic = self.nics.iter().find(|nic| {
            nic.addresses
                .iter()
                .any(|net| addresses.iter().any(|given| given.value == std::net::IpAddr::V4(net.addr())))
        });
        match nic.map(|nic| nic.name.clone()) {
            Some(name) if self.interface.as_ref().is_none_or(|interface| *interface == name) => {
                self.network.put("interface", quote(&name), origin(&directive.place));
                self.interface = Some(name);
                self.told.push(directive.place.clone());
            }
            // Where an interface is named, it has the address.
            _ => self.not_needed(directive, "lanboot serves from the address that its interface has"),
        }
    }

    /// What dnsmasq does unless told otherwise, and lanboot does not.
    fn defaults(&mut self, has_ranges: bool) {
        if has_ranges {
            let defaults = [
                ("authoritative", "false".to_owned()),
                ("lease_limit", "1000".to_owned()),
                ("allocation", quote("hashed")),
                ("router", quote("self")),
            ];
            for (key, value) in defaults {
                if !self.dhcp.has(key) {
                    self.dhcp.put(key, value, UNASKED.into());
                }
            }
            self.boot.put("chain", quote("rules"), "only what the rules above say is booted, as in dnsmasq".into());
        } else {
            self.dhcp.put("enabled", "false".into(), "there is no dhcp-range".into());
        }
        if !self.serves_tftp {
            self.tftp.put("enabled", "false".into(), "there is no enable-tftp".into());
        } else if !self.tftp.has("max_transfers") {
            self.tftp.put("max_transfers", "50".into(), UNASKED.into());
        }
        if !self.serves_http {
            self.http.put("enabled", "false".into(), "dnsmasq serves no HTTP".into());
        }
        let domain = self.dhcp.0.iter().find(|(key, ..)| *key == "domain");
        let domain = domain.and_then(|(_, name, _)| name.trim_matches('"').parse().ok());
        self.dns.finish(self.interface.is_some(), domain.as_ref());
        if self.interface.is_none() {
            let what = "no single interface is named, which lanboot.toml needs";
            let fix = "add it to [network]: interface = \"eth1\"";
            self.left_out.push(Diagnostic::error(what).fix(fix));
        }
    }

    fn leave_out(&mut self, directive: &Directive, why: &str) {
        let what = format!("`{}` is left out: {why}", directive.row.name);
        self.left_out.push(Diagnostic::error(what).at(directive.place.clone()));
    }

    fn not_needed(&mut self, directive: &Directive, why: &str) {
        let what = format!("`{}` is not needed: {why}", directive.row.name);
        self.left_out.push(Diagnostic::warning(what).at(directive.place.clone()));
    }

    /// Lists the lines that nobody has spoken of: those that change nothing in dnsmasq either.
    fn unsaid(&mut self, directives: &Directives) {
        self.left_out.extend(directives.warnings.0.iter().cloned());
        let line_of = |place: &Place| match place {
            Place::File { source, span } => Some((source.path.clone(), line(&source.text, span.start))),
            _ => None,
        };
        let told = self.told.iter().chain(self.left_out.iter().map(|left| &left.place));
        let told: BTreeSet<_> = told.filter_map(line_of).collect();
        for source in &directives.sources {
            for text in syntax::lines(source).flatten() {
                let included =
                    ["conf-file", "conf-dir", "conf-script"].iter().any(|name| text.as_str().starts_with(name));
                if !included && line_of(text.place()).is_some_and(|at| !told.contains(&at)) {
                    let what = format!("`{}` is not needed: lanboot does so, or it changes nothing", text.as_str());
                    self.left_out.push(Diagnostic::warning(what).at(text.place().clone()));
                }
            }
        }
    }

    fn print(&self, directives: &Directives) -> String {
        let names: Vec<_> = directives.sources.iter().map(|source| source.path.display().to_string()).collect();
        let from = if names.is_empty() { "a dnsmasq command line".to_owned() } else { names.join(", ") };
        let mut out = format!("# From {from}, by lanboot import. Behind each line: where it comes from.\n");
        for (severity, heading) in [(Severity::Error, "WITHOUT AN EQUIVALENT"), (Severity::Warning, "Not needed")] {
            let some: Vec<_> = self.left_out.iter().filter(|left| left.severity == severity).collect();
            if !some.is_empty() {
                out.push_str(&format!("#\n# {heading}:\n"));
            }
            for left in some {
                out.push_str(&format!("#   {}: {}\n", origin(&left.place), left.what.replace('\n', " ")));
            }
        }
        self.network.print("network", &mut out);
        let mut dhcp = Section(self.dhcp.0.clone());
        if !self.ranges.is_empty() {
            let (ranges, origins): (Vec<_>, Vec<_>) = self.ranges.iter().cloned().unzip();
            let value = if let [one] = ranges.as_slice() { one.clone() } else { format!("[{}]", ranges.join(", ")) };
            dhcp.0.insert(0, ("range", value, origins.join("; ")));
        }
        dhcp.print("dhcp", &mut out);
        for table in self.tables.iter().chain(self.listed.iter().rev()).chain(self.hosts.iter().rev()) {
            out.push_str(&format!("\n{}\n", table.trim_end()));
        }
        self.boot.print("boot", &mut out);
        self.tftp.print("tftp", &mut out);
        self.http.print("http", &mut out);
        self.dns.print(&mut out);
        out
    }
}

fn written(text: &Text) -> Written<'_> {
    Written { text: text.as_str(), quoted: text.is_quoted() }
}

/// `dnsmasq.conf:5: dhcp-range=…`, or the flag.
fn origin(place: &Place) -> String {
    match place {
        Place::File { source, span } => {
            let number = line(&source.text, span.start);
            let text = source.text.lines().nth(number - 1).unwrap_or("").trim();
            format!("{}:{number}: {text}", source.path.display())
        }
        Place::Flag(flag) => flag.clone(),
        Place::Host => "the whole".to_owned(),
    }
}

/// The number of the line that an offset is in, from 1.
fn line(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}
