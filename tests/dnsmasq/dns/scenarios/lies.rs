//! Upstream answers that are not to be believed, or only in part.

use crate::dns::ask::ask;
use crate::dns::habits::Habit;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

fn group(name: &'static str, habit: Habit) -> Group {
    Group::new(name, &[]).upstreams(&[Upstream::new(11).but("example.net", habit)])
}

#[test]
fn answers_to_other_questions() {
    let silent =
        |name: &'static str, habit: Habit| group(name, habit).ask("a lie", ask("www.example.net A")).unanswered();
    run(&[
        silent("another id", Habit::WrongId),
        silent("another name", Habit::WrongName),
        silent("another type", Habit::WrongType),
        silent("another port", Habit::OtherPort),
        silent("a question", Habit::Question),
        silent("no question", Habit::NoQuestion),
        silent("garbage", Habit::Garbage),
        silent("ends early", Habit::Cut),
        group("another id first", Habit::WrongIdFirst).asks(&["www.example.net A", "www.example.net A"]),
        group("another port first", Habit::OtherPortFirst).asks(&["www.example.net A", "www.example.net A"]),
        group("other letters", Habit::WrongCase).asks(&["www.example.net A", "www.example.net A"]),
        group("twice", Habit::Twice).asks(&["www.example.net A", "www.example.net A", "v4.example.net A"]),
    ])
}

#[test]
fn more_than_was_asked() {
    run(&[
        group("records of other names", Habit::Extras)
            .ask("with lies beside it", ask("www.example.net A"))
            .ask("again", ask("www.example.net A"))
            .becomes(Upstream::new(11))
            .ask("the one in the answer", ask("victim.example.net A"))
            .ask("the one beside it", ask("other-victim.example.net A")),
        group("an alias and something else", Habit::BrokenChain)
            .ask("with a lie behind it", ask("start.example.net A"))
            .ask("again", ask("start.example.net A"))
            .becomes(Upstream::new(11))
            .ask("what was lied about", ask("victim.example.net A")),
    ])
}

#[test]
fn odd_answers() {
    let twice = |name: &'static str, habit: Habit| group(name, habit).asks(&["www.example.net A", "www.example.net A"]);
    run(&[
        twice("no such name, no SOA", Habit::NoSuchNameBare),
        twice("no such record, no SOA", Habit::NoRecordBare),
        twice("a referral", Habit::Referral),
        twice("authoritative", Habit::Authoritative),
        twice("no recursion", Habit::NoRecursion),
        twice("SERVFAIL", Habit::Says(2)),
        twice("REFUSED", Habit::Says(5)),
        twice("NOTIMP", Habit::Says(4)),
        twice("FORMERR", Habit::Says(1)),
        twice("YXDOMAIN", Habit::Says(6)),
        twice("NOTAUTH", Habit::Says(9)),
    ])
}
