//! Two DHCP servers on one network are one too many, unless somebody wants them.

use journal::Step;
use nix::sys::signal::Signal;

use crate::clients::Udhcpc;
use crate::harness::{Host, Network, Program, eventually};
use crate::snapshot::Snapshot;

const SERVE: &str = "--interface port0 --address 10.0.1.1/24";

/// dnsmasq gives out addresses on the `eth0` of this computer, and writes down what it hears.
pub fn addresses_only(network: &Network) -> Program {
    network.run("ip address add 10.0.1.9/24 dev eth0");
    let mut dnsmasq = Program::start(network.command(
        "dnsmasq --no-daemon --port=0 --conf-file=/dev/null --pid-file= --user=root --leasefile-ro --no-ping \
         --interface=eth0 --bind-interfaces --dhcp-range=10.0.1.50,10.0.1.60 --dhcp-authoritative",
    ));
    dnsmasq.next_complaint(|line| line.contains("DHCP, sockets bound").then_some(()));
    dnsmasq
}

fn assert_names_it(told: &str, network: &Network, interface: &str) {
    let rival =
        format!("another DHCP server answers on {interface}: 10.0.1.9 ({}) offered 10.0.1.", network.mac("eth0"));
    assert!(told.contains(&rival), "{told}");
    assert!(told.contains("--force") && told.contains("--proxy") && told.contains("mode = \"proxy\""), "{told}");
}

#[test]
fn up_and_check_name_another_server_and_change_nothing() {
    let host = Host::new();
    let other = host.network.neighbour("port0");
    let mut dnsmasq = addresses_only(&other);
    for command in ["up", "check"] {
        let told = host.refuses(&format!("{command} {SERVE}"));
        assert_names_it(&told, &other, "port0");
        dnsmasq.next_complaint(|line| line.contains("DHCPDISCOVER").then_some(()));
    }
}

#[test]
fn a_server_behind_a_port_of_our_bridge_is_found_and_the_bridge_taken_away_again() {
    let host = Host::new();
    let other = host.network.neighbour("port0");
    let _dnsmasq = addresses_only(&other);
    let told = host.refuses("up --bridge net=10.0.1.1/24 --port port0");
    assert_names_it(&told, &other, "net");
}

#[test]
fn a_server_on_a_wire_that_is_reached_only_by_serving_is_found_and_all_is_put_back() {
    let host = Host::new();
    let other = host.network.neighbour("port0");
    let _dnsmasq = addresses_only(&other);
    let _theirs = host.network.neighbour("theirs0");
    for line in ["add theirs type bridge", "set dev theirs0 master theirs", "set dev theirs up"] {
        host.network.run(&format!("ip link {line}"));
    }
    eventually(|| host.network.run("ip -br link show theirs").contains(" UP "));
    let told = host.refuses("up --bridge theirs=10.0.1.1/24 --port port0");
    assert_names_it(&told, &other, "theirs");
    host.network.run("ip link set dev port0 down");
    assert_names_it(&host.refuses(&format!("up {SERVE}")), &other, "port0");
}

#[test]
fn check_asks_on_the_ports_of_a_bridge_that_is_yet_to_be_made() {
    let host = Host::new();
    let other = host.network.neighbour("port0");
    let _dnsmasq = addresses_only(&other);
    assert_names_it(&host.refuses("check --bridge net=10.0.1.1/24 --port port0"), &other, "port0");
}

#[test]
fn forced_it_serves_beside_the_other_server() {
    let host = Host::new();
    let (other, client) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let _dnsmasq = addresses_only(&other);
    let before = Snapshot::of(&host.network);
    let mut server = host.up_carefully("--bridge net=10.0.1.1/24 --port port0 --port port1 --force");
    // The machine may take either's offer, but it has two to choose from.
    let (_machine, _) = Udhcpc::bound(&client);
    server.next(|step| matches!(step, Step::DhcpOffer { .. }).then_some(()));
    server.stop();
    before.assert_same(&host.network);
}

#[test]
fn without_dhcp_nobody_is_asked() {
    let host = Host::new();
    let other = host.network.neighbour("port0");
    let dnsmasq = addresses_only(&other);
    let server = host.up_carefully(&format!("{SERVE} --no-dhcp"));
    server.stop();
    dnsmasq.signal(Signal::SIGTERM);
    let heard = dnsmasq.finish().err;
    assert!(!heard.contains("DHCPDISCOVER"), "{heard}");
}

#[test]
fn where_nobody_answers_it_serves() {
    let host = Host::new();
    let client = host.network.neighbour("port0");
    let server = host.up_carefully(SERVE);
    assert_eq!(Udhcpc::bound(&client).1.octets(), [10, 0, 1, 100]);
    server.stop();
}
