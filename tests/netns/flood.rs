//! A machine that asks without end, and made-up ones that take nothing, beside a real client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dhcp::v4::packet::BROADCAST;
use journal::Step;
use mac::Mac;

use crate::clients::Udhcpc;
use crate::harness::Host;
use crate::raw::{self, Raw};

const ONE: Mac = Mac([2, 9, 9, 9, 9, 9]);

/// Sends until it is told to stop, some 2,000 messages a second: every other one from another made-up machine.
fn flood(raw: &Raw, stop: &AtomicBool) {
    for number in 0u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let [a, b, c, d] = number.to_be_bytes();
        raw.send(&raw::discover(ONE, BROADCAST));
        raw.send(&raw::discover(Mac([2, 0, a, b, c, d]), BROADCAST));
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_client_gets_its_address_while_others_ask_without_end_and_who_does_is_named() {
    let host = Host::new();
    let (client, other) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let mut server = host.up("--bridge net=10.0.1.1/24 --range 10.0.1.200-10.0.1.203 --port port0 --port port1");
    let (raw, stop) = (Raw::on(&other), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| flood(&raw, &stop));
        let _stops = StopOnDrop(&stop);
        let warned = |of: &'static str| {
            move |step: &Step| matches!(step, Step::Warning { text, .. } if text.contains(of)).then_some(())
        };
        server.next(warned("02:09:09:09:09:09 sends "));
        let (machine, address) = Udhcpc::bound(&client);
        server.next(warned("unknown machines lately left the address"));
        machine.release();
        assert_eq!(Udhcpc::bound(&client).1, address, "a machine that is known has its address before all strangers");
    });
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
