//! Which calls of `dhcp-script` each exchange brings, with all arguments and variables, and what the lease file says after.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dhcp::v4::code;
use nix::sys::signal::Signal;

use crate::harness::{LONG, eventually};
use crate::messages::{Message, decline, discover, host, mac, reboot, release, renew, select};
use crate::side::{Side, Which};

/// Writes down how it is called. A line is written with one call, so that no half of it is read.
const SCRIPT: &str = "#!/bin/sh
line=\"$*\"
for variable in $(env | grep -o '^DNSMASQ_[A-Z0-9_]*' | sort); do
  eval \"line=\\\"\\$line|$variable=\\$$variable\\\"\"
done
echo \"$line\" >> FOLDER/calls
if [ \"$1\" = init ]; then cat FOLDER/init; fi
if [ -e FOLDER/says ]; then cat FOLDER/says; fi
if [ -e FOLDER/status ]; then exit $(cat FOLDER/status); fi
";
/// Both see the same moment a little apart.
const SLACK: u64 = 3;

/// dnsmasq and lanboot under the same options, each with its own script.
pub struct Both {
    theirs: Side,
    ours: Side,
    /// How many calls of each are compared.
    compared: [usize; 2],
}

/// A call: its arguments, and the variables by their names.
type Call = (String, BTreeMap<String, String>);

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

impl Both {
    fn start(conf: &[&str]) -> Both {
        Both::prepared(conf, |_| ())
    }

    pub fn prepared(conf: &[&str], prepare: impl Fn(&Path)) -> Both {
        let conf: Vec<String> = conf
            .iter()
            .chain(&["dhcp-sequential-ip", "dhcp-script=FOLDER/script"])
            .map(|line| line.to_string())
            .collect();
        let start = |which| {
            let files = |folder: &Path| {
                let script = folder.join("script");
                fs::write(&script, SCRIPT.replace("FOLDER", &folder.display().to_string())).expect("room for a file");
                fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("our own file");
                fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("our own folder");
                prepare(folder);
            };
            Side::start_prepared(which, &conf, "bind-interfaces", files)
        };
        Both { theirs: start(Which::Dnsmasq), ours: start(Which::Lanboot), compared: [0, 0] }
    }

    fn each(&mut self) -> [&mut Side; 2] {
        [&mut self.theirs, &mut self.ours]
    }

    fn ask(&mut self, message: Message) -> &mut Both {
        let _ = self.each().map(|side| side.ask(&message, 67));
        self
    }

    fn signal(&mut self, signal: Signal) -> &mut Both {
        let _ = self.each().map(|side| side.signal(signal));
        self
    }

    /// Waits for so many more calls of each, which must be the same.
    #[track_caller]
    fn call(&mut self, count: usize) -> Vec<Call> {
        let [theirs, ours] = self.next([count, count]);
        for (theirs, ours) in theirs.iter().zip(&ours) {
            assert!(alike(theirs, ours), "\ndnsmasq: {theirs:?}\nlanboot: {ours:?}");
        }
        ours
    }

    /// The calls for leases that were there at the start, in any order.
    #[track_caller]
    fn calls_at_start(&mut self, count: usize) -> BTreeSet<String> {
        let [theirs, ours] = self.next([count, count]);
        assert!(theirs.iter().all(|call| ours.iter().any(|other| alike(call, other))), "{theirs:?}\n{ours:?}");
        assert!(ours.iter().all(|call| theirs.iter().any(|other| alike(other, call))), "{theirs:?}\n{ours:?}");
        ours.into_iter().map(|(said, _)| said).collect()
    }

    /// So many more calls of each, and no other.
    #[track_caller]
    fn next(&mut self, counts: [usize; 2]) -> [Vec<Call>; 2] {
        let from = self.compared;
        self.compared = [from[0] + counts[0], from[1] + counts[1]];
        for (side, wanted) in [&self.theirs, &self.ours].into_iter().zip(self.compared) {
            eventually_or(|| calls(side).len() >= wanted, || format!("{:?}", calls(side)));
        }
        let [theirs, ours] = [&self.theirs, &self.ours].map(calls);
        assert_eq!([theirs.len(), ours.len()], self.compared, "\ndnsmasq: {theirs:?}\nlanboot: {ours:?}");
        [theirs[from[0]..].to_vec(), ours[from[1]..].to_vec()]
    }

    /// The next call, which must be this one.
    #[track_caller]
    fn calls(&mut self, arguments: &str) -> BTreeMap<String, String> {
        let [(said, variables)] = &self.call(1)[..] else { unreachable!("one was asked for") };
        assert_eq!(said, arguments);
        variables.clone()
    }

    #[track_caller]
    fn calls_all(&mut self, wanted: &[&str]) {
        let said: Vec<_> = self.call(wanted.len()).into_iter().map(|(said, _)| said).collect();
        assert_eq!(said, wanted);
    }

    /// Ends both: there were no other calls, and the lease files say the same.
    #[track_caller]
    fn end(mut self) -> Both {
        for side in self.each() {
            side.stop();
        }
        self.call(0);
        let leases = || [&self.theirs, &self.ours].map(|side| side.leases());
        let [theirs, ours] = leases();
        assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
        for ((end, line), (our_end, our_line)) in theirs.values().zip(ours.values()) {
            assert!(line == our_line && end.abs_diff(*our_end) <= SLACK, "{theirs:?}\n{ours:?}");
        }
        self
    }
}

/// As [`eventually`], and says what there is instead.
fn eventually_or(condition: impl Fn() -> bool, instead: impl Fn() -> String) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "not even after {LONG:?}: {}", instead());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn calls(side: &Side) -> Vec<Call> {
    let text = fs::read_to_string(side.folder().join("calls")).unwrap_or_default();
    // A line without its end is still being written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let call = |line: &str| -> Call {
        let mut parts = line.split('|');
        let folder = side.folder().display().to_string();
        let arguments = parts.next().expect("there is always one").replace(&folder, "FOLDER");
        let variable = |part: &str| {
            part.trim_start_matches("DNSMASQ_").split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        (arguments, parts.filter_map(variable).collect())
    };
    let mut calls: Vec<Call> = Vec::new();
    for call in whole.lines().map(call) {
        // dnsmasq may tell twice of a lease that is there at the start: once would do.
        let told =
            call.0.starts_with("old") && call.1.contains_key("DATA_MISSING") && !call.1.contains_key("OLD_HOSTNAME");
        let again = side.which == Which::Dnsmasq && told && calls.iter().any(|other| alike(other, &call));
        if !again {
            calls.push(call);
        }
    }
    calls
}

fn alike((said, theirs): &Call, (our_said, ours): &Call) -> bool {
    let near = |name: &str, a: &str, b: &str| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) if name.starts_with("LEASE_") || name.starts_with("TIME_") => a.abs_diff(b) <= SLACK,
        _ => a == b,
    };
    said == our_said
        && theirs.keys().eq(ours.keys())
        && theirs.iter().all(|(name, value)| near(name, value, &ours[name]))
}

const RANGE: &str = "dhcp-range=set:r,10.0.1.100,10.0.1.150,1h";

fn of(machine: u8, last: u8, name: &str) -> String {
    let text = format!("{} 10.0.1.{last} {name}", mac(machine));
    text.trim_end().to_owned()
}

#[test]
fn a_lease_comes_changes_is_renewed_and_goes() {
    let mut both = Both::start(&[RANGE, "dhcp-match=set:m,option:vendor-class,udhcp"]);
    let first = select(1, host(100))
        .with(code::HOST_NAME, b"alpha")
        .with(code::CLIENT_ID, &[1, 2, 3, 4, 5, 6, 7])
        .with(code::VENDOR_CLASS, b"udhcp")
        .with(code::USER_CLASS, b"\x03abc\x01d")
        .with(161, b"https://mud.example/x.json")
        .asks(&[1, 3, 6]);
    both.ask(discover(1)).ask(first);
    let said = both.calls(&format!("add {}", of(1, 100, "alpha")));
    assert_eq!(
        (said["TAGS"].as_str(), said["USER_CLASS1"].as_str(), said["INTERFACE"].as_str()),
        ("r m net", "d", "net")
    );
    // Asked for anew, renewed, and renewed under another name; then by somebody who says no name.
    both.ask(reboot(1, host(100)).with(code::VENDOR_CLASS, b"again").with(code::CLIENT_ID, &[1, 2, 3, 4, 5, 6, 7]));
    both.calls(&format!("old {}", of(1, 100, "alpha")));
    both.ask(renew(1, host(100)).with(code::CLIENT_ID, &[1, 2, 3, 4, 5, 6, 7]));
    both.call(0);
    both.ask(renew(1, host(100)).with(code::HOST_NAME, b"beta").with(code::CLIENT_ID, &[1, 2, 3, 4, 5, 6, 7]));
    both.calls_all(&[&format!("old {}", of(1, 100, "")), &format!("old {}", of(1, 100, "beta"))]);
    // Another machine takes the name.
    both.ask(discover(2)).ask(select(2, host(101)).with(code::HOST_NAME, b"beta"));
    let lost = format!("old {}", of(1, 100, ""));
    both.calls_all(&[&lost, &format!("add {}", of(2, 101, "beta")), &lost]);
    both.ask(decline(2, host(101)));
    both.calls(&format!("del {}", of(2, 101, "beta")));
    both.ask(release(1, host(100)).with(code::CLIENT_ID, &[1, 2, 3, 4, 5, 6, 7]));
    both.calls(&format!("del {}", of(1, 100, "")));
    both.end();
}

#[test]
fn sighup_tells_of_every_lease_again() {
    let mut both = Both::start(&[RANGE]);
    both.ask(discover(1)).ask(select(1, host(100)).with(code::HOST_NAME, b"alpha"));
    both.calls(&format!("add {}", of(1, 100, "alpha")));
    both.signal(Signal::SIGHUP);
    assert_eq!(both.calls(&format!("old {}", of(1, 100, "alpha")))["DATA_MISSING"], "1");
    both.end();
}

#[test]
fn a_relays_words_reach_the_script() {
    let mut both = Both::start(&[RANGE, "log-dhcp"]);
    let agent = b"\x01\x03cid\x02\x04\x01\x02\x03\x04\x06\x03sub";
    let relayed = |message: Message| message.by(host(9)).with(code::RELAY_AGENT, agent);
    both.ask(relayed(discover(1))).ask(relayed(select(1, host(100))));
    let said = both.calls(&format!("add {}", of(1, 100, "")));
    assert_eq!((said["RELAY_ADDRESS"].as_str(), said["LOG_DHCP"].as_str()), ("10.0.1.9", "1"));
    both.end();
}

#[test]
fn firmware_is_told_of_as_it_is() {
    let mut both = Both::start(&[RANGE]);
    let bare = b"iPXE";
    both.ask(discover(1))
        .ask(select(1, host(100)).with(code::USER_CLASS, bare).with(code::VENDOR_CLASS, b"PXEClient:Arch:00000"));
    both.calls(&format!("add {}", of(1, 100, "")));
    both.end();
}

#[test]
fn a_machine_that_moves_loses_its_former_lease() {
    let mut both = Both::start(&[RANGE, "dhcp-authoritative"]);
    both.ask(discover(1)).ask(select(1, host(100)));
    both.calls(&format!("add {}", of(1, 100, "")));
    both.ask(release(1, host(100)));
    both.calls(&format!("del {}", of(1, 100, "")));
    both.ask(discover(2)).ask(reboot(2, host(120)));
    both.calls(&format!("add {}", of(2, 120, "")));
    both.end();
}

#[test]
fn leases_of_a_dnsmasq_before_are_told_of_and_run_out() {
    let start = now();
    let before = format!(
        "{} {} 10.0.1.110 here 01:52:54:00:00:00:01\n{} {} 10.0.1.111 gone ff:01:02\n{} {} 10.0.1.112 soon *\n",
        start + 3600,
        mac(1),
        start - 100,
        mac(2),
        start + 15,
        mac(3)
    );
    let mut both = Both::prepared(&[RANGE], |folder| fs::write(folder.join("leases"), &before).expect("room"));
    let told = both.calls_at_start(3);
    let wanted = [
        format!("del {}", of(2, 111, "gone")),
        format!("old {}", of(1, 110, "here")),
        format!("old {}", of(3, 112, "soon")),
    ];
    assert_eq!(told, wanted.into());
    // It runs out by itself, with nobody asking.
    both.calls(&format!("del {}", of(3, 112, "soon")));
    both.end();
}

#[test]
fn what_is_not_ours_in_the_lease_file_stays() {
    let start = now();
    let kept = format!("duid 00:01:00:01:2a:2b:2c:2d:52:54:00:00:00:01\n{} 1234 fd00::5 six 00:01:02\n", start + 3600);
    let before = format!("0 {} 10.0.1.110 ever *\n{kept}", mac(1));
    let mut both = Both::prepared(&[RANGE], |folder| fs::write(folder.join("leases"), &before).expect("room"));
    // dnsmasq tells of the lease of IPv6 too.
    both.next([2, 1]);
    both.ask(discover(2)).ask(select(2, host(100)));
    both.calls(&format!("add {}", of(2, 100, "")));
    for side in both.each() {
        side.stop();
        let path = side.folder().join("leases");
        let text = fs::read_to_string(&path).expect("a lease file");
        assert!(text.ends_with(&kept), "{text}");
        assert!(text.starts_with(&format!("0 {} 10.0.1.110 ever *\n", mac(1))) || text.contains("\n0 "), "{text}");
        assert_eq!(path.metadata().expect("it is there").mode() & 0o777, 0o644);
    }
}

#[test]
fn renewals_are_told_where_they_are_asked_for() {
    let mut both = Both::start(&[RANGE, "script-on-renewal"]);
    both.ask(discover(1)).ask(select(1, host(100)).with(code::VENDOR_CLASS, b"udhcp"));
    both.calls(&format!("add {}", of(1, 100, "")));
    // lanboot's seconds of leases do not begin with those of the clock.
    let before = now();
    eventually(|| now() > before + 1);
    both.ask(renew(1, host(100)).with(code::VENDOR_CLASS, b"udhcp"));
    both.calls(&format!("old {}", of(1, 100, "")));
    both.end();
}

#[test]
fn the_script_keeps_the_leases() {
    let start = now();
    let init = format!("{} {} 10.0.1.110 here 01:52:54:00:00:00:01\n", start + 1800, mac(1));
    let mut both =
        Both::prepared(&[RANGE, "leasefile-ro"], |folder| fs::write(folder.join("init"), &init).expect("room"));
    assert!(both.calls_at_start(2).contains("init"));
    both.ask(renew(1, host(110)));
    both.calls(&format!("old {}", of(1, 110, "here")));
    both.ask(discover(2)).ask(select(2, host(100)));
    both.calls(&format!("add {}", of(2, 100, "")));
    let both = both.end();
    for side in [&both.theirs, &both.ours] {
        assert!(!side.folder().join("leases").exists(), "no lease file is written");
    }
}

#[test]
fn in_debug_mode_the_script_runs_as_whoever_we_are() {
    let mut both = Both::start(&[RANGE, "dhcp-scriptuser=nobody"]);
    both.ask(discover(1)).ask(select(1, host(100)));
    both.calls(&format!("add {}", of(1, 100, "")));
    let owner = |side: &Side| {
        let about = side.folder().join("calls").metadata().expect("it was called");
        (about.uid(), about.gid())
    };
    // Not with `--no-daemon`.
    assert_eq!((owner(&both.theirs), owner(&both.ours)), ((0, 0), (0, 0)));
    both.end();
}

#[test]
fn files_sent_are_told_of() {
    let mut both = Both::prepared(&[RANGE, "enable-tftp", "tftp-root=FOLDER/tftp"], |folder| {
        fs::create_dir(folder.join("tftp")).expect("a new folder");
        fs::set_permissions(folder.join("tftp"), fs::Permissions::from_mode(0o755)).expect("our own");
        fs::write(folder.join("tftp/pxelinux.0"), [7; 1000]).expect("room");
    });
    for side in both.each() {
        side.client().run("ip address add 10.0.1.77/24 dev eth0");
        side.client().run("curl -sf --max-time 20 tftp://10.0.1.1/pxelinux.0");
    }
    both.calls("tftp 1000 10.0.1.77 FOLDER/tftp/pxelinux.0");
    both.end();
}

#[test]
fn a_script_that_fails_is_logged_and_called_again() {
    let mut both = Both::prepared(&[RANGE], |folder| fs::write(folder.join("status"), "3").expect("room"));
    both.ask(discover(1)).ask(select(1, host(100)));
    both.calls(&format!("add {}", of(1, 100, "")));
    both.ask(release(1, host(100)));
    both.calls(&format!("del {}", of(1, 100, "")));
    for side in both.each() {
        let said = side.stop().err;
        assert_eq!(said.matches("script process exited with status 3").count(), 2, "{said}");
    }
}

#[test]
fn neighbours_are_told_of_where_that_is_asked_for() {
    let mut both = Both::start(&[RANGE, "script-arp"]);
    // dnsmasq looks at its leisure: after ninety seconds, or when it has to.
    both.ours.neighbour("add 10.0.1.80 lladdr 52:54:00:00:00:50 nud permanent");
    eventually(|| calls(&both.ours).iter().any(|(said, _)| said == "arp-add 52:54:00:00:00:50 10.0.1.80"));
    both.ours.neighbour("del 10.0.1.80");
    eventually(|| calls(&both.ours).iter().any(|(said, _)| said == "arp-del 52:54:00:00:00:50 10.0.1.80"));
    for side in both.each() {
        side.stop();
    }
}
