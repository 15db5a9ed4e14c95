//! Lists that are read again while we serve: `dhcp-hostsfile`, `dhcp-hostsdir`, `dhcp-optsfile`, `dhcp-optsdir`,
//! /etc/ethers, `servers-file`. What they say counts like further lines of the configuration.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::FileSystem;
use super::options::dns::DnsOption;
use super::{Directive, Directives, Meaning, ethers, hosts_file, lists, options_file, table};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity, TextFile};
use crate::said::Given;

const ETHERS: &str = "/etc/ethers";

/// The lists that a configuration names, and what they said when they were last read.
#[derive(Debug, Default)]
pub struct Lists(Vec<List>);

#[derive(Debug)]
struct List {
    holds: Holds,
    path: PathBuf,
    /// The line or flag that names it.
    place: Place,
    /// A folder, read again whenever a file in it changes.
    watched: bool,
    /// By file, in the order of their names.
    said: BTreeMap<PathBuf, Vec<Directive>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Hosts,
    Options,
    Ethers,
    Servers,
}

/// What a reading brought.
#[derive(Debug, Default)]
pub struct Reading {
    /// The files that were read, each with how many values it has.
    pub files: Vec<(PathBuf, usize)>,
    /// Warnings: a bad line or a missing file keeps no other from counting.
    pub found: Diagnostics,
}

/// Whether a file of this name in a folder is left out: hidden ones, and what editors leave behind.
pub(super) fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || name.starts_with('#') && name.ends_with('#')
}

impl Lists {
    /// The lists that these directives name, not read yet. Their paths are made absolute.
    pub fn named(directives: &Directives) -> Lists {
        let list = |directive: &Directive| {
            let (holds, path, watched) = match &directive.meaning {
                Meaning::DhcpHostsFile(path) => (Holds::Hosts, path.as_path(), false),
                Meaning::DhcpHostsDir(path) => (Holds::Hosts, path.as_path(), true),
                Meaning::DhcpOptsFile(path) => (Holds::Options, path.as_path(), false),
                Meaning::DhcpOptsDir(path) => (Holds::Options, path.as_path(), true),
                Meaning::Dns(option) => match &**option {
                    DnsOption::ServersFile(path) => (Holds::Servers, path.as_path(), false),
                    _ => return None,
                },
                Meaning::ReadEthers => (Holds::Ethers, Path::new(ETHERS), false),
                _ => return None,
            };
            // Only an empty path has no absolute one, and reading it tells.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            Some(List { holds, path, place: directive.place.clone(), watched, said: BTreeMap::new() })
        };
        Lists(directives.list.iter().filter_map(list).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this file holds DNS servers, and nothing of DHCP.
    pub fn holds_servers(&self, path: &Path) -> bool {
        self.0.iter().any(|list| list.holds == Holds::Servers && path.starts_with(&list.path))
    }

    /// The folders to be watched: when a file in one changes, [`Lists::read_one`] it.
    pub fn watched(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(|list| list.watched).map(|list| list.path.as_path())
    }

    /// What all lists say, in the order in which they are named.
    pub fn directives(&self) -> impl Iterator<Item = &Directive> {
        self.0.iter().flat_map(|list| list.said.values().flatten())
    }

    /// Reads everything anew.
    pub fn read(&mut self, files: &dyn FileSystem) -> Reading {
        let mut reading = Reading::default();
        for list in &mut self.0 {
            list.read(files, &mut reading);
        }
        reading
    }

    /// Reads one file of a watched folder. What the file said before and no longer says counts until [`Lists::read`],
    /// as in dnsmasq, but what it says now comes later and so counts for more.
    pub fn read_one(&mut self, folder: &Path, name: &OsStr, files: &dyn FileSystem) -> Reading {
        let mut reading = Reading::default();
        let lists = self.0.iter_mut().filter(|list| list.watched && list.path == folder);
        for list in lists.filter(|_| !is_left_out(&name.to_string_lossy())) {
            let path = folder.join(name);
            let former = list.said.remove(&path).unwrap_or_default();
            list.file(&path, files, &mut reading);
            let now = list.said.entry(path).or_default();
            let words: HashSet<&str> = now.iter().filter_map(Directive::words).collect();
            let is_gone = |old: &Directive| old.words().is_none_or(|old| !words.contains(old));
            let gone: Vec<Directive> = former.into_iter().filter(is_gone).collect();
            now.splice(..0, gone);
        }
        reading
    }
}

impl Directive {
    /// As it stands in its file.
    fn words(&self) -> Option<&str> {
        match &self.place {
            Place::File { source, span } => source.text.get(span.clone()),
            _ => None,
        }
    }
}

impl List {
    fn read(&mut self, files: &dyn FileSystem, reading: &mut Reading) {
        self.said.clear();
        let path = self.path.clone();
        match files.files(&path) {
            Ok(mut names) => {
                names.sort();
                for name in names.iter().filter(|name| !is_left_out(&name.to_string_lossy())) {
                    self.file(&path.join(name), files, reading);
                }
            }
            Err(error) if self.watched => {
                let what = format!("cannot read the folder {}: {error}", path.display());
                let fix = "make the folder, or name another; it is looked at again on SIGHUP";
                reading.found.push(Diagnostic::warning(what).at(self.place.clone()).fix(fix));
            }
            Err(_) => self.file(&path, files, reading),
        }
    }

    fn file(&mut self, path: &Path, files: &dyn FileSystem, reading: &mut Reading) {
        match files.read(path) {
            Ok(octets) => {
                let source = TextFile::new(path, String::from_utf8_lossy(&octets));
                let said = self.lines(&source, &mut reading.found);
                reading.files.push((path.to_owned(), said.len()));
                self.said.insert(path.to_owned(), said);
            }
            Err(error) => reading.found.push(self.unreadable(path, &error)),
        }
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Diagnostic {
        let what = format!("cannot read {}: {error}", path.display());
        let fix = "make the file, and readable for the user that we run as; it is read again on SIGHUP";
        Diagnostic::warning(what).at(self.place.clone()).fix(fix)
    }

    fn lines(&self, source: &Arc<TextFile>, found: &mut Diagnostics) -> Vec<Directive> {
        let mut mistakes = Diagnostics::default();
        let said = match self.holds {
            Holds::Hosts => directives("dhcp-host", hosts_file(source, &mut mistakes), Meaning::DhcpHost),
            Holds::Options => directives("dhcp-option", options_file(source, &mut mistakes), Meaning::DhcpOption),
            Holds::Servers => lists::servers(source, &mut mistakes),
            Holds::Ethers => directives("dhcp-host", ethers(source, &mut mistakes), Meaning::DhcpHost),
        };
        // A line that does not count ends nothing.
        found.extend(mistakes.into_iter().map(|found| Diagnostic { severity: Severity::Warning, ..found }));
        said
    }
}

fn directives<T>(name: &str, values: Vec<Given<T>>, meaning: fn(T) -> Meaning) -> Vec<Directive> {
    let row = table::find(name).expect("a row of the table");
    let directive = |Given { value, place }| Directive { row, meaning: meaning(value), place };
    values.into_iter().map(directive).collect()
}
