//! HTTP boot: files and generated scripts over HTTP/1.1, for firmware, iPXE, installers, and people with a browser.
//!
//! One task per connection, requests answered in order. [`Dynamic`] is asked first, then the published files, then
//! their listing. Files go out by sendfile(2) with an exact length; connections are kept, as UEFI needs them to be.

mod conditions;
mod connection;
mod ledger;
mod page;
mod range;
mod request;
mod response;
mod transmit;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use journal::Role;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::files::{Files, Open, Report};
pub use request::{Method, Request};

/// Content made on the spot. Asked before the files, for every method.
pub trait Dynamic: Send + Sync {
    /// `None`: not mine. Must not block; a HEAD is answered like a GET, its body is left out on the wire.
    fn respond(&self, request: &Request) -> Option<Generated>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// What it is to the boot; `None`: delivering it is no event.
    pub role: Option<Role>,
    /// What the journal calls it.
    pub name: String,
}

/// Everything that is served and told.
pub struct Service {
    pub dynamic: Arc<dyn Dynamic>,
    pub open: Open,
    /// For the pages that list what is published.
    pub files: Arc<Files>,
    pub report: Report,
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most this many at once; further ones wait to be accepted.
    pub connections: usize,
    pub head_octets: usize,
    pub body_octets: usize,
    /// From a request's first octet to its last, and from the connection to the first request.
    pub request: Duration,
    /// Between requests. Firmware ponders over a HEAD for a while before its GET.
    pub idle: Duration,
    /// How long a client may take none of the octets that wait for it. iPXE is slow, and a slow machine is not a dead one.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            head_octets: 16 * 1024,
            body_octets: 64 * 1024,
            request: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(60),
        }
    }
}

/// Serves on a bound and listening socket until dropped; then its connections end as well.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve(listener: std::net::TcpListener, service: Service) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(service.limits.connections));
    let service = Arc::new(service);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, SocketAddr::V4(client))) => {
                let service = service.clone();
                connections.spawn(async move {
                    connection::run(stream, client, &service).await;
                    drop(slot);
                });
            }
            // Boot clients speak IPv4; the listener is bound to such an address.
            Ok((_, SocketAddr::V6(_))) => {}
            // The client is gone already, or we are out of descriptors, which passes when others hang up.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
