//! The option table: code, name, shape, RFC; one row per option.

use std::net::Ipv4Addr;

/// Option codes by their names in the RFCs.
pub mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS_SERVERS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const BROADCAST_ADDRESS: u8 = 28;
    pub const VENDOR_SPECIFIC: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const TFTP_SERVER_NAME: u8 = 66;
    pub const BOOTFILE: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RELAY_AGENT: u8 = 82;
    pub const CLIENT_ARCH: u8 = 93;
    pub const CLIENT_NDI: u8 = 94;
    pub const CLIENT_MACHINE_ID: u8 = 97;
    pub const IPXE: u8 = 175;
    pub const END: u8 = 255;
}

/// How an option's octets read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Address,
    Addresses,
    Text,
    U8,
    U16s,
    /// Seconds, 32 bits.
    Seconds,
    Codes,
    Octets,
}

pub struct Row {
    pub code: u8,
    pub name: &'static str,
    pub shape: Shape,
    pub rfc: &'static str,
}

const fn row(code: u8, name: &'static str, shape: Shape, rfc: &'static str) -> Row {
    Row { code, name, shape, rfc }
}

/// Every option that lanboot reads or writes.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(code::SUBNET_MASK,            "subnet-mask",            Shape::Address,   "RFC 2132 3.3"),
    row(code::ROUTER,                 "router",                 Shape::Addresses, "RFC 2132 3.5"),
    row(code::DNS_SERVERS,            "dns-servers",            Shape::Addresses, "RFC 2132 3.8"),
    row(code::HOST_NAME,              "host-name",              Shape::Text,      "RFC 2132 3.14"),
    row(code::DOMAIN_NAME,            "domain-name",            Shape::Text,      "RFC 2132 3.17"),
    row(code::BROADCAST_ADDRESS,      "broadcast-address",      Shape::Address,   "RFC 2132 5.3"),
    row(code::VENDOR_SPECIFIC,        "vendor-specific",        Shape::Octets,    "RFC 2132 8.4"),
    row(code::REQUESTED_ADDRESS,      "requested-address",      Shape::Address,   "RFC 2132 9.1"),
    row(code::LEASE_TIME,             "lease-time",             Shape::Seconds,   "RFC 2132 9.2"),
    row(code::OVERLOAD,               "option-overload",        Shape::U8,        "RFC 2132 9.3"),
    row(code::MESSAGE_TYPE,           "message-type",           Shape::U8,        "RFC 2132 9.6"),
    row(code::SERVER_ID,              "server-identifier",      Shape::Address,   "RFC 2132 9.7"),
    row(code::PARAMETER_REQUEST_LIST, "parameter-request-list", Shape::Codes,     "RFC 2132 9.8"),
    row(code::MESSAGE,                "message",                Shape::Text,      "RFC 2132 9.9"),
    row(code::MAX_MESSAGE_SIZE,       "max-message-size",       Shape::U16s,      "RFC 2132 9.10"),
    row(code::RENEWAL_TIME,           "renewal-time",           Shape::Seconds,   "RFC 2132 9.11"),
    row(code::REBINDING_TIME,         "rebinding-time",         Shape::Seconds,   "RFC 2132 9.12"),
    row(code::VENDOR_CLASS,           "vendor-class",           Shape::Text,      "RFC 2132 9.13"),
    row(code::CLIENT_ID,              "client-identifier",      Shape::Octets,    "RFC 2132 9.14"),
    row(code::TFTP_SERVER_NAME,       "tftp-server-name",       Shape::Text,      "RFC 2132 9.4"),
    row(code::BOOTFILE,               "bootfile-name",          Shape::Text,      "RFC 2132 9.5"),
    row(code::USER_CLASS,             "user-class",             Shape::Text,      "RFC 3004"),
    row(code::RELAY_AGENT,            "relay-agent-information",Shape::Octets,    "RFC 3046"),
    row(code::CLIENT_ARCH,            "client-arch",            Shape::U16s,      "RFC 4578 2.1"),
    row(code::CLIENT_NDI,             "client-ndi",             Shape::Octets,    "RFC 4578 2.2"),
    row(code::CLIENT_MACHINE_ID,      "client-machine-id",      Shape::Octets,    "RFC 4578 2.3"),
    row(code::IPXE,                   "ipxe",                   Shape::Octets,    "iPXE"),
];

/// The option's name, or `option-N`.
pub fn name(code: u8) -> String {
    TABLE.iter().find(|row| row.code == code).map_or_else(|| format!("option-{code}"), |row| row.name.to_owned())
}

/// An option's value for people; a value that does not have its shape is shown in hexadecimal.
pub fn show(code: u8, data: &[u8]) -> String {
    let shape = TABLE.iter().find(|row| row.code == code).map_or(Shape::Octets, |row| row.shape);
    let join = |parts: Vec<String>| parts.join(" ");
    match (shape, data.len()) {
        (Shape::Address | Shape::Addresses, n) if n > 0 && n % 4 == 0 => {
            join(data.chunks(4).map(|a| Ipv4Addr::new(a[0], a[1], a[2], a[3]).to_string()).collect())
        }
        (Shape::Text, _) => String::from_utf8_lossy(data).trim_end_matches('\0').escape_debug().to_string(),
        (Shape::U8, 1) => data[0].to_string(),
        (Shape::U16s, n) if n > 0 && n % 2 == 0 => {
            join(data.chunks(2).map(|w| u16::from_be_bytes([w[0], w[1]]).to_string()).collect())
        }
        (Shape::Seconds, 4) => format!("{} s", u32::from_be_bytes([data[0], data[1], data[2], data[3]])),
        (Shape::Codes, _) => join(data.iter().map(u8::to_string).collect()),
        _ => data.iter().map(|octet| format!("{octet:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(show(code::DNS_SERVERS, &[10, 0, 1, 1, 9, 9, 9, 9]), "10.0.1.1 9.9.9.9");
        assert_eq!(show(code::LEASE_TIME, &[0, 0, 0x0e, 0x10]), "3600 s");
        assert_eq!(show(code::BOOTFILE, b"pxelinux.0\0"), "pxelinux.0");
        assert_eq!(show(code::SUBNET_MASK, &[255, 255, 255]), "ffffff");
        assert_eq!(name(224), "option-224");
    }
}
