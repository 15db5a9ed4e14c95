//! Measures lanboot beside the programs that people use today, in networks of its own, round after round in turn: what
//! disturbs this computer for a while disturbs all.
//!
//! usage: bench [--rounds N] [--slow] [SUBJECT]...    subjects: start-up memory leases dhcp tftp http names storm machine; all of them by default
//!
//! Exit status 1 when a figure misses its mark.

mod bed;
mod dhcp_load;
mod group;
mod http_client;
mod http_load;
mod known_leases;
mod machine;
mod memory;
mod names;
mod nothing;
mod plain;
mod program;
mod pxe;
mod server;
mod start_up;
mod storm_load;
mod table;
mod tftp_client;
mod tftp_load;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use dhcp_load::DhcpLoad;
use http_load::HttpLoad;
use known_leases::KnownLeases;
use machine::Machine;
use memory::Memory;
use names::Names;
use program::Program;
use start_up::StartUp;
use storm_load::Boots;
use table::{Mark, Table};
use tftp_load::TftpLoad;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 7;

/// Something to measure.
trait Subject {
    /// What is compared.
    fn programs(&self) -> &'static [Program];

    /// Measures each program once, in this order.
    fn round(&mut self, order: &[Program], table: &mut Table) -> Result<()>;
}

/// Given whether what takes minutes is to be measured as well.
type Make = fn(bool) -> Result<Box<dyn Subject>>;
/// By the name of their figure.
type Marks = &'static [(&'static str, Mark)];

/// Name, marks that lanboot is to keep, and how to begin.
const SUBJECTS: [(&str, Marks, Make); 9] = [
    ("start-up", start_up::MARKS, |_| Ok(Box::new(StartUp::new()?))),
    ("memory", memory::MARKS, |_| Ok(Box::new(Memory::new()?))),
    ("leases", known_leases::MARKS, |slow| Ok(Box::new(KnownLeases::new(slow)?))),
    ("dhcp", dhcp_load::MARKS, |_| Ok(Box::new(DhcpLoad::new()?))),
    ("tftp", tftp_load::MARKS, |_| Ok(Box::new(TftpLoad::new()?))),
    ("http", http_load::MARKS, |_| Ok(Box::new(HttpLoad::new()?))),
    ("names", &[], |_| Ok(Box::new(Names::new()?))),
    ("storm", storm_load::MARKS, |_| Ok(Box::new(Boots::new()?))),
    ("machine", &[], |_| Ok(Box::new(Machine::new()?))),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "nothing" => nothing::serve(rest).map(|()| true),
        _ => measure(arguments),
    }
}

/// Returns whether every figure keeps its mark.
fn measure(arguments: Vec<String>) -> Result<bool> {
    let Options { rounds, slow, congestion, names } = read(arguments)?;
    congestion.into_iter().for_each(bed::set_congestion);
    let wanted = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    let mut subjects = Vec::new();
    for (name, marks, make) in SUBJECTS {
        if wanted(name) {
            subjects.push((name, marks, make(slow).map_err(|error| format!("{name}: {error}"))?));
        }
    }
    let mut table = Table::default();
    let start = Instant::now();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (name, marks, subject) in &mut subjects {
            table.open(name, marks);
            let mut order = subject.programs().to_vec();
            let first = round % order.len().max(1);
            order.rotate_left(first);
            subject.round(&order, &mut table).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    println!("{rounds} rounds in {:.0} s; median (quartiles)\n\n{table}", start.elapsed().as_secs_f64());
    Ok(table.all_kept())
}

struct Options {
    rounds: usize,
    slow: bool,
    /// TCP's congestion control of the networks that are measured in; `None`: this computer's.
    congestion: Option<String>,
    /// Of subjects; none for all.
    names: Vec<String>,
}

fn read(arguments: Vec<String>) -> Result<Options> {
    let mut options = Options { rounds: ROUNDS, slow: false, congestion: None, names: Vec::new() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            let number = arguments.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            options.rounds = number.ok_or("--rounds takes a number, one or more")?;
        } else if argument == "--slow" {
            options.slow = true;
        } else if argument == "--congestion" {
            options.congestion = Some(arguments.next().ok_or("--congestion takes a name, such as reno")?);
        } else if SUBJECTS.iter().any(|(name, ..)| *name == argument) {
            options.names.push(argument);
        } else {
            let known: Vec<_> = SUBJECTS.iter().map(|(name, ..)| *name).collect();
            return Err(format!(
                "{argument} is no subject; there are {}, and --rounds N, --slow, --congestion NAME",
                known.join(", ")
            )
            .into());
        }
    }
    Ok(options)
}
