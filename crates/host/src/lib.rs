//! The computer we run on: its bridge, its address translation, its ports, and how to leave it as it was found.
//!
//! [`plan`] looks and says what has to be done; [`apply`] does it, with each change on record beforehand;
//! [`Applied::undo`] takes all of it back, and [`undo_leftovers`] does so for a run that was killed. Everything blocks,
//! and works on the network namespace of the calling thread.

mod apply;
mod checks;
mod finding;
mod firewall;
pub mod ipxe;
mod nat;
pub mod neighbours;
mod netlink;
mod news;
mod plan;
mod ports;
mod record;
mod resolvers;
mod rtnl;
mod state;
mod sysctl;
mod tap;
mod undo;
pub mod watch;

use std::fmt;
use std::net::SocketAddrV4;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use apply::{Applied, ApplyError, Failure, apply};
pub use checks::{Right, check, check_rights, kernel_features, missing_rights};
pub use finding::{Finding, Refusal, Severity, Warning};
pub use firewall::{Chain, Family, Hook, Keeper};
pub use nat::{Nat, Rules};
pub use netlink::NetlinkError;
pub use news::News;
pub use plan::{Action, Plan, PlanError, plan};
pub use ports::{Holder, holders};
pub use record::RecordError;
pub use resolvers::{name_servers, resolvers};
pub use tap::{Tap, TapError};
pub use undo::{UndoError, Undone, undo_leftovers};

/// The network that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    pub link: LinkSpec,
    /// What to serve from, with its prefix; `None`: the first address that the interface has.
    pub address: Option<Ipv4Net>,
    /// Let what leaves the subnet go out under the host's own address.
    pub masquerade: bool,
    pub forwards: Vec<ForwardSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkSpec {
    /// A bridge, made when it is not there, with these ports put into it.
    Bridge { name: String, ports: Vec<String> },
    /// An interface that is there.
    Existing { name: String },
}

impl LinkSpec {
    pub fn name(&self) -> &str {
        match self {
            LinkSpec::Bridge { name, .. } | LinkSpec::Existing { name } => name,
        }
    }

    pub(crate) fn ports(&self) -> &[String] {
        match self {
            LinkSpec::Bridge { ports, .. } => ports,
            LinkSpec::Existing { .. } => &[],
        }
    }
}

/// A port outside that leads to a machine inside (DNAT).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardSpec {
    pub transport: Transport,
    /// Only what arrives here; `None`: on any interface but our own.
    pub interface: Option<String>,
    pub port: u16,
    pub to: SocketAddrV4,
}

impl fmt::Display for ForwardSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForwardSpec { transport, interface, port, to } = self;
        match interface {
            Some(interface) => write!(f, "forward {transport} port {port} on {interface} to {to}"),
            None => write!(f, "forward {transport} port {port} to {to}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Tcp,
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        })
    }
}

/// A network interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number.
    pub index: u32,
    pub name: String,
    /// IPv4, in the kernel's order.
    pub addresses: Vec<Ipv4Net>,
    /// IPv6, link-local ones included.
    pub v6: Vec<Ipv6Net>,
    pub is_loopback: bool,
}

/// All interfaces of this network namespace; none when the kernel does not tell.
pub fn interfaces() -> Vec<Interface> {
    let Ok((links, addresses)) = rtnl::Rtnl::open().and_then(|mut rtnl| Ok((rtnl.links()?, rtnl.addresses()?))) else {
        return Vec::new();
    };
    let interface = |link: rtnl::Link| Interface {
        index: link.index,
        addresses: state::v4_of(&addresses, link.index).collect(),
        v6: state::v6_of(&addresses, link.index).collect(),
        is_loopback: link.name == "lo",
        name: link.name,
    };
    links.into_iter().map(interface).collect()
}

/// The first IPv4 address of an interface, with its prefix; `None`: no such interface, or it has none.
pub fn address_of(interface: &str) -> Option<Ipv4Net> {
    interfaces().into_iter().find(|it| it.name == interface)?.addresses.first().copied()
}
