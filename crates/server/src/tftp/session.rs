//! One transfer from request to outcome: its machine, its socket and its file.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use journal::{Protocol, Role, Step};
use tftp::{ErrorCode, Limits, Outcome, Packet, Request, Run, Transfer, Transmit};

use super::Service;
use super::link::Link;
use super::source::{Held, Source};
use crate::files::{FileError, Found};

/// A request that comes again this soon after the client was last heard is the network's repetition, not the client's.
const REPEATS_WITHIN: Duration = Duration::from_secs(1);

/// As much of a packet as tells whether it is an ACK, and of what.
const ACK_OCTETS: usize = 4;

/// A file that was opened for a client, and the way to it.
pub struct Opened {
    link: Link,
    /// As published.
    name: String,
    role: Role,
    source: Source,
    wire_octets: u64,
}

/// Why a session ended before its transfer did.
#[derive(Debug)]
enum Failure {
    File(FileError),
    Reading(io::Error),
    Socket(io::Error),
}

/// A transfer under way.
pub struct Session {
    client: SocketAddrV4,
    began: Instant,
    heard: Option<Instant>,
    link: Link,
    name: String,
    role: Role,
    source: Source,
    transfer: Transfer,
    /// What is to be sent as soon as a helper has read it.
    awaited: Option<Run>,
    send_error: Option<io::Error>,
}

/// What a session needs next.
#[derive(Debug)]
pub enum Next {
    /// A packet of its client, or this time.
    Wait(Instant),
    /// This run's octets, read by a helper: [`Source::fetch`], then [`Session::fetched`].
    Fetch(Source, Run),
    /// Nothing: it has ended, and this is to be told.
    End(Step),
}

/// Opens the way to a client and the file that it asks for. May wait for the disk.
///
/// # Errors
/// What is to be told; the client has been told.
pub fn open(service: &Service, client: SocketAddrV4, request: &Request) -> Result<Opened, Step> {
    let link = Link::open(&service.origin, client)
        .map_err(|error| Failure::Socket(error).told(service, client, &request.name, 0))?;
    let opened = || {
        let Found { name, role, size, content, .. } =
            (service.open)(*client.ip(), &request.name).map_err(Failure::File)?;
        let source = Source::new(content, size, request.mode, &service.shelf);
        Ok((name, role, source.map_err(Failure::Reading)?))
    };
    match opened() {
        Ok((name, role, (source, wire_octets))) => Ok(Opened { link, name, role, source, wire_octets }),
        Err(failure) => {
            // A courtesy: its loss is no loss (RFC 1350 section 7), the client asks again.
            let _ = link.send(&Failure::packet(&failure));
            Err(failure.told(service, client, &request.name, 0))
        }
    }
}

impl Opened {
    pub fn mtu(&self) -> u32 {
        self.link.mtu
    }

    /// Begins the transfer. `began`: when it was asked for.
    pub fn begin(
        self,
        now: Instant,
        client: SocketAddrV4,
        request: &Request,
        limits: &Limits,
        began: Instant,
    ) -> Session {
        let Opened { link, name, role, source, wire_octets } = self;
        let transfer = Transfer::new(now, request, wire_octets, limits);
        Session { client, began, heard: None, link, name, role, source, transfer, awaited: None, send_error: None }
    }
}

impl Session {
    /// Its socket, where it has one to itself.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.link.own()
    }

    pub fn client(&self) -> SocketAddrV4 {
        self.client
    }

    /// Whether the same request once more, from the same port, still belongs to this session.
    pub fn expects_repeats(&self, now: Instant) -> bool {
        self.heard.is_none_or(|heard| now.saturating_duration_since(heard) < REPEATS_WITHIN)
    }

    /// The client sent another request from the same port: it has given this transfer up.
    pub fn client_began_anew(&mut self) {
        self.transfer.handle_new_request();
    }

    /// Takes a datagram from its own socket.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<(), io::Error> {
        match self.link.receive(buffer) {
            Ok(octets) => self.hear(Instant::now(), &buffer[..octets]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.refused(buffer),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The client's port is closed. The kernel tells so before it gives out what came earlier: the last ACK, perhaps.
    fn refused(&mut self, buffer: &mut [u8]) {
        while let Ok(octets) = self.link.receive(buffer) {
            self.hear(Instant::now(), &buffer[..octets]);
        }
        self.transfer.handle_unreachable();
    }

    /// Takes what the client sent.
    pub fn hear(&mut self, now: Instant, datagram: &[u8]) {
        self.heard = Some(now);
        // What is no TFTP packet was mangled on the way, and counts as lost.
        if let Ok(packet) = Packet::parse(datagram) {
            self.transfer.handle(now, &packet);
        }
    }

    /// Looks at the clock.
    pub fn wake(&mut self, now: Instant) {
        self.transfer.handle_timeout(now);
    }

    /// Takes back what a helper had.
    pub fn fetched(&mut self, service: &Service, source: Source, result: io::Result<()>) -> Result<(), Step> {
        self.source = source;
        result.map_err(|error| {
            let failure = Failure::Reading(error);
            let _ = self.link.send(&failure.packet());
            self.failed(service, &failure)
        })
    }

    /// The socket failed: what is to be told.
    pub fn socket_failed(&self, service: &Service, error: io::Error) -> Step {
        self.failed(service, &Failure::Socket(error))
    }

    /// Sends all that is to be sent. `scratch`: room for file data, which holds none of other sessions.
    pub fn advance(&mut self, scratch: &mut Held) -> Next {
        while let Some(transmit) = self.next_transmit() {
            let sent = match transmit {
                Transmit::Packet(packet) => self.link.send(&packet),
                Transmit::Data(run) => match self.source.octets(&run, scratch) {
                    Some(octets) => self.link.send_run(&run, octets),
                    None => {
                        self.awaited = Some(run);
                        return Next::Fetch(std::mem::replace(&mut self.source, Source::Away), run);
                    }
                },
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.refused(&mut [0; ACK_OCTETS]),
                // As good as lost on the way: the timer sends it again.
                Err(error) => self.send_error = Some(error),
                Ok(()) => {}
            }
        }
        match (self.transfer.poll_timeout(), self.transfer.outcome()) {
            (Some(deadline), _) => Next::Wait(deadline),
            (None, outcome) => Next::End(self.told(outcome.expect("a transfer without a timer has ended"))),
        }
    }

    /// Reads what is to be sent next, while its client has yet to answer.
    pub fn read_ahead(&self, scratch: &mut Held) {
        if let Some(run) = self.transfer.upcoming() {
            self.source.read_ahead(&run, scratch);
        }
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        match (self.awaited, &self.source, self.transfer.outcome()) {
            (Some(_), Source::Away, None) => None,
            (Some(run), _, None) => {
                self.awaited = None;
                Some(Transmit::Data(run))
            }
            _ => self.transfer.poll_transmit(),
        }
    }

    fn told(&self, outcome: &Outcome) -> Step {
        let (protocol, file) = (Protocol::Tftp, self.name.clone());
        match *outcome {
            Outcome::Done { octets, retransmits, .. } => {
                let millis = self.began.elapsed().as_millis() as u64;
                Step::FileSent { protocol, file, role: self.role, octets, millis, retransmits }
            }
            Outcome::SizeProbe { octets } => Step::SizeProbe { protocol, file, octets },
            _ => {
                let because = match &self.send_error {
                    Some(error) => format!("{outcome}; sending to it failed: {error}"),
                    None => outcome.to_string(),
                };
                Step::FileFailed { protocol, file, octets: self.transfer.progress().octets, because }
            }
        }
    }

    fn failed(&self, service: &Service, failure: &Failure) -> Step {
        failure.told(service, self.client, &self.name, self.transfer.progress().octets)
    }
}

impl Failure {
    fn told(&self, service: &Service, client: SocketAddrV4, file: &str, octets: u64) -> Step {
        let (protocol, file) = (Protocol::Tftp, file.to_owned());
        let because = match self {
            Failure::File(error) if is_not_there(error) => {
                return Step::FileNotFound { protocol, file, because: error.to_string() };
            }
            Failure::File(error) => error.to_string(),
            Failure::Reading(error) => format!("it cannot be read: {error}"),
            Failure::Socket(error) => {
                format!("no socket to send from {} to {client}: {error}", service.origin.address)
            }
        };
        Step::FileFailed { protocol, file, octets, because }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_transfers_fit_into_little_memory() {
        assert!(size_of::<Session>() <= 600, "{} octets", size_of::<Session>());
    }
}
