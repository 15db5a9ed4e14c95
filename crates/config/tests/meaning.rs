//! What is meant by what is said: defaults, flags over files, published names, trees found by their looks.

mod world;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use boot::{Chain, Target};
use config::{Config, Dhcp, Gives, Http, Link, Loaded, Publish, Range, Source, Tftp};
use dhcp::Platform;
use journal::Role;

fn loaded(flags: &str, file: &str) -> Loaded {
    world::load(flags, file).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn config(flags: &str, file: &str) -> Config {
    loaded(flags, file).config
}

fn dhcp(flags: &str, file: &str) -> Dhcp {
    config(flags, file).dhcp.unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn file(name: &str, path: &str, role: Role) -> Publish {
    Publish { name: name.into(), source: Source::File(path.into()), role }
}

fn folder(path: &str) -> Publish {
    Publish { name: String::new(), source: Source::Folder(path.into()), role: Role::Other }
}

#[test]
fn one_line_of_flags_is_enough() {
    let flags = "--bridge net=10.0.1.1/24 --kernel /srv/vmlinuz --initrd /srv/initrd.img --cmdline quiet";
    let Loaded { config, warnings, .. } = loaded(flags, "");
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.network.link, Link::Bridge { name: "net".into(), ports: vec![] });
    assert_eq!(config.network.address, Some("10.0.1.1/24".parse().unwrap()));
    assert!(config.network.masquerade);
    assert_eq!(config.tftp, Some(Tftp::default()));
    assert_eq!(config.http, Some(Http { port: 80 }));
    assert_eq!((config.boot.tftp, config.boot.http_port), (true, Some(80)));
    assert_eq!(
        config.boot.target,
        Target::Linux {
            kernel: "boot/vmlinuz".into(),
            initrds: vec!["boot/initrd.img".into()],
            cmdline: "quiet".into()
        }
    );
    let kernel = file("boot/vmlinuz", "/srv/vmlinuz", Role::Kernel);
    let initrd = file("boot/initrd.img", "/srv/initrd.img", Role::Initrd);
    assert_eq!(config.publish, [kernel, initrd]);
    assert_eq!(config.state_dir, Path::new("/var/lib/lanboot"));
    let dhcp = config.dhcp.unwrap();
    assert_eq!(dhcp.dynamic().collect::<Vec<_>>(), [(ip("10.0.1.100"), ip("10.0.1.254"))]);
    assert_eq!((dhcp.ranges[0].lease, dhcp.lease_limit), (Duration::from_secs(12 * 3600), None));
    assert_eq!((dhcp.router, dhcp.authoritative), (Some(ip("10.0.1.1")), true));
}

#[test]
fn an_interface_is_used_with_the_address_it_has() {
    let config = config("--interface eth1 --script /srv/menu.ipxe", "");
    assert_eq!(config.network.link, Link::Existing { name: "eth1".into() });
    assert_eq!(config.network.address, None);
    assert!(!config.network.masquerade);
    let dhcp = config.dhcp.unwrap();
    assert_eq!(dhcp.dynamic().collect::<Vec<_>>(), [(ip("192.168.7.100"), ip("192.168.7.254"))]);
    assert_eq!(dhcp.router, None);
}

#[test]
fn ranges_of_an_interface_without_an_address_stay_open() {
    assert_eq!(dhcp("--interface eth9 --script /srv/menu.ipxe", "").ranges, []);
}

#[test]
fn proxy_mode_is_one_word_and_gives_out_nothing() {
    let by_flag = dhcp("--bridge net=10.0.1.1/24 --proxy", "");
    let by_file = dhcp("", "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\n[dhcp]\nmode = \"proxy\"\n");
    assert_eq!(by_flag, by_file);
    let [range] = by_flag.ranges.as_slice() else { panic!("{:?}", by_flag.ranges) };
    assert_eq!((range.gives, range.subnet), (config::Gives::Proxy, "10.0.1.0/24".parse().unwrap()));
    assert_eq!(by_flag.conflict_check, config::ConflictCheck::Off);
    assert!(by_flag.is_proxy_only() && by_flag.listens_on_4011() && by_flag.rules.pxe.enabled);
    assert!(!dhcp("--bridge net=10.0.1.1/24", "").listens_on_4011());
}

#[test]
fn own_address_is_taken_out_of_the_ranges_and_they_are_put_in_order() {
    let flags =
        "--bridge net=10.0.1.5/24 --script /srv/menu.ipxe --range 10.0.1.50-10.0.1.60 --range 10.0.1.2-10.0.1.9";
    let ranges: Vec<_> = dhcp(flags, "").dynamic().collect();
    let expected = [("10.0.1.2", "10.0.1.4"), ("10.0.1.6", "10.0.1.9"), ("10.0.1.50", "10.0.1.60")];
    assert_eq!(ranges, expected.map(|(first, last)| (ip(first), ip(last))));
}

const FILE: &str = r#"
[network]
bridge = "net"
address = "10.0.1.1/24"
ports = ["eth1"]
masquerade = false
[dhcp]
range = ["10.0.1.10-10.0.1.19", "10.0.1.30-10.0.1.39"]
lease = "1h"
allocation = "hashed"
router = "none"
[boot]
kernel = "vmlinuz"
initrd = "initrd.img"
cmdline = "quiet"
[http]
port = 8080
"#;

#[test]
fn flags_go_over_the_file_value_by_value() {
    let unchanged = dhcp("", FILE);
    let changed = dhcp("--lease 2h --range 10.0.1.50-10.0.1.59", FILE);
    assert_eq!(unchanged.ranges[0].lease, Duration::from_secs(3600));
    let range = Range {
        lease: Duration::from_secs(7200),
        gives: Gives::Addresses(ip("10.0.1.50"), ip("10.0.1.59")),
        ..unchanged.ranges[0].clone()
    };
    let expected = Dhcp { ranges: vec![range], ..unchanged };
    assert_eq!(changed, expected);
    let Target::Linux { cmdline, initrds, .. } = config("--cmdline verbose", FILE).boot.target else { panic!() };
    assert_eq!((cmdline.as_str(), initrds.len()), ("verbose", 1));
}

#[test]
fn a_flag_drops_what_it_displaces() {
    let script = config("--script /srv/menu.ipxe", FILE);
    assert_eq!(script.boot.target, Target::Script { name: "boot/menu.ipxe".into() });
    assert_eq!(script.publish, [file("boot/menu.ipxe", "/srv/menu.ipxe", Role::Script)]);
    let interface = config("--interface eth1 --address 10.0.1.7/24", FILE);
    assert_eq!(interface.network.link, Link::Existing { name: "eth1".into() });
    let bridge = config("--bridge other", FILE);
    assert_eq!(bridge.network.link, Link::Bridge { name: "other".into(), ports: vec!["eth1".into()] });
}

#[test]
fn services_can_be_off() {
    let config = config("--no-dhcp --no-http", &FILE.replace("port = 8080", ""));
    assert_eq!((config.dhcp, config.http), (None, None));
    assert_eq!((config.boot.tftp, config.boot.http_port), (true, None));
}

#[test]
fn a_debian_netboot_tree_is_known_by_its_looks() {
    let config = config("--interface eth1 --tftp-root /srv/netboot/text", "");
    let by_platform = BTreeMap::from([
        (Platform::Bios, "pxelinux.0".to_owned()),
        (Platform::UefiX64, "debian-installer/amd64/bootnetx64.efi".to_owned()),
        (Platform::UefiArm64, "debian-installer/arm64/grubaa64.efi".to_owned()),
    ]);
    assert_eq!(config.boot.target, Target::BootFile { any: None, by_platform });
    assert_eq!(config.boot.chain, Chain::Auto);
    assert_eq!(config.publish, [folder("/srv/netboot/text")]);
}

#[test]
fn the_debian_package_itself_is_known_where_it_is_installed() {
    let tree = Path::new("/usr/lib/debian-installer/images/12/amd64/text");
    if !tree.exists() {
        eprintln!("skipped: the package debian-installer-12-netboot-amd64 is not installed");
        return;
    }
    let flags = config::Flags { interface: Some("eth1".into()), tftp_root: Some(tree.into()), ..Default::default() };
    let loaded = config::load(None, &flags, &config::ThisHost { interfaces: Vec::new }).unwrap();
    let Target::BootFile { by_platform, .. } = loaded.config.boot.target else { panic!() };
    assert_eq!(by_platform[&Platform::Bios], "pxelinux.0");
    assert_eq!(by_platform[&Platform::UefiX64], "debian-installer/amd64/bootnetx64.efi");
}

#[test]
fn published_names_are_distinct_and_need_no_quoting() {
    let file_text = r#"
[network]
interface = "eth1"
[tftp]
root = "tftp"
[http]
root = "netboot"
[boot]
kernel = "vmlinuz"
initrd = ["initrd.img", "other/initrd.img", "initrd.img"]
[[machine]]
mac = "52:54:00:00:00:02"
boot = { kernel = "vmlinuz" }
[[machine]]
mac = "52:54:00:00:00:01"
name = "one"
boot = { kernel = "other/my kernel" }
"#;
    let config = config("", file_text);
    let Target::Linux { initrds, .. } = &config.boot.target else { panic!() };
    assert_eq!(initrds[..], ["boot/initrd.img", "boot/2-initrd.img", "boot/initrd.img"]);
    let expected = [
        file("boot/vmlinuz", "/srv/vmlinuz", Role::Kernel),
        file("boot/initrd.img", "/srv/initrd.img", Role::Initrd),
        file("boot/2-initrd.img", "/srv/other/initrd.img", Role::Initrd),
        file("boot/my-kernel", "/srv/other/my kernel", Role::Kernel),
        folder("/srv/tftp"),
        folder("/srv/netboot"),
    ];
    assert_eq!(config.publish, expected);
    let machines: Vec<_> = config.boot.machines.values().collect();
    assert_eq!(machines[0].name.as_deref(), Some("one"));
    assert_ne!(machines[0].target, machines[1].target);
    let reserved: Vec<_> = config.dhcp.unwrap().hosts.iter().cloned().collect();
    assert_eq!(reserved.len(), 1);
    assert_eq!(reserved[0].name.as_deref(), Some("one"));
}

#[test]
fn a_boot_file_may_be_asked_with_a_leading_slash() {
    let config = config("--interface eth1 --tftp-root /srv/tftp --boot-file /pxelinux.0", "");
    assert_eq!(config.boot.target, Target::BootFile { any: Some("pxelinux.0".into()), by_platform: BTreeMap::new() });
}

#[test]
fn places_are_kept_for_errors_that_show_later() {
    let said = loaded("--lease 2h", FILE).said;
    assert_eq!(said.place("http.port").to_string(), "/srv/lanboot.toml:17");
    assert_eq!(said.place("dhcp.lease").to_string(), "--lease 2h");
    assert_eq!(said.place("tftp.port").to_string(), "this host");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_a_remedy() {
    let path = Path::new("/nowhere/lanboot.toml");
    let mistakes = config::load(Some(path), &Default::default(), &world::World::new()).unwrap_err().to_string();
    assert_eq!(
        mistakes,
        "error: cannot read the configuration file /nowhere/lanboot.toml: No such file or directory (os error 2)\n  \
         fix: name an existing file with -c, or use flags alone: lanboot up --help shows them"
    );
}

fn dns(file: &str) -> config::Dns {
    config("", &format!("[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\n{file}")).dns.expect("DNS is served")
}

#[test]
fn dns_is_answered_where_addresses_are_given_out() {
    let on = |flags: &str, file: &str| {
        let config = config(&format!("--bridge net=10.0.1.1/24 {flags}"), file);
        (config.dns.is_some(), config.dhcp.map(|dhcp| dhcp.dns))
    };
    let us = || Some(vec![Ipv4Addr::UNSPECIFIED]);
    assert_eq!(on("", ""), (true, us()));
    assert_eq!(on("--no-dns", ""), (false, Some(vec![])));
    assert_eq!(on("--no-dns", "[dns]\nupstream = \"9.9.9.9\"\n"), (false, Some(vec![])));
    assert_eq!(on("--proxy", ""), (false, Some(vec![])));
    assert_eq!(on("--proxy", "[dns]\nenabled = true\n"), (true, us()));
    assert_eq!(on("--no-dhcp", ""), (false, None));
    assert_eq!(on("--no-dhcp", "[dns]\nupstream = \"9.9.9.9\"\n"), (true, None));
    assert_eq!(on("", "[dhcp]\ndns = \"9.9.9.9\"\n"), (true, Some(vec![ip("9.9.9.9")])), "what is said counts");
    assert_eq!(on("", "[dhcp]\ndns = []\n"), (true, Some(vec![])));
    assert_eq!(on("", "[dns]\nport = 5353\n"), (true, Some(vec![])), "nobody would find us there");
}

#[test]
fn a_dns_that_says_nothing_asks_whom_this_host_asks() {
    let dns = dns("[dns]\n");
    assert_eq!(dns.settings, dns::Settings { local: dns.settings.local.clone(), ..Default::default() });
    assert_eq!(dns.settings.local, dns::settings::Local { expand_hosts: true, ..Default::default() });
    assert_eq!((dns.resolv.files, dns.resolv.watched), (vec!["/etc/resolv.conf".into()], true));
    assert_eq!(dns.hosts.paths, [Path::new("/etc/hosts")]);
    assert!(dns.hosts.watched && dns.hosts.loopback_is_us && dns.at.is_empty());
    assert_eq!((dns.port, dns.clients), (53, config::DnsClients::Neighbours));
}

#[test]
fn upstream_takes_the_place_of_the_hosts() {
    let read = |upstream: &str| dns(&format!("[dns]\nupstream = {upstream}\n")).resolv.files.len();
    assert_eq!((read("\"9.9.9.9\""), read("[]")), (0, 0));
    let both = dns("[dns]\nupstream = \"9.9.9.9\"\nresolv = \"resolv.conf\"\n");
    assert_eq!((both.upstream(), both.resolv.files), (vec!["9.9.9.9".into()], vec!["/srv/resolv.conf".into()]));
}

#[test]
fn names_of_a_domain_that_nobody_else_has_are_asked_of_nobody() {
    use dns::settings::{Route, Scope, To};
    let route = |domain: &str, to| Route { scope: Scope::Domain(domain.parse().unwrap()), to };
    let routes = |domain: &str, rest: &str| dns(&format!("[dhcp]\ndomain = \"{domain}\"\n{rest}")).settings.routes;
    assert_eq!(routes("lan", ""), [route("lan", To::Nobody)]);
    assert_eq!(routes("Lab.Home.Arpa", ""), [route("lab.home.arpa", To::Nobody)]);
    assert_eq!(routes("example.com", ""), []);
    assert_eq!(routes("island", ""), [], "a top-level domain like any other");
    let said = routes("lan", "[[dns.forward]]\ndomain = \"lan\"\nto = \"10.0.1.2\"\n");
    assert_eq!(said.len(), 1, "what is said counts: {said:?}");
}

#[test]
fn a_record_of_addresses_leads_both_ways_for_its_first_name() {
    use dns::{Data, Record};
    let records = |rest: &str| {
        let file = format!("[[dns.record]]\nname = [\"nas.lan\", \"box.lan\"]\naddress = \"10.0.1.5\"\n{rest}");
        dns(&file).settings.local.records
    };
    let record = |name: &str, data| Record { name: name.parse().unwrap(), data, ttl: None };
    let a = || Data::A(ip("10.0.1.5"));
    let back = record("5.1.0.10.in-addr.arpa", Data::Ptr("nas.lan".parse().unwrap()));
    assert_eq!(records(""), [record("nas.lan", a()), back, record("box.lan", a())]);
    assert_eq!(records("reverse = false\n"), [record("nas.lan", a()), record("box.lan", a())]);
}

#[test]
fn long_texts_become_several_strings() {
    use dns::Data;
    let file = format!("[[dns.record]]\nname = \"a.lan\"\ntxt = \"{}ä{}\"\n", "x".repeat(254), "y".repeat(300));
    let [record] = &*dns(&file).settings.local.records else { panic!() };
    let Data::Txt(strings) = &record.data else { panic!() };
    assert_eq!(strings.iter().map(Vec::len).collect::<Vec<_>>(), [254, 255, 47], "cut between characters");
}

#[test]
fn machines_behind_a_relay_are_answered_too() {
    let pool = "[[dhcp.pool]]\nrange = \"10.0.2.50-10.0.2.99\"\nsubnet = \"10.0.2.0/24\"\n";
    assert_eq!(dns(pool).clients, config::DnsClients::All);
    let said = format!("{pool}[dns]\nclients = \"neighbours\"\n");
    assert_eq!(dns(&said).clients, config::DnsClients::Neighbours, "what is said counts");
}
