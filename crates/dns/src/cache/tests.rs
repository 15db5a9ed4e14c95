use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{answer, name, records};
use crate::{Class, Data, Name, Rtype, Section};

/// An answer, when it was put, and for how many seconds.
type Put = (Answer, Instant, u32);

const SECOND: Duration = Duration::from_secs(1);

fn cache(size: usize) -> Cache {
    Cache::new(Caching { size, ..Caching::default() })
}

fn key(name: &Name, kind: Rtype) -> Key<'_> {
    Key { name: name.as_wire(), kind, class: Class::IN, dnssec_ok: false, checking_disabled: false }
}

/// An address for the name: `last` tells answers apart.
fn address(text: &str, last: u8) -> Answer {
    answer(text, Rtype::A, Rcode::NOERROR, &[(Section::Answer, text, Data::A([10, 0, 0, last].into()))])
}

fn put(cache: &mut Cache, now: Instant, text: &str, last: u8, keep: u32) {
    cache.insert(now, &key(&name(text), Rtype::A), address(text, last), keep);
}

fn found(cache: &mut Cache, now: Instant, text: &str, kind: Rtype) -> Option<(Answer, Age)> {
    let name = name(text);
    cache.get(now, &key(&name, kind)).map(|hit| (Answer::new(hit.answer.octets().to_vec()), hit.age))
}

#[test]
fn an_answer_is_known_until_it_is_out_of_date() {
    let (mut cache, now) = (cache(10), Instant::now());
    put(&mut cache, now, "a.lan", 1, 300);
    assert_eq!(found(&mut cache, now + 299 * SECOND, "a.lan", Rtype::A), Some((address("a.lan", 1), Age::Fresh(299))));
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::AAAA), None);
    assert_eq!(found(&mut cache, now, "b.lan", Rtype::A), None);
    assert_eq!(found(&mut cache, now + 300 * SECOND, "a.lan", Rtype::A), None);
    assert_eq!((cache.len(), cache.octets()), (0, 0));
    assert_eq!(cache.counts(), Counts { inserted: 1, evicted: 0, expired: 1 });
    put(&mut cache, now, "a.lan", 1, 0);
    assert_eq!(cache.len(), 0, "nothing is kept for no time");
}

#[test]
fn bits_that_change_answers_are_part_of_the_key() {
    let (mut cache, now, name) = (cache(10), Instant::now(), name("a.lan"));
    let plain = key(&name, Rtype::A);
    cache.insert(now, &plain, address("a.lan", 1), 300);
    for other in [
        Key { dnssec_ok: true, ..plain },
        Key { checking_disabled: true, ..plain },
        Key { class: Class::CH, ..plain },
        Key { kind: Rtype::ANY, ..plain },
    ] {
        assert!(cache.get(now, &other).is_none(), "{other:?}");
    }
    cache.insert(now, &Key { dnssec_ok: true, ..plain }, address("a.lan", 2), 300);
    assert_eq!(cache.get(now, &plain).unwrap().answer.octets(), address("a.lan", 1).octets());
}

#[test]
fn no_such_name_holds_for_all_types() {
    let (mut cache, now) = (cache(10), Instant::now());
    put(&mut cache, now, "a.lan", 1, 300);
    let no_name = answer("a.lan", Rtype::A, Rcode::NXDOMAIN, &[]);
    cache.insert(now, &key(&name("a.lan"), Rtype::A), no_name.clone(), 60);
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::A), Some((no_name.clone(), Age::Fresh(0))));
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::MX), Some((no_name, Age::Fresh(0))));
    put(&mut cache, now, "a.lan", 2, 300);
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::MX), None, "there is one after all");
    assert_eq!(cache.len(), 1);
    // Behind an alias it is the alias's end that does not exist.
    let behind = [(Section::Answer, "b.lan", Data::Cname(name("c.lan")))];
    let behind = answer("b.lan", Rtype::A, Rcode::NXDOMAIN, &behind);
    cache.insert(now, &key(&name("b.lan"), Rtype::A), behind, 60);
    assert_eq!(found(&mut cache, now, "b.lan", Rtype::CNAME), None);
}

#[test]
fn no_such_name_said_of_a_newer_type_holds_for_that_alone() {
    let (mut cache, now) = (cache(10), Instant::now());
    let no_name = answer("a.lan", Rtype::AAAA, Rcode::NXDOMAIN, &[]);
    cache.insert(now, &key(&name("a.lan"), Rtype::AAAA), no_name.clone(), 60);
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::A), None);
    assert!(!cache.has(now, name("a.lan").as_wire(), Class::IN));
    put(&mut cache, now, "a.lan", 1, 30);
    cache.insert(now, &key(&name("a.lan"), Rtype::AAAA), no_name.clone(), 60);
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::A), Some((address("a.lan", 1), Age::Fresh(0))));
    assert_eq!(found(&mut cache, now, "a.lan", Rtype::AAAA), Some((no_name, Age::Fresh(0))));
    assert!(cache.has(now + 29 * SECOND, name("a.lan").as_wire(), Class::IN));
    assert!(!cache.has(now + 30 * SECOND, name("a.lan").as_wire(), Class::IN));
}

#[test]
fn records_that_hold_count_before_the_denial_of_their_name() {
    let settings = Caching { size: 10, stale: Stale::Always, ..Caching::default() };
    let (mut cache, now) = (Cache::new(settings), Instant::now());
    let text = answer("a.lan", Rtype::TXT, Rcode::NOERROR, &[(Section::Answer, "a.lan", Data::Txt(vec![vec![7]]))]);
    let nothing = answer("a.lan", Rtype::MX, Rcode::NOERROR, &[]);
    let no_name = answer("a.lan", Rtype::A, Rcode::NXDOMAIN, &[]);
    cache.insert(now, &key(&name("a.lan"), Rtype::TXT), text.clone(), 30);
    cache.insert(now, &key(&name("a.lan"), Rtype::MX), nothing, 300);
    cache.insert(now, &key(&name("a.lan"), Rtype::A), no_name.clone(), 60);
    let mut age = |kind, seconds| found(&mut cache, now + seconds * SECOND, "a.lan", kind).unwrap();
    assert_eq!(age(Rtype::TXT, 29), (text.clone(), Age::Fresh(29)));
    assert_eq!(age(Rtype::MX, 29), (no_name.clone(), Age::Fresh(29)));
    assert_eq!(age(Rtype::TXT, 30), (no_name, Age::Fresh(30)), "what is newer holds");
    assert_eq!(age(Rtype::TXT, 60), (text, Age::Stale));
}

#[test]
fn answers_out_of_date_are_told_as_the_settings_say() {
    let now = Instant::now();
    for (stale, until) in [(Stale::Never, 300), (Stale::For(100 * SECOND), 400), (Stale::Always, 1_000_000)] {
        let mut cache = Cache::new(Caching { size: 10, stale, ..Caching::default() });
        put(&mut cache, now, "a.lan", 1, 300);
        let age =
            |cache: &mut Cache, seconds| found(cache, now + seconds * SECOND, "a.lan", Rtype::A).map(|(_, age)| age);
        assert_eq!(age(&mut cache, 299), Some(Age::Fresh(299)));
        assert_eq!(age(&mut cache, until - 1), Some(if until == 300 { Age::Fresh(299) } else { Age::Stale }));
        assert_eq!(age(&mut cache, until).is_none(), stale != Stale::Always);
    }
}

#[test]
fn times_stay_within_their_bounds() {
    let settings = Caching { size: 10, min_ttl: 100, max_ttl: Some(200), ..Caching::default() };
    let (mut cache, now) = (Cache::new(settings), Instant::now());
    put(&mut cache, now, "short.lan", 1, 10);
    put(&mut cache, now, "long.lan", 1, 1000);
    for (text, lives) in [("short.lan", 100), ("long.lan", 200)] {
        let (answer, _) = found(&mut cache, now + (lives - 1) * SECOND, text, Rtype::A).unwrap();
        assert_eq!(records(answer.octets())[0], [format!("{text} 200 A 10.0.0.1")]);
        assert_eq!(found(&mut cache, now + lives * SECOND, text, Rtype::A), None);
    }
}

#[test]
fn types_that_are_not_named_are_not_kept() {
    let settings = Caching { size: 10, only: vec![Rtype::AAAA], ..Caching::default() };
    let (mut cache, now) = (Cache::new(settings), Instant::now());
    put(&mut cache, now, "a.lan", 1, 300);
    assert!(cache.is_empty());
}

#[test]
fn what_is_asked_for_outlives_what_is_not() {
    let (mut cache, now) = (cache(10), Instant::now());
    (0..10).for_each(|number| put(&mut cache, now, &format!("n{number}.lan"), number, 300));
    for number in 10..100 {
        assert!(found(&mut cache, now, "n3.lan", Rtype::A).is_some(), "before {number}");
        put(&mut cache, now, &format!("n{number}.lan"), number, 300);
    }
    assert_eq!(cache.len(), 10);
    assert_eq!(cache.counts(), Counts { inserted: 100, evicted: 90, expired: 0 });
}

#[test]
fn other_settings_keep_what_has_its_place() {
    let (mut cache, now) = (cache(10), Instant::now());
    (0..10).for_each(|number| put(&mut cache, now, &format!("n{number}.lan"), number, 300));
    cache.reconfigure(Caching { size: 20, ..Caching::default() });
    assert_eq!(found(&mut cache, now + SECOND, "n9.lan", Rtype::A), Some((address("n9.lan", 9), Age::Fresh(1))));
    cache.reconfigure(Caching { size: 3, ..Caching::default() });
    assert_eq!((cache.len(), cache.counts().inserted), (3, 10));
    cache.reconfigure(Caching { size: 0, ..Caching::default() });
    assert!(cache.is_empty());
    put(&mut cache, now, "a.lan", 1, 300);
    assert!(cache.is_empty());
}

#[test]
fn large_answers_do_not_take_all_the_room() {
    let (mut cache, now) = (cache(100), Instant::now());
    let large = |text: &str, octets| {
        let data = Data::Other { kind: Rtype::TXT, data: vec![0; octets] };
        answer(text, Rtype::TXT, Rcode::NOERROR, &[(Section::Answer, text, data)])
    };
    for number in 0..100 {
        let text = format!("n{number}.lan");
        cache.insert(now, &key(&name(&text), Rtype::TXT), large(&text, 10_000), 300);
        assert!(cache.octets() <= cache.room());
    }
    assert_eq!(cache.len(), 5);
    cache.insert(now, &key(&name("x.lan"), Rtype::TXT), large("x.lan", 20_000), 300);
    assert_eq!(found(&mut cache, now, "x.lan", Rtype::TXT), None);
}

proptest! {
    /// Against a map without bounds: what the cache gives is what was put last under that very key.
    #[test]
    fn it_gives_what_was_put_and_keeps_its_bounds(
        size in 0usize..12,
        steps in prop::collection::vec((0..12u8, 0..20u8, 0..3u8, any::<bool>(), 0..40u32), 0..200),
    ) {
        let mut cache = cache(size);
        let mut model = HashMap::<(u8, bool, Option<u8>), Put>::new();
        let mut now = Instant::now();
        for (serial, (step, which, kind, dnssec_ok, seconds)) in steps.into_iter().enumerate() {
            let text = format!("n{which}.lan");
            let name = name(&text);
            let kinds = [Rtype::A, Rtype::TXT, Rtype::AAAA];
            let key = Key { dnssec_ok, ..key(&name, kinds[usize::from(kind)]) };
            let unique = Data::Other { kind: key.kind, data: (serial as u32).to_be_bytes().to_vec() };
            match step {
                0..5 => {
                    let answer = answer(&text, key.kind, Rcode::NOERROR, &[(Section::Answer, &text, unique)]);
                    cache.insert(now, &key, answer.clone(), seconds);
                    model.remove(&(which, dnssec_ok, None));
                    model.insert((which, dnssec_ok, Some(kind)), (answer, now, seconds));
                }
                5 => {
                    let answer = answer(&text, key.kind, Rcode::NXDOMAIN, &[(Section::Authority, "lan", unique)]);
                    cache.insert(now, &key, answer.clone(), seconds);
                    model.remove(&(which, dnssec_ok, None));
                    model.remove(&(which, dnssec_ok, Some(kind)));
                    let of = Some(kind).filter(|_| key.kind != Rtype::A);
                    model.insert((which, dnssec_ok, of), (answer, now, seconds));
                }
                6 => now += seconds * SECOND,
                7 if seconds == 0 => {
                    cache.clear();
                    model.clear();
                }
                _ => {
                    let known = [Some(kind), None].map(|kind| model.get(&(which, dnssec_ok, kind)));
                    if let Some(hit) = cache.get(now, &key) {
                        // Either may have made room for others.
                        let mut known = known.into_iter().flatten();
                        let known = known.find(|(answer, ..)| hit.answer.octets() == answer.octets());
                        let (_, made, keep) = known.expect("something was put there");
                        prop_assert!(now - *made < *keep * SECOND, "it is out of date");
                        prop_assert_eq!(hit.age, Age::Fresh((now - *made).as_secs() as u32));
                    }
                }
            }
            prop_assert!(cache.len() <= size && cache.octets() <= cache.room());
        }
    }
}
