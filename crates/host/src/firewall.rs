//! Other people's packet filters: read, never changed, so that what they would drop can be said beforehand.

use std::fmt;
use std::fs;

use crate::nat::{header, kind};
use crate::netlink::{Attributes, Netlink, NetlinkError, attributes, text_of};

/// An nf_tables chain, in whatever table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub family: Family,
    pub table: String,
    pub name: String,
    /// `None`: not a base chain, only jumped to.
    pub hook: Option<Hook>,
    /// What no rule accepts is dropped.
    pub drops: bool,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ip,
    Inet,
    Bridge,
    Other(u8),
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Family::Ip => f.write_str("ip"),
            Family::Inet => f.write_str("inet"),
            Family::Bridge => f.write_str("bridge"),
            Family::Other(number) => write!(f, "family {number}"),
        }
    }
}

/// Where in a packet's way a base chain sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Input,
    Forward,
    Other(u32),
}

/// Who keeps a packet filter, told by the names that they give their chains and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    Docker,
    Ufw,
    Firewalld,
    Unknown,
}

/// Every chain that we may see. Without the right to look, or without nf_tables in the kernel, none.
pub(crate) fn chains() -> Vec<Chain> {
    read_chains().unwrap_or_default()
}

fn read_chains() -> Result<Vec<Chain>, NetlinkError> {
    let mut socket = Netlink::open(libc::NETLINK_NETFILTER)?;
    let replies = socket.dump(kind(libc::NFT_MSG_GETCHAIN), &Attributes::after(&header(0)))?;
    Ok(replies.iter().filter_map(|reply| parse_chain(&reply.body)).collect())
}

fn parse_chain(body: &[u8]) -> Option<Chain> {
    // NFTA_CHAIN_*
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    let family = match body.first()? {
        2 => Family::Ip,
        1 => Family::Inet,
        7 => Family::Bridge,
        other => Family::Other(*other),
    };
    let mut chain = Chain { family, table: String::new(), name: String::new(), hook: None, drops: false };
    for (kind, value) in attributes(body.get(4..)?) {
        match kind {
            TABLE => chain.table = text_of(value),
            NAME => chain.name = text_of(value),
            HOOK => chain.hook = attributes(value).find(|(kind, _)| *kind == 1).and_then(|(_, number)| hook_of(number)),
            POLICY => chain.drops = be32(value) == Some(libc::NF_DROP as u32),
            _ => {}
        }
    }
    Some(chain)
}

fn hook_of(number: &[u8]) -> Option<Hook> {
    Some(match be32(number)? {
        1 => Hook::Input,
        2 => Hook::Forward,
        other => Hook::Other(other),
    })
}

fn be32(octets: &[u8]) -> Option<u32> {
    octets.try_into().ok().map(u32::from_be_bytes)
}

/// Who keeps the table that `chain` is in.
pub(crate) fn keeper(chain: &Chain, chains: &[Chain]) -> Keeper {
    let neighbours = || chains.iter().filter(|other| other.family == chain.family && other.table == chain.table);
    if chain.table == "firewalld" {
        Keeper::Firewalld
    } else if neighbours().any(|other| other.name == "DOCKER-USER") {
        Keeper::Docker
    } else if neighbours().any(|other| other.name.starts_with("ufw-")) {
        Keeper::Ufw
    } else {
        Keeper::Unknown
    }
}

/// Whether the old iptables modules hold a filter table, which nobody can list without the old program.
pub(crate) fn has_legacy_filter() -> bool {
    let names = fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
    names.lines().any(|table| table == "filter")
}

/// Whether frames between two ports of a bridge pass through iptables as if they were routed.
pub(crate) fn bridge_calls_iptables() -> bool {
    fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables").is_ok_and(|value| value.trim() == "1")
}
