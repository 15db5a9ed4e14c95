pub mod files;
pub mod dhcp;
pub mod machines;
pub mod net;
pub mod report;
