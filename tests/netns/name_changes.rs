//! Names: a machine's own from the second of its lease on, ours, and those of the world, as `dig` and `getent` see them.

use std::net::Ipv4Addr;
use std::process::Command;

use journal::Step;

use crate::clients::Udhcpc;
use crate::dnsmasq::Site;
use crate::harness::{Finished, Host, Network, Program, eventually};

const UPSTREAM: &str = "10.9.0.2";

/// A server of the world beside the host, by Debian's dnsmasq: all names in `world.example` are 192.0.2.7.
struct World {
    _network: Network,
    _server: Program,
}

impl World {
    fn beside(host: &Host) -> World {
        let network = host.network.neighbour("up0");
        host.network.run("ip address add 10.9.0.1/24 dev up0");
        network.run(&format!("ip address add {UPSTREAM}/24 dev eth0"));
        let options =
            "--keep-in-foreground --conf-file= --no-resolv --no-hosts --pid-file= --user=root --bind-interfaces";
        let answers = "--address=/world.example/192.0.2.7 --address=/world.example/2001:db8::7";
        let server =
            Program::start(network.command(&format!("dnsmasq {options} --listen-address={UPSTREAM} {answers}")));
        let answers = || dig(&network, &format!("@{UPSTREAM} up.world.example")) == "192.0.2.7\n";
        eventually(answers);
        World { _network: network, _server: server }
    }
}

/// What `dig +short` prints; nothing where it gets no answer.
fn dig(network: &Network, question: &str) -> String {
    let Finished { out, .. } =
        Program::start(network.command(&format!("dig +short +tries=1 +time=10 {question}"))).finish();
    if out.starts_with(";") { String::new() } else { out }
}

/// A machine's own resolver, by a resolv.conf that it alone sees.
fn getent(host: &Host, machine: &Network, arguments: &str) -> String {
    let resolv = host.file("machine-resolv.conf", "nameserver 10.0.1.1\nsearch lan\n");
    let script = format!("mount --bind {} /etc/resolv.conf && exec getent {arguments}", resolv.display());
    let mut command: Command = machine.command("unshare --mount sh -c");
    command.arg(script);
    let Finished { status, out, err } = Program::start(command).finish();
    assert!(status.success(), "{arguments}: {out}{err}");
    out
}

#[test]
fn a_machine_has_its_name_with_its_lease_and_finds_the_world_through_us() {
    let host = Host::new();
    let (machine, other) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let _world = World::beside(&host);
    let resolv = host.file("resolv.conf", format!("nameserver {UPSTREAM}\n"));
    let hosts = host.file("hosts", "127.0.1.1 server\n10.0.1.50 nas\n");
    let config = format!(
        "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\nports = [\"port0\", \"port1\"]\n\
         [dhcp]\ndomain = \"lan\"\n[dns]\nresolv = [{resolv:?}]\nhosts = [{hosts:?}]\n"
    );
    let config = host.file("lanboot.toml", config);
    let mut server = host.up(&format!("-c {}", config.display()));

    let mut client = Udhcpc::start(&machine, "-x hostname:box");
    let address = client.told("bound");
    assert_eq!(dig(&machine, "@10.0.1.1 box.lan"), format!("{address}\n"), "at once");
    assert_eq!(dig(&machine, &format!("@10.0.1.1 -x {address}")), "box.lan.\n");
    assert_eq!(getent(&host, &machine, "ahostsv4 box").split_whitespace().next(), Some(&*address.to_string()));
    assert_eq!(getent(&host, &machine, "hosts up.world.example").split_whitespace().next(), Some("2001:db8::7"));
    assert_eq!(dig(&machine, "@10.0.1.1 +tcp www.world.example"), "192.0.2.7\n");
    assert_eq!(dig(&machine, "@10.0.1.1 server.lan"), "10.0.1.1\n", "this host as machines reach it");
    assert_eq!(dig(&machine, "@10.0.1.1 nas"), "10.0.1.50\n");
    assert_eq!(dig(&host.network, "@10.0.1.1 nas.lan"), "10.0.1.50\n", "for the host itself too");

    // Files are followed: written anew, put in their place, and in the end without any server.
    host.file("hosts", "10.0.1.51 nas\n");
    eventually(|| dig(&machine, "@10.0.1.1 nas") == "10.0.1.51\n");
    let next = host.file("resolv.new", "nameserver 127.0.0.1\n");
    std::fs::rename(next, &resolv).expect("the same folder");
    eventually(|| dig(&machine, "@10.0.1.1 other.world.example").is_empty());
    let next = host.file("resolv.new", format!("nameserver {UPSTREAM}\n"));
    std::fs::rename(next, &resolv).expect("the same folder");
    eventually(|| dig(&machine, "@10.0.1.1 third.world.example") == "192.0.2.7\n");

    // The name goes with its lease.
    client.release();
    server.next(|step| matches!(step, Step::DhcpRelease { .. }).then_some(()));
    eventually(|| dig(&host.network, "@10.0.1.1 box.lan").is_empty());
    let mut client = Udhcpc::start(&other, "-x hostname:box");
    let second: Ipv4Addr = client.told("bound");
    assert_eq!(dig(&other, "@10.0.1.1 box.lan"), format!("{second}\n"), "and comes with another");
    server.stop();
}

#[test]
fn who_asks_by_an_interface_that_is_not_served_gets_no_answer() {
    let host = Host::new();
    let _inside = host.network.neighbour("port0");
    let outside = host.network.neighbour("up0");
    host.network.run("ip address add 10.9.0.1/24 dev up0");
    outside.run("ip address add 10.9.0.2/24 dev eth0");
    outside.run("ip route add default via 10.9.0.1");
    let _server = host.up("--bridge net=10.0.1.1/24 --port port0");
    let answered = |network: &Network, wait: u32| {
        let asks = network.command(&format!("dig +tries=1 +time={wait} @10.0.1.1 nobody.lan"));
        Program::start(asks).finish().status.success()
    };
    assert!(answered(&host.network, 30) && !answered(&outside, 1));
}

#[test]
fn the_dialect_answers_at_addresses_that_come_later_and_reads_again_on_sighup() {
    let site = Site::new("net", "10.0.1.1/24");
    let _world = World::beside(&site.host);
    let resolv = site.host.file("resolv.conf", format!("nameserver {UPSTREAM}\n"));
    let hosts = site.host.file("hosts", "10.0.1.50 nas\n");
    let options = format!(
        "--conf-file= --interface=net --interface=late --dhcp-range=10.0.1.2,10.0.1.254 --resolv-file={} --no-hosts \
         --addn-hosts={} --domain=lan --expand-hosts --user=root -x {} --dhcp-leasefile={}",
        resolv.display(),
        hosts.display(),
        site.path("pid").display(),
        site.path("leases").display()
    );
    let server = site.start_with(&options, "pid");
    let machine = &site.machine;
    let mut client = Udhcpc::start(machine, "-x hostname:box");
    let address = client.told("bound");
    assert_eq!(dig(machine, "@10.0.1.1 box.lan"), format!("{address}\n"));
    assert_eq!(dig(machine, &format!("@10.0.1.1 -x {address}")), "box.lan.\n");
    assert_eq!(dig(machine, "@10.0.1.1 up.world.example"), "192.0.2.7\n");
    assert_eq!(dig(machine, "@10.0.1.1 nas.lan"), "10.0.1.50\n");
    assert_eq!(dig(&site.host.network, "@127.0.0.1 nas.lan"), "10.0.1.50\n", "on the loopback too");

    site.host.network.run("ip link add late type bridge");
    site.host.network.run("ip address add 10.0.7.1/24 dev late");
    site.host.network.run("ip link set late up");
    eventually(|| dig(&site.host.network, "@10.0.7.1 nas.lan") == "10.0.1.50\n");

    site.host.file("hosts", "10.0.1.51 nas\n");
    server.reload();
    eventually(|| dig(machine, "@10.0.1.1 nas.lan") == "10.0.1.51\n");
    server.stop();
}
