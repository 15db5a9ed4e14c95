//! QEMU's monitor protocol (QMP): one JSON object a line, over a stream socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Octets of one line; the largest answers are a few KiB.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    #[error("QEMU closed its monitor")]
    Closed,
    #[error("QEMU did not answer `{command}` within {patience:?}")]
    Slow { command: String, patience: Duration },
    #[error("QEMU refused `{command}`: {text}")]
    Refused { command: String, text: String },
    #[error("QEMU's monitor wrote what is not QMP: {0}")]
    NotQmp(String),
    #[error("QEMU's monitor: {0}")]
    Io(io::Error),
}

/// Something QEMU tells on its own account, such as `SHUTDOWN`.
#[derive(Clone, Debug, PartialEq)]
pub struct QmpEvent {
    pub name: String,
    /// `null` when it carries none.
    pub data: Value,
}

/// Our end of the monitor.
pub struct Qmp {
    stream: UnixStream,
    received: Vec<u8>,
    events: VecDeque<QmpEvent>,
    last_id: u64,
    patience: Duration,
}

impl Qmp {
    /// Greets QEMU at the other end of `stream`. `patience`: for this and each later command.
    ///
    /// # Errors
    /// [`QmpError`]; `Closed` when QEMU ended, most likely over its command line.
    pub fn greet(stream: UnixStream, patience: Duration) -> Result<Qmp, QmpError> {
        let mut qmp = Qmp { stream, received: Vec::new(), events: VecDeque::new(), last_id: 0, patience };
        let end = Instant::now() + patience;
        let greeting = qmp.line_by(end, "greeting")?;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::NotQmp(greeting.to_string()));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs one command and waits for its answer; events that come in between are kept.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let end = Instant::now() + self.patience;
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        request.push('\n');
        self.stream.set_nonblocking(false).map_err(QmpError::Io)?;
        self.stream.write_all(request.as_bytes()).map_err(lost)?;
        loop {
            let mut answer = self.line_by(end, command)?;
            // An answer to an earlier command that had taken too long is no longer of use.
            if answer["id"] != id {
                self.keep(answer);
            } else if let Some(error) = answer.get("error") {
                let text = error["desc"].as_str().unwrap_or("no reason given").to_owned();
                return Err(QmpError::Refused { command: command.to_owned(), text });
            } else {
                return Ok(answer["return"].take());
            }
        }
    }

    /// The next event that has arrived, without waiting.
    pub fn next_event(&mut self) -> Result<Option<QmpEvent>, QmpError> {
        while self.events.is_empty() {
            match self.line()? {
                Some(line) => self.keep(line),
                None => {
                    self.stream.set_nonblocking(true).map_err(QmpError::Io)?;
                    if !self.read()? {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(self.events.pop_front())
    }

    /// Puts the keys down together and up again, e.g. `["ctrl", "b"]`; names as QEMU's QKeyCode has them.
    pub fn send_keys(&mut self, keys: &[&str]) -> Result<(), QmpError> {
        let keys: Vec<Value> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.execute("send-key", json!({ "keys": keys })).map(|_| ())
    }

    /// Writes the screen to `file`, an absolute path, as PNG.
    pub fn screendump(&mut self, file: &str) -> Result<(), QmpError> {
        self.execute("screendump", json!({ "filename": file, "format": "png" })).map(|_| ())
    }

    fn keep(&mut self, mut line: Value) {
        if let Some(name) = line["event"].as_str() {
            let name = name.to_owned();
            self.events.push_back(QmpEvent { name, data: line["data"].take() });
        }
    }

    /// The next whole line that has been received.
    fn line(&mut self) -> Result<Option<Value>, QmpError> {
        let Some(end) = self.received.iter().position(|octet| *octet == b'\n') else {
            if self.received.len() > LONGEST_LINE {
                return Err(QmpError::NotQmp("a line without end".to_owned()));
            }
            return Ok(None);
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        let not_qmp = |_| QmpError::NotQmp(String::from_utf8_lossy(&line).trim_end().to_owned());
        serde_json::from_slice(&line).map(Some).map_err(not_qmp)
    }

    fn line_by(&mut self, end: Instant, command: &str) -> Result<Value, QmpError> {
        loop {
            if let Some(line) = self.line()? {
                return Ok(line);
            }
            let left = end.saturating_duration_since(Instant::now());
            // Zero would mean for ever.
            let wait = left.max(Duration::from_millis(1));
            self.stream.set_nonblocking(false).map_err(QmpError::Io)?;
            self.stream.set_read_timeout(Some(wait)).map_err(QmpError::Io)?;
            if !self.read()? && left.is_zero() {
                return Err(QmpError::Slow { command: command.to_owned(), patience: self.patience });
            }
        }
    }

    /// Returns whether anything came.
    fn read(&mut self) -> Result<bool, QmpError> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(QmpError::Closed),
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Ok(false)
            }
            Err(error) => Err(lost(error)),
        }
    }
}

impl AsFd for Qmp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn lost(error: io::Error) -> QmpError {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => QmpError::Closed,
        _ => QmpError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::thread;

    /// Plays QEMU: greets, then answers each request with the lines that `answer` makes of it.
    fn played(answer: impl Fn(&Value) -> Vec<Value> + Send + 'static) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writer.write_all(b"{\"QMP\": {\"version\": {}}}\r\n").unwrap();
            for line in BufReader::new(theirs).lines() {
                let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
                for line in answer(&request) {
                    writer.write_all(format!("{line}\r\n").as_bytes()).unwrap();
                }
            }
        });
        ours
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn answers_are_matched_by_id_and_events_in_between_are_kept() {
        let stream = played(|request| {
            let id = request["id"].as_u64().unwrap();
            vec![
                json!({ "return": "late", "id": id - 1 }),
                json!({ "event": "SHUTDOWN", "data": { "reason": "guest-shutdown" } }),
                json!({ "return": { "command": request["execute"] }, "id": id }),
                json!({ "event": "STOP" }),
            ]
        });
        let mut qmp = Qmp::greet(stream, PATIENCE).unwrap();
        assert_eq!(qmp.execute("query-status", json!({})).unwrap(), json!({ "command": "query-status" }));
        let mut names = Vec::new();
        while names.len() < 4 {
            if let Some(event) = qmp.next_event().unwrap() {
                names.push(event.name);
            }
        }
        assert_eq!(names, ["SHUTDOWN", "STOP", "SHUTDOWN", "STOP"]);
        assert_eq!(qmp.next_event().unwrap(), None);
    }

    #[test]
    fn refusal_carries_the_reason() {
        let stream = played(|request| match request["execute"].as_str() {
            Some("screendump") => {
                vec![json!({ "error": { "class": "GenericError", "desc": "no screen" }, "id": request["id"] })]
            }
            _ => vec![json!({ "return": {}, "id": request["id"] })],
        });
        let mut qmp = Qmp::greet(stream, PATIENCE).unwrap();
        assert_eq!(qmp.screendump("/x.png").unwrap_err().to_string(), "QEMU refused `screendump`: no screen");
    }

    #[test]
    fn silence_and_hang_up_are_told_apart() {
        let stream = played(|request| match request["execute"].as_str() {
            Some("qmp_capabilities") => vec![json!({ "return": {}, "id": request["id"] })],
            _ => vec![],
        });
        let mut qmp = Qmp::greet(stream, Duration::from_millis(100)).unwrap();
        assert!(matches!(qmp.execute("stop", json!({})), Err(QmpError::Slow { .. })));

        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(matches!(Qmp::greet(ours, PATIENCE), Err(QmpError::Closed)));
    }
}
