//! `lanboot leases`: who has which address.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use leases::{Expiry, Record, State, UnixSecs};

use crate::args::Leases;
use crate::{Outcome, problem};

pub fn list(args: &Leases) -> Outcome {
    let state = args.state.folder()?;
    let table = leases::read_only(&state).map_err(problem::of)?;
    let now = UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    if args.json {
        for record in table.list() {
            let line = serde_json::to_string(record).map_err(|error| problem::of(error.to_string()))?;
            println!("{line}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if table.is_empty() {
        println!("no leases in {}", state.display());
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
