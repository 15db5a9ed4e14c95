//! The engine under a simulated clock, with a store in memory: what clients see, packet by packet.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boot::rules::Rules;
use boot::{Host, Hosts};
use boot::{Policy, Target};
use config::{Allocation, Chooser, ConflictCheck, Dhcp, Gives, Identity, Range};
use dhcp::Platform;
use dhcp::v4::packet::{COOKIE, HEADER_OCTETS};
use dhcp::v4::{Destination, MessageType, Packet};
use journal::Step;
use leases::{Change, Clock, LeaseStore, MemoryStore, Outcome, StoreError, Table, UnixSecs};
use mac::Mac;

use super::changes::LeaseChange;
use super::engine::{Effect, Engine};
use super::{Link, Settings};
use crate::machines::Machines;

pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
const WAIT: Duration = Duration::from_millis(300);

pub(super) fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, last)
}

pub(super) fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, last])
}

pub(super) fn range(first: u8, last: u8) -> Range {
    Range {
        subnet: "10.0.1.0/24".parse().unwrap(),
        guessed: false,
        broadcast: host(255),
        gives: Gives::Addresses(host(first), host(last)),
        lease: Duration::from_secs(43_200),
        set: None,
        when: Default::default(),
    }
}

pub(super) fn guide() -> Dhcp {
    Dhcp {
        ranges: vec![range(200, 253)],
        shared: vec![],
        hosts: Hosts::default(),
        allocation: Allocation::Sequential,
        authoritative: true,
        lease_limit: None,
        client_rate: 20,
        conflict_check: ConflictCheck::Arp,
        conflict_wait: WAIT,
        identity: Identity::Machine,
        ignores_client_id: false,
        relays: vec![],
        relays_as_servers: Default::default(),
        router: Some(SERVER),
        dns: vec![],
        domain: None,
        chooser: Chooser::Policy,
        rules: Rules::default(),
        manners: Default::default(),
    }
}

/// A server on a clock that only the test moves.
pub(super) struct Bench {
    pub(super) engine: Engine,
    start: Instant,
    now: Duration,
}

/// What came out of the engine, the events aside.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) replies: Vec<(MessageType, Vec<u8>, Destination)>,
    probes: Vec<Ipv4Addr>,
    pub(super) steps: Vec<Step>,
    changes: Vec<LeaseChange>,
    forwarded: Vec<(std::net::SocketAddrV4, Vec<u8>)>,
}

impl Out {
    pub(super) fn only(&self, kind: MessageType) -> Packet<'_> {
        assert_eq!(self.replies.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [kind], "{:?}", self.steps);
        Packet::parse(&self.replies[0].1).unwrap()
    }

    pub(super) fn ignored(&self) -> &str {
        assert!(self.replies.is_empty());
        let why = self.steps.iter().find_map(|step| match step {
            Step::DhcpIgnored { because } => Some(because.as_str()),
            _ => None,
        });
        why.unwrap_or_else(|| panic!("nothing was ignored: {:?}", self.steps))
    }
}

impl Bench {
    pub(super) fn new(dhcp: Dhcp) -> Bench {
        Bench::with_store(dhcp, Box::new(MemoryStore::default()))
    }

    pub(super) fn with_store(dhcp: Dhcp, store: Box<dyn LeaseStore>) -> Bench {
        let policy = Policy {
            http_port: Some(80),
            tftp: true,
            ipxe: BTreeMap::from([(Platform::Bios, "undionly.kpxe".to_owned())]),
            target: Target::BootFile { any: Some("pxelinux.0".into()), by_platform: BTreeMap::new() },
            ..Policy::default()
        };
        let link = Link::new("net", vec!["10.0.1.1/24".parse().unwrap()]);
        let settings = Settings { links: vec![link], dhcp, policy: Arc::new(policy) };
        let engine = Engine::new(settings, store, Arc::new(Machines::default()));
        Bench { engine, start: Instant::now(), now: Duration::ZERO }
    }

    pub(super) fn clock(&self) -> Clock {
        Clock { wall: UnixSecs(1_000_000 + self.now.as_secs()), running: self.start + self.now }
    }

    pub(super) fn hears(&mut self, octets: &[u8]) -> Out {
        self.engine.handle(self.clock(), 0, octets);
        self.engine.flush(self.clock());
        self.out()
    }

    pub(super) fn waits(&mut self, time: Duration) -> Out {
        self.now += time;
        self.engine.handle_timeout(self.clock());
        self.out()
    }

    pub(super) fn out(&mut self) -> Out {
        let mut out = Out::default();
        for effect in self.engine.drain() {
            match effect {
                Effect::Send { reply, .. } | Effect::SendPxe { reply, .. } => {
                    out.replies.push((reply.kind, reply.octets, reply.to))
                }
                Effect::Forward { to, octets, .. } => out.forwarded.push((to, octets)),
                Effect::Probe { address, .. } => out.probes.push(address),
                Effect::Happened { step, .. } => out.steps.push(step),
                Effect::Lease(change) => out.changes.push(change),
            }
        }
        out
    }

    /// A whole DISCOVER to ACK of one machine; the address it got.
    fn boots(&mut self, who: Mac) -> Ipv4Addr {
        let mut out = self.hears(&message(who, &[(53, &[1])]));
        if out.replies.is_empty() {
            out = self.waits(WAIT);
        }
        let offered = out.only(MessageType::Offer).yiaddr();
        let out = self.hears(&request(who, offered));
        assert_eq!(out.only(MessageType::Ack).yiaddr(), offered);
        offered
    }
}

pub(super) fn message(who: Mac, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[28..34].copy_from_slice(&who.0);
    octets[236..240].copy_from_slice(&COOKIE);
    for (code, data) in options {
        octets.extend([*code, data.len() as u8]);
        octets.extend_from_slice(data);
    }
    octets.push(255);
    octets
}

pub(super) fn request(who: Mac, address: Ipv4Addr) -> Vec<u8> {
    message(who, &[(53, &[3]), (54, &SERVER.octets()), (50, &address.octets())])
}

#[test]
fn an_address_is_probed_then_offered_then_leased() {
    let mut bench = Bench::new(guide());
    let out = bench.hears(&message(mac(1), &[(53, &[1])]));
    assert_eq!((out.probes.as_slice(), out.replies.len()), ([host(200)].as_slice(), 0));
    assert!(bench.waits(WAIT / 2).replies.is_empty(), "an offer before the probe is over");
    let out = bench.waits(WAIT / 2);
    let offer = out.only(MessageType::Offer);
    assert_eq!((offer.yiaddr(), offer.u32(51)), (host(200), Some(43_200)));
    assert_eq!(offer.address(3), Some(SERVER));
    let out = bench.hears(&request(mac(1), host(200)));
    assert_eq!(out.only(MessageType::Ack).address(1), Some(Ipv4Addr::new(255, 255, 255, 0)));
    assert!(matches!(out.steps[..], [Step::DhcpAck { renewal: false, .. }]));
}

#[test]
fn machines_that_start_together_get_an_address_each_without_waiting_for_each_other() {
    let mut bench = Bench::new(guide());
    for n in 1..=8 {
        let out = bench.hears(&message(mac(n), &[(53, &[1])]));
        assert_eq!(out.probes, [host(199 + n)]);
    }
    let out = bench.waits(WAIT);
    let mut offered: Vec<_> =
        out.replies.iter().map(|(_, octets, _)| Packet::parse(octets).unwrap().yiaddr()).collect();
    offered.sort();
    assert_eq!(offered, (200..=207).map(host).collect::<Vec<_>>());
}

#[test]
fn asking_again_during_the_probe_gives_one_offer_to_the_newest_request() {
    let mut bench = Bench::new(guide());
    bench.hears(&message(mac(1), &[(53, &[1])]));
    let mut again = message(mac(1), &[(53, &[1])]);
    again[4..8].copy_from_slice(&7_u32.to_be_bytes());
    assert!(bench.hears(&again).probes.is_empty());
    assert_eq!(bench.waits(WAIT).only(MessageType::Offer).xid(), 7);
    assert!(bench.waits(WAIT).replies.is_empty());
}

#[test]
fn an_address_that_answers_is_set_aside_and_the_next_one_tried() {
    let mut bench = Bench::new(guide());
    bench.hears(&message(mac(1), &[(53, &[1])]));
    bench.engine.address_answered(bench.clock(), host(200), Some(mac(99)));
    let out = bench.out();
    assert_eq!(out.probes, [host(201)]);
    assert!(out.steps.contains(&Step::AddressInUse { address: host(200), by: Some(mac(99)) }));
    assert_eq!(bench.waits(WAIT).only(MessageType::Offer).yiaddr(), host(201));
    assert_eq!(bench.boots(mac(2)), host(202), "200 stays set aside for others too");
}

#[test]
fn the_client_itself_answering_is_no_conflict() {
    let mut bench = Bench::new(guide());
    bench.hears(&message(mac(1), &[(53, &[1])]));
    bench.engine.address_answered(bench.clock(), host(200), Some(mac(1)));
    assert_eq!(bench.out().only(MessageType::Offer).yiaddr(), host(200));
}

#[test]
fn a_machine_keeps_its_address_from_rom_to_os() {
    let mut bench = Bench::new(guide());
    let address = bench.boots(mac(1));
    let os = message(mac(1), &[(53, &[1]), (61, &[255, 1, 2, 3, 4, 5, 6])]);
    assert_eq!(bench.hears(&os).only(MessageType::Offer).yiaddr(), address);
}

#[test]
fn client_identity_by_the_letter_gives_each_identifier_its_own_address() {
    let mut bench = Bench::new(Dhcp { identity: Identity::ClientId, ..guide() });
    let address = bench.boots(mac(1));
    bench.hears(&message(mac(1), &[(53, &[1]), (61, &[255, 1, 2, 3])]));
    assert_ne!(bench.waits(WAIT).only(MessageType::Offer).yiaddr(), address);
    for n in [2, 3] {
        bench.hears(&message(mac(n), &[(53, &[1]), (61, &[])]));
    }
    assert_eq!(bench.waits(WAIT).replies.len(), 2, "an empty identifier is nobody's in particular");
}

#[test]
fn the_guides_chain_is_given_by_what_the_client_says() {
    let mut bench = Bench::new(Dhcp { conflict_check: ConflictCheck::Off, ..guide() });
    let rom = message(mac(1), &[(53, &[1]), (60, b"PXEClient:Arch:00000:UNDI:002001"), (93, &[0, 0]), (97, &[0; 17])]);
    let out = bench.hears(&rom);
    let offer = out.only(MessageType::Offer);
    assert_eq!((offer.text(67).as_deref(), offer.siaddr()), (Some("undionly.kpxe"), SERVER));
    assert_eq!(offer.text(66).as_deref(), Some("10.0.1.1"));
    assert_eq!(offer.option(97).unwrap().as_ref(), [0; 17]);
    assert_eq!(offer.option(60), None, "with option 60 UEFI would ask port 4011");
    let ipxe = message(mac(1), &[(53, &[1]), (60, b"PXEClient"), (77, b"iPXE"), (93, &[0, 0]), (175, &[0x13, 1, 1])]);
    let out = bench.hears(&ipxe);
    let offer = out.only(MessageType::Offer);
    assert_eq!(offer.text(67).as_deref(), Some("pxelinux.0"));
    assert_eq!(offer.option(175).unwrap().as_ref(), [176, 1, 1]);
    let out = bench.hears(&message(mac(1), &[(53, &[1]), (60, b"udhcp 1.35")]));
    let offer = out.only(MessageType::Offer);
    assert_eq!((offer.option(67), offer.siaddr()), (None, Ipv4Addr::UNSPECIFIED));
}

#[test]
fn who_has_an_address_may_give_it_back_when_it_is_somebody_elses_by_now() {
    for kind in [7, 4] {
        let mut bench = Bench::new(guide());
        let address = bench.boots(mac(1));
        let reserved = Host { hardware: vec![mac(7).into()], address: Some(address), ..Host::default() };
        bench.engine.reconfigure(Dhcp { hosts: Hosts::new([reserved]), ..guide() });
        let gives_back = |who| {
            let mut octets = message(who, &[(53, &[kind]), (54, &SERVER.octets()), (50, &address.octets())]);
            octets[12..16].copy_from_slice(&address.octets());
            octets
        };
        assert!(bench.hears(&gives_back(mac(2))).ignored().contains("does not hold"));
        let steps = bench.hears(&gives_back(mac(1))).steps;
        assert!(matches!(steps[..], [Step::DhcpRelease { .. } | Step::DhcpDecline { .. }]), "{steps:?}");
    }
}

#[test]
fn a_reservation_is_for_its_machine_alone() {
    let reserved =
        Host { hardware: vec![mac(7).into()], address: Some(host(200)), name: Some("db1".into()), ..Host::default() };
    let mut bench = Bench::new(Dhcp { hosts: Hosts::new([reserved]), ..guide() });
    assert_eq!(bench.boots(mac(1)), host(201));
    assert_eq!(bench.boots(mac(7)), host(200));
    let out = bench.hears(&request(mac(1), host(200)));
    assert_eq!(out.only(MessageType::Nak).yiaddr(), Ipv4Addr::UNSPECIFIED);
}

#[test]
fn what_another_has_is_refused_and_what_another_server_offered_is_left_alone() {
    let mut bench = Bench::new(guide());
    let address = bench.boots(mac(1));
    assert!(matches!(
        bench.hears(&request(mac(2), address)).replies[..],
        [(MessageType::Nak, _, Destination::Broadcast)]
    ));
    let elsewhere = message(mac(2), &[(53, &[3]), (54, &[10, 0, 1, 9]), (50, &[10, 0, 1, 77])]);
    assert!(bench.hears(&elsewhere).ignored().contains("10.0.1.9"));
}

#[test]
fn two_asking_for_one_address_in_one_burst_get_one_ack_and_one_nak() {
    let mut bench = Bench::new(guide());
    bench.engine.handle(bench.clock(), 0, &request(mac(1), host(210)));
    bench.engine.handle(bench.clock(), 0, &request(mac(2), host(210)));
    bench.engine.flush(bench.clock());
    let kinds: Vec<_> = bench.out().replies.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, [MessageType::Nak, MessageType::Ack], "the ACK waits for its lease");
}

#[test]
fn what_is_asked_for_is_offered_to_nobody_else_in_the_same_burst() {
    for conflict_check in [ConflictCheck::Off, ConflictCheck::Arp] {
        let mut bench = Bench::new(Dhcp { conflict_check, ..guide() });
        bench.engine.handle(bench.clock(), 0, &request(mac(1), host(200)));
        bench.engine.handle(bench.clock(), 0, &message(mac(2), &[(53, &[1])]));
        bench.engine.flush(bench.clock());
        bench.engine.handle_timeout(Clock { running: bench.start + WAIT, ..bench.clock() });
        let out = bench.out();
        let mut given: Vec<_> = out.replies.iter().map(|(kind, octets, _)| (*kind, octets)).collect();
        given.sort_by_key(|(kind, _)| *kind as u8);
        let given: Vec<_> = given.iter().map(|(_, octets)| Packet::parse(octets).unwrap().yiaddr()).collect();
        assert_eq!(given, [host(201), host(200)], "an offer and an ACK");
    }
}

#[test]
fn an_address_that_another_took_during_the_probe_is_not_offered() {
    let mut bench = Bench::new(guide());
    bench.hears(&message(mac(1), &[(53, &[1])]));
    bench.hears(&message(mac(1), &[(53, &[3]), (54, &[10, 0, 1, 9]), (50, &[10, 0, 1, 77])]));
    assert_eq!(bench.hears(&request(mac(2), host(200))).only(MessageType::Ack).yiaddr(), host(200));
    assert_eq!(bench.waits(WAIT).probes, [host(201)], "the next one");
    assert_eq!(bench.waits(WAIT).only(MessageType::Offer).yiaddr(), host(201));
}

#[test]
fn the_lease_limit_counts_those_that_ask_in_the_same_burst() {
    let mut bench = Bench::new(Dhcp { lease_limit: Some(1), conflict_check: ConflictCheck::Off, ..guide() });
    for n in [1, 2] {
        bench.hears(&message(mac(n), &[(53, &[1])]));
    }
    // The first one asks twice, as machines do that are in a hurry.
    for n in [1, 1, 2] {
        bench.engine.handle(bench.clock(), 0, &request(mac(n), host(199 + n)));
    }
    bench.engine.flush(bench.clock());
    let out = bench.out();
    let given: Vec<_> = out.replies.iter().map(|(_, octets, _)| Packet::parse(octets).unwrap().yiaddr()).collect();
    assert_eq!(given, [host(200), host(200)]);
}

#[test]
fn the_lease_limit_stops_new_machines_but_not_known_ones() {
    let mut bench = Bench::new(Dhcp { lease_limit: Some(1), ..guide() });
    let address = bench.boots(mac(1));
    assert!(bench.hears(&message(mac(2), &[(53, &[1])])).ignored().contains("limit of 1"));
    assert_eq!(bench.boots(mac(1)), address);
}

#[test]
fn an_exhausted_range_is_said_and_a_released_address_serves_again() {
    let mut bench = Bench::new(Dhcp { ranges: vec![range(200, 200)], ..guide() });
    let address = bench.boots(mac(1));
    assert!(bench.hears(&message(mac(2), &[(53, &[1])])).ignored().contains("no free address"));
    let mut release = message(mac(1), &[(53, &[7]), (54, &SERVER.octets())]);
    release[12..16].copy_from_slice(&address.octets());
    assert!(matches!(bench.hears(&release).steps[..], [Step::DhcpRelease { .. }]));
    assert_eq!(bench.boots(mac(2)), address);
}

#[test]
fn an_offer_is_held_for_its_client() {
    let mut bench = Bench::new(Dhcp { ranges: vec![range(200, 200)], ..guide() });
    bench.hears(&message(mac(1), &[(53, &[1])]));
    bench.waits(WAIT);
    assert!(bench.hears(&message(mac(2), &[(53, &[1])])).ignored().contains("no free address"));
    assert!(matches!(bench.hears(&request(mac(2), host(200))).replies[..], [(MessageType::Nak, ..)]));
    bench.now += Duration::from_secs(61);
    assert_eq!(bench.boots(mac(2)), host(200));
}

#[test]
fn a_declined_address_is_not_offered_again_for_a_while() {
    let mut bench = Bench::new(guide());
    let address = bench.boots(mac(1));
    let decline = message(mac(1), &[(53, &[4]), (54, &SERVER.octets()), (50, &address.octets())]);
    bench.hears(&decline);
    assert_ne!(bench.boots(mac(1)), address);
}

#[test]
fn renewal_needs_no_probe_and_is_unicast() {
    let mut bench = Bench::new(guide());
    let address = bench.boots(mac(1));
    let mut renew = message(mac(1), &[(53, &[3])]);
    renew[12..16].copy_from_slice(&address.octets());
    let out = bench.hears(&renew);
    assert_eq!(out.replies[0].2, Destination::Unicast(std::net::SocketAddrV4::new(address, 68)));
    assert!(matches!(out.steps[..], [Step::DhcpAck { renewal: true, .. }]));
}

#[test]
fn inform_gets_options_and_no_lease() {
    let mut bench = Bench::new(guide());
    let mut inform = message(mac(1), &[(53, &[8])]);
    inform[12..16].copy_from_slice(&host(50).octets());
    let out = bench.hears(&inform);
    let ack = out.only(MessageType::Ack);
    assert_eq!((ack.yiaddr(), ack.u32(51), ack.address(3)), (Ipv4Addr::UNSPECIFIED, None, Some(SERVER)));
}

#[test]
fn a_relay_on_another_network_is_named() {
    let mut bench = Bench::new(guide());
    let mut relayed = message(mac(1), &[(53, &[1])]);
    relayed[24..28].copy_from_slice(&[10, 9, 9, 1]);
    assert!(bench.hears(&relayed).ignored().contains("10.9.9.1"));
}

/// A store whose disk the test fills, and slows down.
#[derive(Clone, Default)]
struct Moody(Arc<Mutex<Mood>>);

#[derive(Default)]
struct Mood {
    is_full: bool,
    is_slow: bool,
    /// How many changes each batch had that was begun.
    begun: Vec<usize>,
}

#[derive(Default)]
struct OnMoody {
    store: MemoryStore,
    disk: Moody,
    waits: Option<Vec<Change>>,
}

impl LeaseStore for OnMoody {
    fn table(&self) -> &Table {
        self.store.table()
    }
    fn begin(&mut self, batch: Vec<Change>) {
        self.disk.0.lock().unwrap().begun.push(batch.len());
        assert!(self.waits.replace(batch).is_none(), "one batch at a time");
    }
    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        let Mood { is_full, is_slow, .. } = *self.disk.0.lock().unwrap();
        let batch = self.waits.take_if(|_| !is_slow)?;
        Some(if is_full { Err(full()) } else { self.store.commit(batch) })
    }
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn is_sole(&self) -> bool {
        true
    }
}

fn on_moody_disk(dhcp: Dhcp) -> (Bench, Moody) {
    let disk = Moody::default();
    let store = OnMoody { disk: disk.clone(), ..OnMoody::default() };
    (Bench::with_store(dhcp, Box::new(store)), disk)
}

impl Moody {
    fn is_full(&self, is_full: bool) {
        self.0.lock().unwrap().is_full = is_full;
    }
    fn is_slow(&self, is_slow: bool) {
        self.0.lock().unwrap().is_slow = is_slow;
    }
}

#[test]
fn what_cannot_be_written_is_not_acknowledged_and_said_once_until_it_can() {
    let (mut bench, disk) = on_moody_disk(guide());
    for _ in 0..2 {
        disk.is_full(true);
        let first = bench.hears(&request(mac(1), host(200)));
        assert!(first.replies.is_empty() && matches!(first.steps[..], [Step::Warning { .. }]), "{first:?}");
        let second = bench.hears(&request(mac(1), host(200)));
        assert!(second.replies.is_empty() && second.steps.is_empty(), "{second:?}");
        disk.is_full(false);
        let mut release = message(mac(3), &[(53, &[7]), (54, &SERVER.octets())]);
        release[12..16].copy_from_slice(&host(200).octets());
        assert!(!bench.hears(&release).steps.contains(&Step::LeasesWritten), "nothing was to be written");
        let third = bench.hears(&request(mac(2), host(201)));
        assert!(matches!(third.steps[..], [Step::LeasesWritten, Step::DhcpAck { .. }]), "{third:?}");
        assert!(!bench.hears(&request(mac(2), host(201))).steps.contains(&Step::LeasesWritten), "said once");
    }
}

#[test]
fn while_nothing_can_be_written_leases_are_renewed_for_the_time_that_is_on_disk() {
    let (mut bench, disk) = on_moody_disk(guide());
    bench.engine.watch(true);
    bench.hears(&request(mac(1), host(200))).only(MessageType::Ack);
    disk.is_full(true);
    bench.waits(Duration::from_secs(40_000));
    let out = bench.hears(&request(mac(1), host(200)));
    let ack = out.only(MessageType::Ack);
    assert_eq!((ack.yiaddr(), ack.u32(51), ack.u32(59)), (host(200), Some(3200), Some(2800)));
    assert_eq!(out.changes, [], "nothing has changed");
    assert!(bench.hears(&request(mac(2), host(201))).replies.is_empty());
    bench.waits(Duration::from_secs(3200));
    assert!(bench.hears(&request(mac(1), host(200))).replies.is_empty(), "it has run out");
    disk.is_full(false);
    let out = bench.hears(&request(mac(1), host(200)));
    assert_eq!(out.only(MessageType::Ack).u32(51), Some(43_200));
}

#[test]
fn what_arrives_while_a_batch_is_written_is_the_next_one() {
    let (mut bench, disk) = on_moody_disk(guide());
    disk.is_slow(true);
    for n in 1..=5 {
        assert!(bench.hears(&request(mac(n), host(199 + n))).replies.is_empty(), "before it is written");
    }
    assert!(bench.hears(&message(mac(6), &[(53, &[1])])).probes == [host(205)], "all others are spoken for");
    disk.is_slow(false);
    bench.engine.flush(bench.clock());
    assert_eq!(bench.out().replies.len(), 5);
    assert_eq!(disk.0.lock().unwrap().begun, [1, 4]);
}

#[test]
fn a_name_that_is_being_written_is_lost_to_who_takes_it_meanwhile() {
    let (mut bench, disk) = on_moody_disk(Dhcp { conflict_check: ConflictCheck::Off, ..guide() });
    let named =
        |n: u8| message(mac(n), &[(53, &[3]), (54, &SERVER.octets()), (50, &host(199 + n).octets()), (12, b"pc")]);
    disk.is_slow(true);
    bench.hears(&named(1));
    bench.hears(&named(2));
    let mut release = message(mac(1), &[(53, &[7]), (54, &SERVER.octets())]);
    release[12..16].copy_from_slice(&host(200).octets());
    bench.hears(&release);
    disk.is_slow(false);
    bench.engine.flush(bench.clock());
    assert_eq!(bench.out().replies.len(), 2);
    let name = |n| bench.engine.store.at(host(n)).and_then(|record| record.binding()?.hostname.clone());
    assert_eq!((name(200), name(201)), (None, Some("pc".into())));
}

#[test]
fn an_address_that_answers_is_tried_no_more_while_that_is_being_written() {
    for is_full in [false, true] {
        let (mut bench, disk) = on_moody_disk(guide());
        disk.is_slow(!is_full);
        disk.is_full(is_full);
        bench.hears(&message(mac(1), &[(53, &[1])]));
        bench.engine.address_answered(bench.clock(), host(200), Some(mac(99)));
        bench.engine.flush(bench.clock());
        assert_eq!(bench.out().probes, [host(201)]);
        assert_eq!(bench.hears(&message(mac(2), &[(53, &[1])])).probes, [host(202)]);
    }
}

proptest::proptest! {
    #[test]
    fn no_packet_makes_the_engine_panic(
        bodies in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), 1..40),
        kinds in proptest::collection::vec(0u8..10, 40),
    ) {
        let mut bench = Bench::new(guide());
        for (n, body) in bodies.iter().enumerate() {
            let mut octets = message(mac(n as u8 % 3), &[(53, &[kinds[n]]), (54, &SERVER.octets())]);
            octets.pop();
            octets.extend_from_slice(body);
            octets[12 + n % 4] = body.first().copied().unwrap_or(0);
            bench.hears(&octets);
            bench.waits(WAIT / 3);
        }
    }
}

fn full() -> StoreError {
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    StoreError::Io { doing: "write", path: "/leases.log".into(), error }
}

#[test]
fn who_keeps_books_hears_of_each_lease_and_what_its_request_said() {
    let mut bench = Bench::new(Dhcp { conflict_check: ConflictCheck::Off, ..guide() });
    let address = bench.boots(mac(1));
    let known = bench.engine.watch(true);
    assert!(matches!(&known, LeaseChange::Known(records) if records.len() == 1), "{known:?}");
    let asked = message(mac(1), &[(53, &[3]), (50, &address.octets()), (12, b"db1"), (60, b"udhcp"), (55, &[1, 3])]);
    let changes = bench.hears(&asked).changes;
    let [LeaseChange::Given { record, renewal: false, about }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((record.address, record.binding().unwrap().hostname.as_deref()), (address, Some("db1")));
    assert_eq!(
        (about.interface.as_str(), &about.requested[..], about.tags.join(" ")),
        ("net", &[1, 3][..], "net".into())
    );
    assert_eq!(about.vendor_class.as_deref(), Some(&b"udhcp"[..]));
    let mut release = message(mac(1), &[(53, &[7]), (54, &SERVER.octets())]);
    release[12..16].copy_from_slice(&address.octets());
    assert_eq!(bench.hears(&release).changes, [LeaseChange::Ended(address)]);
    assert_eq!(bench.hears(&release).changes, [], "it has ended already");
}

#[test]
fn a_name_outlives_a_request_that_has_none_and_ends_with_its_lease() {
    let mut bench = Bench::new(Dhcp { conflict_check: ConflictCheck::Off, ..guide() });
    bench.engine.watch(true);
    let address = bench.boots(mac(1));
    bench.out();
    let name = |bench: &mut Bench, asked: &[u8]| -> Option<String> {
        let changes = bench.hears(asked).changes;
        let [LeaseChange::Given { record, .. }] = &changes[..] else { panic!("{changes:?}") };
        record.binding().unwrap().hostname.clone()
    };
    let named = message(mac(1), &[(53, &[3]), (50, &address.octets()), (12, b"db1")]);
    assert_eq!(name(&mut bench, &named).as_deref(), Some("db1"));
    assert_eq!(name(&mut bench, &request(mac(1), address)).as_deref(), Some("db1"));
    bench.waits(Duration::from_secs(43_201));
    assert_eq!(name(&mut bench, &request(mac(1), address)), None);
}
