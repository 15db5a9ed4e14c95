//! Two answers side by side.

use dhcp::v4::{MessageType, Packet, code};

use crate::wire::Datagram;

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Whether there is an answer, and of which kind.
    Answered,
    /// A field of the header, by its name in RFC 2131, or `cable`, `link`, `to`, `from` for where the answer travels.
    Field(&'static str),
    /// An option by its code: there or not, or its value.
    Option(u8),
    /// The same options in another order.
    Order,
    /// The lease file at the end of the group.
    Leases,
}

/// What differs wherever it comes up, and why.
pub const ALWAYS: &[(What, &str)] = &[
    (What::Option(code::CLIENT_ID), "RFC 6842: a server returns the client identifier"),
    (What::Option(code::MESSAGE), "the reason of a NAK is in our own words"),
    (What::Field("secs"), "RFC 2131 table 3: 0 in every answer"),
    (What::Field("flags of a NAK"), "RFC 2131 table 3: the client's own; only a relay needs to be told to broadcast"),
];

/// One difference, with what the original has and what we have.
#[derive(Debug)]
pub struct Difference {
    pub what: What,
    pub theirs: String,
    pub ours: String,
}

impl Difference {
    pub fn new(what: What, theirs: impl Into<String>, ours: impl Into<String>) -> Difference {
        Difference { what, theirs: theirs.into(), ours: ours.into() }
    }
}

/// Compares the answers to one message.
pub fn answers(theirs: &[Datagram], ours: &[Datagram]) -> Vec<Difference> {
    match (theirs, ours) {
        ([], []) => Vec::new(),
        ([theirs], [ours]) if kind(&theirs.payload) == kind(&ours.payload) => answer(theirs, ours),
        _ => vec![Difference::new(What::Answered, kinds(theirs), kinds(ours))],
    }
}

/// The message types of answers, one behind the other.
pub fn kinds(answers: &[Datagram]) -> String {
    answers.iter().map(|answer| kind(&answer.payload)).collect::<Vec<_>>().join(", ")
}

fn kind(payload: &[u8]) -> String {
    let packet = Packet::parse_any(payload).expect("a DHCP message");
    packet.message_type().map_or("BOOTREPLY".into(), |kind| kind.to_string())
}

fn answer(theirs: &Datagram, ours: &Datagram) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |what, theirs: String, ours: String| {
        if theirs != ours {
            found.push(Difference { what, theirs, ours });
        }
    };
    for ((name, theirs), (_, ours)) in fields(theirs).into_iter().zip(fields(ours)) {
        compare(What::Field(name), theirs, ours);
    }
    let (theirs, ours) = (options(&theirs.payload), options(&ours.payload));
    let mut codes: Vec<u8> = theirs.iter().chain(&ours).map(|(code, _)| *code).collect();
    codes.sort_unstable();
    codes.dedup();
    let values = |all: &[(u8, Vec<u8>)], code| {
        all.iter().filter(|option| option.0 == code).map(|(_, data)| hex(data)).collect::<Vec<_>>().join(" and ")
    };
    let there = |all: &[(u8, Vec<u8>)], code| all.iter().filter(|option| option.0 == code).count();
    for code in codes.iter().copied() {
        let value = |all| format!("{} times: {}", there(all, code), values(all, code));
        compare(What::Option(code), value(&theirs), value(&ours));
    }
    // The order of those that both have.
    let order = |all: &[(u8, Vec<u8>)], other: &[(u8, Vec<u8>)]| {
        let both = all.iter().map(|(code, _)| *code).filter(|code| there(other, *code) > 0);
        format!("{:?}", both.collect::<Vec<_>>())
    };
    compare(What::Order, order(&theirs, &ours), order(&ours, &theirs));
    found
}

fn fields(answer: &Datagram) -> Vec<(&'static str, String)> {
    let octets = &answer.payload;
    let packet = Packet::parse_any(octets).expect("a DHCP message");
    let is_nak = packet.message_type() == Some(MessageType::Nak);
    let text = |field: &[u8]| String::from_utf8_lossy(field.split(|octet| *octet == 0).next().unwrap()).into_owned();
    vec![
        ("cable", answer.cable.clone()),
        ("link", answer.mac.to_string()),
        ("from", format!("{:?}", answer.from)),
        ("to", format!("{:?}", answer.to)),
        ("op", octets[0].to_string()),
        ("htype", octets[1].to_string()),
        ("hlen", octets[2].to_string()),
        ("hops", octets[3].to_string()),
        ("secs", packet.secs().to_string()),
        (if is_nak { "flags of a NAK" } else { "flags" }, format!("{:#06x}", packet.flags())),
        ("ciaddr", packet.ciaddr().to_string()),
        ("yiaddr", packet.yiaddr().to_string()),
        ("siaddr", packet.siaddr().to_string()),
        ("giaddr", packet.giaddr().to_string()),
        ("chaddr", hex(&octets[28..44])),
        ("sname", text(&octets[44..108])),
        ("file", text(&octets[108..236])),
        ("cookie", hex(&octets[236..240])),
    ]
}

fn options(octets: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let packet = Packet::parse_any(octets).expect("a DHCP message");
    packet.options().map(|(code, data)| (code, data.to_vec())).collect()
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|octet| format!("{octet:02x}")).collect()
}
