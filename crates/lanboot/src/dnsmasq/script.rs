//! Runs `dhcp-script`, one call at a time, in a process of its own: it is made before rights are given up and keeps them,
//! and service never waits for it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use config::Diagnostics;
use nix::libc;
use nix::unistd::{ForkResult, User, chdir, fork};

use super::call::Call;
use super::process::let_go_of_the_terminal;
use super::{BAD_CONFIGURATION, FILE_TROUBLE};
use crate::problem;

/// dnsmasq's exit codes from here on are those of the script that was asked for the leases.
const INIT_FAILED: u8 = 10;

/// The script, and as whom it runs.
#[derive(Clone, Debug)]
pub struct Script {
    path: PathBuf,
    /// `None`: whoever we are.
    user: Option<User>,
    /// Its output is not ours to log, and its user stays who we are.
    debug: bool,
}

/// What the script did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A line that it printed.
    Line(String),
    /// Something went wrong.
    Trouble(String),
    /// The call is over.
    Done,
}

impl Script {
    /// # Errors
    /// A script that nobody can run, or a user that does not exist; and the exit code for it.
    pub fn new(path: &Path, user: Option<&str>, debug: bool) -> Result<Script, (Diagnostics, u8)> {
        let user = user.filter(|_| nix::unistd::getuid().is_root() && !debug).map(look_up).transpose();
        let user = user.map_err(|found| (found, BAD_CONFIGURATION))?;
        runnable(path).map_err(|found| (found, FILE_TROUBLE))?;
        Ok(Script { path: path.to_owned(), user, debug })
    }

    /// Asks the script for the leases that it keeps, in the lease file's format.
    ///
    /// # Errors
    /// When it does not run, or ends with another exit status than 0; and the exit code that goes with it.
    pub fn init(&self) -> Result<String, (Diagnostics, u8)> {
        let output = self.command().arg("init").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let failed = |what: String, code: u8| {
            let fix = format!("run `{} init` by hand to see why", self.path.display());
            (Diagnostics::from(problem::of(what).fix(fix)), code)
        };
        match output {
            Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(output) => {
                let code = output.status.code().unwrap_or(0) as u8;
                let how = ended(output.status).unwrap_or_default();
                Err(failed(format!("lease-init {how}"), INIT_FAILED.saturating_add(code)))
            }
            Err(error) => {
                Err(failed(format!("cannot run lease-init script {}: {error}", self.path.display()), FILE_TROUBLE))
            }
        }
    }

    /// Makes the process that runs it. To be called while this is the only thread, and few files are open.
    ///
    /// # Errors
    /// When the kernel makes no process.
    pub fn helper(self) -> io::Result<Helper> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: this process has one thread, so its copy may do everything that it could.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => Ok(Helper { heard: BufReader::new(ours.try_clone()?), stream: ours }),
            ForkResult::Child => {
                drop(ours);
                close_all_but(&theirs);
                if !self.debug {
                    // Who has an end of our output, or wants to unmount where we began, is not to wait for us.
                    let _ = chdir("/");
                    let_go_of_the_terminal(false);
                }
                // The other end is gone: so is our purpose.
                let _ = self.serve(&theirs);
                // SAFETY: ends this copy without running what the original has yet to run at its own end.
                unsafe { libc::_exit(0) }
            }
        }
    }

    fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        let mut calls = BufReader::new(stream.try_clone()?);
        while let Some(call) = Call::read(&mut calls)? {
            let mut tell = |told: Told| writeln!(&mut &*stream, "{told}");
            match self.run(&call, &mut tell) {
                Ok(None) => {}
                Ok(Some(trouble)) => tell(Told::Trouble(trouble))?,
                Err(error) => {
                    tell(Told::Trouble(format!("failed to execute {}: {error}", self.path.display())))?;
                }
            }
            tell(Told::Done)?;
        }
        Ok(())
    }

    /// The script, without what whoever started us had of its variables: one that we leave out says something, too.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        let stale = std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_bytes().starts_with(b"DNSMASQ_"));
        stale.for_each(|name| {
            command.env_remove(name);
        });
        command
    }

    /// Runs it to its end. Gives what is to be said of how it ended.
    fn run(&self, call: &Call, tell: &mut dyn FnMut(Told) -> io::Result<()>) -> io::Result<Option<String>> {
        let mut command = self.command();
        command.args(call.arguments.iter().map(|argument| OsStr::from_bytes(argument)));
        let variables = call.environment.iter().map(|(name, value)| (name, OsStr::from_bytes(value)));
        command.envs(variables).stdin(Stdio::null());
        if let Some(name) = self.path.file_name() {
            command.arg0(name);
        }
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        if self.debug {
            return Ok(ended(command.status()?));
        }
        command.current_dir("/");
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // With it goes our end of the pipe, so that its last line is the end.
        drop(command);
        let mut lines = BufReader::new(reader).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            tell(Told::Line(String::from_utf8_lossy(&line).into_owned()))?;
        }
        Ok(ended(child.wait()?))
    }
}

fn runnable(path: &Path) -> Result<(), Diagnostics> {
    let about = path.metadata().map_err(|error| {
        let what = format!("cannot access {}: {error}", path.display());
        problem::of(what).fix("name a program by its whole path: --dhcp-script=/PATH")
    })?;
    if !about.is_file() || about.permissions().mode() & 0o111 == 0 {
        let what = format!("cannot access {}: nobody may run it", path.display());
        return Err(problem::of(what).fix(format!("make it a program: chmod +x {}", path.display())).into());
    }
    Ok(())
}

fn look_up(name: &str) -> Result<User, Diagnostics> {
    User::from_name(name).ok().flatten().ok_or_else(|| {
        let fix = "name a user that exists with --dhcp-scriptuser=NAME (`getent passwd` lists them)";
        problem::of(format!("unknown user or group: {name}")).fix(fix).into()
    })
}

fn ended(status: std::process::ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("script process exited with status {code}")),
        (None, signal) => Some(format!("script process killed by signal {}", signal.unwrap_or_default())),
    }
}

/// What the copy has of the original's files would keep pipes and sockets open that end with the original.
fn close_all_but(stream: &UnixStream) {
    let kept = stream.as_raw_fd();
    for (first, last) in [(3, kept - 1), (kept + 1, i32::MAX)] {
        if first <= last {
            // SAFETY: nothing of this process uses them any more; a kernel without the call leaves them open.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// The process that runs the script; it ends when this is dropped and the calls before are done.
#[derive(Debug)]
pub struct Helper {
    stream: UnixStream,
    heard: BufReader<UnixStream>,
}

impl Helper {
    /// Hands over a call: what comes of it is [`Helper::told`]'s to tell, to the [`Told::Done`] at its end.
    pub fn call(&mut self, call: &Call) -> io::Result<()> {
        self.stream.write_all(&call.frame())
    }

    /// Waits for what the script does next.
    pub fn told(&mut self) -> io::Result<Told> {
        let mut line = Vec::new();
        self.heard.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").ok_or(io::ErrorKind::UnexpectedEof)?).into_owned();
        Ok(match text.split_at_checked(1) {
            Some(("l", line)) => Told::Line(line.to_owned()),
            Some(("t", trouble)) => Told::Trouble(trouble.to_owned()),
            _ => Told::Done,
        })
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Told::Line(line) => write!(f, "l{line}"),
            Told::Trouble(trouble) => write!(f, "t{}", trouble.replace('\n', " ")),
            Told::Done => f.write_str("d"),
        }
    }
}

impl Call {
    /// The number of octets that follow, the number of arguments, then arguments and variables with a NUL behind each.
    fn frame(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        octets.extend((self.arguments.len() as u32).to_be_bytes());
        for argument in &self.arguments {
            octets.extend(argument);
            octets.push(0);
        }
        for (name, value) in &self.environment {
            octets.extend(name.as_bytes());
            octets.push(b'=');
            octets.extend(value);
            octets.push(0);
        }
        [&(octets.len() as u32).to_be_bytes()[..], &octets].concat()
    }

    /// `None`: there are no more.
    fn read(from: &mut impl Read) -> io::Result<Option<Call>> {
        let mut number = [0; 4];
        match from.read_exact(&mut number) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let mut octets = vec![0; u32::from_be_bytes(number) as usize];
        from.read_exact(&mut octets)?;
        let (count, rest) = octets.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
        let mut parts = rest.split(|octet| *octet == 0).map(<[u8]>::to_vec);
        let arguments = parts.by_ref().take(u32::from_be_bytes(*count) as usize).collect();
        let variable = |part: Vec<u8>| {
            let at = part.iter().position(|octet| *octet == b'=')?;
            Some((String::from_utf8_lossy(&part[..at]).into_owned(), part[at + 1..].to_vec()))
        };
        Ok(Some(Call { arguments, environment: parts.filter_map(variable).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reaches_the_other_process_as_it_is() {
        let arguments = vec![b"add".to_vec(), b"52:54:00:00:00:01".to_vec(), vec![], vec![0xff, b'=']];
        let environment = vec![("DNSMASQ_TAGS".to_owned(), b"a=b c".to_vec()), ("EMPTY".to_owned(), vec![])];
        let call = Call { arguments, environment };
        let frames = [call.frame(), Call::default().frame()].concat();
        let mut rest = frames.as_slice();
        assert_eq!(Call::read(&mut rest).unwrap(), Some(call));
        assert_eq!(Call::read(&mut rest).unwrap(), Some(Call::default()));
        assert_eq!(Call::read(&mut rest).unwrap(), None);
    }
}
