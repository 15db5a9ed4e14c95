//! A disk in memory that loses power, fails and fills up on command; and what a store on it must survive.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::Disk;

/// Clones share the disk, so that a test keeps it when the store is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// What the last sync made safe.
    durable: Vec<u8>,
    /// What a reader sees.
    current: Vec<u8>,
    staged: Option<Vec<u8>>,
    /// The old file, while the new one's name is not safe.
    replaced: Option<Vec<u8>>,
    /// Steps taken so far; every place where a fault can strike is one.
    steps: usize,
    power_cut_at: Option<usize>,
    errors_at: BTreeSet<usize>,
    capacity: Option<usize>,
    is_off: bool,
}

/// Splitmix64: enough chance to tear pages, and the same in every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) % bound as u64) as usize
    }
}

impl SimulatedDisk {
    pub(crate) fn holding(octets: Vec<u8>) -> SimulatedDisk {
        let disk = SimulatedDisk::default();
        disk.contents().current.clone_from(&octets);
        disk.contents().durable = octets;
        disk
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("no test panics while it holds this lock")
    }

    /// Cuts the power in the `steps`th step from now.
    pub(crate) fn cut_power_in(&self, steps: usize) {
        let mut contents = self.contents();
        contents.power_cut_at = Some(contents.steps + steps);
    }

    /// Makes the `steps`th step from now fail, and that one only.
    pub(crate) fn fail_in(&self, steps: usize) {
        let mut contents = self.contents();
        let step = contents.steps + steps;
        contents.errors_at.insert(step);
    }

    /// Lets files grow to `octets` and no further.
    pub(crate) fn limit(&self, octets: Option<usize>) {
        self.contents().capacity = octets;
    }

    pub(crate) fn is_off(&self) -> bool {
        self.contents().is_off
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        self.contents().current.clone()
    }

    /// The disk after its process was killed, with the power on all the while.
    pub(crate) fn after_kill(&self) -> SimulatedDisk {
        let contents = self.contents();
        let Contents { durable, current, replaced, .. } = &*contents;
        let (durable, current, replaced) = (durable.clone(), current.clone(), replaced.clone());
        SimulatedDisk(Arc::new(Mutex::new(Contents { durable, current, replaced, ..Contents::default() })))
    }

    /// The disk after the power came back: any part of what was not synced may be there or not.
    pub(crate) fn after_power_cut(&self, chance: &mut Chance) -> SimulatedDisk {
        let contents = self.contents();
        if let Some(old) = contents.replaced.as_ref().filter(|_| chance.below(2) == 0) {
            return SimulatedDisk::holding(old.clone());
        }
        let (old, new) = (&contents.durable, &contents.current);
        let lengths =
            [old.len(), new.len(), old.len().min(new.len()) + chance.below(old.len().abs_diff(new.len()) + 1)];
        let mut octets = vec![0; lengths[chance.below(lengths.len())]];
        let page = [1, 16, 512][chance.below(3)];
        for (index, part) in octets.chunks_mut(page).enumerate() {
            let source = if chance.below(2) == 0 { old } else { new };
            let known = source.get(index * page..).unwrap_or_default();
            let known = &known[..known.len().min(part.len())];
            part[..known.len()].copy_from_slice(known);
        }
        SimulatedDisk::holding(octets)
    }
}

impl Contents {
    /// One step; an error when a fault strikes in it.
    fn step(&mut self) -> io::Result<()> {
        let step = self.steps;
        self.steps += 1;
        self.is_off |= self.power_cut_at == Some(step);
        if self.is_off || self.errors_at.contains(&step) {
            return Err(io::Error::other(if self.is_off { "the power is off" } else { "a simulated fault" }));
        }
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn path(&self) -> &Path {
        Path::new("simulated.log")
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut contents = self.contents();
        contents.step()?;
        contents.durable = contents.current.clone();
        contents.replaced = None;
        Ok(contents.current.clone())
    }

    fn append(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let mut contents = self.contents();
        assert_eq!(contents.current.len() as u64, offset, "the store knows where its log ends");
        let was_off = contents.is_off;
        let step = contents.step();
        let room = contents.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(offset as usize));
        // A failing write may have written a part, and a power cut all of it: what survives is chosen when the power is back.
        let fits = octets.len().min(room);
        let written = match &step {
            _ if was_off => 0,
            Err(_) if !contents.is_off => fits / 2,
            _ => fits,
        };
        contents.current.extend(&octets[..written]);
        step?;
        if fits < octets.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut contents = self.contents();
        let step = contents.step();
        // A sync that fails may have done its work or not; which of the two, the step's number says.
        if step.is_ok() || (!contents.is_off && contents.steps.is_multiple_of(2)) {
            contents.durable = contents.current.clone();
        }
        step
    }

    fn truncate(&mut self, octets: u64) -> io::Result<()> {
        let mut contents = self.contents();
        let was_off = contents.is_off;
        let step = contents.step();
        if step.is_ok() || (contents.is_off && !was_off) {
            contents.current.truncate(octets as usize);
        }
        step
    }

    fn stage(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut contents = self.contents();
        contents.step()?;
        if contents.capacity.is_some_and(|capacity| octets.len() > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        contents.staged = Some(octets.to_vec());
        Ok(())
    }

    fn swap(&mut self) -> io::Result<()> {
        let mut contents = self.contents();
        contents.step()?;
        let staged = contents.staged.take().ok_or(io::ErrorKind::NotFound)?;
        contents.replaced = Some(std::mem::replace(&mut contents.durable, staged.clone()));
        contents.current = staged;
        contents.step()?;
        contents.replaced = None;
        Ok(())
    }
}

mod tests {
    use std::net::Ipv4Addr;

    use mac::Mac;
    use proptest::prelude::*;

    use super::*;
    use crate::embedded::EmbeddedStore;
    use crate::error::StoreError;
    use crate::model::{Model, Operation, batches};
    use crate::record::{ClientKey, Grant, UnixSecs};
    use crate::store::{Change, LeaseStore};

    /// A store, its disk, and what it must know after a restart.
    struct World {
        disk: SimulatedDisk,
        store: Option<EmbeddedStore<SimulatedDisk>>,
        /// What was acknowledged.
        model: Model,
        /// The same with the write that failed last, which may or may not have reached the disk.
        perhaps: Option<Model>,
    }

    impl World {
        fn new() -> World {
            World { disk: SimulatedDisk::default(), store: None, model: Model::default(), perhaps: None }
        }

        /// Opens the store unless it is open; whether the power stayed on.
        fn open(&mut self) -> bool {
            if self.store.is_some() {
                return true;
            }
            match EmbeddedStore::on(self.disk.clone()) {
                Ok((store, opened)) => {
                    let found = Model::of(store.table());
                    assert_eq!(opened.records, store.table().len());
                    let is_known = self.model.is_like(store.table())
                        || self.perhaps.as_ref().is_some_and(|perhaps| perhaps.is_like(store.table()));
                    assert!(is_known, "found {found:?}\nacknowledged {:?}\nor {:?}", self.model, self.perhaps);
                    (self.model, self.perhaps, self.store) = (found, None, Some(store));
                    true
                }
                Err(StoreError::Io { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        }

        fn perform(&mut self, operation: &Operation) {
            if !self.open() {
                return;
            }
            let store = self.store.as_mut().expect("just opened");
            let mut after = self.model.clone();
            let expected = after.apply(operation);
            match operation.perform(store) {
                Ok(answer) => {
                    assert_eq!(answer, expected);
                    self.model = after;
                    // Where nothing was to be written, what was perhaps written before stays.
                    if !store.is_read_only() {
                        self.perhaps = None;
                    }
                    self.model.assert_like(store.table(), operation.now);
                }
                Err(error) => {
                    self.model.assert_like(store.table(), operation.now);
                    // A store that was read-only before wrote nothing, and one that is not has cut its write off.
                    match store.is_read_only() {
                        true if matches!(error, StoreError::ReadOnly { .. }) => {}
                        true => self.perhaps = Some(after),
                        false => self.perhaps = None,
                    }
                }
            }
        }

        fn restart(&mut self, disk: SimulatedDisk) {
            self.disk = disk;
            self.store = None;
            assert!(self.open(), "a restart without faults opens the log");
        }
    }

    fn grants(now: u64, leases: impl IntoIterator<Item = (u8, u8)>) -> Operation {
        let grant = |(address, client)| Grant {
            address: Ipv4Addr::new(10, 0, 0, address),
            key: ClientKey::Mac(Mac([2, 0, 0, 0, 0, client])),
            mac: Mac([2, 0, 0, 0, 0, client]),
            client_id: None,
            hostname: Some(format!("client-{client}")),
            lease_secs: 50,
            now: UnixSecs(now),
        };
        Operation { changes: leases.into_iter().map(grant).map(Change::Grant).collect(), now: UnixSecs(now) }
    }

    /// Batches of many sizes, with moves, refusals, releases and declines, and long enough for two compactions.
    fn story() -> Vec<Operation> {
        let mut story = Vec::new();
        for round in 0..16 {
            let now = 1000 + 20 * u64::from(round);
            story.push(grants(now, (0..1 + round % 8).map(|client| (client, client))));
            story.push(grants(now + 1, [(20 + round % 3, 9), (0, 10), (21, 11)]));
            let (address, key) = (Ipv4Addr::new(10, 0, 0, 0), ClientKey::Mac(Mac([2, 0, 0, 0, 0, 0])));
            let now = UnixSecs(now + 2);
            story.push(Operation { changes: vec![Change::Release { address, key, now }], now });
            let decline = Change::Decline { address: Ipv4Addr::new(10, 0, 0, 1), until: now.plus(8) };
            story.push(Operation { changes: vec![decline], now: now.plus(1) });
        }
        story
    }

    #[test]
    fn a_power_cut_at_any_step_loses_nothing_acknowledged() {
        let mut cuts = 0;
        for step in 0..10_000 {
            let mut world = World::new();
            world.disk.cut_power_in(step);
            for operation in story() {
                world.perform(&operation);
                if world.disk.is_off() {
                    break;
                }
            }
            if !world.disk.is_off() {
                cuts = step;
                break;
            }
            for seed in 0..12 {
                let mut chance = Chance((step as u64) << 8 | seed);
                let disk = world.disk.after_power_cut(&mut chance);
                let mut again = World { disk, store: None, model: world.model.clone(), perhaps: world.perhaps.clone() };
                assert!(again.open(), "a disk without faults can be opened");
                again.perform(&grants(5000, [(0, 30), (1, 31), (21, 32)]));
                again.restart(again.disk.after_power_cut(&mut chance));
            }
        }
        assert!(cuts > 2 * story().len(), "each operation writes and syncs, and each of those was cut");
    }

    #[test]
    fn the_story_is_compacted_on_its_way() {
        let mut world = World::new();
        let mut lengths = Vec::new();
        for operation in story() {
            world.perform(&operation);
            lengths.push(world.disk.octets().len());
        }
        assert!(lengths.windows(2).filter(|pair| pair[1] < pair[0]).count() >= 2, "{lengths:?}");
    }

    #[test]
    fn a_full_disk_hands_out_nothing_and_room_heals_it() {
        let mut world = World::new();
        world.perform(&grants(1000, [(1, 1)]));
        let length = world.disk.octets().len();
        world.disk.limit(Some(length + 20));
        let store = world.store.as_mut().unwrap();
        let error = grants(1001, [(2, 2)]).perform(store).unwrap_err();
        assert!(error.to_string().contains("make room"), "{error}");
        assert_eq!(store.at(Ipv4Addr::new(10, 0, 0, 2)), None);
        assert_eq!(world.disk.octets().len(), length, "the part that was written is cut off");
        world.disk.limit(None);
        world.perform(&grants(1002, [(2, 3)]));
        assert!(world.perhaps.is_none() && world.model.is_like(world.store.as_ref().unwrap().table()));
        world.restart(world.disk.after_power_cut(&mut Chance(1)));
    }

    #[test]
    fn a_failed_write_that_cannot_be_cut_off_stops_all_writing_until_it_can() {
        let mut world = World::new();
        world.perform(&grants(1000, [(1, 1)]));
        for steps in 1..=3 {
            world.disk.fail_in(steps);
        }
        world.perform(&grants(1001, [(2, 2)]));
        let store = world.store.as_mut().unwrap();
        let error = grants(1002, [(3, 3)]).perform(store).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        assert_eq!(store.table().len(), 1);
        world.perform(&grants(1003, [(3, 3)]));
        assert!(world.perhaps.is_none() && world.model.is_like(world.store.as_ref().unwrap().table()));
        world.restart(world.disk.after_kill());
    }

    #[test]
    fn what_was_given_back_is_not_confirmed_while_that_may_be_on_disk() {
        let [mine, other] = [1, 2].map(|last| Ipv4Addr::new(10, 0, 0, last));
        let key = |client| ClientKey::Mac(Mac([2, 0, 0, 0, 0, client]));
        let now = UnixSecs(1001);
        let moves = grants(1001, [(3, 1)]).changes;
        for change in [Change::Release { address: mine, key: key(1), now }, moves.into_iter().next().unwrap()] {
            let mut world = World::new();
            world.perform(&grants(1000, [(1, 1), (2, 2)]));
            // The write has reached the disk, and it cannot be taken back.
            for steps in 1..=2 {
                world.disk.fail_in(steps);
            }
            world.perform(&Operation { changes: vec![change], now });
            let confirmed = |world: &World, address, client| {
                world.store.as_ref().unwrap().confirm(address, &key(client), 50, now).is_some()
            };
            assert_eq!((confirmed(&world, mine, 1), confirmed(&world, other, 2)), (false, true));
            world.perform(&grants(1002, [(2, 2)]));
            assert!(confirmed(&world, mine, 1), "nothing of it is on disk");
        }
    }

    #[derive(Clone, Debug)]
    enum Fate {
        None,
        /// Some step ahead fails.
        Error(usize),
        /// The process is killed and started again.
        Kill,
        /// The power goes some steps ahead, and comes back after the operation in which it went.
        PowerCut(usize),
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            6 => Just(Fate::None),
            2 => (0usize..6).prop_map(Fate::Error),
            1 => Just(Fate::Kill),
            2 => (0usize..6).prop_map(Fate::PowerCut),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_faults_in_any_order_lose_or_double_a_lease(
            operations in batches(60),
            fates in prop::collection::vec(fate(), 60),
            seed in any::<u64>(),
        ) {
            let (mut world, mut chance) = (World::new(), Chance(seed));
            for (operation, fate) in operations.iter().zip(fates) {
                match fate {
                    Fate::None => {}
                    Fate::Error(steps) => world.disk.fail_in(steps),
                    Fate::Kill => world.restart(world.disk.after_kill()),
                    Fate::PowerCut(steps) => world.disk.cut_power_in(steps),
                }
                world.perform(operation);
                if world.disk.is_off() {
                    world.restart(world.disk.after_power_cut(&mut chance));
                }
            }
            world.restart(world.disk.after_power_cut(&mut chance));
        }
    }
}
