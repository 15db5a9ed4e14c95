//! Offers to machines that nobody knows: so that made-up MAC addresses, which never take what they are offered, use no
//! range up.
//!
//! Machines with a lease on record or a reservation are no strangers and none of this concerns them. Of strangers, those
//! who never ask for what they were offered are told from a storm of new machines, which do:
//!
//! - Where no address is free and many asked in vain, the one whose offer has been open for longest is offered again, and
//!   whoever asks for it first has it. So offers alone exhaust nothing.
//! - Once most offers of the last minutes were left, offers are kept for a shorter time, and a stranger is answered when it
//!   asks for the second time: made-up addresses are not used twice, while firmware asks again after a few seconds.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use mac::Mac;

/// Who wants the address asks for it within this time: firmware collects offers for up to 8 s.
const DECIDES_WITHIN: Duration = Duration::from_secs(12);
/// Fewer offers left than this are nobody's flood, and of those left and taken so many times more must have been left.
const MANY: u32 = 64;
const TIMES: u32 = 3;
/// So many count, however many there were: then it is forgotten soon after its end.
const MOST: u32 = 4096;
/// Counts are halved this often.
const HALVE_AFTER: Duration = Duration::from_secs(30);
/// So many offers wait to be counted at most, 1 MiB.
const MOST_COUNTED: usize = 1 << 16;
const TELL_AGAIN: Duration = Duration::from_secs(600);
/// How long a stranger that asked once is remembered, at least.
const REMEMBER: Duration = Duration::from_secs(16);
/// Bits of the memory for those: at 100,000 strangers a second, three in four of them are still told from old ones.
const BITS: u64 = 1 << 22;

#[derive(Default)]
pub(super) struct Strangers {
    /// Offers that nobody has asked for yet: since when, and from which range.
    open: HashMap<Ipv4Addr, (Instant, usize)>,
    by_range: HashMap<usize, BTreeSet<(Instant, Ipv4Addr)>>,
    /// When offers were made that are not counted yet, and how many were taken meanwhile.
    made: VecDeque<Instant>,
    taken_of_these: u32,
    /// Of the open ones, those that more than one stranger was offered.
    contested: HashSet<Ipv4Addr>,
    /// How many found all addresses offered to others, less so many times those that were taken.
    in_vain: u32,
    taken: u32,
    left: u32,
    halved: Option<Instant>,
    told: Option<Instant>,
    seen: Option<Seen>,
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood {
    pub left: u32,
    pub taken: u32,
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flood { left, taken } = self;
        let more = if *left == MOST { "more than " } else { "" };
        write!(
            f,
            "{more}{left} unknown machines lately left the address that they were offered, and {taken} took it: somebody \
             makes MAC addresses up, or our answers do not reach the machines"
        )
    }
}

/// What to do about a [`Flood`].
pub(super) const FIX: &str = "machines with a lease or a reservation are served as ever, unknown ones when they ask for the \
    second time; look for the sender with `bridge fdb show` and on the switch, whose DHCP snooping and port security stop it";

impl Strangers {
    /// A stranger is offered an address of this range, which was not kept for it before.
    pub fn offered(&mut self, now: Instant, range: usize, address: Ipv4Addr) {
        if let Some((since, range)) = self.open.insert(address, (now, range)) {
            self.close(range, since, address);
        }
        self.by_range.entry(range).or_default().insert((now, address));
        self.made.push_back(now);
        if self.made.len() > MOST_COUNTED {
            self.count_oldest();
        }
    }

    fn count_oldest(&mut self) {
        self.made.pop_front();
        match self.taken_of_these.checked_sub(1) {
            Some(rest) => (self.taken_of_these, self.taken) = (rest, (self.taken + 1).min(MOST)),
            None => self.left = (self.left + 1).min(MOST),
        }
    }

    /// The address was asked for, by whomsoever.
    pub fn taken(&mut self, address: Ipv4Addr) {
        if self.forget(address) {
            self.taken_of_these += 1;
            self.in_vain = self.in_vain.saturating_sub(TIMES);
        }
    }

    /// No longer offered. Returns whether it was.
    pub fn forget(&mut self, address: Ipv4Addr) -> bool {
        self.contested.remove(&address);
        let open = self.open.remove(&address);
        open.map(|(since, range)| self.close(range, since, address)).is_some()
    }

    fn close(&mut self, range: usize, since: Instant, address: Ipv4Addr) {
        if let Some(offers) = self.by_range.get_mut(&range) {
            offers.remove(&(since, address));
        }
    }

    /// The address of this range whose offer has been open for longest, to be offered to somebody else as well. None before
    /// so many asked in vain while nobody took one: an offer is kept for its machine where a few more ask than there are
    /// addresses.
    pub fn contest(&mut self, now: Instant, range: usize) -> Option<Ipv4Addr> {
        let (_, address) = *self.by_range.get(&range)?.first()?;
        if !self.is_flood(now) && self.in_vain < MANY {
            self.in_vain += 1;
            return None;
        }
        self.contested.insert(address);
        Some(address)
    }

    /// Whether a stranger is offered this address, and has not asked for it yet.
    pub fn is_open(&self, address: Ipv4Addr) -> bool {
        self.open.contains_key(&address)
    }

    /// Whether the address is for whoever asks first.
    pub fn is_contested(&self, address: Ipv4Addr) -> bool {
        self.contested.contains(&address)
    }

    /// Whether a stranger that asks is answered now.
    pub fn admit(&mut self, now: Instant, client: Mac) -> bool {
        if !self.is_flood(now) {
            return true;
        }
        let came_back = self.seen.get_or_insert_with(|| Seen::new(now)).came_back(now, client);
        self.left = if came_back { self.left.saturating_sub(1) } else { (self.left + 1).min(MOST) };
        came_back
    }

    /// Whether most offers were left.
    pub fn is_flood(&mut self, now: Instant) -> bool {
        while self.made.front().is_some_and(|at| *at + DECIDES_WITHIN <= now) {
            self.count_oldest();
        }
        let halved = *self.halved.get_or_insert(now);
        if halved + HALVE_AFTER <= now {
            let halves = ((now - halved).as_secs() / HALVE_AFTER.as_secs()).min(31) as u32;
            (self.left, self.taken, self.in_vain) = (self.left >> halves, self.taken >> halves, self.in_vain >> halves);
            self.halved = Some(now);
        }
        self.left >= MANY && self.left > self.taken.saturating_mul(TIMES)
    }

    /// What is to be told, once as long as it goes on.
    pub fn take_news(&mut self, now: Instant) -> Option<Flood> {
        if !self.is_flood(now) || self.told.is_some_and(|told| now < told + TELL_AGAIN) {
            return None;
        }
        self.told = Some(now);
        Some(Flood { left: self.left, taken: self.taken })
    }
}

/// Who asked lately: a Bloom filter of the time from the last turn on, and one of the time before it.
struct Seen {
    bits: [Vec<u64>; 2],
    turned: Instant,
    hasher: RandomState,
}

impl Seen {
    fn new(now: Instant) -> Seen {
        let none = || vec![0; (BITS / 64) as usize];
        Seen { bits: [none(), none()], turned: now, hasher: RandomState::new() }
    }

    /// Whether this one was here before. It has been from now on.
    fn came_back(&mut self, now: Instant, client: Mac) -> bool {
        if self.turned + REMEMBER <= now {
            self.turned = now;
            self.bits.swap(0, 1);
            self.bits[0].fill(0);
        }
        let hash = self.hasher.hash_one(client.0);
        let places = [hash % BITS, (hash >> 32) % BITS].map(|bit| ((bit / 64) as usize, 1 << (bit % 64)));
        let was_here = self.bits.iter().any(|bits| places.iter().all(|(word, bit)| bits[*word] & bit != 0));
        places.iter().for_each(|(word, bit)| self.bits[0][*word] |= bit);
        was_here
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    fn mac(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    fn address(number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 | number)
    }

    #[test]
    fn a_storm_of_machines_that_take_what_they_are_offered_is_no_flood() {
        let start = Instant::now();
        let mut strangers = Strangers::default();
        for n in 0..5000 {
            assert!(strangers.admit(start, mac(n)));
            strangers.offered(start, 0, address(n));
        }
        // Firmware that gathers offers for eight seconds; and one in five is switched off meanwhile.
        let later = start + Duration::from_secs(8);
        assert!(!strangers.is_flood(later));
        (0..4000).for_each(|n| strangers.taken(address(n)));
        for second in 8..600 {
            let now = start + Duration::from_secs(second);
            assert!(strangers.admit(now, mac(9999)) && strangers.take_news(now).is_none(), "{second}");
        }
    }

    #[test]
    fn a_flood_is_told_of_once_and_forgotten_when_it_ends() {
        let start = Instant::now();
        let mut strangers = Strangers::default();
        for n in 0..200 {
            strangers.offered(start, 0, address(n));
        }
        assert_eq!(strangers.take_news(start + DECIDES_WITHIN / 2), None);
        let now = start + DECIDES_WITHIN;
        assert_eq!(strangers.take_news(now), Some(Flood { left: 200, taken: 0 }));
        assert_eq!(strangers.take_news(now), None);
        assert!((1000..11_000).filter(|n| strangers.admit(now, mac(*n))).count() < 10, "made up");
        assert!(!strangers.admit(now, mac(1)));
        assert!(strangers.admit(now + Duration::from_secs(4), mac(1)), "it asks again");
        let end = now + HALVE_AFTER * 7;
        assert!(strangers.admit(end, mac(2)));
    }

    #[test]
    fn addresses_are_offered_again_the_oldest_offer_first_and_each_range_its_own() {
        let start = Instant::now();
        let mut strangers = Strangers::default();
        for n in 0..2 * MANY {
            strangers.offered(start + Duration::from_millis(n.into()), (n % 2) as usize, address(n));
        }
        assert!((0..MANY).all(|_| strangers.contest(start, 1).is_none()), "a few more than there are addresses");
        assert_eq!((strangers.contest(start, 2), strangers.contest(start, 1)), (None, Some(address(1))));
        strangers.offered(start + Duration::from_secs(9), 1, address(1));
        assert_eq!(strangers.contest(start, 1), Some(address(3)));
        assert!(strangers.is_contested(address(1)) && !strangers.is_contested(address(0)));
        strangers.taken(address(1));
        assert!(!strangers.is_contested(address(1)) && !strangers.is_open(address(1)));
        assert!(strangers.is_flood(start + DECIDES_WITHIN + Duration::from_secs(9)));
        assert_eq!((strangers.taken, strangers.left), (1, 2 * MANY));
    }

    proptest! {
        #[test]
        fn a_machine_that_asks_again_within_seconds_is_answered_whatever_strangers_do(
            others in prop::collection::vec((0u64..60_000, 0u32..100_000), 0..4000),
            first in 0u64..50_000,
            gap in 1000u64..10_000,
        ) {
            let start = Instant::now();
            let mut strangers = Strangers::default();
            let mut times: Vec<_> = others.into_iter().map(|(at, who)| (at, who + 1)).collect();
            times.extend([(first, 0), (first + gap, 0)]);
            times.sort_unstable();
            let mut answers = Vec::new();
            for (at, who) in times {
                let now = start + Duration::from_millis(at);
                let admitted = strangers.admit(now, mac(who));
                if who == 0 {
                    answers.push(admitted);
                } else if admitted {
                    strangers.offered(now, 0, address(who % 250));
                }
            }
            // Who was answered has an offer.
            prop_assert!(answers.contains(&true), "{answers:?}");
            prop_assert!(strangers.open.len() <= 250);
        }
    }
}
