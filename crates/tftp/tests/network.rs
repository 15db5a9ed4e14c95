//! Transfers over a simulated network that loses, repeats, delays and reorders, under a simulated clock: whatever it
//! does, the transfer ends, and the client has the file to the octet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tftp::{Limits, Mode, Outcome, Packet, Request, Transfer, Transmit};

const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);

/// What the network does to each packet.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss_percent: u64,
    repeat_percent: u64,
    /// Every packet takes this long.
    delay: Duration,
    /// Some packets take up to `jitter` longer, and are overtaken.
    late_percent: u64,
    jitter: Duration,
}

const FINE: Weather = Weather {
    loss_percent: 0,
    repeat_percent: 0,
    delay: Duration::from_micros(200),
    late_percent: 0,
    jitter: Duration::from_millis(1),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Server,
    Client,
}

/// One packet on its way: arrival, a number that keeps equal arrivals in order, where to, octets.
type Flight = (Instant, u64, End, Vec<u8>);

/// Packets on their way, and the dice.
struct Network {
    weather: Weather,
    dice: u64,
    number: u64,
    flying: BinaryHeap<Reverse<Flight>>,
    data_packets: u64,
}

impl Network {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64: any good mixing will do, as long as a seed gives the same story every time.
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }

    fn send(&mut self, now: Instant, to: End, octets: &[u8]) {
        self.data_packets += u64::from(octets.starts_with(&[0, 3]));
        let copies = 1 + u64::from(self.roll(100) < self.weather.repeat_percent);
        for _ in 0..copies {
            if self.roll(100) >= self.weather.loss_percent {
                let is_late = self.roll(100) < self.weather.late_percent;
                let late_nanos = if is_late { self.roll(self.weather.jitter.as_nanos() as u64) } else { 0 };
                self.number += 1;
                self.flying.push(Reverse((
                    now + self.weather.delay + Duration::from_nanos(late_nanos),
                    self.number,
                    to,
                    octets.to_vec(),
                )));
            }
        }
    }
}

/// A client as RFC 1350 and RFC 7440 section 4 describe it.
struct Client {
    request: Vec<u8>,
    blksize: usize,
    windowsize: u64,
    received: Vec<u8>,
    /// Blocks received in a row.
    blocks: u64,
    since_ack: u64,
    /// What it sends again when nothing comes: the request, then its last ACK.
    last_sent: Vec<u8>,
    wake_at: Instant,
    done: bool,
}

impl Client {
    fn handle(&mut self, now: Instant, octets: &[u8]) -> Option<Vec<u8>> {
        match Packet::parse(octets).expect("the server sends sound packets") {
            Packet::Oack(options) if self.blocks == 0 => {
                for (name, value) in options {
                    let value = value.parse().expect("an agreed number");
                    match name.as_str() {
                        "blksize" => self.blksize = value as usize,
                        "windowsize" => self.windowsize = value,
                        _ => {}
                    }
                }
                self.ack(now)
            }
            Packet::Data { block, octets } if block == (self.blocks + 1) as u16 && !self.done => {
                assert!(octets.len() <= self.blksize, "no block is larger than agreed");
                self.received.extend_from_slice(octets);
                self.blocks += 1;
                self.since_ack += 1;
                self.done = octets.len() < self.blksize;
                self.wake_at = now + CLIENT_TIMEOUT;
                if self.done || self.since_ack == self.windowsize { self.ack(now) } else { None }
            }
            // A gap, or a block that it has: it says where it stands. This is the client that provokes the
            // sorcerer's apprentice.
            Packet::Data { .. } => self.ack(now),
            _ => None,
        }
    }

    fn ack(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.since_ack = 0;
        self.wake_at = now + CLIENT_TIMEOUT;
        self.last_sent = Packet::Ack { block: self.blocks as u16 }.emit();
        Some(self.last_sent.clone())
    }
}

#[derive(Debug)]
struct Story {
    outcome: Outcome,
    data_packets: u64,
    took: Duration,
}

/// Fetches `file` with `options`, and checks that it arrived whole.
fn fetch(file: &[u8], options: &[(&str, u64)], weather: Weather, seed: u64) -> Story {
    let limits = Limits {
        mtu: 1500,
        grants_blksize: true,
        max_blksize: None,
        max_windowsize: 64,
        patience: Duration::from_secs(200),
    };
    let options = options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let request = Request { name: "file".to_owned(), mode: Mode::Octet, options };
    let start = Instant::now();
    let mut now = start;
    let mut network = Network { weather, dice: seed, number: 0, flying: BinaryHeap::new(), data_packets: 0 };
    let mut transfer = Transfer::new(now, &request, file.len() as u64, &limits);
    let mut client = Client {
        request: Packet::Rrq(request).emit(),
        blksize: 512,
        windowsize: 1,
        received: Vec::new(),
        blocks: 0,
        since_ack: 0,
        last_sent: Vec::new(),
        wake_at: now + CLIENT_TIMEOUT,
        done: false,
    };
    client.last_sent.clone_from(&client.request);
    // Enough for the longest of the tests below; a transfer that needs more would never end.
    for _ in 0..2_000_000 {
        drain(&mut transfer, file, &mut network, now);
        if let Some(outcome) = transfer.outcome() {
            assert!(client.received == file, "{} octets of {} arrived", client.received.len(), file.len());
            return Story { outcome: outcome.clone(), data_packets: network.data_packets, took: now - start };
        }
        let timer = transfer.poll_timeout().expect("an open transfer has a timer");
        let arrival = network.flying.peek().map(|Reverse((at, ..))| *at);
        let next = [Some(timer), Some(client.wake_at), arrival].into_iter().flatten().min().expect("a timer");
        now = now.max(next);
        if arrival == Some(next) {
            let Reverse((_, _, to, octets)) = network.flying.pop().expect("it was just seen");
            match to {
                End::Server => transfer.handle(now, &Packet::parse(&octets).expect("the client sends sound packets")),
                End::Client => {
                    if let Some(answer) = client.handle(now, &octets) {
                        network.send(now, End::Server, &answer);
                    }
                }
            }
        } else if timer == next {
            transfer.handle_timeout(now);
        } else {
            client.wake_at = now + CLIENT_TIMEOUT;
            let again = client.last_sent.clone();
            network.send(now, End::Server, &again);
        }
    }
    panic!("the transfer never ends: {transfer:?}");
}

fn drain(transfer: &mut Transfer, file: &[u8], network: &mut Network, now: Instant) {
    while let Some(transmit) = transfer.poll_transmit() {
        match transmit {
            Transmit::Packet(octets) => network.send(now, End::Client, &octets),
            Transmit::Data(run) => {
                let (from, segment) = (run.offset as usize, usize::from(run.block_octets) + 4);
                let mut wire = Vec::new();
                run.datagrams(&file[from..from + run.octets], &mut wire);
                wire.chunks(segment).for_each(|datagram| network.send(now, End::Client, datagram));
            }
        }
    }
}

fn file(octets: usize) -> Vec<u8> {
    // 251 is prime, so no two blocks of a usual size look alike.
    (0..octets).map(|at| (at % 251) as u8).collect()
}

fn weathers() -> impl Strategy<Value = Weather> {
    (0u64..20, 0u64..20, 0u64..20, 0u64..50, 0u64..200).prop_map(|(loss, repeat, late, delay, jitter)| Weather {
        loss_percent: loss,
        repeat_percent: repeat,
        delay: Duration::from_millis(delay),
        late_percent: late,
        jitter: Duration::from_millis(jitter),
    })
}

#[test]
fn fine_weather_sends_every_block_once() {
    for windowsize in [1, 2, 7, 64] {
        let story = fetch(&file(100_000), &[("blksize", 1468), ("windowsize", windowsize)], FINE, 1);
        assert_eq!(story.data_packets, 100_000 / 1468 + 1);
        assert!(matches!(story.outcome, Outcome::Done { octets: 100_000, retransmits: 0, .. }), "{story:?}");
    }
}

#[test]
fn a_network_that_repeats_everything_does_not_summon_the_sorcerers_apprentice() {
    let twice = Weather { repeat_percent: 100, ..FINE };
    for windowsize in [1, 8] {
        let story = fetch(&file(100_000), &[("windowsize", windowsize)], twice, 1);
        // In windows this client takes a repeated block for a gap, and its ACK then rightly moves the window.
        let blocks = 100_000 / 512 + 1;
        let most = if windowsize == 1 { blocks } else { blocks * 2 };
        assert!(story.data_packets <= most, "{story:?}");
    }
}

#[test]
fn the_block_number_wraps_in_lock_step_and_in_windows() {
    for windowsize in [1, 64] {
        for octets in [8 * 65_535 - 1, 8 * 65_535, 8 * 65_536, 8 * 65_537 + 3, 8 * 131_080] {
            let story = fetch(&file(octets), &[("blksize", 8), ("windowsize", windowsize)], FINE, 1);
            assert_eq!(story.data_packets, octets as u64 / 8 + 1);
        }
    }
}

#[test]
fn a_network_that_reorders_is_not_flooded() {
    let jumbled = Weather { late_percent: 3, ..FINE };
    for windowsize in [4, 16, 64] {
        let story = fetch(&file(1_000_000), &[("windowsize", windowsize)], jumbled, 5);

        assert!(story.data_packets < 4 * (1_000_000 / 512), "{story:?}");
    }
}

#[test]
fn the_wrap_survives_bad_weather() {
    let bad = Weather { loss_percent: 3, repeat_percent: 5, late_percent: 1, ..FINE };
    let story = fetch(&file(8 * 70_000), &[("blksize", 8), ("windowsize", 32)], bad, 7);
    assert!(matches!(story.outcome, Outcome::Done { .. }), "{story:?}");
}

#[test]
fn a_lost_packet_on_a_fast_lan_costs_a_few_hundredths_of_a_second_in_lock_step() {
    let lossy = Weather { loss_percent: 1, ..FINE };
    let story = fetch(&file(512 * 1000), &[("tsize", 0)], lossy, 3);
    let Outcome::Done { retransmits, .. } = story.outcome else { panic!("{story:?}") };
    assert!(retransmits > 5, "{story:?}");
    // A thousand round trips of 0.4 ms, and a timer of 20 ms for each loss.
    assert!(story.took < Duration::from_millis(500 + 30 * u64::from(retransmits)), "{story:?}");
}

#[test]
fn a_lost_packet_in_a_window_costs_round_trips_whichever_block_it_was() {
    let lossy = Weather { loss_percent: 1, ..FINE };
    for (windowsize, most) in [(4, 600), (16, 400), (64, 700)] {
        let story = fetch(&file(512 * 2000), &[("windowsize", windowsize)], lossy, 3);
        let Outcome::Done { retransmits, .. } = story.outcome else { panic!("{story:?}") };
        assert!(retransmits > 10, "{story:?}");
        assert!(story.took < Duration::from_millis(most), "windowsize {windowsize}: {story:?}");
    }
}

#[test]
fn a_client_that_stops_to_think_is_not_flooded() {
    // Every twentieth packet, or its answer, takes up to 300 ms, on a LAN whose round trip is 0.4 ms.
    let thoughtful = Weather { late_percent: 5, jitter: Duration::from_millis(300), ..FINE };
    for (windowsize, most_for_ten) in [(1, 13), (4, 18)] {
        let story = fetch(&file(512 * 1000), &[("windowsize", windowsize)], thoughtful, 3);
        assert!(story.data_packets * 10 < 1001 * most_for_ten, "windowsize {windowsize}: {story:?}");
    }
}

#[test]
fn a_dead_network_ends_the_transfer() {
    let limits = Limits {
        mtu: 1500,
        grants_blksize: true,
        max_blksize: None,
        max_windowsize: 64,
        patience: Duration::from_secs(20),
    };
    let request = Request { name: "file".to_owned(), mode: Mode::Octet, options: vec![] };
    let start = Instant::now();
    let mut transfer = Transfer::new(start, &request, 1000, &limits);
    let mut sent = 0;
    while let Some(at) = transfer.poll_timeout() {
        sent += u32::from(transfer.poll_transmit().is_some());
        transfer.handle_timeout(at);
        assert!(at <= start + limits.patience);
    }
    assert_eq!(sent, 8, "the first time, and after 0.5, 1.5, 3.5, 7.5, 11.5, 15.5 and 19.5 s");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_weather_the_file_arrives(
        blocks in 0usize..120,
        around in -1isize..=1,
        blksize in prop_oneof![Just(8usize), Just(512), Just(1468), 8usize..1468],
        windowsize in prop_oneof![Just(1u64), 1u64..=64],
        tsize: bool,
        weather in weathers(),
        seed: u64,
    ) {
        let octets = (blocks * blksize).saturating_add_signed(around);
        let mut options = vec![("blksize", blksize as u64), ("windowsize", windowsize)];
        options.extend(tsize.then_some(("tsize", 0)));
        let story = fetch(&file(octets), &options, weather, seed);
        let done = matches!(story.outcome, Outcome::Done { octets: sent, .. } if sent == octets as u64);
        // The client has the file in any case; only its last ACK may be lost for good.
        prop_assert!(done || matches!(story.outcome, Outcome::TimedOut { .. }), "{:?}", story);
    }

    #[test]
    fn lock_step_without_options_arrives_as_well(octets in 0usize..60_000, weather in weathers(), seed: u64) {
        let story = fetch(&file(octets), &[], weather, seed);
        prop_assert!(matches!(story.outcome, Outcome::Done { .. } | Outcome::TimedOut { .. }), "{:?}", story);
    }
}
