//! Reads apt's sources (sources.list(5)), to ask the mirror that the host already trusts for another release.

use std::fmt::Write;
use std::path::Path;

use super::Distribution;

/// An entry for binary packages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    pub uris: Vec<String>,
    pub suites: Vec<String>,
    pub components: Vec<String>,
    /// How its signature is checked, in the fields of the deb822 form: `Signed-By`, `Trusted`, `Check-Valid-Until`.
    pub checks: Vec<(&'static str, String)>,
}

/// The options that say how far an entry is trusted: name in the one-line form, and as a deb822 field.
const CHECKS: [(&str, &str); 3] =
    [("signed-by", "Signed-By"), ("trusted", "Trusted"), ("check-valid-until", "Check-Valid-Until")];

/// Every entry in `sources.list` and `sources.list.d` below `folder` (`/etc/apt`). What cannot be read is left out.
pub fn sources(folder: &Path) -> Vec<Source> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mut sources = parse_list(&read(&folder.join("sources.list")));
    let parts = std::fs::read_dir(folder.join("sources.list.d"));
    let mut parts: Vec<_> = parts.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    parts.sort();
    for path in parts {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(parse_list(&read(&path))),
            Some("sources") => sources.extend(parse_deb822(&read(&path))),
            _ => {}
        }
    }
    sources
}

fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

/// `deb [signed-by=/k.gpg arch=amd64] https://mirror/debian bookworm main contrib # comment`
fn parse_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    let option = |name: &str| {
        let mut options = options.split_whitespace().filter_map(|option| option.split_once('='));
        options.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.replace(',', " "))
    };
    let checks = CHECKS.into_iter().filter_map(|(name, field)| Some((field, option(name)?))).collect();
    Some(Source { uris: vec![uri], suites: vec![suite], components: words.collect(), checks })
}

fn parse_deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), line.split_once(':')) {
            // A value goes on; a whole key may be written in Signed-By, line by line.
            (true, _) => fields.last_mut()?.1.push_str(&format!("\n{line}")),
            (false, Some((name, value))) => fields.push((name.to_lowercase(), value.trim().to_owned())),
            (false, None) => return None,
        }
    }
    let field = |name: &str| {
        let name = name.to_lowercase();
        fields.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
    };
    let words =
        |name| -> Vec<String> { field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect() };
    let disabled = field("Enabled").is_some_and(|value| matches!(value.to_lowercase().as_str(), "no" | "false" | "0"));
    if disabled || !words("Types").iter().any(|kind| kind == "deb") {
        return None;
    }
    let checks = CHECKS.into_iter().filter_map(|(_, name)| Some((name, field(name)?))).collect();
    Some(Source { uris: words("URIs"), suites: words("Suites"), components: words("Components"), checks })
}

/// The entry for the distribution's main archive.
///
/// Others may carry the same suite and component names; the distribution's own is told by its keyring and by the
/// updates suite that the same mirror serves.
pub fn main_archive<'a>(sources: &'a [Source], distribution: &Distribution) -> Option<&'a Source> {
    let codename = distribution.codename.as_deref().unwrap_or("stable");
    let aliases = [codename, "stable", "oldstable", "testing", "unstable", "sid"];
    let serves = |source: &&Source| {
        source.suites.iter().any(|suite| aliases.contains(&suite.as_str()))
            && source.components.iter().any(|component| component == "main")
            && source.uris.iter().any(|uri| !uri.starts_with("cdrom:"))
    };
    let is_updated = |source: &Source| {
        let same = sources.iter().filter(|other| other.uris == source.uris);
        same.flat_map(|other| &other.suites).any(|suite| suite.ends_with("-updates"))
    };
    let own_keyring = |source: &Source| source.checks.iter().any(|(_, value)| value.contains("-archive-keyring"));
    let likely = |source: &Source| (own_keyring(source), is_updated(source));
    // Of equals the first, as apt would prefer it too.
    sources.iter().filter(serves).rev().max_by_key(|source| likely(source))
}

impl Source {
    /// The deb822 entry for another suite of the same archive, asking for nothing but the list of packages.
    pub fn entry_for(&self, suite: &str) -> String {
        let mut entry = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: {}\nTargets: Packages\n",
            self.uris.join(" "),
            self.components.join(" ")
        );
        for (field, value) in &self.checks {
            writeln!(entry, "{field}: {value}").expect("a String takes every text");
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bookworm() -> Distribution {
        Distribution::parse("ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
    }

    fn entry(uri: &str, suites: &[&str], components: &[&str], signed_by: Option<&str>) -> Source {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let checks = signed_by.map(|value| ("Signed-By", value.to_owned())).into_iter().collect();
        Source { uris: vec![uri.to_owned()], suites: owned(suites), components: owned(components), checks }
    }

    #[test]
    fn one_line_form_is_read() {
        let text = "\
# deb http://old.test/debian bookworm main
deb-src http://mirror.test/debian bookworm main
deb http://mirror.test/debian bookworm main contrib # ours
deb [ arch=amd64,i386 signed-by=/a.gpg,/b.gpg ] https://x.test/r bookworm main
deb
deb [broken http://x.test y z
";
        let expected = [
            entry("http://mirror.test/debian", &["bookworm"], &["main", "contrib"], None),
            entry("https://x.test/r", &["bookworm"], &["main"], Some("/a.gpg /b.gpg")),
        ];
        assert_eq!(parse_list(text), expected);
    }

    #[test]
    fn deb822_form_is_read_with_comments_disabled_entries_and_keys_written_out() {
        let text = "\
Types: deb deb-src
# a comment between fields
URIs: http://mirror.test/debian
suites: bookworm bookworm-updates
Components: main
  contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abcd

Types: deb
Enabled: no
URIs: http://off.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.test/debian
Suites: bookworm
Components: main
";
        let key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd";
        let expected =
            entry("http://mirror.test/debian", &["bookworm", "bookworm-updates"], &["main", "contrib"], Some(key));
        assert_eq!(parse_deb822(text), std::slice::from_ref(&expected));
        let printed = parse_deb822(&expected.entry_for("trixie"));
        assert_eq!(printed, [Source { suites: vec!["trixie".to_owned()], ..expected }]);
    }

    #[test]
    fn main_archive_is_told_from_others_with_the_same_names() {
        let keyring = Some("/usr/share/keyrings/debian-archive-keyring.gpg");
        let other =
            entry("https://vendor.test/debian", &["bookworm"], &["main"], Some("/usr/share/keyrings/vendor.gpg"));
        let security = entry("http://mirror.test/security", &["bookworm-security"], &["main"], keyring);
        let docker = entry("https://docker.test/debian", &["bookworm"], &["stable"], None);
        let signed = entry("http://mirror.test/debian", &["bookworm"], &["main"], keyring);
        let plain = entry("http://mirror.test/debian", &["bookworm"], &["main"], None);
        let updates = entry("http://mirror.test/debian", &["bookworm-updates"], &["main"], None);
        let cdrom = entry("cdrom:[Debian]/", &["bookworm"], &["main"], None);

        let with_keyring = [other.clone(), security.clone(), docker.clone(), signed.clone()];
        assert_eq!(main_archive(&with_keyring, &bookworm()), Some(&signed));
        let old_style = [other, cdrom, plain.clone(), updates];
        assert_eq!(main_archive(&old_style, &bookworm()), Some(&plain));
        assert_eq!(main_archive(&[security, docker], &bookworm()), None);
    }
}
