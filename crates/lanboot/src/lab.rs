//! `lanboot lab`: virtual machines against the real services, in a network of their own, and a verdict for each.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use config::{Config, Diagnostic, Diagnostics, Link, Loaded, Place};
use journal::{Journal, Style, Terminal, Timeline};
use lab::{Firmware, LabSpec, Report, Typing, VmSpec, vm_mac};
use mac::Mac;
use nix::sys::signal::SigSet;
use regex::Regex;

use crate::args::{Lab, Log, Setup};
use crate::{Outcome, lab_dnsmasq, problem, setup, up};

/// What is used when neither a file nor a flag names a network: the lab's own disturbs nobody.
const DEFAULT_BRIDGE: &str = "net=10.0.1.1/24";

pub fn lab(args: &Lab) -> Outcome {
    let signals = up::block_signals()?;
    let mut loaded =
        if args.dnsmasq.is_empty() { load(&args.setup)? } else { lab_dnsmasq::load(&args.dnsmasq, &args.setup)? };
    let spec = spec(args, loaded.config.network.link.name())?;
    lab::check(&spec).map_err(problem::of)?;
    make_private(&mut loaded.config, &args.artefacts)?;
    problem::print(&loaded.warnings);
    // From here on, nothing that is done to the network is done to the host's.
    lab::enter_private_network().map_err(problem::of)?;
    let plan = up::plan(&loaded)?;
    up::Network::check(&loaded, &plan)?;
    let journal = up::open_journal(&loaded.config)?;
    let store = up::open_store(&loaded.config, &journal)?;
    let network = up::Network::up(&loaded, &plan, up::Rivals::Ignored)?;
    let names: HashMap<Mac, String> = spec.vms.iter().map(|vm| (vm.hardware.mac, vm.name.clone())).collect();
    let printing = up::print_journal(journal.follow(), args.log, names.clone());
    let (running, _) = up::serve(&loaded, network.applied.address, store, journal.clone())?;
    let stop = stop_on(signals);
    let report = lab::run(&spec, &journal, &stop).map_err(problem::of)?;
    drop(running);
    let events = journal.clone();
    drop(journal);
    if args.log == Log::Text {
        let text = stories(&report, &events, names) + &verdicts(&report, &args.artefacts);
        // A closed pipe must not keep the exit code from telling.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    events.flush(std::time::Duration::from_secs(2));
    drop(events);
    let _ = printing.join();
    network.down(&Journal::new());
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load(setup: &Setup) -> Result<Loaded, Diagnostics> {
    if setup.bridge.is_some() || setup.interface.is_some() || setup.config.is_some() {
        return setup::load(setup);
    }
    setup::load(&Setup { bridge: Some(DEFAULT_BRIDGE.into()), ..setup.clone() })
}

/// Puts a bridge in place of whatever the configuration serves on, and keeps leases and records with the artefacts.
fn make_private(config: &mut Config, artefacts: &Path) -> Result<(), Diagnostics> {
    let name = config.network.link.name().to_owned();
    let address = config.network.address.or_else(|| host::address_of(&name));
    config.network.address = Some(address.ok_or_else(|| {
        Diagnostic::error(format!("{name} has no address here that the lab could use"))
            .fix("name one: --address 10.0.1.1/24")
    })?);
    config.network.link = Link::Bridge { name, ports: Vec::new() };
    config.network.masquerade = false;
    config.network.forwards.clear();
    config.leases = None;
    config.state_dir = artefacts.join("state");
    forget_former_run(&config.state_dir).map_err(|error| {
        let what = format!("cannot clear {}: {error}", config.state_dir.display());
        Diagnostic::error(what).fix("choose another folder for the artefacts: --out DIR")
    })?;
    up::make_state_dir(&config.state_dir)
}

/// Each run begins with no leases. Only what lanboot writes is removed: with `--out .` the folder may be anybody's.
fn forget_former_run(state: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = ["leases.lo", "journal.jsonl"].iter().any(|start| name.starts_with(start))
            || name.starts_with("host-") && name.contains(".undo");
        if ours && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn spec(args: &Lab, bridge: &str) -> Result<LabSpec, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut take = |flag: &str, result: Result<(), String>| {
        if let Err(error) = result {
            found.push(Diagnostic { place: Place::Flag(flag.to_owned()), ..problem::of(error) });
        }
    };
    let mut firmware: Vec<Firmware> = Vec::new();
    for name in &args.firmware {
        take(
            "--firmware",
            name.parse().map(|kind| firmware.push(kind)).map_err(|error: lab::UnknownFirmware| error.to_string()),
        );
    }
    let mut expect = None;
    if let Some(pattern) = &args.expect {
        take("--expect", Regex::new(pattern).map(|regex| expect = Some(regex)).map_err(|error| error.to_string()));
    }
    let mut typing: Vec<Typing> = Vec::new();
    for text in &args.typing {
        take("--type", text.parse().map(|text| typing.push(text)).map_err(|error: lab::BadTyping| error.to_string()));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let mut vms = Vec::new();
    for kind in firmware {
        for number in 1..=args.count {
            let mut vm = VmSpec::new(kind, vms.len() as u16 + 1);
            debug_assert_eq!(vm.hardware.mac, vm_mac(vms.len() as u16 + 1));
            vm.name = format!("{kind}-{number}");
            vm.hardware.memory_mib = args.memory;
            vm.hardware.display = args.display.clone();
            vm.expect = expect.clone();
            vm.typing = typing.clone();
            vms.push(vm);
        }
    }
    Ok(LabSpec {
        vms,
        timeout: args.timeout,
        keep: args.keep,
        jobs: args.jobs,
        bridge: bridge.to_owned(),
        artefacts: args.artefacts.clone(),
    })
}

/// A flag that is raised by the first SIGINT or SIGTERM.
fn stop_on(signals: SigSet) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    // Ends with the process, if no signal comes.
    std::thread::spawn(move || {
        while signals.wait().is_err() {}
        raised.store(true, Ordering::Relaxed);
    });
    stop
}

/// Each machine's last boot as one block.
fn stories(report: &Report, journal: &Journal, names: HashMap<Mac, String>) -> String {
    let terminal = Terminal::new(Style::detect(&std::io::stdout()), names);
    let now = jiff::Timestamp::now();
    let mut text = String::new();
    for vm in &report.vms {
        let events = journal.events_of(vm.mac);
        for boot in Timeline::of(events.iter().map(|event| event.as_ref())) {
            text.push('\n');
            text.push_str(&terminal.block(&boot, now));
        }
    }
    text
}

fn verdicts(report: &Report, artefacts: &Path) -> String {
    let style = Style::detect(&std::io::stdout());
    let width = report.vms.iter().map(|vm| vm.name.len()).max().unwrap_or(0);
    let mut text = String::from("\n");
    for vm in &report.vms {
        let (word, colour) = if vm.passed { ("booted", "32") } else { ("FAILED", "31") };
        let word = if style.colour { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() };
        text.push_str(&format!("  {:width$}  {word}  {:>6.1} s  {}\n", vm.name, vm.seconds, vm.because));
    }
    let passed = report.vms.iter().filter(|vm| vm.passed).count();
    let logs = "serial logs, screenshots, captures and timelines";
    text.push_str(&format!("\n{passed} of {} booted; {logs} are in {}\n", report.vms.len(), artefacts.display()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_forgets_the_leases_of_the_former_one_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("lanboot-lab-state-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("leases.log.d")).expect("a folder");
        for name in ["leases.log", "leases.lock", "journal.jsonl.1", "host-net.undo", "host-notes.txt", "thesis.tex"] {
            std::fs::write(folder.join(name), "x").expect("a file");
        }
        forget_former_run(&folder).expect("nothing is in the way");
        let mut left: Vec<_> =
            std::fs::read_dir(&folder).expect("there").map(|entry| entry.expect("a name").file_name()).collect();
        left.sort();
        std::fs::remove_dir_all(&folder).expect("ours");
        assert_eq!(left, ["host-notes.txt", "leases.log.d", "thesis.tex"]);
        forget_former_run(&folder).expect("no folder, no leases");
    }
}
