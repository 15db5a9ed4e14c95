//! Records that are laid down here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;

use crate::Name;

/// One record of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: Name,
    pub data: Data,
    /// In seconds; `None`: that of local answers.
    pub ttl: Option<u32>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name),
    Ptr(Name),
    Mx {
        preference: u16,
        target: Name,
    },
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: Name,
    },
    /// Strings of at most 255 octets each.
    Txt(Vec<Vec<u8>>),
    /// RFC 3403 section 4.
    Naptr {
        order: u16,
        preference: u16,
        flags: Vec<u8>,
        services: Vec<u8>,
        regexp: Vec<u8>,
        replacement: Name,
    },
    /// RFC 8659 section 4.
    Caa {
        flags: u8,
        tag: Vec<u8>,
        value: Vec<u8>,
    },
    /// Any other type, with its data as octets.
    Other {
        kind: Rtype,
        data: Vec<u8>,
    },
}

impl Data {
    pub fn kind(&self) -> Rtype {
        match self {
            Data::A(_) => Rtype::A,
            Data::Aaaa(_) => Rtype::AAAA,
            Data::Cname(_) => Rtype::CNAME,
            Data::Ptr(_) => Rtype::PTR,
            Data::Mx { .. } => Rtype::MX,
            Data::Srv { .. } => Rtype::SRV,
            Data::Txt(_) => Rtype::TXT,
            Data::Naptr { .. } => Rtype::NAPTR,
            Data::Caa { .. } => Rtype::CAA,
            Data::Other { kind, .. } => *kind,
        }
    }

    /// The machine whose addresses help those who ask for this record (RFC 1035 section 3.3.9, RFC 2782).
    pub fn target(&self) -> Option<&Name> {
        match self {
            Data::Mx { target, .. } | Data::Srv { target, .. } => Some(target),
            _ => None,
        }
    }
}

/// What a record says, wherever that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    Address(IpAddr),
    Cname(&'a Name),
    Ptr(&'a Name),
    Data(&'a Data),
}

impl Said<'_> {
    pub fn kind(&self) -> Rtype {
        match self {
            Said::Address(IpAddr::V4(_)) => Rtype::A,
            Said::Address(IpAddr::V6(_)) => Rtype::AAAA,
            Said::Cname(_) => Rtype::CNAME,
            Said::Ptr(_) => Rtype::PTR,
            Said::Data(data) => data.kind(),
        }
    }
}

impl<'a> From<&'a Data> for Said<'a> {
    fn from(data: &'a Data) -> Said<'a> {
        match data {
            Data::A(v4) => Said::Address((*v4).into()),
            Data::Aaaa(v6) => Said::Address((*v6).into()),
            Data::Cname(name) => Said::Cname(name),
            Data::Ptr(name) => Said::Ptr(name),
            other => Said::Data(other),
        }
    }
}
