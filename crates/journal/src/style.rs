//! How text is drawn: colours, signs and width.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use jiff::tz::TimeZone;
use terminal_size::{Width, terminal_size_of};

use crate::line::Tone;
use crate::words::{clip, wrap};

/// Columns that are used of a terminal that has more, and where none is.
const WIDEST: usize = 110;
/// A terminal with fewer columns breaks our lines itself.
const NARROWEST: usize = 80;

/// How text is drawn.
#[derive(Clone, Debug)]
pub struct Style {
    pub colour: bool,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
    pub time_zone: TimeZone,
    /// Whether what was written can be written over: many machines at once are then shown in place.
    pub in_place: bool,
    /// Columns that a line may take. What matters goes on in the next line, whatever else is longer is
    /// shortened.
    pub width: usize,
}

impl Style {
    /// What suits this output and the environment: colour on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`
    /// (no-color.org), signs beyond ASCII where the locale is UTF-8, local time, and the terminal's width as far as the
    /// eye likes it.
    pub fn detect(out: &(impl IsTerminal + AsFd)) -> Style {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        // The first that is set decides (POSIX, locale(7)).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        let in_place = out.is_terminal() && set("TERM").is_none_or(|term| term != "dumb");
        Style {
            colour: in_place && set("NO_COLOR").is_none(),
            in_place,
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            time_zone: TimeZone::system(),
            width: terminal_size_of(out)
                .map_or(WIDEST, |(Width(columns), _)| usize::from(columns).clamp(NARROWEST, WIDEST)),
        }
    }

    /// Neither colour nor signs beyond ASCII, and UTC: for files and tests.
    pub fn plain() -> Style {
        Style { colour: false, unicode: false, in_place: false, time_zone: TimeZone::UTC, width: WIDEST }
    }

    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\u{1b}[{}m{text}\u{1b}[0m", colour.0) } else { text.to_owned() }
    }

    pub(crate) fn tone(&self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Quiet => self.paint(DIM, text),
            Tone::Good => self.paint(GREEN, text),
            Tone::Warn => self.paint(YELLOW, text),
            Tone::Bad => self.paint(RED, text),
        }
    }

    pub(crate) fn sign(&self, tone: Tone) -> &'static str {
        match (tone, self.unicode) {
            (Tone::Good, true) => "✓ ",
            (Tone::Bad, true) => "✗ ",
            (Tone::Good, false) => "ok, ",
            (Tone::Bad, false) => "! ",
            (Tone::Quiet | Tone::Plain | Tone::Warn, _) => "",
        }
    }

    pub(crate) fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// The text in one line of `width` columns.
    pub(crate) fn clip(&self, text: &str, width: usize) -> String {
        clip(text, width, if self.unicode { "…" } else { "..." })
    }

    /// The text as it goes below and beside what stands left of `column`, coloured: shortened, or in several lines where
    /// nothing of it may be lost.
    pub(crate) fn flow(&self, column: usize, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Good | Tone::Warn | Tone::Bad => self.flow_whole(column, tone, text),
            Tone::Quiet | Tone::Plain => self.tone(tone, &self.clip(text, self.width.saturating_sub(column))),
        }
    }

    /// The same, where nothing may be lost whatever the tone.
    pub(crate) fn flow_whole(&self, column: usize, tone: Tone, text: &str) -> String {
        let lines = wrap(text, self.width.saturating_sub(column));
        let lines: Vec<String> = lines.iter().map(|line| self.tone(tone, line)).collect();
        lines.join(&format!("\n{}", " ".repeat(column)))
    }

    /// A bar of `share` of `width` columns; what is not nothing is seen.
    pub(crate) fn bar(&self, share: f64, width: usize) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).ceil() as usize;
        if self.unicode {
            format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
        } else {
            "#".repeat(eighths.div_ceil(8))
        }
    }

    pub(crate) fn times(&self, count: u32) -> String {
        match count {
            0 | 1 => String::new(),
            _ if self.unicode => format!(" ×{count}"),
            _ => format!(" x{count}"),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Colour(&'static str);

pub(crate) const DIM: Colour = Colour("2");
pub(crate) const BOLD: Colour = Colour("1");
const RED: Colour = Colour("31");
const GREEN: Colour = Colour("32");
pub(crate) const YELLOW: Colour = Colour("33");
/// One for each machine, so that the eye finds its lines among others'. Green, yellow and red mean something else.
pub(crate) const MACHINES: [Colour; 6] =
    [Colour("36"), Colour("35"), Colour("34"), Colour("96"), Colour("95"), Colour("94")];
