//! Types on a machine's keyboard when the time has come.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::{Duration, Instant};

use journal::Step;
use regex::Regex;

use crate::console::Console;
use crate::keys::{Chord, UnknownKey, chords};

/// From the sign that a program is there until it listens to the keyboard.
const SETTLE: Duration = Duration::from_secs(2);
/// Between two keys: a BIOS keeps no more than fifteen.
const PACE: Duration = Duration::from_millis(100);

/// What to type, and when.
#[derive(Clone, Debug)]
pub struct Typing {
    pub after: After,
    /// As [`chords`] reads it.
    pub text: String,
}

/// The sign to wait for.
#[derive(Clone, Debug)]
pub enum After {
    /// A file whose name ends so has been sent to the machine.
    File(String),
    /// The machine's console shows this.
    Console(Regex),
}

#[derive(Debug, thiserror::Error)]
pub enum BadTyping {
    #[error("`{0}` does not say when to type: write FILE=KEYS, or /REGEX/=KEYS for what the console shows")]
    NoSign(String),
    #[error("`{pattern}` is not a regular expression: {error}")]
    BadPattern { pattern: String, error: regex::Error },
    #[error(transparent)]
    UnknownKey(#[from] UnknownKey),
}

/// Reads `splash.png=<tab> console=ttyS0<enter>` or `/boot: $/=linux<enter>`.
impl FromStr for Typing {
    type Err = BadTyping;

    fn from_str(text: &str) -> Result<Typing, BadTyping> {
        let no_sign = || BadTyping::NoSign(text.to_owned());
        let (after, keys) = match text.strip_prefix('/').and_then(|pattern| pattern.split_once("/=")) {
            Some((pattern, keys)) => {
                let bad = |error| BadTyping::BadPattern { pattern: pattern.to_owned(), error };
                (After::Console(Regex::new(pattern).map_err(bad)?), keys)
            }
            None => {
                let (file, keys) = text.split_once('=').filter(|(file, _)| !file.is_empty()).ok_or_else(no_sign)?;
                (After::File(file.to_owned()), keys)
            }
        };
        chords(keys)?;
        Ok(Typing { after, text: keys.to_owned() })
    }
}

/// Waits for the signs of one machine and types, key by key. Each text is typed once.
pub(crate) struct Typist {
    waiting: Vec<(Typing, Option<Instant>)>,
    keys: VecDeque<Chord>,
    next_key: Option<Instant>,
}

impl Typist {
    pub(crate) fn new(typing: &[Typing]) -> Typist {
        let waiting = typing.iter().map(|one| (one.clone(), None)).collect();
        Typist { waiting, keys: VecDeque::new(), next_key: None }
    }

    pub(crate) fn on_step(&mut self, now: Instant, step: &Step) {
        if let Step::FileSent { file, .. } = step {
            self.notice(now, |after| matches!(after, After::File(name) if file.ends_with(name.as_str())));
        }
    }

    pub(crate) fn on_console(&mut self, now: Instant, console: &Console) {
        self.notice(now, |after| matches!(after, After::Console(pattern) if console.find(pattern).is_some()));
    }

    fn notice(&mut self, now: Instant, is_sign: impl Fn(&After) -> bool) {
        for (typing, due) in &mut self.waiting {
            if due.is_none() && is_sign(&typing.after) {
                *due = Some(now + SETTLE);
            }
        }
    }

    /// A text whose time has come; its keys are handed out by [`Typist::key`] from now on.
    pub(crate) fn begun(&mut self, now: Instant) -> Option<String> {
        let at = self.waiting.iter().position(|(_, due)| due.is_some_and(|due| now >= due))?;
        let (typing, _) = self.waiting.remove(at);
        // A text given as a value, not read by `from_str`, may hold what is no key: that part is not typed.
        self.keys.extend(chords(&typing.text).unwrap_or_default());
        Some(typing.text)
    }

    /// The next keys to press, if it is time.
    pub(crate) fn key(&mut self, now: Instant) -> Option<Chord> {
        if self.next_key.is_some_and(|at| now < at) {
            return None;
        }
        let chord = self.keys.pop_front()?;
        self.next_key = Some(now + PACE);
        Some(chord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(file: &str) -> Step {
        Step::FileSent {
            protocol: journal::Protocol::Tftp,
            file: file.to_owned(),
            role: journal::Role::Other,
            octets: 1,
            millis: 1,
            retransmits: 0,
        }
    }

    #[test]
    fn keys_follow_the_file_once_at_a_pace() {
        let mut typist = Typist::new(&["splash.png=<tab>x=1<enter>".parse().unwrap()]);
        let now = Instant::now();
        typist.on_step(now, &sent("boot-screens/other.png"));
        assert_eq!(typist.begun(now + SETTLE), None);
        typist.on_step(now, &sent("boot-screens/splash.png"));
        assert_eq!(typist.begun(now), None);
        let mut now = now + SETTLE;
        assert_eq!(typist.begun(now).as_deref(), Some("<tab>x=1<enter>"));
        let mut keys = Vec::new();
        while let Some(key) = typist.key(now) {
            assert_eq!(typist.key(now), None);
            keys.push(key.concat());
            now += PACE;
        }
        assert_eq!(keys, ["tab", "x", "equal", "1", "ret"]);
        typist.on_step(now, &sent("splash.png"));
        assert_eq!(typist.begun(now + SETTLE), None);
    }

    #[test]
    fn console_prompt_is_answered() {
        let mut typist = Typist::new(&["/boot: $/=linux<enter>".parse().unwrap()]);
        let mut console = Console::default();
        console.feed(b"\r\nboot: ");
        let now = Instant::now();
        typist.on_console(now, &console);
        assert_eq!(typist.begun(now + SETTLE).as_deref(), Some("linux<enter>"));
    }

    #[test]
    fn unusable_typing_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Typing>().unwrap_err().to_string();
        assert!(refused("<enter>").contains("does not say when"));
        assert!(refused("=x").contains("does not say when"));
        assert!(refused("/(/=x").contains("not a regular expression"));
        assert!(refused("a=<nope>").contains("is no key"));
    }
}
