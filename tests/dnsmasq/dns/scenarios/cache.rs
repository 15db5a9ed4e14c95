//! What is remembered, and for how long.

use std::time::Duration;

use super::{BY_TCP, KEPT_WHOLE, NO_REFERRAL};
use crate::dns::ask::ask;
use crate::dns::compare::What;
use crate::dns::habits::Habit;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

/// More than the TTL of `soon`.
const OVER: Duration = Duration::from_millis(2200);

#[test]
fn sizes_and_kinds() {
    let names = &[
        "www.example.net A",
        "www.example.net A",
        "nowhere.example.net A",
        "nowhere.example.net A",
        "v4.example.net AAAA",
        "v4.example.net AAAA",
        "example.net MX",
        "example.net MX",
        "example.net TXT",
        "example.net TXT",
        "service.example.net HTTPS",
        "service.example.net HTTPS",
        "odd.example.net TYPE65280",
        "odd.example.net TYPE65280",
        "v4.example.net MX",
        "v4.example.net MX",
        "alias.example.net A",
        "alias.example.net A",
        "big.example.net TXT",
        "big.example.net TXT",
    ];
    let group = |name: &'static str, lines: &[&str]| {
        Group::new(name, lines)
            .asks(names)
            .differs_at("big.example.net TXT", &[What::Answer], BY_TCP)
            .by_chance(&[What::Asked], BY_TCP)
    };
    run(&[
        group("cache-size=0", &["cache-size=0"]),
        group("no-negcache", &["no-negcache"]),
        group("cache-rr", &["cache-rr=MX,TXT"]),
        group("cache-rr by number", &["cache-rr=65280"]),
        group("cache-rr=ANY", &["cache-rr=ANY"]),
    ])
}

const TOO_LARGE: &str = "RFC 2181 section 8: a TTL with its first bit set is 0";

#[test]
fn times() {
    let names = &[
        "www.example.net A",
        "www.example.net A",
        "soon.example.net A",
        "minute.example.net A",
        "minute.example.net A",
        "month.example.net A",
        "month.example.net A",
        "huge.example.net A",
        "huge.example.net A",
        "zero.example.net A",
        "zero.example.net A",
        "nowhere.example.net A",
        "nowhere.example.net A",
        "v4.example.net AAAA",
        "v4.example.net AAAA",
        "far.example.net A",
        "far.example.net A",
        "example.net MX",
        "laid.lan A",
        "laid.lan TXT",
        "two.lan A",
        "blocked.test A",
    ];
    let laid = [
        "host-record=laid.lan,10.0.1.77",
        "host-record=two.lan,10.0.1.78,30",
        "txt-record=laid.lan,text",
        "address=/blocked.test/10.1.1.1",
    ];
    let group = |name: &'static str, lines: &[&str]| {
        Group::new(name, &[&laid[..], lines].concat())
            .asks(names)
            .differs_at("huge.example.net A", &[What::Ttl], TOO_LARGE)
            .by_chance(&[What::Asked], TOO_LARGE)
    };
    run(&[
        group("as told", &[]),
        group("max-ttl", &["max-ttl=40"]),
        group("max-cache-ttl", &["max-cache-ttl=40"]),
        group("min-cache-ttl", &["min-cache-ttl=100"]),
        group("min-cache-ttl, more than is allowed", &["min-cache-ttl=5000"]),
        group("min and max", &["min-cache-ttl=100", "max-ttl=50"]),
        group("local-ttl", &["local-ttl=90"]),
        group("neg-ttl", &["neg-ttl=77"]),
    ])
}

#[test]
fn negative_times() {
    let bare = |name: &'static str, lines: &[&str], habit: Habit| {
        Group::new(name, lines)
            .upstreams(&[Upstream::new(11).always(habit)])
            .asks(&["www.example.net A", "www.example.net A"])
    };
    run(&[
        bare("neg-ttl and no SOA, no name", &["neg-ttl=77"], Habit::NoSuchNameBare),
        bare("neg-ttl and no SOA, no record", &["neg-ttl=77"], Habit::NoRecordBare),
        bare("neg-ttl and a referral", &["neg-ttl=77"], Habit::Referral).throughout(&[What::Authority], NO_REFERRAL),
    ])
}

#[test]
fn out_of_date() {
    let steps = |group: Group| {
        group
            .ask("new", ask("soon.example.net A"))
            .ask("an alias", ask("soon-alias.example.net A"))
            .wait(OVER)
            .ask("out of date", ask("soon.example.net A"))
            .ask("an alias out of date", ask("soon-alias.example.net A"))
            .wait(OVER)
            .becomes(Upstream::new(11).always(Habit::Silent))
            .by_chance(&[What::Asked], "a refresh is asked for behind the answer, and of each question its own")
            .by_chance(&[What::Ttl], KEPT_WHOLE)
    };
    run(&[
        steps(Group::new("out of date", &[])),
        steps(Group::new("use-stale-cache", &["use-stale-cache"]))
            .ask("nobody answers", ask("soon.example.net A"))
            .ask("nobody answers, again", ask("soon.example.net A")),
        steps(Group::new("use-stale-cache for a second", &["use-stale-cache=1"])),
        steps(Group::new("use-stale-cache for ever", &["use-stale-cache=0"]))
            .ask("nobody answers", ask("soon.example.net A")),
    ])
}
