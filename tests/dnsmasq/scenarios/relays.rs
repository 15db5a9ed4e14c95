//! Behind relays, and being one.

use std::net::Ipv4Addr;

use super::{NO_LEASE_TIME, ONE_TO_MANY};
use crate::compare::What;
use crate::messages::{Message, decline, discover, host, inform, reboot, release, renew, select, select_from};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 6, 12, 15, 28, 51, 58, 59, 42];
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

const ELSEWHERE: &str = "a relay of another subnet cannot be the router of this one";
const UNASKED: &str = "RFC 3011 section 3: option 118 is returned to who sent it, where it was what chose";
const EACH: &str = "each relay is the router of the machines behind it; dnsmasq names the first that it heard of";

const fn behind(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, number)
}

fn relayed(name: &'static str, conf: &[&str]) -> Group {
    Group::new(name, &[conf, &["dhcp-sequential-ip"]].concat())
        .fenced()
        .command("ip route add 10.9.0.0/16 dev net")
        .command("ip route add 44.0.0.0/8 dev net")
        .command("ip route add 172.16.0.0/12 dev net")
        .command("ip route add 192.168.0.0/16 dev net")
}

#[test]
fn a_network_behind_a_relay() {
    let conf = ["dhcp-range=set:behind,10.9.0.100,10.9.0.110,255.255.255.0,1h", "dhcp-option=tag:behind,42,10.9.0.3"];
    let steps = |group: Group| {
        group
            .any_address(ONE_TO_MANY)
            .then("DISCOVER", discover(1).asks(ASKED).by(RELAY))
            .then("REQUEST", select(1, behind(100)).asks(ASKED).by(RELAY))
            .then("renewal, straight to us", renew(1, behind(100)).asks(ASKED))
            .fuzzy()
            .then("rebinding, by the relay", renew(1, behind(100)).asks(ASKED).by(RELAY))
            .fuzzy()
            .then("INFORM, straight to us", inform(1, behind(100)).asks(ASKED))
            .differs(What::Option(51), NO_LEASE_TIME)
            .then("INFORM, by the relay", inform(1, behind(100)).asks(ASKED).by(RELAY))
            .differs(What::Option(51), NO_LEASE_TIME)
            .then("reboot", reboot(1, behind(100)).asks(ASKED).by(RELAY))
            .then("with the broadcast flag", discover(2).asks(ASKED).by(RELAY).broadcast())
            .then("by another relay of that network", discover(3).asks(ASKED).by(behind(2)))
            .differs(What::Option(3), EACH)
            .then("by a relay of no network", discover(4).asks(ASKED).by(Ipv4Addr::new(10, 9, 1, 1)))
            .then("without a relay", discover(5).asks(ASKED))
            .then("wrong network, by the relay", reboot(6, host(7)).asks(ASKED).by(RELAY))
            .varies(What::Answered, "RFC 2131 section 4.3.2: a server SHOULD NAK")
            .then(
                "what the relay has itself is wanted",
                discover(7).asks(ASKED).by(behind(105)).with(50, &behind(105).octets()),
            )
            .differs(What::Option(3), EACH)
            .then("another's address, by the relay", select(8, behind(100)).asks(ASKED).by(RELAY))
            .then("option 82", discover(9).asks(ASKED).by(RELAY).with(82, b"\x01\x03abc\x02\x02xy"))
            .then("DECLINE", decline(1, behind(100)).by(RELAY))
            .then("RELEASE", release(2, behind(101)))
    };
    run(&[
        steps(relayed("relayed", &conf)),
        steps(relayed("relayed, authoritative", &[&conf[..], &["dhcp-authoritative"]].concat())),
    ]);
}

#[test]
fn netmasks_by_class() {
    let one = |name, range, relay: Ipv4Addr, first: Ipv4Addr| {
        relayed(name, &[range])
            .then("DISCOVER", discover(1).asks(ASKED).by(relay))
            .then("REQUEST", select(1, first).asks(ASKED).by(relay))
            .then("renewal", renew(1, first).asks(ASKED))
            .fuzzy()
            .varies(What::Answered, "its manual: strict RFC compliance is to ignore what nobody knows of")
    };
    let c = |last| Ipv4Addr::new(192, 168, 77, last);
    run(&[
        one("class A", "dhcp-range=44.9.0.100,44.9.0.110", Ipv4Addr::new(44, 200, 0, 1), Ipv4Addr::new(44, 9, 0, 100)),
        one("class B", "dhcp-range=172.16.9.5,172.16.9.7", Ipv4Addr::new(172, 16, 0, 1), Ipv4Addr::new(172, 16, 9, 5)),
        one("class C", "dhcp-range=192.168.77.5,192.168.77.7", c(1), c(5)),
        one("static", "dhcp-range=192.168.77.0,static", c(1), c(5)),
        one("a broadcast address", "dhcp-range=192.168.77.5,192.168.77.7,255.255.255.0,192.168.77.127", c(1), c(5)),
    ]);
}

#[test]
fn what_option_82_and_118_choose() {
    let conf = [
        "dhcp-range=10.9.0.100,10.9.0.110,255.255.255.0,1h",
        "dhcp-range=set:b,10.9.2.100,10.9.2.110,255.255.255.0,1h",
        "dhcp-option=tag:b,42,10.9.2.3",
    ];
    let (there, other) = (Ipv4Addr::new(10, 9, 2, 100), Ipv4Addr::new(10, 9, 2, 1));
    let link = [&[5, 4][..], &other.octets()].concat();
    let server = [&[11, 4][..], &RELAY.octets()].concat();
    let both = [&link[..], &server].concat();
    run(&[
        relayed("link selection", &conf)
            .any_address(ONE_TO_MANY)
            .throughout(What::Option(3), ELSEWHERE)
            .throughout(What::Option(118), UNASKED)
            .then("DISCOVER", discover(1).asks(ASKED).by(RELAY).with(82, &link))
            .then("REQUEST", select(1, there).asks(ASKED).by(RELAY).with(82, &link))
            .then("renewal", renew(1, there).asks(ASKED))
            .fuzzy()
            .then("no such link", discover(2).asks(ASKED).by(RELAY).with(82, &[5, 4, 10, 9, 3, 1]))
            .then("too short", discover(2).asks(ASKED).by(RELAY).with(82, &[5, 3, 10, 9, 3]))
            .then("without a relay", discover(3).asks(ASKED).with(82, &link)),
        relayed("subnet selection", &conf)
            .throughout(What::Order, "the times stand together, where old ROMs look for them")
            .any_address(ONE_TO_MANY)
            .throughout(What::Option(3), ELSEWHERE)
            .then("by a relay", discover(1).asks(ASKED).by(RELAY).with(118, &other.octets()))
            .then("by a relay, REQUEST", select(1, there).asks(ASKED).by(RELAY).with(118, &other.octets()))
            .then("by the client", discover(2).asks(ASKED).with(118, &RELAY.octets()))
            .then("no such subnet", discover(2).asks(ASKED).with(118, &[10, 9, 3, 1]))
            .then(
                "against option 82",
                discover(3).asks(ASKED).by(other).with(118, &other.octets()).with(82, &[5, 4, 10, 9, 0, 1]),
            )
            .differs(What::Option(118), UNASKED),
        relayed("server identifier override", &conf)
            .throughout(What::Option(3), ELSEWHERE)
            .throughout(What::Option(118), UNASKED)
            .then("DISCOVER", discover(1).asks(ASKED).by(RELAY).with(82, &server))
            .then("REQUEST", select_from(RELAY, 1, behind(100)).asks(ASKED).by(RELAY).with(82, &server))
            .then("REQUEST of us", select(1, behind(100)).asks(ASKED).by(RELAY).with(82, &server))
            .then("renewal by the relay", renew(1, behind(100)).asks(ASKED).by(RELAY).with(82, &server))
            .fuzzy()
            .then("another's", select_from(RELAY, 2, behind(100)).asks(ASKED).by(RELAY).with(82, &server))
            .then("DECLINE of us", decline(1, behind(100)).by(RELAY).with(82, &server))
            .then("link selection too", discover(4).asks(ASKED).by(RELAY).with(82, &both))
            .then("INFORM", inform(4, behind(50)).asks(ASKED).by(RELAY).with(82, &server)),
    ]);
}

#[test]
fn relays_as_proxies() {
    let conf = ["dhcp-range=10.9.0.100,10.9.0.110,255.255.255.0,1h", "dhcp-range=10.0.1.100,10.0.1.110,1h"];
    let steps = |group: Group| {
        group
            .then("DISCOVER", discover(1).asks(ASKED).by(RELAY))
            .then("REQUEST of the relay", select_from(RELAY, 1, behind(100)).asks(ASKED).by(RELAY))
            .then("REQUEST of us", select(1, behind(100)).asks(ASKED).by(RELAY))
            .any_address(ONE_TO_MANY)
            .then("by another relay", discover(2).asks(ASKED).by(behind(2)))
            .varies(What::Option(3), EACH)
            .then("without a relay", discover(3).asks(ASKED))
    };
    run(&[
        steps(relayed("dhcp-proxy", &[&conf[..], &["dhcp-proxy"]].concat())),
        steps(relayed("dhcp-proxy for one", &[&conf[..], &["dhcp-proxy=10.9.0.1"]].concat())),
        steps(relayed("dhcp-proxy for another", &[&conf[..], &["dhcp-proxy=10.9.0.2,10.9.0.3"]].concat())),
    ]);
}

/// A server's answer: to `machine`, by the relay `giaddr`, sent from `server`.
fn answer(kind: u8, machine: u8, giaddr: Ipv4Addr, server: Ipv4Addr, yiaddr: Ipv4Addr) -> Message {
    let mut message = discover(machine).by(giaddr).with(54, &server.octets());
    message.0[0] = 2;
    message.0[16..20].copy_from_slice(&yiaddr.octets());
    message.0[20..24].copy_from_slice(&server.octets());
    message.0[242] = kind;
    message
}

#[test]
fn being_a_relay() {
    let server = Ipv4Addr::new(10, 0, 2, 9);
    let us = host(1);
    let relay = |name, lines: &[&str]| Group::new(name, lines).fenced().cable("upper", &["10.0.2.1/24"]);
    let hops = |hops: u8| discover(1).octet(3, hops);
    run(&[
        relay("relay", &["dhcp-relay=10.0.1.1,10.0.2.9"])
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("with the broadcast flag", discover(1).asks(ASKED).broadcast())
            .then("INFORM", inform(1, host(50)).asks(ASKED))
            .then("renewal", renew(1, host(50)).asks(ASKED))
            .then("by a relay before us", discover(1).asks(ASKED).by(host(5)))
            .then("by ourselves", discover(1).asks(ASKED).by(us))
            .then("4 hops", hops(4))
            .then("16 hops", hops(16))
            .then("20 hops", hops(20))
            .then("21 hops", hops(21))
            .then("option 82 of a switch", discover(1).asks(ASKED).with(82, &[1, 1, 9]))
            .on("upper")
            .then("OFFER", answer(2, 1, us, server, host(50)))
            .then("OFFER, broadcast", answer(2, 1, us, server, host(50)).broadcast())
            .then("ACK", answer(5, 1, us, server, host(50)))
            .then("NAK", answer(6, 1, us, server, Ipv4Addr::UNSPECIFIED).broadcast())
            .then("ACK of a renewal", answer(5, 1, us, server, host(50)).at(host(50)))
            .then("for another relay", answer(2, 1, Ipv4Addr::new(10, 0, 1, 77), server, host(50)))
            .then("for no relay", answer(2, 1, Ipv4Addr::UNSPECIFIED, server, host(50)))
            .then("a client on the server's side", discover(2)),
        relay("two servers", &["dhcp-relay=10.0.1.1,10.0.2.9", "dhcp-relay=10.0.1.1,10.0.2.10#1067"])
            .then("DISCOVER", discover(1).asks(ASKED)),
        relay("answers by one interface", &["dhcp-relay=10.0.1.1,10.0.2.9,upper"])
            .then("DISCOVER", discover(1).asks(ASKED))
            .on("upper")
            .then("OFFER", answer(2, 1, us, server, host(50)))
            .on("fence")
            .then("OFFER by another", answer(2, 1, us, server, host(50))),
        relay("broadcast on an interface", &["dhcp-relay=10.0.1.1,upper"]).then("DISCOVER", discover(1).asks(ASKED)),
        relay(
            "relay here, server there",
            &["dhcp-relay=10.0.1.1,10.0.2.9", "dhcp-range=10.0.2.100,10.0.2.110,1h", "dhcp-sequential-ip"],
        )
        .then("here", discover(1).asks(ASKED))
        .on("upper")
        .then("there", discover(1).asks(ASKED)),
    ]);
}
