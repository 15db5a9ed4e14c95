//! What the dialect needs of the computer it is read on: files, folders, and the output of `conf-script`.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// More than any configuration has; what is longer is a mistake, such as a device.
const MAX_OCTETS: u64 = 64 << 20;

/// The computer, narrow enough to be imagined in a test.
pub trait FileSystem {
    /// What the file holds; `-` is standard input.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of the regular files in a folder, links followed, in any order.
    fn files(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// A path that is the same for all names of one file.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// Runs a shell command. Returns what it writes to its standard output, and whether it succeeded.
    fn run(&self, command: &str) -> io::Result<(Vec<u8>, bool)>;
}

/// This computer.
pub struct Disk;

impl FileSystem for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("-") { limited(io::stdin()) } else { limited(std::fs::File::open(path)?) }
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in folder.read_dir()? {
            let entry = entry?;
            if entry.path().metadata().is_ok_and(|metadata| metadata.is_file()) {
                names.push(entry.file_name());
            }
        }
        Ok(names)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn run(&self, command: &str) -> io::Result<(Vec<u8>, bool)> {
        let shell = Command::new("sh").arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = shell?;
        let output = limited(child.stdout.take().expect("its standard output is a pipe"));
        let status = child.wait()?;
        Ok((output?, status.success()))
    }
}

fn limited(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    reader.take(MAX_OCTETS + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_OCTETS {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {} MiB", MAX_OCTETS >> 20)));
    }
    Ok(octets)
}
