//! Who answers for which names: `server`, `local`, `address`, `rev-server`, `rebind-domain-ok`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dns::settings::{InterfaceName, Scope, Server, To};
use ipnet::IpNet;

use super::names::scope;
use super::{DnsOption, From, RouteTo, Routes, dns};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::options::{Meaning, Read, Said, given, number, port};
use crate::dnsmasq::text::Text;
use crate::value::dns::reverse_zones;

const PORT: u16 = 53;

const SERVER: &str = "server=[/domain/]10.0.1.1[#53][@eth0][@10.0.1.2[#1053]]";

/// `server` and `local`.
pub(in super::super::super) fn server(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let (scopes, to) = between_slashes(&text.plain(), format!("write {SERVER}"))?;
    let for_some = !scopes.is_empty();
    let to = match to.as_str() {
        "" => RouteTo::Known(To::Nobody),
        "#" if for_some => RouteTo::Known(To::Usual),
        "#" => return Ok(said.without_effect("this line", "`#` stands for the servers of all names already")),
        _ => upstream(&to)?,
    };
    let scopes = if for_some { scopes } else { vec![Scope::All] };
    dns(DnsOption::Routes(Routes { scopes, to }))
}

pub(in super::super::super) fn rev_server(said: &mut Said<'_>) -> Read {
    let takes = "write rev-server=10.0.1.0/24,10.0.1.1";
    let (subnet, to) = said.text().plain().split_once(',');
    let net = network(&subnet, takes)?;
    if net.prefix_len() == 0 {
        return Err(subnet.wrong("a network of all addresses is none", takes));
    }
    let to = match to {
        None => RouteTo::Known(To::Nobody),
        Some(to) if to.as_str() == "#" => RouteTo::Known(To::Usual),
        Some(to) => upstream(&to)?,
    };
    let scopes = reverse_zones(net).into_iter().map(Scope::Domain).collect();
    dns(DnsOption::Routes(Routes { scopes, to }))
}

pub(in super::super::super) fn address(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let takes = "write address=/example.org/10.0.1.1, or /example.org/ for a name that does not exist";
    let (scopes, to) = between_slashes(&text.plain(), takes.to_owned())?;
    let to = match to.as_str() {
        "" if matches!(scopes.last(), Some(Scope::Domain(name)) if name.to_string().parse::<IpAddr>().is_ok()) => {
            return Err(to.wrong("the address stands in the place of a domain", takes));
        }
        "" => To::Nobody,
        "#" => To::Null,
        address => To::Address(address.parse().map_err(|_| to.wrong(format!("`{to}` is not an address"), takes))?),
    };
    let scopes = if scopes.is_empty() { vec![Scope::All] } else { scopes };
    dns(DnsOption::Routes(Routes { scopes, to: RouteTo::Known(to) }))
}

pub(in super::super::super) fn rebind_domain_ok(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let mut pieces = text.plain().split('/');
    if text.as_str().starts_with('/') {
        pieces.remove(0);
    }
    pieces.pop_if(|last| last.is_empty());
    let one = |piece: &Text| match scope(piece)? {
        found @ (Scope::Plain | Scope::Domain(_)) => Ok(found),
        _ => Err(piece.wrong("a pattern of domains is not taken here", "write the domains themselves")),
    };
    let scopes: Result<Vec<_>, Diagnostic> = pieces.iter().map(one).collect();
    match scopes?.as_slice() {
        [] => Ok(Meaning::Nothing),
        scopes => dns(DnsOption::RebindDomainOk(scopes.to_vec())),
    }
}

/// The domains between the slashes, and what stands behind the last one. None of the former without slashes.
fn between_slashes(text: &Text, fix: String) -> Result<(Vec<Scope>, Text), Diagnostic> {
    if !text.as_str().starts_with('/') {
        return Ok((Vec::new(), text.clone()));
    }
    let mut pieces = text.split('/');
    pieces.remove(0);
    let to = pieces.pop().expect("there is something, or nothing, behind a slash");
    if pieces.is_empty() {
        return Err(text.wrong("the domain does not end with a slash", fix));
    }
    let scopes: Result<_, _> = pieces.iter().map(scope).collect();
    Ok((scopes?, to))
}

/// An address with its prefix length, all of it without one.
pub(super) fn network(text: &Text, fix: &str) -> Result<IpNet, Diagnostic> {
    let (address, prefix) = text.split_once('/');
    let address: IpAddr = address
        .bare()
        .and_then(|bare| bare.parse().ok())
        .ok_or_else(|| text.wrong(format!("`{address}` is not an address"), fix))?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(all), |prefix| number(&prefix, all))?;
    Ok(IpNet::new(address, prefix as u8).expect("the length was looked at").trunc())
}

/// `ADDRESS[%INTERFACE]|NAME[#PORT][@INTERFACE][@ADDRESS[#PORT]]`
fn upstream(text: &Text) -> Result<RouteTo, Diagnostic> {
    let parts = text.split('@');
    let (host, port) = host_and_port(&parts[0])?;
    let (host, scope) = host.split_once('%');
    let mut from = source(&parts[1..])?;
    if let Some(scope) = scope
        && from.interface.replace(interface(&scope)?).is_some()
    {
        return Err(scope.wrong("two interfaces are named for one server", format!("leave one out: {SERVER}")));
    }
    let Ok(address) = host.as_str().parse::<IpAddr>() else { return named(&host, port.unwrap_or(PORT), from) };
    let server = from.server(address).ok_or_else(|| {
        let what = "the server's address is of another family than the one that queries leave from";
        text.wrong(what, "write two IPv4 addresses, or two IPv6 addresses")
    })?;
    let address = SocketAddr::new(address, port.unwrap_or(PORT));
    Ok(RouteTo::Known(To::Server(Server { address, ..server })))
}

/// A server by its name. Digits and dots alone are a mistyped address.
fn named(host: &Text, port: u16, from: From) -> Result<RouteTo, Diagnostic> {
    let text = host.as_str();
    let is_name = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !is_name || text.is_empty() || text.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return Err(host.wrong(format!("`{host}` is neither an address nor a name"), format!("write {SERVER}")));
    }
    Ok(RouteTo::Named { name: given(host), port, from })
}

fn host_and_port(text: &Text) -> Result<(Text, Option<u16>), Diagnostic> {
    let (host, number) = text.split_once('#');
    let number = number.map(|number| match port(&number)? {
        0 => Err(number.wrong("no server can be asked on port 0", "write its port, which is 53 mostly")),
        port => Ok(port),
    });
    Ok((host, number.transpose()?))
}

/// An interface, an address, or first the one and then the other; a port behind the last.
fn source(parts: &[Text]) -> Result<From, Diagnostic> {
    let mut from = From::default();
    for (at, part) in parts.iter().enumerate() {
        let (what, number) = part.split_once('#');
        if let Ok(address) = what.as_str().parse::<IpAddr>() {
            from.address = Some(address);
        } else if at > 0 {
            return Err(what.wrong("an interface stands first, and only once", format!("write {SERVER}")));
        } else {
            from.interface = Some(interface(&what)?);
        }
        if let Some(number) = number {
            from.port = port(&number)?;
        }
        if from.address.is_some() && at + 1 < parts.len() {
            return Err(parts[at + 1]
                .wrong("nothing stands behind the address that queries leave from", format!("write {SERVER}")));
        }
    }
    Ok(from)
}

fn interface(text: &Text) -> Result<InterfaceName, Diagnostic> {
    InterfaceName::new(text.as_str()).ok_or_else(|| {
        text.wrong(format!("no interface can be called `{text}`"), "write the name of one, of 15 letters at most")
    })
}

impl From {
    /// The server at this address, asked from here. `None`: queries leave from an address of the other family.
    pub(in super::super::super) fn server(self, address: IpAddr) -> Option<Server> {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let fits = self.address.is_none_or(|from| from.is_ipv4() == address.is_ipv4());
        let says_something = self.address.is_some() || self.port != 0;
        let from = says_something.then(|| SocketAddr::new(self.address.unwrap_or(any), self.port));
        fits.then_some(Server { address: SocketAddr::new(address, PORT), from, interface: self.interface })
    }
}
