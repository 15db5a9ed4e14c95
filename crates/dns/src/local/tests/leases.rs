//! Names of leases beside those of configuration and hosts files.

use super::*;

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
