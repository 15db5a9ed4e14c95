//! A store whose disk takes its time, on the world's clock.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use leases::{Change, EmbeddedStore, LeaseStore, Outcome, StoreError, Table};

use crate::disk::SimDisk;

/// What the world and the store tell each other, in milliseconds.
#[derive(Clone, Default)]
pub struct Pace(Arc<(AtomicU64, AtomicU64, AtomicU64)>);

impl Pace {
    pub fn now(&self, now: u64) {
        self.0.0.store(now, Relaxed);
    }

    /// How long a batch takes.
    pub fn takes(&self, millis: u64) {
        self.0.1.store(millis, Relaxed);
    }

    /// When the batch is through that is under way.
    pub fn due(&self) -> Option<u64> {
        Some(self.0.2.load(Relaxed)).filter(|due| *due > 0)
    }
}

/// Writes a batch when its time is over; until then the power may go, and nothing of it is on the disk.
pub struct SlowStore {
    pub store: EmbeddedStore<SimDisk>,
    pub pace: Pace,
    waits: Option<Vec<Change>>,
}

impl SlowStore {
    pub fn new(store: EmbeddedStore<SimDisk>, pace: Pace) -> SlowStore {
        pace.0.2.store(0, Relaxed);
        SlowStore { store, pace, waits: None }
    }
}

impl LeaseStore for SlowStore {
    fn table(&self) -> &Table {
        self.store.table()
    }

    fn begin(&mut self, batch: Vec<Change>) {
        assert!(self.waits.replace(batch).is_none(), "one batch at a time");
        let (now, takes, due) = &*self.pace.0;
        due.store(now.load(Relaxed) + takes.load(Relaxed), Relaxed);
    }

    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        let (now, _, due) = &*self.pace.0;
        let batch = self.waits.take_if(|_| due.load(Relaxed) <= now.load(Relaxed))?;
        due.store(0, Relaxed);
        self.store.begin(batch);
        self.store.settled()
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_sole(&self) -> bool {
        self.store.is_sole()
    }

    fn confirm(
        &self,
        address: std::net::Ipv4Addr,
        key: &leases::ClientKey,
        lease_secs: u32,
        now: leases::UnixSecs,
    ) -> Option<leases::Lease> {
        self.store.confirm(address, key, lease_secs, now)
    }
}
