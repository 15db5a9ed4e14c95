//! Decides from the journal and the console whether a machine has booted.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use journal::{Event, Step, Timeline};
use regex::Regex;

use crate::console::{Console, Sign};

/// How long an operating system that never reports may run without a panic before that counts as up.
const QUIET_KERNEL: Duration = Duration::from_secs(60);
/// Between the sign of a failure and the verdict: what belongs to it is still on its way to us, and so may a success be.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a system that has merely asked for an address is given to report, or to panic for want of a root.
const TIME_TO_REPORT: Duration = Duration::from_secs(3);

/// Whether a machine has booted, and how that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub passed: bool,
    pub because: String,
}

/// Gathers what is seen of one machine.
///
/// It passes when its console shows what is expected. When nothing is expected: when the journal says that its operating
/// system is up, three seconds later if that was told by a mere request for an address; or, when that never comes, once a
/// Linux kernel has run for a minute, or till the deadline.
///
/// It fails at the deadline, and a second after a kernel panic, a firmware that finds nothing to boot, iPXE's own report of
/// failure, a broken loop of loaders, or the machine's end, unless it passes in that second. When nothing is expected, the
/// firmware's first network boot that failed counts as well.
pub struct Judge {
    expect: Option<Regex>,
    started: Instant,
    deadline: Instant,
    kernel_since: Option<Instant>,
    complaint: Option<String>,
    /// From when on it counts, and how it was seen.
    success: Option<(Instant, String)>,
    failure: Option<(Instant, String)>,
}

impl Judge {
    pub fn new(expect: Option<Regex>, started: Instant, timeout: Duration) -> Judge {
        let deadline = started + timeout;
        Judge { expect, started, deadline, kernel_since: None, complaint: None, success: None, failure: None }
    }

    /// What the journal says of the machine. Saying it twice does no harm.
    pub fn on_step(&mut self, now: Instant, step: &Step) {
        match step {
            Step::OsUp { how, .. } if self.expect.is_none() => {
                let patience = if how == "dhcp" { TIME_TO_REPORT } else { Duration::ZERO };
                self.succeed(now + patience, format!("its operating system is up ({how})"));
            }
            Step::IpxeFailed { what, error } => self.fail(now, format!("iPXE could not go on: {what}: {error}")),
            Step::LoopBroken { loader, times } => {
                self.fail(now, format!("it loaded {loader} {times} times and never got past it"));
            }
            _ => {}
        }
    }

    /// A well-known line of the console.
    pub fn on_sign(&mut self, now: Instant, sign: Sign, line: &str) {
        match sign {
            Sign::Progress => {}
            Sign::Complaint => self.complaint = Some(line.trim().to_owned()),
            // What is expected may come from the next device.
            Sign::BootFailed if self.expect.is_some() => {}
            Sign::BootFailed => {
                // Without the device path, which is long and in UEFI's own words.
                let line = line.split(" from ").next().unwrap_or(line).trim();
                let why = self.complaint.take().unwrap_or_else(|| line.to_owned());
                self.fail(now, format!("its firmware could not boot: {why}"));
            }
            Sign::KernelRuns => {
                self.kernel_since.get_or_insert(now);
            }
            Sign::Panic => self.fail(now, format!("its kernel stopped: {}", line.trim())),
            Sign::NothingToBoot => self.fail(now, format!("its firmware found nothing to boot: {}", line.trim())),
        }
    }

    /// To be called when the console has changed.
    pub fn on_console(&mut self, now: Instant, console: &Console) {
        let found = self.expect.as_ref().and_then(|expect| console.find(expect));
        if let Some(line) = found {
            self.succeed(now, format!("its console says `{line}`"));
        }
    }

    /// The machine has switched itself off, or QEMU has ended.
    pub fn on_end(&mut self, now: Instant, because: &str) {
        // A system that was up may go.
        match &mut self.success {
            Some((at, _)) => *at = (*at).min(now + LAST_WORDS),
            None => self.fail(now, because.to_owned()),
        }
    }

    /// The verdict, once there is one.
    pub fn verdict(&self, now: Instant) -> Option<Verdict> {
        match (&self.success, &self.failure) {
            (Some((at, because)), _) if now >= *at => Some(Verdict { passed: true, because: because.clone() }),
            (_, Some((at, because))) if now >= *at + LAST_WORDS => {
                Some(Verdict { passed: false, because: because.clone() })
            }
            (None, None) => self.overdue(now),
            _ => None,
        }
    }

    /// The verdict on a machine of which nothing decisive was seen.
    fn overdue(&self, now: Instant) -> Option<Verdict> {
        let kernel_runs = self.kernel_since.filter(|_| self.expect.is_none());
        let end = kernel_runs.map_or(self.deadline, |since| self.deadline.min(since + QUIET_KERNEL));
        if now < end {
            return None;
        }
        let secs = (self.deadline - self.started).as_secs();
        let because = match (&self.expect, kernel_runs) {
            (Some(expect), _) => format!("its console did not say `{expect}` within {secs} s"),
            (None, None) => format!("it was not up within {secs} s"),
            (None, Some(_)) => "a Linux kernel runs; nothing said whether its system is up".to_owned(),
        };
        Some(Verdict { passed: kernel_runs.is_some(), because })
    }

    fn succeed(&mut self, at: Instant, because: String) {
        if self.success.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
            self.success = Some((at, because));
        }
    }

    fn fail(&mut self, now: Instant, because: String) {
        self.failure.get_or_insert((now, because));
    }
}

/// How far a boot came, for the verdict of one that failed: the last line of its story, and of its console.
pub fn how_far<E: Borrow<Event>>(events: &[E], console: &Console) -> String {
    const OURS: [&str; 3] = ["vm", "console", "keys"];
    let boots = Timeline::of(events.iter().map(Borrow::borrow));
    let last = boots.iter().flat_map(|boot| &boot.lines).rfind(|line| !OURS.contains(&line.topic));
    let story = match last {
        Some(line) => format!("last seen: {}: {}", line.topic, line.text),
        None => "it never asked for an address".to_owned(),
    };
    match console.last_line().as_str() {
        "" => story,
        line => format!("{story}; its console ends with `{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(300);

    fn judge(expect: Option<&str>) -> (Judge, Instant) {
        let now = Instant::now();
        (Judge::new(expect.map(|expect| Regex::new(expect).unwrap()), now, TIMEOUT), now)
    }

    fn up() -> Step {
        Step::OsUp { how: "reported".to_owned(), detail: None }
    }

    #[test]
    fn report_of_the_system_passes_at_once() {
        let (mut judge, now) = judge(None);
        assert_eq!(judge.verdict(now), None);
        judge.on_step(now, &up());
        assert!(judge.verdict(now).unwrap().passed);
    }

    #[test]
    fn request_for_an_address_passes_unless_a_panic_follows() {
        let asked = Step::OsUp { how: "dhcp".to_owned(), detail: None };
        let (mut judge, now) = judge(None);
        judge.on_step(now, &asked);
        assert_eq!(judge.verdict(now), None);
        assert!(judge.verdict(now + TIME_TO_REPORT).unwrap().because.contains("dhcp"));
        judge.on_sign(now + LAST_WORDS, Sign::Panic, "Kernel panic - not syncing: no root");
        assert!(!judge.verdict(now + LAST_WORDS * 2).unwrap().passed);

        let (mut judge, now) = self::judge(None);
        judge.on_step(now, &asked);
        judge.on_step(now + LAST_WORDS, &up());
        assert!(judge.verdict(now + LAST_WORDS).unwrap().because.contains("reported"));

        let (mut judge, now) = self::judge(None);
        judge.on_step(now, &asked);
        judge.on_end(now, "it switched itself off");
        assert!(judge.verdict(now + LAST_WORDS).unwrap().passed);
    }

    #[test]
    fn expectation_outweighs_the_report_and_even_a_panic() {
        let (mut judge, now) = judge(Some("panic - not syncing: as planned"));
        judge.on_step(now, &up());
        assert_eq!(judge.verdict(now), None);
        let mut console = Console::default();
        console.feed(b"Kernel panic - not syncing: as planned");
        judge.on_sign(now, Sign::Panic, "Kernel panic - not syncing: as planned");
        judge.on_console(now, &console);
        assert!(judge.verdict(now + LAST_WORDS).unwrap().passed);
    }

    #[test]
    fn each_failure_is_judged_after_its_last_words() {
        type Failure = fn(&mut Judge, Instant);
        let failures: [(Failure, &str); 5] = [
            (|judge, now| judge.on_sign(now, Sign::Panic, "Kernel panic"), "Kernel panic"),
            (|judge, now| judge.on_sign(now, Sign::NothingToBoot, "No bootable device"), "No bootable device"),
            (|judge, now| judge.on_end(now, "it switched itself off"), "switched itself off"),
            (|judge, now| judge.on_step(now, &Step::IpxeFailed { what: "kernel".into(), error: "404".into() }), "404"),
            (|judge, now| judge.on_step(now, &Step::LoopBroken { loader: "snponly.efi".into(), times: 3 }), "snponly"),
        ];
        for (failure, word) in failures {
            let (mut judge, now) = judge(None);
            // A kernel that ran before does not save it.
            judge.on_sign(now, Sign::KernelRuns, "Linux version");
            failure(&mut judge, now);
            assert_eq!(judge.verdict(now), None);
            let verdict = judge.verdict(now + LAST_WORDS).unwrap();
            assert!(!verdict.passed && verdict.because.contains(word), "{verdict:?}");
        }
    }

    #[test]
    fn failed_network_boot_is_told_in_the_firmwares_words() {
        let failed = |expect: Option<&str>| {
            let (mut judge, now) = judge(expect);
            judge.on_sign(now, Sign::Complaint, "  PXE-E16: No valid offer received.");
            judge.on_sign(now, Sign::BootFailed, "BdsDxe: failed to load Boot0001");
            judge.verdict(now + LAST_WORDS)
        };
        assert_eq!(failed(None).unwrap().because, "its firmware could not boot: PXE-E16: No valid offer received.");
        assert_eq!(failed(Some("UEFI Interactive Shell")), None);
    }

    #[test]
    fn report_that_crosses_the_power_off_still_counts() {
        let (mut judge, now) = judge(None);
        judge.on_end(now, "it switched itself off");
        judge.on_step(now, &up());
        assert!(judge.verdict(now + LAST_WORDS).unwrap().passed);
    }

    #[test]
    fn silent_kernel_passes_after_a_minute_and_at_the_deadline() {
        let (mut judge, now) = judge(None);
        judge.on_sign(now, Sign::KernelRuns, "Linux version 6.1");
        assert_eq!(judge.verdict(now + QUIET_KERNEL / 2), None);
        assert!(judge.verdict(now + QUIET_KERNEL).unwrap().passed);

        let late = now + TIMEOUT - Duration::from_secs(1);
        let mut judge = Judge::new(None, now, TIMEOUT);
        judge.on_sign(late, Sign::KernelRuns, "Linux version 6.1");
        assert!(judge.verdict(now + TIMEOUT).unwrap().passed);
    }

    #[test]
    fn deadline_fails_what_is_not_up() {
        let (judge, now) = judge(Some("login:"));
        let verdict = judge.verdict(now + TIMEOUT).unwrap();
        assert_eq!(verdict, Verdict { passed: false, because: "its console did not say `login:` within 300 s".into() });
    }

    #[test]
    fn how_far_names_the_last_step_and_the_last_line() {
        let mut console = Console::default();
        assert_eq!(how_far::<Event>(&[], &console), "it never asked for an address");
        console.feed(b"Press Ctrl-B\r\n");
        let journal = journal::Journal::new();
        let mac = mac::Mac([0x52, 0x54, 0, 0x6c, 0, 1]);
        journal.append(Some(mac), Step::VmStarted { name: "bios-1".into(), firmware: "bios".into(), pid: 1 });
        journal.append(
            Some(mac),
            Step::FileNotFound {
                protocol: journal::Protocol::Tftp,
                file: "vmlinuz".into(),
                because: "no such file".into(),
            },
        );
        journal.append(Some(mac), Step::Console { line: "not this".into() });
        let text = how_far(&journal.events_of(mac).iter().map(|event| (**event).clone()).collect::<Vec<_>>(), &console);
        assert!(text.contains("vmlinuz") && text.ends_with("its console ends with `Press Ctrl-B`"), "{text}");
    }
}
