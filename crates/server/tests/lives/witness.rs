//! Knows each acknowledgement that left the server, and what must follow from it.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use dhcp::v4::{MessageType, Packet, code};
use leases::{Expiry, State, Table, UnixSecs};
use mac::Mac;

use crate::client::{Client, Doing};

/// Servers count whole seconds, and clients from when they asked: so far a lease's two ends may lie apart.
const SLACK: u64 = 2000;

/// What a client may believe: that it has this address until then, in milliseconds since the world began.
#[derive(Clone, Copy, Debug)]
struct Claim {
    address: Ipv4Addr,
    ends: u64,
}

#[derive(Debug, Default)]
pub struct Witness {
    claims: HashMap<Mac, Claim>,
    holders: HashMap<Ipv4Addr, Mac>,
    pub acknowledged: u64,
    /// What was wrong.
    pub wrongs: Vec<String>,
}

impl Witness {
    /// The client says this: it may give up what it has.
    pub fn says(&mut self, client: &Client, message: &[u8]) {
        let packet = Packet::parse(message).expect("our clients' own");
        let gives_up = match packet.message_type() {
            Some(MessageType::Release | MessageType::Decline) => true,
            _ => matches!((client.doing, self.claims.get(&client.mac)),
                (Doing::Requesting(wanted), Some(claim)) if wanted != claim.address),
        };
        if gives_up {
            self.gives_up(client.mac);
        }
    }

    fn gives_up(&mut self, mac: Mac) {
        if let Some(claim) = self.claims.remove(&mac) {
            self.holders.remove(&claim.address);
        }
    }

    /// This answer leaves the server for this client.
    pub fn sent(&mut self, now: u64, client: &Client, answer: &Packet<'_>) {
        let (mac, address) = (client.mac, answer.yiaddr());
        match answer.message_type() {
            Some(MessageType::Offer) => self.is_free_for(now, mac, address, "offered"),
            Some(MessageType::Ack) if answer.xid() == client.xid && client.asks_for() == Some(address) => {
                self.is_free_for(now, mac, address, "acknowledged");
                let lasts = answer.u32(code::LEASE_TIME).expect("a lease has an end");
                self.gives_up(mac);
                self.claims.insert(mac, Claim { address, ends: client.asked + 1000 * u64::from(lasts) });
                self.holders.insert(address, mac);
                self.acknowledged += 1;
            }
            Some(MessageType::Nak) => {
                let refused = client.asks_for().filter(|_| answer.xid() == client.xid);
                if let Some(claim) = self.live(now, mac).filter(|claim| refused == Some(claim.address)) {
                    self.wrong(format!("at {now}: {mac} was refused its own {claim:?}"));
                }
            }
            _ => {}
        }
    }

    fn is_free_for(&mut self, now: u64, mac: Mac, address: Ipv4Addr, what: &str) {
        let Some(holder) = self.holders.get(&address).copied().filter(|holder| *holder != mac) else { return };
        match self.live(now, holder) {
            Some(claim) => self.wrong(format!("at {now}: {address} was {what} to {mac}, and {holder} has {claim:?}")),
            None => self.gives_up(holder),
        }
    }

    fn live(&self, now: u64, mac: Mac) -> Option<Claim> {
        self.claims.get(&mac).copied().filter(|claim| claim.ends > now + SLACK)
    }

    /// The server has started again with this. `wall`: what its clock says.
    pub fn found(&mut self, now: u64, wall: UnixSecs, table: &Table) {
        for mac in self.claims.keys().copied().collect::<Vec<_>>() {
            let Some(Claim { address, ends }) = self.live(now, mac) else { continue };
            let binding = table.at(address).and_then(|record| match &record.state {
                State::Bound(binding) => Some(binding),
                _ => None,
            });
            let until = UnixSecs(wall.0 + (ends - now).saturating_sub(SLACK) / 1000);
            let lasts = |expires| expires == Expiry::Never || expires >= Expiry::At(until);
            match binding {
                Some(binding) if binding.mac == mac && lasts(binding.expires()) => {}
                found => self.wrong(format!("at {now}: {mac} was acknowledged {address} until {ends}: {found:?}")),
            }
        }
    }

    /// How many clients have a lease.
    pub fn claims(&self, now: u64) -> usize {
        self.claims.keys().filter(|mac| self.live(now, **mac).is_some()).count()
    }

    fn wrong(&mut self, what: String) {
        self.wrongs.push(what);
    }
}
