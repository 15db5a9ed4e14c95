//! What leases cost that a server knows already: its start, its memory, and each exchange with one client more.
//!
//! The state is made beforehand, in each program's own format, with leases of other clients that end in a day. dnsmasq
//! needs minutes to start with 50,000, so that only `--slow` measures it there, once.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leases::{Change, ClientKey, EmbeddedStore, Grant, LeaseStore, UnixSecs};
use mac::Mac;

use crate::bed::{self, Bed};
use crate::dhcp_load::{Load, first_machine};
use crate::program::{BOOT_FILE, Bridge, Program, Service};
use crate::server::{Folder, Server};
use crate::start_up::{millis, wait_for};
use crate::table::{Mark, Table, percentile};
use crate::{Result, Subject};

const DAY_SECS: u32 = 86400;
const PATIENCE: Duration = Duration::from_secs(300);
/// One after the other, for the time of an exchange.
const CLIENTS: u32 = 200;

const FEW: u32 = 10;
const MANY: u32 = 50_000;
const MILLION: u32 = 1_000_000;

pub const MARKS: &[(&str, Mark)] = &[
    ("start to first DHCPOFFER with 50000 leases, ms", Mark::Under(150.0)),
    ("start to first DHCPOFFER with 1000000 leases, ms", Mark::Under(1500.0)),
    ("resident with 50000 leases (VmRSS), MiB", Mark::Under(32.0)),
    ("p50 with 1000000 leases, in times of that with 10", Mark::Under(1.2)),
];

/// How many leases a program is given.
fn counts(program: Program, slow: bool) -> &'static [u32] {
    match program {
        Program::Lanboot => &[FEW, 1000, MANY, MILLION],
        Program::Dnsmasq if !slow => &[FEW, 1000],
        _ => &[FEW, 1000, MANY],
    }
}

pub struct KnownLeases {
    bed: Bed,
    root: Folder,
    /// Program, number of leases, and the state folder to begin with.
    states: Vec<(Program, u32, Folder)>,
    /// Whether dnsmasq with many is still to be measured.
    slow: bool,
}

impl KnownLeases {
    pub fn new(slow: bool) -> Result<KnownLeases> {
        let bed = Bed::bridged(&bed::HUGE)?;
        let root = Folder::with_files(&[(BOOT_FILE, 42 << 10)])?;
        let mut states = Vec::new();
        for program in [Program::Lanboot, Program::Dnsmasq, Program::Kea] {
            for &count in counts(program, slow) {
                let folder = Folder::new()?;
                match program {
                    Program::Lanboot => lanboot(&folder.0, count)?,
                    Program::Dnsmasq => dnsmasq(&folder.0, count)?,
                    _ => kea(&folder.0, count)?,
                }
                states.push((program, count, folder));
            }
        }
        Ok(KnownLeases { bed, root, states, slow })
    }
}

impl Subject for KnownLeases {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Dnsmasq, Program::Kea]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        for &program in order {
            let mut few = f64::NAN;
            for &count in counts(program, self.slow) {
                let (start, memory, p50) = self.measure(program, count)?;
                table.add(&format!("start to first DHCPOFFER with {count} leases, ms"), program, start);
                table.add(&format!("resident with {count} leases (VmRSS), MiB"), program, memory);
                table.add(&format!("exchange p50 with {count} leases, ms"), program, p50);
                few = if count == FEW { p50 } else { few };
                if count == *counts(program, self.slow).last().expect("each has some") {
                    table.add(&format!("p50 with {count} leases, in times of that with {FEW}"), program, p50 / few);
                }
            }
        }
        self.slow = false;
        Ok(())
    }
}

impl KnownLeases {
    /// Milliseconds to the first offer, MiB then, and the median milliseconds of an exchange.
    fn measure(&self, program: Program, count: u32) -> Result<(f64, f64, f64)> {
        let state = self.states.iter().find(|(other, known, _)| (*other, *known) == (program, count));
        let (_, _, template) = state.expect("made for each");
        let folder = Folder::new()?;
        for file in fs::read_dir(&template.0)? {
            let file = file?;
            let copy = folder.0.join(file.file_name());
            fs::copy(file.path(), &copy)?;
            // Or else the first lease has to wait until the copy is on disk.
            File::open(copy)?.sync_all()?;
        }
        let start = || Server::start_in(folder, program, &self.bed, Bridge::IsThere, &self.root.0);
        let (server, times) = wait_for(&self.bed, program, &[Service::Dhcp], PATIENCE, start)?;
        let memory = server.memory()?.whole;
        let load = Load { clients: CLIENTS, in_flight: 1 };
        let done = load.run(&self.bed.dhcp_client()?, first_machine())?;
        Ok((millis(times[0]), memory, millis(percentile(&done.latencies, 0.5))))
    }
}

/// Address and client of a lease.
fn lease(number: u32) -> (Ipv4Addr, Mac) {
    let (first, _) = bed::HUGE.range;
    let [a, b, c, d] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
    (Ipv4Addr::from_bits(first.to_bits() + number), Mac([2, 1, a, b, c, d]))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn lanboot(folder: &Path, count: u32) -> Result<()> {
    let (mut store, _) = EmbeddedStore::open(folder)?;
    let now = UnixSecs(now());
    let grant = |number| {
        let (address, mac) = lease(number);
        let (key, lease_secs) = (ClientKey::Mac(mac), DAY_SECS);
        Change::Grant(Grant { address, key, mac, client_id: None, hostname: None, lease_secs, now })
    };
    let numbers: Vec<u32> = (0..count).collect();
    for batch in numbers.chunks(10_000) {
        store.commit(batch.iter().copied().map(grant).collect())?;
    }
    Ok(())
}

fn dnsmasq(folder: &Path, count: u32) -> Result<()> {
    let end = now() + u64::from(DAY_SECS);
    let text = (0..count).map(lease).fold(String::new(), |mut text, (address, mac)| {
        writeln!(text, "{end} {mac} {address} * *").expect("a String takes all");
        text
    });
    Ok(fs::write(folder.join("leases"), text)?)
}

fn kea(folder: &Path, count: u32) -> Result<()> {
    let end = now() + u64::from(DAY_SECS);
    let head =
        "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";
    let text = (0..count).map(lease).fold(head.to_owned(), |mut text, (address, mac)| {
        writeln!(text, "{address},{mac},,{DAY_SECS},{end},1,0,0,,0,").expect("a String takes all");
        text
    });
    Ok(fs::write(folder.join("kea.csv"), text)?)
}
