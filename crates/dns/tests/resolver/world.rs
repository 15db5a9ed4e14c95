//! A world of clients and upstream servers around a [`Resolver`], with a clock of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dns::resolver::{Client, Effect, Handled, Resolver, Token, Transport};
use dns::settings::{Forwarding, Route, Scope, Server, Settings, To};
use dns::{Name, Rcode, Rtype};

/// What an upstream server does with queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers after so many milliseconds.
    Answers(u64),
    Nothing,
    /// The kernel says at once that nobody listens.
    Unreachable,
    Says(Rcode),
    /// TC over UDP, everything over TCP.
    Truncates,
    /// The name comes back in lower case.
    LosesLetters,
    /// And over TCP nobody listens.
    LosesLettersAndTcp,
    /// An address and TC over UDP; over TCP the kernel says that nobody listens, or nothing comes.
    CutsAndRefusesTcp,
    CutsAndIgnoresTcp,
    /// Only queries without EDNS are understood.
    KnowsNoEdns,
    /// Answers every second query.
    LosesEverySecond(u64),
    /// Octets that are no message, of the right id and question.
    Babbles,
    /// Sends queries on to us.
    LeadsBack,
    /// Forged answers first: wrong ids, names, letters; then the true one after so many milliseconds.
    IsForged(u64),
    NoSuchName(u64),
    /// Of types other than A it says that there is no such name (RFC 4074 section 4.2).
    DeniesAllButA,
}

pub struct World {
    pub resolver: Resolver,
    pub start: Instant,
    pub now: Instant,
    servers: Vec<(SocketAddr, Does)>,
    agenda: BinaryHeap<Reverse<(Instant, u64, Happens)>>,
    serial: u64,
    /// By client port and id: when it asked, and what it was told.
    pub asked: BTreeMap<(u16, u16), (Instant, Vec<Told>)>,
    /// How often each of these was sent.
    tries: BTreeMap<(u16, u16), usize>,
    /// Queries that servers got: which, how, what for.
    pub got: Vec<(Instant, u16, Transport, Vec<u8>)>,
    pub others: Vec<Effect>,
    /// Our queries in flight: server's port and id.
    live: BTreeMap<u64, (u16, [u8; 2])>,
    seen_by: BTreeMap<u16, u64>,
}

/// A reply and when it came.
pub type Told = (Instant, Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Answer(u64, Vec<u8>),
    Unreachable(u64),
    /// A client's or a looping server's query, from this port.
    Query(u16, Vec<u8>),
    Replaced(u16, u64),
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn server(port: u16) -> Server {
    Server { address: ([192, 0, 2, 1], port).into(), from: None, interface: None }
}

/// Servers for all names, on ports 1, 2, 3 and so on.
pub fn settings(servers: usize, change: impl FnOnce(&mut Forwarding)) -> Settings {
    let route = |port| Route { scope: Scope::All, to: To::Server(server(port as u16)) };
    let mut settings = Settings { routes: (1..=servers).map(route).collect(), ..Settings::default() };
    settings.forward.detect_loops = false;
    change(&mut settings.forward);
    settings
}

pub fn query(id: u16, name_asked: &str, kind: Rtype) -> Vec<u8> {
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name_asked.split('.') {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets.extend_from_slice(&kind.to_int().to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    octets
}

/// With an empty OPT record that takes 1232 octets.
pub fn with_edns(mut octets: Vec<u8>) -> Vec<u8> {
    octets[11] += 1;
    octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    octets
}

fn question_end(query: &[u8]) -> usize {
    let mut at = 12;
    while query[at] != 0 {
        at += 1 + usize::from(query[at]);
    }
    at + 5
}

/// An answer to our query: an address that names the server's port, or the code alone.
pub fn answer(query: &[u8], code: Rcode, port: u16) -> Vec<u8> {
    let end = question_end(query);
    let mut octets = query[..end].to_vec();
    octets[2] = 0x81;
    octets[3] = 0x80 | code.to_int();
    octets[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    if code == Rcode::NOERROR && octets[end - 4..end - 2] == [0, 1] {
        octets[7] = 1;
        octets.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 9, 9, 9, port as u8]);
    }
    octets
}

/// That there is no such name, for a minute.
pub fn deny(query: &[u8], port: u16) -> Vec<u8> {
    let mut octets = answer(query, Rcode::NXDOMAIN, port);
    octets[9] = 1;
    octets.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0]);
    (0..5).for_each(|_| octets.extend_from_slice(&[0, 0, 0, 60]));
    octets
}

/// The address that a reply tells.
pub fn address(reply: &[u8]) -> Option<Ipv4Addr> {
    let end = question_end(reply);
    let told = reply.get(end + 12..end + 16).filter(|_| reply[7] > 0)?;
    <[u8; 4]>::try_from(told).ok().map(Ipv4Addr::from)
}

pub fn code(reply: &[u8]) -> Rcode {
    Rcode::masked_from_int(reply[3])
}

impl World {
    pub fn new(settings: Settings, servers: &[Does]) -> World {
        let start = Instant::now();
        World {
            resolver: Resolver::new(settings, [42; 32]),
            start,
            now: start,
            servers: servers.iter().zip(1..).map(|(does, port)| (server(port).address, *does)).collect(),
            agenda: BinaryHeap::new(),
            serial: 0,
            asked: BTreeMap::new(),
            tries: BTreeMap::new(),
            got: Vec::new(),
            others: Vec::new(),
            live: BTreeMap::new(),
            seen_by: BTreeMap::new(),
        }
    }

    /// So many servers that `does` alike, and default settings.
    pub fn of(servers: &[Does]) -> World {
        World::new(settings(servers.len(), |_| ()), servers)
    }

    pub fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// A client asks, so many milliseconds after the start.
    pub fn ask(&mut self, millis: u64, port: u16, octets: Vec<u8>) {
        self.plan(self.at(millis), Happens::Query(port, octets));
    }

    /// From then on the server on this port does something else.
    pub fn then(&mut self, millis: u64, port: u16, does: Does) {
        self.servers.push((server(port).address, does));
        let place = self.servers.len() as u64 - 1;
        self.plan(self.at(millis), Happens::Replaced(port, place));
    }

    fn plan(&mut self, when: Instant, what: Happens) {
        self.serial += 1;
        self.agenda.push(Reverse((when, self.serial, what)));
    }

    /// Lets everything happen until nothing is left to.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            let event = self.agenda.peek().map(|Reverse((when, ..))| *when);
            let timer = self.resolver.poll_timeout();
            match (event, timer) {
                (None, None) => return,
                (Some(event), timer) if timer.is_none_or(|timer| event <= timer) => {
                    let Some(Reverse((when, _, what))) = self.agenda.pop() else { return };
                    self.now = when.max(self.now);
                    self.happens(what);
                }
                (_, Some(timer)) => {
                    assert!(timer >= self.now || self.now == self.start, "timers lie ahead");
                    self.now = timer.max(self.now);
                    self.resolver.handle_timeout(self.now);
                }
                (Some(_), None) => unreachable!("an event without a timer comes first"),
            }
            self.carry_out();
        }
        panic!("it never ends");
    }

    fn happens(&mut self, what: Happens) {
        match what {
            Happens::Answer(token, octets) => {
                if self.live.contains_key(&token) {
                    self.resolver.handle_answer(self.now, Token(token), &octets);
                }
            }
            Happens::Unreachable(token) => self.resolver.handle_unreachable(self.now, Token(token)),
            Happens::Replaced(port, place) => self.servers[usize::from(port) - 1].1 = self.servers[place as usize].1,
            Happens::Query(port, octets) => {
                let client = client(port);
                let id = u16::from_be_bytes([octets[0], octets[1]]);
                let (mut out, now) = (Vec::new(), self.now);
                *self.tries.entry((port, id)).or_default() += 1;
                let entry = self.asked.entry((port, id)).or_insert((now, Vec::new()));
                if self.resolver.handle_query(now, &client, &octets, &mut out) == Handled::Reply {
                    entry.1.push((now, out));
                }
            }
        }
    }

    fn carry_out(&mut self) {
        for effect in self.resolver.drain().collect::<Vec<_>>() {
            match effect {
                Effect::Reply { to, octets } => {
                    let id = u16::from_be_bytes([octets[0], octets[1]]);
                    let waits = self.asked.get_mut(&(to.address.port(), id)).expect("replies go to those who asked");
                    waits.1.push((self.now, octets));
                }
                Effect::Ask { token, server, by, octets } => {
                    let place = (server.address.port(), [octets[0], octets[1]]);
                    assert!(self.live.values().all(|other| *other != place), "an id is in flight once");
                    assert_eq!(self.live.insert(token.0, place), None, "a token is given once");
                    self.serve(token.0, server.address, by, &octets);
                }
                Effect::Over { token } => assert!(self.live.remove(&token.0).is_some(), "what is over was in flight"),
                other => self.others.push(other),
            }
        }
    }

    fn serve(&mut self, token: u64, address: SocketAddr, by: Transport, octets: &[u8]) {
        let port = address.port();
        self.got.push((self.now, port, by, octets.to_vec()));
        let count = self.seen_by.entry(port).or_default();
        *count += 1;
        let turn = *count;
        let does = self.servers[usize::from(port) - 1].1;
        let true_answer = answer(octets, Rcode::NOERROR, port);
        let after = |world: &mut World, millis: u64, octets: Vec<u8>| {
            let when = world.now + Duration::from_millis(millis);
            world.plan(when, Happens::Answer(token, octets));
        };
        match (does, by) {
            (Does::Nothing, _) => {}
            (Does::Unreachable, _) => self.plan(self.now, Happens::Unreachable(token)),
            (Does::Answers(millis), _) => after(self, millis, true_answer),
            (Does::Says(code), _) => after(self, 5, answer(octets, code, port)),
            (Does::DeniesAllButA, _) => {
                let end = question_end(octets);
                let is_known = octets[end - 4..end - 2] == [0, 1];
                let denial = deny(octets, port);
                after(self, 5, if is_known { true_answer } else { denial });
            }
            (Does::NoSuchName(millis), _) => after(self, millis, answer(octets, Rcode::NXDOMAIN, port)),
            (Does::Truncates, Transport::Udp) => {
                let mut cut = answer(octets, Rcode::SERVFAIL, port);
                cut[2] |= 0x02;
                cut[3] &= 0xf0;
                after(self, 5, cut);
            }
            (Does::CutsAndRefusesTcp | Does::CutsAndIgnoresTcp, Transport::Udp) => {
                let mut cut = true_answer;
                cut[2] |= 0x02;
                after(self, 5, cut);
            }
            (Does::CutsAndRefusesTcp | Does::LosesLettersAndTcp, Transport::Tcp) => {
                self.plan(self.now, Happens::Unreachable(token))
            }
            (Does::CutsAndIgnoresTcp, _) => {}
            (Does::LosesLetters | Does::LosesLettersAndTcp, Transport::Udp) => {
                let mut lower = true_answer;
                let end = question_end(&lower) - 4;
                lower[12..end].make_ascii_lowercase();
                after(self, 5, lower);
            }
            (Does::Truncates | Does::LosesLetters, Transport::Tcp) => after(self, 10, true_answer),
            (Does::KnowsNoEdns, _) if octets[11] > 0 => after(self, 5, answer(octets, Rcode::FORMERR, port)),
            (Does::KnowsNoEdns, _) => after(self, 5, true_answer),
            (Does::LosesEverySecond(_), _) if turn % 2 == 1 => {}
            (Does::LosesEverySecond(millis), _) => after(self, millis, true_answer),
            (Does::Babbles, _) => {
                let mut babble = true_answer;
                babble[7] = 9;
                after(self, 5, babble);
            }
            (Does::LeadsBack, _) => {
                let when = self.now + Duration::from_millis(1);
                self.plan(when, Happens::Query(60_000, octets.to_vec()));
            }
            (Does::IsForged(millis), _) => {
                for forged in forgeries(octets) {
                    after(self, 1, forged);
                }
                after(self, millis, true_answer);
            }
        }
    }

    /// What a client was told in the end; `None`: nothing.
    pub fn told(&self, port: u16, id: u16) -> Option<(Duration, &[u8])> {
        let (asked, told) = &self.asked[&(port, id)];
        assert!(told.len() <= self.tries[&(port, id)], "port {port} id {id} was told {} times", told.len());
        told.first().map(|(when, octets)| (*when - *asked, &**octets))
    }

    /// Everybody was told once, nobody waited longer than this, nothing is left in flight. Returns the longest wait.
    pub fn settled(&self, within: Duration) -> Duration {
        assert!(self.live.is_empty(), "left in flight: {:?}", self.live);
        let longest = self.asked.keys().filter(|(port, _)| *port != 60_000).map(|(port, id)| {
            let (waited, _) = self.told(*port, *id).unwrap_or_else(|| panic!("port {port} id {id} was told nothing"));
            assert!(waited <= within, "port {port} id {id} waited for {waited:?}");
            waited
        });
        longest.max().unwrap_or_default()
    }

    /// Ports of the servers that got queries, in that order.
    pub fn ports(&self) -> Vec<u16> {
        self.got.iter().map(|(_, port, ..)| *port).collect()
    }
}

pub fn client(port: u16) -> Client {
    Client {
        address: ([10, 0, 0, 9], port).into(),
        local: [10, 0, 0, 1].into(),
        interface: 1,
        transport: Transport::Udp,
        by: 0,
    }
}

/// Answers that somebody made up who does not see our query as it was sent.
fn forgeries(query: &[u8]) -> Vec<Vec<u8>> {
    let evil = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut octets = answer(query, Rcode::NOERROR, 66);
        change(&mut octets);
        octets
    };
    vec![
        evil(&|octets| octets[0] ^= 1),
        evil(&|octets| octets[1] ^= 0x80),
        evil(&|octets| octets[2] &= 0x7f),
        evil(&|octets| octets[13] ^= 1),
        evil(&|octets| {
            let kind = question_end(octets) - 3;
            octets[kind] = 28;
        }),
        evil(&|octets| octets[5] = 0),
        evil(&|octets| octets.truncate(11)),
        Vec::new(),
    ]
}
