//! One row per option: code, name, shape, source.

use super::code;

/// How an option's octets read, and how its value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One or more IPv4 addresses, and nothing else.
    Addresses,
    /// Text, whatever it looks like: `5` is the character.
    Text,
    /// Text as a rule, but written values are judged by their looks: `5` is an octet.
    LooseText,
    U8,
    /// One number of 16 bits, or several.
    U16,
    U32,
    /// A span of time, 32 bits of seconds.
    Seconds,
    /// A list of option codes.
    Codes,
    /// Domain names, compressed (RFC 3397).
    Names,
    /// An encoding octet, then names or addresses of SIP servers (RFC 3361).
    Sip,
    /// Destination and router, the destination no longer than its prefix needs (RFC 3442).
    Routes,
    /// Nothing but its presence.
    Flag,
    Octets,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub code: u8,
    /// dnsmasq's name for it where dnsmasq has one.
    pub name: &'static str,
    pub shape: Shape,
    pub source: &'static str,
    /// Whose business it is.
    pub whose: Whose,
}

/// Who names and sets an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// `dnsmasq --help dhcp` lists it; `dhcp-option` takes it by name.
    Listed,
    /// dnsmasq knows its name in `dhcp-match` alone: the protocol itself sets it, or a more special option does.
    Internal,
    /// dnsmasq has no name for it.
    Ours,
}

use Shape::*;
use Whose::*;

const fn row(code: u8, name: &'static str, shape: Shape, whose: Whose, source: &'static str) -> Row {
    Row { code, name, shape, source, whose }
}

/// Every option that has a name, in the order of codes.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(code::SUBNET_MASK,            "netmask",                 Addresses, Listed,   "RFC 2132 3.3"),
    row(2,                            "time-offset",             U32,       Listed,   "RFC 2132 3.4"),
    row(code::ROUTER,                 "router",                  Addresses, Listed,   "RFC 2132 3.5"),
    row(code::DNS_SERVERS,            "dns-server",              Addresses, Listed,   "RFC 2132 3.8"),
    row(7,                            "log-server",              Addresses, Listed,   "RFC 2132 3.9"),
    row(9,                            "lpr-server",              Addresses, Listed,   "RFC 2132 3.11"),
    row(code::HOST_NAME,              "hostname",                Text,      Internal, "RFC 2132 3.14"),
    row(13,                           "boot-file-size",          U16,       Listed,   "RFC 2132 3.15"),
    row(code::DOMAIN_NAME,            "domain-name",             Text,      Listed,   "RFC 2132 3.17"),
    row(16,                           "swap-server",             Addresses, Listed,   "RFC 2132 3.18"),
    row(17,                           "root-path",               Text,      Listed,   "RFC 2132 3.19"),
    row(18,                           "extension-path",          Text,      Listed,   "RFC 2132 3.20"),
    row(19,                           "ip-forward-enable",       U8,        Listed,   "RFC 2132 4.1"),
    row(20,                           "non-local-source-routing",U8,        Listed,   "RFC 2132 4.2"),
    row(21,                           "policy-filter",           Addresses, Listed,   "RFC 2132 4.3"),
    row(22,                           "max-datagram-reassembly", U16,       Listed,   "RFC 2132 4.4"),
    row(23,                           "default-ttl",             U8,        Listed,   "RFC 2132 4.5"),
    row(26,                           "mtu",                     U16,       Listed,   "RFC 2132 5.1"),
    row(27,                           "all-subnets-local",       U8,        Listed,   "RFC 2132 5.2"),
    row(code::BROADCAST_ADDRESS,      "broadcast",               Addresses, Internal, "RFC 2132 5.3"),
    row(31,                           "router-discovery",        U8,        Listed,   "RFC 2132 5.6"),
    row(32,                           "router-solicitation",     Addresses, Listed,   "RFC 2132 5.7"),
    row(33,                           "static-route",            Addresses, Listed,   "RFC 2132 5.8"),
    row(34,                           "trailer-encapsulation",   U8,        Listed,   "RFC 2132 6.1"),
    row(35,                           "arp-timeout",             U32,       Listed,   "RFC 2132 6.2"),
    row(36,                           "ethernet-encap",          U8,        Listed,   "RFC 2132 6.3"),
    row(37,                           "tcp-ttl",                 U8,        Listed,   "RFC 2132 7.1"),
    row(38,                           "tcp-keepalive",           U32,       Listed,   "RFC 2132 7.2"),
    row(40,                           "nis-domain",              Text,      Listed,   "RFC 2132 8.1"),
    row(41,                           "nis-server",              Addresses, Listed,   "RFC 2132 8.2"),
    row(42,                           "ntp-server",              Addresses, Listed,   "RFC 2132 8.3"),
    row(code::VENDOR_SPECIFIC,        "vendor-encap",            Octets,    Internal, "RFC 2132 8.4"),
    row(44,                           "netbios-ns",              Addresses, Listed,   "RFC 2132 8.5"),
    row(45,                           "netbios-dd",              Addresses, Listed,   "RFC 2132 8.6"),
    row(46,                           "netbios-nodetype",        U8,        Listed,   "RFC 2132 8.7"),
    row(47,                           "netbios-scope",           LooseText, Listed,   "RFC 2132 8.8"),
    row(48,                           "x-windows-fs",            Addresses, Listed,   "RFC 2132 8.9"),
    row(49,                           "x-windows-dm",            Addresses, Listed,   "RFC 2132 8.10"),
    row(code::REQUESTED_ADDRESS,      "requested-address",       Addresses, Internal, "RFC 2132 9.1"),
    row(code::LEASE_TIME,             "lease-time",              Seconds,   Internal, "RFC 2132 9.2"),
    row(code::OVERLOAD,               "option-overload",         U8,        Internal, "RFC 2132 9.3"),
    row(code::MESSAGE_TYPE,           "message-type",            U8,        Internal, "RFC 2132 9.6"),
    row(code::SERVER_ID,              "server-identifier",       Addresses, Internal, "RFC 2132 9.7"),
    row(code::PARAMETER_REQUEST_LIST, "parameter-request",       Codes,     Internal, "RFC 2132 9.8"),
    row(code::MESSAGE,                "message",                 LooseText, Internal, "RFC 2132 9.9"),
    row(code::MAX_MESSAGE_SIZE,       "max-message-size",        U16,       Internal, "RFC 2132 9.10"),
    row(code::RENEWAL_TIME,           "T1",                      Seconds,   Listed,   "RFC 2132 9.11"),
    row(code::REBINDING_TIME,         "T2",                      Seconds,   Listed,   "RFC 2132 9.12"),
    row(code::VENDOR_CLASS,           "vendor-class",            LooseText, Listed,   "RFC 2132 9.13"),
    row(code::CLIENT_ID,              "client-id",               Octets,    Internal, "RFC 2132 9.14"),
    row(64,                           "nis+-domain",             Text,      Listed,   "RFC 2132 8.11"),
    row(65,                           "nis+-server",             Addresses, Listed,   "RFC 2132 8.12"),
    row(code::TFTP_SERVER_NAME,       "tftp-server",             Text,      Listed,   "RFC 2132 9.4"),
    row(code::BOOTFILE,               "bootfile-name",           Text,      Listed,   "RFC 2132 9.5"),
    row(68,                           "mobile-ip-home",          Addresses, Listed,   "RFC 2132 8.13"),
    row(69,                           "smtp-server",             Addresses, Listed,   "RFC 2132 8.14"),
    row(70,                           "pop3-server",             Addresses, Listed,   "RFC 2132 8.15"),
    row(71,                           "nntp-server",             Addresses, Listed,   "RFC 2132 8.16"),
    row(74,                           "irc-server",              Addresses, Listed,   "RFC 2132 8.19"),
    row(code::USER_CLASS,             "user-class",              LooseText, Listed,   "RFC 3004"),
    row(code::RAPID_COMMIT,           "rapid-commit",            Flag,      Listed,   "RFC 4039"),
    row(code::FQDN,                           "FQDN",                    Octets,    Internal, "RFC 4702"),
    row(code::RELAY_AGENT,            "agent-id",                Octets,    Internal, "RFC 3046"),
    row(code::CLIENT_ARCH,            "client-arch",             U16,       Listed,   "RFC 4578 2.1"),
    row(code::CLIENT_NDI,             "client-interface-id",     Octets,    Listed,   "RFC 4578 2.2"),
    row(code::CLIENT_MACHINE_ID,      "client-machine-id",       Octets,    Listed,   "RFC 4578 2.3"),
    row(100,                          "posix-timezone",          Text,      Listed,   "RFC 4833"),
    row(101,                          "tzdb-timezone",           Text,      Listed,   "RFC 4833"),
    row(108,                          "ipv6-only",               U32,       Listed,   "RFC 8925"),
    row(118,                          "subnet-select",           Addresses, Internal, "RFC 3011"),
    row(119,                          "domain-search",           Names,     Listed,   "RFC 3397"),
    row(120,                          "sip-server",              Sip,       Listed,   "RFC 3361"),
    row(121,                          "classless-static-route",  Routes,    Listed,   "RFC 3442"),
    row(125,                          "vendor-id-encap",         Octets,    Listed,   "RFC 3925"),
    row(150,                          "tftp-server-address",     Addresses, Listed,   "RFC 5859"),
    row(code::IPXE,                   "ipxe",                    Octets,    Ours,     "iPXE"),
    row(code::END,                    "server-ip-address",       Addresses, Listed,   "dnsmasq: siaddr"),
];

/// The row of a code.
pub fn find(code: u8) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}

/// The code of a named option; letters of either case (`option:T1`, `option:Router`).
pub fn by_name(name: &str) -> Option<u8> {
    TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.code)
}

/// The option's name, or `option-N`.
pub fn name(code: u8) -> String {
    find(code).map_or_else(|| format!("option-{code}"), |row| row.name.to_owned())
}
