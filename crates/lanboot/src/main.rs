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
use nix::sys::signal::{SigHandler, Signal, signal};

use args::{Cli, Command};

/// What a command comes to: its exit code, or what kept it from doing its work.
type Outcome = Result<ExitCode, Diagnostics>;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if matches!(command, Command::Check(_) | Command::Explain(_) | Command::Leases(_) | Command::Firmware(_)) {
        end_with_the_pipe();
    }
    let outcome = match command {
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

/// `lanboot leases | head` ends quietly, as other programs do. Not for commands that have something to put back.
fn end_with_the_pipe() {
    // SAFETY: no handler is installed, and no other thread runs yet.
    let set = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    set.expect("SIGPIPE is a signal that may have its default");
}
