//! The one place where what happened becomes a journal event.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use journal::{Journal, Step};
use mac::Mac;

use crate::machines::Machines;

/// Where every service reports to.
#[derive(Clone)]
pub struct Reporter {
    pub journal: Journal,
    pub machines: Arc<Machines>,
}

impl Reporter {
    /// Something happened to this machine, or to the host when there is none.
    pub fn step(&self, machine: Option<Mac>, step: Step) {
        self.follow(machine, step, |step| self.journal.append(machine, step));
    }

    /// Something happened to a machine that we heard on this interface.
    pub fn step_on(&self, interface: &str, machine: Option<Mac>, step: Step) {
        self.follow(machine, step, |step| self.journal.append_on(interface, machine, step));
    }

    fn follow(&self, machine: Option<Mac>, step: Step, append: impl FnOnce(Step)) {
        let up = machine.is_some_and(|mac| self.machines.follow(mac, &step, Instant::now()));
        append(step);
        if up {
            let detail = Some("it asked for an address after its kernel was sent".to_owned());
            self.step(machine, Step::OsUp { how: "dhcp".into(), detail });
        }
    }

    /// Something needs a person.
    pub fn warn(&self, text: &str, fix: &str) {
        self.step(None, Step::Warning { text: text.to_owned(), fix: Some(fix.to_owned()) });
    }

    /// Something happened with the machine that has this address.
    pub fn step_at(&self, address: Ipv4Addr, step: Step) {
        let machine = self.machines.by_address(address);
        self.follow(machine, step, |step| self.journal.append_from(address, machine, step));
    }
}
