//! Whatever servers do and whenever clients ask: everybody is told once, the truth, and soon where one server lives.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::world::{Does, World, address, code, query, settings, with_edns};
use dns::settings::{Order, Retry, Stale};
use dns::{Rcode, Rtype};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// Anything that a server may do.
fn anything() -> impl Strategy<Value = Does> {
    prop_oneof![
        3 => (1u64..300).prop_map(Does::Answers),
        2 => Just(Does::Nothing),
        1 => Just(Does::Unreachable),
        1 => Just(Does::Says(Rcode::SERVFAIL)),
        1 => Just(Does::Says(Rcode::REFUSED)),
        1 => Just(Does::Says(Rcode::NOTIMP)),
        1 => Just(Does::Truncates),
        1 => Just(Does::LosesLetters),
        1 => Just(Does::KnowsNoEdns),
        1 => (1u64..100).prop_map(Does::LosesEverySecond),
        1 => Just(Does::Babbles),
        1 => (2u64..100).prop_map(Does::IsForged),
        1 => (1u64..3000).prop_map(Does::Answers),
    ]
}

#[derive(Clone, Debug)]
struct Asked {
    at: u64,
    port: u16,
    name: u8,
    /// The same once more, this much later.
    again: Option<u64>,
    edns: bool,
}

fn load(over: u64, most: usize) -> impl Strategy<Value = Vec<Asked>> {
    let one = (0..over, 1000u16..1010, 0u8..12, prop::option::weighted(0.2, 0u64..1500), any::<bool>());
    let one = one.prop_map(|(at, port, name, again, edns)| Asked { at, port, name, again, edns });
    prop::collection::vec(one, 1..most)
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Quickest), Just(Order::Strict), Just(Order::All)]
}

fn ask_all(world: &mut World, load: &[Asked]) {
    for (id, Asked { at, port, name, again, edns }) in load.iter().enumerate() {
        let octets = query(id as u16, &format!("Name{name}.Example.test"), Rtype::A);
        let octets = if *edns { with_edns(octets) } else { octets };
        again.iter().for_each(|later| world.ask(at + later, *port, octets.clone()));
        world.ask(*at, *port, octets);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// No client waits for more than a second while one server answers within 200 ms.
    #[test]
    fn one_living_server_is_enough(
        others in prop::collection::vec(anything(), 0..4),
        place in any::<prop::sample::Index>(),
        takes in 1u64..200,
        how in prop_oneof![Just(Order::Quickest), Just(Order::All)],
        load in load(20_000, 60),
    ) {
        let mut servers = others;
        servers.insert(place.index(servers.len() + 1), Does::Answers(takes));
        let mut world = World::new(settings(servers.len(), |forward| forward.order = how), &servers);
        ask_all(&mut world, &load);
        world.run();
        world.settled(SECOND);
        for (_, told) in world.asked.values() {
            prop_assert_eq!(code(&told[0].1), Rcode::NOERROR);
        }
    }

    /// Servers come and go. Everybody is told exactly once within four seconds, nothing is left over, no forged address is
    /// ever told, and settings of all sorts change nothing of it.
    #[test]
    fn everybody_is_told_once(
        servers in prop::collection::vec(anything(), 1..5),
        changes in prop::collection::vec((0u64..20_000, any::<prop::sample::Index>(), anything()), 0..6),
        how in order(),
        retry in prop::option::of((0u64..2000, 0u64..3900)),
        (random_case, stale, cached) in any::<(bool, bool, bool)>(),
        max in prop_oneof![1usize..10, Just(1000)],
        load in load(20_000, 80),
    ) {
        let mut settings = settings(servers.len(), |forward| {
            (forward.order, forward.random_case, forward.max) = (how, random_case, max);
            let millis = Duration::from_millis;
            forward.retry = retry.map(|(first, total)| Retry { first: millis(first), total: millis(total) });
        });
        settings.cache.stale = if stale { Stale::Always } else { Stale::Never };
        settings.cache.size = if cached { 100 } else { 0 };
        let mut world = World::new(settings, &servers);
        ask_all(&mut world, &load);
        for (at, server, does) in changes {
            world.then(at, server.index(servers.len()) as u16 + 1, does);
        }
        world.run();
        world.settled(Duration::from_secs(4));
        for (_, told) in world.asked.values() {
            let told = address(&told[0].1);
            prop_assert!(told.is_none_or(|told| told != Ipv4Addr::new(9, 9, 9, 66)), "a forged address");
        }
        let bound = world.asked.len() * 24 + 64;
        prop_assert!(world.got.len() <= bound, "{} queries for {} clients", world.got.len(), world.asked.len());
    }

    /// Octets of any sort from clients and servers: no panic, and nothing is told that nobody asked for.
    #[test]
    fn octets_of_any_sort_do_no_harm(messages in prop::collection::vec(
        (prop::collection::vec(any::<u8>(), 0..80), any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..40,
    )) {
        let mut world = World::of(&[Does::Nothing, Does::Nothing]);
        let client = crate::world::client(5);
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        world.resolver.handle_query(world.now, &client, &query(1, "a.test", Rtype::A), &mut out);
        for (octets, spoilt, which, change) in messages {
            sent.extend(world.resolver.drain().filter_map(|effect| match effect {
                dns::Effect::Ask { token, octets, .. } => Some((token, octets)),
                _ => None,
            }));
            world.resolver.handle_query(world.now, &client, &octets, &mut out);
            let (token, asked) = &sent[which.index(sent.len())];
            let mut reply = crate::world::answer(asked, Rcode::NOERROR, 7);
            if spoilt {
                let at = which.index(reply.len());
                reply[at] = change;
                reply.truncate(reply.len() - usize::from(change % 3));
            }
            world.resolver.handle_answer(world.now, *token, if spoilt { &reply } else { &octets });
        }
    }
}
