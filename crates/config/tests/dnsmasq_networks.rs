//! What dnsmasq's options on networks come to, as far as it can be told without a wire.

mod world;

use config::dnsmasq::{Dialect, Disk, lower};
use config::{Config, Diagnostics, Gives};
use world::World;

fn lowered(options: &str) -> (Config, Diagnostics) {
    let options: Vec<_> = format!("--conf-file= {options}").split_whitespace().map(Into::into).collect();
    let directives = Dialect::read(&options, &Disk).unwrap();
    let (service, found) = lower::lower(&directives, &World::new()).unwrap_or_else(|found| panic!("{found}"));
    (service.config, found)
}

#[test]
fn a_range_beyond_its_network_ends_with_it_and_is_told_of() {
    let (config, found) = lowered("--interface=eth1 --dhcp-range=192.168.7.250,192.168.8.10");
    let [range] = &config.dhcp.unwrap().ranges[..] else { panic!() };
    let Gives::Addresses(first, last) = range.gives else { panic!() };
    assert_eq!((first.to_string().as_str(), last.to_string().as_str()), ("192.168.7.250", "192.168.7.254"));
    assert!(
        found.render(false).contains("goes beyond its network 192.168.7.0/24: it ends at 192.168.7.254"),
        "{found}"
    );
}

#[test]
fn a_network_behind_a_relay_has_its_netmask_or_that_of_its_class() {
    let of = |range: &str| lowered(&format!("--interface=eth1 --dhcp-range={range}")).0.dhcp.unwrap().ranges[0].subnet;
    assert_eq!(of("10.9.1.10,10.9.1.20,255.255.255.0").to_string(), "10.9.1.0/24");
    assert_eq!(of("10.9.1.10,10.9.1.20").to_string(), "10.0.0.0/8");
    assert_eq!(of("172.16.1.10,172.16.1.20").to_string(), "172.16.0.0/16");
    assert_eq!(of("192.168.9.10,192.168.9.20").to_string(), "192.168.9.0/24");
    assert_eq!(of("192.168.7.10,192.168.7.20").to_string(), "192.168.7.0/24");
}
