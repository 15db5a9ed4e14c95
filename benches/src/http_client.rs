//! Many HTTP clients in one thread, cheap beside any server: each asks, waits for the whole answer, and asks again.
//!
//! Octets of bodies are thrown away inside the kernel (MSG_TRUNC, tcp(7)), so that their number costs the clients little.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::sockopt::{RcvBuf, TcpNoDelay};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, connect, recv, send, setsockopt, socket,
};

use crate::Result;

/// Nothing that is measured is silent for so long, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than a head; of a body at most so much is copied.
const READ_OCTETS: usize = 2048;
/// What ten thousand connections need, with some to spare.
const DESCRIPTORS: u64 = 10_500;
/// Thrown away with one call.
const DISCARD_OCTETS: usize = 8 << 20;

/// Who asks for what.
pub struct Load<'a> {
    pub server: SocketAddrV4,
    /// Our own addresses, taken in turn.
    pub sources: &'a [Ipv4Addr],
    pub connections: usize,
    /// Without the leading slash.
    pub path: &'a str,
    /// Of one answer's body.
    pub octets: u64,
    /// Asks for these parts in turn, rather than for the whole.
    pub part: bool,
    /// A new connection for each request, which the server ends.
    pub anew: bool,
}

pub struct Done {
    pub took: Duration,
    /// Of each request, in ascending order.
    pub latencies: Vec<Duration>,
}

/// Has room for all the connections that are measured.
pub fn raise_descriptor_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a live local.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    if limit.rlim_cur < DESCRIPTORS { Err(format!("`ulimit -Hn` is below {DESCRIPTORS}").into()) } else { Ok(()) }
}

/// One client and what it waits for.
struct Client {
    socket: OwnedFd,
    source: Ipv4Addr,
    asked: Instant,
    head: Vec<u8>,
    /// Octets of the body that are still to come, once the head is there.
    left: Option<u64>,
    /// The server has said that this was the last answer on the connection.
    is_last: bool,
}

impl Load<'_> {
    /// Has so many requests answered; in the namespace of the caller.
    ///
    /// # Errors
    /// When an answer is not the one expected, or none comes.
    pub fn run(&self, requests: usize) -> Result<Done> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut clients = Vec::with_capacity(self.connections);
        let left = requests.saturating_sub(self.connections);
        let mut run = Run { load: self, epoll: &epoll, left, latencies: Vec::with_capacity(requests) };
        let request = self.request();
        for (index, source) in self.sources.iter().cycle().take(self.connections).enumerate() {
            let mut client = Client::connect(self.server, *source)?;
            client.watch(&epoll, index)?;
            clients.push(client);
        }
        let start = Instant::now();
        for client in clients.iter_mut().take(requests) {
            client.ask(&request)?;
        }
        let mut events = vec![EpollEvent::empty(); 256];
        while run.latencies.len() < requests {
            let ready = epoll.wait(&mut events, EpollTimeout::try_from(PATIENCE)?)?;
            if ready == 0 {
                return Err(format!("silence for {PATIENCE:?}").into());
            }
            for event in &events[..ready] {
                let index = event.data() as usize;
                run.serve(&mut clients[index], index, &request)?;
            }
        }
        let took = start.elapsed();
        run.latencies.sort();
        Ok(Done { took, latencies: run.latencies })
    }

    fn request(&self) -> Vec<u8> {
        let (path, server) = (self.path, self.server);
        let range = if self.part { format!("Range: bytes=4096-{}\r\n", 4096 + self.octets - 1) } else { String::new() };
        let connection = if self.anew { "Connection: close\r\n" } else { "" };
        format!("GET /{path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: bench\r\n{range}{connection}\r\n").into_bytes()
    }
}

struct Run<'a> {
    load: &'a Load<'a>,
    epoll: &'a Epoll,
    /// Requests that are still to be asked.
    left: usize,
    latencies: Vec<Duration>,
}

impl Run<'_> {
    /// Takes what there is for one client; when its answer is whole, it asks anew.
    fn serve(&mut self, client: &mut Client, index: usize, request: &[u8]) -> Result<()> {
        while let Some(ended) = client.take(self.load)? {
            if !ended && client.left.is_none_or(|left| left > 0) {
                continue;
            }
            // With a connection for each, the answer ends when the server has said so.
            if self.load.anew && !ended {
                continue;
            }
            self.latencies.push(client.asked.elapsed());
            let Some(left) = self.left.checked_sub(1) else { return Ok(()) };
            self.left = left;
            if ended || client.is_last {
                *client = Client::connect(self.load.server, client.source)?;
                client.watch(self.epoll, index)?;
            }
            return client.ask(request);
        }
        Ok(())
    }
}

impl Client {
    pub fn connect(server: SocketAddrV4, source: Ipv4Addr) -> Result<Client> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        let on = 1_i32;
        // SAFETY: the option takes one int. The port is chosen when the far end is known: 28,000 per pair, not per address.
        unsafe {
            let option = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
            libc::setsockopt(socket.as_raw_fd(), option.0, option.1, (&raw const on).cast(), 4);
        }
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
        connect(socket.as_raw_fd(), &SockaddrIn::from(server)).map_err(|error| format!("connecting: {error}"))?;
        setsockopt(&socket, TcpNoDelay, &true)?;
        Ok(Client { socket, source, asked: Instant::now(), head: Vec::new(), left: None, is_last: false })
    }

    fn watch(&mut self, epoll: &Epoll, index: usize) -> Result<()> {
        Ok(epoll.add(&self.socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?)
    }

    fn ask(&mut self, request: &[u8]) -> Result<()> {
        (self.asked, self.left) = (Instant::now(), None);
        self.head.clear();
        let sent = send(self.socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL)?;
        if sent == request.len() { Ok(()) } else { Err("a request did not fit the socket's buffer".into()) }
    }

    /// Takes what has arrived. `None`: nothing; `Some(true)`: the server has ended the connection after the whole answer.
    fn take(&mut self, load: &Load) -> Result<Option<bool>> {
        let Some(left) = self.left.filter(|left| *left > 0) else { return self.take_head(load) };
        let Some(count) = self.discard((left as usize).min(DISCARD_OCTETS))? else { return Ok(None) };
        if count == 0 {
            return Err(format!("the connection ended {left} octets early").into());
        }
        self.left = Some(left - count as u64);
        Ok(Some(false))
    }

    fn take_head(&mut self, load: &Load) -> Result<Option<bool>> {
        let mut buffer = [0; READ_OCTETS];
        let count = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) if self.left == Some(0) => return Ok(Some(true)),
            Ok(0) => return Err("the connection ended before its answer".into()),
            Ok(count) if self.left.is_none() => count,
            Ok(_) => return Err("more came than was asked for".into()),
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.head.extend_from_slice(&buffer[..count]);
        let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(Some(false)) };
        let (length, is_last) = checked(&self.head[..end], load)?;
        self.is_last = is_last;
        let body = (self.head.len() - end - 4) as u64;
        self.left = Some(length.checked_sub(body).ok_or("more came than Content-Length says")?);
        Ok(Some(false))
    }

    fn discard(&self, octets: usize) -> Result<Option<usize>> {
        let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        // SAFETY: with MSG_TRUNC a TCP socket writes nothing to the buffer.
        let count = unsafe { libc::recv(self.socket.as_raw_fd(), std::ptr::null_mut(), octets, flags) };
        match usize::try_from(count) {
            Ok(count) => Ok(Some(count)),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(io::Error::last_os_error().into()),
        }
    }
}

/// The Content-Length of an answer that is the expected one, and whether the connection ends with it.
fn checked(head: &[u8], load: &Load) -> Result<(u64, bool)> {
    let text = std::str::from_utf8(head)?;
    let status = if load.part { "HTTP/1.1 206 " } else { "HTTP/1.1 200 " };
    let field = |name: &str| {
        let same = |line: &&str| line.split_once(':').is_some_and(|(other, _)| other.eq_ignore_ascii_case(name));
        Some(text.lines().find(same)?.split_once(':')?.1.trim())
    };
    match field("Content-Length").and_then(|length| length.parse().ok()) {
        Some(length) if text.starts_with(status) && length == load.octets => {
            Ok((length, field("Connection").is_some_and(|word| word.eq_ignore_ascii_case("close"))))
        }
        _ => Err(format!("asked for {} octets, got: {text}", load.octets).into()),
    }
}

/// Connections that say nothing more after one answer; open until dropped.
pub struct Idle(#[expect(dead_code, reason = "held open")] Vec<Client>);

impl Load<'_> {
    /// Opens the connections, has each answered once, and leaves them.
    pub fn idle(&self) -> Result<Idle> {
        let request = self.request();
        let mut clients = Vec::with_capacity(self.connections);
        for source in self.sources.iter().cycle().take(self.connections) {
            let mut client = Client::connect(self.server, *source)?;
            client.ask(&request)?;
            client.wait(self)?;
            clients.push(client);
        }
        Ok(Idle(clients))
    }

    /// Opens the connections, asks on each, and takes so many octets of each, every so often, for `during`.
    /// Returns how many octets each has taken, in ascending order, and the connections, whose answers are not whole.
    pub fn slowly(&self, (pace, every): (usize, Duration), during: Duration) -> Result<(Vec<u64>, Idle)> {
        let request = self.request();
        let mut clients = Vec::with_capacity(self.connections);
        for source in self.sources.iter().cycle().take(self.connections) {
            let mut client = Client::connect(self.server, *source)?;
            setsockopt(&client.socket, RcvBuf, &(64 << 10))?;
            client.ask(&request)?;
            clients.push(client);
        }
        let mut taken = vec![0; clients.len()];
        let start = Instant::now();
        while start.elapsed() < during {
            let turn = Instant::now();
            for (client, taken) in clients.iter().zip(&mut taken) {
                *taken += client.discard(pace)?.unwrap_or(0) as u64;
            }
            std::thread::sleep(every.saturating_sub(turn.elapsed()));
        }
        taken.sort();
        Ok((taken, Idle(clients)))
    }
}

impl Client {
    /// Waits for the whole answer.
    fn wait(&mut self, load: &Load) -> Result<()> {
        let start = Instant::now();
        while self.left != Some(0) {
            if self.take(load)?.is_none() && !crate::bed::readable(&self.socket, PATIENCE) {
                return Err(format!("silence for {:?}", start.elapsed()).into());
            }
        }
        Ok(())
    }
}
