//! Who is answered, and where.

use crate::dns::ask::ask;
use crate::dns::compare::{Outcome, What};
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

/// A client behind a router: not of a subnet of ours.
fn with_stranger(group: Group) -> Group {
    group.command("ip route add 10.77.0.0/24 via 10.0.1.2").client_command("ip address add 10.77.0.1/32 dev eth0")
}

#[test]
fn strangers() {
    let asked = |group: Group| with_stranger(group).ask("a neighbour", ask("www.example.net A"));
    run(&[
        asked(Group::new("local-service", &["local-service"]))
            .ask("a stranger", ask("www.example.net A").from("10.77.0.1")),
        // Without interfaces and addresses, it counts.
        asked(Group::new("local-service, all interfaces", &["local-service"]).names_no_interfaces())
            .ask("a stranger", ask("www.example.net A").from("10.77.0.1"))
            .unanswered()
            .ask("a stranger by TCP", ask("www.example.net A").from("10.77.0.1").tcp())
            .ask("over IPv6", ask("www.example.net A").to("fd01::1")),
        asked(Group::new("all interfaces", &[]).names_no_interfaces())
            .ask("a stranger", ask("www.example.net A").from("10.77.0.1")),
        Group::new("local-service=host", &["local-service=host"])
            .names_no_interfaces()
            .ready_at_home()
            .ask("at home", ask("www.example.net A").at_home())
            .ask("a neighbour", ask("www.example.net A")),
    ])
}

#[test]
fn addresses_and_ports() {
    let other = |group: Group| group.cable("other", &["10.0.2.1/24"], &["10.0.2.2/24"]);
    let both = |group: Group| {
        group
            .ask("the first", ask("www.example.net A"))
            .ask("the other", ask("www.example.net A").to("10.0.2.1").from("10.0.2.2"))
    };
    run(&[
        Group::new("port", &["port=5353"])
            .ask("there", ask("www.example.net A"))
            .ask("not at 53", ask("www.example.net A").port(53))
            .ask("by TCP", ask("v4.example.net A").tcp()),
        both(other(Group::new("two interfaces", &[]))).ask("IPv6", ask("www.example.net A").to("fd01::1")),
        both(other(Group::new("one interface", &["interface=net", "bind-interfaces"]).names_no_interfaces())),
        both(other(
            Group::new("except-interface", &["except-interface=other", "bind-interfaces"]).names_no_interfaces(),
        )),
        both(other(
            Group::new("listen-address", &["listen-address=10.0.1.1", "bind-interfaces"]).names_no_interfaces(),
        )),
        both(other(Group::new("one interface, not bound", &["interface=net"]).names_no_interfaces()))
            .unanswered()
            .differs(What::Heard, "no socket of ours is open where nobody is served"),
        both(other(Group::new("bind-dynamic", &["interface=net", "bind-dynamic"]).names_no_interfaces())),
        other(Group::new("across", &[]))
            .command("ip route add 10.77.0.0/24 via 10.0.1.2")
            .ask("the other's address by the first cable", ask("www.example.net A").to("10.0.2.1")),
    ])
}

/// Ports that upstream queries came from, on either side.
fn ports(name: &'static str, lines: &[&str]) -> [Vec<u16>; 2] {
    let names: Vec<String> = (0..20).map(|at| format!("n{at}.wild.example.net A")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let group = Group::new(name, lines).upstreams(&[Upstream::new(11), Upstream::new(12)]).asks(&names);
    let ports = |outcomes: &Vec<Outcome>| outcomes.iter().flat_map(|it| &it.asked).map(|it| it.from.port()).collect();
    group.outcomes().each_ref().map(ports)
}

fn distinct(ports: &[u16]) -> usize {
    ports.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn ports_of_queries() {
    for side in ports("query-port", &["query-port=5399"]) {
        assert!(side.iter().all(|port| *port == 5399), "{side:?}");
    }
    for side in ports("a range", &["min-port=40000", "max-port=40100"]) {
        assert!(side.iter().all(|port| (40000..=40100).contains(port)), "{side:?}");
        assert!(side.is_empty() || distinct(&side) > 3, "{side:?}");
    }
    for side in ports("any", &[]) {
        assert!(side.iter().all(|port| *port >= 1024), "{side:?}");
        // A socket of ours is used more than once.
        assert!(side.is_empty() || distinct(&side) > 3, "{side:?}");
    }
    for side in ports("from an address and a port", &["server=/example.net/10.9.0.12@10.9.0.1#5454"]) {
        assert!(side.iter().all(|port| *port == 5454), "{side:?}");
    }
}

#[test]
fn ids_of_queries() {
    let names: Vec<String> = (0..20).map(|at| format!("n{at}.wild.example.net A")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for side in Group::new("ids", &[]).asks(&names).outcomes() {
        let ids: Vec<u16> = side.iter().flat_map(|outcome| &outcome.asked).map(|asked| asked.id).collect();
        let steps: Vec<u16> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(ids.is_empty() || distinct(&ids) > 15 && distinct(&steps) > 10, "{ids:?}");
    }
}
