//! What is served is served on that interface alone.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

use dhcp::v4::MessageType;
use dhcp::v4::packet::BROADCAST;
use journal::Step;

use crate::harness::{Host, Network};
use crate::raw::{self, Raw};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
/// The host's address on its other network.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// Longer than any answer takes, a conflict check included.
const A_MOMENT: Duration = Duration::from_secs(1);

#[test]
fn dhcp_tftp_and_http_answer_on_their_interface_and_on_no_other() {
    let host = Host::new();
    let (inside, outside) = (host.network.neighbour("port0"), host.network.neighbour("up0"));
    host.network.run(&format!("ip address add {ELSEWHERE}/24 dev up0"));
    outside.run("ip address add 10.9.0.2/24 dev eth0");
    // The host passes on what it is sent, so that even the address of the bridge can be asked from here.
    outside.run(&format!("ip route add default via {ELSEWHERE}"));
    host.folder.fill("file", 100);
    let mut server = host
        .up(&format!("--bridge net={SERVER}/24 --port port0 --tftp-root {} --boot-file file", host.folder.0.display()));
    outside.run(&format!("ping -c 1 -W 5 {SERVER}"));

    assert!(!has_dhcp(&outside));
    for address in [ELSEWHERE, SERVER] {
        assert!(!has_tftp(&outside, address), "{address}");
        assert!(!has_http(&outside, address), "{address}");
    }
    assert!(has_dhcp(&inside));
    inside.run("ip address add 10.0.1.9/24 dev eth0");
    assert!(has_tftp(&inside, SERVER) && has_http(&inside, SERVER));
    assert!(has_http(&host.network, SERVER), "also for the host itself");

    // Nor has anybody listened to those outside.
    let (heard, unheard) = (inside.mac("eth0"), outside.mac("eth0"));
    server.next_event(|event| {
        assert_ne!(event.machine, Some(unheard), "{event:?}");
        (event.machine == Some(heard) && matches!(event.step, Step::DhcpOffer { .. })).then_some(())
    });
}

fn has_dhcp(network: &Network) -> bool {
    let (raw, mac) = (Raw::on(network), network.mac("eth0"));
    raw.send(&raw::discover(mac, BROADCAST));
    raw.receive(A_MOMENT).is_some_and(|answer| answer.kind == MessageType::Offer)
}

fn has_tftp(network: &Network, server: Ipv4Addr) -> bool {
    network.inside(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        socket.set_read_timeout(Some(A_MOMENT)).expect("not zero");
        socket.send_to(b"\0\x01file\0octet\0", (server, 69)).expect("a route");
        let mut block = [0; 600];
        socket.recv(&mut block).is_ok_and(|octets| octets == 104 && block[..4] == [0, 3, 0, 1])
    })
}

fn has_http(network: &Network, server: Ipv4Addr) -> bool {
    network.inside(|| TcpStream::connect_timeout(&(server, 80).into(), A_MOMENT).is_ok())
}
