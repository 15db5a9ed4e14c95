//! The DNS service: one thread with all its sockets, which asks the [`dns::Resolver`] what to say.
//!
//! Queries over UDP are answered in bursts ([`listener`], [`burst`]); what has to be asked elsewhere goes out by sockets
//! with random ports ([`upstream`]). Tasks of the thread share [`Edge`]; none of them waits while it borrows.

mod clients;
mod leases;
mod listener;
mod orders;
mod tcp;
mod upstream;
mod upstream_tcp;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Instant;

use config::DnsAt;
use dns::resolver::Interface;
use dns::settings::{Route, Server, Settings, To};
use dns::{Client, Effect, Handled, Resolver, Token, Transport};
use journal::Step;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, LocalSet, spawn_local, yield_now};

use crate::dns_log::{DnsLog, DnsNote};
use crate::net::DnsSockets;
use crate::net::burst::{Arrivals, Departures};
use crate::report::Reporter;
use clients::Clients;
pub(crate) use leases::Names;
use listener::Listener;
pub use orders::{Order, Orders};
use upstream::{Hear, Upstream};

/// Upstream queries over TCP at once; more count as not answered.
const TCP_ASKS: usize = 128;
/// Rounds of effects that follow from each other before others have their turn.
const ROUNDS: usize = 32;

/// The running service; dropping it stops it.
pub struct DnsService {
    orders: Orders,
    thread: Option<JoinHandle<()>>,
}

impl DnsService {
    /// Starts serving in a thread of its own. `first`: what it is to do before it serves.
    ///
    /// # Errors
    /// When the kernel gives no thread, descriptors or random numbers.
    pub fn start(
        config: config::Dns,
        sockets: Vec<DnsSockets>,
        reporter: Reporter,
        first: Vec<Order>,
    ) -> io::Result<DnsService> {
        let orders = Orders::default();
        first.into_iter().for_each(|order| orders.give(order));
        // Told before the thread runs: whoever starts us has said it all once it says that we are up.
        sockets.iter().for_each(|sockets| reporter.step(None, listening(sockets.address)));
        let told = sockets.len() as u64;
        sockets.into_iter().for_each(|sockets| orders.give(Order::Listen(sockets)));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (seeds, given) = ([seed()?, seed()?], orders.clone());
        let run = move || {
            let troubled = reporter.clone();
            // A fault in here must not look like a quiet network.
            let ended = catch_unwind(AssertUnwindSafe(|| serve(&runtime, config, seeds, reporter, given, told)));
            if ended.is_err() {
                troubled
                    .warn("the DNS service ended by a fault of its own", "start lanboot again, and report the fault");
            }
        };
        let thread = std::thread::Builder::new().name("dns".into()).spawn(run)?;
        Ok(DnsService { orders, thread: Some(thread) })
    }

    /// How others tell the service to do something.
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }
}

impl Drop for DnsService {
    fn drop(&mut self) {
        self.orders.give(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `told`: of so many listeners the journal has heard.
fn serve(runtime: &Runtime, config: config::Dns, seeds: [[u8; 32]; 2], reporter: Reporter, orders: Orders, told: u64) {
    let edge = Edge { told, ..Edge::new(config, seeds, reporter, orders) };
    LocalSet::new().block_on(runtime, Rc::new(edge).run());
}

fn listening(at: SocketAddr) -> Step {
    Step::Listening { service: "DNS".into(), at }
}

/// Random numbers of the kernel (getrandom(2)).
fn seed() -> io::Result<[u8; 32]> {
    let mut octets = [0; 32];
    // SAFETY: writes at most as much as there is room for. So few octets come whole or not at all.
    let got = unsafe { libc::getrandom(octets.as_mut_ptr().cast(), octets.len(), 0) };
    if got == octets.len() as isize { Ok(octets) } else { Err(io::Error::last_os_error()) }
}

/// What came and what is to go, of all sockets of the thread.
struct Burst {
    arrivals: Arrivals,
    replies: Departures,
}

/// What all tasks of the thread share.
struct Edge {
    resolver: RefCell<Resolver>,
    clients: RefCell<Clients>,
    connections: tcp::Connections,
    upstream: Upstream,
    listeners: RefCell<HashMap<u64, Rc<Listener>>>,
    next_listener: Cell<u64>,
    /// The journal has heard of the listeners before this one.
    told: u64,
    burst: RefCell<Burst>,
    interfaces: RefCell<Vec<Interface>>,
    /// As resolv.conf has them, ourselves included: where we listen may change.
    servers: RefCell<Vec<Server>>,
    settings: RefCell<Settings>,
    /// What the resolver has of the two.
    in_force: RefCell<(Settings, Vec<Server>)>,
    tcp_asks: RefCell<HashMap<Token, AbortHandle>>,
    /// Queries for which there was no socket just now.
    postponed: RefCell<Vec<(Token, Server, Vec<u8>)>>,
    log: RefCell<Option<DnsLog>>,
    reporter: Reporter,
    /// What has been said, and is not said again.
    said: RefCell<HashSet<String>>,
    orders: Orders,
    stopped: Cell<bool>,
}

impl Edge {
    fn new(config: config::Dns, [seed, other]: [[u8; 32]; 2], reporter: Reporter, orders: Orders) -> Edge {
        let edge = Edge {
            resolver: RefCell::new(Resolver::new(config.settings.clone(), seed)),
            clients: RefCell::default(),
            connections: tcp::Connections::default(),
            upstream: Upstream::new(config.settings.forward.ports, other),
            listeners: RefCell::default(),
            next_listener: Cell::default(),
            told: 0,
            burst: RefCell::new(Burst { arrivals: Arrivals::new(), replies: Departures::new() }),
            interfaces: RefCell::default(),
            servers: RefCell::default(),
            settings: RefCell::default(),
            in_force: RefCell::new((config.settings.clone(), Vec::new())),
            tcp_asks: RefCell::default(),
            postponed: RefCell::default(),
            log: RefCell::default(),
            reporter,
            said: RefCell::default(),
            orders,
            stopped: Cell::default(),
        };
        edge.take(config);
        edge
    }

    /// Does what there is to do beside receiving, until it is stopped.
    async fn run(self: Rc<Edge>) {
        let timer = tokio::time::sleep_until(Instant::now().into());
        tokio::pin!(timer);
        loop {
            self.obey();
            if self.stopped.get() {
                return;
            }
            self.flush();
            let postponed = self.postponed.take();
            if !postponed.is_empty() {
                // Sockets that make room are closed by their tasks.
                yield_now().await;
                self.ask_again(postponed);
            }
            let due = self.resolver.borrow().poll_timeout();
            if let Some(due) = due.filter(|due| *due != timer.deadline().into_std()) {
                timer.as_mut().reset(due.into());
            }
            tokio::select! {
                () = self.orders.woken() => {}
                () = &mut timer, if due.is_some() => {}
            }
            let now = Instant::now();
            if due.is_some_and(|due| due <= now) {
                self.guarded(|| self.resolver.borrow_mut().handle_timeout(now));
            }
        }
    }

    /// Does what others of our threads told us to do.
    fn obey(self: &Rc<Edge>) {
        let orders = self.orders.take();
        if orders.is_empty() {
            return;
        }
        // Leases come and go by the hundred, and settings may be long lists.
        let settles = orders.iter().any(Order::changes_what_is_asked);
        for order in orders {
            match order {
                Order::Reconfigure(config) => self.take(*config),
                Order::Servers(servers) => *self.servers.borrow_mut() = servers,
                Order::Hosts(files) => self.resolver.borrow_mut().set_hosts(files),
                Order::Interfaces(interfaces) => {
                    self.resolver.borrow_mut().set_interfaces(interfaces.clone());
                    *self.interfaces.borrow_mut() = interfaces;
                }
                Order::Listen(sockets) => self.listen(sockets),
                Order::Unlisten(at) => self.unlisten(&at),
                Order::LeaseGiven(lease) => self.resolver.borrow_mut().lease_given(lease),
                Order::LeaseEnded(address) => self.resolver.borrow_mut().lease_ended(address),
                Order::Watch(client) => self.resolver.borrow_mut().watch(Instant::now(), client),
                Order::ClearCache => self.resolver.borrow_mut().clear_cache(),
                // Who no longer waits for them needs none.
                Order::Statistics(to) => drop(to.send(self.resolver.borrow().statistics())),
                Order::LogTo(log) => *self.log.borrow_mut() = Some(log),
                Order::Warn { text, fix } => self.reporter.warn(&text, &fix),
                Order::Stop => self.stopped.set(true),
            }
        }
        if settles {
            self.settle();
        }
    }

    fn take(&self, config: config::Dns) {
        self.clients.borrow_mut().set_who(config.clients);
        self.connections.set_most(config.max_tcp);
        self.upstream.set_ports(config.settings.forward.ports);
        *self.settings.borrow_mut() = config.settings;
    }

    fn listen(self: &Rc<Edge>, sockets: DnsSockets) {
        let (by, address) = (self.next_listener.get(), sockets.address);
        self.next_listener.set(by + 1);
        self.unlisten(&sockets.at);
        match Listener::start(self, sockets, by) {
            Ok(listener) => {
                self.listeners.borrow_mut().insert(by, listener);
                if by >= self.told {
                    self.reporter.step(None, listening(address));
                }
            }
            Err(error) => self.say_once(&format!("DNS queries to {address} cannot be answered"), &error),
        }
    }

    fn unlisten(&self, at: &DnsAt) {
        self.listeners.borrow_mut().retain(|_, listener| {
            let stays = listener.at != *at;
            if !stays {
                listener.stop();
            }
            stays
        });
    }

    /// Brings what depends on several of our settings and addresses into line with them.
    fn settle(&self) {
        let (listeners, interfaces) = (self.listeners.borrow(), self.interfaces.borrow());
        for listener in listeners.values() {
            let interface = interfaces.iter().find(|interface| interface.name == listener.at.interface);
            listener.index.set(interface.map_or(0, |interface| interface.index));
        }
        let served = listeners.values().map(|listener| listener.at.interface.as_str());
        self.clients.borrow_mut().set_interfaces(&interfaces, served);
        let is_other = |server: &Server| !self.is_ourselves(server);
        let mut settings = self.settings.borrow().clone();
        settings.routes.retain(|Route { to, .. }| match to {
            To::Server(server) => is_other(server),
            _ => true,
        });
        let servers: Vec<Server> = self.servers.borrow().iter().copied().filter(is_other).collect();
        let mut resolver = self.resolver.borrow_mut();
        let mut in_force = self.in_force.borrow_mut();
        if in_force.0 != settings {
            in_force.0 = settings.clone();
            resolver.reconfigure(settings);
        }
        if in_force.1 != servers {
            in_force.1.clone_from(&servers);
            resolver.set_servers(servers);
        }
    }

    /// Whether this server is us: asking it would lead nowhere.
    fn is_ourselves(&self, server: &Server) -> bool {
        let mut address = server.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        let is_us = self
            .listeners
            .borrow()
            .values()
            .any(|listener| (listener.address.ip(), listener.address.port()) == (address.ip(), address.port()));
        if is_us {
            let text =
                format!("{} is to be asked for names, and is this service itself: it is left out", server.address.ip());
            self.warn_once(text, "name another server, in resolv.conf or in the configuration");
        }
        is_us
    }

    /// A client's query. The octets are the reply, where there is one already.
    fn ask(&self, client: &Client, query: &[u8]) -> (Handled, Vec<u8>) {
        let mut reply = Vec::new();
        let mut ask = || self.resolver.borrow_mut().handle_query(Instant::now(), client, query, &mut reply);
        let handled = self.guarded(&mut ask).unwrap_or(Handled::Dropped);
        self.orders.wake();
        (handled, reply)
    }

    /// Does what the resolver wants to be done.
    fn flush(self: &Rc<Edge>) {
        for _ in 0..ROUNDS {
            let (mut lost, mut late) = (Vec::new(), Vec::new());
            for effect in self.resolver.borrow_mut().drain() {
                self.act(effect, &mut lost, &mut late);
            }
            for listener in late {
                listener.send_pending(&mut self.burst.borrow_mut().replies);
            }
            if lost.is_empty() {
                return;
            }
            lost.into_iter().for_each(|token| self.unreachable(token));
        }
        // The rest has its turn once others had theirs.
        self.orders.wake();
    }

    /// `lost`: queries that could not be sent. `late`: listeners with replies to be sent.
    fn act(self: &Rc<Edge>, effect: Effect, lost: &mut Vec<Token>, late: &mut Vec<Rc<Listener>>) {
        match effect {
            Effect::Reply { to, octets } if to.transport == Transport::Tcp => self.connections.reply(to.by, octets),
            Effect::Reply { to, octets } => {
                // Where an address went meanwhile, nothing can come from it.
                let Some(listener) = self.listeners.borrow().get(&to.by).cloned() else { return };
                listener.push(to.address, octets);
                if !late.iter().any(|known| Rc::ptr_eq(known, &listener)) {
                    late.push(listener);
                }
            }
            Effect::Ask { token, server, by: Transport::Udp, octets } => {
                match self.upstream.ask(self, (token, server), &octets, lost) {
                    Err(error) if upstream::is_limit(&error) => {
                        self.postponed.borrow_mut().push((token, server, octets));
                    }
                    Err(_) => lost.push(token),
                    Ok(()) => {}
                }
            }
            Effect::Ask { token, server, by: Transport::Tcp, octets } => {
                let mut asks = self.tcp_asks.borrow_mut();
                if asks.len() >= TCP_ASKS {
                    return lost.push(token);
                }
                asks.insert(token, spawn_local(self.clone().ask_by_tcp(token, server, octets)).abort_handle());
            }
            Effect::Log(line) => {
                if let Some(log) = &*self.log.borrow() {
                    log.tell(DnsNote::Query(line));
                }
            }
            Effect::Warn { text, fix } => self.reporter.warn(&text, &fix),
            Effect::LookedUp { client, name, kind, outcome } => self.reporter.looked_up(client, &name, kind, outcome),
            Effect::Over { token } => match self.tcp_asks.borrow_mut().remove(&token) {
                Some(task) => task.abort(),
                None => {
                    self.postponed.borrow_mut().retain(|(other, ..)| *other != token);
                    self.upstream.over(token);
                }
            },
        }
    }

    fn ask_again(self: &Rc<Edge>, postponed: Vec<(Token, Server, Vec<u8>)>) {
        let mut lost = Vec::new();
        for (token, server, octets) in postponed {
            if self.upstream.ask(self, (token, server), &octets, &mut lost).is_err() {
                lost.push(token);
            }
        }
        lost.into_iter().for_each(|token| self.unreachable(token));
    }

    async fn ask_by_tcp(self: Rc<Edge>, token: Token, server: Server, octets: Vec<u8>) {
        let answer = upstream_tcp::ask(server, &octets).await;
        self.tcp_asks.borrow_mut().remove(&token);
        match answer {
            Ok(answer) => self.answer(token, &answer),
            Err(error) => {
                self.complain(&error);
                self.unreachable(token);
            }
        }
    }

    /// That a server is not reached is its own matter; what is wrong with us is said.
    fn complain(&self, error: &io::Error) {
        if upstream::is_limit(error) {
            let text = "there are too many open files to ask upstream DNS servers as we would";
            self.warn_once(text.into(), "allow for more: `ulimit -n`, LimitNOFILE= of a systemd service");
        } else if matches!(
            error.raw_os_error(),
            Some(libc::EADDRINUSE | libc::EADDRNOTAVAIL | libc::EACCES | libc::ENODEV)
        ) {
            self.say_once("an upstream DNS server cannot be asked from the address, port or interface said", error);
        }
    }

    fn say_once(&self, what: &str, error: &io::Error) {
        let fix = if upstream::is_limit(error) { "allow for more open files: `ulimit -n`" } else { "see `ip address`" };
        self.warn_once(format!("{what}: {error}"), fix);
    }

    fn warn_once(&self, text: String, fix: &str) {
        let mut said = self.said.borrow_mut();
        if !said.contains(&text) {
            self.reporter.warn(&text, fix);
            said.insert(text);
        }
    }

    /// A fault in one query must not end the service for all.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work));
        if done.is_err() {
            self.warn_once("the DNS service met a fault of its own, and goes on".into(), "report the fault");
        }
        done.ok()
    }
}

impl Hear for Edge {
    fn answer(&self, token: Token, octets: &[u8]) {
        self.guarded(|| self.resolver.borrow_mut().handle_answer(Instant::now(), token, octets));
        self.orders.wake();
    }

    fn unreachable(&self, token: Token) {
        self.guarded(|| self.resolver.borrow_mut().handle_unreachable(Instant::now(), token));
        self.orders.wake();
    }

    fn trouble(&self, error: &io::Error) {
        self.complain(error);
    }
}
