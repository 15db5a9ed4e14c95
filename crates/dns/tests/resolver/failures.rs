//! Failures are remembered for a moment (RFC 9520), and never told in place of anything better.

use std::time::Duration;

use crate::world::{Does, World, address, code, query, server, settings, with_edns};
use dns::resolver::{Effect, Failure, Outcome};
use dns::settings::Stale;
use dns::{Rcode, Rtype};

#[test]
fn what_failed_is_not_asked_again_for_a_moment() {
    let mut world = World::of(&[Does::Says(Rcode::SERVFAIL)]);
    world.resolver.watch(world.now, [10, 0, 0, 9].into());
    for (at, id) in [(0, 1), (500, 2), (1900, 3), (2100, 4)] {
        world.ask(at, 1000, with_edns(query(id, "a.test", Rtype::A)));
    }
    world.ask(600, 1000, query(5, "a.test", Rtype::AAAA));
    world.run();
    assert_eq!(world.got.len(), 3, "the first, another type, and once it is forgotten");
    let first = &world.told(1000, 1).unwrap().1[2..];
    let (waited, second) = world.told(1000, 3).unwrap();
    assert_eq!((waited, &second[2..]), (Duration::ZERO, first), "the same code, and the reason");
    let [Effect::LookedUp { outcome: Outcome::NoAnswer { asked }, .. }, ..] = &world.others[..] else {
        panic!("{:?}", world.others)
    };
    assert_eq!(asked[..], [(server(1).address, Failure::Said(Rcode::SERVFAIL))]);
    world.settled(Duration::from_secs(1));
}

#[test]
fn other_servers_are_asked_what_others_failed() {
    let mut world = World::new(settings(1, |_| ()), &[Does::Says(Rcode::SERVFAIL), Does::Answers(5)]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    assert_eq!(code(world.told(1000, 1).unwrap().1), Rcode::SERVFAIL);
    world.resolver.reconfigure(settings(2, |_| ()));
    world.ask(100, 1000, query(2, "a.test", Rtype::A));
    world.run();
    assert_eq!(address(world.told(1000, 2).unwrap().1), Some([9, 9, 9, 2].into()));
}

#[test]
fn a_failure_does_not_stand_in_for_what_is_out_of_date() {
    let mut settings = settings(1, |_| ());
    settings.cache.stale = Stale::Always;
    let mut world = World::new(settings, &[Does::Answers(5)]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.then(1000, 1, Does::Says(Rcode::SERVFAIL));
    for id in 2..12 {
        world.ask(100_000 + u64::from(id) * 100, 1000, query(id, "a.test", Rtype::A));
    }
    world.run();
    assert!((2..12).all(|id| address(world.told(1000, id).unwrap().1) == Some([9, 9, 9, 1].into())));
    assert_eq!(world.got.len(), 2, "it is not asked anew each time either (RFC 8767 section 5)");
}
