//! What clients ask, and who they are.

use dns::resolver::{Client, Transport};

use crate::input::Input;

use super::message::{A, AAAA, ANY, CNAME, RRSIG, SOA, TXT};

/// Names that clients ask for and servers speak of; others are made of letters.
pub const NAMES: [&str; 22] = [
    "aa.test",
    "ab.test",
    "ba.test",
    "xa.test",
    "x.xa.test",
    "own.test",
    "below.own.test",
    "a.local.test",
    "a.b.local.test",
    "ads.test",
    "a.srv.test",
    "box.lan",
    "box",
    "alias.lan",
    "long.lan",
    "a.wild.lan",
    "txt.lan",
    "if.lan",
    "s-10-0-9-1.lan",
    "5.0.0.10.in-addr.arpa",
    "version.bind",
    "",
];

pub const KINDS: [u16; 12] = [A, A, AAAA, CNAME, ANY, TXT, SOA, 12, 15, 33, RRSIG, 253];

/// A name in wire form.
pub fn wire(text: &str) -> Vec<u8> {
    super::settings::name(text).as_wire().to_vec()
}

/// One of [`NAMES`], in letters of some case.
pub fn name(input: &mut Input<'_>) -> Vec<u8> {
    let which = input.u8();
    let mut name = match which {
        250.. => [&[63], &[b'q'; 63][..]].concat().repeat(3 + usize::from(which == 250)),
        _ => wire(NAMES[usize::from(which) % NAMES.len()]),
    };
    if which >= 250 {
        name.truncate(254);
        // The last label ends where 255 octets do.
        let last = name.len() - name.len() % 64;
        if let Some(length) = (name.len() - last).checked_sub(1) {
            name[last] = length as u8;
        }
        name.push(0);
    }
    if which & 1 != 0 {
        name.make_ascii_uppercase();
    }
    name
}

pub fn client(port: u8, by: u64) -> Client {
    Client {
        address: ([10, 0, 0, 9 + (port >> 4 & 1)], 1000 + u16::from(port % 4)).into(),
        local: [10, 0, 0, 1].into(),
        interface: u32::from(port >> 3 & 1),
        transport: if port & 4 == 0 { Transport::Udp } else { Transport::Tcp },
        by,
    }
}

/// A sound query.
pub fn query(input: &mut Input<'_>) -> Vec<u8> {
    let (id, bits) = (input.u8(), input.u8());
    let name = name(input);
    let kind = KINDS[usize::from(bits >> 3 & 7) + usize::from(bits & 4)];
    let class = if name.ends_with(b"\x04BIND\0") || name.ends_with(b"\x04bind\0") { 3 } else { 1 };
    ask(id.into(), &name, kind, class, bits)
}

/// `bits`: RD (1), CD (2), EDNS (0x40), and DO with it (0x80).
pub fn ask(id: u16, name: &[u8], kind: u16, class: u16, bits: u8) -> Vec<u8> {
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend_from_slice(&[bits & 1, (bits & 2) << 3, 0, 1, 0, 0, 0, 0, 0, bits >> 6 & 1]);
    octets.extend_from_slice(name);
    octets.extend_from_slice(&kind.to_be_bytes());
    octets.extend_from_slice(&class.to_be_bytes());
    if bits & 0x40 != 0 {
        // With an option, which nobody else is to see.
        octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, bits & 0x80, 0, 0, 6, 0xfd, 0xe9, 0, 2, 0x5e, 0xc1]);
    }
    octets
}
