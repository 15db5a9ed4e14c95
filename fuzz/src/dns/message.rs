//! DNS messages read once more, by other code than that of the service.

/// A whole message; names and data in lower case, without pointers.
#[derive(Debug)]
pub struct Message {
    pub id: u16,
    pub flags: [u8; 2],
    pub question: Option<Question>,
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
    pub opt: Option<Opt>,
    /// Octets behind the last record.
    pub rest: usize,
    /// Data of some record is not what its type has, or its owner no name.
    pub broken: bool,
    /// It has more than one OPT record, or one of another name than the root.
    pub bad_opt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    pub name: Vec<u8>,
    pub kind: u16,
    pub class: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub owner: Vec<u8>,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt {
    pub payload: u16,
    pub high_code: u8,
    pub version: u8,
    pub dnssec_ok: bool,
    pub is_last: bool,
}

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const DNAME: u16 = 39;
pub const OPT: u16 = 41;
pub const RRSIG: u16 = 46;
pub const ANY: u16 = 255;
pub const NXDOMAIN: u8 = 3;

impl Message {
    pub fn read(octets: &[u8]) -> Option<Message> {
        let count = |at| Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]));
        let mut at = 12;
        let question = match count(4)? {
            0 => None,
            1 => {
                let name = name(octets, &mut at)?;
                let question = Question { name, kind: count(at)?, class: count(at + 2)? };
                at += 4;
                Some(question)
            }
            _ => return None,
        };
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        let (mut opt, mut bad_opt, mut broken) = (None, false, false);
        for (section, records) in sections.iter_mut().enumerate() {
            let many = count(6 + 2 * section)?;
            for nth in 1..=many {
                let (record, sound) = record(octets, &mut at)?;
                broken |= !sound;
                if record.kind != OPT || section < 2 {
                    records.push(record);
                    continue;
                }
                let [high_code, version, flags, _] = record.ttl.to_be_bytes();
                let is_last = nth == many;
                let said = Opt { payload: record.class, high_code, version, dnssec_ok: flags & 0x80 != 0, is_last };
                bad_opt |= opt.replace(said).is_some() || record.owner != [0];
            }
        }
        let [answer, authority, additional] = sections;
        let (id, flags) = (count(0)?, [octets[2], octets[3]]);
        Some(Message {
            id,
            flags,
            question,
            answer,
            authority,
            additional,
            opt,
            rest: octets.len() - at,
            broken,
            bad_opt,
        })
    }

    pub fn code(&self) -> u8 {
        self.flags[1] & 0x0f
    }
}

/// Where a message's question ends, whose name is written in full; labels may hold any octets.
pub fn question_end(octets: &[u8]) -> usize {
    let mut at = 12;
    while let Some(length) = octets.get(at).filter(|length| **length > 0) {
        at += 1 + usize::from(*length);
    }
    at + 5
}

/// A record, and whether its data is what its type has.
fn record(octets: &[u8], at: &mut usize) -> Option<(Record, bool)> {
    let mut behind = *at;
    let owner = match name(octets, &mut behind) {
        Some(owner) => Some(owner),
        None => {
            behind = skip_name(octets, *at)?;
            None
        }
    };
    *at = behind;
    let head: [u8; 10] = *octets.get(*at..)?.first_chunk()?;
    let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = head;
    let (kind, start) = (u16::from_be_bytes([k0, k1]), *at + 10);
    let end = start + usize::from(u16::from_be_bytes([l0, l1]));
    let whole = octets.get(..end)?;
    let data = data(whole, start, kind);
    let sound = data.is_some() && owner.is_some();
    let owner = owner.unwrap_or_default();
    let data = data.unwrap_or_else(|| whole[start..].to_vec());
    *at = end;
    let ttl = u32::from_be_bytes([t0, t1, t2, t3]);
    Some((Record { owner, kind, class: u16::from_be_bytes([c0, c1]), ttl, data }, sound))
}

/// Data with its names in full; of addresses each octet as it is.
fn data(octets: &[u8], start: usize, kind: u16) -> Option<Vec<u8>> {
    if [A, AAAA].contains(&kind) {
        let length = if kind == A { 4 } else { 16 };
        return Some(octets[start..].to_vec()).filter(|data| data.len() == length);
    }
    let (before, names) = match kind {
        2..=5 | 7..=9 | 12 | DNAME => (0, 1),
        SOA | 14 | 17 => (0, 2),
        15 => (2, 1),
        33 => (6, 1),
        35 => (strings(octets, start + 4, 3)? - start, 1),
        _ => (octets.len() - start, 0),
    };
    let mut at = start + before;
    let mut data = octets.get(start..at)?.to_vec();
    for _ in 0..names {
        data.extend(name(octets, &mut at)?);
    }
    data.extend_from_slice(octets.get(at..)?);
    data.make_ascii_lowercase();
    Some(data)
}

/// Behind a name, wherever its pointer leads.
fn skip_name(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn strings(octets: &[u8], mut at: usize, many: usize) -> Option<usize> {
    for _ in 0..many {
        at += 1 + usize::from(*octets.get(at)?);
    }
    Some(at)
}

/// A name in full, in lower case; `at` goes behind it.
fn name(octets: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let (mut name, mut place, mut jumped) = (Vec::new(), *at, false);
    loop {
        let length = *octets.get(place)?;
        match length {
            0 => break,
            1..=63 => {
                name.extend_from_slice(octets.get(place..=place + usize::from(length))?);
                place += 1 + usize::from(length);
            }
            192.. => {
                let to = usize::from(length & 0x3f) << 8 | usize::from(*octets.get(place + 1)?);
                if !jumped {
                    *at = place + 2;
                }
                jumped = true;
                // Each pointer leads back, so they end.
                if to >= place {
                    return None;
                }
                place = to;
            }
            _ => return None,
        }
        if name.len() > 254 {
            return None;
        }
    }
    if !jumped {
        *at = place + 1;
    }
    name.push(0);
    name.make_ascii_lowercase();
    Some(name)
}
