//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Args, Parser, Subcommand, ValueEnum};
use config::Flags;
use mac::Mac;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Makes every machine on a LAN boot from the network, and shows why when one does not.
#[derive(Debug, Parser)]
#[command(version, styles = STYLES, max_term_width = 110, after_help = "\
Boot a kernel on a bridge of its own:\n  \
  lanboot up --bridge net=10.0.1.1/24 --kernel vmlinuz --initrd initrd.img --cmdline 'console=ttyS0'\n\
Serve a ready-made tree on a network card:\n  \
  lanboot up --interface eth1 --address 10.0.1.1/24 --tftp-root /srv/tftp\n\
See it work first, in virtual machines, without touching this host's network:\n  \
  lanboot lab --bridge net=10.0.1.1/24 --tftp-root /srv/tftp --firmware bios,uefi-x64")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up the network and serve it, until Ctrl-C; then put everything back
    Up(Up),
    /// Put the network back after a lanboot that was killed
    Down(Down),
    /// Find everything that would keep `up` from working, without changing anything
    Check(Check),
    /// Say what a machine would be told to boot, and because of which rules
    Explain(Explain),
    /// Boot virtual machines against the real services, in a network of their own, and say whether they booted
    Lab(Lab),
    /// Serve with dnsmasq's own options and files; see docs/dnsmasq.md
    #[command(disable_help_flag = true)]
    Dnsmasq {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        options: Vec<std::ffi::OsString>,
    },
    /// Turn a dnsmasq configuration into lanboot.toml, and say what of it will not boot
    Import(Import),
    /// List the leases, or see to the database that they are in
    Leases(Leases),
    /// Tell what machines did when they booted, step by step
    Story(Story),
    /// iPXE's binaries: which are there, and how to get newer ones
    #[command(subcommand)]
    Firmware(Firmware),
}

#[derive(Debug, Args)]
#[command(after_help = "\
lanboot.toml goes to standard output, each line with its origin. What has no equivalent is in a comment at its top and on\n\
standard error, with what will not boot. Exit status 1 when a line that machines would notice has no equivalent.\n\n\
  lanboot import /etc/dnsmasq.conf > /etc/lanboot.toml\n  \
  lanboot import -- --interface=net --dhcp-range=10.0.1.200,10.0.1.253 --enable-tftp --tftp-root=/srv/tftp")]
pub struct Import {
    /// The configuration file; `-` for standard input
    #[arg(required_unless_present = "options", conflicts_with = "options")]
    pub file: Option<PathBuf>,
    /// Or dnsmasq's own options, as on its command line
    #[arg(last = true, value_name = "OPTIONS")]
    pub options: Vec<std::ffi::OsString>,
}

/// What to serve: a configuration file, flags, or both (flags win).
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Setup {
    /// Configuration file [default: /etc/lanboot.toml, when it is there and no flag names a network]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Make this bridge, or use it when it is there: NAME=ADDRESS/PREFIX
    #[arg(long, value_name = "NAME=CIDR", help_heading = "Network")]
    pub bridge: Option<String>,
    /// Serve on this existing interface, as it is
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub interface: Option<String>,
    /// Our address on it
    #[arg(long, value_name = "CIDR", help_heading = "Network")]
    pub address: Option<String>,
    /// Put this network card into the bridge (repeatable)
    #[arg(long = "port", value_name = "NAME", help_heading = "Network")]
    pub ports: Vec<String>,
    /// Masquerade what leaves the subnet
    #[arg(long, overrides_with = "no_masquerade", help_heading = "Network")]
    pub masquerade: bool,
    /// Do not masquerade what leaves the subnet
    #[arg(long, help_heading = "Network")]
    pub no_masquerade: bool,
    /// Lead a port inward (repeatable): tcp:eth0:587=10.0.1.100:587
    #[arg(long = "forward", value_name = "PROTO:[IF:]PORT=ADDR[:PORT]", help_heading = "Network")]
    pub forwards: Vec<String>,

    /// Give out no addresses
    #[arg(long, help_heading = "DHCP")]
    pub no_dhcp: bool,
    /// Say what to boot beside another server that gives out addresses
    #[arg(long, help_heading = "DHCP")]
    pub proxy: bool,
    /// Addresses to give out (repeatable)
    #[arg(long = "range", value_name = "FIRST-LAST", help_heading = "DHCP")]
    pub ranges: Vec<String>,
    /// Lease time, such as 12h
    #[arg(long, value_name = "TIME", help_heading = "DHCP")]
    pub lease: Option<String>,
    /// Which free address comes next: sequential or hashed
    #[arg(long, value_name = "HOW", help_heading = "DHCP")]
    pub allocation: Option<String>,
    /// Probe an address before it is offered: arp, icmp or off
    #[arg(long, value_name = "HOW", help_heading = "DHCP")]
    pub conflict_check: Option<String>,

    /// Boot this Linux kernel
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub kernel: Option<PathBuf>,
    /// with this initrd (repeatable)
    #[arg(long = "initrd", value_name = "FILE", help_heading = "Boot")]
    pub initrds: Vec<PathBuf>,
    /// and this command line; {server} {mac} {ip} {hostname} {report} are filled in
    #[arg(long, value_name = "TEXT", help_heading = "Boot")]
    pub cmdline: Option<String>,
    /// Boot this iPXE script
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub script: Option<PathBuf>,
    /// Boot this file of the TFTP tree, such as pxelinux.0
    #[arg(long, value_name = "NAME", help_heading = "Boot")]
    pub boot_file: Option<String>,
    /// Take iPXE's binaries from this folder
    #[arg(long, value_name = "DIR", help_heading = "Boot")]
    pub ipxe: Option<PathBuf>,

    /// Serve this folder; its well-known boot files are found
    #[arg(long, value_name = "DIR", help_heading = "Services")]
    pub tftp_root: Option<PathBuf>,
    /// Serve no TFTP
    #[arg(long, help_heading = "Services")]
    pub no_tftp: bool,
    /// Serve this folder by HTTP [default: that of TFTP]
    #[arg(long, value_name = "DIR", help_heading = "Services")]
    pub http_root: Option<PathBuf>,
    /// TCP port of HTTP [default: 80]
    #[arg(long, value_name = "PORT", help_heading = "Services")]
    pub http_port: Option<String>,
    /// Serve no HTTP
    #[arg(long, help_heading = "Services")]
    pub no_http: bool,
    /// Answer no DNS
    #[arg(long, help_heading = "Services")]
    pub no_dns: bool,
    /// Keep leases in this PostgreSQL database, with other lanboots [default: in the state folder]
    #[arg(long, value_name = "URL", help_heading = "Services")]
    pub leases: Option<String>,
    /// Where leases and notes on host changes are kept [default: /var/lib/lanboot]
    #[arg(long, value_name = "DIR", help_heading = "Services")]
    pub state: Option<PathBuf>,
}

impl Setup {
    /// The flags, in the form that the configuration takes them.
    pub fn flags(&self) -> Flags {
        Flags {
            bridge: self.bridge.clone(),
            interface: self.interface.clone(),
            address: self.address.clone(),
            ports: self.ports.clone(),
            masquerade: match (self.masquerade, self.no_masquerade) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            forwards: self.forwards.clone(),
            no_dhcp: self.no_dhcp,
            proxy: self.proxy,
            ranges: self.ranges.clone(),
            lease: self.lease.clone(),
            allocation: self.allocation.clone(),
            conflict_check: self.conflict_check.clone(),
            kernel: self.kernel.clone(),
            initrds: self.initrds.clone(),
            cmdline: self.cmdline.clone(),
            script: self.script.clone(),
            boot_file: self.boot_file.clone(),
            ipxe: self.ipxe.clone(),
            no_tftp: self.no_tftp,
            tftp_root: self.tftp_root.clone(),
            no_http: self.no_http,
            no_dns: self.no_dns,
            http_root: self.http_root.clone(),
            http_port: self.http_port.clone(),
            leases: self.leases.clone(),
            state: self.state.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Log {
    /// A line for people per step
    #[default]
    Text,
    /// A JSON object per event
    Json,
}

#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    pub setup: Setup,
    /// Print what would be changed on this host, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Serve DHCP although another server may answer on the link; refuse no addresses that it may have given
    #[arg(long)]
    pub force: bool,
    /// How to print what happens
    #[arg(long, value_enum, default_value_t)]
    pub log: Log,
}

/// Where lanboot keeps its state: said directly, or by the configuration that it ran with.
#[derive(Debug, Args)]
pub struct State {
    /// The state folder [default: what the configuration says, else /var/lib/lanboot]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The configuration file that names it
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Down {
    #[command(flatten)]
    pub state: State,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub setup: Setup,
    /// The machine
    #[arg(long, value_name = "MAC")]
    pub mac: Mac,
    /// Its architecture (DHCP option 93): bios, uefi-x64, uefi-http, uefi-arm64, ... or a number
    #[arg(long, value_name = "NAME", default_value = "bios")]
    pub arch: String,
    /// Instead of lanboot's own settings, a dnsmasq command line
    #[arg(last = true, value_name = "dnsmasq OPTIONS")]
    pub dnsmasq: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub struct Lab {
    #[command(flatten)]
    pub setup: Setup,
    /// Kinds of firmware, one machine each: bios, uefi-x64, uefi-http, uefi-secure, uefi-arm64
    #[arg(long, value_delimiter = ',', default_value = "bios", help_heading = "Lab")]
    pub firmware: Vec<String>,
    /// How many machines of each kind
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Lab", value_parser = clap::value_parser!(u16).range(1..=250))]
    pub count: u16,
    /// A machine has booted when its serial console shows this regular expression [default: its system comes up]
    #[arg(long, value_name = "REGEX", help_heading = "Lab")]
    pub expect: Option<String>,
    /// Type on every machine's keyboard, 2 s after a file of this name was sent to it: 'splash.png=<tab> quiet<enter>'
    #[arg(long = "type", value_name = "FILE=KEYS", help_heading = "Lab")]
    pub typing: Vec<String>,
    /// Give up after this time
    #[arg(long, default_value = "300s", value_name = "TIME", value_parser = duration, help_heading = "Lab")]
    pub timeout: Duration,
    /// Memory of a machine in MiB
    #[arg(long, default_value_t = 512, value_name = "MIB", help_heading = "Lab")]
    pub memory: u32,
    /// Run at most this many machines at once [default: all]
    #[arg(long, value_name = "N", help_heading = "Lab")]
    pub jobs: Option<usize>,
    /// Show the machines' screens: gtk, sdl or vnc
    #[arg(long, value_name = "KIND", help_heading = "Lab")]
    pub display: Option<String>,
    /// Leave the machines running after the verdict, until Ctrl-C
    #[arg(long, help_heading = "Lab")]
    pub keep: bool,
    /// Where serial logs, screenshots, captures and timelines go
    #[arg(long = "out", default_value = "lab", value_name = "DIR", help_heading = "Lab")]
    pub artefacts: PathBuf,
    /// Serve by a dnsmasq command line instead, as it stands: -- dnsmasq -C /etc/dnsmasq.conf
    #[arg(last = true, value_name = "dnsmasq OPTIONS")]
    pub dnsmasq: Vec<std::ffi::OsString>,
    /// How to print what happens
    #[arg(long, value_enum, default_value_t, help_heading = "Lab")]
    pub log: Log,
}

#[derive(Debug, Args)]
pub struct Story {
    /// The machines; all without any
    #[arg(value_name = "MAC")]
    pub machines: Vec<Mac>,
    /// Only machines whose last boot got stuck or failed
    #[arg(long)]
    pub stuck: bool,
    #[command(flatten)]
    pub state: State,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Leases {
    #[command(subcommand)]
    pub command: Option<LeasesCommand>,
    #[command(flatten)]
    pub state: State,
    /// The PostgreSQL database that they are in [default: what the configuration says]
    #[arg(long, value_name = "URL", conflicts_with = "state")]
    pub database: Option<String>,
    /// One JSON object per lease
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum LeasesCommand {
    /// Make lanboot's tables in a PostgreSQL database, or bring them up to date; see docs/postgresql.md
    Migrate {
        /// The database, as a role that may change it [default: what the configuration says]
        #[arg(value_name = "URL")]
        database: Option<String>,
        /// The configuration file that names it
        #[arg(short = 'c', long = "config", value_name = "FILE")]
        config: Option<PathBuf>,
        /// Say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Firmware {
    /// Show which binaries would be served, and where they were looked for
    List {
        #[command(flatten)]
        state: State,
        /// Take iPXE's binaries from this folder
        #[arg(long, value_name = "DIR")]
        ipxe: Option<PathBuf>,
    },
    /// Get a newer iPXE from the mirror that this host's apt uses, checked and unpacked beside our data
    Fetch {
        #[command(flatten)]
        state: State,
        /// The Debian release to take it from
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
    },
}

/// Reads `90s`, `5m`, `1h`, or plain seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a time such as 90s, 5m or 1h"))?;
    match &text[digits.len()..] {
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        unit => Err(format!("`{unit}` is not a unit of time; s, m and h are")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("5x").unwrap_err().contains("`x`"));
        assert!(duration("soon").is_err());
    }
}
