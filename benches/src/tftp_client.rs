//! Many TFTP clients in one thread, each as well-behaved as RFC 1350, 2347, 2348 and 7440 ask, on a cable that loses packets
//! by the dice: what is to be measured is the server.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use tftp::{Mode, Packet, Request};

use crate::Result;
use crate::bed::Bed;

/// Firmware sends its last packet again after about this long.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);
/// So often in a row; then the server is gone.
const TRIES: u32 = 10;
const DATAGRAM: usize = 2048;
/// Datagrams of one send, which the kernel hands over as they were sent.
const RUN: usize = 65_536;
/// A client that has told of a gap does not tell again of what was on its way already.
const COMPLAINS_AFTER: Duration = Duration::from_millis(5);

/// What one client wants.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub file: &'a str,
    /// What it must get.
    pub content: &'a [u8],
    pub blksize: u16,
    /// 1: the option is not sent.
    pub windowsize: u16,
    /// Of so many packets one is lost, on each way; 0: none.
    pub loses_one_in: u64,
    /// For the dice.
    pub seed: u64,
}

/// How one client fared.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// From its request to its last block, or until it gave up.
    pub took: Duration,
    pub whole: bool,
    /// What the server agreed to.
    pub windowsize: u16,
    /// DATA packets that came, and were not lost by the dice.
    pub packets: u64,
}

/// Fetches all that is asked at once.
pub fn fetch(bed: &Bed, asks: &[Ask<'_>]) -> Result<Vec<Fetched>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let alone = asks.len() == 1;
    let mut clients = Vec::with_capacity(asks.len());
    for (number, ask) in asks.iter().enumerate() {
        let socket = bed.udp_client()?;
        // A run of datagrams that was sent as one arrives as one. On a real cable network cards cut it; here the kernel would,
        // within the server's processor time.
        setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        clients.push(Client::new(*ask, socket));
    }
    let mut mailbag = Mailbag::new();
    for client in &mut clients {
        client.ask(bed.subnet.server)?;
    }
    let mut events = vec![EpollEvent::empty(); 256];
    let mut looked_at_clocks = Instant::now();
    let mut left = clients.len();
    while left > 0 {
        // One alone looks for packets again and again, as firmware does, which has nothing else to do: a sleep would measure
        // how long this computer takes to wake up.
        let ready = if alone { 1 } else { epoll.wait(&mut events, EpollTimeout::from(50u8))? };
        for event in &events[..ready] {
            let client = &mut clients[event.data() as usize];
            if client.fetched.is_none() {
                client.receive(&mut mailbag)?;
                left -= usize::from(client.fetched.is_some());
            }
        }
        if looked_at_clocks.elapsed() > Duration::from_millis(50) {
            looked_at_clocks = Instant::now();
            for client in clients.iter_mut().filter(|client| client.fetched.is_none()) {
                client.look_at_clock(bed.subnet.server)?;
            }
            left = clients.iter().filter(|client| client.fetched.is_none()).count();
        }
    }
    Ok(clients.into_iter().filter_map(|client| client.fetched).collect())
}

struct Client<'a> {
    ask: Ask<'a>,
    socket: UdpSocket,
    dice: u64,
    began: Instant,
    /// The server's port, once it is known.
    peer: Option<SocketAddr>,
    blksize: usize,
    windowsize: u16,
    /// Blocks and octets that came in a row.
    blocks: u64,
    octets: usize,
    since_ack: u16,
    packets: u64,
    acked_at: Instant,
    /// It has told of the gap that it waits to be filled.
    complained: bool,
    tries: u32,
    fetched: Option<Fetched>,
}

impl<'a> Client<'a> {
    fn new(ask: Ask<'a>, socket: UdpSocket) -> Client<'a> {
        let now = Instant::now();
        Client {
            ask,
            socket,
            dice: ask.seed,
            began: now,
            peer: None,
            blksize: 512,
            windowsize: 1,
            blocks: 0,
            octets: 0,
            since_ack: 0,
            packets: 0,
            acked_at: now,
            complained: false,
            tries: 0,
            fetched: None,
        }
    }

    fn ask(&mut self, server: Ipv4Addr) -> Result<()> {
        let mut options = vec![("blksize".to_owned(), self.ask.blksize.to_string())];
        if self.ask.windowsize > 1 {
            options.push(("windowsize".to_owned(), self.ask.windowsize.to_string()));
        }
        let request = Request { name: self.ask.file.to_owned(), mode: Mode::Octet, options };
        if self.tries == 0 {
            self.began = Instant::now();
        }
        self.acked_at = Instant::now();
        if !self.is_lost() {
            self.socket.send_to(&Packet::Rrq(request).emit(), (server, 69))?;
        }
        Ok(())
    }

    fn receive(&mut self, mailbag: &mut Mailbag) -> Result<()> {
        if self.peer.is_none() {
            let mut datagram = [0; DATAGRAM];
            match self.socket.recv_from(&mut datagram) {
                Ok((octets, from)) if !self.is_lost() => {
                    self.peer = Some(from);
                    self.socket.connect(from)?;
                    self.take(&datagram[..octets])?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
        let mut taken = Vec::new();
        for datagram in mailbag.take(self.socket.as_raw_fd())? {
            if self.fetched.is_none() && !self.is_lost() {
                taken.extend(self.take(datagram)?);
            }
        }
        // Last, when what it owes the server has been sent.
        self.compare(&taken)
    }

    /// Returns file data that is new, and where it belongs.
    fn take<'d>(&mut self, datagram: &'d [u8]) -> Result<Option<(usize, &'d [u8])>> {
        match Packet::parse(datagram)? {
            Packet::Oack(options) if self.blocks == 0 => {
                for (name, value) in options {
                    match name.as_str() {
                        "blksize" => self.blksize = value.parse()?,
                        "windowsize" => self.windowsize = value.parse()?,
                        _ => {}
                    }
                }
                self.acknowledge()?;
            }
            Packet::Data { block, octets } => {
                self.packets += 1;
                if block == (self.blocks + 1) as u16 {
                    let at = self.octets;
                    self.take_block(octets)?;
                    return Ok(Some((at, octets)));
                }
                self.complain()?;
            }
            Packet::Error { code, message } => return Err(format!("the server says: {code}, {message}").into()),
            _ => {}
        }
        Ok(None)
    }

    fn compare(&self, taken: &[(usize, &[u8])]) -> Result<()> {
        match taken.iter().find(|(at, octets)| self.ask.content.get(*at..*at + octets.len()) != Some(*octets)) {
            None => Ok(()),
            Some((at, _)) => Err(format!("the block at octet {at} is not what the file holds").into()),
        }
    }

    fn take_block(&mut self, octets: &[u8]) -> Result<()> {
        self.blocks += 1;
        self.octets += octets.len();
        self.since_ack += 1;
        self.tries = 0;
        self.complained = false;
        let whole = octets.len() < self.blksize;
        if whole {
            if self.octets != self.ask.content.len() {
                return Err(format!("{} octets came of {}", self.octets, self.ask.content.len()).into());
            }
            self.end(true);
        }
        if whole || self.since_ack == self.windowsize { self.acknowledge() } else { Ok(()) }
    }

    fn end(&mut self, whole: bool) {
        let Client { windowsize, packets, .. } = *self;
        self.fetched = Some(Fetched { took: self.began.elapsed(), whole, windowsize, packets });
    }

    /// Something came that does not follow what it has: it says where it stands.
    fn complain(&mut self) -> Result<()> {
        if self.complained && self.windowsize > 1 && self.acked_at.elapsed() < COMPLAINS_AFTER {
            return Ok(());
        }
        self.complained = true;
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> Result<()> {
        self.since_ack = 0;
        self.acked_at = Instant::now();
        if !self.is_lost() {
            let [high, low] = (self.blocks as u16).to_be_bytes();
            match self.socket.send(&[0, 4, high, low]) {
                // A server that has ended the transfer may have closed its port.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                result => drop(result?),
            }
        }
        Ok(())
    }

    fn look_at_clock(&mut self, server: Ipv4Addr) -> Result<()> {
        if self.acked_at.elapsed() < CLIENT_TIMEOUT {
            return Ok(());
        }
        self.tries += 1;
        if self.tries > TRIES {
            self.end(false);
            return Ok(());
        }
        if self.peer.is_none() { self.ask(server) } else { self.acknowledge() }
    }

    fn is_lost(&mut self) -> bool {
        // splitmix64: any good mixing will do, as long as a seed gives the same story every time.
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.ask.loses_one_in > 0 && (mixed ^ (mixed >> 31)).is_multiple_of(self.ask.loses_one_in)
    }
}

/// Room for the datagrams that were sent at once.
struct Mailbag {
    room: Vec<u8>,
    control: Vec<u8>,
}

impl Mailbag {
    fn new() -> Mailbag {
        Mailbag { room: vec![0; RUN], control: nix::cmsg_space!(i32) }
    }

    /// The datagrams; none when there are none.
    fn take(&mut self, socket: RawFd) -> Result<impl Iterator<Item = &[u8]>> {
        let mut slices = [IoSliceMut::new(&mut self.room)];
        let (octets, segment) =
            match recvmsg::<()>(socket, &mut slices, Some(&mut self.control), MsgFlags::MSG_DONTWAIT) {
                Ok(message) => {
                    let segment = message.cmsgs()?.find_map(|control| match control {
                        ControlMessageOwned::UdpGroSegments(octets) => usize::try_from(octets).ok(),
                        _ => None,
                    });
                    (message.bytes, segment.unwrap_or(message.bytes))
                }
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => (0, 0),
                Err(error) => return Err(error.into()),
            };
        Ok(self.room[..octets].chunks(segment.max(1)))
    }
}
