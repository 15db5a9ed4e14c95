//! Terms and decision in, options out: what an offer or an acknowledgement carries.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use boot::matching::Tags;
use boot::pxe_menu::Client;
use boot::rules::{Asked, Defaults, ForPxe, carried, renewal_times};
use boot::{Answer, Decision};
use config::Chooser;
use dhcp::v4::{Draft, code};
use journal::Stage;

use super::names::Names;
use super::request::{Ctx, subnet_by_client};
use super::{Settings, proxy};

/// iPXE's encapsulated `no-pxedhcp` (option 175, sub-option 176): do not wait for a proxyDHCP server, this is all.
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Occasion {
    Offer {
        address: Ipv4Addr,
        lease_secs: u32,
    },
    Lease {
        address: Ipv4Addr,
        lease_secs: u32,
        rapid: bool,
    },
    /// `name`: by the records.
    Inform {
        name: Option<String>,
    },
}

impl Occasion {
    fn lease(&self) -> Option<(Ipv4Addr, u32)> {
        match self {
            Occasion::Offer { address, lease_secs } | Occasion::Lease { address, lease_secs, .. } => {
                Some((*address, *lease_secs))
            }
            Occasion::Inform { .. } => None,
        }
    }

    /// The address that the machine is given, or has.
    fn address(&self, ctx: &Ctx<'_>) -> Ipv4Addr {
        self.lease().map_or(ctx.packet.ciaddr(), |(address, _)| address)
    }
}

/// The tags of a request, with those of the range of its address.
pub(super) fn tags<'t>(ctx: &'t Ctx<'_>, settings: &Settings, address: Ipv4Addr) -> Cow<'t, Tags> {
    let range = ctx.range(address, settings);
    match range.and_then(|range| range.set.as_ref()) {
        Some(tag) => {
            // The rules are asked again: some wait for the tag of a range.
            let mut base = ctx.base.clone();
            base.set_weak(tag.clone());
            Cow::Owned(settings.dhcp.rules.tags(&ctx.packet, base))
        }
        None => Cow::Borrowed(&ctx.tags),
    }
}

/// Fills in network parameters, what the rules say and, where something is to be booted, the boot file. Returns its name.
pub(super) fn fill(
    draft: &mut Draft,
    ctx: &Ctx<'_>,
    settings: &Settings,
    decision: &Decision,
    occasion: &Occasion,
) -> Option<String> {
    let by_rule = by_rules(draft, ctx, settings, occasion);
    let Some(file) = decision.answer.boot_file() else { return by_rule };
    draft.boot_file(ctx.us(occasion.address(ctx), settings), file);
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
fn by_rules(draft: &mut Draft, ctx: &Ctx<'_>, settings: &Settings, occasion: &Occasion) -> Option<String> {
    let (dhcp, request) = (&settings.dhcp, &ctx.packet);
    let lease = occasion.lease();
    let known_address = occasion.address(ctx);
    let tags = tags(ctx, settings, known_address);
    // BOOTP has no such list, whatever stands in its vendor area.
    let requested = request.option(code::PARAMETER_REQUEST_LIST).filter(|_| !request.is_bootp());
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
    let asked = Asked { tags: &tags, requested, vendor_class, ours: us, pxe, turn: request.xid() };
    let defaults = defaults(ctx, settings, occasion, &tags);
    let carried = carried(&defaults, &dhcp.rules.options, &dhcp.rules.boots, &asked, dhcp.rules.keep_fields);
    if dhcp.chooser == Chooser::Rules {
        draft.fields(carried.next_server, &carried.server_name, &carried.file);
    }
    if let Some(subnet) = subnet_by_client(request) {
        draft.option(code::SUBNET_SELECTION, &subnet.octets());
    }
    if let Some((t1, t2)) = lease.and_then(|(_, secs)| renewal_times(&dhcp.rules.options, &tags, secs)) {
        draft.renewal(t1, t2);
    }
    if dhcp.rules.keep_fields {
        draft.no_overload();
    }
    if dhcp.manners.broadcast.iter().any(|expr| expr.holds(&tags)) {
        draft.broadcast();
    }
    if matches!(occasion, Occasion::Lease { rapid: true, .. }) {
        draft.raw_option(code::RAPID_COMMIT, &[]);
    }
    for (code, data) in &carried.options {
        draft.raw_option(*code, data);
    }
    let in_options = carried.options.iter().find(|(code, _)| *code == code::BOOTFILE).map(|(_, name)| name.as_slice());
    let name = Some(carried.file.as_slice()).filter(|file| !file.is_empty()).or(in_options)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

/// What is sent unless rules say otherwise.
fn defaults(ctx: &Ctx<'_>, settings: &Settings, occasion: &Occasion, tags: &Tags) -> Defaults {
    let dhcp = &settings.dhcp;
    let address = occasion.address(ctx);
    let (us, reached) = (ctx.us(address, settings), ctx.reached(address, settings));
    let range = reached.map(|reached| &dhcp.ranges[reached.range]);
    let router = |said: Ipv4Addr| if said.is_unspecified() { reached.and_then(|it| it.router) } else { Some(said) };
    let or = |address: Ipv4Addr, other| if address.is_unspecified() { other } else { address };
    let names = Names::of(ctx, settings, tags);
    let hostname = match occasion {
        Occasion::Offer { .. } => names.offered(),
        Occasion::Lease { .. } => names.leased.clone(),
        Occasion::Inform { name } => names.informed().or_else(|| name.clone()),
    };
    let domain = dhcp.domain_of(address);
    let fqdn = |name: &String| Some(names.fqdn.as_ref()?.answer(dhcp.manners.client_updates, name, domain));
    Defaults {
        netmask: range.map(|range| range.subnet.netmask()),
        broadcast: range.map(|range| range.broadcast),
        router: dhcp.router.and_then(router),
        dns: dhcp.dns.iter().map(|server| or(*server, us)).collect(),
        domain: domain.map(str::to_owned),
        fqdn: hostname.as_ref().and_then(fqdn),
        hostname,
    }
}
