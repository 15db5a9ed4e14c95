//! The way of what is logged of DNS out of the thread that serves it, which never waits for whoever writes it down.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};

use dns::lookups::Line;
use dns::settings::Server;

/// Notes that may wait; some 200 octets each.
const ROOM: usize = 8192;
/// Notes that are taken at once.
const AT_ONCE: usize = 256;

/// Something to log.
#[derive(Clone, Debug, PartialEq)]
pub enum DnsNote {
    /// A line of the query log: a [`dns::Effect::Log`].
    Query(Line),
    /// resolv.conf, or what stands for it, was read: these servers are in it.
    ReadServers { path: PathBuf, servers: Vec<Server> },
    /// A hosts file was read: so many names are in it, with those that it gave a domain.
    ReadHosts { path: PathBuf, names: usize },
    /// A file that was to be read could not be. `error`: why, as the system says it.
    NotRead { path: PathBuf, error: String },
    /// A file of a watched folder came, or changed.
    Changed { path: PathBuf },
    /// A file of a watched folder is gone, and so many names with it.
    Removed { path: PathBuf, names: usize },
    /// The cache was emptied where there are no hosts files to read again.
    Cleared,
}

/// The service's end.
#[derive(Clone, Debug)]
pub struct DnsLog {
    queue: SyncSender<DnsNote>,
    lost: Arc<AtomicU64>,
}

/// The log's end.
#[derive(Debug)]
pub struct DnsNotes {
    queue: Receiver<DnsNote>,
    lost: Arc<AtomicU64>,
}

/// A log with nothing in it.
pub fn dns_log() -> (DnsLog, DnsNotes) {
    with_room(ROOM)
}

fn with_room(room: usize) -> (DnsLog, DnsNotes) {
    let (sender, queue) = mpsc::sync_channel(room);
    let lost = Arc::new(AtomicU64::new(0));
    (DnsLog { queue: sender, lost: lost.clone() }, DnsNotes { queue, lost })
}

impl DnsLog {
    /// Hands over a note. One that has no room is counted as lost.
    pub fn tell(&self, note: DnsNote) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(note) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl DnsNotes {
    /// Waits for a note, and puts it with those that wait behind it into `notes`, which is emptied first. Returns how many
    /// were lost since the last call, at about this place; `None` at the end, when the service is gone.
    pub fn take(&self, notes: &mut Vec<DnsNote>) -> Option<u64> {
        notes.clear();
        notes.extend(self.queue.recv());
        let is_end = notes.is_empty();
        notes.extend(self.queue.try_iter().take(AT_ONCE - 1));
        let lost = self.lost.swap(0, Ordering::Relaxed);
        (lost > 0 || !is_end).then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use dns::Rtype;
    use dns::lookups::Logged;

    use super::*;

    fn line(serial: u64) -> DnsNote {
        let what = Logged::Query { name: "deb.example".parse().unwrap(), kind: Rtype::A };
        DnsNote::Query(Line { serial, client: "10.0.1.5:4000".parse().unwrap(), what })
    }

    #[test]
    fn lines_without_room_are_counted_and_nobody_waits() {
        let (log, lines) = with_room(3);
        (0..5).for_each(|serial| log.tell(line(serial)));
        let mut taken = Vec::new();
        assert_eq!(lines.take(&mut taken), Some(2));
        assert_eq!(taken, [line(0), line(1), line(2)]);
        log.tell(line(5));
        assert_eq!(lines.take(&mut taken), Some(0));
        assert_eq!(taken, [line(5)]);
        (0..4).for_each(|serial| log.tell(line(serial)));
        drop(log);
        assert_eq!((lines.take(&mut taken), lines.take(&mut taken)), (Some(1), None));
    }

    #[test]
    fn lines_come_by_the_hundred_and_end_with_the_service() {
        let (log, lines) = dns_log();
        (0..300).for_each(|serial| log.tell(line(serial)));
        drop(log);
        let mut taken = Vec::new();
        let mut lengths = Vec::new();
        while lines.take(&mut taken).is_some() {
            lengths.push(taken.len());
        }
        assert_eq!(lengths, [256, 44]);
    }

    #[test]
    fn without_a_reader_nothing_is_kept() {
        let (log, lines) = with_room(1);
        drop(lines);
        (0..3).for_each(|serial| log.tell(line(serial)));
        assert_eq!(log.lost.load(Ordering::Relaxed), 0);
    }
}
