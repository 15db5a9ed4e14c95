//! Whole lives of a DHCP server: its engine and its store among many clients, on a simulated clock and disk.

mod chance;
mod client;
mod counted;
mod cuts;
mod day;
mod disk;
mod faults;
mod lan;
mod slow;
mod witness;
