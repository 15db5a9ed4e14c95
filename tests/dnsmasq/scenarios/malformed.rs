//! What no server should answer, and what it should answer all the same.

use super::ranged;
use crate::messages::{discover, host, select};
use crate::scenario::{Group, run};

#[test]
fn broken_packets() {
    run(&[Group::new("broken", &ranged(&[]))
        .then("a reply in place of a request", discover(1).octet(0, 2))
        .then("no such operation", discover(1).octet(0, 9))
        .then("no cookie", discover(1).octet(236, 0))
        .then("cut in the header", discover(1).cut(200))
        .then("no option at all", discover(1).cut(240))
        .then("no End", discover(1).cut(243))
        .then("message type of no length", discover(1).octet(241, 0))
        .then("no such message type", discover(1).octet(242, 99))
        .then("an OFFER to the server", discover(1).octet(242, 2))
        .then("an ACK to the server", discover(1).octet(242, 5))
        .then("an option past the end", discover(1).with(12, b"name").octet(244, 200))
        .then("an address of two octets", discover(1).with(50, &[10, 0]))
        .then("a server identifier of no octets", discover(1).with(54, &[]))
        .then("a list of no options", discover(1).with(55, &[]))
        .then("REQUEST without an address", select(5, host(100)).octet(243, 200))]);
}
