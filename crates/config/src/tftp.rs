//! How boot files are served by TFTP.

use std::path::{Path, PathBuf};

pub use crate::dnsmasq::options::interfaces::Pattern as InterfacePattern;
pub use crate::dnsmasq::options::tftp::UniqueRoot;

/// The TFTP service. [`Tftp::default`] is what lanboot.toml means when it says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Tftp {
    pub port: u16,
    /// In place of the folders that are published at the root, for requests that arrive on these interfaces: the first
    /// that fits. They may be missing.
    pub roots: Vec<InterfaceRoot>,
    /// Below each folder at the root, a client has a folder of its own in place of it, where there is one.
    pub unique_root: Option<UniqueRoot>,
    /// ASCII capitals in asked names are turned into small letters.
    pub lowercase: bool,
    /// Whether `blksize` is granted (RFC 2348).
    pub grants_blksize: bool,
    /// Upper bound for `blksize`, in octets; `None`: what fits the link's MTU.
    pub max_blksize: Option<u16>,
    /// Datagrams stay within this MTU, in octets, where the link's is not smaller anyway.
    pub mtu: Option<u32>,
    /// Upper bound for `windowsize`, in blocks.
    pub max_windowsize: u16,
    /// At most this many transfers at once.
    pub max_transfers: usize,
    pub ports: TransferPorts,
}

/// A folder for the requests that arrive on some interfaces.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceRoot {
    pub interface: InterfacePattern,
    pub folder: PathBuf,
}

/// Where transfers come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferPorts {
    /// Each from a port that the kernel chooses (RFC 1350 section 4).
    #[default]
    Any,
    /// Each from a free one of these, first and last included. There are no more transfers than ports.
    Range(u16, u16),
    /// All from the service's own port: for clients behind a NAT or a firewall that knows nothing of TFTP.
    Single,
}

/// Which files are given out, over TFTP and HTTP alike, of those that are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRules {
    pub access: Access,
    /// A link in a published folder is followed wherever it leads, and not only to what is published too.
    pub follow_links: bool,
}

/// Whose files are given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// All that lanboot can read.
    #[default]
    Readable,
    /// As root, only those that everyone may read; as another user, all that it can read.
    Public,
    /// As root, only those that everyone may read; as another user, only its own.
    Own,
}

impl Tftp {
    /// The folder for requests on this interface, where it is not those that are published at the root.
    pub fn root_on(&self, interface: &str) -> Option<&Path> {
        let root = self.roots.iter().find(|root| root.interface.matches(interface))?;
        Some(&root.folder)
    }

    /// At most this many transfers at once, in view of the ports that they come from.
    pub fn most_transfers(&self) -> usize {
        match self.ports {
            TransferPorts::Range(first, last) => self.max_transfers.min(usize::from(last - first) + 1),
            TransferPorts::Any | TransferPorts::Single => self.max_transfers,
        }
    }
}

impl Default for Tftp {
    fn default() -> Tftp {
        Tftp {
            port: 69,
            roots: Vec::new(),
            unique_root: None,
            lowercase: false,
            grants_blksize: true,
            max_blksize: None,
            mtu: None,
            // Beyond 64 blocks nothing is gained any more, and some clients fail.
            max_windowsize: 64,
            // Two racks of machines, and more that wait their turn.
            max_transfers: 10_000,
            ports: TransferPorts::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(name: &str, open: bool) -> InterfacePattern {
        InterfacePattern { name: name.into(), open }
    }

    #[test]
    fn the_first_root_that_fits_the_interface_counts() {
        let root = |interface, folder: &str| InterfaceRoot { interface, folder: folder.into() };
        let roots = vec![root(pattern("eth1", false), "/one"), root(pattern("eth", true), "/all")];
        let tftp = Tftp { roots, ..Tftp::default() };
        let on = |interface| tftp.root_on(interface).and_then(Path::to_str);
        assert_eq!((on("eth1"), on("eth2"), on("br0")), (Some("/one"), Some("/all"), None));
    }

    #[test]
    fn there_are_no_more_transfers_than_ports() {
        let ports = |ports| Tftp { max_transfers: 50, ports, ..Tftp::default() }.most_transfers();
        assert_eq!(ports(TransferPorts::Range(50_000, 50_002)), 3);
        assert_eq!(ports(TransferPorts::Range(50_000, 50_000)), 1);
        assert_eq!(ports(TransferPorts::Range(1025, u16::MAX)), 50);
        assert_eq!(ports(TransferPorts::Single), 50);
    }
}
