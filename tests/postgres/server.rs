//! A PostgreSQL server of a test's own: Debian's programs, run as nobody, on data that goes when the test does.

// Not every test needs all of it.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const NOBODY: u32 = 65534;
/// Until it serves, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// Runs the server until our end of its standard input is closed, which it is when we end, however we do. Unless it was
/// told to keep them, it then removes its folders: nothing else does for a server that a static variable holds.
///
/// Its own standard error is closed: what is left of that is the server's, and ends with it.
const KEEPER: &str = r#"folder=$1 sockets=$2; shift 2; "$@" </dev/null & server=$!; exec 2>/dev/null; read -r keep
kill -QUIT $server 2>/dev/null; wait $server; [ "$keep" = keep ] || rm -rf "$folder" "$sockets""#;

pub struct Server {
    folder: PathBuf,
    /// Paths of sockets are short.
    sockets: PathBuf,
    /// What is put before the server's command: `ip netns exec NAME`, say.
    within: Vec<String>,
    listen: String,
    running: Option<(Child, ChildStdin)>,
}

impl Server {
    /// Makes a database server that syncs what it commits, and waits until it serves its socket.
    pub fn start() -> Server {
        Server::start_within(&[], "")
    }

    /// `within`: what is put before the server's command, such as `ip netns exec NAME`. `listen`: at which addresses, port 5432.
    pub fn start_within(within: &[&str], listen: &str) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lb-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("tmp");
        let (folder, sockets) = (target.join(&name), std::env::temp_dir().join(&name));
        for folder in [&folder, &sockets] {
            fs::create_dir_all(folder).unwrap();
            if nix::unistd::Uid::effective().is_root() {
                std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let within = within.iter().map(|word| (*word).to_owned()).collect();
        let mut server = Server { folder, sockets, within, listen: listen.to_owned(), running: None };
        // That initdb does not sync its files matters to nobody: they are gone after a power cut of the test's machine.
        let options = ["--auth=trust", "--username=owner", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"];
        let made = as_nobody(&program("initdb")).args(options).arg(server.data()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.start_again();
        server
    }

    /// After [`Server::kill`] or [`Server::stop`].
    pub fn start_again(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.try_start(deadline) {
            assert!(Instant::now() < deadline, "the database server does not start: see {}", self.log().display());
        }
    }

    /// Children of a killed server may hold its memory for a moment longer: then it ends at once, and is tried again.
    fn try_start(&mut self, deadline: Instant) -> bool {
        let nobody = as_nobody(&program("postgres"));
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "keeper"])
            .args([&self.folder, &self.sockets])
            .args(&self.within)
            .arg(nobody.get_program())
            .args(nobody.get_args());
        command.arg("-D").arg(self.data());
        let sockets = format!("unix_socket_directories={}", self.sockets.display());
        let listen = format!("listen_addresses={}", self.listen);
        for setting in [&*sockets, &listen, "fsync=on", "shared_buffers=32MB", "max_connections=60"] {
            command.args(["-c", setting]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (stdin, stderr) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
        let (ready, is_ready) = mpsc::channel();
        let log = self.log();
        // Reads on for as long as it runs: a full pipe would stop it.
        std::thread::spawn(move || {
            let mut lines = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("ready to accept connections") {
                    let _ = ready.send(());
                }
                lines += &(line + "\n");
                let _ = fs::write(&log, &lines);
            }
        });
        match is_ready.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => {
                self.running = Some((child, stdin));
                true
            }
            Err(_) => {
                end(child, stdin);
                false
            }
        }
    }

    /// As a crash or the OOM killer would: SIGKILL, with everything under way lost.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        self.stop();
    }

    /// Ends it at once; what was committed is there after a start.
    pub fn stop(&mut self) {
        if let Some((child, stdin)) = self.running.take() {
            end(child, stdin);
        }
    }

    /// Where it is reached by its socket.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@/{database}?host={}", self.sockets.display())
    }

    /// The socket itself.
    pub fn socket(&self) -> PathBuf {
        self.sockets.join(".s.PGSQL.5432")
    }

    /// Runs SQL as the owner, and returns what it prints, unaligned.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let run = Command::new(program("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "owner", "-d", database, "-c", sql, "-h"])
            .arg(&self.sockets)
            .output()
            .unwrap();
        assert!(run.status.success(), "{sql}: {}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap().trim_end().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_dir_all(&self.sockets);
    }
}

/// Ends a server, but not its data.
fn end(mut keeper: Child, mut stdin: ChildStdin) {
    let _ = stdin.write_all(b"keep\n");
    drop(stdin);
    let _ = keeper.wait();
}

/// The newest of what Debian keeps beside each other.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("scripts/setup.sh test installs postgresql");
    let newest = versions.filter_map(|version| version.unwrap().file_name().to_str()?.parse::<u32>().ok()).max();
    Path::new("/usr/lib/postgresql").join(newest.unwrap().to_string()).join("bin").join(name)
}

/// PostgreSQL refuses to run as root.
fn as_nobody(program: &Path) -> Command {
    if !nix::unistd::Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let nobody = NOBODY.to_string();
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(program).current_dir("/");
    command
}
