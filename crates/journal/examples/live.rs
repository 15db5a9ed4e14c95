//! Shows the live view and the finished stories of a few machines that boot at once: `cargo run -p journal --example live`.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/scenarios.rs"]
mod scenarios;

use std::collections::HashMap;
use std::net::SocketAddrV4;

use journal::{Event, Step, Style, Terminal, Timeline};
use scenarios::*;

fn main() {
    let names = HashMap::from([(machine(3), "node-3".to_owned())]);
    let mut terminal = Terminal::new(Style::detect(&std::io::stdout()), names);
    for event in host().iter().chain(&machines()) {
        terminal.line(event).into_iter().for_each(|line| println!("{line}"));
    }
    let now = after_millis(400_000);
    terminal.stalls(now).into_iter().for_each(|stall| println!("{stall}"));
    for boot in Timeline::of(machines()) {
        print!("\n{}", terminal.block(&boot, now));
    }
}

fn host() -> Vec<Event> {
    let at = after_millis(-2000);
    let listening = |service: &str, address: &str| Step::Listening {
        service: service.to_owned(),
        at: address.parse::<SocketAddrV4>().expect("written as address:port"),
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
    .map(|step| Event { at, machine: None, step })
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
