//! Virtual machines to boot, and a verdict for each.
//!
//! [`run`] starts them on a bridge and follows their consoles and the journal; [`enter_private_network`] takes the process
//! into a network where that bridge disturbs nobody; [`available`] tells which firmware this host can start, and
//! [`kvm_works`] whether it has to emulate. Everything here blocks.

mod accel;
mod console;
mod firmware;
mod judge;
mod keys;
mod lab;
mod namespace;
mod pcap;
mod qemu;
mod qmp;
mod trial;
mod typing;

pub use accel::{Accelerator, NoKvm, kvm_works};
pub use firmware::{Firmware, Missing, UnknownFirmware, available};
pub use keys::UnknownKey;
pub use lab::{LabError, LabSpec, Report, VmReport, VmSpec, check, run, vm_mac};
pub use namespace::{Namespace, NamespaceError, enter_private_network};
pub use pcap::Recording;
pub use qemu::{Hardware, Kernel};
pub use typing::{After, BadTyping, Typing};
