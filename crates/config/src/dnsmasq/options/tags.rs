//! Tags: who gets which, and what hangs on them.

use boot::matching::HardwarePattern;

use super::{Meaning, Read, Said, given, number};
use crate::diagnostic::{Diagnostic, Place};
use crate::dnsmasq::options::answers;
use crate::dnsmasq::options::hosts::hardware;
use crate::dnsmasq::text::Text;
use crate::said::Given;

/// A condition: the machine has the tag, or has it not.
#[derive(Clone, Debug, PartialEq)]
pub struct TagTest {
    /// In `tag-if` it may end in `*`: any tag that starts so.
    pub name: String,
    /// `tag:!name`: holds where the tag is absent.
    pub absent: bool,
    pub place: Place,
}

/// A machine that matches gets a tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    pub set: Given<String>,
    pub on: On,
}

/// What is matched.
#[derive(Clone, Debug, PartialEq)]
pub enum On {
    /// `dhcp-match`: the option is there, and holds the value if one is given.
    Option {
        code: u8,
        value: Option<Text>,
    },
    /// `dhcp-match=vi-encap:`: a vendor class (RFC 3925 option 124) of this enterprise.
    Enterprise {
        number: u32,
        value: Option<Text>,
    },
    /// Part of option 60.
    VendorClass(Text),
    /// Part of option 77.
    UserClass(Text),
    Hardware(HardwarePattern),
    /// Sub-option 1 of option 82, whole.
    CircuitId(Vec<u8>),
    /// Sub-option 2 of option 82, whole.
    RemoteId(Vec<u8>),
    /// Sub-option 6 of option 82 (RFC 3993), whole.
    SubscriberId(Vec<u8>),
    /// The client's name; `open`: what it starts with.
    Name {
        name: String,
        open: bool,
    },
}

/// Sets tags where all tests hold; lines count in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct TagIf {
    pub set: Vec<Given<String>>,
    pub tests: Vec<TagTest>,
}

/// `tag:x`, and `net:x` as long ago; without the prefix.
pub(super) fn strip_tag(text: &Text) -> Option<Text> {
    text.strip_prefix("tag:").or_else(|| text.strip_prefix("net:"))
}

/// A test without its prefix: `x`, `!x`, and `#x` as long ago.
pub(super) fn test(text: &Text) -> Result<TagTest, Diagnostic> {
    let (name, absent) = match text.as_str().strip_prefix(['!', '#']) {
        Some(name) => (name, true),
        None => (text.as_str(), false),
    };
    if let Some(bare) = name.strip_prefix("set:") {
        let fix = format!("write tag:{bare}");
        return Err(text.wrong("`set:` gives a tag, but here one is asked for", fix));
    }
    if name.is_empty() {
        return Err(text.wrong("the tag lacks its name", "write tag:name"));
    }
    Ok(TagTest { name: name.to_owned(), absent, place: text.place().clone() })
}

/// Takes the `tag:` fields at the start of `fields`.
pub(super) fn leading_tests(fields: &mut Vec<Text>) -> Result<Vec<TagTest>, Diagnostic> {
    let tags: Vec<_> = fields.iter().map_while(strip_tag).collect();
    fields.drain(..tags.len());
    tags.iter().map(test).collect()
}

/// The tag to set: `set:x`, `tag:x`, `net:x` or just `x`.
fn to_set(text: &Text) -> Result<Given<String>, Diagnostic> {
    let name = text.strip_prefix("set:").or_else(|| strip_tag(text)).unwrap_or_else(|| text.clone());
    if name.is_empty() {
        return Err(text.wrong("the tag to set lacks its name", "write set:name"));
    }
    Ok(given(&name))
}

/// All fields are tests, with or without their prefix.
fn tests(said: &Said<'_>) -> Result<Vec<TagTest>, Diagnostic> {
    let fields = said.list().into_iter().filter(|field| !field.is_empty());
    fields.map(|field| test(&strip_tag(&field).unwrap_or(field))).collect()
}

pub(in super::super) fn ignore(said: &mut Said<'_>) -> Read {
    tests(said).map(Meaning::DhcpIgnore)
}

pub(in super::super) fn ignore_names(said: &mut Said<'_>) -> Read {
    tests(said).map(Meaning::DhcpIgnoreNames)
}

pub(in super::super) fn generate_names(said: &mut Said<'_>) -> Read {
    tests(said).map(Meaning::DhcpGenerateNames)
}

pub(in super::super) fn broadcast(said: &mut Said<'_>) -> Read {
    tests(said).map(Meaning::DhcpBroadcast)
}

pub(in super::super) fn bootp_dynamic(said: &mut Said<'_>) -> Read {
    tests(said).map(Meaning::BootpDynamic)
}

pub(in super::super) fn tag_if(said: &mut Said<'_>) -> Read {
    let (mut set, mut tests) = (Vec::new(), Vec::new());
    for field in said.list() {
        if let Some(name) = field.strip_prefix("set:") {
            set.push(given(&name));
        } else if let Some(name) = field.strip_prefix("tag:") {
            tests.push(test(&name)?);
        } else {
            return Err(field.wrong(format!("`{field}` neither sets nor tests a tag"), "write set:name or tag:name"));
        }
    }
    if set.is_empty() {
        return Err(said.wrong("no tag is set here", "add set:name"));
    }
    Ok(Meaning::TagIf(TagIf { set, tests }))
}

/// `set:tag`, and what follows the comma.
fn tag_and(said: &Said<'_>, what: &str) -> Result<(Given<String>, Text), Diagnostic> {
    match said.text().split_once(',') {
        (tag, Some(rest)) => Ok((to_set(&tag)?, rest)),
        (_, None) => {
            let fix = format!("write {}=set:name,{what}", said.row.name);
            Err(said.wrong("a tag and a value are wanted", fix))
        }
    }
}

/// `set:tag` and one value.
fn tag_and_one(said: &Said<'_>, what: &str) -> Result<(Given<String>, Text), Diagnostic> {
    let (set, value) = tag_and(said, what)?;
    if value.has(',') {
        let fix = "put quotes around a value that has a comma in it";
        return Err(value.wrong("one value is wanted, and a comma parts several", fix));
    }
    Ok((set, value))
}

fn matched(set: Given<String>, on: On) -> Read {
    Ok(Meaning::Match(Match { set, on }))
}

pub(in super::super) fn vendor_class(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and(said, "class")?;
    if value.strip_prefix("enterprise:").is_some() {
        let why = "an enterprise's vendor class is DHCPv6's, which lanboot does not speak yet";
        return Ok(said.without_effect("this vendor class", why));
    }
    if value.has(',') {
        return Err(value.wrong("one class is wanted, and a comma parts several", "put quotes around it"));
    }
    matched(set, On::VendorClass(value))
}

pub(in super::super) fn user_class(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and_one(said, "class")?;
    matched(set, On::UserClass(value))
}

pub(in super::super) fn mac(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and_one(said, "52:54:00:*:*:*")?;
    matched(set, On::Hardware(hardware(&value)?))
}

pub(in super::super) fn circuit_id(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and_one(said, "id")?;
    matched(set, On::CircuitId(relay_id(&value)))
}

pub(in super::super) fn remote_id(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and_one(said, "id")?;
    matched(set, On::RemoteId(relay_id(&value)))
}

pub(in super::super) fn subscriber_id(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and_one(said, "id")?;
    matched(set, On::SubscriberId(relay_id(&value)))
}

/// Hexadecimal octets between colons, else the text itself.
fn relay_id(text: &Text) -> Vec<u8> {
    let octet = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| part.bytes().all(|c| c.is_ascii_hexdigit()));
    let octets = text.bare().filter(|bare| bare.contains(':')).and_then(|bare| bare.split(':').map(octet).collect());
    octets.unwrap_or_else(|| text.as_str().into())
}

pub(in super::super) fn name_match(said: &mut Said<'_>) -> Read {
    let (set, value) = tag_and(said, "name")?;
    if value.is_empty() {
        return Err(said.wrong("the name is missing", "write dhcp-name-match=set:tag,name, or name* for its start"));
    }
    let (name, open) = value.as_str().strip_suffix('*').map_or((value.as_str(), false), |start| (start, true));
    matched(set, On::Name { name: name.to_owned(), open })
}

pub(in super::super) fn dhcp_match(said: &mut Said<'_>) -> Read {
    let (set, rest) = tag_and(said, "option")?;
    let (option, value) = rest.split_once(',');
    let value = value.filter(|value| !value.is_empty());
    if let Some(enterprise) = option.strip_prefix("vi-encap:") {
        let number = number(&enterprise, u32::MAX)?;
        return matched(set, On::Enterprise { number, value });
    }
    if option.strip_prefix("option6:").is_some() {
        return Ok(said.without_effect("`option6:`", "lanboot speaks no DHCPv6 yet"));
    }
    let code = answers::code(&option, answers::Names::All)?;
    matched(set, On::Option { code, value })
}
