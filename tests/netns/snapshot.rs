//! Everything of a host's network that lanboot must leave as it found it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Network, eventually};

const PROGRAMS: [&str; 7] = [
    "ip -d -o link",
    "ip address",
    "ip rule",
    "ip route show table all",
    "ip -6 route show table all",
    "bridge vlan",
    "nft list ruleset",
];
const SETTINGS: [&str; 2] = ["/proc/sys/net/ipv4", "/proc/sys/net/bridge"];

#[derive(PartialEq)]
pub struct Snapshot(String);

impl Snapshot {
    /// The network as it is once it has come to rest.
    pub fn of(network: &Network) -> Snapshot {
        eventually(|| is_at_rest(network));
        Snapshot::now(network)
    }

    fn now(network: &Network) -> Snapshot {
        let mut all = String::new();
        for program in PROGRAMS {
            all += &format!("== {program}\n{}", without_clocks_and_counts(&network.run(program)));
        }
        network.inside(|| SETTINGS.iter().for_each(|folder| settings(Path::new(folder), &mut all)));
        Snapshot(all)
    }

    /// Asserts that the host is as it was. The kernel reports carriers a moment late.
    pub fn assert_same(&self, network: &Network) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut now = Snapshot::now(network);
        while now != *self && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            now = Snapshot::now(network);
        }
        let (before, after): (Vec<_>, Vec<_>) = (self.0.lines().collect(), now.0.lines().collect());
        let missing: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
        let added: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
        assert!(now == *self, "missing: {missing:#?}\nadded: {added:#?}\nor only the order is another");
    }
}

/// Whether the kernel has told of every carrier, and every address has been tried, which takes it a moment.
fn is_at_rest(network: &Network) -> bool {
    let told = |line: &str| {
        let flags: Vec<_> = line.split(['<', ',', '>']).collect();
        !flags.contains(&"UP") || flags.contains(&"NO-CARRIER") != flags.contains(&"LOWER_UP")
    };
    network.run("ip -o link").lines().all(told) && !network.run("ip address").contains("tentative")
}

/// A bridge shows how long ago its clocks were started, a rule how many packets it saw: a host says something now and then.
fn without_clocks_and_counts(text: &str) -> String {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if word.ends_with("_timer") || matches!(word, "packets" | "bytes") {
            let number = words.next().unwrap_or_default();
            kept.push(number.trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == '.'));
        }
    }
    kept.join(" ")
}

fn settings(path: &Path, into: &mut String) {
    if path.is_dir() {
        let mut children: Vec<_> = fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path()).collect();
        children.sort();
        children.iter().for_each(|child| settings(child, into));
    } else {
        // Some may only be written.
        let value = fs::read_to_string(path).unwrap_or_default();
        *into += &format!("{} = {}\n", path.display(), value.trim_end());
    }
}
