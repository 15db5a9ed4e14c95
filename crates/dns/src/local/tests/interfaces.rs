//! Names of interfaces, answers that depend on them, and names made out of addresses.

use super::*;

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
