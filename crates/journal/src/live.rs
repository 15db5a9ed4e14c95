//! Shows a journal as it is written: for people, and for programs.

use std::io::{self, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use terminal_size::{Height, Width, terminal_size};

use crate::courtesy::stand_back;
use crate::outlet::Outlet;
use crate::record::gap;
use crate::{Event, Follower, Heard, Size, Terminal};

/// How often the live view looks for machines that have gone silent.
const CHECK: Duration = Duration::from_secs(1);
/// How often many machines at once are drawn.
const DRAW: Duration = Duration::from_millis(300);
/// How long the end waits for a terminal.
const PATIENCE: Duration = Duration::from_secs(2);

/// The event as `--log json` shows it: one JSON object, without a line end.
pub fn json_line(event: &Event) -> String {
    serde_json::to_string(event).expect("an event has only text keys")
}

/// Shows what happens until the journal is gone. Whatever the terminal does, the journal is read on; lines that it does not
/// take are left out, and counted.
///
/// # Errors
/// When `out` takes no more, e.g. a closed pipe; when the kernel gives no thread.
pub fn print_live(follower: &Follower, mut terminal: Terminal, out: impl Write + Send + 'static) -> io::Result<()> {
    stand_back();
    let outlet = Outlet::new(out)?;
    let (mut looked, mut drew, mut has_frame) = (Instant::now(), Instant::now(), false);
    loop {
        match follower.next_within(DRAW) {
            Ok(Heard::Event(event)) => show(&outlet, terminal.line(&event))?,
            Ok(Heard::Skipped(missing)) => show(&outlet, terminal.missed(Timestamp::now(), missing))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                show(&outlet, terminal.finish())?;
                outlet.close(PATIENCE);
                return Ok(());
            }
        }
        // What is at hand is dealt with first.
        if follower.at_hand() > 0 || drew.elapsed() < DRAW {
            continue;
        }
        drew = Instant::now();
        let now = Timestamp::now();
        if looked.elapsed() >= CHECK {
            looked = Instant::now();
            show(&outlet, terminal.due(now))?;
        }
        let size = size();
        let frame = terminal.frame(now, size);
        if has_frame || !frame.is_empty() {
            has_frame = !frame.is_empty();
            outlet.show([], Some((frame, size)))?;
        }
    }
}

fn show(outlet: &Outlet, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() { outlet.show(lines, None) } else { Ok(()) }
}

/// That of the terminal now: people change it.
fn size() -> Size {
    let (Width(columns), Height(rows)) = terminal_size().unwrap_or((Width(80), Height(24)));
    Size { columns: usize::from(columns), rows: usize::from(rows) }
}

/// [`print_live`] for `--log json`: one object a line.
///
/// # Errors
/// When `out` takes no more.
pub fn print_json(follower: Follower, out: impl Write) -> io::Result<()> {
    stand_back();
    let mut out = io::BufWriter::new(out);
    while let Some(heard) = follower.wait() {
        let line = match heard {
            Heard::Event(event) => json_line(&event),
            Heard::Skipped(missing) => json_line(&gap(missing)),
        };
        writeln!(out, "{line}")?;
        if follower.at_hand() == 0 {
            out.flush()?;
        }
    }
    Ok(())
}
