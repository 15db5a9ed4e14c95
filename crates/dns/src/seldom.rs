//! Things that happen often, and are to be said seldom.

use std::time::{Duration, Instant};

const WHILE: Duration = Duration::from_secs(60);

/// Lets one through in a while.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Option<Instant>);

impl Seldom {
    pub fn lets(&mut self, now: Instant) -> bool {
        let free = self.0.is_none_or(|last| now >= last + WHILE);
        if free {
            self.0 = Some(now);
        }
        free
    }
}
