//! The files that the DNS service learns from: resolv.conf and hosts files, read at the start and when they change.
//!
//! What changed is seen by comparing files with how they were; inotify says when to look, and a look now and then finds
//! what it does not tell of, such as files that are mounted over others.

use std::fs::{self, Metadata};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use config::{Dns, HostsFiles, Resolv};
use host::watch::Watch;
use server::dns::{Order, Orders};
use server::dns_log::{DnsLog, DnsNote};

/// How long nothing must happen before files count as written: programs write them in several steps.
const QUIET: Duration = Duration::from_millis(20);
/// How often that is waited for.
const STEPS: usize = 50;
/// Between looks at files of which inotify tells nothing.
const LOOK: Duration = Duration::from_secs(5);

/// What makes a file another one than it was.
type Stamp = Option<(u64, u64, i64, i64, i64, i64, u64)>;

/// The files, as they were read last.
pub struct NameFiles {
    resolv: Resolv,
    hosts: HostsFiles,
    /// Of [`Resolv::files`].
    stamps: Vec<Stamp>,
    /// Of [`HostsFiles::paths`] and [`HostsFiles::folders`].
    paths: Vec<HostsFile>,
    folders: Vec<HostsFile>,
    /// Our address, for names of this host.
    us: Option<Ipv4Addr>,
    expand: bool,
    log: Option<DnsLog>,
}

struct HostsFile {
    path: PathBuf,
    stamp: Stamp,
    text: Arc<str>,
    names: usize,
}

/// Which files are to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Those that are watched.
    Watched,
    /// All, whether they changed or not.
    All,
}

impl NameFiles {
    /// `us`: our address on the network that is served.
    pub fn new(dns: &Dns, us: Option<Ipv4Addr>, log: Option<DnsLog>) -> NameFiles {
        NameFiles {
            resolv: dns.resolv.clone(),
            hosts: dns.hosts.clone(),
            stamps: Vec::new(),
            paths: Vec::new(),
            folders: Vec::new(),
            us,
            expand: dns.settings.local.expand_hosts,
            log,
        }
    }

    /// Reads all. Gives what the service is to be told.
    pub fn read(&mut self) -> Vec<Order> {
        [self.read_servers(true), self.read_hosts(Read::All)].into_iter().flatten().collect()
    }

    /// Reads what is watched and has changed.
    fn read_changed(&mut self) -> Vec<Order> {
        let servers = if self.resolv.watched { self.read_servers(false) } else { Vec::new() };
        servers.into_iter().chain(self.read_hosts(Read::Watched)).collect()
    }

    /// SIGHUP: as dnsmasq has it, the cache is emptied and hosts files are read again; resolv.conf only if it is not watched.
    pub fn read_again(&mut self) -> Vec<Order> {
        if self.hosts.paths.is_empty() && self.hosts.folders.is_empty() {
            self.note(DnsNote::Cleared);
        }
        let servers = if self.resolv.watched { Vec::new() } else { self.read_servers(true) };
        let hosts = self.read_hosts(Read::All);
        [Order::ClearCache].into_iter().chain(servers).chain(hosts).collect()
    }

    /// Of several files the one counts that changed last, and can be read and names a server.
    fn read_servers(&mut self, always: bool) -> Vec<Order> {
        let stamps: Vec<Stamp> = self.resolv.files.iter().map(|path| stamp(path)).collect();
        if self.resolv.files.is_empty() || !always && stamps == self.stamps {
            return Vec::new();
        }
        let mut order = Vec::new();
        let mut files: Vec<&PathBuf> = self.resolv.files.iter().collect();
        // Of those that changed together, the one named first.
        files.sort_by_key(|path| std::cmp::Reverse(modified(path)));
        let mut found = None;
        for path in files {
            match fs::read_to_string(path) {
                Ok(text) => {
                    let resolv = dns::resolv::parse(&text);
                    order.extend(resolv.faults.iter().map(|fault| Order::Warn {
                        text: format!(
                            "{}:{}: `{}` is no name server's address",
                            path.display(),
                            fault.line,
                            fault.said
                        ),
                        fix: "write `nameserver` and an IPv4 or IPv6 address".to_owned(),
                    }));
                    if found.is_none() || !resolv.servers.is_empty() {
                        found = Some((path.clone(), resolv.servers));
                    }
                    if found.as_ref().is_some_and(|(_, servers)| !servers.is_empty()) {
                        break;
                    }
                }
                Err(error) => self.not_read(path, &error, &mut order),
            }
        }
        self.stamps = stamps;
        // Without any, those that were known are better than none: the file is being made, or will be.
        let Some((path, servers)) = found else { return order };
        self.note(DnsNote::ReadServers { path, servers: servers.clone() });
        order.push(Order::Servers(servers));
        order.extend(self.resolv.clears_cache.then_some(Order::ClearCache));
        order
    }

    fn read_hosts(&mut self, which: Read) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut changed = false;
        if which == Read::All || self.hosts.watched {
            let files = listed(&self.hosts.paths);
            let before = std::mem::take(&mut self.paths);
            (self.paths, changed) = self.read_files(files, before, which, &mut orders);
        }
        let (files, before) = (listed(&self.hosts.folders), std::mem::take(&mut self.folders));
        let (folders, in_folders) = self.read_files(files, before, which, &mut orders);
        self.folders = folders;
        if changed || in_folders || which == Read::All {
            let read = self.paths.iter().chain(&self.folders);
            let read = read.map(|file| dns::hosts::File::new(file.path.display().to_string(), file.text.clone()));
            orders.push(Order::Hosts(self.own_name().into_iter().chain(read).collect()));
        }
        orders
    }

    /// This host by its name, as a hosts file would have it: before all others, so that our address leads back to it. And
    /// `localhost`, which is nobody else (RFC 6761 section 6.3).
    fn own_name(&self) -> Option<dns::hosts::File> {
        let us = self.us.filter(|_| self.hosts.loopback_is_us)?;
        let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(dns::hosts::File::new("this host's name", format!("{us} {name}\n127.0.0.1 localhost\n::1 localhost\n")))
    }

    /// The files as they are now, and whether anything changed.
    fn read_files(
        &self,
        files: Vec<PathBuf>,
        mut before: Vec<HostsFile>,
        which: Read,
        orders: &mut Vec<Order>,
    ) -> (Vec<HostsFile>, bool) {
        let (mut now, mut changed) = (Vec::new(), false);
        for path in files {
            let known = before.iter().position(|file| file.path == path).map(|at| before.swap_remove(at));
            match known {
                Some(known) if which == Read::Watched && known.stamp == stamp(&path) => now.push(known),
                _ => {
                    changed = true;
                    if which == Read::Watched {
                        self.note(DnsNote::Changed { path: path.clone() });
                    }
                    match self.read_file(&path) {
                        Ok(file) => now.push(file),
                        // Looked for from now on, and complained of once.
                        Err(error) => {
                            self.not_read(&path, &error, orders);
                            now.push(HostsFile { stamp: stamp(&path), path, text: "".into(), names: 0 });
                        }
                    }
                }
            }
        }
        for HostsFile { path, names, .. } in before {
            changed = true;
            self.note(DnsNote::Removed { path, names });
        }
        (now, changed)
    }

    fn read_file(&self, path: &Path) -> io::Result<HostsFile> {
        // Before the text: what is written meanwhile is read again.
        let stamp = stamp(path);
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        let text: Arc<str> = if self.hosts.loopback_is_us { of_this_host(&text, self.us) } else { text }.into();
        let (lines, _) = dns::hosts::parse(&text);
        let plain = |name: &&dns::Name| self.expand && name.is_plain();
        let names = lines.iter().map(|line| line.names.len() + line.names.iter().filter(plain).count()).sum();
        self.note(DnsNote::ReadHosts { path: path.to_owned(), names });
        Ok(HostsFile { path: path.to_owned(), stamp, text, names })
    }

    fn not_read(&self, path: &Path, error: &io::Error, orders: &mut Vec<Order>) {
        match &self.log {
            Some(log) => log.tell(DnsNote::NotRead { path: path.to_owned(), error: error.to_string() }),
            None => orders.push(Order::Warn {
                text: format!("{} cannot be read for the DNS: {error}", path.display()),
                fix: "make it, or leave it out; it is read as soon as it is there".to_owned(),
            }),
        }
    }

    fn note(&self, note: DnsNote) {
        if let Some(log) = &self.log {
            log.tell(note);
        }
    }

    /// The folders in which what is watched may change: a file's own, and that of what it links to.
    fn folders(&self) -> Vec<PathBuf> {
        let resolv = self.resolv.files.iter().filter(|_| self.resolv.watched);
        let hosts = self.hosts.paths.iter().filter(|_| self.hosts.watched);
        let mut folders: Vec<PathBuf> = Vec::new();
        for path in resolv.chain(hosts).chain(&self.hosts.folders) {
            let target = fs::canonicalize(path).ok();
            for path in [Some(path), target.as_ref()].into_iter().flatten() {
                folders.extend(path.is_dir().then(|| path.clone()));
                // Of one that is not there, the next above it that is.
                folders.extend(path.ancestors().skip(1).find(|folder| folder.is_dir()).map(Path::to_owned));
            }
        }
        folders.sort();
        folders.dedup();
        folders
    }

    /// From now on tells the service of every change.
    ///
    /// # Errors
    /// When the kernel gives no more threads.
    pub fn follow(self, orders: Orders) -> io::Result<Follower> {
        let is_watched = !self.folders().is_empty();
        let following = Arc::new(Following { files: Mutex::new(self), orders });
        if is_watched {
            let following = following.clone();
            thread::Builder::new().name("names".into()).spawn(move || following.watch())?;
        }
        Ok(Follower(following))
    }
}

/// Keeps the service up to date with its files. Once it is dropped, nothing more is logged of them.
pub struct Follower(Arc<Following>);

impl Follower {
    /// SIGHUP.
    pub fn read_again(&self) {
        self.0.tell(NameFiles::read_again);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.files().log = None;
    }
}

struct Following {
    files: Mutex<NameFiles>,
    orders: Orders,
}

impl Following {
    fn tell(&self, read: impl FnOnce(&mut NameFiles) -> Vec<Order>) {
        let mut files = self.files();
        read(&mut files).into_iter().for_each(|order| self.orders.give(order));
    }

    fn watch(&self) {
        let mut watch = Watch::new().ok();
        loop {
            for folder in self.files().folders() {
                // Where it cannot be watched, it is looked at.
                let _ = watch.as_mut().map(|watch| watch.add_all(&folder));
            }
            self.tell(NameFiles::read_changed);
            let happens = |patience| match &watch {
                Some(watch) => watch.wait(patience).unwrap_or(false),
                None => {
                    thread::sleep(patience);
                    false
                }
            };
            if happens(LOOK) {
                let _ = (0..STEPS).take_while(|_| happens(QUIET)).count();
            }
        }
    }

    fn files(&self) -> MutexGuard<'_, NameFiles> {
        // What a panic elsewhere left is read again.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Stamp {
    let of = |about: Metadata| {
        (about.dev(), about.ino(), about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec(), about.size())
    };
    fs::metadata(path).ok().map(of)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// Files, and those in folders; names as editors and packages leave behind are passed over, as dnsmasq does.
fn listed(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let counts = |name: &str| {
            !(name.ends_with('~') || name.starts_with('.') || name.starts_with('#') && name.ends_with('#'))
        };
        let inside = entries.filter(|entry| counts(&entry.file_name().to_string_lossy())).map(|entry| entry.path());
        let mut inside: Vec<PathBuf> = inside.filter(|path| path.is_file()).collect();
        inside.sort();
        files.extend(inside);
    }
    files
}

/// What the hosts file of this computer says to others: its names for itself mean our address.
fn of_this_host(text: &str, us: Option<Ipv4Addr>) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        if !address.is_some_and(|address| address.is_loopback()) {
            lines.push(line.to_owned());
            continue;
        }
        let own =
            |name: &&str| !name.split('.').next().unwrap_or_default().contains("localhost") && *name != "ip6-loopback";
        let names: Vec<&str> = words.filter(own).collect();
        // A line keeps its number, for what is said about it.
        let ours = us.filter(|_| !names.is_empty() && address.is_some_and(|address| address.is_ipv4()));
        lines.push(ours.map(|us| format!("{us} {}", names.join(" "))).unwrap_or_default());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_host_mean_our_address() {
        let text = "127.0.0.1 localhost localhost.localdomain\n127.0.1.1\tbox box.lan # me\n::1 ip6-localhost ip6-loopback box\n10.0.0.9 nas\n";
        let us = Some(Ipv4Addr::new(10, 0, 1, 1));
        assert_eq!(of_this_host(text, us), "\n10.0.1.1 box box.lan\n\n10.0.0.9 nas");
    }

    fn files(folder: &Path, names: &[&str]) -> NameFiles {
        NameFiles {
            resolv: Resolv {
                files: names.iter().map(|name| folder.join(name)).collect(),
                watched: true,
                clears_cache: true,
            },
            hosts: HostsFiles { folders: vec![folder.join("hosts")], ..HostsFiles::default() },
            stamps: Vec::new(),
            paths: Vec::new(),
            folders: Vec::new(),
            us: None,
            expand: false,
            log: None,
        }
    }

    fn servers_of(orders: &[Order]) -> Vec<Vec<String>> {
        let servers = orders.iter().filter_map(|order| match order {
            Order::Servers(servers) => Some(servers.iter().map(|server| server.address.ip().to_string()).collect()),
            _ => None,
        });
        servers.collect()
    }

    #[test]
    fn of_several_lists_of_servers_the_one_counts_that_changed_last() {
        let folder = std::env::temp_dir().join(format!("lanboot-names-{}", std::process::id()));
        fs::create_dir_all(folder.join("hosts")).unwrap();
        let mut files = files(&folder, &["a", "b"]);
        assert!(servers_of(&files.read()).is_empty());
        let write = |name: &str, text: &str, secs| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(secs)).unwrap();
        };
        write("a", "nameserver 10.0.0.1\n", 1000);
        assert_eq!(servers_of(&files.read_changed()), [["10.0.0.1"]]);
        assert!(files.read_changed().is_empty(), "nothing new");
        write("b", "nameserver 10.0.0.2\n", 2000);
        assert_eq!(servers_of(&files.read_changed()), [["10.0.0.2"]]);
        write("a", "nameserver 10.0.0.3\n", 3000);
        let orders = files.read_changed();
        assert_eq!(servers_of(&orders), [["10.0.0.3"]]);
        assert!(orders.iter().any(|order| matches!(order, Order::ClearCache)));
        // An empty list is no list as long as there is another.
        write("a", "", 4000);
        assert_eq!(servers_of(&files.read_changed()), [["10.0.0.2"]]);
        fs::write(folder.join("hosts/x"), "10.0.0.9 nas\n").unwrap();
        fs::write(folder.join("hosts/.x.swp"), "10.0.0.8 no\n").unwrap();
        let orders = files.read_changed();
        let [Order::Hosts(hosts)] = &orders[..] else { panic!("hosts alone") };
        assert_eq!(hosts[..], [dns::hosts::File::new(folder.join("hosts/x").display().to_string(), "10.0.0.9 nas\n")]);
        fs::remove_file(folder.join("hosts/x")).unwrap();
        assert!(matches!(&files.read_changed()[..], [Order::Hosts(hosts)] if hosts.is_empty()));
        fs::remove_dir_all(&folder).unwrap();
    }
}
