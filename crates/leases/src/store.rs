//! What every lease store can do.

use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use mac::Mac;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::StoreError;
use crate::record::{ClientKey, Expiry, Grant, Lease, Record, State, UnixSecs};
use crate::table::Table;

/// One thing to be made durable, in order within its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives an address to a client. Refused when another client holds the address at `grant.now`, or when it is declined
    /// then. A client that is given a new address loses its former one, which is free from the next batch on.
    Grant(Grant),
    /// `key` gave `address` back at `now` (DHCPRELEASE): it is free for the next change of the batch already.
    Release { address: Ipv4Addr, key: ClientKey, now: UnixSecs },
    /// A stranger uses `address` (DHCPDECLINE, or a probe that was answered): nobody gets it before `until`. Whoever held it
    /// holds it no longer; that a DECLINE comes from the holder is for the caller to check.
    Decline { address: Ipv4Addr, until: UnixSecs },
    /// The lease that `key` has of `address` loses its host name; all else of it stays.
    Unname { address: Ipv4Addr, key: ClientKey },
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Granted(Lease),
    Taken(Taken),
    /// `false`: that client does not hold that address; nothing changed.
    Released(bool),
    Declined,
    /// `false`: that client does not hold that address, or has no name there; nothing changed.
    Unnamed(bool),
}

impl Outcome {
    /// The lease, where one was granted.
    pub fn lease(self) -> Option<Lease> {
        if let Outcome::Granted(lease) = self { Some(lease) } else { None }
    }
}

/// Why an address is not free for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// This other client holds it.
    Client(ClientKey),
    /// It was found in use by a stranger.
    Declined { until: UnixSecs },
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Occupant::Client(key) => write!(f, "held by {key}"),
            Occupant::Declined { .. } => f.write_str("in use by a machine that has no lease for it"),
        }
    }
}

/// A grant that was refused because it would have given one address to two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {by}")]
pub struct Taken {
    pub address: Ipv4Addr,
    pub by: Occupant,
}

/// Keeps leases so that none is forgotten and no address is given twice.
///
/// Batches are made durable one after the other: while one is under way, all that arrives becomes the next one, so that the
/// price of a write is shared by all who wait for it. What is in [`LeaseStore::table`] is durable.
pub trait LeaseStore: Send {
    /// All that is known, in memory.
    fn table(&self) -> &Table;

    /// Begins to make a batch durable, whole or not at all. One batch at a time is under way: call it again only after
    /// [`LeaseStore::settled`] has told what became of the one before.
    fn begin(&mut self, batch: Vec<Change>);

    /// What became of the batch that was begun: one outcome for each change, in order. `None` while it is under way, and when
    /// none was begun.
    ///
    /// # Errors
    /// Nothing of the batch holds, and the store knows what it knew before. The next batch may succeed again.
    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>>;

    /// Readable when [`LeaseStore::settled`] or [`LeaseStore::news`] has something to say. `None`: a batch is settled as soon
    /// as it was begun.
    fn readiness(&self) -> Option<BorrowedFd<'_>>;

    /// Records that others changed in the same storage since this was last asked; they are in the table already. Empty for a
    /// store with one owner.
    fn news(&mut self) -> Vec<Record> {
        Vec::new()
    }

    /// Whether nobody else writes to this storage: then what the table knows holds, also while writing fails.
    fn is_sole(&self) -> bool;

    /// Whether a restart would find what the table knows of this address, also while writing fails.
    fn can_confirm(&self, _address: Ipv4Addr) -> bool {
        true
    }

    /// A lease that `key` has on disk already, for the time that is left of it at `now` and at most `lease_secs`: for a
    /// renewal while writing fails. `None` when it has none, or when others may have changed that meanwhile.
    fn confirm(&self, address: Ipv4Addr, key: &ClientKey, lease_secs: u32, now: UnixSecs) -> Option<Lease> {
        let is_certain = self.is_sole() && self.can_confirm(address);
        let record = self.at(address).filter(|record| is_certain && record.key() == Some(key))?;
        let binding = record.binding().filter(|_| record.is_active(now))?;
        let left = match binding.expires() {
            Expiry::Never => u32::MAX,
            Expiry::At(end) => u32::try_from(end.0.saturating_sub(now.0)).unwrap_or(u32::MAX - 1),
        };
        Lease::for_rest(record, now, left.min(lease_secs))
    }

    /// Makes a batch durable and waits for it: for tools and tests.
    fn commit(&mut self, batch: Vec<Change>) -> Result<Vec<Outcome>, StoreError> {
        self.begin(batch);
        loop {
            if let Some(result) = self.settled() {
                return result;
            }
            if let Some(fd) = self.readiness() {
                // Bounded, so that a word that was missed costs time and no more.
                let wait = PollTimeout::from(100u8);
                let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], wait);
            }
        }
    }

    /// The client's record, whatever its state.
    fn find(&self, key: &ClientKey) -> Option<&Record> {
        self.table().find(key)
    }

    /// The record granted last to any client with this MAC.
    fn find_mac(&self, mac: Mac) -> Option<&Record> {
        self.table().find_mac(mac)
    }

    fn at(&self, address: Ipv4Addr) -> Option<&Record> {
        self.table().at(address)
    }

    /// In address order.
    fn list(&self) -> Box<dyn Iterator<Item = &Record> + '_> {
        Box::new(self.table().list())
    }
}

/// The record that a release leaves, of a client that is bound to the address.
pub(crate) fn released(record: &Record, now: UnixSecs) -> Option<Record> {
    let State::Bound(binding) = &record.state else { return None };
    // A lease that has run out was free from its expiry on, not only from now.
    let since = match binding.expires() {
        Expiry::At(end) => end.min(now),
        Expiry::Never => now,
    };
    Some(Record { address: record.address, state: State::Released { binding: binding.clone(), since } })
}
