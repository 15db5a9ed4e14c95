//! DHCPv4 and PXE: octets to meaning and back, as pure functions. No sockets, no clock.

pub mod arch;
pub mod granted;
pub mod router_advert;
pub mod v4;

pub use arch::{ClientArch, Platform};
pub use granted::Granted;
