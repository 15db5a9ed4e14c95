//! What real firmware sends, from captures, is recognised and answered.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use boot::{Answer, Facts, History, Policy, Target, decide, feature};
use dhcp::v4::{MessageType, Packet};
use dhcp::{ClientArch, Platform};
use journal::Stage;

/// Capture, stage, architecture, who it says it is, and what it is told to boot.
type Row = (&'static str, Stage, Option<u16>, Option<&'static str>, Option<&'static str>);

const SCRIPT: &str = "http://10.0.1.1/boot/52-54-00-12-34-56.ipxe";

const ROWS: &[Row] = &[
    ("seabios-ipxe", Stage::Ipxe, Some(0), Some("iPXE 1.0.0"), Some(SCRIPT)),
    ("undionly", Stage::Ipxe, Some(0), Some("iPXE 1.0.0"), Some(SCRIPT)),
    ("ipxe-efi", Stage::Ipxe, Some(7), Some("iPXE 1.0.0"), Some(SCRIPT)),
    ("ovmf-pxe", Stage::Pxe, Some(7), Some("UNDI 3.0"), Some("snponly.efi")),
    ("ovmf-http", Stage::HttpBoot, Some(16), Some("UNDI 3.0"), Some("http://10.0.1.1/snponly.efi")),
    ("aavmf-pxe", Stage::Pxe, Some(11), Some("UNDI 3.0"), Some("ipxe-arm64.efi")),
    ("udhcpc", Stage::Os, None, None, None),
];

fn capture(firmware: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/packets").join(firmware).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn policy() -> Policy {
    let ipxe = [
        (Platform::Bios, "undionly.kpxe"),
        (Platform::UefiX64, "snponly.efi"),
        (Platform::UefiArm64, "ipxe-arm64.efi"),
    ];
    Policy {
        http_port: Some(80),
        tftp: true,
        ipxe: ipxe.into_iter().map(|(platform, name)| (platform, name.to_owned())).collect(),
        target: Target::Linux { kernel: "boot/vmlinuz".into(), initrds: vec![], cmdline: String::new() },
        machines: BTreeMap::new(),
        ..Policy::default()
    }
}

#[test]
fn every_captured_firmware_is_recognised_and_answered() {
    for (firmware, stage, arch, says, boot_file) in ROWS {
        for (name, kind) in [("01-discover.hex", MessageType::Discover), ("02-request.hex", MessageType::Request)] {
            let octets = capture(firmware, name);
            let packet = Packet::parse(&octets).unwrap();
            assert_eq!(packet.message_type(), Some(kind), "{firmware}/{name}");
            assert_eq!(packet.damage(), None, "{firmware}/{name}");
            let mac = packet.mac().unwrap();
            let facts = Facts::of(&packet, mac, Ipv4Addr::new(10, 0, 1, 1), History::default());
            assert_eq!(facts.stage, *stage, "{firmware}/{name}");
            assert_eq!(facts.arch, arch.map(ClientArch), "{firmware}/{name}");
            assert_eq!(facts.firmware().as_deref(), *says, "{firmware}/{name}");
            let decision = decide(&facts, &policy(), Instant::now());
            assert_eq!(decision.answer.boot_file(), *boot_file, "{firmware}/{name}: {:?}", decision.because);
        }
    }
}

#[test]
fn debians_ipxe_has_http_but_not_https() {
    for firmware in ["seabios-ipxe", "undionly", "ipxe-efi"] {
        let octets = capture(firmware, "01-discover.hex");
        let packet = Packet::parse(&octets).unwrap();
        let facts = Facts::of(&packet, packet.mac().unwrap(), Ipv4Addr::new(10, 0, 1, 1), History::default());
        let ipxe = facts.ipxe.unwrap();
        assert!(ipxe.has(feature::HTTP) && ipxe.has(feature::DNS) && !ipxe.has(feature::HTTPS), "{firmware}");
    }
}

#[test]
fn every_capture_on_disk_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/packets");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(ROWS.iter().any(|row| row.0 == name), "testdata/packets/{name} is tested by nothing");
    }
}

#[test]
fn firmware_is_never_given_what_it_cannot_fetch() {
    for (firmware, stage, ..) in ROWS {
        let octets = capture(firmware, "01-discover.hex");
        let packet = Packet::parse(&octets).unwrap();
        let facts = Facts::of(&packet, packet.mac().unwrap(), Ipv4Addr::new(10, 0, 1, 1), History::default());
        let answer = decide(&facts, &policy(), Instant::now()).answer;
        match stage {
            Stage::Pxe => assert!(matches!(answer, Answer::Tftp { .. }), "{firmware}: {answer:?}"),
            Stage::HttpBoot => assert!(matches!(answer, Answer::Url { .. }), "{firmware}: {answer:?}"),
            Stage::Ipxe | Stage::Os => {}
        }
    }
}
