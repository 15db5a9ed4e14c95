//! What machines look up, in words, and what to do where that fails.

use std::net::SocketAddr;

use crate::line::Tone;
use crate::words::clean;
use crate::{Asked, Said, Unresolved};

/// Answers that are shown; the others are counted.
const MOST_ANSWERS: usize = 2;
/// Servers that are shown with what they said.
const MOST_SERVERS: usize = 4;

/// `deb.example is 192.0.2.80`.
pub(crate) fn found(name: &str, kind: &str, answers: &[String]) -> String {
    let name = clean(name);
    if answers.is_empty() {
        return format!("{name} has no {} record", clean(kind));
    }
    let shown: Vec<String> = answers.iter().take(MOST_ANSWERS).map(|answer| clean(answer)).collect();
    let more = match answers.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{name} is {}{more}", shown.join(", "))
}

/// `deb.example: no upstream server answered (192.0.2.1 silent, 192.0.2.2 unreachable)`.
pub(crate) fn failed(name: &str, why: &Unresolved) -> String {
    format!("{}: {}", clean(name), reason(name, why))
}

/// Why a look-up failed, without the name.
pub(crate) fn reason(name: &str, why: &Unresolved) -> String {
    match why {
        Unresolved::NoSuchName { by: Some(by) } => format!("no such name, says {}", server(by)),
        Unresolved::NoSuchName { by: None } if is_plain(name) => {
            "a name without a domain that nobody here has".to_owned()
        }
        Unresolved::NoSuchName { by: None } => "no such name here".to_owned(),
        Unresolved::NoAnswer { asked } => match servers(asked) {
            said if said.is_empty() => "no upstream server answered".to_owned(),
            said => format!("no upstream server answered ({said})"),
        },
        Unresolved::NoServer => "no upstream server is configured".to_owned(),
        Unresolved::Refused { code, by: Some(by) } => format!("{} says {}", server(by), clean(code)),
        Unresolved::Refused { code, by: None } => format!("we said {}", clean(code)),
    }
}

/// `192.0.2.1 silent, 192.0.2.2 says SERVFAIL`.
fn servers(asked: &[Asked]) -> String {
    let said = |asked: &Asked| {
        let server = server(&asked.server);
        match &asked.said {
            Said::Silent => format!("{server} silent"),
            Said::Unreachable => format!("{server} unreachable"),
            Said::Malformed => format!("{server} sent no proper answer"),
            Said::Code(code) => format!("{server} says {}", clean(code)),
        }
    };
    let mut shown: Vec<String> = asked.iter().take(MOST_SERVERS).map(said).collect();
    if asked.len() > MOST_SERVERS {
        shown.push(format!("{} more", asked.len() - MOST_SERVERS));
    }
    shown.join(", ")
}

/// Without the port that everybody has; with a mark before another, as in configurations.
fn server(address: &SocketAddr) -> String {
    match address.port() {
        53 => address.ip().to_string(),
        port => format!("{}#{port}", address.ip()),
    }
}

/// Resolvers ask for records that most names do not have, and programs for names that most networks do not have: that
/// such do not exist stops nobody.
pub(crate) fn tone(kind: &str, why: &Unresolved) -> Tone {
    match why {
        Unresolved::NoSuchName { .. } if is_address(kind) => Tone::Warn,
        Unresolved::NoSuchName { .. } => Tone::Quiet,
        _ => Tone::Bad,
    }
}

pub(crate) fn is_address(kind: &str) -> bool {
    matches!(kind, "A" | "AAAA")
}

fn is_plain(name: &str) -> bool {
    !name.trim_end_matches('.').contains('.')
}

/// What to do about a failed look-up.
pub(crate) fn remedy(name: &str, why: &Unresolved) -> Option<&'static str> {
    match why {
        Unresolved::NoSuchName { by: None } if is_plain(name) => {
            Some("give the machine of this name a reservation, the name a host record, or ask for it with its domain")
        }
        Unresolved::NoSuchName { .. } => None,
        Unresolved::NoAnswer { .. } => Some("see whether this host reaches them, or name others under [dns] upstream"),
        Unresolved::NoServer => Some("name servers under [dns] upstream, or see why resolv.conf names none"),
        Unresolved::Refused { by: Some(_), .. } => {
            Some("see whether it may be asked from here, or name others under [dns] upstream")
        }
        Unresolved::Refused { by: None, .. } => None,
    }
}
