//! The programs that are compared, and how a user of each would start it for the same service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::bed::{Bed, Subnet};

/// What has a column in the table: a program, or programs that serve together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Lanboot,
    Dnsmasq,
    Kea,
    TftpdHpa,
    Atftpd,
    Nginx,
    /// Without its access log.
    NginxQuiet,
    /// Answers DHCP without a thought: the floor of what a server can cost.
    Nothing,
    /// What many start with.
    DnsmasqAndNginx,
    /// What others replace it with.
    KeaTftpdAndNginx,
}

/// Who makes the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    IsThere,
    /// lanboot makes it, and puts `port0` in.
    ToBeMade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Dhcp,
    Tftp,
    Http,
}

/// The file that is offered to every machine.
pub const BOOT_FILE: &str = "pxelinux.0";
/// In a tree that has one, firmware is given this file, the iPXE that asks next a script, and by that this kernel and initrd.
pub const IPXE: &str = "undionly.kpxe";
pub const KERNEL: &str = "vmlinuz";
pub const INITRD: &str = "initrd.img";
/// The script, for servers that make none.
pub const SCRIPT: &str = "boot.ipxe";

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Lanboot => "lanboot",
            Program::Dnsmasq => "dnsmasq",
            Program::Kea => "Kea",
            Program::TftpdHpa => "tftpd-hpa",
            Program::Atftpd => "atftpd",
            Program::Nginx => "nginx",
            Program::NginxQuiet => "nginx, no log",
            Program::Nothing => "floor",
            Program::DnsmasqAndNginx => "dnsmasq + nginx",
            Program::KeaTftpdAndNginx => "Kea + tftpd-hpa + nginx",
        }
    }

    /// The processes that a user would start, each with what it is there for.
    fn parts(self) -> &'static [(Program, &'static [Service])] {
        use Program::*;
        use Service::*;
        match self {
            Lanboot => &[(Lanboot, &[Dhcp, Tftp, Http])],
            Dnsmasq => &[(Dnsmasq, &[Dhcp, Tftp])],
            Kea => &[(Kea, &[Dhcp])],
            TftpdHpa => &[(TftpdHpa, &[Tftp])],
            Atftpd => &[(Atftpd, &[Tftp])],
            Nginx => &[(Nginx, &[Http])],
            NginxQuiet => &[(NginxQuiet, &[Http])],
            Nothing => &[(Nothing, &[Dhcp])],
            DnsmasqAndNginx => &[(Dnsmasq, &[Dhcp, Tftp]), (Nginx, &[Http])],
            KeaTftpdAndNginx => &[(Kea, &[Dhcp]), (TftpdHpa, &[Tftp]), (Nginx, &[Http])],
        }
    }

    /// What it answers when it is ready.
    pub fn services(self) -> impl Iterator<Item = Service> {
        self.parts().iter().flat_map(|(_, services)| services.iter().copied())
    }

    /// One command per process. They serve the files of `root`, keep leases and a log in `state`, and neither look for
    /// another DHCP server nor whether an address is taken.
    pub fn commands(self, bed: &Bed, bridge: Bridge, root: &Path, state: &Path) -> Result<Vec<Command>> {
        let command = |(part, _): &(Program, _)| match part {
            Program::Lanboot => lanboot(bed, bridge, root, state),
            Program::Dnsmasq => Ok(dnsmasq(bed, root, state)),
            Program::Kea => kea(bed, root, state),
            Program::TftpdHpa => Ok(tftpd_hpa(bed, root)),
            Program::Atftpd => Ok(atftpd(bed, root, state)),
            Program::Nginx => nginx(bed, root, state, true),
            Program::NginxQuiet => nginx(bed, root, state, false),
            Program::Nothing => nothing(bed),
            Program::DnsmasqAndNginx | Program::KeaTftpdAndNginx => unreachable!("a part is one program"),
        };
        self.parts().iter().map(command).collect()
    }
}

/// Built by the same command, into the same folder.
pub fn built() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("lanboot"))
}

fn has_chain(root: &Path) -> bool {
    root.join(IPXE).exists()
}

fn script_url(bed: &Bed) -> String {
    format!("http://{}/{SCRIPT}", bed.subnet.server)
}

fn lanboot(bed: &Bed, bridge: Bridge, root: &Path, state: &Path) -> Result<Command> {
    let Subnet { server, prefix, range: (first, last), .. } = bed.subnet;
    let mut command = bed.host.command(built()?);
    command.args(["up", "--force", "--conflict-check", "off", "--no-masquerade"]);
    command.args(["--bridge", &format!("net={server}/{prefix}"), "--range", &format!("{first}-{last}")]);
    command.arg("--tftp-root").arg(root).arg("--state").arg(state);
    if has_chain(root) {
        command.arg("--kernel").arg(root.join(KERNEL)).arg("--initrd").arg(root.join(INITRD)).arg("--ipxe").arg(root);
    }
    if bridge == Bridge::ToBeMade {
        command.args(["--port", "port0"]);
    }
    Ok(command)
}

fn dnsmasq(bed: &Bed, root: &Path, state: &Path) -> Command {
    let (first, last) = bed.subnet.range;
    let mut command = bed.host.command("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]);
    command.args(["--interface=net", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"]);
    // The default is 50 transfers at a time, of which a storm has more.
    command.args(["--tftp-max=2000", "--dhcp-lease-max=2000000", "--enable-tftp"]);
    if has_chain(root) {
        command.args(["--dhcp-match=set:ipxe,175", &format!("--dhcp-boot=tag:!ipxe,{IPXE}")]);
        command.arg(format!("--dhcp-boot=tag:ipxe,{}", script_url(bed)));
    } else {
        command.arg(format!("--dhcp-boot={BOOT_FILE}"));
    }
    command.arg(format!("--dhcp-range={first},{last},12h")).arg(format!("--tftp-root={}", root.display()));
    for (option, file) in [("dhcp-leasefile", "leases"), ("log-facility", "log"), ("pid-file", "pid")] {
        command.arg(format!("--{option}={}", state.join(file).display()));
    }
    command
}

/// The lease file in memory with its log on disk, which is Kea's fastest store and its default.
fn kea(bed: &Bed, root: &Path, state: &Path) -> Result<Command> {
    let Subnet { server, range: (first, last), .. } = bed.subnet;
    let (boot_file, classes) = if has_chain(root) {
        let class = |name, test, file: &str| {
            format!(
                r#"{{ "name": "{name}", "test": "{test}", "next-server": "{server}", "boot-file-name": "{file}" }}"#
            )
        };
        let ipxe = class("ipxe", "option[175].exists", &script_url(bed));
        let firmware = class("firmware", "not option[175].exists", IPXE);
        ("", format!(r#""client-classes": [ {ipxe}, {firmware} ],"#))
    } else {
        (BOOT_FILE, String::new())
    };
    let (subnet, folder) = (bed.subnet.network(), state.display());
    let config = format!(
        r#"{{ "Dhcp4": {{
            "interfaces-config": {{ "interfaces": [ "net" ] }},
            "lease-database": {{ "type": "memfile", "lfc-interval": 3600, "name": "{folder}/kea.csv" }},
            "valid-lifetime": 43200,
            "authoritative": true,
            {classes}
            "subnet4": [ {{
                "subnet": "{subnet}",
                "pools": [ {{ "pool": "{first} - {last}" }} ],
                "next-server": "{server}",
                "boot-file-name": "{boot_file}",
                "option-data": [ {{ "name": "routers", "data": "{server}" }} ]
            }} ],
            "loggers": [ {{
                "name": "kea-dhcp4",
                "output_options": [ {{ "output": "{folder}/kea.log" }} ],
                "severity": "INFO"
            }} ]
        }} }}"#
    );
    let file = state.join("kea.conf");
    fs::write(&file, config)?;
    let mut command = bed.host.command("kea-dhcp4");
    command.arg("-c").arg(file).env("KEA_PIDFILE_DIR", state).env("KEA_LOCKFILE_DIR", state);
    Ok(command)
}

/// Where scripts/setup.sh unpacks the packages that conflict with each other, each below its name.
const UNPACKED: &str = "/usr/local/lib/lanboot-bench";

fn unpacked(bed: &Bed, package: &str, program: &str) -> Command {
    let file = Path::new(UNPACKED).join(package).join("usr/sbin").join(program);
    bed.host.command(if file.exists() { file.as_os_str() } else { program.as_ref() })
}

/// As Debian's package starts it; only its user is there on every system.
fn tftpd_hpa(bed: &Bed, root: &Path) -> Command {
    let mut command = unpacked(bed, "tftpd-hpa", "in.tftpd");
    command.args(["--foreground", "--user", "nobody", "--address"]).arg(format!("{}:69", bed.subnet.server));
    command.arg("--secure").arg(root);
    command
}

/// As Debian's package starts it, with room for more than 100 transfers at a time.
fn atftpd(bed: &Bed, root: &Path, state: &Path) -> Command {
    let mut command = unpacked(bed, "atftpd", "atftpd");
    command.args(["--daemon", "--no-fork", "--user", "root.root", "--port", "69", "--bind-address"]);
    command.arg(bed.subnet.server.to_string());
    command.args(["--tftpd-timeout", "300", "--retry-timeout", "5", "--maxthread", "2000", "--verbose=5"]);
    command.arg("--logfile").arg(state.join("atftpd.log")).arg(root);
    command
}

/// Debian's nginx.conf, with room for the connections that are asked for.
fn nginx(bed: &Bed, root: &Path, state: &Path, logs: bool) -> Result<Command> {
    let (server, root, folder) = (bed.subnet.server, root.display(), state.display());
    let log = if logs { format!("{folder}/nginx-access.log") } else { "off".into() };
    let config = format!(
        "user root;\nworker_processes auto;\nworker_rlimit_nofile 65536;\npid {folder}/nginx.pid;\n\
         error_log {folder}/nginx-error.log;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n  sendfile on;\n  tcp_nopush on;\n  types_hash_max_size 2048;\n  gzip on;\n\
         \x20 include /etc/nginx/mime.types;\n  default_type application/octet-stream;\n\
         \x20 access_log {log};\n\
         \x20 server {{ listen {server}:80; root {root}; }}\n}}\n"
    );
    let file = state.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = bed.host.command("nginx");
    command.arg("-c").arg(file).args(["-e", "stderr", "-g", "daemon off;"]);
    Ok(command)
}

/// This program, see `nothing.rs`.
fn nothing(bed: &Bed) -> Result<Command> {
    let mut command = bed.host.command(std::env::current_exe()?);
    let (first, _) = bed.subnet.range;
    command.args(["nothing", &bed.subnet.server.to_string(), &first.to_string()]);
    Ok(command)
}
