//! The tables, by subject.

mod exchange;

/// Addresses in order: what a scenario asks for is known beforehand.
const RANGE: &[&str] = &["dhcp-range=10.0.1.100,10.0.1.150,1h", "dhcp-sequential-ip"];

/// [`RANGE`] and these lines.
fn ranged<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RANGE.iter().chain(more).copied().collect()
}
