//! Names in letters beyond ASCII, as DNS carries them: `bücher` is `xn--bcher-kva` (RFC 5891, RFC 3492).
//!
//! Only letters whose form is beyond doubt are taken: those that no normalization changes but to small letters. Who
//! needs others writes the ASCII form.

/// The form of a label that DNS carries; ASCII ones stay as they are. `None`: it has characters whose form is not sure.
pub fn ascii_label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_owned());
    }
    let small: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    let is_fine = small.iter().all(|c| is_plain(*c)) && label.chars().all(is_plain);
    let in_place = !label.starts_with('-') && !label.ends_with('-') && !label.starts_with("xn--");
    (is_fine && in_place).then(|| format!("xn--{}", punycode(&small)))
}

/// ASCII of host names, and letters of living alphabets that Unicode's normalization (UTS 46) leaves alone.
fn is_plain(c: char) -> bool {
    let is_odd =
        matches!(c, '\u{d7}' | '\u{f7}' | '\u{132}' | '\u{133}' | '\u{13f}' | '\u{140}' | '\u{149}' | '\u{17f}');
    c.is_ascii_alphanumeric()
        || matches!(c, '-' | '_')
        || !is_odd
            && matches!(c, '\u{c0}'..='\u{17f}' | '\u{386}' | '\u{388}'..='\u{38a}' | '\u{38c}' | '\u{38e}'..='\u{3ce}')
        || matches!(c, '\u{400}'..='\u{481}' | '\u{48a}'..='\u{4ff}' | '\u{5d0}'..='\u{5ea}')
        || matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// RFC 3492, with the parameters of its section 5.
fn punycode(input: &[char]) -> String {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    let mut out: String = input.iter().filter(|c| c.is_ascii()).collect();
    let basic = out.len() as u32;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while (handled as usize) < input.len() {
        let next = input.iter().map(|c| u32::from(*c)).filter(|c| *c >= n).min().expect("one is not handled yet");
        // A line of a file is too short for any of this to overflow.
        delta += (next - n) * (handled + 1);
        n = next;
        for c in input.iter().map(|c| u32::from(*c)) {
            if c < n {
                delta += 1;
            }
            if c != n {
                continue;
            }
            let (mut q, mut k) = (delta, BASE);
            loop {
                let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
                if q < t {
                    break;
                }
                out.push(digit(t + (q - t) % (BASE - t)));
                q = (q - t) / (BASE - t);
                k += BASE;
            }
            out.push(digit(q));
            bias = adapted(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta += 1;
        n += 1;
    }
    out
}

fn adapted(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

/// a to z are 0 to 25, 0 to 9 are 26 to 35.
fn digit(value: u32) -> char {
    char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_ascii() {
        let cases = [
            ("bücher", "xn--bcher-kva"),
            ("BÜCHER2", "xn--bcher2-3ya"),
            ("straße", "xn--strae-oqa"),
            ("日本語", "xn--wgv71a119e"),
            ("президент", "xn--d1abbgf6aiiy"),
            ("ελλάδα", "xn--hxakic4aa"),
            ("a_ö", "xn--a_-gka"),
            ("Plain_1", "Plain_1"),
        ];
        for (label, ascii) in cases {
            assert_eq!(ascii_label(label).as_deref(), Some(ascii), "{label}");
        }
    }

    #[test]
    fn what_has_no_sure_form_is_not_guessed() {
        for label in ["x☃y", "ﬁ", "u\u{308}", "a b ü", "-ü", "xn--ü", "İ", "ﾊ"] {
            assert_eq!(ascii_label(label), None, "{label}");
        }
    }
}
