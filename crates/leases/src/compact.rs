//! Writes a log anew without its superseded records, beside the one in use and in a thread of its own.
//!
//! The log in use goes on growing meanwhile. What was added to it is copied last, between two writes, and then the new log takes
//! its place: until that moment the old one is whole, and from then on the new one is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::disk::Aside;
use crate::log::{self, Salt};
use crate::record::Record;
use crate::table::Loading;

/// So much is read at once.
const READ_OCTETS: u64 = 1 << 20;
/// So much is synced at once, so that the writes of others do not wait for a great deal.
const SYNC_OCTETS: u64 = 4 << 20;
/// So many records make a frame.
const FRAME_RECORDS: usize = 512;
/// Of an addition of this size it is time enough to copy it between two writes.
const SMALL_ADDITION_OCTETS: u64 = 256 << 10;

/// A log that is being written anew.
#[derive(Debug)]
pub(crate) struct Compaction {
    thread: Option<JoinHandle<io::Result<Compacted>>>,
    is_over: Arc<AtomicBool>,
}

/// A new log, which holds what the one in use held up to some place.
pub(crate) struct Compacted {
    aside: Box<dyn Aside>,
    salt: Salt,
    /// Where the new log ends.
    end: u64,
    /// Up to where the one in use was read.
    read_to: u64,
    /// How many records the new log has.
    records: usize,
    is_kept: bool,
}

impl Drop for Compacted {
    fn drop(&mut self) {
        if !self.is_kept {
            self.aside.discard();
        }
    }
}

impl Compaction {
    /// Begins with the log that ends at `end`.
    pub(crate) fn start(aside: Box<dyn Aside>, salt: Salt, end: u64) -> io::Result<Compaction> {
        Compaction::work(move |is_over| {
            let mut compacted = Compacted { aside, salt, end: 0, read_to: 0, records: 0, is_kept: false };
            compacted.rewrite(end, is_over)?;
            Ok(compacted)
        })
    }

    /// Goes on with what was added up to `end`, where that is much.
    fn follow(mut compacted: Compacted, end: u64) -> io::Result<Compaction> {
        Compaction::work(move |is_over| {
            compacted.add(end, is_over)?;
            Ok(compacted)
        })
    }

    fn work(work: impl FnOnce(&AtomicBool) -> io::Result<Compacted> + Send + 'static) -> io::Result<Compaction> {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let thread = std::thread::Builder::new().name("lease-compact".into()).spawn(move || work(&seen))?;
        Ok(Compaction { thread: Some(thread), is_over })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What has become of it. Waits for it.
    pub(crate) fn result(mut self) -> io::Result<Compacted> {
        let thread = self.thread.take().expect("it is taken once");
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that compacts has failed")))
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        // Nobody but us may write beside the log once it is unlocked.
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is to be done with a new log.
pub(crate) enum Next {
    /// It holds all, durably, and can be put in place.
    Swap(Compacted),
    /// More was added than can be copied between two writes.
    Follow(Compaction),
}

impl Compacted {
    /// Copies what was added to the log in use up to `end`.
    pub(crate) fn catch_up(mut self, end: u64) -> io::Result<Next> {
        if end - self.read_to > SMALL_ADDITION_OCTETS {
            return Compaction::follow(self, end).map(Next::Follow);
        }
        self.add(end, &AtomicBool::new(false))?;
        Ok(Next::Swap(self))
    }

    /// Where the new log ends, and how many records it has. It is not removed any more.
    pub(crate) fn keep(mut self) -> (u64, usize) {
        self.is_kept = true;
        (self.end, self.records)
    }

    fn rewrite(&mut self, end: u64, is_over: &AtomicBool) -> io::Result<()> {
        let mut loading = Loading::default();
        self.read_to = log::HEADER_OCTETS as u64;
        self.read(end, is_over, |record| loading.put(record))?;
        self.append(log::header(self.salt))?;
        let (records, mut synced) = (loading.iter().collect::<Vec<_>>(), 0);
        self.records = records.len();
        for some in records.chunks(FRAME_RECORDS) {
            check(is_over)?;
            self.append(log::frame(self.salt, self.end as usize, some.iter().copied()))?;
            if self.end - synced >= SYNC_OCTETS {
                self.aside.sync()?;
                synced = self.end;
            }
        }
        self.aside.sync()
    }

    fn add(&mut self, end: u64, is_over: &AtomicBool) -> io::Result<()> {
        let mut records = Vec::new();
        self.read(end, is_over, |record| records.push(record))?;
        if !records.is_empty() {
            self.append(log::frame(self.salt, self.end as usize, &records))?;
            self.records += records.len();
        }
        self.aside.sync()
    }

    /// Reads the log in use on to `end`, where a frame ends.
    fn read(&mut self, end: u64, is_over: &AtomicBool, mut take: impl FnMut(Record)) -> io::Result<()> {
        let mut at_once = READ_OCTETS;
        while self.read_to < end {
            check(is_over)?;
            let octets = self.aside.read(self.read_to, at_once.min(end - self.read_to))?;
            let frames = log::read_frames(&octets, self.salt, self.read_to as usize, &mut take);
            self.read_to += frames as u64;
            match frames {
                // A frame that is larger than what was read.
                0 if octets.len() as u64 == at_once => at_once *= 2,
                0 => return Err(io::Error::other("the log does not read as it was written")),
                _ => {}
            }
        }
        Ok(())
    }

    fn append(&mut self, octets: Vec<u8>) -> io::Result<()> {
        self.aside.append(&octets)?;
        self.end += octets.len() as u64;
        Ok(())
    }
}

fn check(is_over: &AtomicBool) -> io::Result<()> {
    if is_over.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}
