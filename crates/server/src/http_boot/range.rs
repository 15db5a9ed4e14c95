//! Which part of a file is asked for (RFC 9110 section 14).

use std::ops::Range;

/// The answer to a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: no `Range`, or one that may be ignored (section 14.2).
    Whole,
    /// This part, not empty and inside the file: 206.
    Part(Range<u64>),
    /// Nothing of it exists: 416.
    Nothing,
}

/// Reads `header`, the value of `Range`, for a file of `size` octets.
///
/// Only a single range is honoured. Several at once, and what is no range at all, count as not asked: clients in the
/// field do send `bytes=u-u`, and want the file.
pub(super) fn asked(header: &str, size: u64) -> Asked {
    let Some((first, last)) = split(header) else { return Asked::Whole };
    let last_octet = size.saturating_sub(1);
    let part = match (first, last) {
        (Some(first), Some(last)) if first > last => return Asked::Whole,
        (Some(first), last) => first..last.unwrap_or(last_octet).min(last_octet).saturating_add(1),
        (None, Some(0)) => return Asked::Nothing,
        // The last so many octets of an empty file are the file; a 206 could not say so.
        (None, Some(_)) if size == 0 => return Asked::Whole,
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (None, None) => return Asked::Whole,
    };
    if part.start < size { Asked::Part(part) } else { Asked::Nothing }
}

/// `bytes=first-last`, either of them left out. Numbers beyond 64 bits are as good as the largest.
fn split(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = header.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some((number(first)?, number(last)?))
}

/// `Some(None)`: left out. `None`: not a number.
fn number(digits: &str) -> Option<Option<u64>> {
    match digits {
        "" => Some(None),
        _ if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_ranges_are_cut_to_the_file() {
        let cases = [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-499", Asked::Part(0..500)),
            ("bytes=500-", Asked::Part(500..1000)),
            ("bytes=-500", Asked::Part(500..1000)),
            ("bytes=-5000", Asked::Part(0..1000)),
            ("bytes=999-2000", Asked::Part(999..1000)),
            ("Bytes = 5-7", Asked::Part(5..8)),
            ("bytes=1-99999999999999999999999", Asked::Part(1..1000)),
            ("bytes=1000-", Asked::Nothing),
            ("bytes=1000-1001", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=18446744073709551615-", Asked::Nothing),
        ];
        for (header, expected) in cases {
            assert_eq!(asked(header, 1000), expected, "{header}");
        }
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for header in
            ["", "bytes", "bytes=", "bytes=-", "bytes=u-u", "bytes=5-2", "bytes=0-1,5-6", "octets=0-1", "bytes=+1-2"]
        {
            assert_eq!(asked(header, 1000), Asked::Whole, "{header}");
        }
    }

    #[test]
    fn empty_file_has_no_part() {
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
        assert_eq!(asked("bytes=-5", 0), Asked::Whole);
    }

    proptest! {
        #[test]
        fn part_is_never_empty_and_never_outside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Asked::Part(part) = asked(&header, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn no_header_panics(header: String, size: u64) {
            asked(&header, size);
        }
    }
}
