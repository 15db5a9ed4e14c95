//! The lease file in dnsmasq's format: taken over at the start, and then kept current for those who read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use config::{Diagnostic, Diagnostics};
use leases::{Binding, Change, ClientId, ClientKey, Expiry, Grant, LeaseStore, Record, State, UnixSecs};
use mac::Mac;

use crate::problem;

/// Begins the part on DHCPv6: this server's identifier, and the leases that follow.
const IPV6_PART: &str = "duid ";

/// The file, held open: the user that we run as may have no right to open it again.
#[derive(Debug)]
pub struct LeaseFile {
    path: PathBuf,
    file: File,
    /// What it says; `None` where a writing of it failed.
    text: Option<String>,
    /// What is not ours to change: the part on DHCPv6.
    kept: String,
}

/// What a lease file said.
#[derive(Debug, Default)]
pub struct TakenOver {
    /// Leases that ran out while nobody served.
    pub ran_out: Vec<Record>,
    /// A warning for each line that makes no sense.
    pub found: Diagnostics,
}

impl LeaseFile {
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path) -> Result<LeaseFile, Diagnostics> {
        let open = || -> io::Result<(PathBuf, File, Vec<u8>)> {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            let mut octets = Vec::new();
            file.read_to_end(&mut octets)?;
            // Not a link to it: the file itself is what is replaced.
            Ok((path.canonicalize()?, file, octets))
        };
        let (path, file, octets) = open().map_err(|error| {
            let what = format!("cannot open or create lease file {}: {error}", path.display());
            let fix = match error.kind() {
                io::ErrorKind::PermissionDenied => "run it as root, or name another file with --dhcp-leasefile=PATH",
                _ => "make its folder, or name another file with --dhcp-leasefile=PATH",
            };
            problem::of(what).fix(fix)
        })?;
        let text = String::from_utf8_lossy(&octets).into_owned();
        let ipv6 = text.lines().position(|line| line.starts_with(IPV6_PART)).unwrap_or(usize::MAX);
        let kept = text.lines().skip(ipv6).map(|line| format!("{line}\n")).collect();
        Ok(LeaseFile { path, file, text: Some(text), kept })
    }

    /// Takes the leases of a dnsmasq that served before us.
    pub fn take_over(&self, store: &mut dyn LeaseStore, now: UnixSecs) -> Result<TakenOver, Diagnostics> {
        take_over(self.text.as_deref().unwrap_or_default(), &self.path, store, now)
    }

    /// Writes these lines, and what else is kept. Readers see the old file or the new one where we may make a file
    /// beside it; where not, it is written in place, as dnsmasq does.
    ///
    /// # Errors
    /// When it can be written neither way.
    pub fn write(&mut self, lines: &str) -> io::Result<()> {
        let text = format!("{lines}{}", self.kept);
        if self.text.as_ref() == Some(&text) {
            return Ok(());
        }
        // Until it is written, nobody knows what is in it.
        self.text = None;
        match self.replace(&text) {
            Ok(file) => self.file = file,
            // Longer text first, then the cut: no reader sees fewer leases than there are.
            Err(_) => self.file.write_all_at(text.as_bytes(), 0).and_then(|()| self.file.set_len(text.len() as u64))?,
        }
        self.text = Some(text);
        Ok(())
    }

    /// A new file of the same owner and mode in place of the old one.
    fn replace(&self, text: &str) -> io::Result<File> {
        let about = self.file.metadata()?;
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let _ = fs::remove_file(&beside);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create_new(true).mode(0o600).open(&beside)?;
        let write = || -> io::Result<()> {
            fchown(&file, Some(about.uid()), Some(about.gid()))?;
            file.set_permissions(about.permissions())?;
            (&file).write_all(text.as_bytes())?;
            file.sync_data()?;
            fs::rename(&beside, &self.path)
        };
        if let Err(error) = write() {
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        file.flush()?;
        Ok(file)
    }
}

/// Takes leases in dnsmasq's format: those of machines and addresses of which we have no lease of our own that ends later,
/// as dnsmasq may have served in between. `origin`: where they are from.
///
/// # Errors
/// When they cannot be written to our own log.
pub fn take_over(
    text: &str,
    origin: &Path,
    store: &mut dyn LeaseStore,
    now: UnixSecs,
) -> Result<TakenOver, Diagnostics> {
    let mut taken = TakenOver::default();
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate().take_while(|(_, line)| !line.starts_with(IPV6_PART)) {
        match line.parse::<Line>() {
            Ok(lease) => lines.push(lease),
            Err(()) if line.trim().is_empty() => {}
            Err(()) => {
                let what = format!("{}:{}: `{line}` is not a lease, and is left out", origin.display(), at + 1);
                let fix = "a line is: expiry, MAC, IPv4 address, name or *, client identifier or *";
                taken.found.push(Diagnostic::warning(what).fix(fix));
            }
        }
    }
    // The lease that ends later was given later: by a dnsmasq that served in between, or by us.
    let until = |expiry: Expiry| if let Expiry::At(end) = expiry { end.0 } else { u64::MAX };
    let is_newer = |grant: &Grant| {
        let ours = store.at(grant.address).into_iter().chain(store.find(&grant.key));
        let mut ends = ours.filter(|record| record.is_active(now)).map(|record| match record.binding() {
            Some(binding) => until(binding.expires()),
            None => u64::MAX,
        });
        ends.all(|end| end < until(Expiry::of(grant.now, grant.lease_secs)))
    };
    let grants: Vec<_> = lines.iter().filter_map(|line| line.grant(now)).filter(is_newer).collect();
    let former = |grant: &Grant| {
        let key = store.at(grant.address).and_then(Record::key).filter(|key| **key != grant.key)?;
        Some(Change::Release { address: grant.address, key: key.clone(), now })
    };
    let changes: Vec<_> = grants.iter().filter_map(former).chain(grants.iter().cloned().map(Change::Grant)).collect();
    if !changes.is_empty() {
        store.commit(changes).map_err(problem::of)?;
    }
    let is_over = |line: &&Line| {
        let held = store.at(line.address).filter(|record| record.is_active(now)).and_then(Record::binding);
        held.is_none_or(|binding| binding.mac != line.mac)
    };
    taken.ran_out = lines.iter().filter(is_over).map(Line::record).collect();
    Ok(taken)
}

/// A line of the file: expiry, MAC, address, name, client identifier; `*` for none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    expires: Expiry,
    mac: Mac,
    address: Ipv4Addr,
    hostname: Option<String>,
    client_id: Option<ClientId>,
}

impl std::str::FromStr for Line {
    type Err = ();

    fn from_str(line: &str) -> Result<Line, ()> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [expires, mac, address, name, id] = fields[..] else { return Err(()) };
        let octets =
            |id: &str| id.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Option<Vec<u8>>>();
        Ok(Line {
            expires: match expires.parse().map_err(drop)? {
                0 => Expiry::Never,
                end => Expiry::At(UnixSecs(end)),
            },
            mac: mac.parse().map_err(drop)?,
            address: address.parse().map_err(drop)?,
            hostname: Some(name).filter(|name| *name != "*").map(str::to_owned),
            client_id: octets(id).and_then(|id| ClientId::new(&id).ok()),
        })
    }
}

impl Line {
    /// `None`: it has run out.
    fn grant(&self, now: UnixSecs) -> Option<Grant> {
        let lease_secs = match self.expires {
            Expiry::Never => u32::MAX,
            Expiry::At(end) => end.0.saturating_sub(now.0).min(u64::from(u32::MAX) - 1) as u32,
        };
        let Line { mac, address, hostname, client_id, .. } = self.clone();
        let grant = Grant { address, key: ClientKey::Mac(mac), mac, client_id, hostname, lease_secs, now };
        (lease_secs > 0).then_some(grant)
    }

    fn record(&self) -> Record {
        let Line { mac, address, hostname, client_id, expires } = self.clone();
        let (granted, lease_secs) = match expires {
            Expiry::At(end) => (end, 0),
            Expiry::Never => (UnixSecs(0), u32::MAX),
        };
        let binding = Binding { key: ClientKey::Mac(mac), mac, client_id, hostname, granted, lease_secs };
        Record { address, state: State::Bound(binding) }
    }
}

#[cfg(test)]
mod tests {
    use leases::MemoryStore;

    use super::*;

    const NOW: UnixSecs = UnixSecs(1_000_000);
    const BEFORE: &str = "1001000 52:54:00:00:00:01 10.0.1.200 db1 01:52:54:00:00:00:01\n\
        0 52:54:00:00:00:02 10.0.1.201 * *\nrubbish\n\
        999999 52:54:00:00:00:03 10.0.1.202 old ff:01\n\
        duid 00:01:00:01\n1001000 1234 fd00::5 six 00:01:02\n";

    #[test]
    fn leases_are_taken_over_and_what_ran_out_or_makes_no_sense_is_told() {
        let mut store = MemoryStore::default();
        let taken = take_over(BEFORE, Path::new("leases"), &mut store, NOW).unwrap();
        let first = store.at(Ipv4Addr::new(10, 0, 1, 200)).and_then(Record::binding).unwrap();
        assert_eq!((first.hostname.as_deref(), first.expires()), (Some("db1"), Expiry::At(UnixSecs(1_001_000))));
        assert_eq!(first.client_id.as_ref().unwrap().octets(), [1, 0x52, 0x54, 0, 0, 0, 1]);
        let second = store.at(Ipv4Addr::new(10, 0, 1, 201)).and_then(Record::binding).unwrap();
        assert_eq!((second.expires(), &second.client_id), (Expiry::Never, &None));
        assert_eq!(taken.ran_out.iter().map(|record| record.address.to_string()).collect::<Vec<_>>(), ["10.0.1.202"]);
        assert_eq!(taken.ran_out[0].binding().unwrap().expires(), Expiry::At(UnixSecs(999_999)));
        assert_eq!(taken.found.iter().count(), 1);
        assert!(taken.found.iter().all(|found| found.what.contains("leases:3")), "{:?}", taken.found);
        let again = take_over(BEFORE, Path::new("leases"), &mut store, NOW).unwrap();
        assert_eq!((store.table().len(), again.ran_out.len()), (2, 1), "our own log counts from now on");
    }

    #[test]
    fn leases_that_dnsmasq_gave_in_between_are_taken_over_too() {
        let mut store = MemoryStore::default();
        take_over(BEFORE, Path::new("leases"), &mut store, NOW).unwrap();
        let since = "1001500 52:54:00:00:00:09 10.0.1.209 new *\n1001500 52:54:00:00:00:08 10.0.1.200 next *\n\
            1001500 52:54:00:00:00:02 10.0.1.208 moved *\n";
        take_over(since, Path::new("leases"), &mut store, NOW).unwrap();
        let table: Vec<_> =
            store.list().filter_map(|it| Some((it.address.octets()[3], it.binding()?.mac.0[5]))).collect();
        assert_eq!(table, [(200, 8), (201, 2), (209, 9)], "of two leases the one that was given later counts");
    }

    #[test]
    fn the_file_is_replaced_whole_with_its_mode_and_its_part_on_ipv6() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("lanboot-leases-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("leases");
        fs::write(&path, BEFORE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut file = LeaseFile::open(&path).unwrap();
        let reader = File::open(&path).unwrap();
        file.write("0 52:54:00:00:00:02 10.0.1.201 * *\n").unwrap();
        file.write("").unwrap();
        file.write("0 52:54:00:00:00:02 10.0.1.201 b *\n").unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "0 52:54:00:00:00:02 10.0.1.201 b *\nduid 00:01:00:01\n1001000 1234 fd00::5 six 00:01:02\n"
        );
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(io::read_to_string(reader).unwrap(), BEFORE, "who has it open reads on in the old one");
        assert_eq!(folder.read_dir().unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
