//! Terms and decision in, options out: what an offer or an acknowledgement carries.

use std::net::Ipv4Addr;

use boot::matching::client_name;
use boot::pxe_menu::Client;
use boot::rules::{Asked, Defaults, ForPxe, carried};
use boot::{Answer, Decision};
use config::Chooser;
use dhcp::v4::{Draft, MessageType, code};
use journal::Stage;

use super::request::{Ctx, subnet_by_client};
use super::{Settings, proxy};

/// iPXE's encapsulated `no-pxedhcp` (option 175, sub-option 176): do not wait for a proxyDHCP server, this is all.
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// Fills in network parameters, what the rules say and, where something is to be booted, the boot file. Returns its name.
///
/// `address`: what the client is given; `None` for a DHCPINFORM.
pub(super) fn fill(
    draft: &mut Draft,
    ctx: &Ctx<'_>,
    settings: &Settings,
    decision: &Decision,
    address: Option<Ipv4Addr>,
) -> Option<String> {
    let by_rule = by_rules(draft, ctx, settings, address);
    let Some(file) = decision.answer.boot_file() else { return by_rule };
    draft.boot_file(ctx.us(address.unwrap_or(ctx.packet.ciaddr()), settings), file);
    match (ctx.facts.stage, &decision.answer) {
        // UEFI takes an offer for HTTP Boot only with this class echoed (UEFI 2.10 section 24.7).
        (Stage::HttpBoot, Answer::Url { .. }) => draft.option(code::VENDOR_CLASS, b"HTTPClient"),
        (Stage::Ipxe, _) => draft.option(code::IPXE, &NO_PXEDHCP),
        // No option 60 for PXE: with it but without option 43, UEFI would go and ask port 4011.
        _ => draft,
    };
    if let Some(id) = ctx.packet.option(code::CLIENT_MACHINE_ID) {
        draft.option(code::CLIENT_MACHINE_ID, &id);
    }
    Some(file.to_owned())
}

/// Network parameters, and what the rules give. Returns the name of the boot file that they name.
fn by_rules(draft: &mut Draft, ctx: &Ctx<'_>, settings: &Settings, address: Option<Ipv4Addr>) -> Option<String> {
    let (dhcp, request) = (&settings.dhcp, &ctx.packet);
    let known_address = address.unwrap_or(request.ciaddr());
    let reached = ctx.reached(known_address, settings);
    let range = reached.map(|reached| &dhcp.ranges[reached.range]);
    let tags = match range.and_then(|range| range.set.as_ref()) {
        Some(tag) => {
            // The rules are asked again: some wait for the tag of a range.
            let mut base = ctx.base.clone();
            base.set_weak(tag.clone());
            dhcp.rules.tags(request, base)
        }
        None => ctx.tags.clone(),
    };
    let requested = request.option(code::PARAMETER_REQUEST_LIST);
    let vendor_class = request.option(code::VENDOR_CLASS);
    let us = ctx.us(known_address, settings);
    let machine_id = proxy::machine_id(request);
    let menu;
    let pxe = match dhcp.rules.pxe.client(request).filter(|_| dhcp.chooser == Chooser::Rules) {
        Some(Client { vendor, arch: Some(arch), .. }) => {
            // UEFI firmware that has but one file to choose finds it on port 4011.
            let alone = dhcp.rules.pxe.only_file(arch, &tags).is_some();
            menu = if alone { Vec::new() } else { dhcp.rules.pxe.options(arch, &tags, us).unwrap_or_default() };
            Some(ForPxe { vendor: vendor.as_bytes(), machine_id: machine_id.as_deref(), menu: &menu })
        }
        _ => None,
    };
    let (requested, vendor_class) = (requested.as_deref(), vendor_class.as_deref());
    let asked = Asked { tags: &tags, requested, vendor_class, ours: us, pxe };
    let or = |address: Ipv4Addr, other| if address.is_unspecified() { other } else { address };
    let router = |said: Ipv4Addr| if said.is_unspecified() { reached.and_then(|it| it.router) } else { Some(said) };
    // Once it has a lease, a machine hears the name that it is known by, which may be what it calls itself.
    let takes_lease = request.message_type() == Some(MessageType::Request);
    let laid_down = ctx.host.as_ref().filter(|host| takes_lease || may_be_offered(ctx, host));
    let laid_down = laid_down.and_then(|host| host.name.clone());
    let defaults = Defaults {
        netmask: range.map(|range| range.subnet.netmask()),
        broadcast: range.map(|range| range.broadcast),
        router: dhcp.router.and_then(router),
        dns: dhcp.dns.iter().map(|server| or(*server, us)).collect(),
        domain: dhcp.domain.clone(),
        hostname: laid_down.or_else(|| name(ctx).filter(|_| takes_lease)),
    };
    let carried = carried(&defaults, &dhcp.rules.options, &dhcp.rules.boots, &asked, dhcp.rules.keep_fields);
    if dhcp.chooser == Chooser::Rules {
        draft.fields(carried.next_server, &carried.server_name, &carried.file);
    }
    if let Some(subnet) = subnet_by_client(request) {
        draft.option(code::SUBNET_SELECTION, &subnet.octets());
    }
    for (code, data) in &carried.options {
        draft.raw_option(*code, data);
    }
    let in_options = carried.options.iter().find(|(code, _)| *code == code::BOOTFILE).map(|(_, name)| name.as_slice());
    let name = Some(carried.file.as_slice()).filter(|file| !file.is_empty()).or(in_options)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

/// Whether an offer may carry the name that is laid down: a machine that calls itself otherwise may not like it, and who is
/// known by its name alone has it.
fn may_be_offered(ctx: &Ctx<'_>, host: &boot::Host) -> bool {
    let by_name_alone = host.hardware.is_empty() && host.client_id.is_none();
    let says = client_name(&ctx.packet).and_then(|name| Some(name.split('.').next()?.to_owned()));
    match (says, &host.name) {
        (Some(says), Some(name)) => !by_name_alone && says.eq_ignore_ascii_case(name),
        _ => true,
    }
}

/// The name that a machine is known by: what is laid down, or what it calls itself, without a domain.
pub(super) fn name(ctx: &Ctx<'_>) -> Option<String> {
    let laid_down = ctx.host.as_ref().and_then(|host| host.name.clone());
    laid_down.or_else(|| Some(client_name(&ctx.packet)?.split('.').next()?.to_owned()))
}
