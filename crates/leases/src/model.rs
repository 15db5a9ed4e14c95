//! A lease store told in the plainest way, and random operations to compare the real ones with it.

use std::net::Ipv4Addr;

use mac::Mac;
use proptest::prelude::*;

use crate::error::StoreError;
use crate::record::{Binding, ClientKey, Grant, Record, State, UnixSecs};
use crate::store::LeaseStore;
use crate::table::Table;

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Commit(Vec<Grant>),
    Release(Ipv4Addr, ClientKey, UnixSecs),
    /// The address, until when, and now.
    Decline(Ipv4Addr, UnixSecs, UnixSecs),
}

/// Whether each grant of the batch was accepted, or whether the release was.
pub(crate) type Answer = Vec<bool>;

impl Operation {
    pub(crate) fn now(&self) -> UnixSecs {
        match self {
            Operation::Commit(grants) => grants[0].now,
            Operation::Release(_, _, now) | Operation::Decline(_, _, now) => *now,
        }
    }

    pub(crate) fn perform(&self, store: &mut dyn LeaseStore) -> Result<Answer, StoreError> {
        match self.clone() {
            Operation::Commit(grants) => {
                let answers = store.commit(grants.clone())?;
                for (lease, grant) in
                    answers.iter().zip(grants).filter_map(|(lease, grant)| Some((lease.as_ref().ok()?, grant)))
                {
                    assert_eq!((lease.address(), lease.key(), lease.granted()), (grant.address, &grant.key, grant.now));
                }
                Ok(answers.iter().map(Result::is_ok).collect())
            }
            Operation::Release(address, key, now) => Ok(vec![store.release(address, &key, now)?]),
            Operation::Decline(address, until, _) => store.decline(address, until).map(|()| vec![]),
        }
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
        match operation {
            Operation::Commit(grants) => {
                let before = self.clone();
                let mut accepted: Vec<&Grant> = Vec::new();
                let answer = grants.iter().map(|grant| {
                    let is_free = before.is_free_for(grant.address, &grant.key, grant.now)
                        && accepted.iter().all(|other| other.address != grant.address || other.key == grant.key);
                    if is_free {
                        accepted.push(grant);
                        self.grant(grant);
                    }
                    is_free
                });
                answer.collect()
            }
            Operation::Release(address, key, now) => vec![self.release(*address, key, *now)],
            Operation::Decline(address, until, _) => {
                self.records.retain(|record| record.address != *address);
                self.records.push(Record { address: *address, state: State::Declined { until: *until } });
                vec![]
            }
        }
    }

    fn is_free_for(&self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> bool {
        self.records.iter().filter(|record| record.address == address).all(|record| match &record.state {
            State::Bound(binding) => binding.key == *key || binding.expires().is_past(now),
            State::Released { .. } => true,
            State::Declined { until } => *until <= now,
        })
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
        assert_eq!(table.active(now), self.records.iter().filter(|record| record.is_active(now)).count());
        for record in &self.records {
            assert_eq!(table.at(record.address), Some(record));
            assert!(table.recorded().contains(record.address.to_bits()));
            if let Some(binding) = record.binding() {
                assert_eq!(table.find(&binding.key), Some(record));
                let last = table.find_mac(binding.mac).and_then(Record::binding).map(|binding| binding.granted);
                assert!(last >= Some(binding.granted));
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

fn address() -> impl Strategy<Value = Ipv4Addr> {
    (0u8..6).prop_map(|last| Ipv4Addr::new(10, 0, 0, last))
}

fn client() -> impl Strategy<Value = Mac> {
    (0u8..5).prop_map(|last| Mac([2, 0, 0, 0, 0, last]))
}

fn lease_secs() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0u32..40, 1 => Just(u32::MAX)]
}

fn operation() -> impl Strategy<Value = Operation> {
    let grant = (address(), client(), lease_secs()).prop_map(|(address, mac, lease_secs)| Grant {
        address,
        key: ClientKey::Mac(mac),
        mac,
        client_id: None,
        hostname: None,
        lease_secs,
        now: UnixSecs(0),
    });
    prop_oneof![
        6 => prop::collection::vec(grant, 1..5).prop_map(Operation::Commit),
        1 => (address(), client()).prop_map(|(address, mac)| Operation::Release(address, ClientKey::Mac(mac), UnixSecs(0))),
        1 => (address(), 0u64..40).prop_map(|(address, secs)| Operation::Decline(address, UnixSecs(secs), UnixSecs(0))),
    ]
}

/// Up to `most` operations on few addresses and clients, as time goes on.
pub(crate) fn batches(most: usize) -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec((operation(), 0u64..20), 1..most).prop_map(|operations| {
        let mut clock = 1000;
        let in_time = |(mut operation, pause): (Operation, u64)| {
            clock += pause;
            match &mut operation {
                Operation::Commit(grants) => grants.iter_mut().for_each(|grant| grant.now = UnixSecs(clock)),
                Operation::Release(_, _, now) => *now = UnixSecs(clock),
                Operation::Decline(_, until, now) => (until.0, now.0) = (until.0 + clock, clock),
            }
            operation
        };
        operations.into_iter().map(in_time).collect()
    })
}
