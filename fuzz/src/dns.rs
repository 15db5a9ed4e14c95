//! The DNS service between clients and upstream servers that do as they like.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dns::resolver::{Client, Effect, Handled, Resolver, Token, Transport};
use dns::settings::{Order, Route, Scope, Server, Settings, Stale, To};

use crate::input::Input;

/// One beginning for all runs: only the time that goes by in a run counts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What forgers say; nobody is ever told.
const FORGED: [u8; 4] = [6, 66, 166, 6];

/// The input: settings, then what clients and servers do.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let mut run = Run {
        resolver: Resolver::new(settings(input.u8()), [7; 32]),
        now: *START,
        asks: Vec::new(),
        waiting: BTreeMap::new(),
    };
    for _ in 0..400 {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
        run.drain();
    }
    run.end();
}

fn settings(bits: u8) -> Settings {
    let server = |port| Server { address: ([192, 0, 2, 1], port).into(), from: None, interface: None };
    let servers = (1..=1 + u16::from(bits & 3)).map(|port| Route { scope: Scope::All, to: To::Server(server(port)) });
    let mut settings = Settings { routes: servers.collect(), ..Settings::default() };
    settings.forward.order = [Order::Quickest, Order::Strict, Order::All][usize::from(bits >> 2 & 3).min(2)];
    settings.forward.max = if bits & 16 == 0 { 1000 } else { 2 };
    settings.forward.random_case = bits & 32 == 0;
    settings.cache.stale = if bits & 64 == 0 { Stale::Never } else { Stale::Always };
    settings.log = bits & 128 != 0;
    settings
}

struct Run {
    resolver: Resolver,
    now: Instant,
    /// Upstream queries that were sent, over or not.
    asks: Vec<(Token, Vec<u8>)>,
    /// Replies that clients still wait for, by port and id.
    waiting: BTreeMap<(u16, u16), usize>,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.u8() % 8 {
            0 => self.now += Duration::from_millis(input.u16().into()),
            1 => self.now = self.resolver.poll_timeout().map_or(self.now, |due| due.max(self.now)),
            2 => {
                let length = input.u8();
                let octets = input.take(length.into()).to_vec();
                self.ask(&octets, input.u8());
            }
            3 | 4 => {
                let query = query(input);
                self.ask(&query, input.u8());
            }
            5 => self.answer(input),
            6 => {
                let token = self.asks.get(usize::from(input.u8())).map(|(token, _)| *token);
                token.into_iter().for_each(|token| self.resolver.handle_unreachable(self.now, token));
            }
            _ => self.forge(input),
        }
        if self.resolver.poll_timeout().is_some_and(|due| due <= self.now) {
            self.resolver.handle_timeout(self.now);
            assert!(self.resolver.poll_timeout().is_none_or(|due| due > self.now), "what was due is done");
        }
    }

    fn ask(&mut self, octets: &[u8], port: u8) {
        let client = Client {
            address: ([10, 0, 0, 9], 1000 + u16::from(port % 4)).into(),
            local: [10, 0, 0, 1].into(),
            interface: 1,
            transport: if port & 4 == 0 { Transport::Udp } else { Transport::Tcp },
            by: 0,
        };
        let mut out = Vec::new();
        match self.resolver.handle_query(self.now, &client, octets, &mut out) {
            Handled::Reply => checked(&out),
            Handled::Waits => {
                let id = u16::from_be_bytes([octets[0], octets[1]]);
                *self.waiting.entry((client.address.port(), id)).or_default() += 1;
            }
            Handled::Dropped => {}
        }
    }

    /// A server's answer to one of our queries, spoilt at one place perhaps.
    fn answer(&mut self, input: &mut Input<'_>) {
        let Some((token, query)) = self.asks.get(usize::from(input.u8())) else { return };
        let mut octets = answer(query, input.u8(), [9, 9, 9, 9]);
        let length = input.u8() % 32;
        octets.extend_from_slice(input.take(length.into()));
        let (at, change) = (usize::from(input.u8()), input.u8());
        if let Some(octet) = octets.get_mut(at).filter(|_| at >= 2) {
            *octet ^= change;
        }
        self.resolver.handle_answer(self.now, *token, &octets);
    }

    /// An answer that does not know our id, or whom we ask for what.
    fn forge(&mut self, input: &mut Input<'_>) {
        let Some((token, query)) = self.asks.get(usize::from(input.u8())) else { return };
        let mut octets = answer(query, 0, FORGED);
        match input.u16() {
            0 => octets[13] ^= 1,
            id => (octets[0], octets[1]) = (octets[0] ^ id as u8, octets[1] ^ (id >> 8) as u8),
        }
        self.resolver.handle_answer(self.now, *token, &octets);
        assert_eq!(self.resolver.drain().next(), None, "a forged answer changes nothing");
    }

    fn drain(&mut self) {
        for effect in self.resolver.drain() {
            match effect {
                Effect::Ask { token, octets, .. } => self.asks.push((token, octets)),
                Effect::Reply { to, octets } => {
                    checked(&octets);
                    let key = (to.address.port(), u16::from_be_bytes([octets[0], octets[1]]));
                    let waits = self.waiting.get_mut(&key).filter(|waits| **waits > 0).expect("somebody waits for it");
                    *waits -= 1;
                }
                _ => {}
            }
        }
    }

    /// Time goes on until nothing is in flight: everybody has been told.
    fn end(&mut self) {
        for _ in 0..100_000 {
            let Some(due) = self.resolver.poll_timeout() else { break };
            self.now = due.max(self.now);
            self.resolver.handle_timeout(self.now);
            self.drain();
        }
        assert_eq!(self.resolver.poll_timeout(), None, "it ends");
        assert!(self.waiting.values().all(|waits| *waits == 0), "everybody is told");
    }
}

/// A query for one of a few names.
fn query(input: &mut Input<'_>) -> Vec<u8> {
    let (id, name, bits) = (input.u16(), input.u8(), input.u8());
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend_from_slice(&[bits & 1, bits & 0x30, 0, 1, 0, 0, 0, 0, 0, bits >> 7]);
    octets.extend_from_slice(&[2, b'a' + name % 4, b'A' + name / 4 % 4, 4]);
    octets.extend_from_slice(b"test\0\0");
    octets.extend_from_slice(&[[1, 28, 5, 255][usize::from(bits >> 2 & 3)], 0, 1]);
    if bits >> 7 == 1 {
        octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, (bits & 2) << 6, 0, 0, 0]);
    }
    octets
}

/// What a server may say: an address or an alias, a code, that it is cut.
fn answer(query: &[u8], what: u8, address: [u8; 4]) -> Vec<u8> {
    let end = query.len() - if query[11] > 0 { 11 } else { 0 };
    let mut octets = query[..end].to_vec();
    octets[2] = 0x81 | what >> 7 << 1;
    octets[3] = 0x80 | [0, 0, 0, 3, 2, 5, 1, 4][usize::from(what & 7)];
    octets[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    octets.extend_from_slice(&[0xc0, 12, 0, 1 + (what >> 3 & 1) * 4, 0, 1, 0, 0, 0, what & 0x70, 0, 4]);
    octets.extend_from_slice(if what & 8 == 0 { &address } else { &[1, b'z', 0xc0, 12] });
    octets
}

/// A reply is a whole message, and tells nothing that was forged.
fn checked(reply: &[u8]) {
    assert!(reply.len() >= 12 && reply[2] & 0x80 != 0, "a reply");
    assert!(!reply.windows(4).any(|octets| octets == FORGED), "a forged address");
}
