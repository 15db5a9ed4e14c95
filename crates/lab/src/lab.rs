//! The lab: starts the machines, waits for their verdicts, leaves nothing running.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use journal::{Journal, Step};
use mac::Mac;
use regex::Regex;
use serde::Serialize;

use crate::firmware::{Firmware, Missing, find_qemu};
use crate::judge::Verdict;
use crate::qemu::{Hardware, Pace};
use crate::trial::Trial;
use crate::typing::Typing;

/// What a machine's folder holds in the end.
const ARTEFACTS: [&str; 6] = ["serial.log", "screen.png", "screen.ppm", "capture.pcapng", "timeline.json", "qemu.log"];

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct LabSpec {
    pub vms: Vec<VmSpec>,
    /// For each machine, from its power on.
    pub timeout: Duration,
    /// Leave the machines running after their verdicts, until they end or `stop` is set. All run at once then.
    pub keep: bool,
    /// How many run at once; `None`: all of them.
    pub jobs: Option<usize>,
    /// The bridge that the machines are plugged into, in the network of the calling thread.
    pub bridge: String,
    /// A folder for what is left to read; each machine gets one of its name in there. Made when it is not there.
    pub artefacts: PathBuf,
}

impl LabSpec {
    fn at_once(&self) -> usize {
        let all = self.vms.len();
        if self.keep { all } else { self.jobs.unwrap_or(all).clamp(1, all.max(1)) }
    }

    /// More than two machines to a processor have been seen to spoil each other's timers.
    pub(crate) fn pace(&self) -> Pace {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        if self.at_once() > 2 * processors { Pace::Counted } else { Pace::RealTime }
    }
}

/// One machine to try.
#[derive(Clone, Debug)]
pub struct VmSpec {
    /// Also the name of its folder: no `/` in it.
    pub name: String,
    pub hardware: Hardware,
    /// It has booted when its serial console shows this; `None`: when its operating system is up (see `judge.rs`).
    pub expect: Option<Regex>,
    pub typing: Vec<Typing>,
}

impl VmSpec {
    /// A machine with 512 MiB of memory, named for its firmware and `number`, which counts from 1.
    pub fn new(firmware: Firmware, number: u16) -> VmSpec {
        let mac = vm_mac(number);
        let hardware = Hardware { firmware, mac, memory_mib: 512, rom: None, kernel: None, display: None };
        VmSpec { name: format!("{firmware}-{number}"), hardware, expect: None, typing: Vec::new() }
    }
}

/// The MAC address of the lab's machine of this number: `52:54:00:6c:…`, the same in each run.
pub fn vm_mac(number: u16) -> Mac {
    let [high, low] = number.to_be_bytes();
    Mac([0x52, 0x54, 0x00, 0x6c, high, low])
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In the order of [`LabSpec::vms`].
    pub vms: Vec<VmReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VmReport {
    pub name: String,
    pub firmware: Firmware,
    pub mac: Mac,
    pub passed: bool,
    pub because: String,
    /// From power on to the verdict.
    pub seconds: f64,
    /// Holds `serial.log`, `screen.png`, `capture.pcapng`, `timeline.json` and `qemu.log`.
    pub folder: PathBuf,
}

impl Report {
    /// Whether every machine has booted.
    pub fn passed(&self) -> bool {
        self.vms.iter().all(|vm| vm.passed)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("{folder} cannot be made: {error}\n  fix: choose another folder for the artefacts", folder = .0.display(), error = .1)]
    Artefacts(PathBuf, io::Error),
    #[error("{0}{fix}", fix = .0.fix().map(|fix| format!("\n  fix: {fix}")).unwrap_or_default())]
    NoTap(#[from] host::TapError),
    #[error("two machines of the lab have the name `{0}`")]
    SameName(String),
}

/// Starts the machines and waits for all verdicts. Blocks; calls for a thread of its own beside an async runtime.
///
/// The calling thread's network must hold the bridge, and `journal` must be the one that the services there report to.
/// Setting `stop` ends every machine with the verdict `interrupted`. No QEMU outlives this call.
///
/// # Errors
/// What makes the whole trial pointless. A single machine that cannot be started is a failed verdict.
pub fn run(spec: &LabSpec, journal: &Journal, stop: &AtomicBool) -> Result<Report, LabError> {
    check(spec)?;
    let next = AtomicUsize::new(0);
    let reports: Mutex<Vec<(usize, VmReport)>> = Mutex::default();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(vm) = spec.vms.get(index) else { return };
            let report = try_one(vm, spec, journal, stop);
            reports.lock().expect("no thread panics while it holds this").push((index, report));
        }
    };
    thread::scope(|scope| {
        for _ in 0..spec.at_once() {
            scope.spawn(work);
        }
    });
    let mut reports = reports.into_inner().expect("no thread panics while it holds this");
    reports.sort_by_key(|(index, _)| *index);
    Ok(Report { vms: reports.into_iter().map(|(_, report)| report).collect() })
}

/// Whether the emulators and firmware for all machines are installed, and their folders can be made.
///
/// # Errors
/// The first thing that is missing.
pub fn check(spec: &LabSpec) -> Result<(), LabError> {
    host::Tap::possible()?;
    for (index, vm) in spec.vms.iter().enumerate() {
        find_qemu(vm.hardware.firmware)?;
        vm.hardware.firmware.images()?;
        if spec.vms[..index].iter().any(|other| other.name == vm.name) {
            return Err(LabError::SameName(vm.name.clone()));
        }
        let folder = spec.artefacts.join(&vm.name);
        fs::create_dir_all(&folder).map_err(|error| LabError::Artefacts(folder, error))?;
    }
    Ok(())
}

fn try_one(vm: &VmSpec, lab: &LabSpec, journal: &Journal, stop: &AtomicBool) -> VmReport {
    let folder = lab.artefacts.join(&vm.name);
    // What an earlier run left must not be taken for this one's.
    for file in ARTEFACTS {
        let _ = fs::remove_file(folder.join(file));
    }
    let (verdict, took) = if stop.load(Ordering::Relaxed) {
        tell(vm, journal, Verdict { passed: false, because: "interrupted before it was started".to_owned() })
    } else {
        observe(vm, lab, journal, stop, &folder)
    };
    VmReport {
        name: vm.name.clone(),
        firmware: vm.hardware.firmware,
        mac: vm.hardware.mac,
        passed: verdict.passed,
        because: verdict.because,
        seconds: took.as_secs_f64(),
        folder,
    }
}

/// Returns the verdict, and how long it took from power on.
fn observe(vm: &VmSpec, lab: &LabSpec, journal: &Journal, stop: &AtomicBool, folder: &Path) -> (Verdict, Duration) {
    let mut trial = match Trial::start(vm, lab, journal, folder) {
        Ok(trial) => trial,
        Err(error) => return tell(vm, journal, Verdict { passed: false, because: error.to_string() }),
    };
    let started = Instant::now();
    let verdict = trial.verdict(stop);
    let took = started.elapsed();
    trial.save_screen();
    let (verdict, _) = tell(vm, journal, verdict);
    if lab.keep {
        trial.run_on(stop);
    }
    trial.finish(if verdict.passed { "it has booted" } else { "it has not booted" });
    (verdict, took)
}

/// Writes the verdict into the journal. Returns it; no time was taken.
fn tell(vm: &VmSpec, journal: &Journal, verdict: Verdict) -> (Verdict, Duration) {
    let Verdict { passed, because } = verdict.clone();
    journal.append(Some(vm.hardware.mac), Step::Verdict { name: vm.name.clone(), passed, because });
    (verdict, Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, vms: Vec<VmSpec>) -> LabSpec {
        let artefacts = std::env::temp_dir().join(format!("lanboot-lab-{name}-{}", std::process::id()));
        let timeout = Duration::from_secs(60);
        LabSpec { vms, timeout, keep: false, jobs: None, bridge: "no-such-bridge".to_owned(), artefacts }
    }

    #[test]
    fn machine_that_cannot_be_started_is_a_failed_verdict_in_its_place() {
        let spec = spec("unplugged", vec![VmSpec::new(Firmware::Bios, 1), VmSpec::new(Firmware::Bios, 2)]);
        let journal = Journal::new();
        let report =
            crate::namespace::Namespace::new().unwrap().run(|| run(&spec, &journal, &AtomicBool::new(false)).unwrap());
        fs::remove_dir_all(&spec.artefacts).unwrap();
        assert!(!report.passed());
        let names: Vec<&str> = report.vms.iter().map(|vm| vm.name.as_str()).collect();
        assert_eq!(names, ["bios-1", "bios-2"]);
        assert!(report.vms[0].because.contains("no-such-bridge"), "{}", report.vms[0].because);
        let verdicts = journal.events_of(vm_mac(2));
        assert!(matches!(verdicts.as_slice(), [event] if matches!(event.step, Step::Verdict { passed: false, .. })));
    }

    #[test]
    fn nothing_is_started_after_an_interrupt() {
        let spec = spec("stopped", vec![VmSpec::new(Firmware::Bios, 1)]);
        let report = run(&spec, &Journal::new(), &AtomicBool::new(true)).unwrap();
        fs::remove_dir_all(&spec.artefacts).unwrap();
        assert_eq!(report.vms[0].because, "interrupted before it was started");
    }

    #[test]
    fn many_emulated_machines_count_instructions() {
        let many = 2 * thread::available_parallelism().unwrap().get() as u16 + 1;
        let crowd = spec("crowd", (1..=many).map(|number| VmSpec::new(Firmware::Bios, number)).collect());
        assert_eq!(crowd.pace(), Pace::Counted);
        assert_eq!(LabSpec { jobs: Some(2), ..crowd }.pace(), Pace::RealTime);
    }

    #[test]
    fn two_machines_of_one_name_are_refused() {
        let spec = spec("same", vec![VmSpec::new(Firmware::Bios, 1), VmSpec::new(Firmware::Bios, 1)]);
        let result = run(&spec, &Journal::new(), &AtomicBool::new(false));
        fs::remove_dir_all(&spec.artefacts).unwrap();
        assert!(matches!(result, Err(LabError::SameName(name)) if name == "bios-1"));
    }
}
