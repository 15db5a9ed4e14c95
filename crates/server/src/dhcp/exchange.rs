//! One exchange with one client: offers, leases, refusals, and what is given back (RFC 2131 section 4.3).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use boot::Facts;
use boot::hosts::IdPattern;
use config::ConflictCheck;
use dhcp::v4::{AckDraft, Draft, Owner, Packet, code};
use journal::Step;
use leases::{Change, ClientId, ClientKey, Clock, Grant, Lease, Taken};

use super::answer::{self, Occasion};
use super::batch::{Queued, Then};
use super::changes::{About, LeaseChange};
use super::engine::{Effect, Engine, SET_ASIDE_SECS};
use super::names::Names;
use super::probes::Probe;
use super::request::Ctx;

/// How long an offered address is kept for its client.
const HOLD: Duration = Duration::from_secs(60);
/// The same for a machine that nobody knows, while somebody makes such machines up.
const HOLD_IN_FLOOD: Duration = Duration::from_secs(12);

/// An acknowledgement that waits for its lease.
pub(super) struct Pending {
    pub(super) address: Ipv4Addr,
    pub(super) key: ClientKey,
    pub(super) name: Option<String>,
    pub(super) lease_secs: u32,
    pub(super) link: usize,
    pub(super) draft: AckDraft,
    /// Option 54, for the case that the store refuses.
    pub(super) server_id: Ipv4Addr,
    pub(super) facts: Arc<Facts>,
    pub(super) boot_file: Option<String>,
    pub(super) because: Vec<String>,
    pub(super) renewal: bool,
    /// Where somebody keeps books.
    pub(super) about: Option<Box<About>>,
    /// How long the answer waits.
    pub(super) delay: Duration,
}

impl Engine {
    pub(super) fn discovered(&mut self, ctx: &Ctx<'_>) {
        let facts = &ctx.facts;
        self.happened(
            Some(facts.mac),
            Step::DhcpDiscover {
                stage: facts.stage,
                arch: facts.arch.map(|arch| arch.to_string()),
                vendor_class: facts.vendor_class.clone(),
                firmware: facts.firmware(),
                relay: facts.relay,
                asked: ctx.packet.address(code::REQUESTED_ADDRESS),
            },
        );
    }

    pub(super) fn discover(&mut self, ctx: &Ctx<'_>) {
        if self.is_stranger(ctx) && !self.strangers.admit(ctx.now.running, ctx.facts.mac) {
            return;
        }
        self.discovered(ctx);
        // The answer to the probe under way will serve this request too; the newest one is the one to answer.
        if self.probes.renew(&ctx.key, ctx.facts.mac, ctx.packet.octets()) {
            return;
        }
        self.seek(ctx, 0);
    }

    /// Finds an address for a client and offers it, at once or after a probe.
    pub(super) fn seek(&mut self, ctx: &Ctx<'_>, tries: u8) {
        if let Err(because) = self.admits(ctx) {
            return self.ignore(Some(ctx.facts.mac), because);
        }
        let Some((address, known)) = self.address_for(ctx) else {
            let because = "no free address: all that it could have are leased, held or in use".to_owned();
            return self.ignore(Some(ctx.facts.mac), because);
        };
        if let Err(because) = self.admits_bootp(ctx, address) {
            return self.ignore(Some(ctx.facts.mac), because);
        }
        let is_stranger = self.is_stranger(ctx);
        let is_flood = is_stranger && self.strangers.is_flood(ctx.now.running);
        let until = ctx.now.running + if is_flood { HOLD_IN_FLOOD } else { HOLD };
        let had = self.holds.address(&ctx.key, ctx.now.running);
        self.leave_to(ctx, address);
        if let Err(held) = self.holds.hold(address, ctx.key.clone(), ctx.now.running, until) {
            return self.ignore(Some(ctx.facts.mac), held.to_string());
        }
        match ctx.reached(address, &self.settings) {
            Some(reached) if is_stranger && had != Some(address) => {
                self.strangers.offered(ctx.now.running, reached.range, address);
            }
            _ if is_stranger => {}
            _ => {
                self.strangers.forget(address);
            }
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
        let (key, link) = (ctx.key.clone(), ctx.link);
        let probe = Probe { key, mac: ctx.facts.mac, link, request, deadline, tries: tries + 1 };
        self.probes.start(address, probe);
        self.effects.push(Effect::Probe { link, address, how });
    }

    /// Offers an address, or gives it at once where the client does not wait to be offered one: BOOTP, rapid commit.
    pub(super) fn offer(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        if ctx.packet.is_bootp() {
            return self.grant(ctx, address, AckDraft::bootp(&ctx.packet), false);
        }
        if self.commits_rapidly(ctx) {
            return self.grant(ctx, address, AckDraft::new(&ctx.packet, self.id(ctx, address)), false);
        }
        let decision = self.decide(ctx);
        let lease_secs = self.lease_secs(ctx, address);
        let mut draft = Draft::offer(&ctx.packet, self.id(ctx, address), address, lease_secs);
        let occasion = Occasion::Offer { address, lease_secs };
        let boot_file = answer::fill(&mut draft, ctx, &self.settings, &decision, &occasion);
        let delay = self.delay(ctx, address);
        self.send_after(ctx.now, delay, address, ctx.link, draft.finish());
        self.happened(Some(ctx.facts.mac), Step::DhcpOffer { address, boot_file, because: decision.because });
    }

    pub(super) fn confirm(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr, renewal: bool) {
        if let Err(because) = self.admits(ctx) {
            return self.ignore(Some(ctx.facts.mac), because);
        }
        self.grant(ctx, address, AckDraft::new(&ctx.packet, self.id(ctx, address)), renewal);
    }

    /// Puts a lease into the batch; the draft goes out once that is written.
    pub(super) fn grant(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr, mut draft: AckDraft, renewal: bool) {
        let decision = self.decide(ctx);
        let (lease_secs, rapid) = (self.lease_secs(ctx, address), self.commits_rapidly(ctx));
        let occasion = Occasion::Lease { address, lease_secs, rapid };
        let boot_file = answer::fill(draft.draft(), ctx, &self.settings, &decision, &occasion);
        let names = Names::of(ctx, &self.settings, &answer::tags(ctx, &self.settings, address));
        let hostname = self.name_to_record(ctx, address, &names);
        let delay = if rapid { self.delay(ctx, address) } else { Duration::ZERO };
        let ignored = ctx.host.as_ref().is_some_and(|host| host.client_id == Some(IdPattern::Ignored));
        let counts = !ignored && !self.settings.dhcp.ignores_client_id;
        let client_id = ctx.packet.option(code::CLIENT_ID).filter(|_| counts).and_then(|id| ClientId::new(&id).ok());
        self.leave_to(ctx, address);
        let grant = Grant {
            address,
            key: ctx.key.clone(),
            mac: ctx.facts.mac,
            client_id,
            hostname,
            lease_secs,
            now: ctx.now.wall,
        };
        let server_id = self.id(ctx, address);
        if self.strangers.is_contested(address) {
            self.holds.release(address);
        }
        self.strangers.taken(address);
        // Until it is written, nobody else is to be offered the address. It may be held for another client of a machine
        // that has it reserved; then the store decides between the two.
        let _ = self.holds.hold(address, ctx.key.clone(), ctx.now.running, ctx.now.running + HOLD);
        let (link, facts, because) = (ctx.link, ctx.facts.clone(), decision.because);
        let about = self.watched.then(|| Box::new(About::of(ctx, &self.settings, address, self.in_detail)));
        let (key, name) = (grant.key.clone(), grant.hostname.clone());
        let pending = Pending {
            address,
            key,
            name,
            lease_secs,
            link,
            draft,
            server_id,
            facts,
            boot_file,
            because,
            renewal,
            about,
            delay,
        };
        self.batch.push(Queued { change: Change::Grant(grant), then: Then::Acknowledge(Box::new(pending)) });
    }

    /// Tells a client of its lease. `is_news`: whether anything was written.
    pub(super) fn acknowledge(&mut self, now: Clock, pending: Pending, lease: Lease, is_news: bool) {
        let Pending { link, draft, facts, boot_file, because, renewal, about, delay, .. } = pending;
        self.link = Some(link);
        self.holds.release(lease.address());
        self.machines.has_address(facts.mac, lease.address(), now.running);
        // Before it hears of it: a machine may look up its own name at once.
        if let Some(about) = about.filter(|_| is_news) {
            self.effects.push(Effect::Lease(LeaseChange::Given { record: lease.record(), renewal, about }));
        }
        self.send_after(now, delay, lease.address(), link, draft.finish(&lease));
        let step = Step::DhcpAck {
            stage: facts.stage,
            address: lease.address(),
            lease_secs: lease.lease_secs(),
            name: lease.hostname().map(str::to_owned),
            boot_file,
            renewal,
            because,
        };
        self.happened(Some(facts.mac), step);
    }

    pub(super) fn refuse_taken(&mut self, pending: Pending, taken: &Taken) {
        self.link = Some(pending.link);
        self.holds.release_key(&pending.key);
        self.send(pending.link, pending.draft.refuse(pending.server_id, "address is another client's"));
        let because = taken.to_string();
        self.happened(Some(pending.facts.mac), Step::DhcpNak { address: taken.address, because });
    }

    pub(super) fn refuse(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr, because: String) {
        let draft = Draft::nak(&ctx.packet, self.id(ctx, address), &because);
        self.send(ctx.link, draft.finish());
        self.happened(Some(ctx.facts.mac), Step::DhcpNak { address, because });
    }

    pub(super) fn inform(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        let decision = self.decide(ctx);
        let mut draft = Draft::inform(&ctx.packet, self.id(ctx, address));
        let active = |record: &&leases::Record| record.is_active(ctx.now.wall);
        let at_address = || self.store.at(address).filter(active)?.binding()?.hostname.clone();
        // As dnsmasq has it, an address tells the name only of a machine that is not known by itself.
        let name = if self.store.find(&ctx.key).filter(active).is_none() { at_address() } else { None };
        answer::fill(&mut draft, ctx, &self.settings, &decision, &Occasion::Inform { name });
        self.send(ctx.link, draft.finish());
        self.happened(Some(ctx.facts.mac), Step::DhcpInform { address });
    }

    pub(super) fn release(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        self.holds.release_key(&ctx.key);
        let change = Change::Release { address, key: ctx.key.clone(), now: ctx.now.wall };
        let then = Then::Released { link: self.link, machine: ctx.facts.mac, address };
        self.batch.push(Queued { change, then });
    }

    pub(super) fn decline(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        self.holds.release_key(&ctx.key);
        self.happened(Some(ctx.facts.mac), Step::DhcpDecline { address });
        self.set_aside(ctx.now, address);
    }

    /// Leaves an address to a stranger for a while: at once, and on record with the next batch.
    pub(super) fn set_aside(&mut self, now: Clock, address: Ipv4Addr) {
        let until = now.running + Duration::from_secs(SET_ASIDE_SECS.into());
        self.holds.set_aside(address, until);
        self.strangers.forget(address);
        let change = Change::Decline { address, until: now.wall.plus(SET_ASIDE_SECS) };
        self.batch.push(Queued { change, then: Then::SetAside { address } });
    }

    /// Goes on with a request that waited for a probe: offers the probed address, or seeks another.
    pub(super) fn resume(&mut self, now: Clock, probe: &Probe, address: Option<Ipv4Addr>) {
        self.link = Some(probe.link);
        let packet = Packet::parse_any(&probe.request).expect("it was parsed when the probe began");
        // The configuration may have changed since, so that nothing serves it any more.
        let Some(ctx) = self.ctx(now, probe.link, packet, probe.mac) else { return };
        match address.filter(|address| self.is_still_free(&ctx, *address)) {
            Some(address) => self.offer(&ctx, address),
            None => self.seek(&ctx, probe.tries),
        }
    }

    /// Whether nobody took the address while it was probed, its client having given it up meanwhile. Keeps it.
    pub(super) fn is_still_free(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr) -> bool {
        let until = ctx.now.running + HOLD;
        matches!(self.owner(ctx, address), Owner::Client | Owner::Nobody)
            && self.holds.hold(address, ctx.key.clone(), ctx.now.running, until).is_ok()
    }
}
