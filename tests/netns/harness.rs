//! Networks for tests, and the program running in them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use journal::{Event, Step};
use lab::Namespace;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::snapshot::Snapshot;

/// Nothing that is waited for takes this long, however busy this computer is.
pub const LONG: Duration = Duration::from_secs(60);

/// The network of one computer. It ends with the value.
pub struct Network(Namespace);

impl Network {
    pub fn new() -> Network {
        let namespace =
            Namespace::new().unwrap_or_else(|error| panic!("these tests make networks of their own: {error}"));
        let network = Network(namespace);
        // Without duplicate address detection, addresses are what they will be at once.
        network.inside(|| fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")).expect("IPv6 is there");
        network
    }

    /// Runs `work` in a thread of this network; its sockets stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.run(work)
    }

    /// A command to be run here: a program and its arguments, parted by blanks.
    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = self.0.command(words.next().expect("a program"));
        command.args(words).stdin(Stdio::null());
        // Nothing stays behind when the tests themselves are killed.
        // SAFETY: prctl is a plain system call; nothing is allocated or locked between fork and exec.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        command
    }

    /// Runs a program that must succeed, and gives what it printed.
    pub fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Lays a cable from the interface `here` to the interface `there` of the other computer; both are up.
    pub fn cable(&self, here: &str, other: &Network, there: &str) {
        self.run(&format!("ip link add {here} type veth peer name {there} netns {}", other.0.path().display()));
        self.run(&format!("ip link set dev {here} up"));
        other.run(&format!("ip link set dev {there} up"));
    }

    /// Another computer, whose `eth0` is plugged into the interface `port` of this one.
    pub fn neighbour(&self, port: &str) -> Network {
        let other = Network::new();
        self.cable(port, &other, "eth0");
        other
    }

    pub fn mac(&self, interface: &str) -> mac::Mac {
        let line = self.run(&format!("ip -br link show {interface}"));
        line.split_whitespace().nth(2).expect("name, state, address").parse().expect("a MAC address")
    }
}

/// The computer that lanboot runs on, with a state folder of its own.
pub struct Host {
    pub network: Network,
    pub folder: Folder,
}

impl Host {
    pub fn new() -> Host {
        Host { network: Network::new(), folder: Folder::new() }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.0.join("state")
    }

    /// Writes a file that the program may be given.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.0.join(name);
        fs::write(&path, content).expect("room for a file");
        path
    }

    /// The program, about to be run on this host.
    pub fn lanboot(&self, arguments: &str) -> Command {
        let program = env!("CARGO_BIN_EXE_lanboot");
        self.network.command(&format!("{program} {arguments} --state {}", self.state().display()))
    }

    /// Runs the program until it ends by itself.
    pub fn finish(&self, arguments: &str) -> Finished {
        Program::start(self.lanboot(arguments)).finish()
    }

    /// `lanboot up`, ready to serve. Does not look for another DHCP server, which takes seconds.
    pub fn up(&self, arguments: &str) -> Server {
        self.up_carefully(&format!("{arguments} --force"))
    }

    /// As [`Host::up`], and looks for another DHCP server first.
    pub fn up_carefully(&self, arguments: &str) -> Server {
        let mut server = Server(Program::start(self.lanboot(&format!("up --log json {arguments}"))));
        for (service, off) in [("TFTP", "--no-tftp"), ("HTTP", "--no-http"), ("DHCP", "--no-dhcp")] {
            if !arguments.contains(off) {
                server.next(|step| {
                    matches!(step, Step::Listening { service: ready, .. } if ready == service).then_some(())
                });
            }
        }
        server
    }

    /// Runs the program, which must refuse: exit status 1, errors with their remedies, and the host as it was. Gives what it
    /// said.
    pub fn refuses(&self, arguments: &str) -> String {
        let before = Snapshot::of(&self.network);
        let Finished { status, out, err } = self.finish(arguments);
        assert_eq!(status.code(), Some(1), "{out}{err}");
        let errors: Vec<_> = err.split("\n\n").filter(|found| found.trim_start().starts_with("error: ")).collect();
        assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("\n  fix: ")), "{err}");
        before.assert_same(&self.network);
        let records = self.records();
        assert!(records.is_empty(), "{records:?}");
        err
    }

    /// What the program has noted of its changes to this host.
    pub fn records(&self) -> Vec<String> {
        let known = ["journal.jsonl", "leases.lock", "leases.log"];
        let names = fs::read_dir(self.state()).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().into_string().expect("our own names"));
        names.filter(|name| !known.contains(&name.as_str())).collect()
    }
}

/// A running `lanboot up`; killed with the value.
pub struct Server(pub Program);

impl Server {
    /// The next event that `pick` takes; those before it are passed over for good.
    pub fn next<T>(&mut self, pick: impl Fn(&Step) -> Option<T>) -> T {
        self.next_event(|event| pick(&event.step))
    }

    pub fn next_event<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.0.next(|line| pick(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))))
    }

    /// SIGTERM, and it must put everything back.
    pub fn stop(self) {
        self.stop_by(Signal::SIGTERM);
    }

    /// SIGTERM or SIGINT, and it must put everything back.
    pub fn stop_by(self, signal: Signal) {
        self.0.signal(signal);
        let Finished { status, out, err } = self.0.finish();
        assert_eq!(status.code(), Some(0), "{out}{err}");
    }

    /// kill -9. It has ended when this returns.
    pub fn kill(self) {
        self.0.signal(Signal::SIGKILL);
        let Finished { status, out, err } = self.0.finish();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{out}{err}");
    }
}

/// A program that runs beside the test, read line by line; killed with the value.
pub struct Program {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    seen: Vec<String>,
}

/// How a program ended, and what it had printed that was not read before.
pub struct Finished {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn start(mut command: Command) -> Program {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        Program { child, out, err, seen: Vec::new() }
    }

    /// The next line of its output that `pick` takes.
    pub fn next<T>(&mut self, pick: impl Fn(&str) -> Option<T>) -> T {
        next(&self.out, &mut self.seen, pick).unwrap_or_else(|why| {
            panic!("it {why} after {}\n{}", self.seen.join("\n"), all(&self.err, A_MOMENT));
        })
    }

    /// The next line of its error output that `pick` takes.
    pub fn next_complaint<T>(&mut self, pick: impl Fn(&str) -> Option<T>) -> T {
        next(&self.err, &mut self.seen, pick).unwrap_or_else(|why| panic!("it {why} after {}", self.seen.join("\n")))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("a child of ours that was not waited for");
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        // Closed streams say that it ends.
        let (out, err) = (all(&self.out, LONG), all(&self.err, LONG));
        let status = self.child.wait().expect("a child of ours");
        Finished { status, out, err }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time enough for words that were printed before.
const A_MOMENT: Duration = Duration::from_millis(200);

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        for line in lines {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The next line that `pick` takes, or what the program did instead.
fn next<T>(
    stream: &Receiver<String>,
    seen: &mut Vec<String>,
    pick: impl Fn(&str) -> Option<T>,
) -> Result<T, &'static str> {
    let deadline = Instant::now() + LONG;
    loop {
        let line = stream.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let line = line.map_err(|why| if why == RecvTimeoutError::Timeout { "said nothing more" } else { "ended" })?;
        let picked = pick(&line);
        seen.push(line);
        if let Some(picked) = picked {
            return Ok(picked);
        }
    }
}

/// Everything up to the end of a stream.
fn all(stream: &Receiver<String>, limit: Duration) -> String {
    let deadline = Instant::now() + limit;
    let mut text = String::new();
    loop {
        match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => text += &(line + "\n"),
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) if limit == LONG => panic!("it does not end:\n{text}"),
            Err(RecvTimeoutError::Timeout) => return text,
        }
    }
}

/// A folder that goes with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lanboot-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder for this test");
        Folder(path)
    }

    /// Writes a file of so many octets in which no two blocks are alike.
    pub fn fill(&self, name: &str, octets: usize) -> &'static [u8] {
        let content = &CONTENT[..octets];
        fs::write(self.0.join(name), content).expect("room for a file");
        content
    }
}

static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut content = vec![0; 100 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for word in content.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    content
});

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits for what no event tells of.
pub fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "not even after {LONG:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of these tests.
pub fn of_ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/netns").join(name)
}
