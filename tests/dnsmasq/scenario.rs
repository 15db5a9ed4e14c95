//! Tables of scenarios, and how one is run.

use std::time::Duration;

use dhcp::v4::code;

use crate::compare::{self, ALWAYS, Difference, What};
use crate::messages::Message;
use crate::side::{Side, Which, World};

/// Options, and what is sent under them in order; each message is a scenario.
pub struct Group {
    name: &'static str,
    conf: Vec<String>,
    world: World,
    /// The cable that messages go by.
    cable: &'static str,
    steps: Vec<Step>,
    /// Holds for every message.
    allowed: Vec<Allowed>,
    leases_differ: Option<&'static str>,
}

struct Step {
    name: &'static str,
    cable: &'static str,
    message: Message,
    port: u16,
    /// It goes where nobody listens.
    unheard: bool,
    /// A cable that is laid first, with the server's addresses on it.
    laid: Option<(&'static str, Vec<&'static str>)>,
    /// Run in the server's network first.
    command: Option<&'static str>,
    allowed: Vec<Allowed>,
}

/// `by_chance`: it may also be that there is no difference.
struct Allowed {
    what: What,
    because: &'static str,
    by_chance: bool,
}

/// Lease files that were written at about the same time say the same expiry to within this many seconds.
const EXPIRY_SLACK: u64 = 30;
const ASKED_AGAIN: usize = 250;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Group {
    /// `conf`: lines of a configuration file.
    pub fn new(name: &'static str, conf: &[&str]) -> Group {
        let conf = conf.iter().map(|line| (*line).to_owned()).collect();
        let (steps, allowed) = (Vec::new(), Vec::new());
        Group { name, conf, world: World::default(), cable: "net", steps, allowed, leases_differ: None }
    }

    /// Another interface of the server, on a cable of this name, with these addresses.
    pub fn cable(mut self, name: &'static str, addresses: &[&'static str]) -> Group {
        self.world.cables.push((name, addresses.to_vec()));
        self
    }

    /// Another address of the server on the first cable.
    pub fn address(mut self, address: &'static str) -> Group {
        self.world.cables[0].1.push(address);
        self
    }

    /// Run in the server's network before it starts.
    pub fn command(mut self, line: &'static str) -> Group {
        self.world.commands.push(line);
        self
    }

    /// A cable of its own for the questions that tell silence from slowness: for groups whose first network is not
    /// served.
    pub fn fenced(mut self) -> Group {
        self.conf.push("dhcp-range=10.255.0.10,10.255.0.20".to_owned());
        self.world.fence = "fence";
        self.cable("fence", &["10.255.0.1/24"])
    }

    /// The options say themselves which interfaces are served, and how.
    pub fn names_no_interfaces(mut self) -> Group {
        self.world.names_interfaces = false;
        self
    }

    /// The messages from here on go by this cable.
    pub fn on(mut self, cable: &'static str) -> Group {
        self.cable = cable;
        self
    }

    pub fn then(self, name: &'static str, message: Message) -> Group {
        self.push(name, message, 67)
    }

    fn push(mut self, name: &'static str, message: Message, port: u16) -> Group {
        let (cable, unheard, laid, command, allowed) = (self.cable, false, None, None, Vec::new());
        self.steps.push(Step { name, cable, message, port, unheard, laid, command, allowed });
        self
    }

    /// The message before goes by a cable that is not served, so that nobody even says that it came.
    pub fn unheard(mut self) -> Group {
        self.steps.last_mut().expect("a message comes first").unheard = true;
        self
    }

    /// Lays another cable before the message before is sent, and sends it by that.
    pub fn over_new_cable(mut self, name: &'static str, addresses: &[&'static str]) -> Group {
        let step = self.steps.last_mut().expect("a message comes first");
        (step.cable, step.laid) = (name, Some((name, addresses.to_vec())));
        self
    }

    /// Runs this in the server's network before the message before is sent.
    pub fn once(mut self, command: &'static str) -> Group {
        self.steps.last_mut().expect("a message comes first").command = Some(command);
        self
    }

    /// Sends to the PXE boot server's port.
    pub fn then_at_4011(self, name: &'static str, message: Message) -> Group {
        self.push(name, message, 4011)
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

    /// As [`Group::differs`], in all of these.
    pub fn differs_in(self, all: &[What], because: &'static str) -> Group {
        all.iter().fold(self, |group, what| group.differs(*what, because))
    }

    /// The address given is left to chance in this group, or to our own strategy.
    pub fn any_address(self, because: &'static str) -> Group {
        self.throughout(What::Field("yiaddr"), because).throughout(What::Field("to"), because)
    }

    /// The message before is a renewal: its times have a random part.
    pub fn fuzzy(self) -> Group {
        const FUZZ: &str = "dnsmasq takes a random time off T1 and T2 of a renewal";
        self.varies(What::Option(58), FUZZ).varies(What::Option(59), FUZZ)
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
        let mut theirs = Side::start(Which::Dnsmasq, &self.conf, &self.world);
        let mut ours = Side::start(Which::Lanboot, &self.conf, &self.world);
        let mut failures = Vec::new();
        for step in &self.steps {
            let name = format!("{}: {}", self.name, step.name);
            if let Some((cable, addresses)) = &step.laid {
                [&mut theirs, &mut ours].into_iter().for_each(|side| side.add_cable(cable, addresses));
            }
            if let Some(command) = step.command {
                [&theirs, &ours].into_iter().for_each(|side| side.run(command));
            }
            let changed = step.laid.is_some() || step.command.is_some();
            let Step { cable, message, port, unheard, .. } = step;
            let theirs = theirs.ask_by(cable, message, *port, !unheard);
            let mut answers = ours.ask_by(cable, message, *port, !unheard);
            // It takes either a moment to see a new interface, and a machine asks again.
            let unseen = |it: &Difference| matches!(it.what, What::Answered | What::Option(code::SERVER_ID));
            for _ in 0..ASKED_AGAIN {
                if !changed || !compare::answers(&theirs, &answers).iter().any(unseen) {
                    break;
                }
                std::thread::sleep(LOOK_AGAIN);
                answers = ours.ask_by(cable, message, *port, !unheard);
            }
            let ours = answers;
            println!("{name}: `{}` there, `{}` here", compare::kinds(&theirs), compare::kinds(&ours));
            let found = compare::answers(&theirs, &ours);
            failures.extend(judge(&name, &found, &step.allowed, &self.allowed));
        }
        let leases = |because| Allowed { what: What::Leases, because, by_chance: false };
        let allowed: Vec<_> = self.leases_differ.into_iter().map(leases).collect();
        let found: Vec<_> = lease_files(theirs, ours).into_iter().collect();
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

/// Ends both, and compares what they leave.
fn lease_files(mut theirs: Side, mut ours: Side) -> Option<Difference> {
    [&mut theirs, &mut ours].into_iter().for_each(|side| drop(side.stop()));
    let (theirs, ours) = (theirs.leases(), ours.leases());
    let same = theirs.len() == ours.len()
        && theirs.iter().zip(&ours).all(|((address, (end, line)), (other_address, (other_end, other_line)))| {
            (address, line) == (other_address, other_line) && end.abs_diff(*other_end) <= EXPIRY_SLACK
        });
    (!same).then(|| Difference::new(What::Leases, format!("{theirs:?}"), format!("{ours:?}")))
}

/// Runs the groups, and fails with everything that differs.
pub fn run(groups: &[Group]) {
    let failures: Vec<String> = groups.iter().flat_map(Group::run).collect();
    let count: usize = groups.iter().map(|group| group.steps.len()).sum();
    assert!(failures.is_empty(), "of {count} scenarios:\n\n{}", failures.join("\n\n"));
    println!("{count} scenarios are as expected");
}
