//! Real firmware in virtual machines, through the real program: what `lanboot lab` says is what the user gets.
//!
//! Emulated machines fill both cores of a small computer: tests with many take turns, those with one run side by side,
//! as many as the test harness starts at once.

mod dnsmasq;
mod names;
mod proxy;
mod scene;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;

static TURN: RwLock<()> = RwLock::new(());

/// To be held by a test that starts one machine.
fn beside_others() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

/// One run of `lanboot lab`, with a folder for what it leaves.
struct Lab {
    output: Output,
    artefacts: PathBuf,
}

impl Lab {
    fn run(name: &str, args: &[&str]) -> Lab {
        let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
        Lab::run_now(name, args)
    }

    fn run_beside_others(name: &str, args: &[&str]) -> Lab {
        let _turn = beside_others();
        Lab::run_now(name, args)
    }

    fn run_now(name: &str, args: &[&str]) -> Lab {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let artefacts = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm").join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_lanboot"))
            .arg("lab")
            .arg("--out")
            .arg(&artefacts)
            .args(args)
            .current_dir(root)
            .output()
            .expect("lanboot starts");
        Lab { output, artefacts }
    }

    fn text(&self) -> String {
        let (out, err) = (&self.output.stdout, &self.output.stderr);
        format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
    }

    fn assert_passed(&self) {
        assert!(self.output.status.success(), "{}", self.text());
    }

    /// What the machine of this name went through.
    fn events(&self, machine: &str) -> Vec<Value> {
        let path = self.artefacts.join(machine).join("timeline.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("a timeline is a JSON array")
    }

    /// The names of files sent to a machine, in order, by protocol.
    fn files(&self, machine: &str, protocol: &str) -> Vec<String> {
        let events = self.events(machine);
        let sent = events.iter().filter(|event| event["step"] == "file-sent" && event["protocol"] == protocol);
        sent.map(|event| event["file"].as_str().expect("a file has a name").to_owned()).collect()
    }

    /// The addresses that a machine was given.
    fn addresses(&self, machine: &str) -> BTreeSet<String> {
        let events = self.events(machine);
        let acks = events.iter().filter(|event| event["step"] == "dhcp-ack");
        acks.map(|event| event["address"].as_str().expect("an ACK has an address").to_owned()).collect()
    }
}

/// What each machine leaves for its user to read.
fn assert_artefacts(lab: &Lab, machine: &str) {
    let folder = lab.artefacts.join(machine);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(String::from_utf8_lossy(&read("serial.log")).contains("lanboot-guest: up"), "the guest spoke");
    assert!(read("screen.png").starts_with(b"\x89PNG"));
    let dump = Command::new("tcpdump").arg("-nr").arg(folder.join("capture.pcapng")).output().expect("tcpdump runs");
    assert!(String::from_utf8_lossy(&dump.stdout).contains("BOOTP/DHCP"), "the capture holds its DHCP");
}

#[test]
fn bios_and_uefi_boot_a_kernel_through_every_kind_of_chain() {
    let lab = Lab::run("chains", &["-c", "demo/kernel.toml", "--firmware", "bios,uefi-x64,uefi-http"]);
    lab.assert_passed();
    assert_eq!(lab.files("bios-1", "tftp"), ["undionly.kpxe"]);
    assert_eq!(lab.files("uefi-x64-1", "tftp"), ["snponly.efi"]);
    assert_eq!(lab.files("uefi-http-1", "tftp"), [""; 0]);
    for (machine, first) in [("bios-1", 0), ("uefi-x64-1", 0), ("uefi-http-1", 1)] {
        let files = lab.files(machine, "http");
        assert!(files[first].starts_with("boot/52-54-00-6c-00-0"), "{files:?}");
        assert_eq!(files[first + 1], "boot/vmlinuz");
        assert_eq!(lab.addresses(machine).len(), 1, "one address from ROM to OS");
        assert_artefacts(&lab, machine);
    }
}

#[test]
fn eight_machines_with_the_guides_settings_boot_at_once_each_with_its_own_address() {
    let kernel = ["--kernel", "target/guest/vmlinuz", "--initrd", "target/guest/initrd.img"];
    let cmdline = ["--cmdline", "console=ttyS0 lanboot.report={report}"];
    let count = ["-c", "demo/guide.toml", "--count", "8", "--firmware", "bios", "--memory", "256"];
    let lab = Lab::run("eight", &[&count[..], &kernel, &cmdline].concat());
    lab.assert_passed();
    assert!(lab.text().contains("8 of 8 booted"), "{}", lab.text());
    let each: Vec<_> = (1..=8).map(|n| lab.addresses(&format!("bios-{n}"))).collect();
    assert!(each.iter().all(|addresses| addresses.len() == 1), "{each:?}");
    let all: BTreeSet<_> = each.into_iter().flatten().collect();
    let expected: BTreeSet<_> = (200..208).map(|last| format!("10.0.1.{last}")).collect();
    assert_eq!(all, expected, "sequential, from the start of the range, none twice");
}

#[test]
fn the_guides_chain_boots_debians_installer() {
    let typing = ["--type", "splash.png=<tab> console=ttyS0,115200<enter>", "--expect", "Select a language"];
    let lab = Lab::run("installer", &[&["-c", "demo/guide.toml", "--memory", "1024"][..], &typing].concat());
    lab.assert_passed();
    let files = lab.files("bios-1", "tftp");
    assert_eq!(files[..2], ["pxelinux.0", "ldlinux.c32"]);
    for name in ["pxelinux.cfg/default", "debian-installer/amd64/linux", "debian-installer/amd64/initrd.gz"] {
        assert!(files.iter().any(|file| file == name), "{name} in {files:?}");
    }
}

#[test]
fn uefi_is_given_a_ready_made_trees_own_loader() {
    let tree = "/usr/lib/debian-installer/images/12/amd64/text";
    let lab = Lab::run("tree", &["--tftp-root", tree, "--firmware", "uefi-x64,uefi-http", "--expect", "GRUB"]);
    lab.assert_passed();
    let loaders = ["debian-installer/amd64/bootnetx64.efi", "debian-installer/amd64/grubx64.efi"];
    assert_eq!(lab.files("uefi-x64-1", "tftp")[..2], loaders, "shim, and GRUB from beside it");
    assert_eq!(lab.files("uefi-http-1", "http")[..2], loaders);
}

#[test]
fn a_machine_that_does_not_boot_is_a_failure_that_says_how_far_it_came() {
    let lab = Lab::run(
        "nothing",
        &["--bridge", "net=10.0.1.1/24", "--firmware", "bios", "--expect", "never seen", "--timeout", "25s"],
    );
    assert_eq!(lab.output.status.code(), Some(1), "{}", lab.text());
    assert!(lab.text().contains("0 of 1 booted"), "{}", lab.text());
    assert_eq!(lab.addresses("bios-1").len(), 1, "it got its address");
}
