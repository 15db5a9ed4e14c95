//! The DHCP service without its sockets: packets, probe answers and time in, effects out.
//!
//! Acknowledgements wait in a batch until [`Engine::flush`] has made their leases durable: everything that arrived
//! together is written together.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot::{Decision, Facts};
use config::{ConflictCheck, Identity};
use dhcp::v4::{AckDraft, Draft, Owner, Packet, Plan, Reply, code, plan};
use journal::{Stage, Step};
use leases::{Ask, Candidate, ClientId, ClientKey, Clock, Grant, Holds, LeaseStore, Pool, Strategy};
use mac::Mac;

use super::Settings;
use super::answer;
use super::probes::{Probe, Probes};
use crate::machines::Machines;

/// How long an offered address is kept for its client.
const HOLD: Duration = Duration::from_secs(60);
/// How long an address that somebody else was found on is left alone.
const SET_ASIDE_SECS: u32 = 600;
/// A client may ask for a shorter lease than configured, but not for one that makes it renew all the time.
const MIN_LEASE_SECS: u32 = 120;
/// Taken addresses found one after the other for one client before it has to ask again.
const MAX_TRIES: u8 = 8;

/// What the world outside is to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    Send(Reply),
    /// Ask whether somebody uses the address; answers come back through [`Engine::address_answered`].
    Probe {
        address: Ipv4Addr,
        how: ConflictCheck,
    },
    Happened {
        machine: Option<Mac>,
        step: Step,
    },
}

pub struct Engine {
    settings: Settings,
    store: Box<dyn LeaseStore>,
    pool: Pool,
    holds: Holds,
    probes: Probes,
    machines: Arc<Machines>,
    batch: Vec<Pending>,
    effects: Vec<Effect>,
    store_broken: bool,
}

/// An acknowledgement that waits for its lease.
struct Pending {
    grant: Grant,
    draft: AckDraft,
    /// For the case that the store refuses: the NAK.
    refusal: Reply,
    facts: Facts,
    boot_file: Option<String>,
    because: Vec<String>,
    renewal: bool,
}

/// A request with what was made of it.
struct Ctx<'a> {
    packet: Packet<'a>,
    facts: Facts,
    key: ClientKey,
    now: Clock,
}

impl Engine {
    pub fn new(settings: Settings, store: Box<dyn LeaseStore>, machines: Arc<Machines>) -> Engine {
        let dhcp = &settings.dhcp;
        let strategy = match dhcp.allocation {
            config::Allocation::Sequential => Strategy::Sequential,
            config::Allocation::Hashed => Strategy::Hashed,
        };
        let reserved = dhcp.reservations.values().filter_map(|reservation| reservation.address);
        let pool = Pool::new(dhcp.ranges.clone(), reserved.chain([settings.address.addr()]), strategy);
        Engine {
            settings,
            store,
            pool,
            holds: Holds::default(),
            probes: Probes::default(),
            machines,
            batch: Vec::new(),
            effects: Vec::new(),
            store_broken: false,
        }
    }

    /// Takes one UDP payload that reached port 67. What follows from it shows in [`Engine::drain`], after
    /// [`Engine::flush`] where a lease is involved.
    pub fn handle(&mut self, now: Clock, octets: &[u8]) {
        let packet = match Packet::parse(octets) {
            Ok(packet) if packet.op() == 1 => packet,
            Ok(_) => return,
            Err(malformed) => return self.ignore(None, malformed.to_string()),
        };
        let Some(mac) = packet.mac() else {
            let because = format!("hardware type {} is not Ethernet", packet.htype());
            return self.ignore(None, because);
        };
        if let Some(relay) = packet.relay().filter(|relay| !self.settings.address.contains(relay)) {
            return self.ignore(Some(mac), format!("relay {relay} is on a network that no range here serves"));
        }
        let facts = Facts::of(&packet, mac, self.settings.address.addr(), self.machines.history(mac));
        if facts.stage != Stage::Os {
            self.machines.met(&facts, now.running);
        }
        let known = self.settings.dhcp.reservations.contains_key(&mac);
        if self.settings.dhcp.rules.as_ref().is_some_and(|rules| rules.ignores(&packet, known)) {
            return self.ignore(Some(mac), "a dhcp-ignore rule holds".to_owned());
        }
        let key = self.key(&packet, mac);
        let ctx = Ctx { packet, facts, key, now };
        let authoritative = self.settings.dhcp.authoritative;
        let plan = plan(&packet, self.settings.address.addr(), authoritative, |address| self.owner(&ctx, address));
        match plan {
            Plan::Offer => self.discover(&ctx),
            Plan::Confirm { address, renewal } => self.confirm(&ctx, address, renewal),
            Plan::Refuse { address, because } => self.refuse(&ctx, address, because),
            Plan::Inform { address } => self.inform(&ctx, address),
            Plan::Release { address } => self.release(&ctx, address),
            Plan::Decline { address } => self.decline(&ctx, address),
            Plan::Forget { chosen } => {
                self.holds.release_key(&ctx.key);
                self.ignore(Some(mac), format!("it took the offer of another DHCP server, {chosen}"));
            }
            Plan::Ignore(because) => self.ignore(Some(mac), because),
        }
    }

    /// Somebody uses this address: `by` where ARP told, `None` from an ICMP echo.
    pub fn address_answered(&mut self, now: Clock, address: Ipv4Addr, by: Option<Mac>) {
        let Some(probe) = self.probes.take(address) else { return };
        if by == Some(probe.mac) {
            // The client itself still has the address configured; it is the one that asks for it.
            return self.resume(now, &probe, Some(address));
        }
        self.happened(Some(probe.mac), Step::AddressInUse { address, by });
        self.holds.release(address);
        if let Err(error) = self.store.decline(address, now.wall.plus(SET_ASIDE_SECS)) {
            self.store_failed(&error.to_string());
        }
        if probe.tries < MAX_TRIES {
            self.resume(now, &probe, None);
        }
    }

    /// Probes that nobody answered become offers.
    pub fn handle_timeout(&mut self, now: Clock) {
        while let Some((address, probe)) = self.probes.take_due(now.running) {
            self.resume(now, &probe, Some(address));
        }
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.probes.next_deadline()
    }

    /// Makes every lease of the batch durable in one write, then lets the acknowledgements go.
    pub fn flush(&mut self, now: Clock) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let grants = batch.iter().map(|pending| pending.grant.clone()).collect();
        match self.store.commit(grants) {
            Ok(results) => {
                self.store_broken = false;
                for (pending, result) in batch.into_iter().zip(results) {
                    self.acknowledge(now, pending, result);
                }
            }
            Err(error) => self.store_failed(&error.to_string()),
        }
    }

    /// What is to be done, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    fn discover(&mut self, ctx: &Ctx<'_>) {
        let facts = &ctx.facts;
        self.happened(
            Some(facts.mac),
            Step::DhcpDiscover {
                stage: facts.stage,
                arch: facts.arch.map(|arch| arch.to_string()),
                vendor_class: facts.vendor_class.clone(),
                firmware: facts.firmware(),
                relay: facts.relay,
            },
        );
        // The answer to the probe under way will serve this request too; the newest one is the one to answer.
        if self.probes.renew(&ctx.key, ctx.packet.octets()) {
            return;
        }
        self.seek(ctx, 0);
    }

    /// Finds an address for a client and offers it, at once or after a probe.
    fn seek(&mut self, ctx: &Ctx<'_>, tries: u8) {
        if let Err(because) = self.admits(ctx) {
            return self.ignore(Some(ctx.facts.mac), because);
        }
        let Some((address, known)) = self.address_for(ctx) else {
            let because = format!("no free address: all {} are leased, held or in use", self.ranges());
            return self.ignore(Some(ctx.facts.mac), because);
        };
        let until = ctx.now.running + HOLD;
        if let Err(held) = self.holds.hold(address, ctx.key.clone(), ctx.now.running, until) {
            return self.ignore(Some(ctx.facts.mac), held.to_string());
        }
        let how = match (self.settings.dhcp.conflict_check, ctx.facts.relay) {
            (ConflictCheck::Arp, Some(_)) => ConflictCheck::Icmp, // ARP does not reach behind a relay
            (how, _) => how,
        };
        if known || how == ConflictCheck::Off {
            return self.offer(ctx, address);
        }
        let deadline = ctx.now.running + self.settings.dhcp.conflict_wait;
        let request = ctx.packet.octets().to_vec();
        let probe = Probe { key: ctx.key.clone(), mac: ctx.facts.mac, request, deadline, tries: tries + 1 };
        self.probes.start(address, probe);
        self.effects.push(Effect::Probe { address, how });
    }

    /// The address for a client, and whether it is known to be the client's so that no probe is needed.
    fn address_for(&mut self, ctx: &Ctx<'_>) -> Option<(Ipv4Addr, bool)> {
        let active = self.store.find(&ctx.key).filter(|record| record.is_active(ctx.now.wall));
        let mine = active.map(|record| record.address).or_else(|| self.holds.address(&ctx.key, ctx.now.running));
        if let Some(reserved) = self.reserved(ctx) {
            return Some((reserved, mine == Some(reserved)));
        }
        if let Some(address) = mine.filter(|address| self.owner(ctx, *address) == Owner::Client) {
            return Some((address, true));
        }
        let ask = Ask { key: &ctx.key, mac: ctx.facts.mac, requested: ctx.packet.address(code::REQUESTED_ADDRESS) };
        let Candidate { address, .. } = self.pool.candidate(ask, self.store.table(), &mut self.holds, ctx.now)?;
        Some((address, false))
    }

    /// The client's reserved address, unless somebody else still has a lease on it.
    fn reserved(&self, ctx: &Ctx<'_>) -> Option<Ipv4Addr> {
        let address = self.settings.dhcp.reservations.get(&ctx.facts.mac)?.address?;
        let occupant = self.store.table().occupant(address, &ctx.key, ctx.now.wall);
        occupant.is_none().then_some(address)
    }

    fn owner(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> Owner {
        if !self.settings.address.contains(&address) {
            return Owner::WrongNetwork;
        }
        if let Some(reserved) = self.reserved(ctx) {
            return if reserved == address { Owner::Client } else { Owner::Other };
        }
        let reservations = &self.settings.dhcp.reservations;
        if reservations.values().any(|reservation| reservation.address == Some(address)) {
            return Owner::Other;
        }
        if !self.pool.contains(address) {
            return Owner::NotOurs;
        }
        if self.store.table().occupant(address, &ctx.key, ctx.now.wall).is_some() {
            return Owner::Other;
        }
        match self.holds.holder(address, ctx.now.running) {
            Some(holder) if *holder == ctx.key => Owner::Client,
            Some(_) => Owner::Other,
            None if self.store.at(address).and_then(|record| record.key()) == Some(&ctx.key) => Owner::Client,
            None => Owner::Nobody,
        }
    }

    /// Whether another lease may be given.
    fn admits(&self, ctx: &Ctx<'_>) -> Result<(), String> {
        let Some(limit) = self.settings.dhcp.lease_limit else { return Ok(()) };
        let has_one = |key: &ClientKey| self.store.find(key).is_some_and(|record| record.is_active(ctx.now.wall));
        // Those in the batch have as good as got theirs.
        let waiting =
            self.batch.iter().map(|pending| &pending.grant.key).filter(|key| **key != ctx.key && !has_one(key));
        let waiting = waiting.collect::<HashSet<_>>().len();
        if !has_one(&ctx.key) && self.store.table().has_reached(limit.saturating_sub(waiting), ctx.now.wall) {
            return Err(format!("the limit of {limit} leases is reached (dhcp.lease_limit)"));
        }
        Ok(())
    }

    fn offer(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        let decision = self.decide(ctx);
        let lease_secs = self.lease_secs(&ctx.packet);
        let mut draft = Draft::offer(&ctx.packet, self.settings.address.addr(), address, lease_secs);
        let boot_file = answer::fill(&mut draft, &ctx.packet, &self.settings, &ctx.facts, &decision, Some(address));
        self.effects.push(Effect::Send(draft.finish()));
        self.happened(Some(ctx.facts.mac), Step::DhcpOffer { address, boot_file, because: decision.because });
    }

    fn confirm(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr, renewal: bool) {
        if let Err(because) = self.admits(ctx) {
            return self.ignore(Some(ctx.facts.mac), because);
        }
        let decision = self.decide(ctx);
        let server = self.settings.address.addr();
        let mut draft = AckDraft::new(&ctx.packet, server);
        let filled = draft.draft();
        let boot_file = answer::fill(filled, &ctx.packet, &self.settings, &ctx.facts, &decision, Some(address));
        let reserved = self.settings.dhcp.reservations.get(&ctx.facts.mac);
        let hostname = reserved
            .and_then(|reservation| reservation.hostname.clone())
            .or_else(|| answer::own_name(&self.settings, &ctx.facts));
        let client_id = ctx.packet.option(code::CLIENT_ID).and_then(|id| ClientId::new(&id).ok());
        let grant = Grant {
            address,
            key: ctx.key.clone(),
            mac: ctx.facts.mac,
            client_id,
            hostname,
            lease_secs: self.lease_secs(&ctx.packet),
            now: ctx.now.wall,
        };
        let refusal = Draft::nak(&ctx.packet, server, "address is another client's").finish();
        let (facts, because) = (ctx.facts.clone(), decision.because);
        self.batch.push(Pending { grant, draft, refusal, facts, boot_file, because, renewal });
    }

    fn acknowledge(&mut self, now: Clock, pending: Pending, result: Result<leases::Lease, leases::Taken>) {
        let Pending { draft, refusal, facts, boot_file, because, renewal, .. } = pending;
        match result {
            Ok(lease) => {
                self.holds.release(lease.address());
                self.machines.has_address(facts.mac, lease.address(), now.running);
                self.effects.push(Effect::Send(draft.finish(&lease)));
                let step = Step::DhcpAck {
                    stage: facts.stage,
                    address: lease.address(),
                    lease_secs: lease.lease_secs(),
                    boot_file,
                    renewal,
                    because,
                };
                self.happened(Some(facts.mac), step);
            }
            Err(taken) => {
                self.effects.push(Effect::Send(refusal));
                let because = taken.to_string();
                self.happened(Some(facts.mac), Step::DhcpNak { address: taken.address, because });
            }
        }
    }

    fn refuse(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr, because: String) {
        let draft = Draft::nak(&ctx.packet, self.settings.address.addr(), &because);
        self.effects.push(Effect::Send(draft.finish()));
        self.happened(Some(ctx.facts.mac), Step::DhcpNak { address, because });
    }

    fn inform(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        let decision = self.decide(ctx);
        let mut draft = Draft::inform(&ctx.packet, self.settings.address.addr());
        answer::fill(&mut draft, &ctx.packet, &self.settings, &ctx.facts, &decision, None);
        self.effects.push(Effect::Send(draft.finish()));
        self.happened(Some(ctx.facts.mac), Step::DhcpInform { address });
    }

    fn release(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        self.flush(ctx.now); // a lease asked for in the same burst comes first
        self.holds.release_key(&ctx.key);
        match self.store.release(address, &ctx.key, ctx.now.wall) {
            Ok(_) => self.happened(Some(ctx.facts.mac), Step::DhcpRelease { address }),
            Err(error) => self.store_failed(&error.to_string()),
        }
    }

    fn decline(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        self.flush(ctx.now);
        self.holds.release_key(&ctx.key);
        self.happened(Some(ctx.facts.mac), Step::DhcpDecline { address });
        if let Err(error) = self.store.decline(address, ctx.now.wall.plus(SET_ASIDE_SECS)) {
            self.store_failed(&error.to_string());
        }
    }

    /// Goes on with a request that waited for a probe: offers the probed address, or seeks another.
    fn resume(&mut self, now: Clock, probe: &Probe, address: Option<Ipv4Addr>) {
        let packet = Packet::parse(&probe.request).expect("it was parsed when the probe began");
        let facts = Facts::of(&packet, probe.mac, self.settings.address.addr(), self.machines.history(probe.mac));
        let ctx = Ctx { packet, facts, key: probe.key.clone(), now };
        match address {
            Some(address) => self.offer(&ctx, address),
            None => self.seek(&ctx, probe.tries),
        }
    }

    /// Asks the one place that chooses, and makes a broken loop known.
    fn decide(&mut self, ctx: &Ctx<'_>) -> Decision {
        if let Some(rules) = &self.settings.dhcp.rules {
            let known = self.settings.dhcp.reservations.contains_key(&ctx.facts.mac);
            let because = vec![format!("dnsmasq rules with the tags {}", rules.tags(&ctx.packet, known, None))];
            return Decision { answer: boot::Answer::Nothing, because, looped: None };
        }
        let decision = boot::decide(&ctx.facts, &self.settings.policy, ctx.now.running);
        if let Some((loader, times)) = &decision.looped {
            self.happened(Some(ctx.facts.mac), Step::LoopBroken { loader: loader.clone(), times: *times });
        }
        decision
    }

    fn key(&self, packet: &Packet<'_>, mac: Mac) -> ClientKey {
        let id = match self.settings.dhcp.identity {
            Identity::Machine => None,
            Identity::ClientId => packet.option(code::CLIENT_ID).and_then(|id| ClientId::new(&id).ok()),
        };
        id.map_or(ClientKey::Mac(mac), ClientKey::ClientId)
    }

    fn lease_secs(&self, packet: &Packet<'_>) -> u32 {
        let most = u32::try_from(self.settings.dhcp.lease.as_secs()).unwrap_or(u32::MAX);
        packet.u32(code::LEASE_TIME).map_or(most, |asked| asked.clamp(MIN_LEASE_SECS.min(most), most))
    }

    fn ranges(&self) -> String {
        let count: u64 =
            self.settings.dhcp.ranges.iter().map(|(first, last)| u64::from(last.to_bits() - first.to_bits()) + 1).sum();
        format!("{count} addresses of the range")
    }

    fn ignore(&mut self, machine: Option<Mac>, because: String) {
        self.happened(machine, Step::DhcpIgnored { because });
    }

    /// Says once, until a write succeeds again, that leases cannot be written.
    fn store_failed(&mut self, error: &str) {
        if !std::mem::replace(&mut self.store_broken, true) {
            let (what, fix) = match error.split_once("\n  fix: ") {
                Some((what, fix)) => (what, Some(fix.to_owned())),
                None => (error, None),
            };
            self.happened(None, Step::Warning { text: format!("no lease is given out: {what}"), fix });
        }
    }

    fn happened(&mut self, machine: Option<Mac>, step: Step) {
        self.effects.push(Effect::Happened { machine, step });
    }
}
