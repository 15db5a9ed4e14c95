//! `lanboot dnsmasq`, also under the name `dnsmasq`: the same services behind dnsmasq's own command line and files.

mod book;
mod call;
mod keeper;
mod lease_file;
mod lines;
mod links;
mod live;
mod log;
pub mod names;
mod privileges;
mod process;
mod script;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

use config::dnsmasq::lower;
use config::dnsmasq::{self, Dialect, Directives, Disk, table};

use crate::problem;

/// dnsmasq's exit codes (its manual, section EXIT CODES).
const BAD_CONFIGURATION: u8 = 1;
const NETWORK_TROUBLE: u8 = 2;
const FILE_TROUBLE: u8 = 3;
const OTHER_TROUBLE: u8 = 5;

/// Runs with dnsmasq's arguments, without the program's name.
pub fn dnsmasq(args: &[OsString]) -> ExitCode {
    let directives = match Dialect::read(args, &Disk) {
        Ok(directives) => directives,
        Err(refusal) => {
            process::fail(&refusal.diagnostics);
            return ExitCode::from(refusal.exit_code);
        }
    };
    match directives.ask {
        dnsmasq::Ask::Run => process::run(directives),
        dnsmasq::Ask::Test => test(&directives),
        dnsmasq::Ask::Version => {
            println!("lanboot {}, in the place of dnsmasq 2.90", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        dnsmasq::Ask::Help => {
            print!("{}", table::help());
            ExitCode::SUCCESS
        }
        dnsmasq::Ask::HelpDhcp => {
            for row in dhcp::v4::options::TABLE {
                println!("{:3} {}", row.code, row.name);
            }
            ExitCode::SUCCESS
        }
        dnsmasq::Ask::HelpDhcp6 => {
            println!("DHCPv6 is not served yet.");
            ExitCode::SUCCESS
        }
    }
}

fn test(directives: &Directives) -> ExitCode {
    let mut found = directives.warnings.clone();
    found.extend(lower::check(directives).0);
    problem::print(&found);
    if found.has_errors() {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    eprintln!("lanboot dnsmasq: no mistake found");
    ExitCode::SUCCESS
}
