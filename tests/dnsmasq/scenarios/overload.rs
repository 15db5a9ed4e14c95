//! More than fits: `file` and `sname` as room for options (option 52), and the client's maximum message size.

use dhcp::v4::code;

use super::ranged;
use crate::compare::What;
use crate::messages::{Message, discover, host, inform, select};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 15, 66, 67];

fn sized(message: Message, octets: u16) -> Message {
    message.with(code::MAX_MESSAGE_SIZE, &octets.to_be_bytes())
}

/// Options 224 and up, of these sizes.
fn forced(sizes: &[usize]) -> Vec<String> {
    let option = |(at, size): (usize, &usize)| format!("dhcp-option-force={},\"{}\"", 224 + at, "v".repeat(*size));
    sizes.iter().enumerate().map(option).collect()
}

const TIMES: &str = "any order is right (RFC 2131 section 4.1); ours keeps the times together, ahead of the boot file";

fn steps(group: Group) -> Group {
    group
        .throughout(What::Order, TIMES)
        .then("no size said", discover(1).asks(ASKED))
        .then("a size too small", sized(discover(1), 300).asks(ASKED))
        .then("the usual size", sized(discover(1), 576).asks(ASKED))
        .then("a little more", sized(discover(1), 600).asks(ASKED))
        .then("a whole frame", sized(discover(1), 1500).asks(ASKED))
        .then("as much as can be", sized(discover(1), 65535).asks(ASKED))
        .then("names not asked for", discover(1).asks(&[1, 3]))
        .then("without a list", discover(1))
        .then(
            "with an agent's option",
            discover(1).asks(ASKED).by(host(5)).with(82, &[&[1, 40][..], &[7; 40]].concat()),
        )
        .then("REQUEST", select(1, host(100)).asks(ASKED))
        .then("INFORM", inform(2, host(30)).asks(ASKED))
}

#[test]
fn overload() {
    let group = |name: &'static str, sizes: &[usize], more: &[&'static str]| {
        let lines = forced(sizes);
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain(more.iter().copied()).collect();
        steps(Group::new(name, &[&lines.join("\n"), "dhcp-range=10.0.1.100,10.0.1.150,1h", "dhcp-sequential-ip"]))
    };
    let boot = "dhcp-boot=pxelinux.0,boothost,10.0.1.50";
    run(&[
        group("into file", &[60, 100, 100, 60], &[]),
        group("into file and sname", &[60, 50, 100, 100, 60], &[]),
        group("much too much", &[90, 90, 90, 90, 90, 90], &[]),
        group("one that is too large", &[200, 200, 20], &[]),
        group("no override", &[60, 100, 100, 60], &["dhcp-no-override"]),
        group("a boot file", &[60, 100, 100, 60], &[boot]),
        group("a boot file, no override", &[60, 100, 100, 60], &[boot, "dhcp-no-override"]),
        group("a boot file and no server's name", &[60, 50, 100, 100, 60], &["dhcp-boot=pxelinux.0"]),
        group("a boot file by option", &[60, 100, 100, 60], &["dhcp-option=67,pxelinux.0"]),
    ]);
}

#[test]
fn a_boot_server_by_name() {
    const NO_HOSTS: &str = "with port=0 dnsmasq 2.90 reads no hosts file, and names the server 0.0.0.0";
    let group = |name: &'static str, line: &'static str| {
        Group::new(name, &ranged(&[line]))
            .throughout(What::Order, TIMES)
            .throughout(What::Field("siaddr"), NO_HOSTS)
            .then("asked for", discover(1).asks(ASKED))
            .then("not asked for", discover(1).asks(&[1]))
    };
    run(&[
        group("in /etc/hosts", "dhcp-boot=pxelinux.0,boothost,localhost"),
        group("in no file", "dhcp-boot=pxelinux.0,boothost,no-such-host"),
        group("server's name alone", "dhcp-boot=,boothost"),
    ]);
}
