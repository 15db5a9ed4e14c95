//! The whole service without its sockets: queries and upstream answers in, replies and upstream queries out.

mod answering;
mod asking;
mod leading;
mod reading;
mod refusing;
mod telling;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::forward::Forward;
use crate::local::Names;
use crate::lookups::Watched;
use crate::random::Random;
use crate::routes::Routes;
use crate::seldom::Seldom;
use crate::settings::{Server, Settings};
use crate::{Cache, Class, Limits, Name, Rcode, Rtype};

/// Who asks, and how to reach them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: SocketAddr,
    /// Ours, that was asked.
    pub local: IpAddr,
    /// The kernel's number of the interface that the query came by; 0: not known.
    pub interface: u32,
    pub transport: Transport,
    /// Means something to the caller alone: a socket, a connection.
    pub by: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

/// One upstream query in flight: given back with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// What became of a query at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The reply is in the buffer.
    Reply,
    /// The reply comes later, as an [`Effect::Reply`].
    Waits,
    /// There will be none.
    Dropped,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Reply {
        to: Client,
        octets: Vec<u8>,
    },
    /// Ask this server. Over UDP from a random port; its answer counts only if it comes to that port, from that address.
    /// Several may share a port: `octets` begin with the query's id, and no two that are asked of one server at the same
    /// time have the same. Whatever comes is passed on, and the place kept, until [`Effect::Over`]: an answer that does
    /// not match may be a forged one.
    Ask {
        token: Token,
        server: Server,
        by: Transport,
        octets: Vec<u8>,
    },
    /// Nothing that comes for this query counts any more: its place on a port, or its connection, is free.
    Over {
        token: Token,
    },
    /// A machine that is being watched looked something up: once for each name and outcome.
    LookedUp {
        client: IpAddr,
        name: Name,
        kind: Rtype,
        outcome: Outcome,
    },
    /// A line of the query log, where one is kept.
    Log(crate::lookups::Line),
    /// Something that a person should know, once.
    Warn {
        text: String,
        fix: String,
    },
}

/// How a look-up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Addresses, or what else was asked for, as text; empty for an answer without such records. `local`: known here.
    Found { answers: Vec<String>, local: bool, millis: u32 },
    /// No such name. `by`: the upstream server that says so; `None`: we do.
    NoSuchName { by: Option<SocketAddr> },
    /// Upstream servers were asked, and none gave an answer. Each with what came of it.
    NoAnswer { asked: Vec<(SocketAddr, Failure)> },
    /// There is no upstream server to ask.
    NoServer,
    /// The reply's code, for any other reason of ours or theirs.
    Refused { code: Rcode, by: Option<SocketAddr> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing came.
    Silent,
    /// The kernel says that it cannot be reached, or nobody listens there.
    Unreachable,
    /// It said SERVFAIL, REFUSED and the like.
    Said(Rcode),
    /// What came was no answer to what was asked.
    Malformed,
}

/// Whether a name exists that an upstream server denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exists {
    NotThatWeKnow,
    /// Something else of it, or below it, is known here.
    Here,
    /// Records of it are in the cache.
    Kept,
}

/// The service.
pub struct Resolver {
    settings: Settings,
    resolv: Vec<Server>,
    routes: Routes,
    names: Names,
    cache: Cache,
    forward: Forward,
    watched: Watched,
    effects: VecDeque<Effect>,
    /// Of queries, counted from 1.
    serial: u64,
    counts: Counts,
    /// The latest time that we were told: setters have none of their own.
    now: Option<Instant>,
    rebind_warned: Seldom,
}

#[derive(Debug, Default)]
struct Counts {
    locally: u64,
    stale: u64,
}

/// An interface of ours with its addresses, for answers that depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number.
    pub index: u32,
    pub name: String,
    pub addresses: Vec<ipnet::IpNet>,
}

impl Resolver {
    /// `seed`: of what must not be guessed; from the kernel's random numbers.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Resolver {
        let mut forward = Forward::new(settings.forward.clone(), Random::new(seed));
        forward.log = settings.log;
        let mut resolver = Resolver {
            resolv: Vec::new(),
            routes: Routes::default(),
            names: Names::new(settings.local.clone()),
            cache: Cache::new(settings.cache.clone()),
            forward,
            watched: Watched::default(),
            effects: VecDeque::new(),
            serial: 0,
            counts: Counts::default(),
            now: None,
            rebind_warned: Seldom::default(),
            settings,
        };
        resolver.route();
        resolver
    }

    /// A client's message. `out` is emptied, and holds the reply if there is one.
    pub fn handle_query(&mut self, now: Instant, client: &Client, octets: &[u8], out: &mut Vec<u8>) -> Handled {
        self.wake(now);
        asking::handle(self, now, client, octets, out)
    }

    /// An upstream server's message to the port that the query `token` left from.
    pub fn handle_answer(&mut self, now: Instant, token: Token, octets: &[u8]) {
        self.wake(now);
        answering::handle(self, now, token, octets);
    }

    /// A query could not be sent, or the kernel says that nobody hears it.
    pub fn handle_unreachable(&mut self, now: Instant, token: Token) {
        self.wake(now);
        answering::unreachable(self, now, token);
    }

    /// When something is due; `None`: nothing is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.forward.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.wake(now);
        while let Some(ended) = self.forward.handle_timeout(now, &mut self.effects) {
            if let Some(ended) = ended {
                answering::failed(self, now, ended);
            }
        }
    }

    /// Whether [`Resolver::drain`] has anything to give.
    pub fn has_work(&self) -> bool {
        !self.effects.is_empty()
    }

    /// What is to be done now.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.effects.drain(..)
    }

    /// Takes other settings; the cache stays, unless they make it wrong.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.forward.reconfigure(settings.forward.clone());
        self.forward.log = settings.log;
        let answers = |of: &Settings| (of.routes.clone(), of.filter.clone(), of.forward.pass_ad);
        if answers(&self.settings) != answers(&settings) {
            self.cache.clear();
        }
        self.cache.reconfigure(settings.cache.clone());
        self.names.reconfigure(settings.local.clone());
        self.settings = settings;
        self.route();
    }

    /// Upstream servers by resolv.conf, in its order.
    pub fn set_servers(&mut self, servers: Vec<Server>) {
        self.resolv = servers;
        self.route();
    }

    /// The hosts files as they are now.
    pub fn set_hosts(&mut self, files: Vec<crate::hosts::File>) {
        for (path, fault) in self.names.set_hosts(files) {
            self.effects.push_back(Effect::Warn {
                text: format!("{path}:{}: {}", fault.line, fault.what),
                fix: fault.what.fix().to_owned(),
            });
        }
    }

    /// Our interfaces as they are now.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.names.set_interfaces(interfaces);
    }

    /// A lease was given; it takes the place of what was known of its address.
    pub fn lease_given(&mut self, lease: crate::local::Lease) {
        self.names.lease_given(lease);
    }

    pub fn lease_ended(&mut self, address: std::net::Ipv4Addr) {
        self.names.lease_ended(address);
    }

    /// From now on look-ups of the client with this address are told, for the time that a boot takes.
    pub fn watch(&mut self, now: Instant, client: IpAddr) {
        self.watched.watch(now, client);
    }

    /// Forgets all that upstream servers said.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
        self.forward.forget_failures();
    }

    /// Figures for people.
    pub fn statistics(&self) -> Statistics {
        let counts = self.cache.counts();
        Statistics {
            cache_size: self.settings.cache.size,
            cached: self.cache.len(),
            cache_octets: self.cache.octets(),
            queries: self.forward.len(),
            waiting: self.forward.waiting(),
            inserted: counts.inserted,
            evicted: counts.evicted,
            forwarded: self.forward.forwarded,
            answered_locally: self.counts.locally,
            answered_stale: self.counts.stale,
            servers: self.forward.upstreams.statistics(),
        }
    }

    /// Lays out anew who answers for which names.
    fn route(&mut self) {
        self.routes = Routes::new(&self.settings.routes, &self.resolv);
        self.forward.set_servers(self.now, self.routes.servers(), &mut self.effects);
    }

    /// Time goes on; what waited for the first time that we are told is done.
    fn wake(&mut self, now: Instant) {
        if self.now.is_none() {
            self.forward.look_for_loops(now, &mut self.effects);
        }
        self.now = Some(now);
    }

    fn exists(&mut self, now: Instant, name: &[u8], class: Class) -> Exists {
        match () {
            () if self.names.exists(now, name) || self.routes.has_addresses(name) => Exists::Here,
            () if self.cache.has(now, name, class) => Exists::Kept,
            () => Exists::NotThatWeKnow,
        }
    }

    fn limits(&self, client: &Client) -> Limits {
        Limits { transport: client.transport, payload: self.settings.forward.edns_max }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub cache_size: usize,
    pub cached: usize,
    /// What they take in memory.
    pub cache_octets: usize,
    /// In flight, and the clients that wait for them.
    pub queries: usize,
    pub waiting: usize,
    /// Answers ever put into the cache.
    pub inserted: u64,
    /// Answers that made room for others before their time.
    pub evicted: u64,
    pub forwarded: u64,
    /// From local data or the cache.
    pub answered_locally: u64,
    /// Of these, from answers out of date.
    pub answered_stale: u64,
    pub servers: Vec<ServerStatistics>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatistics {
    pub address: SocketAddr,
    pub asked: u64,
    /// Of these, for a query that it or another had been asked before.
    pub retried: u64,
    /// Answers with SERVFAIL, REFUSED and the like.
    pub failed: u64,
    /// Answers that there is no such name.
    pub no_such_name: u64,
    /// Smoothed; 0 while none came.
    pub latency_millis: u32,
}
