//! Names of leases, in both directions.

use std::net::Ipv4Addr;

use dhcp::v4::code;

use super::KEPT_LONGER;
use crate::dns::ask::{ask, ask_name_of};
use crate::dns::compare::What;
use crate::dns::scenario::{Group, run};
use crate::messages::{Message, discover, host, release, renew, select};

const RANGE: &[&str] = &["dhcp-range=10.0.1.100,10.0.1.150,1h", "dhcp-sequential-ip", "dhcp-authoritative"];

fn named(machine: u8, last: u8, name: &str) -> Message {
    select(machine, host(last)).with(code::HOST_NAME, name.as_bytes())
}

fn at(last: u8) -> String {
    Ipv4Addr::new(10, 0, 1, last).to_string()
}

fn group(name: &'static str, lines: &[&str]) -> Group {
    Group::new(name, &[RANGE, lines].concat())
}

/// The names of one machine, both ways.
fn both_ways(group: Group, when: &str, name: &str, last: u8) -> Group {
    let step = |what: &str| format!("{when}: {what}");
    group
        .ask(&step(name), ask(&format!("{name} A")))
        .ask(&step("with the domain"), ask(&format!("{name}.lan A")))
        .ask(&step("AAAA"), ask(&format!("{name} AAAA")))
        .ask(&step("PTR"), ask_name_of(&at(last)))
}

const DENIED: &str = "dnsmasq denies a name of a lease to who asks for another type, if it was not there before";
const STILL_THERE: &str = "for a while dnsmasq says of a name that was released that it is there, without addresses";
const STRAY_SOA: &str = "dnsmasq adds the SOA of a name that was not there before";

/// Who asked for a name before it was leased.
fn denied(group: Group, step: &'static str) -> Group {
    group.differs_at(step, &[What::Code, What::Bit("AA")], DENIED)
}

#[test]
fn given_and_taken_back() {
    let steps = |group: Group| {
        let group = both_ways(group, "before", "pc", 100).dhcp(discover(1)).dhcp(named(1, 100, "pc"));
        let group = both_ways(group, "leased", "pc", 100).dhcp(renew(1, host(100)).with(code::HOST_NAME, b"pc2"));
        let group = both_ways(group, "another name", "pc2", 100).ask("the old one", ask("pc A"));
        let group = group.dhcp_told(release(1, host(100))).ask("released", ask("pc2 A")).until_without("10.0.1.100");
        let group = group.varies(What::Code, STILL_THERE).varies(What::Bit("AA"), STILL_THERE);
        let group = group.by_chance(&[What::Asked], KEPT_LONGER).by_chance(&[What::Authority], STRAY_SOA);
        // Where names need their domain, the answer before said nothing.
        group.ask("released: PTR", ask_name_of("10.0.1.100")).until_without("pc2")
    };
    run(&[
        denied(steps(group("leases", &[])), "leased: AAAA"),
        denied(steps(group("leases with a domain", &["domain=lan"])), "leased: AAAA"),
        steps(group("leases in a local domain", &["domain=lan", "local=/lan/", "bogus-priv", "domain-needed"])),
        steps(group("dhcp-fqdn", &["domain=lan", "dhcp-fqdn"])),
        denied(steps(group("dhcp-ttl", &["domain=lan", "dhcp-ttl=30"])), "leased: AAAA"),
        denied(steps(group("local-ttl", &["domain=lan", "local-ttl=40"])), "leased: AAAA"),
        denied(steps(group("dhcp-ttl over local-ttl", &["domain=lan", "local-ttl=40", "dhcp-ttl=30"])), "leased: AAAA"),
    ])
}

#[test]
fn names_that_are_laid_down() {
    let conf = [
        "domain=lan",
        "dhcp-host=52:54:00:00:00:01,10.0.1.101,one",
        "dhcp-host=52:54:00:00:00:02,two",
        "dhcp-host=52:54:00:00:00:03,10.0.1.103",
        "dhcp-host=52:54:00:00:00:04,ignore-me,10.0.1.104",
    ];
    let group = group("dhcp-host", &conf).file("hosts", "10.0.1.105 five\n10.0.1.103 three\n");
    let group = both_ways(group, "reserved, not there yet", "one", 101);
    let group = group.dhcp(named(1, 101, "other"));
    let group = both_ways(group, "reserved and leased", "one", 101).ask("what it said", ask("other A"));
    let group = group.dhcp(discover(2)).dhcp(named(2, 100, "says-two"));
    let group = denied(group, "reserved and leased: AAAA");
    run(&[both_ways(group, "a name alone", "two", 100)
        .dhcp(named(3, 103, "three"))
        .ask("its own name", ask("three.lan A"))
        .ask("MX of a lease", ask("three.lan MX"))
        .ask("ANY of a lease", ask("three.lan ANY"))
        .ask("below a lease", ask("below.three.lan A"))
        .by_chance(&[What::Authority], STRAY_SOA)
        .by_chance(&[What::Asked], KEPT_LONGER)])
}

#[test]
fn names_that_meet() {
    let conf = ["domain=lan", "addn-hosts=FOLDER/hosts", "host-record=laid.lan,10.0.1.77", "expand-hosts"];
    run(&[group("names that meet", &conf)
        .file("hosts", "10.0.1.20 printer\n10.0.1.110 kept\n")
        .dhcp(discover(1))
        .dhcp(named(1, 100, "printer"))
        .ask("a name of the hosts file", ask("printer A"))
        .ask("its PTR there", ask_name_of("10.0.1.20"))
        .ask("its PTR here", ask_name_of("10.0.1.100"))
        .dhcp(discover(2))
        .dhcp(named(2, 101, "laid"))
        .ask("a name laid down", ask("laid.lan A"))
        .ask("the name alone", ask("laid A"))
        .dhcp(discover(3))
        .dhcp(named(3, 102, "same"))
        .dhcp(discover(4))
        .dhcp(named(4, 103, "same"))
        .ask("two of one name", ask("same.lan A"))
        .ask("PTR of the first", ask_name_of("10.0.1.102"))
        .ask("PTR of the second", ask_name_of("10.0.1.103"))
        .dhcp(select(5, host(110)))
        .ask("address of the hosts file", ask("kept A"))
        .ask("its PTR", ask_name_of("10.0.1.110"))])
}

#[test]
fn domains_of_ranges() {
    let conf = ["domain=lan", "domain=low.test,10.0.1.100,10.0.1.101", "dhcp-fqdn"];
    let steps = |group: Group| {
        group
            .dhcp(discover(1))
            .dhcp(named(1, 100, "pc"))
            .dhcp(discover(2))
            .dhcp(named(2, 120, "box"))
            .asks(&["pc A", "pc.lan A", "pc.low.test A", "box A", "box.lan A", "box.low.test A"])
            .ask("PTR in the small one", ask_name_of("10.0.1.100"))
            .ask("PTR in the large one", ask_name_of("10.0.1.120"))
    };
    run(&[
        steps(group("a domain per range", &conf[..2])),
        steps(group("a domain per range, dhcp-fqdn", &conf)),
        steps(group("a subnet's domain, local", &["domain=lan", "domain=low.test,10.0.1.0/24,local"])),
    ])
}
