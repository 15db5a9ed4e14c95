use dhcp::v4::options::Written;
use dhcp::v4::packet::{COOKIE, HEADER_OCTETS};
use proptest::prelude::*;

use super::*;

const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

fn request(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[28..34].copy_from_slice(&ADDRESS);
    octets[236..240].copy_from_slice(&COOKIE);
    for (code, data) in options {
        octets.extend([*code, data.len() as u8]);
        octets.extend_from_slice(data);
    }
    octets.push(255);
    octets
}

fn holds(condition: &Condition, options: &[(u8, &[u8])]) -> bool {
    condition.holds(&Packet::parse(&request(options)).unwrap())
}

fn option(code: u8, value: &str) -> Condition {
    Condition::Option { code, value: Pattern::read(code, Written::bare(value)).unwrap() }
}

#[test]
fn options_match_by_presence_and_by_value() {
    assert!(holds(&option(175, ""), &[(175, b"x")]));
    assert!(!holds(&option(175, ""), &[]) && !holds(&option(175, ""), &[(175, b"")]));
    assert!(holds(&option(93, "7"), &[(93, &[0, 9, 0, 7])]));
    assert!(!holds(&option(93, "7"), &[(93, &[0, 6])]));
    assert!(holds(&Condition::Arch(ClientArch(7)), &[(93, &[0, 9, 0, 7])]));
}

#[test]
fn vendor_class_is_found_anywhere_in_the_same_case() {
    let class = Condition::VendorClass(b"PXEClient:Arch:00007".to_vec());
    assert!(holds(&class, &[(60, b"PXEClient:Arch:00007:UNDI:003016")]));
    assert!(!holds(&class, &[(60, b"pxeclient:arch:00007")]) && !holds(&class, &[]));
}

#[test]
fn user_class_is_found_raw_and_length_prefixed() {
    let class = Condition::UserClass(b"iPXE".to_vec());
    for data in [&b"iPXE"[..], b"\x04iPXE", b"\x03lab\x04iPXE", b"\x06xiPXEx"] {
        assert!(holds(&class, &[(77, data)]), "{data:?}");
    }
    assert!(!holds(&class, &[(77, b"\x02iP\x02XE")]));
}

#[test]
fn vendor_identified_classes_are_those_of_the_enterprise() {
    let class = |value| Condition::VendorIdentified {
        enterprise: 9,
        value: Pattern::read_as(None, Written::bare(value)).unwrap(),
    };
    let two = b"\0\0\0\x08\x04\x03xbc\0\0\0\x09\x08\x03xyz\x03abc";
    assert!(holds(&class("abc"), &[(124, two)]) && holds(&class(""), &[(124, two)]));
    assert!(!holds(&class("xbc"), &[(124, two)]), "that one is another enterprise's");
    assert!(!holds(&class(""), &[(124, b"\0\0\0\x09\x00")]), "no class at all");
    assert!(holds(&class(""), &[(124, b"\0\0\0\x09\x01\x00")]), "a class without octets");
    assert!(!holds(&class(""), &[(124, b"\0\0\0\x09\x09\x03abc")]), "longer than its option");
}

#[test]
fn relay_agent_identifiers_match_whole() {
    let circuit = Condition::RelayAgent { sub: relay_agent::CIRCUIT_ID, id: b"port1".to_vec() };
    assert!(holds(&circuit, &[(82, b"\x02\x01x\x01\x05port1")]));
    assert!(!holds(&circuit, &[(82, b"\x01\x06port12")]) && !holds(&circuit, &[(82, b"\x02\x05port1")]));
    assert!(!holds(&circuit, &[(82, b"\x01\x05por")]));
}

#[test]
fn hardware_patterns_have_wildcards_and_types() {
    let pattern = |text: &str| text.parse::<HardwarePattern>().unwrap();
    assert!(pattern("52:54:0:*:*:*").matches(1, &ADDRESS) && pattern("52:54:00:*:*:*").matches(6, &ADDRESS));
    assert!(pattern("06-52:54:*:*:*:*").matches(6, &ADDRESS) && !pattern("06-52:54:*:*:*:*").matches(1, &ADDRESS));
    assert!(pattern("20-52:54:*:*:*:*").matches(32, &ADDRESS), "the type is hexadecimal");
    assert!(pattern("00-52:54:*:*:*:*").matches(1, &ADDRESS), "type 0 is any");
    assert!(!pattern("52:54").matches(1, &ADDRESS) && !pattern("53:*:*:*:*:*").matches(1, &ADDRESS));
    assert_eq!(pattern("52:54:*:*:*:*").wildcards(), 4);
    for text in ["", "text", "5*:54:00:00:00:01", "123:1", "52-54-00-00-00-01", "+1:2"] {
        assert_eq!(text.parse::<HardwarePattern>(), Err(NotHardware(text.into())));
    }
}

#[test]
fn names_match_in_either_case_and_with_any_ending() {
    let name = |text| Condition::Name(NamePattern::new(text));
    assert!(holds(&name("foo"), &[(12, b"FOO")]) && holds(&name("FOO"), &[(12, b"foo\0x")]));
    assert!(holds(&name("foo"), &[(12, b"foo.")]) && !holds(&name("foo"), &[(12, b"foo.bar")]));
    assert!(holds(&name("foo.*"), &[(12, b"foo.bar")]) && holds(&name("*"), &[(12, b"x")]));
    assert!(!holds(&name("f*o"), &[(12, b"foo")]), "a * in the middle is itself");
}

#[test]
fn option_81_names_a_client_before_option_12() {
    let name = |options: &[(u8, &[u8])]| client_name(&Packet::parse(&request(options)).unwrap());
    assert_eq!(name(&[(81, b"\0\0\0foo"), (12, b"bar")]).unwrap(), "foo");
    assert_eq!(name(&[(81, b"\x04\0\0\x03foo\x03bar\0")]).unwrap(), "foo.bar");
    assert_eq!(name(&[(81, b"\0\0\0"), (12, b"foo")]), None);
    for bad in [&b"foo bar"[..], b"-foo", b"_foo", b"", b"fo\xfc", &[b'f'; 64]] {
        assert_eq!(name(&[(12, bad)]), None, "{bad:?}");
    }
    assert_eq!(name(&[(12, b"f_oo-.b r")]).unwrap(), "f_oo-.b r", "the domain is not judged");
}

fn tag_if(set: &str, when: &[&str]) -> TagIf {
    TagIf { when: TagExpr::all(when.iter().copied()), set: vec![set.into()] }
}

fn after(base: Tags, tag_ifs: &[TagIf]) -> String {
    let octets = request(&[]);
    tags(&Packet::parse(&octets).unwrap(), base, &[], tag_ifs).to_string()
}

#[test]
fn each_tag_if_sees_what_those_before_it_set() {
    let base = || Tags::from_iter(["eth0"]);
    assert_eq!(after(base(), &[tag_if("a", &[]), tag_if("b", &["a"])]), "b, a, eth0");
    assert_eq!(after(base(), &[tag_if("b", &["a"]), tag_if("a", &[])]), "a, eth0", "once, not until nothing changes");
    assert_eq!(after(base(), &[tag_if("b", &["!a"]), tag_if("a", &["#x"])]), "a, b, eth0");
}

#[test]
fn wildcards_are_for_tag_if_alone() {
    let base = || Tags::from_iter(["eth0"]);
    assert_eq!(after(base(), &[tag_if("a", &["eth*"]), tag_if("b", &["*"]), tag_if("c", &["!x*"])]), "c, b, a, eth0");
    assert_eq!(after(base(), &[tag_if("a", &["!e*"]), tag_if("b", &["e*0"])]), "eth0");
    assert!(!TagExpr::all(["eth*"]).holds(&base()));
}

#[test]
fn tags_of_the_range_are_weak_and_so_is_what_follows_from_them() {
    let mut base = Tags::from_iter(["eth0"]);
    base.set_weak("r");
    let octets = request(&[]);
    let rules = [tag_if("t", &["r"]), tag_if("u", &["r", "eth0"]), tag_if("v", &["eth0"])];
    let tags = tags(&Packet::parse(&octets).unwrap(), base, &[], &rules);
    let met = |terms: &[&str]| TagExpr::all(terms.iter().copied()).met(&tags);
    assert_eq!((met(&["r"]), met(&["t"]), met(&["u"])), (Some(Met::ByRange), Some(Met::ByRange), Some(Met::ByRange)));
    assert_eq!(
        (met(&["v"]), met(&["!x"]), met(&["v", "r"])),
        (Some(Met::ByRequest), Some(Met::ByRequest), Some(Met::ByRange))
    );
    assert_eq!((met(&[]), met(&["!r"]), met(&["x"])), (Some(Met::Always), None, None));
}

#[test]
fn a_rule_sets_its_tags_where_its_condition_holds() {
    let octets = request(&[(175, b"x")]);
    let rules = [
        TagRule { when: option(175, ""), set: vec!["ipxe".into()] },
        TagRule { when: option(60, ""), set: vec!["class".into()] },
    ];
    let tags = tags(&Packet::parse(&octets).unwrap(), Tags::default(), &rules, &[]);
    assert!(tags.contains("ipxe") && !tags.contains("class") && !tags.contains("IPXE"));
}

proptest! {
    #[test]
    fn no_octets_make_a_condition_panic(data: Vec<u8>, code in prop::sample::select(vec![12_u8, 60, 77, 81, 82, 93, 124])) {
        let data = &data[..data.len().min(255)];
        let octets = request(&[(code, data)]);
        let packet = Packet::parse(&octets).unwrap();
        for condition in [
            option(code, ""),
            Condition::VendorIdentified { enterprise: 0, value: Pattern::Any },
            Condition::RelayAgent { sub: 1, id: vec![] },
            Condition::Name(NamePattern::new("*")),
            Condition::UserClass(vec![]),
        ] {
            let _ = condition.holds(&packet);
        }
    }
}
