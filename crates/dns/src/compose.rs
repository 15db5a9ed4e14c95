//! Replies made of records, straight into the caller's buffer.

use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Deref;

use domain::base::iana::Class;
use domain::base::message_builder::StaticCompressor;
use domain::base::name::{Name as Wire, ToName};
use domain::base::wire::Composer;
use domain::dep::octseq::Truncate;

use crate::query::Asked;
use crate::record::{Data, Said};
use crate::resolver::Transport;
use crate::{Name, Rcode, Rtype};

/// How large a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub transport: Transport,
    /// What we say of ourselves in OPT, and the most that we send over UDP: octets.
    pub payload: u16,
}

impl Limits {
    /// Octets for the whole reply: 512 for clients without EDNS (RFC 1035 section 4.2.1).
    pub fn room<Q: AsRef<[u8]>>(&self, asked: &Asked<Q>) -> usize {
        match (self.transport, asked.edns) {
            (Transport::Tcp, _) => 65_535,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.payload.min(self.payload).max(512)),
        }
    }
}

/// The sections of a reply, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// A reply in the making: records are pushed section by section, [`Reply::finish`] makes it whole.
pub struct Reply<'o> {
    target: StaticCompressor<&'o mut Vec<u8>>,
    room: usize,
    class: Class,
    opt: Option<Opt>,
    counts: [u16; 3],
    section: Section,
    full: bool,
}

/// The octets of our OPT record.
pub(crate) const OPT: usize = 11;

impl<'o> Reply<'o> {
    /// Empties `out` and begins a reply with the question as it was asked: NOERROR, no records.
    pub fn start<Q: AsRef<[u8]>>(asked: &Asked<Q>, limits: &Limits, out: &'o mut Vec<u8>) -> Reply<'o> {
        out.clear();
        out.extend_from_slice(&header(asked, [0x80, 0x80]));
        out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        let (name, rest) = asked.question.as_ref().split_at(asked.question.as_ref().len() - 4);
        let mut target = StaticCompressor::new(out);
        let Ok(()) = target.append_compressed_name(name_of(name));
        append(&mut target, rest);
        Reply {
            target,
            room: limits.room(asked),
            class: Class::from_int(u16::from_be_bytes([rest[2], rest[3]])),
            opt: opt(asked, limits.payload, None),
            counts: [0; 3],
            section: Section::Answer,
            full: false,
        }
    }

    pub fn code(&mut self, code: Rcode) {
        let flags = &mut self.target.as_slice_mut()[3];
        *flags = *flags & 0xf0 | code.to_int();
    }

    /// Says why, to a client that takes it: an extended error's code (RFC 8914 section 4). Before the first record.
    pub(crate) fn because<Q>(&mut self, asked: &Asked<Q>, limits: &Limits, why: Option<u16>) {
        self.opt = opt(asked, limits.payload, why);
    }

    /// The AA bit.
    pub fn authoritative(&mut self) {
        self.target.as_slice_mut()[2] |= 0x04;
    }

    /// Adds a record of the question's class; `ttl` in seconds. What does not fit is left out, and the reply then says so
    /// (TC), unless additional records alone are missing (RFC 2181 section 9).
    ///
    /// # Panics
    /// When sections are not pushed in their order.
    pub fn push(&mut self, section: Section, owner: &Name, data: &Data, ttl: u32) {
        self.push_wire(section, owner.as_wire(), data, ttl);
    }

    /// The same for an owner in wire form, like a query's name.
    ///
    /// # Panics
    /// When sections are not pushed in their order, or the owner is no name.
    pub fn push_wire<'s>(&mut self, section: Section, owner: &[u8], says: impl Into<Said<'s>>, ttl: u32) {
        let says = says.into();
        self.push_with(section, name_of(owner), says.kind(), ttl, |target| write(target, says));
    }

    /// Adds a record whose data `write` appends.
    pub(crate) fn push_with(
        &mut self,
        section: Section,
        owner: &(impl ToName + ?Sized),
        kind: Rtype,
        ttl: u32,
        write: impl FnOnce(&mut StaticCompressor<&'o mut Vec<u8>>),
    ) {
        assert!(section >= self.section, "sections are pushed in their order");
        self.section = section;
        if self.full {
            return;
        }
        let start = self.target.as_slice().len();
        record(&mut self.target, owner, kind, self.class, ttl, write);
        let end = self.target.as_slice().len();
        if end + self.opt.as_deref().map_or(0, <[u8]>::len) <= self.room && end - start <= usize::from(u16::MAX) {
            self.counts[section as usize] += 1;
            return;
        }
        self.full = true;
        Truncate::truncate(&mut self.target, start);
        if section < Section::Additional {
            self.target.as_slice_mut()[2] |= 0x02;
        }
    }

    /// Whether something did not fit.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Adds OPT if the client sent one, and the counts.
    pub fn finish(self) {
        let out = self.target.into_target();
        let [answer, authority, additional] = self.counts;
        for (at, count) in [(6, answer), (8, authority), (10, additional + u16::from(self.opt.is_some()))] {
            out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        out.extend_from_slice(self.opt.as_deref().unwrap_or_default());
    }
}

/// The first four octets of a reply: `flags` are those that the query does not decide.
pub(crate) fn header<Q>(asked: &Asked<Q>, flags: [u8; 2]) -> [u8; 4] {
    let [id0, id1] = asked.id.to_be_bytes();
    let checking_disabled = u8::from(asked.checking_disabled) << 4;
    [id0, id1, flags[0] | u8::from(asked.recursion_desired), flags[1] | checking_disabled]
}

/// Our OPT record (RFC 6891 section 6.1.2) if the client sent one. `why`: an extended error's code (RFC 8914 section 4).
pub(crate) fn opt<Q>(asked: &Asked<Q>, payload: u16, why: Option<u16>) -> Option<Opt> {
    let edns = asked.edns?;
    let [p0, p1] = payload.to_be_bytes();
    let dnssec_ok = u8::from(edns.dnssec_ok) << 7;
    let [w0, w1] = why.unwrap_or(0).to_be_bytes();
    let length = if why.is_some() { 6 } else { 0 };
    let octets = [0, 0, 41, p0, p1, 0, 0, dnssec_ok, 0, 0, length, 0, 15, 0, 2, w0, w1];
    Some(Opt { octets, length: OPT + usize::from(length) })
}

pub(crate) struct Opt {
    octets: [u8; OPT + 6],
    length: usize,
}

impl Deref for Opt {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// Writes one record, whatever its data.
fn record<T: Composer<AppendError = Infallible>>(
    target: &mut T,
    owner: &(impl ToName + ?Sized),
    kind: Rtype,
    class: Class,
    ttl: u32,
    data: impl FnOnce(&mut T),
) {
    let Ok(()) = target.append_compressed_name(owner);
    record_rest(target, kind, class, ttl, data);
}

/// The same behind its owner.
pub(crate) fn record_rest<T: Composer<AppendError = Infallible>>(
    target: &mut T,
    kind: Rtype,
    class: Class,
    ttl: u32,
    data: impl FnOnce(&mut T),
) {
    let Ok(()) = kind.compose(target);
    let Ok(()) = class.compose(target);
    append(target, &ttl.to_be_bytes());
    append(target, &[0, 0]);
    let start = target.as_ref().len();
    data(target);
    let length = target.as_ref().len() - start;
    // A record of more than 65,535 octets is never told: callers look at its whole size.
    target.as_mut()[start - 2..start].copy_from_slice(&(length as u16).to_be_bytes());
}

pub(crate) fn append<T: Composer<AppendError = Infallible>>(target: &mut T, octets: &[u8]) {
    let Ok(()) = target.append_slice(octets);
}

/// # Panics
/// When it is no name.
pub(crate) fn name_of(wire: &[u8]) -> &Wire<[u8]> {
    Wire::from_slice(wire).expect("names are whole")
}

fn write<T: Composer<AppendError = Infallible>>(target: &mut T, says: Said<'_>) {
    match says {
        Said::Address(IpAddr::V4(address)) => append(target, &address.octets()),
        Said::Address(IpAddr::V6(address)) => append(target, &address.octets()),
        Said::Cname(name) | Said::Ptr(name) => compressed(target, name),
        Said::Data(data) => write_data(target, data),
    }
}

fn write_data<T: Composer<AppendError = Infallible>>(target: &mut T, data: &Data) {
    match data {
        Data::A(address) => append(target, &address.octets()),
        Data::Aaaa(address) => append(target, &address.octets()),
        Data::Cname(name) | Data::Ptr(name) => compressed(target, name),
        Data::Mx { preference, target: name } => {
            append(target, &preference.to_be_bytes());
            compressed(target, name);
        }
        // Names in data of types younger than RFC 1035 are not compressed (RFC 3597 section 4).
        Data::Srv { priority, weight, port, target: name } => {
            [priority, weight, port].into_iter().for_each(|number| append(target, &number.to_be_bytes()));
            append(target, name.as_wire());
        }
        Data::Txt(strings) => strings.iter().for_each(|string| character_string(target, string)),
        Data::Naptr { order, preference, flags, services, regexp, replacement } => {
            [order, preference].into_iter().for_each(|number| append(target, &number.to_be_bytes()));
            [flags, services, regexp].into_iter().for_each(|string| character_string(target, string));
            append(target, replacement.as_wire());
        }
        Data::Caa { flags, tag, value } => {
            append(target, &[*flags]);
            character_string(target, tag);
            append(target, value);
        }
        Data::Other { data, .. } => append(target, data),
    }
}

fn compressed<T: Composer<AppendError = Infallible>>(target: &mut T, name: &Name) {
    let Ok(()) = target.append_compressed_name(name_of(name.as_wire()));
}

/// RFC 1035 section 3.3; what is beyond 255 octets is cut off.
fn character_string<T: Composer<AppendError = Infallible>>(target: &mut T, string: &[u8]) {
    let string = &string[..string.len().min(255)];
    append(target, &[string.len() as u8]);
    append(target, string);
}
