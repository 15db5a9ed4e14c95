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
        self.find(wanted, 0).is_some()
    }

    /// The parts between the separators outside quotes, without white space around them; at least one.
    pub fn split(&self, separator: char) -> Vec<Text> {
        self.parts(separator).collect()
    }

    /// The parts one by one; what remains can be had at any time.
    pub(super) fn parts(&self, separator: char) -> Parts<'_> {
        Parts { text: self, separator, at: Some(0) }
    }

    /// What stands before and after the first separator outside quotes, without white space around it.
    pub fn split_once(&self, separator: char) -> (Text, Option<Text>) {
        let mut parts = self.parts(separator);
        let first = parts.next().expect("there is one part at least");
        (first, parts.rest())
    }

    /// The same text, of which nothing stands in quotes.
    pub(super) fn plain(&self) -> Text {
        let marks = self.marks.iter().map(|mark| Mark { quoted: false, ..*mark }).collect();
        Text { marks, ..self.clone() }
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

    /// Where the character stands outside quotes, from this octet on.
    fn find(&self, wanted: char, from: usize) -> Option<usize> {
        let mut found = self.value[from..].match_indices(wanted).map(|(at, _)| from + at);
        found.find(|at| !self.quoted(*at))
    }

    fn quoted(&self, at: usize) -> bool {
        self.marks.get(at).is_some_and(|mark| mark.quoted)
    }
}

/// The parts of a text, from the first on.
pub(super) struct Parts<'a> {
    text: &'a Text,
    separator: char,
    /// Where the next part starts; `None`: there is none.
    at: Option<usize>,
}

impl Parts<'_> {
    /// All that has not been taken yet, separators included.
    pub(super) fn rest(&self) -> Option<Text> {
        self.at.map(|at| self.text.slice(at..self.text.value.len()).trimmed())
    }
}

impl Iterator for Parts<'_> {
    type Item = Text;

    fn next(&mut self) -> Option<Text> {
        let start = self.at?;
        let end = self.text.find(self.separator, start);
        self.at = end.map(|end| end + self.separator.len_utf8());
        Some(self.text.slice(start..end.unwrap_or(self.text.value.len())).trimmed())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str) -> Text {
        let source = TextFile::new("x", written);
        super::super::syntax::lines(&source).next().unwrap().unwrap()
    }

    fn parts(text: &Text) -> Vec<String> {
        text.parts(',').map(|part| part.value).collect()
    }

    #[test]
    fn separators_in_quotes_part_nothing() {
        assert_eq!(parts(&text(r#" a , "b , c" ,, d "#)), ["a", "b , c", "", "d"]);
        assert_eq!(parts(&text(r#""a,b""#)), ["a,b"]);
        let (first, rest) = text("a, b, c").split_once(',');
        assert_eq!((first.as_str(), rest.unwrap().as_str()), ("a", "b, c"));
        assert_eq!(text("a").split_once(',').1, None);
    }

    #[test]
    fn a_part_knows_its_place() {
        let place = |text: &Text| match text.place() {
            Place::File { span, .. } => span.clone(),
            other => panic!("{other:?}"),
        };
        let line = text(r#"  x="a\t", bé,"#);
        let fields: Vec<_> = line.parts(',').map(|part| place(&part)).collect();
        assert_eq!(fields, [2..7, 11..14, 15..15]);
        assert_eq!(place(&line.split_once('=').1.unwrap()), 5..15);
    }

    #[test]
    fn quotes_take_the_meaning_from_special_characters_only() {
        assert_eq!(text(r#""web""#).bare(), Some("web"));
        assert_eq!(text(r#""10.0.1.1""#).bare(), None);
        assert!(text(r#""set:"x"#).strip_prefix("set:").is_none());
        assert_eq!(text("set:x").strip_prefix("set:").unwrap().as_str(), "x");
    }
}
