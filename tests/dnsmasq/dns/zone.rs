//! What upstream servers of the tests know: one zone for all, in which names tell what they are for.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::message::{self, name};

/// Name, TTL, type, data. `WHO` in an address is the number of the server that is asked.
const RECORDS: &str = r#"
example.net 3600 SOA ns.example.net host.example.net 1 3600 600 86400 300
example.net 300 NS ns.example.net
example.net 300 MX 10 mail.example.net
example.net 300 TXT "v=one" "a second string"
who.example.net 300 A 192.0.2.WHO
who2.example.net 300 A 192.0.2.WHO
who3.example.net 300 A 192.0.2.WHO
who4.example.net 300 A 192.0.2.WHO
who.example.org 300 A 192.0.2.WHO
who.sub.example.org 300 A 192.0.2.WHO
who.test 300 A 192.0.2.WHO
whoever 300 A 192.0.2.WHO
www.example.net 300 A 192.0.2.80
www.example.net 300 AAAA 2001:db8::80
www.example.org 300 A 192.0.2.81
v4.example.net 300 A 192.0.2.4
v6.example.net 300 AAAA 2001:db8::6
mail.example.net 300 A 192.0.2.25
two.example.net 300 A 192.0.2.101
two.example.net 300 A 192.0.2.102
three.example.net 300 A 192.0.2.111
three.example.net 300 A 192.0.2.112
three.example.net 300 A 192.0.2.113
public.example.net 300 AAAA 2a00::5
alias.example.net 200 CNAME www.example.net
far.example.net 100 CNAME alias.example.net
out.example.net 300 CNAME www.example.org
dangling.example.net 300 CNAME nowhere.example.net
loop-a.example.net 300 CNAME loop-b.example.net
loop-b.example.net 300 CNAME loop-a.example.net
self.example.net 300 CNAME self.example.net
to-private.example.net 300 CNAME private.example.net
to-local.example.net 300 CNAME here.lan
soon.example.net 1 A 192.0.2.12
soon-alias.example.net 300 CNAME soon.example.net
minute.example.net 60 A 192.0.2.13
month.example.net 2592000 A 192.0.2.14
huge.example.net 4294967295 A 192.0.2.16
zero.example.net 0 A 192.0.2.15
_sip._tcp.example.net 300 SRV 10 20 5060 sip.example.net
sip.example.net 300 A 192.0.2.60
public.example.net 300 A 198.18.5.5
private.example.net 300 A 10.0.1.50
private192.example.net 300 A 192.168.7.7
private172.example.net 300 A 172.16.7.7
linklocal.example.net 300 A 169.254.7.7
loopback.example.net 300 A 127.0.0.1
nothing.example.net 300 A 0.0.0.0
shared.example.net 300 A 100.64.0.1
mixed-private.example.net 300 A 198.18.5.6
mixed-private.example.net 300 A 192.168.7.8
ula.example.net 300 AAAA fd00::7
nothing6.example.net 300 AAAA ::
linklocal6.example.net 300 AAAA fe80::7
loopback6.example.net 300 AAAA ::1
mapped.example.net 300 AAAA ::ffff:10.0.0.7
bogus.example.net 300 A 198.51.100.66
bogus6.example.net 300 AAAA 2001:db8:bad::1
half-bogus.example.net 300 A 192.0.2.2
half-bogus.example.net 300 A 198.51.100.66
doctored.example.net 300 A 192.0.2.200
odd.example.net 300 TYPE65280 0102030405
service.example.net 300 HTTPS 000100000100030268320004000400020102
info.example.net 300 HINFO 03582038034c494e
host.plain.test 300 A 192.0.2.90
pointed 300 A 192.0.2.91
80.2.0.192.in-addr.arpa 300 PTR www.example.net
50.1.0.10.in-addr.arpa 300 PTR private.example.net
7.7.168.192.in-addr.arpa 300 PTR private192.example.net
1.0.0.127.in-addr.arpa 300 PTR localhost.example.net
_ldap._tcp.example.net 300 SRV 0 0 389 ldap.example.net
secure.example.net 300 A 192.0.2.43
"#;

/// Names below this one have the address `192.0.2.99`.
const WILD: &str = ".wild.example.net";
const SOA: &str = "ns.example.net host.example.net 1 3600 600 86400 30";
const SOA_TTL: u32 = 60;
const LONGEST_CHAIN: usize = 16;

/// One record, its data in wire form.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: String,
    pub kind: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

/// What there is to say about a question.
pub struct Found {
    pub answers: Vec<Known>,
    pub authority: Vec<Known>,
    pub exists: bool,
}

/// As the server with this number says it.
pub fn find(asked: &str, kind: u16, who: u8) -> Found {
    let mut name = asked.to_ascii_lowercase();
    let mut found = Found { answers: Vec::new(), authority: Vec::new(), exists: true };
    for _ in 0..LONGEST_CHAIN {
        let here = all(&name, who);
        found.exists = !here.is_empty();
        let wanted = |known: &&Known| known.kind == kind || kind == message::kind("ANY");
        let matching: Vec<Known> = here.iter().filter(wanted).cloned().collect();
        let alias = here.iter().find(|known| known.kind == message::kind("CNAME"));
        match (matching.is_empty(), alias) {
            (true, Some(alias)) if found.answers.iter().any(|known| known.name == alias.name) => return found,
            (true, Some(alias)) => {
                found.answers.push(alias.clone());
                name = text(&alias.data);
            }
            (false, _) => {
                found.answers.extend(matching);
                return found;
            }
            (true, None) => break,
        }
    }
    found.authority = vec![soa(&name)];
    found
}

/// Of the zone that the name is in.
fn soa(name: &str) -> Known {
    let top = name.rsplit_once('.').map_or("", |(_, top)| top);
    let zone = ["example.net", "example.org", top].into_iter().find(|zone| name.ends_with(zone)).unwrap_or_default();
    Known { name: zone.to_owned(), kind: message::kind("SOA"), ttl: SOA_TTL, data: data("SOA", SOA) }
}

pub fn address(name: &str, ttl: u32, address: Ipv4Addr) -> Known {
    Known { name: name.to_owned(), kind: message::kind("A"), ttl, data: address.octets().to_vec() }
}

fn all(name: &str, who: u8) -> Vec<Known> {
    if name == "many.example.net" {
        return (1..=60).map(|last| address(name, 300, Ipv4Addr::new(198, 18, 0, last))).collect();
    }
    if name == "some.example.net" {
        return (1..=40).map(|last| address(name, 300, Ipv4Addr::new(198, 18, 1, last))).collect();
    }
    if name == "big.example.net" {
        let string = |at: u8| [&[200][..], &[b'a' + at; 200]].concat();
        let kind = message::kind("TXT");
        return (0..20).map(|at| Known { name: name.to_owned(), kind, ttl: 300, data: string(at) }).collect();
    }
    if name.ends_with(WILD) {
        return vec![address(name, 300, Ipv4Addr::new(192, 0, 2, 99))];
    }
    let record = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().expect("four words");
        let (owner, ttl, kind, value) = (word(), word(), word(), word());
        let value = value.replace("WHO", &who.to_string());
        (owner == name).then(|| Known {
            name: owner.to_owned(),
            ttl: ttl.parse().expect("a number"),
            kind: message::kind(kind),
            data: data(kind, &value),
        })
    };
    RECORDS.lines().filter(|line| !line.is_empty()).filter_map(record).collect()
}

fn data(kind: &str, value: &str) -> Vec<u8> {
    let words: Vec<&str> = value.split(' ').collect();
    let short = |word: &str| word.parse::<u16>().expect("a number").to_be_bytes().to_vec();
    let long = |word: &&str| word.parse::<u32>().expect("a number").to_be_bytes().to_vec();
    match kind {
        "A" => value.parse::<Ipv4Addr>().expect("an address").octets().to_vec(),
        "AAAA" => value.parse::<Ipv6Addr>().expect("an address").octets().to_vec(),
        "CNAME" | "PTR" | "NS" => name(value),
        "MX" => [short(words[0]), name(words[1])].concat(),
        "SRV" => [short(words[0]), short(words[1]), short(words[2]), name(words[3])].concat(),
        "SOA" => {
            [&[name(words[0]), name(words[1])], &words[2..].iter().map(long).collect::<Vec<_>>()[..]].concat().concat()
        }
        "TXT" => {
            let strings = value.split('"').skip(1).step_by(2);
            strings.flat_map(|string| [&[string.len() as u8], string.as_bytes()].concat()).collect()
        }
        _ => {
            (0..value.len()).step_by(2).map(|at| u8::from_str_radix(&value[at..at + 2], 16).expect("digits")).collect()
        }
    }
}

/// A name in wire form as text.
fn text(mut wire: &[u8]) -> String {
    let mut labels = Vec::new();
    while let [length @ 1..=63, rest @ ..] = wire {
        let (label, rest) = rest.split_at(usize::from(*length));
        labels.push(String::from_utf8_lossy(label));
        wire = rest;
    }
    labels.join(".")
}
