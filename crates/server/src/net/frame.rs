//! Raw Ethernet frames: packet sockets, and the few frames that go through them.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use etherparse::PacketBuilder;
use mac::Mac;

use super::Interface;

/// IPv4's protocol number on Ethernet, for a socket that only sends.
pub(super) const NOTHING: u16 = 0;
pub(super) const ETH_P_ARP: u16 = 0x0806;
pub(super) const ETH_P_IP: u16 = 0x0800;
pub(super) const ETH_P_IPV6: u16 = 0x86dd;

/// A packet socket on one interface; receives frames of `ethertype` only.
pub(super) fn packet_socket(interface: &Interface, ethertype: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes no pointers; a descriptor that it returns is ours alone.
    let fd = unsafe {
        let fd = libc::socket(libc::AF_PACKET, kind, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let address = link_address(interface, ethertype);
    // SAFETY: the address is a whole sockaddr_ll that outlives the call.
    let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32) };
    if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

/// Sends one whole Ethernet frame.
pub(super) fn send_frame(fd: &OwnedFd, interface: &Interface, frame: &[u8]) -> io::Result<()> {
    let address = link_address(interface, NOTHING);
    // SAFETY: frame and address are valid for their lengths during the call.
    let sent = unsafe {
        let (octets, count) = (frame.as_ptr().cast(), frame.len());
        libc::sendto(fd.as_raw_fd(), octets, count, 0, (&raw const address).cast(), size_of_val(&address) as u32)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn link_address(interface: &Interface, ethertype: u16) -> libc::sockaddr_ll {
    // SAFETY: all-zero octets are a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = interface.index as i32;
    address
}

/// A UDP datagram in an Ethernet frame to a client that does not answer ARP yet, in place of what `frame` holds.
pub(super) fn udp(frame: &mut Vec<u8>, from: (Mac, Ipv4Addr, u16), to: (Mac, Ipv4Addr, u16), payload: &[u8]) {
    let builder = PacketBuilder::ethernet2(from.0.0, to.0.0).ipv4(from.1.octets(), to.1.octets(), 64).udp(from.2, to.2);
    frame.clear();
    frame.reserve(builder.size(payload.len()));
    builder.write(frame, payload).expect("a DHCP message fits an IPv4 datagram, and a Vec takes every octet");
}

/// An ARP probe (RFC 5227 section 2.1.1): who has `target`? Asked from no address, so that no cache is touched.
pub(super) fn arp_probe(from: Mac, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(60);
    frame.extend(Mac::BROADCAST.0);
    frame.extend(from.0);
    frame.extend(ETH_P_ARP.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]); // Ethernet, IPv4, their lengths, request
    frame.extend(from.0);
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame.resize(60, 0); // the least that Ethernet carries
    frame
}

/// The sender's addresses in an ARP frame, request or reply: who uses which address.
pub(super) fn arp_sender(frame: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    let arp = frame.get(14..42)?;
    if arp[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let mac = Mac(arp[8..14].try_into().ok()?);
    let address = Ipv4Addr::new(arp[14], arp[15], arp[16], arp[17]);
    (!address.is_unspecified()).then_some((address, mac))
}

/// The MAC address of an interface (SIOCGIFHWADDR).
pub(super) fn hardware_address(name: &str) -> io::Result<Mac> {
    let request = ask_interface(name, libc::SIOCGIFHWADDR)?;
    // SAFETY: ifru_hwaddr is what this ioctl fills in.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    if address.sa_family != libc::ARPHRD_ETHER {
        return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{name} is not an Ethernet interface")));
    }
    Ok(Mac(std::array::from_fn(|at| address.sa_data[at] as u8)))
}

/// The interface's `IFF_` flags (SIOCGIFFLAGS).
pub(super) fn flags(name: &str) -> io::Result<i32> {
    let request = ask_interface(name, libc::SIOCGIFFLAGS)?;
    // SAFETY: ifru_flags is what this ioctl fills in.
    Ok(unsafe { request.ifr_ifru.ifru_flags }.into())
}

/// What the kernel says of an interface.
fn ask_interface(name: &str, what: libc::Ioctl) -> io::Result<libc::ifreq> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: all-zero octets are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the request is a whole ifreq, which the kernel fills.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(request) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_probe_names_no_sender_and_a_reply_does() {
        let address = Ipv4Addr::new(10, 0, 1, 200);
        let mut frame = arp_probe(MAC, address);
        assert_eq!(frame.len(), 60);
        assert_eq!(&frame[38..42], address.octets());
        assert_eq!(arp_sender(&frame), None, "a probe claims no address");
        frame[28..32].copy_from_slice(&address.octets());
        assert_eq!(arp_sender(&frame), Some((address, MAC)));
        assert_eq!(arp_sender(&frame[..41]), None);
    }

    #[test]
    fn a_datagram_is_framed_with_checksums() {
        let (us, you) = (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 1, 200));
        let mut frame = vec![7; 9];
        udp(&mut frame, (MAC, us, 67), (Mac::BROADCAST, you, 68), b"hello");
        assert_eq!(frame.len(), 14 + 20 + 8 + 5);
        let sum: u32 = frame[14..34].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "IPv4 header checksum");
        assert_ne!(&frame[40..42], [0, 0], "UDP checksum is there: some ROMs insist");
    }
}
