//! The sockets that upstream servers are asked from over UDP.
//!
//! Each is connected to one server: the kernel drops what comes from anybody else, and tells when nobody hears us. A
//! socket serves a limited number of queries for a limited time, and of several the next one is chosen by chance, so that
//! whoever wants to forge an answer has both port and id to guess.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use dns::Token;
use dns::random::Random;
use dns::settings::{Server, SourcePorts};
use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local, yield_now};
use tokio::time::sleep_until;

use crate::net::burst::BURST;

/// Sockets to one server among which chance chooses.
const CHOICE: u32 = 8;
/// Queries that one socket serves.
const QUERIES: u32 = 64;
/// How long one serves new queries, and how much longer it waits for answers.
const FRESH: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(10);
/// Sockets at once; past that the oldest make room.
const SOCKETS: usize = 512;
/// Ports of a range that are tried before giving up.
const TRIES: usize = 64;

/// An answer, or word that a query reached nobody.
const HEARS: Interest = Interest::READABLE.add(Interest::ERROR);

/// Takes what comes: an answer to a query, or word that a query reached nobody.
pub(super) trait Hear {
    fn answer(&self, token: Token, octets: &[u8]);
    fn unreachable(&self, token: Token);
    /// We cannot ask as we would.
    fn trouble(&self, error: &io::Error);
}

pub(super) struct Upstream {
    ports: Cell<SourcePorts>,
    /// What the kernel chose where it was to choose once.
    chosen: Cell<Option<u16>>,
    random: RefCell<Random>,
    fresh: RefCell<HashMap<Server, Vec<Rc<Out>>>>,
    /// All that may be open, the oldest first, without those that stay.
    all: RefCell<VecDeque<(Weak<Out>, AbortHandle)>>,
    /// So many of these at once.
    most: Cell<usize>,
    /// One of them is being closed as there was no room for another.
    makes_room: Cell<bool>,
    /// Where the answer to a query is to come, and its id.
    asked: RefCell<HashMap<Token, (Rc<Out>, u16)>>,
    buffer: Rc<RefCell<Vec<u8>>>,
}

/// A socket to a server.
struct Out {
    socket: UdpSocket,
    opened: Instant,
    /// It lives on, as its port is laid down.
    stays: bool,
    /// Nobody receives here any more.
    is_closed: Cell<bool>,
    asked: Cell<u32>,
    /// Queries by their ids. They stay until they are over: the first answer to come may be forged.
    waiting: RefCell<HashMap<u16, Token>>,
    /// There may be nothing left to do.
    served: Notify,
}

impl Upstream {
    /// `seed`: from the kernel's random numbers.
    pub fn new(ports: SourcePorts, seed: [u8; 32]) -> Upstream {
        Upstream {
            ports: Cell::new(ports),
            chosen: Cell::default(),
            random: RefCell::new(Random::new(seed)),
            fresh: RefCell::default(),
            all: RefCell::default(),
            most: Cell::new(SOCKETS),
            makes_room: Cell::default(),
            asked: RefCell::default(),
            buffer: Rc::new(RefCell::new(vec![0; 1 << 16])),
        }
    }

    pub fn set_ports(&self, ports: SourcePorts) {
        if self.ports.replace(ports) != ports {
            self.chosen.set(None);
            self.fresh.borrow_mut().clear();
        }
    }

    /// Sends a query. `lost`: takes those before it of which the kernel says just now that they reached nobody.
    ///
    /// # Errors
    /// When it has no way to go. One of [`is_limit`]: for now; there is more room after a turn of others.
    pub fn ask<H: Hear + 'static>(
        &self,
        hear: &Rc<H>,
        (token, server): (Token, Server),
        octets: &[u8],
        lost: &mut Vec<Token>,
    ) -> io::Result<()> {
        let id = octets.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        let out = self.socket(hear, server)?;
        let send = || SockRef::from(&out.socket).send(octets);
        if send().is_err() {
            // That may be what the kernel had yet to say of queries before this one.
            lost.extend(out.waiting.borrow().values());
            send()?;
        }
        out.asked.set(out.asked.get().wrapping_add(1));
        out.waiting.borrow_mut().insert(id, token);
        self.asked.borrow_mut().insert(token, (out, id));
        Ok(())
    }

    /// Nothing that comes for this query counts any more.
    pub fn over(&self, token: Token) {
        if let Some((out, id)) = self.asked.borrow_mut().remove(&token) {
            out.waiting.borrow_mut().remove(&id);
            if out.is_idle() {
                out.served.notify_one();
            }
        }
    }

    fn socket<H: Hear + 'static>(&self, hear: &Rc<H>, server: Server) -> io::Result<Rc<Out>> {
        let port = self.port_of(server);
        let spare = {
            let mut fresh = self.fresh.borrow_mut();
            if !fresh.contains_key(&server) {
                // Servers that are no longer asked are forgotten sooner or later.
                fresh.retain(|_, sockets| sockets.iter().any(|out| out.is_fresh()));
            }
            let sockets = fresh.entry(server).or_default();
            sockets.retain(|out| out.is_fresh());
            let choice = if port.is_some() { 0 } else { self.random.borrow_mut().below(CHOICE) as usize };
            if let Some(out) = sockets.get(choice) {
                return Ok(out.clone());
            }
            sockets.first().cloned()
        };
        if let Some(spare) = spare.as_ref().filter(|_| self.is_full()) {
            return Ok(spare.clone());
        }
        match self.open(hear, server, port) {
            Ok(out) => {
                self.makes_room.set(false);
                self.fresh.borrow_mut().entry(server).or_default().push(out.clone());
                Ok(out)
            }
            Err(error) => {
                hear.trouble(&error);
                if spare.is_none() && is_limit(&error) && !self.makes_room.replace(true) {
                    // From now on with fewer. The room that is made is there once others had their turn.
                    self.most.set(self.all.borrow().len().saturating_sub(1).max(1));
                    self.close_oldest();
                }
                spare.ok_or(error)
            }
        }
    }

    /// The port that queries to this server must leave from.
    fn port_of(&self, server: Server) -> Option<u16> {
        let said = server.from.map(|from| from.port()).filter(|port| *port != 0);
        said.or_else(|| {
            self.ports.get().fixed.map(|port| if port == 0 { self.chosen.get().unwrap_or(0) } else { port })
        })
    }

    /// No more sockets can be open.
    fn is_full(&self) -> bool {
        let mut all = self.all.borrow_mut();
        all.retain(|(_, task)| !task.is_finished());
        all.len() >= self.most.get()
    }

    fn open<H: Hear + 'static>(&self, hear: &Rc<H>, server: Server, port: Option<u16>) -> io::Result<Rc<Out>> {
        if self.is_full() {
            self.close_oldest();
        }
        let socket = match (port, self.ports.get().range) {
            (None, Some((first, last))) => self.open_within(server, first.min(last), last.max(first)),
            (port, _) => connected(server, port),
        }?;
        if self.ports.get().fixed == Some(0) && port == Some(0) {
            self.chosen.set(Some(socket.local_addr()?.port()));
        }
        let out = Rc::new(Out {
            socket: UdpSocket::from_std(socket)?,
            opened: Instant::now(),
            stays: port.is_some(),
            is_closed: Cell::default(),
            asked: Cell::default(),
            waiting: RefCell::default(),
            served: Notify::new(),
        });
        let task = spawn_local(out.clone().attend(hear.clone(), self.buffer.clone()));
        if !out.stays {
            self.all.borrow_mut().push_back((Rc::downgrade(&out), task.abort_handle()));
        }
        Ok(out)
    }

    fn open_within(&self, server: Server, first: u16, last: u16) -> io::Result<std::net::UdpSocket> {
        let mut failed = io::ErrorKind::AddrInUse.into();
        for _ in 0..TRIES {
            let offset = self.random.borrow_mut().below(u32::from(last - first) + 1) as u16;
            match connected(server, Some(first + offset)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => failed = error,
                result => return result,
            }
        }
        Err(failed)
    }

    /// Gives up the oldest socket, with what is waited for there.
    fn close_oldest(&self) {
        let Some((out, task)) = self.all.borrow_mut().pop_front() else { return };
        task.abort();
        if let Some(out) = out.upgrade() {
            out.is_closed.set(true);
            self.asked.borrow_mut().retain(|_, (other, _)| !Rc::ptr_eq(&out, other));
            self.fresh.borrow_mut().values_mut().for_each(|all| all.retain(|other| !Rc::ptr_eq(&out, other)));
        }
    }
}

/// Too many open files, of this process or of all.
pub(super) fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

fn connected(server: Server, port: Option<u16>) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(server.address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Sockets to several servers leave from one port where it is laid down.
    if port.is_some() {
        socket.set_reuse_address(true)?;
    }
    source(&socket, server, port.unwrap_or(0))?;
    socket.connect(&server.address.into())?;
    Ok(socket.into())
}

/// Binds a socket to where queries to this server come from.
pub(super) fn source(socket: &Socket, server: Server, port: u16) -> io::Result<()> {
    if let Some(interface) = server.interface {
        socket.bind_device(Some(interface.as_str().as_bytes()))?;
    }
    let any: IpAddr = match server.address {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let mut from = server.from.unwrap_or_else(|| SocketAddr::new(any, 0));
    from.set_port(port);
    if from == SocketAddr::new(any, 0) { Ok(()) } else { socket.bind(&from.into()) }
}

impl Out {
    fn is_fresh(&self) -> bool {
        self.stays || !self.is_closed.get() && self.asked.get() < QUERIES && self.opened.elapsed() < FRESH
    }

    /// It has served its time, and nothing is waited for.
    fn is_idle(&self) -> bool {
        !self.is_fresh() && self.waiting.borrow().is_empty()
    }

    /// Receives until the socket has served its time.
    async fn attend<H: Hear>(self: Rc<Self>, hear: Rc<H>, buffer: Rc<RefCell<Vec<u8>>>) {
        let (fresh, end) = (self.opened + FRESH, self.opened + FRESH + LINGER);
        let timer = sleep_until(fresh.into());
        tokio::pin!(timer);
        while !self.is_idle() {
            tokio::select! {
                ready = self.socket.ready(HEARS) => {
                    let Ok(ready) = ready else { return };
                    // An ICMP error alone does not make a socket readable. Each is cleared by itself: tokio takes note of
                    // the end of one kind of readiness at a time.
                    let what = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
                    let receive = || (0..BURST).try_for_each(|_| self.receive(&*hear, &mut buffer.borrow_mut()));
                    if self.socket.try_io(what, receive).is_ok() {
                        // There may be more; others have their turn first.
                        yield_now().await;
                    }
                }
                () = self.served.notified() => {}
                () = &mut timer, if !self.stays => {
                    if Instant::now() >= end {
                        return;
                    }
                    timer.as_mut().reset(end.into());
                }
            }
        }
    }

    /// # Errors
    /// `WouldBlock` when there is nothing more.
    fn receive<H: Hear>(&self, hear: &H, buffer: &mut [u8]) -> io::Result<()> {
        match nix::sys::socket::recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                let octets = &buffer[..length];
                let id = octets.first_chunk().map(|id| u16::from_be_bytes(*id));
                let token = id.and_then(|id| self.waiting.borrow().get(&id).copied());
                token.into_iter().for_each(|token| hear.answer(token, octets));
            }
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(Errno::EINTR) => {}
            // What the kernel was told of any of them holds for all: nobody is there.
            Err(_) => {
                let lost: Vec<Token> = self.waiting.borrow().values().copied().collect();
                lost.iter().for_each(|token| hear.unreachable(*token));
            }
        }
        Ok(())
    }
}
