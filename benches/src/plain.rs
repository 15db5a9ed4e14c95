//! Files over plain TCP connections, when nothing is asked and nothing decided: what bounds every server of files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpCongestion;
use socket2::{Domain, SockRef, Socket, Type};

use crate::Result;
use crate::bed::Bed;

/// What a client that reads slowly leaves the kernel to keep, as the machines of a storm do.
const TCP_WINDOW: usize = 256 << 10;
/// What one connection is given or rid of before the others have their turn.
const TURN_OCTETS: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// How long so many connections take to get so many octets each, all at once: one thread sends to all, by sendfile(2), and one
/// throws away what comes.
///
/// # Errors
/// The operating system's; when nothing comes any more.
pub fn stream(bed: &Bed, file: &Path, connections: u64, octets: u64) -> Result<Duration> {
    let listener = bed.host.run(|| TcpListener::bind((bed.subnet.server, 0)))?;
    // Without a pace of its own for each stream, whatever this computer's default: a ceiling is not to be below what it bounds.
    setsockopt(&listener, TcpCongestion, &OsString::from("cubic"))?;
    let address = SocketAddrV4::new(bed.subnet.server, listener.local_addr()?.port());
    let (mut senders, mut receivers) = (Crowd::new(EpollFlags::EPOLLOUT)?, Crowd::new(EpollFlags::EPOLLIN)?);
    for _ in 0..connections {
        let receiver = bed.machines.run(|| Socket::new(Domain::IPV4, Type::STREAM, None))?;
        receiver.set_recv_buffer_size(TCP_WINDOW)?;
        receiver.connect(&address.into())?;
        let sender: Socket = listener.accept()?.0.into();
        // Only full packets (tcp(7)), or sendfile would be at half of its speed.
        SockRef::from(&sender).set_tcp_cork(true)?;
        receivers.enter(receiver, octets)?;
        senders.enter(sender, octets)?;
    }
    let file = File::open(file)?;
    let start = Instant::now();
    thread::scope(|scope| {
        let sending = scope.spawn(|| senders.run(|socket, left, gone| send(&file, socket, left, gone)));
        receivers.run(|socket, left, _| discard(socket, left))?;
        sending.join().expect("sending does not panic")
    })?;
    Ok(start.elapsed())
}

/// One side of all connections.
struct Crowd {
    epoll: Epoll,
    way: EpollFlags,
    /// With what is left for each, and in all.
    sockets: Vec<(Socket, u64)>,
    octets: u64,
}

impl Crowd {
    fn new(way: EpollFlags) -> Result<Crowd> {
        Ok(Crowd { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, way, sockets: Vec::new(), octets: 0 })
    }

    fn enter(&mut self, socket: Socket, octets: u64) -> Result<()> {
        socket.set_nonblocking(true)?;
        self.epoll.add(socket.as_fd(), EpollEvent::new(self.way, self.sockets.len() as u64))?;
        self.sockets.push((socket, octets));
        self.octets = octets;
        Ok(())
    }

    /// Moves octets until none is left; `step`: of a socket, at most so much, after so much.
    fn run(&mut self, step: impl Fn(&Socket, u64, u64) -> io::Result<u64>) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); 256];
        let mut unfinished = self.sockets.len();
        while unfinished > 0 {
            let timeout = EpollTimeout::try_from(PATIENCE).expect("it is short");
            let count = self.epoll.wait(&mut events, timeout)?;
            if count == 0 {
                return Err(ErrorKind::TimedOut.into());
            }
            for event in &events[..count] {
                let (socket, left) = &mut self.sockets[event.data() as usize];
                match step(socket, TURN_OCTETS.min(*left), self.octets - *left) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(octets) => *left -= octets,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
                if *left == 0 {
                    self.epoll.delete(socket.as_fd())?;
                    unfinished -= 1;
                }
            }
        }
        Ok(())
    }
}

/// The file again and again.
fn send(file: &File, socket: &Socket, most: u64, gone: u64) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut offset = (gone % size) as libc::off64_t;
    // SAFETY: both descriptors are open for as long as the call takes; `offset` is a live local.
    let sent = unsafe { libc::sendfile64(socket.as_raw_fd(), file.as_raw_fd(), &mut offset, most as usize) };
    u64::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn discard(socket: &Socket, most: u64) -> io::Result<u64> {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing to the buffer (tcp(7)).
    let octets = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), most as usize, flags) };
    u64::try_from(octets).map_err(|_| io::Error::last_os_error())
}
