//! All records in memory: what every store knows, and how it is looked up.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash};
use std::net::Ipv4Addr;

use hashbrown::{DefaultHashBuilder, HashTable};
use mac::Mac;

use crate::record::{ClientKey, Expiry, Record, State, UnixSecs};
use crate::runs::Runs;
use crate::store::Occupant;

/// One record per address, and at most one address per client: a client that is given another address leaves its former one.
///
/// Every look-up takes the same time however many records there are, but for [`Table::list`].
#[derive(Clone, Debug, Default)]
pub struct Table {
    slots: Slots,
    /// By address, which each record has one of.
    by_address: Index,
    by_key: Index,
    /// A machine may be several clients (firmware, loader, system), so several records.
    by_mac: Index,
    /// Without regard to case.
    by_name: Index,
    /// When each address becomes free again, soonest first; without those bound for ever.
    by_free_from: BTreeSet<(UnixSecs, u32)>,
    recorded: Runs,
    /// How many were active when it was last asked for.
    active: Cell<Active>,
}

/// The places of records in [`Slots`], found by the hash of something in the record.
type Index = HashTable<u32>;

#[derive(Clone, Copy, Debug, Default)]
struct Active {
    count: usize,
    at: UnixSecs,
}

impl Table {
    /// Takes the later record for the last word on its address and on its client.
    #[cfg(test)]
    pub(crate) fn of(records: impl IntoIterator<Item = Record>) -> Table {
        let mut loading = Loading::default();
        records.into_iter().for_each(|record| loading.put(record));
        loading.finish()
    }

    /// The client's record, whatever its state.
    pub fn find(&self, key: &ClientKey) -> Option<&Record> {
        self.slots.get(self.slots.by_key(&self.by_key, key)?)
    }

    /// The record granted last to any client with this MAC.
    pub fn find_mac(&self, mac: Mac) -> Option<&Record> {
        let records = self.by_mac.iter_hash(self.slots.hash(mac)).filter_map(|slot| self.slots.get(*slot));
        let bindings = records.filter(|record| record.binding().is_some_and(|binding| binding.mac == mac));
        bindings.max_by_key(|record| record.binding().map(|binding| (binding.granted, record.address)))
    }

    /// The records whose host name is this one, without regard to case.
    pub fn find_name(&self, name: &str) -> impl Iterator<Item = &Record> {
        let records = self.by_name.iter_hash(self.slots.hash_name(name)).filter_map(|slot| self.slots.get(*slot));
        records.filter(move |record| record.name().is_some_and(|other| other.eq_ignore_ascii_case(name)))
    }

    pub fn at(&self, address: Ipv4Addr) -> Option<&Record> {
        self.slots.get(self.slots.by_address(&self.by_address, address)?)
    }

    /// In address order. Sorts all records.
    pub fn list(&self) -> impl Iterator<Item = &Record> {
        let mut records: Vec<&Record> = self.iter().collect();
        records.sort_unstable_by_key(|record| record.address);
        records.into_iter()
    }

    /// In no order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.slots.records.iter().flatten()
    }

    /// All records, active or not.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// How many addresses are held by clients at `now`. Looks at those only that ended since it was last asked for.
    pub fn active(&self, now: UnixSecs) -> usize {
        let Active { count, at } = self.active.get();
        let ended = |from, to| {
            let ended = self.by_free_from.range((from, u32::MAX)..=(to, u32::MAX)).skip_while(|(end, _)| *end <= from);
            let record = |(_, address): &(UnixSecs, u32)| self.at(Ipv4Addr::from_bits(*address));
            ended.filter_map(record).filter(|record| matches!(record.state, State::Bound(_))).count()
        };
        let count = if now >= at { count - ended(at, now) } else { count + ended(now, at) };
        self.active.set(Active { count, at: now });
        count
    }

    /// Whether at least `limit` leases are active.
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
        let address = record.address;
        let own = self.slots.by_address(&self.by_address, address);
        if let Some(former) = record.key().and_then(|key| self.slots.by_key(&self.by_key, key))
            && Some(former) != own
        {
            self.remove(former);
        }
        let slot = match own {
            // Most records only move the end of a lease.
            Some(slot) if self.slots.get(slot).is_some_and(|former| is_renewal(former, &record)) => {
                self.leave_time(slot);
                self.slots.records[slot as usize] = Some(record);
                return self.enter_time(slot);
            }
            Some(slot) => {
                self.leave_all(slot);
                self.slots.records[slot as usize] = Some(record);
                slot
            }
            None => {
                let slot = self.slots.put(record);
                self.recorded.insert(address.to_bits());
                self.slots.enter(&mut self.by_address, self.slots.hash(address), |record| Some(record.address), slot);
                slot
            }
        };
        self.enter_all(slot);
    }

    /// Takes away what is known of an address. `false`: that was nothing.
    pub(crate) fn forget(&mut self, address: Ipv4Addr) -> bool {
        let slot = self.slots.by_address(&self.by_address, address);
        slot.into_iter().for_each(|slot| self.remove(slot));
        slot.is_some()
    }

    fn remove(&mut self, slot: u32) {
        self.leave_all(slot);
        let Some(record) = self.slots.records[slot as usize].take() else { return };
        leave(&mut self.by_address, self.slots.hash(record.address), slot);
        self.recorded.remove(record.address.to_bits());
        self.slots.free.push(slot);
    }

    /// All but the address.
    fn enter_all(&mut self, slot: u32) {
        self.enter_time(slot);
        let Some(record) = self.slots.get(slot) else { return };
        let hash_key = record.key().map(|key| self.slots.hash(key));
        let hash_mac = record.binding().map(|binding| self.slots.hash(binding.mac));
        let hash_name = record.name().map(|name| self.slots.hash_name(name));
        if let (Some(key), Some(mac)) = (hash_key, hash_mac) {
            self.slots.enter(&mut self.by_key, key, |record| record.key(), slot);
            self.slots.enter(&mut self.by_mac, mac, |record| Some(record.binding()?.mac), slot);
        }
        if let Some(name) = hash_name {
            self.by_name.insert_unique(name, slot, |slot| self.slots.hash_of_name(*slot));
        }
    }

    fn leave_all(&mut self, slot: u32) {
        self.leave_time(slot);
        let Some(record) = self.slots.get(slot) else { return };
        if let Some(binding) = record.binding() {
            leave(&mut self.by_key, self.slots.hash(&binding.key), slot);
            leave(&mut self.by_mac, self.slots.hash(binding.mac), slot);
        }
        if let Some(name) = record.name() {
            leave(&mut self.by_name, self.slots.hash_name(name), slot);
        }
    }

    fn enter_time(&mut self, slot: u32) {
        let Some(record) = self.slots.get(slot) else { return };
        if let Expiry::At(time) = record.free_from() {
            self.by_free_from.insert((time, record.address.to_bits()));
        }
        let active = self.active.get_mut();
        active.count += usize::from(record.is_active(active.at));
    }

    fn leave_time(&mut self, slot: u32) {
        let Some(record) = self.slots.get(slot) else { return };
        if let Expiry::At(time) = record.free_from() {
            self.by_free_from.remove(&(time, record.address.to_bits()));
        }
        let active = self.active.get_mut();
        active.count -= usize::from(record.is_active(active.at));
    }
}

/// Whether nothing changes by which a record is found, but for the time.
fn is_renewal(former: &Record, record: &Record) -> bool {
    match (former.binding(), record.binding()) {
        (Some(a), Some(b)) => a.key == b.key && a.mac == b.mac && a.hostname == b.hostname,
        _ => false,
    }
}

fn leave(index: &mut Index, hash: u64, slot: u32) {
    if let Ok(entry) = index.find_entry(hash, |at| *at == slot) {
        entry.remove();
    }
}

/// The records, each in a place of its own, and what finds it there.
#[derive(Clone, Debug, Default)]
struct Slots {
    records: Vec<Option<Record>>,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
}

impl Slots {
    fn get(&self, slot: u32) -> Option<&Record> {
        self.records.get(slot as usize)?.as_ref()
    }

    fn put(&mut self, record: Record) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.records[slot as usize] = Some(record);
            return slot;
        }
        self.records.push(Some(record));
        u32::try_from(self.records.len() - 1).expect("there are fewer addresses than that")
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    fn hash_name(&self, name: &str) -> u64 {
        let mut small = [0; 256];
        let (small, _) = small.split_at_mut(name.len().min(256));
        small.copy_from_slice(&name.as_bytes()[..small.len()]);
        small.make_ascii_lowercase();
        self.hash(&*small)
    }

    fn hash_of_name(&self, slot: u32) -> u64 {
        self.get(slot).and_then(Record::name).map_or(0, |name| self.hash_name(name))
    }

    fn by_address(&self, index: &Index, address: Ipv4Addr) -> Option<u32> {
        let is_it = |slot: &u32| self.get(*slot).is_some_and(|record| record.address == address);
        index.find(self.hash(address), is_it).copied()
    }

    fn by_key(&self, index: &Index, key: &ClientKey) -> Option<u32> {
        let is_it = |slot: &u32| self.get(*slot).is_some_and(|record| record.key() == Some(key));
        index.find(self.hash(key), is_it).copied()
    }

    /// `by`: what the index goes by.
    fn enter<'a, K: Hash>(&'a self, index: &mut Index, hash: u64, by: impl Fn(&'a Record) -> Option<K>, slot: u32) {
        index.insert_unique(hash, slot, |slot| self.get(*slot).and_then(&by).map_or(0, |by| self.hash(by)));
    }
}

/// A table that is being read: what only orders records is made at the end, once and in order.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    slots: Slots,
    by_address: Index,
    by_key: Index,
}

impl Loading {
    /// With room for so many records.
    pub(crate) fn with_capacity(records: usize) -> Loading {
        let slots = Slots { records: Vec::with_capacity(records), ..Slots::default() };
        Loading { slots, by_address: Index::with_capacity(records), by_key: Index::with_capacity(records) }
    }

    /// As [`Table::put`].
    pub(crate) fn put(&mut self, record: Record) {
        let own = self.slots.by_address(&self.by_address, record.address);
        let former = record.key().and_then(|key| self.slots.by_key(&self.by_key, key));
        if let Some(former) = former.filter(|former| Some(*former) != own) {
            self.remove(former);
        }
        let slot = match own {
            Some(slot) => {
                if former != own {
                    self.leave_key(slot);
                }
                self.slots.records[slot as usize] = Some(record);
                slot
            }
            None => {
                let address = record.address;
                let slot = self.slots.put(record);
                self.slots.enter(&mut self.by_address, self.slots.hash(address), |record| Some(record.address), slot);
                slot
            }
        };
        if let Some(hash) = self.slots.get(slot).and_then(Record::key).map(|key| self.slots.hash(key))
            && (former != own || own.is_none())
        {
            self.slots.enter(&mut self.by_key, hash, |record| record.key(), slot);
        }
    }

    fn leave_key(&mut self, slot: u32) {
        if let Some(key) = self.slots.get(slot).and_then(Record::key) {
            leave(&mut self.by_key, self.slots.hash(key), slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.leave_key(slot);
        let Some(record) = self.slots.records[slot as usize].take() else { return };
        leave(&mut self.by_address, self.slots.hash(record.address), slot);
        self.slots.free.push(slot);
    }

    /// In no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.slots.records.iter().flatten()
    }

    pub(crate) fn finish(self) -> Table {
        let Loading { mut slots, mut by_address, mut by_key } = self;
        let live = by_address.len();
        if slots.records.len() < slots.records.capacity() / 2 {
            slots.records.shrink_to(live + live / 4);
            by_address.shrink_to(live, |slot| slots.get(*slot).map_or(0, |record| slots.hash(record.address)));
            by_key.shrink_to(live, |slot| slots.get(*slot).and_then(Record::key).map_or(0, |key| slots.hash(key)));
        }
        let names = slots.records.iter().flatten().filter(|record| record.name().is_some()).count();
        let (mut by_mac, mut by_name) = (Index::with_capacity(by_key.len()), Index::with_capacity(names));
        let mut by_free_from = Vec::with_capacity(by_address.len());
        let mut addresses = Vec::with_capacity(by_address.len());
        let mut active = Active::default();
        for (slot, record) in (0..).zip(&slots.records) {
            let Some(record) = record else { continue };
            addresses.push(record.address.to_bits());
            if let Expiry::At(time) = record.free_from() {
                by_free_from.push((time, record.address.to_bits()));
            }
            if let Some(binding) = record.binding() {
                slots.enter(&mut by_mac, slots.hash(binding.mac), |record| Some(record.binding()?.mac), slot);
            }
            if let Some(name) = record.name() {
                by_name.insert_unique(slots.hash_name(name), slot, |slot| slots.hash_of_name(*slot));
            }
            active.count += usize::from(record.is_active(active.at));
        }
        addresses.sort_unstable();
        let (by_free_from, recorded) = (BTreeSet::from_iter(by_free_from), Runs::of_sorted(addresses));
        Table { slots, by_address, by_key, by_mac, by_name, by_free_from, recorded, active: Cell::new(active) }
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
