//! What people read, compared with the texts in `tests/stories/`. After a wanted change: `UPDATE_STORIES=1 cargo test -p
//! journal`, and read the difference before it is committed.

mod scenarios;

use std::collections::HashMap;
use std::path::Path;

use journal::{Boot, Outcome, Protocol, Reached, Role, Stage, Step, Style, Terminal, Timeline};
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

#[test]
fn each_place_to_stop_has_its_own_words() {
    let asked = |number| Tale::new(number).discover(0, Stage::Pxe, "uefi-x64", None);
    let acked = |file| asked(1).offer(100, file).ack(200, Stage::Pxe, file);
    let loaded = |file| acked(file).tftp(300, file, Role::Loader, 100_000, 50);
    let ipxe = |file| loaded("snponly.efi").discover(2000, Stage::Ipxe, "uefi-x64", None).ack(2100, Stage::Ipxe, file);
    let refused = Step::DhcpIgnored { because: "every address is taken".to_owned() };
    let started = Step::VmStarted { name: "vm".to_owned(), firmware: "bios".to_owned(), pid: 1 };
    let probed = Step::SizeProbe { protocol: Protocol::Tftp, file: "big.efi".to_owned(), octets: 9_000_000 };
    for (tale, words) in [
        (Tale::new(1).step(0, started), "has not asked for an address"),
        (asked(1), "got no answer"),
        (asked(1).step(10, refused), "got no answer: every address is taken"),
        (asked(1).offer(100, "snponly.efi"), "was offered 10.0.1.200"),
        (acked("snponly.efi"), "with snponly.efi 200 s ago, but no TFTP request came"),
        (acked("http://10.0.1.1/ipxe.efi"), "but no HTTP request came"),
        (acked(""), "but no boot file"),
        (acked("big.efi").step(300, probed), "never fetched it"),
        (acked("x.efi").missing(300, "x.efi"), "asked for x.efi 200 s ago, which is not there"),
        (loaded("snponly.efi"), "but iPXE never asked for an address"),
        (loaded("grubx64.efi"), "fetched grubx64.efi 200 s ago and nothing after it"),
        (ipxe("http://10.0.1.1/a.ipxe"), "with http://10.0.1.1/a.ipxe 200 s ago, but no HTTP request came"),
        (ipxe(""), "iPXE was given 10.0.1.200 200 s ago, but nothing to boot"),
        (ipxe("x").http(2200, "a.ipxe", Role::Script, 300, 1), "fetched a.ipxe 200 s ago, but no kernel"),
        (ipxe("x").http(2200, "vmlinuz", Role::Kernel, 300, 1), "kernel sent 200 s ago"),
    ] {
        let boot = only(&tale);
        let now = boot.last + jiff::SignedDuration::from_secs(200);
        // 200 s read as minutes would only obscure the table above.
        let stuck = boot.stuck(now).unwrap_or_else(|| panic!("not stuck: {words}"));
        assert!(stuck.what.replace("3 min 20 s", "200 s").contains(words), "{} / {words}", stuck.what);
        assert!(!stuck.causes.is_empty());
    }
}

#[test]
fn colour_is_only_added_to_the_plain_text() {
    let plain = Style { unicode: true, ..Style::plain() };
    let mut coloured = Terminal::new(Style { colour: true, ..plain.clone() }, HashMap::new());
    let mut plain = Terminal::new(plain, HashMap::new());
    for event in rom_ipxe_then_failure().events {
        let (Some(with), Some(without)) = (coloured.line(&event), plain.line(&event)) else { continue };
        let mut stripped = String::new();
        for (n, part) in with.split('\u{1b}').enumerate() {
            stripped += if n == 0 { part } else { part.split_once('m').unwrap().1 };
        }
        assert!(with.contains('\u{1b}') && !without.contains('\u{1b}'));
        assert_eq!(stripped, without);
    }
}

#[test]
fn device_that_never_boots_from_us_is_not_shown_again_and_again() {
    let ignored = Step::DhcpIgnored { because: "every address is taken".to_owned() };
    let mut tale = Tale::new(9);
    for second in 0..100 {
        tale = tale.step(second * 1000, ignored.clone());
    }
    let mut terminal = Terminal::new(Style::plain(), HashMap::new());
    let shown: Vec<String> = tale.events.iter().filter_map(|event| terminal.line(event)).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("00:00:00  52:54:00:00:00:09            ignored   every address"), "{shown:?}");
    assert_eq!(Timeline::of(&tale.events), []);
}
