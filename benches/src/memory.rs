//! Resident memory, idle and with leases; and what an idle program costs.

use std::thread;
use std::time::Duration;

use crate::bed::{self, Bed};
use crate::dhcp_load::{Load, first_machine};
use crate::program::{Bridge, Program};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::{Mark, Table};
use crate::{Result, Subject};

const IDLE: &str = "resident when idle (VmRSS), MiB";
pub const MARKS: &[(&str, Mark)] = &[(IDLE, Mark::Under(16.0))];

const LEASES: u32 = 200;
const WARM_UP: Duration = Duration::from_secs(1);
const WATCHED: Duration = Duration::from_secs(1);

/// The programs wait at the same time, each in a network of its own.
pub struct Memory {
    beds: [Bed; 3],
    root: Folder,
}

impl Memory {
    pub fn new() -> Result<Memory> {
        let beds = [Bed::bridged(&bed::LARGE)?, Bed::bridged(&bed::LARGE)?, Bed::bridged(&bed::LARGE)?];
        Ok(Memory { beds, root: Folder::with_files(&[("pxelinux.0", 42 << 10)])? })
    }
}

impl Subject for Memory {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Dnsmasq, Program::Kea]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        let start = |(program, bed)| Ok((program, bed, Server::start(program, bed, Bridge::IsThere, &self.root.0)?));
        let running: Vec<_> = order.iter().copied().zip(&self.beds).map(start).collect::<Result<_>>()?;
        for (program, bed, server) in &running {
            ready(bed, *program, server)?;
        }
        thread::sleep(WARM_UP);
        let before: Vec<_> = running.iter().map(|(.., server)| server.processor_time()).collect::<Result<_>>()?;
        thread::sleep(WATCHED);
        for ((program, _, server), before) in running.iter().zip(before) {
            let used = server.processor_time()? - before;
            let memory = server.memory()?;
            table.add(IDLE, *program, memory.whole);
            table.add("shared pages counted in part (Pss), MiB", *program, memory.shared_out);
            table.add("not backed by a file (RssAnon), MiB", *program, memory.anonymous);
            table.add("processor time when idle, µs/s", *program, used.as_secs_f64() * 1e6);
        }
        for (program, bed, server) in &running {
            Load { clients: LEASES, in_flight: 1 }.run(&bed.dhcp_client()?, first_machine())?;
            let memory = server.memory()?;
            table.add("resident with 200 leases (VmRSS), MiB", *program, memory.whole);
            table.add("of which not backed by a file, MiB", *program, memory.anonymous);
        }
        Ok(())
    }
}
