//! The DHCP service without its sockets: packets, probe answers and time in, effects out.
//!
//! Acknowledgements wait in a batch until [`Engine::flush`] finds their leases durable: everything that arrived while the
//! batch before was written is written together.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

use boot::hosts::IdPattern;
use boot::{Decision, Facts, Host};
use config::{Chooser, ConflictCheck, Identity};
use dhcp::v4::{Destination, Packet, Plan, Reply, code, plan};
use ipnet::Ipv4Net;
use journal::{Stage, Step};
use leases::{ClientId, ClientKey, Clock, Holds, LeaseStore, Pool};
use mac::Mac;

use super::batch::{Queued, Then};
use super::changes::LeaseChange;
use super::delayed::Delayed;
use super::lease_time::LeaseTime;
use super::limits::Limits;
use super::probes::Probes;
use super::proxy::Door;
use super::relay::{self, Forwarded};
use super::request::{self, Ctx, Network, Relays};
use super::strangers::{self, Strangers};
use super::{Link, Settings, addresses};
use crate::machines::Machines;

/// How long an address that somebody else was found on is left alone.
pub(super) const SET_ASIDE_SECS: u32 = 600;
/// Taken addresses found one after the other for one client before it has to ask again.
const MAX_TRIES: u8 = 8;

/// What the world outside is to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Through this link: a place in [`Settings::links`].
    Send { link: usize, reply: Reply },
    /// From port 4011.
    SendPxe { link: usize, reply: Reply },
    /// A request that other servers answer: from our port 67 at this address.
    Forward { from: Ipv4Addr, to: SocketAddrV4, octets: Vec<u8> },
    /// Ask whether somebody uses the address; answers come back through [`Engine::address_answered`].
    Probe { link: usize, address: Ipv4Addr, how: ConflictCheck },
    Happened {
        /// Where the message arrived that led to it.
        link: Option<usize>,
        machine: Option<Mac>,
        step: Step,
    },
    /// Only where somebody keeps books: see [`Engine::watch`].
    Lease(LeaseChange),
}

/// What the engine keeps for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Those that wait for their lease to be written.
    pub acknowledgements: usize,
    /// Addresses that somebody may yet answer from.
    pub probes: usize,
    /// Addresses kept for clients, those that ran out since one was last looked for included.
    pub holds: usize,
}

pub struct Engine {
    pub(super) settings: Arc<Settings>,
    pub(super) store: Box<dyn LeaseStore>,
    /// One for each range.
    pub(super) pools: Vec<Pool>,
    pub(super) holds: Holds,
    pub(super) probes: Probes,
    pub(super) machines: Arc<Machines>,
    /// What gathers for the next write.
    pub(super) batch: Vec<Queued>,
    /// What each change of the batch was made for that is being written.
    pub(super) under_way: Option<Vec<Then>>,
    pub(super) lease_time: LeaseTime,
    pub(super) delayed: Delayed,
    pub(super) effects: Vec<Effect>,
    pub(super) store_broken: bool,
    /// Whether somebody wants to hear of leases.
    pub(super) watched: bool,
    /// Whether also of all that the requests said.
    pub(super) in_detail: bool,
    /// Where the message arrived that is being dealt with.
    pub(super) link: Option<usize>,
    pub(super) relays: Relays,
    pub(super) limits: Limits,
    pub(super) strangers: Strangers,
}

impl Engine {
    pub fn new(settings: Settings, store: Box<dyn LeaseStore>, machines: Arc<Machines>) -> Engine {
        let pools = addresses::pools(&settings);
        let limits = Limits::new(settings.dhcp.client_rate);
        Engine {
            settings: Arc::new(settings),
            store,
            pools,
            holds: Holds::default(),
            probes: Probes::default(),
            machines,
            batch: Vec::new(),
            under_way: None,
            lease_time: LeaseTime::default(),
            delayed: Delayed::default(),
            effects: Vec::new(),
            store_broken: false,
            watched: false,
            in_detail: false,
            link: None,
            relays: Relays::new(),
            limits,
            strangers: Strangers::default(),
        }
    }

    /// Takes other terms from now on; leases and offers stay.
    pub fn reconfigure(&mut self, dhcp: config::Dhcp) {
        let told_apart_by = |dhcp: &config::Dhcp| (dhcp.identity, dhcp.ignores_client_id);
        if told_apart_by(&self.settings.dhcp) != told_apart_by(&dhcp) {
            // What is under way is under way for somebody who is another client now; he asks again.
            self.probes = Probes::default();
            self.holds = Holds::default();
        }
        if self.settings.dhcp.client_rate != dhcp.client_rate {
            self.limits = Limits::new(dhcp.client_rate);
        }
        self.strangers = Strangers::default();
        Arc::make_mut(&mut self.settings).dhcp = dhcp;
        self.pools = addresses::pools(&self.settings);
    }

    /// The link of this interface has other addresses now. Returns its place; `None` when it is not served.
    pub fn readdress(&mut self, interface: &str, addresses: &[Ipv4Net]) -> Option<usize> {
        let old = self.settings.links.iter().find(|link| link.interface == interface)?;
        Some(self.put_link(Link { addresses: addresses.to_vec(), ..old.clone() }))
    }

    /// Serves another link, or one that was served before and has come again. Returns its place.
    pub fn put_link(&mut self, link: Link) -> usize {
        let Settings { links, dhcp, .. } = Arc::make_mut(&mut self.settings);
        dhcp.ranges.iter_mut().for_each(|range| link.settle(range));
        let at = links.iter().position(|old| old.interface == link.interface).unwrap_or(links.len());
        match links.get_mut(at) {
            Some(old) => *old = link,
            None => links.push(link),
        }
        self.pools = addresses::pools(&self.settings);
        at
    }

    /// From now on tells what becomes of leases. `in_detail`: with the whole of [`About`]. Returns all that are known.
    pub fn watch(&mut self, in_detail: bool) -> LeaseChange {
        self.watched = true;
        self.in_detail |= in_detail;
        LeaseChange::Known(self.store.table().iter().cloned().collect())
    }

    /// Takes one UDP payload that reached port 67 through this link, a place in [`Settings::links`]. What follows from
    /// it shows in [`Engine::drain`], after [`Engine::flush`] where a lease is involved.
    pub fn handle(&mut self, now: Clock, link: usize, octets: &[u8]) {
        let now = self.lease_time(now);
        self.link = Some(link);
        self.hear(now, link, Door::Dhcp, octets);
    }

    pub(super) fn hear(&mut self, now: Clock, link: usize, door: Door, octets: &[u8]) {
        let packet = match Packet::parse_any(octets) {
            Ok(packet) if packet.op() == 1 && door == Door::Dhcp && self.forward(link, &packet) => return,
            Ok(packet) if packet.op() == 1 && self.settings.links[link].serves => packet,
            Ok(packet) if packet.op() == 2 && door == Door::Dhcp => return self.hand_back(link, &packet),
            Ok(_) => return,
            Err(malformed) => return self.ignore(None, malformed.to_string()),
        };
        let Some(mac) = packet.mac() else {
            let because = format!("hardware type {} is not Ethernet", packet.htype());
            return self.ignore(None, because);
        };
        if !self.limits.admit(now.running, mac, packet.relay()) {
            return;
        }
        let Some(ctx) = self.ctx(now, link, packet, mac) else {
            let network = match Packet::parse_any(octets).ok().and_then(|packet| packet.relay()) {
                Some(relay) => format!("relay {relay}"),
                None => self.settings.links[link].name.clone(),
            };
            return self.ignore(Some(mac), format!("no range serves the network of {network}"));
        };
        self.learn_relay(&ctx);
        if ctx.facts.stage != Stage::Os {
            self.machines.met(ctx.facts.clone(), now.running);
        }
        if ctx.host.as_ref().is_some_and(|host| host.ignore) {
            return self.ignore(Some(mac), "the configuration says to ignore this machine".to_owned());
        }
        if self.settings.dhcp.rules.ignores(&ctx.tags) {
            return self.ignore(Some(mac), "a dhcp-ignore rule holds".to_owned());
        }
        if self.handled_as_pxe(&ctx, door) {
            return;
        }
        if ctx.packet.is_bootp() {
            if !self.probes.renew(&ctx.key, mac, octets) {
                self.seek(&ctx, 0);
            }
            return;
        }
        let authoritative = self.settings.dhcp.authoritative;
        let us = ctx.server_id.unwrap_or(ctx.network.us);
        let plan = plan(&ctx.packet, us, authoritative, |address| self.owner(&ctx, address));
        match plan {
            Plan::Offer => self.discover(&ctx),
            Plan::Confirm { address, renewal } => self.confirm(&ctx, address, renewal),
            Plan::Refuse { address, because } => self.refuse(&ctx, address, because),
            Plan::Inform { address } => self.inform(&ctx, address),
            Plan::Release { address } => self.release(&ctx, address),
            Plan::Decline { address } => self.decline(&ctx, address),
            Plan::Forget { chosen } => {
                if let Some(address) = self.holds.address(&ctx.key, now.running) {
                    self.strangers.taken(address);
                }
                self.holds.release_key(&ctx.key);
                self.ignore(Some(mac), format!("it took the offer of another DHCP server, {chosen}"));
            }
            Plan::Ignore(because) => self.ignore(Some(mac), because),
        }
    }

    /// Whether requests that arrive here are relayed: then others answer them.
    fn forward(&mut self, link: usize, request: &Packet<'_>) -> bool {
        let Some(forwarded) = relay::forward(&self.settings, &self.settings.links[link], request) else { return false };
        match forwarded {
            Ok(all) => {
                for Forwarded { from, to, octets } in all {
                    self.happened(request.mac(), Step::DhcpRelayed { to: to.clone() });
                    let forward = |to| Effect::Forward { from, to, octets: octets.clone() };
                    self.effects.extend(to.into_iter().map(forward));
                }
            }
            Err(because) => self.ignore(request.mac(), because.to_owned()),
        }
        true
    }

    /// A server's answer to a request that we have relayed.
    fn hand_back(&mut self, link: usize, answer: &Packet<'_>) {
        if let Some((link, reply)) = relay::back(&self.settings, &self.settings.links[link], answer) {
            self.send(link, reply);
        }
    }

    /// Somebody uses this address: `by` where ARP told, `None` from an ICMP echo.
    pub fn address_answered(&mut self, now: Clock, address: Ipv4Addr, by: Option<Mac>) {
        let now = self.lease_time(now);
        let Some(probe) = self.probes.take(address) else { return };
        let host = self.settings.dhcp.hosts.at(address);
        let same = |by| by == probe.mac || host.is_some_and(|host| host.names(&by) && host.names(&probe.mac));
        if by.is_some_and(same) {
            // The client itself still has the address configured; it is the one that asks for it.
            return self.resume(now, &probe, Some(address));
        }
        self.happened(Some(probe.mac), Step::AddressInUse { address, by });
        self.set_aside(now, address);
        if probe.tries < MAX_TRIES {
            self.resume(now, &probe, None);
        }
    }

    /// Probes that nobody answered become offers, and offers that waited long enough go.
    pub fn handle_timeout(&mut self, now: Clock) {
        let now = self.lease_time(now);
        while let Some((address, probe)) = self.probes.take_due(now.running) {
            self.resume(now, &probe, Some(address));
        }
        while let Some((link, reply)) = self.delayed.take_due(now.running) {
            self.send(link, reply);
        }
        self.tell_of_floods(now.running);
    }

    /// Who sends too much, and that somebody makes machines up.
    fn tell_of_floods(&mut self, now: Instant) {
        while let Some(too_much) = self.limits.take_due(now) {
            self.link = None;
            let fix = "see what it does, or take it off the network; [dhcp] client_rate in lanboot.toml allows more";
            self.happened(None, Step::Warning { text: too_much.to_string(), fix: Some(fix.to_owned()) });
        }
        if let Some(flood) = self.strangers.take_news(now) {
            self.link = None;
            let (text, fix) = (flood.to_string(), Some(strangers::FIX.to_owned()));
            self.happened(None, Step::Warning { text, fix });
        }
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.probes.next_deadline(), self.delayed.next_deadline(), self.limits.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// How much is kept for later. All of it is bounded: by the burst, by the addresses that there are to give.
    pub fn waiting(&self) -> Waiting {
        Waiting { acknowledgements: self.pending().count(), probes: self.probes.len(), holds: self.holds.len() }
    }

    /// What is to be done, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    /// A request with all that decides its answer; `None` when no range serves where it comes from.
    pub(super) fn ctx<'a>(&self, now: Clock, link: usize, packet: Packet<'a>, mac: Mac) -> Option<Ctx<'a>> {
        let settings = &self.settings;
        let network = Network::of(&packet, link, settings, &self.relays)?;
        let facts = Arc::new(Facts::of(&packet, mac, network.us, self.machines.history(mac)));
        let record = self.store.find(&ClientKey::Mac(mac)).filter(|record| record.is_active(now.wall));
        let known_id = || record.and_then(|record| record.binding()?.client_id.as_ref());
        let client_id = packet.option(code::CLIENT_ID).filter(|_| !settings.dhcp.ignores_client_id);
        let client_id = client_id.as_deref().or_else(|| known_id().map(ClientId::octets));
        let (host, mut base) = request::identify(&packet, link, &network, settings, client_id);
        if packet.is_bootp() {
            let file = String::from_utf8_lossy(&packet.file()).into_owned();
            Some(file).filter(|file| !file.is_empty()).into_iter().for_each(|file| base.set(file.as_str()));
            base.set("bootp");
        }
        let tags = settings.dhcp.rules.tags(&packet, base.clone());
        let admitted = request::admitted(&network, &tags, settings);
        let key = self.key(&packet, mac, host.as_deref());
        let server_id = request::server_id(&packet, link, settings);
        Some(Ctx { packet, facts, key, now, link, network, server_id, host, base, tags, admitted })
    }

    /// Asks the one place that chooses, and makes a broken loop known.
    pub(super) fn decide(&mut self, ctx: &Ctx<'_>) -> Decision {
        if self.settings.dhcp.chooser == Chooser::Rules {
            let because = vec![format!("dnsmasq rules with the tags {}", ctx.tags)];
            return Decision { answer: boot::Answer::Nothing, because, looped: None };
        }
        let decision = boot::decide(&ctx.facts, &self.settings.policy, ctx.now.running);
        if let Some((loader, times)) = &decision.looped {
            self.happened(Some(ctx.facts.mac), Step::LoopBroken { loader: loader.clone(), times: *times });
        }
        decision
    }

    /// Option 54 of the answer to who has, or gets, this address.
    pub(super) fn id(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> Ipv4Addr {
        ctx.server_id(address, &self.settings)
    }

    /// Keeps in mind by which relay a subnet is reached.
    pub(super) fn learn_relay(&mut self, ctx: &Ctx<'_>) {
        let Some(relay) = ctx.facts.relay else { return };
        for reached in &ctx.network.ranges {
            let subnet = self.settings.dhcp.ranges[reached.range].subnet;
            if subnet.contains(&relay) {
                self.relays.insert(subnet, relay);
            }
        }
    }

    pub(super) fn key(&self, packet: &Packet<'_>, mac: Mac, host: Option<&Host>) -> ClientKey {
        let ignored = host.is_some_and(|host| host.client_id == Some(IdPattern::Ignored));
        let ignored = ignored || self.settings.dhcp.ignores_client_id;
        let id = match self.settings.dhcp.identity {
            Identity::Machine => None,
            Identity::ClientId if ignored || packet.is_bootp() => None,
            // An empty one tells nobody from anybody.
            Identity::ClientId => {
                let id = packet.option(code::CLIENT_ID).filter(|id| !id.is_empty());
                id.and_then(|id| ClientId::new(&id).ok())
            }
        };
        id.map_or(ClientKey::Mac(mac), ClientKey::ClientId)
    }

    pub(super) fn ignore(&mut self, machine: Option<Mac>, because: String) {
        self.happened(machine, Step::DhcpIgnored { because });
    }

    /// Says once, until a write succeeds again, that leases cannot be written.
    pub(super) fn store_failed(&mut self, error: &str) {
        if !std::mem::replace(&mut self.store_broken, true) {
            let (what, fix) = match error.split_once("\n  fix: ") {
                Some((what, fix)) => (what, Some(fix.to_owned())),
                None => (error, None),
            };
            self.happened(None, Step::Warning { text: format!("no new lease is given out: {what}"), fix });
        }
    }

    pub(super) fn ended(&mut self, address: Ipv4Addr) {
        if self.watched {
            self.effects.push(Effect::Lease(LeaseChange::Ended(address)));
        }
    }

    /// `link`: where the request arrived. Who has an address on the network of another link is reached by that one.
    pub(super) fn send(&mut self, link: usize, reply: Reply) {
        let links = &self.settings.links;
        let link = match reply.to {
            Destination::Relay(to) | Destination::Unicast(to) => {
                let has = |at: &usize| links[*at].addresses.iter().any(|net| net.contains(to.ip()));
                Some(link).filter(has).or_else(|| (0..links.len()).find(has)).unwrap_or(link)
            }
            Destination::Broadcast | Destination::Hardware { .. } => link,
        };
        self.effects.push(Effect::Send { link, reply });
    }

    pub(super) fn happened(&mut self, machine: Option<Mac>, step: Step) {
        self.effects.push(Effect::Happened { link: self.link, machine, step });
    }
}
