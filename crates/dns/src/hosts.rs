//! Hosts files: an address and its names on each line, `#` before what is for people alone.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::name::BadName;
use crate::{Name, idn};

/// One line: an address and at least one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub address: IpAddr,
    /// The first is the one that the address is known by.
    pub names: Vec<Name>,
}

/// What is wrong on a line; the rest of it counts, and all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    pub what: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("`{0}` is no IP address; the line is left out")]
    Address(String),
    #[error("{0} has no name; the line is left out")]
    Nameless(IpAddr),
    #[error("`{0}` is left out: {1}")]
    Name(String, BadName),
    #[error("`{0}` is left out: it has characters whose form in DNS is not sure")]
    Letters(String),
}

impl Wrong {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Wrong::Address(_) => "begin the line with an IPv4 or IPv6 address without scope, like `10.0.0.5`",
            Wrong::Nameless(_) => "write a name behind the address, or `#` before it",
            Wrong::Name(..) => "write labels of 1 to 63 letters, digits and `-` with single dots between them",
            Wrong::Letters(_) => "write its ASCII form, which starts with xn--; `idn2 NAME` prints it",
        }
    }
}

/// A file, read already: that takes a while where it is a long list, and is no work for the thread that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    /// Shared with whoever looks whether it has changed.
    pub text: Arc<str>,
    parsed: Option<(Vec<Line>, Vec<Fault>)>,
}

impl File {
    pub fn new(path: impl Into<String>, text: impl Into<Arc<str>>) -> File {
        let text = text.into();
        File { path: path.into(), parsed: Some(parse(&text)), text }
    }

    /// What it says. Once it was taken it is read anew.
    pub(crate) fn take(&mut self) -> (Vec<Line>, Vec<Fault>) {
        self.parsed.take().unwrap_or_else(|| parse(&self.text))
    }
}

/// Reads a whole file. Faults come in the order of lines.
pub fn parse(text: &str) -> (Vec<Line>, Vec<Fault>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for (at, text) in text.lines().enumerate() {
        let mut fault = |what| faults.push(Fault { line: at + 1, what });
        let mut words = text.split('#').next().unwrap_or_default().split_whitespace();
        let Some(first) = words.next() else { continue };
        let Ok(address) = first.parse() else {
            fault(Wrong::Address(first.into()));
            continue;
        };
        let mut words = words.peekable();
        if words.peek().is_none() {
            fault(Wrong::Nameless(address));
        }
        let names: Vec<Name> = words.filter_map(|word| name(word).map_err(&mut fault).ok()).collect();
        if !names.is_empty() {
            lines.push(Line { address, names });
        }
    }
    (lines, faults)
}

/// Letters beyond ASCII get the form that DNS carries.
fn name(word: &str) -> Result<Name, Wrong> {
    let is_plain = word.bytes().all(|octet| octet.is_ascii_graphic());
    let text = if is_plain { Cow::Borrowed(word) } else { Cow::Owned(ascii(word)?) };
    match text.parse::<Name>() {
        Ok(name) if name.is_root() => Err(Wrong::Name(word.into(), BadName::EmptyLabel)),
        Ok(name) => Ok(name),
        Err(bad) => Err(Wrong::Name(word.into(), bad)),
    }
}

fn ascii(word: &str) -> Result<String, Wrong> {
    if word.split('.').any(|label| label.chars().count() > 63) {
        return Err(Wrong::Name(word.into(), BadName::LongLabel));
    }
    let labels = word.split('.').map(idn::ascii_label).collect::<Option<Vec<_>>>();
    let labels = labels.filter(|_| !word.contains(char::is_control)).ok_or_else(|| Wrong::Letters(word.into()))?;
    Ok(labels.join("."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse(text).0.iter().map(|line| format!("{} {:?}", line.address, line.names)).collect()
    }

    #[test]
    fn lines_have_an_address_and_names() {
        let text =
            "# all\n10.0.0.5\tBox box.lan. # ours\r\n\n  fd00::5 box six#seven\n#10.0.0.6 off\n::ffff:10.0.0.9 mapped";
        assert_eq!(shown(text), ["10.0.0.5 [box, box.lan]", "fd00::5 [box, six]", "::ffff:10.0.0.9 [mapped]"]);
        assert_eq!(parse(text).1, []);
    }

    #[test]
    fn faults_name_their_line_and_cost_no_other_name() {
        let text = "0x0a.0.0.1 hexa\n10.0.0.5 a..b good\n\n10.0.0.6\nfe80::1%eth0 scoped\n10.0.0.7 x☃y .\n10.0.0.8 last Bücher.lan";
        assert_eq!(shown(text), ["10.0.0.5 [good]", "10.0.0.8 [last, xn--bcher-kva.lan]"]);
        let faults: Vec<(usize, String)> = parse(text).1.iter().map(|f| (f.line, f.what.to_string())).collect();
        let expected = [
            (1, "`0x0a.0.0.1` is no IP address; the line is left out"),
            (2, "`a..b` is left out: it has an empty label"),
            (4, "10.0.0.6 has no name; the line is left out"),
            (5, "`fe80::1%eth0` is no IP address; the line is left out"),
            (6, "`x☃y` is left out: it has characters whose form in DNS is not sure"),
            (6, "`.` is left out: it has an empty label"),
        ];
        assert_eq!(faults, expected.map(|(line, what)| (line, what.to_owned())));
    }

    proptest! {
        #[test]
        fn every_word_is_a_name_or_a_fault(words in prop::collection::vec("[a-z.\\\\é☃\\x01-]{1,70}", 1..6)) {
            let (lines, faults) = parse(&format!("10.0.0.1 {}", words.join(" ")));
            prop_assert_eq!(lines.iter().map(|line| line.names.len()).sum::<usize>() + faults.len(), words.len());
        }
    }
}
