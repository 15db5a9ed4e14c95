//! The options: their names and shapes, and their values as people read and write them.

mod encode;
mod pattern;
mod table;

use std::net::Ipv4Addr;

pub use encode::{BadValue, Value, Written, encode, encode_as};
pub use pattern::{Pattern, contains, octets_or_text};
pub use table::{Row, Shape, TABLE, Whose, by_name, find, name};

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
    pub const RAPID_COMMIT: u8 = 80;
    pub const FQDN: u8 = 81;
    pub const RELAY_AGENT: u8 = 82;
    pub const CLIENT_ARCH: u8 = 93;
    pub const CLIENT_NDI: u8 = 94;
    pub const CLIENT_MACHINE_ID: u8 = 97;
    /// RFC 3011
    pub const SUBNET_SELECTION: u8 = 118;
    pub const IPXE: u8 = 175;
    pub const END: u8 = 255;
}

/// An option's value for people; a value that does not have its shape is shown in hexadecimal.
pub fn show(code: u8, data: &[u8]) -> String {
    let shape = find(code).map_or(Shape::Octets, |row| row.shape);
    let join = |parts: Vec<String>| parts.join(" ");
    match (shape, data.len()) {
        (Shape::Addresses, n) if n > 0 && n % 4 == 0 => {
            join(data.chunks(4).map(|a| Ipv4Addr::new(a[0], a[1], a[2], a[3]).to_string()).collect())
        }
        (Shape::Text | Shape::LooseText, _) => {
            String::from_utf8_lossy(data).trim_end_matches('\0').escape_debug().to_string()
        }
        (Shape::U8, 1) => data[0].to_string(),
        (Shape::U16, n) if n > 0 && n % 2 == 0 => {
            join(data.chunks(2).map(|w| u16::from_be_bytes([w[0], w[1]]).to_string()).collect())
        }
        (Shape::U32, 4) => u32::from_be_bytes([data[0], data[1], data[2], data[3]]).to_string(),
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

    #[test]
    fn names_lead_to_codes_in_either_case() {
        assert_eq!(by_name("router"), Some(code::ROUTER));
        assert_eq!(by_name("t1"), Some(code::RENEWAL_TIME));
        assert_eq!(by_name("Bootfile-Name"), Some(code::BOOTFILE));
        assert_eq!(by_name("no-such-option"), None);
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }
}
