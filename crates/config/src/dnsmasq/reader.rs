//! Follows the command line through the files that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dns::Name;

use super::live::is_left_out;
use super::lower;
use super::options::Said;
use super::options::dns::DnsOption;
use super::syntax::{self, Named};
use super::table::Repeats;
use super::text::Text;
use super::{Ask, DEFAULT_FILE, Directive, Directives, FileSystem, Meaning, Refusal};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity, TextFile};

/// Files within files within files: deeper than anybody nests them on purpose. Scripts that print `conf-script` have
/// no other end.
const MAX_DEPTH: usize = 20;
/// More than anybody runs on purpose; a few scripts that print each other's names twice come to thousands.
const MAX_SCRIPTS: usize = 200;

/// dnsmasq's exit codes.
const EXIT_CONFIGURATION: u8 = 1;
const EXIT_FILE: u8 = 3;
/// The manual says 10 more than the script's own code; 2.90 exits with 10 whatever that was.
const EXIT_SCRIPT: u8 = 10;

pub(super) fn read(args: &[OsString], files: &dyn FileSystem) -> Result<Directives, Refusal> {
    let (mut directives, mut found, exit_code) = whole(args, files);
    if found.has_errors() {
        // Who mends these should not learn of more only then.
        found.extend(lower::check(&directives).0);
        return Err(Refusal { diagnostics: found, exit_code });
    }
    directives.warnings = found;
    Ok(directives)
}

pub(super) fn read_all(args: &[OsString], files: &dyn FileSystem) -> (Directives, Diagnostics) {
    let (directives, found, _) = whole(args, files);
    (directives, found)
}

fn whole(args: &[OsString], files: &dyn FileSystem) -> (Directives, Diagnostics, u8) {
    let mut reader = Reader {
        files,
        found: Diagnostics::default(),
        exit_code: 0,
        directives: Directives::default(),
        seen: BTreeSet::new(),
        once: BTreeMap::new(),
        depth: 0,
        scripts: 0,
        is_endless: false,
    };
    reader.all(args);
    reader.files_overrule();
    reader.check_whole();
    (reader.directives, reader.found, reader.exit_code)
}

struct Reader<'a> {
    files: &'a dyn FileSystem,
    found: Diagnostics,
    /// For the first mistake; 0: none yet.
    exit_code: u8,
    directives: Directives,
    /// Files that were read.
    seen: BTreeSet<PathBuf>,
    /// Where options were given that may be given once, by name and by whether in a file.
    once: BTreeMap<(&'static str, bool), Place>,
    depth: usize,
    /// Scripts that were run.
    scripts: usize,
    /// What is read includes itself: no use to read on.
    is_endless: bool,
}

impl Reader<'_> {
    fn all(&mut self, args: &[OsString]) {
        let mut mistakes = Diagnostics::default();
        let named = syntax::command_line(args, &mut mistakes);
        self.mistakes(mistakes, EXIT_CONFIGURATION);
        let mut conf_files = Vec::new();
        for option in named {
            match (option.row.name, &option.value) {
                ("help", topic) => self.ask(match topic.as_ref().map(Text::as_str) {
                    Some("dhcp") => Ask::HelpDhcp,
                    Some("dhcp6") => Ask::HelpDhcp6,
                    _ => Ask::Help,
                }),
                ("version", _) => self.ask(Ask::Version),
                ("test", _) => self.ask(Ask::Test),
                ("conf-file", _) => conf_files.push((option.value, option.place)),
                _ => self.option(option, false),
            }
            if !matches!(self.directives.ask, Ask::Run | Ask::Test) {
                return;
            }
        }
        if conf_files.is_empty() {
            return self.default_file();
        }
        for (path, place) in conf_files.into_iter().rev() {
            if let Some(path) = path.filter(|path| !path.is_empty()) {
                self.file(Path::new(path.as_str()), &place);
            }
        }
    }

    /// The first request to print something is the one that counts; a test may yet become one.
    fn ask(&mut self, ask: Ask) {
        if matches!(self.directives.ask, Ask::Run | Ask::Test) {
            self.directives.ask = ask;
        }
    }

    fn mistake(&mut self, wrong: Diagnostic, exit_code: u8) {
        if self.exit_code == 0 && wrong.severity == Severity::Error {
            self.exit_code = exit_code;
        }
        self.found.push(wrong);
    }

    fn mistakes(&mut self, all: Diagnostics, exit_code: u8) {
        for wrong in all {
            self.mistake(wrong, exit_code);
        }
    }

    /// The default file may be missing.
    fn default_file(&mut self) {
        let path = Path::new(DEFAULT_FILE);
        match self.files.canonical(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => self.file(path, &Place::Host),
        }
    }

    fn file(&mut self, path: &Path, place: &Place) {
        let is_input = path == Path::new("-");
        let cannot = |error: io::Error| {
            let what = format!("cannot read {}: {error}", path.display());
            Diagnostic::error(what).at(place.clone()).fix("name a file that exists and may be read")
        };
        let canonical = if is_input { Ok(path.to_owned()) } else { self.files.canonical(path) };
        let octets = match canonical.map(|canonical| self.seen.insert(canonical)) {
            Ok(true) => self.files.read(path),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        match octets {
            Ok(octets) => {
                let name = if is_input { Path::new("standard input") } else { path };
                self.text(&TextFile::new(name, String::from_utf8_lossy(&octets)), place);
            }
            Err(error) => self.mistake(cannot(error), EXIT_FILE),
        }
    }

    fn text(&mut self, source: &Arc<TextFile>, place: &Place) {
        if self.depth == MAX_DEPTH {
            return self.endless(format!("files are nested more than {MAX_DEPTH} deep"), place);
        }
        self.depth += 1;
        self.directives.sources.push(source.clone());
        for line in syntax::lines(source) {
            if self.is_endless {
                break;
            }
            match line.and_then(|line| syntax::option(&line)) {
                Ok(option) => self.option(option, true),
                Err(wrong) => self.mistake(wrong, EXIT_CONFIGURATION),
            }
        }
        self.depth -= 1;
    }

    fn endless(&mut self, what: String, place: &Place) {
        self.is_endless = true;
        let wrong = Diagnostic::error(what).at(place.clone()).fix("take out what includes itself");
        self.mistake(wrong, EXIT_CONFIGURATION);
    }

    fn option(&mut self, option: Named, in_file: bool) {
        let Named { row, value, place } = option;
        if row.repeats == Repeats::Once && self.is_repeated(row.name, in_file, &place) {
            return;
        }
        let path = value.as_ref().filter(|value| !value.is_empty());
        match (row.name, path) {
            ("conf-file", Some(path)) => self.file(Path::new(path.as_str()), path.place()),
            ("conf-dir", Some(folder)) => self.folder(folder),
            ("conf-script", Some(command)) => self.script(command),
            _ => {
                let mut notes = Diagnostics::default();
                let read = row.read(&mut Said { row, value, place: &place, notes: &mut notes });
                self.mistakes(notes, EXIT_CONFIGURATION);
                match read {
                    Ok(Meaning::Nothing) => {}
                    Ok(meaning) => self.directives.list.push(Directive { row, meaning, place }),
                    Err(wrong) => self.mistake(wrong, EXIT_CONFIGURATION),
                }
            }
        }
    }

    fn is_repeated(&mut self, name: &'static str, in_file: bool, place: &Place) -> bool {
        let Some(first) = self.once.insert((name, in_file), place.clone()) else { return false };
        let wrong = Diagnostic::error(format!("`{name}` is given twice")).at(place.clone());
        self.mistake(wrong.also(first, "the first").fix("keep one of the two"), EXIT_CONFIGURATION);
        true
    }

    /// Drops from the command line what a file gives too and may be given only once.
    fn files_overrule(&mut self) {
        let once = &self.once;
        self.directives.list.retain(|directive| {
            let overruled = matches!(directive.place, Place::Flag(_)) && once.contains_key(&(directive.row.name, true));
            !(directive.row.repeats == Repeats::Once && overruled)
        });
    }

    /// The files of a folder, but those that end in a suffix; with `*` before suffixes, only those that end in one.
    fn folder(&mut self, value: &Text) {
        let mut fields = value.split(',');
        let folder = fields.remove(0);
        let suffixes = fields.iter().map(Text::as_str).filter(|suffix| !suffix.is_empty());
        let (wanted, unwanted): (Vec<_>, Vec<_>) = suffixes.partition(|suffix| suffix.starts_with('*'));
        let path = Path::new(folder.as_str());
        let mut names = match self.files.files(path) {
            Ok(names) => names,
            Err(error) => {
                let wrong = folder.wrong(format!("cannot read the folder {folder}: {error}"), "name one that exists");
                return self.mistake(wrong, EXIT_FILE);
            }
        };
        names.sort();
        let ends = |name: &str, suffix: &str| name.len() > suffix.len() && name.ends_with(suffix);
        for name in names {
            let text = name.to_string_lossy();
            let is_wanted = wanted.is_empty() || wanted.iter().any(|suffix| ends(&text, &suffix[1..]));
            if !is_left_out(&text) && is_wanted && !unwanted.iter().any(|suffix| ends(&text, suffix)) {
                self.file(&path.join(&name), folder.place());
            }
        }
    }

    fn script(&mut self, command: &Text) {
        if self.depth == MAX_DEPTH {
            // Not run for nothing.
            return self.text(&TextFile::new("", ""), command.place());
        }
        if self.scripts == MAX_SCRIPTS {
            return self.endless(format!("more than {MAX_SCRIPTS} commands are to be run"), command.place());
        }
        self.scripts += 1;
        let what = match self.files.run(command.as_str()) {
            Ok((output, true)) => {
                let source = TextFile::new(format!("output of {command}"), String::from_utf8_lossy(&output));
                return self.text(&source, command.place());
            }
            Ok((_, false)) => format!("the command `{command}` failed"),
            Err(error) => format!("cannot run `{command}`: {error}"),
        };
        self.mistake(command.wrong(what, "run it by hand to see why"), EXIT_SCRIPT);
    }

    /// What one directive alone cannot tell.
    fn check_whole(&mut self) {
        let mut wrong = Vec::new();
        let mut hosts: BTreeMap<Ipv4Addr, &Place> = BTreeMap::new();
        for directive in &self.directives.list {
            let Meaning::DhcpHost(host) = &directive.meaning else { continue };
            let Some(address) = &host.address else { continue };
            if let Some(first) = hosts.insert(address.value, &address.place) {
                let what = format!("two machines are to have the address {}", address.value);
                let twice = Diagnostic::error(what).at(address.place.clone()).also(first.clone(), "the first");
                wrong.push(twice.fix("give each an address of its own; one line may hold several MACs"));
            }
        }
        wrong.extend(aliases(&self.directives.list));
        let has = |wanted: fn(&Meaning) -> bool| self.directives.list.iter().find(|said| wanted(&said.meaning));
        if let Some(fqdn) = has(|meaning| *meaning == Meaning::DhcpFqdn)
            && has(|meaning| matches!(meaning, Meaning::Domain(domain) if domain.is_for_all())).is_none()
        {
            let what = "`dhcp-fqdn` needs a domain that all machines have";
            wrong.push(Diagnostic::error(what).at(fqdn.place.clone()).fix("add domain=example.org, with your own"));
        }
        for wrong in wrong {
            self.mistake(wrong, EXIT_CONFIGURATION);
        }
    }
}

/// Names that are another one's twice, or their own in the end.
fn aliases(list: &[Directive]) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    let mut targets: BTreeMap<&Name, &Name> = BTreeMap::new();
    let mut places: BTreeMap<&Name, &Place> = BTreeMap::new();
    for directive in list {
        let Meaning::Dns(option) = &directive.meaning else { continue };
        let DnsOption::Cname(cname) = &**option else { continue };
        for alias in &cname.aliases {
            if let Some(first) = places.insert(&alias.value, &alias.place) {
                let what = format!("`{}` is made another name's alias again", alias.value);
                let twice = Diagnostic::error(what).at(alias.place.clone()).also(first.clone(), "the first");
                wrong.push(twice.fix("keep one of the two: a name is an alias of one other"));
                continue;
            }
            targets.insert(&alias.value, &cname.target);
            let mut steps = std::iter::successors(Some(&cname.target), |name| targets.get(*name).copied());
            if steps.any(|name| *name == alias.value) {
                let what = format!("`{}` is an alias of itself in the end", alias.value);
                let fix = "let it lead to a name that has an address here";
                wrong.push(Diagnostic::error(what).at(alias.place.clone()).fix(fix));
                targets.remove(&alias.value);
            }
        }
    }
    wrong
}
