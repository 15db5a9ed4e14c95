//! The tables that lanboot needs in the database, made and brought up to date step by step.

use tokio_postgres::Client;

use super::fault::Fault;

/// Each step once, in order, and never changed after a release.
const MIGRATIONS: &[(&str, &str)] = &[("leases, nodes, change()", include_str!("migrations/001_leases.sql"))];

/// "lanbooM" in ASCII: one migrates, the others wait.
const LOCK: i64 = 30_506_424_210_517_837;

/// How far a database is, and how far this lanboot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// The number of the last migration that was applied; 0: none.
    pub applied: i32,
    /// The number of the last one that this lanboot has.
    pub known: i32,
}

impl SchemaState {
    /// Number and subject of each migration that is still to be applied.
    pub fn missing(&self) -> impl Iterator<Item = (i32, &'static str)> {
        let applied = self.applied;
        numbered().filter(move |(number, ..)| *number > applied).map(|(number, subject, _)| (number, subject))
    }
}

fn numbered() -> impl Iterator<Item = (i32, &'static str, &'static str)> {
    MIGRATIONS.iter().zip(1..).map(|((subject, sql), number)| (number, *subject, *sql))
}

/// Looks, and changes nothing.
pub(super) async fn look(client: &Client) -> Result<SchemaState, Fault> {
    let known = MIGRATIONS.len() as i32;
    let is_there = client.query_one("select to_regnamespace('lanboot') is not null", &[]).await?;
    if !is_there.get::<_, bool>(0) {
        return Ok(SchemaState { applied: 0, known });
    }
    let applied = client.query_one("select coalesce(max(number), 0) from lanboot.migrations", &[]).await?.get(0);
    Ok(SchemaState { applied, known })
}

/// Applies what is missing, all or nothing. Returns the state before.
///
/// # Errors
/// The schema is newer than this lanboot, or the role may not change it.
pub(super) async fn migrate(client: &mut Client) -> Result<SchemaState, Fault> {
    let found = look(client).await?;
    refuse_newer(found)?;
    if found.missing().next().is_none() {
        return Ok(found);
    }
    apply(client).await.map_err(|error| match error.code() {
        Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => Fault::new(
            format!("lacks tables, and this role may not make them: {}", Fault::from(error).what),
            "once, as the owner of the database: lanboot leases migrate postgresql://OWNER@HOST/DATABASE",
        ),
        _ => Fault::from(error),
    })?;
    Ok(found)
}

async fn apply(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    // Somebody else may have done it while we waited.
    let is_there = transaction.query_one("select to_regnamespace('lanboot') is not null", &[]).await?;
    if !is_there.get::<_, bool>(0) {
        let begin = "create schema lanboot; create table lanboot.migrations \
                     (number integer primary key, subject text not null, applied timestamptz not null default now())";
        transaction.batch_execute(begin).await?;
    }
    let applied = transaction.query_one("select coalesce(max(number), 0) from lanboot.migrations", &[]).await?;
    let applied: i32 = applied.get(0);
    for (number, subject, sql) in numbered().filter(|(number, ..)| *number > applied) {
        transaction.batch_execute(sql).await?;
        let note = "insert into lanboot.migrations (number, subject) values ($1, $2)";
        transaction.execute(note, &[&number, &subject]).await?;
    }
    transaction.commit().await
}

pub(super) fn refuse_newer(SchemaState { applied, known }: SchemaState) -> Result<(), Fault> {
    if applied <= known {
        return Ok(());
    }
    Err(Fault::new(
        format!("was migrated by a newer lanboot (schema {applied}; this one knows up to {known})"),
        "run that lanboot on this node too",
    ))
}
