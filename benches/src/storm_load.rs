//! A boot storm: machines that all boot at once, from DHCP to the last octet of the initrd, served by lanboot alone or by
//! what people put together instead.
//!
//! The machines are those of the crate `storm`. Nothing can be faster than their bytes: so each round also sends as many
//! over as many plain TCP connections, with sendfile, and nothing else.

use std::fs;
use std::time::Duration;

use storm::Storm;

use crate::bed::{self, Bed};
use crate::dhcp_load::first_machine;
use crate::plain::stream;
use crate::program::{BOOT_FILE, Bridge, INITRD, IPXE, KERNEL, Program, SCRIPT};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::{Mark, Table, percentile};
use crate::{Result, Subject};

const LOADER_OCTETS: usize = 90 << 10;
const PATIENCE: Duration = Duration::from_secs(120);
/// So many machines with a kernel and an initrd of so many MiB.
struct Size {
    machines: u32,
    kernel: usize,
    initrd: usize,
    /// Only in so many rounds.
    rounds: usize,
}

/// Of a thousand machines each has less to load, so that a round takes seconds.
const SIZES: [Size; 2] = [
    Size { machines: 100, kernel: 8, initrd: 16, rounds: usize::MAX },
    Size { machines: 1000, kernel: 3, initrd: 5, rounds: 3 },
];

const LAST_100: &str = "100 machines of 24 MiB, until the last is up, s";
const LAST_1000: &str = "1000 machines of 8 MiB, until the last is up, s";

pub const MARKS: &[(&str, Mark)] = &[
    (LAST_100, Mark::Better(1.3)),
    ("  until the first is up (of 100), s", Mark::Better(1.0)),
    ("  until half are up (of 100), s", Mark::Better(1.0)),
    ("  servers' processor time per machine (of 100), ms", Mark::Better(1.0)),
    ("  failed (of 100)", Mark::Under(0.5)),
    (LAST_1000, Mark::Better(1.0)),
    ("  until the first is up (of 1000), s", Mark::Better(1.0)),
    ("  until half are up (of 1000), s", Mark::Better(1.0)),
    ("  servers' processor time per machine (of 1000), ms", Mark::Better(1.0)),
    ("  failed (of 1000)", Mark::Under(0.5)),
    ("  the last, in times of what the bytes alone take (of 1000)", Mark::Under(1.25)),
];

pub struct Boots {
    bed: Bed,
    /// A tree for each size.
    roots: Vec<Folder>,
    round: usize,
}

impl Boots {
    pub fn new() -> Result<Boots> {
        let bed = Bed::bridged(&bed::LARGE)?;
        bed.own_all_addresses()?;
        let server = bed.subnet.server;
        let script = format!("#!ipxe\nkernel http://{server}/{KERNEL}\ninitrd http://{server}/{INITRD}\nboot\n");
        let tree = |size: &Size| -> Result<Folder> {
            let (kernel, initrd) = ((KERNEL, size.kernel << 20), (INITRD, size.initrd << 20));
            let loaders = [(BOOT_FILE, 42 << 10), (IPXE, LOADER_OCTETS), ("snponly.efi", LOADER_OCTETS)];
            let root = Folder::with_files(&[loaders.as_slice(), &[kernel, initrd]].concat())?;
            fs::write(root.0.join(SCRIPT), &script)?;
            Ok(root)
        };
        let roots = SIZES.iter().map(tree).collect::<Result<_>>()?;
        Ok(Boots { bed, roots, round: 0 })
    }
}

impl Subject for Boots {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::DnsmasqAndNginx, Program::KeaTftpdAndNginx]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        for (size, root) in SIZES.iter().zip(&self.roots).filter(|(size, _)| self.round < size.rounds) {
            let octets = (LOADER_OCTETS + ((size.kernel + size.initrd) << 20)) as u64;
            let alone = stream(&self.bed, &root.0.join(INITRD), size.machines.into(), octets)?.as_secs_f64();
            for &program in order {
                self.storm(program, size, root, alone, table)?;
            }
            table.machine(&format!("  the bytes alone (of {}), s", size.machines), alone);
        }
        self.round += 1;
        Ok(())
    }
}

impl Boots {
    fn storm(&self, program: Program, size: &Size, root: &Folder, alone: f64, table: &mut Table) -> Result<()> {
        let machines = size.machines;
        let server = Server::start(program, &self.bed, Bridge::IsThere, &root.0)?;
        ready(&self.bed, program, &server)?;
        let before = server.processor_time()?;
        let storm = Storm {
            machines,
            first: first_machine(),
            server: self.bed.subnet.server,
            link: "eth0".into(),
            loss: 0.0,
            patience: PATIENCE,
        };
        let report = self.bed.machines.run(|| storm.run())?;
        let used = server.processor_time()? - before;
        for failure in report.failures.iter().take(3) {
            eprintln!("{}: {failure}", program.name());
        }
        if let [first, .., last] = report.finished[..] {
            let (last, half) = (last.as_secs_f64(), percentile(&report.finished, 0.5).as_secs_f64());
            table.add(if machines == 100 { LAST_100 } else { LAST_1000 }, program, last);
            table.add(&format!("  until the first is up (of {machines}), s"), program, first.as_secs_f64());
            table.add(&format!("  until half are up (of {machines}), s"), program, half);
            let times = format!("  the last, in times of what the bytes alone take (of {machines})");
            table.add(&times, program, last / alone);
        }
        let each = used.as_secs_f64() * 1e3 / f64::from(machines);
        table.add(&format!("  servers' processor time per machine (of {machines}), ms"), program, each);
        table.add(&format!("  DHCP messages sent again (of {machines})"), program, report.dhcp_retries as f64);
        table.add(&format!("  TFTP packets sent again (of {machines})"), program, report.tftp_retries as f64);
        table.add(&format!("  failed (of {machines})"), program, report.failures.len() as f64);
        Ok(())
    }
}
