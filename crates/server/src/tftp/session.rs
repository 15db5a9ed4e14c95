//! One transfer from request to outcome: its machine, its socket, its file and the clock.

use std::io;
use std::net::SocketAddrV4;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use journal::{Protocol, Role, Step};
use tftp::{ErrorCode, Outcome, Packet, Request, Run, Transfer, Transmit};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;

use super::Service;
use super::link::Link;
use super::source::Source;
use crate::files::{FileError, Found};

/// A request that comes again this soon after the client was last heard is the network's repetition, not the client's.
const REPEATS_WITHIN: Duration = Duration::from_secs(1);
/// An ACK, or an ERROR with a sentence in it. What is longer is cut, and may be.
const ANSWER_OCTETS: usize = 600;

/// What the receiver of requests and a session tell each other.
#[derive(Debug, Default)]
pub struct Signals {
    heard: Mutex<Option<Instant>>,
    began_anew: Notify,
}

impl Signals {
    /// Whether the same request once more, from the same port, still belongs to this session.
    pub fn expects_repeats(&self) -> bool {
        self.heard().is_none_or(|heard| heard.elapsed() < REPEATS_WITHIN)
    }

    /// The client sent another request from the same port: it has given this transfer up.
    pub fn client_began_anew(&self) {
        self.began_anew.notify_one();
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.heard.lock().expect("nobody panics while holding an instant")
    }
}

pub struct Session {
    service: Arc<Service>,
    client: SocketAddrV4,
    signals: Arc<Signals>,
    began: Instant,
}

/// The file of a session.
struct Served {
    /// As published.
    name: String,
    role: Role,
    source: Source,
    wire_octets: u64,
}

/// Why a session ended before its transfer did.
enum Failure {
    File(FileError),
    Reading(io::Error),
    Socket(io::Error),
}

impl Session {
    pub fn new(service: Arc<Service>, client: SocketAddrV4, signals: Arc<Signals>) -> Session {
        Session { service, client, signals, began: Instant::now() }
    }

    /// `inbox`: what the client sends to the service's own port, where transfers come from there.
    pub async fn run(self, request: Request, inbox: Receiver<Vec<u8>>) {
        let link = match Link::open(&self.service.origin, self.client, inbox) {
            Ok(link) => link,
            Err(error) => return self.report_failure(&request.name, 0, &Failure::Socket(error)),
        };
        match self.open(&request).await {
            Ok(served) => self.carry(&request, link, served).await,
            Err(failure) => {
                // A courtesy: its loss is no loss (RFC 1350 section 7), the client asks again.
                let _ = link.send(&failure.packet()).await;
                self.report_failure(&request.name, 0, &failure);
            }
        }
    }

    /// Opens the file, and reads its beginning while at it.
    async fn open(&self, request: &Request) -> Result<Served, Failure> {
        let (open, client) = (self.service.open.clone(), *self.client.ip());
        let (asked, mode) = (request.name.clone(), request.mode);
        let opened = spawn_blocking(move || {
            let Found { name, role, size, content, .. } = open(client, &asked).map_err(Failure::File)?;
            let mut source = Source::new(content, mode);
            let wire_octets = source.wire_octets(size).map_err(Failure::Reading)?;
            source.fill(0, wire_octets.min(1)).map_err(Failure::Reading)?;
            Ok(Served { name, role, source, wire_octets })
        });
        opened.await.unwrap_or_else(|error| Err(Failure::Reading(error.into())))
    }

    async fn carry(self, request: &Request, mut link: Link, served: Served) {
        let Served { name, role, mut source, wire_octets } = served;
        let mtu = match link.mtu() {
            Ok(mtu) => mtu,
            Err(error) => return self.report_failure(&name, 0, &Failure::Socket(error)),
        };
        let mut transfer = Transfer::new(Instant::now(), request, wire_octets, &self.service.limits(mtu));
        let mut send_error = None;
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut began_anew = pin!(self.signals.began_anew.notified());
        let mut answer = [0; ANSWER_OCTETS];
        let outcome = loop {
            while let Some(transmit) = transfer.poll_transmit() {
                let sent = match transmit {
                    Transmit::Packet(packet) => link.send(&packet).await,
                    Transmit::Data(run) => {
                        source = match hold(source, &run).await {
                            Ok(source) => source,
                            Err(error) => {
                                let failure = Failure::Reading(error);
                                let _ = link.send(&failure.packet()).await;
                                return self.report_failure(&name, transfer.progress().octets, &failure);
                            }
                        };
                        let octets = source.held(run.offset, run.octets).expect("`hold` has just read it");
                        link.send_run(&run, octets).await
                    }
                };
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => transfer.handle_unreachable(),
                    // As good as lost on the way: the timer sends it again.
                    Err(error) => send_error = Some(error),
                    Ok(()) => {}
                }
            }
            let Some(deadline) = transfer.poll_timeout() else { break transfer.outcome() };
            // The timer may well ring early, since most packets put it off; setting it for each would cost more.
            if timer.is_elapsed() || timer.deadline() > deadline.into() {
                timer.as_mut().reset(deadline.into());
            }
            tokio::select! {
                received = link.receive(&mut answer) => match received {
                    Ok(octets) => {
                        let now = Instant::now();
                        *self.signals.heard() = Some(now);
                        // What is no TFTP packet was mangled on the way, and counts as lost.
                        if let Ok(packet) = Packet::parse(&answer[..octets]) {
                            transfer.handle(now, &packet);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => transfer.handle_unreachable(),
                    Err(error) => return self.report_failure(&name, transfer.progress().octets, &Failure::Socket(error)),
                },
                () = &mut timer => transfer.handle_timeout(Instant::now()),
                () = &mut began_anew => transfer.handle_new_request(),
            }
        };
        let outcome = outcome.expect("a transfer without a timer has ended");
        self.report_outcome(name, role, outcome, transfer.progress().octets, send_error);
    }

    fn report_outcome(&self, file: String, role: Role, outcome: &Outcome, acked: u64, send_error: Option<io::Error>) {
        let protocol = Protocol::Tftp;
        let step = match *outcome {
            Outcome::Done { octets, retransmits, .. } => {
                let millis = self.began.elapsed().as_millis() as u64;
                Step::FileSent { protocol, file, role, octets, millis, retransmits }
            }
            Outcome::SizeProbe { octets } => Step::SizeProbe { protocol, file, octets },
            _ => {
                let because = match send_error {
                    Some(error) => format!("{outcome}; sending to it failed: {error}"),
                    None => outcome.to_string(),
                };
                Step::FileFailed { protocol, file, octets: acked, because }
            }
        };
        (self.service.report)(*self.client.ip(), step);
    }

    fn report_failure(&self, file: &str, octets: u64, failure: &Failure) {
        let (protocol, file) = (Protocol::Tftp, file.to_owned());
        let step = match failure {
            Failure::File(error) if is_not_there(error) => {
                Step::FileNotFound { protocol, file, because: error.to_string() }
            }
            Failure::File(error) => Step::FileFailed { protocol, file, octets, because: error.to_string() },
            Failure::Reading(error) => {
                Step::FileFailed { protocol, file, octets, because: format!("it cannot be read: {error}") }
            }
            Failure::Socket(error) => {
                let because =
                    format!("no socket to send from {} to {}: {error}", self.service.origin.address, self.client);
                Step::FileFailed { protocol, file, octets, because }
            }
        };
        (self.service.report)(*self.client.ip(), step);
    }
}

impl Failure {
    /// What the client is told: the kind of failure only, for the details are the host's own.
    fn packet(&self) -> Vec<u8> {
        let (code, message) = match self {
            Failure::File(FileError::LeadsOutside { .. }) => {
                (ErrorCode::AccessViolation, "this name leads outside of what is published")
            }
            Failure::File(error) if is_not_there(error) => (ErrorCode::FileNotFound, "no such file is published"),
            Failure::File(_) => (ErrorCode::AccessViolation, "this file is not given out"),
            Failure::Reading(_) => (ErrorCode::NotDefined, "the file cannot be read"),
            Failure::Socket(_) => (ErrorCode::NotDefined, "the server is out of order"),
        };
        Packet::error(code, message)
    }
}

/// Whether, as far as a client is concerned, there is no such file.
fn is_not_there(error: &FileError) -> bool {
    match error {
        FileError::NotFound { .. }
        | FileError::NotAFile { .. }
        | FileError::BadName { .. }
        | FileError::LeadsOutside { .. } => true,
        FileError::NotReadable { .. } | FileError::Withheld { .. } | FileError::Broken { .. } => false,
    }
}

/// Sees to it that the file data of `run` is held, reading in a thread that may wait for the disk.
async fn hold(mut source: Source, run: &Run) -> io::Result<Source> {
    source.settle(run.settled);
    if source.held(run.offset, run.octets).is_some() {
        return Ok(source);
    }
    let (settled, until) = (run.settled, run.offset + run.octets as u64);
    let filled = spawn_blocking(move || source.fill(settled, until).map(|()| source));
    filled.await.unwrap_or_else(|error| Err(error.into()))
}
