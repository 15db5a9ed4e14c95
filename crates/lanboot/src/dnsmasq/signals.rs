//! Signals with dnsmasq's meaning, and what SIGHUP makes be read again.

use config::Diagnostics;
use nix::sys::signal::{SigSet, Signal};

use crate::problem;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    Statistics,
    /// SIGUSR2.
    ReopenLog,
    /// SIGTERM; with `-d`, SIGINT.
    Stop(Signal),
}

/// Something that was read from files and is read again on SIGHUP: hosts, ethers, options.
///
/// Made before service starts, and called in the main thread, as the user that we run as. What it holds of the running
/// service (a channel, a lock) is its own affair; the service goes on meanwhile, and keeps what it has when this fails.
pub trait Reload: Send {
    /// Reads again. Returns the lines to log, such as `read /etc/ethers - 3 addresses`.
    ///
    /// # Errors
    /// What is wrong in the files, each with its place. It is logged; nothing ends.
    fn reload(&mut self) -> Result<Vec<String>, Diagnostics>;
}

/// Hosts files, and what upstream servers said so far.
impl Reload for crate::name_files::Follower {
    fn reload(&mut self) -> Result<Vec<String>, Diagnostics> {
        self.read_again();
        Ok(Vec::new())
    }
}

/// The signals that we wait for, blocked in this thread and in all that it starts later.
pub struct Signals {
    set: SigSet,
    debug: bool,
}

impl Signals {
    /// To be called before there are other threads. `debug`: SIGINT ends us too.
    pub fn block(debug: bool) -> Result<Signals, Diagnostics> {
        let all = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGTERM, Signal::SIGINT];
        let set = SigSet::from_iter(all);
        set.thread_block().map_err(|error| problem::of(format!("cannot block signals: {error}")))?;
        Ok(Signals { set, debug })
    }

    /// Waits for the next one.
    pub fn next(&self) -> Control {
        loop {
            return match self.set.wait() {
                Ok(Signal::SIGHUP) => Control::Reload,
                Ok(Signal::SIGUSR1) => Control::Statistics,
                Ok(Signal::SIGUSR2) => Control::ReopenLog,
                Ok(signal @ Signal::SIGTERM) => Control::Stop(signal),
                Ok(signal @ Signal::SIGINT) if self.debug => Control::Stop(signal),
                Ok(_) | Err(_) => continue,
            };
        }
    }
}
