//! Many machines at once, drawn: in place, as a line now and then, and when it is over.

use jiff::Timestamp;
use mac::Mac;

use crate::Style;
use crate::crowd::{Crowd, Place, Trouble};
use crate::line::{Line, Tone};
use crate::screen::Size;
use crate::style::{BOLD, DIM, YELLOW};
use crate::timeline::millis_between;
use crate::words::{octets, seconds, wrap};

/// Machines that are named of the slowest, and of each kind of trouble where there is little room.
const SLOWEST: usize = 3;
const NAMED: usize = 4;
/// Where it stays on the screen.
const NAMED_AT_THE_END: usize = 12;
/// Columns before the bars: `  loader        1234  `.
const BEFORE_BARS: usize = 22;
/// Smaller terminals are shown the first line alone.
const NARROWEST: usize = 39;
const FEWEST_ROWS: usize = 12;
/// What more columns than these hold, the eye does not like.
const WIDEST: usize = 110;
const WIDEST_BAR: usize = 60;

/// The topic of lines about all of them, which are never shortened.
pub(crate) const MACHINES: &str = "machines";

type Name<'a> = &'a dyn Fn(Mac) -> String;

fn label(place: Place) -> &'static str {
    match place {
        Place::Address => "address",
        Place::Loader => "loader",
        Place::Ipxe => "ipxe",
        Place::Kernel => "kernel",
        Place::Starts => "starting",
        Place::Up => "os up",
        Place::Stuck => "stuck",
        Place::Failed => "failed",
        Place::Elsewhere => "other",
    }
}

fn meaning(place: Place) -> &'static str {
    match place {
        Place::Address => "ask for an address",
        Place::Loader => "fetch the loader",
        Place::Ipxe => "run iPXE or a menu",
        Place::Kernel => "fetch kernel and initrd",
        Place::Starts => "kernel and initrd sent",
        Place::Up => "",
        Place::Stuck => "see below",
        Place::Failed => "see below",
        Place::Elsewhere => "have an address, boot from elsewhere",
    }
}

fn tone(place: Place) -> Tone {
    match place {
        Place::Up => Tone::Good,
        Place::Stuck => Tone::Warn,
        Place::Failed => Tone::Bad,
        Place::Elsewhere => Tone::Quiet,
        _ => Tone::Plain,
    }
}

/// The frame that is drawn in place: no more lines than the terminal has, none longer than it is wide.
pub(crate) fn frame(crowd: &Crowd, now: Timestamp, style: &Style, size: Size, name: Name) -> Vec<String> {
    let width = size.columns.saturating_sub(1).min(WIDEST);
    let style = &Style { width, ..style.clone() };
    let mut lines = vec![style.paint(BOLD, &style.clip(&headline(crowd, now), width))];
    if width < NARROWEST || size.rows < FEWEST_ROWS {
        lines.truncate(size.rows.saturating_sub(1));
        return lines;
    }
    lines.extend(rows(crowd, style));
    let [events, ..] = crowd.pulse.rates(now.as_second());
    let pace = format!("  {}; {events} events/s", pace(crowd, now));
    lines.push(style.tone(Tone::Quiet, &style.clip(&pace, width)));
    let slowest = (1..=SLOWEST).rev().filter_map(|most| slowest(crowd, now, most, name));
    let slowest = slowest.map(|slowest| format!("  slowest: {slowest}")).find(|line| line.chars().count() <= width);
    lines.extend(slowest.map(|line| style.tone(Tone::Quiet, &line)));
    let most = size.rows.saturating_sub(1);
    for (count, (kind, trouble)) in sorted(crowd).into_iter().enumerate() {
        let told = trouble_lines(kind, trouble, style, NAMED, name);
        if lines.len() + told.len() + 1 > most {
            let left = crowd.troubles.len() - count;
            lines.push(style.tone(Tone::Quiet, &style.clip(&format!("  and {left} more kinds of trouble"), width)));
            break;
        }
        lines.extend(told);
    }
    lines.truncate(most);
    lines
}

/// `5000 machines at once for 42 s: 3120 up, 1834 under way, 46 stuck`
fn headline(crowd: &Crowd, now: Timestamp) -> String {
    let mut parts = vec![format!("{} up", crowd.count(Place::Up)), format!("{} under way", crowd.under_way())];
    parts.extend(counted(crowd, &[Place::Stuck, Place::Failed]));
    let since = seconds(millis_between(crowd.since, now));
    format!("{} machines at once for {since}: {}", crowd.machines(), parts.join(", "))
}

fn counted(crowd: &Crowd, places: &[Place]) -> Vec<String> {
    let some = places.iter().filter(|place| crowd.count(**place) > 0);
    some.map(|place| format!("{} {}", crowd.count(*place), label(*place))).collect()
}

/// One for each place: those of a boot always, so that the eye finds them, the others where somebody is.
fn rows(crowd: &Crowd, style: &Style) -> Vec<String> {
    let all = crowd.machines().max(1) as f64;
    let bars = style.width.saturating_sub(BEFORE_BARS).min(WIDEST_BAR);
    let shown = Place::ALL.into_iter().filter(|place| *place <= Place::Up || crowd.count(*place) > 0);
    let row = |place: Place| {
        let count = crowd.count(place);
        let bar = style.bar(count as f64 / all, bars);
        let room = style.width.saturating_sub(BEFORE_BARS + bar.chars().count() + 1);
        let meaning = if count > 0 && meaning(place).chars().count() <= room { meaning(place) } else { "" };
        let head = format!("{:<10}  {count:>6}", label(place));
        let head = if count == 0 { style.paint(DIM, &head) } else { style.tone(tone(place), &head) };
        let space = if meaning.is_empty() || bar.is_empty() { "" } else { " " };
        let line = format!("  {head}  {}{space}{}", style.tone(tone(place), &bar), style.paint(DIM, meaning));
        line.trim_end().to_owned()
    };
    shown.map(row).collect()
}

/// `118 up/s, 412 MB/s, 19 GB sent; up after 18 s (half of them), 31 s (the slowest)`
fn pace(crowd: &Crowd, now: Timestamp) -> String {
    let [_, size, ups] = crowd.pulse.rates(now.as_second());
    let sent = octets(crowd.octets);
    let mut text = format!("{ups} up/s, {}/s, {sent} sent", octets(size));
    if let Some(median) = crowd.ups.median() {
        let [half, all] = [median, crowd.ups.longest].map(seconds);
        text += &format!("; up after {half} (half of them), {all} (the slowest)");
    }
    if crowd.missed > 0 {
        text += &format!("; {} events not seen", crowd.missed);
    }
    text
}

/// `rack-4711 +42 s kernel, rack-17 +41 s kernel`
fn slowest(crowd: &Crowd, now: Timestamp, most: usize, name: Name) -> Option<String> {
    let one =
        |(mac, started, place)| format!("{} +{} {}", name(mac), seconds(millis_between(started, now)), label(place));
    let slowest: Vec<String> = crowd.slowest().take(most).map(one).collect();
    (!slowest.is_empty()).then(|| slowest.join(", "))
}

/// What stops machines first, then what has passed, the most frequent before the others.
fn sorted(crowd: &Crowd) -> Vec<(&String, &Trouble)> {
    let mut all: Vec<_> = crowd.troubles.iter().filter(|(_, trouble)| trouble.times > 0).collect();
    all.sort_by_key(|(kind, trouble)| (!trouble.stays, std::cmp::Reverse(trouble.times), *kind));
    all
}

fn trouble_lines(kind: &str, trouble: &Trouble, style: &Style, named: usize, name: Name) -> Vec<String> {
    let tone = trouble.tone.unwrap_or(Tone::Warn);
    let head = format!("{} {}: ", trouble.times, what(trouble));
    let room = style.width.saturating_sub(4);
    let lines = |text: &str, tone: Tone, indent: &str| -> Vec<String> {
        let lines = wrap(text, room).into_iter();
        lines.map(|line| format!("{indent}{}", style.tone(tone, &style.clip(&line, room)))).collect()
    };
    let mut all = lines(&format!("{}{head}{kind}", style.sign(tone)), tone, "  ");
    all.extend(lines(&names(trouble, named, name), Tone::Quiet, "    "));
    if let Some(hint) = &trouble.hint {
        let arrow = style.paint(YELLOW, style.arrow());
        let room = room.saturating_sub(style.arrow().chars().count() + 1);
        let text = wrap(hint, room);
        let below = " ".repeat(style.arrow().chars().count());
        let begin = |at| if at == 0 { arrow.clone() } else { below.clone() };
        all.extend(text.iter().enumerate().map(|(at, text)| format!("    {} {}", begin(at), style.clip(text, room))));
    }
    all
}

fn what(trouble: &Trouble) -> &'static str {
    match (trouble.stays, trouble.tone, trouble.times) {
        (true, Some(Tone::Bad), 1) => "failed",
        (true, Some(Tone::Bad), _) => "failed",
        (true, ..) => "stuck",
        (false, _, 1) => "time",
        (false, ..) => "times",
    }
}

/// `rack-1, rack-2 and 44 more`
fn names(trouble: &Trouble, most: usize, name: Name) -> String {
    let named: Vec<String> = trouble.machines.iter().take(most).map(|mac| name(*mac)).collect();
    let all = if trouble.stays { trouble.times as usize } else { trouble.machines.len() };
    match all.saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What is written where nothing can be written over: the figures, and the troubles that grew since the last time.
pub(crate) fn lines(crowd: &mut Crowd, now: Timestamp, name: Name) -> Vec<Line> {
    let under_way = [Place::Address, Place::Loader, Place::Ipxe, Place::Kernel, Place::Starts];
    let mut text =
        format!("{} ({}). {}", headline(crowd, now), counted(crowd, &under_way).join(", "), pace(crowd, now));
    if let Some(slowest) = slowest(crowd, now, SLOWEST, name) {
        text += &format!(". Slowest: {slowest}");
    }
    let mut lines = vec![Line::new(now, MACHINES, text)];
    let grown: Vec<String> = sorted(crowd)
        .into_iter()
        .filter(|(_, trouble)| trouble.times > trouble.told)
        .map(|(kind, _)| kind.clone())
        .collect();
    for kind in grown {
        let Some(trouble) = crowd.troubles.get_mut(&kind) else { continue };
        let topic = if trouble.stays { what(trouble) } else { "trouble" };
        let count =
            if trouble.stays { trouble.times.to_string() } else { format!("{} {}", trouble.times, what(trouble)) };
        let line = Line::new(now, topic, format!("{count}: {kind} ({})", names(trouble, NAMED, name)));
        // What to do is said once.
        let hint = if trouble.told == 0 { trouble.hint.clone() } else { None };
        lines.push(Line { hint, ..line.tone(trouble.tone.unwrap_or(Tone::Warn)) });
        trouble.told = trouble.times;
    }
    lines
}

/// What stays to be read when it is over.
pub(crate) fn end(crowd: &Crowd, now: Timestamp, style: &Style, name: Name) -> Vec<String> {
    let mut lines = vec![String::new(), style.paint(BOLD, &style.clip(&headline(crowd, now), style.width))];
    lines.extend(rows(crowd, style).into_iter().filter(|row| !row.ends_with(" 0") && !row.contains(" 0\u{1b}")));
    let mut pace = format!("{} sent", octets(crowd.octets));
    if let Some(median) = crowd.ups.median() {
        let [half, all] = [median, crowd.ups.longest].map(seconds);
        pace += &format!("; up after {half} (half of them), {all} (the slowest)");
    }
    if crowd.missed > 0 {
        pace += &format!("; {} events not seen", crowd.missed);
    }
    lines.push(style.tone(Tone::Quiet, &format!("  {pace}")));
    for (kind, trouble) in sorted(crowd) {
        lines.extend(trouble_lines(kind, trouble, style, NAMED_AT_THE_END, name));
    }
    let troubled = crowd.count(Place::Stuck) + crowd.count(Place::Failed);
    if troubled > 0 {
        lines.push(style.tone(
            Tone::Quiet,
            "  `lanboot story MAC` tells what a machine did; `lanboot story --stuck` names them all",
        ));
    }
    lines.push(String::new());
    lines
}
