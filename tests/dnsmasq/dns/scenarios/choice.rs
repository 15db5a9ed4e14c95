//! Which of several upstream servers is asked, and what becomes of one that fails.

use std::time::Duration;

use crate::dns::ask::ask;
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
    run(&[
        Group::new("both honest", TWO).upstreams(&pair(Habit::Honest, Habit::Honest)).asks(WHO),
        Group::new("one slow", TWO).upstreams(&pair(Habit::Slow(Duration::from_millis(200)), Habit::Honest)).asks(WHO),
        Group::new("one silent", TWO).upstreams(&pair(Habit::Silent, Habit::Honest)).asks(WHO),
        Group::new("one closed", TWO).upstreams(&pair(Habit::Closed, Habit::Honest)).asks(WHO),
        Group::new("one fails", TWO).upstreams(&pair(Habit::Says(2), Habit::Honest)).asks(WHO),
        Group::new("one refuses", TWO).upstreams(&pair(Habit::Says(5), Habit::Honest)).asks(WHO),
        Group::new("one knows of no such name", TWO)
            .upstreams(&pair(Habit::Says(3), Habit::Slow(Duration::from_millis(200))))
            .asks(WHO),
        Group::new("one is not implemented", TWO).upstreams(&pair(Habit::Says(4), Habit::Honest)).asks(WHO),
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

#[test]
fn nobody_answers() {
    let group = |name: &'static str, habit: Habit| {
        Group::new(name, TWO).upstreams(&pair(habit.clone(), habit)).ask("nobody", ask("www.example.net A"))
    };
    run(&[
        group("all silent", Habit::Silent).unanswered(),
        group("all closed", Habit::Closed).unanswered(),
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
fn in_order() {
    let conf = &[TWO[0], "strict-order"];
    run(&[
        Group::new("strict, both honest", conf).upstreams(&pair(Habit::Honest, Habit::Honest)).asks(WHO),
        Group::new("strict, the first slow", conf)
            .upstreams(&pair(Habit::Slow(Duration::from_millis(200)), Habit::Honest))
            .asks(WHO),
        Group::new("strict, the first fails", conf).upstreams(&pair(Habit::Says(2), Habit::Honest)).asks(WHO),
        Group::new("strict, the first refuses", conf).upstreams(&pair(Habit::Says(5), Habit::Honest)).asks(WHO),
        Group::new("strict, the first closed", conf)
            .upstreams(&pair(Habit::Closed, Habit::Honest))
            .ask("first", ask("who.example.net A"))
            .asking_again()
            .ask("second", ask("who2.example.net A"))
            .asking_again(),
        Group::new("strict, the first silent", conf)
            .upstreams(&pair(Habit::Silent, Habit::Honest))
            .ask("first", ask("who.example.net A"))
            .asking_again()
            .ask("second", ask("who2.example.net A"))
            .asking_again(),
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
        Group::new("all, one fails", conf).upstreams(&pair(Habit::Says(2), Habit::Honest)).asks(WHO),
        Group::new("all, one silent", conf).upstreams(&pair(Habit::Silent, Habit::Honest)).asks(WHO),
        Group::new("all, one closed", conf).upstreams(&pair(Habit::Closed, Habit::Honest)).asks(WHO),
    ])
}
