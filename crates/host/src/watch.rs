//! Folders in which files come and change (inotify(7)).

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

const TOLD: AddWatchFlags =
    AddWatchFlags::IN_CLOSE_WRITE.union(AddWatchFlags::IN_MOVED_TO).union(AddWatchFlags::IN_ONLYDIR);

/// Notes which files of some folders were written to their end, or moved in under their name.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, PathBuf>,
}

/// What there is to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    File {
        folder: PathBuf,
        name: OsString,
    },
    /// There was more than the kernel keeps for us: anything may have changed.
    Anything,
}

impl Watch {
    /// # Errors
    /// When the kernel gives no more of these.
    pub fn new() -> io::Result<Watch> {
        Ok(Watch { inotify: Inotify::init(InitFlags::IN_CLOEXEC)?, folders: HashMap::new() })
    }

    /// Watches a folder too. What happens from now on is told by [`Watch::next`], however late that is called.
    ///
    /// # Errors
    /// When there is no such folder, or we may not look into it.
    pub fn add(&mut self, folder: &Path) -> io::Result<()> {
        self.watch(folder, TOLD)
    }

    fn watch(&mut self, folder: &Path, what: AddWatchFlags) -> io::Result<()> {
        let descriptor = self.inotify.add_watch(folder, what)?;
        self.folders.insert(descriptor, folder.to_owned());
        Ok(())
    }

    /// Watches a folder for files that are made or go as well: links, for one, are never written.
    ///
    /// # Errors
    /// As [`Watch::add`].
    pub fn add_all(&mut self, folder: &Path) -> io::Result<()> {
        let what = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
        self.watch(folder, what | TOLD)
    }

    /// Waits until something happens, at most `patience`. Returns whether it did; what it was, is forgotten.
    ///
    /// # Errors
    /// When the kernel no longer tells.
    pub fn wait(&self, patience: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, patience) {
            Ok(0) | Err(nix::Error::EINTR) => Ok(false),
            Ok(_) => Ok(self.inotify.read_events().map(|_| true)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until something has changed. Each file is named once, however often it was written meanwhile.
    ///
    /// # Errors
    /// When the kernel no longer tells.
    pub fn next(&self) -> io::Result<Vec<Changed>> {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut changed = Vec::new();
            for event in events {
                let what = if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    Some(Changed::Anything)
                } else {
                    let folder = self.folders.get(&event.wd);
                    folder.zip(event.name).map(|(folder, name)| Changed::File { folder: folder.clone(), name })
                };
                changed.extend(what.filter(|what| !changed.contains(what)));
            }
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_are_written_or_moved_in_are_named() {
        let folder = std::env::temp_dir().join(format!("lanboot-watch-{}", std::process::id()));
        let inside = folder.join("inside");
        fs::create_dir_all(&inside).unwrap();
        let mut watch = Watch::new().unwrap();
        watch.add(&inside).unwrap();
        assert!(watch.add(&folder.join("none")).is_err());
        let file = |name: &str| Changed::File { folder: inside.clone(), name: name.into() };
        fs::write(inside.join("a"), "1").unwrap();
        fs::write(inside.join("a"), "2").unwrap();
        assert_eq!(watch.next().unwrap(), [file("a")]);
        fs::write(folder.join("b"), "").unwrap();
        fs::rename(folder.join("b"), inside.join("b")).unwrap();
        fs::remove_file(inside.join("a")).unwrap();
        assert_eq!(watch.next().unwrap(), [file("b")]);
        watch.add_all(&inside).unwrap();
        std::os::unix::fs::symlink("b", inside.join("c")).unwrap();
        assert!(watch.wait(Duration::from_secs(60)).unwrap());
        fs::remove_file(inside.join("c")).unwrap();
        assert!(watch.wait(Duration::from_secs(60)).unwrap());
        assert!(!watch.wait(Duration::ZERO).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
