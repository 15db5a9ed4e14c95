//! What people read, compared with the texts in `tests/stories/`. After a wanted change: `UPDATE_STORIES=1 cargo test -p
//! journal`, and read the difference before it is committed.

mod scenarios;

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use journal::{
    Boot, Event, Outcome, Protocol, Reached, Role, Size, Stage, Step, Style, Terminal, Timeline, Tone, Unresolved,
};
use scenarios::*;

/// The live view, what is due in the end, and the finished story.
fn tell(tale: &Tale, now: i64) -> String {
    let names = HashMap::from([(machine(3), "node-3".to_owned())]);
    let mut terminal = Terminal::new(Style::plain(), names);
    let mut lines: Vec<String> = tale.events.iter().filter_map(|event| terminal.line(event)).collect();
    lines.extend(terminal.due(after_millis(now)));
    assert_eq!(terminal.due(after_millis(now)), Vec::<String>::new(), "what is due is told once");
    story(&terminal, lines, &tale.events, after_millis(now))
}

/// The same for what real machines did, by the clock.
fn tell_recorded(name: &str) -> String {
    let events = recorded(name);
    let mut terminal = Terminal::new(Style::plain(), names(&events));
    let lines = live(&mut terminal, &events);
    story(&terminal, lines, &events, events.last().unwrap().at)
}

fn story(terminal: &Terminal, live: Vec<String>, events: &[Event], now: Timestamp) -> String {
    let mut text: String = live.into_iter().map(|line| line + "\n").collect();
    for boot in Timeline::of(events) {
        text += "\n";
        text += &terminal.block(&boot, now);
    }
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(110), "{longest:?} columns\n{text}");
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
        ("no-tftp", no_tftp(), 16_400),
        ("kernel-then-silence", kernel_then_silence(), 200_000),
        ("rom-ipxe-then-failure", rom_ipxe_then_failure(), 60_000),
        ("no-mirror", no_mirror(), 50_000),
        ("mistyped-mirror", mistyped_mirror(), 90_000),
        ("names-with-small-trouble", names_with_small_trouble(), 200_000),
    ] {
        compare(name, &tell(&tale, now));
    }
}

#[test]
fn stories_of_real_machines_read_as_they_should() {
    for name in ["debian-installer", "uefi-http-lab", "eight-at-once"] {
        compare(name, &tell_recorded(name));
    }
}

#[test]
fn eight_slow_machines_are_not_stuck_at_any_time() {
    let events = recorded("eight-at-once");
    let shown = live(&mut Terminal::new(Style::plain(), names(&events)), &events);
    assert_eq!(shown.iter().filter(|line| line.contains("  stuck  ")).count(), 0, "{shown:#?}");
    assert_eq!(shown.iter().filter(|line| line.contains("  verdict ")).count(), 8, "{shown:#?}");
}

#[test]
fn only_a_missing_file_that_the_boot_needs_is_loud() {
    let named = |file: &str| Tale::new(1).discover(0, Stage::Pxe, "bios", None).ack(100, Stage::Pxe, file);
    let script = format!("http://10.0.1.1/{}", "boot/a.ipxe");
    for (tale, missing, tone) in [
        (named("undionly.kpxe"), "undionly.kpxe", Tone::Bad),
        (named("undionly.kpxe"), "/undionly.kpxe", Tone::Bad),
        (named(&script), "boot/a.ipxe", Tone::Bad),
        (named("other-undionly.kpxe"), "undionly.kpxe", Tone::Quiet),
        (named("pxelinux.0"), "debian/vmlinuz-6.1", Tone::Bad),
        (named("pxelinux.0"), "debian/linux", Tone::Bad),
        (named("pxelinux.0"), "initrd.img", Tone::Bad),
        (named("pxelinux.0"), "pxelinux.cfg/default", Tone::Quiet),
        (named("snponly.efi"), "autoexec.ipxe", Tone::Quiet),
    ] {
        let boot = only(&tale.missing(200, missing));
        let line = boot.lines.last().unwrap();
        assert_eq!(line.tone, tone, "{}", line.text);
        assert!(line.text.contains(missing), "{}", line.text);
    }
}

#[test]
fn few_files_are_shown_and_more_are_counted_when_the_run_ends_or_rests() {
    let shown = |tale: &Tale, now: i64| {
        let mut terminal = Terminal::new(Style::plain(), HashMap::new());
        let mut lines: Vec<String> = tale.events.iter().filter_map(|event| terminal.line(event)).skip(1).collect();
        lines.extend(terminal.due(after_millis(now)));
        lines.iter().flat_map(|lines| lines.lines()).map(|line| line[49..].to_owned()).collect::<Vec<_>>()
    };
    let begun = || Tale::new(1).discover(0, Stage::Pxe, "bios", None);
    let one = || begun().tftp(100, "a.c32", Role::Other, 300, 1);
    let two = || one().missing(200, "b.c32");
    let three = || two().tftp(300, "dir/c.c32", Role::Other, 500, 1);
    let counted = "2 files (a.c32 to c.c32), 800 B; 1 name not there";
    assert_eq!(shown(&three(), 1200), ["a.c32  300 B"]);
    assert_eq!(shown(&three(), 1300), ["a.c32  300 B", counted]);
    assert_eq!(shown(&two(), 1300), ["a.c32  300 B", "b.c32 is not there"]);
    assert_eq!(shown(&one(), 1300), ["a.c32  300 B"]);
    assert_eq!(
        shown(&three().tftp(400, "linux", Role::Kernel, 2000, 1), 1300),
        ["a.c32  300 B", counted, "kernel linux  2.0 kB"]
    );
    let large = three().tftp(400, "root.squashfs", Role::Other, 90_000_000, 9000);
    assert_eq!(shown(&large, 1300), ["a.c32  300 B", counted, "root.squashfs  90 MB in 9.0 s (10 MB/s)"]);
    let lines = only(&large).lines;
    let texts: Vec<&str> = lines[1..].iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, [counted, "root.squashfs  90 MB in 9.0 s (10 MB/s)"]);
}

#[test]
fn two_signs_of_a_running_system_are_one_line_of_the_story() {
    let asked = Step::OsUp { how: "dhcp".to_owned(), detail: None };
    let tale = bios_chain().step(18_400, asked.clone()).step(18_500, asked);
    let mut terminal = Terminal::new(Style::plain(), HashMap::new());
    let shown: Vec<String> = tale.events.iter().filter_map(|event| terminal.line(event)).collect();
    let up: Vec<&str> = shown.iter().filter_map(|line| line.split_once("  os up     ")).map(|(_, text)| text).collect();
    assert_eq!(up, ["ok, reported: Linux 6.1.0-37-amd64", "it asked for an address"]);
    let boot = only(&tale);
    let up: Vec<_> = boot.lines.iter().filter(|line| line.topic == "os up").collect();
    assert_eq!(up.len(), 1);
    assert_eq!(up[0].text, "reported: Linux 6.1.0-37-amd64; it asked for an address");
}

#[test]
fn end_of_a_machine_is_told_unless_it_was_judged() {
    let stopped = Step::VmStopped { name: "vm".to_owned(), because: "QEMU was killed".to_owned() };
    let verdict = Step::Verdict { name: "vm".to_owned(), passed: false, because: "too slow".to_owned() };
    let ends = |tale: &Tale| only(tale).lines.iter().filter(|line| line.text.starts_with("stopped")).count();
    assert_eq!(ends(&bios_chain().step(20_000, stopped.clone())), 1);
    assert_eq!(ends(&bios_chain().step(20_000, verdict).step(20_100, stopped)), 0);
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
    assert_eq!(only(&no_tftp()).stuck(after_millis(15_000)), None);
    assert!(only(&no_tftp()).stuck(after_millis(16_000)).is_some());
    assert_eq!(only(&bios_chain()).stuck(after_millis(10_000_000)), None);
}

#[test]
fn each_place_to_stop_has_its_own_words() {
    let asked = |number| Tale::new(number).discover(0, Stage::Pxe, "uefi-x64", None);
    let acked = |file| asked(1).offer(100, file).ack(200, Stage::Pxe, file);
    let loaded = |file| acked(file).tftp(300, file, Role::Loader, 100_000, 50);
    let ipxe = |file| loaded("snponly.efi").discover(2000, Stage::Ipxe, "uefi-x64", None).ack(2100, Stage::Ipxe, file);
    let refused = Step::DhcpIgnored { because: "every address is taken".to_owned() };
    let runs = Step::Console { line: "[    0.000000] Linux version 6.1.0".to_owned() };
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
        (ipxe("x").http(2200, "initrd", Role::Initrd, 300, 1), "kernel and initrd sent 200 s ago"),
        (
            loaded("grubx64.efi").tftp(2000, "grub.cfg", Role::Other, 300, 1),
            "fetched grub.cfg 200 s ago, but no kernel yet",
        ),
        (loaded("grubx64.efi").missing(2000, "grub.cfg"), "asked for grub.cfg 200 s ago, which is not there, and for"),
        (ipxe("x").http(2200, "vmlinuz", Role::Kernel, 300, 1).step(3000, runs), "its kernel started 200 s ago"),
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
fn look_up_that_failed_is_what_stopped_the_boot_until_it_goes_on() {
    let begun = |why| {
        Tale::new(1).discover(0, Stage::Ipxe, "bios", None).ack(200, Stage::Ipxe, "x").system(1000).failed(
            12_000,
            "deb.example",
            "A",
            why,
        )
    };
    let refused = Unresolved::Refused { code: "REFUSED".to_owned(), by: None };
    let plain = || Unresolved::NoSuchName { by: None };
    let reported = Step::Report { what: "progress".to_owned(), text: "half".to_owned() };
    for (tale, words) in [
        (
            begun(no_answer()),
            Some(
                "asked for the mirror deb.example 200 s ago: no upstream server answered (192.0.2.1 silent, 192.0.2.2 unreachable); nothing heard since",
            ),
        ),
        (begun(Unresolved::NoServer), Some("no upstream server is configured")),
        (begun(refused), Some("we said REFUSED")),
        (begun(no_such_name()), Some("no such name, says 192.0.2.1")),
        (begun(plain()).failed(12_100, "box", "A", plain()), Some("asked for box 200 s ago: a name without a domain")),
        // What its own domain has is found without upstream servers.
        (begun(no_answer()).found(13_000, "ntp.lan", true), Some("asked for the mirror deb.example 200 s ago")),
        (begun(no_answer()).found(13_000, "ntp.example", false), None),
        (begun(no_answer()).found(13_000, "deb.example", false), None),
        (begun(no_such_name()).found(13_000, "ntp.lan", true), None),
        (begun(no_answer()).http(13_000, "preseed.cfg", Role::Other, 300, 1), None),
        (begun(no_answer()).step(13_000, reported), None),
        (begun(no_answer()).up(13_000), None),
    ] {
        let boot = only(&tale);
        let at = boot.last;
        let stuck = |secs: i64| boot.stuck(at + jiff::SignedDuration::from_secs(secs));
        let said = stuck(200).map(|stuck| stuck.what.replace("3 min 20 s", "200 s").replace("3 min 21 s", "200 s"));
        assert_eq!(said.as_deref().map(|said| said.contains(words.unwrap_or("?"))), words.map(|_| true), "{said:?}");
        assert_eq!(stuck(29), None);
        assert!(stuck(200).is_none_or(|stuck| !stuck.causes.is_empty()));
    }
    // In the firmware or a loader nothing is known to be a mirror.
    let early = Tale::new(1).discover(0, Stage::Ipxe, "bios", None).ack(200, Stage::Ipxe, "x");
    let early = only(&early.failed(300, "deb.example", "A", no_answer()));
    let stuck = early.stuck(early.last + jiff::SignedDuration::from_secs(31)).unwrap();
    assert!(stuck.what.starts_with("looked up deb.example 31 s ago: no upstream"), "{}", stuck.what);
}

#[test]
fn names_found_in_a_row_are_one_line_and_counted_when_many() {
    let begun = || Tale::new(1).discover(0, Stage::Pxe, "bios", None);
    let text = |count: i64| {
        let tale = (0..count).fold(begun(), |tale, n| tale.found(n * 10, &format!("n{n}.example"), false));
        // IPv6 follows IPv4, and says nothing new.
        only(&tale.found(9000, "n0.example", false)).lines.last().unwrap().text.clone()
    };
    assert_eq!(text(1), "n0.example is 192.0.2.80");
    assert_eq!(text(3), "found n0.example, n1.example, n2.example");
    assert_eq!(text(12), "found 12 names (n0.example to n11.example)");
    let between = only(&begun().found(10, "a", false).tftp(20, "x.efi", Role::Loader, 99, 1).found(30, "b", false));
    assert_eq!(between.lines.len(), 4);
}

/// What a terminal shows of these events, looked at every second: lines that stay, and the frames at these seconds.
fn watch(style: Style, size: Size, events: &[Event], seconds: std::ops::Range<i64>, frames_at: &[i64]) -> Vec<String> {
    let mut terminal = Terminal::new(style, HashMap::new());
    let (mut lines, mut events) = (Vec::new(), events.iter().peekable());
    for second in seconds {
        let now = after_millis(second * 1000);
        while let Some(event) = events.next_if(|event| event.at <= now) {
            lines.extend(terminal.line(event));
        }
        lines.extend(terminal.due(now));
        let frame = terminal.frame(now, size);
        assert!(frame.len() < size.rows && frame.iter().all(|line| line.chars().count() < size.columns), "{frame:#?}");
        if frames_at.contains(&second) {
            lines.push(format!("\n[in place, {second} s after the power returned]"));
            lines.extend(frame);
        }
    }
    lines
}

const WIDE: Size = Size { columns: 100, rows: 40 };

#[test]
fn a_storm_of_five_thousand_machines_reads_as_it_should() {
    let events = storm(5000);
    let logged = watch(Style::plain(), WIDE, &events, 0..160, &[]);
    let lines: usize = logged.iter().map(|line| line.lines().count()).sum();
    assert!(lines < 160, "{lines} lines");
    assert!(logged.iter().flat_map(|line| line.lines()).all(|line| line.chars().count() <= 110));
    compare("storm-in-a-log", &(logged.join("\n") + "\n"));
    let style = Style { unicode: true, in_place: true, width: 100, ..Style::plain() };
    compare("storm-in-place", &(watch(style, WIDE, &events, 0..160, &[3, 8, 20, 45]).join("\n") + "\n"));
}

#[test]
fn frames_fit_the_smallest_terminal() {
    let style = Style { in_place: true, ..Style::plain() };
    for (columns, rows) in [(20, 5), (40, 10), (80, 24), (1, 1)] {
        watch(style.clone(), Size { columns, rows }, &storm(500), 0..50, &[]);
    }
}

#[test]
fn a_machine_that_goes_on_after_all_is_no_longer_stuck_and_single_lines_return_when_it_is_calm() {
    let mut events = storm(300);
    // One of those that fetched nothing does so late.
    events.extend(Tale::new(1).number(7).tftp(40_000, "undionly.kpxe", Role::Loader, 74_213, 10).events);
    events.extend(
        bios_chain()
            .events
            .into_iter()
            .map(|event| Event { at: event.at + jiff::SignedDuration::from_secs(300), ..event }),
    );
    events.sort_by_key(|event| event.at);
    let style = Style { in_place: true, width: 100, ..Style::plain() };
    let shown = watch(style, WIDE, &events, 0..400, &[39, 41]).join("\n");
    assert!(shown.contains("  stuck            3") && shown.contains("  stuck            2"), "{shown}");
    assert!(shown.ends_with("ok, reported: Linux 6.1.0-37-amd64"), "{shown}");
    assert_eq!(
        shown.lines().filter(|line| line.contains("iPXE asks") || line.contains("UNDI 2.1")).count(),
        21,
        "{shown}"
    );
}

#[test]
fn five_thousand_machines_without_upstream_servers_fill_no_terminal() {
    let mut events: Vec<Event> = (0..5000)
        .flat_map(|n| no_mirror().number(n).failed(17_002, &format!("node-{n}.example"), "A", no_answer()).events)
        .collect();
    events.sort_by_key(|event| event.at);
    let shown = watch(Style::plain(), WIDE, &events, 0..300, &[]);
    let lines: usize = shown.iter().map(|line| line.lines().count()).sum();
    assert!(lines < 100, "{lines} lines\n{}", shown.join("\n"));
    let flat = shown.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("stuck 4997 machines more, for the same reason ("), "{}", shown.join("\n"));
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
