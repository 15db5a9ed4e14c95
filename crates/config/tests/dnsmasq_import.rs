//! `lanboot import`: the file that it writes means what dnsmasq's meant, and loses no line of it in silence.

mod world;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use config::dnsmasq::{self, Dialect, FileSystem, Imported, lower};
use config::{Config, Dhcp, Entry, Nic, Surroundings};

/// A computer with one file.
struct OneFile(String);

impl FileSystem for OneFile {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }

    fn files(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(Vec::new())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn run(&self, _: &str) -> io::Result<(Vec<u8>, bool)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn import(conf: &str) -> Imported {
    let (directives, mistakes) = Dialect::read_all(&["-C".into(), "dnsmasq.conf".into()], &OneFile(conf.to_owned()));
    dnsmasq::import(&directives, mistakes, &world::World::new())
}

fn lowered(conf: &str) -> Config {
    let (directives, _) = Dialect::read_all(&["-C".into(), "dnsmasq.conf".into()], &OneFile(conf.to_owned()));
    lower::lower(&directives, &world::World::new()).unwrap_or_else(|found| panic!("{conf}\n{found}")).0.config
}

fn loaded(toml: &str) -> Config {
    world::load("", toml).unwrap_or_else(|found| panic!("{toml}\n{found}")).config
}

const HEAD: &str = "interface=eth1\nenable-tftp\ntftp-root=/srv/tftp\n";

/// One line each; all of them can be said in lanboot.toml.
const LINES: &[&str] = &[
    "dhcp-range=192.168.7.100,192.168.7.199",
    "dhcp-range=192.168.7.100,192.168.7.199,12h",
    "dhcp-range=192.168.7.100,192.168.7.199,infinite",
    "dhcp-range=set:low,tag:lab,192.168.7.10,192.168.7.19,255.255.255.0,192.168.7.255,1h",
    "dhcp-range=192.168.9.10,192.168.9.19,255.255.255.0",
    "dhcp-range=192.168.7.0,static",
    "dhcp-host=52:54:00:00:00:01,192.168.7.50,one",
    "dhcp-host=52:54:00:*:*:*,set:lab,ignore",
    "dhcp-host=06-52:54:00:00:00:01,52:54:00:00:00:02,tag:x,1h",
    "dhcp-host=id:01:02:*,two",
    "dhcp-host=id:some one,192.168.7.51,infinite",
    "dhcp-host=id:*,52:54:00:00:00:03,three",
    "dhcp-host=four,192.168.7.52",
    "dhcp-sequential-ip",
    "dhcp-authoritative",
    "dhcp-lease-max=20",
    "dhcp-no-override",
    "no-ping",
    "dhcp-match=set:ipxe,175",
    "dhcp-match=set:efi,option:client-arch,7",
    "dhcp-match=set:any,93,\"iPXE\"",
    "dhcp-match=set:start,61,01:*:03",
    "dhcp-match=set:vi,vi-encap:343,thing",
    "dhcp-vendorclass=set:pxe,PXEClient",
    "dhcp-userclass=set:uc,iPXE",
    "dhcp-mac=set:mine,52:54:*:*:*:*",
    "dhcp-circuitid=set:port,01:02:ff",
    "dhcp-remoteid=set:relay,east",
    "dhcp-subscrid=set:room,seven",
    "dhcp-name-match=set:rack,rack*",
    "tag-if=set:both,tag:ipxe,tag:!efi",
    "dhcp-ignore=tag:!known",
    "dhcp-ignore=tag:bad,tag:!good",
    "dhcp-option=67,\"pxelinux.0\"",
    "dhcp-option=tag:!ipxe,67,undionly.kpxe",
    "dhcp-option=option:router",
    "dhcp-option=option:ntp-server,0.0.0.0,192.168.7.9",
    "dhcp-option-force=209,configs/common",
    "dhcp-option=option:domain-search,a.example,b.example",
    "dhcp-option=121,10.0.0.0/8,192.168.7.1",
    "dhcp-option=encap:175,190,\"user\"",
    "dhcp-option=vendor:PXEClient,6,2b",
    "dhcp-option=vi-encap:2,9,text",
    "dhcp-option=252,\"\\n\"",
    "dhcp-option=224,01:ff:00",
    "dhcp-option=58,600",
    "dhcp-boot=pxelinux.0,boot,192.168.7.9",
    "dhcp-boot=tag:efi,grub/grubx64.efi",
    "pxe-service=x86PC,\"Install\",pxelinux",
    "pxe-service=tag:efi,x86-64_EFI,\"From disk\"",
    "pxe-service=0,Other,7,192.168.7.9",
    "pxe-prompt=\"Press F8\",10",
    "dhcp-pxe-vendor=PXEClient,HW-Client",
    "tftp-max=7",
    "domain=lab.example",
];

/// Of DNS, one line each; all of them can be said in lanboot.toml.
const DNS_LINES: &[&str] = &[
    "server=9.9.9.9",
    "server=192.0.2.1#5353@eth0",
    "server=2001:db8::1",
    "server=/corp.example/corp.test/10.8.0.1",
    "server=/a.example/b.example/#",
    "server=//10.8.0.1",
    "server=/*oogle.example/*.below.example/10.8.0.1",
    "rev-server=10.8.0.0/15,10.8.0.1",
    "local=/lab.example/",
    "address=/ads.example/",
    "address=/ads.example/#",
    "address=/mirror.example/10.0.1.5",
    "address=/#/10.0.1.5",
    "resolv-file=/run/resolv.conf",
    "no-resolv",
    "strict-order",
    "all-servers",
    "domain-needed",
    "bogus-priv",
    "filterwin2k",
    "filter-AAAA",
    "filter-rr=MX,65",
    "edns-packet-max=4096",
    "min-port=2000",
    "max-port=60000",
    "dns-forward-max=7",
    "stop-dns-rebind",
    "rebind-domain-ok=/corp.example/lan/",
    "dns-loop-detect",
    "ignore-address=203.0.113.0/24",
    "bogus-nxdomain=203.0.113.7",
    "alias=203.0.113.1-203.0.113.9,10.0.1.0,255.255.255.0",
    "proxy-dnssec",
    "cache-size=1000",
    "no-negcache",
    "use-stale-cache",
    "use-stale-cache=0",
    "use-stale-cache=600",
    "neg-ttl=60",
    "max-ttl=300",
    "max-cache-ttl=300",
    "min-cache-ttl=60",
    "no-hosts",
    "addn-hosts=/srv/hosts",
    "expand-hosts",
    "local-ttl=60",
    "dhcp-ttl=10",
    "host-record=nas,nas.lan,10.0.1.5,fd00::5,120",
    "host-record=one.lan,10.0.1.6",
    "cname=www.lan,web.lan,nas.lan,60",
    "mx-host=lan,mail.lan,10",
    "srv-host=_ldap._tcp.lan,ldap.lan,389,1,2",
    "txt-record=lan,one,two",
    "ptr-record=5.1.0.10.in-addr.arpa,nas.lan",
    "naptr-record=lan,10,100,s,SIP+D2U,,_sip._udp.lan",
    "caa-record=lan,0,issue,ca.example",
    "dns-rr=lan,65,0001",
    "interface-name=gw.lan,eth1",
    "interface-name=gw.lan,eth1/4",
    "synth-domain=lan,10.0.1.0/24,ip-",
    "log-queries",
    "localise-queries",
    "no-round-robin",
    "max-tcp-connections=30",
];

/// What both mean of DNS, but for what lanboot.toml does better unasked: it holds and remembers more, asks nobody of
/// itself, watches files, keeps loopback names to itself, and asks nobody else for names of its own domain.
fn dns(config: Config, line: &str, domain: Option<&str>) -> Option<config::Dns> {
    let mut dns = config.dns?;
    let default = config::Dns { at: Vec::new(), ..dns.clone() };
    let said = |name: &str| line.starts_with(name);
    let settings = &mut dns.settings;
    if !said("dns-forward-max") {
        settings.forward.max = 0;
    }
    if !said("cache-size") {
        settings.cache.size = 0;
    }
    if !said("dns-loop-detect") {
        settings.forward.detect_loops = false;
    }
    settings.cache.only.clear();
    settings.local.identify = false;
    settings.local.mx = Default::default();
    let own = domain.map(|domain| dns::settings::Scope::Domain(domain.parse().unwrap()));
    settings.routes.retain(|route| Some(&route.scope) != own.as_ref());
    let order = |record: &dns::Record| format!("{record:?}");
    settings.local.records.sort_by_key(order);
    dns.hosts.loopback_is_us = false;
    dns.hosts.watched = true;
    if !said("max-tcp") {
        dns.max_tcp = 0;
    }
    Some(config::Dns { at: default.at, ..dns })
}

#[test]
fn each_dns_line_means_in_toml_what_it_means_in_dnsmasq() {
    for line in DNS_LINES {
        let conf = format!("{HEAD}dhcp-range=192.168.7.100,192.168.7.199\n{line}\n");
        let imported = import(&conf);
        assert!(!imported.left_out.has_errors(), "{line}\n{}", imported.left_out);
        assert!(imported.toml.contains(&format!("dnsmasq.conf:{}: {line}", conf.lines().count())), "{}", imported.toml);
        let (there, here) = (lowered(&conf), loaded(&imported.toml));
        assert_eq!(dns(there, line, None), dns(here, line, None), "{line}\n{}", imported.toml);
    }
}

#[test]
fn dns_lines_together_mean_the_same() {
    let alone = ["address=/ads.example/", "no-resolv", "no-hosts", "strict-order", "use-stale-cache"];
    let lines: Vec<_> = DNS_LINES.iter().filter(|line| !alone.iter().any(|alone| line.starts_with(alone))).collect();
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let conf = format!("{HEAD}dhcp-range=192.168.7.100,192.168.7.199\ndomain=lan\nlocal=/lan/\n{lines}");
    let imported = import(&conf);
    assert!(!imported.left_out.has_errors(), "{}", imported.left_out);
    let meant = |config| {
        let mut dns = dns(config, "", Some("lan")).unwrap();
        dns.settings.routes.sort_by_key(|route| format!("{route:?}"));
        dns
    };
    assert_eq!(meant(lowered(&conf)), meant(loaded(&imported.toml)), "{}", imported.toml);
}

/// All but where it is said: the dialect names no subnet, and defaults of both sides were spelt out. DNS is not imported,
/// so that machines are not told of ours either.
fn dhcp(config: Config) -> Option<Dhcp> {
    config.dhcp.map(|dhcp| Dhcp { dns: Vec::new(), ..dhcp })
}

#[test]
fn each_line_means_in_toml_what_it_means_in_dnsmasq() {
    for line in LINES {
        let range = if line.starts_with("dhcp-range") { "" } else { "dhcp-range=192.168.7.100,192.168.7.199\n" };
        let conf = format!("{HEAD}{range}{line}\n");
        let imported = import(&conf);
        assert!(!imported.left_out.has_errors(), "{line}\n{}", imported.left_out);
        assert!(imported.toml.contains(&format!("dnsmasq.conf:{}: {line}", conf.lines().count())), "{}", imported.toml);
        let (there, here) = (lowered(&conf), loaded(&imported.toml));
        assert_eq!((there.tftp.clone(), there.http.clone()), (here.tftp.clone(), here.http.clone()), "{line}");
        assert_eq!(dhcp(there), dhcp(here), "{line}\n{}", imported.toml);
    }
}

#[test]
fn all_lines_together_mean_the_same() {
    let lines: Vec<_> = LINES.iter().filter(|line| !line.contains("dhcp-host=id:*")).copied().collect();
    let conf = format!("{HEAD}{}\n", lines.join("\n"));
    let imported = import(&conf);
    assert_eq!(dhcp(lowered(&conf)), dhcp(loaded(&imported.toml)), "{}", imported.toml);
}

#[test]
fn no_line_is_lost() {
    let conf = "interface=eth1\ndhcp-range=192.168.7.100,192.168.7.199\nserver=9.9.9.9\npid-file=/run/x\n\
                dhcp-generate-names\nstrict-order\nbogus-priv\nno-such-option\nport=0\nlog-facility=/x\nuser=nobody\n";
    let imported = import(conf);
    for (number, line) in conf.lines().enumerate() {
        let at = format!("dnsmasq.conf:{}: {line}", number + 1);
        assert!(imported.toml.contains(&at), "{at} is missing from\n{}", imported.toml);
    }
    let errors = imported.left_out.iter().filter(|left| left.severity == config::Severity::Error).count();
    assert!((2..=5).contains(&errors), "{}", imported.left_out);
    loaded(&imported.toml);
}

/// A list of machines beside the configuration.
struct WithList(world::World);

impl Surroundings for WithList {
    fn look(&self, path: &Path) -> io::Result<Entry> {
        self.0.look(path)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        self.0.names(folder)
    }

    fn text_of(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/srv/hosts") => Ok("52:54:00:00:00:01,192.168.7.51,one\nnonsense:\nid:two,set:lab\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn interfaces(&self) -> Vec<Nic> {
        self.0.interfaces()
    }
}

#[test]
fn machines_of_a_list_are_written_out_with_their_places() {
    let conf = format!("{HEAD}dhcp-range=192.168.7.100,192.168.7.199\ndhcp-host=52:54:00:00:00:01,other\n");
    let lines = format!("{conf}dhcp-hostsfile=/srv/hosts\ndhcp-hostsfile=/srv/nowhere\n");
    let (directives, mistakes) = Dialect::read_all(&["-C".into(), "dnsmasq.conf".into()], &OneFile(lines));
    let imported = dnsmasq::import(&directives, mistakes, &WithList(world::World::new()));
    let told = imported.left_out.render(false);
    assert!(told.contains("/srv/hosts:2:") && told.contains("/srv/nowhere cannot be read"), "{told}");
    assert!(
        imported.toml.contains("# /srv/hosts:1: 52:54:00:00:00:01,192.168.7.51,one\n[[dhcp.host]]"),
        "{}",
        imported.toml
    );
    let hosts = loaded(&imported.toml).dhcp.unwrap().hosts;
    let names: Vec<_> = hosts.iter().map(|host| host.name.as_deref()).collect();
    assert_eq!(names, [None, Some("one"), Some("other")], "lists count first");
}

/// The guide's file, which gives every machine a BIOS loader.
#[test]
fn the_guides_file_is_told_what_it_will_not_boot() {
    let guide = "interface=eth1\ndhcp-range=192.168.7.200,192.168.7.253,12h\ndhcp-sequential-ip\n\
                 dhcp-match=set:IPXEBOOT,175 # iPXE sends a 175 option.\n\
                 dhcp-option=tag:!IPXEBOOT,67,\"undionly.kpxe\" # the first time\n\
                 dhcp-option=67,\"pxelinux.0\"\nenable-tftp\ntftp-root=/srv/tftp\n";
    let imported = import(guide);
    assert!(imported.left_out.is_empty(), "{}", imported.left_out);
    let lint: Vec<_> = imported.lint.iter().map(|found| found.what.as_str()).collect();
    assert!(lint[0].contains("a UEFI machine is given undionly.kpxe, a BIOS loader"), "{lint:?}");
    assert_eq!(lint[1..], ["undionly.kpxe is not in /srv/tftp"]);
    assert_eq!(dhcp(lowered(guide)), dhcp(loaded(&imported.toml)));
}

#[test]
fn what_will_not_boot_is_named() {
    let told = |lines: &str, wanted: &str| {
        let conf = format!("interface=eth1\ndhcp-range=192.168.7.100,192.168.7.199\n{lines}");
        let lint = import(&conf).lint;
        assert!(lint.iter().any(|found| found.what.contains(wanted)), "{lines}: {lint}");
    };
    told("dhcp-boot=pxelinux.0", "a UEFI machine is given pxelinux.0");
    told("dhcp-boot=grub/grubx64.efi\nenable-tftp", "a BIOS machine is given grub/grubx64.efi, an EFI loader");
    told("dhcp-boot=undionly.kpxe", "as iPXE and is given undionly.kpxe again, for ever");
    told("dhcp-boot=http://10.0.1.1/x.efi", "only from an answer with the vendor class HTTPClient");
    told("dhcp-boot=http://192.168.7.2/x.ipxe", "no HTTP is served here");
    told("dhcp-option=60,PXEClient", "sends UEFI to port 4011");
    told("dhcp-boot=pxelinux.0", "no TFTP is served here");
    told("enable-tftp\ntftp-root=/srv/nowhere\ndhcp-boot=x", "the folder /srv/nowhere is not there");
    told("dhcp-boot=tag:efi,x.efi", "the tag `efi` is asked for, but nothing sets it");
    let good = "dhcp-match=set:efi,option:client-arch,7\ndhcp-boot=pxelinux.0\ndhcp-boot=tag:efi,grub/grubx64.efi\n\
                enable-tftp\ntftp-root=/srv/tftp";
    let conf = format!("interface=eth1\ndhcp-range=192.168.7.100,192.168.7.199\n{good}");
    assert!(import(&conf).lint.is_empty(), "{}", import(&conf).lint);
}
