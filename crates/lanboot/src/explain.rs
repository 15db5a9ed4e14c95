//! `lanboot explain`: what would be answered to a machine, and why, without a packet.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

use boot::hosts::Who;
use boot::matching::Tags;
use boot::{Decision, Facts, History, Ipxe, Policy, feature};
use config::{Chooser, Config, Diagnostic};
use dhcp::ClientArch;
use journal::Stage;

use crate::args::Explain;
use crate::{Outcome, explain_rules, lab_dnsmasq, setup};

pub fn explain(args: &Explain) -> Outcome {
    let loaded = match args.dnsmasq.is_empty() {
        true => setup::load(&args.setup)?,
        false => lab_dnsmasq::load(&args.dnsmasq, &args.setup)?,
    };
    let config = &loaded.config;
    let arch = ClientArch::by_name(&args.arch).ok_or_else(|| {
        let names: Vec<_> = ClientArch::names().take(12).collect();
        Diagnostic::error(format!("`{}` is not an architecture", args.arch))
            .at(config::Place::Flag(format!("--arch {}", args.arch)))
            .fix(format!("one of {}, … or a number of option 93", names.join(", ")))
    })?;
    let address = config.network.address.or_else(|| host::address_of(config.network.link.name()));
    if config.dhcp.as_ref().is_some_and(|dhcp| dhcp.chooser == Chooser::Rules) {
        return explain_rules::explain(config, args.mac, arch, address);
    }
    let server = address.map_or(Ipv4Addr::UNSPECIFIED, |net| net.addr());
    let mut facts = firmware(args, arch, server, config);
    println!("{} is {arch}", args.mac);
    print_address(config, args);
    print_names(config, args, server);
    let first = boot::decide(&facts, &config.boot, Instant::now());
    print_decision("its firmware asks for an address", &first);
    if let Some(loader) = first.answer.boot_file().map(str::to_owned) {
        let name = loader.rsplit('/').next().unwrap_or(&loader);
        facts.history.loader_sent(Instant::now(), name);
        if !config.boot.ipxe.values().any(|ipxe| ipxe == name) {
            return Ok(ExitCode::SUCCESS);
        }
        facts.stage = Stage::Ipxe;
        facts.ipxe = Some(Ipxe::with_features(&[feature::HTTP, feature::DNS]));
        let second = boot::decide(&facts, &config.boot, Instant::now());
        print_decision("iPXE asks for an address", &second);
        print_script(&facts, &config.boot, &second);
    }
    Ok(ExitCode::SUCCESS)
}

/// What such a machine would say of itself.
fn firmware(args: &Explain, arch: ClientArch, server: Ipv4Addr, config: &Config) -> Facts {
    let named = config.boot.machines.get(&args.mac).and_then(|machine| machine.name.clone());
    Facts {
        mac: args.mac,
        stage: if arch.is_http() { Stage::HttpBoot } else { Stage::Pxe },
        arch: Some(arch),
        vendor_class: None,
        user_class: None,
        uuid: None,
        ipxe: None,
        relay: None,
        server,
        address: None,
        hostname: named,
        history: History::default(),
    }
}

fn print_address(config: &Config, args: &Explain) {
    let Some(dhcp) = &config.dhcp else {
        println!("\nno address from us: DHCP is off");
        return;
    };
    if dhcp.is_proxy_only() {
        println!("\nan address from another DHCP server; from us what to boot, on ports 67 and 4011");
        return;
    }
    let who = Who { hardware: (1, &args.mac.0), client_id: None, name: None };
    let host = dhcp.hosts.find(who, &Tags::default(), |_| true);
    match host.and_then(|host| host.address) {
        Some(address) => println!("\naddress {address}, reserved for it by [[machine]]"),
        None => {
            let ranges: Vec<_> = dhcp.dynamic().map(|(first, last)| format!("{first} to {last}")).collect();
            println!("\nan address from {}, or the one it had before", ranges.join(", "));
        }
    }
}

/// Whom it asks for names, and what it is called itself.
fn print_names(config: &Config, args: &Explain, server: Ipv4Addr) {
    let Some(dhcp) = config.dhcp.as_ref().filter(|dhcp| !dhcp.is_proxy_only()) else { return };
    let told: Vec<_> =
        dhcp.dns.iter().map(|dns| if dns.is_unspecified() { server } else { *dns }.to_string()).collect();
    match told.as_slice() {
        [] => println!("no DNS server"),
        servers => println!("DNS from {}", servers.join(" and ")),
    }
    let named = config.boot.machines.get(&args.mac).and_then(|machine| machine.name.as_ref());
    if let (Some(name), Some(_)) = (named, &config.dns) {
        let domain = dhcp.domain.as_ref().map_or_else(String::new, |domain| format!(" and {name}.{domain}"));
        println!("known to others as {name}{domain}, as soon as it has its address");
    }
}

fn print_decision(when: &str, decision: &Decision) {
    let answer = match decision.answer.boot_file() {
        Some(file) => format!("boot file {file}"),
        None => "no boot file".into(),
    };
    println!("\n{when}: {answer}");
    for because in &decision.because {
        println!("  because {because}");
    }
}

fn print_script(facts: &Facts, policy: &Policy, decision: &Decision) {
    let generated = boot::ipxe::script_name(facts.mac);
    if decision.answer.boot_file().is_some_and(|file| file.ends_with(&generated)) {
        println!("\n{generated} reads:");
        for line in boot::ipxe::script(facts, policy).lines() {
            println!("  {line}");
        }
    }
}
