//! The one door to boot files, for TFTP and HTTP alike.
//!
//! What is published is a list of folders and single files, each under a published name; the first that has the asked
//! name serves it. Folders are confined by the kernel (`openat2`, Linux 5.6): neither `..` nor a link leads to anything
//! that is not published.

mod confine;
mod error;
mod list;
mod name;
mod role;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use config::{Access, FileRules, Publish, Source};
use journal::Role;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Uid;

use confine::Refusal;
pub use error::{BadPublish, FileError};
pub use list::{Entry, Kind, Listing};
use name::Case;
pub use role::guess_role;

/// How a service asks for a file: who asks, and for which name, as the client wrote it (percent-decoded for HTTP).
///
/// Between a service and [`Files`] stands whoever has files of its own making, such as generated scripts.
pub type Open = Arc<dyn Fn(Ipv4Addr, &str) -> Result<Found, FileError> + Send + Sync>;

/// How a service tells what happened: to the machine at which address.
pub type Report = Arc<dyn Fn(Ipv4Addr, journal::Step) + Send + Sync>;

/// An opened published file.
#[derive(Debug)]
pub struct Found {
    /// The published name, without a leading slash; may differ from what was asked in case, slashes or prefix.
    pub name: String,
    pub role: Role,
    /// Octets.
    pub size: u64,
    pub modified: Option<SystemTime>,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// A regular file, opened for reading, at offset 0.
    File(File),
    Memory(Arc<[u8]>),
}

/// Everything that is published.
#[derive(Clone, Debug)]
pub struct Files {
    places: Vec<Place>,
    rules: FileRules,
}

/// One [`Publish`], its names split once.
#[derive(Clone, Debug)]
struct Place {
    /// Published name: where a folder hangs, or what a file is called.
    at: Vec<String>,
    /// Where it really is, as configured but absolute. Clients configured for another server may ask by this path.
    path: PathBuf,
    path_parts: Vec<String>,
    is_folder: bool,
    role: Role,
}

impl Files {
    /// Takes what the configuration publishes, in order of precedence.
    ///
    /// # Errors
    /// [`BadPublish`] when a published folder or file is not there or not of that kind, or its published name is not one.
    pub fn new(publish: Vec<Publish>) -> Result<Files, BadPublish> {
        let places = publish.into_iter().map(Place::new).collect::<Result<_, _>>()?;
        Ok(Files { places, rules: FileRules::default() })
    }

    /// The same, given out by these rules.
    pub fn under(self, rules: FileRules) -> Files {
        Files { rules, ..self }
    }

    /// The same, with this folder in place of those that are published at the root. It may be missing.
    pub fn rooted_at(&self, folder: &Path) -> Files {
        let root = Place::folder(Vec::new(), folder.to_owned(), Role::Other);
        let others = self.places.iter().filter(|place| !place.is_root()).cloned();
        Files { places: std::iter::once(root).chain(others).collect(), rules: self.rules }
    }

    /// The same for a client with folders of its own: each folder at the root that has one of this name gives way to it.
    pub fn within(&self, own: &str) -> Files {
        let instead = |place: &Place| {
            let path = place.path.join(own);
            let has_own = place.is_root() && path.is_dir();
            if has_own { Place::folder(Vec::new(), path, place.role) } else { place.clone() }
        };
        Files { places: self.places.iter().map(instead).collect(), rules: self.rules }
    }

    /// Opens the file that a client asked for.
    ///
    /// `asked`: a name in any of the ways clients write it: with leading or doubled slashes, with backslashes (Windows
    /// boot manager), in the wrong case, or as an absolute path on this host. The exact name is preferred to one that
    /// differs in case. A link is followed where it leads to something that is published too.
    pub fn open(&self, asked: &str) -> Result<Found, FileError> {
        let parts = name::split(asked)?;
        let mut folder = None;
        for case in [Case::Exact, Case::Ignored] {
            for place in &self.places {
                match self.open_in(place, asked, &parts, case) {
                    Ok(found) => return Ok(found),
                    Err(FileError::NotFound { .. }) => {}
                    Err(error @ FileError::NotAFile { .. }) => folder = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        Err(folder.unwrap_or_else(|| FileError::NotFound { asked: asked.into() }))
    }

    /// Where on the disk the file of this name is looked for, in order of precedence, its letters as they were asked for.
    pub fn places_of(&self, asked: &str) -> Vec<PathBuf> {
        let Ok(parts) = name::split(asked) else { return Vec::new() };
        let path = |place: &Place, inside: &[&str]| match place.is_folder {
            true => Some(inside.iter().fold(place.path.clone(), |path, part| path.join(part))),
            false => inside.is_empty().then(|| place.path.clone()),
        };
        let paths = |place| Place::names_for(place, &parts, Case::Exact).filter_map(move |inside| path(place, inside));
        self.places.iter().flat_map(paths).collect()
    }

    fn open_in(&self, place: &Place, asked: &str, parts: &[&str], case: Case) -> Result<Found, FileError> {
        for inside in place.names_for(parts, case) {
            if !place.is_folder {
                if inside.is_empty() {
                    let opened = confine::open_path(&place.path, confine::READ);
                    let opened = opened.map_err(|refusal| place.error(refusal, Path::new(""), asked))?;
                    return self.found(opened, place.at.join("/"), place.role, asked);
                }
                continue;
            }
            let names_in = |folder: &Path| self.names_in(place, folder);
            let Some(real) = name::real_spelling(inside, case, names_in) else { continue };
            let opened = match self.reach(place, &real, confine::READ) {
                Ok(opened) => opened,
                Err(Refusal::Missing) => continue,
                Err(refusal) => return Err(place.error(refusal, &real, asked)),
            };
            let role = guess_role(&real).unwrap_or(place.role);
            let name = place.at.iter().map(String::as_str).chain(real.to_str()).filter(|part| !part.is_empty());
            return self.found(opened, name.collect::<Vec<_>>().join("/"), role, asked);
        }
        Err(FileError::NotFound { asked: asked.into() })
    }

    /// Opens `inside` this place. Where a link leads out of it, but to something that is published as well, that is
    /// opened.
    fn reach(&self, place: &Place, inside: &Path, how: OFlag) -> Result<OwnedFd, Refusal> {
        let refusal = match confine::open_beneath(&place.path, inside, how) {
            Err(refusal @ Refusal::Outside) => refusal,
            result => return result,
        };
        if self.rules.follow_links {
            return confine::open_path(&place.path.join(inside), how);
        }
        let target = place.path.join(inside).canonicalize().map_err(|_| refusal)?;
        for other in &self.places {
            let Ok(published) = other.path.canonicalize() else { continue };
            // The target is a real path by now; that no link takes its place meanwhile is for the kernel to see.
            match target.strip_prefix(&published) {
                Ok(rest) if other.is_folder => return confine::open_beneath(&published, rest, how),
                Ok(_) => return confine::open_path(&published, how),
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn names_in(&self, place: &Place, folder: &Path) -> Vec<String> {
        let opened = self.reach(place, folder, confine::READ_FOLDER);
        opened.and_then(|folder| confine::names_in(&folder)).map(Iterator::collect).unwrap_or_default()
    }

    fn found(&self, opened: OwnedFd, name: String, role: Role, asked: &str) -> Result<Found, FileError> {
        let file = File::from(opened);
        let data = file.metadata().map_err(|error| FileError::broken(&name, error))?;
        if !data.is_file() {
            let what = if data.is_dir() { "a folder" } else { "not a regular file" };
            return Err(FileError::NotAFile { asked: asked.into(), what });
        }
        let uid = Uid::effective();
        let refused = match self.rules.access {
            Access::Public | Access::Own if uid.is_root() => data.mode() & 0o004 == 0,
            Access::Own => data.uid() != uid.as_raw(),
            Access::Public | Access::Readable => false,
        };
        if refused {
            return Err(FileError::Withheld { name, mode: data.mode() & 0o7777, owner: data.uid(), uid: uid.as_raw() });
        }
        Ok(Found { name, role, size: data.len(), modified: data.modified().ok(), content: Content::File(file) })
    }
}

impl Place {
    fn new(publish: Publish) -> Result<Place, BadPublish> {
        let (path, is_folder) = match publish.source {
            Source::Folder(path) => (path, true),
            Source::File(path) => (path, false),
        };
        let at = name::split(&publish.name).map_err(|_| BadPublish::Name(publish.name.clone()))?;
        if at.is_empty() && !is_folder {
            return Err(BadPublish::NoName(path));
        }
        match path.metadata() {
            Err(error) => return Err(BadPublish::Missing { path, error }),
            Ok(data) if is_folder && !data.is_dir() => return Err(BadPublish::NotAFolder(path)),
            Ok(data) if !is_folder && !data.is_file() => return Err(BadPublish::NotAFile(path)),
            Ok(_) => {}
        }
        let at = at.into_iter().map(String::from).collect();
        Ok(Place { is_folder, ..Place::folder(at, path, publish.role) })
    }

    fn folder(at: Vec<String>, path: PathBuf, role: Role) -> Place {
        let path = std::path::absolute(&path).unwrap_or(path);
        let path_parts = path.iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
        Place { at, path, path_parts, is_folder: true, role }
    }

    fn is_root(&self) -> bool {
        self.is_folder && self.at.is_empty()
    }

    fn error(&self, refusal: Refusal, inside: &Path, asked: &str) -> FileError {
        let path = if self.is_folder { self.path.join(inside) } else { self.path.clone() };
        match refusal {
            // The file itself is published by name: that it is gone is news to its owner, not to the client.
            Refusal::Missing => FileError::Broken { path, errno: Errno::ENOENT },
            Refusal::Outside => {
                let target = path.canonicalize().ok();
                FileError::LeadsOutside { asked: asked.into(), folder: self.path.clone(), target }
            }
            Refusal::Denied => FileError::not_readable(&self.path, inside),
            // What open(2) says of sockets and of devices that are not there.
            Refusal::Other(Errno::ENXIO) => FileError::NotAFile { asked: asked.into(), what: "not a regular file" },
            Refusal::Other(errno) => FileError::Broken { path, errno },
        }
    }

    /// What `parts` may mean inside this place: below its published name, and below its own absolute path.
    fn names_for<'p>(&self, parts: &'p [&'p str], case: Case) -> impl Iterator<Item = &'p [&'p str]> {
        let below = |prefix: &[String]| {
            let fits = parts.len() >= prefix.len() && prefix.iter().zip(parts).all(|(a, b)| case.same(a, b));
            fits.then(|| &parts[prefix.len()..])
        };
        let published = below(&self.at);
        let absolute = below(&self.path_parts).filter(|_| !self.path_parts.is_empty());
        published.into_iter().chain(absolute)
    }
}
