//! What users read when they are mistaken, to the letter: tests/mistakes/*.txt hold each mistake and its text.
//!
//! A case is `## name`, perhaps `$ flags`, the file, `->`, and what lanboot says. After a change of wording, write the
//! new texts with `BLESS=1 cargo test -p config --test mistakes` and read the difference.

mod world;

use std::fs;
use std::path::PathBuf;

struct Case<'a> {
    name: &'a str,
    flags: &'a str,
    file: String,
    expected: String,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    text.split("## ").skip(1).map(case).collect()
}

fn case(text: &str) -> Case<'_> {
    let (name, rest) = text.split_once('\n').expect("a name on a line");
    let (flags, rest) = match rest.strip_prefix("$ ") {
        Some(rest) => rest.split_once('\n').expect("flags on a line"),
        None => ("", rest),
    };
    let (file, expected) = rest.split_once("->\n").unwrap_or_else(|| panic!("{name}: no line `->`"));
    Case { name, flags, file: file.to_owned(), expected: expected.trim_end().to_owned() }
}

/// What is said, warnings of a good configuration included.
fn said(case: &Case<'_>) -> String {
    match world::load(case.flags, &case.file) {
        Ok(loaded) if loaded.warnings.is_empty() => "nothing".to_owned(),
        Ok(loaded) => loaded.warnings.to_string(),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// An excerpt has spaces at some line ends that an editor would take away.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn check(file_name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes").join(file_name);
    let text = fs::read_to_string(&path).unwrap();
    let cases = cases(&text);
    assert!(!cases.is_empty());
    if std::env::var_os("BLESS").is_some() {
        let blessed: Vec<_> = cases.iter().map(write).collect();
        fs::write(path, blessed.join("\n")).unwrap();
        return;
    }
    for case in cases {
        assert_eq!(trimmed(&said(&case)), case.expected, "{}", case.name);
    }
}

fn write(case: &Case<'_>) -> String {
    let flags = if case.flags.is_empty() { String::new() } else { format!("$ {}\n", case.flags) };
    format!("## {}\n{flags}{}->\n{}\n", case.name, case.file, trimmed(&said(case)))
}

#[test]
fn in_the_file() {
    check("file.txt");
}

#[test]
fn about_the_network() {
    check("network.txt");
}

#[test]
fn about_addresses() {
    check("dhcp.txt");
}

#[test]
fn about_what_is_booted() {
    check("boot.txt");
}

#[test]
fn about_names() {
    check("dns.txt");
}

#[test]
fn in_flags() {
    check("flags.txt");
}
