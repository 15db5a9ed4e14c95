//! What must hold for any octets, whoever made them: the bodies of the fuzz targets.
//!
//! Each target is a plain function, so that libFuzzer can drive it (`fuzz/libfuzzer`, `scripts/fuzz.sh`) and an ordinary
//! test can replay what libFuzzer found worth keeping (`tests/replay.rs`). A target panics when something does not hold.

mod conf;
mod decoder;
mod dns;
mod engine;
mod hosts;
mod input;
mod leases;
mod options;
mod tftp;
mod toml;
mod world;

/// A target takes octets and panics when they lead to something that must not be.
pub type Target = fn(&[u8]);

/// The targets by name; `corpus/<name>` holds octets for each.
pub const TARGETS: &[(&str, Target)] = &[
    ("options", options::target),
    ("conf", conf::target),
    ("toml", toml::target),
    ("decoder", decoder::target),
    ("engine", engine::target),
    ("tftp", tftp::target),
    ("dns", dns::target),
    ("query", dns::query::target),
    ("hosts", hosts::target),
    ("leases", leases::target),
];
