//! `lanboot dnsmasq`, also under the name `dnsmasq`: the same services behind dnsmasq's own command line and files.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::dnsmasq::lower::{self, Service};
use config::dnsmasq::options::Meaning;
use config::dnsmasq::{Dialect, Directives, Disk, table};
use config::{Diagnostics, Loaded, dnsmasq};
use journal::{Follower, Heard, Step};
use leases::{ClientId, ClientKey, Expiry, Grant, LeaseStore, State, UnixSecs};
use nix::unistd::{ForkResult, fork, pipe, setsid};

use crate::args::Log;
use crate::{problem, setup, up};

/// dnsmasq's exit codes: mistakes, and trouble with the network.
const BAD_CONFIGURATION: u8 = 1;
const NETWORK_TROUBLE: u8 = 2;
const PID_FILE: &str = "/run/dnsmasq.pid";
/// Leases that were given within this time share one writing of the lease file.
const GATHER: Duration = Duration::from_millis(100);

/// Runs with dnsmasq's arguments, without the program's name.
pub fn dnsmasq(args: &[OsString]) -> ExitCode {
    let directives = match Dialect::read(args, &Disk) {
        Ok(directives) => directives,
        Err(refusal) => {
            problem::print(&refusal.diagnostics);
            return ExitCode::from(refusal.exit_code);
        }
    };
    match directives.ask {
        dnsmasq::Ask::Run => run(&directives),
        dnsmasq::Ask::Test => test(&directives),
        dnsmasq::Ask::Version => {
            println!("lanboot {}, in the place of dnsmasq 2.90", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        dnsmasq::Ask::Help => {
            print!("{}", table::help());
            ExitCode::SUCCESS
        }
        dnsmasq::Ask::HelpDhcp => {
            for row in dhcp::v4::options::TABLE {
                println!("{:3} {}", row.code, row.name);
            }
            ExitCode::SUCCESS
        }
        dnsmasq::Ask::HelpDhcp6 => {
            println!("DHCPv6 is not served yet.");
            ExitCode::SUCCESS
        }
    }
}

fn test(directives: &Directives) -> ExitCode {
    let mut found = directives.warnings.clone();
    found.extend(lower::check(directives).0);
    problem::print(&found);
    if found.has_errors() {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    eprintln!("lanboot dnsmasq: no mistake found");
    ExitCode::SUCCESS
}

fn run(directives: &Directives) -> ExitCode {
    let around = setup::this_host();
    let (service, warnings) = match lower::lower(directives, &around) {
        Ok(lowered) => lowered,
        Err(found) => {
            problem::print(&directives.warnings);
            problem::print(&found);
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    problem::print(&directives.warnings);
    problem::print(&warnings);
    let stays = service.process.foreground || directives.list.iter().any(|d| d.meaning == Meaning::NoDaemon);
    if stays {
        return serve(service, None);
    }
    // Before any thread exists. The first process ends once the second one serves, as dnsmasq's does.
    let Ok((ready, tell)) = pipe() else { return ExitCode::from(NETWORK_TROUBLE) };
    // SAFETY: this process has one thread, so its copy may do everything that it could.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => {
            drop(tell);
            let mut code = [NETWORK_TROUBLE];
            // Without an answer the other process has ended, and said why.
            let _ = fs::File::from(ready).read_exact(&mut code);
            ExitCode::from(code[0])
        }
        Ok(ForkResult::Child) => {
            drop(ready);
            let _ = setsid();
            serve(service, Some(tell))
        }
        Err(error) => {
            problem::print(&problem::of(format!("cannot go into the background: {error}")).into());
            ExitCode::from(NETWORK_TROUBLE)
        }
    }
}

/// `tell`: where the process that waits in the foreground hears that we serve.
fn serve(service: Service, tell: Option<OwnedFd>) -> ExitCode {
    match try_serve(service, tell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(found) => {
            problem::print(&found);
            ExitCode::from(NETWORK_TROUBLE)
        }
    }
}

fn try_serve(service: Service, tell: Option<OwnedFd>) -> Result<(), Diagnostics> {
    let signals = up::block_signals()?;
    let Service { mut config, process } = service;
    setup::publish_ipxe(&mut config);
    let loaded = Loaded { config, warnings: Diagnostics::default(), said: config::Said::default() };
    let plan = up::plan(&loaded)?;
    up::Network::check(&loaded, &plan)?;
    up::make_state_dir(&loaded.config.state_dir)?;
    let journal = up::open_journal(&loaded.config)?;
    let mut store = up::open_store(&loaded.config, &journal)?;
    take_over(store.as_mut(), &process.lease_file)?;
    // dnsmasq does not look for others either.
    let network = up::Network::up(&loaded, &plan, true)?;
    let printing = match &tell {
        None => Some(up::print_journal(journal.follow(), Log::Text, Default::default())),
        Some(_) => None,
    };
    keep_lease_file(journal.follow(), loaded.config.state_dir.clone(), process.lease_file.clone());
    let (running, _) = up::serve(&loaded, network.applied.address, store, journal.clone())?;
    let pid_file = process.pid_file.unwrap_or_else(|| Some(PID_FILE.into()));
    write_pid_file(pid_file.as_deref())?;
    if let Some(tell) = tell {
        let _ = fs::File::from(tell).write_all(&[0]);
        let_go_of_the_terminal();
    }
    let _ = signals.wait();
    drop(running);
    network.down(&journal);
    write_lease_file(&loaded.config.state_dir, &process.lease_file);
    if let Some(path) = pid_file {
        let _ = fs::remove_file(path);
    }
    journal.flush(Duration::from_secs(2));
    drop(journal);
    if let Some(printing) = printing {
        let _ = printing.join();
    }
    Ok(())
}

fn write_pid_file(path: Option<&Path>) -> Result<(), Diagnostics> {
    let Some(path) = path else { return Ok(()) };
    if let Some(folder) = path.parent() {
        let _ = fs::create_dir_all(folder);
    }
    fs::write(path, format!("{}\n", process::id())).map_err(|error| {
        let what = format!("cannot write the pid file {}: {error}", path.display());
        problem::of(what).fix("name another with --pid-file=PATH, or none with --pid-file=").into()
    })
}

fn let_go_of_the_terminal() {
    let Ok(null) = fs::File::options().read(true).write(true).open("/dev/null") else { return };
    let _ = nix::unistd::dup2_stdin(&null);
    let _ = nix::unistd::dup2_stdout(&null);
    let _ = nix::unistd::dup2_stderr(&null);
}

fn now() -> UnixSecs {
    UnixSecs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Takes the leases of a dnsmasq that served before us, once: when we have none of our own yet.
fn take_over(store: &mut dyn LeaseStore, lease_file: &Path) -> Result<(), Diagnostics> {
    let text = fs::read_to_string(lease_file).unwrap_or_default();
    if !store.table().is_empty() || text.is_empty() {
        return Ok(());
    }
    let grants = text.lines().filter_map(grant).collect();
    store.commit(grants).map_err(problem::of)?;
    Ok(())
}

/// One line of dnsmasq's lease file: expiry, MAC, address, name, client identifier; `*` for none.
fn grant(line: &str) -> Option<Grant> {
    let mut fields = line.split_whitespace();
    let expires: u64 = fields.next()?.parse().ok()?;
    let mac: mac::Mac = fields.next()?.parse().ok()?;
    let address = fields.next()?.parse().ok()?;
    let hostname = fields.next().filter(|name| *name != "*").map(str::to_owned);
    let octets = |id: &str| id.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Option<Vec<u8>>>();
    let client_id = fields.next().and_then(octets).and_then(|id| ClientId::new(&id).ok());
    let left = expires.saturating_sub(now().0).min(u64::from(u32::MAX) - 1) as u32;
    let lease_secs = if expires == 0 { u32::MAX } else { left };
    (lease_secs > 0).then(|| Grant {
        address,
        key: ClientKey::Mac(mac),
        mac,
        client_id,
        hostname,
        lease_secs,
        now: now(),
    })
}

/// Writes the lease file behind what happens, in a thread of its own that ends with the journal.
fn keep_lease_file(follower: Follower, state_dir: PathBuf, lease_file: PathBuf) {
    let changes = |heard: &Heard| match heard {
        Heard::Event(event) => {
            matches!(event.step, Step::DhcpAck { .. } | Step::DhcpRelease { .. } | Step::DhcpDecline { .. })
        }
        Heard::Skipped(_) => true,
    };
    let keep = move || {
        write_lease_file(&state_dir, &lease_file);
        while let Ok(heard) = next(&follower) {
            if !heard.as_ref().is_some_and(changes) {
                continue;
            }
            thread::sleep(GATHER);
            while follower.try_next().is_some() {}
            write_lease_file(&state_dir, &lease_file);
        }
    };
    thread::Builder::new().name("lease-file".into()).spawn(keep).expect("a thread can be started");
}

/// The next event; `Ok(None)` after a while without one, an error when there will be none any more.
fn next(follower: &Follower) -> Result<Option<Heard>, ()> {
    match follower.next_within(Duration::from_secs(3600)) {
        Ok(heard) => Ok(Some(heard)),
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(()),
    }
}

/// Writes all leases that are not over, in dnsmasq's format; readers see the old file or the new one, never a part.
fn write_lease_file(state_dir: &Path, lease_file: &Path) {
    let Ok(table) = leases::read_only(state_dir) else { return };
    let mut text = String::new();
    for record in table.list().filter(|record| record.is_active(now())) {
        let State::Bound(binding) = &record.state else { continue };
        let expires = match binding.expires() {
            Expiry::At(end) => end.0,
            Expiry::Never => 0,
        };
        let name = binding.hostname.as_deref().unwrap_or("*");
        let octets =
            |id: &ClientId| id.octets().iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":");
        let id = binding.client_id.as_ref().map_or("*".into(), octets);
        text.push_str(&format!("{expires} {} {} {name} {id}\n", binding.mac, record.address));
    }
    if let Err(error) = replace(lease_file, &text) {
        eprintln!("lanboot dnsmasq: cannot write {}: {error}", lease_file.display());
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_lease_file_becomes_a_grant() {
        let end = now().0 + 1000;
        let grant = grant(&format!("{end} 52:54:00:00:00:01 10.0.1.200 db1 01:52:54:00:00:00:01")).unwrap();
        assert_eq!((grant.address.to_string().as_str(), grant.hostname.as_deref()), ("10.0.1.200", Some("db1")));
        assert!((999..=1000).contains(&grant.lease_secs));
        assert_eq!(grant.client_id.unwrap().octets(), [1, 0x52, 0x54, 0, 0, 0, 1]);
        assert_eq!(super::grant("0 52:54:00:00:00:01 10.0.1.200 * *").unwrap().lease_secs, u32::MAX);
        assert_eq!(super::grant("100 52:54:00:00:00:01 10.0.1.200 * *"), None, "it is over");
        assert_eq!(super::grant("duid 00:01"), None);
    }
}
