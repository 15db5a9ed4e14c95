//! Writes the lease log, in a thread of its own or in the caller's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::compact::{Compaction, Next};
use crate::disk::{Disk, io_error};
use crate::error::StoreError;
use crate::log::{self, Salt};
use crate::record::Record;
use crate::table::Loading;

/// A log is compacted when it holds more than this many superseded records for each live one.
const DEAD_PER_LIVE: usize = 4;

/// What a log is managed by.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// A log below so many octets is not worth compacting.
    pub small_log: u64,
    /// How often a disk is tried again whose log could not be brought to a known state.
    pub try_again: Duration,
}

impl Default for Tuning {
    fn default() -> Tuning {
        match cfg!(test) {
            true => Tuning { small_log: 1 << 10, try_again: Duration::ZERO },
            false => Tuning { small_log: 1 << 20, try_again: Duration::from_secs(1) },
        }
    }
}

/// The log on its disk.
///
/// A failed write is cut off again before anything else is written; while that fails too, nothing can be written, since what a
/// restart would find is unknown.
#[derive(Debug)]
pub(crate) struct Log<D> {
    /// A shorter log that is being written beside this one. Before the disk, as it ends before that is unlocked.
    pub(crate) compaction: Option<Compaction>,
    pub(crate) disk: D,
    pub(crate) salt: Salt,
    /// Where the log ends and the next frame goes.
    pub(crate) end: u64,
    /// Records in the log, superseded ones included.
    pub(crate) logged: usize,
    pub(crate) tuning: Tuning,
    /// Size above which compaction is tried; put off when it fails.
    pub(crate) compact_above: u64,
    pub(crate) broken: Option<Broken>,
}

/// Why nothing can be written.
#[derive(Debug)]
pub(crate) struct Broken {
    why: String,
    since: Instant,
    /// Which of two logs is in place is unknown as well.
    is_swap: bool,
}

impl<D: Disk> Log<D> {
    /// Makes `records` durable as one frame. `live`: how many are in the table then, at most.
    pub(crate) fn write(&mut self, records: &[Record], live: usize) -> Result<(), StoreError> {
        self.recover()?;
        let frame = log::frame(self.salt, self.end as usize, records);
        if let Err(error) = self.disk.append(self.end, &frame).and_then(|()| self.disk.sync()) {
            self.cut_off_failed_write();
            return Err(io_error("write", self.disk.path(), error));
        }
        self.end += frame.len() as u64;
        self.logged += records.len();
        self.compact_if_due(live);
        Ok(())
    }

    fn cut_off_failed_write(&mut self) {
        // Synced, because a part of the write may be on disk and would otherwise come back after a power cut.
        if let Err(error) = self.disk.truncate(self.end).and_then(|()| self.disk.sync()) {
            self.break_off(format!("removing a failed write: {error}"), false);
        }
    }

    fn break_off(&mut self, why: String, is_swap: bool) {
        self.broken = Some(Broken { why, since: Instant::now(), is_swap });
    }

    /// Brings a log of unknown state to a known one, tried not too often.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(Broken { why, since, is_swap }) = &self.broken else { return Ok(()) };
        let tried = match since.elapsed() >= self.tuning.try_again {
            true if *is_swap => self.read_again(),
            true => self.disk.truncate(self.end).and_then(|()| self.disk.sync()),
            false => Err(io::Error::other(why.clone())),
        };
        let Some(broken) = self.broken.as_mut().filter(|_| tried.is_err()) else {
            self.broken = None;
            return Ok(());
        };
        if broken.since.elapsed() >= self.tuning.try_again {
            broken.since = Instant::now();
        }
        Err(StoreError::ReadOnly { path: self.disk.path().to_owned(), why: broken.why.clone() })
    }

    /// Takes the log that is in place as it is: both hold the same leases, whole.
    fn read_again(&mut self) -> io::Result<()> {
        let octets = self.disk.read_all()?;
        let replay = log::replay(&octets, drop).map_err(|unusable| io::Error::other(format!("{unusable:?}")))?;
        (self.salt, self.end, self.logged) = (replay.salt, replay.end as u64, replay.records);
        Ok(())
    }

    /// Writes the log anew when most of it is superseded, beside the one in use where the disk can do that. Nothing is lost when
    /// that fails, so nobody is bothered with it: a full disk, say, is reported by the next write.
    pub(crate) fn compact_if_due(&mut self, live: usize) {
        if self.compaction.as_ref().is_some_and(Compaction::is_done) {
            return self.change_over();
        }
        let is_due =
            self.end > self.compact_above && self.logged.saturating_sub(live) > DEAD_PER_LIVE.saturating_mul(live);
        if !is_due || self.compaction.is_some() || self.broken.is_some() {
            return;
        }
        let compaction = match self.disk.aside() {
            Ok(Some(aside)) => Compaction::start(aside, self.salt, self.end),
            Ok(None) => return self.compact_here(),
            Err(error) => Err(error),
        };
        match compaction {
            Ok(compaction) => self.compaction = Some(compaction),
            Err(_) => self.put_compaction_off(),
        }
    }

    /// Puts a log that was written anew in place of the one in use, with all that was added since.
    fn change_over(&mut self) {
        let Some(compaction) = self.compaction.take().filter(|_| self.broken.is_none()) else { return };
        let compacted = match compaction.result().and_then(|compacted| compacted.catch_up(self.end)) {
            Ok(Next::Swap(compacted)) => compacted,
            Ok(Next::Follow(compaction)) => return self.compaction = Some(compaction),
            Err(_) => return self.put_compaction_off(),
        };
        if self.disk.adopt().is_err() {
            return self.put_compaction_off();
        }
        let (end, records) = compacted.keep();
        self.swap(end, records);
    }

    fn compact_here(&mut self) {
        let Ok(octets) = self.disk.read_all() else { return self.put_compaction_off() };
        let mut loading = Loading::with_capacity(log::records_in(octets.len()));
        let Ok(_) = log::replay(&octets, |record| loading.put(record)) else { return self.put_compaction_off() };
        let table = loading.finish();
        let snapshot = log::snapshot(self.salt, table.list());
        match self.disk.stage(&snapshot) {
            Ok(()) => self.swap(snapshot.len() as u64, table.len()),
            Err(_) => self.put_compaction_off(),
        }
    }

    fn swap(&mut self, end: u64, records: usize) {
        if let Err(error) = self.disk.swap() {
            return self.break_off(format!("replacing it by a shorter one: {error}"), true);
        }
        (self.end, self.logged, self.compact_above) = (end, records, self.tuning.small_log);
    }

    fn put_compaction_off(&mut self) {
        self.compact_above = self.end.saturating_mul(2);
    }
}

/// What a batch wants to have written.
struct Job {
    records: Vec<Record>,
    live: usize,
}

/// What became of it, with the records back.
pub(crate) type Done = Result<Vec<Record>, StoreError>;

/// Where the log is written.
#[derive(Debug)]
pub(crate) enum Writer<D> {
    /// By the caller, so that each batch is settled when it was begun.
    Here {
        log: Log<D>,
        done: Option<Done>,
    },
    Apart(Apart),
}

/// A thread that owns the log.
#[derive(Debug)]
pub(crate) struct Apart {
    /// `None` only while this is dropped.
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    ready: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl<D: Disk> Writer<D> {
    pub(crate) fn begin(&mut self, records: Vec<Record>, live: usize) {
        match self {
            Writer::Here { log, done } => *done = Some(log.write(&records, live).map(|()| records)),
            Writer::Apart(apart) => {
                let jobs = apart.jobs.as_ref().expect("it is not being dropped");
                jobs.send(Job { records, live }).expect("the writer ends after its store");
            }
        }
    }

    pub(crate) fn done(&mut self) -> Option<Done> {
        match self {
            Writer::Here { done, .. } => done.take(),
            Writer::Apart(apart) => {
                // First the sign, then the word: one that comes in between leaves its sign for the next time.
                let _ = apart.ready.read();
                apart.done.try_recv().ok()
            }
        }
    }

    pub(crate) fn readiness(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Writer::Here { .. } => None,
            Writer::Apart(apart) => Some(apart.ready.as_fd()),
        }
    }
}

impl Apart {
    /// Gives the log to a thread.
    pub(crate) fn start(mut log: Log<impl Disk + 'static>) -> io::Result<Apart> {
        let ready = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let (jobs, to_do) = channel::<Job>();
        let (tell, done) = channel();
        let sign = ready.clone();
        let work = move || {
            for Job { records, live } in to_do {
                let result = log.write(&records, live).map(|()| records);
                // Who dropped the store does not want to know.
                let _ = tell.send(result);
                let _ = sign.write(1);
            }
        };
        let thread = std::thread::Builder::new().name("lease-log".into()).spawn(work)?;
        Ok(Apart { jobs: Some(jobs), done, ready, thread: Some(thread) })
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // What was begun is written still.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
