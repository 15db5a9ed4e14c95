//! From what is wanted and what is there to the steps between them, before anything is changed.

use std::fmt;
use std::path::Path;

use ipnet::Ipv4Net;
use mac::Mac;
use serde::{Deserialize, Serialize};

use crate::finding::{Refusal, Warning};
use crate::firewall::{Family, Hook, keeper};
use crate::nat::Rules;
use crate::netlink::NetlinkError;
use crate::record::{Change, Fate, Leftover, RecordError, leftovers};
use crate::rtnl::{Link, Route};
use crate::state::State;
use crate::sysctl::{self, IP_FORWARD};
use crate::{LinkSpec, NetworkSpec};

/// What a bridge of our making shows as its alias in `ip link`.
pub(crate) const ALIAS: &str = "lanboot";

/// One change to the host. Prints as a person would say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// `mac` is fixed, so that the bridge keeps its address whatever ports come and go, and we recognise it.
    MakeBridge {
        name: String,
        mac: Mac,
    },
    Enslave {
        port: String,
        bridge: String,
    },
    GiveAddress {
        interface: String,
        address: Ipv4Net,
    },
    BringUp {
        interface: String,
    },
    /// Our own nf_tables table.
    Translate {
        rules: Rules,
    },
    /// `net.ipv4.ip_forward` from 0 to 1, with all that it drags along.
    TurnOnForwarding,
    /// `forwarding` of one interface, where the general switch is on already.
    SetForwarding {
        interface: String,
        from: String,
        to: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::MakeBridge { name, .. } => write!(f, "make bridge {name}"),
            Action::Enslave { port, bridge } => write!(f, "put {port} into {bridge}"),
            Action::GiveAddress { interface, address } => write!(f, "give {interface} {address}"),
            Action::BringUp { interface } => write!(f, "bring {interface} up"),
            Action::Translate { rules } => write!(f, "{rules}"),
            Action::TurnOnForwarding => f.write_str("turn on IPv4 forwarding (net.ipv4.ip_forward 0 -> 1)"),
            Action::SetForwarding { interface, from, to } => {
                let name = sysctl::dotted(&sysctl::forwarding_of(interface));
                write!(f, "turn on IPv4 forwarding for {interface} ({name} {from} -> {to})")
            }
        }
    }
}

/// What [`apply`](crate::apply) will do. Prints as the dry run shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The interface to serve on.
    pub interface: String,
    /// The address to serve from.
    pub address: Ipv4Net,
    /// Whether the interface is lanboot's own making, so that nobody else can be serving DHCP on it.
    pub made: bool,
    /// In the order in which they are done.
    pub actions: Vec<Action>,
    /// What is there already and is left as it is.
    pub notes: Vec<String>,
    pub warnings: Vec<Warning>,
    /// Why this plan may be read but not carried out.
    pub blocked: Option<Refusal>,
    /// What an earlier run that was killed had changed for the same purpose: kept, and undone with the rest.
    pub(crate) adopted: Vec<Change>,
    /// What earlier runs that were killed left and nobody wants any more: undone first.
    pub(crate) stale: Vec<Leftover>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for leftover in &self.stale {
            writeln!(f, "undo what a killed run left of {}", leftover.interface)?;
        }
        for action in &self.actions {
            writeln!(f, "{action}")?;
        }
        if self.actions.is_empty() && self.stale.is_empty() {
            writeln!(f, "nothing to change")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}\n  fix: {}", warning.fix())?;
        }
        if let Some(refusal) = &self.blocked {
            writeln!(f, "error: {refusal}\n  fix: {}", refusal.fix())?;
        }
        Ok(())
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Every reason at once.
    #[error("{}", sentences(.0))]
    Refused(Vec<Refusal>),
    #[error("the host's network could not be read: {0}")]
    Unreadable(#[from] NetlinkError),
    #[error("the record of an earlier run could not be read: {0}")]
    BadRecord(#[from] RecordError),
}

fn sentences(refusals: &[Refusal]) -> String {
    let lines: Vec<_> = refusals.iter().map(|refusal| format!("{refusal}\n  fix: {}", refusal.fix())).collect();
    lines.join("\n")
}

/// Looks at the host and says what has to be done for `spec`. Changes nothing.
///
/// `state_dir`: where [`apply`](crate::apply) records its changes; what a killed run left there is taken over.
///
/// # Errors
/// [`PlanError::Refused`] with everything that stands in the way.
pub fn plan(spec: &NetworkSpec, state_dir: &Path) -> Result<Plan, PlanError> {
    let leftovers = leftovers(state_dir)?;
    decide(spec, State::read()?, leftovers).map_err(PlanError::Refused)
}

/// The pure half of [`plan`].
pub(crate) fn decide(spec: &NetworkSpec, state: State, leftovers: Vec<Leftover>) -> Result<Plan, Vec<Refusal>> {
    let name = spec.link.name();
    let mut stale = Vec::new();
    let mut own = None;
    for leftover in leftovers {
        match leftover.fate {
            Fate::Alive { pid } if leftover.interface == name => {
                return Err(vec![Refusal::Running { interface: name.to_owned(), pid }]);
            }
            Fate::Elsewhere { namespace } if leftover.interface == name => {
                let record = leftover.path.display().to_string();
                return Err(vec![Refusal::Elsewhere { record, interface: name.to_owned(), namespace }]);
            }
            Fate::Alive { .. } | Fate::Elsewhere { .. } | Fate::Gone => {}
            Fate::Dead if leftover.interface == name => own = Some(leftover),
            Fate::Dead => stale.push(leftover),
        }
    }
    let state = stale.iter().fold(state, |state, leftover| state.without(&leftover.changes));
    let Some(own) = own else { return Ok(Plan { stale, ..Draft::make(spec, &state)? }) };

    let fresh = Draft::make(spec, &state.clone().without(&own.changes))?;
    let wanted =
        |change: &Change| matches!(change.action, Action::Translate { .. }) || fresh.actions.contains(&change.action);
    if own.undoing || !own.changes.iter().all(wanted) {
        stale.push(own);
        return Ok(Plan { stale, ..fresh });
    }
    let rest = Draft::make(spec, &state)?;
    let mut notes = fresh.notes;
    if !own.changes.is_empty() {
        let done: Vec<_> = own.changes.iter().map(|change| change.action.to_string()).collect();
        notes.push(format!("taken over from a run that was killed: {}", done.join(", ")));
    }
    Ok(Plan { notes, made: fresh.made, adopted: own.changes, stale, ..rest })
}

/// A plan under construction.
struct Draft<'a> {
    spec: &'a NetworkSpec,
    state: &'a State,
    actions: Vec<Action>,
    notes: Vec<String>,
    warnings: Vec<Warning>,
    refusals: Vec<Refusal>,
}

impl<'a> Draft<'a> {
    fn make(spec: &'a NetworkSpec, state: &'a State) -> Result<Plan, Vec<Refusal>> {
        let mut draft = Draft { spec, state, actions: vec![], notes: vec![], warnings: vec![], refusals: vec![] };
        let names = [spec.link.name()].into_iter().chain(spec.link.ports().iter().map(String::as_str));
        draft
            .refusals
            .extend(names.filter(|name| !is_interface_name(name)).map(|name| Refusal::BadName(name.to_owned())));
        draft.link();
        let address = draft.address();
        draft.bring_up();
        if let Some(address) = address {
            draft.translate(address);
            draft.firewalls();
        }
        match address {
            Some(address) if draft.refusals.is_empty() => Ok(draft.finish(address)),
            _ => Err(draft.refusals),
        }
    }

    fn finish(self, address: Ipv4Net) -> Plan {
        let forwards = |action: &Action| matches!(action, Action::TurnOnForwarding | Action::SetForwarding { .. });
        let forwarding = self.actions.iter().any(forwards);
        let blocked = match self.actions.is_empty() {
            true => None,
            false if !self.state.may_change => Some(Refusal::NoRight),
            false => (forwarding && self.state.sysctls_read_only).then_some(Refusal::SysctlReadOnly),
        };
        Plan {
            interface: self.spec.link.name().to_owned(),
            address,
            made: self.actions.iter().any(|action| matches!(action, Action::MakeBridge { .. })),
            actions: self.actions,
            notes: self.notes,
            warnings: self.warnings,
            blocked,
            adopted: Vec::new(),
            stale: Vec::new(),
        }
    }

    fn own(&self) -> Option<&'a Link> {
        self.state.link(self.spec.link.name())
    }

    fn link(&mut self) {
        let name = self.spec.link.name();
        match (&self.spec.link, self.own()) {
            (LinkSpec::Bridge { .. }, None) => {
                self.actions
                    .push(Action::MakeBridge { name: name.to_owned(), mac: bridge_mac(&self.state.machine_id, name) });
            }
            (LinkSpec::Bridge { .. }, Some(link)) if link.kind.as_deref() == Some("bridge") => {
                self.notes.push(format!("bridge {name} is there already and is used as it is"));
                if link.alias.as_deref() == Some(ALIAS) {
                    self.notes
                        .push(format!("it bears lanboot's mark, but no record of it was found: ip link del {name}"));
                }
            }
            (LinkSpec::Bridge { .. }, Some(link)) => {
                let kind = link.kind.clone().unwrap_or_else(|| "a network card".to_owned());
                self.refusals.push(Refusal::NotABridge { name: name.to_owned(), kind });
            }
            (LinkSpec::Existing { .. }, None) => {
                self.refusals.push(Refusal::NoInterface { name: name.to_owned(), others: self.others() });
            }
            (LinkSpec::Existing { .. }, Some(_)) => {}
        }
        if let Some(controller) = self.own().and_then(|link| link.controller) {
            let controller = self.state.name_of(controller).to_owned();
            self.refusals.push(Refusal::IsAPort { name: name.to_owned(), controller });
        }
        for port in self.spec.link.ports() {
            self.port(port, name);
        }
    }

    fn port(&mut self, port: &str, bridge: &str) {
        let Some(link) = self.state.link(port) else {
            let (port, bridge) = (port.to_owned(), bridge.to_owned());
            self.refusals.push(Refusal::NoPort { port, bridge, others: self.others() });
            return;
        };
        let (port, bridge) = (port.to_owned(), bridge.to_owned());
        match link.controller {
            None => {
                self.refusals.extend(self.why_not_a_port(link, &bridge));
                self.actions.push(Action::Enslave { port: port.clone(), bridge });
            }
            Some(index) if self.own().is_some_and(|own| own.index == index) => {
                self.notes.push(format!("{port} is in {bridge} already"));
            }
            Some(index) => {
                let other = self.state.name_of(index).to_owned();
                self.refusals.push(Refusal::PortTaken { port: port.clone(), bridge, other });
            }
        }
        if !link.up {
            self.actions.push(Action::BringUp { interface: port });
        }
    }

    /// A port hands all its frames to the bridge: whatever the host itself does with it ends.
    fn why_not_a_port(&self, link: &Link, bridge: &str) -> Option<Refusal> {
        let (port, bridge) = (link.name.clone(), bridge.to_owned());
        let default = |route: &&Route| route.interface == link.index && route.to.prefix_len() == 0;
        if let Some(route) = self.state.routes.iter().find(default) {
            return Some(Refusal::PortHasDefaultRoute { port, bridge, via: route.via });
        }
        let own = self.state.addresses.iter().find(|address| address.interface == link.index && !address.link_local);
        own.map(|address| Refusal::PortHasAddress { port, bridge, address: address.net })
    }

    fn others(&self) -> Vec<String> {
        self.state.links.iter().filter(|link| link.name != "lo").map(|link| link.name.clone()).collect()
    }

    /// The address to serve from, and the action that sets it where it is not there.
    fn address(&mut self) -> Option<Ipv4Net> {
        let interface = self.spec.link.name().to_owned();
        let present: Vec<Ipv4Net> =
            self.own().map(|link| self.state.addresses_of(link.index).collect()).unwrap_or_default();
        let Some(address) = self.spec.address else {
            // Without the interface, its missing address is no news.
            if present.is_empty() && (self.own().is_some() || matches!(self.spec.link, LinkSpec::Bridge { .. })) {
                self.refusals.push(Refusal::NoAddress { interface });
            }
            return present.first().copied();
        };
        if present.contains(&address) {
            self.notes.push(format!("{interface} has {address} already"));
            return Some(address);
        }
        let short = address.prefix_len() <= 30;
        if short && address.addr() == address.network() {
            self.refusals.push(Refusal::NotAHost { address, what: "network address" });
        } else if short && address.addr() == address.broadcast() {
            self.refusals.push(Refusal::NotAHost { address, what: "broadcast address" });
        }
        self.overlaps(&interface, address);
        self.actions.push(Action::GiveAddress { interface, address });
        Some(address)
    }

    fn overlaps(&mut self, interface: &str, address: Ipv4Net) {
        let (state, own) = (self.state, self.own());
        let elsewhere = |route: &&Route| own.is_none_or(|own| own.index != route.interface);
        let clashes = |route: &&Route| route.to.contains(&address.trunc()) || address.contains(&route.to);
        let mut told = Vec::new();
        for route in state.routes.iter().filter(|route| route.to.prefix_len() > 0).filter(elsewhere).filter(clashes) {
            let other = state.name_of(route.interface).to_owned();
            // One subnet shows in several routes (network, own address, broadcast): the first tells enough.
            if told.contains(&other) {
                continue;
            }
            told.push(other.clone());
            match route.via {
                Some(via) if route.to.prefix_len() < address.prefix_len() => {
                    self.warnings.push(Warning::HidesPart { address, route: route.to, other, via });
                }
                _ => {
                    let route = route.to;
                    self.refusals.push(Refusal::Overlap { interface: interface.to_owned(), address, route, other });
                }
            }
        }
    }

    fn bring_up(&mut self) {
        let interface = self.spec.link.name().to_owned();
        if self.own().is_none_or(|link| !link.up) {
            self.actions.push(Action::BringUp { interface });
        }
    }

    fn translate(&mut self, address: Ipv4Net) {
        let interface = self.spec.link.name().to_owned();
        let subnet = address.trunc();
        let masquerade = self.spec.masquerade.then_some(subnet);
        let rules = Rules { interface: interface.clone(), masquerade, forwards: self.spec.forwards.clone() };
        if rules.is_empty() {
            return;
        }
        for forward in &rules.forwards {
            let outside = forward.interface.iter().filter(|name| self.state.link(name).is_none());
            let missing = outside.map(|name| Warning::ForwardNowhere { interface: name.clone(), port: forward.port });
            self.warnings.extend(missing);
        }
        self.actions.push(Action::Translate { rules });
        self.forwarding(interface);
    }

    fn forwarding(&mut self, interface: String) {
        if self.state.sysctl(IP_FORWARD) != Some("1") {
            self.actions.push(Action::TurnOnForwarding);
            return;
        }
        self.notes.push("IPv4 forwarding is on already".to_owned());
        // A bridge that is yet to be made will take the default.
        let own = self.own().map_or("default", |link| &link.name);
        if let Some(from) = self.state.sysctl(&sysctl::forwarding_of(own)).filter(|value| *value != "1") {
            self.actions.push(Action::SetForwarding { interface, from: from.to_owned(), to: "1".to_owned() });
        }
        let out = self
            .state
            .routes
            .iter()
            .find(|route| route.to.prefix_len() == 0)
            .map(|route| self.state.name_of(route.interface));
        let closed = out.filter(|out| self.state.sysctl(&sysctl::forwarding_of(out)) == Some("0"));
        self.warnings.extend(closed.map(|out| Warning::OutsideNotForwarding { interface: out.to_owned() }));
    }

    fn firewalls(&mut self) {
        let interface = self.spec.link.name();
        let routed = !self.actions.iter().all(|action| !matches!(action, Action::Translate { .. }));
        let is_bridge = matches!(self.spec.link, LinkSpec::Bridge { .. });
        let ours = |chain: &&crate::firewall::Chain| matches!(chain.family, Family::Ip | Family::Inet);
        let bases: Vec<_> = self.state.chains.iter().filter(ours).collect();
        for chain in bases.iter().filter(|chain| chain.drops) {
            if chain.hook == Some(Hook::Input)
                || chain.hook == Some(Hook::Forward) && (routed || self.bridge_filtered())
            {
                let keeper = keeper(chain, &self.state.chains);
                self.warnings.push(Warning::Drops { chain: (*chain).clone(), keeper, interface: interface.to_owned() });
            }
        }
        if self.state.legacy_filter {
            self.warnings.push(Warning::LegacyFilter { interface: interface.to_owned() });
        }
        // Harmless as long as nothing filters what is forwarded.
        let filtered = self.state.legacy_filter || bases.iter().any(|chain| chain.hook == Some(Hook::Forward));
        if is_bridge && self.bridge_filtered() && filtered {
            self.warnings.push(Warning::BridgeFiltered { interface: interface.to_owned() });
        }
    }

    fn bridge_filtered(&self) -> bool {
        self.state.bridge_calls_iptables && matches!(self.spec.link, LinkSpec::Bridge { .. })
    }
}

/// The kernel's own rule (dev_valid_name), plus `:`, which it allows but every tool reads as an alias.
fn is_interface_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == ':';
    (1..libc::IFNAMSIZ).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad)
}

/// A locally administered unicast address, the same at every start, so that clients need not ask for it anew.
fn bridge_mac(machine_id: &str, name: &str) -> Mac {
    // FNV-1a: any hash that never changes will do.
    let hash = machine_id
        .bytes()
        .chain([0])
        .chain(name.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
    let [_, _, a, b, c, d, e, f] = hash.to_be_bytes();
    Mac([a & 0xfc | 0x02, b, c, d, e, f])
}

#[cfg(test)]
mod tests;
