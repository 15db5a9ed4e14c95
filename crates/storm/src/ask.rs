//! A DHCP exchange as firmware and iPXE have it: DISCOVER, OFFER, REQUEST, ACK, each question asked again when no answer
//! comes. No socket and no clock.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code};
use mac::Mac;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Firmware,
    Ipxe,
}

impl Stage {
    /// How long each try waits for an answer, in seconds: PXE 2.1 section 2.2.4 for firmware; iPXE begins with 1.
    fn waits(self) -> &'static [u64] {
        match self {
            Stage::Firmware => &[4, 8, 16, 32],
            Stage::Ipxe => &[1, 2, 4, 8, 10],
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub number: u32,
}

impl Machine {
    /// Another for each number, in no visible order, as if the machines had been bought here and there.
    pub fn mac(self) -> Mac {
        let number = (self.number ^ self.number >> 16).wrapping_mul(0x85eb_ca6b);
        let number = (number ^ number >> 13).wrapping_mul(0xc2b2_ae35);
        let [a, b, c, d] = (number ^ number >> 16).to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    pub fn is_uefi(self) -> bool {
        self.number & 1 == 1
    }

    /// The number of its exchange: answers are told apart by it.
    fn xid(self, stage: Stage) -> u32 {
        self.number << 1 | u32::from(stage == Stage::Ipxe)
    }

    /// The machine and stage that a transaction number belongs to.
    pub fn of_xid(xid: u32) -> (u32, Stage) {
        (xid >> 1, if xid & 1 == 0 { Stage::Firmware } else { Stage::Ipxe })
    }
}

/// An exchange under way.
pub struct Ask {
    machine: Machine,
    stage: Stage,
    /// The offer that was chosen.
    chosen: Option<Ipv4Addr>,
    /// What was said last; to be sent when `say` is returned.
    pub said: Vec<u8>,
    tries: usize,
    /// When to call [`Ask::timeout`].
    pub due: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Answered {
    Ignored,
    /// Send `said`.
    Say,
    /// The same, as the server refused what it had offered.
    Again,
    Bound {
        address: Ipv4Addr,
        server: Ipv4Addr,
        file: String,
    },
}

impl Ask {
    /// `said` is to be sent.
    pub fn new(machine: Machine, stage: Stage, now: Instant) -> Ask {
        let mut ask = Ask { machine, stage, chosen: None, said: Vec::new(), tries: 0, due: now };
        ask.discover(now);
        ask
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    pub fn answered(&mut self, now: Instant, packet: &Packet<'_>) -> Answered {
        let address = packet.yiaddr();
        match (packet.message_type(), self.chosen) {
            (Some(MessageType::Offer), None) => {
                let Some(server) = packet.address(code::SERVER_ID) else { return Answered::Ignored };
                self.chosen = Some(address);
                let options = [(code::SERVER_ID, server), (code::REQUESTED_ADDRESS, address)];
                self.say(now, MessageType::Request, &options);
                Answered::Say
            }
            (Some(MessageType::Ack), Some(chosen)) if chosen == address => {
                let file = packet.text(code::BOOTFILE).unwrap_or_else(|| {
                    let file = packet.file();
                    String::from_utf8_lossy(file.split(|octet| *octet == 0).next().unwrap_or_default()).into_owned()
                });
                Answered::Bound { address, server: packet.siaddr(), file: file.trim_end_matches('\0').into() }
            }
            (Some(MessageType::Nak), Some(_)) => {
                self.discover(now);
                Answered::Again
            }
            _ => Answered::Ignored,
        }
    }

    /// No answer came in time. Returns whether `said` is to be sent again; if not, the machine has given up.
    pub fn timeout(&mut self, now: Instant) -> bool {
        self.tries += 1;
        let wait = self.stage.waits().get(self.tries);
        self.due = now + self.spread(wait.copied().unwrap_or_default());
        wait.is_some()
    }

    /// So many seconds, and up to one more or less, another for each machine and try (RFC 2131 section 4.1).
    fn spread(&self, seconds: u64) -> Duration {
        let salt = Machine { number: self.machine.number.wrapping_add(self.tries as u32 * 0x1000_0000) };
        let [.., low, lower] = salt.mac().0;
        let millis = u64::from(u16::from_be_bytes([low, lower])) % 1000;
        // Of the first second of iPXE only a half is left to chance.
        Duration::from_millis(if seconds > 1 { seconds * 1000 - 1000 + 2 * millis } else { seconds * 500 + millis })
    }

    fn discover(&mut self, now: Instant) {
        self.chosen = None;
        self.say(now, MessageType::Discover, &[]);
    }

    fn say(&mut self, now: Instant, kind: MessageType, addresses: &[(u8, Ipv4Addr)]) {
        self.said = message(self.machine, self.stage, kind, addresses);
        self.tries = 0;
        self.due = now + self.spread(self.stage.waits()[0]);
    }
}

fn message(machine: Machine, stage: Stage, kind: MessageType, addresses: &[(u8, Ipv4Addr)]) -> Vec<u8> {
    let mac = machine.mac().0;
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[4..8].copy_from_slice(&machine.xid(stage).to_be_bytes());
    octets[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
    octets[28..34].copy_from_slice(&mac);
    octets[236..240].copy_from_slice(&COOKIE);
    let mut option = |code: u8, data: &[u8]| {
        octets.extend([code, data.len() as u8]);
        octets.extend_from_slice(data);
    };
    option(code::MESSAGE_TYPE, &[kind as u8]);
    for (code, address) in addresses {
        option(*code, &address.octets());
    }
    let mut uuid = [0; 17];
    uuid[11..].copy_from_slice(&mac);
    option(code::MAX_MESSAGE_SIZE, &1260_u16.to_be_bytes());
    option(code::PARAMETER_REQUEST_LIST, &[1, 3, 6, 12, 15, 17, 43, 54, 60, 66, 67, 128, 129, 130, 175]);
    option(code::CLIENT_MACHINE_ID, &uuid);
    option(code::CLIENT_ARCH, &[0, if machine.is_uefi() { 7 } else { 0 }]);
    option(code::CLIENT_NDI, &[1, 3, 16]);
    let class: &[u8] =
        if machine.is_uefi() { b"PXEClient:Arch:00007:UNDI:003016" } else { b"PXEClient:Arch:00000:UNDI:003016" };
    option(code::VENDOR_CLASS, class);
    if stage == Stage::Ipxe {
        option(code::USER_CLASS, b"iPXE");
        // Features: PXE extensions, HTTP, DNS, bzImage, menus; and its version.
        option(175, &[0x10, 1, 1, 0x13, 1, 1, 0x17, 1, 1, 0x18, 1, 1, 0x27, 1, 1, 0xeb, 3, 1, 21, 1]);
    }
    octets.push(code::END);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { number: 7 };

    fn answer(kind: MessageType, address: [u8; 4]) -> Vec<u8> {
        let mut octets = message(MACHINE, Stage::Firmware, kind, &[(code::SERVER_ID, [10, 0, 0, 1].into())]);
        octets[0] = 2;
        octets[16..20].copy_from_slice(&address);
        octets[20..24].copy_from_slice(&[10, 0, 0, 1]);
        octets[108..114].copy_from_slice(b"a.kpxe");
        octets
    }

    fn parsed(octets: &[u8]) -> Packet<'_> {
        Packet::parse(octets).unwrap()
    }

    #[test]
    fn an_exchange_ends_with_the_address_and_the_boot_file() {
        let now = Instant::now();
        let mut ask = Ask::new(MACHINE, Stage::Firmware, now);
        assert_eq!(Machine::of_xid(parsed(&ask.said).xid()), (7, Stage::Firmware));
        assert_eq!(ask.answered(now, &parsed(&answer(MessageType::Offer, [10, 0, 16, 5]))), Answered::Say);
        assert_eq!(parsed(&ask.said).address(code::REQUESTED_ADDRESS), Some([10, 0, 16, 5].into()));
        assert_eq!(ask.answered(now, &parsed(&answer(MessageType::Ack, [10, 0, 16, 6]))), Answered::Ignored);
        let (address, server) = ([10, 0, 16, 5].into(), [10, 0, 0, 1].into());
        let bound = Answered::Bound { address, server, file: "a.kpxe".into() };
        assert_eq!(ask.answered(now, &parsed(&answer(MessageType::Ack, [10, 0, 16, 5]))), bound);
    }

    #[test]
    fn firmware_asks_four_times_in_a_minute_and_gives_up() {
        let start = Instant::now();
        let mut ask = Ask::new(MACHINE, Stage::Firmware, start);
        let tries = (0..9).take_while(|_| ask.timeout(ask.due)).count();
        assert_eq!(tries, 3);
        let waited = (ask.due - start).as_secs();
        assert!((55..66).contains(&waited), "{waited}");
    }

    #[test]
    fn a_refusal_begins_anew() {
        let now = Instant::now();
        let mut ask = Ask::new(MACHINE, Stage::Ipxe, now);
        ask.answered(now, &parsed(&answer(MessageType::Offer, [10, 0, 16, 5])));
        assert_eq!(ask.answered(now, &parsed(&answer(MessageType::Nak, [0; 4]))), Answered::Again);
        assert_eq!(parsed(&ask.said).message_type(), Some(MessageType::Discover));
    }
}
