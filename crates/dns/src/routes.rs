//! Which servers answer for which names: the longest domain decides.
//!
//! Where one domain is spoken of in several ways, an address answers queries of its family, servers answer all others, and
//! only what has neither is said not to exist. An address says nothing of other types: a shorter domain decides there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::settings::{Route, Scope, Server, To};
use crate::{Name, Rtype};

/// A server by its place in [`Routes::servers`].
pub type Index = usize;

/// Settings and resolv.conf, laid out to be asked once for every query.
#[derive(Debug, Default)]
pub struct Routes {
    servers: Vec<Server>,
    domains: HashMap<Name, Rule>,
    below: HashMap<Name, Rule>,
    /// By what follows the first label.
    endings: HashMap<Name, Endings>,
    plain: Rule,
    all: Rule,
}

/// Ends of a first label, longest first.
type Endings = Vec<(Box<[u8]>, Rule)>;

/// What was said of one domain.
#[derive(Debug, Default)]
struct Rule {
    servers: Arc<[Index]>,
    usual: bool,
    nobody: bool,
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    null: bool,
}

/// Who answers a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way<'a> {
    /// These servers. Empty: nobody is there to ask. `named`: for a domain of the name's, not for every name.
    Servers { among: &'a Arc<[Index]>, named: bool },
    /// We do, with these.
    Addresses { v4: &'a [Ipv4Addr], v6: &'a [Ipv6Addr] },
    /// We do: there is no such name.
    NoSuchName,
    /// We do: there is nothing of this type.
    NoData,
}

const NULL: Way<'static> = Way::Addresses { v4: &[Ipv4Addr::UNSPECIFIED], v6: &[Ipv6Addr::UNSPECIFIED] };

impl Routes {
    /// `resolv`: servers that resolv.conf names, which answer for every name.
    pub fn new(routes: &[Route], resolv: &[Server]) -> Routes {
        let mut made = Routes::default();
        for route in routes {
            let server = match route.to {
                To::Server(server) => Some(made.index(server)),
                _ => None,
            };
            made.rule(&route.scope).add(&route.to, server);
        }
        for server in resolv {
            let index = made.index(*server);
            made.all.add(&To::Server(*server), Some(index));
        }
        for endings in made.endings.values_mut() {
            endings.sort_by_key(|(end, _)| std::cmp::Reverse(end.len()));
        }
        made
    }

    /// All of them, each once, in the order said.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// `name`: in wire form and lower case. `exists`: there is something else of this name, or below it.
    pub fn way(&self, name: &[u8], kind: Rtype, exists: impl FnOnce() -> bool) -> Way<'_> {
        let mut addresses_here = false;
        let found = self.find(name, |rule| {
            addresses_here |= rule.has_addresses();
            rule.says(kind).then_some(rule)
        });
        let Some(rule) = found else { return Way::Servers { among: &self.all.servers, named: false } };
        if let Some(addresses) = rule.addresses(kind) {
            return addresses;
        }
        match rule {
            Rule { servers, .. } if !servers.is_empty() => {
                let names_none = std::ptr::eq(rule, &self.all) || std::ptr::eq(rule, &self.plain);
                Way::Servers { among: servers, named: !names_none }
            }
            Rule { usual: true, .. } => {
                Way::Servers { among: &self.all.servers, named: !std::ptr::eq(rule, &self.plain) }
            }
            _ if addresses_here || exists() => Way::NoData,
            _ => Way::NoSuchName,
        }
    }

    /// Whether addresses are laid down for this name, of whichever family.
    pub fn has_addresses(&self, name: &[u8]) -> bool {
        let leads = |rule: &Rule| rule.has_addresses() || rule.nobody || rule.usual || !rule.servers.is_empty();
        self.find(name, |rule| leads(rule).then(|| rule.has_addresses())).unwrap_or_default()
    }

    /// The first rule that `decides` takes, longest domain first.
    fn find<'a, T>(&'a self, name: &[u8], mut decides: impl FnMut(&'a Rule) -> Option<T>) -> Option<T> {
        if is_plain(name)
            && let Some(found) = decides(&self.plain)
        {
            return Some(found);
        }
        if self.domains.is_empty() && self.below.is_empty() && self.endings.is_empty() {
            return decides(&self.all);
        }
        let mut at = 0;
        while let Some((suffix, length)) = name.get(at..).zip(name.get(at)).filter(|(_, length)| **length > 0) {
            let (label, rest) = suffix[1..].split_at_checked(usize::from(*length))?;
            let below = (at > 0).then(|| self.below.get(suffix)).flatten();
            let endings = self.endings.get(rest).into_iter().flatten();
            let endings = endings.filter(|(end, _)| label.ends_with(end)).map(|(_, rule)| rule);
            let mut rules = below.into_iter().chain(self.domains.get(suffix)).chain(endings);
            if let Some(found) = rules.find_map(&mut decides) {
                return Some(found);
            }
            at += 1 + label.len();
        }
        decides(&self.all)
    }

    fn index(&mut self, server: Server) -> Index {
        self.servers.iter().position(|known| *known == server).unwrap_or_else(|| {
            self.servers.push(server);
            self.servers.len() - 1
        })
    }

    fn rule(&mut self, scope: &Scope) -> &mut Rule {
        match scope {
            Scope::Domain(name) if !name.is_root() => self.domains.entry(name.clone()).or_default(),
            Scope::Below(name) if !name.is_root() => self.below.entry(name.clone()).or_default(),
            Scope::Ending(name) if !name.is_root() => {
                let end: Box<[u8]> = name.labels().next().unwrap_or_default().into();
                let rest = Name::from_wire(&name.as_wire()[1 + end.len()..]).expect("a name without its first label");
                let endings = self.endings.entry(rest).or_default();
                let at = endings.iter().position(|(known, _)| *known == end).unwrap_or_else(|| {
                    endings.push((end, Rule::default()));
                    endings.len() - 1
                });
                &mut endings[at].1
            }
            Scope::Plain => &mut self.plain,
            Scope::All | Scope::Domain(_) | Scope::Below(_) | Scope::Ending(_) => &mut self.all,
        }
    }
}

/// One label and the root's.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    name.first().is_some_and(|length| *length > 0 && name.len() == usize::from(*length) + 2)
}

impl Rule {
    fn add(&mut self, to: &To, server: Option<Index>) {
        match (to, server) {
            (To::Server(_), Some(index)) if !self.servers.contains(&index) => {
                self.servers = [&*self.servers, &[index]].concat().into();
            }
            (To::Server(_), _) => {}
            (To::Usual, _) => self.usual = true,
            (To::Nobody, _) => self.nobody = true,
            (To::Address(IpAddr::V4(v4)), _) => self.v4.push(*v4),
            (To::Address(IpAddr::V6(v6)), _) => self.v6.push(*v6),
            (To::Null, _) => self.null = true,
        }
    }

    fn has_addresses(&self) -> bool {
        self.null || !self.v4.is_empty() || !self.v6.is_empty()
    }

    fn says(&self, kind: Rtype) -> bool {
        !self.servers.is_empty() || self.usual || self.nobody || self.addresses(kind).is_some()
    }

    /// Addresses that were given stand before null.
    fn addresses(&self, kind: Rtype) -> Option<Way<'_>> {
        let (v4, v6) = match kind {
            Rtype::A => (&*self.v4, &[][..]),
            Rtype::AAAA => (&[][..], &*self.v6),
            Rtype::ANY => (&*self.v4, &*self.v6),
            _ => return None,
        };
        match (v4, v6, kind) {
            ([], [], Rtype::A) if self.null => Some(Way::Addresses { v4: &[Ipv4Addr::UNSPECIFIED], v6: &[] }),
            ([], [], Rtype::AAAA) if self.null => Some(Way::Addresses { v4: &[], v6: &[Ipv6Addr::UNSPECIFIED] }),
            ([], [], _) if self.null => Some(NULL),
            ([], [], _) => None,
            _ => Some(Way::Addresses { v4, v6 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn server(port: u16) -> Server {
        Server { address: ([192, 0, 2, 1], port).into(), from: None, interface: None }
    }

    /// `domain>port`, `domain=address`, `domain!` (nobody), `domain#` (null), `domain~` (usual); domains as dnsmasq
    /// writes them: `*` before, empty for all, `//` for plain names.
    fn routes(said: &[&str]) -> Routes {
        let parse = |said: &&str| {
            let at = said.find(['>', '=', '!', '#', '~']).unwrap();
            let (domain, to) = said.split_at(at);
            let scope = match domain {
                "" => Scope::All,
                "//" => Scope::Plain,
                _ if domain.starts_with("*.") => Scope::Below(name(&domain[2..])),
                _ if domain.starts_with('*') => Scope::Ending(name(&domain[1..])),
                _ => Scope::Domain(name(domain)),
            };
            let to = match to.split_at(1) {
                (">", port) => To::Server(server(port.parse().unwrap())),
                ("=", address) => To::Address(address.parse().unwrap()),
                ("!", _) => To::Nobody,
                ("#", _) => To::Null,
                _ => To::Usual,
            };
            Route { scope, to }
        };
        Routes::new(&said.iter().map(parse).collect::<Vec<_>>(), &[])
    }

    /// As text: ports of servers, addresses, or what is not there.
    fn way(routes: &Routes, asked: &str, kind: Rtype) -> String {
        match routes.way(name(asked).as_wire(), kind, || asked.starts_with("known")) {
            Way::Servers { among, .. } => among
                .iter()
                .map(|index| routes.servers()[*index].address.port().to_string())
                .collect::<Vec<_>>()
                .join(" "),
            Way::Addresses { v4, v6 } => {
                let (v4, v6) = (v4.iter().map(|a| a.to_string()), v6.iter().map(|a| a.to_string()));
                v4.chain(v6).collect::<Vec<_>>().join(" ")
            }
            Way::NoSuchName => "no such name".to_owned(),
            Way::NoData => "no data".to_owned(),
        }
    }

    #[test]
    fn the_longest_domain_decides() {
        let routes =
            routes(&[">1", "two.test>2", "back.two.test~", "*oogle.test>3", "*.sub.test>4", "sub.test>5", "//>6"]);
        for (asked, to) in [
            ("www.two.test", "2"),
            ("two.test", "2"),
            ("xtwo.test", "1"),
            ("back.two.test", "1"),
            ("moogle.test", "3"),
            ("oogle.test", "3"),
            ("www.moogle.test", "3"),
            ("sub.test", "5"),
            ("a.sub.test", "4"),
            ("plain", "6"),
            (".", "1"),
        ] {
            assert_eq!(way(&routes, asked, Rtype::A), to, "{asked}");
        }
    }

    #[test]
    fn whole_labels_stand_before_endings() {
        let routes = routes(&["two.test>2", "*two.test>3", "*.sub.test>4", "*sub.test>5", "*o.test>6"]);
        for (asked, to) in
            [("two.test", "2"), ("a.two.test", "2"), ("xtwo.test", "3"), ("a.sub.test", "4"), ("zo.test", "6")]
        {
            assert_eq!(way(&routes, asked, Rtype::A), to, "{asked}");
        }
        assert_eq!(way(&routes, "sub.test", Rtype::A), "5");
        assert_eq!(way(&routes, "else.test", Rtype::A), "", "nobody is there to ask");
    }

    #[test]
    fn an_address_answers_its_family_alone() {
        let routes = routes(&[
            ">1",
            "four.test=1.2.3.4",
            "local.test=1.2.3.4",
            "local.test!",
            "served.test=1.2.3.4",
            "served.test>2",
            "null.test#",
            "null6.test#",
            "null6.test=fd00::1",
            "a.loc.test=1.2.3.4",
            "loc.test!",
        ]);
        for (asked, kind, to) in [
            ("four.test", Rtype::A, "1.2.3.4"),
            ("four.test", Rtype::AAAA, "1"),
            ("four.test", Rtype::TXT, "1"),
            ("four.test", Rtype::ANY, "1.2.3.4"),
            ("local.test", Rtype::AAAA, "no data"),
            ("served.test", Rtype::A, "1.2.3.4"),
            ("served.test", Rtype::TXT, "2"),
            ("null.test", Rtype::A, "0.0.0.0"),
            ("null.test", Rtype::AAAA, "::"),
            ("null.test", Rtype::ANY, "0.0.0.0 ::"),
            ("null.test", Rtype::TXT, "1"),
            ("null6.test", Rtype::A, "0.0.0.0"),
            ("null6.test", Rtype::AAAA, "fd00::1"),
            ("null6.test", Rtype::ANY, "fd00::1"),
            ("a.loc.test", Rtype::AAAA, "no data"),
            ("b.loc.test", Rtype::A, "no such name"),
            ("known.loc.test", Rtype::A, "no data"),
        ] {
            assert_eq!(way(&routes, asked, kind), to, "{asked} {kind}");
        }
    }

    #[test]
    fn every_name_may_have_an_address() {
        let routes = routes(&["=7.7.7.7", ">1", "a.test>2", "b.test~", "//!"]);
        assert_eq!(way(&routes, "x.test", Rtype::A), "7.7.7.7");
        assert_eq!(way(&routes, "x.test", Rtype::AAAA), "1");
        assert_eq!(way(&routes, "a.test", Rtype::A), "2");
        assert_eq!(way(&routes, "b.test", Rtype::A), "1");
        assert_eq!(way(&routes, "plain", Rtype::A), "no such name");
        assert_eq!(way(&routes, ".", Rtype::A), "7.7.7.7");
    }

    #[test]
    fn servers_of_plain_names_are_named_for_no_domain() {
        let routes = routes(&[">1", "x.test>2", "//>3"]);
        let named =
            |asked| matches!(routes.way(name(asked).as_wire(), Rtype::A, || false), Way::Servers { named: true, .. });
        assert!(named("x.test") && !named("plain") && !named("c.test"));
    }

    #[test]
    fn resolv_conf_adds_to_those_of_all_names() {
        let said = [Route { scope: Scope::All, to: To::Server(server(1)) }];
        let routes = Routes::new(&said, &[server(2), server(1)]);
        assert_eq!(way(&routes, "x.test", Rtype::A), "1 2");
        assert_eq!(routes.servers().len(), 2);
    }

    #[test]
    fn addresses_are_laid_down_until_a_longer_domain_leads_elsewhere() {
        let routes = routes(&["a.test=10.0.0.1", "b.a.test>1", "null.test#", "nobody.test!"]);
        for (name_of, laid) in [
            ("a.test", true),
            ("x.a.test", true),
            ("b.a.test", false),
            ("null.test", true),
            ("nobody.test", false),
            ("test", false),
        ] {
            assert_eq!(routes.has_addresses(name(name_of).as_wire()), laid, "{name_of}");
        }
    }
}
