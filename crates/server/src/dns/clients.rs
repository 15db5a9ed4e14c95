//! Whose queries are answered.

use std::net::IpAddr;

use config::DnsClients;
use dns::resolver::Interface;
use ipnet::IpNet;

use crate::report::Reporter;

/// Knows the networks of this host as they are now.
#[derive(Debug, Default)]
pub(super) struct Clients {
    who: DnsClients,
    networks: Vec<IpNet>,
    loopback: u32,
    /// The interfaces that queries may come by, beside the loopback.
    served: Vec<u32>,
    /// That strangers are not answered is said once.
    warned: bool,
}

impl Clients {
    pub fn set_who(&mut self, who: DnsClients) {
        self.who = who;
    }

    /// `served`: the names of those that we have addresses of to answer at.
    pub fn set_interfaces<'a>(&mut self, all: &[Interface], served: impl Iterator<Item = &'a str>) {
        self.networks = all.iter().flat_map(|interface| interface.addresses.iter().copied()).collect();
        self.loopback = all.iter().find(|interface| interface.name == "lo").map_or(0, |lo| lo.index);
        let index = |name| all.iter().find(|interface| interface.name == name).map(|interface| interface.index);
        self.served = served.filter_map(index).collect();
    }

    /// `interface`: where the query came by; 0: not known.
    pub fn admit(&mut self, client: IpAddr, interface: u32, reporter: &Reporter) -> bool {
        // By the loopback come programs of this host alone, from whichever address of ours.
        if interface != 0 && interface == self.loopback {
            return true;
        }
        if interface != 0 && !self.served.is_empty() && !self.served.contains(&interface) {
            return false;
        }
        let is_welcome = match self.who {
            DnsClients::All => true,
            DnsClients::Neighbours => self.networks.iter().any(|net| net.contains(&client)),
            DnsClients::ThisHost => self.networks.iter().any(|net| net.addr() == client),
        };
        if !is_welcome && !std::mem::replace(&mut self.warned, true) {
            let (who, fix) = match self.who {
                DnsClients::ThisHost => ("this host", "let others ask too"),
                _ => ("networks of this host", "let everybody ask"),
            };
            let text = format!("DNS queries from {client} are not answered: it is not of {who}");
            reporter
                .warn(&text, &format!("{fix}, if they shall: clients in [dns], local-service in the dnsmasq dialect"));
        }
        is_welcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use journal::{Journal, Step};

    use super::*;

    fn interface(index: u32, name: &str, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|net| net.parse().unwrap()).collect();
        Interface { index, name: name.into(), addresses }
    }

    #[test]
    fn neighbours_are_answered_and_strangers_are_not() {
        let reporter = Reporter { journal: Journal::new(), machines: Arc::default() };
        let all = [
            interface(1, "lo", &["127.0.0.1/8"]),
            interface(2, "br0", &["10.0.1.1/24", "fe80::1/64"]),
            interface(3, "eth0", &["192.0.2.9/24"]),
        ];
        let mut clients = Clients::default();
        clients.set_interfaces(&all, ["br0"].into_iter());
        let mut admits = |who, address: &str, interface| {
            clients.set_who(who);
            clients.admit(address.parse().unwrap(), interface, &reporter)
        };
        assert!(admits(DnsClients::Neighbours, "10.0.1.7", 2) && admits(DnsClients::Neighbours, "fe80::7", 2));
        assert!(admits(DnsClients::Neighbours, "192.0.2.9", 1), "ourselves");
        assert!(!admits(DnsClients::Neighbours, "192.0.2.8", 3), "not served there");
        assert!(!admits(DnsClients::Neighbours, "203.0.113.1", 2) && !admits(DnsClients::Neighbours, "203.0.113.2", 2));
        assert!(admits(DnsClients::All, "203.0.113.1", 2) && !admits(DnsClients::All, "203.0.113.1", 3));
        assert!(!admits(DnsClients::ThisHost, "10.0.1.7", 2) && admits(DnsClients::ThisHost, "10.0.1.1", 0));
        let events = reporter.journal.recent(100);
        assert_eq!(events.iter().filter(|event| matches!(event.step, Step::Warning { .. })).count(), 1);
    }
}
