//! What machines look up: for the journal of a boot, and for the query log.

mod watched;

use std::net::{IpAddr, SocketAddr};

use crate::resolver::Outcome;
use crate::{Answer, Name, Rcode, Rtype};

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

/// How a look-up ended, by the answer that was given. `by`: the upstream server that says so; `None`: it was known here,
/// from local data or (`local` is `false`) as an answer kept. `millis`: since the query.
pub(crate) fn outcome(answer: &Answer, by: Option<SocketAddr>, millis: u32) -> Outcome {
    match answer.code() {
        Rcode::NXDOMAIN => Outcome::NoSuchName { by },
        _ => Outcome::Found { answers: answer.texts(), local: false, millis },
    }
}
