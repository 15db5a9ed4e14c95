//! A DHCP client (RFC 2131 section 4.4) that loses patience, reboots, moves, gives back and declines.

use std::net::Ipv4Addr;

use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code};
use mac::Mac;

use crate::chance::Chance;

pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// All times are milliseconds since the world began.
#[derive(Clone, Debug)]
pub struct Client {
    pub mac: Mac,
    pub doing: Doing,
    pub xid: u32,
    tries: u32,
    /// When it acts again by itself.
    pub due: u64,
    /// What it may use, by its own account.
    pub lease: Option<Lease>,
    /// When it began to ask for the address that it asks for.
    pub asked: u64,
    habits: Habits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Off,
    Selecting,
    Requesting(Ipv4Addr),
    Rebooting(Ipv4Addr),
    Bound,
    Renewing(Ipv4Addr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub renews: u64,
    pub ends: u64,
}

/// How restless clients are.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// A client with an address does something else than renew it after so many milliseconds, on average.
    pub stays: u64,
    /// One in so many of these times it gives its address back rather than boot anew; 0: never.
    pub releases_one_in: u64,
    /// One in so many addresses is found in use; 0: none.
    pub declines_one_in: u64,
    /// How long it is off at most.
    pub off: u64,
    /// How long it waits for the first answer.
    pub patience: u64,
}

impl Client {
    pub fn new(number: u32, habits: Habits, due: u64) -> Client {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = Mac([2, 0, a, b, c, d]);
        Client { mac, doing: Doing::Off, xid: 0, tries: 0, due, lease: None, asked: 0, habits }
    }

    /// The number in a MAC address of ours.
    pub fn number(mac: Mac) -> usize {
        let Mac([_, _, rest @ ..]) = mac;
        u32::from_be_bytes(rest) as usize
    }

    /// The address that it asks to have, or to keep.
    pub fn asks_for(&self) -> Option<Ipv4Addr> {
        match self.doing {
            Doing::Requesting(address) | Doing::Rebooting(address) | Doing::Renewing(address) => Some(address),
            Doing::Off | Doing::Selecting | Doing::Bound => None,
        }
    }

    /// Switches it off and, at `on`, on again; it remembers its lease.
    pub fn reboots(&mut self, on: u64) {
        (self.doing, self.due) = (Doing::Off, on);
    }

    /// What it sends when its time has come.
    pub fn wakes(&mut self, now: u64, chance: &mut Chance) -> Option<Vec<u8>> {
        self.tries += 1;
        self.due = now + (self.habits.patience << self.tries.min(4)) + chance.below(self.habits.patience);
        if self.lease.is_some_and(|lease| lease.ends <= now) {
            self.lease = None;
        }
        match (self.doing, self.lease) {
            (Doing::Off, Some(lease)) if !chance.one_in(3) => {
                Some(self.begins(now, Doing::Rebooting(lease.address), chance))
            }
            // A ROM knows nothing of what the system had before.
            (Doing::Off, _) => {
                self.lease = None;
                Some(self.begins(now, Doing::Selecting, chance))
            }
            (Doing::Selecting, _) if self.tries > 5 => {
                self.reboots(now + chance.between(1000, 5000));
                None
            }
            (Doing::Requesting(_), _) if self.tries > 4 => Some(self.begins(now, Doing::Selecting, chance)),
            (Doing::Rebooting(_), Some(lease)) if self.tries > 3 => {
                self.uses(now, lease, chance);
                None
            }
            (Doing::Rebooting(_) | Doing::Renewing(_) | Doing::Bound, None) => {
                Some(self.begins(now, Doing::Selecting, chance))
            }
            (Doing::Bound, Some(lease)) if lease.renews <= now => {
                Some(self.begins(now, Doing::Renewing(lease.address), chance))
            }
            (Doing::Bound, Some(lease)) => self.grows_restless(now, lease, chance),
            (Doing::Selecting | Doing::Requesting(_) | Doing::Rebooting(_) | Doing::Renewing(_), _) => {
                Some(self.message())
            }
        }
    }

    fn grows_restless(&mut self, now: u64, lease: Lease, chance: &mut Chance) -> Option<Vec<u8>> {
        let releases = self.habits.releases_one_in;
        self.reboots(now + chance.between(500, self.habits.off.max(500)));
        if releases == 0 || !chance.one_in(releases) {
            return None;
        }
        self.lease = None;
        Some(self.packet(MessageType::Release, lease.address, &[(code::SERVER_ID, SERVER)]))
    }

    fn begins(&mut self, now: u64, doing: Doing, chance: &mut Chance) -> Vec<u8> {
        (self.doing, self.tries, self.asked) = (doing, 0, now);
        self.xid = chance.below(1 << 32) as u32;
        self.due = now + self.habits.patience;
        self.message()
    }

    fn uses(&mut self, now: u64, lease: Lease, chance: &mut Chance) {
        (self.doing, self.lease) = (Doing::Bound, Some(lease));
        let restless = now + 1 + chance.below(2 * self.habits.stays);
        self.due = lease.renews.max(now + 1).min(restless);
    }

    /// What it sends upon this answer.
    pub fn hears(&mut self, now: u64, answer: &Packet<'_>, chance: &mut Chance) -> Option<Vec<u8>> {
        if answer.xid() != self.xid {
            return None;
        }
        let address = answer.yiaddr();
        match (answer.message_type()?, self.doing) {
            (MessageType::Offer, Doing::Selecting) => {
                let xid = self.xid;
                self.begins(now, Doing::Requesting(address), chance);
                self.xid = xid;
                Some(self.message())
            }
            (MessageType::Ack, Doing::Requesting(_) | Doing::Rebooting(_) | Doing::Renewing(_)) => {
                let lasts = 1000 * u64::from(answer.u32(code::LEASE_TIME)?);
                let lease = Lease { address, renews: self.asked + lasts / 2, ends: self.asked + lasts };
                let declines = self.habits.declines_one_in;
                if declines > 0 && self.doing == Doing::Requesting(address) && chance.one_in(declines) {
                    self.lease = None;
                    self.reboots(now + 10_000);
                    let options = [(code::SERVER_ID, SERVER), (code::REQUESTED_ADDRESS, address)];
                    return Some(self.packet(MessageType::Decline, Ipv4Addr::UNSPECIFIED, &options));
                }
                self.uses(now, lease, chance);
                None
            }
            (MessageType::Nak, Doing::Requesting(_) | Doing::Rebooting(_) | Doing::Renewing(_)) => {
                self.lease = None;
                self.reboots(now + 1000);
                None
            }
            _ => None,
        }
    }

    fn message(&self) -> Vec<u8> {
        let none = Ipv4Addr::UNSPECIFIED;
        match self.doing {
            Doing::Requesting(address) => {
                let options = [(code::SERVER_ID, SERVER), (code::REQUESTED_ADDRESS, address)];
                self.packet(MessageType::Request, none, &options)
            }
            Doing::Rebooting(address) => self.packet(MessageType::Request, none, &[(code::REQUESTED_ADDRESS, address)]),
            Doing::Renewing(address) => self.packet(MessageType::Request, address, &[]),
            Doing::Off | Doing::Selecting | Doing::Bound => self.packet(MessageType::Discover, none, &[]),
        }
    }

    fn packet(&self, kind: MessageType, ciaddr: Ipv4Addr, options: &[(u8, Ipv4Addr)]) -> Vec<u8> {
        let mut octets = vec![0; HEADER_OCTETS];
        octets[..3].copy_from_slice(&[1, 1, 6]);
        octets[4..8].copy_from_slice(&self.xid.to_be_bytes());
        octets[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
        octets[12..16].copy_from_slice(&ciaddr.octets());
        octets[28..34].copy_from_slice(&self.mac.0);
        octets[236..240].copy_from_slice(&COOKIE);
        octets.extend([code::MESSAGE_TYPE, 1, kind as u8]);
        for (code, address) in options {
            octets.extend([*code, 4]);
            octets.extend(address.octets());
        }
        let name = format!("pc{}", Client::number(self.mac));
        octets.extend([code::HOST_NAME, name.len() as u8]);
        octets.extend(name.as_bytes());
        octets.push(code::END);
        octets
    }
}
