//! Simulated machines that all boot at once, as when a rack's power returns.
//!
//! Each does what a real one does, in this order: its firmware gets an address and a boot file's name by DHCP and the file
//! by TFTP; the iPXE in that file gets an address again, then a script by HTTP, and the kernel and initrds that the script
//! names. Every other machine is a BIOS one with TFTP in lock-step, the others are UEFI with windows of 4. They ask again
//! after as long as firmware and iPXE do, and give up when these do.
//!
//! [`Storm::run`] is one thread with one epoll, and throws file contents away in the kernel, so that a thousand machines
//! cost little beside the server that is looked at. `ask` and `fetch` are the pure cores of the machines, `run` holds the sockets.

mod ask;
mod fetch;
mod page;
mod run;

use std::net::Ipv4Addr;
use std::time::Duration;

/// What shall happen.
#[derive(Clone, Debug)]
pub struct Storm {
    pub machines: u32,
    /// The number of the first; numbers make MAC addresses.
    pub first: u32,
    pub server: Ipv4Addr,
    /// The link to ask on. Every address that the server gives out must be local there: `ip route add local RANGE dev LINK`.
    pub link: String,
    /// The part of the datagrams that gets lost, each way, of 1. TCP is not lost: its repairs are the kernel's.
    pub loss: f64,
    /// The storm ends when so much time is over; who has not booted by then has failed.
    pub patience: Duration,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// When each machine had its last octet, in ascending order.
    pub finished: Vec<Duration>,
    /// Why others have not got so far.
    pub failures: Vec<String>,
    /// DHCP messages sent again, and exchanges begun again after a refusal.
    pub dhcp_retries: usize,
    /// TFTP packets sent again.
    pub tftp_retries: usize,
    /// Of file contents, all machines together.
    pub octets: u64,
}
