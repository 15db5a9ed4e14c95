//! What servers tell of themselves in class CH.

use crate::resolver::Statistics;
use crate::{Name, Rtype};

/// What becomes of a query in class CH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chaos {
    /// The strings of one TXT record, TTL 0.
    Text(Vec<Vec<u8>>),
    /// NOTIMP: the name is of this kind, but nothing is told by it.
    NotImplemented,
    /// A name of no meaning here.
    Unknown,
}

/// `name`: wire form in lower case. `identify`: whether anything is told.
pub fn answer(name: &[u8], kind: Rtype, identify: bool, statistics: &Statistics) -> Chaos {
    let is_ours = [&b"\x04bind\0"[..], b"\x06server\0"].iter().any(|top| name.ends_with(top));
    let known = Name::from_wire(name).ok().filter(|_| is_ours && identify && matches!(kind, Rtype::TXT | Rtype::ANY));
    match known.and_then(|name| text(&name.to_string(), statistics)) {
        Some(strings) => Chaos::Text(strings.into_iter().map(String::into_bytes).collect()),
        None if is_ours => Chaos::NotImplemented,
        None => Chaos::Unknown,
    }
}

fn text(name: &str, statistics: &Statistics) -> Option<Vec<String>> {
    let one = |text: &dyn ToString| Some(vec![text.to_string()]);
    match name {
        "version.bind" => one(&concat!("lanboot-", env!("CARGO_PKG_VERSION"))),
        "authors.bind" => one(&"the authors of lanboot"),
        "copyright.bind" => one(&env!("CARGO_PKG_LICENSE")),
        "cachesize.bind" => one(&statistics.cache_size),
        "insertions.bind" => one(&statistics.inserted),
        "evictions.bind" => one(&statistics.evicted),
        "misses.bind" => one(&statistics.forwarded),
        "hits.bind" => one(&statistics.answered_locally),
        // We are nobody's authority.
        "auth.bind" => one(&0),
        "servers.bind" => {
            let server = |of: &crate::resolver::ServerStatistics| {
                format!("{}#{} {} {}", of.address.ip(), of.address.port(), of.asked, of.failed)
            };
            Some(statistics.servers.iter().map(server).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::ServerStatistics;

    fn ask(name: &str, kind: Rtype, identify: bool) -> Chaos {
        let asked = ["10.0.0.1:53", "[fd00::1]:5353"].map(|address| address.parse().unwrap());
        let figures =
            |address| ServerStatistics { address, asked: 7, retried: 2, failed: 1, no_such_name: 4, latency_millis: 9 };
        let servers = asked.map(figures).to_vec();
        let statistics = Statistics { cache_size: 150, evicted: 3, servers, ..Statistics::default() };
        answer(name.parse::<Name>().unwrap().as_wire(), kind, identify, &statistics)
    }

    fn text(strings: &[&str]) -> Chaos {
        Chaos::Text(strings.iter().map(|string| string.as_bytes().to_vec()).collect())
    }

    #[test]
    fn figures_are_told() {
        assert_eq!(ask("VERSION.bind", Rtype::TXT, true), text(&[concat!("lanboot-", env!("CARGO_PKG_VERSION"))]));
        assert_eq!(ask("version.bind", Rtype::ANY, true), ask("version.bind", Rtype::TXT, true));
        assert_eq!(ask("cachesize.bind", Rtype::TXT, true), text(&["150"]));
        assert_eq!(ask("evictions.bind", Rtype::TXT, true), text(&["3"]));
        assert_eq!(ask("servers.bind", Rtype::TXT, true), text(&["10.0.0.1#53 7 1", "fd00::1#5353 7 1"]));
        for name in ["authors", "copyright", "insertions", "misses", "hits", "auth"] {
            assert!(matches!(ask(&format!("{name}.bind"), Rtype::TXT, true), Chaos::Text(_)), "{name}");
        }
    }

    #[test]
    fn other_names_of_that_kind_are_not_implemented() {
        for name in ["hostname.bind", "version.server", "id.server", "x.version.bind", "bind"] {
            assert_eq!(ask(name, Rtype::TXT, true), Chaos::NotImplemented, "{name}");
        }
        assert_eq!(ask("version.bind", Rtype::A, true), Chaos::NotImplemented);
        assert_eq!(ask("version.bind", Rtype::TXT, false), Chaos::NotImplemented);
        assert_eq!(ask("foo.bar", Rtype::TXT, true), Chaos::Unknown);
        assert_eq!(ask("notbind", Rtype::TXT, true), Chaos::Unknown);
    }
}
