//! Shows the live view and the finished stories of a few machines that boot at once: `cargo run -p journal --example live`.
//! With the path of a journal, written by `--log json` or kept in the state folder: of that.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/scenarios.rs"]
mod scenarios;

use std::collections::HashMap;
use std::net::SocketAddr;

use journal::{Event, Step, Style, Terminal, Timeline};
use mac::Mac;
use scenarios::*;

fn main() {
    let style = Style::detect(&std::io::stdout());
    match std::env::args().nth(1) {
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
