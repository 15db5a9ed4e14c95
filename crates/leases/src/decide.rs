//! What becomes of a batch of changes, before anything of it is written.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::record::{ClientKey, Lease, Record, State};
use crate::store::{Change, Outcome, Taken, released};
use crate::table::{Table, occupant};

/// What a batch comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decided {
    /// One for each change, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// What is to be written, in order: the later word on an address, or on a client, replaces the earlier.
    pub(crate) records: Vec<Record>,
}

/// Decides on each change of a batch, in order, and changes nothing: a store first makes the records durable, then puts them in
/// its table. Stricter than need be where a client moves within the batch: the address it leaves is free from the next batch on.
pub(crate) fn decide(table: &Table, batch: Vec<Change>) -> Decided {
    let mut batch_so_far =
        Batch { table, records: Vec::with_capacity(batch.len()), at: HashMap::new(), of: HashMap::new() };
    let outcomes = batch.into_iter().map(|change| batch_so_far.decide(change)).collect();
    Decided { outcomes, records: batch_so_far.records }
}

struct Batch<'a> {
    table: &'a Table,
    records: Vec<Record>,
    /// The place in `records` of the last word on an address.
    at: HashMap<Ipv4Addr, usize>,
    /// The address that each client was given last in this batch.
    of: HashMap<ClientKey, Ipv4Addr>,
}

impl Batch<'_> {
    fn decide(&mut self, change: Change) -> Outcome {
        match change {
            Change::Grant(grant) => {
                let address = grant.address;
                let by = self.at(address).and_then(|record| occupant(record, &grant.key, grant.now));
                if let Some(by) = by {
                    return Outcome::Taken(Taken { address, by });
                }
                self.of.insert(grant.key.clone(), address);
                let lease = Lease::of(grant);
                self.put(lease.record());
                Outcome::Granted(lease)
            }
            Change::Release { address, key, now } => {
                let record = self.bound(address, &key).and_then(|record| released(record, now));
                Outcome::Released(self.put_some(record))
            }
            Change::Decline { address, until } => {
                self.put(Record { address, state: State::Declined { until } });
                Outcome::Declined
            }
            Change::Unname { address, key } => {
                let record = self.bound(address, &key).and_then(Record::without_name);
                Outcome::Unnamed(self.put_some(record))
            }
        }
    }

    fn at(&self, address: Ipv4Addr) -> Option<&Record> {
        self.at.get(&address).map(|at| &self.records[*at]).or_else(|| self.table.at(address))
    }

    /// What binds `key` to `address`, unless it moved on within the batch.
    fn bound(&self, address: Ipv4Addr, key: &ClientKey) -> Option<&Record> {
        let is_there = self.of.get(key).is_none_or(|latest| *latest == address);
        self.at(address).filter(|record| is_there && record.key() == Some(key))
    }

    fn put_some(&mut self, record: Option<Record>) -> bool {
        let is_some = record.is_some();
        record.into_iter().for_each(|record| self.put(record));
        is_some
    }

    fn put(&mut self, record: Record) {
        self.at.insert(record.address, self.records.len());
        self.records.push(record);
    }
}
