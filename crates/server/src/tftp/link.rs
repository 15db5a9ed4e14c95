//! The way of one transfer to its client: a port of its own, or the service's, shared with all others.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use config::TransferPorts;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, getsockopt, sendmsg, sockopt};
use socket2::{Domain, Socket, Type};
use tftp::Run;

/// The kernel's UDP_MAX_SEGMENTS, before Linux 6.9 doubled it.
const MOST_SEGMENTS: usize = 64;
/// File data and headers in one UDP datagram over IPv4, and so in one send that the kernel cuts into many.
const MOST_OCTETS: usize = 65_507;

/// File data in a packet on Ethernet, at most.
const SHORT: usize = 1468;

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
    /// The path MTU to the client as far as the kernel knows it, in octets.
    pub mtu: u32,
    /// A window goes out in one system call, cut by the kernel (UDP_SEGMENT); off once that has failed.
    segmentation: bool,
}

#[derive(Debug)]
enum Path {
    /// A port for this client alone. The kernel keeps everybody else out of it (RFC 1350 section 4), and tells us when
    /// the client's port is closed.
    Own(UdpSocket),
    /// The service's own port, which all transfers share.
    Shared { door: Arc<UdpSocket>, client: SocketAddrV4 },
}

impl Link {
    /// Opens the way to a client.
    ///
    /// # Errors
    /// Those of the kernel; `AddrInUse` when every port of the range is taken.
    pub fn open(origin: &Origin, client: SocketAddrV4) -> io::Result<Link> {
        let socket = match origin.ports {
            TransferPorts::Any | TransferPorts::Single => origin.connect(0, client)?,
            TransferPorts::Range(first, last) => origin.connect_from(first..=last, client)?,
        };
        let mtu = getsockopt(&socket, sockopt::IpMtu)?.try_into().unwrap_or_default();
        let path = match origin.ports {
            TransferPorts::Any | TransferPorts::Range(..) => Path::Own(socket),
            TransferPorts::Single => Path::Shared { door: origin.door.clone(), client },
        };
        Ok(Link { path, mtu, segmentation: true })
    }

    /// Its socket, where it has one to itself.
    pub fn own(&self) -> Option<BorrowedFd<'_>> {
        match &self.path {
            Path::Own(socket) => Some(socket.as_fd()),
            Path::Shared { .. } => None,
        }
    }

    /// Takes a datagram of the client from the socket that it has to itself.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; `ConnectionRefused` when the client's port is closed.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.path {
            Path::Own(socket) => socket.recv(buffer),
            Path::Shared { .. } => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Sends one datagram. `WouldBlock` as an error means, like any other, that it is lost.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match &self.path {
            Path::Own(socket) => socket.send(datagram).map(drop),
            Path::Shared { door, client } => door.send_to(datagram, *client).map(drop),
        }
    }

    /// Sends a run of DATA packets, `octets` being its file data: straight from there, with the headers between.
    pub fn send_run(&mut self, run: &Run, octets: &[u8]) -> io::Result<()> {
        if run.blocks == 1 && octets.len() <= SHORT {
            // Copied in less time than two slices cost the kernel.
            let mut datagram = [0; tftp::DATA_HEADER_OCTETS + SHORT];
            let (header, data) = datagram.split_at_mut(tftp::DATA_HEADER_OCTETS);
            header.copy_from_slice(&tftp::packet::data_header(run.first_block));
            data[..octets.len()].copy_from_slice(octets);
            return self.send(&datagram[..tftp::DATA_HEADER_OCTETS + octets.len()]);
        }
        let mut headers = [[0; tftp::DATA_HEADER_OCTETS]; MOST_SEGMENTS];
        let datagram = run.datagram_octets();
        let at_once = (MOST_OCTETS / datagram).min(MOST_SEGMENTS);
        let mut packets = run.packets(octets);
        let mut left = run.blocks as usize;
        while left > 0 {
            let count = left.min(at_once);
            let mut blocks = [[].as_slice(); MOST_SEGMENTS];
            for ((header, block), packet) in headers.iter_mut().zip(&mut blocks).take(count).zip(&mut packets) {
                (*header, *block) = packet;
            }
            let mut slices = [IoSlice::new(&[]); 2 * MOST_SEGMENTS];
            for (pair, (header, block)) in slices.chunks_exact_mut(2).zip(headers.iter().zip(blocks)).take(count) {
                pair[0] = IoSlice::new(header);
                pair[1] = IoSlice::new(block);
            }
            self.send_batch(&slices[..2 * count], datagram)?;
            left -= count;
        }
        Ok(())
    }

    /// Sends datagrams of two slices each, all but the last `datagram` octets long.
    fn send_batch(&mut self, slices: &[IoSlice<'_>], datagram: usize) -> io::Result<()> {
        if slices.len() > 2 && self.segmentation {
            match u16::try_from(datagram)
                .map_err(|_| Errno::EINVAL.into())
                .and_then(|size| self.put(slices, Some(size)))
            {
                Err(error) if cannot_segment(&error) => self.segmentation = false,
                result => return result,
            }
        }
        slices.chunks(2).try_for_each(|datagram| self.put(datagram, None))
    }

    /// One system call. `segment`: the octets of each datagram that the kernel is to cut.
    fn put(&self, slices: &[IoSlice<'_>], segment: Option<u16>) -> io::Result<()> {
        let (socket, to) = match &self.path {
            Path::Own(socket) => (socket, None),
            Path::Shared { door, client } => (&**door, Some(SockaddrIn::from(*client))),
        };
        let control = segment.as_ref().map(ControlMessage::UdpGsoSegments);
        sendmsg(socket.as_raw_fd(), slices, control.as_slice(), MsgFlags::MSG_DONTWAIT, to.as_ref())?;
        Ok(())
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
        Ok(socket.into())
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
}

/// Whether a device or an old kernel will not cut datagrams for us.
fn cannot_segment(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP))
}
