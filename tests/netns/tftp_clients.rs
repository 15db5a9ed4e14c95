//! Files by TFTP, from one computer to another, with the clients that people have.

use std::fs;

use crate::harness::{Host, Network};

const MIB: usize = 1 << 20;
const SIZES: [usize; 5] = [0, 1, 511, 512, MIB];
const LARGE: usize = 100 * MIB;

const TFTP_HPA: &str = "tftp -m binary 10.0.1.1 -c get FILE LOCAL";
const ATFTP: &str = "atftp -g -r FILE -l LOCAL 10.0.1.1";
const CURL: &str = "curl -sS --tftp-blksize 1468 -o LOCAL tftp://10.0.1.1/FILE";
const BUSYBOX: &str = "busybox tftp -b 1468 -g -r FILE -l LOCAL 10.0.1.1";
const CLIENTS: [&str; 4] = [TFTP_HPA, ATFTP, CURL, BUSYBOX];
const INTERFACE: &str = "--interface port0 --address 10.0.1.1/24";

#[test]
fn tftp_hpa_fetches_every_size_to_the_octet() {
    fetch(TFTP_HPA, "--bridge net=10.0.1.1/24 --port port0");
}

#[test]
fn atftp_fetches_every_size_to_the_octet() {
    fetch(ATFTP, "--bridge net=10.0.1.1/24 --port port0");
}

#[test]
fn curl_fetches_every_size_by_tftp_to_the_octet() {
    fetch(CURL, INTERFACE);
}

#[test]
fn busybox_fetches_every_size_to_the_octet() {
    fetch(BUSYBOX, "--bridge net=10.0.1.1/24 --port port0");
}

#[test]
fn every_client_fetches_through_a_firewall_that_knows_one_port() {
    for client in CLIENTS {
        fetch_through("single_port = true", "69", client);
    }
}

#[test]
fn every_client_fetches_through_a_firewall_that_knows_a_range_of_ports() {
    for client in CLIENTS {
        // The answer to a request comes from the range as well.
        fetch_through("port_range = \"50000-50001\"", "50000-50001", client);
    }
}

/// `ports`: those of the server that the client's firewall lets through.
fn fetch_through(setting: &str, ports: &str, client: &str) {
    let (host, computer) = host_and_computer();
    let wall = format!("type filter hook input priority 0\niifname eth0 ip protocol udp udp sport != {ports} drop\n");
    let rules = format!("table ip wall {{\nchain input {{\n{wall}}}\n}}\n");
    let rules = host.file("rules", rules);
    computer.run(&format!("nft -f {}", rules.display()));
    let config = host.file("lanboot.toml", format!("[tftp]\n{setting}\n"));
    serve_and_fetch(&host, &computer, client, &format!("--config {} {INTERFACE}", config.display()), 2 * MIB);
}

/// Lets a client fetch files of all sizes. In its line, FILE is what it asks for, and LOCAL where it shall go.
pub fn fetch(client: &str, serve: &str) {
    let (host, computer) = host_and_computer();
    serve_and_fetch(&host, &computer, client, serve, LARGE);
}

fn host_and_computer() -> (Host, Network) {
    let host = Host::new();
    let computer = host.network.neighbour("port0");
    computer.run("ip address add 10.0.1.9/24 dev eth0");
    (host, computer)
}

fn serve_and_fetch(host: &Host, computer: &Network, client: &str, serve: &str, largest: usize) {
    let served = host.folder.0.join("served");
    fs::create_dir(&served).expect("a new folder");
    host.folder.fill("served/file", 1);
    let _server = host.up(&format!("{serve} --no-dhcp --tftp-root {} --boot-file file", served.display()));
    for octets in SIZES.into_iter().chain([largest]) {
        let content = host.folder.fill("served/file", octets);
        let fetched = fetch_one(host, computer, client);
        assert!(fetched == content, "{client}: {} octets came, {octets} were sent", fetched.len());
    }
}

fn fetch_one(host: &Host, computer: &Network, client: &str) -> Vec<u8> {
    let local = host.folder.0.join("fetched");
    computer.run(&client.replace("FILE", "file").replace("LOCAL", &local.display().to_string()));
    // curl makes no file for nothing.
    let fetched = fs::read(&local).unwrap_or_default();
    let _ = fs::remove_file(local);
    fetched
}
