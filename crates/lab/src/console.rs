//! Follows a serial console: what is on it as plain text, and the lines that tell how far a boot has come.

use regex::Regex;

/// Plain text kept for looking back, in octets: several screens.
const WINDOW: usize = 32 << 10;
/// The longest line, in octets; longer ones are broken.
const LONGEST_LINE: usize = 1024;

/// A serial console's text, without the escape sequences that move cursors and set colours.
///
/// Moving the cursor counts as the end of a line, so text that a full-screen program draws can be found as well.
#[derive(Default)]
pub struct Console {
    /// The most recent text, line by line; the last one may be unfinished, as prompts are.
    window: String,
    line: Vec<u8>,
    state: State,
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
    /// After ESC and an intermediate octet: one more belongs to it.
    Intermediate,
    /// After ESC ], until BEL or ESC \.
    Title,
}

impl Console {
    /// Takes in what came over the line. Returns the lines that were finished by it, none of them empty.
    pub fn feed(&mut self, octets: &[u8]) -> Vec<String> {
        let mut finished = Vec::new();
        for &octet in octets {
            if self.step(octet)
                && let Some(line) = self.finish_line()
            {
                finished.push(line);
            }
        }
        finished
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

    /// Takes in one octet. Returns whether it ends the line.
    fn step(&mut self, octet: u8) -> bool {
        let (next, ends) = match (self.state, octet) {
            (_, 0x1b) => (State::Escape, false),
            (State::Text, b'\n' | b'\r') => (State::Text, true),
            (State::Text, 0x08) => {
                self.line.pop();
                (State::Text, false)
            }
            (State::Text, b'\t' | b' '..=0x7e | 0x80..) => {
                self.line.push(octet);
                (State::Text, self.line.len() >= LONGEST_LINE)
            }
            (State::Text, _) => (State::Text, false),
            (State::Escape, b'[') => (State::Control, false),
            (State::Escape, b']') => (State::Title, false),
            (State::Escape, b' '..=b'/') => (State::Intermediate, false),
            (State::Escape | State::Intermediate, _) => (State::Text, false),
            // Cursor to a place, up, down, or the screen cleared.
            (State::Control, b'H' | b'f' | b'A' | b'B' | b'd' | b'J') => (State::Text, true),
            (State::Control, b'@'..=b'~') => (State::Text, false),
            (State::Control, _) => (State::Control, false),
            (State::Title, 0x07) => (State::Text, false),
            (State::Title, _) => (State::Title, false),
        };
        self.state = next;
        ends
    }

    fn finish_line(&mut self) -> Option<String> {
        let line = self.unfinished().trim_end().to_owned();
        self.line.clear();
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
    ("BdsDxe: starting Boot", Sign::Progress),
    ("BdsDxe: failed to ", Sign::Progress),
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
        let text = "a\x1b[1;31mb\x1b]0;title\x07c\x1b(0d\r\ne\u{fc}f\n".as_bytes();
        for at in 0..text.len() {
            let mut console = Console::default();
            let mut lines = console.feed(&text[..at]);
            lines.extend(console.feed(&text[at..]));
            assert_eq!(lines, ["abcd", "e\u{fc}f"], "split at {at}");
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
        let (console, _) = console("\x1b[5;3H\x1b[47m Select a language \x1b[6;3Hqqqq\x1b[7;3HChoose the language");
        let found = console.find(&Regex::new(r"(?m)^\s*Select a language\s*$").unwrap());
        assert_eq!(found.as_deref(), Some("Select a language"));
    }

    #[test]
    fn backspace_takes_back_what_it_overwrites() {
        let (_, lines) = console("10%\x08\x08\x0820%\x08\x08\x08ok\r\n");
        assert_eq!(lines, ["ok"]);
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
        assert_eq!(sign("Booting from Hard Disk..."), None);
    }
}
