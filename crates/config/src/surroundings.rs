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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_files_folders_and_devices_apart() {
        let host = ThisHost { address: |_| None };
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let look = |path: &Path| host.look(path).map_err(|error| error.kind());
        assert_eq!(look(&crate_folder.join("Cargo.toml")), Ok(Entry::File));
        assert_eq!(look(crate_folder), Ok(Entry::Folder));
        assert_eq!(look(Path::new("/dev/null")), Ok(Entry::Other));
        assert_eq!(look(&crate_folder.join("nothing")), Err(io::ErrorKind::NotFound));
        assert!(host.names(crate_folder).contains(&"Cargo.toml".to_owned()));
        assert!(host.names(&crate_folder.join("nothing")).is_empty());
    }
}
