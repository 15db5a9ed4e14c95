//! Domains that lead to servers of their own, and where servers are read from.

use nix::sys::signal::Signal;

use crate::dns::ask::{ask, ask_name_of};
use crate::dns::compare::What;
use crate::dns::scenario::{Group, run};
use crate::dns::upstream::Upstream;

const NAMES: &[&str] = &["who.example.net A", "who.example.org A", "who.sub.example.org A", "who.test A", "whoever A"];

fn three() -> [Upstream; 3] {
    [Upstream::new(11), Upstream::new(12), Upstream::new(13)]
}

#[test]
fn domains() {
    let group = |name: &'static str, conf: &[&str]| Group::new(name, conf).upstreams(&three()).asks(NAMES);
    run(&[
        group("a domain", &["server=/example.org/10.9.0.12"]),
        group("a domain in capitals", &["server=/EXAMPLE.org/10.9.0.12"]),
        group("a domain with dots around", &["server=/.example.org./10.9.0.12"]),
        group("below a domain", &["server=/example.org/10.9.0.12", "server=/sub.example.org/10.9.0.13"]),
        group("two domains in a line", &["server=/example.org/test/10.9.0.12"]),
        group("two servers of a domain", &["server=/example.org/10.9.0.12", "server=/example.org/10.9.0.13"])
            .by_chance(&[What::Asked, What::Answer], super::PICKS),
        group("names of one label", &["server=//10.9.0.12"]),
        group("the usual servers", &["server=/example.org/10.9.0.12", "server=/sub.example.org/#"]),
        group("nobody", &["server=/example.org/"]),
        group("nobody, but somebody below", &["server=/example.org/", "server=/sub.example.org/10.9.0.12"]),
        group("local", &["local=/example.org/"]),
        group("a part of a label", &["server=/*ample.org/10.9.0.12"]),
        group("half a label is none", &["server=/ple.org/10.9.0.12"]),
        group("all by name", &["server=/#/10.9.0.12"]).by_chance(&[What::Asked, What::Answer], super::PICKS),
        group("IPv6", &["server=/example.org/fd09::c"]),
        group("from an address", &["server=/example.org/10.9.0.12@10.9.0.1"]),
        group("from an interface", &["server=/example.org/10.9.0.12@wan"]),
        group("domain-needed and names of one label", &["server=//10.9.0.12", "domain-needed"]),
        group("address and server", &["address=/example.org/10.1.1.1", "server=/sub.example.org/10.9.0.12"]),
        group("server and address below", &["server=/example.org/10.9.0.12", "address=/sub.example.org/10.1.1.1"]),
        group("address for IPv4 and server", &["address=/example.org/fd01::9", "server=/example.org/10.9.0.12"]),
    ])
}

#[test]
fn ports_of_servers() {
    let odd = Upstream::new(12).at_port(5353);
    run(&[
        Group::new("another port", &["server=/example.org/10.9.0.12#5353"])
            .upstreams(&[Upstream::new(11), odd.clone()])
            .asks(NAMES),
        Group::new("IPv6 and another port", &["server=/example.org/fd09::c#5353"])
            .upstreams(&[Upstream::new(11), odd])
            .asks(NAMES),
    ])
}

#[test]
fn names_of_addresses() {
    let group = |name: &'static str, conf: &[&str]| {
        Group::new(name, conf)
            .upstreams(&three())
            .ask("in it", ask_name_of("192.0.2.80"))
            .ask("beside it", ask_name_of("192.0.3.80"))
            .ask("private", ask_name_of("10.0.1.50"))
            .ask("IPv6", ask_name_of("fd00::7"))
    };
    run(&[
        group("rev-server of 24", &["rev-server=192.0.2.0/24,10.9.0.12"]),
        group("rev-server of 16", &["rev-server=192.0.0.0/16,10.9.0.12"]),
        group("rev-server of 23", &["rev-server=192.0.2.0/23,10.9.0.12"]),
        group("rev-server of 28", &["rev-server=192.0.2.80/28,10.9.0.12"]),
        group("rev-server of IPv6", &["rev-server=fd00::/64,10.9.0.12"]),
        group("rev-server of nobody", &["rev-server=192.0.2.0/24"]),
        group("bogus-priv", &["bogus-priv"]),
        group("bogus-priv and rev-server", &["bogus-priv", "rev-server=10.0.1.0/24,10.9.0.12"]),
        group("bogus-priv and server", &["bogus-priv", "server=/10.in-addr.arpa/10.9.0.12"]),
    ])
}

#[test]
fn files_of_servers() {
    run(&[
        Group::bare("resolv-file", &["no-hosts", "cache-size=0", "resolv-file=FOLDER/resolv"])
            .file("resolv", "# ours\nsearch example.net\nnameserver 10.9.0.12\noptions rotate\n")
            .upstreams(&three())
            .asks(&NAMES[..2])
            .write("resolv", "nameserver 10.9.0.13\n")
            .signal(Signal::SIGHUP)
            .ask("changed", ask("who.test A"))
            .until("192.0.2.13"),
        Group::bare("no-poll", &["no-hosts", "cache-size=0", "no-poll", "resolv-file=FOLDER/resolv"])
            .file("resolv", "nameserver 10.9.0.12\n")
            .upstreams(&three())
            .asks(&NAMES[..1])
            .write("resolv", "nameserver 10.9.0.13\n")
            .signal(Signal::SIGHUP)
            .ask("read again", ask("who.test A"))
            .until("192.0.2.13"),
        Group::bare("clear-on-reload", &["no-hosts", "clear-on-reload", "resolv-file=FOLDER/resolv"])
            .file("resolv", "nameserver 10.9.0.12\n")
            .upstreams(&three())
            .asks(&["who.example.net A", "who.example.net A"])
            .write("resolv", "nameserver 10.9.0.13\n")
            .ask("another server's answer", ask("who.example.net A"))
            .until("192.0.2.13"),
        Group::bare("an IPv6 server in resolv-file", &["no-hosts", "resolv-file=FOLDER/resolv"])
            .file("resolv", "nameserver fd09::c\n")
            .upstreams(&three())
            .asks(&NAMES[..1]),
        Group::bare(
            "resolv-file and server",
            &["no-hosts", "resolv-file=FOLDER/resolv", "server=/example.org/10.9.0.13"],
        )
        .file("resolv", "nameserver 10.9.0.12\n")
        .upstreams(&three())
        .asks(NAMES),
        Group::bare("a resolv-file that is not there yet", &["no-hosts", "cache-size=0", "resolv-file=FOLDER/resolv"])
            .upstreams(&three())
            .asks(&NAMES[..1])
            .write("resolv", "nameserver 10.9.0.12\n")
            .ask("once it is there", ask("who2.example.net A"))
            .until("192.0.2.12"),
        Group::bare("an empty resolv-file", &["no-hosts", "resolv-file=FOLDER/resolv"])
            .file("resolv", "# nobody\n")
            .upstreams(&three())
            .asks(&NAMES[..1]),
        Group::bare("servers-file", &["no-hosts", "no-resolv", "cache-size=0", "servers-file=FOLDER/servers"])
            .file("servers", "server=10.9.0.11\nserver=/example.org/10.9.0.12\n")
            .upstreams(&three())
            .asks(NAMES)
            .write("servers", "server=10.9.0.11\nserver=/test/10.9.0.13\n")
            .signal(Signal::SIGHUP)
            .ask("read again", ask("who.test A"))
            .until("192.0.2.13")
            .ask("and the other one forgotten", ask("who.sub.example.org A")),
    ])
}
