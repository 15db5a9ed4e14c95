//! What the machines say.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code};
use mac::Mac;

/// The server, in every scenario.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

/// An address of the network served.
pub const fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, number)
}

/// A message in the making, or as it was captured.
#[derive(Clone)]
pub struct Message(pub Vec<u8>);

/// The machine of this number.
pub fn mac(machine: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, machine])
}

fn message(kind: MessageType, machine: u8) -> Message {
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[28..34].copy_from_slice(&mac(machine).0);
    octets[236..240].copy_from_slice(&COOKIE);
    octets.push(code::END);
    Message(octets).with(code::MESSAGE_TYPE, &[kind as u8])
}

pub fn discover(machine: u8) -> Message {
    message(MessageType::Discover, machine)
}

/// A BOOTP request: an empty vendor area behind the cookie, 300 octets in all (RFC 951).
pub fn bootp(machine: u8) -> Message {
    let mut message = message(MessageType::Discover, machine);
    message.0.truncate(HEADER_OCTETS);
    message.0.push(code::END);
    message
}

/// Takes the offer of `address`.
pub fn select(machine: u8, address: Ipv4Addr) -> Message {
    reboot(machine, address).with(code::SERVER_ID, &SERVER.octets())
}

/// As [`select`], of a server with another address.
pub fn select_from(server: Ipv4Addr, machine: u8, address: Ipv4Addr) -> Message {
    reboot(machine, address).with(code::SERVER_ID, &server.octets())
}

/// Was switched on and believes that `address` is its own (INIT-REBOOT).
pub fn reboot(machine: u8, address: Ipv4Addr) -> Message {
    message(MessageType::Request, machine).with(code::REQUESTED_ADDRESS, &address.octets())
}

/// RENEWING or REBINDING.
pub fn renew(machine: u8, address: Ipv4Addr) -> Message {
    message(MessageType::Request, machine).at(address)
}

pub fn inform(machine: u8, address: Ipv4Addr) -> Message {
    message(MessageType::Inform, machine).at(address)
}

pub fn release(machine: u8, address: Ipv4Addr) -> Message {
    message(MessageType::Release, machine).at(address).with(code::SERVER_ID, &SERVER.octets())
}

pub fn decline(machine: u8, address: Ipv4Addr) -> Message {
    let decline = message(MessageType::Decline, machine).with(code::REQUESTED_ADDRESS, &address.octets());
    decline.with(code::SERVER_ID, &SERVER.octets())
}

/// What firmware sent: a file of testdata/packets, without `.hex`.
pub fn captured(name: &str) -> Message {
    read("packets", name)
}

/// What a client sends by what is published of it: a file of testdata/made-packets, without `.hex`.
pub fn made(name: &str) -> Message {
    read("made-packets", name)
}

fn read(kind: &str, name: &str) -> Message {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(kind);
    let text = fs::read_to_string(folder.join(format!("{name}.hex"))).unwrap_or_else(|error| panic!("{name}: {error}"));
    let digits: Vec<u8> = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hexadecimal");
    Message(digits.chunks(2).map(octet).collect())
}

impl Message {
    /// Adds an option behind those there are.
    pub fn with(mut self, code: u8, data: &[u8]) -> Message {
        assert_eq!(self.0.pop(), Some(code::END), "still in the making");
        self.0.extend([code, data.len() as u8]);
        self.0.extend(data);
        self.0.push(code::END);
        self
    }

    /// Is a PXE client of this architecture.
    pub fn pxe(self, arch: u16) -> Message {
        let class = format!("PXEClient:Arch:{arch:05}:UNDI:003016");
        self.with(code::VENDOR_CLASS, class.as_bytes()).with(code::CLIENT_ARCH, &arch.to_be_bytes())
    }

    /// Chose this entry of a boot menu, at this layer (option 43, sub-option 71).
    pub fn item(self, kind: u16, layer: u16) -> Message {
        let ([a, b], [c, d]) = (kind.to_be_bytes(), layer.to_be_bytes());
        self.with(code::VENDOR_SPECIFIC, &[71, 4, a, b, c, d, code::END])
    }

    /// Asks for these options (option 55).
    pub fn asks(self, codes: &[u8]) -> Message {
        self.with(code::PARAMETER_REQUEST_LIST, codes)
    }

    /// Padded behind its options to the 300 octets of BOOTP.
    pub fn padded(mut self) -> Message {
        self.0.resize(self.0.len().max(300), 0);
        self
    }

    /// Names a boot file.
    pub fn wanting_file(mut self, name: &str) -> Message {
        self.0[108..108 + name.len()].copy_from_slice(name.as_bytes());
        self
    }

    pub fn broadcast(mut self) -> Message {
        self.0[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
        self
    }

    /// Has this address (ciaddr).
    pub fn at(mut self, address: Ipv4Addr) -> Message {
        self.0[12..16].copy_from_slice(&address.octets());
        self
    }

    /// Came by this relay (giaddr).
    pub fn by(mut self, relay: Ipv4Addr) -> Message {
        self.0[24..28].copy_from_slice(&relay.octets());
        self
    }

    /// Asks for this address in place of the one it was captured with (option 50).
    pub fn wanting(mut self, address: Ipv4Addr) -> Message {
        let packet = Packet::parse(&self.0).expect("a DHCP message");
        let old = packet.options().find(|(code, _)| *code == code::REQUESTED_ADDRESS).expect("option 50").1;
        let start = old.as_ptr() as usize - self.0.as_ptr() as usize;
        self.0[start..start + 4].copy_from_slice(&address.octets());
        self
    }

    /// Damages the octet at this place.
    pub fn octet(mut self, at: usize, octet: u8) -> Message {
        self.0[at] = octet;
        self
    }

    /// Ends early.
    pub fn cut(mut self, octets: usize) -> Message {
        self.0.truncate(octets);
        self
    }

    /// Whether a lease may be written for it: a DHCPREQUEST, DHCPDECLINE, DHCPRELEASE, a DHCPDISCOVER with rapid commit,
    /// or a BOOTP request.
    pub fn is_about_lease(&self) -> bool {
        let Ok(packet) = Packet::parse_any(&self.0) else { return false };
        match packet.message_type() {
            Some(MessageType::Request | MessageType::Decline | MessageType::Release) => true,
            Some(MessageType::Discover) => packet.option(code::RAPID_COMMIT).is_some(),
            None => packet.op() == 1 && packet.is_bootp(),
            Some(_) => false,
        }
    }

    /// Has this hardware address.
    pub fn from(mut self, mac: Mac) -> Message {
        self.0[28..34].copy_from_slice(&mac.0);
        self
    }

    pub fn xid(mut self, xid: u32) -> Message {
        self.0[4..8].copy_from_slice(&xid.to_be_bytes());
        self
    }
}
