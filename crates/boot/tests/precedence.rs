//! Which rules win, beside dnsmasq: the same rules and the same packets, and the same answers to them.

mod original;

use original::{Rules, discover, in_lab};

const X: (u8, &[u8]) = (60, b"x");

/// Rules that give a client of class x the tags x and y.
fn tagged() -> Rules {
    Rules::new().vendor_class("x", "x").vendor_class("y", "x")
}

/// A client of class x that asks for option 224.
fn asks() -> Vec<Vec<u8>> {
    vec![discover(Some(&[224]), &[X])]
}

#[test]
fn the_last_of_equals_wins() {
    in_lab("last", |lab| {
        lab.same(&Rules::new().option("", "224", "one").option("", "224", "two"), &asks());
        lab.same(&tagged().option("x", "224", "X").option("y", "224", "Y"), &asks());
        lab.same(&tagged().option("y", "224", "Y").option("x", "224", "X"), &asks());
        lab.same(&tagged().option("x y", "224", "XY").option("x", "224", "X"), &asks());
        lab.same(&tagged().option("x", "224", "X").option("!z", "224", "notZ"), &asks());
    });
}

#[test]
fn rules_with_tags_win_over_those_without() {
    in_lab("tagged", |lab| {
        lab.same(&tagged().option("x", "224", "tagged").option("", "224", "plain"), &asks());
        lab.same(&tagged().option("", "224", "plain").option("x", "224", "tagged"), &asks());
        lab.same(&tagged().option("!z", "224", "notZ").option("", "224", "plain"), &asks());
        lab.same(&tagged().option("!x", "224", "notX").option("", "224", "plain"), &asks());
        lab.same(&tagged().option("x z", "224", "XZ").option("", "224", "plain"), &asks());
        lab.same(&tagged().option("z", "224", "Z"), &asks());
        lab.same(&tagged().option("va", "224", "interface").option("v*", "225", "no wildcards here"), &asks());
    });
}

#[test]
fn tags_of_the_range_give_way_to_all_others() {
    in_lab("range", |lab| {
        let rules = || tagged().range_sets("r");
        lab.same(&rules().option("x", "224", "X").option("r", "224", "R"), &asks());
        lab.same(&rules().option("r", "224", "R").option("x", "224", "X"), &asks());
        lab.same(&rules().option("x", "224", "X").option("r x", "224", "RX"), &asks());
        lab.same(&rules().option("r", "224", "R").option("", "224", "plain"), &asks());
        lab.same(&rules().option("!q", "224", "notQ").option("r", "224", "R"), &asks());
        lab.same(&rules().option("!r", "224", "notR").option("", "224", "plain"), &asks());
        lab.same(&rules().tag_if("t", "r").option("t", "224", "T").option("r", "224", "R"), &asks());
        lab.same(&rules().tag_if("t", "r").option("x", "224", "X").option("t", "224", "T"), &asks());
        lab.same(&rules().tag_if("t", "va").option("t", "224", "T").option("r", "224", "R"), &asks());
        lab.same(&rules().tag_if("t", "!r").option("t", "224", "T").option("", "224", "plain"), &asks());
        lab.same(&rules().boot("x", "X", "", "").boot("r", "R", "", ""), &asks());
    });
}

#[test]
fn tag_ifs_run_once_and_in_order() {
    in_lab("tag-if", |lab| {
        lab.same(&tagged().tag_if("a", "").tag_if("b", "a"), &asks());
        lab.same(&tagged().tag_if("b", "a").tag_if("a", ""), &asks());
        lab.same(&tagged().tag_if("b", "!a").tag_if("a", "x !z"), &asks());
        lab.same(&tagged().tag_if("a", "v*").tag_if("b", "!v*").tag_if("c", "v*a").tag_if("d", "*"), &asks());
        lab.same(&tagged().tag_if("a", "X").tag_if("b", "#x"), &asks());
    });
}

#[test]
fn an_option_is_sent_when_it_is_asked_for_or_forced() {
    in_lab("asked", |lab| {
        let packets = [None, Some(&[3][..]), Some(&[224]), Some(&[225, 225, 224, 3]), Some(&[])];
        let packets = packets.map(|list| discover(list, &[X]));
        lab.same(&Rules::new().option("", "224", "aa").option("", "225", "").option("", "226", "cc"), &packets);
        lab.same(&Rules::new().force("", "224", "aa").force("", "225", "bb"), &packets);
        lab.same(&Rules::new().option("", "224", "aa").force("", "224", "bb"), &packets);
        lab.same(&Rules::new().force("", "224", "aa").option("", "224", "bb"), &packets);
        lab.same(&tagged().option("x", "224", "X").force("", "224", "forced"), &packets);
        lab.same(&tagged().force("x", "224", "X").option("", "224", "plain"), &packets);
    });
}

#[test]
fn rules_replace_defaults() {
    in_lab("defaults", |lab| {
        let packets = [None, Some(&[1, 3, 15, 28][..]), Some(&[224])].map(|list| discover(list, &[X]));
        lab.same(&Rules::new(), &packets);
        lab.same(&Rules::new().option("", "3", "").option("", "1", "").option("", "28", ""), &packets);
        lab.same(&Rules::new().option("", "1", "255.255.0.0").option("", "15", "other.lan"), &packets);
        lab.same(&Rules::new().option("", "3", "0.0.0.0,1.2.3.4").option("", "15", ""), &packets);
        lab.same(&Rules::new().option("", "3", "1.2.3.4").option("", "3", ""), &packets);
        lab.same(&Rules::new().option("", "3", "").option("", "3", "1.2.3.4"), &packets);
        lab.same(&tagged().option("x", "3", "").option("", "3", "1.2.3.4"), &packets);
        lab.same(&tagged().option("z", "3", ""), &packets);
        lab.same(&tagged().option("z", "12", "other").option("", "12", "name"), &packets);
        lab.same(&Rules::new().force("", "3", "").force("", "6", "0.0.0.0").force("", "15", "forced"), &packets);
    });
}

#[test]
fn values_are_encoded_alike() {
    in_lab("values", |lab| {
        for values in VALUES.chunks(40) {
            let codes = (128..).filter(|code| *code != 150);
            let rules =
                codes.zip(values).fold(Rules::new(), |rules, (code, value)| rules.force("", &code.to_string(), value));
            lab.same(&rules, &[discover(None, &[])]);
        }
        for named in NAMED.chunks(40) {
            let rules =
                named.iter().fold(Rules::new(), |rules, (code, value)| rules.force("", &code.to_string(), value));
            lab.same(&rules, &[discover(None, &[])]);
        }
    });
}

/// Values for options that have no name.
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "1.2.3.4", "1.2.3.4 , 5.6.7.8", "0.0.0.0,1.2.3.4", "0.0.0.0/0,0.0.0.0", "10.0.0.0/8,1.2.3.4", "1.2.3.4/32", "1.2.3.4/0",
    "1.2.3.4,text", "text,1.2.3.4", "\"1.2.3.4\"", "\"5\"", "\"01:02\"", "\"5,6\"", "\"a b\"",
    "5", "255", "256", "65535", "65536", "4294967295", "4294967296", "99999999999999999999", "-1", "-300", "-2147483649",
    "5b", "5s", "5i", "300b", "70000s", "-5s", "007", "0x10", "+5", "1b,2b", "10m", "10k", "5S", "1-5", "2024-01-01", "-", "--5",
    "01:02:03", "1:2:3", "a:b", "a:b:", ":", "::", "0A:fF", "ff:", "ff", "123:1", "99999:1", "g:1", "6-01:02", "aa:bb:*", "*",
    "01:02,03:04", "text", "te xt", "a , b", "a,,b", ",text", "text,", ".", "/", "/24", "1.2.3.4/a", "1.2-3", "[::1]", "a#b",
    "", "01.2x", "1.2.3.4b", "0:i", "1:b", "'x'",
];

/// Values for options whose names give them a shape, no code twice in a row of forty.
#[rustfmt::skip]
const NAMED: &[(u8, &str)] = &[
    (2, "-3600"), (4, "5"), (6, "0.0.0.0"), (7, "1.2.3.4"), (12, "a,b"), (13, "5"), (17, "10.0.0.1:/x"), (18, "5"), (19, "256"),
    (22, "70000"), (23, "tr"), (26, "1500"), (27, "5s"), (33, "1.2.3.4,5.6.7.8"), (35, "60"), (38, "1h"), (40, "01:02"), (42, "0.0.0.0"),
    (46, "8"), (47, "5"), (60, "5"), (64, "5"), (77, "5"), (80, ""), (93, "-1"), (94, "1"), (97, "5"), (100, "5"), (101, "1.2.3.4"),
    (108, "1800"), (119, "eng.apple.com,marketing.Apple.com."), (120, "sip.a.com,b.a.com"), (121, "10.0.0.0/8,1.2.3.4"),
    (124, "1"), (125, "\"5\""), (56, "1.2.3.4"), (43, "abc"), (16, "1.2.3.4"), (114, "http://x/"), (150, "1.2.3.4"),
    (119, "c,a.b.c,c.b.b,b.b"), (120, "1.2.3.4,5.6.7.8"), (19, "1.2.3.4"), (26, "01:02"), (2, "1.2.3.4"), (13, "text"), (60, "\"5\""),
    (77, "01:02"), (46, "8i"), (108, "5b"), (66, "1.2.3.4"), (67, "5"), (15, "5"),
];

#[test]
fn lease_times_are_kept_in_order() {
    in_lab("times", |lab| {
        let packets = [discover(None, &[]), discover(Some(&[3]), &[])];
        for (t1, t2) in [("10m", "20m"), ("20m", "10m"), ("1h", "1h"), ("2", "3"), ("3", "1w"), ("3599", "3599")] {
            lab.same(&Rules::new().option("", "58", t1).force("", "59", t2), &packets);
        }
    });
}

#[test]
fn options_of_the_exchange_itself_are_not_for_rules() {
    in_lab("reserved", |lab| {
        let packets = [discover(None, &[]), discover(Some(&[52, 53, 54, 57, 81]), &[])];
        for place in ["52", "53", "54", "57", "81", "255"] {
            lab.same(&Rules::new().force("", place, "1.2.3.4"), &packets);
        }
        for place in ["50", "55", "56", "61", "118"] {
            lab.same(&Rules::new().force("", place, "1.2.3.4"), &packets);
        }
    });
}

/// The guide's case, and the lines of its own dnsmasq.conf.
#[test]
fn ipxe_is_told_apart_from_the_firmware_that_loads_it() {
    in_lab("guide", |lab| {
        let guide = Rules::new().matches("IPXEBOOT", 175, "").option("!IPXEBOOT", "67", "undionly.kpxe").option(
            "",
            "67",
            "pxelinux.0",
        );
        let class = (60, &b"PXEClient:Arch:00000:UNDI:002001"[..]);
        let packets = [None, Some(&[1, 3, 66, 67][..]), Some(&[1, 3])]
            .map(|list| [discover(list, &[class]), discover(list, &[class, (175, b"\x21\x01\x01")])]);
        lab.same(&guide, &packets.concat());
    });
}

#[test]
fn boot_files_go_into_their_fields_or_into_options() {
    in_lab("boot", |lab| {
        let packets = [None, Some(&[3][..]), Some(&[66, 67]), Some(&[67])].map(|list| discover(list, &[]));
        for keep in [false, true] {
            let rules = || if keep { Rules::new().no_override() } else { Rules::new() };
            lab.same(&rules().boot("", "file", "name", "7.7.7.7"), &packets);
            lab.same(&rules().boot("", "file", "", ""), &packets);
            lab.same(&rules().boot("", "", "name", "").option("", "255", "5.5.5.5"), &packets);
            lab.same(&rules().option("", "67", "option").option("", "66", "1.2.3.4"), &packets);
            lab.same(&rules().force("", "67", "forced").option("", "255", "5.5.5.5,6.6.6.6"), &packets);
        }
        // With both a boot rule and an option rule for it, the option is sent beside the field.
        let both = Rules::new().boot("", "file", "name", "").option("", "67", "option");
        lab.same(&both, &packets[..2]);
    });
}

#[test]
fn boot_rules_compete_as_option_rules_do() {
    in_lab("boots", |lab| {
        let rules =
            |list: &[(&str, &str)]| list.iter().fold(tagged(), |rules, (tags, file)| rules.boot(tags, file, "", ""));
        lab.same(&rules(&[("", "one"), ("", "two")]), &asks());
        lab.same(&rules(&[("x", "X"), ("", "plain")]), &asks());
        lab.same(&rules(&[("x", "X"), ("!z", "notZ")]), &asks());
        lab.same(&rules(&[("x z", "XZ"), ("", "plain")]), &asks());
        lab.same(&tagged().boot("", "plain", "name", "1.1.1.1").boot("x", "X", "", ""), &asks());
        lab.same(&tagged().boot("z", "Z", "", "").option("", "67", "option"), &asks());
    });
}

#[test]
fn encapsulated_options_do_not_compete() {
    in_lab("encap", |lab| {
        let packets = [None, Some(&[3][..]), Some(&[175, 125])].map(|list| discover(list, &[X]));
        lab.same(&tagged().option("x", "encap:175,1", "tagged").option("", "encap:175,1", "plain"), &packets);
        lab.same(&tagged().option("", "encap:175,190", "0.0.0.0").force("!z", "encap:175,191", ""), &packets);
        lab.same(
            &tagged().option("", "encap:175,1", "aa").option("", "encap:176,1", "bb").option("", "175", "5"),
            &packets,
        );
        lab.same(&tagged().range_sets("r").option("r", "encap:175,1", "R").option("z", "encap:175,2", "Z"), &packets);
        let enterprises = tagged().option("", "vi-encap:9,1", "aa").force("", "vi-encap:10,2", "bb");
        lab.same(&enterprises.option("x", "vi-encap:9,3", "5"), &packets);
        let long = "x".repeat(120);
        let long = (1..=3).fold(Rules::new(), |rules, sub| rules.option("", &format!("encap:175,{sub}"), &long));
        lab.same(&long, &packets);
        let mixed =
            Rules::new().option("", "vi-encap:9,1", "aa").option("", "encap:175,1", "bb").option("", "224", "cc");
        lab.same(
            &mixed.option("", "vendor:x,1", "dd").option("", "encap:176,2", "ee").option("", "encap:175,2", "ff"),
            &packets,
        );
    });
}

#[test]
fn vendor_options_go_to_their_class() {
    in_lab("vendor", |lab| {
        let lists = [None, Some(&[3][..]), Some(&[43]), Some(&[43, 60]), Some(&[60])];
        let packets = lists.map(|list| [discover(list, &[(60, b"PXEClient:A")]), discover(list, &[])]).concat();
        lab.same(&Rules::new().option("", "vendor:PXEClient,6", "8").option("", "vendor:Other,1", "aa"), &packets);
        lab.same(&Rules::new().option("", "vendor:PXE,1", "aa").force("", "vendor:Client,2", "0.0.0.0"), &packets);
        lab.same(&Rules::new().option("", "vendor:,1", "aa").option("!z", "vendor:PXE,1", ""), &packets);
        lab.same(&Rules::new().option("", "vendor:PXE,1", "aa").option("", "60", "Other"), &packets);
        lab.same(&Rules::new().option("", "vendor:Other,1", "aa").force("", "60", "Other"), &packets);
        lab.same(&Rules::new().option("", "vendor:PXE,1", "aa").option("", "43", "01:02"), &packets);
    });
}

#[test]
fn conditions_set_the_same_tags() {
    in_lab("conditions", |lab| {
        let packets: Vec<_> = CLIENTS.iter().map(|options| discover(None, options)).collect();
        let rules = Rules::new()
            .matches("m1", 93, "6")
            .matches("m2", 93, "00:07")
            .matches("m3", 60, "PXE")
            .matches("m4", 61, "ff:*:02")
            .matches("m5", 6, "1.2.3.4")
            .matches("m6", 97, "")
            .matches("m7", 51, "1h")
            .matches("m8", 224, "5s")
            .vendor_identified("e1", 9, "")
            .vendor_identified("e2", 9, "abc")
            .vendor_class("v1", "Client:Arch:00007")
            .vendor_class("v2", "pxe")
            .user_class("u1", "iPXE")
            .user_class("u2", "lab")
            .hardware("h1", "52:54:*:*:*:*")
            .hardware("h2", "06-52:54:*:*:*:*")
            .hardware("h3", "52:54:0:0:0")
            .relay("r1", "dhcp-circuitid", "01:02")
            .relay("r2", "dhcp-circuitid", "port1")
            .relay("r3", "dhcp-remoteid", "5")
            .relay("r4", "dhcp-subscrid", "sub")
            .name("n1", "foo")
            .name("n2", "foo*")
            .name("n3", "FOO.bar");
        lab.same(&rules, &packets);
    });
}

/// Clients for all conditions: hits, near misses and damage.
#[rustfmt::skip]
const CLIENTS: &[&[(u8, &[u8])]] = &[
    &[],
    &[(93, &[0, 6]), (60, b"PXEClient:Arch:00007:UNDI:003016"), (97, b"\0x")],
    &[(93, &[0, 7, 0, 6]), (60, b"xPXE"), (97, b"")],
    &[(93, &[6]), (60, b"pxe"), (77, b"iPXE")],
    &[(93, &[0, 0, 6]), (77, b"\x04iPXE\x03lab")],
    &[(93, &[0, 7]), (77, b"\x02iP\x02XE")],
    &[(61, &[255, 1, 2, 3]), (6, &[5, 5, 5, 5, 1, 2, 3, 4]), (51, &[0, 0, 14, 16])],
    &[(61, &[255, 1]), (6, &[0, 1, 2, 3, 4]), (224, &[0, 1, 0, 5])],
    &[(224, &[0, 0, 5]), (82, b"\x01\x02\x01\x02\x02\x015\x06\x03sub")],
    &[(82, b"\x02\x01\x05\x01\x05port1")],
    &[(82, b"\x01\x06port12\x06\x04sub ")],
    &[(82, b"\x01\x05por")],
    &[(124, b"\0\0\0\x09\x04\x03abc")],
    &[(124, b"\0\0\0\x08\x04\x03abc\0\0\0\x09\x08\x03xyz\x03abc")],
    &[(124, b"\0\0\0\x09\x00")],
    &[(124, b"\0\0\0\x09\x03abc")],
    &[(12, b"FOO")], &[(12, b"foo.bar")], &[(12, b"foobar")], &[(12, b"foo bar")], &[(12, b"-foo")], &[(12, b"foo\0x")],
    &[(81, b"\0\0\0foo"), (12, b"bar")],
    &[(81, b"\x04\0\0\x03foo\x03bar\0")],
    &[(81, b"\0\0\0"), (12, b"foo")],
];

/// Where we do not follow.
#[test]
fn what_differs_does_so_on_purpose() {
    in_lab("differs", |lab| {
        let always = [(1, &[255, 255, 255, 0][..]), (28, &[10, 9, 0, 255])];
        let with = |rest: &[(u8, &'static [u8])]| [&always[..], rest].concat();

        // Twice the same option is one value to a client that reads RFC 3396: «file\0option\0».
        let both = Rules::new().boot("", "file", "", "").option("", "67", "option");
        let theirs = [&[(67, &b"file\0"[..])], &always[..], &[(67, b"option\0")]].concat();
        let ours = [&[(67, &b"file\0"[..])], &always[..]].concat();
        lab.differs(&both, &discover(Some(&[67]), &[]), &theirs, &ours);

        // An enterprise's options that do not fit into one instance are dropped there; here they go on in another.
        let long: &'static str = "x".repeat(200).leak();
        let rules = Rules::new().option("", "vi-encap:9,1", long).option("", "vi-encap:9,2", long);
        let instance = |sub: u8| -> &'static [u8] { [&[0, 0, 0, 9, 202, sub, 200], long.as_bytes()].concat().leak() };
        let ours = with(&[(125, instance(2)), (125, instance(1))]);
        lab.differs(&rules, &discover(Some(&[125]), &[]), &always, &ours);
    });
}
