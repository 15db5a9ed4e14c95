//! The journal's file: every event as a line of JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::courtesy::stand_back;
use crate::{Event, Follower, Heard, Step};

/// Lines that are written at once, in octets.
const AT_ONCE: usize = 64 << 10;

/// The journal's file and its predecessor.
pub(crate) struct Record {
    path: PathBuf,
    file: File,
    octets: u64,
    limit: u64,
}

impl Record {
    /// `limit`: octets after which the file is set aside.
    pub fn open(path: &Path, limit: u64) -> io::Result<Record> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let octets = file.metadata()?.len();
        Ok(Record { path: path.to_owned(), file, octets, limit })
    }

    /// Writes until the journal is gone. Events that wait together are written together. Trouble is told once.
    pub fn keep(mut self, follower: &Follower, warn: impl Fn(Step)) {
        stand_back();
        let (mut warned, mut lines) = (false, Vec::new());
        while let Some(first) = follower.wait() {
            lines.clear();
            push_heard(&mut lines, first);
            while follower.at_hand() > 0 && lines.len() < AT_ONCE {
                follower.try_next().into_iter().for_each(|heard| push_heard(&mut lines, heard));
            }
            if let Err(error) = self.write(&lines)
                && !std::mem::replace(&mut warned, true)
            {
                warn(self.warning(&error));
            }
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.octets > 0 && self.octets + lines.len() as u64 > self.limit {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            *self = Record::open(&self.path, self.limit)?;
        }
        self.file.write_all(lines)?;
        self.octets += lines.len() as u64;
        Ok(())
    }

    fn warning(&self, error: &io::Error) -> Step {
        Step::Warning {
            text: format!("the journal's file {} cannot be written: {error}", self.path.display()),
            fix: Some("make room or mend its permissions; events are still shown and kept in memory".to_owned()),
        }
    }
}

fn push_heard(lines: &mut Vec<u8>, heard: Heard) {
    match heard {
        Heard::Event(event) => push_line(lines, &event),
        Heard::Skipped(missing) => push_line(lines, &gap(missing)),
    }
}

fn push_line(lines: &mut Vec<u8>, event: &Event) {
    serde_json::to_writer(&mut *lines, event).expect("an event has only text keys, and a Vec takes every octet");
    lines.push(b'\n');
}

/// The event that stands in a record for those that were lost.
pub(crate) fn gap(missing: u64) -> Event {
    let text = format!("{missing} events came too fast and are missing here");
    Event {
        at: Timestamp::now(),
        machine: None,
        client: None,
        interface: None,
        step: Step::Warning { text, fix: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Journal;
    use std::time::Duration;

    fn numbered(number: usize) -> Step {
        Step::Host { action: number.to_string() }
    }

    #[test]
    fn file_holds_every_event_after_flush_and_turns_over_at_its_limit() {
        let folder = std::env::temp_dir().join(format!("lanboot-journal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("journal.jsonl");
        std::fs::write(&path, "{\"kept\":true}\n").unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();

        let journal = Journal::with_limited_file(&path, 4000).unwrap();
        (0..10).for_each(|n| journal.append(None, numbered(n)));
        journal.flush(Duration::from_secs(10));
        let text = read(&path);
        assert!(text.starts_with("{\"kept\":true}\n"), "{text}");
        let events: Vec<Event> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            events.iter().map(|event| event.step.clone()).collect::<Vec<_>>(),
            (0..10).map(numbered).collect::<Vec<_>>()
        );

        for n in 10..100 {
            journal.append(None, numbered(n));
            journal.flush(Duration::from_secs(10));
        }
        let (old, new) = (read(&folder.join("journal.jsonl.1")), read(&path));
        assert!(old.len() <= 4000 && new.len() <= 4000 && !new.is_empty(), "{} {}", old.len(), new.len());
        assert!(new.ends_with("\"action\":\"99\"}\n"), "{new}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
