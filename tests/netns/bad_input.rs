//! Whatever is wrong is told with its place and its remedy, and nothing is changed.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::harness::{Finished, Host, Program};
use crate::snapshot::Snapshot;

const NETWORK: &str = "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\n";
const BRIDGE: &str = "--bridge net=10.0.1.1/24";

/// A file that is wrong, and what must be said of it.
fn assert_told(rest: &str, expected: &[&str]) {
    let host = Host::new();
    let config = host.file("lanboot.toml", format!("{NETWORK}{rest}"));
    for command in ["up", "up --dry-run", "check"] {
        let told = host.refuses(&format!("{command} -c {}", config.display()));
        for text in expected {
            assert!(told.contains(text), "{command}: {text}\n{told}");
        }
    }
    assert!(!host.state().exists(), "not even a state folder");
}

#[test]
fn an_unknown_key_is_told_with_line_column_and_the_right_name() {
    assert_told(
        "[dhcp]\nranges = \"10.0.1.20-10.0.1.30\"\n",
        &["unknown key `ranges` in [dhcp]", "lanboot.toml:5:1", "fix: did you mean `range`"],
    );
}

#[test]
fn a_range_outside_the_subnet_is_told() {
    assert_told(
        "[dhcp]\nrange = \"10.0.2.20-10.0.2.30\"\n",
        &[
            "the range 10.0.2.20-10.0.2.30 lies outside the subnet 10.0.1.0/24",
            "lanboot.toml:5:9",
            "such as 10.0.1.100",
        ],
    );
    let told = Host::new().refuses(&format!("up {BRIDGE} --range 10.0.1.20-10.0.2.30"));
    assert!(told.contains("the range ends at 10.0.2.30, outside the subnet 10.0.1.0/24"), "{told}");
    assert!(told.contains("at --range 10.0.1.20-10.0.2.30"), "{told}");
}

#[test]
fn overlapping_reservations_are_told() {
    assert_told(
        "[[machine]]\nmac = \"52:54:00:00:00:01\"\naddress = \"10.0.1.50\"\n\
         [[machine]]\nmac = \"52:54:00:00:00:02\"\naddress = \"10.0.1.50\"\n",
        &["two machines have the address 10.0.1.50", "lanboot.toml:9:11", "the first", "an address of its own"],
    );
}

#[test]
fn a_missing_file_is_told() {
    assert_told("[boot]\nkernel = \"vmlinuz\"\n", &["vmlinuz does not exist", "lanboot.toml:5:10", "fix: "]);
    let told = Host::new().refuses(&format!("up {BRIDGE} --tftp-root /nowhere"));
    assert!(told.contains("/nowhere does not exist") && told.contains("at --tftp-root /nowhere"), "{told}");
    let told = Host::new().refuses("up -c /nowhere/lanboot.toml");
    assert!(told.contains("/nowhere/lanboot.toml"), "{told}");
}

#[test]
fn a_missing_interface_is_told() {
    let host = Host::new();
    let _other = host.network.neighbour("port0");
    let told = host.refuses("up --interface prt0 --address 10.0.1.1/24");
    assert!(told.contains("there is no interface prt0 here") && told.contains("port0"), "{told}");
    let told = host.refuses(&format!("up {BRIDGE} --port prt0"));
    assert!(told.contains("prt0") && told.contains("port0") && told.contains("at --bridge net=10.0.1.1/24"), "{told}");
    let told = host.refuses("up --interface port0");
    assert!(told.contains("port0 has no IPv4 address") && told.contains("at --interface port0"), "{told}");
}

#[test]
fn a_missing_right_is_told() {
    let host = Host::new();
    let _other = host.network.neighbour("port0");
    host.network.run("ip address add 10.0.1.1/24 dev port0");
    let before = Snapshot::of(&host.network);
    for (arguments, what) in [
        ("up --bridge net=10.0.2.1/24", "this process lacks CAP_NET_ADMIN"),
        ("up --bridge net=10.0.2.1/24 --no-dhcp", "changing the host's network needs the right CAP_NET_ADMIN"),
        // Nothing there needs to be changed.
        ("up --interface port0", "this process lacks CAP_NET_ADMIN"),
        ("check --interface port0", "this process lacks CAP_NET_ADMIN"),
    ] {
        let Finished { status, out, err } = Program::start(as_nobody(&host, arguments)).finish();
        assert_eq!(status.code(), Some(1), "{out}{err}");
        assert!(err.contains(what) && err.contains("fix: run it as root (sudo)"), "{arguments}: {err}");
        before.assert_same(&host.network);
    }
}

/// The program, run by a user who may do nothing.
fn as_nobody(host: &Host, arguments: &str) -> Command {
    let lanboot = host.lanboot(arguments);
    let mut command = host.network.command(
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all /proc/self/fd/0",
    );
    // By its descriptor: nobody may perhaps not look into the folder that it lies in.
    command.stdin(File::open(lanboot.get_program()).expect("built before its tests"));
    command.args(lanboot.get_args());
    command
}

#[test]
fn a_taken_port_is_told_with_who_holds_it() {
    let host = Host::new();
    let tftp = host.network.command(
        "dnsmasq --no-daemon --port=0 --conf-file=/dev/null --pid-file= --user=root --enable-tftp --tftp-root=/usr",
    );
    let root = host.folder.0.display().to_string();
    host.file("pxelinux.0", "a loader");
    let mut tftp = Program::start(tftp);
    tftp.next_complaint(|line| line.contains("TFTP root is /usr").then_some(()));
    let http = host.network.inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).expect("nobody else is here"));
    for command in ["up", "check"] {
        let told = host.refuses(&format!("{command} {BRIDGE} --tftp-root {root}"));
        let holder = format!("UDP port 69 on 10.0.1.1 is held by dnsmasq (pid {})", tftp.pid());
        assert!(told.contains(&holder) && told.contains(&format!("kill {}", tftp.pid())), "{told}");
        assert!(told.contains("--no-tftp"), "{told}");
        let holder = format!("(pid {})", std::process::id());
        assert!(told.contains("TCP port 80 on 10.0.1.1 is held by ") && told.contains(&holder), "{told}");
        assert!(told.contains("--http-port 8080"), "{told}");
    }
    drop((tftp, http));
    host.up(BRIDGE).stop();
}

#[test]
fn in_dnsmasqs_place_a_taken_port_is_told_in_its_words_whatever_interface_it_is_on() {
    let host = Host::new();
    for (number, name) in ["net", "other"].into_iter().enumerate() {
        host.network.run(&format!("ip link add {name} type bridge"));
        host.network.run(&format!("ip address add 10.0.{number}.1/24 dev {name}"));
        host.network.run(&format!("ip link set {name} up"));
    }
    let holder = host.network.command(
        "dnsmasq --no-daemon --port=0 --conf-file=/dev/null --pid-file= --user=root --interface=other --bind-interfaces \
         --enable-tftp --tftp-root=/usr",
    );
    let mut holder = Program::start(holder);
    holder.next_complaint(|line| line.contains("TFTP root is /usr").then_some(()));
    let options = "-k --conf-file= --port=0 --interface=net --interface=other --bind-interfaces --enable-tftp \
                   --tftp-root=/usr --pid-file=";
    let line = format!(
        "{} dnsmasq {options} --dhcp-leasefile={}/leases",
        env!("CARGO_BIN_EXE_lanboot"),
        host.folder.0.display()
    );
    let Finished { status, err: told, .. } = Program::start(host.network.command(&line)).finish();
    assert_eq!(status.code(), Some(2), "{told}");
    let wanted = format!("UDP port 69 on 10.0.1.1 is held by dnsmasq (pid {})", holder.pid());
    assert!(told.contains(&wanted) && told.contains("leave out enable-tftp"), "{told}");
    assert!(!told.contains("--no-tftp"), "{told}");
}

#[test]
fn a_second_lanboot_is_told_of_the_first() {
    let host = Host::new();
    let server = host.up(BRIDGE);
    let records = host.records();
    let before = Snapshot::of(&host.network);
    let second = host.finish(&format!("up {BRIDGE}"));
    assert_eq!(second.status.code(), Some(1), "{}", second.out);
    let first = format!("lanboot (pid {}) serves net already", server.0.pid());
    assert!(second.err.contains(&first) && second.err.contains("fix: stop that one first"), "{}", second.err);
    before.assert_same(&host.network);
    assert_eq!(host.records(), records);
    server.stop();
}
