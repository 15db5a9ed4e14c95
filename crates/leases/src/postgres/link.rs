//! The thread that talks to the database: it connects, carries out batches, hears of what others write, and begins again by itself.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

use super::PostgresSettings;
use super::fault::Fault;
use super::rows::{Moment, Standing};
use super::session::{Failed, Session, Time, Verdict};
use crate::error::StoreError;
use crate::record::Record;
use crate::store::Change;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Machines that start an exchange give it up after a few seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the thread has to tell.
pub enum Report {
    /// The batch that was given, and what became of it.
    Settled(Vec<Change>, Result<Vec<Verdict>, StoreError>),
    /// Others wrote this.
    Learnt(Vec<Standing>),
    /// All leases, after the database was started anew.
    Anew(Vec<Record>),
}

/// What was found at the start.
pub struct Found {
    pub records: Vec<Record>,
    pub nodes: Vec<Ipv4Addr>,
    /// How far this host's clock is ahead of the database's, in seconds.
    pub ahead_secs: i64,
}

/// Reports on their way to the store, and what wakes it.
struct Outbox {
    reports: Mutex<VecDeque<Report>>,
    ready: EventFd,
    /// Nobody sends any more.
    ended: AtomicBool,
}

impl Outbox {
    fn send(&self, report: Report) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push_back(report);
        // The counter of an event descriptor overflows only after more reports than there can be.
        let _ = self.ready.write(1);
    }
}

/// Makes the end of the thread known, also when that is a fault of its own.
struct Farewell(Arc<Outbox>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        let _ = self.0.ready.write(1);
    }
}

/// The store's end of the thread; dropping it ends the thread.
pub struct Link {
    /// A batch was given whose end was not told yet.
    asked: bool,
    orders: Option<mpsc::UnboundedSender<(Vec<Change>, Instant)>>,
    outbox: Arc<Outbox>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Connects and reads all leases before it returns. `ours`: by which addresses this node serves.
    pub fn start(settings: PostgresSettings, ours: Vec<Ipv4Addr>, time: Time) -> Result<(Link, Found), StoreError> {
        let thread_failed = |error: std::io::Error| {
            let fault = Fault::new(
                format!("cannot be talked to: {error}"),
                "end other programs; this host is out of threads or files",
            );
            fault.at(&settings.server)
        };
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let ready = EventFd::from_flags(flags).map_err(|errno| thread_failed(errno.into()))?;
        let outbox = Arc::new(Outbox { reports: Mutex::default(), ready, ended: AtomicBool::new(false) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread_failed)?;
        let (orders, taken) = mpsc::unbounded_channel();
        let (tell, told) = std::sync::mpsc::channel();
        let server = settings.server.clone();
        let mut keeper =
            Keeper { settings: settings.clone(), ours, time, outbox: outbox.clone(), orders: taken, seen: None };
        let farewell = Farewell(outbox.clone());
        let run = move || {
            let _farewell = farewell;
            runtime.block_on(async {
                match keeper.begin().await {
                    Ok((session, found)) => {
                        let _ = tell.send(Ok(found));
                        keeper.run(session).await;
                    }
                    Err(fault) => drop(tell.send(Err(fault))),
                }
            });
        };
        let thread = std::thread::Builder::new().name("postgresql".into()).spawn(run).map_err(thread_failed)?;
        let link = Link { asked: false, orders: Some(orders), outbox, thread: Some(thread) };
        match told.recv() {
            Ok(Ok(found)) => Ok((link, found)),
            Ok(Err(fault)) => Err(fault.at(&server)),
            Err(_) => {
                Err(Fault::new("was given up by a fault of lanboot's own", "start it again, and report the fault")
                    .at(&server))
            }
        }
    }

    pub fn give(&mut self, batch: Vec<Change>) {
        self.asked = true;
        let orders = self.orders.as_ref().expect("taken only when dropped");
        // Where the thread has ended, `take` tells.
        let _ = orders.send((batch, Instant::now()));
    }

    /// The oldest report, if there is any.
    pub fn take(&mut self) -> Option<Report> {
        let ended = self.outbox.ended.load(Ordering::Acquire);
        let mut reports = self.outbox.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let report = reports.pop_front();
        if reports.is_empty() {
            // With the lock held, so that no report comes between.
            let _ = self.outbox.ready.read();
        }
        let report = report.or_else(|| {
            let fault = Fault::new(
                "is not talked to any more, by a fault of lanboot's own",
                "start lanboot again, and report the fault",
            );
            (ended && self.asked).then(|| Report::Settled(Vec::new(), Err(fault.at("database"))))
        });
        self.asked &= !matches!(report, Some(Report::Settled(..)));
        report
    }

    /// Readable while there are reports.
    pub fn ready(&self) -> &EventFd {
        &self.outbox.ready
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why a session came to its end.
enum End {
    /// Nobody gives orders any more.
    Stop,
    Lost(Fault),
}

struct Keeper {
    settings: PostgresSettings,
    ours: Vec<Ipv4Addr>,
    time: Time,
    outbox: Arc<Outbox>,
    orders: mpsc::UnboundedReceiver<(Vec<Change>, Instant)>,
    /// When the server was started that the last session was with, and the highest version it had learnt.
    seen: Option<(Moment, i64)>,
}

impl Keeper {
    async fn begin(&mut self) -> Result<(Session, Found), Fault> {
        let mut session = Session::open(&self.settings, self.time).await?;
        let nodes = session.register(&self.ours).await?;
        let records = session.load().await?;
        let ahead_secs = session.skew.0 / 1_000_000;
        Ok((session, Found { records, nodes, ahead_secs }))
    }

    async fn run(mut self, first: Session) {
        let mut session = first;
        loop {
            let fault = match self.serve(&mut session).await {
                End::Stop => return,
                End::Lost(fault) => fault,
            };
            self.seen = Some((session.started, session.seen));
            drop(session);
            match self.reconnect(fault).await {
                Some(again) => session = again,
                None => return,
            }
        }
    }

    async fn serve(&mut self, session: &mut Session) -> End {
        loop {
            tokio::select! {
                order = self.orders.recv() => {
                    let Some((batch, begun)) = order else { return End::Stop };
                    let result = session.change(&batch, begun).await;
                    let (result, lost) = match result {
                        Ok(verdicts) => (Ok(verdicts), None),
                        Err(Failed { fault, lost }) => (Err(fault.clone().at(&self.settings.server)), lost.then_some(fault)),
                    };
                    self.outbox.send(Report::Settled(batch, result));
                    if let Some(fault) = lost {
                        return End::Lost(fault);
                    }
                    if session.follow_clock() {
                        match session.load().await {
                            Ok(records) => self.outbox.send(Report::Anew(records)),
                            Err(fault) => return End::Lost(fault),
                        }
                    }
                }
                noticed = session.noticed() => {
                    let Some(()) = noticed else {
                        return End::Lost(Fault::new("has closed the connection", "nothing, if it is being restarted; else see its log"));
                    };
                    match session.news().await {
                        Ok(standings) => self.tell(standings),
                        Err(Failed { fault, .. }) => return End::Lost(fault),
                    }
                }
            }
        }
    }

    fn tell(&self, standings: Vec<Standing>) {
        if !standings.is_empty() {
            self.outbox.send(Report::Learnt(standings));
        }
    }

    /// Connects again, however long it takes; batches given meanwhile fail at once. `None`: nobody gives orders any more.
    async fn reconnect(&mut self, mut fault: Fault) -> Option<Session> {
        let mut pause = Duration::ZERO;
        loop {
            let Keeper { settings, ours, time, orders, outbox, seen } = &mut *self;
            let (settings, ours) = (&*settings, &*ours);
            let attempt = async move {
                tokio::time::sleep(pause).await;
                resume(settings, ours, *time, *seen).await
            };
            tokio::pin!(attempt);
            let resumed = loop {
                tokio::select! {
                    resumed = &mut attempt => break resumed,
                    order = orders.recv() => {
                        let (batch, _) = order?;
                        outbox.send(Report::Settled(batch, Err(fault.clone().at(&settings.server))));
                    }
                }
            };
            match resumed {
                Ok((session, report)) => {
                    outbox.send(report);
                    return Some(session);
                }
                Err(found) => fault = found,
            }
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }
}

/// Opens a session and learns what happened since the last one. What became of a batch whose answer was lost is learnt with it, as
/// if somebody else had written it.
async fn resume(
    settings: &PostgresSettings,
    ours: &[Ipv4Addr],
    time: Time,
    seen: Option<(Moment, i64)>,
) -> Result<(Session, Report), Fault> {
    let mut session = Session::open(settings, time).await?;
    session.register(ours).await?;
    let report = match seen {
        Some((started, version)) if started == session.started => {
            session.seen = version;
            Report::Learnt(session.news().await.map_err(|failed| failed.fault)?)
        }
        // It may have been set back to a backup or be another server now: what it says counts.
        _ => Report::Anew(session.load().await?),
    };
    Ok((session, report))
}

/// Does one thing with the database and returns.
pub fn once<T>(settings: &PostgresSettings, work: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Fault::new(format!("cannot be talked to: {error}"), "free some memory").at(&settings.server)
    })?;
    runtime.block_on(work).map_err(|fault| fault.at(&settings.server))
}
