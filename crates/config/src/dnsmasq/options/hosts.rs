//! Single machines: `dhcp-host`, and the files that hold its values.

use std::net::{Ipv4Addr, Ipv6Addr};

use boot::hosts::IdPattern;
use boot::matching::HardwarePattern;

use super::ranges::{Lease, lease};
use super::tags::{TagTest, strip_tag, test};
use super::{Meaning, Read, Said, as_address, as_address6, given, replaced};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::dnsmasq::text::Text;
use crate::said::Given;

/// What is laid down for one machine, or for several that match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DhcpHost {
    /// Any of these.
    pub hardware: Vec<Given<HardwarePattern>>,
    pub client_id: Option<Given<IdPattern>>,
    /// Tags that the machine gets.
    pub set: Vec<Given<String>>,
    /// Tests that must hold for the line to count.
    pub tests: Vec<TagTest>,
    pub address: Option<Given<Ipv4Addr>>,
    /// Kept for DHCPv6; a warning says that nobody gives them out yet.
    pub addresses6: Vec<Given<Ipv6Addr>>,
    pub name: Option<Given<String>>,
    pub lease: Option<Lease>,
    /// No answer, ever.
    pub ignore: bool,
}

/// A hardware address in which octets may be open: `52:54:00:*:*:*`.
pub(super) fn hardware(text: &Text) -> Result<HardwarePattern, Diagnostic> {
    text.bare().and_then(|bare| bare.parse().ok()).ok_or_else(|| bad_hardware(text))
}

fn bad_hardware(text: &Text) -> Diagnostic {
    let fix = "write pairs of hex digits with colons between them, and * for any pair: 52:54:00:*:*:*";
    let what = match text.is_empty() {
        true => "the hardware address is missing".to_owned(),
        false => format!("`{text}` is not a hardware address"),
    };
    text.wrong(what, fix)
}

/// Octets in hexadecimal between colons; `*` is any.
fn octets_with_gaps(text: &str) -> Option<Vec<Option<u8>>> {
    let octet = |part: &str| match part {
        "*" => Some(None),
        _ if (1..=2).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_hexdigit()) => {
            u8::from_str_radix(part, 16).ok().map(Some)
        }
        _ => None,
    };
    text.split(':').map(octet).collect()
}

pub(in super::super) fn dhcp_host(said: &mut Said<'_>) -> Read {
    let text = said.text();
    read(&text, said.notes).map(Meaning::DhcpHost)
}

/// The value of a `dhcp-host`, or a line of a file of such values.
pub(in super::super) fn read(text: &Text, notes: &mut Diagnostics) -> Result<DhcpHost, Diagnostic> {
    let mut host = DhcpHost::default();
    for field in text.split(',').iter().filter(|field| !field.is_empty()) {
        if let Some(inside) = bracketed(field) {
            host.addresses6.push(address6(field, &inside, notes)?);
        } else if let Some(address) = as_address(field) {
            put(&mut host.address, address, field.place(), "address", notes);
        } else if field.has(':') {
            host.prefixed(field, notes)?;
        } else {
            host.word(field, notes)?;
        }
    }
    Ok(host)
}

impl DhcpHost {
    /// `id:`, `set:`, `tag:`, or a hardware address.
    fn prefixed(&mut self, field: &Text, notes: &mut Diagnostics) -> Result<(), Diagnostic> {
        // For dhcp-host `net:` is `set:`, not `tag:` as elsewhere.
        if let Some(id) = field.strip_prefix("id:") {
            put(&mut self.client_id, client_id(&id)?, field.place(), "client identifier", notes);
        } else if let Some(tag) = field.strip_prefix("set:").or_else(|| field.strip_prefix("net:")) {
            if !tag.is_empty() {
                self.set.push(given(&tag));
            }
        } else if let Some(tag) = strip_tag(field) {
            self.tests.push(test(&tag)?);
        } else {
            let hardware = hardware(field)?;
            self.hardware.push(Given { value: hardware, place: field.place().clone() });
        }
        Ok(())
    }

    /// A lease time, `ignore`, or else the machine's name.
    fn word(&mut self, field: &Text, notes: &mut Diagnostics) -> Result<(), Diagnostic> {
        let time = field.as_str().bytes().next().is_some_and(|c| c.is_ascii_digit()) || field.as_str() == "infinite";
        if let Some(lease) = lease(field).ok().filter(|_| time) {
            self.lease = Some(lease);
        } else if field.as_str() == "ignore" {
            self.ignore = true;
        } else {
            let name = host_name(field)?;
            put(&mut self.name, name, field.place(), "name", notes);
        }
        Ok(())
    }
}

fn put<T>(slot: &mut Option<Given<T>>, value: T, place: &Place, what: &str, notes: &mut Diagnostics) {
    if let Some(first) = slot.replace(Given { value, place: place.clone() }) {
        replaced(notes, what, place, &first.place);
    }
}

fn bracketed(field: &Text) -> Option<String> {
    field.bare()?.strip_prefix('[')?.strip_suffix(']').map(str::to_owned)
}

fn address6(field: &Text, inside: &str, notes: &mut Diagnostics) -> Result<Given<Ipv6Addr>, Diagnostic> {
    let (address, prefix) = inside.split_once('/').unwrap_or((inside, "128"));
    let prefix = prefix.parse().ok().filter(|prefix: &u8| *prefix <= 128);
    let value = address.parse().ok().filter(|_| prefix.is_some());
    let value = value.ok_or_else(|| field.wrong(format!("`{inside}` is not an IPv6 address"), "write [fd00::1]"))?;
    let note = format!("the address {value} is given to nobody: lanboot speaks no DHCPv6 yet");
    notes.push(Diagnostic::warning(note).at(field.place().clone()));
    Ok(Given { value, place: field.place().clone() })
}

/// Octets in hexadecimal where there is a colon, else text.
fn client_id(text: &Text) -> Result<IdPattern, Diagnostic> {
    if text.as_str() == "*" {
        return Ok(IdPattern::Ignored);
    }
    if !text.has(':') {
        return Ok(IdPattern::Octets(text.as_str().bytes().map(Some).collect()));
    }
    octets_with_gaps(text.as_str()).map(IdPattern::Octets).ok_or_else(|| {
        let fix = "write pairs of hex digits with colons between them, or text without a colon";
        text.wrong(format!("`{text}` is not a client identifier"), fix)
    })
}

/// Labels of letters, digits, `-` and `_`, with dots between them; a name of digits and dots is a mistyped address.
fn host_name(text: &Text) -> Result<String, Diagnostic> {
    let name = text.as_str();
    if as_address6(text).is_some() || name.contains('.') && name.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return Err(text.wrong(format!("`{name}` is not an IPv4 address"), "write four numbers, like 10.0.1.1"));
    }
    let first = name.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
    let odd = name.chars().find(|c| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.'));
    let long = name.split('.').any(|label| label.len() > 63);
    let what = match odd {
        Some(odd) => format!("a host name cannot hold {odd:?}"),
        None if long => format!("`{name}` is too long: a part of a name has 63 letters at most"),
        None if !first => format!("`{name}` is not a host name"),
        None => return Ok(name.to_owned()),
    };
    Err(text.wrong(what, "use letters, digits, `-` and `_`, and start with a letter or a digit"))
}
