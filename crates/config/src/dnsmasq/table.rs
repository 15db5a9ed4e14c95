//! The registry of options: every option that dnsmasq 2.90 lists, and lanboot's own. Parser, `--help`, mistakes and
//! docs/dnsmasq.md come from it.

mod rows;

use std::fmt::Write;

use super::lower;
use super::options::{Read, Said};
use crate::diagnostic::Diagnostic;

pub use rows::ROWS;

/// One option.
#[derive(Debug)]
pub struct Row {
    /// Its long name, without dashes.
    pub name: &'static str,
    pub letter: Option<char>,
    pub argument: Argument,
    pub repeats: Repeats,
    pub family: Family,
    pub support: Support,
    /// What it does, in a sentence without a full stop.
    pub help: &'static str,
}

/// The value, by its syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    None,
    Required(&'static str),
    /// On a command line it is taken only after `=`.
    Optional(&'static str),
}

/// What a second use means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// A mistake; but a file may overrule the command line.
    Once,
    /// The last one counts.
    Last,
    /// Each adds to the others.
    Each,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Process,
    Interfaces,
    Addresses,
    Dhcp,
    Tags,
    Answers,
    Pxe,
    Tftp,
    Http,
    Dns,
    Dhcpv6,
}

/// What lanboot does with it.
#[derive(Clone, Copy)]
pub enum Support {
    /// As dnsmasq does.
    Honoured(fn(&mut Said<'_>) -> Read),
    /// Accepted, with a warning that says why it changes nothing here.
    Warned(&'static str),
    /// A mistake: why, and what to do instead.
    Refused(&'static str, &'static str),
}

impl std::fmt::Debug for Support {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Support {
    pub fn word(self) -> &'static str {
        match self {
            Support::Honoured(_) => "honoured",
            Support::Warned(_) => "warned",
            Support::Refused(..) => "refused",
        }
    }
}

impl Family {
    pub const ALL: [Family; 11] = [
        Family::Process,
        Family::Interfaces,
        Family::Addresses,
        Family::Dhcp,
        Family::Tags,
        Family::Answers,
        Family::Pxe,
        Family::Tftp,
        Family::Http,
        Family::Dns,
        Family::Dhcpv6,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Family::Process => "Process, files and log",
            Family::Interfaces => "Interfaces",
            Family::Addresses => "Addresses and machines",
            Family::Dhcp => "DHCP service",
            Family::Tags => "Tags",
            Family::Answers => "What answers carry",
            Family::Pxe => "PXE",
            Family::Tftp => "TFTP",
            Family::Http => "HTTP (lanboot's own)",
            Family::Dns => "DNS",
            Family::Dhcpv6 => "DHCPv6 and router advertisements",
        }
    }
}

impl Row {
    /// What the short form takes. dnsmasq knows no short form with a value that may be left out, but for `-1`.
    pub fn short_takes(&self) -> Argument {
        match (self.letter, self.argument) {
            (Some('q'), _) => Argument::None,
            (Some('1'), argument) => argument,
            (_, Argument::Optional(takes)) => Argument::Required(takes),
            (_, argument) => argument,
        }
    }

    /// `--port=NUMBER`.
    pub fn usage(&self) -> String {
        match self.argument {
            Argument::None => format!("--{}", self.name),
            Argument::Required(takes) => format!("--{}={takes}", self.name),
            Argument::Optional(takes) => format!("--{}[={takes}]", self.name),
        }
    }

    /// How far lanboot goes with it: a word, and where it does not go all the way, why.
    fn standing(&self) -> (&'static str, String) {
        match self.support {
            Support::Warned(why) => ("warned", format!(": {why}")),
            Support::Honoured(_) if lower::SERVED.contains(&self.name) => ("honoured", String::new()),
            Support::Honoured(_) => ("read", String::new()),
            Support::Refused(why, instead) => ("refused", format!(": {why}; {instead}")),
        }
    }

    pub(super) fn read(&self, said: &mut Said<'_>) -> Read {
        match self.support {
            Support::Honoured(read) => read(said),
            Support::Warned(why) => Ok(said.without_effect(format_args!("`{}`", self.name), why)),
            Support::Refused(why, instead) => {
                let what = format!("`{}` is not taken: {why}", self.name);
                Err(Diagnostic::error(what).at(said.place.clone()).fix(instead))
            }
        }
    }
}

/// Names that dnsmasq takes without listing them.
const ALIASES: &[(&str, &str)] = &[("dhcp-lease", "dhcp-leasefile"), ("domain-suffix", "domain")];

/// The option with this long name.
pub fn find(name: &str) -> Option<&'static Row> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    ROWS.iter().find(|row| row.name == name)
}

pub fn by_letter(letter: char) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.letter == Some(letter))
}

pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The option whose name starts so, as a command line may abbreviate it; else all whose names do.
pub(super) fn abbreviated(name: &str) -> Result<&'static Row, Vec<&'static str>> {
    if let Some(row) = find(name) {
        return Ok(row);
    }
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    let candidates: Vec<_> =
        names().chain(aliases).filter(|known| !name.is_empty() && known.starts_with(name)).collect();
    match &*candidates {
        [only] => find(only).ok_or_else(Vec::new),
        _ => Err(candidates),
    }
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from("Usage: lanboot dnsmasq [options]\n");
    for family in Family::ALL {
        writeln!(text, "\n{}:", family.title()).expect("writing to a String cannot fail");
        for row in ROWS.iter().filter(|row| row.family == family && !matches!(row.support, Support::Refused(..))) {
            let letter = row.letter.map_or("    ".into(), |letter| format!("-{letter}, "));
            let note = if matches!(row.support, Support::Warned(_)) { " (changes nothing here)" } else { "" };
            let (usage, help) = (row.usage(), row.help);
            let gap = if usage.len() > 40 { format!("\n{:48}", "") } else { format!("{:1$} ", "", 41 - usage.len()) };
            writeln!(text, "  {letter}{usage}{gap}{help}{note}").expect("writing to a String cannot fail");
        }
    }
    text
}

/// The tables of docs/dnsmasq.md.
pub fn markdown(family: Family) -> String {
    let mut table = String::from("| Option | Repeated | Here | Meaning |\n|---|---|---|---|\n");
    for row in ROWS.iter().filter(|row| row.family == family) {
        let letter = row.letter.map_or(String::new(), |letter| format!("`-{letter}` "));
        let usage = row.usage().replace('|', "\\|");
        let repeats = match row.repeats {
            _ if row.argument == Argument::None => "",
            Repeats::Once => "a mistake",
            Repeats::Last => "the last counts",
            Repeats::Each => "adds",
        };
        let ((word, why), help) = (row.standing(), row.help.replace('|', "\\|"));
        writeln!(table, "| {letter}`{usage}` | {repeats} | {word}{why} | {help} |").expect("a String takes all");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_served_is_an_option_that_is_read() {
        for name in lower::SERVED {
            let row = find(name).unwrap_or_else(|| panic!("{name} is no option"));
            assert!(matches!(row.support, Support::Honoured(_)), "{name}");
        }
    }

    #[test]
    fn names_and_letters_are_unique() {
        assert_eq!(names().collect::<BTreeSet<_>>().len(), ROWS.len());
        let letters: Vec<_> = ROWS.iter().filter_map(|row| row.letter).collect();
        assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), letters.len());
        assert!(ALIASES.iter().all(|(alias, name)| names().all(|known| known != *alias) && find(name).is_some()));
    }

    #[test]
    fn a_name_may_be_cut_short_while_it_is_clear() {
        assert_eq!(abbreviated("dhcp-auth").unwrap().name, "dhcp-authoritative");
        assert_eq!(abbreviated("port").unwrap().name, "port");
        assert_eq!(abbreviated("dhcp-lease").unwrap().name, "dhcp-leasefile");
        assert_eq!(abbreviated("tftp-m").unwrap_err(), ["tftp-max", "tftp-mtu"]);
        assert!(abbreviated("nosuch").unwrap_err().is_empty());
        assert!(abbreviated("").unwrap_err().is_empty());
    }

    #[test]
    fn help_lines_are_sentences_without_a_full_stop() {
        for row in ROWS {
            let first = row.help.chars().next().unwrap();
            assert!(first.is_uppercase() || !first.is_alphabetic(), "{}", row.name);
            assert!(!row.help.ends_with('.'), "{}", row.name);
        }
    }
}
