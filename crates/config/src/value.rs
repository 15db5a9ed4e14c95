//! One text at a time: `10.0.1.1/24`, `12h`, `tcp:eth0:587=10.0.3.100:587`. Files and flags are read by the same functions.

pub(crate) mod dns;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use boot::hosts::IdPattern;
use boot::matching::{HardwarePattern, Tag, TagExpr};
use boot::{Chain, ReplaceRomIpxe};
use ipnet::Ipv4Net;
use mac::Mac;

use crate::nearest::nearest;
use crate::{Allocation, ConflictCheck, Gives, Identity, Mode, Transport, UniqueRoot, said};

/// What is wrong with a text.
#[derive(Debug, PartialEq)]
pub(crate) struct Wrong {
    pub what: String,
    /// Which octets of the text are to blame; `None`: all of it.
    pub part: Option<Range<usize>>,
    pub fix: String,
}

fn wrong(what: impl Into<String>, fix: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), part: None, fix: fix.into() }
}

impl Wrong {
    /// Blames the octets of `part`, which is a slice of `text`.
    fn blame(self, text: &str, part: &str) -> Wrong {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        Wrong { part: Some(start..start + part.len()), ..self }
    }

    /// The same mistake as one of the whole `text`, where it was found in `part` of it.
    fn within(self, text: &str, part: &str) -> Wrong {
        let start = text.find(part).unwrap_or(0);
        let within = self.part.clone().unwrap_or(0..part.len());
        Wrong { part: Some(start + within.start..start + within.end), ..self }
    }
}

type Read<T> = Result<T, Wrong>;

/// What the kernel takes as a link's name: 1 to 15 octets (IFNAMSIZ less the NUL), no `/`, `:` or white space.
pub(crate) fn interface(text: &str) -> Read<String> {
    if text.is_empty() || text == "." || text == ".." {
        return Err(wrong(format!("`{text}` is not an interface name"), "name it like `br0` or `eth1`"));
    }
    if text.len() > 15 {
        let what = format!("the interface name `{text}` has {} characters, but Linux allows 15", text.len());
        return Err(wrong(what, format!("shorten it, to `{}` for example", shorten(text, 15))));
    }
    match text.char_indices().find(|(_, c)| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control()) {
        None => Ok(text.to_owned()),
        Some((at, bad)) => Err(Wrong {
            what: format!("an interface name cannot hold {bad:?}"),
            part: Some(at..at + bad.len_utf8()),
            fix: "use letters, digits, `-`, `_` and `.`".into(),
        }),
    }
}

/// As many whole characters as fit.
pub(crate) fn shorten(text: &str, octets: usize) -> &str {
    let end = (0..=octets).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

/// An address with its prefix, `10.0.1.1/24`: an address of that subnet that a host can have.
pub(crate) fn network(text: &str) -> Read<Ipv4Net> {
    let Some((address_text, prefix_text)) = text.split_once('/') else {
        let address = address(text)?;
        let what = format!("`{address}` lacks the length of its subnet's prefix");
        return Err(wrong(what, format!("write `{address}/24`, say, for a subnet of 254 machines")));
    };
    let address = address(address_text).map_err(|wrong| wrong.blame(text, address_text))?;
    let prefix: Option<u8> = prefix_text.parse().ok().filter(|prefix| (1..=30).contains(prefix));
    let Some(prefix) = prefix else {
        let what = format!("`/{prefix_text}` is not a prefix length that leaves room for machines");
        return Err(wrong(what, "use /1 to /30; /24 leaves room for 254 machines").blame(text, prefix_text));
    };
    let net = Ipv4Net::new(address, prefix).expect("a prefix of at most 30 is valid");
    let reserved = if address == net.network() {
        "the subnet itself"
    } else if address == net.broadcast() {
        "the subnet's broadcast address"
    } else {
        return Ok(net);
    };
    let (first, last) = host_addresses(net);
    let what = format!("{address} is {reserved}, not an address that a host can have");
    Err(wrong(what, format!("use one from {first} to {last}, such as {first}/{prefix}")).blame(text, address_text))
}

/// First and last address that a host of the subnet can have.
pub(crate) fn host_addresses(net: Ipv4Net) -> said::Range {
    (Ipv4Addr::from_bits(net.network().to_bits() + 1), Ipv4Addr::from_bits(net.broadcast().to_bits() - 1))
}

pub(crate) fn address(text: &str) -> Read<Ipv4Addr> {
    text.parse().map_err(|_| wrong(format!("`{text}` is not an IPv4 address"), "write four numbers, like 10.0.1.1"))
}

/// `10.0.1.1`, `none`, or `self`, which is 0.0.0.0 to the engine: we, or the relay.
pub(crate) fn router(text: &str) -> Read<Option<Ipv4Addr>> {
    match text {
        "none" => Ok(None),
        "self" => Ok(Some(Ipv4Addr::UNSPECIFIED)),
        _ => address(text).map(Some),
    }
}

/// `9.9.9.9`, or `self`, which is 0.0.0.0 to the engine: we.
pub(crate) fn name_server(text: &str) -> Read<Ipv4Addr> {
    if text == "self" { Ok(Ipv4Addr::UNSPECIFIED) } else { address(text) }
}

/// `10.0.1.200-10.0.1.253`; a single address stands for itself.
pub(crate) fn range(text: &str) -> Read<said::Range> {
    let (first_text, last_text) = text.split_once('-').unwrap_or((text, text));
    let part = |part: &str| {
        let trimmed = part.trim();
        address(trimmed).map_err(|wrong| {
            let fix = "write a range as first and last address: 10.0.1.100-10.0.1.199".into();
            Wrong { fix, ..wrong }.blame(text, trimmed)
        })
    };
    let (first, last) = (part(first_text)?, part(last_text)?);
    if first > last {
        return Err(wrong(format!("the range ends at {last}, before it starts"), format!("write {last}-{first}")));
    }
    Ok((first, last))
}

/// `50000-50099`; a single port stands for itself.
pub(crate) fn port_range(text: &str) -> Read<(u16, u16)> {
    let (first_text, last_text) = text.split_once('-').unwrap_or((text, text));
    let part = |part: &str| {
        let trimmed = part.trim();
        let fix = "write the first and the last port: 50000-50099";
        let port = trimmed.parse().ok().filter(|port| *port > 0);
        port.ok_or_else(|| wrong(format!("`{trimmed}` is not a port"), fix).blame(text, trimmed))
    };
    let (first, last) = (part(first_text)?, part(last_text)?);
    if first > last {
        return Err(wrong(format!("the range ends at {last}, before it starts"), format!("write {last}-{first}")));
    }
    Ok((first, last))
}

/// Whose folder a machine's own is: named by its address or its MAC.
pub(crate) fn unique_root(text: &str) -> Read<UniqueRoot> {
    let all = [UniqueRoot::Ip, UniqueRoot::Mac];
    let found = all.into_iter().find(|by| unique_root_name(*by) == text);
    found.ok_or_else(|| wrong(format!("`{text}` is neither ip nor mac"), "write ip or mac"))
}

pub(crate) fn unique_root_name(by: UniqueRoot) -> &'static str {
    match by {
        UniqueRoot::Ip => "ip",
        UniqueRoot::Mac => "mac",
    }
}

/// A range, or `reserved`, or `proxy`.
pub(crate) fn pool_range(text: &str) -> Read<Gives> {
    match text {
        "reserved" => Ok(Gives::Reserved),
        "proxy" => Ok(Gives::Proxy),
        _ => range(text).map(|(first, last)| Gives::Addresses(first, last)),
    }
}

/// A subnet by any of its addresses: `10.0.2.0/24`.
pub(crate) fn subnet(text: &str) -> Read<Ipv4Net> {
    let net: Option<Ipv4Net> = text.parse().ok();
    let fix = "write it with the length of its prefix: 10.0.2.0/24";
    net.map(|net| net.trunc()).ok_or_else(|| wrong(format!("`{text}` is not a subnet"), fix))
}

/// A tag to set: no white space, comma or `!`.
pub(crate) fn tag(text: &str) -> Read<Tag> {
    let bad = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.starts_with(['!', '#']) || text.contains(bad) {
        return Err(wrong(format!("`{text}` is not a tag"), "write one word, such as lab"));
    }
    Ok(Tag::from(text))
}

/// Tags that must be set, and with `!` before them must not be, with commas between them: `lab,!known`.
pub(crate) fn tags(text: &str) -> Read<TagExpr> {
    let terms: Vec<&str> = text.split(',').map(str::trim).collect();
    for term in &terms {
        tag(term.strip_prefix(['!', '#']).unwrap_or(term))?;
    }
    Ok(TagExpr::all(terms))
}

/// A hardware address in which `*` stands for any octet.
pub(crate) fn hardware(text: &str) -> Read<HardwarePattern> {
    let fix = "write pairs of hex digits with colons between them, and * for any pair: 52:54:00:*:*:*";
    text.parse().map_err(|_| wrong(format!("`{text}` is not a hardware address"), fix))
}

/// A client identifier: text, or octets in which `*` stands for any; `*` alone: whatever it says does not count.
pub(crate) fn client_id(text: &str) -> Read<IdPattern> {
    if text == "*" {
        return Ok(IdPattern::Ignored);
    }
    if !text.contains(':') {
        return Ok(IdPattern::Octets(text.bytes().map(Some).collect()));
    }
    let octet = |part: &str| if part == "*" { Some(None) } else { u8::from_str_radix(part, 16).ok().map(Some) };
    let octets: Option<Vec<_>> = text.split(':').map(octet).collect();
    let fix = "write pairs of hex digits with colons between them, or text without a colon";
    octets.map(IdPattern::Octets).ok_or_else(|| wrong(format!("`{text}` is not a client identifier"), fix))
}

/// Octets in hexadecimal with colons between them; nothing for none.
pub(crate) fn octets(text: &str) -> Read<Vec<u8>> {
    let octets = text.split(':').filter(|part| !part.is_empty()).map(|part| u8::from_str_radix(part, 16).ok());
    let octets: Option<Vec<u8>> = octets.collect();
    let fix = "write pairs of hex digits with colons between them: 01:ff";
    octets.ok_or_else(|| wrong(format!("`{text}` is not made of octets"), fix))
}

const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// A whole number and its unit: `300ms`, `90s`, `12h`.
pub(crate) fn duration(text: &str) -> Read<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let unit = rest.trim_start();
    let fix = "write a number and its unit, such as 90s or 12h (ms, s, m, h, d, w)";
    let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let what = match (number, unit) {
            ("", _) => format!("`{text}` is not a length of time"),
            (_, "") => format!("`{text}` lacks its unit"),
            _ => format!("`{unit}` is not a unit of time"),
        };
        return Err(if digits > 0 { wrong(what, fix).blame(text, unit) } else { wrong(what, fix) });
    };
    let millis = number.parse().ok().and_then(|number: u64| number.checked_mul(*millis));
    millis.map(Duration::from_millis).ok_or_else(|| wrong(format!("`{text}` is not a length of time"), fix))
}

/// The lease time that means for ever: all ones (RFC 2131 section 3.3).
pub(crate) const INFINITE: Duration = Duration::from_secs(u32::MAX as u64);

/// A lease time: [`duration`] or `infinite`; from two minutes to what 32 bits of seconds hold.
pub(crate) fn lease(text: &str) -> Read<Duration> {
    if text == "infinite" {
        return Ok(INFINITE);
    }
    let lease = duration(text)?;
    if lease < Duration::from_secs(120) {
        let what = format!("a lease of {text} is too short: machines would renew it all the time");
        return Err(wrong(what, "give leases of 2m or more; 12h suits most networks"));
    }
    if lease >= INFINITE {
        let what = format!("a lease of {text} does not fit the 32 bits of seconds that DHCP has for it");
        return Err(wrong(what, "write \"infinite\" for a lease that never ends"));
    }
    Ok(lease)
}

/// The URL of a PostgreSQL database; what follows its scheme is for who connects to read.
pub(crate) fn database(text: &str) -> Read<String> {
    if ["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text.to_owned());
    }
    let what = "leases are kept in PostgreSQL, or without this in the state folder";
    Err(wrong(what, "write a URL such as postgresql://lanboot@db.example/lanboot"))
}

/// How long a probe may wait: long enough for an answer, short enough that clients do not give up.
pub(crate) fn probe_wait(text: &str) -> Read<Duration> {
    let wait = duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_secs(3)).contains(&wait) {
        return Ok(wait);
    }
    let what = format!("{text} is no sensible wait for a probe's answer: clients ask again after a few seconds");
    Err(wrong(what, "choose between 10ms and 3s; 300ms suits most networks"))
}

pub(crate) fn mac(text: &str) -> Read<Mac> {
    let mac: Mac = text.parse().map_err(|_| {
        let fix = "write six pairs of hex digits, such as 52:54:00:12:34:56";
        wrong(format!("`{text}` is not a MAC address"), fix)
    })?;
    if mac.0[0] & 1 == 1 || mac == Mac::ZERO {
        let what = format!("{mac} is not the address of one machine");
        return Err(wrong(what, "use the address of its network card, as the firmware shows it"));
    }
    Ok(mac)
}

/// A host name of one label (RFC 1123 section 2.1): letters, digits and inner hyphens, at most 63.
pub(crate) fn host_name(text: &str) -> Read<String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    let fix = "use up to 63 letters, digits and hyphens; the domain goes to dhcp.domain";
    Err(wrong(format!("`{text}` is not a host name"), fix))
}

/// A domain name: labels between dots, at most 253 octets.
pub(crate) fn domain(text: &str) -> Read<String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(wrong(format!("`{text}` is not a domain name"), "write it like lab.example, without a dot at its end"))
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A published name: a path below the boot root, with `/` between its parts. A leading slash is dropped.
pub(crate) fn published_name(text: &str) -> Read<String> {
    let name = text.trim_start_matches('/');
    if name.is_empty() || name.split('/').any(|part| part == "..") {
        let fix = "name a file below tftp.root, such as pxelinux.0";
        return Err(wrong(format!("`{text}` is not the name of a file in the boot root"), fix));
    }
    Ok(name.to_owned())
}

/// Any text on one line: it goes into an iPXE script, where a new line would be a new command.
pub(crate) fn one_line(text: &str) -> Read<String> {
    match text.char_indices().find(|(_, c)| c.is_control()) {
        None => Ok(text.to_owned()),
        Some((at, control)) => Err(Wrong {
            what: format!("a kernel command line cannot hold {control:?}"),
            part: Some(at..at + control.len_utf8()),
            fix: "write it on one line".into(),
        }),
    }
}

pub(crate) fn port(text: &str) -> Read<u16> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(wrong(format!("`{text}` is not a port"), "use a number from 1 to 65535")),
    }
}

pub(crate) fn transport(text: &str) -> Read<Transport> {
    choice(text, &[("tcp", Transport::Tcp), ("udp", Transport::Udp)])
}

/// Where a forward leads: `10.0.3.100:587`, or the address alone for the same port.
pub(crate) fn forward_target(text: &str, same_port: u16) -> Read<SocketAddrV4> {
    let Some((address_text, port_text)) = text.split_once(':') else {
        return Ok(SocketAddrV4::new(address(text)?, same_port));
    };
    let address = address(address_text).map_err(|wrong| wrong.blame(text, address_text))?;
    let port = port(port_text).map_err(|wrong| wrong.blame(text, port_text))?;
    Ok(SocketAddrV4::new(address, port))
}

/// A forward as a flag writes it: `tcp:eth0:587=10.0.3.100:587`; the interface and the second port may be left out.
pub(crate) fn forward(text: &str) -> Read<(Transport, Option<String>, u16, SocketAddrV4)> {
    let shape = || {
        let fix = "write PROTOCOL:[INTERFACE:]PORT=ADDRESS[:PORT], such as tcp:eth0:587=10.0.3.100:587";
        wrong(format!("`{text}` is not a port forward"), fix)
    };
    let (outside, to) = text.split_once('=').ok_or_else(shape)?;
    let parts: Vec<&str> = outside.split(':').collect();
    let (protocol, link, number) = match parts[..] {
        [protocol, number] => (protocol, None, number),
        [protocol, link, number] => (protocol, Some(link), number),
        _ => return Err(shape()),
    };
    let port = port(number)?;
    Ok((transport(protocol)?, link.map(interface).transpose()?, port, forward_target(to, port)?))
}

pub(crate) fn mode(text: &str) -> Read<Mode> {
    choice(text, &[("server", Mode::Server), ("proxy", Mode::Proxy)])
}

pub(crate) fn allocation(text: &str) -> Read<Allocation> {
    choice(text, &[("sequential", Allocation::Sequential), ("hashed", Allocation::Hashed)])
}

pub(crate) fn conflict_check(text: &str) -> Read<ConflictCheck> {
    choice(text, &[("arp", ConflictCheck::Arp), ("icmp", ConflictCheck::Icmp), ("off", ConflictCheck::Off)])
}

pub(crate) fn identity(text: &str) -> Read<Identity> {
    choice(text, &[("machine", Identity::Machine), ("client-id", Identity::ClientId)])
}

/// `None`: by rules.
pub(crate) fn chain(text: &str) -> Read<Option<Chain>> {
    let chains = [Chain::Auto, Chain::Ipxe, Chain::Direct].map(Some);
    choice(text, &[("auto", chains[0]), ("ipxe", chains[1]), ("direct", chains[2]), ("rules", None)])
}

pub(crate) fn replace_rom_ipxe(text: &str) -> Read<ReplaceRomIpxe> {
    let choices = [
        ("when-needed", ReplaceRomIpxe::WhenNeeded),
        ("always", ReplaceRomIpxe::Always),
        ("never", ReplaceRomIpxe::Never),
    ];
    choice(text, &choices)
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Read<T> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let fix = match nearest(text, choices.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write {}", names.join(" or ")),
    };
    Err(wrong(format!("\"{text}\" is none of {}", names.join(", ")), fix))
}

pub(crate) fn path(text: &str) -> Read<PathBuf> {
    if text.is_empty() {
        return Err(wrong("this path is empty", "name a file or folder, or leave the key out"));
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let cases = [("300ms", 300), ("90s", 90_000), ("5 m", 300_000), ("12h", 43_200_000), ("2w", 1_209_600_000)];
        for (text, millis) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "h", "12", "12 fortnights", "-1h", "1.5h", "99999999999999999999s", "18446744073709551615w"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn leases_fit_32_bits_of_seconds() {
        assert_eq!(lease("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(lease("infinite"), Ok(INFINITE));
        assert_eq!(lease("4294967294s"), Ok(Duration::from_secs(4_294_967_294)));
        assert!(lease("119s").is_err());
        assert!(lease("4294967295s").is_err());
    }

    #[test]
    fn interface_names_are_what_the_kernel_takes() {
        for good in ["net", "eth0.100", "br-lan", "a", "fifteen-letters", "straße"] {
            assert_eq!(interface(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a/b", "a b", "a:b", "sixteen--letters", "neun-mal-straße", "tab\t"] {
            assert!(interface(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_forward_may_leave_out_interface_and_second_port() {
        let to = |port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 3, 100), port);
        let all = (Transport::Tcp, Some("eth0".to_owned()), 587, to(25));
        assert_eq!(forward("tcp:eth0:587=10.0.3.100:25"), Ok(all));
        assert_eq!(forward("udp:53=10.0.3.100"), Ok((Transport::Udp, None, 53, to(53))));
        for bad in ["", "tcp", "tcp:587", "=", "tcp:1:2:3=10.0.3.100", "sctp:1=10.0.3.100", "tcp:1=10.0.3.100:0"] {
            assert!(forward(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_part_is_told_from_the_rest() {
        let part = |text: &str, wrong: Wrong| text[wrong.part.unwrap()].to_owned();
        let text = "10.0.1.1/33";
        assert_eq!(part(text, network(text).unwrap_err()), "33");
        let text = "10.0.1.5 - 10.0.1.x";
        assert_eq!(part(text, range(text).unwrap_err()), "10.0.1.x");
        let text = "straße/lang";
        assert_eq!(part(text, interface(text).unwrap_err()), "/");
    }

    #[test]
    fn published_names_stay_inside() {
        assert_eq!(published_name("/grub/x64.efi").as_deref(), Ok("grub/x64.efi"));
        for bad in ["", "/", "..", "a/../../b", "/.."] {
            assert!(published_name(bad).is_err(), "{bad}");
        }
    }
}
