//! Walking over a message in its wire form (RFC 1035 section 4.1) without taking it apart.

use crate::{Class, Rtype};

/// Where the question begins: behind the header.
pub(crate) const QUESTION: usize = 12;

/// Where one record lies in a message, and what all records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub start: usize,
    pub kind: Rtype,
    pub class: Class,
    pub ttl: u32,
    /// Where its data begins; the TTL lies six octets before.
    pub data: usize,
    pub end: usize,
}

impl Place {
    pub fn ttl_at(&self) -> usize {
        self.data - 6
    }
}

/// The record that begins at `start`; `None`: the message ends within it, or its owner is no name.
pub(crate) fn record(octets: &[u8], start: usize) -> Option<Place> {
    let at = skip_name(octets, start)?;
    let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *octets.get(at..)?.first_chunk()?;
    let data = at + 10;
    let end = data + usize::from(u16::from_be_bytes([l0, l1]));
    (end <= octets.len()).then_some(Place {
        start,
        kind: Rtype::from_int(u16::from_be_bytes([k0, k1])),
        class: Class::from_int(u16::from_be_bytes([c0, c1])),
        ttl: u32::from_be_bytes([t0, t1, t2, t3]),
        data,
        end,
    })
}

/// Where the name at `at` ends in place: behind its root label, or its first pointer.
pub(crate) fn skip_name(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            length @ ..=63 => at += 1 + usize::from(length),
            192.. => return (at + 2 <= octets.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

pub(crate) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The four counts of the header: questions, answers, authority, additional records.
pub(crate) fn counts(header: &[u8; QUESTION]) -> [u16; 4] {
    [4, 6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]))
}
