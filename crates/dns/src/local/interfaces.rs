//! Names of our own interfaces, and addresses that depend on theirs.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::View;
use super::tree::Tree;
use crate::Name;
use crate::resolver::Interface;
use crate::settings::{DynamicHost, Local};

#[derive(Default)]
pub(super) struct Interfaces {
    now: Vec<Interface>,
    names: HashMap<IpAddr, Name>,
}

impl Interfaces {
    pub fn set(&mut self, now: Vec<Interface>) {
        self.now = now;
    }

    /// The name that was first said for an interface with this address.
    pub fn name(&self, address: IpAddr) -> Option<&Name> {
        self.names.get(&address)
    }

    /// Gives all names of interfaces the addresses of now.
    pub fn tell(&mut self, local: &Local, tree: &mut Tree) {
        self.names.clear();
        let of_interfaces = local.interface_names.iter().map(|of| &of.name);
        for name in of_interfaces.chain(local.dynamic_hosts.iter().map(|host| &host.name)) {
            tree.change(name, |node| node.rare_mut().interfaces = Some(Vec::new()));
        }
        for of in &local.interface_names {
            let wanted = |net: &IpNet| if net.addr().is_ipv4() { of.v4 } else { of.v6 };
            let addresses = self.nets(&of.interface).filter(wanted).map(|net| net.addr()).collect();
            self.tell_name(&of.name, addresses, tree);
        }
        for host in &local.dynamic_hosts {
            let addresses = self.nets(&host.interface).filter_map(|net| host.within(net)).collect();
            self.tell_name(&host.name, addresses, tree);
        }
    }

    fn tell_name(&mut self, name: &Name, addresses: Vec<IpAddr>, tree: &mut Tree) {
        for &address in &addresses {
            self.names.entry(address).or_insert_with(|| name.clone());
        }
        tree.change(name, |node| {
            let known = node.rare_mut().interfaces.get_or_insert_default();
            // Two addresses in one subnet make a dynamic host's address twice.
            for address in addresses {
                if !known.contains(&address) {
                    known.push(address);
                }
            }
        });
    }

    /// Nobody can use a link-local address that does not say of which link.
    fn nets(&self, interface: &str) -> impl Iterator<Item = IpNet> {
        let addresses = self.now.iter().filter(move |now| now.name == interface).flat_map(|now| &now.addresses);
        addresses.copied().filter(|net| !matches!(net.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local()))
    }

    /// The subnet that the client asked in, by our address that it asked.
    pub fn subnet(&self, view: &View) -> Option<Ipv4Net> {
        let here = self.now.iter().filter(|now| view.interface == 0 || now.index == view.interface);
        here.flat_map(|now| &now.addresses).find_map(|net| match (net, view.local) {
            (IpNet::V4(net), IpAddr::V4(local)) => Some(net.trunc()).filter(|net| net.contains(&local)),
            _ => None,
        })
    }
}

impl DynamicHost {
    fn within(&self, net: IpNet) -> Option<IpAddr> {
        match net {
            IpNet::V4(net) => {
                let host = self.v4?.to_bits() & net.hostmask().to_bits();
                Some(Ipv4Addr::from_bits(net.network().to_bits() | host).into())
            }
            IpNet::V6(net) => {
                let host = self.v6?.to_bits() & net.hostmask().to_bits();
                Some(Ipv6Addr::from_bits(net.network().to_bits() | host).into())
            }
        }
    }
}
