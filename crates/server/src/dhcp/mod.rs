//! The DHCPv4 service: one thread that receives a burst, asks the [`engine`], writes the leases once, and sends.

mod addresses;
mod answer;
mod batch;
mod changes;
mod delayed;
#[cfg(test)]
mod end_tests;
pub mod engine;
mod exchange;
#[cfg(test)]
mod flood_tests;
mod lease_time;
mod limits;
mod manners;
#[cfg(test)]
mod manners_tests;
mod names;
mod probes;
mod proxy;
#[cfg(test)]
mod proxy_tests;
mod relay;
mod request;
mod strangers;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::{ConflictCheck, Gives};
use dhcp::router_advert::RouterAdvert;
use ipnet::Ipv4Net;
use leases::{Clock, LeaseStore, UnixSecs};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::net::burst::{Arrivals, BURST};
use crate::net::{ArpSocket, DhcpSocket, EchoSocket, ForwardSocket, Outbox, PxeSocket, RouterMessage, RouterSocket};
use crate::report::Reporter;
pub use changes::{About, LeaseChange};
use engine::{Effect, Engine};

/// How often the clock is looked at while nobody asks for anything.
const LOOKS_AT_CLOCK: Duration = Duration::from_secs(60);
/// What was taken on before the end is given so long to become durable.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What the service serves.
#[derive(Clone, Debug)]
pub struct Settings {
    pub links: Vec<Link>,
    pub dhcp: config::Dhcp,
    pub policy: Arc<boot::Policy>,
}

/// An interface that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub interface: String,
    /// That of the interface, or of the one in whose place it is served.
    pub name: String,
    /// Ours on it, with their prefixes.
    pub addresses: Vec<Ipv4Net>,
    /// Whether machines are served there. Else only servers' answers to our relays are heard.
    pub serves: bool,
}

impl Link {
    /// An interface that machines are served on.
    pub fn new(interface: &str, addresses: Vec<Ipv4Net>) -> Link {
        Link { interface: interface.to_owned(), name: interface.to_owned(), addresses, serves: true }
    }

    /// Gives a range the subnet of a network of ours where only a guess was there.
    fn settle(&self, range: &mut config::Range) {
        let (first, last) = match range.gives {
            Gives::Addresses(first, last) => (first, last),
            // All that is left of the address said is the network that was guessed from it.
            Gives::Reserved | Gives::Proxy => return,
        };
        let ours = self.addresses.iter().find(|net| net.contains(&first) && net.contains(&last));
        if let Some(net) = ours.filter(|_| range.guessed) {
            if range.broadcast == range.subnet.broadcast() {
                range.broadcast = net.broadcast();
            }
            (range.subnet, range.guessed) = (net.trunc(), false);
        }
    }
}

/// The sockets of one link, opened beforehand.
pub struct Sockets {
    pub dhcp: DhcpSocket,
    /// Port 4011, where PXE clients may ask there; see [`config::Dhcp::listens_on_4011`].
    pub pxe: Option<PxeSocket>,
    pub arp: ArpSocket,
    pub echo: EchoSocket,
    pub router: RouterSocket,
}

/// The running service; dropping it stops it.
pub struct DhcpService {
    stop: Arc<EventFd>,
    orders: Orders,
    thread: Option<JoinHandle<()>>,
}

impl DhcpService {
    /// Starts serving in a thread of its own. `links`: the sockets of each link of the settings, in order.
    /// `forward`: where requests go out that are relayed. `first`: what it is to do before it serves.
    ///
    /// # Errors
    /// When the kernel gives no thread or event descriptor.
    pub fn start(
        settings: Settings,
        links: Vec<Sockets>,
        forward: Option<ForwardSocket>,
        store: Box<dyn LeaseStore>,
        reporter: Reporter,
        first: Vec<Order>,
    ) -> io::Result<DhcpService> {
        let orders =
            Orders(Arc::new((EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?, Mutex::default())));
        first.into_iter().for_each(|order| orders.give(order));
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let engine = Engine::new(settings, store, reporter.machines.clone());
        let troubled = reporter.clone();
        let links = links.into_iter().map(LinkState::new).collect();
        let service = Loop {
            engine,
            links,
            forward,
            reporter,
            stop: stop.clone(),
            orders: orders.clone(),
            send_fails: false,
            watchers: Vec::new(),
            arrivals: Arrivals::new(),
            outbox: Outbox::new(),
        };
        let run = move || {
            // A fault in here must not look like a quiet network.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.run())).is_err() {
                troubled
                    .warn("the DHCP service ended by a fault of its own", "start lanboot again, and report the fault");
            }
        };
        let thread = std::thread::Builder::new().name("dhcp".into()).spawn(run)?;
        Ok(DhcpService { stop, orders, thread: Some(thread) })
    }

    /// How others tell the service to do something.
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }
}

/// Tells the running service to do something, from any thread.
#[derive(Clone)]
pub struct Orders(Arc<(EventFd, Mutex<Vec<Order>>)>);

/// What the running service can be told.
pub enum Order {
    /// Serve on these terms from now on; leases and offers stay.
    Reconfigure(Box<config::Dhcp>),
    /// Serve this link too, or again where one of its interface was served before.
    PutLink(Box<(Link, Sockets)>),
    /// The link of this interface has these addresses now.
    Readdress { interface: String, addresses: Vec<Ipv4Net> },
    /// Say this to whoever runs us, and what to do about it.
    Warn { text: String, fix: String },
    /// Tell here too what becomes of leases, all that are known first. `in_detail`: with the whole of [`About`], of which only
    /// the domain is there otherwise.
    Watch { in_detail: bool, watcher: Box<dyn FnMut(LeaseChange) + Send> },
}

impl Orders {
    pub fn give(&self, order: Order) {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // The counter of an event descriptor overflows only after more orders than there can be.
        let _ = self.0.0.write(1);
    }

    fn take(&self) -> Vec<Order> {
        let _ = self.0.0.read();
        std::mem::take(&mut *self.0.1.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for DhcpService {
    fn drop(&mut self) {
        // The counter of an event descriptor that is written once cannot overflow, the one way for this to fail.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    engine: Engine,
    links: Vec<LinkState>,
    /// Where there is something to relay.
    forward: Option<ForwardSocket>,
    reporter: Reporter,
    stop: Arc<EventFd>,
    orders: Orders,
    /// That sending fails is said once.
    send_fails: bool,
    watchers: Vec<Box<dyn FnMut(LeaseChange) + Send>>,
    arrivals: Arrivals,
    outbox: Outbox,
}

struct LinkState {
    sockets: Sockets,
    advert: RouterAdvert,
    /// That the interface is gone is said once.
    is_gone: bool,
}

impl Loop {
    fn run(mut self) {
        let mut buffer = vec![0; 4096];
        self.obey();
        self.act();
        loop {
            let ready = self.wait();
            if ready.orders {
                self.obey();
            }
            let now = clock();
            // A link that came just now was not waited for yet.
            for (at, ready) in ready.links.iter().enumerate() {
                self.hear(at, ready, now, &mut buffer);
            }
            self.engine.handle_timeout(clock());
            self.engine.flush(now);
            self.act();
            if ready.stop {
                let end = Instant::now() + LAST_WRITES;
                while settle(&mut self.engine, clock, end) {
                    self.act();
                }
                return;
            }
        }
    }

    fn hear(&mut self, at: usize, ready: &ReadyLink, now: Clock, buffer: &mut [u8]) {
        let Loop { engine, links, reporter, arrivals, .. } = self;
        let link = &mut links[at];
        if ready.arp {
            while let Some((address, mac)) = link.sockets.arp.receive() {
                engine.address_answered(now, address, Some(mac));
            }
            link.look_after_interface(reporter);
        }
        if ready.echo {
            while let Some(address) = link.sockets.echo.receive() {
                engine.address_answered(now, address, None);
            }
        }
        if ready.router {
            link.answer_solicitations(reporter);
        }
        if engine.is_busy() {
            return;
        }
        for number in 0..link.sockets.dhcp.receive(arrivals) {
            if let Some(arrived) = arrivals.arrived(number) {
                engine.handle(now, at, arrived.octets);
            }
        }
        for _ in 0..BURST {
            let Some((octets, from)) = link.sockets.pxe.as_ref().and_then(|pxe| pxe.receive(buffer)) else { break };
            engine.handle_pxe(now, at, from, octets);
        }
    }

    fn obey(&mut self) {
        for order in self.orders.take() {
            match order {
                Order::Reconfigure(dhcp) => self.engine.reconfigure(*dhcp),
                Order::Readdress { interface, addresses } => {
                    if let Some(at) = self.engine.readdress(&interface, &addresses) {
                        self.links[at].sockets.dhcp.readdress(addresses);
                    }
                }
                Order::Warn { text, fix } => self.reporter.warn(&text, &fix),
                Order::PutLink(put) => {
                    let (link, sockets) = *put;
                    let state = LinkState::new(sockets);
                    match self.engine.put_link(link) {
                        at if at < self.links.len() => self.links[at] = state,
                        _ => self.links.push(state),
                    }
                }
                Order::Watch { in_detail, mut watcher } => {
                    watcher(self.engine.watch(in_detail));
                    self.watchers.push(watcher);
                }
            }
        }
    }

    fn wait(&self) -> Ready {
        let now = Instant::now();
        let timeout = self.engine.poll_timeout().map(|at| at.saturating_duration_since(now));
        // That the wall clock was set shows when it is looked at.
        let timeout = Some(timeout.map_or(LOOKS_AT_CLOCK, |timeout| timeout.min(LOOKS_AT_CLOCK)));
        // A millisecond more than asked, so as not to wake just before the deadline.
        let timeout = timeout.map_or(PollTimeout::NONE, |wait| {
            PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.orders.0.0.as_fd(), PollFlags::POLLIN),
        ];
        // An answer of the disk has nothing to be told apart from: it is asked for in every round.
        let disk = self.engine.readiness().map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // While too much waits for the disk, more requests wait in their sockets.
        let requests = if self.engine.is_busy() { PollFlags::empty() } else { PollFlags::POLLIN };
        for LinkState { sockets, .. } in &self.links {
            let pxe = sockets.pxe.as_ref().map_or(sockets.dhcp.as_fd(), PxeSocket::as_fd);
            fds.extend([sockets.dhcp.as_fd(), pxe].map(|fd| PollFd::new(fd, requests)));
            let others = [sockets.arp.as_fd(), sockets.echo.as_fd(), sockets.router.as_fd()];
            fds.extend(others.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        let has_disk = disk.is_some();
        fds.extend(disk);
        // An interrupted wait is a wait that found nothing.
        let _ = poll(&mut fds, timeout);
        let any: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let links = any[2..any.len() - usize::from(has_disk)]
            .chunks(5)
            .map(|any| ReadyLink { arp: any[2], echo: any[3], router: any[4] })
            .collect();
        Ready { stop: any[0], orders: any[1], links }
    }

    fn act(&mut self) {
        // The link whose replies are in the box.
        let mut boxed = 0;
        for effect in self.engine.drain() {
            let result = match effect {
                Effect::Send { link, reply } => {
                    let former = std::mem::replace(&mut boxed, link);
                    if former != link {
                        let rest = self.links[former].sockets.dhcp.send(&mut self.outbox);
                        tell(rest, &mut self.send_fails, &self.reporter);
                    }
                    self.links[link].sockets.dhcp.put(reply, &mut self.outbox)
                }
                Effect::SendPxe { link, reply } => match &self.links[link].sockets.pxe {
                    Some(socket) => socket.send(&reply).map(|()| 1),
                    None => continue,
                },
                Effect::Forward { from, to, octets } => {
                    self.forward.as_ref().map_or(Ok(0), |socket| socket.send(from, to, &octets).map(|()| 1))
                }
                Effect::Probe { link, address, how: ConflictCheck::Icmp } => {
                    self.links[link].sockets.echo.ask(address).map(|()| 1)
                }
                Effect::Probe { link, address, .. } => self.links[link].sockets.arp.ask(address).map(|()| 1),
                Effect::Lease(change) => {
                    if let Some((last, others)) = self.watchers.split_last_mut() {
                        others.iter_mut().for_each(|watcher| watcher(change.clone()));
                        last(change);
                    }
                    continue;
                }
                Effect::Happened { link, machine, step } => {
                    // With one interface alone there is nothing to tell apart.
                    match link.filter(|_| self.links.len() > 1) {
                        Some(link) => self.reporter.step_on(self.links[link].sockets.dhcp.interface(), machine, step),
                        None => self.reporter.step(machine, step),
                    }
                    continue;
                }
            };
            tell(result, &mut self.send_fails, &self.reporter);
        }
        if let Some(link) = self.links.get(boxed) {
            tell(link.sockets.dhcp.send(&mut self.outbox), &mut self.send_fails, &self.reporter);
        }
    }
}

impl LinkState {
    fn new(sockets: Sockets) -> LinkState {
        LinkState { sockets, advert: RouterAdvert::default(), is_gone: false }
    }

    /// Spares machines in iPXE the wait for an IPv6 router where there is none.
    fn answer_solicitations(&mut self, reporter: &Reporter) {
        while let Some(message) = self.sockets.router.receive() {
            let now = Instant::now();
            match message {
                RouterMessage::Advertisement => self.advert.router_heard(),
                RouterMessage::Solicitation { from, address } if reporter.machines.is_in_ipxe(from, now) => {
                    if self.advert.solicited(now, from) {
                        // Should this fail, the machine waits a little longer, as it would without us.
                        let _ = self.sockets.router.say_no_router(from, address);
                    }
                }
                RouterMessage::Solicitation { .. } => {}
            }
        }
    }

    /// Packet sockets wake us when their interface goes down or away.
    fn look_after_interface(&mut self, reporter: &Reporter) {
        let gone = self.sockets.arp.interface_is_gone();
        if gone && !std::mem::replace(&mut self.is_gone, true) {
            reporter.warn(
                "the interface that we serve on was deleted: no machine reaches us any more",
                "end lanboot and start it again",
            );
        }
    }
}

struct Ready {
    stop: bool,
    orders: bool,
    links: Vec<ReadyLink>,
}

struct ReadyLink {
    arp: bool,
    echo: bool,
    router: bool,
}

/// Says once, until some are sent again, that packets cannot be sent. `sent`: how many were.
fn tell(sent: io::Result<usize>, send_fails: &mut bool, reporter: &Reporter) {
    match sent {
        Ok(0) => {}
        Ok(_) => *send_fails = false,
        Err(error) if !std::mem::replace(send_fails, true) => {
            let text = format!("DHCP packets cannot be sent: {error}");
            reporter.warn(&text, "see whether the interface is still there and up");
        }
        Err(_) => {}
    }
}

/// Waits until the batch under way is settled, and lets go what follows from it. False: there was none, or `end` came first.
fn settle(engine: &mut Engine, clock: impl Fn() -> Clock, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    let Some(disk) = engine.readiness().filter(|_| engine.is_writing() && !left.is_zero()) else { return false };
    let wait = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    // One that was interrupted, or has found nothing, is begun again as long as there is time.
    let _ = poll(&mut [PollFd::new(disk, PollFlags::POLLIN)], wait);
    engine.flush(clock());
    true
}

fn clock() -> Clock {
    let mut running = Instant::now();
    loop {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let clock = Clock { wall: UnixSecs(wall), running: Instant::now() };
        // Held up between the two, it would look as if one of them had been set.
        if clock.running - std::mem::replace(&mut running, clock.running) < Duration::from_secs(1) {
            return clock;
        }
    }
}
