//! Option values as people write them, to octets.
//!
//! The rules are dnsmasq's, so that its files keep their meaning: a named option has its shape, and where that leaves
//! the choice, the looks of the value decide. `1.2.3.4` is an address, `10.0.0.0/8` a route's destination (RFC 3442),
//! `5` a number as wide as it needs or as its suffix says (`b` 1 octet, `s` 2, `i` 4), `01:ff` octets, anything else and
//! whatever is quoted is text.

use std::net::Ipv4Addr;

use super::table::{Shape, find};

/// The most octets that one option holds (RFC 2132 section 2).
const MAX_OCTETS: usize = 255;

/// A value as it was written: all that follows the option, commas included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    pub text: &'a str,
    /// Whether any part of it stood in quotes: then it is text, whatever it looks like.
    pub quoted: bool,
}

impl<'a> Written<'a> {
    pub fn bare(text: &'a str) -> Written<'a> {
        Written { text, quoted: false }
    }

    pub fn quoted(text: &'a str) -> Written<'a> {
        Written { text, quoted: true }
    }
}

/// What an option will hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// 0.0.0.0 stands for the server's own address, which is known when an answer is made.
    Addresses(Vec<Ipv4Addr>),
    Octets(Vec<u8>),
}

impl Value {
    /// The octets for an answer from the address `ours`.
    pub fn octets(&self, ours: Ipv4Addr) -> Vec<u8> {
        match self {
            Value::Octets(octets) => octets.clone(),
            Value::Addresses(addresses) => {
                let filled = addresses.iter().map(|address| if address.is_unspecified() { ours } else { *address });
                filled.flat_map(|address| address.octets()).collect()
            }
        }
    }

    /// The octets as they stand, as encapsulated options have them: 0.0.0.0 is just that.
    pub fn literal(&self) -> Vec<u8> {
        self.octets(Ipv4Addr::UNSPECIFIED)
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Value::Octets(octets) => octets.is_empty(),
            Value::Addresses(addresses) => addresses.is_empty(),
        }
    }
}

/// Why a value does not fit its option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    #[error("`{part}` is not an IPv4 address such as 10.0.1.1")]
    NotAddress { part: String },
    #[error("`{part}` is not an address with a prefix length of at most 32, such as 10.0.0.0/8")]
    NotPrefix { part: String },
    #[error("`{text}` is not a time: write seconds, or a number with m, h, d or w behind it")]
    NotTime { text: String },
    #[error("`{name}` is not a domain name: it is made of labels of 1 to 63 octets with dots between them")]
    NotDomain { name: String },
    #[error("`{name}` has letters beyond ASCII: write the name as the DNS has it, which begins with xn--")]
    NotAscii { name: String },
    #[error("the value has {octets} octets, but an option holds at most {MAX_OCTETS}: shorten it")]
    TooLong { octets: usize },
}

/// Encodes a value for the option `code`.
///
/// # Errors
/// [`BadValue`] when the shape of the option does not allow it.
pub fn encode(code: u8, written: Written<'_>) -> Result<Value, BadValue> {
    encode_as(find(code).map(|row| row.shape), written)
}

/// Encodes a value for an option of this shape; `None`: the looks decide alone, as for encapsulated options.
///
/// # Errors
/// [`BadValue`] as for [`encode`].
pub fn encode_as(shape: Option<Shape>, written: Written<'_>) -> Result<Value, BadValue> {
    // White space that stood in quotes was meant: libvirt writes `252,"\n"`.
    let text = if written.quoted { written.text } else { written.text.trim() };
    let value = match shape {
        _ if text.is_empty() => Value::Octets(Vec::new()),
        Some(Shape::Text) => Value::Octets(text.into()),
        Some(Shape::Names) => Value::Octets(names(text)?),
        Some(Shape::Seconds) => Value::Octets(seconds(text)?.to_be_bytes().into()),
        Some(Shape::Sip) => sip(text, written.quoted)?,
        Some(Shape::Addresses) if written.quoted || !looks_like_addresses(text) => {
            return Err(BadValue::NotAddress { part: text.to_owned() });
        }
        Some(Shape::Addresses) => addresses(text)?,
        _ if written.quoted => Value::Octets(text.into()),
        shape => match guess(text)? {
            Guess::Number { value, width } => Value::Octets(number(shape, value, width)),
            Guess::Octets(octets) => Value::Octets(octets),
            Guess::Addresses(value) => value,
            Guess::Text => Value::Octets(text.into()),
        },
    };
    match value.literal().len() {
        0..=MAX_OCTETS => Ok(value),
        octets => Err(BadValue::TooLong { octets }),
    }
}

/// What unquoted text looks like.
pub(super) enum Guess {
    /// `width`: octets, where a suffix says.
    Number {
        value: u32,
        width: Option<usize>,
    },
    Octets(Vec<u8>),
    Addresses(Value),
    Text,
}

pub(super) fn guess(text: &str) -> Result<Guess, BadValue> {
    Ok(if let Some((value, width)) = decimal(text) {
        Guess::Number { value, width }
    } else if let Some(octets) = hexadecimal(text) {
        Guess::Octets(octets)
    } else if looks_like_addresses(text) {
        Guess::Addresses(addresses(text)?)
    } else {
        Guess::Text
    })
}

/// A decimal number with its suffix. Numbers beyond 32 bits wrap and a second `-` ends the number, as in dnsmasq:
/// `2024-01-01` is 2024.
fn decimal(text: &str) -> Option<(u32, Option<usize>)> {
    let width = match text.as_bytes().last()? {
        b'b' => Some(1),
        b's' => Some(2),
        b'i' => Some(4),
        _ => None,
    };
    let number = if width.is_some() { &text[..text.len() - 1] } else { text };
    let all_fit = number.bytes().all(|c| c.is_ascii_digit() || c == b'-');
    if !all_fit || !number.bytes().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let (minus, digits) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let digits = digits.split('-').next().unwrap_or("");
    let value = digits.bytes().fold(0_i64, |value, c| value.saturating_mul(10).saturating_add(i64::from(c - b'0')));
    // The lowest 32 bits of the two's complement.
    Some(((if minus { -value } else { value }) as u32, width))
}

/// The width is the suffix's, else the shape's, else just enough.
fn number(shape: Option<Shape>, value: u32, suffix: Option<usize>) -> Vec<u8> {
    let width = suffix.unwrap_or(match (shape, value) {
        (Some(Shape::U8), _) => 1,
        (Some(Shape::U16), _) => 2,
        (Some(Shape::U32), _) => 4,
        (_, 0..=0xff) => 1,
        (_, 0x100..=0xffff) => 2,
        _ => 4,
    });
    value.to_be_bytes()[4 - width..].to_vec()
}

/// Octets with colons between them, one or two digits each; a missing one is 0. One octet more than there are colons.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let colons = text.bytes().filter(|c| *c == b':').count();
    if colons == 0 || !text.bytes().all(|c| c.is_ascii_hexdigit() || c == b':') {
        return None;
    }
    // More than two digits without a colon go on as the next octet; what is too much falls off the end.
    let pairs = text.split(':').flat_map(|part| {
        let digits = part.as_bytes();
        let empty = digits.is_empty().then_some(0);
        let octet = |pair: &[u8]| pair.iter().fold(0, |octet, c| octet << 4 | hex_digit(*c));
        empty.into_iter().chain(digits.chunks(2).map(octet))
    });
    Some(pairs.take(colons + 1).collect())
}

fn hex_digit(c: u8) -> u8 {
    char::from(c).to_digit(16).map_or(0, |digit| digit as u8)
}

/// Digits, dots, slashes and spaces, comma by comma: whoever writes this means addresses.
fn looks_like_addresses(text: &str) -> bool {
    let all_fit = text.bytes().all(|c| c.is_ascii_digit() || b"./, \t".contains(&c)) && !text.starts_with('/');
    all_fit && text.bytes().any(|c| c.is_ascii_digit()) && text.bytes().any(|c| b"./, ".contains(&c))
}

/// Addresses, or destinations with their prefixes and routers (RFC 3442), which take no octet that the prefix leaves
/// out. 0.0.0.0 among these is not ours to fill in: it is the default route.
fn addresses(text: &str) -> Result<Value, BadValue> {
    let parts = text.split(',').map(str::trim);
    if !text.contains('/') {
        return parts.map(address).collect::<Result<_, _>>().map(Value::Addresses);
    }
    let mut octets = Vec::new();
    for part in parts {
        let Some((destination, prefix)) = part.split_once('/') else {
            octets.extend(address(part)?.octets());
            continue;
        };
        let prefix: u8 = prefix.trim().parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(|| not_prefix(part))?;
        let destination = address(destination.trim()).map_err(|_| not_prefix(part))?.octets();
        octets.push(prefix);
        octets.extend_from_slice(&destination[..usize::from(prefix.div_ceil(8))]);
    }
    Ok(Value::Octets(octets))
}

fn not_prefix(part: &str) -> BadValue {
    BadValue::NotPrefix { part: part.to_owned() }
}

fn address(part: &str) -> Result<Ipv4Addr, BadValue> {
    part.parse().map_err(|_| BadValue::NotAddress { part: part.to_owned() })
}

/// Seconds from `90`, `15m`, `12h`, `2d`, `1w` or `infinite`.
fn seconds(text: &str) -> Result<u32, BadValue> {
    let not_time = || BadValue::NotTime { text: text.to_owned() };
    if text.eq_ignore_ascii_case("infinite") {
        return Ok(u32::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u32 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(not_time()),
    };
    let count: u32 = digits.trim_end().parse().map_err(|_| not_time())?;
    count.checked_mul(unit).ok_or_else(not_time)
}

/// RFC 3361: 0 and names, or 1 and addresses. Numbers and octets may give the whole value.
fn sip(text: &str, quoted: bool) -> Result<Value, BadValue> {
    match if quoted { Guess::Text } else { guess(text)? } {
        Guess::Text => Ok(Value::Octets([vec![0], names(text)?].concat())),
        Guess::Addresses(value) => Ok(Value::Octets([vec![1], value.literal()].concat())),
        Guess::Octets(octets) => Ok(Value::Octets(octets)),
        Guess::Number { value, width } => Ok(Value::Octets(number(None, value, width))),
    }
}

/// Domain names one after the other; a tail that an earlier one has already is a pointer to it (RFC 1035 section 4.1.4,
/// RFC 3397). As dnsmasq does, only names that stand before the first pointer are pointed to.
fn names(text: &str) -> Result<Vec<u8>, BadValue> {
    let mut octets = Vec::new();
    let mut known: Vec<(String, usize)> = Vec::new();
    let mut pointed = false;
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let name = domain(name)?;
        let mut spelled = Vec::new();
        let mut rest = name.as_str();
        while !rest.is_empty() {
            if let Some((_, at)) = known.iter().find(|(tail, _)| tail == rest) {
                octets.extend((0xc000 | *at as u16).to_be_bytes());
                pointed = true;
                break;
            }
            spelled.push((rest.to_owned(), octets.len()));
            let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
            octets.push(label.len() as u8);
            octets.extend_from_slice(label.as_bytes());
            rest = tail;
        }
        if rest.is_empty() {
            octets.push(0);
        }
        if !pointed {
            known.append(&mut spelled);
        }
    }
    Ok(octets)
}

/// A domain name in small letters without the final dot.
fn domain(name: &str) -> Result<String, BadValue> {
    if !name.is_ascii() {
        return Err(BadValue::NotAscii { name: name.to_owned() });
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.len() > 253 || !bare.split('.').all(|label| (1..=63).contains(&label.len())) {
        return Err(BadValue::NotDomain { name: name.to_owned() });
    }
    Ok(bare.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::code;
    use super::*;
    use proptest::prelude::*;

    fn bare(code: u8, text: &str) -> Vec<u8> {
        encode(code, Written::bare(text)).unwrap_or_else(|bad| panic!("{code},{text}: {bad}")).literal()
    }

    fn unnamed(text: &str) -> Vec<u8> {
        bare(224, text)
    }

    #[test]
    fn looks_decide_where_the_option_does_not() {
        assert_eq!(unnamed("1.2.3.4 , 5.6.7.8"), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(unnamed("01:FF:a"), [1, 255, 10]);
        assert_eq!(unnamed("text"), b"text");
        assert_eq!(unnamed("1.2.3.4,text"), b"1.2.3.4,text");
        assert_eq!(unnamed("01:02,03:04"), b"01:02,03:04");
        assert_eq!(unnamed("0x10"), b"0x10");
        assert_eq!(unnamed("10m"), b"10m");
        assert_eq!(unnamed("ff"), b"ff");
        assert_eq!(unnamed("aa:bb:*"), b"aa:bb:*");
        assert_eq!(unnamed(" te xt "), b"te xt");
        assert_eq!(unnamed(""), b"");
    }

    #[test]
    fn quotes_make_text_of_anything() {
        for text in ["1.2.3.4", "5", "5i", "01:02", "5,6"] {
            assert_eq!(encode(224, Written::quoted(text)), Ok(Value::Octets(text.into())));
        }
        let error = encode(code::DNS_SERVERS, Written::quoted("1.2.3.4")).unwrap_err();
        assert_eq!(error, BadValue::NotAddress { part: "1.2.3.4".into() });
    }

    #[test]
    fn numbers_are_as_wide_as_they_need_unless_told() {
        assert_eq!(unnamed("255"), [255]);
        assert_eq!(unnamed("256"), [1, 0]);
        assert_eq!(unnamed("65536"), [0, 1, 0, 0]);
        assert_eq!(unnamed("-1"), [255; 4]);
        assert_eq!(unnamed("-5s"), [0xff, 0xfb]);
        assert_eq!(unnamed("5b"), [5]);
        assert_eq!(unnamed("5s"), [0, 5]);
        assert_eq!(unnamed("5i"), [0, 0, 0, 5]);
        assert_eq!(unnamed("300b"), [44]);
        assert_eq!(unnamed("4294967296"), [0]);
        assert_eq!(unnamed("99999999999999999999"), [255; 4]);
        assert_eq!(unnamed("2024-01-01"), [7, 232]);
        assert_eq!(unnamed("-"), b"-");
    }

    #[test]
    fn octets_come_in_pairs_of_digits() {
        assert_eq!(unnamed(":"), [0, 0]);
        assert_eq!(unnamed("a:b:"), [10, 11, 0]);
        assert_eq!(unnamed("123:1"), [0x12, 3]);
        assert_eq!(unnamed("99999:1"), [0x99, 0x99]);
    }

    #[test]
    fn named_options_have_their_shapes() {
        assert_eq!(bare(code::CLIENT_ARCH, "6"), [0, 6]);
        assert_eq!(bare(19, "1"), [1]);
        assert_eq!(bare(2, "-3600"), [0xff, 0xff, 0xf1, 0xf0]);
        assert_eq!(bare(26, "1500"), [5, 220]);
        assert_eq!(bare(26, "1500i"), [0, 0, 5, 220], "a suffix weighs more than the shape");
        assert_eq!(bare(17, "10.0.0.1:/x"), b"10.0.0.1:/x");
        assert_eq!(bare(code::BOOTFILE, "5"), b"5");
        assert_eq!(bare(code::VENDOR_CLASS, "5"), [5]);
        assert_eq!(bare(code::RENEWAL_TIME, "10 m"), 600_u32.to_be_bytes());
        assert_eq!(bare(code::REBINDING_TIME, "1W"), 604_800_u32.to_be_bytes());
        assert_eq!(bare(code::RAPID_COMMIT, ""), []);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_part_that_does_not() {
        let bad = |code, text| encode(code, Written::bare(text)).unwrap_err();
        let not_address = |part: &str| BadValue::NotAddress { part: part.into() };
        assert_eq!(bad(224, "1.2.3"), not_address("1.2.3"));
        assert_eq!(bad(224, "5,6"), not_address("5"));
        assert_eq!(bad(224, "1.2.3.4,"), not_address(""));
        assert_eq!(bad(224, "1.2.3.4 5.6.7.8"), not_address("1.2.3.4 5.6.7.8"));
        assert_eq!(bad(code::ROUTER, "5"), not_address("5"));
        assert_eq!(bad(code::ROUTER, "01:02"), not_address("01:02"));
        assert_eq!(bad(224, "1.2.3.4/33"), BadValue::NotPrefix { part: "1.2.3.4/33".into() });
        assert_eq!(bad(code::RENEWAL_TIME, "1h30m"), BadValue::NotTime { text: "1h30m".into() });
        assert_eq!(bad(119, ".com"), BadValue::NotDomain { name: ".com".into() });
        assert_eq!(bad(119, "bü.de"), BadValue::NotAscii { name: "bü.de".into() });
        assert_eq!(bad(224, &"x".repeat(256)), BadValue::TooLong { octets: 256 });
    }

    #[test]
    fn zeros_are_our_own_address_but_not_among_routes() {
        let ours = Ipv4Addr::new(10, 0, 1, 1);
        let filled = |code, text| encode(code, Written::bare(text)).unwrap().octets(ours);
        assert_eq!(filled(code::DNS_SERVERS, "1.2.3.4,0.0.0.0"), [1, 2, 3, 4, 10, 0, 1, 1]);
        assert_eq!(filled(224, "0.0.0.0"), [10, 0, 1, 1]);
        assert_eq!(filled(121, "0.0.0.0/0,0.0.0.0"), [0, 0, 0, 0, 0]);
        assert_eq!(filled(120, "0.0.0.0"), [1, 0, 0, 0, 0]);
    }

    #[test]
    fn routes_leave_out_what_the_prefix_does() {
        let octets = [8, 10, 1, 2, 3, 4, 0, 1, 2, 3, 1];
        assert_eq!(bare(121, "10.0.0.0/8,1.2.3.4, 0.0.0.0/0,1.2.3.1"), octets);
    }

    #[test]
    fn search_lists_share_their_tails() {
        let octets = b"\x03eng\x05apple\x03com\x00\tmarketing\xc0\x04";
        assert_eq!(bare(119, "eng.apple.com,marketing.Apple.com."), octets);
        assert_eq!(bare(119, "y.z,x.y.z,w.x.y.z"), b"\x01y\x01z\x00\x01x\xc0\x00\x01w\x01x\xc0\x00");
        assert_eq!(bare(119, "b.c,b.c"), b"\x01b\x01c\x00\xc0\x00");
        assert_eq!(bare(120, "sip.a.com,b.a.com"), b"\x00\x03sip\x01a\x03com\x00\x01b\xc0\x04");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f.:,/ *\"bish-]{0,40}|.{0,40}", code: u8, quoted: bool) {
            if let Ok(value) = encode(code, Written { text: &text, quoted }) {
                prop_assert!(value.literal().len() <= MAX_OCTETS);
            }
        }
    }
}
