//! Things kept under numbers that are never given twice.

/// Places for things; a number tells its place and how often that was taken before.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub fn insert(&mut self, thing: T) -> u64 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let (turn, slot) = &mut self.slots[at as usize];
        *slot = Some(thing);
        u64::from(*turn) << 32 | u64::from(at)
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        let (turn, slot) = self.slots.get(number as u32 as usize)?;
        slot.as_ref().filter(|_| u64::from(*turn) == number >> 32)
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (turn, slot) = self.slots.get_mut(number as u32 as usize)?;
        slot.as_mut().filter(|_| u64::from(*turn) == number >> 32)
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let (turn, slot) = self.slots.get_mut(number as u32 as usize)?;
        if u64::from(*turn) != number >> 32 {
            return None;
        }
        let thing = slot.take()?;
        *turn = turn.wrapping_add(1);
        self.free.push(number as u32);
        Some(thing)
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let taken = self.slots.iter().enumerate().filter(|(_, (_, slot))| slot.is_some());
        taken.map(|(at, (turn, _))| u64::from(*turn) << 32 | at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_given_twice() {
        let mut slots = Slots::default();
        let first = slots.insert('a');
        assert_eq!((slots.get(first), slots.len()), (Some(&'a'), 1));
        assert_eq!((slots.remove(first), slots.remove(first)), (Some('a'), None));
        let second = slots.insert('b');
        assert_ne!(first, second);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut 'b'));
        assert_eq!(slots.numbers().collect::<Vec<_>>(), [second]);
    }
}
