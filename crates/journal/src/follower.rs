//! Reading a journal as it is written.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::journal::Shared;
use crate::{Event, Heard};

/// Events that are taken at once.
const BATCH: usize = 256;
/// Who has taken all that there was looks again after this time at the earliest: what comes meanwhile is taken together.
const REST: Duration = Duration::from_millis(10);

/// Reads a journal as it is written. As an iterator it waits for each event, and ends with the journal.
pub struct Follower {
    shared: Arc<Shared>,
    id: u64,
    taken: RefCell<Taken>,
}

#[derive(Default)]
struct Taken {
    missed: u64,
    events: VecDeque<Arc<Event>>,
    /// When there was nothing more to take.
    emptied: Option<Instant>,
}

impl Taken {
    fn next(&mut self) -> Option<Heard> {
        match std::mem::take(&mut self.missed) {
            0 => self.events.pop_front().map(Heard::Event),
            missed => Some(Heard::Skipped(missed)),
        }
    }
}

/// How long somebody waits for the next event.
#[derive(Clone, Copy)]
enum Wait {
    No,
    Until(Instant),
    Forever,
}

impl Wait {
    /// At most `most`; `None`: the time is over.
    fn left(self, most: Duration) -> Option<Duration> {
        match self {
            Wait::No => None,
            Wait::Until(end) => Some(end.saturating_duration_since(Instant::now()).min(most)).filter(|d| !d.is_zero()),
            Wait::Forever => Some(most),
        }
    }
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, id: u64) -> Follower {
        Follower { shared, id, taken: RefCell::default() }
    }

    /// The next event that is already there.
    pub fn try_next(&self) -> Option<Heard> {
        self.next_by(Wait::No).ok()
    }

    /// Waits at most `patience` for the next event.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`], or [`RecvTimeoutError::Disconnected`] when the journal and all its clones are gone.
    pub fn next_within(&self, patience: Duration) -> Result<Heard, RecvTimeoutError> {
        self.next_by(Wait::Until(Instant::now() + patience))
    }

    /// Waits for the next event. `None`: the journal is gone.
    pub(crate) fn wait(&self) -> Option<Heard> {
        self.next_by(Wait::Forever).ok()
    }

    /// How many events have been taken from the journal and not yet given to the reader.
    pub(crate) fn at_hand(&self) -> usize {
        self.taken.borrow().events.len()
    }

    fn next_by(&self, wait: Wait) -> Result<Heard, RecvTimeoutError> {
        let mut taken = self.taken.borrow_mut();
        match taken.next() {
            Some(heard) => Ok(heard),
            None => {
                self.take(&mut taken, wait)?;
                Ok(taken.next().expect("something was taken"))
            }
        }
    }

    fn take(&self, taken: &mut Taken, wait: Wait) -> Result<(), RecvTimeoutError> {
        let mut state = self.shared.lock();
        if state.has_dealt(self.id) {
            self.shared.dealt.notify_all();
        }
        let rest = taken.emptied.map_or(Duration::ZERO, |emptied| REST.saturating_sub(emptied.elapsed()));
        if !rest.is_zero()
            && !state.ended
            && let Some(rest) = wait.left(rest)
        {
            drop(state);
            thread::sleep(rest);
            state = self.shared.lock();
        }
        loop {
            taken.missed = state.take(self.id, BATCH, &mut taken.events);
            if taken.missed > 0 || !taken.events.is_empty() {
                taken.emptied = (taken.events.len() < BATCH).then(Instant::now);
                return Ok(());
            }
            if state.ended {
                return Err(RecvTimeoutError::Disconnected);
            }
            let patience = wait.left(Duration::MAX).ok_or(RecvTimeoutError::Timeout)?;
            state.sleeping += 1;
            // A panic elsewhere while the lock was held leaves nothing half changed.
            state = match wait {
                Wait::Forever => self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                _ => self.shared.news.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.sleeping -= 1;
        }
    }
}

impl Iterator for Follower {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        self.wait()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.lock().has_left(self.id);
        self.shared.dealt.notify_all();
    }
}
