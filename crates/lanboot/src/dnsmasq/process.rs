//! The life of the process: everything opened as root, the user changed, service begun, signals answered, all taken away.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use config::dnsmasq::Directives;
use config::dnsmasq::lower::{self, Process, Service};
use config::dnsmasq::options::Meaning;
use config::{Config, Diagnostic, Diagnostics, Dns, Loaded, Place, Severity, Source};
use dns::resolver::Statistics;
use leases::MemoryStore;
use nix::fcntl::OFlag;
use nix::libc::mode_t;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, chdir, fork, pipe2, setsid};
use server::dhcp::Order;
use server::dns::{DnsService, Order as DnsOrder};
use server::dns_log::{DnsLog, dns_log};

use super::book::{Book, Domains, Terms};
use super::keeper::{self, Keeper, Note};
use super::lease_file::{self, LeaseFile, TakenOver};
use super::lines::{self, Level, Line, Lines, Part};
use super::live::Live;
use super::log::{Log, Logger};
use super::names::NameLines;
use super::privileges::Identity;
use super::script::Script;
use super::signals::{Control, Reload, Signals};
use super::{BAD_CONFIGURATION, FILE_TROUBLE, NETWORK_TROUBLE, OTHER_TROUBLE, links};
use crate::names::Names;
use crate::{problem, setup, up};

const PID_FILE: &str = "/run/dnsmasq.pid";
const UMASK: mode_t = 0o022;

/// What kept us from serving, and the exit code for it.
struct Failure {
    found: Diagnostics,
    code: u8,
}

/// Gives the code that goes with a kind of trouble.
fn code(code: u8) -> impl Fn(Diagnostics) -> Failure {
    move |found| Failure { found, code }
}

/// Says what kept us from starting: in full to whoever started us, in a line each to syslog.
pub fn fail(found: &Diagnostics) {
    problem::print(found);
    let mut log = Log::to_syslog();
    for wrong in found.iter().filter(|found| found.severity == Severity::Error) {
        log.write(&Line::new(Level::Critical, Part::Main, one_line(wrong)));
    }
    log.write(&Line::new(Level::Critical, Part::Main, "FAILED to start up"));
}

/// What, and where where that is in a file: a log has no room for excerpts.
fn one_line(found: &Diagnostic) -> String {
    let what = found.what.replace('\n', " ");
    match &found.place {
        place @ Place::File { .. } => format!("{place}: {what}"),
        _ => what,
    }
}

/// Serves until a signal ends it; in the background, unless the options say otherwise.
pub fn run(directives: Directives) -> ExitCode {
    let (live, mut warnings) = Live::read(directives);
    let service = match live.lower() {
        Ok((service, found)) => {
            warnings.extend(found);
            service
        }
        Err(found) => {
            problem::print(&live.directives().warnings);
            fail(&found);
            return ExitCode::from(lowering_code(live.directives(), &found));
        }
    };
    warnings.extend(live.directives().warnings.iter().cloned());
    problem::print(&warnings);
    umask(Mode::from_bits_truncate(UMASK));
    if service.process.foreground || service.process.debug {
        return serve(service, live, &warnings, None);
    }
    // Before any thread exists. The first process ends once the second one serves, as dnsmasq's does.
    let Ok((ready, tell)) = pipe2(OFlag::O_CLOEXEC) else { return ExitCode::from(OTHER_TROUBLE) };
    // SAFETY: this process has one thread, so its copy may do everything that it could.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => {
            drop(tell);
            let mut code = [OTHER_TROUBLE];
            // Without an answer the other process has ended, and said why.
            let _ = fs::File::from(ready).read_exact(&mut code);
            ExitCode::from(code[0])
        }
        Ok(ForkResult::Child) => {
            drop(ready);
            let _ = setsid();
            serve(service, live, &warnings, Some(tell))
        }
        Err(error) => {
            fail(&problem::of(format!("cannot go into the background: {error}")).into());
            ExitCode::from(OTHER_TROUBLE)
        }
    }
}

/// What does not show without a look at the host is the host's: its folders or its network.
fn lowering_code(directives: &Directives, found: &Diagnostics) -> u8 {
    let roots: Vec<_> = directives.list.iter().filter(|d| matches!(d.meaning, Meaning::TftpRoot(_))).collect();
    let mut errors = found.iter().filter(|found| found.severity == Severity::Error);
    if lower::check(directives).has_errors() {
        BAD_CONFIGURATION
    } else if errors.all(|error| roots.iter().any(|root| root.place == error.place)) {
        FILE_TROUBLE
    } else {
        NETWORK_TROUBLE
    }
}

/// `tell`: where the process that waits in the foreground hears our exit code, 0 once we serve.
fn serve(service: Service, live: Live, warnings: &Diagnostics, tell: Option<OwnedFd>) -> ExitCode {
    let mut tell = tell.map(fs::File::from);
    match try_serve(service, live, warnings, &mut tell) {
        Ok(code) => ExitCode::from(code),
        Err(Failure { found, code }) => {
            fail(&found);
            if let Some(mut tell) = tell {
                let _ = tell.write_all(&[code]);
            }
            ExitCode::from(code)
        }
    }
}

fn try_serve(service: Service, live: Live, warnings: &Diagnostics, tell: &mut Option<fs::File>) -> Result<u8, Failure> {
    let signals = Signals::block(service.process.debug).map_err(code(OTHER_TROUBLE))?;
    let Service { mut config, mut process, script: said, later } = service;
    settle_paths(&mut config, &mut process).map_err(code(FILE_TROUBLE))?;
    let becomes = Identity::of(&process).map_err(code(BAD_CONFIGURATION))?;
    // As root, while this is the only thread, and before there are sockets that it would inherit.
    let script = said.path.as_deref().map(|path| Script::new(path, said.user.as_deref(), process.debug)).transpose();
    let script = script.map_err(|(found, code)| Failure { found, code })?;
    let kept_by_script = match &script {
        Some(script) if said.keeps_leases => script.init().map_err(|(found, code)| Failure { found, code })?,
        _ => String::new(),
    };
    let lease_file = (!said.keeps_leases).then(|| LeaseFile::open(&process.lease_file)).transpose();
    let lease_file = lease_file.map_err(code(FILE_TROUBLE))?;
    let helper = script.map(Script::helper).transpose().map_err(|error| no_process(&error))?;
    check_folders(&config).map_err(code(FILE_TROUBLE))?;
    setup::publish_ipxe(&mut config);
    let loaded = Loaded { config, warnings: Diagnostics::default(), said: config::Said::default() };
    let config = &loaded.config;
    let plan = up::plan(&loaded).map_err(code(NETWORK_TROUBLE))?;
    up::Network::check(&loaded, &plan).map_err(code(NETWORK_TROUBLE))?;
    up::make_state_dir(&config.state_dir).map_err(code(FILE_TROUBLE))?;
    // dnsmasq does not look for others either.
    let network = up::Network::up(&loaded, &plan, up::Rivals::Ignored).map_err(code(NETWORK_TROUBLE))?;
    let mut bound = up::bind(&loaded, network.applied.address).map_err(code(NETWORK_TROUBLE))?;
    if !process.debug {
        let _ = chdir("/");
    }
    let pid_file = PidFile::write(&process, becomes.as_ref()).map_err(code(FILE_TROUBLE))?;
    let log = Log::open(&process, becomes.as_ref()).map_err(|error| code(FILE_TROUBLE)(no_log(&process, &error)))?;
    if let Some(becomes) = becomes {
        becomes.own_folder(&config.state_dir).map_err(|error| code(FILE_TROUBLE)(problem::of(error).into()))?;
        becomes.assume(later.is_open()).map_err(code(OTHER_TROUBLE))?;
        check_folders(config).map_err(code(FILE_TROUBLE))?;
    }
    let journal = up::open_journal(config).map_err(code(FILE_TROUBLE))?;
    let mut store = match said.keeps_leases {
        true => Box::new(MemoryStore::default()),
        false => up::open_store(config, &journal).map_err(code(FILE_TROUBLE))?,
    };
    let taken = match &lease_file {
        Some(file) => file.take_over(store.as_mut(), keeper::now()),
        None => lease_file::take_over(&kept_by_script, Path::new("init"), store.as_mut(), keeper::now()),
    };
    let taken = taken.map_err(code(FILE_TROUBLE))?;
    let to_terminal = log.uses_standard_error();
    let lines = lines_of(config, &process);
    let started = lines::started(config, &lines);
    let logger = Logger::new(log, lines.clone());
    logger.write(&started);
    logger.write(
        &warnings
            .iter()
            .chain(taken.found.iter())
            .map(|found| Line::new(Level::Warning, Part::Main, one_line(found)))
            .collect::<Vec<_>>(),
    );
    let no_thread = |error: io::Error| code(OTHER_TROUBLE)(problem::of(format!("cannot start: {error}")).into());
    let logging = logger.follow(journal.follow()).map_err(no_thread)?;
    let book = book(&said, config, &process, taken);
    let keeper = Keeper::start(book, lease_file, helper, logger.clone()).map_err(no_thread)?;
    let notes = keeper.notes();
    keeper::tell_of_files(journal.follow(), lines, notes.clone()).map_err(no_thread)?;
    if said.arp {
        keeper::tell_of_neighbours(notes.clone()).map_err(no_thread)?;
    }
    let watching = notes.clone();
    let watcher = Box::new(move |change| watching.tell(Note::Lease(change)));
    bound.order(Order::Watch { in_detail: true, watcher });
    let (logging_names, names) = match &config.dns {
        Some(dns) => {
            let (logging, log) = log_names(dns, &process, &logger).map_err(no_thread)?;
            let us = config.served.iter().find_map(|served| Some(served.addresses.first()?.addr()));
            (Some(logging), Some(Names::prepare(&mut bound, dns, us, Some(log))))
        }
        None => (None, None),
    };
    let (running, _) = up::start(bound, store, journal.clone()).map_err(code(NETWORK_TROUBLE))?;
    let names = names.zip(running.dns.as_ref()).map(|(names, dns)| {
        let choose = later.dns_is_open().then(|| links::dns_places(&later));
        names.follow(dns.orders(), choose)
    });
    let names = names.transpose().map_err(no_thread)?;
    if let Some(dhcp) = &running.dhcp {
        links::follow(later, config, dhcp.orders()).map_err(no_thread)?;
    }
    if let Some(mut tell) = tell.take() {
        let _ = tell.write_all(&[0]);
        let_go_of_the_terminal(to_terminal);
    }
    // Whatever has files to read again on SIGHUP comes in here.
    let lists = live.serve(&running, logger.clone()).map_err(no_thread)?;
    let mut reloads: Vec<Box<dyn Reload>> = vec![Box::new(lists)];
    reloads.extend(names.map(|names| Box::new(names) as Box<dyn Reload>));
    reloads.push(Box::new(notes));
    let ended_by = attend(&signals, &logger, reloads, || {
        let names = running.dns.as_ref().and_then(figures);
        logger.statistics(keeper.active(), names.as_ref(), config);
    });
    drop(running);
    network.down(&journal);
    journal.flush(Duration::from_secs(2));
    drop(journal);
    let _ = logging.join();
    if let Some(logging) = logging_names {
        let _ = logging.join();
    }
    keeper.end();
    logger.write(&[Line::info(Part::Main, format!("exiting on receipt of {ended_by}"))]);
    drop(pid_file);
    Ok(if ended_by == Signal::SIGINT { OTHER_TROUBLE } else { 0 })
}

/// Says who answers for which names, and logs what is asked of the DNS service.
fn log_names(dns: &Dns, process: &Process, logger: &Logger) -> io::Result<(JoinHandle<()>, DnsLog)> {
    let lines = NameLines::new(dns, process);
    logger.write(&lines.servers(&[]));
    let (log, notes) = dns_log();
    Ok((logger.follow_names(notes, lines)?, log))
}

/// What the DNS service has counted; `None`: it has no time to say.
fn figures(service: &DnsService) -> Option<Statistics> {
    let (tell, told) = mpsc::channel();
    service.orders().give(DnsOrder::Statistics(tell));
    told.recv_timeout(Duration::from_secs(1)).ok()
}

/// The book of leases, with what a dnsmasq before us left to be told.
fn book(said: &lower::Script, config: &Config, process: &Process, taken: TakenOver) -> Book {
    let networks =
        config.served.iter().flat_map(|served| served.addresses.iter().map(|net| (*net, served.interface.clone())));
    let mut book = Book::new(Terms {
        has_script: said.path.is_some(),
        on_renewal: said.on_renewal,
        keeps_leases: said.keeps_leases,
        log_dhcp: process.log_dhcp,
        domains: config.dhcp.as_ref().map_or(Domains::default(), |dhcp| Domains {
            some: dhcp.manners.domains.clone(),
            all: dhcp.domain.clone(),
        }),
        names_with_domains: config.dhcp.as_ref().is_some_and(|dhcp| dhcp.manners.names_with_domains),
        networks: networks.collect(),
    });
    taken.ran_out.iter().for_each(|record| book.ran_out(record));
    book
}

fn no_process(error: &io::Error) -> Failure {
    code(OTHER_TROUBLE)(problem::of(format!("cannot make a process for the script: {error}")).into())
}

/// Does what signals ask for until one ends it.
fn attend(signals: &Signals, logger: &Logger, mut reloads: Vec<Box<dyn Reload>>, statistics: impl Fn()) -> Signal {
    loop {
        match signals.next() {
            Control::Reload => reloads.iter_mut().for_each(|reload| logger.write(&reloaded(reload.reload()))),
            Control::Statistics => statistics(),
            Control::ReopenLog => logger.reopen(),
            Control::Stop(signal) => return signal,
        }
    }
}

fn reloaded(result: Result<Vec<String>, Diagnostics>) -> Vec<Line> {
    match result {
        Ok(read) => read.into_iter().map(|text| Line::info(Part::Dhcp, text)).collect(),
        Err(found) => found.iter().map(|found| Line::new(Level::Error, Part::Dhcp, found.to_string())).collect(),
    }
}

/// The files that we serve and keep are meant from where we were started, which we leave.
fn settle_paths(config: &mut Config, process: &mut Process) -> Result<(), Diagnostics> {
    let absolute = |path: &Path| -> Result<PathBuf, Diagnostics> {
        std::path::absolute(path).map_err(|error| problem::of(format!("{}: {error}", path.display())).into())
    };
    process.lease_file = absolute(&process.lease_file)?;
    config.state_dir = absolute(&config.state_dir)?;
    for publish in &mut config.publish {
        if let Source::Folder(folder) = &mut publish.source {
            *folder = absolute(folder)?;
        }
    }
    for root in config.tftp.iter_mut().flat_map(|tftp| &mut tftp.roots) {
        root.folder = absolute(&root.folder)?;
    }
    Ok(())
}

/// Folders that are to be served must be there.
fn check_folders(config: &Config) -> Result<(), Diagnostics> {
    let folders = config.publish.iter().filter_map(|publish| match &publish.source {
        Source::Folder(folder) => Some(folder),
        _ => None,
    });
    let wrong = folders.filter_map(|folder| {
        let error = fs::read_dir(folder).err()?;
        let what = format!("TFTP directory {} inaccessible: {error}", folder.display());
        let fix = match error.kind() {
            // Asked again once we are another user.
            io::ErrorKind::PermissionDenied => {
                "let the user that we run as (--user=NAME) into it and all folders above"
            }
            _ => "name a folder that exists with --tftp-root=FOLDER or --http-root=FOLDER",
        };
        Some(problem::of(what).fix(fix))
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(Diagnostics(wrong)) }
}

fn lines_of(config: &Config, process: &Process) -> Lines {
    let root = config.publish.iter().find_map(|publish| match &publish.source {
        Source::Folder(folder) => Some(folder.clone()),
        _ => None,
    });
    Lines {
        interface: config.network.link.name().to_owned(),
        tftp_root: root.clone().filter(|_| config.tftp.is_some()),
        http_root: root,
        quiet_dhcp: process.quiet_dhcp,
        quiet_tftp: process.quiet_tftp,
        log_dhcp: process.log_dhcp,
    }
}

fn no_log(process: &Process, error: &io::Error) -> Diagnostics {
    use config::dnsmasq::options::process::LogTo;
    let path = match &process.log_to {
        Some(LogTo::File(path)) => path.as_path(),
        _ => Path::new("-"),
    };
    let what = format!("cannot open log {}: {error}", path.display());
    problem::of(what).fix("name a file in a folder that exists: --log-facility=/PATH").into()
}

/// The pid file; taken away with the value, where the user that we run as may do so.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(process: &Process, becomes: Option<&Identity>) -> Result<PidFile, Diagnostics> {
        let path = process.pid_file.clone().unwrap_or_else(|| Some(PID_FILE.into())).filter(|_| !process.debug);
        let Some(path) = path else { return Ok(PidFile(None)) };
        let write = || -> io::Result<()> {
            // Not through a link, nor into a file that somebody else keeps open.
            let _ = fs::remove_file(&path);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
            writeln!(file, "{}", process::id())?;
            becomes.map_or(Ok(()), |becomes| becomes.own(&file))
        };
        write().map_err(|error| -> Diagnostics {
            let what = format!("failed to open pidfile {}: {error}", path.display());
            problem::of(what).fix("name another with --pid-file=PATH, or none with --pid-file=").into()
        })?;
        Ok(PidFile(Some(path)))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

pub fn let_go_of_the_terminal(keep_errors: bool) {
    let Ok(null) = fs::File::options().read(true).write(true).open("/dev/null") else { return };
    let _ = nix::unistd::dup2_stdin(&null);
    let _ = nix::unistd::dup2_stdout(&null);
    if !keep_errors {
        let _ = nix::unistd::dup2_stderr(&null);
    }
}
