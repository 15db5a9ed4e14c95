//! The rules of `[dhcp]` as TOML tables: each is a text of its own, so that an importer can say where it comes from.

use std::time::Duration;

use boot::Host;
use boot::hosts::IdPattern;
use boot::matching::{Condition, Tag, TagExpr, TagIf, TagRule, relay_agent};
use boot::pxe_menu::{Boot, Service};
use boot::rules::{BootRule, OptionRule, Target};
use dhcp::v4::options::{self, Pattern, Value, Written};
use ipnet::Ipv4Net;

use super::{Printer, time};
use crate::resolve::show;
use crate::{Gives, Range};

/// A table with its heading.
fn table(name: &str, fill: impl FnOnce(&mut Printer)) -> String {
    let mut out = Printer(format!("[[dhcp.{name}]]\n"));
    fill(&mut out);
    out.0
}

/// `lab,!known`, as `when` has it.
pub(crate) fn tags(expr: &TagExpr) -> String {
    expr.to_string().replace("tag:", "")
}

impl Printer {
    fn when(&mut self, expr: &TagExpr) {
        if !expr.is_empty() {
            self.text("when", tags(expr));
        }
    }

    fn set(&mut self, set: &[Tag]) {
        match set {
            [one] => self.text("set", one.as_str()),
            _ => self.texts("set", set.iter().map(Tag::as_str)),
        }
    }

    fn option_code(&mut self, key: &str, code: u8) {
        match options::find(code) {
            Some(row) => self.text(key, row.name),
            None => self.bare(key, code),
        }
    }

    fn pattern(&mut self, pattern: &Pattern, shape: Option<options::Shape>, said: Option<Written<'_>>) {
        let plain = match pattern {
            Pattern::Any => return,
            Pattern::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Pattern::Start(octets) => id(octets),
            Pattern::Element(octets) => return self.element(octets, shape, said),
        };
        let key = if Pattern::read_as(shape, Written::bare(&plain)).as_ref() == Ok(pattern) { "value" } else { "text" };
        self.text(key, plain);
    }

    /// As it was said where that reads the same, else in octets.
    fn element(&mut self, octets: &[u8], shape: Option<options::Shape>, said: Option<Written<'_>>) {
        let said = said.map(|written| written.text);
        let same = |text: &&str| Pattern::read_as(shape, Written::bare(text)) == Ok(Pattern::Element(octets.to_vec()));
        match said.filter(same) {
            Some(text) => self.text("value", text),
            None => self.text("hex", hex(octets)),
        }
    }
}

/// `said`: how the value that is matched was written, where that is known.
pub(crate) fn tag_rule(rule: &TagRule, said: Option<Written<'_>>) -> String {
    table("tag", |out| {
        out.set(&rule.set);
        match &rule.when {
            Condition::Option { code, value } => {
                out.option_code("option", *code);
                out.pattern(value, options::find(*code).map(|row| row.shape), said);
            }
            Condition::VendorIdentified { enterprise, value } => {
                out.bare("enterprise", enterprise);
                out.pattern(value, None, said);
            }
            Condition::VendorClass(class) => out.text("vendor_class", String::from_utf8_lossy(class)),
            Condition::UserClass(class) => out.text("user_class", String::from_utf8_lossy(class)),
            Condition::Hardware(pattern) => out.text("mac", pattern),
            Condition::RelayAgent { sub, id } => {
                let key = match *sub {
                    relay_agent::CIRCUIT_ID => "circuit_id",
                    relay_agent::REMOTE_ID => "remote_id",
                    _ => "subscriber_id",
                };
                out.text(key, octets_or_text(id));
            }
            Condition::Name(pattern) => out.text("name", pattern),
            Condition::Arch(arch) => out.text("arch", arch.0),
        }
    })
}

pub(crate) fn tag_if(rule: &TagIf) -> String {
    table("tag", |out| {
        out.set(&rule.set);
        out.when(&rule.when);
    })
}

/// `said`: how the value was written, where that is known and keeps its meaning.
pub(crate) fn option(rule: &OptionRule, said: Option<Written<'_>>) -> String {
    table("option", |out| {
        let sub = match &rule.target {
            Target::Plain(code) => {
                out.option_code("option", *code);
                None
            }
            Target::Vendor { class, sub } => {
                out.text("vendor", String::from_utf8_lossy(class));
                Some(sub)
            }
            Target::Encap { option, sub } => {
                out.option_code("encap", *option);
                Some(sub)
            }
            Target::ViEncap { enterprise, sub } => {
                out.bare("enterprise", enterprise);
                Some(sub)
            }
        };
        sub.inspect(|sub| out.bare("option", sub));
        out.option_value(rule, said);
        if rule.force {
            out.bare("force", true);
        }
        out.when(&rule.tags);
    })
}

impl Printer {
    fn option_value(&mut self, rule: &OptionRule, said: Option<Written<'_>>) {
        let read = |written: Written<'_>| match rule.target {
            Target::Plain(code) => options::encode(code, written),
            _ => options::encode_as(None, written),
        };
        if rule.value.is_empty() {
            return;
        }
        let addresses = match &rule.value {
            Value::Addresses(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Value::Octets(_) => String::new(),
        };
        let literal = String::from_utf8(rule.value.literal()).unwrap_or_default();
        let said = said.map_or(String::new(), |written| written.text.to_owned());
        for text in [&said, &addresses, &literal].into_iter().filter(|text| !text.is_empty()) {
            for (key, written) in [("value", Written::bare(text)), ("text", Written::quoted(text))] {
                if read(written).as_ref() == Ok(&rule.value) {
                    return self.text(key, text);
                }
            }
        }
        self.text("hex", hex(&rule.value.literal()));
    }
}

pub(crate) fn boot(rule: &BootRule) -> String {
    table("boot", |out| {
        if !rule.file.is_empty() {
            out.text("file", &rule.file);
        }
        if !rule.server_name.is_empty() {
            out.text("server_name", &rule.server_name);
        }
        rule.server_address.inspect(|address| out.text("server", address));
        out.when(&rule.tags);
    })
}

/// An entry of the PXE menu.
pub(crate) fn menu(entry: &Service) -> String {
    table("menu", |out| {
        out.text("arch", entry.arch.0);
        out.text("text", String::from_utf8_lossy(&entry.text));
        match &entry.boot {
            Boot::File(name) => out.text("file", name),
            Boot::Server(kind) => out.bare("type", kind),
            Boot::Local => {}
        }
        entry.server.inspect(|address| out.text("server", address));
        out.when(&entry.tags);
    })
}

/// `own`: the network's own subnet, which need not be named.
pub(crate) fn pool(range: &Range, own: Option<Ipv4Net>) -> String {
    table("pool", |out| {
        match range.gives {
            Gives::Addresses(first, last) => out.text("range", show((first, last))),
            Gives::Reserved => out.text("range", "reserved"),
            Gives::Proxy => out.text("range", "proxy"),
        }
        if own != Some(range.subnet) {
            out.text("subnet", range.subnet);
        }
        if range.broadcast != range.subnet.broadcast() {
            out.text("broadcast", range.broadcast);
        }
        out.text("lease", time(range.lease));
        range.set.as_ref().inspect(|tag| out.text("set", tag.as_str()));
        out.when(&range.when);
    })
}

pub(crate) fn host(host: &Host) -> String {
    table("host", |out| {
        match host.hardware.as_slice() {
            [one] => out.text("mac", one),
            several => out.texts("mac", several),
        }
        match &host.client_id {
            Some(IdPattern::Ignored) => out.text("id", "*"),
            Some(IdPattern::Octets(octets)) => out.text("id", id(octets)),
            None => {}
        }
        host.name.as_ref().inspect(|name| out.text("name", name));
        host.address.inspect(|address| out.text("address", address));
        host.lease_secs.inspect(|secs| out.text("lease", time(Duration::from_secs(u64::from(*secs)))));
        if host.ignore {
            out.bare("ignore", true);
        }
        if !host.set.is_empty() {
            out.set(&host.set);
        }
        out.when(&host.when);
    })
}

/// Text where it can be read back as such, else octets.
fn id(octets: &[Option<u8>]) -> String {
    let whole: Option<Vec<u8>> = octets.iter().copied().collect();
    let text = whole.and_then(|whole| String::from_utf8(whole).ok());
    match text.filter(|text| !text.contains(':') && text != "*" && !text.chars().any(char::is_control)) {
        Some(text) => text,
        None => octets
            .iter()
            .map(|octet| octet.map_or("*".into(), |octet| format!("{octet:02x}")))
            .collect::<Vec<_>>()
            .join(":"),
    }
}

fn octets_or_text(octets: &[u8]) -> String {
    let text = String::from_utf8(octets.to_vec()).ok();
    let same = |text: &String| options::octets_or_text(Written::bare(text)) == octets;
    text.filter(same).unwrap_or_else(|| hex(octets))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}
