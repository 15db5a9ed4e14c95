//! The dnsmasq dialect: dnsmasq's own command line and files, read into typed directives with their places.
//!
//! [`table`] lists every option; [`options`] has what each one means, by family. [`Dialect::read`] follows the files
//! that are named and returns all directives in the order in which dnsmasq acts on them, or every mistake at once.
//! What the directives come to together is for whoever lowers them to decide.

mod files;
mod import;
mod lint;
mod lists;
mod live;
pub mod lower;
pub mod options;
mod reader;
mod syntax;
pub mod table;
mod text;

use std::ffi::OsString;
use std::sync::Arc;

use crate::diagnostic::{Diagnostics, Place, TextFile};

pub use files::{Disk, FileSystem};
pub use import::{Imported, import};
pub use lint::lint;
pub use lists::{ethers, hosts_file, options_file};
pub use live::{Lists, Reading};
pub use options::Meaning;
pub use text::Text;

/// Where dnsmasq looks for its configuration when it is told nothing else.
pub const DEFAULT_FILE: &str = "/etc/dnsmasq.conf";

/// One use of an option.
#[derive(Clone, Debug)]
pub struct Directive {
    pub row: &'static table::Row,
    pub meaning: Meaning,
    /// The line or the flag.
    pub place: Place,
}

/// All that was said.
#[derive(Debug, Default)]
pub struct Directives {
    pub ask: Ask,
    /// In the order in which they count. An option of which only one may be given is there once at most.
    pub list: Vec<Directive>,
    /// What is worth knowing, and no mistake.
    pub warnings: Diagnostics,
    /// Every file that was read, in order.
    pub sources: Vec<Arc<TextFile>>,
}

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    #[default]
    Run,
    /// `--test`: say whether there is a mistake.
    Test,
    Version,
    Help,
    /// `--help dhcp`: the names of DHCP options.
    HelpDhcp,
    /// `--help dhcp6`
    HelpDhcp6,
}

/// Why the program cannot start.
#[derive(Debug)]
pub struct Refusal {
    /// Mistakes in the order in which they were met, and the warnings among them.
    pub diagnostics: Diagnostics,
    /// dnsmasq's exit code for the first mistake: 1 for the configuration, 3 for a file that cannot be read, 10 for a
    /// `conf-script` that fails.
    pub exit_code: u8,
}

/// The dialect.
pub struct Dialect;

impl Dialect {
    /// Reads a command line, without the program's name, and the files that it leads to.
    ///
    /// The order is dnsmasq's: first the command line, each `conf-dir` and `conf-script` in its place, then the files
    /// of `conf-file`, the last first, or [`DEFAULT_FILE`] if none was named. Files within files are read where they
    /// are named. No file is read twice.
    ///
    /// # Errors
    /// [`Refusal`] with every mistake in the command line and in all files that could be read.
    pub fn read(args: &[OsString], files: &dyn FileSystem) -> Result<Directives, Refusal> {
        reader::read(args, files)
    }

    /// As [`Dialect::read`], but returns what could be read whatever else was wrong.
    pub fn read_all(args: &[OsString], files: &dyn FileSystem) -> (Directives, Diagnostics) {
        reader::read_all(args, files)
    }
}
