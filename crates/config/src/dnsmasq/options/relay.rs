//! Relays: being one, and dealing with others'.

use std::net::Ipv4Addr;

use super::interfaces::{Pattern, patterns};
use super::{Meaning, Read, Said, address, as_address, nothing_more, port};
use crate::said::Given;

/// Being a relay (RFC 2131 section 4.1.1, RFC 1542).
#[derive(Clone, Debug, PartialEq)]
pub struct Relay {
    /// Our address where clients ask.
    pub local: Given<Ipv4Addr>,
    /// `None`: broadcast on `interface`.
    pub server: Option<Given<Ipv4Addr>>,
    /// UDP port of the server; `None`: the usual one.
    pub port: Option<u16>,
    /// Where answers may come from; `None`: from anywhere.
    pub interface: Option<Pattern>,
}

/// UDP ports instead of 67 and 68.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlternatePort {
    pub server: u16,
    pub client: u16,
}

const TAKES: &str = "dhcp-relay=10.0.1.1,192.0.2.1[#67][,eth0] or dhcp-relay=10.0.1.1,eth0";

pub(in super::super) fn dhcp_relay(said: &mut Said<'_>) -> Read {
    let fields = said.text().split(',');
    let [local, second, rest @ ..] = &*fields else {
        return Err(said.wrong("our address and the server's are wanted", format!("write {TAKES}")));
    };
    nothing_more(rest.get(1..).unwrap_or_default(), TAKES)?;
    let local = address(local)?;
    let (server, after_hash) = second.split_once('#');
    if as_address(&server).is_none() {
        if rest.is_empty() && second.bare().is_some_and(|name| !name.is_empty() && !name.ends_with('*')) {
            let interface = patterns(std::slice::from_ref(second)).pop();
            return Ok(Meaning::Relay(Relay { local, server: None, port: None, interface }));
        }
        return Err(address(&server).err().unwrap_or_else(|| second.wrong("no server", TAKES)));
    }
    let server = Some(address(&server)?);
    let port = after_hash.map(|text| port(&text)).transpose()?;
    Ok(Meaning::Relay(Relay { local, server, port, interface: patterns(rest).pop() }))
}

pub(in super::super) fn dhcp_proxy(said: &mut Said<'_>) -> Read {
    let fields = said.value.as_ref().map_or(Vec::new(), |text| text.split(','));
    let addresses: Result<_, _> = fields.iter().map(address).collect();
    addresses.map(Meaning::DhcpProxy)
}

/// Nothing: 1067 and 1068. One port: the client's is the next.
pub(in super::super) fn alternate_port(said: &mut Said<'_>) -> Read {
    let fields = said.list();
    let server = fields.first().map_or(Ok(1067), port)?;
    let client = fields.get(1).map_or(Ok(server.saturating_add(1)), port)?;
    nothing_more(fields.get(2..).unwrap_or_default(), "dhcp-alternate-port=server[,client]")?;
    Ok(Meaning::AlternatePort(AlternatePort { server, client }))
}
