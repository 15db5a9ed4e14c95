//! One client's connection: request after request, until either side has had enough.
//!
//! Nothing here waits. A worker says that octets may have arrived or may be sent again, or that time has passed; the
//! connection does what it can and says what it waits for. A quiet one holds no buffer.

use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Limits;
use super::answer::{Answer, answer, refusal};
use super::ledger::Ledger;
use super::request::{self, BadRequest, Head};
use super::shared::Served;
use super::shelf::{Held, Kept};
use super::transmit::{self, Broken};
use super::worker::Desk;

/// At most this much at a time, so that one fast client leaves room for others on its thread.
const TURN_OCTETS: u64 = 1 << 20;
/// Requests of one client that are answered before others have their turn.
const TURN_REQUESTS: usize = 16;
/// A body of so many octets is copied behind its head rather than sent from where it is.
const COPIED_OCTETS: usize = 4096;

/// How often acknowledgements are looked for while some are missing, at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(320));

/// How long a client is listened to after the last answer, so that our closing does not cut that answer off.
const LINGER: Duration = Duration::from_secs(2);

pub(super) struct Connection {
    stream: TcpStream,
    client: SocketAddrV4,
    local: SocketAddrV4,
    served: Arc<Served>,
    /// What has arrived and belongs to no request yet.
    inbox: Vec<u8>,
    stage: Stage,
    /// When the stage began, or last went on.
    since: Instant,
    /// No request has come yet.
    is_first: bool,
    /// More may have arrived than was read.
    is_readable: bool,
    /// The client has ended its side, or is gone: what can be read has an end.
    is_ending: bool,
    ledger: Ledger,
    /// When acknowledgements were last looked for, and how many octets lacked them.
    looked: (Instant, u64),
    look_at: Option<Instant>,
    /// What of this the worker knows.
    look_noted: Option<Instant>,
}

enum Stage {
    /// For a request; it has begun when something is in the inbox.
    Listening,
    /// For the body of this one.
    Reading(Box<Head>),
    Sending(Box<Outgoing>),
    /// Said that no more comes. Whether the client has said so too, and how many octets it has not acknowledged.
    Closing {
        ended: bool,
        missing: u64,
    },
}

/// What is left of an answer.
struct Outgoing {
    octets: Vec<u8>,
    /// Of these.
    sent: usize,
    /// Part of a file that follows.
    body: Option<(Arc<Kept>, std::ops::Range<u64>)>,
    keep_alive: bool,
    /// Octets not acknowledged when the connection took no more.
    missing: u64,
}

/// What comes of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Until something is ready, or its time has come.
    Wait,
    /// There is more to do, once others had their turn.
    Again,
    Over,
}

impl Connection {
    pub fn new(
        stream: TcpStream,
        client: SocketAddrV4,
        local: SocketAddrV4,
        served: Arc<Served>,
        now: Instant,
    ) -> Connection {
        Connection {
            stream,
            client,
            local,
            served,
            inbox: Vec::new(),
            stage: Stage::Listening,
            since: now,
            is_first: true,
            is_readable: false,
            is_ending: false,
            ledger: Ledger::default(),
            looked: (now, 0),
            look_at: None,
            look_noted: None,
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn client(&self) -> Ipv4Addr {
        *self.client.ip()
    }

    /// Since when it has nothing to do but wait for a request; `None`: it is busy.
    pub fn idle_since(&self) -> Option<Instant> {
        let is_idle = matches!(self.stage, Stage::Listening) && self.inbox.is_empty() && !self.ledger.is_open();
        is_idle.then_some(self.since)
    }

    /// When [`Connection::late`] is to be called.
    pub fn deadline(&self, limits: &Limits) -> Instant {
        self.since
            + match &self.stage {
                Stage::Listening if self.inbox.is_empty() && !self.is_first => limits.idle,
                Stage::Listening | Stage::Reading(_) => limits.request,
                Stage::Sending(_) => limits.stall,
                Stage::Closing { missing: 0, .. } => LINGER,
                Stage::Closing { .. } => limits.stall,
            }
    }

    /// When [`Connection::look`] is to be called; `None`: never, or as told before.
    pub fn new_look(&mut self) -> Option<Instant> {
        let is_new = self.look_at != self.look_noted;
        self.look_noted = self.look_at;
        self.look_at.filter(|_| is_new)
    }

    /// Something has arrived (`readable`), the client has ended its side (`ending`), or there is room to send.
    pub fn note(&mut self, readable: bool, ending: bool) {
        self.is_readable |= readable | ending;
        self.is_ending |= ending;
    }

    /// Does what can be done now.
    pub fn go_on(&mut self, desk: &mut Desk) -> Result<Turn, Broken> {
        for _ in 0..TURN_REQUESTS {
            let turn = match mem::replace(&mut self.stage, Stage::Listening) {
                Stage::Sending(outgoing) => self.send(*outgoing, desk)?,
                Stage::Closing { ended, missing } => return self.await_end(ended, missing, desk),
                Stage::Reading(head) => self.read_body(head, desk)?,
                Stage::Listening => self.listen(desk)?,
            };
            if let Some(turn) = turn {
                return Ok(turn);
            }
        }
        Ok(Turn::Again)
    }

    // ---- listening

    fn listen(&mut self, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        if self.inbox.is_empty() {
            return self.hear(desk);
        }
        // Some clients end a body with a line of its own, which belongs to nothing (RFC 9112 section 2.2).
        let blank = self.inbox.iter().take_while(|octet| b"\r\n".contains(octet)).count();
        self.inbox.drain(..blank);
        let head = match request::parse(&self.inbox, self.client, self.local, &desk.shared.limits) {
            Ok(Some(head)) => head,
            Ok(None) => return self.hear(desk),
            Err(bad) => return self.refuse(bad, desk),
        };
        self.is_first = false;
        self.since = desk.now;
        if head.octets == self.inbox.len() {
            self.inbox = Vec::new();
        } else {
            self.inbox.drain(..head.octets);
        }
        if head.body_octets == 0 {
            return self.answer(head, desk);
        }
        if head.expects_continue && self.inbox.is_empty() {
            let sent = transmit::octets(&self.stream, [b"HTTP/1.1 100 Continue\r\n\r\n", &[]])?;
            self.ledger.wrote(sent.unwrap_or(0));
        }
        self.stage = Stage::Reading(Box::new(head));
        Ok(None)
    }

    fn read_body(&mut self, mut head: Box<Head>, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        if self.inbox.len() < head.body_octets {
            self.stage = Stage::Reading(head);
            return self.hear(desk);
        }
        head.request.body = self.inbox.drain(..head.body_octets).collect();
        self.answer(*head, desk)
    }

    /// Takes what has arrived. `None`: something; go on.
    fn hear(&mut self, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        if !self.is_readable {
            return Ok(Some(Turn::Wait));
        }
        match transmit::receive(&self.stream, &mut desk.buffer)? {
            Some(0) => Ok(Some(self.hang_up(desk))),
            Some(count) => {
                // What is shorter than the buffer was all there is, but for the end.
                self.is_readable = self.is_ending || count == desk.buffer.len();
                if self.inbox.is_empty() && matches!(self.stage, Stage::Listening) {
                    self.since = desk.now;
                }
                self.inbox.extend_from_slice(&desk.buffer[..count]);
                // The next request brings the acknowledgement of the last answer, which is to be told first.
                self.settle(desk.now);
                Ok(None)
            }
            None => {
                self.is_readable = false;
                Ok(Some(Turn::Wait))
            }
        }
    }

    // ---- answering

    fn answer(&mut self, head: Head, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        let client = self.client();
        let mut answer = answer(&self.served, &head.request, head.keep_alive, desk);
        answer.told.take().into_iter().for_each(|step| self.served.tell(client, step));
        self.reply(answer, head.keep_alive, desk)
    }

    fn refuse(&mut self, bad: BadRequest, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        let answer = refusal(bad, desk);
        self.reply(answer, false, desk)
    }

    fn reply(&mut self, answer: Answer, keep_alive: bool, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        let Answer { octets, head_octets, body, sending, .. } = answer;
        if let Some(sending) = sending {
            self.ledger.begin(head_octets, sending);
        }
        if let Some((kept, part)) = &body
            && let Held::File(file) = &kept.held
        {
            transmit::read_ahead(file, part);
            transmit::hold_short_packets(&self.stream, true);
        }
        self.since = desk.now;
        self.send(Outgoing { octets, sent: 0, body, keep_alive, missing: 0 }, desk)
    }

    /// Sends what the connection takes. `None`: all of it.
    fn send(&mut self, mut outgoing: Outgoing, desk: &mut Desk) -> Result<Option<Turn>, Broken> {
        let mut left = TURN_OCTETS;
        while !outgoing.is_done() {
            let sent = if left == 0 { None } else { outgoing.send(&self.stream, left)? };
            let Some(sent) = sent else {
                let turn = if left == 0 { Turn::Again } else { Turn::Wait };
                if turn == Turn::Wait {
                    outgoing.missing = transmit::unacknowledged(&self.stream);
                }
                self.stage = Stage::Sending(Box::new(outgoing));
                return Ok(Some(turn));
            };
            self.ledger.wrote(sent);
            self.since = desk.now;
            desk.sent += sent as u64;
            left = left.saturating_sub(sent as u64);
        }
        if outgoing.is_of_file() {
            transmit::hold_short_packets(&self.stream, false);
        }
        let keep_alive = outgoing.keep_alive;
        desk.give_back(outgoing.octets);
        if !keep_alive {
            return Ok(Some(self.hang_up(desk)));
        }
        self.look_later(desk.now);
        Ok(None)
    }

    // ---- acknowledgements

    pub fn settle(&mut self, now: Instant) -> u64 {
        let missing = transmit::unacknowledged(&self.stream);
        if self.ledger.is_open() {
            let steps = self.ledger.settle(missing, now);
            steps.into_iter().for_each(|step| self.served.tell(self.client(), step));
        }
        missing
    }

    /// Looks for acknowledgements, as was to be done `at` this time.
    pub fn look(&mut self, at: Instant, desk: &mut Desk) -> Turn {
        if self.look_at != Some(at) {
            return Turn::Wait;
        }
        self.look_at = None;
        let missing = self.settle(desk.now);
        let (then, before) = mem::replace(&mut self.looked, (desk.now, missing));
        if let Stage::Closing { ended, missing: least } = &mut self.stage {
            if missing < *least {
                (*least, self.since) = (missing, desk.now);
            }
            if *ended && missing == 0 {
                return Turn::Over;
            }
        } else if !self.ledger.is_open() || matches!(self.stage, Stage::Sending(_)) {
            return Turn::Wait;
        }
        // Half of the time that the rest will take as it went so far; what does not move is looked at ever less often.
        let elapsed = desk.now - then;
        let rest = match before.saturating_sub(missing) {
            0 => elapsed * 2,
            moved => elapsed.mul_f64(missing as f64 / moved as f64 / 2.0),
        };
        self.look_at = Some(desk.now + rest.clamp(LOOK.0, LOOK.1));
        Turn::Wait
    }

    fn look_later(&mut self, now: Instant) {
        if self.look_at.is_none() && (self.ledger.is_open() || matches!(self.stage, Stage::Closing { .. })) {
            (self.looked, self.look_at) = ((now, 0), Some(now + LOOK.0));
        }
    }

    // ---- ending

    /// Its patience is at an end: a client's silence is answered, or the connection closed.
    pub fn late(&mut self, desk: &mut Desk) -> Result<Turn, Broken> {
        match mem::replace(&mut self.stage, Stage::Listening) {
            Stage::Listening if self.inbox.is_empty() => Ok(self.hang_up(desk)),
            Stage::Listening | Stage::Reading(_) => Ok(self.refuse(BadRequest::TooSlow, desk)?.unwrap_or(Turn::Again)),
            Stage::Closing { missing: 0, .. } => Ok(Turn::Over),
            Stage::Sending(mut outgoing) if transmit::unacknowledged(&self.stream) < outgoing.missing => {
                // It takes what the kernel holds, too slowly for the kernel to ask for more yet.
                outgoing.missing = transmit::unacknowledged(&self.stream);
                (self.since, self.stage) = (desk.now, Stage::Sending(outgoing));
                Ok(Turn::Wait)
            }
            Stage::Sending(_) | Stage::Closing { .. } => Err(Broken::Stalled(desk.shared.limits.stall)),
        }
    }

    /// Ends the connection so that the last answer still arrives: says that no more comes, then listens for the client's own
    /// end. Closing over unread octets would make the kernel reset the connection (RFC 9112 section 9.6).
    fn hang_up(&mut self, desk: &mut Desk) -> Turn {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return Turn::Over;
        }
        self.since = desk.now;
        self.inbox = Vec::new();
        self.stage = Stage::Closing { ended: false, missing: u64::MAX };
        self.look_later(desk.now);
        if self.is_readable { Turn::Again } else { Turn::Wait }
    }

    fn await_end(&mut self, mut ended: bool, mut missing: u64, desk: &mut Desk) -> Result<Turn, Broken> {
        for _ in 0..TURN_REQUESTS {
            if ended || !self.is_readable {
                break;
            }
            match transmit::receive(&self.stream, &mut desk.buffer)? {
                Some(0) => ended = true,
                Some(count) => self.is_readable = self.is_ending || count == desk.buffer.len(),
                None => self.is_readable = false,
            }
        }
        let now_missing = self.settle(desk.now);
        if now_missing < missing {
            (missing, self.since) = (now_missing, desk.now);
        }
        self.stage = Stage::Closing { ended, missing };
        if ended && missing == 0 {
            return Ok(Turn::Over);
        }
        Ok(if !ended && self.is_readable { Turn::Again } else { Turn::Wait })
    }

    /// Reports what is left to report. `because`: whose doing the end was.
    pub fn close(self, because: &str, now: Instant) {
        let client = self.client();
        if self.ledger.is_open() {
            let steps = self.ledger.close(transmit::unacknowledged(&self.stream), because, now);
            steps.into_iter().for_each(|step| self.served.tell(client, step));
        }
    }
}

impl Outgoing {
    fn is_done(&self) -> bool {
        self.sent == self.octets.len() && self.body.as_ref().is_none_or(|(_, part)| part.is_empty())
    }

    fn is_of_file(&self) -> bool {
        matches!(&self.body, Some((kept, _)) if matches!(kept.held, Held::File(_)))
    }

    /// Sends what the connection takes at once, of a file at most so much; `None`: nothing.
    fn send(&mut self, stream: &TcpStream, most: u64) -> Result<Option<usize>, Broken> {
        let octets = &self.octets[self.sent..];
        let Some((kept, part)) = self.body.as_mut().filter(|(_, part)| !part.is_empty()) else {
            let sent = transmit::octets(stream, [octets, &[]])?;
            self.sent += sent.unwrap_or(0);
            return Ok(sent);
        };
        let (sent, of_body) = match &kept.held {
            Held::Octets(body) => {
                let body = body.get(part.start as usize..part.end as usize).ok_or(Broken::Shrank)?;
                let sent = transmit::octets(stream, [octets, body])?;
                (sent, sent.unwrap_or(0).saturating_sub(octets.len()))
            }
            Held::File(_) if !octets.is_empty() => (transmit::octets(stream, [octets, &[]])?, 0),
            Held::File(file) => {
                let sent = transmit::file(stream, file, part.clone(), most)?;
                (sent, sent.unwrap_or(0))
            }
        };
        part.start += of_body as u64;
        self.sent += sent.unwrap_or(0) - of_body;
        Ok(sent)
    }
}

/// Whether a body is better copied behind its head.
pub(super) fn is_copied(octets: usize) -> bool {
    octets <= COPIED_OCTETS
}
