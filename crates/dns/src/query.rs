//! What a client asks (RFC 1035 section 4, EDNS by RFC 6891).

use crate::wire::{self, QUESTION};
use crate::{Class, Name, Rcode, Rtype};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub name: Name,
    pub kind: Rtype,
    pub class: Class,
}

/// A client's query, whole and sound. Reading one takes no memory.
#[derive(Clone)]
pub struct Query<'a> {
    pub asked: Asked<&'a [u8]>,
    pub kind: Rtype,
    pub class: Class,
    lower: [u8; 255],
    length: usize,
}

/// What a reply repeats of its query, and what it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<Q> {
    pub id: u16,
    /// The question as it was sent: name with the client's letters, type, class.
    pub question: Q,
    pub recursion_desired: bool,
    /// AD and CD (RFC 6840 section 5.7 and 5.9).
    pub authentic_data: bool,
    pub checking_disabled: bool,
    pub edns: Option<Edns>,
}

/// What a client says in its OPT record. Its options are not looked at: answers are shared by all clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// UDP payload that the client takes, in octets; at least 512.
    pub payload: u16,
    /// The DO bit.
    pub dnssec_ok: bool,
}

/// By which answers are known: `name` in wire form in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    pub name: &'a [u8],
    pub kind: Rtype,
    pub class: Class,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
}

/// Why a message is no query that can be answered by its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoQuery {
    /// An answer, or too short for a header: nobody is told.
    Silence,
    /// Not exactly one question, or not whole: FORMERR.
    Malformed,
    /// Another opcode than QUERY: NOTIMP.
    Opcode,
    /// EDNS of a version that we do not know: BADVERS (RFC 6891 section 6.1.3).
    Version,
}

impl<'a> Query<'a> {
    /// Reads a whole message. Octets behind its last record change nothing.
    ///
    /// # Errors
    /// [`NoQuery`], which [`NoQuery::reply`] answers.
    pub fn parse(octets: &'a [u8]) -> Result<Query<'a>, NoQuery> {
        let header = octets.first_chunk().ok_or(NoQuery::Silence)?;
        if header[2] & 0x80 != 0 {
            return Err(NoQuery::Silence);
        }
        if header[2] & 0x78 != 0 {
            return Err(NoQuery::Opcode);
        }
        let [questions, answers, authority, additional] = wire::counts(header);
        if questions != 1 {
            return Err(NoQuery::Malformed);
        }
        let name = plain_name(&octets[QUESTION..]).ok_or(NoQuery::Malformed)?;
        let end = QUESTION + name.len();
        let kind = wire::u16_at(octets, end).ok_or(NoQuery::Malformed)?;
        let class = wire::u16_at(octets, end + 2).ok_or(NoQuery::Malformed)?;
        let edns = edns(octets, end + 4, usize::from(answers) + usize::from(authority), additional)?;
        let mut lower = [0; 255];
        lower[..name.len()].copy_from_slice(name);
        // Lengths of labels are below `A`.
        lower[..name.len()].make_ascii_lowercase();
        Ok(Query {
            asked: Asked {
                id: u16::from_be_bytes([header[0], header[1]]),
                question: &octets[QUESTION..end + 4],
                recursion_desired: header[2] & 1 != 0,
                authentic_data: header[3] & 0x20 != 0,
                checking_disabled: header[3] & 0x10 != 0,
                edns,
            },
            kind: Rtype::from_int(kind),
            class: Class::from_int(class),
            lower,
            length: name.len(),
        })
    }

    /// What is asked for, in wire form in lower case.
    pub fn name(&self) -> &[u8] {
        &self.lower[..self.length]
    }

    pub fn key(&self) -> Key<'_> {
        Key {
            name: self.name(),
            kind: self.kind,
            class: self.class,
            dnssec_ok: self.asked.dnssec_ok(),
            checking_disabled: self.asked.checking_disabled,
        }
    }

    pub fn question(&self) -> Question {
        let name = Name::from_wire(self.name()).expect("a parsed name is whole");
        Question { name, kind: self.kind, class: self.class }
    }
}

impl<Q: AsRef<[u8]>> Asked<Q> {
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// To answer later, when the client's octets are gone.
    pub fn keep(&self) -> Asked<Box<[u8]>> {
        let Asked { id, ref question, recursion_desired, authentic_data, checking_disabled, edns } = *self;
        let question = question.as_ref().into();
        Asked { id, question, recursion_desired, authentic_data, checking_disabled, edns }
    }
}

impl NoQuery {
    /// Puts the reply to the message `octets` into `out`, which is emptied first; it stays empty if there is none.
    /// `payload`: ours, in octets, for the OPT record.
    pub fn reply(self, octets: &[u8], payload: u16, out: &mut Vec<u8>) {
        out.clear();
        let code = match self {
            NoQuery::Silence => return,
            NoQuery::Malformed => Rcode::FORMERR,
            NoQuery::Opcode => Rcode::NOTIMP,
            // Its upper bits, which are all there is of it, are in the OPT record.
            NoQuery::Version => Rcode::NOERROR,
        };
        let Some([id0, id1, flags, ..]) = octets.first_chunk::<QUESTION>() else { return };
        out.extend_from_slice(&[*id0, *id1, 0x80 | flags & 0x79, 0x80 | code.to_int()]);
        out.extend_from_slice(&[0; 8]);
        let end = wire::skip_name(octets, QUESTION).map(|end| end + 4);
        if let (NoQuery::Version, Some(question)) = (self, end.and_then(|end| octets.get(QUESTION..end))) {
            out.extend_from_slice(question);
            let [p0, p1] = payload.to_be_bytes();
            out.extend_from_slice(&[0, 0, 41, p0, p1, 1, 0, 0, 0, 0, 0]);
            (out[5], out[11]) = (1, 1);
        }
    }
}

/// The name without pointers that `octets` begin with.
fn plain_name(octets: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        match *octets.get(at)? {
            0 => break,
            length @ ..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    octets.get(..=at).filter(|name| name.len() <= 255)
}

/// The OPT record among the `additional` ones, which begin behind `others` records at `at`.
fn edns(octets: &[u8], mut at: usize, others: usize, additional: u16) -> Result<Option<Edns>, NoQuery> {
    for _ in 0..others {
        at = wire::record(octets, at).ok_or(NoQuery::Malformed)?.end;
    }
    let mut found = None;
    for _ in 0..additional {
        let record = wire::record(octets, at).ok_or(NoQuery::Malformed)?;
        if record.kind == Rtype::OPT && (octets[at] != 0 || found.replace(record).is_some()) {
            return Err(NoQuery::Malformed);
        }
        at = record.end;
    }
    let Some(opt) = found else { return Ok(None) };
    let [_, version, flags, _] = opt.ttl.to_be_bytes();
    if version != 0 {
        return Err(NoQuery::Version);
    }
    Ok(Some(Edns { payload: opt.class.to_int().max(512), dnssec_ok: flags & 0x80 != 0 }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `BoX.lan A` with RD, AD; what follows is for the test.
    fn message(additional: u8, rest: &[u8]) -> Vec<u8> {
        let header = [0xab, 0xcd, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, additional];
        [&header[..], b"\x03BoX\x03lan\0\0\x01\0\x01", rest].concat()
    }

    const DO_4096: &[u8] = &[0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0];

    fn parse(octets: &[u8]) -> Result<Query<'_>, NoQuery> {
        Query::parse(octets)
    }

    #[test]
    fn a_query_is_read_whole() {
        let octets = message(1, DO_4096);
        let query = parse(&octets).ok().unwrap();
        assert_eq!(query.name(), b"\x03box\x03lan\0");
        assert_eq!((query.kind, query.class), (Rtype::A, Class::IN));
        let edns = Some(Edns { payload: 4096, dnssec_ok: true });
        let expected = Asked {
            id: 0xabcd,
            question: &b"\x03BoX\x03lan\0\0\x01\0\x01"[..],
            recursion_desired: true,
            authentic_data: true,
            checking_disabled: false,
            edns,
        };
        assert_eq!(query.asked, expected);
        assert_eq!(query.asked.keep().question.as_ref(), expected.question);
        assert_eq!(query.question().name.to_string(), "box.lan");
    }

    #[test]
    fn junk_behind_a_query_changes_nothing() {
        assert_eq!(parse(&message(0, b"junk")).ok().unwrap().asked.edns, None);
    }

    #[test]
    fn payloads_below_512_count_as_512() {
        let octets = message(1, &[0, 0, 41, 0, 9, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&octets).ok().unwrap().asked.edns, Some(Edns { payload: 512, dnssec_ok: false }));
    }

    #[test]
    fn what_is_no_query_is_answered_by_its_fault() {
        let refused = |octets: &[u8]| {
            let mut out = vec![1];
            let fault = parse(octets).err().unwrap();
            fault.reply(octets, 1232, &mut out);
            (fault, out)
        };
        assert_eq!(refused(&[0; 11]), (NoQuery::Silence, vec![]));
        assert_eq!(refused(&[0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]), (NoQuery::Silence, vec![]));
        let notify = [1, 2, 0x21, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(refused(&notify), (NoQuery::Opcode, vec![1, 2, 0xa1, 0x84, 0, 0, 0, 0, 0, 0, 0, 0]));
        let none = [1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(refused(&none), (NoQuery::Malformed, vec![1, 2, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]));
        let version_1 = message(1, &[0, 0, 41, 0x10, 0, 0, 1, 0x80, 0, 0, 0]);
        let (fault, reply) = refused(&version_1);
        assert_eq!(fault, NoQuery::Version);
        let reply = domain::base::Message::from_octets(reply).unwrap();
        assert_eq!(reply.opt_rcode(), domain::base::iana::OptRcode::BADVERS);
        assert_eq!(reply.sole_question().unwrap().qname().to_string(), "BoX.lan");
    }

    #[test]
    fn faults_of_form_are_found() {
        let two_opts = message(2, &[DO_4096, DO_4096].concat());
        let pointer = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xc0, 12, 0, 1, 0, 1]].concat();
        let opt_with_name = message(1, &[1, b'x', 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        let whole = message(1, DO_4096);
        let long = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[1; 256], &[0, 0, 1, 0, 1]].concat();
        let mut faults = vec![&two_opts[..], &pointer, &opt_with_name, &long];
        faults.extend((12..whole.len()).map(|end| &whole[..end]));
        for octets in faults {
            assert_eq!(parse(octets).err(), Some(NoQuery::Malformed), "{octets:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..80), query in any::<bool>()) {
            let mut octets = octets;
            if let (true, Some(header)) = (query, octets.first_chunk_mut::<12>()) {
                header[2..8].copy_from_slice(&[1, 0, 0, 1, 0, 0]);
            }
            let mut out = Vec::new();
            match parse(&octets) {
                Ok(query) => assert_eq!(query.question().name.as_wire(), query.name()),
                Err(fault) => fault.reply(&octets, 1232, &mut out),
            }
        }
    }
}
