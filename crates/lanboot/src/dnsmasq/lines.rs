//! Journal events as the lines that dnsmasq logs, for those who read or grep its log; and what it has no line for, in
//! words of our own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Gives, Range};
use journal::{Event, Line as Words, Protocol, Step, Tone};

use super::names;

/// How bad it is: syslog's numbers (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// Whose line it is; the log puts `dnsmasq`, `dnsmasq-dhcp` and so on before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Main,
    Dhcp,
    Script,
    Tftp,
    Http,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Main => "dnsmasq",
            Part::Dhcp => "dnsmasq-dhcp",
            Part::Script => "dnsmasq-script",
            Part::Tftp => "dnsmasq-tftp",
            Part::Http => "dnsmasq-http",
        }
    }

    fn of(protocol: Protocol) -> Part {
        match protocol {
            Protocol::Tftp => Part::Tftp,
            Protocol::Http => Part::Http,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub level: Level,
    pub part: Part,
    pub text: String,
}

impl Line {
    pub fn new(level: Level, part: Part, text: impl Into<String>) -> Line {
        Line { level, part, text: text.into() }
    }

    pub fn info(part: Part, text: impl Into<String>) -> Line {
        Line::new(Level::Info, part, text)
    }
}

/// What is logged, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    pub interface: String,
    /// Stands before the names of files.
    pub tftp_root: Option<PathBuf>,
    pub http_root: Option<PathBuf>,
    pub quiet_dhcp: bool,
    pub quiet_tftp: bool,
    pub log_dhcp: bool,
}

impl Lines {
    /// The lines of one event, in order.
    pub fn of(&self, event: &Event) -> Vec<Line> {
        match &event.step {
            Step::DhcpDiscover { .. }
            | Step::DhcpOffer { .. }
            | Step::DhcpAck { .. }
            | Step::DhcpInform { .. }
            | Step::DhcpNak { .. }
            | Step::DhcpDecline { .. }
            | Step::DhcpRelease { .. }
            | Step::DhcpIgnored { .. } => self.dhcp(event),
            Step::FileSent { .. } | Step::SizeProbe { .. } | Step::FileFailed { .. } | Step::FileNotFound { .. } => {
                self.file(event.client, &event.step)
            }
            // The query log tells them, where one is wanted.
            Step::LookedUp { .. } | Step::LookUpFailed { .. } => Vec::new(),
            // What is served is said at the start.
            Step::Listening { service, .. } if service != "HTTP" => Vec::new(),
            _ => in_words(event),
        }
    }

    fn dhcp(&self, event: &Event) -> Vec<Line> {
        let interface = event.interface.as_ref().unwrap_or(&self.interface);
        let mac = event.machine.map(|mac| mac.to_string()).unwrap_or_default();
        let line = |message: &str, address: Option<&Ipv4Addr>, rest: &str| {
            let address = address.map(|address| format!("{address} ")).unwrap_or_default();
            Line::info(Part::Dhcp, format!("{message}({interface}) {address}{mac} {rest}"))
        };
        let ordinary = match &event.step {
            Step::DhcpDiscover { asked, .. } => vec![line("DHCPDISCOVER", asked.as_ref(), "")],
            Step::DhcpOffer { address, boot_file, because } => {
                let mut lines = vec![line("DHCPOFFER", Some(address), "")];
                lines.extend(self.reasons(&mac, boot_file.as_deref(), because));
                lines
            }
            Step::DhcpAck { address, name, boot_file, because, .. } => {
                let name = name.as_deref().unwrap_or_default();
                let mut lines = vec![line("DHCPREQUEST", Some(address), ""), line("DHCPACK", Some(address), name)];
                lines.extend(self.reasons(&mac, boot_file.as_deref(), because));
                lines
            }
            Step::DhcpInform { address } => {
                vec![line("DHCPINFORM", Some(address), ""), line("DHCPACK", Some(address), "")]
            }
            Step::DhcpRelease { address } => vec![line("DHCPRELEASE", Some(address), "")],
            Step::DhcpNak { address, because } => {
                let mut lines = vec![line("DHCPNAK", Some(address), because)];
                if !self.is_quiet() {
                    lines.insert(0, line("DHCPREQUEST", Some(address), ""));
                }
                return lines;
            }
            Step::DhcpDecline { address } => return vec![line("DHCPDECLINE", Some(address), "")],
            Step::DhcpIgnored { because } => {
                let text = format!("request({interface}) {mac} ignored: {because}");
                return vec![Line::info(Part::Dhcp, text)];
            }
            _ => Vec::new(),
        };
        if self.is_quiet() { Vec::new() } else { ordinary }
    }

    /// dnsmasq too: what is asked to be detailed is not quiet.
    fn is_quiet(&self) -> bool {
        self.quiet_dhcp && !self.log_dhcp
    }

    /// Why a machine gets the boot file that it gets.
    fn reasons(&self, mac: &str, boot_file: Option<&str>, because: &[String]) -> Vec<Line> {
        if !self.log_dhcp {
            return Vec::new();
        }
        let file = boot_file.map(|file| format!("bootfile name: {file}"));
        let reasons = because.iter().map(|reason| format!("because: {reason}"));
        file.into_iter().chain(reasons).map(|text| Line::info(Part::Dhcp, format!("{mac} {text}"))).collect()
    }

    fn file(&self, client: Option<Ipv4Addr>, step: &Step) -> Vec<Line> {
        let client = client.map_or_else(|| "somebody".to_owned(), |client| client.to_string());
        let (protocol, level, text) = match step {
            Step::FileSent { protocol, file, .. } => {
                (protocol, Level::Info, format!("sent {} to {client}", self.path(*protocol, file)))
            }
            Step::SizeProbe { protocol, file, .. } => {
                let path = self.path(*protocol, file);
                (protocol, Level::Info, format!("told the size of {path} to {client}"))
            }
            Step::FileNotFound { protocol, file, .. } => {
                (protocol, Level::Error, format!("file {} not found for {client}", self.path(*protocol, file)))
            }
            Step::FileFailed { protocol, file, because, .. } => {
                let text = format!("failed sending {} to {client}: {because}", self.path(*protocol, file));
                return vec![Line::new(Level::Error, Part::of(*protocol), text)];
            }
            _ => return Vec::new(),
        };
        if self.quiet_tftp && *protocol == Protocol::Tftp {
            return Vec::new();
        }
        vec![Line::new(level, Part::of(*protocol), text)]
    }

    /// The whole path of a file.
    pub fn path(&self, protocol: Protocol, file: &str) -> String {
        let root = match protocol {
            Protocol::Tftp => &self.tftp_root,
            Protocol::Http => &self.http_root,
        };
        match root {
            Some(root) if !Path::new(file).starts_with(root) => {
                root.join(file.trim_start_matches('/')).display().to_string()
            }
            _ => file.to_owned(),
        }
    }
}

/// An event that dnsmasq does not know.
fn in_words(event: &Event) -> Vec<Line> {
    let Some(Words { topic, text, tone, hint, .. }) = Words::of(event) else { return Vec::new() };
    let level = match tone {
        Tone::Quiet | Tone::Plain | Tone::Good => Level::Info,
        Tone::Warn => Level::Warning,
        Tone::Bad => Level::Error,
    };
    let machine = event.machine.map(|mac| format!("{mac} ")).unwrap_or_default();
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let about = if event.machine.is_none() && topic == "warning" { String::new() } else { format!("{topic}: ") };
    let part = if matches!(event.step, Step::AddressInUse { .. }) { Part::Dhcp } else { Part::Main };
    vec![Line::new(level, part, format!("{machine}{about}{text}{hint}").replace('\n', " "))]
}

/// What is said when service begins.
pub fn started(config: &Config, lines: &Lines) -> Vec<Line> {
    let version = env!("CARGO_PKG_VERSION");
    let cache = names::cache(config.dns.as_ref());
    let mut said = vec![Line::info(Part::Main, format!("started, version 2.90 (lanboot {version}) {cache}"))];
    said.extend(config.dns.iter().flat_map(names::started));
    if let Some(dhcp) = &config.dhcp {
        said.extend(dhcp.ranges.iter().map(|range| Line::info(Part::Dhcp, range_text(range))));
        // With one interface alone, as dnsmasq.
        if let [served] = config.served.as_slice() {
            let text = format!("DHCP, sockets bound exclusively to interface {}", served.interface);
            said.push(Line::info(Part::Dhcp, text));
        }
    }
    if config.tftp.is_some() {
        let root = lines.tftp_root.as_ref().map(|root| format!("root is {}", root.display()));
        said.push(Line::info(Part::Tftp, format!("TFTP {}", root.unwrap_or_else(|| "enabled".into()))));
    }
    said
}

fn range_text(range: &Range) -> String {
    let lease = lease_time(range.lease);
    let subnet = range.subnet.network();
    match range.gives {
        Gives::Addresses(first, last) => format!("DHCP, IP range {first} -- {last}, lease time {lease}"),
        Gives::Reserved => format!("DHCP, static leases only on {subnet}, lease time {lease}"),
        Gives::Proxy => format!("DHCP, proxy on subnet {subnet}"),
    }
}

/// `12h`, `1h30m`, `infinite`.
fn lease_time(lease: Duration) -> String {
    let secs = lease.as_secs();
    if secs >= u64::from(u32::MAX) {
        return "infinite".into();
    }
    let parts = [(secs / 86400, "d"), (secs / 3600 % 24, "h"), (secs / 60 % 60, "m"), (secs % 60, "s")];
    parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect()
}

/// What happened since the start, for SIGUSR1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    discover: u64,
    offer: u64,
    ack: u64,
    nak: u64,
    inform: u64,
    decline: u64,
    release: u64,
    ignored: u64,
    sent: [u64; 2],
    octets: [u64; 2],
    failed: [u64; 2],
    missing: [u64; 2],
}

impl Counts {
    pub fn count(&mut self, step: &Step) {
        let counter = match step {
            Step::DhcpDiscover { .. } => &mut self.discover,
            Step::DhcpOffer { .. } => &mut self.offer,
            Step::DhcpAck { .. } => &mut self.ack,
            Step::DhcpNak { .. } => &mut self.nak,
            Step::DhcpInform { .. } => &mut self.inform,
            Step::DhcpDecline { .. } => &mut self.decline,
            Step::DhcpRelease { .. } => &mut self.release,
            Step::DhcpIgnored { .. } => &mut self.ignored,
            Step::FileSent { protocol, octets, .. } => {
                self.octets[*protocol as usize] += octets;
                &mut self.sent[*protocol as usize]
            }
            Step::FileFailed { protocol, .. } => &mut self.failed[*protocol as usize],
            Step::FileNotFound { protocol, .. } => &mut self.missing[*protocol as usize],
            _ => return,
        };
        *counter += 1;
    }

    /// `leases`: in use now.
    pub fn lines(&self, leases: usize, config: &Config) -> Vec<Line> {
        let mut lines = Vec::new();
        if let Some(dhcp) = &config.dhcp {
            let most = dhcp.lease_limit.map(|most| format!(" of {most}")).unwrap_or_default();
            lines.push(Line::info(Part::Dhcp, format!("leases in use: {leases}{most}")));
            let Counts { discover, offer, ack, nak, inform, decline, release, ignored, .. } = self;
            let text = format!(
                "since the start: {discover} DHCPDISCOVER, {offer} DHCPOFFER, {ack} DHCPACK, {nak} DHCPNAK, {inform} \
                 DHCPINFORM, {decline} DHCPDECLINE, {release} DHCPRELEASE, {ignored} not answered"
            );
            lines.push(Line::info(Part::Dhcp, text));
        }
        let served = [(Protocol::Tftp, config.tftp.is_some()), (Protocol::Http, config.http.is_some())];
        lines.extend(served.iter().filter(|(_, served)| *served).map(|(protocol, _)| self.files(*protocol)));
        lines
    }

    fn files(&self, protocol: Protocol) -> Line {
        let at = |counts: &[u64; 2]| counts[protocol as usize];
        let (sent, octets, failed, missing) = (at(&self.sent), at(&self.octets), at(&self.failed), at(&self.missing));
        let text =
            format!("since the start: {sent} files sent ({octets} octets), {failed} failed, {missing} not found");
        Line::info(Part::of(protocol), text)
    }
}

#[cfg(test)]
mod tests {
    use journal::{Role, Stage};

    use mac::Mac;

    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 200);

    fn texts(lines: &Lines, step: Step) -> Vec<String> {
        texts_on(None, lines, step)
    }

    fn texts_on(interface: Option<&str>, lines: &Lines, step: Step) -> Vec<String> {
        let interface = interface.map(str::to_owned);
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let event = Event { at, machine: Some(Mac([0x52, 0x54, 0, 0, 0, 1])), client: Some(HOST), interface, step };
        lines.of(&event).into_iter().map(|line| format!("{}: {}", line.part.name(), line.text)).collect()
    }

    #[test]
    fn of_several_interfaces_the_one_is_named_where_it_was() {
        let lines = texts_on(Some("lab"), &net(), discover(None));
        assert!(lines[0].starts_with("dnsmasq-dhcp: DHCPDISCOVER(lab) "), "{lines:?}");
    }

    fn net() -> Lines {
        Lines { interface: "net".into(), tftp_root: Some("/srv/tftp".into()), ..Lines::default() }
    }

    fn ack(name: Option<&str>) -> Step {
        Step::DhcpAck {
            stage: Stage::Os,
            address: HOST,
            lease_secs: 60,
            name: name.map(str::to_owned),
            boot_file: Some("undionly.kpxe".into()),
            renewal: false,
            because: vec!["tag !IPXE".into()],
        }
    }

    fn discover(asked: Option<Ipv4Addr>) -> Step {
        Step::DhcpDiscover { stage: Stage::Pxe, arch: None, vendor_class: None, firmware: None, relay: None, asked }
    }

    fn nak() -> Step {
        Step::DhcpNak { address: HOST, because: "address in use".into() }
    }

    fn sent(file: &str) -> Step {
        let (protocol, role) = (Protocol::Tftp, Role::Loader);
        Step::FileSent { protocol, file: file.into(), role, octets: 7, millis: 1, retransmits: 0 }
    }

    fn missing() -> Step {
        Step::FileNotFound { protocol: Protocol::Tftp, file: "a/b".into(), because: "not there".into() }
    }

    #[test]
    fn dhcp_is_told_as_dnsmasq_tells_it() {
        // To the octet: dnsmasq 2.90 ends lines without a name in a blank.
        assert_eq!(texts(&net(), discover(None)), ["dnsmasq-dhcp: DHCPDISCOVER(net) 52:54:00:00:00:01 "]);
        assert_eq!(
            texts(&net(), discover(Some(HOST))),
            ["dnsmasq-dhcp: DHCPDISCOVER(net) 10.0.1.200 52:54:00:00:00:01 "]
        );
        let request = "dnsmasq-dhcp: DHCPREQUEST(net) 10.0.1.200 52:54:00:00:00:01 ";
        let acked = "dnsmasq-dhcp: DHCPACK(net) 10.0.1.200 52:54:00:00:00:01 web1";
        assert_eq!(texts(&net(), ack(Some("web1"))), [request, acked]);
        let refused = "dnsmasq-dhcp: DHCPNAK(net) 10.0.1.200 52:54:00:00:00:01 address in use";
        assert_eq!(texts(&net(), nak()), [request, refused]);
    }

    #[test]
    fn files_are_told_by_their_whole_path() {
        let whole = "dnsmasq-tftp: sent /srv/tftp/pxelinux.0 to 10.0.1.200";
        for asked in ["pxelinux.0", "/pxelinux.0", "/srv/tftp/pxelinux.0"] {
            assert_eq!(texts(&net(), sent(asked)), [whole]);
        }
        assert_eq!(texts(&net(), missing()), ["dnsmasq-tftp: file /srv/tftp/a/b not found for 10.0.1.200"]);
    }

    #[test]
    fn quiet_leaves_what_went_wrong_and_detail_overrules_it() {
        let quiet = Lines { quiet_dhcp: true, quiet_tftp: true, ..net() };
        for step in [discover(None), ack(None), sent("a"), missing()] {
            assert_eq!(texts(&quiet, step), [""; 0]);
        }
        assert_eq!(texts(&quiet, nak()).len(), 1);
        let failed = Step::FileFailed { protocol: Protocol::Tftp, file: "a".into(), octets: 0, because: "lost".into() };
        assert_eq!(texts(&quiet, failed), ["dnsmasq-tftp: failed sending /srv/tftp/a to 10.0.1.200: lost"]);
        let detailed = texts(&Lines { log_dhcp: true, ..quiet }, ack(None));
        assert_eq!(detailed.len(), 4);
        assert_eq!(detailed[2], "dnsmasq-dhcp: 52:54:00:00:00:01 bootfile name: undionly.kpxe");
        assert_eq!(detailed[3], "dnsmasq-dhcp: 52:54:00:00:00:01 because: tag !IPXE");
    }

    #[test]
    fn what_dnsmasq_does_not_know_is_told_in_our_words_on_one_line() {
        let in_use = texts(&net(), Step::AddressInUse { address: HOST, by: None });
        assert_eq!(
            in_use,
            ["dnsmasq-dhcp: 52:54:00:00:00:01 address: 10.0.1.200 is already used; set aside, trying another"]
        );
        let warning = Step::Warning { text: "disk full".into(), fix: Some("make room".into()) };
        assert!(texts(&net(), warning)[0].ends_with("disk full; make room"));
    }

    #[test]
    fn lease_times_are_written_as_in_the_options() {
        let written = |secs| lease_time(Duration::from_secs(secs));
        assert_eq!((written(43200), written(37800), written(90)), ("12h".into(), "10h30m".into(), "1m30s".into()));
        assert_eq!(written(u64::from(u32::MAX)), "infinite");
    }

    #[test]
    fn counts_are_by_kind_and_protocol() {
        let mut counts = Counts::default();
        [discover(None), ack(None), sent("a"), sent("b"), missing()].iter().for_each(|step| counts.count(step));
        assert_eq!((counts.discover, counts.ack, counts.nak), (1, 1, 0));
        assert_eq!(
            counts.files(Protocol::Tftp).text,
            "since the start: 2 files sent (14 octets), 0 failed, 1 not found"
        );
        assert!(counts.files(Protocol::Http).text.starts_with("since the start: 0 files"));
    }
}
