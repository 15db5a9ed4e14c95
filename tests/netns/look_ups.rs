//! What a booting machine looks up is told with its boot; what others look up is not.

use std::net::SocketAddr;

use journal::{Asked, Event, Said, Step, Unresolved};

use crate::clients::Udhcpc;
use crate::harness::{Host, Network, Server};

const CONFIG: &str = "
[network]
bridge = \"net\"
address = \"10.0.1.1/24\"
ports = [\"port0\", \"port1\"]
masquerade = false

[dhcp]
domain = \"lan\"

[dns]
upstream = [\"10.9.0.2\"]
";

/// Asks as a resolver does; what comes of it is for the journal to say.
fn look_up(from: &Network, name: &str) {
    let output = from.command(&format!("dig @10.0.1.1 +tries=1 +time=20 {name} A")).output().expect("dig runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The next look-up that is told, which must be this machine's.
fn told(server: &mut Server, machine: mac::Mac) -> Step {
    let is_look_up = |event: &Event| matches!(event.step, Step::LookedUp { .. } | Step::LookUpFailed { .. });
    let event = server.next_event(|event| is_look_up(event).then(|| event.clone()));
    assert_eq!(event.machine, Some(machine), "{event:?}");
    event.step
}

#[test]
fn look_ups_of_booting_machines_are_told_and_no_others() {
    let host = Host::new();
    let [machine, telephone] = ["port0", "port1"].map(|port| host.network.neighbour(port));
    // Nobody answers DNS there, and the kernel says so.
    let upstream = host.network.neighbour("up0");
    host.network.run("ip address add 10.9.0.1/24 dev up0");
    upstream.run("ip address add 10.9.0.2/24 dev eth0");
    let mut server = host.up(&format!("-c {}", host.file("lanboot.toml", CONFIG).display()));
    let mac = machine.mac("eth0");

    let mut phone = Udhcpc::start(&telephone, "-x hostname:phone");
    phone.told("bound");
    look_up(&telephone, "phone.lan");
    let mut firmware = Udhcpc::start(&machine, "-V PXEClient:Arch:00000:UNDI:002001 -x hostname:node");
    firmware.told("bound");
    for name in ["node.lan", "deb.example", "nobody.lan"] {
        look_up(&machine, name);
        look_up(&telephone, name);
    }

    let Step::LookedUp { name, kind, answers, local: true, .. } = told(&mut server, mac) else { panic!("its own") };
    assert_eq!((name.as_str(), kind.as_str(), answers.len()), ("node.lan", "A", 1));
    let Step::LookUpFailed { name, why: Unresolved::NoAnswer { asked }, .. } = told(&mut server, mac) else {
        panic!("no answer")
    };
    let dead: SocketAddr = "10.9.0.2:53".parse().expect("an address");
    assert_eq!((name.as_str(), asked), ("deb.example", vec![Asked { server: dead, said: Said::Unreachable }]));
    let Step::LookUpFailed { name, why, .. } = told(&mut server, mac) else { panic!("no such name") };
    assert_eq!((name.as_str(), why), ("nobody.lan", Unresolved::NoSuchName { by: None }));
    server.stop();
}
