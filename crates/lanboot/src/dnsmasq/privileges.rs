//! The user and group that we run as once everything is open, and the few rights that are kept.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::Path;

use config::dnsmasq::lower::Process;
use config::{Diagnostic, Diagnostics};
use nix::libc;
use nix::sys::prctl::set_keepcaps;
use nix::unistd::{Gid, Group, Uid, User, getgid, getuid, setgid, setgroups, setuid};

use crate::problem;

/// dnsmasq's own defaults.
const USER: &str = "nobody";
const GROUP: &str = "dip";
/// What is kept, as dnsmasq keeps it: to look after the interface, to send from it before it is anybody's
/// (CAP_NET_ADMIN and CAP_NET_RAW by number, capabilities(7)).
const KEPT: [u32; 2] = [12, 13];
/// CAP_NET_BIND_SERVICE: to serve on interfaces that come later.
const KEPT_FOR_LATER: u32 = 10;
/// `_LINUX_CAPABILITY_VERSION_3` (capget(2)).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Who we are to become. Only root can become somebody else: started by others, we stay who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    uid: Uid,
    /// The user's own group.
    primary: Gid,
    gid: Option<Gid>,
}

impl Identity {
    /// Looks the names up; `None` when nothing is to change.
    ///
    /// # Errors
    /// A user or group that does not exist.
    pub fn of(process: &Process) -> Result<Option<Identity>, Diagnostics> {
        let user = match &process.user {
            None => Some(user(USER)?),
            Some(Some(name)) => Some(user(name)?),
            Some(None) => None,
        };
        let gid = match &process.group {
            None => {
                Group::from_name(GROUP).ok().flatten().map(|group| group.gid).or(user.as_ref().map(|user| user.gid))
            }
            Some(Some(name)) => Some(group(name)?.gid),
            Some(None) => None,
        };
        let (uid, primary) = user.map_or((getuid(), getgid()), |user| (user.uid, user.gid));
        let becomes = Identity { uid, primary, gid };
        Ok(Some(becomes).filter(|_| getuid().is_root() && !process.debug))
    }

    /// Gives the pid file to the user and the user's own group.
    pub fn own(&self, file: &File) -> io::Result<()> {
        fchown(file, Some(self.uid.as_raw()), Some(self.primary.as_raw()))
    }

    /// Gives the log to the user; our group at the start may go on writing to it.
    pub fn own_log(&self, file: &File) -> io::Result<()> {
        if self.uid.is_root() {
            return Ok(());
        }
        fchown(file, Some(self.uid.as_raw()), None)?;
        file.set_permissions(Permissions::from_mode(0o660))
    }

    /// Gives a folder of ours and the files in it to the user.
    pub fn own_folder(&self, folder: &Path) -> io::Result<()> {
        if self.uid.is_root() {
            return Ok(());
        }
        let uid = Some(self.uid.as_raw());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            // The user might have put a link to somebody else's file here, or do so while we look: what is looked at and
            // what is given away is one opened file.
            let file =
                OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(entry.path())?;
            let about = file.metadata()?;
            if about.is_file() && about.nlink() == 1 {
                fchown(&file, uid, None)?;
            }
        }
        lchown(folder, uid, None)
    }

    /// Becomes that user in that group, and keeps two rights. To be called while this is the only thread: the rights of
    /// others would not follow.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn assume(&self, serves_later: bool) -> Result<(), Diagnostics> {
        let refused = |what: &str, error: io::Error| -> Diagnostics {
            let fix = "start it as root with the rights to do so, or with --user=root";
            Diagnostic::error(format!("cannot {what}: {error}")).fix(fix).into()
        };
        if let Some(gid) = self.gid {
            setgroups(&[]).and_then(|()| setgid(gid)).map_err(|error| refused("change the group", error.into()))?;
        }
        if self.uid.is_root() {
            return Ok(());
        }
        set_keepcaps(true).map_err(|error| refused("keep rights", error.into()))?;
        setuid(self.uid).map_err(|error| refused("change the user", error.into()))?;
        keep(serves_later).map_err(|error| refused("keep rights", error))
    }
}

fn user(name: &str) -> Result<User, Diagnostics> {
    User::from_name(name).ok().flatten().ok_or_else(|| unknown("user", name))
}

fn group(name: &str) -> Result<Group, Diagnostics> {
    Group::from_name(name).ok().flatten().ok_or_else(|| unknown("group", name))
}

fn unknown(kind: &str, name: &str) -> Diagnostics {
    let fix = format!("name a {kind} that exists with --{kind}=NAME (`getent` lists them), not its number");
    problem::with_fix(format!("unknown user or group: {name}"), Some(fix)).into()
}

/// Rights beyond [`KEPT`] are given up for good.
fn keep(serves_later: bool) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Rights {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let header = Header { version: CAPABILITY_VERSION, pid: 0 };
    let later = Some(&KEPT_FOR_LATER).filter(|_| serves_later);
    let set = KEPT.iter().chain(later).fold(0, |set, right| set | 1 << right);
    // The second holds the rights from number 32 on.
    let rights = [
        Rights { effective: set, permitted: set, inheritable: 0 },
        Rights { effective: 0, permitted: 0, inheritable: 0 },
    ];
    // SAFETY: capset(2) reads a header and, for version 3, two structures; both outlive the call.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, rights.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
