//! Upstream servers of the tests' own: each answers from [`zone`], or has a bad habit.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::habits::{self, Habit};
use super::message::{Edns, Message, Question};
use crate::harness::{LONG, Network};

const PORT: u16 = 53;

/// The address of the upstream server with this number.
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, number)
}

pub fn address6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, u16::from(number))
}

/// A query that reached an upstream server.
#[derive(Clone, Debug)]
pub struct Asked {
    pub number: u8,
    pub tcp: bool,
    /// The server's address and port that it was sent to.
    pub at: SocketAddr,
    pub from: SocketAddr,
    pub id: u16,
    pub flags: u16,
    pub question: Question,
    /// The question's name in wire form, in the letters that were sent.
    pub name: Vec<u8>,
    pub edns: Option<Edns>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.number)?;
        if self.at.is_ipv6() {
            f.write_str(" over IPv6")?;
        }
        if self.at.port() != PORT {
            write!(f, " at port {}", self.at.port())?;
        }
        write!(f, " {}", self.question)
    }
}

impl Asked {
    fn read(number: u8, tcp: bool, at: SocketAddr, from: SocketAddr, octets: &[u8]) -> Result<Asked, String> {
        let Message { id, flags, questions, edns, .. } = Message::parse(octets)?;
        let [question] = &questions[..] else { return Err(format!("{} questions", questions.len())) };
        let length = octets[12..].iter().position(|octet| *octet == 0).ok_or("no name")?;
        let name = octets[12..=12 + length].to_vec();
        Ok(Asked { number, tcp, at, from, id, flags, question: question.clone(), name, edns })
    }
}

/// Habits of one server: the last one whose name ends the name asked for counts.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub number: u8,
    pub port: u16,
    pub habits: Vec<(&'static str, Habit)>,
}

impl Upstream {
    /// An honest one.
    pub fn new(number: u8) -> Upstream {
        Upstream { number, port: PORT, habits: vec![("", Habit::Honest)] }
    }

    pub fn at_port(mut self, port: u16) -> Upstream {
        self.port = port;
        self
    }

    pub fn always(self, habit: Habit) -> Upstream {
        self.but("", habit)
    }

    /// For names that end so.
    pub fn but(mut self, ending: &'static str, habit: Habit) -> Upstream {
        self.habits.push((ending, habit));
        self
    }

    fn habit(&self, name: &str) -> Habit {
        let name = name.to_ascii_lowercase();
        let fits = |(ending, _): &&(&str, Habit)| name.ends_with(ending);
        self.habits.iter().rev().find(fits).map_or(Habit::Honest, |(_, habit)| habit.clone())
    }

    fn is_closed(&self) -> bool {
        matches!(self.habit(""), Habit::Closed)
    }
}

enum Order {
    /// Reads everything that has come, then says so.
    Drain(Sender<()>),
    /// From now on this one stands for the one with its number.
    Become(Upstream, Sender<()>),
}

/// Servers that run beside the test. They end with the value.
pub struct Upstreams {
    orders: Option<Sender<Order>>,
    waker: UnixStream,
    log: Arc<Mutex<Vec<Asked>>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstreams {
    /// `network` has their addresses.
    pub fn start(network: &Network, all: &[Upstream]) -> Upstreams {
        let (orders, taken) = channel();
        let (waker, woken) = UnixStream::pair().expect("room for two sockets");
        woken.set_nonblocking(true).expect("a socket");
        let log = Arc::default();
        let (ready, is_ready) = channel();
        let mut servers = Servers {
            all: Vec::new(),
            log: Arc::clone(&log),
            orders: taken,
            woken,
            connections: Vec::new(),
            due: Vec::new(),
        };
        let all = all.to_vec();
        // A thread that is started in a network stays there.
        let thread = network.inside(|| {
            std::thread::spawn(move || {
                servers.all = all.into_iter().map(Server::new).collect();
                ready.send(()).expect("somebody waits");
                servers.run();
            })
        });
        is_ready.recv().expect("ports that are free");
        Upstreams { orders: Some(orders), waker, log, thread: Some(thread) }
    }

    fn order(&self, order: impl FnOnce(Sender<()>) -> Order) {
        let (done, is_done) = channel();
        self.orders.as_ref().expect("until the end").send(order(done)).expect("they run");
        (&self.waker).write_all(&[1]).expect("they run");
        is_done.recv().expect("they run");
    }

    pub fn becomes(&self, upstream: Upstream) {
        self.order(|done| Order::Become(upstream, done));
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        self.order(Order::Drain);
        std::mem::take(&mut *self.log.lock().expect("nobody panicked"))
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.orders = None;
        let _ = (&self.waker).write_all(&[1]);
        // It may have panicked, and has said so then.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Server {
    upstream: Upstream,
    /// None when its port is closed.
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl Server {
    fn new(upstream: Upstream) -> Server {
        let mut server = Server { upstream, udp: Vec::new(), tcp: Vec::new() };
        if !server.upstream.is_closed() {
            let number = server.upstream.number;
            for address in [IpAddr::from(address(number)), IpAddr::from(address6(number))] {
                let at = (address, server.upstream.port);
                let udp = bound(|| UdpSocket::bind(at));
                udp.set_nonblocking(true).expect("a socket");
                let tcp = bound(|| TcpListener::bind(at));
                tcp.set_nonblocking(true).expect("a socket");
                server.udp.push(udp);
                server.tcp.push(tcp);
            }
        }
        server
    }
}

/// An address may be there a moment later than it was laid down.
fn bound<T>(bind: impl Fn() -> std::io::Result<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        match bind() {
            Ok(socket) => return socket,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

struct Connection {
    number: u8,
    stream: TcpStream,
    read: Vec<u8>,
    ended: bool,
}

/// An answer that is to be late.
struct Due {
    when: Instant,
    socket: UdpSocket,
    to: SocketAddr,
    octets: Vec<u8>,
}

struct Servers {
    all: Vec<Server>,
    log: Arc<Mutex<Vec<Asked>>>,
    orders: Receiver<Order>,
    woken: UnixStream,
    connections: Vec<Connection>,
    due: Vec<Due>,
}

impl Servers {
    fn run(&mut self) {
        loop {
            self.wait();
            let _ = (&self.woken).read(&mut [0; 64]);
            self.serve();
            loop {
                match self.orders.try_recv() {
                    Ok(Order::Drain(done)) => {
                        self.serve();
                        let _ = done.send(());
                    }
                    Ok(Order::Become(upstream, done)) => {
                        // Its sockets go first, that the ports be free.
                        self.all.retain(|server| server.upstream.number != upstream.number);
                        self.all.push(Server::new(upstream));
                        let _ = done.send(());
                    }
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn wait(&self) {
        let next = self.due.iter().map(|due| due.when.saturating_duration_since(Instant::now())).min();
        let udp = self.all.iter().flat_map(|server| server.udp.iter().map(AsFd::as_fd));
        let tcp = self.all.iter().flat_map(|server| server.tcp.iter().map(AsFd::as_fd));
        let connections = self.connections.iter().map(|connection| connection.stream.as_fd());
        let all = [self.woken.as_fd()].into_iter().chain(udp).chain(tcp).chain(connections);
        let mut all: Vec<PollFd> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let most = next.unwrap_or(Duration::from_secs(60)) + Duration::from_millis(1);
        poll(&mut all, PollTimeout::try_from(most).expect("a minute at most")).expect("sockets can be waited for");
    }

    /// Everything that can be done without waiting.
    fn serve(&mut self) {
        for at in 0..self.all.len() {
            self.serve_udp(at);
            self.accept(at);
        }
        self.serve_connections();
        let now = Instant::now();
        for due in self.due.extract_if(.., |due| due.when <= now) {
            let _ = due.socket.send_to(&due.octets, due.to);
        }
    }

    fn serve_udp(&mut self, at: usize) {
        let server = &self.all[at];
        let mut buffer = [0; 65535];
        for socket in &server.udp {
            loop {
                let (octets, from) = match socket.recv_from(&mut buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // An ICMP message about an answer that was not wanted.
                    Err(_) => continue,
                };
                let own = socket.local_addr().expect("it is bound");
                let Some(asked) = note(&self.log, server.upstream.number, false, own, from, &buffer[..octets]) else {
                    continue;
                };
                for reply in habits::over_udp(&server.upstream.habit(&asked.question.name), &asked, &buffer[..octets]) {
                    let from_socket = match reply.from_other_port {
                        true => UdpSocket::bind((own.ip(), 0)).expect("a free port"),
                        false => socket.try_clone().expect("a socket"),
                    };
                    let to = reply.to.unwrap_or(from);
                    let when = Instant::now() + reply.after;
                    if reply.after.is_zero() {
                        let _ = from_socket.send_to(&reply.octets, to);
                    } else {
                        self.due.push(Due { when, socket: from_socket, to, octets: reply.octets });
                    }
                }
            }
        }
    }

    fn accept(&mut self, at: usize) {
        let server = &self.all[at];
        for listener in &server.tcp {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).expect("a socket");
                self.connections.push(Connection {
                    number: server.upstream.number,
                    stream,
                    read: Vec::new(),
                    ended: false,
                });
            }
        }
    }

    fn serve_connections(&mut self) {
        for connection in &mut self.connections {
            connection.fill();
            while let Some(query) = connection.next() {
                let (Ok(own), Ok(from)) = (connection.stream.local_addr(), connection.stream.peer_addr()) else {
                    break;
                };
                let Some(asked) = note(&self.log, connection.number, true, own, from, &query) else { break };
                let server = self.all.iter().find(|server| server.upstream.number == connection.number);
                let habit = server.map_or(Habit::Closed, |server| server.upstream.habit(&asked.question.name));
                match habits::over_tcp(&habit, &asked) {
                    Some(octets) => connection.write(&octets),
                    None => connection.ended = true,
                }
            }
        }
        self.connections.retain(|connection| !connection.ended);
    }
}

impl Connection {
    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(octets) => {
                    self.read.extend(&buffer[..octets]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.ended = true,
            }
            return;
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes([*self.read.first()?, *self.read.get(1)?]));
        let query = self.read.get(2..2 + length)?.to_vec();
        self.read.drain(..2 + length);
        Some(query)
    }

    fn write(&mut self, octets: &[u8]) {
        // Answers are smaller than the kernel's buffer.
        let whole = [&(octets.len() as u16).to_be_bytes()[..], octets].concat();
        self.ended |= self.stream.write_all(&whole).is_err();
    }
}

/// Notes what is asked, malformed as it may be. Answers to what a server asked itself are none.
fn note(
    log: &Mutex<Vec<Asked>>,
    number: u8,
    tcp: bool,
    at: SocketAddr,
    from: SocketAddr,
    octets: &[u8],
) -> Option<Asked> {
    if octets.get(2).is_some_and(|flags| flags & 0x80 != 0) {
        return None;
    }
    let asked = Asked::read(number, tcp, at, from, octets).unwrap_or_else(|why| Asked {
        number,
        tcp,
        at,
        from,
        id: octets.first_chunk().map_or(0, |id| u16::from_be_bytes(*id)),
        flags: 0,
        question: Question { name: format!("malformed: {why}"), kind: 0, class: 1 },
        name: vec![0],
        edns: None,
    });
    log.lock().expect("nobody panicked").push(asked.clone());
    Some(asked)
}
