//! docs/dnsmasq.md says what the table of options says, and the table has what dnsmasq has.
//!
//! The tables of the page are printed: `BLESS=1 cargo test -p config --test dnsmasq_docs` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use config::dnsmasq::table::{self, Family, ROWS};

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/dnsmasq.md")
}

/// All that is printed, between the marks.
fn printed() -> String {
    let mut text = String::new();
    for family in Family::ALL {
        text.push_str(&format!("\n## {}\n\n{}", family.title(), table::markdown(family)));
    }
    text.push_str("\n## Where the two judge differently\n\n| Line | Why |\n|---|---|\n");
    for line in include_str!("dnsmasq/different.txt").lines() {
        let (snippet, reason) = line.split_once(" => ").expect("a snippet and why we differ");
        text.push_str(&format!("| `{snippet}` | {reason} |\n"));
    }
    text
}

#[test]
fn the_page_is_printed_from_the_table() {
    let text = fs::read_to_string(page()).unwrap();
    let mark = "<!-- printed -->\n";
    let (before, _) = text.split_once(mark).expect("the page has its mark");
    let expected = format!("{before}{mark}{}", printed());
    if std::env::var_os("BLESS").is_some() {
        fs::write(page(), expected).unwrap();
        return;
    }
    assert!(
        text == expected,
        "docs/dnsmasq.md is not what the table says: run with BLESS=1 and look at the difference"
    );
}

/// The long names of `--help`, each with its letter.
fn listed_by_dnsmasq(help: &str) -> BTreeMap<String, Option<char>> {
    let lines = help.lines().filter_map(|line| line.split_once("--").map(|(before, rest)| (before.trim(), rest)));
    let options = lines.filter(|(before, _)| before.is_empty() || before.starts_with('-'));
    let name = |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap().to_owned();
    options.map(|(before, rest)| (name(rest), before.chars().nth(1))).collect()
}

#[test]
fn the_table_has_every_option_that_dnsmasq_lists_and_its_letter() {
    let dnsmasq = Path::new("/usr/sbin/dnsmasq");
    if !dnsmasq.exists() {
        eprintln!("SKIPPED: {} is not installed, so nothing was compared", dnsmasq.display());
        return;
    }
    let help = Command::new(dnsmasq).arg("--help").output().unwrap();
    let theirs = listed_by_dnsmasq(&String::from_utf8(help.stdout).unwrap());
    assert!(theirs.len() > 180, "{theirs:?}");
    let ours = ROWS.iter().filter(|row| row.family != Family::Http);
    let ours: BTreeMap<_, _> = ours.map(|row| (row.name.to_owned(), row.letter)).collect();
    assert_eq!(ours, theirs);
}

/// Each option wants a value, may have one, or has none, as dnsmasq has it: in a file, and behind one dash.
#[test]
fn values_are_wanted_where_dnsmasq_wants_them() {
    let dnsmasq = Path::new("/usr/sbin/dnsmasq");
    if !dnsmasq.exists() {
        eprintln!("SKIPPED: {} is not installed, so nothing was compared", dnsmasq.display());
        return;
    }
    let says = |args: &[&str]| {
        let output = Command::new(dnsmasq).arg("--test").args(args).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let file = std::env::temp_dir().join(format!("lanboot-values-{}", std::process::id()));
    let in_file = |line: String| {
        fs::write(&file, line).unwrap();
        says(&["-C", file.to_str().unwrap()])
    };
    for row in ROWS.iter().filter(|row| row.family != Family::Http) {
        let name = row.name;
        let theirs = if in_file(format!("{name}\n")).contains("missing parameter") {
            "required"
        } else if in_file(format!("{name}=x\n")).contains("extraneous parameter") {
            "none"
        } else {
            "optional"
        };
        let word = |argument| match argument {
            table::Argument::None => "none",
            table::Argument::Required(_) => "required",
            table::Argument::Optional(_) => "optional",
        };
        assert_eq!(word(row.argument), theirs, "{name}");
        if let Some(letter) = row.letter.filter(|letter| !"vw".contains(*letter)) {
            let alone = says(&["-C", "/dev/null", &format!("-{letter}")]).contains("try --help");
            assert_eq!(word(row.short_takes()) == "required", alone, "-{letter}");
        }
    }
    fs::remove_file(file).unwrap();
}

#[test]
fn help_shows_what_is_taken() {
    let help = table::help();
    assert!(help.contains("-F, --dhcp-range=") && help.contains("--http-root=FOLDER"));
    assert!(help.contains("--strict-order") && help.contains("changes nothing here"));
    assert!(!help.contains("--dnssec ") && !help.contains("--enable-ra"));
}
