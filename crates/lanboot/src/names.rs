//! What the DNS service is told of this computer: its files, its interfaces, and the addresses that it answers at.

use std::io;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use config::{Dns, DnsAt, Nic};
use dns::resolver::Interface;
use host::News;
use ipnet::IpNet;
use server::Bound;
use server::dns::{Order, Orders};
use server::dns_log::DnsLog;
use server::net::DnsSockets;

use crate::name_files::{Follower, NameFiles};
use crate::setup;

/// An address that moves from one interface to another is free again this soon.
const MOVES: Duration = Duration::from_millis(20);
const MOVE_TRIES: usize = 50;

/// Chooses where to answer among the addresses there are.
pub type Choose = Box<dyn Fn(&[Nic]) -> Vec<DnsAt> + Send>;

/// What is known, and is to be followed once the service runs.
pub struct Names {
    files: NameFiles,
    port: u16,
    at: Vec<Place>,
}

/// With the kernel's number of the interface: one that was made again under its name is another one.
type Place = (u32, DnsAt);

impl Names {
    /// Has the service begin with what is known. `us`: our address on the network that is served. `log`: where reading
    /// files is told of, in place of the journal.
    pub fn prepare(bound: &mut Bound, dns: &Dns, us: Option<Ipv4Addr>, log: Option<DnsLog>) -> Names {
        bound.order_dns(Order::Interfaces(interfaces()));
        if let Some(log) = &log {
            bound.order_dns(Order::LogTo(log.clone()));
        }
        let mut files = NameFiles::new(dns, us, log);
        files.read().into_iter().for_each(|order| bound.order_dns(order));
        Names { files, port: dns.port, at: numbered(dns.at.clone()) }
    }

    /// Tells the service of all that changes, in threads that end with the process. `choose`: where it answers at
    /// addresses that come and go.
    ///
    /// # Errors
    /// When the kernel gives no more threads or sockets.
    pub fn follow(self, orders: Orders, choose: Option<Choose>) -> io::Result<Follower> {
        let news = News::open()?;
        let places = choose.map(|choose| Places { choose, port: self.port, at: self.at, orders: orders.clone() });
        let told = orders.clone();
        thread::Builder::new().name("addresses".into()).spawn(move || follow_addresses(&news, &told, places))?;
        self.files.follow(orders)
    }
}

fn follow_addresses(news: &News, orders: &Orders, mut places: Option<Places>) {
    let mut known = Vec::new();
    loop {
        let now = interfaces();
        if now != known {
            orders.give(Order::Interfaces(now.clone()));
            known = now;
        }
        places.iter_mut().for_each(Places::follow);
        if news.wait().is_err() {
            return;
        }
    }
}

/// Where the service answers.
struct Places {
    choose: Choose,
    port: u16,
    at: Vec<Place>,
    orders: Orders,
}

impl Places {
    fn follow(&mut self) {
        let mut wanted = numbered((self.choose)(&setup::nics()));
        for (_, gone) in self.at.iter().filter(|place| !wanted.contains(place)) {
            self.orders.give(Order::Unlisten(gone.clone()));
        }
        wanted.retain(|place| self.at.contains(place) || self.listen(&place.1));
        self.at = wanted;
    }

    fn listen(&self, at: &DnsAt) -> bool {
        let mut opened = DnsSockets::open(at, self.port);
        for _ in 0..MOVE_TRIES {
            match &opened {
                Err(error) if error.source.kind() == io::ErrorKind::AddrInUse && self.had(at) => thread::sleep(MOVES),
                _ => break,
            }
            opened = DnsSockets::open(at, self.port);
        }
        match opened {
            Ok(sockets) => {
                self.orders.give(Order::Listen(sockets));
                true
            }
            Err(error) => {
                let text = format!("{} is there now, but DNS cannot be answered there: {error}", at.address);
                let fix = format!("see who has the port: ss -lnp 'sport = :{}'", self.port);
                self.orders.give(Order::Warn { text, fix });
                false
            }
        }
    }

    /// We answered at this address so far, on another interface or another of this name.
    fn had(&self, at: &DnsAt) -> bool {
        self.at.iter().any(|(_, old)| old.address == at.address)
    }
}

fn numbered(at: Vec<DnsAt>) -> Vec<Place> {
    let interfaces = host::interfaces();
    let number = |at: &DnsAt| interfaces.iter().find(|it| it.name == at.interface).map(|it| it.index);
    at.into_iter().filter_map(|at| Some((number(&at)?, at))).collect()
}

/// The interfaces of this computer, as the DNS service knows them.
fn interfaces() -> Vec<Interface> {
    let interface = |of: host::Interface| Interface {
        index: of.index,
        name: of.name,
        addresses: of.addresses.into_iter().map(IpNet::V4).chain(of.v6.into_iter().map(IpNet::V6)).collect(),
    };
    host::interfaces().into_iter().map(interface).collect()
}
