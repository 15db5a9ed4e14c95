//! Names that are known here: laid down, from hosts files, and of leases.

use std::net::Ipv4Addr;
use std::time::Instant;

use crate::Name;

/// A machine's name for as long as it has its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    /// One label.
    pub name: Name,
    pub domain: Option<Name>,
    /// `None`: never.
    pub ends: Option<Instant>,
}
