//! Real QEMU on a network without any service. Needs root, qemu-system-x86_64 and tcpdump.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use journal::{Event, Heard, Journal, Step};
use lab::{Firmware, LabSpec, Namespace, Report, VmSpec, run};

/// A network with a bridge `net` in it.
fn network() -> Namespace {
    let namespace = Namespace::new().unwrap();
    for arguments in ["link add net type bridge", "link set net up"] {
        assert!(namespace.command("ip").args(arguments.split(' ')).status().unwrap().success());
    }
    namespace
}

fn spec(name: &str, vms: Vec<VmSpec>) -> LabSpec {
    let artefacts = std::env::temp_dir().join(format!("lanboot-lab-{name}-{}", std::process::id()));
    let timeout = Duration::from_secs(120);
    LabSpec { vms, timeout, keep: false, jobs: None, bridge: "net".to_owned(), artefacts }
}

/// Runs the lab in a network of its own.
fn run_in_network(spec: &LabSpec, journal: &Journal) -> Report {
    network().run(|| run(spec, journal, &AtomicBool::new(false)).unwrap())
}

/// The same, interrupted when a console shows `line`.
fn run_until(line: &str, spec: &LabSpec, journal: &Journal) -> Report {
    let network = network();
    let stop = AtomicBool::new(false);
    let follower = journal.follow();
    thread::scope(|scope| {
        scope.spawn(|| {
            let is_over = |heard: Heard| match heard {
                Heard::Event(event) => match &event.step {
                    Step::Console { line: shown } => shown.contains(line),
                    step => matches!(step, Step::Verdict { .. }),
                },
                Heard::Skipped(_) => false,
            };
            follower.into_iter().any(is_over);
            stop.store(true, Ordering::Relaxed);
        });
        network.run(|| run(spec, journal, &stop).unwrap())
    })
}

fn is_running(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

#[test]
fn interrupt_ends_the_machine_and_leaves_its_artefacts() {
    let spec = spec("interrupt", vec![VmSpec::new(Firmware::Bios, 7)]);
    let journal = Journal::new();
    let report = run_until("Network Boot Firmware", &spec, &journal);

    let vm = &report.vms[0];
    assert!(!vm.passed && vm.because.starts_with("interrupted; it never asked for an address"), "{}", vm.because);
    let events = journal.events_of(vm.mac);
    let Some(pid) = events.iter().find_map(|event| match event.step {
        Step::VmStarted { pid, .. } => Some(pid),
        _ => None,
    }) else {
        panic!("{events:?}")
    };
    assert!(!is_running(pid));

    let artefact = |name: &str| -> PathBuf { vm.folder.join(name) };
    assert!(fs::read_to_string(artefact("serial.log")).unwrap().contains("iPXE initialising devices...ok"));
    assert!(fs::read_to_string(artefact("qemu.log")).unwrap().contains("mac=52:54:00:6c:00:07"));
    assert!(fs::read(artefact("screen.png")).unwrap().starts_with(b"\x89PNG"));
    let timeline: Vec<Event> = serde_json::from_slice(&fs::read(artefact("timeline.json")).unwrap()).unwrap();
    assert_eq!(timeline, events.iter().map(|event| (**event).clone()).collect::<Vec<_>>());
    assert!(matches!(timeline.last().unwrap().step, Step::VmStopped { .. }));
    let tcpdump = Command::new("tcpdump").arg("-nr").arg(artefact("capture.pcapng")).output().unwrap();
    assert!(tcpdump.status.success(), "{tcpdump:?}");
    fs::remove_dir_all(&spec.artefacts).unwrap();
}

#[test]
fn expected_console_line_passes_and_jobs_limit_what_runs_at_once() {
    let mut vms = vec![VmSpec::new(Firmware::Bios, 1), VmSpec::new(Firmware::Bios, 2)];
    vms.iter_mut().for_each(|vm| vm.expect = Some(regex::Regex::new(r"iPXE initialising devices\.\.\.ok").unwrap()));
    let spec = LabSpec { jobs: Some(1), ..spec("expect", vms) };
    let journal = Journal::new();
    let report = run_in_network(&spec, &journal);
    fs::remove_dir_all(&spec.artefacts).unwrap();

    assert!(report.passed(), "{report:?}");
    assert_eq!(report.vms[0].because, "its console says `iPXE initialising devices...ok`");
    let steps: Vec<&str> = journal
        .recent(1000)
        .iter()
        .filter_map(|event| match event.step {
            Step::VmStarted { .. } => Some("started"),
            Step::VmStopped { .. } => Some("stopped"),
            _ => None,
        })
        .collect();
    assert_eq!(steps, ["started", "stopped", "started", "stopped"]);
}

#[test]
fn firmware_without_an_answer_is_a_failed_boot() {
    let spec = spec("silence", vec![VmSpec::new(Firmware::Bios, 3)]);
    let report = run_in_network(&spec, &Journal::new());
    fs::remove_dir_all(&spec.artefacts).unwrap();
    let because = &report.vms[0].because;
    assert!(!report.passed());
    assert!(because.starts_with("its firmware found nothing to boot: No bootable device"), "{because}");
}
