//! A day of mixed load: nothing grows.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::ConflictCheck;
use dns::resolver::{Client as Asker, Handled, Resolver, Transport};
use dns::{Name, Settings};
use journal::Journal;
use leases::{Expiry, Record, UnixSecs};
use server::dhcp::LeaseChange;
use server::dhcp::engine::Effect;
use server::machines::Machines;

use crate::client::Habits;
use crate::counted;
use crate::lan::{Lan, Setup};

const HOUR: u64 = 3_600_000;

/// Machines that renew, go away for up to an hour, come back with or without what they had, give back and decline.
const SETUP: Setup = Setup {
    clients: 2000,
    addresses: 2400,
    lease: Duration::from_secs(2 * 3600),
    check: ConflictCheck::Off,
    habits: Habits { stays: 5 * HOUR, releases_one_in: 4, declines_one_in: 2000, off: HOUR, patience: 1000 },
    lost: 10,
    twice_one_in: 200,
    disk_takes: 20,
    compact_above: 64 << 10,
};

/// Events that a journal keeps.
const RECENT: usize = 4096;

/// What is around the DHCP service: the journal, the machines, and the names of leases.
struct Around {
    journal: Journal,
    machines: Arc<Machines>,
    resolver: Resolver,
    reply: Vec<u8>,
    answered: u64,
}

impl Around {
    fn hears(&mut self, now: Instant, wall: UnixSecs, effect: Effect) {
        match effect {
            Effect::Happened { machine, step, .. } => {
                if let Some(mac) = machine {
                    self.machines.follow(mac, &step, now);
                }
                self.journal.append(machine, step);
            }
            Effect::Lease(LeaseChange::Given { record, .. }) => self.given(now, wall, &record),
            Effect::Lease(LeaseChange::Known(records)) => {
                records.iter().for_each(|record| self.given(now, wall, record));
            }
            Effect::Lease(LeaseChange::Ended(address)) => self.resolver.lease_ended(address),
            _ => {}
        }
    }

    /// Its name is known from now on, and looked up at once.
    fn given(&mut self, now: Instant, wall: UnixSecs, record: &Record) {
        let Some(binding) = record.binding() else { return };
        let Some(Ok(name)) = binding.hostname.as_deref().map(str::parse::<Name>) else { return };
        let ends = match binding.expires() {
            Expiry::At(end) => Some(now + Duration::from_secs(end.0.saturating_sub(wall.0))),
            Expiry::Never => None,
        };
        let query = query(&name);
        self.resolver.lease_given(dns::local::Lease { address: record.address, name, domain: None, ends });
        let client = Asker {
            address: (record.address, 5353).into(),
            local: Ipv4Addr::new(10, 0, 0, 1).into(),
            interface: 1,
            transport: Transport::Udp,
            by: 0,
        };
        let handled = self.resolver.handle_query(now, &client, &query, &mut self.reply);
        self.answered += u64::from(handled == Handled::Reply && self.reply[7] == 1);
        self.resolver.drain().for_each(drop);
    }
}

/// For the addresses of this name.
fn query(name: &Name) -> Vec<u8> {
    let mut octets = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    octets.extend_from_slice(name.as_wire());
    octets.extend([0, 1, 0, 1]);
    octets
}

#[test]
fn a_day_of_mixed_load_leaves_memory_and_disk_as_they_were() {
    let mut lan = Lan::new(SETUP, 24);
    let around = Rc::new(RefCell::new(Around {
        journal: Journal::new(),
        machines: lan.machines.clone(),
        resolver: Resolver::new(Settings::default(), [1; 32]),
        reply: Vec::new(),
        answered: 0,
    }));
    let (start, wall, listener) = (lan.instant(), lan.wall(), around.clone());
    lan.listener = Some(Box::new(move |now, effect| {
        let later = Duration::from_millis(now);
        listener.borrow_mut().hears(start + later, UnixSecs(wall.0 + later.as_secs()), effect);
    }));
    lan.starts_server();
    let (mut live, mut log) = (Vec::new(), Vec::new());
    for sixth in 1..=6 * 24 {
        lan.runs_until(sixth * HOUR / 6);
        if sixth % 18 == 0 {
            // The power of all machines goes, and comes back.
            for number in 0..SETUP.clients {
                let on = lan.now + 1 + lan.chance.below(20_000);
                lan.clients[number as usize].reboots(on);
                lan.plans(number as usize);
            }
        }
        live.push(counted::live());
        log.push(lan.disk.octets());
        let waiting = lan.engine.as_ref().expect("it runs").waiting();
        let most = SETUP.addresses as usize;
        assert!(waiting.holds <= most && waiting.probes <= most && waiting.acknowledgements <= most, "{waiting:?}");
        assert!(around.borrow().journal.recent(usize::MAX).len() <= RECENT);
    }
    assert_eq!(lan.witness.wrongs, [""; 0]);
    let most = |samples: &[isize], hours: std::ops::Range<usize>| {
        *samples[hours.start * 6..hours.end * 6].iter().max().expect("a day")
    };
    let (early, late) = (most(&live, 4..7), most(&live, 21..24));
    println!("{early} octets, {late} at last; {} packets, {} leases given", lan.handled, lan.witness.acknowledged);
    assert!(late <= early + early / 20, "{early} octets in use after six hours, {late} after a day: {live:?}");
    assert!(log.iter().all(|octets| *octets < 2 << 20), "the log is compacted: {log:?}");
    let answered = around.borrow().answered;
    assert!(lan.witness.acknowledged > 20_000 && answered > 20_000, "{} {answered}", lan.witness.acknowledged);
}
