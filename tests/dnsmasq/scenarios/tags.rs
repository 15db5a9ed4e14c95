//! The tag engine: what sets a tag, and what tags choose.

use super::ranged;
use crate::compare::What;
use crate::messages::{Message, captured, discover, host, select};
use crate::scenario::{Group, run};

const ONE_TO_MANY: &str = "with --dhcp-sequential-ip --no-ping, dnsmasq 2.90 offers one address to many";

/// Every tag shows as an option of its own.
fn shown(lines: &[&str], tags: &[&str]) -> Vec<String> {
    let show = |(at, tag): (usize, &&str)| format!("dhcp-option-force=tag:{tag},{},{tag}", 224 + at);
    ranged(lines).into_iter().map(str::to_owned).chain(tags.iter().enumerate().map(show)).collect()
}

fn group(name: &'static str, lines: &[&str], tags: &[&str]) -> Group {
    let conf = shown(lines, tags);
    let group = Group::new(name, &conf.iter().map(String::as_str).collect::<Vec<_>>());
    group.throughout(What::Field("yiaddr"), ONE_TO_MANY).throughout(What::Field("to"), ONE_TO_MANY)
}

#[test]
fn what_the_client_says() {
    let lines = [
        "dhcp-match=set:ipxe,175",
        "dhcp-match=set:x64,93,7",
        "dhcp-match=set:http,option:client-arch,16",
        "dhcp-match=set:class,60,HTTPClient:Arch:00016:UNDI:003001",
        "dhcp-vendorclass=set:pxe,PXEClient:Arch:00007",
        "dhcp-vendorclass=set:any,Client",
        "dhcp-userclass=set:user,iPXE",
        "dhcp-mac=set:qemu,52:54:00:*:*:*",
        "dhcp-mac=set:nine,52:54:00:00:00:09",
        "dhcp-name-match=set:db,db*",
        "dhcp-match=set:hex,224,01:*:03",
        "dhcp-match=set:vi,vi-encap:25,abc",
    ];
    let tags = ["ipxe", "x64", "http", "class", "pxe", "any", "user", "qemu", "nine", "db", "hex", "vi"];
    let vi = |text: &[u8]| {
        let inner = [&[text.len() as u8][..], text].concat();
        [&[0, 0, 0, 25, inner.len() as u8][..], &inner].concat()
    };
    let captures = ["seabios-ipxe", "undionly", "ovmf-pxe", "ovmf-http", "aavmf-pxe", "ipxe-efi", "udhcpc"];
    let names = captures.map(|name| (name, captured(&format!("{name}/01-discover"))));
    let made: Vec<(&str, Message)> = vec![
        ("nothing said", discover(1)),
        ("the ninth machine", discover(9)),
        ("a name", discover(2).with(12, b"db7")),
        ("another name", discover(2).with(12, b"web")),
        ("user class, raw", discover(2).with(77, b"iPXE")),
        ("user class with lengths", discover(2).with(77, &[&[3][..], b"abc", &[4], b"iPXE"].concat())),
        ("arch of two values", discover(2).with(93, &[0, 0, 0, 7])),
        ("hex", discover(2).with(224, &[1, 9, 3])),
        ("hex, other", discover(2).with(224, &[1, 9, 4])),
        ("vendor-identifying class", discover(2).with(124, &vi(b"abc"))),
        ("vendor-identifying class, other", discover(2).with(124, &vi(b"xyz"))),
        ("vendor-identifying information", discover(2).with(125, &vi(b"abc"))),
    ];
    let all = made.into_iter().chain(names);
    run(&[all.fold(group("said", &lines, &tags), |group, (name, message)| group.then(name, message))]);
}

#[test]
fn what_the_relay_says() {
    let lines = ["dhcp-circuitid=set:port,ge-1", "dhcp-remoteid=set:switch,01:02:03", "dhcp-subscrid=set:house,four"];
    let relayed = |data: &[u8]| discover(1).by(host(5)).with(82, data);
    run(&[group("relay", &lines, &["port", "switch", "house"])
        .then("circuit", relayed(&[&[1, 4][..], b"ge-1"].concat()))
        .then("another circuit", relayed(&[&[1, 4][..], b"ge-2"].concat()))
        .then("remote", relayed(&[2, 3, 1, 2, 3]))
        .then("subscriber", relayed(&[&[6, 4][..], b"four"].concat()))
        .then("all", relayed(&[&[1, 4][..], b"ge-1", &[2, 3, 1, 2, 3, 6, 4], b"four"].concat()))
        .then("no option 82", discover(1).by(host(5)))]);
}

#[test]
fn tags_from_tags() {
    let lines = [
        "dhcp-mac=set:one,52:54:00:00:00:01",
        "dhcp-mac=set:two,52:54:00:00:00:02",
        "dhcp-mac=set:bad,52:54:00:00:00:66",
        "dhcp-match=set:ipxe,175",
        "tag-if=set:both,tag:one,tag:ipxe",
        "tag-if=set:plain,tag:!ipxe",
        "tag-if=set:chain,tag:both",
        "tag-if=set:later,tag:sooner",
        "tag-if=set:sooner,tag:two",
        "dhcp-ignore=tag:bad",
        "dhcp-ignore=tag:two,tag:ipxe",
        "dhcp-option=tag:one,42,10.0.1.11",
        "dhcp-option=tag:two,42,10.0.1.12",
        "dhcp-option=42,10.0.1.10",
        "dhcp-option=tag:!ipxe,15,without.ipxe",
        "dhcp-option=tag:net,26,1400",
        "dhcp-option=tag:known,23,1",
        "dhcp-option=tag:!known,23,2",
        "dhcp-host=52:54:00:00:00:01,one",
    ];
    let asked = &[1, 3, 15, 23, 26, 42];
    let ipxe = |message: Message| message.with(175, &[33, 1, 1]);
    run(&[group("tag-if and dhcp-ignore", &lines, &["both", "plain", "chain", "later", "sooner"])
        .then("one", discover(1).asks(asked))
        .then("one in iPXE", ipxe(discover(1).asks(asked)))
        .then("two", discover(2).asks(asked))
        .then("two in iPXE is ignored", ipxe(discover(2).asks(asked)))
        .then("three", discover(3).asks(asked))
        .then("bad is ignored", discover(0x66).asks(asked))
        .then("bad is ignored, REQUEST", select(0x66, host(100)).asks(asked))
        .then("REQUEST", select(1, host(100)).asks(asked))]);
}

#[test]
fn ranges_set_tags() {
    let conf = [
        "dhcp-range=set:low,10.0.1.100,10.0.1.101,1h",
        "dhcp-range=set:high,10.0.1.200,10.0.1.201,1h",
        "dhcp-sequential-ip",
        "dhcp-option=tag:low,42,10.0.1.3",
        "dhcp-option=tag:high,42,10.0.1.4",
    ];
    let asked = &[1, 42];
    run(&[Group::new("ranges", &conf)
        .then("low wanted", discover(1).asks(asked).with(50, &host(100).octets()))
        .then("low", select(1, host(100)).asks(asked))
        .then("high wanted", discover(2).asks(asked).with(50, &host(200).octets()))
        .then("high", select(2, host(200)).asks(asked))]);
}
