//! What upstream servers said, for as long as it holds; bounded by answers and by octets.

mod arena;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::answer::{Age, Answer};
use crate::query::Key;
use crate::settings::{Caching, Stale};
use crate::{Class, Rcode, Rtype};

/// Answers by name, type, class, DO and CD. That a name does not exist is known for all types at once (RFC 8020 says why),
/// if that was said when addresses of IPv4 were asked for: of types that they do not know, AAAA above all, broken servers
/// say that the name does not exist (RFC 4074 section 4.2). An answer with records counts before such a denial.
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
    answers: arena::Arena,
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
    pub answer: Answer<&'a [u8]>,
    /// [`Age::Stale`]: it is to be asked anew.
    pub age: Age,
}

/// Small, as there are many: 20 octets.
struct Entry {
    /// Where its answer is; [`NOWHERE`]: it is empty.
    at: u32,
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

impl Entry {
    /// That there is no such name.
    fn is_for_all(&self) -> bool {
        self.marks & ALL_KINDS != 0
    }
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
            answers: arena::Arena::default(),
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
        let hash = self.hasher.hash_one(key.name);
        let exact = self.find(key, Some(key.kind), hash, |entry, _| !entry.is_for_all());
        let mut known = exact.and_then(|at| self.holding(now, at));
        if !matches!(known, Some((_, Age::Fresh(_)))) {
            let denial = self.find(key, None, hash, |entry, _| entry.is_for_all());
            let denial = denial.and_then(|at| self.holding(now, at));
            known = denial.filter(|(_, age)| known.is_none() || *age != Age::Stale).or(known);
        }
        let (at, age) = known?;
        let entry = &mut self.entries[at];
        entry.used = true;
        Some(Hit { answer: Answer::of(self.answers.get(entry.at)), age })
    }

    /// Whether records of this name are known that still hold, of whatever type.
    pub fn has(&mut self, now: Instant, name: &[u8], class: Class) -> bool {
        let (now, hash) = (self.seconds(now), self.hasher.hash_one(name));
        let holds = |entry: &Entry| now.saturating_sub(entry.made) < entry.lives;
        let mut of_name = self.of_name(name, class, None, hash);
        of_name.any(|(_, entry, answer)| holds(entry) && answer.code() == Rcode::NOERROR && !answer.is_empty())
    }

    /// Keeps an answer to `key` for `keep` seconds, within the bounds of the settings, in place of what was known. What is
    /// too large, or of a type that is not kept, is not.
    pub fn insert(&mut self, now: Instant, key: &Key<'_>, mut answer: Answer, keep: u32) {
        debug_assert_eq!((answer.name(), answer.kind(), answer.class()), (key.name, key.kind, key.class));
        let hash = self.hasher.hash_one(answer.name());
        let denies = answer.code() == Rcode::NXDOMAIN && answer.is_empty() && answer.kind() == Rtype::A;
        self.make_way(key, hash, denies);
        let (min, max) = (self.settings.min_ttl, self.settings.max_ttl.unwrap_or(u32::MAX));
        let bound = |ttl: u32| ttl.min(max).max(min);
        let lives = bound(keep);
        let size = answer.size() + OVERHEAD;
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
        let marks = marks(key) | if denies { ALL_KINDS } else { 0 };
        let entry = Entry { at: NOWHERE, next: 0, made: now, lives, tag: tag(hash), marks, used: false };
        self.place(hash, entry, answer.octets());
        self.counts.inserted += 1;
    }

    /// Forgets what is known of this: something else holds now that is not to be kept.
    pub fn forget(&mut self, key: &Key<'_>) {
        self.make_way(key, self.hasher.hash_one(key.name), false);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.chains.fill(0);
        self.entries.clear();
        self.answers.clear();
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
        for entry in old.entries.into_iter().filter(|entry| entry.at != NOWHERE) {
            let answer = Answer::of(old.answers.get(entry.at));
            let size = answer.size() + OVERHEAD;
            if self.live < self.settings.size.min(LARGEST) && self.octets + size <= self.room() {
                let hash = self.hasher.hash_one(answer.name());
                self.place(hash, Entry { next: 0, tag: tag(hash), ..entry }, answer.octets());
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
        self.settings.size.min(LARGEST).saturating_mul(USUAL_OCTETS).clamp(16_384, 1 << 31)
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

    /// The entry, if it holds or may be told though it does not. Otherwise it is removed.
    fn holding(&mut self, now: u32, at: usize) -> Option<(usize, Age)> {
        let entry = &self.entries[at];
        let age = now.saturating_sub(entry.made);
        match age.checked_sub(entry.lives) {
            None => Some((at, Age::Fresh(age))),
            Some(late) if late < self.longest_stale() => Some((at, Age::Stale)),
            Some(_) => {
                self.remove(at);
                self.counts.expired += 1;
                None
            }
        }
    }

    /// Makes room for a newer answer to `key`. `denies`: it says that there is no such name, so nothing that was said without
    /// records counts beside it.
    fn make_way(&mut self, key: &Key<'_>, hash: u64, denies: bool) {
        let gives_way = |entry: &Entry, answer: &Answer<&[u8]>| {
            entry.is_for_all() || answer.kind() == key.kind || (denies && answer.is_empty())
        };
        while let Some(at) = self.find(key, None, hash, gives_way) {
            self.remove(at);
        }
    }

    /// The entry with the name, class, DO and CD of `key` and this type (`None`: any) that `accepts` takes.
    fn find(
        &self,
        key: &Key<'_>,
        kind: Option<Rtype>,
        hash: u64,
        accepts: impl Fn(&Entry, &Answer<&[u8]>) -> bool,
    ) -> Option<usize> {
        let marks = marks(key);
        let accepts = |(_, entry, answer): &(usize, &Entry, Answer<&[u8]>)| {
            entry.marks & !ALL_KINDS == marks && accepts(entry, answer)
        };
        self.of_name(key.name, key.class, kind, hash).find(accepts).map(|(at, ..)| at)
    }

    fn of_name<'c>(
        &'c self,
        name: &'c [u8],
        class: Class,
        kind: Option<Rtype>,
        hash: u64,
    ) -> impl Iterator<Item = (usize, &'c Entry, Answer<&'c [u8]>)> {
        let (tag, mut next) = (tag(hash), self.chains[self.chain(hash)]);
        std::iter::from_fn(move || {
            while next != 0 {
                let at = next as usize - 1;
                let entry = &self.entries[at];
                next = entry.next;
                if entry.tag == tag {
                    let answer = Answer::of(self.answers.get(entry.at));
                    if answer.is_for(name, class, kind) {
                        return Some((at, entry, answer));
                    }
                }
            }
            None
        })
    }

    fn chain(&self, hash: u64) -> usize {
        hash as usize & (self.chains.len() - 1)
    }

    fn place(&mut self, hash: u64, entry: Entry, answer: &[u8]) {
        self.live += 1;
        self.octets += answer.len() + OVERHEAD;
        let chain = self.chain(hash);
        let at = match self.empty {
            0 => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
            empty => {
                let at = empty as usize - 1;
                self.empty = std::mem::replace(&mut self.entries[at], entry).next;
                at
            }
        };
        self.entries[at].at = self.answers.push(at as u32, answer);
        self.entries[at].next = std::mem::replace(&mut self.chains[chain], at as u32 + 1);
    }

    fn remove(&mut self, at: usize) {
        let (number, after) = (at as u32 + 1, self.entries[at].next);
        let answer = Answer::of(self.answers.get(self.entries[at].at));
        self.octets -= answer.size() + OVERHEAD;
        self.live -= 1;
        let chain = self.chain(self.hasher.hash_one(answer.name()));
        let mut before = self.chains[chain];
        if before == number {
            self.chains[chain] = after;
        } else {
            while self.entries[before as usize - 1].next != number {
                before = self.entries[before as usize - 1].next;
            }
            self.entries[before as usize - 1].next = after;
        }
        let entry = &mut self.entries[at];
        entry.next = std::mem::replace(&mut self.empty, number);
        let place = std::mem::replace(&mut entry.at, NOWHERE);
        self.answers.free(place, |owner, at| self.entries[owner as usize].at = at);
    }

    /// Removes one. There is one: callers need room that would be there otherwise.
    fn make_room(&mut self, now: u32) {
        let stale = self.longest_stale();
        loop {
            let at = self.hand % self.entries.len();
            self.hand = at + 1;
            let entry = &mut self.entries[at];
            if entry.at == NOWHERE {
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

/// Of an empty entry.
const NOWHERE: u32 = u32::MAX;

/// What an answer takes beside its octets.
const OVERHEAD: usize = size_of::<Entry>() + arena::HEAD;

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
mod tests;
