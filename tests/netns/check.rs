//! `lanboot check`: all that is wrong, at once, and nothing changed.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::harness::{Host, Program};
use crate::snapshot::Snapshot;

const BRIDGE: &str = "--bridge net=10.0.1.1/24";

#[test]
fn a_good_setup_passes_and_is_only_looked_at() {
    let host = Host::new();
    host.file("pxelinux.0", "a loader");
    let before = Snapshot::of(&host.network);
    let arguments = format!("check {BRIDGE} --masquerade --tftp-root {}", host.folder.0.display());
    let check = host.finish(&arguments);
    assert_eq!(check.status.code(), Some(0), "{}", check.err);
    assert!(check.out.contains("`lanboot up` with the same arguments will serve"), "{}", check.out);
    assert!(!check.err.contains("error: "), "{}", check.err);
    before.assert_same(&host.network);
    assert!(!host.state().exists(), "not even a state folder");
}

#[test]
fn a_route_that_clashes_is_found() {
    let host = Host::new();
    let _other = host.network.neighbour("up0");
    host.network.run("ip address add 10.0.1.77/25 dev up0");
    let told = host.refuses(&format!("check {BRIDGE}"));
    assert!(told.contains("10.0.1.1/24 on net clashes with 10.0.1.0/25 on up0"), "{told}");
    assert!(told.contains("choose a subnet that is free"), "{told}");
}

#[test]
fn several_problems_are_found_at_once() {
    let host = Host::new();
    let _other = host.network.neighbour("up0");
    host.network.run("ip address add 10.0.1.77/24 dev up0");
    let _taken = host.network.inside(|| {
        let nobody_else = "nobody else is here";
        let udp = [67, 69].map(|port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect(nobody_else));
        (udp, TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).expect(nobody_else))
    });
    let check = host.finish(&format!("check {BRIDGE} --port gone0"));
    assert_eq!(check.status.code(), Some(1));
    for problem in ["clashes with", "gone0", "UDP port 67", "UDP port 69", "TCP port 80"] {
        assert!(check.err.contains(problem), "{problem}: {}", check.err);
    }
    assert!(check.out.contains("5 problems keep `lanboot up` from serving"), "{}", check.out);

    let config = "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\ngateway = \"10.0.1.1\"\n\
                  [dhcp]\nrange = \"10.0.9.1-10.0.9.2\"\nlease = \"soon\"\n[boot]\nkernel = \"vmlinuz\"\n";
    let config = host.file("lanboot.toml", config);
    let told = host.refuses(&format!("check -c {}", config.display()));
    for place in ["lanboot.toml:4:1", "lanboot.toml:6:9", "lanboot.toml:7:9", "lanboot.toml:9:10"] {
        assert!(told.contains(place), "{place}: {told}");
    }
}

#[test]
fn a_boot_file_that_some_machines_cannot_run_is_warned_of() {
    let host = Host::new();
    for folder in ["tree", "ipxe"] {
        std::fs::create_dir(host.folder.0.join(folder)).expect("room for a folder");
    }
    for name in ["tree/pxelinux.0", "ipxe/undionly.kpxe", "ipxe/snponly.efi"] {
        host.file(name, "a loader");
    }
    let folder = host.folder.0.display().to_string();
    let tree = format!("check --bridge net=10.0.1.1/24 --tftp-root {folder}/tree --ipxe {folder}/ipxe");
    let warned = host.finish(&format!("{tree} --boot-file pxelinux.0"));
    assert_eq!(warned.status.code(), Some(0), "{}", warned.err);
    assert!(warned.err.contains("machines of uefi-x64 would be given pxelinux.0"), "{}", warned.err);
    assert!(warned.err.contains("at --boot-file pxelinux.0") && warned.err.contains("boot.files.uefi-x64"));
    let found = host.finish(&tree);
    assert!(!found.err.contains("would be given"), "found in the tree, it is for BIOS alone: {}", found.err);
}

#[test]
fn an_interface_that_nothing_can_boot_from_is_told_before_anything_is_changed() {
    let host = Host::new();
    host.network.run("ip link set dev lo up");
    for command in ["check", "up"] {
        let told = host.refuses(&format!("{command} --interface lo --address 10.3.0.1/24"));
        assert!(told.contains("lo is not an Ethernet interface") && told.contains("at --interface lo"), "{told}");
    }
}

/// Rules that give BIOS and UEFI different files, asked about without a packet on any wire.
#[test]
fn rules_are_explained_for_a_machine() {
    let host = Host::new();
    let rules = "--conf-file= --interface=net --dhcp-range=10.0.1.200,10.0.1.253 --dhcp-match=set:efi,93,7 \
                 --dhcp-boot=pxelinux.0,boot,10.0.1.9 --dhcp-boot=tag:efi,grubx64.efi --dhcp-ignore=tag:net,tag:!iPXE \
                 --dhcp-userclass=set:iPXE,iPXE";
    let told = |arch: &str, rules: &str| {
        let program = env!("CARGO_BIN_EXE_lanboot");
        let line = format!("{program} explain --mac 52:54:00:00:00:01 --arch {arch} -- dnsmasq {rules}");
        Program::start(host.network.command(&line)).finish().out
    };
    let out = told("uefi-x64", rules);
    assert!(out.contains("its firmware asks for an address: no answer\n  because a dhcp-ignore rule holds"), "{out}");
    assert!(out.contains("iPXE asks for an address: 10.0.1."), "{out}");
    assert!(out.contains("boot file grubx64.efi\n  because of dnsmasq rules with the tags"), "{out}");
    let out = told("bios", &rules.replace("--dhcp-ignore=tag:net,tag:!iPXE", ""));
    assert!(out.contains("next server           10.0.1.9") && out.contains("pxelinux.0"), "{out}");
}
