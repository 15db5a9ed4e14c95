//! What no server should answer, and what it should answer all the same.

use dhcp::v4::code;

use super::ranged;
use crate::compare::What;
use crate::messages::{bootp, discover, host, select};
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

#[test]
fn broken_headers() {
    const NOT_ETHERNET: &str = "who has no Ethernet address is not answered: nothing that boots here is without one";
    let steps = |group: Group| {
        group
            .then("no hardware address", discover(1).octet(2, 0))
            .then("one of 16 octets", discover(1).octet(2, 16))
            .differs(What::Answered, NOT_ETHERNET)
            .then("one of 17 octets", discover(1).octet(2, 17))
            .then("one of 255 octets", discover(1).octet(2, 255))
            .then("hardware type 0", discover(1).octet(1, 0))
            .then("hardware type 0 and no address", discover(1).octet(1, 0).octet(2, 0))
            .then("many hops", discover(1).octet(3, 255))
            .differs(What::Field("hops"), "RFC 2131 table 3: 0 in every answer")
            .then("yiaddr set", discover(1).octet(16, 10))
            .then("siaddr set", discover(1).octet(20, 10))
            .then("ciaddr in a DISCOVER", discover(1).at(host(140)))
            .then("every flag", discover(1).octet(10, 255).octet(11, 255))
            .then("octets behind the address", discover(1).octet(34, 7).octet(43, 7))
            .then("a name without an end", (108..236).fold(discover(1), |message, at| message.octet(at, b'x')))
    };
    run(&[steps(Group::new("headers", &ranged(&[])))]);
}

#[test]
fn broken_options() {
    let overloaded = |value: u8, field: usize, octets: &[u8]| {
        let message = discover(1).with(code::OVERLOAD, &[value]);
        octets.iter().zip(field..).fold(message, |message, (octet, at)| message.octet(at, *octet))
    };
    let steps = |group: Group| {
        group
            .then("option 52 that fills nothing", discover(1).with(code::OVERLOAD, &[3]))
            .then("option 52 of no value", discover(1).with(code::OVERLOAD, &[]))
            .then("option 52 of a strange value", discover(1).with(code::OVERLOAD, &[255]))
            .then("option 52 in file again", overloaded(1, 108, &[code::OVERLOAD, 1, 3, code::END]))
            .then("option 52 in both", overloaded(3, 44, &[code::OVERLOAD, 1, 3, code::END]))
            .then("a name in file", overloaded(1, 108, &[12, 2, b'p', b'c', code::END]))
            .then("a list in sname", overloaded(2, 44, &[55, 2, 1, 3, code::END]))
            .then("file without an end", overloaded(1, 108, &[12, 200]))
            .then("every option asked for", discover(1).asks(&(0..=254).collect::<Vec<u8>>()))
            .then("pads in between", discover(1).with(0, &[]).asks(&[1, 3]))
            .then("a wish of no octets", discover(1).with(code::REQUESTED_ADDRESS, &[]))
            .then("a lease time of two octets", discover(1).with(code::LEASE_TIME, &[0, 9]))
            .then("a maximum size of one octet", discover(1).with(code::MAX_MESSAGE_SIZE, &[9]))
            .then("a name of no octets", discover(1).with(code::HOST_NAME, &[]))
            .then("a name of NULs", discover(1).with(code::HOST_NAME, &[0, 0, 0]))
            .then("a name of dots", discover(1).with(code::HOST_NAME, b"..."))
            .then("a long name", discover(1).with(code::HOST_NAME, &[b'n'; 200]))
            .then("option 82 in pieces", discover(1).by(host(5)).with(82, &[1, 200, 7]))
            .then("option 82 of no octets", discover(1).by(host(5)).with(82, &[]))
            .then("BOOTP with a broken option", bootp(1).with(12, b"x").octet(241, 250).padded())
            .then("REQUEST of an address of two octets", select(1, host(100)).octet(244, 2))
    };
    run(&[
        steps(Group::new("options", &ranged(&["dhcp-option=42,10.0.1.3"]))),
        steps(Group::new("options, with BOOTP", &ranged(&["bootp-dynamic", "dhcp-option=42,10.0.1.3"]))),
    ]);
}
