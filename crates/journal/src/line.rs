//! One event as one line of text for people.

use std::net::SocketAddrV4;

use jiff::Timestamp;
use serde::Serialize;

use crate::words::{clean, counted, in_time, octets, seconds};
use crate::{Event, Protocol, Role, Stage, Step, console, lookup};

/// A line of a boot's story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// When it began.
    pub at: Timestamp,
    /// When the last event joined into this line happened.
    pub until: Timestamp,
    /// What it is about, in a word or two: `firmware`, `tftp`, `os up`.
    pub topic: &'static str,
    pub text: String,
    pub tone: Tone,
    /// The likely cause, or what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How often this happened in a row.
    pub count: u32,
}

/// How loudly a line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// Belongs to every boot, of no interest while all goes well.
    Quiet,
    Plain,
    Good,
    Warn,
    Bad,
}

impl Line {
    pub(crate) fn new(at: Timestamp, topic: &'static str, text: String) -> Line {
        Line { at, until: at, topic, text, tone: Tone::Plain, hint: None, count: 1 }
    }

    pub(crate) fn tone(self, tone: Tone) -> Line {
        Line { tone, ..self }
    }

    fn hint(self, hint: impl Into<String>) -> Line {
        Line { hint: Some(hint.into()), ..self }
    }

    /// Says what became of a file. The reason may name the file itself, and a remedy after `fix:`.
    fn because(self, file: &str, because: &str) -> Line {
        let (because, fix) = match because.split_once("; fix: ") {
            Some((because, fix)) => (because, Some(clean(fix))),
            None => (because, None),
        };
        let text = if because.contains(file) { clean(because) } else { format!("{}: {}", clean(file), clean(because)) };
        Line { text, hint: fix, ..self }
    }

    /// The line of a file that is not there and without which the boot cannot go on.
    pub(crate) fn of_needed_file(event: &Event) -> Option<Line> {
        let Step::FileNotFound { protocol, file, because } = &event.step else { return None };
        let line = Line::new(event.at, protocol_topic(*protocol), String::new());
        Some(line.tone(Tone::Bad).because(file, because))
    }

    /// The line of an event that stands for itself. `None` for what is only part of an exchange, such as offers and size
    /// probes, and for what says nothing.
    pub fn of(event: &Event) -> Option<Line> {
        let line = |topic, text| Line::new(event.at, topic, text);
        Some(match &event.step {
            Step::DhcpDiscover { stage: Stage::Os, .. } | Step::DhcpOffer { .. } | Step::SizeProbe { .. } => {
                return None;
            }
            Step::DhcpAck { renewal: true, stage: Stage::Os, .. } => return None,
            Step::DhcpDiscover { stage, .. } => {
                line(stage_topic(*stage), format!("{} asks for an address", asker(&event.step, true)))
            }
            Step::DhcpAck { stage: Stage::Os, address, lease_secs, .. } => {
                line("address", format!("{address} for {}", lease(*lease_secs))).tone(Tone::Quiet)
            }
            Step::DhcpAck { stage, address, boot_file, .. } => {
                let topic = if *stage == Stage::Ipxe { "ipxe" } else { "address" };
                line(topic, granted(address, boot_file.as_deref()))
            }
            Step::DhcpInform { address } => line("address", format!("{address} asked for options")).tone(Tone::Quiet),
            Step::DhcpRelayed { to } => {
                let to: Vec<String> = to.iter().map(SocketAddrV4::to_string).collect();
                line("address", format!("passed on to {}", to.join(" and "))).tone(Tone::Quiet)
            }
            Step::DhcpNak { address, because } => {
                line("address", format!("{address} refused: {}", clean(because))).tone(Tone::Warn)
            }
            Step::ProxyAnswer { stage, boot_file, .. } => {
                let topic = if *stage == Stage::Ipxe { "ipxe" } else { "proxy" };
                line(topic, beside(boot_file.as_deref()))
            }
            Step::AddressElsewhere { stage: Stage::Os, server: None, .. } => return None,
            Step::AddressElsewhere { address, server, .. } => {
                line("address", elsewhere(address, server.as_ref())).tone(Tone::Quiet)
            }
            Step::DhcpDecline { address } => line("address", format!("{address} declined: somebody else uses it"))
                .tone(Tone::Warn)
                .hint("it is set aside for a while; find who has it, or give that one a reservation"),
            Step::DhcpRelease { address } => line("address", format!("{address} given back")).tone(Tone::Quiet),
            Step::DhcpIgnored { because } => line("ignored", clean(because)).tone(Tone::Quiet),
            Step::AddressInUse { address, by } => {
                let by = by.map(|mac| format!(" by {mac}")).unwrap_or_default();
                line("address", format!("{address} is already used{by}; set aside, trying another")).tone(Tone::Warn)
            }
            Step::LoopBroken { loader, times } => line(
                "loop",
                format!("given {} {times} times and never got past it; no more for a while", clean(loader)),
            )
            .tone(Tone::Bad)
            .hint("the loader starts and gives up: look at its screen; it may be made for another architecture"),
            Step::FileSent { protocol, role, .. } => {
                let tone = if *role == Role::Other { Tone::Quiet } else { Tone::Plain };
                line(protocol_topic(*protocol), sent(&event.step)).tone(tone)
            }
            Step::FileFailed { protocol, file, because, .. } => {
                line(protocol_topic(*protocol), String::new()).tone(Tone::Bad).because(file, because)
            }
            // Loaders try name after name until one is there.
            Step::FileNotFound { protocol, file, .. } => {
                line(protocol_topic(*protocol), format!("{} is not there", clean(file))).tone(Tone::Quiet)
            }
            Step::LookedUp { name, kind, answers, .. } => {
                line("dns", lookup::found(name, kind, answers)).tone(Tone::Quiet)
            }
            Step::LookUpFailed { name, kind, why } => {
                let line = line("dns", lookup::failed(name, why)).tone(lookup::tone(kind, why));
                Line { hint: lookup::remedy(name, why).map(Into::into), ..line }
            }
            Step::IpxeFailed { what, error } => {
                let line = line("ipxe", ipxe_failure(what, error)).tone(Tone::Bad);
                Line { hint: error_page(error), ..line }
            }
            Step::OsUp { how, detail } => {
                let text = match (how.as_str(), detail) {
                    ("dhcp", None) => "it asked for an address".to_owned(),
                    ("dhcp", Some(detail)) => clean(detail),
                    (how, None) => clean(how),
                    (how, Some(detail)) => format!("{}: {}", clean(how), clean(detail)),
                };
                line("os up", text).tone(Tone::Good)
            }
            Step::Report { what, text } => line("report", format!("{}: {}", clean(what), clean(text))),
            Step::Host { action } => line("host", clean(action)),
            Step::Listening { service, at } => line("listens", format!("{} on {at}", clean(service))),
            Step::LeasesWritten => {
                line("leases", "can be written again: new ones are given out".to_owned()).tone(Tone::Good)
            }
            Step::Warning { text, fix } => {
                let line = line("warning", clean(text)).tone(Tone::Warn);
                Line { hint: fix.as_deref().map(clean), ..line }
            }
            // The name stands beside it already, as it is the machine's.
            Step::VmStarted { firmware, .. } => line("vm", format!("starts with {} firmware", clean(firmware))),
            Step::Console { line: text } => line("console", console::words(text)?).tone(Tone::Quiet),
            Step::Typed { keys } => line("keys", clean(keys)).tone(Tone::Quiet),
            Step::VmStopped { because, .. } => line("vm", format!("stopped: {}", clean(because))),
            Step::Verdict { passed, because, .. } => {
                let (word, tone) = if *passed { ("booted", Tone::Good) } else { ("failed", Tone::Bad) };
                line("verdict", format!("{word}: {}", clean(because))).tone(tone)
            }
        })
    }
}

fn stage_topic(stage: Stage) -> &'static str {
    match stage {
        Stage::Pxe | Stage::HttpBoot => "firmware",
        Stage::Ipxe => "ipxe",
        Stage::Os => "address",
    }
}

pub(crate) fn protocol_topic(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tftp => "tftp",
        Protocol::Http => "http",
    }
}

/// Who sent a DISCOVER: `BIOS PXE (UNDI 2.1)`, `iPXE 1.21.1`. `rom`: an iPXE that nobody served before.
pub(crate) fn asker(discover: &Step, rom: bool) -> String {
    let Step::DhcpDiscover { stage, arch, vendor_class, firmware, .. } = discover else { return String::new() };
    let arch = arch.as_deref().map(arch_words).unwrap_or_default();
    let firmware = firmware.as_deref().map(clean);
    let in_brackets = |text: Option<String>| text.map(|text| format!(" ({text})")).unwrap_or_default();
    match stage {
        Stage::Pxe => format!("{arch} PXE{}", in_brackets(firmware)).trim_start().to_owned(),
        Stage::HttpBoot => format!("{arch} HTTP Boot{}", in_brackets(firmware)).trim_start().to_owned(),
        Stage::Ipxe if rom => {
            let arch = if arch.is_empty() { None } else { Some(arch) };
            format!("{} in ROM{}", firmware.as_deref().unwrap_or("iPXE"), in_brackets(arch))
        }
        Stage::Ipxe => firmware.unwrap_or_else(|| "iPXE".to_owned()),
        Stage::Os => format!("operating system{}", in_brackets(vendor_class.as_deref().map(clean))),
    }
}

/// `uefi-x64` as `UEFI x64`; the protocol is told beside it.
fn arch_words(arch: &str) -> String {
    match arch {
        "bios" | "x86 BIOS" => "BIOS".to_owned(),
        "uefi-http" => "UEFI x64".to_owned(),
        _ => {
            let arch = arch.strip_suffix("-http").or_else(|| arch.strip_suffix(" HTTP")).unwrap_or(arch);
            arch.strip_prefix("uefi-").map_or_else(|| clean(arch), |rest| format!("UEFI {}", clean(rest)))
        }
    }
}

/// `10.0.1.200, boot file undionly.kpxe`. An address of the web needs no more words.
pub(crate) fn granted(address: &std::net::Ipv4Addr, boot_file: Option<&str>) -> String {
    match boot_file {
        Some(url) if url.contains("://") => format!("{address}, {}", clean(url)),
        Some(file) => format!("{address}, boot file {}", clean(file)),
        None => format!("{address}, no boot file"),
    }
}

/// What a machine is told that another server gives its address.
pub(crate) fn beside(boot_file: Option<&str>) -> String {
    match boot_file {
        Some(url) if url.contains("://") => format!("told to boot {}", clean(url)),
        Some(file) => format!("told of boot file {}", clean(file)),
        None => "told that we have more on port 4011".to_owned(),
    }
}

pub(crate) fn elsewhere(address: &std::net::Ipv4Addr, server: Option<&std::net::Ipv4Addr>) -> String {
    match server {
        Some(server) => format!("{address} from {server}"),
        None => format!("{address} from another DHCP server"),
    }
}

fn lease(secs: u32) -> String {
    if secs == u32::MAX { "ever".to_owned() } else { seconds(u64::from(secs) * 1000) }
}

/// `kernel vmlinuz  8.2 MB in 0.4 s (20 MB/s), 3 blocks sent again`.
fn sent(step: &Step) -> String {
    let Step::FileSent { file, role, octets: size, millis, retransmits, .. } = step else { return String::new() };
    let role = match role {
        Role::Script => "script ",
        Role::Kernel => "kernel ",
        Role::Initrd => "initrd ",
        Role::Loader | Role::Other => "",
    };
    let again =
        if *retransmits == 0 { String::new() } else { format!(", {} sent again", counted(*retransmits, "block")) };
    format!("{role}{}  {}{}{again}", clean(file), octets(*size), in_time(*size, *millis))
}

/// `kernel failed: error 4c0b6035`.
pub(crate) fn ipxe_failure(what: &str, error: &str) -> String {
    match error_code(error) {
        Some(code) => format!("{} failed: error {code:08x}", clean(what)),
        None => format!("{} failed: {}", clean(what), clean(error)),
    }
}

fn error_page(error: &str) -> Option<String> {
    error_code(error).map(|code| format!("explained at https://ipxe.org/{code:08x}"))
}

/// iPXE's error code, as its scripts (`${errno}`, decimal) or its screen (hexadecimal, in the page's address) write it.
fn error_code(error: &str) -> Option<u32> {
    error.trim().parse().ok().or_else(|| {
        let mut words = error.split(|c: char| !c.is_ascii_alphanumeric()).map(|word| word.trim_start_matches("0x"));
        words.find(|word| word.len() == 8).and_then(|word| u32::from_str_radix(word, 16).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discover(stage: Stage, arch: &str, firmware: Option<&str>) -> Step {
        let firmware = firmware.map(str::to_owned);
        Step::DhcpDiscover {
            stage,
            arch: Some(arch.to_owned()),
            vendor_class: None,
            firmware,
            relay: None,
            asked: None,
        }
    }

    #[test]
    fn askers_are_named_alike_from_short_and_long_architecture_names() {
        for (step, rom, text) in [
            (discover(Stage::Pxe, "bios", Some("UNDI 2.1")), false, "BIOS PXE (UNDI 2.1)"),
            (discover(Stage::Pxe, "x86 BIOS", None), false, "BIOS PXE"),
            (discover(Stage::Pxe, "uefi-x64", None), false, "UEFI x64 PXE"),
            (discover(Stage::HttpBoot, "uefi-http", None), false, "UEFI x64 HTTP Boot"),
            (discover(Stage::HttpBoot, "UEFI arm64 HTTP", None), false, "UEFI arm64 HTTP Boot"),
            (discover(Stage::Ipxe, "bios", Some("iPXE 1.0.0")), true, "iPXE 1.0.0 in ROM (BIOS)"),
            (discover(Stage::Ipxe, "bios", Some("iPXE 1.0.0")), false, "iPXE 1.0.0"),
        ] {
            assert_eq!(asker(&step, rom), text);
        }
    }

    #[test]
    fn ipxe_error_leads_to_its_page() {
        let page = |code| Some(format!("explained at https://ipxe.org/{code}"));
        assert_eq!(error_page("Connection timed out (http://ipxe.org/4c0a6035)"), page("4c0a6035"));
        assert_eq!(error_page("0x2d0c613b"), page("2d0c613b"));
        assert_eq!(error_page("1275813941"), page("4c0b6035"));
        assert_eq!(error_page("no luck"), None);
    }
}
