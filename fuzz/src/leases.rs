//! The lease log under a store: batches are written, then octets change as no lease store changes them.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use leases::{
    Change, ClientId, ClientKey, Disk, EmbeddedStore, Grant, LeaseStore, Opened, Record, StoreError, UnixSecs,
};
use mac::Mac;

use crate::input::Input;

/// Octets in memory; clones share them.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(Vec<u8>, Vec<u8>)>>);

type Opening = Result<(EmbeddedStore<Memory>, Opened), StoreError>;

/// The input: what is written, batch by batch, then what happens to it; or the log itself.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    if input.u8() == 0xff {
        let log = Memory::holding(input.take(octets.len()).to_vec());
        return opens_alike(&log, EmbeddedStore::on(log.clone()));
    }
    let log = Memory::default();
    let (mut store, _) = EmbeddedStore::on(log.clone()).expect("an empty log is begun");
    let mut written: HashMap<Ipv4Addr, Vec<Record>> = HashMap::new();
    // What the table was after each batch, and how long the log.
    let mut ends = vec![(log.lock().0.len(), Vec::new())];
    for _ in 0..input.u8() % 16 {
        let batch = (0..1 + input.u8() % 4).map(|_| change(&mut input)).collect();
        store.commit(batch).expect("memory does not fail");
        for record in store.list() {
            written.entry(record.address).or_default().push(record.clone());
        }
        ends.push((log.lock().0.len(), store.list().cloned().collect()));
    }
    drop(store);
    let before = log.lock().0.clone();
    damage(&mut log.lock().0, &mut input);
    let after = log.lock().0.clone();
    let found = EmbeddedStore::on(log.clone());
    if let Ok((store, _)) = &found {
        let known = |record: &Record| written.get(&record.address).is_some_and(|all| all.contains(record));
        assert!(store.list().all(known), "a lease that was never written");
    }
    is_told_apart(&before, &after, &ends, &found);
    opens_alike(&log, found);
}

fn change(input: &mut Input<'_>) -> Change {
    let (kind, who, last) = (input.u8(), input.u8(), input.u8());
    let (address, now) = (Ipv4Addr::new(10, 0, 0, last), UnixSecs(input.u16().into()));
    let mac = Mac([2, 0, 0, 0, 0, who]);
    let id = ClientId::new(&vec![kind; usize::from(who)]).expect("no longer than 255 octets");
    let key = if kind & 0x40 == 0 { ClientKey::Mac(mac) } else { ClientKey::ClientId(id.clone()) };
    match kind % 8 {
        0 => Change::Release { address, key, now },
        1 => Change::Decline { address, until: now.plus(600) },
        2 => Change::Unname { address, key },
        _ => {
            let client_id = (kind & 0x80 != 0).then_some(id);
            let hostname = (kind & 0x20 != 0).then(|| format!("host-{last}"));
            Change::Grant(Grant { address, key, mac, client_id, hostname, lease_secs: 60 << (kind % 16), now })
        }
    }
}

/// Cuts, changes, doubles, moves and adds octets.
fn damage(log: &mut Vec<u8>, input: &mut Input<'_>) {
    while !input.is_empty() {
        let (kind, at) = (input.u8(), usize::from(input.u16()) % (log.len() + 1));
        match kind % 6 {
            0 => log.truncate(at),
            1 => log.extend_from_slice(input.take(at % 64)),
            2 => log.resize(log.len() + at % 4096, 0),
            3 => {
                let part = log[at..(at + usize::from(input.u8())).min(log.len())].to_vec();
                log.extend(part);
            }
            4 => {
                let end = (at + usize::from(input.u8())).min(log.len());
                log[at..end].fill(input.u8());
            }
            _ => {
                if let Some(octet) = log.get_mut(at) {
                    *octet ^= 1 << (input.u8() % 8);
                }
            }
        }
    }
}

/// What a power cut can do is mended, and what came before it stands; what none can do is refused.
fn is_told_apart(before: &[u8], after: &[u8], ends: &[(usize, Vec<Record>)], found: &Opening) {
    let same = before.iter().zip(after).take_while(|(before, after)| before == after).count();
    let (whole, known) =
        ends.iter().rev().find(|(end, _)| *end <= same).map_or((0, &[][..]), |(end, known)| (*end, known));
    let next = ends.iter().map(|(end, _)| *end).find(|end| *end > whole).unwrap_or(before.len());
    // Past the frame that was spoilt first, as it was: another frame, if there is one.
    let has_frame_behind =
        next < before.len() && after.len() >= before.len() && after[next..before.len()] == before[next..];
    match found {
        Ok((store, opened)) => {
            assert!(whole > 0 || after.is_empty(), "a log without its head is no log");
            assert!(store.list().eq(known), "the leases up to the damage, and no others");
            // Zeros at the end may be room for what is to come.
            let last = after.iter().rposition(|octet| *octet != 0).map_or(0, |at| at + 1);
            let torn = last.saturating_sub(whole) as u64..=(after.len() - whole) as u64;
            assert!(torn.contains(&opened.torn_octets), "{} of {torn:?}", opened.torn_octets);
            assert!(!has_frame_behind || whole == before.len(), "damage was taken for a torn end");
        }
        Err(StoreError::Damaged { offset, .. }) => {
            assert!(*offset <= same as u64, "{offset} is sound");
        }
        Err(StoreError::NotALog { .. } | StoreError::Newer { .. }) => assert_eq!(whole, 0, "its head is sound"),
        Err(other) => panic!("{other}"),
    }
}

/// Opened once more, it is the same; and what is written then is there.
fn opens_alike(log: &Memory, found: Opening) {
    let (mut store, _) = match found {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let records = |store: &EmbeddedStore<Memory>| store.list().cloned().collect::<Vec<_>>();
    let (again, opened) = EmbeddedStore::on(log.clone()).expect("it was opened before");
    assert_eq!((records(&again), opened.torn_octets), (records(&store), 0));
    let more = Change::Decline { address: Ipv4Addr::BROADCAST, until: UnixSecs(7) };
    store.commit(vec![more]).expect("memory does not fail");
    let (again, opened) = EmbeddedStore::on(log.clone()).expect("what the store writes can be read");
    assert_eq!((records(&again), opened.torn_octets), (records(&store), 0));
}

impl Memory {
    fn holding(octets: Vec<u8>) -> Memory {
        Memory(Arc::new(Mutex::new((octets, Vec::new()))))
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, Vec<u8>)> {
        self.0.lock().expect("one thread")
    }
}

impl Disk for Memory {
    fn path(&self) -> &Path {
        Path::new("leases.log")
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.lock().0.clone())
    }

    fn append(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        assert_eq!(self.lock().0.len() as u64, offset, "the store knows where its log ends");
        self.lock().0.extend_from_slice(octets);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, octets: u64) -> io::Result<()> {
        self.lock().0.truncate(octets as usize);
        Ok(())
    }

    fn stage(&mut self, octets: &[u8]) -> io::Result<()> {
        self.lock().1 = octets.to_vec();
        Ok(())
    }

    fn swap(&mut self) -> io::Result<()> {
        let mut files = self.lock();
        files.0 = std::mem::take(&mut files.1);
        Ok(())
    }
}
