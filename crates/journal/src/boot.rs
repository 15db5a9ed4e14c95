//! One attempt of one machine to boot, as its steps tell it.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use mac::Mac;
use serde::Serialize;

use crate::like::KnownNames;
use crate::line::{Line, Tone, asker, beside, elsewhere, granted, ipxe_failure, protocol_topic};
use crate::lookups::LookUps;
use crate::run::{Run, is_incidental};
use crate::stuck::{Standstill, Waiting};
use crate::timeline::millis_between;
use crate::words::{clean, octets};
use crate::{Event, Role, Stage, Step};

/// A firmware that asks again within this time without having loaded anything is still in the same boot.
const FIRMWARE_RETRY_SECS: i64 = 120;
/// An iPXE that asks again after this time has been restarted. Its own retries take a minute at most.
const LONG_SILENCE_SECS: i64 = 600;
/// Lines kept of one boot; an installer that fetches thousands of files must not fill our memory.
const MOST_LINES: usize = 250;
/// Short lines of a console this close together are one line of the story, as far as they fit.
const ONE_LINE_MILLIS: u64 = 5000;
const ONE_LINE_CHARS: usize = 80;
/// One attempt of one machine to boot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boot {
    pub machine: Mac,
    pub started: Timestamp,
    /// When it was last heard of.
    pub last: Timestamp,
    /// What it boots with, e.g. `BIOS PXE (UNDI 2.1)`; empty until it asked for an address.
    pub firmware: String,
    pub reached: Reached,
    pub outcome: Outcome,
    pub lines: Vec<Line>,
    /// The sum of the files sent, in octets.
    pub octets: u64,
    #[serde(skip)]
    pub(crate) waiting: Waiting,
    /// When it was seen that this must come next.
    #[serde(skip)]
    pub(crate) waiting_since: Timestamp,
    #[serde(skip)]
    pub(crate) lookups: LookUps,
    #[serde(skip)]
    exchange: Option<Exchange>,
    /// What DHCP named.
    #[serde(skip)]
    boot_file: Option<String>,
    /// The small files and missing names under way, and their line.
    #[serde(skip)]
    run: Option<Box<(usize, Run)>>,
    /// What was told of its silence.
    #[serde(skip)]
    pub(crate) told_stuck: Option<Box<Standstill>>,
    /// When the timeline looks whether it is silent.
    #[serde(skip)]
    pub(crate) alarm: Option<Timestamp>,
}

/// The DHCP exchange under way: DISCOVER to ACK are one line.
#[derive(Clone, Debug, PartialEq)]
struct Exchange {
    stage: Stage,
    asker: String,
    /// How many DISCOVERs it took.
    asked: u32,
    line: usize,
}

impl Exchange {
    fn text(&self, result: &str) -> String {
        match self.asked {
            1 => format!("{}: {result}", self.asker),
            asked => format!("{}, asked {asked} times: {result}", self.asker),
        }
    }
}

/// The furthest step of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// The lab switched it on.
    Started,
    Firmware,
    Loader,
    Ipxe,
    Script,
    Kernel,
    Initrd,
    OsUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    UnderWay,
    Up,
    Failed(String),
    /// It began anew before it was up.
    Restarted,
}

impl Boot {
    pub(crate) fn new(machine: Mac, at: Timestamp) -> Boot {
        Boot {
            machine,
            started: at,
            last: at,
            firmware: String::new(),
            reached: Reached::Started,
            outcome: Outcome::UnderWay,
            lines: Vec::new(),
            octets: 0,
            waiting: Waiting::Nothing,
            waiting_since: at,
            lookups: LookUps::default(),
            exchange: None,
            boot_file: None,
            run: None,
            told_stuck: None,
            alarm: None,
        }
    }

    /// How long it took until now or until it was last heard of, in milliseconds.
    pub fn millis(&self) -> u64 {
        millis_between(self.started, self.last)
    }

    /// Whether this event is the first of the machine's next boot.
    pub(crate) fn is_over_before(&self, event: &Event) -> bool {
        let silence = event.at.as_second() - self.last.as_second();
        match event.step {
            Step::VmStarted { .. } => true,
            Step::DhcpDiscover { stage: Stage::Pxe | Stage::HttpBoot, .. } => {
                self.reached >= Reached::Loader || silence > FIRMWARE_RETRY_SECS || self.outcome != Outcome::UnderWay
            }
            Step::DhcpDiscover { stage: Stage::Ipxe, .. } => {
                self.reached >= Reached::Script || silence > LONG_SILENCE_SECS || self.outcome != Outcome::UnderWay
            }
            _ => false,
        }
    }

    pub(crate) fn restarted(&mut self) {
        if self.outcome == Outcome::UnderWay {
            self.outcome = Outcome::Restarted;
        }
    }

    /// Adds an event to the story. Returns the line to show live.
    pub(crate) fn take(&mut self, event: &Event, known: &KnownNames) -> Option<Line> {
        let needed = self.needs(&event.step);
        self.note_progress(&event.step);
        if self.waiting.learn(&event.step, needed) {
            self.waiting_since = event.at;
        }
        let line = match &event.step {
            Step::DhcpDiscover { stage, .. } => self.discover(event, *stage),
            Step::DhcpOffer { address, boot_file, .. } => {
                self.offer(event, *address, boot_file.as_deref());
                None
            }
            Step::DhcpAck { stage, address, boot_file, renewal, .. } => {
                self.ack(event, *stage, *address, boot_file.as_deref(), *renewal)
            }
            Step::ProxyAnswer { boot_file, .. } => self.answered_beside(event, boot_file.as_deref()),
            Step::AddressElsewhere { stage, address, server } => {
                let what = elsewhere(address, server.as_ref());
                let told = self.boot_file.as_deref().filter(|_| *stage != Stage::Os).map(|file| beside(Some(file)));
                self.took_elsewhere(event, *stage, told.map_or(what.clone(), |told| format!("{told}, {what}")))
            }
            Step::SizeProbe { protocol, file, octets: size } => {
                let text = format!("{} asked for its size only ({})", clean(file), octets(*size));
                self.add(Line::new(event.at, protocol_topic(*protocol), text).tone(Tone::Quiet));
                None
            }
            Step::FileSent { file, role, octets, .. } => {
                self.received(*role, *octets);
                self.drop_size_probe(file);
                if is_incidental(&event.step) { self.count_in(event) } else { self.add(Line::of(event)?) }
            }
            Step::FileNotFound { .. } if needed => self.add(Line::of_needed_file(event)?),
            Step::FileNotFound { .. } => self.count_in(event),
            Step::OsUp { .. } => {
                self.conclude(&event.step);
                self.os_up(Line::of(event)?)
            }
            // That it was stopped once it was judged goes without saying.
            Step::VmStopped { .. } if self.lines.iter().any(|line| line.topic == "verdict") => None,
            Step::LookedUp { .. } => {
                self.found_name(event);
                None
            }
            Step::LookUpFailed { .. } => self.failed_name(event, known),
            Step::Console { .. } => self.console(Line::of(event)),
            _ => {
                self.conclude(&event.step);
                Line::of(event).and_then(|line| self.add(line))
            }
        };
        self.last = event.at;
        line
    }

    /// [`Boot::take`] without its lines.
    pub(crate) fn take_quietly(&mut self, event: &Event, known: &KnownNames) {
        let needed = self.needs(&event.step);
        self.note_progress(&event.step);
        if self.waiting.learn(&event.step, needed) {
            self.waiting_since = event.at;
        }
        match &event.step {
            Step::DhcpDiscover { stage, .. } => self.asks(*stage),
            Step::DhcpAck { boot_file: Some(file), .. } | Step::ProxyAnswer { boot_file: Some(file), .. } => {
                self.boot_file = Some(file.clone());
            }
            Step::FileSent { role, octets, .. } => self.received(*role, *octets),
            Step::LookedUp { .. } => self.found_name(event),
            Step::LookUpFailed { .. } => drop(self.failed_name(event, known)),
            _ => self.conclude(&event.step),
        }
        (self.exchange, self.run, self.lines) = (None, None, Vec::new());
        self.last = event.at;
    }

    /// Whether the boot cannot go on without the file that this step is about.
    pub(crate) fn needs(&self, step: &Step) -> bool {
        let Step::FileNotFound { file, .. } = step else { return false };
        let file = file.trim_start_matches('/');
        let name = file.rsplit('/').next().unwrap_or(file).to_lowercase();
        let is_boot_file = self.boot_file.as_deref().is_some_and(|boot_file| {
            boot_file.strip_suffix(file).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        });
        is_boot_file || name == "linux" || ["vmlinuz", "bzimage", "initrd"].iter().any(|known| name.starts_with(known))
    }

    fn reach(&mut self, step: Reached) {
        self.reached = self.reached.max(step);
    }

    fn received(&mut self, role: Role, octets: u64) {
        self.octets += octets;
        self.reach(match role {
            Role::Loader => Reached::Loader,
            Role::Script => Reached::Script,
            Role::Kernel => Reached::Kernel,
            Role::Initrd => Reached::Initrd,
            Role::Other => self.reached,
        });
    }

    fn asks(&mut self, stage: Stage) {
        let rom = stage == Stage::Ipxe && self.reached < Reached::Loader;
        self.reach(match stage {
            Stage::Ipxe if !rom => Reached::Ipxe,
            Stage::Os => self.reached,
            _ => Reached::Firmware,
        });
    }

    fn conclude(&mut self, step: &Step) {
        match step {
            Step::OsUp { .. } => {
                self.reach(Reached::OsUp);
                self.outcome = Outcome::Up;
            }
            Step::LoopBroken { loader, times } => {
                self.outcome = Outcome::Failed(format!("given {} {times} times", clean(loader)));
            }
            Step::IpxeFailed { what, error } => {
                self.outcome = Outcome::Failed(format!("iPXE: {}", ipxe_failure(what, error)));
            }
            Step::Verdict { passed: true, .. } => self.outcome = Outcome::Up,
            Step::Verdict { because, .. } => self.outcome = Outcome::Failed(clean(because)),
            _ => {}
        }
    }

    /// Appends a line, or counts it when the one before says the same. Returns it when it is new.
    pub(crate) fn add(&mut self, line: Line) -> Option<Line> {
        if let Some(last) = self.lines.last_mut()
            && last.topic == line.topic
            && last.text == line.text
        {
            last.count += 1;
            last.until = line.until;
            return None;
        }
        self.push(line.clone());
        Some(line)
    }

    /// Adds a small file or a missing name to those before it. Returns the line of this one alone.
    fn count_in(&mut self, event: &Event) -> Option<Line> {
        let alone = Line::of(event);
        if let Some((at, run)) = self.run.as_deref_mut()
            && *at + 1 == self.lines.len()
            && run.take(event)
        {
            self.lines[*at] = run.line();
            return alone;
        }
        let run = Run::begin(event)?;
        self.run = Some(Box::new((self.lines.len(), run.clone())));
        self.push(run.line());
        alone
    }

    /// An operating system may be seen to be up more than once, by different signs: one line has them all.
    fn os_up(&mut self, line: Line) -> Option<Line> {
        let Some(known) = self.lines.iter_mut().find(|known| known.topic == line.topic) else { return self.add(line) };
        if known.text.contains(&line.text) {
            return None;
        }
        known.text = format!("{}; {}", known.text, line.text);
        known.until = line.at;
        Some(line.tone(Tone::Quiet))
    }

    fn console(&mut self, line: Option<Line>) -> Option<Line> {
        let line = line?;
        if let Some(last) = self.lines.last_mut()
            && last.topic == line.topic
            && last.text != line.text
            && millis_between(last.at, line.at) < ONE_LINE_MILLIS
            && last.text.chars().count() + line.text.chars().count() <= ONE_LINE_CHARS
        {
            last.text = format!("{}, {}", last.text, line.text);
            last.until = line.at;
            return Some(line);
        }
        self.add(line)
    }

    pub(crate) fn push(&mut self, line: Line) {
        match self.lines.len() {
            0..MOST_LINES => self.lines.push(line),
            MOST_LINES => self.lines.push(Line::new(line.at, "…", "more than is kept".to_owned()).tone(Tone::Quiet)),
            _ => {}
        }
    }

    fn discover(&mut self, event: &Event, stage: Stage) -> Option<Line> {
        let asker = asker(&event.step, self.reached < Reached::Loader);
        if let Some(exchange) = &mut self.exchange
            && exchange.asker == asker
            && let Some(line) = self.lines.get_mut(exchange.line)
        {
            exchange.asked += 1;
            line.until = event.at;
            line.text = exchange.text("no answer");
            return None;
        }
        let rom = stage == Stage::Ipxe && self.reached < Reached::Loader;
        if self.firmware.is_empty() && stage != Stage::Os {
            self.firmware.clone_from(&asker);
        }
        self.asks(stage);
        let topic = match stage {
            Stage::Os => "address",
            Stage::Ipxe if !rom => "ipxe",
            _ => "firmware",
        };
        let tone = if stage == Stage::Os { Tone::Quiet } else { Tone::Plain };
        let line = Line::new(event.at, topic, format!("{asker} asks for an address")).tone(tone);
        self.exchange = Some(Exchange { stage, asker, asked: 1, line: self.lines.len() });
        self.push(line.clone());
        // What our own iPXE and the operating system ask is shown with its answer.
        (topic == "firmware").then_some(line)
    }

    fn offer(&mut self, event: &Event, address: Ipv4Addr, boot_file: Option<&str>) {
        if let Some(exchange) = &self.exchange
            && let Some(line) = self.lines.get_mut(exchange.line)
        {
            line.text = exchange.text(&format!("offered {}", granted(&address, boot_file)));
            line.until = event.at;
        }
    }

    fn ack(
        &mut self,
        event: &Event,
        stage: Stage,
        address: Ipv4Addr,
        boot_file: Option<&str>,
        renewal: bool,
    ) -> Option<Line> {
        if let Some(boot_file) = boot_file {
            self.boot_file = Some(boot_file.to_owned());
        }
        let shown = Line::of(event);
        match self.exchange.take_if(|exchange| exchange.stage == stage) {
            Some(exchange) => {
                let what = match (stage, &shown) {
                    (Stage::Os, Some(line)) => line.text.clone(),
                    _ => granted(&address, boot_file),
                };
                let line = self.lines.get_mut(exchange.line)?;
                line.text = exchange.text(&what);
                line.until = event.at;
                // What a ROM was given is shown under its question.
                let topic = if line.topic == "firmware" { "address" } else { line.topic };
                Some(Line { topic, ..shown? })
            }
            None if renewal => {
                self.add(Line::new(event.at, "address", format!("{address} renewed")).tone(Tone::Quiet));
                None
            }
            None => self.add(shown?),
        }
    }

    /// What to boot is told beside another server's offer, or once more on port 4011.
    fn answered_beside(&mut self, event: &Event, boot_file: Option<&str>) -> Option<Line> {
        let is_news = boot_file.is_some() && self.boot_file.as_deref() != boot_file;
        self.boot_file = boot_file.map(str::to_owned).or(self.boot_file.take());
        match &self.exchange {
            Some(exchange) => {
                let line = self.lines.get_mut(exchange.line)?;
                line.text = exchange.text(&beside(boot_file));
                line.until = event.at;
                None
            }
            None if is_news => self.add(Line::of(event)?),
            None => None,
        }
    }

    fn took_elsewhere(&mut self, event: &Event, stage: Stage, what: String) -> Option<Line> {
        match self.exchange.take_if(|exchange| exchange.stage == stage) {
            Some(exchange) => {
                let line = self.lines.get_mut(exchange.line)?;
                line.text = exchange.text(&what);
                line.until = event.at;
                Some(Line { text: what, ..Line::of(event)? })
            }
            None => self.add(Line::of(event)?),
        }
    }

    /// The real transfer came: that the size was asked first is of no more interest.
    fn drop_size_probe(&mut self, file: &str) {
        let probed = format!("{} asked for its size only", clean(file));
        if self.lines.last().is_some_and(|line| line.text.starts_with(&probed)) {
            self.lines.pop();
        }
    }
}
