//! What a person types, as the keys of a US keyboard in QEMU's names (QKeyCode).

/// Keys that go down together; nearly always one, or shift and one.
pub type Chord = Vec<&'static str>;

/// A `<name>` that is no key, or a character that a US keyboard lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownKey {
    #[error(
        "`<{0}>` is no key: use <enter>, <tab>, <esc>, <space>, <up>, <down>, <left>, <right>, <backspace>, <delete>, <home>, <end>, <pageup>, <pagedown>, <lt>, <f1> to <f12>, or <ctrl-b> and the like"
    )]
    Name(String),
    #[error("`{0}` is not on a US keyboard")]
    Character(char),
}

/// Reads text to type, such as `<tab> console=ttyS0,115200<enter>`. A `<` itself is written `<lt>`.
pub fn chords(text: &str) -> Result<Vec<Chord>, UnknownKey> {
    let mut chords = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|inner| inner.split_once('>'));
        rest = if let Some((name, after)) = named {
            chords.push(named_key(name)?);
            after
        } else {
            chords.push(character(first).ok_or(UnknownKey::Character(first))?);
            &rest[first.len_utf8()..]
        };
    }
    Ok(chords)
}

fn named_key(name: &str) -> Result<Chord, UnknownKey> {
    let lower = name.to_ascii_lowercase();
    let unknown = || UnknownKey::Name(name.to_owned());
    for (prefix, modifier) in [("ctrl-", "ctrl"), ("alt-", "alt")] {
        if let Some(key) = lower.strip_prefix(prefix) {
            let mut rest = key.chars();
            let single = rest.next().filter(|_| rest.as_str().is_empty());
            let inner = match single {
                Some(c) => character(c).ok_or_else(unknown)?,
                None => named_key(key).map_err(|_| unknown())?,
            };
            return Ok([&[modifier][..], &inner].concat());
        }
    }
    const NAMES: [(&str, &str); 17] = [
        ("enter", "ret"),
        ("return", "ret"),
        ("tab", "tab"),
        ("esc", "esc"),
        ("space", "spc"),
        ("backspace", "backspace"),
        ("delete", "delete"),
        ("insert", "insert"),
        ("up", "up"),
        ("down", "down"),
        ("left", "left"),
        ("right", "right"),
        ("home", "home"),
        ("end", "end"),
        ("pageup", "pgup"),
        ("pagedown", "pgdn"),
        ("lt", "<"),
    ];
    const FUNCTION: [&str; 12] = ["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12"];
    match NAMES.into_iter().find(|(known, _)| *known == lower) {
        Some((_, "<")) => Ok(vec!["shift", "comma"]),
        Some((_, key)) => Ok(vec![key]),
        None => FUNCTION.into_iter().find(|key| *key == lower).map(|key| vec![key]).ok_or_else(unknown),
    }
}

fn character(c: char) -> Option<Chord> {
    /// These keys are named by their character.
    const PLAIN: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
    const SHIFTED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ)!@#$%^&*(";
    /// The others: name, character, character with shift.
    const NAMED: [(&str, char, char); 13] = [
        ("grave_accent", '`', '~'),
        ("minus", '-', '_'),
        ("equal", '=', '+'),
        ("bracket_left", '[', '{'),
        ("bracket_right", ']', '}'),
        ("backslash", '\\', '|'),
        ("semicolon", ';', ':'),
        ("apostrophe", '\'', '"'),
        ("comma", ',', '<'),
        ("dot", '.', '>'),
        ("slash", '/', '?'),
        ("spc", ' ', ' '),
        ("ret", '\n', '\n'),
    ];
    if let Some(at) = PLAIN.find(c) {
        return Some(vec![&PLAIN[at..at + 1]]);
    }
    if let Some(at) = SHIFTED.find(c) {
        return Some(vec!["shift", &PLAIN[at..at + 1]]);
    }
    let (key, plain, _) = NAMED.into_iter().find(|(_, plain, shifted)| c == *plain || c == *shifted)?;
    Some(if c == plain { vec![key] } else { vec!["shift", key] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_keys() {
        let keys = chords("<Tab> ttyS0,1<enter><ctrl-b><ctrl-alt-delete><f12><lt>").unwrap();
        let expected: [&[&str]; 14] = [
            &["tab"],
            &["spc"],
            &["t"],
            &["t"],
            &["y"],
            &["shift", "s"],
            &["0"],
            &["comma"],
            &["1"],
            &["ret"],
            &["ctrl", "b"],
            &["ctrl", "alt", "delete"],
            &["f12"],
            &["shift", "comma"],
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn every_printable_ascii_character_can_be_typed() {
        // `<` opens a name only where a `>` follows.
        let text: String = (' '..='~').rev().collect();
        assert_eq!(chords(&text).unwrap().len(), 95);
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert_eq!(chords("a<nope>"), Err(UnknownKey::Name("nope".to_owned())));
        assert_eq!(chords("<ctrl-nope>"), Err(UnknownKey::Name("ctrl-nope".to_owned())));
        assert_eq!(chords("ä"), Err(UnknownKey::Character('ä')));
    }
}
