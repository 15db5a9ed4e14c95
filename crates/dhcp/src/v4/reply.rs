//! Draft and lease in, octets and where they go out.

use std::net::{Ipv4Addr, SocketAddrV4};

use mac::Mac;

use super::layout::{Layout, Spare, put, taken_apart};
use super::options::code;
use super::packet::{BROADCAST, COOKIE, HEADER_OCTETS, MessageType, Packet};
use crate::Granted;

/// BOOTP's fixed size (RFC 951 section 3); some clients drop anything shorter.
const MIN_OCTETS: usize = 300;
/// Most answers are not longer.
const USUAL_OCTETS: usize = 448;
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// Where the options begin that follow message type and server identifier.
const BEHIND_SERVER_ID: usize = HEADER_OCTETS + 3 + 6;
/// Where the header fields for names begin.
const SNAME: usize = 44;
const FILE: usize = 108;

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the relay that passed the request on.
    Relay(SocketAddrV4),
    /// To a client that has this address and answers ARP.
    Unicast(SocketAddrV4),
    /// To 255.255.255.255 on the link that the request came from.
    Broadcast,
    /// To `address` in a frame addressed to `mac`: the client does not answer ARP yet.
    Hardware { mac: Mac, address: Ipv4Addr },
}

/// What of a request decides where its reply goes.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    relay: Option<Ipv4Addr>,
    ciaddr: Ipv4Addr,
    mac: Option<Mac>,
    wants_broadcast: bool,
}

impl Origin {
    pub fn of(request: &Packet<'_>) -> Origin {
        let is_discover = request.message_type() == Some(MessageType::Discover);
        Origin {
            relay: request.relay(),
            // Some clients fill it in although they have no address yet.
            ciaddr: if is_discover { Ipv4Addr::UNSPECIFIED } else { request.ciaddr() },
            mac: request.mac(),
            wants_broadcast: request.wants_broadcast(),
        }
    }

    /// For a relay that hands a server's answer to the machine itself.
    pub fn without_relay(self) -> Origin {
        Origin { relay: None, ..self }
    }

    /// The one place that knows where replies go, for every message type and mode.
    pub fn destination(&self, kind: MessageType, yiaddr: Ipv4Addr) -> Destination {
        if let Some(relay) = self.relay {
            return Destination::Relay(SocketAddrV4::new(relay, SERVER_PORT));
        }
        // A NAK goes to everyone: whatever address the client believes in is wrong.
        if kind == MessageType::Nak {
            return Destination::Broadcast;
        }
        if !self.ciaddr.is_unspecified() {
            return Destination::Unicast(SocketAddrV4::new(self.ciaddr, CLIENT_PORT));
        }
        match self.mac {
            Some(mac) if !self.wants_broadcast && !yiaddr.is_unspecified() => {
                Destination::Hardware { mac, address: yiaddr }
            }
            _ => Destination::Broadcast,
        }
    }
}

/// A finished message and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// That of an answer to BOOTP, which has none, counts as an acknowledgement.
    pub kind: MessageType,
    pub octets: Vec<u8>,
    pub to: Destination,
}

/// A reply in the making. What a request obliges us to copy is copied (RFC 2131 table 3).
#[derive(Clone, Debug)]
pub struct Draft {
    kind: MessageType,
    /// Header and options, as they are to be sent.
    octets: Vec<u8>,
    yiaddr: Ipv4Addr,
    /// Options that close the message: client identifier (RFC 6842) and, very last, relay information (RFC 3046).
    echoed: Vec<u8>,
    origin: Origin,
    /// Octets of a message that the client is ready to receive.
    most_octets: usize,
    /// Seconds that a lease lasts. `None`: there is none, or it is BOOTP's.
    lease_secs: Option<u32>,
    /// T1 and T2, in seconds, where they are not what RFC 2131 says.
    renewal: Option<(u32, u32)>,
    /// Whether `file` and `sname` may hold options that fit nowhere else.
    may_overload: bool,
    is_bootp: bool,
}

impl Draft {
    /// An offer of `address` for `lease_secs`.
    pub fn offer(request: &Packet<'_>, server_id: Ipv4Addr, address: Ipv4Addr, lease_secs: u32) -> Draft {
        let mut draft = Draft::new(request, MessageType::Offer, server_id, address);
        draft.lease_secs = Some(lease_secs);
        draft
    }

    /// A refusal. `because` reaches the client's log as option 56.
    pub fn nak(request: &Packet<'_>, server_id: Ipv4Addr, because: &str) -> Draft {
        let mut draft = Draft::new(request, MessageType::Nak, server_id, Ipv4Addr::UNSPECIFIED);
        draft.option(code::MESSAGE, because.as_bytes());
        draft
    }

    /// The answer to a DHCPINFORM: no address, no lease time (RFC 2131 section 4.3.5).
    pub fn inform(request: &Packet<'_>, server_id: Ipv4Addr) -> Draft {
        Draft::new(request, MessageType::Ack, server_id, Ipv4Addr::UNSPECIFIED)
    }

    /// What is to be booted, beside the offers of the server that gives out addresses (PXE 2.1 section 2.2.3). Broadcast
    /// to a client that has no address yet, whatever it puts into `ciaddr`.
    pub fn proxy(request: &Packet<'_>, kind: MessageType, server_id: Ipv4Addr) -> Draft {
        let mut draft = Draft::new(request, kind, server_id, Ipv4Addr::UNSPECIFIED);
        let is_new = kind == MessageType::Offer || request.address(code::REQUESTED_ADDRESS).is_some();
        if is_new || request.ciaddr().is_unspecified() {
            draft.octets[10] |= BROADCAST.to_be_bytes()[0];
            draft.octets[12..16].fill(0);
            draft.origin.ciaddr = Ipv4Addr::UNSPECIFIED;
        }
        draft
    }

    /// A boot server's acknowledgement to a client that has an address (PXE 2.1 section 2.2.5): here it stands in `yiaddr`.
    pub fn boot_server(request: &Packet<'_>, server_id: Ipv4Addr) -> Draft {
        let mut draft = Draft::new(request, MessageType::Ack, server_id, request.ciaddr());
        draft.octets[12..16].fill(0);
        draft.origin.ciaddr = Ipv4Addr::UNSPECIFIED;
        draft
    }

    fn new(request: &Packet<'_>, kind: MessageType, server_id: Ipv4Addr, yiaddr: Ipv4Addr) -> Draft {
        let mut header = Vec::with_capacity(USUAL_OCTETS);
        header.resize(HEADER_OCTETS, 0);
        let source = request.octets();
        header[0] = 2;
        header[1..3].copy_from_slice(&source[1..3]);
        header[4..8].copy_from_slice(&source[4..8]); // xid
        header[10..12].copy_from_slice(&source[10..12]); // flags
        header[24..44].copy_from_slice(&source[24..44]); // giaddr, chaddr
        header[236..240].copy_from_slice(&COOKIE);
        if kind == MessageType::Ack {
            header[12..16].copy_from_slice(&source[12..16]); // ciaddr
        }
        if kind == MessageType::Nak && request.relay().is_some() {
            // The relay must not unicast it to an address that is wrong (RFC 2131 section 4.3.2).
            header[10] |= BROADCAST.to_be_bytes()[0];
        }
        // Neither is longer than one option holds (RFC 2132 section 9.14, RFC 3046 section 2.0). What is, was made up to
        // get long answers.
        let whole = |code| request.option(code).filter(|data| (1..=255).contains(&data.len()));
        let mut echoed = Vec::new();
        for code in [code::CLIENT_ID, code::RELAY_AGENT] {
            whole(code).into_iter().for_each(|data| put(&mut echoed, code, &data));
        }
        let mut octets = header;
        put(&mut octets, code::MESSAGE_TYPE, &[kind as u8]);
        put(&mut octets, code::SERVER_ID, &server_id.octets());
        Draft {
            kind,
            octets,
            yiaddr,
            echoed,
            origin: Origin::of(request),
            most_octets: most_octets(request),
            lease_secs: None,
            renewal: None,
            // Those who name no options that they want are old: they would not look there.
            may_overload: request.option(code::PARAMETER_REQUEST_LIST).is_some(),
            is_bootp: false,
        }
    }

    /// Adds an option. Longer values than 255 octets are split (RFC 3396); an empty one is left out.
    pub fn option(&mut self, code: u8, data: &[u8]) -> &mut Draft {
        if !data.is_empty() {
            put(&mut self.octets, code, data);
        }
        self
    }

    /// Adds an option even when its value is empty, as some rules want it.
    pub fn raw_option(&mut self, code: u8, data: &[u8]) -> &mut Draft {
        put(&mut self.octets, code, data);
        self
    }

    /// Fills `siaddr`, `sname` (63 octets at most) and `file` (127), and no option.
    pub fn fields(&mut self, next_server: Ipv4Addr, sname: &[u8], file: &[u8]) -> &mut Draft {
        self.octets[20..24].copy_from_slice(&next_server.octets());
        let (sname, file) = (&sname[..sname.len().min(63)], &file[..file.len().min(127)]);
        self.octets[44..44 + sname.len()].copy_from_slice(sname);
        self.octets[108..108 + file.len()].copy_from_slice(file);
        self
    }

    /// Names the boot file in every place that some firmware reads: `siaddr` and 66, `file` and 67. A name longer than
    /// the 127 octets of `file` goes into option 67 alone.
    pub fn boot_file(&mut self, server: Ipv4Addr, name: &str) -> &mut Draft {
        self.octets[20..24].copy_from_slice(&server.octets());
        let sname = server.to_string();
        self.octets[44..44 + sname.len()].copy_from_slice(sname.as_bytes());
        if name.len() < 128 {
            self.octets[108..108 + name.len()].copy_from_slice(name.as_bytes());
        }
        self.option(code::TFTP_SERVER_NAME, sname.as_bytes()).option(code::BOOTFILE, name.as_bytes())
    }

    /// T1 and T2 (options 58 and 59), in seconds, in place of a half and seven eighths of the lease.
    pub fn renewal(&mut self, t1: u32, t2: u32) -> &mut Draft {
        self.renewal = Some((t1, t2));
        self
    }

    /// The answer goes to everyone and says so in its flags, as if the client had asked for that.
    pub fn broadcast(&mut self) -> &mut Draft {
        self.octets[10] |= BROADCAST.to_be_bytes()[0];
        self.origin.wants_broadcast = true;
        self
    }

    /// Keeps options out of `file` and `sname`, come what may.
    pub fn no_overload(&mut self) -> &mut Draft {
        self.may_overload = false;
        self
    }

    /// Lease time, T1 and T2 (RFC 2131 section 4.4.5).
    fn put_lease_times(&mut self) {
        let Some(lease_secs) = self.lease_secs else { return };
        // A lease that turned out shorter than was laid down has times of its own.
        let laid_down = self.renewal.filter(|(_, t2)| *t2 <= lease_secs);
        let (t1, t2) = laid_down.unwrap_or((lease_secs / 2, (u64::from(lease_secs) * 7 / 8) as u32));
        let all = [(code::LEASE_TIME, lease_secs), (code::RENEWAL_TIME, t1), (code::REBINDING_TIME, t2)];
        let count = if lease_secs == u32::MAX { 1 } else { all.len() };
        let times = all.map(|(code, secs)| {
            let [a, b, c, d] = secs.to_be_bytes();
            [code, 4, a, b, c, d]
        });
        // Right behind message type and server identifier, where old ROMs look for them.
        self.octets.splice(BEHIND_SERVER_ID..BEHIND_SERVER_ID, times[..count].as_flattened().iter().copied());
    }

    /// The octets, padded to BOOTP's size. Not for a DHCPACK of a lease: see [`AckDraft::finish`].
    ///
    /// A message that is longer than the client takes goes without the second copies of what `sname` and `file` hold.
    /// What still does not fit goes into those fields if they are free (option 52), or is left out.
    pub fn finish(mut self) -> Reply {
        self.put_lease_times();
        let room = self.most_octets.saturating_sub(HEADER_OCTETS + self.echoed.len() + 1);
        if self.octets.len() - HEADER_OCTETS > room {
            self.squeeze(room);
        }
        let Draft { kind, mut octets, yiaddr, echoed, origin, .. } = self;
        octets[16..20].copy_from_slice(&yiaddr.octets());
        octets.extend_from_slice(&echoed);
        octets.push(code::END);
        // Padding goes behind End, never between options: some ROMs misread that.
        octets.resize(octets.len().max(MIN_OCTETS), code::PAD);
        Reply { kind, octets, to: origin.destination(kind, yiaddr) }
    }

    /// Lays out again what is longer than `room`.
    fn squeeze(&mut self, room: usize) {
        let mut options = taken_apart(&self.octets.split_off(HEADER_OCTETS));
        let (file_is_there, sname_is_there) = (self.octets[FILE] != 0, self.octets[SNAME] != 0);
        options.retain(|(code, _)| match *code {
            code::TFTP_SERVER_NAME => !sname_is_there,
            code::BOOTFILE => !file_is_there,
            _ => true,
        });
        let mut whole = Vec::new();
        options.iter().for_each(|(code, data)| put(&mut whole, *code, data));
        if whole.len() <= room {
            return self.octets.append(&mut whole);
        }
        let spare = Spare { file: self.may_overload && !file_is_there, sname: self.may_overload && !sname_is_there };
        let mut layout = Layout::fit(&options, room, spare);
        for (at, field) in [(FILE, layout.file), (SNAME, layout.sname)] {
            if let Some(mut field) = field {
                field.push(code::END);
                self.octets[at..at + field.len()].copy_from_slice(&field);
            }
        }
        self.octets.append(&mut layout.options);
    }
}

/// What a client takes (option 57 counts the IP and UDP headers too, RFC 2132 section 9.10); 576 where it says nothing
/// or too little. Never more than an Ethernet frame holds: what goes to a client without an address is one frame, and few
/// ROMs put fragments together.
fn most_octets(request: &Packet<'_>) -> usize {
    const HEADERS: usize = 28;
    usize::from(request.u16(code::MAX_MESSAGE_SIZE).unwrap_or(576).clamp(576, 1500)) - HEADERS
}

/// A DHCPACK that lacks its lease. There is no way to its octets but [`AckDraft::finish`], which asks for one.
#[derive(Clone, Debug)]
pub struct AckDraft(Draft);

impl AckDraft {
    pub fn new(request: &Packet<'_>, server_id: Ipv4Addr) -> AckDraft {
        AckDraft(Draft::new(request, MessageType::Ack, server_id, Ipv4Addr::UNSPECIFIED))
    }

    /// The answer to a BOOTP request (RFC 951, RFC 1534): no message type, no server, no lease time, and no more options
    /// than its vendor area of 64 octets holds.
    pub fn bootp(request: &Packet<'_>) -> AckDraft {
        let mut draft = Draft::new(request, MessageType::Ack, Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
        draft.octets.truncate(HEADER_OCTETS);
        draft.echoed.clear();
        draft.most_octets = MIN_OCTETS;
        draft.may_overload = false;
        draft.is_bootp = true;
        AckDraft(draft)
    }

    pub fn option(&mut self, code: u8, data: &[u8]) -> &mut AckDraft {
        self.0.option(code, data);
        self
    }

    /// See [`Draft::boot_file`].
    pub fn boot_file(&mut self, server: Ipv4Addr, name: &str) -> &mut AckDraft {
        self.0.boot_file(server, name);
        self
    }

    /// The draft, to be filled.
    pub fn draft(&mut self) -> &mut Draft {
        &mut self.0
    }

    /// The refusal of what was to be acknowledged; see [`Draft::nak`].
    pub fn refuse(self, server_id: Ipv4Addr, because: &str) -> Reply {
        let mut draft = self.0;
        draft.kind = MessageType::Nak;
        draft.octets.truncate(HEADER_OCTETS);
        draft.octets[12..24].fill(0); // ciaddr, yiaddr, siaddr
        draft.octets[SNAME..HEADER_OCTETS - COOKIE.len()].fill(0);
        if draft.origin.relay.is_some() {
            // The relay must not unicast it to an address that is wrong (RFC 2131 section 4.3.2).
            draft.octets[10] |= BROADCAST.to_be_bytes()[0];
        }
        put(&mut draft.octets, code::MESSAGE_TYPE, &[MessageType::Nak as u8]);
        put(&mut draft.octets, code::SERVER_ID, &server_id.octets());
        put(&mut draft.octets, code::MESSAGE, because.as_bytes());
        draft.lease_secs = None;
        draft.finish()
    }

    /// Acknowledges a lease that is durable: only then is there a [`Granted`].
    pub fn finish(mut self, lease: &impl Granted) -> Reply {
        self.0.yiaddr = lease.address();
        self.0.lease_secs = Some(lease.lease_secs()).filter(|_| !self.0.is_bootp);
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::tests::request;
    use super::*;

    const US: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
    const YOURS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 200);
    const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    struct Lease;
    impl Granted for Lease {
        fn address(&self) -> Ipv4Addr {
            YOURS
        }
        fn lease_secs(&self) -> u32 {
            3600
        }
    }

    fn to(change: impl Fn(&mut Vec<u8>), kind: MessageType, yiaddr: Ipv4Addr) -> Destination {
        let mut octets = request(&[(53, &[3])]);
        change(&mut octets);
        Origin::of(&Packet::parse(&octets).unwrap()).destination(kind, yiaddr)
    }

    #[test]
    fn replies_go_where_rfc_2131_says() {
        use MessageType::{Ack, Nak, Offer};
        let relay = Ipv4Addr::new(10, 0, 9, 1);
        let relayed = |octets: &mut Vec<u8>| octets[24..28].copy_from_slice(&relay.octets());
        let configured = |octets: &mut Vec<u8>| octets[12..16].copy_from_slice(&YOURS.octets());
        let broadcast = |octets: &mut Vec<u8>| octets[10] = 0x80;
        let plain = |_: &mut Vec<u8>| ();
        assert_eq!(to(plain, Offer, YOURS), Destination::Hardware { mac: MAC, address: YOURS });
        assert_eq!(to(broadcast, Offer, YOURS), Destination::Broadcast);
        assert_eq!(to(configured, Ack, YOURS), Destination::Unicast(SocketAddrV4::new(YOURS, 68)));
        for kind in [Offer, Ack, Nak] {
            assert_eq!(to(relayed, kind, YOURS), Destination::Relay(SocketAddrV4::new(relay, 67)));
        }
    }

    #[test]
    fn nak_without_relay_is_broadcast() {
        let configured = |octets: &mut Vec<u8>| octets[12..16].copy_from_slice(&YOURS.octets());
        assert_eq!(to(configured, MessageType::Nak, Ipv4Addr::UNSPECIFIED), Destination::Broadcast);
    }

    #[test]
    fn relayed_nak_sets_the_broadcast_bit() {
        let mut octets = request(&[(53, &[3])]);
        octets[24..28].copy_from_slice(&[10, 0, 9, 1]);
        let reply = Draft::nak(&Packet::parse(&octets).unwrap(), US, "gone").finish();
        assert!(Packet::parse(&reply.octets).unwrap().wants_broadcast());
    }

    #[test]
    fn an_ack_carries_its_lease_and_echoes_what_must_be_echoed() {
        let octets = request(&[(53, &[3]), (61, &[1, 2, 3]), (82, &[1, 2, 7, 7]), (12, b"x")]);
        let mut draft = AckDraft::new(&Packet::parse(&octets).unwrap(), US);
        draft.option(code::SUBNET_MASK, &[255, 255, 255, 0]).boot_file(US, "pxelinux.0");
        let reply = draft.finish(&Lease);
        let packet = Packet::parse(&reply.octets).unwrap();
        let codes: Vec<u8> = packet.options().map(|(code, _)| code).collect();
        assert_eq!(codes, [53, 54, 51, 58, 59, 1, 66, 67, 61, 82]);
        assert_eq!((packet.yiaddr(), packet.siaddr(), packet.xid()), (YOURS, US, 0x1234_5678));
        assert_eq!((packet.u32(51), packet.u32(58), packet.u32(59)), (Some(3600), Some(1800), Some(3150)));
        assert_eq!(packet.option(82).unwrap().as_ref(), [1, 2, 7, 7]);
        assert_eq!(&reply.octets[108..119], b"pxelinux.0\0");
        assert_eq!(reply.to, Destination::Hardware { mac: MAC, address: YOURS });
    }

    #[test]
    fn what_cannot_be_acknowledged_is_refused_as_if_nothing_had_been_drafted() {
        let relayed = |octets: &mut Vec<u8>| octets[24..28].copy_from_slice(&[10, 0, 9, 1]);
        let renewing = |octets: &mut Vec<u8>| octets[12..16].copy_from_slice(&YOURS.octets());
        let plain = |_: &mut Vec<u8>| ();
        for change in [plain, relayed, renewing] {
            let mut octets = request(&[(53, &[3]), (61, &[1, 2, 3]), (82, &[1, 2, 7, 7]), (55, &[1, 3])]);
            change(&mut octets);
            let packet = Packet::parse(&octets).unwrap();
            let mut draft = AckDraft::new(&packet, US);
            draft.option(code::SUBNET_MASK, &[255, 255, 255, 0]).boot_file(US, "pxelinux.0");
            draft.draft().renewal(10, 20);
            assert_eq!(draft.refuse(US, "taken"), Draft::nak(&packet, US, "taken").finish());
        }
    }

    #[test]
    fn short_replies_are_padded_behind_end() {
        let octets = request(&[(53, &[3])]);
        let reply = Draft::nak(&Packet::parse(&octets).unwrap(), US, "gone").finish();
        assert_eq!(reply.octets.len(), 300);
        let end = reply.octets.iter().rposition(|octet| *octet != 0).unwrap();
        assert_eq!(reply.octets[end], code::END);
    }

    #[test]
    fn a_reply_longer_than_the_client_takes_names_the_boot_file_once() {
        let name = "x".repeat(120);
        let long = [7; 200];
        for (asked, codes) in [(None, [66, 67].as_slice()), (Some([2, 64]), &[])] {
            let mut options: Vec<(u8, &[u8])> = vec![(53, &[1]), (61, &long[..100])];
            options.extend(asked.as_ref().map(|size| (57, size.as_slice())));
            if asked.is_some() {
                options.push((82, &long));
            }
            let octets = request(&options);
            let mut draft = Draft::offer(&Packet::parse(&octets).unwrap(), US, YOURS, 60);
            draft.boot_file(US, &name);
            let reply = draft.finish();
            let packet = Packet::parse(&reply.octets).unwrap();
            let named: Vec<u8> =
                packet.options().map(|(code, _)| code).filter(|code| [66, 67].contains(code)).collect();
            assert_eq!(named, codes);
            assert_eq!(packet.file().as_ref(), name.as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_what_fits_behind_it_is_not() {
        let octets = request(&[(53, &[1]), (61, &[1, 2, 3])]);
        let mut draft = Draft::offer(&Packet::parse(&octets).unwrap(), US, YOURS, 60);
        draft.option(224, &[7; 200]).option(225, &[7; 200]).option(3, &US.octets());
        let reply = draft.finish();
        let codes: Vec<u8> = Packet::parse(&reply.octets).unwrap().options().map(|(code, _)| code).collect();
        assert_eq!(codes, [53, 54, 51, 58, 59, 224, 3, 61]);
        assert!(reply.octets.len() <= 548);
    }

    #[test]
    fn no_identifier_is_so_long_that_its_copy_makes_an_answer_too_long_for_a_frame() {
        let octets = [7; 255];
        let most = request(&[(53, &[1]), (61, &octets), (82, &octets)]);
        let mut draft = Draft::offer(&Packet::parse(&most).unwrap(), US, YOURS, 60);
        draft.option(15, &[7; 200]);
        let reply = draft.finish();
        let answer = Packet::parse(&reply.octets).unwrap();
        assert_eq!((answer.option(61).unwrap().len(), answer.option(82).unwrap().len()), (255, 255));
        assert_eq!((answer.u32(51), answer.option(15), answer.option(59)), (Some(60), None, None));
        let more = request(&[(53, &[1]), (57, &[255; 2]), (61, &octets), (82, &octets), (61, &[1]), (82, &[1])]);
        let mut draft = Draft::offer(&Packet::parse(&more).unwrap(), US, YOURS, 60);
        for code in 200..220 {
            draft.option(code, &octets);
        }
        let reply = draft.finish();
        let answer = Packet::parse(&reply.octets).unwrap();
        assert_eq!((answer.option(61), answer.option(82)), (None, None));
        assert!(answer.option(200).is_some() && reply.octets.len() <= 1500 - 28, "{}", reply.octets.len());
    }

    #[test]
    fn a_long_boot_file_name_goes_into_option_67_alone() {
        let url = format!("http://10.0.1.1/{}", "x".repeat(300));
        let octets = request(&[(53, &[1])]);
        let mut draft = Draft::offer(&Packet::parse(&octets).unwrap(), US, YOURS, 60);
        draft.boot_file(US, &url);
        let reply = draft.finish();
        assert_eq!(reply.octets[108], 0);
        assert_eq!(Packet::parse(&reply.octets).unwrap().text(67).unwrap(), url);
        assert_eq!(Packet::parse(&reply.octets).unwrap().message_type(), Some(MessageType::Offer));
    }
}
