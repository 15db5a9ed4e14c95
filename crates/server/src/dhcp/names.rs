//! What a machine is called: in its answers, and in the records.

use std::net::Ipv4Addr;
use std::sync::Arc;

use boot::Host;
use boot::matching::{TagExpr, Tags, client_name};
use dhcp::v4::{Fqdn, code};
use leases::{Binding, Change, ClientKey};
use mac::Mac;

use super::Settings;
use super::batch::{Queued, Then};
use super::changes::name_in_lease;
use super::engine::Engine;
use super::exchange::Pending;
use super::request::Ctx;

/// The names of one machine, without domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// By the configuration.
    laid_down: Option<String>,
    /// What it calls itself.
    own: Option<String>,
    /// It calls itself something else than what is laid down.
    says_otherwise: bool,
    /// What it is called when it has a lease: one of these, or one that is made of its MAC.
    pub leased: Option<String>,
    /// Option 81, in which it wants to hear its name.
    pub fqdn: Option<Fqdn>,
}

impl Names {
    /// `tags`: with those of the range of its address.
    pub fn of(ctx: &Ctx<'_>, settings: &Settings, tags: &Tags) -> Names {
        let manners = &settings.dhcp.manners;
        let any = |exprs: &[TagExpr]| exprs.iter().any(|expr| expr.holds(tags));
        let label = |name: String| name.split('.').next().map(str::to_owned).filter(|name| !name.is_empty());
        // Who is known by its name alone says it itself.
        let is_known = |host: &&Arc<Host>| !host.hardware.is_empty() || host.client_id.is_some();
        let host = ctx.host.as_ref().filter(|host| is_known(host) || client_name(&ctx.packet).is_none());
        let laid_down = host.and_then(|host| host.name.clone()).and_then(label);
        if ctx.packet.is_bootp() {
            return Names { leased: laid_down.clone(), laid_down, ..Names::default() };
        }
        let says = client_name(&ctx.packet);
        let says_otherwise =
            says.as_ref().is_some_and(|says| laid_down.as_ref().is_some_and(|name| !name.eq_ignore_ascii_case(says)));
        let own = says.and_then(label);
        let made = || any(&manners.generate_names).then(|| ctx.facts.mac.to_string().replace(':', "-"));
        let counts = || own.clone().filter(|_| !any(&manners.ignore_names));
        let leased = laid_down.clone().or_else(counts).or_else(made);
        let fqdn = ctx.packet.option(code::FQDN).and_then(|data| Fqdn::parse(&data));
        Names { laid_down, own, says_otherwise, leased, fqdn }
    }

    /// What an offer tells it. A client that says a name must not be offered another one, unless it asks about its
    /// name by option 81.
    pub fn offered(&self) -> Option<String> {
        let laid_down = self.laid_down.clone().filter(|_| self.fqdn.is_some() || !self.says_otherwise);
        laid_down.or_else(|| self.own.clone().filter(|_| self.fqdn.is_some() && self.laid_down.is_none()))
    }

    /// What the answer to a DHCPINFORM tells it.
    pub fn informed(&self) -> Option<String> {
        self.laid_down.clone().or_else(|| self.own.clone())
    }
}

impl Engine {
    /// The name to record with a lease. Where it is another machine's so far, that one loses it, unless the
    /// configuration gave it to that one; a machine that says no name keeps the one it has.
    pub(super) fn name_to_record(&mut self, ctx: &Ctx<'_>, address: Ipv4Addr, names: &Names) -> Option<String> {
        let before = name_in_lease(self.store.at(address), &ctx.key, ctx.now.wall);
        let Some(name) = names.leased.clone() else { return before };
        if before.as_ref().is_some_and(|before| before.eq_ignore_ascii_case(&name)) {
            return before;
        }
        let rivals = self.rivals(ctx, address, &name);
        if names.laid_down.is_none() && rivals.iter().any(|rival| self.is_named_by_configuration(rival, &name)) {
            return before;
        }
        let same = |other: &Option<String>| other.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(&name));
        let dhcp = &self.settings.dhcp;
        for Queued { change, .. } in &mut self.batch {
            if let Change::Grant(grant) = change
                && grant.key != ctx.key
                && same(&grant.hostname)
                && share_names(dhcp, grant.address, address)
            {
                grant.hostname = None;
            }
        }
        rivals.into_iter().for_each(|rival| self.unname(rival.address, rival.key));
        Some(name)
    }

    /// The other leases with this name: those that are on record, and those that will be when the batch under way is written.
    fn rivals(&self, ctx: &Ctx<'_>, address: Ipv4Addr, name: &str) -> Vec<Rival> {
        let dhcp = &self.settings.dhcp;
        let on_record =
            self.store.table().list().filter(|record| record.is_active(ctx.now.wall)).filter_map(|record| {
                let Binding { key, mac, hostname, .. } = record.binding()?;
                Some((record.address, key, *mac, hostname.as_deref()?))
            });
        let under_way = self.under_way.iter().flatten().filter_map(Then::pending).filter_map(|pending| {
            let Pending { address, key, facts, name, .. } = pending;
            Some((*address, key, facts.mac, name.as_deref()?))
        });
        let is_rival = |(at, key, _, other): &(Ipv4Addr, &ClientKey, Mac, &str)| {
            **key != ctx.key && other.eq_ignore_ascii_case(name) && share_names(dhcp, *at, address)
        };
        let rival =
            |(address, key, mac, _): (Ipv4Addr, &ClientKey, Mac, &str)| Rival { address, key: key.clone(), mac };
        on_record.chain(under_way).filter(is_rival).map(rival).collect()
    }

    fn is_named_by_configuration(&self, rival: &Rival, name: &str) -> bool {
        self.settings.dhcp.hosts.iter().any(|host| {
            let is_meant = host.address == Some(rival.address)
                || host.hardware.iter().any(|hardware| hardware.matches(1, &rival.mac.0));
            let laid_down = host.name.as_deref().and_then(|name| name.split('.').next());
            is_meant && laid_down.is_some_and(|laid_down| laid_down.eq_ignore_ascii_case(name))
        })
    }
}

/// Another lease of the same name.
struct Rival {
    address: Ipv4Addr,
    key: ClientKey,
    mac: Mac,
}

/// Whether machines with these addresses cannot have one name.
fn share_names(dhcp: &config::Dhcp, one: Ipv4Addr, other: Ipv4Addr) -> bool {
    !dhcp.manners.names_with_domains || dhcp.domain_of(one) == dhcp.domain_of(other)
}
