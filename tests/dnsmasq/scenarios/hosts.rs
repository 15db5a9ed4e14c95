//! dhcp-host, lease times and the number of leases.

use super::{FUZZ, RANGE, ranged};
use crate::compare::What;
use crate::messages::{decline, discover, host, inform, release, renew, select};
use crate::scenario::{Group, run};

const KEPT: &str = "RFC 2131 section 4.3.1: a former client finds its address again while others are free";
const ASKED: &[u8] = &[1, 3, 12, 15, 51, 58, 59];

#[test]
fn reservations() {
    let conf = ranged(&[
        "dhcp-host=52:54:00:00:00:01,10.0.1.100,one",
        "dhcp-host=52:54:00:00:00:02,10.0.1.20,two",
        "dhcp-host=52:54:00:00:00:03,three",
        "dhcp-host=52:54:00:00:00:04,10.0.1.101",
        "dhcp-option=tag:known,42,10.0.1.3",
    ]);
    let asked = &[1, 3, 12, 42];
    run(&[Group::new("dhcp-host", &conf)
        .then("address and name", discover(1).asks(asked))
        .then("its REQUEST", select(1, host(100)).asks(asked))
        .then("an address outside the range", discover(2).asks(asked))
        .then("that REQUEST", select(2, host(20)).asks(asked))
        .then("a name only", discover(3).asks(asked))
        .then("its REQUEST too", select(3, host(102)).asks(asked))
        .then("an address only", discover(4).asks(asked).with(12, b"four"))
        .then("with a name of its own", select(4, host(101)).asks(asked).with(12, b"four"))
        .then("a stranger who wants the reserved one", discover(9).asks(asked).with(50, &host(100).octets()))
        .then("INFORM of a known machine", inform(3, host(102)).asks(asked))
        .then("RELEASE", release(4, host(101)))
        .then("asking for another address", discover(1).asks(asked).with(50, &host(140).octets()))
        .then("REQUEST of another address", select(1, host(140)).asks(asked))
        .differs(What::Answered, "the machine has a reservation, and the reservation holds")
        .differs(What::Leases, "so it keeps the reserved address")]);
}

#[test]
fn lease_times() {
    let wish = |secs: u32| discover(1).asks(ASKED).with(51, &secs.to_be_bytes());
    let steps = |group: Group| {
        group
            .then("no wish", discover(1).asks(ASKED))
            .then("a shorter time", wish(600))
            .then("a very short time", wish(10))
            .then("a longer time", wish(200_000))
            .then("for ever", wish(u32::MAX))
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("REQUEST of a shorter time", select(1, host(100)).asks(ASKED).with(51, &600u32.to_be_bytes()))
    };
    run(&[
        steps(Group::new("an hour by default", &["dhcp-range=10.0.1.100,10.0.1.150", RANGE[1]])),
        steps(Group::new("12 hours", &["dhcp-range=10.0.1.100,10.0.1.150,12h", RANGE[1]])),
        steps(Group::new("45 minutes", &["dhcp-range=10.0.1.100,10.0.1.150,45m", RANGE[1]])),
        steps(Group::new("infinite", &["dhcp-range=10.0.1.100,10.0.1.150,infinite", RANGE[1]])),
    ]);
}

#[test]
fn the_last_lease() {
    run(&[
        Group::new("one lease", &ranged(&["dhcp-lease-max=1"]))
            .then("the first", discover(1))
            .then("its REQUEST", select(1, host(100)))
            .then("the second", discover(2))
            .differs(What::Answered, "no offer that could not be kept")
            .then("its REQUEST all the same", select(2, host(101)))
            .differs(What::Answered, "a NAK would make it ask without end; the log says that the limit is reached")
            .then("the first again", renew(1, host(100)).asks(&[1]))
            .varies(What::Option(58), FUZZ)
            .varies(What::Option(59), FUZZ)
            .then("the first gives it back", release(1, host(100)))
            .then("the second now", discover(2))
            .differs(What::Field("yiaddr"), KEPT)
            .differs(What::Field("to"), KEPT),
        Group::new("a range of two", &["dhcp-range=10.0.1.100,10.0.1.101,1h", RANGE[1]])
            .then("one", discover(1))
            .then("one, REQUEST", select(1, host(100)))
            .then("two", discover(2))
            .then("two, REQUEST", select(2, host(101)))
            .then("three", discover(3))
            .then("two declines", decline(2, host(101)))
            .then("two again", discover(2)),
    ]);
}
