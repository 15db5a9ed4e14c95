//! The lease file in dnsmasq's format: taken over at the start, and then kept current for those who read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::Diagnostics;
use journal::{Follower, Heard, Step};
use leases::{ClientId, ClientKey, Expiry, Grant, LeaseStore, State, UnixSecs};

use crate::problem;

/// Leases that were given within this time share one writing of the lease file.
const GATHER: Duration = Duration::from_millis(100);

/// The file, held open: the user that we run as may have no right to the folder, nor to open the file again.
#[derive(Clone)]
pub struct LeaseFile {
    path: PathBuf,
    file: Arc<File>,
    /// Where our own log of leases is, which the file is written from.
    state_dir: PathBuf,
}

impl LeaseFile {
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path, state_dir: &Path) -> Result<LeaseFile, Diagnostics> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| {
            let what = format!("cannot open or create lease file {}: {error}", path.display());
            problem::of(what).fix("make its folder, or name another file with --dhcp-leasefile=PATH")
        })?;
        Ok(LeaseFile { path: path.into(), file: Arc::new(file), state_dir: state_dir.into() })
    }

    /// Takes the leases of a dnsmasq that served before us, once: when we have none of our own yet.
    pub fn take_over(&self, store: &mut dyn LeaseStore) -> Result<(), Diagnostics> {
        let mut text = String::new();
        // What cannot be read as text is no lease file, and is written anew.
        let _ = (&*self.file).read_to_string(&mut text);
        if !store.table().is_empty() || text.is_empty() {
            return Ok(());
        }
        let grants = text.lines().filter_map(grant).collect();
        store.commit(grants).map_err(problem::of)?;
        Ok(())
    }

    /// Writes the file behind what happens, in a thread of its own that ends with the journal.
    pub fn keep(self, follower: Follower) -> io::Result<thread::JoinHandle<()>> {
        let changes = |heard: &Heard| match heard {
            Heard::Event(event) => {
                matches!(event.step, Step::DhcpAck { .. } | Step::DhcpRelease { .. } | Step::DhcpDecline { .. })
            }
            Heard::Skipped(_) => true,
        };
        let keep = move || {
            self.write();
            while let Ok(heard) = next(&follower) {
                if !heard.as_ref().is_some_and(changes) {
                    continue;
                }
                thread::sleep(GATHER);
                while follower.try_next().is_some() {}
                self.write();
            }
            self.write();
        };
        thread::Builder::new().name("lease-file".into()).spawn(keep)
    }

    /// How many leases are not over.
    pub fn active(&self) -> usize {
        leases::read_only(&self.state_dir)
            .map_or(0, |table| table.list().filter(|record| record.is_active(now())).count())
    }

    /// Writes all leases that are not over. In place, as dnsmasq does: a new file beside it would need the folder.
    fn write(&self) {
        let Ok(table) = leases::read_only(&self.state_dir) else { return };
        let text: String = table.list().filter_map(line).collect();
        // Longer text first, then the cut: no reader sees fewer leases than there are.
        let written = self.file.write_all_at(text.as_bytes(), 0).and_then(|()| self.file.set_len(text.len() as u64));
        if let Err(error) = written {
            eprintln!("lanboot dnsmasq: cannot write {}: {error}", self.path.display());
        }
    }
}

fn line(record: &leases::Record) -> Option<String> {
    let State::Bound(binding) = &record.state else { return None };
    if !record.is_active(now()) {
        return None;
    }
    let expires = match binding.expires() {
        Expiry::At(end) => end.0,
        Expiry::Never => 0,
    };
    let name = binding.hostname.as_deref().unwrap_or("*");
    let octets = |id: &ClientId| id.octets().iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":");
    let id = binding.client_id.as_ref().map_or("*".into(), octets);
    Some(format!("{expires} {} {} {name} {id}\n", binding.mac, record.address))
}

fn now() -> UnixSecs {
    UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// One line of dnsmasq's lease file: expiry, MAC, address, name, client identifier; `*` for none.
fn grant(line: &str) -> Option<Grant> {
    let mut fields = line.split_whitespace();
    let expires: u64 = fields.next()?.parse().ok()?;
    let mac: mac::Mac = fields.next()?.parse().ok()?;
    let address = fields.next()?.parse().ok()?;
    let hostname = fields.next().filter(|name| *name != "*").map(str::to_owned);
    let octets = |id: &str| id.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Option<Vec<u8>>>();
    let client_id = fields.next().and_then(octets).and_then(|id| ClientId::new(&id).ok());
    let left = expires.saturating_sub(now().0).min(u64::from(u32::MAX) - 1) as u32;
    let lease_secs = if expires == 0 { u32::MAX } else { left };
    (lease_secs > 0).then(|| Grant {
        address,
        key: ClientKey::Mac(mac),
        mac,
        client_id,
        hostname,
        lease_secs,
        now: now(),
    })
}

/// The next event; `Ok(None)` after a while without one, an error when there will be none any more.
fn next(follower: &Follower) -> Result<Option<Heard>, ()> {
    match follower.next_within(Duration::from_secs(3600)) {
        Ok(heard) => Ok(Some(heard)),
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_lease_file_becomes_a_grant() {
        let end = now().0 + 1000;
        let grant = grant(&format!("{end} 52:54:00:00:00:01 10.0.1.200 db1 01:52:54:00:00:00:01")).unwrap();
        assert_eq!((grant.address.to_string().as_str(), grant.hostname.as_deref()), ("10.0.1.200", Some("db1")));
        assert!((999..=1000).contains(&grant.lease_secs));
        assert_eq!(grant.client_id.unwrap().octets(), [1, 0x52, 0x54, 0, 0, 0, 1]);
        assert_eq!(super::grant("0 52:54:00:00:00:01 10.0.1.200 * *").unwrap().lease_secs, u32::MAX);
        assert_eq!(super::grant("100 52:54:00:00:00:01 10.0.1.200 * *"), None, "it is over");
        assert_eq!(super::grant("duid 00:01"), None);
    }
}
