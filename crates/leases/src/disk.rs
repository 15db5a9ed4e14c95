//! The one door to the lease log's file, narrow enough that tests can stand in for a failing disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::StoreError;

pub(crate) const LOG_NAME: &str = "leases.log";
const STAGED_NAME: &str = "leases.log.new";
const LOCK_NAME: &str = "leases.lock";

/// How much of a log is laid out at once, for the writes to come.
const LAID_OUT_AHEAD: u64 = 256 << 10;

/// One file that can be appended to, cut, and replaced as a whole.
pub trait Disk: Send {
    /// The file's name, for messages.
    fn path(&self) -> &Path;

    /// The whole file; empty when there is none yet. What is returned survives a power cut from then on: a former process may
    /// have been killed between a write and its sync.
    fn read_all(&mut self) -> io::Result<Vec<u8>>;

    /// Writes at the end of the file, which the caller knows to be at `offset`.
    fn append(&mut self, offset: u64, octets: &[u8]) -> io::Result<()>;

    /// Returns when the file's content and size survive a power cut.
    fn sync(&mut self) -> io::Result<()>;

    fn truncate(&mut self, octets: u64) -> io::Result<()>;

    /// Writes a new file beside the old one, durably. An error leaves the old one in use and unharmed.
    fn stage(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Means to write the new file from another thread. `None`: this disk has no way to do that, and [`Disk::stage`] is used.
    fn aside(&mut self) -> io::Result<Option<Box<dyn Aside>>> {
        Ok(None)
    }

    /// Takes the file written by [`Disk::aside`] for the staged one.
    fn adopt(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Puts the staged file in place of the old one, durably. After an error either may be found after a power cut.
    fn swap(&mut self) -> io::Result<()>;
}

/// The log, to be read, and a file beside it, to be written: both from another thread than the one that adds to the log.
pub trait Aside: Send {
    /// Octets of the log, fewer where it ends.
    fn read(&mut self, offset: u64, octets: u64) -> io::Result<Vec<u8>>;

    /// Writes at the end of the file beside it, which is empty at first.
    fn append(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Returns when what was appended survives a power cut.
    fn sync(&mut self) -> io::Result<()>;

    /// Removes the file beside the log, as nothing came of it: on a full disk its room is better used by the log itself.
    fn discard(&mut self);
}

/// `leases.log` in a folder, locked against other processes for as long as this lives.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// The file's size. Where it is more than what was written, zeros follow: a write that does not change a file's size is
    /// on disk with one journal entry less.
    laid_out: u64,
    /// Where the last write ended.
    written: u64,
    staged: Option<File>,
    /// On a file of its own, because the log's is replaced.
    _lock: Flock<File>,
}

impl FileDisk {
    /// Makes `folder` when it is not there, and takes its lock.
    pub fn open(folder: &Path) -> Result<FileDisk, StoreError> {
        if !folder.exists() {
            make_folder(folder).map_err(|error| io_error("make the folder", folder, error))?;
        }
        let lock = lock(folder)?;
        let path = folder.join(LOG_NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| io_error("open", &path, error))?;
        Ok(FileDisk { folder: folder.to_owned(), path, file, laid_out: 0, written: 0, staged: None, _lock: lock })
    }

    fn write_staged(&self, octets: &[u8]) -> io::Result<File> {
        let path = self.folder.join(STAGED_NAME);
        let written =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).and_then(|file| {
                file.write_all_at(octets, 0)?;
                file.sync_all()?;
                Ok(file)
            });
        if written.is_err() {
            // Best effort: on a full disk its octets are better used by the log itself.
            let _ = fs::remove_file(path);
        }
        written
    }
}

impl Disk for FileDisk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut octets)?;
        (self.laid_out, self.written) = (octets.len() as u64, octets.len() as u64);
        self.file.sync_all()?;
        sync_folder(&self.folder)?;
        Ok(octets)
    }

    fn append(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.file.write_all_at(octets, offset)?;
        let end = offset + octets.len() as u64;
        if end > self.laid_out {
            // Best effort: a disk without room for that may have room for leases.
            let room = LAID_OUT_AHEAD - end % LAID_OUT_AHEAD;
            let is_done = self.file.write_all_at(&vec![0; room as usize], end).is_ok();
            self.laid_out = if is_done { end + room } else { end };
        }
        self.written = end;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, octets: u64) -> io::Result<()> {
        self.file.set_len(octets)?;
        (self.laid_out, self.written) = (octets, octets);
        Ok(())
    }

    fn stage(&mut self, octets: &[u8]) -> io::Result<()> {
        self.staged = Some(self.write_staged(octets)?);
        Ok(())
    }

    fn aside(&mut self) -> io::Result<Option<Box<dyn Aside>>> {
        let log = self.file.try_clone()?;
        let path = self.folder.join(STAGED_NAME);
        let new = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Some(Box::new(FileAside { log, new, path, written: 0 })))
    }

    fn adopt(&mut self) -> io::Result<()> {
        let path = self.folder.join(STAGED_NAME);
        self.staged = Some(OpenOptions::new().read(true).write(true).open(path)?);
        Ok(())
    }

    fn swap(&mut self) -> io::Result<()> {
        let staged = self.staged.take().ok_or(io::ErrorKind::NotFound)?;
        fs::rename(self.folder.join(STAGED_NAME), &self.path)?;
        self.file = staged;
        self.laid_out = self.file.metadata()?.len();
        self.written = self.laid_out;
        sync_folder(&self.folder)
    }
}

struct FileAside {
    log: File,
    new: File,
    path: PathBuf,
    written: u64,
}

impl Aside for FileAside {
    fn read(&mut self, offset: u64, octets: u64) -> io::Result<Vec<u8>> {
        let mut part = vec![0; octets as usize];
        let mut read = 0;
        while read < part.len() {
            match self.log.read_at(&mut part[read..], offset + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        part.truncate(read);
        Ok(part)
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.new.write_all_at(octets, self.written)?;
        self.written += octets.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.new.sync_all()
    }

    fn discard(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for FileDisk {
    fn drop(&mut self) {
        if self.laid_out > self.written {
            // What stays of it is cut off when the log is opened again.
            let _ = self.file.set_len(self.written);
        }
    }
}

pub(crate) fn io_error(doing: &'static str, path: &Path, error: io::Error) -> StoreError {
    StoreError::Io { doing, path: path.to_owned(), error }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    match folder.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => Ok(()),
    }
}

/// Makes the names in `folder` survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn lock(folder: &Path) -> Result<Flock<File>, StoreError> {
    let path = folder.join(LOCK_NAME);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| io_error("open", &path, error))?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(file, errno)| match errno {
        Errno::EWOULDBLOCK => StoreError::Locked { path: folder.to_owned(), holder: holder(file) },
        errno => io_error("lock", &path, errno.into()),
    })?;
    let note = |lock: &mut File| {
        lock.set_len(0)?;
        write!(lock, "{}", std::process::id())
    };
    note(&mut lock).map_err(|error| io_error("write", &path, error))?;
    Ok(lock)
}

/// The process that holds the lock, from what it noted in the lock file.
fn holder(mut lock: File) -> Option<String> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    let pid: u32 = text.trim().parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    Some(name.map_or_else(|| format!("pid {pid}"), |name| format!("{} (pid {pid})", name.trim())))
}
