//! What is known here, decided here, or kept, and what is told of it.

use crate::world::{Does, World, address, client, code, name, query, server, settings, with_edns};
use dns::hosts::File;
use dns::local::Lease;
use dns::lookups::{Logged, Says, Source};
use dns::resolver::{Effect, Handled, Outcome};
use dns::settings::{Route, Scope, To};
use dns::{Data, Rcode, Record, Rtype, Settings};

/// One server for all names; `two.test` is nobody's, `four.test` has an address.
fn routed() -> Settings {
    let mut settings = settings(1, |_| ());
    let domain = |text, to| Route { scope: Scope::Domain(name(text)), to };
    settings.routes.push(domain("two.test", To::Nobody));
    settings.routes.push(domain("four.test", To::Address([192, 0, 2, 44].into())));
    settings
}

/// The code of the reply to a query, or `None` if it is forwarded.
fn at_once(world: &mut World, asked: &str, kind: Rtype) -> Option<(Rcode, Option<std::net::Ipv4Addr>)> {
    let mut out = Vec::new();
    let handled = world.resolver.handle_query(world.now, &client(5), &query(9, asked, kind), &mut out);
    (handled == Handled::Reply).then(|| (code(&out), address(&out)))
}

#[test]
fn local_names_come_before_routes_and_routes_before_servers() {
    let mut world = World::new(routed(), &[Does::NoSuchName(10)]);
    let hosts = "10.0.0.5 box.two.test box.other.test\n10.0.0.6 sub.four.test\n10.0.0.7 a.b.other.test\nnonsense box\n";
    world.resolver.set_hosts(vec![File::new("/etc/hosts", hosts)]);
    let found = |last| Some((Rcode::NOERROR, Some([10, 0, 0, last].into())));
    let nothing = Some((Rcode::NOERROR, None));
    for (asked, kind, expected) in [
        ("box.two.test", Rtype::A, found(5)),
        ("BOX.two.test", Rtype::AAAA, nothing),
        ("nil.two.test", Rtype::A, Some((Rcode::NXDOMAIN, None))),
        ("sub.four.test", Rtype::A, found(6)),
        ("x.sub.four.test", Rtype::A, Some((Rcode::NOERROR, Some([192, 0, 2, 44].into())))),
        ("5.0.0.10.in-addr.arpa", Rtype::PTR, nothing),
        ("8.0.0.10.in-addr.arpa", Rtype::PTR, Some((Rcode::NXDOMAIN, None))),
        ("four.test", Rtype::TXT, None),
    ] {
        let told = at_once(&mut world, asked, kind).map(|(code, at)| (code, at.filter(|_| kind == Rtype::A)));
        assert_eq!(told, expected, "{asked} {kind}");
    }
    let warning = world.resolver.drain().find(|effect| matches!(effect, Effect::Warn { .. }));
    assert!(
        matches!(warning, Some(Effect::Warn { text, .. }) if text.contains("/etc/hosts:4") && text.contains("nonsense"))
    );
}

#[test]
fn a_name_that_is_known_here_is_not_denied_by_others() {
    let mut world = World::new(routed(), &[Does::NoSuchName(10)]);
    world.resolver.set_hosts(vec![File::new("h", "10.0.0.7 a.b.other.test")]);
    for (id, asked, kind) in [
        (1, "a.b.other.test", Rtype::AAAA),
        (2, "b.other.test", Rtype::A),
        (3, "c.other.test", Rtype::A),
        (4, "a.b.other.test", Rtype::TXT),
    ] {
        world.ask(u64::from(id) * 100, 1000, query(id, asked, kind));
    }
    world.run();
    let codes: Vec<_> = (1..=4).map(|id| code(world.told(1000, id).unwrap().1)).collect();
    assert_eq!(codes, [Rcode::NOERROR, Rcode::NOERROR, Rcode::NXDOMAIN, Rcode::NOERROR]);
}

#[test]
fn broken_balancers_hide_no_address() {
    for first in [Rtype::AAAA, Rtype::A] {
        let mut world = World::of(&[Does::DeniesAllButA]);
        let asked = [first, Rtype::A, Rtype::AAAA, Rtype::A, Rtype::MX];
        for (id, kind) in asked.into_iter().enumerate() {
            world.ask(id as u64 * 100, 1000, query(id as u16, "lb.test", kind));
        }
        world.run();
        for (id, kind) in asked.into_iter().enumerate().skip(1) {
            let reply = world.told(1000, id as u16).unwrap().1;
            assert_eq!(
                (code(reply), address(reply).is_some()),
                (Rcode::NOERROR, kind == Rtype::A),
                "{kind} after {first}"
            );
        }
    }
}

#[test]
fn a_name_with_an_address_of_one_family_exists_for_all_types() {
    let mut world = World::new(routed(), &[Does::NoSuchName(10)]);
    for (id, kind) in [(1, Rtype::AAAA), (2, Rtype::MX), (3, Rtype::AAAA)] {
        world.ask(u64::from(id) * 100, 1000, query(id, "a.four.test", kind));
    }
    world.ask(400, 1000, query(4, "five.test", Rtype::MX));
    world.run();
    let codes: Vec<_> = (1..=4).map(|id| code(world.told(1000, id).unwrap().1)).collect();
    assert_eq!(codes, [Rcode::NOERROR, Rcode::NOERROR, Rcode::NOERROR, Rcode::NXDOMAIN]);
    let mut alone = settings(0, |_| ());
    alone.routes = routed().routes.split_off(1);
    let mut world = World::new(alone, &[]);
    assert_eq!(at_once(&mut world, "four.test", Rtype::MX), Some((Rcode::NOERROR, None)));
}

#[test]
fn domain_needed_keeps_plain_names_from_servers_of_plain_names() {
    let mut settings = settings(1, |forward| forward.domain_needed = true);
    settings.routes.push(Route { scope: Scope::Plain, to: To::Server(server(1)) });
    let mut world = World::new(settings, &[Does::Answers(10)]);
    assert_eq!(at_once(&mut world, "box", Rtype::A), Some((Rcode::NXDOMAIN, None)));
    assert_eq!(at_once(&mut world, "box", Rtype::MX), None);
}

#[test]
fn an_alias_of_ours_leads_to_what_is_decided_here() {
    let mut settings = routed();
    let target = Data::Cname(name("www.four.test"));
    settings.local.records.push(Record { name: name("alias.lan"), data: target, ttl: Some(7) });
    let mut world = World::new(settings, &[Does::NoSuchName(20)]);
    assert_eq!(at_once(&mut world, "alias.lan", Rtype::AAAA), None);
    let mut out = Vec::new();
    let handled = world.resolver.handle_query(world.now, &client(5), &query(9, "alias.lan", Rtype::A), &mut out);
    assert_eq!((handled, code(&out), out[7]), (Handled::Reply, Rcode::NOERROR, 2));
    assert!(out.ends_with(&[192, 0, 2, 44]), "{out:?}");
}

/// The code of the extended error at the end of a reply.
fn why(reply: &[u8]) -> Option<u16> {
    let &[.., 0, 15, 0, 2, high, low] = reply else { return None };
    Some(u16::from_be_bytes([high, low]))
}

#[test]
fn the_reason_of_an_answer_is_kept_with_it() {
    let mut settings = routed();
    settings.filter.types = vec![Rtype::A];
    settings.cache.negative_ttl = Some(60);
    settings.cache.stale = dns::settings::Stale::Always;
    let target = Data::Cname(name("up.test"));
    settings.local.records.push(Record { name: name("alias.lan"), data: target, ttl: Some(7) });
    let mut world = World::new(settings, &[Does::Answers(20)]);
    let plan = [(0, "up.test", 17), (100, "up.test", 17), (200, "alias.lan", 17), (90_000, "alias.lan", 3)];
    for (id, (at, asked, _)) in plan.into_iter().enumerate() {
        world.ask(at, 1000, with_edns(query(id as u16, asked, Rtype::A)));
    }
    world.run();
    for (id, (at, asked, expected)) in plan.into_iter().enumerate() {
        assert_eq!(why(world.told(1000, id as u16).unwrap().1), Some(expected), "{asked} at {at}");
    }
}

#[test]
fn a_lease_has_its_name_the_moment_it_is_given() {
    let mut world = World::new(routed(), &[Does::NoSuchName(10)]);
    assert_eq!(at_once(&mut world, "box.two.test", Rtype::A), Some((Rcode::NXDOMAIN, None)));
    let lease = |domain| Lease { address: [10, 0, 0, 99].into(), name: name("box"), domain, ends: None };
    world.resolver.lease_given(lease(Some(name("two.test"))));
    let found = Some((Rcode::NOERROR, Some([10, 0, 0, 99].into())));
    assert_eq!(at_once(&mut world, "box.two.test", Rtype::A), found);
    world.resolver.lease_ended([10, 0, 0, 99].into());
    assert_eq!(at_once(&mut world, "box.two.test", Rtype::A), Some((Rcode::NXDOMAIN, None)));
}

#[test]
fn the_log_follows_each_query() {
    let mut settings = routed();
    settings.log = true;
    let mut world = World::new(settings, &[Does::Answers(20)]);
    world.resolver.set_hosts(vec![File::new("/h", "10.0.0.5 box.two.test")]);
    for (id, asked) in [(1, "a.test"), (2, "a.test"), (3, "box.two.test"), (4, "nil.two.test")] {
        world.ask(u64::from(id) * 100, 1000, query(id, asked, Rtype::A));
    }
    world.run();
    let line = |effect: &Effect| match effect {
        Effect::Log(line) => match &line.what {
            Logged::Query { name, kind } => format!("{} {kind} {name}?", line.serial),
            Logged::Forwarded { name, to } => format!("{} {name} to {to}", line.serial),
            Logged::Answer { name, says: Says::Address(address), source } => {
                format!("{} {name} is {address} by {source:?}", line.serial)
            }
            other => format!("{} {other:?}", line.serial),
        },
        other => panic!("{other:?}"),
    };
    let none = Logged::Answer { name: name("nil.two.test"), says: Says::NoSuchName, source: Source::Configuration };
    let lines: Vec<_> = world.others.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "1 A a.test?".to_owned(),
            "1 a.test to 192.0.2.1:1".to_owned(),
            "1 a.test is 9.9.9.1 by Upstream".to_owned(),
            "2 A a.test?".to_owned(),
            "2 a.test is 9.9.9.1 by Cached".to_owned(),
            "3 A box.two.test?".to_owned(),
            "3 box.two.test is 10.0.0.5 by Hosts(\"/h\")".to_owned(),
            "4 A nil.two.test?".to_owned(),
            format!("4 {none:?}"),
        ]
    );
}

#[test]
fn look_ups_of_those_who_are_watched_are_told_once() {
    let mut world = World::new(routed(), &[Does::Answers(20)]);
    for (id, asked) in [(1, "a.test"), (2, "a.test"), (3, "nil.two.test"), (4, "four.test"), (5, "four.test")] {
        world.ask(u64::from(id) * 100, 1000, query(id, asked, Rtype::A));
    }
    world.resolver.watch(world.now, client(5).address.ip());
    world.run();
    let told: Vec<_> = world
        .others
        .iter()
        .map(|effect| match effect {
            Effect::LookedUp { name, outcome: Outcome::Found { answers, local, millis }, .. } => {
                format!("{name} {answers:?} {local} {millis}")
            }
            Effect::LookedUp { name, outcome, .. } => format!("{name} {outcome:?}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        ["a.test [\"9.9.9.1\"] false 20", "nil.two.test NoSuchName { by: None }", "four.test [\"192.0.2.44\"] true 0",]
    );
}

#[test]
fn other_settings_and_servers_count_at_once() {
    let mut world = World::new(routed(), &[Does::Answers(20), Does::Answers(20)]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    assert!(at_once(&mut world, "a.test", Rtype::A).is_some(), "it is kept");
    let mut settings = routed();
    settings.routes.push(Route { scope: Scope::Domain(name("a.test")), to: To::Server(server(2)) });
    world.resolver.reconfigure(settings);
    world.ask(500, 1000, query(2, "a.test", Rtype::A));
    world.run();
    assert_eq!(address(world.told(1000, 2).unwrap().1), Some([9, 9, 9, 2].into()));
    world.resolver.clear_cache();
    assert_eq!(at_once(&mut world, "a.test", Rtype::A), None);
}

#[test]
fn a_server_that_goes_while_it_is_asked_is_not_waited_for() {
    let mut world = World::new(settings(0, |_| ()), &[Does::Nothing, Does::Answers(20)]);
    world.resolver.set_servers(vec![server(1), server(2)]);
    world.ask(0, 1000, query(1, "a.test", Rtype::A));
    world.run();
    assert_eq!(address(world.told(1000, 1).unwrap().1), Some([9, 9, 9, 2].into()));
    let mut out = Vec::new();
    world.resolver.set_servers(vec![server(1)]);
    let handled = world.resolver.handle_query(world.now, &client(7), &query(2, "b.test", Rtype::A), &mut out);
    assert_eq!(handled, Handled::Waits);
    world.resolver.set_servers(Vec::new());
    let due = world.resolver.poll_timeout().unwrap();
    world.resolver.handle_timeout(due);
    let effects: Vec<_> = world.resolver.drain().collect();
    let over = effects.iter().filter(|effect| matches!(effect, Effect::Over { .. })).count();
    assert_eq!(over, 1);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Reply { octets, .. } if code(octets) == Rcode::SERVFAIL))
    );
    assert_eq!(world.resolver.poll_timeout(), None, "nothing is left");
}

#[test]
fn messages_that_are_no_queries_are_answered_as_such() {
    let mut world = World::of(&[Does::Answers(20)]);
    let mut told = |octets: &[u8]| {
        let mut out = Vec::new();
        match world.resolver.handle_query(world.now, &client(5), octets, &mut out) {
            Handled::Reply => Some(code(&out)),
            Handled::Dropped => None,
            Handled::Waits => Some(Rcode::NOERROR),
        }
    };
    let sound = query(1, "a.test", Rtype::A);
    let changed = |at: usize, to: u8| {
        let mut octets = with_edns(sound.clone());
        octets[at] = to;
        octets
    };
    assert_eq!(told(&sound), Some(Rcode::NOERROR));
    assert_eq!(told(&changed(2, 0x81)), None, "an answer");
    assert_eq!(told(&changed(2, 0x21)), Some(Rcode::NOTIMP));
    assert_eq!(told(&changed(5, 0)), Some(Rcode::FORMERR));
    assert_eq!(told(&sound[..11]), None);
    assert_eq!(told(&query(2, "a.test", Rtype::AXFR)), Some(Rcode::NOTIMP));
}

#[test]
fn an_alias_of_ours_leads_to_what_others_know() {
    let mut settings = routed();
    let target = Data::Cname(name("www.up.test"));
    settings.local.records.push(Record { name: name("alias.lan"), data: target, ttl: Some(7) });
    let nowhere = Data::Cname(name("nil.two.test"));
    settings.local.records.push(Record { name: name("nowhere.lan"), data: nowhere, ttl: Some(7) });
    let mut world = World::new(settings, &[Does::Answers(20)]);
    for (id, asked) in [(1, "ALIAS.lan"), (2, "alias.lan"), (3, "www.up.test"), (4, "nowhere.lan")] {
        world.ask(u64::from(id) * 100, 1000, query(id, asked, Rtype::A));
    }
    world.then(10_000, 1, Does::NoSuchName(20));
    world.ask(90_000, 1000, query(5, "alias.lan", Rtype::A));
    world.then(100_000, 1, Does::Nothing);
    world.ask(110_000, 1000, query(6, "alias.lan", Rtype::A));
    world.run();
    let told = |id| {
        let (waited, reply) = world.told(1000, id).unwrap();
        (waited.as_millis(), code(reply), reply[7])
    };
    assert_eq!((told(1), told(2), told(3)), ((20, Rcode::NOERROR, 2), (0, Rcode::NOERROR, 2), (0, Rcode::NOERROR, 1)));
    assert_eq!(told(4), (0, Rcode::NXDOMAIN, 1), "nobody may be asked");
    assert_eq!(told(5), (20, Rcode::NXDOMAIN, 1), "RFC 6604");
    assert_eq!(told(6), (4000, Rcode::SERVFAIL, 0));
    let reply = world.told(1000, 1).unwrap().1;
    assert!(reply.ends_with(&[9, 9, 9, 1]) && reply[12..].starts_with(b"\x05ALIAS\x03lan\0"), "{reply:?}");
}
