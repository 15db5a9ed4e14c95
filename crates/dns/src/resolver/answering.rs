//! What upstream servers said, on its way to those who wait for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::reading;
use super::refusing::{self, Why};
use super::{Client, Effect, Failure, Outcome, Resolver, Token};
use crate::forward::{Ended, Flight, How, Waiter, Worth, code_of};
use crate::lookups::{self, Logged, Source};
use crate::{Age, Answer, Good, Name, Rcode, Rtype, Told};

pub(super) fn handle(this: &mut Resolver, now: Instant, token: Token, octets: &[u8]) {
    let Some(attempt) = this.forward.attempt(token) else { return };
    let Some((worth, good)) = reading::read(attempt, octets, &this.settings) else { return };
    let Some(ended) = this.forward.came(now, token, worth, &mut this.effects) else { return };
    match (ended.how, good) {
        (How::Answered { by, server }, Some(good)) => {
            if good.answer.code() == Rcode::NXDOMAIN {
                this.forward.upstreams.count_no_such_name(server);
            }
            answered(this, now, ended.flight, by, good);
        }
        _ => failed(this, now, ended),
    }
}

pub(super) fn unreachable(this: &mut Resolver, now: Instant, token: Token) {
    let worth = Worth::Failed(Failure::Unreachable);
    if let Some(ended) = this.forward.came(now, token, worth, &mut this.effects) {
        failed(this, now, ended);
    }
}

fn answered(this: &mut Resolver, now: Instant, flight: Flight, by: SocketAddr, good: Good) {
    if let Some(address) = good.rebind
        && this.rebind_warned.lets(now)
    {
        this.effects.push_back(rebind_warning(&flight.question.name, address, by));
    }
    let answer = good.answer;
    let told = Told { age: Age::Fresh(0), max_ttl: this.settings.cache.max_told_ttl, rotation: 0 };
    let millis = (now - flight.began).as_millis().try_into().unwrap_or(u32::MAX);
    for waiter in &flight.waiters {
        answer.write(&waiter.asked, &this.limits(&waiter.client), &told, &mut this.reply);
        if this.settings.log {
            this.log_answer(waiter.serial, &waiter.client, &answer, &Source::Upstream);
        }
        if this.watched.is_watched(now, waiter.client.address.ip()) {
            this.told(now, &flight, waiter, lookups::outcome(&answer, Some(by), millis));
        }
        this.effects.push_back(Effect::Reply { to: waiter.client, octets: this.reply.clone() });
    }
    // Without recursion a server tells what it happens to know, which need not be all.
    if let Some(keep) = good.keep.filter(|_| flight.recursion_desired()) {
        this.cache.insert(now, &flight.key(), answer, keep);
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

fn rebind_warning(name: &Name, address: IpAddr, by: SocketAddr) -> Effect {
    Effect::Warn {
        text: format!(
            "{by} says that {name} has the private address {address}: perhaps an attack on browsers, not passed on"
        ),
        fix: format!("if it is meant to be so, except the domain: rebind-domain-ok=/{name}/"),
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

    /// A line for every record of an answer.
    pub(super) fn log_answer(&mut self, serial: u64, client: &Client, answer: &Answer, source: &Source) {
        for (name, says) in answer.says() {
            self.log(serial, client, Logged::Answer { name, says, source: source.clone() });
        }
    }
}
