//! All names that exist here: each with what is known of it, and those above it, which exist because it does.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::Name;
use crate::record::Data;

/// Names without the root.
#[derive(Default)]
pub(super) struct Tree(HashMap<Name, Node>);

/// What is known of a name.
#[derive(Default)]
pub(super) struct Node {
    pub addresses: Addresses,
    /// The lease that has this name.
    pub lease: Option<Ipv4Addr>,
    pub rare: Option<Box<Rare>>,
    /// Names right below it.
    children: u32,
    /// Counts answers, to begin each with another record.
    turn: Cell<u16>,
}

/// What few names have.
#[derive(Default, PartialEq)]
pub(super) struct Rare {
    /// With its TTL.
    pub alias: Option<(Name, u32)>,
    /// All but addresses and aliases, with their TTLs.
    pub records: Vec<(Data, u32)>,
    /// Addresses of interfaces now. If there is a list, addresses laid down do not count.
    pub interfaces: Option<Vec<IpAddr>>,
}

/// An address that is laid down for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Laid {
    pub address: IpAddr,
    pub ttl: u32,
    pub origin: FileNumber,
}

/// Where something is laid down: 0 is the configuration, all others are hosts files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileNumber(pub u32);

/// Most names have one address: no memory of its own is needed for it.
#[derive(Default)]
pub(super) enum Addresses {
    #[default]
    None,
    One(Laid),
    Many(Vec<Laid>),
}

impl Addresses {
    pub fn as_slice(&self) -> &[Laid] {
        match self {
            Addresses::None => &[],
            Addresses::One(one) => std::slice::from_ref(one),
            Addresses::Many(many) => many,
        }
    }

    /// Adds it unless the same address is there.
    pub fn add(&mut self, laid: Laid) {
        match self {
            Addresses::None => *self = Addresses::One(laid),
            Addresses::One(one) if one.address != laid.address => *self = Addresses::Many(vec![*one, laid]),
            Addresses::Many(many) if many.iter().all(|other| other.address != laid.address) => many.push(laid),
            Addresses::One(_) | Addresses::Many(_) => {}
        }
    }
}

impl Node {
    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub fn alias(&self) -> Option<&(Name, u32)> {
        self.rare.as_ref()?.alias.as_ref()
    }

    pub fn records(&self) -> &[(Data, u32)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.records)
    }

    pub fn interfaces(&self) -> Option<&[IpAddr]> {
        self.rare.as_ref()?.interfaces.as_deref()
    }

    /// Whether leases cannot have this name: it leads elsewhere already.
    pub fn is_taken(&self) -> bool {
        let has_v4 = || self.addresses.as_slice().iter().any(|laid| laid.address.is_ipv4());
        self.alias().is_some() || self.interfaces().is_some() || has_v4()
    }

    /// Another number for each answer.
    pub fn next_turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1)).into()
    }

    fn is_bare(&self) -> bool {
        self.children == 0
            && self.lease.is_none()
            && self.addresses.as_slice().is_empty()
            && self.rare.as_ref().is_none_or(|rare| **rare == Rare::default())
    }
}

impl Tree {
    pub fn with_room_for(names: usize) -> Tree {
        Tree(HashMap::with_capacity(names))
    }

    /// `name`: wire form in lower case.
    pub fn get(&self, name: &[u8]) -> Option<&Node> {
        self.0.get(name)
    }

    /// Changes what is known of a name, which comes into being for it, and goes when nothing is known any more.
    pub fn change(&mut self, name: &Name, change: impl FnOnce(&mut Node)) {
        if !self.0.contains_key(name.as_wire()) {
            self.plant(name);
        }
        let node = self.0.get_mut(name.as_wire()).expect("what was planted is there");
        change(node);
        if node.is_bare() {
            self.prune(name);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn plant(&mut self, name: &Name) {
        self.0.insert(name.clone(), Node::default());
        for above in above(name) {
            if let Some(node) = self.0.get_mut(above) {
                node.children += 1;
                return;
            }
            let name = Name::from_wire(above).expect("the end of a name is a name");
            self.0.insert(name, Node { children: 1, ..Node::default() });
        }
    }

    fn prune(&mut self, name: &Name) {
        self.0.remove(name.as_wire());
        for above in above(name) {
            let node = self.0.get_mut(above).expect("names above others are there");
            node.children -= 1;
            if !node.is_bare() {
                return;
            }
            self.0.remove(above);
        }
    }
}

/// The names above one, without the root.
fn above(name: &Name) -> impl Iterator<Item = &[u8]> {
    name.suffixes().skip(1).filter(|wire| wire.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_above_live_as_long_as_those_below() {
        let (a, b) = ("a.b.lan".parse::<Name>().unwrap(), "b.lan".parse::<Name>().unwrap());
        let mut tree = Tree::default();
        tree.change(&a, |node| node.lease = Some([10, 0, 0, 1].into()));
        assert_eq!(tree.len(), 3);
        tree.change(&b, |node| node.rare_mut().alias = Some((a.clone(), 0)));
        tree.change(&a, |node| node.lease = None);
        assert!(tree.get(a.as_wire()).is_none() && tree.len() == 2);
        tree.change(&b, |node| node.rare_mut().alias = None);
        assert_eq!(tree.len(), 0);
    }
}
