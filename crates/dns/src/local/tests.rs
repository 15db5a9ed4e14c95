//! What is answered, as Debian's dnsmasq 2.90 was seen to answer it; `model` has machines come and go.

mod interfaces;
mod leases;
mod model;

use std::time::Duration;

use super::*;
use crate::settings::{Domains, DynamicHost, LocalMx, OfInterface, Synth};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// `NAME TYPE DATA`, where TTLs are those of local answers unless `NAME@TTL`.
fn record(text: &str) -> Record {
    let words: Vec<&str> = text.split(' ').collect();
    let (owner, ttl) = words[0].split_once('@').map_or((words[0], None), |(owner, ttl)| (owner, Some(ttl)));
    let data = match words[1] {
        "A" => Data::A(words[2].parse().unwrap()),
        "AAAA" => Data::Aaaa(words[2].parse().unwrap()),
        "CNAME" => Data::Cname(name(words[2])),
        "PTR" => Data::Ptr(name(words[2])),
        "MX" => Data::Mx { preference: words[2].parse().unwrap(), target: name(words[3]) },
        "SRV" => Data::Srv { priority: 1, weight: 2, port: words[2].parse().unwrap(), target: name(words[3]) },
        "TXT" => Data::Txt(words[2..].iter().map(|word| word.as_bytes().to_vec()).collect()),
        "CAA" => Data::Caa { flags: 0, tag: b"issue".to_vec(), value: words[2].into() },
        "NAPTR" => Data::Naptr {
            order: 10,
            preference: 20,
            flags: b"S".to_vec(),
            services: b"SIP+D2U".to_vec(),
            regexp: Vec::new(),
            replacement: name(words[2]),
        },
        other => Data::Other { kind: other.parse().unwrap(), data: words[2].into() },
    };
    Record { name: name(owner), data, ttl: ttl.map(|ttl| ttl.parse().unwrap()) }
}

/// Each address leads back to the first name that it is given.
fn local(records: &[&str]) -> Local {
    let records: Vec<Record> = records.iter().map(|text| record(text)).collect();
    let mut back: Vec<Record> = Vec::new();
    for Record { name, data, ttl } in &records {
        let address = match data {
            Data::A(v4) => IpAddr::from(*v4),
            Data::Aaaa(v6) => (*v6).into(),
            _ => continue,
        };
        let reverse = Name::reverse(address);
        if back.iter().all(|record| record.name != reverse) {
            back.push(Record { name: reverse, data: Data::Ptr(name.clone()), ttl: *ttl });
        }
    }
    Local { records: back.into_iter().chain(records).collect(), ..Local::default() }
}

fn in_lan() -> Local {
    Local { domains: Domains { ranges: Vec::new(), default: Some(name("lan")) }, ..Local::default() }
}

struct Bed {
    names: Names,
    view: View,
}

impl Bed {
    fn new(local: Local) -> Bed {
        Bed { names: Names::new(local), view: View { now: Instant::now(), local: [10, 0, 0, 1].into(), interface: 0 } }
    }

    fn with_hosts(local: Local, text: &str) -> Bed {
        let mut bed = Bed::new(local);
        assert_eq!(bed.names.set_hosts(vec![hosts::File::new("/etc/hosts", text)]), []);
        bed
    }

    fn give(&mut self, last: u8, name: &str, seconds: Option<u64>) {
        let ends = seconds.map(|seconds| self.view.now + Duration::from_secs(seconds));
        let lease = Lease { address: [10, 0, 0, last].into(), name: self::name(name), domain: None, ends };
        self.names.lease_given(lease);
    }

    /// Records as text, those of the additional section behind `+`; what else came of it behind `=`.
    fn ask(&mut self, question: &str) -> String {
        let (asked, kind) = question.split_once(' ').unwrap();
        let asked = asked.parse::<IpAddr>().map_or_else(|_| name(asked), Name::reverse);
        let mut told = Vec::new();
        let found = self.names.look_up(asked.as_wire(), kind.parse().unwrap(), &self.view, |one| {
            let owner = Name::from_wire(one.owner).unwrap();
            let owner = if owner == asked { String::new() } else { format!("{owner} ") };
            let says = match one.says {
                Said::Address(address) => address.to_string(),
                Said::Cname(name) => format!("-> {name}"),
                Said::Ptr(name) => name.to_string(),
                Said::Data(Data::Mx { preference, target }) => format!("MX {preference} {target}"),
                Said::Data(Data::Srv { port, target, .. }) => format!("SRV {port} {target}"),
                Said::Data(Data::Ptr(name)) => format!("PTR {name}"),
                Said::Data(Data::Txt(strings)) => format!("TXT {}", String::from_utf8(strings.concat()).unwrap()),
                Said::Data(data) => data.kind().to_string(),
            };
            let ttl = if one.ttl == 0 { String::new() } else { format!("@{}", one.ttl) };
            let origin = match one.origin {
                Origin::Configuration => "",
                Origin::Lease => " (lease)",
                Origin::Hosts(path) => path,
            };
            told.push(format!("{}{owner}{says}{ttl}{origin}", if one.additional { "+" } else { "" }));
        });
        match found {
            Found::Told => assert!(!told.is_empty()),
            Found::LeadsTo(name) => told.push(format!("={name}")),
            other => told.push(format!("={other:?}")),
        }
        told.join(", ")
    }

    fn expect(&mut self, answers: &[(&str, &str)]) {
        for (question, answer) in answers {
            assert_eq!(self.ask(question), *answer, "{question}");
        }
    }
}

const TEN: &str = "10.0.0.5";

#[test]
fn addresses_are_known_both_ways() {
    let records = ["box A 10.0.0.5", "box.lan A 10.0.0.5", "box AAAA fd00::5", "four.a.lan@77 A 10.0.0.6"];
    Bed::new(local(&records)).expect(&[
        ("box A", TEN),
        ("BOX.lan A", TEN),
        ("box AAAA", "fd00::5"),
        ("box ANY", "10.0.0.5, fd00::5"),
        ("10.0.0.5 PTR", "box"),
        ("fd00::5 PTR", "box"),
        ("10.0.0.6 PTR", "four.a.lan@77"),
        ("four.a.lan A", "10.0.0.6@77"),
        // It exists, and so do the domains above it.
        ("four.a.lan AAAA", "=NoData"),
        ("four.a.lan TXT", "=NoData"),
        ("a.lan A", "=NoData"),
        ("10.0.0.6 A", "=NoData"),
        ("x.box.lan A", "=Unknown"),
        ("10.0.0.99 PTR", "=Unknown"),
        ("localhost A", "=Unknown"),
    ]);
}

#[test]
fn local_answers_have_the_local_ttl() {
    let settings = Local { ttl: 33, ..local(&["box A 10.0.0.5", "t@5 TXT x", "u TXT y"]) };
    let mut bed = Bed::with_hosts(settings, "10.0.0.7 host");
    bed.expect(&[("box A", "10.0.0.5@33"), ("host A", "10.0.0.7@33/etc/hosts"), ("10.0.0.7 PTR", "host@33/etc/hosts")]);
    bed.expect(&[("t TXT", "TXT x@5"), ("u TXT", "TXT y@33")]);
}

#[test]
fn addresses_take_turns() {
    let records = ["r A 10.0.0.1", "r A 10.0.0.2", "r A 10.0.0.3", "r AAAA fd00::1", "r A 10.0.0.1"];
    let mut bed = Bed::new(local(&records));
    let first: Vec<String> = (0..4).map(|_| bed.ask("r A")).collect();
    assert_eq!(first[0], "10.0.0.1, 10.0.0.2, 10.0.0.3");
    assert_eq!(first[1], "10.0.0.2, 10.0.0.3, 10.0.0.1");
    assert_eq!(first[0], first[3]);
    let mut bed = Bed::new(Local { keep_order: true, ..local(&records) });
    assert_eq!(bed.ask("r A"), bed.ask("r A"));
}

#[test]
fn hosts_files_count_in_their_order() {
    let mut bed = Bed::new(local(&["cfg A 10.0.0.5", "multi A 10.0.0.8"]));
    let hosts = "10.0.0.5 one\n10.0.0.6 six sixth\n10.0.0.8 multi\n10.0.0.7 multi\nfd00::7 one";
    let faults =
        bed.names.set_hosts(vec![hosts::File::new("/a", hosts), hosts::File::new("/b", "10.0.0.5 two\n10.0.0.6 9..9")]);
    assert_eq!((faults[0].0.as_str(), faults[0].1.line), ("/b", 2));
    bed.expect(&[
        ("10.0.0.5 PTR", "cfg"),
        ("10.0.0.6 PTR", "six/a"),
        ("sixth A", "10.0.0.6/a"),
        ("one A", "10.0.0.5/a"),
        ("one AAAA", "fd00::7/a"),
        ("two A", "10.0.0.5/b"),
        ("two AAAA", "=NoData"),
        ("multi A", "10.0.0.8, 10.0.0.7/a"),
        ("10.0.0.7 PTR", "multi/a"),
    ]);
    bed.names.set_hosts(Vec::new());
    bed.expect(&[("10.0.0.6 PTR", "=Unknown"), ("one A", "=Unknown"), ("multi A", "10.0.0.8"), ("cfg A", TEN)]);
}

#[test]
fn plain_names_are_expanded_by_their_address() {
    let ranges = vec![("10.0.0.6".parse().unwrap(), "10.0.0.8".parse().unwrap(), name("sub.lan"))];
    let settings = Local { expand_hosts: true, domains: Domains { ranges, ..in_lan().domains }, ..Local::default() };
    let mut bed = Bed::with_hosts(settings, "10.0.0.5 box alias\n10.0.0.6 box\n10.0.0.9 dotted.example\nfd00::7 six");
    let told = |text: &str| text.split(", ").map(|one| format!("{one}/etc/hosts")).collect::<Vec<_>>().join(", ");
    for (question, answer) in [
        ("box A", "10.0.0.5, 10.0.0.6"),
        ("box.lan A", TEN),
        ("alias.lan A", TEN),
        ("box.sub.lan A", "10.0.0.6"),
        ("10.0.0.5 PTR", "box.lan"),
        ("10.0.0.6 PTR", "box.sub.lan"),
        ("dotted.example A", "10.0.0.9"),
        ("10.0.0.9 PTR", "dotted.example"),
        ("six.lan AAAA", "fd00::7"),
    ] {
        assert_eq!(bed.ask(question), told(answer), "{question}");
    }
    assert_eq!(bed.ask("dotted.example.lan A"), "=Unknown");
}

#[test]
fn aliases_lead_to_what_is_known_here() {
    let records = [
        "box.lan A 10.0.0.5",
        "t.lan@55 A 10.0.0.6",
        "www.lan CNAME box.lan",
        "ttl.lan@99 CNAME t.lan",
        "a CNAME b",
        "b@7 CNAME www.lan",
    ];
    let more = [
        "gone CNAME nowhere",
        "h CNAME host",
        "l CNAME leased",
        "m CNAME mail",
        "mail MX 5 box.lan",
        "*.wild CNAME box.lan",
    ];
    let settings =
        local(&[&records[..], &more, &["s CNAME p10-0-0-9.syn", "clash CNAME b", "clash A 10.0.0.8"]].concat());
    let synth = Synth {
        domain: name("syn"),
        first: [10, 0, 0, 0].into(),
        last: [10, 0, 0, 255].into(),
        prefix: "p".into(),
        counted: false,
    };
    let mut bed = Bed::with_hosts(Local { synth: vec![synth], ..settings }, "10.0.0.20 host");
    bed.give(101, "leased", None);
    bed.expect(&[
        ("WWW.lan A", "-> box.lan, box.lan 10.0.0.5"),
        ("www.lan CNAME", "-> box.lan"),
        ("www.lan AAAA", "-> box.lan"),
        ("www.lan ANY", "-> box.lan, box.lan 10.0.0.5"),
        ("ttl.lan A", "-> t.lan@99, t.lan 10.0.0.6@55"),
        ("a A", "-> b, b -> www.lan@7, www.lan -> box.lan, box.lan 10.0.0.5"),
        ("a CNAME", "-> b"),
        ("h A", "-> host, host 10.0.0.20/etc/hosts"),
        ("l A", "-> leased, leased 10.0.0.101 (lease)"),
        ("m MX", "-> mail, mail MX 5 box.lan, +box.lan 10.0.0.5"),
        ("s A", "-> p10-0-0-9.syn, p10-0-0-9.syn 10.0.0.9"),
        ("s TXT", "-> p10-0-0-9.syn"),
        ("clash A", "-> b, b -> www.lan@7, www.lan -> box.lan, box.lan 10.0.0.5"),
        // Of what lies outside nothing is known here.
        ("gone A", "-> nowhere, =nowhere"),
        ("gone CNAME", "-> nowhere"),
        // An alias with a star is for zones that we are no authority of.
        ("x.wild A", "=Unknown"),
    ]);
}

#[test]
fn circles_of_aliases_end() {
    let mut bed = Bed::new(local(&["a CNAME b", "b CNAME a"]));
    assert!(bed.ask("a A").starts_with("-> b, b -> a, "));
}

#[test]
fn records_of_all_kinds_are_told() {
    let records = [
        "txt TXT one two",
        "txt TXT three",
        "n NAPTR _sip._udp.lan",
        "c CAA letsencrypt.org",
        "r TYPE65280 abc",
        "9.9.9.10.in-addr.arpa PTR nine",
        "5.0.0.10.in-addr.arpa PTR five",
        "_http._tcp PTR shop",
        "box A 10.0.0.5",
        "box TXT x",
    ];
    Bed::new(local(&records)).expect(&[
        ("txt TXT", "TXT onetwo, TXT three"),
        ("txt ANY", "TXT onetwo, TXT three"),
        ("txt A", "=NoData"),
        ("n NAPTR", "NAPTR"),
        ("c CAA", "CAA"),
        ("r TYPE65280", "TYPE65280"),
        ("r A", "=NoData"),
        ("x.txt A", "=Unknown"),
        ("10.9.9.9 PTR", "PTR nine"),
        ("_http._tcp PTR", "PTR shop"),
        // A PTR record takes the place of the address's own.
        ("10.0.0.5 PTR", "PTR five"),
        ("9.9.10.in-addr.arpa A", "=NoData"),
        ("box ANY", "10.0.0.5, TXT x"),
    ]);
}

#[test]
fn no_address_leads_back_unasked() {
    let records = ["a A 10.0.0.5", "b A 10.0.0.6", "6.0.0.10.in-addr.arpa PTR b"].map(record).to_vec();
    let mut bed = Bed::new(Local { records, ..Local::default() });
    bed.give(5, "leased", None);
    bed.give(6, "other", None);
    bed.expect(&[("10.0.0.5 PTR", "leased (lease)"), ("10.0.0.6 PTR", "b"), ("other A", "=NoData")]);
}

#[test]
fn mail_and_services_come_with_addresses() {
    let records = [
        "m MX 5 box",
        "m MX 6 leased",
        "m MX 7 box",
        "m MX 8 far.example",
        "m A 10.0.0.8",
        "_l._tcp SRV 389 box",
        "_l._tcp SRV 390 two",
    ];
    let mut bed = Bed::new(local(&[&records[..], &["box A 10.0.0.5", "box AAAA fd00::5", "two A 10.0.0.6"]].concat()));
    bed.give(101, "leased", None);
    let addresses = "+box 10.0.0.5, +box fd00::5, +leased 10.0.0.101 (lease)";
    let mail = format!("MX 5 box, MX 6 leased, MX 7 box, MX 8 far.example, {addresses}");
    bed.expect(&[("m MX", &mail), ("m ANY", &format!("10.0.0.8, {mail}"))]);
    let addresses = "+box 10.0.0.5, +box fd00::5, +two 10.0.0.6";
    bed.expect(&[("_l._tcp SRV", &format!("SRV 389 box, SRV 390 two, {addresses}"))]);
    bed.expect(&[("_l._tcp SRV", &format!("SRV 390 two, SRV 389 box, {addresses}"))]);
    bed.expect(&[("_l._tcp A", "=NoData"), ("_tcp A", "=NoData")]);
}

#[test]
fn machines_without_mail_are_given_some() {
    let records = ["box.lan A 10.0.0.5", "m MX 5 x", "t TXT x"];
    let with = |mx: LocalMx| {
        let mut bed = Bed::new(Local { mx, ..local(&records) });
        bed.give(101, "leased", None);
        bed
    };
    let target = Some(name("post"));
    with(LocalMx { to_itself: true, to_target: true, target: target.clone() }).expect(&[
        ("box.lan MX", "MX 1 box.lan"),
        ("leased MX", "MX 1 leased"),
        ("m MX", "MX 5 x"),
        ("t MX", "=NoData"),
        ("lan MX", "=NoData"),
        ("other MX", "=Unknown"),
    ]);
    with(LocalMx { to_itself: false, to_target: true, target: target.clone() }).expect(&[("box.lan MX", "MX 1 post")]);
    with(LocalMx { to_itself: false, to_target: false, target }).expect(&[("box.lan MX", "=NoData")]);
}
