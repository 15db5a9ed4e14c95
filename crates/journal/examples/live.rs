//! Shows the live view and the finished stories of a few machines that boot at once: `cargo run -p journal --example live`.
//! With `storm`: of 5,000 as the power returns, as it happens. With the path of a journal, written by `--log json` or kept in the state folder: of that.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/scenarios.rs"]
mod scenarios;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use journal::{Event, Journal, Step, Style, Terminal, Timeline, print_live};
use mac::Mac;
use scenarios::*;

fn main() {
    let style = Style::detect(&std::io::stdout());
    match std::env::args().nth(1) {
        Some(word) if word == "storm" => play(style, &storm(5000)),
        Some(path) => {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let events = parse(&text);
            show(style, names(&events), &events);
        }
        None => {
            let events: Vec<Event> = host().into_iter().chain(machines()).collect();
            show(style, HashMap::from([(machine(3), "node-3".to_owned())]), &events);
        }
    }
}

fn show(style: Style, names: HashMap<Mac, String>, events: &[Event]) {
    let mut terminal = Terminal::new(style, names);
    live(&mut terminal, events).into_iter().for_each(|line| println!("{line}"));
    let now = events.last().map_or(after_millis(0), |event| event.at);
    for boot in Timeline::of(events) {
        print!("\n{}", terminal.block(&boot, now));
    }
}

/// Through a journal, each event at its time.
fn play(style: Style, events: &[Event]) {
    let journal = Journal::new();
    let follower = journal.follow();
    let printing =
        std::thread::spawn(move || print_live(&follower, Terminal::new(style, HashMap::new()), std::io::stdout()));
    let (start, first) = (Instant::now(), events[0].at);
    for event in events {
        let at = Duration::try_from(event.at.duration_since(first)).expect("in order of time");
        std::thread::sleep(at.saturating_sub(start.elapsed()));
        journal.append(event.machine, event.step.clone());
    }
    std::thread::sleep(Duration::from_secs(20));
    drop(journal);
    let _ = printing.join();
}

fn host() -> Vec<Event> {
    let at = after_millis(-2000);
    let listening = |service: &str, address: &str| Step::Listening {
        service: service.to_owned(),
        at: address.parse::<SocketAddr>().expect("written as address:port"),
    };
    [
        Step::Host { action: "made bridge net with 10.0.1.1/24".to_owned() },
        listening("DHCP", "10.0.1.1:67"),
        listening("TFTP", "10.0.1.1:69"),
        Step::Warning {
            text: "Docker drops what is forwarded".to_owned(),
            fix: Some("machines reach the outside only after `docker` allows the bridge".to_owned()),
        },
    ]
    .into_iter()
    .map(|step| Event { at, machine: None, client: None, interface: None, step })
    .collect()
}

fn machines() -> Vec<Event> {
    let tales = [
        bios_chain(),
        uefi_pxe(),
        uefi_http(),
        pxelinux(),
        loop_broken(),
        address_in_use(),
        no_tftp(),
        rom_ipxe_then_failure(),
    ];
    let mut events: Vec<Event> = tales.into_iter().flat_map(|tale| tale.events).collect();
    events.sort_by_key(|event| event.at);
    events
}
