//! Octets and files onto a TCP connection, as much as it takes at once.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, sendmsg};
use socket2::SockRef;
use thiserror::Error;

/// What pages of files are a multiple of, on all hosts that we serve from.
const PAGE_OCTETS: u64 = 64 << 10;

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

/// The next client's connection, which does not block.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddrV4)> {
    let mut address =
        libc::sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] };
    let mut length = size_of_val(&address) as libc::socklen_t;
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the address is a live local of the length given. Listeners are bound to IPv4 addresses, and have such clients.
    let accepted = unsafe { libc::accept4(listener.as_raw_fd(), (&raw mut address).cast(), &mut length, flags) };
    if accepted < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else's.
    let stream = unsafe { TcpStream::from_raw_fd(accepted) };
    let client = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    Ok((stream, SocketAddrV4::new(client, u16::from_be(address.sin_port))))
}

/// Reads what has arrived. `None`: nothing has; 0: the client ended its side.
///
/// # Errors
/// The connection is gone.
pub(super) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> Result<Option<usize>, Broken> {
    match recv(stream.as_raw_fd(), buffer, MsgFlags::empty()) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(_) => Err(Broken::HungUp),
    }
}

/// Has the kernel keep what does not fill a packet until it is let go (TCP_CORK, tcp(7)): a head goes with the file behind it,
/// and each of sendfile's steps does not end in a short packet, which would cost a stream half of its speed.
pub(super) fn hold_short_packets(stream: &TcpStream, hold: bool) {
    // A kernel that refuses sends the same octets in more packets.
    let _ = SockRef::from(stream).set_tcp_cork(hold);
}

/// Writes the first octets of these two; `None`: the connection takes none now.
pub(super) fn octets(stream: &TcpStream, parts: [&[u8]; 2]) -> Result<Option<usize>, Broken> {
    let sent = match parts {
        [octets, []] => nix::sys::socket::send(stream.as_raw_fd(), octets, MsgFlags::MSG_NOSIGNAL),
        both => sendmsg::<()>(stream.as_raw_fd(), &both.map(IoSlice::new), &[], MsgFlags::MSG_NOSIGNAL, None),
    };
    match sent {
        Ok(count) => Ok(Some(count)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(_) => Err(Broken::HungUp),
    }
}

/// Sends the beginning of this part of the file from the page cache, without copying it through our memory (sendfile(2)).
pub(super) fn file(stream: &TcpStream, file: &File, part: Range<u64>, most: u64) -> Result<Option<usize>, Broken> {
    let mut offset = part.start as libc::off64_t;
    // Up to a whole page, so that the next call begins with one: pages in parts make smaller packets.
    let most = match (part.start + most) & !(PAGE_OCTETS - 1) {
        aligned if aligned > part.start => aligned - part.start,
        _ => most,
    };
    let count = (part.end - part.start).min(most) as usize;
    // SAFETY: both descriptors are open for as long as the call takes; `offset` is a live local.
    let sent = unsafe { libc::sendfile64(stream.as_raw_fd(), file.as_raw_fd(), &mut offset, count) };
    match usize::try_from(sent) {
        Ok(0) => Err(Broken::Shrank),
        Ok(count) => Ok(Some(count)),
        Err(_) => match io::Error::last_os_error() {
            error if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            error => Err(broken(error)),
        },
    }
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

fn broken(error: io::Error) -> Broken {
    match error.raw_os_error() {
        Some(libc::EPIPE | libc::ECONNRESET | libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH) => {
            Broken::HungUp
        }
        _ => Broken::Unreadable(error),
    }
}

/// Has the kernel read in large steps ahead of us: sendfile(2) waits for the disk, and others wait for this thread.
pub(super) fn read_ahead(file: &File, part: &Range<u64>) {
    let (start, length) = (part.start as libc::off64_t, (part.end - part.start) as libc::off64_t);
    // SAFETY: three numbers about an open descriptor. It is advice: failure changes nothing.
    unsafe { libc::posix_fadvise64(file.as_raw_fd(), start, length, libc::POSIX_FADV_SEQUENTIAL) };
}
