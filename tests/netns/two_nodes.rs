//! Two lanboots on one network with their leases in one PostgreSQL: machines do not notice when one of them dies.

use std::net::Ipv4Addr;
use std::process::Command;

use journal::Step;

use crate::clients::{Dhclient, Udhcpc};
use crate::harness::{Folder, Host, Network, Server, eventually, of_ours};
use crate::server::Server as Postgres;

/// A wire with several computers on it, none of which holds it together.
struct Wire(Network);

impl Wire {
    fn new() -> Wire {
        let switch = Network::new();
        switch.run("ip link add wire type bridge");
        switch.run("ip link set dev wire up");
        Wire(switch)
    }

    fn computer(&self, port: &str) -> Network {
        let computer = self.0.neighbour(port);
        self.0.run(&format!("ip link set dev {port} master wire"));
        computer
    }

    fn host(&self, port: &str) -> Host {
        Host { network: self.computer(port), folder: Folder::new() }
    }
}

/// Starts a node. It looks for other DHCP servers, and takes none that shares its leases for a stranger.
fn node(host: &Host, address: Ipv4Addr, database: &Postgres) -> Server {
    let url = database.url("owner", "leases");
    host.up_carefully(&format!("--interface eth0 --address {address}/24 --range 10.0.1.100-10.0.1.199 --leases {url}"))
}

/// What any computer lists as leased.
fn leased(database: &Postgres) -> Vec<(Ipv4Addr, String)> {
    let program = env!("CARGO_BIN_EXE_lanboot");
    let listing =
        Command::new(program).args(["leases", "--json", "--database", &database.url("owner", "leases")]).output();
    let listing = String::from_utf8(listing.unwrap().stdout).unwrap();
    let record = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let lease = |record: serde_json::Value| {
        let mac = record["state"]["bound"]["mac"].as_str()?.to_owned();
        Some((record["address"].as_str()?.parse().unwrap(), mac))
    };
    listing.lines().map(record).filter_map(lease).collect()
}

fn refused(step: &Step) -> Option<()> {
    matches!(step, Step::Warning { text, .. } if text.contains("no new lease is given out: the lease database"))
        .then_some(())
}

#[test]
fn machines_renew_with_the_other_node_when_one_is_killed_and_wait_while_the_database_is_gone() {
    let mut database = Postgres::start();
    database.sql("postgres", "create database leases");
    let wire = Wire::new();
    let hosts = [wire.host("p1"), wire.host("p2")];
    let machines: Vec<Network> = (3..7).map(|port| wire.computer(&format!("p{port}"))).collect();
    let asker = wire.computer("p9");
    asker.run("ip address add 10.0.1.90/24 dev eth0");

    // Only the first is there, so that it gives this lease.
    let first = node(&hosts[0], Ipv4Addr::new(10, 0, 1, 1), &database);
    let mut rack = Udhcpc::start(&machines[0], "-x hostname:rack-1");
    let racks = rack.told("bound");
    let mut second = node(&hosts[1], Ipv4Addr::new(10, 0, 1, 2), &database);
    let name_of = |server| asker.run(&format!("dig +short @10.0.1.{server} rack-1")).trim().to_owned();
    eventually(|| name_of(2) == racks.to_string());

    // Whichever of the two it takes, both know of it.
    let folder = Folder::new();
    let mut system = Dhclient::start(&machines[1], &folder.0);
    let systems = system.told("BOUND");
    assert_ne!(systems, racks);

    first.kill();
    assert_eq!(rack.renew(), racks, "it asks everybody when who gave the lease is silent");
    drop(system);
    let mut system = Dhclient::start(&machines[1], &folder.0);
    assert_eq!(system.told("REBOOT"), systems);
    let (newcomer, newcomers) = Udhcpc::bound(&machines[2]);
    let mut expected = [(racks, &machines[0]), (systems, &machines[1]), (newcomers, &machines[2])]
        .map(|(a, m)| (a, m.mac("eth0").to_string()));
    expected.sort();
    assert_eq!(leased(&database), expected);

    database.kill();
    let hopeful = Udhcpc::start(&machines[3], "");
    second.next(refused);
    drop(hopeful);
    database.start_again();
    // It ends with success once it was given an address.
    let asks = format!("udhcpc -f -n -q -t 3 -T 1 -i eth0 -s {}", of_ours("udhcpc.sh").display());
    eventually(|| machines[3].command(&asks).output().is_ok_and(|done| done.status.success()));
    let late = machines[3].mac("eth0").to_string();
    let lates = leased(&database).into_iter().find(|(_, mac)| *mac == late).expect("it was given one");
    assert!(expected.iter().all(|(address, _)| *address != lates.0));

    newcomer.release();
    eventually(|| leased(&database).iter().all(|(address, _)| *address != newcomers));
    second.stop();
}

#[test]
fn a_database_that_cannot_be_used_is_told_and_nothing_is_changed() {
    let host = Host::new();
    for command in ["up", "check"] {
        let url = "postgresql://lb@/leases?host=/nowhere";
        let told = host.refuses(&format!("{command} --bridge net=10.0.1.1/24 --leases {url}"));
        assert!(told.contains("database leases at /nowhere as lb cannot be reached"), "{told}");
        assert!(told.contains(&format!("--leases {url}")) && told.contains("fix: start PostgreSQL there"), "{told}");
    }
    let told = host.refuses("up --bridge net=10.0.1.1/24 --leases mysql://db");
    assert!(told.contains("write a URL such as postgresql://"), "{told}");
}
