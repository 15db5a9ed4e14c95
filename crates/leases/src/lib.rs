//! Who holds which address, surviving a power cut.
//!
//! A [`LeaseStore`] keeps one [`Record`] per address and gives a [`Lease`], which alone can be acknowledged, only for what it
//! has made durable. [`Holds`] keeps addresses that are offered and not yet asked for; [`Pool`] says which address to
//! try next for a client. Nothing here reads a clock: wall time comes in as [`UnixSecs`], running time as `Instant`.

mod allocate;
mod codec;
mod compact;
#[cfg(test)]
mod conformance;
mod decide;
mod disk;
mod embedded;
mod error;
mod holds;
mod log;
mod memory;
#[cfg(test)]
mod model;
mod postgres;
mod record;
mod runs;
#[cfg(test)]
mod simulated;
mod store;
mod table;
mod writer;

pub use allocate::{Ask, Candidate, Clock, Pool, Strategy, Why, candidate};
pub use disk::{Aside, Disk, FileDisk};
pub use embedded::{EmbeddedStore, Opened, read_only};
pub use error::StoreError;
pub use holds::{Held, Holds};
pub use memory::MemoryStore;
pub use postgres::{
    PostgresOpened, PostgresSettings, PostgresStore, SchemaState, check_postgres, list_postgres, migrate_postgres,
};
pub use record::{Binding, ClientId, ClientIdTooLong, ClientKey, Expiry, Grant, Lease, Record, State, UnixSecs};
pub use store::{Change, LeaseStore, Occupant, Outcome, Taken};
pub use table::Table;
pub use writer::Tuning;
