//! Who is connected: how many in all, and how many of each address.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Who is refused tries again at once, mostly.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// Counts connections against the two limits.
#[derive(Debug, Default)]
pub(super) struct Roll {
    total: usize,
    of: HashMap<Ipv4Addr, usize>,
    warned: Option<Instant>,
}

/// Whether there is room for another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Yes,
    /// Only in the place of one from the same address.
    OfItsOwn,
}

impl Roll {
    pub fn is_full(&self, connections: usize) -> bool {
        self.total >= connections
    }

    pub fn room(&self, client: Ipv4Addr, of_one_client: usize) -> Room {
        if self.of.get(&client).is_some_and(|count| *count >= of_one_client) { Room::OfItsOwn } else { Room::Yes }
    }

    pub fn enter(&mut self, client: Ipv4Addr) {
        self.total += 1;
        *self.of.entry(client).or_default() += 1;
    }

    /// Whether a refusal is to be told: not each one of many.
    pub fn is_worth_a_warning(&mut self, now: Instant) -> bool {
        let is_due = self.warned.is_none_or(|warned| now.duration_since(warned) >= BETWEEN_WARNINGS);
        self.warned = if is_due { Some(now) } else { self.warned };
        is_due
    }

    pub fn leave(&mut self, client: Ipv4Addr) {
        self.total -= 1;
        if let Some(count) = self.of.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let (greedy, other) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let mut roll = Roll::default();
        for _ in 0..3 {
            assert_eq!(roll.room(greedy, 3), Room::Yes);
            roll.enter(greedy);
        }
        assert_eq!((roll.room(greedy, 3), roll.room(other, 3)), (Room::OfItsOwn, Room::Yes));
        roll.enter(other);
        assert!(roll.is_full(4) && !roll.is_full(5));
        roll.leave(greedy);
        assert_eq!((roll.room(greedy, 3), roll.is_full(4)), (Room::Yes, false));
    }

    #[test]
    fn addresses_that_left_are_forgotten() {
        let mut roll = Roll::default();
        for last in 0..100 {
            roll.enter(Ipv4Addr::new(10, 0, 0, last));
            roll.leave(Ipv4Addr::new(10, 0, 0, last));
        }
        assert!(roll.of.is_empty() && roll.total == 0);
    }
}
