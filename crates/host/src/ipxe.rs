//! Where iPXE's binaries are on this host, and how to get them when they are not.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

mod apt;
mod fetch;
mod install;

pub use fetch::{FetchError, Fetched, fetch};

/// The platforms that a binary is looked for, by the names that the configuration uses for them.
pub const PLATFORMS: [&str; 4] = ["bios", "uefi-x64", "uefi-arm64", "uefi-ia32"];

/// Where Debian and its like, then Fedora and Arch, put iPXE.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/lib/ipxe", "/usr/share/ipxe"];

/// What a platform's binary is called here and there, the best first: those that use the firmware's own network driver
/// work with every card. `snponly.efi` and `ipxe.efi` mean x64 to distributions but anything in a folder of the user's
/// own, so they end every list and the file itself tells.
fn names(platform: &str) -> &'static [&'static str] {
    match platform {
        // ipxe.pxe brings its own drivers: larger, and only good for the cards it knows.
        "bios" => &["undionly.kpxe", "ipxe.pxe"],
        "uefi-x64" => &[
            "snponly.efi",
            "ipxe-snponly-x86_64.efi",
            "snponly-x86_64.efi",
            "x86_64-efi/snponly.efi",
            "x86_64/snponly.efi",
            "ipxe.efi",
            "ipxe-amd64.efi",
            "ipxe-x86_64.efi",
            "x86_64-efi/ipxe.efi",
            "x86_64/ipxe.efi",
        ],
        "uefi-arm64" => &[
            "arm64-efi/snponly.efi",
            "snponly-arm64.efi",
            "arm64/snponly.efi",
            "ipxe-arm64.efi",
            "arm64-efi/ipxe.efi",
            "arm64/ipxe.efi",
            "snponly.efi",
            "ipxe.efi",
        ],
        "uefi-ia32" => &[
            "i386-efi/snponly.efi",
            "ipxe-snponly-i386.efi",
            "snponly-i386.efi",
            "i386/snponly.efi",
            "ipxe-i386.efi",
            "i386-efi/ipxe.efi",
            "i386/ipxe.efi",
            "snponly.efi",
            "ipxe.efi",
        ],
        _ => &[],
    }
}

/// iPXE's binaries on this host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The file for each platform of [`PLATFORMS`] that has one, symbolic links resolved.
    pub binaries: BTreeMap<&'static str, PathBuf>,
    /// Every folder looked into, in order.
    pub searched: Vec<PathBuf>,
}

/// Looks for iPXE in the configured folder, in what [`fetch`] got, and where distributions put it.
///
/// `configured`: a folder of the user's own. `fetched`: `<state_dir>/firmware`. An `.efi` made for another processor than
/// its name says is passed over.
pub fn find(configured: Option<&Path>, fetched: &Path) -> Found {
    let own = configured.map(Path::to_owned).into_iter().chain([fetched.join(install::CURRENT)]);
    find_in(own.chain(SYSTEM_FOLDERS.map(PathBuf::from)).collect())
}

fn find_in(searched: Vec<PathBuf>) -> Found {
    let suits = |path: &PathBuf, platform| platform_of(path).is_ok_and(|found| found == platform);
    let first = |platform| {
        let paths = searched.iter().flat_map(|folder| names(platform).iter().map(move |name| folder.join(name)));
        paths.filter(|path| suits(path, platform)).find_map(|path| path.canonicalize().ok())
    };
    let binaries = PLATFORMS.into_iter().filter_map(|platform| Some((platform, first(platform)?))).collect();
    Found { binaries, searched }
}

impl Found {
    /// Why there is no binary for this platform and what to do about it, for a user of this distribution.
    pub fn missing(&self, platform: &str, distribution: &Distribution) -> String {
        let searched: Vec<String> = self.searched.iter().map(|folder| folder.display().to_string()).collect();
        format!(
            "there is no iPXE for {platform} in {}\nfix: {}",
            searched.join(", "),
            distribution.how_to_get_ipxe(platform)
        )
    }
}

/// The platform a boot file is made for, read from the file itself: a PE image says so, anything else is for BIOS.
///
/// # Errors
/// When the file cannot be read, or is a PE image for a processor that no platform has ([`io::ErrorKind::InvalidData`]).
pub fn platform_of(path: &Path) -> io::Result<&'static str> {
    let mut head = Vec::new();
    File::open(path)?.take(4096).read_to_end(&mut head)?;
    match pe_machine(&head) {
        None if head.is_empty() => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")),
        None => Ok("bios"),
        Some(machine) => machine_platform(machine).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("made for an unknown processor ({machine:#06x})"))
        }),
    }
}

/// Machine types of the PE format ("Microsoft PE and COFF specification", section "Machine Types").
fn machine_platform(machine: u16) -> Option<&'static str> {
    Some(match machine {
        0x8664 => "uefi-x64",
        0xaa64 => "uefi-arm64",
        0x014c => "uefi-ia32",
        0x01c2 | 0x01c4 => "uefi-arm32",
        _ => return None,
    })
}

/// The machine type in the header of a PE image; `None` for what is no PE image.
fn pe_machine(head: &[u8]) -> Option<u16> {
    let little_endian = |at: usize, len: usize| {
        let octets = head.get(at..at.checked_add(len)?)?;
        Some(octets.iter().rev().fold(0u32, |value, octet| value << 8 | u32::from(*octet)))
    };
    // The DOS header's last field says where the PE signature is.
    let signature = usize::try_from(little_endian(0x3c, 4)?).ok()?;
    let is_pe = head.starts_with(b"MZ") && head.get(signature..)?.starts_with(b"PE\0\0");
    if is_pe { little_endian(signature + 4, 2).and_then(|machine| u16::try_from(machine).ok()) } else { None }
}

/// The distribution this host runs, from os-release(5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// For people: `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// `debian`, and what it is like: `ubuntu`, `debian`.
    pub ids: Vec<String>,
    /// `12`; absent on Debian's testing and unstable.
    pub version: Option<String>,
    /// `bookworm`.
    pub codename: Option<String>,
}

impl Distribution {
    /// The one running; unknown when the host does not say.
    pub fn of_this_host() -> Distribution {
        let read = |path| std::fs::read_to_string(path).ok();
        Distribution::parse(&read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default())
    }

    fn parse(os_release: &str) -> Distribution {
        let value = |key: &str| {
            let mut lines = os_release.lines().filter_map(|line| line.trim().split_once('='));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim_matches(['"', '\'']).to_owned())
        };
        let ids = [value("ID"), value("ID_LIKE")].into_iter().flatten();
        Distribution {
            name: value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| "this system".to_owned()),
            ids: ids.flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect(),
            version: value("VERSION_ID"),
            codename: value("VERSION_CODENAME"),
        }
    }

    fn is(&self, id: &str) -> bool {
        self.ids.iter().any(|own| own == id)
    }

    fn how_to_get_ipxe(&self, platform: &str) -> String {
        let folder = "put the binary into a folder and name that (`--ipxe PATH`, or `ipxe` in `[boot]`)";
        let install = |command: &str| format!("install the distribution's package (`{command}`), or {folder}");
        match platform {
            // Nobody packages it any more.
            "uefi-ia32" => format!("build iPXE's bin-i386-efi/snponly.efi and {folder}"),
            "uefi-arm64" if self.is("debian") => format!("run `lanboot firmware fetch`, or {folder}"),
            "uefi-arm64" if self.is("fedora") || self.is("rhel") => install("dnf install ipxe-bootimgs-aarch64"),
            _ if self.is("debian") => {
                format!("install the package ipxe (`apt install ipxe`), or run `lanboot firmware fetch`, or {folder}")
            }
            _ if self.is("fedora") || self.is("rhel") => install("dnf install ipxe-bootimgs-x86"),
            _ if self.is("arch") && platform == "uefi-x64" => install("pacman -S ipxe"),
            _ => format!("get iPXE's binaries from the distribution's ipxe package or from ipxe.org, and {folder}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest head of a PE image.
    pub(super) fn pe(machine: u16) -> Vec<u8> {
        let mut image = vec![0; 0x80];
        image[..2].copy_from_slice(b"MZ");
        image[0x3c] = 0x80;
        image.extend(b"PE\0\0");
        image.extend(machine.to_le_bytes());
        image
    }

    pub(super) struct Folder(pub PathBuf);

    impl Folder {
        pub(super) fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("lanboot-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Folder(path.canonicalize().unwrap())
        }

        pub(super) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn pe_header_tells_the_machine() {
        for (machine, platform) in [(0x8664, "uefi-x64"), (0xaa64, "uefi-arm64"), (0x014c, "uefi-ia32")] {
            let image = pe(machine);
            assert_eq!(pe_machine(&image), Some(machine));
            assert_eq!(machine_platform(machine), Some(platform));
            assert!((0..image.len()).all(|len| pe_machine(&image[..len]).is_none()), "a cut header tells nothing");
        }
        let mut astray = pe(0x8664);
        astray[0x3c..0x40].copy_from_slice(&[0xff; 4]);
        assert_eq!(pe_machine(&astray), None);
        assert_eq!(machine_platform(0x5064), None);
    }

    #[test]
    fn each_distributions_tree_is_found() {
        let folder = Folder::new("ipxe-trees");
        type Tree = (&'static str, &'static [(&'static str, u16)], &'static [(&'static str, &'static str)]);
        let trees: [Tree; 3] = [
            (
                "debian-13",
                &[
                    ("undionly.kpxe", 0),
                    ("snponly.efi", 0x8664),
                    ("ipxe-arm64.efi", 0xaa64),
                    ("ipxe-amd64.efi", 0x8664),
                ],
                &[("bios", "undionly.kpxe"), ("uefi-x64", "snponly.efi"), ("uefi-arm64", "ipxe-arm64.efi")],
            ),
            (
                "fedora",
                &[
                    ("undionly.kpxe", 0),
                    ("ipxe-x86_64.efi", 0x8664),
                    ("ipxe-snponly-x86_64.efi", 0x8664),
                    ("arm64-efi/snponly.efi", 0xaa64),
                    ("ipxe-i386.efi", 0x14c),
                ],
                &[
                    ("bios", "undionly.kpxe"),
                    ("uefi-x64", "ipxe-snponly-x86_64.efi"),
                    ("uefi-arm64", "arm64-efi/snponly.efi"),
                    ("uefi-ia32", "ipxe-i386.efi"),
                ],
            ),
            ("arch", &[("x86_64/ipxe.efi", 0x8664)], &[("uefi-x64", "x86_64/ipxe.efi")]),
        ];
        for (tree, files, expected) in trees {
            for (name, machine) in files {
                let content = if *machine == 0 { b"no PE".to_vec() } else { pe(*machine) };
                folder.write(&format!("{tree}/{name}"), &content);
            }
            let root = folder.0.join(tree);
            let expected = expected.iter().map(|(platform, name)| (*platform, root.join(name))).collect();
            assert_eq!(find_in(vec![root]).binaries, expected, "{tree}");
        }
    }

    #[test]
    fn binary_for_another_processor_is_passed_over() {
        let folder = Folder::new("ipxe-wrong");
        folder.write("own/snponly.efi", &pe(0xaa64));
        folder.write("own/undionly.kpxe", &pe(0x8664));
        folder.write("system/snponly.efi", &pe(0x8664));
        let found = find_in(vec![folder.0.join("own"), folder.0.join("system")]);
        let expected = [("uefi-arm64", "own/snponly.efi"), ("uefi-x64", "system/snponly.efi")];
        assert_eq!(found.binaries, expected.map(|(platform, name)| (platform, folder.0.join(name))).into());
    }

    #[test]
    fn missing_binary_names_the_package_of_the_distribution() {
        let found = Found { searched: vec!["/usr/lib/ipxe".into()], ..Found::default() };
        for (os_release, platform, expected) in [
            ("ID=debian\nVERSION_ID=\"12\"\n", "bios", "`apt install ipxe`"),
            ("ID=debian\nVERSION_ID=\"12\"\n", "uefi-arm64", "`lanboot firmware fetch`"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "uefi-x64", "`lanboot firmware fetch`"),
            ("ID=fedora\n", "uefi-x64", "`dnf install ipxe-bootimgs-x86`"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "uefi-arm64", "`dnf install ipxe-bootimgs-aarch64`"),
            ("ID=arch\n", "uefi-x64", "`pacman -S ipxe`"),
            ("", "bios", "`--ipxe PATH`"),
        ] {
            let text = found.missing(platform, &Distribution::parse(os_release));
            assert!(text.contains(expected) && text.contains("/usr/lib/ipxe"), "{os_release}: {text}");
        }
    }
}
