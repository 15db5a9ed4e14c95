//! How upstream servers behave, well and badly.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::message::{self, AA, AD, CD, Edns, Maker, QR, RA, RD, TC, kind, name};
use super::upstream::Asked;
use super::zone::{self, Known};

/// The address in every lie.
pub const EVIL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

#[derive(Clone, Debug)]
pub enum Habit {
    Honest,
    /// Says nothing.
    Silent,
    /// Nobody listens: the kernel says so.
    Closed,
    /// This code and nothing else.
    Says(u16),
    /// Honest, after this time.
    Slow(Duration),
    /// A lie with another id, and no more.
    WrongId,
    /// A lie with another id, and then the truth.
    WrongIdFirst,
    /// A lie about another name.
    WrongName,
    /// A lie about another type.
    WrongType,
    /// The truth, in other letters.
    WrongCase,
    /// A lie from another port.
    OtherPort,
    /// A lie from another port, and then the truth.
    OtherPortFirst,
    /// Not an answer, by its QR bit.
    Question,
    /// An answer without the question.
    NoQuestion,
    /// The truth, and lies about other names beside it.
    Extras,
    /// An alias, and an address of another name than the alias leads to.
    BrokenChain,
    /// Octets that are no message.
    Garbage,
    /// Ends in the middle of a record.
    Cut,
    /// Truncated over UDP, whole over TCP.
    Truncates,
    /// Truncated over UDP with as many records as fit.
    TruncatesLate,
    /// Truncated over UDP, and nobody answers TCP.
    TruncatesAlone,
    /// Knows nothing of EDNS: FORMERR (RFC 6891 section 7).
    NoEdns,
    /// Honest, but drops EDNS.
    IgnoresEdns,
    /// No such name, without an SOA.
    NoSuchNameBare,
    /// No such record, without an SOA.
    NoRecordBare,
    /// Empty of everything, as a delegation is: with an NS record.
    Referral,
    /// An answer with the AA bit.
    Authoritative,
    /// An answer without the RA bit.
    NoRecursion,
    /// Sends everything twice.
    Twice,
    /// Asks the server that asks it.
    Loops(SocketAddr),
}

/// One datagram.
pub struct Reply {
    pub octets: Vec<u8>,
    pub after: Duration,
    pub from_other_port: bool,
    /// Somebody else than who asked.
    pub to: Option<SocketAddr>,
}

fn at_once(octets: Vec<u8>) -> Reply {
    Reply { octets, after: Duration::ZERO, from_other_port: false, to: None }
}

/// `octets`: the query.
pub fn over_udp(habit: &Habit, asked: &Asked, octets: &[u8]) -> Vec<Reply> {
    let limit = asked.edns.as_ref().map_or(512, |edns| usize::from(edns.size.max(512)));
    let truth = || {
        let whole = honest(asked);
        if whole.len() > limit { truncated(asked) } else { whole }
    };
    let other_port = |octets| Reply { from_other_port: true, ..at_once(octets) };
    match habit {
        Habit::Silent | Habit::Closed => Vec::new(),
        Habit::Slow(after) => vec![Reply { after: *after, ..at_once(truth()) }],
        Habit::Twice => vec![at_once(truth()), at_once(truth())],
        Habit::WrongId => vec![at_once(wrong_id(asked))],
        Habit::WrongIdFirst => vec![at_once(wrong_id(asked)), at_once(truth())],
        Habit::OtherPort => vec![other_port(lie(asked, &asked.name, kind("A")))],
        Habit::OtherPortFirst => vec![other_port(lie(asked, &asked.name, kind("A"))), at_once(truth())],
        Habit::Garbage => vec![at_once([&asked.id.to_be_bytes()[..], &[0xff; 40]].concat())],
        Habit::Cut => {
            let whole = truth();
            vec![at_once(whole[..whole.len() - 3].to_vec())]
        }
        Habit::Question => {
            let mut lie = lie(asked, &asked.name, asked.question.kind);
            lie[2] &= 0x7f;
            vec![at_once(lie)]
        }
        Habit::Truncates | Habit::TruncatesAlone => vec![at_once(truncated(asked))],
        Habit::TruncatesLate => {
            let mut some = answer(asked, QR | RA | TC, 0);
            for known in zone::find(&asked.question.name, asked.question.kind, asked.number).answers.iter().take(1) {
                some = add(some, 1, asked, known);
            }
            vec![at_once(finish(some, asked, 0))]
        }
        Habit::Loops(to) => vec![Reply { to: Some(*to), ..at_once(octets.to_vec()) }],
        _ => vec![at_once(same_by_either(habit, asked).unwrap_or_else(truth))],
    }
}

/// `None`: hangs up.
pub fn over_tcp(habit: &Habit, asked: &Asked) -> Option<Vec<u8>> {
    match habit {
        Habit::Silent | Habit::Closed | Habit::TruncatesAlone => None,
        _ => Some(same_by_either(habit, asked).unwrap_or_else(|| honest(asked))),
    }
}

/// What does not depend on how it is asked.
fn same_by_either(habit: &Habit, asked: &Asked) -> Option<Vec<u8>> {
    if asked.question.name.starts_with("malformed") {
        return Some(Maker::new(asked.id, QR | RA | 1).0);
    }
    let plain = |code| finish(answer(asked, QR | RA, code), asked, code);
    if ![1, 255].contains(&asked.question.class) {
        return Some(plain(5));
    }
    Some(match habit {
        Habit::Says(code) => plain(*code),
        Habit::NoEdns if asked.edns.is_some() => answer(asked, QR | RA, 1).0,
        Habit::NoEdns | Habit::IgnoresEdns => build(asked, QR | RA).0,
        Habit::WrongName => lie(asked, &name("evil.example.net"), asked.question.kind),
        Habit::WrongType => lie(asked, &asked.name, kind("TXT")),
        Habit::WrongCase => {
            let mut truth = honest(asked);
            let name = &mut truth[12..12 + asked.name.len()];
            name.iter_mut().filter(|octet| octet.is_ascii_alphabetic()).for_each(|octet| *octet ^= 0x20);
            truth
        }
        Habit::NoQuestion => {
            let bare = Maker::new(asked.id, QR | RA | asked.flags & RD);
            bare.record(1, &asked.name, kind("A"), 300, &EVIL.octets()).0
        }
        Habit::Extras => {
            let lie = |name: &str| zone::address(name, 300, EVIL);
            let truth = build(asked, QR | RA);
            let truth = add(truth, 1, asked, &lie("victim.example.net"));
            finish(add(truth, 3, asked, &lie("other-victim.example.net")), asked, 0)
        }
        Habit::BrokenChain => {
            let alias = answer(asked, QR | RA, 0).record(1, &[0xc0, 12], kind("CNAME"), 300, &name("one.example.net"));
            finish(add(alias, 1, asked, &zone::address("victim.example.net", 300, EVIL)), asked, 0)
        }
        Habit::NoSuchNameBare => plain(3),
        Habit::NoRecordBare => plain(0),
        Habit::Referral => {
            let empty = answer(asked, QR, 0).record(2, &name("example.net"), kind("NS"), 300, &name("ns.example.net"));
            finish(empty, asked, 0)
        }
        Habit::Authoritative => finish(build(asked, QR | RA | AA), asked, 0),
        Habit::NoRecursion => finish(build(asked, QR), asked, 0),
        _ => return None,
    })
}

fn honest(asked: &Asked) -> Vec<u8> {
    finish(build(asked, QR | RA), asked, 0)
}

fn truncated(asked: &Asked) -> Vec<u8> {
    finish(answer(asked, QR | RA | TC, 0), asked, 0)
}

fn lie(asked: &Asked, name: &[u8], kind: u16) -> Vec<u8> {
    let data = if kind == message::kind("A") { EVIL.octets().to_vec() } else { b"\x04evil".to_vec() };
    let flags = QR | RA | asked.flags & RD;
    let lie = Maker::new(asked.id, flags).question(name, kind, 1).record(1, &[0xc0, 12], kind, 300, &data);
    finish(lie, asked, 0)
}

fn wrong_id(asked: &Asked) -> Vec<u8> {
    let mut lie = lie(asked, &asked.name, asked.question.kind);
    lie[1] ^= 0x55;
    lie
}

/// The head of an answer to what is asked.
fn answer(asked: &Asked, flags: u16, code: u16) -> Maker {
    let flags = flags | asked.flags & (RD | CD) | code & 15;
    Maker::new(asked.id, flags).question(&asked.name, asked.question.kind, asked.question.class)
}

/// What the zone says, without EDNS.
fn build(asked: &Asked, flags: u16) -> Maker {
    let found = zone::find(&asked.question.name, asked.question.kind, asked.number);
    let code = if found.exists { 0 } else { 3 };
    // It is secure for those who care (RFC 6840 section 5.7).
    let cares = asked.flags & AD != 0 || asked.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
    let secure = asked.question.name.eq_ignore_ascii_case("secure.example.net") && cares;
    let mut made = answer(asked, flags | if secure { AD } else { 0 }, code);
    for known in &found.answers {
        made = add(made, 1, asked, known);
    }
    for known in &found.authority {
        made = add(made, 2, asked, known);
    }
    made
}

fn add(made: Maker, section: usize, asked: &Asked, known: &Known) -> Maker {
    // The name asked for is not repeated, as servers do.
    let owner = match known.name.eq_ignore_ascii_case(&asked.question.name) {
        true => vec![0xc0, 12],
        false => name(&known.name),
    };
    made.record(section, &owner, known.kind, known.ttl, &known.data)
}

fn finish(made: Maker, asked: &Asked, code: u16) -> Vec<u8> {
    match &asked.edns {
        Some(edns) => {
            let own = Edns { size: 1232, version: 0, dnssec_ok: edns.dnssec_ok, options: Vec::new() };
            made.edns(&own, code).0
        }
        None => made.0,
    }
}
