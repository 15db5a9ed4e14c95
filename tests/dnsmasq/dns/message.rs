//! DNS messages as the tests read and make them: by hand, so that they can be wrong on purpose, and so that nothing here
//! shares an error with what is tested.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const AD: u16 = 0x0020;
pub const CD: u16 = 0x0010;
pub const QR: u16 = 0x8000;
const HEADER_OCTETS: usize = 12;
const OPT: u16 = 41;
const MOST_POINTERS: usize = 100;

const KINDS: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (35, "NAPTR"),
    (41, "OPT"),
    (43, "DS"),
    (46, "RRSIG"),
    (48, "DNSKEY"),
    (65, "HTTPS"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (257, "CAA"),
];

const CODES: &[&str] = &["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/// A type's name, or `TYPE123`.
pub fn kind_name(kind: u16) -> String {
    let known = KINDS.iter().find(|(number, _)| *number == kind);
    known.map_or_else(|| format!("TYPE{kind}"), |(_, name)| (*name).to_owned())
}

pub fn kind(name: &str) -> u16 {
    let known = KINDS.iter().find(|(_, known)| *known == name).map(|(number, _)| *number);
    known.or_else(|| name.strip_prefix("TYPE")?.parse().ok()).unwrap_or_else(|| panic!("`{name}` is no type"))
}

fn code_name(code: u16) -> String {
    CODES.get(usize::from(code)).map_or_else(|| format!("RCODE{code}"), |name| (*name).to_owned())
}

/// Wire form of a name as it is written: letters keep their case.
pub fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    wire.push(0);
    wire
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub name: String,
    pub kind: u16,
    pub class: u16,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let class = if self.class == 1 { String::new() } else { format!(" class {}", self.class) };
        write!(f, "{} {}{class}", self.name, kind_name(self.kind))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    /// As text: names in full, unknown types as hexadecimal.
    pub data: String,
}

impl Record {
    /// All but the TTL.
    pub fn key(&self) -> String {
        let class = if self.class == 1 { String::new() } else { format!(" class {}", self.class) };
        format!("{} {}{class} {}", self.name, kind_name(self.kind), self.data)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ({} s)", self.key(), self.ttl)
    }
}

/// EDNS (RFC 6891).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    pub size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
    pub options: Vec<(u16, Vec<u8>)>,
}

impl fmt::Display for Edns {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "size {}{}", self.size, if self.dnssec_ok { " DO" } else { "" })?;
        if self.version != 0 {
            write!(f, " version {}", self.version)?;
        }
        self.options.iter().try_for_each(|(code, data)| write!(f, " {code}={}", hex(data)))
    }
}

/// A message taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    pub code: String,
    pub questions: Vec<Question>,
    /// Answer, authority, additional without the OPT.
    pub sections: [Vec<Record>; 3],
    pub edns: Option<Edns>,
}

impl Message {
    /// # Errors
    /// What is malformed about it.
    pub fn parse(octets: &[u8]) -> Result<Message, String> {
        let mut reader = Reader { octets, at: 0 };
        let [id, flags, questions, answers, authority, additional] = [(); 6].map(|()| reader.short());
        let (id, flags) = (id?, flags?);
        let questions: Vec<_> = (0..questions?).map(|_| reader.question()).collect::<Result<_, _>>()?;
        let (mut edns, mut extended) = (None, 0);
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, count) in sections.iter_mut().zip([answers?, authority?, additional?]) {
            for _ in 0..count {
                let (record, data) = reader.record()?;
                if record.kind == OPT {
                    let [code, version, high, _] = record.ttl.to_be_bytes();
                    extended = u16::from(code) << 4;
                    if edns.replace(options(&record, version, high, data)?).is_some() {
                        return Err("two OPT records".to_owned());
                    }
                } else {
                    section.push(record);
                }
            }
        }
        if reader.at != octets.len() {
            return Err(format!("{} octets behind its end", octets.len() - reader.at));
        }
        Ok(Message { id, flags, code: code_name(flags & 15 | extended), questions, sections, edns })
    }

    pub fn has(&self, bit: u16) -> bool {
        self.flags & bit != 0
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}", self.code, bits(self.flags))?;
        for (title, section) in ["answer", "authority", "additional"].iter().zip(&self.sections) {
            if !section.is_empty() {
                let records: Vec<_> = section.iter().map(Record::to_string).collect();
                write!(f, "; {title}: {}", records.join(", "))?;
            }
        }
        self.edns.iter().try_for_each(|edns| write!(f, "; EDNS {edns}"))
    }
}

/// The bits of a header that are set, but for QR, and what is asked for but a query.
pub fn bits(flags: u16) -> String {
    let names = [(AA, " AA"), (TC, " TC"), (RD, " RD"), (RA, " RA"), (AD, " AD"), (CD, " CD"), (0x40, " Z")];
    let operation = flags >> 11 & 15;
    let operation = if operation == 0 { String::new() } else { format!(" opcode {operation}") };
    names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect::<String>() + &operation
}

fn options(record: &Record, version: u8, high: u8, mut data: &[u8]) -> Result<Edns, String> {
    if !record.name.is_empty() {
        return Err("an OPT record with a name".to_owned());
    }
    let mut options = Vec::new();
    while let [a, b, c, d, rest @ ..] = data {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let (value, rest) = rest.split_at_checked(length).ok_or("an EDNS option that ends early")?;
        options.push((u16::from_be_bytes([*a, *b]), value.to_vec()));
        data = rest;
    }
    Ok(Edns { size: record.class, version, dnssec_ok: high & 0x80 != 0, options })
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken =
            self.octets.get(self.at..self.at + count).ok_or_else(|| format!("it ends early, at {}", self.at))?;
        self.at += count;
        Ok(taken)
    }

    fn short(&mut self) -> Result<u16, String> {
        self.take(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    fn long(&mut self) -> Result<u32, String> {
        Ok(u32::from(self.short()?) << 16 | u32::from(self.short()?))
    }

    /// The root is the empty text.
    fn name(&mut self) -> Result<String, String> {
        let mut labels = Vec::new();
        let mut back = None;
        for _ in 0..MOST_POINTERS {
            let length = self.take(1)?[0];
            match length {
                0 => {
                    self.at = back.unwrap_or(self.at);
                    return Ok(labels.join("."));
                }
                1..64 => labels.push(text(self.take(length.into())?)),
                192.. => {
                    let low = self.take(1)?[0];
                    back.get_or_insert(self.at);
                    self.at = usize::from(length & 63) << 8 | usize::from(low);
                }
                _ => return Err(format!("a label of type {length:#04x}")),
            }
        }
        Err("a name that does not end".to_owned())
    }

    fn question(&mut self) -> Result<Question, String> {
        Ok(Question { name: self.name()?, kind: self.short()?, class: self.short()? })
    }

    fn record(&mut self) -> Result<(Record, &'a [u8]), String> {
        let (name, kind, class, ttl) = (self.name()?, self.short()?, self.short()?, self.long()?);
        let length = usize::from(self.short()?);
        let end = self.at + length;
        let data = self.take(length)?;
        self.at = end - length;
        let text = self.data(kind, data)?;
        if self.at != end {
            return Err(format!("{} {} has data of another length", name, kind_name(kind)));
        }
        Ok((Record { name, kind, class, ttl, data: text }, data))
    }

    fn data(&mut self, kind: u16, data: &[u8]) -> Result<String, String> {
        Ok(match kind {
            1 if data.len() == 4 => {
                Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)?).expect("four octets")).to_string()
            }
            28 if data.len() == 16 => {
                Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)?).expect("sixteen octets")).to_string()
            }
            2 | 5 | 12 => self.name()?,
            15 => format!("{} {}", self.short()?, self.name()?),
            33 => format!("{} {} {} {}", self.short()?, self.short()?, self.short()?, self.name()?),
            6 => {
                let (server, mailbox) = (self.name()?, self.name()?);
                let numbers = [(); 5].map(|()| self.long());
                let numbers: Vec<_> =
                    numbers.into_iter().map(|it| it.map(|it| it.to_string())).collect::<Result<_, _>>()?;
                format!("{server} {mailbox} {}", numbers.join(" "))
            }
            16 => {
                let end = self.at + data.len();
                let mut strings = Vec::new();
                while self.at < end {
                    let length = self.take(1)?[0];
                    strings.push(format!("\"{}\"", text(self.take(length.into())?)));
                }
                strings.join(" ")
            }
            _ => hex(self.take(data.len())?),
        })
    }
}

fn text(octets: &[u8]) -> String {
    let octet = |octet: &u8| match octet {
        b'!'..=b'~' | b' ' => char::from(*octet).to_string(),
        _ => format!("\\{octet:03}"),
    };
    octets.iter().map(octet).collect()
}

pub fn hex(data: &[u8]) -> String {
    data.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A message in the making.
#[derive(Clone, Debug)]
pub struct Maker(pub Vec<u8>);

impl Maker {
    pub fn new(id: u16, flags: u16) -> Maker {
        let mut octets = [id.to_be_bytes(), flags.to_be_bytes()].concat();
        octets.resize(HEADER_OCTETS, 0);
        Maker(octets)
    }

    fn count(&mut self, section: usize) {
        let at = 4 + 2 * section;
        let count = u16::from_be_bytes([self.0[at], self.0[at + 1]]) + 1;
        self.0[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }

    pub fn question(mut self, wire: &[u8], kind: u16, class: u16) -> Maker {
        self.count(0);
        self.0.extend(wire);
        self.0.extend([kind.to_be_bytes(), class.to_be_bytes()].concat());
        self
    }

    /// `section`: 1 answer, 2 authority, 3 additional.
    pub fn record(mut self, section: usize, owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Maker {
        self.count(section);
        self.0.extend(owner);
        self.0.extend([kind.to_be_bytes(), 1u16.to_be_bytes()].concat());
        self.0.extend(ttl.to_be_bytes());
        self.0.extend((data.len() as u16).to_be_bytes());
        self.0.extend(data);
        self
    }

    pub fn edns(mut self, edns: &Edns, code: u16) -> Maker {
        self.count(3);
        self.0.push(0);
        self.0.extend([OPT.to_be_bytes(), edns.size.to_be_bytes()].concat());
        self.0.extend([(code >> 4) as u8, edns.version, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
        let option = |(code, data): &(u16, Vec<u8>)| {
            [&code.to_be_bytes(), &(data.len() as u16).to_be_bytes(), &data[..]].concat()
        };
        let options: Vec<u8> = edns.options.iter().flat_map(option).collect();
        self.0.extend((options.len() as u16).to_be_bytes());
        self.0.extend(options);
        self
    }
}
