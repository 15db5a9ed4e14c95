//! resolv.conf: the upstream servers that a host knows, and the domain that it is in.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::Name;
use crate::settings::{InterfaceName, Server};

/// What we take from it; all else there is for the host's own resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolv {
    /// In their order, on port 53.
    pub servers: Vec<Server>,
    /// The first of the last `search` or `domain` line.
    pub search: Option<Name>,
    /// Lines, from 1, whose server is none.
    pub faults: Vec<Fault>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{said}` is no address of a name server")]
pub struct Fault {
    pub line: usize,
    pub said: String,
}

/// Reads a whole file. Words behind an address mean nothing.
pub fn parse(text: &str) -> Resolv {
    let mut resolv = Resolv::default();
    for (at, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("nameserver"), said) => match said.and_then(server) {
                Some(server) => resolv.servers.push(server),
                None => resolv.faults.push(Fault { line: at + 1, said: said.unwrap_or_default().into() }),
            },
            (Some("search" | "domain"), Some(domain)) => {
                resolv.search = domain.parse().ok().filter(|name: &Name| !name.is_root());
            }
            _ => {}
        }
    }
    resolv
}

/// `fe80::1%eth0` has its interface by name, `fe80::1%2` by number (RFC 4007 section 11).
fn server(said: &str) -> Option<Server> {
    let Some((address, zone)) = said.split_once('%') else {
        let address: IpAddr = said.parse().ok()?;
        return Some(Server { address: SocketAddr::new(address, 53), from: None, interface: None });
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let number: Option<u32> = zone.parse().ok();
    let interface = if number.is_some() { None } else { Some(InterfaceName::new(zone)?) };
    let address = SocketAddrV6::new(address, 53, 0, number.unwrap_or(0)).into();
    Some(Server { address, from: None, interface })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_come_in_their_order() {
        let text = "# made by hand\nnameserver 10.0.0.1\n nameserver\t::1 # near\noptions edns0\nnameserver 10.0.0.2 10.0.0.3\n\
                    ;nameserver 10.0.0.4\nnameserver fe80::1%2";
        let servers: Vec<String> = parse(text).servers.iter().map(|server| server.address.to_string()).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[::1]:53", "10.0.0.2:53", "[fe80::1%2]:53"]);
    }

    #[test]
    fn a_zone_may_be_an_interface() {
        let server = parse("nameserver fe80::1%br-lan").servers[0];
        assert_eq!(server.interface, InterfaceName::new("br-lan"));
        assert_eq!(server.address, "[fe80::1]:53".parse().unwrap());
    }

    #[test]
    fn faults_name_their_line() {
        let text = "nameserver localhost\nnameserver\nnameserver 10.0.0.1%eth0\nnameserver fe80::1%a-name-too-long-x\n\
                    nameserver 10.0.0.1#5353\nnameserver fe80::1%a/b\nnameserver fe80::1%\0";
        let faults: Vec<String> = parse(text).faults.iter().map(Fault::to_string).collect();
        assert_eq!(faults.len(), 7, "{faults:?}");
        assert_eq!(faults[0], "line 1: `localhost` is no address of a name server");
        assert_eq!(parse(text).servers, []);
    }

    #[test]
    fn the_last_search_line_counts() {
        assert_eq!(parse("domain a.lan\nsearch b.lan c.lan\n").search, Some("b.lan".parse().unwrap()));
        assert_eq!(parse("search .\n").search, None);
    }
}
