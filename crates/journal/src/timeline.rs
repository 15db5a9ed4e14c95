//! Joins events into stories: one [`Boot`] for each attempt of a machine.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use jiff::Timestamp;
use mac::Mac;

use crate::like::KnownNames;
use crate::line::Line;
use crate::run::is_incidental;
use crate::stuck::{Standstill, Waiting};
use crate::{Boot, Event, Stage, Step};

/// Machines whose current boot is kept; a few hundred octets each while many boot at once.
const MOST_MACHINES: usize = 32_768;

type Alarms = BinaryHeap<Reverse<(Timestamp, Mac)>>;

/// Every machine's current boot, kept up to date event by event.
#[derive(Default)]
pub struct Timeline {
    current: HashMap<Mac, Boot>,
    /// When to look at whom. Of one machine there may be several: the one that its boot knows of counts.
    alarms: Alarms,
    known: KnownNames,
    /// The boots that came before, in the order they ended; only when asked for.
    finished: Option<Vec<Boot>>,
}

/// What an event meant to the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When the boot it belongs to began.
    pub started: Option<Timestamp>,
    /// The line to show now; `None` when the event is part of what was shown already.
    pub line: Option<Line>,
    /// Whether it may be one of many small files and missing names, which better are counted than shown.
    pub incidental: bool,
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline::default()
    }

    /// Every boot in these events, by time of start. The events are in order of time.
    pub fn of<E: Borrow<Event>>(events: impl IntoIterator<Item = E>) -> Vec<Boot> {
        let mut timeline = Timeline { finished: Some(Vec::new()), ..Timeline::default() };
        for event in events {
            timeline.push(event.borrow());
        }
        let mut boots = timeline.finished.take().unwrap_or_default();
        boots.extend(timeline.current.into_values());
        boots.sort_by_key(|boot| (boot.started, boot.machine));
        boots
    }

    /// Takes in the next event.
    pub fn push(&mut self, event: &Event) -> Told {
        let is_news = |event: &Event| !matches!(event.step, Step::LookedUp { .. });
        let line = |event| Line::of(event).filter(|_| is_news(event));
        let alone = |event| Told { started: None, line: line(event), incidental: false };
        self.known.hear(event);
        let Some(machine) = event.machine else { return alone(event) };
        self.begin_with(machine, event);
        let Some(boot) = self.current.get_mut(&machine) else { return alone(event) };
        let incidental = is_incidental(&event.step) && !boot.needs(&event.step);
        let told = Told { started: Some(boot.started), line: boot.take(event, &self.known), incidental };
        set_alarm(boot, &mut self.alarms);
        told
    }

    /// Takes in the next event without a word: what became of the boot is all that is kept. Returns its machine's boot.
    pub(crate) fn follow(&mut self, event: &Event) -> Option<&Boot> {
        self.known.hear(event);
        let machine = event.machine?;
        self.begin_with(machine, event);
        let boot = self.current.get_mut(&machine)?;
        boot.take_quietly(event, &self.known);
        set_alarm(boot, &mut self.alarms);
        Some(boot)
    }

    /// Begins a boot, where this event is the first of one.
    fn begin_with(&mut self, machine: Mac, event: &Event) {
        let begins = match self.current.get(&machine) {
            Some(boot) => boot.is_over_before(event),
            None => begins_a_boot(&event.step),
        };
        if !begins {
            return;
        }
        if let Some(mut before) = self.current.insert(machine, Boot::new(machine, event.at)) {
            before.restarted();
            if let Some(finished) = &mut self.finished {
                finished.push(before);
            }
        }
        self.forget_the_oldest();
    }

    /// The machines that are stuck by now and were not told of, the one that was heard of first before the others.
    pub(crate) fn stalled(&mut self, now: Timestamp) -> Vec<Mac> {
        let mut stalled = Vec::new();
        while let Some(Reverse((at, machine))) = self.alarms.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.alarms.pop();
            let Some(boot) = self.current.get_mut(&machine).filter(|boot| boot.alarm == Some(at)) else { continue };
            boot.alarm = None;
            match boot.patience_ends() {
                Some(end) if end > now => set_alarm(boot, &mut self.alarms),
                Some(_) if !boot.is_told_stuck() && boot.stuck(now).is_some() => stalled.push((boot.last, machine)),
                _ => {}
            }
        }
        stalled.sort_unstable();
        stalled.into_iter().map(|(_, machine)| machine).collect()
    }

    /// That this machine stands still has been told.
    pub(crate) fn told_stuck(&mut self, machine: Mac) {
        if let Some(boot) = self.current.get_mut(&machine) {
            boot.told_stuck = Some(Box::new(Standstill::of(boot)));
        }
    }

    /// The boot that a machine is in, or was in last.
    pub fn boot(&self, machine: Mac) -> Option<&Boot> {
        self.current.get(&machine)
    }

    /// Every machine's latest boot, in no order.
    pub fn boots(&self) -> impl Iterator<Item = &Boot> {
        self.current.values()
    }

    /// Makes room for many at once: those that wait for nothing go first, then those not heard of for longest.
    fn forget_the_oldest(&mut self) {
        if self.current.len() <= MOST_MACHINES {
            return;
        }
        let key = |boot: &Boot| (boot.waiting != Waiting::Nothing, boot.last, boot.machine);
        let mut keys: Vec<_> = self.current.values().map(key).collect();
        let (_, last, _) = keys.select_nth_unstable(MOST_MACHINES / 8);
        let last = *last;
        let old = self.current.extract_if(|_, boot| key(boot) <= last).map(|(_, boot)| boot);
        match &mut self.finished {
            Some(finished) => finished.extend(old),
            None => old.for_each(drop),
        }
    }
}

/// Sees to it that the boot is looked at when its patience ends.
fn set_alarm(boot: &mut Boot, alarms: &mut Alarms) {
    let Some(end) = boot.patience_ends() else { return };
    // An alarm that is too early is put off when it rings.
    if boot.alarm.is_none_or(|alarm| alarm > end) {
        boot.alarm = Some(end);
        alarms.push(Reverse((end, boot.machine)));
    }
}

fn begins_a_boot(step: &Step) -> bool {
    match step {
        Step::VmStarted { .. } => true,
        Step::DhcpDiscover { stage, .. } => *stage != Stage::Os,
        // The DISCOVER may be older than our memory, or the client remembered its address.
        Step::DhcpAck { stage, renewal, .. } => *stage != Stage::Os && !renewal,
        _ => false,
    }
}

pub(crate) fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}
