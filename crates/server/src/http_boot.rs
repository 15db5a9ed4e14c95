//! HTTP boot: files and generated scripts over HTTP/1.1, for firmware, iPXE, installers, and people with a browser.
//!
//! A few threads, each with an epoll of its own, serve all connections; what one connection needs is a small state of its
//! own ([`connection`]), so that ten thousand quiet ones cost a few megabytes. [`Dynamic`] is asked first, then the published
//! files, then their listing. Large files go out by sendfile(2), small ones from memory ([`shelf`]), all with an exact
//! length; connections are kept, as UEFI needs them to be.

mod answer;
mod conditions;
mod connection;
mod ledger;
mod page;
mod range;
mod ready;
mod request;
mod response;
mod roll;
mod shared;
mod shelf;
mod transmit;
mod worker;

use std::io;
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use journal::Role;

use crate::files::{Files, Open, Report};
pub use request::{Method, Request};
use shared::Shared;
use worker::Worker;

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

/// Everything that is served and told on some listeners.
pub struct Service {
    pub dynamic: Arc<dyn Dynamic>,
    /// Finds files by name: those of `files`, and others where these have none.
    pub open: Open,
    /// What is published, for the pages that list it, and to see at once when a file that is held in memory has changed.
    pub files: Arc<Files>,
    pub report: Report,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Each has its share of the connections.
    pub threads: usize,
    /// At most this many at once. A client beyond that takes the place of the connection that has waited longest for another
    /// request, among those of one thread; while all are busy it waits to be accepted.
    pub connections: usize,
    /// At most this many of one address; beyond that it takes places of its own, or is refused.
    pub of_one_client: usize,
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
        Limits::for_descriptors(1 << 12)
    }
}

impl Limits {
    /// What suits a process that may have so many open files and sockets (RLIMIT_NOFILE): an eighth of them is left to
    /// everything else, and clients that want the same file share its descriptor.
    pub fn for_descriptors(count: usize) -> Limits {
        let connections = (count - count / 8).clamp(64, 1 << 16);
        // With fewer than two, one slow disk would hold up all clients.
        let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, MAX_THREADS);
        Limits {
            threads,
            connections,
            of_one_client: connections / 4,
            head_octets: 16 * 1024,
            body_octets: 64 * 1024,
            request: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(60),
        }
    }
}

/// HTTP at work; dropping it ends it with all its connections.
pub struct HttpService {
    shared: Arc<Shared>,
    /// Says nothing, and ends when the last thread has.
    ended: Mutex<Receiver<()>>,
}

/// More threads than this wait for each other rather than for the network.
const MAX_THREADS: usize = 8;
/// A disk that does not answer may hold a thread.
const MAX_FAREWELL: Duration = Duration::from_millis(200);

impl HttpService {
    /// Serves on bound and listening sockets. `failed` is told why a thread had to give up.
    ///
    /// # Errors
    /// When the kernel gives no more threads or descriptors.
    pub fn start(
        serving: Vec<(Vec<TcpListener>, Service)>,
        limits: Limits,
        failed: impl Fn(io::Error) + Send + Sync + 'static,
    ) -> io::Result<HttpService> {
        let threads = limits.threads;
        let shared = Arc::new(Shared::new(serving, limits)?);
        let (running, ended) = mpsc::channel();
        let service = HttpService { shared: shared.clone(), ended: Mutex::new(ended) };
        let failed = Arc::new(failed);
        for number in 0..threads {
            let mut worker = Worker::new(shared.clone(), number)?;
            let (running, failed) = (running.clone(), failed.clone());
            let run = move || {
                let _running = running;
                if let Err(error) = worker.run() {
                    failed(error);
                }
            };
            std::thread::Builder::new().name("http".into()).spawn(run)?;
        }
        Ok(service)
    }
}

impl Drop for HttpService {
    fn drop(&mut self) {
        self.shared.stop();
        let (ended, until) = (self.ended.lock().expect("nobody panics with it"), Instant::now() + MAX_FAREWELL);
        let _ = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}
