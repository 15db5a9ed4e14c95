//! Octets to a DHCP message and back.

use std::net::Ipv4Addr;

use boot::{Facts, History};
use dhcp::v4::packet::{HEADER_OCTETS, sub_options};
use dhcp::v4::{Draft, MessageType, Owner, Packet, code, options, plan};

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

/// The input: one UDP payload.
pub fn target(octets: &[u8]) {
    let packet = match Packet::parse(octets) {
        Ok(packet) => packet,
        Err(malformed) => return assert!(!malformed.to_string().is_empty()),
    };
    looked_at(&packet);
    options_survive(&packet);
    if let Some(mac) = packet.mac() {
        let facts = Facts::of(&packet, mac, US, History::default());
        assert_eq!(facts.mac, mac);
        facts.firmware();
    }
    for owner in [Owner::Client, Owner::Nobody, Owner::Other, Owner::NotOurs, Owner::WrongNetwork] {
        for authoritative in [false, true] {
            plan(&packet, US, authoritative, |_| owner);
        }
    }
    answers(&packet);
}

/// Every accessor.
fn looked_at(packet: &Packet<'_>) {
    let _ = (packet.op(), packet.htype(), packet.xid(), packet.secs(), packet.wants_broadcast());
    let _ = (packet.ciaddr(), packet.yiaddr(), packet.siaddr(), packet.relay(), packet.message_type());
    assert!(packet.chaddr().len() <= 16 && packet.file().len() <= packet.octets().len());
    assert!(packet.sname().len() <= packet.octets().len());
    assert!(!format!("{packet:?}").is_empty());
    let held: usize = packet.options().map(|(_, data)| data.len() + 2).sum();
    assert!(held <= packet.octets().len() - HEADER_OCTETS + 192, "options are no longer than what they stand in");
    if let Some(damage) = packet.damage() {
        assert!(damage.have < damage.need, "{damage}");
    }
    for (code, data) in packet.options() {
        let whole = packet.option(code).expect("an option that is there");
        assert!(whole.windows(data.len().max(1)).any(|part| part == data) || data.is_empty());
        let _ =
            (packet.u16(code), packet.u32(code), packet.address(code), packet.text(code), options::show(code, &whole));
        let inside: usize = sub_options(&whole).map(|(_, data)| data.len() + 2).sum();
        assert!(inside <= whole.len());
    }
}

/// Written anew, one after the other, the options are the same.
fn options_survive(packet: &Packet<'_>) {
    let mut again = packet.octets()[..HEADER_OCTETS].to_vec();
    for (code, data) in packet.options().filter(|(code, _)| *code != code::OVERLOAD) {
        again.extend([code, data.len() as u8]);
        again.extend_from_slice(data);
    }
    again.push(code::END);
    let again = Packet::parse(&again).expect("the header is the same");
    assert!(again.damage().is_none());
    let kept = packet.options().filter(|(code, _)| *code != code::OVERLOAD);
    assert!(kept.eq(again.options()));
}

/// What we answer is a message that the client can tell to be its own.
fn answers(packet: &Packet<'_>) {
    let offered = Ipv4Addr::new(10, 0, 1, 200);
    let offer = Draft::offer(packet, US, offered, 3600).finish();
    let nak = Draft::nak(packet, US, "no").finish();
    let mut inform = Draft::inform(packet, US);
    for (code, data) in packet.options().filter(|(code, _)| !matches!(*code, 0 | 52..=54 | 255)).take(40) {
        inform.option(code, data);
    }
    inform.boot_file(US, &packet.text(code::BOOTFILE).unwrap_or_default());
    for reply in [offer, nak, inform.finish()] {
        let answer = Packet::parse(&reply.octets).expect("our own message");
        assert_eq!((answer.op(), answer.xid(), answer.chaddr()), (2, packet.xid(), packet.chaddr()));
        assert_eq!(answer.message_type(), Some(reply.kind));
        assert_eq!(answer.address(code::SERVER_ID), Some(US));
        assert!(answer.damage().is_none());
        assert_eq!(answer.yiaddr(), if reply.kind == MessageType::Offer { offered } else { Ipv4Addr::UNSPECIFIED });
        crate::engine::fits(packet, &reply.octets);
    }
}
