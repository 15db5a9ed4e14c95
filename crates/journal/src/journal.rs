//! The journal: appended to by every service, followed by everything that shows or records.
//!
//! A service that appends pays for one lock and one push. Whoever reads comes for what there is by itself, and is woken only when
//! it sleeps for want of news: at thousands of events a second that is a hundred times a second, not once an event.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mac::Mac;

use crate::record::Record;
use crate::{Event, Follower, Step};

/// Events kept in memory for late readers; at a few hundred octets each, under 2 MiB when full.
const RECENT: usize = 4096;
/// Events kept for a follower that is behind, some 12 MiB when full; it misses those that are older.
pub(crate) const MOST_BEHIND: usize = 32_768;
/// Octets after which the file is set aside as `<path>.1`; the one before that is forgotten. Some 250,000 events.
const FILE_LIMIT: u64 = 64 << 20;

/// Where everything that happens is written down. Clones share one journal.
///
/// Appending never waits for a reader: a follower that is too far behind loses the oldest events and is told how many, see
/// [`Heard::Skipped`].
#[derive(Clone, Default)]
pub struct Journal(Arc<Writer>);

/// Held by all clones together: the journal ends with it.
#[derive(Default)]
pub(crate) struct Writer(Arc<Shared>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.news.notify_all();
    }
}

#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// For followers that sleep: something has come, or the journal has ended.
    pub news: Condvar,
    /// For those who wait until all is dealt with.
    pub dealt: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// The newest events, and before them what followers have yet to take.
    events: VecDeque<Arc<Event>>,
    /// How many events came before these.
    forgotten: u64,
    readers: Vec<Reader>,
    followed: u64,
    pub ended: bool,
    /// Followers that sleep, and those who wait for followers.
    pub sleeping: u32,
    pub flushing: u32,
}

/// How far a follower has come, in events since the journal began.
struct Reader {
    id: u64,
    taken: u64,
    /// Less than `taken` while it is at work.
    dealt: u64,
}

/// What a follower receives.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Event(Arc<Event>),
    /// The reader was too slow: this many events are missing here.
    Skipped(u64),
}

impl Journal {
    /// A journal in memory.
    pub fn new() -> Journal {
        Journal::default()
    }

    /// A journal that is also written to the file at `path`, one JSON object a line, after what is there already. A
    /// thread of its own writes; at 64 MiB the file becomes `<path>.1` and a new one is begun.
    ///
    /// # Errors
    /// When the file cannot be opened. Later trouble becomes a [`Step::Warning`], and the journal goes on in memory.
    pub fn with_file(path: &Path) -> io::Result<Journal> {
        Journal::with_limited_file(path, FILE_LIMIT)
    }

    pub(crate) fn with_limited_file(path: &Path, limit: u64) -> io::Result<Journal> {
        let record = Record::open(path, limit)?;
        let journal = Journal::new();
        let follower = journal.follow();
        let back = Arc::downgrade(&journal.0);
        let warn = move |step| {
            if let Some(writer) = back.upgrade() {
                Journal(writer).append(None, step);
            }
        };
        thread::Builder::new().name("journal".to_owned()).spawn(move || record.keep(&follower, warn))?;
        Ok(journal)
    }

    /// Writes down that `step` happened just now; `machine`: to whom, `None` for the host itself.
    pub fn append(&self, machine: Option<Mac>, step: Step) {
        self.append_at(now(), machine, step);
    }

    /// [`Journal::append`] of what the machine at this address asked for.
    pub fn append_from(&self, client: Ipv4Addr, machine: Option<Mac>, step: Step) {
        self.0.0.append(Event { at: now(), machine, client: Some(client), interface: None, step });
    }

    /// [`Journal::append`] of what arrived on this interface.
    pub fn append_on(&self, interface: &str, machine: Option<Mac>, step: Step) {
        self.0.0.append(Event { at: now(), machine, client: None, interface: Some(interface.to_owned()), step });
    }

    /// [`Journal::append`] with the time given, for tests and for what is known only afterwards.
    pub fn append_at(&self, at: Timestamp, machine: Option<Mac>, step: Step) {
        self.0.0.append(Event { at, machine, client: None, interface: None, step });
    }

    /// Everything from now on.
    pub fn follow(&self) -> Follower {
        self.follow_recent(0).1
    }

    /// The last `count` events, oldest first, and a follower that goes on exactly after them.
    pub fn follow_recent(&self, count: usize) -> (Vec<Arc<Event>>, Follower) {
        let mut state = self.0.0.lock();
        let (id, end) = (state.followed, state.end());
        state.followed += 1;
        state.readers.push(Reader { id, taken: end, dealt: end });
        (state.recent(count), Follower::new(self.0.0.clone(), id))
    }

    /// The last `count` events that memory still holds, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Arc<Event>> {
        self.0.0.lock().recent(count)
    }

    /// What memory still holds of one machine, oldest first.
    pub fn events_of(&self, machine: Mac) -> Vec<Arc<Event>> {
        let state = self.0.0.lock();
        state.newest(RECENT).filter(|event| event.machine == Some(machine)).cloned().collect()
    }

    /// Waits until the followers, the file above all, have dealt with everything appended so far; at most `patience`.
    /// To be called once before the program ends.
    pub fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.0.0.lock();
        let end = state.end();
        state.flushing += 1;
        while state.readers.iter().any(|reader| reader.dealt < end) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // A panic elsewhere while the lock was held leaves nothing half changed.
            state = self.0.0.dealt.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.flushing -= 1;
    }
}

fn now() -> Timestamp {
    // Whole microseconds: nanoseconds would only make the JSON wider.
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

impl Shared {
    // A panic elsewhere while the lock was held cannot leave this half changed.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, event: Event) {
        let event = Arc::new(event);
        let mut state = self.lock();
        state.events.push_back(event);
        let someone_sleeps = state.sleeping > 0;
        // Freed when others have the lock again.
        let _forgotten = state.forget();
        drop(state);
        if someone_sleeps {
            self.news.notify_all();
        }
    }
}

impl State {
    fn end(&self) -> u64 {
        self.forgotten + self.events.len() as u64
    }

    fn newest(&self, count: usize) -> impl Iterator<Item = &Arc<Event>> {
        self.events.range(self.events.len().saturating_sub(count)..)
    }

    fn recent(&self, count: usize) -> Vec<Arc<Event>> {
        self.newest(count.min(RECENT)).cloned().collect()
    }

    /// Lets go of the oldest events that are too many, two at a time, so that nobody ever waits for thousands.
    fn forget(&mut self) -> [Option<Arc<Event>>; 2] {
        let end = self.end();
        let behind = self.readers.iter().map(|reader| end - reader.taken).max().unwrap_or(0);
        let keep = usize::try_from(behind).unwrap_or(MOST_BEHIND).clamp(RECENT, MOST_BEHIND);
        let old = [(); 2].map(|()| if self.events.len() > keep { self.events.pop_front() } else { None });
        self.forgotten += old.iter().flatten().count() as u64;
        if self.events.len() <= RECENT && self.events.capacity() > 4 * RECENT {
            self.events.shrink_to(2 * RECENT);
        }
        old
    }

    /// Gives the follower at most `most` events. Returns how many it has missed before them.
    pub fn take(&mut self, id: u64, most: usize, into: &mut VecDeque<Arc<Event>>) -> u64 {
        let forgotten = self.forgotten;
        let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) else { return 0 };
        let from = reader.taken.max(forgotten);
        let missed = from - reader.taken;
        let start = usize::try_from(from - forgotten).expect("no more than there are in memory");
        let end = self.events.len().min(start + most);
        reader.taken = forgotten + end as u64;
        into.extend(self.events.range(start..end).cloned());
        missed
    }

    /// The follower has dealt with all that it took. Returns whether somebody waits for that.
    pub fn has_dealt(&mut self, id: u64) -> bool {
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            reader.dealt = reader.taken;
        }
        self.flushing > 0
    }

    pub fn has_left(&mut self, id: u64) {
        self.readers.retain(|reader| reader.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::RecvTimeoutError;

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
        (0..MOST_BEHIND + 5).for_each(|n| journal.append(None, numbered(n)));
        let heard: Vec<Heard> = std::iter::from_fn(|| follower.try_next()).collect();
        assert_eq!(heard[0], Heard::Skipped(5));
        assert_eq!(heard[1..].iter().map(number).collect::<Vec<_>>(), (5..MOST_BEHIND + 5).collect::<Vec<_>>());
        assert_eq!(follower.next_within(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn what_is_kept_for_a_slow_follower_is_forgotten_when_it_has_read_or_left() {
        let journal = Journal::new();
        let held = |journal: &Journal| journal.0.0.lock().events.len();
        for leaves in [false, true] {
            let follower = journal.follow();
            (0..MOST_BEHIND).for_each(|n| journal.append(None, numbered(n)));
            assert_eq!(held(&journal), MOST_BEHIND);
            let still = if leaves {
                drop(follower);
                None
            } else {
                std::iter::from_fn(|| follower.try_next()).for_each(drop);
                Some(follower)
            };
            (0..MOST_BEHIND).for_each(|n| {
                journal.append(None, numbered(n));
                still.iter().for_each(|follower| drop(follower.try_next()));
            });
            assert!(held(&journal) <= RECENT + 256, "{}", held(&journal));
        }
    }

    #[test]
    fn flush_waits_for_those_who_are_at_work_and_for_nobody_else() {
        let journal = Journal::new();
        let (mut follower, left) = (journal.follow(), journal.follow());
        journal.append(None, numbered(1));
        drop(left);
        let worked = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let worker = thread::spawn({
            let worked = worked.clone();
            move || {
                follower.next();
                thread::sleep(Duration::from_millis(20));
                worked.store(true, std::sync::atomic::Ordering::SeqCst);
                follower.next()
            }
        });
        journal.flush(Duration::from_secs(60));
        assert!(worked.load(std::sync::atomic::Ordering::SeqCst));
        drop(journal);
        assert_eq!(worker.join().unwrap(), None);
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
}
