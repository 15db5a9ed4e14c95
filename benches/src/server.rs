//! The programs at work, each with a new state folder, and what the kernel knows of them.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::Result;
use crate::bed::Bed;
use crate::group::Group;
use crate::program::{Bridge, Program, built};

/// The running processes of a program; ended with the value.
pub struct Server {
    children: Vec<Child>,
    folder: Folder,
    /// Where its processor time is counted, from when that was first asked for: to move there takes time. `None`: nowhere.
    group: OnceCell<Option<Group>>,
}

impl Server {
    /// Starts it; it serves the files of `root`, keeps leases and a log, and neither looks for another DHCP server nor
    /// whether an address is taken.
    pub fn start(program: Program, bed: &Bed, bridge: Bridge, root: &Path) -> Result<Server> {
        Server::start_in(Folder::new()?, program, bed, bridge, root)
    }

    /// The same with a state folder that may hold leases already.
    pub fn start_in(folder: Folder, program: Program, bed: &Bed, bridge: Bridge, root: &Path) -> Result<Server> {
        let commands = program.commands(bed, bridge, root, &folder.0)?;
        Server::spawn(commands, folder)
    }

    /// Starts it with the same options, those of dnsmasq, whichever it is.
    pub fn start_dnsmasq_options(program: Program, bed: &Bed, options: &[String]) -> Result<Server> {
        let folder = Folder::new()?;
        let mut command = match program {
            Program::Lanboot => {
                let mut command = bed.host.command(built()?);
                command.arg("dnsmasq");
                command
            }
            Program::Dnsmasq => bed.host.command("dnsmasq"),
            other => return Err(format!("{} knows no options of dnsmasq", other.name()).into()),
        };
        command.args(options);
        for (option, file) in [("dhcp-leasefile", "leases"), ("log-facility", "log"), ("pid-file", "pid")] {
            command.arg(format!("--{option}={}", folder.0.join(file).display()));
        }
        Server::spawn(vec![command], folder)
    }

    fn spawn(commands: Vec<Command>, folder: Folder) -> Result<Server> {
        let mut server = Server { children: Vec::new(), folder, group: OnceCell::new() };
        for (number, mut command) in commands.into_iter().enumerate() {
            let log = File::create(server.folder.0.join(format!("output{number}")))?;
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
            let child = command.spawn().map_err(|error| format!("{command:?} cannot be started: {error}"))?;
            server.children.push(child);
        }
        Ok(server)
    }

    /// What it printed and logged, the last of it; for when something went wrong.
    pub fn output(&self) -> String {
        let files = ["output0", "output1", "output2", "log", "kea.log", "nginx-error.log", "atftpd.log"];
        files.iter().map(|name| last_lines(&self.folder.0.join(name))).collect()
    }

    /// Processor time used so far by all of its processes and threads, ended or not, in the kernel and outside, counted from
    /// some time on. Where the kernel counts for no groups, that of children that have ended is known to a hundredth of a
    /// second, and not at all if nobody waited for them.
    pub fn processor_time(&self) -> Result<Duration> {
        for (at, child) in self.children.iter().enumerate() {
            if !Path::new(&format!("/proc/{}/exe", child.id())).exists() {
                return Err(format!("process {} of the program has ended: {}", at + 1, self.output()).into());
            }
        }
        let ids = || self.children.iter().flat_map(|child| family(child.id()));
        match self.group.get_or_init(|| Group::of(ids()).ok()) {
            Some(group) => Ok(group.processor_time()?),
            None => Ok(ids().map(|id| own_time(id) + time_of_ended_children(id)).sum()),
        }
    }

    /// Waits until it has come to rest: some do the last of their work when their clients are gone.
    pub fn rest(&self) -> Result<()> {
        const STEP: Duration = Duration::from_millis(30);
        let (start, mut before) = (Instant::now(), self.processor_time()?);
        while start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(STEP);
            let now = self.processor_time()?;
            if now - std::mem::replace(&mut before, now) < STEP / 100 {
                break;
            }
        }
        Ok(())
    }

    /// Lets its threads of these names run only while a processor has nothing else to do.
    pub fn hold_back(&self, names: &[&str]) -> Result<()> {
        for task in self.threads(names) {
            let id = task.file_name().and_then(|id| id.to_str()?.parse().ok()).ok_or("a thread has a number")?;
            let priority = libc::sched_param { sched_priority: 0 };
            // SAFETY: the call reads the parameter, which outlives it.
            if unsafe { libc::sched_setscheduler(id, libc::SCHED_IDLE, &raw const priority) } != 0 {
                return Err(std::io::Error::last_os_error().into());
            }
        }
        Ok(())
    }

    /// Processor time used so far by its threads of these names.
    pub fn time_of(&self, names: &[&str]) -> Duration {
        // The first word is the time on a processor in nanoseconds (proc_pid_schedstat(5)).
        let time = |task: PathBuf| {
            let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
        };
        Duration::from_nanos(self.threads(names).map(time).sum())
    }

    fn threads(&self, names: &[&str]) -> impl Iterator<Item = PathBuf> {
        let tasks = self.children.iter().filter_map(|child| fs::read_dir(format!("/proc/{}/task", child.id())).ok());
        let is_meant =
            |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| names.contains(&name.trim_end()));
        tasks.flatten().flatten().map(|task| task.path()).filter(is_meant)
    }

    /// Of all of its processes.
    pub fn memory(&self) -> Result<Resident> {
        let mut sum = Resident { whole: 0.0, shared_out: 0.0, anonymous: 0.0 };
        for id in self.children.iter().flat_map(|child| family(child.id())) {
            let read = |file: &str, key: &str| -> Result<f64> {
                let text = fs::read_to_string(format!("/proc/{id}/{file}"))?;
                let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"));
                Ok(value.ok_or_else(|| format!("the kernel does not tell {key}"))?.parse::<f64>()? / 1024.0)
            };
            sum.whole += read("status", "VmRSS:")?;
            sum.shared_out += read("smaps_rollup", "Pss:")?;
            sum.anonymous += read("status", "RssAnon:")?;
        }
        Ok(sum)
    }
}

/// The process, its children, theirs, and so on.
fn family(id: u32) -> Vec<u32> {
    let mut family = vec![id];
    let mut next = 0;
    while let Some(id) = family.get(next) {
        let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let children = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children: Vec<String> = threads.map(children).collect();
        family.extend(children.iter().flat_map(|ids| ids.split_whitespace()).filter_map(|id| id.parse::<u32>().ok()));
        next += 1;
    }
    family
}

/// Nothing for a process that ended meanwhile: its parent has it then.
fn own_time(id: u32) -> Duration {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write one value each, to a place that is valid for it.
    let failed = unsafe {
        libc::clock_getcpuclockid(id as i32, &raw mut clock) != 0 || libc::clock_gettime(clock, &raw mut time) != 0
    };
    if failed { Duration::ZERO } else { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) }
}

/// `cutime` and `cstime` of proc_pid_stat(5).
fn time_of_ended_children(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name is in brackets and may hold anything; the third field follows it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as u64;
    Duration::from_millis(ticks * 1000 / a_second)
}

fn last_lines(file: &Path) -> String {
    const LINES: usize = 20;
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("{line}\n")).collect()
}

/// Resident memory, in MiB.
pub struct Resident {
    pub whole: f64,
    /// Pages that n processes use count 1/n.
    pub shared_out: f64,
    /// Heap and stacks: what no file backs.
    pub anonymous: f64,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that lanboot puts the host back; patience is bounded, and a program that has ended already is as well.
        let group = |child: &Child| Pid::from_raw(child.id() as i32);
        for child in &self.children {
            let _ = killpg(group(child), Signal::SIGTERM);
        }
        let start = Instant::now();
        for child in &mut self.children {
            while matches!(child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(2));
            }
            // Children that outlive their parent, such as transfers under way, and a parent that did not heed.
            let _ = killpg(group(child), Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

/// A folder beside the programs, so on a disk rather than in memory, that goes with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Result<Folder> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::current_exe()?.with_file_name(name);
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    /// The files to be served, each of so many octets of which no two blocks are alike.
    pub fn with_files(files: &[(&str, usize)]) -> Result<Folder> {
        let folder = Folder::new()?;
        for (name, octets) in files {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let words = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            });
            let content: Vec<u8> = words.take(octets.div_ceil(8)).flatten().take(*octets).collect();
            fs::write(folder.0.join(name), content)?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
