//! Addresses to give out: `dhcp-range`, `shared-network`.

use std::net::Ipv4Addr;

use super::tags::{TagTest, strip_tag, test};
use super::{Meaning, Read, Said, address, as_address, given, nothing_more};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::text::Text;
use crate::said::Given;

/// A subnet that is served, and what may be given out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DhcpRange {
    /// Tag for every machine that is served from it.
    pub set: Option<Given<String>>,
    /// Tests that must hold for a machine to be served from it.
    pub tests: Vec<TagTest>,
    /// The lowest address; for `static` and `proxy` any address of the subnet.
    pub start: Given<Ipv4Addr>,
    pub mode: RangeMode,
    /// `None`: the interface's.
    pub netmask: Option<Given<Ipv4Addr>>,
    pub broadcast: Option<Given<Ipv4Addr>>,
    /// `None`: an hour.
    pub lease: Option<Lease>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RangeMode {
    /// Give out every address up to this one, which is not below `start`.
    To(Given<Ipv4Addr>),
    /// Only what `dhcp-host` lays down.
    Static,
    /// Another server gives out addresses; answer PXE clients beside it.
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// At least 120, which dnsmasq raises shorter times to.
    Seconds(u32),
    Infinite,
}

/// More addresses for a network, or for what a relay forwards.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedNetwork {
    pub on: SharedOn,
    /// An address of the subnet that is added.
    pub subnet: Given<Ipv4Addr>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SharedOn {
    Interface(String),
    /// One of ours, or a relay's.
    Address(Ipv4Addr),
}

const SYNTAX: &str = "dhcp-range=[set:tag,]10.0.1.100,10.0.1.199[,255.255.255.0[,10.0.1.255]][,12h]";

pub(in super::super) fn dhcp_range(said: &mut Said<'_>) -> Read {
    let mut fields = said.text().split(',');
    let (set, tests) = range_tags(&mut fields)?;
    let [start, second, rest @ ..] = &*fields else {
        return Err(said.wrong("a first and a last address are wanted", format!("write {SYNTAX}")));
    };
    if start.has(':') {
        let fix = "leave the line out until a release serves IPv6";
        return Err(start.wrong("lanboot speaks no DHCPv6 and sends no router advertisements yet", fix));
    }
    let mut start = address(start)?;
    let mut mode = match second.as_str() {
        "static" => RangeMode::Static,
        "proxy" => RangeMode::Proxy,
        _ => RangeMode::To(address(second).map_err(|_| {
            second.wrong(format!("`{second}` is not an IPv4 address, static or proxy"), format!("write {SYNTAX}"))
        })?),
    };
    let mut rest = rest.iter().peekable();
    let mut next_address = || rest.next_if(|field| as_address(field).is_some()).and_then(|field| address(field).ok());
    let (netmask, broadcast) = (next_address(), next_address());
    let lease = rest.next().map(lease).transpose()?;
    nothing_more(&rest.cloned().collect::<Vec<_>>(), SYNTAX)?;
    if let RangeMode::To(end) = &mut mode {
        // As dnsmasq: the order of the two does not matter.
        if end.value < start.value {
            std::mem::swap(&mut start, end);
        }
        one_subnet(&start, end, netmask.as_ref())?;
    }
    Ok(Meaning::DhcpRange(DhcpRange { set, tests, start, mode, netmask, broadcast, lease }))
}

/// Takes the tags at the start of `fields`: what to set, and what to test.
fn range_tags(fields: &mut Vec<Text>) -> Result<(Option<Given<String>>, Vec<TagTest>), Diagnostic> {
    let (mut set, mut tests) = (None::<Given<String>>, Vec::new());
    let last = fields.len().saturating_sub(1);
    let tags = fields[..last].iter().take_while(|field| !is_addresslike(field)).count();
    for field in fields.drain(..tags) {
        if let Some(name) = strip_tag(&field) {
            tests.push(test(&name)?);
            continue;
        }
        let name = field.strip_prefix("set:").unwrap_or(field);
        if let Some(first) = set.replace(given(&name)) {
            let fix = "leave one of the two out, or test with tag:";
            return Err(name.wrong("a range sets one tag only", fix).also(first.place, "the first"));
        }
    }
    Ok((set, tests))
}

/// As dnsmasq tells a tag without a prefix from an address: by a character that neither IPv4 nor IPv6 has.
fn is_addresslike(text: &Text) -> bool {
    text.bare().is_some_and(|bare| bare.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | ' ')))
}

fn one_subnet(
    start: &Given<Ipv4Addr>,
    end: &Given<Ipv4Addr>,
    netmask: Option<&Given<Ipv4Addr>>,
) -> Result<(), Diagnostic> {
    let Some(netmask) = netmask else { return Ok(()) };
    if start.value & netmask.value == end.value & netmask.value {
        return Ok(());
    }
    let what = format!("{} and {} are not in one subnet by the netmask {}", start.value, end.value, netmask.value);
    Err(Diagnostic::error(what)
        .at(netmask.place.clone())
        .fix("keep the range inside one subnet, or write the netmask that both share"))
}

/// `infinite`, seconds, or a number and `s`, `m`, `h`, `d`, `w`.
pub(super) fn lease(text: &Text) -> Result<Lease, Diagnostic> {
    let word = text.as_str();
    if word == "infinite" {
        return Ok(Lease::Infinite);
    }
    let (number, unit) = match word.bytes().last().map(|unit| unit.to_ascii_lowercase()) {
        Some(unit @ (b's' | b'm' | b'h' | b'd' | b'w')) => (&word[..word.len() - 1], unit),
        _ => (word, b's'),
    };
    let scale: u32 = match unit {
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        b'w' => 604_800,
        _ => 1,
    };
    let wrong = |what: String| text.wrong(what, "write a number and its unit, such as 90m or 12h, or infinite");
    if number.is_empty() || !number.bytes().all(|c| c.is_ascii_digit()) {
        return Err(wrong(format!("`{word}` is not a lease time")));
    }
    let seconds = number.parse().ok().and_then(|number: u32| number.checked_mul(scale));
    match seconds {
        // All ones are for ever (RFC 2131 section 3.3).
        Some(u32::MAX) => Ok(Lease::Infinite),
        Some(seconds) => Ok(Lease::Seconds(seconds.max(120))),
        None => Err(wrong(format!("a lease of {word} does not fit 32 bits of seconds"))),
    }
}

pub(in super::super) fn shared_network(said: &mut Said<'_>) -> Read {
    let fields = said.text().split(',');
    let takes = "shared-network=eth0,10.0.2.1 or shared-network=10.0.1.1,10.0.2.1";
    let [on, subnet, rest @ ..] = &*fields else {
        let what = "an interface or address and the subnet's address are wanted";
        return Err(said.wrong(what, format!("write {takes}")));
    };
    nothing_more(rest, takes)?;
    if on.has(':') && subnet.has(':') {
        return Ok(said.without_effect("this network", "lanboot speaks no DHCPv6 yet"));
    }
    let subnet = address(subnet)?;
    let on = match as_address(on) {
        Some(address) => SharedOn::Address(address),
        None if on.has(':') => {
            return Err(on.wrong("the two addresses are of different kinds", format!("write {takes}")));
        }
        None => SharedOn::Interface(on.as_str().to_owned()),
    };
    Ok(Meaning::SharedNetwork(SharedNetwork { on, subnet }))
}
