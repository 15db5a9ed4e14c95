//! Why a file is not served, in words for the person who published it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::Uid;
use thiserror::Error;

/// Why a client does not get the file it asked for. `asked` is the name as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FileError {
    #[error("no file of this name is published: {asked}")]
    NotFound { asked: String },

    /// `target`: where the link leads; `None` when it is `..` in the asked name that leads out, or the link is broken.
    #[error("{}", leads_outside(asked, folder, target.as_deref()))]
    LeadsOutside { asked: String, folder: PathBuf, target: Option<PathBuf> },

    /// `mode`: permission bits of `path`, the file or the folder on the way to it that does not let us through.
    #[error(
        "{} may not be read by lanboot: it runs as user {uid}, and the mode is {mode:04o}, owner {owner}; fix: chmod {} {0}",
        path.display(), if *is_folder { "o+rx" } else { "o+r" }
    )]
    NotReadable { path: PathBuf, is_folder: bool, mode: u32, owner: u32, uid: u32 },

    /// Lanboot can read it, but the rules for what is given out say no: see [`config::Access`].
    #[error("{}", withheld(name, *mode, *owner, *uid))]
    Withheld { name: String, mode: u32, owner: u32, uid: u32 },

    /// `what`: what is there in place of a file, such as `a folder`.
    #[error("{asked} is {what}; only regular files are served")]
    NotAFile { asked: String, what: &'static str },

    #[error("{asked:?} is not a file name: {because}")]
    BadName { asked: String, because: &'static str },

    #[error("{} cannot be opened: {}", path.display(), errno.desc())]
    Broken { path: PathBuf, errno: Errno },
}

fn leads_outside(asked: &str, folder: &Path, target: Option<&Path>) -> String {
    match target {
        Some(target) => format!(
            "{asked} is a link to {}, outside {}; fix: publish {} too, or put a copy in place of the link",
            target.display(),
            folder.display(),
            target.parent().unwrap_or(target).display(),
        ),
        None if folder.as_os_str().is_empty() => format!("{asked} leads above everything that is published"),
        None => format!("{asked} leads outside {}", folder.display()),
    }
}

fn withheld(name: &str, mode: u32, owner: u32, uid: u32) -> String {
    match uid {
        0 => format!("{name} is not for everyone to read (mode {mode:04o}), so it is not given out; fix: chmod o+r it"),
        _ => format!("{name} belongs to user {owner}, and only files of user {uid} are given out; fix: chown {uid} it"),
    }
}

impl FileError {
    /// Finds out which step from `folder` to `inside` refuses us.
    pub(super) fn not_readable(folder: &Path, inside: &Path) -> FileError {
        let uid = Uid::effective().as_raw();
        let mut path = folder.to_path_buf();
        let mut steps = inside.iter();
        // Whoever may not pass through a folder cannot even see what is in it: the last thing seen is to blame.
        let (path, data) = loop {
            let Ok(data) = path.metadata() else { return FileError::Broken { path, errno: Errno::EACCES } };
            let Some(step) = steps.next() else { break (path, data) };
            let next = path.join(step);
            if next.metadata().is_err() {
                break (path, data);
            }
            path = next;
        };
        FileError::NotReadable { path, is_folder: data.is_dir(), mode: data.mode() & 0o7777, owner: data.uid(), uid }
    }

    pub(super) fn broken(path: impl Into<PathBuf>, error: io::Error) -> FileError {
        FileError::Broken { path: path.into(), errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)) }
    }
}

/// What cannot be published.
#[derive(Debug, Error)]
pub enum BadPublish {
    #[error("{} cannot be published: {error}", path.display())]
    Missing { path: PathBuf, error: io::Error },
    #[error("{} cannot be published as a folder: it is not one", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} cannot be published as a file: it is not a regular one", .0.display())]
    NotAFile(PathBuf),
    #[error("{} needs a name to be published under", .0.display())]
    NoName(PathBuf),
    #[error("{0:?} is not a name to publish something under")]
    Name(String),
}
