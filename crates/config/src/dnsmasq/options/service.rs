//! How the DHCP service behaves as a whole: `domain`, `dhcp-reply-delay`, leases.

use std::net::IpAddr;

use ipnet::IpNet;

use super::tags::{TagTest, leading_tests};
use super::{Meaning, Read, Said, dns, nothing_more, number};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::text::Text;

/// The domain of machines (option 15), and what their names may end in.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// `None`: the first one that /etc/resolv.conf searches (written `#`).
    pub name: Option<String>,
    pub of: DomainOf,
    /// `local` behind a subnet: its names are never asked of other DNS servers.
    pub local: bool,
}

/// The machines that have the domain.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainOf {
    All,
    /// Inclusive.
    Range(IpAddr, IpAddr),
    Net(IpNet),
    /// The subnets of this interface.
    Interface(String),
}

/// Wait before an offer goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyDelay {
    pub tests: Vec<TagTest>,
    pub seconds: u32,
}

const DOMAIN: &str = "domain=name[,10.0.1.0/24[,local]] or domain=name,10.0.1.1,10.0.1.99";

pub(in super::super) fn domain(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let fields = text.split(',');
    let name = (fields[0].as_str() != "#").then(|| dns::ascii(&fields[0])).transpose()?;
    let Some(scope) = fields.get(1) else {
        return Ok(Meaning::Domain(Domain { name, of: DomainOf::All, local: false }));
    };
    let (of, rest) = domain_of(scope, &fields[2..])?;
    nothing_more(rest.get(1..).unwrap_or_default(), DOMAIN)?;
    let local = match rest.first() {
        None => false,
        Some(word) if word.as_str() == "local" => true,
        Some(word) => return Err(word.wrong(format!("`{word}` is not `local`"), format!("write {DOMAIN}"))),
    };
    if local && !matches!(of, DomainOf::Net(_)) {
        said.note("`local` counts behind a subnet alone, written 10.0.1.0/24: here it changes nothing".to_owned());
    }
    Ok(Meaning::Domain(Domain { name, of, local }))
}

/// A subnet, a range, or an interface, and what follows it.
fn domain_of<'a>(scope: &Text, rest: &'a [Text]) -> Result<(DomainOf, &'a [Text]), Diagnostic> {
    let as_address = |text: &Text| text.bare().and_then(|bare| bare.parse::<IpAddr>().ok());
    let wanted = |text: &Text| text.wrong(format!("`{text}` is not an address"), format!("write {DOMAIN}"));
    if let (net, Some(prefix)) = scope.split_once('/') {
        let address = as_address(&net).ok_or_else(|| wanted(&net))?;
        let prefix = number(&prefix, if address.is_ipv4() { 32 } else { 128 })?;
        let net = IpNet::new(address, prefix as u8).expect("the length was looked at");
        return Ok((DomainOf::Net(net.trunc()), rest));
    }
    let Some(first) = as_address(scope) else {
        return Ok((DomainOf::Interface(scope.as_str().to_owned()), rest));
    };
    let Some((last, rest)) = rest.split_first() else { return Ok((DomainOf::Range(first, first), rest)) };
    let last = as_address(last).filter(|last| last.is_ipv4() == first.is_ipv4()).ok_or_else(|| wanted(last))?;
    Ok((DomainOf::Range(first, last), rest))
}

pub(in super::super) fn reply_delay(said: &mut Said<'_>) -> Read {
    let mut fields = said.list();
    let tests = leading_tests(&mut fields)?;
    let Some(seconds) = fields.first() else {
        return match said.some() {
            Some(_) => Err(said.wrong("the delay is missing", "write dhcp-reply-delay=tag:x,2")),
            None => Ok(Meaning::Nothing),
        };
    };
    nothing_more(&fields[1..], "dhcp-reply-delay=[tag:x,]seconds")?;
    let seconds = number(seconds, u32::MAX)?;
    Ok(Meaning::ReplyDelay(ReplyDelay { tests, seconds }))
}

pub(in super::super) fn lease_file(said: &mut Said<'_>) -> Read {
    Ok(Meaning::DhcpLeaseFile(said.some().map(|text| text.as_str().into())))
}

pub(in super::super) fn script_user(said: &mut Said<'_>) -> Read {
    Ok(said.some().map_or(Meaning::Nothing, |text| Meaning::DhcpScriptUser(text.as_str().to_owned())))
}

impl Domain {
    /// Whether it is every machine's, as `dhcp-fqdn` needs.
    pub fn is_for_all(&self) -> bool {
        self.of == DomainOf::All
    }
}
