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
const SMALL_LOG_OCTETS: u64 = if cfg!(test) { 1 << 10 } else { 1 << 20 };
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

    /// Whether a disk fault has made further writes impossible: then nothing is granted until the store is opened anew.
    pub fn is_read_only(&self) -> bool {
        self.broken.is_some()
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mac::Mac;

    use super::*;
    use crate::simulated::SimulatedDisk;

    crate::conformance::suite!(EmbeddedStore::on(SimulatedDisk::default()).unwrap().0);

    /// A folder that goes when the test does.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = Folder(std::env::temp_dir().join(format!("lanboot-leases-{name}-{}", std::process::id())));
            let _ = fs::remove_dir_all(&folder.0);
            folder
        }

        fn log(&self) -> PathBuf {
            self.0.join(LOG_NAME)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn grant(last: u8) -> Grant {
        let mac = Mac([2, 0, 0, 0, 0, last]);
        let (address, key) = (Ipv4Addr::new(10, 0, 0, last), ClientKey::Mac(mac));
        Grant { address, key, mac, client_id: None, hostname: None, lease_secs: 60, now: UnixSecs(1000) }
    }

    fn addresses(table: &Table) -> Vec<u8> {
        table.list().map(|record| record.address.octets()[3]).collect()
    }

    #[test]
    fn leases_outlive_the_store_and_can_be_listed_meanwhile() {
        let folder = Folder::new("outlive");
        assert!(read_only(&folder.0).unwrap().is_empty(), "no folder yet");
        let (mut store, opened) = EmbeddedStore::open(&folder.0).unwrap();
        assert_eq!(opened, Opened { records: 0, torn_octets: 0 });
        store.commit(vec![grant(1), grant(2)]).unwrap();
        assert_eq!(addresses(&read_only(&folder.0).unwrap()), [1, 2]);
        drop(store);
        let (store, opened) = EmbeddedStore::open(&folder.0).unwrap();
        assert_eq!((opened.records, addresses(store.table())), (2, vec![1, 2]));
    }

    #[test]
    fn a_second_lanboot_is_told_who_holds_the_lock() {
        let folder = Folder::new("lock");
        let (_store, _) = EmbeddedStore::open(&folder.0).unwrap();
        let error = EmbeddedStore::open(&folder.0).unwrap_err();
        assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
    }

    #[test]
    fn an_unfinished_write_is_removed_and_counted() {
        let folder = Folder::new("torn");
        let (mut store, _) = EmbeddedStore::open(&folder.0).unwrap();
        store.commit(vec![grant(1)]).unwrap();
        let sound = fs::metadata(folder.log()).unwrap().len();
        store.commit(vec![grant(2)]).unwrap();
        drop(store);
        let whole = fs::metadata(folder.log()).unwrap().len();
        fs::OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(whole - 3).unwrap();
        assert_eq!(addresses(&read_only(&folder.0).unwrap()), [1]);
        let (_, opened) = EmbeddedStore::open(&folder.0).unwrap();
        assert_eq!(opened, Opened { records: 1, torn_octets: whole - 3 - sound });
        assert_eq!(fs::metadata(folder.log()).unwrap().len(), sound);
    }

    #[test]
    fn a_log_that_cannot_be_trusted_is_left_as_it_is() {
        let folder = Folder::new("damaged");
        let (mut store, _) = EmbeddedStore::open(&folder.0).unwrap();
        let sound = fs::metadata(folder.log()).unwrap().len();
        store.commit(vec![grant(1)]).unwrap();
        store.commit(vec![grant(2)]).unwrap();
        drop(store);
        let mut octets = fs::read(folder.log()).unwrap();
        octets[sound as usize + 15] ^= 1;
        fs::write(folder.log(), &octets).unwrap();
        let error = EmbeddedStore::open(&folder.0).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { offset, .. } if offset == sound), "{error}");
        assert!(error.to_string().contains(&folder.log().display().to_string()), "{error}");
        assert_eq!(fs::read(folder.log()).unwrap(), octets);
    }

    #[test]
    fn a_log_is_compacted_in_place_and_keeps_its_lock() {
        let folder = Folder::new("compact");
        let (mut store, _) = EmbeddedStore::open(&folder.0).unwrap();
        for second in 0..200 {
            store.commit(vec![Grant { now: UnixSecs(1000 + second), ..grant(1) }]).unwrap();
        }
        assert!(fs::metadata(folder.log()).unwrap().len() < 2 * SMALL_LOG_OCTETS);
        assert!(EmbeddedStore::open(&folder.0).is_err(), "still locked");
        drop(store);
        let (store, _) = EmbeddedStore::open(&folder.0).unwrap();
        assert_eq!(store.at(Ipv4Addr::new(10, 0, 0, 1)).unwrap().binding().unwrap().granted, UnixSecs(1199));
    }

    #[test]
    fn a_compaction_that_finds_no_room_is_put_off_and_grants_go_on() {
        let disk = SimulatedDisk::default();
        let (mut store, _) = EmbeddedStore::on(disk.clone()).unwrap();
        store.compact_above = 0;
        for second in 0..6 {
            if second == 5 {
                disk.fail_in(2);
            }
            store.commit(vec![Grant { now: UnixSecs(1000 + second), ..grant(1) }]).unwrap();
        }
        assert_eq!((store.logged, store.compact_above, store.is_read_only()), (6, 2 * store.end, false));
    }
}
