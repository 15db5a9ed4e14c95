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
    known: HashMap<Ipv4Addr, Known>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_name: HashMap<(Name, Option<Name>), Ipv4Addr>,
}

struct Known {
    key: ClientKey,
    name: Option<(Name, Option<Name>)>,
}

impl Names {
    pub fn new(orders: Orders, dhcp: config::Dhcp) -> Names {
        Names { orders, dhcp, known: HashMap::new(), by_key: HashMap::new(), by_name: HashMap::new() }
    }

    pub fn take(&mut self, change: LeaseChange) {
        let now = (wall(), Instant::now());
        match change {
            LeaseChange::Known(mut records) => {
                records.retain(|record| record.is_active(now.0));
                // Of two that had one name, the later one has it now.
                records.sort_by_key(|record| record.binding().map(|binding| binding.granted));
                for record in records {
                    let domain = self.dhcp.domain_of(record.address).map(str::to_owned);
                    self.given(&record, domain, now);
                }
            }
            LeaseChange::Given { record, renewal, about } => {
                self.given(&record, about.domain, now);
                if !renewal {
                    self.orders.give(Order::Watch(record.address.into()));
                }
            }
            LeaseChange::Ended(address) => self.ended(address),
            LeaseChange::Elsewhere(address) => self.orders.give(Order::Watch(address.into())),
        }
    }

    fn given(&mut self, record: &Record, domain: Option<String>, now: (UnixSecs, Instant)) {
        let (Some(binding), address) = (record.binding(), record.address) else { return };
        let domain = domain.and_then(|domain| domain.parse::<Name>().ok());
        let name = binding.hostname.as_deref().and_then(|name| name.parse::<Name>().ok()).filter(Name::is_plain);
        let name = name.map(|name| (name, domain));
        let former = self.by_key.get(&binding.key).copied().filter(|former| *former != address);
        former.into_iter().for_each(|former| self.ended(former));
        let rival = name.as_ref().and_then(|name| self.by_name.get(&self.unique(name)).copied());
        rival.into_iter().filter(|rival| *rival != address).for_each(|rival| self.loses_name(rival));
        let is_unnamed = name.is_none() && self.known.get(&address).is_some_and(|known| known.name.is_some());
        self.forget(address);
        if let Some(name) = &name {
            self.by_name.insert(self.unique(name), address);
        }
        self.by_key.insert(binding.key.clone(), address);
        self.known.insert(address, Known { key: binding.key.clone(), name: name.clone() });
        match name {
            Some((name, domain)) => {
                let ends = ends(binding.expires(), now);
                self.orders.give(Order::LeaseGiven(Lease { address, name, domain, ends }));
            }
            None if is_unnamed => self.orders.give(Order::LeaseEnded(address)),
            None => {}
        }
    }

    /// By what names are told apart: with their domains, where machines may share one name in several.
    fn unique(&self, (name, domain): &(Name, Option<Name>)) -> (Name, Option<Name>) {
        (name.clone(), domain.clone().filter(|_| self.dhcp.manners.names_with_domains))
    }

    fn ended(&mut self, address: Ipv4Addr) {
        self.forget(address);
        self.orders.give(Order::LeaseEnded(address));
    }

    fn loses_name(&mut self, address: Ipv4Addr) {
        if let Some(known) = self.known.get_mut(&address) {
            known.name = None;
        }
        self.orders.give(Order::LeaseEnded(address));
    }

    fn forget(&mut self, address: Ipv4Addr) {
        let Some(Known { key, name }) = self.known.remove(&address) else { return };
        if self.by_key.get(&key) == Some(&address) {
            self.by_key.remove(&key);
        }
        if let Some(name) = name.map(|name| self.unique(&name)).filter(|name| self.by_name.get(name) == Some(&address))
        {
            self.by_name.remove(&name);
        }
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
