//! What the configuration lays down for single machines (`dhcp-host`, `[[machine]]`), and which of it a request gets.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use mac::Mac;

use crate::matching::{HardwarePattern, Met, Tag, TagExpr, Tags};

/// What is laid down for one machine, or for all that match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Any of these.
    pub hardware: Vec<HardwarePattern>,
    pub client_id: Option<IdPattern>,
    /// Tags that a request must have for this to count.
    pub when: TagExpr,
    /// Tags that a request gets.
    pub set: Vec<Tag>,
    pub address: Option<Ipv4Addr>,
    /// Option 12. Without hardware and client identifier it also says who is meant: who calls itself so. Others may call
    /// themselves what they like: a name proves nothing.
    pub name: Option<String>,
    /// `u32::MAX`: for ever. `None`: as its range says.
    pub lease_secs: Option<u32>,
    /// No answer, ever.
    pub ignore: bool,
}

impl Host {
    /// Whether this very MAC is among several that share what is laid down, such as the two cards of one laptop.
    pub fn names(&self, mac: &Mac) -> bool {
        self.hardware.iter().any(|hardware| hardware.mac().as_ref() == Some(mac))
    }
}

/// Who a client says it is (option 61).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdPattern {
    /// Whatever it says does not count, only its hardware address.
    Ignored,
    /// `None`: any octet.
    Octets(Vec<Option<u8>>),
}

impl IdPattern {
    pub fn matches(&self, id: &[u8]) -> bool {
        let fits = |(octet, wanted): (&u8, &Option<u8>)| wanted.is_none_or(|wanted| wanted == *octet);
        match self {
            IdPattern::Ignored => false,
            IdPattern::Octets(octets) => {
                // Text travels behind a type octet of 0 (RFC 2132 section 9.14).
                let same = |id: &[u8]| octets.len() == id.len() && id.iter().zip(octets).all(fits);
                same(id) || id.strip_prefix(&[0]).is_some_and(same)
            }
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// ARP hardware type and address.
    pub hardware: (u8, &'a [u8]),
    /// Option 61.
    pub client_id: Option<&'a [u8]>,
    /// What it calls itself, without a domain.
    pub name: Option<&'a str>,
}

/// All hosts, found by MAC, name or address without a walk through them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hosts {
    list: Vec<Arc<Host>>,
    by_mac: HashMap<Mac, Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
    by_address: HashMap<Ipv4Addr, usize>,
    /// Those with a client identifier, and those with wildcards or other hardware than Ethernet.
    by_id: Vec<usize>,
    by_pattern: Vec<usize>,
}

impl Hosts {
    /// In the order in which they stand in the configuration.
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Hosts {
        let mut all = Hosts::default();
        hosts.into_iter().for_each(|host| all.push(host));
        all
    }

    fn push(&mut self, host: Host) {
        let at = self.list.len();
        for hardware in &host.hardware {
            match hardware.mac() {
                Some(mac) => self.by_mac.entry(mac).or_default().push(at),
                None => self.by_pattern.push(at),
            }
        }
        if matches!(host.client_id, Some(IdPattern::Octets(_))) {
            self.by_id.push(at);
        }
        if let Some(name) = host.name.as_ref().filter(|_| host.hardware.is_empty() && host.client_id.is_none()) {
            self.by_name.entry(name.to_ascii_lowercase()).or_default().push(at);
        }
        if let Some(address) = host.address {
            self.by_address.entry(address).or_insert(at);
        }
        self.list.push(Arc::new(host));
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.list.iter().map(Arc::as_ref)
    }

    /// The one that has this address to itself.
    pub fn at(&self, address: Ipv4Addr) -> Option<&Host> {
        self.by_address.get(&address).map(|at| self.list[*at].as_ref())
    }

    /// All addresses that are kept for somebody.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.by_address.keys().copied()
    }

    /// What is laid down for `who`: by client identifier, by hardware address or by the closest wildcards, in this order,
    /// and if nothing is, by name; of several the first. Those that ask for tags come before those that do not.
    ///
    /// `fits`: whether an address that a host is to have can be given where the request comes from.
    pub fn find(&self, who: Who<'_>, tags: &Tags, fits: impl Fn(Ipv4Addr) -> bool) -> Option<Arc<Host>> {
        let fits = |host: &Host| host.address.is_none_or(&fits);
        let with_tags = |host: &Host| fits(host) && host.when.met(tags).is_some_and(|met| met > Met::Always);
        let without = |host: &Host| fits(host) && host.when.is_empty();
        let is = |admits: &dyn Fn(&Host) -> bool| self.search(who, admits);
        let named = |admits: &dyn Fn(&Host) -> bool| self.named(who, admits);
        is(&with_tags).or_else(|| is(&without)).or_else(|| named(&with_tags)).or_else(|| named(&without)).cloned()
    }

    fn named(&self, who: Who<'_>, admits: &dyn Fn(&Host) -> bool) -> Option<&Arc<Host>> {
        let places = self.by_name.get(&who.name?.to_ascii_lowercase())?;
        places.iter().map(|at| &self.list[*at]).find(|host| admits(host))
    }

    fn search(&self, who: Who<'_>, admits: &dyn Fn(&Host) -> bool) -> Option<&Arc<Host>> {
        let first = |places: &[usize], test: &dyn Fn(&Host) -> bool| {
            places.iter().map(|at| &self.list[*at]).find(|host| admits(host) && test(host))
        };
        let by_id = || {
            let id = who.client_id?;
            first(&self.by_id, &|host| host.client_id.as_ref().is_some_and(|pattern| pattern.matches(id)))
        };
        let by_mac = || {
            let mac = Mac(who.hardware.1.try_into().ok()?);
            first(self.by_mac.get(&mac)?, &|host| host.hardware.iter().any(|it| it.matches(who.hardware.0, &mac.0)))
        };
        by_id().or_else(by_mac).or_else(|| self.closest(who, admits))
    }

    fn closest(&self, who: Who<'_>, admits: &dyn Fn(&Host) -> bool) -> Option<&Arc<Host>> {
        let wildcards = |host: &Host| {
            let matching = host.hardware.iter().filter(|pattern| pattern.matches(who.hardware.0, who.hardware.1));
            matching.map(HardwarePattern::wildcards).min()
        };
        let met = self.by_pattern.iter().map(|at| &self.list[*at]).filter(|host| admits(host));
        met.filter_map(|host| Some((wildcards(host)?, host))).min_by_key(|(open, _)| *open).map(|(_, host)| host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHERNET: u8 = 1;
    const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

    fn named(name: &str, hardware: &[&str]) -> Host {
        let hardware = hardware.iter().map(|text| text.parse().unwrap()).collect();
        Host { hardware, name: Some(name.into()), ..Host::default() }
    }

    fn found(hosts: Vec<Host>, who: Who<'_>, tags: &[&str]) -> Option<String> {
        let tags = tags.iter().copied().collect();
        Hosts::new(hosts).find(who, &tags, |address| address != Ipv4Addr::new(10, 9, 9, 9))?.name.clone()
    }

    fn who<'a>(client_id: Option<&'a [u8]>, name: Option<&'a str>) -> Who<'a> {
        Who { hardware: (ETHERNET, &MAC), client_id, name }
    }

    #[test]
    fn client_identifier_goes_before_mac_before_wildcards_before_name() {
        let exact = named("mac", &["52:54:00:00:00:01"]);
        let wild = named("wild", &["52:54:*:*:*:*"]);
        let closer = named("closer", &["52:54:00:00:00:*"]);
        let id = Host { client_id: Some(IdPattern::Octets(vec![Some(7), None])), ..named("id", &[]) };
        let all = vec![wild.clone(), named("me", &[]), exact.clone(), id, closer.clone()];
        let other = Host { hardware: vec!["52:54:00:00:00:77".parse().unwrap()], ..named("owned", &[]) };
        assert_eq!(found(all.clone(), who(Some(&[7, 1]), Some("me")), &[]).unwrap(), "id");
        assert_eq!(found(all, who(Some(&[8, 1]), Some("ME")), &[]).unwrap(), "mac");
        assert_eq!(found(vec![wild.clone(), named("me", &[])], who(None, Some("ME")), &[]).unwrap(), "wild");
        assert_eq!(found(vec![named("me", &[])], who(None, Some("ME")), &[]).unwrap(), "me");
        assert_eq!(found(vec![other], who(None, Some("owned")), &[]), None, "a name proves nothing");
        assert_eq!(
            found(vec![named("earlier", &["52:54:00:00:00:01"]), exact.clone()], who(None, None), &[]).unwrap(),
            "earlier"
        );
        assert_eq!(found(vec![wild, closer], who(None, None), &[]).unwrap(), "closer");
    }

    #[test]
    fn tags_and_networks_decide_which_line_counts() {
        let plain = named("plain", &["52:54:00:00:00:01"]);
        let tagged = Host { when: TagExpr::all(["lab"]), ..named("tagged", &["52:54:00:00:00:01"]) };
        let elsewhere =
            Host { address: Some(Ipv4Addr::new(10, 9, 9, 9)), ..named("elsewhere", &["52:54:00:00:00:01"]) };
        let all = vec![elsewhere, plain, tagged];
        assert_eq!(found(all.clone(), who(None, None), &[]).unwrap(), "plain");
        assert_eq!(found(all, who(None, None), &["lab"]).unwrap(), "tagged");
    }

    #[test]
    fn hardware_of_another_type_is_another_machine() {
        let ring = vec![named("ring", &["06-52:54:00:00:00:01"])];
        assert_eq!(found(ring.clone(), who(None, None), &[]), None);
        assert_eq!(found(ring, Who { hardware: (6, &MAC), client_id: None, name: None }, &[]).unwrap(), "ring");
    }
}
