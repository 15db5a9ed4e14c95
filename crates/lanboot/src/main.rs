//! The program: arguments in, exit code out.

mod args;
mod check;
mod dnsmasq;
mod explain;
mod explain_rules;
mod firmware;
mod import;
mod lab;
mod lab_dnsmasq;
mod leases;
mod name_files;
mod names;
mod problem;
mod query_log;
mod setup;
mod story;
mod summary;
mod up;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use config::Diagnostics;
use nix::sys::signal::{SigHandler, Signal, signal};

use args::{Cli, Command};

/// What a command comes to: its exit code, or what kept it from doing its work.
type Outcome = Result<ExitCode, Diagnostics>;

fn main() -> ExitCode {
    if let Some(options) = dnsmasq_options(&std::env::args_os().collect::<Vec<_>>()) {
        return dnsmasq::dnsmasq(options);
    }
    let command = Cli::parse().command;
    if matches!(
        command,
        Command::Check(_)
            | Command::Explain(_)
            | Command::Import(_)
            | Command::Leases(_)
            | Command::Story(_)
            | Command::Firmware(_)
    ) {
        end_with_the_pipe();
    }
    let outcome = match command {
        Command::Up(args) => up::up(&args),
        Command::Down(args) => up::down(&args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Lab(args) => lab::lab(&args),
        Command::Dnsmasq { options } => return dnsmasq::dnsmasq(&options),
        Command::Import(args) => import::import(&args),
        Command::Leases(args) => leases::leases(&args),
        Command::Story(args) => story::story(&args),
        Command::Firmware(args) => firmware::firmware(&args),
    };
    outcome.unwrap_or_else(|found| {
        problem::print(&found);
        ExitCode::FAILURE
    })
}

/// The options that are dnsmasq's own, and not for our parser: behind `lanboot dnsmasq`, or under the name `dnsmasq`.
fn dnsmasq_options(args: &[OsString]) -> Option<&[OsString]> {
    let (program, rest) = args.split_first()?;
    match rest.split_first() {
        _ if Path::new(program).file_name() == Some("dnsmasq".as_ref()) => Some(rest),
        Some((command, options)) if command == "dnsmasq" => Some(options),
        _ => None,
    }
}

/// `lanboot leases | head` ends quietly, as other programs do. Not for commands that have something to put back.
fn end_with_the_pipe() {
    // SAFETY: no handler is installed, and no other thread runs yet.
    let set = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    set.expect("SIGPIPE is a signal that may have its default");
}
