//! What machines look up: for the journal of a boot, and for the query log.

use std::net::{IpAddr, SocketAddr};

use crate::{Name, Rcode, Rtype};

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
