//! The tables, by subject.

mod access;
mod cache;
mod choice;
mod forward;
mod hosts;
mod leases;
mod lies;
mod policy;
mod records;
mod routes;
mod sizes;
