//! Records that are laid down by options.

use super::BY_QUESTION;
use crate::dns::ask::{ask, ask_name_of};
use crate::dns::compare::What;
use crate::dns::scenario::{Group, run};

const ANY_ORDER: &str = "any order of sets is right";
const FOLLOWED: &str = "an alias of ours is followed to names that others know";
const OTHERS: &str = "an alias of others gets no addresses of ours: its answer stays what they said";
const SO_SAID: &str = "all that is laid down for the domain";

#[test]
fn hosts() {
    run(&[
        Group::new(
            "host-record",
            &[
                "host-record=box.lan,box,10.0.1.50,fd01::50",
                "host-record=slow.lan,10.0.1.51,600",
                "host-record=v6.lan,fd01::52",
                "host-record=two.lan,10.0.1.53",
                "host-record=two.lan,10.0.1.54",
                "host-record=alias.lan,10.0.1.50",
            ],
        )
        .asks(&[
            "box.lan A",
            "box.lan AAAA",
            "box A",
            "box AAAA",
            "box.lan ANY",
            "box.lan TXT",
            "slow.lan A",
            "v6.lan A",
            "v6.lan AAAA",
            "two.lan A",
            "two.lan A",
            "alias.lan A",
            "BOX.LAN A",
            "below.box.lan A",
        ])
        .ask("PTR", ask_name_of("10.0.1.50"))
        .ask("PTR of IPv6", ask_name_of("fd01::50"))
        .ask("PTR of one", ask_name_of("10.0.1.51")),
        Group::new(
            "cname",
            &[
                "host-record=box.lan,10.0.1.50,fd01::50",
                "cname=alias.lan,box.lan",
                "cname=second.lan,alias.lan",
                "cname=one.lan,other.lan,box.lan",
                "cname=timed.lan,box.lan,120",
                "cname=outside.lan,www.example.net",
                "cname=nowhere.lan,nothing.lan",
                "cname=*.wild.lan,box.lan",
                "cname=to-address.lan,blocked.lan",
                "address=/blocked.lan/10.1.1.1",
                "txt-record=box.lan,text",
                "mx-host=box.lan,mail.lan,5",
            ],
        )
        .asks(&[
            "alias.lan A",
            "alias.lan AAAA",
            "alias.lan CNAME",
            "alias.lan TXT",
            "alias.lan MX",
            "alias.lan ANY",
            "second.lan A",
            "one.lan A",
            "other.lan A",
            "timed.lan A",
            "outside.lan A",
            "outside.lan A",
            "nowhere.lan A",
            "a.wild.lan A",
            "b.a.wild.lan A",
            "wild.lan A",
            "to-address.lan A",
        ])
        .ask("PTR", ask_name_of("10.0.1.50"))
        .differs_at("alias.lan ANY", &[What::Order], ANY_ORDER)
        .differs_at("outside.lan A", &[What::Bit("AA"), What::Answer, What::Asked], FOLLOWED)
        .differs_at("to-address.lan A", &[What::Answer], "an alias of ours is followed to addresses of domains")
        .differs_at("nowhere.lan A", &[What::Bit("AA"), What::Code, What::Asked], FOLLOWED)
        .by_chance(&[What::Authority], FOLLOWED),
        Group::new("an outside alias to a name of ours", &["host-record=here.lan,10.0.1.50"])
            .asks(&["to-local.example.net A", "to-local.example.net A", "here.lan A"])
            .differs_at("to-local.example.net A", &[What::Bit("AA"), What::Code, What::Answer], OTHERS)
            .by_chance(&[What::Authority], "dnsmasq adds the SOA of a name that was not there before"),
        Group::new("a name of ours that is outside too", &["host-record=www.example.net,10.0.1.50"]).asks(&[
            "www.example.net A",
            "www.example.net AAAA",
            "www.example.net TXT",
            "alias.example.net A",
        ]),
    ])
}

#[test]
fn other_kinds() {
    run(&[Group::new(
        "kinds",
        &[
            "mx-host=lan,mail.lan,10",
            "mx-host=lan,backup.lan,20",
            "mx-host=plain.lan",
            "mx-host=target.lan,mail.lan",
            "host-record=mail.lan,10.0.1.60",
            "srv-host=_ldap._tcp.lan,ldap.lan,389,1,2",
            "srv-host=_ldap._tcp.lan,ldap2.lan,389",
            "srv-host=_none._tcp.lan",
            "host-record=ldap.lan,10.0.1.61",
            "txt-record=lan,v=spf1,\"with, comma\"",
            "txt-record=empty.lan",
            "txt-record=quoted.lan,\"a b c\"",
            "ptr-record=_http._tcp.lan,page._http._tcp.lan",
            "ptr-record=99.1.0.10.in-addr.arpa,pointed.lan",
            "naptr-record=lan,100,10,S,SIP+D2U,!^.*$!sip:info@example.org!,_sip._udp.lan",
            "naptr-record=short.lan,1,2,U,E2U+sip,!x!y!",
            "caa-record=lan,0,issue,ca.example.net",
            "dns-rr=lan,65280,01:23:45",
            "dns-rr=lan,13,03582038034c494e",
            "dns-rr=nodata.lan,99",
            "local=/lan/",
        ],
    )
    .asks(&[
        "lan MX",
        "plain.lan MX",
        "target.lan MX",
        "mail.lan MX",
        "_ldap._tcp.lan SRV",
        "_none._tcp.lan SRV",
        "lan TXT",
        "empty.lan TXT",
        "quoted.lan TXT",
        "_http._tcp.lan PTR",
        "lan NAPTR",
        "short.lan NAPTR",
        "lan CAA",
        "lan TYPE65280",
        "lan HINFO",
        "nodata.lan TYPE99",
        "lan A",
        "lan AAAA",
        "lan ANY",
        "lan SOA",
        "lan NS",
        "nothing.lan MX",
        "_tcp.lan A",
    ])
    .ask("PTR by record", ask_name_of("10.0.1.99"))
    .differs_at("lan ANY", &[What::Order], ANY_ORDER)])
}

#[test]
fn mail() {
    let conf = ["host-record=box.lan,10.0.1.50", "host-record=mailer.lan,10.0.1.51"];
    let group = |name: &'static str, lines: &[&str]| {
        Group::new(name, &[&conf[..], lines].concat()).asks(&[
            "box.lan MX",
            "mailer.lan MX",
            "other.lan MX",
            "www.example.net MX",
        ])
    };
    run(&[
        group("no MX", &[]),
        group("selfmx", &["selfmx"]),
        group("localmx", &["localmx", "mx-target=mailer.lan"]),
        group("mx-target", &["mx-target=mailer.lan"]),
        group("selfmx and localmx", &["selfmx", "localmx", "mx-target=mailer.lan"]),
        group("mx-host over selfmx", &["selfmx", "mx-host=box.lan,mailer.lan,7"]),
    ])
}

#[test]
fn addresses_of_domains() {
    let names = &[
        "blocked.test A",
        "blocked.test AAAA",
        "blocked.test MX",
        "blocked.test ANY",
        "below.blocked.test A",
        "notblocked.test A",
        "test A",
        "www.example.net A",
        "pointed A",
    ];
    let group =
        |name: &'static str, lines: &[&str]| Group::new(name, lines).asks(names).by_chance(&[What::Asked], BY_QUESTION);
    run(&[
        group("an address", &["address=/blocked.test/10.1.1.1"]),
        group("two addresses", &["address=/blocked.test/10.1.1.1", "address=/blocked.test/10.1.1.2"]),
        group("both families", &["address=/blocked.test/10.1.1.1", "address=/blocked.test/fd01::99"]).differs_at(
            "blocked.test ANY",
            &[What::Answer],
            SO_SAID,
        ),
        group("IPv6 alone", &["address=/blocked.test/fd01::99"]),
        group("none", &["address=/blocked.test/"]),
        group("null", &["address=/blocked.test/#"]),
        group("0.0.0.0", &["address=/blocked.test/0.0.0.0"]),
        group("several domains", &["address=/blocked.test/example.net/10.1.1.1"]),
        group("all", &["address=/#/10.1.1.1"]),
        group("all but one", &["address=/#/10.1.1.1", "server=/example.net/#"]),
        group("a star", &["address=/*blocked.test/10.1.1.1"]),
        group("below a star", &["address=/*.blocked.test/10.1.1.1"]),
        group("all, both", &["address=/#/10.1.1.1", "address=/#/fd01::99"]).differs_at(
            "blocked.test ANY",
            &[What::Answer],
            SO_SAID,
        ),
        group("laid down below it", &["address=/blocked.test/10.1.1.1", "host-record=below.blocked.test,10.0.1.50"]),
        group("all null, a name laid down", &["address=/#/", "host-record=blocked.test,10.0.1.50"]),
        group("local below an address", &["address=/test/10.1.1.1", "local=/blocked.test/"]),
    ])
}

#[test]
fn of_interfaces() {
    let other = |group: Group| group.cable("other", &["10.0.2.1/24", "10.0.2.9/24", "fd02::1/64"], &["10.0.2.2/24"]);
    run(&[
        other(Group::new(
            "interface-name",
            &[
                "interface-name=us.lan,net",
                "interface-name=both.lan,other",
                "interface-name=four.lan,net/4",
                "interface-name=six.lan,net/6",
                "interface-name=none.lan,nothing",
            ],
        ))
        .asks(&[
            "us.lan A",
            "us.lan AAAA",
            "us.lan MX",
            "both.lan A",
            "four.lan A",
            "four.lan AAAA",
            "six.lan A",
            "six.lan AAAA",
            "none.lan A",
        ])
        .ask("PTR", ask_name_of("10.0.1.1"))
        .ask("PTR of IPv6", ask_name_of("fd01::1"))
        .ask("from the other", ask("us.lan A").from("10.0.2.2").to("10.0.2.1")),
        other(Group::new(
            "dynamic-host",
            &[
                "dynamic-host=dyn.lan,0.0.0.77,net",
                "dynamic-host=dyn6.lan,::77,net",
                "dynamic-host=dual.lan,0.0.0.78,::78,other",
            ],
        ))
        .asks(&["dyn.lan A", "dyn.lan AAAA", "dyn6.lan AAAA", "dual.lan A", "dual.lan AAAA"])
        .ask("PTR", ask_name_of("10.0.1.77")),
        Group::new("an address that comes", &["interface-name=us.lan,net"])
            .ask("before", ask("us.lan A"))
            .run("ip address add 10.0.7.1/24 dev net")
            .ask("after", ask("us.lan A"))
            .until("10.0.7.1"),
    ])
}

#[test]
fn synthesized() {
    run(&[Group::new(
        "synth-domain",
        &[
            "synth-domain=lan,10.0.1.0/24,ip-",
            "synth-domain=bare.test,10.0.3.0,10.0.3.99",
            "synth-domain=count.test,10.0.4.10,10.0.4.20,n*",
            "synth-domain=six.test,fd01::/112,v6-",
        ],
    )
    .asks(&[
        "ip-10-0-1-7.lan A",
        "ip-10-0-1-7.lan AAAA",
        "ip-10-0-1-7.lan TXT",
        "IP-10-0-1-7.LAN A",
        "ip-10-0-2-7.lan A",
        "ip-10-0-1.lan A",
        "other.lan A",
        "10-0-3-5.bare.test A",
        "10-0-3-100.bare.test A",
        "n0.count.test A",
        "n10.count.test A",
        "n11.count.test A",
        "v6-fd01--7.six.test AAAA",
        "v6-fd01-0-0-0-0-0-0-7.six.test AAAA",
    ])
    .ask("PTR", ask_name_of("10.0.1.7"))
    .ask("PTR, bare", ask_name_of("10.0.3.5"))
    .ask("PTR, beyond", ask_name_of("10.0.3.100"))
    .ask("PTR, counted", ask_name_of("10.0.4.12"))
    .ask("PTR, IPv6", ask_name_of("fd01::7"))
    .by_chance(&[What::Asked], BY_QUESTION)])
}

#[test]
fn about_the_server() {
    let names =
        ["version.bind", "authors.bind", "cachesize.bind", "hits.bind", "misses.bind", "servers.bind", "nothing.bind"];
    let group = |name: &'static str, lines: &[&str]| {
        let group = Group::new(name, lines);
        names
            .iter()
            .fold(group, |group, name| group.ask(name, ask(&format!("{name} TXT")).class(3)))
            .ask("hostname.bind", ask("hostname.bind TXT").class(3))
            .ask("version in class IN", ask("version.bind TXT"))
            .ask("A of version", ask("version.bind A").class(3))
            .by_chance(&[What::Answer], "we are who we are, and count what we answered")
            .by_chance(&[What::Code, What::Bit("AA")], "names of class CH are none of class IN")
    };
    run(&[group("CH", &[]), group("no-ident", &["no-ident"])])
}
