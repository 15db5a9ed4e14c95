//! The DHCP server's socket: hears broadcasts on one interface, and reaches clients that have no address yet.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use config::Ports;
use dhcp::v4::{Destination, Reply};
use ipnet::Ipv4Net;
use mac::Mac;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::burst::{Arrivals, Departures, Way};
use super::frame::{NOTHING, packet_socket, udp};
use super::{Interface, OpenError};

/// Room for what a rack of some thousand machines asks at once when its power returns, while the disk is slow: a request
/// takes about 1.3 kB of it, and the kernel counts it twice. Without it the kernel holds about 160 and drops the rest, whose
/// machines ask again only after seconds.
const RECEIVE_OCTETS: usize = 8 << 20;

/// What every link and every client takes in one piece (RFC 791 section 3.1), headers aside.
const ALWAYS_WHOLE: usize = 576 - 28;

/// Replies that leave with one system call, from one socket at a time.
pub(crate) struct Outbox {
    datagrams: Departures,
    frames: Departures,
}

impl Outbox {
    pub fn new() -> Outbox {
        Outbox { datagrams: Departures::new(), frames: Departures::new() }
    }
}

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

    /// Takes the next datagrams; returns how many they are.
    pub(crate) fn receive(&self, arrivals: &mut Arrivals) -> usize {
        arrivals.receive(self.udp.as_fd()).unwrap_or(0)
    }

    /// Puts a reply to those that leave together. They do with [`DhcpSocket::send`], or when they are many.
    ///
    /// # Errors
    /// As [`DhcpSocket::send`].
    pub(crate) fn put(&self, reply: Reply, out: &mut Outbox) -> io::Result<usize> {
        let to = match reply.to {
            Destination::Relay(to) | Destination::Unicast(to) => self.by_our_ports(to),
            // The kernel would hand a copy of a broadcast datagram to ourselves, at the price of a request.
            Destination::Broadcast if reply.octets.len() <= ALWAYS_WHOLE => {
                return self.frame(Mac::BROADCAST, Ipv4Addr::BROADCAST, &reply.octets, out);
            }
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, self.ports.client),
            Destination::Hardware { mac, address } => return self.frame(mac, address, &reply.octets, out),
        };
        *out.datagrams.next() = reply.octets;
        out.datagrams.push(Way::From { interface: self.interface.index, address: self.source(*to.ip()), to });
        if out.datagrams.is_full() { self.send(out) } else { Ok(0) }
    }

    fn frame(&self, mac: Mac, address: Ipv4Addr, octets: &[u8], out: &mut Outbox) -> io::Result<usize> {
        let from = (self.interface.mac, self.source(address), self.ports.server);
        udp(out.frames.next(), from, (mac, address, self.ports.client), octets);
        out.frames.push(Way::Bound);
        if out.frames.is_full() { self.send(out) } else { Ok(0) }
    }

    /// Lets all that was put go. Returns how many went.
    ///
    /// # Errors
    /// What the kernel said of the first that it did not take.
    pub(crate) fn send(&self, out: &mut Outbox) -> io::Result<usize> {
        let datagrams = out.datagrams.send(self.udp.as_fd());
        let frames = out.frames.send(self.frames.as_fd());
        Ok(datagrams? + frames?)
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
