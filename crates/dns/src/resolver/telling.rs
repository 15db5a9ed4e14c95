//! What is told besides replies: the query log, and look-ups of machines that boot.

use std::net::IpAddr;
use std::time::Instant;

use super::{Client, Effect, Outcome, Resolver};
use crate::lookups::{self, Line, Logged, Told};
use crate::{Name, Rtype};

impl Resolver {
    /// Whether anybody wants to know of this client's queries.
    pub(super) fn is_told(&self, now: Instant, client: &Client) -> bool {
        self.settings.log || self.watched.is_watched(now, client.address.ip())
    }

    /// Tells what a reply says.
    pub(super) fn tell(&mut self, now: Instant, client: &Client, serial: u64, reply: &[u8], told: &Told) {
        if self.settings.log {
            lookups::lines(reply, &told.source).into_iter().for_each(|what| self.log(client, serial, what));
        }
        if let Some((name, kind)) = lookups::question(reply) {
            self.looked_up(now, client, &name, kind, lookups::outcome(reply, told));
        }
    }

    /// Tells how a look-up ended if its client is watched.
    pub(super) fn looked_up(&mut self, now: Instant, client: &Client, name: &Name, kind: Rtype, outcome: Outcome) {
        let client: IpAddr = client.address.ip();
        if self.watched.is_news(now, client, name, kind, &outcome) {
            self.effects.push_back(Effect::LookedUp { client, name: name.clone(), kind, outcome });
        }
    }

    pub(super) fn log(&mut self, client: &Client, serial: u64, what: Logged) {
        if self.settings.log {
            self.effects.push_back(Effect::Log(Line { serial, client: client.address, what }));
        }
    }
}
