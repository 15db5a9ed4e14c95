//! How fast files go out by TFTP, in lock-step and in windows.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tftp::{Mode, Packet, Request};

use crate::bed::{self, Bed, readable};
use crate::program::{BOOT_FILE, Bridge, Program};
use crate::server::{Folder, Server};
use crate::start_up::ready;
use crate::table::Table;
use crate::{Result, Subject};

const MIB: usize = 1 << 20;
const INITRD: (&str, usize) = ("initrd.img", 16 * MIB);
/// As much as an Ethernet frame holds beside the headers of IPv4, UDP and TFTP.
const BLKSIZE: usize = 1468;
const PATIENCE: Duration = Duration::from_secs(2);

/// Who agrees to windows larger than one (RFC 7440).
const WITH_WINDOWS: [Program; 2] = [Program::Lanboot, Program::Atftpd];

pub struct TftpLoad {
    bed: Bed,
    root: Folder,
}

impl TftpLoad {
    pub fn new() -> Result<TftpLoad> {
        let root = Folder::with_files(&[(BOOT_FILE, 42 << 10), INITRD])?;
        Ok(TftpLoad { bed: Bed::bridged(&bed::SMALL)?, root })
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
            for (window, what) in [(1, "lock-step"), (16, "windowsize 16"), (64, "windowsize 64")] {
                if window > 1 && !WITH_WINDOWS.contains(&program) {
                    continue;
                }
                let (before, start) = (server.processor_time()?, Instant::now());
                fetch_tftp(&self.bed, window).map_err(|error| format!("{program:?}: {what}: {error}"))?;
                let took = start.elapsed().as_secs_f64();
                let mib = (INITRD.1 / MIB) as f64;
                table.add(&format!("TFTP, {what}, MiB/s"), program, mib / took);
                let used = (server.processor_time()? - before).as_secs_f64() * 1e6 / mib;
                table.add(&format!("  server's processor time per MiB ({what}), µs"), program, used);
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
