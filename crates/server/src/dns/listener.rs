//! An address of ours that answers: queries over UDP taken and answered by the dozen.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Instant;

use config::DnsAt;
use dns::{Client, Handled, Transport};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::{AbortHandle, spawn_local};

use super::{Burst, Edge, tcp};
use crate::net::DnsSockets;
use crate::net::burst::{BURST, Departures, Way};

/// Bursts after which others of this thread have their turn.
const BURSTS: usize = 8;

pub(super) struct Listener {
    pub at: DnsAt,
    pub address: SocketAddr,
    /// The kernel's number of its interface; 0: there is none of this name now.
    pub index: Cell<u32>,
    by: u64,
    /// Watched for queries alone: that there is room for replies again is of no interest.
    udp: AsyncFd<std::net::UdpSocket>,
    /// Replies that came later, and are to be sent together.
    pending: RefCell<Vec<(SocketAddr, Vec<u8>)>>,
    tasks: RefCell<Vec<AbortHandle>>,
}

impl Listener {
    /// `by`: what its clients are known by.
    ///
    /// # Errors
    /// When the kernel has no room to watch the sockets.
    pub fn start(edge: &Rc<Edge>, sockets: DnsSockets, by: u64) -> io::Result<Rc<Listener>> {
        let DnsSockets { at, address, udp, tcp } = sockets;
        let tcp = tokio::net::TcpListener::from_std(tcp)?;
        // SAFETY: the socket owns its descriptor, and is dropped after it is watched no more.
        let udp = unsafe { AsyncFd::register_with_interest(udp, Interest::READABLE) }?;
        let listener = Rc::new(Listener {
            at,
            address,
            index: Cell::default(),
            by,
            udp,
            pending: RefCell::default(),
            tasks: RefCell::default(),
        });
        let tasks = [
            spawn_local(hear(edge.clone(), listener.clone())),
            spawn_local(tcp::accept(edge.clone(), listener.clone(), tcp)),
        ];
        listener.tasks.borrow_mut().extend(tasks.iter().map(|task| task.abort_handle()));
        Ok(listener)
    }

    pub fn stop(&self) {
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }

    /// A reply for [`Listener::send_pending`].
    pub fn push(&self, to: SocketAddr, octets: Vec<u8>) {
        self.pending.borrow_mut().push((to, octets));
    }

    pub fn send_pending(&self, replies: &mut Departures) {
        let socket = self.udp.get_ref().as_fd();
        for (to, octets) in self.pending.borrow_mut().drain(..) {
            *replies.next() = octets;
            replies.push(Way::To(to));
            if replies.is_full() {
                send(replies, socket);
            }
        }
        send(replies, socket);
    }

    /// Answers what has come. Returns whether there may be more.
    fn serve(&self, edge: &Edge, burst: &mut Burst) -> bool {
        let socket = self.udp.get_ref().as_fd();
        let Burst { arrivals, replies } = burst;
        let Ok(count) = arrivals.receive(socket) else { return false };
        let now = Instant::now();
        let (mut resolver, mut clients) = (edge.resolver.borrow_mut(), edge.clients.borrow_mut());
        for at in 0..count {
            let Some(arrived) = arrivals.arrived(at) else { continue };
            if arrived.from.port() == 0 || !clients.admit(arrived.from.ip(), arrived.interface, &edge.reporter) {
                continue;
            }
            let client = Client {
                address: arrived.from,
                local: self.at.address,
                interface: arrived.interface,
                transport: Transport::Udp,
                by: self.by,
            };
            if resolver.handle_query(now, &client, arrived.octets, replies.next()) == Handled::Reply {
                replies.push(Way::To(arrived.from));
            }
        }
        send(replies, socket);
        if resolver.has_work() {
            edge.orders.wake();
        }
        count == BURST
    }
}

/// A reply that cannot be sent is lost, as replies are: who asked asks again.
fn send(replies: &mut Departures, socket: BorrowedFd<'_>) {
    let _ = replies.send(socket);
}

async fn hear(edge: Rc<Edge>, listener: Rc<Listener>) {
    while let Ok(mut ready) = listener.udp.readable().await {
        let more = || {
            // Who was given a lease just now may ask for its name already.
            edge.obey();
            edge.guarded(|| listener.serve(&edge, &mut edge.burst.borrow_mut())).unwrap_or(true)
        };
        if (0..BURSTS).all(|_| more()) {
            tokio::task::yield_now().await;
        } else {
            ready.clear_ready();
        }
    }
}
