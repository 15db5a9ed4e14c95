//! The two programs, each started as a user would for the same service, and what the kernel knows of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::bed::{Bed, Subnet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Lanboot,
    Dnsmasq,
}

impl Program {
    pub const BOTH: [Program; 2] = [Program::Lanboot, Program::Dnsmasq];
}

/// Who makes the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    IsThere,
    /// lanboot makes it, and puts `port0` in.
    ToBeMade,
}

/// A running program with a new state folder; ended with the value.
pub struct Server {
    child: Child,
    folder: Folder,
}

impl Server {
    /// Starts it; it serves the files of `root`, keeps leases and a log, and neither looks for another DHCP server nor
    /// whether an address is taken.
    pub fn start(program: Program, bed: &Bed, bridge: Bridge, root: &Path) -> Result<Server> {
        let folder = Folder::new()?;
        let command = match program {
            Program::Lanboot => lanboot(bed, bridge, root, &folder.0)?,
            Program::Dnsmasq => dnsmasq(bed, root, &folder.0),
        };
        Server::spawn(command, folder)
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
        };
        command.args(options);
        for (option, file) in [("dhcp-leasefile", "leases"), ("log-facility", "log"), ("pid-file", "pid")] {
            command.arg(format!("--{option}={}", folder.0.join(file).display()));
        }
        Server::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: Folder) -> Result<Server> {
        let log = File::create(folder.0.join("output"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().map_err(|error| format!("{command:?} cannot be started: {error}"))?;
        Ok(Server { child, folder })
    }

    /// What it printed; for when something went wrong.
    pub fn output(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.0.join(name)).unwrap_or_default();
        read("output") + &read("log")
    }

    /// Processor time used so far, by all of its threads, in the kernel and outside.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both calls write one value each, to a place that is valid for it.
        let failed = unsafe {
            libc::clock_getcpuclockid(self.child.id() as i32, &raw mut clock) != 0
                || libc::clock_gettime(clock, &raw mut time) != 0
        };
        if failed {
            Err("the program has ended".into())
        } else {
            Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        }
    }

    pub fn memory(&self) -> Result<Resident> {
        let read = |file: &str, key: &str| -> Result<f64> {
            let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?;
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"));
            Ok(value.ok_or_else(|| format!("the kernel does not tell {key}"))?.parse::<f64>()? / 1024.0)
        };
        Ok(Resident {
            whole: read("status", "VmRSS:")?,
            shared_out: read("smaps_rollup", "Pss:")?,
            anonymous: read("status", "RssAnon:")?,
        })
    }
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
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Built by the same command, into the same folder.
fn built() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("lanboot"))
}

fn lanboot(bed: &Bed, bridge: Bridge, root: &Path, state: &Path) -> Result<Command> {
    let Subnet { server, prefix, range: (first, last), .. } = bed.subnet;
    let mut command = bed.host.command(built()?);
    command.args(["up", "--force", "--conflict-check", "off"]);
    command.args(["--bridge", &format!("net={server}/{prefix}"), "--range", &format!("{first}-{last}")]);
    command.arg("--tftp-root").arg(root).arg("--state").arg(state);
    if bridge == Bridge::ToBeMade {
        command.args(["--port", "port0"]);
    }
    Ok(command)
}

fn dnsmasq(bed: &Bed, root: &Path, state: &Path) -> Command {
    let (first, last) = bed.subnet.range;
    let mut command = bed.host.command("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]);
    command.args(["--interface=net", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"]);
    command.args(["--dhcp-lease-max=20000", "--dhcp-boot=pxelinux.0", "--enable-tftp"]);
    command.arg(format!("--dhcp-range={first},{last},12h")).arg(format!("--tftp-root={}", root.display()));
    for (option, file) in [("dhcp-leasefile", "leases"), ("log-facility", "log"), ("pid-file", "pid")] {
        command.arg(format!("--{option}={}", state.join(file).display()));
    }
    command
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
