//! Disks that are full, slow, read-only or failing: said, and never a wrong answer.

use std::time::Duration;

use config::ConflictCheck;

use crate::chance::{Chance, seed};
use crate::client::Habits;
use crate::disk::Ills;
use crate::lan::{Lan, Setup};

/// Clients that come and stay, with room for all.
const CALM: Setup = Setup {
    clients: 50,
    addresses: 100,
    lease: Duration::from_secs(200),
    check: ConflictCheck::Off,
    habits: Habits { stays: 1_000_000_000, releases_one_in: 0, declines_one_in: 0, off: 500, patience: 500 },
    lost: 0,
    twice_one_in: 1000,
    disk_takes: 0,
    compact_above: 8 << 10,
};

/// Clients that do all that clients do.
const RESTLESS: Setup = Setup {
    clients: 70,
    addresses: 60,
    lease: Duration::from_secs(120),
    habits: Habits { stays: 4000, releases_one_in: 4, declines_one_in: 40, off: 2000, patience: 200 },
    lost: 50,
    twice_one_in: 20,
    disk_takes: 15,
    ..CALM
};

fn some_ills(lan: &mut Lan) -> Ills {
    let (octets, chance) = (lan.disk.octets(), &mut lan.chance);
    let none = Ills::default();
    match chance.below(6) {
        0 => Ills { room: Some(octets + chance.below(200) as usize), ..none },
        1 => Ills { read_only: true, ..none },
        2 => Ills { dead: true, ..none },
        3 => Ills { sync_fails_one_in: Some(1), ..none },
        _ => Ills { sync_fails_one_in: Some(1 + chance.below(6)), ..none },
    }
}

#[test]
fn disks_that_fall_ill_and_recover_between_power_cuts_lose_and_double_nothing() {
    let seed = seed();
    println!("LANBOOT_SEED={seed}");
    let mut lan = Lan::new(RESTLESS, seed);
    for _ in 0..150 {
        lan.disk.falls_ill(Ills::default());
        lan.starts_server();
        for _ in 0..3 {
            let ills = some_ills(&mut lan);
            let (ill, well) = (lan.chance.below(2000), lan.chance.below(1000));
            lan.disk.falls_ill(ills);
            lan.runs_until(lan.now + ill);
            if !lan.chance.one_in(4) {
                lan.disk.falls_ill(Ills::default());
                lan.runs_until(lan.now + well);
            }
        }
        lan.goes_without(3, 2000);
    }
    assert_eq!(lan.witness.wrongs, [""; 0], "LANBOOT_SEED={seed}");
    assert!(lan.witness.acknowledged > 1000, "{} LANBOOT_SEED={seed}", lan.witness.acknowledged);
}

#[test]
fn while_nothing_can_be_written_leases_are_renewed_and_none_is_given() {
    let none = Ills::default();
    for ills in [
        Ills { room: Some(0), ..none },
        Ills { read_only: true, ..none },
        Ills { dead: true, ..none },
        Ills { sync_fails_one_in: Some(1), ..none },
    ] {
        let mut lan = Lan::new(CALM, 7);
        lan.starts_server();
        lan.runs_until(5000);
        assert_eq!(lan.witness.claims(lan.now), 50);
        lan.disk.falls_ill(ills);
        // Ten are new there, and all others renew.
        for number in 0..10 {
            lan.replaces(number);
        }
        let before = lan.witness.acknowledged;
        lan.runs_until(150_000);
        assert!(lan.witness.acknowledged - before >= 40, "{ills:?}: {}", lan.witness.acknowledged - before);
        assert!(lan.clients[50..].iter().all(|client| client.lease.is_none()), "{ills:?}: no new lease");
        let [warning] = &lan.warnings[..] else { panic!("{ills:?}: said once: {:?}", lan.warnings) };
        assert!(warning.starts_with("no new lease is given out: cannot write simulated.log"), "{warning}");
        lan.disk.falls_ill(none);
        lan.runs_until(260_000);
        assert_eq!(lan.clients.iter().filter(|client| client.lease.is_some()).count(), 50, "{ills:?}: all are served");
        lan.ends_server(false);
        lan.starts_server();
        assert_eq!(lan.witness.wrongs, [""; 0], "{ills:?}");
    }
}

#[test]
fn a_slow_disk_makes_nobody_wait_for_the_others() {
    let mut lan = Lan::new(Setup { clients: 500, addresses: 600, ..CALM }, 7);
    lan.disk_takes_always = Some(500);
    lan.starts_server();
    // All begin within a second. Who asks waits for the batch under way, and for his own.
    lan.runs_until(2200);
    assert_eq!(lan.clients.iter().filter(|client| client.lease.is_some()).count(), 500);
    assert_eq!(lan.witness.wrongs, [""; 0]);
}

#[test]
fn clocks_that_are_set_by_hours_end_no_lease() {
    let seed = seed();
    println!("LANBOOT_SEED={seed}");
    let mut lan = Lan::new(Setup { lost: 20, ..RESTLESS }, seed);
    for _ in 0..100 {
        lan.starts_server();
        for _ in 0..3 {
            let before = lan.chance.below(2000);
            lan.runs_until(lan.now + before);
            let by = lan.chance.between(10, 6 * 3600) as i64;
            // More often ahead than back, or nothing that was given back would ever be free again.
            lan.wall_is_off_by += if lan.chance.one_in(4) { -by } else { by };
            lan.warnings.clear();
            // Whoever asks next makes the server look at its clock.
            lan.runs_until(lan.now + 2000);
            let way = |warning: &String| warning.starts_with("the clock of this computer was set");
            assert!(lan.warnings.iter().filter(|warning| way(warning)).count() == 1, "{:?}", lan.warnings);
        }
        lan.goes_without(3, 2000);
    }
    assert_eq!(lan.witness.wrongs, [""; 0], "LANBOOT_SEED={seed}");
    assert!(lan.witness.acknowledged > 1000, "{} LANBOOT_SEED={seed}", lan.witness.acknowledged);
}

#[test]
fn a_clock_that_is_set_while_nothing_can_be_written_ends_no_lease_either() {
    let mut lan = Lan::new(CALM, 9);
    lan.starts_server();
    lan.runs_until(5000);
    lan.disk.falls_ill(Ills { dead: true, ..Ills::default() });
    lan.wall_is_off_by += 7200;
    // Others want what they have.
    for _ in 0..10 {
        lan.comes();
    }
    lan.runs_until(60_000);
    lan.disk.falls_ill(Ills::default());
    lan.runs_until(150_000);
    lan.ends_server(false);
    lan.starts_server();
    assert_eq!(lan.witness.wrongs, [""; 0]);
    assert_eq!(lan.witness.claims(lan.now), 60);
}

#[test]
fn chance_is_the_same_for_a_seed() {
    let draw = |seed| [(); 3].map(|()| Chance(seed).below(1000));
    assert_eq!(draw(1), draw(1));
    let mut lans = [Lan::new(RESTLESS, 5), Lan::new(RESTLESS, 5)];
    for lan in &mut lans {
        lan.starts_server();
        lan.runs_until(20_000);
    }
    assert_eq!(lans[0].witness.acknowledged, lans[1].witness.acknowledged);
}
