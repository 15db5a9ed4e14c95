//! When the next server is asked, and when it is enough.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Ended, Forward, How, Timer};
use crate::resolver::{Effect, Failure, Transport};
use crate::routes::Index;
use crate::settings::{Forwarding, Order};

/// A person still waits then, and is told that nobody answered.
const TOTAL: Duration = Duration::from_secs(4);
/// Whatever settings say.
const LONGEST: Duration = Duration::from_secs(3600);
const AT_LEAST: Duration = Duration::from_millis(10);
/// Where some servers said that they cannot, or not the whole over UDP, the silent ones are not waited for any longer.
const ENOUGH: Duration = Duration::from_secs(1);
/// Between the second server and all others.
const THEN_ALL: Duration = Duration::from_millis(200);
/// Before servers that were all asked are asked again; doubled each time.
const AGAIN: Duration = Duration::from_millis(500);

impl Forward {
    /// Asks the next `many` servers of a query, those that were asked before only when nobody else is left, and says when
    /// to go on.
    pub(super) fn ask_next(&mut self, now: Instant, number: u64, many: usize, effects: &mut VecDeque<Effect>) {
        let mut asked_all = false;
        for _ in 0..many {
            let flight = self.flights.get_mut(number).expect("the caller's query is in flight");
            let Some(server) = flight.next_server() else { break };
            asked_all = flight.asked_all();
            self.send(now, number, server, Transport::Udp, effects);
        }
        let how = self.settings.order;
        let flight = self.flights.get_mut(number).expect("the caller's query is in flight");
        let patience = match (self.settings.retry, flight.rounds) {
            (Some(retry), rounds) => retry.first.max(AT_LEAST).saturating_mul(2u32.pow(rounds.min(10))),
            (None, 0) => {
                let late = |server: &Index| self.upstreams.late_after(*server, how);
                let late = flight.just_asked(many).iter().map(late).min().unwrap_or(AGAIN);
                if asked_all { late.max(AGAIN) } else { late }
            }
            (None, _) if !asked_all => THEN_ALL,
            (None, rounds) => AGAIN * 2u32.pow(rounds.min(10) - 1),
        };
        let total = total(&self.settings);
        let mut due = (now + patience.min(total)).min(flight.began + total);
        if !asked_all && flight.due > now {
            // Neither an impatient client nor a server that fails late puts off the turn of those that were not asked yet.
            due = due.min(flight.due);
        }
        self.set_due(number, due);
    }

    pub(super) fn set_due(&mut self, number: u64, due: Instant) {
        let flight = self.flights.get_mut(number).expect("the caller's query is in flight");
        self.timers.remove(&(flight.due, Timer::Flight(number)));
        flight.due = due;
        self.timers.insert((due, Timer::Flight(number)));
    }

    /// A query's servers are late.
    pub(super) fn step(&mut self, now: Instant, number: u64, effects: &mut VecDeque<Effect>) -> Option<Ended> {
        let how = self.settings.order;
        let flight = self.flights.get_mut(number).expect("a timer's query is in flight");
        for token in &flight.pending {
            let Some(attempt) = self.attempts.get_mut(*token) else { continue };
            if !attempt.late && now >= attempt.at + self.upstreams.late_after(attempt.server, how) {
                attempt.late = true;
                self.upstreams.missed(now, attempt.server);
            }
        }
        let waited = now - flight.began;
        let told = flight.cut.is_some() || flight.failures.iter().any(|(_, what)| matches!(what, Failure::Said(_)));
        if waited >= total(&self.settings)
            || flight.order.is_empty()
            || (told && flight.asked_all() && waited >= ENOUGH)
        {
            return Some(self.end(now, number, How::Failed, effects));
        }
        flight.rounds += 1;
        let left = flight.order.len() - flight.next.min(flight.order.len());
        let many = match (how, left) {
            (_, 0) => flight.begin_again(),
            (Order::Strict, _) => 1,
            (_, left) if flight.rounds == 1 => left.min(1),
            (_, left) => left,
        };
        self.ask_next(now, number, many, effects);
        None
    }
}

/// How long clients wait at most.
fn total(settings: &Forwarding) -> Duration {
    settings.retry.map_or(TOTAL, |retry| retry.total.min(LONGEST))
}
