//! What the options on `dhcp-script` come to.

use std::path::PathBuf;

use crate::dnsmasq::Meaning;

/// A program that is told what becomes of leases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// `None`: there is none.
    pub path: Option<PathBuf>,
    /// `None`: root, or whoever started us.
    pub user: Option<String>,
    /// It hears of the neighbour table too.
    pub arp: bool,
    /// It hears of renewals too.
    pub on_renewal: bool,
    /// It keeps the leases: we write no lease file, and ask it at the start.
    pub keeps_leases: bool,
}

impl Script {
    /// Takes an option that is the script's. Returns whether it is.
    pub(super) fn take(&mut self, meaning: &Meaning) -> bool {
        match meaning {
            Meaning::DhcpScript(path) => self.path = Some(path.clone()),
            Meaning::DhcpScriptUser(name) => self.user = Some(name.clone()),
            Meaning::ScriptArp => self.arp = true,
            Meaning::ScriptOnRenewal => self.on_renewal = true,
            Meaning::LeaseFileReadOnly => self.keeps_leases = true,
            _ => return false,
        }
        true
    }
}
