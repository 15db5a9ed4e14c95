//! PXE beyond a boot file: beside another DHCP server we say what to boot (proxyDHCP, PXE 2.1 section 2.2.3), and we are
//! the boot server behind a menu's entries (section 2.2.5), on port 67 and on port 4011.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot::Answer;
use boot::matching::Tags;
use boot::pxe_menu::{self, Client, Item, discovery, sub};
use boot::rules::{self, Asked, BootRule, ForPxe};
use config::{Chooser, Gives, Range};
use dhcp::ClientArch;
use dhcp::v4::{Destination, Draft, MessageType, Packet, code};
use journal::{Stage, Step};
use leases::Clock;

use super::Settings;
use super::changes::LeaseChange;
use super::engine::{Effect, Engine};
use super::request::Ctx;

/// The port of PXE boot servers.
pub const PXE_PORT: u16 = 4011;

/// The vendor class of UEFI HTTP Boot, and the one that its firmware wants back (UEFI 2.10 section 24.7).
const HTTP_CLIENT: &str = "HTTPClient";

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Port 67.
    Dhcp,
    /// Port 4011, from this address and port.
    Pxe(SocketAddrV4),
}

/// What an answer names, for the journal.
struct Said {
    boot_file: Option<String>,
    because: Vec<String>,
}

impl Engine {
    /// Takes one UDP payload that reached port 4011, sent by `from`. See [`Engine::handle`].
    pub fn handle_pxe(&mut self, now: Clock, link: usize, from: SocketAddrV4, octets: &[u8]) {
        let now = self.lease_time(now);
        self.hear(now, link, Door::Pxe(from), octets);
    }

    /// Answers what is not a matter of addresses, and leaves alone what is for the server that gives them out. Returns
    /// whether that was all.
    pub(super) fn handled_as_pxe(&mut self, ctx: &Ctx<'_>, door: Door) -> bool {
        let settings = self.settings.clone();
        let pxe = &settings.dhcp.rules.pxe;
        let range = proxy_range(&settings, ctx);
        let kind = ctx.packet.message_type();
        let asks = match door {
            Door::Dhcp => kind == Some(MessageType::Discover),
            Door::Pxe(_) => matches!(kind, Some(MessageType::Discover | MessageType::Request)),
        };
        let chooses = matches!(kind, Some(MessageType::Request | MessageType::Inform));
        match (pxe.client(&ctx.packet).or_else(|| http_client(ctx)), range) {
            (Some(Client { vendor, item: Some(item), .. }), _) if chooses && !pxe.services.is_empty() => {
                self.serve_item(ctx, door, vendor, item);
            }
            (Some(Client { vendor, arch: Some(arch), .. }), Some(range)) if asks => {
                if kind == Some(MessageType::Discover) {
                    self.discovered(ctx);
                }
                self.answer_beside(ctx, door, vendor, arch, range);
            }
            _ if door == Door::Dhcp && !self.is_beside_another(ctx) => return false,
            _ => self.leave_to_another(ctx),
        }
        true
    }

    /// Whether another server gives out addresses on the client's network. As in dnsmasq, the first range says.
    fn is_beside_another(&self, ctx: &Ctx<'_>) -> bool {
        ctx.network.ranges.first().is_some_and(|at| self.settings.dhcp.ranges[at.range].gives == Gives::Proxy)
    }

    /// Hears which address a machine takes, so that what it asks for from there is known to be its own. Of machines that
    /// never booted from us there is nothing to say: the network is not ours.
    fn leave_to_another(&mut self, ctx: &Ctx<'_>) {
        let (machine, stage) = (ctx.facts.mac, ctx.facts.stage);
        if stage == Stage::Os && self.machines.facts(machine).is_none() {
            return;
        }
        let address = ctx.packet.address(code::REQUESTED_ADDRESS).unwrap_or(ctx.packet.ciaddr());
        if ctx.packet.message_type() == Some(MessageType::Request) && !address.is_unspecified() {
            self.has_address(ctx, address);
            if self.watched {
                self.effects.push(Effect::Lease(LeaseChange::Elsewhere(address)));
            }
            let server = ctx.packet.address(code::SERVER_ID);
            return self.happened(Some(machine), Step::AddressElsewhere { stage, address, server });
        }
        if stage != Stage::Os {
            self.ignore(Some(machine), "another DHCP server gives out addresses here".to_owned());
        }
    }

    /// Says what to boot to a client that gets its address from another server.
    fn answer_beside(&mut self, ctx: &Ctx<'_>, door: Door, vendor: &str, arch: ClientArch, range: &Range) {
        let is_discover = ctx.packet.message_type() == Some(MessageType::Discover);
        let kind = if is_discover { MessageType::Offer } else { MessageType::Ack };
        let mut draft = Draft::proxy(&ctx.packet, kind, ctx.network.us);
        let said = match self.settings.dhcp.chooser {
            Chooser::Rules => self.fill_by_rules(&mut draft, ctx, door, vendor, arch, range),
            Chooser::Policy => self.fill_by_policy(&mut draft, ctx, door, vendor, arch),
        };
        let Said { boot_file, because } = match said {
            Ok(said) => said,
            Err(because) => return self.ignore(Some(ctx.facts.mac), because),
        };
        if !ctx.packet.ciaddr().is_unspecified() {
            self.has_address(ctx, ctx.packet.ciaddr());
        }
        self.send_through(door, ctx, draft);
        let step = Step::ProxyAnswer { stage: ctx.facts.stage, boot_file, port: door.port(), because };
        self.happened(Some(ctx.facts.mac), step);
    }

    /// As dnsmasq: UEFI firmware gets a boot file or menu from port 4011 alone, as much of it heeds no menu in an offer;
    /// where one file only is for it, without a menu.
    fn fill_by_rules(
        &self,
        draft: &mut Draft,
        ctx: &Ctx<'_>,
        door: Door,
        vendor: &str,
        arch: ClientArch,
        range: &Range,
    ) -> Result<Said, String> {
        let (rules, us) = (&self.settings.dhcp.rules, ctx.network.us);
        let mut base = ctx.base.clone();
        range.set.iter().for_each(|tag| base.set(tag.clone()));
        let tags = rules.tags(&ctx.packet, base);
        let mut because = vec![format!("dnsmasq rules with the tags {tags}")];
        let boot = rules::boot_rule(&rules.boots, &tags);
        let mut menu = None;
        let boot_file = if vendor == HTTP_CLIENT {
            let url = boot.map(|boot| boot.file.as_str()).filter(|file| file.contains("://"));
            draft.boot_file(us, url.ok_or("no rule has a URL for UEFI HTTP Boot")?);
            url.map(str::to_owned)
        } else {
            let only = rules.pxe.only_file(arch, &tags);
            let wants_menu = if door == Door::Dhcp { !pxe_menu::is_uefi(arch) } else { only.is_none() };
            if wants_menu {
                let parts = rules.pxe.options(arch, &tags, us).map_err(|error| because.push(error.to_string()));
                menu = Some(parts.unwrap_or_default());
            }
            let (server, sname, file) = match (only, boot) {
                (Some(_), _) if door == Door::Dhcp => (us, String::new(), None),
                (Some(service), _) => {
                    let server = service.server.unwrap_or(us);
                    (server, server.to_string(), service.file(0))
                }
                (None, boot) => by_boot_rule(boot, if pxe_menu::is_uefi(arch) { us } else { Ipv4Addr::UNSPECIFIED }),
            };
            draft.fields(server, sname.as_bytes(), file.as_deref().unwrap_or_default().as_bytes());
            file
        };
        self.pxe_options(draft, ctx, &tags, vendor, menu.as_deref());
        Ok(Said { boot_file, because })
    }

    /// Our own chain. BIOS ROMs want to be told that nothing is to be discovered; UEFI firmware takes such offers for
    /// incomplete and asks port 4011 when it hears nothing of the kind.
    fn fill_by_policy(
        &mut self,
        draft: &mut Draft,
        ctx: &Ctx<'_>,
        door: Door,
        vendor: &str,
        arch: ClientArch,
    ) -> Result<Said, String> {
        let decision = self.decide(ctx);
        let because = decision.because;
        let Some(file) = decision.answer.boot_file() else { return Err(because.join("; ")) };
        draft.boot_file(ctx.network.us, file);
        let asks_again = door == Door::Dhcp && ctx.facts.stage == Stage::Pxe && pxe_menu::is_uefi(arch);
        let just_boot = [(sub::DISCOVERY_CONTROL, vec![discovery::JUST_BOOT])];
        let menu = Some(just_boot.as_slice()).filter(|_| vendor != HTTP_CLIENT && !asks_again);
        self.pxe_options(draft, ctx, &ctx.tags, vendor, menu);
        let boot_file = match &decision.answer {
            Answer::Nothing => None,
            Answer::Tftp { file } | Answer::Url { url: file } => Some(file.clone()),
        };
        Ok(Said { boot_file, because })
    }

    /// The boot server behind a menu: tells the file of the entry that a client chose.
    fn serve_item(&mut self, ctx: &Ctx<'_>, door: Door, vendor: &str, item: Item) {
        let machine = Some(ctx.facts.mac);
        let (pxe, us) = (&self.settings.dhcp.rules.pxe, ctx.network.us);
        let serves = |range: &Range| range.when.holds(&ctx.tags) && range.subnet.contains(&ctx.packet.ciaddr());
        if !ctx.network.ranges.iter().any(|at| serves(&self.settings.dhcp.ranges[at.range])) {
            return self.ignore(machine, format!("no range serves its address {}", ctx.packet.ciaddr()));
        }
        if item.wants_checksum() {
            return self.ignore(machine, "it wants a checksum before its boot file (PXE BIS)".to_owned());
        }
        let Some((service, file)) = pxe.service(item.kind).and_then(|it| Some((it, it.file(item.layer)?))) else {
            return self.ignore(machine, format!("no pxe-service has a file for boot server type {}", item.kind));
        };
        let text = String::from_utf8_lossy(&service.text).into_owned();
        let mut draft = Draft::boot_server(&ctx.packet, us);
        draft.fields(service.server.unwrap_or(us), &[], file.as_bytes());
        let chosen = [(sub::BOOT_ITEM, item.octets().to_vec())];
        self.pxe_options(&mut draft, ctx, &ctx.tags, vendor, Some(&chosen));
        self.has_address(ctx, ctx.packet.ciaddr());
        self.send_through(door, ctx, draft);
        let because = vec![format!("chosen from the menu: {text}")];
        let (stage, boot_file) = (ctx.facts.stage, Some(file));
        self.happened(machine, Step::ProxyAnswer { stage, boot_file, port: door.port(), because });
    }

    /// Options 60 and 97, and 43 where there is a menu.
    fn pxe_options(&self, draft: &mut Draft, ctx: &Ctx<'_>, tags: &Tags, vendor: &str, menu: Option<&[(u8, Vec<u8>)]>) {
        let class = ctx.packet.option(code::VENDOR_CLASS);
        let machine_id = machine_id(&ctx.packet);
        let parts = menu.unwrap_or_default();
        let pxe = ForPxe { vendor: vendor.as_bytes(), machine_id: machine_id.as_deref(), menu: parts };
        let asked = Asked {
            tags,
            requested: None,
            vendor_class: class.as_deref(),
            ours: ctx.network.us,
            pxe: Some(pxe),
            turn: ctx.packet.xid(),
        };
        for (code, data) in rules::proxied(&self.settings.dhcp.rules.options, &asked, menu.is_some()) {
            draft.raw_option(code, &data);
        }
    }

    fn has_address(&self, ctx: &Ctx<'_>, address: Ipv4Addr) {
        if !address.is_unspecified() {
            self.machines.has_address(ctx.facts.mac, address, ctx.now.running);
        }
    }

    /// What came to port 4011 is answered from there, to where it came from.
    fn send_through(&mut self, door: Door, ctx: &Ctx<'_>, draft: Draft) {
        let mut reply = draft.finish();
        let link = ctx.link;
        match door {
            Door::Dhcp => self.send(link, reply),
            Door::Pxe(from) => {
                let address = Some(ctx.packet.ciaddr()).filter(|address| !address.is_unspecified());
                reply.to = Destination::Unicast(SocketAddrV4::new(address.unwrap_or(*from.ip()), from.port()));
                self.effects.push(Effect::SendPxe { link, reply });
            }
        }
    }
}

/// The range by which we answer beside another server.
fn proxy_range<'s>(settings: &'s Settings, ctx: &Ctx<'_>) -> Option<&'s Range> {
    let mut ranges = ctx.network.ranges.iter().map(|at| &settings.dhcp.ranges[at.range]);
    ranges.find(|range| range.gives == Gives::Proxy && range.when.holds(&ctx.tags))
}

impl Door {
    fn port(self) -> u16 {
        match self {
            Door::Dhcp => 67,
            Door::Pxe(_) => PXE_PORT,
        }
    }
}

/// `siaddr`, `sname` and `file`. `unless_said`: whose file it is where the rule does not say.
fn by_boot_rule(rule: Option<&BootRule>, unless_said: Ipv4Addr) -> (Ipv4Addr, String, Option<String>) {
    let Some(rule) = rule else { return (unless_said, String::new(), None) };
    let file = Some(rule.file.clone()).filter(|file| !file.is_empty());
    (rule.server_address.unwrap_or(unless_said), String::new(), file)
}

/// Option 97, where it is as long as it must be: type and UUID.
pub(super) fn machine_id(packet: &Packet<'_>) -> Option<Vec<u8>> {
    packet.option(code::CLIENT_MACHINE_ID)?.get(..17).map(<[u8]>::to_vec)
}

/// UEFI HTTP Boot, which proxyDHCP serves as well as PXE.
fn http_client(ctx: &Ctx<'_>) -> Option<Client<'static>> {
    let is_http = ctx.facts.stage == Stage::HttpBoot;
    is_http.then_some(Client { vendor: HTTP_CLIENT, arch: ctx.facts.arch, item: None })
}
