//! An imagined computer to resolve configurations on, and flags read from a line of text.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use config::{Diagnostics, Entry, Flags, Loaded, Nic, Surroundings, TextFile};

/// Paths and what is there; a path that is an error may not be read.
pub struct World(BTreeMap<PathBuf, io::Result<Entry>>);

const FILES: &[&str] = &[
    "/srv/vmlinuz",
    "/srv/initrd.img",
    "/srv/menu.ipxe",
    "/srv/other/initrd.img",
    "/srv/other/my kernel",
    "/srv/hosts.d/more",
    "/srv/hosts",
    "/srv/resolv.conf",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/srv/tftp/pxelinux.0",
    "/srv/tftp/grub/grubx64.efi",
    "/srv/netboot/text/pxelinux.0",
    "/srv/netboot/text/debian-installer/amd64/pxelinux.0",
    "/srv/netboot/text/debian-installer/amd64/bootnetx64.efi",
    "/srv/netboot/text/debian-installer/amd64/grubx64.efi",
    "/srv/netboot/text/debian-installer/arm64/grubaa64.efi",
];

impl World {
    pub fn new() -> World {
        let mut paths = BTreeMap::new();
        for file in FILES.iter().map(Path::new) {
            paths.insert(file.to_owned(), Ok(Entry::File));
            paths.extend(file.ancestors().skip(1).map(|folder| (folder.to_owned(), Ok(Entry::Folder))));
        }
        paths.insert("/srv/empty".into(), Ok(Entry::Folder));
        paths.insert("/srv/pipe".into(), Ok(Entry::Other));
        paths.insert("/srv/secret".into(), Err(io::ErrorKind::PermissionDenied.into()));
        World(paths)
    }
}

impl Surroundings for World {
    fn look(&self, path: &Path) -> io::Result<Entry> {
        match self.0.get(path) {
            Some(Ok(entry)) => Ok(*entry),
            Some(Err(error)) => Err(error.kind().into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(folder));
        inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    fn text_of(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/proc/sys/kernel/hostname") => Ok("box\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn interfaces(&self) -> Vec<Nic> {
        vec![Nic {
            name: "eth1".into(),
            addresses: vec!["192.168.7.2/24".parse().unwrap()],
            is_loopback: false,
            ..Nic::default()
        }]
    }
}

/// Loads `file` as `/srv/lanboot.toml` with `flags` in the world.
pub fn load(flags: &str, file: &str) -> Result<Loaded, Diagnostics> {
    let source = TextFile::new("/srv/lanboot.toml", file);
    let source = (!file.is_empty()).then_some(&source);
    config::load_text(source, &read_flags(flags), &World::new())
}

/// Flags as a shell would split them, without quotes.
pub fn read_flags(line: &str) -> Flags {
    let mut flags = Flags::default();
    let mut words = line.split_whitespace();
    while let Some(flag) = words.next() {
        match flag {
            "--masquerade" => flags.masquerade = Some(true),
            "--no-masquerade" => flags.masquerade = Some(false),
            "--no-dhcp" => flags.no_dhcp = true,
            "--proxy" => flags.proxy = true,
            "--no-tftp" => flags.no_tftp = true,
            "--no-http" => flags.no_http = true,
            "--no-dns" => flags.no_dns = true,
            _ => {
                let value = words.next().unwrap_or_else(|| panic!("{flag} needs a value")).to_owned();
                with_value(&mut flags, flag, value);
            }
        }
    }
    flags
}

fn with_value(flags: &mut Flags, flag: &str, value: String) {
    match flag {
        "--bridge" => flags.bridge = Some(value),
        "--interface" => flags.interface = Some(value),
        "--address" => flags.address = Some(value),
        "--port" => flags.ports.push(value),
        "--forward" => flags.forwards.push(value),
        "--range" => flags.ranges.push(value),
        "--lease" => flags.lease = Some(value),
        "--allocation" => flags.allocation = Some(value),
        "--conflict-check" => flags.conflict_check = Some(value),
        "--kernel" => flags.kernel = Some(value.into()),
        "--initrd" => flags.initrds.push(value.into()),
        "--cmdline" => flags.cmdline = Some(value),
        "--script" => flags.script = Some(value.into()),
        "--boot-file" => flags.boot_file = Some(value),
        "--ipxe" => flags.ipxe = Some(value.into()),
        "--tftp-root" => flags.tftp_root = Some(value.into()),
        "--http-root" => flags.http_root = Some(value.into()),
        "--http-port" => flags.http_port = Some(value),
        "--state" => flags.state = Some(value.into()),
        _ => panic!("no such flag: {flag}"),
    }
}
