//! Joins events into stories: one [`Boot`] for each attempt of a machine.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::Ipv4Addr;

use jiff::Timestamp;
use mac::Mac;
use serde::Serialize;

use crate::like::KnownNames;
use crate::line::{Line, Tone, asker, beside, elsewhere, granted, ipxe_failure, protocol_topic};
use crate::lookups::LookUps;
use crate::run::{Run, is_incidental};
use crate::stuck::{Standstill, Waiting};
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
/// Machines whose current boot is kept; a few hundred octets each while many boot at once.
const MOST_MACHINES: usize = 32_768;

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
    alarm: Option<Timestamp>,
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

/// Every machine's current boot, kept up to date event by event.
#[derive(Default)]
pub struct Timeline {
    current: HashMap<Mac, Boot>,
    /// When to look at whom. Of one machine there may be several: the one that its boot knows of counts.
    alarms: BinaryHeap<Reverse<(Timestamp, Mac)>>,
    known: KnownNames,
    /// The boots that came before, in the order they ended; only when asked for.
    finished: Option<Vec<Boot>>,
}

/// What an event meant to the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When the boot it belongs to began.
    pub started: Option<Timestamp>,
    /// The line to show now; `None` when the event is part of what was shown already.
    pub line: Option<Line>,
    /// Whether it may be one of many small files and missing names, which better are counted than shown.
    pub incidental: bool,
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline::default()
    }

    /// Every boot in these events, by time of start. The events are in order of time.
    pub fn of<E: Borrow<Event>>(events: impl IntoIterator<Item = E>) -> Vec<Boot> {
        let mut timeline = Timeline { finished: Some(Vec::new()), ..Timeline::default() };
        for event in events {
            timeline.push(event.borrow());
        }
        let mut boots = timeline.finished.take().unwrap_or_default();
        boots.extend(timeline.current.into_values());
        boots.sort_by_key(|boot| (boot.started, boot.machine));
        boots
    }

    /// Takes in the next event.
    pub fn push(&mut self, event: &Event) -> Told {
        let is_news = |event: &Event| !matches!(event.step, Step::LookedUp { .. });
        let line = |event| Line::of(event).filter(|_| is_news(event));
        let alone = |event| Told { started: None, line: line(event), incidental: false };
        self.known.hear(event);
        let Some(machine) = event.machine else { return alone(event) };
        self.begin_with(machine, event);
        let Some(boot) = self.current.get_mut(&machine) else { return alone(event) };
        let incidental = is_incidental(&event.step) && !boot.needs(&event.step);
        let told = Told { started: Some(boot.started), line: boot.take(event, &self.known), incidental };
        self.look_later(machine);
        told
    }

    /// Takes in the next event without a word: what became of the boot is all that is kept. Returns its machine's boot.
    pub(crate) fn follow(&mut self, event: &Event) -> Option<&Boot> {
        self.known.hear(event);
        let machine = event.machine?;
        self.begin_with(machine, event);
        self.current.get_mut(&machine)?.take_quietly(event, &self.known);
        self.look_later(machine);
        self.current.get(&machine)
    }

    /// Begins a boot, where this event is the first of one.
    fn begin_with(&mut self, machine: Mac, event: &Event) {
        let begins = match self.current.get(&machine) {
            Some(boot) => boot.is_over_before(event),
            None => begins_a_boot(&event.step),
        };
        if !begins {
            return;
        }
        if let Some(mut before) = self.current.insert(machine, Boot::new(machine, event.at)) {
            before.restarted();
            if let Some(finished) = &mut self.finished {
                finished.push(before);
            }
        }
        self.forget_the_oldest();
    }

    /// Sees to it that the boot is looked at when its patience ends.
    fn look_later(&mut self, machine: Mac) {
        let Some(boot) = self.current.get_mut(&machine) else { return };
        let Some(end) = boot.patience_ends() else { return };
        // An alarm that is too early is put off when it rings.
        if boot.alarm.is_none_or(|alarm| alarm > end) {
            boot.alarm = Some(end);
            self.alarms.push(Reverse((end, machine)));
        }
    }

    /// The machines that are stuck by now and were not told of, the one that was heard of first before the others.
    pub(crate) fn stalled(&mut self, now: Timestamp) -> Vec<Mac> {
        let mut stalled = Vec::new();
        while let Some(Reverse((at, machine))) = self.alarms.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.alarms.pop();
            let Some(boot) = self.current.get_mut(&machine).filter(|boot| boot.alarm == Some(at)) else { continue };
            boot.alarm = None;
            match boot.patience_ends() {
                Some(end) if end > now => self.look_later(machine),
                Some(_) if !boot.is_told_stuck() && boot.stuck(now).is_some() => stalled.push((boot.last, machine)),
                _ => {}
            }
        }
        stalled.sort_unstable();
        stalled.into_iter().map(|(_, machine)| machine).collect()
    }

    /// That this machine stands still has been told.
    pub(crate) fn told_stuck(&mut self, machine: Mac) {
        if let Some(boot) = self.current.get_mut(&machine) {
            boot.told_stuck = Some(Box::new(Standstill::of(boot)));
        }
    }

    /// The boot that a machine is in, or was in last.
    pub fn boot(&self, machine: Mac) -> Option<&Boot> {
        self.current.get(&machine)
    }

    /// Every machine's latest boot, in no order.
    pub fn boots(&self) -> impl Iterator<Item = &Boot> {
        self.current.values()
    }

    /// Makes room for many at once: those that wait for nothing go first, then those not heard of for longest.
    fn forget_the_oldest(&mut self) {
        if self.current.len() <= MOST_MACHINES {
            return;
        }
        let key = |boot: &Boot| (boot.waiting != Waiting::Nothing, boot.last, boot.machine);
        let mut keys: Vec<_> = self.current.values().map(key).collect();
        let (_, last, _) = keys.select_nth_unstable(MOST_MACHINES / 8);
        let last = *last;
        let old = self.current.extract_if(|_, boot| key(boot) <= last).map(|(_, boot)| boot);
        match &mut self.finished {
            Some(finished) => finished.extend(old),
            None => old.for_each(drop),
        }
    }
}

fn begins_a_boot(step: &Step) -> bool {
    match step {
        Step::VmStarted { .. } => true,
        Step::DhcpDiscover { stage, .. } => *stage != Stage::Os,
        // The DISCOVER may be older than our memory, or the client remembered its address.
        Step::DhcpAck { stage, renewal, .. } => *stage != Stage::Os && !renewal,
        _ => false,
    }
}

impl Boot {
    fn new(machine: Mac, at: Timestamp) -> Boot {
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
    fn is_over_before(&self, event: &Event) -> bool {
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

    fn restarted(&mut self) {
        if self.outcome == Outcome::UnderWay {
            self.outcome = Outcome::Restarted;
        }
    }

    /// Adds an event to the story. Returns the line to show live.
    fn take(&mut self, event: &Event, known: &KnownNames) -> Option<Line> {
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
    fn take_quietly(&mut self, event: &Event, known: &KnownNames) {
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

pub(crate) fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}
