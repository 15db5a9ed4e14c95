//! Links, IPv4 and IPv6 addresses, and IPv4 routes, by rtnetlink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use mac::Mac;

use crate::netlink::{Attributes, CREATE, EXCL, Message, Netlink, NetlinkError, attributes, text_of, u32_at};

type Result<T> = std::result::Result<T, NetlinkError>;

const IFF_UP: u32 = libc::IFF_UP as u32;
/// An index that no interface has: the kernel would have to count to two thousand million.
const NO_INTERFACE: u32 = i32::MAX as u32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// `bridge`, `veth`, `tun`, …; `None` for hardware and loopback.
    pub kind: Option<String>,
    pub up: bool,
    /// Index of the bridge or bond that this is a port of.
    pub controller: Option<u32>,
    pub mac: Option<Mac>,
    pub alias: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the interface that has it.
    pub interface: u32,
    /// The address itself, with its prefix.
    pub net: IpNet,
    pub link_local: bool,
}

/// A route to IPv4 addresses that leads to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub to: Ipv4Net,
    pub via: Option<Ipv4Addr>,
    pub interface: u32,
}

/// The kernel's links, addresses and routes, in the namespace of the thread that opened this.
pub(crate) struct Rtnl(Netlink);

impl Rtnl {
    pub fn open() -> Result<Rtnl> {
        Netlink::open(libc::NETLINK_ROUTE).map(Rtnl)
    }

    pub fn links(&mut self) -> Result<Vec<Link>> {
        let replies = self.0.dump(libc::RTM_GETLINK, &Attributes::after(&link_header(0, 0, 0)))?;
        let links = replies.iter().filter(|reply| reply.kind == libc::RTM_NEWLINK);
        Ok(links.filter_map(|reply| parse_link(&reply.body)).collect())
    }

    pub fn link(&mut self, name: &str) -> Result<Option<Link>> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }

    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let replies = self.0.dump(libc::RTM_GETADDR, &Attributes::after(&[0; 8]))?;
        let addresses = replies.iter().filter(|reply| reply.kind == libc::RTM_NEWADDR);
        Ok(addresses.filter_map(|reply| parse_address(&reply.body)).collect())
    }

    /// IPv4 routes of all tables. One with several next hops is listed once for each.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let mut header = [0; 12];
        header[0] = libc::AF_INET as u8;
        let replies = self.0.dump(libc::RTM_GETROUTE, &Attributes::after(&header))?;
        let routes = replies.iter().filter(|reply| reply.kind == libc::RTM_NEWROUTE);
        Ok(routes.flat_map(|reply| parse_routes(&reply.body)).collect())
    }

    pub fn make_bridge(&mut self, name: &str, mac: Mac) -> Result<()> {
        let kind = Attributes::default().put_text(libc::IFLA_INFO_KIND, "bridge");
        let body = Attributes::after(&link_header(0, 0, 0))
            .put_text(libc::IFLA_IFNAME, name)
            .put(libc::IFLA_ADDRESS, &mac.0)
            .nest(libc::IFLA_LINKINFO, kind);
        self.0.change(&Message { kind: libc::RTM_NEWLINK, flags: CREATE | EXCL, body })
    }

    pub fn delete_link(&mut self, index: u32) -> Result<()> {
        self.change_link(libc::RTM_DELLINK, index, |body| body)
    }

    pub fn set_up(&mut self, index: u32, up: bool) -> Result<()> {
        let flags = if up { IFF_UP } else { 0 };
        let body = Attributes::after(&link_header(index, flags, IFF_UP));
        self.0.change(&Message { kind: libc::RTM_SETLINK, flags: 0, body })
    }

    /// Makes a port of `controller`; 0 sets it free.
    pub fn set_controller(&mut self, index: u32, controller: u32) -> Result<()> {
        self.change_link(libc::RTM_SETLINK, index, |body| body.put_u32(libc::IFLA_MASTER, controller))
    }

    pub fn set_alias(&mut self, index: u32, alias: &str) -> Result<()> {
        self.change_link(libc::RTM_SETLINK, index, |body| body.put(libc::IFLA_IFALIAS, alias.as_bytes()))
    }

    pub fn set_mac(&mut self, index: u32, mac: Mac) -> Result<()> {
        self.change_link(libc::RTM_SETLINK, index, |body| body.put(libc::IFLA_ADDRESS, &mac.0))
    }

    /// Asks for a change that cannot be made, because it names no interface: the kernel looks at our rights first.
    pub fn may_change(&mut self) -> Result<bool> {
        match self.set_up(NO_INTERFACE, true) {
            Err(error) if error.errno == libc::EPERM => Ok(false),
            Err(error) if error.errno == libc::ENODEV => Ok(true),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    pub fn add_address(&mut self, index: u32, net: Ipv4Net) -> Result<()> {
        let mut body = address_body(index, net);
        if net.prefix_len() <= 30 {
            body = body.put(libc::IFA_BROADCAST, &net.broadcast().octets());
        }
        self.0.change(&Message { kind: libc::RTM_NEWADDR, flags: CREATE | EXCL, body })
    }

    pub fn delete_address(&mut self, index: u32, net: Ipv4Net) -> Result<()> {
        self.0.change(&Message { kind: libc::RTM_DELADDR, flags: 0, body: address_body(index, net) })
    }

    fn change_link(&mut self, kind: u16, index: u32, fill: impl FnOnce(Attributes) -> Attributes) -> Result<()> {
        let body = fill(Attributes::after(&link_header(index, 0, 0)));
        self.0.change(&Message { kind, flags: 0, body })
    }
}

/// `struct ifinfomsg`: family, padding, hardware type, index, flags, which flags to change.
fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&change.to_ne_bytes());
    header
}

/// `struct ifaddrmsg`, then the address as the kernel wants it for a link that is not point to point.
fn address_body(index: u32, net: Ipv4Net) -> Attributes {
    let mut header = [libc::AF_INET as u8, net.prefix_len(), 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    Attributes::after(&header).put(libc::IFA_LOCAL, &net.addr().octets()).put(libc::IFA_ADDRESS, &net.addr().octets())
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let mut link = Link {
        index: u32_at(body, 4)?,
        name: String::new(),
        kind: None,
        up: u32_at(body, 8)? & IFF_UP != 0,
        controller: None,
        mac: None,
        alias: None,
    };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = text_of(value),
            libc::IFLA_MASTER => link.controller = u32_at(value, 0),
            libc::IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
            libc::IFLA_IFALIAS => link.alias = Some(text_of(value)),
            libc::IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                link.kind = kind.map(|(_, name)| text_of(name));
            }
            _ => {}
        }
    }
    Some(link)
}

fn parse_address(body: &[u8]) -> Option<Address> {
    let (family, prefix, scope) = (*body.first()?, *body.get(1)?, *body.get(3)?);
    let find = |wanted| attributes(body.get(8..).unwrap_or_default()).find(|(kind, _)| *kind == wanted);
    // On a point-to-point link IFA_ADDRESS is the peer; IFA_LOCAL, where given, is always ours.
    let (_, octets) = find(libc::IFA_LOCAL).or_else(|| find(libc::IFA_ADDRESS))?;
    let net = match ip_of(i32::from(family), octets)? {
        IpAddr::V4(ip) => IpNet::V4(Ipv4Net::new(ip, prefix).ok()?),
        IpAddr::V6(ip) => IpNet::V6(Ipv6Net::new(ip, prefix).ok()?),
    };
    Some(Address { interface: u32_at(body, 4)?, net, link_local: scope == libc::RT_SCOPE_LINK })
}

fn ip_of(family: i32, octets: &[u8]) -> Option<IpAddr> {
    match family {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?))),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))),
        _ => None,
    }
}

fn parse_routes(body: &[u8]) -> Vec<Route> {
    let Some(attributes_part) = body.get(12..) else { return Vec::new() };
    let (mut to, mut via, mut interface, mut hops) = (Ipv4Addr::UNSPECIFIED, None, None, Vec::new());
    for (kind, value) in attributes(attributes_part) {
        match kind {
            libc::RTA_DST => to = <[u8; 4]>::try_from(value).map_or(to, Ipv4Addr::from),
            libc::RTA_GATEWAY => via = <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from),
            libc::RTA_OIF => interface = u32_at(value, 0),
            libc::RTA_MULTIPATH => hops = next_hops(value),
            _ => {}
        }
    }
    hops.extend(interface.map(|interface| (interface, via)));
    let Ok(to) = Ipv4Net::new(to, body[1]) else { return Vec::new() };
    hops.into_iter().map(|(interface, via)| Route { to, via, interface }).collect()
}

/// `struct rtnexthop` (length, flags, hops, interface) and its attributes, repeated.
fn next_hops(mut octets: &[u8]) -> Vec<(u32, Option<Ipv4Addr>)> {
    let mut hops = Vec::new();
    while let (Some(length), Some(interface)) = (crate::netlink::u16_at(octets, 0), u32_at(octets, 4)) {
        let Some(inner) = octets.get(8..length as usize) else { break };
        let via = attributes(inner).find(|(kind, _)| *kind == libc::RTA_GATEWAY);
        hops.push((interface, via.and_then(|(_, ip)| <[u8; 4]>::try_from(ip).ok()).map(Ipv4Addr::from)));
        octets = octets.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}
