//! The DNS service between clients, servers and forgers that do as they like, while settings and names change.

mod clients;
mod message;
pub mod query;
mod servers;
mod settings;
mod witness;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dns::local::Lease;
use dns::resolver::{Client, Effect, Handled, Interface, Resolver, Token};
use dns::settings::{Server, Settings};

use crate::input::Input;
use settings::Lives;
use witness::Witness;

/// One beginning for all runs: only the time that goes by in a run counts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// While one server lives, nobody waits for longer: resolvers ask again after a second at the earliest.
const RETRY: Duration = Duration::from_secs(1);
const STEPS: usize = 200;

/// The input: who lives, settings, then what clients and servers do.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let lives = settings::lives(&mut input);
    let settings = settings::settings(&mut input, lives);
    let mut run = Run::new(settings, lives);
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
    }
    run.end();
}

struct Run {
    resolver: Resolver,
    witness: Witness,
    now: Instant,
    lives: Option<Lives>,
    /// Answers of the server that lives, on their way.
    coming: BTreeMap<(Instant, u64), Vec<u8>>,
    /// Upstream queries that were sent, over or not.
    asks: Vec<(Token, Server, Vec<u8>)>,
    /// The latest query, to be sent again.
    latest: Option<(Client, Vec<u8>)>,
    queries: u64,
}

impl Run {
    fn new(settings: Settings, lives: Option<Lives>) -> Run {
        Run {
            resolver: Resolver::new(settings.clone(), [7; 32]),
            witness: Witness::new(settings),
            now: *START,
            lives,
            coming: BTreeMap::new(),
            asks: Vec::new(),
            latest: None,
            queries: 0,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.u8() % 20 {
            0 => self.wait(Duration::from_millis(input.u16().into())),
            1 => self.wait(self.resolver.poll_timeout().map_or(Duration::ZERO, |due| due.duration_since(self.now))),
            2 => self.wait(Duration::from_secs(10 * u64::from(input.u8()))),
            3 => {
                let length = input.u8();
                let octets = input.take(length.into()).to_vec();
                self.ask(input.u8(), octets);
            }
            4..=7 => {
                let port = input.u8();
                self.ask(port, clients::query(input));
            }
            8..=12 => self.answer(input),
            13 => self.unreachable(input),
            14 => self.forge(input),
            15 => self.lease(input),
            16 => self.surroundings(input),
            17 => self.reconfigure(input),
            18 => {
                let Some((client, octets)) = self.latest.clone() else { return };
                self.ask_as(Client { by: self.queries, ..client }, octets);
            }
            _ => self.lead_back(input),
        }
        self.drain();
    }

    /// Time goes on; what is due by then is done at its time.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..10_000 {
            let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
            let due = self.resolver.poll_timeout().into_iter().chain(coming).min();
            let Some(due) = due.filter(|due| *due <= until) else {
                self.now = until;
                return;
            };
            self.now = due.max(self.now);
            self.due(coming == Some(due));
        }
        panic!("something is due over and over");
    }

    fn due(&mut self, comes: bool) {
        if comes && let Some(((_, token), octets)) = self.coming.pop_first() {
            self.hears(Token(token), &octets);
        } else {
            self.resolver.handle_timeout(self.now);
            assert!(self.resolver.poll_timeout().is_none_or(|due| due > self.now), "what was due is done");
        }
        self.drain();
    }

    fn ask(&mut self, port: u8, octets: Vec<u8>) {
        self.ask_as(clients::client(port, self.queries), octets);
    }

    fn ask_as(&mut self, client: Client, octets: Vec<u8>) {
        self.queries += 1;
        self.witness.asks(&octets);
        let mut out = vec![1; 3];
        match self.resolver.handle_query(self.now, &client, &octets, &mut out) {
            Handled::Reply => self.witness.replied(self.now, &client, &octets, &out),
            Handled::Waits => {
                let soon = self.lives.is_some() && self.witness.is_usual(&octets);
                self.witness.waits(self.now, &client, &octets, soon.then_some(RETRY));
            }
            Handled::Dropped => self.witness.dropped(&client, &octets),
        }
        self.latest = Some((client, octets));
        self.drain();
    }

    /// One of the queries that were sent, the latest first; the server that lives answers by itself.
    fn sent(&self, input: &mut Input<'_>, any: bool) -> Option<(Token, Vec<u8>)> {
        let back = usize::from(input.u8());
        let (token, server, query) = self.asks.get(self.asks.len().checked_sub(1 + back)?)?;
        let free = any || self.lives.is_none_or(|lives| lives.server != *server);
        free.then(|| (*token, query.clone()))
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some((token, query)) = self.sent(input, false) else { return };
        let octets = servers::answer(&query, input);
        self.hears(token, &octets);
    }

    fn hears(&mut self, token: Token, octets: &[u8]) {
        self.witness.answers(self.now, token, octets);
        let was_open = self.witness.is_open(token);
        self.resolver.handle_answer(self.now, token, octets);
        if !was_open {
            assert_eq!(self.resolver.drain().next(), None, "what is over is over");
        }
    }

    fn unreachable(&mut self, input: &mut Input<'_>) {
        let Some((token, _)) = self.sent(input, false) else { return };
        self.resolver.handle_unreachable(self.now, token);
    }

    fn forge(&mut self, input: &mut Input<'_>) {
        let Some((token, query)) = self.sent(input, true) else { return };
        let before = self.resolver.statistics();
        self.resolver.handle_answer(self.now, token, &servers::forged(&query, input));
        assert_eq!(self.resolver.drain().next(), None, "a forged answer changes nothing");
        assert_eq!(self.resolver.statistics(), before);
    }

    fn lease(&mut self, input: &mut Input<'_>) {
        let (who, bits) = (input.u8(), input.u8());
        let address = Ipv4Addr::new(10, 0, 0, who % 8);
        if bits & 1 != 0 {
            return self.resolver.lease_ended(address);
        }
        let name = settings::name(["box", "other", "alias", "if"][usize::from(who >> 3 & 3)]);
        let domain = (bits & 2 != 0).then(|| settings::name("lan"));
        let ends = (bits & 4 != 0).then(|| self.now + Duration::from_secs(u64::from(bits >> 3)));
        self.resolver.lease_given(Lease { address, name, domain, ends });
    }

    fn surroundings(&mut self, input: &mut Input<'_>) {
        let bits = input.u8();
        match bits & 3 {
            0 => {
                let count = u16::from(bits >> 2 & 3);
                let mut servers: Vec<Server> = (0..count).map(|at| settings::server(2 + at * 2)).collect();
                servers.extend(self.lives.map(|lives| lives.server));
                self.resolver.set_servers(servers);
            }
            1 => {
                let text = "10.0.0.5 box box.lan\n10.0.0.5 second.lan\n10.0.0.6 box own.test\nfd00::5 box.lan\nwrong\n";
                let lines = text.lines().enumerate().filter(|(at, _)| bits >> 2 >> at & 1 != 0);
                let text: String = lines.map(|(_, line)| format!("{line}\n")).collect();
                self.resolver.set_hosts(vec![dns::hosts::File::new("/etc/hosts", text)]);
            }
            2 => {
                let lan = ["10.0.0.1/24", "fd00::1/64", "10.0.1.1/16"].iter().enumerate();
                let lan = lan.filter(|(at, _)| bits >> 2 >> at & 1 != 0);
                let addresses = lan.map(|(_, net)| net.parse().expect("an address with its prefix")).collect();
                let name = "lan".into();
                self.resolver.set_interfaces(vec![Interface { index: 1, name, addresses }]);
            }
            _ => self.resolver.watch(self.now, [10, 0, 0, 9].into()),
        }
    }

    fn reconfigure(&mut self, input: &mut Input<'_>) {
        if input.u8() & 3 == 0 {
            self.resolver.clear_cache();
            return self.witness.cleared();
        }
        let settings = settings::settings(input, self.lives);
        self.configure(settings);
    }

    fn configure(&mut self, settings: Settings) {
        let old = &self.witness.settings;
        if (&old.routes, &old.filter, old.forward.pass_ad)
            != (&settings.routes, &settings.filter, settings.forward.pass_ad)
        {
            self.witness.cleared();
        }
        self.resolver.reconfigure(settings.clone());
        self.witness.reconfigured(settings);
    }

    /// What we asked comes to us as a client's query.
    fn lead_back(&mut self, input: &mut Input<'_>) {
        if self.lives.is_none()
            && let Some((_, query)) = self.sent(input, true)
        {
            self.ask(input.u8(), query);
        }
    }

    fn drain(&mut self) {
        let effects: Vec<Effect> = self.resolver.drain().collect();
        for effect in effects {
            match effect {
                Effect::Ask { token, server, by, octets } => {
                    self.witness.sent(token, server, by, &octets);
                    if let Some(lives) = self.lives.filter(|lives| lives.server == server) {
                        let answer = servers::sound(&octets, server.address.port() as u8);
                        self.coming.insert((self.now + lives.takes, token.0), answer);
                    }
                    self.asks.push((token, server, octets));
                }
                Effect::Over { token } => self.witness.over(token),
                Effect::Reply { to, octets } => self.witness.told(self.now, &to, &octets),
                Effect::LookedUp { client, .. } => assert_eq!(client, IpAddr::from([10, 0, 0, 9])),
                Effect::Log(_) => assert!(self.witness.settings.log),
                Effect::Warn { text, fix } => assert!(!text.is_empty() && !fix.is_empty()),
            }
        }
        self.witness.bounded(&self.resolver.statistics());
    }

    /// All comes to rest; then every name is asked for once more while no server is, to see what was kept.
    fn end(&mut self) {
        self.rest();
        let mut settings = self.witness.settings.clone();
        settings.forward.max = 0;
        self.configure(settings);
        for name in clients::NAMES {
            let name = clients::wire(name);
            for (kind, bits) in [(message::A, 1), (message::AAAA, 0xc1), (message::CNAME, 3)] {
                self.ask(0, clients::ask(9, &name, kind, 1, bits));
            }
        }
        self.rest();
    }

    fn rest(&mut self) {
        // Whatever settings say, nobody waits for an hour.
        self.wait(Duration::from_secs(3600));
        assert_eq!(self.resolver.poll_timeout(), None, "it ends");
        self.witness.rested(&self.resolver.statistics());
    }
}
