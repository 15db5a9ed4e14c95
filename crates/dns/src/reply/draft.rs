//! The part of a message that answers its question, written anew.

use std::net::IpAddr;

use domain::base::message_builder::StaticCompressor;
use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::base::wire::Composer;
use domain::dep::octseq::Truncate;

use super::{Chain, Data, Found, Good, Owner, Said, Sent, Worthless};
use crate::answer::{Answer, BLOCKED, FILTERED};
use crate::compose::{OPT, append, name_of, record_rest};
use crate::settings::Settings;
use crate::wire::{self, QUESTION};
use crate::{Class, Name, Rcode, Rtype, Section, filter};

/// The answer in the making.
pub(super) struct Draft<'s> {
    sent: &'s Sent<'s>,
    settings: &'s Settings,
    target: StaticCompressor<Vec<u8>>,
    counts: [u16; 3],
    pub private: Option<IpAddr>,
    /// Something is not as the server said it, so nobody vouches for it.
    changed: bool,
    why: Option<u16>,
    /// The owner of the last record, and where it stands.
    last: Option<(Owner<'s>, u16)>,
}

/// Names of so many records are compressed. Looking for each of thousands of long names among all others would take
/// seconds, and somebody would send such an answer.
const COMPRESSED: u16 = 64;
/// Machines whose addresses are told along.
const MACHINES: usize = 32;

impl<'s> Draft<'s> {
    pub fn new(sent: &'s Sent<'s>, settings: &'s Settings, code: Rcode) -> Draft<'s> {
        let mut octets = Vec::with_capacity(512);
        octets.extend_from_slice(&[0, 0, 0x80, 0x80 | code.to_int(), 0, 1, 0, 0, 0, 0, 0, 0]);
        let mut target = StaticCompressor::new(octets);
        let (name, rest) = sent.question.split_at(sent.question.len() - 4);
        let name = name.to_ascii_lowercase();
        let Ok(()) = target.append_compressed_name(name_of(&name));
        append(&mut target, rest);
        Draft { sent, settings, target, counts: [0; 3], private: None, changed: false, why: None, last: None }
    }

    /// Takes in what answers the question, and says for how many seconds it may be kept.
    pub fn fill(&mut self, found: &Found<'s>) -> Result<Option<u32>, Worthless> {
        let chain = Chain::follow(found)?;
        let (mut ttl, mut positive) = (u32::MAX, false);
        for said in chain.records(found) {
            ttl = ttl.min(said.ttl);
            positive |= said.kind == found.kind || found.kind == Rtype::ANY;
            if self.leaves_out(found.kind, said) {
                self.changed = true;
                self.why = Some(FILTERED);
            } else {
                self.push(Section::Answer, said, said.ttl)?;
            }
        }
        let negative_ttl = self.authority(found, chain.end(), !positive)?;
        if positive {
            self.additional(found)?;
            return Ok(Some(ttl));
        }
        let caching = &self.settings.cache;
        let keep = negative_ttl.or(caching.negative_ttl).filter(|_| caching.negative);
        Ok(keep.map(|keep| keep.min(ttl)))
    }

    /// The SOA record of negative answers, and with DO what proves them. Says how long a negative answer holds: the lesser
    /// of its SOA's TTL and minimum (RFC 2308 section 5).
    fn authority(&mut self, found: &Found<'s>, name: &Owner<'s>, negative: bool) -> Result<Option<u32>, Worthless> {
        let mut holds = None;
        for said in &found.authority {
            let ttl = match (&said.data, said.subject()) {
                (Data::Soa(soa), _) if negative && name.ends_with(&said.owner) => {
                    *holds.insert(said.ttl.min(soa.minimum().as_secs()))
                }
                (_, Rtype::SOA) if self.sent.dnssec_ok && negative && said.kind == Rtype::RRSIG => said.ttl,
                (_, Rtype::NSEC | Rtype::NSEC3) if self.sent.dnssec_ok => said.ttl,
                _ => continue,
            };
            self.push(Section::Authority, said, ttl)?;
        }
        Ok(holds)
    }

    /// Addresses of machines that the answer names.
    fn additional(&mut self, found: &Found<'s>) -> Result<(), Worthless> {
        let machines: Vec<_> = found.answer.iter().filter_map(Said::machine).take(MACHINES).collect();
        for said in &found.additional {
            let wanted = matches!(said.subject(), Rtype::A | Rtype::AAAA) && !self.leaves_out(found.kind, said);
            let private = said.address().is_some_and(|address| self.forbids(address));
            if wanted && !private && machines.contains(&&said.owner) {
                self.push(Section::Additional, said, said.ttl)?;
            }
        }
        Ok(())
    }

    /// `filter-rr`; ANY in it means that of answers to ANY only the usual types are left (RFC 8482 section 4.3).
    fn leaves_out(&self, asked: Rtype, said: &Said<'_>) -> bool {
        let types = &self.settings.filter.types;
        let usual = [Rtype::A, Rtype::AAAA, Rtype::MX, Rtype::CNAME];
        types.contains(&said.subject())
            || types.contains(&said.kind)
            || (asked == Rtype::ANY && types.contains(&Rtype::ANY) && !usual.contains(&said.kind))
    }

    fn forbids(&self, address: IpAddr) -> bool {
        let rebind = &self.settings.filter.rebind;
        let name = self.sent.question.split_at(self.sent.question.len() - 4).0;
        rebind.stop && Name::from_wire(name).is_ok_and(|name| rebind.forbids(&name, address))
    }

    fn push(&mut self, section: Section, said: &Said<'s>, ttl: u32) -> Result<(), Worthless> {
        let mut address = said.address();
        if let Some(IpAddr::V4(v4)) = address {
            let alias = filter::aliased(v4, &self.settings.filter.alias);
            self.changed |= alias != v4;
            address = Some(alias.into());
        }
        if let Some(address) = address.filter(|address| self.forbids(*address)) {
            self.private.get_or_insert(address);
        }
        let compress = self.counts.iter().sum::<u16>() < COMPRESSED;
        self.write_owner(&said.owner, compress);
        let class = *self.sent.question.last_chunk().expect("questions have a class");
        let class = Class::from_int(u16::from_be_bytes(class));
        record_rest(&mut self.target, said.kind, class, ttl, |target| match address {
            Some(IpAddr::V4(v4)) => append(target, &v4.octets()),
            _ if compress => {
                let Ok(()) = said.data.compose_rdata(target);
            }
            _ => {
                let mut data = Vec::new();
                let Ok(()) = said.data.compose_rdata(&mut data);
                append(target, &data);
            }
        });
        // Pointers may have been followed that we cannot write again.
        if self.target.as_slice().len() > 65_535 - OPT {
            return Err(Worthless::Malformed("it says more than a message can hold"));
        }
        self.counts[section as usize] += 1;
        Ok(())
    }

    fn write_owner(&mut self, owner: &Owner<'s>, compress: bool) {
        let at = self.target.as_slice().len();
        match &self.last {
            Some((last, place)) if last == owner => return append(&mut self.target, &(place | 0xc000).to_be_bytes()),
            _ if compress => {
                let Ok(()) = self.target.append_compressed_name(owner);
            }
            _ => {
                let mut name = Vec::new();
                let Ok(()) = owner.compose(&mut name);
                append(&mut self.target, &name);
            }
        }
        let written = wire::u16_at(self.target.as_slice(), at).unwrap_or_default();
        // A pointer to a pointer would lead elsewhere when records change places. None reaches beyond 0x3fff.
        let place = if written >= 0xc000 { usize::from(written & 0x3fff) } else { at };
        self.last = u16::try_from(place).ok().filter(|place| *place < 0x4000).map(|place| (*owner, place));
    }

    /// Leaves nothing but the question, and this code.
    pub fn empty(&mut self, code: Rcode) {
        Truncate::truncate(&mut self.target, QUESTION + self.sent.question.len());
        self.counts = [0; 3];
        self.changed = true;
        self.why = Some(BLOCKED);
        self.target.as_slice_mut()[3] = 0x80 | code.to_int();
    }

    /// AA and AD, as the server set them.
    pub fn vouch(&mut self, authoritative: bool, authentic: bool) {
        let flags = self.target.as_slice_mut();
        if !self.changed {
            flags[2] |= if authoritative { 0x04 } else { 0 };
            flags[3] |= if authentic && self.settings.forward.pass_ad { 0x20 } else { 0 };
        }
    }

    pub fn finish(mut self, keep: Option<u32>) -> Good {
        for (at, count) in [6, 8, 10].into_iter().zip(self.counts) {
            self.target.as_slice_mut()[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        self.target.as_slice_mut()[..2].copy_from_slice(&self.why.unwrap_or(0).to_be_bytes());
        Good { answer: Answer::new(self.target.into_target()), keep, rebind: self.private }
    }
}
