//! What this computer can do at most, for judging the other figures: nothing that waits for it can be faster.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::bed::{self, Bed, readable};
use crate::plain::stream;
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
        for connections in [1, 100, 1000] {
            let octets = (2 << 30) / connections;
            let rate = 2048.0 / stream(&self.bed, &self.folder.0.join(FILE.0), connections, octets)?.as_secs_f64();
            table.machine(&format!("files over plain TCP connections by sendfile, {connections}, MiB/s"), rate);
        }
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
