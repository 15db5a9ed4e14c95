//! When an answer comes, which times it tells, and how it travels.

use dhcp::v4::code;

use super::{FUZZ, ranged};
use crate::compare::What;
use crate::messages::{bootp, discover, host, inform, release, renew, select};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 28, 51, 58, 59];

#[test]
fn renewal_by_rule() {
    let steps = |group: Group| {
        group
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("without a list", discover(1))
            .then("not asked for", discover(1).asks(&[1]))
            .then("a shorter lease", discover(1).asks(ASKED).with(code::LEASE_TIME, &600u32.to_be_bytes()))
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("INFORM", inform(2, host(30)).asks(&[1, 58, 59]))
    };
    let group = |name: &'static str, lines: &[&'static str]| steps(Group::new(name, &ranged(lines)));
    run(&[
        group("T1", &["dhcp-option=58,1000"]),
        group("T2", &["dhcp-option=59,2000"]),
        group("both", &["dhcp-option=option:T1,700", "dhcp-option=option:T2,800"]),
        group("T1 behind T2", &["dhcp-option=58,3000", "dhcp-option=59,2000"]),
        group("longer than the lease", &["dhcp-option=58,7200", "dhcp-option=59,7300"]),
        group("too short", &["dhcp-option=58,2", "dhcp-option=59,1"]),
        group("in minutes", &["dhcp-option=58,10m"]),
        group("by tag", &["dhcp-mac=set:x,52:54:00:00:00:01", "dhcp-option=tag:x,58,900", "dhcp-option=58,1000"]),
        group("forced", &["dhcp-option-force=58,1000"]),
        steps(Group::new(
            "infinite",
            &["dhcp-range=10.0.1.100,10.0.1.150,infinite", "dhcp-sequential-ip", "dhcp-option=58,1000"],
        )),
    ]);
}

#[test]
fn broadcast() {
    let steps = |group: Group| {
        group
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("renewal", renew(1, host(100)).asks(ASKED))
            .varies(What::Option(58), FUZZ)
            .varies(What::Option(59), FUZZ)
            .then("INFORM", inform(1, host(100)).asks(&[1]))
            .then("by a relay", discover(1).asks(ASKED).by(host(5)))
            .then("BOOTP", bootp(1).padded())
            .then("NAK", select(7, std::net::Ipv4Addr::new(192, 168, 7, 7)).asks(ASKED))
            .then("another machine", discover(2).asks(ASKED))
            .then("its REQUEST", select(2, host(101)).asks(ASKED))
    };
    let tagged = &["dhcp-mac=set:x,52:54:00:00:00:02", "dhcp-broadcast=tag:x", "bootp-dynamic"];
    run(&[
        steps(Group::new("dhcp-broadcast", &ranged(&["dhcp-broadcast", "bootp-dynamic"]))),
        steps(Group::new("dhcp-broadcast by tag", &ranged(tagged))),
        steps(Group::new("dhcp-broadcast unless", &ranged(&[tagged[0], "dhcp-broadcast=tag:!x", tagged[2]]))),
    ]);
}

#[test]
fn rapid_commit() {
    const TIMES: &str = "any order is right (RFC 2131 section 4.1); ours keeps the times together";
    let rapid = |machine| discover(machine).asks(ASKED).with(code::RAPID_COMMIT, &[]);
    run(&[
        Group::new("dhcp-rapid-commit", &ranged(&["dhcp-rapid-commit", "domain=example.org"]))
            .throughout(What::Order, TIMES)
            .then("asked for", rapid(1))
            .then("asked for again", rapid(1))
            .then("not asked for", discover(2).asks(ASKED))
            .then("its REQUEST", select(2, host(101)).asks(ASKED))
            .then("with a name", rapid(3).with(code::HOST_NAME, b"three"))
            .then("with an address", rapid(4).with(code::REQUESTED_ADDRESS, &host(140).octets()))
            .then("RELEASE", release(3, host(102))),
        Group::new("without dhcp-rapid-commit", &ranged(&[])).then("asked for", rapid(1)),
    ]);
}

#[test]
fn other_ports() {
    let steps = |group: Group| {
        group
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("broadcast flag", discover(1).asks(ASKED).broadcast())
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("INFORM", inform(1, host(100)).asks(&[1]))
            .then("by a relay", discover(1).asks(ASKED).by(host(5)))
    };
    run(&[
        steps(Group::new("1067 and 1068", &ranged(&["dhcp-alternate-port"]))),
        steps(Group::new("one", &ranged(&["dhcp-alternate-port=2067"]))),
        steps(Group::new("two", &ranged(&["dhcp-alternate-port=2067,3068"]))),
    ]);
}
