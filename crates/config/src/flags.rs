//! Reads the flags of the command line into what was [`Said`]: a user who needs no file writes none.

use std::path::{Path, PathBuf};

use crate::Mode;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::said::{self, Given, Said};
use crate::value::{self, Wrong};

/// The flags that say what a file could say, as typed; `None`, empty or false where not given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// `--bridge NAME[=ADDRESS/PREFIX]`
    pub bridge: Option<String>,
    /// `--interface NAME`
    pub interface: Option<String>,
    /// `--address ADDRESS/PREFIX`
    pub address: Option<String>,
    /// `--port NAME`, repeatable: enslaved to the bridge
    pub ports: Vec<String>,
    /// `--masquerade` (true), `--no-masquerade` (false)
    pub masquerade: Option<bool>,
    /// `--forward PROTOCOL:[INTERFACE:]PORT=ADDRESS[:PORT]`, repeatable
    pub forwards: Vec<String>,
    /// `--no-dhcp`
    pub no_dhcp: bool,
    /// `--proxy`
    pub proxy: bool,
    /// `--range FIRST-LAST`, repeatable
    pub ranges: Vec<String>,
    /// `--lease TIME`
    pub lease: Option<String>,
    /// `--allocation sequential|hashed`
    pub allocation: Option<String>,
    /// `--conflict-check arp|icmp|off`
    pub conflict_check: Option<String>,
    /// `--kernel PATH`
    pub kernel: Option<PathBuf>,
    /// `--initrd PATH`, repeatable
    pub initrds: Vec<PathBuf>,
    /// `--cmdline TEXT`
    pub cmdline: Option<String>,
    /// `--script PATH`
    pub script: Option<PathBuf>,
    /// `--boot-file NAME`
    pub boot_file: Option<String>,
    /// `--ipxe PATH`
    pub ipxe: Option<PathBuf>,
    /// `--no-tftp`
    pub no_tftp: bool,
    /// `--tftp-root PATH`
    pub tftp_root: Option<PathBuf>,
    /// `--no-http`
    pub no_http: bool,
    /// `--http-root PATH`
    pub http_root: Option<PathBuf>,
    /// `--http-port PORT`
    pub http_port: Option<String>,
    /// `--no-dns`
    pub no_dns: bool,
    /// `--leases URL`
    pub leases: Option<String>,
    /// `--state PATH`
    pub state: Option<PathBuf>,
}

impl Flags {
    /// What the flags say. Relative paths are relative to the current folder.
    pub fn read(&self, mistakes: &mut Diagnostics) -> Said {
        let mut reader = Reader { said: Said::default(), mistakes };
        reader.network(self);
        reader.dhcp(self);
        reader.boot(self);
        reader.services(self);
        reader.contradictions(self);
        reader.said
    }
}

struct Reader<'a> {
    said: Said,
    mistakes: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn network(&mut self, flags: &Flags) {
        if let Some(text) = &flags.bridge {
            let (name, address) = match text.split_once('=') {
                Some((name, address)) => (name, Some(address)),
                None => (text.as_str(), None),
            };
            let place = Place::Flag(format!("--bridge {text}"));
            self.said.network.bridge = self.take("network.bridge", &place, name, value::interface);
            if let Some(address) = address {
                self.said.network.address = self.take("network.address", &place, address, value::network);
            }
        }
        self.said.network.interface = self.text("--interface", "network.interface", &flags.interface, value::interface);
        if let Some(address) = self.text("--address", "network.address", &flags.address, value::network) {
            self.said.network.address = Some(address);
        }
        self.said.network.ports = self.texts("--port", "network.ports", &flags.ports, value::interface);
        if let Some(value) = flags.masquerade {
            let flag = if value { "--masquerade" } else { "--no-masquerade" };
            self.said.network.masquerade = Some(self.given("network.masquerade", flag.into(), value));
        }
        for forward in self.texts("--forward", "network.forward", &flags.forwards, value::forward) {
            let ((protocol, interface, port, to), place) = (forward.value, forward.place);
            let to_place = place.clone();
            self.said.network.forwards.push(said::Forward { protocol, interface, port, to, place, to_place });
        }
    }

    fn dhcp(&mut self, flags: &Flags) {
        if flags.no_dhcp {
            self.said.dhcp.enabled = Some(self.given("dhcp.enabled", "--no-dhcp".into(), false));
        }
        if flags.proxy {
            self.said.dhcp.mode = Some(self.given("dhcp.mode", "--proxy".into(), Mode::Proxy));
        }
        self.said.dhcp.ranges = self.texts("--range", "dhcp.range", &flags.ranges, value::range);
        self.said.dhcp.lease = self.text("--lease", "dhcp.lease", &flags.lease, value::lease);
        self.said.dhcp.allocation = self.text("--allocation", "dhcp.allocation", &flags.allocation, value::allocation);
        self.said.dhcp.conflict_check =
            self.text("--conflict-check", "dhcp.conflict_check", &flags.conflict_check, value::conflict_check);
    }

    fn boot(&mut self, flags: &Flags) {
        let mistakes_before = self.mistakes.0.len();
        self.said.boot.target.kernel = self.path("--kernel", "boot.kernel", &flags.kernel);
        for initrd in &flags.initrds {
            let path = self.path("--initrd", "boot.initrd", &Some(initrd.clone()));
            self.said.boot.target.initrds.extend(path);
        }
        self.said.boot.target.cmdline = self.text("--cmdline", "boot.cmdline", &flags.cmdline, value::one_line);
        self.said.boot.target.script = self.path("--script", "boot.script", &flags.script);
        self.said.boot.target.file = self.text("--boot-file", "boot.file", &flags.boot_file, value::published_name);
        self.said.boot.target.unreadable = self.mistakes.0.len() > mistakes_before;
        self.said.boot.ipxe = self.path("--ipxe", "boot.ipxe", &flags.ipxe);
    }

    fn services(&mut self, flags: &Flags) {
        if flags.no_tftp {
            self.said.tftp.enabled = Some(self.given("tftp.enabled", "--no-tftp".into(), false));
        }
        self.said.tftp.root = self.path("--tftp-root", "tftp.root", &flags.tftp_root);
        if flags.no_http {
            self.said.http.enabled = Some(self.given("http.enabled", "--no-http".into(), false));
        }
        self.said.http.root = self.path("--http-root", "http.root", &flags.http_root);
        self.said.http.port = self.text("--http-port", "http.port", &flags.http_port, value::port);
        if flags.no_dns {
            self.said.dns.enabled = Some(self.given("dns.enabled", "--no-dns".into(), false));
        }
        self.said.leases.database = self.text("--leases", "leases.database", &flags.leases, value::database);
        self.said.state_dir = self.path("--state", "state.dir", &flags.state);
    }

    /// Flags that undo one another. Those that a file could say as well (a bridge and an interface, a kernel and a
    /// script) are `resolve`'s.
    fn contradictions(&mut self, flags: &Flags) {
        let bridge_address = flags.bridge.as_ref().filter(|text| text.contains('='));
        if let (Some(bridge), Some(address)) = (bridge_address, &flags.address) {
            self.contradiction(
                format!("--address {address}"),
                format!("--bridge {bridge}"),
                "leave one of the two out",
            );
        }
        let some = |flag: &str, value: &Option<String>| value.as_ref().map(|value| format!("{flag} {value}"));
        if flags.no_dhcp {
            let range = flags.ranges.first().map(|range| format!("--range {range}"));
            let others = [
                flags.proxy.then(|| "--proxy".to_owned()),
                range,
                some("--lease", &flags.lease),
                some("--allocation", &flags.allocation),
                some("--conflict-check", &flags.conflict_check),
            ];
            for other in others.into_iter().flatten() {
                self.contradiction(
                    other,
                    "--no-dhcp".into(),
                    "leave one of the two out: without DHCP it has no effect",
                );
            }
        }
        if let (true, Some(port)) = (flags.no_http, some("--http-port", &flags.http_port)) {
            self.contradiction(port, "--no-http".into(), "leave one of the two out: without HTTP it has no effect");
        }
    }

    fn contradiction(&mut self, flag: String, other: String, fix: &str) {
        let what = format!("{flag} contradicts {other}");
        self.mistakes
            .push(Diagnostic::error(what).at(Place::Flag(flag)).also(Place::Flag(other), "the other").fix(fix));
    }

    fn given<T>(&mut self, key: &str, flag: String, value: T) -> Given<T> {
        let place = Place::Flag(flag);
        self.said.places.insert(key.into(), place.clone());
        Given { value, place }
    }

    fn take<T>(
        &mut self,
        key: &str,
        place: &Place,
        text: &str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Given<T>> {
        self.said.places.insert(key.into(), place.clone());
        match read(text) {
            Ok(value) => Some(Given { value, place: place.clone() }),
            Err(wrong) => {
                self.mistakes.push(wrong.at(place, text));
                None
            }
        }
    }

    fn text<T>(
        &mut self,
        flag: &str,
        key: &str,
        text: &Option<String>,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Given<T>> {
        let text = text.as_ref()?;
        self.take(key, &Place::Flag(format!("{flag} {text}")), text, read)
    }

    fn texts<T>(
        &mut self,
        flag: &str,
        key: &str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<Given<T>> {
        let mut take = |text: &String| self.take(key, &Place::Flag(format!("{flag} {text}")), text, &read);
        texts.iter().filter_map(&mut take).collect()
    }

    fn path(&mut self, flag: &str, key: &str, path: &Option<PathBuf>) -> Option<Given<PathBuf>> {
        let path = path.as_ref()?;
        let place = Place::Flag(format!("{flag} {}", path.display()));
        self.said.places.insert(key.into(), place.clone());
        match absolute(path) {
            Ok(value) => Some(Given { value, place }),
            Err(diagnostic) => {
                self.mistakes.push(diagnostic.at(place));
                None
            }
        }
    }
}

/// The path from the root, so that it still leads there when the current folder changes.
fn absolute(path: &Path) -> Result<PathBuf, Diagnostic> {
    let wrong = |error| Diagnostic::error(format!("cannot tell where this path leads: {error}"));
    std::path::absolute(path).map_err(|error| wrong(error).fix("name a file or folder"))
}
