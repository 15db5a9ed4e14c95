//! What an upstream server's message is worth for a question that we asked.
//!
//! Of a message only that is kept which answers the question: the CNAMEs that lead from its name on, the records at their
//! end, their signatures; for a negative answer the proof of it; and addresses of machines that the answer names. All else
//! could be anybody's lie about somebody else's name (RFC 5452 section 6).

mod draft;

use std::net::IpAddr;

use domain::base::rdata::UnknownRecordData;
use domain::base::record::ParsedRecord;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName, message};
use domain::rdata::AllRecordData;
use draft::Draft;

use crate::answer::Answer;
use crate::resolver::Transport;
use crate::settings::Settings;
use crate::wire::{self, QUESTION};
use crate::{Rcode, Rtype, filter};

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

pub(crate) type Owner<'a> = ParsedName<&'a [u8]>;
pub(crate) type Data<'a> = AllRecordData<&'a [u8], Owner<'a>>;

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

/// Reads a message that says that it is not whole: the answer that it holds is told if the whole is not to be had.
pub fn judge_cut(sent: &Sent<'_>, octets: &[u8], settings: &Settings) -> Option<Answer> {
    let mut octets = octets.to_vec();
    *octets.get_mut(2)? &= !0x02;
    let answer = judge(sent, &octets, settings).ok()?.answer;
    (answer.code() == Rcode::NOERROR).then_some(answer)
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
pub(crate) struct Said<'a> {
    pub owner: Owner<'a>,
    pub kind: Rtype,
    pub ttl: u32,
    pub data: Data<'a>,
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
    pub fn read(record: ParsedRecord<'a, [u8]>) -> Result<Said<'a>, ParseError> {
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

#[cfg(test)]
mod tests;
