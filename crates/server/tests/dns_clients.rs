//! The DNS service against `dig`, and against sockets of our own where a program would not misbehave on demand. Each test
//! has a network namespace to itself, with upstream servers of the test's own.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use config::{Dns, DnsAt, DnsClients, HostsFiles, Resolv};
use dns::resolver::Interface;
use dns::settings::{Server, Settings};
use journal::{Journal, Step};
use nix::sched::{CloneFlags, unshare};
use server::dns::{DnsService, Order, Orders};
use server::net::DnsSockets;
use server::report::Reporter;

const US: &str = "127.0.0.1";
/// Nothing that is waited for takes this long on a machine that works at all.
const LONG: Duration = Duration::from_secs(60);

/// The service in a network where nobody else is.
struct Lab {
    service: DnsService,
    journal: Journal,
}

/// Runs `test` in a network namespace that vanishes with its thread; programs started there are inside, too.
fn in_lab(change: impl FnOnce(&mut Dns) + Send + 'static, test: impl FnOnce(&Lab) + Send + 'static) {
    let thread = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make network namespaces: run them as root");
        run(Command::new("ip").args(["link", "set", "lo", "up"]));
        let mut dns = Dns {
            port: 53,
            at: ["127.0.0.1", "::1"].map(|address| DnsAt { interface: "lo".into(), address: ip(address) }).into(),
            settings: Settings::default(),
            resolv: Resolv::default(),
            hosts: HostsFiles::default(),
            clients: DnsClients::Neighbours,
            max_tcp: 20,
        };
        change(&mut dns);
        let sockets = dns.at.iter().map(|at| DnsSockets::open(at, dns.port).expect("port 53 is free")).collect();
        let journal = Journal::new();
        let reporter = Reporter { journal: journal.clone(), machines: Arc::default() };
        let addresses = ["127.0.0.1/8", "::1/128"].map(|net| net.parse().expect("a network")).into();
        let lo = Interface { index: 1, name: "lo".into(), addresses };
        let service = DnsService::start(dns, sockets, reporter, vec![Order::Interfaces(vec![lo])]).expect("a thread");
        test(&Lab { service, journal });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {out}{}", String::from_utf8_lossy(&output.stderr));
    out
}

/// What `dig` prints. It asks once, and waits as long as is needed.
fn dig(arguments: &str) -> String {
    run(Command::new("dig").args(["+tries=1", "+time=30"]).args(arguments.split_whitespace()))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Lab {
    fn orders(&self) -> Orders {
        self.service.orders()
    }

    /// Has these be asked, in their order.
    fn ask(&self, servers: &[&str]) {
        let server = |address: &&str| Server { address: SocketAddr::new(ip(address), 53), from: None, interface: None };
        self.orders().give(Order::Servers(servers.iter().map(server).collect()));
    }

    fn warnings(&self) -> Vec<String> {
        let events = self.journal.recent(1000);
        let texts = events.iter().filter_map(|event| match &event.step {
            Step::Warning { text, .. } => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }
}

/// An upstream server that answers every query for addresses with 192.0.2.1, and every other with 3000 octets of text; over
/// UDP it has no room for the latter. Returns the number of queries that it got.
fn upstream(address: &str) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let (udp, tcp) = (UdpSocket::bind((address, 53)).unwrap(), TcpListener::bind((address, 53)).unwrap());
    let counted = count.clone();
    thread::spawn(move || {
        let mut octets = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut octets) {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = udp.send_to(&answer(&octets[..length], 1232), from);
        }
    });
    thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            while let Ok(query) = read(&mut stream) {
                let _ = write(&mut stream, &answer(&query, usize::MAX));
            }
        }
    });
    count
}

/// Repeats the question, and answers it where that fits.
fn answer(query: &[u8], room: usize) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let kind = query[end - 3];
    let mut octets = query[..end].to_vec();
    (octets[2], octets[3]) = (0x81, 0x80);
    octets[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    octets.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60]);
    match kind {
        1 => octets.extend([0, 4, 192, 0, 2, 1]),
        _ => {
            octets.extend(3012u16.to_be_bytes());
            (0..12).for_each(|_| octets.extend([&[250][..], &[b'x'; 250]].concat()));
        }
    }
    if octets.len() > room {
        octets.truncate(end);
        octets[2] |= 2;
        octets[7] = 0;
    }
    octets
}

fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut octets).map(|()| octets)
}

fn write(stream: &mut TcpStream, octets: &[u8]) -> std::io::Result<()> {
    stream.write_all(&[&(octets.len() as u16).to_be_bytes(), octets].concat())
}

/// A query for addresses.
fn query(id: u8, name: &str) -> Vec<u8> {
    let mut octets = vec![0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    name.split('.').for_each(|label| octets.extend([&[label.len() as u8], label.as_bytes()].concat()));
    octets.extend([0, 0, 1, 0, 1]);
    octets
}

#[test]
fn names_of_the_world_are_asked_upstream_over_udp_and_tcp_by_both_families() {
    in_lab(
        |_| {},
        |lab| {
            upstream("127.0.0.9");
            lab.ask(&["127.0.0.9"]);
            for how in
                ["@127.0.0.1", "@127.0.0.1 +tcp", "@::1", "@::1 +tcp", "@127.0.0.1 +noedns", "@127.0.0.1 +dnssec"]
            {
                assert_eq!(dig(&format!("{how} www.example.com +short")), "192.0.2.1\n", "{how}");
            }
            assert!(dig("@127.0.0.1 www.example.com").contains("status: NOERROR"));
            assert!(lab.warnings().is_empty(), "{:?}", lab.warnings());
        },
    );
}

#[test]
fn what_is_too_long_for_udp_comes_over_tcp_both_ways() {
    in_lab(
        |_| {},
        |lab| {
            upstream("127.0.0.9");
            lab.ask(&["127.0.0.9"]);
            let short = dig("@127.0.0.1 TXT big.example +ignore");
            assert!(short.contains(" tc ") && short.contains("ANSWER: 0"), "{short}");
            let whole = dig("@127.0.0.1 TXT big.example");
            assert!(whole.contains("Truncated, retrying in TCP mode") && whole.contains("xxxx"), "{whole}");
            assert!(dig("@::1 +tcp TXT big.example").contains("xxxx"));
        },
    );
}

#[test]
fn names_of_leases_are_known_at_once_both_ways() {
    in_lab(
        |_| {},
        |lab| {
            let lease = |name: &str, last| dns::local::Lease {
                address: Ipv4Addr::new(10, 0, 1, last),
                name: name.parse().unwrap(),
                domain: Some("lan".parse().unwrap()),
                ends: None,
            };
            for last in 1..20 {
                let name = format!("box{last}");
                lab.orders().give(Order::LeaseGiven(lease(&name, last)));
                assert_eq!(dig(&format!("@{US} {name}.lan +short")), format!("10.0.1.{last}\n"));
                assert_eq!(dig(&format!("@{US} -x 10.0.1.{last} +short")), format!("{name}.lan.\n"));
            }
            lab.orders().give(Order::LeaseEnded(Ipv4Addr::new(10, 0, 1, 7)));
            assert_eq!(dig(&format!("@{US} box7.lan +short")), "");
        },
    );
}

#[test]
fn hundreds_of_queries_at_once_are_all_answered() {
    // No more at once than sockets' usual buffers hold.
    const BURST: u8 = 100;
    const ROUNDS: usize = 5;
    in_lab(
        |_| {},
        |lab| {
            let asked = upstream("127.0.0.9");
            lab.ask(&["127.0.0.9"]);
            dig(&format!("@{US} first.example +short"));
            let socket = UdpSocket::bind((US, 0)).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            let mut octets = [0; 1500];
            for round in 0..ROUNDS {
                for at in 0..BURST {
                    socket.send_to(&query(at, &format!("n{round}-{at}.example")), (US, 53)).unwrap();
                }
                let mut seen = [false; BURST as usize];
                for _ in 0..BURST {
                    let length = socket.recv(&mut octets).expect("every query has its answer");
                    assert!(!std::mem::replace(&mut seen[usize::from(octets[1])], true), "once");
                    assert!(octets[..length].windows(4).any(|four| four == [192, 0, 2, 1]));
                }
            }
            assert!(asked.load(Ordering::SeqCst) > ROUNDS * usize::from(BURST));
            assert!(lab.warnings().is_empty(), "{:?}", lab.warnings());
        },
    );
}

#[test]
fn several_queries_of_a_connection_are_answered_while_one_waits() {
    in_lab(
        |_| {},
        |lab| {
            // Never answers.
            let _silent = UdpSocket::bind(("127.0.0.8", 53)).unwrap();
            lab.ask(&["127.0.0.8"]);
            let lease = dns::local::Lease {
                address: Ipv4Addr::new(10, 0, 1, 1),
                name: "box".parse().unwrap(),
                domain: None,
                ends: None,
            };
            lab.orders().give(Order::LeaseGiven(lease));
            let mut stream = TcpStream::connect((US, 53)).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let all = [query(1, "slow.example"), query(2, "box"), query(3, "box")];
            let all: Vec<u8> =
                all.iter().flat_map(|query| [&(query.len() as u16).to_be_bytes(), &query[..]].concat()).collect();
            // In pieces that are no messages, as networks deliver them.
            for piece in all.chunks(7) {
                stream.write_all(piece).unwrap();
                stream.flush().unwrap();
            }
            let ids: Vec<u8> = (0..3).map(|_| read(&mut stream).unwrap()[1]).collect();
            assert_eq!(ids, [2, 3, 1], "the slow one last, and answered after all");
        },
    );
}

#[test]
fn who_holds_all_connections_keeps_nobody_out() {
    in_lab(
        |dns| dns.max_tcp = 4,
        |lab| {
            upstream("127.0.0.9");
            lab.ask(&["127.0.0.9"]);
            let hold = || {
                let mut stream = TcpStream::connect((US, 53)).unwrap();
                stream.write_all(&[0]).unwrap();
                stream
            };
            let held: Vec<TcpStream> = (0..12).map(|_| hold()).collect();
            assert_eq!(dig("@127.0.0.1 -b 127.0.0.2 +tcp www.example.com +short"), "192.0.2.1\n");
            drop(held);
        },
    );
}

#[test]
fn the_next_server_is_asked_at_once_where_nobody_listens() {
    in_lab(
        |_| {},
        |lab| {
            upstream("127.0.0.9");
            lab.ask(&["127.0.0.7", "127.0.0.9"]);
            for at in 0..5 {
                let begun = Instant::now();
                assert_eq!(dig(&format!("@{US} n{at}.example +short")), "192.0.2.1\n");
                assert!(begun.elapsed() < LONG);
            }
        },
    );
}

#[test]
fn that_nobody_listens_upstream_is_told_and_not_waited_for() {
    in_lab(
        |_| {},
        |lab| {
            lab.ask(&["127.0.0.7"]);
            for at in 0..5 {
                let told = dig(&format!("@{US} n{at}.example"));
                assert!(told.contains("status: SERVFAIL") && !told.contains("in time"), "{told}");
            }
            // Nor does anybody wait for the service to end.
        },
    );
}

#[test]
fn we_do_not_ask_ourselves() {
    in_lab(
        |_| {},
        |lab| {
            lab.ask(&["127.0.0.1", "0.0.0.0", "::1"]);
            assert!(dig(&format!("@{US} www.example.com")).contains("ANSWER: 0"));
            let warnings = lab.warnings();
            assert!(
                warnings.iter().any(|text| text.contains("127.0.0.1") && text.contains("left out")),
                "{warnings:?}"
            );
            // Once we no longer answer there, whoever does is meant.
            upstream("127.0.0.9");
            lab.ask(&["127.0.0.1", "127.0.0.9"]);
            assert_eq!(dig(&format!("@{US} www.example.com +short")), "192.0.2.1\n");
        },
    );
}

#[test]
fn addresses_come_and_go_while_we_answer() {
    in_lab(
        |_| {},
        |lab| {
            upstream("127.0.0.9");
            lab.ask(&["127.0.0.9"]);
            let at = DnsAt { interface: "lo".into(), address: ip("127.0.0.3") };
            lab.orders().give(Order::Listen(DnsSockets::open(&at, 53).unwrap()));
            assert_eq!(dig("@127.0.0.3 www.example.com +short"), "192.0.2.1\n");
            lab.orders().give(Order::Unlisten(at.clone()));
            let (sender, statistics) = channel();
            lab.orders().give(Order::Statistics(sender));
            assert!(statistics.recv_timeout(LONG).unwrap().forwarded > 0);
            let mut tries = 0;
            while let Err(error) = DnsSockets::open(&at, 53) {
                tries += 1;
                assert!(tries < 1000, "{error}");
                thread::sleep(Duration::from_millis(10));
            }
        },
    );
}
