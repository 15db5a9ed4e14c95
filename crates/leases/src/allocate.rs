//! Which free address to try next for a client. Pure: the caller probes, holds and commits.

use std::net::Ipv4Addr;
use std::time::Instant;

use mac::Mac;

use crate::holds::Holds;
use crate::record::{ClientKey, UnixSecs};
use crate::runs::Runs;
use crate::table::Table;

/// Where to look for an address that nobody had yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The lowest.
    #[default]
    Sequential,
    /// From a place given by a hash of the MAC, so that a machine tends to get the same address even without a record.
    Hashed,
}

/// The addresses that may be allocated.
#[derive(Clone, Debug)]
pub struct Pool {
    ranges: Vec<(u32, u32)>,
    excluded: Runs,
    strategy: Strategy,
}

/// Who asks for an address.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub key: &'a ClientKey,
    pub mac: Mac,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
}

/// Now, by both clocks: leases end by the wall's, holds by the running one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub wall: UnixSecs,
    pub running: Instant,
}

/// An address to try, and why this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub address: Ipv4Addr,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The client has it, or had it last.
    Own,
    /// It is being offered to this client already.
    Offered,
    /// The client asked for it (option 50).
    Requested,
    /// Nobody had it yet.
    Unused,
    /// All were in use once; this one has been free for longest.
    Reused,
}

impl Pool {
    /// `ranges`: inclusive, disjoint, in ascending order. `excluded`: addresses in them that are never allocated, such as
    /// reservations and lanboot's own.
    pub fn new(
        ranges: impl IntoIterator<Item = (Ipv4Addr, Ipv4Addr)>,
        excluded: impl IntoIterator<Item = Ipv4Addr>,
        strategy: Strategy,
    ) -> Pool {
        let ranges = ranges.into_iter().map(|(first, last)| (first.to_bits(), last.to_bits())).collect();
        let mut runs = Runs::default();
        excluded.into_iter().for_each(|address| runs.insert(address.to_bits()));
        Pool { ranges, excluded: runs, strategy }
    }

    /// Whether the pool may give out `address`.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let address = address.to_bits();
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&address)) && !self.excluded.contains(address)
    }

    /// The address to try next: the client's own; what it is being offered; what it asks for; one that nobody had; the one free
    /// for longest. `None`: the pool is exhausted.
    ///
    /// An address found in use must be declined in the store (or held for another), then the next call gives another one.
    pub fn candidate(&self, ask: Ask<'_>, table: &Table, holds: &mut Holds, now: Clock) -> Option<Candidate> {
        holds.expire(now.running);
        let search = Search { pool: self, ask, table, holds, now };
        let found = |why| move |address| Candidate { address, why };
        (search.own().map(found(Why::Own)))
            .or_else(|| search.offered().map(found(Why::Offered)))
            .or_else(|| search.requested().map(found(Why::Requested)))
            .or_else(|| search.unused().map(found(Why::Unused)))
            .or_else(|| search.reused().map(found(Why::Reused)))
    }

    fn size(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The ranges once around, from the strategy's starting point for `mac`.
    fn round(&self, mac: Mac) -> Vec<(u32, u32)> {
        let mut skip = match self.strategy {
            Strategy::Hashed if !self.ranges.is_empty() => fnv1a(&mac.0) % self.size(),
            _ => return self.ranges.clone(),
        };
        for (index, &(first, last)) in self.ranges.iter().enumerate() {
            let octets = u64::from(last - first) + 1;
            if skip < octets {
                let start = first + skip as u32;
                let mut round = vec![(start, last)];
                round.extend(&self.ranges[index + 1..]);
                round.extend(&self.ranges[..index]);
                if first < start {
                    round.push((first, start - 1));
                }
                return round;
            }
            skip -= octets;
        }
        unreachable!("a remainder is less than the pool's size")
    }
}

struct Search<'a> {
    pool: &'a Pool,
    ask: Ask<'a>,
    table: &'a Table,
    holds: &'a Holds,
    now: Clock,
}

impl Search<'_> {
    fn own(&self) -> Option<Ipv4Addr> {
        self.table.find(self.ask.key).map(|record| record.address).filter(|address| self.is_free(*address))
    }

    fn offered(&self) -> Option<Ipv4Addr> {
        self.holds.address(self.ask.key, self.now.running).filter(|address| self.is_free(*address))
    }

    fn requested(&self) -> Option<Ipv4Addr> {
        self.ask.requested.filter(|address| self.is_free(*address))
    }

    fn unused(&self) -> Option<Ipv4Addr> {
        let avoid = [self.table.recorded(), self.holds.addresses(), &self.pool.excluded];
        let first_in = |(first, last)| outside_all(&avoid, first).filter(|address| *address <= last);
        self.pool.round(self.ask.mac).into_iter().find_map(first_in).map(Ipv4Addr::from_bits)
    }

    fn reused(&self) -> Option<Ipv4Addr> {
        self.table.reusable(self.now.wall).find(|address| self.is_free(*address))
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        self.pool.contains(address)
            && self.table.occupant(address, self.ask.key, self.now.wall).is_none()
            && self.holds.holder(address, self.now.running).is_none_or(|holder| holder == self.ask.key)
    }
}

/// The lowest value from `from` on that is in none of `sets`.
fn outside_all(sets: &[&Runs], from: u32) -> Option<u32> {
    let mut value = from;
    loop {
        let next = sets.iter().try_fold(value, |value, set| set.next_gap(value))?;
        if next == value {
            return Some(value);
        }
        value = next;
    }
}

/// The 64-bit FNV-1a hash: written out here because allocation must not change with a library's version.
fn fnv1a(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}
