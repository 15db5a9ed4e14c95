//! The leases as dnsmasq keeps them: what its lease file says, and which calls of `dhcp-script` each change is worth.
//!
//! Pure: changes and time in, calls and text out. Changes that come faster than the script runs are joined: it hears
//! how things are when its turn comes, and everything that ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use leases::{Binding, ClientId, ClientKey, Expiry, Record, UnixSecs};
use mac::Mac;
use server::dhcp::{About, LeaseChange};

use super::call::Call;

/// What the script wants to hear.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub has_script: bool,
    /// Of renewals too.
    pub on_renewal: bool,
    /// Of all that a lease file would say: it keeps the leases.
    pub keeps_leases: bool,
    /// `--log-dhcp`, which it is told.
    pub log_dhcp: bool,
    /// The domains of machines of which no request was heard.
    pub domains: Domains,
    /// Two machines may have one name if their domains differ.
    pub names_with_domains: bool,
    /// Where addresses are served.
    pub networks: Vec<(Ipv4Net, String)>,
}

/// The domains of machines by their addresses.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    pub some: Vec<config::DomainOf>,
    pub all: Option<String>,
}

impl Domains {
    fn of(&self, address: Ipv4Addr) -> Option<String> {
        let own = self.some.iter().find(|of| (of.first..=of.last).contains(&address));
        own.map(|of| of.name.clone()).or(self.all.clone())
    }
}

/// A lease, and what the script has yet to hear of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: ClientKey,
    pub mac: Mac,
    pub address: Ipv4Addr,
    pub name: Option<String>,
    /// The name is laid down in the configuration: no other machine takes it.
    pub is_sure: bool,
    pub domain: Option<String>,
    pub client_id: Option<ClientId>,
    pub expires: Expiry,
    pub interface: Option<String>,
    /// What the request said that the script has yet to hear of.
    pub about: Option<Box<About>>,
    /// A name that it has lost.
    pub old_name: Option<String>,
    pending: Option<Pending>,
    /// Which came first.
    serial: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    New,
    Changed,
}

/// Of so many that ended and were not told of yet, as the script hangs, what else their clients said is not kept: they
/// could say much, and often.
const MANY_GONE: usize = 1000;

#[derive(Debug, Default)]
pub struct Book {
    terms: Terms,
    entries: BTreeMap<Ipv4Addr, Entry>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_name: HashMap<String, Ipv4Addr>,
    by_end: BTreeSet<(UnixSecs, Ipv4Addr)>,
    /// Ended, and the script has yet to hear it.
    gone: VecDeque<Entry>,
    /// Those with something that the script has yet to hear; it hears of the newest lease first.
    pending: BTreeSet<(u64, Ipv4Addr)>,
    next_serial: u64,
    /// The lease file says something else by now.
    is_changed: bool,
}

impl Book {
    pub fn new(terms: Terms) -> Book {
        Book { terms, ..Book::default() }
    }

    pub fn take(&mut self, change: LeaseChange, now: UnixSecs) {
        self.expire(now);
        match change {
            LeaseChange::Known(mut records) => {
                // Of two that had one name, the later one has it now.
                records.sort_by_key(|record| record.binding().map(|binding| binding.granted));
                records.into_iter().for_each(|record| self.known(record, now));
            }
            LeaseChange::Given { record, renewal, about } => self.given(&record, renewal, about),
            LeaseChange::Ended(address) => self.end(address),
            LeaseChange::Elsewhere(_) => {}
        }
    }

    /// Ends what has run out. Gives when the next lease does.
    pub fn expire(&mut self, now: UnixSecs) -> Option<UnixSecs> {
        while let Some((end, address)) = self.by_end.first().copied() {
            if end > now {
                return Some(end);
            }
            self.end(address);
        }
        None
    }

    /// SIGHUP: the script hears of every lease again.
    pub fn tell_again(&mut self) {
        for entry in self.entries.values_mut() {
            entry.pending.get_or_insert(Pending::Changed);
        }
        self.pending.extend(self.entries.values().map(|entry| (entry.serial, entry.address)));
    }

    /// The next call of the script, in dnsmasq's order: what ended, names that were lost, what is new or changed.
    pub fn next_call(&mut self, now: UnixSecs) -> Option<Call> {
        if !self.terms.has_script {
            return None;
        }
        if let Some(entry) = self.gone.front_mut() {
            let old_name = entry.old_name.take();
            return match old_name {
                Some(_) => Some(Call::of("old", entry, old_name, &self.terms, now)),
                None => self.gone.pop_front().map(|entry| Call::of("del", &entry, None, &self.terms, now)),
            };
        }
        let lost = self.pending.iter().rev().find(|(_, address)| self.entries[address].old_name.is_some());
        if let Some(entry) = lost.and_then(|(_, address)| self.entries.get_mut(address)) {
            let old_name = entry.old_name.take();
            return Some(Call::of("old", entry, old_name, &self.terms, now));
        }
        while let Some((_, address)) = self.pending.pop_last() {
            let entry = self.entries.get_mut(&address).expect("what is pending is there");
            if let Some(pending) = entry.pending.take() {
                let action = if pending == Pending::New { "add" } else { "old" };
                let call = Call::of(action, entry, None, &self.terms, now);
                entry.about = None;
                return Some(call);
            }
        }
        None
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the lease file says something else since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// The lease file's lines: expiry, MAC, address, name, client identifier; `*` for none.
    pub fn lines(&self) -> String {
        let line = |entry: &Entry| {
            let expires = match entry.expires {
                Expiry::At(end) => end.0,
                Expiry::Never => 0,
            };
            let name = entry.name.as_deref().unwrap_or("*");
            let id = entry.client_id.as_ref().map_or("*".into(), |id| hex(id.octets()));
            format!("{expires} {} {} {name} {id}\n", entry.mac, entry.address)
        };
        self.entries.values().map(line).collect()
    }

    fn known(&mut self, record: Record, now: UnixSecs) {
        let Some(binding) = record.binding() else { return };
        let entry = Entry { pending: Some(Pending::Changed), ..self.entry(record.address, binding) };
        let name = binding.hostname.clone();
        if !record.is_active(now) {
            return;
        }
        let networks = &self.terms.networks;
        let interface = networks.iter().find(|(net, _)| net.contains(&record.address)).map(|(_, name)| name.clone());
        self.put(Entry { interface, ..entry });
        self.name(record.address, name, false);
    }

    /// A lease of a dnsmasq before us that ran out while nobody served: the script hears that it is gone.
    pub fn ran_out(&mut self, record: &Record) {
        let Some(binding) = record.binding() else { return };
        let entry = Entry { name: binding.hostname.clone(), ..self.entry(record.address, binding) };
        self.gone.push_back(entry);
    }

    /// What a lease says by itself, without a name.
    fn entry(&self, address: Ipv4Addr, binding: &Binding) -> Entry {
        Entry {
            key: binding.key.clone(),
            mac: binding.mac,
            address,
            name: None,
            is_sure: false,
            domain: self.terms.domains.of(address),
            client_id: binding.client_id.clone(),
            expires: binding.expires(),
            interface: None,
            about: None,
            old_name: None,
            pending: None,
            serial: 0,
        }
    }

    fn given(&mut self, record: &Record, renewal: bool, about: Box<About>) {
        let Some(binding) = record.binding() else { return };
        let address = record.address;
        if let Some(former) = self.by_key.get(&binding.key).copied().filter(|former| *former != address) {
            self.end(former);
        }
        if self.entries.get(&address).is_some_and(|entry| entry.key != binding.key) {
            self.end(address);
        }
        let former = self.entries.get(&address);
        let Terms { on_renewal, keeps_leases, .. } = self.terms;
        let later = former.is_some_and(|entry| entry.expires != binding.expires());
        let tells_more = former
            .is_some_and(|entry| entry.mac != binding.mac || keeps_leases && entry.client_id != binding.client_id);
        let is_told = !renewal || tells_more || later && (on_renewal || keeps_leases);
        let pending = match former {
            None => Some(Pending::New),
            Some(entry) => entry.pending.or(is_told.then_some(Pending::Changed)),
        };
        let entry = Entry {
            key: binding.key.clone(),
            mac: binding.mac,
            address,
            name: former.and_then(|entry| entry.name.clone()),
            is_sure: former.is_some_and(|entry| entry.is_sure),
            domain: about.domain.clone(),
            client_id: binding.client_id.clone().or_else(|| former.and_then(|entry| entry.client_id.clone())),
            expires: binding.expires(),
            interface: Some(about.interface.clone()),
            old_name: former.and_then(|entry| entry.old_name.clone()),
            // A renewal need not say all that the lease was asked for with.
            about: if renewal { former.and_then(|entry| entry.about.clone()) } else { Some(about.clone()) },
            pending,
            serial: 0,
        };
        self.put(entry);
        self.name(address, binding.hostname.clone(), about.name_is_laid_down);
    }

    /// A lease that was there keeps its place among the others.
    fn put(&mut self, mut entry: Entry) {
        let address = entry.address;
        self.next_serial += 1;
        entry.serial = self.entries.get(&address).map_or(self.next_serial, |former| former.serial);
        if let Some(former) = self.entries.get(&address)
            && let Expiry::At(end) = former.expires
        {
            self.by_end.remove(&(end, address));
        }
        if let Expiry::At(end) = entry.expires {
            self.by_end.insert((end, address));
        }
        // Its domain may be another one by now.
        let key = |entry: &Entry| entry.name.as_deref().map(|name| self.by_name_key(name, entry));
        let (before, after) = (self.entries.get(&address).and_then(key), key(&entry));
        before.and_then(|before| self.by_name.remove(&before));
        after.and_then(|after| self.by_name.insert(after, address));
        if entry.pending.is_some() {
            self.pending.insert((entry.serial, address));
        }
        self.by_key.insert(entry.key.clone(), address);
        self.entries.insert(address, entry);
        self.is_changed = true;
    }

    /// Gives a lease its name. Two machines do not have one name: the earlier one loses it, unless it is laid down for it.
    fn name(&mut self, address: Ipv4Addr, name: Option<String>, is_sure: bool) {
        let Some(name) = name else { return };
        let Some(entry) = self.entries.get(&address) else { return };
        let small = self.by_name_key(&name, entry);
        if let Some(other) = self.by_name.get(&small).copied().filter(|other| *other != address) {
            if self.entries.get(&other).is_some_and(|entry| entry.is_sure) && !is_sure {
                return;
            }
            self.lose_name(other);
        }
        let entry = self.entries.get_mut(&address).expect("it was put there");
        if entry.name.as_deref().is_some_and(|former| former.eq_ignore_ascii_case(&name)) {
            entry.is_sure |= is_sure;
            return;
        }
        self.lose_name(address);
        let entry = self.entries.get_mut(&address).expect("it was put there");
        (entry.name, entry.is_sure) = (Some(name), is_sure);
        entry.pending.get_or_insert(Pending::Changed);
        self.pending.insert((entry.serial, address));
        self.by_name.insert(small, address);
    }

    /// What no two leases have in common.
    fn by_name_key(&self, name: &str, entry: &Entry) -> String {
        let domain = entry.domain.as_deref().filter(|_| self.terms.names_with_domains).unwrap_or_default();
        format!("{name}.{domain}").to_ascii_lowercase()
    }

    fn lose_name(&mut self, address: Ipv4Addr) {
        let Some(entry) = self.entries.get(&address) else { return };
        let key = entry.name.as_deref().map(|name| self.by_name_key(name, entry));
        let entry = self.entries.get_mut(&address).expect("it is there");
        let (Some(name), Some(key)) = (entry.name.take(), key) else { return };
        self.by_name.remove(&key);
        // Of several that it lost before the script could hear of it, the first is the one that the script knows.
        entry.old_name.get_or_insert(name);
        entry.is_sure = false;
        entry.pending.get_or_insert(Pending::Changed);
        self.is_changed = true;
        self.pending.insert((entry.serial, address));
    }

    fn end(&mut self, address: Ipv4Addr) {
        let Some(mut entry) = self.entries.remove(&address) else { return };
        if let Expiry::At(end) = entry.expires {
            self.by_end.remove(&(end, address));
        }
        if let Some(name) = &entry.name {
            let key = self.by_name_key(name, &entry);
            self.by_name.remove(&key);
        }
        self.by_key.remove(&entry.key);
        self.pending.remove(&(entry.serial, address));
        self.is_changed = true;
        if self.terms.has_script {
            entry.pending = None;
            if self.gone.len() >= MANY_GONE {
                entry.about = None;
            }
            self.gone.push_back(entry);
        }
    }
}

/// Octets in hexadecimal with colons between them.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests;
