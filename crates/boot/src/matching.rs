//! Facts to tags: the one place where DHCP options are matched.
//!
//! A tag is a word that rules put on a request and other rules ask for. The words, what sets them and in which order
//! are those of dnsmasq (`dhcp-match`, `dhcp-vendorclass`, `dhcp-userclass`, `dhcp-mac`, `dhcp-circuitid`,
//! `dhcp-remoteid`, `dhcp-subscrid`, `dhcp-name-match`, `tag-if`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dhcp::ClientArch;
use dhcp::v4::options::{Pattern, contains};
use dhcp::v4::packet::sub_options;
use dhcp::v4::{Fqdn, Packet, code};
use mac::Mac;

/// A word on a request. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Tag {
        Tag(text.into())
    }
}

/// The tags of one request, in the order in which they were set.
///
/// Tags that come from the range of the address are weak: where rules compete, those that hold without them win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<(Tag, Strength)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Weak,
    Strong,
}

impl Tags {
    pub fn set(&mut self, tag: impl Into<Tag>) {
        self.put(tag.into(), Strength::Strong);
    }

    /// Sets a tag of the range that the address is from.
    pub fn set_weak(&mut self, tag: impl Into<Tag>) {
        self.put(tag.into(), Strength::Weak);
    }

    pub fn contains(&self, tag: &str) -> bool {
        self.iter().any(|set| set.as_str() == tag)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter().map(|(tag, _)| tag)
    }

    fn put(&mut self, tag: Tag, strength: Strength) {
        match self.0.iter_mut().find(|(set, _)| *set == tag) {
            Some((_, old)) => *old = strength.max(*old),
            None => self.0.push((tag, strength)),
        }
    }

    /// Whether a tag is set that a test finds, weak ones aside when only strong ones count.
    fn any(&self, least: Strength, test: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|(tag, strength)| *strength >= least && test(tag.as_str()))
    }
}

impl<T: Into<Tag>> FromIterator<T> for Tags {
    /// Strong tags.
    fn from_iter<I: IntoIterator<Item = T>>(tags: I) -> Tags {
        let mut set = Tags::default();
        tags.into_iter().for_each(|tag| set.set(tag));
        set
    }
}

/// The latest first, as dnsmasq logs them.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags: Vec<&str> = self.iter().map(Tag::as_str).collect();
        f.write_str(&tags.into_iter().rev().collect::<Vec<_>>().join(", "))
    }
}

/// Tags that must all be set, or with `!` before them must not be. Without any it holds for every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagExpr(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    tag: Tag,
    negated: bool,
}

/// How well a condition on tags is met; of competing rules the best met wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Met {
    /// It asks for nothing.
    Always,
    /// It needs the tags of the address's range.
    ByRange,
    ByRequest,
}

impl TagExpr {
    /// From the words behind `tag:`: `known`, `!known` or, in the older spelling, `#known`.
    pub fn all<'a>(terms: impl IntoIterator<Item = &'a str>) -> TagExpr {
        let term = |text: &str| match text.strip_prefix(['!', '#']) {
            Some(tag) => Term { tag: tag.into(), negated: true },
            None => Term { tag: text.into(), negated: false },
        };
        TagExpr(terms.into_iter().map(term).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn holds(&self, tags: &Tags) -> bool {
        self.met(tags).is_some()
    }

    /// How well the tags meet this; `None` when they do not.
    pub fn met(&self, tags: &Tags) -> Option<Met> {
        self.met_by(tags, |set, asked| set == asked)
    }

    /// As [`TagExpr::met`]; a `*` at the end of a term stands for any ending. This is for `tag-if` alone.
    fn met_with_wildcards(&self, tags: &Tags) -> Option<Met> {
        self.met_by(tags, |set, asked| asked.strip_suffix('*').map_or(set == asked, |start| set.starts_with(start)))
    }

    fn met_by(&self, tags: &Tags, same: impl Fn(&str, &str) -> bool) -> Option<Met> {
        let holds =
            |least| self.0.iter().all(|term| tags.any(least, |set| same(set, term.tag.as_str())) != term.negated);
        match self.0.is_empty() {
            true => Some(Met::Always),
            false if !holds(Strength::Weak) => None,
            false if holds(Strength::Strong) => Some(Met::ByRequest),
            false => Some(Met::ByRange),
        }
    }
}

impl fmt::Display for TagExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Term { tag, negated }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let not = if *negated { "!" } else { "" };
            write!(f, "{comma}tag:{not}{}", tag.as_str())?;
        }
        Ok(())
    }
}

/// What a request must be like. An option that is there without a single octet counts as absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Option {
        code: u8,
        value: Pattern,
    },
    /// One of the vendor classes that option 124 holds for this enterprise (RFC 3925 section 3).
    VendorIdentified {
        enterprise: u32,
        value: Pattern,
    },
    /// Text anywhere in option 60.
    VendorClass(Vec<u8>),
    /// Text anywhere in option 77, whether it is raw or length-prefixed (RFC 3004).
    UserClass(Vec<u8>),
    Hardware(HardwarePattern),
    /// Exactly this in a sub-option of option 82; see [`relay_agent`].
    RelayAgent {
        sub: u8,
        id: Vec<u8>,
    },
    Name(NamePattern),
    /// One of the architectures of option 93.
    Arch(ClientArch),
}

/// Sub-options of the relay agent information (option 82).
pub mod relay_agent {
    /// RFC 3046
    pub const CIRCUIT_ID: u8 = 1;
    /// RFC 3046
    pub const REMOTE_ID: u8 = 2;
    /// RFC 3993
    pub const SUBSCRIBER_ID: u8 = 6;
}

impl Condition {
    pub fn holds(&self, packet: &Packet<'_>) -> bool {
        let has = |code, test: &dyn Fn(&[u8]) -> bool| packet.option(code).is_some_and(|data| test(&data));
        match self {
            Condition::Option { code, value } => has(*code, &|data| value.matches(data)),
            Condition::VendorIdentified { enterprise, value } => has(VENDOR_IDENTIFYING_CLASS, &|data| {
                vendor_classes(data, *enterprise).any(|class| value.admits(class))
            }),
            Condition::VendorClass(text) => has(code::VENDOR_CLASS, &|data| !data.is_empty() && contains(data, text)),
            // The length octets before the classes are no obstacle: no text spans them.
            Condition::UserClass(text) => has(code::USER_CLASS, &|data| !data.is_empty() && contains(data, text)),
            Condition::Hardware(pattern) => pattern.matches(packet.htype(), packet.chaddr()),
            Condition::RelayAgent { sub, id } => has(code::RELAY_AGENT, &|data| {
                sub_options(data).find(|(code, _)| code == sub).is_some_and(|(_, data)| data == id)
            }),
            Condition::Name(pattern) => client_name(packet).is_some_and(|name| pattern.matches(&name)),
            Condition::Arch(arch) => {
                has(code::CLIENT_ARCH, &|data| data.chunks_exact(2).any(|octets| octets == arch.0.to_be_bytes()))
            }
        }
    }
}

const VENDOR_IDENTIFYING_CLASS: u8 = 124;

/// The classes of one enterprise: number, length, then each class with its length before it. What is damaged ends them.
fn vendor_classes(data: &[u8], enterprise: u32) -> impl Iterator<Item = &[u8]> {
    let mut blocks = Vec::new();
    let mut rest = data;
    while let [a, b, c, d, length, tail @ ..] = rest {
        let Some((block, tail)) = tail.split_at_checked(usize::from(*length)) else { break };
        if u32::from_be_bytes([*a, *b, *c, *d]) == enterprise {
            blocks.push(block);
        }
        rest = tail;
    }
    blocks.into_iter().flat_map(|block| {
        let mut rest = block;
        std::iter::from_fn(move || {
            let [length, tail @ ..] = rest else { return None };
            let (class, tail) = tail.split_at_checked(usize::from(*length))?;
            rest = tail;
            Some(class)
        })
    })
}

/// A hardware address with wildcards: `01:34:23:*:*:*`, or `06-01:34:23:*:*:*` with the hardware type in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwarePattern {
    /// `None`: any type.
    htype: Option<u8>,
    octets: Vec<Option<u8>>,
}

impl HardwarePattern {
    /// Whether an address of exactly as many octets matches.
    pub fn matches(&self, htype: u8, address: &[u8]) -> bool {
        let fits = |(octet, wanted): (&u8, &Option<u8>)| wanted.is_none_or(|wanted| wanted == *octet);
        self.htype.is_none_or(|wanted| wanted == htype)
            && address.len() == self.octets.len()
            && address.iter().zip(&self.octets).all(fits)
    }

    /// The one Ethernet address that is meant, where there is no wildcard and no hardware type.
    pub fn mac(&self) -> Option<Mac> {
        let octets: Option<Vec<u8>> = self.octets.iter().copied().collect();
        octets.filter(|_| self.htype.is_none_or(|htype| htype == 1))?.try_into().ok().map(Mac)
    }

    /// How many octets are wildcards: the fewer, the closer the match.
    pub fn wildcards(&self) -> usize {
        self.octets.iter().filter(|octet| octet.is_none()).count()
    }
}

/// The text is not a hardware address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hardware address such as 52:54:00:12:34:56, with * for any octet")]
pub struct NotHardware(pub String);

/// `52:54:00:*:*:*`, `06-01:34:23:*:*:*`, as it is read.
impl fmt::Display for HardwarePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(htype) = self.htype {
            write!(f, "{htype:02x}-")?;
        }
        let octets = self.octets.iter().map(|octet| octet.map_or("*".into(), |octet| format!("{octet:02x}")));
        f.write_str(&octets.collect::<Vec<_>>().join(":"))
    }
}

impl From<Mac> for HardwarePattern {
    fn from(mac: Mac) -> HardwarePattern {
        HardwarePattern { htype: None, octets: mac.0.iter().copied().map(Some).collect() }
    }
}

impl FromStr for HardwarePattern {
    type Err = NotHardware;

    fn from_str(text: &str) -> Result<HardwarePattern, NotHardware> {
        let bad = || NotHardware(text.to_owned());
        let octet = |part: &str| {
            let digits = (1..=2).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
        };
        let (htype, address) = match text.split_once('-') {
            // Type 0 says nothing, as no type does.
            Some((htype, address)) => (Some(octet(htype).ok_or_else(bad)?).filter(|htype| *htype != 0), address),
            None => (None, text),
        };
        let wild = |part| if part == "*" { Some(None) } else { octet(part).map(Some) };
        let octets: Vec<_> = address.split(':').map(wild).collect::<Option<_>>().ok_or_else(bad)?;
        if octets.len() > 16 { Err(bad()) } else { Ok(HardwarePattern { htype, octets }) }
    }
}

/// A name that a client gives itself, in either case; a `*` at the end stands for any ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    wildcard: bool,
}

impl NamePattern {
    pub fn new(text: &str) -> NamePattern {
        let (text, wildcard) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
        NamePattern { text: text.to_ascii_lowercase(), wildcard }
    }

    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        if self.wildcard { name.starts_with(&self.text) } else { name == self.text }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.wildcard { "*" } else { "" })
    }
}

/// The name that a client gives itself, with its domain if it says one: option 81 (RFC 4702) before option 12. `None`
/// when there is none, or its first label is not a host name: letters and digits with `-` and `_` among them.
pub fn client_name(packet: &Packet<'_>) -> Option<String> {
    let name = match packet.option(code::FQDN) {
        Some(data) => Fqdn::parse(&data)?.name?,
        None => {
            let data = packet.option(code::HOST_NAME)?;
            let end = data.iter().position(|octet| *octet == 0).unwrap_or(data.len());
            String::from_utf8(data[..end].to_vec()).ok()?
        }
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let label = name.split('.').next()?;
    let begins_well = label.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_host = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    (begins_well && is_host && label.len() <= 63).then(|| name.to_owned())
}

/// Sets tags on requests that are like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    pub when: Condition,
    pub set: Vec<Tag>,
}

/// Sets tags where others are set or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagIf {
    /// A `*` at the end of a term stands for any ending.
    pub when: TagExpr,
    pub set: Vec<Tag>,
}

/// All tags of a request.
///
/// `base`: those that its circumstances set: interface, host, `known`, `bootp`, and weakly the address's range. Rules
/// come next; each of `tag_ifs` then sees what those before it have set, once.
pub fn tags(packet: &Packet<'_>, base: Tags, rules: &[TagRule], tag_ifs: &[TagIf]) -> Tags {
    let mut tags = base;
    for rule in rules.iter().filter(|rule| rule.when.holds(packet)) {
        rule.set.iter().for_each(|tag| tags.set(tag.clone()));
    }
    for rule in tag_ifs {
        let Some(met) = rule.when.met_with_wildcards(&tags) else { continue };
        let strength = if met == Met::ByRange { Strength::Weak } else { Strength::Strong };
        rule.set.iter().for_each(|tag| tags.put(tag.clone(), strength));
    }
    tags
}

#[cfg(test)]
mod tests;
