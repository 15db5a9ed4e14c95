//! From what a client wrote to the components of a published name.

use std::path::{Path, PathBuf};

use super::FileError;

/// Longer names than Linux paths can be (PATH_MAX).
const MAX_NAME_OCTETS: usize = 4095;

/// Splits an asked name into its components: `/` and `\` both separate, empty ones and `.` fall away, `..` takes the
/// one before it along, as in URLs (RFC 3986 section 5.2.4).
pub(super) fn split(asked: &str) -> Result<Vec<&str>, FileError> {
    let bad = |because| FileError::BadName { asked: asked.chars().take(80).collect(), because };
    if asked.len() > MAX_NAME_OCTETS {
        return Err(bad("it is longer than any path"));
    }
    if asked.contains(char::is_control) {
        return Err(bad("it holds control characters"));
    }
    let mut parts = Vec::new();
    for part in asked.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                let outside = || FileError::LeadsOutside { asked: asked.into(), folder: PathBuf::new(), target: None };
                parts.pop().ok_or_else(outside)?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Ignored,
}

impl Case {
    pub fn same(self, a: &str, b: &str) -> bool {
        match self {
            Case::Exact => a == b,
            Case::Ignored => a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase)),
        }
    }
}

/// How the path is really spelled, component by component; as asked when case matters.
///
/// `names_in` gives the names in a folder. Where several differ in case only, the one as asked is taken, else the first
/// of the alphabet. `None`: there is no such path.
pub(super) fn real_spelling(parts: &[&str], case: Case, names_in: impl Fn(&Path) -> Vec<String>) -> Option<PathBuf> {
    if case == Case::Exact {
        return Some(parts.iter().collect());
    }
    let mut path = PathBuf::new();
    for part in parts {
        let names = names_in(&path).into_iter().filter(|name| case.same(name, part));
        path.push(names.min_by_key(|name| (name != part, name.clone()))?);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slashes_dots_and_backslashes_all_lead_to_the_same_name() {
        for asked in ["a/b", "/a/b", "//a//b", "./a/./b", "\\a\\b", "/a/c/../b", "a/b/", "/\\a/\\b"] {
            assert_eq!(split(asked).unwrap(), ["a", "b"], "{asked}");
        }
        assert_eq!(split("/").unwrap(), [""; 0]);
    }

    #[test]
    fn names_that_lead_above_the_root_are_refused() {
        for asked in ["..", "/../etc/passwd", "a/../../b", "..\\..\\b"] {
            assert!(matches!(split(asked), Err(FileError::LeadsOutside { .. })), "{asked}");
        }
    }

    #[test]
    fn control_characters_and_endless_names_are_no_names() {
        assert!(matches!(split("a\0b"), Err(FileError::BadName { .. })));
        assert!(matches!(split("a\x1b[2J"), Err(FileError::BadName { .. })));
        assert!(matches!(split(&"a/".repeat(2048)), Err(FileError::BadName { .. })));
    }

    #[test]
    fn spelling_as_asked_is_preferred_then_the_first_of_the_alphabet() {
        let names = |folder: &Path| match folder.to_str() {
            Some("") => vec!["BOOT".into(), "Boot".into(), "other".into()],
            Some("Boot" | "BOOT") => vec!["bcd".into()],
            _ => vec![],
        };
        let spelled = |parts: &[&str]| real_spelling(parts, Case::Ignored, names);
        assert_eq!(spelled(&["Boot", "BCD"]), Some("Boot/bcd".into()));
        assert_eq!(spelled(&["boot", "BCD"]), Some("BOOT/bcd".into()));
        assert_eq!(spelled(&["boot", "absent"]), None);
    }

    proptest! {
        #[test]
        fn no_name_leads_up_or_stays_absolute(asked in "[a./\\\\]{0,20}") {
            if let Ok(parts) = split(&asked) {
                for part in parts {
                    prop_assert!(!part.is_empty() && part != "." && part != ".." && !part.contains(['/', '\\']));
                }
            }
        }
    }
}
