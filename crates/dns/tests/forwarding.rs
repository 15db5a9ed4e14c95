//! Clients, servers of all sorts and a clock: who is told what, and when.

mod world;

use std::time::Duration;

use dns::settings::Order;
use dns::{Rcode, Rtype};
use world::{Does, World, address, query, settings};

const SECOND: Duration = Duration::from_secs(1);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_query_is_forwarded_and_answered() {
    let mut world = World::of(&[Does::Answers(20)]);
    world.ask(0, 1000, query(7, "WWW.Example.test", Rtype::A));
    world.run();
    let (waited, reply) = world.told(1000, 7).unwrap();
    assert_eq!((waited, address(reply)), (millis(20), Some([9, 9, 9, 1].into())));
    assert_eq!(&reply[12..30], b"\x03WWW\x07Example\x04test\0", "letters as the client wrote them");
    world.settled(SECOND);
}

#[test]
fn one_question_of_many_clients_is_asked_once() {
    let mut world = World::of(&[Does::Answers(50)]);
    for port in 0..40 {
        let name = if port % 2 == 0 { "www.example.test" } else { "WWW.example.TEST" };
        world.ask(u64::from(port), 1000 + port, query(100 + port, name, Rtype::A));
    }
    world.run();
    assert_eq!(world.got.len(), 1);
    world.settled(millis(50));
}

#[test]
fn other_types_and_bits_are_other_questions() {
    let mut world = World::of(&[Does::Answers(50)]);
    let mut checking_disabled = query(3, "a.test", Rtype::A);
    checking_disabled[3] |= 0x10;
    let mut no_recursion = query(4, "a.test", Rtype::A);
    no_recursion[2] = 0;
    for (id, octets) in [query(1, "a.test", Rtype::A), query(2, "a.test", Rtype::AAAA), checking_disabled, no_recursion]
        .into_iter()
        .enumerate()
    {
        world.ask(id as u64, 1000, octets);
    }
    world.run();
    assert_eq!(
        world.got.iter().map(|(.., octets)| (octets[2] & 1, octets[3] & 0x10)).collect::<Vec<_>>(),
        [(1, 0), (1, 0), (1, 0x10), (0, 0)]
    );
    world.settled(SECOND);
}

#[test]
fn a_dead_server_is_covered_by_the_living() {
    for order in [Order::Quickest, Order::Strict, Order::All] {
        for dead in
            [Does::Nothing, Does::Unreachable, Does::Babbles, Does::Says(Rcode::SERVFAIL), Does::Says(Rcode::REFUSED)]
        {
            let servers = [dead, Does::Answers(30)];
            let mut world = World::new(settings(2, |forward| forward.order = order), &servers);
            for at in 0..20 {
                world.ask(at * 300, 1000, query(at as u16, &format!("n{at}.test"), Rtype::A));
            }
            world.run();
            world.settled(SECOND);
            for at in 0..20 {
                assert_eq!(address(world.told(1000, at).unwrap().1), Some([9, 9, 9, 2].into()), "{order:?} {dead:?}");
            }
        }
    }
}
