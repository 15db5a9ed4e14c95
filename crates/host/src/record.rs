//! The record of what was changed, on disk before it is changed.
//!
//! `<state_dir>/host-<interface>.undo` is one JSON object a line, each synced before the change that it tells of. The
//! process that made the changes holds a lock on it, which the kernel lets go however that process ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mac::Mac;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::plan::Action;
use crate::sysctl::Sysctls;

/// One change, with what has to be known to undo it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub action: Action,
    /// All that forwarding drags along, as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sysctls>,
    /// The same, as the change left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Sysctls>,
    /// A bridge that we found takes its MAC from its ports; this is what it had before it was given one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge_mac: Option<Mac>,
}

impl From<Action> for Change {
    fn from(action: Action) -> Change {
        Change { action, before: None, after: None, bridge_mac: None }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line {
    /// Who has made the changes from here on.
    Owner { pid: u32, place: Place },
    /// This will be changed next.
    Change { change: Change },
    /// What the change before left.
    After { sysctls: Sysctls },
    /// From here on, changes are being undone.
    Undoing,
}

/// Where changes were made: they are gone when the computer was started anew, or the namespace has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    boot_id: String,
    /// Never used twice, but known only since Linux 5.14.
    namespace_cookie: Option<u64>,
    /// Shows in `/proc/*/ns/net`, but is used again.
    namespace_inode: u64,
}

impl Place {
    fn here() -> io::Result<Place> {
        Ok(Place {
            boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            namespace_cookie: namespace_cookie(),
            namespace_inode: fs::metadata("/proc/thread-self/ns/net")?.ino(),
        })
    }
}

fn namespace_cookie() -> Option<u64> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the kernel writes at most `length` octets to `cookie`, and both outlive the call.
    let answer = unsafe {
        let (cookie, length) = ((&raw mut cookie).cast(), &raw mut length);
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, cookie, length)
    };
    (answer == 0).then_some(cookie)
}

/// What has become of those who wrote a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They run.
    Alive { pid: u32 },
    /// They ended without undoing; what they changed is here.
    Dead,
    /// What they changed is in another namespace, which can be reached by this path.
    Elsewhere { namespace: String },
    /// What they changed no longer exists.
    Gone,
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leftover {
    pub path: PathBuf,
    pub interface: String,
    pub fate: Fate,
    pub changes: Vec<Change>,
    /// Some of it has been undone already.
    pub undoing: bool,
}

/// A record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}, line {line}: not a record of changes ({reason})")]
    Corrupt { path: String, line: usize, reason: String },
    /// Another lanboot holds it.
    #[error("lanboot (pid {pid}) is serving, and will undo its changes itself when it is stopped")]
    Running { pid: u32 },
    #[error("{path} changed since the plan was made")]
    Changed { path: String },
}

impl RecordError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            RecordError::Io { .. } => "run it as root, or set another state folder".to_owned(),
            RecordError::Corrupt { path, .. } => {
                format!("look at the file, undo by hand what its lines tell of, and delete it: {path}")
            }
            RecordError::Running { pid } => format!("kill {pid}"),
            RecordError::Changed { .. } => "try again".to_owned(),
        }
    }
}

type Result<T> = std::result::Result<T, RecordError>;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.display().to_string();
    move |source| RecordError::Io { path, source }
}

/// What the lines of a record add up to.
#[derive(Default)]
struct Content {
    owner: Option<(u32, Place)>,
    changes: Vec<Change>,
    undoing: bool,
    /// Octets up to and with the last whole line.
    whole: u64,
}

impl Content {
    fn parse(path: &Path, text: &str) -> Result<Content> {
        let mut content = Content::default();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            // A torn last line was not synced, so its change was not begun.
            if !line.ends_with('\n') {
                break;
            }
            match serde_json::from_str(line) {
                Ok(Line::Owner { pid, place }) => content.owner = Some((pid, place)),
                Ok(Line::Change { change }) => content.changes.push(change),
                Ok(Line::After { sysctls }) => {
                    if let Some(change) = content.changes.last_mut() {
                        change.after = Some(sysctls);
                    }
                }
                Ok(Line::Undoing) => content.undoing = true,
                Err(error) => {
                    let (path, reason) = (path.display().to_string(), error.to_string());
                    return Err(RecordError::Corrupt { path, line: number + 1, reason });
                }
            }
            content.whole += line.len() as u64;
        }
        Ok(content)
    }

    fn fate(&self, path: &Path) -> Result<Fate> {
        let here = Place::here().map_err(failed(path))?;
        Ok(match &self.owner {
            None => Fate::Gone,
            Some((_, place)) if *place == here => Fate::Dead,
            Some((_, place)) if place.boot_id != here.boot_id || place.namespace_inode == here.namespace_inode => {
                Fate::Gone
            }
            Some((_, place)) => match find_namespace(place.namespace_inode) {
                Some(namespace) => Fate::Elsewhere { namespace },
                None => Fate::Gone,
            },
        })
    }
}

/// A path to the network namespace with this inode: that of a process in it, or a name that `ip netns` gave.
fn find_namespace(inode: u64) -> Option<String> {
    let children = |folder| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let processes = children("/proc").map(|path| path.join("ns/net"));
    let mut paths = processes.chain(children("/run/netns"));
    let found = paths.find(|path| fs::metadata(path).is_ok_and(|metadata| metadata.ino() == inode))?;
    Some(found.display().to_string())
}

fn path_of(state_dir: &Path, interface: &str) -> PathBuf {
    state_dir.join(format!("host-{interface}.undo"))
}

/// All records in `state_dir`, by interface.
pub(crate) fn leftovers(state_dir: &Path) -> Result<Vec<Leftover>> {
    let entries = match fs::read_dir(state_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(state_dir)(error)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let interface = |name: String| Some(name.strip_prefix("host-")?.strip_suffix(".undo")?.to_owned());
    let mut interfaces: Vec<String> = names.filter_map(interface).collect();
    interfaces.sort();
    let found = interfaces.into_iter().map(|interface| leftover(path_of(state_dir, &interface), interface));
    found.filter_map(Result::transpose).collect()
}

/// `None`: removed meanwhile.
fn leftover(path: PathBuf, interface: String) -> Result<Option<Leftover>> {
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path)(error)),
    };
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed(&path))?;
    let content = Content::parse(&path, &text)?;
    let fate = match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => content.fate(&path)?,
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Fate::Alive { pid: content.owner.map_or(0, |(pid, _)| pid) },
        Err((_, errno)) => return Err(failed(&path)(errno.into())),
    };
    Ok(Some(Leftover { path, interface, fate, changes: content.changes, undoing: content.undoing }))
}

/// A record that we hold and write.
#[derive(Debug)]
pub(crate) struct Record {
    pub interface: String,
    pub changes: Vec<Change>,
    /// An undo was begun before, so the present values say nothing about who set them.
    pub undoing: bool,
    path: PathBuf,
    file: Flock<File>,
}

impl Record {
    /// Takes the record for `interface`, which must tell of the changes `known` and no others, and makes us its owner.
    pub fn take(state_dir: &Path, interface: &str, known: &[Change]) -> Result<Record> {
        fs::create_dir_all(state_dir).map_err(failed(state_dir))?;
        let path = path_of(state_dir, interface);
        let (file, content) = lock(&path, true)?.expect("a file that is made when missing is there");
        let keep = content.fate(&path)? == Fate::Dead;
        if keep && content.changes != known || !keep && !known.is_empty() {
            return Err(RecordError::Changed { path: path.display().to_string() });
        }
        file.set_len(if keep { content.whole } else { 0 }).map_err(failed(&path))?;
        let undoing = keep && content.undoing;
        let mut record = Record { interface: interface.to_owned(), changes: known.to_vec(), undoing, path, file };
        let place = Place::here().map_err(failed(&record.path))?;
        record.append(&Line::Owner { pid: std::process::id(), place })?;
        sync_folder(&record.path)?;
        Ok(record)
    }

    /// Takes a record that was found, to undo what it tells of. `None`: somebody else has undone it meanwhile.
    pub fn reopen(leftover: &Leftover) -> Result<Option<Record>> {
        let path = leftover.path.clone();
        let Some((file, content)) = lock(&path, false)? else { return Ok(None) };
        let (interface, changes) = (leftover.interface.clone(), content.changes);
        file.set_len(content.whole).map_err(failed(&path))?;
        Ok(Some(Record { interface, changes, undoing: content.undoing, path, file }))
    }

    pub fn begin(&mut self, change: Change) -> Result<()> {
        self.append(&Line::Change { change: change.clone() })?;
        self.changes.push(change);
        Ok(())
    }

    /// Notes what the last change has left.
    pub fn note_after(&mut self, sysctls: Sysctls) -> Result<()> {
        self.append(&Line::After { sysctls: sysctls.clone() })?;
        if let Some(change) = self.changes.last_mut() {
            change.after = Some(sysctls);
        }
        Ok(())
    }

    pub fn begin_undo(&mut self) -> Result<()> {
        self.append(&Line::Undoing)
    }

    /// Everything is undone.
    pub fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(failed(&self.path))?;
        sync_folder(&self.path)
    }

    fn append(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line).expect("a record's line is plain data");
        text.push('\n');
        let write = |file: &mut File| {
            file.seek(io::SeekFrom::End(0))?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        write(&mut self.file).map_err(failed(&self.path))
    }
}

/// Opens and locks. A file that was removed between the two steps is opened anew.
fn lock(path: &Path, create: bool) -> Result<Option<(Flock<File>, Content)>> {
    loop {
        let mut file = match OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create => return Ok(None),
            Err(error) => return Err(failed(path)(error)),
        };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed(path))?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                let owner = Content::parse(path, &text)?.owner;
                return Err(RecordError::Running { pid: owner.map_or(0, |(pid, _)| pid) });
            }
            Err((_, errno)) => return Err(failed(path)(errno.into())),
        };
        if file.metadata().map_err(failed(path))?.nlink() == 0 {
            continue;
        }
        // Read again: now nobody else writes.
        text.clear();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).map_err(failed(path))?;
        return Ok(Some((file, Content::parse(path, &text)?)));
    }
}

fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change::from(Action::BringUp { interface: "eth1".to_owned() })
    }

    fn parse(text: &str) -> Result<Content> {
        Content::parse(Path::new("host-net.undo"), text)
    }

    fn line(line: &Line) -> String {
        format!("{}\n", serde_json::to_string(line).unwrap())
    }

    #[test]
    fn torn_last_line_was_never_acted_upon() {
        let whole = line(&Line::Change { change: change() });
        for end in 0..whole.len() {
            let content = parse(&format!("{whole}{}", &whole[..end])).unwrap();
            assert_eq!((content.changes.len(), content.whole), (1, whole.len() as u64), "{end}");
        }
    }

    #[test]
    fn line_that_makes_no_sense_is_an_error_with_its_place() {
        let text = format!("{}nonsense\n", line(&Line::Undoing));
        let error = parse(&text).err().unwrap().to_string();
        assert!(error.starts_with("host-net.undo, line 2: not a record of changes"), "{error}");
    }

    #[test]
    fn outcome_belongs_to_the_change_before_it() {
        let sysctls = Sysctls::from([("ip_forward".to_owned(), "1".to_owned())]);
        let lines = [Line::Change { change: change() }, Line::After { sysctls: sysctls.clone() }, Line::Undoing];
        let content = parse(&lines.iter().map(line).collect::<String>()).unwrap();
        assert_eq!(content.changes, [Change { after: Some(sysctls), ..change() }]);
        assert!(content.undoing);
    }

    #[test]
    fn changes_of_an_earlier_boot_are_gone() {
        let here = Place::here().unwrap();
        let fate = |place| Content { owner: Some((1, place)), ..Content::default() }.fate(Path::new("x")).unwrap();
        assert_eq!(fate(here.clone()), Fate::Dead);
        assert_eq!(fate(Place { boot_id: "another".to_owned(), ..here.clone() }), Fate::Gone);
        let cookie = here.namespace_cookie.map(|cookie| cookie + 1_000_000);
        assert_eq!(fate(Place { namespace_cookie: cookie, ..here }), Fate::Gone, "its number was given out anew");
    }
}
