//! The way of one transfer to its client: a port of its own, or the service's, shared with all others.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use config::TransferPorts;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, getsockopt, sendmsg, sockopt};
use socket2::{Domain, Socket, Type};
use tftp::Run;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Receiver, channel};

/// The kernel's UDP_MAX_SEGMENTS, before Linux 6.9 doubled it.
const MOST_SEGMENTS: usize = 64;
/// File data and headers in one UDP datagram over IPv4, and so in one send that the kernel cuts into many.
const MOST_OCTETS: usize = 65_507;

/// Where transfers leave from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub address: Ipv4Addr,
    /// The interface that the service is bound to.
    pub device: Option<Vec<u8>>,
    pub ports: TransferPorts,
    /// The service's own socket.
    pub door: Arc<UdpSocket>,
}

#[derive(Debug)]
pub struct Link {
    path: Path,
    /// A window goes out in one system call, cut by the kernel (UDP_SEGMENT); off once that has failed.
    segmentation: bool,
    wire: Vec<u8>,
}

#[derive(Debug)]
enum Path {
    /// A port for this client alone. The kernel keeps everybody else out of it (RFC 1350 section 4), and tells us when
    /// the client's port is closed.
    Own(UdpSocket),
    /// The service's own port, which all transfers share: what this client sends there comes by the inbox.
    Shared { door: Arc<UdpSocket>, client: SocketAddrV4, mtu: u32, inbox: Receiver<Vec<u8>> },
}

impl Link {
    /// Opens the way to a client. `inbox`: brings what it sends to the service's own port.
    ///
    /// # Errors
    /// Those of the kernel; `AddrInUse` when every port of the range is taken.
    pub fn open(origin: &Origin, client: SocketAddrV4, inbox: Receiver<Vec<u8>>) -> io::Result<Link> {
        let path = match origin.ports {
            TransferPorts::Any => Path::Own(origin.connect(0, client)?),
            TransferPorts::Range(first, last) => Path::Own(origin.connect_from(first..=last, client)?),
            TransferPorts::Single => {
                let mtu = path_mtu(&origin.connect(0, client)?)?;
                Path::Shared { door: origin.door.clone(), client, mtu, inbox }
            }
        };
        Ok(Link { path, segmentation: true, wire: Vec::new() })
    }

    /// The path MTU to the client as far as the kernel knows it, in octets.
    pub fn mtu(&self) -> io::Result<u32> {
        match &self.path {
            Path::Own(socket) => path_mtu(socket),
            Path::Shared { mtu, .. } => Ok(*mtu),
        }
    }

    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.path {
            Path::Own(socket) => socket.recv(buffer).await,
            Path::Shared { inbox, .. } => {
                let datagram = inbox.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
                let octets = datagram.len().min(buffer.len());
                buffer[..octets].copy_from_slice(&datagram[..octets]);
                Ok(octets)
            }
        }
    }

    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match &self.path {
            Path::Own(socket) => socket.send(datagram).await.map(drop),
            Path::Shared { door, client, .. } => door.send_to(datagram, client).await.map(drop),
        }
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
        let (socket, to) = match &self.path {
            Path::Own(socket) => (socket, None),
            Path::Shared { door, client, .. } => (&**door, Some(SockaddrIn::from(*client))),
        };
        let send = || {
            let control = [ControlMessage::UdpGsoSegments(&segment)];
            let (octets, flags) = ([IoSlice::new(batch)], MsgFlags::MSG_DONTWAIT);
            let sent = sendmsg(socket.as_raw_fd(), &octets, &control, flags, to.as_ref());
            sent.map(drop).map_err(io::Error::from)
        };
        socket.async_io(Interest::WRITABLE, send).await
    }
}

impl Origin {
    /// A socket that speaks to this client alone. `port`: 0 for any.
    fn connect(&self, port: u16, client: SocketAddrV4) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), None)?;
        if self.device.is_some() {
            socket.bind_device(self.device.as_deref())?;
        }
        socket.bind(&SocketAddrV4::new(self.address, port).into())?;
        socket.connect(&client.into())?;
        UdpSocket::from_std(socket.into())
    }

    /// As [`Origin::connect`], from the first of these ports that is free.
    fn connect_from(&self, ports: RangeInclusive<u16>, client: SocketAddrV4) -> io::Result<UdpSocket> {
        for port in ports {
            match self.connect(port, client) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every port of the port range is taken"))
    }

    /// Sends one datagram that nothing follows, from where a transfer would come.
    pub async fn send_once(&self, client: SocketAddrV4, datagram: &[u8]) -> io::Result<()> {
        let (_, inbox) = channel(1);
        Link::open(self, client, inbox)?.send(datagram).await
    }
}

fn path_mtu(socket: &UdpSocket) -> io::Result<u32> {
    let mtu = getsockopt(socket, sockopt::IpMtu)?;
    Ok(mtu.try_into().unwrap_or_default())
}

/// Whether a device or an old kernel will not cut datagrams for us.
fn cannot_segment(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP))
}
