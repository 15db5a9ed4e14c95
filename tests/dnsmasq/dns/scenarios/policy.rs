//! What is not asked, not believed or changed on the way.

use super::{BY_QUESTION, OUR_OPTIONS, OWN_AD};
use crate::dns::ask::{ask, ask_name_of};
use crate::dns::compare::What;
use crate::dns::habits::Habit;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

const PRIVATE: &[What] = &[What::Bit("AA"), What::Authority, What::Asked];
const ANY_TYPE: &str = "names of private addresses are no business of others, whatever is asked of them (RFC 6303)";

#[test]
fn what_is_not_asked() {
    run(&[
        Group::new("domain-needed", &["domain-needed"])
            .asks(&[
                "pointed A",
                "pointed AAAA",
                "pointed MX",
                "pointed NS",
                "pointed ANY",
                "com NS",
                "com DS",
                "v4.example.net A",
            ])
            .by_chance(&[What::Asked], "a DS record is its parent's, and asked for by itself"),
        Group::new("bogus-priv", &["bogus-priv"])
            .ask("10", ask_name_of("10.1.2.3"))
            .ask("172.16", ask_name_of("172.16.2.3"))
            .ask("172.32", ask_name_of("172.32.2.3"))
            .ask("192.168", ask_name_of("192.168.7.7"))
            .ask("169.254", ask_name_of("169.254.7.7"))
            .ask("127", ask_name_of("127.0.0.1"))
            .ask("0", ask_name_of("0.0.0.0"))
            .ask("100.64", ask_name_of("100.64.0.1"))
            .ask("192.0.2", ask_name_of("192.0.2.80"))
            .ask("198.51.100", ask_name_of("198.51.100.1"))
            .ask("203.0.113", ask_name_of("203.0.113.1"))
            .ask("255.255.255.255", ask_name_of("255.255.255.255"))
            .ask("fd00", ask_name_of("fd00::7"))
            .ask("fe80", ask_name_of("fe80::7"))
            .ask("::1", ask_name_of("::1"))
            .ask("2001:db8", ask_name_of("2001:db8::80"))
            .ask("half of 10", ask("10.in-addr.arpa PTR"))
            .ask("a part of 10", ask("1.10.in-addr.arpa PTR"))
            .ask("TXT of 10", ask("3.2.1.10.in-addr.arpa TXT"))
            .ask("SOA of 10", ask("10.in-addr.arpa SOA"))
            .ask("forward", ask("private.example.net A"))
            .differs_at("TXT of 10", PRIVATE, ANY_TYPE)
            .differs_at("SOA of 10", PRIVATE, ANY_TYPE),
        Group::new("filterwin2k", &["filterwin2k"]).asks(&[
            "_ldap._tcp.example.net SRV",
            "_sip._tcp.example.net SRV",
            "example.net SOA",
            "example.net ANY",
            "under_score.example.net ANY",
            "example.net MX",
        ]),
    ])
}

#[test]
fn types_that_are_left_out() {
    let names = &[
        "www.example.net A",
        "www.example.net AAAA",
        "v4.example.net A",
        "v6.example.net AAAA",
        "alias.example.net A",
        "alias.example.net AAAA",
        "www.example.net ANY",
        "example.net TXT",
        "example.net MX",
        "laid.lan A",
        "laid.lan AAAA",
        "laid.lan TXT",
        "nowhere.example.net A",
    ];
    let laid = ["host-record=laid.lan,10.0.1.77,fd01::77", "txt-record=laid.lan,text"];
    let group = |name: &'static str, line: &str| {
        let group = Group::new(name, &[&laid[..], &[line]].concat()).asks(names).asks(&names[..2]);
        group.by_chance(&[What::Asked], BY_QUESTION)
    };
    run(&[
        group("filter-A", "filter-A"),
        group("filter-AAAA", "filter-AAAA"),
        group("filter-rr=TXT", "filter-rr=TXT,MX"),
        group("filter-rr=ANY", "filter-rr=ANY"),
        group("filter-rr=CNAME", "filter-rr=CNAME").differs_at(
            "alias.example.net AAAA",
            &[What::Answer],
            "dnsmasq filters what comes, and tells an alias out of its cache",
        ),
    ])
}

#[test]
fn private_addresses_from_outside() {
    let names = &[
        "private.example.net A",
        "private.example.net A",
        "private172.example.net A",
        "private192.example.net A",
        "linklocal.example.net A",
        "loopback.example.net A",
        "nothing.example.net A",
        "shared.example.net A",
        "mixed-private.example.net A",
        "ula.example.net AAAA",
        "linklocal6.example.net AAAA",
        "loopback6.example.net AAAA",
        "mapped.example.net AAAA",
        "nothing6.example.net AAAA",
        "to-private.example.net A",
        "www.example.net A",
        "public.example.net A",
        "public.example.net AAAA",
        "laid.lan A",
    ];
    let laid = "host-record=laid.lan,10.0.1.77";
    let group = |name: &'static str, lines: &[&str]| {
        Group::new(name, &[&[laid, "stop-dns-rebind"], lines].concat())
            .upstreams(&[Upstream::new(11), Upstream::new(12)])
            .asks(names)
    };
    run(&[
        group("stop-dns-rebind", &[]),
        group("rebind-localhost-ok", &["rebind-localhost-ok"]),
        group("rebind-domain-ok", &["rebind-domain-ok=/example.net/"]),
        group("rebind-domain-ok, one name", &["rebind-domain-ok=private.example.net"]),
        group("rebind-domain-ok, all", &["rebind-domain-ok=//"]),
        group("a server of the domain", &["server=/example.net/10.9.0.12"]),
    ])
}

#[test]
fn addresses_that_mean_something_else() {
    let names = &[
        "bogus.example.net A",
        "bogus.example.net A",
        "bogus.example.net AAAA",
        "half-bogus.example.net A",
        "bogus6.example.net AAAA",
        "www.example.net A",
        "doctored.example.net A",
        "doctored.example.net A",
    ];
    let group = |name: &'static str, line: &str| Group::new(name, &[line]).asks(names);
    run(&[
        group("bogus-nxdomain", "bogus-nxdomain=198.51.100.66"),
        group("bogus-nxdomain of a subnet", "bogus-nxdomain=198.51.100.0/24"),
        group("bogus-nxdomain of IPv6", "bogus-nxdomain=2001:db8:bad::1"),
        group("alias of one", "alias=192.0.2.200,10.0.0.40"),
        group("alias of a subnet", "alias=192.0.2.0,10.0.0.0,255.255.255.0"),
        group("alias of a range", "alias=192.0.2.190-192.0.2.210,10.0.0.0,255.255.255.0"),
        Group::new("ignore-address", &["ignore-address=198.51.100.66", "server=10.9.0.12"])
            .upstreams(&[Upstream::new(11), Upstream::new(12)])
            .ask("ignored", ask("bogus.example.net A"))
            .unanswered()
            .ask("another one", ask("www.example.net A"))
            .by_chance(&[What::Asked], "a server whose answer is ignored is asked again, and others beside it"),
    ])
}

#[test]
fn what_goes_along() {
    let questions = |group: Group| {
        group
            .ask("plain", ask("www.example.net A"))
            .ask("EDNS", ask("v4.example.net A").edns(1232))
            .ask("a subnet", ask("v6.example.net AAAA").option(8, &[0, 1, 24, 0, 10, 0, 1]))
            .ask("a MAC", ask("two.example.net A").option(65001, &[0x52, 0x54, 0, 0, 0, 1]))
            .ask("a cookie", ask("mail.example.net A").option(10, &[1; 8]))
            .ask("DO", ask("three.example.net A").dnssec_ok())
            .ask("AD", ask("secure.example.net A").authentic())
            .ask("AD again", ask("secure.example.net A").authentic())
            .ask("nobody cares", ask("secure.example.net A"))
            .ask("DO and secure", ask("secure.example.net A").dnssec_ok())
            .ask("TCP", ask("sip.example.net A").tcp())
            .throughout(&[What::AskedBits], OWN_AD)
            .throughout(&[What::AskedOptions], OUR_OPTIONS)
    };
    run(&[
        questions(Group::new("add-cpe-id", &["add-cpe-id=the-box"])),
        questions(Group::new("strip-subnet", &["strip-subnet"])),
        questions(Group::new("strip-mac", &["strip-mac"])),
        questions(Group::new("proxy-dnssec", &["proxy-dnssec"])).differs_at(
            "AD again",
            &[What::Bit("AD")],
            "AD is kept with the answer",
        ),
    ])
}

#[test]
fn servers_that_ask_us() {
    let us = "10.0.1.1:53".parse().expect("an address");
    run(&[Group::new("dns-loop-detect", &["dns-loop-detect", "server=10.9.0.12"])
        .upstreams(&[Upstream::new(11).always(Habit::Loops(us)), Upstream::new(12)])
        .ask("past it", ask("who.example.net A"))
        .varies(What::Asked, "whether a server leads back is found out when it is first asked")
        .ask("past it again", ask("who2.example.net A"))])
}
