//! An answer as octets, ready to be sent again.

use domain::base::Message;
use domain::base::rdata::ComposeRecordData;

use crate::compose::{self, Limits, Reply, Section};
use crate::query::Asked;
use crate::reply::Said;
use crate::wire::{self, Place, QUESTION};
use crate::{Class, Rcode, Rtype};

/// TTL of answers that are out of date, in seconds: they are being asked anew.
pub const STALE_TTL: u32 = 0;

/// A whole message without OPT: in place of an id an extended error's code (RFC 8914 section 4) or zero, its question's name in lower case at octet 12, where owners of records point to.
/// TTLs are those of the moment when it was made.
///
/// `O`: its own octets, or those of the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Answer<O = Box<[u8]>>(O);

/// How an answer is told this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub age: Age,
    /// The most that TTLs say, in seconds.
    pub max_ttl: Option<u32>,
    /// By how many places the addresses move: from answer to answer another one comes first. 0: they stay.
    pub rotation: usize,
    /// What there is to say of it now, before what it says of itself: an extended error's code (RFC 8914 section 4).
    pub why: Option<u16>,
}

/// Extended errors' codes: the answer is out of date, it was withheld by the settings, or a part of it was.
pub const STALE: u16 = 3;
pub const BLOCKED: u16 = 15;
pub const FILTERED: u16 = 17;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Seconds since it was made; TTLs are lowered by them.
    Fresh(u32),
    /// Out of date: TTLs are [`STALE_TTL`].
    Stale,
}

impl Told {
    /// What is told of a TTL, in seconds.
    fn ttl(&self, ttl: u32) -> u32 {
        match self.age {
            Age::Fresh(seconds) => ttl.saturating_sub(seconds).min(self.max_ttl.unwrap_or(u32::MAX)),
            Age::Stale => STALE_TTL,
        }
    }
}

impl Answer {
    /// Takes a message as described there; records of any kind but OPT.
    pub(crate) fn new(octets: Vec<u8>) -> Answer {
        Answer(octets.into())
    }

    /// For those who ask later: the server vouched for it but once.
    pub(crate) fn drop_authority(&mut self) {
        self.0[2] &= !0x04;
    }

    /// Changes every TTL.
    pub(crate) fn change_ttls(&mut self, mut change: impl FnMut(u32) -> u32) {
        let (start, counts) = (self.records_start(), self.counts());
        change_ttls(&mut self.0, start, counts, &mut change);
    }
}

impl<O: AsRef<[u8]>> Answer<O> {
    /// What [`Answer::octets`] gave.
    pub(crate) fn of(octets: O) -> Answer<O> {
        Answer(octets)
    }

    /// Its size in memory, in octets.
    pub fn size(&self) -> usize {
        self.octets().len()
    }

    /// In wire form in lower case.
    pub fn name(&self) -> &[u8] {
        &self.octets()[QUESTION..self.records_start() - 4]
    }

    pub fn kind(&self) -> Rtype {
        let at = self.records_start() - 4;
        Rtype::from_int(u16::from_be_bytes([self.octets()[at], self.octets()[at + 1]]))
    }

    pub fn class(&self) -> Class {
        let at = self.records_start() - 2;
        Class::from_int(u16::from_be_bytes([self.octets()[at], self.octets()[at + 1]]))
    }

    pub fn code(&self) -> Rcode {
        Rcode::masked_from_int(self.octets()[3])
    }

    /// Whether it has no records in its answer section.
    pub fn is_empty(&self) -> bool {
        self.counts()[0] == 0
    }

    /// Whether its question is this; `kind`: `None` for any.
    pub(crate) fn is_for(&self, name: &[u8], class: Class, kind: Option<Rtype>) -> bool {
        let [c0, c1] = class.to_int().to_be_bytes();
        let Some(rest) = self.octets()[QUESTION..].strip_prefix(name) else { return false };
        rest[2..4] == [c0, c1] && kind.is_none_or(|kind| rest[..2] == kind.to_int().to_be_bytes())
    }

    /// What there is to say of it: an extended error's code (RFC 8914 section 4).
    pub fn why(&self) -> Option<u16> {
        wire::u16_at(self.octets(), 0).filter(|code| *code != 0)
    }

    /// The message as it is kept.
    pub fn octets(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Puts the reply to `asked` into `out`, which is emptied first: id, letters, RD and CD as asked, AD if the client wants
    /// to know, TTLs as of now, OPT if the client sent one; cut where the room ends, with TC if the client misses something.
    ///
    /// # Panics
    /// When `asked` asks for another name.
    pub fn write<Q: AsRef<[u8]>>(&self, asked: &Asked<Q>, limits: &Limits, told: &Told, out: &mut Vec<u8>) {
        let question = asked.question.as_ref();
        out.clear();
        out.extend_from_slice(self.octets());
        out[QUESTION..QUESTION + question.len()].copy_from_slice(question);
        let wants_ad = asked.authentic_data || asked.dnssec_ok();
        out[3] &= if wants_ad { 0xff } else { !0x20 };
        let header = compose::header(asked, [out[2], out[3]]);
        out[..4].copy_from_slice(&header);
        let start = QUESTION + question.len();
        change_ttls(out, start, self.counts(), &mut |ttl| told.ttl(ttl));
        if told.rotation > 0 {
            rotate(out, start, self.counts()[0], told.rotation);
        }
        let room = limits.room(asked);
        let opt = compose::opt(asked, limits.payload, told.why.or(self.why()));
        let opt = opt.as_deref().unwrap_or_default();
        let mut counts = self.counts();
        if out.len() + opt.len() > room {
            counts = cut(out, start, counts, room - opt.len());
        }
        out.extend_from_slice(opt);
        counts[2] += u16::from(!opt.is_empty());
        for (at, count) in [6, 8, 10].into_iter().zip(counts) {
            out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }

    /// Adds its answer section to a reply of ours.
    pub(crate) fn append(&self, told: &Told, reply: &mut Reply<'_>) {
        let message = Message::from_slice(self.octets()).expect("an answer has a header");
        let records = message.answer().expect("an answer has a question");
        for said in records.flatten().flat_map(Said::read) {
            reply.push_with(Section::Answer, &said.owner, said.kind, told.ttl(said.ttl), |target| {
                let Ok(()) = said.data.compose_rdata(target);
            });
        }
    }

    fn records_start(&self) -> usize {
        wire::skip_name(self.octets(), QUESTION).expect("an answer has a question") + 4
    }

    fn counts(&self) -> [u16; 3] {
        let header = self.octets().first_chunk().expect("an answer has a header");
        let [_, answer, authority, additional] = wire::counts(header);
        [answer, authority, additional]
    }
}

/// For every record the section that it is in.
fn sections(counts: [u16; 3]) -> impl Iterator<Item = usize> {
    counts.into_iter().enumerate().flat_map(|(section, count)| std::iter::repeat_n(section, usize::from(count)))
}

fn change_ttls(octets: &mut [u8], start: usize, counts: [u16; 3], change: &mut impl FnMut(u32) -> u32) {
    let mut at = start;
    for _ in sections(counts) {
        let place = wire::record(octets, at).expect("records of an answer are whole");
        octets[place.ttl_at()..place.data - 2].copy_from_slice(&change(place.ttl).to_be_bytes());
        at = place.end;
    }
}

/// Turns the first run of addresses of one owner that are all of one kind and size.
fn rotate(octets: &mut [u8], start: usize, count: u16, by: usize) {
    let mut run: Option<Place> = None;
    let mut at = start;
    for _ in 0..count {
        let place = wire::record(octets, at).expect("records of an answer are whole");
        let alike = run.is_some_and(|first| alike(octets, &first, &place));
        if run.is_some() && !alike {
            break;
        }
        if run.is_none() && matches!(place.kind, Rtype::A | Rtype::AAAA) {
            run = Some(place);
        }
        at = place.end;
    }
    if let Some(first) = run {
        let size = first.end - first.start;
        let many = (at - first.start) / size;
        octets[first.start..at].rotate_left(by % many * size);
    }
}

fn alike(octets: &[u8], first: &Place, other: &Place) -> bool {
    let owner = |place: &Place| place.start..place.ttl_at() - 4;
    other.kind == first.kind
        && other.end - other.start == first.end - first.start
        && octets[owner(first)] == octets[owner(other)]
}

/// Leaves out the records that reach beyond `room`, and says what stays; TC if any but additional ones are missing
/// (RFC 2181 section 9).
fn cut(octets: &mut Vec<u8>, start: usize, counts: [u16; 3], room: usize) -> [u16; 3] {
    let (mut left, mut at) = ([0; 3], start);
    for section in sections(counts) {
        let end = wire::record(octets, at).expect("records of an answer are whole").end;
        if end > room {
            octets[2] |= if section < 2 { 0x02 } else { 0 };
            break;
        }
        left[section] += 1;
        at = end;
    }
    octets.truncate(at);
    left
}

impl<O: AsRef<[u8]>> std::fmt::Debug for Answer<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = self.counts();
        write!(
            f,
            "Answer({:?} {} {:?} {counts:?})",
            self.octets()[QUESTION..].utf8_chunks().next(),
            self.kind(),
            self.code()
        )
    }
}

#[cfg(test)]
mod tests {
    use domain::base::Message;
    use domain::base::opt::ExtendedError;

    use super::*;
    use crate::query::Edns;
    use crate::record::Data;
    use crate::resolver::Transport;
    use crate::testing::{asked, name, text};
    use crate::{Reply, Section};

    const UDP: Limits = Limits { transport: Transport::Udp, payload: 1232 };
    const NOW: Told = Told { age: Age::Fresh(0), max_ttl: None, rotation: 0, why: None };

    fn reply(asked: &Asked<Box<[u8]>>, limits: &Limits, records: &[(Section, &str, Data)]) -> Vec<u8> {
        let mut out = vec![9; 9];
        let mut reply = Reply::start(asked, limits, &mut out);
        for (section, owner, data) in records {
            reply.push(*section, &name(owner), data, 300);
        }
        reply.finish();
        out
    }

    fn answer(question: &str, kind: Rtype, records: &[(Section, &str, Data)]) -> Answer {
        crate::testing::answer(question, kind, Rcode::NOERROR, records)
    }

    fn addresses(owner: &str, count: u8) -> Vec<(Section, &str, Data)> {
        (0..count).map(|last| (Section::Answer, owner, Data::A([10, 0, 0, last].into()))).collect()
    }

    const EDNS: Option<Edns> = Some(Edns { payload: 4096, dnssec_ok: true });

    #[test]
    fn every_kind_of_data_is_told_as_it_was_said() {
        let target = name("t.Box.lan");
        let all = [
            Data::A([10, 0, 0, 1].into()),
            Data::Aaaa("fd00::1".parse().unwrap()),
            Data::Cname(target.clone()),
            Data::Ptr(target.clone()),
            Data::Mx { preference: 10, target: target.clone() },
            Data::Srv { priority: 1, weight: 2, port: 389, target: target.clone() },
            Data::Txt(vec![b"one".to_vec(), b"two words".to_vec()]),
            Data::Naptr {
                order: 1,
                preference: 2,
                flags: b"u".to_vec(),
                services: b"E2U+sip".to_vec(),
                regexp: b"!^.*$!sip:a@b!".to_vec(),
                replacement: name("."),
            },
            Data::Caa { flags: 128, tag: b"issue".to_vec(), value: b"ca.example".to_vec() },
            Data::Other { kind: Rtype::from_int(65300), data: vec![1, 2, 255] },
        ];
        let records: Vec<_> = all.into_iter().map(|data| (Section::Answer, "box.lan", data)).collect();
        insta(
            &text(&reply(&asked("box.lan", Rtype::ANY, None), &UDP, &records)),
            "Box.lan NOERROR Flags { qr: true, aa: false, tc: false, rd: true, ra: true, ad: false, cd: false }
            Box.lan 300 A 10.0.0.1
            Box.lan 300 AAAA fd00::1
            Box.lan 300 CNAME t.Box.lan.
            Box.lan 300 PTR t.Box.lan.
            Box.lan 300 MX 10 t.Box.lan.
            Box.lan 300 SRV 1 2 389 t.box.lan
            Box.lan 300 TXT \"one\" \"two words\"
            Box.lan 300 NAPTR 1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .
            Box.lan 300 CAA 128 issue \"ca.example\"
            Box.lan 300 TYPE65300 \\# 3 01 02 ff",
        );
    }

    fn insta(found: &str, expected: &str) {
        let lines = |text: &str| text.lines().map(|line| line.trim().to_string()).collect::<Vec<_>>();
        assert_eq!(lines(found), lines(expected));
    }

    #[test]
    fn an_answer_is_told_in_the_clients_letters_with_less_ttl() {
        let answer = answer("box.lan", Rtype::A, &addresses("box.lan", 2));
        assert_eq!((answer.name(), answer.kind()), (&b"\x03box\x03lan\0"[..], Rtype::A));
        assert_eq!((answer.class(), answer.code()), (Class::IN, Rcode::NOERROR));
        let mut out = Vec::new();
        let told = Told { age: Age::Fresh(299), ..NOW };
        answer.write(&asked("box.lan", Rtype::A, EDNS), &UDP, &told, &mut out);
        assert_eq!(&out[..4], [0, 7, 0x81, 0x80]);
        assert!(text(&out).contains("\nBox.lan 1 A 10.0.0.0\nBox.lan 1 A 10.0.0.1\n 32768 OPT"), "{}", text(&out));
        let message = Message::from_octets(&out).unwrap();
        assert!(message.opt().is_some_and(|opt| opt.dnssec_ok() && opt.udp_payload_size() == 1232));
        answer.write(&asked("box.lan", Rtype::A, EDNS), &UDP, &Told { why: Some(STALE), ..NOW }, &mut out);
        let message = Message::from_octets(&out).unwrap();
        let error = message.opt().unwrap().opt().iter::<ExtendedError<_>>().next().unwrap().unwrap();
        assert_eq!(error.code().to_int(), STALE);
        for (told, ttl) in [
            (Told { age: Age::Fresh(301), ..NOW }, 0),
            (Told { age: Age::Stale, ..NOW }, STALE_TTL),
            (Told { max_ttl: Some(60), ..NOW }, 60),
            (Told { max_ttl: Some(400), ..NOW }, 300),
        ] {
            answer.write(&asked("box.lan", Rtype::A, None), &UDP, &told, &mut out);
            assert!(text(&out).contains(&format!("Box.lan {ttl} A 10.0.0.1")), "{told:?} {}", text(&out));
        }
    }

    #[test]
    fn addresses_take_turns_and_nothing_else_moves() {
        let mut records = vec![(Section::Answer, "box.lan", Data::Cname(name("a.lan")))];
        records.extend(addresses("a.lan", 3));
        let answer = answer("box.lan", Rtype::A, &records);
        let last = |rotation| {
            let mut out = Vec::new();
            answer.write(&asked("box.lan", Rtype::A, None), &UDP, &Told { rotation, ..NOW }, &mut out);
            let text = text(&out);
            assert!(text.contains("\nBox.lan 300 CNAME a.lan.\na.lan 300 A"), "{text}");
            text.lines().skip(2).map(|line| line.rsplit('.').next().unwrap().parse().unwrap()).collect::<Vec<u8>>()
        };
        assert_eq!([last(0), last(1), last(2), last(3)], [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said() {
        let (many, question) = (addresses("box.lan", 100), "box.lan");
        let whole = answer(question, Rtype::A, &many);
        let tcp = Limits { transport: Transport::Tcp, payload: 1232 };
        // 12 of header, 13 of question, 16 for each address, 11 of OPT.
        for (edns, limits, records) in [(None, UDP, 30), (EDNS, UDP, 74), (EDNS, tcp, 100), (None, tcp, 100)] {
            let asked = asked(question, Rtype::A, edns);
            let mut out = Vec::new();
            whole.write(&asked, &limits, &NOW, &mut out);
            assert_eq!(reply(&asked, &limits, &many), out, "written at once, or kept");
            let message = Message::from_octets(&out).unwrap();
            assert_eq!((message.header().tc(), message.header_counts().ancount()), (records < 100, records));
            assert_eq!(message.opt().is_some(), edns.is_some());
        }
    }

    #[test]
    fn missing_additional_records_alone_are_not_told() {
        let mut records = addresses("box.lan", 20);
        records.extend((0..20).map(|last| (Section::Additional, "other.lan", Data::A([10, 0, 1, last].into()))));
        let asked = asked("box.lan", Rtype::A, None);
        let mut out = Vec::new();
        answer("box.lan", Rtype::A, &records).write(&asked, &UDP, &NOW, &mut out);
        assert_eq!(reply(&asked, &UDP, &records), out);
        let message = Message::from_octets(&out).unwrap();
        assert!(!message.header().tc());
        assert_eq!((message.header_counts().ancount(), message.header_counts().arcount()), (20, 10));
    }

    #[test]
    fn the_ad_bit_is_for_those_who_ask() {
        let mut answer = answer("box.lan", Rtype::A, &[]);
        answer.0[3] |= 0x20;
        let told = |asked: &Asked<Box<[u8]>>| {
            let mut out = Vec::new();
            answer.write(asked, &UDP, &NOW, &mut out);
            Message::from_octets(out).unwrap().header().ad()
        };
        let plain = asked("box.lan", Rtype::A, None);
        assert!(!told(&plain) && told(&asked("box.lan", Rtype::A, EDNS)));
        assert!(told(&Asked { authentic_data: true, ..plain }));
    }
}
