//! How other threads tell the running service to do something.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use config::DnsAt;
use dns::resolver::{Interface, Statistics};
use dns::settings::Server;
use tokio::sync::Notify;

use crate::dns_log::DnsLog;
use crate::net::DnsSockets;

/// What the running service can be told.
pub enum Order {
    /// Serve by this from now on; where it is served, and from which files, is for other orders to say.
    Reconfigure(Box<config::Dns>),
    /// The upstream servers by resolv.conf, in its order.
    Servers(Vec<Server>),
    /// Hosts files as they are now.
    Hosts(Vec<dns::hosts::File>),
    /// Our interfaces as they are now.
    Interfaces(Vec<Interface>),
    /// Answer here too.
    Listen(DnsSockets),
    /// No longer answer here.
    Unlisten(DnsAt),
    LeaseGiven(dns::local::Lease),
    LeaseEnded(Ipv4Addr),
    /// Tell the journal what this client looks up, for the time that a boot takes.
    Watch(IpAddr),
    ClearCache,
    Statistics(Sender<Statistics>),
    /// Hand the lines of the query log to this.
    LogTo(DnsLog),
    /// Say this to whoever runs us, and what to do about it.
    Warn {
        text: String,
        fix: String,
    },
    Stop,
}

impl Order {
    /// Whether who is asked, or who may ask, depends on it.
    pub(super) fn changes_what_is_asked(&self) -> bool {
        use Order::{Interfaces, Listen, Reconfigure, Servers, Unlisten};
        matches!(self, Reconfigure(_) | Servers(_) | Interfaces(_) | Listen(_) | Unlisten(_))
    }
}

/// So many orders that nobody waits for are taken along at the latest.
const GATHERED: usize = 512;

/// Tells the running service to do something, from any thread.
#[derive(Clone, Default)]
pub struct Orders(Arc<Queue>);

#[derive(Default)]
struct Queue {
    orders: Mutex<Vec<Order>>,
    /// Looked at before queries are answered, so that whoever was told of a change sees it.
    any: AtomicBool,
    wake: Notify,
}

impl Orders {
    pub fn give(&self, order: Order) {
        self.push(order);
        self.wake();
    }

    /// Gives an order that shows only in answers: it is obeyed before the next query, or when many have gathered. Leases come by
    /// the thousand, and a thread that is woken for each costs more than the lease.
    pub fn give_for_later(&self, order: Order) {
        if self.push(order).is_multiple_of(GATHERED) {
            self.wake();
        }
    }

    /// Returns how many wait.
    fn push(&self, order: Order) -> usize {
        let mut orders = self.0.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push(order);
        self.0.any.store(true, Ordering::Release);
        orders.len()
    }

    /// Makes [`Orders::woken`] return, though there is no order.
    pub(super) fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    pub(super) fn take(&self) -> Vec<Order> {
        if !self.0.any.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.0.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
