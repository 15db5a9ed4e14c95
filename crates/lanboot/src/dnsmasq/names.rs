//! What is logged of DNS, as dnsmasq 2.90 words it: the query log, the files that are read, the servers, the figures.

use std::net::IpAddr;
use std::path::Path;

use config::dnsmasq::lower::Process;
use config::{Dns, DnsClients};
use dns::lookups::{Line as QueryLine, Logged, Says, Source};
use dns::resolver::{ServerStatistics, Statistics};
use dns::settings::{Route, Scope, Server, To};
use dns::{Name, Rcode, Rtype};
use server::dns_log::DnsNote;

use super::lines::{Level, Line, Part};

/// Lines about servers, and about domains that are known here alone; the others are counted.
const MOST_SERVERS: usize = 30;
const MOST_LOCAL: usize = 8;

/// What is logged, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct NameLines {
    /// Lines of the query log begin with the query's number and who asks.
    pub extra: bool,
    /// Those of the configuration.
    pub routes: Vec<Route>,
}

impl NameLines {
    pub fn new(dns: &Dns, process: &Process) -> NameLines {
        NameLines { extra: process.log_queries_extra, routes: dns.settings.routes.clone() }
    }

    /// The lines of one note, in order.
    pub fn of(&self, note: &DnsNote) -> Vec<Line> {
        let line = |level, text| vec![Line::new(level, Part::Main, text)];
        let info = |text| line(Level::Info, text);
        match note {
            DnsNote::Query(line) => info(self.query(line)),
            DnsNote::ReadServers { path, servers } if servers.is_empty() => {
                line(Level::Warning, format!("no servers found in {}, will retry", path.display()))
            }
            DnsNote::ReadServers { path, servers } => {
                let mut lines = info(format!("reading {}", path.display()));
                lines.extend(self.servers(servers));
                lines
            }
            DnsNote::ReadHosts { path, names } => info(read_hosts(path, *names)),
            DnsNote::NotRead { path, error } => {
                line(Level::Error, format!("failed to load names from {}: {error}", path.display()))
            }
            DnsNote::Changed { path } => info(format!("inotify: {} new or modified", path.display())),
            DnsNote::Removed { path, names } => [
                info(format!("inotify: {} removed", path.display())),
                info(format!("inotify: flushed {names} names read from {}", path.display())),
            ]
            .concat(),
            DnsNote::Cleared => info("cleared cache".to_owned()),
        }
    }

    /// Who answers for which names. `read`: the servers of resolv.conf.
    pub fn servers(&self, read: &[Server]) -> Vec<Line> {
        let said = self.routes.iter().filter_map(|route| match route.to {
            To::Server(server) => Some(using(&server, &route.scope)),
            _ => None,
        });
        let mut texts: Vec<String> = said.chain(read.iter().map(|server| using(server, &Scope::All))).collect();
        let more = texts.len().saturating_sub(MOST_SERVERS);
        texts.truncate(MOST_SERVERS);
        texts.extend(self.domains());
        texts.extend((more > 0).then(|| format!("using {more} more nameservers")));
        texts.into_iter().map(|text| Line::info(Part::Main, text)).collect()
    }

    /// The domains that have no servers of their own; the last one said comes first, as there.
    fn domains(&self) -> Vec<String> {
        let (mut texts, mut local) = (Vec::new(), 0);
        for route in self.routes.iter().rev() {
            let domain = match &route.scope {
                Scope::Domain(domain) | Scope::Ending(domain) => name(domain),
                Scope::Below(domain) => format!(".{}", name(domain)),
                Scope::All | Scope::Plain => continue,
            };
            match route.to {
                To::Nobody if local < MOST_LOCAL => {
                    local += 1;
                    texts.push(format!("using only locally-known addresses for {domain}"));
                }
                To::Nobody => local += 1,
                To::Usual => texts.push(format!("using standard nameservers for {domain}")),
                _ => {}
            }
        }
        let more = local.saturating_sub(MOST_LOCAL);
        texts.extend((more > 0).then(|| format!("using {more} more local addresses")));
        texts
    }

    fn query(&self, QueryLine { serial, client, what }: &QueryLine) -> String {
        let from = client.ip().to_canonical();
        let text = match what {
            Logged::Query { name: asked, kind } => format!("query[{}] {} from {from}", rtype(*kind), name(asked)),
            Logged::Forwarded { name: asked, to } => {
                let port = if to.port() == 53 { String::new() } else { format!("#{}", to.port()) };
                format!("forwarded {} to {}{port}", name(asked), to.ip())
            }
            Logged::Answer { name, says, source } => answer(name, says, source),
            Logged::Failed { code, by, .. } => failed(*code, by.is_some()),
        };
        if self.extra { format!("{serial} {from}/{} {text}", client.port()) } else { text }
    }
}

fn read_hosts(path: &Path, names: usize) -> String {
    format!("read {} - {names} names", path.display())
}

fn answer(of: &Name, says: &Says, source: &Source) -> String {
    let source = match source {
        Source::Upstream => "reply",
        Source::Cached => "cached",
        Source::Stale => "cached-stale",
        Source::Configuration => "config",
        Source::Lease => "DHCP",
        Source::Hosts(path) => path,
    };
    // Of an address it is told whose it is, not of its name in in-addr.arpa.
    let address = match says {
        Says::Name(_) | Says::NoSuchName | Says::NoData(Rtype::PTR) => address(of),
        _ => None,
    };
    let no_data = match (says, address) {
        (Says::NoData(Rtype::A), _) | (Says::NoData(Rtype::PTR), Some(IpAddr::V4(_))) => "NODATA-IPv4",
        (Says::NoData(Rtype::AAAA), _) | (Says::NoData(Rtype::PTR), Some(IpAddr::V6(_))) => "NODATA-IPv6",
        _ => "NODATA",
    };
    let of = address.map_or_else(|| name(of), |address| address.to_string());
    let says = match says {
        Says::Address(address) => address.to_string(),
        Says::Name(target) => name(target),
        Says::Cname => "<CNAME>".to_owned(),
        Says::Text(octets) => text(octets),
        Says::Kind(kind) => format!("<{}>", rtype(*kind)),
        Says::NoData(_) => no_data.to_owned(),
        Says::NoSuchName => "NXDOMAIN".to_owned(),
    };
    format!("{source} {of} is {says}")
}

/// `theirs`: an upstream server said it.
fn failed(code: Rcode, theirs: bool) -> String {
    let source = if theirs { "reply" } else { "config" };
    let why = if code == Rcode::REFUSED && !theirs { " (EDE: not ready)" } else { "" };
    let code = match code {
        Rcode::SERVFAIL => "SERVFAIL".to_owned(),
        Rcode::REFUSED => "REFUSED".to_owned(),
        Rcode::NOTIMP => "not implemented".to_owned(),
        code => code.to_int().to_string(),
    };
    format!("{source} error is {code}{why}")
}

fn rtype(kind: Rtype) -> String {
    let name = kind.to_string();
    if name.starts_with("TYPE") { format!("type={}", kind.to_int()) } else { name }
}

/// A name as dnsmasq shows it: as it is, or not at all.
fn name(name: &Name) -> String {
    let printable = |label: &[u8]| label.iter().all(|octet| is_printable(octet) && *octet != b'.');
    if !name.labels().all(printable) {
        return "<name unprintable>".to_owned();
    }
    let labels: Vec<_> = name.labels().map(String::from_utf8_lossy).collect();
    if labels.is_empty() { ".".to_owned() } else { labels.join(".") }
}

fn is_printable(octet: &u8) -> bool {
    (b' '..=b'~').contains(octet)
}

/// As far as it can be printed.
fn text(octets: &[u8]) -> String {
    octets.iter().take_while(|octet| is_printable(octet)).map(|octet| char::from(*octet)).collect()
}

/// The address that this is the name of below in-addr.arpa or ip6.arpa.
fn address(name: &Name) -> Option<IpAddr> {
    let labels: Vec<&str> = name.labels().map(|label| std::str::from_utf8(label).unwrap_or_default()).collect();
    let (zone, mut digits) = (labels.last_chunk::<2>()?, labels[..labels.len() - 2].to_vec());
    digits.reverse();
    let address: IpAddr = match (zone, digits.len()) {
        (["in-addr", "arpa"], 4) => digits.join(".").parse().ok()?,
        (["ip6", "arpa"], 32) => {
            let groups: Vec<String> = digits.chunks(4).map(<[&str]>::concat).collect();
            groups.join(":").parse().ok()?
        }
        _ => return None,
    };
    (Name::reverse(address) == *name).then_some(address)
}

/// `using nameserver 192.0.2.1#53 for domain lan `, with dnsmasq's blank at the end.
fn using(server: &Server, scope: &Scope) -> String {
    let address = format!("using nameserver {}#{}", server.address.ip(), server.address.port());
    match (scope, &server.interface) {
        (Scope::All, None) => address,
        (Scope::All, Some(interface)) => format!("{address}(via {})", interface.as_str()),
        (Scope::Plain, _) => format!("{address} for unqualified names "),
        (Scope::Domain(domain), _) => format!("{address} for domain {} ", name(domain)),
        (Scope::Below(domain), _) => format!("{address} for domain *.{} ", name(domain)),
        (Scope::Ending(ending), _) => format!("{address} for domain *{} ", name(ending)),
    }
}

/// `cachesize 150`, for the first line of all.
pub fn cache(dns: Option<&Dns>) -> String {
    match dns {
        None => "DNS disabled".to_owned(),
        Some(dns) if dns.settings.cache.size == 0 => "cache disabled".to_owned(),
        Some(dns) => format!("cachesize {}", dns.settings.cache.size),
    }
}

/// What is said of it next.
pub fn started(dns: &Dns) -> Vec<Line> {
    let mut said = Vec::new();
    if dns.clients == DnsClients::Neighbours {
        said.push(Line::info(Part::Main, "DNS service limited to local subnets"));
    }
    if dns.resolv.files.is_empty() && !dns.settings.routes.iter().any(|route| matches!(route.to, To::Server(_))) {
        said.push(Line::new(Level::Warning, Part::Main, "warning: no upstream servers configured"));
    }
    said
}

/// For SIGUSR1. `now`: seconds since 1970.
pub fn statistics(figures: &Statistics, now: i64) -> Vec<Line> {
    let Statistics { cache_size, evicted, inserted, forwarded, answered_locally, answered_stale, servers, .. } =
        figures;
    let mut said = vec![
        format!("time {now}"),
        format!("cache size {cache_size}, {evicted}/{inserted} cache insertions re-used unexpired cache entries."),
        format!("queries forwarded {forwarded}, queries answered locally {answered_locally}"),
    ];
    if *answered_stale > 0 {
        said.push(format!("queries answered from stale cache {answered_stale}"));
    }
    said.push("queries for authoritative zones 0".to_owned());
    said.extend(servers.iter().map(of_server));
    said.iter().map(|text| Line::info(Part::Main, text)).collect()
}

fn of_server(server: &ServerStatistics) -> String {
    let ServerStatistics { address, asked, retried, failed, no_such_name, latency_millis } = server;
    format!(
        "server {}#{}: queries sent {asked}, retried {retried}, failed {failed}, nxdomain replies {no_such_name}, \
         avg. latency {latency_millis}ms",
        address.ip(),
        address.port()
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use dns::settings::InterfaceName;

    use super::*;

    fn parsed(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn query(extra: bool, what: Logged) -> String {
        let client: SocketAddr = "10.0.1.1:44312".parse().unwrap();
        NameLines { extra, routes: Vec::new() }.query(&QueryLine { serial: 7, client, what })
    }

    fn answered(name: &str, says: Says, source: Source) -> String {
        query(false, Logged::Answer { name: parsed(name), says, source })
    }

    /// Every line here was printed by dnsmasq 2.90 itself.
    #[test]
    fn queries_are_told_as_dnsmasq_tells_them() {
        let to = |server: &str| Logged::Forwarded { name: parsed("x.sub.example"), to: server.parse().unwrap() };
        let asked = |name: &str, kind| Logged::Query { name: parsed(name), kind };
        let by = Some("192.0.2.1:53".parse().unwrap());
        let failed = |code, by| query(false, Logged::Failed { name: parsed("foo.test"), code, by });
        let v4 = |text: &str| Says::Address(text.parse().unwrap());
        let hosts = || Source::Hosts("/tmp/jr/hosts".to_owned());
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        for (said, line) in [
            (query(false, asked("a.example", Rtype::A)), "query[A] a.example from 10.0.1.1"),
            (query(true, asked("a.example", Rtype::A)), "7 10.0.1.1/44312 query[A] a.example from 10.0.1.1"),
            (query(false, asked("two.example", Rtype::HTTPS)), "query[HTTPS] two.example from 10.0.1.1"),
            (query(false, asked("two.example", Rtype::from_int(65280))), "query[type=65280] two.example from 10.0.1.1"),
            (query(false, asked(".", Rtype::NS)), "query[NS] . from 10.0.1.1"),
            (query(false, asked("a\\.b.example", Rtype::A)), "query[A] <name unprintable> from 10.0.1.1"),
            (query(false, asked("a\\032b.example", Rtype::A)), "query[A] a b.example from 10.0.1.1"),
            (
                query(false, asked("7.1.0.10.in-addr.arpa", Rtype::PTR)),
                "query[PTR] 7.1.0.10.in-addr.arpa from 10.0.1.1",
            ),
            (query(false, to("192.0.2.1:53")), "forwarded x.sub.example to 192.0.2.1"),
            (query(false, to("192.0.2.3:5353")), "forwarded x.sub.example to 192.0.2.3#5353"),
            (query(true, to("192.0.2.1:53")), "7 10.0.1.1/44312 forwarded x.sub.example to 192.0.2.1"),
            (answered("a.example", v4("192.0.2.80"), Source::Upstream), "reply a.example is 192.0.2.80"),
            (answered("two.example", v4("2001:db8::81"), Source::Cached), "cached two.example is 2001:db8::81"),
            (answered("a.example", v4("192.0.2.80"), Source::Stale), "cached-stale a.example is 192.0.2.80"),
            (answered("www.example", Says::Cname, Source::Upstream), "reply www.example is <CNAME>"),
            (
                answered("t.example", Says::Text(b"hello world".into()), Source::Upstream),
                "reply t.example is hello world",
            ),
            (answered("bin.example", Says::Text(b"a\x01\"b".into()), Source::Cached), "cached bin.example is a"),
            (answered("mx.example", Says::Kind(Rtype::MX), Source::Upstream), "reply mx.example is <MX>"),
            (answered("none.example", Says::NoSuchName, Source::Upstream), "reply none.example is NXDOMAIN"),
            (answered("empty.example", Says::NoData(Rtype::A), Source::Cached), "cached empty.example is NODATA-IPv4"),
            (answered("box.lan", Says::NoData(Rtype::AAAA), Source::Configuration), "config box.lan is NODATA-IPv6"),
            (answered("box.lan", Says::NoData(Rtype::TXT), Source::Configuration), "config box.lan is NODATA"),
            (answered("box.lan", v4("10.0.1.7"), hosts()), "/tmp/jr/hosts box.lan is 10.0.1.7"),
            (answered("leased.lan", v4("10.0.1.120"), Source::Lease), "DHCP leased.lan is 10.0.1.120"),
            (
                answered("7.1.0.10.in-addr.arpa", Says::Name(parsed("box.lan")), hosts()),
                "/tmp/jr/hosts 10.0.1.7 is box.lan",
            ),
            (answered(v6, Says::Name(parsed("a.example")), Source::Cached), "cached 2001:db8::1 is a.example"),
            (
                answered("80.2.0.192.in-addr.arpa", Says::NoSuchName, Source::Configuration),
                "config 192.0.2.80 is NXDOMAIN",
            ),
            (
                answered("98.113.0.203.in-addr.arpa", Says::NoData(Rtype::PTR), Source::Upstream),
                "reply 203.0.113.98 is NODATA-IPv4",
            ),
            (
                answered("nx.2.0.192.in-addr.arpa", Says::NoSuchName, Source::Upstream),
                "reply nx.2.0.192.in-addr.arpa is NXDOMAIN",
            ),
            (
                answered("9.1.0.10.in-addr.arpa", Says::Kind(Rtype::PTR), Source::Configuration),
                "config 9.1.0.10.in-addr.arpa is <PTR>",
            ),
            (failed(Rcode::REFUSED, by), "reply error is REFUSED"),
            (failed(Rcode::SERVFAIL, by), "reply error is SERVFAIL"),
            (failed(Rcode::NOTIMP, by), "reply error is not implemented"),
            (failed(Rcode::FORMERR, by), "reply error is 1"),
            (failed(Rcode::REFUSED, None), "config error is REFUSED (EDE: not ready)"),
        ] {
            assert_eq!(said, line);
        }
    }

    #[test]
    fn octets_beside_an_address_are_a_name() {
        for name in ["07.1.0.10.in-addr.arpa", "1.0.10.in-addr.arpa", "x.7.1.0.10.in-addr.arpa", "arpa", "."] {
            assert_eq!(address(&parsed(name)), None, "{name}");
        }
    }

    fn server(address: &str, interface: Option<&str>) -> Server {
        let interface = interface.map(|name| InterfaceName::new(name).unwrap());
        Server { address: address.parse().unwrap(), from: None, interface }
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// As printed by dnsmasq 2.90 for the same servers, up to the blanks.
    #[test]
    fn servers_are_told_as_dnsmasq_tells_them() {
        let route = |scope, to| Route { scope, to };
        let domain = |text| Scope::Domain(parsed(text));
        let lines = NameLines {
            extra: false,
            routes: vec![
                route(domain("sub.example"), To::Server(server("192.0.2.3:5353", None))),
                route(Scope::Plain, To::Server(server("192.0.2.4:53", None))),
                route(Scope::Ending(parsed("x.test")), To::Server(server("192.0.2.2:54", None))),
                route(Scope::Below(parsed("x.test")), To::Server(server("192.0.2.2:54", None))),
                route(Scope::All, To::Server(server("192.0.2.5:53", Some("net")))),
                route(domain("lan"), To::Nobody),
                route(domain("blocked.example"), To::Null),
                route(Scope::Ending(parsed("m.test")), To::Nobody),
                route(Scope::Below(parsed("y.test")), To::Nobody),
                route(domain("usual.sub.example"), To::Usual),
            ],
        };
        let said = [
            "using nameserver 192.0.2.3#5353 for domain sub.example ",
            "using nameserver 192.0.2.4#53 for unqualified names ",
            "using nameserver 192.0.2.2#54 for domain *x.test ",
            "using nameserver 192.0.2.2#54 for domain *.x.test ",
            "using nameserver 192.0.2.5#53(via net)",
            "using standard nameservers for usual.sub.example",
            "using only locally-known addresses for .y.test",
            "using only locally-known addresses for m.test",
            "using only locally-known addresses for lan",
        ];
        assert_eq!(texts(&lines.servers(&[])), said);
        let path = "/etc/resolv.conf".into();
        let read = lines.of(&DnsNote::ReadServers { path, servers: vec![server("[2001:db8::2]:99", None)] });
        assert_eq!(texts(&read)[..1], ["reading /etc/resolv.conf"]);
        assert_eq!(texts(&read)[6..8], ["using nameserver 2001:db8::2#99", said[5]]);
        assert_eq!(read.len(), said.len() + 2);
    }

    #[test]
    fn of_many_servers_the_first_are_told_and_the_others_counted() {
        let nobody = (1..=10).map(|n| Route { scope: Scope::Domain(parsed(&format!("l{n}.test"))), to: To::Nobody });
        let lines = NameLines { extra: false, routes: nobody.collect() };
        let many: Vec<Server> = (1..=33).map(|n| server(&format!("192.0.2.{n}:53"), None)).collect();
        let said = lines.servers(&many);
        assert_eq!(said.len(), 30 + 8 + 2);
        assert_eq!(
            texts(&said)[29..31],
            ["using nameserver 192.0.2.30#53", "using only locally-known addresses for l10.test"]
        );
        assert_eq!(texts(&said)[38..], ["using 2 more local addresses", "using 3 more nameservers"]);
    }

    #[test]
    fn files_are_told_as_dnsmasq_tells_them() {
        let path = || "/etc/hosts".into();
        for (note, level, said) in [
            (DnsNote::ReadHosts { path: path(), names: 3 }, Level::Info, vec!["read /etc/hosts - 3 names"]),
            (
                DnsNote::NotRead { path: path(), error: "No such file or directory".to_owned() },
                Level::Error,
                vec!["failed to load names from /etc/hosts: No such file or directory"],
            ),
            (DnsNote::Changed { path: path() }, Level::Info, vec!["inotify: /etc/hosts new or modified"]),
            (
                DnsNote::Removed { path: path(), names: 3 },
                Level::Info,
                vec!["inotify: /etc/hosts removed", "inotify: flushed 3 names read from /etc/hosts"],
            ),
            (
                DnsNote::ReadServers { path: path(), servers: Vec::new() },
                Level::Warning,
                vec!["no servers found in /etc/hosts, will retry"],
            ),
            (DnsNote::Cleared, Level::Info, vec!["cleared cache"]),
        ] {
            let lines = NameLines::default().of(&note);
            assert_eq!((texts(&lines), lines[0].level), (said, level));
        }
    }

    #[test]
    fn figures_are_told_as_dnsmasq_tells_them() {
        let servers = vec![ServerStatistics {
            address: "192.0.2.1:53".parse().unwrap(),
            asked: 175,
            retried: 0,
            failed: 0,
            no_such_name: 161,
            latency_millis: 1,
        }];
        let figures = Statistics {
            cache_size: 150,
            cached: 9,
            inserted: 170,
            evicted: 0,
            forwarded: 175,
            answered_locally: 8,
            answered_stale: 1,
            servers,
            ..Statistics::default()
        };
        let said = [
            "time 1795376827",
            "cache size 150, 0/170 cache insertions re-used unexpired cache entries.",
            "queries forwarded 175, queries answered locally 8",
            "queries answered from stale cache 1",
            "queries for authoritative zones 0",
            "server 192.0.2.1#53: queries sent 175, retried 0, failed 0, nxdomain replies 161, avg. latency 1ms",
        ];
        assert_eq!(texts(&statistics(&figures, 1_795_376_827)), said);
    }
}
