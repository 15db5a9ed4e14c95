//! The link, its address, masquerading and port forwards.

use std::collections::BTreeSet;

use super::{Resolver, Subnet, value};
use crate::diagnostic::Diagnostic;
use crate::said::{self, Given};
use crate::{Forward, Link, Network};

impl Resolver<'_> {
    /// The subnet to serve: as said, else as the interface has it now.
    pub(super) fn subnet(&self) -> Option<Subnet> {
        let said = &self.said.network;
        if let Some(address) = &said.address {
            return Some(Subnet { net: address.value, place: address.place.clone() });
        }
        let interface = said.interface.as_ref().filter(|_| !self.said.mentions("network.address"))?;
        let net = self.around.address(&interface.value)?;
        Some(Subnet { net, place: interface.place.clone() })
    }

    pub(super) fn network(&mut self, subnet: Option<&Subnet>) -> Option<Network> {
        let link = self.link();
        let masquerade = self.masquerade(subnet);
        let forwards = self.forwards(subnet);
        Some(Network { link: link?, address: value(&self.said.network.address), masquerade, forwards })
    }

    fn link(&mut self) -> Option<Link> {
        let said = &self.said.network;
        if let (Some(bridge), Some(interface)) = (&said.bridge, &said.interface) {
            let what = "lanboot serves on one link, but both a bridge and an interface are named";
            let fix = format!(
                "keep one; to enslave {0} to the bridge, write ports = [\"{0}\"] (flag: --port {0})",
                interface.value
            );
            self.found.push(
                Diagnostic::error(what).at(interface.place.clone()).also(bridge.place.clone(), "the bridge").fix(fix),
            );
            return None;
        }
        if let Some(bridge) = &said.bridge {
            if !self.said.mentions("network.address") {
                let what = format!("the bridge {} has no address", bridge.value);
                let fix = format!(
                    "add address = \"10.0.1.1/24\" to [network] (flag: --bridge {}=10.0.1.1/24), or use a bridge as it \
                     is by interface = \"{0}\"",
                    bridge.value
                );
                self.error(what, &bridge.place, fix);
            }
            self.check_ports(bridge);
            let ports = said.ports.iter().map(|port| port.value.clone()).collect();
            return Some(Link::Bridge { name: bridge.value.clone(), ports });
        }
        if let Some(interface) = &said.interface {
            if let Some(port) = said.ports.first() {
                let what = format!("{} is an interface as it is; only a bridge has ports", interface.value);
                self.error(what, &port.place, "name a bridge instead of the interface, or leave the ports out");
            }
            return Some(Link::Existing { name: interface.value.clone() });
        }
        if !self.said.mentions("network.bridge") && !self.said.mentions("network.interface") {
            let fix = "make a bridge: --bridge net=10.0.1.1/24, or name an interface: --interface eth1 (in a file: \
                       bridge or interface in [network])";
            self.error("nothing says which network to serve", &self.said.place("network"), fix);
        }
        None
    }

    fn check_ports(&mut self, bridge: &Given<String>) {
        let mut seen = BTreeSet::new();
        for port in &self.said.network.ports {
            if port.value == bridge.value {
                let what = format!("the bridge {} cannot be a port of itself", port.value);
                self.error(what, &port.place, "name the interfaces that the machines are wired to");
            } else if !seen.insert(&port.value) {
                self.error(format!("{} is listed twice", port.value), &port.place, "list each port once");
            }
        }
    }

    fn masquerade(&mut self, subnet: Option<&Subnet>) -> bool {
        let said = &self.said.network;
        let masquerade = value(&said.masquerade).unwrap_or(said.bridge.is_some());
        let address_is_bad = self.said.mentions("network.address");
        if let (true, None, false, Some(given)) = (masquerade, subnet, address_is_bad, &said.masquerade) {
            let fix = "add address = \"10.0.1.1/24\" to [network], or set masquerade = false";
            self.error("masquerading needs an address that says what the subnet is", &given.place, fix);
        }
        masquerade
    }

    fn forwards(&mut self, subnet: Option<&Subnet>) -> Vec<Forward> {
        let said = &self.said.network.forwards;
        for (index, forward) in said.iter().enumerate() {
            if let Some(earlier) = said[..index].iter().find(|earlier| takes_the_same(earlier, forward)) {
                let what = format!("port {} is forwarded twice", forward.port);
                let fix = "leave one out, or give each the interface it is for";
                self.found.push(
                    Diagnostic::error(what)
                        .at(forward.place.clone())
                        .also(earlier.place.clone(), "first forwarded here")
                        .fix(fix),
                );
            }
            if let Some(subnet) = subnet.filter(|subnet| !subnet.net.contains(forward.to.ip())) {
                let (ip, net) = (forward.to.ip(), subnet.net.trunc());
                let what = format!("port {} is forwarded to {ip}, which lies outside the subnet {net}", forward.port);
                let fix = format!("forward to an address in {net}, or make sure that this host has a route to {ip}");
                self.warn(what, &forward.to_place.first_word(&ip.to_string()), fix);
            }
        }
        said.iter().map(Forward::from).collect()
    }
}

fn takes_the_same(a: &said::Forward, b: &said::Forward) -> bool {
    let same_link = a.interface.is_none() || b.interface.is_none() || a.interface == b.interface;
    a.protocol == b.protocol && a.port == b.port && same_link
}

impl From<&said::Forward> for Forward {
    fn from(said: &said::Forward) -> Forward {
        let said::Forward { protocol, interface, port, to, .. } = said;
        Forward { protocol: *protocol, interface: interface.clone(), port: *port, to: *to }
    }
}
