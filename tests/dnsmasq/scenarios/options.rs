//! dhcp-option, dhcp-option-force and dhcp-boot.

use dhcp::v4::code;

use super::ranged;
use crate::compare::What;
use crate::messages::{discover, host, inform, select};
use crate::scenario::{Group, run};

/// Much, and not in the order of the codes.
const MUCH: &[u8] = &[252, 1, 28, 3, 15, 6, 12, 26, 23, 19, 33, 42, 43, 60, 66, 67, 119, 121, 125, 150, 200, 209];
const BIG: (u8, &[u8]) = (code::MAX_MESSAGE_SIZE, &[5, 192]);

#[test]
fn values_of_every_shape() {
    let conf = ranged(&[
        "dhcp-option=option:router,10.0.1.9",
        "dhcp-option=option:ntp-server,10.0.1.3,10.0.1.4",
        "dhcp-option=6,10.0.1.7",
        "dhcp-option=option:domain-search,example.org,lan.example.org",
        "dhcp-option=121,192.168.0.0/24,10.0.1.9,172.16.0.0/12,10.0.1.8",
        "dhcp-option=option:mtu,1400",
        "dhcp-option=252,\"http://wpad/wpad.dat\"",
        "dhcp-option=200,01:02:03",
        "dhcp-option=23,50",
        "dhcp-option=19,0",
        "dhcp-option=option:tftp-server-address,10.0.1.1",
        "dhcp-option-force=209,\"grub.cfg\"",
        "dhcp-option=42,0.0.0.0",
    ]);
    run(&[Group::new("values", &conf)
        .then("all asked for", discover(1).asks(MUCH).with(BIG.0, BIG.1))
        .then("all asked for, no size said", discover(1).asks(MUCH))
        .then("some asked for", discover(1).asks(&[3, 42]))
        .then("one that is not there", discover(1).asks(&[99]))
        .then("without a list", discover(1).with(BIG.0, BIG.1))
        .then("REQUEST", select(1, host(100)).asks(MUCH).with(BIG.0, BIG.1))
        .then("INFORM", inform(2, host(30)).asks(MUCH).with(BIG.0, BIG.1))]);
}

#[test]
fn defaults_overruled() {
    let conf = ranged(&[
        "dhcp-option=3",
        "dhcp-option=option:netmask,255.255.0.0",
        "dhcp-option=28,10.0.255.255",
        "dhcp-option=option:dns-server,10.0.1.53,0.0.0.0",
        "dhcp-option=12,theirs",
        "dhcp-option=51,1200",
        "dhcp-option=15,example.org",
    ]);
    run(&[Group::new("overruled", &conf)
        .then("asked for", discover(1).asks(MUCH))
        .then("without a list", discover(1))
        .differs(What::Option(51), "it sends the lease time twice, with two values")
        .differs(What::Order, "as one of them stands elsewhere")
        .then("REQUEST", select(1, host(100)).asks(MUCH))]);
}

#[test]
fn encapsulated() {
    let conf = ranged(&[
        "dhcp-option=vendor:PXEClient,6,8",
        "dhcp-option=vendor:PXEClient,10,00:50:58:45",
        "dhcp-option=vendor:MSFT,2,1i",
        "dhcp-option=encap:175,190,\"user\"",
        "dhcp-option=encap:175,191,\"secret\"",
        "dhcp-option=encap:226,1,10.0.1.1",
        "dhcp-option=vi-encap:25,1,\"x\"",
        "dhcp-option-force=vi-encap:2001,7,abc",
    ]);
    let asked = &[1, 3, 43, 60, 125, 175, 226];
    run(&[Group::new("encapsulated", &conf)
        .then("no vendor class", discover(1).asks(asked))
        .then("PXEClient", discover(1).asks(asked).with(60, b"PXEClient:Arch:00000:UNDI:002001"))
        .then("MSFT", discover(1).asks(asked).with(60, b"MSFT 5.0"))
        .then("MSFT without 43", discover(1).asks(&[1, 3]).with(60, b"MSFT 5.0"))
        .then("another class", discover(1).asks(asked).with(60, b"udhcp 1.35"))
        .then("without a list", discover(1).with(60, b"MSFT 5.0"))
        .then("REQUEST", select(1, host(100)).asks(asked).with(60, b"MSFT 5.0"))]);
}

#[test]
fn boot_file_and_server() {
    let pxe = |asks: &[u8]| discover(1).asks(asks).with(60, b"PXEClient:Arch:00000:UNDI:002001");
    let steps = |group: Group| {
        group
            .then("66 and 67 asked for", discover(1).asks(&[1, 3, 66, 67]))
            .then("67 asked for", discover(1).asks(&[1, 3, 67]))
            .then("neither asked for", discover(1).asks(&[1, 3]))
            .then("without a list", discover(1))
            .then("PXE", pxe(&[1, 3, 43, 60, 66, 67]))
            .then("iPXE", discover(1).asks(&[1, 66, 67]).with(175, &[33, 1, 1]))
            .then("REQUEST", select(1, host(100)).asks(&[1, 66, 67]))
    };
    const NAMED: &[&str] = &["dhcp-boot=pxelinux.0,boothost,10.0.1.50"];
    const TAGGED: &[&str] = &[
        "dhcp-match=set:ipxe,175",
        "dhcp-boot=tag:ipxe,http://10.0.1.1/boot.ipxe",
        "dhcp-boot=tag:!ipxe,undionly.kpxe,,10.0.1.51",
    ];
    const OPTIONS: &[&str] = &["dhcp-option=66,10.0.1.52", "dhcp-option=67,\"by-option\"", "dhcp-option=150,10.0.1.53"];
    const FORCED: &[&str] = &["dhcp-option-force=66,\"forced\"", "dhcp-option-force=67,\"forced-file\""];
    let group = |name, lines: &[&[&'static str]]| {
        let times = "any order is right (RFC 2131 section 4.1); ours keeps the times together, ahead of the boot file";
        steps(Group::new(name, &ranged(&lines.concat()))).throughout(What::Order, times)
    };
    const TWICE: &str = "it sends the option twice, which RFC 3396 makes one value of";
    run(&[
        group("dhcp-boot, name and address", &[NAMED]),
        group("dhcp-boot, name and address, no override", &[NAMED, &["dhcp-no-override"]]),
        group("dhcp-boot, tags", &[TAGGED]),
        group("dhcp-boot, tags, no override", &[TAGGED, &["dhcp-no-override"]]),
        group("options", &[OPTIONS]),
        group("options, no override", &[OPTIONS, &["dhcp-no-override"]]),
        group("forced", &[FORCED]),
        group("dhcp-boot and options", &[NAMED, OPTIONS])
            .throughout(What::Option(66), TWICE)
            .throughout(What::Option(67), TWICE),
    ]);
}

#[test]
fn more_than_fits() {
    let long = format!("dhcp-option=67,\"{}\"", "n".repeat(140));
    let options: Vec<String> =
        (224..230).map(|code| format!("dhcp-option-force={code},\"{}\"", "v".repeat(90))).collect();
    let lines: Vec<&str> = options.iter().map(String::as_str).collect();
    let much = |lines: &[&str]| ranged(&[lines, &["dhcp-boot=pxelinux.0,boothost,10.0.1.50"]].concat()).join("\n");
    run(&[
        Group::new("a long file name", &ranged(&[&long]))
            .then("asked for", discover(1).asks(&[1, 3, 67]))
            .then("not asked for", discover(1).asks(&[1, 3]))
            .differs(What::Field("file"), "a name that is cut short boots nothing")
            .differs(What::Option(67), "the one place that holds it whole"),
        Group::new("too much", &[&much(&lines[..5])])
            .then("no size said", discover(1).asks(&[1, 3]))
            .then("room enough", discover(1).asks(&[1, 3]).with(BIG.0, BIG.1)),
        Group::new("far too much", &[&much(&lines)])
            .then("no size said", discover(1).asks(&[1, 3]))
            .then("room enough", discover(1).asks(&[1, 3]).with(BIG.0, BIG.1)),
    ]);
}
