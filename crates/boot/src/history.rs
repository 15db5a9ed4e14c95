//! What we remember of a machine's present boot: the loaders it fetched, and whether it got past them.

use std::time::{Duration, Instant};

/// How long a fetched loader tells us something about the machine's next request. Generous, because an emulated machine
/// under load may need a minute from one stage to the next.
const MEMORY: Duration = Duration::from_secs(120);
/// A loader fetched this often, with nothing in between, is a loop: nobody resets a machine that fast by hand.
const LOOP: usize = 3;
/// The fetches of a loop lie within this time.
const LOOP_WITHIN: Duration = Duration::from_secs(60);

/// The loaders that one machine fetched since it last made progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    fetched: Vec<(Instant, String)>,
}

impl History {
    /// A loader was sent whole.
    pub fn loader_sent(&mut self, now: Instant, name: &str) {
        self.forget_old(now);
        if self.fetched.last().is_some_and(|(_, last)| last != name) {
            self.fetched.clear();
        }
        self.fetched.push((now, name.to_owned()));
    }

    /// The machine got past its loader: it asked for a script, a kernel, or anything else.
    pub fn progressed(&mut self) {
        self.fetched.clear();
    }

    /// The loader that the machine is running now, as far as we can tell.
    pub fn running(&self, now: Instant) -> Option<&str> {
        let (at, name) = self.fetched.last()?;
        (now.duration_since(*at) < MEMORY).then_some(name)
    }

    /// How often this loader was sent in a row, when that is a loop.
    pub fn loops_on(&self, now: Instant, name: &str) -> Option<u32> {
        let recent = self.fetched.iter().filter(|(at, n)| n == name && now.duration_since(*at) < LOOP_WITHIN).count();
        (recent >= LOOP).then_some(recent as u32)
    }

    fn forget_old(&mut self, now: Instant) {
        self.fetched.retain(|(at, _)| now.duration_since(*at) < MEMORY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_the_same_loader_is_a_loop_until_it_is_quiet() {
        let start = Instant::now();
        let mut history = History::default();
        for second in [0, 5, 10] {
            assert_eq!(history.loops_on(start + Duration::from_secs(second), "a.efi"), None);
            history.loader_sent(start + Duration::from_secs(second), "a.efi");
        }
        assert_eq!(history.loops_on(start + Duration::from_secs(11), "a.efi"), Some(3));
        assert_eq!(history.loops_on(start + Duration::from_secs(11), "b.efi"), None);
        assert_eq!(history.loops_on(start + Duration::from_secs(75), "a.efi"), None);
    }

    #[test]
    fn progress_ends_the_count() {
        let start = Instant::now();
        let mut history = History::default();
        for _ in 0..2 {
            history.loader_sent(start, "a.efi");
        }
        history.progressed();
        history.loader_sent(start, "a.efi");
        assert_eq!(history.loops_on(start, "a.efi"), None);
        assert_eq!(history.running(start), Some("a.efi"));
        assert_eq!(history.running(start + MEMORY), None);
    }
}
