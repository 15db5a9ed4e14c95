//! Machines that boot by dnsmasq's options alone: the guide's command lines, UEFI with and without Secure Boot, arm64.

use std::fs;
use std::path::Path;

use lab::{Firmware, Kernel, VmReport, VmSpec};
use nix::sys::signal::Signal;

use crate::scene::{
    Daemon, Folder, GUEST_IS_UP, INSTALLER, INSTALLER_ARM64, Scene, copy, copy_guest, guest, within, write,
};
use crate::{Lab, beside_others};

/// The guide's lines without the files that they name, which lie in the test's own folder.
const BY_HAND: &str = "--strict-order --bind-interfaces --conf-file= --listen-address 10.0.1.1 \
    --dhcp-range 10.0.1.2,10.0.1.254 --dhcp-lease-max=253 --dhcp-no-override --except-interface=lo --interface=net \
    --dhcp-sequential-ip --dhcp-authoritative";
const WITH_BOOT_FILES: &str = "--enable-tftp --dhcp-match=set:IPXEBOOT,175 --dhcp-option=tag:!IPXEBOOT,67,undionly.kpxe --dhcp-option=67,pxelinux.0";

/// The lease file after a boot: one line, of this machine and address, for so long.
fn assert_lease(file: &Path, vm: &VmReport, address: &str, lease_secs: u64) {
    let read = || fs::read_to_string(file).unwrap_or_default();
    within(|| read().lines().count() == 1, "one lease in the file");
    let text = read();
    let fields: Vec<_> = text.trim_end().split(' ').collect();
    // The guest gives no name; its identifier is of Ethernet (1) and its address.
    assert_eq!(fields[1..], [&vm.mac.to_string(), address, "*", &format!("01:{}", vm.mac)], "{text}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let left = fields[0].parse::<u64>().expect("when it ends").saturating_sub(now);
    assert!((lease_secs - 300..=lease_secs).contains(&left), "{text}: {left} s left");
}

/// What the guide's user finds around a machine that has booted: the files, and what the signals do.
fn assert_behaves(daemon: Daemon, leases: &Path, vm: &VmReport, address: &str, lease_secs: u64) {
    assert_lease(leases, vm, address, lease_secs);
    let serial = fs::read(vm.folder.join("serial.log")).expect("it spoke");
    assert!(String::from_utf8_lossy(&serial).contains(&format!("{GUEST_IS_UP} {address}")), "one address all along");
    daemon.stop();
    assert_lease(leases, vm, address, lease_secs);
}

#[test]
fn the_guides_first_line_boots_a_kernel() {
    let _turn = beside_others();
    let scene = Scene::new("guide-1").with_pxelinux();
    let path = |name: &str| scene.folder.join(name);
    fs::create_dir(path("d")).expect("a new folder");
    let conf = format!(
        "interface=net\ndhcp-range=10.0.1.200,10.0.1.253,12h\ndhcp-sequential-ip\n\
         dhcp-match=set:IPXEBOOT,175 # iPXE\ndhcp-option=tag:!IPXEBOOT,67,\"undionly.kpxe\" # first\n\
         dhcp-option=67,\"pxelinux.0\"\nenable-tftp\ntftp-root={}\n",
        path("tftp").display()
    );
    write(&path("dnsmasq.conf"), &conf);
    let daemon = scene.serve(&format!(
        "-C {} -u dnsmasq -r /var/run/dnsmasq/resolv.conf -7 {},.dpkg-dist,.dpkg-old,.dpkg-new --local-service \
         --dhcp-leasefile={}",
        path("dnsmasq.conf").display(),
        path("d").display(),
        path("leases").display()
    ));
    // It reads its files again, and serves on: the machine that starts now finds it.
    daemon.signal(Signal::SIGHUP);
    let vms = scene.boot(vec![VmSpec::new(Firmware::Bios, 1)], GUEST_IS_UP);
    assert_behaves(daemon, &path("leases"), &vms[0], "10.0.1.200", 12 * 3600);
}

/// The second line serves no files: its machines have their system already, and want an address.
#[test]
fn the_guides_second_line_serves_a_machine_that_has_its_kernel() {
    let _turn = beside_others();
    let scene = Scene::new("guide-2");
    let leases = scene.folder.join("leases");
    let daemon = scene.serve(&format!("{BY_HAND} --dhcp-leasefile={}", leases.display()));
    let mut vm = VmSpec::new(Firmware::Bios, 2);
    let command_line = "console=ttyS0".to_owned();
    vm.hardware.kernel = Some(Kernel { image: guest("vmlinuz"), initrd: guest("initrd.img"), command_line });
    let vms = scene.boot(vec![vm], GUEST_IS_UP);
    assert_behaves(daemon, &leases, &vms[0], "10.0.1.2", 3600);
}

#[test]
fn the_guides_third_line_boots_a_kernel() {
    let _turn = beside_others();
    let scene = Scene::new("guide-3").with_pxelinux();
    let leases = scene.folder.join("leases");
    let files = format!("--tftp-root={} --dhcp-leasefile={}", scene.folder.join("tftp").display(), leases.display());
    let daemon = scene.serve(&format!("{BY_HAND} {WITH_BOOT_FILES} {files}"));
    let vms = scene.boot(vec![VmSpec::new(Firmware::Bios, 3)], GUEST_IS_UP);
    assert_behaves(daemon, &leases, &vms[0], "10.0.1.2", 3600);
}

/// `lanboot lab` with a dnsmasq command line. `options`: parted by blanks.
fn lab(name: &str, flags: &[&str], options: &str) -> Lab {
    let options = format!("-- /usr/sbin/dnsmasq --conf-file= --interface=net {options}");
    let args: Vec<_> = flags.iter().copied().chain(options.split_whitespace()).collect();
    Lab::run_beside_others(name, &args)
}

#[test]
fn uefi_boots_over_http_by_dnsmasqs_options() {
    let scene = Folder::new("uefi-http");
    copy_guest(&scene.0);
    let script = "#!ipxe\nkernel vmlinuz initrd=initrd.img console=ttyS0\ninitrd initrd.img\nboot\n";
    write(&scene.0.join("boot.ipxe"), script);
    // iPXE speaks of itself as a PXE client, whatever has started it.
    let lab = lab(
        "dnsmasq-http",
        &["--firmware", "uefi-http", "--expect", GUEST_IS_UP],
        &format!(
            "--dhcp-range=10.0.1.200,10.0.1.253,12h --http-root={} --dhcp-vendorclass=set:http,HTTPClient \
             --dhcp-userclass=set:ipxe,iPXE --dhcp-option-force=tag:http,60,HTTPClient \
             --dhcp-boot=tag:http,http://10.0.1.1/snponly.efi --dhcp-boot=tag:ipxe,http://10.0.1.1/boot.ipxe",
            scene.0.display()
        ),
    );
    lab.assert_passed();
    assert_eq!(lab.files("uefi-http-1", "http"), ["snponly.efi", "boot.ipxe", "vmlinuz", "initrd.img"]);
    assert_eq!(lab.addresses("uefi-http-1").len(), 1, "one address from firmware to system");
}

#[test]
fn secure_boot_goes_through_debians_shim_and_grub_to_a_signed_kernel() {
    let tree = Folder::new("uefi-secure");
    let loaders = tree.grub(INSTALLER, "amd64", "linux /vmlinuz console=ttyS0\ninitrd /initrd.img\nboot\n");
    copy_guest(&tree.0);
    // Shim looks beside itself for GRUB, and where that is it knows from the field `file` alone, not from option 67.
    let lab = lab(
        "dnsmasq-secure",
        &["--firmware", "uefi-secure", "--expect", GUEST_IS_UP],
        &format!(
            "--dhcp-range=10.0.1.200,10.0.1.253,12h --enable-tftp --tftp-root={} --dhcp-no-override \
             --dhcp-match=set:x64,option:client-arch,7 --dhcp-boot=tag:x64,debian-installer/amd64/bootnetx64.efi",
            tree.0.display()
        ),
    );
    lab.assert_passed();
    let files = lab.files("uefi-secure-1", "tftp");
    assert_eq!(files[..2], loaders, "shim, and GRUB from beside it");
    let serial = fs::read(lab.artefacts.join("uefi-secure-1/serial.log")).expect("it spoke");
    assert!(String::from_utf8_lossy(&serial).contains("secureboot: Secure boot enabled"), "the kernel was told");
}

#[test]
fn arm64_boots_through_debians_grub_to_a_kernel() {
    let tree = Folder::new("arm64");
    let kernel = "debian-installer/arm64/linux";
    let loaders = tree.grub(INSTALLER_ARM64, "arm64", &format!("linux /{kernel} console=ttyAMA0\nboot\n"));
    copy(&Path::new(INSTALLER_ARM64).join(kernel), &tree.0.join(kernel));
    let lab = lab(
        "dnsmasq-arm64",
        &["--firmware", "uefi-arm64", "--expect", "Booting Linux on physical CPU"],
        &format!(
            "--dhcp-range=10.0.1.200,10.0.1.253,12h --enable-tftp --tftp-root={} --dhcp-no-override \
             --dhcp-match=set:arm64,option:client-arch,11 --dhcp-boot=tag:arm64,debian-installer/arm64/bootnetaa64.efi",
            tree.0.display()
        ),
    );
    lab.assert_passed();
    assert_eq!(lab.files("uefi-arm64-1", "tftp")[..2], loaders);
}
