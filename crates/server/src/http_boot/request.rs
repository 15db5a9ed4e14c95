//! From octets to a request (RFC 9112).

use std::mem::MaybeUninit;
use std::net::SocketAddrV4;

use thiserror::Error;

use super::Limits;

/// One request, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Percent-decoded, with its leading slash, without the query.
    pub path: String,
    /// `name=value` pairs behind `?`, decoded, in order.
    pub query: Vec<(String, String)>,
    pub fields: Vec<(String, String)>,
    /// At most [`Limits::body_octets`].
    pub body: Vec<u8>,
    pub client: SocketAddrV4,
    /// Our own address, as the client reached it.
    pub local: SocketAddrV4,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Other(String),
}

impl Request {
    /// The first header of this name, in any case; `None` also when it is empty.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).find(|value| !value.is_empty())
    }

    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// The first value of this name in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A request whose body is still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub request: Request,
    /// Octets of the head, and of the body that follows.
    pub octets: usize,
    pub body_octets: usize,
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// A request that is answered with an error and the end of the connection: what follows it cannot be made sense of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum BadRequest {
    #[error("this is not an HTTP/1.1 request: {0}")]
    Malformed(&'static str),
    #[error("the request's head is longer than {0} octets or has too many headers")]
    HeadTooLarge(usize),
    #[error("the request's body is longer than {0} octets")]
    BodyTooLarge(usize),
    #[error("a body needs a Content-Length here; chunked ones are not taken")]
    LengthRequired,
    #[error("this server speaks HTTP/1.0 and HTTP/1.1")]
    Version,
    #[error("the request did not arrive in time")]
    TooSlow,
}

impl BadRequest {
    pub fn status(self) -> u16 {
        match self {
            BadRequest::Malformed(_) => 400,
            BadRequest::TooSlow => 408,
            BadRequest::LengthRequired => 411,
            BadRequest::BodyTooLarge(_) => 413,
            BadRequest::HeadTooLarge(_) => 431,
            BadRequest::Version => 505,
        }
    }
}

/// Reads a request's head from what has arrived so far; `None` when there is more to come.
pub(super) fn parse(
    arrived: &[u8],
    client: SocketAddrV4,
    local: SocketAddrV4,
    limits: &Limits,
) -> Result<Option<Head>, BadRequest> {
    let mut headers = [const { MaybeUninit::uninit() }; 64];
    let mut parsed = httparse::Request::new(&mut []);
    let octets = match parsed.parse_with_uninit_headers(arrived, &mut headers) {
        Ok(httparse::Status::Complete(octets)) if octets <= limits.head_octets => octets,
        Ok(httparse::Status::Partial) if arrived.len() < limits.head_octets => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadRequest::HeadTooLarge(limits.head_octets)),
        Err(httparse::Error::Version) => return Err(BadRequest::Version),
        Err(error) => return Err(BadRequest::Malformed(reason(error))),
    };
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    let fields = parsed.headers.iter().map(|header| (header.name.into(), text(header.value))).collect();
    let (path, query) = split_target(parsed.path.unwrap_or_default());
    let method = match parsed.method.unwrap_or_default() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        other => Method::Other(other.into()),
    };
    let request = Request { method, path, query, fields, body: Vec::new(), client, local };
    let body_octets = body_octets(&request, limits)?;
    let keep_alive = match parsed.version {
        Some(0) => connection_says(&request, "keep-alive"),
        _ => !connection_says(&request, "close"),
    };
    let expects = request.header("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    let expects_continue = expects && parsed.version == Some(1) && body_octets > 0;
    Ok(Some(Head { request, octets, body_octets, keep_alive, expects_continue }))
}

fn reason(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header's name holds characters it must not",
        httparse::Error::HeaderValue => "a header's value holds characters it must not",
        httparse::Error::NewLine => "a line does not end as lines do",
        _ => "the first line is not a method, a path and a version",
    }
}

fn connection_says(request: &Request, word: &str) -> bool {
    request.headers("Connection").flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
}

fn body_octets(request: &Request, limits: &Limits) -> Result<usize, BadRequest> {
    if request.header("Transfer-Encoding").is_some() {
        return Err(BadRequest::LengthRequired);
    }
    let mut lengths = request.headers("Content-Length").map(str::trim);
    let Some(length) = lengths.next() else { return Ok(0) };
    if lengths.any(|other| other != length) || length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit())
    {
        return Err(BadRequest::Malformed("its Content-Length is not one number"));
    }
    let fitting = length.parse().ok().filter(|length| *length <= limits.body_octets);
    fitting.ok_or(BadRequest::BodyTooLarge(limits.body_octets))
}

/// The path and the query of a request target in origin form or absolute form (RFC 9112 section 3.2).
fn split_target(target: &str) -> (String, Vec<(String, String)>) {
    let origin = match target.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|letter| letter.is_ascii_alphanumeric()) => {
            rest.find(['/', '?']).map_or("", |end| &rest[end..])
        }
        _ => target,
    };
    let (path, query) = origin.split_once('?').unwrap_or((origin, ""));
    let path = percent_decode(path);
    // Some boot loaders leave the first slash out.
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode(&name.replace('+', " ")), percent_decode(&value.replace('+', " ")))
    });
    (path, pairs.collect())
}

/// Decodes `%41` (RFC 3986 section 2.1). A `%` without two digits behind it stands for itself, as unescaped names in
/// scripts have it; what is not UTF-8 afterwards is no published name and reads as U+FFFD.
fn percent_decode(text: &str) -> String {
    let digit = |octet: Option<&u8>| octet.and_then(|octet| char::from(*octet).to_digit(16));
    let octets = text.as_bytes();
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        match (octet, digit(octets.get(at + 1)), digit(octets.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*octet);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Encodes a published name for a link, slashes kept.
pub(super) fn percent_encode(name: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet);
    name.bytes()
        .map(|octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}

#[cfg(test)]
impl Request {
    pub(super) fn with_headers(headers: &[(&str, &str)]) -> Request {
        let anywhere = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 80);
        let fields = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (method, path, query) = (Method::Get, "/".into(), vec![]);
        Request { method, path, query, fields, body: vec![], client: anywhere, local: anywhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Option<Head>, BadRequest> {
        let anywhere = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 80);
        parse(text.as_bytes(), anywhere, anywhere, &Limits::default())
    }

    fn head(text: &str) -> Head {
        read(text).unwrap().unwrap()
    }

    fn target(target: &str) -> (String, Vec<(String, String)>) {
        split_target(target)
    }

    #[test]
    fn head_is_taken_apart() {
        let head = head("GET /a%20b?mac=52%3A54&x HTTP/1.1\r\nHost: h\r\nRange:  bytes=0-1 \r\nEmpty:\r\n\r\nnext");
        let request = head.request;
        assert_eq!((request.method.clone(), request.path.as_str()), (Method::Get, "/a b"));
        assert_eq!((request.query("mac"), request.query("x"), request.query("y")), (Some("52:54"), Some(""), None));
        assert_eq!((request.header("range"), request.header("empty")), (Some("bytes=0-1"), None));
        assert!(head.keep_alive && head.body_octets == 0);
    }

    #[test]
    fn every_form_of_target_leads_to_the_path() {
        for form in ["/x/y", "http://10.0.1.1/x/y", "HTTP://h:8080/x/y", "x/y", "/x%2Fy", "/%78/y"] {
            assert_eq!(target(form).0, "/x/y", "{form}");
        }
        assert_eq!(target("http://h").0, "/");
        assert_eq!(target("http://h?a=1"), ("/".into(), vec![("a".into(), "1".into())]));
        assert_eq!(target("/chain?u=http://x/?y").0, "/chain");
        assert_eq!(target("/100%/%zz/%4").0, "/100%/%zz/%4");
        assert_eq!(target("/%ff").0, "/\u{fffd}");
    }

    #[test]
    fn connection_is_kept_by_version_and_wish() {
        assert!(head("GET / HTTP/1.1\r\n\r\n").keep_alive);
        assert!(!head("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").keep_alive);
        assert!(!head("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    }

    #[test]
    fn body_has_one_length_within_the_limit() {
        let post =
            |headers: &str| read(&format!("POST /r HTTP/1.1\r\n{headers}\r\n")).map(|head| head.unwrap().body_octets);
        assert_eq!(post("Content-Length: 12\r\n"), Ok(12));
        assert_eq!(post("Content-Length: 12\r\nContent-Length: 12\r\n"), Ok(12));
        assert_eq!(post("Content-Length: 65537\r\n"), Err(BadRequest::BodyTooLarge(65536)));
        assert_eq!(post("Content-Length: 99999999999999999999\r\n"), Err(BadRequest::BodyTooLarge(65536)));
        assert_eq!(post("Transfer-Encoding: chunked\r\n"), Err(BadRequest::LengthRequired));
        for bad in ["-1", "1, 2", "", "0x1", "1\r\nContent-Length: 2"] {
            assert!(matches!(post(&format!("Content-Length: {bad}\r\n")), Err(BadRequest::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn endless_heads_are_cut_off() {
        assert_eq!(read("GET /").unwrap(), None);
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
        assert!(matches!(read(&long), Err(BadRequest::HeadTooLarge(_))));
        assert!(matches!(read(&long[..18_000]), Err(BadRequest::HeadTooLarge(_))));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        assert!(matches!(read(&many), Err(BadRequest::HeadTooLarge(_))));
    }

    #[test]
    fn other_protocols_are_told_so() {
        assert!(matches!(read("\x16\x03\x01\x02\0\x01"), Err(BadRequest::Malformed(_))));
        assert_eq!(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(BadRequest::Version));
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(name in "[^\\p{Cc}?#]{0,30}") {
            prop_assert_eq!(percent_decode(&percent_encode(&name)), name);
        }

        #[test]
        fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..200), target in "\\PC{0,40}") {
            let anywhere = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 80);
            let _ = parse(&octets, anywhere, anywhere, &Limits::default());
            prop_assert!(split_target(&target).0.starts_with('/'));
        }
    }
}
