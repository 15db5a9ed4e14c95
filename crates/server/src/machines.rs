//! The machines that we have lately heard of: which address each has, and how far its boot has come.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boot::{Facts, History};
use journal::{Role, Step};
use mac::Mac;

/// Machines not heard of for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How often that is looked after.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Shared by all services; every method takes the lock for a few look-ups only.
#[derive(Debug, Default)]
pub struct Machines(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_mac: HashMap<Mac, Machine>,
    by_address: HashMap<Ipv4Addr, Mac>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Machine {
    heard: Instant,
    address: Option<Ipv4Addr>,
    /// What its last boot-time DHCP message said, for the iPXE script that it asks for next.
    facts: Option<Facts>,
    history: History,
    /// A kernel was sent and no sign of a running system has been seen since.
    starting: bool,
}

impl Machines {
    /// Remembers which address a machine was given.
    pub fn has_address(&self, mac: Mac, address: Ipv4Addr, now: Instant) {
        let mut known = self.lock();
        known.by_address.insert(address, mac);
        known.machine(mac, now).address = Some(address);
    }

    /// Who has this address, if it was given by us.
    pub fn by_address(&self, address: Ipv4Addr) -> Option<Mac> {
        self.lock().by_address.get(&address).copied()
    }

    pub fn history(&self, mac: Mac) -> History {
        self.lock().by_mac.get(&mac).map(|machine| machine.history.clone()).unwrap_or_default()
    }

    /// Keeps what a booting machine said of itself.
    pub fn met(&self, facts: &Facts, now: Instant) {
        self.lock().machine(facts.mac, now).facts = Some(facts.clone());
    }

    /// Whether this machine is in iPXE now, as far as we were told within the last half minute.
    pub fn is_in_ipxe(&self, mac: Mac, now: Instant) -> bool {
        self.lock().by_mac.get(&mac).is_some_and(|machine| {
            let stage = machine.facts.as_ref().map(|facts| facts.stage);
            stage == Some(journal::Stage::Ipxe) && now.duration_since(machine.heard) < Duration::from_secs(30)
        })
    }

    /// What a machine last said of itself, with its present address and history.
    pub fn facts(&self, mac: Mac) -> Option<Facts> {
        let known = self.lock();
        let machine = known.by_mac.get(&mac)?;
        let mut facts = machine.facts.clone()?;
        facts.address = machine.address;
        facts.history = machine.history.clone();
        Some(facts)
    }

    /// Follows a machine's boot. Returns true when the step shows that its operating system came up, once per boot.
    pub fn follow(&self, mac: Mac, step: &Step, now: Instant) -> bool {
        let mut known = self.lock();
        let machine = known.machine(mac, now);
        match step {
            Step::FileSent { role: Role::Loader, file, .. } => machine.history.loader_sent(now, file),
            Step::FileSent { role, .. } => {
                machine.history.progressed();
                machine.starting |= *role == Role::Kernel;
            }
            Step::DhcpAck { stage: journal::Stage::Os, .. } => return std::mem::take(&mut machine.starting),
            Step::DhcpAck { .. } | Step::OsUp { .. } => machine.starting = false,
            _ => {}
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves at worst a stale note here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn machine(&mut self, mac: Mac, now: Instant) -> &mut Machine {
        if now.duration_since(*self.swept.get_or_insert(now)) > SWEEP_EVERY {
            self.swept = Some(now);
            self.by_mac.retain(|_, machine| now.duration_since(machine.heard) < FORGET_AFTER);
            let by_mac = &self.by_mac;
            self.by_address.retain(|_, mac| by_mac.contains_key(mac));
        }
        let unheard =
            || Machine { heard: now, address: None, facts: None, history: History::default(), starting: false };
        let machine = self.by_mac.entry(mac).or_insert_with(unheard);
        machine.heard = now;
        machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::{Protocol, Stage};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn sent(role: Role) -> Step {
        let (protocol, file) = (Protocol::Http, "f".to_owned());
        Step::FileSent { protocol, file, role, octets: 1, millis: 1, retransmits: 0 }
    }

    fn ack(stage: Stage) -> Step {
        let address = Ipv4Addr::new(10, 0, 1, 2);
        Step::DhcpAck { stage, address, lease_secs: 60, boot_file: None, renewal: false, because: vec![] }
    }

    #[test]
    fn an_os_asking_for_an_address_after_its_kernel_is_up_once() {
        let (machines, now) = (Machines::default(), Instant::now());
        assert!(!machines.follow(MAC, &ack(Stage::Os), now), "no kernel came from us");
        machines.follow(MAC, &sent(Role::Kernel), now);
        assert!(machines.follow(MAC, &ack(Stage::Os), now));
        assert!(!machines.follow(MAC, &ack(Stage::Os), now), "renewals are not another boot");
    }

    #[test]
    fn firmware_asking_again_means_that_no_os_came_up() {
        let (machines, now) = (Machines::default(), Instant::now());
        machines.follow(MAC, &sent(Role::Kernel), now);
        machines.follow(MAC, &ack(Stage::Pxe), now);
        assert!(!machines.follow(MAC, &ack(Stage::Os), now));
    }

    #[test]
    fn addresses_lead_to_machines() {
        let machines = Machines::default();
        machines.has_address(MAC, Ipv4Addr::new(10, 0, 1, 2), Instant::now());
        assert_eq!(machines.by_address(Ipv4Addr::new(10, 0, 1, 2)), Some(MAC));
        assert_eq!(machines.by_address(Ipv4Addr::new(10, 0, 1, 3)), None);
    }
}
