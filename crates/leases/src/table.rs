//! All records in memory: what every store knows, and how it is looked up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use mac::Mac;

use crate::record::{ClientKey, Expiry, Record, State, UnixSecs};
use crate::runs::Runs;
use crate::store::Occupant;

/// One record per address, and at most one address per client: a client that is given another address leaves its former one.
#[derive(Clone, Debug, Default)]
pub struct Table {
    records: BTreeMap<u32, Record>,
    by_key: HashMap<ClientKey, u32>,
    /// A machine may be several clients (firmware, loader, system), so several addresses.
    by_mac: BTreeSet<(Mac, u32)>,
    /// When each address becomes free again, soonest first; without those bound for ever.
    by_free_from: BTreeSet<(UnixSecs, u32)>,
    recorded: Runs,
}

impl Table {
    /// The client's record, whatever its state.
    pub fn find(&self, key: &ClientKey) -> Option<&Record> {
        self.by_key.get(key).and_then(|address| self.records.get(address))
    }

    /// The record granted last to any client with this MAC.
    pub fn find_mac(&self, mac: Mac) -> Option<&Record> {
        let records =
            self.by_mac.range((mac, 0)..=(mac, u32::MAX)).filter_map(|(_, address)| self.records.get(address));
        records.max_by_key(|record| record.binding().map(|binding| binding.granted))
    }

    pub fn at(&self, address: Ipv4Addr) -> Option<&Record> {
        self.records.get(&address.to_bits())
    }

    /// In address order.
    pub fn list(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// All records, active or not.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many addresses are held by clients at `now`. Walks all records.
    pub fn active(&self, now: UnixSecs) -> usize {
        self.list().filter(|record| record.is_active(now)).count()
    }

    /// Whether at least `limit` leases are active; does not walk the records while there are fewer.
    pub fn has_reached(&self, limit: usize, now: UnixSecs) -> bool {
        self.len() >= limit && self.active(now) >= limit
    }

    /// Who keeps `key` from being given `address` at `now`: another client that holds it, or a conflict found there.
    pub fn occupant(&self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> Option<Occupant> {
        occupant(self.at(address)?, key, now)
    }

    /// Recorded addresses that are free at `now`, those free for longest first.
    pub(crate) fn reusable(&self, now: UnixSecs) -> impl Iterator<Item = Ipv4Addr> {
        self.by_free_from.range(..=(now, u32::MAX)).map(|(_, address)| Ipv4Addr::from_bits(*address))
    }

    /// Addresses that have a record.
    pub(crate) fn recorded(&self) -> &Runs {
        &self.recorded
    }

    /// Takes `record` as the last word on its address and on its client.
    pub(crate) fn put(&mut self, record: Record) {
        let address = record.address.to_bits();
        if let Some(former) = record.key().and_then(|key| self.by_key.get(key)).copied() {
            self.remove(former);
        }
        self.remove(address);
        if let Some(binding) = record.binding() {
            self.by_key.insert(binding.key.clone(), address);
            self.by_mac.insert((binding.mac, address));
        }
        if let Expiry::At(time) = record.free_from() {
            self.by_free_from.insert((time, address));
        }
        self.recorded.insert(address);
        self.records.insert(address, record);
    }

    /// Takes away what is known of an address. `false`: that was nothing.
    pub(crate) fn forget(&mut self, address: Ipv4Addr) -> bool {
        let is_known = self.records.contains_key(&address.to_bits());
        self.remove(address.to_bits());
        is_known
    }

    fn remove(&mut self, address: u32) {
        let Some(record) = self.records.remove(&address) else { return };
        if let Some(binding) = record.binding() {
            self.by_key.remove(&binding.key);
            self.by_mac.remove(&(binding.mac, address));
        }
        if let Expiry::At(time) = record.free_from() {
            self.by_free_from.remove(&(time, address));
        }
        self.recorded.remove(address);
    }
}

/// Who keeps `key` from being given the record's address at `now`.
pub(crate) fn occupant(record: &Record, key: &ClientKey, now: UnixSecs) -> Option<Occupant> {
    match &record.state {
        State::Bound(binding) if binding.key != *key && record.is_active(now) => {
            Some(Occupant::Client(binding.key.clone()))
        }
        State::Declined { until } if now < *until => Some(Occupant::Declined { until: *until }),
        _ => None,
    }
}
