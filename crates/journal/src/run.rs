//! Small files and missing names in a row, as menus and loaders ask for them by the dozen, told as one line.

use jiff::Timestamp;

use crate::line::{Line, Tone, protocol_topic};
use crate::words::{clean, counted, octets};
use crate::{Event, Protocol, Role, Step};

/// Files from this size on, in octets, are worth a line of their own.
const LARGE: u64 = 1_000_000;

/// What a machine was sent, and what it asked for in vain, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    protocol: Protocol,
    at: Timestamp,
    until: Timestamp,
    sent: Part,
    octets: u64,
    missing: Part,
    newest: Line,
}

/// How many, the first and the last.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    count: u32,
    first: String,
    last: String,
}

impl Part {
    fn add(&mut self, file: &str) {
        if self.count == 0 {
            self.first = clean(base_name(file));
        }
        self.last = clean(base_name(file));
        self.count += 1;
    }

    /// `30 files (ldlinux.c32 to splash.png)`.
    fn text(&self, thing: &str) -> String {
        format!("{} ({} to {})", counted(self.count, thing), self.first, self.last)
    }
}

fn base_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// Whether this may be one of many: a small file of no known role, or a name that is not there.
pub(crate) fn is_incidental(step: &Step) -> bool {
    match step {
        Step::FileSent { role: Role::Other, octets, .. } => *octets < LARGE,
        Step::FileNotFound { .. } => true,
        _ => false,
    }
}

impl Run {
    /// A run of one; `None` when the event is not incidental.
    pub(crate) fn begin(event: &Event) -> Option<Run> {
        let (Step::FileSent { protocol, .. } | Step::FileNotFound { protocol, .. }) = &event.step else { return None };
        let (sent, missing) = (Part::default(), Part::default());
        let newest = Line::of(event)?;
        let mut run = Run { protocol: *protocol, at: event.at, until: event.at, sent, octets: 0, missing, newest };
        run.take(event).then_some(run)
    }

    /// Adds the event. Returns whether it belongs here.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        if !is_incidental(&event.step) {
            return false;
        }
        match &event.step {
            Step::FileSent { protocol, file, octets, .. } if *protocol == self.protocol => {
                self.sent.add(file);
                self.octets += octets;
            }
            Step::FileNotFound { protocol, file, .. } if *protocol == self.protocol => self.missing.add(file),
            _ => return false,
        }
        self.until = event.at;
        if let Some(line) = Line::of(event) {
            self.newest = line;
        }
        true
    }

    /// When it was last added to.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// All of it as one line.
    pub(crate) fn line(&self) -> Line {
        let text = match (self.sent.count, self.missing.count) {
            (1, 0) | (0, 1) => return self.newest.clone(),
            (0, _) => format!("{} not there", self.missing.text("name")),
            (1, missing) => {
                format!("{}  {}; {} not there", self.sent.first, octets(self.octets), counted(missing, "name"))
            }
            (_, 0) => format!("{}, {}", self.sent.text("file"), octets(self.octets)),
            (_, missing) => {
                let sent = self.sent.text("file");
                format!("{sent}, {}; {} not there", octets(self.octets), counted(missing, "name"))
            }
        };
        Line { until: self.until, ..Line::new(self.at, protocol_topic(self.protocol), text).tone(Tone::Quiet) }
    }

    /// What to add where the first of it was shown when it came; `None` when that was all.
    pub(crate) fn rest(&self) -> Option<Line> {
        match self.sent.count + self.missing.count {
            0 | 1 => None,
            2 => Some(self.newest.clone()),
            _ => Some(Line { at: self.until, ..self.line() }),
        }
    }
}
