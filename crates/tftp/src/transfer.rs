//! One file on its way to one client, as a state machine: packets and time go in, packets and an outcome come out.
//!
//! The caller drains [`Transfer::poll_transmit`] after every call that takes `now`, looks at [`Transfer::outcome`], then
//! waits for a packet of this client or for [`Transfer::poll_timeout`], whichever comes first.

use std::fmt;
use std::time::{Duration, Instant};

use crate::options::{Agreed, Limits};
use crate::packet::{DATA_HEADER_OCTETS, ErrorCode, Packet, Request, data_header};
use crate::rtt::Rtt;

/// A timer that is shorter than this repeats a window's last block only, every other time: whoever misses a block before
/// it says so (RFC 7440 section 4), and whoever just needs time is not sent whole windows again.
const PROBES_BELOW: Duration = Duration::from_millis(200);
/// A packet and the repetitions that a network makes of it lie no further apart than this, or than a round trip.
const NETWORKS_ECHO: Duration = Duration::from_millis(1);

/// A transfer from its request to its outcome.
#[derive(Debug)]
pub struct Transfer {
    agreed: Agreed,
    size: u64,
    /// DATA packets in all. The last is shorter than the others, and empty when `size` is a multiple of `blksize`.
    blocks: u64,
    /// The client acknowledged the OACK, or there was none to send.
    open: bool,
    /// Blocks acknowledged, counted from 1 and never wrapped.
    acked: u64,
    /// The highest block that was ever sent.
    sent: u64,
    /// `sent` when the packets now in flight left: an ACK beyond it answers something that was sent only once.
    sent_before: u64,
    /// The next run begins after this block.
    resume: u64,
    /// `sent` when the window last went back: what lies below has just been sent again.
    recovered: u64,
    /// Until then a repeated ACK may answer what was sent before the window last went back, or be its echo.
    recovers_until: Instant,
    /// Whether the packets now in flight were sent before, because the timer ran out.
    resent: bool,
    /// Whether something is to be sent now.
    due: bool,
    rtt: Rtt,
    sent_at: Instant,
    resend_at: Instant,
    moved_at: Instant,
    patience: Duration,
    retransmits: u32,
    outcome: Option<Outcome>,
}

/// What the caller should send to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// One whole datagram.
    Packet(Vec<u8>),
    /// DATA packets, whose file data the caller reads.
    Data(Run),
}

/// Consecutive DATA packets: a window, or what is left of it. All but the last are equally long, which is what UDP
/// segmentation offload asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the first block, as on the wire.
    pub first_block: u16,
    pub blocks: u32,
    /// File data in every packet but perhaps the last.
    pub block_octets: u16,
    /// Where the run's file data begins, counted in octets on the wire.
    pub offset: u64,
    /// The client has everything before this octet: it is never asked for again.
    pub settled: u64,
    /// The run's file data in all.
    pub octets: usize,
}

/// How a transfer ended. Prints as a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client acknowledged the last block.
    Done { octets: u64, retransmits: u32, blksize: u16, windowsize: u16 },
    /// The client wanted the size only and hung up when it had it, as ROMs do before the real transfer.
    SizeProbe { octets: u64 },
    /// The client sent an ERROR.
    Aborted { code: ErrorCode, message: String, progress: Progress },
    /// The client's host says that nobody listens on the client's port (any more).
    Unreachable { progress: Progress },
    /// The client sent another request from the same port.
    Superseded { progress: Progress },
    /// The client no longer answered.
    TimedOut { silence: Duration, progress: Progress },
}

/// How far a transfer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The client answered at least once.
    pub answered: bool,
    pub acked_blocks: u64,
    pub blocks: u64,
    /// File data acknowledged.
    pub octets: u64,
    /// Every block was sent, and all but the last window acknowledged.
    pub last_window_sent: bool,
}

impl Transfer {
    /// Begins the transfer of a file of `size` octets (on the wire: netascii counts its extra octets).
    pub fn new(now: Instant, request: &Request, size: u64, limits: &Limits) -> Transfer {
        let agreed = Agreed::on(request, size, limits);
        let rtt = Rtt::new(agreed.timeout);
        Transfer {
            size,
            blocks: size / u64::from(agreed.blksize) + 1,
            open: agreed.oack.is_empty(),
            acked: 0,
            sent: 0,
            sent_before: 0,
            resume: 0,
            recovered: 0,
            recovers_until: now,
            resent: false,
            due: true,
            sent_at: now,
            resend_at: now + rtt.timeout(),
            moved_at: now,
            patience: limits.patience.max(agreed.timeout.unwrap_or_default() * 3),
            retransmits: 0,
            outcome: None,
            rtt,
            agreed,
        }
    }

    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// How it ended; `None` while it goes on.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Takes a packet that the client sent to this transfer's port.
    pub fn handle(&mut self, now: Instant, packet: &Packet<'_>) {
        if self.outcome.is_some() {
            return;
        }
        match packet {
            Packet::Ack { block } => self.handle_ack(now, *block),
            Packet::Error { code, message } => self.outcome = Some(self.hung_up(*code, message)),
            // Nothing else belongs here, and ending the transfer over it would help nobody.
            Packet::Rrq(_) | Packet::Wrq(_) | Packet::Data { .. } | Packet::Oack(_) => {}
        }
    }

    /// The client's host answered that the client's port is closed (ICMP port unreachable).
    pub fn handle_unreachable(&mut self) {
        let progress = self.progress();
        self.outcome.get_or_insert(Outcome::Unreachable { progress });
    }

    /// The client sent another request from the same port, and so has given this transfer up. Some ROMs end their probe
    /// for the size that way.
    pub fn handle_new_request(&mut self) {
        let progress = self.progress();
        let outcome = match self.agreed.tsize && self.acked == 0 {
            true => Outcome::SizeProbe { octets: self.size },
            false => Outcome::Superseded { progress },
        };
        self.outcome.get_or_insert(outcome);
    }

    /// Looks at the clock. Does nothing before [`Transfer::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() {
            return;
        }
        if now >= self.moved_at + self.patience {
            let (silence, progress) = (now - self.moved_at, self.progress());
            self.outcome = Some(Outcome::TimedOut { silence, progress });
        } else if now >= self.resend_at {
            let probes = self.agreed.windowsize > 1
                && self.rtt.timeout() < PROBES_BELOW
                && self.rtt.doublings().is_multiple_of(2);
            self.rtt.back_off();
            self.resent = true;
            if probes && self.acked < self.sent {
                self.resume = self.sent - 1;
            } else {
                self.go_back(now);
            }
            self.send(now);
        }
    }

    /// What to send next; `None`: nothing until something happens.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.outcome.is_some() || !std::mem::take(&mut self.due) {
            return None;
        }
        if !self.open {
            self.retransmits += u32::from(self.resent);
            return Some(Transmit::Packet(Packet::Oack(self.agreed.oack.clone()).emit()));
        }
        self.next_run().map(Transmit::Data)
    }

    /// What is sent next if nothing gets lost, for reading ahead.
    pub fn upcoming(&self) -> Option<Run> {
        let last = self.blocks.min(self.sent + u64::from(self.agreed.windowsize));
        (self.outcome.is_none() && self.sent < last).then(|| self.run(self.sent, last))
    }

    /// When to call [`Transfer::handle_timeout`]; `None` once it has ended.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outcome.is_none().then(|| self.resend_at.min(self.moved_at + self.patience))
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        Progress {
            answered: self.acked > 0 || (self.open && !self.agreed.oack.is_empty()),
            acked_blocks: self.acked,
            blocks: self.blocks,
            octets: self.size.min(self.acked * u64::from(self.agreed.blksize)),
            last_window_sent: self.sent == self.blocks,
        }
    }

    fn handle_ack(&mut self, now: Instant, block: u16) {
        if !self.open {
            if block == 0 {
                self.open = true;
                self.moved(now, true);
            }
            return;
        }
        // How many blocks beyond the last acknowledged one, whatever the wrap of the wire's 16 bits.
        let ahead = u64::from(block.wrapping_sub(self.acked as u16));
        if ahead == 0 {
            return self.handle_repeated_ack(now);
        }
        if ahead > self.sent - self.acked {
            return;
        }
        self.acked += ahead;
        if self.acked == self.blocks {
            self.outcome = Some(Outcome::Done {
                octets: self.size,
                retransmits: self.retransmits,
                blksize: self.agreed.blksize,
                windowsize: self.agreed.windowsize,
            });
        } else {
            self.choose_resumption(now);
            self.moved(now, self.acked > self.sent_before);
        }
    }

    /// RFC 1123 section 4.2.3.1: to answer a repeated ACK would double every packet from here to the end of the file. In
    /// lock-step data is sent again by the timer alone. In a window, it may say that the first block got lost (RFC 7440
    /// section 4): then the window goes out again, but only once in a round trip, so that nothing builds up.
    fn handle_repeated_ack(&mut self, now: Instant) {
        let in_flight = self.acked < self.sent && !self.due;
        if self.agreed.windowsize > 1 && in_flight && now >= self.recovers_until {
            self.go_back(now);
            self.send(now);
        }
    }

    /// An ACK inside the window tells of a gap: go on after it (RFC 7440 section 4). But many clients answer every packet
    /// that they did not expect; if each of these ACKs brought a window, every window would soon go out many times over,
    /// to the end of the file. So what was just sent again gets its chance (or the timer), and the window only slides.
    fn choose_resumption(&mut self, now: Instant) {
        let gap = self.acked < self.sent;
        if gap && self.acked < self.recovered {
            self.resume = if self.due { self.resume.max(self.acked) } else { self.sent };
        } else if gap {
            self.go_back(now);
        } else {
            self.resume = self.acked;
        }
    }

    fn go_back(&mut self, now: Instant) {
        self.recovered = self.sent;
        self.recovers_until = now + self.rtt.round_trip().max(NETWORKS_ECHO);
        self.resume = self.acked;
    }

    /// The client moved on. `fresh`: its answer is to a packet that was not sent before the present flight.
    fn moved(&mut self, now: Instant, fresh: bool) {
        match (self.resent, fresh) {
            // It may answer the first copy or the second (Karn): nothing is learnt, and the back-off stays.
            (true, _) => {}
            (false, true) => self.rtt.sample(now - self.sent_at),
            (false, false) => self.rtt.end_back_off(),
        }
        self.moved_at = now;
        self.resent = false;
        self.send(now);
    }

    fn send(&mut self, now: Instant) {
        self.due = true;
        self.sent_at = now;
        self.resend_at = now + self.rtt.timeout();
    }

    /// From where to resume to the end of the window; `None`: all of that is on its way already.
    fn next_run(&mut self) -> Option<Run> {
        let first = self.resume;
        let last = self.blocks.min(self.acked + u64::from(self.agreed.windowsize));
        if first >= last {
            return None;
        }
        self.retransmits += self.sent.min(last).saturating_sub(first) as u32;
        self.sent_before = self.sent;
        self.sent = self.sent.max(last);
        self.resume = self.sent;
        Some(self.run(first, last))
    }

    /// The blocks after `first`, up to `last`.
    fn run(&self, first: u64, last: u64) -> Run {
        let blksize = u64::from(self.agreed.blksize);
        Run {
            first_block: (first + 1) as u16,
            blocks: (last - first) as u32,
            block_octets: self.agreed.blksize,
            offset: first * blksize,
            settled: self.acked * blksize,
            octets: (self.size.min(last * blksize) - first * blksize) as usize,
        }
    }

    fn hung_up(&self, code: ErrorCode, message: &str) -> Outcome {
        let asks_size_only = self.agreed.oack.len() == 1;
        let polite = matches!(code, ErrorCode::NotDefined | ErrorCode::OptionsRefused);
        if self.agreed.tsize && self.acked == 0 && (polite || asks_size_only) {
            return Outcome::SizeProbe { octets: self.size };
        }
        Outcome::Aborted { code, message: message.to_owned(), progress: self.progress() }
    }
}

impl Run {
    /// Length of every datagram but perhaps the last.
    pub fn datagram_octets(&self) -> usize {
        DATA_HEADER_OCTETS + usize::from(self.block_octets)
    }

    /// Lays out the run's datagrams one after the other, `octets` being its file data: all but the last are
    /// [`Run::datagram_octets`] long.
    ///
    /// # Panics
    /// If `octets` is not as long as the run says.
    pub fn datagrams(&self, octets: &[u8], out: &mut Vec<u8>) {
        for (header, block) in self.packets(octets) {
            out.extend_from_slice(&header);
            out.extend_from_slice(block);
        }
    }

    /// Header and file data of each of the run's packets, `octets` being its file data.
    ///
    /// # Panics
    /// If `octets` is not as long as the run says.
    pub fn packets<'a>(&self, octets: &'a [u8]) -> impl Iterator<Item = ([u8; DATA_HEADER_OCTETS], &'a [u8])> {
        assert_eq!(octets.len(), self.octets, "a run's file data must be whole");
        let (first_block, block_octets) = (self.first_block, usize::from(self.block_octets));
        (0..self.blocks).map(move |index| {
            let from = index as usize * block_octets;
            let block = &octets[from..octets.len().min(from + block_octets)];
            (data_header(first_block.wrapping_add(index as u16)), block)
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress { answered: false, .. } => write!(f, "before its first answer"),
            Progress { acked_blocks: 0, .. } => write!(f, "before the first block"),
            Progress { acked_blocks, blocks, .. } => write!(f, "after block {acked_blocks} of {blocks}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done { octets, retransmits: 0, .. } => write!(f, "{octets} octets sent"),
            Outcome::Done { octets, retransmits, .. } => {
                write!(f, "{octets} octets sent, {retransmits} packets of them again")
            }
            Outcome::SizeProbe { octets } => write!(f, "the client asked for the size ({octets} octets) and hung up"),
            Outcome::Aborted { code, message, progress } => {
                write!(f, "the client aborted {progress}: error {code}")?;
                if message.is_empty() { Ok(()) } else { write!(f, ", `{}`", message.escape_debug()) }
            }
            Outcome::Unreachable { progress } => {
                write!(f, "the client closed its port {progress}")?;
                progress.hint_at_last_window(f)
            }
            Outcome::Superseded { progress } => write!(f, "the client asked anew {progress}"),
            Outcome::TimedOut { silence, progress } => {
                write!(f, "no answer from the client for {} s", silence.as_secs())?;
                match progress.answered {
                    true => write!(f, " {progress}")?,
                    false => write!(f, ": it has never answered, so a firewall may stand between")?,
                }
                progress.hint_at_last_window(f)
            }
        }
    }
}

impl Progress {
    fn hint_at_last_window(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.answered && self.last_window_sent {
            write!(f, "; all was sent, and the client may well have it")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
