//! One program for all targets: the environment variable `FUZZ_TARGET` names the one that libFuzzer drives.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    let found = fuzz::TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET is `{name}`, and should be one of {}", names.join(", "))).1
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| TARGET(octets));
