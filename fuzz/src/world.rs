//! An imagined computer: a few interfaces and folders, and files whose text is the input's.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use config::dnsmasq::FileSystem;
use config::{Entry, Nic, Surroundings};

use crate::input::Input;

/// Files `/etc/dnsmasq.conf`, then `/d/0`, `/d/1` and so on, each a section of the input. A command prints the file that
/// its last word names.
pub struct World {
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// Sections of the input beyond these are dropped: a folder with more files shows nothing new.
const MOST_FILES: usize = 6;

impl World {
    pub fn of(input: &mut Input<'_>) -> World {
        let name = |index: usize| match index {
            0 => PathBuf::from(config::dnsmasq::DEFAULT_FILE),
            _ => PathBuf::from(format!("/d/{}", index - 1)),
        };
        let mut files = Vec::new();
        while files.len() < MOST_FILES && !input.is_empty() {
            files.push((name(files.len()), input.section().to_vec()));
        }
        World { files }
    }

    fn find(&self, path: &Path) -> io::Result<&[u8]> {
        let found = self.files.iter().find(|(known, _)| known == path);
        found.map(|(_, text)| text.as_slice()).ok_or(io::ErrorKind::NotFound.into())
    }
}

impl FileSystem for World {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.find(path).map(<[u8]>::to_vec)
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let inside = self.files.iter().filter(|(path, _)| path.parent() == Some(folder));
        Ok(inside.filter_map(|(path, _)| path.file_name()).map(OsString::from).collect())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.find(path).map(|_| path.to_owned())
    }

    fn run(&self, command: &str) -> io::Result<(Vec<u8>, bool)> {
        match command.split_whitespace().last() {
            Some(path) => self.read(Path::new(path)).map(|text| (text, !command.starts_with('!'))),
            None => Ok((Vec::new(), true)),
        }
    }
}

impl Surroundings for World {
    fn look(&self, path: &Path) -> io::Result<Entry> {
        match path.to_str() {
            Some("/srv" | "/srv/") => Ok(Entry::Folder),
            Some("/srv/secret") => Err(io::ErrorKind::PermissionDenied.into()),
            Some("/srv/pipe") => Ok(Entry::Other),
            // Every computer has these, and a printed configuration names them.
            Some("/etc/hosts" | "/etc/resolv.conf") => Ok(Entry::File),
            Some(path) if path.starts_with("/srv/f") => Ok(Entry::File),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        if folder == Path::new("/srv") { vec!["f".into(), "pipe".into(), "secret".into()] } else { Vec::new() }
    }

    fn interfaces(&self) -> Vec<Nic> {
        let nics: &[(&str, &[&str])] = &[
            ("lo", &["127.0.0.1/8"]),
            ("net", &["10.0.1.1/24"]),
            ("eth1", &["192.168.7.2/30", "10.0.2.1/24"]),
            ("wide", &["10.0.0.1/8"]),
            ("one", &["10.9.9.9/32"]),
            ("all", &["10.0.0.1/0"]),
            ("bare", &[]),
        ];
        let net = |text: &&str| text.parse().expect("an address with its prefix");
        let nic = |(name, nets): &(&str, &[&str])| Nic {
            name: (*name).to_owned(),
            addresses: nets.iter().map(net).collect(),
            is_loopback: *name == "lo",
            ..Nic::default()
        };
        nics.iter().map(nic).collect()
    }
}
