//! How much one client may ask for, so that a broken or hostile one leaves the others their turn.
//!
//! Each MAC address has a bucket of messages that fills at [`config::Dhcp::client_rate`], and so has each relay agent, a
//! far larger one. A bucket that is full again says nothing and is forgotten, so that memory is for those alone who asked
//! within the last few seconds. Where even they are too many, they are made up, and new ones pass untracked: a MAC's first
//! messages always do.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use mac::Mac;

/// A bucket holds what comes in so many seconds: a machine that goes through firmware, iPXE and its system's start without
/// a pause says a dozen messages, and each of them up to four times where answers get lost.
const BURST_SECS: u32 = 4;
/// A relay agent may pass on what so many clients may say.
const CLIENTS_OF_RELAY: u32 = 250;
/// Clients that are tracked at most, 2 MiB.
const MOST: usize = 1 << 16;
/// Senders of too much that are counted one by one.
const MOST_OFFENDERS: usize = 64;
/// One is told of when its rate can be told, and again when it goes on for so long.
const TELL_AFTER: Duration = Duration::from_secs(1);
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Whose messages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    Client(Mac),
    Relay(Ipv4Addr),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Client(mac) => mac.fmt(f),
            Sender::Relay(address) => write!(f, "relay agent {address}"),
        }
    }
}

/// Somebody who sends more than is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch {
    pub sender: Sender,
    pub messages: u64,
    pub unanswered: u64,
    pub within: Duration,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooMuch { sender, messages, unanswered, within } = self;
        let rate = (*messages as f64 / within.as_secs_f64().max(1.0)).ceil();
        let share = if unanswered * 2 > *messages { "most" } else { "some" };
        write!(f, "{sender} sends {rate} DHCP messages a second; {share} of them are left unanswered")
    }
}

#[derive(Debug)]
struct Offender {
    since: Instant,
    messages: u64,
    unanswered: u64,
    told: Option<Instant>,
}

pub(super) struct Limits {
    clients: Buckets<Mac>,
    relays: Buckets<Ipv4Addr>,
    offenders: HashMap<Sender, Offender>,
}

impl Limits {
    /// `rate`: messages a second that a client may send for long.
    pub fn new(rate: u32) -> Limits {
        Limits {
            clients: Buckets::new(rate),
            relays: Buckets::new(rate.saturating_mul(CLIENTS_OF_RELAY)),
            offenders: HashMap::new(),
        }
    }

    /// Whether a message of this client, passed on by this relay agent, is dealt with.
    pub fn admit(&mut self, now: Instant, client: Mac, relay: Option<Ipv4Addr>) -> bool {
        let relay_may = relay.is_none_or(|relay| {
            let may = self.relays.take(now, relay);
            self.count(now, Sender::Relay(relay), may)
        });
        let may = relay_may && self.clients.take(now, client);
        if relay_may { self.count(now, Sender::Client(client), may) } else { false }
    }

    fn count(&mut self, now: Instant, sender: Sender, may: bool) -> bool {
        if may && self.offenders.is_empty() {
            return true;
        }
        let has_room = self.offenders.len() < MOST_OFFENDERS;
        let new = || Offender { since: now, messages: 0, unanswered: 0, told: None };
        let offender = match self.offenders.get_mut(&sender) {
            None if !may && has_room => self.offenders.entry(sender).or_insert_with(new),
            None => return may,
            Some(offender) => offender,
        };
        offender.messages += 1;
        offender.unanswered += u64::from(!may);
        may
    }

    /// Somebody to tell of, each once as long as it goes on.
    pub fn take_due(&mut self, now: Instant) -> Option<TooMuch> {
        self.offenders.retain(|_, it| it.unanswered > 0 || it.told.is_some_and(|told| now < told + TELL_AGAIN));
        let (sender, offender) = self.offenders.iter_mut().find(|(_, it)| it.due().is_some_and(|due| due <= now))?;
        let Offender { since, messages, unanswered, .. } = *offender;
        *offender = Offender { since: now, messages: 0, unanswered: 0, told: Some(now) };
        Some(TooMuch { sender: *sender, messages, unanswered, within: now - since })
    }

    /// When [`Limits::take_due`] has somebody.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.offenders.values().filter_map(Offender::due).min()
    }
}

impl Offender {
    fn due(&self) -> Option<Instant> {
        let due = self.told.map_or(self.since + TELL_AFTER, |told| told + TELL_AGAIN);
        (self.unanswered > 0).then_some(due)
    }
}

/// Token buckets, each kept as the time at which it is full again.
struct Buckets<K> {
    full_at: HashMap<K, Instant>,
    /// What one message takes of a bucket, in the time that refills it.
    message: Duration,
    room: Duration,
    /// When those that are full again were last forgotten.
    swept: Option<Instant>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: u32) -> Buckets<K> {
        let message = Duration::from_secs(1) / rate.max(1);
        let room = Duration::from_secs(BURST_SECS.into());
        Buckets { full_at: HashMap::new(), message, room, swept: None }
    }

    /// Takes a message of the bucket. False: it is empty.
    fn take(&mut self, now: Instant, key: K) -> bool {
        if let Some(full_at) = self.full_at.get_mut(&key) {
            let then = (*full_at).max(now) + self.message;
            let has_some = then <= now + self.room;
            if has_some {
                *full_at = then;
            }
            return has_some;
        }
        if *self.swept.get_or_insert(now) + self.room <= now {
            self.swept = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
            self.full_at.shrink_to(1024);
        }
        if self.full_at.len() < MOST {
            self.full_at.insert(key, now + self.message);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    const RATE: u32 = 20;

    fn mac(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    #[test]
    fn one_that_sends_without_end_is_held_to_its_rate_and_told_of_once() {
        let (mut limits, start) = (Limits::new(RATE), Instant::now());
        let mut admitted = 0;
        for tick in 0..30_000 {
            let now = start + Duration::from_micros(tick * 1000 / 3);
            admitted += u32::from(limits.admit(now, mac(1), None));
            assert!(limits.admit(now, mac(100 + tick as u32), None), "somebody else");
        }
        assert!((RATE * 14 - 1..=RATE * 14).contains(&admitted), "{admitted} in ten seconds, four of them saved up");
        let end = start + Duration::from_secs(10);
        assert!(limits.next_deadline().is_some_and(|due| due <= end));
        let told = limits.take_due(end).unwrap().to_string();
        assert!(told.starts_with("02:00:00:00:00:01 sends 3"), "{told}");
        assert!(told.ends_with("DHCP messages a second; most of them are left unanswered"), "{told}");
        limits.admit(end, mac(1), None);
        limits.admit(end, mac(1), None);
        assert_eq!(limits.take_due(end + TELL_AFTER), None, "told already");
        assert_eq!(limits.take_due(end + TELL_AGAIN).map(|it| it.sender), Some(Sender::Client(mac(1))));
        assert_eq!(limits.take_due(end + TELL_AGAIN * 3), None, "it stopped");
        assert!(limits.offenders.is_empty() && limits.next_deadline().is_none());
    }

    #[test]
    fn a_machine_that_boots_in_a_hurry_is_never_held_back() {
        let (mut limits, start) = (Limits::new(RATE), Instant::now());
        // Firmware, iPXE, installer: each asks four times for each of two messages, all within two seconds.
        for message in 0..24 {
            assert!(limits.admit(start + Duration::from_millis(message * 80), mac(1), None));
        }
    }

    #[test]
    fn a_relay_passes_a_whole_storm_on_and_not_a_flood() {
        let (mut limits, start) = (Limits::new(RATE), Instant::now());
        let relay = Some(Ipv4Addr::new(10, 1, 0, 1));
        for message in 0..2 {
            for machine in 0..5000 {
                assert!(limits.admit(start + Duration::from_millis(message * 1000), mac(machine), relay));
            }
        }
        let flood = (0..200_000).filter(|n| limits.admit(start + Duration::from_secs(60), mac(1 << 20 | n), relay));
        assert_eq!(flood.count() as u32, RATE * CLIENTS_OF_RELAY * BURST_SECS);
        assert!(limits.admit(start + Duration::from_secs(60), mac(1), None), "nearby machines are not behind it");
        let told = limits.take_due(start + Duration::from_secs(62)).unwrap();
        assert_eq!(told.sender, Sender::Relay(Ipv4Addr::new(10, 1, 0, 1)));
    }

    #[test]
    fn made_up_macs_take_bounded_memory_and_nobodys_turn() {
        let (mut limits, now) = (Limits::new(RATE), Instant::now());
        assert!((0..200_000).all(|n| limits.admit(now, mac(n), None)));
        assert!(limits.clients.full_at.len() <= MOST);
        let later = now + Duration::from_secs(u64::from(BURST_SECS));
        assert!((0..2000).all(|n| limits.admit(later, mac(1 << 20 | n), None)));
        assert!(limits.clients.full_at.len() <= 2000 && limits.clients.full_at.capacity() < 1 << 16);
        for n in 0..1000 {
            let admitted = (0..=RATE * BURST_SECS).filter(|_| limits.admit(later, mac(n), None)).count();
            assert_eq!(admitted as u32, RATE * BURST_SECS);
        }
        assert_eq!(limits.offenders.len(), MOST_OFFENDERS);
    }

    proptest! {
        #[test]
        fn whoever_keeps_to_the_rate_is_served_whatever_others_send(
            others in prop::collection::vec((0u32..50, 0u64..2000), 0..3000),
            mine in prop::collection::vec(50u64..200, 1..40),
        ) {
            let (mut limits, start) = (Limits::new(RATE), Instant::now());
            let mut times: Vec<(u64, u32)> = others.into_iter().map(|(who, at)| (at, who + 2)).collect();
            let mut at = 0;
            for gap in mine {
                at += gap;
                times.push((at, 1));
            }
            times.sort_unstable();
            for (at, who) in times {
                let admitted = limits.admit(start + Duration::from_millis(at), mac(who), None);
                prop_assert!(admitted || who != 1);
            }
        }
    }
}
