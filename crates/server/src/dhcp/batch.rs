//! Changes of leases on their way to the disk, and what follows from each once it is there.
//!
//! While one batch is under way, all that arrives gathers for the next: the price of a write is shared by all who wait for it.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use journal::Step;
use leases::{Change, ClientKey, Clock, Outcome, State, StoreError};
use mac::Mac;

use super::changes::LeaseChange;
use super::engine::{Effect, Engine};
use super::exchange::Pending;

/// A change that waits for its batch.
pub(super) struct Queued {
    pub change: Change,
    pub then: Then,
}

/// What a change was made for.
pub(super) enum Then {
    Acknowledge(Box<Pending>),
    Released {
        link: Option<usize>,
        machine: Mac,
        address: Ipv4Addr,
    },
    /// Found in use by somebody else.
    SetAside {
        address: Ipv4Addr,
    },
    /// Leases move along with a clock that was set ahead by so many seconds.
    Moved {
        by: i64,
    },
    /// A lease that another card of the same machine, or another machine of the same name, loses something to.
    Nothing,
}

/// So many changes that wait are too many: more packets are left to wait in their sockets.
const MOST_WAITING: usize = 4096;

impl Engine {
    /// Lets go what has become durable, and begins to write what has gathered since. To be called after packets were taken,
    /// and when [`Engine::readiness`] says so.
    pub fn flush(&mut self, now: Clock) {
        self.hear_news();
        loop {
            let time = self.lease_time(now);
            if let Some(waiting) = self.under_way.take() {
                match self.store.settled() {
                    None => return self.under_way = Some(waiting),
                    Some(Ok(outcomes)) => self.written(time, waiting, outcomes),
                    Some(Err(error)) => self.not_written(time, waiting, &error),
                }
            }
            let time = self.lease_time(now);
            let mut queued = self.leases_to_move(time);
            if queued.is_empty() {
                queued = std::mem::take(&mut self.batch);
            }
            if queued.is_empty() {
                return;
            }
            let (changes, waiting) = queued.into_iter().map(|queued| (queued.change, queued.then)).unzip();
            self.store.begin(changes);
            self.under_way = Some(waiting);
        }
    }

    /// Readable when [`Engine::flush`] has something to let go. `None`: it never has to wait.
    pub fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.store.readiness()
    }

    /// Whether a batch is under way.
    pub fn is_writing(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether so much waits for the disk that no more should be taken on.
    pub fn is_busy(&self) -> bool {
        self.batch.len() >= MOST_WAITING
    }

    /// All changes that wait, those under way first.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Pending> {
        let under_way = self.under_way.iter().flatten();
        under_way.chain(self.batch.iter().map(|queued| &queued.then)).filter_map(Then::pending)
    }

    fn written(&mut self, now: Clock, waiting: Vec<Then>, outcomes: Vec<Outcome>) {
        // Where nothing was to be changed, nothing was written either.
        let is_written = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Granted(_) | Outcome::Released(true) | Outcome::Declined | Outcome::Unnamed(true)
            )
        };
        if self.store_broken && outcomes.iter().any(is_written) {
            (self.store_broken, self.link) = (false, None);
            self.happened(None, Step::LeasesWritten);
        }
        for (then, outcome) in waiting.into_iter().zip(outcomes) {
            match (then, outcome) {
                (Then::Acknowledge(pending), Outcome::Granted(lease)) => self.acknowledge(now, *pending, lease, true),
                (Then::Acknowledge(pending), Outcome::Taken(taken)) => self.refuse_taken(*pending, &taken),
                (Then::Released { link, machine, address }, Outcome::Released(held)) => {
                    self.link = link;
                    self.happened(Some(machine), Step::DhcpRelease { address });
                    if held {
                        self.ended(address);
                    }
                }
                (Then::SetAside { address }, Outcome::Declined) => {
                    // From now on its record says it.
                    self.holds.release(address);
                    self.ended(address);
                }
                (Then::Moved { by }, _) => self.leases_moved(by),
                _ => {}
            }
        }
    }

    /// Who has a lease on disk is told so, for the time that is left of it; all others wait and ask again.
    fn not_written(&mut self, now: Clock, waiting: Vec<Then>, error: &StoreError) {
        self.store_failed(&error.to_string());
        for then in waiting {
            if let Then::Moved { .. } = then {
                self.leases_not_moved(now);
            }
            if let Then::Acknowledge(pending) = then
                && let Some(lease) = self.store.confirm(pending.address, &pending.key, pending.lease_secs, now.wall)
            {
                self.acknowledge(now, *pending, lease, false);
            }
        }
    }

    /// What other servers of the same leases did.
    fn hear_news(&mut self) {
        let news = self.store.news();
        for record in news.into_iter().filter(|_| self.watched) {
            let change = match record.state {
                State::Bound(_) => LeaseChange::Known(vec![record]),
                State::Released { .. } | State::Declined { .. } => LeaseChange::Ended(record.address),
            };
            self.effects.push(Effect::Lease(change));
        }
    }

    /// Takes a name from a lease, which somebody else has from now on.
    pub(super) fn unname(&mut self, address: Ipv4Addr, key: ClientKey) {
        self.batch.push(Queued { change: Change::Unname { address, key }, then: Then::Nothing });
    }
}

impl Then {
    pub fn pending(&self) -> Option<&Pending> {
        if let Then::Acknowledge(pending) = self { Some(pending) } else { None }
    }
}
