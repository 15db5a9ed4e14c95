//! The sockets of the simulated machines, and the clock.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use dhcp::v4::Packet;
use nix::libc::MSG_TRUNC;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{BindToDevice, RcvBufForce};
use socket2::{Domain, Socket, Type};

use crate::ask::{Answered, Ask, Machine, Stage};
use crate::fetch::{Fetch, Got};
use crate::{Report, Storm, page};

/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(20);
/// The name of the socket on which all speak DHCP, among those of the machines.
const DHCP: u64 = u64::MAX;
/// What iPXE keeps of a connection before the server has to wait.
const TCP_WINDOW: usize = 256 << 10;
/// An iPXE whose download stands still for so long has failed.
const STALL: Duration = Duration::from_secs(30);
/// What is taken of one socket before the others have their turn.
const GULP: usize = 1 << 20;

impl Storm {
    /// Lets all machines boot, and waits for them. To be called in the network of the machines.
    ///
    /// # Errors
    /// The operating system's, when it has no sockets for so many. What goes wrong with a machine is in the report.
    pub fn run(&self) -> io::Result<Report> {
        Run::new(self)?.run()
    }
}

enum Doing {
    Asking(Ask),
    Fetching {
        fetch: Fetch,
        socket: UdpSocket,
        server: SocketAddr,
    },
    Loading(Download),
    /// Booted, or given up.
    Over,
}

/// Files by HTTP over one connection, one after the other.
struct Download {
    socket: Socket,
    server: Ipv4Addr,
    /// What is loaded now, and what is next, from the end.
    path: String,
    waiting: Vec<String>,
    connected: bool,
    /// What came of the head, or of the script.
    text: Vec<u8>,
    /// Octets of content to come; none before the head is whole.
    left: Option<u64>,
    due: Instant,
}

struct Run<'a> {
    storm: &'a Storm,
    start: Instant,
    epoll: Epoll,
    dhcp: UdpSocket,
    machines: Vec<(Machine, Doing)>,
    unfinished: usize,
    report: Report,
    dice: u64,
    /// For what is received and thrown away.
    buffer: Vec<MaybeUninit<u8>>,
}

impl<'a> Run<'a> {
    fn new(storm: &'a Storm) -> io::Result<Run<'a>> {
        let dhcp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68))?;
        setsockopt(&dhcp, BindToDevice, &storm.link.clone().into())?;
        setsockopt(&dhcp, RcvBufForce, &(16 << 20))?;
        dhcp.set_broadcast(true)?;
        dhcp.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&dhcp, EpollEvent::new(EpollFlags::EPOLLIN, DHCP))?;
        Ok(Run {
            storm,
            start: Instant::now(),
            epoll,
            dhcp,
            machines: Vec::with_capacity(storm.machines as usize),
            unfinished: storm.machines as usize,
            report: Report::default(),
            dice: 0x9e37_79b9_7f4a_7c15 ^ u64::from(storm.first),
            buffer: vec![MaybeUninit::uninit(); GULP],
        })
    }

    fn run(mut self) -> io::Result<Report> {
        for number in self.storm.first..self.storm.first + self.storm.machines {
            let machine = Machine { number };
            let ask = Ask::new(machine, Stage::Firmware, Instant::now());
            self.broadcast(&ask.said);
            self.machines.push((machine, Doing::Asking(ask)));
            // Answers are taken meanwhile, as by a thousand machines that would.
            if number % 64 == 63 {
                self.hear_dhcp()?;
            }
        }
        let mut events = [EpollEvent::empty(); 256];
        let mut ticked = Instant::now();
        while self.unfinished > 0 && self.start.elapsed() < self.storm.patience {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::from(TICK.as_millis() as u8)) {
                Err(nix::Error::EINTR) => 0,
                ready => ready?,
            };
            for event in &events[..ready] {
                match event.data() {
                    DHCP => self.hear_dhcp()?,
                    machine => self.ready(machine as usize)?,
                }
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.look_at_timers()?;
            }
        }
        for at in 0..self.machines.len() {
            self.fail(at, "not done in time");
        }
        Ok(self.report)
    }

    /// Whether the next datagram gets lost.
    fn is_lost(&mut self) -> bool {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        ((self.dice >> 11) as f64 / (1_u64 << 53) as f64) < self.storm.loss
    }

    fn broadcast(&mut self, message: &[u8]) {
        if !self.is_lost() {
            // A full queue is a loss as well.
            let _ = self.dhcp.send_to(message, (Ipv4Addr::BROADCAST, 67));
        }
    }

    fn hear_dhcp(&mut self) -> io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let octets = match self.dhcp.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                octets => octets?,
            };
            if self.is_lost() {
                continue;
            }
            if let Ok(packet) = Packet::parse(&buffer[..octets]) {
                self.answered(&packet)?;
            }
        }
    }

    fn answered(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let (number, stage) = Machine::of_xid(packet.xid());
        let at = number.wrapping_sub(self.storm.first) as usize;
        let Some((machine, Doing::Asking(ask))) = self.machines.get_mut(at) else { return Ok(()) };
        if ask.stage() != stage {
            return Ok(());
        }
        let (machine, now) = (*machine, Instant::now());
        match ask.answered(now, packet) {
            Answered::Ignored => {}
            answer @ (Answered::Say | Answered::Again) => {
                self.report.dhcp_retries += usize::from(answer == Answered::Again);
                let said = ask.said.clone();
                self.broadcast(&said);
            }
            Answered::Bound { address, server, file } => match (stage, page::path(&file)) {
                (Stage::Firmware, None) if !file.is_empty() => self.begin_fetch(at, machine, address, server, &file)?,
                (Stage::Ipxe, Some(path)) => self.begin_download(at, address, path)?,
                _ => self.fail(at, &format!("{stage:?} was given `{file}` to boot")),
            },
        }
        Ok(())
    }

    fn begin_fetch(
        &mut self,
        at: usize,
        machine: Machine,
        own: Ipv4Addr,
        server: Ipv4Addr,
        file: &str,
    ) -> io::Result<()> {
        let fetch = Fetch::new(file, machine.is_uefi(), Instant::now());
        let socket = UdpSocket::bind((own, 0))?;
        socket.set_nonblocking(true)?;
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, at as u64))?;
        let server = SocketAddr::from((server, tftp::PORT));
        self.machines[at].1 = Doing::Fetching { fetch, socket, server };
        self.say_tftp(at);
        Ok(())
    }

    fn say_tftp(&mut self, at: usize) {
        let lost = self.is_lost();
        if let Doing::Fetching { fetch, socket, server } = &self.machines[at].1
            && !lost
        {
            let _ = socket.send_to(&fetch.said, *server);
        }
    }

    fn ready(&mut self, at: usize) -> io::Result<()> {
        match &self.machines[at].1 {
            Doing::Fetching { .. } => self.hear_tftp(at),
            Doing::Loading(_) => {
                if let Err(error) = self.load(at) {
                    self.fail(at, &format!("HTTP: {error}"));
                }
                Ok(())
            }
            Doing::Asking(_) | Doing::Over => Ok(()),
        }
    }

    fn hear_tftp(&mut self, at: usize) -> io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let lost = self.is_lost();
            let (machine, Doing::Fetching { fetch, socket, server }) = &mut self.machines[at] else { return Ok(()) };
            let Ok((octets, from)) = socket.recv_from(&mut buffer) else { return Ok(()) };
            if lost || from.ip() != server.ip() {
                continue;
            }
            let (machine, now) = (*machine, Instant::now());
            // The server answers from a port of its own choice, and keeps to it.
            *server = from;
            match fetch.received(now, &buffer[..octets]) {
                Got::Nothing => {}
                Got::Say => self.say_tftp(at),
                Got::End => {
                    self.report.octets += fetch.octets;
                    self.say_tftp(at);
                    let ask = Ask::new(machine, Stage::Ipxe, now);
                    self.broadcast(&ask.said);
                    self.machines[at].1 = Doing::Asking(ask);
                }
                Got::Failed(why) => self.fail(at, &why),
            }
        }
    }

    fn begin_download(&mut self, at: usize, own: Ipv4Addr, path: String) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(TCP_WINDOW)?;
        socket.bind(&SocketAddrV4::new(own, 0).into())?;
        let server = self.storm.server;
        match socket.connect(&SocketAddrV4::new(server, 80).into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLOUT, at as u64))?;
        let (due, waiting, text) = (Instant::now() + STALL, Vec::new(), Vec::new());
        self.machines[at].1 =
            Doing::Loading(Download { socket, server, path, waiting, connected: false, text, left: None, due });
        Ok(())
    }

    /// Goes on with a machine's downloads as far as its socket allows.
    fn load(&mut self, at: usize) -> io::Result<()> {
        let Doing::Loading(download) = &mut self.machines[at].1 else { return Ok(()) };
        if !download.connected {
            if let Some(error) = download.socket.take_error()? {
                return Err(error);
            }
            download.connected = true;
            self.epoll.modify(&download.socket, &mut EpollEvent::new(EpollFlags::EPOLLIN, at as u64))?;
            return download.ask();
        }
        download.due = Instant::now() + STALL;
        if !download.take(&mut self.buffer, &mut self.report.octets)? {
            return Ok(());
        }
        if download.path.ends_with(".ipxe") {
            download.waiting = page::loaded_by(&String::from_utf8_lossy(&download.text));
            download.waiting.reverse();
        }
        match download.waiting.pop() {
            Some(path) => {
                download.path = path;
                download.ask()?;
            }
            None if download.path.ends_with(".ipxe") => self.fail(at, "the script loads nothing"),
            None => {
                self.machines[at].1 = Doing::Over;
                self.unfinished -= 1;
                self.report.finished.push(self.start.elapsed());
            }
        }
        Ok(())
    }

    fn look_at_timers(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for at in 0..self.machines.len() {
            match &mut self.machines[at].1 {
                Doing::Asking(ask) if ask.due <= now => {
                    if ask.timeout(now) {
                        self.report.dhcp_retries += 1;
                        let said = ask.said.clone();
                        self.broadcast(&said);
                    } else {
                        let why = format!("{:?} got no answer by DHCP", ask.stage());
                        self.fail(at, &why);
                    }
                }
                Doing::Fetching { fetch, .. } if fetch.due <= now => {
                    if fetch.timeout(now) {
                        self.report.tftp_retries += 1;
                        self.say_tftp(at);
                    } else {
                        self.fail(at, "no answer by TFTP");
                    }
                }
                Doing::Loading(download) if download.due <= now => self.fail(at, "HTTP: the download stands still"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing for a machine that has booted or failed already.
    fn fail(&mut self, at: usize, why: &str) {
        let (machine, doing) = &mut self.machines[at];
        if !matches!(doing, Doing::Over) {
            *doing = Doing::Over;
            self.unfinished -= 1;
            self.report.failures.push(format!("machine {}: {why}", machine.number));
        }
    }
}

impl Download {
    fn ask(&mut self) -> io::Result<()> {
        self.text.clear();
        self.left = None;
        let request = page::request(self.server, &self.path);
        (&self.socket).write_all(request.as_bytes())
    }

    /// Takes what is there. Returns whether the content is whole.
    fn take(&mut self, buffer: &mut [MaybeUninit<u8>], loaded: &mut u64) -> io::Result<bool> {
        if self.left.is_none() && !self.take_head(loaded)? {
            return Ok(false);
        }
        let is_script = self.path.ends_with(".ipxe");
        while let Some(left @ 1..) = self.left {
            let room = &mut buffer[..GULP.min(left as usize)];
            // Of a script the content matters; files stay in the kernel (tcp(7), MSG_TRUNC).
            let octets = match is_script {
                true => self.take_text(left as usize),
                false => self.socket.recv_with_flags(room, MSG_TRUNC),
            };
            let octets = match octets {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                octets => octets?,
            };
            self.left = Some(left - octets as u64);
            *loaded += octets as u64;
        }
        Ok(true)
    }

    /// Takes the head, and with it the beginning of the content. Returns whether it is whole.
    fn take_head(&mut self, loaded: &mut u64) -> io::Result<bool> {
        match self.take_text(usize::MAX) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            octets => octets?,
        };
        let Some(head) = page::head(&self.text).map_err(io::Error::other)? else { return Ok(false) };
        self.text.drain(..head.octets);
        *loaded += self.text.len() as u64;
        let left = head.content.checked_sub(self.text.len() as u64);
        self.left = Some(left.ok_or_else(|| io::Error::other("more came than was announced"))?);
        Ok(true)
    }

    fn take_text(&mut self, most: usize) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let octets = (&self.socket).read(&mut buffer[..most.min(4096)])?;
        self.text.extend_from_slice(&buffer[..octets]);
        Ok(octets)
    }
}
