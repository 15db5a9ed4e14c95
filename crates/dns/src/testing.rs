//! What tests of several modules share.

use domain::base::Message;
use domain::rdata::AllRecordData;

use crate::query::Edns;
use crate::{Answer, Asked, Data, Limits, Name, Rcode, Reply, Rtype, Section, Transport};

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A question in wire form, class IN.
pub fn question(name: &Name, kind: Rtype) -> Vec<u8> {
    [name.as_wire(), &kind.to_int().to_be_bytes(), &[0, 1]].concat()
}

/// A client that writes the first letter large.
pub fn asked(text: &str, kind: Rtype, edns: Option<Edns>) -> Asked<Box<[u8]>> {
    let mut octets = question(&name(text), kind);
    octets[1] = octets[1].to_ascii_uppercase();
    Asked {
        id: 7,
        question: octets.into(),
        recursion_desired: true,
        authentic_data: false,
        checking_disabled: false,
        edns,
    }
}

/// A kept answer to a question about `text`, with records of 300 seconds.
pub fn answer(text: &str, kind: Rtype, code: Rcode, said: &[(Section, &str, Data)]) -> Answer {
    let mut asked = asked("x", kind, None);
    asked.question = question(&name(text), kind).into();
    (asked.id, asked.recursion_desired) = (0, false);
    let mut octets = Vec::new();
    let mut reply = Reply::start(&asked, &Limits { transport: Transport::Tcp, payload: 0 }, &mut octets);
    reply.code(code);
    for (section, owner, data) in said {
        reply.push(*section, &name(owner), data, 300);
    }
    reply.finish();
    Answer::new(octets)
}

/// A reply as text: flags and counts, then each record.
pub fn text(octets: &[u8]) -> String {
    let message = Message::from_octets(octets).unwrap();
    let (header, counts) = (message.header(), message.header_counts());
    let mut text = format!("{} {} {:?}", message.sole_question().unwrap().qname(), header.rcode(), header.flags());
    for record in message.iter() {
        let (record, _) = record.unwrap();
        let record = record.into_any_record::<AllRecordData<_, _>>().unwrap();
        text += &format!("\n{} {} {} {}", record.owner(), record.ttl().as_secs(), record.rtype(), record.data());
    }
    assert_eq!(usize::from(counts.ancount() + counts.nscount() + counts.arcount()), text.lines().count() - 1);
    text
}

/// The records of a reply by section, each as `NAME TTL TYPE DATA`.
pub fn records(octets: &[u8]) -> [Vec<String>; 3] {
    let message = Message::from_octets(octets).unwrap();
    let counts = message.header_counts();
    let text = text(octets);
    let mut lines = text.lines().skip(1).map(str::to_string);
    [counts.ancount(), counts.nscount(), counts.arcount()].map(|count| lines.by_ref().take(count.into()).collect())
}
