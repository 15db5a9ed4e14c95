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

/// What to do about a failed look-up, in one line.
pub(crate) fn remedy(name: &str, why: &Unresolved) -> Option<&'static str> {
    // Whoever asks for what does not exist mostly goes on.
    if matches!(why, Unresolved::NoSuchName { .. }) { None } else { causes(name, why).first().copied() }
}

const PLAIN: &[&str] = &[
    "give the machine of this name a reservation, or the name a record under [dns]",
    "let it ask for the name with its domain",
];
const NOT_HERE: &[&str] = &[
    "see whether the name is right where the machine has it from: kernel command line, preseed, kickstart",
    "names of this domain are known here alone: give it a record under [dns], or its domain a forward",
];
const NOT_THERE: &[&str] =
    &["see whether the name is right where the machine has it from: kernel command line, preseed, kickstart"];
const NO_ANSWER: &[&str] = &["see whether this host reaches them, or name others: upstream = [\"…\"] in [dns]"];
const NO_SERVER: &[&str] =
    &["name the servers to ask: upstream = [\"…\"] in [dns]; or see why this host's /etc/resolv.conf has none"];
const THEY_REFUSE: &[&str] = &["see whether it may be asked from here, or name others: upstream = [\"…\"] in [dns]"];
const WE_REFUSE: &[&str] = &["see who may ask: clients in [dns]"];

/// What usually is wrong then, the likeliest first, each with its remedy.
pub(crate) fn causes(name: &str, why: &Unresolved) -> &'static [&'static str] {
    match why {
        Unresolved::NoSuchName { by: None } if is_plain(name) => PLAIN,
        Unresolved::NoSuchName { by: None } => NOT_HERE,
        Unresolved::NoSuchName { by: Some(_) } => NOT_THERE,
        Unresolved::NoAnswer { .. } => NO_ANSWER,
        Unresolved::NoServer => NO_SERVER,
        Unresolved::Refused { by: Some(_), .. } => THEY_REFUSE,
        Unresolved::Refused { by: None, .. } => WE_REFUSE,
    }
}

pub(crate) fn meant(like: &str) -> String {
    format!("is {} meant, which is known here?", clean(like))
}

/// `asked for the mirror `, where the name tells what it is of.
pub(crate) fn asked_for(name: &str) -> &'static str {
    let has = |words: &[&str]| {
        let mut parts = name.split(['.', '-']);
        parts.any(|part| words.contains(&part.trim_end_matches(|c: char| c.is_ascii_digit())))
    };
    if has(&["ntp", "time", "chrony"]) {
        "asked for the time server "
    } else if has(&[
        "mirror",
        "mirrors",
        "mirrorlist",
        "deb",
        "archive",
        "ports",
        "ftp",
        "repo",
        "repos",
        "dl",
        "download",
        "packages",
        "pkg",
        "security",
    ]) {
        "asked for the mirror "
    } else {
        "asked for "
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(server: &str, said: Said) -> Asked {
        Asked { server: server.parse().unwrap(), said }
    }

    #[test]
    fn failures_are_told_with_who_said_what() {
        let by = || Some("192.0.2.1:53".parse().unwrap());
        let two = vec![asked("192.0.2.1:53", Said::Silent), asked("[2001:db8::1]:5353", Said::Unreachable)];
        let code = |code: &str| Said::Code(code.to_owned());
        let five = vec![asked("192.0.2.1:53", Said::Malformed), asked("192.0.2.2:53", code("SERVFAIL"))];
        let five: Vec<Asked> = five.into_iter().chain(vec![asked("192.0.2.3:53", Said::Silent); 3]).collect();
        for (name, why, text) in [
            ("deb.example", Unresolved::NoSuchName { by: by() }, "deb.example: no such name, says 192.0.2.1"),
            ("box", Unresolved::NoSuchName { by: None }, "box: a name without a domain that nobody here has"),
            ("box.lan", Unresolved::NoSuchName { by: None }, "box.lan: no such name here"),
            (
                "x",
                Unresolved::NoAnswer { asked: two },
                "x: no upstream server answered (192.0.2.1 silent, 2001:db8::1#5353 unreachable)",
            ),
            (
                "x",
                Unresolved::NoAnswer { asked: five },
                "x: no upstream server answered (192.0.2.1 sent no proper answer, 192.0.2.2 says SERVFAIL, 192.0.2.3 \
                 silent, 192.0.2.3 silent, 1 more)",
            ),
            ("x", Unresolved::NoAnswer { asked: vec![] }, "x: no upstream server answered"),
            ("x", Unresolved::NoServer, "x: no upstream server is configured"),
            ("x", Unresolved::Refused { code: "REFUSED".into(), by: by() }, "x: 192.0.2.1 says REFUSED"),
            ("a\u{1b}b", Unresolved::Refused { code: "REFUSED".into(), by: None }, "a?b: we said REFUSED"),
        ] {
            assert_eq!(failed(name, &why), text);
            assert!(!causes(name, &why).is_empty());
        }
    }

    #[test]
    fn answers_are_told_up_to_two() {
        let answers = |count: usize| (1..=count).map(|n| format!("192.0.2.{n}")).collect::<Vec<_>>();
        assert_eq!(found("a", "A", &answers(1)), "a is 192.0.2.1");
        assert_eq!(found("a", "A", &answers(5)), "a is 192.0.2.1, 192.0.2.2 and 3 more");
        assert_eq!(found("a", "AAAA", &[]), "a has no AAAA record");
    }

    #[test]
    fn names_tell_what_they_are_of() {
        for (name, what) in [
            ("deb.example.net", "asked for the mirror "),
            ("ftp2.de.example", "asked for the mirror "),
            ("my-mirror.lan", "asked for the mirror "),
            ("0.debian.pool.ntp.org", "asked for the time server "),
            ("debby.example", "asked for "),
            ("intranet", "asked for "),
        ] {
            assert_eq!(asked_for(name), what, "{name}");
        }
    }
}
