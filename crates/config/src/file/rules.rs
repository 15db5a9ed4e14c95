//! The rules of `[dhcp]`: tags, options, boot files, pools and hosts, each a table of its own.

use boot::Host;
use boot::hosts::IdPattern;
use boot::matching::{Condition, NamePattern, Tag, TagExpr, TagIf, TagRule, relay_agent};
use boot::pxe_menu::{Boot, Service};
use boot::rules::{BootRule, OptionRule, Rules, Target};
use dhcp::ClientArch;
use dhcp::v4::options::{self, Pattern, Value as OptionValue, Written, octets_or_text};
use toml::de::DeValue;

use super::{Reader, Section, join};
use crate::diagnostic::{Diagnostic, Place};
use crate::nearest::nearest;
use crate::said::{self, Given};
use crate::value::{self, Wrong};

/// What a `[[dhcp.tag]]` may look at; it names exactly one.
const CONDITIONS: &[&str] = &[
    "option",
    "enterprise",
    "vendor_class",
    "user_class",
    "mac",
    "circuit_id",
    "remote_id",
    "subscriber_id",
    "name",
    "arch",
];

impl<'a> Reader<'a> {
    pub(super) fn rules(&mut self, section: &Section<'_>) -> Rules {
        let mut rules = Rules {
            ignore: self.texts(section, "ignore", value::tags).into_iter().map(|given| given.value).collect(),
            keep_fields: self.truth(section, "keep_fields").is_some_and(|given| given.value),
            ..Rules::default()
        };
        self.tables(section, "tag", |reader, section, place| reader.tag(section, place, &mut rules));
        self.tables(section, "option", |reader, section, place| {
            rules.options.extend(reader.option_rule(section, place));
        });
        self.tables(section, "boot", |reader, section, _| rules.boots.push(reader.boot_rule(section)));
        self.tables(section, "menu", |reader, section, place| {
            rules.pxe.services.extend(reader.menu_entry(section, place));
        });
        let classes = self.texts(section, "pxe_classes", |text| Ok(text.to_owned()));
        rules.pxe.vendors = classes.into_iter().map(|given| given.value).collect();
        rules
    }

    fn menu_entry(&mut self, section: &Section<'_>, place: Place) -> Option<Service> {
        let any = |text: &str| Ok(text.to_owned());
        let file = self.text(section, "file", any).map(|given| given.value);
        let kind = self.number(section, "type", 1..=u16::MAX.into()).map(|given: Given<u16>| given.value);
        let boot = match (file, kind) {
            (Some(_), Some(_)) => {
                let fix = "keep `file`, which lanboot serves, or `type`, for another boot server";
                let what = "this menu entry names both a file and a boot server type";
                self.mistakes.push(Diagnostic::error(what).at(place).fix(fix));
                return None;
            }
            (Some(file), None) => Boot::File(file),
            (None, Some(kind)) => Boot::Server(kind),
            (None, None) => Boot::Local,
        };
        let (arch, text) = (self.text(section, "arch", arch), self.text(section, "text", any));
        if !section.table.contains_key("arch") || !section.table.contains_key("text") {
            let fix = "write both, such as arch = \"bios\" and text = \"Install\"";
            let what = "this menu entry lacks its `arch` or `text`";
            self.mistakes.push(Diagnostic::error(what).at(place).fix(fix));
            return None;
        }
        Some(Service {
            tags: self.tags(section, "when").unwrap_or_default(),
            arch: arch?.value,
            text: text?.value.into_bytes(),
            boot,
            server: self.text(section, "server", value::address).map(|given| given.value),
        })
    }

    fn tag(&mut self, section: &Section<'_>, place: Place, rules: &mut Rules) {
        let set: Vec<Tag> = self.tag_names(section, "set");
        let when = self.tags(section, "when");
        let named: Vec<&str> = CONDITIONS.iter().copied().filter(|key| section.table.contains_key(*key)).collect();
        if !section.table.contains_key("set") {
            let fix = "add the tag that requests get: set = \"lab\"";
            return self.mistakes.push(Diagnostic::error("this tag lacks its `set`").at(place).fix(fix));
        }
        match (named.as_slice(), &when) {
            ([], Some(when)) => rules.tag_ifs.push(TagIf { when: when.clone(), set }),
            ([key], None) => {
                let condition = self.condition(section, key);
                rules.matches.extend(condition.map(|when| TagRule { when, set }));
            }
            _ => {
                let what = "a tag is set by exactly one thing";
                let fix = format!("keep one of {}, or `when` alone", CONDITIONS.join(", "));
                self.mistakes.push(Diagnostic::error(what).at(place).fix(fix));
            }
        }
    }

    fn condition(&mut self, section: &Section<'_>, key: &str) -> Option<Condition> {
        let relay = |sub: u8| move |id: Vec<u8>| Condition::RelayAgent { sub, id };
        match key {
            "option" => {
                let code = self.option_code(section, "option")?;
                let shape = options::find(code).map(|row| row.shape);
                Some(Condition::Option { code, value: self.pattern(section, shape)? })
            }
            "enterprise" => {
                let enterprise = self.number(section, "enterprise", 0..=u32::MAX.into())?.value;
                Some(Condition::VendorIdentified { enterprise, value: self.pattern(section, None)? })
            }
            "vendor_class" => self.octets(section, key).map(Condition::VendorClass),
            "user_class" => self.octets(section, key).map(Condition::UserClass),
            "mac" => Some(Condition::Hardware(self.text(section, key, value::hardware)?.value)),
            "circuit_id" => self.identifier(section, key).map(relay(relay_agent::CIRCUIT_ID)),
            "remote_id" => self.identifier(section, key).map(relay(relay_agent::REMOTE_ID)),
            "subscriber_id" => self.identifier(section, key).map(relay(relay_agent::SUBSCRIBER_ID)),
            "name" => Some(Condition::Name(self.text(section, key, |text| Ok(NamePattern::new(text)))?.value)),
            _ => Some(Condition::Arch(self.text(section, key, arch)?.value)),
        }
    }

    fn octets(&mut self, section: &Section<'_>, key: &str) -> Option<Vec<u8>> {
        self.text(section, key, |text| Ok(text.as_bytes().to_vec())).map(|given| given.value)
    }

    fn identifier(&mut self, section: &Section<'_>, key: &str) -> Option<Vec<u8>> {
        self.text(section, key, |text| Ok(octets_or_text(Written::bare(text)))).map(|given| given.value)
    }

    /// `value`, `text` or `hex`, or none of them: then any value will do. `None` after a mistake.
    fn pattern(&mut self, section: &Section<'_>, shape: Option<options::Shape>) -> Option<Pattern> {
        let read = |quoted| move |text: &str| Pattern::read_as(shape, Written { text, quoted }).map_err(bad_value);
        match self.value_key(section)? {
            "value" => self.text(section, "value", read(false)).map(|given| given.value),
            "text" => self.text(section, "text", read(true)).map(|given| given.value),
            "hex" => {
                let octets = self.text(section, "hex", value::octets)?.value;
                Some(if octets.is_empty() { Pattern::Any } else { Pattern::Element(octets) })
            }
            _ => Some(Pattern::Any),
        }
    }

    /// Which of `value`, `text` and `hex` is said; empty: none. `None` after a mistake.
    fn value_key(&mut self, section: &Section<'_>) -> Option<&'static str> {
        let said = ["value", "text", "hex"].into_iter().filter(|key| section.table.contains_key(*key));
        match *said.collect::<Vec<_>>() {
            [] => Some(""),
            [one] => Some(one),
            [first, second, ..] => {
                let place = self.place(section.table[second].span());
                let what = format!("`{first}` and `{second}` both give the option's value");
                self.mistakes.push(Diagnostic::error(what).at(place).fix("keep one of them"));
                None
            }
        }
    }

    fn option_rule(&mut self, section: &Section<'_>, place: Place) -> Option<OptionRule> {
        let tags = self.tags(section, "when").unwrap_or_default();
        let force = self.truth(section, "force").is_some_and(|given| given.value);
        if !section.table.contains_key("option") {
            let fix = "add its name or its number: option = \"ntp-server\"";
            self.mistakes.push(Diagnostic::error("this option lacks its `option`").at(place).fix(fix));
            return None;
        }
        let wraps = ["vendor", "encap", "enterprise"].into_iter().filter(|key| section.table.contains_key(*key));
        let wraps: Vec<&str> = wraps.collect();
        let code = self.option_code(section, "option")?;
        if wraps.is_empty() && boot::rules::is_reserved(code) {
            let what = format!(
                "option {code} ({}) belongs to the exchange itself and is never sent by a rule",
                options::name(code)
            );
            self.mistakes.push(Diagnostic::warning(what).at(place.clone()).fix("leave this table out"));
        }
        let target = match wraps.as_slice() {
            [] => Target::Plain(code),
            ["vendor"] => Target::Vendor { class: self.octets(section, "vendor")?, sub: code },
            ["encap"] => Target::Encap { option: self.option_code(section, "encap")?, sub: code },
            ["enterprise"] => Target::ViEncap {
                enterprise: self.number(section, "enterprise", 0..=u32::MAX.into())?.value,
                sub: code,
            },
            _ => {
                let what = "an option goes into one other only";
                self.mistakes.push(Diagnostic::error(what).at(place).fix("keep one of vendor, encap, enterprise"));
                return None;
            }
        };
        let value = self.option_value(section, &target)?;
        Some(OptionRule { tags, target, value, force })
    }

    /// `value`, `text` or `hex`; none of them: an option without data.
    fn option_value(&mut self, section: &Section<'_>, target: &Target) -> Option<OptionValue> {
        let encode = |text: &str, quoted: bool| {
            let written = Written { text, quoted };
            let value = match target {
                Target::Plain(code) => options::encode(*code, written),
                _ => options::encode_as(None, written),
            };
            let value = value.map_err(bad_value)?;
            let octets = value.literal().len();
            match octets <= target.room() {
                true => Ok(value),
                false => Err(bad_value(options::BadValue::TooLong { octets })),
            }
        };
        match self.value_key(section)? {
            "value" => Some(self.text(section, "value", |text| encode(text, false))?.value),
            "text" => Some(self.text(section, "text", |text| encode(text, true))?.value),
            "hex" => Some(OptionValue::Octets(self.text(section, "hex", value::octets)?.value)),
            _ => Some(OptionValue::Octets(Vec::new())),
        }
    }

    fn boot_rule(&mut self, section: &Section<'_>) -> BootRule {
        let any = |text: &str| Ok(text.to_owned());
        BootRule {
            tags: self.tags(section, "when").unwrap_or_default(),
            file: self.text(section, "file", any).map(|given| given.value).unwrap_or_default(),
            server_name: self.text(section, "server_name", any).map(|given| given.value).unwrap_or_default(),
            server_address: self.text(section, "server", value::address).map(|given| given.value),
            more_servers: Vec::new(),
        }
    }

    pub(super) fn pool(&mut self, section: &Section<'_>, place: Place) -> Option<said::Pool> {
        if !section.table.contains_key("range") {
            let fix = "add range = \"10.0.1.100-10.0.1.199\", or \"reserved\" to serve only known machines";
            self.mistakes.push(Diagnostic::error("this pool lacks its `range`").at(place).fix(fix));
            return None;
        }
        Some(said::Pool {
            gives: self.text(section, "range", value::pool_range)?,
            subnet: self.text(section, "subnet", value::subnet),
            broadcast: self.text(section, "broadcast", value::address),
            lease: self.text(section, "lease", value::lease),
            set: self.tag_names(section, "set").into_iter().next(),
            when: self.tags(section, "when").unwrap_or_default(),
        })
    }

    pub(super) fn host(&mut self, section: &Section<'_>) -> Host {
        let secs = |lease: std::time::Duration| u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
        Host {
            hardware: self.texts(section, "mac", value::hardware).into_iter().map(|given| given.value).collect(),
            client_id: self.text(section, "id", value::client_id).map(|given| given.value),
            when: self.tags(section, "when").unwrap_or_default(),
            set: self.tag_names(section, "set"),
            address: self.text(section, "address", value::address).map(|given| given.value),
            name: self.text(section, "name", value::host_name).map(|given| given.value),
            lease_secs: self.text(section, "lease", value::lease).map(|given| secs(given.value)),
            ignore: self.truth(section, "ignore").is_some_and(|given| given.value),
        }
    }

    fn tags(&mut self, section: &Section<'_>, key: &str) -> Option<TagExpr> {
        self.text(section, key, value::tags).map(|given| given.value)
    }

    fn tag_names(&mut self, section: &Section<'_>, key: &str) -> Vec<Tag> {
        self.texts(section, key, value::tag).into_iter().map(|given: Given<Tag>| given.value).collect()
    }

    /// An option by its number or its name.
    fn option_code(&mut self, section: &Section<'_>, key: &str) -> Option<u8> {
        let value = section.table.get(key)?;
        if matches!(value.get_ref(), DeValue::Integer(_)) {
            return self.number(section, key, 1..=255).map(|given| given.value);
        }
        self.note(section, key, value);
        self.one_text(&join(&section.path, key), value, option_name).map(|given| given.value)
    }
}

fn option_name(text: &str) -> Result<u8, Wrong> {
    let name = text.strip_prefix("option:").unwrap_or(text);
    options::by_name(name).ok_or_else(|| {
        let near = nearest(name, options::TABLE.iter().map(|row| row.name));
        let fix = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write its number, without quotes".to_owned(),
        };
        Wrong { what: format!("no DHCP option has the name `{name}`"), part: None, fix }
    })
}

fn arch(text: &str) -> Result<ClientArch, Wrong> {
    ClientArch::by_name(text).ok_or_else(|| {
        let names: Vec<_> = ClientArch::names().collect();
        let fix = format!("write one of {}, or a number of option 93 in quotes", names.join(", "));
        Wrong { what: format!("`{text}` is not an architecture"), part: None, fix }
    })
}

fn bad_value(error: options::BadValue) -> Wrong {
    Wrong { what: error.to_string(), part: None, fix: "docs/configuration.md says what values may be".into() }
}

/// What hosts are known by must be said.
pub(super) fn is_nobody(host: &Host) -> bool {
    let id = matches!(host.client_id, Some(IdPattern::Octets(_)));
    host.hardware.is_empty() && !id && host.name.is_none()
}
