//! Many machines at once, in figures: who is how far, who is slow, who is in trouble and what of.
//!
//! Every step of a machine costs a look-up or two here, whatever their number; nothing is formatted until somebody looks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use mac::Mac;

use crate::line::{Line, Tone};
use crate::pulse::{Durations, Pulse};
use crate::stuck::Waiting;
use crate::timeline::millis_between;
use crate::words::general;
use crate::{Boot, Event, Outcome, Reached, Step};

/// Machines that are told apart. Of others the events are counted.
const MOST_MEMBERS: usize = 65_536;
/// Kinds of trouble, and machines of one kind, that are told apart.
const MOST_KINDS: usize = 64;
const MOST_OF_A_KIND: usize = 4096;
const OTHER_KINDS: &str = "for various reasons";
/// It is calm when no more than this many machines were heard of lately, and no more are under way.
const CALM: usize = 10;
/// And in any case after this silence, in seconds.
const SILENCE_SECS: i64 = 120;

/// Where a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// It asks for an address.
    Address,
    /// It has an address and fetches its loader.
    Loader,
    /// iPXE or another loader runs.
    Ipxe,
    /// It fetches kernel and initrd.
    Kernel,
    /// It has them, and no word came of its system.
    Starts,
    Up,
    Stuck,
    Failed,
    /// It has an address and does not boot from us.
    Elsewhere,
}

impl Place {
    pub const ALL: [Place; 9] = [
        Place::Address,
        Place::Loader,
        Place::Ipxe,
        Place::Kernel,
        Place::Starts,
        Place::Up,
        Place::Stuck,
        Place::Failed,
        Place::Elsewhere,
    ];

    fn of(boot: &Boot) -> Place {
        match (&boot.outcome, boot.reached) {
            (Outcome::Up, _) => Place::Up,
            (Outcome::Failed(_), _) => Place::Failed,
            _ if boot.is_told_stuck() => Place::Stuck,
            (_, Reached::Started | Reached::Firmware) => match boot.waiting {
                Waiting::BootFile { .. } | Waiting::Transfer { .. } | Waiting::Retry { .. } | Waiting::Found { .. } => {
                    Place::Loader
                }
                _ => Place::Address,
            },
            (_, Reached::Loader | Reached::Ipxe) => Place::Ipxe,
            (_, Reached::Script | Reached::Kernel) => Place::Kernel,
            (_, Reached::Initrd) => Place::Starts,
            (_, Reached::OsUp) => Place::Up,
        }
    }

    pub fn is_under_way(self) -> bool {
        self < Place::Up
    }
}

struct Member {
    started: Timestamp,
    /// In seconds.
    heard: i64,
    place: Place,
    /// The kind of trouble that it is in.
    kind: Option<String>,
}

/// The same trouble of one machine or more.
#[derive(Default)]
pub(crate) struct Trouble {
    pub tone: Option<Tone>,
    pub hint: Option<String>,
    /// Who is in it now; for what passes by itself, who was.
    pub machines: BTreeSet<Mac>,
    pub times: u32,
    /// Whether it ends with what the machine does next.
    pub stays: bool,
    /// How often it had happened when it was last told of.
    pub told: u32,
}

pub(crate) struct Crowd {
    pub since: Timestamp,
    pub newest: Timestamp,
    members: HashMap<Mac, Member>,
    counts: [u32; Place::ALL.len()],
    under_way: BTreeSet<(Timestamp, Mac)>,
    pub troubles: BTreeMap<String, Trouble>,
    pub pulse: Pulse,
    pub ups: Durations,
    pub octets: u64,
    /// Events that were not seen here.
    pub missed: u64,
}

impl Crowd {
    pub fn new(now: Timestamp) -> Crowd {
        Crowd {
            since: now,
            newest: now,
            members: HashMap::new(),
            counts: [0; Place::ALL.len()],
            under_way: BTreeSet::new(),
            troubles: BTreeMap::new(),
            pulse: Pulse::default(),
            ups: Durations::default(),
            octets: 0,
            missed: 0,
        }
    }

    pub fn count(&self, place: Place) -> usize {
        self.counts[place as usize] as usize
    }

    pub fn machines(&self) -> usize {
        self.members.len()
    }

    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Those who have been under way for longest: who, since when, where.
    pub fn slowest(&self) -> impl Iterator<Item = (Mac, Timestamp, Place)> + '_ {
        let place = |mac| self.members.get(mac).map_or(Place::Address, |member| member.place);
        self.under_way.iter().map(move |(started, mac)| (*mac, *started, place(mac)))
    }

    /// Whether single lines can tell what happens again.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let silent = now.as_second() - self.newest.as_second() >= SILENCE_SECS;
        silent || self.pulse.machines(now.as_second()) < CALM && self.under_way.len() < CALM
    }

    /// A machine that was there before we began to count.
    pub fn adopt(&mut self, boot: &Boot) {
        self.since = self.since.min(boot.started);
        self.octets += boot.octets;
        self.put(boot.machine, boot.started, boot.last, Place::of(boot));
    }

    /// Takes in an event. `boot`: that of its machine, where it has one, with the event in it.
    pub fn hear(&mut self, event: &Event, boot: Option<&Boot>) {
        self.newest = self.newest.max(event.at);
        let Some(machine) = event.machine else { return };
        if let Step::FileSent { octets, .. } = event.step {
            self.octets += octets;
            self.pulse.octets(event.at.as_second(), octets);
        }
        self.pulse.event(event.at.as_second());
        match boot {
            Some(boot) => {
                self.put(machine, boot.started, event.at, Place::of(boot));
                self.note(event, boot);
            }
            None => {
                let place = match event.step {
                    Step::DhcpAck { .. } | Step::AddressElsewhere { .. } => Place::Elsewhere,
                    _ => self.members.get(&machine).map_or(Place::Address, |member| member.place),
                };
                self.put(machine, event.at, event.at, place);
                self.pass(event, None);
            }
        }
    }

    /// This machine goes on no more.
    pub fn stuck(&mut self, boot: &Boot, now: Timestamp) {
        self.put(boot.machine, boot.started, boot.last, Place::Stuck);
        let Some((kind, cause)) = boot.stuck_kind(now) else { return };
        self.stay(boot.machine, kind, cause.map(|cause| cause.into_owned()), Tone::Warn);
    }

    fn put(&mut self, machine: Mac, started: Timestamp, at: Timestamp, place: Place) {
        let second = at.as_second();
        if self.members.len() >= MOST_MEMBERS && !self.members.contains_key(&machine) {
            return;
        }
        let member = self.members.entry(machine).or_insert_with(|| {
            self.counts[place as usize] += 1;
            if place.is_under_way() {
                self.under_way.insert((started, machine));
            }
            self.pulse.machine(None, second);
            Member { started, heard: second, place, kind: None }
        });
        if member.heard < second {
            self.pulse.machine(Some(member.heard), second);
            member.heard = second;
        }
        // Who boots from elsewhere has begun when it was first heard of.
        let is_new_boot = started != member.started && place != member.place || started < member.started;
        if member.place == place && !is_new_boot {
            return;
        }
        if member.place.is_under_way() {
            self.under_way.remove(&(member.started, machine));
        }
        if is_new_boot {
            member.started = started;
        }
        if place.is_under_way() {
            self.under_way.insert((member.started, machine));
        }
        if place == Place::Up && member.place != Place::Up {
            self.ups.add(millis_between(member.started, at));
            self.pulse.up(second);
        }
        self.counts[member.place as usize] -= 1;
        self.counts[place as usize] += 1;
        member.place = place;
        if let Some(kind) = member.kind.take()
            && let Some(trouble) = self.troubles.get_mut(&kind)
        {
            trouble.machines.remove(&machine);
            trouble.times = trouble.times.saturating_sub(1);
            trouble.told = trouble.told.min(trouble.times);
        }
    }

    /// Takes note of what is wrong.
    fn note(&mut self, event: &Event, boot: &Boot) {
        match (&boot.outcome, &event.step) {
            (
                Outcome::Failed(because),
                Step::LoopBroken { .. } | Step::IpxeFailed { .. } | Step::Verdict { passed: false, .. },
            ) => {
                let hint = Line::of(event).and_then(|line| line.hint);
                self.stay(boot.machine, general(because, boot.machine), hint, Tone::Bad);
            }
            _ => self.pass(event, Some(boot)),
        }
    }

    /// The machine is in this trouble until it does something else.
    fn stay(&mut self, machine: Mac, kind: String, hint: Option<String>, tone: Tone) {
        let Some(member) = self.members.get_mut(&machine) else { return };
        if member.kind.is_some() {
            return;
        }
        let (kind, trouble) = kind_of(&mut self.troubles, kind);
        trouble.tone = Some(tone);
        trouble.hint = trouble.hint.take().or(hint);
        trouble.stays = true;
        trouble.times += 1;
        if trouble.machines.len() < MOST_OF_A_KIND {
            trouble.machines.insert(machine);
        }
        member.kind = Some(kind);
    }

    /// Something went wrong once.
    fn pass(&mut self, event: &Event, boot: Option<&Boot>) {
        let line = match &event.step {
            Step::FileNotFound { .. } if boot.is_some_and(|boot| boot.needs(&event.step)) => {
                Line::of_needed_file(event)
            }
            Step::DhcpNak { .. }
            | Step::DhcpDecline { .. }
            | Step::AddressInUse { .. }
            | Step::FileFailed { .. }
            | Step::DhcpIgnored { .. } => Line::of(event),
            _ => None,
        };
        let Some((line, machine)) = line.zip(event.machine) else { return };
        let (_, trouble) = kind_of(&mut self.troubles, general(&line.text, machine));
        trouble.tone = Some(line.tone);
        trouble.hint = trouble.hint.take().or(line.hint);
        trouble.times += 1;
        if trouble.machines.len() < MOST_OF_A_KIND {
            trouble.machines.insert(machine);
        }
    }
}

fn kind_of(troubles: &mut BTreeMap<String, Trouble>, kind: String) -> (String, &mut Trouble) {
    let is_full = troubles.len() >= MOST_KINDS && !troubles.contains_key(&kind);
    let kind = if is_full { OTHER_KINDS.to_owned() } else { kind };
    (kind.clone(), troubles.entry(kind).or_default())
}
