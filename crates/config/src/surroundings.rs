//! What `resolve` may ask of the world: do files exist, and which address does an interface have.

use std::io;
use std::path::Path;

use ipnet::Ipv4Net;

/// What a path leads to, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    File,
    Folder,
    /// A device, a socket, a pipe.
    Other,
}

/// The world around a configuration, narrow enough to be imagined in a test.
pub trait Surroundings {
    /// What is at `path`. A file or folder that may not be read is an error of kind `PermissionDenied`.
    fn look(&self, path: &Path) -> io::Result<Entry>;

    /// The names in a folder; none when it cannot be listed.
    fn names(&self, folder: &Path) -> Vec<String>;

    /// The IPv4 address that `interface` has now. `None`: none, or not known.
    fn address(&self, interface: &str) -> Option<Ipv4Net>;
}

/// This computer. The address comes from whoever speaks netlink.
pub struct ThisHost {
    pub address: fn(interface: &str) -> Option<Ipv4Net>,
}

impl Surroundings for ThisHost {
    fn look(&self, path: &Path) -> io::Result<Entry> {
        let metadata = path.metadata()?;
        if metadata.is_dir() {
            return path.read_dir().map(|_| Entry::Folder);
        }
        if metadata.is_file() {
            // Only regular files are opened: opening a pipe would wait for its other end.
            return std::fs::File::open(path).map(|_| Entry::File);
        }
        Ok(Entry::Other)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn address(&self, interface: &str) -> Option<Ipv4Net> {
        (self.address)(interface)
    }
}
