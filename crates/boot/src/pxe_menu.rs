//! PXE menus and boot servers: what option 43 tells a PXE client (PXE 2.1 section 2.2.1), and what a menu's entry loads.
//!
//! Which entries a client sees, and the order of the sub-options, are dnsmasq's (`pxe-service`, `pxe-prompt`,
//! `dhcp-pxe-vendor`).

use std::net::Ipv4Addr;

use dhcp::ClientArch;
use dhcp::v4::packet::sub_options;
use dhcp::v4::{Packet, code};

use crate::matching::{TagExpr, Tags};

/// Sub-options of option 43 from a PXE server, and the one that a client sends.
pub mod sub {
    pub const DISCOVERY_CONTROL: u8 = 6;
    pub const BOOT_SERVERS: u8 = 8;
    pub const BOOT_MENU: u8 = 9;
    pub const MENU_PROMPT: u8 = 10;
    pub const BOOT_ITEM: u8 = 71;
}

/// Bits of [`sub::DISCOVERY_CONTROL`].
pub mod discovery {
    pub const NO_BROADCAST: u8 = 1;
    pub const NO_MULTICAST: u8 = 2;
    /// There is nothing to discover: the boot file is in this very answer.
    pub const JUST_BOOT: u8 = 8;
}

/// UEFI firmware begins here among the client architectures.
const FIRST_UEFI: u16 = 6;
/// The types of our own boot servers: beyond those that the specification gives to vendors.
const FIRST_TYPE: u16 = 0x8000;
/// The vendor class of PXE clients, unless others are named.
const PXE_CLIENT: &str = "PXEClient";
/// What one option holds besides its end mark and the head of a sub-option.
const ROOM: usize = 253;

/// All about PXE beyond a boot file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pxe {
    /// PXE clients are told more than a boot file.
    pub enabled: bool,
    pub services: Vec<Service>,
    /// Starts of the vendor classes (option 60) that tell PXE clients from others; none: `PXEClient`.
    pub vendors: Vec<String>,
}

/// An entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub tags: TagExpr,
    /// Whose menu it stands in.
    pub arch: ClientArch,
    pub text: Vec<u8>,
    pub boot: Boot,
    /// Where its file or its boot server is; `None`: with us, or unknown.
    pub server: Option<Ipv4Addr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// We are the boot server. The client puts `.` and the layer behind a name without a dot, so we do.
    File(String),
    /// The client looks for a boot server of this type.
    Server(u16),
    /// It goes on from its own disks.
    Local,
}

/// A request of a PXE client.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The vendor class to answer it with.
    pub vendor: &'a str,
    /// Option 93; `None`: it leaves it out.
    pub arch: Option<ClientArch>,
    /// What it chose from the menu.
    pub item: Option<Item>,
}

/// [`sub::BOOT_ITEM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: u16,
    pub layer: u16,
}

impl Item {
    /// Set in the layer by a client that wants its file's checksum first, which nobody serves.
    const CHECKSUM: u16 = 0x8000;

    fn read(data: &[u8]) -> Option<Item> {
        let [a, b, c, d, ..] = *data else { return None };
        Some(Item { kind: u16::from_be_bytes([a, b]), layer: u16::from_be_bytes([c, d]) })
    }

    pub fn wants_checksum(self) -> bool {
        self.layer & Item::CHECKSUM != 0
    }

    /// As a sub-option's value.
    pub fn octets(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.kind.to_be_bytes(), self.layer.to_be_bytes());
        [a, b, c, d]
    }
}

/// Whether a client of this architecture heeds option 43 only from port 4011.
pub fn is_uefi(arch: ClientArch) -> bool {
    arch.0 >= FIRST_UEFI
}

impl Service {
    /// What the client asks TFTP for, at this layer.
    pub fn file(&self, layer: u16) -> Option<String> {
        match &self.boot {
            Boot::File(name) if name.contains('.') => Some(name.clone()),
            Boot::File(name) => Some(format!("{name}.{layer}")),
            Boot::Server(_) | Boot::Local => None,
        }
    }
}

impl Pxe {
    /// Reads a request; `None` where it is none of a PXE client, or PXE clients get no more than a boot file.
    pub fn client<'a>(&'a self, packet: &Packet<'_>) -> Option<Client<'a>> {
        let class = packet.option(code::VENDOR_CLASS).filter(|_| self.enabled)?;
        let is_start = |vendor: &&str| class.starts_with(vendor.as_bytes());
        let vendor = match self.vendors.is_empty() {
            true => Some(PXE_CLIENT).filter(is_start),
            false => self.vendors.iter().map(String::as_str).find(is_start),
        }?;
        let item = packet.option(code::VENDOR_SPECIFIC).and_then(|data| {
            let (_, item) = sub_options(&data).find(|(code, _)| *code == sub::BOOT_ITEM)?;
            Item::read(item)
        });
        Some(Client { vendor, arch: packet.u16(code::CLIENT_ARCH).map(ClientArch), item })
    }

    /// The entry that stands for this boot server type.
    pub fn service(&self, kind: u16) -> Option<&Service> {
        self.numbered().find(|(number, _)| *number == kind).map(|(_, service)| service)
    }

    /// All entries with their boot server types; types that nobody named count up.
    fn numbered(&self) -> impl Iterator<Item = (u16, &Service)> {
        let mut next = FIRST_TYPE;
        self.services.iter().map(move |service| {
            let number = match service.boot {
                Boot::Server(number) => number,
                Boot::Local => 0,
                Boot::File(_) => {
                    next = next.wrapping_add(1);
                    next.wrapping_sub(1)
                }
            };
            (number, service)
        })
    }

    fn seen<'a>(&'a self, arch: ClientArch, tags: &Tags) -> impl Iterator<Item = (u16, &'a Service)> {
        self.numbered().filter(move |(_, service)| service.arch == arch && service.tags.holds(tags))
    }

    /// The file that UEFI firmware is given without a menu, which hardly any of it can show: where there is but one.
    pub fn only_file(&self, arch: ClientArch, tags: &Tags) -> Option<&Service> {
        let mut files = self.seen(arch, tags).filter(|(_, service)| matches!(service.boot, Boot::File(_)));
        let (_, only) = files.next().filter(|_| is_uefi(arch))?;
        files.next().is_none().then_some(only)
    }

    /// The sub-options of option 43 for a client: how to find boot servers, a prompt unless the rules have one, boot
    /// servers, menu.
    ///
    /// # Errors
    /// When the menu does not fit one option.
    pub fn options(&self, arch: ClientArch, tags: &Tags, ours: Ipv4Addr) -> Result<Vec<(u8, Vec<u8>)>, TooLarge> {
        let (mut menu, mut servers, mut entries) = (Vec::new(), Vec::new(), 0);
        let mut control = discovery::NO_BROADCAST | discovery::NO_MULTICAST;
        for (number, service) in self.seen(arch, tags) {
            let text = &service.text;
            if menu.len() + 3 + text.len() >= ROOM {
                return Err(TooLarge);
            }
            menu.extend(number.to_be_bytes());
            menu.push(text.len() as u8);
            menu.extend(text);
            entries += 1;
            let server = match service.boot {
                Boot::File(_) => Some(ours),
                Boot::Server(_) | Boot::Local => service.server,
            };
            if let Some(server) = server {
                if servers.len() + 7 >= ROOM {
                    return Err(TooLarge);
                }
                servers.extend(number.to_be_bytes());
                servers.push(1);
                servers.extend(server.octets());
            } else if number != 0 {
                // Somebody has it: let the client ask everyone.
                control &= !discovery::NO_BROADCAST;
            }
        }
        if entries == 0 {
            control = discovery::JUST_BOOT;
        }
        // Without a prompt of the user's: where there is a choice, wait for it.
        let wait = if entries > 1 { 255 } else { 0 };
        let mut options =
            vec![(sub::DISCOVERY_CONTROL, vec![control]), (sub::MENU_PROMPT, [&[wait], b"PXE".as_slice()].concat())];
        options.extend([(sub::BOOT_SERVERS, servers), (sub::BOOT_MENU, menu)].into_iter().filter(|o| !o.1.is_empty()));
        Ok(options)
    }
}

/// A menu that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PXE menu is longer than option 43 holds (253 octets, three of them for each entry besides its text)")]
pub struct TooLarge;

#[cfg(test)]
mod tests {
    use super::*;

    const US: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
    const X64: ClientArch = ClientArch(7);

    fn entry(arch: ClientArch, text: &str, boot: Boot) -> Service {
        Service { tags: TagExpr::default(), arch, text: text.into(), boot, server: None }
    }

    fn menu(services: Vec<Service>) -> Pxe {
        Pxe { enabled: true, services, vendors: Vec::new() }
    }

    fn file(name: &str) -> Boot {
        Boot::File(name.to_owned())
    }

    #[test]
    fn a_menu_is_written_as_pxe_2_1_has_it() {
        let mut elsewhere = entry(ClientArch::BIOS, "Win", Boot::Server(1));
        elsewhere.server = Some(Ipv4Addr::new(10, 0, 1, 9));
        let pxe = menu(vec![
            entry(ClientArch::BIOS, "Linux", file("pxelinux")),
            entry(X64, "UEFI", file("boot.efi")),
            elsewhere,
            entry(ClientArch::BIOS, "Disk", Boot::Local),
        ]);
        let options = pxe.options(ClientArch::BIOS, &Tags::default(), US).unwrap();
        let expected: [(u8, &[u8]); 4] = [
            (6, &[3]),
            (10, b"\xffPXE"),
            (8, b"\x80\x00\x01\x0a\x00\x01\x01\x00\x01\x01\x0a\x00\x01\x09"),
            (9, b"\x80\x00\x05Linux\x00\x01\x03Win\x00\x00\x04Disk"),
        ];
        assert_eq!(options, expected.map(|(code, data)| (code, data.to_vec())));
    }

    #[test]
    fn a_boot_server_of_unknown_address_is_asked_for_by_broadcast() {
        let pxe = menu(vec![entry(ClientArch::BIOS, "Any", Boot::Server(2))]);
        let options = pxe.options(ClientArch::BIOS, &Tags::default(), US).unwrap();
        let expected: [(u8, &[u8]); 3] = [(6, &[2]), (10, b"\0PXE"), (9, b"\x00\x02\x03Any")];
        assert_eq!(options, expected.map(|(code, data)| (code, data.to_vec())));
    }

    #[test]
    fn without_a_menu_there_is_nothing_to_discover() {
        let options = menu(vec![]).options(X64, &Tags::default(), US).unwrap();
        assert_eq!(options, [(6, vec![8]), (10, b"\0PXE".to_vec())]);
    }

    #[test]
    fn a_menu_that_one_option_cannot_hold_is_refused() {
        let entries = |count: usize| (0..count).map(|_| entry(X64, &"x".repeat(60), file("a"))).collect();
        assert!(menu(entries(4)).options(X64, &Tags::default(), US).is_ok());
        assert_eq!(menu(entries(5)).options(X64, &Tags::default(), US), Err(TooLarge));
    }

    #[test]
    fn the_layer_is_put_behind_a_name_without_a_dot() {
        let pxe = menu(vec![
            entry(ClientArch::BIOS, "a", file("pxelinux")),
            entry(ClientArch::BIOS, "b", file("rescue.img")),
            entry(ClientArch::BIOS, "c", Boot::Server(7)),
        ]);
        let chosen = |kind, layer| pxe.service(kind).and_then(|service| service.file(layer));
        assert_eq!(chosen(0x8000, 0).as_deref(), Some("pxelinux.0"));
        assert_eq!(chosen(0x8000, 2).as_deref(), Some("pxelinux.2"));
        assert_eq!(chosen(0x8001, 2).as_deref(), Some("rescue.img"));
        assert_eq!((chosen(7, 0), chosen(0x8002, 0)), (None, None));
    }

    #[test]
    fn uefi_is_spared_a_menu_of_one_file() {
        let mut pxe = menu(vec![entry(X64, "a", file("a.efi")), entry(ClientArch::BIOS, "b", file("b"))]);
        let only = |pxe: &Pxe, arch| pxe.only_file(arch, &Tags::default()).is_some();
        assert!(only(&pxe, X64) && !only(&pxe, ClientArch::BIOS));
        pxe.services.push(entry(X64, "c", file("c.efi")));
        assert!(!only(&pxe, X64));
    }
}
