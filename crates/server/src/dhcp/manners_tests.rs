//! Delays, rapid commit, BOOTP and names, packet by packet.

use std::time::Duration;

use boot::matching::TagExpr;
use config::{ConflictCheck, Dhcp, Manners};
use dhcp::v4::{MessageType, Packet};

use super::tests::{Bench, guide, host, mac, message, request};

const DELAY: Duration = Duration::from_secs(2);
const DISCOVER: (u8, &[u8]) = (53, &[1]);

fn bench(manners: Manners) -> Bench {
    Bench::new(Dhcp { manners, conflict_check: ConflictCheck::Off, ..guide() })
}

fn all() -> Vec<TagExpr> {
    vec![TagExpr::default()]
}

#[test]
fn an_offer_waits_and_nothing_else_waits_for_it() {
    let mut bench = bench(Manners { delays: vec![(TagExpr::default(), DELAY)], ..Manners::default() });
    assert!(bench.hears(&message(mac(1), &[DISCOVER])).replies.is_empty());
    bench.hears(&request(mac(2), host(210))).only(MessageType::Ack);
    assert!(bench.waits(DELAY / 2).replies.is_empty());
    // It asks again: the answer comes in time all the same, and as it asks now.
    let mut again = message(mac(1), &[DISCOVER]);
    again[4..8].copy_from_slice(&[7; 4]);
    assert!(bench.hears(&again).replies.is_empty());
    assert_eq!(bench.waits(DELAY / 2).only(MessageType::Offer).xid(), 0x0707_0707);
    assert!(bench.waits(DELAY * 2).replies.is_empty());
    assert_eq!(bench.engine.poll_timeout(), None);
}

#[test]
fn rapid_commit_is_an_acknowledgement_of_a_lease_that_is_written() {
    let mut bench = bench(Manners { rapid_commit: true, ..Manners::default() });
    let rapid = message(mac(1), &[DISCOVER, (80, &[])]);
    bench.engine.handle(bench.clock(), 0, &rapid);
    assert!(bench.out().replies.is_empty(), "before it is written");
    bench.engine.flush(bench.clock());
    let out = bench.out();
    let ack = out.only(MessageType::Ack);
    assert_eq!((ack.yiaddr(), ack.option(80).as_deref()), (host(200), Some(&[][..])));
    let out = bench.hears(&message(mac(2), &[DISCOVER]));
    assert_eq!(out.only(MessageType::Offer).yiaddr(), host(201));
}

#[test]
fn bootp_is_for_those_who_are_admitted_and_for_ever() {
    let mut plain = message(mac(1), &[]);
    plain[236..240].fill(0);
    assert!(bench(Manners::default()).hears(&plain).ignored().contains("BOOTP"));
    let mut bench = bench(Manners { bootp: all(), ..Manners::default() });
    let out = bench.hears(&plain);
    let reply = Packet::parse(&out.replies[0].1).unwrap();
    assert_eq!((reply.yiaddr(), reply.message_type(), reply.u32(51)), (host(200), None, None));
    assert!(reply.octets().len() == 300);
    assert_eq!(bench.hears(&plain).replies.len(), 1, "the same again");
}

#[test]
fn a_name_goes_with_who_takes_it_last() {
    let mut bench = bench(Manners::default());
    let named = |who, last: u8, name: &[u8]| {
        let (us, address) = (super::tests::SERVER.octets(), host(last).octets());
        message(mac(who), &[(53, &[3]), (54, &us), (50, &address), (12, name)])
    };
    let names = |bench: &Bench| {
        let names = bench.engine.store.list().map(|record| record.binding().unwrap().hostname.clone());
        names.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    bench.hears(&named(1, 200, b"pc"));
    bench.hears(&named(2, 201, b"PC"));
    assert_eq!(names(&bench), ["", "PC"]);
    // Both in one batch, and a third that says no name and keeps the one it has.
    bench.engine.handle(bench.clock(), 0, &named(1, 200, b"pc"));
    bench.engine.handle(bench.clock(), 0, &named(3, 202, b"pc"));
    bench.hears(&named(4, 203, b"four"));
    assert_eq!(names(&bench), ["", "", "pc", "four"]);
    bench.hears(&request(mac(4), host(203)));
    assert_eq!(names(&bench), ["", "", "pc", "four"]);
}
