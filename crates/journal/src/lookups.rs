//! What one boot has looked up, and whether it waits for a name in vain.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::like::{KnownNames, first_label};
use crate::line::{Line, Tone};
use crate::lookup::{self, is_address};
use crate::stuck::Stuck;
use crate::timeline::millis_between;
use crate::words::{clean, seconds};
use crate::{Boot, Event, Reached, Step, Unresolved};

/// Names of one boot that are remembered.
const MOST_NAMES: usize = 64;
/// Names that were found are told one by one up to so many in a row, then counted.
const MOST_TOLD: usize = 3;
/// A machine that has been silent for this long after a failed look-up is stopped by it, in seconds. What does not exist
/// is asked for in good health too.
const PATIENCE: u64 = 30;
const PATIENCE_WITHOUT_NAME: u64 = 60;
/// What systems ask for on networks that mostly have no such thing.
const OPTIONAL: &[&str] = &["wpad", "isatap", "use-application-dns", "_gateway"];

/// The look-ups of one boot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LookUps {
    found: Vec<String>,
    /// The names of the line that tells of those found last, and its number.
    run: Option<(usize, Vec<String>)>,
    told: Vec<(String, Unresolved)>,
    failed: Option<Box<Failed>>,
}

/// A look-up that failed, after which the boot has not been seen to go on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failed {
    pub name: String,
    pub why: Unresolved,
    at: Timestamp,
    /// A name that is known here and may be the one meant.
    like: Option<String>,
}

impl Failed {
    /// Whether the boot goes on, as it found this name.
    fn is_over(&self, found: &str, local: bool) -> bool {
        // A name may be tried in one domain after the other.
        first_label(found) == first_label(&self.name)
            || match self.why {
                Unresolved::NoSuchName { .. } => true,
                // What is known here is found without upstream servers.
                _ => !local,
            }
    }

    fn patience(&self) -> u64 {
        match self.why {
            Unresolved::NoSuchName { .. } => PATIENCE_WITHOUT_NAME,
            _ => PATIENCE,
        }
    }
}

impl LookUps {
    pub(crate) fn failed(&self) -> Option<&Failed> {
        self.failed.as_deref()
    }

    /// Seconds of silence after which the last failure has stopped the boot.
    pub(crate) fn patience(&self) -> Option<u64> {
        self.failed().map(Failed::patience)
    }

    fn has_found(&mut self, name: &str, local: bool) -> bool {
        self.failed.take_if(|failed| failed.is_over(name, local));
        let is_new = !self.found.iter().any(|known| known == name);
        if is_new && self.found.len() < MOST_NAMES {
            self.found.push(name.to_owned());
        }
        is_new
    }

    /// Whether this failure of the same name, for the same reason, is the first.
    fn is_news(&mut self, name: &str, why: &Unresolved) -> bool {
        let is_news = !self.told.iter().any(|(known, reason)| known == name && reason == why);
        if is_news && self.told.len() < MOST_NAMES {
            self.told.push((name.to_owned(), why.clone()));
        }
        is_news
    }
}

/// Whether the boot goes on with this step, whatever it looked up before.
fn is_progress(step: &Step) -> bool {
    match step {
        Step::FileSent { .. } | Step::SizeProbe { .. } | Step::FileFailed { .. } | Step::FileNotFound { .. } => true,
        Step::IpxeFailed { .. } | Step::Report { .. } | Step::VmStopped { .. } | Step::Verdict { .. } => true,
        Step::OsUp { how, .. } => how != "dhcp",
        _ => false,
    }
}

impl Boot {
    /// Takes note of a step that may end the wait for a name.
    pub(crate) fn note_progress(&mut self, step: &Step) {
        if is_progress(step) {
            self.lookups.failed = None;
        }
    }

    /// A name was found: for the story alone. Several in a row are one line.
    pub(crate) fn found_name(&mut self, event: &Event) {
        let Step::LookedUp { name, kind, answers, local, .. } = &event.step else { return };
        if answers.is_empty() || (is_address(kind) && !self.lookups.has_found(name, *local)) {
            return;
        }
        let Some(line) = Line::of(event) else { return };
        match &mut self.lookups.run {
            Some((at, names)) if *at + 1 == self.lines.len() => {
                if !names.contains(name) {
                    names.push(name.clone());
                }
                let (names, last) = (names.clone(), &mut self.lines[*at]);
                last.until = event.at;
                if names.len() > 1 {
                    last.text = found_names(&names);
                }
            }
            _ => {
                self.lookups.run = Some((self.lines.len(), vec![name.clone()]));
                self.push(line);
            }
        }
    }

    /// A look-up failed. Returns the line to show, where there is something to show.
    pub(crate) fn failed_name(&mut self, event: &Event, known: &KnownNames) -> Option<Line> {
        let Step::LookUpFailed { name, kind, why } = &event.step else { return None };
        // Names with addresses of the one family alone are no trouble.
        if kind == "AAAA" && self.lookups.found.contains(name) {
            return None;
        }
        let exists = !matches!(why, Unresolved::NoSuchName { .. });
        let like = if exists { None } else { known.like(name).map(str::to_owned) };
        let is_optional = OPTIONAL.contains(&first_label(name));
        if is_address(kind) && !is_optional {
            let same = self.lookups.failed.as_ref().filter(|failed| failed.name == *name);
            let at = same.map_or(event.at, |failed| failed.at);
            let failed = Failed { name: name.clone(), why: why.clone(), at, like: like.clone() };
            self.lookups.failed = Some(Box::new(failed));
        }
        if !self.lookups.is_news(name, why) {
            return None;
        }
        let line = Line::of(event)?;
        let tone = if is_optional && !exists { Tone::Quiet } else { line.tone };
        let hint = like.map(|like| lookup::meant(&like)).or(line.hint.clone());
        let shown = self.add(Line { tone, hint, ..line })?;
        (shown.tone != Tone::Quiet).then_some(shown)
    }

    /// What stopped the boot, if that is a name.
    pub(crate) fn stuck_at_name(&self, now: Timestamp) -> Option<Stuck> {
        let failed = self.lookups.failed()?;
        if millis_between(self.last, now) < failed.patience() * 1000 {
            return None;
        }
        let asked = if self.reached >= Reached::Kernel { lookup::asked_for(&failed.name) } else { "looked up " };
        let ago = seconds(millis_between(failed.at, now));
        let (name, reason) = (clean(&failed.name), lookup::reason(&failed.name, &failed.why));
        let meant = failed.like.as_deref().map(|like| Cow::Owned(lookup::meant(like)));
        let causes = meant
            .into_iter()
            .chain(lookup::causes(&failed.name, &failed.why).iter().map(|cause| Cow::Borrowed(*cause)));
        Some(Stuck {
            what: format!("{asked}{name} {ago} ago: {reason}; nothing heard since"),
            causes: causes.collect(),
        })
    }
}

/// `found deb.example, ntp.example`; `found 12 names (deb.example to ntp.example)`.
fn found_names(names: &[String]) -> String {
    match names {
        [first, .., last] if names.len() > MOST_TOLD => {
            format!("found {} names ({} to {})", names.len(), clean(first), clean(last))
        }
        _ => format!("found {}", names.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ")),
    }
}
