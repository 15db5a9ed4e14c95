//! What the cache costs: memory for many names, and time for a query that it answers, from the client's octets to the
//! reply's. `cargo run --release -p dns --example cache_cost [NAMES]`

use std::hint::black_box;
use std::time::{Duration, Instant};

use dns::settings::{Caching, Settings};
use dns::{Asked, Cache, Class, Data, Key, Limits, Name, Query, Reply, Rtype, Section, Sent, Told, Transport, judge};

const LIMITS: Limits = Limits { transport: Transport::Udp, payload: 1232 };

fn main() {
    let names: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let settings = Settings { cache: Caching { size: names, ..Caching::default() }, ..Settings::default() };
    let now = Instant::now();
    let (before, mut cache) = (resident(), Cache::new(settings.cache.clone()));
    let (mut message, mut judged) = (Vec::new(), Duration::ZERO);
    for number in 0..names {
        let question = question(number);
        upstream(&question, number, &mut message);
        let began = Instant::now();
        let sent = Sent { id: 7, question: &question, letters: true, dnssec_ok: false, by: Transport::Udp };
        let good = judge(&sent, &message, &settings).expect("a sound message");
        judged += began.elapsed();
        let name = question[..question.len() - 4].to_ascii_lowercase();
        let key = Key { name: &name, kind: Rtype::A, class: Class::IN, dnssec_ok: false, checking_disabled: false };
        cache.insert(now, &key, good.answer, good.keep.expect("it has a TTL"));
    }
    let grown = resident().saturating_sub(before);
    println!("{} answers: {} KiB counted, {grown} KiB more resident", cache.len(), cache.octets() / 1024);
    println!("an upstream message read: {:?}", judged / names as u32);

    let queries: Vec<Vec<u8>> = (0..1024).map(|number| query(&question(number * 7919 % names))).collect();
    let (rounds, mut out) = (1_000_000, Vec::new());
    let began = Instant::now();
    for round in 0..rounds {
        let query = Query::parse(&queries[round % queries.len()]).expect("a sound query");
        let hit = cache.get(now, &query.key()).expect("it was put there");
        let told = Told { age: hit.age, max_ttl: None, rotation: round, why: None };
        hit.answer.write(&query.asked, &LIMITS, &told, &mut out);
        black_box(&out);
    }
    println!("a query answered: {:?}", began.elapsed() / rounds as u32);
}

fn question(number: usize) -> Vec<u8> {
    let name: Name = format!("host-{number}.some.example.com").parse().expect("a name");
    [name.as_wire(), &[0, 1, 0, 1]].concat()
}

fn query(question: &[u8]) -> Vec<u8> {
    [&[0, 9, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1], question, &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat()
}

/// One address, as most answers have.
fn upstream(question: &[u8], number: usize, out: &mut Vec<u8>) {
    let asked =
        Asked { id: 7, question, recursion_desired: true, authentic_data: false, checking_disabled: false, edns: None };
    let mut reply = Reply::start(&asked, &LIMITS, out);
    let address = Data::A((number as u32).to_be_bytes().into());
    reply.push_wire(Section::Answer, &question[..question.len() - 4], &address, 86_400);
    reply.finish();
}

/// KiB of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
