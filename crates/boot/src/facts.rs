//! All that is known of a machine when something is decided about it.

use std::net::Ipv4Addr;

use dhcp::ClientArch;
use dhcp::v4::packet::sub_options;
use dhcp::v4::{Packet, code};
use journal::Stage;
use mac::Mac;

use crate::history::History;

/// One machine, as its packet and our memory of it describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub mac: Mac,
    pub stage: Stage,
    /// Option 93, the first architecture it lists; else from the vendor class; `None` when neither says.
    pub arch: Option<ClientArch>,
    /// Option 60.
    pub vendor_class: Option<String>,
    /// Option 77.
    pub user_class: Option<String>,
    /// Option 97, without its type octet.
    pub uuid: Option<[u8; 16]>,
    pub ipxe: Option<Ipxe>,
    pub relay: Option<Ipv4Addr>,
    /// Our own address, as the machine reaches us.
    pub server: Ipv4Addr,
    /// The machine's address, where it has one.
    pub address: Option<Ipv4Addr>,
    /// Option 12, unless it holds what no host name does: it ends up in scripts and on terminals.
    pub hostname: Option<String>,
    pub history: History,
}

/// What an iPXE says of itself in option 175.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipxe {
    /// Bit N: feature sub-option N is there and not 0.
    features: u128,
    /// Sub-option 0xeb: major, minor, patch.
    pub version: Option<[u8; 3]>,
}

/// Feature sub-options of option 175 (iPXE `features.h`).
pub mod feature {
    pub const HTTP: u8 = 0x13;
    pub const HTTPS: u8 = 0x14;
    pub const DNS: u8 = 0x17;
}

impl Ipxe {
    const VERSION: u8 = 0xeb;

    /// Reads the value of option 175.
    pub fn parse(option: &[u8]) -> Ipxe {
        let mut ipxe = Ipxe::default();
        for (code, data) in sub_options(option) {
            match data {
                [major, minor, patch, ..] if code == Self::VERSION => ipxe.version = Some([*major, *minor, *patch]),
                // Newer versions put the feature level after the name of the feature; 0 says that it is absent.
                [level, ..] if code < 128 && *level != 0 => ipxe.features |= 1 << code,
                _ => {}
            }
        }
        ipxe
    }

    /// An iPXE with these features and no version, for `lanboot explain`.
    pub fn with_features(features: &[u8]) -> Ipxe {
        let bits = features.iter().filter(|code| **code < 128).fold(0, |bits, code| bits | 1 << code);
        Ipxe { features: bits, version: None }
    }

    pub fn has(&self, feature: u8) -> bool {
        feature < 128 && self.features & (1 << feature) != 0
    }
}

impl Facts {
    /// Gathers what a DHCP message says.
    ///
    /// `server`: our address on the link it came from. `history`: what we remember of this machine.
    pub fn of(packet: &Packet<'_>, mac: Mac, server: Ipv4Addr, history: History) -> Facts {
        let vendor_class = packet.text(code::VENDOR_CLASS);
        let user_class = packet.option(code::USER_CLASS).map(|data| user_class(&data));
        let says_ipxe = user_class.as_deref().is_some_and(|classes| classes.split(' ').any(|class| class == "iPXE"));
        // Some iPXE builds leave option 175 out; the user class alone is word enough.
        let ipxe = match packet.option(code::IPXE) {
            Some(option) => Some(Ipxe::parse(&option)),
            None => says_ipxe.then(Ipxe::default),
        };
        let arch = packet.u16(code::CLIENT_ARCH).map(ClientArch);
        let arch = arch.or_else(|| vendor_class.as_deref().and_then(arch_in_vendor_class));
        let class = vendor_class.as_deref().unwrap_or("");
        let stage = if ipxe.is_some() {
            Stage::Ipxe
        } else if class.starts_with("HTTPClient") {
            Stage::HttpBoot
        } else if class.starts_with("PXEClient") || packet.option(code::CLIENT_ARCH).is_some() {
            Stage::Pxe
        } else {
            Stage::Os
        };
        Facts {
            mac,
            stage,
            arch,
            vendor_class,
            user_class,
            uuid: packet.option(code::CLIENT_MACHINE_ID).and_then(|id| id.get(1..17)?.try_into().ok()),
            ipxe,
            relay: packet.relay(),
            server,
            address: None,
            hostname: packet.text(code::HOST_NAME).filter(|name| is_host_name(name)),
            history,
        }
    }

    /// Who asks, for people: `iPXE 1.0.0`, `UNDI 3.16`, or nothing worth saying.
    pub fn firmware(&self) -> Option<String> {
        if let Some(ipxe) = self.ipxe {
            return Some(match ipxe.version {
                Some([major, minor, patch]) => format!("iPXE {major}.{minor}.{patch}"),
                None => "iPXE".into(),
            });
        }
        // PXEClient:Arch:xxxxx:UNDI:yyyzzz (PXE 2.1 section 2.1)
        let undi = self.vendor_class.as_deref()?.split(":UNDI:").nth(1)?;
        let major: u32 = undi.get(..3)?.parse().ok()?;
        let minor: u32 = undi.get(3..6)?.parse().ok()?;
        Some(format!("UNDI {major}.{minor}"))
    }
}

/// Letters of any language, because people do name their computers so; nothing that a script or a shell would act on.
fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// Option 77 as text, whether raw (iPXE, most firmware) or length-prefixed (RFC 3004).
fn user_class(data: &[u8]) -> String {
    let text = |part: &[u8]| String::from_utf8_lossy(part).trim_end_matches('\0').to_owned();
    let mut classes = Vec::new();
    let mut rest = data;
    while let [length, tail @ ..] = rest {
        let length = usize::from(*length);
        if length == 0 || length > tail.len() {
            return text(data);
        }
        classes.push(text(&tail[..length]));
        rest = &tail[length..];
    }
    classes.join(" ")
}

/// The decimal architecture in `PXEClient:Arch:00007:UNDI:003016`, for firmware that leaves option 93 out.
fn arch_in_vendor_class(class: &str) -> Option<ClientArch> {
    let digits = class.split(":Arch:").nth(1)?.get(..5)?;
    digits.parse().ok().map(ClientArch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_class_reads_raw_and_length_prefixed() {
        assert_eq!(user_class(b"iPXE"), "iPXE");
        assert_eq!(user_class(b"\x04iPXE"), "iPXE");
        assert_eq!(user_class(b"\x04iPXE\x03lab"), "iPXE lab");
        assert_eq!(user_class(b"\x00\xffx"), "\0\u{fffd}x");
        assert_eq!(user_class(b""), "");
    }

    #[test]
    fn a_host_name_is_no_place_for_commands() {
        for good in ["rack-7", "node_1.lab.example", "Müllers-PC"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "x\nchain http://10.0.1.66/", "a || reboot", "${net0/ip}", "\u{1b}[2J", "a b"] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn ipxe_is_known_among_several_user_classes() {
        let mut octets = vec![0; 240];
        octets[..3].copy_from_slice(&[1, 1, 6]);
        octets[236..].copy_from_slice(&[99, 130, 83, 99]);
        octets.extend(b"\x35\x01\x01\x4d\x09\x04iPXE\x03lab\xff");
        let packet = Packet::parse(&octets).unwrap();
        let facts = Facts::of(&packet, packet.mac().unwrap(), Ipv4Addr::LOCALHOST, History::default());
        assert_eq!(facts.stage, Stage::Ipxe);
    }

    #[test]
    fn ipxe_features_are_read_one_by_one() {
        let ipxe = Ipxe::parse(&[0xeb, 3, 1, 21, 1, 0x13, 1, 1, 0x14, 1, 0, 0x17, 1, 2]);
        assert_eq!(ipxe.version, Some([1, 21, 1]));
        assert!(ipxe.has(feature::HTTP) && ipxe.has(feature::DNS));
        assert!(!ipxe.has(feature::HTTPS), "level 0 means absent");
    }

    #[test]
    fn arch_falls_back_on_the_vendor_class() {
        assert_eq!(arch_in_vendor_class("PXEClient:Arch:00007:UNDI:003016"), Some(ClientArch(7)));
        assert_eq!(arch_in_vendor_class("PXEClient:Arch:0000B:UNDI:003016"), None);
        assert_eq!(arch_in_vendor_class("PXEClient"), None);
    }
}
