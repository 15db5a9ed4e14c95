//! What holds for every text and every configuration.

mod world;

use config::TextFile;
use proptest::prelude::*;

/// Loads and shows a text; neither may panic, whatever it is.
fn digest(text: &str) -> String {
    let source = TextFile::new("/srv/lanboot.toml", text);
    match config::load_text(Some(&source), &Default::default(), &world::World::new()) {
        Ok(loaded) => loaded.warnings.render(true),
        Err(mistakes) => mistakes.render(true) + &mistakes.render(false),
    }
}

fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

/// Keys and values of all kinds, where they belong and where they do not.
fn almost_a_file() -> impl Strategy<Value = String> {
    let headers = &[
        "[network]",
        "[[network.forward]]",
        "[dhcp]",
        "[[machine]]",
        "[machine.boot]",
        "[boot]",
        "[boot.files]",
        "[tftp]",
        "[http]",
        "[state]",
        "[leases]",
        "[dns]",
        "[dns.cache]",
        "[dns.filter]",
        "[[dns.forward]]",
        "[[dns.override]]",
        "[[dns.record]]",
        "[[dns.synth]]",
        "[[dns.alias]]",
        "[nowhere]",
        "[[dhcp]]",
        "[machine]",
        "[",
        "",
    ];
    let keys = &[
        "bridge",
        "interface",
        "address",
        "ports",
        "masquerade",
        "protocol",
        "port",
        "to",
        "range",
        "lease",
        "router",
        "dns",
        "domain",
        "mac",
        "name",
        "kernel",
        "initrd",
        "cmdline",
        "script",
        "file",
        "files",
        "ipxe",
        "chain",
        "root",
        "dir",
        "enabled",
        "lease_limit",
        "client_rate",
        "conflict_wait",
        "forward",
        "boot",
        "upstream",
        "resolv",
        "hosts",
        "order",
        "ttl",
        "stale",
        "types",
        "cname",
        "txt",
        "srv",
        "naptr",
        "hex",
        "type",
        "reverse",
        "gravity",
        "\"ä\"",
    ];
    let values = &[
        "1",
        "-1",
        "0x10",
        "1.5",
        "true",
        "\"net\"",
        "\"eth1\"",
        "\"10.0.1.1/24\"",
        "\"10.0.1.1/33\"",
        "\"10.0.0.1/0\"",
        "[\"10.0.1.9-10.0.1.1\"]",
        "\"10.0.1.2-10.0.1.9\"",
        "[\"10.0.1.2-10.0.1.9\", \"10.0.1.5\"]",
        "\"12h\"",
        "\"99999999999999999999w\"",
        "\"\"",
        "\"ÄÖ\\u0007\"",
        "'{mac} {x} { }}'",
        "\"*.\"",
        "\"10.2.0.0/15\"",
        "\"fd00::/7\"",
        "\"192.0.2.1@eth0@::1#99999\"",
        "'10 100 \"s\" \"a\\\"b\" \"\" .'",
        "\"0 issue \\\"\"",
        "[\"a\", [\"b\", 1], []]",
        "\"52:54:00:00:00:01\"",
        "{}",
        "{ a = 1 }",
        "[[]]",
        "[{ to = \"10.0.1.9:x\" }]",
        "1979-05-27",
        "\"vmlinuz\"",
        "\"/srv/tftp\"",
        "\"\"\"a\nb\"\"\"",
        "bare",
        "",
    ];
    let line = (words(keys), words(values)).prop_map(|(key, value)| format!("{key} = {value}"));
    let section = (words(headers), prop::collection::vec(line, 0..5));
    let section = section.prop_map(|(header, lines)| format!("{header}\n{}\n", lines.join("\n")));
    prop::collection::vec(section, 0..8).prop_map(|sections| sections.concat())
}

/// A valid file with any mixture of settings.
fn good_file() -> impl Strategy<Value = String> {
    let link = words(&["bridge = \"net\"\nports = [\"eth1\", \"eth2\"]", "bridge = \"br0\"", "interface = \"eth1\""]);
    let address = words(&["10.0.1.1/24", "10.0.1.77/24", "10.0.1.254/16", "10.0.1.130/26"]);
    let network = words(&[
        "",
        "masquerade = false",
        "masquerade = true",
        "[[network.forward]]\nprotocol = \"udp\"\nport = 53\nto = \"10.0.1.140\"",
        "forward = [{ protocol = \"tcp\", interface = \"eth0\", port = 587, to = \"10.0.1.150:25\" }]",
    ]);
    let dhcp = prop::collection::btree_set(
        words(&[
            "range = [\"10.0.1.140-10.0.1.150\", \"10.0.1.129-10.0.1.135\"]",
            "lease = \"infinite\"",
            "allocation = \"hashed\"",
            "authoritative = false",
            "lease_limit = 7",
            "client_rate = 100",
            "conflict_check = \"off\"",
            "conflict_wait = \"1500ms\"",
            "identity = \"client-id\"",
            "router = \"none\"",
            "dns = [\"9.9.9.9\", \"1.1.1.1\"]",
            "domain = \"lab.example\"",
        ]),
        0..8,
    );
    let boot = words(&[
        "",
        "kernel = \"vmlinuz\"",
        "kernel = \"other/my kernel\"\ninitrd = [\"initrd.img\", \"other/initrd.img\"]\ncmdline = '\"x\" {mac} \\ {{}}'",
        "script = \"menu.ipxe\"\nchain = \"direct\"\nreplace_rom_ipxe = \"never\"\nipxe = \"tftp\"",
        "file = \"pxelinux.0\"\nchain = \"direct\"",
        "[boot.files]\nbios = \"pxelinux.0\"\nuefi-x64 = \"grub/grubx64.efi\"",
    ]);
    let services = prop::collection::btree_set(
        words(&[
            "dhcp.enabled = false",
            "http.root = \"netboot/text\"",
            "http.port = 8080",
            "tftp.max_blksize = 1428",
            "tftp.max_windowsize = 4",
            "tftp.port_range = \"50000-50099\"",
            "tftp.single_port = true",
            "tftp.unique_root = \"mac\"",
            "tftp.secure = true",
            "state.dir = \"state\"",
            "leases.database = \"postgresql://lanboot@db/lanboot\"",
        ]),
        0..4,
    );
    let machines = prop::collection::btree_set(
        words(&[
            "mac = \"52:54:00:00:00:01\"\nname = \"one\"\naddress = \"10.0.1.180\"",
            "mac = \"52:54:00:00:00:03\"\nboot.kernel = \"vmlinuz\"\nboot.initrd = \"other/initrd.img\"",
            "mac = \"52:54:00:00:00:02\"\nboot = { files = { uefi-arm64 = \"pxelinux.0\" } }\nname = \"two\"",
        ]),
        0..3,
    );
    let rules = prop::collection::vec(
        words(&[
            "[[dhcp.pool]]\nrange = \"10.0.2.50-10.0.2.99\"\nsubnet = \"10.0.2.0/24\"\nlease = \"1h\"\nset = \"far\"",
            "[[dhcp.pool]]\nrange = \"reserved\"\nwhen = \"known,!far\"",
            "[[dhcp.tag]]\nset = \"ipxe\"\noption = 175",
            "[[dhcp.tag]]\nset = [\"efi\", \"x64\"]\noption = \"client-arch\"\nvalue = \"7\"",
            "[[dhcp.tag]]\nset = \"any\"\nwhen = \"x*,!efi\"",
            "[[dhcp.tag]]\nset = \"mine\"\nmac = \"52:54:*:*:*:*\"",
            "[[dhcp.tag]]\nset = \"port\"\ncircuit_id = \"01:02:ff\"",
            "[[dhcp.option]]\noption = \"ntp-server\"\nvalue = \"0.0.0.0,10.0.1.9\"\nforce = true",
            "[[dhcp.option]]\noption = 67\ntext = \"10.0.1.1\"\nwhen = \"!ipxe\"",
            "[[dhcp.option]]\noption = 224\nhex = \"00:ff:80\"",
            "[[dhcp.option]]\noption = 8\nencap = 175\nvalue = \"1\"",
            "[[dhcp.option]]\noption = 3\nvendor = \"PXE\"\ntext = \"x,y\"",
            "[[dhcp.option]]\noption = \"router\"",
            "[[dhcp.boot]]\nfile = \"pxelinux.0\"\nserver = \"10.0.1.9\"\nserver_name = \"nas\"",
            "[[dhcp.host]]\nmac = [\"52:54:00:00:00:*\", \"06-52:54:00:00:00:01\"]\nset = \"lab\"\nlease = \"infinite\"",
            "[[dhcp.host]]\nid = \"01:02:*\"\nignore = true",
            "[[dhcp.host]]\nname = \"pc\"\nid = \"some one\"\naddress = \"10.0.1.181\"\nwhen = \"lab\"",
        ]),
        0..6,
    );
    let services = (services, good_dns());
    (link, address, network, dhcp, boot, services, machines, rules).prop_map(
        |(link, address, network, dhcp, boot, (services, dns), machines, rules)| {
            let mut file = String::from("tftp.root = \"tftp\"\n");
            // Dotted keys define their table, which must then not be opened again.
            let (dhcp_off, services): (Vec<_>, Vec<_>) =
                services.into_iter().partition(|line| line.starts_with("dhcp."));
            services.iter().for_each(|line| file.push_str(&format!("{line}\n")));
            file.push_str(&format!("[network]\n{link}\naddress = \"{address}\"\n{network}\n[dhcp]\n"));
            dhcp_off.iter().for_each(|_| file.push_str("enabled = false\n"));
            dhcp.iter().for_each(|line| file.push_str(&format!("{line}\n")));
            file.push_str(&format!("[boot]\n{boot}\n"));
            rules.iter().for_each(|rule| file.push_str(&format!("{rule}\n")));
            machines.iter().for_each(|machine| file.push_str(&format!("[[machine]]\n{machine}\n")));
            file.push_str(&dns);
            file
        },
    )
}

/// A `[dns]` without mistakes.
fn good_dns() -> impl Strategy<Value = String> {
    let plain = prop::collection::btree_set(
        words(&[
            "upstream = [\"9.9.9.9\", \"192.0.2.1:5353@eth0@10.0.0.2\", \"[2001:db8::1]:54\"]",
            "resolv = [\"resolv.conf\", \"later/resolv.conf\"]",
            "hosts = [\"hosts\", \"hosts.d\"]",
            "order = \"strict\"",
            "clients = \"all\"",
            "port = 5353",
            "domain_needed = false\nbogus_priv = false\nexpand_hosts = false",
            "ttl = \"1m\"\nlease_ttl = \"0s\"\nlog = true",
            "source_ports = \"2000-2999\"\nedns_max = 4096\nmax_queries = 7\nmax_tcp = 2",
            "localise = true\nkeep_order = true\nfull_names_only = true\nrandom_case = false\npass_ad = true",
            "cache = { size = 0, negative = false, stale = \"1d\", min_ttl = \"1m\", max_ttl = \"1h\", types = [\"A\", \"TYPE65\"] }",
            "filter = { rebind = true, rebind_ok = [\"*.\", \"a.example\"], bogus_nxdomain = \"203.0.113.0/24\", types = \"aaaa\" }",
        ]),
        0..6,
    );
    let tables = prop::collection::btree_set(
        words(&[
            "[[dns.forward]]\ndomain = [\"corp.example\", \"10.8.0.0/15\"]\nto = [\"10.8.0.1\", \"10.8.0.2:54\"]",
            "[[dns.forward]]\ndomain = \"lab.example\"\nto = []",
            "[[dns.forward]]\ndomain = [\"*.\", \"*oogle.example\", \"*.below.example\"]\nto = \"usual\"",
            "[[dns.override]]\ndomain = \"*\"\nto = \"null\"",
            "[[dns.override]]\ndomain = \"m.example\"\nto = [\"10.0.1.5\", \"fd00::5\"]",
            "[[dns.record]]\nname = [\"nas\", \"nas.lan\"]\naddress = [\"10.0.1.5\", \"fd00::5\"]\nttl = \"5m\"",
            "[[dns.record]]\nname = \"nas\"\nreverse = false\naddress = \"10.0.1.6\"\ntxt = [\"a\", [\"b\", \"\"], \"c\"]",
            "[[dns.record]]\nname = \"nas\"\ntxt = [[\"x\", \"y\"]]\nmx = \"10 m.lan\"\nsrv = [\"0 5 389 l.lan\", \"1 5 389 .\"]",
            "[[dns.record]]\nname = \"x.lan\"\ncaa = '0 issue \"a b\\\"\"'\nnaptr = '1 2 \"s\" \"\" \"!a\\\\b!\" .'\ntype = \"TYPE65\"\nhex = \"00:ff\"",
            "[[dns.record]]\nname = \"10.0.1.9\"\nptr = [\"a.lan\", \"b.lan\"]",
            "[[dns.record]]\nname = \"c.lan\"\ncname = \"nas\"",
            "[[dns.record]]\nname = \"gw.lan\"\ninterface = \"eth1/4\"",
            "[[dns.synth]]\ndomain = \"lan\"\nrange = \"10.0.1.0/24\"\nprefix = \"ip-\"\ncounted = true",
            "[[dns.alias]]\nrange = \"203.0.113.1-203.0.113.9\"\nto = \"10.0.1.0\"\nmask = \"255.255.255.0\"",
        ]),
        0..6,
    );
    let whole =
        prop_oneof![Just(String::new()), Just("enabled = false\n".to_owned()), Just("enabled = true\n".to_owned())];
    (whole, plain, tables.prop_map(|tables| tables.into_iter().collect::<Vec<_>>()).prop_shuffle()).prop_map(
        |(whole, plain, tables)| {
            let plain: String = plain.iter().map(|line| format!("{line}\n")).collect();
            let tables: String = tables.iter().map(|table| format!("{table}\n")).collect();
            format!("[dns]\n{whole}{plain}{tables}")
        },
    )
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        digest(&text);
    }

    #[test]
    fn nothing_like_a_file_panics(text in almost_a_file()) {
        prop_assume!(text.len() < 4000);
        digest(&text);
    }

    #[test]
    fn a_printed_configuration_gives_the_same_configuration(text in good_file()) {
        let first = world::load("", &text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}")).config;
        let printed = first.to_toml();
        let second = world::load("", &printed).unwrap_or_else(|mistakes| panic!("{printed}\n{mistakes}")).config;
        prop_assert_eq!(first, second, "{}", printed);
    }
}
