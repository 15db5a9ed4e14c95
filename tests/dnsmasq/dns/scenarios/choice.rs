//! Which of several upstream servers is asked, and what becomes of one that fails.

use std::time::Duration;

use super::{FAILED, ITS_SERVERS_WORK, PICKS};
use crate::dns::ask::ask;
use crate::dns::compare::What;
use crate::dns::habits::Habit;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

const TWO: &[&str] = &["server=10.9.0.12"];
const WHO: &[&str] = &["who.example.net A", "who2.example.net A", "who3.example.net A", "who4.example.net A"];

fn pair(one: Habit, other: Habit) -> [Upstream; 2] {
    [Upstream::new(11).always(one), Upstream::new(12).always(other)]
}

#[test]
fn by_default() {
    let group = |name: &'static str, one: Habit, other: Habit| {
        let group = Group::new(name, TWO).upstreams(&pair(one, other)).asks(WHO);
        group.by_chance(&[What::Asked], PICKS)
    };
    let slow = Habit::Slow(Duration::from_millis(200));
    run(&[
        // Which of the two says it is of no importance here.
        Group::new("both honest", TWO)
            .upstreams(&pair(Habit::Honest, Habit::Honest))
            .asks(&["www.example.net A", "v4.example.net A", "two.example.net A"])
            .by_chance(&[What::Asked], PICKS),
        group("one slow", slow.clone(), Habit::Honest),
        group("one silent", Habit::Silent, Habit::Honest),
        group("one closed", Habit::Closed, Habit::Honest),
        group("one fails", Habit::Says(2), Habit::Honest).throughout(&FAILED[..2], ITS_SERVERS_WORK),
        group("one refuses", Habit::Says(5), Habit::Honest),
        group("one knows of no such name", Habit::Says(3), slow),
        group("one does not implement it", Habit::Says(4), Habit::Honest).throughout(&FAILED[..2], ITS_SERVERS_WORK),
    ])
}

#[test]
fn one_that_fails_in_between() {
    let steps = |group: Group, habit: Habit| {
        group
            .upstreams(&[Upstream::new(11), Upstream::new(12)])
            .ask("before", ask("who.example.net A"))
            .becomes(Upstream::new(11).always(habit))
            .ask("one does not answer any more", ask("who2.example.net A"))
            .asking_again()
            .ask("and then", ask("who3.example.net A"))
            .asking_again()
            .by_chance(&[What::Answer], PICKS)
            .by_chance(FAILED, ITS_SERVERS_WORK)
    };
    run(&[
        steps(Group::new("falls silent", TWO), Habit::Silent),
        steps(Group::new("is closed", TWO), Habit::Closed),
        steps(Group::new("fails", TWO), Habit::Says(2)),
        steps(Group::new("refuses", TWO), Habit::Says(5)),
        steps(Group::new("falls silent, strict-order", &[TWO[0], "strict-order"]), Habit::Silent),
        steps(Group::new("falls silent, all-servers", &[TWO[0], "all-servers"]), Habit::Silent),
        steps(Group::new("falls silent, fast-dns-retry", &[TWO[0], "fast-dns-retry=200"]), Habit::Silent),
    ])
}

const AGAIN: &str = "each server is asked again before the client is told that none answers";
const SAID: &str = "the client is told SERVFAIL when no server answers, so that it need not wait";

#[test]
fn nobody_answers() {
    let group = |name: &'static str, habit: Habit| {
        let group = Group::new(name, TWO).upstreams(&pair(habit.clone(), habit)).by_chance(&[What::Asked], AGAIN);
        group.ask("nobody", ask("www.example.net A"))
    };
    run(&[
        group("all silent", Habit::Silent).unanswered_there(SAID),
        group("all closed", Habit::Closed).unanswered_there(SAID),
        group("all fail", Habit::Says(2)),
        group("all refuse", Habit::Says(5)),
        group("all know nothing", Habit::Says(4)),
        Group::bare("no servers", &["no-resolv", "no-hosts"]).asks(&[
            "www.example.net A",
            "plain A",
            "1.0.0.10.in-addr.arpa PTR",
        ]),
    ])
}

#[test]
fn too_many_at_once() {
    let slow = Upstream::new(11).but("www.example.net", Habit::Silent);
    run(&[Group::new("dns-forward-max", &["dns-forward-max=1"])
        .upstreams(&[slow])
        .ask("one that is not answered", ask("www.example.net A"))
        .unanswered()
        .ask("one more", ask("v4.example.net A"))])
}

#[test]
fn in_order() {
    let conf = &[TWO[0], "strict-order"];
    let first_never = |title, habit| {
        Group::new(title, conf)
            .upstreams(&pair(habit, Habit::Honest))
            .ask("first", ask("who.example.net A"))
            .asking_again()
            .ask("second", ask("who2.example.net A"))
            .asking_again()
            .throughout(&[What::Tries], ITS_SERVERS_WORK)
            .by_chance(&[What::Asked], ITS_SERVERS_WORK)
    };
    run(&[
        Group::new("strict, both honest", conf).upstreams(&pair(Habit::Honest, Habit::Honest)).asks(WHO),
        Group::new("strict, the first slow", conf)
            .upstreams(&pair(Habit::Slow(Duration::from_millis(200)), Habit::Honest))
            .asks(WHO),
        Group::new("strict, the first fails", conf).upstreams(&pair(Habit::Says(2), Habit::Honest)).asks(WHO),
        Group::new("strict, the first refuses", conf).upstreams(&pair(Habit::Says(5), Habit::Honest)).asks(WHO),
        first_never("strict, the first closed", Habit::Closed),
        first_never("strict, the first silent", Habit::Silent),
        Group::new("strict, the first knows of no such name", conf)
            .upstreams(&pair(Habit::Says(3), Habit::Honest))
            .asks(&WHO[..1]),
    ])
}

#[test]
fn all_at_once() {
    let conf = &[TWO[0], "all-servers"];
    run(&[
        Group::new("all, one slow", conf)
            .upstreams(&pair(Habit::Slow(Duration::from_millis(200)), Habit::Honest))
            .asks(WHO),
        Group::new("all, one fails", conf)
            .upstreams(&pair(Habit::Says(2), Habit::Honest))
            .asks(WHO)
            .throughout(&FAILED[..2], ITS_SERVERS_WORK),
        Group::new("all, one silent", conf).upstreams(&pair(Habit::Silent, Habit::Honest)).asks(WHO),
        Group::new("all, one closed", conf).upstreams(&pair(Habit::Closed, Habit::Honest)).asks(WHO),
    ])
}
