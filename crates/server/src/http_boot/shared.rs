//! What the threads of HTTP share: the listeners with what is served on them, who is connected, and each other.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use journal::Step;
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::SockRef;

use super::connection::Connection;
use super::roll::Roll;
use super::shelf::Shelf;
use super::{Limits, Service};

/// Octets that may wait in the kernel unsent. With a quarter of this, a large file costs a fifth more processor time, for
/// ever more wake-ups; without a bound a dead machine would hold megabytes.
const UNSENT_OCTETS: u32 = 1 << 20;

/// Threads may differ by so many connections before one hands over what it accepted.
const UNEVEN: usize = 8;

/// What all threads share.
pub(super) struct Shared {
    pub limits: Limits,
    pub listeners: Vec<Listener>,
    roll: Mutex<Roll>,
    threads: Vec<Thread>,
    stopped: AtomicBool,
}

pub(super) struct Listener {
    pub socket: TcpListener,
    /// `None`: bound to no address in particular.
    local: Option<SocketAddrV4>,
    pub served: Arc<Served>,
}

/// A service and what it has at hand.
pub(super) struct Served {
    pub service: Service,
    pub shelf: Shelf,
}

/// What others know of a thread.
pub(super) struct Thread {
    wake: EventFd,
    /// How many it has.
    connections: AtomicUsize,
    /// Accepted by others for this one.
    arrivals: Mutex<Vec<Connection>>,
    /// Somebody needs a place that only this thread has.
    is_asked_for_room: AtomicBool,
}

impl Shared {
    pub fn new(serving: Vec<(Vec<TcpListener>, Service)>, limits: Limits) -> io::Result<Shared> {
        let mut listeners = Vec::new();
        for (sockets, service) in serving {
            let served = Arc::new(Served { service, shelf: Shelf::default() });
            for socket in sockets {
                listeners.push(Listener::new(socket, served.clone())?);
            }
        }
        let thread = || -> io::Result<Thread> {
            Ok(Thread {
                wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
                connections: AtomicUsize::new(0),
                arrivals: Mutex::default(),
                is_asked_for_room: AtomicBool::new(false),
            })
        };
        let threads = std::iter::repeat_with(thread).take(limits.threads).collect::<io::Result<_>>()?;
        Ok(Shared { limits, listeners, roll: Mutex::default(), threads, stopped: AtomicBool::new(false) })
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(Thread::wake);
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().expect("nobody panics with the roll")
    }

    pub fn is_full(&self) -> bool {
        self.roll().is_full(self.limits.connections)
    }

    pub fn thread(&self, number: usize) -> &Thread {
        &self.threads[number]
    }

    /// Who should have a new connection that this thread has accepted.
    pub fn thread_for_another(&self, number: usize) -> usize {
        let load = |thread: &Thread| thread.connections.load(Ordering::Relaxed);
        let least = (0..self.threads.len()).min_by_key(|number| load(&self.threads[*number])).unwrap_or(number);
        if load(&self.threads[number]) > load(&self.threads[least]) + UNEVEN { least } else { number }
    }

    /// Asks the other threads to end some of their idle connections.
    pub fn ask_for_room(&self, number: usize) {
        for (_, thread) in self.threads.iter().enumerate().filter(|(other, _)| *other != number) {
            thread.is_asked_for_room.store(true, Ordering::Relaxed);
            thread.wake();
        }
    }

    /// A refused client is told of, but not each time.
    pub fn warn_of(&self, client: Ipv4Addr, served: &Served, now: Instant) {
        if self.roll().is_worth_a_warning(now) {
            let text = format!("{client} has {} HTTP connections at work, and gets no more", self.limits.of_one_client);
            let fix = Some("look what runs there: a machine that boots needs one or two".to_owned());
            served.tell(client, Step::Warning { text, fix });
        }
    }
}

impl Served {
    pub fn tell(&self, client: Ipv4Addr, step: Step) {
        (self.service.report)(client, step);
    }
}

impl Thread {
    /// Readable when there is something in the following.
    pub fn bell(&self) -> &EventFd {
        &self.wake
    }

    fn wake(&self) {
        // Fails only when it is awake already, many times over.
        let _ = self.wake.write(1);
    }

    /// What others have accepted for this thread.
    pub fn take_arrivals(&self) -> Vec<Connection> {
        let _ = self.wake.read();
        mem::take(&mut *self.arrivals.lock().expect("nobody panics with it"))
    }

    /// Leaves a connection to this thread.
    pub fn hand_over(&self, connection: Connection) {
        self.arrivals.lock().expect("nobody panics with it").push(connection);
        self.wake();
    }

    /// Whether others have asked for room since this was last called.
    pub fn is_asked_for_room(&self) -> bool {
        self.is_asked_for_room.swap(false, Ordering::Relaxed)
    }

    pub fn has_one_more(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub fn has_one_less(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    fn new(socket: TcpListener, served: Arc<Served>) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let local = match socket.local_addr()? {
            SocketAddr::V4(local) if !local.ip().is_unspecified() => Some(local),
            _ => None,
        };
        // Connections inherit both. Without Nagle's algorithm off, small answers wait 40 ms for an acknowledgement. Failing,
        // both cost speed only.
        let _ = SockRef::from(&socket).set_tcp_nodelay(true);
        let _ = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_OCTETS);
        Ok(Listener { socket, local, served })
    }

    /// Our own address, as this client reached it.
    pub fn local(&self, stream: &TcpStream) -> Option<SocketAddrV4> {
        let asked = || match stream.local_addr() {
            Ok(SocketAddr::V4(local)) => Some(local),
            _ => None,
        };
        self.local.or_else(asked)
    }
}
