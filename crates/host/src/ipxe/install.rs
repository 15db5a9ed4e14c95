//! Puts an unpacked ipxe package beside our data: whole or not at all.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The symbolic link in `<state_dir>/firmware` to the version in use.
pub const CURRENT: &str = "current";
/// What a version's folder says about where it came from.
const ORIGIN: &str = "ORIGIN";
const COPYRIGHT: &str = "copyright";

/// The folder for a version; an epoch's colon would upset lists of paths.
pub fn version_folder(firmware: &Path, version: &str) -> PathBuf {
    firmware.join(format!("ipxe-{}", version.replace(':', "_")))
}

/// Whether this folder came from the package with this digest.
pub fn is_from(folder: &Path, sha256: &str) -> bool {
    fs::read_to_string(folder.join(ORIGIN)).is_ok_and(|origin| origin.contains(sha256))
}

/// Moves iPXE's binaries and their licence from an unpacked package into `folder`, replacing what is there.
///
/// `staging`: a folder on the same file system that the caller removes afterwards; a crash leaves nothing else behind.
pub fn install(unpacked: &Path, staging: &Path, folder: &Path, origin: &str) -> io::Result<()> {
    let new = staging.join("new");
    fs::create_dir(&new)?;
    let entries = fs::read_dir(unpacked.join("usr/lib/ipxe"))?.collect::<io::Result<Vec<_>>>()?;
    for entry in entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())) {
        fs::rename(entry.path(), new.join(entry.file_name()))?;
    }
    // Links last: only what they lead to tells whether they are of use.
    for entry in entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink())) {
        copy_link(unpacked, &fs::read_link(entry.path())?, &new, &new.join(entry.file_name()))?;
    }
    fs::rename(unpacked.join("usr/share/doc/ipxe/copyright"), new.join(COPYRIGHT))?;
    fs::write(new.join(ORIGIN), origin)?;
    // Otherwise a power cut after the renames below could leave names without content.
    for entry in fs::read_dir(&new)? {
        File::open(entry?.path())?.sync_all()?;
    }
    if folder.exists() {
        fs::rename(folder, staging.join("old"))?;
    }
    fs::rename(&new, folder)
}

/// Debian 12 has links to /boot, which would lead out of the package: the file itself is taken. Others stay links, and
/// one that leads nowhere is left out.
fn copy_link(unpacked: &Path, to: &Path, new: &Path, link: &Path) -> io::Result<()> {
    match to.strip_prefix("/") {
        Ok(inside) if unpacked.join(inside).is_file() => fs::copy(unpacked.join(inside), link).map(drop),
        Err(_) if to.components().count() == 1 && new.join(to).is_file() => symlink(to, link),
        _ => Ok(()),
    }
}

/// Makes a version the one in use, in one step.
pub fn make_current(firmware: &Path, folder: &Path, staging: &Path) -> io::Result<()> {
    let name = folder.file_name().expect("a version's folder has a name");
    let link = staging.join(CURRENT);
    symlink(name, &link)?;
    fs::rename(link, firmware.join(CURRENT))?;
    File::open(firmware)?.sync_all()
}
