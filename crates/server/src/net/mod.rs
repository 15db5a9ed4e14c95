//! Opens every socket that clients reach. All of them stay on one interface.

mod arp;
pub(crate) mod burst;
mod dhcp;
mod dns;
mod echo;
mod forward;
mod frame;
mod neighbours;
mod pxe;
mod router;

pub use arp::ArpSocket;
pub use dhcp::DhcpSocket;
pub(crate) use dhcp::Outbox;
pub use dns::DnsSockets;
pub use echo::EchoSocket;
pub use forward::ForwardSocket;
pub use neighbours::mac_of;
pub use pxe::PxeSocket;
pub use router::{RouterMessage, RouterSocket};

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mac::Mac;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Room for the requests of thousands of machines that ask at once.
const TFTP_RECEIVE_OCTETS: usize = 4 << 20;

/// The interface that lanboot serves on.
#[derive(Clone, Debug)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    pub mac: Mac,
}

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {what} on {interface}: {source}")]
pub struct OpenError {
    /// For example `UDP port 69`.
    pub what: String,
    /// The port, where the socket has one.
    pub port: Option<u16>,
    pub interface: String,
    pub source: io::Error,
}

impl Interface {
    /// Looks an interface up by its name.
    ///
    /// # Errors
    /// When there is none, or it is not an Ethernet interface.
    pub fn named(name: &str) -> io::Result<Interface> {
        let index = if_nametoindex(name)?;
        let mac = frame::hardware_address(name)?;
        Ok(Interface { name: name.to_owned(), index, mac })
    }

    /// Waits until frames can pass, at most `patience`: a card that was brought up just now needs seconds to agree with
    /// the other end of its wire. Returns whether they can; at once where the interface is down.
    pub(crate) fn wait_for_carrier(&self, patience: Duration) -> io::Result<bool> {
        let end = Instant::now() + patience;
        loop {
            let flags = frame::flags(&self.name)?;
            let (up, running) = (flags & libc::IFF_UP != 0, flags & libc::IFF_RUNNING != 0);
            if !up || running || Instant::now() >= end {
                return Ok(up && running);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn error(&self, what: impl Into<String>, port: Option<u16>) -> impl FnOnce(io::Error) -> OpenError {
        let (what, interface) = (what.into(), self.name.clone());
        move |source| OpenError { what, port, interface, source }
    }

    /// TFTP's well-known socket.
    pub fn tftp(&self, address: Ipv4Addr, port: u16) -> Result<UdpSocket, OpenError> {
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.bind_device(Some(self.name.as_bytes()))?;
            socket.bind(&SocketAddrV4::new(address, port).into())?;
            socket.set_nonblocking(true)?;
            // The requests of a rack come at once; without privileges, what everyone may have has to do.
            if setsockopt(&socket, sockopt::RcvBufForce, &TFTP_RECEIVE_OCTETS).is_err() {
                socket.set_recv_buffer_size(TFTP_RECEIVE_OCTETS)?;
            }
            Ok(socket.into())
        };
        open().map_err(self.error(format!("UDP port {port}"), Some(port)))
    }

    /// HTTP's listening sockets: one for the interface, one for programs on this host that use the same address.
    pub fn http(&self, address: Ipv4Addr, port: u16) -> Result<Vec<TcpListener>, OpenError> {
        let open = |device: &str| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?; // or connections of a run before this one would block the port
            socket.bind_device(Some(device.as_bytes()))?;
            socket.bind(&SocketAddrV4::new(address, port).into())?;
            // What Linux has by default, whatever this host has: BBR paces each stream by timers, which on one wire costs
            // half of the speed and twice the processor time. Connections have it from their listener. A kernel without
            // it serves with what it has.
            let _ = setsockopt(&socket, sockopt::TcpCongestion, &OsString::from("cubic"));
            // As many as the kernel allows (net.core.somaxconn): a rack comes at once.
            socket.listen(i32::from(u16::MAX))?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        let both = [self.name.as_str(), "lo"].into_iter().map(open).collect();
        Result::map_err(both, self.error(format!("TCP port {port}"), Some(port)))
    }
}

/// Raises the limit of open files and sockets to what this process may have at most. Returns it.
pub(crate) fn raise_descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a live local. Failing, the limit stays as it is, or is not known.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raised) == 0 {
                limit = raised;
            }
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// A packet socket that hears every IPv4 frame on the interface.
pub(crate) fn ip_socket(interface: &Interface) -> Result<OwnedFd, OpenError> {
    frame::packet_socket(interface, frame::ETH_P_IP).map_err(interface.error("a packet socket", None))
}

/// Sends a DHCP client's message from an interface that may have no address.
pub(crate) fn send_broadcast(socket: &OwnedFd, interface: &Interface, payload: &[u8]) -> io::Result<()> {
    let from = (interface.mac, Ipv4Addr::UNSPECIFIED, 68);
    let mut frame = Vec::new();
    frame::udp(&mut frame, from, (Mac::BROADCAST, Ipv4Addr::BROADCAST, 67), payload);
    frame::send_frame(socket, interface, &frame)
}
