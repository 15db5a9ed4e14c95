//! DHCPv4 and PXE: octets to meaning and back, as pure functions. No sockets, no clock.

pub mod arch;

pub use arch::{ClientArch, Platform};
