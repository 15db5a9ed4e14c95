//! The start-up summary: what was made, what listens where, what will be booted, where to look next.

use std::fmt::Write;

use boot::Target;
use config::{Chooser, Config, Dns};
use dhcp::Platform;
use host::Applied;
use journal::Style;

/// One screen at most.
pub fn text(config: &Config, applied: &Applied, known_leases: usize, style: &Style) -> String {
    let server = applied.address.addr();
    let mut rows: Vec<(&str, String)> = Vec::new();
    let made = if applied.made { "made by lanboot" } else { "used as it is" };
    rows.push(("network", format!("{} {}, {made}", applied.interface, applied.address)));
    if config.network.masquerade {
        rows.push(("", format!("{} is masqueraded to the outside", applied.address.trunc())));
    }
    for forward in &config.network.forwards {
        let from = forward.interface.as_deref().unwrap_or("outside");
        let protocol = if forward.protocol == config::Transport::Tcp { "TCP" } else { "UDP" };
        rows.push(("", format!("{protocol} port {} on {from} leads to {}", forward.port, forward.to)));
    }
    rows.extend(services(config, server, known_leases));
    for (at, line) in boot_lines(config).into_iter().enumerate() {
        rows.push((if at == 0 { "boot" } else { "" }, line));
    }
    rows.push(("journal", config.state_dir.join("journal.jsonl").display().to_string()));
    let mut out = format!("lanboot {} is up\n\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in rows {
        let name = format!("{name:<9}");
        let name = if style.colour { format!("\x1b[1m{name}\x1b[0m") } else { name };
        writeln!(out, "  {name}{value}").expect("writing to a String cannot fail");
    }
    out.push_str("\nTurn a machine on: its boot appears below. Ctrl-C ends this and puts the host back.\n\n");
    out
}

fn services(config: &Config, server: std::net::Ipv4Addr, known: usize) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    rows.push(match &config.dhcp {
        Some(dhcp) if dhcp.is_proxy_only() => {
            ("proxy", format!("{server}:67 and {server}:4011, beside the server that gives out addresses"))
        }
        Some(dhcp) => {
            let ranges: Vec<_> = dhcp.dynamic().map(|(first, last)| format!("{first} to {last}")).collect();
            let known = match known {
                0 => String::new(),
                n => format!(", {n} known from before"),
            };
            let lease =
                dhcp.ranges.first().map_or_else(String::new, |range| format!(", leases of {}", time(range.lease)));
            ("dhcp", format!("{server}:67, {}{lease}{known}", ranges.join(", ")))
        }
        None => ("dhcp", "off".into()),
    });
    rows.push(match &config.tftp {
        Some(tftp) => ("tftp", format!("{server}:{}", tftp.port)),
        None => ("tftp", "off".into()),
    });
    rows.push(match &config.http {
        Some(http) if http.port == 80 => ("http", format!("http://{server}/ lists what is served")),
        Some(http) => ("http", format!("http://{server}:{}/ lists what is served", http.port)),
        None => ("http", "off".into()),
    });
    match &config.dns {
        Some(dns) => rows.extend(names(dns, server)),
        None => rows.push(("names", "off".into())),
    }
    rows
}

/// Who answers for names, and who is asked for those that are not known here.
fn names(dns: &Dns, server: std::net::Ipv4Addr) -> [(&'static str, String); 2] {
    let at = match dns.at.as_slice() {
        [] => format!("{server}:{}", dns.port),
        at => at.iter().map(|at| at.address.to_string()).collect::<Vec<_>>().join(", "),
    };
    let domain = dns.settings.local.domains.default.as_ref();
    let domain = domain.map_or_else(String::new, |domain| format!(", domain {domain}"));
    let mut upstream = dns.upstream();
    for file in &dns.resolv.files {
        let servers = host::name_servers(file);
        let servers = if servers.is_empty() { "nobody yet".into() } else { servers.join(", ") };
        upstream.push(format!("{servers} (from {})", file.display()));
    }
    let upstream = if upstream.is_empty() { "nobody".into() } else { upstream.join(", ") };
    [("names", format!("{at}{domain}")), ("", format!("upstream {upstream}"))]
}

fn boot_lines(config: &Config) -> Vec<String> {
    if config.dhcp.as_ref().is_some_and(|dhcp| dhcp.chooser == Chooser::Rules) {
        return vec!["what the rules of [dhcp] say: `lanboot explain` shows it for a machine".into()];
    }
    let policy = &config.boot;
    let end = match &policy.target {
        Target::Nothing => {
            return vec!["nothing: addresses only (--kernel, --script or --tftp-root name what to boot)".into()];
        }
        Target::Linux { kernel, initrds, .. } => {
            let names: Vec<_> = std::iter::once(kernel).chain(initrds).map(|name| short(name)).collect();
            names.join(" + ")
        }
        Target::Script { name } => short(name).to_owned(),
        Target::BootFile { .. } => String::new(),
    };
    let mut lines = Vec::new();
    for platform in [Platform::Bios, Platform::UefiX64, Platform::UefiArm64] {
        let file = match &policy.target {
            Target::BootFile { any, by_platform } => by_platform.get(&platform).or(any.as_ref()),
            _ => None,
        };
        let end = file.map_or(end.as_str(), String::as_str);
        let chain = match (policy.ipxe.get(&platform), file) {
            (_, Some(file)) if policy.chain.is_direct(platform, file) => file.clone(),
            (None, Some(file)) => file.clone(),
            (Some(ipxe), _) if !end.is_empty() => format!("{ipxe} > {end}"),
            _ => "nothing: see `lanboot firmware list`".into(),
        };
        lines.push(format!("{:<11} > {chain}", platform_text(platform)));
    }
    lines
}

fn platform_text(platform: Platform) -> &'static str {
    match platform {
        Platform::Bios => "BIOS",
        Platform::UefiIa32 => "UEFI ia32",
        Platform::UefiX64 => "UEFI x64",
        Platform::UefiArm32 => "UEFI arm32",
        Platform::UefiArm64 => "UEFI arm64",
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("boot/").unwrap_or(name)
}

/// A lease time as people say it.
fn time(time: std::time::Duration) -> String {
    match time.as_secs() {
        secs if secs >= u64::from(u32::MAX) => "infinite time".into(),
        secs if secs % 86_400 == 0 => format!("{} d", secs / 86_400),
        secs if secs % 3600 == 0 => format!("{} h", secs / 3600),
        secs if secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}
