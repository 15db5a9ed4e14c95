//! All services of one network: their sockets opened first, then everything started together.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use config::DnsAt;
use ipnet::Ipv4Net;
use journal::{Journal, Step};
use leases::{LeaseStore, Record};

use crate::dhcp::{self, DhcpService, Order};
use crate::dns::{self, DnsService};
use crate::files::{Files, Report};
use crate::http_boot::{self, HttpService, Limits};
use crate::machines::{self, Machines};
use crate::made::Made;
use crate::net::{
    self, ArpSocket, DhcpSocket, DnsSockets, EchoSocket, ForwardSocket, Interface, OpenError, PxeSocket, RouterSocket,
};
use crate::report::Reporter;
use crate::tftp::{self, TftpService};

/// What is served, and where.
pub struct Settings {
    /// At least one.
    pub links: Vec<Link>,
    pub dhcp: Option<config::Dhcp>,
    pub tftp: Option<config::Tftp>,
    pub http: Option<config::Http>,
    pub dns: Option<config::Dns>,
    pub policy: boot::Policy,
    pub files: Files,
    pub file_rules: config::FileRules,
}

/// An interface that is served.
#[derive(Clone, Debug)]
pub struct Link {
    pub interface: Interface,
    /// Ours on it, with their prefixes; at least one. Clients are told the first.
    pub addresses: Vec<Ipv4Net>,
    pub dhcp: bool,
    /// Heard for servers' answers to our relays, whether served or not.
    pub relays: bool,
    /// The interface in whose place this one is served.
    pub in_place_of: Option<String>,
    pub tftp: bool,
}

impl Link {
    /// Not merely as a port of another, or for answers to relays.
    fn is_itself_served(&self) -> bool {
        self.in_place_of.is_none() && (self.dhcp || self.tftp || !self.relays)
    }

    /// The sockets for DHCP on this link, with PXE's if wanted, beside how the service knows it.
    ///
    /// # Errors
    /// The first socket that cannot be had.
    pub fn open_dhcp(
        &self,
        ports: config::Ports,
        listens_on_4011: bool,
    ) -> Result<(dhcp::Link, dhcp::Sockets), OpenError> {
        let (interface, address) = (&self.interface, self.address().addr());
        let sockets = dhcp::Sockets {
            dhcp: DhcpSocket::open(interface, &self.addresses, ports)?,
            pxe: listens_on_4011.then(|| PxeSocket::open(interface, address)).transpose()?,
            arp: ArpSocket::open(interface)?,
            echo: EchoSocket::open(interface)?,
            router: RouterSocket::open(interface)?,
        };
        let link = dhcp::Link {
            interface: interface.name.clone(),
            name: self.in_place_of.as_ref().unwrap_or(&interface.name).clone(),
            addresses: self.addresses.clone(),
            serves: self.dhcp,
        };
        Ok((link, sockets))
    }

    fn address(&self) -> Ipv4Net {
        self.addresses[0]
    }
}

/// The sockets of all services, open but not served yet: clients that come now wait in the kernel.
pub struct Bound {
    settings: Settings,
    dhcp: Vec<(dhcp::Link, dhcp::Sockets)>,
    forward: Option<ForwardSocket>,
    /// Each with the link that it is on.
    tftp: Vec<(Link, UdpSocket)>,
    http: Vec<(Link, Vec<TcpListener>)>,
    orders: Vec<Order>,
    dns: Vec<DnsSockets>,
    dns_orders: Vec<dns::Order>,
}

/// The services at work; dropping it ends them all.
pub struct Running {
    pub dhcp: Option<DhcpService>,
    pub dns: Option<DnsService>,
    _tftp: Vec<TftpService>,
    _http: Option<HttpService>,
    pub machines: Arc<Machines>,
}

impl Bound {
    /// Opens every socket, or none.
    ///
    /// # Errors
    /// The first socket that cannot be had; its port tells whom to look for.
    pub fn open(settings: Settings) -> Result<Bound, OpenError> {
        let (mut dhcp, mut tftp, mut http) = (Vec::new(), Vec::new(), Vec::new());
        let listens_on_4011 = settings.dhcp.as_ref().is_some_and(config::Dhcp::listens_on_4011);
        for link in &settings.links {
            let (interface, address) = (&link.interface, link.address().addr());
            if let Some(terms) = settings.dhcp.as_ref().filter(|_| link.dhcp || link.relays) {
                dhcp.push(link.open_dhcp(terms.manners.ports, listens_on_4011)?);
            }
            if let Some(settings) = settings.tftp.as_ref().filter(|_| link.tftp) {
                tftp.push((link.clone(), interface.tftp(address, settings.port)?));
            }
            if let Some(settings) = settings.http.as_ref().filter(|_| link.is_itself_served()) {
                http.push((link.clone(), interface.http(address, settings.port)?));
            }
        }
        let relays = settings.dhcp.as_ref().is_some_and(|dhcp| !dhcp.relays.is_empty());
        let forward = relays.then(ForwardSocket::open).transpose()?;
        let dns = settings.dns.as_ref().map(|dns| open_dns(dns, &settings.links)).transpose()?.unwrap_or_default();
        Ok(Bound { settings, dhcp, forward, tftp, http, orders: Vec::new(), dns, dns_orders: Vec::new() })
    }

    /// What the DHCP service is to do before it serves.
    pub fn order(&mut self, order: Order) {
        self.orders.push(order);
    }

    /// What the DNS service is to do before it serves.
    pub fn order_dns(&mut self, order: dns::Order) {
        self.dns_orders.push(order);
    }

    /// Starts serving. `store`: where leases are kept; not used when DHCP is off.
    ///
    /// # Errors
    /// When the kernel gives no more threads or descriptors.
    pub fn start(self, store: Box<dyn LeaseStore>, journal: Journal) -> io::Result<Running> {
        let Bound { settings, dhcp, forward, tftp, http, mut orders, dns, dns_orders } = self;
        let machines = Arc::new(Machines::default());
        remember(&machines, store.as_ref());
        let reporter = Reporter { journal, machines: machines.clone() };
        let policy = Arc::new(settings.policy);
        let files = Arc::new(settings.files.under(settings.file_rules));
        // What is made for a machine names us as its network reaches us.
        let made = |link: &Link| {
            let (server, network) = (link.address().addr(), link.address().trunc());
            Arc::new(Made { policy: policy.clone(), reporter: reporter.clone(), server, network })
        };
        let report: Report = {
            let reporter = reporter.clone();
            Arc::new(move |client, step| reporter.step_at(client, step))
        };
        let listening = |service: &str, port: u16, address: Ipv4Addr| Step::Listening {
            service: service.into(),
            at: SocketAddr::from((address, port)),
        };
        let mut serving_tftp = Vec::new();
        if let Some(settings) = settings.tftp {
            for (link, socket) in tftp {
                reporter.step(None, listening("TFTP", settings.port, link.address().addr()));
                let mac_of = mac_of(&link.interface, &machines);
                let tree = tftp::Tree::new(&files, &settings, &link.interface.name, mac_of);
                let open = made(&link).behind(move |client, asked| tree.open(client, asked));
                serving_tftp.push(TftpService::start(socket, settings.clone(), open, report.clone())?);
            }
        }
        if let Some(http) = &settings.http {
            for link in settings.links.iter().filter(|link| link.is_itself_served()) {
                reporter.step(None, listening("HTTP", http.port, link.address().addr()));
            }
        }
        let serving = |(link, listeners)| {
            let (made, published) = (made(&link), files.clone());
            let open = made.behind(move |_, asked| published.open(asked));
            (listeners, http_boot::Service { open, dynamic: made, files: files.clone(), report: report.clone() })
        };
        let serving: Vec<_> = http.into_iter().map(serving).collect();
        let failed = {
            let reporter = reporter.clone();
            move |error| reporter.warn(&format!("a thread of HTTP ended: {error}"), "start lanboot again")
        };
        let limits = Limits::for_descriptors(net::raise_descriptor_limit());
        let start_http = || HttpService::start(serving, limits, failed);
        let http = settings.http.map(|_| start_http()).transpose()?;
        let start_dns = |config| DnsService::start(config, dns, reporter.clone(), dns_orders);
        let dns = settings.dns.map(start_dns).transpose()?;
        if let Some((dns, terms)) = dns.as_ref().zip(settings.dhcp.as_ref()) {
            let mut names = dns::Names::new(dns.orders(), terms.clone());
            let watcher = Box::new(move |change| names.take(change));
            orders.push(Order::Watch { in_detail: false, watcher });
        }
        let dhcp = match settings.dhcp {
            Some(terms) if !dhcp.is_empty() => {
                let (links, sockets): (Vec<_>, Vec<_>) = dhcp.into_iter().unzip();
                for (link, sockets) in links.iter().zip(&sockets).filter(|(link, _)| link.serves) {
                    reporter.step(None, listening("DHCP", terms.manners.ports.server, link.addresses[0].addr()));
                    if sockets.pxe.is_some() {
                        reporter.step(None, listening("PXE", 4011, link.addresses[0].addr()));
                    }
                }
                let settings = dhcp::Settings { links, dhcp: terms, policy };
                Some(DhcpService::start(settings, sockets, forward, store, reporter, orders)?)
            }
            _ => None,
        };
        Ok(Running { dhcp, dns, _tftp: serving_tftp, _http: http, machines })
    }
}

/// DNS's sockets: where the configuration says, or where all else is served from.
fn open_dns(config: &config::Dns, links: &[Link]) -> Result<Vec<DnsSockets>, OpenError> {
    let of_link = |link: &Link| DnsAt { interface: link.interface.name.clone(), address: link.address().addr().into() };
    let own = || links.iter().filter(|link| link.is_itself_served()).map(of_link).collect();
    let at = if config.at.is_empty() { own() } else { config.at.clone() };
    at.iter().map(|at| DnsSockets::open(at, config.port)).collect()
}

/// The lease records tell whose the addresses are that were given before we were started.
fn remember(machines: &Machines, store: &dyn LeaseStore) {
    let holder = |record: &Record| Some((record.free_from(), record.binding()?.mac, record.address));
    let mut held: Vec<_> = store.table().iter().filter_map(holder).collect();
    // Of a million those that were heard of last matter: their leases end last.
    if held.len() > machines::MOST {
        held.select_nth_unstable_by(machines::MOST, |one, other| other.cmp(one));
        held.truncate(machines::MOST);
    }
    let now = std::time::Instant::now();
    held.into_iter().for_each(|(_, mac, address)| machines.has_address(mac, address, now));
}

/// Who has an address on this interface: whom the kernel has heard there, else whom we gave it to.
fn mac_of(interface: &Interface, machines: &Arc<Machines>) -> tftp::MacOf {
    let (interface, machines) = (interface.name.clone(), machines.clone());
    Arc::new(move |address| net::mac_of(&interface, address).or_else(|| machines.by_address(address)))
}
