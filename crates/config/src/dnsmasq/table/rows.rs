//! One row per option, in the order of docs/dnsmasq.md.

use super::super::options::{self, Meaning, Read, Said};
use super::super::options::{answers, hosts, interfaces, process, pxe, ranges, relay, service, tags, tftp};
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

const FORWARDS: Support = Warned("lanboot forwards no DNS queries");
const ANSWERS: Support = Warned("lanboot answers no DNS queries");
const CACHES: Support = Warned("lanboot keeps no DNS cache");
const HOSTS: Support = Warned("lanboot answers no DNS queries from hosts files");
const NO_DNS: Support =
    Refused("lanboot answers no DNS queries yet", "leave it out, and let another server answer them");
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

    row('i', "interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::interface), "Serve on this interface; `*` ends the start of a name"),
    row('I', "except-interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::except_interface), "Do not serve on this interface, whatever else is said"),
    row('a', "listen-address", Required("ADDRESS[,ADDRESS...]"), Each, Interfaces, Honoured(interfaces::listen_address), "Serve on the interface that has this address"),
    row('z', "bind-interfaces", Alone, Last, Interfaces, switch!(BindInterfaces), "Bind to the served interfaces only"),
    row(' ', "bind-dynamic", Alone, Last, Interfaces, switch!(BindDynamic), "Likewise, and to those that appear later"),
    row('2', "no-dhcp-interface", Required("NAME[*][,NAME...]"), Each, Interfaces, Honoured(interfaces::no_dhcp_interface), "Serve neither DHCP nor TFTP on this interface"),
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
    row(' ', "dhcp-fqdn", Alone, Last, Dhcp, switch!(DhcpFqdn), "Know clients by their full names only"),
    row('s', "domain", Required("DOMAIN|#[,SUBNET[,local]|,FIRST,LAST|,INTERFACE]"), Each, Dhcp, Honoured(service::domain), "Set the domain of machines"),
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

    row('p', "port", Required("NUMBER"), Once, Dns, Honoured(options::dns_port), "Answer DNS queries on this port; only 0, which is none, is taken yet"),
    row('S', "server", Required("[/DOMAIN/]ADDRESS[#PORT]"), Each, Dns, Honoured(options::dns_server), "Forward queries to this server; only /DOMAIN/ alone, which forwards none, is taken yet"),
    row(' ', "local", Required("/DOMAIN/"), Each, Dns, Honoured(options::dns_server), "Forward no queries for this domain"),
    row('r', "resolv-file", Optional("PATH"), Each, Dns, FORWARDS, "Read upstream servers from this file"),
    row('R', "no-resolv", Alone, Last, Dns, FORWARDS, "Do not read /etc/resolv.conf"),
    row('n', "no-poll", Alone, Last, Dns, FORWARDS, "Do not watch /etc/resolv.conf"),
    row('o', "strict-order", Alone, Last, Dns, FORWARDS, "Ask upstream servers in their order"),
    row(' ', "all-servers", Alone, Last, Dns, FORWARDS, "Ask all upstream servers"),
    row('D', "domain-needed", Alone, Last, Dns, FORWARDS, "Do not forward names without a dot"),
    row('b', "bogus-priv", Alone, Last, Dns, FORWARDS, "Do not forward reverse queries for private addresses"),
    row('f', "filterwin2k", Alone, Last, Dns, FORWARDS, "Do not forward needless queries of Windows"),
    row(' ', "filter-A", Alone, Last, Dns, FORWARDS, "Keep A records out of answers"),
    row(' ', "filter-AAAA", Alone, Last, Dns, FORWARDS, "Keep AAAA records out of answers"),
    row(' ', "filter-rr", Required("TYPE[,TYPE...]"), Each, Dns, FORWARDS, "Keep records of these types out of answers"),
    row('P', "edns-packet-max", Required("OCTETS"), Once, Dns, FORWARDS, "Take EDNS datagrams of this size at most"),
    row('Q', "query-port", Required("NUMBER"), Once, Dns, FORWARDS, "Ask upstream servers from this port"),
    row(' ', "port-limit", Required("NUMBER"), Once, Dns, FORWARDS, "Ask upstream servers from so many ports"),
    row(' ', "min-port", Required("NUMBER"), Once, Dns, FORWARDS, "Ask upstream servers from this port or a higher one"),
    row(' ', "max-port", Required("NUMBER"), Once, Dns, FORWARDS, "Ask upstream servers from this port or a lower one"),
    row('0', "dns-forward-max", Required("NUMBER"), Once, Dns, FORWARDS, "Forward so many queries at once at most"),
    row(' ', "fast-dns-retry", Optional("MILLISECONDS[,MILLISECONDS]"), Each, Dns, FORWARDS, "Ask again after so long, for so long"),
    row(' ', "stop-dns-rebind", Alone, Last, Dns, FORWARDS, "Drop upstream answers with private addresses"),
    row(' ', "rebind-localhost-ok", Alone, Last, Dns, FORWARDS, "But let 127.0.0.0/8 pass"),
    row(' ', "rebind-domain-ok", Required("/DOMAIN[/DOMAIN...]/"), Each, Dns, FORWARDS, "But let these domains pass"),
    row(' ', "dns-loop-detect", Alone, Last, Dns, FORWARDS, "Find loops of forwarding"),
    row(' ', "ignore-address", Required("ADDRESS"), Each, Dns, FORWARDS, "Drop upstream answers with this address"),
    row(' ', "strip-mac", Alone, Last, Dns, FORWARDS, "Take MACs out of queries"),
    row(' ', "strip-subnet", Alone, Last, Dns, FORWARDS, "Take client subnets out of queries"),
    row(' ', "conntrack", Alone, Last, Dns, FORWARDS, "Carry connection marks over to upstream queries"),
    row(' ', "proxy-dnssec", Alone, Last, Dns, FORWARDS, "Pass on what upstream servers say of DNSSEC"),
    row('c', "cache-size", Optional("NUMBER"), Once, Dns, CACHES, "Cache so many names"),
    row('N', "no-negcache", Alone, Last, Dns, CACHES, "Do not cache that a name does not exist"),
    row(' ', "use-stale-cache", Optional("SECONDS"), Once, Dns, CACHES, "Answer with what is out of date while it is renewed"),
    row(' ', "cache-rr", Required("TYPE[,TYPE...]"), Each, Dns, CACHES, "Cache records of these types"),
    row(' ', "neg-ttl", Required("SECONDS"), Once, Dns, CACHES, "Believe for so long that a name does not exist"),
    row(' ', "max-cache-ttl", Required("SECONDS"), Once, Dns, CACHES, "Cache for so long at most"),
    row(' ', "min-cache-ttl", Required("SECONDS"), Once, Dns, CACHES, "Cache for so long at least"),
    row(' ', "clear-on-reload", Alone, Last, Dns, CACHES, "Empty the cache when /etc/resolv.conf changes"),
    row('h', "no-hosts", Alone, Last, Dns, HOSTS, "Do not read /etc/hosts"),
    row('H', "addn-hosts", Required("PATH"), Each, Dns, HOSTS, "Read this hosts file too"),
    row(' ', "hostsdir", Required("FOLDER"), Each, Dns, HOSTS, "Read the hosts files of this folder, whenever one changes"),
    row('E', "expand-hosts", Alone, Last, Dns, HOSTS, "Add the domain to plain names of hosts files"),
    row('q', "log-queries", Optional("extra"), Last, Dns, ANSWERS, "Log DNS queries"),
    row(' ', "local-service", Optional("net|host"), Once, Dns, ANSWERS, "Answer DNS queries from our own subnets only, or from this host only"),
    row('y', "localise-queries", Alone, Last, Dns, ANSWERS, "Answer with addresses of the subnet that asks"),
    row('T', "local-ttl", Required("SECONDS"), Once, Dns, ANSWERS, "Let local names be believed for so long"),
    row(' ', "dhcp-ttl", Required("SECONDS"), Once, Dns, ANSWERS, "Let names of leases be believed for so long"),
    row(' ', "max-ttl", Required("SECONDS"), Once, Dns, ANSWERS, "Let any name be believed for so long at most"),
    row('e', "selfmx", Alone, Last, Dns, ANSWERS, "Answer with MX records by which local hosts point to themselves"),
    row('L', "localmx", Alone, Last, Dns, ANSWERS, "Answer with MX records for local hosts"),
    row('t', "mx-target", Required("NAME"), Once, Dns, ANSWERS, "Point such MX records there"),
    row(' ', "no-round-robin", Alone, Last, Dns, ANSWERS, "Keep the order of records in answers"),
    row(' ', "no-ident", Alone, Last, Dns, ANSWERS, "Do not answer version.bind and its like"),
    row(' ', "max-tcp-connections", Required("NUMBER"), Once, Dns, ANSWERS, "Serve so many DNS connections over TCP at most"),
    row(' ', "auth-ttl", Required("SECONDS"), Once, Dns, ANSWERS, "Let authoritative answers be believed for so long"),
    row(' ', "auth-soa", Required("SERIAL[,HOSTMASTER[,REFRESH[,RETRY[,EXPIRY]]]]"), Once, Dns, ANSWERS, "Fill the SOA record of zones"),
    row('A', "address", Required("/DOMAIN[/DOMAIN...]/ADDRESS"), Each, Dns, NO_DNS, "Answer with this address for all names of these domains"),
    row('B', "bogus-nxdomain", Required("ADDRESS[/PREFIX]"), Each, Dns, NO_DNS, "Take this upstream answer for: no such name"),
    row('V', "alias", Required("OLD|FIRST-LAST,NEW[,MASK]"), Each, Dns, NO_DNS, "Change addresses in upstream answers"),
    row(' ', "rev-server", Required("SUBNET,ADDRESS[#PORT]"), Each, Dns, NO_DNS, "Forward reverse queries for this subnet to this server"),
    row(' ', "servers-file", Required("PATH"), Once, Dns, NO_DNS, "Read server and rev-server from this file"),
    row(' ', "host-record", Required("NAME[,NAME...][,ADDRESS][,TTL]"), Each, Dns, NO_DNS, "Give names their addresses, and addresses their names"),
    row(' ', "dynamic-host", Required("NAME[,ADDRESS],INTERFACE"), Each, Dns, NO_DNS, "Give a name an address in the subnet of this interface"),
    row(' ', "interface-name", Required("NAME,INTERFACE[/4|/6]"), Each, Dns, NO_DNS, "Give a name the addresses of this interface"),
    row(' ', "cname", Required("ALIAS[,ALIAS...],TARGET[,TTL]"), Each, Dns, NO_DNS, "Give a local name other names"),
    row('m', "mx-host", Required("NAME[,TARGET[,PREFERENCE]]"), Each, Dns, NO_DNS, "Add an MX record"),
    row('W', "srv-host", Required("NAME[,TARGET[,PORT[,PRIORITY[,WEIGHT]]]]"), Each, Dns, NO_DNS, "Add an SRV record"),
    row('Y', "txt-record", Required("NAME[,TEXT...]"), Each, Dns, NO_DNS, "Add a TXT record"),
    row(' ', "ptr-record", Required("NAME[,TARGET]"), Each, Dns, NO_DNS, "Add a PTR record"),
    row(' ', "naptr-record", Required("NAME,ORDER,PREFERENCE,FLAGS,SERVICE,REGEXP[,REPLACEMENT]"), Each, Dns, NO_DNS, "Add a NAPTR record"),
    row(' ', "caa-record", Required("NAME,FLAGS,TAG,VALUE"), Each, Dns, NO_DNS, "Add a CAA record"),
    row(' ', "dns-rr", Required("NAME,TYPE[,HEX]"), Each, Dns, NO_DNS, "Add a record of any type"),
    row(' ', "synth-domain", Required("DOMAIN,RANGE[,PREFIX[*]]"), Each, Dns, NO_DNS, "Make names out of addresses"),
    row(' ', "auth-server", Required("DOMAIN[,INTERFACE|ADDRESS...]"), Once, Dns, NO_DNS, "Answer with authority"),
    row(' ', "auth-zone", Required("DOMAIN[,SUBNET...]"), Each, Dns, NO_DNS, "Answer for this zone with authority"),
    row(' ', "auth-sec-servers", Required("DOMAIN[,DOMAIN...]"), Each, Dns, NO_DNS, "Name the zones' secondary servers"),
    row(' ', "auth-peer", Required("ADDRESS[,ADDRESS...]"), Each, Dns, NO_DNS, "Let these transfer the zones"),
    row(' ', "ipset", Required("/DOMAIN[/DOMAIN...]/SET[,SET...]"), Each, Dns, NO_DNS, "Add what is answered to IP sets"),
    row(' ', "nftset", Required("/DOMAIN[/DOMAIN...]/SET[,SET...]"), Each, Dns, NO_DNS, "Add what is answered to sets of nftables"),
    row(' ', "connmark-allowlist-enable", Optional("MASK"), Once, Dns, NO_DNS, "Answer by connection mark"),
    row(' ', "connmark-allowlist", Required("MARK[/MASK][,PATTERN...]"), Each, Dns, NO_DNS, "Let this connection mark ask for these names"),
    row(' ', "add-mac", Optional("base64|text"), Last, Dns, NO_DNS, "Add the client's MAC to upstream queries"),
    row(' ', "add-subnet", Optional("PREFIX[,PREFIX]"), Once, Dns, NO_DNS, "Add the client's subnet to upstream queries"),
    row(' ', "add-cpe-id", Required("TEXT"), Once, Dns, NO_DNS, "Add this identifier to upstream queries"),
    row(' ', "umbrella", Optional("deviceid:ID[,orgid:ID][,assetid:ID]"), Once, Dns, NO_DNS, "Add Cisco Umbrella's identifiers to upstream queries"),
    row(' ', "dnssec", Alone, Last, Dns, NO_DNS, "Validate answers by DNSSEC"),
    row(' ', "trust-anchor", Required("DOMAIN,[CLASS,]TAG,ALGORITHM,TYPE,DIGEST"), Each, Dns, NO_DNS, "Trust this DNSSEC key"),
    row(' ', "dnssec-check-unsigned", Optional("no"), Last, Dns, FORWARDS, "Check that unsigned answers may be unsigned"),
    row(' ', "dnssec-no-timecheck", Alone, Last, Dns, FORWARDS, "Do not check the times of signatures until the clock is right"),
    row(' ', "dnssec-timestamp", Required("PATH"), Once, Dns, FORWARDS, "Tell by this file whether the clock is right"),
    row(' ', "dnssec-limits", Required("NUMBER[,NUMBER...]"), Once, Dns, FORWARDS, "Limit the work of validation"),
    row(' ', "dnssec-debug", Alone, Last, Dns, FORWARDS, "Pass on answers that are not valid"),

    row(' ', "no-dhcpv6-interface", Required("NAME[*][,NAME...]"), Each, Dhcpv6, Warned("lanboot speaks no DHCPv6"), "Serve no DHCPv6 on this interface"),
    row(' ', "quiet-dhcp6", Alone, Last, Dhcpv6, Warned("lanboot speaks no DHCPv6"), "Do not log ordinary DHCPv6 exchanges"),
    row(' ', "quiet-ra", Alone, Last, Dhcpv6, Warned("lanboot sends no router advertisements"), "Do not log router advertisements"),
    row(' ', "enable-ra", Alone, Last, Dhcpv6, NO_V6, "Send router advertisements"),
    row(' ', "ra-param", Required("INTERFACE,[mtu:MTU,][high|low,]SECONDS[,LIFETIME]"), Each, Dhcpv6, NO_V6, "Say how to send router advertisements"),
    row(' ', "dhcp-duid", Required("ENTERPRISE,ID"), Once, Dhcpv6, NO_V6, "Set the server's own identifier"),
];
