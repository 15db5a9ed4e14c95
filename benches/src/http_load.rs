//! How fast files go out by HTTP.

use std::time::Instant;

use crate::bed::{self, Bed};
use crate::program::{BOOT_FILE, Bridge, Program};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::Table;
use crate::{Result, Subject};

const MIB: usize = 1 << 20;
const IMAGE: (&str, usize) = ("image.iso", 64 * MIB);

pub struct HttpLoad {
    bed: Bed,
    root: Folder,
}

impl HttpLoad {
    pub fn new() -> Result<HttpLoad> {
        let root = Folder::with_files(&[(BOOT_FILE, 42 << 10), IMAGE])?;
        Ok(HttpLoad { bed: Bed::bridged(&bed::SMALL)?, root })
    }
}

impl Subject for HttpLoad {
    fn programs(&self) -> &'static [Program] {
        &[Program::Lanboot, Program::Nginx]
    }

    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()> {
        for &program in order {
            let server = Server::start(program, &self.bed, Bridge::IsThere, &self.root.0)?;
            ready(&self.bed, program, &server)?;
            let (before, start) = (server.processor_time()?, Instant::now());
            fetch_http(&self.bed).map_err(|error| format!("{program:?}: {error}"))?;
            let took = start.elapsed().as_secs_f64();
            let mib = (IMAGE.1 / MIB) as f64;
            table.add("HTTP to curl, MiB/s", program, mib / took);
            let used = (server.processor_time()? - before).as_secs_f64() * 1e6 / mib;
            table.add("  server's processor time per MiB (HTTP), µs", program, used);
        }
        Ok(())
    }
}

fn fetch_http(bed: &Bed) -> Result<()> {
    let (name, octets) = IMAGE;
    let mut curl = bed.machines.command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--output", "/dev/null", "--write-out", "%{size_download}"]);
    let output = curl.arg(format!("http://{}/{name}", bed.subnet.server)).output();
    let output = output.map_err(|error| format!("curl cannot be run: {error}"))?;
    if output.status.success() && output.stdout == octets.to_string().as_bytes() {
        return Ok(());
    }
    Err(format!("curl: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
}
