//! Finding the records of an answer.

use std::net::{IpAddr, Ipv4Addr};

use super::leases::Held;
use super::tree::{FileNumber, Laid, Node};
use super::{Found, Known, Names, Origin, Told, View, synth};
use crate::record::{Data, Said};
use crate::{Name, Rtype};

/// Aliases that lead further than this lead nowhere.
const MAX_ALIASES: usize = 16;

pub(super) fn look_up<'n>(
    names: &'n Names,
    name: &[u8],
    kind: Rtype,
    view: &View,
    tell: impl FnMut(Told<'_>),
) -> Found<'n> {
    let mut answer = Answer { names, kind, view, tell, told: false };
    let mut node = names.tree.get(name);
    let mut led_to: Option<&Name> = None;
    for _ in 0..MAX_ALIASES {
        let Some((target, ttl)) = node.and_then(Node::alias) else { break };
        answer.tell(led_to.map_or(name, Name::as_wire), *ttl, Said::Cname(target), Origin::Configuration);
        if kind == Rtype::CNAME {
            return Found::Told;
        }
        led_to = Some(target);
        node = names.tree.get(target.as_wire());
    }
    answer.everything(led_to.map_or(name, Name::as_wire), node);
    match led_to {
        Some(target) if node.is_none() && !names.is_made(target.as_wire()) => Found::LeadsTo(target),
        _ if answer.told => Found::Told,
        _ if node.is_some() || names.is_made(name) => Found::NoData,
        _ => Found::Unknown,
    }
}

/// An answer in the making.
struct Answer<'a, T> {
    names: &'a Names,
    kind: Rtype,
    view: &'a View,
    tell: T,
    told: bool,
}

impl<'a, T: FnMut(Told<'_>)> Answer<'a, T> {
    fn tell(&mut self, owner: &[u8], ttl: u32, says: Said<'_>, origin: Origin<'_>) {
        self.told = true;
        (self.tell)(Told { additional: false, owner, ttl, says, origin });
    }

    fn wants(&self, kind: Rtype) -> bool {
        self.kind == kind || self.kind == Rtype::ANY
    }

    /// All that a name has of the wanted kind; `node` is what is known of it.
    fn everything(&mut self, owner: &[u8], node: Option<&'a Node>) {
        if self.wants(Rtype::PTR) && self.pointers(owner, node) {
            return;
        }
        for (kind, v4) in [(Rtype::A, true), (Rtype::AAAA, false)] {
            if self.wants(kind) {
                self.addresses(owner, node, v4);
            }
        }
        let Some(node) = node else { return };
        if self.wants(Rtype::MX) {
            self.mail(owner, node);
        }
        if !node.records().is_empty() {
            self.records(owner, node);
        }
    }

    /// What an address is known by. Whether that is all: nothing else is known of the names of addresses.
    fn pointers(&mut self, owner: &[u8], node: Option<&'a Node>) -> bool {
        let Some(address) = Name::address_of(owner) else { return false };
        let names = self.names;
        let of_interface = names.interfaces.name(address);
        if of_interface.is_none() && node.is_some_and(|node| node.records().iter().any(is_pointer)) {
            return false;
        }
        let (local_ttl, configured) = (names.local.ttl, Origin::Configuration);
        if let Some(name) = of_interface {
            self.tell(owner, local_ttl, Said::Ptr(name), configured);
        } else if let Some((name, from)) = names.name_of(address) {
            let (ttl, origin) = match from {
                From::Laid(known) => (known.ttl, names.origin(known.origin)),
                From::Lease(held) => (names.lease_ttl(held, self.view), Origin::Lease),
            };
            self.tell(owner, ttl, Said::Ptr(name), origin);
        } else if let Some(name) = synth::name(&names.local.synth, address) {
            self.tell(owner, local_ttl, Said::Ptr(&name), configured);
        }
        self.kind == Rtype::PTR
    }

    fn addresses(&mut self, owner: &[u8], node: Option<&'a Node>, v4: bool) {
        let names = self.names;
        let any = node.is_some_and(|node| {
            names.addresses_of(node, v4, self.view, |laid, origin| {
                self.told = true;
                (self.tell)(Told {
                    additional: false,
                    owner,
                    ttl: laid.ttl,
                    says: Said::Address(laid.address),
                    origin,
                });
            })
        });
        let made_of = || synth::address(&names.local.synth, owner).filter(|address| address.is_ipv4() == v4);
        if !any && let Some(address) = made_of() {
            self.tell(owner, names.local.ttl, Said::Address(address), Origin::Configuration);
        }
    }

    /// What is laid down besides addresses and aliases.
    fn records(&mut self, owner: &[u8], node: &'a Node) {
        let kind = self.kind;
        let wanted = move |(data, _): &&(Data, u32)| kind == data.kind() || kind == Rtype::ANY;
        let records = node.records().iter().filter(wanted);
        // One service after the other comes first, like one address after the other.
        let count = if kind == Rtype::SRV { records.clone().count() } else { 0 };
        for (data, ttl) in turned(records.clone(), self.names.turn(node, count)) {
            self.tell(owner, *ttl, Said::Data(data), Origin::Configuration);
        }
        self.additional(records.map(|(data, _)| data));
    }

    /// The addresses of machines that records lead to, each machine's once.
    fn additional(&mut self, records: impl Iterator<Item = &'a Data>) {
        let mut seen: Vec<&Name> = Vec::new();
        for target in records.filter_map(Data::target) {
            let Some(node) = self.names.tree.get(target.as_wire()).filter(|_| !seen.contains(&target)) else {
                continue;
            };
            seen.push(target);
            for v4 in [true, false] {
                self.names.addresses_of(node, v4, self.view, |laid, origin| {
                    let says = Said::Address(laid.address);
                    (self.tell)(Told { additional: true, owner: target.as_wire(), ttl: laid.ttl, says, origin });
                });
            }
        }
    }

    /// MX records of machines that have none.
    fn mail(&mut self, owner: &[u8], node: &Node) {
        let local = &self.names.local;
        let is_machine = !node.addresses.as_slice().is_empty() || self.names.lease_of(node).is_some();
        let has_own = node.records().iter().any(|(data, _)| data.kind() == Rtype::MX);
        let target = match &local.mx.target {
            _ if local.mx.to_itself => Name::from_wire(owner).ok(),
            target => target.clone().filter(|_| local.mx.to_target),
        };
        if let Some(target) = target.filter(|_| is_machine && !has_own) {
            let mail = Data::Mx { preference: 1, target };
            self.tell(owner, local.ttl, Said::Data(&mail), Origin::Configuration);
        }
    }
}

/// Why an address has its name.
pub(super) enum From<'a> {
    Laid(&'a Known),
    Lease(&'a Held),
}

impl Names {
    /// What an address is known by, unless it is made out of the address.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<(&Name, From<'_>)> {
        if let Some(known) = self.by_address.get(&address) {
            return Some((&known.name, From::Laid(known)));
        }
        let IpAddr::V4(address) = address else { return None };
        let held = self.leases.get(address)?;
        let is_free = |name: &&Name| self.tree.get(name.as_wire()).is_none_or(|node| !node.is_taken());
        Some((held.names().find(is_free)?, From::Lease(held)))
    }

    /// Tells the addresses of a name of one family; whether there are any.
    fn addresses_of(&self, node: &Node, v4: bool, view: &View, tell: impl FnMut(Laid, Origin<'_>)) -> bool {
        match node.interfaces() {
            Some(addresses) => {
                let laid = |&address| Laid { address, ttl: self.local.ttl, origin: FileNumber(0) };
                self.tell_turned(node, addresses.iter().map(laid), v4, view, tell)
            }
            None if v4 && !node.is_taken() => self.tell_lease(node, view, tell),
            None => self.tell_turned(node, node.addresses.as_slice().iter().copied(), v4, view, tell),
        }
    }

    fn tell_turned(
        &self,
        node: &Node,
        all: impl Iterator<Item = Laid> + Clone,
        v4: bool,
        view: &View,
        mut tell: impl FnMut(Laid, Origin<'_>),
    ) -> bool {
        let of_family = all.filter(|laid| laid.address.is_ipv4() == v4);
        let subnet = self.local.localise.then(|| self.interfaces.subnet(view)).flatten();
        let is_near = |laid: &Laid| matches!((laid.address, subnet), (IpAddr::V4(v4), Some(net)) if net.contains(&v4));
        let near_alone = of_family.clone().any(|laid| is_near(&laid));
        let told = of_family.filter(|laid| !near_alone || is_near(laid));
        let count = told.clone().count();
        turned(told, self.turn(node, count)).for_each(|laid| tell(laid, self.origin(laid.origin)));
        count > 0
    }

    fn tell_lease(&self, node: &Node, view: &View, mut tell: impl FnMut(Laid, Origin<'_>)) -> bool {
        let Some((address, held)) = self.lease_of(node) else { return false };
        let laid = Laid { address: address.into(), ttl: self.lease_ttl(held, view), origin: FileNumber(0) };
        tell(laid, Origin::Lease);
        true
    }

    /// The lease that a name has, unless the name leads elsewhere, or the address has another name.
    fn lease_of(&self, node: &Node) -> Option<(Ipv4Addr, &Held)> {
        let address =
            node.lease.filter(|address| !node.is_taken() && !self.by_address.contains_key(&(*address).into()))?;
        self.leases.get(address).map(|held| (address, held))
    }

    /// No longer than the lease lasts.
    fn lease_ttl(&self, held: &Held, view: &View) -> u32 {
        let usual = self.local.lease_ttl.unwrap_or(self.local.ttl);
        let left = held.ends().map(|ends| ends.saturating_duration_since(view.now).as_secs());
        left.map_or(usual, |left| usual.min(left.try_into().unwrap_or(u32::MAX)))
    }

    fn turn(&self, node: &Node, count: usize) -> usize {
        if count < 2 || self.local.keep_order { 0 } else { node.next_turn() % count }
    }
}

/// Begins with the one at `start`; those before it come last.
fn turned<I: Iterator + Clone>(all: I, start: usize) -> impl Iterator<Item = I::Item> {
    all.clone().skip(start).chain(all.take(start))
}

fn is_pointer((data, _): &(Data, u32)) -> bool {
    data.kind() == Rtype::PTR
}
