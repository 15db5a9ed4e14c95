//! Measures lanboot beside dnsmasq, in networks of its own, round after round in turn: what disturbs this computer for a
//! while disturbs both.
//!
//! usage: bench [--rounds N] [SUBJECT]...    subjects: start-up memory dhcp files names machine; all of them by default
//!
//! Exit status 1 when a figure misses its bound.

mod bed;
mod dhcp_load;
mod files;
mod machine;
mod memory;
mod names;
mod pxe;
mod server;
mod start_up;
mod table;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use dhcp_load::DhcpLoad;
use files::FileTransfers;
use machine::Machine;
use memory::Memory;
use names::Names;
use server::Program;
use start_up::StartUp;
use table::Table;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 15;

/// Something to measure.
trait Subject {
    /// Measures both programs once, in this order.
    fn round(&mut self, order: [Program; 2], table: &mut Table) -> Result<()>;
}

type Make = fn() -> Result<Box<dyn Subject>>;

const SUBJECTS: [(&str, Make); 6] = [
    ("start-up", || Ok(Box::new(StartUp::new()?))),
    ("memory", || Ok(Box::new(Memory::new()?))),
    ("dhcp", || Ok(Box::new(DhcpLoad::new()?))),
    ("files", || Ok(Box::new(FileTransfers::new()?))),
    ("names", || Ok(Box::new(Names::new()?))),
    ("machine", || Ok(Box::new(Machine::new()?))),
];

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every figure keeps its bound.
fn measure() -> Result<bool> {
    let (rounds, names) = arguments()?;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    let mut subjects = Vec::new();
    for (name, make) in SUBJECTS {
        if wanted(name) {
            subjects.push(make().map_err(|error| format!("{name}: {error}"))?);
        }
    }
    let mut table = Table::default();
    let start = Instant::now();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let order = if round & 1 == 0 { Program::BOTH } else { [Program::Dnsmasq, Program::Lanboot] };
        for subject in &mut subjects {
            subject.round(order, &mut table)?;
        }
    }
    println!("{rounds} rounds in {:.0} s; median (quartiles)\n\n{table}", start.elapsed().as_secs_f64());
    let mut kept = true;
    for (figure, bound) in [start_up::BOUND, memory::BOUND] {
        let Some(median) = table.median(figure, Program::Lanboot) else { continue };
        kept &= median < bound;
        let verdict = if median < bound { "kept" } else { "MISSED" };
        println!("lanboot, {figure}: {median:.1}, to be under {bound}: {verdict}");
    }
    Ok(kept)
}

fn arguments() -> Result<(usize, Vec<String>)> {
    let mut rounds = ROUNDS;
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            let number = arguments.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            rounds = number.ok_or("--rounds takes a number, one or more")?;
        } else if SUBJECTS.iter().any(|(name, _)| *name == argument) {
            names.push(argument);
        } else {
            let known: Vec<_> = SUBJECTS.iter().map(|(name, _)| *name).collect();
            return Err(format!("{argument} is no subject; there are {}, and --rounds N", known.join(", ")).into());
        }
    }
    Ok((rounds, names))
}
