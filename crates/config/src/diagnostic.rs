//! What went wrong, where, and how to fix it: the one form in which lanboot speaks of mistakes.
//!
//! ```text
//! error: unknown key `brige` in [network]
//!  --> lanboot.toml:2:1
//!   |
//! 2 | brige = "net"
//!   | ^^^^^
//!   |
//!   fix: did you mean `bridge`?
//! ```

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A configuration file as read, kept so that a diagnostic can quote it.
#[derive(PartialEq)]
pub struct TextFile {
    /// As the user named it.
    pub path: PathBuf,
    pub text: String,
}

impl TextFile {
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<TextFile> {
        Arc::new(TextFile { path: path.into(), text: text.into() })
    }

    /// Reads the file. It must be UTF-8, as all TOML is.
    pub fn open(path: &Path) -> Result<Arc<TextFile>, Diagnostic> {
        let cannot = |why: &dyn fmt::Display| {
            Diagnostic::error(format!("cannot read the configuration file {}: {why}", path.display()))
        };
        let octets = std::fs::read(path).map_err(|error| {
            cannot(&error).fix("name an existing file with -c, or use flags alone: lanboot up --help shows them")
        })?;
        match String::from_utf8(octets) {
            Ok(text) => Ok(TextFile::new(path, text)),
            Err(error) => Err(cannot(&format!("octet {} is not UTF-8", error.utf8_error().valid_up_to()))
                .fix("save the file as UTF-8 text")),
        }
    }

    /// Line and column of an octet offset, both from 1; the column counts characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..char_start(&self.text, offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Not the text: a configuration file in every `{:?}` helps nobody.
impl fmt::Debug for TextFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Where a value was said, or where a mistake is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Place {
    /// Characters of a configuration file; `span` counts octets.
    File { source: Arc<TextFile>, span: Range<usize> },
    /// A flag as typed, with its value: `--lease 12h`.
    Flag(String),
    /// The host itself, or nowhere that could be shown.
    #[default]
    Host,
}

impl Place {
    /// The part `within` of a string value said here, in octets of the value. Where the value was written with escapes
    /// or over several lines, or not in a file at all, the whole place.
    pub(crate) fn part(&self, value: &str, within: Range<usize>) -> Place {
        match self {
            Place::File { source, span } if source.text.get(span.clone()).is_some_and(|raw| is_plain(raw, value)) => {
                let start = span.start + 1;
                Place::File { source: source.clone(), span: start + within.start..start + within.end }
            }
            _ => self.clone(),
        }
    }

    /// The first `word` inside a value said here; the whole place where it cannot be told.
    pub(crate) fn first_word(&self, word: &str) -> Place {
        self.narrowed(word, |raw| raw.find(word))
    }

    /// The last `word` inside a value said here.
    pub(crate) fn last_word(&self, word: &str) -> Place {
        self.narrowed(word, |raw| raw.rfind(word))
    }

    fn narrowed(&self, word: &str, find: impl FnOnce(&str) -> Option<usize>) -> Place {
        let Place::File { source, span } = self else { return self.clone() };
        let Some(at) = source.text.get(span.clone()).and_then(find) else { return self.clone() };
        let start = span.start + at;
        Place::File { source: source.clone(), span: start..start + word.len() }
    }

    /// The line that shows the place where no excerpt is drawn.
    fn line(&self) -> Option<String> {
        match self {
            Place::File { source, span } => {
                let (line, _) = source.position(span.start);
                let text = source.text.lines().nth(line - 1).unwrap_or_default().trim();
                Some(format!("{self}  {text}"))
            }
            Place::Flag(flag) => Some(flag.clone()),
            Place::Host => None,
        }
    }

    /// Files first and in reading order, then flags, then the host.
    fn order(&self) -> (u8, usize) {
        match self {
            Place::File { span, .. } => (0, span.start),
            Place::Flag(_) => (1, 0),
            Place::Host => (2, 0),
        }
    }
}

/// Whether a TOML string literal is `value` between two quotes, octet for octet.
fn is_plain(raw: &str, value: &str) -> bool {
    raw.len() == value.len() + 2 && raw.starts_with(['"', '\'']) && &raw[1..raw.len() - 1] == value
}

/// `lanboot.toml:14`, `--lease 12h`, `this host`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { source, span } => {
                write!(f, "{}:{}", source.path.display(), source.position(span.start).0)
            }
            Place::Flag(flag) => f.write_str(flag),
            Place::Host => f.write_str("this host"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake, or one thing worth knowing.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// One sentence without a full stop, its first word in lower case.
    pub what: String,
    pub place: Place,
    /// Other places that have a part in it, each with what it is: `first given here`.
    pub also: Vec<(Place, String)>,
    pub fix: Option<String>,
}

impl Diagnostic {
    pub fn error(what: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Error, what: what.into(), place: Place::Host, also: Vec::new(), fix: None }
    }

    pub fn warning(what: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(what) }
    }

    pub fn at(self, place: impl Into<Place>) -> Diagnostic {
        Diagnostic { place: place.into(), ..self }
    }

    pub fn also(mut self, place: impl Into<Place>, label: impl Into<String>) -> Diagnostic {
        self.also.push((place.into(), label.into()));
        self
    }

    pub fn fix(self, fix: impl Into<String>) -> Diagnostic {
        Diagnostic { fix: Some(fix.into()), ..self }
    }

    /// The text for a terminal, without a newline at its end. `colour`: whether escape sequences are welcome.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&*self.what));
        if let Place::File { source, span } = &self.place {
            group = group.element(self.excerpt(source, span));
        }
        let mut text = renderer.render(&[group]);
        for (name, line) in self.lines() {
            let name = if colour { format!("\x1b[1m{name}\x1b[0m") } else { name.to_owned() };
            text.push_str(&format!("\n  {name} {line}"));
        }
        text
    }

    fn excerpt<'a>(
        &'a self,
        source: &'a Arc<TextFile>,
        span: &Range<usize>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let mut snippet = Snippet::source(&*source.text)
            .path(source.path.to_string_lossy())
            .annotation(AnnotationKind::Primary.span(on_characters(&source.text, span)));
        for (place, label) in &self.also {
            match place {
                Place::File { source: same, span } if Arc::ptr_eq(same, source) => {
                    let span = on_characters(&source.text, span);
                    snippet = snippet.annotation(AnnotationKind::Context.span(span).label(&**label));
                }
                _ => {}
            }
        }
        snippet
    }

    /// What is said below the excerpt.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let excerpt = match &self.place {
            Place::File { source, .. } => Some(source),
            other => {
                lines.extend(other.line().map(|line| ("at", line)));
                None
            }
        };
        for (place, label) in &self.also {
            let drawn =
                matches!((place, excerpt), (Place::File { source, .. }, Some(same)) if Arc::ptr_eq(source, same));
            if !drawn {
                lines.extend(place.line().map(|line| ("also", format!("{line}  ({label})"))));
            }
        }
        lines.extend(self.fix.iter().map(|fix| ("fix:", fix.clone())));
        lines
    }
}

/// The span widened to whole characters and kept inside the text, as drawing needs it.
fn on_characters(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = char_start(text, span.start);
    let end = (span.end.max(start)..=text.len()).find(|&end| text.is_char_boundary(end));
    start..end.unwrap_or(text.len())
}

/// The start of the character that the octet at `offset` belongs to.
fn char_start(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&start| text.is_char_boundary(start)).unwrap_or(0)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostic {}

/// Every mistake found, never only the first; warnings among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Sorts as a reader meets them: down the file, then flags, then the host.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|diagnostic| diagnostic.place.order());
    }

    /// All of them, a blank line between two, without a newline at the end.
    pub fn render(&self, colour: bool) -> String {
        let texts: Vec<_> = self.0.iter().map(|diagnostic| diagnostic.render(colour)).collect();
        texts.join("\n\n")
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics(vec![diagnostic])
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, more: I) {
        self.0.extend(more);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &Arc<TextFile>, span: Range<usize>) -> Place {
        Place::File { source: source.clone(), span }
    }

    #[test]
    fn a_mistake_on_the_host_has_its_sentence_and_its_fix() {
        let taken = Diagnostic::error("UDP port 67 on net is held by dnsmasq (pid 812)").fix("stop it");
        assert_eq!(taken.to_string(), "error: UDP port 67 on net is held by dnsmasq (pid 812)\n  fix: stop it");
    }

    #[test]
    fn a_place_in_another_file_is_named_below_the_excerpt() {
        let (one, two) = (TextFile::new("one.toml", "a = 1\n"), TextFile::new("two.toml", "\n b = 2 \n"));
        let both = Diagnostic::warning("a and b differ").at(place(&one, 4..5)).also(place(&two, 6..7), "b");
        assert_eq!(
            both.to_string(),
            "warning: a and b differ\n --> one.toml:1:5\n  |\n1 | a = 1\n  |     ^\n  also two.toml:2  b = 2  (b)"
        );
    }

    #[test]
    fn colour_only_where_it_is_welcome() {
        let diagnostic = Diagnostic::error("no").at(Place::Flag("--lease 1s".into())).fix("yes");
        assert!(diagnostic.render(true).contains('\x1b'));
        assert!(!diagnostic.render(false).contains('\x1b'));
    }

    #[test]
    fn spans_that_cut_characters_or_leave_the_text_are_drawn_all_the_same() {
        let source = TextFile::new("x", "ä = \"ö\"");
        for (start, end) in [(1, 1), (1, 7), (6, 100), (9, 9), (100, 200), (0, 0)] {
            let text = Diagnostic::error("here").at(place(&source, start..end)).to_string();
            assert!(text.contains("x:1:"), "{start}..{end}: {text}");
        }
    }

    #[test]
    fn a_part_of_a_value_is_found_only_where_it_was_written_plainly() {
        let source = TextFile::new("x", r#"a = "1.2.3.4/33" b = "1\u002e2""#);
        let value = place(&source, 4..16);
        assert_eq!(value.part("1.2.3.4/33", 8..10), place(&source, 13..15));
        let escaped = place(&source, 21..31);
        assert_eq!(escaped.part("1.2", 0..1), escaped);
        let flag = Place::Flag("--address 1.2.3.4/33".into());
        assert_eq!(flag.part("1.2.3.4/33", 8..10), flag);
    }

    #[test]
    fn files_come_first_and_in_reading_order() {
        let source = TextFile::new("x", "a = 1\nb = 2\n");
        let at = |place| Diagnostic::error("no").at(place);
        let mut found = Diagnostics(vec![
            at(Place::Host),
            at(Place::Flag("--b".into())),
            at(place(&source, 6..7)),
            at(place(&source, 0..1)),
        ]);
        found.sort();
        let places: Vec<_> = found.iter().map(|found| found.place.to_string()).collect();
        assert_eq!(places, ["x:1", "x:2", "--b", "this host"]);
    }
}
