//! Serves DHCP on interfaces that come while we run, such as a bridge made later.

use std::io;
use std::thread;

use config::dnsmasq::lower::Where;
use config::{Config, Served};
use host::News;
use server::dhcp::{Link, Order, Orders, Sockets};
use server::net::{Interface, OpenError};

use crate::names::Choose;
use crate::{setup, up};

/// Follows the kernel's news in a thread of its own, which ends with the process.
///
/// # Errors
/// When the kernel gives no socket or thread.
pub fn follow(at: Where, config: &Config, orders: Orders) -> io::Result<()> {
    let news = News::open()?;
    let Some(terms) = &config.dhcp else { return Ok(()) };
    let (ports, listens_on_4011) = (terms.manners.ports, terms.listens_on_4011());
    let mut known = indexed(config.served.clone());
    let follow = move || {
        loop {
            let now = indexed(at.served_of(&setup::nics()));
            for (index, served) in now.iter().filter(|new| !known.contains(new)) {
                // One that was taken away and made again under its name is another one.
                let is_same = |(old, other): &(u32, Served)| old == index && other.interface == served.interface;
                match known.iter().any(is_same) {
                    true => orders.give(Order::Readdress {
                        interface: served.interface.clone(),
                        addresses: served.addresses.clone(),
                    }),
                    false => {
                        let open = |link: server::Link| link.open_dhcp(ports, listens_on_4011);
                        put(served, open, &orders);
                    }
                }
            }
            known = now;
            if news.wait().is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("links".into()).spawn(follow).map(drop)
}

/// Where DNS is answered, of whatever addresses there are.
pub fn dns_places(at: &Where) -> Choose {
    let at = at.clone();
    Box::new(move |nics| at.dns_at(nics))
}

/// Where DHCP is served, each with the interface's number.
fn indexed(served: Vec<Served>) -> Vec<(u32, Served)> {
    let heard = served.into_iter().filter(|served| served.dhcp || served.relays);
    heard.filter_map(|served| Some((Interface::named(&served.interface).ok()?.index, served))).collect()
}

fn put(served: &Served, open: impl FnOnce(server::Link) -> Result<(Link, Sockets), OpenError>, orders: &Orders) {
    let opened = up::open_link(served.clone()).map_err(|found| found.to_string());
    let opened = opened.and_then(|link| open(link).map_err(|error| error.to_string()));
    match opened {
        Ok(put) => orders.give(Order::PutLink(Box::new(put))),
        Err(error) => {
            let text = format!("{} is there now, but cannot be served: {error}", served.interface);
            orders.give(Order::Warn { text, fix: "start again".to_owned() });
        }
    }
}
