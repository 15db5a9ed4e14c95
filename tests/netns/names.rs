//! DNS by lanboot.toml: machines are told to ask us, and get what the file says.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::clients::Udhcpc;
use crate::harness::{Host, Network, eventually};

const FILE: &str = r#"
[network]
bridge = "net"
ports = ["port0"]
address = "10.0.1.1/24"
[boot]
script = "boot.ipxe"
[dhcp]
domain = "lan"
[dns]
upstream = []
hosts = "hosts"
[[dns.record]]
name = ["nas.lan", "nas"]
address = "10.0.1.5"
txt = ["one", ["two", "strings"]]
[[dns.record]]
name = "www.lan"
cname = "nas.lan"
[[dns.override]]
domain = "mirror.example"
to = "10.0.1.6"
[[dns.override]]
domain = "ads.example"
to = "none"
"#;

#[test]
fn what_the_file_says_is_what_machines_are_answered() {
    let host = Host::new();
    let inside = host.network.neighbour("port0");
    let config = host.file("lanboot.toml", FILE);
    host.file("boot.ipxe", "#!ipxe\n");
    host.file("hosts", "127.0.0.1 localhost\n127.0.1.1 big.lan big\n10.0.1.7 old\n");
    let _server = host.up(&format!("-c {}", config.display()));

    let mut machine = Udhcpc::start(&inside, "-x hostname:rack-7 -O dns");
    let address = machine.told("bound").to_string();
    let ask = |question: &str| dig(&inside, question);
    for name in ["rack-7", "rack-7.lan"] {
        eventually(|| ask(name) == [address.as_str()]);
    }
    assert_eq!(ask(&format!("-x {address}")), ["rack-7.lan."]);
    let answers = [
        ("nas", vec!["10.0.1.5"]),
        ("-x 10.0.1.5", vec!["nas.lan."]),
        ("www.lan", vec!["nas.lan.", "10.0.1.5"]),
        ("nas.lan txt", vec!["\"one\"", "\"two\" \"strings\""]),
        ("deep.mirror.example", vec!["10.0.1.6"]),
        ("old.lan", vec!["10.0.1.7"]),
        ("big", vec!["10.0.1.1"]),
        ("localhost", vec!["127.0.0.1"]),
        ("x.ads.example", vec![]),
        ("nobody.lan", vec![]),
    ];
    for (question, expected) in answers {
        let mut answered = ask(question);
        if question.ends_with("txt") {
            answered.sort();
        }
        assert_eq!(answered, expected, "{question}");
    }
    assert_eq!(ask("+tcp nas.lan"), ["10.0.1.5"]);
}

/// What `dig` prints of an answer's data.
fn dig(network: &Network, question: &str) -> Vec<String> {
    let told = network.run(&format!("dig +short @10.0.1.1 {question}"));
    told.lines().map(str::to_owned).collect()
}

#[test]
fn a_port_53_that_is_taken_is_told_with_ways_out() {
    let host = Host::new();
    let _taken = host.network.inside(|| {
        let nobody_else = "nobody else is here";
        let any = (Ipv4Addr::UNSPECIFIED, 53);
        (UdpSocket::bind(any).expect(nobody_else), TcpListener::bind(any).expect(nobody_else))
    });
    let told = host.refuses("up --bridge net=10.0.1.1/24");
    assert!(told.contains("UDP port 53") && told.contains("TCP port 53") && told.contains("--no-dns"), "{told}");
    host.up("--bridge net=10.0.1.1/24 --no-dns").stop();
}
