//! Network namespaces: a network that only this process and its children see.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};

/// What to do where a network of one's own is not to be had.
const BE_ROOT: &str = "run it as root (sudo); in a container it takes CAP_SYS_ADMIN too";

#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    #[error("a network of our own could not be made: {0}\n  fix: {BE_ROOT}")]
    Network(io::Error),
    #[error("a network of our own takes root, or a user namespace, which could not be made: {0}\n  fix: {BE_ROOT}")]
    User(io::Error),
    #[error("the user namespace was made, but {file} could not be written: {error}\n  fix: {BE_ROOT}")]
    Identity { file: &'static str, error: io::Error },
    #[error(
        "this host forbids user namespaces to ordinary users: {setting}\n  fix: run it as root (sudo), or allow them: {allow}"
    )]
    Forbidden { setting: &'static str, allow: &'static str },
    #[error("the loopback interface could not be brought up: {0}")]
    Loopback(io::Error),
}

/// Takes this process into a network of its own, with `lo` up and nothing else in it. It ends with the process.
///
/// An ordinary user becomes root in a user namespace at the same time, which is root over that network only. Must be
/// called while the process has one thread: before any runtime is started.
///
/// # Errors
/// When the host forbids it; it names the setting, where one is known.
pub fn enter_private_network() -> Result<(), NamespaceError> {
    let (user, group) = (geteuid(), getegid());
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => return raise_loopback(),
        // Root in a container may lack the right, and still be allowed to make a user namespace.
        Err(nix::Error::EPERM) => {}
        Err(error) => return Err(NamespaceError::Network(error.into())),
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|error| forbidden(error.into()))?;
    become_root(user, group)?;
    raise_loopback()
}

/// Maps the user who started us, and nobody else, to root of the new user namespace (user_namespaces(7)).
fn become_root(user: Uid, group: Gid) -> Result<(), NamespaceError> {
    let write = |file: &'static str, text: String| {
        fs::write(file, text).map_err(|error| match restriction() {
            Some(restriction) => restriction,
            None => NamespaceError::Identity { file, error },
        })
    };
    // Without this an unprivileged process may not write gid_map.
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("0 {user} 1"))?;
    write("/proc/self/gid_map", format!("0 {group} 1"))
}

fn forbidden(error: io::Error) -> NamespaceError {
    restriction().unwrap_or(NamespaceError::User(error))
}

/// The setting of this host that forbids user namespaces, if one does.
fn restriction() -> Option<NamespaceError> {
    // File, the value that forbids, the setting as it is, and how to allow them.
    const SETTINGS: [[&str; 4]; 3] = [
        [
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "kernel.unprivileged_userns_clone is 0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ],
        [
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns is 1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ],
        [
            "/proc/sys/user/max_user_namespaces",
            "0",
            "user.max_user_namespaces is 0",
            "sysctl user.max_user_namespaces=10000",
        ],
    ];
    SETTINGS.into_iter().find_map(|[file, forbids, setting, allow]| {
        let value = fs::read_to_string(file).ok()?;
        (value.trim() == forbids).then_some(NamespaceError::Forbidden { setting, allow })
    })
}

/// Brings `lo` up in the network of this thread.
fn raise_loopback() -> Result<(), NamespaceError> {
    let loopback = || -> nix::Result<()> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        // SAFETY: integers and octets only, for which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        // SAFETY: SIOCSIFFLAGS reads one ifreq, and this is one.
        nix::Error::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })?;
        Ok(())
    };
    loopback().map_err(|error| NamespaceError::Loopback(error.into()))
}

/// A network beside our own, for tests: another host, so to speak. It has no name and ends with this value, or with the
/// process, however that ends, unless a process inside still runs.
pub struct Namespace {
    network: OwnedFd,
}

impl Namespace {
    /// A new network with `lo` up and nothing else in it.
    ///
    /// # Errors
    /// Without the right CAP_SYS_ADMIN (root, or after [`enter_private_network`]).
    pub fn new() -> Result<Namespace, NamespaceError> {
        // In a thread of its own, so that the caller's network stays what it is.
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| NamespaceError::Network(error.into()))?;
            raise_loopback()?;
            let network = File::open("/proc/thread-self/ns/net").map_err(NamespaceError::Network)?;
            Ok(Namespace { network: network.into() })
        };
        thread::scope(|scope| scope.spawn(make).join().expect("the thread does nothing that panics"))
    }

    /// A name of the network for other programs, such as `ip link set veth1 netns PATH`; good while this value lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.network.as_raw_fd()))
    }

    /// A command that will run in this network.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let network = self.network.try_clone();
        let enter = move || match &network {
            Ok(network) => Ok(setns(network, CloneFlags::CLONE_NEWNET)?),
            Err(error) => Err(io::Error::from(error.kind())),
        };
        // SAFETY: setns is a plain system call; nothing is allocated or locked between fork and exec.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs `work` in this network, in a thread of its own. Sockets and threads that it makes stay in this network.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(self.network.as_fd(), CloneFlags::CLONE_NEWNET).expect("who made the network may enter it");
            work()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(result) => result,
            // A failed assertion inside is the caller's own.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn interfaces() -> Vec<String> {
        let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        text.lines().skip(2).map(|line| line.split(':').next().unwrap().trim().to_owned()).collect()
    }

    #[test]
    fn namespace_has_a_loopback_of_its_own() {
        let outside = interfaces();
        let (one, two) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let listener = one.run(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        assert_eq!(one.run(interfaces), ["lo"]);
        assert!(one.run(|| TcpStream::connect(address)).is_ok());
        assert!(two.run(|| TcpStream::connect(address)).is_err());
        assert_eq!(interfaces(), outside);
    }

    #[test]
    fn command_runs_inside_and_path_names_the_network() {
        let namespace = Namespace::new().unwrap();
        let seen = namespace.command("readlink").arg("/proc/self/ns/net").output().unwrap();
        let own = namespace.run(|| fs::read_link("/proc/thread-self/ns/net").unwrap());
        assert_eq!(String::from_utf8(seen.stdout).unwrap().trim(), own.to_str().unwrap());
        assert_ne!(own, fs::read_link("/proc/self/ns/net").unwrap());
        use std::os::unix::fs::MetadataExt;
        let inode = fs::metadata(namespace.path()).unwrap().ino();
        assert!(own.to_str().unwrap().contains(&inode.to_string()), "{own:?} {inode}");
    }

    #[test]
    fn panic_inside_reaches_the_caller() {
        let namespace = Namespace::new().unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            namespace.run(|| panic!("the caller's own assertion"));
        }));
        assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "the caller's own assertion");
    }
}
