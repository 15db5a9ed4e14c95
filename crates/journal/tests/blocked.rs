//! A terminal that takes nothing, as under `less` or after Ctrl-S, while thousands of machines boot.

use std::collections::HashMap;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use journal::{Event, Journal, Step, Style, Terminal, print_live};
use mac::Mac;

const LINES: usize = 10_000;

#[test]
fn journal_goes_on_and_its_file_is_whole_while_nobody_reads_the_terminal() {
    let path = std::env::temp_dir().join(format!("lanboot-blocked-{}.jsonl", std::process::id()));
    let journal = Journal::with_file(&path).unwrap();
    let (mut reader, writer) = io::pipe().unwrap();
    let follower = journal.follow();
    let printing = thread::spawn(move || print_live(&follower, Terminal::new(Style::plain(), HashMap::new()), writer));
    for n in 0..LINES {
        // Each is worth a line of its own: the host's.
        journal.append(None, Step::Host { action: format!("{n}: {}", "x".repeat(60)) });
    }
    // The file and the printer have dealt with all, and nobody has read a word.
    journal.flush(Duration::from_secs(60));
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().count(), LINES);
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    journal.append(Some(mac), Step::OsUp { how: "reported".to_owned(), detail: None });
    drop(journal);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    printing.join().unwrap().unwrap();
    std::fs::remove_file(&path).unwrap();
    let count =
        |line: &str| line.split_once(" lines were left out here").map(|(count, _)| count.parse::<usize>().unwrap());
    let left_out: usize = text.lines().filter_map(count).sum();
    let shown = text.lines().filter(|line| line.contains("  host      ")).count();
    assert!(left_out > 0, "all of it fitted into the pipe");
    assert_eq!(shown + left_out, LINES + usize::from(!text.contains("os up")));
    assert!(written.lines().all(|line| serde_json::from_str::<Event>(line).is_ok()));
}
