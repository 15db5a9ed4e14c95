//! dnsmasq's own syntax: lines of its files, and its command line, which is read as GNU getopt reads it.

use std::ffi::OsString;
use std::ops::Range;
use std::sync::Arc;

use super::table::{self, Argument, Row};
use super::text::{Mark, Text};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, TextFile};
use crate::nearest::nearest;

/// dnsmasq breaks lines after 1024 octets. Nobody's are this long, and what reads them need not be clever.
const MAX_LINE_OCTETS: usize = 1 << 16;

/// An option that was named, with its value.
#[derive(Debug)]
pub(super) struct Named {
    pub row: &'static Row,
    /// `None`: no value. `option=` has an empty one.
    pub value: Option<Text>,
    pub place: Place,
}

/// The lines of a file that say something, each without its quotes, comment and white space around it.
pub(super) fn lines(source: &Arc<TextFile>) -> impl Iterator<Item = Result<Text, Diagnostic>> + '_ {
    let mut start = 0;
    let spans = source.text.split('\n').map(move |line| {
        let span = start..start + line.len();
        start = span.end + 1;
        span
    });
    spans.map(|span| unquoted(source, span)).filter(|line| !matches!(line, Ok(text) if text.is_empty()))
}

/// Takes quotes, escapes and comment out of a line. What follows a NUL is nothing, as for dnsmasq.
fn unquoted(source: &Arc<TextFile>, line: Range<usize>) -> Result<Text, Diagnostic> {
    if line.len() > MAX_LINE_OCTETS {
        let place = Place::File { source: source.clone(), span: line.start..line.start };
        let what = format!("this line has more than {MAX_LINE_OCTETS} octets");
        return Err(Diagnostic::error(what).at(place).fix("part it into several lines"));
    }
    let (mut value, mut marks) = (String::new(), Vec::new());
    let mut push = |at: usize, c: char, quoted: bool| {
        value.push(c);
        marks.extend((0..c.len_utf8()).map(|octet| Mark { at: at + octet, quoted }));
    };
    let mut open = None;
    let mut after_space = true;
    let mut characters = source.text[line.clone()].char_indices().peekable();
    while let Some((offset, c)) = characters.next() {
        let at = line.start + offset;
        match (c, open) {
            ('\0', _) => break,
            ('"', None) => open = Some(at),
            ('"', Some(_)) => open = None,
            ('#', None) if after_space => break,
            ('\\', Some(_)) => match characters.peek().and_then(|(_, letter)| escaped(*letter)) {
                Some(meant) => {
                    characters.next();
                    push(at, meant, true);
                }
                None => push(at, c, true),
            },
            _ => push(at, c, open.is_some()),
        }
        after_space = c.is_ascii_whitespace() && open.is_none();
    }
    let text = Text::of_file(value, marks, source, line.start).trimmed();
    if let Some(at) = open {
        let place = Place::File { source: source.clone(), span: at..at + 1 };
        return Err(Diagnostic::error("this quote is not closed").at(place).fix("close it with a \" on the same line"));
    }
    if text.as_str().contains(char::REPLACEMENT_CHARACTER) {
        return Err(text.wrong("this line is not UTF-8 text", "save the file as UTF-8"));
    }
    Ok(text)
}

/// What a letter means after a backslash between quotes.
fn escaped(letter: char) -> Option<char> {
    Some(match letter {
        '\\' | '"' => letter,
        't' => '\t',
        'n' => '\n',
        'b' => '\x08',
        'r' => '\r',
        'e' => '\x1b',
        _ => return None,
    })
}

/// Reads a line of a file: `option`, or `option=value`.
pub(super) fn option(line: &Text) -> Result<Named, Diagnostic> {
    let (name, value) = line.split_once('=');
    let row = (!name.is_quoted()).then(|| table::find(name.as_str())).flatten();
    let row = row.ok_or_else(|| unknown_in_file(&name))?;
    match (row.argument, &value) {
        (Argument::None, Some(value)) => {
            let what = format!("`{}` takes no value", row.name);
            Err(value.wrong(what, format!("write `{}` alone", row.name)))
        }
        (Argument::Required(takes), None) => Err(lacks_value(row, takes, name.place())),
        _ => Ok(Named { row, value, place: line.place().clone() }),
    }
}

fn unknown_in_file(name: &Text) -> Diagnostic {
    let text = name.as_str();
    let fix = match text.strip_prefix("--").filter(|rest| table::find(rest).is_some()) {
        Some(rest) => format!("write `{rest}`: in a file the dashes are left out"),
        None if name.is_quoted() => "write the option without quotes".to_owned(),
        None => match text.split_whitespace().next().filter(|word| *word != text && table::find(word).is_some()) {
            Some(word) => format!("write `{word}`, and `=` before a value"),
            None => suggestion("", text),
        },
    };
    name.wrong(format!("unknown option `{text}`"), fix)
}

fn lacks_value(row: &Row, takes: &str, place: &Place) -> Diagnostic {
    let what = format!("`{}` lacks its value", row.name);
    let (dashes, name) = (if matches!(place, Place::Flag(_)) { "--" } else { "" }, row.name);
    Diagnostic::error(what).at(place.clone()).fix(format!("write {dashes}{name}={takes}"))
}

fn suggestion(dashes: &str, name: &str) -> String {
    match nearest(name, table::names()) {
        Some(near) => format!("did you mean `{dashes}{near}`?"),
        None => "`--help` lists the options".to_owned(),
    }
}

/// Reads a command line without the program's name. Mistakes are added to `mistakes`; what could be read is returned.
pub(super) fn command_line(args: &[OsString], mistakes: &mut Diagnostics) -> Vec<Named> {
    let mut words = Words { args: args.iter(), mistakes };
    let mut named = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            while let Some(word) = words.next() {
                words.junk(&word);
            }
        } else if let Some(long) = word.strip_prefix("--") {
            named.extend(words.long(&word, long));
        } else if let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            words.cluster(cluster, &mut named);
        } else {
            // dnsmasq overlooks the topic of `--help dhcp` likewise.
            let after_help = named.last().is_some_and(|last| last.row.name == "help" && last.value.is_none());
            match named.last_mut().filter(|_| after_help) {
                Some(help) => help.value = Some(Text::of_flag(&*word, format!("--help {word}"))),
                None => words.junk(&word),
            }
        }
    }
    named
}

struct Words<'a> {
    args: std::slice::Iter<'a, OsString>,
    mistakes: &'a mut Diagnostics,
}

impl Words<'_> {
    /// The next word. One that is not UTF-8 is a mistake, and read with its odd octets replaced.
    fn next(&mut self) -> Option<String> {
        let word = self.args.next()?;
        let text = word.to_string_lossy().into_owned();
        if word.to_str().is_none() {
            let wrong = Diagnostic::error("this word is not UTF-8 text").at(Place::Flag(text.clone()));
            self.mistakes.push(wrong.fix("write it in UTF-8"));
        }
        Some(text)
    }

    fn junk(&mut self, word: &str) {
        if !word.trim().is_empty() {
            let what = format!("`{word}` is no option");
            let fix = "write --name=value; an option whose value may be left out takes one only after `=`";
            self.mistakes.push(Diagnostic::error(what).at(Place::Flag(word.to_owned())).fix(fix));
        }
    }

    /// `name`, `name=value`, or `name` and the next word; `word` is all of it, with its dashes.
    fn long(&mut self, word: &str, long: &str) -> Option<Named> {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let row = match table::abbreviated(name) {
            Ok(row) => row,
            Err(candidates) => {
                let fix = match &*candidates {
                    [] => suggestion("--", name),
                    _ => format!("write one of --{}", candidates.join(", --")),
                };
                let what = match &*candidates {
                    [] => format!("unknown option `--{name}`"),
                    _ => format!("`--{name}` is short for several options"),
                };
                self.mistakes.push(Diagnostic::error(what).at(Place::Flag(word.to_owned())).fix(fix));
                return None;
            }
        };
        if let (Argument::None, Some(_)) = (row.argument, value) {
            let what = format!("`--{}` takes no value", row.name);
            let wrong = Diagnostic::error(what).at(Place::Flag(word.to_owned()));
            self.mistakes.push(wrong.fix(format!("write --{} alone", row.name)));
            return None;
        }
        match (row.argument, value) {
            (Argument::Required(takes), None) => self.with_next_word(row, takes, word),
            (_, value) => {
                let value = value.map(|value| Text::of_flag(value, word));
                Some(Named { row, value, place: Place::Flag(word.to_owned()) })
            }
        }
    }

    /// Short options behind one dash; the first that takes a value takes all that follows it, or the next word.
    fn cluster(&mut self, cluster: &str, named: &mut Vec<Named>) {
        for (at, letter) in cluster.char_indices() {
            let flag = format!("-{letter}");
            let Some(row) = table::by_letter(letter) else {
                let wrong =
                    Diagnostic::error(format!("unknown option `{flag}`")).at(Place::Flag(format!("-{cluster}")));
                self.mistakes.push(wrong.fix("`--help` lists the options"));
                continue;
            };
            let rest = &cluster[at + letter.len_utf8()..];
            match (row.short_takes(), rest) {
                (Argument::None, _) => named.push(Named { row, value: None, place: Place::Flag(flag) }),
                (Argument::Optional(_), "") => {
                    named.push(Named { row, value: None, place: Place::Flag(flag) });
                }
                (Argument::Required(takes), "") => named.extend(self.with_next_word(row, takes, &flag)),
                (_, value) => {
                    let flag = format!("{flag} {value}");
                    named.push(Named { row, value: Some(Text::of_flag(value, &*flag)), place: Place::Flag(flag) });
                    return;
                }
            }
        }
    }

    fn with_next_word(&mut self, row: &'static Row, takes: &str, flag: &str) -> Option<Named> {
        let Some(value) = self.next() else {
            self.mistakes.push(lacks_value(row, takes, &Place::Flag(flag.to_owned())));
            return None;
        };
        let flag = format!("{flag} {value}");
        Some(Named { row, value: Some(Text::of_flag(value, &*flag)), place: Place::Flag(flag) })
    }
}
