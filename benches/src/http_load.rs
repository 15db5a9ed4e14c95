//! Files by HTTP: large ones, small ones in numbers, parts; connections that are idle, and clients that are slow.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use crate::bed::{self, Bed};
use crate::http_client::{Done, Load, raise_descriptor_limit};
use crate::program::{BOOT_FILE, Bridge, Program};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::{Mark, Table, percentile};
use crate::{Result, Subject};

const IMAGE: (&str, usize) = ("image.iso", 64 << 20);
const SMALL: (&str, usize) = ("small.cfg", 1024);
const PART_OCTETS: u64 = 64 << 10;

/// A rack's worth: no one address is to have all places.
const ADDRESSES: u8 = 16;
const IDLE: usize = 10_000;
const SLOW: usize = 2_000;
/// What a slow client takes: 128 KiB/s.
const PACE: (usize, Duration) = (32 << 10, Duration::from_millis(250));
const SLOW_FOR: Duration = Duration::from_secs(4);

const FAST_SMALL: &str = "1 kB files, 64 connections that are kept, requests/s";
const FAST_LARGE: [&str; 2] = ["64 MiB file, one client, MiB/s", "64 MiB files, eight clients, MiB/s"];
const CHEAP_LARGE: [&str; 2] =
    ["  processor time per GiB (one client), ms", "  processor time per GiB (eight clients), ms"];
const MEMORY_IDLE: &str = "resident with 10,000 idle connections, MiB";

pub const MARKS: &[(&str, Mark)] = &[
    (FAST_LARGE[0], Mark::AtLeast(0.95, Program::NginxQuiet)),
    (FAST_LARGE[1], Mark::AtLeast(0.95, Program::NginxQuiet)),
    (CHEAP_LARGE[0], Mark::AtMost(1.0, Program::NginxQuiet)),
    (CHEAP_LARGE[1], Mark::AtMost(1.0, Program::NginxQuiet)),
    (FAST_SMALL, Mark::AtLeast(1.3, Program::NginxQuiet)),
    (MEMORY_IDLE, Mark::Under(100.0)),
];

pub struct HttpLoad {
    bed: Bed,
    root: Folder,
    sources: Vec<Ipv4Addr>,
}

impl HttpLoad {
    pub fn new() -> Result<HttpLoad> {
        raise_descriptor_limit()?;
        let root = Folder::with_files(&[(BOOT_FILE, 42 << 10), IMAGE, SMALL])?;
        let bed = Bed::bridged(&bed::LARGE)?;
        let [a, b, c, d] = bed.subnet.machine.octets();
        let sources: Vec<_> = (0..ADDRESSES).map(|number| Ipv4Addr::new(a, b, c, d + number)).collect();
        for source in &sources[1..] {
            bed::ip(&bed.machines, &format!("address add {source}/{} dev eth0", bed.subnet.prefix))?;
        }
        Ok(HttpLoad { bed, root, sources })
    }

    fn load(&self, connections: usize, (path, octets): (&'static str, usize)) -> Load<'_> {
        let server = SocketAddrV4::new(self.bed.subnet.server, 80);
        Load { server, sources: &self.sources, connections, path, octets: octets as u64, part: false, anew: false }
    }

    /// Returns what came of it, and the server's processor time per request.
    fn run(&self, server: &Server, load: &Load, requests: usize) -> Result<(Done, Duration)> {
        let before = server.processor_time()?;
        let done = self.bed.machines.run(|| load.run(requests).map_err(|error| error.to_string()))?;
        Ok((done, (server.processor_time()? - before) / requests as u32))
    }

    fn files(&self, program: Program, server: &Server, table: &mut Table) -> Result<()> {
        for (at, (connections, requests)) in [(1, 12), (8, 24)].into_iter().enumerate() {
            let (done, cost) = self.run(server, &self.load(connections, IMAGE), requests)?;
            let gib = IMAGE.1 as f64 / f64::from(1 << 30);
            table.add(FAST_LARGE[at], program, requests as f64 * gib * 1024.0 / done.took.as_secs_f64());
            table.add(CHEAP_LARGE[at], program, cost.as_secs_f64() * 1e3 / gib);
        }
        let kept = self.load(64, SMALL);
        let anew = Load { anew: true, ..self.load(64, SMALL) };
        let parts = Load { part: true, octets: PART_OCTETS, ..self.load(64, IMAGE) };
        let kinds = [
            (kept, 40_000, FAST_SMALL, "kept"),
            (anew, 8_000, "1 kB files, 64 at a time, each with a connection of its own, requests/s", "new"),
            (parts, 8_000, "64 KiB parts of a large file, 64 connections, requests/s", "parts"),
        ];
        for (load, requests, figure, short) in kinds {
            let (done, cost) = self.run(server, &load, requests)?;
            table.add(figure, program, requests as f64 / done.took.as_secs_f64());
            table.add(&format!("  processor time per request ({short}), µs"), program, cost.as_secs_f64() * 1e6);
            let p99 = percentile(&done.latencies, 0.99);
            table.add(&format!("  request p99 ({short}), ms"), program, p99.as_secs_f64() * 1e3);
        }
        Ok(())
    }

    fn idle(&self, program: Program, server: &Server, table: &mut Table) -> Result<()> {
        let before = server.memory()?.whole;
        let load = self.load(IDLE, SMALL);
        let _idle = self.bed.machines.run(|| load.idle().map_err(|error| error.to_string()))?;
        let with = server.memory()?.whole;
        table.add(MEMORY_IDLE, program, with);
        table.add(
            "  memory of an idle connection, octets",
            program,
            (with - before) * f64::from(1 << 20) / IDLE as f64,
        );
        Ok(())
    }

    /// Slow clients, each of which is to have its share, and quick ones beside them, which are not to suffer.
    fn slow(&self, program: Program, server: &Server, table: &mut Table) -> Result<()> {
        let (slow, quick) = (self.load(SLOW, IMAGE), self.load(4, SMALL));
        let both = || -> std::result::Result<_, String> {
            std::thread::scope(|scope| {
                let slow = scope.spawn(|| slow.slowly(PACE, SLOW_FOR).map_err(|error| error.to_string()));
                std::thread::sleep(SLOW_FOR / 2);
                let quick = quick.run(1000).map_err(|error| error.to_string());
                Ok((slow.join().expect("it does not panic")?, quick?))
            })
        };
        let ((taken, _held), quick) = self.bed.machines.run(both)?;
        table.add("resident with 2,000 slow clients, MiB", program, server.memory()?.whole);
        let share = taken[taken.len() / 100] as f64 / taken[taken.len() / 2] as f64;
        table.add("  taken by the slowest hundredth, of the median", program, share);
        let p99 = percentile(&quick.latencies, 0.99);
        table.add("  1 kB beside them, p99, ms", program, p99.as_secs_f64() * 1e3);
        Ok(())
    }
}

impl Subject for HttpLoad {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Nginx, Program::NginxQuiet]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        type Part = fn(&HttpLoad, Program, &Server, &mut Table) -> Result<()>;
        let parts: [Part; 3] = [HttpLoad::files, HttpLoad::idle, HttpLoad::slow];
        for part in parts {
            for &program in order {
                let server = Server::start(program, &self.bed, Bridge::IsThere, &self.root.0)?;
                ready(&self.bed, program, &server)?;
                part(self, program, &server, table).map_err(|error| format!("{}: {error}", program.name()))?;
            }
        }
        Ok(())
    }
}
