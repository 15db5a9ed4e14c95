//! From flags and file to what is served: the configuration, with iPXE's binaries found and published.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use config::{Config, Diagnostic, Diagnostics, LeaseDatabase, Loaded, Nic, Place, Publish, Source, TextFile, ThisHost};
use dhcp::Platform;
use host::ipxe::Distribution;
use host::{ForwardSpec, LinkSpec, NetworkSpec};
use journal::Role;
use leases::{PostgresSettings, StoreError};
use server::files::Files;

use crate::args::{Setup, State};

const DEFAULT_CONFIG: &str = "/etc/lanboot.toml";
const DEFAULT_STATE: &str = "/var/lib/lanboot";

/// Where fetched firmware lies.
pub fn firmware_dir(state: &Path) -> PathBuf {
    state.join("firmware")
}

/// How to reach the database of the leases.
pub fn lease_database(database: &LeaseDatabase) -> Result<PostgresSettings, StoreError> {
    PostgresSettings::new(&database.url, database.password_file.as_deref())
}

/// How to reach the database of the leases, where the configuration names one.
pub fn database(config: Option<&Path>) -> Result<Option<PostgresSettings>, Diagnostics> {
    let default = Some(Path::new(DEFAULT_CONFIG)).filter(|path| path.exists());
    let Some(path) = config.or(default) else { return Ok(None) };
    // Of a configuration only this is read, as with the state folder.
    let said = config::read_file(&TextFile::open(path)?, &mut Diagnostics::default());
    let Some(said) = said.map(|said| said.leases) else { return Ok(None) };
    let Some(url) = said.database else { return Ok(None) };
    let file = said.password_file.map(|given| given.value);
    match PostgresSettings::new(&url.value, file.as_deref()) {
        Ok(settings) => Ok(Some(settings)),
        Err(error) => Err(crate::problem::of(error).at(url.place).into()),
    }
}

impl State {
    /// The folder that is meant. Of a configuration only this is read: mistakes elsewhere in it do no harm here.
    pub fn folder(&self) -> Result<PathBuf, Diagnostics> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let default = Some(Path::new(DEFAULT_CONFIG)).filter(|path| path.exists());
        let said = match self.config.as_deref().or(default) {
            Some(path) => config::read_file(&TextFile::open(path)?, &mut Diagnostics::default()),
            None => None,
        };
        Ok(said.and_then(|said| said.state_dir).map_or_else(|| DEFAULT_STATE.into(), |given| given.value))
    }
}

/// Reads the configuration and completes it with what this host has of iPXE.
pub fn load(setup: &Setup) -> Result<Loaded, Diagnostics> {
    let names_network = setup.bridge.is_some() || setup.interface.is_some();
    let default = Some(Path::new(DEFAULT_CONFIG)).filter(|path| !names_network && path.exists());
    let file = setup.config.as_deref().or(default);
    let mut loaded = config::load(file, &setup.flags(), &this_host())?;
    name_servers(&mut loaded);
    let missing = publish_ipxe(&mut loaded.config);
    let place = loaded.said.place("boot.ipxe");
    loaded.warnings.extend(missing.into_iter().map(|warning| warning.at(place.clone())));
    Ok(loaded)
}

/// This computer, as the configuration may look at it.
pub fn this_host() -> ThisHost {
    ThisHost { interfaces: nics }
}

/// The interfaces of this computer, as they are now.
pub fn nics() -> Vec<Nic> {
    let nic = |interface: host::Interface| Nic {
        name: interface.name,
        addresses: interface.addresses,
        v6: interface.v6,
        is_loopback: interface.is_loopback,
    };
    host::interfaces().into_iter().map(nic).collect()
}

/// Machines that reach the world through us need names there: where we answer none, and unless they are told otherwise,
/// they ask whom we ask.
fn name_servers(loaded: &mut Loaded) {
    let said = loaded.said.place("dhcp.dns") != Place::Host;
    let masquerade = loaded.config.network.masquerade;
    if let Some(dhcp) = loaded.config.dhcp.as_mut().filter(|dhcp| masquerade && !said && dhcp.dns.is_empty()) {
        dhcp.dns = host::resolvers();
    }
}

/// Publishes iPXE's binaries behind everything that the user publishes, who may have better ones of the same names.
pub fn publish_ipxe(config: &mut Config) -> Vec<Diagnostic> {
    let found = host::ipxe::find(config.ipxe.as_deref(), &firmware_dir(&config.state_dir));
    for (platform, path) in &found.binaries {
        let Some(platform) = Platform::by_name(platform) else { continue };
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or("ipxe");
        let taken = config.publish.iter().any(|publish| publish.name == file);
        let name = if taken { format!("{}-{file}", platform.name()) } else { file.to_owned() };
        config.boot.ipxe.insert(platform, name.clone());
        config.publish.push(Publish { name, source: Source::File(path.clone()), role: Role::Loader });
    }
    let policy = &config.boot;
    let needed = |platform: Platform| match &policy.target {
        boot::Target::Nothing => false,
        boot::Target::Linux { .. } | boot::Target::Script { .. } => true,
        boot::Target::BootFile { any, by_platform } => {
            let file = by_platform.get(&platform).or(any.as_ref());
            file.is_some_and(|file| !policy.chain.is_direct(platform, file))
        }
    };
    let missing = |platform: &Platform| needed(*platform) && !policy.ipxe.contains_key(platform);
    let warning = |platform: Platform| {
        let found = crate::problem::of(found.missing(platform.name(), &Distribution::of_this_host()));
        Diagnostic { severity: config::Severity::Warning, ..found }
    };
    [Platform::Bios, Platform::UefiX64].into_iter().filter(missing).map(warning).collect()
}

/// What the host must look like for this configuration.
pub fn network(config: &Config) -> NetworkSpec {
    let network = &config.network;
    let transport = |transport| match transport {
        config::Transport::Tcp => host::Transport::Tcp,
        config::Transport::Udp => host::Transport::Udp,
    };
    NetworkSpec {
        link: match &network.link {
            config::Link::Bridge { name, ports } => LinkSpec::Bridge { name: name.clone(), ports: ports.clone() },
            config::Link::Existing { name } => LinkSpec::Existing { name: name.clone() },
        },
        address: network.address,
        masquerade: network.masquerade,
        forwards: network
            .forwards
            .iter()
            .map(|forward| ForwardSpec {
                transport: transport(forward.protocol),
                interface: forward.interface.clone(),
                port: forward.port,
                to: forward.to,
            })
            .collect(),
    }
}

/// The ports that will be listened on: transport, number, and the key that sets it.
pub fn ports(config: &Config) -> Vec<(host::Transport, u16, &'static str)> {
    let mut ports = Vec::new();
    ports.extend(config.dhcp.iter().map(|dhcp| (host::Transport::Udp, dhcp.manners.ports.server, "dhcp.enabled")));
    let boot_server = config.dhcp.iter().filter(|dhcp| dhcp.listens_on_4011());
    ports.extend(boot_server.map(|_| (host::Transport::Udp, 4011, "dhcp.mode")));
    let on_some = config.served.is_empty() || config.served.iter().any(|served| served.tftp);
    ports.extend(config.tftp.iter().filter(|_| on_some).map(|tftp| (host::Transport::Udp, tftp.port, "tftp.port")));
    ports.extend(config.http.iter().map(|http| (host::Transport::Tcp, http.port, "http.port")));
    let transports = [host::Transport::Udp, host::Transport::Tcp];
    ports.extend(config.dns.iter().flat_map(|dns| transports.map(|transport| (transport, dns.port, "dns.port"))));
    ports
}

/// Programs that hold a port we need, each with how to stop it, or where to go instead.
pub fn taken_ports(loaded: &Loaded, address: Ipv4Addr) -> Vec<Diagnostic> {
    let config = &loaded.config;
    let mut found: Vec<Diagnostic> = Vec::new();
    for (transport, port, key) in ports(config) {
        for (interface, address) in listening(config, key, address) {
            // TCP and DNS are bound to the address, other UDP to the interface as well.
            let bound = (transport == host::Transport::Udp && key != "dns.port").then_some(interface);
            for holder in host::holders(transport, port, address, bound).unwrap_or_default() {
                let fix = match other_way(key, !config.served.is_empty()) {
                    Some(other) => format!("{}, or {other}", holder.fix()),
                    None => holder.fix(),
                };
                found.push(Diagnostic::error(holder.to_string()).at(place_of(loaded, key)).fix(fix));
            }
        }
    }
    found
}

/// Where the port that this key sets is listened on: interfaces, each with our address there. `address`: ours where
/// only one is served.
fn listening<'a>(config: &'a Config, key: &str, address: Ipv4Addr) -> Vec<(&'a str, Ipv4Addr)> {
    let at = config.dns.iter().filter(|_| key == "dns.port").flat_map(|dns| &dns.at);
    let at: Vec<_> = at
        .filter_map(|at| match at.address {
            IpAddr::V4(address) => Some((at.interface.as_str(), address)),
            IpAddr::V6(_) => None,
        })
        .collect();
    if !at.is_empty() {
        return at;
    }
    if config.served.is_empty() {
        return vec![(config.network.link.name(), address)];
    }
    let listens = |served: &&config::Served| match key {
        "http.port" => true,
        "tftp.port" => served.tftp,
        _ => served.dhcp,
    };
    let place = |served: &'a config::Served| Some((served.interface.as_str(), served.addresses.first()?.addr()));
    config.served.iter().filter(listens).filter_map(place).collect()
}

/// What to do where a port cannot be freed; `dialect`: in dnsmasq's words.
fn other_way(key: &str, dialect: bool) -> Option<&'static str> {
    match (key, dialect) {
        ("http.port", _) => Some("choose another port: --http-port 8080"),
        ("dns.port", false) => Some("answer no DNS: --no-dns"),
        ("dns.port", true) => Some("answer no DNS: --port=0"),
        ("tftp.port", false) => Some("serve no TFTP: --no-tftp"),
        ("tftp.port", true) => Some("serve no TFTP: leave out enable-tftp"),
        ("dhcp.enabled", false) => Some("give out no addresses: --no-dhcp"),
        ("dhcp.enabled", true) => Some("serve other interfaces: --interface=NAME with --bind-interfaces"),
        _ => None,
    }
}

/// Where a key was said; nothing when it was not.
pub fn place_of(loaded: &Loaded, key: &str) -> Place {
    loaded.said.place(key)
}

/// Opens what is published.
pub fn files(config: &Config) -> Result<Files, Diagnostic> {
    Files::new(config.publish.clone()).map_err(crate::problem::of)
}
