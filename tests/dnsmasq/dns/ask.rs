//! What a client asks, and what it hears.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::message::{AD, CD, Edns, Maker, Message, RD, hex, kind, name};

/// A client's message, and how it travels.
#[derive(Clone, Debug)]
pub struct Ask {
    name: Vec<u8>,
    kind: u16,
    class: u16,
    flags: u16,
    edns: Option<Edns>,
    /// Instead of all that: octets behind the id.
    raw: Option<Vec<u8>>,
    pub tcp: bool,
    /// Of a program on the server's own computer.
    pub at_home: bool,
    pub from: Option<IpAddr>,
    pub to: Option<IpAddr>,
    pub port: Option<u16>,
}

/// `www.example.net A`, recursion desired.
pub fn ask(question: &str) -> Ask {
    let (text, wanted) = question.rsplit_once(' ').expect("a name and a type");
    Ask {
        name: name(text),
        kind: kind(wanted),
        class: 1,
        flags: RD,
        edns: None,
        raw: None,
        tcp: false,
        at_home: false,
        from: None,
        to: None,
        port: None,
    }
}

/// The address as `dig -x` asks for it.
pub fn ask_name_of(address: &str) -> Ask {
    let name = match address.parse().expect("an address") {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    };
    ask(&format!("{name} PTR"))
}

/// These octets behind an id.
pub fn ask_raw(octets: &[u8]) -> Ask {
    Ask { raw: Some(octets.to_vec()), ..ask(". A") }
}

impl Ask {
    pub fn tcp(mut self) -> Ask {
        self.tcp = true;
        self
    }

    pub fn at_home(mut self) -> Ask {
        self.at_home = true;
        self
    }

    /// With EDNS, taking so many octets over UDP.
    pub fn edns(mut self, size: u16) -> Ask {
        self.edns = Some(Edns { size, version: 0, dnssec_ok: false, options: Vec::new() });
        self
    }

    fn change_edns(mut self, change: impl FnOnce(&mut Edns)) -> Ask {
        let edns = Edns { size: 1232, version: 0, dnssec_ok: false, options: Vec::new() };
        change(self.edns.get_or_insert(edns));
        self
    }

    /// The DO bit.
    pub fn dnssec_ok(self) -> Ask {
        self.change_edns(|edns| edns.dnssec_ok = true)
    }

    pub fn version(self, version: u8) -> Ask {
        self.change_edns(|edns| edns.version = version)
    }

    pub fn option(self, code: u16, data: &[u8]) -> Ask {
        self.change_edns(|edns| edns.options.push((code, data.to_vec())))
    }

    /// Checking disabled (CD).
    pub fn unchecked(self) -> Ask {
        let flags = self.flags | CD;
        self.flags(flags)
    }

    /// The AD bit: whether the answer is authentic is of interest (RFC 6840 section 5.7).
    pub fn authentic(self) -> Ask {
        let flags = self.flags | AD;
        self.flags(flags)
    }

    pub fn no_recursion(self) -> Ask {
        let flags = self.flags & !RD;
        self.flags(flags)
    }

    /// These bits of the header's second sixteen, and no others.
    pub fn flags(mut self, flags: u16) -> Ask {
        self.flags = flags;
        self
    }

    pub fn class(mut self, class: u16) -> Ask {
        self.class = class;
        self
    }

    pub fn from(mut self, address: &str) -> Ask {
        self.from = Some(address.parse().expect("an address"));
        self
    }

    /// Of the server's.
    pub fn to(mut self, address: &str) -> Ask {
        self.to = Some(address.parse().expect("an address"));
        self
    }

    pub fn port(mut self, port: u16) -> Ask {
        self.port = Some(port);
        self
    }

    pub fn octets(&self, id: u16) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return [&id.to_be_bytes()[..], raw].concat();
        }
        let made = Maker::new(id, self.flags).question(&self.name, self.kind, self.class);
        self.edns.iter().fold(made, |made, edns| made.edns(edns, 0)).0
    }
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Message(Message),
    Malformed(String),
    Silence,
    /// Nobody listens.
    Refused,
    /// The connection is closed.
    HungUp,
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Heard::Message(message) => message.fmt(f),
            Heard::Malformed(why) => write!(f, "a malformed answer: {why}"),
            Heard::Silence => f.write_str("silence"),
            Heard::Refused => f.write_str("nobody listens"),
            Heard::HungUp => f.write_str("hangs up"),
        }
    }
}

impl Heard {
    fn read(octets: &[u8], id: u16) -> Heard {
        match Message::parse(octets) {
            Ok(message) if message.id != id => Heard::Malformed("another id".to_owned()),
            Ok(message) => Heard::Message(message),
            Err(why) => Heard::Malformed(format!("{why}: {}", hex(octets))),
        }
    }
}

/// How long a client waits, and how often it asks again meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub each: Duration,
    pub tries: u32,
}

/// Runs in the client's network. Gives also how often it was asked.
pub fn hear(ask: &Ask, id: u16, to: SocketAddr, patience: Patience) -> (Heard, u32) {
    let octets = ask.octets(id);
    let from = ask.from.unwrap_or(if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from([0u16; 8]) });
    match ask.tcp {
        true => (over_tcp(&octets, id, to, patience.each * patience.tries), 1),
        false => over_udp(&octets, id, (from, 0).into(), to, patience),
    }
}

fn over_udp(octets: &[u8], id: u16, from: SocketAddr, to: SocketAddr, patience: Patience) -> (Heard, u32) {
    let socket = UdpSocket::bind(from).expect("a free port");
    socket.connect(to).expect("a route");
    socket.set_read_timeout(Some(patience.each)).expect("not zero");
    let mut buffer = [0; 65535];
    for tries in 1..=patience.tries {
        if socket.send(octets).is_err() {
            return (Heard::Refused, tries);
        }
        match heard(|| socket.recv(&mut buffer)) {
            Ok(count) => return (Heard::read(&buffer[..count], id), tries),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return (Heard::Refused, tries),
        }
    }
    (Heard::Silence, patience.tries)
}

/// Goes on listening where whoever runs the tests had paused them.
fn heard(mut listen: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match listen() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn over_tcp(octets: &[u8], id: u16, to: SocketAddr, patience: Duration) -> Heard {
    let Ok(mut stream) = TcpStream::connect_timeout(&to, patience) else { return Heard::Refused };
    stream.set_read_timeout(Some(patience)).expect("not zero");
    let whole = [&(octets.len() as u16).to_be_bytes()[..], octets].concat();
    let mut read = || {
        stream.write_all(&whole)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message)?;
        Ok::<_, std::io::Error>(message)
    };
    match read() {
        Ok(message) => Heard::read(&message, id),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Heard::Silence,
        Err(_) => Heard::HungUp,
    }
}
