//! What a file in a published folder probably is to the boot.

use std::path::Path;

use journal::Role;

/// Guesses by the names that loaders, kernels and initial file systems go by everywhere. `None`: nothing known.
pub fn guess_role(path: &Path) -> Option<Role> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
    if ends(&[".ipxe"]) {
        Some(Role::Script)
    } else if starts(&["initrd", "initramfs"]) || ends(&[".cpio"]) || name.contains(".cpio.") {
        Some(Role::Initrd)
    } else if starts(&["vmlinuz", "bzimage"]) || ["linux", "image", "vmlinux"].contains(&name.as_str()) {
        Some(Role::Kernel)
    } else if ends(&[".efi", ".kpxe", ".kkpxe", ".kkkpxe", ".pxe", ".0"]) {
        Some(Role::Loader)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_tell_the_role() {
        let cases = [
            ("debian-installer/amd64/linux", Some(Role::Kernel)),
            ("vmlinuz-6.1.0-40-amd64", Some(Role::Kernel)),
            ("Image", Some(Role::Kernel)),
            ("initrd.gz", Some(Role::Initrd)),
            ("initramfs-linux.img", Some(Role::Initrd)),
            ("modules.cpio.zst", Some(Role::Initrd)),
            ("pxelinux.0", Some(Role::Loader)),
            ("EFI/BOOT/BOOTX64.EFI", Some(Role::Loader)),
            ("undionly.kpxe", Some(Role::Loader)),
            ("autoexec.ipxe", Some(Role::Script)),
            ("pxelinux.cfg/default", None),
            ("linux.cfg", None),
            ("ldlinux.c32", None),
        ];
        for (name, role) in cases {
            assert_eq!(guess_role(Path::new(name)), role, "{name}");
        }
    }
}
