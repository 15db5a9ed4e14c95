//! Whose an address is, and which one a client gets.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use config::Gives;
use dhcp::v4::{MessageType, Owner, code};
use leases::{Ask, Candidate, Change, ClientKey, Occupant, Pool, Record, Strategy, candidate};
use mac::Mac;

use super::Settings;
use super::batch::{Queued, Then};
use super::engine::Engine;
use super::request::{Ctx, Reached};

/// One pool for each range, empty where a range gives out nothing.
pub(super) fn pools(settings: &Settings) -> Vec<Pool> {
    let strategy = match settings.dhcp.allocation {
        config::Allocation::Sequential => Strategy::Sequential,
        config::Allocation::Hashed => Strategy::Hashed,
    };
    let ours = settings.links.iter().flat_map(|link| &link.addresses).map(|net| net.addr());
    let kept: Vec<Ipv4Addr> = settings.dhcp.hosts.addresses().chain(ours).collect();
    let pool = |range: &config::Range| match range.gives {
        Gives::Addresses(first, last) => {
            let within = kept.iter().copied().filter(|address| (first..=last).contains(address));
            Pool::new([(first, last)], within, strategy)
        }
        Gives::Reserved | Gives::Proxy => Pool::new([], [], strategy),
    };
    settings.dhcp.ranges.iter().map(pool).collect()
}

impl Engine {
    /// The address for a client, and whether it is known to be the client's so that no probe is needed.
    pub(super) fn address_for(&mut self, ctx: &Ctx<'_>) -> Option<(Ipv4Addr, bool)> {
        let active = self.store.find(&ctx.key).filter(|record| record.is_active(ctx.now.wall));
        let mine = active.map(|record| record.address).or_else(|| self.holds.address(&ctx.key, ctx.now.running));
        if let Some(reserved) = self.reserved(ctx) {
            return Some((reserved, mine == Some(reserved)));
        }
        if let Some(address) = mine.filter(|address| self.owner(ctx, *address) == Owner::Client) {
            return Some((address, true));
        }
        self.claim_former(ctx);
        let requested = ctx.packet.address(code::REQUESTED_ADDRESS);
        let ask = Ask { key: &ctx.key, mac: ctx.facts.mac, requested, avoid: ctx.facts.relay };
        let pools: Vec<&Pool> = ctx.admitted.iter().map(|reached| &self.pools[reached.range]).collect();
        let free = candidate(&pools, ask, self.store.table(), &mut self.holds, ctx.now);
        match free {
            Some(Candidate { address, .. }) => Some((address, false)),
            None => Some((self.contest(ctx)?, true)),
        }
    }

    /// Whether it has no lease on record and nothing laid down: anybody could make it up.
    pub(super) fn is_stranger(&self, ctx: &Ctx<'_>) -> bool {
        ctx.host.is_none() && self.store.find(&ctx.key).is_none()
    }

    /// Who had an address is not to lose it to strangers while somebody makes them up.
    fn claim_former(&mut self, ctx: &Ctx<'_>) {
        let former = self.store.find(&ctx.key).map(|record| record.address);
        if let Some(address) = former.filter(|address| self.strangers.is_open(*address))
            && self.strangers.is_flood(ctx.now.running)
        {
            self.holds.release(address);
            self.strangers.forget(address);
        }
    }

    /// Where all addresses are taken: one that a stranger was offered and has not asked for.
    fn contest(&mut self, ctx: &Ctx<'_>) -> Option<Ipv4Addr> {
        let now = ctx.now;
        while let Some(address) = ctx.admitted.iter().find_map(|at| self.strangers.contest(now.running, at.range)) {
            let is_lost = self.store.table().occupant(address, &ctx.key, now.wall).is_some();
            let is_kept = ctx.facts.relay == Some(address) || self.settings.dhcp.hosts.at(address).is_some();
            if !is_lost && !is_kept {
                self.holds.release(address);
                return Some(address);
            }
            self.strangers.forget(address);
        }
        None
    }

    /// The client's reserved address, unless it is ours, or somebody else has it or is being offered it. From another card
    /// of the same machine it is taken over by who begins anew.
    pub(super) fn reserved(&self, ctx: &Ctx<'_>) -> Option<Ipv4Addr> {
        let host = ctx.host.as_ref()?;
        let address = host.address?;
        let mut ours = self.settings.links.iter().flat_map(|link| &link.addresses).map(|net| net.addr());
        if ours.any(|ours| ours == address) || ctx.facts.relay == Some(address) {
            return None;
        }
        let same_machine = |mac: &Mac| ctx.begins() && host.names(mac);
        let free = match self.store.table().occupant(address, &ctx.key, ctx.now.wall) {
            None => true,
            Some(Occupant::Declined { .. }) => false,
            Some(Occupant::Client(_)) => {
                let holder = self.store.at(address).and_then(|record| record.binding());
                holder.is_some_and(|holder| same_machine(&holder.mac))
            }
        };
        let held = self.holds.holder(address, ctx.now.running).filter(|holder| **holder != ctx.key);
        let kept = held.is_some_and(|holder| !matches!(holder, ClientKey::Mac(mac) if same_machine(mac)));
        (free && !kept).then_some(address)
    }

    /// What another card of the same machine has of its reserved address, it has no longer.
    pub(super) fn leave_to(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        if self.reserved(ctx) != Some(address) {
            return;
        }
        if self.holds.holder(address, ctx.now.running).is_some_and(|holder| *holder != ctx.key) {
            self.holds.release(address);
        }
        if ctx.packet.message_type() == Some(MessageType::Request)
            && let Some(Occupant::Client(other)) = self.store.table().occupant(address, &ctx.key, ctx.now.wall)
        {
            let change = Change::Release { address, key: other, now: ctx.now.wall };
            self.batch.push(Queued { change, then: Then::Nothing });
        }
    }

    pub(super) fn owner(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> Owner {
        // Who has an address may give it back, whatever the configuration says of it by now.
        let gives_back = matches!(ctx.packet.message_type(), Some(MessageType::Release | MessageType::Decline));
        let has = |record: &Record| record.key() == Some(&ctx.key) && record.is_active(ctx.now.wall);
        if gives_back && self.store.at(address).is_some_and(has) {
            return Owner::Client;
        }
        let informs = ctx.packet.message_type() == Some(MessageType::Inform);
        // Options alone are for everyone on the wire, in no range as well.
        let on_wire = || self.settings.links[ctx.link].addresses.iter().any(|net| net.contains(&address));
        let on_network = informs && (ctx.network.contains(address, &self.settings) || on_wire());
        if ctx.range(address, &self.settings).is_none() && !on_network {
            return Owner::WrongNetwork;
        }
        if let Some(reserved) = self.reserved(ctx) {
            return if reserved == address { Owner::Client } else { Owner::Other };
        }
        if self.settings.dhcp.hosts.at(address).is_some() {
            return Owner::Other;
        }
        let gives = |reached: &Reached| self.pools[reached.range].contains(address);
        if !ctx.admitted.iter().any(gives) || ctx.facts.relay == Some(address) {
            return Owner::NotOurs;
        }
        if self.store.table().occupant(address, &ctx.key, ctx.now.wall).is_some() {
            return Owner::Other;
        }
        match self.holds.holder(address, ctx.now.running) {
            Some(holder) if *holder == ctx.key => Owner::Client,
            Some(_) if self.strangers.is_contested(address) => Owner::Nobody,
            Some(_) => Owner::Other,
            None if self.store.at(address).and_then(|record| record.key()) == Some(&ctx.key) => Owner::Client,
            None => Owner::Nobody,
        }
    }

    /// Whether another lease may be given.
    pub(super) fn admits(&self, ctx: &Ctx<'_>) -> Result<(), String> {
        let Some(limit) = self.settings.dhcp.lease_limit else { return Ok(()) };
        let has_one = |key: &ClientKey| self.store.find(key).is_some_and(|record| record.is_active(ctx.now.wall));
        // Those that wait for the disk have as good as got theirs.
        let waiting = self.pending().map(|pending| &pending.key).filter(|key| **key != ctx.key && !has_one(key));
        let waiting = waiting.collect::<HashSet<_>>().len();
        if !has_one(&ctx.key) && self.store.table().has_reached(limit.saturating_sub(waiting), ctx.now.wall) {
            return Err(format!("the limit of {limit} leases is reached (dhcp.lease_limit)"));
        }
        Ok(())
    }

    /// How long the client may keep the address, in seconds: what it asks for, within what is laid down.
    pub(super) fn lease_secs(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> u32 {
        if ctx.packet.is_bootp() {
            // It does not come again to renew (RFC 1534).
            return ctx.host.as_ref().and_then(|host| host.lease_secs).unwrap_or(u32::MAX);
        }
        let by_host = ctx.host.as_ref().and_then(|host| host.lease_secs);
        let by_range = || Some(ctx.range(address, &self.settings)?.lease.as_secs());
        let most = by_host.unwrap_or_else(|| by_range().and_then(|secs| u32::try_from(secs).ok()).unwrap_or(u32::MAX));
        ctx.packet.u32(code::LEASE_TIME).map_or(most, |asked| asked.clamp(MIN_LEASE_SECS.min(most), most))
    }
}

/// A client may ask for a shorter lease than configured, but not for one that makes it renew all the time.
const MIN_LEASE_SECS: u32 = 120;
