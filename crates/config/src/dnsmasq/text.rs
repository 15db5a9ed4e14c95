//! Text as it was said: which of its octets stood in quotes, and where each of them stands in its file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place, TextFile};

/// The characters that mean something to dnsmasq, and nothing between quotes.
const SPECIAL: &[char] = &[',', ':', '.', '#'];

/// A value, or a part of one, with its place.
///
/// Quotes and escapes are gone from it, but it knows what they protected: a comma that stood between quotes parts
/// nothing.
#[derive(Clone, PartialEq)]
pub struct Text {
    value: String,
    /// One for each octet of `value`; empty where nothing is known of them, as on a command line.
    marks: Vec<Mark>,
    place: Place,
}

/// What is known of one octet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    /// Its offset in the file.
    pub at: usize,
    pub quoted: bool,
}

impl Text {
    /// A value from a command line: nothing in it is quoted, whatever it looks like. `flag`: the flag as typed.
    pub(super) fn of_flag(value: impl Into<String>, flag: impl Into<String>) -> Text {
        Text { value: value.into(), marks: Vec::new(), place: Place::Flag(flag.into()) }
    }

    /// A value from a file. `at`: where it starts, should it be empty.
    pub(super) fn of_file(value: String, marks: Vec<Mark>, source: &Arc<TextFile>, at: usize) -> Text {
        assert_eq!(value.len(), marks.len(), "each octet has its mark");
        let span = span(&marks).unwrap_or(at..at);
        Text { value, marks, place: Place::File { source: source.clone(), span } }
    }

    pub fn as_str(&self) -> &str {
        &self.value
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Whether any part of it stood in quotes.
    pub fn is_quoted(&self) -> bool {
        self.marks.iter().any(|mark| mark.quoted)
    }

    /// The text, unless quotes took the meaning from a character in it: then it is no address and no keyword.
    pub fn bare(&self) -> Option<&str> {
        let muted = |(at, c): (usize, char)| self.quoted(at) && SPECIAL.contains(&c);
        (!self.value.char_indices().any(muted)).then_some(&self.value)
    }

    /// Whether the character stands in it outside quotes.
    pub fn has(&self, wanted: char) -> bool {
        self.find(wanted).is_some()
    }

    /// The parts between the separators outside quotes, without white space around them; at least one.
    pub fn split(&self, separator: char) -> Vec<Text> {
        let mut parts = Vec::new();
        let mut rest = self.clone();
        while let (part, Some(after)) = rest.split_once(separator) {
            parts.push(part);
            rest = after;
        }
        parts.push(rest.trimmed());
        parts
    }

    /// What stands before and after the first separator outside quotes, without white space around it.
    pub fn split_once(&self, separator: char) -> (Text, Option<Text>) {
        match self.find(separator) {
            None => (self.trimmed(), None),
            Some(at) => {
                let after = at + separator.len_utf8()..self.value.len();
                (self.slice(0..at).trimmed(), Some(self.slice(after).trimmed()))
            }
        }
    }

    /// What follows an unquoted `prefix`.
    pub fn strip_prefix(&self, prefix: &str) -> Option<Text> {
        let starts = self.value.starts_with(prefix) && !(0..prefix.len()).any(|at| self.quoted(at));
        starts.then(|| self.slice(prefix.len()..self.value.len()))
    }

    /// A mistake that this text is to blame for.
    pub fn wrong(&self, what: impl Into<String>, fix: impl Into<String>) -> Diagnostic {
        Diagnostic::error(what).at(self.place.clone()).fix(fix)
    }

    /// The part of it at these octets, which must not cut a character.
    pub(super) fn slice(&self, part: Range<usize>) -> Text {
        let marks = self.marks.get(part.clone()).unwrap_or_default().to_vec();
        let place = match &self.place {
            Place::File { source, span: whole } => {
                // An empty part stands where the octet after it stands.
                let at = self.marks.get(part.start).map_or(whole.end, |mark| mark.at);
                Place::File { source: source.clone(), span: span(&marks).unwrap_or(at..at) }
            }
            other => other.clone(),
        };
        Text { value: self.value[part].to_owned(), marks, place }
    }

    pub(super) fn trimmed(&self) -> Text {
        let is_kept = |(at, c): &(usize, char)| !c.is_ascii_whitespace() && *c != '\x0b' || self.quoted(*at);
        let start = self.value.char_indices().find(is_kept).map_or(self.value.len(), |(at, _)| at);
        let end = self.value.char_indices().rfind(is_kept).map_or(start, |(at, c)| at + c.len_utf8());
        self.slice(start..end)
    }

    fn find(&self, wanted: char) -> Option<usize> {
        self.value.char_indices().find(|(at, c)| *c == wanted && !self.quoted(*at)).map(|(at, _)| at)
    }

    fn quoted(&self, at: usize) -> bool {
        self.marks.get(at).is_some_and(|mark| mark.quoted)
    }
}

fn span(marks: &[Mark]) -> Option<Range<usize>> {
    Some(marks.first()?.at..marks.last()?.at + 1)
}

/// The text, as written without quotes.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.value, self.place)
    }
}
