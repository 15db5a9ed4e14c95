//! Leases in PostgreSQL, for several lanboot nodes that serve the same networks.
//!
//! The database decides: one row per address, one address per client, one batch of changes after the other, whichever node they
//! come from. Each node has all of it in its table as well, to choose addresses from and to answer who has which; where the two
//! differ, the database is right and the table learns. Nothing is granted while the database cannot be reached.

mod fault;
mod link;
mod rows;
mod schema;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use link::{Link, Report};
use rows::Standing;
pub use schema::SchemaState;
use session::{Time, Verdict};
pub use settings::PostgresSettings;

use crate::error::StoreError;
use crate::record::{Lease, Record, State, UnixSecs};
use crate::store::{Change, LeaseStore, Occupant, Outcome, Taken, released};
use crate::table::{Table, occupant};

/// Leases in a PostgreSQL database.
pub struct PostgresStore {
    link: Link,
    table: Table,
    settled: Option<Result<Vec<Outcome>, StoreError>>,
    news: Vec<Record>,
}

/// What was found when the database was first reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOpened {
    /// By which addresses the nodes serve that share these leases, this one included.
    pub nodes: Vec<Ipv4Addr>,
    /// How far this host's clock is ahead of the database's, in seconds. Leases go by the database's.
    pub ahead_secs: i64,
}

impl PostgresStore {
    /// Connects, brings the schema up to date where the role may, and reads all leases. `ours`: by which addresses this node
    /// serves, for the others to know.
    ///
    /// # Errors
    /// The database cannot be reached or used; says why, and what to do.
    pub fn open(
        settings: PostgresSettings,
        ours: Vec<Ipv4Addr>,
    ) -> Result<(PostgresStore, PostgresOpened), StoreError> {
        PostgresStore::by_clock(settings, ours, Time::Databases)
    }

    fn by_clock(
        settings: PostgresSettings,
        ours: Vec<Ipv4Addr>,
        time: Time,
    ) -> Result<(PostgresStore, PostgresOpened), StoreError> {
        let (link, found) = Link::start(settings, ours, time)?;
        let store = PostgresStore { link, table: into_table(found.records), settled: None, news: Vec::new() };
        Ok((store, PostgresOpened { nodes: found.nodes, ahead_secs: found.ahead_secs }))
    }

    /// Takes in all that the thread has to tell.
    fn hear(&mut self) {
        while let Some(report) = self.link.take() {
            match report {
                Report::Settled(batch, result) => {
                    self.settled = Some(result.map(|verdicts| self.outcomes(batch, verdicts)));
                }
                Report::Learnt(standings) => standings.into_iter().for_each(|standing| self.learn(standing)),
                Report::Anew(records) => self.begin_anew(records),
            }
        }
    }

    fn outcomes(&mut self, batch: Vec<Change>, verdicts: Vec<Verdict>) -> Vec<Outcome> {
        batch.into_iter().zip(verdicts).map(|(change, verdict)| self.outcome(change, verdict)).collect()
    }

    fn outcome(&mut self, change: Change, Verdict { done, standing }: Verdict) -> Outcome {
        match change {
            Change::Grant(grant) if done => {
                let lease = Lease::of(grant);
                self.table.put(lease.record());
                Outcome::Granted(lease)
            }
            Change::Grant(grant) => {
                let former = standing.as_ref().and_then(|standing| standing.former.clone()).map(Occupant::Client);
                let by =
                    standing.as_ref().and_then(|standing| occupant(standing.record.as_ref()?, &grant.key, grant.now));
                let by = by.or(former);
                standing.into_iter().for_each(|standing| self.learn(standing));
                // Without an occupant the client itself holds another address, given to it since it asked for this one.
                let by = by.unwrap_or(Occupant::Client(grant.key));
                Outcome::Taken(Taken { address: grant.address, by })
            }
            Change::Release { address, now, .. } => {
                let record = self.table.at(address).filter(|_| done).and_then(|record| released(record, now));
                self.put(record, standing);
                Outcome::Released(done)
            }
            Change::Unname { address, .. } => {
                let record = self.table.at(address).filter(|_| done).and_then(Record::without_name);
                self.put(record, standing);
                Outcome::Unnamed(done)
            }
            Change::Decline { address, until } => {
                self.table.put(Record { address, state: State::Declined { until } });
                Outcome::Declined
            }
        }
    }

    fn put(&mut self, done: Option<Record>, standing: Option<Standing>) {
        done.into_iter().for_each(|record| self.table.put(record));
        standing.into_iter().for_each(|standing| self.learn(standing));
    }

    /// Takes the database's word for an address, and notes what is new of it.
    fn learn(&mut self, Standing { address, record, .. }: Standing) {
        match record {
            Some(record) => {
                if self.table.at(address).is_none_or(|known| !is_same(known, &record)) {
                    self.news.push(record.clone());
                }
                self.table.put(record);
            }
            None => self.forget(address),
        }
    }

    fn forget(&mut self, address: Ipv4Addr) {
        if self.table.forget(address) {
            self.news.push(Record { address, state: State::Declined { until: UnixSecs(0) } });
        }
    }

    fn begin_anew(&mut self, records: Vec<Record>) {
        let before = std::mem::replace(&mut self.table, into_table(Vec::new()));
        for record in records {
            if before.at(record.address).is_none_or(|known| !is_same(known, &record)) {
                self.news.push(record.clone());
            }
            self.table.put(record);
        }
        let gone = before.list().map(|record| record.address).filter(|address| self.table.at(*address).is_none());
        self.news.extend(gone.map(|address| Record { address, state: State::Declined { until: UnixSecs(0) } }));
    }
}

impl LeaseStore for PostgresStore {
    fn table(&self) -> &Table {
        &self.table
    }

    fn begin(&mut self, batch: Vec<Change>) {
        self.link.give(batch);
    }

    fn settled(&mut self) -> Option<Result<Vec<Outcome>, StoreError>> {
        self.hear();
        self.settled.take()
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.link.ready().as_fd())
    }

    /// An address that has become free without its client giving it back is told as declined until 1970.
    fn news(&mut self) -> Vec<Record> {
        self.hear();
        std::mem::take(&mut self.news)
    }

    fn is_sole(&self) -> bool {
        false
    }
}

/// All leases in the database, without serving from it or changing anything.
///
/// # Errors
/// As [`PostgresStore::open`].
pub fn list_postgres(settings: &PostgresSettings) -> Result<Table, StoreError> {
    let records = link::once(settings, session::list(settings))?;
    Ok(into_table(records))
}

/// Looks whether the database can be used, and changes nothing. Gives by which addresses nodes serve from it.
///
/// # Errors
/// As [`PostgresStore::open`].
pub fn check_postgres(settings: &PostgresSettings) -> Result<Vec<Ipv4Addr>, StoreError> {
    link::once(settings, session::check(settings))
}

/// How far the schema of the database is; `apply`: after bringing it up to date, the state before.
///
/// # Errors
/// The database cannot be reached, the schema is newer than this lanboot, or the role may not change it.
pub fn migrate_postgres(settings: &PostgresSettings, apply: bool) -> Result<SchemaState, StoreError> {
    link::once(settings, session::migrate(settings, apply))
}

/// Whether both say the same of an address, but for the rounding of clocks.
fn is_same(known: &Record, told: &Record) -> bool {
    let is_near = |a: UnixSecs, b: UnixSecs| a.0.abs_diff(b.0) <= 2;
    match (&known.state, &told.state) {
        (State::Bound(known), State::Bound(told)) => {
            let near = is_near(known.granted, told.granted);
            let alike = |binding: &crate::Binding| crate::Binding { granted: UnixSecs(0), ..binding.clone() };
            near && alike(known) == alike(told)
        }
        (State::Released { binding: known, .. }, State::Released { binding: told, .. }) => known.key == told.key,
        (State::Declined { until: known }, State::Declined { until: told }) => is_near(*known, *told),
        _ => false,
    }
}

fn into_table(records: Vec<Record>) -> Table {
    let mut table = Table::default();
    records.into_iter().for_each(|record| table.put(record));
    table
}
