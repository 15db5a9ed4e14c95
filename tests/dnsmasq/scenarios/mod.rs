//! The tables, by subject.

mod bootp;
mod clients;
mod exchange;
mod hosts;
mod machines;
mod malformed;
mod names;
mod networks;
mod options;
mod overload;
mod pxe;
mod relays;
mod tags;
mod tftp;
mod times;

const ONE_TO_MANY: &str = "with --dhcp-sequential-ip --no-ping, dnsmasq 2.90 offers one address to many";
const LOWEST: &str = "its manual says: from the lowest free address; it goes on behind the highest leased one";
const NO_LEASE_TIME: &str = "RFC 2131 section 4.3.5: no lease time in the answer to a DHCPINFORM";
const FUZZ: &str = "dnsmasq takes a random time off T1 and T2 of a renewal";

/// Addresses in order: what a scenario asks for is known beforehand.
const RANGE: &[&str] = &["dhcp-range=10.0.1.100,10.0.1.150,1h", "dhcp-sequential-ip"];

/// [`RANGE`] and these lines.
fn ranged<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RANGE.iter().chain(more).copied().collect()
}
