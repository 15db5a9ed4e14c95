//! TFTP.

use std::path::PathBuf;

use super::interfaces::{Pattern, patterns};
use super::{Meaning, Read, Said, port, settled};

/// A folder, for requests on one interface or on all.
#[derive(Clone, Debug, PartialEq)]
pub struct TftpRoot {
    pub folder: PathBuf,
    pub interface: Option<Pattern>,
}

/// A folder of its own for each client below the root, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueRoot {
    /// `10.0.1.7`
    Ip,
    /// `52-54-00-12-34-56`
    Mac,
}

pub(in super::super) fn enable(said: &mut Said<'_>) -> Read {
    Ok(Meaning::EnableTftp(patterns(&said.list())))
}

pub(in super::super) fn root(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    let (folder, interface) = text.split_once(',');
    let interface = interface.and_then(|text| patterns(&[text]).pop());
    Ok(Meaning::TftpRoot(TftpRoot { folder: settled(&folder), interface }))
}

pub(in super::super) fn unique_root(said: &mut Said<'_>) -> Read {
    let word = said.value.as_ref().map(|text| text.as_str().to_ascii_lowercase());
    Ok(Meaning::TftpUniqueRoot(match word.as_deref() {
        None | Some("ip") => UniqueRoot::Ip,
        Some("mac") => UniqueRoot::Mac,
        Some(other) => return Err(said.wrong(format!("`{other}` is neither ip nor mac"), "write ip or mac")),
    }))
}

pub(in super::super) fn port_range(said: &mut Said<'_>) -> Read {
    let Some(text) = said.some() else { return Ok(Meaning::Nothing) };
    match &*text.split(',') {
        [first, last] => {
            let (first, last) = (port(first)?, port(last)?);
            Ok(Meaning::TftpPortRange(first.min(last), first.max(last)))
        }
        _ => Err(said.wrong("a first and a last port are wanted", "write tftp-port-range=50000,50099")),
    }
}
