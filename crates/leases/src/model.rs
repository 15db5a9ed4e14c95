//! A lease store told in the plainest way, and random operations to compare the real ones with it.

use std::net::Ipv4Addr;

use mac::Mac;
use proptest::prelude::*;

use crate::error::StoreError;
use crate::record::{Binding, ClientKey, Grant, Record, State, UnixSecs};
use crate::store::{Change, LeaseStore, Outcome};
use crate::table::Table;

/// A batch, and when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) changes: Vec<Change>,
    pub(crate) now: UnixSecs,
}

/// Whether each change of the batch was made.
pub(crate) type Answer = Vec<bool>;

impl Operation {
    pub(crate) fn perform(&self, store: &mut dyn LeaseStore) -> Result<Answer, StoreError> {
        let outcomes = store.commit(self.changes.clone())?;
        assert_eq!(outcomes.len(), self.changes.len());
        let answer = |(outcome, change): (Outcome, &Change)| match (outcome, change) {
            (Outcome::Granted(lease), Change::Grant(grant)) => {
                assert_eq!((lease.address(), lease.key(), lease.granted()), (grant.address, &grant.key, grant.now));
                true
            }
            (Outcome::Taken(taken), Change::Grant(grant)) => {
                assert_eq!(taken.address, grant.address);
                false
            }
            (Outcome::Released(is_done), Change::Release { .. }) => is_done,
            (Outcome::Declined, Change::Decline { .. }) => true,
            (Outcome::Unnamed(is_done), Change::Unname { .. }) => is_done,
            (outcome, change) => panic!("{outcome:?} is no answer to {change:?}"),
        };
        Ok(outcomes.into_iter().zip(&self.changes).map(answer).collect())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    /// In no order.
    records: Vec<Record>,
}

impl Model {
    pub(crate) fn of(table: &Table) -> Model {
        Model { records: table.list().cloned().collect() }
    }

    pub(crate) fn apply(&mut self, operation: &Operation) -> Answer {
        // What a client leaves by moving is free from the next batch on.
        let mut left = Vec::new();
        operation.changes.iter().map(|change| self.make(change, &mut left)).collect()
    }

    fn make(&mut self, change: &Change, left: &mut Vec<Record>) -> bool {
        match change {
            Change::Grant(grant) => {
                let Grant { address, key, now, .. } = grant;
                let mut was_left = left.iter().filter(|record| record.address == *address);
                let is_free =
                    self.is_free_for(*address, key, *now) && was_left.all(|record| is_free(record, key, *now));
                if is_free {
                    let is_former = |record: &&Record| record.key() == Some(key) && record.address != *address;
                    let former = self.records.iter().find(is_former).cloned();
                    left.retain(|record| record.address != *address);
                    left.extend(former);
                    self.grant(grant);
                }
                is_free
            }
            Change::Release { address, key, now } => self.release(*address, key, *now),
            Change::Decline { address, until } => {
                left.retain(|record| record.address != *address);
                self.records.retain(|record| record.address != *address);
                self.records.push(Record { address: *address, state: State::Declined { until: *until } });
                true
            }
            Change::Unname { address, key } => {
                let is_it = |record: &&mut Record| record.address == *address && record.key() == Some(key);
                let record = self.records.iter_mut().find(is_it);
                match record.map(|record| &mut record.state) {
                    Some(State::Bound(binding)) => binding.hostname.take().is_some(),
                    _ => false,
                }
            }
        }
    }

    fn is_free_for(&self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> bool {
        self.records.iter().filter(|record| record.address == address).all(|record| is_free(record, key, now))
    }

    fn grant(&mut self, grant: &Grant) {
        let Grant { address, key, mac, client_id, hostname, lease_secs, now } = grant.clone();
        self.records.retain(|record| record.address != address && record.key() != Some(&key));
        let binding = Binding { key, mac, client_id, hostname, granted: now, lease_secs };
        self.records.push(Record { address, state: State::Bound(binding) });
    }

    fn release(&mut self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> bool {
        for record in self.records.iter_mut().filter(|record| record.address == address) {
            if let State::Bound(binding) = &record.state
                && binding.key == *key
            {
                let since = if binding.expires().is_past(now) { binding.granted.plus(binding.lease_secs) } else { now };
                record.state = State::Released { binding: binding.clone(), since };
                return true;
            }
        }
        false
    }

    /// Whether `table` holds the same records.
    pub(crate) fn is_like(&self, table: &Table) -> bool {
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_by_key(|record| record.address);
        records.into_iter().eq(table.list())
    }

    /// That `table` holds the same records, and that every way to look into it agrees with them.
    pub(crate) fn assert_like(&self, table: &Table, now: UnixSecs) {
        assert!(self.is_like(table), "model: {:?}\ntable: {:?}", self.records, table.list().collect::<Vec<_>>());
        assert_eq!(table.len(), self.records.len());
        for now in [now, UnixSecs(0), now.plus(10), now] {
            assert_eq!(table.active(now), self.records.iter().filter(|record| record.is_active(now)).count());
        }
        assert_eq!(
            Table::of(table.iter().cloned()).active(now),
            self.records.iter().filter(|record| record.is_active(now)).count()
        );
        for record in &self.records {
            assert_eq!(table.at(record.address), Some(record));
            assert!(table.recorded().contains(record.address.to_bits()));
            if let Some(binding) = record.binding() {
                assert_eq!(table.find(&binding.key), Some(record));
                let last = table.find_mac(binding.mac).and_then(Record::binding).map(|binding| binding.granted);
                assert!(last >= Some(binding.granted));
                let name = binding.hostname.as_deref().map(str::to_uppercase);
                let of_name = |name: String| table.find_name(&name).any(|other| other == record);
                assert!(name.is_none_or(of_name));
            }
        }
        let mut reusable: Vec<_> = (self.records.iter())
            .filter(|record| record.free_from().is_past(now))
            .map(|record| (record.free_from(), record.address))
            .collect();
        reusable.sort();
        let reusable: Vec<_> = reusable.into_iter().map(|(_, address)| address).collect();
        assert_eq!(table.reusable(now).collect::<Vec<_>>(), reusable);
    }
}

fn is_free(record: &Record, key: &ClientKey, now: UnixSecs) -> bool {
    match &record.state {
        State::Bound(binding) => binding.key == *key || binding.expires().is_past(now),
        State::Released { .. } => true,
        State::Declined { until } => *until <= now,
    }
}

fn address() -> impl Strategy<Value = Ipv4Addr> {
    (0u8..6).prop_map(|last| Ipv4Addr::new(10, 0, 0, last))
}

fn client() -> impl Strategy<Value = Mac> {
    (0u8..5).prop_map(|last| Mac([2, 0, 0, 0, 0, last]))
}

fn lease_secs() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0u32..40, 1 => Just(u32::MAX)]
}

fn hostname() -> impl Strategy<Value = Option<String>> {
    prop::option::of((0u8..3).prop_map(|name| format!("name-{name}")))
}

/// At second 0.
fn change() -> impl Strategy<Value = Change> {
    let now = UnixSecs(0);
    let grant =
        (address(), client(), lease_secs(), hostname()).prop_map(move |(address, mac, lease_secs, hostname)| {
            let key = ClientKey::Mac(mac);
            Change::Grant(Grant { address, key, mac, client_id: None, hostname, lease_secs, now })
        });
    let key = || client().prop_map(ClientKey::Mac);
    prop_oneof![
        12 => grant,
        2 => (address(), key()).prop_map(move |(address, key)| Change::Release { address, key, now }),
        1 => (address(), 0u64..40).prop_map(|(address, secs)| Change::Decline { address, until: UnixSecs(secs) }),
        1 => (address(), key()).prop_map(|(address, key)| Change::Unname { address, key }),
    ]
}

/// Up to `most` operations on few addresses and clients, as time goes on.
pub(crate) fn batches(most: usize) -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec((prop::collection::vec(change(), 1..5), 0u64..20), 1..most).prop_map(|operations| {
        let mut clock = 1000;
        let in_time = |(mut changes, pause): (Vec<Change>, u64)| {
            clock += pause;
            for change in &mut changes {
                match change {
                    Change::Grant(Grant { now, .. }) | Change::Release { now, .. } => *now = UnixSecs(clock),
                    Change::Decline { until, .. } => until.0 += clock,
                    Change::Unname { .. } => {}
                }
            }
            Operation { changes, now: UnixSecs(clock) }
        };
        operations.into_iter().map(in_time).collect()
    })
}
