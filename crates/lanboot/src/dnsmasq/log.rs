//! The log: syslog, a file, standard error.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use config::Config;
use config::dnsmasq::lower::Process;
use config::dnsmasq::options::process::LogTo;
use dns::resolver::Statistics;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::{Follower, Heard};
use server::dns_log::DnsNotes;

use super::lines::{Counts, Level, Line, Lines, Part};
use super::names::{self, NameLines};
use super::privileges::Identity;

const SYSLOG: &str = "/dev/log";
/// syslog's names by number; some numbers have two (syslog(3)).
const FACILITIES: &[(&str, u8)] = &[
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("security", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
];
const LOCAL0: u8 = 16;
/// A line that syslog does not take in this time is lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go. Each is written by itself and at once; a log that cannot be written loses lines, and says how many.
pub struct Log {
    sinks: Vec<Sink>,
    zone: TimeZone,
}

enum Sink {
    Syslog(Syslog),
    File {
        path: PathBuf,
        file: File,
    },
    /// With time and process id, with the latter, or without both.
    StandardError {
        time: bool,
        pid: bool,
    },
}

struct Syslog {
    facility: u8,
    socket: Option<UnixDatagram>,
    lost: u64,
}

impl Log {
    /// Opens what the options ask for. A file is given to the user that we are to become.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(process: &Process, becomes: Option<&Identity>) -> io::Result<Log> {
        let mut sinks = vec![match &process.log_to {
            None => Sink::Syslog(Syslog::new(if process.debug { LOCAL0 } else { facility("daemon") })),
            Some(LogTo::Syslog(name)) => Sink::Syslog(Syslog::new(facility(name))),
            Some(LogTo::File(path)) => {
                let file = open_file(path)?;
                if let Some(becomes) = becomes {
                    becomes.own_log(&file)?;
                }
                Sink::File { path: path.clone(), file }
            }
            // Whoever keeps us in the foreground writes down the time itself.
            Some(LogTo::StandardError) => Sink::StandardError { time: !process.foreground, pid: true },
        }];
        if process.debug && process.log_to != Some(LogTo::StandardError) {
            sinks.push(Sink::StandardError { time: false, pid: false });
        }
        Ok(Log { sinks, zone: TimeZone::system() })
    }

    /// For what keeps us from starting: it goes to syslog whatever else is asked for, as the manual says.
    pub fn to_syslog() -> Log {
        Log { sinks: vec![Sink::Syslog(Syslog::new(facility("daemon")))], zone: TimeZone::system() }
    }

    /// Whether standard error is still needed in the background.
    pub fn uses_standard_error(&self) -> bool {
        self.sinks.iter().any(|sink| matches!(sink, Sink::StandardError { .. }))
    }

    pub fn write(&mut self, line: &Line) {
        let time = Timestamp::now().to_zoned(self.zone.clone()).strftime("%b %e %H:%M:%S").to_string();
        let (name, pid, text) = (line.part.name(), process::id(), &*in_one_line(&line.text));
        let whole = format!("{time} {name}[{pid}]: {text}\n");
        for sink in &mut self.sinks {
            // Standard error and a full disk have nobody to tell.
            let _ = match sink {
                Sink::Syslog(syslog) => {
                    syslog.write(line.level, &time, name, text);
                    Ok(())
                }
                Sink::File { file, .. } => file.write_all(whole.as_bytes()),
                Sink::StandardError { time: true, .. } => io::stderr().write_all(whole.as_bytes()),
                Sink::StandardError { pid: true, .. } => {
                    io::stderr().write_all(format!("{name}[{pid}]: {text}\n").as_bytes())
                }
                Sink::StandardError { .. } => io::stderr().write_all(format!("{name}: {text}\n").as_bytes()),
            };
        }
    }

    /// Begins anew the file that was moved away. Should that fail, the old one goes on, and says so.
    pub fn reopen(&mut self) {
        let mut failed = None;
        for sink in &mut self.sinks {
            let Sink::File { path, file } = sink else { continue };
            match open_file(path) {
                Ok(new) => *file = new,
                Err(error) => {
                    failed = Some(format!("cannot open log {}: {error}; the old one goes on", path.display()))
                }
            }
        }
        if let Some(text) = failed {
            self.write(&Line::new(Level::Error, Part::Main, text));
        }
    }
}

/// Clients name files and themselves as they like: nothing that they say begins a line or steers a terminal.
fn in_one_line(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\t';
    if text.contains(harmful) { text.replace(harmful, "?").into() } else { text.into() }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn facility(name: &str) -> u8 {
    let local = name.strip_prefix("local").and_then(|number| number.parse::<u8>().ok());
    let known = FACILITIES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    local.map(|number| LOCAL0 + number).or(known).expect("the dialect's reader takes known facilities only")
}

impl Syslog {
    fn new(facility: u8) -> Syslog {
        Syslog { facility, socket: None, lost: 0 }
    }

    /// In the form of RFC 3164, without a host's name, as local programs write.
    fn write(&mut self, level: Level, time: &str, name: &str, text: &str) {
        let tag = |level: Level, name: &str| {
            format!("<{}>{time} {name}[{}]:", self.facility * 8 + level as u8, process::id())
        };
        let line = format!("{} {text}", tag(level, name));
        let overflow = format!("{} overflow: {} log entries lost", tag(Level::Warning, "dnsmasq"), self.lost);
        let told = if self.lost > 0 { self.send(&overflow) } else { Ok(()) };
        match told.and_then(|()| self.send(&line)) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += 1,
        }
    }

    /// A syslog that was started again has another socket: then the one we have is of no use any more.
    fn send(&mut self, datagram: &str) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            match socket.send(datagram.as_bytes()) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.socket = None,
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(SYSLOG)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.send(datagram.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }
}

/// The log of a running service: written to by the thread that follows the journal, and by the one that takes signals.
#[derive(Clone)]
pub struct Logger(Arc<Shared>);

struct Shared {
    log: Mutex<Log>,
    lines: Lines,
    counts: Mutex<Counts>,
}

impl Logger {
    pub fn new(log: Log, lines: Lines) -> Logger {
        Logger(Arc::new(Shared { log: Mutex::new(log), lines, counts: Mutex::default() }))
    }

    pub fn write(&self, lines: &[Line]) {
        let mut log = lock(&self.0.log);
        lines.iter().for_each(|line| log.write(line));
    }

    pub fn reopen(&self) {
        lock(&self.0.log).reopen();
    }

    /// Logs what happens, in a thread of its own, until the journal ends.
    pub fn follow(&self, follower: Follower) -> io::Result<JoinHandle<()>> {
        let logger = self.clone();
        let log = move || {
            for heard in follower {
                match heard {
                    Heard::Event(event) => {
                        lock(&logger.0.counts).count(&event.step);
                        logger.write(&logger.0.lines.of(&event));
                    }
                    Heard::Skipped(missing) => {
                        logger.write(&[overflow(missing)]);
                    }
                }
            }
        };
        thread::Builder::new().name("log".into()).spawn(log)
    }

    /// Logs what there is to say of DNS, in a thread of its own, until the service ends.
    pub fn follow_names(&self, notes: DnsNotes, names: NameLines) -> io::Result<JoinHandle<()>> {
        let logger = self.clone();
        let log = move || {
            let (mut taken, mut lines) = (Vec::new(), Vec::new());
            while let Some(lost) = notes.take(&mut taken) {
                lines.clear();
                lines.extend(taken.iter().flat_map(|note| names.of(note)));
                lines.extend((lost > 0).then(|| overflow(lost)));
                logger.write(&lines);
            }
        };
        thread::Builder::new().name("log-names".into()).spawn(log)
    }

    /// `leases`: in use now. `names`: of the DNS service, where there is one.
    pub fn statistics(&self, leases: usize, names: Option<&Statistics>, config: &Config) {
        let now = Timestamp::now().as_second();
        let mut lines = names.map(|figures| names::statistics(figures, now)).unwrap_or_default();
        lines.extend(lock(&self.0.counts).lines(leases, config));
        self.write(&lines);
    }
}

fn overflow(missing: u64) -> Line {
    Line::new(Level::Warning, Part::Main, format!("overflow: {missing} log entries lost"))
}

// A line that was cut short by a panic elsewhere does the next one no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_names_come_in_order_until_the_service_ends() {
        use dns::Rtype;
        use dns::lookups::{Line as QueryLine, Logged};
        use server::dns_log::{DnsNote, dns_log};
        let path = std::env::temp_dir().join(format!("lanboot-log-names-{}", process::id()));
        let process = Process { log_to: Some(LogTo::File(path.clone())), ..Process::default() };
        let logger = Logger::new(Log::open(&process, None).unwrap(), Lines::default());
        let (log, notes) = dns_log();
        let names = NameLines { extra: true, ..NameLines::default() };
        let logging = logger.follow_names(notes, names).unwrap();
        log.tell(DnsNote::ReadHosts { path: "/etc/hosts".into(), names: 3 });
        for serial in 0..500 {
            let what = Logged::Query { name: "deb.example".parse().unwrap(), kind: Rtype::A };
            log.tell(DnsNote::Query(QueryLine { serial, client: "10.0.1.5:4000".parse().unwrap(), what }));
        }
        drop(log);
        logging.join().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("]: ").unwrap().1).collect();
        assert_eq!((lines.len(), lines[0]), (501, "read /etc/hosts - 3 names"));
        assert_eq!(lines[500], "499 10.0.1.5/4000 query[A] deb.example from 10.0.1.5");
    }

    #[test]
    fn whatever_a_client_says_is_one_line() {
        let path = std::env::temp_dir().join(format!("lanboot-log-{}", process::id()));
        let process = Process { log_to: Some(LogTo::File(path.clone())), ..Process::default() };
        let mut log = Log::open(&process, None).unwrap();
        log.write(&Line::info(Part::Tftp, "file /tftp/a\nNov 22 00:00:00 dnsmasq[1]: \u{1b}[2Jé\tb not found"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.ends_with("file /tftp/a?Nov 22 00:00:00 dnsmasq[1]: ?[2Jé\tb not found\n"), "{text}");
    }
}
