//! What the engine serves: lanboot.toml's terms and dnsmasq's, some of them the input's own.
//!
//! [`engine`] is the one place that knows how an engine is made.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Arc, LazyLock};

use boot::hosts::IdPattern;
use boot::{MachinePolicy, Policy, Target};
use config::dnsmasq::{Dialect, lower};
use config::{Config, ConflictCheck, Dhcp, Flags, Identity, TextFile, load_text};
use dhcp::Platform;
use ipnet::Ipv4Net;
use leases::LeaseStore;
use server::dhcp::engine::Engine;
use server::dhcp::{Link, Settings};
use server::machines::Machines;

use crate::input::Input;
use crate::world::World;

const TOML: &str = r#"
[network]
interface = "net"
address = "10.0.1.1/24"
[dhcp]
range = "10.0.1.200-10.0.1.207"
lease = "10m"
dns = ["10.0.1.1"]
domain = "lan.example"
[[machine]]
mac = "52:54:00:00:00:01"
address = "10.0.1.201"
name = "one"
[[machine]]
mac = "52:54:00:00:00:02"
address = "10.0.1.9"
[tftp]
enabled = false
"#;

const DNSMASQ: &[&str] = &[
    "interface=net\ndhcp-range=10.0.1.200,10.0.1.203,12h\ndhcp-sequential-ip\ndhcp-match=set:IPXEBOOT,175\n\
     dhcp-option=tag:!IPXEBOOT,67,undionly.kpxe\ndhcp-option=67,pxelinux.0\nenable-tftp\ntftp-root=/srv",
    "interface=net\ninterface=eth1\ndhcp-range=set:first,10.0.1.200,10.0.1.201,5m\n\
     dhcp-range=tag:pxe,10.0.1.202,10.0.1.202\ndhcp-range=10.0.2.10,10.0.2.12,infinite\ndhcp-range=10.0.3.0,static\n\
     dhcp-range=192.168.9.5,192.168.9.7,255.255.255.0\nshared-network=eth1,192.168.9.1\n\
     dhcp-host=52:54:00:*:*:03,set:three,10.0.1.7\ndhcp-host=id:01:02,10.0.1.8,lease\n\
     dhcp-host=52:54:00:00:00:04,52:54:00:00:00:05,10.0.1.9,45m\ndhcp-host=52:54:00:00:00:06,10.0.2.9\n\
     dhcp-host=52:54:00:00:00:0f,ignore\ndhcp-vendorclass=set:pxe,PXEClient\ndhcp-option=tag:first,42,1.2.3.4",
    "interface=net\ndhcp-range=set:low,10.0.1.10,10.0.1.19,2m\ndhcp-range=10.0.1.30,10.0.1.31,2m\nno-ping\n\
     dhcp-authoritative\ndhcp-lease-max=3\ndhcp-host=52:54:00:00:00:01,10.0.1.10,one\n\
     dhcp-host=52:54:00:00:00:03,three\ndhcp-vendorclass=set:pxe,PXEClient\ndhcp-userclass=set:ipxe,iPXE\n\
     dhcp-mac=set:odd,52:54:00:*:*:*\ndhcp-match=set:uefi,option:client-arch,7\n\
     dhcp-match=set:vi,vi-encap:4491,x\ndhcp-circuitid=set:port,port1\ndhcp-remoteid=set:far,01:02\n\
     dhcp-name-match=set:named,o*\ntag-if=set:both,tag:pxe,tag:!ipxe\ndhcp-ignore=tag:vi,tag:named\n\
     dhcp-option=option:ntp-server,0.0.0.0,9.9.9.9\ndhcp-option=vendor:PXEClient,1,0.0.0.0\n\
     dhcp-option-force=tag:pxe,208,f1:00:74:7e\ndhcp-option=encap:175,190,user\ndhcp-option=vi-encap:4491,3,text\n\
     dhcp-option=option:domain-search,eng.example.com,example.com\ndhcp-option=121,0.0.0.0/0,10.0.1.1\n\
     dhcp-option=tag:low,3\ndhcp-option=6,\ndhcp-option-force=tag:uefi,option:bootfile-name,a.efi\n\
     dhcp-boot=tag:ipxe,http://10.0.1.1/menu.ipxe,srv,10.0.1.9\ndhcp-boot=tag:both,undionly.kpxe\n\
     dhcp-option-force=209,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\
     dhcp-option-force=210,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
];

/// Beside another server, and with a menu of our own.
const PXE: [&str; 2] = [
    "interface=net\ndhcp-range=10.0.1.0,proxy\npxe-prompt=Boot,3\npxe-service=x86PC,Linux,pxelinux\n\
     pxe-service=BC_EFI,UEFI,boot.efi\npxe-service=X86-64_EFI,One,one.efi\npxe-service=X86-64_EFI,Two,two\n\
     pxe-service=x86PC,Windows,1,10.0.1.9\npxe-service=x86PC,Anywhere,2\npxe-service=x86PC,Disk\n\
     dhcp-vendorclass=set:http,HTTPClient\ndhcp-boot=tag:http,http://10.0.1.1/a.efi\ndhcp-boot=lpxelinux.0",
    "interface=net\ndhcp-range=10.0.1.200,10.0.1.203\npxe-prompt=Boot\npxe-service=x86PC,Linux,pxelinux\n\
     pxe-service=BC_EFI,One,one.efi\npxe-service=BC_EFI,Two,two.efi\npxe-service=x86PC,Disk,0\ndhcp-boot=lpxelinux.0",
];
/// First octets from here on choose one of [`PXE`].
const FIRST_PXE: u8 = 254;

static FIXED: LazyLock<Vec<Settings>> = LazyLock::new(|| {
    let mut fixed = vec![by_toml(Identity::Machine), by_toml(Identity::ClientId)];
    fixed.extend(DNSMASQ.iter().map(|text| by_rules(text.as_bytes()).expect("these lines are sound")));
    fixed
});

/// The first octet of the input chooses; one choice reads dnsmasq's lines from it, up to a NUL.
pub fn choose(input: &mut Input<'_>) -> Option<Settings> {
    let choice = input.u8();
    if choice >= FIRST_PXE {
        return by_rules(PXE[usize::from(choice - FIRST_PXE)].as_bytes());
    }
    let choice = usize::from(choice) % (FIXED.len() + 1);
    let Some(fixed) = FIXED.get(choice) else { return by_rules(input.section()) };
    let mut settings = fixed.clone();
    let bits = input.u8();
    let dhcp = &mut settings.dhcp;
    // The witness expects an answer however often a client asks at one moment.
    dhcp.client_rate = 1_000_000;
    dhcp.authoritative ^= bits & 1 != 0;
    let check = usize::from(bits >> 1) % 4;
    dhcp.conflict_check = [dhcp.conflict_check, ConflictCheck::Arp, ConflictCheck::Icmp, ConflictCheck::Off][check];
    if bits & 8 != 0 {
        dhcp.lease_limit = Some(2);
    }
    Some(settings)
}

/// The terms of one of the fixed configurations, which may replace those that are in force.
pub fn other(input: &mut Input<'_>) -> Dhcp {
    FIXED[usize::from(input.u8()) % FIXED.len()].dhcp.clone()
}

pub fn engine(settings: Settings, store: Box<dyn LeaseStore>) -> Engine {
    Engine::new(settings, store, Arc::new(Machines::default()))
}

fn by_toml(identity: Identity) -> Settings {
    let world = World::of(&mut Input(&[]));
    let loaded = load_text(Some(&TextFile::new("/srv/lanboot.toml", TOML)), &Flags::default(), &world);
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", found.render(false)));
    let mut chosen = of(loaded.config).expect("this file serves DHCP");
    chosen.dhcp.identity = identity;
    let names = [(Platform::Bios, "undionly.kpxe"), (Platform::UefiX64, "snponly.efi")];
    let own = MachinePolicy {
        name: None,
        target: Some(Target::BootFile { any: Some("own".into()), by_platform: BTreeMap::new() }),
    };
    chosen.policy = Arc::new(Policy {
        http_port: Some(80),
        tftp: true,
        ipxe: names.into_iter().map(|(platform, name)| (platform, name.to_owned())).collect(),
        target: Target::Linux { kernel: "boot/vmlinuz".into(), initrds: vec![], cmdline: String::new() },
        machines: BTreeMap::from([(super::clients::mac(2), own)]),
        ..Policy::default()
    });
    chosen
}

fn by_rules(text: &[u8]) -> Option<Settings> {
    let world = World::of(&mut Input(text));
    let directives = Dialect::read(&[] as &[OsString], &world).ok()?;
    // Who is a client depends on these, and the witness looks at the packet alone.
    let by_host =
        |settings: &Settings| settings.dhcp.hosts.iter().any(|host| host.client_id == Some(IdPattern::Ignored));
    of(lower::lower(&directives, &world).ok()?.0.config).filter(|settings| !by_host(settings))
}

fn of(config: Config) -> Option<Settings> {
    let link = |name: &str, addresses: &[Ipv4Net]| Link::new(name, addresses.to_vec());
    let served = config.served.iter().filter(|served| served.dhcp);
    let mut links: Vec<_> = served.map(|served| link(&served.interface, &served.addresses)).collect();
    if links.is_empty() {
        links.push(link(config.network.link.name(), &[config.network.address?]));
    }
    Some(Settings { links, dhcp: config.dhcp?, policy: Arc::new(config.boot) })
}
