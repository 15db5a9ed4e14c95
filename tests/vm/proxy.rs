//! Machines that boot beside another DHCP server: dnsmasq gives the addresses, lanboot the boot files (proxyDHCP).

use std::fs;
use std::process::{Child, Command, Stdio};

use lab::{Firmware, Namespace, VmReport, VmSpec};

use crate::beside_others;
use crate::scene::{GUEST_IS_UP, Scene, copy, copy_guest, within, write};

/// Another host on the wire, on which a dnsmasq gives addresses and nothing else.
struct Rival {
    _network: Namespace,
    child: Child,
}

impl Rival {
    fn start(scene: &Scene) -> Rival {
        let network = Namespace::new().expect("these tests make networks of their own");
        let peer = network.path();
        scene.run(&format!("ip link add rival type veth peer name eth0 netns {}", peer.display()));
        scene.run("ip link set rival master net up");
        let run = |mut command: Command| assert!(command.status().expect("it starts").success());
        for line in ["address add 10.0.1.9/24 dev eth0", "link set eth0 up"] {
            let mut command = network.command("ip");
            command.args(line.split(' '));
            run(command);
        }
        let (pid, leases) = (scene.folder.join("rival.pid"), scene.folder.join("rival.leases"));
        let line = format!(
            "--keep-in-foreground --conf-file= --port=0 --bind-interfaces --interface=eth0 --user=root \
             --dhcp-range=10.0.1.100,10.0.1.150,1h --dhcp-authoritative --log-facility=- --log-dhcp \
             --pid-file={} --dhcp-leasefile={}",
            pid.display(),
            leases.display()
        );
        let log = fs::File::create(scene.folder.join("rival.log")).expect("room for a log");
        let mut command = network.command("/usr/sbin/dnsmasq");
        command.args(line.split_whitespace()).stdin(Stdio::null()).stderr(log);
        let child = command.spawn().expect("dnsmasq starts");
        within(|| pid.exists(), "dnsmasq serves");
        Rival { _network: network, child }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Boots one machine with its address from the rival, and everything else by these options.
fn boot(scene: &Scene, firmware: Firmware, options: &str) -> VmReport {
    let _turn = beside_others();
    let rival = Rival::start(scene);
    let files = format!(
        "--tftp-root={} --dhcp-leasefile={}",
        scene.folder.join("tftp").display(),
        scene.folder.join("leases").display()
    );
    let daemon = scene.serve(&format!(
        "--conf-file= --port=0 --interface=net --dhcp-range=10.0.1.0,proxy --enable-tftp {options} {files}"
    ));
    let vm = scene.boot(vec![VmSpec::new(firmware, 1)], GUEST_IS_UP).remove(0);
    daemon.stop();
    drop(rival);
    let serial = fs::read(vm.folder.join("serial.log")).expect("it spoke");
    let serial = String::from_utf8_lossy(&serial);
    assert!(serial.contains(&format!("{GUEST_IS_UP} 10.0.1.1")), "an address of the rival's: {serial}");
    let leases = fs::read_to_string(scene.folder.join("leases")).unwrap_or_default();
    assert_eq!(leases, "", "we have given out none");
    vm
}

#[test]
fn bios_boots_beside_a_dnsmasq_that_gives_only_addresses() {
    let scene = Scene::new("proxy-bios").with_pxelinux();
    boot(&scene, Firmware::Bios, "--pxe-service=x86PC,guest,pxelinux.0");
}

/// By way of iPXE: behind a shim, GRUB asks the server that gave the address for its files, and that one has none.
#[test]
fn uefi_boots_beside_a_dnsmasq_that_gives_only_addresses() {
    let scene = Scene::new("proxy-uefi");
    let tftp = scene.folder.join("tftp");
    copy_guest(&tftp);
    copy("/usr/lib/ipxe/snponly.efi".as_ref(), &tftp.join("snponly.efi"));
    write(&tftp.join("boot.ipxe"), "#!ipxe\nkernel vmlinuz initrd=initrd.img console=ttyS0\ninitrd initrd.img\nboot\n");
    boot(
        &scene,
        Firmware::UefiX64,
        "--dhcp-userclass=set:ipxe,iPXE --pxe-service=tag:!ipxe,x86-64_EFI,guest,snponly.efi \
         --dhcp-boot=tag:ipxe,boot.ipxe",
    );
}
