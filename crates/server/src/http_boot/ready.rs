//! Who can go on, and whose turn it is.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// One turn of so many goes round among all.
const GOES_ROUND: u32 = 4;

/// Gives turns in the order of coming: when many load the same, the first is done early, and the last not later than if all
/// had shared. So that nobody waits for ever behind those who came before, every fourth turn goes round among all.
#[derive(Debug)]
pub(super) struct Ready<K> {
    by_arrival: BTreeMap<u64, K>,
    turns: u32,
    /// Whose turn it was last of those that go round.
    last: u64,
}

impl<K> Default for Ready<K> {
    fn default() -> Ready<K> {
        Ready { by_arrival: BTreeMap::new(), turns: 0, last: 0 }
    }
}

impl<K> Ready<K> {
    /// `arrival`: a number of its own for each, greater for those who came later. Who is there already has one turn all the
    /// same.
    pub fn put(&mut self, arrival: u64, who: K) {
        self.by_arrival.insert(arrival, who);
    }

    pub fn is_empty(&self) -> bool {
        self.by_arrival.is_empty()
    }

    pub fn next(&mut self) -> Option<K> {
        self.turns = self.turns.wrapping_add(1);
        if !self.turns.is_multiple_of(GOES_ROUND) {
            return self.by_arrival.pop_first().map(|(_, who)| who);
        }
        let after = self.by_arrival.range((Excluded(self.last), Unbounded)).next();
        self.last = *after.or(self.by_arrival.first_key_value())?.0;
        self.by_arrival.remove(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has those go on who need so many turns each, all there from the start. Returns who ends, in order, and after how many
    /// turns.
    fn run(turns: &[u32]) -> Vec<(usize, u32)> {
        let (mut left, mut ready, mut ended) = (turns.to_vec(), Ready::default(), Vec::new());
        (0..turns.len()).for_each(|who| ready.put(who as u64 + 1, who));
        let mut count = 0;
        while let Some(who) = ready.next() {
            count += 1;
            left[who] -= 1;
            if left[who] == 0 { ended.push((who, count)) } else { ready.put(who as u64 + 1, who) }
        }
        ended
    }

    #[test]
    fn of_many_who_want_the_same_the_first_is_done_early_and_the_last_not_later() {
        let ended = run(&[12; 100]);
        assert!(ended[0].1 <= 16, "{ended:?}");
        assert_eq!(ended[99].1, 1200);
        let order: Vec<usize> = ended.iter().map(|(who, _)| *who).collect();
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn nobody_waits_for_one_who_never_ends() {
        let ended = run(&[100_000, 3, 1, 2]);
        assert_eq!(ended.last(), Some(&(0, 100_006)));
        // Three rounds among four, each of four turns.
        assert!(ended[2].1 <= 4 * 4 * 3, "{ended:?}");
    }
}
