//! `lanboot lab -- dnsmasq OPTIONS`: a dnsmasq command line, tried in the lab's network before it serves a real one.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use config::dnsmasq::options::Meaning;
use config::dnsmasq::{Dialect, Directives, Disk, lower};
use config::{Diagnostic, Diagnostics, Entry, Loaded, Nic, Said, Surroundings};
use ipnet::Ipv4Net;

use crate::args::Setup;
use crate::setup;

/// The subnet of a lab whose options name none; theirs are taken to be as large unless they say otherwise.
const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 1, 1), 24);

/// Reads a command line that begins with the name `dnsmasq`, as it stands in a guide or in `ps`.
///
/// # Errors
/// Every mistake in it; what is not served yet; flags that say the same in lanboot's own words.
pub fn load(line: &[OsString], setup: &Setup) -> Result<Loaded, Diagnostics> {
    let options = match line.split_first() {
        Some((program, options)) if Path::new(program).file_name() == Some("dnsmasq".as_ref()) => options,
        _ => {
            let found = Diagnostic::error("what stands behind `--` is not a dnsmasq command line");
            return Err(found.fix("begin it with the program's name: lanboot lab -- dnsmasq --interface=net").into());
        }
    };
    let own = Setup { address: setup.address.clone(), ..Setup::default() };
    if *setup != own {
        let found =
            Diagnostic::error("a lab is set up by lanboot's flags, or by a dnsmasq command line, and not by both");
        return Err(found.fix("leave out the flags on network, DHCP, boot and services, all but --address").into());
    }
    let directives = Dialect::read(options, &Disk).map_err(|refusal| refusal.diagnostics)?;
    let (service, found) = lower::lower(&directives, &LabNetwork(nic(&directives, setup)?))?;
    let mut config = service.config;
    setup::publish_ipxe(&mut config);
    let mut warnings = directives.warnings;
    warnings.extend(found);
    Ok(Loaded { config, warnings, said: Said::default() })
}

/// This computer's files, and the one interface that there will be in the lab.
struct LabNetwork(Nic);

impl Surroundings for LabNetwork {
    fn look(&self, path: &Path) -> io::Result<Entry> {
        setup::this_host().look(path)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        setup::this_host().names(folder)
    }

    fn interfaces(&self) -> Vec<Nic> {
        vec![self.0.clone()]
    }
}

/// The interface that is named, with the address that `--address` says, or that it has on this host, or that the options
/// take for granted.
fn nic(directives: &Directives, setup: &Setup) -> Result<Nic, Diagnostic> {
    let mut names = directives.list.iter().flat_map(|directive| match &directive.meaning {
        Meaning::Interface(patterns) => patterns.iter().map(|pattern| (&pattern.name, &directive.place)).collect(),
        _ => Vec::new(),
    });
    let name = names.next().map_or("net", |(name, _)| name).to_owned();
    if let Some((other, place)) = names.find(|(other, _)| **other != name) {
        let found = Diagnostic::error(format!("a lab has one network, and {name} and {other} are named"));
        return Err(found.at(place.clone()).fix("try them one by one"));
    }
    let address = match &setup.address {
        None => setup::this_host().address(&name).or_else(|| implied(directives)).unwrap_or(DEFAULT),
        Some(text) => text.parse().map_err(|_| {
            let found = Diagnostic::error(format!("--address: `{text}` is not an address with its prefix"));
            found.fix("write it like 10.0.1.1/24")
        })?,
    };
    Ok(Nic { name, addresses: vec![address], is_loopback: false, ..Nic::default() })
}

/// What `listen-address` says, or else the first address of a range's network.
fn implied(directives: &Directives) -> Option<Ipv4Net> {
    let ranges = || {
        directives.list.iter().filter_map(|directive| match &directive.meaning {
            Meaning::DhcpRange(range) => Some(range),
            _ => None,
        })
    };
    let netmask = ranges().find_map(|range| Some(range.netmask.as_ref()?.value));
    let prefix = netmask.and_then(|mask| ipnet::ipv4_mask_to_prefix(mask).ok()).unwrap_or(DEFAULT.prefix_len());
    let listens = directives.list.iter().find_map(|directive| match &directive.meaning {
        Meaning::ListenAddress(addresses) => addresses.iter().find_map(|address| match address.value {
            IpAddr::V4(address) if !address.is_loopback() => Some(address),
            _ => None,
        }),
        _ => None,
    });
    let net = |address| Ipv4Net::new_assert(address, prefix);
    let first = |start| net(net(start).hosts().next().unwrap_or(start));
    listens.map(net).or_else(|| ranges().next().map(|range| first(range.start.value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(line: &str) -> Result<String, String> {
        let line: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        let loaded = load(&line, &Setup::default()).map_err(|found| found.render(false))?;
        let network = loaded.config.network;
        Ok(format!("{} {}", network.link.name(), network.address.expect("always one")))
    }

    #[test]
    fn the_network_is_what_the_options_take_for_granted() {
        let of = |options: &str| network(&format!("/usr/sbin/dnsmasq --conf-file= --interface=net {options}")).unwrap();
        assert_eq!(of("--dhcp-range=192.168.7.50,192.168.7.60"), "net 192.168.7.1/24");
        assert_eq!(of("--listen-address 10.0.1.5 --dhcp-range 10.0.1.9,10.0.1.20"), "net 10.0.1.5/24");
        assert_eq!(of("--dhcp-range=10.9.2.1,10.9.2.9,255.255.0.0"), "net 10.9.0.1/16");
        assert_eq!(of("--enable-tftp --tftp-root=/"), "net 10.0.1.1/24");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(network("--interface=net").unwrap_err().contains("begin it with the program's name"));
        assert!(network("dnsmasq --conf-file= --nterface=net").unwrap_err().contains("nterface"));
        let setup = Setup { no_tftp: true, ..Setup::default() };
        assert!(network("dnsmasq --conf-file= --interface=a,b").unwrap_err().contains("a and b are named"));
        assert!(load(&["dnsmasq".into()], &setup).unwrap_err().render(false).contains("and not by both"));
    }
}
