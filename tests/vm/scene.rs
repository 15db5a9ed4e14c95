//! Where machines boot: a network, a server in the background, a folder with what is served.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use journal::Journal;
use lab::{LabSpec, Namespace, VmReport, VmSpec};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const GUEST_IS_UP: &str = "lanboot-guest: up";
pub const INSTALLER: &str = "/usr/lib/debian-installer/images/12/amd64/text";
pub const INSTALLER_ARM64: &str = "/usr/lib/debian-installer/images/12/arm64/text";

/// A network with the guide's bridge, and a folder for what is served there and what comes of it.
pub struct Scene {
    pub network: Namespace,
    pub folder: PathBuf,
}

impl Scene {
    /// `name`: of the test, for its folder.
    pub fn new(name: &str) -> Scene {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm").join(name);
        // What an earlier run left there.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tftp")).expect("room for a folder");
        // As where a distribution keeps pid files: the user that dnsmasq becomes may take them away again.
        fs::create_dir(folder.join("run")).expect("room for a folder");
        fs::set_permissions(folder.join("run"), Permissions::from_mode(0o777)).expect("our own folder");
        let scene = Scene { network: Namespace::new().expect("these tests make networks of their own"), folder };
        scene.run("ip link add net type bridge");
        scene.run("ip address add 10.0.1.1/24 dev net");
        scene.run("ip link set net up");
        scene
    }

    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = self.network.command(words.next().expect("a program"));
        command.args(words).stdin(Stdio::null()).current_dir(&self.folder);
        command
    }

    pub fn run(&self, line: &str) {
        let output = self.command(line).output().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Puts pxelinux.0, our kernel and what it needs where the guide's TFTP server looks.
    pub fn with_pxelinux(self) -> Scene {
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
    pub fn serve(&self, options: &str) -> Daemon {
        let pid_file = self.folder.join("run/pid");
        let program = env!("CARGO_BIN_EXE_lanboot");
        self.run(&format!("{program} dnsmasq {options} -x {}", pid_file.display()));
        let text = fs::read_to_string(&pid_file).expect("a pid file");
        let daemon = Daemon { pid: Pid::from_raw(text.trim().parse().expect("a number")), pid_file };
        assert!(daemon.is_running(), "the pid file names it");
        daemon
    }

    /// Switches machines on, one after the other if there are several, and waits until their consoles say so.
    pub fn boot(&self, machines: Vec<VmSpec>, console: &str) -> Vec<VmReport> {
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
pub struct Daemon {
    pid: Pid,
    pid_file: PathBuf,
}

impl Daemon {
    fn is_running(&self) -> bool {
        // Only while it is still ours: its command line names the pid file that only we know.
        let line = fs::read_to_string(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.contains(&*self.pid_file.to_string_lossy())
    }

    pub fn signal(&self, signal: Signal) {
        assert!(self.is_running(), "before {signal}");
        kill(self.pid, signal).expect("it runs");
    }

    pub fn stop(&self) {
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

pub fn within(done: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("room for a folder");
    fs::write(path, text).expect("room for a file");
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("in a folder")).expect("room for a folder");
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// The guest that scripts/guest.sh has built, of the sources as they are now: an older one would not do what a test asks.
pub fn guest(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = root.join("target/guest").join(name);
    let age = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let initrd = age(&root.join("target/guest/initrd.img")).expect("run scripts/guest.sh first");
    for source in ["init", "lease"] {
        let changed = age(&root.join("tests/vm/guest").join(source)).expect("a source of the guest");
        assert!(initrd > changed, "{} is older than tests/vm/guest/{source}: run scripts/guest.sh", built.display());
    }
    built
}

pub fn copy_guest(to: &Path) {
    for name in ["vmlinuz", "initrd.img"] {
        copy(&guest(name), &to.join(name));
    }
}

/// What is served to a machine.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm/served").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("room for a folder");
        Folder(folder)
    }

    /// Debian's signed shim and GRUB from an installer's tree, with this in place of its menu. Returns their names.
    pub fn grub(&self, installer: &str, arch: &str, menu: &str) -> [String; 2] {
        let suffix = if arch == "arm64" { "aa64" } else { "x64" };
        let names = ["bootnet", "grub"].map(|name| format!("debian-installer/{arch}/{name}{suffix}.efi"));
        for name in &names {
            copy(&Path::new(installer).join(name), &self.0.join(name));
        }
        write(&self.0.join(format!("debian-installer/{arch}/grub/grub.cfg")), menu);
        names
    }
}
