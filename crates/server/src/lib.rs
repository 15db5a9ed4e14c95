//! The outside world: every socket that clients reach, the clock, and the loops that ask the pure crates.

pub mod dhcp;
pub mod dns;
pub mod dns_log;
pub mod files;
pub mod http_boot;
pub mod lookups;
pub mod machines;
mod made;
pub mod net;
pub mod report;
pub mod rival;
mod service;
pub mod tftp;

pub use service::{Bound, Link, Running, Settings};
