//! The header and every option exactly as received, known or unknown (RFC 2131 section 2, RFC 2132).

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;

use mac::Mac;

use super::options::code;

/// Octets of the fixed header, magic cookie included.
pub const HEADER_OCTETS: usize = 240;
/// The magic cookie that tells DHCP options from BOOTP's vendor area (RFC 1497).
pub const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The broadcast bit of `flags` (RFC 2131 figure 2).
pub const BROADCAST: u16 = 0x8000;

const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;

/// DHCP message types (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageType {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

impl MessageType {
    pub fn from_octet(octet: u8) -> Option<MessageType> {
        use MessageType::*;
        [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform].into_iter().find(|kind| *kind as u8 == octet)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            MessageType::Discover => "DHCPDISCOVER",
            MessageType::Offer => "DHCPOFFER",
            MessageType::Request => "DHCPREQUEST",
            MessageType::Decline => "DHCPDECLINE",
            MessageType::Ack => "DHCPACK",
            MessageType::Nak => "DHCPNAK",
            MessageType::Release => "DHCPRELEASE",
            MessageType::Inform => "DHCPINFORM",
        };
        f.write_str(text)
    }
}

/// Why octets are not a DHCP message at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{have} octets are too few for a DHCP header of {HEADER_OCTETS}")]
    Truncated { have: usize },
    #[error("no DHCP magic cookie: a plain BOOTP packet")]
    NoCookie,
    #[error("hardware address length {hlen} is more than the 16 octets of chaddr")]
    BadHlen { hlen: u8 },
}

/// A DHCP message over the octets it came in; nothing is copied, nothing lost.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    octets: &'a [u8],
    /// Option 52: bit 0, `file` holds options; bit 1, `sname` does (RFC 2132 section 9.3).
    overload: u8,
    /// Bit N: option N is there. Most look-ups are for options that are not.
    present: [u64; 4],
    /// Whether an option is there more than once, and so in parts.
    has_parts: bool,
}

impl<'a> Packet<'a> {
    /// Reads a UDP payload. A damaged option ends the list of options there and shows in [`Packet::damage`]: whatever
    /// came before it still counts, because real clients send such packets and expect an answer.
    ///
    /// # Errors
    /// [`Malformed`] when the fixed header is not there.
    pub fn parse(octets: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        if octets.len() < HEADER_OCTETS {
            return Err(Malformed::Truncated { have: octets.len() });
        }
        if octets[236..240] != COOKIE {
            return Err(Malformed::NoCookie);
        }
        if octets[2] > 16 {
            return Err(Malformed::BadHlen { hlen: octets[2] });
        }
        let mut packet = Packet { octets, overload: 0, present: [0; 4], has_parts: false };
        let overload = packet.options().find(|(code, _)| *code == code::OVERLOAD);
        packet.overload = overload.and_then(|(_, data)| data.first().copied()).unwrap_or(0);
        Ok(packet.indexed())
    }

    /// Reads a UDP payload that may be BOOTP's, whose vendor area need not begin with the magic cookie (RFC 951). What
    /// stands there is read as options all the same.
    ///
    /// # Errors
    /// [`Malformed`] when the fixed header is not there, or there is no cookie in what says that it is DHCP.
    pub fn parse_any(octets: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        match Packet::parse(octets) {
            Err(Malformed::NoCookie) if octets[2] <= 16 => {
                let packet = Packet { octets, overload: 0, present: [0; 4], has_parts: false }.indexed();
                if packet.is_bootp() { Ok(packet) } else { Err(Malformed::NoCookie) }
            }
            result => result,
        }
    }

    fn indexed(mut self) -> Packet<'a> {
        for (code, _) in self.options() {
            self.has_parts |= self.has(code);
            self.present[usize::from(code >> 6)] |= 1 << (code & 63);
        }
        self
    }

    fn has(&self, code: u8) -> bool {
        self.present[usize::from(code >> 6)] & 1 << (code & 63) != 0
    }

    /// Whether it has no message type at all, and so is BOOTP (RFC 1534).
    pub fn is_bootp(&self) -> bool {
        self.option(code::MESSAGE_TYPE).is_none_or(|data| data.is_empty())
    }

    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// 1: from a client; 2: from a server.
    pub fn op(&self) -> u8 {
        self.octets[0]
    }

    /// Hardware type (RFC 1700 "ARP"); 1 is Ethernet.
    pub fn htype(&self) -> u8 {
        self.octets[1]
    }

    pub fn xid(&self) -> u32 {
        u32::from_be_bytes(self.array(4))
    }

    /// Seconds since the client began to ask.
    pub fn secs(&self) -> u16 {
        u16::from_be_bytes(self.array(8))
    }

    pub fn flags(&self) -> u16 {
        u16::from_be_bytes(self.array(10))
    }

    pub fn wants_broadcast(&self) -> bool {
        self.flags() & BROADCAST != 0
    }

    pub fn ciaddr(&self) -> Ipv4Addr {
        self.array(12).into()
    }

    pub fn yiaddr(&self) -> Ipv4Addr {
        self.array(16).into()
    }

    pub fn siaddr(&self) -> Ipv4Addr {
        self.array(20).into()
    }

    pub fn giaddr(&self) -> Ipv4Addr {
        self.array(24).into()
    }

    /// The relay that passed this on; `None` when the client is on our link.
    pub fn relay(&self) -> Option<Ipv4Addr> {
        Some(self.giaddr()).filter(|address| !address.is_unspecified())
    }

    /// The client's hardware address, `hlen` octets.
    pub fn chaddr(&self) -> &'a [u8] {
        &self.octets[28..28 + usize::from(self.octets[2])]
    }

    /// The hardware address as an Ethernet one; `None` for other hardware types or lengths.
    pub fn mac(&self) -> Option<Mac> {
        if self.htype() != 1 { None } else { self.chaddr().try_into().ok().map(Mac) }
    }

    /// The boot file name, whether in its header field or, when that holds options, in option 67.
    pub fn file(&self) -> Cow<'a, [u8]> {
        self.option(code::BOOTFILE)
            .unwrap_or_else(|| Cow::Borrowed(if self.overload & 1 == 0 { until_nul(&self.octets[FILE]) } else { &[] }))
    }

    /// The server's name, whether in its header field or, when that holds options, in option 66.
    pub fn sname(&self) -> Cow<'a, [u8]> {
        self.option(code::TFTP_SERVER_NAME)
            .unwrap_or_else(|| Cow::Borrowed(if self.overload & 2 == 0 { until_nul(&self.octets[SNAME]) } else { &[] }))
    }

    /// Every option instance as it stands: the options field, then `file`, then `sname` where they are overloaded
    /// (the order that RFC 3396 section 5 reads them in).
    pub fn options(&self) -> Options<'a> {
        let mut regions: [&'a [u8]; 3] = [&self.octets[HEADER_OCTETS..], &[], &[]];
        if self.overload & 1 != 0 {
            regions[1] = &self.octets[FILE];
        }
        if self.overload & 2 != 0 {
            regions[2] = &self.octets[SNAME];
        }
        Options { regions, region: 0, damage: None }
    }

    /// One option's value; instances that were split are joined, adjacent or not (RFC 3396 section 7).
    pub fn option(&self, code: u8) -> Option<Cow<'a, [u8]>> {
        if !self.has(code) {
            return None;
        }
        let mut instances = self.options().filter(|(c, _)| *c == code).map(|(_, data)| data);
        let first = instances.next()?;
        if !self.has_parts {
            return Some(Cow::Borrowed(first));
        }
        let Some(second) = instances.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = [first, second].concat();
        instances.for_each(|data| joined.extend_from_slice(data));
        Some(Cow::Owned(joined))
    }

    /// The first octets of an option that has at least that many.
    fn fixed<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.option(code)?.get(..N)?.try_into().ok()
    }

    pub fn u32(&self, code: u8) -> Option<u32> {
        self.fixed(code).map(u32::from_be_bytes)
    }

    pub fn u16(&self, code: u8) -> Option<u16> {
        self.fixed(code).map(u16::from_be_bytes)
    }

    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.fixed::<4>(code).map(Ipv4Addr::from)
    }

    /// An option as text: trailing NULs removed (RFC 2132 section 2), odd octets replaced, never refused.
    pub fn text(&self, code: u8) -> Option<String> {
        let data = self.option(code)?;
        let end = data.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        Some(String::from_utf8_lossy(&data[..end]).into_owned())
    }

    pub fn message_type(&self) -> Option<MessageType> {
        self.fixed::<1>(code::MESSAGE_TYPE).and_then(|[octet]| MessageType::from_octet(octet))
    }

    /// Where the options end too early, if they do.
    pub fn damage(&self) -> Option<Damage> {
        let mut options = self.options();
        while options.next().is_some() {}
        options.damage
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.octets[at..at + N].try_into().expect("parse made sure of the whole header")
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("type", &self.message_type())
            .field("xid", &format_args!("{:08x}", self.xid()))
            .field("chaddr", &self.chaddr())
            .field("ciaddr", &self.ciaddr())
            .field("yiaddr", &self.yiaddr())
            .field("siaddr", &self.siaddr())
            .field("giaddr", &self.giaddr())
            .field("options", &self.options().collect::<Vec<_>>())
            .finish()
    }
}

/// An option that runs past the end of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {code} is said to hold {need} octets, but {have} are left")]
pub struct Damage {
    pub code: u8,
    pub need: usize,
    pub have: usize,
}

/// Walks the options without allocating.
pub struct Options<'a> {
    regions: [&'a [u8]; 3],
    region: usize,
    damage: Option<Damage>,
}

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        while self.region < self.regions.len() {
            let rest = &mut self.regions[self.region];
            match *rest {
                [code::PAD, tail @ ..] => *rest = tail,
                [] | [code::END, ..] => self.region += 1,
                [code, length, tail @ ..] if tail.len() >= usize::from(*length) => {
                    let (data, tail) = tail.split_at(usize::from(*length));
                    *rest = tail;
                    return Some((*code, data));
                }
                [code, tail @ ..] => {
                    let need = tail.first().map_or(1, |length| usize::from(*length));
                    let damage = Damage { code: *code, need, have: tail.len().saturating_sub(1) };
                    self.damage.get_or_insert(damage);
                    self.region += 1;
                }
            }
        }
        None
    }
}

/// Splits the sub-options of options 43, 82 and 175: code, length, data; 0 pads and 255 ends in 43 (RFC 2132 section
/// 8.4), elsewhere they are ordinary codes but nobody assigns them.
pub fn sub_options(data: &[u8]) -> Options<'_> {
    Options { regions: [data, &[], &[]], region: 0, damage: None }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|octet| *octet == 0).next().unwrap_or(&[])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A client's message with these options, for tests all over the crate.
    pub fn request(options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut octets = vec![0; HEADER_OCTETS];
        octets[..4].copy_from_slice(&[1, 1, 6, 0]);
        octets[4..8].copy_from_slice(&0x1234_5678_u32.to_be_bytes());
        octets[28..34].copy_from_slice(&[0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        octets[236..240].copy_from_slice(&COOKIE);
        for (code, data) in options {
            octets.extend([*code, data.len() as u8]);
            octets.extend_from_slice(data);
        }
        octets.push(255);
        octets
    }

    #[test]
    fn split_options_join_even_with_another_between() {
        let octets = request(&[(53, &[1]), (67, b"http://"), (12, b"x"), (67, b"server/")]);
        assert_eq!(Packet::parse(&octets).unwrap().option(67).unwrap().as_ref(), b"http://server/");
    }

    #[test]
    fn overloaded_fields_hold_options() {
        let mut octets = request(&[(53, &[1]), (52, &[3])]);
        octets[FILE.start..FILE.start + 4].copy_from_slice(&[12, 1, b'f', 255]);
        octets[SNAME.start..SNAME.start + 4].copy_from_slice(&[15, 1, b's', 255]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(packet.text(12).unwrap(), "f");
        assert_eq!(packet.text(15).unwrap(), "s");
        assert!(packet.file().is_empty());
    }

    #[test]
    fn options_before_a_damaged_one_still_count() {
        let mut octets = request(&[(53, &[1]), (12, b"host\xff\0")]);
        octets.pop();
        octets.extend([61, 200, 1]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(packet.message_type(), Some(MessageType::Discover));
        assert_eq!(packet.text(12).unwrap(), "host\u{fffd}");
        assert_eq!(packet.damage(), Some(Damage { code: 61, need: 200, have: 1 }));
    }

    #[test]
    fn short_packets_and_bootp_are_told_apart() {
        assert_eq!(Packet::parse(&[0; 239]).unwrap_err(), Malformed::Truncated { have: 239 });
        assert_eq!(Packet::parse(&[0; 300]).unwrap_err(), Malformed::NoCookie);
        assert!(Packet::parse_any(&[0; 300]).unwrap().is_bootp());
        let mut octets = request(&[(53, &[1])]);
        assert!(!Packet::parse_any(&octets).unwrap().is_bootp());
        octets[236] = 0;
        assert_eq!(Packet::parse_any(&octets).unwrap_err(), Malformed::NoCookie);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(mut octets in prop::collection::vec(any::<u8>(), 0..700)) {
            if octets.len() >= HEADER_OCTETS {
                octets[236..240].copy_from_slice(&COOKIE);
            }
            if let Ok(packet) = Packet::parse(&octets) {
                let total: usize = packet.options().map(|(_, data)| data.len() + 2).sum();
                prop_assert!(total <= octets.len());
                let _ = (packet.damage(), packet.file(), packet.sname(), packet.mac(), packet.text(12), format!("{packet:?}"));
            }
        }
    }
}
