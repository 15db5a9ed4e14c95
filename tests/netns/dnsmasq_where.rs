//! Where a dnsmasq and `lanboot dnsmasq` answer DNS queries, and whose, by the same options.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::harness::{Network, Program};

const DNSMASQ: &str = "/usr/sbin/dnsmasq";
const LANBOOT: &str = concat!(env!("CARGO_BIN_EXE_lanboot"), " dnsmasq");

/// What is served answers at last, however busy this computer is.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who has not answered by now, though others did, will not.
const SILENCE: Duration = Duration::from_millis(400);

/// A host with two networks, and a computer in each; the one of the LAN has an address of no subnet as well.
struct World {
    host: Network,
    lan: Network,
    wan: Network,
}

impl World {
    fn new() -> World {
        let host = Network::new();
        let (lan, wan) = (host.neighbour("lan"), host.neighbour("wan"));
        for line in [
            "address add 10.0.1.1/24 dev lan",
            "address add 10.0.2.1/24 dev lan",
            "address add fd00::1/64 dev lan nodad",
            "address add 192.0.2.9/24 dev wan",
            "route add 203.0.113.5/32 dev lan",
        ] {
            host.run(&format!("ip {line}"));
        }
        for address in ["10.0.1.2/24", "10.0.2.2/24", "203.0.113.5/32", "fd00::2/64 nodad"] {
            lan.run(&format!("ip address add {address} dev eth0"));
        }
        wan.run("ip address add 192.0.2.8/24 dev eth0");
        World { host, lan, wan }
    }

    /// Who asks, from which address, and where.
    fn questions(&self) -> [(&'static str, &Network, &str, &str); 8] {
        [
            ("lo", &self.host, "127.0.0.1", "127.0.0.1"),
            ("lo6", &self.host, "::1", "::1"),
            ("own", &self.host, "10.0.1.1", "10.0.1.1"),
            ("lan", &self.lan, "10.0.1.2", "10.0.1.1"),
            ("second", &self.lan, "10.0.2.2", "10.0.2.1"),
            ("lan6", &self.lan, "fd00::2", "fd00::1"),
            ("stranger", &self.lan, "203.0.113.5", "10.0.1.1"),
            ("wan", &self.wan, "192.0.2.8", "192.0.2.9"),
        ]
    }
}

/// A query for the address of `box` (RFC 1035 section 4.1).
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03box\0\0\x01\0\x01";

/// Whether an answer with one record comes within this time; the query is sent again and again.
fn is_answered(from: &str, to: &str, within: Duration) -> bool {
    let [from, to] = [from, to].map(|address| address.parse::<IpAddr>().expect("an address as written"));
    let socket = UdpSocket::bind((from, 0)).expect("an address of ours");
    socket.connect((to, 53)).expect("a way there");
    socket.set_read_timeout(Some(SILENCE)).expect("a time that is not zero");
    let start = Instant::now();
    let mut answer = [0; 512];
    loop {
        // Before the server has its socket, the kernel says so.
        let _ = socket.send(QUERY);
        match socket.recv(&mut answer) {
            Ok(octets) => return octets > QUERY.len() && answer[..2] == QUERY[..2] && answer[7] == 1,
            Err(_) if start.elapsed() >= within => return false,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(_) => {}
        }
    }
}

#[test]
fn the_same_addresses_answer_the_same_clients() {
    let world = World::new();
    let everybody = "lo lo6 own lan second lan6 stranger wan";
    // dnsmasq answers at all addresses of the loopback network unless it binds to single ones; we do at those that are
    // named. That is not asked here.
    let cases = [
        ("", everybody),
        ("--interface=lan", "lo lo6 own lan second lan6 stranger"),
        ("--interface=l*n --except-interface=lo", "own lan second lan6 stranger"),
        ("--except-interface=lan", "lo lo6 wan"),
        ("--listen-address=10.0.2.1,fd00::1", "second lan6"),
        ("--interface=wan --listen-address=10.0.2.1", "lo lo6 second wan"),
        ("--local-service", "lo lo6 own lan second lan6 wan"),
        ("--local-service=host", "lo lo6"),
        ("--local-service --interface=lan", "lo lo6 own lan second lan6 stranger"),
        ("--interface=lan --no-dhcp-interface=lan", "lo lo6 own lan second lan6 stranger"),
    ];
    for (options, expected) in cases {
        for (program, binds) in
            [(DNSMASQ, ""), (LANBOOT, ""), (DNSMASQ, "--bind-interfaces"), (LANBOOT, "--bind-interfaces")]
        {
            let fixed = "-k --conf-file= --pid-file= --user=root --no-resolv --no-hosts --log-facility=-";
            let line =
                format!("{program} {fixed} --dhcp-leasefile=/dev/null --host-record=box,10.9.9.9 {binds} {options}");
            let _serving = Program::start(world.host.command(&line));
            let mut questions = world.questions();
            let wanted = |who: &str| expected.split(' ').any(|name| name == who);
            questions.sort_by_key(|(who, ..)| !wanted(who));
            for (who, network, from, to) in questions {
                let within = if wanted(who) { PATIENCE } else { Duration::ZERO };
                let answered = network.inside(|| is_answered(from, to, within));
                assert_eq!(answered, wanted(who), "{program} {binds} {options}: {who}");
            }
        }
    }
}
