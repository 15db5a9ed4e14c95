//! The kernel settings that IPv4 forwarding drags along, as `/proc/sys/net/ipv4` shows them.
//!
//! Writing `ip_forward` also writes `forwarding` of every interface and `accept_redirects`, so all of them are noted
//! before and put back one by one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const ROOT: &str = "/proc/sys/net/ipv4";
const PER_INTERFACE: [&str; 3] = ["forwarding", "accept_redirects", "send_redirects"];
pub(crate) const IP_FORWARD: &str = "ip_forward";

/// Setting (`ip_forward`, `conf/eth0/forwarding`) and value, of the calling thread's namespace.
pub(crate) type Sysctls = BTreeMap<String, String>;

pub(crate) fn forwarding_of(interface: &str) -> String {
    format!("conf/{interface}/forwarding")
}

/// The name that sysctl(8) has for a setting: `net.ipv4.conf.eth0.forwarding`.
pub(crate) fn dotted(setting: &str) -> String {
    // sysctl(8) writes the dot of a VLAN's name as a slash, since its own dots are the slashes.
    let swapped: String = setting
        .chars()
        .map(|c| {
            if c == '/' {
                '.'
            } else if c == '.' {
                '/'
            } else {
                c
            }
        })
        .collect();
    format!("net.ipv4.{swapped}")
}

pub(crate) fn read_all() -> io::Result<Sysctls> {
    let mut settings = Sysctls::new();
    settings.insert(IP_FORWARD.to_owned(), read(IP_FORWARD)?);
    for entry in fs::read_dir(Path::new(ROOT).join("conf"))? {
        let interface = entry?.file_name().to_string_lossy().into_owned();
        for name in PER_INTERFACE {
            let setting = format!("conf/{interface}/{name}");
            // An interface may leave while its settings are read.
            if let Ok(value) = read(&setting) {
                settings.insert(setting, value);
            }
        }
    }
    Ok(settings)
}

pub(crate) fn read(setting: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(setting))?.trim_end().to_owned())
}

pub(crate) fn write(setting: &str, value: &str) -> io::Result<()> {
    fs::write(path(setting), value)
}

/// `/proc/sys` is mounted read-only in many containers, for root too.
pub(crate) fn is_read_only() -> bool {
    nix::unistd::access(&path(IP_FORWARD), nix::unistd::AccessFlags::W_OK) == Err(nix::errno::Errno::EROFS)
}

pub(crate) fn path(setting: &str) -> PathBuf {
    Path::new(ROOT).join(setting)
}

/// What every setting must be, so that a change from `before` to `after` is undone.
///
/// Anything that somebody else has set since keeps its value; an interface that came later gets what it would have
/// got without the change. `after`: `None` when it was not written down; then all that was noted is put back.
pub(crate) fn restored(before: &Sysctls, after: Option<&Sysctls>, now: &Sysctls) -> Sysctls {
    let target = |setting: &String, value: &String| {
        let noted = if before.contains_key(setting) { setting.clone() } else { default_for(setting) };
        let untouched = after.is_none_or(|after| after.get(&noted) == Some(value));
        before.get(&noted).filter(|_| untouched).unwrap_or(value).clone()
    };
    now.iter().map(|(setting, value)| (setting.clone(), target(setting, value))).collect()
}

/// Where an interface that comes into being takes this setting from.
fn default_for(setting: &str) -> String {
    format!("conf/default/{}", setting.rsplit('/').next().unwrap_or(setting))
}

/// Writes `target`, `ip_forward` first because it drags others along.
pub(crate) fn write_all(target: &Sysctls) -> Vec<(String, io::Error)> {
    let mut errors = Vec::new();
    let (first, rest): (Vec<_>, Vec<_>) = target.iter().partition(|(setting, _)| *setting == IP_FORWARD);
    for (setting, value) in first.into_iter().chain(rest) {
        match read(setting) {
            Ok(now) if now == *value => {}
            Ok(_) => errors.extend(write(setting, value).err().map(|error| (setting.clone(), error))),
            // The interface is gone, and its settings with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => errors.push((setting.clone(), error)),
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysctls(pairs: &[(&str, &str)]) -> Sysctls {
        pairs.iter().map(|(setting, value)| (setting.to_string(), value.to_string())).collect()
    }

    #[test]
    fn restoring_keeps_what_others_set_and_gives_newcomers_the_old_default() {
        let before =
            sysctls(&[("conf/default/forwarding", "0"), ("conf/a/forwarding", "1"), ("conf/b/forwarding", "0")]);
        let after =
            sysctls(&[("conf/default/forwarding", "1"), ("conf/a/forwarding", "1"), ("conf/b/forwarding", "1")]);
        let now = sysctls(&[
            ("conf/default/forwarding", "1"),
            ("conf/a/forwarding", "0"),
            ("conf/b/forwarding", "1"),
            ("conf/new/forwarding", "1"),
        ]);
        let expected = sysctls(&[
            ("conf/default/forwarding", "0"),
            ("conf/a/forwarding", "0"),
            ("conf/b/forwarding", "0"),
            ("conf/new/forwarding", "0"),
        ]);
        assert_eq!(restored(&before, Some(&after), &now), expected);
    }

    #[test]
    fn restoring_without_a_note_of_the_outcome_puts_everything_back() {
        let before = sysctls(&[("conf/all/accept_redirects", "0"), ("ip_forward", "0")]);
        let now = sysctls(&[("conf/all/accept_redirects", "1"), ("ip_forward", "0")]);
        assert_eq!(restored(&before, None, &now), before);
    }

    #[test]
    fn names_are_those_of_sysctl() {
        assert_eq!(dotted("ip_forward"), "net.ipv4.ip_forward");
        assert_eq!(dotted("conf/eth0.5/forwarding"), "net.ipv4.conf.eth0/5.forwarding");
    }
}
