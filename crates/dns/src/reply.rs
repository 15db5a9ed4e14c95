//! What an upstream server's message is worth for a question that we asked.
//!
//! Of a message only that is kept which answers the question: the CNAMEs that lead from its name on, the records at their
//! end, their signatures; for a negative answer the proof of it; and addresses of machines that the answer names. All else
//! could be anybody's lie about somebody else's name (RFC 5452 section 6).

use std::net::IpAddr;

use domain::base::message_builder::StaticCompressor;
use domain::base::rdata::{ComposeRecordData, UnknownRecordData};
use domain::base::record::ParsedRecord;
use domain::base::wire::{Composer, ParseError};
use domain::base::{Message, ParsedName, message};
use domain::dep::octseq::Truncate;
use domain::rdata::AllRecordData;

use crate::answer::{Answer, BLOCKED, FILTERED};
use crate::compose::{OPT, append, name_of, record};
use crate::resolver::Transport;
use crate::settings::Settings;
use crate::wire::{self, QUESTION};
use crate::{Class, Name, Rcode, Rtype, Section, filter};

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent<'a> {
    pub id: u16,
    /// Name with its letters as sent, type, class.
    pub question: &'a [u8],
    /// These letters were chosen by dice (0x20), and are to be repeated.
    pub letters: bool,
    pub dnssec_ok: bool,
    pub by: Transport,
}

/// An answer for those who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// As it is to be told now, and kept: for a question with `Sent`'s name, and DO bit.
    pub answer: Answer,
    /// For how many seconds it holds; the settings' bounds are the cache's matter. `None`: it is not to be kept.
    pub keep: Option<u32>,
    /// A private address for a public name: the answer was emptied, and somebody should know.
    pub rebind: Option<IpAddr>,
    /// For [`crate::Told`], when it is told now.
    pub why: Option<u16>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worthless {
    /// Another id, another question, no answer at all: the real one may still come.
    NotOurs,
    /// All is right but the letters' case: forged, or by a server that does not keep it.
    OtherLetters,
    /// Not whole: ask by TCP.
    Truncated,
    /// It has an address whose answers are to be overlooked; another one may come.
    Ignored,
    /// SERVFAIL, REFUSED and the like: another server may know better.
    Failed(Rcode),
    /// What is wrong with it.
    Malformed(&'static str),
}

/// CNAMEs in a row that are followed.
const LONGEST_CHAIN: usize = 16;

type Owner<'a> = ParsedName<&'a [u8]>;
type Data<'a> = AllRecordData<&'a [u8], Owner<'a>>;

/// Reads a whole message.
///
/// # Errors
/// [`Worthless`], if there is nothing to be told.
pub fn judge(sent: &Sent<'_>, octets: &[u8], settings: &Settings) -> Result<Good, Worthless> {
    let code = matches(sent, octets)?;
    let found = Found::read(octets)?;
    let code = if found.high_code == 0 { code } else { Rcode::SERVFAIL };
    if code != Rcode::NOERROR && code != Rcode::NXDOMAIN {
        return Err(Worthless::Failed(code));
    }
    if octets[2] & 0x02 != 0 {
        return Err(match sent.by {
            Transport::Udp => Worthless::Truncated,
            Transport::Tcp => Worthless::Malformed("it came by TCP and yet is not whole"),
        });
    }
    let addresses = || found.answer.iter().filter_map(|said| Some((said.address()?, said.ttl)));
    if addresses().any(|(address, _)| filter::is_one_of(address, &settings.filter.ignore)) {
        return Err(Worthless::Ignored);
    }
    let mut draft = Draft::new(sent, settings, code);
    let bogus = &settings.filter.bogus_nxdomain;
    if let Some((_, ttl)) = addresses().find(|(address, _)| filter::is_one_of(*address, bogus)) {
        draft.empty(Rcode::NXDOMAIN);
        return Ok(draft.finish(settings.cache.negative.then_some(ttl)));
    }
    let keep = draft.fill(&found)?;
    if draft.private.is_some() {
        draft.empty(Rcode::NOERROR);
        return Ok(draft.finish(None));
    }
    draft.vouch(octets[2] & 0x04 != 0, octets[3] & 0x20 != 0);
    Ok(draft.finish(keep))
}

/// The code of an answer to what was sent.
fn matches(sent: &Sent<'_>, octets: &[u8]) -> Result<Rcode, Worthless> {
    let header: &[u8; QUESTION] = octets.first_chunk().ok_or(Worthless::NotOurs)?;
    if header[..2] != sent.id.to_be_bytes() || header[2] & 0xf8 != 0x80 {
        return Err(Worthless::NotOurs);
    }
    let code = Rcode::masked_from_int(header[3]);
    let [questions, ..] = wire::counts(header);
    if questions == 0 && code != Rcode::NOERROR && code != Rcode::NXDOMAIN {
        // Servers that understand nothing repeat nothing.
        return Err(Worthless::Failed(code));
    }
    let (name, what) = sent.question.split_at(sent.question.len() - 4);
    let theirs = octets[QUESTION..].split_at_checked(name.len()).filter(|_| questions == 1);
    match theirs {
        Some((theirs, rest)) if theirs.eq_ignore_ascii_case(name) && rest.starts_with(what) => {
            if theirs == name || !sent.letters { Ok(code) } else { Err(Worthless::OtherLetters) }
        }
        _ => Err(Worthless::NotOurs),
    }
}

/// One record.
struct Said<'a> {
    owner: Owner<'a>,
    kind: Rtype,
    ttl: u32,
    data: Data<'a>,
}

/// The records of a message by sections, of the question's class.
struct Found<'a> {
    question: Owner<'a>,
    kind: Rtype,
    answer: Vec<Said<'a>>,
    authority: Vec<Said<'a>>,
    additional: Vec<Said<'a>>,
    /// The upper bits of the code, from OPT.
    high_code: u8,
}

impl<'a> Found<'a> {
    fn read(octets: &'a [u8]) -> Result<Found<'a>, Worthless> {
        let broken = |_| Worthless::Malformed("a record is not whole");
        let message = Message::from_slice(octets).map_err(|_| Worthless::NotOurs)?;
        let question = message.sole_question().map_err(broken)?;
        let class = question.qclass();
        let mut found = Found {
            question: *question.qname(),
            kind: question.qtype(),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            high_code: 0,
        };
        for record in message.iter() {
            let (record, section) = record.map_err(broken)?;
            if record.rtype() == Rtype::OPT {
                found.high_code = record.ttl().as_secs().to_be_bytes()[0];
            } else if record.class() == class {
                let list = match section {
                    message::Section::Answer => &mut found.answer,
                    message::Section::Authority => &mut found.authority,
                    message::Section::Additional => &mut found.additional,
                };
                list.push(Said::read(record).map_err(broken)?);
            }
        }
        Ok(found)
    }
}

impl<'a> Said<'a> {
    fn read(record: ParsedRecord<'a, [u8]>) -> Result<Said<'a>, ParseError> {
        let (owner, kind) = (record.owner(), record.rtype());
        // A TTL with its highest bit set counts as zero (RFC 2181 section 8).
        let ttl = Some(record.ttl().as_secs()).filter(|ttl| *ttl < 1 << 31).unwrap_or(0);
        let data = if IN_FULL.contains(&kind) {
            record.into_any_record::<Data<'a>>()?.into_data()
        } else {
            let record = record.into_record::<UnknownRecordData<_>>()?;
            record.ok_or(ParseError::form_error("no data"))?.into_data().into()
        };
        Ok(Said { owner, kind, ttl, data })
    }

    fn address(&self) -> Option<IpAddr> {
        match &self.data {
            Data::A(v4) => Some(v4.addr().into()),
            Data::Aaaa(v6) => Some(v6.addr().into()),
            _ => None,
        }
    }

    /// What it is about: the type that an RRSIG signs, or its own.
    fn subject(&self) -> Rtype {
        match &self.data {
            Data::Unknown(data) if self.kind == Rtype::RRSIG => {
                wire::u16_at(data.data(), 0).map_or(self.kind, Rtype::from_int)
            }
            _ => self.kind,
        }
    }

    /// The name of a machine that it names.
    fn machine(&self) -> Option<&Owner<'a>> {
        match &self.data {
            Data::Mx(mx) => Some(mx.exchange()),
            Data::Ns(ns) => Some(ns.nsdname()),
            Data::Srv(srv) => Some(srv.target()),
            _ => None,
        }
    }
}

/// Types whose data we look into, or that may hold compressed names (RFC 3597 section 4). Data of all others are octets.
const IN_FULL: [Rtype; 17] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::CNAME,
    Rtype::PTR,
    Rtype::NS,
    Rtype::SOA,
    Rtype::MX,
    Rtype::SRV,
    Rtype::NAPTR,
    Rtype::DNAME,
    Rtype::RP,
    Rtype::MINFO,
    Rtype::MB,
    Rtype::MD,
    Rtype::MF,
    Rtype::MG,
    Rtype::MR,
];

/// The names from the question's on, each with the place of the CNAME that leads to the next.
struct Chain<'a> {
    names: Vec<Owner<'a>>,
    links: Vec<usize>,
}

impl<'a> Chain<'a> {
    fn follow(found: &Found<'a>) -> Result<Chain<'a>, Worthless> {
        let (mut names, mut links, mut name) = (vec![found.question], Vec::new(), found.question);
        if matches!(found.kind, Rtype::CNAME | Rtype::ANY) {
            return Ok(Chain { names, links });
        }
        while let Some((at, next)) = found.answer.iter().enumerate().find_map(|(at, said)| match &said.data {
            Data::Cname(cname) if said.owner == name => Some((at, *cname.cname())),
            _ => None,
        }) {
            if names.contains(&next) {
                return Err(Worthless::Malformed("its CNAMEs lead in a circle"));
            }
            if names.len() > LONGEST_CHAIN {
                return Err(Worthless::Malformed("its CNAMEs do not end"));
            }
            name = next;
            names.push(next);
            links.push(at);
        }
        Ok(Chain { names, links })
    }

    fn end(&self) -> &Owner<'a> {
        self.names.last().expect("a chain has its question's name")
    }

    /// The records that belong to it, from the question on.
    fn records<'f>(&self, found: &'f Found<'a>) -> impl Iterator<Item = &'f Said<'a>> {
        self.names.iter().enumerate().flat_map(move |(step, name)| {
            let said = found.answer.iter().enumerate();
            said.filter(move |(at, said)| {
                let link = self.links.get(step);
                let subject = said.subject();
                if link == Some(at) {
                    true
                } else if said.owner == *name {
                    let signs_link = said.kind == Rtype::RRSIG && subject == Rtype::CNAME && link.is_some();
                    said.kind == found.kind || subject == found.kind || found.kind == Rtype::ANY || signs_link
                } else {
                    // A DNAME that the CNAME was made by (RFC 6672), at the first name that it is above of.
                    let above = |name: &Owner<'_>| name.ends_with(&said.owner);
                    subject == Rtype::DNAME && link.is_some() && above(name) && !self.names[..step].iter().any(above)
                }
            })
            .map(|(_, said)| said)
        })
    }
}

/// The answer in the making.
struct Draft<'s> {
    sent: &'s Sent<'s>,
    settings: &'s Settings,
    target: StaticCompressor<Vec<u8>>,
    counts: [u16; 3],
    private: Option<IpAddr>,
    /// Something is not as the server said it, so nobody vouches for it.
    changed: bool,
    why: Option<u16>,
}

impl<'s> Draft<'s> {
    fn new(sent: &'s Sent<'s>, settings: &'s Settings, code: Rcode) -> Draft<'s> {
        let mut octets = Vec::with_capacity(512);
        octets.extend_from_slice(&[0, 0, 0x80, 0x80 | code.to_int(), 0, 1, 0, 0, 0, 0, 0, 0]);
        let mut target = StaticCompressor::new(octets);
        let (name, rest) = sent.question.split_at(sent.question.len() - 4);
        let name = name.to_ascii_lowercase();
        let Ok(()) = target.append_compressed_name(name_of(&name));
        append(&mut target, rest);
        Draft { sent, settings, target, counts: [0; 3], private: None, changed: false, why: None }
    }

    /// Takes in what answers the question, and says for how many seconds it may be kept.
    fn fill(&mut self, found: &Found<'_>) -> Result<Option<u32>, Worthless> {
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
    fn authority(&mut self, found: &Found<'_>, name: &Owner<'_>, negative: bool) -> Result<Option<u32>, Worthless> {
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
    fn additional(&mut self, found: &Found<'_>) -> Result<(), Worthless> {
        let machines: Vec<_> = found.answer.iter().filter_map(Said::machine).collect();
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

    fn push(&mut self, section: Section, said: &Said<'_>, ttl: u32) -> Result<(), Worthless> {
        let mut address = said.address();
        if let Some(IpAddr::V4(v4)) = address {
            let alias = filter::aliased(v4, &self.settings.filter.alias);
            self.changed |= alias != v4;
            address = Some(alias.into());
        }
        if let Some(address) = address.filter(|address| self.forbids(*address)) {
            self.private.get_or_insert(address);
        }
        let class =
            Class::from_int(u16::from_be_bytes(*self.sent.question.last_chunk().expect("questions have a class")));
        record(&mut self.target, &said.owner, said.kind, class, ttl, |target| match address {
            Some(IpAddr::V4(v4)) => append(target, &v4.octets()),
            _ => {
                let Ok(()) = said.data.compose_rdata(target);
            }
        });
        // Pointers may have been followed that we cannot write again.
        if self.target.as_slice().len() > 65_535 - OPT {
            return Err(Worthless::Malformed("it says more than a message can hold"));
        }
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// Leaves nothing but the question, and this code.
    fn empty(&mut self, code: Rcode) {
        Truncate::truncate(&mut self.target, QUESTION + self.sent.question.len());
        self.counts = [0; 3];
        self.changed = true;
        self.why = Some(BLOCKED);
        self.target.as_slice_mut()[3] = 0x80 | code.to_int();
    }

    /// AA and AD, as the server set them.
    fn vouch(&mut self, authoritative: bool, authentic: bool) {
        let flags = self.target.as_slice_mut();
        if !self.changed {
            flags[2] |= if authoritative { 0x04 } else { 0 };
            flags[3] |= if authentic && self.settings.forward.pass_ad { 0x20 } else { 0 };
        }
    }

    fn finish(mut self, keep: Option<u32>) -> Good {
        for (at, count) in [6, 8, 10].into_iter().zip(self.counts) {
            self.target.as_slice_mut()[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        Good { answer: Answer::new(self.target.into_target()), keep, rebind: self.private, why: self.why }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Data;
    use crate::settings::{Alias, Scope};
    use crate::testing::{asked, name, question, records};
    use crate::{Limits, Reply};

    const ID: u16 = 7;

    /// An upstream message about `www.example.net A` or another type, with id 7.
    fn message(kind: Rtype, code: Rcode, said: &[(Section, &str, Data)]) -> Vec<u8> {
        let mut asked = asked("www.example.net", kind, None);
        asked.question = question(&name("www.example.net"), kind).into();
        let mut octets = Vec::new();
        let mut reply = Reply::start(&asked, &Limits { transport: Transport::Tcp, payload: 0 }, &mut octets);
        reply.code(code);
        for (at, (section, owner, data)) in said.iter().enumerate() {
            reply.push(*section, &name(owner), data, 300 + at as u32);
        }
        reply.finish();
        octets
    }

    fn judge_for(kind: Rtype, octets: &[u8], settings: &Settings, dnssec_ok: bool) -> Result<Good, Worthless> {
        let question = question(&name("www.example.net"), kind);
        judge(&Sent { id: ID, question: &question, letters: true, dnssec_ok, by: Transport::Udp }, octets, settings)
    }

    fn judge_plain(kind: Rtype, code: Rcode, said: &[(Section, &str, Data)]) -> Result<Good, Worthless> {
        judge_for(kind, &message(kind, code, said), &Settings::default(), false)
    }

    fn a(last: u8) -> Data {
        Data::A([192, 168, 1, last].into())
    }

    fn cname(to: &str) -> Data {
        Data::Cname(name(to))
    }

    /// A minimum of 60 seconds.
    fn soa() -> Data {
        let data = [&b"\x01a\0\x01b\0"[..], &[0; 16], &[0, 0, 0, 60]].concat();
        Data::Other { kind: Rtype::SOA, data }
    }

    fn rrsig(of: Rtype) -> Data {
        let data = [&of.to_int().to_be_bytes()[..], &[8; 16], b"\x03net\0", &[1; 8]].concat();
        Data::Other { kind: Rtype::RRSIG, data }
    }

    fn found(good: Result<Good, Worthless>) -> ([Vec<String>; 3], Option<u32>) {
        let good = good.unwrap();
        (records(good.answer.octets()), good.keep)
    }

    #[test]
    fn what_answers_the_question_is_kept_and_all_else_dropped() {
        let (found, keep) = found(judge_plain(
            Rtype::A,
            Rcode::NOERROR,
            &[
                (Section::Answer, "bank.example", a(66)),
                (Section::Answer, "b.example.org", a(2)),
                (Section::Answer, "a.example.net", cname("b.example.org")),
                (Section::Answer, "www.example.net", cname("a.example.net")),
                (Section::Answer, "www.example.net", rrsig(Rtype::CNAME)),
                (Section::Answer, "b.example.org", Data::Txt(vec![b"x".to_vec()])),
                (Section::Authority, "example.net", Data::Other { kind: Rtype::NS, data: b"\x02ns\0".to_vec() }),
                (Section::Additional, "ns", a(53)),
            ],
        ));
        let expected = [
            "www.example.net 303 CNAME a.example.net",
            "www.example.net 304 RRSIG CNAME",
            "a.example.net 302 CNAME b.example.org",
            "b.example.org 301 A 192.168.1.2",
        ];
        assert_eq!(found[0].len(), expected.len(), "{found:?}");
        for (found, expected) in found[0].iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} is not {expected}");
        }
        assert!(found[1].is_empty() && found[2].is_empty(), "{found:?}");
        assert_eq!(keep, Some(301));
    }

    #[test]
    fn circles_and_endless_chains_are_found() {
        let circle =
            [(Section::Answer, "www.example.net", cname("b")), (Section::Answer, "b", cname("www.example.net"))];
        let said = judge_plain(Rtype::A, Rcode::NOERROR, &circle);
        assert_eq!(said, Err(Worthless::Malformed("its CNAMEs lead in a circle")));
        let names: Vec<String> = (0..40).map(|at| format!("n{at}")).collect();
        let mut long = vec![(Section::Answer, "www.example.net", cname("n0"))];
        long.extend(names.windows(2).map(|pair| (Section::Answer, pair[0].as_str(), cname(&pair[1]))));
        let said = judge_plain(Rtype::A, Rcode::NOERROR, &long);
        assert_eq!(said, Err(Worthless::Malformed("its CNAMEs do not end")));
        let asks_cname = found(judge_plain(Rtype::CNAME, Rcode::NOERROR, &circle)).0;
        assert_eq!(asks_cname[0], ["www.example.net 300 CNAME b."]);
    }

    #[test]
    fn negative_answers_hold_as_long_as_their_soa_says() {
        let with = [(Section::Authority, "example.net", soa())];
        let foreign = [(Section::Authority, "example.org", soa())];
        for code in [Rcode::NOERROR, Rcode::NXDOMAIN] {
            let good = judge_plain(Rtype::A, code, &with).unwrap();
            assert_eq!((good.answer.code(), good.keep), (code, Some(60)));
            assert!(records(good.answer.octets())[1][0].starts_with("example.net 60 SOA"));
            assert_eq!(judge_plain(Rtype::A, code, &foreign).unwrap().keep, None);
            let mut settings = Settings::default();
            settings.cache.negative_ttl = Some(30);
            let keep = |settings: &Settings, said| {
                judge_for(Rtype::A, &message(Rtype::A, code, said), settings, false).unwrap().keep
            };
            assert_eq!((keep(&settings, &[]), keep(&settings, &with)), (Some(30), Some(60)));
            settings.cache.negative = false;
            assert_eq!((keep(&settings, &[]), keep(&settings, &with)), (None, None));
        }
    }

    #[test]
    fn proofs_are_kept_for_those_who_can_read_them() {
        let nsec = Data::Other { kind: Rtype::NSEC, data: b"\x01z\0\0\x01\x40".to_vec() };
        let said = [
            (Section::Authority, "example.net", soa()),
            (Section::Authority, "example.net", rrsig(Rtype::SOA)),
            (Section::Authority, "example.net", nsec),
            (Section::Authority, "example.net", rrsig(Rtype::NSEC)),
            (Section::Authority, "example.net", rrsig(Rtype::NS)),
        ];
        let octets = message(Rtype::A, Rcode::NXDOMAIN, &said);
        let kept = |dnssec_ok| found(judge_for(Rtype::A, &octets, &Settings::default(), dnssec_ok)).0[1].len();
        assert_eq!((kept(false), kept(true)), (1, 4));
    }

    #[test]
    fn machines_that_an_answer_names_come_along() {
        let mx = Data::Mx { preference: 1, target: name("mail.example.net") };
        let said = [
            (Section::Answer, "www.example.net", mx),
            (Section::Additional, "mail.example.net", a(25)),
            (Section::Additional, "bank.example", a(66)),
        ];
        let (found, keep) = found(judge_plain(Rtype::MX, Rcode::NOERROR, &said));
        assert_eq!(found[2], ["mail.example.net 301 A 192.168.1.25"]);
        assert_eq!(keep, Some(300));
    }

    #[test]
    fn a_dname_stays_with_the_cname_that_it_makes() {
        let dname = Data::Other { kind: Rtype::DNAME, data: b"\x03org\0".to_vec() };
        let said = [
            (Section::Answer, "net", dname),
            (Section::Answer, "www.example.net", cname("www.example.org")),
            (Section::Answer, "www.example.org", a(1)),
        ];
        let (found, _) = found(judge_plain(Rtype::A, Rcode::NOERROR, &said));
        let found: Vec<_> = found[0].iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(found, ["DNAME", "CNAME", "A"]);
    }

    #[test]
    fn what_is_not_ours_is_told_from_what_is_worth_nothing() {
        let octets = message(Rtype::A, Rcode::NOERROR, &[(Section::Answer, "www.example.net", a(1))]);
        let judge = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut octets = octets.clone();
            change(&mut octets);
            judge_for(Rtype::A, &octets, &Settings::default(), false).map(|_| ())
        };
        assert_eq!(judge(&|_| ()), Ok(()));
        assert_eq!(judge(&|octets| octets[1] ^= 1), Err(Worthless::NotOurs));
        assert_eq!(judge(&|octets| octets[2] &= 0x7f), Err(Worthless::NotOurs));
        assert_eq!(judge(&|octets| octets[13] = b'x'), Err(Worthless::NotOurs));
        assert_eq!(judge(&|octets| octets[30] ^= 0x20), Err(Worthless::NotOurs), "another type, not another letter");
        assert_eq!(judge(&|octets| octets[13] = b'W'), Err(Worthless::OtherLetters));
        assert_eq!(judge(&|octets| octets[2] |= 2), Err(Worthless::Truncated));
        assert_eq!(judge(&|octets| octets[3] |= 2), Err(Worthless::Failed(Rcode::SERVFAIL)));
        assert_eq!(judge(&|octets| octets[3] |= 5), Err(Worthless::Failed(Rcode::REFUSED)));
        assert_eq!(judge(&|octets| octets.truncate(40)), Err(Worthless::Malformed("a record is not whole")));
        assert_eq!(judge(&|octets| octets.truncate(11)), Err(Worthless::NotOurs));
    }

    #[test]
    fn addresses_are_filtered_as_the_settings_say() {
        let said = [(Section::Answer, "www.example.net", a(1)), (Section::Answer, "www.example.net", a(2))];
        let octets = message(Rtype::A, Rcode::NOERROR, &said);
        let judge = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            judge_for(Rtype::A, &octets, &settings, false)
        };
        let net = || vec!["192.168.1.2/32".parse().unwrap()];
        assert_eq!(judge(&|settings| settings.filter.ignore = net()), Err(Worthless::Ignored));
        let bogus = judge(&|settings| settings.filter.bogus_nxdomain = net()).unwrap();
        assert_eq!((bogus.answer.code(), bogus.answer.is_empty(), bogus.keep), (Rcode::NXDOMAIN, true, Some(301)));
        let rebind = judge(&|settings| settings.filter.rebind.stop = true).unwrap();
        assert_eq!((rebind.answer.code(), rebind.answer.is_empty(), rebind.keep), (Rcode::NOERROR, true, None));
        assert_eq!((rebind.rebind, rebind.why), (Some([192, 168, 1, 1].into()), Some(BLOCKED)));
        let allowed = judge(&|settings| {
            settings.filter.rebind.stop = true;
            settings.filter.rebind.domains_ok = vec![Scope::Domain(name("example.net"))];
        });
        assert_eq!(found(allowed).0[0].len(), 2);
        let (filtered, keep) = found(judge(&|settings| settings.filter.types = vec![Rtype::A]));
        assert_eq!((filtered[0].len(), keep), (0, Some(300)));
        let alias = Alias {
            first: [192, 168, 1, 0].into(),
            last: [192, 168, 1, 1].into(),
            new: [10, 0, 0, 0].into(),
            mask: [255, 255, 255, 0].into(),
        };
        let (aliased, _) = found(judge(&|settings| settings.filter.alias = vec![alias]));
        assert_eq!(aliased[0], ["www.example.net 300 A 10.0.0.1", "www.example.net 301 A 192.168.1.2"]);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), kind in 0..3usize, raw in prop::collection::vec(any::<u8>(), 0..60), whole in any::<bool>()) {
            let kind = [Rtype::A, Rtype::MX, Rtype::ANY][kind];
            let mut octets = message(kind, Rcode::NOERROR, &[
                (Section::Answer, "www.example.net", cname("a.example.net")),
                (Section::Answer, "a.example.net", a(1)),
                (Section::Answer, "www.example.net", Data::Mx { preference: 1, target: name("mail.example.net") }),
                (Section::Authority, "example.net", soa()),
                (Section::Additional, "mail.example.net", a(1)),
            ]);
            if !whole {
                octets.truncate(33);
                octets.extend(raw);
            }
            for (at, octet) in cuts {
                let at = 4 + at.index(octets.len() - 4);
                octets[at] = octet;
            }
            if let Ok(good) = judge_for(kind, &octets, &Settings::default(), true) {
                let out = &mut Vec::new();
                let asked = asked("www.example.net", kind, None);
                let told = crate::Told { age: crate::Age::Fresh(1), max_ttl: None, rotation: 1, why: None };
                good.answer.write(&asked, &Limits { transport: Transport::Udp, payload: 1232 }, &told, out);
                let message = Message::from_slice(out).unwrap();
                let counts = message.header_counts();
                let records = message.iter().map(|record| record.unwrap()).count();
                prop_assert_eq!(records, usize::from(counts.ancount() + counts.nscount() + counts.arcount()));
            }
        }
    }
}
