//! Names of leases: for as long as their leases last.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Instant;

use super::Lease;
use super::tree::Tree;
use crate::Name;
use crate::settings::Local;

/// Who has which address and name now. All changes to names go to the tree at once.
#[derive(Default)]
pub(super) struct Leases {
    by_address: HashMap<Ipv4Addr, Held>,
    by_end: BTreeSet<(Instant, Ipv4Addr)>,
}

pub(super) struct Held {
    lease: Lease,
    /// With its domain; the address is known by this one first.
    full: Option<Name>,
    plain: Option<Name>,
}

impl Held {
    /// Its names; what the address is known by comes first.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.full.iter().chain(&self.plain)
    }

    pub fn ends(&self) -> Option<Instant> {
        self.lease.ends
    }
}

impl Leases {
    pub fn get(&self, address: Ipv4Addr) -> Option<&Held> {
        self.by_address.get(&address)
    }

    /// Takes the place of what was known of the address; and each of its names from the machine that had it, which then
    /// has none.
    pub fn give(&mut self, local: &Local, lease: Lease, tree: &mut Tree) {
        self.end(lease.address, tree);
        let domain = lease.domain.as_ref().or_else(|| local.domains.of(lease.address.into()));
        let full = domain.and_then(|domain| lease.name.below(domain).ok());
        let plain = (!local.leases_by_full_name_only && !lease.name.is_root()).then(|| lease.name.clone());
        let held = Held { full: full.filter(|_| !lease.name.is_root()), plain, lease };
        let address = held.lease.address;
        for name in held.names() {
            if let Some(former) = tree.get(name.as_wire()).and_then(|node| node.lease) {
                self.end(former, tree);
            }
            tree.change(name, |node| node.lease = Some(address));
        }
        self.by_end.extend(held.lease.ends.map(|ends| (ends, address)));
        self.by_address.insert(address, held);
    }

    pub fn end(&mut self, address: Ipv4Addr, tree: &mut Tree) {
        let Some(held) = self.by_address.remove(&address) else { return };
        held.names().for_each(|name| tree.change(name, |node| node.lease = None));
        if let Some(ends) = held.lease.ends {
            self.by_end.remove(&(ends, address));
        }
    }

    /// Ends those whose time has come.
    pub fn advance(&mut self, now: Instant, tree: &mut Tree) {
        while let Some(&(ends, address)) = self.by_end.first().filter(|(ends, _)| *ends <= now) {
            self.end(address, tree);
            debug_assert!(self.by_end.first().is_none_or(|next| *next > (ends, address)), "an end comes once");
        }
    }

    /// All of them, for a tree that knows none.
    pub fn into_leases(self) -> Vec<Lease> {
        let mut leases: Vec<Lease> = self.by_address.into_values().map(|held| held.lease).collect();
        leases.sort_by_key(|lease| lease.address);
        leases
    }
}
