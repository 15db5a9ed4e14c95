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
    key("dhcp", "mode", "`server` or `proxy`", "server", "Who gives out addresses. `proxy`: another server on this network does, and lanboot tells machines what to boot (proxyDHCP, on UDP ports 67 and 4011).",
        r#""proxy""#, "--proxy"),
    key("dhcp", "range", "range or list of ranges", "from the 100th of 256 addresses to the last", "What to give out. Both ends are included; lanboot's own address is left out by itself.",
        r#""10.0.1.200-10.0.1.253""#, "--range FIRST-LAST, repeatable"),
    key("dhcp", "lease", "time or `infinite`", "12h", "For how long an address is given: from 2m to 136 years.", r#""12h""#, "--lease TIME"),
    key("dhcp", "allocation", "`sequential` or `hashed`", "sequential; hashed with `leases.database`", "Which free address to try first: the lowest, or one computed from the machine's MAC address, so that it tends to stay the same even without a record.",
        r#""hashed""#, "--allocation HOW"),
    key("dhcp", "authoritative", "true or false", "true", "Refuse (DHCPNAK) an address that a machine brings from elsewhere, so that it asks for a new one at once.", "false", ""),
    key("dhcp", "lease_limit", "number", "as many as the ranges hold", "At most this many leases at once.", "253", ""),
    key("dhcp", "client_rate", "number", "20", "At most this many messages a second of one client are answered, after four times as many at once; of one relay agent, 250 times as many. The journal names who sends more.", "100", ""),
    key("dhcp", "conflict_check", "`arp`, `icmp` or `off`", "arp", "How to make sure that nobody uses an address before it is offered. Behind a relay ARP does not reach, and ICMP is used.",
        r#""icmp""#, "--conflict-check HOW"),
    key("dhcp", "conflict_wait", "time", "300ms", "How long such a probe waits for an answer: 10ms to 3s.", r#""300ms""#, ""),
    key("dhcp", "identity", "`machine` or `client-id`", "machine", "What makes two requests the same client: the MAC address, so that a machine keeps one address from ROM to operating system, or option 61 where sent.",
        r#""client-id""#, ""),
    key("dhcp", "router", "address, `self` or `none`", "our own when masquerading, else none", "The default route that machines are told (option 3); `self`: lanboot, or the relay.", r#""10.0.1.1""#, ""),
    key("dhcp", "dns", "address, `self` or list", "lanboot, where it answers DNS; else the host's, when masquerading", "Name servers (option 6); `self`: lanboot, `[]`: none.", r#"["9.9.9.9", "1.1.1.1"]"#, ""),
    key("dhcp", "domain", "name", "none", "Domain name (option 15).", r#""lab.example""#, ""),

    key("dhcp", "ignore", "tags or list of tags", "none", "Machines whose requests have these tags get no answer.", r#""!known""#, ""),
    key("dhcp", "pxe_classes", "text or list of texts", "`PXEClient`", "Starts of the vendor classes (option 60) that tell PXE clients from others.", r#"["PXEClient", "HW-Client"]"#, ""),
    key("dhcp", "keep_fields", "true or false", "false", "Names of boot files stay in the header fields, whatever a machine asks for.", "true", ""),
    key("dhcp", "pool", "tables", "none", "Parts of subnets on their own terms; see below.", r#"[{ range = "10.0.1.50-10.0.1.99" }]"#, ""),
    key("dhcp", "tag", "tables", "none", "Tags for requests that are like this; see below.", r#"[{ set = "ipxe", option = 175 }]"#, ""),
    key("dhcp", "option", "tables", "none", "What answers carry beyond the above; see below.", r#"[{ option = "ntp-server", value = "10.0.1.1" }]"#, ""),
    key("dhcp", "boot", "tables", "none", "Boot files by tags, where `boot.chain` is `rules`; see below.", r#"[{ file = "pxelinux.0" }]"#, ""),
    key("dhcp", "menu", "tables", "none", "Entries of the PXE menu; see below.", r#"[{ arch = "bios", text = "Install", file = "pxelinux" }]"#, ""),
    key("dhcp", "host", "tables", "none", "Machines that no single MAC address tells; see below.", r#"[{ mac = "52:54:00:*:*:*", set = "lab" }]"#, ""),

    key("dhcp.pool", "range", "range, `reserved` or `proxy`", "required", "What it gives out; `reserved`: only what machines and hosts have for themselves; `proxy`: nothing, as another server does.", r#""10.0.1.50-10.0.1.99""#, ""),
    key("dhcp.pool", "subnet", "subnet", "the network's own", "The subnet it is part of: another one is reached through a relay.", r#""10.0.2.0/24""#, ""),
    key("dhcp.pool", "broadcast", "address", "the subnet's last", "Broadcast address (option 28).", r#""10.0.1.255""#, ""),
    key("dhcp.pool", "lease", "time or `infinite`", "`dhcp.lease`", "As in `[dhcp]`.", r#""1h""#, ""),
    key("dhcp.pool", "set", "tag", "none", "A tag for who gets an address of it.", r#""lab""#, ""),
    key("dhcp.pool", "when", "tags", "everybody", "Who is served from it.", r#""known,!guest""#, ""),

    key("dhcp.tag", "set", "tag or list of tags", "required", "What a request gets that is like this. One of the following says how.", r#""ipxe""#, ""),
    key("dhcp.tag", "when", "tags", "none", "It has these tags already.", r#""lab,!known""#, ""),
    key("dhcp.tag", "option", "name or number", "none", "It has this option, with `value`, `text` or `hex` where one is given.", r#""client-arch""#, ""),
    key("dhcp.tag", "value", "text", "any", "What the option holds, read as its kind wants it: a number, an address, octets with `*` for any, or a part of a text.", r#""7""#, ""),
    key("dhcp.tag", "text", "text", "any", "A text that is found in the option, whatever it looks like.", r#""iPXE""#, ""),
    key("dhcp.tag", "hex", "octets", "any", "One element of the option, in octets.", r#""00:07""#, ""),
    key("dhcp.tag", "enterprise", "number", "none", "A vendor class of this enterprise in option 124, with `value` where one is given.", "343", ""),
    key("dhcp.tag", "vendor_class", "text", "none", "A part of option 60.", r#""PXEClient""#, ""),
    key("dhcp.tag", "user_class", "text", "none", "A part of option 77.", r#""iPXE""#, ""),
    key("dhcp.tag", "mac", "MAC address with `*`", "none", "The hardware address.", r#""52:54:00:*:*:*""#, ""),
    key("dhcp.tag", "circuit_id", "text or octets", "none", "What a relay says of the port (option 82).", r#""Gi1/0/7""#, ""),
    key("dhcp.tag", "remote_id", "text or octets", "none", "What a relay says of itself (option 82).", r#""00:1b:54:aa:01:02""#, ""),
    key("dhcp.tag", "subscriber_id", "text or octets", "none", "What a relay says of the subscriber (option 82).", r#""room-7""#, ""),
    key("dhcp.tag", "name", "name, `*` at its end", "none", "What the machine calls itself.", r#""rack-*""#, ""),
    key("dhcp.tag", "arch", "architecture", "none", "One of the architectures that firmware names (option 93).", r#""uefi-x64""#, ""),

    key("dhcp.option", "option", "name or number", "required", "Which option. Inside another one: its number there.", r#""ntp-server""#, ""),
    key("dhcp.option", "value", "text", "none", "What it holds, read as its kind wants it; lists have commas. Without any value the option is not sent, or sent empty.", r#""10.0.1.1,10.0.1.2""#, ""),
    key("dhcp.option", "text", "text", "none", "A text, whatever it looks like.", r#""1.2.3.4""#, ""),
    key("dhcp.option", "hex", "octets", "none", "Octets.", r#""01:ff""#, ""),
    key("dhcp.option", "force", "true or false", "false", "Send it even to those who do not ask for it.", "true", ""),
    key("dhcp.option", "vendor", "text", "none", "It goes into option 43, for vendor classes with this text in them.", r#""PXEClient""#, ""),
    key("dhcp.option", "encap", "name or number", "none", "It goes into this option.", "175", ""),
    key("dhcp.option", "enterprise", "number", "none", "It goes into option 125, under this enterprise.", "343", ""),
    key("dhcp.option", "when", "tags", "everybody", "Who gets it.", r#""!ipxe""#, ""),

    key("dhcp.boot", "file", "name", "none", "The boot file.", r#""pxelinux.0""#, ""),
    key("dhcp.boot", "server_name", "name", "none", "The server's name, in the header's `sname`.", r#""boot""#, ""),
    key("dhcp.boot", "server", "address", "lanboot", "Who has the file.", r#""10.0.1.5""#, ""),
    key("dhcp.boot", "when", "tags", "everybody", "Who gets it.", r#""!ipxe""#, ""),

    key("dhcp.menu", "arch", "name or number", "required", "Whose menu it stands in: an architecture of option 93.", r#""bios""#, ""),
    key("dhcp.menu", "text", "text", "required", "What the user reads.", r#""Install""#, ""),
    key("dhcp.menu", "file", "name", "none", "The file that is loaded; behind a name without a dot the firmware puts `.0`.", r#""pxelinux""#, ""),
    key("dhcp.menu", "type", "1 to 65535", "none", "Instead of a file: look for another boot server, of this type. Neither: go on from the machine's disks.", "1", ""),
    key("dhcp.menu", "server", "address", "lanboot", "Who has the file, or is that boot server.", r#""10.0.1.5""#, ""),
    key("dhcp.menu", "when", "tags", "everybody", "Who sees it.", r#""lab""#, ""),

    key("dhcp.host", "mac", "MAC address with `*`, or a list", "none", "Any of these hardware addresses.", r#"["52:54:00:12:34:56", "52:54:01:*:*:*"]"#, ""),
    key("dhcp.host", "id", "text or octets", "none", "The client identifier (option 61); `*`: whatever it says does not count.", r#""01:52:54:00:12:34:56""#, ""),
    key("dhcp.host", "name", "name", "none", "Its host name. Without `mac` and `id`: who calls itself so.", r#""rack-1""#, ""),
    key("dhcp.host", "address", "address", "any free one", "The address it always gets.", r#""10.0.1.50""#, ""),
    key("dhcp.host", "lease", "time or `infinite`", "its pool's", "For how long.", r#""1h""#, ""),
    key("dhcp.host", "set", "tag or list of tags", "none", "Tags for its requests.", r#""lab""#, ""),
    key("dhcp.host", "ignore", "true or false", "false", "It gets no answer, ever.", "true", ""),
    key("dhcp.host", "when", "tags", "always", "Only then does this count.", r#""ipxe""#, ""),

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
    key("boot", "chain", "`auto`, `ipxe`, `direct` or `rules`", "auto", "Whether a boot file is loaded through iPXE or goes to the firmware itself; `auto`: EFI binaries go to UEFI firmware itself; `rules`: nothing but `[[dhcp.boot]]` and `[[dhcp.option]]` says what is booted.", r#""direct""#, ""),

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
    key("tftp", "max_blksize", "8 to 65464", "what fits the link's MTU", "Largest block, in octets, that is agreed to (RFC 2348). Machines get no larger one than they ask for, and none that needs fragments.", "1428", ""),
    key("tftp", "max_windowsize", "1 to 65535", "64", "Most blocks under way to a machine at once (RFC 7440); fewer while more than 128 machines are served at a time.", "16", ""),
    key("tftp", "max_transfers", "1 to 65535", "10000", "Most transfers at once. Others wait their turn.", "200", ""),

    key("http", "enabled", "true or false", "true", "Serve HTTP.", "false", "--no-http"),
    key("http", "root", "path", "`tftp.root`", "A folder of files to publish, over TFTP as well.", r#""/srv/http""#, "--http-root PATH"),
    key("http", "port", "1 to 65535", "80", "TCP port.", "8080", "--http-port PORT"),

    key("dns", "enabled", "true or false", "true where addresses are given out, or anything is said here", "Answer DNS, on lanboot's own address of the network.", "false", "--no-dns"),
    key("dns", "upstream", "server or list of servers", "what `resolv` says", "Who is asked for names that are not known here. `[]`: nobody.", r#"["192.0.2.1", "192.0.2.2:5353"]"#, ""),
    key("dns", "resolv", "path or list of paths", "/etc/resolv.conf, unless `upstream` is said", "Files that say who is asked, read again whenever they change; of several, the one that changed last counts.", r#""/run/NetworkManager/resolv.conf""#, ""),
    key("dns", "order", "`quickest`, `strict` or `all`", "quickest", "Which of several servers is asked: the one that lately answered fastest, and the next one as well when it is late; the first one that answers, in the order said; or all at once.", r#""strict""#, ""),
    key("dns", "hosts", "path or list of paths", "/etc/hosts", "Hosts files, or folders of them, read again whenever they change. `[]`: none.", r#"["/etc/hosts", "/srv/hosts"]"#, ""),
    key("dns", "expand_hosts", "true or false", "true", "Plain names of hosts files are known below `dhcp.domain` as well.", "false", ""),
    key("dns", "full_names_only", "true or false", "false", "Machines are known below `dhcp.domain` alone, and not by their plain names.", "true", ""),
    key("dns", "clients", "`neighbours`, `all` or `this-host`", "neighbours; `all` with pools behind relays", "Who is answered: those from subnets of this host's, everybody, or programs of this host alone.", r#""all""#, ""),
    key("dns", "domain_needed", "true or false", "true", "Never ask upstream for plain names, which have no dot.", "false", ""),
    key("dns", "bogus_priv", "true or false", "true", "Never ask upstream who has a private address, such as 10.0.1.5.", "false", ""),
    key("dns", "filter_windows", "true or false", "false", "Never ask upstream for what old Windows asks of itself every few minutes.", "true", ""),
    key("dns", "ttl", "time", "0s", "For how long clients may remember names that are known here.", r#""1m""#, ""),
    key("dns", "lease_ttl", "time", "`ttl`", "The same for names of machines that have their address from us.", r#""10s""#, ""),
    key("dns", "localise", "true or false", "false", "Where a name has several addresses here, tell only those in the asking machine's subnet, if there are any.", "true", ""),
    key("dns", "keep_order", "true or false", "false", "Tell several addresses in the same order always, and not each time another one first.", "true", ""),
    key("dns", "log", "true or false", "false", "Tell every query and what came of it, on standard error.", "true", ""),
    key("dns", "random_case", "true or false", "true", "Ask in randomly mixed case, which a forged answer does not know.", "false", ""),
    key("dns", "detect_loops", "true or false", "true", "Find servers that lead back to us, and leave them out.", "false", ""),
    key("dns", "pass_ad", "true or false", "false", "Tell clients that upstream found an answer to be authentic (DNSSEC).", "true", ""),
    key("dns", "edns_max", "512 to 65535", "1232", "The largest answer over UDP, in octets.", "4096", ""),
    key("dns", "max_queries", "1 to 1000000", "1000", "Most queries that wait for upstream at once.", "150", ""),
    key("dns", "max_tcp", "1 to 65535", "100", "Most TCP connections at once.", "20", ""),
    key("dns", "source_ports", "ports", "any that is free", "Queries leave from these UDP ports.", r#""20000-29999""#, ""),
    key("dns", "port", "1 to 65535", "53", "UDP and TCP port. Machines know no other than 53.", "5353", ""),
    key("dns", "cache", "table", "see below", "What is remembered; see below.", "{}", ""),
    key("dns", "filter", "table", "see below", "What is not believed, or not passed on; see below.", "{}", ""),
    key("dns", "forward", "tables", "none", "Domains that other servers know; see below.", r#"[{ domain = "corp.example", to = "10.8.0.1" }]"#, ""),
    key("dns", "override", "tables", "none", "Domains that are answered otherwise than the world does; see below.", r#"[{ domain = "ads.example", to = "none" }]"#, ""),
    key("dns", "record", "tables", "none", "Names that are laid down here; see below.", r#"[{ name = "nas.lab.example", address = "10.0.1.5" }]"#, ""),
    key("dns", "synth", "tables", "none", "Names made out of addresses; see below.", r#"[{ domain = "lab.example", range = "10.0.1.0/24" }]"#, ""),
    key("dns", "alias", "tables", "none", "Addresses that become others in what upstream says; see below.", r#"[{ range = "203.0.113.0/24", to = "10.0.1.0", mask = "255.255.255.0" }]"#, ""),

    key("dns.cache", "size", "0 to 10000000", "10000", "Answers that are kept. 0: none.", "100000", ""),
    key("dns.cache", "negative", "true or false", "true", "Remember also that a name does not exist.", "false", ""),
    key("dns.cache", "negative_ttl", "time", "what the answer says", "For how long, where the answer does not say.", r#""1m""#, ""),
    key("dns.cache", "min_ttl", "time", "0s", "Keep answers for so long at least.", r#""1m""#, ""),
    key("dns.cache", "max_ttl", "time", "what the answer says", "Keep answers for so long at most.", r#""1d""#, ""),
    key("dns.cache", "told_ttl", "time", "what the answer says", "The longest that clients may remember an answer from upstream.", r#""1h""#, ""),
    key("dns.cache", "stale", "`never`, `always` or time", "never", "Answer at once with what is out of date by so much at most, while it is asked anew.", r#""1d""#, ""),
    key("dns.cache", "types", "type or list of types", "all", "Keep these types of record only.", r#"["A", "AAAA"]"#, ""),

    key("dns.filter", "rebind", "true or false", "false", "Believe no upstream server that a name has a private address, which would let web pages reach into the network. Mirrors and services in your own network that upstream knows vanish with it.", "true", ""),
    key("dns.filter", "rebind_ok", "domain or list of domains", "none", "Except for these.", r#"["corp.example"]"#, ""),
    key("dns.filter", "rebind_localhost_ok", "true or false", "false", "Except for 127.0.0.0/8 and ::1.", "true", ""),
    key("dns.filter", "bogus_nxdomain", "address, subnet or list", "none", "An answer with one of these means that there is no such name.", r#"["203.0.113.7"]"#, ""),
    key("dns.filter", "ignore", "address, subnet or list", "none", "Answers with one of these are dropped.", r#"["203.0.113.0/24"]"#, ""),
    key("dns.filter", "types", "type or list of types", "none", "Leave records of these types out of what upstream says.", r#"["AAAA"]"#, ""),

    key("dns.forward", "domain", "domain or list of domains", "required", "Which names.", r#"["corp.example", "10.8.0.0/16"]"#, ""),
    key("dns.forward", "to", "server or list of servers, `usual` or `none`", "required", "Who is asked for them; `usual`: `upstream`, where a shorter domain leads elsewhere; `none`, or `[]`: nobody.", r#"["10.8.0.1", "10.8.0.2"]"#, ""),

    key("dns.override", "domain", "domain or list of domains", "required", "Which names.", r#""mirror.example""#, ""),
    key("dns.override", "to", "address or list of addresses, `none` or `null`", "required", "What they are: these addresses, no names at all, or names for 0.0.0.0 and ::, where nobody answers.", r#""10.0.1.5""#, ""),

    key("dns.record", "name", "name, address or list", "required", "The whole name. An address stands for the name that leads back from it, for `ptr`.", r#"["nas.lab.example", "nas"]"#, ""),
    key("dns.record", "address", "address or list of addresses", "none", "Its addresses, IPv4 and IPv6.", r#"["10.0.1.5", "fd00::5"]"#, ""),
    key("dns.record", "reverse", "true or false", "true", "Those addresses lead back to the name; of several names, to the first.", "false", ""),
    key("dns.record", "interface", "name", "none", "It has the addresses of this interface, whatever they are; behind a `/4` or `/6`, those of one family.", r#""eth1/4""#, ""),
    key("dns.record", "cname", "name", "none", "It is another name for this one, and has nothing else.", r#""nas.lab.example""#, ""),
    key("dns.record", "mx", "text or list of texts", "none", "Who takes its mail: preference and name.", r#""10 mail.lab.example""#, ""),
    key("dns.record", "srv", "text or list of texts", "none", "Who serves it: priority, weight, port and name.", r#""0 5 389 ldap.lab.example""#, ""),
    key("dns.record", "txt", "text or list of texts", "none", "Texts, each a record; a list in the list: the strings of one record.", r#"["v=spf1 -all", ["two", "strings"]]"#, ""),
    key("dns.record", "ptr", "name or list of names", "none", "Where an address leads back to.", r#""nas.lab.example""#, ""),
    key("dns.record", "caa", "text or list of texts", "none", "Who may certify it: flags, tag and value.", r#""0 issue ca.example""#, ""),
    key("dns.record", "naptr", "text or list of texts", "none", "Order, preference, flags, services, expression and replacement, `\"\"` for an empty one.", r#"'10 100 "s" "SIP+D2U" "" _sip._udp.lab.example'"#, ""),
    key("dns.record", "type", "type", "none", "Any other type, with its data in `hex`.", r#""TYPE65""#, ""),
    key("dns.record", "hex", "octets", "none", "Its data.", r#""00:01:00""#, ""),
    key("dns.record", "ttl", "time", "`dns.ttl`", "For how long clients may remember it.", r#""5m""#, ""),

    key("dns.synth", "domain", "name", "required", "The domain of these names.", r#""lab.example""#, ""),
    key("dns.synth", "range", "range or subnet", "required", "The addresses that get names.", r#""10.0.1.0/24""#, ""),
    key("dns.synth", "prefix", "text", "none", "What the names begin with, before the address: `ip-10-0-1-7.lab.example`.", r#""ip-""#, ""),
    key("dns.synth", "counted", "true or false", "false", "The addresses are counted instead: `ip-0`, `ip-1`.", "true", ""),

    key("dns.alias", "range", "range or subnet", "required", "IPv4 addresses that upstream says.", r#""203.0.113.0/24""#, ""),
    key("dns.alias", "to", "address", "required", "What they become.", r#""10.0.1.0""#, ""),
    key("dns.alias", "mask", "mask", "255.255.255.255", "What of them changes: the rest stays.", r#""255.255.255.0""#, ""),

    key("leases", "database", "URL", "none: a log in `state.dir`", "A PostgreSQL database that keeps the leases of several lanboots on the same networks: [postgresql.md](postgresql.md).",
        r#""postgresql://lanboot@db.example/lanboot""#, "--leases URL"),
    key("leases", "password_file", "path", "none", "A file with the password of the database on its first line, where the URL has none.", r#""/etc/lanboot.password""#, ""),

    key("state", "dir", "path", "/var/lib/lanboot", "Where leases, the record of changes to this host and fetched firmware are kept.", r#""/srv/lanboot""#, "--state PATH"),

    key("", "network", "table", "required", "Where to serve.", r#"{ interface = "eth1" }"#, ""),
    key("", "dhcp", "table", "see below", "Addresses.", "{}", ""),
    key("", "machine", "tables", "none", "Machines with something of their own.", r#"[{ mac = "52:54:00:12:34:56" }]"#, ""),
    key("", "boot", "table", "see below", "What is booted.", "{}", ""),
    key("", "tftp", "table", "see below", "The TFTP service.", "{}", ""),
    key("", "http", "table", "see below", "The HTTP service.", "{}", ""),
    key("", "dns", "table", "see below", "The DNS service.", "{}", ""),
    key("", "leases", "table", "see below", "Where leases are kept.", "{}", ""),
    key("", "state", "table", "see below", "What lanboot remembers.", "{}", ""),
];

/// The keys of a section, in the order in which people read about them.
pub fn of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// What people who know other DNS servers write, and what it is called here.
const SYNONYMS: &[(&str, &str, &str)] = &[
    ("dns", "server", "upstream"),
    ("dns", "servers", "upstream"),
    ("dns", "nameserver", "upstream"),
    ("dns", "nameservers", "upstream"),
    ("dns", "address", "override"),
    ("dns", "host", "record"),
];

/// The key that somebody who wrote the unknown key `name` into `section` probably meant.
pub(crate) fn meant(section: &str, name: &str) -> Option<&'static Key> {
    let synonym = SYNONYMS.iter().find(|(of, other, _)| (*of, *other) == (section, name));
    let near = synonym.map(|(.., name)| *name).or_else(|| nearest(name, of(section).map(|key| key.name)));
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
