//! Follows a serial console: what is on it as plain text, and the lines that tell how far a boot has come.

use regex::Regex;

/// Plain text kept for looking back, in octets: several screens.
const WINDOW: usize = 32 << 10;
/// The longest line, in octets; longer ones are broken.
const LONGEST_LINE: usize = 1024;

/// A serial console's text, line by line, without the escape sequences that move cursors and set colours.
///
/// Not a terminal: it follows the cursor within its line only. Moved to another one, the cursor begins a new line, so that
/// what a full-screen program draws can be found as well.
#[derive(Default)]
pub struct Console {
    /// The lines before the current one.
    window: String,
    line: Vec<u8>,
    /// Where the next octet goes in `line`.
    cursor: usize,
    /// The screen's row and column that `line` begins at, 1 and more, as far as the stream has told them.
    row: Option<usize>,
    left: usize,
    state: State,
    /// Letters stand for pieces of frames now, as VT100 has them.
    drawing: bool,
    /// The numbers of the control sequence under way, as text.
    parameters: Vec<u8>,
}

/// Where in an escape sequence (ECMA-48) the stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC [, until a final octet.
    Control,
    /// After ESC (, which chooses a character set.
    Charset,
    /// After ESC and another intermediate octet: one more belongs to it.
    Intermediate,
    /// After ESC ], until BEL or ESC \.
    Title,
}

impl Console {
    /// Takes in what came over the line. Returns the lines that were finished by it, none of them blank.
    pub fn feed(&mut self, octets: &[u8]) -> Vec<String> {
        octets.iter().filter_map(|octet| self.step(*octet)).collect()
    }

    /// Whether `pattern` is found in the recent text, the unfinished last line included. Returns the line it is on.
    pub fn find(&self, pattern: &Regex) -> Option<String> {
        let text = format!("{}{}", self.window, self.unfinished());
        let found = pattern.find(&text)?;
        let start = text[..found.start()].rfind('\n').map_or(0, |at| at + 1);
        let end = text[found.start()..].find('\n').map_or(text.len(), |at| found.start() + at);
        Some(text[start..end].trim().to_owned())
    }

    /// The last line that is not blank.
    pub fn last_line(&self) -> String {
        match self.unfinished().trim() {
            "" => self.window.lines().next_back().unwrap_or_default().trim().to_owned(),
            line => line.to_owned(),
        }
    }

    fn unfinished(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }

    /// Takes in one octet. Returns the line that it ends, if it does.
    fn step(&mut self, octet: u8) -> Option<String> {
        let state = std::mem::take(&mut self.state);
        match (state, octet) {
            (_, 0x1b) => self.state = State::Escape,
            (State::Text, b'\n') => return self.finish_line(),
            (State::Text, b'\r') => self.cursor = 0,
            (State::Text, 0x08) => self.cursor = self.cursor.saturating_sub(1),
            (State::Text, b'\t' | b' '..=0x7e | 0x80..) => return self.write(octet),
            (State::Text, _) => {}
            (State::Escape, b'[') => {
                self.parameters.clear();
                self.state = State::Control;
            }
            (State::Escape, b']') => self.state = State::Title,
            (State::Escape, b'(') => self.state = State::Charset,
            (State::Charset, set) => self.drawing = set == b'0',
            (State::Escape, b' '..=b'/') => self.state = State::Intermediate,
            (State::Escape | State::Intermediate, _) => {}
            (State::Control, b'@'..=b'~') => return self.control(octet),
            (State::Control, _) => {
                self.state = State::Control;
                if self.parameters.len() < 16 {
                    self.parameters.push(octet);
                }
            }
            (State::Title, 0x07) => {}
            (State::Title, _) => self.state = State::Title,
        }
        None
    }

    fn write(&mut self, octet: u8) -> Option<String> {
        // A frame is no text: to be searched it is blank.
        let octet = if self.drawing && (b'`'..=b'~').contains(&octet) { b' ' } else { octet };
        if self.line.len() <= self.cursor {
            self.line.resize(self.cursor + 1, b' ');
        }
        self.line[self.cursor] = octet;
        self.cursor += 1;
        if self.line.len() >= LONGEST_LINE { self.finish_line() } else { None }
    }

    /// The end of a control sequence: `octet` says what to do with the parameters.
    fn control(&mut self, octet: u8) -> Option<String> {
        let text = String::from_utf8_lossy(&self.parameters);
        // A number left out is 1, and so is 0.
        let mut numbers = text.split(';').map(|number| number.parse().unwrap_or(1).clamp(1, LONGEST_LINE));
        let (first, second) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
        match octet {
            b'H' | b'f' => self.move_to(Some(first), second),
            b'G' | b'`' => self.move_to(self.row, first),
            b'C' => {
                self.cursor = (self.cursor + first).min(LONGEST_LINE - 1);
                None
            }
            b'D' => {
                self.cursor = self.cursor.saturating_sub(first);
                None
            }
            b'K' => {
                self.line.truncate(self.cursor);
                None
            }
            // Up, down, to a row, screen cleared.
            b'A' | b'B' | b'd' | b'J' => self.finish_line(),
            _ => None,
        }
    }

    /// SeaBIOS says where the cursor stands even in the middle of a word, so this is not always another line.
    fn move_to(&mut self, row: Option<usize>, column: usize) -> Option<String> {
        let same_row = self.row.is_none() || self.row == row;
        let place = column.checked_sub(self.left.max(1)).filter(|place| same_row && *place <= self.line.len());
        let finished = if place.is_some() { None } else { self.finish_line() };
        if place.is_none() {
            self.left = column;
        }
        self.row = row;
        self.cursor = place.unwrap_or(0);
        finished
    }

    fn finish_line(&mut self) -> Option<String> {
        let line = self.unfinished().trim_end().to_owned();
        self.line.clear();
        (self.cursor, self.row, self.left) = (0, None, 1);
        if line.trim().is_empty() {
            return None;
        }
        self.window.push_str(&line);
        self.window.push('\n');
        self.forget();
        Some(line)
    }

    /// Drops the older half of a window that has grown too long, whole lines only.
    fn forget(&mut self) {
        if self.window.len() > WINDOW {
            let line_end = self.window.bytes().skip(WINDOW / 2).position(|octet| octet == b'\n');
            self.window.drain(..WINDOW / 2 + line_end.map_or(0, |at| at + 1));
        }
    }
}

/// What a well-known line says about a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It goes on.
    Progress,
    /// The firmware says what went wrong.
    Complaint,
    /// The firmware's network boot has failed; it tries its next device.
    BootFailed,
    /// A Linux kernel runs.
    KernelRuns,
    /// A Linux kernel has stopped for good.
    Panic,
    /// The firmware has nothing left to try.
    NothingToBoot,
}

/// Lines that are worth an event. By what they contain, the first row counts.
const SIGNS: &[(&str, Sign)] = &[
    ("Kernel panic - not syncing", Sign::Panic),
    ("No bootable device", Sign::NothingToBoot),
    ("BdsDxe: No bootable option or device was found", Sign::NothingToBoot),
    ("UEFI Interactive Shell", Sign::NothingToBoot),
    ("Linux version ", Sign::KernelRuns),
    ("lanboot-guest: ", Sign::KernelRuns),
    ("SeaBIOS (version", Sign::Progress),
    (">>Start PXE over", Sign::Progress),
    (">>Start HTTP Boot over", Sign::Progress),
    ("PXE-E", Sign::Complaint),
    ("BdsDxe: starting Boot", Sign::Progress),
    ("BdsDxe: failed to ", Sign::BootFailed),
    ("iPXE initialising devices", Sign::Progress),
    ("Open Source Network Boot Firmware", Sign::Progress),
    ("PXELINUX ", Sign::Progress),
    ("GNU GRUB ", Sign::Progress),
    ("http://ipxe.org/", Sign::Progress),
    ("Starting system log daemon", Sign::KernelRuns),
    (" login:", Sign::KernelRuns),
    ("reboot: ", Sign::KernelRuns),
];

/// What this line says, if it is a well-known one.
pub fn sign(line: &str) -> Option<Sign> {
    SIGNS.iter().find(|(text, _)| line.contains(text)).map(|(_, sign)| *sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &str) -> (Console, Vec<String>) {
        let mut console = Console::default();
        let lines = console.feed(text.as_bytes());
        (console, lines)
    }

    #[test]
    fn colours_are_stripped_and_lines_kept() {
        let (_, lines) =
            console("\x1b[?7l\x1b[0mSeaBIOS (version 1)\r\n\r\n\x1b[0;1miPXE 1.0\x1b[0m -- Open\x1b(B\r\n");
        assert_eq!(lines, ["SeaBIOS (version 1)", "iPXE 1.0 -- Open"]);
    }

    #[test]
    fn sequences_may_be_split_anywhere() {
        let text = "a\x1b[1;31mb\x1b]0;title\x07c\x1b(0q\x1b(Bd\r\ne\u{fc}f\n".as_bytes();
        for at in 0..text.len() {
            let mut console = Console::default();
            let mut lines = console.feed(&text[..at]);
            lines.extend(console.feed(&text[at..]));
            assert_eq!(lines, ["abc d", "e\u{fc}f"], "split at {at}");
        }
    }

    #[test]
    fn prompt_without_line_end_is_found() {
        let (console, lines) = console("Debian GNU/Linux 12 host ttyS0\r\nhost login: ");
        assert_eq!(lines.len(), 1);
        assert_eq!(console.find(&Regex::new("login:").unwrap()), Some("host login:".to_owned()));
        assert_eq!(console.last_line(), "host login:");
    }

    #[test]
    fn drawn_screen_is_searched_as_lines() {
        let (console, _) = console("\x1b[5;3H\x1b(0lqu\x1b(B Select a language \x1b(0tqk\x1b(B\x1b[6;3HChoose one");
        let found = console.find(&Regex::new(r"(?m)^\s*Select a language\s*$").unwrap());
        assert_eq!(found.as_deref(), Some("Select a language"));
    }

    #[test]
    fn what_is_written_over_is_gone() {
        let (_, lines) = console("1%\x08\x0820%\x08\x08\x08ok \r\n 10%\r 20%\r\nlong line\x1b[4D\x1b[K\r\n");
        assert_eq!(lines, ["ok", " 20%", "long"]);
    }

    #[test]
    fn cursor_put_where_it_stands_does_not_break_the_word() {
        // SeaBIOS on behalf of pxelinux.0.
        let (console, lines) =
            console("ok\r\n\r\nPX\x1b[25;02H\x1b[25;03HELINUX 6.04\x1b[25;14H PXE\x1b[01;01H\x1b[2J");
        assert_eq!(lines, ["ok", "PXELINUX 6.04 PXE"]);
        assert_eq!(console.last_line(), "PXELINUX 6.04 PXE");
    }

    #[test]
    fn text_drawn_side_by_side_keeps_its_order() {
        let (_, lines) = console("\x1b[3;10Hleft\x1b[3;14H-\x1b[3;15Hright\x1b[3;60Hfar\x1b[4;1H");
        assert_eq!(lines, ["left-right", "far"]);
    }

    #[test]
    fn memory_stays_bounded() {
        let mut console = Console::default();
        for number in 0..10_000 {
            console.feed(format!("line ü {number}\r\n").as_bytes());
        }
        console.feed(&[b'x'; 100_000]);
        assert!(console.window.len() <= WINDOW && console.line.len() <= LONGEST_LINE);
        assert!(console.find(&Regex::new("line ü 9").unwrap()).is_none());
    }

    #[test]
    fn well_known_lines_are_told_apart() {
        let panic = "[    3.424814] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
        assert_eq!(sign(panic), Some(Sign::Panic));
        assert_eq!(sign("[    0.000000] Linux version 6.1.0-50-amd64"), Some(Sign::KernelRuns));
        assert_eq!(sign("iPXE initialising devices...ok"), Some(Sign::Progress));
        assert_eq!(sign("  PXE-E16: No valid offer received."), Some(Sign::Complaint));
        assert_eq!(sign("Booting from Hard Disk..."), None);
    }
}
