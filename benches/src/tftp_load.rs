//! How fast files go out by TFTP: a large one to one machine in lock-step and in windows, a loader over a cable that
//! loses, and the loader to many machines at once.

use std::time::{Duration, Instant};

use crate::bed::{self, Bed};
use crate::program::{BOOT_FILE, Bridge, Program};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::{Mark, Table, percentile};
use crate::tftp_client::{Ask, Fetched, fetch};
use crate::{Result, Subject};

const MIB: usize = 1 << 20;
const GB: f64 = 1e9;
const IMAGE: (&str, usize) = ("image.img", 32 * MIB);
const KERNEL: (&str, usize) = ("vmlinuz", 8 * MIB);
/// As large as the loaders of firmware.
const LOADER: (&str, usize) = (BOOT_FILE, 90_000);
/// As much as an Ethernet frame holds beside the headers of IPv4, UDP and TFTP.
const BLKSIZE: u16 = 1468;
/// Many small samples of loss, taken at the same time, since each may take seconds.
const LOSSES: usize = 20;

pub const MARKS: &[(&str, Mark)] = &[
    ("lock-step, MiB/s", Mark::Better(1.0)),
    ("lock-step, blocks of 512, MiB/s", Mark::Better(1.0)),
    ("windowsize 16, MiB/s", Mark::AtLeast(3.0, Program::Atftpd)),
    ("windowsize 64, MiB/s", Mark::AtLeast(8.0, Program::Atftpd)),
    ("  server's processor time per GB (windowsize 64), s", Mark::AtMost(0.1, Program::Atftpd)),
    ("90 kB, one packet in 100 lost, p50, ms", Mark::Under(100.0)),
];

pub struct TftpLoad {
    bed: Bed,
    root: Folder,
    contents: [Vec<u8>; 3],
    rounds: u64,
}

impl TftpLoad {
    pub fn new() -> Result<TftpLoad> {
        let files = [IMAGE, KERNEL, LOADER];
        let root = Folder::with_files(&files)?;
        let [image, kernel, loader] = files.map(|(name, _)| std::fs::read(root.0.join(name)));
        Ok(TftpLoad { bed: Bed::bridged(&bed::SMALL)?, root, contents: [image?, kernel?, loader?], rounds: 0 })
    }

    fn measure(&self, program: Program, server: &Server, table: &mut Table) -> Result<()> {
        let [image, kernel, loader] = &self.contents;
        let ask = |file: (&'static str, usize), content, blksize, windowsize| Ask {
            file: file.0,
            content,
            blksize,
            windowsize,
            loses_one_in: 0,
            seed: 0,
        };
        for (name, ask) in [
            ("lock-step", ask(KERNEL, kernel, BLKSIZE, 1)),
            ("lock-step, blocks of 512", ask(KERNEL, kernel, 512, 1)),
            ("windowsize 4", ask(IMAGE, image, BLKSIZE, 4)),
            ("windowsize 16", ask(IMAGE, image, BLKSIZE, 16)),
            ("windowsize 64", ask(IMAGE, image, BLKSIZE, 64)),
        ] {
            // Who knows no windows is not asked for them.
            if ask.windowsize > 1 && [Program::Dnsmasq, Program::TftpdHpa].contains(&program) {
                continue;
            }
            let before = server.processor_time()?;
            let fetched = fetch(&self.bed, &[ask])?;
            let used = server.processor_time()?.saturating_sub(before).as_secs_f64();
            if !fetched[0].whole || fetched[0].windowsize != ask.windowsize {
                return Err(format!("{name}: {:?}", fetched[0]).into());
            }
            let octets = ask.content.len() as f64;
            table.add(&format!("{name}, MiB/s"), program, octets / MIB as f64 / fetched[0].took.as_secs_f64());
            table.add(&format!("  server's processor time per GB ({name}), s"), program, used / octets * GB);
        }
        let asks: Vec<_> = (0..LOSSES as u64)
            .map(|number| Ask {
                loses_one_in: 100,
                seed: self.rounds * LOSSES as u64 + number,
                ..ask(LOADER, loader, BLKSIZE, 1)
            })
            .collect();
        let fetched = fetch(&self.bed, &asks)?;
        let times = times(&fetched);
        table.add("  DATA packets per block (lost)", program, packets_per_block(&fetched));
        table.add("90 kB, one packet in 100 lost, p50, ms", program, millis(percentile(&times, 0.5)));
        table.add("90 kB, one packet in 100 lost, p99, ms", program, millis(percentile(&times, 0.99)));
        for count in [100, 1000] {
            let asks = vec![ask(LOADER, loader, BLKSIZE, 1); count];
            let (before, start) = (server.processor_time()?, Instant::now());
            let fetched = fetch(&self.bed, &asks)?;
            let took = start.elapsed();
            let used = server.processor_time()?.saturating_sub(before).as_secs_f64() * 1e3 / count as f64;
            let times = self::times(&fetched);
            let (first, last) = (times[0].as_secs_f64(), times[times.len() - 1].as_secs_f64());
            table.add(&format!("90 kB to {count} at once, to the last, ms"), program, millis(took));
            let failed = fetched.iter().filter(|fetched| !fetched.whole).count();
            table.add(&format!("  failed ({count} at once), clients"), program, failed as f64);
            table.add(&format!("  slowest over fastest ({count} at once), times"), program, last / first);
            table.add(&format!("  DATA packets per block ({count} at once)"), program, packets_per_block(&fetched));
            table.add(&format!("  server's processor time per transfer ({count} at once), ms"), program, used);
        }
        Ok(())
    }
}

impl Subject for TftpLoad {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Dnsmasq, Program::TftpdHpa, Program::Atftpd]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        for &program in order {
            let server = Server::start(program, &self.bed, Bridge::IsThere, &self.root.0)?;
            ready(&self.bed, program, &server)?;
            self.measure(program, &server, table).map_err(|error| format!("{}: {error}", program.name()))?;
        }
        self.rounds += 1;
        Ok(())
    }
}

/// In ascending order.
fn times(fetched: &[Fetched]) -> Vec<Duration> {
    let mut times: Vec<_> = fetched.iter().map(|fetched| fetched.took).collect();
    times.sort_unstable();
    times
}

/// Of the loader, as many as came; 1: nothing was sent again.
fn packets_per_block(fetched: &[Fetched]) -> f64 {
    let blocks = LOADER.1 / usize::from(BLKSIZE) + 1;
    fetched.iter().map(|fetched| fetched.packets).sum::<u64>() as f64 / (blocks * fetched.len()) as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
