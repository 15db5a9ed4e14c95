//! A client's query on its way: known here, decided here, kept, or asked for.

use std::net::IpAddr;
use std::time::Instant;

use super::refusing::{self, Why};
use super::{Client, Handled, Outcome, Resolver};
use crate::forward::{Joined, Wanted};
use crate::lookups::{self, Logged, Says, Source};
use crate::routes::{self, Way};
use crate::settings::Forwarding;
use crate::{Age, Class, Data, Limits, Name, Query, Rcode, Reply, Rtype, Section, Told};

/// What is said without asking anybody.
enum Ours {
    Records(Vec<Data>),
    NoSuchName,
    NoData,
    Refused(Rcode, Why),
}

pub(super) fn handle(this: &mut Resolver, now: Instant, client: &Client, octets: &[u8], out: &mut Vec<u8>) -> Handled {
    out.clear();
    let query = match Query::parse(octets) {
        Ok(query) => query,
        Err(no) => {
            no.reply(octets, this.settings.forward.edns_max, out);
            return if out.is_empty() { Handled::Dropped } else { Handled::Reply };
        }
    };
    this.serial += 1;
    if this.settings.log {
        let what = Logged::Query { name: name_of(&query), kind: query.kind };
        this.log(this.serial, client, what);
    }
    if this.settings.forward.detect_loops && this.forward.came_back(query.name(), query.kind, &mut this.effects) {
        return Handled::Dropped;
    }
    if let Some(why) = unsupported(query.kind) {
        return ours(this, now, client, &query, Ours::Refused(Rcode::NOTIMP, why), out);
    }
    let (name, kind) = (query.name(), query.kind);
    let way = this.routes.way(name, kind, || false);
    let (among, named) = match way {
        Way::Servers { among, named } => (among, named),
        Way::Addresses { v4, v6 } => {
            let records = v4.iter().copied().map(Data::A).chain(v6.iter().copied().map(Data::Aaaa)).collect();
            return ours(this, now, client, &query, Ours::Records(records), out);
        }
        Way::NoSuchName => return ours(this, now, client, &query, Ours::NoSuchName, out),
        Way::NoData => return ours(this, now, client, &query, Ours::NoData, out),
    };
    if let Some(decided) = kept_here(&this.settings.forward, &query, named) {
        return ours(this, now, client, &query, decided, out);
    }
    let wanted = Wanted { key: query.key(), recursion_desired: query.asked.recursion_desired, among };
    let limits = Limits { transport: client.transport, payload: this.settings.forward.edns_max };
    if let Some(hit) = this.cache.get(now, &wanted.key) {
        let rotation = if this.settings.local.keep_order { 0 } else { this.serial as usize };
        let told = Told { age: hit.age, max_ttl: this.settings.cache.max_told_ttl, rotation };
        hit.answer.write(&query.asked, &limits, &told, out);
        let stale = hit.age == Age::Stale;
        this.counts.locally += 1;
        this.counts.stale += u64::from(stale);
        if stale {
            // Nobody waits: should nothing come of it, the next one who asks tries again.
            this.forward.ask(now, &wanted, None, &mut this.effects);
        }
        if this.settings.log || this.watched.is_watched(now, client.address.ip()) {
            told_from_cache(this, now, client, &query, stale);
        }
        return Handled::Reply;
    }
    match this.forward.ask(now, &wanted, Some((client, &query.asked, this.serial)), &mut this.effects) {
        Joined::Waits => Handled::Waits,
        Joined::Repeated => Handled::Dropped,
        Joined::Full => ours(this, now, client, &query, Ours::Refused(Rcode::REFUSED, refusing::TOO_MANY), out),
        Joined::NoServer => ours(this, now, client, &query, Ours::Refused(Rcode::REFUSED, refusing::NO_SERVER), out),
    }
}

/// Tells the log and the journal of an answer that was kept.
fn told_from_cache(this: &mut Resolver, now: Instant, client: &Client, query: &Query<'_>, stale: bool) {
    let Some(hit) = this.cache.get(now, &query.key()) else { return };
    let (says, outcome) = (hit.answer.says(), lookups::outcome(hit.answer, None, 0));
    if this.settings.log {
        let source = if stale { Source::Stale } else { Source::Cached };
        for (name, says) in says {
            this.log(this.serial, client, Logged::Answer { name, says, source: source.clone() });
        }
    }
    this.looked_up(now, client.address.ip(), &name_of(query), query.kind, outcome);
}

/// Gives a reply of our own.
fn ours(
    this: &mut Resolver,
    now: Instant,
    client: &Client,
    query: &Query<'_>,
    said: Ours,
    out: &mut Vec<u8>,
) -> Handled {
    let limits = this.limits(client);
    let (code, why) = match &said {
        Ours::Records(records) => {
            let mut reply = Reply::start(&query.asked, &limits, out);
            reply.authoritative();
            for data in records {
                reply.push_wire(Section::Answer, query.name(), data, this.settings.local.ttl);
            }
            reply.finish();
            (Rcode::NOERROR, None)
        }
        Ours::NoSuchName => (Rcode::NXDOMAIN, None),
        Ours::NoData => (Rcode::NOERROR, None),
        Ours::Refused(code, why) => (*code, Some(*why)),
    };
    if !matches!(said, Ours::Records(_)) {
        refusing::write(&query.asked, &limits, code, why, out);
    }
    this.counts.locally += u64::from(why.is_none());
    if this.settings.log || this.watched.is_watched(now, client.address.ip()) {
        told_ours(this, now, client, query, said, code);
    }
    Handled::Reply
}

/// Tells the log and the journal of a reply of our own.
fn told_ours(this: &mut Resolver, now: Instant, client: &Client, query: &Query<'_>, said: Ours, code: Rcode) {
    let name = name_of(query);
    if this.settings.log {
        let answer = |says| Logged::Answer { name: name.clone(), says, source: Source::Configuration };
        let lines: Vec<Logged> = match &said {
            Ours::Records(records) => {
                records.iter().filter_map(|data| Some(answer(Says::Address(address(data)?)))).collect()
            }
            Ours::NoSuchName => vec![answer(Says::NoSuchName)],
            Ours::NoData => vec![answer(Says::NoData(query.kind))],
            Ours::Refused(code, _) => vec![Logged::Failed { name: name.clone(), code: *code, by: None }],
        };
        lines.into_iter().for_each(|what| this.log(this.serial, client, what));
    }
    let found = |answers| Outcome::Found { answers, local: true, millis: 0 };
    let outcome = match said {
        Ours::Records(records) => found(records.iter().filter_map(|data| Some(address(data)?.to_string())).collect()),
        Ours::NoSuchName => Outcome::NoSuchName { by: None },
        Ours::NoData => found(Vec::new()),
        Ours::Refused(_, refusing::NO_SERVER) => Outcome::NoServer,
        Ours::Refused(..) => Outcome::Refused { code, by: None },
    };
    this.looked_up(now, client.address.ip(), &name, query.kind, outcome);
}

fn address(data: &Data) -> Option<IpAddr> {
    match data {
        Data::A(v4) => Some((*v4).into()),
        Data::Aaaa(v6) => Some((*v6).into()),
        _ => None,
    }
}

pub(super) fn name_of(query: &Query<'_>) -> Name {
    Name::from_wire(query.name()).expect("a parsed name is whole")
}

/// Types that ask for something else than records of a name (RFC 6895 section 3.1).
fn unsupported(kind: Rtype) -> Option<Why> {
    let meta = matches!(kind, Rtype::AXFR | Rtype::IXFR | Rtype::OPT | Rtype::TSIG | Rtype::TKEY);
    meta.then_some(refusing::NOT_SUPPORTED)
}

/// What is not asked of servers that answer for every name. `named`: these answer for a domain of the name's.
fn kept_here(settings: &Forwarding, query: &Query<'_>, named: bool) -> Option<Ours> {
    let (name, kind) = (query.name(), query.kind);
    if query.class != Class::IN {
        return None;
    }
    let addresses = matches!(kind, Rtype::A | Rtype::AAAA);
    if kind == Rtype::MAILB {
        return Some(Ours::NoSuchName);
    }
    if settings.filter_windows && of_windows(name, kind) {
        return Some(Ours::NoData);
    }
    if named {
        return None;
    }
    let private = settings.bogus_priv && crate::private::is_reverse_of_private(name);
    let plain = settings.domain_needed && addresses && routes::is_plain(name);
    (private || plain).then_some(Ours::NoSuchName)
}

/// What Windows asks over and over, which keeps dial-up lines open.
fn of_windows(name: &[u8], kind: Rtype) -> bool {
    matches!(kind, Rtype::SOA | Rtype::SRV) || (kind == Rtype::ANY && name.contains(&b'_'))
}
