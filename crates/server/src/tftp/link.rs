//! The socket of one transfer: a port of our own, connected to the client's.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};
use socket2::{Domain, Socket, Type};
use tftp::Run;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The kernel's UDP_MAX_SEGMENTS, before Linux 6.9 doubled it.
const MOST_SEGMENTS: usize = 64;
/// File data and headers in one UDP datagram over IPv4, and so in one send that the kernel cuts into many.
const MOST_OCTETS: usize = 65_507;

#[derive(Debug)]
pub struct Link {
    socket: UdpSocket,
    /// A window goes out in one system call, cut by the kernel (UDP_SEGMENT); off once that has failed.
    segmentation: bool,
    wire: Vec<u8>,
}

impl Link {
    /// Opens a port on `address`, through `device` if given, for this client alone.
    ///
    /// Since the socket is connected, the kernel keeps everybody else out of the transfer (RFC 1350 section 4), and
    /// tells us when the client's port is closed.
    pub fn open(address: Ipv4Addr, device: Option<&[u8]>, client: SocketAddrV4) -> io::Result<Link> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), None)?;
        if device.is_some() {
            socket.bind_device(device)?;
        }
        socket.bind(&SocketAddrV4::new(address, 0).into())?;
        socket.connect(&client.into())?;
        Ok(Link { socket: UdpSocket::from_std(socket.into())?, segmentation: true, wire: Vec::new() })
    }

    /// The path MTU to the client as far as the kernel knows it, in octets.
    pub fn mtu(&self) -> io::Result<u32> {
        let mtu = getsockopt(&self.socket, sockopt::IpMtu)?;
        Ok(mtu.try_into().unwrap_or_default())
    }

    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer).await
    }

    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).await.map(drop)
    }

    /// Sends a run of DATA packets, `octets` being its file data.
    pub async fn send_run(&mut self, run: &Run, octets: &[u8]) -> io::Result<()> {
        let mut wire = std::mem::take(&mut self.wire);
        wire.clear();
        run.datagrams(octets, &mut wire);
        let sent = self.send_all(&wire, run.datagram_octets()).await;
        self.wire = wire;
        sent
    }

    /// Sends datagrams that lie one after the other, all but the last `datagram` octets long.
    async fn send_all(&mut self, wire: &[u8], datagram: usize) -> io::Result<()> {
        let batch = datagram * (MOST_OCTETS / datagram).min(MOST_SEGMENTS);
        for batch in wire.chunks(batch) {
            if batch.len() > datagram && self.segmentation {
                match self.send_segmented(batch, datagram).await {
                    Ok(()) => continue,
                    Err(error) if cannot_segment(&error) => self.segmentation = false,
                    Err(error) => return Err(error),
                }
            }
            for datagram in batch.chunks(datagram) {
                self.send(datagram).await?;
            }
        }
        Ok(())
    }

    async fn send_segmented(&self, batch: &[u8], datagram: usize) -> io::Result<()> {
        let segment = u16::try_from(datagram).map_err(|_| Errno::EINVAL)?;
        let send = || {
            let control = [ControlMessage::UdpGsoSegments(&segment)];
            let sent =
                sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(batch)], &control, MsgFlags::MSG_DONTWAIT, None);
            sent.map(drop).map_err(io::Error::from)
        };
        self.socket.async_io(Interest::WRITABLE, send).await
    }
}

/// Whether a device or an old kernel will not cut datagrams for us.
fn cannot_segment(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP))
}
