//! Who is this machine, and what shall it boot? Pure: facts and policy in, a decision and its reasons out.

pub mod policy;

pub use policy::{Chain, MachinePolicy, Policy, ReplaceRomIpxe, Target};
