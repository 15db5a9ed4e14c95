//! The way of the query log's lines out of the thread that serves DNS, which never waits for whoever writes them down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};

use dns::lookups::Line;

/// Lines that may wait; some 100 octets each.
const ROOM: usize = 8192;
/// Lines that are taken at once.
const AT_ONCE: usize = 256;

/// The service's end.
#[derive(Clone, Debug)]
pub struct QueryLog {
    queue: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

/// The log's end.
#[derive(Debug)]
pub struct QueryLines {
    queue: Receiver<Line>,
    lost: Arc<AtomicU64>,
}

/// A query log without lines.
pub fn query_log() -> (QueryLog, QueryLines) {
    with_room(ROOM)
}

fn with_room(room: usize) -> (QueryLog, QueryLines) {
    let (sender, queue) = mpsc::sync_channel(room);
    let lost = Arc::new(AtomicU64::new(0));
    (QueryLog { queue: sender, lost: lost.clone() }, QueryLines { queue, lost })
}

impl QueryLog {
    /// Hands over the line of a [`dns::Effect::Log`]. One that has no room is counted as lost.
    pub fn tell(&self, line: Line) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl QueryLines {
    /// Waits for a line, and puts it with those that wait behind it into `lines`, which is emptied first. Returns how many
    /// were lost since the last call, at about this place; `None` at the end, when the service is gone.
    pub fn take(&self, lines: &mut Vec<Line>) -> Option<u64> {
        lines.clear();
        lines.extend(self.queue.recv());
        let is_end = lines.is_empty();
        lines.extend(self.queue.try_iter().take(AT_ONCE - 1));
        let lost = self.lost.swap(0, Ordering::Relaxed);
        (lost > 0 || !is_end).then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use dns::Rtype;
    use dns::lookups::Logged;

    use super::*;

    fn line(serial: u64) -> Line {
        let what = Logged::Query { name: "deb.example".parse().unwrap(), kind: Rtype::A };
        Line { serial, client: "10.0.1.5:4000".parse().unwrap(), what }
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
        let (log, lines) = query_log();
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
