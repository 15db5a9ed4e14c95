//! Power cuts and kills at any moment under load: no acknowledged lease is lost, and none is given twice.

use std::time::Duration;

use config::ConflictCheck;

use crate::chance::seed;
use crate::client::Habits;
use crate::disk::{Ills, SimDisk};
use crate::lan::{Lan, Setup};

const CUTS: u64 = 1000;

/// Restless clients, more than there are addresses, on a network that loses packets.
const SETUP: Setup = Setup {
    clients: 70,
    addresses: 60,
    lease: Duration::from_secs(150),
    check: ConflictCheck::Off,
    habits: Habits { stays: 8000, releases_one_in: 5, declines_one_in: 60, off: 3000, patience: 200 },
    lost: 50,
    twice_one_in: 20,
    disk_takes: 15,
    compact_above: 8 << 10,
};

/// What a run came across.
#[derive(Debug, Default)]
struct Seen {
    wrongs: Vec<String>,
    acknowledged: u64,
    /// Ends while leases were being written.
    amid: u64,
    exchanges: u64,
}

/// Lives of a server, each ended by a power cut or a kill; what it wrote is the beginning of the next.
fn lives(mut lan: Lan, cuts: u64, ills: Ills) -> Seen {
    let mut amid = 0;
    for _ in 0..cuts {
        lan.disk.falls_ill(ills);
        lan.starts_server();
        // In the middle of a write, or anywhere; now and then after a while, in which leases run out.
        let mut end = lan.now + 60_000;
        match lan.chance.below(10) {
            0..7 => {
                let steps = lan.chance.below(40);
                lan.disk.cut_power_in(steps);
            }
            7..9 => end = lan.now + lan.chance.below(1000),
            _ => end = lan.now + lan.chance.below(10_000),
        }
        lan.runs_until(end);
        amid += u64::from(lan.is_writing() || lan.disk.is_off());
        let rest = if lan.chance.one_in(50) { 200_000 } else { 3000 };
        lan.goes_without(4, rest);
    }
    lan.disk.falls_ill(Ills::default());
    lan.starts_server();
    let (wrongs, acknowledged) = (std::mem::take(&mut lan.witness.wrongs), lan.witness.acknowledged);
    Seen { wrongs, acknowledged, amid, exchanges: lan.disk.exchanges() }
}

#[test]
fn a_thousand_power_cuts_and_kills_lose_and_double_no_acknowledged_lease() {
    let seed = seed();
    println!("LANBOOT_SEED={seed}");
    let seen = lives(Lan::new(SETUP, seed), CUTS, Ills::default());
    assert_eq!(seen.wrongs, [""; 0], "LANBOOT_SEED={seed}");
    let busy = seen.acknowledged > 5 * CUTS && seen.amid > CUTS / 4 && seen.exchanges > CUTS / 50;
    assert!(busy, "it was no load: {seen:?} LANBOOT_SEED={seed}");
    println!("{seen:?}");
}

/// As on a real disk, where a thread of its own writes the shorter log while leases are added to the old one.
#[test]
fn power_cuts_amid_a_change_over_to_a_shorter_log_lose_and_double_nothing_either() {
    let seed = seed();
    println!("LANBOOT_SEED={seed}, but what that thread does first is left to chance");
    let mut lan = Lan::new(SETUP, seed);
    lan.disk = SimDisk::writing_aside(seed);
    let seen = lives(lan, CUTS / 2, Ills::default());
    assert_eq!(seen.wrongs, [""; 0], "LANBOOT_SEED={seed}");
    // How many depends on what else the computer does.
    assert!(seen.exchanges > 0, "no change-over: {seen:?} LANBOOT_SEED={seed}");
    println!("{seen:?}");
}

/// A server that acknowledges before it has synced is the same to its clients as one whose disk lies.
#[test]
fn a_disk_that_lies_is_found_out() {
    let seen = lives(Lan::new(SETUP, 1), 50, Ills { lies: true, ..Ills::default() });
    assert!(seen.wrongs.iter().any(|wrong| wrong.contains("was acknowledged")), "lost leases");
    assert!(seen.wrongs.iter().any(|wrong| wrong.contains("has Claim")), "addresses given twice");
}
