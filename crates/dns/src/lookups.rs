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

/// How a look-up ended, by the reply of ours that tells it. `by`: the server that says so; `None`: we do, `millis`
/// milliseconds after the query.
pub(crate) fn outcome(reply: &[u8], by: Option<SocketAddr>, millis: u32) -> Outcome {
    let Some((code, kind)) = head(reply) else { return Outcome::Refused { code: Rcode::FORMERR, by } };
    match code {
        Code::NXDOMAIN => Outcome::NoSuchName { by },
        Code::NOERROR => {
            let wanted = |data: &Data<'_>| kind == Rtype::ANY || data.rtype() == kind;
            let answers = answers(reply).filter(|(_, data)| wanted(data)).map(|(_, data)| data.to_string());
            Outcome::Found { answers: answers.collect(), local: by.is_none(), millis }
        }
        code => Outcome::Refused { code, by },
    }
}

/// What the log says of a reply: every record of its answer, or why there is none.
pub(crate) fn lines(reply: &[u8], source: &Source) -> Vec<Logged> {
    let Some((code, kind)) = head(reply) else { return Vec::new() };
    let mut end =
        Message::from_octets(reply).ok().and_then(|message| Some(message.sole_question().ok()?.qname().to_name()));
    let mut lines = Vec::new();
    let mut told = false;
    for (owner, data) in answers(reply) {
        if let Data::Cname(target) = &data {
            end = Some(target.cname().to_name::<Vec<u8>>());
        }
        told |= !matches!(data, Data::Cname(_));
        lines.extend(says(&data).into_iter().map(|says| (owner.clone(), says)));
    }
    let name = end.and_then(|end| Name::from_wire(end.as_slice()).ok()).unwrap_or_else(Name::root);
    match code {
        Code::NXDOMAIN => lines.push((name, Says::NoSuchName)),
        Code::NOERROR if !told && kind != Rtype::CNAME => lines.push((name, Says::NoData(kind))),
        Code::NOERROR => {}
        code => return vec![Logged::Failed { name, code, by: None }],
    }
    lines.into_iter().map(|(name, says)| Logged::Answer { name, says, source: source.clone() }).collect()
}

/// The reply's code and the type that was asked for.
fn head(reply: &[u8]) -> Option<(Code, Rtype)> {
    let message = Message::from_octets(reply).ok()?;
    Some((message.header().rcode(), message.sole_question().ok()?.qtype()))
}

fn answers(reply: &[u8]) -> impl Iterator<Item = (Name, Data<'_>)> {
    let section = Message::from_slice(reply).ok().and_then(|message| message.answer().ok());
    section.into_iter().flat_map(|section| section.limit_to::<Data<'_>>()).filter_map(|record| {
        let record = record.ok()?;
        let owner = Name::from_wire(record.owner().to_name::<Vec<u8>>().as_slice()).ok()?;
        Some((owner, record.into_data()))
    })
}

fn says(data: &Data<'_>) -> Vec<Says> {
    match data {
        Data::A(a) => vec![Says::Address(a.addr().into())],
        Data::Aaaa(aaaa) => vec![Says::Address(aaaa.addr().into())],
        Data::Cname(_) => vec![Says::Cname],
        Data::Ptr(ptr) => {
            Name::from_wire(ptr.ptrdname().to_name::<Vec<u8>>().as_slice()).map(Says::Name).into_iter().collect()
        }
        Data::Txt(txt) => txt.iter().map(|text| Says::Text(text.to_vec())).collect(),
        other => vec![Says::Kind(other.rtype())],
    }
}
