//! The DHCPv4 service: one thread that receives a burst, asks the [`engine`], writes the leases once, and sends.

mod answer;
pub mod engine;
mod probes;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::ConflictCheck;
use dhcp::router_advert::RouterAdvert;
use ipnet::Ipv4Net;
use leases::{Clock, LeaseStore, UnixSecs};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::net::{ArpSocket, DhcpSocket, EchoSocket, RouterMessage, RouterSocket};
use crate::report::Reporter;
use engine::{Effect, Engine};

/// At most this many packets are taken before their leases are written: enough to share one write among a burst, few
/// enough that the first of them does not wait for the last.
const BURST: usize = 64;

/// What the service serves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our address on the link, with its prefix.
    pub address: Ipv4Net,
    pub dhcp: config::Dhcp,
    pub policy: Arc<boot::Policy>,
}

/// The sockets of the service, opened beforehand.
pub struct Sockets {
    pub dhcp: DhcpSocket,
    pub arp: ArpSocket,
    pub echo: EchoSocket,
    pub router: RouterSocket,
}

/// The running service; dropping it stops it.
pub struct DhcpService {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl DhcpService {
    /// Starts serving in a thread of its own.
    ///
    /// # Errors
    /// When the kernel gives no thread or event descriptor.
    pub fn start(
        settings: Settings,
        sockets: Sockets,
        store: Box<dyn LeaseStore>,
        reporter: Reporter,
    ) -> io::Result<DhcpService> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let engine = Engine::new(settings, store, reporter.machines.clone());
        let advert = RouterAdvert::default();
        let troubled = reporter.clone();
        let service = Loop { engine, advert, sockets, reporter, stop: stop.clone(), send_fails: false, is_gone: false };
        let run = move || {
            // A fault in here must not look like a quiet network.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.run())).is_err() {
                troubled
                    .warn("the DHCP service ended by a fault of its own", "start lanboot again, and report the fault");
            }
        };
        let thread = std::thread::Builder::new().name("dhcp".into()).spawn(run)?;
        Ok(DhcpService { stop, thread: Some(thread) })
    }
}

impl Drop for DhcpService {
    fn drop(&mut self) {
        // The counter of an event descriptor that is written once cannot overflow, the one way for this to fail.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    engine: Engine,
    advert: RouterAdvert,
    sockets: Sockets,
    reporter: Reporter,
    stop: Arc<EventFd>,
    /// That sending fails, and that the interface is gone, is said once.
    send_fails: bool,
    is_gone: bool,
}

impl Loop {
    fn run(mut self) {
        let mut buffer = vec![0; 4096];
        loop {
            let ready = self.wait();
            if ready.stop {
                return;
            }
            let now = clock();
            if ready.arp {
                while let Some((address, mac)) = self.sockets.arp.receive() {
                    self.engine.address_answered(now, address, Some(mac));
                }
                self.look_after_interface();
            }
            if ready.echo {
                while let Some(address) = self.sockets.echo.receive() {
                    self.engine.address_answered(now, address, None);
                }
            }
            if ready.router {
                self.answer_solicitations();
            }
            for _ in 0..BURST {
                let Some(octets) = self.sockets.dhcp.receive(&mut buffer) else { break };
                self.engine.handle(now, octets);
            }
            self.engine.handle_timeout(clock());
            self.engine.flush(now);
            self.act();
        }
    }

    fn wait(&self) -> Ready {
        let now = Instant::now();
        let timeout = self.engine.poll_timeout().map(|at| at.saturating_duration_since(now));
        // A millisecond more than asked, so as not to wake just before the deadline.
        let timeout = timeout.map_or(PollTimeout::NONE, |wait| {
            PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = [
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.sockets.dhcp.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.sockets.arp.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.sockets.echo.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.sockets.router.as_fd(), PollFlags::POLLIN),
        ];
        // An interrupted wait is a wait that found nothing.
        let _ = poll(&mut fds, timeout);
        let any = |at: usize| fds[at].any().unwrap_or(false);
        Ready { stop: any(0), arp: any(2), echo: any(3), router: any(4) }
    }

    /// Spares machines in iPXE the wait for an IPv6 router where there is none.
    fn answer_solicitations(&mut self) {
        while let Some(message) = self.sockets.router.receive() {
            let now = Instant::now();
            match message {
                RouterMessage::Advertisement => self.advert.router_heard(),
                RouterMessage::Solicitation { from, address } if self.reporter.machines.is_in_ipxe(from, now) => {
                    if self.advert.solicited(now, from) {
                        // Should this fail, the machine waits a little longer, as it would without us.
                        let _ = self.sockets.router.say_no_router(from, address);
                    }
                }
                RouterMessage::Solicitation { .. } => {}
            }
        }
    }

    fn act(&mut self) {
        for effect in self.engine.drain() {
            let result = match effect {
                Effect::Send(reply) => self.sockets.dhcp.send(&reply),
                Effect::Probe { address, how: ConflictCheck::Icmp } => self.sockets.echo.ask(address),
                Effect::Probe { address, .. } => self.sockets.arp.ask(address),
                Effect::Happened { machine, step } => {
                    self.reporter.step(machine, step);
                    continue;
                }
            };
            match result {
                Ok(()) => self.send_fails = false,
                Err(error) if !std::mem::replace(&mut self.send_fails, true) => {
                    let text = format!("DHCP packets cannot be sent: {error}");
                    self.reporter.warn(&text, "see whether the interface is still there and up");
                }
                Err(_) => {}
            }
        }
    }

    /// Packet sockets wake us when their interface goes down or away.
    fn look_after_interface(&mut self) {
        let gone = self.sockets.arp.interface_is_gone();
        if gone && !std::mem::replace(&mut self.is_gone, true) {
            self.reporter.warn(
                "the interface that we serve on was deleted: no machine reaches us any more",
                "end lanboot and start it again",
            );
        }
    }
}

struct Ready {
    stop: bool,
    arp: bool,
    echo: bool,
    router: bool,
}

fn clock() -> Clock {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Clock { wall: UnixSecs(wall), running: Instant::now() }
}
