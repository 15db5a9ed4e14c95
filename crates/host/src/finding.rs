//! What stands in the way of a plan, and what may spoil it, each with its remedy.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::firewall::{Chain, Hook, Keeper};

/// One thing to tell the user, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub text: String,
    pub fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but perhaps not as meant.
    Warning,
    /// It cannot work.
    Problem,
}

/// Why a plan cannot be made or carried out. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{0}` cannot be the name of an interface: 1 to 15 characters, no blank, `/` or `:`")]
    BadName(String),
    #[error("there is no interface {name} here{}", among(.others))]
    NoInterface { name: String, others: Vec<String> },
    #[error("{name} is there already, but it is not a bridge (it is {kind})")]
    NotABridge { name: String, kind: String },
    #[error("there is no interface {port} here that could become a port of {bridge}{}", among(.others))]
    NoPort { port: String, bridge: String, others: Vec<String> },
    #[error("{port} cannot be put into bridge {bridge}: it is a port of {other} already")]
    PortTaken { port: String, bridge: String, other: String },
    #[error("{port} cannot be put into bridge {bridge}: the host itself uses it with {address}, and would lose that")]
    PortHasAddress { port: String, bridge: String, address: IpNet },
    #[error("{port} cannot be put into bridge {bridge}: the host's default route leads through it{}", through(.via))]
    PortHasDefaultRoute { port: String, bridge: String, via: Option<Ipv4Addr> },
    #[error("{name} is a port of {controller}: what arrives on it goes to {controller}, and we would never see it")]
    IsAPort { name: String, controller: String },
    #[error("{interface} has no IPv4 address to serve from")]
    NoAddress { interface: String },
    #[error("{address} on {interface} clashes with {route} on {other}: the host would not know which way to send")]
    Overlap { interface: String, address: Ipv4Net, route: Ipv4Net, other: String },
    #[error("{address} cannot be a host's address: it is the {what} of {}", .address.trunc())]
    NotAHost { address: Ipv4Net, what: &'static str },
    #[error("changing the host's network needs the right CAP_NET_ADMIN, which this process lacks")]
    NoRight,
    #[error("IPv4 forwarding has to be turned on, but /proc/sys is read-only here, as containers have it")]
    SysctlReadOnly,
    #[error("lanboot (pid {pid}) serves {interface} already")]
    Running { interface: String, pid: u32 },
    #[error("{record} tells of changes to {interface} in another network namespace, which still exists ({namespace})")]
    Elsewhere { record: String, interface: String, namespace: String },
}

impl Refusal {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Refusal::BadName(_) => "choose a name such as `net` or `br-boot`".to_owned(),
            Refusal::NoInterface { name, .. } => {
                format!("name an interface that exists (`ip -br link` lists them), or let a bridge be made: --bridge {name}=10.0.1.1/24")
            }
            Refusal::NotABridge { name, .. } => {
                format!("choose another name for the bridge, or use {name} as it is, as an existing interface")
            }
            Refusal::NoPort { .. } => "name a port that exists (`ip -br link` lists them), or leave it out".to_owned(),
            Refusal::PortTaken { port, other, .. } => {
                format!("use {other} itself, or take the port out of it: ip link set dev {port} nomaster")
            }
            Refusal::PortHasAddress { port, address, .. } => format!(
                "use another port, or serve on {port} as it is, or, if the host can do without: ip address del {address} dev {port}"
            ),
            Refusal::PortHasDefaultRoute { port, .. } => {
                format!("use another port, or serve on {port} as it is, as an existing interface")
            }
            Refusal::IsAPort { controller, .. } => format!("serve on {controller}"),
            Refusal::NoAddress { interface } => {
                format!("give one in the configuration, or by hand: ip address add 10.0.1.1/24 dev {interface}")
            }
            Refusal::Overlap { .. } => {
                "choose a subnet that is free (`ip route` lists those in use), such as 10.87.0.1/24".to_owned()
            }
            Refusal::NotAHost { address, .. } => match address.hosts().next() {
                Some(first) if first != address.addr() => format!("use {first}/{}", address.prefix_len()),
                _ => "use an address inside the subnet, such as 10.0.1.1/24".to_owned(),
            },
            Refusal::NoRight => {
                "run it as root (sudo), or give a service AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE"
                    .to_owned()
            }
            Refusal::SysctlReadOnly => {
                "turn it on from outside: sysctl -w net.ipv4.ip_forward=1 on the host, or start the container with --sysctl net.ipv4.ip_forward=1"
                    .to_owned()
            }
            Refusal::Running { pid, .. } => format!("stop that one first: kill {pid}"),
            Refusal::Elsewhere { namespace, .. } => {
                format!("run `nsenter --net={namespace} lanboot down`, or use another state folder here")
            }
        }
    }
}

impl From<&Refusal> for Finding {
    fn from(refusal: &Refusal) -> Finding {
        Finding { severity: Severity::Problem, text: refusal.to_string(), fix: refusal.fix() }
    }
}

/// What may keep machines from booting although every step of the plan is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A base chain drops what none of its rules accepts.
    Drops { chain: Chain, keeper: Keeper, interface: String },
    /// iptables' old modules hold a filter table that only the old program can list.
    LegacyFilter { interface: String },
    /// Frames from one port of the bridge to another pass the packet filter for routed packets.
    BridgeFiltered { interface: String },
    /// The interface that a forwarded port waits on is not there (yet).
    ForwardNowhere { interface: String, port: u16 },
    /// Our subnet takes a part of a wider one that was reached elsewhere.
    HidesPart { address: Ipv4Net, route: Ipv4Net, other: String, via: Ipv4Addr },
    /// Forwarding is on in general, but not for the interface that the default route leads through.
    OutsideNotForwarding { interface: String },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Drops { chain, keeper, interface } => {
                let who = match keeper {
                    Keeper::Docker => "Docker's packet filter",
                    Keeper::Ufw => "ufw",
                    Keeper::Firewalld => "firewalld",
                    Keeper::Unknown => "a packet filter",
                };
                let what = match chain.hook {
                    Some(Hook::Input) => format!("DHCP, TFTP and HTTP requests that arrive on {interface}"),
                    _ => format!("what machines on {interface} send to other networks, and the answers"),
                };
                write!(f, "{who} drops what no rule of it accepts (nftables chain {chain}): perhaps also {what}")
            }
            Warning::LegacyFilter { interface } => {
                write!(f, "iptables' older kind holds a filter table, which may drop what {interface} needs")
            }
            Warning::BridgeFiltered { interface } => write!(
                f,
                "br_netfilter sends frames between two ports of {interface} through the packet filter for forwarded packets"
            ),
            Warning::ForwardNowhere { interface, port } => {
                write!(f, "port {port} is forwarded from {interface}, but there is no such interface now")
            }
            Warning::HidesPart { address, route, other, via } => {
                write!(
                    f,
                    "{} hides a part of {route}, which the host reaches through {via} on {other}",
                    address.trunc()
                )
            }
            Warning::OutsideNotForwarding { interface } => {
                write!(
                    f,
                    "forwarding is off for {interface}, where the default route leads: answers will not come back"
                )
            }
        }
    }
}

impl Warning {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Warning::Drops { chain, keeper, interface } => accept(chain, *keeper, interface),
            Warning::LegacyFilter { interface } => format!(
                "look at `iptables-legacy -S`; if FORWARD drops: iptables-legacy -I FORWARD -i {interface} -j ACCEPT; \
                 iptables-legacy -I FORWARD -o {interface} -j ACCEPT"
            ),
            Warning::BridgeFiltered { .. } => "sysctl -w net.bridge.bridge-nf-call-iptables=0".to_owned(),
            Warning::ForwardNowhere { .. } => "correct the name, or leave it out to forward from anywhere".to_owned(),
            Warning::HidesPart { .. } => "choose another subnet if those hosts are needed".to_owned(),
            Warning::OutsideNotForwarding { interface } => {
                format!("sysctl -w {}=1", crate::sysctl::dotted(&crate::sysctl::forwarding_of(interface)))
            }
        }
    }
}

/// The command that lets our packets through `chain`, in the words of its keeper.
fn accept(chain: &Chain, keeper: Keeper, interface: &str) -> String {
    let forward = chain.hook != Some(Hook::Input);
    match keeper {
        Keeper::Docker if forward => format!(
            "iptables -I DOCKER-USER -i {interface} -j ACCEPT; iptables -I DOCKER-USER -o {interface} -j ACCEPT"
        ),
        Keeper::Ufw if forward => format!("ufw route allow in on {interface}; ufw route allow out on {interface}"),
        Keeper::Ufw => format!("ufw allow in on {interface}"),
        Keeper::Firewalld => format!("firewall-cmd --zone=trusted --add-interface={interface}"),
        _ if forward => format!(
            "nft insert rule {chain} iifname {interface} accept; nft insert rule {chain} oifname {interface} accept"
        ),
        _ => format!("nft insert rule {chain} iifname {interface} accept"),
    }
}

impl From<&Warning> for Finding {
    fn from(warning: &Warning) -> Finding {
        Finding { severity: Severity::Warning, text: warning.to_string(), fix: warning.fix() }
    }
}

fn among(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!(" (there are {})", others.join(", ")) }
}

fn through(gateway: &Option<Ipv4Addr>) -> String {
    gateway.map(|gateway| format!(" (via {gateway})")).unwrap_or_default()
}
