//! Tables of scenarios, and how one is run.

use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ask::{Ask, Patience};
use super::compare::{self, ALWAYS, Difference, Outcome, What};
use super::side::{Cable, Side, World};
use super::upstream::Upstream;
use crate::harness::LONG;
use crate::messages;
use crate::side::Which;

/// As long as nothing is wrong, nobody waits so long.
const PATIENT: Patience = Patience { each: Duration::from_secs(20), tries: 1 };
/// For those whose server may be silent at first.
const ASKING_AGAIN: Patience = Patience { each: Duration::from_secs(1), tries: 20 };
/// For those that get no answer.
const BRIEF: Patience = Patience { each: Duration::from_millis(700), tries: 1 };
/// So many groups of one table run at the same time.
const AT_ONCE: usize = 3;
const A_MOMENT: Duration = Duration::from_millis(20);

/// dnsmasq alone, to see what it does (with `--nocapture`).
static ALONE: LazyLock<bool> = LazyLock::new(|| std::env::var_os("DNSMASQ_ALONE").is_some());

/// Those that are tried.
pub fn sides() -> &'static [Which] {
    if *ALONE { &[Which::Dnsmasq] } else { &[Which::Dnsmasq, Which::Lanboot] }
}

/// Options, and what happens under them in order; each question is a scenario.
pub struct Group {
    name: &'static str,
    conf: Vec<String>,
    world: World,
    steps: Vec<Step>,
    /// Holds for every question, or for those of one name.
    allowed: Vec<(Option<&'static str>, Allowed)>,
}

struct Step {
    name: String,
    deed: Deed,
    patience: [Patience; 2],
    /// Asked until the answer has this in it: `true`; or has it no more.
    until: Option<(&'static str, bool)>,
    allowed: Vec<Allowed>,
}

enum Deed {
    Ask(Ask),
    Become(Upstream),
    Write(&'static str, String),
    Remove(&'static str),
    Signal(Signal),
    Wait(Duration),
    Run(&'static str),
    /// `true`: it is answered.
    Dhcp(messages::Message, bool),
}

/// `by_chance`: it may also be that there is no difference.
struct Allowed {
    what: What,
    because: &'static str,
    by_chance: bool,
}

impl Group {
    /// Names are known to the first upstream server alone, and `conf`.
    pub fn new(name: &'static str, conf: &[&str]) -> Group {
        let usual = ["no-resolv", "no-hosts", "server=10.9.0.11"];
        Group::bare(name, &[&usual, conf].concat())
    }

    /// With these lines of a configuration file alone.
    pub fn bare(name: &'static str, conf: &[&str]) -> Group {
        let conf = conf.iter().map(|line| (*line).to_owned()).collect();
        Group { name, conf, world: World::default(), steps: Vec::new(), allowed: Vec::new() }
    }

    /// Upstream servers, instead of an honest one.
    pub fn upstreams(mut self, upstreams: &[Upstream]) -> Group {
        self.world.upstreams = upstreams.to_vec();
        self
    }

    pub fn file(mut self, name: &'static str, text: &str) -> Group {
        self.world.files.push((name, text.to_owned()));
        self
    }

    /// Another interface of the server, with addresses of its own and of the client's at the other end.
    pub fn cable(mut self, name: &'static str, server: &[&'static str], client: &[&'static str]) -> Group {
        self.world.cables.push(Cable { name, server: server.to_vec(), client: client.to_vec(), served: true });
        self
    }

    pub fn command(mut self, line: &'static str) -> Group {
        self.world.commands.push(line);
        self
    }

    pub fn client_command(mut self, line: &'static str) -> Group {
        self.world.client_commands.push(line);
        self
    }

    pub fn names_no_interfaces(mut self) -> Group {
        self.world.names_interfaces = false;
        self
    }

    /// No client but those on the server's own computer is answered.
    pub fn ready_at_home(mut self) -> Group {
        self.world.ready_at_home = true;
        self
    }

    pub fn ask(mut self, name: &str, ask: Ask) -> Group {
        self.steps.push(Step {
            name: name.to_owned(),
            deed: Deed::Ask(ask),
            patience: [PATIENT; 2],
            until: None,
            allowed: Vec::new(),
        });
        self
    }

    /// Each as a scenario of its own.
    pub fn asks(self, all: &[&str]) -> Group {
        all.iter().fold(self, |group, question| group.ask(question, super::ask::ask(question)))
    }

    fn deed(mut self, deed: Deed) -> Group {
        let (name, patience) = (String::new(), [PATIENT; 2]);
        self.steps.push(Step { name, deed, patience, until: None, allowed: Vec::new() });
        self
    }

    /// An upstream server changes.
    pub fn becomes(self, upstream: Upstream) -> Group {
        self.deed(Deed::Become(upstream))
    }

    pub fn write(self, name: &'static str, text: &str) -> Group {
        self.deed(Deed::Write(name, text.to_owned()))
    }

    pub fn remove(self, name: &'static str) -> Group {
        self.deed(Deed::Remove(name))
    }

    pub fn signal(self, signal: Signal) -> Group {
        self.deed(Deed::Signal(signal))
    }

    pub fn wait(self, time: Duration) -> Group {
        self.deed(Deed::Wait(time))
    }

    /// Runs this in the server's network.
    pub fn run(self, command: &'static str) -> Group {
        self.deed(Deed::Run(command))
    }

    /// A DHCP message that is answered.
    pub fn dhcp(self, message: messages::Message) -> Group {
        self.deed(Deed::Dhcp(message, true))
    }

    /// A DHCP message that is not answered.
    pub fn dhcp_told(self, message: messages::Message) -> Group {
        self.deed(Deed::Dhcp(message, false))
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a question comes first")
    }

    /// The question before gets no answer.
    pub fn unanswered(mut self) -> Group {
        self.last().patience = [BRIEF; 2];
        self
    }

    /// The question before gets no answer from dnsmasq; from us it does.
    pub fn unanswered_there(mut self, because: &'static str) -> Group {
        self.last().patience[0] = BRIEF;
        self.differs(What::Heard, because)
    }

    /// Who asks the question before asks again after a second.
    pub fn asking_again(mut self) -> Group {
        self.last().patience = [ASKING_AGAIN; 2];
        self
    }

    /// The question before is asked until the answer has this in it.
    pub fn until(mut self, text: &'static str) -> Group {
        self.last().until = Some((text, true));
        self
    }

    /// The question before is asked until the answer has this in it no more.
    pub fn until_without(mut self, text: &'static str) -> Group {
        self.last().until = Some((text, false));
        self
    }

    /// The question before is answered differently on purpose.
    pub fn differs(mut self, what: What, because: &'static str) -> Group {
        self.last().allowed.push(Allowed { what, because, by_chance: false });
        self
    }

    /// As [`Group::differs`], in all of these.
    pub fn differs_in(self, all: &[What], because: &'static str) -> Group {
        all.iter().fold(self, |group, what| group.differs(*what, because))
    }

    /// The answer to the question before may differ or not.
    pub fn varies(mut self, what: What, because: &'static str) -> Group {
        self.last().allowed.push(Allowed { what, because, by_chance: true });
        self
    }

    fn allow(mut self, step: Option<&'static str>, all: &[What], because: &'static str, by_chance: bool) -> Group {
        self.allowed.extend(all.iter().map(|&what| (step, Allowed { what, because, by_chance })));
        self
    }

    /// Among the questions of this name, at least one differs so on purpose.
    pub fn differs_at(self, step: &'static str, all: &[What], because: &'static str) -> Group {
        self.allow(Some(step), all, because, false)
    }

    /// Among all questions, at least one differs so on purpose.
    pub fn throughout(self, all: &[What], because: &'static str) -> Group {
        self.allow(None, all, because, false)
    }

    /// Any question may differ so, or none.
    pub fn by_chance(self, all: &[What], because: &'static str) -> Group {
        self.allow(None, all, because, true)
    }

    /// All that comes of it on one side, question by question.
    fn run_on(&self, which: Which) -> Vec<Outcome> {
        let side = Side::start(which, &self.conf, &self.world);
        self.steps.iter().filter_map(|step| step.run(&side)).collect()
    }

    /// On both sides.
    pub fn outcomes(&self) -> [Vec<Outcome>; 2] {
        let (theirs, ours) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| self.run_on(Which::Dnsmasq));
            let ours = if *ALONE { Vec::new() } else { self.run_on(Which::Lanboot) };
            (theirs.join(), ours)
        });
        [theirs.unwrap_or_else(|panic| resume_unwind(panic)), ours]
    }

    /// Differences that nobody allowed, and allowed ones that are not there.
    fn run_both(&self) -> Vec<String> {
        let asked = || self.steps.iter().filter(|step| matches!(step.deed, Deed::Ask(_)));
        let [theirs, ours] = self.outcomes();
        if *ALONE {
            for (step, outcome) in asked().zip(&theirs) {
                println!("{}: {}: {}{}", self.name, step.name, outcome.heard, told(outcome));
            }
            return Vec::new();
        }
        let mut failures = Vec::new();
        let mut counted = false;
        let mut used = vec![false; self.allowed.len()];
        for ((step, theirs), ours) in asked().zip(&theirs).zip(&ours) {
            let name = format!("{}: {}", self.name, step.name);
            println!("{name}: {}{}", ours.heard, told(ours));
            let found = compare::outcomes(theirs, ours, counted || step.until.is_some());
            failures.extend(self.judge(&name, step, &found, &mut used));
            counted |= !theirs.asked.is_empty();
        }
        for ((step, Allowed { what, .. }), _) in
            self.allowed.iter().zip(used).filter(|(it, used)| !used && !it.1.by_chance)
        {
            let step = step.map_or_else(String::new, |step| format!(": {step}"));
            failures.push(format!("{}{step}: {what:?} is said to differ, but does not", self.name));
        }
        failures
    }

    /// What nobody allowed. `used` notes which of the group's allowances were needed.
    fn judge(&self, name: &str, step: &Step, found: &[Difference], used: &mut [bool]) -> Vec<String> {
        let mut failures = Vec::new();
        for Difference { what, theirs, ours } in found {
            let always = ALWAYS.iter().find(|(always, _)| always == what).map(|(_, because)| *because);
            let own = step.allowed.iter().find(|allowed| allowed.what == *what).map(|allowed| allowed.because);
            let mut group = |of: Option<&str>| {
                let at = self.allowed.iter().position(|(step, allowed)| *step == of && allowed.what == *what)?;
                used[at] = true;
                Some(self.allowed[at].1.because)
            };
            let because = always.or(own).or_else(|| group(Some(&step.name))).or_else(|| group(None));
            match because {
                Some(because) => println!("{name}: {what:?} is `{theirs}` there, `{ours}` here: {because}"),
                None => failures.push(format!("{name}: {what:?}\n  dnsmasq: {theirs}\n  lanboot: {ours}")),
            }
        }
        for Allowed { what, .. } in step.allowed.iter().filter(|allowed| !allowed.by_chance) {
            if !found.iter().any(|difference| difference.what == *what) {
                failures.push(format!("{name}: {what:?} is said to differ, but does not"));
            }
        }
        failures
    }

    fn questions(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.deed, Deed::Ask(_))).count()
    }
}

impl Step {
    /// `None`: it is no question.
    fn run(&self, side: &Side) -> Option<Outcome> {
        match &self.deed {
            Deed::Ask(ask) => return Some(self.ask(side, ask)),
            Deed::Become(upstream) => side.upstreams.becomes(upstream.clone()),
            Deed::Write(name, text) => side.write(name, text),
            Deed::Remove(name) => side.remove(name),
            Deed::Signal(signal) => side.signal(*signal),
            Deed::Wait(time) => std::thread::sleep(*time),
            Deed::Run(command) => side.run(command),
            Deed::Dhcp(message, is_answered) => side.dhcp(message, *is_answered),
        }
        None
    }

    fn ask(&self, side: &Side, ask: &Ask) -> Outcome {
        let deadline = Instant::now() + LONG;
        loop {
            let (heard, tries) = side.ask(ask, self.patience[usize::from(side.which == Which::Lanboot)]);
            let asked = side.asked();
            let done = self.until.is_none_or(|(text, there)| heard.to_string().contains(text) == there);
            if done || Instant::now() > deadline {
                // How often it took is left to chance.
                let asked = if self.until.is_some() { Vec::new() } else { asked };
                return Outcome { heard, tries, asked, elapsed: side.started.elapsed() };
            }
            std::thread::sleep(A_MOMENT);
        }
    }
}

/// What reached the upstream servers, in words.
fn told(outcome: &Outcome) -> String {
    let asked = outcome.asked.iter().map(|asked| {
        let bits = super::message::bits(asked.flags);
        let edns = asked.edns.as_ref().map_or(String::new(), |edns| format!(" EDNS {edns}"));
        format!("{asked}{bits}{}{edns}", if asked.tcp { " by TCP" } else { "" })
    });
    let tries = if outcome.tries > 1 { format!(" (asked {} times)", outcome.tries) } else { String::new() };
    let asked: Vec<_> = asked.collect();
    if asked.is_empty() { tries } else { format!("{tries}\n    upstream: {}", asked.join("; ")) }
}

/// Runs the groups, and fails with everything that differs.
pub fn run(groups: &[Group]) {
    // Most of it is waiting for programs to start.
    let next = AtomicUsize::new(0);
    let work =
        || std::iter::from_fn(|| groups.get(next.fetch_add(1, Ordering::Relaxed))).flat_map(Group::run_both).collect();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| -> Vec<String> { work() })).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let count: usize = groups.iter().map(Group::questions).sum();
    assert!(failures.is_empty(), "of {count} scenarios:\n\n{}", failures.join("\n\n"));
    println!("{count} scenarios are as expected");
}
