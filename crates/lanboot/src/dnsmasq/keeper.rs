//! Keeps the lease file and calls `dhcp-script`, behind the service and never in its way.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::Diagnostics;
use host::neighbours::{Neighbour, Neighbours};
use journal::{Follower, Heard, Protocol, Step};
use leases::UnixSecs;
use server::dhcp::LeaseChange;

use super::book::Book;
use super::call::Call;
use super::lease_file::LeaseFile;
use super::lines::{Level, Line, Lines, Part};
use super::log::Logger;
use super::script::{Helper, Told};
use super::signals::Reload;

/// Changes within this time share one writing of the lease file.
const GATHER: Duration = Duration::from_millis(100);
/// Writing the file takes at most this part of the time: one of many leases is written less often.
const WRITES_ONE_IN: u32 = 20;
/// What a slow disk counts for at most, so that the file is never older than some seconds.
const LONGEST_WRITING: Duration = Duration::from_millis(250);
/// How long the end waits for a script that has yet to hear of changes.
const LAST_CALLS: Duration = Duration::from_secs(10);
/// Files sent and neighbours seen that wait for the script; more than this are too many for it anyway.
const MAX_WAITING: usize = 10_000;

/// What the keeper is told.
pub enum Note {
    Lease(LeaseChange),
    /// SIGHUP: the script is to hear of every lease again.
    Again,
    /// The running call is over.
    Done,
    Sent {
        octets: u64,
        client: std::net::Ipv4Addr,
        file: PathBuf,
    },
    Neighbour(Neighbour),
    End,
}

/// Tells the keeper.
#[derive(Clone)]
pub struct Notes(Sender<Note>);

impl Notes {
    pub fn tell(&self, note: Note) {
        // After its end there is nothing to be kept.
        let _ = self.0.send(note);
    }
}

impl Reload for Notes {
    fn reload(&mut self) -> Result<Vec<String>, Diagnostics> {
        self.tell(Note::Again);
        Ok(Vec::new())
    }
}

/// The keeper at work; [`Keeper::end`] lets it finish.
pub struct Keeper {
    notes: Notes,
    thread: JoinHandle<()>,
    active: Arc<AtomicUsize>,
}

impl Keeper {
    /// Starts a thread that keeps the book. `file`: `None` where the script keeps the leases.
    ///
    /// # Errors
    /// When the kernel gives no more threads.
    pub fn start(book: Book, file: Option<LeaseFile>, helper: Option<Helper>, logger: Logger) -> io::Result<Keeper> {
        let (sender, notes) = channel();
        let calls = helper.map(|helper| call_in_turn(helper, logger.clone(), sender.clone())).transpose()?;
        let active = Arc::<AtomicUsize>::default();
        let waiting = VecDeque::new();
        let mut work = Work {
            book,
            file,
            calls,
            is_busy: false,
            waiting,
            logger,
            active: active.clone(),
            write_at: None,
            writing: Duration::ZERO,
        };
        let thread = thread::Builder::new().name("leases".into()).spawn(move || work.run(&notes))?;
        Ok(Keeper { notes: Notes(sender), thread, active })
    }

    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// How many leases are not over.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Writes the file, and lets the script hear of what it has yet to hear, within limits.
    pub fn end(self) {
        self.notes.tell(Note::End);
        let _ = self.thread.join();
    }
}

/// Hands calls to the script in a thread of its own; each is followed by a [`Note::Done`].
fn call_in_turn(mut helper: Helper, logger: Logger, done: Sender<Note>) -> io::Result<Sender<Call>> {
    let (sender, calls) = channel::<Call>();
    let run = move || {
        for call in calls {
            if let Err(error) = follow(&mut helper, &call, &logger) {
                let text = format!("the process that runs scripts is gone: {error}");
                logger.write(&[Line::new(Level::Error, Part::Main, text)]);
                return;
            }
            let _ = done.send(Note::Done);
        }
    };
    thread::Builder::new().name("script".into()).spawn(run)?;
    Ok(sender)
}

fn follow(helper: &mut Helper, call: &Call, logger: &Logger) -> io::Result<()> {
    helper.call(call)?;
    loop {
        match helper.told()? {
            Told::Line(text) => logger.write(&[Line::info(Part::Script, text)]),
            Told::Trouble(text) => logger.write(&[Line::new(Level::Warning, Part::Main, text)]),
            Told::Done => return Ok(()),
        }
    }
}

struct Work {
    book: Book,
    file: Option<LeaseFile>,
    calls: Option<Sender<Call>>,
    is_busy: bool,
    /// Calls that are about no lease.
    waiting: VecDeque<Call>,
    logger: Logger,
    active: Arc<AtomicUsize>,
    write_at: Option<Instant>,
    /// How long that took last.
    writing: Duration,
}

impl Work {
    fn run(&mut self, notes: &Receiver<Note>) {
        loop {
            match notes.recv_timeout(self.patience()) {
                Ok(Note::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(note) => self.take(note),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.go_on();
        }
        self.write_at = None;
        self.write();
        let end = Instant::now() + LAST_CALLS;
        self.call();
        while self.is_busy {
            let Ok(note) = notes.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
            self.take(note);
            self.call();
        }
    }

    /// How long nothing has to be done.
    fn patience(&mut self) -> Duration {
        let now = now();
        let expiry = self.book.expire(now).map(|end| Duration::from_secs(end.0.saturating_sub(now.0)));
        let write = self.write_at.map(|at| at.saturating_duration_since(Instant::now()));
        // An hour at most: clocks are set.
        [expiry, write].into_iter().flatten().min().unwrap_or(Duration::MAX).min(Duration::from_secs(3600))
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Lease(change) => self.book.take(change, now()),
            Note::Again => self.book.tell_again(),
            Note::Done => self.is_busy = false,
            Note::Sent { octets, client, file } => self.wait(Call::tftp(octets, client, &file)),
            Note::Neighbour(Neighbour { came, mac, address }) => {
                self.wait(Call::neighbour(if came { "arp-add" } else { "arp-del" }, mac, address));
            }
            Note::End => {}
        }
    }

    fn wait(&mut self, call: Call) {
        if self.calls.is_some() && self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(call);
        }
    }

    fn go_on(&mut self) {
        self.book.expire(now());
        self.active.store(self.book.len(), Ordering::Relaxed);
        if self.book.take_changed() {
            self.write_at.get_or_insert_with(|| Instant::now() + GATHER.max(self.writing * WRITES_ONE_IN));
        }
        if self.write_at.is_some_and(|at| at <= Instant::now()) {
            self.write_at = None;
            self.write();
        }
        self.call();
    }

    fn call(&mut self) {
        if self.calls.is_none() || self.is_busy {
            return;
        }
        let Some(call) = self.book.next_call(now()).or_else(|| self.waiting.pop_front()) else { return };
        // Scripts look into the file, and find there what they are told of, as with dnsmasq.
        if self.write_at.is_some_and(|at| at <= Instant::now() + GATHER) {
            self.write_at = None;
            self.write();
        }
        self.is_busy = self.calls.as_ref().is_some_and(|calls| calls.send(call).is_ok());
    }

    fn write(&mut self) {
        let begun = Instant::now();
        self.write_now();
        self.writing = begun.elapsed().min(LONGEST_WRITING);
    }

    fn write_now(&mut self) {
        let lines = self.book.lines();
        let Some(Err(error)) = self.file.as_mut().map(|file| file.write(&lines)) else { return };
        let text = format!("cannot write the lease file: {error} (our own log has all leases)");
        self.logger.write(&[Line::new(Level::Error, Part::Main, text)]);
        // As dnsmasq: not given up.
        self.write_at = Some(Instant::now() + Duration::from_secs(60));
    }
}

/// Tells of files that were sent whole over TFTP, in a thread of its own that ends with the journal.
///
/// # Errors
/// When the kernel gives no more threads.
pub fn tell_of_files(follower: Follower, lines: Lines, notes: Notes) -> io::Result<()> {
    let tell = move || {
        for heard in follower {
            let Heard::Event(event) = heard else { continue };
            if let Step::FileSent { protocol: protocol @ Protocol::Tftp, file, octets, .. } = &event.step
                && let Some(client) = event.client
            {
                let file = lines.path(*protocol, file).into();
                notes.tell(Note::Sent { octets: *octets, client, file });
            }
        }
    };
    thread::Builder::new().name("sent".into()).spawn(tell).map(drop)
}

/// Tells of neighbours that come and go, in a thread of its own.
///
/// # Errors
/// When the kernel does not tell of them, or gives no more threads.
pub fn tell_of_neighbours(notes: Notes) -> io::Result<()> {
    let mut neighbours = Neighbours::follow()?;
    let tell = move || {
        while let Ok(changes) = neighbours.changes() {
            changes.into_iter().for_each(|change| notes.tell(Note::Neighbour(change)));
        }
    };
    thread::Builder::new().name("neighbours".into()).spawn(tell).map(drop)
}

/// The time of day.
pub fn now() -> UnixSecs {
    UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
