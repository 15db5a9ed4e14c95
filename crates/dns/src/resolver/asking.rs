//! A client's query on its way: known here, decided here, kept, or asked for.

use std::sync::Arc;
use std::time::Instant;

use super::answering;
use super::leading;
use super::refusing::{self, Why};
use super::{Client, Exists, Handled, Outcome, Resolver};
use crate::answer;
use crate::forward::{Alias, Joined, Waiter, Wanted};
use crate::local::chaos::{self, Chaos};
use crate::local::{Found, View};
use crate::lookups::{Logged, Source, Told};
use crate::query::Asked;
use crate::record::Said;
use crate::routes::{self, Way};
use crate::settings::Forwarding;
use crate::{Age, Class, Data, Limits, Name, Query, Rcode, Reply, Rtype, Section};

/// A query with who asks, and what is known of it so far.
pub(super) struct Asking<'a> {
    pub now: Instant,
    pub client: &'a Client,
    pub query: Query<'a>,
    pub limits: Limits,
    /// Something else of this name is known here: it is not denied.
    pub exists: bool,
}

/// What is said without asking anybody.
#[derive(Debug)]
pub(super) enum Ours {
    Records(Vec<Data>),
    NoSuchName { authoritative: bool },
    NoData { authoritative: bool },
    Refused(Rcode, Why),
}

pub(super) fn handle(this: &mut Resolver, now: Instant, client: &Client, octets: &[u8], out: &mut Vec<u8>) -> Handled {
    out.clear();
    let limits = this.limits(client);
    let query = match Query::parse(octets) {
        Ok(query) => query,
        Err(no) => {
            no.reply(octets, limits.payload, out);
            return if out.is_empty() { Handled::Dropped } else { Handled::Reply };
        }
    };
    this.serial += 1;
    if this.settings.log {
        let what = Logged::Query { name: name_of(&query), kind: query.kind };
        this.log(client, this.serial, what);
    }
    if this.settings.forward.detect_loops && this.forward.came_back(query.name(), query.kind, &mut this.effects) {
        return Handled::Dropped;
    }
    let mut asking = Asking { now, client, query, limits, exists: false };
    if let Some(handled) = known(this, &mut asking, out) {
        return handled;
    }
    match decided(this, &asking) {
        Ok(among) => kept_or_asked(this, &asking, &among, out),
        Err(said) => ours(this, &asking, said, out),
    }
}

/// Answers from local data, as far as there is any.
fn known(this: &mut Resolver, asking: &mut Asking<'_>, out: &mut Vec<u8>) -> Option<Handled> {
    let Asking { now, client, ref query, ref limits, .. } = *asking;
    if query.class != Class::IN {
        return (query.class == Class::CH && of_ourselves(this, asking, out)).then_some(Handled::Reply);
    }
    let is_told = this.is_told(now, client);
    let (mut source, mut aliases) = (None, Vec::new());
    let view = View { now, local: client.local, interface: client.interface };
    let mut reply = Reply::start(&query.asked, limits, out);
    let found = this.names.look_up(query.name(), query.kind, &view, |told| {
        let section = if told.additional { Section::Additional } else { Section::Answer };
        reply.push_wire(section, told.owner, told.says, told.ttl);
        if let Said::Cname(target) = told.says {
            aliases.push(Alias { target: target.clone(), ttl: told.ttl });
        }
        if is_told && source.is_none() {
            source = Some(Source::from(told.origin));
        }
    });
    asking.exists = found == Found::NoData;
    let leads_on = match found {
        Found::Told => false,
        Found::LeadsTo(_) => query.kind != Rtype::ANY,
        Found::NoData | Found::Unknown => return None,
    };
    reply.authoritative();
    reply.finish();
    if leads_on && let Some(handled) = leading::follow(this, asking, aliases, out) {
        return Some(handled);
    }
    this.counts.locally += 1;
    if is_told {
        this.tell(now, client, this.serial, out, &Told::known(source.unwrap_or(Source::Configuration)));
    }
    Some(Handled::Reply)
}

/// Answers what is asked of us in class CH, if it is.
fn of_ourselves(this: &mut Resolver, asking: &Asking<'_>, out: &mut Vec<u8>) -> bool {
    let query = &asking.query;
    let mut reply = match chaos::answer(query.name(), query.kind, this.settings.local.identify, &this.statistics()) {
        Chaos::Unknown => return false,
        Chaos::NotImplemented => {
            refusing::write(&query.asked, &asking.limits, Rcode::NOTIMP, None, out);
            return true;
        }
        Chaos::Text(strings) => {
            let mut reply = Reply::start(&query.asked, &asking.limits, out);
            reply.push_wire(Section::Answer, query.name(), &Data::Txt(strings), 0);
            reply
        }
    };
    reply.authoritative();
    reply.finish();
    true
}

/// Which servers are to be asked, or what we say ourselves.
pub(super) fn decided(this: &mut Resolver, asking: &Asking<'_>) -> Result<Arc<[routes::Index]>, Ours> {
    let query = &asking.query;
    if is_unsupported(query.kind) {
        return Err(Ours::Refused(Rcode::NOTIMP, refusing::NOT_SUPPORTED));
    }
    let (names, now) = (&mut this.names, asking.now);
    let way = this.routes.way(query.name(), query.kind, || asking.exists || names.exists(now, query.name()));
    let (among, named) = match way {
        Way::Servers { among, named } => (among.clone(), named),
        Way::Addresses { v4, v6 } => {
            let v4 = v4.iter().copied().map(Data::A);
            return Err(Ours::Records(v4.chain(v6.iter().copied().map(Data::Aaaa)).collect()));
        }
        Way::NoSuchName => return Err(Ours::NoSuchName { authoritative: false }),
        Way::NoData => return Err(Ours::NoData { authoritative: false }),
    };
    match stays_here(&this.settings.forward, query, named) {
        Some(Ours::NoSuchName { authoritative }) if asking.exists || this.names.exists(now, query.name()) => {
            Err(Ours::NoData { authoritative })
        }
        Some(said) => Err(said),
        None => Ok(among),
    }
}

/// Answers from the cache, or asks servers.
fn kept_or_asked(this: &mut Resolver, asking: &Asking<'_>, among: &[routes::Index], out: &mut Vec<u8>) -> Handled {
    let Asking { now, client, ref query, exists, .. } = *asking;
    let wanted = Wanted { key: query.key(), recursion_desired: query.asked.recursion_desired, among };
    if kept(this, asking, &wanted, &query.asked, &[], out) {
        return Handled::Reply;
    }
    match this.forward.ask(now, &wanted, Some(Waiter::new(client, &query.asked, this.serial)), &mut this.effects) {
        Joined::Waits => Handled::Waits,
        Joined::Repeated => Handled::Dropped,
        Joined::NoServer if exists || this.exists(now, query.name(), query.class) == Exists::Here => {
            ours(this, asking, Ours::NoData { authoritative: false }, out)
        }
        Joined::NoServer => ours(this, asking, Ours::Refused(Rcode::REFUSED, refusing::NO_SERVER), out),
        Joined::Full => ours(this, asking, Ours::Refused(Rcode::REFUSED, refusing::TOO_MANY), out),
        Joined::Failed(failures) => {
            answering::failed_before(this, asking, &query.asked, &failures, out);
            Handled::Reply
        }
    }
}

/// Answers what a client `asked` from the cache, if it has what is `wanted`, to which `aliases` of ours lead. `asking`: for that.
pub(super) fn kept(
    this: &mut Resolver,
    asking: &Asking<'_>,
    wanted: &Wanted<'_>,
    asked: &Asked<&[u8]>,
    aliases: &[Alias],
    out: &mut Vec<u8>,
) -> bool {
    let Asking { now, client, ref limits, exists, .. } = *asking;
    let Some(hit) = this.cache.get(now, &wanted.key) else { return false };
    let rotation = if this.settings.local.keep_order { 0 } else { this.serial as usize };
    let stale = hit.age == Age::Stale;
    let (why, max_ttl) = (stale.then_some(answer::STALE), this.settings.cache.max_told_ttl);
    let told = crate::Told { age: hit.age, max_ttl, rotation, why };
    match aliases {
        [] => hit.answer.write(asked, limits, &told, out),
        aliases => leading::write(aliases, asked, &hit.answer, limits, &told, out),
    }
    if hit.answer.code() == Rcode::NXDOMAIN {
        let exists = if exists { Exists::Here } else { this.exists(now, wanted.key.name, wanted.key.class) };
        refusing::undeny(exists, out);
    }
    this.counts.locally += 1;
    if stale {
        this.counts.stale += 1;
        // Nobody waits: should nothing come of it, the next one who asks tries again.
        this.forward.ask(now, wanted, None, &mut this.effects);
    }
    if this.is_told(now, client) {
        let source = if stale { Source::Stale } else { Source::Cached };
        this.tell(now, client, this.serial, out, &Told::known(source));
    }
    true
}

/// Gives a reply of our own.
fn ours(this: &mut Resolver, asking: &Asking<'_>, said: Ours, out: &mut Vec<u8>) -> Handled {
    let Asking { now, client, ref query, ref limits, .. } = *asking;
    match &said {
        Ours::Records(records) => {
            let mut reply = Reply::start(&query.asked, limits, out);
            reply.authoritative();
            records
                .iter()
                .for_each(|data| reply.push_wire(Section::Answer, query.name(), data, this.settings.local.ttl));
            reply.finish();
        }
        Ours::NoSuchName { authoritative } => {
            refusing::deny(&query.asked, limits, Rcode::NXDOMAIN, *authoritative, out)
        }
        Ours::NoData { authoritative } => refusing::deny(&query.asked, limits, Rcode::NOERROR, *authoritative, out),
        Ours::Refused(code, why) => refusing::write(&query.asked, limits, *code, Some(*why), out),
    }
    this.counts.locally += u64::from(!matches!(said, Ours::Refused(..)));
    match said {
        _ if !this.is_told(now, client) => {}
        Ours::Refused(code, refusing::NO_SERVER) => {
            let name = name_of(query);
            this.log(client, this.serial, Logged::Failed { name: name.clone(), code, by: None });
            this.looked_up(now, client, &name, query.kind, Outcome::NoServer);
        }
        _ => this.tell(now, client, this.serial, out, &Told::known(Source::Configuration)),
    }
    Handled::Reply
}

fn name_of(query: &Query<'_>) -> Name {
    Name::from_wire(query.name()).expect("a parsed name is whole")
}

/// Types that ask for something else than records of a name (RFC 6895 section 3.1).
fn is_unsupported(kind: Rtype) -> bool {
    matches!(kind, Rtype::AXFR | Rtype::IXFR | Rtype::OPT | Rtype::TSIG | Rtype::TKEY)
}

/// What is not asked of servers that answer for every name. `named`: these answer for a domain of the name's.
fn stays_here(settings: &Forwarding, query: &Query<'_>, named: bool) -> Option<Ours> {
    let (name, kind) = (query.name(), query.kind);
    if query.class != Class::IN {
        return None;
    }
    if kind == Rtype::MAILB {
        return Some(Ours::NoSuchName { authoritative: true });
    }
    if settings.filter_windows && is_of_windows(name, kind) {
        return Some(Ours::NoData { authoritative: true });
    }
    let private = settings.bogus_priv && crate::private::is_reverse_of_private(name);
    let plain = settings.domain_needed && matches!(kind, Rtype::A | Rtype::AAAA | Rtype::ANY) && routes::is_plain(name);
    (!named && (private || plain)).then_some(Ours::NoSuchName { authoritative: private })
}

/// What Windows asks over and over, which keeps dial-up lines open.
fn is_of_windows(name: &[u8], kind: Rtype) -> bool {
    matches!(kind, Rtype::SOA | Rtype::SRV) || (kind == Rtype::ANY && name.contains(&b'_'))
}
