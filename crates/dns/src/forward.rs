//! Queries in flight: who waits for them, whom we asked, and when to ask again.

mod ask;
mod failed;
mod flight;
mod loops;
mod pace;
mod shares;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

pub(crate) use ask::{Ask, Opt};
pub(crate) use failed::Failures;
pub(crate) use flight::{Alias, Attempt, Ended, Flight, How, Waiter};

use crate::query::Key;
use crate::random::Random;
use crate::resolver::{Effect, Failure, Token, Transport};
use crate::routes::Index;
use crate::seldom::Seldom;
use crate::settings::{Forwarding, Server};
use crate::slots::Slots;
use crate::upstream::Upstreams;
use crate::{Answer, Name, Question, Rcode};

/// Where another server has answered already: how long an answer still shows how quick a server is.
const LINGERS: Duration = Duration::from_secs(2);
/// Who waits for one answer: all machines of a large lab that boots.
const WAITERS: usize = 1024;
/// How often one query is sent out at most.
const ATTEMPTS: usize = 24;

/// All queries in flight. Bounded by [`Forwarding::max`] queries, four times as many waiters and attempts.
pub(crate) struct Forward {
    settings: Forwarding,
    pub upstreams: Upstreams,
    pub log: bool,
    pub random: Random,
    flights: Slots<Flight>,
    by_key: HashMap<Box<[u8]>, u64>,
    attempts: Slots<Attempt>,
    failed: failed::Failed,
    timers: BTreeSet<(Instant, Timer)>,
    waiting: usize,
    shares: shares::Shares,
    warned: Seldom,
    /// A key being made, kept for its memory.
    key: Vec<u8>,
    pub forwarded: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A query's next step.
    Flight(u64),
    /// An attempt whose query has ended.
    Lingering(u64),
}

/// What is to be asked, and whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub key: Key<'a>,
    pub recursion_desired: bool,
    pub among: &'a [Index],
}

/// What became of a query that is to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    Waits,
    /// This client waits for it already.
    Repeated,
    /// Too many are in flight.
    Full,
    NoServer,
    /// Nobody answered it just now.
    Failed(Failures),
}

/// What an upstream message is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It answers the question.
    Answer,
    Failed(Failure),
    /// The whole of it is to be had by TCP. With what it says nevertheless.
    Truncated(Option<Answer>),
    /// Right but for its letters: perhaps forged, perhaps by a server that does not keep them.
    OtherLetters,
    /// It does not understand EDNS.
    NoEdns,
}

impl Forward {
    pub fn new(settings: Forwarding, random: Random) -> Forward {
        Forward {
            settings,
            upstreams: Upstreams::default(),
            log: false,
            random,
            flights: Slots::default(),
            by_key: HashMap::new(),
            attempts: Slots::default(),
            failed: failed::Failed::default(),
            timers: BTreeSet::new(),
            waiting: 0,
            shares: shares::Shares::default(),
            warned: Seldom::default(),
            key: Vec::new(),
            forwarded: 0,
        }
    }

    pub fn reconfigure(&mut self, settings: Forwarding) {
        self.settings = settings;
    }

    /// Takes other servers. Queries in flight to those that are gone are given up, and their next ones asked in time.
    pub fn set_servers(&mut self, now: Option<Instant>, servers: &[Server], effects: &mut VecDeque<Effect>) {
        let places = self.upstreams.set(servers);
        self.failed.clear();
        for token in self.attempts.numbers().collect::<Vec<_>>() {
            let attempt = self.attempts.get_mut(token).expect("a number that was just listed");
            match places.get(attempt.server).copied().flatten() {
                Some(place) => attempt.server = place,
                None => {
                    self.attempts.remove(token);
                    effects.push_back(Effect::Over { token: Token(token) });
                }
            }
        }
        for number in self.flights.numbers().collect::<Vec<_>>() {
            let attempts = &self.attempts;
            let flight = self.flights.get_mut(number).expect("a number that was just listed");
            flight.move_servers(&places, |token| attempts.get(token).is_some());
        }
        let lost =
            |timer: &(Instant, Timer)| matches!(timer.1, Timer::Lingering(token) if self.attempts.get(token).is_none());
        self.timers.retain(|timer| !lost(timer));
        if let Some(now) = now {
            self.look_for_loops(now, effects);
        }
    }

    /// Sees to it that this is asked, and that `from` gets its answer as well.
    pub fn ask(
        &mut self,
        now: Instant,
        wanted: &Wanted<'_>,
        from: Option<Waiter>,
        effects: &mut VecDeque<Effect>,
    ) -> Joined {
        flight::make_key(wanted, &mut self.key);
        if let Some(&number) = self.by_key.get(&*self.key) {
            return self.join(now, number, from, effects);
        }
        if let Some(failures) = self.failed.get(now, &self.key) {
            return Joined::Failed(failures);
        }
        if self.flights.len() >= self.settings.max || from.as_ref().is_some_and(|from| self.is_full_for(from, true)) {
            self.warn_full(now, effects);
            return Joined::Full;
        }
        let plan = self.upstreams.plan(now, wanted.among, self.settings.order);
        if plan.order.is_empty() {
            return Joined::NoServer;
        }
        let mut flight = Flight::new(now, wanted, self.key.as_slice().into(), plan.order);
        if let Some(from) = from {
            self.shares.add(from.client.address.ip(), true);
            self.waiting += 1;
            flight.asked_by = Some(from.client.address.ip());
            flight.waiters.push(from);
        }
        let key = flight.key.clone();
        let number = self.flights.insert(flight);
        self.by_key.insert(key, number);
        self.forwarded += 1;
        self.ask_next(now, number, plan.at_once, effects);
        Joined::Waits
    }

    /// One more waits for a query in flight; or one that waits already grows impatient.
    fn join(&mut self, now: Instant, number: u64, from: Option<Waiter>, effects: &mut VecDeque<Effect>) -> Joined {
        let Some(from) = from else { return Joined::Waits };
        let flight = self.flights.get_mut(number).expect("a key's query is in flight");
        if flight.waiters.iter().any(|waiter| waiter.is(&from)) {
            self.ask_next(now, number, 1, effects);
            return Joined::Repeated;
        }
        if flight.waiters.len() >= WAITERS {
            let name = flight.question.name.clone();
            self.warn_crowded(now, &name, effects);
            return Joined::Full;
        }
        if self.is_full_for(&from, false) {
            self.warn_full(now, effects);
            return Joined::Full;
        }
        let flight = self.flights.get_mut(number).expect("a key's query is in flight");
        self.shares.add(from.client.address.ip(), false);
        flight.waiters.push(from);
        self.waiting += 1;
        Joined::Waits
    }

    /// Whether too much waits already, of all clients or of this one.
    fn is_full_for(&self, from: &Waiter, with_new_question: bool) -> bool {
        let waits = self.settings.max * 4;
        let questions = if with_new_question { self.settings.max } else { usize::MAX };
        self.waiting >= waits || self.shares.is_full(from.client.address.ip(), questions, waits)
    }

    /// Sends a query out once more.
    fn send(&mut self, now: Instant, number: u64, server: Index, by: Transport, effects: &mut VecDeque<Effect>) {
        let flight = self.flights.get_mut(number).expect("the caller's query is in flight");
        if flight.sent >= ATTEMPTS {
            return;
        }
        flight.sent += 1;
        if flight.sent > 1 {
            self.upstreams.count_retry(server);
        }
        let edns = self.upstreams.takes_edns(now, server);
        let letters = self.settings.random_case && by == Transport::Udp && self.upstreams.takes_letters(now, server);
        let mut question = flight.question_octets();
        if letters {
            let name = question.len() - 4;
            self.random.recase(&mut question[..name]);
        }
        let opt = ask::Opt {
            payload: self.settings.edns_max,
            dnssec_ok: flight.dnssec_ok(),
            cpe_id: self.settings.cpe_id.as_deref(),
        };
        let id = self.upstreams.take_id(server, &mut self.random);
        let ask = ask::Ask {
            id,
            question: &question,
            recursion_desired: flight.recursion_desired(),
            checking_disabled: flight.checking_disabled(),
            authentic_data: self.settings.pass_ad,
            edns: edns.then_some(opt),
        };
        let octets = ask.octets();
        let attempt = Attempt {
            flight: Some(number),
            server,
            by,
            id,
            question: question.into(),
            letters,
            dnssec_ok: opt.dnssec_ok,
            edns,
            at: now,
            late: false,
        };
        let token = self.attempts.insert(attempt);
        flight.pending.push(token);
        let server = self.upstreams.server(server);
        if let Some(line) = flight.log_line(server.address).filter(|_| self.log) {
            effects.push_back(Effect::Log(line));
        }
        effects.push_back(Effect::Ask { token: Token(token), server, by, octets });
    }

    /// What failed just now may be asked again.
    pub fn forget_failures(&mut self) {
        self.failed.clear();
    }

    /// Queries in flight.
    pub fn len(&self) -> usize {
        self.flights.len()
    }

    /// Clients that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    pub fn attempt(&self, token: Token) -> Option<&Attempt> {
        self.attempts.get(token.0)
    }

    /// Something came for an attempt that is known. What does not match its question is not to be told here.
    pub fn came(&mut self, now: Instant, token: Token, worth: Worth, effects: &mut VecDeque<Effect>) -> Option<Ended> {
        let attempt = self.finish_attempt(token.0, effects)?;
        let server = attempt.server;
        let took = (attempt.by == Transport::Udp).then(|| now - attempt.at);
        match worth {
            Worth::Failed(Failure::Silent | Failure::Unreachable | Failure::Malformed) => {
                self.upstreams.missed(now, server);
                self.upstreams.count_failure(server);
            }
            Worth::Failed(Failure::Said(_)) => self.upstreams.count_failure(server),
            Worth::Answer | Worth::Truncated(_) | Worth::OtherLetters | Worth::NoEdns => {
                self.upstreams.answered(now, server, took);
            }
        }
        let number = attempt.flight?;
        let again = match worth {
            Worth::Answer => {
                return Some(self.end(
                    now,
                    number,
                    How::Answered { by: self.upstreams.server(server).address, server },
                    effects,
                ));
            }
            Worth::Truncated(answer) => {
                let flight = self.flights.get_mut(number).expect("an attempt's query is in flight");
                flight.cut = answer.or(flight.cut.take());
                Transport::Tcp
            }
            Worth::OtherLetters => {
                self.upstreams.spare_letters(now, server);
                self.flights.get_mut(number).expect("an attempt's query is in flight").lost_letters = true;
                Transport::Tcp
            }
            Worth::NoEdns => {
                self.upstreams.spare_edns(now, server);
                attempt.by
            }
            Worth::Failed(Failure::Unreachable) if attempt.by == Transport::Tcp && self.takes_letters_back(number) => {
                Transport::Udp
            }
            Worth::Failed(failure) => return self.failed(now, number, server, failure, effects),
        };
        // The others' turn does not wait for it: a server that asks for one thing after another could hold them up.
        self.send(now, number, server, again, effects);
        None
    }

    /// Whether a query without random letters, which nobody listens for by TCP, is to be sent over UDP after all: once.
    fn takes_letters_back(&mut self, number: u64) -> bool {
        self.flights.get_mut(number).is_some_and(|flight| std::mem::take(&mut flight.lost_letters))
    }

    /// A server cannot: the next one is asked. Where nobody is left, the query has failed.
    fn failed(
        &mut self,
        now: Instant,
        number: u64,
        server: Index,
        failure: Failure,
        effects: &mut VecDeque<Effect>,
    ) -> Option<Ended> {
        let flight = self.flights.get_mut(number).expect("an attempt's query is in flight");
        flight.failures.push((server, failure));
        if !flight.asked_all() {
            self.ask_next(now, number, 1, effects);
            return None;
        }
        flight.pending.is_empty().then(|| self.end(now, number, How::Failed, effects))
    }

    /// Takes an attempt out of the books.
    fn finish_attempt(&mut self, token: u64, effects: &mut VecDeque<Effect>) -> Option<Attempt> {
        let attempt = self.attempts.remove(token)?;
        self.upstreams.free_id(attempt.server, attempt.id);
        effects.push_back(Effect::Over { token: Token(token) });
        match attempt.flight.and_then(|number| self.flights.get_mut(number)) {
            Some(flight) => flight.pending.retain(|pending| *pending != token),
            None => {
                self.timers.remove(&(attempt.at + LINGERS, Timer::Lingering(token)));
            }
        }
        Some(attempt)
    }

    /// A query is over. Those that have not answered yet may still show how quick they are.
    fn end(&mut self, now: Instant, number: u64, how: How, effects: &mut VecDeque<Effect>) -> Ended {
        let mut flight = self.flights.remove(number).expect("the caller's query is in flight");
        self.by_key.remove(&flight.key);
        self.timers.remove(&(flight.due, Timer::Flight(number)));
        self.waiting -= flight.waiters.len();
        let mut asked_by = flight.asked_by;
        for waiter in &flight.waiters {
            let client = waiter.client.address.ip();
            self.shares.remove(client, asked_by.take_if(|first| *first == client).is_some());
        }
        for token in std::mem::take(&mut flight.pending) {
            let Some(attempt) = self.attempts.get_mut(token) else { continue };
            attempt.flight = None;
            let until = attempt.at + LINGERS;
            if matches!(how, How::Failed) {
                flight.failures.push((attempt.server, Failure::Silent));
            }
            if matches!(how, How::Answered { .. }) && until > now && self.attempts.len() < self.settings.max * 4 {
                self.timers.insert((until, Timer::Lingering(token)));
            } else {
                self.give_up(now, token, effects);
            }
        }
        if let How::Answered { server, .. } = how {
            // They could not, and it was possible.
            let wrong =
                flight.failures.iter().filter(|(failed, what)| matches!(what, Failure::Said(_)) && *failed != server);
            wrong.for_each(|(failed, _)| self.upstreams.missed(now, *failed));
        }
        let failures: Vec<_> =
            flight.failures.iter().map(|(server, what)| (self.upstreams.server(*server).address, *what)).collect();
        // A part of an answer is more than a failure, and nobody left to ask says nothing of the name.
        if matches!(how, How::Failed) && flight.cut.is_none() && !failures.is_empty() {
            self.failed.insert(now, &flight.key, failures.as_slice().into());
        }
        Ended { flight, how, failures }
    }

    /// Nothing came for an attempt, and nothing is waited for.
    fn give_up(&mut self, now: Instant, token: u64, effects: &mut VecDeque<Effect>) {
        let Some(attempt) = self.finish_attempt(token, effects) else { return };
        self.upstreams.count_failure(attempt.server);
        if !attempt.late {
            self.upstreams.missed(now, attempt.server);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Does one thing that is due. Returns whether there was any, with a query that has ended by it.
    pub fn handle_timeout(&mut self, now: Instant, effects: &mut VecDeque<Effect>) -> Option<Option<Ended>> {
        let &(due, timer) = self.timers.first()?;
        if due > now {
            return None;
        }
        self.timers.pop_first();
        Some(match timer {
            Timer::Flight(number) => self.step(now, number, effects),
            Timer::Lingering(token) => {
                self.give_up(now, token, effects);
                None
            }
        })
    }

    fn warn_crowded(&mut self, now: Instant, name: &Name, effects: &mut VecDeque<Effect>) {
        if self.warned.lets(now) {
            effects.push_back(Effect::Warn {
                text: format!("{WAITERS} DNS queries wait for one answer about {name}: more are refused"),
                fix: "see whether the upstream servers answer, and which machines ask for it so often".into(),
            });
        }
    }

    fn warn_full(&mut self, now: Instant, effects: &mut VecDeque<Effect>) {
        if !self.warned.lets(now) {
            return;
        }
        let max = self.settings.max;
        effects.push_back(Effect::Warn {
            text: format!("as many DNS queries wait for upstream servers as may ({max}, of one client three of four parts): more are refused"),
            fix: "see whether the upstream servers answer and which machine asks so much; or raise the limit: max_queries \
                  in [dns], dns-forward-max in the dnsmasq dialect"
                .to_owned(),
        });
    }
}

/// The code that tells a client why there is no answer: what a server said last, or SERVFAIL.
pub(crate) fn code_of(failures: &[(std::net::SocketAddr, Failure)]) -> Rcode {
    let said = failures.iter().rev().find_map(|(_, failure)| match failure {
        Failure::Said(code) => Some(*code),
        _ => None,
    });
    said.unwrap_or(Rcode::SERVFAIL)
}

/// The question of a query that a flight was made for.
pub(crate) fn question(wanted: &Wanted<'_>) -> Question {
    let name = Name::from_wire(wanted.key.name).expect("a key's name is whole");
    Question { name, kind: wanted.key.kind, class: wanted.key.class }
}
