//! The time that leases are counted by: the wall clock's, until somebody sets that clock.
//!
//! Clients count the seconds since they were given their leases, whatever clocks say. So the time of leases goes on as it went
//! when the wall clock is set ahead, until the leases that were given by it are on record with their ends as much later; and when
//! the wall clock is set back, for as long as the service runs: what a restart finds then holds longer than it need.

use std::time::{Duration, Instant};

use journal::Step;
use leases::{Change, Clock, Expiry, Grant, Record, State, UnixSecs};

use super::batch::{Queued, Then};
use super::changes::LeaseChange;
use super::engine::{Effect, Engine};

/// A wall clock that is off by more seconds than this was set; whole seconds, and clocks read one after the other, make some.
const SET: i64 = 5;
/// How long nothing is tried after leases could not be moved.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct LeaseTime {
    /// As it was read last.
    last: Option<Clock>,
    /// How far the wall clock is ahead of the time of leases, in seconds.
    ahead: i64,
    not_before: Option<Instant>,
}

impl LeaseTime {
    /// The time of leases, and by how many seconds the wall clock was set since this was last asked; 0: it was not.
    fn read(&mut self, read: Clock) -> (Clock, i64) {
        let jump = self.last.replace(read).map_or(0, |last| {
            let goes_by = read.running.saturating_duration_since(last.running).as_secs();
            difference(read.wall, UnixSecs(last.wall.0.saturating_add(goes_by)))
        });
        let jump = if jump.abs() > SET { jump } else { 0 };
        self.ahead += jump;
        (Clock { wall: moved(read.wall, -self.ahead), ..read }, jump)
    }
}

fn difference(later: UnixSecs, earlier: UnixSecs) -> i64 {
    i64::try_from(i128::from(later.0) - i128::from(earlier.0)).unwrap_or(0)
}

fn moved(time: UnixSecs, by: i64) -> UnixSecs {
    UnixSecs(time.0.saturating_add_signed(by))
}

impl Engine {
    /// By what leases are counted when clocks say this; tells when the wall clock was set.
    pub(super) fn lease_time(&mut self, read: Clock) -> Clock {
        // Where others count too, the wall clock is all that there is in common.
        let (time, jump) = self.lease_time.read(read);
        if jump != 0 {
            let way = if jump > 0 { "ahead" } else { "back" };
            let span = Duration::from_secs(jump.unsigned_abs());
            let text = format!(
                "the clock of this computer was set {way} by {span:?}; leases last as long as their clients were told"
            );
            let fix =
                "see that the clock is right before lanboot starts: a clock without battery is set by NTP".to_owned();
            self.happened(None, Step::Warning { text, fix: Some(fix) });
        }
        if self.store.is_sole() { time } else { read }
    }

    /// Records that were given by the time of leases and would end too early by the wall clock: to be written with their ends
    /// as much later, before anything else is. Empty: there is nothing to do, or it is not the time.
    pub(super) fn leases_to_move(&mut self, now: Clock) -> Vec<Queued> {
        let by = self.lease_time.ahead;
        let is_time = self.lease_time.not_before.is_none_or(|at| at <= now.running);
        if by <= 0 || !is_time || !self.store.is_sole() {
            return Vec::new();
        }
        let grant = |record: &Record| match &record.state {
            State::Bound(binding) if !binding.expires().is_past(now.wall) => {
                let binding = binding.clone();
                (binding.expires() != Expiry::Never).then(|| Grant {
                    address: record.address,
                    key: binding.key,
                    mac: binding.mac,
                    client_id: binding.client_id,
                    hostname: binding.hostname,
                    lease_secs: binding.lease_secs,
                    // What lies ahead was given by a clock that was so, and not later than now.
                    now: moved(binding.granted.min(now.wall), by),
                })
            }
            _ => None,
        };
        let declined = |record: &Record| match record.state {
            State::Declined { until } if until > now.wall => {
                Some(Change::Decline { address: record.address, until: moved(until, by) })
            }
            _ => None,
        };
        let change = |record: &Record| grant(record).map(Change::Grant).or_else(|| declined(record));
        let mut moves: Vec<_> =
            self.store.list().filter_map(change).map(|change| Queued { change, then: Then::Nothing }).collect();
        match moves.first_mut() {
            Some(first) => first.then = Then::Moved { by },
            None => self.leases_moved(by),
        }
        moves
    }

    /// They are on record: from now on the wall clock counts, and for what gathers as well.
    pub(super) fn leases_moved(&mut self, by: i64) {
        self.lease_time.ahead -= by;
        for Queued { change, .. } in &mut self.batch {
            match change {
                Change::Grant(Grant { now: time, .. })
                | Change::Release { now: time, .. }
                | Change::Decline { until: time, .. } => *time = moved(*time, by),
                Change::Unname { .. } => {}
            }
        }
        if self.watched {
            let known = self.store.list().filter(|record| matches!(record.state, State::Bound(_))).cloned().collect();
            self.effects.push(Effect::Lease(LeaseChange::Known(known)));
        }
    }

    pub(super) fn leases_not_moved(&mut self, now: Clock) {
        self.lease_time.not_before = Some(now.running + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_runs() {
        let (mut time, start) = (LeaseTime::default(), Instant::now());
        let at = |wall, secs| Clock { wall: UnixSecs(wall), running: start + Duration::from_secs(secs) };
        assert_eq!(time.read(at(1000, 0)), (at(1000, 0), 0));
        assert_eq!(time.read(at(1101, 100)), (at(1101, 100), 0), "a second more or less");
        assert_eq!(time.read(at(4711, 110)), (at(1111, 110), 3600));
        assert_eq!(time.read(at(4712, 111)), (at(1112, 111), 0));
        assert_eq!(time.read(at(112, 111)), (at(1112, 111), -4600));
        assert_eq!(time.read(at(122, 121)).0, at(1122, 121));
    }
}
