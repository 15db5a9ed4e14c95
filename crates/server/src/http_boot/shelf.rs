//! Files that are wanted again and again: small ones held in memory, large ones open, as long as they are unchanged.
//!
//! Before each use the kernel is asked whether the name still leads to the same file with the same times, so a file that was
//! changed or replaced is never sent as it was. A file that changed a moment ago is not held: its next change could bear the
//! same time.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use journal::Role;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, stat};

use super::conditions::Validators;
use super::response;
use crate::files::{Content, Files, Found};

/// Larger files are worth a sendfile(2) of their own.
const SMALL_OCTETS: u64 = 64 * 1024;
/// All small files together.
const SHELF_OCTETS: u64 = 8 << 20;
const SHELF_FILES: usize = 4096;
/// Coarser than any file system's clock.
const SETTLED: Duration = Duration::from_secs(2);

/// A file with all that is said about it.
#[derive(Debug)]
pub(super) struct Kept {
    /// Published name.
    pub name: String,
    pub role: Role,
    pub size: u64,
    pub validators: Validators,
    /// The header fields of a plain answer, ready to be sent.
    pub fields: String,
    pub held: Held,
}

#[derive(Debug)]
pub(super) enum Held {
    File(File),
    Octets(Arc<[u8]>),
}

/// What to ask the kernel to be sure that a name still means the same content.
#[derive(Debug)]
struct Witness {
    /// Where the file would be found first, were there one.
    missing: Vec<CString>,
    path: CString,
    identity: Identity,
}

/// Two files that agree in this are one, with the same content. `ctime` moves with every change, permissions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// One name that clients use.
#[derive(Debug)]
struct Entry {
    witness: Witness,
    file: Weak<Kept>,
    /// Keeps small files; a large one stays open only for as long as somebody is being sent it.
    small: Option<Arc<Kept>>,
}

#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<String, Arc<Entry>>,
    octets: u64,
}

impl Shelf {
    /// The file of this name, if it is at hand and unchanged.
    pub fn find(&self, asked: &str) -> Option<Arc<Kept>> {
        let entry = self.0.lock().expect("nobody panics with it").entries.get(asked)?.clone();
        entry.witness.holds().then(|| entry.file.upgrade()).flatten()
    }

    /// Takes a file that was opened just now, to have it at hand when it is asked for by this name again.
    pub fn take(&self, asked: &str, found: Found, files: &Files) -> Arc<Kept> {
        let (file, data) = match found.content {
            Content::File(ref file) => match file.metadata() {
                Ok(data) => (file, data),
                Err(_) => return Arc::new(Kept::new(found, Validators::default())),
            },
            Content::Memory(_) => {
                let validators = Validators::since(found.modified);
                return Arc::new(Kept::new(found, validators));
            }
        };
        let validators = Validators::of(&data);
        let witness = is_settled(&data, SystemTime::now()).then(|| Witness::of(asked, &data, files)).flatten();
        let Some(witness) = witness else { return Arc::new(Kept::new(found, validators)) };
        let octets = (data.len() <= SMALL_OCTETS).then(|| read(file, &data)).flatten();
        let issmall = octets.is_some();
        let content = octets.map_or(found.content, |octets| Content::Memory(octets.into()));
        let kept = Arc::new(Kept::new(Found { content, size: data.len(), ..found }, validators));
        let small = issmall.then(|| kept.clone());
        self.put(asked, Entry { witness, file: Arc::downgrade(&kept), small }, data.len());
        kept
    }

    fn put(&self, asked: &str, entry: Entry, octets: u64) {
        let mut inner = self.0.lock().expect("nobody panics with it");
        let octets = if entry.small.is_some() { octets } else { 0 };
        // Whatever is still wanted comes back with the next request for it.
        if inner.entries.len() >= SHELF_FILES || inner.octets + octets > SHELF_OCTETS {
            *inner = Inner::default();
        }
        inner.octets += octets;
        let before = inner.entries.insert(asked.to_owned(), Arc::new(entry));
        inner.octets -= before.and_then(|before| Some(before.small.as_ref()?.size)).unwrap_or(0);
    }
}

impl Kept {
    fn new(found: Found, validators: Validators) -> Kept {
        let Found { name, role, size, content, .. } = found;
        let held = match content {
            Content::File(file) => Held::File(file),
            Content::Memory(octets) => Held::Octets(octets),
        };
        let fields = response::plain_fields(&name, size, &validators, Timestamp::now());
        Kept { name, role, size, validators, fields, held }
    }
}

impl Witness {
    /// `None`: the name leads to the file by a way that cannot be watched, as one with other capital letters does.
    fn of(asked: &str, data: &Metadata, files: &Files) -> Option<Witness> {
        let identity = Identity::of(data);
        let mut missing = Vec::new();
        for path in files.places_of(asked) {
            let path = CString::new(path.into_os_string().into_vec()).ok()?;
            match stat(path.as_c_str()) {
                Ok(stat) => {
                    return (Identity::from(&stat) == identity).then_some(Witness { missing, path, identity });
                }
                Err(Errno::ENOENT | Errno::ENOTDIR) => missing.push(path),
                Err(_) => return None,
            }
        }
        None
    }

    fn holds(&self) -> bool {
        let is_missing = |path: &CString| matches!(stat(path.as_c_str()), Err(Errno::ENOENT | Errno::ENOTDIR));
        self.missing.iter().all(is_missing)
            && stat(self.path.as_c_str()).is_ok_and(|stat| Identity::from(&stat) == self.identity)
    }
}

impl Identity {
    fn of(data: &Metadata) -> Identity {
        Identity {
            device: data.dev(),
            inode: data.ino(),
            size: data.size() as i64,
            mtime: (data.mtime(), data.mtime_nsec()),
            ctime: (data.ctime(), data.ctime_nsec()),
        }
    }
}

impl From<&FileStat> for Identity {
    #[allow(clippy::unnecessary_cast, reason = "the types differ between architectures")]
    fn from(stat: &FileStat) -> Identity {
        Identity {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

/// Whether the next change is sure to bear another time than the last.
fn is_settled(data: &Metadata, now: SystemTime) -> bool {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let latest = data.mtime().max(data.ctime());
    u64::try_from(latest).is_ok_and(|latest| Duration::from_secs(latest) + SETTLED < now)
}

/// The whole file, if it stayed the same meanwhile.
fn read(file: &File, data: &Metadata) -> Option<Vec<u8>> {
    let mut octets = vec![0; data.len() as usize];
    file.read_exact_at(&mut octets, 0).ok()?;
    let after = file.metadata().ok()?;
    (Identity::of(&after) == Identity::of(data)).then_some(octets)
}
