//! The DNS service: what it answers ([`dns::Settings`]), where, and from which files.

use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    pub port: u16,
    /// Where queries are answered. Empty: on the address that everything else is served from.
    pub at: Vec<DnsAt>,
    pub settings: dns::Settings,
    pub resolv: Resolv,
    pub hosts: HostsFiles,
    pub clients: DnsClients,
    /// At most so many TCP connections are served at once.
    pub max_tcp: usize,
}

impl Dns {
    /// The servers of the settings that are asked for every name, as texts.
    pub fn upstream(&self) -> Vec<String> {
        let upstream = self.settings.routes.iter().filter(|route| crate::print::dns::is_upstream(route));
        upstream.map(|route| crate::value::dns::show_to(&route.to)).collect()
    }
}

/// An address of ours that answers queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAt {
    pub interface: String,
    pub address: IpAddr,
}

/// Where upstream servers are read from, beyond those of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolv {
    /// resolv.conf and its like; the one that changed last counts.
    pub files: Vec<PathBuf>,
    /// Read again whenever they change; else on SIGHUP alone.
    pub watched: bool,
    /// The cache is emptied when they are read again.
    pub clears_cache: bool,
}

/// Hosts files, read again when they change or on SIGHUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsFiles {
    /// Files; or folders, all of whose files are read.
    pub paths: Vec<PathBuf>,
    /// Folders whose files are read again as soon as they change, files of [`HostsFiles::paths`] being read again on
    /// SIGHUP alone unless `watched`.
    pub folders: Vec<PathBuf>,
    /// [`HostsFiles::paths`] are watched too.
    pub watched: bool,
    /// This host's name has our address of the network, also where no file has it. Names at loopback addresses are this
    /// host's own: `localhost` is 127.0.0.1 and ::1 alone, and others have that address in place of 127.0.1.1, where
    /// Debian puts the host's name.
    pub loopback_is_us: bool,
}

/// Whose queries are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsClients {
    /// Anybody's.
    All,
    /// Those from subnets of ours.
    #[default]
    Neighbours,
    /// Those from this host.
    ThisHost,
}
