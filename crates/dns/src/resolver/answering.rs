//! What upstream servers said, on its way to those who wait for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::reading;
use super::refusing::{self, Why};
use super::{Client, Effect, Failure, Outcome, Resolver, Token};
use crate::forward::{Ended, Flight, How, Waiter, Worth, code_of};
use crate::lookups::{self, Logged, Source};
use crate::{Age, Answer, Name, Rtype, Told};

pub(super) fn handle(this: &mut Resolver, now: Instant, token: Token, octets: &[u8]) {
    let Some(attempt) = this.forward.attempt(token) else { return };
    let Some((worth, answer)) = reading::read(attempt, octets) else { return };
    let Some(ended) = this.forward.came(now, token, worth, &mut this.effects) else { return };
    match (ended.how, answer) {
        (How::Answered { .. }, Some(answer)) => answered(this, now, ended, &answer),
        _ => failed(this, now, ended),
    }
}

pub(super) fn unreachable(this: &mut Resolver, now: Instant, token: Token) {
    let worth = Worth::Failed(Failure::Unreachable);
    if let Some(ended) = this.forward.came(now, token, worth, &mut this.effects) {
        failed(this, now, ended);
    }
}

fn answered(this: &mut Resolver, now: Instant, ended: Ended, answer: &Answer) {
    let How::Answered { by, .. } = ended.how else { return };
    let told = Told { age: Age::Fresh(0), max_ttl: this.settings.cache.max_told_ttl, rotation: 0, why: None };
    let millis = (now - ended.flight.began).as_millis().try_into().unwrap_or(u32::MAX);
    for waiter in &ended.flight.waiters {
        answer.write(&waiter.asked, &this.limits(&waiter.client), &told, &mut this.reply);
        if this.settings.log {
            let reply = std::mem::take(&mut this.reply);
            this.log_reply(waiter.serial, &waiter.client, &reply, &Source::Upstream);
            this.reply = reply;
        }
        if this.watched.is_watched(now, waiter.client.address.ip()) {
            let outcome = lookups::outcome(&this.reply, Some(by), millis);
            this.told(now, &ended.flight, waiter, outcome);
        }
        this.effects.push_back(Effect::Reply { to: waiter.client, octets: this.reply.clone() });
    }
}

/// Tells everybody who waits that nothing came of it.
pub(super) fn failed(this: &mut Resolver, now: Instant, ended: Ended) {
    let Ended { flight, failures, .. } = ended;
    let code = code_of(&failures);
    for waiter in &flight.waiters {
        refusing::write(&waiter.asked, &this.limits(&waiter.client), code, Some(why(&failures)), &mut this.reply);
        if this.settings.log {
            let by = failures.iter().rev().find(|(_, what)| *what == Failure::Said(code)).map(|(by, _)| *by);
            this.log(waiter.serial, &waiter.client, Logged::Failed { name: flight.question.name.clone(), code, by });
        }
        this.told(now, &flight, waiter, Outcome::NoAnswer { asked: failures.clone() });
        this.effects.push_back(Effect::Reply { to: waiter.client, octets: this.reply.clone() });
    }
}

fn why(failures: &[(SocketAddr, Failure)]) -> Why {
    let any = |wanted: fn(&Failure) -> bool| failures.iter().any(|(_, failure)| wanted(failure));
    match () {
        () if any(|failure| matches!(failure, Failure::Said(_))) => refusing::SAID_SO,
        () if any(|failure| matches!(failure, Failure::Silent | Failure::Malformed)) => refusing::SILENT,
        () => refusing::UNREACHABLE,
    }
}

impl Resolver {
    fn told(&mut self, now: Instant, flight: &Flight, waiter: &Waiter, outcome: Outcome) {
        let client = waiter.client.address.ip();
        self.looked_up(now, client, &flight.question.name, flight.question.kind, outcome);
    }

    /// Tells of a look-up if its client is watched.
    pub(super) fn looked_up(&mut self, now: Instant, client: IpAddr, name: &Name, kind: Rtype, outcome: Outcome) {
        if self.watched.is_news(now, client, name, kind, &outcome) {
            self.effects.push_back(Effect::LookedUp { client, name: name.clone(), kind, outcome });
        }
    }

    pub(super) fn log(&mut self, serial: u64, client: &Client, what: Logged) {
        self.effects.push_back(Effect::Log(lookups::Line { serial, client: client.address, what }));
    }

    /// A line for every record of a reply.
    pub(super) fn log_reply(&mut self, serial: u64, client: &Client, reply: &[u8], source: &Source) {
        for what in lookups::lines(reply, source) {
            self.log(serial, client, what);
        }
    }
}
