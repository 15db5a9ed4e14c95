//! Every key of lanboot.toml: what it takes, its default and its meaning. The file reader knows no other keys, and the
//! tables of docs/configuration.md are printed from here.

use crate::nearest::nearest;

/// One key.
pub struct Key {
    /// The section's path: `network`, `network.forward`; empty at the top.
    pub section: &'static str,
    pub name: &'static str,
    /// What kind of value it takes.
    pub takes: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
    /// A value as TOML.
    pub example: &'static str,
    /// The flag that says the same; empty when there is none.
    pub flag: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    meaning: &'static str,
    example: &'static str,
    flag: &'static str,
) -> Key {
    Key { section, name, takes, default, meaning, example, flag }
}

#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("network", "bridge", "name", "none", "A bridge to serve on. Made when it is not there, up to 15 characters. Either this or `interface`.",
        r#""net""#, "--bridge NAME[=ADDRESS/PREFIX]"),
    key("network", "interface", "name", "none", "An interface that exists and is used as it is. Either this or `bridge`.",
        r#""eth1""#, "--interface NAME"),
    key("network", "address", "address/prefix", "the interface's own", "The address lanboot serves from, with the length of the subnet's prefix (1 to 30). A bridge needs it.",
        r#""10.0.1.1/24""#, "--address ADDRESS/PREFIX"),
    key("network", "ports", "list of names", "none", "Interfaces to enslave to the bridge.",
        r#"["eth1"]"#, "--port NAME, repeatable"),
    key("network", "masquerade", "true or false", "true with `bridge`, else false", "Turn on forwarding, and let machines reach what lies beyond this host under this host's address.",
        "true", "--masquerade, --no-masquerade"),
    key("network", "forward", "tables", "none", "Ports of this host that lead to a machine inside; see below.",
        r#"[{ protocol = "tcp", interface = "eth0", port = 587, to = "10.0.1.100:587" }]"#, "--forward PROTOCOL:[INTERFACE:]PORT=ADDRESS[:PORT], repeatable"),

    key("network.forward", "protocol", "`tcp` or `udp`", "required", "Which of the two.", r#""tcp""#, ""),
    key("network.forward", "interface", "name", "any but our own", "Only what arrives on this interface.", r#""eth0""#, ""),
    key("network.forward", "port", "1 to 65535", "required", "The port on this host.", "587", ""),
    key("network.forward", "to", "address[:port]", "required", "Where it leads; without a port, to the same one.", r#""10.0.1.100:587""#, ""),

    key("dhcp", "enabled", "true or false", "true", "Give out addresses.", "false", "--no-dhcp"),
    key("dhcp", "range", "range or list of ranges", "from the 100th of 256 addresses to the last", "What to give out. Both ends are included; lanboot's own address is left out by itself.",
        r#""10.0.1.200-10.0.1.253""#, "--range FIRST-LAST, repeatable"),
    key("dhcp", "lease", "time or `infinite`", "12h", "For how long an address is given: from 2m to 136 years.", r#""12h""#, "--lease TIME"),
    key("dhcp", "allocation", "`sequential` or `hashed`", "sequential", "Which free address to try first: the lowest, or one computed from the machine's MAC address, so that it tends to stay the same even without a record.",
        r#""hashed""#, "--allocation HOW"),
    key("dhcp", "authoritative", "true or false", "true", "Refuse (DHCPNAK) an address that a machine brings from elsewhere, so that it asks for a new one at once.", "false", ""),
    key("dhcp", "lease_limit", "number", "as many as the ranges hold", "At most this many leases at once.", "253", ""),
    key("dhcp", "conflict_check", "`arp`, `icmp` or `off`", "arp", "How to make sure that nobody uses an address before it is offered. Behind a relay ARP does not reach, and ICMP is used.",
        r#""icmp""#, "--conflict-check HOW"),
    key("dhcp", "conflict_wait", "time", "300ms", "How long such a probe waits for an answer: 10ms to 3s.", r#""300ms""#, ""),
    key("dhcp", "identity", "`machine` or `client-id`", "machine", "What makes two requests the same client: the MAC address, so that a machine keeps one address from ROM to operating system, or option 61 where sent.",
        r#""client-id""#, ""),
    key("dhcp", "router", "address or `none`", "our own when masquerading, else none", "The default route that machines are told (option 3).", r#""10.0.1.1""#, ""),
    key("dhcp", "dns", "address or list of addresses", "the host's, when masquerading", "Name servers (option 6).", r#"["9.9.9.9", "1.1.1.1"]"#, ""),
    key("dhcp", "domain", "name", "none", "Domain name (option 15).", r#""lab.example""#, ""),

    key("machine", "mac", "MAC address", "required", "Which machine this is about.", r#""52:54:00:12:34:56""#, ""),
    key("machine", "name", "name", "none", "Its host name (option 12), also shown in the timeline.", r#""rack-1""#, ""),
    key("machine", "address", "address", "any free one", "The address it always gets. Inside the subnet; may lie outside the ranges.", r#""10.0.1.50""#, ""),
    key("machine", "boot", "table", "what everybody boots", "What this machine boots: the keys below.", r#"{ script = "rescue.ipxe" }"#, ""),

    key("machine.boot", "kernel", "path", "none", "As in `[boot]`.", r#""vmlinuz""#, ""),
    key("machine.boot", "initrd", "path or list of paths", "none", "As in `[boot]`.", r#""initrd.img""#, ""),
    key("machine.boot", "cmdline", "text", "empty", "As in `[boot]`.", r#""console=ttyS0""#, ""),
    key("machine.boot", "script", "path", "none", "As in `[boot]`.", r#""rescue.ipxe""#, ""),
    key("machine.boot", "file", "published name", "none", "As in `[boot]`.", r#""pxelinux.0""#, ""),
    key("machine.boot", "files", "table", "none", "As in `[boot.files]`.", r#"{ bios = "pxelinux.0" }"#, ""),

    key("boot", "kernel", "path", "none", "A Linux kernel, booted by an iPXE script that lanboot writes.", r#""vmlinuz""#, "--kernel PATH"),
    key("boot", "initrd", "path or list of paths", "none", "Its initial RAM disks, in this order.", r#"["initrd.img", "extra.cpio"]"#, "--initrd PATH, repeatable"),
    key("boot", "cmdline", "text", "empty", "Its command line. Placeholders: see below.", r#""console=ttyS0 ip=dhcp""#, "--cmdline TEXT"),
    key("boot", "script", "path", "none", "An iPXE script of your own, instead of a kernel.", r#""menu.ipxe""#, "--script PATH"),
    key("boot", "file", "published name", "found in `tftp.root`", "A boot file below `tftp.root`, instead of a kernel or a script, for every platform that `[boot.files]` does not name.",
        r#""pxelinux.0""#, "--boot-file NAME"),
    key("boot", "files", "table", "none", "Boot files by platform; see below.", r#"{ bios = "pxelinux.0", uefi-x64 = "bootx64.efi" }"#, ""),
    key("boot", "ipxe", "path", "where the distribution's `ipxe` package puts them", "A folder with iPXE's binaries.", r#""/srv/ipxe""#, "--ipxe PATH"),
    key("boot", "replace_rom_ipxe", "`when-needed`, `always` or `never`", "when-needed", "When an iPXE that a network card brought along is replaced by ours: when it lacks HTTP, always, or never.",
        r#""always""#, ""),
    key("boot", "chain", "`auto`, `ipxe` or `direct`", "auto", "Whether a boot file is loaded through iPXE or goes to the firmware itself; `auto`: EFI binaries go to UEFI firmware itself.", r#""direct""#, ""),

    key("boot.files", "bios", "published name", "`boot.file`", "For x86 BIOS.", r#""pxelinux.0""#, ""),
    key("boot.files", "uefi-ia32", "published name", "`boot.file`", "For 32-bit x86 UEFI.", r#""bootia32.efi""#, ""),
    key("boot.files", "uefi-x64", "published name", "`boot.file`", "For 64-bit x86 UEFI.", r#""bootx64.efi""#, ""),
    key("boot.files", "uefi-arm32", "published name", "`boot.file`", "For 32-bit ARM UEFI.", r#""bootarm.efi""#, ""),
    key("boot.files", "uefi-arm64", "published name", "`boot.file`", "For 64-bit ARM UEFI.", r#""bootaa64.efi""#, ""),

    key("tftp", "enabled", "true or false", "true", "Serve TFTP.", "false", "--no-tftp"),
    key("tftp", "root", "path", "none", "A folder of files to publish, over HTTP as well.", r#""/var/lib/tftpboot""#, "--tftp-root PATH"),
    key("tftp", "unique_root", "`ip` or `mac`", "off", "Serve each machine from its own folder below the root, where it has one: `10.0.1.7`, or `52-54-00-12-34-56`.", r#""mac""#, ""),
    key("tftp", "secure", "true or false", "false", "Give out only files of the user that lanboot runs as; as root, only those that everyone may read. Over HTTP as well.", "true", ""),
    key("tftp", "port", "1 to 65535", "69", "UDP port. Firmware knows no other than 69.", "6969", ""),
    key("tftp", "port_range", "ports", "any that is free", "Transfers come from these UDP ports, which a firewall may let pass. There are no more transfers at once than ports.", r#""50000-50099""#, ""),
    key("tftp", "single_port", "true or false", "false", "Transfers come from the service's own port, for machines behind a NAT or a firewall that knows nothing of TFTP.", "true", ""),
    key("tftp", "max_blksize", "8 to 65464", "what fits the link's MTU", "Largest block, in octets, that is agreed to (RFC 2348).", "1428", ""),
    key("tftp", "max_windowsize", "1 to 65535", "64", "Most blocks under way at once (RFC 7440).", "16", ""),
    key("tftp", "max_transfers", "1 to 65535", "1000", "Most transfers at once.", "200", ""),

    key("http", "enabled", "true or false", "true", "Serve HTTP.", "false", "--no-http"),
    key("http", "root", "path", "`tftp.root`", "A folder of files to publish, over TFTP as well.", r#""/srv/http""#, "--http-root PATH"),
    key("http", "port", "1 to 65535", "80", "TCP port.", "8080", "--http-port PORT"),

    key("state", "dir", "path", "/var/lib/lanboot", "Where leases, the record of changes to this host and fetched firmware are kept.", r#""/srv/lanboot""#, "--state PATH"),

    key("", "network", "table", "required", "Where to serve.", r#"{ interface = "eth1" }"#, ""),
    key("", "dhcp", "table", "see below", "Addresses.", "{}", ""),
    key("", "machine", "tables", "none", "Machines with something of their own.", r#"[{ mac = "52:54:00:12:34:56" }]"#, ""),
    key("", "boot", "table", "see below", "What is booted.", "{}", ""),
    key("", "tftp", "table", "see below", "The TFTP service.", "{}", ""),
    key("", "http", "table", "see below", "The HTTP service.", "{}", ""),
    key("", "state", "table", "see below", "What lanboot remembers.", "{}", ""),
];

/// The keys of a section, in the order in which people read about them.
pub fn of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// The key that somebody who wrote the unknown key `name` into `section` probably meant.
pub(crate) fn meant(section: &str, name: &str) -> Option<&'static Key> {
    let near = nearest(name, of(section).map(|key| key.name));
    match near {
        Some(near) => of(section).find(|key| key.name == near),
        None => KEYS.iter().find(|key| key.name == name && !key.section.is_empty()),
    }
}

/// The reference table of a section for docs/configuration.md.
pub fn markdown(section: &str) -> String {
    let mut table = String::from("| Key | Takes | Default | Meaning | Example | Flag |\n|---|---|---|---|---|---|\n");
    for key in of(section) {
        let flag = match (key.flag, key.flag.strip_suffix(", repeatable")) {
            ("", _) => String::new(),
            (_, Some(flag)) => format!("`{flag}`, repeatable"),
            (flag, None) => format!("`{flag}`"),
        };
        let Key { name, takes, default, meaning, example, .. } = key;
        table.push_str(&format!("| `{name}` | {takes} | {default} | {meaning} | `{name} = {example}` | {flag} |\n"));
    }
    table
}
