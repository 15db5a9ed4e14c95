//! The firmware a virtual machine starts with, and where distributions put it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a virtual machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// SeaBIOS, and iPXE in the network card's ROM.
    Bios,
    /// OVMF's PXE over IPv4, the card without a ROM.
    UefiX64,
    /// OVMF's HTTP Boot over IPv4, the card without a ROM.
    UefiHttp,
    /// OVMF's PXE over IPv4 with Secure Boot enforced: it starts what Microsoft's keys vouch for, such as a shim.
    UefiSecure,
    /// AAVMF's PXE over IPv4.
    UefiArm64,
}

impl Firmware {
    pub const ALL: [Firmware; 5] =
        [Firmware::Bios, Firmware::UefiX64, Firmware::UefiHttp, Firmware::UefiSecure, Firmware::UefiArm64];

    /// As the command line writes it: `bios`, `uefi-x64`, `uefi-http`, `uefi-secure`, `uefi-arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Firmware::Bios => "bios",
            Firmware::UefiX64 => "uefi-x64",
            Firmware::UefiHttp => "uefi-http",
            Firmware::UefiSecure => "uefi-secure",
            Firmware::UefiArm64 => "uefi-arm64",
        }
    }

    /// The emulator for it.
    pub fn qemu(self) -> &'static str {
        match self {
            Firmware::UefiArm64 => "qemu-system-aarch64",
            _ => "qemu-system-x86_64",
        }
    }

    /// Whether it runs the same kind of processor as this host has, which KVM needs.
    pub fn is_native(self) -> bool {
        std::env::consts::ARCH == if self == Firmware::UefiArm64 { "aarch64" } else { "x86_64" }
    }

    /// The UEFI images to use; `None` for [`Firmware::Bios`], which QEMU brings itself.
    ///
    /// # Errors
    /// [`Missing`], naming the package.
    pub fn images(self) -> Result<Option<Images>, Missing> {
        let (places, missing) = match self {
            Firmware::Bios => return Ok(None),
            Firmware::UefiX64 | Firmware::UefiHttp => (X64, X64_MISSING),
            Firmware::UefiSecure => (X64_SECURE, X64_SECURE_MISSING),
            Firmware::UefiArm64 => (ARM64, ARM64_MISSING),
        };
        installed(places).map(Some).ok_or(missing)
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a firmware.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no firmware of the lab: choose from {choices}", choices = Firmware::ALL.map(Firmware::name).join(", "))]
pub struct UnknownFirmware(pub String);

impl FromStr for Firmware {
    type Err = UnknownFirmware;

    fn from_str(text: &str) -> Result<Firmware, UnknownFirmware> {
        Firmware::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| UnknownFirmware(text.to_owned()))
    }
}

/// A UEFI firmware as QEMU takes it: code, and a template of the variable store that goes with that code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pub code: PathBuf,
    pub variables: PathBuf,
}

/// A program or firmware that is not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not installed\n  fix: {}", self.fix())]
pub struct Missing {
    what: &'static str,
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
}

impl Missing {
    pub(crate) fn fix(&self) -> String {
        format!(
            "apt install {} (Debian), dnf install {} (Fedora), pacman -S {} (Arch)",
            self.debian, self.fedora, self.arch
        )
    }
}

const X64_MISSING: Missing =
    Missing { what: "OVMF, the UEFI firmware for x64,", debian: "ovmf", fedora: "edk2-ovmf", arch: "edk2-ovmf" };
const X64_SECURE_MISSING: Missing = Missing {
    what: "OVMF with Microsoft's keys, the UEFI firmware for x64 with Secure Boot,",
    debian: "ovmf",
    fedora: "edk2-ovmf",
    arch: "a build with enrolled keys; edk2-ovmf has none",
};
const ARM64_MISSING: Missing = Missing {
    what: "AAVMF, the UEFI firmware for arm64,",
    debian: "qemu-efi-aarch64",
    fedora: "edk2-aarch64",
    arch: "edk2-aarch64",
};
pub(crate) const ROM_MISSING: Missing = Missing {
    what: "the iPXE ROM of QEMU's network card",
    debian: "ipxe-qemu",
    fedora: "ipxe-roms-qemu",
    arch: "qemu-common",
};
const QEMU_X64_MISSING: Missing = Missing {
    what: "qemu-system-x86_64",
    debian: "qemu-system-x86",
    fedora: "qemu-system-x86-core",
    arch: "qemu-base",
};
const QEMU_ARM64_MISSING: Missing = Missing {
    what: "qemu-system-aarch64",
    debian: "qemu-system-arm",
    fedora: "qemu-system-aarch64-core",
    arch: "qemu-system-aarch64",
};

/// Code and variables, in the order to try: the 4 MiB builds without Secure Boot keys first. Debian, Fedora, Arch, openSUSE.
const X64: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
    ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"),
];
/// Builds that protect their variables by SMM, and stores with Microsoft's keys in them. Debian, Fedora, openSUSE.
const X64_SECURE: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"),
    ("/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin", "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin"),
];
const ARM64: &[(&str, &str)] = &[
    ("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
    ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
    ("/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"),
];

fn installed(places: &[(&str, &str)]) -> Option<Images> {
    places
        .iter()
        .find(|(code, variables)| Path::new(code).exists() && Path::new(variables).exists())
        .map(|(code, variables)| Images { code: code.into(), variables: variables.into() })
}

/// Where the emulator for `firmware` is installed, by `PATH`.
///
/// # Errors
/// [`Missing`], naming the package.
pub fn find_qemu(firmware: Firmware) -> Result<PathBuf, Missing> {
    let missing = if firmware == Firmware::UefiArm64 { QEMU_ARM64_MISSING } else { QEMU_X64_MISSING };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(firmware.qemu())).find(|file| file.is_file()).ok_or(missing)
}

/// The kinds of firmware that can be started on this host: emulator and images are there.
pub fn available() -> Vec<Firmware> {
    Firmware::ALL.into_iter().filter(|one| find_qemu(*one).is_ok() && one.images().is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for firmware in Firmware::ALL {
            assert_eq!(firmware.name().parse(), Ok(firmware));
            assert_eq!(serde_json::to_value(firmware).unwrap(), firmware.name());
        }
        assert_eq!("uefi".parse::<Firmware>(), Err(UnknownFirmware("uefi".to_owned())));
    }

    #[test]
    fn first_place_with_both_images_wins() {
        let folder = std::env::temp_dir().join(format!("lanboot-firmware-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        for name in ["a-code", "b-code", "b-vars", "c-code", "c-vars"] {
            std::fs::write(file(name), "").unwrap();
        }
        let names = ["a", "b", "c"].map(|one| (file(&format!("{one}-code")), file(&format!("{one}-vars"))));
        let places: Vec<(&str, &str)> = names.iter().map(|(code, vars)| (code.as_str(), vars.as_str())).collect();
        let found = installed(&places);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, Some(Images { code: file("b-code").into(), variables: file("b-vars").into() }));
        assert_eq!(installed(&places), None);
    }
}
