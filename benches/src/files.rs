//! How fast files go out, by TFTP in lock-step and in windows, and by HTTP to curl.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tftp::{Mode, Packet, Request};

use crate::bed::{self, Bed, readable};
use crate::server::{Bridge, Folder, Program, Server};
use crate::start_up::ready;
use crate::table::Table;
use crate::{Result, Subject};

const MIB: usize = 1 << 20;
const INITRD: (&str, usize) = ("initrd.img", 16 * MIB);
const IMAGE: (&str, usize) = ("image.iso", 64 * MIB);
/// As much as an Ethernet frame holds beside the headers of IPv4, UDP and TFTP.
const BLKSIZE: usize = 1468;
const PATIENCE: Duration = Duration::from_secs(2);

pub struct FileTransfers {
    bed: Bed,
    root: Folder,
}

impl FileTransfers {
    pub fn new() -> Result<FileTransfers> {
        let root = Folder::with_files(&[("pxelinux.0", 42 << 10), INITRD, IMAGE])?;
        Ok(FileTransfers { bed: Bed::bridged(&bed::SMALL)?, root })
    }
}

impl Subject for FileTransfers {
    fn round(&mut self, order: [Program; 2], table: &mut Table) -> Result<()> {
        for program in order {
            let server = Server::start(program, &self.bed, Bridge::IsThere, &self.root.0)?;
            ready(&self.bed, &server)?;
            let mut measure = |speed: &str, cost: &str, octets: usize, fetch: &dyn Fn() -> Result<()>| {
                let (before, start) = (server.processor_time()?, Instant::now());
                fetch().map_err(|error| format!("{program:?}: {speed}: {error}"))?;
                let took = start.elapsed().as_secs_f64();
                let mib = (octets / MIB) as f64;
                table.add(speed, program, mib / took);
                table.add(cost, program, (server.processor_time()? - before).as_secs_f64() * 1e6 / mib);
                Result::Ok(())
            };
            let lock_step = ["TFTP in lock-step, MiB/s", "  server's processor time per MiB (lock-step), µs"];
            measure(lock_step[0], lock_step[1], INITRD.1, &|| fetch_tftp(&self.bed, 1))?;
            if program == Program::Lanboot {
                let windows = ["TFTP with windowsize 16, MiB/s", "  server's processor time per MiB (windows), µs"];
                measure(windows[0], windows[1], INITRD.1, &|| fetch_tftp(&self.bed, 16))?;
                let http = ["HTTP to curl, MiB/s", "  server's processor time per MiB (HTTP), µs"];
                measure(http[0], http[1], IMAGE.1, &|| fetch_http(&self.bed))?;
            }
        }
        Ok(())
    }
}

/// Fetches the initrd as a well-behaved client does (RFC 1350, 2347, 2348, 7440).
fn fetch_tftp(bed: &Bed, window: usize) -> Result<()> {
    let socket = bed.udp_client()?;
    let option = |name: &str, value: usize| (name.to_owned(), value.to_string());
    let mut options = vec![option("blksize", BLKSIZE)];
    if window > 1 {
        options.push(option("windowsize", window));
    }
    let rrq = Packet::Rrq(Request { name: INITRD.0.into(), mode: Mode::Octet, options: options.clone() });
    socket.send_to(&rrq.emit(), (bed.subnet.server, 69))?;
    let mut buffer = [0; 2048];
    let (octets, peer) = receive(&socket, &mut buffer)?;
    match Packet::parse(&buffer[..octets])? {
        Packet::Oack(agreed) if options.iter().all(|option| agreed.contains(option)) => {}
        other => return Err(format!("asked for {options:?}, got {other:?}").into()),
    }
    acknowledge(&socket, peer, 0)?;
    // 16 MiB are fewer blocks than the 65 535 that a block number counts.
    let (mut last, mut got) = (0, 0);
    loop {
        let (octets, _) = receive(&socket, &mut buffer)?;
        let Packet::Data { block, octets } = Packet::parse(&buffer[..octets])? else {
            return Err("something other than DATA".into());
        };
        if block != last + 1 {
            // Lost on the way; ask for the rest of the window again.
            acknowledge(&socket, peer, last)?;
            continue;
        }
        last = block;
        got += octets.len();
        let done = octets.len() < BLKSIZE;
        if done || usize::from(block) % window == 0 {
            acknowledge(&socket, peer, block)?;
        }
        if done {
            return if got == INITRD.1 { Ok(()) } else { Err(format!("{got} octets came").into()) };
        }
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
    if !readable(socket, PATIENCE) {
        return Err(format!("silence for {PATIENCE:?}").into());
    }
    Ok(socket.recv_from(buffer)?)
}

fn acknowledge(socket: &UdpSocket, peer: SocketAddr, block: u16) -> Result<()> {
    socket.send_to(&Packet::Ack { block }.emit(), peer)?;
    Ok(())
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
