//! What is answered, as Debian's dnsmasq 2.90 was seen to answer it; `model` has machines come and go.

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
        assert_eq!(bed.names.set_hosts(vec![("/etc/hosts".into(), text.into())]), []);
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
        bed.names.set_hosts(vec![("/a".into(), hosts.into()), ("/b".into(), "10.0.0.5 two\n10.0.0.6 9..9".into())]);
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

fn interface(index: u32, name: &str, addresses: &[&str]) -> Interface {
    Interface { index, name: name.into(), addresses: addresses.iter().map(|text| text.parse().unwrap()).collect() }
}

fn of_interface(name: &str, interface: &str, v4: bool, v6: bool) -> OfInterface {
    OfInterface { name: self::name(name), interface: interface.into(), v4, v6 }
}

#[test]
fn interfaces_give_names_their_addresses() {
    let dynamic = |name: &str, v4: Option<&str>, v6: Option<&str>| DynamicHost {
        name: self::name(name),
        interface: "d0".into(),
        v4: v4.map(|text| text.parse().unwrap()),
        v6: v6.map(|text| text.parse().unwrap()),
    };
    let settings = Local {
        interface_names: vec![
            of_interface("if", "d0", true, true),
            of_interface("if4", "d0", true, false),
            of_interface("if6", "d0", false, true),
            of_interface("both", "d0", true, true),
            of_interface("both", "d1", true, true),
            of_interface("none", "d9", true, true),
        ],
        dynamic_hosts: vec![dynamic("dyn", Some("0.0.0.8"), Some("::8")), dynamic("dyn6", None, Some("::9"))],
        keep_order: true,
        ttl: 50,
        ..local(&["if A 10.0.0.99", "if TXT x"])
    };
    let mut bed = Bed::new(settings);
    bed.expect(&[("if A", "=NoData"), ("none A", "=NoData")]);
    bed.give(7, "if4", None);
    let d0 = interface(3, "d0", &["10.0.0.1/24", "10.0.0.2/24", "fd00::1/64", "fe80::1/64"]);
    bed.names.set_interfaces(vec![d0, interface(4, "d1", &["10.1.0.1/24"])]);
    let before = [
        ("if A", "10.0.0.1@50, 10.0.0.2@50"),
        ("if AAAA", "fd00::1@50"),
        ("if ANY", "10.0.0.1@50, 10.0.0.2@50, fd00::1@50, TXT x@50"),
        ("if4 A", "10.0.0.1@50, 10.0.0.2@50"),
        ("if4 AAAA", "=NoData"),
        ("if6 A", "=NoData"),
        ("if6 AAAA", "fd00::1@50"),
        ("both A", "10.0.0.1@50, 10.0.0.2@50, 10.1.0.1@50"),
        ("none A", "=NoData"),
        ("10.0.0.2 PTR", "if@50"),
        ("fd00::1 PTR", "if@50"),
        ("fe80::1 PTR", "=Unknown"),
        ("10.1.0.1 PTR", "both@50"),
        ("10.0.0.99 PTR", "if@50"),
        ("dyn A", "10.0.0.8@50"),
        ("dyn AAAA", "fd00::8@50"),
        ("dyn6 A", "=NoData"),
        ("dyn6 AAAA", "fd00::9@50"),
        ("10.0.0.8 PTR", "dyn@50"),
        ("fd00::9 PTR", "dyn6@50"),
    ];
    bed.expect(&before);
    bed.names.set_interfaces(vec![interface(3, "d0", &["10.7.0.1/16"])]);
    bed.expect(&[("if A", "10.7.0.1@50"), ("both A", "10.7.0.1@50"), ("dyn A", "10.7.0.8@50")]);
    bed.expect(&[("10.0.0.1 PTR", "=Unknown"), ("10.1.0.1 PTR", "=Unknown"), ("10.7.0.1 PTR", "if@50")]);
}

#[test]
fn answers_are_those_of_the_clients_subnet() {
    let names = vec![of_interface("i", "d0", true, true), of_interface("i", "d1", true, true)];
    let settings =
        Local { localise: true, keep_order: true, interface_names: names, ..local(&["r A 10.0.0.3", "r A 10.1.0.3"]) };
    let mut bed = Bed::with_hosts(settings, "10.0.0.3 h\n10.1.0.3 h\n10.9.0.1 h\nfd00::1 h");
    bed.names.set_interfaces(vec![
        interface(1, "lo", &["127.0.0.1/8"]),
        interface(3, "d0", &["10.0.0.1/24"]),
        interface(4, "d1", &["10.1.0.1/24"]),
    ]);
    let asked = |bed: &mut Bed, interface: u32, local: &str| {
        bed.view = View { local: local.parse().unwrap(), interface, ..bed.view };
        ["r A", "h A", "i A"].map(|question| bed.ask(question).replace("/etc/hosts", "")).join("; ")
    };
    assert_eq!(asked(&mut bed, 3, "10.0.0.1"), "10.0.0.3; 10.0.0.3; 10.0.0.1");
    assert_eq!(asked(&mut bed, 4, "10.1.0.1"), "10.1.0.3; 10.1.0.3; 10.1.0.1");
    assert_eq!(asked(&mut bed, 0, "10.1.0.1"), "10.1.0.3; 10.1.0.3; 10.1.0.1");
    let all = "10.0.0.3, 10.1.0.3; 10.0.0.3, 10.1.0.3, 10.9.0.1; 10.0.0.1, 10.1.0.1";
    assert_eq!(asked(&mut bed, 1, "127.0.0.1"), all);
    assert_eq!(asked(&mut bed, 3, "fd00::1"), all);
    assert_eq!(bed.ask("h AAAA"), "fd00::1/etc/hosts");
}

#[test]
fn names_are_made_out_of_addresses_where_nothing_else_is_known() {
    let synth = |domain: &str, first: [u8; 4], last: [u8; 4], counted| Synth {
        domain: name(domain),
        first: first.into(),
        last: last.into(),
        prefix: "n".into(),
        counted,
    };
    let settings = Local {
        synth: vec![
            synth("th", [10, 0, 0, 0], [10, 0, 0, 255], false),
            synth("c", [10, 0, 1, 10], [10, 0, 1, 20], true),
        ],
        ttl: 9,
        ..local(&["fixed A 10.0.0.7", "n10-0-0-8.th A 10.0.0.77"])
    };
    let mut bed = Bed::new(settings);
    bed.give(101, "leased", None);
    bed.expect(&[
        ("n10-0-0-5.th A", "10.0.0.5@9"),
        ("n10-0-0-5.th AAAA", "=NoData"),
        ("n10-0-0-5.th ANY", "10.0.0.5@9"),
        ("n10-0-0-8.th A", "10.0.0.77@9"),
        ("10.0.0.5 PTR", "n10-0-0-5.th@9"),
        ("10.0.0.5 A", "=NoData"),
        ("10.0.0.7 PTR", "fixed@9"),
        ("10.0.0.101 PTR", "leased@9 (lease)"),
        ("n2.c A", "10.0.1.12@9"),
        ("10.0.1.12 PTR", "n2.c@9"),
        ("10.0.1.21 PTR", "=Unknown"),
        ("c A", "=Unknown"),
    ]);
}

#[test]
fn leases_are_known_plain_and_with_their_domain() {
    let ranges = vec![([10, 0, 0, 150].into(), [10, 0, 0, 160].into(), name("r.lan"))];
    let mut bed = Bed::new(Local { domains: Domains { ranges, ..in_lan().domains }, ttl: 10, ..Local::default() });
    bed.give(101, "Leased", Some(500));
    bed.give(150, "ranged", None);
    let lease = Lease { address: [10, 0, 0, 102].into(), name: name("other"), domain: Some(name("own")), ends: None };
    bed.names.lease_given(lease);
    bed.expect(&[
        ("leased A", "10.0.0.101@10 (lease)"),
        ("leased.LAN A", "10.0.0.101@10 (lease)"),
        ("10.0.0.101 PTR", "leased.lan@10 (lease)"),
        ("leased AAAA", "=NoData"),
        ("leased ANY", "10.0.0.101@10 (lease)"),
        ("ranged A", "10.0.0.150@10 (lease)"),
        ("ranged.lan A", "=Unknown"),
        ("ranged.r.lan A", "10.0.0.150@10 (lease)"),
        ("10.0.0.150 PTR", "ranged.r.lan@10 (lease)"),
        ("other.own A", "10.0.0.102@10 (lease)"),
        ("10.0.0.102 PTR", "other.own@10 (lease)"),
    ]);
    bed.names.lease_ended([10, 0, 0, 102].into());
    bed.expect(&[
        ("other.own A", "=Unknown"),
        ("other A", "=Unknown"),
        ("10.0.0.102 PTR", "=Unknown"),
        ("own A", "=Unknown"),
    ]);
}

#[test]
fn leases_end_by_themselves_and_their_ttl_with_them() {
    let mut bed = Bed::new(Local { lease_ttl: Some(10_000), ttl: 5, ..in_lan() });
    bed.give(101, "a", Some(500));
    bed.give(102, "b", None);
    bed.expect(&[("a A", "10.0.0.101@500 (lease)"), ("b.lan A", "10.0.0.102@10000 (lease)")]);
    bed.view.now += Duration::from_millis(499_500);
    bed.expect(&[("a A", "10.0.0.101 (lease)")]);
    bed.view.now += Duration::from_millis(500);
    bed.expect(&[("a.lan A", "=Unknown"), ("10.0.0.101 PTR", "=Unknown"), ("b A", "10.0.0.102@10000 (lease)")]);
    bed.names.lease_ended([10, 0, 0, 102].into());
    assert_eq!((bed.names.tree.len(), bed.names.exists(bed.view.now, name("lan").as_wire())), (0, false));
}

#[test]
fn a_name_goes_to_the_lease_that_came_last() {
    let mut bed = Bed::new(in_lan());
    bed.give(111, "twin", None);
    bed.give(112, "twin", None);
    bed.expect(&[("twin A", "10.0.0.112 (lease)"), ("twin.lan A", "10.0.0.112 (lease)")]);
    bed.expect(&[("10.0.0.111 PTR", "=Unknown"), ("10.0.0.112 PTR", "twin.lan (lease)")]);
    bed.give(112, "renamed", None);
    bed.expect(&[
        ("twin A", "=Unknown"),
        ("renamed A", "10.0.0.112 (lease)"),
        ("10.0.0.112 PTR", "renamed.lan (lease)"),
    ]);
}

#[test]
fn with_full_names_alone_twins_may_live_in_two_domains() {
    let ranges = vec![([10, 0, 0, 150].into(), [10, 0, 0, 160].into(), name("r.lan"))];
    let domains = Domains { ranges, ..in_lan().domains };
    let mut bed = Bed::new(Local { leases_by_full_name_only: true, domains, ..Local::default() });
    bed.give(111, "twin", None);
    bed.give(150, "twin", None);
    bed.expect(&[("twin A", "=Unknown"), ("twin.lan A", "10.0.0.111 (lease)"), ("twin.r.lan A", "10.0.0.150 (lease)")]);
    bed.expect(&[("10.0.0.111 PTR", "twin.lan (lease)"), ("10.0.0.150 PTR", "twin.r.lan (lease)")]);
}

#[test]
fn what_is_laid_down_is_not_taken_by_leases() {
    let mut bed = Bed::with_hosts(
        Local { records: local(&["incfg A 10.0.0.60", "alias CNAME leased"]).records, ..in_lan() },
        "10.0.0.50 inhosts\n10.0.0.106 byhosts\nfd00::7 hv6\n10.0.0.108 same\n10.0.0.51 full.lan\n10.0.0.52 both both.lan",
    );
    let names = [
        (102, "inhosts"),
        (103, "incfg"),
        (104, "both"),
        (106, "haddr"),
        (107, "hv6"),
        (108, "same"),
        (109, "alias"),
        (110, "full"),
    ];
    names.iter().for_each(|(last, name)| bed.give(*last, name, None));
    let after = [
        ("inhosts A", "10.0.0.50/etc/hosts"),
        ("inhosts.lan A", "10.0.0.102 (lease)"),
        ("10.0.0.102 PTR", "inhosts.lan (lease)"),
        ("incfg A", "10.0.0.60"),
        ("10.0.0.103 PTR", "incfg.lan (lease)"),
        // An address that has a name in hosts files has that alone.
        ("haddr A", "=NoData"),
        ("10.0.0.106 PTR", "byhosts/etc/hosts"),
        ("hv6 A", "10.0.0.107 (lease)"),
        ("hv6 AAAA", "fd00::7/etc/hosts"),
        ("same A", "10.0.0.108/etc/hosts"),
        ("10.0.0.108 PTR", "same/etc/hosts"),
        ("alias A", "-> leased, =leased"),
        ("10.0.0.109 PTR", "alias.lan (lease)"),
        // A lease without a name of its own gives its address none.
        ("10.0.0.104 PTR", "=Unknown"),
        ("full A", "10.0.0.110 (lease)"),
        ("full.lan A", "10.0.0.51/etc/hosts"),
        ("10.0.0.110 PTR", "full (lease)"),
    ];
    bed.expect(&after);
    bed.names.set_hosts(Vec::new());
    bed.expect(&[
        ("inhosts A", "10.0.0.102 (lease)"),
        ("10.0.0.106 PTR", "haddr.lan (lease)"),
        ("hv6 AAAA", "=NoData"),
    ]);
}

#[test]
fn other_settings_leave_hosts_and_leases_and_interfaces() {
    let mut bed = Bed::with_hosts(local(&["old A 10.0.0.1"]), "10.0.0.5 box");
    bed.give(101, "leased", None);
    bed.names.set_interfaces(vec![interface(3, "d0", &["10.0.0.1/24"])]);
    let interface_names = vec![of_interface("if", "d0", true, true)];
    bed.names.reconfigure(Local { expand_hosts: true, interface_names, ..in_lan() });
    bed.expect(&[
        ("old A", "=Unknown"),
        ("if A", "10.0.0.1"),
        ("box.lan A", "10.0.0.5/etc/hosts"),
        ("leased.lan A", "10.0.0.101 (lease)"),
    ]);
}
