//! What a client has really taken of what was sent to it on one connection, and what of that is worth an event.
//!
//! Octets written are in the kernel's hands, often megabytes before the client has them. A file counts as sent when
//! the client's TCP has acknowledged its last octet, so that a machine that dies half way is not reported as served.
//!
//! One exception: an iPXE that has its last file starts the kernel at once and never acknowledges what lay in its receive
//! window. A client that goes silent with no more than that outstanding, after it took part of the file, has it all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use journal::{Protocol, Role, Step};

/// Firmware that fetches a file in ranges pauses less than this between two of them.
const RANGES_PAUSE: Duration = Duration::from_secs(1);
/// What a boot client's receive window holds at most, in octets (iPXE's is 256 KiB).
const WINDOW: u64 = 256 * 1024;
/// Silence that a client with something left to acknowledge does not keep.
const SILENCE: Duration = Duration::from_secs(1);

/// One answer whose end is to be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub file: String,
    pub role: Role,
    /// Of the body.
    pub octets: u64,
    /// A 206: one of many, perhaps.
    pub partial: bool,
    pub since: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Octets given to the kernel since the connection began.
    written: u64,
    /// With the value of `written` once it is all out; in order.
    pending: VecDeque<(u64, Sending)>,
    /// Ranges of one file that were taken one after the other, and when the last was.
    ranges: Option<(Sending, Instant)>,
    /// What was unacknowledged when last asked, and since when it is that much.
    outstanding: Option<(u64, Instant)>,
}

impl Ledger {
    /// This answer is about to be written, with so many octets of head before its body.
    pub fn begin(&mut self, head_octets: usize, sending: Sending) {
        self.pending.push_back((self.written + head_octets as u64 + sending.octets, sending));
    }

    pub fn wrote(&mut self, octets: usize) {
        self.written += octets as u64;
    }

    /// Something is still to be reported: ask again soon.
    pub fn is_open(&self) -> bool {
        !self.pending.is_empty() || self.ranges.is_some()
    }

    /// Reports what has ended. `unacknowledged`: octets that the client's TCP has not confirmed yet.
    pub fn settle(&mut self, unacknowledged: u64, now: Instant) -> Vec<Step> {
        let taken = self.taken_of(unacknowledged, now);
        let mut steps = Vec::new();
        while self.pending.front().is_some_and(|(end, _)| *end <= taken) {
            let (_, sending) = self.pending.pop_front().expect("the front was just seen");
            self.taken(sending, now, &mut steps);
        }
        if self.ranges.as_ref().is_some_and(|(_, last)| now.duration_since(*last) >= RANGES_PAUSE) {
            steps.extend(self.end_ranges());
        }
        steps
    }

    /// Octets since the connection began that the client has, as far as can be told.
    fn taken_of(&mut self, unacknowledged: u64, now: Instant) -> u64 {
        let acknowledged = self.written.saturating_sub(unacknowledged);
        let since = match self.outstanding {
            Some((same, since)) if same == unacknowledged => since,
            _ => now,
        };
        self.outstanding = Some((unacknowledged, since));
        let silent = unacknowledged <= WINDOW && now.duration_since(since) >= SILENCE;
        let begun = self.pending.back().is_some_and(|(end, sending)| acknowledged > end - sending.octets);
        let whole = self.pending.back().is_some_and(|(end, _)| *end <= self.written);
        if silent && begun && whole { self.written } else { acknowledged }
    }

    /// Reports everything that is left, since the connection is over. `because`: whose doing that was.
    pub fn close(mut self, unacknowledged: u64, because: &str, now: Instant) -> Vec<Step> {
        let mut steps = self.settle(unacknowledged, now);
        steps.extend(self.end_ranges());
        let taken = self.written.saturating_sub(unacknowledged);
        for (end, sending) in self.pending {
            let octets = taken.saturating_sub(end - sending.octets);
            let because = format!("{because} after {}", progress(octets, sending.octets));
            steps.push(Step::FileFailed { protocol: Protocol::Http, file: sending.file, octets, because });
        }
        steps
    }

    fn taken(&mut self, sending: Sending, now: Instant, steps: &mut Vec<Step>) {
        match &mut self.ranges {
            Some((ranges, last)) if sending.partial && ranges.file == sending.file => {
                ranges.octets += sending.octets;
                *last = now;
            }
            _ => {
                steps.extend(self.end_ranges());
                match sending.partial {
                    true => self.ranges = Some((sending, now)),
                    false => steps.push(sent(sending, now)),
                }
            }
        }
    }

    fn end_ranges(&mut self) -> Option<Step> {
        self.ranges.take().map(|(ranges, last)| sent(ranges, last))
    }
}

fn sent(sending: Sending, at: Instant) -> Step {
    Step::FileSent {
        protocol: Protocol::Http,
        file: sending.file,
        role: sending.role,
        octets: sending.octets,
        millis: at.duration_since(sending.since).as_millis() as u64,
        retransmits: 0,
    }
}

/// `3.1 of 8.2 MB`, in the unit that fits the whole.
fn progress(done: u64, whole: u64) -> String {
    let (unit, name) = unit(whole);
    match unit {
        1 => format!("{done} of {whole} {name}"),
        _ => format!("{:.1} of {:.1} {name}", done as f64 / unit as f64, whole as f64 / unit as f64),
    }
}

/// `8.2 MB`, in steps of 1000 as file sizes are given.
pub(super) fn size(octets: u64) -> String {
    match unit(octets) {
        (1, name) => format!("{octets} {name}"),
        (unit, name) => format!("{:.1} {name}", octets as f64 / unit as f64),
    }
}

fn unit(octets: u64) -> (u64, &'static str) {
    match octets {
        0..1_000 => (1, "B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(file: &str, octets: u64, partial: bool, since: Instant) -> Sending {
        Sending { file: file.into(), role: Role::Kernel, octets, partial, since }
    }

    fn octets_and_millis(step: &Step) -> (u64, u64) {
        match step {
            Step::FileSent { octets, millis, .. } => (*octets, *millis),
            other => panic!("not sent: {other:?}"),
        }
    }

    #[test]
    fn file_is_sent_when_its_last_octet_is_acknowledged() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        ledger.begin(200, sending("linux", 1000, false, start));
        ledger.wrote(200);
        assert_eq!(ledger.settle(0, start), []);
        ledger.wrote(1000);
        assert_eq!(ledger.settle(1, start), []);
        let steps = ledger.settle(0, start + Duration::from_millis(7));
        assert_eq!(steps.len(), 1);
        assert_eq!(octets_and_millis(&steps[0]), (1000, 7));
        assert!(!ledger.is_open());
    }

    #[test]
    fn last_window_of_a_silent_client_counts_as_taken() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        ledger.begin(100, sending("initrd", 1_000_000, false, start));
        ledger.wrote(1_000_100);
        assert_eq!(ledger.settle(211_000, start), []);
        assert_eq!(ledger.settle(200_000, start + Duration::from_millis(900)), []);
        assert_eq!(ledger.settle(200_000, start + Duration::from_millis(1800)), [], "it moved 0.9 s ago");
        assert_eq!(ledger.settle(200_000, start + Duration::from_millis(1900)).len(), 1);
    }

    #[test]
    fn client_that_took_nothing_has_nothing() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        ledger.begin(100, sending("initrd", 1000, false, start));
        ledger.wrote(1100);
        assert_eq!(ledger.settle(1100, start), []);
        assert_eq!(ledger.settle(1100, start + Duration::from_secs(5)), []);
    }

    #[test]
    fn broken_transfer_tells_how_far_it_came() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        ledger.begin(100, sending("initrd", 8_200_000, false, start));
        ledger.wrote(4_000_100);
        let steps = ledger.close(900_000, "client hung up", start);
        let because = "client hung up after 3.1 of 8.2 MB".into();
        let file = "initrd".into();
        assert_eq!(steps, [Step::FileFailed { protocol: Protocol::Http, file, octets: 3_100_000, because }]);
    }

    #[test]
    fn head_that_never_arrived_counts_no_octets() {
        let mut ledger = Ledger::default();
        ledger.begin(100, sending("a", 500, false, Instant::now()));
        ledger.wrote(80);
        let steps = ledger.close(30, "client hung up", Instant::now());
        assert!(matches!(&steps[..], [Step::FileFailed { octets: 0, because, .. }] if because.ends_with("0 of 500 B")));
    }

    #[test]
    fn ranges_of_one_file_make_one_event() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        for n in 1..=50 {
            ledger.begin(0, sending("linux", 10, true, start));
            ledger.wrote(10);
            assert_eq!(ledger.settle(0, start + Duration::from_millis(100 * n)), []);
        }
        assert!(ledger.is_open());
        let steps = ledger.settle(0, start + Duration::from_secs(6));
        assert_eq!(steps.iter().map(octets_and_millis).collect::<Vec<_>>(), [(500, 5000)]);
        assert!(!ledger.is_open());
    }

    #[test]
    fn next_file_ends_the_ranges_of_the_last() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        for (file, octets, partial) in [("a", 1, true), ("b", 2, true), ("b", 3, true), ("c", 4, false)] {
            ledger.begin(0, sending(file, octets, partial, start));
            ledger.wrote(octets as usize);
        }
        let steps = ledger.settle(0, start);
        assert_eq!(steps.iter().map(octets_and_millis).collect::<Vec<_>>(), [(1, 0), (5, 0), (4, 0)]);
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        assert_eq!([0, 999, 1000, 8_243_210, 5_000_000_000].map(size), ["0 B", "999 B", "1.0 kB", "8.2 MB", "5.0 GB"]);
    }
}
