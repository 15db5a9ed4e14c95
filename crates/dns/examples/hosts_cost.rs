//! What long hosts files cost: time to read one, time to lay its names down, memory.
//! `cargo run --release -p dns --example hosts_cost [LINES]`

use std::time::Instant;

use dns::hosts::File;
use dns::{Resolver, Settings};

fn main() {
    let lines: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let text: String =
        (0..lines).map(|number| format!("0.0.0.0 ads-{number}.tracker-{}.example.com\n", number % 997)).collect();
    let mut resolver = Resolver::new(Settings::default(), [7; 32]);
    let before = resident();
    let began = Instant::now();
    let file = File::new("/etc/hosts", text);
    println!("read: {:?}", began.elapsed());
    let began = Instant::now();
    resolver.set_hosts(vec![file]);
    println!("laid down: {:?}; {} KiB more resident", began.elapsed(), resident().saturating_sub(before));
}

/// KiB of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
