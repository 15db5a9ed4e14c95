//! Two outcomes side by side.

use std::time::Duration;

use super::ask::Heard;
use super::message::{AA, AD, CD, Message, RA, RD, Record, TC, bits};
use super::upstream::Asked;

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Whether there is an answer.
    Heard,
    /// How often the client had to ask.
    Tries,
    /// The reply's code.
    Code,
    /// A bit of the header.
    Bit(&'static str),
    /// The question that is repeated, letter by letter.
    Question,
    /// The records of a section, as a set.
    Answer,
    Authority,
    Additional,
    /// The same answers in another order, set by set.
    Order,
    /// Another order within a set: records of one name and type.
    Rotation,
    Ttl,
    /// The TTL of the SOA of a negative answer.
    NegativeTtl,
    /// Letters of names in records: upper and lower case.
    Letters,
    /// EDNS in the reply.
    Edns,
    /// Which upstream servers were asked what.
    Asked,
    /// How often each server was asked the same.
    Repeated,
    /// By what transport.
    AskedBy,
    /// Bits of the header of upstream queries.
    AskedBits,
    /// EDNS of upstream queries: whether, and its size.
    AskedEdns,
    /// The DO bit of upstream queries.
    AskedDo,
    AskedOptions,
}

/// What differs wherever it comes up, and why.
pub const ALWAYS: &[(What, &str)] = &[
    (What::Rotation, "any order within a set is right; it is turned from answer to answer, from another start"),
    (What::NegativeTtl, "RFC 2308 section 5: the lesser of the SOA's TTL and its minimum field"),
    (
        What::Repeated,
        "a server that is late, cannot be heard or says that it cannot is asked again by rules of our own",
    ),
    (What::AskedBy, "how we ask does not depend on how we are asked: by UDP, and by TCP what does not fit"),
    (What::AskedEdns, "RFC 6891: our own EDNS goes along with every query, as the answer is for all clients"),
];

#[derive(Debug)]
pub struct Difference {
    pub what: What,
    pub theirs: String,
    pub ours: String,
}

/// What came of one step on one side.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub heard: Heard,
    pub tries: u32,
    pub asked: Vec<Asked>,
    /// Since the server started.
    pub elapsed: Duration,
}

/// `counted`: TTLs may have been counted down.
pub fn outcomes(theirs: &Outcome, ours: &Outcome, counted: bool) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    match (&theirs.heard, &ours.heard) {
        (Heard::Message(one), Heard::Message(other)) => {
            messages(&mut found, one, other);
            let slack = if counted { 2 + theirs.elapsed.abs_diff(ours.elapsed).as_secs() as u32 } else { 0 };
            found.ttls(one, other, slack);
        }
        (theirs, ours) => found.text(What::Heard, theirs.to_string(), ours.to_string()),
    }
    found.text(What::Tries, theirs.tries.to_string(), ours.tries.to_string());
    let question = |asked: &Asked| asked.to_string().to_ascii_lowercase();
    found.set(What::Asked, &theirs.asked, &ours.asked, question);
    if theirs.asked.iter().all(|asked| ours.asked.iter().any(|other| question(asked) == question(other))) {
        found.of(What::Repeated, &theirs.asked, &ours.asked, question);
    }
    found.once(What::AskedBy, &theirs.asked, &ours.asked, |asked| if asked.tcp { "TCP" } else { "UDP" }.to_owned());
    // Whoever asks more often asks no otherwise.
    found.once(What::AskedBits, &theirs.asked, &ours.asked, |asked| bits(asked.flags));
    let edns = |asked: &Asked| asked.edns.as_ref().map_or(0, |edns| edns.size);
    found.once(What::AskedEdns, &theirs.asked, &ours.asked, |asked| edns(asked).to_string());
    let dnssec_ok = |asked: &Asked| asked.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
    found.once(What::AskedDo, &theirs.asked, &ours.asked, |asked| dnssec_ok(asked).to_string());
    let options = |asked: &Asked| asked.edns.iter().flat_map(|edns| edns.options.clone()).collect::<Vec<_>>();
    found.once(What::AskedOptions, &theirs.asked, &ours.asked, |asked| format!("{:?}", options(asked)));
    found.0
}

fn messages(found: &mut Found, theirs: &Message, ours: &Message) {
    found.text(What::Code, theirs.code.clone(), ours.code.clone());
    for (bit, name) in [(AA, "AA"), (TC, "TC"), (RD, "RD"), (RA, "RA"), (AD, "AD"), (CD, "CD"), (0x40, "Z")] {
        found.text(What::Bit(name), theirs.has(bit).to_string(), ours.has(bit).to_string());
    }
    let questions =
        |message: &Message| message.questions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    found.text(What::Question, questions(theirs), questions(ours));
    for (at, what) in [What::Answer, What::Authority, What::Additional].into_iter().enumerate() {
        let (theirs, ours) = (&theirs.sections[at], &ours.sections[at]);
        let before = found.0.len();
        found.of(what, theirs, ours, |record| record.key().to_ascii_lowercase());
        if found.0.len() > before {
            continue;
        }
        found.text(What::Order, sets(theirs), sets(ours));
        let list =
            |records: &[Record]| records.iter().map(|record| record.key().to_ascii_lowercase()).collect::<Vec<_>>();
        found.text(What::Rotation, list(theirs).join(", "), list(ours).join(", "));
        found.of(What::Letters, theirs, ours, Record::key);
    }
    let edns = |message: &Message| message.edns.as_ref().map_or("none".to_owned(), ToString::to_string);
    found.text(What::Edns, edns(theirs), edns(ours));
}

/// The name and type of each record, as long as they change.
fn sets(records: &[Record]) -> String {
    let mut sets: Vec<_> = records.iter().map(|it| format!("{} {}", it.name.to_ascii_lowercase(), it.kind)).collect();
    sets.dedup();
    sets.join(", ")
}

struct Found(Vec<Difference>);

impl Found {
    fn text(&mut self, what: What, theirs: String, ours: String) {
        if theirs != ours {
            self.0.push(Difference { what, theirs, ours });
        }
    }

    /// Compares in any order.
    fn of<T>(&mut self, what: What, theirs: &[T], ours: &[T], text: impl Fn(&T) -> String) {
        let list = |all: &[T]| {
            let mut all: Vec<String> = all.iter().map(&text).collect();
            all.sort();
            all.join(", ")
        };
        self.text(what, list(theirs), list(ours));
    }

    /// As [`Found::of`], each only once.
    fn set<T>(&mut self, what: What, theirs: &[T], ours: &[T], text: impl Fn(&T) -> String) {
        let list = |all: &[T]| {
            let mut all: Vec<String> = all.iter().map(&text).collect();
            all.sort();
            all.dedup();
            all.join(", ")
        };
        self.text(what, list(theirs), list(ours));
    }

    /// As [`Found::set`], if there is something on both sides.
    fn once<T>(&mut self, what: What, theirs: &[T], ours: &[T], text: impl Fn(&T) -> String) {
        if !theirs.is_empty() && !ours.is_empty() {
            self.set(what, theirs, ours, text);
        }
    }

    /// Of records that both have.
    fn ttls(&mut self, theirs: &Message, ours: &Message, slack: u32) {
        for (at, what) in [What::Ttl, What::NegativeTtl, What::Ttl].into_iter().enumerate() {
            let (theirs, ours) = (&theirs.sections[at], &ours.sections[at]);
            let same = |one: &Record, other: &Record| one.key().eq_ignore_ascii_case(&other.key());
            for one in theirs {
                let other = ours.iter().find(|other| same(one, other));
                if let Some(other) = other.filter(|other| one.ttl.abs_diff(other.ttl) > slack) {
                    self.text(what, one.to_string(), other.to_string());
                }
            }
        }
    }
}
