//! DHCPv4 (RFC 2131, 2132).

pub mod fqdn;
mod layout;
pub mod options;
pub mod packet;
pub mod plan;
pub mod reply;

pub use fqdn::Fqdn;
pub use options::code;
pub use packet::{Malformed, MessageType, Packet};
pub use plan::{Owner, Plan, plan};
pub use reply::{AckDraft, Destination, Draft, Origin, Reply};
