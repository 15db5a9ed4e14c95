//! Text on the wire (RFC 764's NVT, as RFC 1350 wants it): a line ends with CR LF, a bare CR is CR NUL.
//!
//! Each octet is written by itself, so text can be written piece by piece.

/// Appends `text`, a piece of a Unix text, as it goes on the wire.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    for &octet in text {
        match octet {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\r' => out.extend_from_slice(b"\r\0"),
            _ => out.push(octet),
        }
    }
}

/// Octets that `text` takes on the wire.
pub fn encoded_octets(text: &[u8]) -> u64 {
    let doubled = text.iter().filter(|octet| matches!(octet, b'\n' | b'\r')).count();
    (text.len() + doubled) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, &mut out);
        out
    }

    /// What a client on Unix does.
    fn decoded(wire: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut octets = wire.iter();
        while let Some(&octet) = octets.next() {
            match (octet, octet == b'\r') {
                (_, true) => out.push(if octets.next() == Some(&b'\n') { b'\n' } else { b'\r' }),
                (octet, _) => out.push(octet),
            }
        }
        out
    }

    #[test]
    fn lines_end_with_cr_lf_and_a_bare_cr_is_cr_nul() {
        assert_eq!(encoded(b"a\nb\rc\n"), b"a\r\nb\r\0c\r\n");
    }

    proptest! {
        #[test]
        fn pieces_join_to_the_whole_and_decode_to_the_text(text: Vec<u8>, cut: prop::sample::Index) {
            let (head, tail) = text.split_at(cut.index(text.len() + 1));
            let mut pieces = encoded(head);
            encode(tail, &mut pieces);
            prop_assert_eq!(&pieces, &encoded(&text));
            prop_assert_eq!(pieces.len() as u64, encoded_octets(&text));
            prop_assert_eq!(decoded(&pieces), text);
        }
    }
}
