//! Opening below a folder and never outside of it: the kernel resolves the path with `RESOLVE_BENEATH`.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

/// A FIFO or a terminal in the folder must neither hang us nor become our terminal.
pub(super) const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
pub(super) const READ_FOLDER: OFlag = READ.union(OFlag::O_DIRECTORY);
/// Enough for fstat(2); needs no permission on the file itself.
pub(super) const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// Why nothing was opened below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Missing,
    /// A link leads out of the folder, or is absolute.
    Outside,
    /// Permissions.
    Denied,
    Other(Errno),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG => Refusal::Missing,
            Errno::EXDEV => Refusal::Outside,
            Errno::EACCES | Errno::EPERM => Refusal::Denied,
            other => Refusal::Other(other),
        }
    }
}

/// Opens a file that is published by itself; links are followed, since its owner named it.
pub(super) fn open_path(path: &Path, how: OFlag) -> Result<OwnedFd, Refusal> {
    Ok(open(path, how, Mode::empty())?)
}

/// Opens `inside` below `folder`, `how` being [`READ`], [`LOOK`] or [`READ_FOLDER`]. What it is (a folder, a device) is
/// for the caller to see.
pub(super) fn open_beneath(folder: &Path, inside: &Path, how: OFlag) -> Result<OwnedFd, Refusal> {
    // The folder is opened anew for each request, so that one that was replaced meanwhile is seen.
    let root = open(folder, LOOK | OFlag::O_DIRECTORY, Mode::empty())?;
    let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    // EAGAIN: something was renamed while the kernel walked a `..` of a link, and it could not be sure (openat2(2)).
    for _ in 0..8 {
        match openat2(&root, inside, OpenHow::new().flags(how).resolve(resolve)) {
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            result => return result.map_err(Refusal::from),
        }
    }
    Err(Refusal::Other(Errno::EAGAIN))
}

/// The names in an opened folder, in no order; names that are not UTF-8 cannot be asked for and are left out.
pub(super) fn names_in(folder: &OwnedFd) -> Result<impl Iterator<Item = String> + use<>, Refusal> {
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let entries = entries.map_err(|error| Refusal::Other(Errno::from_raw(error.raw_os_error().unwrap_or(0))))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
}
