//! Lists, scripts and ethers of a dnsmasq and of `lanboot dnsmasq` that serve in the background as another user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clients::Udhcpc;
use crate::harness::{Finished, Host, Network, Program, eventually};

const DNSMASQ: &str = "/usr/sbin/dnsmasq";
const LANBOOT: &str = concat!(env!("CARGO_BIN_EXE_lanboot"), " dnsmasq");
/// Writes down who is called, with what.
const SCRIPT: &str = "#!/bin/sh\nif [ \"$1\" = init ]; then exit 7; fi\necho \"$(id -un) $1 $3 $4\" >> HERE/calls\nif [ \"$1\" = add ]; then grep \" $3 \" HERE/leases >> HERE/seen; fi\necho \"said for $1\"\nexit 2\n";

struct Side {
    host: Host,
    machine: Network,
    program: &'static str,
    pid: Option<Pid>,
}

impl Side {
    fn new(program: &'static str) -> Side {
        let host = Host::new();
        let machine = host.network.neighbour("net");
        host.network.run("ip address add 10.0.1.1/24 brd + dev net");
        let script = host.file("script", SCRIPT.replace("HERE", &host.folder.0.display().to_string()));
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("our own file");
        fs::set_permissions(&host.folder.0, fs::Permissions::from_mode(0o777)).expect("our own folder");
        Side { host, machine, program, pid: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.folder.0.join(name)
    }

    /// With a copy of /etc of its own, so that /etc/ethers can be ours.
    fn run(&self, options: &str) -> Finished {
        self.host.file(
            "in-own-etc",
            "cp -a /etc $1/etc; cp $1/ethers $1/etc/ethers; mount --bind $1/etc /etc; shift; exec \"$@\"",
        );
        let line = format!(
            "unshare --mount sh HERE/in-own-etc HERE {} --conf-file= --port=0 --interface=net --bind-interfaces \
             --dhcp-range=10.0.1.100,10.0.1.150 --no-ping --dhcp-leasefile=HERE/leases --pid-file=HERE/pid \
             --log-facility=HERE/log --dhcp-script=HERE/script {options}",
            self.program
        );
        let line = line.replace("HERE", &self.host.folder.0.to_string_lossy());
        Program::start(self.host.network.command(&line)).finish()
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Only while it is still ours: its command line names the pid file that only we know.
        let Some(pid) = self.pid else { return };
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.contains(&*self.path("pid").to_string_lossy()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn another_user_runs_the_script_and_ethers_are_read() {
    for program in [DNSMASQ, LANBOOT] {
        let mut side = Side::new(program);
        let mac = side.machine.mac("eth0");
        side.host.file("ethers", format!("{mac} 10.0.1.77\n"));
        let Finished { status, out, err } = side.run("--read-ethers --user=nobody --dhcp-scriptuser=daemon");
        assert!(status.success(), "{program}: {out}{err}");
        let pid = fs::read_to_string(side.path("pid")).expect("a pid file");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number"));
        side.pid = Some(pid);
        let (_machine, address) = Udhcpc::bound(&side.machine);
        assert_eq!(address.to_string(), "10.0.1.77", "{program}");
        eventually(|| side.calls().iter().any(|call| call.trim_end() == "daemon add 10.0.1.77"));
        eventually(|| side.log().contains("said for add") && side.log().contains("exited with status 2"));
        assert!(side.log().contains("dnsmasq-script["), "{program}: {}", side.log());
        let seen = fs::read_to_string(side.path("seen")).unwrap_or_default();
        assert!(seen.contains("10.0.1.77"), "{program}: the script does not find its lease in the lease file");
        let before = side.calls().len();
        kill(pid, Signal::SIGHUP).expect("it runs");
        eventually(|| side.calls().len() > before && side.calls()[before].starts_with("daemon old 10.0.1.77"));
        eventually(|| fs::read_to_string(side.path("leases")).is_ok_and(|text| text.contains("10.0.1.77")));
        assert_eq!(side.path("leases").metadata().expect("it is there").mode() & 0o777, 0o644, "{program}");
        kill(pid, Signal::SIGTERM).expect("it runs");
        eventually(|| !side.path("pid").exists());
    }
}

#[test]
fn what_keeps_the_script_from_running_has_dnsmasqs_exit_code() {
    for options in ["--leasefile-ro", "--dhcp-script=/nonexistent/script", "--dhcp-scriptuser=no-such-user"] {
        let codes = [DNSMASQ, LANBOOT].map(|program| {
            let side = Side::new(program);
            side.host.file("ethers", "");
            let Finished { status, .. } = side.run(options);
            status.code()
        });
        assert!(codes[0] != Some(0), "{options}");
        assert_eq!(codes[0], codes[1], "{options}: dnsmasq, lanboot");
    }
}
