//! One query in flight.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Wanted;
use crate::lookups::{Line, Logged};
use crate::query::{Asked, Key};
use crate::resolver::{Client, Failure, Transport};
use crate::routes::Index;
use crate::{Answer, Name, Question};

/// A question that upstream servers are asked, for all clients that ask it.
#[derive(Debug)]
pub(crate) struct Flight {
    pub question: Question,
    pub waiters: Vec<Waiter>,
    /// Whose share it counts to: the first of those who wait.
    pub(super) asked_by: Option<IpAddr>,
    pub began: Instant,
    /// What servers said, or what else went wrong.
    pub failures: Vec<(Index, Failure)>,
    /// A server changed letters, and was asked by TCP for that.
    pub(super) lost_letters: bool,
    /// What a server said that could not say the whole over UDP.
    pub cut: Option<Answer>,
    /// As [`make_key`] makes it.
    pub(super) key: Box<[u8]>,
    /// Servers in the order in which they are asked.
    pub(super) order: Vec<Index>,
    /// The next one to be asked, by its place in the order.
    pub(super) next: usize,
    pub(super) begun_again: bool,
    /// How often servers were late.
    pub(super) rounds: u32,
    pub(super) sent: usize,
    pub(super) due: Instant,
    /// Attempts that may still be answered.
    pub(super) pending: Vec<u64>,
}

/// A client that waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub client: Client,
    pub asked: Asked<Box<[u8]>>,
    /// The query's number in the log.
    pub serial: u64,
    /// It asked for a name of ours that leads, by these, to the name that others are asked for.
    pub aliases: Vec<Alias>,
}

/// A step from a name of ours to another.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub target: Name,
    pub ttl: u32,
}

/// A query that was sent to a server.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// `None`: it has ended, another server being quicker.
    pub(super) flight: Option<u64>,
    pub server: Index,
    pub by: Transport,
    pub id: u16,
    /// Name with the letters that were sent, type, class.
    pub question: Box<[u8]>,
    /// Letters are random, and an answer must repeat them.
    pub letters: bool,
    pub dnssec_ok: bool,
    /// It went with an OPT record.
    pub edns: bool,
    pub at: Instant,
    /// It is held against the server already that nothing came.
    pub(super) late: bool,
}

/// A query that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub flight: Flight,
    pub how: How,
    /// Servers that gave no answer, in the order in which that showed.
    pub failures: Vec<(SocketAddr, Failure)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Answered { by: SocketAddr, server: Index },
    Failed,
}

const DO: u8 = 1;
const CD: u8 = 2;
const RD: u8 = 4;

/// Name, type and class as in a question, then the bits that answers depend on.
pub(super) fn make_key(wanted: &Wanted<'_>, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(wanted.key.name);
    key.extend_from_slice(&wanted.key.kind.to_int().to_be_bytes());
    key.extend_from_slice(&wanted.key.class.to_int().to_be_bytes());
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    key.push(bit(wanted.key.dnssec_ok, DO) | bit(wanted.key.checking_disabled, CD) | bit(wanted.recursion_desired, RD));
}

impl Flight {
    pub(super) fn new(now: Instant, wanted: &Wanted<'_>, key: Box<[u8]>, order: Vec<Index>) -> Flight {
        Flight {
            question: super::question(wanted),
            waiters: Vec::new(),
            asked_by: None,
            began: now,
            failures: Vec::new(),
            lost_letters: false,
            cut: None,
            key,
            order,
            next: 0,
            begun_again: false,
            rounds: 0,
            sent: 0,
            due: now,
            pending: Vec::new(),
        }
    }

    /// By which its answer is kept.
    pub fn key(&self) -> Key<'_> {
        Key {
            name: self.question.name.as_wire(),
            kind: self.question.kind,
            class: self.question.class,
            dnssec_ok: self.dnssec_ok(),
            checking_disabled: self.checking_disabled(),
        }
    }

    /// Name in lower case, type, class.
    pub fn question_octets(&self) -> Vec<u8> {
        self.key[..self.key.len() - 1].to_vec()
    }

    pub fn dnssec_ok(&self) -> bool {
        self.bits() & DO != 0
    }

    pub fn checking_disabled(&self) -> bool {
        self.bits() & CD != 0
    }

    pub fn recursion_desired(&self) -> bool {
        self.bits() & RD != 0
    }

    fn bits(&self) -> u8 {
        self.key[self.key.len() - 1]
    }

    /// Each in its turn, and again from the first.
    pub(super) fn next_server(&mut self) -> Option<Index> {
        if self.next >= self.order.len() {
            self.begin_again();
        }
        let server = self.order.get(self.next).copied()?;
        self.next += 1;
        Some(server)
    }

    /// Returns how many servers there are.
    pub(super) fn begin_again(&mut self) -> usize {
        self.begun_again = true;
        self.next = 0;
        self.order.len()
    }

    pub(super) fn asked_all(&self) -> bool {
        self.begun_again || self.next >= self.order.len()
    }

    pub(super) fn just_asked(&self, many: usize) -> &[Index] {
        &self.order[self.next.saturating_sub(many)..self.next]
    }

    /// Servers have other places now, or none.
    pub(super) fn move_servers(&mut self, places: &[Option<Index>], lives: impl Fn(u64) -> bool) {
        let place = |server: Index| places.get(server).copied().flatten();
        self.next = self.order[..self.next].iter().filter(|server| place(**server).is_some()).count();
        self.order = self.order.iter().filter_map(|server| place(*server)).collect();
        self.failures = self.failures.iter().filter_map(|(server, what)| Some((place(*server)?, *what))).collect();
        self.pending.retain(|token| lives(*token));
    }

    /// That it goes to this server; `None` where nobody waits.
    pub(super) fn log_line(&self, to: SocketAddr) -> Option<Line> {
        let waiter = self.waiters.first()?;
        let what = Logged::Forwarded { name: self.question.name.clone(), to };
        Some(Line { serial: waiter.serial, client: waiter.client.address, what })
    }
}

impl Waiter {
    pub fn new(client: &Client, asked: &Asked<&[u8]>, serial: u64) -> Waiter {
        Waiter { client: *client, asked: asked.keep(), serial, aliases: Vec::new() }
    }

    /// The same query of the same client.
    pub(super) fn is(&self, other: &Waiter) -> bool {
        self.asked.id == other.asked.id
            && self.client.address == other.client.address
            && self.client.transport == other.client.transport
            && self.asked.question.eq_ignore_ascii_case(&other.asked.question)
    }
}
