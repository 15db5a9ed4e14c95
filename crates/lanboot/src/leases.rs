//! `lanboot leases`: who has which address; and the tables that this is kept in, where that is a database.

use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use config::{Diagnostic, Diagnostics};
use jiff::Timestamp;
use leases::{Expiry, PostgresSettings, Record, State, Table, UnixSecs};

use crate::args::{Leases, LeasesCommand};
use crate::{Outcome, problem, setup};

pub fn leases(args: &Leases) -> Outcome {
    match &args.command {
        None => list(args),
        Some(LeasesCommand::Migrate { database, config, dry_run }) => {
            migrate(database.as_deref(), config.as_deref(), *dry_run)
        }
    }
}

fn list(args: &Leases) -> Outcome {
    let (table, place) = table(args)?;
    let now = UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    if args.json {
        for record in table.list() {
            let line = serde_json::to_string(record).map_err(|error| problem::of(error.to_string()))?;
            println!("{line}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if table.is_empty() {
        println!("no leases in {place}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<16}{:<19}{:<20}STATE", "ADDRESS", "MACHINE", "NAME");
    for record in table.list() {
        let binding = record.binding();
        let machine = binding.map_or("-".into(), |binding| binding.mac.to_string());
        let name = binding.and_then(|binding| binding.hostname.as_deref()).unwrap_or("-");
        println!("{:<16}{machine:<19}{name:<20}{}", record.address.to_string(), standing(record, now));
    }
    Ok(ExitCode::SUCCESS)
}

/// All that is known, and where it is kept.
fn table(args: &Leases) -> Result<(Table, String), Diagnostics> {
    let database = match &args.database {
        Some(url) => Some(PostgresSettings::new(url, None).map_err(problem::of)?),
        None if args.state.state.is_some() => None,
        None => setup::database(args.state.config.as_deref())?,
    };
    if let Some(settings) = database {
        let table = leases::list_postgres(&settings).map_err(problem::of)?;
        return Ok((table, settings.server().to_owned()));
    }
    let state = args.state.folder()?;
    let table = leases::read_only(&state).map_err(problem::of)?;
    Ok((table, state.display().to_string()))
}

fn migrate(url: Option<&str>, config: Option<&Path>, dry_run: bool) -> Outcome {
    let settings = match url {
        Some(url) => Some(PostgresSettings::new(url, None).map_err(problem::of)?),
        None => setup::database(config)?,
    };
    let settings = settings.ok_or_else(|| {
        let fix = "name one: lanboot leases migrate postgresql://OWNER@HOST/DATABASE";
        Diagnostic::error("no database is named, neither here nor in a configuration").fix(fix)
    })?;
    let before = leases::migrate_postgres(&settings, !dry_run).map_err(problem::of)?;
    let done = if dry_run { "to be applied" } else { "applied" };
    for (number, subject) in before.missing() {
        println!("migration {number}: {subject}: {done}");
    }
    if before.missing().next().is_none() {
        println!("the {} is up to date (schema {})", settings.server(), before.applied);
    }
    Ok(ExitCode::SUCCESS)
}

fn standing(record: &Record, now: UnixSecs) -> String {
    match (&record.state, record.free_from()) {
        (State::Bound(_), Expiry::Never) => "leased for ever".into(),
        (State::Bound(_), Expiry::At(end)) if end > now => format!("leased until {}", at(end)),
        (State::Bound(_), Expiry::At(end)) => format!("free since {}, kept for its machine", at(end)),
        (State::Released { since, .. }, _) => format!("given back {}, kept for its machine", at(*since)),
        (State::Declined { until }, _) => format!("in use by somebody else, set aside until {}", at(*until)),
    }
}

fn at(time: UnixSecs) -> String {
    let stamp = i64::try_from(time.0).ok().and_then(|secs| Timestamp::from_second(secs).ok());
    let zoned = stamp.map(|stamp| stamp.to_zoned(jiff::tz::TimeZone::system()));
    zoned.map_or_else(|| time.0.to_string(), |zoned| zoned.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
