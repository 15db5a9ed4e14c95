//! The same files asked of both servers by TFTP: what comes first, from which port, in which blocks.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::side::{Side, Which};

/// A request is put again after this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// No answer that must come takes this long.
const LONG: Duration = Duration::from_secs(30);
/// When none comes within this time, there is none.
const SILENCE: Duration = Duration::from_millis(2500);
/// The client's address and MAC.
pub const CLIENT: &str = "10.0.1.9";
pub const CLIENT_MAC: &str = "52-54-00-00-00-09";

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Whether there is an answer, and of which kind.
    Kind,
    /// The options of an OACK, whatever their order and spelling.
    Options,
    /// The number of an ERROR.
    Code,
    /// 69, one of the range, or another.
    Port,
    /// The blocks and what is in them.
    Data,
}

/// Options, and what is asked for under them; each request is a scenario.
pub struct Transfers {
    name: &'static str,
    conf: Vec<String>,
    binding: &'static str,
    steps: Vec<Step>,
}

struct Step {
    name: &'static str,
    request: Vec<u8>,
    /// The client takes the first packet and says no more.
    left_open: bool,
    theirs_is_silent: bool,
    ours_is_silent: bool,
    allowed: Vec<(Part, &'static str)>,
}

/// What one server answered.
#[derive(Debug, Default)]
struct Answer {
    kind: String,
    options: BTreeSet<(String, String)>,
    code: Option<u16>,
    port: &'static str,
    blocks: Vec<Vec<u8>>,
}

/// A read request.
pub fn get(name: &str, options: &[(&str, &str)]) -> Vec<u8> {
    get_as("octet", name, options)
}

pub fn get_as(mode: &str, name: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let words = [name, mode].into_iter().chain(options.iter().flat_map(|(name, value)| [*name, *value]));
    [0, 1].into_iter().chain(words.flat_map(|word| word.bytes().chain([0]))).collect()
}

impl Transfers {
    /// `conf`: lines of a configuration file besides `enable-tftp` and a DHCP range.
    pub fn new(name: &'static str, conf: &[&str]) -> Transfers {
        let conf = ["dhcp-range=10.0.1.100,10.0.1.150"].iter().chain(conf);
        let conf = conf.map(|line| (*line).to_owned()).collect();
        Transfers { name, conf, binding: "bind-interfaces", steps: Vec::new() }
    }

    /// Both open one socket for all interfaces, as dnsmasq does unless told to bind.
    pub fn unbound(self) -> Transfers {
        Transfers { binding: "", ..self }
    }

    pub fn then(mut self, name: &'static str, request: Vec<u8>) -> Transfers {
        let (theirs_is_silent, ours_is_silent, allowed) = (false, false, Vec::new());
        self.steps.push(Step { name, request, left_open: false, theirs_is_silent, ours_is_silent, allowed });
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a request comes first")
    }

    /// The transfer before is never ended.
    pub fn left_open(mut self) -> Transfers {
        self.last().left_open = true;
        self
    }

    /// Neither answers the request before.
    pub fn silent(mut self) -> Transfers {
        (self.last().theirs_is_silent, self.last().ours_is_silent) = (true, true);
        self
    }

    /// We do not answer the request before, and they do.
    pub fn we_are_silent(mut self, because: &'static str) -> Transfers {
        self.last().ours_is_silent = true;
        self.differs(Part::Kind, because)
    }

    /// They do not answer the request before, and we do.
    pub fn they_are_silent(mut self, because: &'static str) -> Transfers {
        self.last().theirs_is_silent = true;
        self.differs(Part::Kind, because)
    }

    /// The request before is answered differently on purpose.
    pub fn differs(mut self, part: Part, because: &'static str) -> Transfers {
        self.last().allowed.push((part, because));
        self
    }

    fn run(&self) -> Vec<String> {
        let start = |which| {
            let side = Side::start_prepared(which, &self.conf, self.binding, make_tree);
            side.client().run(&format!("ip link set eth0 address {}", CLIENT_MAC.replace('-', ":")));
            side.client().run(&format!("ip address add {CLIENT}/24 dev eth0"));
            (side, Vec::new())
        };
        let (mut theirs, mut ours) = (start(Which::Dnsmasq), start(Which::Lanboot));
        let mut failures = Vec::new();
        for step in &self.steps {
            let name = format!("{}: {}", self.name, step.name);
            let theirs = ask(&theirs.0, step, step.theirs_is_silent, &mut theirs.1);
            let ours = ask(&ours.0, step, step.ours_is_silent, &mut ours.1);
            println!("{name}: {} there, {} here", theirs.kind, ours.kind);
            failures.extend(judge(&name, &theirs, &ours, &step.allowed));
        }
        failures
    }
}

/// Runs the groups, and fails with everything that differs.
pub fn run(groups: &[Transfers]) {
    let failures: Vec<String> = groups.iter().flat_map(Transfers::run).collect();
    let count: usize = groups.iter().map(|group| group.steps.len()).sum();
    assert!(failures.is_empty(), "of {count} scenarios:\n\n{}", failures.join("\n\n"));
    println!("{count} scenarios are as expected");
}

fn judge(name: &str, theirs: &Answer, ours: &Answer, allowed: &[(Part, &'static str)]) -> Vec<String> {
    let same_kind = theirs.kind == ours.kind;
    let parts = [
        (Part::Kind, theirs.kind.clone(), ours.kind.clone()),
        (Part::Options, format!("{:?}", theirs.options), format!("{:?}", ours.options)),
        (Part::Code, format!("{:?}", theirs.code), format!("{:?}", ours.code)),
        (Part::Port, theirs.port.to_owned(), ours.port.to_owned()),
        (Part::Data, data(theirs), data(ours)),
    ];
    let mut failures = Vec::new();
    for (part, theirs, ours) in parts.iter().filter(|(part, ..)| same_kind || *part == Part::Kind) {
        let because = allowed.iter().find(|(allowed, _)| allowed == part).map(|(_, because)| because);
        match because {
            Some(because) if theirs != ours => println!("{name}: `{theirs}` there, `{ours}` here: {because}"),
            Some(_) => failures.push(format!("{name}: {part:?} is said to differ, but does not")),
            None if theirs == ours => {}
            None => failures.push(format!("{name}: {part:?}\n  dnsmasq: {theirs}\n  lanboot: {ours}")),
        }
    }
    failures
}

fn data(answer: &Answer) -> String {
    let lengths: Vec<_> = answer.blocks.iter().map(Vec::len).collect();
    let start = answer.blocks.first().map(|block| block[..block.len().min(20)].escape_ascii().to_string());
    format!("{lengths:?} {}", start.unwrap_or_default())
}

/// Puts one request, and takes the whole file. `open`: keeps the sockets of transfers that are not ended.
fn ask(side: &Side, step: &Step, silent: bool, open: &mut Vec<UdpSocket>) -> Answer {
    let socket = side.client().inside(|| UdpSocket::bind((CLIENT, 0))).expect("the client's address");
    socket.set_read_timeout(Some(PATIENCE / 2)).expect("not zero");
    let mut answer = Answer { kind: "silence".into(), ..Answer::default() };
    let mut next = (step.request.clone(), SocketAddr::from(([10, 0, 1, 1], 69)));
    let (start, mut sent) = (Instant::now(), None::<Instant>);
    let mut buffer = [0; 4096];
    while start.elapsed() < if silent { SILENCE } else { LONG } {
        if sent.is_none_or(|sent| sent.elapsed() > PATIENCE) {
            socket.send_to(&next.0, next.1).expect("eth0 is up");
            sent = Some(Instant::now());
        }
        let (octets, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            // Interrupted: whoever runs the tests had paused them.
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => continue,
            Err(error) => panic!("{}: {error}", step.name),
        };
        let packet = &buffer[..octets];
        if answer.port.is_empty() {
            answer.first(packet, from.port());
            if step.left_open {
                open.push(socket);
                return answer;
            }
        } else if from != next.1 {
            continue; // an answer to the request's second copy
        }
        let block = u16::from_be_bytes([packet[2], packet[3]]);
        let last = match packet[1] {
            3 if usize::from(block) == answer.blocks.len() + 1 => {
                answer.blocks.push(packet[4..].to_vec());
                packet.len() - 4 < answer.block_octets()
            }
            3 | 6 => false,
            _ => return answer,
        };
        next = ([&[0, 4][..], if packet[1] == 6 { &[0, 0] } else { &packet[2..4] }].concat(), from);
        socket.send_to(&next.0, next.1).expect("eth0 is up");
        sent = Some(Instant::now());
        if last {
            return answer;
        }
    }
    answer
}

impl Answer {
    fn first(&mut self, packet: &[u8], port: u16) {
        self.port = match port {
            69 => "port 69",
            // Above those that the kernel chooses from.
            61_000..=61_001 => "a port of the range",
            _ => "another port",
        };
        self.kind = match packet[1] {
            3 => "DATA".into(),
            5 => "ERROR".into(),
            6 => "OACK".into(),
            other => format!("opcode {other}"),
        };
        if packet[1] == 5 {
            self.code = Some(u16::from_be_bytes([packet[2], packet[3]]));
        }
        if packet[1] == 6 {
            let words: Vec<_> = packet[2..].split(|octet| *octet == 0).map(String::from_utf8_lossy).collect();
            let pairs = words.chunks_exact(2).map(|pair| (pair[0].to_ascii_lowercase(), pair[1].to_string()));
            self.options = pairs.collect();
        }
    }

    fn block_octets(&self) -> usize {
        let blksize = self.options.iter().find(|(name, _)| name == "blksize");
        blksize.map_or(512, |(_, octets)| octets.parse().expect("a number"))
    }
}

/// `root` and `other`, with everything that is asked for.
fn make_tree(folder: &Path) {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("room for a folder");
        fs::write(path, content).expect("room for a file");
    };
    let many: Vec<u8> = (0..3000u32).map(|n| (n % 251) as u8).collect();
    file("root/file", &many);
    file("root/exact", &many[..1024]);
    file("root/empty", b"");
    file("root/text", b"one\ntwo\n");
    file("root/returns", b"one\r\ntwo\r");
    file("root/lower", b"small letters");
    file("root/Upper", b"a capital");
    file("root/sub/a", b"below");
    file("root/private", b"for root alone");
    file(&format!("root/{CLIENT}/file"), b"by address");
    file(&format!("root/{CLIENT_MAC}/file"), b"by MAC");
    file("other/file", b"the other root");
    file("other/outside", b"from outside");
    fs::set_permissions(folder.join("root/private"), PermissionsExt::from_mode(0o600)).expect("a file of ours");
    symlink("../other/outside", folder.join("root/link")).expect("room for a link");
    symlink(folder.join("other/outside"), folder.join("root/absolute")).expect("room for a link");
    symlink("file", folder.join("root/inside")).expect("room for a link");
}
