//! The network as it is, read in one go, so that plans are made from a value and not from a moving kernel.

use std::fs;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::firewall::{self, Chain};
use crate::netlink::NetlinkError;
use crate::plan::Action;
use crate::record::Change;
use crate::rtnl::{Address, Link, Route, Rtnl};
use crate::sysctl::{self, Sysctls};

/// What a plan depends on, of the calling thread's network namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    pub routes: Vec<Route>,
    pub sysctls: Sysctls,
    pub sysctls_read_only: bool,
    pub chains: Vec<Chain>,
    pub legacy_filter: bool,
    pub bridge_calls_iptables: bool,
    /// CAP_NET_ADMIN over this namespace.
    pub may_change: bool,
    /// What a MAC for our bridge is made from; the same at every start of this computer.
    pub machine_id: String,
}

/// The IPv4 addresses among those of an interface.
pub(crate) fn v4_of(addresses: &[Address], index: u32) -> impl Iterator<Item = Ipv4Net> {
    addresses.iter().filter(move |address| address.interface == index).filter_map(|address| match address.net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    })
}

/// The IPv6 addresses among those of an interface.
pub(crate) fn v6_of(addresses: &[Address], index: u32) -> impl Iterator<Item = Ipv6Net> {
    addresses.iter().filter(move |address| address.interface == index).filter_map(|address| match address.net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net),
    })
}

impl State {
    pub fn read() -> Result<State, NetlinkError> {
        let mut rtnl = Rtnl::open()?;
        Ok(State {
            links: rtnl.links()?,
            addresses: rtnl.addresses()?,
            routes: rtnl.routes()?,
            sysctls: sysctl::read_all()?,
            sysctls_read_only: sysctl::is_read_only(),
            chains: firewall::chains(),
            legacy_filter: firewall::has_legacy_filter(),
            bridge_calls_iptables: firewall::bridge_calls_iptables(),
            may_change: rtnl.may_change()?,
            machine_id: machine_id(),
        })
    }

    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    pub fn name_of(&self, index: u32) -> &str {
        self.links.iter().find(|link| link.index == index).map_or("an interface that is gone", |link| &link.name)
    }

    /// The IPv4 addresses of an interface, in the kernel's order.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = Ipv4Net> {
        v4_of(&self.addresses, index)
    }

    pub fn sysctl(&self, setting: &str) -> Option<&str> {
        self.sysctls.get(setting).map(String::as_str)
    }

    /// The state as it will be once `changes` have been undone.
    pub fn without(mut self, changes: &[Change]) -> State {
        for change in changes.iter().rev() {
            self.forget(change);
        }
        self
    }

    fn forget(&mut self, change: &Change) {
        match &change.action {
            Action::MakeBridge { name, mac } => {
                let made = |link: &Link| link.name == *name && link.mac == Some(*mac);
                if let Some(index) = self.links.iter().find(|link| made(link)).map(|link| link.index) {
                    self.links.retain(|link| link.index != index);
                    self.addresses.retain(|address| address.interface != index);
                    self.routes.retain(|route| route.interface != index);
                    let ports = self.links.iter_mut().filter(|link| link.controller == Some(index));
                    ports.for_each(|port| port.controller = None);
                }
            }
            Action::Enslave { port, .. } => self.with_link(port, |link| link.controller = None),
            Action::BringUp { interface } => self.with_link(interface, |link| link.up = false),
            Action::GiveAddress { interface, address } => {
                if let Some(index) = self.link(interface).map(|link| link.index) {
                    let given = |a: &Address| a.interface == index && a.net == IpNet::V4(*address);
                    self.addresses.retain(|address| !given(address));
                    let follows = |route: &Route| route.interface == index && address.contains(&route.to);
                    self.routes.retain(|route| !follows(route));
                }
            }
            Action::SetForwarding { interface, from, .. } => {
                self.sysctls.insert(sysctl::forwarding_of(interface), from.clone());
            }
            Action::TurnOnForwarding => {
                self.sysctls.extend(change.before.clone().unwrap_or_default());
            }
            Action::Translate { .. } => {}
        }
    }

    fn with_link(&mut self, name: &str, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.iter_mut().find(|link| link.name == name) {
            change(link);
        }
    }
}

fn machine_id() -> String {
    let read = |path| fs::read_to_string(path).ok().filter(|id: &String| !id.trim().is_empty());
    read("/etc/machine-id").or_else(|| read("/proc/sys/kernel/random/boot_id")).unwrap_or_default()
}
