//! Settings of all sorts, in few octets.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dns::settings::{
    Alias, DynamicHost, InterfaceName, OfInterface, Order, Retry, Route, Scope, Server, Settings, Stale, Synth, To,
};
use dns::{Data, Name, Record, Rtype};

use crate::input::Input;

/// A server that answers everything soundly, this soon, whatever the others do: then nobody waits for long.
#[derive(Clone, Copy)]
pub struct Lives {
    pub server: Server,
    pub takes: Duration,
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a name of ours")
}

pub fn server(port: u16) -> Server {
    let interface = (port == 3).then(|| InterfaceName::new("eth1")).flatten();
    Server { address: ([192, 0, 2, 1], port).into(), from: None, interface }
}

/// `None`: all servers are the input's.
pub fn lives(input: &mut Input<'_>) -> Option<Lives> {
    let bits = input.u8();
    let takes = Duration::from_millis(1 + u64::from(bits & 15) * 12);
    (bits & 0x80 != 0).then(|| Lives { server: server(1 + u16::from(bits >> 4 & 3)), takes })
}

pub fn settings(input: &mut Input<'_>, lives: Option<Lives>) -> Settings {
    let mut settings = Settings::default();
    let [servers, forward, cache, filter, local] = [(); 5].map(|()| input.u8());
    settings.routes = routes(servers, lives);
    settings.log = servers & 0x80 != 0;
    forwarding(&mut settings, forward, input, lives);
    caching(&mut settings, cache);
    filters(&mut settings, filter);
    locals(&mut settings, local);
    settings
}

fn routes(bits: u8, lives: Option<Lives>) -> Vec<Route> {
    let mut servers: Vec<Server> = (1..=u16::from(bits & 3) + 1).map(server).collect();
    servers.extend(lives.map(|lives| lives.server).filter(|server| !servers.contains(server)));
    if bits & 8 != 0 {
        servers.reverse();
    }
    let mut routes: Vec<Route> =
        servers.into_iter().map(|server| Route { scope: Scope::All, to: To::Server(server) }).collect();
    let mut to = |scope, to| routes.push(Route { scope, to });
    if bits & 16 != 0 {
        to(Scope::Domain(name("local.test")), To::Nobody);
        to(Scope::Below(name("b.local.test")), To::Usual);
    }
    if bits & 32 != 0 {
        to(Scope::Domain(name("ads.test")), To::Address([10, 0, 0, 7].into()));
        to(Scope::Ending(name("ds.test")), To::Null);
    }
    if bits & 64 != 0 {
        to(Scope::Domain(name("srv.test")), To::Server(server(5)));
    }
    routes
}

fn forwarding(settings: &mut Settings, bits: u8, input: &mut Input<'_>, lives: Option<Lives>) {
    let forward = &mut settings.forward;
    forward.order = [Order::Quickest, Order::All, Order::Strict, Order::Quickest][usize::from(bits & 3)];
    forward.max = [1000, 2, 1, 16][usize::from(bits >> 2 & 3)];
    forward.random_case = bits & 16 == 0;
    let strange = if bits & 32 != 0 { input.u8() } else { 0 };
    let millis = Duration::from_millis;
    let retry = Retry { first: millis(u64::from(strange & 15) * 100), total: millis(u64::from(strange >> 4) * 500) };
    forward.retry = (strange != 0).then_some(retry);
    forward.detect_loops = bits & 64 == 0;
    let more = if bits & 128 != 0 { input.u8() } else { 0 };
    (forward.domain_needed, forward.bogus_priv) = (more & 1 == 0, more & 2 == 0);
    (forward.filter_windows, forward.pass_ad) = (more & 4 != 0, more & 8 != 0);
    forward.cpe_id = (more & 16 != 0).then(|| b"lab".to_vec());
    forward.edns_max = [1232, 512, 65_535, 4096][usize::from(more >> 5 & 3)];
    if lives.is_some() {
        forward.retry = None;
        if forward.order == Order::Strict {
            forward.order = Order::All;
        }
    }
}

fn caching(settings: &mut Settings, bits: u8) {
    let cache = &mut settings.cache;
    cache.size = [50, 0, 1, 4][usize::from(bits & 3)];
    cache.stale =
        [Stale::Never, Stale::Always, Stale::For(Duration::from_secs(40)), Stale::Never][usize::from(bits >> 2 & 3)];
    cache.negative = bits & 16 == 0;
    cache.negative_ttl = (bits & 32 != 0).then_some(30);
    match bits >> 6 {
        0 => {}
        1 => cache.min_ttl = 100,
        2 => (cache.max_ttl, cache.max_told_ttl) = (Some(20), Some(5)),
        _ => cache.only = vec![Rtype::A],
    }
}

fn filters(settings: &mut Settings, bits: u8) {
    let filter = &mut settings.filter;
    let net = |text: &str| text.parse().expect("a network");
    (filter.rebind.stop, filter.rebind.localhost_ok) = (bits & 1 != 0, bits & 2 != 0);
    if bits & 4 != 0 {
        filter.bogus_nxdomain = vec![net("9.67.0.0/16")];
    }
    if bits & 8 != 0 {
        filter.ignore = vec![net("9.66.0.0/16")];
    }
    if bits & 16 != 0 {
        let v4 = |octets: [u8; 4]| Ipv4Addr::from(octets);
        let (first, last) = (v4([9, 68, 0, 0]), v4([9, 68, 255, 255]));
        filter.alias = vec![Alias { first, last, new: v4([9, 69, 0, 0]), mask: v4([255, 255, 0, 0]) }];
    }
    let kinds = [Rtype::A, Rtype::AAAA, Rtype::CNAME, Rtype::MX, Rtype::ANY];
    filter.types.extend(kinds.get(usize::from(bits >> 5)).filter(|_| bits >> 5 > 0));
}

fn locals(settings: &mut Settings, bits: u8) {
    let local = &mut settings.local;
    (local.ttl, local.expand_hosts, local.localise) = (u32::from(bits & 1) * 9, bits & 2 != 0, bits & 4 != 0);
    (local.keep_order, local.identify) = (bits & 8 != 0, bits & 16 == 0);
    local.domains.default = (bits & 32 != 0).then(|| name("lan"));
    local.leases_by_full_name_only = bits & 64 != 0;
    if bits & 128 == 0 {
        return;
    }
    let record = |owner: &str, data| Record { name: name(owner), data, ttl: None };
    local.records = vec![
        record("alias.lan", Data::Cname(name("aa.test"))),
        record("long.lan", Data::Cname(name("alias.lan"))),
        record("own.test", Data::A([10, 0, 0, 3].into())),
        record("*.wild.lan", Data::Cname(name("ab.test"))),
        record("txt.lan", Data::Txt(vec![vec![b't'; 200]; 6])),
        record("lan", Data::Mx { preference: 1, target: name("own.test") }),
    ];
    local.interface_names = vec![OfInterface { name: name("if.lan"), interface: "lan".into(), v4: true, v6: true }];
    let v4 = Some(Ipv4Addr::new(0, 0, 0, 77));
    local.dynamic_hosts = vec![DynamicHost { name: name("dyn.lan"), interface: "lan".into(), v4, v6: None }];
    let (first, last) = (IpAddr::from([10, 0, 9, 0]), [10, 0, 9, 255].into());
    local.synth = vec![Synth { domain: name("lan"), first, last, prefix: "s-".into(), counted: bits & 1 != 0 }];
    (local.mx.to_itself, local.mx.to_target, local.mx.target) = (bits & 2 != 0, bits & 4 != 0, Some(name("mail.lan")));
}
