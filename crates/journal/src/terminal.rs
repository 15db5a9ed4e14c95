//! The live view and the finished story, as text for a terminal.

use std::collections::HashMap;

use jiff::Timestamp;
use mac::Mac;

use crate::crowd::Crowd;
use crate::crowd_text;
use crate::failures::{Failure, Failures};
use crate::line::{Line, Tone};
use crate::run::Run;
use crate::style::{BOLD, DIM, MACHINES, YELLOW};
use crate::timeline::millis_between;
use crate::words::{octets, seconds, wrap};
use crate::{Boot, Event, Outcome, Reached, Size, Step, Stuck, Style, Timeline};

/// Small files and missing names are summed up when the machine has asked for none in this time.
const RUN_PAUSE_MILLIS: u64 = 1000;
/// The same line about a machine without a boot is shown once in this time.
const REPEAT_SECS: i64 = 60;
/// More machines than this within so many seconds are told of together.
const MANY: usize = 20;
const MANY_SECS: i64 = 5;
/// Where nothing can be written over, their figures come this often, in seconds.
const FIGURES_SECS: i64 = 10;
/// The same line about the host is shown so often while they boot; then it is counted.
const MOST_ALIKE: u32 = 3;
const MOST_STRAYS: usize = 4096;
const TOPIC_WIDTH: usize = 8;
const LONGEST_NAME: usize = 24;
/// What a boot's outcome needs to be understood.
const OUTCOME_WIDTH: usize = 60;
/// The host's own lines have this name.
const OURSELVES: &str = "lanboot";
/// Lines narrower than this go without the time of day.
const WITH_CLOCK: usize = 100;

/// Writes the live view, line by line, and the block that tells a boot's whole story.
pub struct Terminal {
    style: Style,
    names: HashMap<Mac, String>,
    name_width: usize,
    timeline: Timeline,
    failures: Failures,
    /// Small files and missing names of which the first is shown, and the start of the boot.
    runs: HashMap<Mac, (Timestamp, Run)>,
    /// The last line about each machine without a boot.
    strays: HashMap<Mac, (String, Timestamp)>,
    /// Machines heard of in the last seconds, and when.
    lately: HashMap<Mac, i64>,
    /// Those that boot at once, while they are too many for a line each.
    crowd: Option<Box<Crowd>>,
    /// When figures are to be written next, in seconds.
    figures_due: i64,
    /// How often the host's lines came while many boot.
    alike: HashMap<String, u32>,
}

impl Terminal {
    /// `names`: what the machines are called in the configuration; the others are shown by their MAC.
    pub fn new(style: Style, names: HashMap<Mac, String>) -> Terminal {
        let names: HashMap<Mac, String> =
            names.into_iter().map(|(mac, name)| (mac, name.chars().take(LONGEST_NAME).collect())).collect();
        let longest = names.values().map(|name| name.chars().count()).max();
        Terminal {
            style,
            names,
            name_width: longest.unwrap_or(MAC_WIDTH).max(OURSELVES.len()),
            timeline: Timeline::new(),
            lately: HashMap::new(),
            crowd: None,
            figures_due: 0,
            alike: HashMap::new(),
            failures: Failures::default(),
            runs: HashMap::new(),
            strays: HashMap::new(),
        }
    }

    /// The event as the live view shows it, without a line end; `None` when it adds nothing to what was shown. May be
    /// several lines: what came before it is summed up, and a hint follows below.
    pub fn line(&mut self, event: &Event) -> Option<String> {
        if event.machine.is_some_and(|machine| !self.names.contains_key(&machine)) {
            self.name_width = self.name_width.max(MAC_WIDTH);
        }
        if let Some(begun) = self.gather(event) {
            return begun;
        }
        let told = self.timeline.push(event);
        self.failures.hear(event);
        let line = told.line?;
        if let Some(failure) = Failure::of(event, told.started, &line) {
            self.failures.add(failure);
            return None;
        }
        let (Some(machine), Some(started)) = (event.machine, told.started) else {
            return if self.is_repeat(event, &line) { None } else { Some(self.draw(event.machine, None, &line)) };
        };
        if told.incidental
            && let Some((_, run)) = self.runs.get_mut(&machine)
            && run.take(event)
        {
            return None;
        }
        let mut drawn: Vec<String> = self.end_run(machine).into_iter().collect();
        if told.incidental
            && let Some(run) = Run::begin(event)
        {
            self.runs.insert(machine, (started, run));
        }
        drawn.push(self.draw(Some(machine), Some(started), &line));
        Some(drawn.join("\n"))
    }

    /// Whether the event is one of many machines' that boot at once: then what is to be shown of it, mostly nothing.
    fn gather(&mut self, event: &Event) -> Option<Option<String>> {
        let second = event.at.as_second();
        if let Some(crowd) = &mut self.crowd {
            let boot = self.timeline.follow(event);
            crowd.hear(event, boot);
            return Some(if event.machine.is_none() { self.own(event) } else { None });
        }
        self.lately.insert(event.machine?, second);
        if self.lately.len() > MANY {
            self.lately.retain(|_, heard| second - *heard < MANY_SECS);
        }
        if self.lately.len() <= MANY {
            return None;
        }
        let mut crowd = Box::new(Crowd::new(event.at));
        for machine in self.lately.drain().map(|(machine, _)| machine) {
            self.timeline.boot(machine).into_iter().for_each(|boot| crowd.adopt(boot));
        }
        let boot = self.timeline.follow(event);
        crowd.hear(event, boot);
        let machines: Vec<Mac> = self.runs.keys().copied().collect();
        let mut lines: Vec<String> = machines.into_iter().filter_map(|machine| self.end_run(machine)).collect();
        let text = format!("more than {MANY} at once: told of together until it is calm");
        lines.push(self.draw(None, None, &Line::new(event.at, crowd_text::MACHINES, text)));
        self.crowd = Some(crowd);
        self.figures_due = second + FIGURES_SECS;
        Some(Some(lines.join("\n")))
    }

    /// A line about the host, while many machines boot.
    fn own(&mut self, event: &Event) -> Option<String> {
        let line = Line::of(event).filter(|_| !matches!(event.step, Step::LookedUp { .. }))?;
        let times = self.alike.entry(line.text.clone()).or_default();
        *times += 1;
        (*times <= MOST_ALIKE).then(|| self.draw(None, None, &line))
    }

    /// So many events were not seen: they came faster than they could be read.
    pub fn missed(&mut self, at: Timestamp, events: u64) -> Option<String> {
        if let Some(crowd) = &mut self.crowd {
            crowd.missed += events;
            return None;
        }
        let text = format!("{events} events came too fast and are missing here");
        Some(self.draw(None, None, &Line::new(at, "warning", text).tone(Tone::Warn)))
    }

    /// What is to be shown because time has passed: small files and missing names of late, summed up, machines that
    /// have gone silent, each silence once, and of many machines at once the figures.
    pub fn due(&mut self, now: Timestamp) -> Vec<String> {
        let mut paused: Vec<(Timestamp, Mac)> = self.runs.iter().map(|(mac, (_, run))| (run.until(), *mac)).collect();
        paused.retain(|(until, _)| millis_between(*until, now) >= RUN_PAUSE_MILLIS);
        paused.sort_unstable();
        let mut lines: Vec<String> = paused.into_iter().filter_map(|(_, machine)| self.end_run(machine)).collect();
        lines.extend(self.failed_look_ups(now, false));
        lines.extend(self.stalls(now));
        lines.extend(self.figures(now));
        lines
    }

    fn stalls(&mut self, now: Timestamp) -> Vec<String> {
        let stalled = self.timeline.stalled(now);
        let mut lines = Vec::new();
        for machine in stalled {
            self.timeline.told_stuck(machine);
            let Some(boot) = self.timeline.boot(machine) else { continue };
            let Some(stuck) = boot.stuck(now) else { continue };
            match &mut self.crowd {
                Some(crowd) => crowd.stuck(boot, now),
                // Names that nobody can look up stop all machines at once.
                None if !self.failures.shows_stall(now, boot) => {}
                None => lines.push(self.draw_stuck(now, machine, boot.started, &stuck)),
            }
        }
        lines
    }

    /// What many machines at once have come to, where it is time to say so.
    fn figures(&mut self, now: Timestamp) -> Vec<String> {
        let Some(crowd) = &mut self.crowd else { return Vec::new() };
        let (name, style) = (|mac| name_of(&self.names, mac), &self.style);
        if crowd.is_over(now) {
            let lines = crowd_text::end(crowd, now, style, &name);
            self.crowd = None;
            self.alike.clear();
            return lines;
        }
        if style.in_place || now.as_second() < self.figures_due {
            return Vec::new();
        }
        self.figures_due = now.as_second() + FIGURES_SECS;
        let lines = crowd_text::lines(crowd, now, &name);
        lines.iter().map(|line| self.draw(None, None, line)).collect()
    }

    /// What is to stand below all other lines and to be written over by the next: many machines at once, in figures.
    /// Nothing while it is calm, and where nothing can be written over.
    pub fn frame(&self, now: Timestamp, size: Size) -> Vec<String> {
        let Some(crowd) = self.crowd.as_ref().filter(|_| self.style.in_place) else { return Vec::new() };
        crowd_text::frame(crowd, now, &self.style, size, &|mac| name_of(&self.names, mac))
    }

    /// What is to be shown when no more will happen.
    pub fn finish(&mut self) -> Vec<String> {
        let machines: Vec<Mac> = self.runs.keys().copied().collect();
        let mut lines: Vec<String> = machines.into_iter().filter_map(|machine| self.end_run(machine)).collect();
        let now = Timestamp::now();
        lines.extend(self.failed_look_ups(now, true));
        if let Some(crowd) = self.crowd.take() {
            let end = crowd.newest;
            lines.extend(crowd_text::end(&crowd, end, &self.style, &|mac| name_of(&self.names, mac)));
        }
        lines
    }

    /// Look-ups that failed and were not made good since.
    fn failed_look_ups(&mut self, now: Timestamp, end: bool) -> Vec<String> {
        let (failures, sums) = self.failures.due(now, end);
        let mut lines: Vec<String> =
            failures.iter().map(|failure| self.draw(failure.machine, failure.started, &failure.line)).collect();
        lines.extend(sums.iter().map(|line| self.draw(None, None, line)));
        lines
    }

    /// Sums up the small files and missing names that were not shown.
    fn end_run(&mut self, machine: Mac) -> Option<String> {
        let (started, run) = self.runs.remove(&machine)?;
        run.rest().map(|line| self.draw(Some(machine), Some(started), &line))
    }

    /// The whole story of one boot, each line ended. `now`: to say where it stands if it is not over.
    pub fn block(&self, boot: &Boot, now: Timestamp) -> String {
        let mut block = format!("{}\n", self.title(boot));
        for line in &boot.lines {
            let elapsed = elapsed(boot.started, line.at);
            let text = format!("{}{}{}", self.style.sign(line.tone), line.text, self.style.times(line.count));
            let column = 2 + ELAPSED_WIDTH + 2 + TOPIC_WIDTH + 2;
            let row = format!(
                "  {}  {}  {}",
                self.style.paint(DIM, &elapsed),
                self.topic(line.tone, &pad(line.topic, TOPIC_WIDTH)),
                self.style.flow(column, line.tone, &text)
            );
            block.push_str(row.trim_end());
            block.push('\n');
            if let Some(hint) = &line.hint {
                block.push_str(&self.hint(column, hint));
                block.push('\n');
            }
        }
        if (boot.outcome == Outcome::UnderWay || boot.outcome == Outcome::Up && boot.lookups.failed().is_some())
            && let Some(stuck) = boot.stuck(now)
        {
            block.push_str(&format!("  {}\n", self.style.flow(2, Tone::Warn, &format!("stuck: {}", stuck.what))));
            for cause in stuck.causes {
                block.push_str(&format!("{}\n", self.hint(2, &cause)));
            }
        }
        block
    }

    /// `node-1 (52:54:00:00:00:01)  BIOS PXE (UNDI 2.1)  ✓ up after 18 s, 21 MB`
    fn title(&self, boot: &Boot) -> String {
        let mac = boot.machine.to_string();
        let (name, rest) = match self.names.get(&boot.machine) {
            Some(name) => (name.clone(), format!(" ({mac})")),
            None => (mac, String::new()),
        };
        let up_after = |boot: &Boot| {
            let up = boot.lines.iter().find(|line| line.tone == Tone::Good).map_or(boot.last, |line| line.at);
            seconds(millis_between(boot.started, up))
        };
        let (tone, outcome) = match &boot.outcome {
            Outcome::Up => (Tone::Good, format!("up after {}", up_after(boot))),
            Outcome::Failed(because) => (Tone::Bad, format!("failed after {}: {because}", reached(boot.reached))),
            Outcome::Restarted => (Tone::Warn, format!("restarted after {}", reached(boot.reached))),
            Outcome::UnderWay => (Tone::Plain, format!("got as far as {}", reached(boot.reached))),
        };
        let size = if boot.octets == 0 { String::new() } else { format!(", {} sent", octets(boot.octets)) };
        let outcome = format!("{}{outcome}", self.style.sign(tone));
        let room = |firmware: &str| {
            let others = [&name, &rest, firmware, &size].map(|text| text.chars().count()).iter().sum::<usize>() + 2;
            self.style.width.saturating_sub(others)
        };
        // The lines below tell the firmware as well.
        let firmware = match format!("  {}", boot.firmware) {
            firmware if !boot.firmware.is_empty() && room(&firmware) >= outcome.chars().count().min(OUTCOME_WIDTH) => {
                firmware
            }
            _ => String::new(),
        };
        let outcome = self.style.clip(&outcome, room(&firmware));
        format!("{}{rest}{firmware}  {}", self.style.paint(BOLD, &name), self.style.tone(tone, &(outcome + &size)))
    }

    fn draw(&self, machine: Option<Mac>, started: Option<Timestamp>, line: &Line) -> String {
        let text = format!("{}{}", self.style.sign(line.tone), line.text);
        let mut drawn = self.head(line.at, machine, started, line.topic, line.tone);
        let column = self.text_column();
        drawn.push_str(&match line.topic {
            crowd_text::MACHINES => self.style.flow_whole(column, line.tone, &text),
            _ => self.style.flow(column, line.tone, &text),
        });
        if let Some(hint) = &line.hint {
            drawn.push('\n');
            drawn.push_str(&self.hint(self.text_column(), hint));
        }
        drawn
    }

    fn draw_stuck(&self, now: Timestamp, machine: Mac, started: Timestamp, stuck: &Stuck) -> String {
        let mut drawn = self.head(now, Some(machine), Some(started), "stuck", Tone::Warn);
        drawn.push_str(&self.style.flow(self.text_column(), Tone::Warn, &stuck.what));
        for cause in &stuck.causes {
            drawn.push('\n');
            drawn.push_str(&self.hint(self.text_column(), cause));
        }
        drawn
    }

    /// `14:02:11  52:54:00:00:00:01    +0.3 s  tftp      `
    fn head(&self, at: Timestamp, machine: Option<Mac>, started: Option<Timestamp>, topic: &str, tone: Tone) -> String {
        let elapsed = started.map_or_else(|| " ".repeat(ELAPSED_WIDTH), |started| elapsed(started, at));
        format!(
            "{}{}  {}  {}  ",
            self.clock(at),
            self.label(machine),
            self.style.paint(DIM, &elapsed),
            self.topic(tone, &pad(topic, TOPIC_WIDTH)),
        )
    }

    fn clock(&self, at: Timestamp) -> String {
        if self.style.width < WITH_CLOCK {
            return String::new();
        }
        let clock = at.to_zoned(self.style.time_zone.clone()).strftime("%H:%M:%S").to_string();
        format!("{}  ", self.style.paint(DIM, &clock))
    }

    fn label(&self, machine: Option<Mac>) -> String {
        let Some(machine) = machine else { return self.style.paint(DIM, &pad(OURSELVES, self.name_width)) };
        let name = name_of(&self.names, machine);
        // Neighbours often differ in the last octet only, and so get different colours.
        let colour = MACHINES[usize::from(machine.0[5]) % MACHINES.len()];
        self.style.paint(colour, &pad(&name, self.name_width))
    }

    fn topic(&self, tone: Tone, topic: &str) -> String {
        match tone {
            Tone::Plain => self.style.paint(BOLD, topic),
            tone => self.style.tone(tone, topic),
        }
    }

    fn hint(&self, column: usize, hint: &str) -> String {
        let (arrow, indent) = (self.style.arrow(), " ".repeat(column));
        let below = format!("\n{indent}{}", " ".repeat(arrow.chars().count() + 1));
        let width = self.style.width.saturating_sub(column + arrow.chars().count() + 1);
        format!("{indent}{} {}", self.style.paint(YELLOW, arrow), wrap(hint, width).join(&below))
    }

    fn text_column(&self) -> usize {
        let clock = if self.style.width < WITH_CLOCK { 0 } else { "14:02:11".len() + 2 };
        clock + self.name_width + 2 + ELAPSED_WIDTH + 2 + TOPIC_WIDTH + 2
    }

    /// A telephone that asks every few seconds is shown once a minute.
    fn is_repeat(&mut self, event: &Event, line: &Line) -> bool {
        let Some(machine) = event.machine else { return false };
        if let Some((text, at)) = self.strays.get(&machine)
            && *text == line.text
            && event.at.as_second() - at.as_second() < REPEAT_SECS
        {
            return true;
        }
        if self.strays.len() > MOST_STRAYS {
            self.strays.clear();
        }
        self.strays.insert(machine, (line.text.clone(), event.at));
        false
    }
}

fn name_of(names: &HashMap<Mac, String>, machine: Mac) -> String {
    names.get(&machine).cloned().unwrap_or_else(|| machine.to_string())
}

fn reached(reached: Reached) -> &'static str {
    match reached {
        Reached::Started => "power-on",
        Reached::Firmware => "the firmware",
        Reached::Loader => "the loader",
        Reached::Ipxe => "iPXE",
        Reached::Script => "the script",
        Reached::Kernel => "the kernel",
        Reached::Initrd => "kernel and initrd",
        Reached::OsUp => "the operating system",
    }
}

const ELAPSED_WIDTH: usize = 8;
const MAC_WIDTH: usize = "52:54:00:00:00:00".len();

/// ` +0.3 s`, `+18.2 s`, ` +2m05s`; right-aligned.
fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let millis = millis_between(from, to);
    let text = match millis / 1000 {
        0..100 => format!("+{:.1} s", (millis / 100) as f64 / 10.0),
        secs @ 100..6000 => format!("+{}m{:02}s", secs / 60, secs % 60),
        secs => format!("+{}h{:02}m", secs / 3600, secs / 60 % 60),
    };
    format!("{text:>ELAPSED_WIDTH$}")
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}
