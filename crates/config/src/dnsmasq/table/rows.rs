//! One row per option, in the order of docs/dnsmasq.md.

use ::dns::Rtype;

use super::super::options::dns::DnsOption;
use super::super::options::{self, Meaning, Read, Said};
use super::super::options::{answers, dns, hosts, interfaces, process, pxe, ranges, relay, service, tags, tftp};
use super::Argument::{None as Alone, Optional, Required};
use super::Family::*;
use super::Repeats::*;
use super::Support::{Honoured, Refused, Warned};
use super::{Argument, Family, Repeats, Row, Support};

/// `letter`: a space where there is none.
const fn row(
    letter: char,
    name: &'static str,
    argument: Argument,
    repeats: Repeats,
    family: Family,
    support: Support,
    help: &'static str,
) -> Row {
    let letter = if letter == ' ' { None } else { Some(letter) };
    Row { name, letter, argument, repeats, family, support, help }
}

/// An option without a value.
macro_rules! switch {
    ($meaning:ident) => {
        Honoured(|_| Ok(Meaning::$meaning))
    };
}

/// A DNS option without a value.
macro_rules! dns {
    ($option:ident) => {
        Honoured(|_| Ok(Meaning::Dns(Box::new(DnsOption::$option))))
    };
    ($read:ident, $option:ident) => {
        Honoured(|said| dns::$read(said, DnsOption::$option))
    };
}

macro_rules! path {
    ($meaning:ident) => {
        Honoured(|said| said.path(Meaning::$meaning))
    };
}

macro_rules! number {
    ($meaning:ident) => {
        Honoured(|said| said.number(u32::MAX, Meaning::$meaning))
    };
}

/// What the reader of files and command lines does itself; where it means nothing, dnsmasq is silent too.
fn nothing(_: &mut Said<'_>) -> Read {
    Ok(Meaning::Nothing)
}

const NO_DNSSEC: Support = Refused(
    "lanboot does not validate DNSSEC",
    "ask a server that does, with server=, and pass on what it says with proxy-dnssec",
);
const NO_ZONES: Support = Refused(
    "lanboot answers for no zone with authority",
    "say the same names with host-record, cname and their like, and let a name server such as NSD or Knot serve the zone",
);
const NO_SETS: Support = Refused(
    "lanboot fills no sets of the firewall",
    "leave it out, or keep a dnsmasq with a port of its own for these domains and name it with server=/DOMAIN/",
);
const NO_MARKS: Support = Refused(
    "lanboot does not read the marks of connections",
    "leave it out; who may ask for what can be told apart by local-service, interface and the firewall",
);
const SHARED: &str = "answers are shared by all clients, so queries do not tell who asked";

const NO_V6: Support = Refused("lanboot speaks no DHCPv6 and sends no router advertisements yet", "leave it out");
const NO_BUS: (&str, &str) = ("lanboot is on no message bus", "use its commands and files instead");

const OPTION: &str =
    "[tag:TAG,...][encap:NUMBER,|vendor:[CLASS],|vi-encap:ENTERPRISE,]NUMBER|option:NAME[,VALUE[,VALUE...]]";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row('C', "conf-file", Optional("PATH"), Each, Process, Honoured(nothing), "Read this file instead of /etc/dnsmasq.conf; `-` is standard input, no path means no file"),
    row('7', "conf-dir", Required("FOLDER[,SUFFIX...][,*SUFFIX...]"), Each, Process, Honoured(nothing), "Read the files of this folder but those with a SUFFIX, or only those with a suffix behind `*`"),
    row(' ', "conf-script", Required("COMMAND"), Each, Process, Honoured(nothing), "Run this command and read what it prints"),
    row(' ', "test", Alone, Last, Process, Honoured(nothing), "Read everything, say what is wrong, and stop"),
    row('v', "version", Alone, Last, Process, Honoured(nothing), "Print the version"),
    row('w', "help", Alone, Last, Process, Honoured(nothing), "Print the options; with `dhcp` behind it, the names of DHCP options"),
    row('k', "keep-in-foreground", Alone, Last, Process, switch!(KeepInForeground), "Stay in the foreground"),
    row('d', "no-daemon", Alone, Last, Process, switch!(NoDaemon), "Debug: stay in the foreground, keep the user, write no pid file, log to standard error too"),
    row('u', "user", Optional("NAME"), Once, Process, Honoured(process::user), "Run as this user once started"),
    row('g', "group", Optional("NAME"), Once, Process, Honoured(process::group), "Run as this group once started"),
    row('x', "pid-file", Optional("PATH"), Once, Process, Honoured(process::pid_file), "Write the process id to this file; no path means no file"),
    row('8', "log-facility", Required("FACILITY|PATH|-"), Once, Process, Honoured(process::log_facility), "Log to this facility of syslog, to a file, or to standard error"),
    row(' ', "log-dhcp", Alone, Last, Process, switch!(LogDhcp), "Log the boot file of each DHCP answer too, and the rules that chose it"),
    row(' ', "quiet-dhcp", Alone, Last, Process, switch!(QuietDhcp), "Do not log ordinary DHCP exchanges"),
    row(' ', "quiet-tftp", Alone, Last, Process, switch!(QuietTftp), "Log neither ordinary transfers nor missing files"),
    row(' ', "log-async", Optional("LINES"), Once, Process, Warned("lanboot never waits for its log"), "Queue this many lines for a slow log"),
    row(' ', "log-debug", Alone, Last, Process, Warned("lanboot's events say it already"), "Log more, for debugging"),
    row('1', "enable-dbus", Optional("NAME"), Once, Process, Refused(NO_BUS.0, NO_BUS.1), "Offer an interface on D-Bus"),
    row(' ', "enable-ubus", Optional("NAME"), Once, Process, Refused(NO_BUS.0, NO_BUS.1), "Offer an interface on UBus"),
    row(' ', "dumpfile", Required("PATH"), Once, Process, Refused("lanboot writes no packet dumps", "run tcpdump -w beside it"), "Dump packets into this file"),
    row(' ', "dumpmask", Required("NUMBER"), Once, Process, Warned("lanboot writes no packet dumps"), "Choose which packets to dump"),

    row('i', "interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::interface), "Serve on this interface, and DNS on the loopback one too; `*` ends the start of a name"),
    row('I', "except-interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::except_interface), "Do not serve on this interface, whatever else is said"),
    row('a', "listen-address", Required("ADDRESS[,ADDRESS...]"), Each, Interfaces, Honoured(interfaces::listen_address), "Serve DNS at this address, and all else on the interface that has it"),
    row('z', "bind-interfaces", Alone, Last, Interfaces, switch!(BindInterfaces), "Bind to the served interfaces only"),
    row(' ', "bind-dynamic", Alone, Last, Interfaces, switch!(BindDynamic), "Likewise, and to those that appear later"),
    row('2', "no-dhcp-interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::no_dhcp_interface), "Serve neither DHCP nor TFTP on this interface, but DNS"),
    row(' ', "no-dhcpv4-interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::no_dhcpv4_interface), "Serve no DHCPv4 on this interface"),
    row(' ', "bridge-interface", Required("NAME,ALIAS[*][,ALIAS...]"), Each, Interfaces, Honoured(interfaces::bridge_interface), "Take what arrives on an alias as arrived on the interface"),

    row('F', "dhcp-range", Required("[tag:TAG,...][set:TAG,]FIRST,LAST|static|proxy[,NETMASK[,BROADCAST]][,TIME]"), Each, Addresses, Honoured(ranges::dhcp_range), "Serve this subnet: give out FIRST to LAST, or only what dhcp-host lays down, or boot files beside another DHCP server"),
    row(' ', "shared-network", Required("INTERFACE|ADDRESS,ADDRESS"), Each, Addresses, Honoured(ranges::shared_network), "Give out addresses of another subnet too, on this interface or through this relay"),
    row('G', "dhcp-host", Required("[MAC,...][id:ID|id:*,][set:TAG,...][tag:TAG,...][ADDRESS,][NAME,][TIME,][ignore]"), Each, Addresses, Honoured(hosts::dhcp_host), "Lay down the address, name and lease time of a machine"),
    row(' ', "dhcp-hostsfile", Required("PATH"), Each, Addresses, path!(DhcpHostsFile), "Read values of dhcp-host from this file, or from the files of this folder; again on SIGHUP"),
    row(' ', "dhcp-hostsdir", Required("FOLDER"), Each, Addresses, path!(DhcpHostsDir), "Likewise from a folder, whenever a file in it changes"),
    row('Z', "read-ethers", Alone, Last, Addresses, switch!(ReadEthers), "Read machines from /etc/ethers"),
    row('X', "dhcp-lease-max", Required("NUMBER"), Once, Addresses, number!(DhcpLeaseMax), "Hold so many leases at most"),
    row('l', "dhcp-leasefile", Optional("PATH"), Once, Addresses, Honoured(service::lease_file), "Keep leases in this file"),
    row('9', "leasefile-ro", Alone, Last, Addresses, switch!(LeaseFileReadOnly), "Keep no lease file: dhcp-script keeps the leases"),
    row(' ', "dhcp-sequential-ip", Alone, Last, Addresses, switch!(DhcpSequentialIp), "Give out addresses from the lowest up"),
    row('5', "no-ping", Alone, Last, Addresses, switch!(NoPing), "Do not look whether an address is in use before it is offered"),
    row('3', "bootp-dynamic", Optional("tag:TAG[,tag:TAG...]"), Each, Addresses, Honoured(tags::bootp_dynamic), "Give out addresses to BOOTP clients too"),

    row('K', "dhcp-authoritative", Alone, Last, Dhcp, switch!(DhcpAuthoritative), "This is the only DHCP server: set clients right that ask for an unknown lease"),
    row(' ', "dhcp-rapid-commit", Alone, Last, Dhcp, switch!(DhcpRapidCommit), "Give a lease at once to clients that offer to take it so (RFC 4039)"),
    row(' ', "dhcp-ignore-clid", Alone, Last, Dhcp, switch!(DhcpIgnoreClid), "Know machines by MAC alone, whatever client identifier they send"),
    row(' ', "dhcp-client-update", Alone, Last, Dhcp, switch!(DhcpClientUpdate), "Let clients update DNS themselves (RFC 4702)"),
    row(' ', "dhcp-fqdn", Alone, Last, Dhcp, switch!(DhcpFqdn), "Know clients by their full names only, in DNS too"),
    row('s', "domain", Required("DOMAIN|#[,SUBNET[,local]|,FIRST,LAST|,INTERFACE]"), Each, Dhcp, Honoured(service::domain), "Set the domain of machines, and with `local` forward no queries for it"),
    row(' ', "dhcp-reply-delay", Required("[tag:TAG,...]SECONDS"), Once, Dhcp, Honoured(service::reply_delay), "Wait before an offer goes out"),
    row(' ', "dhcp-alternate-port", Optional("SERVER[,CLIENT]"), Once, Dhcp, Honoured(relay::alternate_port), "Use these UDP ports; without a value 1067 and 1068"),
    row(' ', "dhcp-relay", Required("ADDRESS[,SERVER[#PORT]][,INTERFACE]"), Each, Dhcp, Honoured(relay::dhcp_relay), "Relay requests that arrive at this address to another server"),
    row(' ', "dhcp-proxy", Optional("ADDRESS[,ADDRESS...]"), Each, Dhcp, Honoured(relay::dhcp_proxy), "Keep these relays, or all, between client and server all the way"),
    row('6', "dhcp-script", Required("PATH"), Once, Dhcp, path!(DhcpScript), "Run this program when a lease comes, changes or goes"),
    row(' ', "dhcp-scriptuser", Required("NAME"), Once, Dhcp, Honoured(service::script_user), "Run it as this user"),
    row(' ', "script-arp", Alone, Last, Dhcp, switch!(ScriptArp), "Run it for changes of the neighbour table too"),
    row(' ', "script-on-renewal", Alone, Last, Dhcp, switch!(ScriptOnRenewal), "Run it when a lease is renewed too"),
    row(' ', "dhcp-luascript", Required("PATH"), Once, Dhcp, Refused("lanboot runs no Lua", "use dhcp-script"), "Run this Lua program when a lease comes, changes or goes"),

    row('U', "dhcp-vendorclass", Required("set:TAG,CLASS"), Each, Tags, Honoured(tags::vendor_class), "Set a tag where option 60 holds this"),
    row('j', "dhcp-userclass", Required("set:TAG,CLASS"), Each, Tags, Honoured(tags::user_class), "Set a tag where option 77 holds this"),
    row('4', "dhcp-mac", Required("set:TAG,MAC"), Each, Tags, Honoured(tags::mac), "Set a tag for this MAC, in which `*` is any octet"),
    row(' ', "dhcp-circuitid", Required("set:TAG,ID"), Each, Tags, Honoured(tags::circuit_id), "Set a tag for this circuit id of a relay (RFC 3046)"),
    row(' ', "dhcp-remoteid", Required("set:TAG,ID"), Each, Tags, Honoured(tags::remote_id), "Set a tag for this remote id of a relay (RFC 3046)"),
    row(' ', "dhcp-subscrid", Required("set:TAG,ID"), Each, Tags, Honoured(tags::subscriber_id), "Set a tag for this subscriber id of a relay (RFC 3993)"),
    row(' ', "dhcp-match", Required("set:TAG,NUMBER|option:NAME|vi-encap:ENTERPRISE[,VALUE]"), Each, Tags, Honoured(tags::dhcp_match), "Set a tag where the client sends this option, with this value"),
    row(' ', "dhcp-name-match", Required("set:TAG,NAME[*]"), Each, Tags, Honoured(tags::name_match), "Set a tag where the client gives this name"),
    row(' ', "tag-if", Required("set:TAG[,set:TAG...][,tag:TAG...]"), Each, Tags, Honoured(tags::tag_if), "Set tags where other tags are set, or are not"),
    row('J', "dhcp-ignore", Required("tag:TAG[,tag:TAG...]"), Each, Tags, Honoured(tags::ignore), "Do not answer machines that have all of these tags"),
    row(' ', "dhcp-ignore-names", Optional("tag:TAG[,tag:TAG...]"), Each, Tags, Honoured(tags::ignore_names), "Do not believe the names that clients give"),
    row(' ', "dhcp-generate-names", Optional("tag:TAG[,tag:TAG...]"), Each, Tags, Honoured(tags::generate_names), "Name nameless machines after their MAC"),
    row(' ', "dhcp-broadcast", Optional("tag:TAG[,tag:TAG...]"), Each, Tags, Honoured(tags::broadcast), "Answer by broadcast"),

    row('O', "dhcp-option", Required(OPTION), Each, Answers, Honoured(answers::dhcp_option), "Send this option to clients that ask for it; without a value, leave a default out"),
    row(' ', "dhcp-option-force", Required(OPTION), Each, Answers, Honoured(answers::dhcp_option_force), "Likewise, whether they ask for it or not"),
    row(' ', "dhcp-optsfile", Required("PATH"), Each, Answers, path!(DhcpOptsFile), "Read values of dhcp-option from this file, or from the files of this folder; again on SIGHUP"),
    row(' ', "dhcp-optsdir", Required("FOLDER"), Each, Answers, path!(DhcpOptsDir), "Likewise from a folder, whenever a file in it changes"),
    row(' ', "dhcp-no-override", Alone, Last, Answers, switch!(DhcpNoOverride), "Put no options into the header's file and name fields"),
    row('M', "dhcp-boot", Required("[tag:TAG,...]FILE[,NAME[,ADDRESS|HOST]]"), Each, Answers, Honoured(answers::dhcp_boot), "Name the file to boot, and the server that has it"),

    row(' ', "pxe-service", Required("[tag:TAG,...]MACHINE,TEXT[,FILE|TYPE[,ADDRESS|HOST]]"), Each, Pxe, Honoured(pxe::pxe_service), "Add an entry to the PXE menu of this kind of machine"),
    row(' ', "pxe-prompt", Required("[tag:TAG,...]TEXT[,SECONDS]"), Each, Pxe, Honoured(pxe::pxe_prompt), "Prompt before the PXE menu"),
    row(' ', "dhcp-pxe-vendor", Required("CLASS[,CLASS...]"), Each, Pxe, Honoured(pxe::pxe_vendor), "Take these vendor classes for PXEClient"),

    row(' ', "enable-tftp", Optional("NAME[*][,NAME...]"), Each, Tftp, Honoured(tftp::enable), "Serve files over TFTP, on these interfaces or wherever there is DHCP"),
    row(' ', "tftp-root", Required("FOLDER[,INTERFACE]"), Each, Tftp, Honoured(tftp::root), "Serve what is below this folder"),
    row(' ', "tftp-unique-root", Optional("ip|mac"), Last, Tftp, Honoured(tftp::unique_root), "Serve each client from its own folder below the root, where it has one"),
    row(' ', "tftp-secure", Alone, Last, Tftp, switch!(TftpSecure), "Serve only files of the user that lanboot runs as; as root, only those that all may read"),
    row(' ', "tftp-no-fail", Alone, Last, Tftp, switch!(TftpNoFail), "Start even where a root is missing"),
    row(' ', "tftp-lowercase", Alone, Last, Tftp, switch!(TftpLowercase), "Turn asked names into small letters"),
    row(' ', "tftp-no-blocksize", Alone, Last, Tftp, switch!(TftpNoBlocksize), "Grant no block sizes (RFC 2348)"),
    row(' ', "tftp-max", Required("NUMBER"), Once, Tftp, number!(TftpMax), "Make so many transfers at once at most"),
    row(' ', "tftp-mtu", Required("NUMBER"), Once, Tftp, number!(TftpMtu), "Keep datagrams inside this MTU"),
    row(' ', "tftp-port-range", Required("FIRST,LAST"), Once, Tftp, Honoured(tftp::port_range), "Send from these UDP ports"),
    row(' ', "tftp-single-port", Alone, Last, Tftp, switch!(TftpSinglePort), "Send from port 69 itself"),

    row(' ', "http-root", Required("FOLDER"), Each, Http, Honoured(options::http_root), "Serve what is below this folder over HTTP"),
    row(' ', "http-port", Required("NUMBER"), Once, Http, Honoured(options::http_port), "Serve HTTP on this port"),

    row('p', "port", Required("NUMBER"), Once, Dns, dns!(port_of, Port), "Answer DNS queries on this port; 0: on none"),
    row('S', "server", Required("[/DOMAIN[/DOMAIN...]/]ADDRESS|NAME|#[#PORT][@INTERFACE][@ADDRESS[#PORT]]"), Each, Dns, Honoured(dns::server), "Forward queries to this server, or those for these domains; `/DOMAIN/` alone forwards none, `#` as usual"),
    row(' ', "local", Required("/DOMAIN[/DOMAIN...]/"), Each, Dns, Honoured(dns::server), "Forward no queries for these domains"),
    row('r', "resolv-file", Optional("PATH"), Each, Dns, Honoured(dns::resolv_file), "Read upstream servers from this file, of several from the one that changed last; no path means no file"),
    row('R', "no-resolv", Alone, Last, Dns, dns!(NoResolv), "Do not read /etc/resolv.conf"),
    row('n', "no-poll", Alone, Last, Dns, dns!(NoPoll), "Do not watch /etc/resolv.conf"),
    row('o', "strict-order", Alone, Last, Dns, dns!(StrictOrder), "Ask upstream servers in their order"),
    row(' ', "all-servers", Alone, Last, Dns, dns!(AllServers), "Ask all upstream servers at once"),
    row('D', "domain-needed", Alone, Last, Dns, dns!(DomainNeeded), "Do not forward names without a dot"),
    row('b', "bogus-priv", Alone, Last, Dns, dns!(BogusPriv), "Do not forward reverse queries for private addresses"),
    row('f', "filterwin2k", Alone, Last, Dns, dns!(FilterWindows), "Do not forward needless queries of Windows"),
    row(' ', "filter-A", Alone, Last, Dns, Honoured(|_| Ok(Meaning::Dns(Box::new(DnsOption::FilterTypes(vec![Rtype::A]))))), "Keep A records out of answers"),
    row(' ', "filter-AAAA", Alone, Last, Dns, Honoured(|_| Ok(Meaning::Dns(Box::new(DnsOption::FilterTypes(vec![Rtype::AAAA]))))), "Keep AAAA records out of answers"),
    row(' ', "filter-rr", Required("TYPE[,TYPE...]"), Each, Dns, dns!(types, FilterTypes), "Keep records of these types out of answers"),
    row('P', "edns-packet-max", Required("OCTETS"), Once, Dns, Honoured(dns::edns_packet_max), "Take EDNS datagrams of this size at most"),
    row('Q', "query-port", Required("NUMBER"), Once, Dns, dns!(port_of, QueryPort), "Ask upstream servers from this port"),
    row(' ', "port-limit", Required("NUMBER"), Once, Dns, Warned("each upstream server is asked from ports of its own, chosen by chance"), "Ask several upstream servers for one query from so many ports"),
    row(' ', "min-port", Required("NUMBER"), Once, Dns, dns!(port_of, MinPort), "Ask upstream servers from this port or a higher one"),
    row(' ', "max-port", Required("NUMBER"), Once, Dns, dns!(port_of, MaxPort), "Ask upstream servers from this port or a lower one"),
    row('0', "dns-forward-max", Required("NUMBER"), Once, Dns, dns!(number_of, ForwardMax), "Forward so many queries at once at most"),
    row(' ', "fast-dns-retry", Optional("MILLISECONDS[,MILLISECONDS]"), Each, Dns, Honoured(dns::fast_dns_retry), "Ask again after so long, for so long"),
    row(' ', "stop-dns-rebind", Alone, Last, Dns, dns!(StopRebind), "Drop upstream answers with private addresses"),
    row(' ', "rebind-localhost-ok", Alone, Last, Dns, dns!(RebindLocalhostOk), "But let 127.0.0.0/8 pass"),
    row(' ', "rebind-domain-ok", Required("DOMAIN|/DOMAIN[/DOMAIN...]/"), Each, Dns, Honoured(dns::rebind_domain_ok), "But let these domains pass"),
    row(' ', "dns-loop-detect", Alone, Last, Dns, dns!(DetectLoops), "Find loops of forwarding"),
    row(' ', "ignore-address", Required("ADDRESS[/PREFIX]"), Each, Dns, dns!(net_of, IgnoreAddress), "Drop upstream answers with this address"),
    row(' ', "strip-mac", Alone, Last, Dns, Honoured(nothing), "Take MACs out of queries, where no options of a client ever go"),
    row(' ', "strip-subnet", Alone, Last, Dns, Honoured(nothing), "Take client subnets out of queries, where no options of a client ever go"),
    row(' ', "conntrack", Alone, Last, Dns, NO_MARKS, "Carry connection marks over to upstream queries"),
    row(' ', "proxy-dnssec", Alone, Last, Dns, dns!(ProxyDnssec), "Pass on what upstream servers say of DNSSEC"),
    row('c', "cache-size", Optional("NUMBER"), Once, Dns, Honoured(dns::cache_size), "Cache so many names"),
    row('N', "no-negcache", Alone, Last, Dns, dns!(NoNegativeCache), "Do not cache that a name does not exist"),
    row(' ', "use-stale-cache", Optional("SECONDS"), Once, Dns, Honoured(dns::use_stale_cache), "Answer with what is out of date while it is renewed"),
    row(' ', "cache-rr", Required("TYPE[,TYPE...]"), Each, Dns, dns!(types, CacheTypes), "Cache records of these types"),
    row(' ', "neg-ttl", Required("SECONDS"), Once, Dns, dns!(number_of, NegativeTtl), "Believe for so long that a name does not exist"),
    row(' ', "max-cache-ttl", Required("SECONDS"), Once, Dns, dns!(number_of, MaxCacheTtl), "Cache for so long at most"),
    row(' ', "min-cache-ttl", Required("SECONDS"), Once, Dns, Honoured(dns::min_cache_ttl), "Cache for so long at least"),
    row(' ', "clear-on-reload", Alone, Last, Dns, dns!(ClearOnReload), "Empty the cache when /etc/resolv.conf changes"),
    row('h', "no-hosts", Alone, Last, Dns, dns!(NoHosts), "Do not read /etc/hosts"),
    row('H', "addn-hosts", Required("PATH"), Each, Dns, dns!(path_of, AddHosts), "Read this hosts file, or the files of this folder, too; again on SIGHUP"),
    row(' ', "hostsdir", Required("FOLDER"), Each, Dns, dns!(path_of, HostsDir), "Read the hosts files of this folder, whenever one changes"),
    row('E', "expand-hosts", Alone, Last, Dns, dns!(ExpandHosts), "Add the domain to plain names of hosts files"),
    row('q', "log-queries", Optional("extra"), Last, Dns, Honoured(dns::log_queries), "Log DNS queries and what is answered; with `extra`, number them and name who asks"),
    row(' ', "local-service", Optional("net|host"), Once, Dns, Honoured(dns::local_service), "Where no interface or address is named: answer DNS queries from our own subnets only, or from this host only"),
    row('y', "localise-queries", Alone, Last, Dns, dns!(LocaliseQueries), "Answer with addresses of the subnet that asks"),
    row('T', "local-ttl", Required("SECONDS"), Once, Dns, dns!(number_of, LocalTtl), "Let local names be believed for so long"),
    row(' ', "dhcp-ttl", Required("SECONDS"), Once, Dns, dns!(number_of, DhcpTtl), "Let names of leases be believed for so long"),
    row(' ', "max-ttl", Required("SECONDS"), Once, Dns, dns!(number_of, MaxTtl), "Let any name be believed for so long at most"),
    row('e', "selfmx", Alone, Last, Dns, dns!(SelfMx), "Answer with MX records by which local hosts point to themselves"),
    row('L', "localmx", Alone, Last, Dns, dns!(LocalMx), "Answer with MX records for local hosts"),
    row('t', "mx-target", Required("NAME"), Once, Dns, Honoured(dns::mx_target), "Point such MX records there"),
    row(' ', "no-round-robin", Alone, Last, Dns, dns!(NoRoundRobin), "Keep the order of records in answers"),
    row(' ', "no-ident", Alone, Last, Dns, dns!(NoIdent), "Do not answer version.bind and its like"),
    row(' ', "max-tcp-connections", Required("NUMBER"), Once, Dns, dns!(some_of, MaxTcp), "Serve so many DNS connections over TCP at most"),
    row(' ', "auth-ttl", Required("SECONDS"), Once, Dns, NO_ZONES, "Let authoritative answers be believed for so long"),
    row(' ', "auth-soa", Required("SERIAL[,HOSTMASTER[,REFRESH[,RETRY[,EXPIRY]]]]"), Once, Dns, NO_ZONES, "Fill the SOA record of zones"),
    row('A', "address", Required("[/DOMAIN[/DOMAIN...]/]ADDRESS|#"), Each, Dns, Honoured(dns::address), "Answer with this address for all names of these domains, with 0.0.0.0 and :: for `#`, or that there are none"),
    row('B', "bogus-nxdomain", Required("ADDRESS[/PREFIX]"), Each, Dns, dns!(net_of, BogusNxdomain), "Take this upstream answer for: no such name"),
    row('V', "alias", Required("OLD|FIRST-LAST,NEW[,MASK]"), Each, Dns, Honoured(dns::alias), "Change addresses in upstream answers"),
    row(' ', "rev-server", Required("SUBNET[/PREFIX][,ADDRESS|NAME|#[#PORT][@INTERFACE][@ADDRESS[#PORT]]]"), Each, Dns, Honoured(dns::rev_server), "Forward reverse queries for this subnet to this server"),
    row(' ', "servers-file", Required("PATH"), Once, Dns, dns!(path_of, ServersFile), "Read server and rev-server from this file; again on SIGHUP"),
    row(' ', "host-record", Required("NAME[,NAME...],ADDRESS[,ADDRESS][,TTL]"), Each, Dns, Honoured(dns::host_record), "Give names their addresses, and addresses their names"),
    row(' ', "dynamic-host", Required("NAME,ADDRESS[,ADDRESS],INTERFACE"), Each, Dns, Honoured(dns::dynamic_host), "Give a name an address in the subnet of this interface"),
    row(' ', "interface-name", Required("NAME,INTERFACE[/4|/6]"), Each, Dns, Honoured(dns::interface_name), "Give a name the addresses of this interface"),
    row(' ', "cname", Required("ALIAS[,ALIAS...],TARGET[,TTL]"), Each, Dns, Honoured(dns::cname), "Give a local name other names"),
    row('m', "mx-host", Required("NAME[,TARGET[,PREFERENCE]]"), Each, Dns, Honoured(dns::mx_host), "Add an MX record"),
    row('W', "srv-host", Required("NAME[,TARGET[,PORT[,PRIORITY[,WEIGHT]]]]"), Each, Dns, Honoured(dns::srv_host), "Add an SRV record"),
    row('Y', "txt-record", Required("NAME[,TEXT...]"), Each, Dns, Honoured(dns::txt_record), "Add a TXT record"),
    row(' ', "ptr-record", Required("NAME[,TARGET]"), Each, Dns, Honoured(dns::ptr_record), "Add a PTR record"),
    row(' ', "naptr-record", Required("NAME,ORDER,PREFERENCE,FLAGS,SERVICE,REGEXP[,REPLACEMENT]"), Each, Dns, Honoured(dns::naptr_record), "Add a NAPTR record"),
    row(' ', "caa-record", Required("NAME,FLAGS,TAG,VALUE"), Each, Dns, Honoured(dns::caa_record), "Add a CAA record"),
    row(' ', "dns-rr", Required("NAME,TYPE[,HEX]"), Each, Dns, Honoured(dns::dns_rr), "Add a record of any type"),
    row(' ', "synth-domain", Required("DOMAIN,SUBNET|FIRST,LAST[,PREFIX[*]]"), Each, Dns, Honoured(dns::synth_domain), "Make names out of addresses"),
    row(' ', "auth-server", Required("DOMAIN[,INTERFACE|ADDRESS...]"), Once, Dns, NO_ZONES, "Answer with authority"),
    row(' ', "auth-zone", Required("DOMAIN[,SUBNET...]"), Each, Dns, NO_ZONES, "Answer for this zone with authority"),
    row(' ', "auth-sec-servers", Required("DOMAIN[,DOMAIN...]"), Each, Dns, NO_ZONES, "Name the zones' secondary servers"),
    row(' ', "auth-peer", Required("ADDRESS[,ADDRESS...]"), Each, Dns, NO_ZONES, "Let these transfer the zones"),
    row(' ', "ipset", Required("/DOMAIN[/DOMAIN...]/SET[,SET...]"), Each, Dns, NO_SETS, "Add what is answered to IP sets"),
    row(' ', "nftset", Required("/DOMAIN[/DOMAIN...]/SET[,SET...]"), Each, Dns, NO_SETS, "Add what is answered to sets of nftables"),
    row(' ', "connmark-allowlist-enable", Optional("MASK"), Once, Dns, NO_MARKS, "Answer by connection mark"),
    row(' ', "connmark-allowlist", Required("MARK[/MASK][,PATTERN...]"), Each, Dns, NO_MARKS, "Let this connection mark ask for these names"),
    row(' ', "add-mac", Optional("base64|text"), Last, Dns, Refused(SHARED, "leave it out; a server that must know its clients has to be asked by them"), "Add the client's MAC to upstream queries"),
    row(' ', "add-subnet", Optional("PREFIX[,PREFIX]"), Once, Dns, Refused(SHARED, "leave it out: upstream servers then go by our own address, which is near enough for a LAN"), "Add the client's subnet to upstream queries"),
    row(' ', "add-cpe-id", Required("TEXT"), Once, Dns, Honoured(dns::cpe_id), "Add this identifier to upstream queries"),
    row(' ', "umbrella", Optional("deviceid:ID[,orgid:ID][,assetid:ID]"), Once, Dns, Refused(SHARED, "leave it out, and register this host's address with Umbrella; add-cpe-id adds one text to all queries"), "Add Cisco Umbrella's identifiers to upstream queries"),
    row(' ', "dnssec", Alone, Last, Dns, NO_DNSSEC, "Validate answers by DNSSEC"),
    row(' ', "trust-anchor", Required("DOMAIN,[CLASS,]TAG,ALGORITHM,TYPE,DIGEST"), Each, Dns, Warned("lanboot does not validate DNSSEC, and needs no key"), "Trust this DNSSEC key"),
    row(' ', "dnssec-check-unsigned", Optional("no"), Last, Dns, NO_DNSSEC, "Check that unsigned answers may be unsigned"),
    row(' ', "dnssec-no-timecheck", Alone, Last, Dns, NO_DNSSEC, "Do not check the times of signatures until the clock is right"),
    row(' ', "dnssec-timestamp", Required("PATH"), Once, Dns, NO_DNSSEC, "Tell by this file whether the clock is right"),
    row(' ', "dnssec-limits", Required("NUMBER[,NUMBER...]"), Once, Dns, NO_DNSSEC, "Limit the work of validation"),
    row(' ', "dnssec-debug", Alone, Last, Dns, NO_DNSSEC, "Pass on answers that are not valid"),

    row(' ', "no-dhcpv6-interface", Required("NAME[*][,NAME...]"), Each, Dhcpv6, Warned("lanboot speaks no DHCPv6"), "Serve no DHCPv6 on this interface"),
    row(' ', "quiet-dhcp6", Alone, Last, Dhcpv6, Warned("lanboot speaks no DHCPv6"), "Do not log ordinary DHCPv6 exchanges"),
    row(' ', "quiet-ra", Alone, Last, Dhcpv6, Warned("lanboot sends no router advertisements"), "Do not log router advertisements"),
    row(' ', "enable-ra", Alone, Last, Dhcpv6, NO_V6, "Send router advertisements"),
    row(' ', "ra-param", Required("INTERFACE,[mtu:MTU,][high|low,]SECONDS[,LIFETIME]"), Each, Dhcpv6, NO_V6, "Say how to send router advertisements"),
    row(' ', "dhcp-duid", Required("ENTERPRISE,ID"), Once, Dhcpv6, NO_V6, "Set the server's own identifier"),
];
