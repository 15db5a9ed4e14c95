//! The TFTP service: one task receives requests on the well-known port, and one small task per transfer goes with each
//! `tftp::Transfer` between its own socket, its file and the clock.

mod link;
mod session;
mod source;
mod tree;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use config::{Tftp, TransferPorts};
use journal::{Protocol, Step};
use tftp::{Arrival, ErrorCode, Limits, Packet, Request};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{Id, JoinSet};

use crate::files::{Open, Report};
use link::Origin;
use session::{Session, Signals};
pub use tree::{MacOf, Tree};

/// A transfer ends when it has not moved for this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// RFC 2347 has requests fit into 512 octets; some clients write long paths.
const REQUEST_OCTETS: usize = 2048;
/// Datagrams of one client that wait for its transfer on the shared port; more are as good as lost on the way.
const INBOX: usize = 32;
/// Before the service port is tried again after an error, such as an interface that went down.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Serves files until it is dropped, which also ends all transfers.
///
/// `socket`: bound to the service port, on the address that the transfers then come from (each from a port of its own)
/// and, where it is bound to an interface, through that interface. `open` finds the files; `report` gets every outcome.
///
/// # Errors
/// When the socket cannot be used with tokio; later errors are reported and survived.
pub async fn serve(socket: std::net::UdpSocket, settings: Tftp, open: Open, report: Report) -> io::Result<()> {
    let device = socket2::SockRef::from(&socket).device()?;
    let SocketAddr::V4(address) = socket.local_addr()? else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the TFTP service speaks IPv4 only"));
    };
    socket.set_nonblocking(true)?;
    let door = Arc::new(UdpSocket::from_std(socket)?);
    let origin = Origin { address: *address.ip(), device, ports: settings.ports, door };
    let service = Arc::new(Service { origin, settings, open, report });
    Door { service, sessions: JoinSet::new(), clients: HashMap::new(), was_full: false }.attend().await
}

/// What all transfers share.
struct Service {
    origin: Origin,
    settings: Tftp,
    open: Open,
    report: Report,
}

impl Service {
    fn limits(&self, mtu: u32) -> Limits {
        let Tftp { grants_blksize, max_blksize, max_windowsize, .. } = self.settings;
        let mtu = self.settings.mtu.map_or(mtu, |ceiling| mtu.min(ceiling));
        Limits { mtu, grants_blksize, max_blksize, max_windowsize, patience: PATIENCE }
    }
}

/// The well-known port, and who has come through it.
struct Door {
    service: Arc<Service>,
    sessions: JoinSet<()>,
    /// The latest transfer of each client address and port.
    clients: HashMap<SocketAddrV4, Client>,
    /// Requests are being left waiting, and that has been reported.
    was_full: bool,
}

struct Client {
    /// Its request to the octet: the same again is a retransmission.
    request: Vec<u8>,
    session: Id,
    signals: Arc<Signals>,
    inbox: Sender<Vec<u8>>,
}

impl Door {
    async fn attend(mut self) -> io::Result<()> {
        let mut buffer = [0; REQUEST_OCTETS];
        let door = self.service.origin.door.clone();
        loop {
            tokio::select! {
                received = door.recv_from(&mut buffer) => match received {
                    Ok((octets, SocketAddr::V4(client))) => self.receive(client, &buffer[..octets]).await,
                    Ok((_, SocketAddr::V6(_))) => {}
                    Err(error) => self.stumble(&error).await,
                },
                Some(ended) = self.sessions.join_next_with_id() => {
                    // A session that panicked has said so on standard error.
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.clients.retain(|_, client| client.session != id);
                }
            }
        }
    }

    async fn receive(&mut self, client: SocketAddrV4, datagram: &[u8]) {
        let from = client.ip();
        if from.is_unspecified() || from.is_broadcast() || from.is_multicast() || client.port() == 0 {
            return;
        }
        match tftp::arrival(datagram) {
            Arrival::Read(request) => self.begin(client, request, datagram),
            _ if self.pass_on(client, datagram) => {}
            Arrival::Refuse { code, message, name } => {
                // An ERROR is a courtesy (RFC 1350 section 7): it is not sent again, nor is its loss a loss.
                let _ = self.service.origin.send_once(client, &Packet::error(code, &message)).await;
                self.report_refusal(client, code, message, name);
            }
            Arrival::Ignore => {}
        }
    }

    /// Gives what is no request to the client's transfer, where transfers come from this port; false when there is none.
    fn pass_on(&self, client: SocketAddrV4, datagram: &[u8]) -> bool {
        let known = self.clients.get(&client).filter(|_| self.service.settings.ports == TransferPorts::Single);
        if let Some(known) = known {
            // Where the inbox is full or the transfer has just ended, it is as good as lost on the way.
            let _ = known.inbox.try_send(datagram.to_vec());
        }
        known.is_some()
    }

    fn begin(&mut self, client: SocketAddrV4, request: Request, datagram: &[u8]) {
        if let Some(known) = self.clients.get(&client) {
            if known.request == datagram && known.signals.expects_repeats() {
                return;
            }
            known.signals.client_began_anew();
        }
        if self.sessions.len() >= self.service.settings.most_transfers() {
            // Unanswered, the client asks again in a moment, when there may be room; an ERROR would end its boot.
            self.report_full(client);
            return;
        }
        self.was_full = false;
        let signals = Arc::<Signals>::default();
        let (inbox, arrived) = channel(INBOX);
        let session = Session::new(self.service.clone(), client, signals.clone());
        let session = self.sessions.spawn(session.run(request, arrived)).id();
        self.clients.insert(client, Client { request: datagram.to_vec(), session, signals, inbox });
    }

    fn report_refusal(&self, client: SocketAddrV4, code: ErrorCode, message: String, name: Option<String>) {
        let step = match name {
            Some(file) => Step::FileFailed { protocol: Protocol::Tftp, file, octets: 0, because: message },
            // Left over from a transfer that has ended: nobody needs to know.
            None if code == ErrorCode::UnknownTransferId => return,
            None => Step::Warning { text: format!("TFTP request from {client} refused: {message}"), fix: None },
        };
        (self.service.report)(*client.ip(), step);
    }

    fn report_full(&mut self, client: SocketAddrV4) {
        if std::mem::replace(&mut self.was_full, true) {
            return;
        }
        let most = self.service.settings.most_transfers();
        let text =
            format!("{most} TFTP transfers are open, the most allowed at once: {client} and others have to wait");
        let fix = match most < self.service.settings.max_transfers {
            true => "allow for more UDP ports: port_range in [tftp], tftp-port-range in the dnsmasq dialect",
            false => "allow for more: max_transfers in [tftp], tftp-max in the dnsmasq dialect",
        };
        let fix = Some(fix.to_owned());
        (self.service.report)(*client.ip(), Step::Warning { text, fix });
    }

    async fn stumble(&self, error: &io::Error) {
        let address = self.service.origin.address;
        let text = format!("TFTP requests cannot be received on {address}: {error}");
        (self.service.report)(address, Step::Warning { text, fix: None });
        tokio::time::sleep(PAUSE_AFTER_ERROR).await;
    }
}
