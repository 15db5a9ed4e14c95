//! `[dns]`: who is asked, what is known here, what is remembered and what is not believed.

use dns::settings::{Alias, Caching, Filters, Forwarding, Local, OfInterface, Route, Settings, Synth, To};
use dns::{Data, Name, Record};
use toml::de::DeValue;

use super::{Reader, Section, Value, join};
use crate::diagnostic::{Diagnostic, Place};
use crate::said::{self, Given};
use crate::value::{self, Wrong, dns as text};

/// What is said goes in the place of the default.
fn put<T>(target: &mut T, given: Option<Given<T>>) {
    given.into_iter().for_each(|given| *target = given.value);
}

fn put_some<T>(target: &mut Option<T>, given: Option<Given<T>>) {
    given.into_iter().for_each(|given| *target = Some(given.value));
}

fn bare<T>(given: Vec<Given<T>>) -> Vec<T> {
    given.into_iter().map(|given| given.value).collect()
}

impl<'a> Reader<'a> {
    pub(super) fn dns(&mut self, section: &Section<'_>) -> said::Dns {
        let mut settings = Settings::default();
        put(&mut settings.log, self.truth(section, "log"));
        self.forwarding(section, &mut settings.forward);
        self.local(section, &mut settings.local);
        self.section(section, "cache", |reader, section| reader.caching(section, &mut settings.cache));
        self.section(section, "filter", |reader, section| reader.filters(section, &mut settings.filter));
        self.tables(section, "alias", |reader, section, place| {
            settings.filter.alias.extend(reader.alias(section, place));
        });
        let mut said = said::Dns {
            enabled: self.truth(section, "enabled"),
            port: self.number(section, "port", 1..=65535),
            upstream: self.texts(section, "upstream", text::server),
            resolv: self.paths(section, "resolv"),
            hosts: self.paths(section, "hosts"),
            expand_hosts: self.truth(section, "expand_hosts"),
            clients: self.text(section, "clients", text::clients),
            max_tcp: self.number(section, "max_tcp", 1..=65535),
            settings,
            ..said::Dns::default()
        };
        self.tables(section, "forward", |reader, section, place| {
            said.routes.extend(reader.route(section, place, text::forward_to, Some(To::Nobody)));
        });
        self.tables(section, "override", |reader, section, place| {
            said.routes.extend(reader.route(section, place, text::override_to, None));
        });
        self.tables(section, "record", |reader, section, place| reader.record(section, place, &mut said));
        said
    }

    fn forwarding(&mut self, section: &Section<'_>, forward: &mut Forwarding) {
        put(&mut forward.order, self.text(section, "order", text::order));
        put(&mut forward.domain_needed, self.truth(section, "domain_needed"));
        put(&mut forward.bogus_priv, self.truth(section, "bogus_priv"));
        put(&mut forward.filter_windows, self.truth(section, "filter_windows"));
        put(&mut forward.random_case, self.truth(section, "random_case"));
        put(&mut forward.detect_loops, self.truth(section, "detect_loops"));
        put(&mut forward.pass_ad, self.truth(section, "pass_ad"));
        put(&mut forward.edns_max, self.number(section, "edns_max", 512..=65535));
        put(&mut forward.max, self.number(section, "max_queries", 1..=1_000_000));
        put_some(&mut forward.ports.range, self.text(section, "source_ports", value::port_range));
    }

    fn local(&mut self, section: &Section<'_>, local: &mut Local) {
        put(&mut local.ttl, self.text(section, "ttl", text::ttl));
        put_some(&mut local.lease_ttl, self.text(section, "lease_ttl", text::ttl));
        put(&mut local.leases_by_full_name_only, self.truth(section, "full_names_only"));
        put(&mut local.localise, self.truth(section, "localise"));
        put(&mut local.keep_order, self.truth(section, "keep_order"));
        self.tables(section, "synth", |reader, section, place| local.synth.extend(reader.synth(section, place)));
    }

    fn caching(&mut self, section: &Section<'_>, cache: &mut Caching) {
        put(&mut cache.size, self.number(section, "size", 0..=10_000_000));
        put(&mut cache.negative, self.truth(section, "negative"));
        put_some(&mut cache.negative_ttl, self.text(section, "negative_ttl", text::ttl));
        put(&mut cache.min_ttl, self.text(section, "min_ttl", text::ttl));
        put_some(&mut cache.max_ttl, self.text(section, "max_ttl", text::ttl));
        put_some(&mut cache.max_told_ttl, self.text(section, "told_ttl", text::ttl));
        put(&mut cache.stale, self.text(section, "stale", text::stale));
        cache.only = bare(self.texts(section, "types", text::rtype));
    }

    fn filters(&mut self, section: &Section<'_>, filter: &mut Filters) {
        put(&mut filter.rebind.stop, self.truth(section, "rebind"));
        put(&mut filter.rebind.localhost_ok, self.truth(section, "rebind_localhost_ok"));
        filter.rebind.domains_ok = bare(self.texts(section, "rebind_ok", text::scopes)).concat();
        filter.bogus_nxdomain = bare(self.texts(section, "bogus_nxdomain", text::addresses));
        filter.ignore = bare(self.texts(section, "ignore", text::addresses));
        filter.types = bare(self.texts(section, "types", text::rtype));
    }

    /// Complains of the first of these keys that is not there.
    fn lacks(&mut self, section: &Section<'_>, place: &Place, what: &str, keys: &[(&str, &str)]) -> bool {
        let Some((key, fix)) = keys.iter().find(|(key, _)| !section.table.contains_key(*key)) else { return false };
        let what = format!("this {what} lacks its `{key}`");
        self.mistakes.push(Diagnostic::error(what).at(place.clone()).fix(*fix));
        true
    }

    fn alias(&mut self, section: &Section<'_>, place: Place) -> Option<Alias> {
        let keys = [
            ("range", "add the addresses that are changed: range = \"203.0.113.0/24\""),
            ("to", "add what they become: to = \"10.0.1.0\""),
        ];
        let range = self.text(section, "range", text::any_range);
        let to = self.text(section, "to", value::address);
        let mask = self.text(section, "mask", text::mask);
        if self.lacks(section, &place, "alias", &keys) {
            return None;
        }
        match range?.value {
            (std::net::IpAddr::V4(first), std::net::IpAddr::V4(last)) => {
                let mask = mask.map_or(std::net::Ipv4Addr::BROADCAST, |given| given.value);
                Some(Alias { first, last, new: to?.value, mask })
            }
            _ => {
                let fix = "name IPv4 addresses";
                self.mistakes.push(Diagnostic::error("only IPv4 addresses can be changed").at(place).fix(fix));
                None
            }
        }
    }

    fn synth(&mut self, section: &Section<'_>, place: Place) -> Option<Synth> {
        let keys = [
            ("domain", "add the domain of these names: domain = \"lab.example\""),
            ("range", "add the addresses that get names: range = \"10.0.1.0/24\""),
        ];
        let domain = self.text(section, "domain", text::name);
        let range = self.text(section, "range", text::any_range);
        let prefix = self.text(section, "prefix", |text| Ok(text.to_owned()));
        let counted = self.truth(section, "counted").is_some_and(|given| given.value);
        if self.lacks(section, &place, "synth", &keys) {
            return None;
        }
        let (domain, (first, last)) = (domain?.value, range?.value);
        Some(Synth { domain, first, last, prefix: prefix.map_or_else(String::new, |given| given.value), counted })
    }

    /// `empty`: what an empty list of `to` means.
    fn route(
        &mut self,
        section: &Section<'_>,
        place: Place,
        read: impl Fn(&str) -> Result<To, Wrong>,
        empty: Option<To>,
    ) -> Vec<said::DnsRoute> {
        let keys = [
            ("domain", "add the domain it is about: domain = \"corp.example\""),
            ("to", "say where it leads: to = \"10.0.1.5\""),
        ];
        let scopes = self.texts(section, "domain", text::scopes);
        let targets = self.texts(section, "to", read);
        let is_empty =
            section.table.get("to").is_some_and(|to| matches!(to.get_ref(), DeValue::Array(list) if list.is_empty()));
        if self.lacks(section, &place, section.path.trim_start_matches("dns."), &keys) {
            return Vec::new();
        }
        if is_empty && empty.is_none() {
            let fix = "write an address, or none, or null";
            self.mistakes.push(Diagnostic::error("this override leads nowhere").at(place.clone()).fix(fix));
        }
        let nothing = empty.filter(|_| is_empty).map(|value| Given { value, place });
        let targets: Vec<Given<To>> = targets.into_iter().chain(nothing).collect();
        let mut routes = Vec::new();
        for Given { value: scopes, place } in scopes {
            for (scope, to) in scopes.iter().flat_map(|scope| targets.iter().map(move |to| (scope, to))) {
                let route = Route { scope: scope.clone(), to: to.value.clone() };
                routes.push(said::DnsRoute { route, domain_place: place.clone(), to_place: to.place.clone() });
            }
        }
        routes
    }

    fn record(&mut self, section: &Section<'_>, place: Place, said: &mut said::Dns) {
        let names = self.texts(section, "name", text::record_name);
        if self.lacks(
            section,
            &place,
            "record",
            &[("name", "add the name that it is about: name = \"nas.lab.example\"")],
        ) {
            return;
        }
        let ttl = self.text(section, "ttl", text::ttl).map(|given| given.value);
        let reverse = self.truth(section, "reverse").is_none_or(|given| given.value);
        let interface = self.text(section, "interface", of_interface);
        let addresses = self.texts(section, "address", address);
        let others = self.other_data(section);
        let others: Vec<Given<Data>> = others.into_iter().chain(self.raw_data(section, &place)).collect();
        let says_nothing = section.table.keys().all(|key| ["name", "ttl", "reverse"].contains(&key.get_ref().as_ref()));
        if says_nothing {
            let fix = "add what it says, such as address = \"10.0.1.5\" or cname = \"nas.lab.example\"";
            self.mistakes.push(Diagnostic::error("this record says nothing").at(place).fix(fix));
        }
        for (at, name) in names.iter().enumerate() {
            let record = |name: &Name, data: Data| Record { name: name.clone(), data, ttl };
            for Given { value, place } in &addresses {
                let data = match value {
                    std::net::IpAddr::V4(v4) => Data::A(*v4),
                    std::net::IpAddr::V6(v6) => Data::Aaaa(*v6),
                };
                let back = (reverse && at == 0).then(|| record(&Name::reverse(*value), Data::Ptr(name.value.clone())));
                let both = std::iter::once(record(&name.value, data)).chain(back);
                said.records.extend(both.map(|value| Given { value, place: place.clone() }));
            }
            let others = others.iter().map(|Given { value, place }| Given {
                value: record(&name.value, value.clone()),
                place: place.clone(),
            });
            said.records.extend(others);
            said.interface_names.extend(interface.iter().map(|given| {
                let (interface, v4, v6) = given.value.clone();
                OfInterface { name: name.value.clone(), interface, v4, v6 }
            }));
        }
    }

    /// In the order in which they are printed.
    fn other_data(&mut self, section: &Section<'_>) -> Vec<Given<Data>> {
        let mut found = self.texts(section, "cname", |target| text::name(target).map(Data::Cname));
        found.extend(self.texts(section, "mx", text::mx));
        found.extend(self.texts(section, "srv", text::srv));
        found.extend(self.txt(section));
        found.extend(self.texts(section, "ptr", |target| text::name(target).map(Data::Ptr)));
        found.extend(self.texts(section, "caa", text::caa));
        found.extend(self.texts(section, "naptr", text::naptr));
        found
    }

    /// Each text a record; a list inside the list is one record of several strings.
    fn txt(&mut self, section: &Section<'_>) -> Vec<Given<Data>> {
        let Some(value) = section.table.get("txt") else { return Vec::new() };
        let place = self.note(section, "txt", value);
        let path = join(&section.path, "txt");
        let records: Vec<&Value<'_>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut record = |value: &Value<'_>| {
            let strings: Vec<Vec<u8>> = match value.get_ref() {
                DeValue::Array(parts) => {
                    let mut read = |part| self.one_text(&path, part, |text| Ok(text.as_bytes().to_vec()));
                    parts.iter().filter_map(|part| read(part).map(|given| given.value)).collect()
                }
                _ => self
                    .one_text(&path, value, |text| Ok(text.to_owned()))
                    .map_or(Vec::new(), |given| strings(&given.value)),
            };
            (!strings.is_empty()).then(|| Given { value: Data::Txt(strings), place: place.clone() })
        };
        records.into_iter().filter_map(&mut record).collect()
    }

    /// `type` and `hex`, which go together.
    fn raw_data(&mut self, section: &Section<'_>, place: &Place) -> Option<Given<Data>> {
        let (kind, hex) = (self.text(section, "type", text::rtype), self.text(section, "hex", value::octets));
        let has = |key| section.table.contains_key(key);
        if has("type") != has("hex") {
            let fix = "write both, such as type = \"TYPE65\" and hex = \"00:01:00\"";
            self.mistakes.push(Diagnostic::error("`type` and `hex` go together").at(place.clone()).fix(fix));
        }
        let (kind, hex) = (kind?, hex?);
        Some(Given { value: Data::Other { kind: kind.value, data: hex.value }, place: kind.place })
    }
}

fn address(text: &str) -> Result<std::net::IpAddr, Wrong> {
    let fix = "write it like 10.0.1.5 or 2001:db8::5";
    text.parse().map_err(|_| Wrong { what: format!("`{text}` is not an address"), part: None, fix: fix.into() })
}

/// `eth1`, `eth1/4` for its IPv4 addresses alone, or `eth1/6`.
fn of_interface(text: &str) -> Result<(String, bool, bool), Wrong> {
    let (name, v4, v6) = match text.rsplit_once('/') {
        Some((name, "4")) => (name, true, false),
        Some((name, "6")) => (name, false, true),
        _ => (text, true, true),
    };
    Ok((value::interface(name)?, v4, v6))
}

/// A text in strings of at most 255 octets, cut between characters.
fn strings(mut text: &str) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    while text.len() > 255 {
        let (head, tail) = text.split_at(value::shorten(text, 255).len());
        strings.push(head.as_bytes().to_vec());
        text = tail;
    }
    strings.push(text.as_bytes().to_vec());
    strings
}
