//! How the DHCP service behaves as a whole: `domain`, `dhcp-reply-delay`, leases.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::tags::{TagTest, leading_tests};
use super::{Meaning, Read, Said, address, as_address, nothing_more, number};

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
    Range(Ipv4Addr, Ipv4Addr),
    Net(Ipv4Net),
    /// The subnets of this interface.
    Interface(String),
}

/// Wait before an offer goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyDelay {
    pub tests: Vec<TagTest>,
    pub seconds: u32,
}

pub(in super::super) fn domain(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let fields = text.split(',');
    let name = (fields[0].as_str() != "#").then(|| fields[0].as_str().trim_end_matches('.').to_owned());
    let takes = "domain=name[,10.0.1.0/24[,local]] or domain=name,10.0.1.1,10.0.1.99";
    let Some(scope) = fields.get(1) else {
        return Ok(Meaning::Domain(Domain { name, of: DomainOf::All, local: false }));
    };
    nothing_more(fields.get(3..).unwrap_or_default(), takes)?;
    if scope.has(':') {
        return Ok(said.without_effect("a domain of IPv6 addresses", "lanboot speaks no DHCPv6 yet"));
    }
    let of = if let (net, Some(prefix)) = scope.split_once('/') {
        let prefix = number(&prefix, 32)? as u8;
        let net = Ipv4Net::new(address(&net)?.value, prefix).expect("a prefix of at most 32 is valid");
        DomainOf::Net(net.trunc())
    } else if let Some(first) = as_address(scope) {
        DomainOf::Range(first, fields.get(2).map_or(Ok(first), |last| address(last).map(|last| last.value))?)
    } else {
        DomainOf::Interface(scope.as_str().to_owned())
    };
    let after = fields.get(2).filter(|_| !matches!(of, DomainOf::Range(..)));
    let local = match after {
        None => false,
        Some(word) if word.as_str() == "local" => true,
        Some(word) => {
            let what = format!("`{word}` is not `local`");
            return Err(word.wrong(what, format!("write {takes}")));
        }
    };
    Ok(Meaning::Domain(Domain { name, of, local }))
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
