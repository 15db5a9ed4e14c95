//! Answers that do not fit, EDNS, and TCP.

use crate::dns::ask::ask;
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
    };
    run(&[
        steps(Group::new("large", &[])),
        steps(Group::new("edns-packet-max=600", &["edns-packet-max=600"])),
        steps(Group::new("edns-packet-max=4096", &["edns-packet-max=4096"])),
        steps(Group::new("edns-packet-max below 512", &["edns-packet-max=200"])),
    ])
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
    };
    run(&[
        group("truncates all", Habit::Truncates),
        group("truncates, with some of it", Habit::TruncatesLate),
        group("truncates, and has no TCP", Habit::TruncatesAlone),
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
    run(&[group("FORMERR to EDNS", Habit::NoEdns), group("ignores EDNS", Habit::IgnoresEdns)])
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
            .ask("one", ask("who.example.net A").tcp()),
        Group::new("TCP, the first server fails", &["server=10.9.0.12"])
            .upstreams(&[Upstream::new(11).always(Habit::Says(2)), Upstream::new(12)])
            .ask("one", ask("who.example.net A").tcp()),
        Group::new("TCP, the first server hangs up", &["server=10.9.0.12"])
            .upstreams(&[Upstream::new(11).always(Habit::Silent), Upstream::new(12)])
            .ask("one", ask("who.example.net A").tcp()),
    ])
}
