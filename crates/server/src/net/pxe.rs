//! The PXE boot server's socket: clients that have an address come here after DHCP is done.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use dhcp::v4::{Destination, Reply};
use nix::sys::socket::{MsgFlags, SockaddrIn, recvmsg};
use socket2::{Domain, Protocol, Socket, Type};

use super::dhcp::send_from;
use super::{Interface, OpenError};

const PORT: u16 = 4011;

pub struct PxeSocket {
    udp: Socket,
    interface: Interface,
    /// The address that replies come from.
    server: Ipv4Addr,
}

impl PxeSocket {
    pub fn open(interface: &Interface, server: Ipv4Addr) -> Result<PxeSocket, OpenError> {
        let open = || {
            let udp = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            udp.bind_device(Some(interface.name.as_bytes()))?;
            udp.set_broadcast(true)?;
            udp.set_nonblocking(true)?;
            // Clients that look for any boot server broadcast.
            udp.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
            Ok(udp)
        };
        let udp = open().map_err(interface.error(format!("UDP port {PORT}"), Some(PORT)))?;
        Ok(PxeSocket { udp, interface: interface.clone(), server })
    }

    /// The next datagram and who sent it; `None` when nothing waits.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<(&'a [u8], SocketAddrV4)> {
        let (octets, from) = {
            let mut parts = [IoSliceMut::new(buffer)];
            let got = recvmsg::<SockaddrIn>(self.udp.as_raw_fd(), &mut parts, None, MsgFlags::empty()).ok()?;
            (got.bytes, SocketAddrV4::from(got.address?))
        };
        Some((&buffer[..octets], from))
    }

    /// # Errors
    /// What the kernel says of a destination that it cannot reach.
    pub fn send(&self, reply: &Reply) -> io::Result<()> {
        match reply.to {
            Destination::Unicast(to) => send_from(&self.udp, &self.interface, self.server, to, &reply.octets),
            // The engine answers whoever asked here at the address that it asked from.
            Destination::Relay(_) | Destination::Broadcast | Destination::Hardware { .. } => {
                Err(io::Error::from(io::ErrorKind::InvalidInput))
            }
        }
    }
}

impl AsFd for PxeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }
}
