pub mod files;
pub mod http_boot;
pub mod dhcp;
pub mod machines;
pub mod net;
pub mod report;
pub mod tftp;
pub mod rival;
