//! What the user wants booted: the resolved policy that [`crate::decide`] applies.

use std::collections::BTreeMap;

use dhcp::Platform;
use mac::Mac;

/// Everything about booting that the configuration says. All file names are published names: paths below the boot
/// root as clients ask for them, without a leading slash.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// TCP port of the HTTP service; `None` when it is off.
    pub http_port: Option<u16>,
    /// Whether TFTP is served.
    pub tftp: bool,
    /// iPXE's binaries that are there to be given out.
    pub ipxe: BTreeMap<Platform, String>,
    pub replace_rom_ipxe: ReplaceRomIpxe,
    pub chain: Chain,
    /// What every machine boots that has nothing of its own.
    pub target: Target,
    pub machines: BTreeMap<Mac, MachinePolicy>,
}

/// One machine that the configuration names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachinePolicy {
    pub name: Option<String>,
    /// `None`: what everybody boots.
    pub target: Option<Target>,
}

/// What is booted once the firmware, and iPXE where it is used, have done their part.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Target {
    /// Addresses only.
    #[default]
    Nothing,
    /// A kernel, loaded by a generated iPXE script. `cmdline` may hold the placeholders of [`crate::ipxe`].
    Linux { kernel: String, initrds: Vec<String>, cmdline: String },
    /// The user's own iPXE script, a published file.
    Script { name: String },
    /// A boot file such as `pxelinux.0`, by platform; the name under `any` serves every platform not listed.
    BootFile { any: Option<String>, by_platform: BTreeMap<Platform, String> },
}

/// When an iPXE that is already running (from a network card's ROM, say) is replaced by ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplaceRomIpxe {
    /// When it lacks a feature that the target needs (HTTP).
    #[default]
    WhenNeeded,
    Always,
    Never,
}

/// Whether a boot file goes to the firmware itself or to iPXE first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// An EFI binary to UEFI firmware itself, which loads it as well as iPXE would, and shim better; all else by iPXE.
    #[default]
    Auto,
    Ipxe,
    Direct,
}

impl Chain {
    /// Whether this boot file is given to the firmware of this platform without iPXE before it.
    pub fn is_direct(self, platform: Platform, file: &str) -> bool {
        let is_efi_binary = file.to_ascii_lowercase().ends_with(".efi");
        match self {
            Chain::Auto => platform != Platform::Bios && is_efi_binary,
            Chain::Ipxe => false,
            Chain::Direct => true,
        }
    }
}
