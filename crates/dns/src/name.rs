//! Domain names as keys: whole, in wire form (RFC 1035 section 3.1), in lower case.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// A whole name in wire form without compression, ASCII letters in lower case, the root's empty label at the end; at
/// most 255 octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("it has an empty label")]
    EmptyLabel,
    #[error("a label has more than 63 octets")]
    LongLabel,
    #[error("it has more than 255 octets")]
    LongName,
}

impl Name {
    pub fn root() -> Name {
        Name([0].into())
    }

    /// From wire form without compression, of which only the case may differ from ours.
    ///
    /// # Errors
    /// When it does not end with the octets, or where its first fault lies.
    pub fn from_wire(wire: &[u8]) -> Result<Name, BadName> {
        let mut at = 0;
        loop {
            match wire.get(at) {
                Some(0) if at + 1 == wire.len() && wire.len() <= 255 => break,
                Some(0) | None => return Err(BadName::EmptyLabel),
                Some(64..) => return Err(BadName::LongLabel),
                Some(&length) => at += 1 + usize::from(length),
            }
        }
        Ok(Name(wire.to_ascii_lowercase().into()))
    }

    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let (label, after) = tail.split_at_checked(usize::from(length))?;
            rest = after;
            (!label.is_empty()).then_some(label)
        })
    }

    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether it has one label alone, like a machine's name without its domain.
    pub fn is_plain(&self) -> bool {
        self.labels().count() == 1
    }

    /// Itself or a name below `domain`.
    pub fn is_within(&self, domain: &Name) -> bool {
        self.suffixes().any(|suffix| suffix == domain.as_wire())
    }

    /// Itself and all domains above it, longest first, as wire form; the last is the root.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(&*self.0);
        std::iter::from_fn(move || {
            let this = rest?;
            let length = usize::from(this[0]);
            rest = if length == 0 { None } else { this.get(1 + length..) };
            Some(this)
        })
    }

    /// This name below `domain`: `box` and `lan` make `box.lan`.
    ///
    /// # Errors
    /// When the whole is too long.
    pub fn below(&self, domain: &Name) -> Result<Name, BadName> {
        let wire = [&self.0[..self.0.len() - 1], domain.as_wire()].concat();
        if wire.len() > 255 { Err(BadName::LongName) } else { Ok(Name(wire.into())) }
    }

    /// `4.3.2.10.in-addr.arpa` (RFC 1035 section 3.5), or 32 nibbles below `ip6.arpa` (RFC 3596 section 2.5).
    pub fn reverse(address: std::net::IpAddr) -> Name {
        let text = match address {
            std::net::IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            std::net::IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
            }
        };
        text.parse().expect("digits and dots of at most 73 octets")
    }

    /// The address that a name, in wire form in lower case, is that of: the inverse of [`Name::reverse`].
    pub fn address_of(wire: &[u8]) -> Option<std::net::IpAddr> {
        const V4: &[u8] = b"\x07in-addr\x04arpa\0";
        const V6: &[u8] = b"\x03ip6\x04arpa\0";
        if let Some(mut rest) = wire.strip_suffix(V4) {
            let mut octets = [0; 4];
            for octet in octets.iter_mut().rev() {
                let (&length, tail) = rest.split_first()?;
                let (label, after) = tail.split_at_checked(length.into())?;
                (*octet, rest) = (v4_octet(label)?, after);
            }
            return rest.is_empty().then(|| octets.into());
        }
        let (labels, rest) = wire.strip_suffix(V6)?.as_chunks::<2>();
        if labels.len() != 32 || !rest.is_empty() {
            return None;
        }
        let bits = labels.iter().rev().try_fold(0, |bits, [length, digit]| {
            let nibble = char::from(*digit).to_digit(16).filter(|_| *length == 1)?;
            Some(bits << 4 | u128::from(nibble))
        })?;
        Some(std::net::Ipv6Addr::from_bits(bits).into())
    }
}

fn v4_octet(label: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(label).ok().filter(|text| !text.starts_with(['0', '+']) || *text == "0")?;
    text.parse().ok()
}

/// Keys of maps are looked up by octets, so that a query needs no memory of its own.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Name {
    type Err = BadName;

    /// A dot at the end changes nothing: all names are whole. `\.`, `\\` and `\DDD` stand for single octets.
    fn from_str(text: &str) -> Result<Name, BadName> {
        let mut wire = vec![0];
        let (mut start, mut octets) = (0, text.bytes().peekable());
        while let Some(octet) = octets.next() {
            let octet = match octet {
                b'.' => {
                    let length = wire.len() - start - 1;
                    if length == 0 && !(wire.len() == 1 && octets.peek().is_none()) {
                        return Err(BadName::EmptyLabel);
                    }
                    if octets.peek().is_some() {
                        wire[start] = length as u8;
                        start = wire.len();
                        wire.push(0);
                    }
                    continue;
                }
                b'\\' => escaped(&mut octets).ok_or(BadName::EmptyLabel)?,
                octet => octet.to_ascii_lowercase(),
            };
            wire.push(octet);
            if wire.len() - start - 1 > 63 {
                return Err(BadName::LongLabel);
            }
        }
        let length = wire.len() - start - 1;
        if length > 0 {
            wire[start] = length as u8;
            wire.push(0);
        }
        if wire.len() > 255 { Err(BadName::LongName) } else { Ok(Name(wire.into())) }
    }
}

fn escaped(octets: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first.to_ascii_lowercase());
    }
    let digits = [first, octets.next()?, octets.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok().map(|octet: u8| octet.to_ascii_lowercase())
}

/// Without a dot at the end; the root is `.`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (at, label) in self.labels().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                    b'!'..=b'~' => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_becomes_octets_and_text_again() {
        assert_eq!(name("Box.LAN").as_wire(), b"\x03box\x03lan\0");
        assert_eq!(name("box.lan."), name("box.lan"));
        assert_eq!(name(".").to_string(), ".");
        assert_eq!(name(""), Name::root());
        assert_eq!(name("a\\.b.\\007c").to_string(), "a\\.b.\\007c");
        assert_eq!("a..b".parse::<Name>(), Err(BadName::EmptyLabel));
        assert_eq!(".a".parse::<Name>(), Err(BadName::EmptyLabel));
        assert_eq!("x".repeat(64).parse::<Name>(), Err(BadName::LongLabel));
        assert_eq!(["x"; 128].join(".").parse::<Name>(), Err(BadName::LongName));
    }

    #[test]
    fn domains_are_above_their_names() {
        assert!(name("a.b.c").is_within(&name("b.c")) && name("b.c").is_within(&name("b.c")));
        assert!(!name("ab.c").is_within(&name("b.c")) && name("b.c").is_within(&Name::root()));
        assert_eq!(name("box").below(&name("lan")), Ok(name("box.lan")));
        assert!(name("box").is_plain() && !name("box.lan").is_plain() && !Name::root().is_plain());
    }

    #[test]
    fn addresses_have_names() {
        assert_eq!(Name::reverse([10, 0, 1, 2].into()).to_string(), "2.1.0.10.in-addr.arpa");
        let v6 = Name::reverse("fd00::1".parse().unwrap()).to_string();
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with("0.0.d.f.ip6.arpa"), "{v6}");
    }

    #[test]
    fn names_of_addresses_are_whole() {
        let address = |text: &str| Name::address_of(name(text).as_wire());
        for other in ["3.2.1.in-addr.arpa", "5.4.3.2.1.in-addr.arpa", "04.3.2.1.in-addr.arpa", "256.3.2.1.in-addr.arpa"]
        {
            assert_eq!(address(other), None, "{other}");
        }
        for other in ["+4.3.2.1.in-addr.arpa", "x.3.2.1.in-addr.arpa", "in-addr.arpa", "1.0.ip6.arpa", "a.lan", "."] {
            assert_eq!(address(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn addresses_come_back(v4: [u8; 4], v6: [u8; 16]) {
            for address in [std::net::IpAddr::from(v4), v6.into()] {
                prop_assert_eq!(Name::address_of(Name::reverse(address).as_wire()), Some(address));
            }
        }

        #[test]
        fn no_octets_are_an_address_by_mistake(wire in prop::collection::vec(any::<u8>(), 0..80)) {
            let wire = [&wire[..], b"\x03ip6\x04arpa\0"].concat();
            let address = Name::address_of(&wire);
            prop_assert!(address.is_none_or(|address| Name::reverse(address).as_wire() == wire.to_ascii_lowercase()));
        }

        #[test]
        fn every_name_survives_its_text(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..9)) {
            let mut wire: Vec<u8> = labels.iter().flat_map(|l| [&[l.len() as u8], &**l].concat()).collect();
            wire.push(0);
            let from_wire = Name::from_wire(&wire).unwrap();
            prop_assert_eq!(from_wire.to_string().parse::<Name>().unwrap(), from_wire.clone());
            prop_assert_eq!(from_wire.labels().count(), labels.len());
        }
    }
}
