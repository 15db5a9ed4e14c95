//! What upstream servers said, on its way to those who wait for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::asking::Asking;
use super::leading;
use super::reading;
use super::refusing::{self, Why};
use super::{Client, Effect, Exists, Failure, Outcome, Resolver, Token, Transport};
use crate::forward::{Ended, Flight, How, Waiter, Worth, code_of};
use crate::lookups::{Logged, Source, Told};
use crate::query::Asked;
use crate::{Age, Good, Name, Question, Rcode, Rtype};

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
    // A name is not denied while something else of it is known here.
    let denied = answer.code() == Rcode::NXDOMAIN;
    let exists = if denied { this.exists(now, answer.name(), answer.class()) } else { Exists::Here };
    let age = crate::Told { age: Age::Fresh(0), max_ttl: this.settings.cache.max_told_ttl, rotation: 0, why: None };
    let millis = (now - flight.began).as_millis().try_into().unwrap_or(u32::MAX);
    let told = Told { source: Source::Upstream, by: Some(by), millis };
    for Waiter { client, asked, serial, aliases } in &flight.waiters {
        let mut octets = Vec::with_capacity(answer.size() + 64);
        if aliases.is_empty() {
            answer.write(asked, &this.limits(client), &age, &mut octets);
        } else {
            leading::write(aliases, asked, &answer, &this.limits(client), &age, &mut octets);
        }
        if denied {
            refusing::undeny(exists, &mut octets);
        }
        if this.is_told(now, client) {
            this.tell(now, client, *serial, &octets, &told);
        }
        this.effects.push_back(Effect::Reply { to: *client, octets });
    }
    // Without recursion a server tells what it happens to know, which need not be all.
    if !flight.recursion_desired() {
        return;
    }
    match good.keep {
        Some(keep) => this.cache.insert(now, &flight.key(), answer, keep),
        None => this.cache.forget(&flight.key()),
    }
}

/// Tells everybody who waits that nothing came of it.
pub(super) fn failed(this: &mut Resolver, now: Instant, ended: Ended) {
    let Ended { flight, failures, .. } = ended;
    let code = code_of(&failures);
    let Question { name, kind, .. } = &flight.question;
    for Waiter { client, asked, serial, aliases } in &flight.waiters {
        let mut octets = Vec::new();
        if let Some(cut) = flight.cut.as_ref().filter(|_| client.transport == Transport::Udp) {
            // Better a part of it than nothing.
            let max_ttl = this.settings.cache.max_told_ttl;
            let told = crate::Told { age: Age::Fresh(0), max_ttl, rotation: 0, why: None };
            match &**aliases {
                [] => cut.write(asked, &this.limits(client), &told, &mut octets),
                aliases => leading::write(aliases, asked, cut, &this.limits(client), &told, &mut octets),
            }
            refusing::cut(&mut octets);
            if this.is_told(now, client) {
                let millis = (now - flight.began).as_millis().try_into().unwrap_or(u32::MAX);
                this.tell(now, client, *serial, &octets, &Told { source: Source::Upstream, by: None, millis });
            }
            this.effects.push_back(Effect::Reply { to: *client, octets });
            continue;
        }
        refusing::write(asked, &this.limits(client), code, Some(why(&failures)), &mut octets);
        tell_failed(this, now, client, *serial, (name, *kind), &failures);
        this.effects.push_back(Effect::Reply { to: *client, octets });
    }
}

/// Tells a client that its question failed just now, so that nobody is asked for it again.
pub(super) fn failed_before<Q: AsRef<[u8]>>(
    this: &mut Resolver,
    asking: &Asking<'_>,
    asked: &Asked<Q>,
    failures: &[(SocketAddr, Failure)],
    out: &mut Vec<u8>,
) {
    let Asking { now, client, ref query, ref limits, .. } = *asking;
    refusing::write(asked, limits, code_of(failures), Some(why(failures)), out);
    if this.is_told(now, client) {
        let Question { name, kind, .. } = query.question();
        tell_failed(this, now, client, this.serial, (&name, kind), failures);
    }
}

fn tell_failed(
    this: &mut Resolver,
    now: Instant,
    client: &Client,
    serial: u64,
    (name, kind): (&Name, Rtype),
    failures: &[(SocketAddr, Failure)],
) {
    let code = code_of(failures);
    let by = failures.iter().rev().find(|(_, what)| *what == Failure::Said(code)).map(|(by, _)| *by);
    this.log(client, serial, Logged::Failed { name: name.clone(), code, by });
    this.looked_up(now, client, name, kind, Outcome::NoAnswer { asked: failures.to_vec() });
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
        fix: format!(
            "if it is meant to be so, except the domain: rebind_ok in [dns.filter], rebind-domain-ok=/{name}/ in the \
             dnsmasq dialect"
        ),
    }
}
