//! A store that forgets: for tests, and for trying things out.

use std::net::Ipv4Addr;

use crate::error::StoreError;
use crate::record::{ClientKey, Grant, Lease, Record, State, UnixSecs};
use crate::store::{LeaseStore, Taken, decide, released};
use crate::table::Table;

/// Leases that live as long as the process. Never fails.
#[derive(Debug, Default)]
pub struct MemoryStore {
    table: Table,
}

impl LeaseStore for MemoryStore {
    fn table(&self) -> &Table {
        &self.table
    }

    fn commit(&mut self, batch: Vec<Grant>) -> Result<Vec<Result<Lease, Taken>>, StoreError> {
        let answers = decide(&self.table, batch);
        for lease in answers.iter().flatten() {
            self.table.put(lease.record());
        }
        Ok(answers)
    }

    fn release(&mut self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> Result<bool, StoreError> {
        let record = released(&self.table, address, key, now);
        let is_holder = record.is_some();
        record.into_iter().for_each(|record| self.table.put(record));
        Ok(is_holder)
    }

    fn decline(&mut self, address: Ipv4Addr, until: UnixSecs) -> Result<(), StoreError> {
        self.table.put(Record { address, state: State::Declined { until } });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    crate::conformance::suite!(super::MemoryStore::default());
}
