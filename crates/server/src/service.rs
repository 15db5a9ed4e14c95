//! All services of one network: their sockets opened first, then everything started together.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use journal::{Journal, Step};
use leases::LeaseStore;
use tokio::runtime::Runtime;

use crate::dhcp::{self, DhcpService};
use crate::files::{Files, Report};
use crate::http_boot::{self, Limits};
use crate::machines::Machines;
use crate::made::Made;
use crate::net::{ArpSocket, DhcpSocket, EchoSocket, Interface, OpenError, RouterSocket};
use crate::report::Reporter;
use crate::tftp;

/// What is served, and where.
pub struct Settings {
    pub interface: Interface,
    /// Our address on the link, with its prefix.
    pub address: Ipv4Net,
    pub dhcp: Option<config::Dhcp>,
    pub tftp: Option<config::Tftp>,
    pub http: Option<config::Http>,
    pub policy: boot::Policy,
    pub files: Files,
}

/// The sockets of all services, open but not served yet: clients that come now wait in the kernel.
pub struct Bound {
    settings: Settings,
    dhcp: Option<dhcp::Sockets>,
    tftp: Option<UdpSocket>,
    http: Vec<TcpListener>,
}

/// The services at work; dropping it ends them all.
pub struct Running {
    _dhcp: Option<DhcpService>,
    runtime: Option<Runtime>,
    pub machines: Arc<Machines>,
}

impl Bound {
    /// Opens every socket, or none.
    ///
    /// # Errors
    /// The first socket that cannot be had; its port tells whom to look for.
    pub fn open(settings: Settings) -> Result<Bound, OpenError> {
        let (interface, address) = (&settings.interface, settings.address.addr());
        let dhcp = match &settings.dhcp {
            Some(_) => Some(dhcp::Sockets {
                dhcp: DhcpSocket::open(interface, address)?,
                arp: ArpSocket::open(interface)?,
                echo: EchoSocket::open(interface)?,
                router: RouterSocket::open(interface)?,
            }),
            None => None,
        };
        let tftp = settings.tftp.as_ref().map(|tftp| interface.tftp(address, tftp.port)).transpose()?;
        let http = settings.http.as_ref().map(|http| interface.http(address, http.port)).transpose()?;
        Ok(Bound { settings, dhcp, tftp, http: http.unwrap_or_default() })
    }

    /// Starts serving. `store`: where leases are kept; not used when DHCP is off.
    ///
    /// # Errors
    /// When the kernel gives no more threads or descriptors.
    pub fn start(self, store: Box<dyn LeaseStore>, journal: Journal) -> io::Result<Running> {
        let Bound { settings, dhcp, tftp, http } = self;
        let machines = Arc::new(Machines::default());
        remember(&machines, store.as_ref());
        let reporter = Reporter { journal, machines: machines.clone() };
        let policy = Arc::new(settings.policy);
        let server = settings.address.addr();
        let network = settings.address.trunc();
        let made = Arc::new(Made { policy: policy.clone(), reporter: reporter.clone(), server, network });
        let files = Arc::new(settings.files);
        let open = made.before(files.clone());
        let report: Report = {
            let reporter = reporter.clone();
            Arc::new(move |client, step| reporter.step_at(client, step))
        };
        let listening = |service: &str, port: u16, address: Ipv4Addr| Step::Listening {
            service: service.into(),
            at: SocketAddrV4::new(address, port),
        };
        // File services share two threads: enough for hundreds of transfers, and both cores of a small machine.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(8)
            .thread_name("files")
            .enable_all()
            .build()?;
        if let (Some(socket), Some(tftp)) = (tftp, settings.tftp) {
            reporter.step(None, listening("TFTP", tftp.port, server));
            runtime.spawn(watched("TFTP", reporter.clone(), tftp::serve(socket, tftp, open.clone(), report.clone())));
        }
        if let Some(http) = &settings.http {
            reporter.step(None, listening("HTTP", http.port, server));
        }
        for listener in http {
            let service = http_boot::Service {
                dynamic: made.clone(),
                open: open.clone(),
                files: files.clone(),
                report: report.clone(),
                limits: Limits::default(),
            };
            runtime.spawn(watched("HTTP", reporter.clone(), http_boot::serve(listener, service)));
        }
        let dhcp = match (dhcp, settings.dhcp) {
            (Some(sockets), Some(terms)) => {
                reporter.step(None, listening("DHCP", 67, server));
                let settings = dhcp::Settings { address: settings.address, dhcp: terms, policy };
                Some(DhcpService::start(settings, sockets, store, reporter)?)
            }
            _ => None,
        };
        Ok(Running { _dhcp: dhcp, runtime: Some(runtime), machines })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }
}

/// The lease records tell whose the addresses are that were given before we were started.
fn remember(machines: &Machines, store: &dyn LeaseStore) {
    let now = std::time::Instant::now();
    for record in store.list() {
        if let Some(binding) = record.binding() {
            machines.has_address(binding.mac, record.address, now);
        }
    }
}

/// A service that ends by itself has failed, and somebody should know.
async fn watched<T>(name: &'static str, reporter: Reporter, service: impl Future<Output = io::Result<T>>) {
    if let Err(error) = service.await {
        reporter.warn(&format!("the {name} service ended: {error}"), "start lanboot again");
    }
}
