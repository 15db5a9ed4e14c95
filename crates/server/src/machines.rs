//! The machines that we have lately heard of: which address each has, and how far its boot has come.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boot::{Facts, History};
use journal::{Role, Stage, Step};
use mac::Mac;

/// Machines not heard of for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How often that is looked after.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// At most this many are remembered, whatever MAC addresses somebody makes up.
pub const MOST: usize = 16_384;
/// How long after its last DHCP message a machine may still be at its network set-up in iPXE.
const IPXE_SETS_UP: Duration = Duration::from_secs(30);

/// How long a boot takes at most, an installation included, after the last that we saw of it.
const BOOTS: Duration = Duration::from_secs(3600);

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
    facts: Option<Arc<Facts>>,
    history: History,
    /// When an iPXE last asked for an address; nothing once somebody else runs there.
    in_ipxe: Option<Instant>,
    /// When it last asked for something that only a boot needs; nothing once it has said that it is up.
    booting: Option<Instant>,
    /// A kernel was sent and no sign of a running system has been seen since.
    starting: bool,
}

impl Machines {
    /// Remembers which address a machine was given, in place of the one that it had.
    pub fn has_address(&self, mac: Mac, address: Ipv4Addr, now: Instant) {
        let mut known = self.lock();
        let former = known.machine(mac, now).address.replace(address);
        // Beside another server a machine's word is all there is: it gets no more room for saying many.
        if let Some(former) = former.filter(|former| known.by_address.get(former) == Some(&mac)) {
            known.by_address.remove(&former);
        }
        known.by_address.insert(address, mac);
    }

    /// Who has this address, if it was given by us.
    pub fn by_address(&self, address: Ipv4Addr) -> Option<Mac> {
        self.lock().by_address.get(&address).copied()
    }

    pub fn history(&self, mac: Mac) -> History {
        self.lock().by_mac.get(&mac).map(|machine| machine.history.clone()).unwrap_or_default()
    }

    /// Keeps what a booting machine said of itself.
    pub fn met(&self, facts: Arc<Facts>, now: Instant) {
        let mut known = self.lock();
        let machine = known.machine(facts.mac, now);
        machine.in_ipxe = (facts.stage == Stage::Ipxe).then_some(now);
        machine.facts = Some(facts);
    }

    /// Whether this machine is setting up its network in iPXE now, as far as we were told.
    pub fn is_in_ipxe(&self, mac: Mac, now: Instant) -> bool {
        let in_ipxe = self.lock().by_mac.get(&mac).and_then(|machine| machine.in_ipxe);
        in_ipxe.is_some_and(|since| now.duration_since(since) < IPXE_SETS_UP)
    }

    /// What a machine last said of itself, with its present address and history.
    pub fn facts(&self, mac: Mac) -> Option<Facts> {
        let known = self.lock();
        let machine = known.by_mac.get(&mac)?;
        let mut facts = (**machine.facts.as_ref()?).clone();
        facts.address = machine.address;
        facts.history = machine.history.clone();
        Some(facts)
    }

    /// Follows a machine's boot. Returns true when the step shows that its operating system came up, once per boot.
    pub fn follow(&self, mac: Mac, step: &Step, now: Instant) -> bool {
        let mut known = self.lock();
        let machine = known.machine(mac, now);
        machine.booting = match step {
            Step::OsUp { how, .. } if how != "dhcp" => None,
            step if belongs_to_a_boot(step) => Some(now),
            _ => machine.booting,
        };
        match step {
            Step::FileSent { role: Role::Loader, file, .. } => machine.history.loader_sent(now, file),
            Step::FileSent { role, .. } => {
                machine.history.progressed();
                machine.starting |= *role == Role::Kernel;
                machine.in_ipxe = machine.in_ipxe.filter(|_| *role != Role::Kernel);
            }
            Step::DhcpDiscover { stage: Stage::Os, .. } => machine.in_ipxe = None,
            Step::DhcpAck { stage: Stage::Os, .. } | Step::AddressElsewhere { stage: Stage::Os, .. } => {
                return std::mem::take(&mut machine.starting);
            }
            Step::DhcpAck { .. } | Step::AddressElsewhere { .. } | Step::OsUp { .. } => machine.starting = false,
            _ => {}
        }
        false
    }

    /// Whether this machine is booting from us, its operating system's installation included, as far as can be told.
    pub fn is_booting(&self, mac: Mac, now: Instant) -> bool {
        let booting = self.lock().by_mac.get(&mac).and_then(|machine| machine.booting);
        booting.is_some_and(|since| now.duration_since(since) < BOOTS)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves at worst a stale note here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn belongs_to_a_boot(step: &Step) -> bool {
    match step {
        Step::FileSent { .. } | Step::ProxyAnswer { .. } | Step::VmStarted { .. } => true,
        Step::DhcpDiscover { stage, .. } | Step::DhcpAck { stage, .. } => *stage != Stage::Os,
        _ => false,
    }
}

impl Known {
    fn machine(&mut self, mac: Mac, now: Instant) -> &mut Machine {
        if now.duration_since(*self.swept.get_or_insert(now)) > SWEEP_EVERY {
            self.swept = Some(now);
            self.forget_before(now.checked_sub(FORGET_AFTER));
        }
        if self.by_mac.len() >= MOST && !self.by_mac.contains_key(&mac) {
            let mut heard: Vec<Instant> = self.by_mac.values().map(|machine| machine.heard).collect();
            // So many at once that the work is small for each.
            let (_, eighth, _) = heard.select_nth_unstable(MOST / 8);
            self.forget_before(Some(*eighth));
        }
        let unheard = || Machine {
            heard: now,
            address: None,
            facts: None,
            history: History::default(),
            in_ipxe: None,
            booting: None,
            starting: false,
        };
        let machine = self.by_mac.entry(mac).or_insert_with(unheard);
        machine.heard = now;
        machine
    }

    /// Forgets machines last heard of at this time or before.
    fn forget_before(&mut self, time: Option<Instant>) {
        let Some(time) = time else { return };
        self.by_mac.retain(|_, machine| machine.heard > time);
        let by_mac = &self.by_mac;
        self.by_address.retain(|_, mac| by_mac.contains_key(mac));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhcp::v4::Packet;
    use dhcp::v4::packet::{COOKIE, HEADER_OCTETS};
    use journal::Protocol;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn sent(role: Role) -> Step {
        let (protocol, file) = (Protocol::Http, "f".to_owned());
        Step::FileSent { protocol, file, role, octets: 1, millis: 1, retransmits: 0 }
    }

    fn ack(stage: Stage) -> Step {
        let address = Ipv4Addr::new(10, 0, 1, 2);
        Step::DhcpAck { stage, address, lease_secs: 60, name: None, boot_file: None, renewal: false, because: vec![] }
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

    /// What an iPXE says of itself.
    fn ipxe() -> Facts {
        let mut octets = vec![0; HEADER_OCTETS];
        octets[236..].copy_from_slice(&COOKIE);
        octets.extend(b"\x4d\x04iPXE\xff");
        let packet = Packet::parse(&octets).expect("a whole header");
        Facts::of(&packet, MAC, Ipv4Addr::new(10, 0, 1, 1), History::default())
    }

    #[test]
    fn a_machine_is_in_ipxe_until_its_system_takes_over() {
        let discover = Step::DhcpDiscover {
            stage: Stage::Os,
            arch: None,
            vendor_class: None,
            firmware: None,
            relay: None,
            asked: None,
        };
        let now = Instant::now();
        for next in [sent(Role::Kernel), discover] {
            let machines = Machines::default();
            assert!(!machines.is_in_ipxe(MAC, now));
            machines.met(ipxe().into(), now);
            machines.follow(MAC, &sent(Role::Script), now);
            assert!(machines.is_in_ipxe(MAC, now));
            machines.follow(MAC, &next, now);
            assert!(!machines.is_in_ipxe(MAC, now), "{next:?}");
        }
        let machines = Machines::default();
        machines.met(ipxe().into(), now);
        machines.follow(MAC, &sent(Role::Other), now + IPXE_SETS_UP);
        assert!(!machines.is_in_ipxe(MAC, now + IPXE_SETS_UP), "word of a file is no word of iPXE");
    }

    #[test]
    fn a_machine_boots_from_its_firmware_on_until_it_says_that_it_is_up() {
        let (machines, now) = (Machines::default(), Instant::now());
        machines.follow(MAC, &ack(Stage::Os), now);
        assert!(!machines.is_booting(MAC, now), "a telephone");
        let up = |how: &str| Step::OsUp { how: how.into(), detail: None };
        for first in [ack(Stage::Pxe), sent(Role::Kernel)] {
            machines.follow(MAC, &first, now);
            machines.follow(MAC, &ack(Stage::Os), now);
            machines.follow(MAC, &up("dhcp"), now);
            assert!(machines.is_booting(MAC, now + BOOTS / 2), "an installation has only begun");
            assert!(!machines.is_booting(MAC, now + BOOTS));
            machines.follow(MAC, &up("reported"), now);
            assert!(!machines.is_booting(MAC, now));
        }
    }

    #[test]
    fn made_up_machines_push_out_only_those_not_heard_of_for_longest() {
        let (machines, start) = (Machines::default(), Instant::now());
        for n in 0..2 * MOST as u32 {
            let [_, a, b, c] = n.to_be_bytes();
            let now = start + Duration::from_millis(n.into());
            machines.has_address(Mac([2, 1, 0, a, b, c]), Ipv4Addr::from_bits(n), now);
            machines.has_address(MAC, Ipv4Addr::new(10, 0, 1, 2), now);
            let known = machines.lock();
            assert!(known.by_mac.len() <= MOST && known.by_address.len() <= MOST);
        }
        assert_eq!(machines.by_address(Ipv4Addr::new(10, 0, 1, 2)), Some(MAC));
    }

    #[test]
    fn a_machine_has_one_address_whatever_it_says() {
        let (machines, now) = (Machines::default(), Instant::now());
        (0..100).for_each(|n| machines.has_address(MAC, Ipv4Addr::new(10, 0, 1, n), now));
        assert_eq!(machines.lock().by_address.len(), 1);
        // One that another machine has by now stays that one's.
        let (other, address) = (Mac([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(10, 0, 1, 99));
        machines.has_address(other, address, now);
        machines.has_address(MAC, Ipv4Addr::new(10, 0, 1, 1), now);
        assert_eq!(machines.by_address(address), Some(other));
    }

    #[test]
    fn addresses_lead_to_machines() {
        let machines = Machines::default();
        machines.has_address(MAC, Ipv4Addr::new(10, 0, 1, 2), Instant::now());
        assert_eq!(machines.by_address(Ipv4Addr::new(10, 0, 1, 2)), Some(MAC));
        assert_eq!(machines.by_address(Ipv4Addr::new(10, 0, 1, 3)), None);
    }
}
