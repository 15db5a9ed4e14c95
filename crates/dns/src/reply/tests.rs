use proptest::prelude::*;

use super::*;
use crate::answer::BLOCKED;
use crate::record::Data;
use crate::settings::{Alias, Scope};
use crate::testing::{asked, name, question, records};
use crate::{Limits, Reply, Section};

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

/// As servers write it: pointers into names and data, OPT at the end.
#[test]
fn a_message_off_the_wire_is_kept_octet_by_octet() {
    let question = b"\x03WWW\x07example\x03net\0\0\x01\0\x01";
    let cname = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x04\x01a\xc0\x10";
    let address = b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    let said = [&cname[..], address, address].concat();
    let opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let octets = [&[0, 7, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 1], &question[..], &said, opt].concat();
    let sent = Sent { id: ID, question, letters: true, dnssec_ok: false, by: Transport::Udp };
    let good = judge(&sent, &octets, &Settings::default()).unwrap();
    let lower = question.to_ascii_lowercase();
    let kept = [&[0, 0, 0x80, 0x80, 0, 1, 0, 3, 0, 0, 0, 0], &lower[..], &said].concat();
    assert_eq!((good.answer.octets(), good.keep), (&kept[..], Some(60)));
}

/// Thousands of long names that differ in one label alone are not compared with one another.
#[test]
fn names_made_to_take_long_do_not() {
    let first = name(&["a"; 120].join("."));
    let question = question(&name("www.example.net"), Rtype::NS);
    let mut octets = [&[0, 7, 0x81, 0x80, 0, 1, 11, 184, 0, 0, 0, 0], &question[..]].concat();
    let mut add = |target: &[u8]| {
        octets.extend_from_slice(b"\xc0\x0c\0\x02\0\x01\0\0\0\x3c\0");
        octets.push(target.len() as u8);
        octets.extend_from_slice(target);
    };
    add(first.as_wire());
    (1..3000u16).for_each(|number| add(&[&[2], &number.to_be_bytes()[..], &[0xc0, 45]].concat()));
    let sent = Sent { id: ID, question: &question, letters: true, dnssec_ok: false, by: Transport::Tcp };
    let said = judge(&sent, &octets, &Settings::default());
    assert_eq!(said, Err(Worthless::Malformed("it says more than a message can hold")));
}

#[test]
fn circles_and_endless_chains_are_found() {
    let circle = [(Section::Answer, "www.example.net", cname("b")), (Section::Answer, "b", cname("www.example.net"))];
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
    assert_eq!((rebind.rebind, rebind.answer.why()), (Some([192, 168, 1, 1].into()), Some(BLOCKED)));
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
            let records: Vec<_> = message.iter().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(records.len(), usize::from(counts.ancount() + counts.nscount() + counts.arcount()));
        }
    }
}
