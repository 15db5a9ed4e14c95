//! Clients, servers of all sorts and a clock: who is told what, and when.

use std::time::Duration;

use crate::world::{Does, World, address, client, code, query, settings, with_edns};
use dns::resolver::{Client, Effect, Failure, Handled, Outcome, Transport};
use dns::settings::{Order, Retry, Stale};
use dns::{Rcode, Rtype};

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

#[test]
fn the_living_are_asked_first_once_the_dead_are_known() {
    let mut world = World::of(&[Does::Nothing, Does::Answers(30)]);
    world.ask(0, 1000, query(1, "first.test", Rtype::A));
    world.ask(600, 1000, query(2, "second.test", Rtype::A));
    world.ask(700, 1000, query(3, "third.test", Rtype::A));
    world.run();
    assert_eq!(world.told(1000, 2).unwrap().0, millis(30));
    assert_eq!(world.told(1000, 3).unwrap().0, millis(30));
}

#[test]
fn a_server_that_dies_under_load_costs_nobody_a_second() {
    let mut world = World::of(&[Does::Answers(5), Does::Answers(40), Does::Answers(60)]);
    for at in 0..2000u16 {
        world.ask(u64::from(at) * 5, 1000 + at % 50, query(at, &format!("n{at}.test"), Rtype::A));
    }
    world.then(4000, 1, Does::Nothing);
    world.then(7000, 2, Does::Unreachable);
    world.run();
    let longest = world.settled(SECOND);
    assert!(longest < millis(500), "{longest:?}");
    let late = |(when, port, ..): &&(std::time::Instant, u16, Transport, Vec<u8>)| *when > world.at(5000) && *port == 1;
    let probes = world.got.iter().filter(late).count();
    assert!((1..20).contains(&probes), "the dead one is tried again, and seldom: {probes}");
}

#[test]
fn one_that_comes_back_is_found_again() {
    let mut world = World::of(&[Does::Answers(5), Does::Answers(80)]);
    for at in 0..700u16 {
        world.ask(u64::from(at) * 100, 1000, query(at, &format!("n{at}.test"), Rtype::A));
    }
    world.then(10_000, 1, Does::Nothing);
    world.then(20_000, 1, Does::Answers(5));
    world.run();
    world.settled(SECOND);
    let by = |id| address(world.told(1000, id).unwrap().1).unwrap().octets()[3];
    assert_eq!((by(90), by(150), by(690)), (1, 2, 1));
}

#[test]
fn nobody_answers_and_clients_are_told_so() {
    for servers in [&[Does::Nothing][..], &[Does::Nothing, Does::Nothing], &[Does::Nothing; 5]] {
        let mut world = World::of(servers);
        world.resolver.watch(world.now, [10, 0, 0, 9].into());
        world.ask(0, 1000, with_edns(query(1, "a.test", Rtype::A)));
        world.run();
        let (waited, reply) = world.told(1000, 1).unwrap();
        assert_eq!((code(reply), waited), (Rcode::SERVFAIL, millis(4000)));
        assert!(String::from_utf8_lossy(reply).contains("no upstream server answered"), "{reply:?}");
        assert!(world.got.len() >= 3 && world.got.len() <= 24, "{}", world.got.len());
        let silent: Vec<_> =
            (1..).take(servers.len()).map(|port| (crate::world::server(port).address, Failure::Silent)).collect();
        let [Effect::LookedUp { outcome: Outcome::NoAnswer { asked }, .. }] = &world.others[..] else {
            panic!("{:?}", world.others)
        };
        let servers: std::collections::BTreeSet<_> = asked.iter().map(|(server, _)| *server).collect();
        assert!(asked.iter().all(|one| silent.contains(one)) && servers.len() == silent.len(), "{asked:?}");
    }
}

#[test]
fn what_all_servers_say_is_passed_on_at_once() {
    for said in [Rcode::SERVFAIL, Rcode::REFUSED, Rcode::NOTIMP, Rcode::YXDOMAIN] {
        let mut world = World::of(&[Does::Says(said), Does::Says(said)]);
        world.ask(0, 1000, query(1, "a.test", Rtype::A));
        world.run();
        let (waited, reply) = world.told(1000, 1).unwrap();
        assert_eq!(code(reply), said);
        assert!(waited <= millis(20), "{waited:?}");
    }
}

#[test]
fn a_refusal_beside_a_dead_server_is_told_within_about_a_second() {
    let mut world = World::of(&[Does::Says(Rcode::REFUSED), Does::Nothing]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    let (waited, reply) = world.told(1000, 1).unwrap();
    assert_eq!(code(reply), Rcode::REFUSED);
    assert!(waited <= millis(2000), "{waited:?}");
}

#[test]
fn no_server_at_all_is_refused_with_the_reason() {
    let mut world = World::of(&[]);
    world.resolver.watch(world.now, [10, 0, 0, 9].into());
    world.ask(0, 1000, with_edns(query(1, "a.test", Rtype::A)));
    world.ask(0, 1000, query(2, "a.test", Rtype::AXFR));
    world.run();
    let (_, reply) = world.told(1000, 1).unwrap();
    assert_eq!(code(reply), Rcode::REFUSED);
    assert!(String::from_utf8_lossy(reply).contains("no upstream server"));
    assert_eq!(code(world.told(1000, 2).unwrap().1), Rcode::NOTIMP);
    assert!(matches!(&world.others[0], Effect::LookedUp { outcome: Outcome::NoServer, .. }));
}

#[test]
fn strict_order_is_kept() {
    let mut world = World::new(
        settings(3, |forward| forward.order = Order::Strict),
        &[Does::Answers(300), Does::Answers(1), Does::Answers(1)],
    );
    for at in 0..20 {
        world.ask(at * 400, 1000, query(at as u16, &format!("n{at}.test"), Rtype::A));
    }
    world.run();
    assert!(world.ports().iter().all(|port| *port == 1), "a slow first server is the first all the same");
    world.settled(SECOND);
}

#[test]
fn all_servers_are_asked_at_once_and_the_first_good_answer_counts() {
    let servers = [Does::Answers(300), Does::Says(Rcode::REFUSED), Does::Answers(20)];
    let mut world = World::new(settings(3, |forward| forward.order = Order::All), &servers);
    for at in 0..5 {
        world.ask(at * 400, 1000, query(at as u16, &format!("n{at}.test"), Rtype::A));
    }
    world.run();
    assert_eq!(world.got.len(), 15);
    assert_eq!(world.settled(SECOND), millis(20));
}

#[test]
fn an_impatient_client_makes_us_ask_the_next_one() {
    let settings = settings(2, |forward| forward.order = Order::Strict);
    let mut world = World::new(settings, &[Does::Nothing, Does::Answers(10)]);
    for at in [0, 100, 110] {
        world.ask(at, 1000, query(1, "a.test", Rtype::A));
    }
    world.run();
    assert_eq!(world.told(1000, 1).unwrap().0, millis(110), "one reply, ten milliseconds after the second try");
}

#[test]
fn impatience_and_late_refusals_put_off_nobodys_turn() {
    let dead = [Does::Nothing, Does::Nothing, Does::Nothing, Does::Nothing, Does::Nothing];
    let mut world = World::of(&[&dead[..], &[Does::Answers(180)]].concat());
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.ask(390, 1000, query(1, "a.test", Rtype::A));
    world.run();
    // Four at once, the fifth at 390 by the client's impatience, and the sixth at 400 all the same.
    assert_eq!(world.told(1000, 1).unwrap().0, millis(580));
    world.settled(SECOND);
}

#[test]
fn times_to_ask_again_may_be_given() {
    let retry = Some(Retry { first: millis(300), total: millis(2500) });
    let mut world = World::new(settings(1, |forward| forward.retry = retry), &[Does::Nothing]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    let times: Vec<_> = world.got.iter().map(|(when, ..)| (*when - world.start).as_millis()).collect();
    assert_eq!(times, [0, 300, 900, 2100]);
    assert_eq!(world.told(1000, 1).unwrap().0, millis(2500));
}

#[test]
fn what_does_not_fit_is_asked_by_tcp() {
    let mut world = World::of(&[Does::Truncates]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    assert_eq!(world.got.iter().map(|(_, _, by, _)| *by).collect::<Vec<_>>(), [Transport::Udp, Transport::Tcp]);
    assert!(address(world.told(1000, 1).unwrap().1).is_some());
}

#[test]
fn letters_that_come_back_changed_are_made_sure_of_by_tcp_and_spared_afterwards() {
    let mut world = World::of(&[Does::LosesLetters]);
    for at in 0..3 {
        world.ask(at * 100, 1000, query(at as u16, &format!("name-with-letters-{at}.test"), Rtype::A));
    }
    world.run();
    assert_eq!(
        world.got.iter().map(|(_, _, by, _)| *by).collect::<Vec<_>>(),
        [Transport::Udp, Transport::Tcp, Transport::Udp, Transport::Udp]
    );
    world.settled(SECOND);
}

#[test]
fn letters_ids_and_names_are_random_on_the_way_out() {
    let mut world = World::of(&[Does::Answers(5)]);
    for at in 0..50 {
        world.ask(at, 1000, query(at as u16, &format!("www.example.test{at}"), Rtype::A));
    }
    world.run();
    let ids: std::collections::BTreeSet<_> = world.got.iter().map(|(.., octets)| octets[..2].to_vec()).collect();
    let letters: std::collections::BTreeSet<_> = world.got.iter().map(|(.., octets)| octets[12..30].to_vec()).collect();
    assert!(ids.len() >= 49 && letters.len() >= 45, "{} {}", ids.len(), letters.len());
}

#[test]
fn servers_without_edns_are_asked_without() {
    let mut world = World::of(&[Does::KnowsNoEdns]);
    for at in 0..3 {
        world.ask(at * 100, 1000, query(at as u16, &format!("n{at}.test"), Rtype::A));
    }
    world.run();
    assert_eq!(world.got.iter().map(|(.., octets)| octets[11]).collect::<Vec<_>>(), [1, 0, 0, 0]);
    assert!(address(world.told(1000, 2).unwrap().1).is_some());
}

#[test]
fn forged_answers_reach_nobody() {
    let mut world = World::of(&[Does::IsForged(30)]);
    for at in 0..20 {
        world.ask(at * 100, 1000, query(at as u16, "same.test", Rtype::A));
        world.ask(at * 100 + 50, 1000, query(100 + at as u16, &format!("other{at}.test"), Rtype::A));
    }
    world.run();
    world.settled(SECOND);
    for (_, told) in world.asked.values() {
        assert_eq!(address(&told[0].1), Some([9, 9, 9, 1].into()));
    }
}

#[test]
fn a_server_that_leads_back_to_us_is_left_out() {
    let settings = settings(2, |forward| forward.detect_loops = true);
    let mut world = World::new(settings, &[Does::LeadsBack, Does::Answers(20)]);
    for at in 0..10 {
        world.ask(at * 100, 1000, query(at as u16, &format!("n{at}.test"), Rtype::A));
    }
    world.run();
    let warnings = world
        .others
        .iter()
        .filter(|effect| matches!(effect, Effect::Warn { text, .. } if text.contains("192.0.2.1:1 ")));
    assert_eq!(warnings.count(), 1, "{:?}", world.others);
    let asked: Vec<_> = world.got.iter().filter(|(when, port, ..)| *port == 1 && *when > world.at(50)).collect();
    assert!(asked.is_empty(), "{asked:?}");
    for at in 0..10 {
        assert!(world.told(1000, at).unwrap().0 <= SECOND);
    }
}

#[test]
fn who_changes_letters_and_knows_no_tcp_is_believed_without_letters() {
    let mut world = World::of(&[Does::LosesLettersAndTcp]);
    world.ask(0, 1000, query(1, "a-long-name.test", Rtype::A));
    world.run();
    assert_eq!(address(world.told(1000, 1).unwrap().1), Some([9, 9, 9, 1].into()));
    world.settled(millis(10));
}

#[test]
fn a_part_is_told_where_the_whole_cannot_be_had() {
    for (does, within) in [(Does::CutsAndRefusesTcp, 5), (Does::CutsAndIgnoresTcp, 1010)] {
        let mut world = World::of(&[does]);
        world.ask(0, 1000, query(1, "a.test", Rtype::A));
        world.ask(9000, 1000, query(2, "a.test", Rtype::A));
        world.run();
        world.settled(millis(within));
        for id in [1, 2] {
            let reply = world.told(1000, id).unwrap().1;
            assert_eq!((code(reply), address(reply)), (Rcode::NOERROR, Some([9, 9, 9, 1].into())), "{does:?}");
            assert_eq!(reply[2] & 0x02, 0x02, "it is not said to be whole");
        }
    }
    let mut world = World::of(&[Does::CutsAndRefusesTcp, Does::Answers(50)]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    assert_eq!(address(world.told(1000, 1).unwrap().1), Some([9, 9, 9, 2].into()), "another server has the whole");
}

#[test]
fn so_many_wait_for_one_answer_and_no_more() {
    let mut world = World::of(&[Does::Nothing]);
    for at in 0..1030 {
        world.ask(0, 1000 + at, query(at, "a.test", Rtype::A));
    }
    world.run();
    let refused = world.asked.values().filter(|(_, told)| code(&told[0].1) == Rcode::REFUSED).count();
    assert_eq!(refused, 6);
    let [Effect::Warn { text, fix }] = &world.others[..] else { panic!("{:?}", world.others) };
    assert!(text.contains("a.test") && !fix.contains("dns-forward-max"), "{text} {fix}");
}

#[test]
fn so_many_queries_are_in_flight_and_no_more() {
    let mut world = World::new(settings(1, |forward| forward.max = 5), &[Does::Nothing]);
    for at in 0..20 {
        world.ask(0, 1000 + at, with_edns(query(at, &format!("n{at}.test"), Rtype::A)));
    }
    for at in 20..60 {
        world.ask(1, 1000 + at, query(at, "n0.test", Rtype::A));
    }
    world.run();
    world.settled(millis(4000));
    let refused = world.asked.values().filter(|(_, told)| code(&told[0].1) == Rcode::REFUSED).count();
    assert_eq!(refused, 16 + 29, "of five queries four, and of twenty who wait fifteen");
    let [Effect::Warn { text, fix }] = &world.others[..] else { panic!("{:?}", world.others) };
    assert!(text.contains('5') && fix.contains("dns-forward-max"), "{text} {fix}");
}

#[test]
fn who_asks_for_all_at_once_keeps_nobody_else_from_answers() {
    let mut world = World::new(settings(1, |forward| forward.max = 8), &[Does::Nothing]);
    for at in 0..100 {
        world.ask(0, 1000 + at, query(at, &format!("n{at}.test"), Rtype::A));
    }
    world.run();
    let mut handled = |client, id: u16| {
        let octets = query(id, &format!("m{id}.test"), Rtype::A);
        world.resolver.handle_query(world.now, &client, &octets, &mut Vec::new())
    };
    let greedy: Vec<_> = (0..100).map(|id| handled(client(1), id)).collect();
    assert_eq!(greedy.iter().filter(|handled| **handled == Handled::Waits).count(), 6, "given back, and taken again");
    let modest = Client { address: ([10, 0, 0, 8], 1).into(), ..client(1) };
    assert_eq!(
        [handled(modest, 200), handled(modest, 201), handled(modest, 202)],
        [Handled::Waits, Handled::Waits, Handled::Reply]
    );
}

#[test]
fn an_answer_is_kept_while_it_holds() {
    let mut world = World::of(&[Does::Answers(20)]);
    for (at, id) in [(0, 1), (1_000, 2), (59_000, 3), (61_000, 4)] {
        world.ask(at, 1000, query(id, "a.test", Rtype::A));
    }
    world.run();
    let waited: Vec<_> = (1..=4).map(|id| world.told(1000, id).unwrap().0.as_millis()).collect();
    assert_eq!(waited, [20, 0, 0, 20]);
    let statistics = world.resolver.statistics();
    assert_eq!((statistics.forwarded, statistics.answered_locally, statistics.servers[0].asked), (2, 2, 2));
}

#[test]
fn what_is_out_of_date_is_told_and_asked_anew() {
    let mut settings = settings(1, |_| ());
    settings.cache.stale = Stale::For(Duration::from_secs(3600));
    let mut world = World::new(settings, &[Does::Answers(20)]);
    for (at, id) in [(0, 1), (100_000, 2), (100_001, 3), (100_100, 4), (9_999_000, 5)] {
        world.ask(at, 1000, query(id, "a.test", Rtype::A));
    }
    world.then(50_000, 1, Does::NoSuchName(50));
    world.run();
    let told: Vec<_> = (1..=5)
        .map(|id| (world.told(1000, id).unwrap().0.as_millis(), code(world.told(1000, id).unwrap().1)))
        .collect();
    let (found, gone) = (Rcode::NOERROR, Rcode::NXDOMAIN);
    assert_eq!(told[..3], [(20, found), (0, found), (0, found)], "{told:?}");
    assert_eq!(told[3].1, gone);
    assert_eq!(world.ports().len(), 4, "once for both who got it out of date; the last ones again");
}

#[test]
fn names_that_stay_here_are_not_asked() {
    let settings = settings(1, |forward| forward.filter_windows = true);
    let mut world = World::new(settings, &[Does::Answers(20)]);
    let expected = [
        ("plain", Rtype::A, Rcode::NXDOMAIN, false),
        ("plain", Rtype::AAAA, Rcode::NXDOMAIN, false),
        ("plain", Rtype::TXT, Rcode::NOERROR, true),
        ("1.0.0.10.in-addr.arpa", Rtype::PTR, Rcode::NXDOMAIN, false),
        ("8.8.8.8.in-addr.arpa", Rtype::PTR, Rcode::NOERROR, true),
        ("_ldap._tcp.a.test", Rtype::SRV, Rcode::NOERROR, false),
        ("a.test", Rtype::SOA, Rcode::NOERROR, false),
        ("a.test", Rtype::MAILB, Rcode::NXDOMAIN, false),
        ("a_b.test", Rtype::ANY, Rcode::NOERROR, false),
        ("a.test", Rtype::ANY, Rcode::NOERROR, true),
    ];
    for (at, (name, kind, ..)) in expected.iter().enumerate() {
        world.ask(at as u64 * 100, 1000, query(at as u16, name, *kind));
    }
    world.run();
    for (at, (name, kind, told, forwarded)) in expected.into_iter().enumerate() {
        let (waited, reply) = world.told(1000, at as u16).unwrap();
        assert_eq!((code(reply), waited > Duration::ZERO), (told, forwarded), "{name} {kind}");
    }
}
