//! Names and domains: what a machine is told, and what stands in the lease file.

use dhcp::v4::code;

use super::ranged;
use crate::messages::{Message, discover, host, inform, reboot, release, select};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 12, 15];

fn named(message: Message, name: &[u8]) -> Message {
    message.asks(ASKED).with(code::HOST_NAME, name)
}

fn fqdn(message: Message, flags: u8, name: &[u8]) -> Message {
    message.asks(ASKED).with(code::FQDN, &[&[flags, 0, 0][..], name].concat())
}

#[test]
fn fully_qualified_names() {
    let steps = |group: Group| {
        group
            .then("server to update", fqdn(discover(1), 1, b"pc"))
            .then("client updates", fqdn(discover(1), 0, b"pc"))
            .then("no updates", fqdn(discover(1), 8, b"pc"))
            .then("undefined flags", fqdn(discover(1), 0xf1, b"pc"))
            .then("with a domain", fqdn(discover(1), 1, b"pc.elsewhere.test"))
            .then("wire format", fqdn(discover(1), 5, b"\x02pc\0"))
            .then("wire format, not ended", fqdn(discover(1), 5, b"\x02pc"))
            .then("wire format with a domain", fqdn(discover(1), 4, b"\x02pc\x03lan\0"))
            .then("no name", fqdn(discover(1), 1, b""))
            .then("not a name", fqdn(discover(1), 1, b"p c"))
            .then("beside a host name", fqdn(discover(1).with(code::HOST_NAME, b"other"), 1, b"pc"))
            .then("not asking for any option", discover(1).with(code::FQDN, b"\x01\0\0pc"))
            .then("two octets", discover(1).asks(ASKED).with(code::FQDN, &[1, 0]))
            .then("REQUEST", fqdn(select(1, host(100)), 1, b"pc"))
            .then("REQUEST in wire format", fqdn(select(1, host(100)), 5, b"\x02pc\0"))
            .then("REQUEST without a name", select(1, host(100)).asks(ASKED))
            .then("REQUEST with a host name", named(select(1, host(100)), b"pc2"))
            .then("a name laid down", fqdn(discover(2), 1, b"mine"))
            .then("a name laid down, REQUEST", fqdn(select(2, host(101)), 1, b"mine"))
            .then("INFORM", fqdn(inform(1, host(100)), 1, b"pc3"))
    };
    let laid_down = "dhcp-host=52:54:00:00:00:02,10.0.1.101,two";
    run(&[
        steps(Group::new("FQDN", &ranged(&[laid_down]))),
        steps(Group::new("FQDN and a domain", &ranged(&[laid_down, "domain=example.org"]))),
        steps(Group::new("dhcp-client-update", &ranged(&[laid_down, "dhcp-client-update"]))),
        steps(Group::new("dhcp-fqdn", &ranged(&[laid_down, "domain=example.org", "dhcp-fqdn"]))),
    ]);
}

#[test]
fn whose_name_counts() {
    let conf = ranged(&[
        "dhcp-host=52:54:00:00:00:01,10.0.1.100,one",
        "dhcp-host=52:54:00:00:00:02,10.0.1.101,two.example.org",
        "dhcp-host=52:54:00:00:00:03,10.0.1.102,set:quiet",
        "dhcp-host=52:54:00:00:00:04,10.0.1.103",
        "dhcp-host=52:54:00:00:00:05,10.0.1.104",
        "domain=lan.test",
    ]);
    let steps = |group: Group| {
        group
            .then("laid down", discover(1).asks(ASKED))
            .then("laid down, says another", named(discover(1), b"other"))
            .then("laid down, says the same", named(discover(1), b"one"))
            .then("laid down, says another, REQUEST", named(select(1, host(100)), b"other"))
            .then("laid down with a domain", discover(2).asks(ASKED))
            .then("laid down with a domain, REQUEST", select(2, host(101)).asks(ASKED))
            .then("quiet", named(select(3, host(102)), b"three"))
            .then("a name", named(discover(4), b"four"))
            .then("a name, REQUEST", named(select(4, host(103)), b"four"))
            .then("no name any more", select(4, host(103)).asks(ASKED))
            .then("a domain of ours", named(select(5, host(104)), b"five.lan.test"))
            .then("a domain of others", named(select(5, host(104)), b"five.elsewhere.test"))
            .then("a dot at the end", named(select(5, host(104)), b"five."))
            .then("ended by NUL", select(5, host(104)).asks(&[1, 3]).with(code::HOST_NAME, b"five\0"))
            .then("a name of another machine", named(select(5, host(104)), b"four"))
            .then("its own again", named(select(4, host(103)), b"FOUR"))
            .then("a name that is laid down for another", named(select(5, host(104)), b"one"))
            .then("INFORM", inform(4, host(103)).asks(ASKED))
            .then("INFORM with a name", named(inform(4, host(103)), b"informer"))
            .then("INFORM by a stranger", named(inform(9, host(30)), b"stranger"))
            .then("INFORM from another's address", inform(9, host(103)).asks(ASKED))
            .then("INIT-REBOOT", named(reboot(4, host(103)), b"four"))
            .then("RELEASE", release(5, host(104)))
    };
    run(&[
        steps(Group::new("names", &conf)),
        steps(Group::new("dhcp-ignore-names", &[&conf[..], &["dhcp-ignore-names"]].concat())),
        steps(Group::new("dhcp-ignore-names by tag", &[&conf[..], &["dhcp-ignore-names=tag:quiet"]].concat())),
        steps(Group::new("dhcp-generate-names", &[&conf[..], &["dhcp-generate-names"]].concat())),
        steps(Group::new(
            "both by tag",
            &[&conf[..], &["dhcp-ignore-names=tag:quiet", "dhcp-generate-names=tag:quiet"]].concat(),
        )),
    ]);
}

#[test]
fn one_name_in_two_domains() {
    let conf = ranged(&["domain=example.org", "domain=low.test,10.0.1.100,10.0.1.100", "dhcp-fqdn"]);
    let conf_plain = &conf[..conf.len() - 1];
    let steps = |group: Group| {
        group
            .then("the first", named(select(1, host(100)), b"pc"))
            .then("the second in another domain", named(select(2, host(101)), b"pc"))
            .then("the third in that domain", named(select(3, host(102)), b"pc"))
    };
    run(&[steps(Group::new("with domains", &conf)), steps(Group::new("without", conf_plain))]);
}

#[test]
fn domains() {
    let steps = |group: Group| {
        group
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("without a list", discover(1))
            .then("not asked for", discover(1).asks(&[1, 3]))
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("another address", select(2, host(120)).asks(ASKED))
            .then("INFORM", inform(3, host(30)).asks(ASKED))
    };
    let group = |name: &'static str, lines: &[&'static str]| steps(Group::new(name, &ranged(lines)));
    run(&[
        group("plain", &["domain=example.org"]),
        group("with a dot", &["domain=example.org."]),
        group("twice", &["domain=example.org", "domain=example.com"]),
        group("of a subnet", &["domain=sub.test,10.0.1.0/24"]),
        group("of a small subnet", &["domain=example.org", "domain=sub.test,10.0.1.96/28"]),
        group("of a subnet, local", &["domain=sub.test,10.0.1.0/24,local"]),
        group("of a range", &["domain=range.test,10.0.1.110,10.0.1.130", "domain=example.org"]),
        group("of one address", &["domain=one.test,10.0.1.100"]),
        group("of two overlapping", &["domain=a.test,10.0.1.0/24", "domain=b.test,10.0.1.64/26"]),
        group("of the interface", &["domain=net.test,net"]),
        group("of another interface", &["domain=net.test,eth7", "domain=example.org"]),
        group("overruled by option", &["domain=example.org", "dhcp-option=15,option.test"]),
    ]);
}
