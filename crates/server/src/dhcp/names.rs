//! What a machine is called: in its answers, and in the records.

use std::net::Ipv4Addr;
use std::sync::Arc;

use boot::Host;
use boot::matching::{TagExpr, Tags, client_name};
use dhcp::v4::{Fqdn, code};
use leases::{Binding, Grant, Record, State};

use super::Settings;
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
        if names.laid_down.is_none() && rivals.iter().any(|rival| self.is_named_by_configuration(rival)) {
            return before;
        }
        let same = |other: &Option<String>| other.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(&name));
        let dhcp = &self.settings.dhcp;
        for Pending { grant, .. } in self.batch.iter_mut().filter(|pending| pending.grant.key != ctx.key) {
            if same(&grant.hostname) && share_names(dhcp, grant.address, address) {
                grant.hostname = None;
            }
        }
        self.unnamed.extend(rivals.into_iter().map(|grant| Grant { hostname: None, ..grant }));
        Some(name)
    }

    /// The other leases with this name, as they were granted.
    fn rivals(&self, ctx: &Ctx<'_>, address: Ipv4Addr, name: &str) -> Vec<Grant> {
        let dhcp = &self.settings.dhcp;
        let rival = |record: &Record| match &record.state {
            State::Bound(binding)
                if binding.key != ctx.key
                    && record.is_active(ctx.now.wall)
                    && binding.hostname.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(name))
                    && share_names(dhcp, record.address, address) =>
            {
                Some(again(record.address, binding))
            }
            _ => None,
        };
        self.store.table().list().filter_map(rival).collect()
    }

    fn is_named_by_configuration(&self, grant: &Grant) -> bool {
        self.settings.dhcp.hosts.iter().any(|host| {
            let is_meant = host.address == Some(grant.address)
                || host.hardware.iter().any(|hardware| hardware.matches(1, &grant.mac.0));
            let name = host.name.as_deref().and_then(|name| name.split('.').next());
            is_meant && name.zip(grant.hostname.as_deref()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    }
}

/// Whether machines with these addresses cannot have one name.
fn share_names(dhcp: &config::Dhcp, one: Ipv4Addr, other: Ipv4Addr) -> bool {
    !dhcp.manners.names_with_domains || dhcp.domain_of(one) == dhcp.domain_of(other)
}

/// The grant that a binding comes from.
fn again(address: Ipv4Addr, binding: &Binding) -> Grant {
    let Binding { key, mac, client_id, hostname, granted, lease_secs } = binding.clone();
    Grant { address, key, mac, client_id, hostname, lease_secs, now: granted }
}
