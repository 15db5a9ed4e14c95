use super::super::tests::{Folder, pe};
use super::*;
use std::fmt::Write;

fn bookworm() -> Distribution {
    Distribution::parse(
        "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
    )
}

#[test]
fn suite_is_trixie_on_older_debian_and_the_hosts_own_elsewhere() {
    for (os_release, suite) in [
        ("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm", "trixie"),
        ("ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie", "trixie"),
        ("ID=debian\nVERSION_CODENAME=forky", "forky"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble", "noble"),
    ] {
        assert_eq!(default_suite(&Distribution::parse(os_release)), suite, "{os_release}");
    }
}

#[test]
fn what_apt_says_is_understood() {
    for (said, expected) in [
        (
            "W: GPG error: http://m.test trixie InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131\nE: The repository 'http://m.test trixie InRelease' is not signed.",
            Trouble::Untrusted,
        ),
        (
            "Err:1 http://m.test trixie InRelease\n  Temporary failure resolving 'm.test'\nE: Some index files failed to download.",
            Trouble::NoNetwork,
        ),
        (
            "Ign:1 http://m.test trixie InRelease\nErr:2 http://m.test trixie Release\n  404  Not Found [IP: 192.0.2.1 80]\nE: The repository 'http://m.test trixie Release' does not have a Release file.",
            Trouble::NoSuite,
        ),
        ("E: Could not get lock", Trouble::Other),
    ] {
        assert_eq!(trouble(said), expected, "{said}");
    }
    assert_eq!(complaint("Get:1 x\nW: one\nE: two\n"), "E: two\n  W: one");
}

#[test]
fn host_without_apt_is_told_its_package() {
    let fedora = Distribution::parse("PRETTY_NAME=\"Fedora Linux 43\"\nID=fedora\n");
    let error = fetch_as(&fedora, Path::new("/nowhere"), Path::new("/nowhere"), None, &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("Fedora Linux 43 has no apt") && error.to_string().contains("dnf install"),
        "{error}"
    );
}

/// A mirror in a folder with one suite, as apt reads it; unsigned, and trusted by the entry for it.
struct Mirror(Folder);

impl Mirror {
    /// `None` on hosts that are not like Debian.
    fn new(name: &str) -> Option<Mirror> {
        let there = |program| Command::new(program).arg("--version").output().is_ok();
        if !["apt-get", "dpkg-deb", "sha256sum"].into_iter().all(there) {
            println!("SKIPPED: this host has no apt");
            return None;
        }
        let folder = Folder::new(name);
        let entry = format!(
            "deb [trusted=yes] copy:{0} bookworm main\ndeb [trusted=yes] copy:{0} bookworm-updates main\n",
            folder.0.join("mirror").display()
        );
        folder.write("etc/sources.list", entry.as_bytes());
        Some(Mirror(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.0.join(name)
    }

    fn publish(&self, version: &str, damage: bool) {
        let tree = format!("build-{version}");
        let control = format!(
            "Package: ipxe\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.test>\nDescription: t\n"
        );
        self.0.write(&format!("{tree}/DEBIAN/control"), control.as_bytes());
        self.0.write(&format!("{tree}/usr/lib/ipxe/undionly.kpxe"), version.as_bytes());
        self.0.write(&format!("{tree}/usr/lib/ipxe/ipxe-amd64.efi"), &pe(0x8664));
        self.0.write(&format!("{tree}/boot/ipxe.lkrn"), b"kernel");
        self.0.write(&format!("{tree}/usr/share/doc/ipxe/copyright"), b"GPL");
        let links = [
            ("ipxe.efi", "ipxe-amd64.efi"),
            ("ipxe.lkrn", "/boot/ipxe.lkrn"),
            ("shadow", "/etc/shadow"),
            ("up", "../../../etc"),
        ];
        for (name, to) in links {
            std::os::unix::fs::symlink(to, self.path(&tree).join("usr/lib/ipxe").join(name)).unwrap();
        }
        let deb = self.0.write("mirror/pool/ipxe.deb", b"");
        run("dpkg-deb", "dpkg", Command::new("dpkg-deb").arg("--build").arg(self.path(&tree)).arg(&deb)).unwrap();
        let mut packages = control;
        let (size, sum) = Mirror::size_and_sum(&deb);
        writeln!(packages, "Filename: pool/ipxe.deb\nSize: {size}\nSHA256: {sum}\n").unwrap();
        let arch = run("dpkg", "dpkg", Command::new("dpkg").arg("--print-architecture")).unwrap();
        let index = format!("main/binary-{}/Packages", arch.trim());
        let (size, sum) =
            Mirror::size_and_sum(&self.0.write(&format!("mirror/dists/trixie/{index}"), packages.as_bytes()));
        let release = format!(
            "Suite: trixie\nCodename: trixie\nComponents: main\nArchitectures: {arch}SHA256:\n {sum} {size} {index}\n"
        );
        self.0.write("mirror/dists/trixie/Release", release.as_bytes());
        if damage {
            let mut octets = std::fs::read(&deb).unwrap();
            *octets.last_mut().unwrap() ^= 1;
            std::fs::write(&deb, octets).unwrap();
        }
    }

    fn size_and_sum(path: &Path) -> (u64, String) {
        let sum = run("sha256sum", "coreutils", Command::new("sha256sum").arg(path)).unwrap();
        (path.metadata().unwrap().len(), sum.split_whitespace().next().unwrap().to_owned())
    }

    fn fetch(&self, suite: Option<&str>) -> Result<Fetched, FetchError> {
        fetch_as(&bookworm(), &self.path("etc"), &self.path("state"), suite, &mut |_| {})
    }

    fn firmware(&self) -> Vec<String> {
        list(&self.path("state/firmware")).unwrap()
    }
}

#[test]
fn package_is_fetched_checked_and_unpacked_once() {
    let Some(mirror) = Mirror::new("ipxe-fetch") else { return };
    mirror.publish("1:1.0+git1-1", false);
    let first = mirror.fetch(None).unwrap();
    assert_eq!((first.version.as_str(), first.suite.as_str(), first.unchanged), ("1:1.0+git1-1", "trixie", false));
    // The link to /boot is followed inside the package; those that lead out of it are gone.
    assert_eq!(first.files, ["ORIGIN", "copyright", "ipxe-amd64.efi", "ipxe.efi", "ipxe.lkrn", "undionly.kpxe"]);
    assert_eq!(std::fs::read(first.folder.join("ipxe.lkrn")).unwrap(), b"kernel");

    let again = mirror.fetch(None).unwrap();
    assert_eq!(again, Fetched { unchanged: true, ..first });
    mirror.publish("1:1.0+git2-1", false);
    mirror.fetch(None).unwrap();
    assert_eq!(mirror.firmware(), ["current", "ipxe-1_1.0+git1-1", "ipxe-1_1.0+git2-1"]);
    let found = super::super::find(None, &mirror.path("state/firmware"));
    assert_eq!(found.binaries["bios"], mirror.path("state/firmware/ipxe-1_1.0+git2-1/undionly.kpxe"));
}

#[test]
fn damaged_package_and_missing_suite_change_nothing() {
    let Some(mirror) = Mirror::new("ipxe-fetch-bad") else { return };
    mirror.publish("1.0-1", true);
    let error = mirror.fetch(None).unwrap_err();
    assert!(matches!(error, FetchError::Tool { .. } | FetchError::WrongDigest { .. }), "{error}");
    let error = mirror.fetch(Some("nosuch")).unwrap_err();
    assert!(
        matches!(&error, FetchError::NoSuite { suite, own, .. } if suite == "nosuch" && own == "bookworm"),
        "{error}"
    );
    assert_eq!(mirror.firmware(), [""; 0]);
}
