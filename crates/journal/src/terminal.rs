//! The live view and the finished story, as text for a terminal.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mac::Mac;

use crate::journal::gap;
use crate::line::{Line, Tone};
use crate::timeline::millis_between;
use crate::words::{octets, seconds};
use crate::{Boot, Event, Follower, Heard, Outcome, Reached, Stuck, Timeline};

/// How often the live view looks for machines that have gone silent.
const STALL_CHECK: Duration = Duration::from_secs(1);
/// The same line about a machine without a boot is shown once in this time.
const REPEAT_SECS: i64 = 60;
const MOST_STRAYS: usize = 4096;
const TOPIC_WIDTH: usize = 8;
const LONGEST_NAME: usize = 24;

/// How text is drawn.
#[derive(Clone, Debug)]
pub struct Style {
    pub colour: bool,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
    pub time_zone: TimeZone,
}

impl Style {
    /// What suits this output and the environment: colour on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`
    /// (no-color.org), signs beyond ASCII where the locale is UTF-8, local time.
    pub fn detect(out: &impl IsTerminal) -> Style {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        // The first that is set decides (POSIX, locale(7)).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        Style {
            colour: out.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            time_zone: TimeZone::system(),
        }
    }

    /// Neither colour nor signs beyond ASCII, and UTC: for files and tests.
    pub fn plain() -> Style {
        Style { colour: false, unicode: false, time_zone: TimeZone::UTC }
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\u{1b}[{}m{text}\u{1b}[0m", colour.0) } else { text.to_owned() }
    }

    fn tone(&self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Quiet => self.paint(DIM, text),
            Tone::Good => self.paint(GREEN, text),
            Tone::Warn => self.paint(YELLOW, text),
            Tone::Bad => self.paint(RED, text),
        }
    }

    fn sign(&self, tone: Tone) -> &'static str {
        match (tone, self.unicode) {
            (Tone::Good, true) => "✓ ",
            (Tone::Bad, true) => "✗ ",
            (Tone::Good, false) => "ok, ",
            (Tone::Bad, false) => "! ",
            (Tone::Quiet | Tone::Plain | Tone::Warn, _) => "",
        }
    }

    fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    fn times(&self, count: u32) -> String {
        match count {
            0 | 1 => String::new(),
            _ if self.unicode => format!(" ×{count}"),
            _ => format!(" x{count}"),
        }
    }
}

#[derive(Clone, Copy)]
struct Colour(&'static str);

const DIM: Colour = Colour("2");
const BOLD: Colour = Colour("1");
const RED: Colour = Colour("31");
const GREEN: Colour = Colour("32");
const YELLOW: Colour = Colour("33");
/// One for each machine, so that the eye finds its lines among others'. Green, yellow and red mean something else.
const MACHINES: [Colour; 6] = [Colour("36"), Colour("35"), Colour("34"), Colour("96"), Colour("95"), Colour("94")];

/// Writes the live view, line by line, and the block that tells a boot's whole story.
pub struct Terminal {
    style: Style,
    names: HashMap<Mac, String>,
    name_width: usize,
    timeline: Timeline,
    /// The silence already told of, by the time it began.
    told_stuck: HashMap<Mac, Timestamp>,
    /// The last line about each machine without a boot.
    strays: HashMap<Mac, (String, Timestamp)>,
}

impl Terminal {
    /// `names`: what the machines are called in the configuration; the others are shown by their MAC.
    pub fn new(style: Style, names: HashMap<Mac, String>) -> Terminal {
        let names: HashMap<Mac, String> =
            names.into_iter().map(|(mac, name)| (mac, name.chars().take(LONGEST_NAME).collect())).collect();
        let longest = names.values().map(|name| name.chars().count()).max().unwrap_or(0);
        Terminal {
            style,
            names,
            name_width: longest.max("52:54:00:00:00:00".len()),
            timeline: Timeline::new(),
            told_stuck: HashMap::new(),
            strays: HashMap::new(),
        }
    }

    /// The event as the live view shows it, without a line end; `None` when it adds nothing to what was shown. May be
    /// two lines: a hint follows below.
    pub fn line(&mut self, event: &Event) -> Option<String> {
        let told = self.timeline.push(event);
        let line = told.line?;
        if told.started.is_none() && self.is_repeat(event, &line) {
            return None;
        }
        Some(self.draw(event.at, event.machine, told.started, &line))
    }

    /// The lines to show for machines that have gone silent; each silence is told of once.
    pub fn stalls(&mut self, now: Timestamp) -> Vec<String> {
        let mut stalls: Vec<(Mac, Timestamp, Timestamp, Stuck)> = self
            .timeline
            .boots()
            .filter(|boot| self.told_stuck.get(&boot.machine) != Some(&boot.last))
            .filter_map(|boot| Some((boot.machine, boot.started, boot.last, boot.stuck(now)?)))
            .collect();
        stalls.sort_by_key(|(machine, _, last, _)| (*last, *machine));
        self.told_stuck.retain(|machine, _| self.timeline.boot(*machine).is_some());
        self.told_stuck.extend(stalls.iter().map(|(machine, _, last, _)| (*machine, *last)));
        stalls.into_iter().map(|(machine, started, _, stuck)| self.draw_stuck(now, machine, started, &stuck)).collect()
    }

    /// The whole story of one boot, each line ended. `now`: to say where it stands if it is not over.
    pub fn block(&self, boot: &Boot, now: Timestamp) -> String {
        let mut block = format!("{}\n", self.title(boot));
        for line in &boot.lines {
            let elapsed = elapsed(boot.started, line.at);
            let text = format!("{}{}{}", self.style.sign(line.tone), line.text, self.style.times(line.count));
            let topic = pad(line.topic, TOPIC_WIDTH);
            let row = format!(
                "  {}  {}  {}",
                self.style.paint(DIM, &elapsed),
                self.topic(line.tone, &topic),
                self.style.tone(line.tone, &text)
            );
            block.push_str(row.trim_end());
            block.push('\n');
            if let Some(hint) = &line.hint {
                block.push_str(&self.hint(2 + elapsed.len() + 2 + TOPIC_WIDTH + 2, hint));
                block.push('\n');
            }
        }
        if boot.outcome == Outcome::UnderWay
            && let Some(stuck) = boot.stuck(now)
        {
            block.push_str(&format!("  {}\n", self.style.tone(Tone::Warn, &format!("stuck: {}", stuck.what))));
            for cause in stuck.causes {
                block.push_str(&format!("{}\n", self.hint(2, cause)));
            }
        }
        block
    }

    /// `node-1 (52:54:00:00:00:01)  BIOS PXE (UNDI 2.1)  ✓ up after 18 s, 21 MB`
    fn title(&self, boot: &Boot) -> String {
        let name = match self.names.get(&boot.machine) {
            Some(name) => format!("{} ({})", self.style.paint(BOLD, name), boot.machine),
            None => self.style.paint(BOLD, &boot.machine.to_string()),
        };
        let up_after = |boot: &Boot| {
            let up = boot.lines.iter().rev().find(|line| line.tone == Tone::Good).map_or(boot.last, |line| line.at);
            seconds(millis_between(boot.started, up))
        };
        let (tone, outcome) = match &boot.outcome {
            Outcome::Up => (Tone::Good, format!("up after {}", up_after(boot))),
            Outcome::Failed(because) => (Tone::Bad, format!("failed after {}: {because}", reached(boot.reached))),
            Outcome::Restarted => (Tone::Warn, format!("restarted after {}", reached(boot.reached))),
            Outcome::UnderWay => (Tone::Plain, format!("got as far as {}", reached(boot.reached))),
        };
        let size = if boot.octets == 0 { String::new() } else { format!(", {} sent", octets(boot.octets)) };
        let outcome = self.style.tone(tone, &format!("{}{outcome}{size}", self.style.sign(tone)));
        if boot.firmware.is_empty() {
            format!("{name}  {outcome}")
        } else {
            format!("{name}  {}  {outcome}", boot.firmware)
        }
    }

    fn draw(&self, at: Timestamp, machine: Option<Mac>, started: Option<Timestamp>, line: &Line) -> String {
        let text = format!("{}{}", self.style.sign(line.tone), line.text);
        let mut drawn = self.head(at, machine, started, line.topic, line.tone);
        drawn.push_str(&self.style.tone(line.tone, &text));
        if let Some(hint) = &line.hint {
            drawn.push('\n');
            drawn.push_str(&self.hint(self.text_column(), hint));
        }
        drawn
    }

    fn draw_stuck(&self, now: Timestamp, machine: Mac, started: Timestamp, stuck: &Stuck) -> String {
        let mut drawn = self.head(now, Some(machine), Some(started), "stuck", Tone::Warn);
        drawn.push_str(&self.style.tone(Tone::Warn, &stuck.what));
        for cause in &stuck.causes {
            drawn.push('\n');
            drawn.push_str(&self.hint(self.text_column(), cause));
        }
        drawn
    }

    /// `14:02:11  52:54:00:00:00:01    +0.3 s  tftp      `
    fn head(&self, at: Timestamp, machine: Option<Mac>, started: Option<Timestamp>, topic: &str, tone: Tone) -> String {
        let clock = at.to_zoned(self.style.time_zone.clone()).strftime("%H:%M:%S").to_string();
        let elapsed = started.map_or_else(|| " ".repeat(ELAPSED_WIDTH), |started| elapsed(started, at));
        format!(
            "{}  {}  {}  {}  ",
            self.style.paint(DIM, &clock),
            self.label(machine),
            self.style.paint(DIM, &elapsed),
            self.topic(tone, &pad(topic, TOPIC_WIDTH)),
        )
    }

    fn label(&self, machine: Option<Mac>) -> String {
        let Some(machine) = machine else { return self.style.paint(DIM, &pad("lanboot", self.name_width)) };
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
        format!("{}{} {hint}", " ".repeat(column), self.style.paint(YELLOW, self.style.arrow()))
    }

    fn text_column(&self) -> usize {
        "14:02:11".len() + 2 + self.name_width + 2 + ELAPSED_WIDTH + 2 + TOPIC_WIDTH + 2
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
        match follower.next_within(STALL_CHECK) {
            Ok(Heard::Event(event)) => show(&mut out, terminal.line(&event))?,
            Ok(Heard::Skipped(missing)) => show(&mut out, terminal.line(&gap(missing)))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if looked.elapsed() >= STALL_CHECK {
            looked = Instant::now();
            show(&mut out, terminal.stalls(Timestamp::now()))?;
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
