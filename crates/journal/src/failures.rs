//! Failed look-ups in the live view: shown when nothing made them good, and for many machines at once as a sum.

use jiff::Timestamp;
use mac::Mac;

use crate::flood::{Flood, Sum};
use crate::like::first_label;
use crate::line::{Line, Tone};
use crate::timeline::millis_between;
use crate::words::{clean, counted};
use crate::{Boot, Event, Step, lookup};

/// A name may be tried in one domain after the other, and a server asked again, before a person need hear of it.
const WAIT_MILLIS: u64 = 2000;
/// Failures that wait; others are only counted.
const MOST_WAITING: usize = 1024;

#[derive(Default)]
pub(crate) struct Failures {
    waiting: Vec<Failure>,
    flood: Flood,
    stalls: Flood,
}

/// A failed look-up that is to be shown.
pub(crate) struct Failure {
    pub machine: Option<Mac>,
    /// When the boot began.
    pub started: Option<Timestamp>,
    pub line: Line,
    name: String,
    reason: String,
}

impl Failure {
    pub(crate) fn of(event: &Event, started: Option<Timestamp>, line: &Line) -> Option<Failure> {
        let Step::LookUpFailed { name, why, .. } = &event.step else { return None };
        let reason = lookup::reason(name, why);
        Some(Failure { machine: event.machine, started, line: line.clone(), name: name.clone(), reason })
    }
}

impl Failures {
    pub(crate) fn add(&mut self, failure: Failure) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push(failure);
        } else {
            self.flood.counts(failure.line.at, failure.machine, &failure.reason, &failure.name);
        }
    }

    /// A machine that finds the name after all has no trouble.
    pub(crate) fn hear(&mut self, event: &Event) {
        let Step::LookedUp { name, answers, .. } = &event.step else { return };
        if !answers.is_empty() {
            self.waiting
                .retain(|failure| failure.machine != event.machine || first_label(&failure.name) != first_label(name));
        }
    }

    /// What is to be shown by now, or at the `end`: failures, and what they and the stalls are summed up to.
    pub(crate) fn due(&mut self, now: Timestamp, end: bool) -> (Vec<Failure>, Vec<Line>) {
        let ripe = |failure: &mut Failure| end || millis_between(failure.line.at, now) >= WAIT_MILLIS;
        let ripe: Vec<Failure> = self.waiting.extract_if(.., ripe).collect();
        let shown = ripe
            .into_iter()
            .filter(|failure| self.flood.shows(failure.line.at, failure.machine, &failure.reason, &failure.name));
        let shown = shown.collect();
        let mut sums: Vec<Line> = self.flood.due(now, end).iter().map(|sum| sum_of_failures(now, sum)).collect();
        sums.extend(self.stalls.due(now, end).iter().map(|sum| sum_of_stalls(now, sum)));
        (shown, sums)
    }

    /// Whether it is to be shown by itself that this boot is stuck.
    pub(crate) fn shows_stall(&mut self, now: Timestamp, boot: &Boot) -> bool {
        let Some(failed) = boot.lookups.failed() else { return true };
        self.stalls.shows(now, Some(boot.machine), &lookup::reason(&failed.name, &failed.why), &failed.name)
    }
}

/// `4997 more look-ups by 4997 machines failed (deb.example): no upstream server answered (192.0.2.1 silent)`.
fn sum_of_failures(at: Timestamp, sum: &Sum) -> Line {
    let (times, machines) = (counted(sum.times, "more look-up"), counted_machines(sum));
    let text = format!("{times} by {machines} failed ({}): {}", about(sum), sum.reason);
    Line::new(at, "dns", text).tone(Tone::Bad)
}

fn sum_of_stalls(at: Timestamp, sum: &Sum) -> Line {
    let text = format!("{} more, for the same reason ({}): {}", counted_machines(sum), about(sum), sum.reason);
    Line::new(at, "stuck", text).tone(Tone::Warn)
}

fn counted_machines(sum: &Sum) -> String {
    counted(u32::try_from(sum.machines).unwrap_or(u32::MAX), "machine")
}

fn about(sum: &Sum) -> String {
    let others = if sum.others { " and others" } else { "" };
    format!("{}{others}", clean(&sum.about))
}
