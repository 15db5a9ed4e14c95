//! dhcp-range in all its forms, several networks, several interfaces.

use std::net::Ipv4Addr;

use super::{LOWEST, NO_LEASE_TIME, ONE_TO_MANY};
use crate::compare::What;
use crate::messages::{discover, host, inform, reboot, release, renew, select, select_from};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 6, 12, 15, 28, 51, 58, 59, 60, 42];

const fn far(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, number)
}

#[test]
fn forms_of_a_range() {
    let one = |name, line| {
        Group::new(name, &[line, "dhcp-sequential-ip"])
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("INFORM", inform(1, host(100)).asks(ASKED))
            .differs(What::Option(51), NO_LEASE_TIME)
    };
    run(&[
        one("with a netmask", "dhcp-range=10.0.1.100,10.0.1.120,255.255.255.128,1h"),
        one("with a netmask and a broadcast address", "dhcp-range=10.0.1.100,10.0.1.150,255.255.255.0,10.0.1.127,2h"),
        one("that is all", "dhcp-range=10.0.1.100,10.0.1.150"),
        one("backwards", "dhcp-range=10.0.1.150,10.0.1.100,30m"),
        one("one address, for ever", "dhcp-range=10.0.1.100,10.0.1.100,infinite"),
        one("two minutes", "dhcp-range=10.0.1.100,10.0.1.150,2m"),
        one("a week", "dhcp-range=10.0.1.100,10.0.1.150,1w"),
        one("less than two minutes", "dhcp-range=10.0.1.100,10.0.1.150,10"),
    ]);
}

#[test]
fn tags_of_ranges() {
    let two = [
        "dhcp-range=set:low,10.0.1.100,10.0.1.110,1h",
        "dhcp-range=tag:vip,set:high,10.0.1.200,10.0.1.210,2h",
        "dhcp-option=tag:low,42,10.0.1.3",
        "dhcp-option=tag:high,42,10.0.1.4",
        "dhcp-sequential-ip",
    ];
    let vip = ["dhcp-mac=set:vip,52:54:00:00:00:02"];
    let only =
        ["dhcp-range=tag:vip,10.0.1.100,10.0.1.110,1h", "dhcp-mac=set:vip,52:54:00:00:00:02", "dhcp-sequential-ip"];
    let not = [
        "dhcp-range=tag:!vip,10.0.1.100,10.0.1.110,1h",
        "dhcp-range=10.0.1.120,10.0.1.130,3h",
        vip[0],
        "dhcp-sequential-ip",
    ];
    let both = [
        "dhcp-range=tag:a,tag:b,10.0.1.100,10.0.1.110,1h",
        "dhcp-range=tag:a,10.0.1.120,10.0.1.130,1h",
        "dhcp-mac=set:a,52:54:00:*:*:*",
        "dhcp-mac=set:b,52:54:00:00:00:02",
        "dhcp-sequential-ip",
    ];
    run(&[
        Group::new("a range for some", &[&two[..], &vip].concat())
            .then("one of many", discover(1).asks(ASKED))
            .then("one of many, REQUEST", select(1, host(100)).asks(ASKED))
            .then("one of some", discover(2).asks(ASKED))
            .then("one of some, REQUEST", select(2, host(200)).asks(ASKED))
            .then("one of many wants the range for some", discover(3).asks(ASKED).with(50, &host(205).octets()))
            .then("and insists", select(3, host(205)).asks(ASKED))
            .then("one of some wants the other range", discover(2).asks(ASKED).with(50, &host(105).octets()))
            .then("renewal", renew(2, host(200)).asks(ASKED))
            .fuzzy(),
        Group::new("only for some", &only)
            .fenced()
            .then("one of many", discover(1).asks(ASKED))
            .then("one of many insists", select(1, host(100)).asks(ASKED))
            .then("one of many, INFORM", inform(1, host(50)).asks(ASKED))
            .differs(What::Field("siaddr"), "an answer says where it is from")
            .then("one of some", discover(2).asks(ASKED))
            .then("one of some, REQUEST", select(2, host(100)).asks(ASKED)),
        Group::new("not for some", &not)
            .then("one of many", discover(1).asks(ASKED))
            .then("one of some", discover(2).asks(ASKED))
            .then("one of some, REQUEST", select(2, host(120)).asks(ASKED))
            .then("one of some wants what is not for it", discover(2).asks(ASKED).with(50, &host(105).octets())),
        Group::new("two tags", &both)
            .then("one tag", discover(1).asks(ASKED))
            .then("both tags", discover(2).asks(ASKED)),
    ]);
}

#[test]
fn ranges_of_one_subnet() {
    let order = ["dhcp-range=10.0.1.150,10.0.1.151,1h", "dhcp-range=10.0.1.100,10.0.1.101,2h", "dhcp-sequential-ip"];
    run(&[
        Group::new("two ranges", &order)
            .then("one", discover(1).asks(ASKED))
            .then("one, REQUEST", select(1, host(150)).asks(ASKED))
            .then("two", discover(2).asks(ASKED))
            .then("two, REQUEST", select(2, host(151)).asks(ASKED))
            .then("three", discover(3).asks(ASKED))
            .then("three, REQUEST", select(3, host(100)).asks(ASKED))
            .then("four", discover(4).asks(ASKED))
            .then("four, REQUEST", select(4, host(101)).asks(ASKED))
            .then("five", discover(5).asks(ASKED)),
        Group::new("limit over ranges", &[&order[..], &["dhcp-lease-max=3"]].concat())
            .then("one", select(1, host(150)).asks(ASKED))
            .then("two", select(2, host(151)).asks(ASKED))
            .then("three", select(3, host(100)).asks(ASKED))
            .then("four", select(4, host(101)).asks(ASKED))
            .differs(What::Answered, "a NAK would make it ask without end; the log says that the limit is reached"),
        Group::new(
            "a static range beside",
            &[
                "dhcp-range=10.0.1.0,static,4h",
                "dhcp-range=10.0.1.100,10.0.1.110,1h",
                "dhcp-host=52:54:00:00:00:01,10.0.1.20",
                "dhcp-host=52:54:00:00:00:02,10.0.1.105",
                "dhcp-sequential-ip",
            ],
        )
        .then("outside the range", discover(1).asks(ASKED))
        .then("outside the range, REQUEST", select(1, host(20)).asks(ASKED))
        .then("inside the range", discover(2).asks(ASKED))
        .then("inside the range, REQUEST", select(2, host(105)).asks(ASKED))
        .then("a stranger", discover(3).asks(ASKED))
        .differs_in(&[What::Field("yiaddr"), What::Field("to")], LOWEST),
        Group::new(
            "a static range alone",
            &[
                "dhcp-range=set:st,10.0.1.0,static,4h",
                "dhcp-host=52:54:00:00:00:01,10.0.1.20",
                "dhcp-host=52:54:00:00:00:04,four",
                "dhcp-option=tag:st,42,10.0.1.9",
            ],
        )
        .then("a known machine", discover(1).asks(ASKED))
        .then("a known machine, REQUEST", select(1, host(20)).asks(ASKED))
        .then("a stranger", discover(3).asks(ASKED))
        .then("a stranger insists", select(3, host(33)).asks(ASKED))
        .then("a stranger boots", reboot(3, host(33)).asks(ASKED))
        .then("a known machine without an address", discover(4).asks(ASKED))
        .then("INFORM", inform(3, host(33)).asks(ASKED)),
    ]);
}

#[test]
fn by_hash() {
    let hashed = Group::new("hashed", &["dhcp-range=10.0.1.100,10.0.1.150,1h", "dhcp-range=10.0.1.10,10.0.1.40,2h"]);
    let hashed = (1..=5).fold(hashed, |group, machine| group.then("DISCOVER", discover(machine).asks(ASKED)));
    run(&[
        hashed
            .then("one with a wish", discover(6).asks(ASKED).with(50, &host(120).octets()))
            .then("a wish in the second range", discover(7).asks(ASKED).with(50, &host(20).octets()))
            .then("our own address wanted", discover(8).asks(ASKED).with(50, &host(1).octets()))
            .then("one takes another's", select(6, host(120)).asks(ASKED))
            .then("another wants the same", discover(9).asks(ASKED).with(50, &host(120).octets())),
        Group::new(
            "addresses that Windows takes for broadcasts",
            &["dhcp-range=192.168.4.254,192.168.5.1,255.255.254.0,1h", "dhcp-sequential-ip"],
        )
        .address("192.168.5.9/23")
        .fenced()
        .then("one", discover(1).asks(ASKED))
        .then(
            "one, REQUEST",
            select_from(Ipv4Addr::new(192, 168, 5, 9), 1, Ipv4Addr::new(192, 168, 4, 254)).asks(ASKED),
        )
        .then("two", discover(2).asks(ASKED))
        .then("two, REQUEST", select_from(Ipv4Addr::new(192, 168, 5, 9), 2, Ipv4Addr::new(192, 168, 5, 1)).asks(ASKED))
        .then("three", discover(3).asks(ASKED))
        .then("four wants it", discover(4).asks(ASKED).with(50, &[192, 168, 4, 255])),
        Group::new("our own address in the range", &["dhcp-range=10.0.1.1,10.0.1.9", "dhcp-sequential-ip"])
            .then("one", discover(1).asks(ASKED))
            .then("one wants ours", discover(1).asks(ASKED).with(50, &host(1).octets()))
            .then("one insists", select(2, host(1)).asks(ASKED)),
    ]);
}

#[test]
fn two_interfaces() {
    let conf = [
        "dhcp-range=10.0.1.100,10.0.1.110,1h",
        "dhcp-range=set:second,10.0.2.100,10.0.2.110,2h",
        "dhcp-sequential-ip",
        "dhcp-option=tag:net,42,10.0.1.3",
        "dhcp-option=tag:far,42,10.0.2.3",
        "dhcp-option=tag:second,15,second",
    ];
    run(&[
        Group::new("two networks", &conf)
            .cable("far", &["10.0.2.1/24"])
            .then("here", discover(1).asks(ASKED))
            .then("here, REQUEST", select(1, host(100)).asks(ASKED))
            .on("far")
            .then("there", discover(2).asks(ASKED))
            .then("there, REQUEST", select_from(far(1), 2, far(100)).asks(ASKED))
            .then("it moved from here to there", discover(1).asks(ASKED))
            .then("it boots there with the old address", reboot(1, host(100)).asks(ASKED))
            .then("it takes the address there", select_from(far(1), 1, far(101)).asks(ASKED))
            .then("it names us as it knew us", select(3, far(102)).asks(ASKED))
            .on("net")
            .then("a renewal by the other network", renew(2, far(100)).asks(ASKED))
            .fuzzy()
            .then("another network's address is wanted", discover(4).asks(ASKED).with(50, &far(105).octets()))
            .then("and insisted on", select(4, far(105)).asks(ASKED)),
        Group::new("one is not served", &conf)
            .cable("far", &["10.0.3.1/24"])
            .then("here", discover(1).asks(ASKED))
            .on("far")
            .then("there", discover(2).asks(ASKED))
            .then("there, REQUEST", select_from(Ipv4Addr::new(10, 0, 3, 1), 2, host(104)).asks(ASKED))
            .then("there, INFORM", inform(2, Ipv4Addr::new(10, 0, 3, 9)).asks(ASKED)),
        Group::new("two addresses of one interface", &conf)
            .address("10.0.2.1/24")
            .then("one", discover(1).asks(ASKED))
            .then("three wants one of the first", discover(3).asks(ASKED).with(50, &host(105).octets()))
            .then("three takes it", select(3, host(105)).asks(ASKED))
            .then("three gives it back", release(3, host(105)))
            .then("two takes the second, of the second", select_from(far(1), 2, far(106)).asks(ASKED))
            .then("INFORM in the second", inform(2, far(106)).asks(ASKED))
            .differs(What::Option(51), NO_LEASE_TIME),
    ]);
}

#[test]
fn shared_networks() {
    let two = [
        "dhcp-range=10.0.1.100,10.0.1.100,1h",
        "dhcp-range=10.0.7.100,10.0.7.110,255.255.255.0,2h",
        "dhcp-sequential-ip",
    ];
    let by = |name, line| {
        Group::new(name, &[&two[..], &[line]].concat())
            .then("one", discover(1).asks(ASKED))
            .then("one, REQUEST", select(1, host(100)).asks(ASKED))
            .then("two", discover(2).asks(ASKED))
            .then("two, REQUEST", select(2, Ipv4Addr::new(10, 0, 7, 100)).asks(ASKED))
            .then("two, reboot", reboot(2, Ipv4Addr::new(10, 0, 7, 100)).asks(ASKED))
            .then("two, INFORM", inform(2, Ipv4Addr::new(10, 0, 7, 100)).asks(ASKED))
            .differs(What::Option(51), NO_LEASE_TIME)
    };
    run(&[
        by("shared by interface", "shared-network=net,10.0.7.1"),
        by("shared by address", "shared-network=10.0.1.1,10.0.7.1"),
        Group::new("not shared", &two).then("one", discover(1).asks(ASKED)).then("two insists", select(2, Ipv4Addr::new(10, 0, 7, 100))),
        Group::new("shared with another interface", &[&two[..], &["shared-network=far,10.0.7.1"]].concat())
            .cable("far", &["10.0.2.1/24"])
            .then("here", discover(1).asks(ASKED))
            .differs_in(
                &[
                    What::Field("yiaddr"),
                    What::Field("to"),
                    What::Field("siaddr"),
                    What::Option(3),
                    What::Option(28),
                    What::Option(51),
                    What::Option(54),
                    What::Option(58),
                    What::Option(59),
                ],
                "another interface shares that network; dnsmasq 2.90 offers its addresses on this one too, in the name of \
                 an address that is not here",
            )
            .on("far")
            .then("there", discover(2).asks(ASKED))
            .then("there, REQUEST", select_from(far(1), 2, Ipv4Addr::new(10, 0, 7, 100)).asks(ASKED)),
        Group::new("shared, for a relay", &["dhcp-range=10.0.7.100,10.0.7.110,255.255.255.0,2h", "shared-network=10.9.0.1,10.0.7.1", "dhcp-sequential-ip"])
            .fenced()
            .command("ip route add 10.9.0.0/16 dev net")
            .then("by the relay", discover(1).asks(ASKED).by(Ipv4Addr::new(10, 9, 0, 1)))
            .then("by the relay, REQUEST", select(1, Ipv4Addr::new(10, 0, 7, 100)).asks(ASKED).by(Ipv4Addr::new(10, 9, 0, 1)))
            .then("by another relay", discover(1).asks(ASKED).by(Ipv4Addr::new(10, 9, 0, 2)))
            .then("directly", discover(1).asks(ASKED)),
    ]);
}

#[test]
fn which_interfaces() {
    let ranges = [
        "dhcp-range=10.0.1.100,10.0.1.110,1h",
        "dhcp-range=10.0.2.100,10.0.2.110,2h",
        "dhcp-sequential-ip",
        "interface=fence",
    ];
    let with = |name, lines: &[&'static str]| {
        Group::new(name, &[&ranges[..], lines].concat())
            .fenced()
            .names_no_interfaces()
            .cable("far", &["10.0.2.1/24"])
            .then("here", discover(1).asks(ASKED))
            .on("far")
            .then("there", discover(2).asks(ASKED))
            .then("there, INFORM", inform(3, far(9)).asks(ASKED))
    };
    run(&[
        with("interface", &["interface=far"]),
        with("interface, bind-interfaces", &["interface=far", "bind-interfaces"]),
        with("interface, bind-dynamic", &["interface=far", "bind-dynamic"]),
        with("wildcard", &["interface=f*"]),
        with("wildcard, bind-interfaces", &["interface=f*", "bind-interfaces"]),
        with("except-interface", &["interface=net", "interface=far", "except-interface=net"]),
        with("except-interface by wildcard", &["interface=*", "except-interface=n*"]),
        with("listen-address", &["listen-address=10.0.2.1"]),
        with("listen-address and interface", &["listen-address=10.0.2.1", "interface=net", "bind-interfaces"]),
        with("no-dhcp-interface", &["interface=net", "interface=far", "no-dhcp-interface=net"]),
        with("no-dhcpv4-interface", &["interface=net", "interface=far", "no-dhcpv4-interface=far"]),
        with("no-dhcp-interface by wildcard", &["interface=*", "no-dhcp-interface=n*"]),
    ]);
}

#[test]
fn interfaces_that_come_later() {
    let ranges = [
        "dhcp-range=10.0.1.100,10.0.1.110,1h",
        "dhcp-range=10.0.2.100,10.0.2.110,2h",
        "dhcp-range=10.0.3.100,10.0.3.110,3h",
        "dhcp-range=10.0.4.100,10.0.4.110,4h",
        "dhcp-sequential-ip",
    ];
    let with = |name, lines: &[&'static str]| {
        let is_bound = lines == ["bind-interfaces", "interface=net"];
        let unless_bound = |group: Group| if is_bound { group.unheard() } else { group };
        let group = Group::new(name, &[&ranges[..], lines].concat()).names_no_interfaces().any_address(ONE_TO_MANY);
        let group = group
            .then("at the start", discover(1).asks(ASKED))
            .then("on one that is laid now", discover(2).asks(ASKED))
            .over_new_cable("tap1", &["10.0.2.1/24"])
            .on("tap1")
            .then("its REQUEST", select_from(far(1), 2, far(100)).asks(ASKED));
        unless_bound(group)
            .then("and one more", discover(3).asks(ASKED))
            .over_new_cable("other", &["10.0.3.1/24"])
            .on("net")
            .then("at the start, again", discover(4).asks(ASKED).with(50, &host(107).octets()))
            .then("with another address", inform(5, Ipv4Addr::new(10, 0, 4, 9)).asks(ASKED))
            .once("ip address add 10.0.4.7/24 brd + dev net")
    };
    run(&[
        with("bind-dynamic, all", &["bind-dynamic"]),
        with("bind-dynamic, by name", &["bind-dynamic", "interface=net", "interface=tap*"]),
        with("all, without a word", &["except-interface=other"]),
        with("bind-interfaces, all", &["bind-interfaces"]),
        with("bind-interfaces, by name", &["bind-interfaces", "interface=net"]),
    ]);
}

#[test]
fn ports_that_stand_for_a_bridge() {
    let conf = ["dhcp-range=10.0.1.100,10.0.1.110,1h", "dhcp-sequential-ip", "bridge-interface=net,tap*"];
    run(&[Group::new(
        "bridge-interface",
        &[&conf[..], &["dhcp-option=tag:net,42,10.0.1.3", "interface=net"]].concat(),
    )
    .names_no_interfaces()
    .cable("tap1", &[])
    .cable("other", &[])
    .then("on the bridge", discover(1).asks(ASKED))
    .on("tap1")
    .then("on a port", discover(1).asks(ASKED))
    .then("on a port, REQUEST", select(1, host(100)).asks(ASKED))
    .on("other")
    .then("on something else", discover(2).asks(ASKED))]);
}
