//! Names that are known here: laid down, from hosts files, and of leases.
//!
//! What is laid down comes before hosts files, these before leases, and these before names made out of addresses; names of
//! interfaces come before all. An address in hosts files is known by the first name that it has there; one that is laid
//! down, by a PTR record that is laid down as well.

pub mod chaos;
mod interfaces;
mod leases;
mod look_up;
mod synth;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use crate::hosts::{self, Fault};
use crate::lookups::Source;
use crate::record::{Data, Record, Said};
use crate::resolver::Interface;
use crate::settings::Local;
use crate::{Name, Rtype};
use interfaces::Interfaces;
use leases::Leases;
use tree::{FileNumber, Laid, Tree};

/// A machine's name for as long as it has its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    /// One label.
    pub name: Name,
    /// `None`: by [`Local::domains`].
    pub domain: Option<Name>,
    /// `None`: never.
    pub ends: Option<Instant>,
}

/// From where something is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub now: Instant,
    /// Our address that was asked.
    pub local: IpAddr,
    /// The kernel's number of the interface that the query came by; 0: not known.
    pub interface: u32,
}

/// A record of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// It belongs to the additional section; those come last.
    pub additional: bool,
    /// In wire form in lower case.
    pub owner: &'a [u8],
    /// In seconds.
    pub ttl: u32,
    pub says: Said<'a>,
    pub origin: Origin<'a>,
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    Configuration,
    Lease,
    /// The path of a hosts file.
    Hosts(&'a str),
}

impl From<Origin<'_>> for Source {
    fn from(origin: Origin<'_>) -> Source {
        match origin {
            Origin::Configuration => Source::Configuration,
            Origin::Lease => Source::Lease,
            Origin::Hosts(path) => Source::Hosts(path.to_owned()),
        }
    }
}

/// What came of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The answer has been told, and is whole and authoritative.
    Told,
    /// Aliases have been told, the last of which leads to this name, of which nothing is known here. They are the answer
    /// as they are, unless the cache knows more of it.
    LeadsTo(&'a Name),
    /// The name exists here, but without such records. An upstream server may know some; where it says that there is no
    /// such name, or none is asked, the answer is empty (NODATA).
    NoData,
    /// No name of ours.
    Unknown,
}

/// All of them.
pub struct Names {
    local: Local,
    files: Vec<hosts::File>,
    tree: Tree,
    by_address: HashMap<IpAddr, Known>,
    interfaces: Interfaces,
    leases: Leases,
}

/// What an address is known by.
struct Known {
    name: Name,
    ttl: u32,
    origin: FileNumber,
}

impl Names {
    pub fn new(local: Local) -> Names {
        let mut names = Names {
            local,
            files: Vec::new(),
            tree: Tree::default(),
            by_address: HashMap::new(),
            interfaces: Interfaces::default(),
            leases: Leases::default(),
        };
        names.rebuild();
        names
    }

    /// Takes other settings; hosts files, interfaces and leases stay.
    pub fn reconfigure(&mut self, local: Local) {
        if self.local != local {
            self.local = local;
            self.rebuild();
        }
    }

    /// The hosts files as they are now, in the order in which they count. Returns what is
    /// wrong in them, with the path.
    pub fn set_hosts(&mut self, files: Vec<hosts::File>) -> Vec<(String, Fault)> {
        self.files = files;
        self.rebuild()
    }

    /// Our interfaces as they are now.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.interfaces.set(interfaces);
        self.interfaces.tell(&self.local, &mut self.tree);
    }

    /// A lease was given; it takes the place of what was known of its address, and its name from whoever had it.
    pub fn lease_given(&mut self, lease: Lease) {
        self.leases.give(&self.local, lease, &mut self.tree);
    }

    pub fn lease_ended(&mut self, address: Ipv4Addr) {
        self.leases.end(address, &mut self.tree);
    }

    /// Whether this name (wire form in lower case) or one below it is known here: it is not said not to exist.
    pub fn exists(&mut self, now: Instant, name: &[u8]) -> bool {
        self.leases.advance(now, &mut self.tree);
        self.tree.get(name).is_some() || self.is_made(name)
    }

    /// Looks up records of class IN. `name`: wire form in lower case. `tell` gets the records of the answer.
    pub fn look_up(&mut self, name: &[u8], kind: Rtype, view: &View, tell: impl FnMut(Told<'_>)) -> Found<'_> {
        self.leases.advance(view.now, &mut self.tree);
        look_up::look_up(self, name, kind, view, tell)
    }

    /// Whether a name exists that is not in the tree: one made out of an address, or an address's own.
    fn is_made(&self, name: &[u8]) -> bool {
        synth::address(&self.local.synth, name).is_some()
            || Name::address_of(name).is_some_and(|address| self.is_known(address))
    }

    fn is_known(&self, address: IpAddr) -> bool {
        self.name_of(address).is_some()
            || self.interfaces.name(address).is_some()
            || synth::name(&self.local.synth, address).is_some()
    }

    /// Makes all of it anew.
    fn rebuild(&mut self) -> Vec<(String, Fault)> {
        let parsed: Vec<_> = self.files.iter_mut().map(hosts::File::take).collect();
        self.tree = Tree::with_room_for(parsed.iter().map(|(lines, _)| lines.len()).sum());
        self.by_address = HashMap::new();
        let records = std::mem::take(&mut self.local.records);
        // Addresses come first: PTR records that lead back to them are what they are known by.
        let (back, forth): (Vec<&Record>, Vec<&Record>) =
            records.iter().partition(|record| matches!(record.data, Data::Ptr(_)));
        forth.into_iter().chain(back).for_each(|record| self.lay_down(record));
        self.local.records = records;
        let mut faults = Vec::new();
        for (at, (lines, wrong)) in parsed.into_iter().enumerate() {
            let file = FileNumber(at as u32 + 1);
            lines.iter().for_each(|line| self.lay_down_host(line, file));
            faults.extend(wrong.into_iter().map(|fault| (self.files[at].path.clone(), fault)));
        }
        self.interfaces.tell(&self.local, &mut self.tree);
        for lease in std::mem::take(&mut self.leases).into_leases() {
            self.lease_given(lease);
        }
        faults
    }

    fn lay_down(&mut self, record: &Record) {
        let ttl = record.ttl.unwrap_or(self.local.ttl);
        let laid = |address| Laid { address, ttl, origin: FileNumber(0) };
        let name = &record.name;
        match &record.data {
            Data::A(v4) => self.tree.change(name, |node| node.addresses.add(laid((*v4).into()))),
            Data::Aaaa(v6) => self.tree.change(name, |node| node.addresses.add(laid((*v6).into()))),
            Data::Cname(target) => self.tree.change(name, |node| {
                node.rare_mut().alias.get_or_insert_with(|| (target.clone(), ttl));
            }),
            data => match self.address_led_back_to(record) {
                Some((address, target)) => {
                    let known = || Known { name: target.clone(), ttl, origin: FileNumber(0) };
                    self.by_address.entry(address).or_insert_with(known);
                }
                None => self.tree.change(name, |node| node.rare_mut().records.push((data.clone(), ttl))),
            },
        }
    }

    /// Of a PTR record that leads from an address to a name with this address: the address and the name.
    fn address_led_back_to<'r>(&self, record: &'r Record) -> Option<(IpAddr, &'r Name)> {
        let Data::Ptr(target) = &record.data else { return None };
        let address = Name::address_of(record.name.as_wire())?;
        let laid = self.tree.get(target.as_wire())?.addresses.as_slice();
        laid.iter().any(|laid| laid.address == address).then_some((address, target))
    }

    fn lay_down_host(&mut self, line: &hosts::Line, file: FileNumber) {
        for name in &line.names {
            let domain = self.local.domains.of(line.address).filter(|_| self.local.expand_hosts && name.is_plain());
            if let Some(full) = domain.and_then(|domain| name.below(domain).ok()) {
                self.lay_down_address(&full, line.address, self.local.ttl, file);
            }
            self.lay_down_address(name, line.address, self.local.ttl, file);
        }
    }

    fn lay_down_address(&mut self, name: &Name, address: IpAddr, ttl: u32, origin: FileNumber) {
        self.tree.change(name, |node| node.addresses.add(Laid { address, ttl, origin }));
        self.by_address.entry(address).or_insert_with(|| Known { name: name.clone(), ttl, origin });
    }

    fn origin(&self, number: FileNumber) -> Origin<'_> {
        let file = (number.0 as usize).checked_sub(1).and_then(|at| self.files.get(at));
        file.map_or(Origin::Configuration, |file| Origin::Hosts(&file.path))
    }
}
