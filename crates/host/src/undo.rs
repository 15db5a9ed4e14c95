//! Leaving no trace: what the record tells of, taken back in reverse order, past every error.

use std::fmt;
use std::io;
use std::path::Path;

use mac::Mac;

use crate::nat::{self, Nat};
use crate::netlink::NetlinkError;
use crate::plan::Action;
use crate::record::{Change, Fate, Leftover, Record, RecordError, leftovers};
use crate::rtnl::{Link, Rtnl};
use crate::sysctl;

/// What came of undoing the changes for one interface.
#[derive(Debug)]
#[must_use = "errors in here mean that something of ours is still there"]
pub struct Undone {
    pub interface: String,
    /// What was put back, in words, in the order in which it was done.
    pub done: Vec<String>,
    /// When there are any, the record is kept, to try again.
    pub errors: Vec<UndoError>,
}

#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error("what `{action}` did could not be undone: {source}")]
    Kernel { action: Action, source: NetlinkError },
    #[error("{setting} could not be put back to {value}: {source}")]
    Sysctl { setting: String, value: String, source: io::Error },
    #[error("the kernel's settings could not be read: {0}")]
    Settings(io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing of it can be undone from here.
    #[error(
        "the changes to {interface} were made in another network namespace: nsenter --net={namespace} lanboot down"
    )]
    Elsewhere { interface: String, namespace: String },
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for done in &self.done {
            writeln!(f, "{done}")?;
        }
        for error in &self.errors {
            writeln!(f, "error: {error}")?;
        }
        Ok(())
    }
}

/// Undoes what killed runs have left, for every interface that `state_dir` has a record of; `lanboot down`.
///
/// A run that is alive keeps its changes, and shows as [`RecordError::Running`].
///
/// # Errors
/// When a record cannot be read; nothing has been undone then.
pub fn undo_leftovers(state_dir: &Path) -> Result<Vec<Undone>, RecordError> {
    Ok(leftovers(state_dir)?.iter().map(undo_leftover).collect())
}

pub(crate) fn undo_leftover(leftover: &Leftover) -> Undone {
    let interface = leftover.interface.clone();
    let failed = |error| Undone { interface: interface.clone(), done: vec![], errors: vec![error] };
    if let Fate::Elsewhere { namespace } = &leftover.fate {
        return failed(UndoError::Elsewhere { interface: interface.clone(), namespace: namespace.clone() });
    }
    let record = match Record::reopen(leftover) {
        Ok(Some(record)) => record,
        Ok(None) => return Undone { interface, done: vec![], errors: vec![] },
        Err(error) => return failed(error.into()),
    };
    if leftover.fate == Fate::Gone {
        let done = format!("nothing was left of {interface}: the computer, or its container, has been started anew");
        let errors = record.remove().err().map(UndoError::from).into_iter().collect();
        return Undone { interface, done: vec![done], errors };
    }
    undo_record(record, None)
}

/// `nat`: the table's owner, if that is us.
pub(crate) fn undo_record(mut record: Record, mut nat: Option<Nat>) -> Undone {
    let mut undone = Undone { interface: record.interface.clone(), done: vec![], errors: vec![] };
    // Half an undo changes settings as well: the next try must not take those for somebody else's.
    if let Err(error) = record.begin_undo() {
        undone.errors.push(error.into());
    }
    match Rtnl::open() {
        Ok(mut rtnl) => {
            for change in record.changes.iter().rev() {
                undo_change(change, record.undoing, &mut rtnl, &mut nat, &mut undone);
            }
        }
        Err(source) => undone.errors.extend(
            record
                .changes
                .iter()
                .map(|change| UndoError::Kernel { action: change.action.clone(), source: source.clone() }),
        ),
    }
    if undone.errors.is_empty() {
        undone.errors.extend(record.remove().err().map(UndoError::from));
    }
    undone
}

fn undo_change(change: &Change, again: bool, rtnl: &mut Rtnl, nat: &mut Option<Nat>, undone: &mut Undone) {
    let outcome = match &change.action {
        Action::TurnOnForwarding => return turn_off_forwarding(change, again, undone),
        Action::SetForwarding { interface, from, to } => return close(interface, from, to, undone),
        Action::MakeBridge { name, mac } => delete_bridge(rtnl, name, *mac),
        Action::Enslave { port, bridge } => release(rtnl, port, bridge, change.bridge_mac),
        Action::GiveAddress { interface, address } => rtnl.link(interface).and_then(|link| match link {
            Some(link) => {
                gone_is_fine(rtnl.delete_address(link.index, *address), || format!("took {address} from {interface}"))
            }
            None => Ok(None),
        }),
        Action::BringUp { interface } => rtnl.link(interface).and_then(|link| match link {
            Some(link) if link.up => gone_is_fine(rtnl.set_up(link.index, false), || format!("took {interface} down")),
            _ => Ok(None),
        }),
        Action::Translate { rules } => {
            let removed = nat.take().map_or_else(|| nat::delete_table(&rules.interface), Nat::remove);
            removed.map(|was_there| was_there.then(|| format!("removed nftables table ip {}", rules.table())))
        }
    };
    match outcome {
        Ok(done) => undone.done.extend(done),
        Err(source) => undone.errors.push(UndoError::Kernel { action: change.action.clone(), source }),
    }
}

/// What was done, or that there was nothing to do.
type Outcome = Result<Option<String>, NetlinkError>;

fn gone_is_fine(result: Result<(), NetlinkError>, done: impl FnOnce() -> String) -> Outcome {
    match result {
        Ok(()) => Ok(Some(done())),
        Err(error) if [libc::ENODEV, libc::EADDRNOTAVAIL].contains(&error.errno) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Only the bridge of our making goes, which its MAC tells; one that somebody made in its place stays.
fn delete_bridge(rtnl: &mut Rtnl, name: &str, mac: Mac) -> Outcome {
    let links = rtnl.links()?;
    let ours = |link: &&Link| link.name == name && link.mac == Some(mac) && link.kind.as_deref() == Some("bridge");
    let Some(bridge) = links.iter().find(ours) else { return Ok(None) };
    let ports = links.iter().filter(|link| link.controller == Some(bridge.index)).map(|link| link.name.as_str());
    let ports: Vec<&str> = ports.collect();
    gone_is_fine(rtnl.delete_link(bridge.index), || match ports.is_empty() {
        true => format!("deleted bridge {name}"),
        false => {
            format!("deleted bridge {name}; {} had been put into it since, and now stands alone", ports.join(", "))
        }
    })
}

fn release(rtnl: &mut Rtnl, port: &str, bridge: &str, bridge_mac: Option<Mac>) -> Outcome {
    let (Some(port_link), Some(bridge_link)) = (rtnl.link(port)?, rtnl.link(bridge)?) else { return Ok(None) };
    if port_link.controller != Some(bridge_link.index) {
        return Ok(None);
    }
    let done = gone_is_fine(rtnl.set_controller(port_link.index, 0), || format!("took {port} out of {bridge}"))?;
    // A bridge whose last port leaves is left with no MAC at all.
    if let (Some(mac), Some(Mac::ZERO)) = (bridge_mac, rtnl.link(bridge)?.and_then(|link| link.mac)) {
        rtnl.set_mac(bridge_link.index, mac)?;
    }
    Ok(done)
}

fn turn_off_forwarding(change: &Change, again: bool, undone: &mut Undone) {
    let now = match sysctl::read_all() {
        Ok(now) => now,
        Err(error) => return undone.errors.push(UndoError::Settings(error)),
    };
    let before = change.before.clone().unwrap_or_default();
    let after = change.after.as_ref().filter(|_| !again);
    let target = sysctl::restored(&before, after, &now);
    let errors = sysctl::write_all(&target);
    if errors.is_empty() && target != now {
        undone.done.push("turned off IPv4 forwarding".to_owned());
    }
    undone.errors.extend(errors.into_iter().map(|(setting, source)| {
        let value = target.get(&setting).cloned().unwrap_or_default();
        UndoError::Sysctl { setting: sysctl::dotted(&setting), value, source }
    }));
}

/// Puts back the forwarding of one interface, unless somebody has changed it since, or it is gone.
fn close(interface: &str, from: &str, to: &str, undone: &mut Undone) {
    let setting = sysctl::forwarding_of(interface);
    if sysctl::read(&setting).is_ok_and(|now| now == to) {
        match sysctl::write(&setting, from) {
            Ok(()) => undone.done.push(format!("turned off IPv4 forwarding for {interface}")),
            Err(source) => {
                let setting = sysctl::dotted(&setting);
                undone.errors.push(UndoError::Sysctl { setting, value: from.to_owned(), source });
            }
        }
    }
}
