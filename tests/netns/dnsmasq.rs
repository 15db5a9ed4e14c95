//! The guide's own dnsmasq command lines, as they stand but for where their files lie.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clients::Udhcpc;
use crate::harness::{Finished, Host, Program};

const BY_HAND: &str = "--strict-order --bind-interfaces --conf-file= --listen-address 10.0.1.1 \
    --dhcp-range 10.0.1.2,10.0.1.254 --dhcp-lease-max=253 --dhcp-no-override --except-interface=lo --interface=net \
    --dhcp-sequential-ip --dhcp-authoritative";

/// A host with a bridge, and a machine plugged into it.
pub struct Site {
    pub host: Host,
    pub machine: crate::harness::Network,
}

impl Site {
    pub fn new(bridge: &str, address: &str) -> Site {
        let host = Host::new();
        let machine = host.network.neighbour("port0");
        host.network.run(&format!("ip link add {bridge} type bridge"));
        host.network.run(&format!("ip link set port0 master {bridge}"));
        host.network.run(&format!("ip address add {address} dev {bridge}"));
        host.network.run(&format!("ip link set {bridge} up"));
        fs::create_dir(host.folder.0.join("tftp")).expect("a new folder");
        host.file("tftp/pxelinux.0", "the loader");
        Site { host, machine }
    }

    /// The guide's.
    fn guide() -> Site {
        Site::new("net", "10.0.1.1/24")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.host.folder.0.join(name)
    }

    fn finish(&self, options: &str) -> Finished {
        let line = format!("{} dnsmasq {options}", env!("CARGO_BIN_EXE_lanboot"));
        Program::start(self.host.network.command(&line)).finish()
    }

    /// Starts it as the guide does, with its files in our folder.
    fn start(&self, options: &str) -> Daemon {
        let (pid, leases) = (self.path("pid"), self.path("leases"));
        self.start_with(&format!("{options} -x {} --dhcp-leasefile={}", pid.display(), leases.display()), "pid")
    }

    /// Starts it with options that name this pid file: it goes into the background once it serves.
    pub fn start_with(&self, options: &str, pid_file: &str) -> Daemon {
        let Finished { status, out, err } = self.finish(options);
        assert!(status.success(), "{out}{err}");
        let pid_file = self.path(pid_file);
        let text = fs::read_to_string(&pid_file).expect("a pid file");
        Daemon { pid: Pid::from_raw(text.trim().parse().expect("a number")), pid_file }
    }

    /// The lines of the lease file once there are this many.
    fn leases(&self, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(self.path("leases")).unwrap_or_default();
        within(|| read().lines().count() == count, "the lease file is written");
        read().lines().map(str::to_owned).collect()
    }
}

/// A server in the background; killed with the value, should a test fail before its end.
pub struct Daemon {
    pid: Pid,
    pid_file: PathBuf,
}

impl Daemon {
    /// Whether it is still ours: its command line names files in the folder that only we know.
    fn runs(&self) -> bool {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.contains(&*self.pid_file.parent().expect("it lies in our folder").to_string_lossy())
    }

    /// SIGHUP.
    pub fn reload(&self) {
        kill(self.pid, Signal::SIGHUP).expect("it runs");
    }

    pub fn stop(&self) {
        kill(self.pid, Signal::SIGTERM).expect("it runs");
        within(|| !self.runs(), "it ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.runs() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

pub fn within(done: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn assert_lease(line: &str, address: &str, lease_secs: u64) {
    let fields: Vec<_> = line.split(' ').collect();
    assert_eq!((fields.len(), fields[2]), (5, address), "{line}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let left = fields[0].parse::<u64>().expect("when it ends") - now;
    assert!((lease_secs - 60..=lease_secs).contains(&left), "{line}: {left} s left");
}

#[test]
fn the_guides_first_line_and_file_serve() {
    let guide = Site::guide();
    let file = guide.host.file(
        "dnsmasq.conf",
        format!(
            "interface=net\ndhcp-range=10.0.1.200,10.0.1.253,12h\ndhcp-sequential-ip\n\
             dhcp-match=set:IPXEBOOT,175 # iPXE\ndhcp-option=tag:!IPXEBOOT,67,\"undionly.kpxe\" # first\n\
             dhcp-option=67,\"pxelinux.0\"\nenable-tftp\ntftp-root={}\n",
            guide.path("tftp").display()
        ),
    );
    fs::create_dir(guide.path("d")).expect("a new folder");
    let daemon = guide.start(&format!(
        "-C {} -u dnsmasq -r /var/run/dnsmasq/resolv.conf -7 {},.dpkg-dist,.dpkg-old,.dpkg-new --local-service",
        file.display(),
        guide.path("d").display()
    ));
    let (_machine, address) = Udhcpc::bound(&guide.machine);
    assert_eq!(address, Ipv4Addr::new(10, 0, 1, 200));
    assert_lease(&guide.leases(1)[0], "10.0.1.200", 12 * 3600);
    guide.machine.run("curl -sf --max-time 20 tftp://10.0.1.1/pxelinux.0");
    daemon.stop();
}

#[test]
fn the_guides_second_line_serves_and_takes_over_the_leases_of_a_dnsmasq_before_it() {
    let guide = Site::guide();
    let mac = guide.machine.mac("eth0");
    let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() + 3600;
    guide.host.file("leases", format!("{end} {mac} 10.0.1.77 * *\n"));
    let daemon = guide.start(BY_HAND);
    assert_eq!(Udhcpc::bound(&guide.machine).1, Ipv4Addr::new(10, 0, 1, 77));
    daemon.stop();
}

#[test]
fn the_guides_third_line_tells_ipxe_apart() {
    let guide = Site::guide();
    let boot = format!(
        "--enable-tftp --tftp-root={} --dhcp-match=set:IPXEBOOT,175 --dhcp-option=tag:!IPXEBOOT,67,undionly.kpxe \
         --dhcp-option=67,pxelinux.0",
        guide.path("tftp").display()
    );
    let daemon = guide.start(&format!("{BY_HAND} {boot}"));
    // What the two kinds of machine say, with udhcpc's voice: it prints the boot file that it is offered.
    let file = |options: &str| -> String {
        let mut client = Udhcpc::start(&guide.machine, &format!("-O bootfile {options}"));
        assert_eq!(client.told("bound"), Ipv4Addr::new(10, 0, 1, 2));
        client.release();
        offered(&guide.path("leases.lanboot/journal.jsonl"))
    };
    assert_eq!(file(""), "undionly.kpxe");
    assert_eq!(file("-x 175:130101"), "pxelinux.0");
    daemon.stop();
}

/// The boot file of the last acknowledgement in a journal.
fn offered(journal: &Path) -> String {
    let last = || -> Option<String> {
        let text = fs::read_to_string(journal).ok()?;
        let line = text.lines().rev().find(|line| line.contains("\"dhcp-ack\""))?.to_owned();
        let event: serde_json::Value = serde_json::from_str(&line).ok()?;
        Some(event["boot_file"].as_str()?.to_owned())
    };
    within(|| last().is_some(), "an acknowledgement in the journal");
    last().expect("it was just there")
}

#[test]
fn five_mistakes_are_five_errors_and_what_is_not_served_is_named() {
    let guide = Site::guide();
    let file = guide.host.file(
        "bad.conf",
        "interfce=net\ndhcp-range=10.0.1.300,10.0.1.253\nport=banana\ndhcp-option=option:nosuch,1\ndhcp-match=set:x\n",
    );
    let Finished { status, err, .. } = guide.finish(&format!("--test -C {}", file.display()));
    assert_eq!(status.code(), Some(1), "{err}");
    assert_eq!(err.matches("error: ").count(), 5, "{err}");
    for line in 1..=5 {
        assert!(err.contains(&format!("bad.conf:{line}:")), "line {line}: {err}");
    }
    let Finished { err, .. } = guide.finish("--conf-file= --test --log-async --log-debug");
    for told in ["`log-async` changes nothing", "`log-debug` changes nothing"] {
        assert!(err.contains(told), "{told}: {err}");
    }
    let Finished { status, err, .. } = guide.finish("--conf-file= --interface=net --dnssec");
    assert_eq!(status.code(), Some(1));
    assert!(err.contains("does not validate DNSSEC") && err.contains("proxy-dnssec"), "{err}");
}
