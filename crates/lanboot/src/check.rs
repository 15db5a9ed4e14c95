//! `lanboot check`: every problem at once, and nothing changed.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use config::{Diagnostic, Diagnostics, Link, Loaded, Place, Severity};
use dhcp::Platform;
use host::ipxe::Distribution;
use server::net::Interface;
use server::rival;

use crate::args::Check;
use crate::{Outcome, problem, setup, up};

pub fn check(args: &Check) -> Outcome {
    let loaded = match setup::load(&args.setup) {
        Ok(loaded) => loaded,
        Err(found) => return Ok(without_configuration(found)),
    };
    let mut found = loaded.warnings.clone();
    let place = up::network_place(&loaded);
    let spec = setup::network(&loaded.config);
    let host = host::check(&spec, &loaded.config.state_dir);
    found.extend(host.iter().map(|finding| problem::finding(finding, place.clone())));
    found.extend(up::not_ethernet(&loaded));
    let address = loaded.config.network.address.or_else(|| host::address_of(loaded.config.network.link.name()));
    if let Some(address) = address {
        found.extend(setup::taken_ports(&loaded, address.addr()));
    }
    found.extend(setup::files(&loaded.config).err());
    found.extend(missing_loaders(&loaded));
    found.extend(wrong_boot_file(&loaded));
    let (siblings, unusable) = siblings(&loaded);
    found.extend(unusable);
    found.extend(rivals(&loaded, &siblings));
    found.0.dedup_by(|a, b| a.what == b.what);
    Ok(verdict(&found))
}

/// A configuration with mistakes says nothing of the network; what is wrong with any is told all the same.
fn without_configuration(mut found: Diagnostics) -> ExitCode {
    found.extend(host::check_rights().iter().map(|finding| problem::finding(finding, Place::Host)));
    let udp = [53, 67, 69].map(|port| (host::Transport::Udp, port));
    for (transport, port) in udp.into_iter().chain([(host::Transport::Tcp, 80)]) {
        let holders = host::holders(transport, port, Ipv4Addr::UNSPECIFIED, None).unwrap_or_default();
        // Whether it is in the way depends on the address and interface that the configuration will name.
        let everywhere = holders.iter().filter(|holder| holder.local.ip().is_unspecified());
        found.extend(everywhere.map(|holder| Diagnostic::error(holder.to_string()).fix(holder.fix())));
    }
    verdict(&found)
}

fn verdict(found: &Diagnostics) -> ExitCode {
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    problem::print(found);
    match errors {
        0 if found.is_empty() => println!("all is well: `lanboot up` with the same arguments will serve"),
        0 => println!("`lanboot up` with the same arguments will serve; see the warnings above"),
        1 => println!("1 problem keeps `lanboot up` from serving"),
        n => println!("{n} problems keep `lanboot up` from serving"),
    }
    if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

/// A boot file for everybody that is a program for BIOS, or for UEFI, only.
fn wrong_boot_file(loaded: &Loaded) -> Option<Diagnostic> {
    let policy = &loaded.config.boot;
    let boot::Target::BootFile { any: Some(file), by_platform } = &policy.target else { return None };
    let (other, key): (&[Platform], _) = if [".0", ".kpxe", ".pxe"].iter().any(|end| file.ends_with(end)) {
        (&[Platform::UefiX64, Platform::UefiArm64], "uefi-x64 = \"bootnetx64.efi\"")
    } else if file.ends_with(".efi") {
        (&[Platform::Bios], "bios = \"pxelinux.0\"")
    } else {
        return None;
    };
    let given =
        other.iter().filter(|platform| policy.ipxe.contains_key(platform) && !by_platform.contains_key(platform));
    let given: Vec<_> = given.map(|platform| platform.name()).collect();
    if given.is_empty() {
        return None;
    }
    let text = format!("machines of {} would be given {file}, which cannot run there", given.join(" and "));
    let fix = format!(
        "name another one for them, such as boot.files.{key}, or leave boot.file out: what is in tftp.root is then found \
         for each"
    );
    Some(Diagnostic::warning(text).at(loaded.said.place("boot.file")).fix(fix))
}

/// The nodes that serve from the same database, or why it cannot be used.
fn siblings(loaded: &Loaded) -> (Vec<Ipv4Addr>, Option<Diagnostic>) {
    let Some(database) = loaded.config.leases.as_ref().filter(|_| loaded.config.dhcp.is_some()) else {
        return (Vec::new(), None);
    };
    let nodes = setup::lease_database(database).and_then(|settings| leases::check_postgres(&settings));
    match nodes {
        Ok(nodes) => (nodes, None),
        Err(error) => (Vec::new(), Some(problem::of(error).at(setup::place_of(loaded, "leases.database")))),
    }
}

/// Other DHCP servers, on the interface and on the wires of ports that are still to be put into the bridge.
fn rivals(loaded: &Loaded, siblings: &[Ipv4Addr]) -> Vec<Diagnostic> {
    let network = &loaded.config.network;
    if loaded.config.dhcp.as_ref().is_none_or(config::Dhcp::is_proxy_only) {
        return Vec::new();
    }
    let ports: &[String] = match &network.link {
        Link::Bridge { ports, .. } => ports,
        Link::Existing { .. } => &[],
    };
    let interfaces = std::iter::once(network.link.name()).chain(ports.iter().map(String::as_str));
    let interfaces: Vec<_> = interfaces.filter_map(|name| Interface::named(name).ok()).collect();
    // All wires at once: a quiet one takes seconds.
    std::thread::scope(|scope| {
        let looking: Vec<_> = interfaces.iter().map(|interface| scope.spawn(|| rival::look(interface))).collect();
        // Not looked at: where a right is missing, which has been told of already, and where the interface is down.
        let found = looking.into_iter().map(|look| look.join().map_or(Vec::new(), Result::unwrap_or_default));
        let told = |(interface, rivals): (&Interface, Vec<rival::Rival>)| -> Vec<_> {
            let rivals = rivals.iter().filter(|rival| !siblings.contains(&rival.server));
            rivals.map(|rival| up::rival_found(&interface.name, rival)).collect()
        };
        interfaces.iter().zip(found).flat_map(told).collect()
    })
}
