//! The end of the service: what it took on is written and answered, and a disk that hangs does not hold it up for ever.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use dhcp::v4::MessageType;
use journal::Step;
use leases::{Change, LeaseStore, MemoryStore, Outcome, StoreError, Table};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::settle;
use super::tests::{Bench, SERVER, guide, host, mac, message, request};

/// A disk that is through with a batch once somebody waits for it.
struct Patient {
    store: MemoryStore,
    waits: Option<Vec<Change>>,
    ready: EventFd,
    hangs: bool,
}

impl LeaseStore for Patient {
    fn table(&self) -> &Table {
        self.store.table()
    }
    fn begin(&mut self, batch: Vec<Change>) {
        assert!(self.waits.replace(batch).is_none(), "one batch at a time");
    }
    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        self.ready.read().ok()?;
        let batch = self.waits.take()?;
        Some(self.store.commit(batch))
    }
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        if !self.hangs && self.waits.is_some() {
            self.ready.write(1).unwrap();
        }
        Some(self.ready.as_fd())
    }
    fn is_sole(&self) -> bool {
        true
    }
}

/// A server with an acknowledgement under way, and another and a release behind it.
fn amid_writes(hangs: bool) -> Bench {
    let ready = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
    let store = Patient { store: MemoryStore::default(), waits: None, ready, hangs };
    let mut bench = Bench::with_store(guide(), Box::new(store));
    let mut release = message(mac(1), &[(53, &[7]), (54, &SERVER.octets())]);
    release[12..16].copy_from_slice(&host(201).octets());
    for octets in [request(mac(1), host(201)), request(mac(2), host(202)), release] {
        assert!(bench.hears(&octets).replies.is_empty(), "it is under way");
    }
    bench
}

#[test]
fn what_was_taken_on_is_written_and_answered_before_the_end() {
    let mut bench = amid_writes(false);
    let (clock, end) = (bench.clock(), Instant::now() + Duration::from_secs(60));
    let mut turns = 0;
    while settle(&mut bench.engine, || clock, end) {
        turns += 1;
    }
    assert_eq!(turns, 2, "the batch under way, and what gathered behind it");
    let out = bench.out();
    assert_eq!(out.replies.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [MessageType::Ack; 2]);
    assert!(out.steps.contains(&Step::DhcpRelease { address: host(201) }), "{:?}", out.steps);
}

#[test]
fn a_disk_that_hangs_does_not_hold_up_the_end() {
    let mut bench = amid_writes(true);
    let (clock, end) = (bench.clock(), Instant::now() + Duration::from_millis(20));
    while settle(&mut bench.engine, || clock, end) {}
    assert!(Instant::now() >= end, "it was given its time");
    assert!(bench.out().replies.is_empty(), "nothing is acknowledged that is not on disk");
}
