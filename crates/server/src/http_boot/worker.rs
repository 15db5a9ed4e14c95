//! One thread's share of the connections: what is ready goes on, what is late ends, and who comes finds a place.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::conditions::print_date;
use super::connection::{Connection, Turn};
use super::ready::Ready;
use super::roll::Room;
use super::shared::{Listener, Shared};
use super::transmit::{self, Broken};

/// Longer requests are read in pieces.
const READ_OCTETS: usize = 16 * 1024;
/// A buffer that was needed once for a long page is not kept.
const SPARE_OCTETS: usize = 32 * 1024;
/// Connections accepted before those that are there have their turn.
const ACCEPTED_AT_ONCE: usize = 32;
/// After so many octets it is looked who else can go on by now.
const ROUND_OCTETS: u64 = 1 << 20;
/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// How long nobody is accepted when there is no place, or no descriptor.
const PAUSE: Duration = Duration::from_millis(50);
/// Who has waited for less than this is likely to ask again at once, and keeps its place.
const RESTED: Duration = Duration::from_secs(1);
/// When places are short, this part of the idle connections goes at once: looking for them is work.
const CLEARED: usize = 64;

const WAKE: u64 = u64::MAX;
/// Listeners are known by numbers from here, which are above those of [`Key`]s.
const LISTENERS: u64 = 1 << 63;
const MAX_TURN: u32 = u32::MAX >> 1;

/// What a thread lends to each connection for its turn.
pub(super) struct Desk {
    pub shared: Arc<Shared>,
    pub now: Instant,
    /// The same, as HTTP tells time.
    pub date: String,
    second: i64,
    pub buffer: Box<[u8]>,
    spare: Vec<u8>,
    /// Octets that connections took since others were looked for.
    pub sent: u64,
}

pub(super) struct Worker {
    desk: Desk,
    number: usize,
    epoll: Epoll,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// How many have come so far.
    arrivals: u64,
    /// Those with something to do at once.
    ready: Ready<Key>,
    /// When whose acknowledgements are to be looked for.
    looks: BinaryHeap<Reverse<(Instant, Key)>>,
    sweep_at: Option<Instant>,
    /// Until then nobody is accepted.
    paused: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    slot: u32,
    /// Which of the connections that had this slot.
    turn: u32,
}

struct Slot {
    turn: u32,
    /// Which came before which.
    arrival: u64,
    deadline: Instant,
    connection: Option<Box<Connection>>,
}

impl Desk {
    fn new(shared: Arc<Shared>) -> Desk {
        let (date, second) = (String::new(), i64::MIN);
        let buffer = vec![0; READ_OCTETS].into_boxed_slice();
        let mut desk = Desk { shared, now: Instant::now(), date, second, buffer, spare: Vec::new(), sent: 0 };
        desk.refresh();
        desk
    }

    fn refresh(&mut self) {
        self.now = Instant::now();
        let now = Timestamp::now();
        if now.as_second() != self.second {
            (self.second, self.date) = (now.as_second(), print_date(now));
        }
    }

    /// An empty buffer; best [given back](Desk::give_back).
    pub fn take_buffer(&mut self) -> Vec<u8> {
        mem::take(&mut self.spare)
    }

    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= SPARE_OCTETS {
            buffer.clear();
            self.spare = buffer;
        }
    }
}

impl Worker {
    pub fn new(shared: Arc<Shared>, number: usize) -> io::Result<Worker> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(shared.thread(number).bell(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let worker = Worker {
            desk: Desk::new(shared),
            number,
            epoll,
            slots: Vec::new(),
            free: Vec::new(),
            ready: Ready::default(),
            arrivals: 0,
            looks: BinaryHeap::new(),
            sweep_at: None,
            paused: None,
        };
        worker.listen()?;
        Ok(worker)
    }

    /// Serves until stopped.
    ///
    /// # Errors
    /// When the kernel no longer tells what is ready.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); 256];
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            self.desk.refresh();
            for event in &events[..count] {
                match event.data() {
                    WAKE if self.desk.shared.is_stopped() => {
                        self.stop();
                        return Ok(());
                    }
                    WAKE => self.woken(),
                    listener if listener >= LISTENERS => self.accept((listener - LISTENERS) as usize)?,
                    key => {
                        let ready = event.events();
                        let ending =
                            ready.intersects(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
                        let readable = ready.contains(EpollFlags::EPOLLIN);
                        self.note(Key::from(key), readable, ending);
                    }
                }
            }
            self.give_turns();
            self.look();
            self.sweep();
            if self.paused.is_some_and(|until| until <= self.desk.now) {
                self.paused = None;
                self.listen()?;
            }
        }
    }

    fn patience(&self) -> EpollTimeout {
        if !self.ready.is_empty() {
            return EpollTimeout::ZERO;
        }
        let look = self.looks.peek().map(|Reverse((at, _))| *at);
        let Some(until) = [look, self.sweep_at, self.paused].into_iter().flatten().min() else {
            return EpollTimeout::NONE;
        };
        // Rounded up, or the last part of a millisecond would be spent asking.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    }

    // ---- those who are there

    /// Something has arrived (`readable`), the client has ended its side (`ending`), or there is room to send.
    fn note(&mut self, key: Key, readable: bool, ending: bool) {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.turn == key.turn);
        if let Some(Slot { arrival, connection: Some(connection), .. }) = slot {
            connection.note(readable, ending);
            self.ready.put(*arrival, key);
        }
    }

    /// Lets those go on who can, the earlier before the later, until it is time to look for others.
    fn give_turns(&mut self) {
        self.desk.sent = 0;
        while self.desk.sent < ROUND_OCTETS
            && let Some(key) = self.ready.next()
        {
            self.turn(key, Connection::go_on);
        }
    }

    /// Gives a connection its turn.
    fn turn(&mut self, key: Key, work: impl FnOnce(&mut Connection, &mut Desk) -> Result<Turn, Broken>) {
        let Some(slot) = self.slots.get_mut(key.slot as usize).filter(|slot| slot.turn == key.turn) else { return };
        let Some(connection) = &mut slot.connection else { return };
        let desk = &mut self.desk;
        // One request that meets a mistake of ours ends its connection, and no other.
        let turn = catch_unwind(AssertUnwindSafe(|| work(connection, desk))).unwrap_or(Ok(Turn::Over));
        slot.deadline = connection.deadline(&desk.shared.limits);
        match turn {
            Ok(turn) => {
                if let Some(at) = connection.new_look() {
                    self.looks.push(Reverse((at, key)));
                }
                match turn {
                    Turn::Wait => {}
                    Turn::Again => self.ready.put(slot.arrival, key),
                    Turn::Over => self.end(key, &Broken::HungUp),
                }
            }
            Err(broken) => self.end(key, &broken),
        }
    }

    fn end(&mut self, key: Key, because: &Broken) {
        let slot = &mut self.slots[key.slot as usize];
        slot.turn = (slot.turn + 1) & MAX_TURN;
        let Some(connection) = slot.connection.take() else { return };
        self.free.push(key.slot);
        let shared = &self.desk.shared;
        shared.thread(self.number).has_one_less();
        shared.roll().leave(connection.client());
        connection.close(&because.to_string(), self.desk.now);
    }

    fn look(&mut self) {
        while let Some(Reverse((at, key))) = self.looks.peek().copied() {
            if at > self.desk.now {
                return;
            }
            self.looks.pop();
            self.turn(key, |connection, desk| Ok(connection.look(at, desk)));
        }
    }

    /// Ends the patience with those whose time has come.
    fn sweep(&mut self) {
        if self.sweep_at.is_none_or(|at| at > self.desk.now) {
            return;
        }
        let now = self.desk.now;
        let is_late = |(_, slot): &(usize, &Slot)| slot.connection.is_some() && slot.deadline <= now;
        let key = |(at, slot): (usize, &Slot)| Key { slot: at as u32, turn: slot.turn };
        let late: Vec<Key> = self.slots.iter().enumerate().filter(is_late).map(key).collect();
        late.into_iter().for_each(|key| self.turn(key, Connection::late));
        let is_empty = self.free.len() == self.slots.len();
        if is_empty {
            // A storm is over; its memory is for the next program.
            (self.slots, self.free, self.looks) = Default::default();
        }
        self.sweep_at = (!is_empty).then_some(now + SWEEP);
    }

    fn stop(&mut self) {
        for slot in &mut self.slots {
            if let Some(mut connection) = slot.connection.take() {
                connection.settle(self.desk.now);
            }
        }
    }

    // ---- those who come

    /// Hears of new connections, one thread for each.
    fn listen(&self) -> io::Result<()> {
        for (number, listener) in self.desk.shared.listeners.iter().enumerate() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE, LISTENERS + number as u64);
            self.epoll.add(&listener.socket, event)?;
        }
        Ok(())
    }

    /// Leaves those who come to other threads, or waiting.
    fn pause(&mut self) -> io::Result<()> {
        if self.paused.is_none() {
            for listener in &self.desk.shared.listeners {
                self.epoll.delete(&listener.socket)?;
            }
        }
        self.paused = Some(self.desk.now + PAUSE);
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<()> {
        let shared = self.desk.shared.clone();
        let listener = &shared.listeners[listener];
        for _ in 0..ACCEPTED_AT_ONCE {
            if self.paused.is_some() {
                break;
            }
            let is_full = shared.is_full();
            if is_full && !self.make_room(None) {
                shared.ask_for_room(self.number);
                return self.pause();
            }
            match transmit::accept(&listener.socket) {
                Ok((stream, client)) => self.admit(stream, client, listener),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Out of descriptors, which passes when others hang up.
                Err(_) => return self.pause(),
            }
            // Room was made for one who is sure to be there; whether there is another, the kernel will say.
            if is_full {
                break;
            }
        }
        Ok(())
    }

    fn admit(&mut self, stream: TcpStream, client: SocketAddrV4, listener: &Listener) {
        let shared = self.desk.shared.clone();
        let address = *client.ip();
        let room = shared.roll().room(address, shared.limits.of_one_client);
        if room == Room::OfItsOwn && !self.make_room(Some(address)) {
            return shared.warn_of(address, &listener.served, self.desk.now);
        }
        let Some(local) = listener.local(&stream) else { return };
        let connection = Connection::new(stream, client, local, listener.served.clone(), self.desk.now);
        shared.roll().enter(address);
        let number = shared.thread_for_another(self.number);
        shared.thread(number).has_one_more();
        match number == self.number {
            true => self.place(connection),
            false => shared.thread(number).hand_over(connection),
        }
    }

    fn place(&mut self, connection: Connection) {
        let deadline = connection.deadline(&self.desk.shared.limits);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { turn: 0, arrival: 0, deadline, connection: None });
            (self.slots.len() - 1) as u32
        });
        let turn = self.slots[slot as usize].turn;
        let key = Key { slot, turn };
        // Each change is told once: a connection goes on until the kernel says that it would have to wait.
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        let watched = self.epoll.add(connection.stream(), EpollEvent::new(flags, key.into()));
        self.arrivals += 1;
        let connection = Some(Box::new(connection));
        self.slots[slot as usize] = Slot { turn, arrival: self.arrivals, deadline, connection };
        self.sweep_at = self.sweep_at.or(Some(self.desk.now + SWEEP));
        if watched.is_err() {
            self.end(key, &Broken::HungUp);
        }
    }

    fn woken(&mut self) {
        let shared = self.desk.shared.clone();
        let thread = shared.thread(self.number);
        thread.take_arrivals().into_iter().for_each(|connection| self.place(connection));
        if thread.is_asked_for_room() && shared.is_full() {
            self.make_room(None);
        }
    }

    /// Ends the connections that have waited longest for a request, of this client if one is named. Returns whether there
    /// were any.
    fn make_room(&mut self, of: Option<Ipv4Addr>) -> bool {
        let idle = |(at, slot): (usize, &Slot)| {
            let connection =
                slot.connection.as_ref().filter(|connection| of.is_none_or(|of| connection.client() == of))?;
            let since = connection.idle_since().filter(|since| self.desk.now.duration_since(*since) >= RESTED)?;
            Some((since, Key { slot: at as u32, turn: slot.turn }))
        };
        let mut idle: Vec<_> = self.slots.iter().enumerate().filter_map(idle).collect();
        let count = idle.len().div_ceil(CLEARED);
        if count > 0 {
            idle.select_nth_unstable(count - 1);
        }
        idle.iter().take(count).for_each(|(_, key)| self.end(*key, &Broken::HungUp));
        count > 0
    }
}

impl From<u64> for Key {
    fn from(data: u64) -> Key {
        Key { slot: data as u32, turn: (data >> 32) as u32 }
    }
}

impl From<Key> for u64 {
    fn from(key: Key) -> u64 {
        u64::from(key.turn) << 32 | u64::from(key.slot)
    }
}
