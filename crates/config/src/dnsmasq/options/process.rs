//! The process and its log.

use std::path::PathBuf;

use super::{Meaning, Read, Said};

/// Where the log goes.
#[derive(Clone, Debug, PartialEq)]
pub enum LogTo {
    /// syslog, under this facility in small letters: `daemon`, `local0`.
    Syslog(String),
    File(PathBuf),
    StandardError,
}

/// syslog's names (syslog(3)), and those that stand for one of them.
const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "security", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

pub(in super::super) fn user(said: &mut Said<'_>) -> Read {
    Ok(Meaning::User(said.some().map(|text| text.as_str().to_owned())))
}

pub(in super::super) fn group(said: &mut Said<'_>) -> Read {
    Ok(Meaning::Group(said.some().map(|text| text.as_str().to_owned())))
}

pub(in super::super) fn pid_file(said: &mut Said<'_>) -> Read {
    Ok(Meaning::PidFile(said.some().map(|text| text.as_str().into())))
}

pub(in super::super) fn log_facility(said: &mut Said<'_>) -> Read {
    let text = said.text();
    let word = text.as_str();
    let name = word.to_ascii_lowercase();
    Ok(Meaning::LogTo(match word {
        "-" => LogTo::StandardError,
        _ if word.contains('/') => LogTo::File(word.into()),
        _ if FACILITIES.contains(&&*name) => LogTo::Syslog(name),
        _ => {
            let fix = "write a facility such as daemon or local0, a path with a `/` in it, or - for standard error";
            return Err(said.wrong(format!("`{text}` is no syslog facility and no path"), fix));
        }
    }))
}
