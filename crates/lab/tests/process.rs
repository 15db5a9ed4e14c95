//! What takes a process of its own: entering a network for good, and dying in the middle of a run. Needs root, to become
//! an ordinary user among other things. No test harness, because that starts threads.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use journal::{Journal, Step};
use lab::{Firmware, LabSpec, VmSpec, enter_private_network, run};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("child-network") => child_network(),
        Some("child-lab") => child_lab(),
        _ => {
            ordinary_user_becomes_root_of_a_network_of_their_own();
            println!("ordinary_user_becomes_root_of_a_network_of_their_own ... ok");
            killed_lab_leaves_no_machine_behind();
            println!("killed_lab_leaves_no_machine_behind ... ok");
        }
    }
}

/// This program, where every user may run it.
fn ordinary_user_becomes_root_of_a_network_of_their_own() {
    let folder = std::env::temp_dir().join(format!("lanboot-process-{}", std::process::id()));
    let program = folder.join("child");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&program).arg("child-network").uid(65534).gid(65534).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // A host that forbids it must say which of its settings does.
    let forbidden = said.contains("forbids user namespaces") && said.contains("fix: ");
    assert!(said == "root of lo net\n" || forbidden, "{output:?}");
}

fn child_network() {
    if let Err(error) = enter_private_network() {
        return println!("{error}");
    }
    for arguments in ["link add net type bridge", "link set net up"] {
        assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success());
    }
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names: Vec<&str> = devices.lines().skip(2).map(|line| line.split(':').next().unwrap().trim()).collect();
    let user = if nix::unistd::geteuid().is_root() { "root" } else { "nobody" };
    println!("{user} of {}", names.join(" "));
}

fn killed_lab_leaves_no_machine_behind() {
    let mut child =
        Command::new(std::env::current_exe().unwrap()).arg("child-lab").stdout(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let machine = format!("/proc/{}", line.parse::<u32>().unwrap());
    assert!(fs::read_to_string(format!("{machine}/cmdline")).unwrap().contains("qemu-system"));
    child.kill().unwrap();
    child.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(format!("{machine}/cmdline")).is_ok_and(|line| line.contains("qemu-system")) {
        assert!(Instant::now() < end, "QEMU outlived the lab");
        thread::sleep(Duration::from_millis(10));
    }
    fs::remove_dir_all(artefacts(child.id())).unwrap();
}

fn artefacts(pid: u32) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("lanboot-killed-{pid}"))
}

/// Runs a machine that boots nothing, and prints its process's number.
fn child_lab() {
    enter_private_network().unwrap();
    assert!(Command::new("ip").args(["link", "add", "net", "type", "bridge"]).status().unwrap().success());
    let journal = Journal::new();
    let follower = journal.follow();
    thread::spawn(move || {
        for heard in follower {
            if let journal::Heard::Event(event) = heard
                && let Step::VmStarted { pid, .. } = event.step
            {
                println!("{pid}");
            }
        }
    });
    let spec = LabSpec {
        vms: vec![VmSpec::new(Firmware::Bios, 1)],
        timeout: Duration::from_secs(120),
        keep: false,
        jobs: None,
        bridge: "net".to_owned(),
        artefacts: artefacts(std::process::id()),
    };
    run(&spec, &journal, &AtomicBool::new(false)).unwrap();
}
