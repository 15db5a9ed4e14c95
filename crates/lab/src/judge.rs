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

/// Whether a machine has booted, and how that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub passed: bool,
    pub because: String,
}

/// Gathers what is seen of one machine.
///
/// A machine passes when its console shows what is expected; when nothing is, when the journal says that its operating
/// system is up; and when that never comes, once a Linux kernel has run for a minute, or till the deadline, without a
/// panic. It fails a second after any of these, unless it passes in that second: a kernel panic, a firmware that finds
/// nothing to boot, iPXE's own report of failure, a broken loop of loaders, the machine's end; when nothing is expected,
/// also after the firmware's first network boot that failed; and at the deadline.
pub struct Judge {
    expect: Option<Regex>,
    started: Instant,
    deadline: Instant,
    kernel_since: Option<Instant>,
    complaint: Option<String>,
    success: Option<String>,
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
                self.succeed(format!("its operating system is up ({how})"))
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
                let why = self.complaint.take().unwrap_or_else(|| line.trim().to_owned());
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
    pub fn on_console(&mut self, console: &Console) {
        let found = self.expect.as_ref().and_then(|expect| console.find(expect));
        if let Some(line) = found {
            self.succeed(format!("its console says `{line}`"));
        }
    }

    /// The machine has switched itself off, or QEMU has ended.
    pub fn on_end(&mut self, now: Instant, because: &str) {
        self.fail(now, because.to_owned());
    }

    /// The verdict, once there is one.
    pub fn verdict(&self, now: Instant) -> Option<Verdict> {
        let passed = |because| Some(Verdict { passed: true, because });
        let failed = |because| Some(Verdict { passed: false, because });
        let kernel_runs = self.kernel_since.filter(|_| self.expect.is_none() && self.failure.is_none());
        if let Some(because) = &self.success {
            return passed(because.clone());
        }
        if let Some((at, because)) = &self.failure {
            return if now >= *at + LAST_WORDS { failed(because.clone()) } else { None };
        }
        match kernel_runs {
            Some(since) if now >= (since + QUIET_KERNEL).min(self.deadline) => {
                passed("a Linux kernel runs; nothing said whether its system is up".to_owned())
            }
            _ if now >= self.deadline => {
                let secs = (self.deadline - self.started).as_secs();
                let wanted = match &self.expect {
                    Some(expect) => format!("its console did not say `{expect}`"),
                    None => "it was not up".to_owned(),
                };
                failed(format!("{wanted} within {secs} s"))
            }
            _ => None,
        }
    }

    fn succeed(&mut self, because: String) {
        self.success.get_or_insert(because);
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
    fn expectation_outweighs_the_report_and_even_a_panic() {
        let (mut judge, now) = judge(Some("panic - not syncing: as planned"));
        judge.on_step(now, &up());
        assert_eq!(judge.verdict(now), None);
        let mut console = Console::default();
        console.feed(b"Kernel panic - not syncing: as planned");
        judge.on_sign(now, Sign::Panic, "Kernel panic - not syncing: as planned");
        judge.on_console(&console);
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
