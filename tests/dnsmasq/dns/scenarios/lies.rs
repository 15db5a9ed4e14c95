//! Upstream answers that are not to be believed, or only in part.

use super::NO_REFERRAL;
use crate::dns::ask::ask;
use crate::dns::compare::What;
use crate::dns::habits::Habit;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

fn group(name: &'static str, habit: Habit) -> Group {
    Group::new(name, &[]).upstreams(&[Upstream::new(11).but("example.net", habit)])
}

const SOON: &str = "a server that is late is asked again before the client does";
const OTHER_LETTERS: &str = "letters are sent in random case, and what comes back in others is asked by TCP";
const BESIDE: &str = "records of other names than were asked for are told to nobody";
const BROKEN: &str = "an answer whose alias leads nowhere is not kept";
const PLAIN_AGAIN: &str =
    "what a server does not understand is put again without EDNS, and failures are kept for a while";

#[test]
fn answers_to_other_questions() {
    let silent = |name: &'static str, habit: Habit| {
        group(name, habit).ask("a lie", ask("www.example.net A")).unanswered().by_chance(&[What::Asked], SOON)
    };
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
        group("other letters", Habit::WrongCase)
            .asks(&["www.example.net A", "www.example.net A"])
            .throughout(&[What::Question, What::Letters], OTHER_LETTERS),
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
            .ask("the one beside it", ask("other-victim.example.net A"))
            .differs_at("with lies beside it", &[What::Answer, What::Additional], BESIDE),
        group("an alias and something else", Habit::BrokenChain)
            .ask("with a lie behind it", ask("start.example.net A"))
            .ask("again", ask("start.example.net A"))
            .becomes(Upstream::new(11))
            .ask("what was lied about", ask("victim.example.net A"))
            .differs_at("with a lie behind it", &[What::Answer], BESIDE)
            .differs_at("again", &[What::Asked], BROKEN),
    ])
}

#[test]
fn odd_answers() {
    let twice = |name: &'static str, habit: Habit| group(name, habit).asks(&["www.example.net A", "www.example.net A"]);
    run(&[
        twice("no such name, no SOA", Habit::NoSuchNameBare),
        twice("no such record, no SOA", Habit::NoRecordBare),
        twice("a referral", Habit::Referral).throughout(&[What::Authority], NO_REFERRAL),
        twice("authoritative", Habit::Authoritative),
        twice("no recursion", Habit::NoRecursion),
        twice("SERVFAIL", Habit::Says(2)).by_chance(&[What::Asked], PLAIN_AGAIN),
        twice("REFUSED", Habit::Says(5)).by_chance(&[What::Asked], PLAIN_AGAIN),
        twice("NOTIMP", Habit::Says(4)).by_chance(&[What::Asked], PLAIN_AGAIN),
        twice("FORMERR", Habit::Says(1)).by_chance(&[What::Asked], PLAIN_AGAIN),
        twice("YXDOMAIN", Habit::Says(6)).by_chance(&[What::Asked], PLAIN_AGAIN),
        twice("NOTAUTH", Habit::Says(9)).by_chance(&[What::Asked], PLAIN_AGAIN),
    ])
}
