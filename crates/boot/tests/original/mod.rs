//! The original: dnsmasq in a network of its own, one client's packet, and its reply beside ours.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use boot::matching::{Condition, HardwarePattern, NamePattern, Tag, TagExpr, TagIf, TagRule, Tags, relay_agent, tags};
use boot::rules::{Asked, BootRule, Carried, Defaults, OptionRule, Target, carried, renewal_times};
use dhcp::v4::options::{Pattern, Written, encode, encode_as, octets_or_text};
use dhcp::v4::packet::{BROADCAST, COOKIE, HEADER_OCTETS};
use dhcp::v4::{Packet, code};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;

const DNSMASQ: &str = "/usr/sbin/dnsmasq";
const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const LEASE_SECS: u32 = 3600;
/// Nothing that is waited for takes this long, however busy this computer is.
const LONG: Duration = Duration::from_secs(60);

/// The configuration of one scenario, as dnsmasq reads it and as our rules have it.
#[derive(Default)]
pub struct Rules {
    lines: Vec<String>,
    /// Set by the range, where it sets one.
    range_tag: Option<&'static str>,
    matches: Vec<TagRule>,
    tag_ifs: Vec<TagIf>,
    options: Vec<OptionRule>,
    boots: Vec<BootRule>,
    keep_fields: bool,
}

fn terms(list: &str) -> TagExpr {
    TagExpr::all(list.split(' ').filter(|term| !term.is_empty()))
}

fn tag_prefix(list: &str) -> String {
    list.split(' ').filter(|term| !term.is_empty()).map(|term| format!("tag:{term},")).collect()
}

impl Rules {
    pub fn new() -> Rules {
        Rules::default()
    }

    pub fn range_sets(mut self, tag: &'static str) -> Rules {
        self.range_tag = Some(tag);
        self
    }

    /// `place`: a code, `vendor:CLASS,SUB`, `encap:CODE,SUB` or `vi-encap:ENTERPRISE,SUB`. `tags`: blanks between them.
    pub fn option(self, tags: &str, place: &str, value: &str) -> Rules {
        self.put("dhcp-option", tags, place, value)
    }

    pub fn force(mut self, tags: &str, place: &str, value: &str) -> Rules {
        self = self.put("dhcp-option-force", tags, place, value);
        self.options.last_mut().expect("just put there").force = true;
        self
    }

    /// `value` may stand in quotes.
    fn put(mut self, name: &str, tags: &str, place: &str, value: &str) -> Rules {
        let comma = if value.is_empty() { "" } else { "," };
        self.lines.push(format!("{name}={}{place}{comma}{value}", tag_prefix(tags)));
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let written = unquoted.map_or(Written::bare(value), Written::quoted);
        let sub = || place.rsplit(',').next().unwrap().parse().unwrap();
        let holder = |prefix| Some(place.strip_prefix(prefix)?.split(',').next().unwrap());
        let target = if let Some(enterprise) = holder("vi-encap:") {
            Target::ViEncap { enterprise: enterprise.parse().unwrap(), sub: sub() }
        } else if let Some(option) = holder("encap:") {
            Target::Encap { option: option.parse().unwrap(), sub: sub() }
        } else if let Some(class) = holder("vendor:") {
            Target::Vendor { class: class.into(), sub: sub() }
        } else {
            Target::Plain(place.parse().unwrap())
        };
        let value = match target {
            Target::Plain(code) => encode(code, written),
            _ => encode_as(None, written),
        };
        self.options.push(OptionRule { tags: terms(tags), target, value: value.unwrap(), force: false });
        self
    }

    pub fn boot(mut self, tags: &str, file: &str, server_name: &str, server_address: &str) -> Rules {
        let line = format!("dhcp-boot={}{file},{server_name},{server_address}", tag_prefix(tags));
        self.lines.push(line.trim_end_matches(',').into());
        let server_address = (!server_address.is_empty()).then(|| server_address.parse().unwrap());
        let (file, server_name) = (file.into(), server_name.into());
        self.boots.push(BootRule { tags: terms(tags), file, server_name, server_address, more_servers: vec![] });
        self
    }

    pub fn tag_if(mut self, set: &str, tags: &str) -> Rules {
        let line = format!("tag-if=set:{set},{}", tag_prefix(tags));
        self.lines.push(line.trim_end_matches(',').into());
        self.tag_ifs.push(TagIf { when: terms(tags), set: vec![set.into()] });
        self
    }

    pub fn matches(self, tag: &str, option: u8, value: &str) -> Rules {
        let comma = if value.is_empty() { "" } else { "," };
        let value_is = Pattern::read(option, Written::bare(value)).unwrap();
        let line = format!("dhcp-match=set:{tag},{option}{comma}{value}");
        self.sets(line, tag, Condition::Option { code: option, value: value_is })
    }

    pub fn vendor_identified(self, tag: &str, enterprise: u32, value: &str) -> Rules {
        let comma = if value.is_empty() { "" } else { "," };
        let value_is = Pattern::read_as(None, Written::bare(value)).unwrap();
        let line = format!("dhcp-match=set:{tag},vi-encap:{enterprise}{comma}{value}");
        self.sets(line, tag, Condition::VendorIdentified { enterprise, value: value_is })
    }

    pub fn vendor_class(self, tag: &str, text: &str) -> Rules {
        self.sets(format!("dhcp-vendorclass=set:{tag},{text}"), tag, Condition::VendorClass(text.into()))
    }

    pub fn user_class(self, tag: &str, text: &str) -> Rules {
        self.sets(format!("dhcp-userclass=set:{tag},{text}"), tag, Condition::UserClass(text.into()))
    }

    pub fn hardware(self, tag: &str, text: &str) -> Rules {
        let pattern: HardwarePattern = text.parse().unwrap();
        self.sets(format!("dhcp-mac=set:{tag},{text}"), tag, Condition::Hardware(pattern))
    }

    pub fn name(self, tag: &str, text: &str) -> Rules {
        self.sets(format!("dhcp-name-match=set:{tag},{text}"), tag, Condition::Name(NamePattern::new(text)))
    }

    pub fn relay(self, tag: &str, option: &str, text: &str) -> Rules {
        let sub = match option {
            "dhcp-circuitid" => relay_agent::CIRCUIT_ID,
            "dhcp-remoteid" => relay_agent::REMOTE_ID,
            _ => relay_agent::SUBSCRIBER_ID,
        };
        let id = octets_or_text(Written::bare(text));
        self.sets(format!("{option}=set:{tag},{text}"), tag, Condition::RelayAgent { sub, id })
    }

    pub fn no_override(mut self) -> Rules {
        self.lines.push("dhcp-no-override".into());
        self.keep_fields = true;
        self
    }

    fn sets(mut self, line: String, tag: &str, when: Condition) -> Rules {
        self.lines.push(line);
        self.matches.push(TagRule { when, set: vec![tag.into()] });
        self
    }

    /// Our own answer to a request.
    fn answer(&self, request: &[u8]) -> Answer {
        let packet = Packet::parse(request).unwrap();
        let mut base = Tags::from_iter(["va"]);
        self.range_tag.into_iter().for_each(|tag| base.set_weak(tag));
        let tags = tags(&packet, base, &self.matches, &self.tag_ifs);
        let requested = packet.option(code::PARAMETER_REQUEST_LIST);
        let vendor_class = packet.option(code::VENDOR_CLASS);
        let (requested, vendor_class) = (requested.as_deref(), vendor_class.as_deref());
        let asked = Asked { tags: &tags, requested, vendor_class, ours: OURS, pxe: None, turn: 0 };
        let defaults = Defaults {
            netmask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            broadcast: Some(Ipv4Addr::new(10, 9, 0, 255)),
            router: Some(OURS),
            domain: Some("lan".into()),
            ..Defaults::default()
        };
        let mut words: Vec<String> = tags.iter().map(Tag::as_str).map(str::to_owned).collect();
        words.sort();
        Answer {
            carried: carried(&defaults, &self.options, &self.boots, &asked, self.keep_fields),
            times: renewal_times(&self.options, &tags, LEASE_SECS),
            tags: words,
        }
    }
}

/// What is compared.
#[derive(Debug, PartialEq)]
struct Answer {
    carried: Carried,
    /// T1 and T2.
    times: Option<(u32, u32)>,
    tags: Vec<String>,
}

/// A DHCPDISCOVER with these options. `requested`: option 55.
pub fn discover(requested: Option<&[u8]>, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut octets = vec![0; HEADER_OCTETS];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
    octets[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
    octets[236..240].copy_from_slice(&COOKIE);
    let requested = requested.map(|list| (code::PARAMETER_REQUEST_LIST, list));
    let own = [(code::MESSAGE_TYPE, &[1][..]), (code::MAX_MESSAGE_SIZE, &[5, 220])];
    for (code, data) in own.into_iter().chain(options.iter().copied()).chain(requested) {
        octets.extend([code, data.len() as u8]);
        octets.extend_from_slice(data);
    }
    octets.push(code::END);
    octets
}

/// A network with nobody in it but a dnsmasq on `va` and a client on `vb`, at the two ends of one cable.
pub struct Lab {
    folder: PathBuf,
    client: UdpSocket,
}

/// Runs `test` in a network namespace that vanishes with its thread.
pub fn in_lab(name: &str, test: impl FnOnce(&mut Lab) + Send + 'static) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("precedence-{name}-{}", std::process::id()));
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make network namespaces: run them as root");
        fs::create_dir_all(&folder).expect("a folder for this test");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&mut Lab::new(folder.clone()))));
        fs::remove_dir_all(&folder).expect("this test's own folder");
        result
    });
    if let Err(panic) = thread.join().expect("the namespace is made") {
        std::panic::resume_unwind(panic);
    }
}

impl Lab {
    fn new(folder: PathBuf) -> Lab {
        for line in [
            "link set lo up",
            "link add va type veth peer name vb",
            "addr add 10.9.0.1/24 brd + dev va",
            "link set va up",
            "link set vb up",
        ] {
            let status = Command::new("ip").args(line.split(' ')).status().expect("iproute2 is installed");
            assert!(status.success(), "ip {line}");
        }
        // Until the kernel has noticed that there is a cable, it drops what is sent.
        let deadline = Instant::now() + LONG;
        while !["va", "vb"].iter().all(|end| is_up(end)) {
            assert!(Instant::now() < deadline, "the cable between va and vb does not come up");
        }
        for interface in ["all", "va", "vb"] {
            // Both ends are in one computer: packets come in from addresses that are its own.
            let folder = format!("/proc/sys/net/ipv4/conf/{interface}");
            fs::write(format!("{folder}/accept_local"), "1").expect("IPv4 is there");
            fs::write(format!("{folder}/rp_filter"), "0").expect("IPv4 is there");
        }
        let client = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).expect("nobody else is here");
        setsockopt(&client, BindToDevice, &"vb".into()).expect("vb is there");
        client.set_broadcast(true).expect("a UDP socket may broadcast");
        client.set_read_timeout(Some(LONG)).expect("not zero");
        Lab { folder, client }
    }

    /// Gives both the same rules and the same packets, one after the other, and compares their answers.
    #[track_caller]
    pub fn same(&mut self, rules: &Rules, requests: &[Vec<u8>]) {
        let mut original = Original::start(&self.folder, rules);
        for request in requests {
            let theirs = original.answer(&self.client, request);
            assert_eq!(rules.answer(request), theirs, "ours, theirs; {:#?}\n{request:?}", rules.lines);
        }
    }

    /// Says that the answers differ on purpose: theirs and ours are as told.
    #[track_caller]
    pub fn differs(&mut self, rules: &Rules, request: &[u8], theirs: &[(u8, &[u8])], ours: &[(u8, &[u8])]) {
        let mut original = Original::start(&self.folder, rules);
        let owned = |options: &[(u8, &[u8])]| options.iter().map(|(code, data)| (*code, data.to_vec())).collect();
        let (theirs, ours): (Vec<_>, Vec<_>) = (owned(theirs), owned(ours));
        assert_eq!(original.answer(&self.client, request).carried.options, theirs);
        assert_eq!(rules.answer(request).carried.options, ours);
    }
}

fn is_up(interface: &str) -> bool {
    let output = Command::new("ip").args(["-br", "link", "show", interface]).output().expect("iproute2 is installed");
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1) == Some("UP")
}

/// A running dnsmasq; it ends with the value.
struct Original {
    process: Child,
    log: std::sync::mpsc::Receiver<String>,
}

impl Original {
    fn start(folder: &Path, rules: &Rules) -> Original {
        let conf = folder.join("dnsmasq.conf");
        fs::write(&conf, rules.lines.join("\n") + "\n").expect("the folder is there");
        // Every scenario begins without leases.
        let leases = folder.join("leases");
        let _ = fs::remove_file(&leases);
        let set = rules.range_tag.map_or_else(String::new, |tag| format!("set:{tag},"));
        let mut command = Command::new(DNSMASQ);
        command
            .args(["--no-daemon", "--user=root", "--pid-file=", "--port=0", "--interface=va", "--bind-interfaces"])
            .args(["--no-ping", "--dhcp-authoritative", "--log-dhcp", "--domain=lan"])
            .arg(format!("--conf-file={}", conf.display()))
            .arg(format!("--dhcp-leasefile={}", leases.display()))
            .arg(format!("--dhcp-range={set}10.9.0.100,10.9.0.150,{LEASE_SECS}"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        // Nothing stays behind when the tests themselves are killed.
        // SAFETY: prctl is a plain system call; nothing is allocated or locked between fork and exec.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let mut process = command.spawn().expect("dnsmasq-base is installed");
        let stderr = BufReader::new(process.stderr.take().expect("it is piped"));
        let (sender, log) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut original = Original { process, log };
        // It says so once its sockets are open.
        original.log_until("sockets bound exclusively");
        original
    }

    fn log_until(&mut self, mark: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.log.recv_timeout(LONG) {
                Ok(line) if line.contains(mark) => return lines,
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => panic!("dnsmasq ended: {lines:#?}"),
                Err(RecvTimeoutError::Timeout) => panic!("dnsmasq did not say «{mark}»: {lines:#?}"),
            }
        }
    }

    fn answer(&mut self, client: &UdpSocket, request: &[u8]) -> Answer {
        client.send_to(request, (Ipv4Addr::BROADCAST, 67)).expect("vb is up");
        let mut buffer = [0; 2048];
        let octets = match client.recv(&mut buffer) {
            Ok(octets) => &buffer[..octets],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("no answer: {:#?}", self.log.try_iter().collect::<Vec<_>>())
            }
            Err(error) => panic!("{error}"),
        };
        let reply = Packet::parse(octets).expect("a DHCP message");
        let tags = self.log_until("DHCPOFFER");
        let tags = tags.iter().find_map(|line| line.split("tags: ").nth(1)).unwrap_or("");
        let mut tags: Vec<String> = tags.split(", ").map(|tag| tag.trim().to_owned()).collect();
        tags.sort();
        let of_the_exchange =
            [code::MESSAGE_TYPE, code::SERVER_ID, code::LEASE_TIME, code::RENEWAL_TIME, code::REBINDING_TIME];
        // A client that names itself, and a relay, get their words back; rules have no part in that.
        let asked = Packet::parse(request).expect("it was sent");
        let says_name = asked.option(code::HOST_NAME).or(asked.option(code::FQDN)).is_some();
        let is_echo = |code| match code {
            code::HOST_NAME | code::FQDN => says_name,
            code => code == code::RELAY_AGENT,
        };
        let carries = |code: &u8| !of_the_exchange.contains(code) && !is_echo(*code);
        let until_nul = |field: &[u8]| field.split(|octet| *octet == 0).next().unwrap_or(&[]).to_vec();
        Answer {
            carried: Carried {
                options: reply
                    .options()
                    .filter(|(code, _)| carries(code))
                    .map(|(c, data)| (c, data.to_vec()))
                    .collect(),
                file: until_nul(&octets[108..236]),
                server_name: until_nul(&octets[44..108]),
                next_server: reply.siaddr(),
            },
            times: reply.u32(code::RENEWAL_TIME).zip(reply.u32(code::REBINDING_TIME)),
            tags,
        }
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        // It may have ended by itself; it is gone either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
