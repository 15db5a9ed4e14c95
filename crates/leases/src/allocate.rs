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
    /// Only given to those who ask for them.
    shunned: Runs,
    strategy: Strategy,
}

/// Who asks for an address.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub key: &'a ClientKey,
    pub mac: Mac,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Not to be given: the relay between us.
    pub avoid: Option<Ipv4Addr>,
}

/// Now, by both clocks: leases end by the wall's, holds by the running one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let ranges: Vec<_> = ranges.into_iter().map(|(first, last)| (first.to_bits(), last.to_bits())).collect();
        let mut runs = Runs::default();
        excluded.into_iter().for_each(|address| runs.insert(address.to_bits()));
        let mut shunned = Runs::default();
        ranges
            .iter()
            .flat_map(|&(first, last)| shunned_within(first, last))
            .for_each(|address| shunned.insert(address));
        Pool { ranges, excluded: runs, shunned, strategy }
    }

    /// Whether the pool may give out `address`.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let address = address.to_bits();
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&address)) && !self.excluded.contains(address)
    }

    fn size(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The ranges once around, from the strategy's starting point for `mac`.
    fn round(&self, mac: Mac) -> Vec<(u32, u32)> {
        let mut skip = match self.strategy {
            Strategy::Hashed if !self.ranges.is_empty() => u64::from(sdbm(&mac.0)) % self.size(),
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

/// The address to try next: the client's own; what it is being offered; what it asks for; one that nobody had; the one
/// free for longest. Where it does not matter which pool, earlier ones come first. `None`: all are exhausted.
///
/// An address found in use must be declined in the store (or held for another), then the next call gives another one.
pub fn candidate(pools: &[&Pool], ask: Ask<'_>, table: &Table, holds: &mut Holds, now: Clock) -> Option<Candidate> {
    type Look<'a> = fn(&Search<'a>) -> Option<Ipv4Addr>;
    holds.expire(now.running);
    let looks: [(Why, Look<'_>); 5] = [
        (Why::Own, Search::own),
        (Why::Offered, Search::offered),
        (Why::Requested, Search::requested),
        (Why::Unused, Search::unused),
        (Why::Reused, Search::reused),
    ];
    let holds = &*holds;
    looks.into_iter().find_map(|(why, look)| {
        let address = pools.iter().find_map(|&pool| look(&Search { pool, ask, table, holds, now }))?;
        Some(Candidate { address, why })
    })
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
        let taken = [self.table.recorded(), self.holds.addresses(), &self.pool.excluded, &self.pool.shunned];
        let avoided = self.ask.avoid.map(Ipv4Addr::to_bits);
        let first_in = |(first, last)| {
            let address = outside_all(&taken, first)?;
            let address = if Some(address) == avoided { outside_all(&taken, address + 1)? } else { address };
            (address <= last).then_some(address)
        };
        self.pool.round(self.ask.mac).into_iter().find_map(first_in).map(Ipv4Addr::from_bits)
    }

    fn reused(&self) -> Option<Ipv4Addr> {
        let shunned = |address: Ipv4Addr| self.pool.shunned.contains(address.to_bits());
        self.table.reusable(self.now.wall).find(|address| self.is_free(*address) && !shunned(*address))
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        self.pool.contains(address)
            && self.ask.avoid != Some(address)
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

/// The addresses of class C networks that end in 0 and 255: where the network is larger than its class, they are machines'
/// like any other, but Windows takes them for broadcasts (KB281579), and so dnsmasq does not choose them either.
fn shunned_within(first: u32, last: u32) -> impl Iterator<Item = u32> {
    const CLASS_C: std::ops::RangeInclusive<u32> = 0xc000_0000..=0xdfff_ffff;
    let (first, last) = (first.max(*CLASS_C.start()), last.min(*CLASS_C.end()));
    let blocks = (first >> 8)..=(last >> 8);
    blocks.flat_map(|block| [block << 8, block << 8 | 255]).filter(move |address| (first..=last).contains(address))
}

/// The 32-bit sdbm hash, which is dnsmasq's too: a machine gets the address that it got there. Written out here because
/// allocation must not change with a library's version.
fn sdbm(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |hash: u32, octet| hash.wrapping_mul(65_599).wrapping_add(u32::from(*octet)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::record::Grant;
    use crate::store::{Change, LeaseStore, Outcome};

    fn address(last: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + last)
    }

    fn mac(client: u32) -> Mac {
        let [a, b, c, d] = client.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    fn key(client: u32) -> ClientKey {
        ClientKey::Mac(mac(client))
    }

    struct World {
        pool: Pool,
        store: MemoryStore,
        holds: Holds,
        start: Instant,
    }

    impl World {
        fn new(ranges: &[(u32, u32)], excluded: &[u32], strategy: Strategy) -> World {
            let ranges = ranges.iter().map(|&(first, last)| (address(first), address(last)));
            let pool = Pool::new(ranges, excluded.iter().map(|&last| address(last)), strategy);
            World { pool, store: MemoryStore::default(), holds: Holds::default(), start: Instant::now() }
        }

        fn clock(&self, secs: u64) -> Clock {
            Clock { wall: UnixSecs(1000 + secs), running: self.start + Duration::from_secs(secs) }
        }

        /// What `client` is to try at second `secs`.
        fn ask(&mut self, client: u32, requested: Option<u32>, secs: u64) -> Option<(Ipv4Addr, Why)> {
            let (now, key) = (self.clock(secs), key(client));
            let ask = Ask { key: &key, mac: mac(client), requested: requested.map(address), avoid: None };
            let candidate = candidate(&[&self.pool], ask, self.store.table(), &mut self.holds, now)?;
            Some((candidate.address, candidate.why))
        }

        fn hold(&mut self, client: u32, last: u32, secs: u64) {
            let (now, until) = (self.clock(secs).running, self.clock(secs + 10).running);
            self.holds.hold(address(last), key(client), now, until).unwrap();
        }

        fn grant(&mut self, client: u32, last: u32, secs: u64, lease_secs: u32) {
            let (key, mac, now) = (key(client), mac(client), self.clock(secs).wall);
            let grant = Grant { address: address(last), key, mac, client_id: None, hostname: None, lease_secs, now };
            self.commit(Change::Grant(grant));
        }

        fn commit(&mut self, change: Change) {
            let outcomes = self.store.commit(vec![change]).unwrap();
            assert!(matches!(outcomes[..], [Outcome::Granted(_) | Outcome::Released(true) | Outcome::Declined]));
        }
    }

    #[test]
    fn sequential_gives_the_lowest_address_that_nobody_had_over_all_ranges() {
        let mut world = World::new(&[(10, 12), (20, 21)], &[11], Strategy::Sequential);
        for (client, last) in [(1, 10), (2, 12), (3, 20), (4, 21)] {
            assert_eq!(world.ask(client, None, 0), Some((address(last), Why::Unused)));
            world.grant(client, last, 0, 60);
        }
        assert_eq!(world.ask(5, None, 0), None);
    }

    #[test]
    fn hashed_starts_at_the_macs_own_place_and_wraps_around() {
        let mut world = World::new(&[(10, 12), (20, 21)], &[], Strategy::Hashed);
        let place = (sdbm(&mac(7).0) % 5) as usize;
        let round = [10, 11, 12, 20, 21];
        for step in 0..5 {
            let last = round[(place + step) % 5];
            assert_eq!(world.ask(7, None, 0), Some((address(last), Why::Unused)));
            world.grant(100 + last, last, 0, 60);
        }
        assert_eq!(world.ask(7, None, 0), None);
    }

    #[test]
    fn sdbm_leads_to_the_addresses_that_dnsmasq_gives() {
        let place = |last| sdbm(&[0x52, 0x54, 0, 0, 0, last]) % 51;
        assert_eq!([place(1), place(2), place(9)], [0, 1, 8]);
    }

    #[test]
    fn what_windows_takes_for_a_broadcast_is_given_only_to_who_asks_for_it() {
        let class_c = |last: u32| Ipv4Addr::from_bits(0xc0a8_0400 + last);
        let pool = Pool::new([(class_c(254), class_c(257))], [], Strategy::Sequential);
        let (key, mac) = (key(1), mac(1));
        let give = |requested, avoid| {
            let now = Clock { wall: UnixSecs(0), running: Instant::now() };
            let ask = Ask { key: &key, mac, requested, avoid };
            candidate(&[&pool], ask, MemoryStore::default().table(), &mut Holds::default(), now).map(|it| it.address)
        };
        assert_eq!(give(None, None), Some(class_c(254)));
        assert_eq!(give(None, Some(class_c(254))), Some(class_c(257)));
        assert_eq!(give(Some(class_c(255)), None), Some(class_c(255)));
        assert_eq!(give(Some(class_c(255)), Some(class_c(255))), Some(class_c(254)));
    }

    #[test]
    fn a_client_gets_its_own_address_again_even_after_it_ended() {
        let mut world = World::new(&[(10, 19)], &[], Strategy::Sequential);
        world.grant(1, 15, 0, 60);
        for secs in [30, 60, 10_000] {
            assert_eq!(world.ask(1, Some(17), secs), Some((address(15), Why::Own)));
        }
        world.grant(2, 15, 10_000, 60);
        assert_eq!(world.ask(1, Some(17), 10_001), Some((address(17), Why::Requested)));
    }

    #[test]
    fn an_own_address_outside_the_pool_or_kept_for_another_is_not_given() {
        let mut world = World::new(&[(10, 19)], &[16], Strategy::Sequential);
        world.grant(1, 30, 0, 60);
        world.grant(2, 16, 0, 60);
        world.grant(3, 17, 0, 60);
        world.hold(9, 17, 70);
        for client in [1, 2, 3] {
            assert_eq!(world.ask(client, None, 70), Some((address(10), Why::Unused)));
        }
    }

    #[test]
    fn an_offered_address_is_offered_again_to_its_client_and_to_no_other() {
        let mut world = World::new(&[(10, 19)], &[], Strategy::Sequential);
        world.hold(1, 12, 0);
        assert_eq!(world.ask(1, Some(13), 5), Some((address(12), Why::Offered)));
        assert_eq!(world.ask(2, Some(12), 5), Some((address(10), Why::Unused)));
        assert_eq!(world.ask(2, Some(12), 10), Some((address(12), Why::Requested)));
    }

    #[test]
    fn a_requested_address_is_given_only_if_it_is_free_and_in_the_pool() {
        let mut world = World::new(&[(10, 19)], &[14], Strategy::Sequential);
        world.grant(1, 12, 0, 60);
        for taken in [12, 14, 30] {
            assert_eq!(world.ask(2, Some(taken), 0), Some((address(10), Why::Unused)));
        }
        assert_eq!(world.ask(2, Some(12), 60), Some((address(12), Why::Requested)));
    }

    #[test]
    fn when_all_were_used_the_one_free_for_longest_is_given() {
        let mut world = World::new(&[(10, 13)], &[], Strategy::Sequential);
        world.grant(1, 10, 0, 100);
        world.grant(2, 11, 0, 50);
        world.grant(3, 12, 0, u32::MAX);
        world.commit(Change::Decline { address: address(13), until: UnixSecs(1040) });
        assert_eq!(world.ask(9, None, 39), None);
        assert_eq!(world.ask(9, None, 40), Some((address(13), Why::Reused)));
        world.hold(8, 13, 45);
        assert_eq!(world.ask(9, None, 50), Some((address(11), Why::Reused)));
        world.commit(Change::Release { address: address(12), key: key(3), now: UnixSecs(1044) });
        assert_eq!(world.ask(9, None, 50), Some((address(12), Why::Reused)));
    }

    #[test]
    fn an_address_declined_after_a_probe_is_skipped_by_the_next_try() {
        let mut world = World::new(&[(10, 19)], &[], Strategy::Sequential);
        world.grant(1, 10, 0, 60);
        world.commit(Change::Decline { address: address(10), until: UnixSecs(2000) });
        assert_eq!(world.ask(1, Some(10), 1), Some((address(11), Why::Unused)));
    }

    #[test]
    fn a_crowd_that_is_offered_nearly_a_whole_16_bit_pool_is_served_at_once() {
        const CLIENTS: u32 = 65_000;
        let strategies = [Strategy::Sequential, Strategy::Hashed];
        for mut world in strategies.map(|strategy| World::new(&[(1, 65_534)], &[1, 500], strategy)) {
            let begun = Instant::now();
            let mut given = BTreeSet::new();
            for client in 0..CLIENTS {
                let (address, _) = world.ask(client, None, 0).unwrap();
                assert!(given.insert(address));
                let until = world.clock(10).running;
                world.holds.hold(address, key(client), world.start, until).unwrap();
            }
            // A walk through the pool for each client would take minutes; this takes well under a second, on a busy machine more.
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        }
    }

    proptest! {
        #[test]
        fn a_candidate_is_always_in_the_pool_and_free_and_none_only_when_nothing_is(
            taken in prop::collection::btree_map(0u32..12, (any::<bool>(), 0u32..100), 0..12),
            excluded in prop::collection::vec(0u32..12, 0..4),
            requested in prop::option::of(0u32..14),
            client in 0u32..100,
            hashed in any::<bool>(),
        ) {
            let strategy = if hashed { Strategy::Hashed } else { Strategy::Sequential };
            let mut world = World::new(&[(0, 4), (7, 10)], &excluded, strategy);
            let mut busy: BTreeSet<u32> = excluded.iter().copied().collect();
            for (&last, &(is_held, lease_secs)) in &taken {
                let is_busy = if is_held { world.hold(200 + last, last, 45); true } else {
                    world.grant(200 + last, last, 0, lease_secs);
                    lease_secs > 50
                };
                if is_busy { busy.insert(last); }
            }
            let free: BTreeSet<_> = (0..=4).chain(7..=10).filter(|last| !busy.contains(last)).map(address).collect();
            match world.ask(client, requested, 50) {
                Some((address, _)) => prop_assert!(free.contains(&address), "{} of {:?}", address, free),
                None => prop_assert!(free.is_empty(), "{:?}", free),
            }
        }
    }
}
