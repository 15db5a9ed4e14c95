//! How requests are answered where the RFCs leave a choice.

use std::net::Ipv4Addr;
use std::time::Duration;

use boot::matching::{TagExpr, Tags};

/// The default is what lanboot.toml means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manners {
    /// Domains of parts of the network, in order of precedence; [`crate::Dhcp::domain`] is everybody else's.
    pub domains: Vec<DomainOf>,
    /// Clients that want to update the DNS themselves may (option 81).
    pub client_updates: bool,
    /// Two machines may have one name if their domains differ.
    pub names_with_domains: bool,
    /// What these machines call themselves does not count.
    pub ignore_names: Vec<TagExpr>,
    /// These machines are named by their MAC when they have no other name.
    pub generate_names: Vec<TagExpr>,
    /// These are answered by broadcast.
    pub broadcast: Vec<TagExpr>,
    /// BOOTP clients that get an address, for ever, even though none is laid down for them.
    pub bootp: Vec<TagExpr>,
    /// How long offers wait, in order of precedence.
    pub delays: Vec<(TagExpr, Duration)>,
    /// A client that asks for it gets its lease at once (RFC 4039).
    pub rapid_commit: bool,
    pub ports: Ports,
}

/// The domain of the machines with these addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainOf {
    pub first: Ipv4Addr,
    /// Inclusive.
    pub last: Ipv4Addr,
    pub name: String,
}

/// UDP ports of DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub server: u16,
    pub client: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { server: 67, client: 68 }
    }
}

impl Manners {
    /// How long an offer to a request with these tags waits: as the last line with tags that hold says, else the last
    /// line without.
    pub fn delay(&self, tags: &Tags) -> Duration {
        let met = self.delays.iter().filter_map(|(when, delay)| Some((when.met(tags)?, *delay)));
        met.max_by_key(|(met, _)| *met).map_or(Duration::ZERO, |(_, delay)| delay)
    }
}

impl crate::Dhcp {
    /// The domain of the machine with this address.
    pub fn domain_of(&self, address: Ipv4Addr) -> Option<&str> {
        let holds = |of: &&DomainOf| (of.first..=of.last).contains(&address);
        let own = self.manners.domains.iter().find(holds).map(|of| of.name.as_str());
        own.or(self.domain.as_deref())
    }
}
