//! Octets and files onto a TCP connection, at whatever pace the client takes them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use thiserror::Error;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// At most this much per system call, so that one fast client leaves room for others on its thread.
const CHUNK_OCTETS: u64 = 1 << 20;

/// Why a connection is over before its answer was.
#[derive(Debug, Error)]
pub(super) enum Broken {
    #[error("client hung up")]
    HungUp,
    #[error("client took nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("the file shrank while it was sent")]
    Shrank,
    #[error("the file could not be read ({0})")]
    Unreadable(io::Error),
}

/// Writes `octets`. `more`: a body follows at once, the kernel may wait for it to fill a packet.
///
/// `stall`: how long the client may take nothing at all. `wrote` is told of each piece as it leaves.
pub(super) async fn octets(
    stream: &TcpStream,
    mut octets: &[u8],
    more: bool,
    stall: Duration,
    mut wrote: impl FnMut(usize),
) -> Result<(), Broken> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    while !octets.is_empty() {
        let send = || {
            // SAFETY: pointer and length are those of a live slice.
            result(unsafe { libc::send(stream.as_raw_fd(), octets.as_ptr().cast(), octets.len(), flags) })
        };
        let count = timeout(stall, stream.async_io(Interest::WRITABLE, send)).await;
        let count = count.map_err(|_| Broken::Stalled(stall))?.map_err(|_| Broken::HungUp)?;
        wrote(count);
        octets = &octets[count..];
    }
    Ok(())
}

/// Sends this part of the file from the page cache, without copying it through our memory (sendfile(2)).
pub(super) async fn file(
    stream: &TcpStream,
    file: &File,
    part: Range<u64>,
    stall: Duration,
    mut wrote: impl FnMut(usize),
) -> Result<(), Broken> {
    read_ahead(file, &part);
    let mut at = part.start;
    while at < part.end {
        let count = (part.end - at).min(CHUNK_OCTETS) as usize;
        let send = || {
            let mut offset = at as libc::off64_t;
            // SAFETY: both descriptors are open for as long as the call takes; `offset` is a live local.
            result(unsafe { libc::sendfile64(stream.as_raw_fd(), file.as_raw_fd(), &mut offset, count) })
        };
        let sent = timeout(stall, stream.async_io(Interest::WRITABLE, send)).await;
        let sent = sent.map_err(|_| Broken::Stalled(stall))?.map_err(broken)?;
        if sent == 0 {
            return Err(Broken::Shrank);
        }
        wrote(sent);
        at += sent as u64;
    }
    Ok(())
}

/// Octets written that the client's TCP has not acknowledged (SIOCOUTQ, tcp(7)).
pub(super) fn unacknowledged(stream: &TcpStream) -> u64 {
    let mut octets: libc::c_int = 0;
    // SAFETY: the request writes one int.
    match unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut octets) } {
        0 => u64::try_from(octets).unwrap_or(0),
        _ => 0,
    }
}

fn result(count: isize) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn broken(error: io::Error) -> Broken {
    match error.raw_os_error() {
        Some(libc::EPIPE | libc::ECONNRESET | libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH) => {
            Broken::HungUp
        }
        _ => Broken::Unreadable(error),
    }
}

/// Has the kernel read in large steps ahead of us: sendfile(2) waits for the disk, and others wait for this thread.
fn read_ahead(file: &File, part: &Range<u64>) {
    let (start, length) = (part.start as libc::off64_t, (part.end - part.start) as libc::off64_t);
    // SAFETY: three numbers about an open descriptor. It is advice: failure changes nothing.
    unsafe { libc::posix_fadvise64(file.as_raw_fd(), start, length, libc::POSIX_FADV_SEQUENTIAL) };
}
