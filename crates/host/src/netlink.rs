//! A blocking netlink socket, and the attributes that all netlink families are made of.
//!
//! rtnetlink, nf_tables and sock_diag speak through it. A socket belongs to the network namespace of the thread that
//! opened it.

use std::fmt;
use std::io;

use netlink_sys::{Socket, SocketAddr};

/// Octets of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The kernel never fills more than 32 KiB per datagram.
const BUFFER: usize = 64 << 10;
/// How often a dump is asked again that something changed under.
const DUMP_TRIES: usize = 16;

const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
pub(crate) const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
pub(crate) const ACK: u16 = libc::NLM_F_ACK as u16;
pub(crate) const CREATE: u16 = libc::NLM_F_CREATE as u16;
pub(crate) const EXCL: u16 = libc::NLM_F_EXCL as u16;
pub(crate) const APPEND: u16 = libc::NLM_F_APPEND as u16;
const DUMP: u16 = libc::NLM_F_DUMP as u16;
const DUMP_INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;

/// What the kernel answered: its error number, and its own sentence when it gave one (NETLINK_EXT_ACK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetlinkError {
    pub errno: i32,
    pub sentence: Option<String>,
}

impl fmt::Display for NetlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = io::Error::from_raw_os_error(self.errno);
        match &self.sentence {
            Some(sentence) => write!(f, "the kernel says: {} ({plain})", sentence.trim_end_matches('.')),
            None => write!(f, "the kernel says: {plain}"),
        }
    }
}

impl std::error::Error for NetlinkError {}

impl From<io::Error> for NetlinkError {
    fn from(error: io::Error) -> NetlinkError {
        match error.raw_os_error() {
            Some(errno) => NetlinkError { errno, sentence: None },
            None => NetlinkError { errno: libc::EIO, sentence: Some(error.to_string()) },
        }
    }
}

type Result<T> = std::result::Result<T, NetlinkError>;

/// One message to the kernel, without its netlink header.
#[derive(Debug)]
pub(crate) struct Message {
    pub kind: u16,
    pub flags: u16,
    pub body: Attributes,
}

/// One message from the kernel: its type, and what follows the netlink header.
#[derive(Debug)]
pub(crate) struct Reply {
    pub kind: u16,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// `protocol`: `libc::NETLINK_ROUTE` and the like.
    pub fn open(protocol: libc::c_int) -> Result<Netlink> {
        let mut socket = Socket::new(protocol as isize)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Kernels before 4.12 know no sentences, and before 4.2 no short acknowledgements: both are conveniences.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Sends one change and waits until the kernel has made it.
    pub fn change(&mut self, message: &Message) -> Result<()> {
        self.sequence += 1;
        let sequence = self.sequence;
        self.send(&encode(message, ACK, sequence))?;
        loop {
            for (header, body) in self.receive()? {
                if header.sequence == sequence && header.kind == NLMSG_ERROR {
                    return acknowledged(&header, &body);
                }
            }
        }
    }

    /// Sends several changes as one datagram, as nf_tables wants its batches, and waits until all are acknowledged or
    /// one is refused. Those whose `flags` lack ACK are not waited for.
    pub fn batch(&mut self, messages: &[Message]) -> Result<()> {
        let mut datagram = Vec::new();
        let first = self.sequence + 1;
        for message in messages {
            self.sequence += 1;
            datagram.extend(encode(message, 0, self.sequence));
        }
        self.send(&datagram)?;
        let mut due = messages.iter().filter(|message| message.flags & ACK != 0).count();
        while due > 0 {
            for (header, body) in self.receive()? {
                if header.sequence >= first && header.kind == NLMSG_ERROR {
                    acknowledged(&header, &body)?;
                    due = due.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    /// Asks for a list, again when something changed while it was read.
    pub fn dump(&mut self, kind: u16, body: &Attributes) -> Result<Vec<Reply>> {
        for _ in 0..DUMP_TRIES {
            if let Some(replies) = self.dump_once(kind, body)? {
                return Ok(replies);
            }
        }
        Err(NetlinkError { errno: libc::EINTR, sentence: Some("the list kept changing while it was read".to_owned()) })
    }

    /// `None`: the list changed while it was read.
    fn dump_once(&mut self, kind: u16, body: &Attributes) -> Result<Option<Vec<Reply>>> {
        self.sequence += 1;
        let sequence = self.sequence;
        let message = Message { kind, flags: DUMP, body: body.clone() };
        self.send(&encode(&message, 0, sequence))?;
        let (mut replies, mut whole) = (Vec::new(), true);
        loop {
            for (header, body) in self.receive()? {
                if header.sequence != sequence {
                    continue;
                }
                whole &= header.flags & DUMP_INTERRUPTED == 0;
                match header.kind {
                    // A dump that fails half way says so in its DONE.
                    NLMSG_ERROR | NLMSG_DONE if body.len() >= 4 => {
                        acknowledged(&header, &body)?;
                        return Ok(whole.then_some(replies));
                    }
                    NLMSG_ERROR | NLMSG_DONE => return Ok(whole.then_some(replies)),
                    kind => replies.push(Reply { kind, body }),
                }
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> Result<()> {
        self.socket.send(datagram, 0)?;
        Ok(())
    }

    fn receive(&self) -> Result<Vec<(Header, Vec<u8>)>> {
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            match self.socket.recv(&mut buffer, 0) {
                Ok(_) => return Ok(messages(&buffer)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[derive(Debug)]
struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
}

fn encode(message: &Message, flags: u16, sequence: u32) -> Vec<u8> {
    let length = HEADER + message.body.0.len();
    let mut octets = Vec::with_capacity(length);
    octets.extend((length as u32).to_ne_bytes());
    octets.extend(message.kind.to_ne_bytes());
    octets.extend((message.flags | flags | REQUEST).to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend(0u32.to_ne_bytes());
    octets.extend(&message.body.0);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// The messages of a datagram, by kind.
pub(crate) fn messages_of(datagram: &[u8]) -> impl Iterator<Item = (u16, Vec<u8>)> {
    messages(datagram).into_iter().map(|(header, body)| (header.kind, body))
}

fn messages(mut datagram: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind), Some(flags), Some(sequence)) =
        (u32_at(datagram, 0), u16_at(datagram, 4), u16_at(datagram, 6), u32_at(datagram, 8))
    {
        let length = length as usize;
        let Some(body) = datagram.get(HEADER..length) else { break };
        found.push((Header { kind, flags, sequence }, body.to_vec()));
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Reads an NLMSG_ERROR or NLMSG_DONE: zero is success, anything else `-errno`, with the sentence behind it.
fn acknowledged(header: &Header, body: &[u8]) -> Result<()> {
    const MSG: u16 = 1; // NLMSGERR_ATTR_MSG
    const HAS_ATTRIBUTES: u16 = 0x200; // NLM_F_ACK_TLVS
    const CAPPED: u16 = 0x100; // NLM_F_CAPPED
    let errno = u32_at(body, 0).map_or(libc::EIO, |code| -(code as i32));
    if errno <= 0 {
        return Ok(());
    }
    let echoed = match u32_at(body, 4) {
        _ if header.kind == NLMSG_DONE => 0,
        Some(length) if header.flags & CAPPED == 0 => (length as usize).next_multiple_of(4),
        _ => HEADER,
    };
    let tail = body.get(4 + echoed..).unwrap_or_default();
    let sentence = attributes(tail).find(|(kind, _)| header.flags & HAS_ATTRIBUTES != 0 && *kind == MSG);
    Err(NetlinkError { errno, sentence: sentence.map(|(_, text)| text_of(text)) })
}

/// A message body under construction: the family's fixed header, then attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Starts with the family's fixed header.
    pub fn after(header: &[u8]) -> Attributes {
        Attributes(header.to_vec())
    }

    pub fn put(mut self, kind: u16, value: &[u8]) -> Attributes {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// In the host's byte order, as rtnetlink has its numbers.
    pub fn put_u32(self, kind: u16, value: u32) -> Attributes {
        self.put(kind, &value.to_ne_bytes())
    }

    /// In network byte order, as nf_tables has its numbers.
    pub fn put_be32(self, kind: u16, value: u32) -> Attributes {
        self.put(kind, &value.to_be_bytes())
    }

    /// With the closing zero that the kernel wants.
    pub fn put_text(self, kind: u16, text: &str) -> Attributes {
        self.put(kind, &[text.as_bytes(), &[0]].concat())
    }

    pub fn nest(self, kind: u16, inner: Attributes) -> Attributes {
        self.put(kind | libc::NLA_F_NESTED as u16, &inner.0)
    }
}

/// Walks attributes; one that claims more than is there ends the walk.
pub(crate) fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u16_at(octets, 0)? as usize;
        let kind = u16_at(octets, 2)? & libc::NLA_TYPE_MASK as u16;
        let value = octets.get(4..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(crate) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

/// Text up to its closing zero.
pub(crate) fn text_of(octets: &[u8]) -> String {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    String::from_utf8_lossy(&octets[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let inner = Attributes::default().put_text(1, "bridge");
        let body = Attributes::after(&[7; 4]).put_u32(10, 5).nest(18, inner).put(20, b"abc");
        assert_eq!(body.0.len() % 4, 0);
        let read: Vec<_> = attributes(&body.0[4..]).collect();
        assert_eq!(read[0], (10, &5u32.to_ne_bytes()[..]));
        assert_eq!(
            attributes(read[1].1).map(|(kind, text)| (kind, text_of(text))).next(),
            Some((1, "bridge".to_owned()))
        );
        assert_eq!(read[2], (20, &b"abc"[..]));
    }

    #[test]
    fn attributes_that_lie_about_their_length_end_the_walk() {
        for octets in [&[3u8, 0, 1, 0][..], &[200, 0, 1, 0, 9, 9, 9, 9], &[0; 8], &[4]] {
            assert!(attributes(octets).count() <= 1, "{octets:?}");
        }
    }

    #[test]
    fn refusal_carries_the_kernels_sentence() {
        let mut body = (-libc::EINVAL).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        body.extend(Attributes::default().put_text(1, "Device does not exist.").0);
        let header = Header { kind: NLMSG_ERROR, flags: 0x300, sequence: 1 };
        let error = acknowledged(&header, &body).unwrap_err();
        assert_eq!(error.to_string(), "the kernel says: Device does not exist (Invalid argument (os error 22))");
        assert_eq!(acknowledged(&header, &[0; 20]), Ok(()));
    }
}
