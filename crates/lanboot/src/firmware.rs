//! `lanboot firmware`: which of iPXE's binaries are there, and how to get newer ones.

use std::path::Path;
use std::process::ExitCode;

use host::ipxe::{self, Distribution};

use crate::args::Firmware;
use crate::{Outcome, problem, setup};

pub fn firmware(command: &Firmware) -> Outcome {
    match command {
        Firmware::List { state, ipxe } => Ok(list(&state.folder()?, ipxe.as_deref())),
        Firmware::Fetch { state, suite } => fetch(&state.folder()?, suite.as_deref()),
    }
}

fn list(state: &Path, configured: Option<&Path>) -> ExitCode {
    let found = ipxe::find(configured, &setup::firmware_dir(state));
    for platform in ipxe::PLATFORMS {
        match found.binaries.get(platform) {
            Some(path) => println!("{platform:<12}{}", path.display()),
            None => println!("{platform:<12}not there"),
        }
    }
    println!("\nlooked in:");
    for folder in &found.searched {
        println!("  {}", folder.display());
    }
    if let Some(platform) = ipxe::PLATFORMS.into_iter().find(|platform| !found.binaries.contains_key(platform)) {
        let message = found.missing(platform, &Distribution::of_this_host());
        println!("\n{message}");
    }
    ExitCode::SUCCESS
}

fn fetch(state: &Path, suite: Option<&str>) -> Outcome {
    let fetched = ipxe::fetch(state, suite, &mut |line| println!("{line}")).map_err(problem::of)?;
    println!("\nipxe {} is in {}", fetched.version, fetched.folder.display());
    println!("sha256 {}", fetched.sha256);
    Ok(ExitCode::SUCCESS)
}
