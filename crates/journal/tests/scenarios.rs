//! Boots as real machines make them, event by event, for the golden texts and for looking at the live view.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;

use jiff::{Timestamp, ToSpan};
use journal::{Asked, Event, Protocol, Role, Said, Stage, Step, Terminal, Unresolved};
use mac::Mac;

pub const START: i64 = 1_767_225_600; // 2026-01-01 00:00:00 UTC

pub fn after_millis(millis: i64) -> Timestamp {
    Timestamp::from_second(START).unwrap() + millis.milliseconds()
}

pub fn machine(number: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, number])
}

/// One boot being told: each verb happens at a time in milliseconds.
pub struct Tale {
    machine: Mac,
    address: Ipv4Addr,
    pub events: Vec<Event>,
}

impl Tale {
    pub fn new(number: u8) -> Tale {
        Tale { machine: machine(number), address: Ipv4Addr::new(10, 0, 1, 199 + number), events: Vec::new() }
    }

    pub fn step(mut self, millis: i64, step: Step) -> Tale {
        self.events.push(Event {
            at: after_millis(millis),
            machine: Some(self.machine),
            client: None,
            interface: None,
            step,
        });
        self
    }

    pub fn discover(self, millis: i64, stage: Stage, arch: &str, firmware: Option<&str>) -> Tale {
        let (arch, firmware) = (Some(arch.to_owned()), firmware.map(str::to_owned));
        self.step(millis, Step::DhcpDiscover { stage, arch, vendor_class: None, firmware, relay: None, asked: None })
    }

    pub fn offer(self, millis: i64, boot_file: &str) -> Tale {
        let boot_file = (!boot_file.is_empty()).then(|| boot_file.to_owned());
        let step = Step::DhcpOffer { address: self.address, boot_file, because: vec![] };
        self.step(millis, step)
    }

    pub fn ack(self, millis: i64, stage: Stage, boot_file: &str) -> Tale {
        let boot_file = (!boot_file.is_empty()).then(|| boot_file.to_owned());
        let (address, lease_secs) = (self.address, 3600);
        self.step(
            millis,
            Step::DhcpAck { stage, address, lease_secs, name: None, boot_file, renewal: false, because: vec![] },
        )
    }

    pub fn tftp(self, millis: i64, file: &str, role: Role, octets: u64, took: u64) -> Tale {
        self.sent(millis, Protocol::Tftp, file, role, octets, took)
    }

    pub fn http(self, millis: i64, file: &str, role: Role, octets: u64, took: u64) -> Tale {
        self.sent(millis, Protocol::Http, file, role, octets, took)
    }

    fn sent(self, at: i64, protocol: Protocol, file: &str, role: Role, octets: u64, millis: u64) -> Tale {
        let file = file.to_owned();
        self.step(at, Step::FileSent { protocol, file, role, octets, millis, retransmits: 0 })
    }

    pub fn missing(self, millis: i64, file: &str) -> Tale {
        let (file, because) = (file.to_owned(), format!("no file of this name is published: {file}"));
        self.step(millis, Step::FileNotFound { protocol: Protocol::Tftp, file, because })
    }

    pub fn linux(self, millis: i64) -> Tale {
        self.http(millis, "boot/52-54-00-00-00-01.ipxe", Role::Script, 312, 2)
            .http(millis + 500, "vmlinuz", Role::Kernel, 8_234_000, 400)
            .http(millis + 1900, "initrd.img", Role::Initrd, 12_900_000, 1300)
    }

    pub fn up(self, millis: i64) -> Tale {
        self.step(millis, Step::OsUp { how: "reported".to_owned(), detail: Some("Linux 6.1.0-37-amd64".to_owned()) })
    }
}

const SCRIPT: &str = "http://10.0.1.1/boot/52-54-00-00-00-01.ipxe";

pub fn bios_chain() -> Tale {
    Tale::new(1)
        .discover(0, Stage::Pxe, "bios", Some("UNDI 2.1"))
        .offer(320, "undionly.kpxe")
        .ack(340, Stage::Pxe, "undionly.kpxe")
        .step(500, size_probe("undionly.kpxe", 74_213))
        .tftp(630, "undionly.kpxe", Role::Loader, 74_213, 110)
        .discover(3200, Stage::Ipxe, "bios", Some("iPXE 1.0.0"))
        .offer(3230, SCRIPT)
        .ack(3900, Stage::Ipxe, SCRIPT)
        .linux(4000)
        .up(18_300)
}

fn size_probe(file: &str, octets: u64) -> Step {
    Step::SizeProbe { protocol: Protocol::Tftp, file: file.to_owned(), octets }
}

pub fn uefi_pxe() -> Tale {
    Tale::new(2)
        .discover(0, Stage::Pxe, "uefi-x64", Some("UNDI 3.16"))
        .discover(4000, Stage::Pxe, "uefi-x64", Some("UNDI 3.16"))
        .offer(4300, "snponly.efi")
        .ack(6000, Stage::Pxe, "snponly.efi")
        .step(6100, size_probe("snponly.efi", 173_792))
        .step(
            6400,
            Step::FileSent {
                protocol: Protocol::Tftp,
                file: "snponly.efi".to_owned(),
                role: Role::Loader,
                octets: 173_792,
                millis: 240,
                retransmits: 3,
            },
        )
        .missing(6900, "autoexec.ipxe")
        .discover(8200, Stage::Ipxe, "uefi-x64", Some("iPXE 1.0.0"))
        .offer(8230, SCRIPT)
        .ack(9900, Stage::Ipxe, SCRIPT)
        .linux(10_000)
        .up(31_000)
}

pub fn uefi_http() -> Tale {
    Tale::new(3)
        .discover(0, Stage::HttpBoot, "uefi-http", None)
        .offer(310, "http://10.0.1.1/ipxe.efi")
        .ack(4000, Stage::HttpBoot, "http://10.0.1.1/ipxe.efi")
        .step(4100, Step::SizeProbe { protocol: Protocol::Http, file: "ipxe.efi".to_owned(), octets: 850_528 })
        .http(4200, "ipxe.efi", Role::Loader, 850_528, 60)
        .discover(6200, Stage::Ipxe, "uefi-x64", Some("iPXE 1.21.1"))
        .ack(7900, Stage::Ipxe, SCRIPT)
        .linux(8000)
        .up(25_000)
}

pub fn pxelinux() -> Tale {
    let mut tale = Tale::new(4)
        .discover(0, Stage::Pxe, "bios", Some("UNDI 2.1"))
        .offer(300, "pxelinux.0")
        .ack(330, Stage::Pxe, "pxelinux.0")
        .tftp(450, "pxelinux.0", Role::Loader, 42_988, 60)
        .tftp(520, "ldlinux.c32", Role::Other, 122_620, 90);
    let names =
        ["564d0000-0001", "01-52-54-00-00-00-04", "0A0001CB", "0A0001C", "0A0001", "0A000", "0A00", "0A0", "0A", "0"];
    for (i, name) in names.iter().enumerate() {
        tale = tale.missing(600 + i as i64 * 5, &format!("pxelinux.cfg/{name}"));
    }
    let menu = "debian-installer/amd64/boot-screens";
    tale.tftp(700, "pxelinux.cfg/default", Role::Other, 178, 1)
        .tftp(710, &format!("{menu}/menu.cfg"), Role::Other, 484, 1)
        .tftp(720, &format!("{menu}/vesamenu.c32"), Role::Other, 27_056, 12)
        .tftp(730, &format!("{menu}/splash.png"), Role::Other, 67_152, 30)
        .tftp(9000, "debian-installer/amd64/linux", Role::Kernel, 8_234_000, 2400)
        .tftp(21_000, "debian-installer/amd64/initrd.gz", Role::Initrd, 31_700_000, 9100)
        .discover(60_000, Stage::Os, "bios", None)
        .ack(60_100, Stage::Os, "")
        .step(60_200, Step::OsUp { how: "dhcp".to_owned(), detail: None })
}

pub fn loop_broken() -> Tale {
    let mut tale = Tale::new(5);
    for round in 0..3 {
        let at = round * 20_000;
        tale = tale
            .discover(at, Stage::Pxe, "bios", Some("UNDI 2.1"))
            .offer(at + 100, "undionly.kpxe")
            .ack(at + 200, Stage::Pxe, "undionly.kpxe")
            .tftp(at + 400, "undionly.kpxe", Role::Loader, 74_213, 110);
    }
    tale.step(40_500, Step::LoopBroken { loader: "undionly.kpxe".to_owned(), times: 3 })
}

pub fn address_in_use() -> Tale {
    let tale = Tale::new(6).discover(0, Stage::Pxe, "bios", Some("UNDI 2.1"));
    let taken = Step::AddressInUse { address: Ipv4Addr::new(10, 0, 1, 204), by: Some(Mac([2, 0, 0, 0, 0, 9])) };
    tale.step(500, taken).offer(1000, "undionly.kpxe").ack(1100, Stage::Pxe, "undionly.kpxe")
}

/// The address is given, and silence follows.
pub fn no_tftp() -> Tale {
    Tale::new(7).discover(0, Stage::Pxe, "bios", Some("UNDI 2.1")).offer(300, "undionly.kpxe").ack(
        330,
        Stage::Pxe,
        "undionly.kpxe",
    )
}

pub fn kernel_then_silence() -> Tale {
    let mut tale = bios_chain();
    tale.events.pop();
    tale
}

pub fn rom_ipxe_then_failure() -> Tale {
    Tale::new(8)
        .discover(0, Stage::Ipxe, "bios", Some("iPXE 1.0.0"))
        .offer(100, SCRIPT)
        .ack(200, Stage::Ipxe, SCRIPT)
        .http(300, "boot/52-54-00-00-00-08.ipxe", Role::Script, 300, 1)
        .step(
            400,
            Step::FileFailed {
                protocol: Protocol::Http,
                file: "vmlinuz".to_owned(),
                octets: 1_200_000,
                because: "the machine closed the connection after 1.2 MB of 8.2 MB".to_owned(),
            },
        )
        .step(500, Step::IpxeFailed { what: "kernel".to_owned(), error: "1275813941".to_owned() })
}

impl Tale {
    pub fn number(self, number: u32) -> Tale {
        let [_, a, b, c] = number.to_be_bytes();
        let machine = Mac([0x52, 0x54, 0, a, b, c]);
        let events = self.events.into_iter().map(|event| Event { machine: Some(machine), ..event }).collect();
        Tale { machine, events, ..self }
    }

    pub fn found(self, millis: i64, name: &str, local: bool) -> Tale {
        let (kind, answers) = ("A".to_owned(), vec!["192.0.2.80".to_owned()]);
        self.step(millis, Step::LookedUp { name: name.to_owned(), kind, answers, local, millis: 20 })
    }

    pub fn failed(self, millis: i64, name: &str, kind: &str, why: Unresolved) -> Tale {
        self.step(millis, Step::LookUpFailed { name: name.to_owned(), kind: kind.to_owned(), why })
    }

    /// Its kernel and initrd are there, and its system asks for an address.
    pub fn system(self, millis: i64) -> Tale {
        self.linux(millis)
            .discover(millis + 10_000, Stage::Os, "bios", None)
            .ack(millis + 10_100, Stage::Os, "")
            .step(millis + 10_200, Step::OsUp { how: "dhcp".to_owned(), detail: None })
    }
}

pub fn no_answer() -> Unresolved {
    let asked = |server: &str, said| Asked { server: server.parse().unwrap(), said };
    Unresolved::NoAnswer { asked: vec![asked("192.0.2.1:53", Said::Silent), asked("192.0.2.2:53", Said::Unreachable)] }
}

pub fn no_such_name() -> Unresolved {
    Unresolved::NoSuchName { by: Some("192.0.2.1:53".parse().unwrap()) }
}

fn installer(number: u8) -> Tale {
    Tale::new(number).discover(0, Stage::Ipxe, "bios", Some("iPXE 1.21.1")).ack(200, Stage::Ipxe, SCRIPT).system(1000)
}

/// It finds the time, and then no mirror.
pub fn no_mirror() -> Tale {
    installer(1).found(12_000, "ntp.lan", true).failed(17_000, "deb.example.net", "A", no_answer()).failed(
        17_001,
        "deb.example.net",
        "AAAA",
        no_answer(),
    )
}

/// A name is tried in a domain first, records that few names have are asked for, and the server is slow once.
pub fn names_with_small_trouble() -> Tale {
    installer(2)
        .failed(12_000, "deb.example.net.lan", "A", Unresolved::NoSuchName { by: None })
        .found(12_100, "deb.example.net", false)
        .failed(12_110, "deb.example.net", "AAAA", no_such_name())
        .failed(12_200, "_http._tcp.deb.example.net", "SRV", no_such_name())
        .found(13_000, "security.debian.org", false)
        .failed(14_000, "wpad.lan", "A", Unresolved::NoSuchName { by: None })
        .failed(15_000, "ntp.debian.org", "A", no_answer())
        .found(16_000, "ntp.debian.org", false)
        .found(17_000, "ftp.debian.org", false)
        .up(60_000)
}

/// Nobody has the name that its kernel was told, but nearly.
pub fn mistyped_mirror() -> Tale {
    let here = || Unresolved::NoSuchName { by: None };
    installer(3).found(12_000, "mirror.lan", true).failed(16_000, "miror.lan", "A", here()).failed(
        16_100,
        "miror",
        "A",
        here(),
    )
}

/// What `lanboot lab --log json` wrote down of real machines: `tests/journals/<name>.jsonl`.
pub fn recorded(name: &str) -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals").join(name).with_extension("jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text)
}

/// The events of a journal's file.
pub fn parse(text: &str) -> Vec<Event> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What the lab calls its machines.
pub fn names(events: &[Event]) -> HashMap<Mac, String> {
    let name = |event: &Event| match &event.step {
        Step::VmStarted { name, .. } => Some((event.machine?, name.clone())),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

/// The live view of these events, looking for what is due every second, until a second after the last.
pub fn live(terminal: &mut Terminal, events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut now = events[0].at;
    for event in events {
        while now + 1.second() < event.at {
            now += 1.second();
            lines.extend(terminal.due(now));
        }
        lines.extend(terminal.line(event));
    }
    lines.extend(terminal.due(now + 2.seconds()));
    lines.extend(terminal.finish());
    lines
}

/// The power returns in a hall of 5,000 machines: most are up after a while; of some the firewall drops TFTP, some have a
/// kernel that says nothing, some fail in iPXE, and one address is refused.
pub fn storm(machines: u32) -> Vec<Event> {
    let mut events: Vec<Event> = (0..machines)
        .flat_map(|n| {
            let start = i64::from(n) * 2 + i64::from(n % 7) * 300;
            let asked = Tale::new(1).number(n).discover(start, Stage::Pxe, "bios", Some("UNDI 2.1"));
            let acked = asked.offer(start + 300, "undionly.kpxe").ack(start + 330, Stage::Pxe, "undionly.kpxe");
            if n % 100 == 7 {
                return acked.events;
            }
            let loaded = acked.tftp(start + 1500, "undionly.kpxe", Role::Loader, 74_213, 900);
            let own = format!("http://10.0.1.1/boot/{}.ipxe", loaded.machine.to_string().replace(':', "-"));
            let ipxe = loaded
                .discover(start + 4000, Stage::Ipxe, "bios", Some("iPXE 1.21.1"))
                .offer(start + 4100, &own)
                .ack(start + 5000, Stage::Ipxe, &own);
            if n % 500 == 11 {
                let failed = Step::IpxeFailed { what: "kernel".to_owned(), error: "1275813941".to_owned() };
                return ipxe.step(start + 9000, failed).events;
            }
            let linux = ipxe.linux(start + 6000 + i64::from(n % 13) * 1000);
            if n % 1000 == 23 { linux.events } else { linux.up(start + 30_000 + i64::from(n % 11) * 1500).events }
        })
        .collect();
    let refused =
        Step::DhcpNak { address: Ipv4Addr::new(10, 9, 9, 9), because: "it is not of this network".to_owned() };
    events.extend(Tale::new(1).number(machines / 2).step(12_000, refused).events);
    events.sort_by_key(|event| event.at);
    events
}
