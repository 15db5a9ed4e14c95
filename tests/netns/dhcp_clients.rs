//! Addresses, as udhcpc and dhclient get, renew and give them back.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::v4::MessageType;
use dhcp::v4::packet::BROADCAST;
use journal::Step;

use crate::clients::{Dhclient, Udhcpc};
use crate::harness::{Host, LONG};
use crate::raw::{self, Raw};

/// The first addresses of the range.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 200);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 201);
const SERVE: &str = "--bridge net=10.0.1.1/24 --range 10.0.1.200-10.0.1.210 --port port0 --port port1";

#[test]
fn udhcpc_gets_renews_and_gives_back_an_address() {
    let host = Host::new();
    let (client, other) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let mut server = host.up(SERVE);

    let (mut machine, address) = Udhcpc::bound(&client);
    assert_eq!(address, FIRST);
    client.run("ping -c 1 -W 5 10.0.1.1");
    assert_eq!(machine.renew(), FIRST);
    let renewed = |step: &Step| matches!(step, Step::DhcpAck { address: FIRST, renewal: true, .. }).then_some(());
    server.next(renewed);
    machine.release();
    server.next(|step| matches!(step, Step::DhcpRelease { address: FIRST }).then_some(()));

    assert_eq!(Udhcpc::bound(&other).1, SECOND, "an address that was somebody's is given to others last");
    assert_eq!(Udhcpc::bound(&client).1, FIRST, "the same machine gets the same address");
    server.stop();
    let _server = host.up(SERVE);
    assert_eq!(Udhcpc::bound(&other).1, SECOND, "also from a server that was started anew");
    assert_eq!(Udhcpc::bound(&client).1, FIRST);
}

#[test]
fn dhclient_gets_renews_and_gives_back_an_address() {
    let host = Host::new();
    let (client, other) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let folder = &host.folder.0;
    let mut server = host.up(SERVE);
    let acknowledged = |step: &Step| match step {
        Step::DhcpAck { address, .. } => Some(*address),
        _ => None,
    };

    let mut machine = Dhclient::start(&client, folder);
    assert_eq!(machine.told("BOUND"), FIRST);
    assert_eq!(server.next(acknowledged), FIRST);
    drop(machine);
    assert_eq!(Udhcpc::bound(&other).1, SECOND);
    assert_eq!(server.next(acknowledged), SECOND);

    // INIT-REBOOT: with its lease on file, it asks for its address and nothing else.
    let mut machine = Dhclient::start(&client, folder);
    assert_eq!(machine.told("REBOOT"), FIRST);
    let first = server.next(|step| match step {
        Step::DhcpDiscover { .. } => Some(None),
        Step::DhcpAck { address, .. } => Some(Some(*address)),
        _ => None,
    });
    assert_eq!(first, Some(FIRST), "without a DHCPDISCOVER");

    Dhclient::release(&client, folder);
    drop(machine);
    server.next(|step| matches!(step, Step::DhcpRelease { address: FIRST }).then_some(()));
    server.stop();
    let _server = host.up(SERVE);
    assert_eq!(Dhclient::start(&client, folder).told("BOUND"), FIRST, "the same machine gets the same address");
}

#[test]
fn a_lease_from_another_network_is_refused_and_a_new_one_given() {
    let host = Host::new();
    let client = host.network.neighbour("port0");
    let _other = host.network.neighbour("port1");
    let lease = "lease { interface \"eth0\"; fixed-address 192.168.7.7; option subnet-mask 255.255.255.0; \
                 option dhcp-server-identifier 192.168.7.1; renew never; rebind never; expire never; }\n";
    host.file("dhclient.leases", lease);
    let mut server = host.up(SERVE);
    let mut machine = Dhclient::start(&client, &host.folder.0);
    let (address, because) = server.next(|step| match step {
        Step::DhcpNak { address, because } => Some((*address, because.clone())),
        _ => None,
    });
    assert_eq!((address, because.as_str()), (Ipv4Addr::new(192, 168, 7, 7), "address is not on this network"));
    assert_eq!(machine.told("BOUND"), FIRST);
}

#[test]
fn a_reserved_address_goes_to_its_machine_alone() {
    let host = Host::new();
    let (client, other) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let config = format!(
        "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\nports = [\"port0\", \"port1\"]\n\
         [dhcp]\nrange = \"10.0.1.200-10.0.1.210\"\n\
         [[machine]]\nmac = \"{}\"\nname = \"rack-1\"\naddress = \"10.0.1.200\"\n",
        client.mac("eth0")
    );
    let config = host.file("lanboot.toml", config);
    let _server = host.up(&format!("-c {}", config.display()));
    assert_eq!(Udhcpc::bound(&other).1, SECOND, "although it came first");
    assert_eq!(Udhcpc::bound(&client).1, FIRST);
    let leases = host.finish("leases").out;
    let line = leases.lines().find(|line| line.starts_with("10.0.1.200 ")).expect("a line of its own");
    assert!(line.contains(&client.mac("eth0").to_string()), "{leases}");
    assert!(line.contains("rack-1"), "{leases}");
}

#[test]
fn an_address_that_somebody_uses_unasked_is_set_aside() {
    for check in ["arp", "icmp"] {
        let host = Host::new();
        let (client, squatter) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
        squatter.run(&format!("ip address add {FIRST}/24 dev eth0"));
        let mut server = host.up(&format!("{SERVE} --conflict-check {check}"));
        let machine = Udhcpc::bound(&client);
        assert_eq!(machine.1, SECOND, "{check}");
        let (address, by) = server.next(|step| match step {
            Step::AddressInUse { address, by } => Some((*address, *by)),
            _ => None,
        });
        // Before an echo can be asked for, ARP has told.
        assert_eq!((address, by), (FIRST, Some(squatter.mac("eth0"))), "{check}");
    }
}

#[test]
fn an_answer_is_broadcast_to_a_machine_that_asks_for_it() {
    let host = Host::new();
    let (client, _other) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let _server = host.up(SERVE);

    // This socket has no address, so it hears nothing but broadcasts.
    let (raw, mac) = (Raw::on(&client), client.mac("eth0"));
    raw.send(&raw::discover(mac, BROADCAST));
    let offer = raw.receive(LONG).expect("an offer");
    assert_eq!((offer.kind, offer.mac, offer.address), (MessageType::Offer, mac, FIRST));
    raw.send(&raw::discover(mac, 0));
    assert_eq!(raw.receive(Duration::from_secs(1)), None, "and only then");
    drop(raw);

    assert_eq!(Udhcpc::start(&client, "-B").told("bound"), FIRST);
}
