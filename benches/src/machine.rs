//! What this computer can do at most, for judging the other figures: nothing that waits for it can be faster.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpCongestion;
use socket2::{Domain, SockRef, Socket, Type};

use crate::bed::{self, Bed, readable};
use crate::program::Program;
use crate::server::Folder;
use crate::table::{Table, percentile};
use crate::{Result, Subject};

const TURNS: usize = 500;
const SYNCS: usize = 50;
const FILE: (&str, usize) = ("image", 16 << 20);

pub struct Machine {
    bed: Bed,
    folder: Folder,
}

impl Machine {
    pub fn new() -> Result<Machine> {
        Ok(Machine { bed: Bed::bridged(&bed::SMALL)?, folder: Folder::with_files(&[FILE])? })
    }
}

impl Subject for Machine {
    fn programs(&self) -> &'static [Program] {
        &[]
    }

    fn round(&mut self, _: &[Program], table: &mut Table) -> Result<()> {
        let start = Instant::now();
        Command::new("true").status()?;
        table.machine("a program that does nothing, start to end, ms", start.elapsed().as_secs_f64() * 1e3);
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let echo = "UDP over the bridge and back";
        table.machine(
            &format!("{echo}, 400 octets each, p50, µs"),
            micros(round_trip(&self.bed, 400, 400, Wait::Asleep)?),
        );
        let turn = round_trip(&self.bed, 4, 1472, Wait::Awake)?;
        table.machine(&format!("{echo}, 4 and 1472 octets, neither side ever asleep, p50, µs"), micros(turn));
        let block = 1468.0 / f64::from(1 << 20);
        table.machine("  so TFTP in lock-step cannot exceed, MiB/s", block / turn.as_secs_f64());
        let octets = (256 << 20) as u64;
        let rate = 256.0 / stream(&self.bed, &self.folder.0.join(FILE.0), octets)?.as_secs_f64();
        table.machine(&format!("a file over {STREAMS} plain TCP connections by sendfile, MiB/s"), rate);
        table.machine("128 octets appended and fdatasync, p50, µs", micros(append_durably(&self.folder)?));
        Ok(())
    }
}

/// How both ends of an echo wait for each other.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    Asleep,
    /// They look again and again.
    Awake,
}

/// Longer than any echo takes.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// The median time of a question and its answer between two programs that do nothing else.
fn round_trip(bed: &Bed, question: usize, answer: usize, wait: Wait) -> Result<Duration> {
    let echo = bed.host.run(|| UdpSocket::bind((bed.subnet.server, 0)))?;
    echo.set_nonblocking(true)?;
    let client = bed.udp_client()?;
    client.connect(echo.local_addr()?)?;
    let times = thread::scope(|scope| -> io::Result<_> {
        scope.spawn(|| -> io::Result<()> {
            let mut buffer = [0; 2048];
            for _ in 0..TURNS {
                let peer = take(&echo, &mut buffer, wait)?;
                echo.send_to(&buffer[..answer], peer)?;
            }
            Ok(())
        });
        let mut buffer = [0; 2048];
        let mut times = Vec::with_capacity(TURNS);
        for _ in 0..TURNS {
            let start = Instant::now();
            client.send(&buffer[..question])?;
            take(&client, &mut buffer, wait)?;
            times.push(start.elapsed());
        }
        Ok(times)
    });
    let mut times = times.map_err(|error| format!("an echo got lost: {error}"))?;
    times.sort_unstable();
    Ok(percentile(&times, 0.5))
}

/// Takes the next datagram, and returns whose it is.
fn take(socket: &UdpSocket, buffer: &mut [u8], wait: Wait) -> io::Result<SocketAddr> {
    let start = Instant::now();
    loop {
        if wait == Wait::Asleep {
            readable(socket, LOST_AFTER);
        }
        match socket.recv_from(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < LOST_AFTER => {}
            result => return result.map(|(_, from)| from),
        }
    }
}

fn append_durably(folder: &Folder) -> Result<Duration> {
    let mut file = File::create(folder.0.join("log"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[1; 128])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(percentile(&times, 0.5))
}

/// Plain connections at a time, each of which takes its part of the bytes: of 1 to 64, two were the fastest on two cores.
pub const STREAMS: u64 = 2;
/// What a client that reads slowly leaves the kernel to keep.
const TCP_WINDOW: usize = 256 << 10;

/// How long octets take when nothing is asked and nothing decided: each connection gets the file again and again.
pub fn stream(bed: &Bed, file: &Path, octets: u64) -> Result<Duration> {
    let listener = bed.host.run(|| TcpListener::bind((bed.subnet.server, 0)))?;
    // Without a pace of its own for each stream, whatever this computer's default: a ceiling is not to be below what it bounds.
    let _ = setsockopt(&listener, TcpCongestion, &OsString::from("cubic"));
    let address = SocketAddrV4::new(bed.subnet.server, listener.local_addr()?.port());
    let start = Instant::now();
    thread::scope(|scope| -> io::Result<()> {
        let receivers: Vec<_> = (0..STREAMS).map(|_| scope.spawn(|| receive(bed, address))).collect();
        for _ in 0..STREAMS {
            let (stream, _) = listener.accept()?;
            let file = File::open(file)?;
            scope.spawn(move || send(&file, &stream, octets / STREAMS));
        }
        let received = receivers.into_iter().map(|receiver| receiver.join().expect("receiving does not panic"));
        match received.sum::<io::Result<u64>>()? {
            all if all == octets / STREAMS * STREAMS => Ok(()),
            part => Err(io::Error::other(format!("{part} of {octets} octets came"))),
        }
    })?;
    Ok(start.elapsed())
}

/// The file again and again; the standard library copies files to sockets by sendfile. Only full packets, or sendfile would be
/// at half of its speed (TCP_CORK, tcp(7)).
fn send(mut file: &File, mut stream: &TcpStream, octets: u64) -> io::Result<()> {
    SockRef::from(stream).set_tcp_cork(true)?;
    let mut left = octets;
    while left > 0 {
        file.rewind()?;
        left -= io::copy(&mut file.take(left), &mut stream)?;
    }
    Ok(())
}

/// Takes what comes and throws it away, as the machines of a storm do. Returns how much it was.
fn receive(bed: &Bed, address: SocketAddrV4) -> io::Result<u64> {
    bed.machines.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(TCP_WINDOW)?;
        socket.connect(&address.into())?;
        let mut buffer = vec![MaybeUninit::uninit(); 1 << 20];
        let mut all = 0;
        loop {
            match socket.recv_with_flags(&mut buffer, libc::MSG_TRUNC)? {
                0 => return Ok(all),
                octets => all += octets as u64,
            }
        }
    })
}
