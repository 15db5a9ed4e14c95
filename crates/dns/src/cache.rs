//! What upstream servers said, for as long as it holds; bounded by answers and by octets.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::Rcode;
use crate::answer::{Age, Answer};
use crate::query::Key;
use crate::settings::{Caching, Stale};

/// Answers by name, type, class, DO and CD. That a name does not exist is known for all types at once (RFC 8020 says why).
///
/// Answers out of date stay until their place is needed, or they are asked for. Which one makes room is decided by a clock's
/// hand: it leaves out, once, those that were asked for since it last came by.
pub struct Cache {
    settings: Caching,
    /// Names are chosen by strangers, so they cannot foretell this.
    hasher: RandomState,
    /// For each hash the first of its chain, by its number in `entries` and one more; 0: none.
    chains: Box<[u32]>,
    entries: Vec<Entry>,
    /// The chain of empty entries.
    empty: u32,
    hand: usize,
    live: usize,
    octets: usize,
    /// What times are counted from.
    start: Option<Instant>,
    counts: Counts,
}

/// Since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub inserted: u64,
    /// Made room for others before their time.
    pub evicted: u64,
    /// Left because they were out of date.
    pub expired: u64,
}

/// What the cache knows.
#[derive(Debug)]
pub struct Hit<'a> {
    pub answer: &'a Answer,
    /// [`Age::Stale`]: it is to be asked anew.
    pub age: Age,
}

/// Small, as there are many: 32 octets.
struct Entry {
    answer: Option<Answer>,
    /// The next of its chain, as in `Cache::chains`.
    next: u32,
    /// Seconds since the start.
    made: u32,
    /// Seconds.
    lives: u32,
    /// Bits of the name's hash: nearly always tell that it is another name.
    tag: u16,
    /// DO and CD, and whether it is for all types.
    marks: u8,
    used: bool,
}

const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;
const ALL_KINDS: u8 = 4;

/// Octets for an answer on average; those of UDP are seldom larger.
const USUAL_OCTETS: usize = 600;

impl Cache {
    pub fn new(settings: Caching) -> Cache {
        let size = settings.size.min(LARGEST);
        Cache {
            hasher: RandomState::new(),
            chains: vec![0; size.clamp(1, 1 << 22).next_power_of_two()].into(),
            // Memory that is not written to costs nothing, and growing costs twice for a while.
            entries: Vec::with_capacity(size.min(1 << 20)),
            empty: 0,
            hand: 0,
            live: 0,
            octets: 0,
            start: None,
            counts: Counts::default(),
            settings,
        }
    }

    /// What is known of this, if it still holds, or may be told though it does not.
    pub fn get(&mut self, now: Instant, key: &Key<'_>) -> Option<Hit<'_>> {
        let now = self.seconds(now);
        let at = self.find(key, self.hasher.hash_one(key.name), false)?;
        let entry = &self.entries[at];
        let age = now.saturating_sub(entry.made);
        let age = match age.checked_sub(entry.lives) {
            None => Age::Fresh(age),
            Some(late) if late < self.longest_stale() => Age::Stale,
            Some(_) => {
                self.remove(at);
                self.counts.expired += 1;
                return None;
            }
        };
        let entry = &mut self.entries[at];
        entry.used = true;
        entry.answer.as_ref().map(|answer| Hit { answer, age })
    }

    /// Keeps an answer to `key` for `keep` seconds, within the bounds of the settings, in place of what was known. What is
    /// too large, or of a type that is not kept, is not.
    pub fn insert(&mut self, now: Instant, key: &Key<'_>, mut answer: Answer, keep: u32) {
        debug_assert_eq!((answer.name(), answer.kind(), answer.class()), (key.name, key.kind, key.class));
        let hash = self.hasher.hash_one(answer.name());
        let all_kinds = answer.code() == Rcode::NXDOMAIN && answer.is_empty();
        while let Some(known) = self.find(key, hash, all_kinds) {
            self.remove(known);
        }
        let (min, max) = (self.settings.min_ttl, self.settings.max_ttl.unwrap_or(u32::MAX));
        let bound = |ttl: u32| ttl.min(max).max(min);
        let lives = bound(keep);
        let size = answer.size() + size_of::<Entry>();
        let kept = self.settings.only.is_empty() || self.settings.only.contains(&answer.kind());
        if self.settings.size == 0 || lives == 0 || !kept || size > self.room() / 4 {
            return;
        }
        if min > 0 || max < u32::MAX {
            answer.change_ttls(bound);
        }
        answer.drop_authority();
        let now = self.seconds(now);
        while self.live >= self.settings.size.min(LARGEST) || self.octets + size > self.room() {
            self.make_room(now);
        }
        let marks = marks(key) | if all_kinds { ALL_KINDS } else { 0 };
        let entry = Entry { answer: Some(answer), next: 0, made: now, lives, tag: tag(hash), marks, used: false };
        self.place(hash, entry);
        self.counts.inserted += 1;
    }

    /// Forgets what is known of this: something else holds now that is not to be kept.
    pub fn forget(&mut self, key: &Key<'_>) {
        let hash = self.hasher.hash_one(key.name);
        while let Some(known) = self.find(key, hash, false) {
            self.remove(known);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.chains.fill(0);
        self.entries.clear();
        (self.empty, self.hand, self.live, self.octets) = (0, 0, 0, 0);
    }

    /// Takes other settings; keeps what has its place in them.
    pub fn reconfigure(&mut self, settings: Caching) {
        if settings.size == self.settings.size {
            self.settings = settings;
            return;
        }
        let old = std::mem::replace(self, Cache::new(settings));
        (self.start, self.counts) = (old.start, old.counts);
        for entry in old.entries {
            let Some(answer) = &entry.answer else { continue };
            let size = answer.size() + size_of::<Entry>();
            if self.live < self.settings.size.min(LARGEST) && self.octets + size <= self.room() {
                let hash = self.hasher.hash_one(answer.name());
                self.place(hash, Entry { next: 0, tag: tag(hash), ..entry });
            }
        }
    }

    pub fn settings(&self) -> &Caching {
        &self.settings
    }

    /// Answers that are here, out of date or not.
    pub fn len(&self) -> usize {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// What they take in memory.
    pub fn octets(&self) -> usize {
        self.octets
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The most octets that all entries may have.
    pub fn room(&self) -> usize {
        self.settings.size.min(LARGEST).saturating_mul(USUAL_OCTETS).max(16_384)
    }

    fn seconds(&mut self, now: Instant) -> u32 {
        let start = *self.start.get_or_insert(now);
        now.saturating_duration_since(start).as_secs().try_into().unwrap_or(u32::MAX)
    }

    fn longest_stale(&self) -> u32 {
        match self.settings.stale {
            Stale::Never => 0,
            Stale::For(time) => Duration::as_secs(&time).try_into().unwrap_or(u32::MAX),
            Stale::Always => u32::MAX,
        }
    }

    /// The entry that answers `key`, or with `all_kinds` any of its name, DO and CD.
    fn find(&self, key: &Key<'_>, hash: u64, all_kinds: bool) -> Option<usize> {
        let (tag, marks) = (tag(hash), marks(key));
        let mut next = self.chains[self.chain(hash)];
        while next != 0 {
            let at = next as usize - 1;
            let entry = &self.entries[at];
            if entry.tag == tag
                && entry.marks & !ALL_KINDS == marks
                && let Some(answer) = &entry.answer
                && answer.is_for(key.name, key.class, (entry.marks & ALL_KINDS == 0 && !all_kinds).then_some(key.kind))
            {
                return Some(at);
            }
            next = entry.next;
        }
        None
    }

    fn chain(&self, hash: u64) -> usize {
        hash as usize & (self.chains.len() - 1)
    }

    fn place(&mut self, hash: u64, entry: Entry) {
        self.live += 1;
        self.octets += entry.size();
        let chain = self.chain(hash);
        let entry = Entry { next: self.chains[chain], ..entry };
        let at = match self.empty {
            0 => {
                self.entries.push(entry);
                self.entries.len()
            }
            empty => {
                let slot = &mut self.entries[empty as usize - 1];
                self.empty = slot.next;
                *slot = entry;
                empty as usize
            }
        };
        self.chains[chain] = at as u32;
    }

    fn remove(&mut self, at: usize) {
        let number = at as u32 + 1;
        let answer = self.entries[at].answer.as_ref().expect("only what is there is removed");
        let chain = self.chain(self.hasher.hash_one(answer.name()));
        let after = self.entries[at].next;
        let mut before = self.chains[chain];
        if before == number {
            self.chains[chain] = after;
        } else {
            while self.entries[before as usize - 1].next != number {
                before = self.entries[before as usize - 1].next;
            }
            self.entries[before as usize - 1].next = after;
        }
        self.live -= 1;
        self.octets -= self.entries[at].size();
        self.entries[at].answer = None;
        self.entries[at].next = self.empty;
        self.empty = number;
    }

    /// Removes one. There is one: callers need room that would be there otherwise.
    fn make_room(&mut self, now: u32) {
        let stale = self.longest_stale();
        loop {
            let at = self.hand % self.entries.len();
            self.hand = at + 1;
            let entry = &mut self.entries[at];
            if entry.answer.is_none() {
                continue;
            }
            let age = now.saturating_sub(entry.made);
            if age >= entry.lives.saturating_add(stale) {
                self.counts.expired += 1;
                return self.remove(at);
            }
            if !std::mem::take(&mut entry.used) {
                self.counts.evicted += u64::from(age < entry.lives);
                self.counts.expired += u64::from(age >= entry.lives);
                return self.remove(at);
            }
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        size_of::<Entry>() + self.answer.as_ref().map_or(0, Answer::size)
    }
}

/// Entries are numbered with 32 bits.
const LARGEST: usize = 1 << 30;

fn tag(hash: u64) -> u16 {
    (hash >> 48) as u16
}

fn marks(key: &Key<'_>) -> u8 {
    let mark = |set, mark| if set { mark } else { 0 };
    mark(key.dnssec_ok, DNSSEC_OK) | mark(key.checking_disabled, CHECKING_DISABLED)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{answer, name, records};
    use crate::{Class, Data, Name, Rtype, Section};

    const SECOND: Duration = Duration::from_secs(1);

    fn cache(size: usize) -> Cache {
        Cache::new(Caching { size, ..Caching::default() })
    }

    fn key(name: &Name, kind: Rtype) -> Key<'_> {
        Key { name: name.as_wire(), kind, class: Class::IN, dnssec_ok: false, checking_disabled: false }
    }

    /// An address for the name: `last` tells answers apart.
    fn address(text: &str, last: u8) -> Answer {
        answer(text, Rtype::A, Rcode::NOERROR, &[(Section::Answer, text, Data::A([10, 0, 0, last].into()))])
    }

    fn put(cache: &mut Cache, now: Instant, text: &str, last: u8, keep: u32) {
        cache.insert(now, &key(&name(text), Rtype::A), address(text, last), keep);
    }

    fn found(cache: &mut Cache, now: Instant, text: &str, kind: Rtype) -> Option<(Answer, Age)> {
        let name = name(text);
        cache.get(now, &key(&name, kind)).map(|hit| (hit.answer.clone(), hit.age))
    }

    #[test]
    fn an_answer_is_known_until_it_is_out_of_date() {
        let (mut cache, now) = (cache(10), Instant::now());
        put(&mut cache, now, "a.lan", 1, 300);
        assert_eq!(
            found(&mut cache, now + 299 * SECOND, "a.lan", Rtype::A),
            Some((address("a.lan", 1), Age::Fresh(299)))
        );
        assert_eq!(found(&mut cache, now, "a.lan", Rtype::AAAA), None);
        assert_eq!(found(&mut cache, now, "b.lan", Rtype::A), None);
        assert_eq!(found(&mut cache, now + 300 * SECOND, "a.lan", Rtype::A), None);
        assert_eq!((cache.len(), cache.octets()), (0, 0));
        assert_eq!(cache.counts(), Counts { inserted: 1, evicted: 0, expired: 1 });
        put(&mut cache, now, "a.lan", 1, 0);
        assert_eq!(cache.len(), 0, "nothing is kept for no time");
    }

    #[test]
    fn bits_that_change_answers_are_part_of_the_key() {
        let (mut cache, now, name) = (cache(10), Instant::now(), name("a.lan"));
        let plain = key(&name, Rtype::A);
        cache.insert(now, &plain, address("a.lan", 1), 300);
        for other in [
            Key { dnssec_ok: true, ..plain },
            Key { checking_disabled: true, ..plain },
            Key { class: Class::CH, ..plain },
            Key { kind: Rtype::ANY, ..plain },
        ] {
            assert!(cache.get(now, &other).is_none(), "{other:?}");
        }
        cache.insert(now, &Key { dnssec_ok: true, ..plain }, address("a.lan", 2), 300);
        assert_eq!(cache.get(now, &plain).unwrap().answer, &address("a.lan", 1));
    }

    #[test]
    fn no_such_name_holds_for_all_types() {
        let (mut cache, now) = (cache(10), Instant::now());
        put(&mut cache, now, "a.lan", 1, 300);
        let no_name = answer("a.lan", Rtype::TXT, Rcode::NXDOMAIN, &[]);
        cache.insert(now, &key(&name("a.lan"), Rtype::TXT), no_name.clone(), 60);
        assert_eq!(found(&mut cache, now, "a.lan", Rtype::A), Some((no_name.clone(), Age::Fresh(0))));
        assert_eq!(found(&mut cache, now, "a.lan", Rtype::MX), Some((no_name, Age::Fresh(0))));
        put(&mut cache, now, "a.lan", 2, 300);
        assert_eq!(found(&mut cache, now, "a.lan", Rtype::MX), None, "there is one after all");
        assert_eq!(cache.len(), 1);
        // Behind an alias it is the alias's end that does not exist.
        let behind = [(Section::Answer, "b.lan", Data::Cname(name("c.lan")))];
        let behind = answer("b.lan", Rtype::A, Rcode::NXDOMAIN, &behind);
        cache.insert(now, &key(&name("b.lan"), Rtype::A), behind, 60);
        assert_eq!(found(&mut cache, now, "b.lan", Rtype::CNAME), None);
    }

    #[test]
    fn answers_out_of_date_are_told_as_the_settings_say() {
        let now = Instant::now();
        for (stale, until) in [(Stale::Never, 300), (Stale::For(100 * SECOND), 400), (Stale::Always, 1_000_000)] {
            let mut cache = Cache::new(Caching { size: 10, stale, ..Caching::default() });
            put(&mut cache, now, "a.lan", 1, 300);
            let age = |cache: &mut Cache, seconds| {
                found(cache, now + seconds * SECOND, "a.lan", Rtype::A).map(|(_, age)| age)
            };
            assert_eq!(age(&mut cache, 299), Some(Age::Fresh(299)));
            assert_eq!(age(&mut cache, until - 1), Some(if until == 300 { Age::Fresh(299) } else { Age::Stale }));
            assert_eq!(age(&mut cache, until).is_none(), stale != Stale::Always);
        }
    }

    #[test]
    fn times_stay_within_their_bounds() {
        let settings = Caching { size: 10, min_ttl: 100, max_ttl: Some(200), ..Caching::default() };
        let (mut cache, now) = (Cache::new(settings), Instant::now());
        put(&mut cache, now, "short.lan", 1, 10);
        put(&mut cache, now, "long.lan", 1, 1000);
        for (text, lives) in [("short.lan", 100), ("long.lan", 200)] {
            let (answer, _) = found(&mut cache, now + (lives - 1) * SECOND, text, Rtype::A).unwrap();
            assert_eq!(records(answer.octets())[0], [format!("{text} 200 A 10.0.0.1")]);
            assert_eq!(found(&mut cache, now + lives * SECOND, text, Rtype::A), None);
        }
    }

    #[test]
    fn types_that_are_not_named_are_not_kept() {
        let settings = Caching { size: 10, only: vec![Rtype::AAAA], ..Caching::default() };
        let (mut cache, now) = (Cache::new(settings), Instant::now());
        put(&mut cache, now, "a.lan", 1, 300);
        assert!(cache.is_empty());
    }

    #[test]
    fn what_is_asked_for_outlives_what_is_not() {
        let (mut cache, now) = (cache(10), Instant::now());
        (0..10).for_each(|number| put(&mut cache, now, &format!("n{number}.lan"), number, 300));
        for number in 10..100 {
            assert!(found(&mut cache, now, "n3.lan", Rtype::A).is_some(), "before {number}");
            put(&mut cache, now, &format!("n{number}.lan"), number, 300);
        }
        assert_eq!(cache.len(), 10);
        assert_eq!(cache.counts(), Counts { inserted: 100, evicted: 90, expired: 0 });
    }

    #[test]
    fn other_settings_keep_what_has_its_place() {
        let (mut cache, now) = (cache(10), Instant::now());
        (0..10).for_each(|number| put(&mut cache, now, &format!("n{number}.lan"), number, 300));
        cache.reconfigure(Caching { size: 20, ..Caching::default() });
        assert_eq!(found(&mut cache, now + SECOND, "n9.lan", Rtype::A), Some((address("n9.lan", 9), Age::Fresh(1))));
        cache.reconfigure(Caching { size: 3, ..Caching::default() });
        assert_eq!((cache.len(), cache.counts().inserted), (3, 10));
        cache.reconfigure(Caching { size: 0, ..Caching::default() });
        assert!(cache.is_empty());
        put(&mut cache, now, "a.lan", 1, 300);
        assert!(cache.is_empty());
    }

    #[test]
    fn large_answers_do_not_take_all_the_room() {
        let (mut cache, now) = (cache(100), Instant::now());
        let large = |text: &str, octets| {
            let data = Data::Other { kind: Rtype::TXT, data: vec![0; octets] };
            answer(text, Rtype::TXT, Rcode::NOERROR, &[(Section::Answer, text, data)])
        };
        for number in 0..100 {
            let text = format!("n{number}.lan");
            cache.insert(now, &key(&name(&text), Rtype::TXT), large(&text, 10_000), 300);
            assert!(cache.octets() <= cache.room());
        }
        assert_eq!(cache.len(), 5);
        cache.insert(now, &key(&name("x.lan"), Rtype::TXT), large("x.lan", 20_000), 300);
        assert_eq!(found(&mut cache, now, "x.lan", Rtype::TXT), None);
    }

    proptest! {
        /// Against a map without bounds: what the cache gives is what was put last under that very key.
        #[test]
        fn it_gives_what_was_put_and_keeps_its_bounds(
            size in 0usize..12,
            steps in prop::collection::vec((0..12u8, 0..20u8, 0..3u8, any::<bool>(), 0..40u32), 0..200),
        ) {
            let mut cache = cache(size);
            let mut model: HashMap<(u8, bool, Option<u8>), (Answer, Instant, u32)> = HashMap::new();
            let mut now = Instant::now();
            for (serial, (step, which, kind, dnssec_ok, seconds)) in steps.into_iter().enumerate() {
                let text = format!("n{which}.lan");
                let name = name(&text);
                let kinds = [Rtype::A, Rtype::TXT, Rtype::AAAA];
                let key = Key { dnssec_ok, ..key(&name, kinds[usize::from(kind)]) };
                let unique = Data::Other { kind: key.kind, data: (serial as u32).to_be_bytes().to_vec() };
                match step {
                    0..5 => {
                        let answer = answer(&text, key.kind, Rcode::NOERROR, &[(Section::Answer, &text, unique)]);
                        cache.insert(now, &key, answer.clone(), seconds);
                        model.remove(&(which, dnssec_ok, None));
                        model.insert((which, dnssec_ok, Some(kind)), (answer, now, seconds));
                    }
                    5 => {
                        let answer = answer(&text, key.kind, Rcode::NXDOMAIN, &[(Section::Authority, "lan", unique)]);
                        cache.insert(now, &key, answer.clone(), seconds);
                        model.retain(|(name, bit, _), _| (*name, *bit) != (which, dnssec_ok));
                        model.insert((which, dnssec_ok, None), (answer, now, seconds));
                    }
                    6 => now += seconds * SECOND,
                    7 if seconds == 0 => {
                        cache.clear();
                        model.clear();
                    }
                    _ => {
                        let known = model.get(&(which, dnssec_ok, Some(kind))).or(model.get(&(which, dnssec_ok, None)));
                        if let Some(hit) = cache.get(now, &key) {
                            let (answer, made, keep) = known.expect("something was put there");
                            prop_assert_eq!(hit.answer, answer);
                            prop_assert!(now - *made < *keep * SECOND, "it is out of date");
                            prop_assert_eq!(hit.age, Age::Fresh((now - *made).as_secs() as u32));
                        }
                    }
                }
                prop_assert!(cache.len() <= size && cache.octets() <= cache.room());
            }
        }
    }
}
