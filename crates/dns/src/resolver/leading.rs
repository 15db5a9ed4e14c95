//! Aliases of ours that lead to names that others know: the answer is theirs, behind our CNAMEs.

use super::asking::{Asking, Ours, decided, kept};
use super::{Handled, Resolver, answering, refusing};
use crate::forward::{Alias, Ask, Joined, Opt, Waiter, Wanted};
use crate::query::Asked;
use crate::{Answer, Data, Limits, Query, Rcode, Reply, Section};

/// Goes on to the last of `aliases`. `None`: nobody is to be asked for it, and what there is to say is in `out`.
pub(super) fn follow(
    this: &mut Resolver,
    asking: &Asking<'_>,
    aliases: Vec<Alias>,
    out: &mut Vec<u8>,
) -> Option<Handled> {
    let asked = &asking.query.asked;
    let octets = query(asking, aliases.last()?);
    let query = Query::parse(&octets).ok()?;
    let Asking { now, client, limits, .. } = *asking;
    let asking = Asking { now, client, query, limits, exists: false };
    let among = match decided(this, &asking) {
        Ok(among) => among,
        Err(said) => {
            ours(this, &aliases, asked, &limits, said, out);
            return None;
        }
    };
    let recursion_desired = asked.recursion_desired;
    let wanted = Wanted { key: asking.query.key(), recursion_desired, among: &among };
    if kept(this, &asking, &wanted, asked, &aliases, out) {
        return Some(Handled::Reply);
    }
    let waiter = Waiter { aliases, ..Waiter::new(client, asked, this.serial) };
    match this.forward.ask(now, &wanted, Some(waiter), &mut this.effects) {
        Joined::Waits => Some(Handled::Waits),
        Joined::Repeated => Some(Handled::Dropped),
        Joined::NoServer => None,
        Joined::Full => {
            refusing::write(asked, &limits, Rcode::REFUSED, Some(refusing::TOO_MANY), out);
            None
        }
        Joined::Failed(failures) => {
            answering::failed_before(this, &asking, asked, &failures, out);
            Some(Handled::Reply)
        }
    }
}

/// Puts the aliases and what they lead to into `out`, which is emptied first.
pub(super) fn write<Q: AsRef<[u8]>>(
    aliases: &[Alias],
    asked: &Asked<Q>,
    answer: &Answer<impl AsRef<[u8]>>,
    limits: &Limits,
    told: &crate::Told,
    out: &mut Vec<u8>,
) {
    let mut reply = Reply::start(asked, limits, out);
    reply.code(answer.code());
    reply.because(asked, limits, told.why.or(answer.why()));
    lead(aliases, asked, &mut reply);
    answer.append(told, &mut reply);
    reply.finish();
}

fn lead<Q: AsRef<[u8]>>(aliases: &[Alias], asked: &Asked<Q>, reply: &mut Reply<'_>) {
    let question = asked.question.as_ref();
    let name = question[..question.len() - 4].to_ascii_lowercase();
    let owners = std::iter::once(&*name).chain(aliases.iter().map(|alias| alias.target.as_wire()));
    for (owner, alias) in owners.zip(aliases) {
        reply.push_wire(Section::Answer, owner, &Data::Cname(alias.target.clone()), alias.ttl);
    }
}

/// Puts the aliases and what we say ourselves of the last one into `out`.
fn ours<Q: AsRef<[u8]>>(
    this: &Resolver,
    aliases: &[Alias],
    asked: &Asked<Q>,
    limits: &Limits,
    said: Ours,
    out: &mut Vec<u8>,
) {
    let (Some(last), ttl) = (aliases.last(), this.settings.local.ttl) else { return };
    let mut reply = Reply::start(asked, limits, out);
    reply.authoritative();
    lead(aliases, asked, &mut reply);
    match said {
        Ours::Records(records) => {
            records.iter().for_each(|data| reply.push(Section::Answer, &last.target, data, ttl));
        }
        // The code is that of the last name (RFC 6604).
        Ours::NoSuchName { .. } => reply.code(Rcode::NXDOMAIN),
        Ours::NoData { .. } | Ours::Refused(..) => {}
    }
    reply.finish();
}

/// The same query for another name.
fn query(asking: &Asking<'_>, alias: &Alias) -> Vec<u8> {
    let (query, target) = (&asking.query, alias.target.as_wire());
    let kind = query.kind.to_int().to_be_bytes();
    let class = query.class.to_int().to_be_bytes();
    let ask = Ask {
        id: query.asked.id,
        question: &[target, &kind, &class].concat(),
        recursion_desired: query.asked.recursion_desired,
        checking_disabled: query.asked.checking_disabled,
        authentic_data: false,
        edns: query.asked.edns.map(|edns| Opt { payload: edns.payload, dnssec_ok: edns.dnssec_ok, cpe_id: None }),
    };
    ask.octets()
}
