//! One machine from power on to verdict.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::{Tap, TapError};
use journal::{Event, Follower, Heard, Journal, Step};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;

use crate::console::{Console, sign};
use crate::judge::{Judge, Verdict, how_far};
use crate::lab::{LabSpec, VmSpec};
use crate::pcap::Recording;
use crate::qemu::{StartError, Vm};
use crate::qmp::{Qmp, QmpError};
use crate::typing::Typist;

/// How often the journal, the clock and the keyboard are looked after.
const TICK: Duration = Duration::from_millis(50);
/// Console lines of one machine that become events: a machine that restarts for ever must not flood the journal.
const MOST_CONSOLE_EVENTS: usize = 100;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    #[error(transparent)]
    Tap(#[from] TapError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("what goes over the cable cannot be recorded: {0}")]
    Recording(io::Error),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

/// A machine under observation.
pub(crate) struct Trial<'a> {
    spec: &'a VmSpec,
    journal: &'a Journal,
    folder: &'a Path,
    follower: Follower,
    events: Vec<Arc<Event>>,
    console: Console,
    console_events: usize,
    serial_log: File,
    judge: Judge,
    typist: Typist,
    /// `None` once it has ended, or hung up.
    vm: Option<Vm>,
    /// After `vm`: the cable is unplugged when the machine is gone.
    _recording: Recording,
    _tap: Tap,
}

impl<'a> Trial<'a> {
    /// Switches the machine on. `folder`: for its artefacts, and there already.
    pub(crate) fn start(
        spec: &'a VmSpec,
        lab: &LabSpec,
        journal: &'a Journal,
        folder: &'a Path,
    ) -> Result<Trial<'a>, TrialError> {
        let tap = Tap::create(Some("lab%d"))?;
        tap.enslave(&lab.bridge)?;
        tap.up()?;
        let recording = Recording::start(&tap.name, &folder.join("capture.pcapng")).map_err(TrialError::Recording)?;
        let serial_path = folder.join("serial.log");
        let serial_log = File::create(&serial_path).map_err(|error| TrialError::File(serial_path, error))?;
        // Before the machine: nothing that it does is missed.
        let follower = journal.follow();
        let mut vm = Vm::start(&spec.hardware, tap.as_fd(), folder, lab.pace())?;
        journal.append(
            Some(spec.hardware.mac),
            Step::VmStarted { name: spec.name.clone(), firmware: spec.hardware.firmware.to_string(), pid: vm.pid() },
        );
        vm.qmp.execute("cont", json!({})).map_err(StartError::Monitor)?;
        Ok(Trial {
            spec,
            journal,
            folder,
            follower,
            events: Vec::new(),
            console: Console::default(),
            console_events: 0,
            serial_log,
            judge: Judge::new(spec.expect.clone(), Instant::now(), lab.timeout),
            typist: Typist::new(&spec.typing),
            vm: Some(vm),
            _recording: recording,
            _tap: tap,
        })
    }

    /// Follows the machine until there is a verdict.
    pub(crate) fn verdict(&mut self, stop: &AtomicBool) -> Verdict {
        let mut next_tick = Instant::now();
        loop {
            self.pump(next_tick);
            let now = Instant::now();
            if now < next_tick {
                continue;
            }
            next_tick = now + TICK;
            self.follow_journal(now);
            self.judge.on_console(now, &self.console);
            self.typist.on_console(now, &self.console);
            self.type_keys(now);
            if let Some(verdict) = self.judge.verdict(now) {
                return self.explained(verdict);
            }
            if stop.load(Ordering::Relaxed) {
                return self.explained(Verdict { passed: false, because: "interrupted".to_owned() });
            }
        }
    }

    /// Lets the machine run on, and reads its console, until it ends or `stop` is set.
    pub(crate) fn run_on(&mut self, stop: &AtomicBool) {
        while self.vm.is_some() && !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.pump(now + TICK);
            self.follow_journal(now);
        }
    }

    /// Writes the screen as it is now.
    pub(crate) fn save_screen(&mut self) {
        // Relative to QEMU's working folder. A QEMU older than 7.1 knows the plain old format only.
        self.ask(|qmp| {
            if let Err(QmpError::Refused { .. }) = qmp.screendump("screen.png") {
                let _ = qmp.execute("screendump", json!({ "filename": "screen.ppm" }));
            }
        });
    }

    /// Asks QEMU's monitor, and takes in meanwhile what the machine writes: the serial port of arm64 keeps all of QEMU
    /// waiting once nobody reads it, and the monitor with it.
    fn ask<T>(&mut self, work: impl FnOnce(&mut Qmp) -> T) -> Option<T> {
        let Vm { serial, qmp, .. } = self.vm.as_mut()?;
        let done = AtomicBool::new(false);
        let (answer, octets) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_until(serial, &done));
            let answer = work(qmp);
            done.store(true, Ordering::Relaxed);
            (answer, reader.join().expect("reading does not panic"))
        });
        self.hear(&octets);
        Some(answer)
    }

    /// Switches the machine off and writes what the journal says about it.
    pub(crate) fn finish(mut self, because: &str) {
        let step = Step::VmStopped { name: self.spec.name.clone(), because: because.to_owned() };
        self.vm = None;
        self.journal.append(Some(self.spec.hardware.mac), step);
        self.follow_journal(Instant::now());
        // The verdict stands without this file; a full disk shows in the others as well.
        let _ = write_timeline(&self.folder.join("timeline.json"), &self.events);
    }

    fn explained(&self, verdict: Verdict) -> Verdict {
        if verdict.passed {
            return verdict;
        }
        let because = format!("{}; {}", verdict.because, how_far(&self.events, &self.console));
        Verdict { because, ..verdict }
    }

    /// Waits for the console and the monitor, at most until `end`, and takes in what they have.
    fn pump(&mut self, end: Instant) {
        let wait = end.saturating_duration_since(Instant::now());
        let Some(vm) = &mut self.vm else { return std::thread::sleep(wait) };
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        let mut fds = [vm.serial.as_fd(), vm.qmp.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // Interrupted or not, both are looked at below without waiting.
        let _ = poll(&mut fds, timeout);
        let console = self.read_console();
        let monitor = self.read_monitor();
        if console.is_err() || monitor.is_err() {
            self.hung_up();
        }
    }

    /// # Errors
    /// When the other end is gone.
    fn read_console(&mut self) -> io::Result<()> {
        let Some(vm) = &mut self.vm else { return Ok(()) };
        vm.serial.set_nonblocking(true)?;
        let mut buffer = [0; 16 << 10];
        let count = match vm.serial.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.hear(&buffer[..count]);
        Ok(())
    }

    fn hear(&mut self, octets: &[u8]) {
        // On a full disk the log ends early; the machine is judged all the same.
        let _ = self.serial_log.write_all(octets);
        let now = Instant::now();
        for line in self.console.feed(octets) {
            if let Some(sign) = sign(&line) {
                self.judge.on_sign(now, sign, &line);
                self.tell_console(line);
            }
        }
    }

    fn tell_console(&mut self, line: String) {
        if self.console_events < MOST_CONSOLE_EVENTS {
            self.console_events += 1;
            self.journal.append(Some(self.spec.hardware.mac), Step::Console { line });
        }
    }

    fn read_monitor(&mut self) -> Result<(), QmpError> {
        while let Some(vm) = &mut self.vm
            && let Some(event) = vm.qmp.next_event()?
        {
            if event.name == "SHUTDOWN" {
                let because = match event.data["reason"].as_str() {
                    Some("guest-shutdown") => "it switched itself off",
                    Some("guest-reset") => "it restarted",
                    Some("guest-panic") => "its kernel reported a panic",
                    _ => "it was switched off",
                };
                self.judge.on_end(Instant::now(), because);
            }
        }
        Ok(())
    }

    /// The console or the monitor is closed: QEMU has ended or is about to.
    fn hung_up(&mut self) {
        let Some(mut vm) = self.vm.take() else { return };
        let end = Instant::now() + Duration::from_secs(2);
        let mut status = vm.ended();
        while status.is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
            status = vm.ended();
        }
        let how = status.map_or("it closed its monitor".to_owned(), |status| status.to_string());
        self.judge.on_end(Instant::now(), &format!("QEMU ended ({how}); qemu.log may say why"));
    }

    fn follow_journal(&mut self, now: Instant) {
        let mac = Some(self.spec.hardware.mac);
        while let Some(heard) = self.follower.try_next() {
            match heard {
                Heard::Event(event) if event.machine == mac => self.take(now, event),
                Heard::Event(_) => {}
                Heard::Skipped(_) => self.read_again(now),
            }
        }
    }

    fn take(&mut self, now: Instant, event: Arc<Event>) {
        self.judge.on_step(now, &event.step);
        self.typist.on_step(now, &event.step);
        self.events.push(event);
    }

    /// Events were missed: what the journal still remembers of this boot takes the place of what was heard.
    fn read_again(&mut self, now: Instant) {
        let remembered = self.journal.events_of(self.spec.hardware.mac);
        let start = remembered.iter().rposition(|event| matches!(event.step, Step::VmStarted { .. }));
        self.events.clear();
        for event in remembered.into_iter().skip(start.unwrap_or(0)) {
            self.take(now, event);
        }
    }

    fn type_keys(&mut self, now: Instant) {
        if let Some(keys) = self.typist.begun(now) {
            self.journal.append(Some(self.spec.hardware.mac), Step::Typed { keys });
        }
        if let Some(chord) = self.typist.key(now) {
            // A machine without a keyboard, or at its end: the verdict will show it.
            self.ask(|qmp| qmp.send_keys(&chord));
        }
    }
}

/// What comes over the line until `done` is set.
fn read_until(line: &UnixStream, done: &AtomicBool) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut buffer = [0; 16 << 10];
    let _ = line.set_nonblocking(true);
    while !done.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(5u8));
        let mut line = line;
        match line.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => octets.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => break,
        }
    }
    octets
}

fn write_timeline(file: &Path, events: &[Arc<Event>]) -> io::Result<()> {
    let events: Vec<&Event> = events.iter().map(AsRef::as_ref).collect();
    let mut text = serde_json::to_string_pretty(&events)?;
    text.push('\n');
    std::fs::write(file, text)
}
