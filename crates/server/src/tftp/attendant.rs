//! The one thread that attends to the door and to all transfers: it waits for whatever comes first, and never for a disk.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::TransferPorts;
use journal::{Protocol, Step};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;
use tftp::{Arrival, ErrorCode, Packet, Request, Run};

use super::Service;
use super::clients::Clients;
use super::helpers::Helpers;
use super::link::Link;
use super::session::{self, Next, Opened};
use super::sessions::{Key, Sessions, Stage};
use super::source::{Held, Source};
use super::watch::Watch;

/// RFC 2347 has requests fit into 512 octets; some clients write long paths. What is longer is cut, and may be.
const DATAGRAM_OCTETS: usize = 2048;
/// Taken from the door before the transfers under way get their turn again.
const REQUESTS_AT_ONCE: usize = 64;
const EVENTS_AT_ONCE: usize = 256;
/// Before the service port is tried again after an error, such as an interface that went down.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What the epoll set tells of, beside keys of transfers.
const DOOR: u64 = 0;
const ANSWERS: u64 = 1;
const STOP: u64 = 2;

/// What a helper brings back.
enum Answer {
    Opened(Key, Result<Opened, Step>),
    Fetched(Key, Source, io::Result<()>),
}

pub struct Attendant {
    service: Arc<Service>,
    epoll: Epoll,
    watch: Watch,
    /// Kept open for as long as the epoll set knows it.
    _stop: Arc<EventFd>,
    helpers: Helpers<Answer>,
    clients: Clients,
    sessions: Sessions,
    /// Requests are being left waiting, and that has been reported.
    was_full: bool,
    /// The door is closed until then.
    closed_until: Option<Instant>,
    buffer: [u8; DATAGRAM_OCTETS],
    /// File data of the session that was served last.
    scratch: Held,
    served_last: Option<Key>,
}

impl Attendant {
    /// `stop`: becomes readable when it is to end.
    pub fn new(service: Arc<Service>, stop: Arc<EventFd>) -> io::Result<Attendant> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let helpers = Helpers::start()?;
        let readable = |data| EpollEvent::new(EpollFlags::EPOLLIN, data);
        epoll.add(&*service.origin.door, readable(DOOR))?;
        epoll.add(helpers.ready(), readable(ANSWERS))?;
        epoll.add(&*stop, readable(STOP))?;
        Ok(Attendant {
            service,
            epoll,
            watch: Watch::default(),
            _stop: stop,
            helpers,
            clients: Clients::default(),
            sessions: Sessions::default(),
            was_full: false,
            closed_until: None,
            buffer: [0; DATAGRAM_OCTETS],
            scratch: Held::default(),
            served_last: None,
        })
    }

    /// Serves until it is told to stop.
    pub fn attend(mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_AT_ONCE];
        loop {
            let next = [self.sessions.next_alarm(), self.closed_until].into_iter().flatten().min();
            let count = match self.watch.wait(&self.epoll, &mut events, next) {
                Err(Errno::EINTR) => 0,
                result => result?,
            };
            for event in &events[..count] {
                match event.data() {
                    STOP => return Ok(()),
                    DOOR => self.receive_requests(),
                    ANSWERS => self.collect_answers(),
                    key => self.receive(key.into()),
                }
            }
            self.look_at_clock(Instant::now())?;
        }
    }

    fn look_at_clock(&mut self, now: Instant) -> io::Result<()> {
        while let Some(key) = self.sessions.rung(now) {
            if let Some(session) = self.sessions.going(key) {
                session.wake(now);
                self.advance(key);
            }
        }
        if self.closed_until.is_some_and(|until| until <= now) {
            self.closed_until = None;
            self.epoll.add(&*self.service.origin.door, EpollEvent::new(EpollFlags::EPOLLIN, DOOR))?;
        }
        Ok(())
    }

    fn receive_requests(&mut self) {
        let door = self.service.origin.door.clone();
        let mut buffer = self.buffer;
        for _ in 0..REQUESTS_AT_ONCE {
            match door.recv_from(&mut buffer) {
                Ok((octets, SocketAddr::V4(client))) => self.receive_request(client, &buffer[..octets]),
                Ok((_, SocketAddr::V6(_))) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.close_door(&error),
            }
        }
    }

    fn close_door(&mut self, error: &io::Error) {
        let address = self.service.origin.address;
        self.service.warn(format!("TFTP requests cannot be received on {address}: {error}"), None);
        // Else it would be ready again at once.
        let _ = self.epoll.delete(&*self.service.origin.door);
        self.closed_until = Some(Instant::now() + PAUSE_AFTER_ERROR);
    }

    fn receive_request(&mut self, client: SocketAddrV4, datagram: &[u8]) {
        let from = client.ip();
        if from.is_unspecified() || from.is_broadcast() || from.is_multicast() || client.port() == 0 {
            return;
        }
        match tftp::arrival(datagram) {
            Arrival::Read(request) => self.begin_or_wait(client, request, datagram),
            _ if self.pass_on(client, datagram) => {}
            Arrival::Refuse { code, message, name } => self.refuse(client, code, message, name),
            Arrival::Ignore => {}
        }
    }

    /// Gives what is no request to the client's transfer, where transfers come from this port; false when there is none.
    fn pass_on(&mut self, client: SocketAddrV4, datagram: &[u8]) -> bool {
        let is_shared = self.service.settings.ports == TransferPorts::Single;
        let Some(key) = self.clients.session(client).filter(|_| is_shared) else { return false };
        if let Some(session) = self.sessions.going(key) {
            session.hear(Instant::now(), datagram);
            self.advance(key);
        }
        true
    }

    fn refuse(&mut self, client: SocketAddrV4, code: ErrorCode, message: String, name: Option<String>) {
        // An ERROR is a courtesy (RFC 1350 section 7): it is not sent again, nor is its loss a loss.
        let _ = Link::open(&self.service.origin, client).and_then(|link| link.send(&Packet::error(code, &message)));
        let step = match name {
            Some(file) => Step::FileFailed { protocol: Protocol::Tftp, file, octets: 0, because: message },
            // Left over from a transfer that has ended: nobody needs to know.
            None if code == ErrorCode::UnknownTransferId => return,
            None => Step::Warning { text: format!("TFTP request from {client} refused: {message}"), fix: None },
        };
        (self.service.report)(*client.ip(), step);
    }

    fn begin_or_wait(&mut self, client: SocketAddrV4, request: Request, datagram: &[u8]) {
        let now = Instant::now();
        if let Some(key) = self.clients.session(client) {
            let is_same = self.clients.asked(client, datagram);
            match self.sessions.get(key) {
                Some(Stage::Opening { .. }) if is_same => return,
                Some(Stage::Opening { began_anew, .. }) => *began_anew = true,
                Some(Stage::Going(session)) if is_same && session.expects_repeats(now) => return,
                Some(Stage::Going(session)) => {
                    session.client_began_anew();
                    self.advance(key);
                }
                None => {}
            }
        }
        if self.sessions.len() < self.service.settings.most_transfers() {
            self.was_full = false;
            self.begin(client, request, datagram);
        } else {
            // Unanswered, not refused: an ERROR would end its boot.
            self.report_full(client);
            self.clients.wait(client, datagram, now);
        }
    }

    fn begin(&mut self, client: SocketAddrV4, request: Request, datagram: &[u8]) {
        let began = Instant::now();
        let stage = Stage::Opening { client, request: request.clone(), began, began_anew: false };
        let key = self.sessions.insert(stage);
        self.clients.serve(client, datagram, key);
        let service = self.service.clone();
        self.helpers.send(move || Answer::Opened(key, session::open(&service, client, &request)));
    }

    fn report_full(&mut self, client: SocketAddrV4) {
        if std::mem::replace(&mut self.was_full, true) {
            return;
        }
        let most = self.service.settings.most_transfers();
        let text =
            format!("{most} TFTP transfers are open, the most allowed at once: {client} and others have to wait");
        let fix = match most < self.service.settings.max_transfers {
            true => "allow for more UDP ports: port_range in [tftp], tftp-port-range in the dnsmasq dialect",
            false => "allow for more: max_transfers in [tftp], tftp-max in the dnsmasq dialect",
        };
        (self.service.report)(*client.ip(), Step::Warning { text, fix: Some(fix.to_owned()) });
    }

    fn collect_answers(&mut self) {
        for answer in self.helpers.collect() {
            match answer {
                Answer::Opened(key, Ok(opened)) => self.start(key, opened),
                Answer::Opened(key, Err(step)) => self.end(key, step),
                Answer::Fetched(key, source, result) => {
                    let Some(session) = self.sessions.going(key) else { continue };
                    match session.fetched(&self.service, source, result) {
                        Ok(()) => self.advance(key),
                        Err(step) => self.end(key, step),
                    }
                }
            }
        }
    }

    fn start(&mut self, key: Key, opened: Opened) {
        let limits = self.service.limits(opened.mtu(), self.sessions.len());
        let Some(stage) = self.sessions.get(key) else { return };
        let Stage::Opening { client, request, began, began_anew } = stage else { return };
        let mut session = opened.begin(Instant::now(), *client, request, &limits, *began);
        if *began_anew {
            session.client_began_anew();
        }
        let watched = session
            .socket()
            .map_or(Ok(()), |socket| self.epoll.add(socket.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, key.into())));
        let failed = watched.err().map(|error| session.socket_failed(&self.service, error.into()));
        *stage = Stage::Going(Box::new(session));
        match failed {
            None => self.advance(key),
            Some(step) => self.end(key, step),
        }
    }

    fn receive(&mut self, key: Key) {
        let Some(session) = self.sessions.going(key) else { return };
        match session.receive(&mut self.buffer) {
            Ok(()) => self.advance(key),
            Err(error) => {
                let step = session.socket_failed(&self.service, error);
                self.end(key, step);
            }
        }
    }

    /// Sends what a transfer has to send, and sees to what it needs next.
    fn advance(&mut self, key: Key) {
        let Some(session) = self.sessions.going(key) else { return };
        let is_same = self.served_last.replace(key) == Some(key);
        if !is_same {
            self.scratch.clear();
        }
        match session.advance(&mut self.scratch) {
            Next::Wait(at) => {
                // Where clients take turns, what is read ahead for one would make way for the next.
                if is_same {
                    session.read_ahead(&mut self.scratch);
                }
                self.sessions.set_alarm(key, at);
            }
            Next::Fetch(source, run) => self.fetch(key, source, run),
            Next::End(step) => self.end(key, step),
        }
    }

    fn fetch(&mut self, key: Key, mut source: Source, run: Run) {
        self.helpers.send(move || {
            let result = source.fetch(&run);
            Answer::Fetched(key, source, result)
        });
    }

    /// Tells of the end of a transfer, closes its socket, and gives its place to the next.
    fn end(&mut self, key: Key, step: Step) {
        let client = match self.sessions.remove(key) {
            Some(Stage::Opening { client, .. }) => client,
            Some(Stage::Going(session)) => session.client(),
            None => return,
        };
        self.clients.ended(client, key);
        (self.service.report)(*client.ip(), step);
        if self.sessions.len() < self.service.settings.most_transfers()
            && let Some((client, datagram)) = self.clients.next_waiting(Instant::now())
            && let Arrival::Read(request) = tftp::arrival(&datagram)
        {
            self.begin(client, request, &datagram);
        }
    }
}
