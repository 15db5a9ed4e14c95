//! The texts of `[dns]`: names, domains, servers, records as zone files write them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use dns::name::BadName;
use dns::settings::{InterfaceName, Order, Scope, Server, Stale, To};
use dns::{Data, Name, Rtype};
use ipnet::IpNet;

use super::{Read, choice, duration, interface, port, wrong};
use crate::DnsClients;
use crate::value::Wrong;

/// A domain name, with or without a dot at its end.
pub(crate) fn name(text: &str) -> Read<Name> {
    let fix = "write it like nas.lab.example";
    if text.is_empty() || text == "." {
        return Err(wrong("this name is empty", fix));
    }
    if let Some((at, bad)) = text.char_indices().find(|(_, c)| c.is_whitespace() || c.is_control()) {
        let what = format!("a name cannot hold {bad:?}");
        return Err(Wrong { what, part: Some(at..at + bad.len_utf8()), fix: fix.into() });
    }
    text.parse().map_err(|error| match error {
        BadName::LongLabel => {
            let label = text.split('.').max_by_key(|label| label.len()).unwrap_or(text);
            let what = format!("this part of the name has {} octets, but 63 is the most", label.len());
            wrong(what, "shorten it").blame(text, label)
        }
        BadName::LongName => wrong(format!("the name has {} octets, but 253 is the most", text.len()), "shorten it"),
        BadName::EmptyLabel => wrong(format!("`{text}` has an empty part between its dots"), fix),
    })
}

/// The name of a record; an address stands for the name that leads back from it.
pub(crate) fn record_name(text: &str) -> Read<Name> {
    match text.parse() {
        Ok(address) => Ok(Name::reverse(address)),
        Err(_) => name(text),
    }
}

/// `corp.example`: the domain and all below it; `*.corp.example`: all below it; `*oogle.example`: all that ends so; `*`: every name; `*.`: names of one
/// label; `10.2.0.0/16`: the names of these addresses.
pub(crate) fn scopes(text: &str) -> Read<Vec<Scope>> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(reverse_zones(net).into_iter().map(Scope::Domain).collect());
    }
    let scope = match text.strip_prefix('*') {
        Some("") => Scope::All,
        Some(".") => Scope::Plain,
        Some(rest) if rest.starts_with('.') => Scope::Below(name(&rest[1..])?),
        Some(rest) => Scope::Ending(name(rest)?),
        None => Scope::Domain(name(text)?),
    };
    Ok(vec![scope])
}

/// The zones that hold the names of these addresses, and no others (RFC 1035 section 3.5, RFC 3596 section 2.5): one, or
/// several where the prefix ends within a label.
pub(crate) fn reverse_zones(net: IpNet) -> Vec<Name> {
    let bits = if matches!(net, IpNet::V4(_)) { 8 } else { 4 };
    let whole = usize::from(net.prefix_len().div_ceil(bits));
    let zone = |net: IpNet| {
        let reverse = Name::reverse(net.addr()).to_string();
        let labels = usize::from(net.max_prefix_len() / bits);
        reverse.splitn(labels - whole + 1, '.').last().and_then(|zone| zone.parse().ok())
    };
    let length = u8::try_from(whole).unwrap_or(u8::MAX).saturating_mul(bits).min(net.max_prefix_len());
    match net.trunc() {
        IpNet::V4(v4) => v4.subnets(length).into_iter().flatten().filter_map(|net| zone(net.into())).collect(),
        IpNet::V6(v6) => v6.subnets(length).into_iter().flatten().filter_map(|net| zone(net.into())).collect(),
    }
}

pub(crate) fn show_scope(scope: &Scope) -> String {
    match scope {
        Scope::All => "*".to_owned(),
        Scope::Plain => "*.".to_owned(),
        Scope::Domain(name) => name.to_string(),
        Scope::Below(name) => format!("*.{name}"),
        Scope::Ending(name) => format!("*{name}"),
    }
}

/// `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:5353`; behind an `@` the interface that queries leave by, and behind
/// another one the address that they leave from: `192.0.2.1@eth0@10.0.0.2:4000`.
pub(crate) fn server(text: &str) -> Read<Server> {
    let mut parts = text.split('@');
    let address_text = parts.next().unwrap_or_default();
    let address = socket(address_text, 53).map_err(|wrong| wrong.within(text, address_text))?;
    if address.ip().is_unspecified() || address.ip().is_multicast() || address.port() == 0 {
        let what = format!("{address} is not the address of a server");
        return Err(wrong(what, "name a DNS server, such as 9.9.9.9"));
    }
    let mut server = Server { address, from: None, interface: None };
    for part in parts {
        match socket(part, 0) {
            Ok(from) if from.is_ipv4() == address.is_ipv4() => server.from = Some(from),
            Ok(from) => {
                let what = format!("queries to {} cannot leave from {}", address.ip(), from.ip());
                return Err(wrong(what, "name an address of the same family").blame(text, part));
            }
            Err(_) => {
                let name = interface(part).map_err(|wrong| wrong.within(text, part))?;
                server.interface = InterfaceName::new(&name);
            }
        }
    }
    Ok(server)
}

/// An address with or without a port. dnsmasq's `#` before a port is understood as well.
fn socket(text: &str, default_port: u16) -> Read<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, default_port));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let fix = "write an address, and where it is not 53 the port: 192.0.2.1:5353, [2001:db8::1]:5353";
    let (address_text, port_text) = text.rsplit_once(['#', ':']).unwrap_or((text, ""));
    match address_text.trim_matches(['[', ']']).parse() {
        Ok(address) => {
            port(port_text).map(|port| SocketAddr::new(address, port)).map_err(|wrong| wrong.blame(text, port_text))
        }
        Err(_) => Err(wrong(format!("`{text}` is not the address of a server"), fix)),
    }
}

pub(crate) fn show_server(server: &Server) -> String {
    let show = |address: SocketAddr, default: u16| match address.port() {
        port if port == default => address.ip().to_string(),
        _ => address.to_string(),
    };
    let mut text = show(server.address, 53);
    if let Some(name) = &server.interface {
        text.push_str(&format!("@{}", name.as_str()));
    }
    if let Some(from) = server.from {
        text.push_str(&format!("@{}", show(from, 0)));
    }
    text
}

/// What leads elsewhere than upstream: servers, `usual`, or `none`.
pub(crate) fn forward_to(text: &str) -> Read<To> {
    match text {
        "usual" => Ok(To::Usual),
        "none" => Ok(To::Nobody),
        _ => server(text).map(To::Server),
    }
}

/// What is answered in place of the truth: an address, `none`, or `null`.
pub(crate) fn override_to(text: &str) -> Read<To> {
    match text {
        "none" => Ok(To::Nobody),
        "null" => Ok(To::Null),
        _ => text.parse().map(To::Address).map_err(|_| {
            let fix = "write an address, none (there is no such name) or null (0.0.0.0 and ::)";
            wrong(format!("`{text}` is not an address"), fix)
        }),
    }
}

pub(crate) fn show_to(to: &To) -> String {
    match to {
        To::Server(server) => show_server(server),
        To::Usual => "usual".to_owned(),
        To::Nobody => "none".to_owned(),
        To::Address(address) => address.to_string(),
        To::Null => "null".to_owned(),
    }
}

const ORDERS: &[(&str, Order)] = &[("quickest", Order::Quickest), ("strict", Order::Strict), ("all", Order::All)];

pub(crate) fn order(text: &str) -> Read<Order> {
    choice(text, ORDERS)
}

pub(crate) fn show_order(order: Order) -> &'static str {
    shown(order, ORDERS)
}

const CLIENTS: &[(&str, DnsClients)] =
    &[("neighbours", DnsClients::Neighbours), ("all", DnsClients::All), ("this-host", DnsClients::ThisHost)];

pub(crate) fn clients(text: &str) -> Read<DnsClients> {
    choice(text, CLIENTS)
}

pub(crate) fn show_clients(clients: DnsClients) -> &'static str {
    shown(clients, CLIENTS)
}

fn shown<T: PartialEq>(value: T, choices: &[(&'static str, T)]) -> &'static str {
    choices.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// A TTL in whole seconds, of which 31 bits count (RFC 2181 section 8).
pub(crate) fn ttl(text: &str) -> Read<u32> {
    let time = duration(text)?;
    let secs = u32::try_from(time.as_secs()).ok().filter(|secs| *secs < 1 << 31 && time.subsec_nanos() == 0);
    secs.ok_or_else(|| {
        wrong(format!("a TTL cannot be {text}"), "write whole seconds or more, such as 5m, up to 68 years")
    })
}

/// `never`, `always`, or for how long.
pub(crate) fn stale(text: &str) -> Read<Stale> {
    match text {
        "never" => Ok(Stale::Never),
        "always" => Ok(Stale::Always),
        _ => duration(text).map(Stale::For).map_err(|wrong| {
            let fix = "write never, always, or for how long: 1d".into();
            Wrong { fix, ..wrong }
        }),
    }
}

/// An address or a subnet.
pub(crate) fn addresses(text: &str) -> Read<IpNet> {
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let fix = "write an address, or a subnet with the length of its prefix: 203.0.113.0/24";
    net.map(|net: IpNet| net.trunc()).ok_or_else(|| wrong(format!("`{text}` is not an address"), fix))
}

pub(crate) fn show_addresses(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// A type of record by its name, or `TYPE65` by its number (RFC 3597 section 5).
pub(crate) fn rtype(text: &str) -> Read<Rtype> {
    let fix = "write its name, such as AAAA, or its number behind TYPE: TYPE65";
    text.to_ascii_uppercase().parse().map_err(|_| wrong(format!("`{text}` is not a type of record"), fix))
}

/// First and last address, inclusive, of one family; a subnet stands for all its addresses.
pub(crate) fn any_range(text: &str) -> Read<(IpAddr, IpAddr)> {
    let fix = "write the first and the last address, 10.0.1.1-10.0.1.99, or a subnet, 10.0.1.0/24";
    let bad = || wrong(format!("`{text}` is not a range of addresses"), fix);
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok((net.network(), net.broadcast()));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (IpAddr, IpAddr) =
        (first.trim().parse().map_err(|_| bad())?, last.trim().parse().map_err(|_| bad())?);
    if first.is_ipv4() != last.is_ipv4() || first > last { Err(bad()) } else { Ok((first, last)) }
}

pub(crate) fn show_any_range((first, last): (IpAddr, IpAddr)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

pub(crate) fn mask(text: &str) -> Read<Ipv4Addr> {
    super::address(text).map_err(|wrong| Wrong { fix: "write it like 255.255.255.0".into(), ..wrong })
}

/// `PREFERENCE TARGET`.
pub(crate) fn mx(text: &str) -> Read<Data> {
    let words = words(text, "10 mail.lab.example")?;
    let [preference, target] = fields(&words, text, "10 mail.lab.example")?;
    Ok(Data::Mx { preference: number(text, preference)?, target: target_name(text, target)? })
}

/// `PRIORITY WEIGHT PORT TARGET` (RFC 2782).
pub(crate) fn srv(text: &str) -> Read<Data> {
    const EXAMPLE: &str = "0 5 389 ldap.lab.example";
    let words = words(text, EXAMPLE)?;
    let [priority, weight, port, target] = fields(&words, text, EXAMPLE)?;
    Ok(Data::Srv {
        priority: number(text, priority)?,
        weight: number(text, weight)?,
        port: number(text, port)?,
        target: target_name(text, target)?,
    })
}

/// `FLAGS TAG VALUE` (RFC 8659 section 4.1.1).
pub(crate) fn caa(text: &str) -> Read<Data> {
    const EXAMPLE: &str = "0 issue ca.example";
    let words = words(text, EXAMPLE)?;
    let [flags, tag, value] = fields(&words, text, EXAMPLE)?;
    let fits = (1..=255).contains(&tag.len()) && tag.bytes().all(|octet| octet.is_ascii_alphanumeric());
    if !fits {
        return Err(wrong(format!("`{tag}` is not a property of a CAA record"), "write issue, issuewild or iodef"));
    }
    let flags = number(text, flags)?;
    Ok(Data::Caa { flags, tag: tag.as_bytes().to_vec(), value: value.as_bytes().to_vec() })
}

/// `ORDER PREFERENCE FLAGS SERVICES REGEXP REPLACEMENT` (RFC 3403 section 4.1).
pub(crate) fn naptr(text: &str) -> Read<Data> {
    const EXAMPLE: &str = r#"10 100 "s" "SIP+D2U" "" _sip._udp.lab.example"#;
    let words = words(text, EXAMPLE)?;
    let [order, preference, flags, services, regexp, replacement] = fields(&words, text, EXAMPLE)?;
    for part in [flags, services, regexp] {
        if part.len() > 255 {
            return Err(wrong(format!("`{part}` has more than 255 octets"), "shorten it"));
        }
    }
    let octets = |text: &str| text.as_bytes().to_vec();
    Ok(Data::Naptr {
        order: number(text, order)?,
        preference: number(text, preference)?,
        flags: octets(flags),
        services: octets(services),
        regexp: octets(regexp),
        replacement: target_name(text, replacement)?,
    })
}

/// Texts between blanks, or between quotes, in which `\"` and `\\` stand for themselves.
fn words(text: &str, example: &str) -> Read<Vec<String>> {
    let (mut words, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let quoted = first == '"';
        let mut word = if quoted { String::new() } else { first.to_string() };
        let mut closed = !quoted;
        while let Some(next) = chars.next_if(|next| quoted || !next.is_whitespace()) {
            match next {
                '"' if quoted => {
                    closed = true;
                    break;
                }
                '\\' if quoted => word.extend(chars.next()),
                _ => word.push(next),
            }
        }
        if !closed {
            return Err(wrong("this text has no quote at its end", format!("write it like {example}")));
        }
        words.push(word);
    }
    Ok(words)
}

fn fields<'a, const N: usize>(words: &'a [String], text: &str, example: &str) -> Read<[&'a str; N]> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    <[&str; N]>::try_from(words).map_err(|words| {
        let parts = if words.len() == 1 { "part" } else { "parts" };
        let what = format!("`{text}` has {} {parts}, not {N}", words.len());
        wrong(what, format!("write it like {example}"))
    })
}

fn number<T: std::str::FromStr>(text: &str, part: &str) -> Read<T> {
    let bad = wrong(format!("`{part}` is not a number that fits here"), "write a number from 0 to 65535 (flags: 255)");
    part.parse().map_err(|_| bad.within(text, part))
}

/// A name, or `.` for none at all.
fn target_name(text: &str, part: &str) -> Read<Name> {
    if part == "." { Ok(Name::root()) } else { name(part).map_err(|wrong| wrong.within(text, part)) }
}

/// A word that [`words`] reads back.
pub(crate) fn show_word(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"');
    Some(if plain { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) })
}

/// Seconds as a text that [`ttl`] reads.
pub(crate) fn show_ttl(secs: u32) -> String {
    crate::print::time(Duration::from_secs(secs.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_zones() {
        let zones =
            |net: &str| -> Vec<String> { reverse_zones(net.parse().unwrap()).iter().map(Name::to_string).collect() };
        assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa"]);
        assert_eq!(zones("10.1.2.3/32"), ["3.2.1.10.in-addr.arpa"]);
        assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa"]);
        assert_eq!(zones("10.0.0.0/7"), ["10.in-addr.arpa", "11.in-addr.arpa"]);
        assert_eq!(zones("192.168.0.128/25").len(), 128);
        assert_eq!(zones("fd00::/8"), ["d.f.ip6.arpa"]);
        assert_eq!(zones("fd00::/7"), ["c.f.ip6.arpa", "d.f.ip6.arpa"]);
        assert_eq!(zones("::/0"), ["ip6.arpa"]);
    }

    #[test]
    fn servers_have_ports_interfaces_and_sources() {
        let plain = ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:54", "192.0.2.1@eth0@10.0.0.2:4000"];
        for text in plain {
            assert_eq!(show_server(&server(text).unwrap()), text);
        }
        assert_eq!(server("192.0.2.1#5353"), server("192.0.2.1:5353"));
        assert_eq!(server("2001:db8::1#5353"), server("[2001:db8::1]:5353"));
        assert_eq!(server("192.0.2.1@10.0.0.2").unwrap().from, Some("10.0.0.2:0".parse().unwrap()));
        for bad in ["", "dns.example", "192.0.2.1:70000", "192.0.2.1:0", "0.0.0.0", "192.0.2.1@::1", "1.1.1.1@a/b", "@"]
        {
            assert!(server(bad).is_err(), "{bad}");
        }
        let text = "192.0.2.1:70000@eth0";
        assert_eq!(&text[server(text).unwrap_err().part.unwrap()], "70000");
    }

    #[test]
    fn a_subnet_stands_for_the_names_of_its_addresses() {
        let zones = |text: &str| scopes(text).unwrap().iter().map(show_scope).collect::<Vec<_>>();
        assert_eq!(zones("10.2.0.0/16"), ["2.10.in-addr.arpa"]);
        assert_eq!(zones("10.2.4.0/23"), ["4.2.10.in-addr.arpa", "5.2.10.in-addr.arpa"]);
        assert_eq!(zones("10.2.4.9/32"), ["9.4.2.10.in-addr.arpa"]);
        assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa"]);
        assert_eq!(zones("fd00::/8"), ["d.f.ip6.arpa"]);
        assert_eq!(zones("*"), ["*"]);
        assert_eq!(zones("*oogle.example"), ["*oogle.example"]);
        assert_eq!(zones("*.example"), ["*.example"]);
        assert!(scopes("*.").is_ok() && scopes("*..").is_err() && scopes("").is_err());
    }

    #[test]
    fn records_are_written_as_in_zone_files() {
        let target = "x.lan".parse::<Name>().unwrap();
        assert_eq!(mx("10 x.lan"), Ok(Data::Mx { preference: 10, target: target.clone() }));
        assert_eq!(srv(" 0  5 389 x.lan "), Ok(Data::Srv { priority: 0, weight: 5, port: 389, target }));
        let caa_data = Data::Caa { flags: 0, tag: b"issue".to_vec(), value: b"ca.example; a=\"b\"".to_vec() };
        assert_eq!(caa(r#"0 issue "ca.example; a=\"b\"""#), Ok(caa_data));
        assert!(matches!(naptr(r#"10 100 "s" "SIP+D2U" "" ."#), Ok(Data::Naptr { regexp, .. }) if regexp.is_empty()));
        for bad in ["", "10", "10 a b", "65536 x.lan", "10 a..b"] {
            assert!(mx(bad).is_err(), "{bad}");
        }
        assert!(naptr("10 100 \"s").is_err() && caa("256 issue x").is_err() && caa("0 is-sue x").is_err());
    }

    #[test]
    fn long_names_are_told_where_they_are_long() {
        let text = format!("nas.{}.lan", "x".repeat(64));
        let wrong = name(&text).unwrap_err();
        assert_eq!(wrong.part, Some(4..68));
        assert!(name(&["x"; 128].join(".")).unwrap_err().what.contains("253"));
        assert_eq!(record_name("10.0.1.5").unwrap().to_string(), "5.1.0.10.in-addr.arpa");
    }
}
