//! Addresses that are spoken for but not leased: offered and not yet asked for, or being probed. In memory only.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Instant;

use crate::record::{ClientId, ClientKey};
use crate::runs::Runs;

/// The address is held for this other client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is being offered to {by}")]
pub struct Held {
    pub address: Ipv4Addr,
    pub by: ClientKey,
}

/// Which address is kept for which client, and until when. A client has at most one, an address at most one client.
#[derive(Debug, Default)]
pub struct Holds {
    by_address: HashMap<Ipv4Addr, (ClientKey, Instant)>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_end: BTreeSet<(Instant, Ipv4Addr)>,
    addresses: Runs,
}

impl Holds {
    /// Keeps `address` for `key` until `until`, in place of any address kept for it before.
    ///
    /// # Errors
    /// [`Held`] when it is kept for another client at `now`.
    pub fn hold(&mut self, address: Ipv4Addr, key: ClientKey, now: Instant, until: Instant) -> Result<(), Held> {
        if let Some(other) = self.holder(address, now).filter(|other| **other != key) {
            return Err(Held { address, by: other.clone() });
        }
        if let Some((_, ends)) = self.by_address.get_mut(&address).filter(|(holder, _)| *holder == key) {
            self.by_end.remove(&(std::mem::replace(ends, until), address));
            self.by_end.insert((until, address));
            return Ok(());
        }
        self.release_key(&key);
        self.release(address);
        self.by_end.insert((until, address));
        self.addresses.insert(address.to_bits());
        self.by_key.insert(key.clone(), address);
        self.by_address.insert(address, (key, until));
        Ok(())
    }

    /// Keeps `address` from everyone until `until`, whoever it was kept for before: a stranger uses it.
    pub fn set_aside(&mut self, address: Ipv4Addr, until: Instant) {
        self.release(address);
        self.by_end.insert((until, address));
        self.addresses.insert(address.to_bits());
        self.by_address.insert(address, (nobody(), until));
    }

    /// For whom `address` is kept at `now`; one that is set aside is kept for a client that nobody is.
    pub fn holder(&self, address: Ipv4Addr, now: Instant) -> Option<&ClientKey> {
        self.by_address.get(&address).filter(|(_, until)| now < *until).map(|(key, _)| key)
    }

    /// Which address is kept for `key` at `now`.
    pub fn address(&self, key: &ClientKey, now: Instant) -> Option<Ipv4Addr> {
        self.by_key.get(key).copied().filter(|address| self.holder(*address, now).is_some())
    }

    /// No longer keeps `address`.
    pub fn release(&mut self, address: Ipv4Addr) {
        if let Some((key, until)) = self.by_address.remove(&address) {
            self.by_key.remove(&key);
            self.by_end.remove(&(until, address));
            self.addresses.remove(address.to_bits());
        }
    }

    /// No longer keeps an address for `key`.
    pub fn release_key(&mut self, key: &ClientKey) {
        if let Some(address) = self.by_key.get(key).copied() {
            self.release(address);
        }
    }

    /// Forgets what has run out at `now`.
    pub fn expire(&mut self, now: Instant) {
        while let Some((_, address)) = self.by_end.first().filter(|(until, _)| *until <= now).copied() {
            self.release(address);
        }
    }

    /// When the next hold runs out: before that, `expire` has nothing to do.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.by_end.first().map(|(until, _)| *until)
    }

    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Kept addresses, those that ran out since the last `expire` included.
    pub(crate) fn addresses(&self) -> &Runs {
        &self.addresses
    }
}

/// An empty identifier tells nobody from anybody, so that no client has it.
fn nobody() -> ClientKey {
    ClientKey::ClientId(ClientId::new(&[]).expect("nothing is not too long"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mac::Mac;

    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 11);

    fn key(last: u8) -> ClientKey {
        ClientKey::Mac(Mac([2, 0, 0, 0, 0, last]))
    }

    #[test]
    fn an_offered_address_is_kept_for_its_client_until_it_runs_out() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let until = now + Duration::from_secs(10);
        holds.hold(A, key(1), now, until).unwrap();
        assert_eq!(holds.hold(A, key(2), now, until), Err(Held { address: A, by: key(1) }));
        assert_eq!(holds.holder(A, now), Some(&key(1)));
        assert_eq!(holds.holder(A, until), None);
        holds.hold(A, key(2), until, until + Duration::from_secs(10)).unwrap();
        assert_eq!(holds.address(&key(1), until), None);
        assert_eq!(holds.address(&key(2), until), Some(A));
    }

    #[test]
    fn a_client_has_one_hold_and_the_last_one_counts() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let until = now + Duration::from_secs(10);
        holds.hold(A, key(1), now, until).unwrap();
        holds.hold(B, key(1), now, until).unwrap();
        assert_eq!(holds.holder(A, now), None);
        assert_eq!(holds.address(&key(1), now), Some(B));
        holds.release_key(&key(1));
        assert!(holds.is_empty() && holds.next_expiry().is_none() && !holds.addresses().contains(B.to_bits()));
    }

    #[test]
    fn what_is_set_aside_is_kept_from_everyone() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let until = now + Duration::from_secs(10);
        holds.hold(A, key(1), now, until).unwrap();
        holds.set_aside(A, until);
        holds.set_aside(B, until);
        assert_eq!(holds.address(&key(1), now), None);
        assert!([A, B].iter().all(|address| holds.hold(*address, key(1), now, until).is_err()));
        holds.hold(A, key(1), until, until + Duration::from_secs(1)).unwrap();
        holds.release(B);
        assert_eq!((holds.len(), holds.address(&key(1), until)), (1, Some(A)));
    }

    #[test]
    fn expire_forgets_exactly_what_ran_out() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let soon = now + Duration::from_secs(1);
        let later = now + Duration::from_secs(2);
        holds.hold(A, key(1), now, soon).unwrap();
        holds.hold(B, key(2), now, later).unwrap();
        holds.expire(soon);
        assert_eq!((holds.len(), holds.holder(B, soon), holds.next_expiry()), (1, Some(&key(2)), Some(later)));
    }
}
