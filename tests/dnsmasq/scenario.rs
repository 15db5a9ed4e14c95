//! Tables of scenarios, and how one is run.

use std::time::{Duration, Instant};

use crate::compare::{self, ALWAYS, Difference, What};
use crate::messages::Message;
use crate::side::{Side, Which};

/// Options, and what is sent under them in order; each message is a scenario.
pub struct Group {
    name: &'static str,
    conf: Vec<String>,
    steps: Vec<Step>,
    /// Holds for every message.
    allowed: Vec<Allowed>,
    leases_differ: Option<&'static str>,
}

struct Step {
    name: &'static str,
    message: Message,
    port: u16,
    allowed: Vec<Allowed>,
}

/// `by_chance`: it may also be that there is no difference.
struct Allowed {
    what: What,
    because: &'static str,
    by_chance: bool,
}

/// Lease files that were written at about the same time say the same expiry to within this many seconds.
const EXPIRY_SLACK: u64 = 2;
/// Both write their lease files a moment after they answered.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Group {
    /// `conf`: lines of a configuration file.
    pub fn new(name: &'static str, conf: &[&str]) -> Group {
        let conf = conf.iter().map(|line| (*line).to_owned()).collect();
        Group { name, conf, steps: Vec::new(), allowed: Vec::new(), leases_differ: None }
    }

    pub fn then(mut self, name: &'static str, message: Message) -> Group {
        self.steps.push(Step { name, message, port: 67, allowed: Vec::new() });
        self
    }

    /// Sends to the PXE boot server's port.
    pub fn then_at_4011(mut self, name: &'static str, message: Message) -> Group {
        self.steps.push(Step { name, message, port: 4011, allowed: Vec::new() });
        self
    }

    /// The message before is answered differently on purpose.
    pub fn differs(mut self, what: What, because: &'static str) -> Group {
        match what {
            What::Leases => self.leases_differ = Some(because),
            _ => self.allow(Allowed { what, because, by_chance: false }),
        }
        self
    }

    /// As [`Group::differs`], for the message of this name.
    pub fn differs_at(mut self, step: &str, what: What, because: &'static str) -> Group {
        let step = self.steps.iter_mut().find(|message| message.name == step).expect("a message of this name");
        step.allowed.push(Allowed { what, because, by_chance: false });
        self
    }

    /// Any answer of this group may differ so on purpose.
    pub fn throughout(mut self, what: What, because: &'static str) -> Group {
        self.allowed.push(Allowed { what, because, by_chance: true });
        self
    }

    /// The answer to the message before has something in it that is left to chance.
    pub fn varies(mut self, what: What, because: &'static str) -> Group {
        self.allow(Allowed { what, because, by_chance: true });
        self
    }

    fn allow(&mut self, allowed: Allowed) {
        self.steps.last_mut().expect("a message comes first").allowed.push(allowed);
    }

    /// Differences that nobody allowed, and allowed ones that are not there.
    fn run(&self) -> Vec<String> {
        let mut theirs = Side::start(Which::Dnsmasq, &self.conf);
        let mut ours = Side::start(Which::Lanboot, &self.conf);
        let mut failures = Vec::new();
        for step in &self.steps {
            let name = format!("{}: {}", self.name, step.name);
            let (theirs, ours) = (theirs.ask(&step.message, step.port), ours.ask(&step.message, step.port));
            println!("{name}: `{}` there, `{}` here", compare::kinds(&theirs), compare::kinds(&ours));
            let found = compare::answers(&theirs, &ours);
            failures.extend(judge(&name, &found, &step.allowed, &self.allowed));
        }
        let leases = |because| Allowed { what: What::Leases, because, by_chance: false };
        let allowed: Vec<_> = self.leases_differ.into_iter().map(leases).collect();
        let found: Vec<_> = lease_files(&theirs, &ours).into_iter().collect();
        failures.extend(judge(&format!("{}: the lease file", self.name), &found, &allowed, &[]));
        failures
    }
}

fn judge(name: &str, found: &[Difference], allowed: &[Allowed], throughout: &[Allowed]) -> Vec<String> {
    let mut failures = Vec::new();
    for Difference { what, theirs, ours } in found {
        let always = ALWAYS.iter().find(|(always, _)| always == what).map(|(_, because)| *because);
        match always.or(allowed
            .iter()
            .chain(throughout)
            .find(|allowed| allowed.what == *what)
            .map(|allowed| allowed.because))
        {
            Some(because) => println!("{name}: {what:?} is `{theirs}` there, `{ours}` here: {because}"),
            None => failures.push(format!("{name}: {what:?}\n  dnsmasq: {theirs}\n  lanboot: {ours}")),
        }
    }
    for Allowed { what, .. } in allowed.iter().filter(|allowed| !allowed.by_chance) {
        if !found.iter().any(|difference| difference.what == *what) {
            failures.push(format!("{name}: {what:?} is said to differ, but does not"));
        }
    }
    failures
}

fn lease_files(theirs: &Side, ours: &Side) -> Option<Difference> {
    let deadline = Instant::now() + WRITTEN_WITHIN;
    loop {
        let (theirs, ours) = (theirs.leases(), ours.leases());
        let same = theirs.len() == ours.len()
            && theirs.iter().zip(&ours).all(|((address, (end, line)), (other_address, (other_end, other_line)))| {
                (address, line) == (other_address, other_line) && end.abs_diff(*other_end) <= EXPIRY_SLACK
            });
        if same {
            return None;
        }
        if Instant::now() > deadline {
            return Some(Difference::new(What::Leases, format!("{theirs:?}"), format!("{ours:?}")));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Runs the groups, and fails with everything that differs.
pub fn run(groups: &[Group]) {
    let failures: Vec<String> = groups.iter().flat_map(Group::run).collect();
    let count: usize = groups.iter().map(|group| group.steps.len()).sum();
    assert!(failures.is_empty(), "of {count} scenarios:\n\n{}", failures.join("\n\n"));
    println!("{count} scenarios are as expected");
}
