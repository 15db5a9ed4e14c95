//! Virtual machines to boot, and a verdict for each.

pub mod accel;
pub mod console;
pub mod firmware;
pub mod keys;
pub mod namespace;
pub mod pcap;
pub mod qemu;
pub mod qmp;
