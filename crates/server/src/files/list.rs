//! What is published, for a person to look at.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use journal::Role;

use super::name;
use super::{FileError, Files, Place, confine, guess_role};

/// More entries than this are not read from a folder: a page that long helps nobody.
const MAX_ENTRIES: usize = 1000;

/// One published folder's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The folder's published name, without slashes around it; empty for the root.
    pub name: String,
    /// Sorted by name.
    pub entries: Vec<Entry>,
    /// There is more than is listed.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last component of its published name.
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File {
        /// Octets.
        size: u64,
        role: Role,
        modified: Option<SystemTime>,
    },
}

impl Files {
    /// Lists the folder of this published name, with everything that the places of publication put into it. What cannot
    /// be served (links that lead outside, sockets) is left out.
    ///
    /// # Errors
    /// [`FileError::NotFound`] when no folder is published there, [`FileError::BadName`] and
    /// [`FileError::LeadsOutside`] as for [`Files::open`].
    pub fn list(&self, folder: &str) -> Result<Listing, FileError> {
        let parts = name::split(folder)?;
        let mut entries = BTreeMap::new();
        let mut is_there = parts.is_empty();
        let mut more = false;
        for place in &self.places {
            if let Some((name, kind)) = place.entry_in(&parts) {
                is_there = true;
                entries.entry(name).or_insert(kind);
            }
            let Some(inside) = place.inside(&parts) else { continue };
            let Ok(opened) = self.reach(place, &inside, confine::READ_FOLDER) else { continue };
            is_there = true;
            for name in confine::names_in(&opened).into_iter().flatten() {
                if entries.len() >= MAX_ENTRIES {
                    more = true;
                    break;
                }
                let Some(kind) = self.kind(place, &inside.join(&name)) else { continue };
                entries.entry(name).or_insert(kind);
            }
        }
        if !is_there {
            return Err(FileError::NotFound { asked: folder.into() });
        }
        let entries = entries.into_iter().map(|(name, kind)| Entry { name, kind }).collect();
        Ok(Listing { name: parts.join("/"), entries, more })
    }
}

impl Files {
    fn kind(&self, place: &Place, inside: &Path) -> Option<Kind> {
        let data = File::from(self.reach(place, inside, confine::LOOK).ok()?).metadata().ok()?;
        Kind::of(&data, guess_role(inside).unwrap_or(place.role))
    }
}

impl Kind {
    fn of(data: &Metadata, role: Role) -> Option<Kind> {
        if data.is_dir() {
            return Some(Kind::Folder);
        }
        data.is_file().then(|| Kind::File { size: data.len(), role, modified: data.modified().ok() })
    }
}

impl Place {
    /// How the published name itself appears in the folder `parts`: as a folder on the way to it, or as the file.
    fn entry_in(&self, parts: &[&str]) -> Option<(String, Kind)> {
        let rest = self.at.get(parts.len()..).filter(|_| self.at.iter().zip(parts).all(|(a, b)| a == b))?;
        let (name, below) = rest.split_first()?;
        if !below.is_empty() || self.is_folder {
            return Some((name.clone(), Kind::Folder));
        }
        Some((name.clone(), Kind::of(&self.path.metadata().ok()?, self.role)?))
    }

    /// The folder `parts` as a path inside this place.
    fn inside(&self, parts: &[&str]) -> Option<PathBuf> {
        let fits = self.is_folder && parts.len() >= self.at.len() && self.at.iter().zip(parts).all(|(a, b)| a == b);
        fits.then(|| parts[self.at.len()..].iter().collect())
    }
}
