//! `lanboot import`: a dnsmasq configuration as lanboot.toml.

use std::ffi::OsString;
use std::process::ExitCode;

use config::dnsmasq::{self, Dialect, Disk};

use crate::args::Import;
use crate::{Outcome, problem, setup};

pub fn import(args: &Import) -> Outcome {
    let options: Vec<OsString> = match &args.file {
        Some(file) => vec!["-C".into(), file.into()],
        None => args.options.clone(),
    };
    let (directives, mistakes) = Dialect::read_all(&options, &Disk);
    let imported = dnsmasq::import(&directives, mistakes, &setup::this_host());
    print!("{}", imported.toml);
    problem::print(&imported.left_out);
    problem::print(&imported.lint);
    Ok(if imported.left_out.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
