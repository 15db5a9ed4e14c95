pub mod files;
pub mod dhcp;
pub mod machines;
pub mod net;
pub mod report;
pub mod tftp;
pub mod rival;
