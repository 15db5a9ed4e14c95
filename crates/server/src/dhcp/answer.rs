//! Terms and decision in, options out: what an offer or an acknowledgement carries.

use std::net::Ipv4Addr;

use boot::rules::{Asked, Defaults, Rules, carried};
use boot::{Answer, Decision, Facts};
use dhcp::v4::{Draft, MessageType, Packet, code};
use journal::Stage;

use super::Settings;

/// iPXE's encapsulated `no-pxedhcp` (option 175, sub-option 176): do not wait for a proxyDHCP server, this is all.
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// Fills in network parameters and, where something is to be booted, the boot file. Returns its name.
///
/// `address`: what the client is given; `None` for a DHCPINFORM.
pub(super) fn fill(
    draft: &mut Draft,
    request: &Packet<'_>,
    settings: &Settings,
    facts: &Facts,
    decision: &Decision,
    address: Option<Ipv4Addr>,
) -> Option<String> {
    if let Some(rules) = &settings.dhcp.rules {
        return by_rules(draft, request, settings, rules, facts, address);
    }
    network(draft, request, settings, facts);
    let file = decision.answer.boot_file()?;
    draft.boot_file(settings.address.addr(), file);
    match (facts.stage, &decision.answer) {
        // UEFI takes an offer for HTTP Boot only with this class echoed (UEFI 2.10 section 24.7).
        (Stage::HttpBoot, Answer::Url { .. }) => draft.option(code::VENDOR_CLASS, b"HTTPClient"),
        (Stage::Ipxe, _) => draft.option(code::IPXE, &NO_PXEDHCP),
        // No option 60 for PXE: with it but without option 43, UEFI would go and ask port 4011.
        _ => draft,
    };
    if let Some(id) = request.option(code::CLIENT_MACHINE_ID) {
        draft.option(code::CLIENT_MACHINE_ID, &id);
    }
    Some(file.to_owned())
}

/// What the rules of the dnsmasq dialect give.
fn by_rules(
    draft: &mut Draft,
    request: &Packet<'_>,
    settings: &Settings,
    rules: &Rules,
    facts: &Facts,
    address: Option<Ipv4Addr>,
) -> Option<String> {
    let dhcp = &settings.dhcp;
    let reservation = dhcp.reservations.get(&facts.mac);
    let tags = rules.tags(request, reservation.is_some(), address);
    let requested = request.option(code::PARAMETER_REQUEST_LIST);
    let vendor_class = request.option(code::VENDOR_CLASS);
    let asked = Asked {
        tags: &tags,
        requested: requested.as_deref(),
        vendor_class: vendor_class.as_deref(),
        ours: settings.address.addr(),
    };
    // Once it has a lease, a machine hears the name that it is known by, which may be what it calls itself.
    let takes_lease = request.message_type() == Some(MessageType::Request);
    let own_name = own_name(settings, facts).filter(|_| takes_lease);
    let defaults = Defaults {
        netmask: Some(settings.address.netmask()),
        broadcast: Some(settings.address.broadcast()),
        router: dhcp.router,
        dns: dhcp.dns.clone(),
        domain: dhcp.domain.clone(),
        hostname: reservation.and_then(|reservation| reservation.hostname.clone()).or(own_name),
    };
    let carried = carried(&defaults, &rules.options, &rules.boots, &asked, rules.keep_fields);
    draft.fields(carried.next_server, &carried.server_name, &carried.file);
    for (code, data) in &carried.options {
        draft.raw_option(*code, data);
    }
    let in_options = carried.options.iter().find(|(code, _)| *code == code::BOOTFILE).map(|(_, name)| name.as_slice());
    let name = Some(carried.file.as_slice()).filter(|file| !file.is_empty()).or(in_options)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

/// What a machine calls itself. As in dnsmasq, the rules of its dialect take the name without a domain.
pub(super) fn own_name(settings: &Settings, facts: &Facts) -> Option<String> {
    let name = facts.hostname.as_deref()?;
    let first = name.split('.').next().filter(|_| settings.dhcp.rules.is_some());
    Some(first.unwrap_or(name).to_owned())
}

fn network(draft: &mut Draft, request: &Packet<'_>, settings: &Settings, facts: &Facts) {
    let wanted = request.option(code::PARAMETER_REQUEST_LIST);
    let mut offer = |code: u8, data: &[u8]| {
        if wanted.as_ref().is_none_or(|list| list.contains(&code)) {
            draft.option(code, data);
        }
    };
    let dhcp = &settings.dhcp;
    offer(code::SUBNET_MASK, &settings.address.netmask().octets());
    offer(code::BROADCAST_ADDRESS, &settings.address.broadcast().octets());
    if let Some(router) = dhcp.router {
        offer(code::ROUTER, &router.octets());
    }
    let dns: Vec<u8> = dhcp.dns.iter().flat_map(|server| server.octets()).collect();
    offer(code::DNS_SERVERS, &dns);
    if let Some(domain) = &dhcp.domain {
        offer(code::DOMAIN_NAME, domain.as_bytes());
    }
    let named = dhcp.reservations.get(&facts.mac).and_then(|reservation| reservation.hostname.as_deref());
    if let Some(hostname) = named {
        offer(code::HOST_NAME, hostname.as_bytes());
    }
}
