//! Numbers and foreign text, written for people.

use std::net::Ipv4Addr;

use mac::Mac;

/// The longest foreign text that is shown whole, in characters.
const LONGEST: usize = 400;
/// What a word must keep of itself, in characters, to be understood.
const SHORTEST: usize = 6;

/// `72 kB`, `8.2 MB`: decimal units, two digits that matter.
pub fn octets(octets: u64) -> String {
    if octets < 1000 {
        return format!("{octets} B");
    }
    let mut value = octets as f64 / 1000.0;
    for unit in ["kB", "MB"] {
        // 999.5 would be written 1000.
        if value < 999.5 {
            return scaled(value, unit);
        }
        value /= 1000.0;
    }
    scaled(value, "GB")
}

fn scaled(value: f64, unit: &str) -> String {
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `0.3 s`, `42 s`, `2 min 5 s`, `3 h 12 min`, `1 h`.
pub fn seconds(millis: u64) -> String {
    let pair = |large, large_unit, small, small_unit| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (millis + 500) / 1000 {
        0..10 => format!("{:.1} s", millis as f64 / 1000.0),
        secs @ 10..120 => format!("{secs} s"),
        secs @ 120..3600 => pair(secs / 60, "min", secs % 60, "s"),
        secs => pair(secs / 3600, "h", secs / 60 % 60, "min"),
    }
}

/// Files below this size, in octets, have no rate: what is measured is how long their packets waited.
const MEASURABLE: u64 = 100_000;

/// ` in 0.4 s (20 MB/s)`; nothing when it took no time worth telling.
pub fn in_time(size: u64, millis: u64) -> String {
    match (size, millis) {
        (..MEASURABLE, ..1000) | (_, ..50) => String::new(),
        (..MEASURABLE, _) | (_, ..100) => format!(" in {}", seconds(millis)),
        _ => format!(" in {} ({}/s)", seconds(millis), octets(size.saturating_mul(1000) / millis)),
    }
}

/// Text from the network without what could steer a terminal, and not longer than a line or two.
pub fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut clean: String = text
        .trim()
        .chars()
        .take(LONGEST)
        .map(|c| {
            if c == '\n' {
                ' '
            } else if harmful(c) {
                '?'
            } else {
                c
            }
        })
        .collect();
    if text.trim().chars().nth(LONGEST).is_some() {
        clean.push('…');
    }
    clean
}

/// The text without what only one machine says: its own address, `machine`, and numbers.
pub fn general(text: &str, machine: Mac) -> String {
    let colons = machine.to_string();
    let (dashes, plain) = (colons.replace(':', "-"), colons.replace(':', ""));
    let text = [colons, dashes, plain].iter().fold(text.to_owned(), |text, own| text.replace(own, "MAC"));
    let is_number = |word: &str| word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.' || octet == b':');
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ':', ')']);
        match bare {
            "" => word.to_owned(),
            _ if bare.parse::<Ipv4Addr>().is_ok() => word.replacen(bare, "ADDRESS", 1),
            _ if is_number(bare) => word.replacen(bare, "N", 1),
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The text in at most `width` characters. Where it is longer, the middle of its longest word, mostly a path, gives way to
/// `dots`; where that is not enough, the text's own.
pub fn clip(text: &str, width: usize, dots: &str) -> String {
    let length = |text: &str| text.chars().count();
    let excess = length(text).saturating_sub(width);
    if excess == 0 {
        return text.to_owned();
    }
    let longest = text.split(' ').max_by_key(|word| length(word)).unwrap_or_default();
    match length(longest).checked_sub(excess) {
        Some(rest) if rest >= SHORTEST => text.replacen(longest, &without_middle(longest, rest, dots), 1),
        _ => without_middle(text, width, dots),
    }
}

/// Names tell most at both ends.
fn without_middle(text: &str, width: usize, dots: &str) -> String {
    let kept = width.saturating_sub(dots.chars().count());
    let head: String = text.chars().take(kept - kept / 2).collect();
    let tail: String = text.chars().skip(text.chars().count() - kept / 2).collect();
    format!("{head}{dots}{tail}")
}

/// The text in lines of at most `width` characters, broken between words; a longer word has a longer line to itself.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1 block`, `3 blocks`.
pub fn counted(count: u32, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        let sizes = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (74_213, "74 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (8_234_000, "8.2 MB"),
            (9_960_000, "10 MB"),
            (4_700_000_000, "4.7 GB"),
        ];
        for (size, text) in sizes {
            assert_eq!(octets(size), text);
        }
        let times = [
            (0, "0.0 s"),
            (340, "0.3 s"),
            (9_499, "9.5 s"),
            (9_999, "10 s"),
            (10_000, "10 s"),
            (119_000, "119 s"),
            (125_000, "2 min 5 s"),
            (3_600_000, "1 h"),
            (11_520_000, "3 h 12 min"),
        ];
        for (millis, text) in times {
            assert_eq!(seconds(millis), text);
        }
        assert_eq!(in_time(8_000_000, 400), " in 0.4 s (20 MB/s)");
        assert_eq!(in_time(312, 2), "");
        assert_eq!(in_time(611, 300), "");
        assert_eq!(in_time(74_213, 4000), " in 4.0 s");
        assert_eq!(in_time(8_000_000, 20), "");
    }

    #[test]
    fn long_text_loses_its_middle() {
        assert_eq!(clip("initrd a/long/path/initrd.gz  41 MB", 28, "…"), "initrd a/long/…trd.gz  41 MB");
        assert_eq!(clip("initrd a/long/path/initrd.gz  41 MB", 28, "...").chars().count(), 28);
        assert_eq!(clip("no word of it is long enough", 16, "…"), "no word … enough");
        assert_eq!(clip("äöü", 3, "…"), "äöü");
        assert_eq!(clip("äöü", 1, "…"), "…");
    }

    #[test]
    fn text_is_broken_between_words_only() {
        assert_eq!(wrap("it went down and came up", 9), ["it went", "down and", "came up"]);
        assert_eq!(wrap("see https://ipxe.org/4c0b6035 now", 9), ["see", "https://ipxe.org/4c0b6035", "now"]);
    }

    #[test]
    fn what_many_machines_say_differs_in_their_own_names_and_numbers_only() {
        let machine = Mac([0x52, 0x54, 0, 0, 0, 7]);
        for (text, said) in [
            ("was given 10.0.1.7, and silence", "was given ADDRESS, and silence"),
            ("boot/52-54-00-00-00-07.ipxe is not there", "boot/MAC.ipxe is not there"),
            ("closed after 1.2 MB of 8.2 MB (3)", "closed after N MB of N MB (3)"),
            ("kernel failed: error 4c0b6035", "kernel failed: error 4c0b6035"),
        ] {
            assert_eq!(general(text, machine), said);
        }
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean(" \u{1b}[31mred\u{7}\u{202e}\n"), "?[31mred??");
        assert_eq!(clean(&"x".repeat(LONGEST + 9)).chars().count(), LONGEST + 1);
    }
}
