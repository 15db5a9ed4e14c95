use dhcp::v4::options::{Written, encode_as};

use super::*;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

fn rule(tags: &[&str], target: Target, value: &str) -> OptionRule {
    let value = match target {
        Target::Plain(code) => dhcp::v4::options::encode(code, Written::bare(value)),
        _ => encode_as(None, Written::bare(value)),
    };
    OptionRule { tags: TagExpr::all(tags.iter().copied()), target, value: value.unwrap(), force: false }
}

fn asked<'a>(tags: &'a Tags, requested: Option<&'a [u8]>) -> Asked<'a> {
    Asked { tags, requested, vendor_class: None, ours: OURS, pxe: None, turn: 0 }
}

fn tags(words: &[&str]) -> Tags {
    words.iter().copied().collect()
}

fn defaults() -> Defaults {
    Defaults {
        netmask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        broadcast: Some(Ipv4Addr::new(10, 0, 1, 255)),
        router: Some(OURS),
        dns: vec![OURS],
        domain: Some("lan".into()),
        hostname: None,
        fqdn: None,
    }
}

/// The boot file of the guide: iPXE gets pxelinux, everybody else gets iPXE.
#[test]
fn ipxe_is_told_apart_from_the_firmware_that_loads_it() {
    let rules = [rule(&["!IPXEBOOT"], Target::Plain(67), "undionly.kpxe"), rule(&[], Target::Plain(67), "pxelinux.0")];
    let (firmware, ipxe) = (tags(&["net"]), tags(&["net", "IPXEBOOT"]));
    let file = |tags, requested| carried(&Defaults::default(), &rules, &[], &asked(tags, requested), false);
    assert_eq!(file(&firmware, None).file, b"undionly.kpxe");
    assert_eq!(file(&ipxe, None).file, b"pxelinux.0");
    assert_eq!(file(&firmware, Some(&[1, 67])).options, [(67, b"undionly.kpxe\0".to_vec())]);
    assert_eq!(file(&ipxe, Some(&[1, 67])).options, [(67, b"pxelinux.0\0".to_vec())]);
    assert!(file(&ipxe, Some(&[67])).file.is_empty());
}

#[test]
fn rules_replace_defaults_and_empty_ones_take_them_away() {
    let rules = [rule(&[], Target::Plain(3), ""), rule(&[], Target::Plain(6), "0.0.0.0,9.9.9.9")];
    let none = Tags::default();
    let codes = |carried: Carried| carried.options.into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(codes(carried(&defaults(), &[], &[], &asked(&none, None), false)), [1, 28, 3, 6, 15]);
    assert_eq!(codes(carried(&defaults(), &[], &[], &asked(&none, Some(&[3])), false)), [1, 28, 3]);
    let by_rule = carried(&defaults(), &rules, &[], &asked(&none, None), false);
    assert_eq!(by_rule.options[3], (6, vec![10, 0, 1, 1, 9, 9, 9, 9]));
    assert_eq!(codes(by_rule), [1, 28, 15, 6]);
}

#[test]
fn one_option_is_not_sent_for_a_boot_rule_and_an_option_rule_both() {
    let boots = [BootRule { file: "boot".into(), ..BootRule::default() }];
    let rules = [rule(&[], Target::Plain(67), "option")];
    let none = Tags::default();
    let both = carried(&Defaults::default(), &rules, &boots, &asked(&none, Some(&[67])), false);
    assert_eq!((both.options, both.file), (vec![(67, b"boot\0".to_vec())], vec![]));
}

#[test]
fn names_too_long_for_their_fields_become_options() {
    let long = "x".repeat(128);
    let boots = [BootRule { file: long.clone(), server_name: "y".repeat(64), ..BootRule::default() }];
    let none = Tags::default();
    let by_boot = carried(&Defaults::default(), &[], &boots, &asked(&none, Some(&[1])), true);
    assert_eq!(by_boot.options.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [66, 67]);
    let rules = [rule(&[], Target::Plain(67), &long)];
    for requested in [None, Some(&[1][..])] {
        let by_rule = carried(&Defaults::default(), &rules, &[], &asked(&none, requested), false);
        assert_eq!(by_rule.options, [(67, format!("{long}\0").into_bytes())]);
    }
}

#[test]
fn t1_and_t2_stay_within_the_lease() {
    let times = |lease_secs, rules: &[(u8, &str)]| {
        let rules: Vec<_> = rules.iter().map(|(code, value)| rule(&[], Target::Plain(*code), value)).collect();
        renewal_times(&rules, &Tags::default(), lease_secs)
    };
    assert_eq!(times(3600, &[]), Some((1800, 3150)));
    assert_eq!(times(u32::MAX, &[(58, "90")]), None);
    assert_eq!(times(3600, &[(58, "10m"), (59, "1h")]), Some((600, 3150)), "T2 must be less than the lease");
    assert_eq!(times(3600, &[(59, "90")]), Some((89, 90)));
    assert_eq!(times(3600, &[(58, ""), (59, "2")]), Some((1800, 3150)));
    assert_eq!(times(1, &[]), Some((0, 0)));
}

#[test]
fn enterprises_that_do_not_fit_go_on_in_another_instance() {
    let part = "x".repeat(120);
    let rules: Vec<_> = (1..=3).map(|sub| rule(&[], Target::ViEncap { enterprise: 9, sub }, &part)).collect();
    let none = Tags::default();
    let options = select(&rules, &asked(&none, None));
    assert_eq!(options.iter().map(|(code, data)| (*code, data.len())).collect::<Vec<_>>(), [(125, 249), (125, 127)]);
    assert_eq!(options.iter().map(|(_, data)| data[4]).collect::<Vec<_>>(), [244, 122]);
}

#[test]
fn a_value_without_room_is_cut() {
    let long = "x".repeat(255);
    let target = Target::ViEncap { enterprise: 9, sub: 1 };
    let room = target.room();
    let none = Tags::default();
    let options = select(&[rule(&[], target, &long)], &asked(&none, None));
    assert_eq!((options.len(), options[0].1.len(), options[0].1[6]), (1, 255 - 7 + 7, room as u8));
}
