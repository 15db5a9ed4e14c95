//! What the options on the process and its log come to.

use std::path::PathBuf;

use crate::dnsmasq::Meaning;
use crate::dnsmasq::options::process::LogTo;

/// How the program behaves as a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// `-k`: do not go into the background.
    pub foreground: bool,
    /// `-d`: nor that, nor another user, nor a pid file; the log goes to standard error too.
    pub debug: bool,
    /// `None`: `/run/dnsmasq.pid`; `Some(None)`: write none.
    pub pid_file: Option<Option<PathBuf>>,
    /// `None`: `nobody`; `Some(None)`: the user that started us.
    pub user: Option<Option<String>>,
    /// `None`: `dip`, or the user's own where there is no such group; `Some(None)`: the group that started us.
    pub group: Option<Option<String>>,
    /// `None`: syslog, as `daemon`, or `local0` with [`Process::debug`].
    pub log_to: Option<LogTo>,
    /// Log the rules that made each answer.
    pub log_dhcp: bool,
    /// Log of DHCP only what went wrong, unless there is [`Process::log_dhcp`].
    pub quiet_dhcp: bool,
    /// Log of TFTP only what went wrong; a missing file is not wrong.
    pub quiet_tftp: bool,
    /// Number the queries that are logged, and say who asks.
    pub log_queries_extra: bool,
    /// The lease file in dnsmasq's format, kept current for others; our own log beside it is the truth.
    pub lease_file: PathBuf,
}

impl Process {
    /// Takes an option that is the process's. Returns whether it is.
    pub(super) fn take(&mut self, meaning: &Meaning) -> bool {
        match meaning {
            Meaning::KeepInForeground => self.foreground = true,
            Meaning::NoDaemon => self.debug = true,
            Meaning::PidFile(path) => self.pid_file = Some(path.clone()),
            Meaning::User(name) => self.user = Some(name.clone()),
            Meaning::Group(name) => self.group = Some(name.clone()),
            Meaning::LogTo(to) => self.log_to = Some(to.clone()),
            Meaning::LogDhcp => self.log_dhcp = true,
            Meaning::QuietDhcp => self.quiet_dhcp = true,
            Meaning::QuietTftp => self.quiet_tftp = true,
            _ => return false,
        }
        true
    }
}
