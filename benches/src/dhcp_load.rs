//! DHCP exchanges: how many a second, how long each takes its client, and what each costs the server.
//!
//! An exchange is DISCOVER, OFFER, REQUEST, ACK by a machine that the server has never seen. lanboot and dnsmasq write its
//! lease to the disk before they acknowledge it; Kea writes it without waiting for the disk.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dhcp::v4::MessageType;

use crate::bed::{self, Bed, readable};
use crate::program::{Bridge, Program};
use crate::pxe::{self, Answer};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::{Mark, Table, percentile};
use crate::{Marks, Result, Subject};

/// A client that hears nothing for so long asks again.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many repetitions in one run mean that something is broken.
const MAX_REPEATS: usize = 20_000;

/// One at a time shows the delay; the others are rushes, as after a power cut.
const LOADS: [Load; 4] = [
    Load { clients: 250, in_flight: 1 },
    Load { clients: 1000, in_flight: 32 },
    Load { clients: 1000, in_flight: 64 },
    Load { clients: 2000, in_flight: 256 },
];
/// The one whose time as a whole counts, and whose server then meets more clients.
const RUSH: usize = 64;
const MORE: Load = Load { clients: 300, in_flight: 32 };
/// Shows what those cost who tell what happens: the threads that read the journal. No more events than wait for them.
const TOLD: Load = Load { clients: 4000, in_flight: 64 };
const TELLERS: &[&str] = &["journal", "printer", "terminal"];
const TOLD_IN_TIMES: &str = "4,000 new clients with journal and terminal, in times of that with both held back";

pub const MARKS: Marks = &[
    ("DHCP, 32 clients at a time, exchanges/s", Mark::AtLeast(5.0, Program::Kea)),
    ("  server's processor time per exchange (of 32), µs", Mark::Under(40.0)),
    ("  1,000 new clients, 64 at a time, ms", Mark::Under(100.0)),
    ("  the same with 1,000 leases already there, exchanges/s", Mark::AtLeast(100.0, Program::Dnsmasq)),
    (TOLD_IN_TIMES, Mark::Under(1.05)),
];

pub struct DhcpLoad {
    bed: Bed,
    root: Folder,
}

impl DhcpLoad {
    pub fn new() -> Result<DhcpLoad> {
        Ok(DhcpLoad { bed: Bed::bridged(&bed::LARGE)?, root: Folder::with_files(&[("pxelinux.0", 42 << 10)])? })
    }
}

impl Subject for DhcpLoad {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Dnsmasq, Program::Kea, Program::Nothing]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        for load in LOADS {
            for &program in order {
                let server = Server::start(program, &self.bed, Bridge::IsThere, &self.root.0)?;
                ready(&self.bed, program, &server)?;
                let (done, micros) = self.measure(load, program, &server)?;
                let n = load.in_flight;
                let millis = |part| percentile(&done.latencies, part).as_secs_f64() * 1e3;
                let at_a_time = if n == 1 { "one client".into() } else { format!("{n} clients") };
                let mut add = |figure: &str, value| table.add(figure, program, value);
                add(&format!("DHCP, {at_a_time} at a time, exchanges/s"), load.rate(&done));
                add(&format!("  exchange p50 (of {n}), ms"), millis(0.5));
                add(&format!("  exchange p99 (of {n}), ms"), millis(0.99));
                add(&format!("  server's processor time per exchange (of {n}), µs"), micros);
                if n > 1 {
                    add(&format!("  clients refused after an offer (of {n})"), done.refusals as f64);
                    add(&format!("  messages repeated for want of an answer (of {n})"), done.repeats as f64);
                }
                if n == RUSH {
                    add("  1,000 new clients, 64 at a time, ms", done.took.as_secs_f64() * 1e3);
                    let (done, micros) = self.measure(MORE, program, &server)?;
                    add("  the same with 1,000 leases already there, exchanges/s", MORE.rate(&done));
                    add("  server's processor time per exchange then, µs", micros);
                }
            }
        }
        if order.contains(&Program::Lanboot) {
            self.cost_of_telling(table)?;
        }
        Ok(())
    }
}

impl DhcpLoad {
    fn cost_of_telling(&self, table: &mut Table) -> Result<()> {
        let program = Program::Lanboot;
        let run = |held_back: bool| {
            let server = Server::start(program, &self.bed, Bridge::IsThere, &self.root.0)?;
            ready(&self.bed, program, &server)?;
            server.rest()?;
            if held_back {
                server.hold_back(TELLERS)?;
            }
            let before = server.time_of(TELLERS);
            let (done, micros) = self.measure(TOLD, program, &server)?;
            let telling = (server.time_of(TELLERS) - before).as_secs_f64() * 1e6 / f64::from(TOLD.clients);
            Ok::<_, Box<dyn std::error::Error>>((done.took.as_secs_f64(), micros, telling))
        };
        // In the middle, so that what comes before and after weighs the same.
        let (before, ..) = run(false)?;
        let (without, ..) = run(true)?;
        let (with, micros, telling) = run(false)?;
        table.add(TOLD_IN_TIMES, program, (before + with) / 2.0 / without);
        table.add("  server's processor time per exchange (of 4,000), µs", program, micros);
        table.add("  of which for journal and terminal, µs", program, telling);
        Ok(())
    }

    /// What came of it, and the server's processor time per exchange, in microseconds.
    fn measure(&self, load: Load, program: Program, server: &Server) -> Result<(Done, f64)> {
        let before = server.processor_time()?;
        let done = load.run(&self.bed.dhcp_client()?, first_machine());
        let done = done.map_err(|error| format!("{program:?}: {error}"))?;
        server.rest()?;
        let used = server.processor_time()? - before;
        Ok((done, used.as_secs_f64() * 1e6 / f64::from(load.clients)))
    }
}

/// The number of a machine that no server has seen; the next thousands are free as well.
pub fn first_machine() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1 << 16, Ordering::Relaxed)
}

/// So many new clients, so many of them at a time.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub clients: u32,
    pub in_flight: usize,
}

pub struct Done {
    pub took: Duration,
    /// Of each exchange, in ascending order.
    pub latencies: Vec<Duration>,
    /// Exchanges that began again because the address just offered was refused.
    pub refusals: usize,
    /// Messages sent again for want of an answer.
    pub repeats: usize,
}

/// A client in the middle of its exchange.
struct Exchange {
    began: Instant,
    /// What was said last, and when.
    said: (Vec<u8>, Instant),
    /// Waits for the acknowledgement of this address.
    chosen: Option<Ipv4Addr>,
}

struct Run<'a> {
    socket: &'a UdpSocket,
    open: HashMap<u32, Exchange>,
    addresses: HashSet<Ipv4Addr>,
    latencies: Vec<Duration>,
    refusals: usize,
    repeats: usize,
}

impl Load {
    /// Exchanges per second.
    fn rate(self, done: &Done) -> f64 {
        f64::from(self.clients) / done.took.as_secs_f64()
    }

    /// `first`: the number of the first machine.
    ///
    /// # Errors
    /// An address given twice, refusals without end, or a server that stays silent.
    pub fn run(self, socket: &UdpSocket, first: u32) -> Result<Done> {
        let (open, addresses, latencies) = (HashMap::new(), HashSet::new(), Vec::new());
        let mut run = Run { socket, open, addresses, latencies, refusals: 0, repeats: 0 };
        let mut waiting = first..first + self.clients;
        let start = Instant::now();
        while run.latencies.len() < self.clients as usize {
            while run.open.len() < self.in_flight {
                let Some(number) = waiting.next() else { break };
                run.begin(number)?;
            }
            if !readable(socket, PATIENCE / 10) {
                run.repeat()?;
            }
            while let Some(answer) = pxe::receive(socket) {
                run.answered(&answer)?;
            }
        }
        let took = start.elapsed();
        run.latencies.sort_unstable();
        Ok(Done { took, latencies: run.latencies, refusals: run.refusals, repeats: run.repeats })
    }
}

impl Run<'_> {
    fn begin(&mut self, number: u32) -> Result<()> {
        let (message, now) = (pxe::discover(number), Instant::now());
        pxe::send(self.socket, &message)?;
        self.open.insert(number, Exchange { began: now, said: (message, now), chosen: None });
        Ok(())
    }

    fn answered(&mut self, answer: &Answer) -> Result<()> {
        // Answers to repetitions come when their exchange is over.
        let Some(exchange) = self.open.get_mut(&answer.number) else { return Ok(()) };
        match (answer.kind, exchange.chosen) {
            (MessageType::Offer, None) => {
                exchange.chosen = Some(answer.address);
                exchange.said = (pxe::request(answer.number, answer), Instant::now());
                pxe::send(self.socket, &exchange.said.0)?;
            }
            (MessageType::Ack, Some(chosen)) if chosen == answer.address => {
                if !self.addresses.insert(chosen) {
                    return Err(format!("{chosen} was given to two clients").into());
                }
                self.latencies.push(exchange.began.elapsed());
                self.open.remove(&answer.number);
            }
            (MessageType::Nak, Some(_)) => {
                self.refusals += 1;
                if self.refusals > MAX_REPEATS {
                    return Err("the server refuses what it offers".into());
                }
                exchange.chosen = None;
                exchange.said = (pxe::discover(answer.number), Instant::now());
                pxe::send(self.socket, &exchange.said.0)?;
            }
            (MessageType::Offer, Some(_)) => {}
            (kind, _) => return Err(format!("an answer that fits no exchange: {kind} of {}", answer.address).into()),
        }
        Ok(())
    }

    fn repeat(&mut self) -> Result<()> {
        let now = Instant::now();
        for exchange in self.open.values_mut().filter(|exchange| now - exchange.said.1 > PATIENCE) {
            self.repeats += 1;
            exchange.said.1 = now;
            pxe::send(self.socket, &exchange.said.0)?;
        }
        if self.repeats > MAX_REPEATS { Err("the server stays silent".into()) } else { Ok(()) }
    }
}
