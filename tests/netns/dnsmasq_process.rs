//! dnsmasq and `lanboot dnsmasq` as processes, side by side: exit codes, users and rights, files, signals, logs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clients::Udhcpc;
use crate::harness::{Finished, Host, LONG, Network, Program, eventually};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Dnsmasq,
    Lanboot,
}

const BOTH: [Which; 2] = [Which::Dnsmasq, Which::Lanboot];

/// One of the two, on a host with the interface `net`, a machine on it, and a syslog that listens.
struct Side {
    which: Which,
    host: Host,
    machine: Network,
    syslog: UnixDatagram,
    /// In the background.
    pid: Option<Pid>,
}

/// Puts our syslog in the place of this computer's, for one program and its children.
const WITH_SYSLOG: &str = "cd $1; shift; for n in null urandom random; do : > dev/$n; mount --bind /dev/$n dev/$n; done
mount --rbind dev /dev; exec \"$@\"";

impl Side {
    fn new(which: Which) -> Side {
        let host = Host::new();
        let machine = host.network.neighbour("net");
        host.network.run("ip address add 10.0.1.1/24 brd + dev net");
        for folder in ["dev", "tftp", "run"] {
            fs::create_dir(host.folder.0.join(folder)).expect("a new folder");
        }
        // As where a distribution keeps pid files: whoever serves may take them away again.
        fs::set_permissions(host.folder.0.join("run"), fs::Permissions::from_mode(0o777)).expect("our own folder");
        let syslog = UnixDatagram::bind(host.folder.0.join("dev/log")).expect("a socket");
        fs::set_permissions(host.folder.0.join("dev/log"), fs::Permissions::from_mode(0o666)).expect("our own socket");
        syslog.set_read_timeout(Some(LONG)).expect("a time that is not 0");
        host.file("tftp/pxelinux.0", "the loader");
        host.file("with-syslog", WITH_SYSLOG);
        Side { which, host, machine, syslog, pid: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.folder.0.join(name)
    }

    /// `options`: `HERE` stands for this side's folder.
    fn command(&self, options: &str) -> Command {
        let program = match self.which {
            Which::Dnsmasq => "/usr/sbin/dnsmasq".to_owned(),
            Which::Lanboot => format!("{} dnsmasq", env!("CARGO_BIN_EXE_lanboot")),
        };
        let line = format!("unshare --mount sh HERE/with-syslog HERE {program} --conf-file= --port=0 {options}");
        self.host.network.command(&line.replace("HERE", &self.host.folder.0.to_string_lossy()))
    }

    fn finish(&self, options: &str) -> Finished {
        Program::start(self.command(options)).finish()
    }

    /// Serves in the background, with everything at its place.
    fn start(which: Which, options: &str) -> Side {
        Side::serve(which, &format!("{SERVE} {options}"))
    }

    fn serve(which: Which, options: &str) -> Side {
        let mut side = Side::new(which);
        let Finished { status, out, err } = side.finish(&format!("{PLACES} {options}"));
        assert!(status.success(), "{which:?}: {out}{err}");
        let text = fs::read_to_string(side.path("run/pid")).expect("a pid file");
        side.pid = Some(Pid::from_raw(text.trim().parse().expect("a number")));
        side
    }

    /// Serves in the foreground, and has given out an address: its first lines come before it heeds signals.
    fn attend(&self, options: &str) -> Program {
        let program = Program::start(self.command(&format!("{SERVE} {PLACES} {options}")));
        self.syslog_line(|line| line.contains(": started, "));
        Udhcpc::bound(&self.machine);
        program
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("run/log")).unwrap_or_default()
    }

    /// The next line for syslog that is looked for.
    fn syslog_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut buffer = [0; 2048];
        loop {
            let octets = self.syslog.recv(&mut buffer).expect("a line before long");
            let line = String::from_utf8_lossy(&buffer[..octets]).into_owned();
            if wanted(&line) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid.expect("it runs"), signal).expect("it runs");
    }

    fn runs(&self) -> bool {
        let line = self.pid.map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        line.is_some_and(|line| line.contains(&*self.path("run/pid").to_string_lossy()))
    }

    fn stop(&self) {
        self.signal(Signal::SIGTERM);
        eventually(|| !self.runs());
    }

    /// Lines of /proc/PID/status.
    fn status(pid: i32) -> BTreeMap<String, String> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        let wanted = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff"];
        let fields = fields.filter(|(name, _)| wanted.contains(name));
        fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if self.runs() {
            self.signal(Signal::SIGKILL);
        }
    }
}

const SERVE: &str = "--interface=net --bind-interfaces --dhcp-range=10.0.1.200,10.0.1.253,12h --dhcp-sequential-ip \
    --no-ping --enable-tftp --tftp-root=HERE/tftp";
const PLACES: &str = "--dhcp-leasefile=HERE/run/leases --pid-file=HERE/run/pid";

#[test]
fn what_keeps_it_from_starting_has_dnsmasqs_exit_code() {
    let sides = BOTH.map(Side::new);
    for side in &sides {
        for (name, text) in [("fails", "exit 7\n"), ("prints", "echo nonsense=1\n")] {
            side.host.file(name, format!("#!/bin/sh\n{text}"));
            fs::set_permissions(side.path(name), fs::Permissions::from_mode(0o755)).expect("our own file");
        }
    }
    for (options, code) in [
        (format!("{SERVE} --nonsense"), 1),
        (format!("{SERVE} --dhcp-range=nonsense"), 1),
        (format!("{SERVE} {PLACES} --log-facility=nonsense"), 1),
        (format!("{SERVE} {PLACES} --user=nosuch"), 1),
        (format!("{SERVE} {PLACES} --user=12345"), 1),
        (format!("{SERVE} {PLACES} --group=nosuch"), 1),
        (format!("{SERVE} {PLACES} -d --user=nosuch"), 1),
        (format!("{SERVE} {PLACES} --conf-script=HERE/prints"), 1),
        (format!("{} {PLACES}", SERVE.replace("=net ", "=nosuch ")), 2),
        (format!("{SERVE} {PLACES} --conf-file=HERE/nosuch"), 3),
        (format!("{SERVE} {PLACES} --conf-dir=HERE/nosuch"), 3),
        (format!("{SERVE} --pid-file= --dhcp-leasefile=HERE/nosuch/leases"), 3),
        (format!("{SERVE} --pid-file=HERE/nosuch/pid --dhcp-leasefile=HERE/run/leases"), 3),
        (format!("{SERVE} {PLACES} -k --log-facility=HERE/nosuch/log"), 3),
        (format!("{SERVE} {PLACES} -k --log-facility=nosuch/log"), 3),
        (format!("{} {PLACES} -k", SERVE.replace("/tftp", "/nosuch")), 3),
        (format!("{} {PLACES} -k", SERVE.replace("HERE/tftp", "HERE/fails")), 3),
        (format!("{SERVE} {PLACES} --conf-script=HERE/fails"), 10),
    ] {
        for side in &sides {
            let Finished { status, out, err } = side.finish(&options);
            assert_eq!(status.code(), Some(code), "{:?} {options}: {out}{err}", side.which);
            // dnsmasq tells some of it to syslog alone.
            assert!(side.which == Which::Dnsmasq || err.contains("error: "), "{options}: {err}");
            let line = side.syslog_line(|line| line.ends_with("FAILED to start up"));
            assert!(line.starts_with("<26>"), "{line}");
        }
        if sides.iter().any(|side| side.which == Which::Lanboot && side.path("run/pid").exists()) {
            panic!("{options} leaves a pid file");
        }
        // dnsmasq leaves one behind, of a process that has ended.
        let _ = fs::remove_file(sides[0].path("run/pid"));
    }
}

#[test]
fn it_becomes_the_same_user_with_the_same_rights() {
    for options in
        ["", "--user=nobody --group=nogroup", "-u root", "-u root -g nogroup", "--user=", "--group=", "-u daemon"]
    {
        let [theirs, ours] = BOTH.map(|which| {
            // Without pings, dnsmasq does not keep the right to send them.
            let side = Side::serve(which, &format!("{} {options}", SERVE.replace("--no-ping", "")));
            let pid = side.pid.expect("it runs").as_raw();
            let about = fs::metadata(side.path("run/pid")).expect("a pid file");
            let folder = fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs");
            let leases = fs::metadata(side.path("run/leases")).expect("a lease file").uid();
            let seen = (Side::status(pid), (about.uid(), about.gid(), about.mode()), folder, leases);
            // The lease file is written by whoever it is, and the pid file goes. dnsmasq's ping takes a client's patience.
            if which == Which::Lanboot {
                Udhcpc::bound(&side.machine);
                eventually(|| fs::read_to_string(side.path("run/leases")).unwrap_or_default().contains(" 10.0.1.200 "));
            }
            side.stop();
            // dnsmasq leaves its own behind when it is told to end just after its start.
            assert!(which == Which::Dnsmasq || !side.path("run/pid").exists(), "{options}");
            seen
        });
        assert_eq!(theirs, ours, "{options}");
    }
}

/// Whoever starts it from a program waits until its output is closed.
#[test]
fn the_process_that_runs_scripts_lets_go_of_terminal_and_folder_too() {
    for which in BOTH {
        let mut side = Side::new(which);
        side.host.file("script", "#!/bin/sh\n");
        fs::set_permissions(side.path("script"), fs::Permissions::from_mode(0o755)).expect("our own file");
        let Finished { status, out, err } = side.finish(&format!("{SERVE} {PLACES} --dhcp-script=HERE/script"));
        assert!(status.success(), "{which:?}: {out}{err}");
        let pid: i32 = fs::read_to_string(side.path("run/pid")).expect("a pid file").trim().parse().expect("a number");
        side.pid = Some(Pid::from_raw(pid));
        let helper = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it runs");
        let links =
            ["fd/0", "fd/1", "fd/2", "cwd"].map(|name| fs::read_link(format!("/proc/{}/{name}", helper.trim())));
        let links = links.map(|link| link.expect("one child, which runs scripts"));
        assert_eq!(
            links.map(|link| link.display().to_string()),
            ["/dev/null", "/dev/null", "/dev/null", "/"],
            "{which:?}"
        );
        side.stop();
    }
}

#[test]
fn debugging_changes_no_user_and_writes_no_pid_file() {
    let [theirs, ours] = BOTH.map(|which| {
        let side = Side::new(which);
        let program = side.attend("-d -u nobody");
        let status = Side::status(program.pid() as i32);
        assert!(!side.path("run/pid").exists());
        program.signal(Signal::SIGTERM);
        let Finished { status: ended, err, .. } = program.finish();
        assert!(err.contains("dnsmasq: exiting on receipt of SIGTERM\n"), "{which:?}: {err}");
        let logged = side.syslog_line(|line| line.contains("exiting"));
        (status, ended.code(), logged.split_at(5).0.to_owned())
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs.2, "<134>", "local0.info");
}

/// SIGINT ends it with `-d` alone.
#[test]
fn signals_end_it_or_not() {
    let [theirs, ours] = BOTH.map(|which| {
        let ended = |options: &str, signals: &[Signal]| -> Option<i32> {
            let side = Side::new(which);
            let program = side.attend(options);
            signals.iter().for_each(|signal| program.signal(*signal));
            let status: ExitStatus = program.finish().status;
            status.code()
        };
        let all = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGINT, Signal::SIGTERM];
        (ended("-k", &all), ended("-d", &[Signal::SIGINT]), ended("-d", &[Signal::SIGHUP, Signal::SIGTERM]))
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs, (Some(0), Some(5), Some(0)));
}

/// A line without its time, process id, and what differs between two networks.
fn plain(line: &str, side: &Side) -> String {
    let mac = side.machine.mac("eth0").to_string();
    let line = line.replace(&mac, "MAC").replace(&*side.host.folder.0.to_string_lossy(), "HERE");
    let (head, text) = line.split_once("]: ").expect("a line of the log");
    let (head, _pid) = head.rsplit_once('[').expect("a process id");
    let name = head.rsplit(' ').next().expect("a name");
    format!("{name}: {text}")
}

#[test]
fn an_exchange_is_logged_line_by_line_as_dnsmasq_logs_it() {
    let [theirs, ours] = BOTH.map(|which| {
        let side = Side::start(which, "--log-facility=HERE/run/log");
        let about = fs::metadata(side.path("run/log")).expect("a log");
        let mut client = Udhcpc::start(&side.machine, "-x hostname:web1");
        client.told("bound");
        client.renew();
        side.machine.run("curl -sf --max-time 20 tftp://10.0.1.1/pxelinux.0");
        // curl may be done before the last acknowledgement is read.
        eventually(|| side.log().contains(": sent "));
        let missing = side.machine.command("curl -sf --max-time 20 tftp://10.0.1.1/no/such").output();
        assert!(!missing.expect("curl").status.success());
        client.release();
        eventually(|| side.log().contains("DHCPRELEASE") && side.log().contains("not found"));
        side.stop();
        let log = side.log();
        let mut lines: Vec<String> = log.lines().map(|line| plain(line, &side)).collect();
        lines.retain(|line| !line.contains("compile time options"));
        // A client that had to ask twice is logged twice.
        let mut seen = std::collections::HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        assert!(lines[0].starts_with("dnsmasq: started, version 2.90 "), "{lines:?}");
        lines.remove(0);
        let lines: Vec<_> = lines.into_iter().map(|line| line.trim_end().to_owned()).collect();
        let time = log.split(" dnsmasq").next().expect("a time").to_owned();
        (lines, (about.uid(), about.gid(), about.mode()), time.len())
    });
    assert_eq!(theirs, ours);
    assert!(ours.0.contains(&"dnsmasq-dhcp: DHCPACK(net) 10.0.1.200 MAC web1".to_owned()), "{ours:?}");
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew_on_sigusr2() {
    for which in BOTH {
        let side = Side::start(which, "--log-facility=HERE/run/log");
        fs::rename(side.path("run/log"), side.path("run/log.1")).expect("a log");
        side.signal(Signal::SIGUSR2);
        eventually(|| side.path("run/log").exists());
        side.stop();
        assert!(side.log().ends_with("exiting on receipt of SIGTERM\n"), "{which:?}: {}", side.log());
    }
}

#[test]
fn syslog_is_told_under_the_facility_that_is_named() {
    let [theirs, ours] = BOTH.map(|which| {
        let side = Side::start(which, "--log-facility=local3 --quiet-dhcp");
        let line = side.syslog_line(|line| line.contains("TFTP root is"));
        let octets = line.find(" dnsmasq").expect("a time before it");
        side.stop();
        (line[..5].to_owned(), octets, plain(&line, &side).trim_end().to_owned())
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs.0, "<158>");
}

#[test]
fn sigusr1_tells_what_was_done() {
    let side = Side::start(Which::Lanboot, "--log-facility=HERE/run/log --quiet-dhcp");
    let (_client, _) = Udhcpc::bound(&side.machine);
    eventually(|| fs::read_to_string(side.path("run/leases")).unwrap_or_default().contains(" 10.0.1.200 "));
    side.signal(Signal::SIGHUP);
    side.signal(Signal::SIGUSR1);
    eventually(|| side.log().contains("0 DHCPNAK"));
    assert!(side.log().contains("leases in use: 1 of 1000\n"), "{}", side.log());
    assert!(!side.log().contains("DHCPOFFER(net)"), "it is to be quiet: {}", side.log());
    side.stop();
}
