//! A disk without room for leases: said, and nobody who has one loses it.

use std::net::Ipv4Addr;

use dhcp::v4::MessageType;
use journal::Step;
use mac::Mac;

use crate::harness::{Host, LONG, Program, Server};
use crate::raw::{self, Raw};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// In the mount namespace of the program alone, so that the folder is seen by nobody else and goes with it.
const ON_SMALL_DISK: &str = r#"mkdir -p "$1" && mount -t tmpfs -o size=32k tmpfs "$1" && shift && exec "$@""#;

fn mac(number: u16) -> Mac {
    let [a, b] = number.to_be_bytes();
    Mac([2, 0, 0, 7, a, b])
}

fn address(number: u16) -> Ipv4Addr {
    let [a, b] = number.to_be_bytes();
    Ipv4Addr::new(10, 1, a, b)
}

/// Waits until this machine hears of its lease; none of the others may.
fn hears(raw: &Raw, number: u16) {
    let answer = raw.receive(LONG).expect("an answer");
    assert_eq!((answer.mac, answer.address, answer.kind), (mac(number), address(number), MessageType::Ack));
}

#[test]
fn on_a_full_disk_known_machines_renew_and_new_ones_wait_for_room() {
    let host = Host::new();
    let raw = Raw::on(&host.network.neighbour("port0"));
    let script = host.file("on-small-disk", ON_SMALL_DISK);
    let (state, program) = (host.state(), env!("CARGO_BIN_EXE_lanboot"));
    let (script, state) = (script.display(), state.display());
    let options =
        "--bridge net=10.0.0.1/12 --port port0 --range 10.1.0.0-10.1.255.255 --conflict-check off --no-tftp --no-http";
    let line = format!("unshare --mount sh {script} {state} {program} up --log json --force {options} --state {state}");
    let mut server = Server(Program::start(host.network.command(&line)));
    server.next(|step| matches!(step, Step::Listening { service, .. } if service == "DHCP").then_some(()));
    let mut gives = |number: u16| {
        raw.send(&raw::select(mac(number), address(number), SERVER));
        let given = server.next(|step| match step {
            Step::DhcpAck { .. } => Some(true),
            Step::Warning { text, fix } if text.starts_with("no new lease is given out") => {
                assert!(text.contains("leases.log"), "{text}");
                assert!(fix.as_ref().is_some_and(|fix| fix.contains("make room")), "{fix:?}");
                Some(false)
            }
            _ => None,
        });
        if given {
            hears(&raw, number);
        }
        given
    };
    assert!(gives(10));
    let new = (11..10_000).find(|number| !gives(*number)).expect("a small disk is full at last");
    // Whoever asks after it is answered.
    raw.send(&raw::select(mac(new), address(new), SERVER));
    raw.send(&raw::reboot(mac(10), address(10)));
    hears(&raw, 10);

    host.network.run(&format!("nsenter -t {} -m mount -o remount,size=1m {state}", server.0.pid()));
    raw.send(&raw::select(mac(new), address(new), SERVER));
    server.next(|step| (*step == Step::LeasesWritten).then_some(()));
    hears(&raw, new);
    server.stop();
}
