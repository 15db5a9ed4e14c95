//! A network of clients around the DHCP engine and its store, on a clock and a disk of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot::rules::Rules;
use boot::{Hosts, Policy};
use config::{Allocation, Chooser, ConflictCheck, Dhcp, Gives, Identity, Range};
use dhcp::v4::Packet;
use journal::Step;
use leases::{Clock, EmbeddedStore, LeaseStore, Tuning, UnixSecs};
use server::dhcp::engine::{Effect, Engine};
use server::dhcp::{Link, Settings};
use server::machines::Machines;

use crate::chance::Chance;
use crate::client::{Client, Habits, SERVER};
use crate::disk::SimDisk;
use crate::slow::{Pace, SlowStore};
use crate::witness::Witness;

/// What the world is like.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub clients: u32,
    /// How many addresses there are to give.
    pub addresses: u32,
    pub lease: Duration,
    pub check: ConflictCheck,
    pub habits: Habits,
    /// Of a thousand packets, so many are lost.
    pub lost: u64,
    /// One in so many packets comes twice.
    pub twice_one_in: u64,
    /// A batch takes so many milliseconds at most.
    pub disk_takes: u64,
    /// The log is written anew from so many octets on.
    pub compact_above: u64,
}

pub struct Lan {
    pub setup: Setup,
    pub now: u64,
    start: Instant,
    /// What the wall clock is off by, in seconds.
    pub wall_is_off_by: i64,
    pub chance: Chance,
    pub disk: SimDisk,
    pub engine: Option<Engine>,
    pub machines: Arc<Machines>,
    pub pace: Pace,
    pub clients: Vec<Client>,
    agenda: BinaryHeap<Reverse<(u64, u64, Event)>>,
    events: u64,
    /// When what gathered is flushed.
    flushes: Option<u64>,
    /// In milliseconds, in place of what the setup says.
    pub disk_takes_always: Option<u64>,
    pub witness: Witness,
    /// Warnings to whoever runs the server.
    pub warnings: Vec<String>,
    /// Is told of all else that the engine says.
    pub listener: Option<Box<dyn FnMut(u64, Effect)>>,
    pub handled: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(Vec<u8>),
    Answer(usize, Vec<u8>),
    Wakes(usize, u64),
    /// Whoever uses the address says so.
    Probed(Ipv4Addr),
}

/// 2023-11-14.
const BEGAN: i64 = 1_700_000_000;

impl Lan {
    pub fn new(setup: Setup, seed: u64) -> Lan {
        let mut lan = Lan {
            setup,
            now: 1,
            start: Instant::now(),
            wall_is_off_by: 0,
            chance: Chance(seed),
            disk: SimDisk::new(seed),
            engine: None,
            machines: Arc::default(),
            pace: Pace::default(),
            clients: Vec::new(),
            agenda: BinaryHeap::new(),
            events: 0,
            flushes: None,
            disk_takes_always: None,
            witness: Witness::default(),
            warnings: Vec::new(),
            listener: None,
            handled: 0,
        };
        for number in 0..setup.clients {
            let due = 1 + lan.chance.below(2 * setup.habits.off);
            lan.clients.push(Client::new(number, setup.habits, due));
            lan.plans(number as usize);
        }
        lan
    }

    pub fn wall(&self) -> UnixSecs {
        let wall = BEGAN + self.wall_is_off_by + (self.now / 1000) as i64;
        UnixSecs(wall.try_into().expect("after 1970"))
    }

    pub fn clock(&self) -> Clock {
        Clock { wall: self.wall(), running: self.instant() }
    }

    pub fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    /// Starts the server on what the disk holds.
    pub fn starts_server(&mut self) {
        let tuning = Tuning { small_log: self.setup.compact_above, try_again: Duration::ZERO };
        let opened = EmbeddedStore::tuned(self.disk.clone(), tuning);
        let (store, _) = opened.expect("a disk without ills can be read");
        self.witness.found(self.now, self.wall(), store.table());
        let store = Box::new(SlowStore::new(store, self.pace.clone()));
        let mut engine = Engine::new(settings(&self.setup), store, self.machines.clone());
        if self.listener.is_some() {
            engine.watch(true);
        }
        self.engine = Some(engine);
    }

    /// The server is gone, and its power as well unless `kill`. The disk is as it is found afterwards.
    pub fn ends_server(&mut self, kill: bool) {
        (self.engine, self.flushes) = (None, None);
        self.disk = if kill { self.disk.after_kill() } else { self.disk.after_power_cut(self.chance.below(u64::MAX)) };
    }

    /// Ends the server, by a kill one time in so many, and goes on without it for less than `rest`.
    pub fn goes_without(&mut self, kill_one_in: u64, rest: u64) {
        let kill = self.chance.one_in(kill_one_in);
        self.ends_server(kill);
        let rest = self.chance.below(rest);
        self.runs_until(self.now + rest);
    }

    /// Whether anything is being written.
    pub fn is_writing(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.waiting().acknowledgements > 0)
    }

    /// Goes on until this time, or until the power is off.
    pub fn runs_until(&mut self, end: u64) {
        loop {
            let event = self.agenda.peek().map(|Reverse((when, ..))| *when);
            let server = self.server_due();
            let next = event.into_iter().chain(server).min().unwrap_or(u64::MAX);
            if next > end {
                self.now = self.now.max(end);
                return;
            }
            self.now = self.now.max(next);
            self.pace.now(self.now);
            if server.is_some_and(|due| due <= self.now) {
                self.server(|engine, now| {
                    engine.handle_timeout(now);
                    engine.flush(now);
                });
                self.flushes = None;
            } else if let Some(Reverse((_, _, event))) = self.agenda.pop() {
                self.happens(event);
            }
            if self.disk.is_off() {
                return;
            }
        }
    }

    fn server_due(&self) -> Option<u64> {
        let engine = self.engine.as_ref()?;
        let timer = engine.poll_timeout().map(|at| at.saturating_duration_since(self.start).as_millis() as u64);
        [timer, self.pace.due(), self.flushes].into_iter().flatten().min()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Wakes(number, due) => {
                // It may have been woken by an answer meanwhile.
                if self.clients[number].due == due {
                    let said = self.clients[number].wakes(self.now, &mut self.chance);
                    self.says(number, said);
                }
            }
            Event::Answer(number, octets) => {
                let answer = Packet::parse(&octets).expect("the server's own");
                let said = self.clients[number].hears(self.now, &answer, &mut self.chance);
                self.says(number, said);
            }
            Event::Arrives(octets) => {
                self.handled += u64::from(self.engine.is_some());
                self.server(|engine, now| engine.handle(now, 0, &octets));
                self.flushes = self.flushes.or(Some(self.now + self.chance.below(2)));
            }
            Event::Probed(address) => {
                let mut users = self.clients.iter().filter_map(|client| Some((client.mac, client.lease?)));
                let user = users.find(|(_, lease)| lease.address == address && lease.ends > self.now);
                if let Some((mac, _)) = user {
                    self.server(|engine, now| engine.address_answered(now, address, Some(mac)));
                    self.flushes = self.flushes.or(Some(self.now));
                }
            }
        }
    }

    /// What a client has to say, and when it acts again.
    fn says(&mut self, number: usize, said: Option<Vec<u8>>) {
        if let Some(octets) = said {
            self.witness.says(&self.clients[number], &octets);
            for _ in 0..self.copies() {
                let when = self.now + self.chance.between(0, 3);
                self.plan(when, Event::Arrives(octets.clone()));
            }
        }
        self.plans(number);
    }

    /// A client's due time has changed.
    pub fn plans(&mut self, number: usize) {
        let due = self.clients[number].due;
        self.plan(due, Event::Wakes(number, due));
    }

    fn plan(&mut self, when: u64, event: Event) {
        self.events += 1;
        self.agenda.push(Reverse((when, self.events, event)));
    }

    /// How often a packet arrives.
    fn copies(&mut self) -> u64 {
        let lost = self.chance.below(1000) < self.setup.lost;
        if lost { 0 } else { 1 + u64::from(self.chance.one_in(self.setup.twice_one_in)) }
    }

    fn server(&mut self, act: impl FnOnce(&mut Engine, Clock)) {
        let takes = self.disk_takes_always.unwrap_or(self.chance.between(0, self.setup.disk_takes));
        self.pace.takes(takes);
        let now = self.clock();
        let Some(mut engine) = self.engine.take() else { return };
        act(&mut engine, now);
        if !self.disk.is_off() {
            let effects: Vec<Effect> = engine.drain().collect();
            effects.into_iter().for_each(|effect| self.follows(effect));
        }
        self.engine = Some(engine);
    }

    fn follows(&mut self, effect: Effect) {
        match effect {
            Effect::Send { reply, .. } => {
                let answer = Packet::parse(&reply.octets).expect("the server's own");
                let number = Client::number(answer.mac().expect("all clients have Ethernet"));
                self.witness.sent(self.now, &self.clients[number], &answer);
                for _ in 0..self.copies() {
                    let when = self.now + self.chance.between(0, 3);
                    self.plan(when, Event::Answer(number, reply.octets.clone()));
                }
            }
            Effect::Probe { address, .. } => self.plan(self.now + 1, Event::Probed(address)),
            Effect::Happened { step: Step::Warning { text, .. }, .. } => self.warnings.push(text),
            other => {
                if let Some(listener) = &mut self.listener {
                    listener(self.now, other);
                }
            }
        }
    }

    /// A client goes for good, and a new one comes.
    pub fn replaces(&mut self, number: usize) {
        self.clients[number].reboots(u64::MAX);
        self.clients[number].lease = None;
        self.comes();
    }

    /// A new client.
    pub fn comes(&mut self) {
        let new = self.clients.len();
        self.clients.push(Client::new(new as u32, self.setup.habits, self.now + 1));
        self.plans(new);
    }
}

/// One link with one range.
fn settings(setup: &Setup) -> Settings {
    let first = Ipv4Addr::new(10, 0, 1, 0);
    let last = Ipv4Addr::from_bits(first.to_bits() + setup.addresses - 1);
    let range = Range {
        subnet: "10.0.0.0/16".parse().expect("a network"),
        guessed: false,
        broadcast: Ipv4Addr::new(10, 0, 255, 255),
        gives: Gives::Addresses(first, last),
        lease: setup.lease,
        set: None,
        when: Default::default(),
    };
    let dhcp = Dhcp {
        ranges: vec![range],
        shared: vec![],
        hosts: Hosts::default(),
        allocation: Allocation::Hashed,
        authoritative: true,
        lease_limit: None,
        client_rate: 1_000_000,
        conflict_check: setup.check,
        conflict_wait: Duration::from_millis(300),
        identity: Identity::Machine,
        ignores_client_id: false,
        relays: vec![],
        relays_as_servers: Default::default(),
        router: Some(SERVER),
        dns: vec![],
        domain: None,
        chooser: Chooser::Policy,
        rules: Rules::default(),
        manners: Default::default(),
    };
    let link = Link::new("net", vec!["10.0.0.1/16".parse().expect("an address")]);
    Settings { links: vec![link], dhcp, policy: Arc::new(Policy::default()) }
}
