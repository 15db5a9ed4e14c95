//! Files that are being sent to many at once, read once for all of them.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// Boot loaders are smaller; what is larger is read in pieces, by each transfer for itself.
const LARGEST: u64 = 1 << 20;
/// All that lies on the shelf at one time, in octets.
const ROOM: usize = 16 << 20;
/// A file that changed so lately may change again without its times telling.
const SETTLES_IN: Duration = Duration::from_secs(2);

/// Small files for as long as somebody is being sent them. A file that is replaced or rewritten is another file here,
/// and who is being sent the old one gets it to its end.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<HashMap<Edition, Weak<Vec<u8>>>>);

/// A file as it was at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Edition {
    device: u64,
    inode: u64,
    octets: u64,
    /// Seconds and nanoseconds of the content's and of the inode's last change.
    changed: [(i64, i64); 2],
}

impl Shelf {
    /// The whole file, from the shelf or read now; `None` when it is too large, has just changed, or the shelf is full.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` when it becomes shorter meanwhile.
    pub fn take(&self, file: &File) -> io::Result<Option<Arc<Vec<u8>>>> {
        let data = file.metadata()?;
        let edition = Edition::of(&data);
        if data.len() > LARGEST || !edition.is_settled() {
            return Ok(None);
        }
        if let Some(octets) = self.lock().get(&edition).and_then(Weak::upgrade) {
            return Ok(Some(octets));
        }
        let mut content = vec![0; data.len() as usize];
        file.read_exact_at(&mut content, 0)?;
        let mut shelf = self.lock();
        shelf.retain(|_, octets| octets.strong_count() > 0);
        let taken: u64 = shelf.keys().map(|edition| edition.octets).sum();
        if taken as usize + content.len() > ROOM {
            return Ok(None);
        }
        let content = Arc::new(content);
        shelf.insert(edition, Arc::downgrade(&content));
        Ok(Some(content))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Edition, Weak<Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edition {
    fn of(data: &Metadata) -> Edition {
        let changed = [(data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec())];
        Edition { device: data.dev(), inode: data.ino(), octets: data.len(), changed }
    }

    fn is_settled(&self) -> bool {
        let lately = SystemTime::now() - SETTLES_IN;
        let lately = lately.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        self.changed.iter().all(|(seconds, _)| *seconds < lately)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, FileTimes};
    use std::path::PathBuf;

    use super::*;

    struct Written(PathBuf);

    impl Written {
        fn new(name: &str, content: &[u8]) -> Written {
            let path = std::env::temp_dir().join(format!("lanboot-shelf-{name}-{}", std::process::id()));
            fs::write(&path, content).unwrap();
            Written(path)
        }

        fn open(&self) -> File {
            File::open(&self.0).unwrap()
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    /// A file of this machine that nobody writes to.
    fn old_file() -> File {
        File::open("/etc/hostname").or_else(|_| File::open("/etc/passwd")).unwrap()
    }

    #[test]
    fn all_who_want_a_file_get_the_same_octets_for_as_long_as_one_has_them() {
        let shelf = Shelf::default();
        let first = shelf.take(&old_file()).unwrap().expect("it is small and old");
        let second = shelf.take(&old_file()).unwrap().expect("it lies there");
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.len() as u64, old_file().metadata().unwrap().len());
        let held = Arc::downgrade(&first);
        drop((first, second));
        assert!(held.upgrade().is_none());
    }

    #[test]
    fn what_has_just_changed_does_not_lie_there_whatever_it_says_of_its_age() {
        let (shelf, written) = (Shelf::default(), Written::new("new", b"new"));
        let aged = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
        File::options().write(true).open(&written.0).unwrap().set_times(aged).unwrap();
        assert_eq!(shelf.take(&written.open()).unwrap(), None);
    }

    #[test]
    fn large_files_do_not_lie_there() {
        let (shelf, written) = (Shelf::default(), Written::new("large", &[7; LARGEST as usize + 1]));
        assert_eq!(shelf.take(&written.open()).unwrap(), None);
    }
}
