//! The transfers under way, and when each is to be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddrV4;
use std::time::Instant;

use tftp::Request;

use super::session::Session;

/// Names a transfer; is never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub generation: u32,
    pub index: u32,
}

impl From<Key> for u64 {
    fn from(key: Key) -> u64 {
        u64::from(key.generation) << 32 | u64::from(key.index)
    }
}

impl From<u64> for Key {
    fn from(number: u64) -> Key {
        Key { generation: (number >> 32) as u32, index: number as u32 }
    }
}

/// How far a transfer is.
pub enum Stage {
    /// A helper opens its file. `began_anew`: the client has asked for something else meanwhile.
    Opening {
        client: SocketAddrV4,
        request: Request,
        began: Instant,
        began_anew: bool,
    },
    Going(Box<Session>),
}

#[derive(Default)]
pub struct Sessions {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// When to look at the clock for whom. Most packets put a transfer's timer off, so its alarm may ring early; to set it
    /// for each would cost more.
    alarms: BinaryHeap<Reverse<(Instant, Key)>>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    stage: Option<Stage>,
    /// The alarm that counts; others are left over.
    alarm: Option<Instant>,
}

impl Sessions {
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn insert(&mut self, stage: Stage) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        // 0 is never a generation: such small numbers are left for what is no transfer.
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        slot.stage = Some(stage);
        slot.alarm = None;
        Key { generation: slot.generation, index }
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)
    }

    /// `None` once it has ended.
    pub fn get(&mut self, key: Key) -> Option<&mut Stage> {
        self.slot(key)?.stage.as_mut()
    }

    /// `None` while its file is being opened, and once it has ended.
    pub fn going(&mut self, key: Key) -> Option<&mut Session> {
        match self.get(key)? {
            Stage::Going(session) => Some(session),
            Stage::Opening { .. } => None,
        }
    }

    pub fn remove(&mut self, key: Key) -> Option<Stage> {
        let slot = self.slot(key)?;
        slot.alarm = None;
        let stage = slot.stage.take()?;
        self.free.push(key.index);
        Some(stage)
    }

    /// It is to be woken at this time, and may be earlier.
    pub fn set_alarm(&mut self, key: Key, at: Instant) {
        if let Some(slot) = self.slot(key)
            && slot.alarm.is_none_or(|alarm| at < alarm)
        {
            slot.alarm = Some(at);
            self.alarms.push(Reverse((at, key)));
        }
    }

    /// When the next alarm rings.
    pub fn next_alarm(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// The next of those whose alarm has rung.
    pub fn rung(&mut self, now: Instant) -> Option<Key> {
        while self.next_alarm().is_some_and(|at| at <= now) {
            let Reverse((at, key)) = self.alarms.pop()?;
            if let Some(slot) = self.slot(key).filter(|slot| slot.alarm == Some(at)) {
                slot.alarm = None;
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tftp::Mode;

    use super::*;

    fn stage(now: Instant) -> Stage {
        let request = Request { name: "a".into(), mode: Mode::Octet, options: Vec::new() };
        Stage::Opening { client: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), request, began: now, began_anew: false }
    }

    #[test]
    fn a_key_outlives_its_transfer_and_names_no_other() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.insert(stage(now));
        assert!(sessions.get(first).is_some() && sessions.remove(first).is_some());
        let second = sessions.insert(stage(now));
        assert_eq!((first.index, sessions.len()), (second.index, 1));
        assert!(sessions.get(first).is_none() && sessions.remove(first).is_none());
        assert_eq!(Key::from(u64::from(second)), second);
    }

    #[test]
    fn the_earliest_alarm_of_each_rings_once() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let at = |millis| now + Duration::from_millis(millis);
        let [one, two, gone] = [0; 3].map(|_| sessions.insert(stage(now)));
        for (key, millis) in [(one, 30), (one, 10), (one, 20), (two, 15), (gone, 5)] {
            sessions.set_alarm(key, at(millis));
        }
        sessions.remove(gone);
        assert_eq!(sessions.rung(at(4)), None);
        assert_eq!(sessions.rung(at(12)), Some(one));
        assert_eq!(sessions.rung(at(12)), None);
        assert_eq!(sessions.rung(at(100)), Some(two));
        assert_eq!((sessions.rung(at(100)), sessions.next_alarm()), (None, None));
    }
}
