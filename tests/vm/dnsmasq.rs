//! Machines that boot by dnsmasq's options alone: the guide's command lines, UEFI with and without Secure Boot, arm64.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use journal::Journal;
use lab::{Firmware, Kernel, LabSpec, Namespace, VmReport, VmSpec};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Lab, beside_others};

const GUEST_IS_UP: &str = "lanboot-guest: up";
const INSTALLER: &str = "/usr/lib/debian-installer/images/12/amd64/text";
const INSTALLER_ARM64: &str = "/usr/lib/debian-installer/images/12/arm64/text";

/// The guide's lines without the files that they name, which lie in the test's own folder.
const BY_HAND: &str = "--strict-order --bind-interfaces --conf-file= --listen-address 10.0.1.1 \
    --dhcp-range 10.0.1.2,10.0.1.254 --dhcp-lease-max=253 --dhcp-no-override --except-interface=lo --interface=net \
    --dhcp-sequential-ip --dhcp-authoritative";
const WITH_BOOT_FILES: &str = "--enable-tftp --dhcp-match=set:IPXEBOOT,175 --dhcp-option=tag:!IPXEBOOT,67,undionly.kpxe --dhcp-option=67,pxelinux.0";

/// A network with the guide's bridge, and a folder for what is served there and what comes of it.
struct Scene {
    network: Namespace,
    folder: PathBuf,
}

impl Scene {
    /// `name`: of the test, for its folder.
    fn new(name: &str) -> Scene {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm").join(name);
        // What an earlier run left there.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tftp")).expect("room for a folder");
        let scene = Scene { network: Namespace::new().expect("these tests make networks of their own"), folder };
        scene.run("ip link add net type bridge");
        scene.run("ip address add 10.0.1.1/24 dev net");
        scene.run("ip link set net up");
        scene
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = self.network.command(words.next().expect("a program"));
        command.args(words).stdin(Stdio::null()).current_dir(&self.folder);
        command
    }

    fn run(&self, line: &str) {
        let output = self.command(line).output().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Puts pxelinux.0, our kernel and what it needs where the guide's TFTP server looks.
    fn with_pxelinux(self) -> Scene {
        let tftp = self.folder.join("tftp");
        for name in ["pxelinux.0", "ldlinux.c32"] {
            copy(&Path::new(INSTALLER).join(name), &tftp.join(name));
        }
        copy_guest(&tftp);
        let menu = "DEFAULT guest\nLABEL guest\n KERNEL vmlinuz\n INITRD initrd.img\n APPEND console=ttyS0\n";
        write(&tftp.join("pxelinux.cfg/default"), menu);
        self
    }

    /// Starts it as the guide does: it goes into the background once it serves.
    fn serve(&self, options: &str) -> Daemon {
        let pid_file = self.folder.join("pid");
        let program = env!("CARGO_BIN_EXE_lanboot");
        self.run(&format!("{program} dnsmasq {options} -x {}", pid_file.display()));
        let text = fs::read_to_string(&pid_file).expect("a pid file");
        Daemon { pid: Pid::from_raw(text.trim().parse().expect("a number")), pid_file }
    }

    /// Switches machines on, one after the other if there are several, and waits until their consoles say so.
    fn boot(&self, machines: Vec<VmSpec>, console: &str) -> Vec<VmReport> {
        let expect = regex::Regex::new(console).expect("a regular expression");
        let expecting = |vm| VmSpec { expect: Some(expect.clone()), ..vm };
        let spec = LabSpec {
            vms: machines.into_iter().map(expecting).collect(),
            timeout: Duration::from_secs(240),
            keep: false,
            jobs: Some(1),
            bridge: "net".into(),
            artefacts: self.folder.clone(),
        };
        // What the server did is in its own journal.
        let journal = Journal::new();
        let report = self.network.run(|| lab::run(&spec, &journal, &AtomicBool::new(false))).expect("a lab");
        for vm in &report.vms {
            let serial = fs::read(vm.folder.join("serial.log")).unwrap_or_default();
            assert!(vm.passed, "{}: {}\n{}", vm.name, vm.because, String::from_utf8_lossy(&serial));
        }
        report.vms
    }
}

/// A server in the background; killed with the value, should a test fail before its end.
struct Daemon {
    pid: Pid,
    pid_file: PathBuf,
}

impl Daemon {
    fn is_running(&self) -> bool {
        // Only while it is still ours: its command line names the pid file that only we know.
        let line = fs::read_to_string(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.contains(&*self.pid_file.to_string_lossy())
    }

    fn signal(&self, signal: Signal) {
        assert!(self.is_running(), "before {signal}");
        kill(self.pid, signal).expect("it runs");
    }

    fn stop(&self) {
        self.signal(Signal::SIGTERM);
        within(|| !self.is_running(), "it ends at SIGTERM");
        assert!(!self.pid_file.exists(), "it takes its pid file away");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

fn within(done: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("room for a folder");
    fs::write(path, text).expect("room for a file");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("in a folder")).expect("room for a folder");
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// The guest that scripts/guest.sh has built.
fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guest").join(name)
}

fn copy_guest(to: &Path) {
    for name in ["vmlinuz", "initrd.img"] {
        copy(&guest(name), &to.join(name));
    }
}

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

/// What is served to a machine.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm/served").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("room for a folder");
        Folder(folder)
    }

    /// Debian's signed shim and GRUB from an installer's tree, with this in place of its menu. Returns their names.
    fn grub(&self, installer: &str, arch: &str, menu: &str) -> [String; 2] {
        let suffix = if arch == "arm64" { "aa64" } else { "x64" };
        let names = ["bootnet", "grub"].map(|name| format!("debian-installer/{arch}/{name}{suffix}.efi"));
        for name in &names {
            copy(&Path::new(installer).join(name), &self.0.join(name));
        }
        write(&self.0.join(format!("debian-installer/{arch}/grub/grub.cfg")), menu);
        names
    }
}
