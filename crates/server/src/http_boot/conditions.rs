//! Does the client have the file already? Validators and conditional requests (RFC 9110 sections 8.8 and 13).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

use super::Request;

/// What tells one content of a file from the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    /// Strong, quotes included.
    pub etag: Option<String>,
    /// Whole seconds, as HTTP tells time.
    pub modified: Option<Timestamp>,
}

/// What the conditions of a request leave to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: the client wanted the file as it was.
    Failed,
}

impl Validators {
    pub fn of(file: &Metadata) -> Validators {
        let nanos = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
        let etag = Some(format!("\"{:x}-{:x}-{nanos:x}\"", file.ino(), file.len()));
        Validators { etag, ..Validators::since(file.modified().ok()) }
    }

    pub fn since(modified: Option<SystemTime>) -> Validators {
        let second = |time| Timestamp::from_second(Timestamp::try_from(time).ok()?.as_second()).ok();
        Validators { etag: None, modified: modified.and_then(second) }
    }

    /// Evaluates the preconditions in the order of section 13.2.2.
    pub fn check(&self, request: &Request) -> Outcome {
        let date = |name| request.header(name).and_then(parse_date).zip(self.modified);
        if request.header("If-Match").is_some() {
            if !self.is_among(request, "If-Match", |tag| tag) {
                return Outcome::Failed;
            }
        } else if date("If-Unmodified-Since").is_some_and(|(asked, modified)| modified > asked) {
            return Outcome::Failed;
        }
        let has_it = if request.header("If-None-Match").is_some() {
            self.is_among(request, "If-None-Match", |tag| tag.strip_prefix("W/").unwrap_or(tag))
        } else {
            date("If-Modified-Since").is_some_and(|(asked, modified)| modified <= asked)
        };
        if has_it { Outcome::NotModified } else { Outcome::Send }
    }

    /// Whether a `Range` still holds: no `If-Range`, or one that names just this content (section 13.1.5).
    pub fn allow_range(&self, request: &Request) -> bool {
        match request.header("If-Range") {
            None => true,
            Some(tag) if tag.contains('"') => self.etag.as_deref() == Some(tag),
            Some(date) => self.modified.is_some() && parse_date(date) == self.modified,
        }
    }

    fn is_among(&self, request: &Request, header: &str, compared: impl Fn(&str) -> &str) -> bool {
        let mut tags = request.headers(header).flat_map(|tags| tags.split(',')).map(str::trim);
        // `*` asks for any content at all, and there is some.
        tags.any(|tag| tag == "*" || self.etag.as_deref() == Some(compared(tag)))
    }
}

/// IMF-fixdate (section 5.6.7).
pub(super) fn print_date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("years of four digits")
}

/// `None` also for the two obsolete forms of a date: the condition then counts as not asked, and the file is sent.
fn parse_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const DAY_BEFORE: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
    const DAY_AFTER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn validators() -> Validators {
        Validators { etag: Some("\"a\"".into()), modified: parse_date(DAY) }
    }

    fn check(headers: &[(&str, &str)]) -> Outcome {
        validators().check(&Request::with_headers(headers))
    }

    #[test]
    fn dates_are_printed_as_they_are_parsed() {
        assert_eq!(print_date(parse_date(DAY).unwrap()), DAY);
        assert_eq!(parse_date("Sunday, 06-Nov-94 08:49:37 GMT"), None);
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn client_that_has_the_content_gets_304() {
        assert_eq!(check(&[("if-none-match", "\"a\"")]), Outcome::NotModified);
        assert_eq!(check(&[("If-None-Match", "\"b\", W/\"a\"")]), Outcome::NotModified);
        assert_eq!(check(&[("If-None-Match", "\"b\""), ("If-None-Match", "\"a\"")]), Outcome::NotModified);
        assert_eq!(check(&[("If-None-Match", "*")]), Outcome::NotModified);
        assert_eq!(check(&[("If-Modified-Since", DAY)]), Outcome::NotModified);
        assert_eq!(check(&[("If-Modified-Since", DAY_AFTER)]), Outcome::NotModified);
    }

    #[test]
    fn client_with_other_content_gets_the_file() {
        assert_eq!(check(&[]), Outcome::Send);
        assert_eq!(check(&[("If-None-Match", "\"b\"")]), Outcome::Send);
        assert_eq!(check(&[("If-Modified-Since", DAY_BEFORE)]), Outcome::Send);
        assert_eq!(check(&[("If-Modified-Since", "never")]), Outcome::Send);
        // The tag is the better witness, the date is not asked (section 13.1.3).
        assert_eq!(check(&[("If-None-Match", "\"b\""), ("If-Modified-Since", DAY_AFTER)]), Outcome::Send);
    }

    #[test]
    fn client_that_insists_on_older_content_gets_412() {
        assert_eq!(check(&[("If-Match", "\"b\"")]), Outcome::Failed);
        assert_eq!(check(&[("If-Match", "W/\"a\"")]), Outcome::Failed);
        assert_eq!(check(&[("If-Match", "\"a\"")]), Outcome::Send);
        assert_eq!(check(&[("If-Unmodified-Since", DAY_BEFORE)]), Outcome::Failed);
        assert_eq!(check(&[("If-Unmodified-Since", DAY)]), Outcome::Send);
    }

    #[test]
    fn range_holds_only_for_the_content_it_was_meant_for() {
        let allows = |value| validators().allow_range(&Request::with_headers(&[("If-Range", value)]));
        assert!(validators().allow_range(&Request::with_headers(&[])));
        assert!(allows("\"a\""));
        assert!(allows(DAY));
        assert!(!allows("W/\"a\""));
        assert!(!allows("\"b\""));
        assert!(!allows(DAY_AFTER));
        assert!(!allows("garbage"));
    }
}
