//! What can go wrong with a lease store, told to the person who runs it.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {doing} {}: {error}{}", .path.display(), advice(.error))]
    Io { doing: &'static str, path: PathBuf, error: io::Error },

    #[error(
        "the leases in {} are in use by {}\n  fix: stop that lanboot, or give this one another state folder",
        .path.display(), .holder.as_deref().unwrap_or("another lanboot")
    )]
    Locked { path: PathBuf, holder: Option<String> },

    #[error(
        "{} is not a lanboot lease log\n  fix: move it away; lanboot then starts with no leases",
        .path.display()
    )]
    NotALog { path: PathBuf },

    #[error(
        "{} is damaged at octet {offset}, in a way that no power cut does, so its leases cannot be trusted\n  \
         fix: restore the file from a backup, or move it away; lanboot then starts with no leases, and its conflict check finds \
         the addresses in use",
        .path.display()
    )]
    Damaged { path: PathBuf, offset: u64 },

    #[error(
        "{} was written by a newer lanboot (format {found}; this one reads up to {known})\n  \
         fix: run that lanboot again, or move the file away to start with no leases",
        .path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },

    #[error(
        "no more leases are given out, because {} could not be brought to a known state: {why}\n  \
         fix: see to the disk, then start lanboot again; leases given so far are kept",
        .path.display()
    )]
    ReadOnly { path: PathBuf, why: String },

    /// `server`: which database, and as whom, without the password.
    #[error("the lease {server} {what}\n  fix: {fix}")]
    Database { server: String, what: String, fix: String },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "\n  fix: make room on that disk; nothing was handed out, and leases given so far are kept"
        }
        io::ErrorKind::PermissionDenied => "\n  fix: run lanboot as root, or give its user write access there",
        io::ErrorKind::ReadOnlyFilesystem => "\n  fix: choose a state folder on a disk that can be written",
        _ => "",
    }
}
