//! Terms and decision in, options out: what an offer or an acknowledgement carries.

use boot::{Answer, Decision, Facts};
use dhcp::v4::{AckDraft, Draft, Packet, code};
use journal::Stage;

use super::Settings;

/// iPXE's encapsulated `no-pxedhcp` (option 175, sub-option 176): do not wait for a proxyDHCP server, this is all.
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// What takes options: an offer or an acknowledgement in the making.
pub(super) trait Options {
    fn put(&mut self, code: u8, data: &[u8]);
    fn boot(&mut self, server: std::net::Ipv4Addr, file: &str);
}

impl Options for Draft {
    fn put(&mut self, code: u8, data: &[u8]) {
        self.option(code, data);
    }
    fn boot(&mut self, server: std::net::Ipv4Addr, file: &str) {
        self.boot_file(server, file);
    }
}

impl Options for AckDraft {
    fn put(&mut self, code: u8, data: &[u8]) {
        self.option(code, data);
    }
    fn boot(&mut self, server: std::net::Ipv4Addr, file: &str) {
        self.boot_file(server, file);
    }
}

/// Fills in network parameters and, where something is to be booted, the boot file.
pub(super) fn fill(
    draft: &mut impl Options,
    request: &Packet<'_>,
    settings: &Settings,
    facts: &Facts,
    decision: &Decision,
) {
    network(draft, request, settings, facts);
    let Some(file) = decision.answer.boot_file() else { return };
    draft.boot(settings.address.addr(), file);
    match (facts.stage, &decision.answer) {
        // UEFI takes an offer for HTTP Boot only with this class echoed (UEFI 2.10 section 24.7).
        (Stage::HttpBoot, Answer::Url { .. }) => draft.put(code::VENDOR_CLASS, b"HTTPClient"),
        (Stage::Ipxe, _) => draft.put(code::IPXE, &NO_PXEDHCP),
        // No option 60 for PXE: with it but without option 43, UEFI would go and ask port 4011.
        _ => {}
    }
    if let Some(id) = request.option(code::CLIENT_MACHINE_ID) {
        draft.put(code::CLIENT_MACHINE_ID, &id);
    }
}

fn network(draft: &mut impl Options, request: &Packet<'_>, settings: &Settings, facts: &Facts) {
    let wanted = request.option(code::PARAMETER_REQUEST_LIST);
    let mut offer = |code: u8, data: &[u8]| {
        if wanted.as_ref().is_none_or(|list| list.contains(&code)) {
            draft.put(code, data);
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
