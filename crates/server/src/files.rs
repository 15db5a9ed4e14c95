//! The one door to boot files, for TFTP and HTTP alike.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use journal::Role;

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
    File(File),
    Memory(Arc<[u8]>),
}
