//! What was acknowledged is remembered, however often the server is killed.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dhcp::v4::MessageType;
use dhcp::v4::packet::BROADCAST;
use leases::UnixSecs;
use mac::Mac;

use crate::harness::{Host, LONG};
use crate::raw::{self, Answer, Raw};

/// Machines that want an address at the same time.
const AT_ONCE: usize = 200;
/// Of these, so many had one before.
const OLD: usize = 20;
const SERVE: &str =
    "--bridge net=10.0.0.1/12 --port port0 --range 10.1.0.0-10.4.255.255 --conflict-check off --no-tftp --no-http";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// When a machine asks again.
const PATIENCE: Duration = Duration::from_millis(500);

#[test]
fn no_lease_is_forgotten_or_given_twice_through_fifty_kills_amid_allocations() {
    through(50);
}

#[test]
#[ignore = "takes long: make soak"]
fn no_lease_is_forgotten_or_given_twice_through_a_thousand_kills_amid_allocations() {
    through(1000);
}

fn through(kills: usize) {
    let host = Host::new();
    let mut machines = Machines::new(Raw::on(&host.network.neighbour("port0")));
    let mut amid = 0;
    for _ in 0..kills {
        let server = host.up(SERVE);
        machines.switch_on();
        // Two answers make a lease; an old one may take one only.
        let answers = machines.dice.below(2 * AT_ONCE as u64);
        let pause = Duration::from_micros(machines.dice.below(3000));
        machines.run(answers as usize);
        spin(pause);
        server.kill();
        machines.hear_the_rest();
        amid += usize::from(!machines.asking.is_empty());
        machines.assert_all_on_disk(&host);
    }
    assert!(amid > kills / 2, "only {amid} kills came amid allocations");

    let server = host.up(SERVE);
    machines.run(usize::MAX);
    assert!(machines.granted.len() > kills * AT_ONCE / 4, "{} leases", machines.granted.len());
    machines.switch_on_all_old();
    machines.run(usize::MAX);
    machines.assert_all_on_disk(&host);
    server.stop();
}

/// What a machine is at.
#[derive(Clone, Copy, Debug)]
enum Asking {
    /// For any address.
    Discover,
    /// For the one that it was offered.
    Select(Ipv4Addr),
    /// For the one that it had.
    Reboot(Ipv4Addr),
}

struct Machines {
    raw: Raw,
    dice: Dice,
    /// Those without an address yet, and when they asked last.
    asking: HashMap<Mac, (Asking, Instant)>,
    /// All that was acknowledged, ever.
    granted: HashMap<Mac, Ipv4Addr>,
    owners: HashMap<Ipv4Addr, Mac>,
    made: u32,
}

impl Machines {
    fn new(raw: Raw) -> Machines {
        let dice = Dice::new();
        Machines { raw, dice, asking: HashMap::new(), granted: HashMap::new(), owners: HashMap::new(), made: 0 }
    }

    /// Tops those who ask up to [`AT_ONCE`]: some old ones, in two ways, and new ones. The others go on where they were.
    fn switch_on(&mut self) {
        let skip = self.dice.below(self.granted.len().max(1) as u64) as usize;
        let old: Vec<_> = self.granted.iter().cycle().skip(skip).take(OLD.min(self.granted.len())).collect();
        let mut started: Vec<(Mac, Asking)> = Vec::new();
        for (at, (mac, address)) in old.into_iter().enumerate() {
            started.push((*mac, if at % 2 == 0 { Asking::Discover } else { Asking::Reboot(*address) }));
        }
        while self.asking.len() + started.len() < AT_ONCE {
            self.made += 1;
            let [a, b, c, d] = self.made.to_be_bytes();
            started.push((Mac([2, 0, a, b, c, d]), Asking::Discover));
        }
        let waiting = Instant::now();
        for (mac, asking) in started {
            self.asking.entry(mac).or_insert((asking, waiting));
        }
        let all: Vec<_> = self.asking.iter().map(|(mac, (asking, _))| (*mac, *asking)).collect();
        all.into_iter().for_each(|(mac, asking)| self.ask(mac, asking));
    }

    /// Every machine that ever got an address asks for it again.
    fn switch_on_all_old(&mut self) {
        let long_ago = Instant::now() - PATIENCE;
        self.asking = self.granted.iter().map(|(mac, address)| (*mac, (Asking::Reboot(*address), long_ago))).collect();
    }

    fn ask(&mut self, mac: Mac, asking: Asking) {
        self.raw.send(&match asking {
            Asking::Discover => raw::discover(mac, BROADCAST),
            Asking::Select(address) => raw::select(mac, address, SERVER),
            Asking::Reboot(address) => raw::reboot(mac, address),
        });
        self.asking.insert(mac, (asking, Instant::now()));
    }

    /// Lets them ask until so many answers have come, or nobody asks any more.
    fn run(&mut self, answers: usize) {
        let start = Instant::now();
        let mut heard = 0;
        while heard < answers && !self.asking.is_empty() {
            assert!(start.elapsed() < LONG, "{} machines wait for ever {}", self.asking.len(), self.dice);
            match self.raw.receive(Duration::from_millis(20)) {
                Some(answer) => {
                    heard += 1;
                    self.hear(answer, true);
                }
                None => self.ask_again(),
            }
        }
    }

    /// The impatient ask again, not too many at once.
    fn ask_again(&mut self) {
        let impatient = self.asking.iter().filter(|(_, (_, asked))| asked.elapsed() >= PATIENCE).take(AT_ONCE);
        let impatient: Vec<_> = impatient.map(|(mac, (asking, _))| (*mac, *asking)).collect();
        impatient.into_iter().for_each(|(mac, asking)| self.ask(mac, asking));
    }

    /// What the server said before it was killed counts as said.
    fn hear_the_rest(&mut self) {
        while let Some(answer) = self.raw.receive(Duration::from_millis(10)) {
            self.hear(answer, false);
        }
    }

    /// `go_on`: somebody is there to hear what the machine says to it.
    fn hear(&mut self, answer: Answer, go_on: bool) {
        let Answer { kind, mac, address, .. } = answer;
        // An answer to what was asked twice may come twice.
        let Some((asking, asked)) = self.asking.get(&mac).copied() else { return self.believe(answer) };
        let next = match (kind, asking) {
            (MessageType::Offer, Asking::Discover) => Asking::Select(address),
            (MessageType::Ack, _) => {
                self.believe(answer);
                self.asking.remove(&mac);
                return;
            }
            (MessageType::Nak, _) => {
                let had = self.granted.get(&mac);
                assert!(had.is_none(), "{mac} was refused {asking:?} and had {had:?} {}", self.dice);
                Asking::Discover
            }
            _ => return,
        };
        if go_on {
            self.ask(mac, next);
        } else {
            self.asking.insert(mac, (next, asked));
        }
    }

    /// What was acknowledged stands: no address to two machines, no two addresses to a machine.
    fn believe(&mut self, answer: Answer) {
        let Answer { kind, mac, address, .. } = answer;
        if kind == MessageType::Ack {
            let owner = *self.owners.entry(address).or_insert(mac);
            assert_eq!(owner, mac, "{address} was acknowledged to both {}", self.dice);
            let first = *self.granted.entry(mac).or_insert(address);
            assert_eq!(first, address, "{mac} was acknowledged both {}", self.dice);
        }
    }

    fn assert_all_on_disk(&self, host: &Host) {
        let table = leases::read_only(&host.state()).expect("a log that can be read");
        let now = UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs());
        for (mac, address) in &self.granted {
            let record = table.at(*address).filter(|record| record.is_active(now));
            let holder = record.and_then(|record| record.binding()).map(|binding| binding.mac);
            assert_eq!(holder, Some(*mac), "{address} was acknowledged to {mac} {}", self.dice);
        }
    }
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Random numbers, other ones in every run.
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    fn new() -> Dice {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64 | 1;
        Dice { seed, state: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }
}

impl std::fmt::Display for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(dice {})", self.seed)
    }
}
