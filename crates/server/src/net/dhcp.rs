//! The DHCP server's socket: hears broadcasts on one interface, and reaches clients that have no address yet.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use config::Ports;
use dhcp::v4::{Destination, Reply};
use ipnet::Ipv4Net;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::frame::{NOTHING, packet_socket, send_frame, udp};
use super::{Interface, OpenError};

/// Room for a burst of requests while a lease is being written: the kernel's default holds a few hundred.
const RECEIVE_OCTETS: usize = 1 << 20;

pub struct DhcpSocket {
    udp: Socket,
    frames: OwnedFd,
    interface: Interface,
    /// Ours, at least one: replies come from the one on the network that they go to, else from the first.
    addresses: Vec<Ipv4Net>,
    ports: Ports,
}

impl DhcpSocket {
    pub fn open(interface: &Interface, addresses: &[Ipv4Net], ports: Ports) -> Result<DhcpSocket, OpenError> {
        let open = || {
            let udp = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            udp.bind_device(Some(interface.name.as_bytes()))?;
            udp.set_broadcast(true)?;
            udp.set_nonblocking(true)?;
            // Past the limit for everybody (net.core.rmem_max) where we may, up to it where not.
            if setsockopt(&udp, sockopt::RcvBufForce, &RECEIVE_OCTETS).is_err() {
                udp.set_recv_buffer_size(RECEIVE_OCTETS)?;
            }
            // Requests are broadcast, so the socket must not be bound to our address.
            udp.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ports.server).into())?;
            Ok(udp)
        };
        let udp = open().map_err(interface.error(format!("UDP port {}", ports.server), Some(ports.server)))?;
        let frames = packet_socket(interface, NOTHING).map_err(interface.error("a packet socket", None))?;
        Ok(DhcpSocket { udp, frames, interface: interface.clone(), addresses: addresses.to_vec(), ports })
    }

    /// The name of the interface that it is on.
    pub fn interface(&self) -> &str {
        &self.interface.name
    }

    /// The interface has these addresses now.
    pub fn readdress(&mut self, addresses: Vec<Ipv4Net>) {
        self.addresses = addresses;
    }

    /// The next datagram; `None` when nothing waits.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let octets = nix::sys::socket::recv(self.udp.as_raw_fd(), buffer, MsgFlags::empty()).ok()?;
        Some(&buffer[..octets])
    }

    pub fn send(&self, reply: &Reply) -> io::Result<()> {
        match reply.to {
            Destination::Relay(to) => self.send_udp(self.by_our_ports(to), &reply.octets),
            Destination::Unicast(to) => self.send_udp(self.by_our_ports(to), &reply.octets),
            Destination::Broadcast => {
                self.send_udp(SocketAddrV4::new(Ipv4Addr::BROADCAST, self.ports.client), &reply.octets)
            }
            Destination::Hardware { mac, address } => {
                let from = (self.interface.mac, self.source(address), self.ports.server);
                let frame = udp(from, (mac, address, self.ports.client), &reply.octets);
                send_frame(&self.frames, &self.interface, &frame)
            }
        }
    }

    fn source(&self, to: Ipv4Addr) -> Ipv4Addr {
        let near = self.addresses.iter().find(|net| net.contains(&to));
        near.or(self.addresses.first()).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Net::addr)
    }

    /// The well-known ports, as this network has them.
    fn by_our_ports(&self, to: SocketAddrV4) -> SocketAddrV4 {
        let (known, ours) = (Ports::default(), self.ports);
        let port = match to.port() {
            port if port == known.server => ours.server,
            port if port == known.client => ours.client,
            other => other,
        };
        SocketAddrV4::new(*to.ip(), port)
    }

    fn send_udp(&self, to: SocketAddrV4, octets: &[u8]) -> io::Result<()> {
        send_from(&self.udp, &self.interface, self.source(*to.ip()), to, octets)
    }
}

/// Sends a datagram from one of the interface's addresses, of which there may be several.
pub(super) fn send_from(
    socket: &Socket,
    interface: &Interface,
    from: Ipv4Addr,
    to: SocketAddrV4,
    octets: &[u8],
) -> io::Result<()> {
    let info = libc::in_pktinfo {
        ipi_ifindex: interface.index as i32,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let to = SockaddrIn::from(to);
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(octets)], &control, MsgFlags::empty(), Some(&to))?;
    Ok(())
}

impl AsFd for DhcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }
}
