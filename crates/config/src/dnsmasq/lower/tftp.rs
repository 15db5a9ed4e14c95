//! The TFTP options.

use std::path::{Path, PathBuf};

use journal::Role;

use super::super::options::interfaces::Pattern;
use super::super::options::replaced;
use super::super::options::tftp::TftpRoot;
use super::super::{Directive, Meaning};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::surroundings::{Entry, Surroundings};
use crate::{Access, FileRules, InterfaceRoot, Publish, Served, Source, Tftp, TransferPorts, UniqueRoot};

/// dnsmasq's default for tftp-max.
const TFTP_MAX: usize = 50;

/// What was said of TFTP.
#[derive(Default)]
pub(super) struct Lowering {
    pub enabled: bool,
    root: Option<(PathBuf, Place)>,
    interface_roots: Vec<(Pattern, PathBuf, Place)>,
    unique_root: Option<UniqueRoot>,
    secure: bool,
    no_fail: bool,
    lowercase: bool,
    no_blocksize: bool,
    max: Option<usize>,
    mtu: Option<u32>,
    port_range: Option<(u16, u16, Place)>,
    single_port: bool,
}

/// What it comes to.
pub(super) struct Lowered {
    /// `None`: not enabled anywhere.
    pub tftp: Option<Tftp>,
    /// The folder at the root.
    pub publish: Option<Publish>,
}

impl Lowering {
    /// Takes an option of TFTP; returns false for any other, and for `enable-tftp`, which is on interfaces too.
    pub fn take(&mut self, directive: &Directive, found: &mut Diagnostics) -> bool {
        let place = &directive.place;
        match &directive.meaning {
            Meaning::TftpRoot(TftpRoot { folder, interface: None }) => {
                let first = self.root.replace((folder.clone(), place.clone()));
                if let Some((_, first)) = first {
                    replaced(found, "tftp-root", place, &first);
                }
            }
            Meaning::TftpRoot(TftpRoot { folder, interface: Some(interface) }) => {
                self.interface_roots.push((interface.clone(), folder.clone(), place.clone()));
            }
            Meaning::TftpUniqueRoot(by) => self.unique_root = Some(*by),
            Meaning::TftpSecure => self.secure = true,
            Meaning::TftpNoFail => self.no_fail = true,
            Meaning::TftpLowercase => self.lowercase = true,
            Meaning::TftpNoBlocksize => self.no_blocksize = true,
            Meaning::TftpSinglePort => self.single_port = true,
            Meaning::TftpMax(max) => self.max = Some(*max as usize),
            Meaning::TftpMtu(mtu) => self.mtu = Some(*mtu),
            Meaning::TftpPortRange(first, last) => self.port_range = Some((*first, *last, place.clone())),
            _ => return false,
        }
        true
    }

    /// Over HTTP, which dnsmasq does not have, the rules are the same. Links are followed, as there: /srv/tftp is often
    /// full of links to where packages keep their loaders.
    pub fn file_rules(&self) -> FileRules {
        FileRules { access: if self.secure { Access::Own } else { Access::Public }, follow_links: true }
    }

    /// `served`: the interfaces that are. `http_root`: whether there is a folder for HTTP, which TFTP then serves too.
    pub fn lower(
        &self,
        served: &[Served],
        http_root: bool,
        around: &dyn Surroundings,
        found: &mut Diagnostics,
    ) -> Lowered {
        if !self.enabled {
            return Lowered { tftp: None, publish: None };
        }
        let mut tftp = Tftp {
            unique_root: self.unique_root,
            lowercase: self.lowercase,
            grants_blksize: !self.no_blocksize,
            mtu: self.mtu,
            max_transfers: self.max.unwrap_or(TFTP_MAX),
            ports: self.ports(found),
            ..Tftp::default()
        };
        for (interface, folder, place) in &self.interface_roots {
            self.is_there(folder, place, around, found);
            tftp.roots.push(InterfaceRoot { interface: interface.clone(), folder: folder.clone() });
        }
        let mut elsewhere = |folder: PathBuf| {
            let interface = Pattern { name: String::new(), open: true };
            tftp.roots.push(InterfaceRoot { interface, folder });
        };
        let mut publish = None;
        match &self.root {
            Some((folder, place)) if self.is_there(folder, place, around, found) => {
                let source = Source::Folder(folder.clone());
                publish = Some(Publish { name: String::new(), source, role: Role::Other });
            }
            // It may come later.
            Some((folder, _)) => elsewhere(folder.clone()),
            None if http_root => {}
            None => elsewhere("/".into()),
        }
        self.warn_of_surprises(&tftp, served, found);
        Lowered { tftp: Some(tftp), publish }
    }

    fn ports(&self, found: &mut Diagnostics) -> TransferPorts {
        match (&self.port_range, self.single_port) {
            (None, false) => TransferPorts::Any,
            (Some((first, last, _)), false) => TransferPorts::Range(*first, *last),
            (None, true) => TransferPorts::Single,
            (Some((.., place)), true) => {
                let what = "tftp-port-range changes nothing here: tftp-single-port leaves no choice";
                found.push(Diagnostic::warning(what).at(place.clone()).fix("leave one of the two out"));
                TransferPorts::Single
            }
        }
    }

    /// Says what is wrong with a root, unless it may be so; returns whether nothing is.
    fn is_there(&self, folder: &Path, place: &Place, around: &dyn Surroundings, found: &mut Diagnostics) -> bool {
        let why = match around.look(folder) {
            Ok(Entry::Folder) => return true,
            Ok(_) => "it is not a folder".to_owned(),
            Err(error) => error.to_string(),
        };
        let what = format!("the tftp-root {} cannot be served: {why}", folder.display());
        let diagnostic = match self.no_fail {
            true => Diagnostic::warning(what).fix("it is served once it can be"),
            false => Diagnostic::error(what).fix("make it, or allow for it with tftp-no-fail"),
        };
        found.push(diagnostic.at(place.clone()));
        false
    }

    fn warn_of_surprises(&self, tftp: &Tftp, served: &[Served], found: &mut Diagnostics) {
        let mut on = served.iter().filter(|served| served.tftp).peekable();
        if on.peek().is_none() {
            let what = "there is no TFTP: it is on none of the interfaces that are served";
            found.push(Diagnostic::warning(what).fix("write enable-tftp without a name to have it on all of them"));
        }
        let everything = |root: &Path| root == "/" && self.root.is_none();
        if on.any(|served| tftp.root_on(&served.interface).is_some_and(everything)) {
            let what = "without a tftp-root, TFTP gives out every file of this computer that everyone may read";
            found.push(Diagnostic::warning(what).fix("name a folder: tftp-root=/srv/tftp"));
        }
    }
}
