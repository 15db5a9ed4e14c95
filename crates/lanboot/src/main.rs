//! The program: arguments in, exit code out.

mod args;
mod check;
mod explain;
mod firmware;
mod lab;
mod leases;
mod problem;
mod setup;
mod summary;
mod up;

use std::process::ExitCode;

use clap::Parser;
use config::Diagnostics;

use args::{Cli, Command};

/// What a command comes to: its exit code, or what kept it from doing its work.
type Outcome = Result<ExitCode, Diagnostics>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(args) => up::up(&args),
        Command::Down(args) => up::down(&args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Lab(args) => lab::lab(&args),
        Command::Leases(args) => leases::list(&args),
        Command::Firmware(args) => firmware::firmware(&args),
    };
    outcome.unwrap_or_else(|found| {
        problem::print(&found);
        ExitCode::FAILURE
    })
}
