//! A control group: the kernel adds up what programs and all that they start have used of the processors. Of a child that
//! ends without its parent asking, as tftpd-hpa's do, nothing else tells.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Removed with the value, after the programs have ended.
pub struct Group(PathBuf);

impl Group {
    /// Moves processes into a group of their own, and with them what they start from now on.
    ///
    /// # Errors
    /// Where there is no cgroup2, or it cannot be written.
    pub fn of(ids: impl IntoIterator<Item = u32>) -> io::Result<Group> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lanboot-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = own()?.join(name);
        fs::create_dir(&path)?;
        let group = Group(path);
        for id in ids {
            match fs::write(group.0.join("cgroup.procs"), id.to_string()) {
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                result => result?,
            }
        }
        Ok(group)
    }

    /// Since they were moved here, in the kernel and outside.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(self.0.join("cpu.stat"))?;
        let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
        micros.map(Duration::from_micros).ok_or_else(|| io::Error::other("cpu.stat tells no usage_usec"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What nobody waits for may need a moment to end.
        for _ in 0..100 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
    }
}

/// The folder of the group that this program is in.
fn own() -> io::Result<PathBuf> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "no cgroup2 is mounted");
    let (mounts, groups) = (fs::read_to_string("/proc/mounts")?, fs::read_to_string("/proc/self/cgroup")?);
    let mounted = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [_, at, "cgroup2", ..] => Some(Path::new(at)),
        _ => None,
    });
    let below = groups.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(none)?;
    Ok(mounted.ok_or_else(none)?.join(below))
}
