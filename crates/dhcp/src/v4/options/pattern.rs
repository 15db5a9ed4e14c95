//! What an option's value must be like to match, as people write it: the values of dnsmasq's `dhcp-match`.

use super::encode::{BadValue, Guess, Written, encode_as, guess};
use super::table::{Shape, find};

/// What a value is compared with. An option without a single octet matches nothing, not even [`Pattern::Any`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Being there is enough.
    Any,
    /// Text found anywhere in the value.
    Text(Vec<u8>),
    /// Octets that the value begins with; `None` stands for any octet.
    Start(Vec<Option<u8>>),
    /// One element of the value, which is an array of elements of this length; never empty.
    Element(Vec<u8>),
}

impl Pattern {
    /// Reads the value for the option `code`: `01:ff:*:02` is [`Pattern::Start`], numbers, addresses and names are
    /// elements, the rest is text; quotes and options of text keep to text.
    ///
    /// # Errors
    /// [`BadValue`] when the shape of the option does not allow it.
    pub fn read(code: u8, written: Written<'_>) -> Result<Pattern, BadValue> {
        Pattern::read_as(find(code).map(|row| row.shape), written)
    }

    /// Reads the value for an option of this shape; `None`: its looks decide alone.
    ///
    /// # Errors
    /// [`BadValue`] as for [`Pattern::read`].
    pub fn read_as(shape: Option<Shape>, written: Written<'_>) -> Result<Pattern, BadValue> {
        let text = written.text.trim();
        if text.is_empty() {
            return Ok(Pattern::Any);
        }
        if matches!(shape, Some(Shape::Names | Shape::Seconds | Shape::Addresses)) {
            return element(shape, written);
        }
        if written.quoted || shape == Some(Shape::Text) {
            return Ok(Pattern::Text(text.into()));
        }
        if let Some(octets) = octets_with_wildcards(text) {
            return Ok(Pattern::Start(octets));
        }
        match guess(text)? {
            Guess::Octets(octets) => Ok(Pattern::Start(octets.into_iter().map(Some).collect())),
            Guess::Text => Ok(Pattern::Text(text.into())),
            Guess::Number { .. } | Guess::Addresses(_) => element(shape, written),
        }
    }

    /// Whether the value of an option matches; see [`Pattern`] for one without octets.
    pub fn matches(&self, value: &[u8]) -> bool {
        !value.is_empty() && self.admits(value)
    }

    /// Whether a value inside an option matches; one without octets can.
    pub fn admits(&self, value: &[u8]) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Text(text) => contains(value, text),
            Pattern::Element(element) => value.chunks_exact(element.len()).any(|part| part == element),
            Pattern::Start(octets) => {
                let fits = |(octet, wanted): (&u8, &Option<u8>)| wanted.is_none_or(|wanted| wanted == *octet);
                value.len() >= octets.len() && value.iter().zip(octets).all(fits)
            }
        }
    }
}

fn element(shape: Option<Shape>, written: Written<'_>) -> Result<Pattern, BadValue> {
    // Of a list that is all commas nothing is left.
    encode_as(shape, written)
        .map(|value| if value.is_empty() { Pattern::Any } else { Pattern::Element(value.literal()) })
}

/// Whether `text` stands anywhere in `value`.
pub fn contains(value: &[u8], text: &[u8]) -> bool {
    text.is_empty() || value.windows(text.len()).any(|window| window == text)
}

/// Octets with colons between them, one or two digits each or `*`, of which there is at least one.
fn octets_with_wildcards(text: &str) -> Option<Vec<Option<u8>>> {
    let octet = |part: &str| match part {
        "*" => Some(None),
        _ if part.len() <= 2 && part.bytes().all(|c| c.is_ascii_hexdigit()) => {
            u8::from_str_radix(part, 16).ok().map(Some)
        }
        _ => None,
    };
    let octets: Vec<_> = text.split(':').map(octet).collect::<Option<_>>()?;
    (octets.len() > 1 && octets.contains(&None)).then_some(octets)
}

/// Octets with colons between them, else text: the identifiers that relay agents add (option 82).
pub fn octets_or_text(written: Written<'_>) -> Vec<u8> {
    match guess(written.text) {
        Ok(Guess::Octets(octets)) if !written.quoted => octets,
        _ => written.text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::code;
    use super::*;
    use proptest::prelude::*;

    fn read(code: u8, text: &str) -> Pattern {
        Pattern::read(code, Written::bare(text)).unwrap()
    }

    #[test]
    fn numbers_are_looked_for_element_by_element() {
        let arch = read(code::CLIENT_ARCH, "6");
        assert!(arch.matches(&[0, 6]) && arch.matches(&[0, 7, 0, 6]));
        assert!(!arch.matches(&[6]) && !arch.matches(&[0, 0, 6]) && !arch.matches(&[6, 0]) && !arch.matches(&[]));
        let address = read(224, "1.2.3.4");
        assert!(address.matches(&[5, 5, 5, 5, 1, 2, 3, 4]) && !address.matches(&[0, 1, 2, 3, 4]));
        assert!(read(code::LEASE_TIME, "1h").matches(&[0, 0, 14, 16]));
        assert!(read(119, "a.com").matches(b"\x01a\x03com\0"));
    }

    #[test]
    fn text_is_looked_for_everywhere() {
        let class = read(code::VENDOR_CLASS, "PXE");
        assert!(class.matches(b"PXEClient") && class.matches(b"xPXE") && !class.matches(b"pxe"));
        assert!(read(code::HOST_NAME, "01:02").matches(b"a01:02"), "a text option stays text");
        assert!(read(code::VENDOR_CLASS, "PX*").matches(b"PX*") && !read(code::VENDOR_CLASS, "PX*").matches(b"PXE"));
        let quoted = Pattern::read(224, Written::quoted("50:58")).unwrap();
        assert!(quoted.matches(b"50:58") && !quoted.matches(b"PX"));
    }

    #[test]
    fn octets_are_looked_for_at_the_start() {
        assert!(read(224, "50:58").matches(b"PXE") && !read(224, "50:58").matches(b"aPX"));
        let pattern = read(code::CLIENT_ID, "ff:*:02");
        assert!(pattern.matches(&[255, 1, 2]) && pattern.matches(&[255, 9, 2, 3]));
        assert!(!pattern.matches(&[255, 1, 3]) && !pattern.matches(&[255, 1]));
    }

    #[test]
    fn presence_needs_an_octet() {
        assert!(read(code::IPXE, "").matches(b"x") && !read(code::IPXE, "").matches(b""));
    }

    #[test]
    fn relay_identifiers_are_octets_or_text() {
        assert_eq!(octets_or_text(Written::bare("01:0a")), [1, 10]);
        for text in ["port1", "5", "1.2.3.4", "01:*", "ab"] {
            assert_eq!(octets_or_text(Written::bare(text)), text.as_bytes());
        }
        assert_eq!(octets_or_text(Written::quoted("01:0a")), b"01:0a");
    }

    proptest! {
        #[test]
        fn no_text_and_no_value_make_it_panic(text in "[0-9a-f.:,/ *+-]{0,20}", code: u8, value: Vec<u8>) {
            if let Ok(pattern) = Pattern::read(code, Written::bare(&text)) {
                prop_assert!(!pattern.matches(&[]));
                let _ = pattern.matches(&value);
            }
        }
    }
}
