//! `lanboot check`: every problem at once, and nothing changed.

use std::process::ExitCode;

use config::{Diagnostic, Loaded, Severity};
use dhcp::Platform;
use host::ipxe::Distribution;
use server::net::Interface;
use server::rival;

use crate::args::Check;
use crate::{Outcome, problem, setup, up};

pub fn check(args: &Check) -> Outcome {
    let loaded = setup::load(&args.setup)?;
    let mut found = loaded.warnings.clone();
    let place = up::network_place(&loaded);
    let spec = setup::network(&loaded.config);
    let host = host::check(&spec, &loaded.config.state_dir);
    found.extend(host.iter().map(|finding| problem::finding(finding, place.clone())));
    let address = loaded.config.network.address.or_else(|| host::address_of(loaded.config.network.link.name()));
    if let Some(address) = address {
        found.extend(setup::taken_ports(&loaded, address.addr()));
    }
    found.extend(setup::files(&loaded.config).err());
    found.extend(missing_loaders(&loaded));
    found.extend(rivals(&loaded));
    found.0.dedup_by(|a, b| a.what == b.what);
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    problem::print(&found);
    match errors {
        0 if found.is_empty() => println!("all is well: `lanboot up` with the same arguments will serve"),
        0 => println!("`lanboot up` with the same arguments will serve; see the warnings above"),
        1 => println!("1 problem keeps `lanboot up` from serving"),
        n => println!("{n} problems keep `lanboot up` from serving"),
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Architectures that would get an address but no loader.
fn missing_loaders(loaded: &Loaded) -> Vec<Diagnostic> {
    let config = &loaded.config;
    let policy = &config.boot;
    if matches!(policy.target, boot::Target::Nothing) {
        return Vec::new();
    }
    let found = host::ipxe::find(config.ipxe.as_deref(), &setup::firmware_dir(&config.state_dir));
    let missing = |platform: &Platform| {
        let has_file = match &policy.target {
            boot::Target::BootFile { any, by_platform } => any.is_some() || by_platform.contains_key(platform),
            _ => false,
        };
        !policy.ipxe.contains_key(platform) && !has_file
    };
    let platforms = [Platform::UefiArm64].into_iter().filter(missing);
    let warning = |platform: Platform| {
        let text = found.missing(platform.name(), &Distribution::of_this_host());
        Diagnostic { severity: Severity::Warning, ..problem::of(text) }
    };
    platforms.map(warning).collect()
}

/// Other DHCP servers, where the interface is there to ask on.
fn rivals(loaded: &Loaded) -> Vec<Diagnostic> {
    if loaded.config.dhcp.is_none() {
        return Vec::new();
    }
    let Ok(interface) = Interface::named(loaded.config.network.link.name()) else { return Vec::new() };
    match rival::look(&interface) {
        Ok(rivals) => rivals.iter().map(|rival| up::rival_found(&interface.name, rival)).collect(),
        // A right that is missing has been told of already.
        Err(_) => Vec::new(),
    }
}
