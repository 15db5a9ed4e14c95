//! What dnsmasq's DNS options come to.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::dnsmasq::lower::{self, Service};
use config::dnsmasq::{Dialect, Directives, Disk, FileSystem, Lists};
use config::{Diagnostics, Dns, DnsAt, DnsClients, Entry, Nic, Surroundings};
use dns::settings::{Order, Retry, Route, Scope, Server, Stale, To};
use dns::{Data, Name, Record, Rtype};

/// A host with a loopback, a network of machines and a way to the world.
struct Host;

impl Surroundings for Host {
    fn look(&self, _: &Path) -> io::Result<Entry> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }

    fn text_of(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/proc/sys/kernel/hostname") => Ok("boss\n".into()),
            Some("/etc/resolv.conf") => Ok("nameserver 192.0.2.1\nsearch corp.example other.example\n".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn addresses_of(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match name {
            "upstream" => Ok(vec![ip("192.0.2.8"), ip("2001:db8::8")]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn interfaces(&self) -> Vec<Nic> {
        let nic = |name: &str, v4: &str, v6: &str| Nic {
            name: name.into(),
            addresses: v4.split_whitespace().map(|net| net.parse().unwrap()).collect(),
            v6: v6.split_whitespace().map(|net| net.parse().unwrap()).collect(),
            is_loopback: name == "lo",
        };
        vec![
            nic("lo", "127.0.0.1/8", "::1/128"),
            nic("lan", "10.0.1.1/24 10.0.2.1/24", "fd00::1/64 fe80::1/64"),
            nic("wan", "192.0.2.9/24", ""),
        ]
    }
}

/// A host whose name cannot be read.
struct Nameless;

impl Surroundings for Nameless {
    fn look(&self, path: &Path) -> io::Result<Entry> {
        Host.look(path)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        Host.names(folder)
    }

    fn text_of(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn addresses_of(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Host.addresses_of(name)
    }

    fn interfaces(&self) -> Vec<Nic> {
        Host.interfaces()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn read(options: &str) -> Directives {
    let args: Vec<_> = format!("--conf-file=\n{options}").lines().map(Into::into).collect();
    Dialect::read(&args, &Disk).unwrap_or_else(|refusal| panic!("{options}: {}", refusal.diagnostics))
}

/// One option a line, with its dashes.
fn lower(options: &str) -> Result<(Service, Diagnostics), Diagnostics> {
    lower::lower(&read(options), &Host)
}

fn dns(options: &str) -> Dns {
    let (service, _) = lower(options).unwrap_or_else(|found| panic!("{options}: {found}"));
    service.config.dns.expect("DNS is on")
}

fn refused(options: &str) -> String {
    lower(options).expect_err(options).to_string()
}

fn routes(options: &str) -> Vec<Route> {
    dns(options).settings.routes
}

fn records(options: &str) -> Vec<Record> {
    dns(options).settings.local.records
}

fn at(options: &str) -> Vec<String> {
    dns(options).at.iter().map(|at| format!("{} {}", at.interface, at.address)).collect()
}

#[test]
fn unasked_it_is_what_dnsmasq_does_unasked() {
    let (service, found) = lower("").unwrap();
    assert!(found.is_empty(), "{found}");
    let config = service.config;
    assert!(config.dhcp.is_none() && config.tftp.is_none());
    let dns = config.dns.unwrap();
    assert_eq!((dns.port, dns.max_tcp, dns.clients), (53, 20, DnsClients::All));
    assert_eq!(dns.resolv.files, [Path::new("/etc/resolv.conf")]);
    assert!(dns.resolv.watched && !dns.resolv.clears_cache);
    assert_eq!(dns.hosts.paths, [Path::new("/etc/hosts")]);
    assert!(!dns.hosts.watched && dns.hosts.folders.is_empty() && !dns.hosts.loopback_is_us);
    let forward = &dns.settings.forward;
    assert_eq!((forward.max, forward.edns_max, forward.order), (150, 1232, Order::Quickest));
    assert!(!forward.domain_needed && !forward.bogus_priv && !forward.detect_loops && forward.random_case);
    let cache = &dns.settings.cache;
    assert_eq!((cache.size, cache.negative, cache.negative_ttl, cache.min_ttl), (150, true, None, 0));
    assert_eq!(cache.only, [Rtype::A, Rtype::AAAA, Rtype::CNAME, Rtype::PTR, Rtype::SRV]);
    let local = &dns.settings.local;
    assert!(local.identify && !local.keep_order && !local.expand_hosts && local.ttl == 0 && local.records.is_empty());
    assert!(!dns.settings.log && dns.settings.routes.is_empty());
}

#[test]
fn dns_may_be_all_or_nothing_of_it() {
    assert_eq!(lower("--port=0\n--dhcp-range=10.0.1.10,10.0.1.20").unwrap().0.config.dns, None);
    assert_eq!(dns("--port=5353").port, 5353);
    let told = |options: &str| lower(options).unwrap().0.config.dhcp.unwrap().dns;
    assert_eq!(told("--dhcp-range=10.0.1.10,10.0.1.20"), [std::net::Ipv4Addr::UNSPECIFIED]);
    assert!(told("--dhcp-range=10.0.1.10,10.0.1.20\n--port=0").is_empty());
    assert!(told("--dhcp-range=10.0.1.10,10.0.1.20\n--port=5353").is_empty());
}

#[test]
fn servers() {
    let server = |address: &str| Server { address: address.parse().unwrap(), from: None, interface: None };
    let one = |options: &str| match &*routes(options) {
        [Route { scope, to: To::Server(server) }] => (scope.clone(), *server),
        other => panic!("{options}: {other:?}"),
    };
    let domain = |text| Scope::Domain(name(text));
    assert_eq!(one("--server=192.0.2.1"), (Scope::All, server("192.0.2.1:53")));
    assert_eq!(one("--server=/#/192.0.2.1#5353"), (Scope::All, server("192.0.2.1:5353")));
    assert_eq!(one("--local=/lan/2001:db8::1"), (domain("lan"), server("[2001:db8::1]:53")));
    let (_, from) = one("--server=192.0.2.1@lan@10.0.1.1#1053");
    assert_eq!((from.from, from.interface.unwrap().as_str()), (Some("10.0.1.1:1053".parse().unwrap()), "lan"));
    assert_eq!(one("--server=192.0.2.1@lan#99").1.from, Some("0.0.0.0:99".parse().unwrap()));
    assert_eq!(one("--server=fe80::1%lan").1.interface.unwrap().as_str(), "lan");
    let to = |options: &str| -> Vec<_> { routes(options).into_iter().map(|route| (route.scope, route.to)).collect() };
    assert_eq!(to("--server=/lan/#"), [(domain("lan"), To::Usual)]);
    assert_eq!(
        to("--server=/lan//*.dev/*oo.example/"),
        [
            (domain("lan"), To::Nobody),
            (Scope::Plain, To::Nobody),
            (Scope::Below(name("dev")), To::Nobody),
            (Scope::Ending(name("oo.example")), To::Nobody)
        ]
    );
    assert_eq!(to("--server=/lan/upstream#54").len(), 2, "a name with two addresses");
    assert_eq!(to("--server=upstream@10.0.1.1").len(), 1, "of the family that it is asked from");
    assert!(refused("--server=nowhere").contains("no address of the DNS server nowhere is found"));
    assert_eq!(to("--rev-server=10.1.0.0/16,#"), [(domain("1.10.in-addr.arpa"), To::Usual)]);
    assert_eq!(to("--rev-server=10.0.0.0/12").len(), 16);
}

#[test]
fn addresses_of_whole_domains() {
    let to = |options: &str| -> Vec<_> { routes(options).into_iter().map(|route| (route.scope, route.to)).collect() };
    let domain = |text| Scope::Domain(name(text));
    assert_eq!(to("--address=/ads.example/"), [(domain("ads.example"), To::Nobody)]);
    assert_eq!(to("--address=/ads.example/#"), [(domain("ads.example"), To::Null)]);
    let addresses = [(domain("a"), To::Address(ip("10.0.1.5"))), (domain("b"), To::Address(ip("10.0.1.5")))];
    assert_eq!(to("--address=/a/b/10.0.1.5"), addresses);
    assert_eq!(to("--address=::5"), [(Scope::All, To::Address(ip("::5")))]);
    assert_eq!(to("--address=/bücher.example/::5")[0].0, domain("xn--bcher-kva.example"));
}

#[test]
fn how_upstream_is_asked() {
    let forward = |options: &str| dns(options).settings.forward;
    assert_eq!(forward("--strict-order").order, Order::Strict);
    assert_eq!(forward("--all-servers").order, Order::All);
    let all = forward("--domain-needed\n--bogus-priv\n--filterwin2k\n--dns-loop-detect\n--proxy-dnssec");
    assert!(all.domain_needed && all.bogus_priv && all.filter_windows && all.detect_loops && all.pass_ad);
    assert_eq!(forward("--edns-packet-max=100").edns_max, 512);
    assert_eq!(forward("--edns-packet-max=4096").edns_max, 4096);
    assert_eq!(forward("--query-port=0").ports.fixed, Some(0));
    assert_eq!(forward("--min-port=4000").ports.range, Some((4000, 65535)));
    assert_eq!(forward("--max-port=4000").ports.range, Some((1024, 4000)));
    assert!(refused("--max-port=1000").contains("no port from 1024 to 1000"));
    assert_eq!(forward("--dns-forward-max=7").max, 7);
    let millis = Duration::from_millis;
    assert_eq!(forward("--fast-dns-retry").retry, Some(Retry { first: millis(1000), total: millis(10_000) }));
    assert_eq!(forward("--fast-dns-retry=100,500").retry, Some(Retry { first: millis(100), total: millis(500) }));
    assert_eq!(forward("--add-cpe-id=router 7").cpe_id, Some(b"router 7".to_vec()));
    assert_eq!(forward("--strip-mac\n--strip-subnet"), forward(""));
}

#[test]
fn what_is_not_believed() {
    let filter = |options: &str| dns(options).settings.filter;
    assert_eq!(filter("--filter-A\n--filter-AAAA\n--filter-rr=HTTPS,99").types.len(), 4);
    let rebind =
        filter("--stop-dns-rebind\n--rebind-localhost-ok\n--rebind-domain-ok=/a/b/\n--rebind-domain-ok=c").rebind;
    assert!(rebind.stop && rebind.localhost_ok);
    assert_eq!(rebind.domains_ok, ["a", "b", "c"].map(|domain| Scope::Domain(name(domain))));
    assert_eq!(filter("--bogus-nxdomain=192.0.2.7").bogus_nxdomain, ["192.0.2.7/32".parse().unwrap()]);
    assert_eq!(filter("--ignore-address=2001:db8::7/32").ignore, ["2001:db8::/32".parse().unwrap()]);
    let alias = |options: &str| {
        let alias = filter(options).alias[0];
        [alias.first, alias.last, alias.new, alias.mask].map(|address| address.to_string()).join(" ")
    };
    assert_eq!(alias("--alias=1.2.3.4,5.6.7.8"), "1.2.3.4 1.2.3.4 5.6.7.8 255.255.255.255");
    assert_eq!(alias("--alias=1.2.3.4,5.6.7.8,255.255.255.0"), "1.2.3.0 1.2.3.255 5.6.7.8 255.255.255.0");
    assert_eq!(alias("--alias=1.2.3.4-1.2.3.9,5.6.7.8,255.255.255.0"), "1.2.3.4 1.2.3.9 5.6.7.8 255.255.255.0");
}

#[test]
fn what_is_remembered() {
    let cache = |options: &str| dns(options).settings.cache;
    assert_eq!(cache("--cache-size=0").size, 0);
    assert!(!cache("--no-negcache").negative);
    assert_eq!(cache("--use-stale-cache").stale, Stale::For(Duration::from_secs(86_400)));
    assert_eq!(cache("--use-stale-cache=0").stale, Stale::Always);
    assert_eq!(cache("--use-stale-cache=5").stale, Stale::For(Duration::from_secs(5)));
    assert!(cache("--cache-rr=TXT,65").only.ends_with(&[Rtype::TXT, Rtype::HTTPS]));
    assert!(cache("--cache-rr=MX\n--cache-rr=ANY\n--cache-rr=TXT").only.is_empty());
    let ttls = cache("--neg-ttl=1\n--max-ttl=2\n--max-cache-ttl=3\n--min-cache-ttl=9999");
    assert_eq!(
        (ttls.negative_ttl, ttls.max_told_ttl, ttls.max_ttl, ttls.min_ttl),
        (Some(1), Some(2), Some(3), 3600),
        "dnsmasq raises nothing above an hour"
    );
    assert_eq!(cache("--max-ttl=0\n--max-cache-ttl=0").max_ttl, None, "no bound");
}

#[test]
fn files() {
    let resolv = |options: &str| dns(options).resolv.files;
    assert_eq!(resolv("--resolv-file=/a\n--resolv-file=/b"), [PathBuf::from("/a"), "/b".into()]);
    assert!(resolv("--resolv-file=").is_empty() && resolv("--no-resolv\n--resolv-file=/a").is_empty());
    assert!(!dns("--no-poll").resolv.watched && dns("--clear-on-reload").resolv.clears_cache);
    assert!(refused("--no-poll\n--resolv-file=/a\n--resolv-file=/b").contains("/b is another one"));
    let hosts = dns("--no-hosts\n--addn-hosts=/a\n--hostsdir=/b\n--expand-hosts");
    assert_eq!((hosts.hosts.paths, hosts.hosts.folders), (vec!["/a".into()], vec!["/b".into()]));
    assert!(hosts.settings.local.expand_hosts);
}

#[test]
fn records_of_hosts_lead_back_to_the_first_name() {
    let record = |owner: &str, data| Record { name: name(owner), data, ttl: Some(60) };
    let (v4, v6) = ("10.0.1.7".parse().unwrap(), "fd00::7".parse().unwrap());
    let back = |address: IpAddr| Name::reverse(address).to_string();
    assert_eq!(
        records("--host-record=box,Box.LAN,10.0.1.7,fd00::7,60"),
        [
            record("box", Data::A(v4)),
            record("box.lan", Data::A(v4)),
            record(&back(v4.into()), Data::Ptr(name("box"))),
            record("box", Data::Aaaa(v6)),
            record("box.lan", Data::Aaaa(v6)),
            record(&back(v6.into()), Data::Ptr(name("box"))),
        ]
    );
    assert_eq!(records("--host-record=a,10.0.1.7\n--host-record=b,10.0.1.7").len(), 3, "one way back");
}

#[test]
fn other_records() {
    let data = |options: &str| -> Vec<(String, Data)> {
        records(options).into_iter().map(|record| (record.name.to_string(), record.data)).collect()
    };
    let one = |options: &str, owner: &str, wanted: Data| assert_eq!(data(options), [(owner.to_owned(), wanted)]);
    assert_eq!(records("--cname=www,ftp,box,30").iter().map(|record| record.ttl).collect::<Vec<_>>(), [Some(30); 2]);
    one("--cname=www,60", "www", Data::Cname(name("60")));
    let mx = |preference, target| Data::Mx { preference, target: name(target) };
    one("--mx-host=lan", "lan", mx(1, "boss"));
    one("--mx-host=lan,mail.lan,7", "lan", mx(7, "mail.lan"));
    one("--mx-target=mail.lan", "boss", mx(1, "mail.lan"));
    assert_eq!(data("--mx-host=lan\n--mx-target=mail.lan"), [("lan".into(), mx(1, "mail.lan"))]);
    let local = dns("--localmx\n--selfmx").settings.local;
    assert!(local.mx.to_itself && local.mx.to_target && local.mx.target == Some(name("boss")));
    let srv = |port, priority, weight, target| Data::Srv { port, priority, weight, target };
    one("--srv-host=_a._tcp,box,80,1,2\n--domain=lan", "_a._tcp.lan", srv(80, 1, 2, name("box")));
    one("--srv-host=_a._tcp.x\n--domain=lan", "_a._tcp.x", srv(1, 0, 0, Name::root()));
    one("--txt-record=t,a b", "t", Data::Txt(vec![b"a b".to_vec()]));
    one(&format!("--txt-record=t,{}", "x".repeat(300)), "t", Data::Txt(vec![vec![b'x'; 255], vec![b'x'; 45]]));
    one("--txt-record=t", "t", Data::Txt(vec![Vec::new()]));
    one("--ptr-record=p,Some Name._http._tcp", "p", Data::Ptr(name("some name._http._tcp")));
    let (flags, services, regexp) = (b"u".to_vec(), b"E2U+sip".to_vec(), b"!^.*$!sip:a@b!".to_vec());
    let naptr = Data::Naptr { order: 1, preference: 2, flags, services, regexp, replacement: Name::root() };
    one("--naptr-record=n,1,2,u,E2U+sip,!^.*$!sip:a@b!", "n", naptr);
    one("--caa-record=c,0,issue,a,b", "c", Data::Caa { flags: 0, tag: b"issue".to_vec(), value: b"a,b".to_vec() });
    let other = |data: &[u8]| Data::Other { kind: Rtype::from_int(99), data: data.to_vec() };
    one("--dns-rr=r,99,01:2:34 5678", "r", other(&[1, 2, 0x34, 0x56, 0x78]));
    one("--dns-rr=r,99", "r", other(&[]));
}

#[test]
fn mail_goes_where_it_is_said_though_this_host_has_no_name() {
    let lower = |options: &str| lower::lower(&read(options), &Nameless);
    let (service, _) = lower("--mx-host=lan,mail.lan,7").unwrap();
    let mail = Data::Mx { preference: 7, target: name("mail.lan") };
    assert_eq!(
        service.config.dns.unwrap().settings.local.records,
        [Record { name: name("lan"), data: mail, ttl: None }]
    );
    assert_eq!(lower("--mx-host=lan\n--mx-target=m").unwrap().0.config.dns.unwrap().settings.local.records.len(), 1);
    let found = lower("--mx-host=lan").expect_err("nobody is left").to_string();
    assert!(found.contains("nobody is said to take mail for lan"), "{found}");
}

#[test]
fn thousands_of_hosts_lead_back_each_in_no_time() {
    let line = |number: u32| {
        format!("--host-record=box{number}.lan,10.{}.{}.{}\n", number >> 16, number >> 8 & 255, number & 255)
    };
    assert_eq!(records(&(0..20_000).map(line).collect::<String>()).len(), 40_000);
}

#[test]
fn names_that_depend_on_addresses() {
    let local = |options: &str| dns(options).settings.local;
    let host = &local("--dynamic-host=box,0.0.0.8,::8,lan").dynamic_hosts[0];
    assert_eq!((host.v4, host.v6, &*host.interface), (Some([0, 0, 0, 8].into()), Some("::8".parse().unwrap()), "lan"));
    let of = &local("--interface-name=box,lan/6").interface_names[0];
    assert_eq!((of.v4, of.v6, &*of.interface), (false, true, "lan"));
    let synth = |options: &str| {
        let synth = local(options).synth.remove(0);
        format!("{} {} {} {} {}", synth.domain, synth.first, synth.last, synth.prefix, synth.counted)
    };
    assert_eq!(synth("--synth-domain=x,10.0.1.0/24,Host-"), "x 10.0.1.0 10.0.1.255 host- false");
    assert_eq!(synth("--synth-domain=x,10.0.1.4,10.0.1.9,h-*"), "x 10.0.1.4 10.0.1.9 h- true");
    assert_eq!(synth("--synth-domain=x,fd00::/120"), "x fd00:: fd00::ff  false");
}

#[test]
fn domains_of_machines() {
    let local =
        dns("--domain=lan\n--domain=ten,10.0.1.0/24,local\n--domain=six,fd00::/64\n--domain=net,wan").settings.local;
    let of = |address: &str| local.domains.of(ip(address)).map(Name::to_string);
    assert_eq!(of("10.0.1.7").as_deref(), Some("ten"));
    assert_eq!(of("fd00::7").as_deref(), Some("six"));
    assert_eq!(of("192.0.2.7").as_deref(), Some("net"));
    assert_eq!(of("10.9.9.9").as_deref(), Some("lan"));
    let kept: Vec<_> =
        routes("--domain=ten,10.0.1.0/24,local").into_iter().map(|route| (route.scope, route.to)).collect();
    let domains = ["ten", "1.0.10.in-addr.arpa"].map(|domain| (Scope::Domain(name(domain)), To::Nobody));
    assert_eq!(kept, domains);
    let searched = dns("--domain=#").settings.local.domains.default;
    assert_eq!(searched, Some(name("corp.example")));
    assert!(dns("--dhcp-fqdn\n--domain=lan").settings.local.leases_by_full_name_only);
}

#[test]
fn what_is_told_of_and_to_whom() {
    let local = dns("--localise-queries\n--no-round-robin\n--no-ident\n--local-ttl=5\n--dhcp-ttl=0").settings.local;
    assert!(local.localise && local.keep_order && !local.identify);
    assert_eq!((local.ttl, local.lease_ttl), (5, Some(0)));
    assert_eq!(dns("--max-tcp-connections=3").max_tcp, 3);
    let logs = |options: &str| {
        let (service, _) = lower(options).unwrap();
        (service.config.dns.unwrap().settings.log, service.process.log_queries_extra)
    };
    assert_eq!([logs(""), logs("-q"), logs("--log-queries=extra")], [(false, false), (true, false), (true, true)]);
    let clients = |options: &str| dns(options).clients;
    assert_eq!(clients("--local-service"), DnsClients::Neighbours);
    assert_eq!(clients("--local-service=host"), DnsClients::ThisHost);
    for named in ["--interface=lan", "--except-interface=wan", "--listen-address=10.0.1.1"] {
        assert_eq!(clients(&format!("--local-service\n{named}")), DnsClients::All, "{named} says enough");
    }
}

#[test]
fn where_dns_is_answered() {
    let lan = ["lan 10.0.1.1", "lan 10.0.2.1", "lan fd00::1", "lan fe80::1"];
    let lo = ["lo 127.0.0.1", "lo ::1"];
    let all = [&lo[..], &lan, &["wan 192.0.2.9"]].concat();
    assert_eq!(at(""), all);
    assert_eq!(at("--interface=lan"), [&lo[..], &lan].concat(), "and on the loopback");
    assert_eq!(at("--interface=la*\n--except-interface=lo"), lan);
    assert_eq!(at("--except-interface=lan"), ["lo 127.0.0.1", "lo ::1", "wan 192.0.2.9"]);
    assert_eq!(at("--listen-address=10.0.2.1"), ["lan 10.0.2.1"], "there alone");
    assert_eq!(at("--listen-address=127.0.0.53,fd00::1"), ["lo 127.0.0.53", "lan fd00::1"]);
    assert_eq!(
        at("--interface=wan\n--listen-address=10.0.2.1"),
        ["lo 127.0.0.1", "lo ::1", "lan 10.0.2.1", "wan 192.0.2.9"]
    );
    assert_eq!(at("--no-dhcp-interface=lan\n--interface=lan"), [&lo[..], &lan].concat());
    assert_eq!(at("--local-service=host"), lo);
    assert_eq!(at("--local-service=host\n--interface=wan"), ["lo 127.0.0.1", "lo ::1", "wan 192.0.2.9"]);
}

#[test]
fn dns_alone_needs_no_network_of_machines() {
    struct Alone;
    impl Surroundings for Alone {
        fn look(&self, path: &Path) -> io::Result<Entry> {
            Host.look(path)
        }
        fn names(&self, folder: &Path) -> Vec<String> {
            Host.names(folder)
        }
        fn interfaces(&self) -> Vec<Nic> {
            Host.interfaces().into_iter().filter(|nic| nic.is_loopback).collect()
        }
    }
    let lower = |options: &str| lower::lower(&read(options), &Alone);
    let (Service { config, later, .. }, _) = lower("--interface=later").unwrap();
    assert_eq!((config.network.link.name(), config.served.len()), ("lo", 0));
    let come = Nic { name: "later".into(), v6: vec!["fd00::9/64".parse().unwrap()], ..Nic::default() };
    assert_eq!(later.dns_at(&[come]), [DnsAt { interface: "later".into(), address: ip("fd00::9") }]);
    assert!(lower("--interface=later\n--bind-interfaces").is_err(), "as in dnsmasq, it must be there");
    assert!(lower("--interface=later\n--dhcp-range=10.0.1.10,10.0.1.20").is_err());
    assert!(lower("--port=0").is_err(), "nothing is served at all");
}

/// A `servers-file` as it is now.
struct OneFile(&'static str);

impl FileSystem for OneFile {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.into())
    }

    fn files(&self, _: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        Err(io::ErrorKind::NotADirectory.into())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn run(&self, _: &str) -> io::Result<(Vec<u8>, bool)> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[test]
fn servers_of_a_file_come_and_go_as_it_is_read_again() {
    let directives = read("--server=192.0.2.1\n--servers-file=/servers");
    let mut lists = Lists::named(&directives);
    let mut servers = |text| {
        let found = lists.read(&OneFile(text)).found;
        let (service, _) = lower::lower_with(&directives, &lists, &Host).unwrap();
        (service.config.dns.unwrap().settings.routes.len(), found)
    };
    assert_eq!(servers("server=/a/192.0.2.2\nrev-server=10.0.1.0/24,192.0.2.2\n").0, 3);
    let (count, found) = servers("local=/a/\nserver=192.0.2.2\nserver=1.2\nno-such\n");
    assert_eq!((count, found.iter().count()), (2, 3), "{found}");
    assert!(found.to_string().contains("/servers:1:1") && !found.has_errors(), "{found}");
    assert_eq!(servers("").0, 1);
}

#[test]
fn aliases_are_one_others_and_never_their_own() {
    let refusal = |options: &str| {
        let args: Vec<_> = format!("--conf-file=\n{options}").lines().map(Into::into).collect();
        Dialect::read(&args, &Disk).expect_err(options).diagnostics.to_string()
    };
    assert!(refusal("--cname=a,b\n--cname=A,c").contains("`a` is made another name's alias again"));
    assert!(refusal("--cname=a,b\n--cname=b,c\n--cname=c,a").contains("`c` is an alias of itself"));
    let _ = refusal("--cname=x,x");
    read("--cname=a,b\n--cname=b,c\n--cname=d,b");
}
