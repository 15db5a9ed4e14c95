//! Options within options: 43 by vendor class, 125 by enterprise, any other by its code.

use dhcp::v4::code;
use dhcp::v4::options::contains;

use super::{Asked, ForPxe, OptionRule, Target};
use crate::pxe_menu::sub;

const VENDOR_IDENTIFYING_INFORMATION: u8 = 125;

/// What holds encapsulated options: all that go into the same one are sent together.
#[derive(Clone, Copy, PartialEq)]
enum Holder {
    Option(u8),
    Enterprise(u32),
}

impl Holder {
    fn of(rule: &OptionRule) -> Option<Holder> {
        match rule.target {
            Target::Encap { option, .. } => Some(Holder::Option(option)),
            Target::ViEncap { enterprise, .. } => Some(Holder::Enterprise(enterprise)),
            Target::Plain(_) | Target::Vendor { .. } => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Holder::Option(code) => code,
            Holder::Enterprise(_) => VENDOR_IDENTIFYING_INFORMATION,
        }
    }
}

/// The encapsulated options of an answer. `class`: the vendor class that the answer itself carries, which then counts
/// instead of the client's.
pub(super) fn options(rules: &[OptionRule], asked: &Asked<'_>, class: Option<&[u8]>) -> Vec<(u8, Vec<u8>)> {
    let holding: Vec<&OptionRule> = rules.iter().rev().filter(|rule| rule.tags.holds(asked.tags)).collect();
    let mut options = Vec::new();
    let mut done = Vec::new();
    for rule in &holding {
        let Some(holder) = Holder::of(rule) else { continue };
        let code = holder.code();
        if done.contains(&holder) || !(rule.force || asked.wants(code)) {
            continue;
        }
        done.push(holder);
        let parts = holding.iter().filter(|rule| Holder::of(rule) == Some(holder));
        let parts = parts.filter(|rule| rule.force || asked.wants(code)).map(|rule| part(rule));
        let head = match holder {
            Holder::Option(_) => None,
            Holder::Enterprise(enterprise) => Some(enterprise),
        };
        options.extend(pack(parts, head).into_iter().map(|data| (code, data)));
    }
    options.extend(asked.pxe.iter().flat_map(ForPxe::identity));
    options.extend(vendor(&holding, asked, class));
    options
}

/// Option 43 of a PXE client.
pub(super) fn menu(rules: &[OptionRule], asked: &Asked<'_>) -> Vec<(u8, Vec<u8>)> {
    let holding: Vec<&OptionRule> = rules.iter().rev().filter(|rule| rule.tags.holds(asked.tags)).collect();
    vendor(&holding, asked, None)
}

/// Option 43, and the vendor class that it answers to.
fn vendor(holding: &[&OptionRule], asked: &Asked<'_>, sent_class: Option<&[u8]>) -> Vec<(u8, Vec<u8>)> {
    let Some(class) = sent_class.or(asked.vendor_class).filter(|class| !class.is_empty()) else { return Vec::new() };
    // A prompt is for whoever counts as a PXE client.
    let fits = |rule: &&&OptionRule| match &rule.target {
        Target::Vendor { sub: sub::MENU_PROMPT, .. } if asked.pxe.is_some() => true,
        Target::Vendor { class: text, .. } => contains(class, text),
        _ => false,
    };
    let fitting: Vec<_> = holding.iter().filter(fits).collect();
    let prompts = fitting.iter().any(|rule| matches!(rule.target, Target::Vendor { sub: sub::MENU_PROMPT, .. }));
    let menu = asked.pxe.map_or(&[][..], |pxe| pxe.menu).iter();
    let menu = menu.filter(|(code, _)| !(prompts && *code == sub::MENU_PROMPT));
    let mut parts: Vec<_> = menu.map(|(code, data)| [&[*code, data.len() as u8], data.as_slice()].concat()).collect();
    // One that is forced brings all the others along.
    let sent = asked.wants(code::VENDOR_SPECIFIC) || fitting.iter().any(|rule| rule.force);
    parts.extend(fitting.into_iter().map(|rule| part(rule)));
    if parts.is_empty() || !sent {
        return Vec::new();
    }
    let instances = pack(parts.into_iter(), None);
    let mut options: Vec<_> = instances.into_iter().map(|data| (code::VENDOR_SPECIFIC, data)).collect();
    if sent_class.is_none() && asked.pxe.is_none() {
        options.push((code::VENDOR_CLASS, class.to_vec()));
    }
    options
}

/// Code, length, value. 0.0.0.0 is not our address in here.
fn part(rule: &OptionRule) -> Vec<u8> {
    let sub = match rule.target {
        Target::Plain(code) => code,
        Target::Vendor { sub, .. } | Target::Encap { sub, .. } | Target::ViEncap { sub, .. } => sub,
    };
    let mut value = rule.value.literal();
    value.truncate(rule.target.room());
    [&[sub, value.len() as u8], value.as_slice()].concat()
}

/// As many instances as it takes for parts to stay whole. An enterprise's have its number and their length before them
/// (RFC 3925), others an end mark behind the last (RFC 2132 section 8.4).
fn pack(parts: impl Iterator<Item = Vec<u8>>, enterprise: Option<u32>) -> Vec<Vec<u8>> {
    let head = if enterprise.is_some() { 5 } else { 0 };
    let mut instances: Vec<Vec<u8>> = Vec::new();
    for part in parts {
        match instances.last_mut() {
            Some(last) if last.len() + part.len() < 255 => last.extend(part),
            _ => instances.push([vec![0; head], part].concat()),
        }
    }
    match enterprise {
        Some(enterprise) => {
            for instance in &mut instances {
                let length = instance.len() - head;
                instance[..4].copy_from_slice(&enterprise.to_be_bytes());
                instance[4] = length as u8;
            }
        }
        None => instances.last_mut().into_iter().for_each(|last| last.push(code::END)),
    }
    instances
}
