//! `lanboot explain` where rules say what is booted: the answers that a machine of this kind would get, made by the
//! service itself from what such firmware says.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use config::{Config, ConflictCheck};
use dhcp::ClientArch;
use dhcp::v4::packet::{COOKIE, HEADER_OCTETS};
use dhcp::v4::{MessageType, Packet, code, options};
use ipnet::Ipv4Net;
use journal::Step;
use leases::{Clock, MemoryStore, UnixSecs};
use mac::Mac;
use server::dhcp::engine::{Effect, Engine};
use server::dhcp::{Link, Settings};
use server::machines::Machines;

use crate::Outcome;

/// What PXE firmware, and iPXE, ask for (option 55), as far as it matters for booting.
const REQUESTED: &[u8] = &[1, 3, 6, 12, 15, 28, 43, 54, 60, 66, 67, 97, 128, 129, 150, 175, 209, 210];

pub fn explain(config: &Config, mac: Mac, arch: ClientArch, address: Option<Ipv4Net>) -> Outcome {
    let Some(dhcp) = &config.dhcp else {
        println!("no answer from us: DHCP is off");
        return Ok(ExitCode::SUCCESS);
    };
    println!("{mac} is {arch}");
    let mut dhcp = dhcp.clone();
    dhcp.conflict_check = ConflictCheck::Off; // nobody is asked
    // On a host that has no such network yet, its range tells which one is meant.
    let implied = || {
        let (first, _) = dhcp.dynamic().next()?;
        Ipv4Net::new_assert(first, 24).hosts().next().map(|ours| Ipv4Net::new_assert(ours, 24))
    };
    let addresses = address.or_else(implied).into_iter().collect();
    let links = vec![Link::new(config.network.link.name(), addresses)];
    let settings = Settings { links, dhcp, policy: Arc::new(config.boot.clone()) };
    for (who, is_ipxe) in [("its firmware", false), ("iPXE", true)] {
        let mut engine = Engine::new(settings.clone(), Box::new(MemoryStore::default()), Arc::new(Machines::default()));
        engine.handle(Clock { wall: UnixSecs(1), running: Instant::now() }, 0, &discover(mac, arch, is_ipxe));
        println!();
        let effects: Vec<Effect> = engine.drain().collect();
        let (told, sent): (Vec<_>, Vec<_>) = effects.iter().partition(|effect| !matches!(effect, Effect::Send { .. }));
        told.into_iter().chain(sent).for_each(|effect| print(who, effect));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(who: &str, effect: &Effect) {
    match effect {
        Effect::Happened { step: Step::DhcpOffer { address, boot_file, because, .. }, .. } => {
            let boots = boot_file.as_ref().map_or("no boot file".to_owned(), |file| format!("boot file {file}"));
            println!("{who} asks for an address: {address}, {boots}");
            because.iter().for_each(|because| println!("  because of {because}"));
        }
        Effect::Happened { step: Step::ProxyAnswer { boot_file, because, .. }, .. } => {
            let boots = boot_file
                .as_ref()
                .map_or("a menu, or more on port 4011".to_owned(), |file| format!("boot file {file}"));
            println!("{who} asks for an address, which another server gives it: {boots}");
            because.iter().for_each(|because| println!("  because of {because}"));
        }
        Effect::Happened { step: Step::DhcpIgnored { because }, .. } => {
            println!("{who} asks for an address: no answer\n  because {because}");
        }
        Effect::Send { reply, .. } => {
            let Ok(packet) = Packet::parse(&reply.octets) else { return };
            let field = |name: &str, value: String| println!("  {name:<22}{value}");
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim_end_matches('\0').to_owned();
            if packet.siaddr() != Ipv4Addr::UNSPECIFIED {
                field("next server", packet.siaddr().to_string());
            }
            for (name, octets) in [("file", packet.file()), ("sname", packet.sname())] {
                if !octets.is_empty() {
                    field(name, text(&octets));
                }
            }
            for (code, data) in packet.options().filter(|(code, _)| *code != code::MESSAGE_TYPE) {
                field(&format!("{code} {}", options::name(code)), options::show(code, data));
            }
        }
        _ => {}
    }
}

/// A DHCPDISCOVER as such firmware sends it, or as iPXE does there.
fn discover(mac: Mac, arch: ClientArch, is_ipxe: bool) -> Vec<u8> {
    let class = if arch.is_http() && !is_ipxe { "HTTPClient" } else { "PXEClient" };
    let class = format!("{class}:Arch:{:05}:UNDI:003016", arch.0);
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[28..34].copy_from_slice(&mac.0);
    octets[236..240].copy_from_slice(&COOKIE);
    let mut option = |code: u8, data: &[u8]| {
        octets.extend([code, data.len() as u8]);
        octets.extend_from_slice(data);
    };
    option(code::MESSAGE_TYPE, &[MessageType::Discover as u8]);
    option(code::PARAMETER_REQUEST_LIST, REQUESTED);
    option(code::MAX_MESSAGE_SIZE, &1472u16.to_be_bytes());
    option(code::VENDOR_CLASS, class.as_bytes());
    option(code::CLIENT_ARCH, &arch.0.to_be_bytes());
    option(code::CLIENT_NDI, &[1, 3, 16]);
    if is_ipxe {
        option(code::USER_CLASS, b"iPXE");
        option(code::IPXE, &[boot::feature::HTTP, 1, 1, boot::feature::DNS, 1, 1]);
    }
    octets.push(code::END);
    octets
}
