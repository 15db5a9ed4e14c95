//! What every lease store can do.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;

use mac::Mac;

use crate::error::StoreError;
use crate::record::{ClientKey, Grant, Lease, Record, State, UnixSecs};
use crate::table::Table;

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

/// Keeps leases so that none is forgotten and no address is given twice. Durable means that the call has returned `Ok`; after an
/// `Err` the store knows what it knew before.
pub trait LeaseStore: Send {
    /// All that is known, in memory.
    fn table(&self) -> &Table;

    /// Gives addresses to clients: one durable write for the whole batch, one answer per grant, in order.
    ///
    /// A grant is refused when another client holds the address at `grant.now`, when it is declined then, or when an earlier
    /// grant of the batch gave it to another client. A client that is given a new address loses its former one.
    ///
    /// # Errors
    /// Nothing of the batch was granted. [`StoreError::ReadOnly`] stays until the store is opened anew.
    fn commit(&mut self, batch: Vec<Grant>) -> Result<Vec<Result<Lease, Taken>>, StoreError>;

    /// Notes durably that `key` gave `address` back at `now` (DHCPRELEASE). `false`: `key` does not hold it; nothing changed.
    fn release(&mut self, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> Result<bool, StoreError>;

    /// Notes durably that a stranger uses `address` (DHCPDECLINE, or a probe that was answered): nobody gets it before `until`.
    /// Whoever held it holds it no longer; that a DECLINE comes from the holder is for the caller to check.
    fn decline(&mut self, address: Ipv4Addr, until: UnixSecs) -> Result<(), StoreError>;

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

/// Decides on each grant of a batch, in order, and changes nothing: a store first makes the leases durable, then puts them in
/// its table. Stricter than need be where a client moves within the batch: the address it leaves is free from the next batch on.
pub(crate) fn decide(table: &Table, batch: Vec<Grant>) -> Vec<Result<Lease, Taken>> {
    let mut given: HashMap<Ipv4Addr, ClientKey> = HashMap::with_capacity(batch.len());
    let mut decide_one = |grant: Grant| {
        let Grant { address, ref key, now, .. } = grant;
        if let Some(other) = given.get(&address).filter(|holder| *holder != key) {
            return Err(Taken { address, by: Occupant::Client(other.clone()) });
        }
        table.check(address, key, now)?;
        given.insert(address, key.clone());
        Ok(Lease::of(grant))
    };
    batch.into_iter().map(&mut decide_one).collect()
}

/// The record that a release leaves, if `key` is bound to `address`.
pub(crate) fn released(table: &Table, address: Ipv4Addr, key: &ClientKey, now: UnixSecs) -> Option<Record> {
    match &table.at(address)?.state {
        State::Bound(binding) if binding.key == *key => {
            // A lease that has run out was free from its expiry on, not only from now.
            let since = match binding.expires() {
                crate::Expiry::At(end) => end.min(now),
                crate::Expiry::Never => now,
            };
            Some(Record { address, state: State::Released { binding: binding.clone(), since } })
        }
        _ => None,
    }
}
