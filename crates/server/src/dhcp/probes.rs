//! Addresses being asked after before they are offered: many at once, none of them in anyone's way.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Instant;

use leases::ClientKey;
use mac::Mac;

/// A request that waits to learn whether an address is in use.
#[derive(Debug)]
pub(super) struct Probe {
    pub key: ClientKey,
    pub mac: Mac,
    /// Where its request arrived.
    pub link: usize,
    /// The client's latest DHCPDISCOVER.
    pub request: Vec<u8>,
    /// When silence counts as an answer.
    pub deadline: Instant,
    /// Which address in a row this is for the client, from 1.
    pub tries: u8,
}

#[derive(Debug, Default)]
pub(super) struct Probes {
    by_address: HashMap<Ipv4Addr, Probe>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_deadline: BTreeSet<(Instant, Ipv4Addr)>,
}

impl Probes {
    pub fn start(&mut self, address: Ipv4Addr, probe: Probe) {
        self.take(address);
        self.by_deadline.insert((probe.deadline, address));
        self.by_key.insert(probe.key.clone(), address);
        self.by_address.insert(address, probe);
    }

    /// A client asked again while its probe is under way, perhaps by another card. Returns false when there is none.
    pub fn renew(&mut self, key: &ClientKey, mac: Mac, request: &[u8]) -> bool {
        let probe = self.by_key.get(key).and_then(|address| self.by_address.get_mut(address));
        probe.map(|probe| (probe.mac, probe.request) = (mac, request.to_vec())).is_some()
    }

    pub fn take(&mut self, address: Ipv4Addr) -> Option<Probe> {
        let probe = self.by_address.remove(&address)?;
        self.by_deadline.remove(&(probe.deadline, address));
        self.by_key.remove(&probe.key);
        Some(probe)
    }

    pub fn take_due(&mut self, now: Instant) -> Option<(Ipv4Addr, Probe)> {
        let (deadline, address) = *self.by_deadline.first()?;
        if deadline > now { None } else { Some((address, self.take(address)?)) }
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }
}
