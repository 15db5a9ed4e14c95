//! What people read, compared with the texts in `tests/stories/`. After a wanted change: `UPDATE_STORIES=1 cargo test -p
//! journal`, and read the difference before it is committed.

mod scenarios;

use std::collections::HashMap;
use std::path::Path;

use journal::{Boot, Outcome, Reached, Style, Terminal, Timeline};
use scenarios::*;

/// The live view, the stall that is told in the end if any, and the finished story.
fn tell(tale: &Tale, now: i64) -> String {
    let names = HashMap::from([(machine(3), "node-3".to_owned())]);
    let mut terminal = Terminal::new(Style::plain(), names);
    let mut text = String::new();
    for line in tale.events.iter().filter_map(|event| terminal.line(event)) {
        text += &line;
        text += "\n";
    }
    for stall in terminal.stalls(after_millis(now)) {
        text += &stall;
        text += "\n";
    }
    assert_eq!(terminal.stalls(after_millis(now)), Vec::<String>::new(), "a stall is told once");
    for boot in Timeline::of(&tale.events) {
        text += "\n";
        text += &terminal.block(&boot, after_millis(now));
    }
    text
}

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories").join(name).with_extension("txt");
    if std::env::var_os("UPDATE_STORIES").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{} differs", path.display());
}

fn only(tale: &Tale) -> Boot {
    let boots = Timeline::of(&tale.events);
    assert_eq!(boots.len(), 1, "{boots:#?}");
    boots.into_iter().next().unwrap()
}

#[test]
fn stories_read_as_they_should() {
    for (name, tale, now) in [
        ("bios-chain", bios_chain(), 20_000),
        ("uefi-pxe", uefi_pxe(), 40_000),
        ("uefi-http", uefi_http(), 40_000),
        ("pxelinux", pxelinux(), 70_000),
        ("loop-broken", loop_broken(), 60_000),
        ("address-in-use", address_in_use(), 3000),
        ("no-tftp", no_tftp(), 12_400),
        ("kernel-then-silence", kernel_then_silence(), 200_000),
        ("rom-ipxe-then-failure", rom_ipxe_then_failure(), 60_000),
    ] {
        compare(name, &tell(&tale, now));
    }
}

#[test]
fn boots_end_where_they_should() {
    for (tale, reached, outcome) in [
        (bios_chain(), Reached::OsUp, Outcome::Up),
        (uefi_pxe(), Reached::OsUp, Outcome::Up),
        (uefi_http(), Reached::OsUp, Outcome::Up),
        (pxelinux(), Reached::OsUp, Outcome::Up),
        (no_tftp(), Reached::Firmware, Outcome::UnderWay),
        (kernel_then_silence(), Reached::Initrd, Outcome::UnderWay),
    ] {
        let boot = only(&tale);
        assert_eq!((boot.reached, &boot.outcome), (reached, &outcome), "{:#?}", boot.lines);
    }
    assert!(matches!(only(&rom_ipxe_then_failure()).outcome, Outcome::Failed(_)));
}

#[test]
fn firmware_that_asks_again_after_loading_has_been_restarted() {
    let boots = Timeline::of(&loop_broken().events);
    let outcomes: Vec<_> = boots.iter().map(|boot| boot.outcome.clone()).collect();
    let looped = Outcome::Failed("given undionly.kpxe 3 times".to_owned());
    assert_eq!(outcomes, [Outcome::Restarted, Outcome::Restarted, looped]);
}

#[test]
fn stories_of_machines_that_boot_at_once_do_not_mix() {
    let mut events: Vec<_> = [bios_chain(), uefi_pxe(), pxelinux()].into_iter().flat_map(|tale| tale.events).collect();
    events.sort_by_key(|event| event.at);
    let together = Timeline::of(&events);
    let mut alone = [only(&bios_chain()), only(&uefi_pxe()), only(&pxelinux())];
    alone.sort_by_key(|boot| (boot.started, boot.machine));
    assert_eq!(together, alone);
}

#[test]
fn silence_is_no_stall_until_patience_ends_nor_after_the_machine_is_up() {
    assert_eq!(only(&no_tftp()).stuck(after_millis(5000)), None);
    assert!(only(&no_tftp()).stuck(after_millis(9000)).is_some());
    assert_eq!(only(&bios_chain()).stuck(after_millis(10_000_000)), None);
}
