//! Little worlds for tests: network namespaces that end with the value, and what can be seen in them.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pause, pipe, write};

/// A network namespace, held by its descriptor alone.
pub struct Namespace(File);

impl Namespace {
    pub fn new() -> Namespace {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("tests of the host run as root");
            // Without duplicate address detection, addresses are what they will be at once.
            fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Namespace(made.join().unwrap())
    }

    /// Runs `body` in a thread that lives in this namespace.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                body()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A path by which `ip` can reach it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// A cable from `here` in this namespace to `there` in the other; both ends up.
    pub fn cable(&self, here: &str, other: &Namespace, there: &str) {
        let path = other.path();
        self.run(|| {
            ip(&format!("link add {here} type veth peer name {there} netns {path}"));
            ip(&format!("link set dev {here} up"));
        });
        other.run(|| ip(&format!("link set dev {there} up")));
    }
}

pub fn ip(arguments: &str) {
    run("ip", arguments);
}

/// Runs a program that must succeed, and gives its output.
pub fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a run must leave as it found it, of the calling thread's namespace.
pub fn snapshot() -> String {
    let mut all = String::new();
    for (program, arguments) in [
        ("ip", "-d -o link"),
        ("ip", "addr"),
        ("ip", "route show table all"),
        ("ip", "-6 route"),
        ("nft", "list ruleset"),
    ] {
        all.push_str(&format!("== {program} {arguments}\n{}", without_timers(&run(program, arguments))));
    }
    all.push_str("== sysctl\n");
    settings(Path::new("/proc/sys/net/ipv4/ip_forward"), &mut all);
    settings(Path::new("/proc/sys/net/ipv4/conf"), &mut all);
    all
}

/// The same, once the kernel has reported every carrier, which it does up to a second late.
pub fn settled_snapshot() -> String {
    let (mut last, mut quiet, deadline) = (snapshot(), Instant::now(), Instant::now() + Duration::from_secs(10));
    // That nothing more comes is no event to wait for.
    while quiet.elapsed() < Duration::from_millis(1200) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        let now = snapshot();
        if now != last {
            (last, quiet) = (now, Instant::now());
        }
    }
    last
}

/// A bridge shows how long ago its clocks were started.
fn without_timers(text: &str) -> String {
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if word.ends_with("_timer") {
            words.next();
        }
    }
    kept.join(" ")
}

fn settings(path: &Path, into: &mut String) {
    if path.is_dir() {
        let mut children: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        children.sort();
        children.iter().for_each(|child| settings(child, into));
    } else {
        // Some may only be written.
        let value = fs::read_to_string(path).unwrap_or_default();
        into.push_str(&format!("{} = {}\n", path.display(), value.trim_end()));
    }
}

/// Asserts that the namespace is as it was. The kernel reports carriers a moment late.
pub fn assert_untouched(before: &str) {
    let same = wait_until(|| snapshot() == before);
    let now = snapshot();
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), now.lines().collect());
    let missing: Vec<_> = old.iter().filter(|line| !new.contains(line)).collect();
    let added: Vec<_> = new.iter().filter(|line| !old.contains(line)).collect();
    assert!(same, "missing: {missing:#?}\nadded: {added:#?}");
}

pub fn eventually(condition: impl Fn() -> bool) {
    assert!(wait_until(condition), "not within five seconds");
}

fn wait_until(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A folder that goes with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lanboot-host-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Folder(std::env::temp_dir().join(name))
    }

    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Another process, in the namespace of the thread that made it; killed with the value.
pub struct Child(Option<Pid>);

impl Child {
    /// Runs `body` there, waits until it has returned, and leaves the process standing with what it returned.
    pub fn holding<T>(body: impl FnOnce() -> T) -> Child {
        let (reader, writer) = pipe().unwrap();
        let child = Child::keeping(writer.as_raw_fd(), move || {
            let held = body();
            write(&writer, b"!").unwrap();
            pause();
            drop(held);
        });
        // The child's copy of the writer went with its `body`; ours must not keep the pipe open.
        read_one(reader);
        child
    }

    /// Runs `body` there, without waiting.
    pub fn doing(body: impl FnOnce()) -> Child {
        Child::keeping(-1, body)
    }

    /// Closes every descriptor but the standard ones and `kept`: they are other tests' namespaces, locks and taps.
    fn keeping(kept: RawFd, body: impl FnOnce()) -> Child {
        // SAFETY: the C library makes its allocator usable in the child, and the child calls nothing else that another
        // thread may have locked.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => Child(Some(child)),
            ForkResult::Child => {
                for fd in (3..1024).filter(|fd| *fd != kept) {
                    // SAFETY: this process uses none of them, and ends without dropping their owners.
                    unsafe { libc::close(fd) };
                }
                body();
                // SAFETY: ends at once, without the test harness noticing.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Runs `body` there up to its call number `calls` (from 0) of those that change anything outside of a process, and
    /// kills it before that call is made. `false`: it ended before.
    pub fn killed_before_call(calls: usize, body: impl FnOnce()) -> bool {
        let child = Child::doing(|| {
            ptrace::traceme().unwrap();
            raise(Signal::SIGSTOP).unwrap();
            body();
        });
        let pid = child.0.unwrap();
        waitpid(pid, None).unwrap();
        ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL).unwrap();
        let mut seen = 0;
        loop {
            ptrace::syscall(pid, None).unwrap();
            match waitpid(pid, None).unwrap() {
                WaitStatus::PtraceSyscall(_) if begins_change(pid) => {
                    if seen == calls {
                        child.kill();
                        return true;
                    }
                    seen += 1;
                }
                WaitStatus::PtraceSyscall(_) => {}
                ended => {
                    assert_eq!(ended, WaitStatus::Exited(pid, 0));
                    std::mem::forget(child);
                    return false;
                }
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.0.unwrap().as_raw() as u32
    }

    /// kill -9, and it has ended when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(pid) = self.0.take() {
            kill(pid, Signal::SIGKILL).unwrap();
            waitpid(pid, None).unwrap();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether the traced process stands before a call by which netlink, `/proc/sys` or the disk is changed.
fn begins_change(pid: Pid) -> bool {
    #[cfg(target_arch = "x86_64")]
    const UNLINK: libc::c_long = libc::SYS_unlink;
    #[cfg(not(target_arch = "x86_64"))]
    const UNLINK: libc::c_long = libc::SYS_unlinkat;
    const CHANGES: [libc::c_long; 5] =
        [libc::SYS_sendto, libc::SYS_write, libc::SYS_fdatasync, libc::SYS_ftruncate, UNLINK];
    let info = ptrace::syscall_info(pid).unwrap();
    // SAFETY: at an entry, the kernel fills that part of the union.
    info.op == libc::PTRACE_SYSCALL_INFO_ENTRY && CHANGES.contains(&(unsafe { info.u.entry.nr } as libc::c_long))
}

fn read_one(reader: OwnedFd) {
    let mut octet = [0];
    assert_eq!(File::from(reader).read(&mut octet).unwrap(), 1, "the child ended before it was ready");
}
