//! Questions that nobody answered just now: they are not asked again for a moment (RFC 9520 section 3.2).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::resolver::Failure;

/// At least a second (RFC 9520 section 3.2). The retries of one look-up fall into it; whoever mended the line need not wait.
const HOLDS: Duration = Duration::from_secs(2);
/// Names are chosen by strangers: the oldest failure makes room.
const MOST: usize = 1024;

/// Servers that were asked, each with what came of it.
pub(crate) type Failures = Arc<[(SocketAddr, Failure)]>;

/// Failures by the question as [`super::flight::make_key`] makes it.
#[derive(Default)]
pub(super) struct Failed {
    known: HashMap<Arc<[u8]>, Failures>,
    /// All of `known`, and when each of them ends.
    by_age: VecDeque<(Instant, Arc<[u8]>)>,
}

impl Failed {
    pub fn get(&mut self, now: Instant, key: &[u8]) -> Option<Failures> {
        while self.by_age.front().is_some_and(|(until, _)| *until <= now) {
            self.remove_oldest();
        }
        self.known.get(key).cloned()
    }

    pub fn insert(&mut self, now: Instant, key: &[u8], failures: Failures) {
        if self.known.len() >= MOST {
            self.remove_oldest();
        }
        let key: Arc<[u8]> = key.into();
        if self.known.insert(key.clone(), failures).is_none() {
            self.by_age.push_back((now + HOLDS, key));
        }
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.by_age.clear();
    }

    fn remove_oldest(&mut self) {
        if let Some((_, key)) = self.by_age.pop_front() {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_hold_for_a_moment_and_are_bounded() {
        let (mut failed, start) = (Failed::default(), Instant::now());
        let key = |number: usize| number.to_be_bytes();
        let silent: Failures = [(([192, 0, 2, 1], 53).into(), Failure::Silent)].into();
        for number in 0..MOST + 10 {
            failed.insert(start, &key(number), silent.clone());
        }
        assert_eq!((failed.known.len(), failed.by_age.len()), (MOST, MOST));
        assert_eq!(failed.get(start, &key(9)), None, "it made room");
        assert_eq!(failed.get(start + HOLDS - Duration::from_millis(1), &key(10)), Some(silent));
        assert_eq!(failed.get(start + HOLDS, &key(10)), None);
        assert_eq!((failed.known.len(), failed.by_age.len()), (0, 0));
    }
}
