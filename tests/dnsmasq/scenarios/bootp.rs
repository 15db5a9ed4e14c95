//! BOOTP: requests without a message type.

use super::ranged;
use crate::compare::What;
use crate::messages::{bootp, discover, host, select};
use crate::scenario::{Group, run};

const NO_COOKIE: &str = "options without the magic cookie are none (RFC 1497): ours are told from garbage by it";

const LAID_DOWN: &[&str] = &[
    "dhcp-host=52:54:00:00:00:01,10.0.1.20,one",
    "dhcp-host=52:54:00:00:00:02,10.0.1.21,2h",
    "dhcp-host=52:54:00:00:00:03,three",
    "dhcp-host=52:54:00:00:00:04,ignore",
    "dhcp-option=tag:bootp,42,10.0.1.9",
    "dhcp-option=tag:!bootp,42,10.0.1.8",
    "dhcp-option=tag:vmunix,26,1400",
    "dhcp-option=224,shown",
];

#[test]
fn who_is_answered() {
    let steps = |group: Group| {
        group
            .then("laid down", bootp(1).padded())
            .then("again", bootp(1).padded())
            .then("laid down for a time", bootp(2).padded())
            .then("a name only", bootp(3).padded())
            .then("ignored", bootp(4).padded())
            .then("a stranger", bootp(5).padded())
            .then("a short packet", bootp(1))
            .then("the broadcast flag", bootp(1).broadcast().padded())
            .then("by a relay", bootp(1).by(host(5)).padded())
            .then("with an address", bootp(1).at(host(20)).padded())
            .then("a boot file", bootp(1).wanting_file("vmunix").padded())
            .then("options in the vendor area", bootp(1).with(12, b"mine").with(55, &[1, 42]).padded())
            .then("no cookie", bootp(1).padded().octet(236, 0).octet(237, 0).octet(238, 0).octet(239, 0))
            .varies(What::Field("cookie"), NO_COOKIE)
            .then("no cookie and garbage", bootp(1).padded().octet(236, 7).octet(240, 200).octet(241, 250))
            .varies(What::Field("cookie"), NO_COOKIE)
            .then("no cookie, a message type", discover(1).padded().octet(236, 7))
            .then("DHCP by the same machine", discover(1).asks(&[1, 3, 12, 42]))
            .then("its REQUEST", select(1, host(20)).asks(&[1, 3, 12, 42]))
    };
    let with = |more: &[&'static str]| ranged(&[LAID_DOWN, more].concat());
    run(&[
        steps(Group::new("BOOTP", &with(&[]))),
        steps(Group::new("bootp-dynamic", &with(&["bootp-dynamic"]))),
        steps(Group::new("bootp-dynamic by tag", &with(&["bootp-dynamic=tag:vmunix"]))),
        steps(Group::new("BOOTP ignored", &with(&["dhcp-ignore=tag:bootp"]))),
    ]);
}

#[test]
fn what_the_vendor_area_holds() {
    let long: Vec<String> = (0..4).map(|n| format!("dhcp-option={},\"{}\"", 224 + n, "v".repeat(13))).collect();
    let lines: Vec<&str> = long.iter().map(String::as_str).collect();
    let more = &["dhcp-boot=pxelinux.0,boothost,10.0.1.50", "bootp-dynamic", "domain=example.org"];
    run(&[
        Group::new("a boot file", &ranged(&[LAID_DOWN, more].concat()))
            .then("laid down", bootp(1).padded())
            .then("dynamic", bootp(5).padded())
            .then("dynamic again", bootp(5).padded())
            .then("with an echo of the agent", bootp(6).by(host(5)).with(82, &[1, 2, 7, 7]).padded()),
        Group::new("too much", &ranged(&[&lines[..], more].concat())).then("dynamic", bootp(5).padded()),
        Group::new("another range", &["dhcp-range=tag:bootp,10.0.1.60,10.0.1.69,1h", "bootp-dynamic=tag:bootp"])
            .then("DHCP", discover(1).asks(&[1])),
    ]);
}
