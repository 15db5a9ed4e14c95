//! The way out, and the way in.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::clients::Udhcpc;
use crate::harness::{Host, LONG, Network};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const HOST_OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

#[test]
fn a_machine_reaches_the_outside_and_a_forwarded_port_reaches_the_machine() {
    let host = Host::new();
    let (outside, client) = (host.network.neighbour("up0"), host.network.neighbour("port0"));
    host.network.run(&format!("ip address add {HOST_OUTSIDE}/24 dev up0"));
    outside.run(&format!("ip address add {OUTSIDE}/24 dev eth0"));
    let server =
        host.up(&format!("--bridge net=10.0.1.1/24 --port port0 --masquerade --forward tcp:up0:587={CLIENT}:25"));

    // Address and default route are what DHCP said.
    let (_machine, address) = Udhcpc::bound(&client);
    assert_eq!(address, CLIENT);
    client.run(&format!("ping -c 1 -W 5 {OUTSIDE}"));

    let listener = listen(&outside, 8080);
    let inner = connect(&client, OUTSIDE, 8080);
    let (outer, from) = listener.accept().expect("a connection that was made");
    assert_eq!(from.ip(), HOST_OUTSIDE, "under the host's address");
    exchange(&inner, &outer);

    let listener = listen(&client, 25);
    let outer = connect(&outside, HOST_OUTSIDE, 587);
    let (inner, from) = listener.accept().expect("a connection that was made");
    assert_eq!(from.ip(), OUTSIDE, "the machine sees who it is");
    exchange(&outer, &inner);

    // And no longer than the server runs.
    server.stop();
    assert!(outside.inside(|| TcpStream::connect((HOST_OUTSIDE, 587))).is_err());
}

fn listen(network: &Network, port: u16) -> TcpListener {
    network.inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("nobody else is here"))
}

fn connect(network: &Network, to: Ipv4Addr, port: u16) -> TcpStream {
    let stream = network.inside(|| TcpStream::connect_timeout(&(to, port).into(), LONG));
    stream.unwrap_or_else(|error| panic!("{to}:{port}: {error}"))
}

fn exchange(here: &TcpStream, there: &TcpStream) {
    for (mut from, mut to) in [(here, there), (there, here)] {
        let mut read = [0; 5];
        from.write_all(b"hello").expect("connected");
        to.set_read_timeout(Some(LONG)).expect("not zero");
        to.read_exact(&mut read).expect("what was written");
        assert_eq!(&read, b"hello");
    }
}
