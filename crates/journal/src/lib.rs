//! What happened: one mechanism that DHCP, TFTP, HTTP, the host and the lab all report to.

pub mod event;
mod journal;

pub use event::{Event, Protocol, Role, Stage, Step};
pub use journal::{Follower, Heard, Journal};
