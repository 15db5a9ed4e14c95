//! Whole proxy exchanges with what real firmware sent, against answers written down octet by octet.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

use boot::pxe_menu::Pxe;
use boot::rules::BootRule;
use config::{Chooser, Gives};
use dhcp::v4::{Destination, MessageType, Packet};
use journal::Step;

use super::tests::{Bench, Out, SERVER, guide, host, message, range};

fn captured(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/packets");
    let text = fs::read_to_string(folder.join(format!("{name}.hex"))).unwrap();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A DISCOVER made the REQUEST that its firmware sends to port 4011.
fn again(mut discover: Vec<u8>) -> Vec<u8> {
    let kind = discover.windows(3).position(|option| option == [53, 1, 1]).unwrap();
    discover[kind + 2] = 3;
    discover[12..16].copy_from_slice(&host(50).octets());
    discover
}

fn beside() -> Bench {
    let mut range = range(0, 0);
    range.gives = Gives::Proxy;
    let mut dhcp = config::Dhcp { ranges: vec![range], ..guide() };
    dhcp.rules.pxe.enabled = true;
    Bench::new(dhcp)
}

impl Bench {
    fn hears_at_4011(&mut self, octets: &[u8]) -> Out {
        let clock = self.clock();
        self.engine.handle_pxe(clock, 0, SocketAddrV4::new(host(50), 2070), octets);
        self.out()
    }
}

/// Header fields and options without those that every answer has: 53, 54, 61, and 97 as it came.
fn told(out: &Out, kind: MessageType) -> String {
    let packet = out.only(kind);
    let file = String::from_utf8_lossy(&packet.file()).into_owned();
    let mut text = format!("yiaddr {} siaddr {} file {file}", packet.yiaddr(), packet.siaddr());
    for (code, data) in packet.options().filter(|(code, _)| ![53, 54, 61, 97].contains(code)) {
        text += &format!(" {code}={}", data.escape_ascii());
    }
    text
}

#[test]
fn a_bios_is_told_at_once_and_uefi_on_port_4011() {
    let bios = "yiaddr 0.0.0.0 siaddr 10.0.1.1 file undionly.kpxe 66=10.0.1.1 67=undionly.kpxe 60=PXEClient 43=\\x06\\x01\\x08\\xff";
    let mut plain = captured("ovmf-pxe/01-discover");
    let arch = plain.windows(4).position(|option| option == [93, 2, 0, 7]).unwrap();
    plain[arch + 3] = 0;
    let mut bench = beside();
    let out = bench.hears(&plain);
    assert_eq!(told(&out, MessageType::Offer), bios);
    assert_eq!(out.replies[0].2, Destination::Broadcast);
    for firmware in ["ovmf-pxe", "aavmf-pxe"] {
        let mut bench = beside();
        let discover = captured(&format!("{firmware}/01-discover"));
        let ours = "10.0.1.1 file pxelinux.0 66=10.0.1.1 67=pxelinux.0 60=PXEClient";
        let out = bench.hears(&discover);
        assert_eq!(told(&out, MessageType::Offer), format!("yiaddr 0.0.0.0 siaddr {ours}"), "{firmware}");
        let id = Packet::parse(&discover).unwrap().option(97).unwrap().into_owned();
        assert_eq!(out.only(MessageType::Offer).option(97).unwrap(), id);
        let out = bench.hears_at_4011(&again(discover));
        assert_eq!(told(&out, MessageType::Ack), format!("yiaddr 0.0.0.0 siaddr {ours} 43=\\x06\\x01\\x08\\xff"));
        assert_eq!(out.replies[0].2, Destination::Unicast(SocketAddrV4::new(host(50), 2070)));
    }
}

#[test]
fn ipxe_and_http_boot_are_told_at_once() {
    for firmware in ["seabios-ipxe", "undionly", "ipxe-efi"] {
        let out = beside().hears(&captured(&format!("{firmware}/01-discover")));
        assert!(told(&out, MessageType::Offer).ends_with("60=PXEClient 43=\\x06\\x01\\x08\\xff"), "{firmware}");
    }
    let out = beside().hears(&captured("ovmf-http/01-discover"));
    let http = "yiaddr 0.0.0.0 siaddr 10.0.1.1 file http://10.0.1.1/pxelinux.0 66=10.0.1.1 67=http://10.0.1.1/pxelinux.0 60=HTTPClient";
    assert_eq!(told(&out, MessageType::Offer), http);
}

#[test]
fn a_relayed_request_is_answered_through_its_relay() {
    let mut discover = captured("seabios-ipxe/01-discover");
    discover[24..28].copy_from_slice(&host(5).octets());
    let out = beside().hears(&discover);
    assert_eq!(out.replies[0].2, Destination::Relay(SocketAddrV4::new(host(5), 67)));
}

#[test]
fn nobody_is_given_an_address_and_where_machines_get_theirs_is_noted() {
    let mut bench = beside();
    let phone = message(super::tests::mac(9), &[(53, &[1])]);
    let out = bench.hears(&phone);
    assert!(out.replies.is_empty() && out.steps.is_empty());
    bench.hears(&captured("ovmf-pxe/01-discover"));
    let out = bench.hears(&captured("ovmf-pxe/02-request"));
    assert!(out.replies.is_empty());
    let [Step::AddressElsewhere { address, server, .. }] = out.steps[..] else { panic!("{:?}", out.steps) };
    assert_eq!((address, server), (host(34), Some(SERVER)));
    assert!(bench.hears_at_4011(&phone).replies.is_empty());
}

#[test]
fn by_rules_http_boot_is_answered_where_a_rule_has_a_url() {
    let dialect = |file: &str| {
        let mut range = range(0, 0);
        range.gives = Gives::Proxy;
        let mut dhcp = config::Dhcp { ranges: vec![range], chooser: Chooser::Rules, ..guide() };
        dhcp.rules.pxe = Pxe { enabled: true, ..Pxe::default() };
        dhcp.rules.boots.push(BootRule { file: file.into(), ..BootRule::default() });
        Bench::new(dhcp)
    };
    let discover = captured("ovmf-http/01-discover");
    assert_eq!(dialect("shimx64.efi").hears(&discover).ignored(), "no rule has a URL for UEFI HTTP Boot");
    let out = dialect("http://10.0.1.1/shimx64.efi").hears(&discover);
    let offer = out.only(MessageType::Offer);
    assert_eq!((offer.text(60).unwrap(), offer.siaddr()), ("HTTPClient".to_owned(), SERVER));
}
