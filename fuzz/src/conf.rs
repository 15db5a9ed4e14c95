//! dnsmasq's command line and files: read, checked, lowered, and complained about.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use config::dnsmasq::lower::{self, Service};
use config::dnsmasq::{Dialect, Directives, ethers, hosts_file, options_file};
use config::{Dhcp, Diagnostics, Gives, TextFile};

use crate::input::Input;
use crate::world::World;

/// The input: the command line with an argument per line, then the files, with NULs between them.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let line = input.section();
    let args = line.split(|octet| *octet == b'\n').filter(|arg| !arg.is_empty());
    let args: Vec<OsString> = args.map(|arg| OsString::from_vec(arg.to_vec())).collect();
    lists(line);
    let world = World::of(&mut input);
    match Dialect::read(&args, &world) {
        Ok(directives) => lowered(&directives, &world),
        Err(refusal) => {
            assert!(refusal.diagnostics.has_errors() && [1, 3, 10].contains(&refusal.exit_code));
            rendered(&refusal.diagnostics);
        }
    }
}

fn lowered(directives: &Directives, world: &World) {
    assert!(!directives.warnings.has_errors());
    rendered(&directives.warnings);
    let checked = lower::check(directives);
    match lower::lower(directives, world) {
        Ok((service, warnings)) => {
            assert!(!checked.has_errors(), "what serves passes --test");
            rendered(&warnings);
            sound(&service);
        }
        Err(found) => {
            assert!(found.has_errors(), "it says why it does not serve");
            rendered(&found);
        }
    }
}

/// Each file is also read as the files that hold one option's values.
fn lists(text: &[u8]) {
    let source = TextFile::new("/d/list", String::from_utf8_lossy(text));
    let mut mistakes = Diagnostics::default();
    hosts_file(&source, &mut mistakes);
    options_file(&source, &mut mistakes);
    ethers(&source, &mut mistakes);
    rendered(&mistakes);
}

/// Mistakes can be printed. Drawing the lines that they stand in takes longer than to find them, so not all are.
pub fn rendered(found: &Diagnostics) {
    for diagnostic in found.iter() {
        let chance = diagnostic.what.bytes().fold(found.0.len(), |sum, octet| sum * 31 % 65_521 + usize::from(octet));
        if chance % 32 == 0 {
            assert!(!diagnostic.render(false).is_empty());
        }
    }
}

fn sound(service: &Service) {
    service.config.dhcp.iter().for_each(ranges_are_sound);
}

/// What the engine takes for granted.
pub fn ranges_are_sound(dhcp: &Dhcp) {
    for (first, last) in dhcp.dynamic() {
        assert!(first <= last, "{first} to {last}");
    }
    for range in &dhcp.ranges {
        let Gives::Addresses(first, last) = range.gives else { continue };
        let net = range.subnet;
        assert!(net.contains(&first) && net.contains(&last), "{first} to {last} is no range of {net}");
    }
}
