//! Option values as people write them: encoded, shown, and matched.

use std::net::Ipv4Addr;

use dhcp::v4::options::{Pattern, Shape, TABLE, Written, by_name, encode, encode_as, find, name, octets_or_text, show};

use crate::input::Input;

/// The input: a code, whether the value is quoted, and the value; text behind a NUL is what it is matched with.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let (code, quoted) = (input.u8(), input.u8() & 1 == 1);
    let text = String::from_utf8_lossy(input.section());
    let value = input.0;
    let written = Written { text: &text, quoted };

    if let Some(named) = by_name(&text) {
        assert_eq!(by_name(&name(named)), Some(named));
    }
    show(code, value);
    octets_or_text(written);
    named(code);
    for shape in [find(code).map(|row| row.shape), None, TABLE.get(usize::from(code)).map(|row| row.shape)] {
        let (encoded, pattern) = (encode_as(shape, written), Pattern::read_as(shape, written));
        if let Err(bad) = &encoded {
            assert!(!bad.to_string().is_empty());
        }
        if let Ok(encoded) = &encoded {
            assert!(encoded.literal().len() <= 255, "an option holds no more");
            assert_eq!(encoded.literal().len(), encoded.octets(Ipv4Addr::new(10, 0, 1, 1)).len());
            show(code, &encoded.literal());
        }
        let Ok(pattern) = pattern else { continue };
        assert!(!pattern.matches(&[]), "an empty value matches nothing");
        pattern.matches(value);
        let own = encoded.map(|encoded| encoded.literal()).unwrap_or_default();
        // A SIP server is matched as it was written, not as it is encoded.
        let comparable = !own.is_empty() && shape != Some(Shape::Sip);
        if comparable && matches!(pattern, Pattern::Any | Pattern::Element(_) | Pattern::Text(_)) {
            assert!(pattern.matches(&own), "{pattern:?} does not match what the same text encodes to, {own:?}");
        }
    }
    assert_eq!(encode(code, written), encode_as(find(code).map(|row| row.shape), written));
}

fn named(code: u8) {
    let Some(row) = find(code) else { return };
    assert_eq!((by_name(row.name), name(code).as_str()), (Some(code), row.name));
}
