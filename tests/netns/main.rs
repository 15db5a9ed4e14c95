//! The program on a real kernel, against real clients: what a person would see who starts `lanboot`.
//!
//! Each test has network namespaces of its own, which vanish with it: one for the host that lanboot runs on, one for
//! each computer beside it. Nothing outside them is touched. They take root.

mod bad_input;
mod check;
mod clients;
mod dhcp_clients;
mod dnsmasq;
mod dnsmasq_live;
mod dnsmasq_process;
mod dnsmasq_users;
mod dnsmasq_where;
mod flood;
mod full_disk;
mod harness;
mod http_clients;
mod kill9;
mod look_ups;
mod name_changes;
mod names;
mod nat;
mod proxy;
mod raw;
mod restore;
mod rival;
#[path = "../postgres/server.rs"]
mod server;
mod services;
mod snapshot;
mod storm;
mod tftp_clients;
mod two_nodes;
