//! Between who knows what to show and a terminal that may not take it: lines wait, up to a limit, and then are left out and
//! counted. Nobody but the thread that writes ever waits for a terminal.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::courtesy::stand_back;
use crate::screen::{Screen, Size};

/// Octets that may wait for the terminal.
const MOST_WAITING: usize = 256 << 10;

/// Takes lines and frames, until [`Outlet::close`].
pub(crate) struct Outlet(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Default)]
struct Waiting {
    lines: Vec<String>,
    octets: usize,
    left_out: u64,
    /// The newest frame, where there is one that was not drawn yet.
    frame: Option<(Vec<String>, Size)>,
    /// Nothing more will come.
    closed: bool,
    /// What became of the writing.
    ended: Option<io::Result<()>>,
}

impl Outlet {
    /// Begins to write, in a thread of its own.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<Outlet> {
        let shared = Arc::new((Mutex::default(), Condvar::new()));
        let theirs = Outlet(shared.clone());
        thread::Builder::new().name("terminal".to_owned()).spawn(move || {
            stand_back();
            let result = theirs.write(&mut out);
            theirs.lock().ended = Some(result);
            theirs.0.1.notify_all();
        })?;
        Ok(Outlet(shared))
    }

    /// Adds lines, and puts the frame in place of the former.
    ///
    /// # Errors
    /// When the terminal takes no more, e.g. a closed pipe.
    pub fn show(&self, lines: impl IntoIterator<Item = String>, frame: Option<(Vec<String>, Size)>) -> io::Result<()> {
        let mut waiting = self.lock();
        if let Some(ended) = &mut waiting.ended {
            return std::mem::replace(ended, Ok(())).and(Err(io::ErrorKind::BrokenPipe.into()));
        }
        for line in lines {
            if waiting.octets + line.len() > MOST_WAITING {
                waiting.left_out += 1;
            } else {
                waiting.octets += line.len();
                waiting.lines.push(line);
            }
        }
        waiting.frame = frame.or(waiting.frame.take());
        self.0.1.notify_all();
        Ok(())
    }

    /// Waits until all is written, at most for `patience`: a terminal that takes nothing keeps nobody from ending.
    pub fn close(self, patience: Duration) {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.0.1.notify_all();
        let is_at_work = |waiting: &mut Waiting| waiting.ended.is_none();
        let _ = self.0.1.wait_timeout_while(waiting, patience, is_at_work);
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (mut screen, mut frame, mut size) = (Screen::default(), Vec::new(), Size { columns: 80, rows: 24 });
        loop {
            let nothing =
                |waiting: &mut Waiting| !waiting.closed && waiting.lines.is_empty() && waiting.frame.is_none();
            let mut waiting = self.0.1.wait_while(self.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
            let (mut lines, left_out) = (std::mem::take(&mut waiting.lines), std::mem::take(&mut waiting.left_out));
            waiting.octets = 0;
            if let Some(new) = waiting.frame.take() {
                (frame, size) = new;
            }
            let closed = waiting.closed;
            drop(waiting);
            if left_out > 0 {
                lines.push(format!("{left_out} lines were left out here, while nobody read them"));
            }
            if closed {
                frame.clear();
            }
            out.write_all(screen.show(&lines, &frame, size).as_bytes())?;
            out.flush()?;
            if closed && self.lock().lines.is_empty() {
                return Ok(());
            }
        }
    }

    // A panic elsewhere while the lock was held leaves nothing half changed.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn who_writes_to_a_pipe_that_nobody_reads_goes_on_and_afterwards_is_told_what_was_left_out() {
        let (mut reader, writer) = io::pipe().unwrap();
        let outlet = Outlet::new(writer).unwrap();
        let line = "x".repeat(1000);
        // Many times what the pipe and we take; one by one, as they come.
        for _ in 0..2000 {
            outlet.show([line.clone()], None).unwrap();
        }
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        // The writer has gone on once the mark is in its hands.
        while outlet.lock().left_out > 0 {
            thread::yield_now();
        }
        outlet.show(["after".to_owned()], None).unwrap();
        outlet.close(Duration::from_secs(60));
        let text = reading.join().unwrap();
        let whole = text.lines().filter(|text| **text == line).count();
        let count =
            |line: &str| line.split_once(" lines were left out here").map(|(count, _)| count.parse::<usize>().unwrap());
        let left_out: usize = text.lines().filter_map(count).sum();
        assert!(left_out > 1000 && whole >= MOST_WAITING / 1001, "{left_out} {whole}");
        assert_eq!(whole + left_out, 2000);
        assert!(text.ends_with("read them\nafter\n"));
    }

    #[test]
    fn end_does_not_wait_for_a_terminal_that_takes_nothing() {
        let (_reader, writer) = io::pipe().unwrap();
        let outlet = Outlet::new(writer).unwrap();
        outlet.show(["x".repeat(200_000)], None).unwrap();
        outlet.close(Duration::from_millis(10));
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let outlet = Outlet::new(writer).unwrap();
        while outlet.show(["x".to_owned()], None).is_ok() {
            thread::yield_now();
        }
    }
}
