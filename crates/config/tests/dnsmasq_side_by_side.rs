//! The same text to dnsmasq's `--test` and to ours: they take and refuse the same, but for the listed differences.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use config::dnsmasq::{Dialect, Disk};

const DNSMASQ: &str = "/usr/sbin/dnsmasq";

/// A folder that vanishes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("lanboot-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The exit codes of dnsmasq (`None`: a signal ended it) and of ours, and what each says.
fn both(args: &[OsString], folder: &Path) -> ((Option<i32>, String), (Option<i32>, String)) {
    // It takes letters beyond ASCII as the locale has them; we always read UTF-8.
    let theirs = Command::new(DNSMASQ).env("LC_ALL", "C.UTF-8").args(args).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&theirs.stderr).into_owned();
    let ours = match Dialect::read(args, &Disk) {
        Ok(_) => (Some(0), String::new()),
        Err(refusal) => (Some(refusal.exit_code.into()), refusal.diagnostics.to_string()),
    };
    ((theirs.status.code(), text), ours)
}

/// Both judge the snippet, a line of a list, in which `\n`, `\t`, `\r`, `\0` and `\\` stand for themselves.
fn judge(snippet: &str, folder: &Path) -> ((Option<i32>, String), (Option<i32>, String)) {
    let escapes = [("\\\\", "\u{1}"), ("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ("\\0", "\0"), ("\u{1}", "\\")];
    let text = escapes.iter().fold(snippet.to_owned(), |text, (escape, meant)| text.replace(escape, meant));
    let file = folder.join("snippet.conf");
    fs::write(&file, text + "\n").unwrap();
    both(&["--test".into(), "-C".into(), file.into()], folder)
}

fn is_installed() -> bool {
    let installed = Path::new(DNSMASQ).exists();
    if !installed {
        eprintln!("SKIPPED: {DNSMASQ} is not installed, so nothing was compared");
    }
    installed
}

#[test]
fn snippets_are_judged_as_dnsmasq_judges_them() {
    if !is_installed() {
        return;
    }
    let folder = Folder::new("same");
    let mut wrong = Vec::new();
    let snippets = include_str!("dnsmasq/same.txt");
    for snippet in snippets.lines() {
        let (theirs, ours) = judge(snippet, &folder.0);
        if theirs.0 != ours.0 {
            wrong.push(format!("{snippet}\n  dnsmasq {theirs:?}\n  lanboot {ours:?}"));
        }
    }
    assert!(snippets.lines().count() > 60);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The list of differences is complete by the test above, and true by this one.
#[test]
fn each_listed_difference_is_one_and_has_its_reason() {
    if !is_installed() {
        return;
    }
    let folder = Folder::new("different");
    for line in include_str!("dnsmasq/different.txt").lines() {
        let (snippet, reason) = line.split_once(" => ").expect("a snippet and why we differ");
        assert!(!reason.is_empty(), "{snippet}");
        let (theirs, ours) = judge(snippet, &folder.0);
        assert_ne!(theirs.0, ours.0, "{snippet}: no difference any more\n{theirs:?}\n{ours:?}");
    }
}

/// What the command lines of the list name.
const FILES: &[(&str, &str)] = &[
    ("empty", ""),
    ("portzero", "port=0\n"),
    ("alsozero", "port=0\n"),
    ("loop", "conf-file=@loop\nport=0\n"),
    ("nested", "conf-dir=@folder,*.conf\nport=0\n"),
    ("folder/good.conf", "no-ping\n"),
    ("folder/zero.conf", "port=0\n"),
    ("folder/old", "no-ping\n"),
    ("folder/junk.old", "junk\n"),
    ("folder/junk.bad", "junk\n"),
    ("folder/junk~", "junk\n"),
    ("folder/.junk", "junk\n"),
    ("folder/#junk#", "junk\n"),
    ("folder/below/junk", "junk\n"),
    ("libvirt", include_str!("dnsmasq/libvirt.conf")),
];

/// Among the lines are the guide's, libvirt's, and that of lxc-net (lxc/lxc: config/init/common/lxc-net.in).
#[test]
fn command_lines_are_judged_as_dnsmasq_judges_them() {
    if !is_installed() {
        return;
    }
    let folder = Folder::new("command-lines");
    for (name, text) in FILES {
        let path = folder.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace('@', &format!("{}/", folder.0.display()))).unwrap();
    }
    // `@` is the folder, `&` a space inside a word, `''` an empty word.
    let at = format!("{}/", folder.0.display());
    let meant = |word: &str| word.replace("''", "").replace('@', &at).replace('&', " ");
    let mut wrong = Vec::new();
    for line in include_str!("dnsmasq/command_lines.txt").lines() {
        let args: Vec<OsString> =
            std::iter::once("--test".into()).chain(line.split_whitespace().map(|word| meant(word).into())).collect();
        let (theirs, ours) = both(&args, &folder.0);
        if theirs.0 != ours.0 {
            wrong.push(format!("{line}\n  dnsmasq {theirs:?}\n  lanboot {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
