//! DNS's sockets on one address of ours, over UDP and TCP.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};

use config::DnsAt;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::OpenError;

/// Room for a burst of queries or replies: the kernel's default holds a few hundred.
const BUFFER_OCTETS: usize = 1 << 20;

/// Bound and listening.
#[derive(Debug)]
pub struct DnsSockets {
    pub at: DnsAt,
    pub address: SocketAddr,
    pub udp: UdpSocket,
    pub tcp: TcpListener,
}

impl DnsSockets {
    /// `at`: an address that the host has, or, of IPv6, one that it may soon have: new ones are looked at for duplicates
    /// first (RFC 4862 section 5.4).
    ///
    /// # Errors
    /// When another program has the port there, or we may not.
    pub fn open(at: &DnsAt, port: u16) -> Result<DnsSockets, OpenError> {
        let error = |transport: &str| {
            let (what, interface) = (format!("{transport} port {port} of {}", at.address), at.interface.clone());
            move |source| OpenError { what, port: Some(port), interface, source }
        };
        let address = socket_address(at, port).map_err(error("UDP"))?;
        let udp = open_udp(address).map_err(error("UDP"))?;
        // Where the kernel was to choose the port, TCP has the same.
        let address = udp.local_addr().map_err(error("UDP"))?;
        let tcp = open_tcp(address).map_err(error("TCP"))?;
        Ok(DnsSockets { at: at.clone(), address, udp, tcp })
    }
}

/// Link-local addresses mean something on their link alone.
fn socket_address(at: &DnsAt, port: u16) -> io::Result<SocketAddr> {
    match at.address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Ok(SocketAddrV6::new(v6, port, 0, if_nametoindex(at.interface.as_str())?).into())
        }
        address => Ok(SocketAddr::new(address, port)),
    }
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, address)?;
    // Tells by which interface each query came.
    match address {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    // Past the limits for everybody (net.core.rmem_max, wmem_max) where we may, up to them where not.
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_OCTETS).is_err() {
        socket.set_recv_buffer_size(BUFFER_OCTETS)?;
    }
    if setsockopt(&socket, sockopt::SndBufForce, &BUFFER_OCTETS).is_err() {
        socket.set_send_buffer_size(BUFFER_OCTETS)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    prepare(&socket, address)?;
    socket.set_reuse_address(true)?; // or connections of a run before this one would block the port
    socket.bind(&address.into())?;
    socket.listen(256)?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    Ok(())
}
