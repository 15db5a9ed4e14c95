//! Names made out of addresses, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Name;
use crate::settings::Synth;

/// The address that a name (wire form in lower case) is made of, and the name of which is made so.
pub(super) fn address(all: &[Synth], name: &[u8]) -> Option<IpAddr> {
    all.iter().find_map(|synth| synth.address(name))
}

/// The name that is made of an address.
pub(super) fn name(all: &[Synth], address: IpAddr) -> Option<Name> {
    all.iter().find_map(|synth| synth.name(address))
}

impl Synth {
    fn address(&self, name: &[u8]) -> Option<IpAddr> {
        let (&length, rest) = name.split_first()?;
        let (label, domain) = rest.split_at_checked(length.into())?;
        if domain != self.domain.as_wire() {
            return None;
        }
        let (prefix, text) = label.split_at_checked(self.prefix.len())?;
        if !prefix.eq_ignore_ascii_case(self.prefix.as_bytes()) {
            return None;
        }
        let address = if self.counted { self.counted_address(text) } else { self.written_address(text) };
        address.filter(|address| self.covers(*address))
    }

    fn counted_address(&self, text: &[u8]) -> Option<IpAddr> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
        let count: u128 = text.parse().ok()?;
        match self.first {
            IpAddr::V4(first) => Some(Ipv4Addr::from_bits(first.to_bits().checked_add(count.try_into().ok()?)?).into()),
            IpAddr::V6(first) => Some(Ipv6Addr::from_bits(first.to_bits().checked_add(count)?).into()),
        }
    }

    fn written_address(&self, text: &[u8]) -> Option<IpAddr> {
        // A dot within the label is no dash.
        if text.contains(&b'.') || text.contains(&b':') {
            return None;
        }
        let mut buffer = [0; 63];
        let octets = buffer.get_mut(..text.len())?;
        octets.copy_from_slice(text);
        let dot_or_colon = if self.first.is_ipv4() { b'.' } else { b':' };
        octets.iter_mut().filter(|octet| **octet == b'-').for_each(|dash| *dash = dot_or_colon);
        let plain = read(octets);
        // The last three dashes of `--ffff-10-0-0-1` were dots.
        let dashes = octets.iter_mut().rev().filter(|octet| **octet == b':').take(3);
        dashes.for_each(|dash| *dash = b'.');
        let mapped = read(octets).filter(|address| matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()));
        mapped.or(plain)
    }

    fn name(&self, address: IpAddr) -> Option<Name> {
        if !self.covers(address) {
            return None;
        }
        let mut text = match (self.counted, address, self.first) {
            (false, ..) => address.to_string().replace(['.', ':'], "-"),
            (true, IpAddr::V4(v4), IpAddr::V4(first)) => (v4.to_bits() - first.to_bits()).to_string(),
            (true, IpAddr::V6(v6), IpAddr::V6(first)) => (v6.to_bits() - first.to_bits()).to_string(),
            (true, ..) => return None,
        };
        // `::1` would make a label that begins with a dash.
        if self.prefix.is_empty() && text.starts_with('-') {
            text.insert(0, '0');
        }
        let length = u8::try_from(self.prefix.len() + text.len()).ok()?;
        Name::from_wire(&[&[length], self.prefix.as_bytes(), text.as_bytes(), self.domain.as_wire()].concat()).ok()
    }

    fn covers(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

fn read(octets: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(octets).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn synth(first: &str, last: &str, prefix: &str, counted: bool) -> Synth {
        let domain = "th.lan".parse().unwrap();
        Synth { domain, first: first.parse().unwrap(), last: last.parse().unwrap(), prefix: prefix.into(), counted }
    }

    fn address(synth: &Synth, name: &str) -> Option<String> {
        synth.address(name.parse::<Name>().unwrap().as_wire()).map(|address| address.to_string())
    }

    fn name(synth: &Synth, address: &str) -> Option<String> {
        synth.name(address.parse().unwrap()).map(|name| name.to_string())
    }

    #[test]
    fn addresses_are_written_with_dashes() {
        let v4 = synth("10.0.0.0", "10.0.0.255", "internal-", false);
        assert_eq!(name(&v4, "10.0.0.5").unwrap(), "internal-10-0-0-5.th.lan");
        assert_eq!(address(&v4, "INTERNAL-10-0-0-5.th.lan").unwrap(), "10.0.0.5");
        let others = ["internal-10-0-1-5.th.lan", "internal-010-0-0-5.th.lan", "internal-10-0-0-5.x.th.lan", "th.lan"];
        for other in others.into_iter().chain(["bad.th.lan", "internal-10\\.0-0-5.th.lan", "internal-fd00--1.th.lan"]) {
            assert_eq!(address(&v4, other), None, "{other}");
        }
        let v6 = synth("fd00::", "fd00::ff", "p-", false);
        assert_eq!(name(&v6, "fd00::5").unwrap(), "p-fd00--5.th.lan");
        assert_eq!(address(&v6, "p-fd00-0-0-0-0-0-0-5.th.lan").unwrap(), "fd00::5");
        assert_eq!(address(&v6, "p-fd00--.th.lan").unwrap(), "fd00::");
    }

    #[test]
    fn no_label_begins_with_a_dash() {
        let plain = synth("::", "::ffff", "", false);
        assert_eq!(name(&plain, "::5").unwrap(), "0--5.th.lan");
        assert_eq!(address(&plain, "0--5.th.lan").unwrap(), "::5");
    }

    #[test]
    fn mapped_addresses_have_dots() {
        let mapped = synth("::ffff:10.9.0.0", "::ffff:10.9.0.255", "m-", false);
        assert_eq!(name(&mapped, "::ffff:10.9.0.1").unwrap(), "m---ffff-10-9-0-1.th.lan");
        assert_eq!(address(&mapped, "m---ffff-10-9-0-1.th.lan").unwrap(), "::ffff:10.9.0.1");
    }

    #[test]
    fn a_star_counts_from_the_first_address() {
        let v4 = synth("10.0.1.10", "10.0.1.20", "n", true);
        assert_eq!(address(&v4, "n0.th.lan").unwrap(), "10.0.1.10");
        assert_eq!(address(&v4, "n10.th.lan").unwrap(), "10.0.1.20");
        assert_eq!(name(&v4, "10.0.1.12").unwrap(), "n2.th.lan");
        for other in ["n11.th.lan", "n.th.lan", "n+1.th.lan", "n99999999999999999999999999999999999999999.th.lan"] {
            assert_eq!(address(&v4, other), None, "{other}");
        }
        let v6 = synth("fd01::", "fd01::ff", "q", true);
        assert_eq!(address(&v6, "q3.th.lan").unwrap(), "fd01::3");
        assert_eq!(name(&v6, "fd01::13").unwrap(), "q19.th.lan");
    }

    proptest! {
        #[test]
        fn names_lead_back_to_their_addresses(octets: [u8; 16], v4: bool, counted: bool, prefix in "[a-z-]{0,4}") {
            let (first, last) = if v4 { ("0.0.0.0", "255.255.255.255") } else { ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") };
            let given: IpAddr = if v4 { Ipv4Addr::from_bits(u32::from_be_bytes(*octets.first_chunk().unwrap())).into() } else { octets.into() };
            let synth = synth(first, last, &prefix, counted);
            let name = synth.name(given).unwrap();
            prop_assert_eq!(synth.address(name.as_wire()), Some(given));
        }
    }
}
