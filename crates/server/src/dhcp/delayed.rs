//! Offers that wait on purpose (`dhcp-reply-delay`), none of them in anyone's way.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Instant;

use dhcp::v4::Reply;

/// At most one offer for each address, and so not more of them than there are addresses.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    by_address: HashMap<Ipv4Addr, (Instant, usize, Reply)>,
    by_time: BTreeSet<(Instant, Ipv4Addr)>,
}

impl Delayed {
    /// A client that asks again is answered when its first request would have been, and then as it asked last.
    pub fn put(&mut self, address: Ipv4Addr, at: Instant, link: usize, reply: Reply) {
        let at = self.by_address.get(&address).map_or(at, |(first, ..)| *first);
        self.by_time.insert((at, address));
        self.by_address.insert(address, (at, link, reply));
    }

    pub fn take_due(&mut self, now: Instant) -> Option<(usize, Reply)> {
        let first = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&first);
        self.by_address.remove(&first.1).map(|(_, link, reply)| (link, reply))
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
