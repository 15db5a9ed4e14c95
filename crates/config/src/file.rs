//! Reads lanboot.toml into what was [`Said`].
//!
//! The text is parsed into a tree of spanned values and walked by hand, because serde stops at the first mistake and
//! a user wants to hear of all. Nothing is checked here that needs a second value; `resolve` does that.

mod dns;
mod rules;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot::rules::Rules;
use dhcp::Platform;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, TextFile};
use crate::said::{self, Given, Said};
use crate::value::{self, Wrong};
use crate::{Transport, keys, syntax};

/// Reads a configuration file. Relative paths in it are relative to the file's own folder.
///
/// Mistakes are added to `mistakes`; what could be read is returned all the same. `None`: the text is not TOML, and
/// `mistakes` has its syntax errors only, because what a guess at the rest would add is more likely noise than help.
pub fn read(source: &Arc<TextFile>, mistakes: &mut Diagnostics) -> Option<Said> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        mistakes.extend(syntax::explain(source, &errors));
        return None;
    }
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let base = std::path::absolute(folder.join("x")).map_or(folder.into(), |file| file.with_file_name(""));
    let mut reader = Reader { source, base, mistakes, places: BTreeMap::new() };
    let root = Section { path: String::new(), table: document.get_ref() };
    let mut said = reader.root(&root);
    said.places = reader.places;
    Some(said)
}

struct Reader<'a> {
    source: &'a Arc<TextFile>,
    /// What relative paths are relative to.
    base: PathBuf,
    mistakes: &'a mut Diagnostics,
    places: BTreeMap<String, Place>,
}

/// A table of the file, and its path as [`keys`] knows it.
struct Section<'a> {
    path: String,
    table: &'a DeTable<'a>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Reader<'a> {
    fn root(&mut self, root: &Section<'_>) -> Said {
        self.refuse_unknown(root);
        let mut said = Said::default();
        self.section(root, "network", |reader, section| said.network = reader.network(section));
        self.section(root, "dhcp", |reader, section| said.dhcp = reader.dhcp(section));
        self.tables(root, "machine", |reader, section, place| said.machines.push(reader.machine(section, place)));
        self.section(root, "boot", |reader, section| said.boot = reader.boot(section));
        self.section(root, "tftp", |reader, section| said.tftp = reader.tftp(section));
        self.section(root, "http", |reader, section| said.http = reader.http(section));
        self.section(root, "dns", |reader, section| said.dns = reader.dns(section));
        self.section(root, "leases", |reader, section| {
            said.leases.database = reader.text(section, "database", value::database);
            said.leases.password_file = reader.path(section, "password_file");
        });
        self.section(root, "state", |reader, section| said.state_dir = reader.path(section, "dir"));
        said
    }

    fn network(&mut self, section: &Section<'_>) -> said::Network {
        let mut forwards = Vec::new();
        self.tables(section, "forward", |reader, section, place| forwards.extend(reader.forward(section, place)));
        said::Network {
            bridge: self.text(section, "bridge", value::interface),
            interface: self.text(section, "interface", value::interface),
            address: self.text(section, "address", value::network),
            ports: self.texts(section, "ports", value::interface),
            masquerade: self.truth(section, "masquerade"),
            forwards,
        }
    }

    fn forward(&mut self, section: &Section<'_>, place: Place) -> Option<said::Forward> {
        for key in ["protocol", "port", "to"] {
            if !section.table.contains_key(key) {
                let what = format!("this port forward lacks its `{key}`");
                let fix = "write all of protocol = \"tcp\", port = 587, to = \"10.0.1.100:587\"";
                self.mistakes.push(Diagnostic::error(what).at(place.clone()).fix(fix));
            }
        }
        let interface = self.text(section, "interface", value::interface);
        let protocol = self.text(section, "protocol", value::transport).map(|given: Given<Transport>| given.value);
        let port: Option<Given<u16>> = self.number(section, "port", 1..=65535);
        let same_port = port.as_ref().map_or(1, |port| port.value);
        let to = self.text(section, "to", |text| value::forward_target(text, same_port));
        if section.table.contains_key("interface") && interface.is_none() {
            return None;
        }
        let (protocol, port, to) = (protocol?, port?, to?);
        let interface = interface.map(|given| given.value);
        Some(said::Forward {
            protocol,
            interface,
            port: port.value,
            to: to.value,
            place: port.place,
            to_place: to.place,
        })
    }

    fn dhcp(&mut self, section: &Section<'_>) -> said::Dhcp {
        let (mut pools, mut hosts) = (Vec::new(), Vec::new());
        self.tables(section, "pool", |reader, section, place| pools.extend(reader.pool(section, place)));
        self.tables(section, "host", |reader, section, place| {
            let host = reader.host(section);
            if rules::is_nobody(&host) {
                let fix = "say who is meant: add `mac`, `id` or `name`";
                reader.mistakes.push(Diagnostic::error("this host is nobody").at(place).fix(fix));
            }
            hosts.push(host);
        });
        said::Dhcp {
            rules: Some(self.rules(section)).filter(|rules| *rules != Rules::default()),
            pools,
            hosts,
            enabled: self.truth(section, "enabled"),
            mode: self.text(section, "mode", value::mode),
            ranges: self.texts(section, "range", value::range),
            lease: self.text(section, "lease", value::lease),
            allocation: self.text(section, "allocation", value::allocation),
            authoritative: self.truth(section, "authoritative"),
            lease_limit: self.number(section, "lease_limit", 1..=u32::MAX.into()),
            client_rate: self.number(section, "client_rate", 1..=1_000_000),
            conflict_check: self.text(section, "conflict_check", value::conflict_check),
            conflict_wait: self.text(section, "conflict_wait", value::probe_wait),
            identity: self.text(section, "identity", value::identity),
            router: self.text(section, "router", value::router),
            dns: self.texts(section, "dns", value::name_server),
            domain: self.text(section, "domain", value::domain),
        }
    }

    fn machine(&mut self, section: &Section<'_>, place: Place) -> said::Machine {
        if !section.table.contains_key("mac") {
            let fix = "add the address of its network card, such as mac = \"52:54:00:12:34:56\"";
            self.mistakes.push(Diagnostic::error("this machine lacks its `mac`").at(place.clone()).fix(fix));
        }
        let mut target = said::Target::default();
        self.section(section, "boot", |reader, section| target = reader.target(section));
        said::Machine {
            place,
            mac: self.text(section, "mac", value::mac),
            name: self.text(section, "name", value::host_name),
            address: self.text(section, "address", value::address),
            target,
        }
    }

    fn boot(&mut self, section: &Section<'_>) -> said::Boot {
        said::Boot {
            target: self.target(section),
            ipxe: self.path(section, "ipxe"),
            replace_rom_ipxe: self.text(section, "replace_rom_ipxe", value::replace_rom_ipxe),
            chain: self.text(section, "chain", value::chain),
        }
    }

    fn target(&mut self, section: &Section<'_>) -> said::Target {
        let is_unknown = |key: &Spanned<_>| keys::of(&section.path).all(|known| known.name != key.get_ref());
        let has_unknown = section.table.keys().any(is_unknown);
        let mistakes_before = self.mistakes.0.len();
        let mut files = BTreeMap::new();
        if let Some(value) = section.table.get("files") {
            self.note(section, "files", value);
            if let Some(table) = self.table(value, &join(&section.path, "files")) {
                // A machine's files have the same keys as everybody's.
                let section = Section { path: "boot.files".into(), table };
                self.refuse_unknown(&section);
                for platform in Platform::ALL {
                    let name = self.text(&section, platform.name(), value::published_name);
                    files.extend(name.map(|name| (platform, name)));
                }
            }
        }
        let target = said::Target {
            kernel: self.path(section, "kernel"),
            initrds: self.paths(section, "initrd"),
            cmdline: self.text(section, "cmdline", value::one_line),
            script: self.path(section, "script"),
            file: self.text(section, "file", value::published_name),
            files,
            unreadable: false,
        };
        let unreadable = has_unknown || self.mistakes.0.len() > mistakes_before;
        said::Target { unreadable, ..target }
    }

    fn tftp(&mut self, section: &Section<'_>) -> said::Tftp {
        said::Tftp {
            enabled: self.truth(section, "enabled"),
            root: self.path(section, "root"),
            unique_root: self.text(section, "unique_root", value::unique_root),
            secure: self.truth(section, "secure"),
            port: self.number(section, "port", 1..=65535),
            port_range: self.text(section, "port_range", value::port_range),
            single_port: self.truth(section, "single_port"),
            max_blksize: self.number(section, "max_blksize", 8..=65464),
            max_windowsize: self.number(section, "max_windowsize", 1..=65535),
            max_transfers: self.number(section, "max_transfers", 1..=65535),
        }
    }

    fn http(&mut self, section: &Section<'_>) -> said::Http {
        said::Http {
            enabled: self.truth(section, "enabled"),
            root: self.path(section, "root"),
            port: self.number(section, "port", 1..=65535),
        }
    }
}

/// The kinds of value.
impl<'a> Reader<'a> {
    fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place::File { source: self.source.clone(), span }
    }

    /// Remembers where a key was said.
    fn note(&mut self, section: &Section<'_>, key: &str, value: &Value<'_>) -> Place {
        let place = self.place(value.span());
        self.places.entry(join(&section.path, key)).or_insert_with(|| place.clone());
        place
    }

    fn refuse_unknown(&mut self, section: &Section<'_>) {
        for (key, _) in section.table.iter() {
            let name = key.get_ref();
            if keys::of(&section.path).any(|known| known.name == name) {
                continue;
            }
            let what = match &*section.path {
                "" => format!("unknown key `{name}`"),
                path => format!("unknown key `{name}` in [{path}]"),
            };
            let place = self.place(key.span());
            let meant = keys::meant(&section.path, name);
            let fix = match meant {
                Some(meant) if meant.section == section.path => format!("did you mean `{}`?", meant.name),
                Some(meant) => format!("`{name}` belongs to [{}]", meant.section),
                None => {
                    let names: Vec<_> = keys::of(&section.path).map(|key| key.name).collect();
                    format!("the keys here are {}", names.join(", "))
                }
            };
            if let Some(meant) = meant {
                self.meant(&join(meant.section, meant.name), &place);
            }
            self.mistakes.push(Diagnostic::error(what).at(place).fix(fix));
        }
    }

    /// Takes note that a key was meant, and all below it if it is a section, so that nobody complains of its absence
    /// after the real mistake.
    fn meant(&mut self, path: &str, place: &Place) {
        let below = keys::of(path).map(|key| join(path, key.name));
        for path in below.chain([path.to_owned()]) {
            self.places.entry(path).or_insert_with(|| place.clone());
        }
    }

    fn table<'v>(&mut self, value: &'v Value<'v>, path: &str) -> Option<&'v DeTable<'v>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                let fix = format!("write [{path}] on a line of its own and its keys below it");
                let place = self.place(value.span());
                self.meant(path, &place);
                self.expected(path, "a table", value, fix);
                None
            }
        }
    }

    /// Reads a sub-table where there is one.
    fn section<'v>(&mut self, parent: &Section<'v>, key: &str, read: impl FnOnce(&mut Self, &Section<'v>)) {
        let Some(value) = parent.table.get(key) else { return };
        self.note(parent, key, value);
        let Some(table) = self.table(value, &join(&parent.path, key)) else { return };
        let section = Section { path: join(&parent.path, key), table };
        self.refuse_unknown(&section);
        read(self, &section);
    }

    /// Reads an array of tables where there is one, each with its place.
    fn tables<'v>(&mut self, parent: &Section<'v>, key: &str, mut read: impl FnMut(&mut Self, &Section<'v>, Place)) {
        let Some(value) = parent.table.get(key) else { return };
        self.note(parent, key, value);
        let path = join(&parent.path, key);
        let DeValue::Array(items) = value.get_ref() else {
            self.expected(key, "a list of tables", value, format!("write [[{path}]], with two brackets, before each"));
            return;
        };
        for item in items.iter() {
            if let Some(table) = self.table(item, &path) {
                let section = Section { path: path.clone(), table };
                self.refuse_unknown(&section);
                let place = self.place(item.span());
                read(self, &section, place);
            }
        }
    }

    fn text<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Given<T>> {
        let value = section.table.get(key)?;
        self.note(section, key, value);
        self.one_text(&join(&section.path, key), value, read)
    }

    fn one_text<T>(
        &mut self,
        path: &str,
        value: &Value<'_>,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Given<T>> {
        let place = self.place(value.span());
        let Some(text) = value.get_ref().as_str() else {
            self.expected(path, "text", value, format!("write text between quotes, as in {}", example(path)));
            return None;
        };
        match read(text) {
            Ok(value) => Some(Given { value, place }),
            Err(wrong) => {
                self.mistakes.push(wrong.at(&place, text));
                None
            }
        }
    }

    /// A text, or a list of texts.
    fn texts<T>(&mut self, section: &Section<'_>, key: &str, read: impl Fn(&str) -> Result<T, Wrong>) -> Vec<Given<T>> {
        let Some(value) = section.table.get(key) else { return Vec::new() };
        self.note(section, key, value);
        match value.get_ref() {
            DeValue::Array(items) => {
                let path = join(&section.path, key);
                items.iter().filter_map(|item| self.one_text(&path, item, &read)).collect()
            }
            _ => self.one_text(&join(&section.path, key), value, read).into_iter().collect(),
        }
    }

    fn path(&mut self, section: &Section<'_>, key: &str) -> Option<Given<PathBuf>> {
        let base = self.base.clone();
        self.text(section, key, |text| value::path(text).map(|path| base.join(path)))
    }

    fn paths(&mut self, section: &Section<'_>, key: &str) -> Vec<Given<PathBuf>> {
        let base = self.base.clone();
        self.texts(section, key, |text| value::path(text).map(|path| base.join(path)))
    }

    fn truth(&mut self, section: &Section<'_>, key: &str) -> Option<Given<bool>> {
        let value = section.table.get(key)?;
        let place = self.note(section, key, value);
        match value.get_ref().as_bool() {
            Some(value) => Some(Given { value, place }),
            None => {
                self.expected(key, "true or false", value, format!("write {key} = true, without quotes"));
                None
            }
        }
    }

    fn number<T: TryFrom<u64>>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        bounds: RangeInclusive<u64>,
    ) -> Option<Given<T>> {
        let value = section.table.get(key)?;
        let place = self.note(section, key, value);
        let Some(number) = value.get_ref().as_integer() else {
            self.expected(
                key,
                "a number",
                value,
                format!("write {key} = {}, without quotes", example(&join(&section.path, key))),
            );
            return None;
        };
        let read = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| bounds.contains(number));
        match read.and_then(|number| T::try_from(number).ok()) {
            Some(value) => Some(Given { value, place }),
            None => {
                let what = format!("`{key}` cannot be {number}");
                let fix = format!("use a number from {} to {}", bounds.start(), bounds.end());
                self.mistakes.push(Diagnostic::error(what).at(place).fix(fix));
                None
            }
        }
    }

    fn expected(&mut self, path: &str, expected: &str, value: &Value<'_>, fix: String) {
        let key = path.rsplit('.').next().unwrap_or(path);
        let found = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let place = self.place(value.span());
        self.mistakes.push(Diagnostic::error(format!("`{key}` takes {expected}, not {found}")).at(place).fix(fix));
    }
}

impl Wrong {
    /// The diagnostic for a value `text` that was said at `place`.
    pub(crate) fn at(self, place: &Place, text: &str) -> Diagnostic {
        let place = self.part.map_or(place.clone(), |part| place.part(text, part));
        Diagnostic::error(self.what).at(place).fix(self.fix)
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// A key's example value, from the table of keys.
fn example(path: &str) -> &'static str {
    keys::KEYS.iter().find(|key| join(key.section, key.name) == path).map_or("\"…\"", |key| key.example)
}
