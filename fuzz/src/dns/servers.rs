//! What upstream servers and forgers say.

use crate::input::Input;

use super::clients::{KINDS, name};
use super::message::{A, AAAA, CNAME, DNAME, RRSIG, SOA, question_end};

/// What forgers say; nobody is ever told.
pub const FORGED: [u8; 4] = [6, 66, 166, 6];

/// A message that answers `query`, as a server makes it that does as the input says: sound or not.
pub fn answer(query: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let (bits, how) = (input.u8(), input.u8());
    let mut octets = head(query);
    octets[2] |= (bits & 1) << 1 | (bits & 2) << 1;
    octets[3] |= [0, 0, 0, 3, 3, 2, 5, 1][usize::from(bits >> 2 & 7)] | bits & 0x20;
    if how & 1 != 0 {
        octets[12..].make_ascii_lowercase();
    }
    for _ in 0..how >> 1 & 7 {
        record(&mut octets, input);
    }
    if how & 0x40 != 0 {
        // Its upper half of the code is not zero now and then.
        octets.extend_from_slice(&[0, 0, 41, 4, 208, how >> 5 & 4, 0, 0, 0, 0, 0]);
        octets[11] = octets[11].wrapping_add(1);
    }
    if how & 0x80 != 0 {
        spoil(&mut octets, input);
    }
    octets
}

/// A sound answer: an address for who asks for one.
pub fn sound(query: &[u8], server: u8) -> Vec<u8> {
    let mut octets = head(query);
    let kind = kind(&octets);
    let address =
        if kind == AAAA { &[0x20, server, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..] } else { &[9, server, 0, 1] };
    if [A, AAAA].contains(&kind) {
        push(&mut octets, 0, &[0xc0, 12], kind, 60, address);
    }
    octets
}

/// An answer that does not know what was asked: another id, or other letters and octets in the name.
pub fn forged(query: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut octets = sound(query, 0);
    let start = octets.len() - 4;
    if octets[7] > 0 {
        octets[start..].copy_from_slice(&FORGED);
    }
    match input.u16() {
        0 if octets[12] > 0 => octets[13] ^= 1,
        0 => octets[0] ^= 1,
        id => (octets[0], octets[1]) = (octets[0] ^ id as u8, octets[1] ^ (id >> 8) as u8),
    }
    octets
}

/// The query as an answer without records.
fn head(query: &[u8]) -> Vec<u8> {
    let end = question_end(query);
    let mut octets = query[..end].to_vec();
    (octets[2], octets[3]) = (octets[2] | 0x80, octets[3] & 0x10 | 0x80);
    octets[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    octets
}

fn kind(octets: &[u8]) -> u16 {
    u16::from_be_bytes([octets[octets.len() - 4], octets[octets.len() - 3]])
}

fn record(octets: &mut Vec<u8>, input: &mut Input<'_>) {
    let (what, whose, ttl) = (input.u8(), input.u8(), input.u8());
    let owner = if whose & 1 == 0 { vec![0xc0, 12] } else { name(input) };
    let asked = u16::from_be_bytes(question_kind(octets));
    let kind = match what & 7 {
        0..=2 => asked,
        3 => CNAME,
        4 => SOA,
        5 => DNAME,
        6 => RRSIG,
        _ => KINDS[usize::from(what >> 3) % KINDS.len()],
    };
    let data = data(kind, input);
    let ttl = if ttl == 255 { 1 << 31 } else { u32::from(ttl) };
    let times = if whose & 0xc0 == 0xc0 { 40 } else { 1 };
    for _ in 0..times {
        push(octets, whose >> 1 & 3, &owner, kind, ttl, &data);
    }
}

fn question_kind(octets: &[u8]) -> [u8; 2] {
    let end = question_end(octets);
    [octets[end - 4], octets[end - 3]]
}

fn data(kind: u16, input: &mut Input<'_>) -> Vec<u8> {
    match kind {
        A => {
            let (net, host) = (input.u8(), input.u8());
            let net = [[9, 1], [9, 66], [9, 67], [9, 68], [10, 0], [127, 0], [9, 9], [192, 168]][usize::from(net & 7)];
            vec![net[0], net[1], 0, host]
        }
        AAAA => {
            let mut address = vec![0x20; 16];
            (address[0], address[15]) = (if input.u8() & 1 == 0 { 0x20 } else { 0xfd }, input.u8());
            address
        }
        CNAME | DNAME | 12 => name(input),
        15 => [&[0, 1][..], &name(input)].concat(),
        33 => [&[0, 1, 0, 1, 0, 1][..], &name(input)].concat(),
        SOA => {
            let lives = [0, 0, 0, input.u8()];
            [&[0xc0, 12][..], &name(input), &[0; 16], &lives].concat()
        }
        RRSIG => [&[0, input.u8() & 31][..], &[0; 16], &[0xc0, 12], b"signature"].concat(),
        _ => {
            let length = input.u8() % 64;
            input.take(length.into()).to_vec()
        }
    }
}

fn push(octets: &mut Vec<u8>, section: u8, owner: &[u8], kind: u16, ttl: u32, data: &[u8]) {
    octets.extend_from_slice(owner);
    octets.extend_from_slice(&kind.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    octets.extend_from_slice(&ttl.to_be_bytes());
    octets.extend_from_slice(&(data.len() as u16).to_be_bytes());
    octets.extend_from_slice(data);
    // Records of a section that is over are counted to it all the same: such messages are wrong, as they should be.
    let at = 6 + 2 * usize::from(section.min(2));
    let count = u16::from_be_bytes([octets[at], octets[at + 1]]) + 1;
    octets[at..at + 2].copy_from_slice(&count.to_be_bytes());
}

/// Octets are changed, left out or added.
fn spoil(octets: &mut Vec<u8>, input: &mut Input<'_>) {
    let (at, change) = (input.u16(), input.u8());
    let at = usize::from(at) % octets.len();
    match change {
        0 => octets.truncate(at),
        1 => octets.extend_from_slice(input.take(at % 32)),
        _ => octets[at] ^= change,
    }
}
