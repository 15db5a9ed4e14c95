//! What was said, turned into what is meant: defaults filled in, values checked against one another and against the
//! file system. Every mistake is found, not only the first.

mod boot;
mod dhcp;
mod dns;
mod network;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, TextFile};
use crate::nearest::ranked;
use crate::said::{Given, Said};
use crate::surroundings::{Entry, Surroundings};
use crate::{Access, Config, FileRules, Flags, Http, LeaseDatabase, Publish, Tftp, TransferPorts, file};

pub use dhcp::default_range;
pub(crate) use dhcp::show;

/// A configuration that is taken, and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Diagnostics,
    /// What it was made from; [`Said::place`] tells where a value came from when it proves impossible later.
    pub said: Said,
}

/// Reads the configuration file, if one is named, puts the flags over it and resolves both.
///
/// # Errors
/// Every mistake at once, in reading order, with the warnings among them. When the file is not TOML at all, only that
/// and mistakes in flags are reported.
pub fn load(file: Option<&Path>, flags: &Flags, around: &dyn Surroundings) -> Result<Loaded, Diagnostics> {
    let source = file.map(TextFile::open).transpose()?;
    load_text(source.as_ref(), flags, around)
}

/// [`load`] for a file that has been read already.
pub fn load_text(
    source: Option<&Arc<TextFile>>,
    flags: &Flags,
    around: &dyn Surroundings,
) -> Result<Loaded, Diagnostics> {
    let mut mistakes = Diagnostics::default();
    let in_flags = flags.read(&mut mistakes);
    let said = match source {
        None => in_flags,
        Some(source) => match file::read(source, &mut mistakes) {
            Some(in_file) => in_flags.over(in_file),
            None => {
                mistakes.sort();
                return Err(mistakes);
            }
        },
    };
    let mut resolver = Resolver { said: &said, around, found: mistakes, publish: Vec::new() };
    let config = resolver.config();
    let mut found = resolver.found;
    found.sort();
    match config {
        Some(config) if !found.has_errors() => Ok(Loaded { config, warnings: found, said }),
        _ => Err(found),
    }
}

struct Resolver<'a> {
    said: &'a Said,
    around: &'a dyn Surroundings,
    found: Diagnostics,
    publish: Vec<Publish>,
}

/// The subnet that is served, as far as it is known, and where it was said.
struct Subnet {
    /// Our own address in it, with its prefix.
    net: Ipv4Net,
    place: Place,
}

impl Resolver<'_> {
    /// `None` only after an error.
    fn config(&mut self) -> Option<Config> {
        let subnet = self.subnet();
        let network = self.network(subnet.as_ref());
        let masquerade = network.as_ref().is_some_and(|network| network.masquerade);
        let mut dhcp = self.dhcp(subnet.as_ref(), masquerade);
        let dns = self.dns(subnet.as_ref(), dhcp.as_ref());
        dhcp.as_mut().into_iter().for_each(|dhcp| self.name_servers(dhcp, dns.as_ref()));
        let tftp = self.tftp();
        let http = self.http();
        let boot = self.policy(tftp.is_some(), http.as_ref().map(|http| http.port));
        let leases = self.leases();
        let state_dir = self.state_dir();
        let ipxe = self.ipxe_folder();
        let publish = std::mem::take(&mut self.publish);
        let file_rules = self.file_rules();
        let (network, served) = (network?, Vec::new());
        Some(Config { network, dhcp, tftp, http, dns, boot, publish, file_rules, ipxe, leases, state_dir, served })
    }

    fn tftp(&mut self) -> Option<Tftp> {
        let said = &self.said.tftp;
        if value(&said.enabled) == Some(false) {
            return None;
        }
        if let Some(port) = said.port.as_ref().filter(|port| port.value != 69) {
            let what = format!("firmware asks for files on UDP port 69, not {}", port.value);
            self.warn(what, &port.place, "leave tftp.port out, unless this is a test");
        }
        let ports = match (value(&said.single_port), value(&said.port_range)) {
            (Some(true), _) => TransferPorts::Single,
            (_, Some((first, last))) => TransferPorts::Range(first, last),
            (_, None) => TransferPorts::Any,
        };
        let default = Tftp::default();
        let tftp = Tftp {
            port: value(&said.port).unwrap_or(default.port),
            unique_root: value(&said.unique_root),
            max_blksize: value(&said.max_blksize),
            max_windowsize: value(&said.max_windowsize).unwrap_or(default.max_windowsize),
            max_transfers: value(&said.max_transfers).unwrap_or(default.max_transfers),
            ports,
            ..default
        };
        if let (TransferPorts::Single, Some(range)) = (ports, &said.port_range) {
            let (what, place) = ("tftp.port_range changes nothing where single_port is true", range.place.clone());
            self.warn(what, &place, "leave one of the two out");
        }
        Some(tftp)
    }

    fn file_rules(&self) -> FileRules {
        let access = if value(&self.said.tftp.secure) == Some(true) { Access::Own } else { Access::Readable };
        FileRules { access, ..FileRules::default() }
    }

    fn http(&mut self) -> Option<Http> {
        let said = &self.said.http;
        let enabled = value(&said.enabled) != Some(false);
        enabled.then(|| Http { port: value(&said.port).unwrap_or(80) })
    }

    fn leases(&mut self) -> Option<LeaseDatabase> {
        let said = &self.said.leases;
        if let (None, Some(file)) = (&said.database, &said.password_file) {
            let fix = "say which database: leases.database = \"postgresql://lanboot@db.example/lanboot\"";
            self.error("leases.password_file is for a database, and none is named", &file.place, fix);
        }
        if let Some(file) = &said.password_file {
            self.exists(file, "password file", Entry::File);
        }
        Some(LeaseDatabase { url: value(&said.database)?, password_file: value(&said.password_file) })
    }

    fn state_dir(&mut self) -> PathBuf {
        let Some(given) = &self.said.state_dir else { return PathBuf::from("/var/lib/lanboot") };
        // A folder that is not there yet will be made.
        if matches!(self.around.look(&given.value), Ok(Entry::File | Entry::Other)) {
            let what = format!("{} is not a folder", given.value.display());
            self.error(what, &given.place, "name a folder; it is made when it is not there");
        }
        given.value.clone()
    }

    fn ipxe_folder(&mut self) -> Option<PathBuf> {
        let given = self.said.boot.ipxe.as_ref()?;
        self.exists(given, "folder of iPXE binaries", Entry::Folder);
        Some(given.value.clone())
    }

    fn error(&mut self, what: impl Into<String>, place: &Place, fix: impl Into<String>) {
        self.found.push(Diagnostic::error(what).at(place.clone()).fix(fix));
    }

    fn warn(&mut self, what: impl Into<String>, place: &Place, fix: impl Into<String>) {
        self.found.push(Diagnostic::warning(what).at(place.clone()).fix(fix));
    }

    /// Whether `given` leads to what it should; says what is wrong when it does not. `role`: what the user calls it.
    fn exists(&mut self, given: &Given<PathBuf>, role: &str, expected: Entry) -> bool {
        let path = given.value.display();
        let (what, fix) = match self.around.look(&given.value) {
            Ok(entry) if entry == expected => return true,
            Ok(_) => {
                let kind = if expected == Entry::Folder { "folder" } else { "regular file" };
                (format!("the {role} {path} is not a {kind}"), format!("name a {kind}"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                (format!("the {role} {path} does not exist"), self.alternatives(&given.value))
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let fix = format!("run lanboot as a user who may read it, or let all read it: chmod a+rX {path}");
                (format!("the {role} {path} cannot be read: permission denied"), fix)
            }
            Err(error) => (format!("the {role} {path} cannot be read: {error}"), "check the path".into()),
        };
        self.error(what, &given.place, fix);
        false
    }

    /// What could have been meant by a path that leads nowhere.
    fn alternatives(&self, path: &Path) -> String {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if self.around.look(folder).is_err() {
            return format!("there is no folder {} either: check the path", folder.display());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut names = self.around.names(folder);
        names.sort();
        let near = ranked(&name, names.iter().map(|name| &**name));
        match (near.is_empty(), names.is_empty()) {
            (false, _) => format!("did you mean {}?", near[..near.len().min(3)].join(" or ")),
            (true, true) => format!("{} is empty: check the path", folder.display()),
            (true, false) => {
                let more = if names.len() > 6 { ", …" } else { "" };
                format!("{} holds {}{more}", folder.display(), names[..names.len().min(6)].join(", "))
            }
        }
    }
}

/// The bare value, where one was said.
fn value<T: Clone>(given: &Option<Given<T>>) -> Option<T> {
    given.as_ref().map(|given| given.value.clone())
}
