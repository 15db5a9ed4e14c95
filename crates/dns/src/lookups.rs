//! What machines look up: for the journal of a boot, and for the query log.

mod watched;

use std::net::{IpAddr, SocketAddr};

use domain::base::iana::Rcode as Code;
use domain::base::name::ToName;
use domain::base::{Message, RecordData};
use domain::rdata::AllRecordData;

use crate::resolver::Outcome;
use crate::{Name, Rcode, Rtype};

pub(crate) use watched::Watched;

/// A line of the query log. `serial` counts queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub serial: u64,
    pub client: SocketAddr,
    pub what: Logged,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    Query {
        name: Name,
        kind: Rtype,
    },
    Forwarded {
        name: Name,
        to: SocketAddr,
    },
    /// One record of an answer, and where it comes from. `name`: of the record; that of the end of a chain of CNAMEs for
    /// what the chain does not lead to. A PTR record of [`crate::Settings`] that says so itself is a [`Says::Kind`].
    Answer {
        name: Name,
        says: Says,
        source: Source,
    },
    /// A server answered with this code; or we do (`by` is `None`), as there is none to ask or the client may not.
    Failed {
        name: Name,
        code: Rcode,
        by: Option<SocketAddr>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    Address(IpAddr),
    Name(Name),
    Cname,
    /// One string of a TXT record.
    Text(Vec<u8>),
    /// A record that is not shown in full.
    Kind(Rtype),
    NoData(Rtype),
    NoSuchName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Upstream,
    Cached,
    Stale,
    Configuration,
    Lease,
    /// The path of a hosts file.
    Hosts(String),
}

type Data<'a> = AllRecordData<&'a [u8], domain::base::name::ParsedName<&'a [u8]>>;

/// Where a reply has what it tells from, for the log and the journal.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub source: Source,
    /// The server that says so; `None`: it was known.
    pub by: Option<SocketAddr>,
    /// From the query to the reply.
    pub millis: u32,
}

impl Told {
    pub fn known(source: Source) -> Told {
        Told { source, by: None, millis: 0 }
    }
}

/// The question of a reply of ours.
pub(crate) fn question(reply: &[u8]) -> Option<(Name, Rtype)> {
    let question = Message::from_slice(reply).ok()?.sole_question().ok()?;
    Some((name(question.qname())?, question.qtype()))
}

/// How a look-up ended, by the reply of ours that tells it.
pub(crate) fn outcome(reply: &[u8], told: &Told) -> Outcome {
    let by = told.by;
    let Some((code, kind)) = head(reply) else { return Outcome::Refused { code: Rcode::FORMERR, by } };
    match code {
        Code::NXDOMAIN => Outcome::NoSuchName { by },
        Code::NOERROR => {
            let wanted = |data: &Data<'_>| kind == Rtype::ANY || data.rtype() == kind;
            let answers = answers(reply).filter(|(_, data)| wanted(data)).map(|(_, data)| text(&data)).collect();
            let local = !matches!(told.source, Source::Upstream | Source::Cached | Source::Stale);
            Outcome::Found { answers, local, millis: told.millis }
        }
        code => Outcome::Refused { code, by },
    }
}

/// What the log says of a reply: every record of its answer, or why there is none.
pub(crate) fn lines(reply: &[u8], source: &Source) -> Vec<Logged> {
    let (Some((code, kind)), Some((mut end, _))) = (head(reply), question(reply)) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut told = false;
    for (owner, data) in answers(reply) {
        match &data {
            Data::Cname(target) if kind != Rtype::CNAME => end = name(target.cname()).unwrap_or(end),
            // Signatures go along with what they sign.
            Data::Rrsig(_) if kind != Rtype::RRSIG => continue,
            _ => told = true,
        }
        let says = match &data {
            // What the configuration says itself need not be told again.
            Data::Txt(_) if *source == Source::Configuration => vec![Says::Kind(Rtype::TXT)],
            data => says(data),
        };
        lines.extend(says.into_iter().map(|says| (owner.clone(), says)));
    }
    match code {
        Code::NXDOMAIN => lines.push((end, Says::NoSuchName)),
        Code::NOERROR if !told => lines.push((end, Says::NoData(kind))),
        Code::NOERROR => {}
        code => return vec![Logged::Failed { name: end, code, by: None }],
    }
    lines.into_iter().map(|(name, says)| Logged::Answer { name, says, source: source.clone() }).collect()
}

/// The reply's code and the type that was asked for.
fn head(reply: &[u8]) -> Option<(Code, Rtype)> {
    let message = Message::from_slice(reply).ok()?;
    Some((message.header().rcode(), message.sole_question().ok()?.qtype()))
}

fn answers(reply: &[u8]) -> impl Iterator<Item = (Name, Data<'_>)> {
    let section = Message::from_slice(reply).ok().and_then(|message| message.answer().ok());
    section.into_iter().flat_map(|section| section.limit_to::<Data<'_>>()).filter_map(|record| {
        let record = record.ok()?;
        Some((name(record.owner())?, record.into_data()))
    })
}

fn says(data: &Data<'_>) -> Vec<Says> {
    match data {
        Data::A(a) => vec![Says::Address(a.addr().into())],
        Data::Aaaa(aaaa) => vec![Says::Address(aaaa.addr().into())],
        Data::Cname(_) => vec![Says::Cname],
        Data::Ptr(ptr) => name(ptr.ptrdname()).map(Says::Name).into_iter().collect(),
        Data::Txt(txt) => txt.iter().map(|text| Says::Text(text.to_vec())).collect(),
        other => vec![Says::Kind(other.rtype())],
    }
}

/// As in zone files, names without the dot at their end.
fn text(data: &Data<'_>) -> String {
    let plain = match data {
        Data::Cname(cname) => name(cname.cname()),
        Data::Ptr(ptr) => name(ptr.ptrdname()),
        _ => None,
    };
    plain.map_or_else(|| data.to_string(), |name| name.to_string())
}

fn name(name: impl ToName) -> Option<Name> {
    Name::from_wire(name.to_name::<Vec<u8>>().as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;
    use crate::testing::asked;
    use crate::{Limits, Reply, Section, Transport};

    fn reply(kind: Rtype, code: Rcode, records: &[(&str, record::Data)]) -> Vec<u8> {
        let mut out = Vec::new();
        let limits = Limits { transport: Transport::Udp, payload: 1232 };
        let mut reply = Reply::start(&asked("www.test", kind, None), &limits, &mut out);
        reply.code(code);
        for (owner, data) in records {
            reply.push(Section::Answer, &owner.parse().unwrap(), data, 60);
        }
        reply.finish();
        out
    }

    fn shown(reply: &[u8]) -> Vec<String> {
        let line = |logged| match logged {
            Logged::Answer { name, says, .. } => format!("{name} {says:?}"),
            other => format!("{other:?}"),
        };
        lines(reply, &Source::Upstream).into_iter().map(line).collect()
    }

    #[test]
    fn every_record_has_a_line_and_so_has_their_absence() {
        let cname = ("www.test", record::Data::Cname("host.test".parse().unwrap()));
        let a = ("host.test", record::Data::A([192, 0, 2, 7].into()));
        let both = reply(Rtype::A, Rcode::NOERROR, &[cname.clone(), a]);
        assert_eq!(shown(&both), ["www.test Cname", "host.test Address(192.0.2.7)"]);
        let told = Told { source: Source::Upstream, by: None, millis: 7 };
        let found = Outcome::Found { answers: vec!["192.0.2.7".to_owned()], local: false, millis: 7 };
        assert_eq!(outcome(&both, &told), found);
        assert_eq!(question(&both), Some(("www.test".parse().unwrap(), Rtype::A)));
        let half = reply(Rtype::AAAA, Rcode::NOERROR, std::slice::from_ref(&cname));
        assert_eq!(shown(&half), ["www.test Cname", "host.test NoData(Rtype::AAAA)"]);
        assert_eq!(shown(&reply(Rtype::A, Rcode::NXDOMAIN, &[])), ["www.test NoSuchName"]);
        assert_eq!(shown(&reply(Rtype::CNAME, Rcode::NOERROR, &[cname])), ["www.test Cname"]);
    }

    #[test]
    fn text_of_the_configuration_is_not_told_again() {
        let strings = ("www.test", record::Data::Txt(vec![b"one".as_slice().into(), b"two".as_slice().into()]));
        let reply = reply(Rtype::TXT, Rcode::NOERROR, &[strings]);
        assert_eq!(shown(&reply).len(), 2);
        let [Logged::Answer { says, .. }] = &lines(&reply, &Source::Configuration)[..] else { panic!("one line") };
        assert_eq!(*says, Says::Kind(Rtype::TXT));
    }
}
