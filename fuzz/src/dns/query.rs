//! A client's query: any octets, to a service that knows names of its own and asks one server that is silent.

use std::sync::LazyLock;
use std::time::Instant;

use dns::resolver::{Effect, Handled};
use dns::{Query, Resolver};

use crate::input::Input;

use super::message::Message;
use super::{clients, settings, witness::Witness};

static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The input: who asks, then the query.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let client = clients::client(input.u8(), 1);
    let octets = input.0;
    read_alike(octets);
    let settings = settings::settings(&mut Input(&[0, 0, 0, 0, 0xff]), None);
    let mut witness = Witness::new(settings.clone());
    let mut resolver = Resolver::new(settings, [7; 32]);
    let mut out = vec![1; 3];
    witness.asks(octets);
    match resolver.handle_query(*NOW, &client, octets, &mut out) {
        Handled::Reply => witness.replied(*NOW, &client, octets, &out),
        Handled::Waits => assert!(resolver.drain().any(|effect| matches!(effect, Effect::Ask { .. })), "it is asked"),
        Handled::Dropped => {
            assert!(octets.len() < 12 || octets[2] & 0x80 != 0, "whoever asks is told");
            assert!(out.is_empty());
        }
    }
}

/// What is read as a query is read the same by others.
fn read_alike(octets: &[u8]) {
    let (Ok(query), Some(message)) = (Query::parse(octets), Message::read(octets)) else { return };
    assert!(!message.bad_opt);
    let question = message.question.expect("a query has a question");
    assert_eq!(query.name(), question.name);
    assert_eq!((query.kind.to_int(), query.class.to_int()), (question.kind, question.class));
    let asked = &query.asked;
    assert_eq!(asked.question, &octets[12..12 + question.name.len() + 4], "with the letters of the client");
    assert_eq!((asked.id, asked.recursion_desired), (message.id, message.flags[0] & 1 != 0));
    assert_eq!(
        (asked.authentic_data, asked.checking_disabled),
        (message.flags[1] & 0x20 != 0, message.flags[1] & 0x10 != 0)
    );
    let edns = asked.edns.map(|edns| (edns.payload, edns.dnssec_ok));
    assert_eq!(edns, message.opt.map(|opt| (opt.payload.max(512), opt.dnssec_ok)));
}
