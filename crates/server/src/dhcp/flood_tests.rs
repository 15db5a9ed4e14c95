//! What clients see of the engine while others send far too much.

use std::time::Duration;

use boot::{Host, Hosts};
use config::{ConflictCheck, Dhcp};
use dhcp::v4::MessageType;
use journal::Step;
use mac::Mac;

use super::tests::{Bench, SERVER, guide, host, mac, message, range, request};

fn made_up(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

fn no_probes() -> Dhcp {
    Dhcp { ranges: vec![range(100, 199)], conflict_check: ConflictCheck::Off, ..guide() }
}

/// So many made-up machines ask for an address, a thousand a second. Returns the warnings.
fn flood(bench: &mut Bench, numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut warnings = Vec::new();
    for number in numbers {
        bench.hears(&message(made_up(number), &[(53, &[1])]));
        for step in bench.waits(Duration::from_millis(1)).steps {
            if let Step::Warning { text, .. } = step {
                warnings.push(text);
            }
        }
    }
    warnings
}

/// What a machine is offered when it asks, if anything.
fn asks(bench: &mut Bench, who: Mac) -> Option<std::net::Ipv4Addr> {
    let out = bench.hears(&message(who, &[(53, &[1])]));
    if out.replies.is_empty() { None } else { Some(out.only(MessageType::Offer).yiaddr()) }
}

#[test]
fn made_up_machines_keep_no_address_from_new_ones_however_slowly_these_decide() {
    let mut bench = Bench::new(no_probes());
    flood(&mut bench, 0..500);
    for last in 1..=10 {
        let others = 10_000 * u32::from(last);
        // As firmware does.
        let mut tries = (1..4).map(|time| {
            flood(&mut bench, others + 1000 * time..others + 1000 * (time + 1));
            asks(&mut bench, mac(last))
        });
        let offered = tries.find_map(|offered| offered).expect("nobody took an address yet");
        flood(&mut bench, others + 5000..others + 5300);
        let took = bench.hears(&request(mac(last), offered));
        assert_eq!(took.only(MessageType::Ack).yiaddr(), offered);
    }
}

#[test]
fn a_flood_is_told_of_once_and_known_machines_are_served_at_once_new_ones_when_they_ask_again() {
    let reserved = Host { hardware: vec![mac(8).into()], address: Some(host(50)), ..Host::default() };
    let mut bench = Bench::new(Dhcp { hosts: Hosts::new([reserved]), ..no_probes() });
    let offered = asks(&mut bench, mac(7)).unwrap();
    bench.hears(&request(mac(7), offered));
    let mut release = message(mac(7), &[(53, &[7]), (54, &SERVER.octets())]);
    release[12..16].copy_from_slice(&offered.octets());
    bench.hears(&release);
    let warnings = flood(&mut bench, 0..15_000);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("unknown machines lately left the address that they were offered"), "{warnings:?}");
    assert_eq!(asks(&mut bench, mac(7)), Some(offered), "it had it before");
    assert_eq!(asks(&mut bench, mac(8)), Some(host(50)), "it is laid down for it");
    assert_eq!(asks(&mut bench, mac(9)), None);
    flood(&mut bench, 20_000..24_000);
    let offered = asks(&mut bench, mac(9)).expect("it asks for the second time");
    flood(&mut bench, 30_000..31_000);
    bench.hears(&request(mac(9), offered)).only(MessageType::Ack);
}

#[test]
fn a_storm_of_new_machines_is_not_slowed() {
    let mut bench = Bench::new(no_probes());
    let offers: Vec<_> = (0..100).map(|n| asks(&mut bench, made_up(n)).expect("an address for each")).collect();
    // Firmware that gathers offers.
    assert!(bench.waits(Duration::from_secs(8)).steps.is_empty());
    for (n, offered) in (0..).zip(offers) {
        bench.hears(&request(made_up(n), offered)).only(MessageType::Ack);
    }
    assert!(bench.waits(Duration::from_secs(60)).steps.is_empty());
}

#[test]
fn a_small_range_is_not_held_by_made_up_machines_either() {
    let mut bench = Bench::new(Dhcp { ranges: vec![range(100, 103)], ..no_probes() });
    flood(&mut bench, 0..80);
    let offered = asks(&mut bench, mac(1)).expect("nobody took an address yet");
    flood(&mut bench, 100..120);
    bench.hears(&request(mac(1), offered)).only(MessageType::Ack);
}

#[test]
fn one_machine_that_asks_without_end_is_left_unanswered_and_named() {
    let mut bench = Bench::new(no_probes());
    let mut answers = 0;
    for _ in 0..3000 {
        answers += bench.hears(&message(mac(1), &[(53, &[1])])).replies.len();
    }
    assert_eq!(answers as u32, Dhcp::CLIENT_RATE * 4);
    assert!(asks(&mut bench, mac(2)).is_some());
    let steps = bench.waits(Duration::from_secs(1)).steps;
    let [Step::Warning { text, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(text.starts_with("52:54:00:00:00:01 sends 2920 DHCP messages a second"), "{text}");
}
