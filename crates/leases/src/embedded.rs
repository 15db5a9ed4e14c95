//! The store that lanboot uses when it is told nothing else: all records in memory, every change in an append-only log.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::disk::{Disk, FileDisk, LOG_NAME, io_error};
use crate::error::StoreError;
use crate::log::{self, Replay, Salt, Unusable};
use crate::record::{ClientKey, Grant, Lease, Record, State, UnixSecs};
use crate::store::{LeaseStore, Taken, decide, released};
use crate::table::Table;

/// A log below this size is not worth compacting.
const SMALL_LOG_OCTETS: u64 = 1 << 20;
/// A log is compacted when it holds more than this many superseded records for each live one.
const DEAD_PER_LIVE: usize = 4;

/// Leases in a log on `D`.
///
/// What is in memory is what is on disk: a batch is written and synced as one frame, then put into the table. A failed write is
/// cut off again before anything else is written; when that fails too, the store becomes read-only, since what a restart would
/// find is then unknown.
#[derive(Debug)]
pub struct EmbeddedStore<D = FileDisk> {
    disk: D,
    table: Table,
    salt: Salt,
    /// Where the log ends and the next frame goes.
    end: u64,
    /// Records in the log, superseded ones included.
    logged: usize,
    /// Size above which compaction is tried; put off when it fails.
    compact_above: u64,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

/// What was found when a store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Addresses with a record, active or not.
    pub records: usize,
    /// Octets of an unfinished write that a power cut or kill left at the end, now removed. Nothing in them was acknowledged.
    pub torn_octets: u64,
}

impl EmbeddedStore {
    /// Opens `leases.log` in `folder`, making both when they are not there, and locks it against a second lanboot.
    pub fn open(folder: &Path) -> Result<(EmbeddedStore, Opened), StoreError> {
        EmbeddedStore::on(FileDisk::open(folder)?)
    }
}

impl<D: Disk> EmbeddedStore<D> {
    /// Opens the log on `disk`.
    pub fn on(mut disk: D) -> Result<(EmbeddedStore<D>, Opened), StoreError> {
        let octets = disk.read_all().map_err(|error| io_error("read", disk.path(), error))?;
        let replay = if octets.is_empty() { begin(&mut disk)? } else { read(&octets, disk.path())? };
        let end = replay.end as u64;
        let torn_octets = (octets.len() as u64).saturating_sub(end);
        if torn_octets > 0 {
            let cut = disk.truncate(end).and_then(|()| disk.sync());
            cut.map_err(|error| io_error("remove an unfinished write from", disk.path(), error))?;
        }
        let logged = replay.records.len();
        let table = into_table(replay.records);
        let opened = Opened { records: table.len(), torn_octets };
        let compact_above = SMALL_LOG_OCTETS;
        let mut store = EmbeddedStore { disk, table, salt: replay.salt, end, logged, compact_above, broken: None };
        store.compact_if_due();
        Ok((store, opened))
    }

    /// Makes `records` durable, then known.
    fn keep(&mut self, records: Vec<Record>) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        if let Some(why) = &self.broken {
            return Err(StoreError::ReadOnly { path: self.disk.path().to_owned(), why: why.clone() });
        }
        let frame = log::frame(self.salt, self.end as usize, &records);
        if let Err(error) = self.disk.append(self.end, &frame).and_then(|()| self.disk.sync()) {
            self.cut_off_failed_write();
            return Err(io_error("write", self.disk.path(), error));
        }
        self.end += frame.len() as u64;
        self.logged += records.len();
        records.into_iter().for_each(|record| self.table.put(record));
        self.compact_if_due();
        Ok(())
    }

    fn cut_off_failed_write(&mut self) {
        // Synced, because a part of the write may be on disk and would otherwise come back after a power cut.
        if let Err(error) = self.disk.truncate(self.end).and_then(|()| self.disk.sync()) {
            self.broken = Some(format!("removing a failed write: {error}"));
        }
    }

    /// Writes the log anew when most of it is superseded. Nothing is lost when that fails, so nobody is bothered with it: a full
    /// disk, say, is reported by the next commit.
    fn compact_if_due(&mut self) {
        let live = self.table.len();
        if self.end <= self.compact_above || self.logged - live <= DEAD_PER_LIVE * live || self.broken.is_some() {
            return;
        }
        let snapshot = log::snapshot(self.salt, self.table.list());
        if self.disk.stage(&snapshot).is_err() {
            self.compact_above = self.end.saturating_mul(2);
            return;
        }
        if let Err(error) = self.disk.swap() {
            self.broken = Some(format!("replacing it by a shorter one: {error}"));
            return;
        }
        self.end = snapshot.len() as u64;
        self.logged = live;
        self.compact_above = SMALL_LOG_OCTETS;
    }
}

impl<D: Disk> LeaseStore for EmbeddedStore<D> {
    fn table(&self) -> &Table {
        &self.table
    }

    fn commit(&mut self, batch: Vec<Grant>) -> Result<Vec<Result<Lease, Taken>>, StoreError> {
        let answers = decide(&self.table, batch);
        self.keep(answers.iter().flatten().map(Lease::record).collect())?;
        Ok(answers)
    }

    fn release(&mut self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> Result<bool, StoreError> {
        let Some(record) = released(&self.table, address, key, now) else { return Ok(false) };
        self.keep(vec![record])?;
        Ok(true)
    }

    fn decline(&mut self, address: Ipv4Addr, until: UnixSecs) -> Result<(), StoreError> {
        self.keep(vec![Record { address, state: State::Declined { until } }])
    }
}

/// What the leases in `folder` are, without its lock: for looking on while a server runs. An unfinished write at the end is not
/// read; no log at all means no leases.
pub fn read_only(folder: &Path) -> Result<Table, StoreError> {
    let path = folder.join(LOG_NAME);
    match fs::read(&path) {
        Ok(octets) if octets.is_empty() => Ok(Table::default()),
        Ok(octets) => Ok(into_table(read(&octets, &path)?.records)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Table::default()),
        Err(error) => Err(io_error("read", &path, error)),
    }
}

/// An empty log, put in place as a whole, so that no log ever lacks a part of its header.
fn begin(disk: &mut impl Disk) -> Result<Replay, StoreError> {
    let salt = Salt(RandomState::new().build_hasher().finish());
    let log = log::snapshot(salt, []);
    disk.stage(&log).and_then(|()| disk.swap()).map_err(|error| io_error("make", disk.path(), error))?;
    Ok(Replay { salt, records: Vec::new(), end: log.len() })
}

fn read(octets: &[u8], path: &Path) -> Result<Replay, StoreError> {
    let path = path.to_owned();
    log::replay(octets).map_err(|unusable| match unusable {
        Unusable::NotALog => StoreError::NotALog { path },
        Unusable::Newer { found } => StoreError::Newer { path, found, known: log::VERSION },
        Unusable::Damaged { offset } => StoreError::Damaged { path, offset: offset as u64 },
    })
}

fn into_table(records: Vec<Record>) -> Table {
    let mut table = Table::default();
    records.into_iter().for_each(|record| table.put(record));
    table
}
