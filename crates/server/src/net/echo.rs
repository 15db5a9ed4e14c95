//! Asks by ICMP echo whether an address is in use, where ARP does not reach.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd};

use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Interface, OpenError};

pub struct EchoSocket {
    socket: Socket,
    id: u16,
}

impl EchoSocket {
    /// Not bound to the interface: a relayed client's network may lie behind another one.
    pub fn open(interface: &Interface) -> Result<EchoSocket, OpenError> {
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = open().map_err(interface.error("a raw socket for ICMP echo", None))?;
        Ok(EchoSocket { socket, id: std::process::id() as u16 })
    }

    pub fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        let kind = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: self.id, seq: 1 });
        let request = Icmpv4Header::with_checksum(kind, &[]).to_bytes();
        self.socket.send_to(&request, &SocketAddrV4::new(address, 0).into()).map(drop)
    }

    /// The next address that answered us; `None` when nothing waits.
    pub fn receive(&self) -> Option<Ipv4Addr> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 256];
        loop {
            let (octets, from) = self.socket.recv_from(&mut buffer).ok()?;
            // SAFETY: recv_from has written this many octets.
            let packet: &[u8] = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), octets) };
            let header_octets = usize::from(packet.first()? & 0x0f) * 4;
            let Some((icmp, _)) = packet.get(header_octets..).and_then(|rest| Icmpv4Header::from_slice(rest).ok())
            else {
                continue;
            };
            if matches!(icmp.icmp_type, Icmpv4Type::EchoReply(echo) if echo.id == self.id) {
                return from.as_socket_ipv4().map(|address| *address.ip());
            }
        }
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
