//! One client's connection: request after request, until either side has had enough.

use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use journal::{Protocol, Role, Step};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::conditions::Validators;
use super::ledger::{Ledger, Sending};
use super::request::{self, BadRequest, Head};
use super::response::{Body, Response};
use super::transmit::{self, Broken};
use super::{Generated, Method, Request, Service, page};
use crate::files::{Content, FileError, Found};

/// Octets that may wait in the kernel unsent. More would only make the journal and the cancelling of dead machines late.
const UNSENT_OCTETS: u32 = 256 * 1024;

/// A request of a boot client fits easily.
const READ_OCTETS: usize = 2048;

/// How often acknowledgements are looked for while some are missing.
const SETTLE_INTERVAL: Duration = Duration::from_millis(20);

/// How long a client is listened to after the last answer, so that our closing does not cut that answer off.
const LINGER: Duration = Duration::from_secs(2);

struct Connection<'s> {
    service: &'s Service,
    stream: TcpStream,
    client: SocketAddrV4,
    local: SocketAddrV4,
    /// What has arrived and belongs to no request yet.
    inbox: Vec<u8>,
    ledger: Ledger,
    /// No request has come yet.
    is_first: bool,
}

pub(super) async fn run(stream: TcpStream, client: SocketAddrV4, service: &Service) {
    let Ok(SocketAddr::V4(local)) = stream.local_addr() else { return };
    // Without Nagle's algorithm off, small answers wait 40 ms for an acknowledgement. Failing, both cost speed only.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_OCTETS);
    let (inbox, ledger) = (Vec::new(), Ledger::default());
    let mut connection = Connection { service, stream, client, local, inbox, ledger, is_first: true };
    let broken = connection.converse().await.err();
    let because = broken.map_or_else(|| Broken::HungUp.to_string(), |broken| broken.to_string());
    let steps = connection.ledger.close(transmit::unacknowledged(&connection.stream), &because, Instant::now());
    steps.into_iter().for_each(|step| (service.report)(*client.ip(), step));
}

impl Connection<'_> {
    async fn converse(&mut self) -> Result<(), Broken> {
        loop {
            let head = match self.next_request().await {
                Ok(Some(head)) => head,
                Ok(None) => return self.hang_up().await,
                Err(bad) => {
                    self.send(&Response::text(bad.status(), &bad.to_string()), None, true, false).await?;
                    return self.hang_up().await;
                }
            };
            let (request, keep_alive) = (head.request, head.keep_alive);
            self.answer(request, keep_alive).await?;
            if !keep_alive {
                return self.hang_up().await;
            }
        }
    }

    // ---- listening

    /// The next request with its body; `None`: the client hung up, or said nothing for long enough.
    async fn next_request(&mut self) -> Result<Option<Head>, BadRequest> {
        let limits = &self.service.limits;
        let idle_since = Instant::now();
        let mut begun = None;
        let head = loop {
            // Some clients end a body with a line of its own, which belongs to nothing (RFC 9112 section 2.2).
            let blank = self.inbox.iter().take_while(|octet| b"\r\n".contains(octet)).count();
            self.inbox.drain(..blank);
            if let Some(head) = request::parse(&self.inbox, self.client, self.local, limits)? {
                break head;
            }
            begun = begun.or_else(|| (!self.inbox.is_empty()).then(Instant::now));
            let deadline = match begun {
                Some(begun) => begun + limits.request,
                None if self.is_first => idle_since + limits.request,
                None => idle_since + limits.idle,
            };
            match self.receive(deadline).await {
                Received::Octets => {}
                Received::Nothing if begun.is_some() => return Err(BadRequest::TooSlow),
                Received::Nothing | Received::End => return Ok(None),
            }
        };
        self.is_first = false;
        self.inbox.drain(..head.octets);
        self.read_body(head).await
    }

    async fn read_body(&mut self, mut head: Head) -> Result<Option<Head>, BadRequest> {
        let deadline = Instant::now() + self.service.limits.request;
        if head.expects_continue && self.inbox.is_empty() {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            let sent = transmit::octets(&self.stream, go_on, false, self.service.limits.stall, |count| {
                self.ledger.wrote(count)
            });
            if sent.await.is_err() {
                return Ok(None);
            }
        }
        while self.inbox.len() < head.body_octets {
            match self.receive(deadline).await {
                Received::Octets => {}
                Received::Nothing => return Err(BadRequest::TooSlow),
                Received::End => return Ok(None),
            }
        }
        head.request.body = self.inbox.drain(..head.body_octets).collect();
        Ok(Some(head))
    }

    /// Waits for octets, and meanwhile for acknowledgements of what was sent.
    async fn receive(&mut self, deadline: Instant) -> Received {
        loop {
            self.settle();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            let wait = if self.ledger.is_open() { left.min(SETTLE_INTERVAL) } else { left };
            self.inbox.reserve(READ_OCTETS);
            match timeout(wait, self.stream.read_buf(&mut self.inbox)).await {
                Ok(Ok(count)) if count > 0 => {
                    // The next request brings the acknowledgement of the last answer, which is to be told first.
                    self.settle();
                    return Received::Octets;
                }
                Ok(_) => return Received::End,
                Err(_) => {}
            }
        }
    }

    fn settle(&mut self) {
        if self.ledger.is_open() {
            let steps = self.ledger.settle(transmit::unacknowledged(&self.stream), Instant::now());
            steps.into_iter().for_each(|step| self.report(step));
        }
    }

    // ---- answering

    async fn answer(&mut self, request: Request, keep_alive: bool) -> Result<(), Broken> {
        let since = Instant::now();
        let with_body = request.method != Method::Head;
        if let Some(generated) = self.service.dynamic.respond(&request) {
            return self.send_generated(generated, with_body, keep_alive, since).await;
        }
        if !matches!(request.method, Method::Get | Method::Head) {
            let refused = Response::text(405, "only GET and HEAD are answered here").with("Allow", "GET, HEAD".into());
            return self.send(&refused, None, true, keep_alive).await;
        }
        match (self.service.open)(*self.client.ip(), &request.path) {
            Ok(found) => self.send_found(found, &request, keep_alive, since).await,
            Err(error) => {
                let response = self.no_file(&request, error).await;
                self.send(&response, None, with_body, keep_alive).await
            }
        }
    }

    async fn send_generated(
        &mut self,
        generated: Generated,
        with_body: bool,
        keep_alive: bool,
        since: Instant,
    ) -> Result<(), Broken> {
        let role = generated.role.filter(|_| generated.status == 200);
        let file = generated.name.clone();
        let response = Response::generated(generated);
        let sending = role.and_then(|role| self.sending(&response, file, role, with_body, since));
        self.send(&response, sending, with_body, keep_alive).await
    }

    async fn send_found(
        &mut self,
        found: Found,
        request: &Request,
        keep_alive: bool,
        since: Instant,
    ) -> Result<(), Broken> {
        let Found { name, role, size, modified, content } = found;
        let validators = match &content {
            Content::File(file) => file.metadata().map(|data| Validators::of(&data)).unwrap_or_default(),
            Content::Memory(_) => Validators::since(modified),
        };
        let response = Response::file(request, &name, size, &validators, Timestamp::now());
        let with_body = request.method != Method::Head;
        let sending = matches!(response.status, 200 | 206)
            .then(|| self.sending(&response, name, role, with_body, since))
            .flatten();
        self.send(&response, sending, with_body, keep_alive).await?;
        let Body::Part(part) = response.body else { return Ok(()) };
        if !with_body {
            return Ok(());
        }
        let (stream, stall, ledger) = (&self.stream, self.service.limits.stall, &mut self.ledger);
        match content {
            Content::File(file) => transmit::file(stream, &file, part, stall, |count| ledger.wrote(count)).await,
            Content::Memory(octets) => {
                let part = octets.get(part.start as usize..part.end as usize).ok_or(Broken::Shrank)?;
                transmit::octets(stream, part, false, stall, |count| ledger.wrote(count)).await
            }
        }
    }

    /// What to report once this answer is taken. For a HEAD that is reported at once: the client learns the size.
    fn sending(
        &self,
        response: &Response,
        file: String,
        role: Role,
        with_body: bool,
        since: Instant,
    ) -> Option<Sending> {
        let octets = response.body.octets();
        if !with_body {
            self.report(Step::SizeProbe { protocol: Protocol::Http, file, octets });
            return None;
        }
        Some(Sending { file, role, octets, partial: response.status == 206, since })
    }

    /// A page in place of a file, where a folder is published; else why there is none.
    async fn no_file(&self, request: &Request, error: FileError) -> Response {
        if matches!(error, FileError::NotFound { .. } | FileError::NotAFile { .. }) {
            let (files, path) = (self.service.files.clone(), request.path.clone());
            // A folder may hold a thousand files to look at, on a slow disk.
            let listed = tokio::task::spawn_blocking(move || files.list(&path)).await;
            if let Ok(Ok(listing)) = listed {
                return Response::page(page::render(&listing, self.local));
            }
        }
        let file = request.path.trim_start_matches('/').to_owned();
        let because = error.to_string();
        self.report(Step::FileNotFound { protocol: Protocol::Http, file, because });
        match &error {
            FileError::NotFound { .. } | FileError::NotAFile { .. } | FileError::BadName { .. } => {
                let status = if matches!(error, FileError::BadName { .. }) { 400 } else { 404 };
                Response::text(status, &error.to_string())
            }
            // These name paths and permissions of the host: for its owner's journal, not for every client.
            FileError::LeadsOutside { asked, .. } => {
                Response::text(403, &format!("{asked} leads out of what is published; the server's journal says where"))
            }
            FileError::NotReadable { .. } | FileError::Withheld { .. } | FileError::Broken { .. } => {
                let status = if matches!(error, FileError::Broken { .. }) { 500 } else { 403 };
                Response::text(status, "this file is published but cannot be read; the server's journal says why")
            }
        }
    }

    // ---- speaking

    /// Sends a response's head, and its body where it is not a file's.
    async fn send(
        &mut self,
        response: &Response,
        sending: Option<Sending>,
        with_body: bool,
        keep_alive: bool,
    ) -> Result<(), Broken> {
        let mut out = response.head(keep_alive, Timestamp::now());
        let head_octets = out.len();
        let more = with_body && matches!(&response.body, Body::Part(part) if !part.is_empty());
        if let (Body::Octets(octets), true) = (&response.body, with_body) {
            out.extend(octets);
        }
        if let Some(sending) = sending {
            self.ledger.begin(head_octets, sending);
        }
        let ledger = &mut self.ledger;
        transmit::octets(&self.stream, &out, more, self.service.limits.stall, |count| ledger.wrote(count)).await
    }

    /// Ends the connection so that the last answer still arrives: says that no more comes, then listens for the
    /// client's own end. Closing over unread octets would make the kernel reset the connection (RFC 9112 section 9.6).
    async fn hang_up(&mut self) -> Result<(), Broken> {
        if self.stream.shutdown().await.is_err() {
            return Ok(());
        }
        let mut ended = false;
        let mut missing = u64::MAX;
        let mut progress = Instant::now();
        loop {
            self.settle();
            let now_missing = transmit::unacknowledged(&self.stream);
            if now_missing < missing {
                (missing, progress) = (now_missing, Instant::now());
            }
            let patience = if missing > 0 { self.service.limits.stall } else { LINGER };
            if ended && (missing == 0 || matches!(self.stream.take_error(), Err(_) | Ok(Some(_)))) {
                return Ok(());
            }
            if progress.elapsed() >= patience {
                return if missing > 0 { Err(Broken::Stalled(patience)) } else { Ok(()) };
            }
            if ended {
                tokio::time::sleep(SETTLE_INTERVAL).await;
                continue;
            }
            self.inbox.clear();
            ended = matches!(self.receive(Instant::now() + SETTLE_INTERVAL).await, Received::End);
        }
    }

    fn report(&self, step: Step) {
        (self.service.report)(*self.client.ip(), step);
    }
}

enum Received {
    Octets,
    /// The client ended its side, or is gone.
    End,
    /// The deadline passed.
    Nothing,
}
