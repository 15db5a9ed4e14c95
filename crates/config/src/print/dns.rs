//! `[dns]` as TOML.

use std::net::IpAddr;

use dns::settings::{Alias, Caching, Filters, Forwarding, OfInterface, Route, Scope, Stale, Synth, To};
use dns::{Data, Name, Record};

use super::rules::hex;
use super::{Printer, quote, time};
use crate::value::dns::{
    show_addresses, show_any_range, show_clients, show_order, show_scope, show_to, show_ttl, show_word,
};
use crate::{Config, Dns};

impl Printer {
    pub(super) fn dns(&mut self, config: &Config) {
        self.section("dns");
        self.bare("enabled", config.dns.is_some());
        let Some(dns) = &config.dns else { return };
        let settings = &dns.settings;
        self.bare("port", dns.port);
        let (upstream, domains): (Vec<_>, Vec<_>) = settings.routes.iter().partition(|route| is_upstream(route));
        let servers: Vec<_> = upstream.iter().map(|route| show_to(&route.to)).collect();
        match (servers.is_empty(), dns.resolv.files.is_empty()) {
            (false, true) => self.texts("upstream", servers),
            (false, false) => {
                self.texts("upstream", servers);
                self.texts("resolv", dns.resolv.files.iter().map(|path| path.display()));
            }
            (true, false) => self.texts("resolv", dns.resolv.files.iter().map(|path| path.display())),
            (true, true) => self.bare("resolv", "[]"),
        }
        match dns.hosts.paths.is_empty() {
            true => self.bare("hosts", "[]"),
            false => self.texts("hosts", dns.hosts.paths.iter().map(|path| path.display())),
        }
        self.text("clients", show_clients(dns.clients));
        self.bare("max_tcp", dns.max_tcp);
        self.forwarding(&settings.forward);
        self.local(dns);
        self.bare("log", settings.log);
        self.caching(&settings.cache);
        self.filters(&settings.filter);
        for table in tables(dns, &domains) {
            self.line(format_args!("\n{}", table.trim_end()));
        }
    }

    fn forwarding(&mut self, forward: &Forwarding) {
        self.text("order", show_order(forward.order));
        self.bare("domain_needed", forward.domain_needed);
        self.bare("bogus_priv", forward.bogus_priv);
        self.bare("filter_windows", forward.filter_windows);
        self.bare("random_case", forward.random_case);
        self.bare("detect_loops", forward.detect_loops);
        self.bare("pass_ad", forward.pass_ad);
        self.bare("edns_max", forward.edns_max);
        self.bare("max_queries", forward.max);
        forward.ports.range.inspect(|(first, last)| self.text("source_ports", format!("{first}-{last}")));
    }

    fn local(&mut self, dns: &Dns) {
        let local = &dns.settings.local;
        self.bare("expand_hosts", local.expand_hosts);
        self.text("ttl", show_ttl(local.ttl));
        local.lease_ttl.inspect(|ttl| self.text("lease_ttl", show_ttl(*ttl)));
        self.bare("full_names_only", local.leases_by_full_name_only);
        self.bare("localise", local.localise);
        self.bare("keep_order", local.keep_order);
    }

    fn caching(&mut self, cache: &Caching) {
        self.section("dns.cache");
        self.bare("size", cache.size);
        self.bare("negative", cache.negative);
        cache.negative_ttl.inspect(|ttl| self.text("negative_ttl", show_ttl(*ttl)));
        self.text("min_ttl", show_ttl(cache.min_ttl));
        cache.max_ttl.inspect(|ttl| self.text("max_ttl", show_ttl(*ttl)));
        cache.max_told_ttl.inspect(|ttl| self.text("told_ttl", show_ttl(*ttl)));
        self.text("stale", stale(cache.stale));
        self.texts("types", &cache.only);
    }

    fn filters(&mut self, filter: &Filters) {
        self.section("dns.filter");
        self.bare("rebind", filter.rebind.stop);
        if filter.rebind.localhost_ok {
            self.bare("rebind_localhost_ok", true);
        }
        self.texts("rebind_ok", filter.rebind.domains_ok.iter().map(show_scope));
        self.texts("bogus_nxdomain", filter.bogus_nxdomain.iter().map(show_addresses));
        self.texts("ignore", filter.ignore.iter().map(show_addresses));
        self.texts("types", &filter.types);
    }
}

pub(crate) fn is_upstream(route: &Route) -> bool {
    route.scope == Scope::All && matches!(route.to, To::Server(_))
}

pub(crate) fn stale(stale: Stale) -> String {
    match stale {
        Stale::Never => "never".to_owned(),
        Stale::For(limit) => time(limit),
        Stale::Always => "always".to_owned(),
    }
}

fn tables(dns: &Dns, routes: &[&Route]) -> Vec<String> {
    let local = &dns.settings.local;
    // Each list is read back as a whole, forwards first.
    let (forwards, overrides): (Vec<&Route>, Vec<&Route>) = routes.iter().partition(|route| is_forward(route));
    let mut tables: Vec<_> = grouped(&forwards).chain(grouped(&overrides)).collect();
    tables.extend(records(&local.records));
    tables.extend(local.interface_names.iter().map(interface_name));
    tables.extend(local.synth.iter().map(synth));
    tables.extend(dns.settings.filter.alias.iter().map(alias));
    tables
}

/// Whether it is said by `[[dns.forward]]`; else by `[[dns.override]]`.
pub(crate) fn is_forward(route: &Route) -> bool {
    leads_on(&route.to)
}

fn leads_on(to: &To) -> bool {
    matches!(to, To::Server(_) | To::Usual)
}

/// A table for each run of one domain.
fn grouped(routes: &[&Route]) -> impl Iterator<Item = String> {
    let runs = routes.chunk_by(|a, b| a.scope == b.scope);
    runs.map(|run| route(std::slice::from_ref(&run[0].scope), &run.iter().map(|route| &route.to).collect::<Vec<_>>()))
}

fn table(name: &str, fill: impl FnOnce(&mut Printer)) -> String {
    let mut out = Printer(format!("[[dns.{name}]]\n"));
    fill(&mut out);
    out.0
}

/// All of these domains, which lead to the same.
pub(crate) fn route(domains: &[Scope], to: &[&To]) -> String {
    let name = if to.iter().all(|to| leads_on(to)) { "forward" } else { "override" };
    table(name, |out| {
        out.one_or_more("domain", domains.iter().map(show_scope));
        out.one_or_more("to", to.iter().map(|to| show_to(to)));
    })
}

pub(crate) fn interface_name(of: &OfInterface) -> String {
    let family = match (of.v4, of.v6) {
        (true, false) => "/4",
        (false, true) => "/6",
        _ => "",
    };
    table("record", |out| {
        out.text("name", &of.name);
        out.text("interface", format!("{}{family}", of.interface));
    })
}

pub(crate) fn alias(alias: &Alias) -> String {
    table("alias", |out| {
        out.text("range", show_any_range((alias.first.into(), alias.last.into())));
        out.text("to", alias.new);
        out.text("mask", alias.mask);
    })
}

/// These names with these addresses, which lead back to the first of them.
pub(crate) fn addresses(names: &[Name], addresses: &[IpAddr], ttl: Option<u32>) -> String {
    table("record", |out| {
        out.one_or_more("name", names);
        out.one_or_more("address", addresses);
        ttl.inspect(|ttl| out.text("ttl", show_ttl(*ttl)));
    })
}

pub(crate) fn synth(synth: &Synth) -> String {
    table("synth", |out| {
        out.text("domain", &synth.domain);
        out.text("range", show_any_range((synth.first, synth.last)));
        out.text("prefix", &synth.prefix);
        out.bare("counted", synth.counted);
    })
}

/// Records as tables that are read back in the same order: each holds as many as fit.
pub(crate) fn records(records: &[Record]) -> Vec<String> {
    let mut tables: Vec<RecordTable> = Vec::new();
    let mut rest = records;
    while let [first, more @ ..] = rest {
        let back = more.first().filter(|back| leads_back(first, back)).is_some();
        let (column, text) = cell(&first.data);
        // The names of both directions are one key, and so are the addresses.
        let reverse = (column == 0).then_some(back);
        let fits = |table: &&mut RecordTable| {
            let same = table.name == &first.name && table.ttl == first.ttl;
            let order = table.cells.last().is_none_or(|(last, _)| *last <= column && *last < LAST);
            same && order && (reverse.is_none() || table.reverse == reverse)
        };
        match tables.last_mut().filter(fits) {
            Some(table) => table.cells.push((column, text)),
            None => {
                let (name, ttl) = (&first.name, first.ttl);
                tables.push(RecordTable { name, ttl, reverse, cells: vec![(column, text)] });
            }
        }
        rest = if back { &more[1..] } else { more };
    }
    tables.iter().map(RecordTable::print).collect()
}

struct RecordTable<'a> {
    name: &'a Name,
    ttl: Option<u32>,
    /// Whether its addresses lead back; `None`: it has none.
    reverse: Option<bool>,
    /// Columns and their texts, in order.
    cells: Vec<(usize, String)>,
}

/// In the order in which a table is read.
const COLUMNS: &[&str] = &["address", "cname", "mx", "srv", "txt", "ptr", "caa", "naptr"];
/// `type` and `hex`, of which a table holds one pair only.
const LAST: usize = COLUMNS.len();

impl RecordTable<'_> {
    fn print(&self) -> String {
        table("record", |out| {
            out.text("name", self.name);
            for (column, key) in COLUMNS.iter().enumerate() {
                let texts = self.cells.iter().filter(|(of, _)| *of == column).map(|(_, text)| text.as_str());
                match *texts.collect::<Vec<_>>() {
                    [] => {}
                    [one] if !one.starts_with('[') => out.bare(key, one),
                    ref several => out.bare(key, format_args!("[{}]", several.join(", "))),
                }
            }
            self.cells.iter().filter(|(column, _)| *column == LAST).for_each(|(_, lines)| out.line(lines));
            if self.reverse == Some(false) {
                out.bare("reverse", false);
            }
            self.ttl.inspect(|ttl| out.text("ttl", show_ttl(*ttl)));
        })
    }
}

fn leads_back(forward: &Record, back: &Record) -> bool {
    let address = match forward.data {
        Data::A(v4) => v4.into(),
        Data::Aaaa(v6) => std::net::IpAddr::from(v6),
        _ => return false,
    };
    let same = back.name == Name::reverse(address) && back.ttl == forward.ttl;
    same && matches!(&back.data, Data::Ptr(name) if *name == forward.name)
}

/// The column that a record stands in, and its text as TOML.
fn cell(data: &Data) -> (usize, String) {
    let word = |octets: &[u8]| show_word(octets).unwrap_or_else(|| String::from_utf8_lossy(octets).into_owned());
    match data {
        Data::A(address) => (0, quote(address)),
        Data::Aaaa(address) => (0, quote(address)),
        Data::Cname(target) => (1, quote(target)),
        Data::Mx { preference, target } => (2, quote(format_args!("{preference} {target}"))),
        Data::Srv { priority, weight, port, target } => (3, quote(format_args!("{priority} {weight} {port} {target}"))),
        Data::Txt(strings) => (4, txt(strings)),
        Data::Ptr(target) => (5, quote(target)),
        Data::Caa { flags, tag, value } => (6, quote(format_args!("{flags} {} {}", word(tag), word(value)))),
        Data::Naptr { order, preference, flags, services, regexp, replacement } => {
            let [flags, services, regexp] = [flags, services, regexp].map(|octets| word(octets));
            (7, quote(format_args!("{order} {preference} {flags} {services} {regexp} {replacement}")))
        }
        Data::Other { kind, data } => (LAST, format!("type = {}\nhex = {}", quote(kind), quote(hex(data)))),
    }
}

/// One text, or a list of the strings that a record is made of.
fn txt(strings: &[Vec<u8>]) -> String {
    let texts: Vec<_> = strings.iter().map(|octets| quote(String::from_utf8_lossy(octets))).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}
