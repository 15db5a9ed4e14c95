//! Who is this machine, and what shall it boot? Pure: facts and policy in, a decision and its reasons out.

pub mod decide;
pub mod facts;
pub mod history;
pub mod hosts;
pub mod ipxe;
pub mod matching;
pub mod policy;
pub mod pxe_menu;
pub mod rules;

pub use decide::{Answer, Decision, decide, target};
pub use facts::{Facts, Ipxe, feature};
pub use history::History;
pub use hosts::{Host, Hosts};
pub use policy::{Chain, MachinePolicy, Policy, ReplaceRomIpxe, Target};
