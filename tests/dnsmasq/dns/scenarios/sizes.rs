//! Answers that do not fit, EDNS, and TCP.

use super::{BY_TCP, FAILED, ITS_SERVERS_WORK};
use crate::dns::ask::ask;
use crate::dns::compare::What;
use crate::dns::habits::Habit;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

#[test]
fn large_answers() {
    let steps = |group: Group| {
        group
            .ask("a little too much", ask("some.example.net A"))
            .ask("by EDNS", ask("some.example.net A").edns(4096))
            .ask("by TCP", ask("some.example.net A").tcp())
            .ask("by UDP again", ask("some.example.net A"))
            .ask("by small EDNS", ask("some.example.net A").edns(700))
            .ask("much", ask("big.example.net TXT"))
            .ask("much, by EDNS", ask("big.example.net TXT").edns(4096))
            .ask("much, by TCP", ask("big.example.net TXT").tcp())
            .ask("many", ask("many.example.net A").edns(1232))
            .ask("many by TCP", ask("many.example.net A").tcp())
            .ask("many again", ask("many.example.net A").edns(1232))
            .throughout(&[What::Answer, What::Asked], BY_TCP)
            .by_chance(&[What::Edns], "RFC 6891 section 7: with EDNS to whom asks with it, and our own size")
    };
    run(&[
        steps(Group::new("large", &[])),
        steps(Group::new("edns-packet-max=600", &["edns-packet-max=600"])),
        steps(Group::new("edns-packet-max=4096", &["edns-packet-max=4096"])),
        steps(Group::new("edns-packet-max below 512", &["edns-packet-max=200"])),
    ])
}

#[test]
fn sizes_told_to_servers() {
    for (line, size) in [("edns-packet-max=600", 600), ("edns-packet-max=1400", 1400), ("edns-packet-max=200", 512)] {
        let group = Group::new(line, &[line]).ask("EDNS", ask("www.example.net A").edns(4096));
        for side in group.outcomes() {
            let sizes = side.iter().flat_map(|outcome| &outcome.asked).filter_map(|asked| asked.edns.as_ref());
            assert!(sizes.clone().all(|edns| edns.size == size), "{line}: {:?}", sizes.collect::<Vec<_>>());
        }
    }
}

#[test]
fn truncated_upstream() {
    let group = |name: &'static str, habit: Habit| {
        Group::new(name, &[])
            .upstreams(&[Upstream::new(11).always(habit)])
            .ask("by UDP", ask("www.example.net A"))
            .ask("by UDP again", ask("www.example.net A"))
            .ask("by EDNS", ask("three.example.net A").edns(1232))
            .ask("by TCP", ask("two.example.net A").tcp())
            .ask("by UDP then", ask("two.example.net A"))
            .by_chance(&[What::Asked], BY_TCP)
    };
    let differs = &[What::Answer, What::Bit("TC")];
    run(&[
        group("truncates all", Habit::Truncates).throughout(differs, BY_TCP),
        group("truncates, with some of it", Habit::TruncatesLate).throughout(differs, BY_TCP),
        group("truncates, and has no TCP", Habit::TruncatesAlone).differs_at(
            "by TCP",
            &[What::Heard],
            "the client hears SERVFAIL, where dnsmasq hangs up",
        ),
    ])
}

#[test]
fn old_servers() {
    let group = |name: &'static str, habit: Habit| {
        Group::new(name, &[])
            .upstreams(&[Upstream::new(11).always(habit)])
            .ask("without EDNS", ask("www.example.net A"))
            .ask("with EDNS", ask("v4.example.net A").edns(1232))
            .ask("with EDNS again", ask("v4.example.net A").edns(1232))
            .ask("and without", ask("v4.example.net A"))
            .ask("with EDNS, another", ask("two.example.net A").edns(1232))
    };
    run(&[
        group("FORMERR to EDNS", Habit::NoEdns)
            .throughout(&[What::Code, What::Answer, What::Asked, What::Edns], "it is asked without EDNS then"),
        group("ignores EDNS", Habit::IgnoresEdns)
            .throughout(&[What::Edns], "RFC 6891 section 7: whoever asks with EDNS is answered with it"),
    ])
}

#[test]
fn over_tcp_from_several() {
    let honest = || [Upstream::new(11), Upstream::new(12)];
    let conf = &["server=/example.org/10.9.0.12"];
    run(&[
        Group::new("TCP", conf)
            .upstreams(&honest())
            .ask("one", ask("who.example.net A").tcp())
            .ask("by UDP", ask("who.example.net A"))
            .ask("a domain", ask("who.example.org A").tcp())
            .ask("no such name", ask("nowhere.example.net A").tcp())
            .ask("no such name by UDP", ask("nowhere.example.net A"))
            .ask("EDNS", ask("who2.example.net A").tcp().edns(512))
            .ask("not cached", ask("example.net TXT").tcp()),
        Group::new("TCP, the first server closed", &["server=10.9.0.12"])
            .upstreams(&[Upstream::new(11).always(Habit::Closed), Upstream::new(12)])
            .ask("one", ask("who.example.net A").tcp())
            .by_chance(&[What::Asked], ITS_SERVERS_WORK),
        Group::new("TCP, the first server fails", &["server=10.9.0.12"])
            .upstreams(&[Upstream::new(11).always(Habit::Says(2)), Upstream::new(12)])
            .ask("one", ask("who.example.net A").tcp())
            .throughout(&FAILED[..3], ITS_SERVERS_WORK),
        Group::new("TCP, the first server hangs up", &["server=10.9.0.12"])
            .upstreams(&[Upstream::new(11).always(Habit::Silent), Upstream::new(12)])
            .ask("one", ask("who.example.net A").tcp())
            .by_chance(&[What::Asked], ITS_SERVERS_WORK),
    ])
}
