//! `lanboot story`: what machines did, from the journal's file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use config::Diagnostics;
use jiff::Timestamp;
use journal::{Boot, Event, Outcome as End, Style, Terminal, Timeline};
use mac::Mac;

use crate::args::Story;
use crate::{Outcome, problem};

pub fn story(args: &Story) -> Outcome {
    let path = args.state.folder()?.join("journal.jsonl");
    let wanted =
        |event: &Event| event.machine.is_some_and(|mac| args.machines.is_empty() || args.machines.contains(&mac));
    let (mut events, mut unreadable) = (Vec::new(), 0);
    // The file that was set aside is older.
    for file in [path.with_extension("jsonl.1"), path.clone()] {
        read(&file, |event| match event {
            Some(event) if wanted(&event) => events.push(event),
            Some(_) => {}
            None => unreadable += 1,
        })?;
    }
    if unreadable > 0 {
        eprintln!("{unreadable} lines of {} are no events and were passed over", path.display());
    }
    let now = Timestamp::now();
    let style = Style::detect(&io::stdout());
    let terminal = Terminal::new(style, HashMap::new());
    let boots = chosen(Timeline::of(&events), args.stuck, now);
    if boots.is_empty() {
        println!("no such boot in {}", path.display());
        return Ok(ExitCode::FAILURE);
    }
    let mut out = io::BufWriter::new(io::stdout());
    for (at, boot) in boots.iter().enumerate() {
        let space = if at > 0 { "\n" } else { "" };
        // A closed pipe wants no more.
        if write!(out, "{space}{}", terminal.block(boot, now)).is_err() {
            break;
        }
    }
    let _ = out.flush();
    Ok(ExitCode::SUCCESS)
}

/// All boots, or of each machine the last, where that one got stuck or failed.
fn chosen(boots: Vec<Boot>, stuck: bool, now: Timestamp) -> Vec<Boot> {
    if !stuck {
        return boots;
    }
    // In order of time: the last of each machine stays.
    let last: HashMap<Mac, Timestamp> = boots.iter().map(|boot| (boot.machine, boot.started)).collect();
    let is_last = |boot: &Boot| last.get(&boot.machine) == Some(&boot.started);
    let is_troubled = |boot: &Boot| matches!(boot.outcome, End::Failed(_)) || boot.stuck(now).is_some();
    boots.into_iter().filter(|boot| is_last(boot) && is_troubled(boot)).collect()
}

/// Each line of the file as an event, `None` for a line that is none. A file that is not there has no lines.
fn read(path: &Path, mut each: impl FnMut(Option<Event>)) -> Result<(), Diagnostics> {
    let told = |error: io::Error| problem::of(format!("cannot read the journal {}: {error}", path.display()));
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(told)?,
    };
    for line in BufReader::new(file).lines() {
        each(serde_json::from_str(&line.map_err(told)?).ok());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn story_is_that_of_the_machines_that_are_named_and_goes_back_to_the_file_before() {
        let folder = std::env::temp_dir().join(format!("lanboot-story-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let discover = |minute: u32, machine: u32| {
            format!(
                r#"{{"at":"2026-01-01T12:{minute:02}:00Z","machine":"52:54:00:00:00:0{machine}","step":"dhcp-discover","stage":"pxe"}}"#
            )
        };
        std::fs::write(folder.join("journal.jsonl.1"), discover(0, 1) + "\n").unwrap();
        std::fs::write(folder.join("journal.jsonl"), discover(20, 1) + "\nno event\n" + &discover(30, 2) + "\n")
            .unwrap();
        let (mut events, mut unreadable) = (Vec::new(), 0);
        for name in ["journal.jsonl.1", "journal.jsonl", "journal.none"] {
            read(&folder.join(name), |event| match event {
                Some(event) => events.push(event),
                None => unreadable += 1,
            })
            .unwrap();
        }
        let state = folder.to_str().unwrap();
        let cli = crate::args::Cli::parse_from(["lanboot", "story", "--state", state, "52:54:00:00:00:02"]);
        let crate::args::Command::Story(args) = cli.command else { panic!("another command") };
        assert_eq!(story(&args).unwrap(), ExitCode::SUCCESS);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((events.len(), unreadable), (3, 1));
        let boots = Timeline::of(&events);
        let now = "2026-01-01T13:00:00Z".parse().unwrap();
        assert_eq!(boots.len(), 3);
        // The first of the two is over: its machine asked anew.
        assert_eq!(chosen(boots, true, now).iter().map(|boot| boot.machine.0[5]).collect::<Vec<_>>(), [1, 2]);
    }
}
