//! Gets Debian's newer ipxe package through the mirror that the host's apt already uses, and installs nothing.
//!
//! apt itself does the work, in a state directory of its own that is thrown away: proxies, certificates, signatures and
//! digests are handled as the host's administrator set them up.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, chown, mkdtemp};
use thiserror::Error;

use super::apt::{Source, main_archive, sources};
use super::{Distribution, install};

/// The first Debian release whose iPXE speaks HTTPS and has arm64.
const DEBIAN_SUITE: &str = "trixie";
const DEBIAN_VERSION: u32 = 13;

/// What was fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    pub version: String,
    pub suite: String,
    /// Of the package, as the signed index says and as was found.
    pub sha256: String,
    /// Where the binaries are now: `<state_dir>/firmware/ipxe-<version>`.
    pub folder: PathBuf,
    /// The files in it, sorted.
    pub files: Vec<String>,
    /// It was there already.
    pub unchanged: bool,
}

#[derive(Debug, Error)]
pub enum FetchError {
    #[error("{name} has no apt, through which the package would come\nfix: {how}")]
    NoApt { name: String, how: String },
    #[error(
        "{program} is not installed or cannot be run: {error}\nfix: install the package that has it (`apt install {package}`)"
    )]
    NoTool { program: &'static str, package: &'static str, error: io::Error },
    #[error(
        "no entry below {folder} is for the main archive of {name}\nfix: add the distribution's archive (component main) to apt's sources"
    )]
    NoSource { folder: PathBuf, name: String },
    #[error("{uris} has no suite `{suite}`\nfix: name one that it has with --suite; the host's own is `{own}`")]
    NoSuite { uris: String, suite: String, own: String },
    #[error(
        "the keys on this host do not vouch for `{suite}`: they may be older than it\n  {said}\nfix: bring the distribution's archive keyring up to date (on Debian `apt update && apt install debian-archive-keyring`), then try again"
    )]
    Untrusted { suite: String, said: String },
    #[error(
        "{uris} does not answer\n  {said}\nfix: check the network and apt's proxy settings; `apt update` should work first"
    )]
    NoNetwork { uris: String, said: String },
    #[error("the suite `{suite}` of {uris} has no package ipxe\nfix: name another suite with --suite")]
    NoPackage { suite: String, uris: String },
    #[error(
        "the package is not the one its index describes: SHA256 {found}, wanted {wanted}\nfix: try again; if it stays, the mirror or a cache on the way is broken"
    )]
    WrongDigest { found: String, wanted: String },
    #[error("{program} failed\n  {said}\nfix: `apt update` should work on this host first")]
    Tool { program: &'static str, said: String },
    #[error("{} cannot be written: {error}\nfix: run as its owner, or choose another `state_dir`", path.display())]
    Folder { path: PathBuf, error: io::Error },
}

/// Gets the newest ipxe package of a suite into `<state_dir>/firmware` and makes it the one that
/// [`find`](super::find) finds.
///
/// `suite`: default Debian 13's, or the host's own when that is newer or not Debian's. `log` hears each step. The user
/// needs no rights but to write `state_dir`. Run again it fetches only what is new.
///
/// # Errors
/// [`FetchError`]; nothing has been changed then.
pub fn fetch(state_dir: &Path, suite: Option<&str>, log: &mut dyn FnMut(String)) -> Result<Fetched, FetchError> {
    let distribution = Distribution::of_this_host();
    fetch_as(&distribution, Path::new("/etc/apt"), state_dir, suite, log)
}

fn fetch_as(
    distribution: &Distribution,
    etc_apt: &Path,
    state_dir: &Path,
    suite: Option<&str>,
    log: &mut dyn FnMut(String),
) -> Result<Fetched, FetchError> {
    if !distribution.is("debian") && !distribution.is("ubuntu") {
        let how = distribution.how_to_get_ipxe("bios");
        return Err(FetchError::NoApt { name: distribution.name.clone(), how });
    }
    let sources = sources(etc_apt);
    let Some(source) = main_archive(&sources, distribution) else {
        return Err(FetchError::NoSource { folder: etc_apt.to_owned(), name: distribution.name.clone() });
    };
    let suite = suite.unwrap_or_else(|| default_suite(distribution));
    let firmware = state_dir.join("firmware");
    let staging = Staging::new(&firmware)?;
    let apt = Apt::new(source, suite, distribution)?;

    log(format!("asking {} for the packages of {suite}", apt.uris));
    apt.update()?;
    let package = apt.package()?;
    let folder = install::version_folder(&firmware, &package.version);
    let unchanged = install::is_from(&folder, &package.sha256);
    if unchanged {
        log(format!("ipxe {} is there already", package.version));
    } else {
        log(format!("getting ipxe {}", package.version));
        let deb = apt.download(&package)?;
        log(format!("its SHA256 is the one in the signed index: {}", package.sha256));
        let unpacked = staging.0.join("unpacked");
        run("dpkg-deb", "dpkg", Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&unpacked))?;
        install::install(&unpacked, &staging.0, &folder, &apt.origin(&package)).map_err(in_folder(&folder))?;
    }
    install::make_current(&firmware, &folder, &staging.0).map_err(in_folder(&firmware))?;
    log(format!("iPXE's binaries are in {}", folder.display()));
    let files = list(&folder).map_err(in_folder(&folder))?;
    Ok(Fetched { version: package.version, suite: suite.to_owned(), sha256: package.sha256, folder, files, unchanged })
}

fn default_suite(distribution: &Distribution) -> &str {
    let own = distribution.codename.as_deref().unwrap_or(DEBIAN_SUITE);
    let is_debian = distribution.ids.first().is_some_and(|id| id == "debian");
    // Testing and unstable have no number, and are newer.
    let number = distribution.version.as_deref().and_then(|version| version.parse::<u32>().ok());
    if is_debian && number.is_some_and(|number| number < DEBIAN_VERSION) { DEBIAN_SUITE } else { own }
}

fn in_folder(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |error| FetchError::Folder { path, error }
}

fn list(folder: &Path) -> io::Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// A folder beside the final one, removed whatever happens.
struct Staging(PathBuf);

impl Staging {
    fn new(firmware: &Path) -> Result<Staging, FetchError> {
        std::fs::create_dir_all(firmware).map_err(in_folder(firmware))?;
        temporary(&firmware.join(".fetch-XXXXXX")).map(Staging)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is a hidden folder that nobody reads.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn temporary(template: &Path) -> Result<PathBuf, FetchError> {
    mkdtemp(template).map_err(|error| FetchError::Folder { path: template.to_owned(), error: error.into() })
}

/// apt in a state directory of its own, which knows one suite of one archive.
struct Apt {
    folder: Staging,
    suite: String,
    uris: String,
    own_suite: String,
}

/// The package as the signed index describes it.
struct Package {
    version: String,
    sha256: String,
}

impl Apt {
    fn new(source: &Source, suite: &str, distribution: &Distribution) -> Result<Apt, FetchError> {
        let folder = temporary(&std::env::temp_dir().join("lanboot-apt-XXXXXX"))?;
        let apt = Apt {
            folder: Staging(folder),
            suite: suite.to_owned(),
            uris: source.uris.join(" "),
            own_suite: distribution.codename.clone().unwrap_or_default(),
        };
        apt.prepare(source).map_err(in_folder(apt.path()))?;
        Ok(apt)
    }

    fn path(&self) -> &Path {
        &self.folder.0
    }

    fn prepare(&self, source: &Source) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        // apt drops root for its downloads and must still find its way in here.
        std::fs::set_permissions(self.path(), std::fs::Permissions::from_mode(0o755))?;
        for folder in ["lists/partial", "archives/partial", "sources", "preferences", "deb"] {
            std::fs::create_dir_all(self.path().join(folder))?;
        }
        if Uid::effective().is_root()
            && let Ok(Some(user)) = User::from_name("_apt")
        {
            chown(&self.path().join("deb"), Some(user.uid), None)?;
        }
        std::fs::write(self.path().join("status"), "")?;
        std::fs::write(self.path().join("sources/archive.sources"), source.entry_for(&self.suite))?;
        std::fs::write(self.path().join("apt.conf"), self.configuration())
    }

    /// Read after the host's own configuration, whose proxies and certificates stay in force.
    fn configuration(&self) -> String {
        let at = |name: &str| self.path().join(name).display().to_string();
        format!(
            "// Hooks of the host's own updates, such as cleaning its package cache, are not ours to run.\n\
             #clear APT::Update;\n\
             APT::Update::Error-Mode \"any\";\n\
             Acquire::Languages \"none\";\n\
             Dir::State \"{}\";\n\
             Dir::State::lists \"{}\";\n\
             Dir::State::status \"{}\";\n\
             Dir::Cache \"{}\";\n\
             Dir::Cache::archives \"{}\";\n\
             Dir::Cache::pkgcache \"\";\n\
             Dir::Cache::srcpkgcache \"\";\n\
             Dir::Etc::sourcelist \"/dev/null\";\n\
             Dir::Etc::sourceparts \"{}\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"{}\";\n",
            at(""),
            at("lists"),
            at("status"),
            at(""),
            at("archives"),
            at("sources"),
            at("preferences"),
        )
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.path().join("apt.conf")).args(arguments).current_dir(self.path().join("deb"));
        command
    }

    fn update(&self) -> Result<(), FetchError> {
        let mut command = self.command("apt-get", &["-q", "update"]);
        run("apt-get", "apt", &mut command).map(drop).map_err(|error| self.explain(error))
    }

    fn package(&self) -> Result<Package, FetchError> {
        let missing = || FetchError::NoPackage { suite: self.suite.clone(), uris: self.uris.clone() };
        let mut command = self.command("apt-cache", &["show", "--no-all-versions", "ipxe"]);
        let shown = run("apt-cache", "apt", &mut command).map_err(|_| missing())?;
        parse_package(&shown).ok_or_else(missing)
    }

    fn download(&self, package: &Package) -> Result<PathBuf, FetchError> {
        let wanted = format!("ipxe={}", package.version);
        let mut command = self.command("apt-get", &["-q", "download", &wanted]);
        run("apt-get", "apt", &mut command).map_err(|error| self.explain(error))?;
        let folder = self.path().join("deb");
        let is_deb = |name: &&String| name.ends_with(".deb");
        let name = list(&folder).map_err(in_folder(&folder))?.iter().find(is_deb).cloned();
        let deb = folder.join(name.ok_or_else(|| FetchError::Tool {
            program: "apt-get",
            said: "it reported success and downloaded nothing".to_owned(),
        })?);
        let sum = run("sha256sum", "coreutils", Command::new("sha256sum").arg(&deb))?;
        let found = sum.split_whitespace().next().unwrap_or_default().to_owned();
        if found == package.sha256 {
            Ok(deb)
        } else {
            Err(FetchError::WrongDigest { found, wanted: package.sha256.clone() })
        }
    }

    /// Turns what apt said into what it means.
    fn explain(&self, error: FetchError) -> FetchError {
        let FetchError::Tool { program, said } = error else { return error };
        let (suite, uris) = (self.suite.clone(), self.uris.clone());
        match trouble(&said) {
            Trouble::Untrusted => FetchError::Untrusted { suite, said: complaint(&said) },
            Trouble::NoSuite => FetchError::NoSuite { uris, suite, own: self.own_suite.clone() },
            Trouble::NoNetwork => FetchError::NoNetwork { uris, said: complaint(&said) },
            Trouble::Other => FetchError::Tool { program, said: complaint(&said) },
        }
    }

    /// Says where the files come from and where their source code is, as their licence wants.
    fn origin(&self, package: &Package) -> String {
        format!(
            "iPXE's binaries from the package ipxe {}, unpacked unchanged.\n\
             archive: {} {}\nsha256: {}\n\
             Licence: see the file copyright. Source code: `apt-get source ipxe={}` from the same archive.\n",
            package.version, self.uris, self.suite, package.sha256, package.version
        )
    }
}

fn parse_package(shown: &str) -> Option<Package> {
    let stanza = shown.split("\n\n").next()?;
    let field = |name| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
    Some(Package { version: field("Version")?, sha256: field("SHA256")? })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Untrusted,
    NoSuite,
    NoNetwork,
    Other,
}

/// What apt's English output means, the most telling sign first: a lost network also leaves a Release file missing.
fn trouble(said: &str) -> Trouble {
    const SIGNS: [(Trouble, &[&str]); 3] = [
        (
            Trouble::Untrusted,
            &[
                "NO_PUBKEY",
                "Missing key",
                "is not signed",
                "EXPKEYSIG",
                "signatures were invalid",
                "couldn't be verified",
            ],
        ),
        (
            Trouble::NoNetwork,
            &[
                "Could not resolve",
                "Temporary failure",
                "Could not connect",
                "Cannot initiate the connection",
                "Unable to connect",
                "Connection timed out",
                "Connection failed",
                "Network is unreachable",
                "Could not handshake",
                "407  Proxy",
            ],
        ),
        (Trouble::NoSuite, &["does not have a Release file", "404  Not Found", "File not found", "Failed to stat"]),
    ];
    let shows = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    SIGNS.iter().find(|(_, signs)| shows(signs)).map_or(Trouble::Other, |(trouble, _)| *trouble)
}

/// The lines in which apt complains, errors before warnings, a few at most.
fn complaint(said: &str) -> String {
    let lines = |start| said.lines().filter(move |line: &&str| line.starts_with(start));
    let lines: Vec<&str> = lines("E: ").chain(lines("W: ")).chain(lines("Err:")).take(4).collect();
    if lines.is_empty() { said.trim().to_owned() } else { lines.join("\n  ") }
}

/// Runs a program to its end and returns what it printed.
fn run(program: &'static str, package: &'static str, command: &mut Command) -> Result<String, FetchError> {
    // English, as the output is read; and never a question.
    command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output = command.output().map_err(|error| FetchError::NoTool { program, package, error })?;
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(FetchError::Tool { program, said: text(&output.stdout) + &text(&output.stderr) })
    }
}

#[cfg(test)]
mod tests;
