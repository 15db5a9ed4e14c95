//! What sets tags, and what answers carry.

use boot::matching::{Condition, NamePattern, Tag, TagRule, relay_agent};
use boot::rules::{BootRule, OptionRule, Target};
use dhcp::v4::options::{Pattern as ValuePattern, Written};

use super::super::options::answers::{BootFile, DhcpOption, Server, Wrap};
use super::super::options::tags::{Match, On};
use super::super::text::Text;
use super::{Lowering, expr};
use crate::diagnostic::Diagnostic;

impl Lowering {
    pub(super) fn tag_rule(&mut self, rule: &Match) {
        let when = match condition(&rule.on) {
            Ok(when) => when,
            Err(error) => {
                let fix = "see the manual's section on dhcp-match for what a value may be";
                self.found.push(Diagnostic::error(error).at(rule.set.place.clone()).fix(fix));
                return;
            }
        };
        self.rules.matches.push(TagRule { when, set: vec![Tag::from(rule.set.value.as_str())] });
    }

    pub(super) fn option(&mut self, option: &DhcpOption) {
        let code = option.code.value;
        let target = match &option.wrap {
            Wrap::None => Target::Plain(code),
            Wrap::Option(outer) => Target::Encap { option: *outer, sub: code },
            Wrap::Vendor(class) => Target::Vendor { class: class.as_str().into(), sub: code },
            Wrap::Enterprise(enterprise) => Target::ViEncap { enterprise: *enterprise, sub: code },
        };
        let (tags, value) = (expr(&option.tests), option.value.clone());
        self.rules.options.push(OptionRule { tags, target, value, force: option.force });
    }

    pub(super) fn boot(&mut self, boot: &BootFile) {
        let server_address = match &boot.server {
            None => None,
            Some(Server::Address(address)) => Some(address.value),
            Some(Server::Name(name)) => {
                self.boot_servers.push((self.rules.boots.len(), name.clone()));
                None
            }
        };
        self.rules.boots.push(BootRule {
            tags: expr(&boot.tests),
            file: boot.file.as_str().to_owned(),
            server_name: boot.server_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            server_address,
            more_servers: Vec::new(),
        });
    }
}

fn written(text: &Text) -> Written<'_> {
    if text.is_quoted() { Written::quoted(text.as_str()) } else { Written::bare(text.as_str()) }
}

fn condition(on: &On) -> Result<Condition, String> {
    let relay = |sub: u8, id: &[u8]| Condition::RelayAgent { sub, id: id.to_vec() };
    Ok(match on {
        On::Option { code, value } => {
            let value = value.as_ref().map(|text| ValuePattern::read(*code, written(text)));
            let value = value.transpose().map_err(|error| error.to_string())?.unwrap_or(ValuePattern::Any);
            Condition::Option { code: *code, value }
        }
        On::Enterprise { number, value } => {
            let value = value.as_ref().map(|text| ValuePattern::read_as(None, written(text)));
            let value = value.transpose().map_err(|error| error.to_string())?.unwrap_or(ValuePattern::Any);
            Condition::VendorIdentified { enterprise: *number, value }
        }
        On::VendorClass(text) => Condition::VendorClass(text.as_str().into()),
        On::UserClass(text) => Condition::UserClass(text.as_str().into()),
        On::Hardware(hardware) => Condition::Hardware(hardware.clone()),
        On::CircuitId(id) => relay(relay_agent::CIRCUIT_ID, id),
        On::RemoteId(id) => relay(relay_agent::REMOTE_ID, id),
        On::SubscriberId(id) => relay(relay_agent::SUBSCRIBER_ID, id),
        On::Name { name, open } => {
            let text = if *open { format!("{name}*") } else { name.clone() };
            Condition::Name(NamePattern::new(&text))
        }
    })
}
