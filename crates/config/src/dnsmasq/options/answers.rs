//! What answers carry: `dhcp-option`, `dhcp-boot`.

use std::net::Ipv4Addr;

use dhcp::v4::options::{self, Value, Whose, Written};

use super::tags::{TagTest, leading_tests, strip_tag, test};
use super::{Meaning, Read, Said, as_address, nothing_more, number};
use crate::diagnostic::Diagnostic;
use crate::dnsmasq::text::Text;
use crate::nearest::nearest;
use crate::said::Given;

/// An option for the machines that pass the tests.
#[derive(Clone, Debug, PartialEq)]
pub struct DhcpOption {
    pub tests: Vec<TagTest>,
    pub wrap: Wrap,
    pub code: Given<u8>,
    /// All that follows the option's number, commas included.
    pub text: Text,
    /// What it comes to. Empty: an option without data, or one of the defaults left out.
    pub value: Value,
    /// Sent whether the client asks for it or not.
    pub force: bool,
}

/// Where the option goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrap {
    /// Into the answer itself.
    None,
    /// `encap:175`: into this option.
    Option(u8),
    /// `vendor:PXEClient`: into option 43 for clients whose vendor class holds this; empty: for all.
    Vendor(Text),
    /// `vi-encap:2`: into option 125 (RFC 3925), under this enterprise's number.
    Enterprise(u32),
}

/// `dhcp-boot`: the file, and who has it.
#[derive(Clone, Debug, PartialEq)]
pub struct BootFile {
    pub tests: Vec<TagTest>,
    /// May be empty.
    pub file: Text,
    /// The header's `sname`.
    pub server_name: Option<Text>,
    /// `None`: our own address.
    pub server: Option<Server>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Server {
    Address(Given<Ipv4Addr>),
    /// A name in /etc/hosts.
    Name(Given<String>),
}

impl Server {
    pub(super) fn read(text: &Text) -> Option<Server> {
        let place = text.place().clone();
        Some(match as_address(text) {
            _ if text.is_empty() => return None,
            Some(value) => Server::Address(Given { value, place }),
            None => Server::Name(super::given(text)),
        })
    }
}

/// Which names of options may be used.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Names {
    /// Those of options that a user sets.
    ToSet,
    /// Those that only the protocol sets too.
    All,
}

/// An option by its number, or as `option:name`.
pub(super) fn code(text: &Text, names: Names) -> Result<u8, Diagnostic> {
    if let Some(name) = text.strip_prefix("option:") {
        return named(&name, names);
    }
    for prefix in ["encap:", "vendor:"] {
        if text.strip_prefix(prefix).is_some() {
            let what = format!("`{prefix}` has no place here");
            return Err(text.wrong(what, "match the option that wraps it, by its number"));
        }
    }
    if text.bare().is_some_and(is_number) && !text.is_quoted() {
        return number(text, 255).map(|code| code as u8);
    }
    let fix = match options::by_name(text.as_str()) {
        Some(_) => format!("write option:{text}"),
        None => "write its number, or option: and its name".to_owned(),
    };
    Err(text.wrong(format!("`{text}` is not an option"), fix))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

fn named(name: &Text, names: Names) -> Result<u8, Diagnostic> {
    let usable = |whose: Whose| whose == Whose::Listed || whose == Whose::Internal && names == Names::All;
    let is_usable = |code: &u8| options::find(*code).is_some_and(|row| usable(row.whose));
    if let Some(code) = options::by_name(name.as_str()).filter(is_usable) {
        return Ok(code);
    }
    let known = options::TABLE.iter().filter(|row| usable(row.whose)).map(|row| row.name);
    let fix = match nearest(name.as_str(), known) {
        Some(near) => format!("did you mean option:{near}?"),
        None if is_number(name.as_str()) => format!("write {name}: `option:` goes before names"),
        None => "`--help dhcp` lists the names; any option may be given by its number".to_owned(),
    };
    Err(name.wrong(format!("no DHCP option has the name `{name}`"), fix))
}

pub(in super::super) fn dhcp_option(said: &mut Said<'_>) -> Read {
    option(said, false)
}

pub(in super::super) fn dhcp_option_force(said: &mut Said<'_>) -> Read {
    option(said, true)
}

fn option(said: &mut Said<'_>, force: bool) -> Read {
    let read = read(&said.text(), force)?;
    Ok(match read {
        Some(option) => Meaning::DhcpOption(option),
        None => said.without_effect("`option6:`", "lanboot speaks no DHCPv6 yet"),
    })
}

/// The value of a `dhcp-option`, or a line of a file of such values. `None`: an option for DHCPv6.
pub(in super::super) fn read(text: &Text, force: bool) -> Result<Option<DhcpOption>, Diagnostic> {
    let (mut tests, mut wrap) = (Vec::new(), Wrap::None);
    let mut fields = text.parts(',');
    while let Some(field) = fields.next() {
        if field.strip_prefix("option6:").is_some() {
            return Ok(None);
        }
        if field.strip_prefix("option:").is_some() || field.as_str().bytes().all(|c| c.is_ascii_digit()) {
            return finish(tests, wrap, &field, fields.rest(), force).map(Some);
        }
        match wrapping(&field)? {
            Some(found) if wrap == Wrap::None => wrap = found,
            Some(_) => {
                return Err(field.wrong("an option goes into one other only", "keep one of encap:, vendor:, vi-encap:"));
            }
            // A tag needs no prefix here.
            None => tests.push(test(&strip_tag(&field).unwrap_or(field))?),
        }
    }
    Err(no_option(text))
}

/// `encap:`, `vendor:` or `vi-encap:`.
fn wrapping(field: &Text) -> Result<Option<Wrap>, Diagnostic> {
    Ok(if let Some(code) = field.strip_prefix("encap:") {
        Some(Wrap::Option(number(&code, 255)? as u8))
    } else if let Some(enterprise) = field.strip_prefix("vi-encap:") {
        Some(Wrap::Enterprise(number(&enterprise, u32::MAX)?))
    } else {
        field.strip_prefix("vendor:").map(Wrap::Vendor)
    })
}

fn no_option(blamed: &Text) -> Diagnostic {
    let fix = match blamed.split(',').iter().find(|field| options::by_name(field.as_str()).is_some()) {
        Some(name) => format!("write option:{name}"),
        None => "write the option's number or option:name, then its value: 66,10.0.1.1".to_owned(),
    };
    let what = if blamed.is_empty() { "no option is named".to_owned() } else { format!("`{blamed}` names no option") };
    blamed.wrong(what, fix)
}

fn finish(
    tests: Vec<TagTest>,
    wrap: Wrap,
    field: &Text,
    value: Option<Text>,
    force: bool,
) -> Result<DhcpOption, Diagnostic> {
    if field.is_empty() {
        return Err(no_option(field));
    }
    let code = code(field, Names::ToSet)?;
    if wrap == Wrap::None && matches!(code, options::code::OVERLOAD | options::code::MESSAGE_TYPE) {
        let what = format!("option {code} is the server's own to set");
        return Err(field.wrong(what, "leave the line out"));
    }
    let text = value.unwrap_or_else(|| field.slice(field.as_str().len()..field.as_str().len()));
    let written = Written { text: text.as_str(), quoted: text.is_quoted() };
    let encoded = match wrap {
        Wrap::None => options::encode(code, written),
        _ => options::encode_as(None, written),
    };
    let fix = format!("look up what option {code} ({}) takes", options::name(code));
    let value = encoded.map_err(|bad| text.wrong(bad.to_string(), fix))?;
    let code = Given { value: code, place: field.place().clone() };
    Ok(DhcpOption { tests, wrap, code, text, value, force })
}

pub(in super::super) fn dhcp_boot(said: &mut Said<'_>) -> Read {
    let mut fields = said.text().split(',');
    let tests = leading_tests(&mut fields)?;
    let takes = "dhcp-boot=[tag:x,]file[,name[,address]]";
    let Some(file) = fields.first().cloned() else {
        return Err(said.wrong("the file is missing", format!("write {takes}")));
    };
    nothing_more(fields.get(3..).unwrap_or_default(), takes)?;
    let server_name = fields.get(1).filter(|name| !name.is_empty()).cloned();
    let server = fields.get(2).and_then(Server::read);
    Ok(Meaning::DhcpBoot(BootFile { tests, file, server_name, server }))
}
