//! Records what goes over a machine's cable, as a pcapng file for Wireshark and tcpdump.

use std::fs::File;
use std::io::{self, BufWriter, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockType, recvmsg, setsockopt, socket, sockopt,
};

/// Where a recording stops by itself, in octets.
const LARGEST_FILE: u64 = 256 << 20;
/// A frame with offloaded segmentation is as long as an IP datagram can be.
const LONGEST_FRAME: usize = 68 << 10;

/// Writes pcapng (draft-ietf-opsawg-pcapng), one interface, nanoseconds, this host's byte order.
struct Writer<W: Write> {
    out: W,
    octets: u64,
}

impl<W: Write> Writer<W> {
    fn new(out: W, interface: &str) -> io::Result<Writer<W>> {
        let mut writer = Writer { out, octets: 0 };
        // Section header: byte-order magic, version 1.0, length unknown.
        let mut section = 0x1a2b_3c4d_u32.to_ne_bytes().to_vec();
        section.extend([1u16.to_ne_bytes(), 0u16.to_ne_bytes()].concat());
        section.extend((-1i64).to_ne_bytes());
        option(&mut section, 4, format!("lanboot {}", env!("CARGO_PKG_VERSION")).as_bytes());
        writer.block(0x0a0d_0d0a, &section)?;
        // Interface description: LINKTYPE_ETHERNET, no limit; if_name, if_tsresol = 10^-9 s.
        let mut description = [1u16.to_ne_bytes(), 0u16.to_ne_bytes()].concat();
        description.extend(0u32.to_ne_bytes());
        option(&mut description, 2, interface.as_bytes());
        option(&mut description, 9, &[9]);
        writer.block(1, &description)?;
        Ok(writer)
    }

    /// Enhanced packet block. `at`: since 1970.
    fn frame(&mut self, at: Duration, frame: &[u8], comment: Option<&str>) -> io::Result<()> {
        let mut body = Vec::with_capacity(frame.len() + 64);
        let nanos = at.as_nanos() as u64;
        let length = frame.len() as u32;
        for word in [0, (nanos >> 32) as u32, nanos as u32, length, length] {
            body.extend(word.to_ne_bytes());
        }
        body.extend(frame);
        pad(&mut body);
        if let Some(comment) = comment {
            option(&mut body, 1, comment.as_bytes());
        }
        self.block(6, &body)
    }

    /// Interface statistics block: frames seen by the kernel (isb_ifrecv) and those it could not keep (isb_ifdrop).
    fn statistics(&mut self, at: Duration, seen: u64, dropped: u64) -> io::Result<()> {
        let nanos = at.as_nanos() as u64;
        let mut body = Vec::new();
        for word in [0, (nanos >> 32) as u32, nanos as u32] {
            body.extend(word.to_ne_bytes());
        }
        option(&mut body, 4, &seen.to_ne_bytes());
        option(&mut body, 5, &dropped.to_ne_bytes());
        self.block(5, &body)
    }

    /// `body` is a multiple of four octets long; its options, if any, are ended here.
    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = (12 + body.len()) as u32;
        self.out.write_all(&kind.to_ne_bytes())?;
        self.out.write_all(&length.to_ne_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&length.to_ne_bytes())?;
        self.octets += u64::from(length);
        Ok(())
    }
}

/// An option of a block. The end of the block ends the list, so no opt_endofopt is needed.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_ne_bytes());
    body.extend((value.len() as u16).to_ne_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A recording under way. Ends when dropped, with everything written out.
pub struct Recording {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recording {
    /// Records both directions of `interface`, in the network of the calling thread, into a new file. Stops by itself at
    /// 256 MiB, and says so in the comment of the last frame.
    ///
    /// # Errors
    /// Without the right CAP_NET_RAW, when the interface is not there, or the file cannot be made.
    pub fn start(interface: &str, file: &Path) -> io::Result<Recording> {
        let socket = open(interface)?;
        let writer = Writer::new(BufWriter::with_capacity(64 << 10, File::create(file)?), interface)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let record = move || {
            // A full disk must not spoil the boot that is being watched; the recording just ends early.
            let _ = record(&socket, writer, &stopped);
        };
        let thread = thread::Builder::new().name("capture".to_owned()).spawn(record)?;
        Ok(Recording { stop, thread: Some(thread) })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does nothing that panics.
            let _ = thread.join();
        }
    }
}

fn open(interface: &str) -> io::Result<OwnedFd> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    // Protocol 0: nothing arrives before bind has named the interface.
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // Bursts of a whole TFTP window from several servers; beyond the limit only for the real root.
    if setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20))?;
    }
    // SAFETY: integers only, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is a sockaddr_ll of this length, and outlives the call.
    Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

fn record(socket: &OwnedFd, mut writer: Writer<BufWriter<File>>, stop: &AtomicBool) -> io::Result<()> {
    let mut buffer = vec![0; LONGEST_FRAME];
    // What had arrived when the end was asked for still belongs to the recording.
    let mut last_round = false;
    while !last_round {
        last_round = stop.load(Ordering::Relaxed);
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, if last_round { PollTimeout::ZERO } else { PollTimeout::from(100u8) })?;
        while let Some((at, length)) = receive(socket, &mut buffer)? {
            let full = writer.octets > LARGEST_FILE;
            let comment = full.then_some("lanboot: the recording ends here, at its largest size");
            writer.frame(at, &buffer[..length], comment)?;
            if full {
                return writer.out.flush();
            }
        }
    }
    let (seen, dropped) = statistics(socket)?;
    writer.statistics(now(), seen, dropped)?;
    writer.out.flush()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The next frame that has arrived: when, and its length in `buffer`.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<(Duration, usize)>> {
    let mut control = nix::cmsg_space!(libc::timespec);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = match recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty()) {
        Ok(message) => message,
        // ENETDOWN: the interface is gone with its machine.
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let at = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)),
        _ => None,
    });
    Ok(Some((at.unwrap_or_else(now), message.bytes)))
}

/// Frames seen, and how many of them were lost for lack of room (packet(7), PACKET_STATISTICS).
fn statistics(socket: &OwnedFd) -> io::Result<(u64, u64)> {
    let mut counts = [0u32; 2];
    let mut length = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: struct tpacket_stats is two u32, and `length` says that this is how much room there is.
    Errno::result(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            counts.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok((u64::from(counts[0]), u64::from(counts[1])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::Namespace;
    use std::net::UdpSocket;
    use std::process::Command;

    #[test]
    fn blocks_are_framed_by_their_length_and_padded() {
        let mut writer = Writer::new(Vec::new(), "tap0").unwrap();
        let head = writer.out.len();
        writer.frame(Duration::new(1, 2), &[1, 2, 3, 4, 5], Some("why")).unwrap();
        writer.statistics(Duration::new(3, 0), 7, 1).unwrap();
        assert_eq!(writer.octets, writer.out.len() as u64);
        let word = |at: usize| u32::from_ne_bytes(writer.out[at..at + 4].try_into().unwrap());
        let (mut at, mut kinds) = (0, Vec::new());
        while at < writer.out.len() {
            let length = word(at + 4) as usize;
            assert_eq!((length % 4, word(at + length - 4)), (0, length as u32));
            kinds.push(word(at));
            at += length;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 5]);
        let nanos = u64::from(word(head + 12)) << 32 | u64::from(word(head + 16));
        assert_eq!((nanos, word(head + 20)), (1_000_000_002, 5));
    }

    #[test]
    fn recording_is_read_by_tcpdump() {
        let file = std::env::temp_dir().join(format!("lanboot-capture-{}.pcapng", std::process::id()));
        Namespace::new().unwrap().run(|| {
            let recording = Recording::start("lo", &file).unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..3 {
                socket.send_to(b"lanboot was here", "127.0.0.1:6900").unwrap();
            }
            drop(recording);
        });
        let read = Command::new("tcpdump").arg("-nAr").arg(&file).args(["udp", "port", "6900"]).output().unwrap();
        std::fs::remove_file(&file).unwrap();
        let text = String::from_utf8_lossy(&read.stdout);
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        // Seen leaving and arriving: lo is both ends of its cable.
        assert_eq!(text.matches("lanboot was here").count(), 6, "{text}");
    }

    #[test]
    fn missing_interface_is_an_error() {
        assert!(Recording::start("no-such-if0", &std::env::temp_dir().join("lanboot-none.pcapng")).is_err());
    }
}
