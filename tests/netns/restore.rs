//! However lanboot ends, the host is afterwards what it was before.

use nix::sys::signal::Signal;

use crate::harness::{Host, Network};
use crate::snapshot::Snapshot;

const SERVE: &str =
    "--bridge net=10.0.1.1/24 --port spare0 --port spare1 --masquerade --forward tcp:up0:587=10.0.1.50:25";

/// A host with a line to the outside, somebody else's firewall and bridge, settings of every kind, and two ports to
/// spare, one of them down.
fn host_with_a_past() -> (Host, Network) {
    let host = Host::new();
    let outside = host.network.neighbour("up0");
    for (port, there) in [("spare0", "eth1"), ("spare1", "eth2"), ("theirs0", "eth3")] {
        host.network.cable(port, &outside, there);
    }
    outside.run("ip address add 10.9.0.2/24 dev eth0");
    for line in [
        "ip link set dev spare1 down",
        "ip address add 10.9.0.1/24 dev up0",
        "ip route add default via 10.9.0.2",
        "ip route add 10.66.0.0/16 via 10.9.0.2 table 66",
        "ip rule add from 10.66.0.0/16 lookup 66 priority 666",
        "ip link add theirs type bridge",
        "ip link set dev theirs0 master theirs",
        "ip link set dev theirs up",
        "nft add table inet theirs",
        "nft add chain inet theirs forward { type filter hook forward priority 0; policy accept; }",
        "nft add rule inet theirs forward ct state established accept",
        "sysctl -q -w net.ipv4.ip_forward=0",
        "sysctl -q -w net.ipv4.conf.all.accept_redirects=0",
        "sysctl -q -w net.ipv4.conf.up0.forwarding=1",
        "sysctl -q -w net.ipv4.conf.spare0.send_redirects=0",
        "sysctl -q -w net.ipv4.conf.lo.forwarding=1",
    ] {
        host.network.run(line);
    }
    (host, outside)
}

/// That something was changed at all.
fn assert_changed(host: &Host) {
    assert!(host.network.run("ip -br address show net").contains("10.0.1.1/24"));
    assert!(host.network.run("ip -br link show master net").contains("spare1"));
    assert!(!host.records().is_empty());
}

#[test]
fn after_sigterm_ctrl_c_or_a_lost_terminal_the_host_is_byte_for_byte_what_it_was() {
    let (host, _outside) = host_with_a_past();
    let before = Snapshot::of(&host.network);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let server = host.up(SERVE);
        assert_changed(&host);
        assert!(host.network.run("nft list ruleset").contains("masquerade"));
        assert_eq!(host.network.run("sysctl -n net.ipv4.ip_forward"), "1\n");
        server.stop_by(signal);
        before.assert_same(&host.network);
        assert_eq!(host.records(), [""; 0]);
    }
}

#[test]
fn after_kill_9_and_down_the_host_is_byte_for_byte_what_it_was() {
    let (host, _outside) = host_with_a_past();
    let before = Snapshot::of(&host.network);
    host.up(SERVE).kill();
    assert_changed(&host);
    assert!(!host.network.run("nft list ruleset").contains("masquerade"), "the kernel takes the table with its owner");
    let down = host.finish("down");
    assert_eq!(down.status.code(), Some(0), "{}", down.err);
    assert!(down.out.contains("deleted bridge net"), "{}", down.out);
    before.assert_same(&host.network);
    assert_eq!(host.records(), [""; 0]);
    let again = host.finish("down");
    assert_eq!(again.status.code(), Some(0));
    assert!(again.out.starts_with("nothing to put back: "), "{}", again.out);
}

#[test]
fn a_second_up_takes_over_from_a_killed_one_and_puts_back_for_both() {
    let (host, _outside) = host_with_a_past();
    let before = Snapshot::of(&host.network);
    host.up(SERVE).kill();
    let kept = host.network.run("ip -o link show net");
    let server = host.up(SERVE);
    assert_eq!(host.network.run("ip -o link show net"), kept, "machines keep their link");
    assert_changed(&host);
    server.stop();
    before.assert_same(&host.network);

    // The same when the second one is killed as well, and when the third wants another network.
    host.up(SERVE).kill();
    host.up(SERVE).kill();
    let server = host.up("--bridge lan=10.0.2.1/24 --port spare1");
    assert!(!host.network.run("ip -br link").contains("\nnet "), "what the killed ones made is gone");
    server.stop();
    before.assert_same(&host.network);
    assert_eq!(host.records(), [""; 0]);
}

#[test]
fn down_leaves_a_running_lanboot_alone() {
    let (host, _outside) = host_with_a_past();
    let before = Snapshot::of(&host.network);
    let server = host.up(SERVE);
    let running = Snapshot::of(&host.network);
    let down = host.finish("down");
    assert_eq!(down.status.code(), Some(1), "{}", down.out);
    assert!(down.err.contains("is serving"), "{}", down.err);
    running.assert_same(&host.network);
    server.stop();
    before.assert_same(&host.network);
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let (host, _outside) = host_with_a_past();
    let before = Snapshot::of(&host.network);
    let run = host.finish(&format!("up {SERVE} --dry-run"));
    assert_eq!(run.status.code(), Some(0), "{}", run.err);
    for step in [
        "make bridge net",
        "put spare0 into net",
        "put spare1 into net",
        "bring spare1 up",
        "give net 10.0.1.1/24",
        "masquerade 10.0.1.0/24",
        "forward TCP port 587 on up0 to 10.0.1.50:25",
        "turn on IPv4 forwarding",
    ] {
        assert!(run.out.contains(step), "{step}: {}", run.out);
    }
    before.assert_same(&host.network);
    assert!(!host.state().exists(), "not even a state folder");
}

#[test]
fn a_run_that_fails_after_the_network_was_made_puts_it_back() {
    let (host, _outside) = host_with_a_past();
    std::fs::create_dir_all(host.state()).expect("a state folder");
    std::fs::write(host.state().join("leases.log"), "not a log of leases").expect("room");
    let told = host.refuses(&format!("up {SERVE} --force"));
    assert!(told.contains("leases.log"), "{told}");

    let journal = host.state().join("journal.jsonl");
    std::fs::remove_file(&journal).expect("it was begun");
    std::fs::create_dir(&journal).expect("what cannot be written to");
    let told = host.refuses(&format!("up {SERVE} --force"));
    assert!(told.contains("journal.jsonl"), "{told}");
}
