//! The TFTP service: one thread receives requests on the well-known port, and goes with each `tftp::Transfer` between its
//! own socket, its file and the clock. Helpers open files, and read what is not in memory.

mod attendant;
mod clients;
mod helpers;
mod link;
mod session;
mod sessions;
mod shelf;
mod source;
mod text;
mod tree;
mod watch;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use config::Tftp;
use journal::Step;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tftp::Limits;

use crate::files::{Open, Report};
use attendant::Attendant;
use link::Origin;
use shelf::Shelf;
pub use tree::{MacOf, Tree};

/// A transfer ends when it has not moved for this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Blocks on their way to all clients together, where each can have a few: a tenth of a second of a gigabit link. More
/// would only wait before the cable, until the clients' patience ends.
const BLOCKS_UNDER_WAY: usize = 8192;
/// A window of so many blocks is granted in any storm; it is what UEFI asks for.
const SMALL_WINDOW: usize = 4;

/// The running service; dropping it ends it and all transfers.
pub struct TftpService {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl TftpService {
    /// Starts serving in threads of its own.
    ///
    /// `socket`: bound to the service port, on the address that the transfers then come from (each from a port of its own)
    /// and, where it is bound to an interface, through that interface. `open` finds the files; `report` gets every outcome.
    ///
    /// # Errors
    /// When the kernel gives no more threads or descriptors; later errors are reported and survived.
    pub fn start(socket: UdpSocket, settings: Tftp, open: Open, report: Report) -> io::Result<TftpService> {
        let device = socket2::SockRef::from(&socket).device()?;
        let SocketAddr::V4(address) = socket.local_addr()? else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the TFTP service speaks IPv4 only"));
        };
        socket.set_nonblocking(true)?;
        let origin = Origin { address: *address.ip(), device, ports: settings.ports, door: Arc::new(socket) };
        let service = Arc::new(Service { origin, settings, open, report, shelf: Shelf::default() });
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let attendant = Attendant::new(service.clone(), stop.clone())?;
        let attend = move || {
            if let Err(error) = attendant.attend() {
                service.warn(format!("the TFTP service ended: {error}"), Some("start lanboot again"));
            }
        };
        let thread = thread::Builder::new().name("tftp".into()).spawn(attend)?;
        Ok(TftpService { stop, thread: Some(thread) })
    }
}

impl Drop for TftpService {
    fn drop(&mut self) {
        self.stop.write(1).expect("one is far from the most that it counts to");
        // A thread that panicked has said so on standard error.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What all transfers share.
struct Service {
    origin: Origin,
    settings: Tftp,
    open: Open,
    report: Report,
    shelf: Shelf,
}

impl Service {
    /// `mtu`: that of the path to the client. `transfers`: how many there are.
    fn limits(&self, mtu: u32, transfers: usize) -> Limits {
        let Tftp { grants_blksize, max_blksize, max_windowsize, .. } = self.settings;
        let mtu = self.settings.mtu.map_or(mtu, |ceiling| mtu.min(ceiling));
        let share = (BLOCKS_UNDER_WAY / transfers.max(1)).max(SMALL_WINDOW);
        let max_windowsize = max_windowsize.min(share.try_into().unwrap_or(u16::MAX));
        Limits { mtu, grants_blksize, max_blksize, max_windowsize, patience: PATIENCE }
    }

    fn warn(&self, text: String, fix: Option<&str>) {
        (self.report)(self.origin.address, Step::Warning { text, fix: fix.map(str::to_owned) });
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn windows_grow_smaller_with_the_number_of_transfers() {
        let door = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let settings = Tftp::default();
        let origin = Origin { address: Ipv4Addr::LOCALHOST, device: None, ports: settings.ports, door };
        let open: Open = Arc::new(|_, _| unreachable!("nobody asks"));
        let service = Service { origin, settings, open, report: Arc::new(|_, _| ()), shelf: Shelf::default() };
        let granted = [0, 1, 128, 1000, 5000].map(|transfers| service.limits(1500, transfers).max_windowsize);
        assert_eq!(granted, [64, 64, 64, 8, 4]);
    }
}
