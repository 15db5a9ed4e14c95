//! What each option means: its grammar, read into a type of its own. Families have a file each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::table::Row;
use super::text::Text;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::said::Given;

pub mod answers;
pub mod dns;
pub mod hosts;
pub mod interfaces;
pub mod process;
pub mod pxe;
pub mod ranges;
pub mod relay;
pub mod service;
pub mod tags;
pub mod tftp;

use self::dns::DnsOption;
use answers::{BootFile, DhcpOption};
use hosts::DhcpHost;
use interfaces::Pattern;
use process::LogTo;
use pxe::{PxePrompt, PxeService};
use ranges::{DhcpRange, SharedNetwork};
use relay::{AlternatePort, Relay};
use service::{Domain, ReplyDelay};
use tags::{Match, TagIf, TagTest};
use tftp::{TftpRoot, UniqueRoot};

/// What one use of an option says. Paths are as written: relative ones are relative to the current folder.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Nothing here; where it would be something in dnsmasq, a warning says why.
    Nothing,

    /// Stay in the foreground.
    KeepInForeground,
    /// Debug mode: foreground, no change of user, no pid file, log to standard error too.
    NoDaemon,
    /// `None`: stay who we are.
    User(Option<String>),
    Group(Option<String>),
    /// `None`: write none.
    PidFile(Option<PathBuf>),
    LogTo(LogTo),
    LogDhcp,
    QuietDhcp,
    QuietTftp,

    /// Serve on these; empty: the value was left out, which adds none.
    Interface(Vec<Pattern>),
    ExceptInterface(Vec<Pattern>),
    ListenAddress(Vec<Given<IpAddr>>),
    BindInterfaces,
    BindDynamic,
    /// No DHCP, no TFTP and no router advertisements there.
    NoDhcpInterface(Vec<Pattern>),
    /// No DHCPv4 there.
    NoDhcpv4Interface(Vec<Pattern>),
    /// What arrives on the aliases arrived on the interface.
    BridgeInterface {
        interface: String,
        aliases: Vec<Pattern>,
    },

    DhcpRange(DhcpRange),
    SharedNetwork(SharedNetwork),
    DhcpHost(DhcpHost),
    DhcpHostsFile(PathBuf),
    DhcpHostsDir(PathBuf),
    DhcpOptsFile(PathBuf),
    DhcpOptsDir(PathBuf),
    ReadEthers,

    DhcpLeaseMax(u32),
    /// `None`: the default one.
    DhcpLeaseFile(Option<PathBuf>),
    LeaseFileReadOnly,
    /// A path with arguments, perhaps: dnsmasq runs it as one program.
    DhcpScript(PathBuf),
    DhcpScriptUser(String),
    ScriptArp,
    ScriptOnRenewal,
    DhcpAuthoritative,
    DhcpSequentialIp,
    DhcpNoOverride,
    DhcpIgnoreClid,
    DhcpRapidCommit,
    DhcpClientUpdate,
    DhcpFqdn,
    NoPing,
    ReplyDelay(ReplyDelay),
    Domain(Domain),
    AlternatePort(AlternatePort),
    Relay(Relay),
    /// Relays that stand between client and server all the way; empty: every relay.
    DhcpProxy(Vec<Given<Ipv4Addr>>),

    /// A machine that matches gets a tag.
    Match(Match),
    TagIf(TagIf),
    /// All of these hold: no answer.
    DhcpIgnore(Vec<TagTest>),
    /// All of these hold, or none is given: names that clients send do not count.
    DhcpIgnoreNames(Vec<TagTest>),
    DhcpGenerateNames(Vec<TagTest>),
    DhcpBroadcast(Vec<TagTest>),
    BootpDynamic(Vec<TagTest>),

    DhcpOption(DhcpOption),
    DhcpBoot(BootFile),
    PxeService(PxeService),
    PxePrompt(PxePrompt),
    /// Vendor classes that are taken for `PXEClient`.
    PxeVendor(Vec<Text>),

    /// TFTP on these interfaces; empty: wherever there is DHCP.
    EnableTftp(Vec<Pattern>),
    TftpRoot(TftpRoot),
    TftpUniqueRoot(UniqueRoot),
    TftpSecure,
    TftpNoFail,
    TftpLowercase,
    TftpNoBlocksize,
    TftpSinglePort,
    TftpMax(u32),
    TftpMtu(u32),
    /// First and last port, inclusive.
    TftpPortRange(u16, u16),

    Dns(Box<DnsOption>),

    /// lanboot's own: this folder over HTTP.
    HttpRoot(PathBuf),
    HttpPort(u16),
}

pub(super) type Read = Result<Meaning, Diagnostic>;

/// A path that means the same wherever the program goes: it leaves its folder when it goes into the background, and
/// reads lists again after that.
pub(super) fn settled(text: &Text) -> PathBuf {
    std::path::absolute(text.as_str()).unwrap_or_else(|_| text.as_str().into())
}

/// One use of an option, as its reader meets it.
pub struct Said<'a> {
    pub(super) row: &'static Row,
    pub(super) value: Option<Text>,
    pub(super) place: &'a Place,
    pub(super) notes: &'a mut Diagnostics,
}

impl Said<'_> {
    /// The value; empty where there is none.
    fn text(&self) -> Text {
        self.value.clone().unwrap_or_else(|| Text::of_flag("", ""))
    }

    /// The value, unless there is none or an empty one. dnsmasq takes either for "not said".
    fn some(&self) -> Option<Text> {
        self.value.clone().filter(|value| !value.is_empty())
    }

    /// The values between commas; none of none.
    fn list(&self) -> Vec<Text> {
        self.some().map_or(Vec::new(), |text| text.split(','))
    }

    /// A mistake in this option as a whole.
    fn wrong(&self, what: impl Into<String>, fix: impl Into<String>) -> Diagnostic {
        let place = self.value.as_ref().filter(|value| !value.is_empty()).map_or(self.place, Text::place);
        Diagnostic::error(what).at(place.clone()).fix(fix)
    }

    /// Warns that the option, or this part of it, changes nothing.
    pub(super) fn without_effect(&mut self, what: impl std::fmt::Display, why: &str) -> Meaning {
        let place = self.value.as_ref().filter(|value| !value.is_empty()).map_or(self.place, Text::place).clone();
        self.notes.push(Diagnostic::warning(format!("{what} changes nothing here: {why}")).at(place));
        Meaning::Nothing
    }

    /// Says that this is not quite what is meant, or does not do all that it says.
    fn note(&mut self, what: String) {
        let place = self.value.as_ref().map_or(self.place, Text::place).clone();
        self.notes.push(Diagnostic::warning(what).at(place));
    }

    pub(super) fn path(&self, meaning: fn(PathBuf) -> Meaning) -> Read {
        Ok(self.some().map_or(Meaning::Nothing, |text| meaning(settled(&text))))
    }

    pub(super) fn number(&self, max: u32, meaning: fn(u32) -> Meaning) -> Read {
        self.some().map_or(Ok(Meaning::Nothing), |text| number(&text, max).map(meaning))
    }
}

/// A decimal number of at most `max`, all of it digits.
fn number(text: &Text, max: u32) -> Result<u32, Diagnostic> {
    let digits = text.as_str();
    let all_digits = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    let value = digits.parse().ok().filter(|value| all_digits && *value <= max);
    value.ok_or_else(|| {
        let what = match all_digits {
            true => format!("{digits} is too large"),
            false => format!("`{digits}` is not a number"),
        };
        text.wrong(what, format!("write a whole number of at most {max}"))
    })
}

fn port(text: &Text) -> Result<u16, Diagnostic> {
    number(text, u16::MAX.into()).map(|port| port as u16)
}

/// An IPv4 address; quotes make it text.
fn as_address(text: &Text) -> Option<Ipv4Addr> {
    text.bare()?.parse().ok()
}

fn as_address6(text: &Text) -> Option<Ipv6Addr> {
    text.bare()?.parse().ok()
}

fn address(text: &Text) -> Result<Given<Ipv4Addr>, Diagnostic> {
    let place = text.place().clone();
    as_address(text).map(|value| Given { value, place }).ok_or_else(|| {
        let what = match as_address6(text) {
            Some(_) => format!("`{text}` is an IPv6 address, and lanboot speaks no DHCPv6 yet"),
            None if text.is_quoted() => format!("`{text}` stands in quotes, which makes it text"),
            None => format!("`{text}` is not an IPv4 address"),
        };
        text.wrong(what, "write four numbers, like 10.0.1.1")
    })
}

fn given(text: &Text) -> Given<String> {
    Given { value: text.as_str().to_owned(), place: text.place().clone() }
}

/// Refuses what stands after the last value that an option takes.
fn nothing_more(rest: &[Text], takes: &str) -> Result<(), Diagnostic> {
    match rest.first() {
        Some(extra) => Err(extra.wrong(format!("`{extra}` is one value too many"), format!("write {takes}"))),
        None => Ok(()),
    }
}

/// Where dnsmasq reads the last of several values, so do we, but we say it.
pub(super) fn replaced(notes: &mut Diagnostics, what: &str, last: &Place, first: &Place) {
    let warning = Diagnostic::warning(format!("a second {what}: only this one counts")).at(last.clone());
    notes.push(warning.also(first.clone(), "the first").fix("leave one of the two out"));
}

pub(super) fn http_root(said: &mut Said<'_>) -> Read {
    said.path(Meaning::HttpRoot)
}

pub(super) fn http_port(said: &mut Said<'_>) -> Read {
    let text = said.text();
    match port(&text)? {
        0 => Err(text.wrong("no server can be reached on port 0", "write a port from 1 to 65535, such as 80")),
        port => Ok(Meaning::HttpPort(port)),
    }
}
