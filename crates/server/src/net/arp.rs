//! Asks by ARP whether an address is in use.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mac::Mac;

use super::frame::{ETH_P_ARP, arp_probe, arp_sender, packet_socket, send_frame};
use super::{Interface, OpenError};

pub struct ArpSocket {
    fd: OwnedFd,
    interface: Interface,
}

impl ArpSocket {
    pub fn open(interface: &Interface) -> Result<ArpSocket, OpenError> {
        let fd = packet_socket(interface, ETH_P_ARP).map_err(interface.error("a packet socket for ARP", None))?;
        Ok(ArpSocket { fd, interface: interface.clone() })
    }

    /// Sends a probe; whoever has the address answers, to be found by [`ArpSocket::receive`].
    pub fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        send_frame(&self.fd, &self.interface, &arp_probe(self.interface.mac, address))
    }

    /// Whether the interface that we listen on exists no longer, or another one has its name.
    pub fn interface_is_gone(&self) -> bool {
        nix::net::if_::if_nametoindex(self.interface.name.as_str()) != Ok(self.interface.index)
    }

    /// The next address that somebody said to use, and who; `None` when nothing waits.
    pub fn receive(&self) -> Option<(Ipv4Addr, Mac)> {
        let mut frame = [0; 128];
        loop {
            let octets = nix::unistd::read(&self.fd, &mut frame).ok()?;
            if let Some(found) = arp_sender(&frame[..octets]).filter(|(_, mac)| *mac != self.interface.mac) {
                return Some(found);
            }
        }
    }
}

impl AsFd for ArpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
