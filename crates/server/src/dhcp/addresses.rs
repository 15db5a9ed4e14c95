//! Whose an address is, and which one a client gets.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use config::Gives;
use dhcp::v4::{Owner, code};
use leases::{Ask, Candidate, ClientKey, Pool, Strategy, candidate};

use super::Settings;
use super::engine::Engine;
use super::request::Ctx;

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
        let ask = Ask { key: &ctx.key, mac: ctx.facts.mac, requested: ctx.packet.address(code::REQUESTED_ADDRESS) };
        let pools: Vec<&Pool> = ctx.admitted.iter().map(|at| &self.pools[*at]).collect();
        let Candidate { address, .. } = candidate(&pools, ask, self.store.table(), &mut self.holds, ctx.now)?;
        Some((address, false))
    }

    /// The client's reserved address, unless somebody else still has a lease on it.
    pub(super) fn reserved(&self, ctx: &Ctx<'_>) -> Option<Ipv4Addr> {
        let address = ctx.host.as_ref()?.address?;
        let occupant = self.store.table().occupant(address, &ctx.key, ctx.now.wall);
        occupant.is_none().then_some(address)
    }

    pub(super) fn owner(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> Owner {
        if !ctx.network.contains(address, &self.settings) {
            return Owner::WrongNetwork;
        }
        if let Some(reserved) = self.reserved(ctx) {
            return if reserved == address { Owner::Client } else { Owner::Other };
        }
        if self.settings.dhcp.hosts.at(address).is_some() {
            return Owner::Other;
        }
        if !ctx.admitted.iter().any(|at| self.pools[*at].contains(address)) {
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
    pub(super) fn admits(&self, ctx: &Ctx<'_>) -> Result<(), String> {
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

    /// How long the client may keep the address, in seconds: what it asks for, within what is laid down.
    pub(super) fn lease_secs(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> u32 {
        let by_host = ctx.host.as_ref().and_then(|host| host.lease_secs);
        let by_range = || Some(ctx.network.range(address, &self.settings)?.lease.as_secs());
        let most = by_host.unwrap_or_else(|| by_range().and_then(|secs| u32::try_from(secs).ok()).unwrap_or(u32::MAX));
        ctx.packet.u32(code::LEASE_TIME).map_or(most, |asked| asked.clamp(MIN_LEASE_SECS.min(most), most))
    }
}

/// A client may ask for a shorter lease than configured, but not for one that makes it renew all the time.
const MIN_LEASE_SECS: u32 = 120;
