//! What a line of a machine's console says, in few words.

use crate::words::clean;

/// The line without what only computers read: kernel timestamps, device paths, copyrights. `None` for lines that say
/// nothing: another follows at once that does.
pub(crate) fn words(line: &str) -> Option<String> {
    let line = clean(without_timestamp(line));
    let version = |rest: &str| rest.split([' ', ')']).next().unwrap_or_default().to_owned();
    if is_hollow(&line) {
        None
    } else if let Some(rest) = line.strip_prefix("Linux version ") {
        Some(format!("Linux version {}", version(rest)))
    } else if let Some(rest) = line.strip_prefix("SeaBIOS (version ") {
        Some(format!("SeaBIOS {}", version(rest)))
    } else if let Some((banner, _)) = line.split_once(" -- Open Source Network Boot Firmware") {
        Some(banner.to_owned())
    } else if let Some(rest) = line.strip_prefix("BdsDxe: ") {
        Some(format!("BdsDxe: {}", boot_option(rest).unwrap_or_else(|| rest.to_owned())))
    } else {
        Some(line.split(" Copyright ").next().unwrap_or_default().to_owned())
    }
}

/// Whether the line shows that a Linux kernel has begun to run.
pub(crate) fn kernel_runs(line: &str) -> bool {
    without_timestamp(line).starts_with("Linux version ")
}

/// `[    0.000000] Linux` is `Linux`.
fn without_timestamp(line: &str) -> &str {
    let line = line.trim();
    let inside = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match inside {
        Some((time, rest)) if time.trim().parse::<f64>().is_ok() => rest.trim_start(),
        _ => line,
    }
}

fn is_hollow(line: &str) -> bool {
    line == "secureboot: Secure boot disabled" || line.starts_with("iPXE initialising devices") && line.ends_with("ok")
}

/// `starting Boot0001 "UEFI PXEv4 (MAC:…)" from PciRoot(…)` is `starting UEFI PXEv4`. A reason for failure stays.
fn boot_option(text: &str) -> Option<String> {
    let (verb, rest) = text.split_once(" Boot0")?;
    let name = rest.split('"').nth(1)?.split(" (MAC:").next()?;
    let reason = rest.rsplit_once("): ").map(|(_, reason)| format!(": {reason}")).unwrap_or_default();
    Some(format!("{verb} {name}{reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_lines_are_told_in_few_words() {
        for (line, said) in [
            ("SeaBIOS (version 1.16.2-debian-1.16.2-1)", Some("SeaBIOS 1.16.2-debian-1.16.2-1")),
            ("iPXE initialising devices...ok", None),
            ("iPXE initialising devices...", Some("iPXE initialising devices...")),
            ("iPXE 1.0.0+git-1 -- Open Source Network Boot Firmware -- http", Some("iPXE 1.0.0+git-1")),
            (
                "[    0.000000] Linux version 6.1.0-50-amd64 (debian-kernel@lists.debian.org) (gcc-12)",
                Some("Linux version 6.1.0-50-amd64"),
            ),
            ("[    0.000000] secureboot: Secure boot disabled", None),
            ("[    0.000000] secureboot: Secure boot enabled", Some("secureboot: Secure boot enabled")),
            (
                "BdsDxe: starting Boot0001 \"UEFI PXEv4 (MAC:5254006C0002)\" from PciRoot(0x0)/Pci(0x3,0x0)/Uri()",
                Some("BdsDxe: starting UEFI PXEv4"),
            ),
            (
                "BdsDxe: failed to load Boot0001 \"UEFI PXEv4 (MAC:5254006C0002)\" from PciRoot(0x0)/IPv4(0x0): Not Found",
                Some("BdsDxe: failed to load UEFI PXEv4: Not Found"),
            ),
            (
                "BdsDxe: No bootable option or device was found.",
                Some("BdsDxe: No bootable option or device was found."),
            ),
            (
                "PXELINUX 6.04 PXE 20200816 Copyright (C) 1994-2015 H. Peter Anvin et al",
                Some("PXELINUX 6.04 PXE 20200816"),
            ),
            ("[ OK ] Started a service", Some("[ OK ] Started a service")),
        ] {
            assert_eq!(words(line).as_deref(), said, "{line}");
        }
    }
}
