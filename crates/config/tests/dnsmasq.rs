//! What command lines and files come to, on an imagined computer.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot::hosts::IdPattern;
use config::dnsmasq::options::answers::{DhcpOption, Server, Wrap};
use config::dnsmasq::options::dns::DnsOption;
use config::dnsmasq::options::hosts::DhcpHost;
use config::dnsmasq::options::interfaces::Pattern;
use config::dnsmasq::options::process::LogTo;
use config::dnsmasq::options::pxe::PxeBoot;
use config::dnsmasq::options::ranges::{DhcpRange, Lease, RangeMode};
use config::dnsmasq::options::service::DomainOf;
use config::dnsmasq::options::tags::{On, TagTest};
use config::dnsmasq::{self, Ask, Dialect, Directives, Disk, FileSystem, Meaning, Refusal, lower};
use config::{Diagnostics, TextFile};
use proptest::prelude::*;

/// Files by their paths, and what commands print.
struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl FileSystem for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(folder));
        let names: Vec<_> = inside.rev().map(|path| path.file_name().unwrap().into()).collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.read(path).map(|_| path.to_owned())
    }

    /// Repeats itself, twice over, as the nastiest script does.
    fn run(&self, command: &str) -> io::Result<(Vec<u8>, bool)> {
        let again = if command == "quiet" { String::new() } else { format!("conf-script={command}\n").repeat(2) };
        Ok((format!("no-ping\n{again}").into(), true))
    }
}

fn read_with(files: &[(&str, &str)], line: &str) -> Result<Directives, Refusal> {
    let files = files.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect();
    let args: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
    Dialect::read(&args, &Files(files))
}

/// The meanings in a file of these lines.
fn meanings(text: &str) -> Vec<Meaning> {
    let read = read_with(&[("/x", text)], "-C /x").unwrap_or_else(|refusal| panic!("{text}: {}", refusal.diagnostics));
    read.list.into_iter().map(|directive| directive.meaning).collect()
}

fn meaning(text: &str) -> Meaning {
    let mut meanings = meanings(text);
    assert_eq!(meanings.len(), 1, "{text}: {meanings:?}");
    meanings.remove(0)
}

fn range(text: &str) -> DhcpRange {
    match meaning(&format!("dhcp-range={text}")) {
        Meaning::DhcpRange(range) => range,
        other => panic!("{other:?}"),
    }
}

fn host(text: &str) -> DhcpHost {
    match meaning(&format!("dhcp-host={text}")) {
        Meaning::DhcpHost(host) => host,
        other => panic!("{other:?}"),
    }
}

fn option(text: &str) -> DhcpOption {
    match meaning(&format!("dhcp-option={text}")) {
        Meaning::DhcpOption(option) => option,
        other => panic!("{other:?}"),
    }
}

fn on(text: &str) -> (String, On) {
    match meaning(text) {
        Meaning::Match(found) => (found.set.value, found.on),
        other => panic!("{other:?}"),
    }
}

fn tests(tests: &[TagTest]) -> Vec<String> {
    tests.iter().map(|test| format!("{}{}", if test.absent { "!" } else { "" }, test.name)).collect()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn named(name: &str) -> Vec<Pattern> {
    vec![Pattern { name: name.into(), open: false }]
}

/// The warnings about the options of the guide's lines that are DNS's.
fn warnings(read: &Directives) -> Vec<&str> {
    read.warnings.iter().map(|warning| warning.what.as_str()).collect()
}

const GUIDE_FILE: &str = "\
# dnsmasq.conf_pxe_boot
interface=net
dhcp-range=10.0.1.200,10.0.1.253,12h
dhcp-sequential-ip
dhcp-match=set:IPXEBOOT,175 # iPXE sends a 175 option.
dhcp-option=tag:!IPXEBOOT,67,\"undionly.kpxe\" # the ROM gets iPXE
dhcp-option=67,\"pxelinux.0\"
enable-tftp
tftp-root=/var/lib/tftpboot
";

#[test]
fn the_guides_service_line_and_file() {
    let line = "-C /etc/dnsmasq.conf -x /var/run/dnsmasq/dnsmasq.pid -u dnsmasq -r /var/run/dnsmasq/resolv.conf \
                -7 /etc/dnsmasq.d,.dpkg-dist,.dpkg-old,.dpkg-new --local-service";
    let files = [
        ("/etc/dnsmasq.conf", GUIDE_FILE),
        ("/etc/dnsmasq.d/README", "# nothing\n"),
        ("/etc/dnsmasq.d/local.dpkg-old", "junk\n"),
    ];
    let read = read_with(&files, line).unwrap_or_else(|refusal| panic!("{}", refusal.diagnostics));
    assert_eq!(read.ask, Ask::Run);
    assert_eq!(warnings(&read), [""; 0]);
    let sources: Vec<_> = read.sources.iter().map(|source| source.path.to_str().unwrap()).collect();
    assert_eq!(sources, ["/etc/dnsmasq.d/README", "/etc/dnsmasq.conf"]);
    let places: Vec<_> = read.list.iter().map(|directive| directive.place.to_string()).collect();
    assert_eq!(places[..2], ["-x /var/run/dnsmasq/dnsmasq.pid", "-u dnsmasq"]);
    assert_eq!(places[2..5], ["-r /var/run/dnsmasq/resolv.conf", "--local-service", "/etc/dnsmasq.conf:2"]);

    let list: Vec<_> = read.list.into_iter().map(|directive| directive.meaning).collect();
    let [pid_file, user, resolv, service, interface, range, sequential, found, rom, other, tftp, root] = &*list else {
        panic!("{list:?}")
    };
    assert_eq!(*pid_file, Meaning::PidFile(Some("/var/run/dnsmasq/dnsmasq.pid".into())));
    assert_eq!(*user, Meaning::User(Some("dnsmasq".into())));
    let dns = |option: DnsOption| Meaning::Dns(Box::new(option));
    assert_eq!(*resolv, dns(DnsOption::ResolvFile(Some("/var/run/dnsmasq/resolv.conf".into()))));
    assert_eq!(*service, dns(DnsOption::LocalService { this_host: false }));
    assert_eq!(*interface, Meaning::Interface(named("net")));
    let Meaning::DhcpRange(range) = range else { panic!("{range:?}") };
    assert_eq!((range.start.value, range.lease), (ip("10.0.1.200"), Some(Lease::Seconds(12 * 3600))));
    assert!(matches!(&range.mode, RangeMode::To(end) if end.value == ip("10.0.1.253")));
    assert_eq!(*sequential, Meaning::DhcpSequentialIp);
    let Meaning::Match(found) = found else { panic!("{found:?}") };
    assert_eq!((&*found.set.value, &found.on), ("IPXEBOOT", &On::Option { code: 175, value: None }));
    for (said, conditions, file) in
        [(rom, vec!["!IPXEBOOT".to_owned()], "undionly.kpxe"), (other, vec![], "pxelinux.0")]
    {
        let Meaning::DhcpOption(option) = said else { panic!("{said:?}") };
        assert_eq!((option.code.value, option.text.as_str(), tests(&option.tests)), (67, file, conditions));
        assert_eq!(option.value.literal(), file.as_bytes());
    }
    assert_eq!(*tftp, Meaning::EnableTftp(vec![]));
    assert!(matches!(root, Meaning::TftpRoot(root) if root.folder == Path::new("/var/lib/tftpboot")));
}

const GUIDE_BRIDGE: &str = "--strict-order --bind-interfaces --conf-file= --listen-address 10.0.1.1 \
    --dhcp-range 10.0.1.2,10.0.1.254 --dhcp-lease-max=253 --dhcp-no-override --except-interface=lo --interface=net \
    --dhcp-sequential-ip --dhcp-leasefile=/var/lib/misc/dnsmasq.lxcbr0.leases --dhcp-authoritative";

#[test]
fn the_guides_bridge_line() {
    // Nothing is read: not even a default file that is there.
    let read = read_with(&[("/etc/dnsmasq.conf", "junk\n")], GUIDE_BRIDGE).unwrap();
    assert!(read.sources.is_empty());
    assert_eq!(warnings(&read), [""; 0]);
    let list: Vec<_> = read.list.into_iter().map(|directive| directive.meaning).collect();
    let [strict, bind, listen, range, max, no_override, except, interface, sequential, leases, authoritative] = &*list
    else {
        panic!("{list:?}")
    };
    assert_eq!(*strict, Meaning::Dns(Box::new(DnsOption::StrictOrder)));
    assert_eq!(*bind, Meaning::BindInterfaces);
    assert!(matches!(listen, Meaning::ListenAddress(list) if list[0].value == IpAddr::V4(ip("10.0.1.1"))));
    let Meaning::DhcpRange(range) = range else { panic!("{range:?}") };
    assert_eq!((range.start.value, range.lease, &range.netmask), (ip("10.0.1.2"), None, &None));
    assert_eq!(range.start.place.to_string(), "--dhcp-range 10.0.1.2,10.0.1.254");
    assert_eq!(*max, Meaning::DhcpLeaseMax(253));
    assert_eq!(*no_override, Meaning::DhcpNoOverride);
    assert_eq!(*except, Meaning::ExceptInterface(named("lo")));
    assert_eq!(*interface, Meaning::Interface(named("net")));
    assert_eq!(*sequential, Meaning::DhcpSequentialIp);
    assert_eq!(*leases, Meaning::DhcpLeaseFile(Some("/var/lib/misc/dnsmasq.lxcbr0.leases".into())));
    assert_eq!(*authoritative, Meaning::DhcpAuthoritative);
}

#[test]
fn the_guides_boot_line() {
    let line = format!(
        "{GUIDE_BRIDGE} --enable-tftp --tftp-root=/var/lib/tftpboot --dhcp-match=set:IPXEBOOT,175 \
         --dhcp-option=tag:!IPXEBOOT,67,undionly.kpxe --dhcp-option=67,pxelinux.0"
    );
    let read = read_with(&[], &line).unwrap();
    let list: Vec<_> = read.list.into_iter().skip(11).map(|directive| directive.meaning).collect();
    let [tftp, root, found, rom, other] = &*list else { panic!("{list:?}") };
    assert_eq!(*tftp, Meaning::EnableTftp(vec![]));
    assert!(matches!(root, Meaning::TftpRoot(root) if root.interface.is_none()));
    assert!(matches!(found, Meaning::Match(found) if found.on == On::Option { code: 175, value: None }));
    assert!(matches!(rom, Meaning::DhcpOption(option) if option.text.as_str() == "undionly.kpxe"));
    assert!(matches!(other, Meaning::DhcpOption(option) if option.tests.is_empty() && !option.force));
}

#[test]
fn a_file_with_five_mistakes_reports_all_five() {
    let text = "interface=net\ndhcp-rang=10.0.1.200,10.0.1.253\ndhcp-range=10.0.1.200,10.0.2.53,255.255.255.0\n\
                dhcp-option=option:ruoter,10.0.1.1\nno-ping=yes\ntftp-root=\"/srv\n";
    let refusal = read_with(&[("d.conf", text)], "--test -C d.conf").unwrap_err();
    assert_eq!(refusal.exit_code, 1);
    let expected = include_str!("dnsmasq/five_mistakes.txt");
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&refusal.diagnostics.to_string()), trimmed(expected));
}

#[test]
fn mistakes_on_the_command_line_are_all_told() {
    let line =
        "--no-such --conf-file= -K1 --port --dhcp-range=x -F 10.0.1.1,10.0.1.2,7y --tftp-m=3 stray --server=9.9.9 -V";
    let refusal = read_with(&[], line).unwrap_err();
    let found: Vec<_> =
        refusal.diagnostics.iter().map(|found| (found.what.as_str(), found.fix.as_deref().unwrap())).collect();
    let expected = [
        ("unknown option `--no-such`", "`--help` lists the options"),
        ("`--tftp-m` is short for several options", "write one of --tftp-max, --tftp-mtu"),
        ("`stray` is no option", "write --name=value; an option whose value may be left out takes one only after `=`"),
        ("`alias` lacks its value", "write --alias=OLD|FIRST-LAST,NEW[,MASK]"),
        ("`enable-dbus` is not taken: lanboot is on no message bus", "use its commands and files instead"),
        ("`--dhcp-range=x` is not a number", "write a whole number of at most 65535"),
        ("`7y` is not a lease time", "write a number and its unit, such as 90m or 12h, or infinite"),
        ("`9.9.9` is neither an address nor a name", "write server=[/domain/]10.0.1.1[#53][@eth0][@10.0.1.2[#1053]]"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_overrules_the_command_line_where_one_value_is_allowed() {
    let read = read_with(&[("/x", "user=file\ninterface=eth1\n")], "-u flag -i eth0 -C /x").unwrap();
    let list: Vec<_> = read.list.into_iter().map(|directive| directive.meaning).collect();
    let user = Meaning::User(Some("file".into()));
    assert_eq!(list, [Meaning::Interface(named("eth0")), user, Meaning::Interface(named("eth1"))]);
}

#[test]
fn help_and_version_come_before_everything_after_them() {
    let ask = |line| read_with(&[("/x", "junk\n")], line).map(|read| read.ask).map_err(|refusal| refusal.exit_code);
    assert_eq!(ask("--help"), Ok(Ask::Help));
    assert_eq!(ask("-w dhcp"), Ok(Ask::HelpDhcp));
    assert_eq!(ask("--help dhcp6"), Ok(Ask::HelpDhcp6));
    assert_eq!(ask("--test --version -C /x"), Ok(Ask::Version));
    assert_eq!(ask("--test -C /x"), Err(1));
    assert_eq!(ask("-C /none"), Err(3));
    assert_eq!(ask("--test --conf-file="), Ok(Ask::Test));
}

#[test]
fn a_script_that_runs_itself_comes_to_an_end() {
    let refusal = read_with(&[("/x", "conf-script=again\n")], "-C /x").unwrap_err();
    assert_eq!(refusal.diagnostics.iter().count(), 1);
    assert_eq!(refusal.diagnostics.0[0].what, "files are nested more than 20 deep");
    let many = "conf-script=quiet\n".repeat(201);
    assert!(read_with(&[("/x", &many[18..])], "-C /x").is_ok());
    let refusal = read_with(&[("/x", &many)], "-C /x").unwrap_err();
    assert_eq!(refusal.diagnostics.0[0].what, "more than 200 commands are to be run");
}

#[test]
fn files_within_files_are_read_in_their_place_and_once() {
    let files =
        [("/x", "interface=a\nconf-file=/y\ninterface=c\nconf-file=/x\n"), ("/y", "interface=b\nconf-file=/x\n")];
    let read = read_with(&files, "-C /x").unwrap();
    let list: Vec<_> = read.list.into_iter().map(|directive| directive.meaning).collect();
    assert_eq!(list, ["a", "b", "c"].map(|name| Meaning::Interface(named(name))));
}

#[test]
fn quotes_protect_what_stands_between_them() {
    let said = |text: &str| option(text).text.as_str().to_owned();
    assert_eq!(said(r#"67,"a, b # c" # d"#), "a, b # c");
    assert_eq!(said(r#"67,  plain text  # x"#), "plain text");
    assert_eq!(said(r#"67,"  kept  ""#), "  kept  ");
    assert_eq!(said(r#"67,"tab\t quote\" back\\ odd\q""#), "tab\t quote\" back\\ odd\\q");
    assert_eq!(said(r#"67,a\tb"#), "a\\tb");
    assert_eq!(said("67,a#b"), "a#b");
    assert!(option(r#"66,"1.2.3.4""#).text.is_quoted());
    assert_eq!(option(r#"252,"\n""#).value.literal(), b"\n");
    assert_eq!(option(r#"253," a "," b " "#).value.literal(), b" a , b ");
    let Meaning::DhcpBoot(boot) = meaning(r#"dhcp-boot="a,b",name"#) else { panic!() };
    assert_eq!((boot.file.as_str(), boot.server_name.unwrap().as_str()), ("a,b", "name"));
}

/// Work grows with the text, not with its square.
#[test]
fn long_lines_are_read_in_good_time_or_not_at_all() {
    let before = std::time::Instant::now();
    for option in ["dhcp-option=", "dhcp-ignore=", "dhcp-range=", "dhcp-host=", "pxe-service=", "tag-if="] {
        for field in ["tag:a,", "set:a,", "x,", ",", "52:54:00:12:34:56,"] {
            let text = format!("{option}{}\n", field.repeat(60_000 / field.len()));
            let _ = read_with(&[("/x", &text)], "-C /x").map_err(|refusal| refusal.diagnostics.0.len());
        }
    }
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    let refusal = read_with(&[("/x", &"#".repeat(100_000))], "-C /x").unwrap_err();
    assert_eq!(refusal.diagnostics.0[0].what, "this line has more than 65536 octets");
}

#[test]
fn ranges() {
    let all = range("tag:!slow,set:lan,10.0.1.9,10.0.1.5,255.255.255.0,10.0.1.255,45m");
    assert_eq!((all.set.unwrap().value.as_str(), tests(&all.tests)), ("lan", vec!["!slow".into()]));
    assert_eq!(all.start.value, ip("10.0.1.5"));
    assert!(matches!(&all.mode, RangeMode::To(end) if end.value == ip("10.0.1.9")));
    assert_eq!((all.netmask.unwrap().value, all.broadcast.unwrap().value), (ip("255.255.255.0"), ip("10.0.1.255")));
    assert_eq!(all.lease, Some(Lease::Seconds(2700)));
    let proxy = range("10.0.1.0,proxy,255.255.255.0");
    assert_eq!((proxy.mode, proxy.netmask.unwrap().value), (RangeMode::Proxy, ip("255.255.255.0")));
    assert_eq!(range("10.0.1.0,static,infinite").lease, Some(Lease::Infinite));
    assert_eq!(range("10.0.1.0,static").mode, RangeMode::Static);
    assert_eq!(range("10.0.1.1,10.0.1.2,5").lease, Some(Lease::Seconds(120)));
    assert_eq!(range("eth0,10.0.1.1,10.0.1.2").set.unwrap().value, "eth0");
    assert_eq!(tests(&range("net:a,10.0.1.1,10.0.1.2").tests), ["a"]);
    assert_eq!(Duration::from_secs(3600 * 24 * 14), range_secs("2w"));
}

fn range_secs(lease: &str) -> Duration {
    match range(&format!("10.0.1.1,10.0.1.2,{lease}")).lease {
        Some(Lease::Seconds(seconds)) => Duration::from_secs(seconds.into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hosts() {
    let all = host("52:54:00:*:*:1,06-00:20:e0:3b:13:af,id:01:ff,set:a,net:b,tag:!c,10.0.1.7,web_1.lan,2h");
    let hardware: Vec<_> = all.hardware.iter().map(|hardware| hardware.value.to_string()).collect();
    assert_eq!(hardware, ["52:54:00:*:*:01", "06-00:20:e0:3b:13:af"]);
    assert!(all.hardware[0].value.matches(1, &[0x52, 0x54, 0, 9, 9, 1]));
    assert!(!all.hardware[0].value.matches(1, &[0x52, 0x54, 0, 9, 9, 2]));
    assert!(!all.hardware[1].value.matches(1, &[0, 0x20, 0xe0, 0x3b, 0x13, 0xaf]));
    assert_eq!(all.client_id.unwrap().value, IdPattern::Octets(vec![Some(1), Some(255)]));
    assert_eq!(all.set.iter().map(|tag| &*tag.value).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(tests(&all.tests), ["!c"]);
    assert_eq!((all.address.unwrap().value, &*all.name.unwrap().value), (ip("10.0.1.7"), "web_1.lan"));
    assert_eq!((all.lease, all.ignore), (Some(Lease::Seconds(7200)), false));
    assert!(host("52:54:00:12:34:56,ignore").ignore);
    assert_eq!(host("id:*,x").client_id.unwrap().value, IdPattern::Ignored);
    assert_eq!(host("id:ab,x").client_id.unwrap().value, IdPattern::Octets(vec![Some(b'a'), Some(b'b')]));
    assert_eq!(host("lap,infinite").lease, Some(Lease::Infinite));
    assert_eq!(host("1foo").name.unwrap().value, "1foo");
}

#[test]
fn options() {
    let router = option("tag:a,tag:!b,old,option:router,10.0.1.1, 10.0.1.2");
    assert_eq!(tests(&router.tests), ["a", "!b", "old"]);
    assert_eq!((router.code.value, router.value.literal()), (3, vec![10, 0, 1, 1, 10, 0, 1, 2]));
    assert_eq!(option("encap:175,190,iscsi-client0").wrap, Wrap::Option(175));
    assert_eq!(option("vi-encap:2,10,text").wrap, Wrap::Enterprise(2));
    let vendor = option("vendor:PXEClient,1,0.0.0.0");
    assert!(matches!(&vendor.wrap, Wrap::Vendor(class) if class.as_str() == "PXEClient"));
    assert!(option("3").value.is_empty());
    assert_eq!(option("121,0.0.0.0/0,10.0.1.1").value.literal(), [0, 10, 0, 1, 1]);
    assert!(matches!(meaning("dhcp-option-force=209,x"), Meaning::DhcpOption(option) if option.force));
    assert_eq!(meanings("dhcp-option=option6:dns-server,[::1]"), []);
    let place = option("3,10.0.1.1").text.place().to_string();
    assert_eq!(place, "/x:1");
}

#[test]
fn matches_set_tags() {
    let tagged = |on| ("t".to_owned(), on);
    let (_, arch) = on("dhcp-match=set:t,option:client-arch,7");
    assert!(matches!(arch, On::Option { code: 93, value: Some(value) } if value.as_str() == "7"));
    assert_eq!(on("dhcp-match=t,vi-encap:9"), tagged(On::Enterprise { number: 9, value: None }));
    assert!(matches!(on("dhcp-vendorclass=set:t,PXE").1, On::VendorClass(class) if class.as_str() == "PXE"));
    assert!(matches!(on("dhcp-userclass=t,iPXE").1, On::UserClass(class) if class.as_str() == "iPXE"));
    assert!(matches!(on("dhcp-mac=set:t,01:*:03").1, On::Hardware(mac) if mac.to_string() == "01:*:03"));
    assert_eq!(on("dhcp-circuitid=set:t,01:ff"), tagged(On::CircuitId(vec![1, 255])));
    assert_eq!(on("dhcp-remoteid=set:t,port 1"), tagged(On::RemoteId(b"port 1".to_vec())));
    assert_eq!(on("dhcp-subscrid=set:t,\"01:ff\""), tagged(On::SubscriberId(b"01:ff".to_vec())));
    assert_eq!(on("dhcp-name-match=set:t,web*"), tagged(On::Name { name: "web".into(), open: true }));
    let Meaning::TagIf(tag_if) = meaning("tag-if=set:a,tag:b*,set:c,tag:!d") else { panic!() };
    assert_eq!(tag_if.set.iter().map(|tag| &*tag.value).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(tests(&tag_if.tests), ["b*", "!d"]);
    assert!(matches!(meaning("dhcp-ignore=tag:!known"), Meaning::DhcpIgnore(all) if tests(&all) == ["!known"]));
    assert!(matches!(meaning("dhcp-ignore=#known"), Meaning::DhcpIgnore(all) if tests(&all) == ["!known"]));
    assert_eq!(meaning("dhcp-broadcast"), Meaning::DhcpBroadcast(vec![]));
}

#[test]
fn boot_and_menus() {
    let Meaning::DhcpBoot(boot) = meaning("dhcp-boot=tag:bios,net:x,pxelinux.0,srv,10.0.1.1") else { panic!() };
    assert_eq!((tests(&boot.tests), boot.file.as_str()), (vec!["bios".into(), "x".into()], "pxelinux.0"));
    assert!(matches!(boot.server, Some(Server::Address(address)) if address.value == ip("10.0.1.1")));
    let Meaning::DhcpBoot(boot) = meaning("dhcp-boot=f,,boot.lan") else { panic!() };
    assert_eq!(boot.server_name, None);
    assert!(matches!(boot.server, Some(Server::Name(name)) if name.value == "boot.lan"));
    let service = |text: &str| match meaning(&format!("pxe-service={text}")) {
        Meaning::PxeService(service) => service,
        other => panic!("{other:?}"),
    };
    assert_eq!(service("x86-64_efi,UEFI,grub").arch.0, 7);
    assert_eq!(service("ARM64_EFI,UEFI").boot, PxeBoot::Local);
    assert_eq!(service("0,\"a, b\",0").text.as_str(), "a, b");
    assert_eq!(service("x86PC,t,15").boot, PxeBoot::Server(15));
    assert!(matches!(service("x86PC,t,pxelinux").boot, PxeBoot::File(file) if file.as_str() == "pxelinux"));
    let Meaning::PxePrompt(prompt) = meaning("pxe-prompt=tag:a,Press F8,10") else { panic!() };
    assert_eq!((prompt.text.as_str(), prompt.timeout_secs), ("Press F8", Some(10)));
}

#[test]
fn the_rest() {
    assert_eq!(meaning("log-facility=LOCAL3"), Meaning::LogTo(LogTo::Syslog("local3".into())));
    assert_eq!(meaning("log-facility=-"), Meaning::LogTo(LogTo::StandardError));
    assert_eq!(meaning("port=0"), Meaning::Dns(Box::new(DnsOption::Port(0))));
    assert_eq!(meaning("pid-file"), Meaning::PidFile(None));
    assert_eq!(meaning("tftp-port-range=9,5"), Meaning::TftpPortRange(5, 9));
    assert_eq!(meanings("tftp-max="), []);
    assert_eq!(meaning("http-port=8080"), Meaning::HttpPort(8080));
    let Meaning::Domain(domain) = meaning("domain=lan,10.0.1.7/24,local") else { panic!() };
    assert_eq!((domain.of, domain.local), (DomainOf::Net("10.0.1.0/24".parse().unwrap()), true));
    let Meaning::Domain(domain) = meaning("domain=#") else { panic!() };
    assert_eq!((domain.name, domain.of), (None, DomainOf::All));
    let Meaning::Relay(relay) = meaning("dhcp-relay=10.0.1.1,192.0.2.1#1067,eth*") else { panic!() };
    assert_eq!((relay.server.unwrap().value, relay.port), (ip("192.0.2.1"), Some(1067)));
    assert_eq!(relay.interface, Some(Pattern { name: "eth".into(), open: true }));
    let Meaning::BridgeInterface { aliases, .. } = meaning("bridge-interface=br0,tap*") else { panic!() };
    assert!(aliases[0].matches("tap7") && !aliases[0].matches("eth0"));
}

#[test]
fn lists_of_machines_and_options_go_on_past_bad_lines() {
    let mut mistakes = Diagnostics::default();
    let text = "# one a line\n52:54:00:12:34:56,10.0.1.7\n52:54:00:zz\n\nlap,12h # x\n";
    let hosts = dnsmasq::hosts_file(&TextFile::new("hosts", text), &mut mistakes);
    let places: Vec<_> = hosts.iter().map(|host| host.place.to_string()).collect();
    assert_eq!(places, ["hosts:2", "hosts:5"]);
    assert_eq!(mistakes.0.len(), 1);
    assert_eq!(mistakes.0[0].place.to_string(), "hosts:3");

    let mut mistakes = Diagnostics::default();
    let options = dnsmasq::options_file(&TextFile::new("opts", "tag:a,66,x\noption:nosuch\n"), &mut mistakes);
    assert_eq!((options.len(), options[0].value.code.value, mistakes.0.len()), (1, 66, 1));

    let mut mistakes = Diagnostics::default();
    let text = "52:54:00:12:34:56\tweb\n52:54:00:12:34:57 10.0.1.8\nweb 10.0.1.9\n52:54:00:12:34:58\n";
    let ethers = dnsmasq::ethers(&TextFile::new("ethers", text), &mut mistakes);
    assert_eq!(ethers[0].value.name.as_ref().unwrap().value, "web");
    assert_eq!(ethers[1].value.address.as_ref().unwrap().value, ip("10.0.1.8"));
    assert_eq!((ethers.len(), mistakes.0.len()), (2, 2));
}

/// Text that is almost a configuration: mostly words that mean something, in any order.
fn almost() -> impl Strategy<Value = String> {
    let names: Vec<String> = dnsmasq::table::names().map(str::to_owned).collect();
    let words = "= , : . # \" \\ * [ ] ! / - \n \t set: tag: net: id: option: option6: encap: vendor: vi-encap: 10.0.1.1 \
                 ::1 255.255.255.0 12h 7 67 175 300 static proxy infinite ignore 52:54:00:*:1:2 x86PC é \u{1f4a9} \0";
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let line = (prop::sample::select(names), prop::collection::vec(prop::sample::select(words), 0..12));
    let line = line.prop_map(|(name, words)| format!("{name}={}\n", words.concat()));
    prop::collection::vec(prop_oneof![8 => line, 1 => any::<String>()], 0..6).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in almost()) {
        let files = Files([(PathBuf::from("/x"), text.into_bytes())].into());
        let mistakes = match Dialect::read(&["-C".into(), "/x".into()], &files) {
            Ok(read) => read.warnings,
            Err(refusal) => refusal.diagnostics,
        };
        prop_assert!(mistakes.to_string().is_empty() == mistakes.is_empty());
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let files = Files([(PathBuf::from("/x"), octets)].into());
        let _ = Dialect::read(&["-C".into(), "/x".into()], &files).map_err(|refusal| refusal.diagnostics.to_string());
    }

    #[test]
    fn no_command_line_makes_the_reader_panic(text in almost(), args in prop::collection::vec(any::<String>(), 0..4)) {
        let words = text.split_whitespace().enumerate().map(|(at, word)| format!("{}{word}", ["--", "-", ""][at % 3]));
        let args: Vec<OsString> = words.chain(args).map(Into::into).collect();
        let _ = Dialect::read(&args, &Files(BTreeMap::new())).map_err(|refusal| refusal.diagnostics.to_string());
    }

    /// What is written between quotes is what is meant.
    #[test]
    fn quoted_text_is_kept(value in "[a-zA-Z0-9 ,:.#=\"\\\\\t]{1,20}") {
        let written = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
        let option = option(&format!("67,\"{written}\""));
        prop_assert_eq!(option.text.as_str(), value);
    }
}

#[test]
fn what_does_not_work_is_told_together_with_what_cannot_be_read() {
    let args = ["--conf-file=", "--nosuch", "--dhcp-range=10.0.1.2,10.0.1.9", "--port=5353"].map(OsString::from);
    let refusal = Dialect::read(&args, &Disk).expect_err("there is no such option");
    let told = refusal.diagnostics.to_string();
    assert!(told.contains("nosuch") && told.contains("no DNS server"), "{told}");
}

#[test]
fn machines_without_a_dns_server_are_spoken_of() {
    let warned = |options: &str| {
        let args: Vec<OsString> = format!("--conf-file= {options}").split_whitespace().map(Into::into).collect();
        let read = Dialect::read(&args, &Disk).unwrap_or_else(|refusal| panic!("{}", refusal.diagnostics));
        lower::check(&read).iter().any(|found| found.what.contains("no DNS server"))
    };
    assert!(warned("--dhcp-range=10.0.1.2,10.0.1.9 --port=5353"));
    assert!(warned("--dhcp-range=10.0.1.0,static --port=5353"));
    for fine in [
        "--dhcp-range=10.0.1.2,10.0.1.9",
        "--dhcp-range=10.0.1.2,10.0.1.9 --port=0",
        "--dhcp-range=10.0.1.2,10.0.1.9 --port=5353 --dhcp-option=6,10.0.1.1",
        "--dhcp-range=10.0.1.2,10.0.1.9 --port=5353 --dhcp-option=option:dns-server",
        "--dhcp-range=10.0.1.0,proxy --port=5353",
        "--enable-tftp --port=5353",
    ] {
        assert!(!warned(fine), "{fine}");
    }
}
