//! Clients that ask for addresses: in the words of real firmware, with whatever the input changes of them.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use dhcp::v4::packet::{COOKIE, HEADER_OCTETS};
use dhcp::v4::{Packet, Reply, code};
use mac::Mac;

use crate::input::Input;

macro_rules! capture {
    ($($firmware:literal),*) => {
        &[$(include_str!(concat!("../../../testdata/packets/", $firmware, "/01-discover.hex")),
            include_str!(concat!("../../../testdata/packets/", $firmware, "/02-request.hex"))),*]
    };
}

const CAPTURES: &[&str] =
    capture!("aavmf-pxe", "ipxe-efi", "ovmf-http", "ovmf-pxe", "seabios-ipxe", "udhcpc", "undionly");

/// Real packets, and last a bare header.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("hexadecimal"), 16).expect("hexadecimal");
    let octets = |text: &&str| {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(octet).collect()
    };
    let mut bare = vec![0; HEADER_OCTETS];
    bare[..3].copy_from_slice(&[1, 1, 6]);
    bare[236..].copy_from_slice(&COOKIE);
    CAPTURES.iter().map(octets).chain([bare]).collect()
});

/// The Ethernet address of a client. There are 16 of them.
pub fn mac(client: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, client % 16])
}

/// What the clients were last told.
#[derive(Default)]
pub struct Clients {
    offered: [Option<Ipv4Addr>; 16],
}

impl Clients {
    pub fn hear(&mut self, reply: &Reply) {
        let answer = Packet::parse(&reply.octets).expect("our own message");
        if let Some(Mac([0x52, 0x54, 0, 0, 0, client])) = answer.mac()
            && !answer.yiaddr().is_unspecified()
        {
            self.offered[usize::from(client % 16)] = Some(answer.yiaddr());
        }
    }

    /// The next packet: a client, a message, its kind, an address in one of its places, then options and odd octets.
    pub fn packet(&self, input: &mut Input<'_>) -> Vec<u8> {
        let client = input.u8();
        let mut octets = MESSAGES[usize::from(input.u8()) % MESSAGES.len()].clone();
        octets[28..34].copy_from_slice(&mac(client).0);
        let (kind, how) = (input.u8(), input.u8());
        let address = self.address(client, how, input);
        let mut options = Vec::new();
        if kind != 0 {
            let mut put = |code, data: &[u8]| {
                options.extend([code, data.len() as u8]);
                options.extend_from_slice(data);
            };
            put(code::MESSAGE_TYPE, &[kind]);
            if how & 1 != 0 {
                octets[12..16].copy_from_slice(&address.octets());
            }
            if how & 2 != 0 {
                put(code::REQUESTED_ADDRESS, &address.octets());
            }
            if how & 4 != 0 {
                let server = if how & 8 != 0 { Ipv4Addr::new(10, 0, 1, 2) } else { Ipv4Addr::new(10, 0, 1, 1) };
                put(code::SERVER_ID, &server.octets());
            }
        }
        let more = input.u8();
        if more & 0x80 != 0 {
            // Odd octets in the header.
            for _ in 0..more & 7 {
                let at = usize::from(input.u8()) % HEADER_OCTETS;
                octets[at] = input.u8();
            }
        }
        options.extend_from_slice(input.take(usize::from(more & 0x7f)));
        // In front of the others, so that they count where only the first of its kind does.
        let rest = octets.split_off(HEADER_OCTETS);
        octets.append(&mut options);
        octets.extend(rest.iter().skip(if kind == 0 { 0 } else { 3 }));
        octets
    }

    /// The address that the client was told, another's, or any.
    fn address(&self, client: u8, how: u8, input: &mut Input<'_>) -> Ipv4Addr {
        let told = |client: u8| self.offered[usize::from(client % 16)];
        let known = match how >> 4 & 3 {
            0 => told(client),
            1 => told(client.wrapping_add(1)),
            2 => Some(Ipv4Addr::new(10, 0, 1, input.u8())),
            _ => Some(Ipv4Addr::new(input.u8(), input.u8(), input.u8(), input.u8())),
        };
        known.unwrap_or(Ipv4Addr::new(10, 0, 1, 200))
    }
}
