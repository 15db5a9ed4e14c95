//! `lanboot up` and `lanboot down`: the network made, served, and put back.

use std::collections::HashMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use config::{Config, Diagnostic, Diagnostics, Loaded};
use host::{Action, Plan, PlanError, Undone};
use ipnet::Ipv4Net;
use journal::{Follower, Journal, Step, Style, Terminal};
use leases::{EmbeddedStore, LeaseStore, MemoryStore, PostgresStore};
use mac::Mac;
use nix::sys::signal::{SigSet, Signal};
use server::net::{Interface, OpenError};
use server::{Bound, Link, Running, rival};

use crate::args::{Down, Log, Up};
use crate::names::Names;
use crate::{Outcome, problem, query_log, setup, summary};

/// Clocks that are further apart than this are worth a word: what lanboot says of times is off by as much.
const MOST_SECS_APART: i64 = 10;

/// Sets up the network and serves it until a signal of [`block_signals`] comes; then puts everything back.
pub fn up(args: &Up) -> Outcome {
    // Blocked before any thread exists, so that a signal is waited for and never cuts a change in two.
    let signals = block_signals()?;
    let mut loaded = setup::load(&args.setup)?;
    if args.force {
        yield_authority(&mut loaded);
    }
    let plan = plan(&loaded)?;
    if args.dry_run {
        problem::print(&loaded.warnings);
        let _ = write!(std::io::stdout(), "{plan}");
        return Ok(if plan.blocked.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    problem::print(&loaded.warnings);
    Network::check(&loaded, &plan)?;
    // Before the host is changed: a state folder that cannot be used, or is used by another lanboot, stops us here.
    make_state_dir(&loaded.config.state_dir)?;
    let journal = open_journal(&loaded.config)?;
    let (store, siblings) = open_leases(&loaded, &journal)?;
    let network = Network::up(&loaded, &plan, if args.force { Rivals::Ignored } else { Rivals::But(&siblings) })?;
    // The summary says in text what the first events say; JSON begins with them.
    let early = (args.log == Log::Json).then(|| journal.follow());
    for line in &network.applied.done {
        journal.append(None, Step::Host { action: line.clone() });
    }
    let serving = serve(&loaded, network.applied.address, store, journal.clone());
    let (running, known) = match serving {
        Ok(serving) => serving,
        Err(found) => {
            network.down(&journal);
            return Err(found);
        }
    };
    if args.log == Log::Text {
        let mut out = std::io::stdout();
        let summary = summary::text(&loaded.config, &network.applied, known, &Style::detect(&out));
        // The pipe may be closed; serving goes on.
        let _ = out.write_all(summary.as_bytes()).and_then(|()| out.flush());
    }
    let printing = print_journal(early.unwrap_or_else(|| journal.follow()), args.log, names(&loaded.config));
    let _ = signals.wait();
    drop(running);
    let clean = network.down(&journal);
    journal.flush(Duration::from_secs(2));
    drop(journal);
    let _ = printing.join();
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Two servers on one wire: what the other one gave out is not ours to refuse, unless the configuration says so.
fn yield_authority(loaded: &mut Loaded) {
    let said = loaded.said.place("dhcp.authoritative") != config::Place::Host;
    if let Some(dhcp) = loaded.config.dhcp.as_mut().filter(|_| !said) {
        dhcp.authoritative = false;
    }
}

/// Puts back what a killed lanboot left.
pub fn down(args: &Down) -> Outcome {
    let state = args.state.folder()?;
    let all = host::undo_leftovers(&state).map_err(|error| problem::with_fix(&error, Some(error.fix())))?;
    if all.is_empty() {
        println!("nothing to put back: {} holds no record of changes", state.display());
        println!("if lanboot ran with another state folder, name it with --state, or its configuration with -c");
    }
    let mut found = Diagnostics::default();
    for undone in &all {
        for line in &undone.done {
            println!("{line}");
        }
        found.extend(undone.errors.iter().map(problem::of));
    }
    if found.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(found) }
}

/// What has to be done to the host, or every reason why it cannot be.
pub fn plan(loaded: &Loaded) -> Result<Plan, Diagnostics> {
    let config = &loaded.config;
    host::plan(&setup::network(config), &config.state_dir).map_err(|error| match error {
        PlanError::Refused(refusals) => {
            let place = network_place(loaded);
            let findings = refusals.iter().map(|refusal| problem::finding(&refusal.into(), place.clone()));
            Diagnostics(findings.collect())
        }
        PlanError::BadRecord(error) => problem::with_fix(&error, Some(error.fix())).into(),
        other => problem::of(other).into(),
    })
}

/// Where the configuration names the network.
pub fn network_place(loaded: &Loaded) -> config::Place {
    let keys = ["network.bridge", "network.interface"];
    keys.into_iter().map(|key| loaded.said.place(key)).find(|place| *place != config::Place::Host).unwrap_or_default()
}

/// Which other DHCP servers keep us from serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rivals<'a> {
    Ignored,
    /// All but the nodes that share our leases, by their addresses.
    But(&'a [Ipv4Addr]),
}

/// The host's side, made and to be put back.
pub struct Network {
    pub applied: host::Applied,
}

impl Network {
    /// Everything that can be told beforehand, so that a run that must fail changes nothing.
    pub fn check(loaded: &Loaded, plan: &Plan) -> Result<(), Diagnostics> {
        let mut found = Diagnostics::default();
        let place = network_place(loaded);
        // Giving out addresses takes every right there is; without it, what is lacking shows where it is needed.
        let rights = loaded.config.dhcp.as_ref().and_then(|_| host::check_rights());
        let told = |refusal: &&host::Refusal| rights.is_some() && **refusal == host::Refusal::NoRight;
        let blocked = plan.blocked.iter().filter(|refusal| !told(refusal)).map(host::Finding::from);
        found
            .extend(rights.clone().into_iter().chain(blocked).map(|finding| problem::finding(&finding, place.clone())));
        found.extend(not_ethernet(loaded));
        found.extend(setup::taken_ports(loaded, plan.address.addr()));
        if !found.is_empty() {
            return Err(found);
        }
        let warnings = plan.warnings.iter().map(|warning| problem::finding(&warning.into(), place.clone()));
        problem::print(&Diagnostics(warnings.collect()));
        Ok(())
    }

    /// Makes the network, unless another DHCP server is found on it that should not be there.
    pub fn up(loaded: &Loaded, plan: &Plan, rivals: Rivals<'_>) -> Result<Network, Diagnostics> {
        let config = &loaded.config;
        let has_ports = matches!(&config.network.link, config::Link::Bridge { ports, .. } if !ports.is_empty());
        let gives_addresses = config.dhcp.as_ref().is_some_and(|dhcp| !dhcp.is_proxy_only());
        let siblings = if let Rivals::But(siblings) = rivals { siblings } else { &[] };
        let looks = gives_addresses && rivals != Rivals::Ignored && (has_ports || !plan.made);
        // A wire that the plan has yet to reach, by a port or by an interface that is down, can be asked only afterwards.
        let out_of_reach =
            plan.made || plan.actions.iter().any(|a| matches!(a, Action::Enslave { .. } | Action::BringUp { .. }));
        if looks && !out_of_reach {
            refuse_rivals(&plan.interface, siblings)?;
        }
        let applied = host::apply(plan, &config.state_dir).map_err(|error| problem::with_fix(&error, error.fix()))?;
        let network = Network { applied };
        if looks
            && out_of_reach
            && let Err(mut found) = refuse_rivals(&plan.interface, siblings)
        {
            found.extend(network.applied.undo().errors.iter().map(problem::of));
            return Err(found);
        }
        Ok(network)
    }

    /// Puts the host back; says what could not be. Returns whether all of it could.
    pub fn down(self, journal: &Journal) -> bool {
        let Undone { done, errors, .. } = self.applied.undo();
        for line in done {
            journal.append(None, Step::Host { action: line });
        }
        let clean = errors.is_empty();
        problem::print(&Diagnostics(errors.iter().map(problem::of).collect()));
        clean
    }
}

/// The services, and how many leases they know of.
pub fn serve(
    loaded: &Loaded,
    address: Ipv4Net,
    store: Box<dyn LeaseStore>,
    journal: Journal,
) -> Result<(Running, usize), Diagnostics> {
    let mut bound = bind(loaded, address)?;
    let dns = loaded.config.dns.as_ref();
    let names = dns.map(|dns| Names::prepare(&mut bound, dns, Some(address.addr()), None));
    if let Some(dns) = dns.filter(|dns| dns.settings.log) {
        let log = query_log::start(dns).map_err(|error| problem::of(format!("cannot print the DNS log: {error}")))?;
        bound.order_dns(server::dns::Order::LogTo(log));
    }
    let (running, known) = start(bound, store, journal)?;
    if let Some((names, dns)) = names.zip(running.dns.as_ref()) {
        let following = names.follow(dns.orders(), None);
        following.map_err(|error| problem::of(format!("cannot follow the files of the DNS: {error}")))?;
    }
    Ok((running, known))
}

/// The sockets of all services.
pub fn bind(loaded: &Loaded, address: Ipv4Net) -> Result<Bound, Diagnostics> {
    let config = &loaded.config;
    let settings = server::Settings {
        links: links(config, address)?,
        dhcp: config.dhcp.clone(),
        tftp: config.tftp.clone(),
        http: config.http.clone(),
        dns: config.dns.clone(),
        policy: config.boot.clone(),
        files: setup::files(config)?,
        file_rules: config.file_rules,
    };
    Bound::open(settings).map_err(|error| open_error(loaded, address, error))
}

/// Serves on these sockets. Gives how many leases are known as well.
pub fn start(bound: Bound, store: Box<dyn LeaseStore>, journal: Journal) -> Result<(Running, usize), Diagnostics> {
    let known = store.table().len();
    let running = bound.start(store, journal).map_err(|error| problem::of(format!("cannot start serving: {error}")))?;
    Ok((running, known))
}

/// The interfaces to serve: those of the configuration, or its own network with the address that it has. DNS alone needs
/// none, where it is told its addresses.
fn links(config: &Config, address: Ipv4Net) -> Result<Vec<Link>, Diagnostics> {
    if is_dns_alone(config) {
        return Ok(Vec::new());
    }
    let own = || vec![config::Served::whole(config.network.link.name(), address)];
    let served = if config.served.is_empty() { own() } else { config.served.clone() };
    served.into_iter().map(|served| open_link(served).map_err(Diagnostics::from)).collect()
}

/// Whether nothing is served but DNS, at addresses of its own.
fn is_dns_alone(config: &Config) -> bool {
    let for_machines = config.dhcp.is_some() || config.tftp.is_some() || config.http.is_some();
    !for_machines && config.dns.as_ref().is_some_and(|dns| !dns.at.is_empty())
}

/// An interface to serve, as it is now.
pub fn open_link(served: config::Served) -> Result<Link, Diagnostic> {
    let interface = Interface::named(&served.interface).map_err(|error| not_usable(&served.interface, &error))?;
    let config::Served { addresses, dhcp, tftp, relays, in_place_of, .. } = served;
    Ok(Link { interface, addresses, dhcp, tftp, relays, in_place_of })
}

/// Where leases are kept, and the addresses of the other nodes that serve from the same ones.
fn open_leases(loaded: &Loaded, journal: &Journal) -> Result<(Box<dyn LeaseStore>, Vec<Ipv4Addr>), Diagnostics> {
    let config = &loaded.config;
    let Some(database) = config.leases.as_ref().filter(|_| config.dhcp.is_some()) else {
        return Ok((open_store(config, journal)?, Vec::new()));
    };
    let at_place = |error| problem::of(error).at(setup::place_of(loaded, "leases.database"));
    let settings = setup::lease_database(database).map_err(at_place)?;
    let ours = config.network.address.or_else(|| host::address_of(config.network.link.name())).map(|net| net.addr());
    let (store, opened) = PostgresStore::open(settings, ours.into_iter().collect()).map_err(at_place)?;
    if opened.ahead_secs.abs() > MOST_SECS_APART {
        let (secs, whither) = (opened.ahead_secs.abs(), if opened.ahead_secs > 0 { "ahead of" } else { "behind" });
        let text = format!("the clock of this host is {secs} s {whither} that of the database, by which leases end");
        let fix = "set both by NTP (apt install chrony)";
        problem::print(&Diagnostic::warning(&text).fix(fix).into());
        journal.append(None, Step::Warning { text, fix: Some(fix.to_owned()) });
    }
    let siblings = opened.nodes.into_iter().filter(|node| Some(*node) != ours).collect();
    Ok((Box::new(store), siblings))
}

/// Where leases are kept on this host, or nowhere when none are given.
pub fn open_store(config: &Config, journal: &Journal) -> Result<Box<dyn LeaseStore>, Diagnostics> {
    if config.dhcp.is_none() {
        return Ok(Box::new(MemoryStore::default()));
    }
    let (store, opened) = EmbeddedStore::open(&config.state_dir).map_err(problem::of)?;
    if opened.torn_octets > 0 {
        let text = format!(
            "the lease log ended in {} octets of an unfinished write (a crash or power cut), never acknowledged; they were dropped",
            opened.torn_octets
        );
        problem::print(&Diagnostic::warning(&text).into());
        journal.append(None, Step::Warning { text, fix: None });
    }
    Ok(Box::new(store))
}

fn open_error(loaded: &Loaded, address: Ipv4Net, error: OpenError) -> Diagnostics {
    // Somebody took the port since it was looked at: name them after all.
    let holders = setup::taken_ports(loaded, address.addr());
    if error.port.is_some() && !holders.is_empty() {
        return Diagnostics(holders);
    }
    problem::with_fix(&error, missing_right(&error)).at(network_place(loaded)).into()
}

/// What to do about a socket that we may not have.
fn missing_right(error: &OpenError) -> Option<String> {
    (error.source.kind() == std::io::ErrorKind::PermissionDenied).then(|| host::Refusal::NoRight.fix())
}

fn not_usable(interface: &str, error: &std::io::Error) -> Diagnostic {
    problem::of(format!("interface {interface} cannot be used: {error}"))
}

/// An interface of a kind that nothing can boot from: a tunnel, say, or the loopback.
pub fn not_ethernet(loaded: &Loaded) -> Option<Diagnostic> {
    let name = loaded.config.network.link.name();
    if is_dns_alone(&loaded.config) {
        return None;
    }
    let error = Interface::named(name).err().filter(|error| error.kind() == std::io::ErrorKind::Unsupported)?;
    let fix = "name a network card or a bridge (`ip -br link` lists them)";
    Some(not_usable(name, &error).at(network_place(loaded)).fix(fix))
}

/// `siblings`: who may answer there.
fn refuse_rivals(interface: &str, siblings: &[Ipv4Addr]) -> Result<(), Diagnostics> {
    let named = Interface::named(interface).map_err(|error| not_usable(interface, &error))?;
    let rivals = rival::look(&named).map_err(|error| {
        problem::with_fix(format!("cannot look for other DHCP servers: {error}"), missing_right(&error))
    })?;
    let rivals = rivals.iter().filter(|rival| !siblings.contains(&rival.server));
    let found: Vec<_> = rivals.map(|rival| rival_found(interface, rival)).collect();
    if found.is_empty() { Ok(()) } else { Err(Diagnostics(found)) }
}

/// How a person learns of another DHCP server.
pub fn rival_found(interface: &str, rival: &rival::Rival) -> Diagnostic {
    let rival::Rival { server, mac, offered } = rival;
    Diagnostic::error(format!("another DHCP server answers on {interface}: {server} ({mac}) offered {offered}")).fix(
        "leave the addresses to it and say only what to boot: --proxy, or mode = \"proxy\" in [dhcp]; or stop that \
         server; or, if there are to be two: --force",
    )
}

pub fn make_state_dir(dir: &Path) -> Result<(), Diagnostics> {
    std::fs::create_dir_all(dir)
        .map_err(|error| state_error(format!("cannot make the state folder {}: {error}", dir.display())))
}

fn state_error(what: String) -> Diagnostics {
    Diagnostic::error(what).fix("run it as root, or name another folder: --state DIR").into()
}

/// SIGINT, SIGTERM, and SIGHUP (the terminal or the connection is gone), blocked in this thread and all that it starts.
pub fn block_signals() -> Result<SigSet, Diagnostics> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    // Under nohup we are to live on; a signal that is blocked would be kept for us although it is ignored.
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    signals.thread_block().map_err(|error| problem::of(format!("cannot block signals: {error}")))?;
    Ok(signals)
}

fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (signal as i32 - 1) != 0
}

/// The journal, kept in the state folder as well.
pub fn open_journal(config: &Config) -> Result<Journal, Diagnostics> {
    let path = config.state_dir.join("journal.jsonl");
    Journal::with_file(&path)
        .map_err(|error| state_error(format!("cannot write the journal {}: {error}", path.display())))
}

/// Prints what happens, in a thread of its own, until the journal ends.
pub fn print_journal(follower: Follower, log: Log, names: HashMap<Mac, String>) -> std::thread::JoinHandle<()> {
    let print = move || {
        let out = std::io::stdout();
        // A closed pipe ends the printing, not the serving.
        let _ = match log {
            Log::Json => journal::print_json(follower, out),
            Log::Text => journal::print_live(&follower, Terminal::new(Style::detect(&out), names), out),
        };
    };
    std::thread::Builder::new().name("printer".into()).spawn(print).expect("a thread can be started")
}

/// What the configuration calls its machines.
fn names(config: &Config) -> HashMap<Mac, String> {
    let machines = config.boot.machines.iter();
    machines.filter_map(|(mac, machine)| Some((*mac, machine.name.clone()?))).collect()
}
