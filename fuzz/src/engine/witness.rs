//! Watches everything that the engine hears, writes and says, and knows what must not be.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use config::{Dhcp, Identity};
use dhcp::v4::{MessageType, Packet, Reply, code};
use leases::{
    Change, ClientId, ClientKey, Clock, Grant, LeaseStore, MemoryStore, Outcome, StoreError, Table, UnixSecs,
};
use server::dhcp::Settings;

use super::{fits, is_grant};

/// An offer is good for this long at least; after it, another client may have the address.
const OFFER_HOLDS: Duration = Duration::from_secs(60);
/// A reply answers one of the requests heard lately: those of a burst, and those that wait for a probe.
const REMEMBERED: usize = 1024;

pub struct Witness {
    settings: Settings,
    /// Terms that were in force once: what was promised under them is kept.
    former: Vec<Dhcp>,
    seen: Arc<Mutex<Seen>>,
    heard: VecDeque<Vec<u8>>,
    /// Who sent the last of them.
    last: Option<ClientKey>,
    offers: HashMap<Ipv4Addr, (ClientKey, Instant)>,
}

/// What the store saw.
#[derive(Default)]
struct Seen {
    broken: bool,
    /// Committed, and not yet acknowledged.
    owed: Vec<(Ipv4Addr, ClientKey)>,
    /// Who holds which address until when.
    held: HashMap<Ipv4Addr, (ClientKey, UnixSecs)>,
}

impl Witness {
    pub fn new(settings: Settings) -> Witness {
        Witness {
            settings,
            former: Vec::new(),
            seen: Arc::default(),
            heard: VecDeque::new(),
            last: None,
            offers: HashMap::new(),
        }
    }

    pub fn store(&self) -> Box<dyn LeaseStore> {
        Box::new(Watched { store: MemoryStore::default(), seen: self.seen.clone(), under_way: None })
    }

    /// A store that is broken writes nothing, and says so.
    pub fn break_store(&self, broken: bool) {
        self.seen().broken = broken;
    }

    pub fn heard(&mut self, octets: &[u8]) {
        let Ok(packet) = Packet::parse_any(octets) else { return };
        self.last = self.key(&packet);
        if packet.message_type() != Some(MessageType::Discover) {
            self.gives_up();
        }
        self.heard.push_front(octets.to_vec());
        self.heard.truncate(REMEMBERED);
    }

    pub fn links(&self) -> usize {
        self.settings.links.len()
    }

    pub fn reconfigured(&mut self, dhcp: Dhcp) {
        // Who is who may be another question now.
        self.offers.clear();
        self.former.push(std::mem::replace(&mut self.settings.dhcp, dhcp));
    }

    fn terms(&self) -> impl Iterator<Item = &Dhcp> {
        std::iter::once(&self.settings.dhcp).chain(&self.former)
    }

    /// How many addresses there are to give; ranges that overlap count twice.
    pub fn addresses(&self) -> usize {
        let in_range = |(first, last): (Ipv4Addr, Ipv4Addr)| (last.to_bits() - first.to_bits()) as usize + 1;
        self.terms().map(|dhcp| dhcp.dynamic().map(in_range).sum::<usize>() + dhcp.hosts.len()).sum()
    }

    /// The last client may have given up what it was offered.
    fn gives_up(&mut self) {
        let last = &self.last;
        self.offers.retain(|_, (client, _)| Some(&*client) != last.as_ref());
    }

    /// A client that is sought another address, as it asks from elsewhere, loses the one that it was offered.
    pub fn probed(&mut self, address: Ipv4Addr) {
        self.in_network(address);
        self.gives_up();
    }

    fn in_network(&self, address: Ipv4Addr) {
        let reserved = self.terms().any(|dhcp| dhcp.hosts.at(address).is_some());
        let in_range = |(first, last): (Ipv4Addr, Ipv4Addr)| (first..=last).contains(&address);
        let given_out = self.terms().any(|dhcp| dhcp.dynamic().any(in_range));
        assert!(reserved || given_out, "{address} is in no range, and nobody's own");
        let ours = self.settings.links.iter().flat_map(|link| &link.addresses).any(|net| net.addr() == address);
        assert!(reserved || !ours, "{address} is our own");
    }

    pub fn sent(&mut self, reply: &Reply, now: Clock) {
        let answer = Packet::parse(&reply.octets).expect("our own message");
        let kind = answer.message_type().or(answer.is_bootp().then_some(MessageType::Ack));
        assert_eq!((answer.op(), kind, answer.damage()), (2, Some(reply.kind), None));
        let asked = |octets: &&Vec<u8>| {
            let request = Packet::parse_any(octets).expect("only sound packets are remembered");
            request.xid() == answer.xid() && request.octets()[28..44] == answer.octets()[28..44]
        };
        let requests = self.heard.iter().filter(asked).map(|octets| Packet::parse_any(octets).expect("as above"));
        let takes = |request: &Packet<'_>| request.u16(code::MAX_MESSAGE_SIZE).unwrap_or(576);
        let roomiest = requests.max_by_key(takes).expect("nobody asked for this");
        fits(&roomiest, &reply.octets);
        let key = self.key(&answer).expect("only Ethernet is answered");
        match reply.kind {
            MessageType::Offer | MessageType::Ack if self.only_boots(&answer) => {}
            MessageType::Offer => self.offered(answer.yiaddr(), key, now),
            MessageType::Ack if is_grant(reply, &answer) => self.granted(&answer, &key, now),
            MessageType::Ack => assert!(answer.u32(code::LEASE_TIME).is_none(), "a lease without an address"),
            MessageType::Nak => assert!(answer.yiaddr().is_unspecified()),
            other => panic!("{other} is a client's message"),
        }
    }

    /// Whether it says what to boot and grants nothing, as where another server gives out addresses. Who chose from a menu
    /// reads its own address in it.
    fn only_boots(&self, answer: &Packet<'_>) -> bool {
        let yours = answer.yiaddr();
        let is_inform = answer.message_type() == Some(MessageType::Ack) && yours.is_unspecified();
        // BOOTP knows no lease time.
        if answer.message_type().is_none() || is_inform || answer.u32(code::LEASE_TIME).is_some() {
            return false;
        }
        assert!(self.listens_on_4011(), "nobody is to be told what to boot by itself");
        let is_its_own = |octets: &Vec<u8>| Packet::parse(octets).is_ok_and(|request| request.ciaddr() == yours);
        assert!(yours.is_unspecified() || self.heard.iter().any(is_its_own), "{yours} comes from nowhere");
        true
    }

    pub fn listens_on_4011(&self) -> bool {
        self.terms().any(Dhcp::listens_on_4011)
    }

    fn offered(&mut self, address: Ipv4Addr, key: ClientKey, now: Clock) {
        self.in_network(address);
        // Who is offered another address has the former no longer.
        self.offers.retain(|at, (client, _)| *client != key || *at == address);
        // What is reserved by MAC goes from one card or client of the machine to the other.
        let by_mac = |dhcp: &Dhcp| dhcp.hosts.at(address).is_some_and(|host| !host.hardware.is_empty());
        if self.terms().any(by_mac) {
            return;
        }
        if let Some((holder, until)) = self.seen().held.get(&address) {
            assert!(*holder == key || *until <= now.wall, "{address} is leased to {holder} and offered to {key}");
        }
        if let Some((holder, until)) = self.offers.get(&address) {
            assert!(*holder == key || *until <= now.running, "{address} is offered to {holder} and to {key}");
        }
        self.offers.insert(address, (key, now.running + OFFER_HOLDS));
    }

    fn granted(&mut self, answer: &Packet<'_>, key: &ClientKey, now: Clock) {
        let address = answer.yiaddr();
        self.in_network(address);
        assert!(answer.u32(code::LEASE_TIME).is_some() || answer.is_bootp(), "a lease without an end");
        // A reservation is its machine's, whichever of the machine's clients comes first.
        self.offers.remove(&address);
        let mut seen = self.seen();
        let is_it = |(owed, client): &(Ipv4Addr, ClientKey)| *owed == address && client == key;
        if let Some(owed) = seen.owed.iter().position(is_it) {
            seen.owed.remove(owed);
        } else {
            // What was written before is confirmed, and for no longer, while nothing can be written.
            let (holder, until) = seen.held.get(&address).expect("an ACK of a lease that was never written");
            let confirmed = now.wall.0.saturating_add(answer.u32(code::LEASE_TIME).map_or(u64::MAX, u64::from));
            assert!(seen.broken && holder == key && *until > now.wall, "an ACK of a lease that was never written");
            assert!(confirmed <= until.0, "confirmed for longer than was written");
        }
    }

    pub fn all_committed_was_acknowledged(&self) {
        assert!(self.seen().owed.is_empty(), "a lease was written and its client never told");
    }

    fn key(&self, packet: &Packet<'_>) -> Option<ClientKey> {
        let mac = packet.mac()?;
        let id = match self.settings.dhcp.identity {
            Identity::Machine => None,
            Identity::ClientId if packet.is_bootp() => None,
            Identity::ClientId => {
                let id = packet.option(code::CLIENT_ID).filter(|id| !id.is_empty());
                id.and_then(|id| ClientId::new(&id).ok())
            }
        };
        Some(id.map_or(ClientKey::Mac(mac), ClientKey::ClientId))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("one thread")
    }
}

/// A store that tells the witness.
struct Watched {
    store: MemoryStore,
    seen: Arc<Mutex<Seen>>,
    under_way: Option<Vec<Change>>,
}

impl Watched {
    fn write(&mut self, batch: Vec<Change>) -> Result<Vec<Outcome>, StoreError> {
        let mut seen = self.seen.lock().expect("one thread");
        if seen.broken {
            return Err(StoreError::ReadOnly { path: PathBuf::from("/srv"), why: "it is broken".into() });
        }
        let acknowledged = batch.iter().filter(|change| matches!(change, Change::Grant(_))).count();
        assert!(!batch.is_empty() && acknowledged <= super::BURST, "a batch of {acknowledged}");
        let outcomes = self.store.commit(batch.clone())?;
        for (change, outcome) in batch.into_iter().zip(&outcomes) {
            match (change, outcome) {
                (Change::Grant(grant), Outcome::Granted(_)) => seen.granted(grant),
                (Change::Release { address, .. }, Outcome::Released(true)) | (Change::Decline { address, .. }, _) => {
                    seen.held.remove(&address);
                }
                _ => {}
            }
        }
        Ok(outcomes)
    }
}

impl Seen {
    fn granted(&mut self, grant: Grant) {
        let Grant { address, key, lease_secs, now, .. } = grant;
        if let Some((holder, until)) = self.held.get(&address) {
            assert!(*holder == key || *until <= now, "{address} is leased to {holder} and to {key}");
        }
        self.held.retain(|_, (holder, _)| *holder != key);
        let until = if lease_secs == u32::MAX { UnixSecs(u64::MAX) } else { now.plus(lease_secs) };
        self.held.insert(address, (key.clone(), until));
        self.owed.push((address, key));
    }
}

impl LeaseStore for Watched {
    fn table(&self) -> &Table {
        self.store.table()
    }

    fn begin(&mut self, batch: Vec<Change>) {
        assert!(self.under_way.replace(batch).is_none(), "one batch at a time");
    }

    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        let batch = self.under_way.take()?;
        Some(self.write(batch))
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_sole(&self) -> bool {
        true
    }
}
