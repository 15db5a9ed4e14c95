//! The store that lanboot uses when it is told nothing else: all records in memory, every change in an append-only log.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::path::Path;

use crate::decide::{Decided, decide};
use crate::disk::{Disk, FileDisk, LOG_NAME, io_error};
use crate::error::StoreError;
use crate::log::{self, Replay, Salt, Unusable};
use crate::record::{Record, State};
use crate::store::{Change, LeaseStore, Outcome};
use crate::table::{Loading, Table};
use crate::writer::{Apart, Log, Tuning, Writer};

/// Leases in a log on `D`.
///
/// What is in memory is what is on disk: a batch is written and synced as one frame, by a thread of its own where it is on a real
/// disk, and then put into the table.
#[derive(Debug)]
pub struct EmbeddedStore<D = FileDisk> {
    table: Table,
    writer: Writer<D>,
    /// What the batch comes to that is being written.
    under_way: Option<Vec<Outcome>>,
    settled: Option<Result<Vec<Outcome>, StoreError>>,
    /// Addresses that their holders lose by the batch that is being written.
    leaving: Vec<Ipv4Addr>,
    /// The same of batches that failed: as long as nothing can be written, a restart may find them written after all.
    in_doubt: HashSet<Ipv4Addr>,
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
        let (log, table, opened) = open_log(FileDisk::open(folder)?, Tuning::default())?;
        let start = |error| io_error("start a thread that writes", &folder.join(LOG_NAME), error);
        let writer = Writer::Apart(Apart::start(log).map_err(start)?);
        Ok((EmbeddedStore::with(table, writer), opened))
    }
}

impl<D: Disk> EmbeddedStore<D> {
    /// Opens the log on `disk`. The caller's thread writes: each batch is settled when it was begun.
    pub fn on(disk: D) -> Result<(EmbeddedStore<D>, Opened), StoreError> {
        EmbeddedStore::tuned(disk, Tuning::default())
    }

    /// [`EmbeddedStore::on`], with other figures than the usual ones.
    pub fn tuned(disk: D, tuning: Tuning) -> Result<(EmbeddedStore<D>, Opened), StoreError> {
        let (log, table, opened) = open_log(disk, tuning)?;
        Ok((EmbeddedStore::with(table, Writer::Here { log, done: None }), opened))
    }

    fn with(table: Table, writer: Writer<D>) -> EmbeddedStore<D> {
        let (leaving, in_doubt) = (Vec::new(), HashSet::new());
        EmbeddedStore { table, writer, under_way: None, settled: None, leaving, in_doubt }
    }

    /// Whether the log is in no known state for now.
    #[cfg(test)]
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(&self.writer, Writer::Here { log, .. } if log.broken.is_some())
    }
}

impl<D: Disk> LeaseStore for EmbeddedStore<D> {
    fn table(&self) -> &Table {
        &self.table
    }

    fn begin(&mut self, batch: Vec<Change>) {
        assert!(self.under_way.is_none() && self.settled.is_none(), "one batch at a time");
        let Decided { outcomes, records } = decide(&self.table, batch);
        if records.is_empty() {
            self.settled = Some(Ok(outcomes));
            return;
        }
        let live = self.table.len() + records.len();
        self.leaving = records.iter().flat_map(|record| left_by(&self.table, record)).collect();
        self.writer.begin(records, live);
        self.under_way = Some(outcomes);
    }

    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        if let Some(done) = self.writer.done() {
            let outcomes = self.under_way.take().expect("what is written was begun");
            match done {
                Ok(_) => self.in_doubt.clear(),
                Err(_) => self.in_doubt.extend(self.leaving.drain(..)),
            }
            self.settled = Some(done.map(|records| {
                records.into_iter().for_each(|record| self.table.put(record));
                outcomes
            }));
        }
        self.settled.take()
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.writer.readiness()
    }

    fn is_sole(&self) -> bool {
        true
    }

    fn can_confirm(&self, address: Ipv4Addr) -> bool {
        !self.in_doubt.contains(&address)
    }
}

/// The addresses that somebody holds no longer once this record is written.
fn left_by(table: &Table, record: &Record) -> impl Iterator<Item = Ipv4Addr> + use<> {
    let address = record.address;
    let is_kept = matches!(record.state, State::Bound(_)) && table.at(address).and_then(Record::key) == record.key();
    let former = record.key().and_then(|key| table.find(key)).map(|former| former.address);
    Some(address).filter(|_| !is_kept).into_iter().chain(former.filter(move |former| *former != address))
}

fn open_log<D: Disk>(mut disk: D, tuning: Tuning) -> Result<(Log<D>, Table, Opened), StoreError> {
    let octets = disk.read_all().map_err(|error| io_error("read", disk.path(), error))?;
    let mut loading = Loading::with_capacity(log::records_in(octets.len()));
    let replay = match octets.is_empty() {
        true => begin(&mut disk)?,
        false => read(&octets, disk.path(), &mut loading)?,
    };
    let end = replay.end as u64;
    let torn_octets = log::torn_octets(&octets, replay.end) as u64;
    if octets.len() as u64 > end {
        let cut = disk.truncate(end).and_then(|()| disk.sync());
        cut.map_err(|error| io_error("remove an unfinished write from", disk.path(), error))?;
    }
    drop(octets);
    let table = loading.finish();
    let opened = Opened { records: table.len(), torn_octets };
    let compact_above = tuning.small_log;
    let mut log = Log {
        disk,
        salt: replay.salt,
        end,
        logged: replay.records,
        tuning,
        compact_above,
        broken: None,
        compaction: None,
    };
    log.compact_if_due(table.len());
    Ok((log, table, opened))
}

/// What the leases in `folder` are, without its lock: for looking on while a server runs. An unfinished write at the end is not
/// read; no log at all means no leases.
pub fn read_only(folder: &Path) -> Result<Table, StoreError> {
    /// A log that is written to while it is read may look damaged. One that is looks so every time.
    const LOOKS: usize = 3;
    let path = folder.join(LOG_NAME);
    let look = || match fs::read(&path) {
        Ok(octets) if octets.is_empty() => Ok(Table::default()),
        Ok(octets) => {
            let mut loading = Loading::with_capacity(log::records_in(octets.len()));
            read(&octets, &path, &mut loading)?;
            Ok(loading.finish())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Table::default()),
        Err(error) => Err(io_error("read", &path, error)),
    };
    let is_settled = |found: &Result<Table, StoreError>| !matches!(found, Err(StoreError::Damaged { .. }));
    let mut found = look();
    for _ in 1..LOOKS {
        if is_settled(&found) {
            break;
        }
        found = look();
    }
    found
}

/// An empty log, put in place as a whole, so that no log ever lacks a part of its header.
fn begin(disk: &mut impl Disk) -> Result<Replay, StoreError> {
    let salt = Salt(RandomState::new().build_hasher().finish());
    let log = log::snapshot(salt, []);
    disk.stage(&log).and_then(|()| disk.swap()).map_err(|error| io_error("make", disk.path(), error))?;
    Ok(Replay { salt, records: 0, end: log.len() })
}

fn read(octets: &[u8], path: &Path, loading: &mut Loading) -> Result<Replay, StoreError> {
    let path = path.to_owned();
    log::replay(octets, |record| loading.put(record)).map_err(|unusable| match unusable {
        Unusable::NotALog => StoreError::NotALog { path },
        Unusable::Newer { found } => StoreError::Newer { path, found, known: log::VERSION },
        Unusable::Damaged { offset } => StoreError::Damaged { path, offset: offset as u64 },
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::PathBuf;

    use mac::Mac;

    use super::*;
    use crate::record::{ClientKey, Grant, UnixSecs};
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

        /// Octets of the log, without what is only laid out.
        fn written(&self) -> u64 {
            log::torn_octets(&fs::read(self.log()).unwrap(), 0) as u64
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The same suite with a thread that writes.
    mod apart {
        use std::sync::atomic::{AtomicU32, Ordering};

        static FOLDERS: AtomicU32 = AtomicU32::new(0);

        /// In a folder whose name is gone already: an open file is all that these cases need.
        fn in_a_folder() -> super::EmbeddedStore {
            let folder = super::Folder::new(&format!("suite-{}", FOLDERS.fetch_add(1, Ordering::Relaxed)));
            super::EmbeddedStore::open(&folder.0).unwrap().0
        }

        crate::conformance::suite!(in_a_folder());
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
        store.commit(vec![Change::Grant(grant(1)), Change::Grant(grant(2))]).unwrap();
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
        store.commit(vec![Change::Grant(grant(1))]).unwrap();
        let sound = folder.written();
        store.commit(vec![Change::Grant(grant(2))]).unwrap();
        drop(store);
        let whole = folder.written();
        fs::OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(whole - 3).unwrap();
        assert_eq!(addresses(&read_only(&folder.0).unwrap()), [1]);
        let (_, opened) = EmbeddedStore::open(&folder.0).unwrap();
        // Where the last octets that are left are zeros, they count as laid out.
        let torn = fs::metadata(folder.log()).unwrap().len();
        assert_eq!(opened.records, 1);
        assert!(torn == sound && (whole - 10..whole).contains(&(sound + opened.torn_octets)), "{opened:?}");
        assert_eq!(folder.written(), sound);
    }

    #[test]
    fn a_log_that_cannot_be_trusted_is_left_as_it_is() {
        let folder = Folder::new("damaged");
        let (mut store, _) = EmbeddedStore::open(&folder.0).unwrap();
        let sound = folder.written();
        store.commit(vec![Change::Grant(grant(1))]).unwrap();
        store.commit(vec![Change::Grant(grant(2))]).unwrap();
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
    fn a_log_is_written_anew_beside_the_one_in_use_while_that_grows() {
        let folder = Folder::new("beside");
        let (mut store, _) = EmbeddedStore::open(&folder.0).unwrap();
        let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(folder.log()).unwrap());
        let (first, mut second) = (inode(), 0);
        // Until it was replaced once, and some more.
        let mut left = 20;
        while left > 0 && second < 100_000 {
            second += 1;
            let batch = (1..=9).map(|last| Change::Grant(Grant { now: UnixSecs(1000 + second), ..grant(last) }));
            store.commit(batch.collect()).unwrap();
            left -= u64::from(inode() != first);
            assert_eq!(addresses(&read_only(&folder.0).unwrap()), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
        assert_eq!(left, 0, "it was never replaced");
        assert!(EmbeddedStore::open(&folder.0).is_err(), "still locked");
        drop(store);
        let (store, opened) = EmbeddedStore::open(&folder.0).unwrap();
        assert_eq!(opened, Opened { records: 9, torn_octets: 0 });
        let granted = |record: &Record| record.binding().map(|binding| binding.granted);
        assert!(store.list().all(|record| granted(record) == Some(UnixSecs(1000 + second))));
        drop(store);
        assert!(!folder.0.join("leases.log.new").exists());
    }

    fn log(store: &mut EmbeddedStore<SimulatedDisk>) -> &mut Log<SimulatedDisk> {
        let Writer::Here { log, .. } = &mut store.writer else { panic!("a simulated disk has no thread") };
        log
    }

    #[test]
    fn a_compaction_that_finds_no_room_is_put_off_and_grants_go_on() {
        let disk = SimulatedDisk::default();
        let (mut store, _) = EmbeddedStore::on(disk.clone()).unwrap();
        log(&mut store).compact_above = 0;
        for second in 0..11 {
            if second == 10 {
                disk.fail_in(3);
            }
            store.commit(vec![Change::Grant(Grant { now: UnixSecs(1000 + second), ..grant(1) })]).unwrap();
        }
        let log = log(&mut store);
        assert_eq!((log.logged, log.compact_above, log.broken.is_some()), (11, 2 * log.end, false));
    }
}
