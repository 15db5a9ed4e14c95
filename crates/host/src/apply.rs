//! A plan carried out, each change on record before it is made.

use std::io;
use std::path::Path;

use ipnet::Ipv4Net;

use crate::finding::Refusal;
use crate::nat::Nat;
use crate::netlink::NetlinkError;
use crate::plan::{ALIAS, Action, Plan};
use crate::record::{Change, Record, RecordError};
use crate::rtnl::{Link, Rtnl};
use crate::sysctl::{self, IP_FORWARD};
use crate::undo::{Undone, undo_leftover, undo_record};

/// A plan in force. [`Applied::undo`] ends it; so does dropping this, without a word about what went wrong.
///
/// Both must happen in a thread of the network namespace that the plan was applied in.
#[derive(Debug)]
#[must_use = "dropping this undoes the plan"]
pub struct Applied {
    /// The interface to serve on.
    pub interface: String,
    /// The address to serve from.
    pub address: Ipv4Net,
    /// Whether the interface is lanboot's own making.
    pub made: bool,
    /// What was done, in words, what a killed run had done before included.
    pub done: Vec<String>,
    record: Option<Record>,
    nat: Option<Nat>,
}

/// Why a plan was not carried out. What had been changed by then has been undone, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{refusal}")]
    Blocked { refusal: Refusal },
    #[error("the changes could not be put on record, so none was made: {0}")]
    Record(#[from] RecordError),
    #[error("could not {action}: {why}{}", not_undone(.undone))]
    Failed { action: Box<Action>, why: Failure, undone: Box<Undone> },
    #[error("what a killed run left of {} could not be undone{}", .0.interface, not_undone(.0))]
    Leftover(Undone),
}

impl ApplyError {
    /// What to do about it, where we know.
    pub fn fix(&self) -> Option<String> {
        match self {
            ApplyError::Blocked { refusal } => Some(refusal.fix()),
            ApplyError::Record(error) => Some(error.fix()),
            ApplyError::Failed { undone, .. } if undone.errors.is_empty() => None,
            ApplyError::Failed { .. } | ApplyError::Leftover(_) => Some("lanboot down tries again".to_owned()),
        }
    }
}

/// Why one action failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{0} is gone")]
    Vanished(String),
    #[error(transparent)]
    Record(#[from] RecordError),
}

fn not_undone(undone: &Undone) -> String {
    undone.errors.iter().map(|error| format!("; and {error}")).collect()
}

/// Carries out `plan`, recording each change in `state_dir` before it is made.
///
/// # Errors
/// At the first change that fails; those before it are undone.
pub fn apply(plan: &Plan, state_dir: &Path) -> Result<Applied, ApplyError> {
    if let Some(refusal) = &plan.blocked {
        return Err(ApplyError::Blocked { refusal: refusal.clone() });
    }
    for leftover in &plan.stale {
        let undone = undo_leftover(leftover);
        if !undone.errors.is_empty() {
            return Err(ApplyError::Leftover(undone));
        }
    }
    let mut applied = Applied {
        interface: plan.interface.clone(),
        address: plan.address,
        made: plan.made,
        done: plan.adopted.iter().map(|change| change.action.to_string()).collect(),
        record: None,
        nat: None,
    };
    if plan.actions.is_empty() && plan.adopted.is_empty() {
        return Ok(applied);
    }
    let mut record = Record::take(state_dir, &plan.interface, &plan.adopted)?;
    for action in &plan.actions {
        if let Err(why) = perform(action, &mut record, &mut applied.nat) {
            let undone = undo_record(record, applied.nat.take());
            return Err(ApplyError::Failed { action: Box::new(action.clone()), why, undone: Box::new(undone) });
        }
        applied.done.push(action.to_string());
    }
    applied.record = Some(record);
    Ok(applied)
}

impl Applied {
    /// Puts the host back exactly as it was. Goes on past errors; while there are any, the record stays for
    /// [`undo_leftovers`](crate::undo_leftovers) to try again.
    pub fn undo(mut self) -> Undone {
        self.take_back().unwrap_or_else(|| Undone { interface: self.interface.clone(), done: vec![], errors: vec![] })
    }

    fn take_back(&mut self) -> Option<Undone> {
        let nat = self.nat.take();
        self.record.take().map(|record| undo_record(record, nat))
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        self.take_back();
    }
}

fn perform(action: &Action, record: &mut Record, nat: &mut Option<Nat>) -> Result<(), Failure> {
    let mut rtnl = Rtnl::open()?;
    let mut change = Change::from(action.clone());
    match action {
        Action::MakeBridge { name, mac } => {
            record.begin(change)?;
            rtnl.make_bridge(name, *mac)?;
            let index = existing(&mut rtnl, name)?.index;
            rtnl.set_alias(index, ALIAS)?;
        }
        Action::Enslave { port, bridge } => {
            let (port, bridge) = (existing(&mut rtnl, port)?, existing(&mut rtnl, bridge)?);
            change.bridge_mac = bridge.mac;
            record.begin(change)?;
            rtnl.set_controller(port.index, bridge.index)?;
        }
        Action::GiveAddress { interface, address } => {
            let index = existing(&mut rtnl, interface)?.index;
            record.begin(change)?;
            rtnl.add_address(index, *address)?;
        }
        Action::BringUp { interface } => {
            let index = existing(&mut rtnl, interface)?.index;
            record.begin(change)?;
            rtnl.set_up(index, true)?;
        }
        Action::Translate { rules } => {
            record.begin(change)?;
            *nat = Some(Nat::install(rules)?);
        }
        Action::TurnOnForwarding => {
            change.before = Some(sysctl::read_all().map_err(|source| file_failure(IP_FORWARD, source))?);
            record.begin(change)?;
            sysctl::write(IP_FORWARD, "1").map_err(|source| file_failure(IP_FORWARD, source))?;
            record.note_after(sysctl::read_all().map_err(|source| file_failure(IP_FORWARD, source))?)?;
        }
        Action::SetForwarding { interface, to, .. } => {
            record.begin(change)?;
            let setting = sysctl::forwarding_of(interface);
            sysctl::write(&setting, to).map_err(|source| file_failure(&setting, source))?;
        }
    }
    Ok(())
}

fn existing(rtnl: &mut Rtnl, name: &str) -> Result<Link, Failure> {
    rtnl.link(name)?.ok_or_else(|| Failure::Vanished(name.to_owned()))
}

fn file_failure(setting: &str, source: io::Error) -> Failure {
    Failure::File { path: sysctl::path(setting).display().to_string(), source }
}
