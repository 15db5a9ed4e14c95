//! Names that are known here: `host-record`, `cname`, `mx-host` and the other records.

use std::net::IpAddr;

use dns::settings::{DynamicHost, OfInterface, Synth};
use dns::{Data, Name, Record, Rtype};
use ipnet::IpNet;

use super::names::name;
use super::{Cname, DnsOption, HostRecord, Mx, dns};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::options::{Meaning, Read, Said, as_address, as_address6, nothing_more, number, replaced};
use crate::dnsmasq::text::Text;
use crate::said::Given;

/// A TXT string has so many octets at most (RFC 1035 section 3.3.14).
const STRING_OCTETS: usize = 255;

fn record(name: Name, data: Data) -> Read {
    dns(DnsOption::Record(Record { name, data, ttl: None }))
}

/// A whole number of seconds where all of it is digits.
fn ttl(text: &Text) -> Result<Option<u32>, Diagnostic> {
    let digits = !text.is_empty() && text.as_str().bytes().all(|c| c.is_ascii_digit());
    digits.then(|| number(text, u32::MAX)).transpose()
}

fn u16_of(text: Option<&Text>, default: u16) -> Result<u16, Diagnostic> {
    text.map_or(Ok(default), |text| number(text, u16::MAX.into()).map(|value| value as u16))
}

/// A name, or the root for nothing.
fn target(text: Option<&Text>) -> Result<Name, Diagnostic> {
    text.filter(|text| !matches!(text.as_str(), "" | ".")).map_or(Ok(Name::root()), name)
}

pub(in super::super::super) fn host_record(said: &mut Said<'_>) -> Read {
    let takes = "host-record=box,box.example.org,10.0.1.7,fd00::7,60";
    let mut host = HostRecord { names: Vec::new(), v4: None, v6: None, ttl: None };
    for field in said.list() {
        let twice = if let Some(address) = as_address(&field) {
            host.v4.replace(address).map(|_| "IPv4 address")
        } else if let Some(address) = as_address6(&field) {
            host.v6.replace(address).map(|_| "IPv6 address")
        } else if let Some(seconds) = ttl(&field)? {
            host.ttl.replace(seconds).map(|_| "time to live")
        } else {
            let of_numbers = field.as_str().bytes().all(|c| c.is_ascii_digit() || c == b'.');
            if of_numbers && !field.is_empty() {
                return Err(field.wrong(format!("`{field}` is not an IPv4 address"), format!("write {takes}")));
            }
            host.names.push(name(&field)?);
            None
        };
        if let Some(what) = twice {
            replaced(said.notes, what, field.place(), said.place);
        }
    }
    match host.names.is_empty() || host.v4.is_none() && host.v6.is_none() {
        true => Err(said.wrong("a name and an address are wanted", format!("write {takes}"))),
        false => dns(DnsOption::HostRecord(host)),
    }
}

pub(in super::super::super) fn cname(said: &mut Said<'_>) -> Read {
    let mut fields = said.list();
    let ttl = match fields.last() {
        Some(last) if fields.len() > 2 => ttl(last)?,
        _ => None,
    };
    if ttl.is_some() {
        fields.pop();
    }
    let last = fields.pop().filter(|_| !fields.is_empty());
    let Some(last) = last else {
        return Err(said.wrong("an alias and its target are wanted", "write cname=www,box"));
    };
    let alias = |field: &Text| Ok(Given { value: name(field)?, place: field.place().clone() });
    let aliases: Result<_, Diagnostic> = fields.iter().map(alias).collect();
    dns(DnsOption::Cname(Cname { aliases: aliases?, target: name(&last)?, ttl }))
}

pub(in super::super::super) fn mx_host(said: &mut Said<'_>) -> Read {
    let fields = said.list();
    let Some(first) = fields.first() else { return Ok(Meaning::Nothing) };
    nothing_more(fields.get(3..).unwrap_or_default(), "mx-host=example.org,mail.example.org,10")?;
    let target = fields.get(1).map(|field| target(Some(field))).transpose()?;
    dns(DnsOption::Mx(Mx { name: name(first)?, target, preference: u16_of(fields.get(2), 1)? }))
}

pub(in super::super::super) fn srv_host(said: &mut Said<'_>) -> Read {
    let fields = said.list();
    let Some(first) = fields.first() else { return Ok(Meaning::Nothing) };
    nothing_more(fields.get(5..).unwrap_or_default(), "srv-host=_ldap._tcp.example.org,box.example.org,389,0,0")?;
    let data = Data::Srv {
        target: target(fields.get(1))?,
        port: u16_of(fields.get(2), 1)?,
        priority: u16_of(fields.get(3), 0)?,
        weight: u16_of(fields.get(4), 0)?,
    };
    dns(DnsOption::Srv(Record { name: name(first)?, data, ttl: None }))
}

pub(in super::super::super) fn txt_record(said: &mut Said<'_>) -> Read {
    let fields = said.list();
    let Some((first, texts)) = fields.split_first() else { return Ok(Meaning::Nothing) };
    let mut strings: Vec<Vec<u8>> = Vec::new();
    for text in texts {
        match text.is_empty() {
            true => strings.push(Vec::new()),
            false => strings.extend(text.as_str().as_bytes().chunks(STRING_OCTETS).map(<[u8]>::to_vec)),
        }
    }
    if strings.is_empty() {
        strings.push(Vec::new());
    }
    record(name(first)?, Data::Txt(strings))
}

pub(in super::super::super) fn ptr_record(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let fields = text.split(',');
    nothing_more(fields.get(2..).unwrap_or_default(), "ptr-record=7.1.0.10.in-addr.arpa,box.example.org")?;
    record(name(&fields[0])?, Data::Ptr(target(fields.get(1))?))
}

pub(in super::super::super) fn naptr_record(said: &mut Said<'_>) -> Read {
    let takes = "naptr-record=example.org,10,100,u,E2U+sip,!^.*$!sip:box@example.org!";
    let fields = said.list();
    nothing_more(fields.get(7..).unwrap_or_default(), takes)?;
    let [owner, order, preference, flags, services, regexp, ..] = &*fields else {
        return Err(said.wrong("a part of the record is missing", format!("write {takes}")));
    };
    let octets = |text: &Text| match text.as_str().len() {
        0..=STRING_OCTETS => Ok(text.as_str().as_bytes().to_vec()),
        _ => Err(text.wrong("this text has more than 255 octets", "shorten it")),
    };
    let data = Data::Naptr {
        order: u16_of(Some(order), 0)?,
        preference: u16_of(Some(preference), 0)?,
        flags: octets(flags)?,
        services: octets(services)?,
        regexp: octets(regexp)?,
        replacement: target(fields.get(6))?,
    };
    record(name(owner)?, data)
}

pub(in super::super::super) fn caa_record(said: &mut Said<'_>) -> Read {
    let text = said.text();
    let mut parts = text.parts(',');
    let (Some(owner), Some(flags), Some(tag), Some(value)) = (parts.next(), parts.next(), parts.next(), parts.rest())
    else {
        return Err(
            said.wrong("a part of the record is missing", "write caa-record=example.org,0,issue,ca.example.net")
        );
    };
    let flags = number(&flags, u8::MAX.into())? as u8;
    let is_tag = !tag.is_empty() && tag.as_str().len() < 16 && tag.as_str().bytes().all(|c| c.is_ascii_alphanumeric());
    if !is_tag {
        return Err(tag.wrong(format!("`{tag}` is no property of a CAA record"), "write issue, issuewild or iodef"));
    }
    let (tag, value) = (tag.as_str().as_bytes().to_vec(), value.as_str().as_bytes().to_vec());
    record(name(&owner)?, Data::Caa { flags, tag, value })
}

pub(in super::super::super) fn dns_rr(said: &mut Said<'_>) -> Read {
    let takes = "dns-rr=example.org,51,01:23:8a:ad";
    let fields = said.list();
    let [owner, kind, data @ ..] = &*fields else {
        return Err(said.wrong("a name and a number are wanted", format!("write {takes}")));
    };
    nothing_more(data.get(1..).unwrap_or_default(), takes)?;
    let kind = match number(kind, u16::MAX.into())? {
        0 => return Err(kind.wrong("no record has the type 0", format!("write {takes}"))),
        kind => Rtype::from_int(kind as u16),
    };
    let data = data.first().map_or(Ok(Vec::new()), octets_of)?;
    record(name(owner)?, Data::Other { kind, data })
}

/// Pairs of hex digits, with or without colons or spaces between them; a digit that stands alone is an octet too.
fn octets_of(text: &Text) -> Result<Vec<u8>, Diagnostic> {
    let groups = text.as_str().split([':', ' ']).filter(|group| !group.is_empty());
    let octets: Option<Vec<u8>> = groups
        .flat_map(|group| group.as_bytes().chunks(2))
        .map(|pair| match pair.iter().all(u8::is_ascii_hexdigit) {
            true => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
            false => None,
        })
        .collect();
    octets.ok_or_else(|| text.wrong(format!("`{text}` is not hexadecimal"), "write pairs of hex digits: 01:23:8a:ad"))
}

pub(in super::super::super) fn dynamic_host(said: &mut Said<'_>) -> Read {
    let takes = "dynamic-host=box.example.org,0.0.0.8,eth0";
    let fields = said.list();
    let (mut v4, mut v6, mut interface) = (None, None, None);
    let Some((owner, rest)) = fields.split_first() else {
        return Err(said.wrong("a name, an address and an interface are wanted", format!("write {takes}")));
    };
    for (at, field) in rest.iter().enumerate() {
        let twice = if let Some(address) = as_address(field) {
            v4.replace(address).map(|_| "IPv4 address")
        } else if let Some(address) = as_address6(field) {
            v6.replace(address).map(|_| "IPv6 address")
        } else {
            nothing_more(&rest[at + 1..], takes)?;
            interface = Some(field.as_str().to_owned()).filter(|name| !name.is_empty());
            None
        };
        if let Some(what) = twice {
            replaced(said.notes, what, field.place(), said.place);
        }
    }
    let Some(interface) = interface.filter(|_| v4.is_some() || v6.is_some()) else {
        return Err(said.wrong("an address and an interface are wanted", format!("write {takes}")));
    };
    dns(DnsOption::DynamicHost(DynamicHost { name: name(owner)?, interface, v4, v6 }))
}

pub(in super::super::super) fn interface_name(said: &mut Said<'_>) -> Read {
    let takes = "write interface-name=box.example.org,eth0, and /4 or /6 behind it for one kind of address";
    let fields = said.list();
    let [owner, interface] = &*fields else {
        return Err(said.wrong("a name and an interface are wanted", takes));
    };
    let (interface, family) = interface.split_once('/');
    let (v4, v6) = match family.as_ref().map(Text::as_str) {
        None => (true, true),
        Some("4") => (true, false),
        Some("6") => (false, true),
        Some(family) => return Err(interface.wrong(format!("`/{family}` is no kind of address"), takes)),
    };
    if interface.is_empty() {
        return Err(said.wrong("the interface is missing", takes));
    }
    let interface = interface.as_str().to_owned();
    dns(DnsOption::OfInterface(OfInterface { name: name(owner)?, interface, v4, v6 }))
}

pub(in super::super::super) fn synth_domain(said: &mut Said<'_>) -> Read {
    let takes = "synth-domain=example.org,10.0.1.0/24,host- or synth-domain=example.org,10.0.1.10,10.0.1.40,host-*";
    let fields = said.list();
    let [domain, range, rest @ ..] = &*fields else {
        return Err(said.wrong("a domain and its addresses are wanted", format!("write {takes}")));
    };
    let (first, last, rest) = match range.split_once('/') {
        (_, Some(_)) => {
            let net = super::servers::network(range, takes)?;
            (net.network(), last_of(net), rest)
        }
        (first, None) => {
            let first = address(&first, takes)?;
            let (last, rest) = match rest.split_first() {
                Some((last, rest)) => (address(last, takes)?, rest),
                None => (first, rest),
            };
            (first, last, rest)
        }
    };
    nothing_more(rest.get(1..).unwrap_or_default(), takes)?;
    if first.is_ipv4() != last.is_ipv4() || last < first {
        return Err(range.wrong(format!("{first} to {last} is no range"), format!("write {takes}")));
    }
    let prefix = rest.first().map_or("", Text::as_str);
    let (prefix, counted) = prefix.strip_suffix('*').map_or((prefix, false), |prefix| (prefix, true));
    if !prefix.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')) || prefix.starts_with('-')
    {
        return Err(rest[0].wrong(format!("`{prefix}` cannot begin a name"), "use letters, digits and `-`: host-"));
    }
    if let (IpAddr::V6(first), IpAddr::V6(last), true) = (first, last, counted)
        && first.to_bits() >> 64 != last.to_bits() >> 64
    {
        let (what, fix) = ("so many IPv6 addresses cannot be counted", "let the range lie within one /64");
        return Err(range.wrong(what, fix));
    }
    let prefix = prefix.to_ascii_lowercase();
    dns(DnsOption::Synth(Synth { domain: name(domain)?, first, last, prefix, counted }))
}

fn address(text: &Text, takes: &str) -> Result<IpAddr, Diagnostic> {
    let address = text.bare().and_then(|bare| bare.parse().ok());
    address.ok_or_else(|| text.wrong(format!("`{text}` is not an address"), format!("write {takes}")))
}

fn last_of(net: IpNet) -> IpAddr {
    match net {
        IpNet::V4(net) => net.broadcast().into(),
        IpNet::V6(net) => net.broadcast().into(),
    }
}
