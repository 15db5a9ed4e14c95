//! The journal: appended to by every service, followed by everything that shows or records.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mac::Mac;

use crate::{Event, Step};

/// Events kept in memory for late readers; at a few hundred octets each, under 2 MiB when full.
const RECENT: usize = 4096;
/// Events that may wait for one follower; two pointers each.
const FOLLOWER_QUEUE: usize = 1024;
/// Octets after which the file is set aside as `<path>.1`; the one before that is forgotten.
const FILE_LIMIT: u64 = 16 << 20;

/// Where everything that happens is written down. Clones share one journal.
///
/// Appending never waits for a reader: a follower that falls behind by more than its queue loses events and is told how
/// many, see [`Heard::Skipped`].
#[derive(Clone, Default)]
pub struct Journal(Arc<Shared>);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    recent: VecDeque<Arc<Event>>,
    listeners: Vec<Listener>,
}

/// The journal's end of a [`Follower`].
struct Listener {
    queue: SyncSender<Message>,
    skipped: Arc<AtomicU64>,
}

/// What a follower receives.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Event(Arc<Event>),
    /// The reader was too slow: this many events are missing here.
    Skipped(u64),
}

/// What travels to a follower.
enum Message {
    Heard(Heard),
    /// Somebody waits in [`Journal::flush`] until the reader comes here and drops this.
    Flush(SyncSender<()>),
}

impl Journal {
    /// A journal in memory.
    pub fn new() -> Journal {
        Journal::default()
    }

    /// A journal that is also written to the file at `path`, one JSON object a line, after what is there already. A
    /// thread of its own writes; at 16 MiB the file becomes `<path>.1` and a new one is begun.
    ///
    /// # Errors
    /// When the file cannot be opened. Later trouble becomes a [`Step::Warning`], and the journal goes on in memory.
    pub fn with_file(path: &Path) -> io::Result<Journal> {
        Journal::with_limited_file(path, FILE_LIMIT)
    }

    fn with_limited_file(path: &Path, limit: u64) -> io::Result<Journal> {
        let file = LogFile::open(path, limit)?;
        let journal = Journal::new();
        let follower = journal.follow();
        let back = Arc::downgrade(&journal.0);
        thread::Builder::new().name("journal".to_owned()).spawn(move || file.record(&follower, &back))?;
        Ok(journal)
    }

    /// Writes down that `step` happened just now; `machine`: to whom, `None` for the host itself.
    pub fn append(&self, machine: Option<Mac>, step: Step) {
        self.append_at(now(), machine, step);
    }

    /// [`Journal::append`] of what the machine at this address asked for.
    pub fn append_from(&self, client: Ipv4Addr, machine: Option<Mac>, step: Step) {
        self.0.append(Event { at: now(), machine, client: Some(client), interface: None, step });
    }

    /// [`Journal::append`] of what arrived on this interface.
    pub fn append_on(&self, interface: &str, machine: Option<Mac>, step: Step) {
        self.0.append(Event { at: now(), machine, client: None, interface: Some(interface.to_owned()), step });
    }

    /// [`Journal::append`] with the time given, for tests and for what is known only afterwards.
    pub fn append_at(&self, at: Timestamp, machine: Option<Mac>, step: Step) {
        self.0.append(Event { at, machine, client: None, interface: None, step });
    }

    /// Everything from now on.
    pub fn follow(&self) -> Follower {
        self.follow_recent(0).1
    }

    /// The last `count` events, oldest first, and a follower that goes on exactly after them.
    pub fn follow_recent(&self, count: usize) -> (Vec<Arc<Event>>, Follower) {
        let (sender, queue) = mpsc::sync_channel(FOLLOWER_QUEUE);
        let skipped = Arc::new(AtomicU64::new(0));
        let mut state = self.0.lock();
        state.listeners.push(Listener { queue: sender, skipped: skipped.clone() });
        (state.recent(count), Follower { queue, skipped })
    }

    /// The last `count` events that memory still holds, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Arc<Event>> {
        self.0.lock().recent(count)
    }

    /// What memory still holds of one machine, oldest first.
    pub fn events_of(&self, machine: Mac) -> Vec<Arc<Event>> {
        let state = self.0.lock();
        state.recent.iter().filter(|event| event.machine == Some(machine)).cloned().collect()
    }

    /// Waits until the followers, the file above all, have dealt with everything appended so far; at most `patience`.
    /// To be called once before the program ends.
    pub fn flush(&self, patience: Duration) {
        let (reached, all_reached) = mpsc::sync_channel(1);
        let mut waiting: Vec<SyncSender<Message>> =
            self.0.lock().listeners.iter().map(|listener| listener.queue.clone()).collect();
        let end = Instant::now() + patience;
        // A full queue has no room for the mark yet; its reader is at work, so look again.
        while !waiting.is_empty() && Instant::now() < end {
            waiting
                .retain(|queue| matches!(queue.try_send(Message::Flush(reached.clone())), Err(TrySendError::Full(_))));
            if !waiting.is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        drop(reached);
        // Nobody sends: the channel closes when the last mark is dropped.
        let _ = all_reached.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn now() -> Timestamp {
    // Whole microseconds: nanoseconds would only make the JSON wider.
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

impl Shared {
    // A panic elsewhere while the lock was held cannot leave these two lists half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, event: Event) {
        let event = Arc::new(event);
        let mut state = self.lock();
        state.listeners.retain(|listener| listener.tell(&event));
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(event);
    }
}

impl State {
    fn recent(&self, count: usize) -> Vec<Arc<Event>> {
        self.recent.iter().skip(self.recent.len().saturating_sub(count)).cloned().collect()
    }
}

impl Listener {
    /// Returns whether anybody still listens.
    fn tell(&self, event: &Arc<Event>) -> bool {
        // What was skipped is told in its place, before the next event that fits.
        let missing = self.skipped.swap(0, Ordering::Relaxed);
        let gap = if missing == 0 { Ok(()) } else { self.send(Heard::Skipped(missing)) };
        let lost = match gap {
            Ok(()) => 1,
            Err(_) => missing + 1,
        };
        match gap.and_then(|()| self.send(Heard::Event(event.clone()))) {
            Ok(()) => true,
            Err(Unsent::Full) => {
                self.skipped.fetch_add(lost, Ordering::Relaxed);
                true
            }
            Err(Unsent::NobodyListens) => false,
        }
    }

    fn send(&self, heard: Heard) -> Result<(), Unsent> {
        self.queue.try_send(Message::Heard(heard)).map_err(|error| match error {
            TrySendError::Full(_) => Unsent::Full,
            TrySendError::Disconnected(_) => Unsent::NobodyListens,
        })
    }
}

#[derive(Clone, Copy)]
enum Unsent {
    Full,
    NobodyListens,
}

/// Reads a journal as it is written. As an iterator it waits for each event, and ends with the journal.
pub struct Follower {
    queue: Receiver<Message>,
    skipped: Arc<AtomicU64>,
}

impl Follower {
    /// The next event that is already there.
    pub fn try_next(&self) -> Option<Heard> {
        self.waiting().ok()
    }

    /// Waits at most `patience` for the next event.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`], or [`RecvTimeoutError::Disconnected`] when the journal and all its clones are gone.
    pub fn next_within(&self, patience: Duration) -> Result<Heard, RecvTimeoutError> {
        let end = Instant::now() + patience;
        if let Ok(heard) = self.waiting() {
            return Ok(heard);
        }
        loop {
            if let Message::Heard(heard) = self.queue.recv_timeout(end.saturating_duration_since(Instant::now()))? {
                return Ok(heard);
            }
        }
    }

    /// What waits in the queue, then what did not fit into it.
    fn waiting(&self) -> Result<Heard, TryRecvError> {
        loop {
            match self.queue.try_recv() {
                Ok(Message::Flush(_)) => {}
                Ok(Message::Heard(heard)) => return Ok(heard),
                Err(end) => {
                    let missing = self.skipped.swap(0, Ordering::Relaxed);
                    return if missing == 0 { Err(end) } else { Ok(Heard::Skipped(missing)) };
                }
            }
        }
    }
}

impl Iterator for Follower {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        match self.waiting() {
            Ok(heard) => return Some(heard),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        loop {
            if let Message::Heard(heard) = self.queue.recv().ok()? {
                return Some(heard);
            }
        }
    }
}

/// The journal's file and its predecessor.
struct LogFile {
    path: PathBuf,
    file: File,
    octets: u64,
    limit: u64,
}

impl LogFile {
    fn open(path: &Path, limit: u64) -> io::Result<LogFile> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let octets = file.metadata()?.len();
        Ok(LogFile { path: path.to_owned(), file, octets, limit })
    }

    /// Writes until the journal is gone. Events that wait together are written together.
    fn record(mut self, follower: &Follower, journal: &Weak<Shared>) {
        let mut warned = false;
        let mut lines = Vec::new();
        while let Ok(first) = follower.queue.recv() {
            lines.clear();
            let mut marks = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Heard(Heard::Event(event)) => push_line(&mut lines, &event),
                    Message::Heard(Heard::Skipped(missing)) => push_line(&mut lines, &gap(missing)),
                    Message::Flush(mark) => marks.push(mark),
                }
                next = if lines.len() < 64 << 10 { follower.queue.try_recv().ok() } else { None };
            }
            if let Err(error) = self.write(&lines)
                && !std::mem::replace(&mut warned, true)
                && let Some(journal) = journal.upgrade()
            {
                journal.append(Event {
                    at: Timestamp::now(),
                    machine: None,
                    client: None,
                    interface: None,
                    step: self.warning(&error),
                });
            }
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.octets > 0 && self.octets + lines.len() as u64 > self.limit {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            *self = LogFile::open(&self.path, self.limit)?;
        }
        self.file.write_all(lines)?;
        self.octets += lines.len() as u64;
        Ok(())
    }

    fn warning(&self, error: &io::Error) -> Step {
        Step::Warning {
            text: format!("the journal's file {} cannot be written: {error}", self.path.display()),
            fix: Some("make room or mend its permissions; events are still shown and kept in memory".to_owned()),
        }
    }
}

fn push_line(lines: &mut Vec<u8>, event: &Event) {
    serde_json::to_writer(&mut *lines, event).expect("an event has only text keys, and a Vec takes every octet");
    lines.push(b'\n');
}

/// The event that stands in a record for those that were lost.
pub(crate) fn gap(missing: u64) -> Event {
    let text = format!("{missing} events came too fast and are missing here");
    Event {
        at: Timestamp::now(),
        machine: None,
        client: None,
        interface: None,
        step: Step::Warning { text, fix: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> Step {
        Step::Host { action: number.to_string() }
    }

    fn number(heard: &Heard) -> usize {
        match heard {
            Heard::Event(event) => match &event.step {
                Step::Host { action } => action.parse().unwrap(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn follower_hears_in_order_what_comes_after_it() {
        let journal = Journal::new();
        journal.append(None, numbered(0));
        let (past, mut follower) = journal.follow_recent(10);
        let writer = thread::spawn({
            let journal = journal.clone();
            move || (1..=500).for_each(|n| journal.append(None, numbered(n)))
        });
        let heard: Vec<usize> = follower.by_ref().take(500).map(|heard| number(&heard)).collect();
        writer.join().unwrap();
        assert_eq!(past.len(), 1);
        assert_eq!(heard, (1..=500).collect::<Vec<_>>());
        drop(journal);
        assert_eq!(follower.next(), None);
    }

    #[test]
    fn slow_follower_is_told_how_many_it_missed_and_where() {
        let journal = Journal::new();
        let follower = journal.follow();
        (0..FOLLOWER_QUEUE + 5).for_each(|n| journal.append(None, numbered(n)));
        for n in 0..10 {
            assert_eq!(number(&follower.try_next().unwrap()), n);
        }
        journal.append(None, numbered(7777));
        let rest: Vec<Heard> = std::iter::from_fn(|| follower.try_next()).collect();
        let [.., last, gap, newest] = rest.as_slice() else { panic!("{rest:?}") };
        assert_eq!((number(last), gap, number(newest)), (FOLLOWER_QUEUE - 1, &Heard::Skipped(5), 7777));
    }

    #[test]
    fn gap_at_the_end_is_told_without_waiting_for_another_event() {
        let journal = Journal::new();
        let follower = journal.follow();
        (0..FOLLOWER_QUEUE + 3).for_each(|n| journal.append(None, numbered(n)));
        assert_eq!(std::iter::from_fn(|| follower.try_next()).last(), Some(Heard::Skipped(3)));
        assert_eq!(follower.next_within(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn memory_keeps_the_newest_only() {
        let journal = Journal::new();
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        journal.append(Some(mac), numbered(0));
        (1..=RECENT).for_each(|n| journal.append(None, numbered(n)));
        assert_eq!(journal.events_of(mac), []);
        journal.append(Some(mac), numbered(9999));
        assert_eq!(journal.recent(usize::MAX).len(), RECENT);
        assert_eq!(journal.recent(2)[0].step, numbered(RECENT));
        assert_eq!(journal.events_of(mac).iter().map(|event| &event.step).collect::<Vec<_>>(), [&numbered(9999)]);
    }

    #[test]
    fn file_holds_every_event_after_flush_and_turns_over_at_its_limit() {
        let folder = std::env::temp_dir().join(format!("lanboot-journal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("journal.jsonl");
        std::fs::write(&path, "{\"kept\":true}\n").unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();

        let journal = Journal::with_limited_file(&path, 4000).unwrap();
        (0..10).for_each(|n| journal.append(None, numbered(n)));
        journal.flush(Duration::from_secs(10));
        let text = read(&path);
        assert!(text.starts_with("{\"kept\":true}\n"), "{text}");
        let events: Vec<Event> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            events.iter().map(|event| event.step.clone()).collect::<Vec<_>>(),
            (0..10).map(numbered).collect::<Vec<_>>()
        );

        for n in 10..100 {
            journal.append(None, numbered(n));
            journal.flush(Duration::from_secs(10));
        }
        let (old, new) = (read(&folder.join("journal.jsonl.1")), read(&path));
        assert!(old.len() <= 4000 && new.len() <= 4000 && !new.is_empty(), "{} {}", old.len(), new.len());
        assert!(new.ends_with("\"action\":\"99\"}\n"), "{new}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
