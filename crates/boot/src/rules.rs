//! What an answer carries: rules on options and boot files in, the options and header fields of one answer out.
//!
//! Which rules win, and the order of the options, are dnsmasq's (`dhcp-option`, `dhcp-option-force`, `dhcp-boot`):
//! tests/precedence.rs compares them with the original.

mod encapsulated;

use std::net::Ipv4Addr;

use dhcp::v4::options::Value;
use dhcp::v4::{Packet, code};

use crate::matching::{self, Met, TagExpr, TagIf, TagRule, Tags};
use crate::pxe_menu::Pxe;

/// Where an option goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into the answer itself. 255 stands for the header field `siaddr`.
    Plain(u8),
    /// Into option 43, for vendor classes (option 60) with this text in them.
    Vendor { class: Vec<u8>, sub: u8 },
    /// Into another option.
    Encap { option: u8, sub: u8 },
    /// Into option 125, under this enterprise (RFC 3925 section 4).
    ViEncap { enterprise: u32, sub: u8 },
}

impl Target {
    /// The most octets of a value that fit; what is longer is cut.
    pub fn room(&self) -> usize {
        match self {
            Target::Plain(_) => 255,
            // Code, length and the end mark.
            Target::Vendor { .. } | Target::Encap { .. } => 255 - 3,
            // Enterprise and its length, code and length.
            Target::ViEncap { .. } => 255 - 5 - 2,
        }
    }
}

/// An option for the answers to requests with these tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionRule {
    pub tags: TagExpr,
    pub target: Target,
    /// Without octets it keeps an option that would be sent by default from being sent.
    pub value: Value,
    /// Whether it is sent even to those who do not ask for it.
    pub force: bool,
}

/// A boot file for the answers to requests with these tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootRule {
    pub tags: TagExpr,
    /// Empty: none.
    pub file: String,
    /// `sname`; empty: none.
    pub server_name: String,
    /// `siaddr`; `None`: our own address.
    pub server_address: Option<Ipv4Addr>,
    /// Others that take turns with it.
    pub more_servers: Vec<Ipv4Addr>,
}

impl BootRule {
    fn server(&self, turn: u32) -> Option<Ipv4Addr> {
        let all: Vec<Ipv4Addr> = self.server_address.iter().chain(&self.more_servers).copied().collect();
        all.get(turn as usize % all.len().max(1)).copied()
    }
}

/// A whole set of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub matches: Vec<TagRule>,
    pub tag_ifs: Vec<TagIf>,
    /// A request that meets one of these gets no answer.
    pub ignore: Vec<TagExpr>,
    pub options: Vec<OptionRule>,
    pub boots: Vec<BootRule>,
    /// Names of boot files stay in the header fields, whatever the client asks for.
    pub keep_fields: bool,
    pub pxe: Pxe,
}

impl Rules {
    /// All tags of a request. `base`: those that its circumstances set: interface, host, `known`, `bootp`, and weakly
    /// the range that its address is from.
    pub fn tags(&self, packet: &Packet<'_>, base: Tags) -> Tags {
        matching::tags(packet, base, &self.matches, &self.tag_ifs)
    }

    /// Whether a request with these tags gets no answer at all. The tags of ranges are not to be among them.
    pub fn ignores(&self, tags: &Tags) -> bool {
        self.ignore.iter().any(|expr| expr.holds(tags))
    }
}

/// What of a request decides which rules apply.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub tags: &'a Tags,
    /// Option 55; `None`: the client does not say, and everything is for it.
    pub requested: Option<&'a [u8]>,
    /// Option 60.
    pub vendor_class: Option<&'a [u8]>,
    /// Our address on the client's link, which takes the place of 0.0.0.0 in rules.
    pub ours: Ipv4Addr,
    /// `None`: no PXE client, or none that gets more than a boot file.
    pub pxe: Option<ForPxe<'a>>,
    /// Whose turn it is where several servers serve one boot file: any number, the same throughout one exchange.
    pub turn: u32,
}

/// What the answer to a PXE client carries besides what rules say.
#[derive(Clone, Copy, Debug)]
pub struct ForPxe<'a> {
    /// Option 60.
    pub vendor: &'a [u8],
    /// Option 97, as it came.
    pub machine_id: Option<&'a [u8]>,
    /// Ahead of the rules' own in option 43; see [`Pxe::options`].
    pub menu: &'a [(u8, Vec<u8>)],
}

impl ForPxe<'_> {
    fn identity(&self) -> Vec<(u8, Vec<u8>)> {
        let machine_id = self.machine_id.map(|id| (code::CLIENT_MACHINE_ID, id.to_vec()));
        std::iter::once((code::VENDOR_CLASS, self.vendor.to_vec())).chain(machine_id).collect()
    }
}

impl Asked<'_> {
    fn wants(&self, code: u8) -> bool {
        self.requested.is_none_or(|list| list.contains(&code))
    }

    fn asks_for(&self, code: u8) -> bool {
        self.requested.is_some_and(|list| list.contains(&code))
    }
}

/// What is sent unless a rule says otherwise. A rule for one of these options, even one without a value, replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Sent whether asked for or not, as is the broadcast address.
    pub netmask: Option<Ipv4Addr>,
    pub broadcast: Option<Ipv4Addr>,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
    pub hostname: Option<String>,
    /// The whole value of option 81, which no rule replaces.
    pub fqdn: Option<Vec<u8>>,
}

impl Defaults {
    /// The options in the order in which they are sent, and whether only to those who ask.
    fn options(&self) -> [(u8, bool, Vec<u8>); 7] {
        let address = |address: Option<Ipv4Addr>| address.map_or_else(Vec::new, |address| address.octets().to_vec());
        let text = |text: &Option<String>| text.as_deref().unwrap_or("").into();
        [
            (code::SUBNET_MASK, false, address(self.netmask)),
            (code::BROADCAST_ADDRESS, false, address(self.broadcast)),
            (code::ROUTER, true, address(self.router)),
            (code::DNS_SERVERS, true, self.dns.iter().flat_map(Ipv4Addr::octets).collect()),
            (code::DOMAIN_NAME, true, text(&self.domain)),
            (code::HOST_NAME, true, text(&self.hostname)),
            (code::FQDN, false, self.fqdn.clone().unwrap_or_default()),
        ]
    }
}

/// What one answer carries, lease times and all that belongs to the exchange itself aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// In order. An option whose code stands here more than once is sent as often; one without octets is sent so.
    pub options: Vec<(u8, Vec<u8>)>,
    /// For the header field `file`, without a NUL; at most 127 octets.
    pub file: Vec<u8>,
    /// For the header field `sname`, without a NUL; at most 63 octets.
    pub server_name: Vec<u8>,
    /// For the header field `siaddr`.
    pub next_server: Ipv4Addr,
}

/// The options that rules give to one answer.
///
/// Of the rules for one option, the last wins among those whose tags hold by the request itself, else among those that
/// need the tags of the address's range, else among those without tags; `tag:!x` is a tag as any other. The winner is
/// sent when it is forced, asked for, or nothing is asked for in particular. Encapsulated options do not compete: all
/// whose tags hold are sent. The order is that of the rules, last first: plain options, encapsulated ones, option 43.
pub fn select(rules: &[OptionRule], asked: &Asked<'_>) -> Vec<(u8, Vec<u8>)> {
    let winners = Winners::of(rules, asked.tags);
    let mut options = Vec::new();
    for rule in rules.iter().rev() {
        let Target::Plain(code) = rule.target else { continue };
        let sent = !is_reserved(code) && winners.is(code, rule) && (rule.force || asked.wants(code));
        if !sent || (rule.value.is_empty() && has_default(code)) {
            continue;
        }
        let mut octets = rule.value.octets(asked.ours);
        if !octets.is_empty() && matches!(code, code::TFTP_SERVER_NAME | code::BOOTFILE) {
            octets.push(0); // PXE ROMs read these as strings of C.
        }
        options.push((code, octets));
    }
    let class = options.iter().find(|(code, _)| *code == code::VENDOR_CLASS).map(|(_, class)| class.clone());
    options.extend(encapsulated::options(rules, asked, class.as_deref()));
    options
}

/// All options of an answer beside another DHCP server, which may be asked for or not. `menu`: whether option 43 is among
/// them. Without [`Asked::pxe`] there are none.
pub fn proxied(rules: &[OptionRule], asked: &Asked<'_>, menu: bool) -> Vec<(u8, Vec<u8>)> {
    let Some(pxe) = &asked.pxe else { return Vec::new() };
    let mut options = pxe.identity();
    if menu {
        options.extend(encapsulated::menu(rules, &Asked { requested: None, ..*asked }));
    }
    options
}

/// All that one answer carries: defaults, options by rule, and where the boot file is told.
///
/// A boot rule's file and server name stand in their header fields, or in options 67 and 66 where those are asked for;
/// `keep_fields` (`dhcp-no-override`) leaves them in the fields. Without a boot rule, option rules for 66 and 67 that
/// are neither forced nor asked for fill the fields, and one for 255 gives `siaddr`.
pub fn carried(
    defaults: &Defaults,
    rules: &[OptionRule],
    boots: &[BootRule],
    asked: &Asked<'_>,
    keep_fields: bool,
) -> Carried {
    let winners = Winners::of(rules, asked.tags);
    let mut by_rule = select(rules, asked);
    let boot = boot_rule(boots, asked.tags);
    let next_server = match boot {
        Some(boot) => boot.server(asked.turn).unwrap_or(asked.ours),
        None => winners.get(code::END).and_then(|rule| first_address(&rule.value)).unwrap_or(asked.ours),
    };
    let mut options = Vec::new();
    let mut field = |code: u8, text: Option<&str>, room: usize| {
        let rule = winners.get(code).filter(|rule| !rule.force && !asked.asks_for(code));
        let (text, may_move) = match (text, rule) {
            (Some(text), _) => (text.as_bytes().to_vec(), asked.asks_for(code) && !keep_fields),
            (None, Some(rule)) => (rule.value.literal(), false),
            (None, None) => return Vec::new(),
        };
        if text.is_empty() {
            return text;
        }
        let moves = may_move || text.len() > room;
        if moves || boot.is_none() {
            // Twice the same option would be read as one long value (RFC 3396).
            by_rule.retain(|(sent, _)| *sent != code);
        }
        if !moves {
            return text;
        }
        options.push((code, [text.as_slice(), &[0]].concat()));
        Vec::new()
    };
    let server_name = field(code::TFTP_SERVER_NAME, boot.map(|boot| boot.server_name.as_str()), 63);
    let file = field(code::BOOTFILE, boot.map(|boot| boot.file.as_str()), 127);
    for (code, only_asked, octets) in defaults.options() {
        let is_ruled = code != code::FQDN && winners.get(code).is_some();
        if !is_ruled && !octets.is_empty() && (!only_asked || asked.wants(code)) {
            options.push((code, octets));
        }
    }
    options.append(&mut by_rule);
    Carried { options, file, server_name, next_server }
}

/// T1 and T2 (options 58 and 59, sent whether asked for or not) of a lease, in seconds; `None` when it never ends.
///
/// A half and seven eighths of the lease unless rules give times within it; T1 is always before T2.
pub fn renewal_times(rules: &[OptionRule], tags: &Tags, lease_secs: u32) -> Option<(u32, u32)> {
    if lease_secs == u32::MAX {
        return None;
    }
    let winners = Winners::of(rules, tags);
    let ruled = |code| {
        let octets = winners.get(code)?.value.literal();
        let secs = u32::from_be_bytes(octets.try_into().ok()?);
        (secs > 2 && secs < lease_secs).then_some(secs)
    };
    let t2 = ruled(code::REBINDING_TIME).unwrap_or((u64::from(lease_secs) * 7 / 8) as u32);
    let t1 = ruled(code::RENEWAL_TIME).unwrap_or(lease_secs / 2);
    Some((t1.min(t2.saturating_sub(1)), t2))
}

/// The boot rule of an answer: the last one with tags that hold, else the last one without tags.
pub fn boot_rule<'r>(boots: &'r [BootRule], tags: &Tags) -> Option<&'r BootRule> {
    let met = boots.iter().filter_map(|boot| Some((boot.tags.met(tags)? > Met::Always, boot)));
    met.max_by_key(|(tagged, _)| *tagged).map(|(_, boot)| boot)
}

/// The rule that wins each plain option. A list: there are few of them, and mostly none.
struct Winners<'r>(Vec<(u8, Met, &'r OptionRule)>);

impl<'r> Winners<'r> {
    fn of(rules: &'r [OptionRule], tags: &Tags) -> Winners<'r> {
        let mut winners: Vec<(u8, Met, &OptionRule)> = Vec::new();
        for rule in rules {
            let Target::Plain(code) = rule.target else { continue };
            let Some(met) = rule.tags.met(tags) else { continue };
            match winners.iter_mut().find(|(other, ..)| *other == code) {
                Some(winner) if met >= winner.1 => *winner = (code, met, rule),
                Some(_) => {}
                None => winners.push((code, met, rule)),
            }
        }
        Winners(winners)
    }

    fn get(&self, code: u8) -> Option<&'r OptionRule> {
        self.0.iter().find(|(other, ..)| *other == code).map(|(.., rule)| *rule)
    }

    fn is(&self, code: u8, rule: &OptionRule) -> bool {
        self.get(code).is_some_and(|winner| std::ptr::eq(winner, rule))
    }
}

/// Options that belong to the exchange itself, whatever rules say.
pub fn is_reserved(code: u8) -> bool {
    matches!(
        code,
        code::PAD
            | code::END
            | code::LEASE_TIME
            | code::OVERLOAD
            | code::MESSAGE_TYPE
            | code::SERVER_ID
            | code::MAX_MESSAGE_SIZE
            | code::RENEWAL_TIME
            | code::REBINDING_TIME
            | code::FQDN
    )
}

fn has_default(code: u8) -> bool {
    Defaults::default().options().iter().any(|(default, ..)| *default == code)
}

fn first_address(value: &Value) -> Option<Ipv4Addr> {
    match value {
        Value::Addresses(addresses) => addresses.first().copied(),
        Value::Octets(octets) => Some(<[u8; 4]>::try_from(octets.get(..4)?).ok()?.into()),
    }
}

#[cfg(test)]
mod tests;
