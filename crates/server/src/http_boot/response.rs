//! What is answered: status, headers, and which octets follow (RFC 9110, RFC 9112).
//!
//! Firmware is why every answer with a body has its exact Content-Length, none is chunked, and no header is ever empty.

use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;

use super::conditions::{Outcome, Validators, print_date};
use super::range::{self, Asked};
use super::{Generated, Method, Request};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// 304 has none, and no Content-Length either.
    None,
    Octets(Vec<u8>),
    /// This part of the file that was asked for.
    Part(Range<u64>),
}

impl Body {
    pub fn octets(&self) -> u64 {
        match self {
            Body::None => 0,
            Body::Octets(octets) => octets.len() as u64,
            Body::Part(part) => part.end - part.start,
        }
    }
}

impl Response {
    /// Answers a GET or HEAD of a file of `size` octets.
    pub fn file(request: &Request, name: &str, size: u64, validators: &Validators, now: Timestamp) -> Response {
        let mut headers = validating(validators, now);
        match validators.check(request) {
            Outcome::Send => {}
            Outcome::NotModified => return Response { status: 304, headers, body: Body::None },
            Outcome::Failed => return Response::text(412, "the file is no longer the one asked for"),
        }
        let mut ranges = request.headers("Range");
        // Range is for GET alone (section 14.2), and two Range headers are as good as none.
        let asked = match (&request.method, ranges.next(), ranges.next()) {
            (Method::Get, Some(header), None) if validators.allow_range(request) => range::asked(header, size),
            _ => Asked::Whole,
        };
        headers.push(("Accept-Ranges", "bytes".into()));
        let (status, part) = match asked {
            Asked::Whole => (200, 0..size),
            Asked::Part(part) => (206, part),
            Asked::Nothing => {
                let refused = Response::text(416, &format!("the file has {size} octets, and none where asked"));
                return refused.with("Content-Range", format!("bytes */{size}"));
            }
        };
        if status == 206 {
            headers.push(("Content-Range", format!("bytes {}-{}/{size}", part.start, part.end - 1)));
        }
        headers.push(("Content-Type", content_type(name).into()));
        Response { status, headers, body: Body::Part(part) }
    }

    pub fn generated(generated: Generated) -> Response {
        let kind = Some(generated.content_type).filter(|kind| !kind.is_empty()).unwrap_or("application/octet-stream");
        let headers = vec![("Cache-Control", "no-store".into()), ("Content-Type", kind.into())];
        Response { status: generated.status, headers, body: Body::Octets(generated.body) }
    }

    pub fn page(html: String) -> Response {
        let headers = vec![("Content-Type", "text/html; charset=utf-8".into())];
        Response { status: 200, headers, body: Body::Octets(html.into_bytes()) }
    }

    /// A sentence for whoever looks at the client's screen.
    pub fn text(status: u16, sentence: &str) -> Response {
        let headers = vec![("Content-Type", "text/plain; charset=utf-8".into())];
        Response { status, headers, body: Body::Octets(format!("{sentence}\n").into_bytes()) }
    }

    pub fn with(mut self, name: &'static str, value: String) -> Response {
        self.headers.push((name, value));
        self
    }

    /// Writes the octets that go before the body. `date`: now, as HTTP tells time.
    pub fn head(&self, keep_alive: bool, date: &str, out: &mut Vec<u8>) {
        let length = (self.body != Body::None).then(|| self.body.octets());
        head(self.status, date, &fields(&self.headers, length), keep_alive, out);
    }
}

/// Writes the head of the answer to a plain GET or HEAD; `fields` are those of [`plain_fields`].
pub(super) fn plain_head(date: &str, fields: &str, keep_alive: bool, out: &mut Vec<u8>) {
    head(200, date, fields, keep_alive, out);
}

/// What is said about a whole file each time, made once.
pub(super) fn plain_fields(name: &str, size: u64, validators: &Validators, now: Timestamp) -> String {
    let mut headers = validating(validators, now);
    headers.push(("Accept-Ranges", "bytes".into()));
    headers.push(("Content-Type", content_type(name).into()));
    fields(&headers, Some(size))
}

fn validating(validators: &Validators, now: Timestamp) -> Vec<(&'static str, String)> {
    let etag = validators.etag.clone().map(|etag| ("ETag", etag));
    // A time to come would be no help to a client that compares (RFC 9110 section 8.8.2.1).
    let modified = validators.modified.map(|modified| ("Last-Modified", print_date(modified.min(now))));
    etag.into_iter().chain(modified).collect()
}

fn fields(headers: &[(&'static str, String)], length: Option<u64>) -> String {
    let mut fields = String::new();
    let length = length.map(|length| ("Content-Length", length.to_string()));
    for (name, value) in headers.iter().chain(&length) {
        debug_assert!(!value.is_empty(), "an empty {name} hangs some firmware");
        fields.extend([name, ": ", value, "\r\n"]);
    }
    fields
}

fn head(status: u16, date: &str, fields: &str, keep_alive: bool, out: &mut Vec<u8>) {
    let digits = [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    // Said even where it is the default: some boot loaders look for the word.
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let line: [&[u8]; 4] = [b"HTTP/1.1 ", &digits, b" ", reason(status).as_bytes()];
    let rest = ["\r\nDate: ", date, "\r\n", fields, "Connection: ", connection, "\r\n\r\n"];
    line.into_iter().chain(rest.map(str::as_bytes)).for_each(|part| out.extend_from_slice(part));
}

fn content_type(name: &str) -> &'static str {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        // UEFI 2.10 section 24.7: firmware tells a program from a disk image by these.
        Some("efi") => "application/efi",
        Some("iso") => "application/vnd.efi-iso",
        Some("ipxe" | "cfg" | "txt" | "conf") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // The phrase may be anything; the space before it is what matters.
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn answer(headers: &[(&str, &str)]) -> Response {
        let validators = Validators { etag: Some("\"t\"".into()), modified: Some(NOW) };
        Response::file(&Request::with_headers(headers), "a.efi", 1000, &validators, NOW)
    }

    fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
        response.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    fn text(response: &Response) -> String {
        let mut out = Vec::new();
        response.head(true, &print_date(NOW), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn head_made_beforehand_is_the_same() {
        let validators = Validators { etag: Some("\"t\"".into()), modified: Some(NOW) };
        let mut out = Vec::new();
        plain_head(&print_date(NOW), &plain_fields("a.efi", 1000, &validators, NOW), true, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text(&answer(&[])));
    }

    #[test]
    fn whole_file_is_200_with_its_length() {
        let response = answer(&[]);
        assert_eq!((response.status, &response.body), (200, &Body::Part(0..1000)));
        let head = text(&response);
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nETag: \"t\"\r\n\
             Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nAccept-Ranges: bytes\r\nContent-Type: application/efi\r\n\
             Content-Length: 1000\r\nConnection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn part_is_206_and_says_which() {
        let response = answer(&[("Range", "bytes=10-19")]);
        assert_eq!((response.status, &response.body), (206, &Body::Part(10..20)));
        assert_eq!(header(&response, "Content-Range"), Some("bytes 10-19/1000"));
    }

    #[test]
    fn part_of_another_content_becomes_the_whole() {
        assert_eq!(answer(&[("Range", "bytes=10-19"), ("If-Range", "\"old\"")]).status, 200);
        assert_eq!(answer(&[("Range", "bytes=10-19"), ("If-Range", "\"t\"")]).status, 206);
        assert_eq!(answer(&[("Range", "bytes=10-19"), ("Range", "bytes=1-2")]).status, 200);
        assert_eq!(answer(&[("Range", "bytes=u-u")]).status, 200);
    }

    #[test]
    fn part_beyond_the_end_is_416_with_the_size() {
        let response = answer(&[("Range", "bytes=1000-")]);
        assert_eq!((response.status, header(&response, "Content-Range")), (416, Some("bytes */1000")));
    }

    #[test]
    fn head_ignores_range() {
        let mut request = Request::with_headers(&[("Range", "bytes=0-1")]);
        request.method = Method::Head;
        let response = Response::file(&request, "linux", 9, &Validators::default(), NOW);
        assert_eq!((response.status, response.body), (200, Body::Part(0..9)));
    }

    #[test]
    fn not_modified_has_neither_body_nor_length_but_the_tag() {
        let response = answer(&[("If-None-Match", "\"t\"")]);
        assert_eq!((response.status, header(&response, "ETag")), (304, Some("\"t\"")));
        assert!(!text(&response).contains("Content-Length"));
    }

    #[test]
    fn types_are_those_that_firmware_looks_for() {
        let cases = [
            ("EFI/BOOT/BOOTX64.EFI", "application/efi"),
            ("debian.iso", "application/vnd.efi-iso"),
            ("boot.ipxe", "text/plain; charset=utf-8"),
            ("grub.cfg", "text/plain; charset=utf-8"),
            ("vmlinuz-6.1", "application/octet-stream"),
            ("linux", "application/octet-stream"),
        ];
        for (name, expected) in cases {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }
}
