//! How much of what may wait is one client's: nobody takes all of it, so that others get answers while one asks for
//! thousands of names that nobody answers for.

use std::collections::HashMap;
use std::net::IpAddr;

/// What each client has in flight.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<IpAddr, Share>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    /// Questions that it was the first to ask.
    questions: usize,
    /// All that it waits for.
    waits: usize,
}

impl Shares {
    /// Whether a client has all that one client may: three of four parts of `most` questions, or of what may wait for
    /// them.
    pub fn is_full(&self, client: IpAddr, most: usize, waits: usize) -> bool {
        let part = |all: usize| all - all / 4;
        self.0.get(&client).is_some_and(|share| share.questions >= part(most) || share.waits >= part(waits))
    }

    pub fn add(&mut self, client: IpAddr, is_new_question: bool) {
        let share = self.0.entry(client).or_default();
        share.questions += usize::from(is_new_question);
        share.waits += 1;
    }

    pub fn remove(&mut self, client: IpAddr, was_new_question: bool) {
        let Some(share) = self.0.get_mut(&client) else { return };
        share.questions -= usize::from(was_new_question);
        share.waits -= 1;
        if *share == Share::default() {
            self.0.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_three_of_four_parts_and_gives_them_back() {
        let (mut shares, one, other) = (Shares::default(), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        (0..6).for_each(|_| shares.add(one, true));
        assert!(shares.is_full(one, 8, 32) && !shares.is_full(other, 8, 32));
        (0..18).for_each(|_| shares.add(one, false));
        shares.remove(one, true);
        shares.add(one, false);
        assert!(shares.is_full(one, 8, 32), "it waits for too much");
        (0..5).for_each(|_| shares.remove(one, true));
        (0..19).for_each(|_| shares.remove(one, false));
        assert!(shares.0.is_empty());
    }
}
