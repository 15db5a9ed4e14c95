//! The whole DHCP core: packets, probe answers, time and a store that may fail go in; whatever comes out must be right.

mod clients;
mod settings;
mod witness;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dhcp::v4::packet::HEADER_OCTETS;
use dhcp::v4::{Destination, MessageType, Packet, Reply, code};
use leases::{Clock, UnixSecs};
use mac::Mac;
use server::dhcp::engine::{Effect, Engine};

use crate::input::Input;
use clients::Clients;
use witness::Witness;

/// One beginning for all runs: only the time that goes by in a run counts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The loop takes at most this many packets before it flushes.
const BURST: usize = 64;
/// In the octet that chooses a link: the packet comes to port 4011 there.
const TO_4011: u8 = 0x80;
const PXE_CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 50), 4011);

/// The input: which settings, then what happens, step by step.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let Some(mut bench) = Bench::new(&mut input) else { return };
    while !input.is_empty() {
        bench.step(&mut input);
    }
    bench.comes_to_rest();
}

struct Bench {
    engine: Engine,
    witness: Witness,
    clients: Clients,
    now: Duration,
    /// Probes that the engine asked for and that may still be answered.
    probes: VecDeque<Ipv4Addr>,
    /// Packets since the last flush.
    burst: usize,
}

impl Bench {
    /// `None`: the input's own configuration cannot be served.
    fn new(input: &mut Input<'_>) -> Option<Bench> {
        let settings = settings::choose(input)?;
        let witness = Witness::new(settings.clone());
        let mut engine = settings::engine(settings, witness.store());
        engine.watch(true);
        let clients = Clients::default();
        Some(Bench { engine, witness, clients, now: Duration::ZERO, probes: VecDeque::new(), burst: 0 })
    }

    fn clock(&self) -> Clock {
        Clock { wall: UnixSecs(1_000_000 + self.now.as_secs()), running: *START + self.now }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.u8() % 16 {
            0 => self.passes(Duration::from_millis(input.u16().into())),
            1 => self.passes(Duration::from_secs(input.u16().into())),
            2 => self.flush(),
            3 => self.witness.break_store(input.u8() & 1 == 1),
            4 => self.probe_answered(input),
            5 => {
                let length = input.u16();
                let octets = input.take(length.into()).to_vec();
                self.hears(input.u8(), &octets);
            }
            15 if input.u8() < 64 => {
                // As in the loop, which writes what waits before it looks at anything else.
                self.flush();
                let dhcp = settings::other(input);
                self.witness.reconfigured(dhcp.clone());
                self.engine.reconfigure(dhcp);
            }
            6 => self.waits_for_probe(),
            _ => {
                let octets = self.clients.packet(input);
                self.hears(input.u8(), &octets);
            }
        }
    }

    fn hears(&mut self, link: u8, octets: &[u8]) {
        self.witness.heard(octets);
        let (now, at) = (self.clock(), usize::from(link & !TO_4011) % self.witness.links());
        match link & TO_4011 != 0 && self.witness.listens_on_4011() {
            true => self.engine.handle_pxe(now, at, PXE_CLIENT, octets),
            false => self.engine.handle(now, at, octets),
        }
        self.burst += 1;
        self.drain();
        if self.burst == BURST {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.engine.flush(self.clock());
        self.burst = 0;
        self.drain();
    }

    /// As the loop does it: what waits is written before the next wait.
    fn passes(&mut self, time: Duration) {
        self.flush();
        self.now += time;
        self.engine.handle_timeout(self.clock());
        // BOOTP clients, and those in a hurry, are given the address that was probed.
        self.flush();
    }

    fn waits_for_probe(&mut self) {
        let wait = self.engine.poll_timeout().map(|at| at.saturating_duration_since(self.clock().running));
        self.passes(wait.unwrap_or_default());
    }

    fn probe_answered(&mut self, input: &mut Input<'_>) {
        let (which, who) = (input.u8(), input.u8());
        let address = match which {
            // An answer that nobody asked for.
            255 => Some(Ipv4Addr::from_bits(input.u16().into())),
            _ => self.probes.remove(usize::from(which) % self.probes.len().max(1)),
        };
        let Some(address) = address else { return };
        let by = match who {
            0 => None,
            255 => Some(Mac([0xee; 6])),
            _ => Some(clients::mac(who)),
        };
        self.engine.address_answered(self.clock(), address, by);
        self.burst += 1;
        self.drain();
        if self.burst == BURST {
            self.flush();
        }
    }

    fn drain(&mut self) {
        let now = self.clock();
        let (waiting, addresses) = (self.engine.waiting(), self.witness.addresses());
        assert!(waiting.acknowledgements <= self.burst, "{waiting:?} after {} packets", self.burst);
        assert!(waiting.probes <= addresses && waiting.holds <= addresses, "{waiting:?} for {addresses} addresses");
        for effect in self.engine.drain() {
            match effect {
                Effect::Send { link, reply } => {
                    assert!(link < self.witness.links());
                    self.witness.sent(&reply, now);
                    self.clients.hear(&reply);
                }
                Effect::SendPxe { link, reply } => {
                    assert!(link < self.witness.links() && matches!(reply.to, Destination::Unicast(_)), "{reply:?}");
                    self.witness.sent(&reply, now);
                }
                Effect::Forward { from, octets, .. } => {
                    assert!(octets[24..28] != [0; 4] && !from.is_unspecified(), "answers find their way back");
                }
                Effect::Probe { link, address, .. } => {
                    assert!(link < self.witness.links());
                    self.witness.probed(address);
                    self.probes.push_back(address);
                    if self.probes.len() > BURST {
                        self.probes.pop_front();
                    }
                }
                Effect::Lease(change) => assert!(!format!("{change:?}").is_empty()),
                Effect::Happened { step, .. } => assert!(!format!("{step:?}").is_empty()),
            }
        }
    }

    /// Left alone, the engine lets go of all that waits.
    fn comes_to_rest(&mut self) {
        self.witness.break_store(false);
        self.flush();
        for _ in 0..=BURST {
            if self.engine.poll_timeout().is_none() {
                break;
            }
            self.passes(Duration::from_secs(3600));
        }
        let waiting = self.engine.waiting();
        assert_eq!((waiting.acknowledgements, waiting.probes, self.engine.poll_timeout()), (0, 0, None));
        self.witness.all_committed_was_acknowledged();
    }
}

/// A reply is no longer than its client takes, nor than an Ethernet frame; but for what it is for nothing without: the
/// copy of the client's own identifiers, what kind it is, the lease and the boot file's name.
pub fn fits(request: &Packet<'_>, reply: &[u8]) {
    const HEADERS: usize = 28;
    let takes = request.u16(code::MAX_MESSAGE_SIZE).unwrap_or(576).clamp(576, 1500);
    let most = usize::from(takes) - HEADERS;
    let answer = Packet::parse(reply).expect("our own message");
    let kept = [53, 54, 51, code::CLIENT_ID, code::RELAY_AGENT, code::BOOTFILE];
    let must: usize = answer.options().filter(|(code, _)| kept.contains(code)).map(|(_, data)| data.len() + 2).sum();
    let room = most.max(HEADER_OCTETS + must + 1).max(300);
    assert!(reply.len() <= room, "{} octets for a client that takes {most}: {answer:?}", reply.len());
}

/// Whether this is the answer to a request for an address.
fn is_grant(reply: &Reply, answer: &Packet<'_>) -> bool {
    reply.kind == MessageType::Ack && !answer.yiaddr().is_unspecified()
}
