//! Names of addresses that mean something in one network alone (RFC 6303).

/// Whether a name, in wire form in lower case, is below in-addr.arpa or ip6.arpa among private addresses' names. Half names
/// count where all that they may stand for is private.
pub(crate) fn is_reverse_of_private(name: &[u8]) -> bool {
    let labels = Labels(name);
    match labels.last_two() {
        Some((b"in-addr", b"arpa")) => is_private_v4(&numbers(labels, 4, |label| parse(label, 10))),
        Some((b"ip6", b"arpa")) => {
            is_private_v6(&numbers(labels, 32, |label| parse(label, 16).filter(|_| label.len() == 1)))
        }
        _ => false,
    }
}

fn is_private_v4(octets: &[u8]) -> bool {
    matches!(
        octets,
        [0 | 10 | 127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 2, ..]
            | [198, 51, 100, ..]
            | [203, 0, 113, ..]
            | [255, 255, 255, 255]
    )
}

fn is_private_v6(nibbles: &[u8]) -> bool {
    let zero = |nibbles: &[u8]| nibbles.len() == 31 && nibbles.iter().all(|nibble| *nibble == 0);
    match nibbles {
        // fd00::/8, fe80::/10 and 2001:db8::/32; :: and ::1.
        [15, 13, ..] | [15, 14, 8..=11, ..] | [2, 0, 0, 1, 0, 13, 11, 8, ..] => true,
        [first @ .., 0 | 1] => zero(first),
        _ => false,
    }
}

fn parse(label: &[u8], radix: u32) -> Option<u8> {
    let text = std::str::from_utf8(label).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, radix).ok()
}

/// The numbers of an address as far as they are given, from the network's side.
fn numbers(labels: Labels<'_>, most: usize, parse: impl Fn(&[u8]) -> Option<u8>) -> Vec<u8> {
    let all: Vec<&[u8]> = labels.collect();
    all.iter().rev().skip(2).take(most).map_while(|label| parse(label)).collect()
}

#[derive(Clone, Copy)]
struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first().filter(|(length, _)| **length > 0)?;
        let (label, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some(label)
    }
}

impl<'a> Labels<'a> {
    fn last_two(self) -> Option<(&'a [u8], &'a [u8])> {
        self.zip(self.skip(1)).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[test]
    fn private_addresses_are_known_by_their_names() {
        for private in
            ["10.1.2.3", "192.168.0.1", "172.31.0.1", "169.254.1.1", "127.0.0.2", "0.1.2.3", "192.0.2.1", "fd00::1"]
        {
            assert!(is_reverse_of_private(Name::reverse(private.parse().unwrap()).as_wire()), "{private}");
        }
        for private in ["fe80::1", "::", "::1", "2001:db8::5", "255.255.255.255"] {
            assert!(is_reverse_of_private(Name::reverse(private.parse().unwrap()).as_wire()), "{private}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.64.0.1", "192.1.0.1", "ff02::1", "2001:db9::1", "::2", "fec0::1"] {
            assert!(!is_reverse_of_private(Name::reverse(public.parse().unwrap()).as_wire()), "{public}");
        }
        for (name, private) in [
            ("10.in-addr.arpa", true),
            ("5.10.in-addr.arpa", true),
            ("168.192.in-addr.arpa", true),
            ("192.in-addr.arpa", false),
            ("in-addr.arpa", false),
            ("arpa", false),
            ("10.in-addr.arpa.example", false),
            ("lb._dns-sd._udp.0.1.168.192.in-addr.arpa", true),
            ("d.f.ip6.arpa", true),
            ("0.ip6.arpa", false),
        ] {
            assert_eq!(is_reverse_of_private(name.parse::<Name>().unwrap().as_wire()), private, "{name}");
        }
        assert!(!is_reverse_of_private(&[0]));
    }
}
