//! What `resolve` may ask of the world: do files exist, and which address does an interface have.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use ipnet::{Ipv4Net, Ipv6Net};

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

    /// The text of a small file. An error where there is none.
    fn text_of(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// The addresses of a host, as the system finds them.
    fn addresses_of(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// The network interfaces there are now.
    fn interfaces(&self) -> Vec<Nic>;

    /// The IPv4 address that `interface` has now. `None`: none, or not known.
    fn address(&self, interface: &str) -> Option<Ipv4Net> {
        self.interfaces().into_iter().find(|nic| nic.name == interface)?.addresses.first().copied()
    }
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nic {
    pub name: String,
    /// IPv4, in the kernel's order.
    pub addresses: Vec<Ipv4Net>,
    /// IPv6, link-local ones included; DNS alone is served on them.
    pub v6: Vec<Ipv6Net>,
    pub is_loopback: bool,
}

/// This computer. The interfaces come from whoever speaks to the kernel.
pub struct ThisHost {
    pub interfaces: fn() -> Vec<Nic>,
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

    fn text_of(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn addresses_of(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = (name, 0).to_socket_addrs()?.map(|address| address.ip()).collect();
        addresses.dedup();
        Ok(addresses)
    }

    fn interfaces(&self) -> Vec<Nic> {
        (self.interfaces)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_files_folders_and_devices_apart() {
        let host = ThisHost { interfaces: Vec::new };
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
