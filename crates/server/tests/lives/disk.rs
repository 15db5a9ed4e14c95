//! A disk that forgets whatever was not synced: pages in any order, the last one torn, sizes and names as well.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use leases::{Aside, Disk};

use crate::chance::Chance;

const PAGE: usize = 512;

/// Clones share the disk: the world keeps it when the server is gone.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<Platter>>);

#[derive(Clone, Debug)]
struct Platter {
    /// What every power cut leaves of the log.
    safe: Vec<u8>,
    /// What a reader sees.
    now: Vec<u8>,
    /// Pages that the next sync writes. Those of a sync that failed are no longer among them, as in Linux.
    dirty: BTreeSet<usize>,
    staged: Option<Staged>,
    /// New logs are written from a thread of their own, which goes on while the world does: what comes first is left to
    /// the real clock then, and no run is like another.
    writes_aside: bool,
    /// The log whose name a new one has taken, while that is not safe.
    former: Option<Vec<u8>>,
    /// Every place where the power can go is a step.
    steps: u64,
    cut_at: Option<u64>,
    is_off: bool,
    ills: Ills,
    chance: Chance,
    exchanges: u64,
}

/// A file beside the log.
#[derive(Clone, Debug, Default)]
struct Staged {
    now: Vec<u8>,
    /// What every power cut leaves of it.
    safe: Vec<u8>,
}

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ills {
    /// Files can have so many octets and no more.
    pub room: Option<usize>,
    pub read_only: bool,
    /// One in so many syncs fails.
    pub sync_fails_one_in: Option<u64>,
    /// Everything fails.
    pub dead: bool,
    /// It says that it has synced, and has not: a power cut takes all since the log was read.
    pub lies: bool,
}

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::of(Platter::new(Chance(seed)))
    }

    fn of(platter: Platter) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(platter)))
    }

    pub fn writing_aside(seed: u64) -> SimDisk {
        SimDisk::of(Platter { writes_aside: true, ..Platter::new(Chance(seed)) })
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().expect("nobody panics while it holds this lock")
    }

    /// Cuts the power in the `steps`th step from now.
    pub fn cut_power_in(&self, steps: u64) {
        let mut platter = self.platter();
        platter.cut_at = Some(platter.steps + steps);
    }

    pub fn is_off(&self) -> bool {
        self.platter().is_off
    }

    pub fn falls_ill(&self, ills: Ills) {
        self.platter().ills = ills;
    }

    pub fn octets(&self) -> usize {
        self.platter().now.len()
    }

    /// How often a shorter log took the place of the old one.
    pub fn exchanges(&self) -> u64 {
        self.platter().exchanges
    }

    /// The same disk after the process was killed, the power being on all the while.
    pub fn after_kill(&self) -> SimDisk {
        SimDisk::of(Platter { is_off: false, cut_at: None, staged: None, ..self.platter().clone() })
    }

    /// What is found when the power is back: any part of what was not synced, or nothing of it.
    pub fn after_power_cut(&self, seed: u64) -> SimDisk {
        let (platter, mut chance) = (self.platter(), Chance(seed));
        let now = platter.found(&mut chance);
        let (writes_aside, exchanges) = (platter.writes_aside, platter.exchanges);
        SimDisk::of(Platter { safe: now.clone(), now, writes_aside, exchanges, ..Platter::new(chance) })
    }
}

impl Platter {
    fn new(chance: Chance) -> Platter {
        Platter {
            safe: Vec::new(),
            now: Vec::new(),
            dirty: BTreeSet::new(),
            staged: None,
            writes_aside: false,
            former: None,
            steps: 0,
            cut_at: None,
            is_off: false,
            ills: Ills::default(),
            chance,
            exchanges: 0,
        }
    }

    /// What a power cut leaves.
    fn found(&self, chance: &mut Chance) -> Vec<u8> {
        if self.ills.lies {
            return self.safe.clone();
        }
        if let Some(former) = self.former.as_ref().filter(|_| chance.one_in(2)) {
            return former.clone();
        }
        let (old, new) = (&self.safe, &self.now);
        let mut octets = old.clone();
        let between = old.len().min(new.len()) + chance.below(old.len().abs_diff(new.len()) as u64 + 1) as usize;
        octets.resize([old.len(), new.len(), between][chance.below(3) as usize], 0);
        let whole = chance.one_in(4);
        for page in &self.dirty {
            let end = (page + 1) * PAGE;
            let end = end.min(octets.len()).min(new.len());
            let torn =
                if whole { PAGE } else { [0, PAGE, chance.below(PAGE as u64) as usize][chance.below(3) as usize] };
            let end = end.min(page * PAGE + torn);
            if let (Some(octets), Some(new)) = (octets.get_mut(page * PAGE..end), new.get(page * PAGE..end)) {
                octets.copy_from_slice(new);
            }
        }
        octets
    }

    /// One step; an error when the power goes, or went before, or the disk is ill.
    fn step(&mut self) -> io::Result<()> {
        let step = self.steps;
        self.steps += 1;
        self.is_off |= self.cut_at == Some(step);
        match () {
            () if self.is_off => Err(io::Error::other("the power is off")),
            () if self.ills.dead => Err(io::Error::other("the disk is dead")),
            () => Ok(()),
        }
    }

    fn step_of_writing(&mut self) -> io::Result<()> {
        self.step()?;
        if self.ills.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn change(&mut self, offset: usize, octets: &[u8]) {
        self.now.resize(offset, 0);
        self.now.extend_from_slice(octets);
        self.dirty.extend(offset / PAGE..=(offset + octets.len()) / PAGE);
    }

    /// Whether it has worked; else some pages were written, and the others are forgotten.
    fn syncs(&mut self) -> bool {
        let fails = self.ills.sync_fails_one_in.is_some_and(|many| self.chance.one_in(many));
        if !fails || self.chance.one_in(2) {
            self.safe.resize(self.now.len(), 0);
        }
        for page in std::mem::take(&mut self.dirty) {
            if !fails || self.chance.one_in(2) {
                self.make_safe(page);
            }
        }
        !fails
    }

    fn make_safe(&mut self, page: usize) {
        let (start, end) = (page * PAGE, ((page + 1) * PAGE).min(self.now.len()).min(self.safe.len()));
        if start < end {
            self.safe[start..end].copy_from_slice(&self.now[start..end]);
        }
    }
}

impl Disk for SimDisk {
    fn path(&self) -> &Path {
        Path::new("simulated.log")
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut platter = self.platter();
        platter.step()?;
        if !platter.syncs() {
            return Err(io::Error::other("a sync that failed"));
        }
        platter.former = None;
        Ok(platter.now.clone())
    }

    fn append(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let mut platter = self.platter();
        let (offset, was_off) = (offset as usize, platter.is_off);
        assert!(was_off || platter.now.len() == offset, "the store knows where its log ends");
        let step = platter.step_of_writing();
        let room = platter.ills.room.map_or(usize::MAX, |room| room.saturating_sub(offset));
        let fits = octets.len().min(room);
        // The power may go after any part of a write.
        let written = match &step {
            Ok(()) => fits,
            Err(_) if platter.is_off && !was_off => platter.chance.below(fits as u64 + 1) as usize,
            Err(_) => 0,
        };
        if written > 0 {
            platter.change(offset, &octets[..written]);
        }
        step?;
        if fits < octets.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step()?;
        if platter.ills.lies || platter.syncs() { Ok(()) } else { Err(io::Error::other("a sync that failed")) }
    }

    fn truncate(&mut self, octets: u64) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step_of_writing()?;
        platter.change(octets as usize, &[]);
        Ok(())
    }

    fn stage(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step_of_writing()?;
        if platter.ills.room.is_some_and(|room| octets.len() > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.staged = Some(Staged { now: octets.to_vec(), safe: octets.to_vec() });
        Ok(())
    }

    fn aside(&mut self) -> io::Result<Option<Box<dyn Aside>>> {
        let mut platter = self.platter();
        if !platter.writes_aside {
            return Ok(None);
        }
        platter.step_of_writing()?;
        platter.staged = Some(Staged::default());
        Ok(Some(Box::new(self.clone())))
    }

    fn adopt(&mut self) -> io::Result<()> {
        self.platter().step()
    }

    fn swap(&mut self) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step_of_writing()?;
        let staged = platter.staged.take().ok_or(io::ErrorKind::NotFound)?;
        // What of it was not synced is as unsure as all that is not.
        platter.dirty = (0..=staged.now.len() / PAGE).filter(|_| staged.now != staged.safe).collect();
        platter.former = Some(std::mem::replace(&mut platter.safe, staged.safe));
        platter.now = staged.now;
        platter.step()?;
        if !platter.ills.lies {
            platter.former = None;
        }
        platter.exchanges += 1;
        Ok(())
    }
}

impl Aside for SimDisk {
    fn read(&mut self, offset: u64, octets: u64) -> io::Result<Vec<u8>> {
        let mut platter = self.platter();
        platter.step()?;
        let end = platter.now.len().min((offset + octets) as usize);
        Ok(platter.now.get(offset as usize..end).unwrap_or_default().to_vec())
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step_of_writing()?;
        let room = platter.ills.room.unwrap_or(usize::MAX);
        let staged = platter.staged.as_mut().ok_or(io::ErrorKind::NotFound)?;
        staged.now.extend_from_slice(octets);
        if staged.now.len() > room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step()?;
        let lies = platter.ills.lies;
        if platter.ills.sync_fails_one_in.is_some_and(|many| platter.chance.one_in(many)) {
            return Err(io::Error::other("a sync that failed"));
        }
        let staged = platter.staged.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if !lies {
            staged.safe.clone_from(&staged.now);
        }
        Ok(())
    }

    fn discard(&mut self) {
        self.platter().staged = None;
    }
}
