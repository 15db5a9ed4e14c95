//! The tables, by subject.

mod exchange;
mod hosts;
mod malformed;
mod options;
mod pxe;
mod tags;
mod tftp;

const FUZZ: &str = "dnsmasq takes a random time off T1 and T2 of a renewal";

/// Addresses in order: what a scenario asks for is known beforehand.
const RANGE: &[&str] = &["dhcp-range=10.0.1.100,10.0.1.150,1h", "dhcp-sequential-ip"];

/// [`RANGE`] and these lines.
fn ranged<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RANGE.iter().chain(more).copied().collect()
}
