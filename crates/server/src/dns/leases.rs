//! The names of leases, from the DHCP service to this one.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dns::Name;
use dns::local::Lease;
use leases::{ClientKey, Expiry, Record, UnixSecs};

use super::{Order, Orders};
use crate::dhcp::LeaseChange;

/// Hands on what becomes of leases.
///
/// Each name is one machine's, and each machine has one address: what one loses to another is taken from it here. What
/// runs out is for the resolver to see.
pub(crate) struct Names {
    orders: Orders,
    /// For the domains of machines of which no request was heard.
    dhcp: config::Dhcp,
    /// Those that have a name. The others, mostly all, are of no interest here.
    known: HashMap<Ipv4Addr, Known>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_name: HashMap<(Name, Option<Name>), Ipv4Addr>,
}

struct Known {
    key: ClientKey,
    name: (Name, Option<Name>),
}

impl Names {
    pub fn new(orders: Orders, dhcp: config::Dhcp) -> Names {
        Names { orders, dhcp, known: HashMap::new(), by_key: HashMap::new(), by_name: HashMap::new() }
    }

    pub fn take(&mut self, change: LeaseChange) {
        match change {
            LeaseChange::Known(mut records) => {
                let now = wall();
                records.retain(|record| record.is_active(now));
                // Of two that had one name, the later one has it now.
                records.sort_by_key(|record| record.binding().map(|binding| binding.granted));
                for record in records {
                    let domain = self.dhcp.domain_of(record.address).map(str::to_owned);
                    self.given(&record, domain);
                }
            }
            LeaseChange::Given { record, renewal, about } => {
                self.given(&record, about.domain);
                if !renewal {
                    self.orders.give_for_later(Order::Watch(record.address.into()));
                }
            }
            LeaseChange::Ended(address) => self.ended(address),
            LeaseChange::Elsewhere(address) => self.orders.give_for_later(Order::Watch(address.into())),
        }
    }

    fn given(&mut self, record: &Record, domain: Option<String>) {
        let (Some(binding), address) = (record.binding(), record.address) else { return };
        let domain = domain.and_then(|domain| domain.parse::<Name>().ok());
        let name = binding.hostname.as_deref().and_then(|name| name.parse::<Name>().ok()).filter(Name::is_plain);
        let name = name.map(|name| (name, domain));
        let former = self.by_key.get(&binding.key).copied().filter(|former| *former != address);
        former.into_iter().for_each(|former| self.ended(former));
        let rival = name.as_ref().and_then(|name| self.by_name.get(&self.unique(name)).copied());
        rival.into_iter().filter(|rival| *rival != address).for_each(|rival| self.ended(rival));
        let had_name = self.forget(address);
        let Some(name) = name else {
            if had_name {
                self.orders.give_for_later(Order::LeaseEnded(address));
            }
            return;
        };
        self.by_name.insert(self.unique(&name), address);
        self.by_key.insert(binding.key.clone(), address);
        self.known.insert(address, Known { key: binding.key.clone(), name: name.clone() });
        let ((name, domain), ends) = (name, ends(binding.expires(), (wall(), Instant::now())));
        self.orders.give_for_later(Order::LeaseGiven(Lease { address, name, domain, ends }));
    }

    /// By what names are told apart: with their domains, where machines may share one name in several.
    fn unique(&self, (name, domain): &(Name, Option<Name>)) -> (Name, Option<Name>) {
        (name.clone(), domain.clone().filter(|_| self.dhcp.manners.names_with_domains))
    }

    fn ended(&mut self, address: Ipv4Addr) {
        self.forget(address);
        self.orders.give_for_later(Order::LeaseEnded(address));
    }

    /// Returns whether it had a name.
    fn forget(&mut self, address: Ipv4Addr) -> bool {
        let Some(Known { key, name }) = self.known.remove(&address) else { return false };
        if self.by_key.get(&key) == Some(&address) {
            self.by_key.remove(&key);
        }
        let name = self.unique(&name);
        if self.by_name.get(&name) == Some(&address) {
            self.by_name.remove(&name);
        }
        true
    }
}

/// When a lease ends, by the clock that only runs.
fn ends(expiry: Expiry, (wall, running): (UnixSecs, Instant)) -> Option<Instant> {
    match expiry {
        Expiry::Never => None,
        Expiry::At(end) => running.checked_add(Duration::from_secs(end.0.saturating_sub(wall.0))),
    }
}

fn wall() -> UnixSecs {
    UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use config::{Config, Dhcp};
    use leases::{Binding, State};
    use mac::Mac;

    use super::*;
    use crate::dhcp::About;

    fn record(client: u8, last: u8, name: Option<&str>) -> Record {
        let mac = Mac([2, 0, 0, 0, 0, client]);
        let hostname = name.map(str::to_owned);
        let (key, granted) = (ClientKey::Mac(mac), wall());
        let binding = Binding { key, mac, client_id: None, hostname, granted, lease_secs: 3600 };
        Record { address: address(last), state: State::Bound(binding) }
    }

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 1, last)
    }

    fn names() -> (Names, Orders) {
        let text = "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\n[dhcp]\ndomain = \"lan\"\n";
        let around = config::ThisHost { interfaces: Vec::new };
        let Config { dhcp, .. } =
            config::load_text(Some(&config::TextFile::new("test", text)), &config::Flags::default(), &around)
                .unwrap()
                .config;
        let dhcp: Dhcp = dhcp.expect("it is on");
        let orders = Orders::default();
        (Names::new(orders.clone(), dhcp), orders)
    }

    fn given(record: Record, renewal: bool) -> LeaseChange {
        LeaseChange::Given {
            record,
            renewal,
            about: Box::new(About { domain: Some("lan".into()), ..About::default() }),
        }
    }

    /// What the service is told, in words.
    fn told(orders: &Orders) -> Vec<String> {
        let word = |order| match order {
            Order::LeaseGiven(Lease { address, name, domain, ends }) => {
                assert!(ends.is_some());
                format!("{name}.{} {address}", domain.expect("it has one"))
            }
            Order::LeaseEnded(address) => format!("- {address}"),
            Order::Watch(address) => format!("watch {address}"),
            _ => unreachable!("nothing else is about leases"),
        };
        orders.take().into_iter().map(word).collect()
    }

    #[test]
    fn leases_that_are_known_have_the_domain_of_their_range() {
        let (mut names, orders) = names();
        names.take(LeaseChange::Known(vec![
            record(1, 7, Some("Box")),
            record(2, 8, None),
            record(3, 9, Some("no.label")),
        ]));
        assert_eq!(told(&orders), ["box.lan 10.0.1.7"]);
    }

    #[test]
    fn a_name_is_one_machines_and_a_machine_has_one_address() {
        let (mut names, orders) = names();
        names.take(given(record(1, 7, Some("box")), false));
        assert_eq!(told(&orders), ["box.lan 10.0.1.7", "watch 10.0.1.7"]);
        names.take(given(record(1, 7, Some("box")), true));
        assert_eq!(told(&orders), ["box.lan 10.0.1.7"], "it ends later now");
        names.take(given(record(2, 8, Some("BOX")), true));
        assert_eq!(told(&orders), ["- 10.0.1.7", "box.lan 10.0.1.8"]);
        names.take(given(record(2, 9, Some("box")), true));
        assert_eq!(told(&orders), ["- 10.0.1.8", "box.lan 10.0.1.9"]);
        names.take(given(record(2, 9, None), true));
        assert_eq!(told(&orders), ["- 10.0.1.9"]);
        names.take(LeaseChange::Ended(address(9)));
        names.take(LeaseChange::Elsewhere(address(20)));
        assert_eq!(told(&orders), ["- 10.0.1.9", "watch 10.0.1.20"]);
        assert!(names.by_name.is_empty() && names.by_key.is_empty());
    }
}
