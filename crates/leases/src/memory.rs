//! A store that forgets: for tests, and for trying things out.

use std::os::fd::BorrowedFd;

use crate::decide::{Decided, decide};
use crate::error::StoreError;
use crate::store::{Change, LeaseStore, Outcome};
use crate::table::Table;

/// Leases that live as long as the process. Never fails.
#[derive(Debug, Default)]
pub struct MemoryStore {
    table: Table,
    settled: Option<Vec<Outcome>>,
}

impl LeaseStore for MemoryStore {
    fn table(&self) -> &Table {
        &self.table
    }

    fn begin(&mut self, batch: Vec<Change>) {
        let Decided { outcomes, records } = decide(&self.table, batch);
        records.into_iter().for_each(|record| self.table.put(record));
        self.settled = Some(outcomes);
    }

    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        self.settled.take().map(Ok)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_sole(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    crate::conformance::suite!(super::MemoryStore::default());
}
