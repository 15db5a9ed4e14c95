//! The same trouble of many machines at once: told of the first few, then counted.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use mac::Mac;

/// So many are shown each by itself.
const SHOWN: u32 = 3;
/// The others are summed up this often, in seconds.
const SUM_UP_SECS: i64 = 10;
/// What has not come for this long is new when it comes again, in seconds.
const FORGET_SECS: i64 = 60;
/// Kinds of trouble, and machines of one kind, that are told apart.
const MOST_KINDS: usize = 64;
const MOST_MACHINES: usize = 10_000;

#[derive(Default)]
pub(crate) struct Flood(BTreeMap<String, Trouble>);

struct Trouble {
    shown: u32,
    newest: Timestamp,
    summed_up: Timestamp,
    /// Since then.
    times: u32,
    machines: HashSet<Option<Mac>>,
    /// What the first of these was about, and whether others were about something else.
    about: String,
    others: bool,
}

/// What was not shown of late.
#[derive(Debug, PartialEq)]
pub(crate) struct Sum {
    pub reason: String,
    pub times: u32,
    pub machines: usize,
    pub about: String,
    pub others: bool,
}

impl Flood {
    /// Whether this trouble, by its reason, is to be shown by itself. If not, it will be part of a sum.
    pub(crate) fn shows(&mut self, at: Timestamp, machine: Option<Mac>, reason: &str, about: &str) -> bool {
        let trouble = self.trouble(at, reason);
        if trouble.shown < SHOWN {
            trouble.shown += 1;
            return true;
        }
        trouble.count(machine, about);
        false
    }

    /// Trouble that is not to be shown by itself in any case.
    pub(crate) fn counts(&mut self, at: Timestamp, machine: Option<Mac>, reason: &str, about: &str) {
        self.trouble(at, reason).count(machine, about);
    }

    fn trouble(&mut self, at: Timestamp, reason: &str) -> &mut Trouble {
        let is_full = self.0.len() >= MOST_KINDS && !self.0.contains_key(reason);
        let reason = if is_full { "for various reasons" } else { reason };
        let trouble = self.0.entry(reason.to_owned()).or_insert_with(|| Trouble::new(at));
        trouble.newest = at;
        trouble
    }

    /// What is to be summed up by now, or at the `end`.
    pub(crate) fn due(&mut self, now: Timestamp, end: bool) -> Vec<Sum> {
        let secs = |from: Timestamp| now.as_second() - from.as_second();
        let mut sums = Vec::new();
        for (reason, trouble) in &mut self.0 {
            if trouble.times > 0 && (end || secs(trouble.summed_up) >= SUM_UP_SECS) {
                trouble.summed_up = now;
                sums.push(trouble.sum(reason));
            }
        }
        self.0.retain(|_, trouble| trouble.times > 0 || secs(trouble.newest) < FORGET_SECS);
        sums
    }
}

impl Trouble {
    fn new(at: Timestamp) -> Trouble {
        let (about, machines) = (String::new(), HashSet::new());
        Trouble { shown: 0, newest: at, summed_up: at, times: 0, machines, about, others: false }
    }

    fn count(&mut self, machine: Option<Mac>, about: &str) {
        if self.times == 0 {
            about.clone_into(&mut self.about);
        }
        self.others |= self.about != about;
        self.times += 1;
        if self.machines.len() < MOST_MACHINES {
            self.machines.insert(machine);
        }
    }

    fn sum(&mut self, reason: &str) -> Sum {
        let machines = std::mem::take(&mut self.machines).len();
        let (times, others) = (std::mem::take(&mut self.times), std::mem::take(&mut self.others));
        Sum { reason: reason.to_owned(), times, machines, about: std::mem::take(&mut self.about), others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn mac(number: u32) -> Option<Mac> {
        let [_, _, a, b] = number.to_be_bytes();
        Some(Mac([2, 0, 0, 0, a, b]))
    }

    #[test]
    fn a_few_are_shown_and_the_others_counted_now_and_then() {
        let mut flood = Flood::default();
        let shown = (0..5000).filter(|n| flood.shows(at(0), mac(*n), "silence", "deb.example")).count();
        assert_eq!(shown, 3);
        assert_eq!(flood.due(at(9), false), []);
        let sum = |times, machines, others| Sum {
            reason: "silence".to_owned(),
            times,
            machines,
            about: "deb.example".to_owned(),
            others,
        };
        assert_eq!(flood.due(at(10), false), [sum(4997, 4997, false)]);
        assert_eq!(flood.due(at(11), false), []);
        assert!(!flood.shows(at(12), mac(1), "silence", "deb.example"));
        assert!(!flood.shows(at(12), mac(1), "silence", "ntp.example"));
        assert_eq!(flood.due(at(13), true), [sum(2, 1, true)]);
    }

    #[test]
    fn what_comes_again_after_a_while_is_shown_again() {
        let mut flood = Flood::default();
        assert_eq!((0..9).filter(|n| flood.shows(at(0), mac(*n), "silence", "x")).count(), 3);
        flood.due(at(30), false);
        assert!(!flood.shows(at(59), mac(1), "silence", "x"));
        flood.due(at(100), false);
        flood.due(at(119), false);
        assert!(flood.shows(at(120), mac(1), "silence", "x"));
    }

    #[test]
    fn kinds_without_end_are_told_as_one() {
        let mut flood = Flood::default();
        let shown = (0..1000).filter(|n| flood.shows(at(0), mac(*n), &n.to_string(), "x")).count();
        assert_eq!(shown, MOST_KINDS + SHOWN as usize);
        assert_eq!(flood.due(at(10), false).iter().map(|sum| sum.times).sum::<u32>(), 1000 - shown as u32);
    }
}
