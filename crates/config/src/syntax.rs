//! What is wrong with a text that is not TOML, in words for somebody who does not know TOML.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place, TextFile};

/// The diagnostics for what the parser complains of: the first error of each line, for what follows on the same line
/// is its echo.
pub(crate) fn explain(source: &Arc<TextFile>, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let text = &source.text;
    let place = |error: &toml::de::Error| error.span().filter(|span| text.get(span.clone()).is_some()).unwrap_or(0..0);
    let mut placed: Vec<_> = errors.iter().map(|error| (place(error), error.message().trim_end())).collect();
    placed.sort_by_key(|(span, _)| span.start);
    placed.dedup_by_key(|(span, _)| text[..span.start].matches('\n').count());
    placed.into_iter().map(|(span, message)| explain_one(source, span, message)).collect()
}

fn explain_one(source: &Arc<TextFile>, span: Range<usize>, message: &str) -> Diagnostic {
    let text = &source.text;
    let bare = bare_value(text, &span);
    let (span, what, fix) = if message.contains("duplicate key") {
        (span, "this key was given before".into(), "keep one of the two".into())
    } else if let Some(word) = bare {
        let value = &text[word.clone()];
        if value.is_empty() {
            (word, "there is no value after the `=`".into(), "write one, or leave the line out".into())
        } else {
            (word, format!("`{value}` is not a value in TOML"), quoted(value))
        }
    } else if message.starts_with("invalid unquoted key") && &text[span.clone()] == ":" {
        (span, "a `:` stands where TOML wants `=`".into(), "write key = value".into())
    } else if message.starts_with("invalid basic string, expected `\"`") {
        (span, "this text has no quote at its end".into(), "close it with a \" on the same line".into())
    } else {
        let fix = "compare with the examples in docs/configuration.md";
        (span, format!("this is not valid TOML: {message}"), fix.into())
    };
    Diagnostic::error(what).at(Place::File { source: source.clone(), span }).fix(fix)
}

fn quoted(value: &str) -> String {
    match &*value.to_lowercase() {
        "true" | "yes" | "on" => "write true, in small letters, or \"text\" between quotes".into(),
        "false" | "no" | "off" => "write false, in small letters, or \"text\" between quotes".into(),
        _ => format!("write text between quotes: \"{value}\""),
    }
}

/// The bare word that stands where a value should, around an error at `span`; empty where the value is missing.
fn bare_value(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let delimiter = |c: char| c.is_whitespace() || "=,[]{}#\"'".contains(c);
    let start = text[line_start..span.start].rfind(delimiter).map(|at| line_start + at);
    let start = start.map_or(line_start, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let end = text[start..].find(delimiter).map_or(text.len(), |length| start + length);
    let before = text[line_start..start].trim_end();
    let is_value = before.contains('=') && before.ends_with(['=', ',', '[']);
    (is_value && !text[end..].starts_with(['"', '\''])).then_some(start..end)
}
