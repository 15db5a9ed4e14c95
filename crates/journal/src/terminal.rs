//! The live view and the finished story, as text for a terminal.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mac::Mac;

use crate::failures::{Failure, Failures};
use crate::line::{Line, Tone};
use crate::record::gap;
use crate::run::Run;
use crate::stuck::Standstill;
use crate::style::{BOLD, DIM, MACHINES, YELLOW};
use crate::timeline::millis_between;
use crate::words::{octets, seconds, wrap};
use crate::{Boot, Event, Follower, Heard, Outcome, Reached, Stuck, Style, Timeline};

/// How often the live view looks for machines that have gone silent.
const CHECK: Duration = Duration::from_secs(1);
/// Small files and missing names are summed up when the machine has asked for none in this time.
const RUN_PAUSE_MILLIS: u64 = 1000;
/// The same line about a machine without a boot is shown once in this time.
const REPEAT_SECS: i64 = 60;
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
    /// What each machine was told to be waiting for in vain, and in which boot, by its start.
    told_stuck: HashMap<Mac, Standstill>,
    failures: Failures,
    /// Small files and missing names of which the first is shown, and the start of the boot.
    runs: HashMap<Mac, (Timestamp, Run)>,
    /// The last line about each machine without a boot.
    strays: HashMap<Mac, (String, Timestamp)>,
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
            told_stuck: HashMap::new(),
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

    /// What is to be shown because time has passed: small files and missing names of late, summed up, and machines that
    /// have gone silent, each silence once.
    pub fn due(&mut self, now: Timestamp) -> Vec<String> {
        let mut paused: Vec<(Timestamp, Mac)> = self.runs.iter().map(|(mac, (_, run))| (run.until(), *mac)).collect();
        paused.retain(|(until, _)| millis_between(*until, now) >= RUN_PAUSE_MILLIS);
        paused.sort_unstable();
        let mut lines: Vec<String> = paused.into_iter().filter_map(|(_, machine)| self.end_run(machine)).collect();
        lines.extend(self.failed_look_ups(now, false));
        lines.extend(self.stalls(now));
        lines
    }

    fn stalls(&mut self, now: Timestamp) -> Vec<String> {
        let told = |boot: &Boot| self.told_stuck.get(&boot.machine).is_some_and(|told| told.is_of(boot));
        let silent = self.timeline.boots().filter(|boot| !told(boot));
        let mut stalls: Vec<(&Boot, Stuck)> = silent.filter_map(|boot| Some((boot, boot.stuck(now)?))).collect();
        stalls.sort_by_key(|(boot, _)| (boot.last, boot.machine));
        // Names that nobody can look up stop all machines at once.
        let shown = stalls.iter().filter(|(boot, _)| self.failures.shows_stall(now, boot));
        let shown: Vec<&(&Boot, Stuck)> = shown.collect();
        let lines = shown.iter().map(|(boot, stuck)| self.draw_stuck(now, boot.machine, boot.started, stuck)).collect();
        let tell = stalls.iter().map(|(boot, _)| (boot.machine, Standstill::of(boot)));
        let tell: Vec<_> = tell.collect();
        self.told_stuck.retain(|machine, _| self.timeline.boot(*machine).is_some());
        self.told_stuck.extend(tell);
        lines
    }

    /// What is to be shown when no more will happen.
    pub fn finish(&mut self) -> Vec<String> {
        let machines: Vec<Mac> = self.runs.keys().copied().collect();
        let mut lines: Vec<String> = machines.into_iter().filter_map(|machine| self.end_run(machine)).collect();
        lines.extend(self.failed_look_ups(Timestamp::now(), true));
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
        drawn.push_str(&self.style.flow(self.text_column(), line.tone, &text));
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
        let name = self.names.get(&machine).cloned().unwrap_or_else(|| machine.to_string());
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

/// The event as `--log json` shows it: one JSON object, without a line end.
pub fn json_line(event: &Event) -> String {
    serde_json::to_string(event).expect("an event has only text keys")
}

/// Shows what happens until the journal is gone.
///
/// # Errors
/// When `out` takes no more, e.g. a closed pipe.
pub fn print_live(follower: &Follower, mut terminal: Terminal, mut out: impl Write) -> io::Result<()> {
    let mut looked = Instant::now();
    loop {
        match follower.next_within(CHECK) {
            Ok(Heard::Event(event)) => show(&mut out, terminal.line(&event))?,
            Ok(Heard::Skipped(missing)) => show(&mut out, terminal.line(&gap(missing)))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return show(&mut out, terminal.finish()),
        }
        if looked.elapsed() >= CHECK {
            looked = Instant::now();
            show(&mut out, terminal.due(Timestamp::now()))?;
        }
    }
}

fn show(out: &mut impl Write, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// [`print_live`] for `--log json`: one object a line.
///
/// # Errors
/// When `out` takes no more.
pub fn print_json(follower: Follower, mut out: impl Write) -> io::Result<()> {
    for heard in follower {
        let line = match heard {
            Heard::Event(event) => json_line(&event),
            Heard::Skipped(missing) => json_line(&gap(missing)),
        };
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}
