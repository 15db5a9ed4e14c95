//! proxyDHCP: another server gives out addresses, and we say what to boot.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use dhcp::v4::packet::sub_options;
use dhcp::v4::{MessageType, Packet, code};
use journal::Step;

use crate::clients::Udhcpc;
use crate::harness::{Host, LONG};
use crate::raw::{Raw, select};
use crate::rival::addresses_only;

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 9);

/// What firmware sent: a file of testdata/packets, without `.hex`.
fn captured(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/packets");
    let text = fs::read_to_string(folder.join(format!("{name}.hex"))).expect("a capture");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    digits.chunks(2).map(octet).collect()
}

#[test]
fn uefi_firmware_gets_its_address_there_and_its_boot_file_here() {
    let host = Host::new();
    let (other, client) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let _dnsmasq = addresses_only(&other);
    let tree = host.state().join("tree");
    fs::create_dir_all(&tree).expect("room");
    fs::write(tree.join("boot.efi"), "MZ").expect("room");
    let file = host.state().join("lanboot.toml");
    let text = format!(
        "[network]\nbridge = \"net\"\naddress = \"{US}/24\"\nports = [\"port0\", \"port1\"]\nmasquerade = false\n\n\
         [dhcp]\nmode = \"proxy\"\n\n[tftp]\nroot = {:?}\n\n[boot]\nfile = \"boot.efi\"\nchain = \"direct\"\n",
        tree.display().to_string()
    );
    fs::write(&file, text).expect("room");
    let mut server = host.up_carefully(&format!("-c {}", file.display()));

    let raw = Raw::on(&client);
    let discover = captured("ovmf-pxe/01-discover");
    raw.send(&discover);
    let mut offers = [raw.receive(LONG), raw.receive(LONG)].map(|offer| offer.expect("two servers"));
    offers.sort_by_key(|offer| offer.server);
    assert_eq!(offers.map(|offer| (offer.kind, offer.server)), [US, OTHER].map(|it| (MessageType::Offer, it)));
    assert!(offers[0].address.is_unspecified() && !offers[1].address.is_unspecified());
    server.next(|step| matches!(step, Step::ProxyAnswer { port: 67, .. }).then_some(()));

    let machine = offers[0].mac;
    raw.send(&select(machine, offers[1].address, OTHER));
    // The REQUEST of a machine that is known tells its address, whoever gave it.
    let taken = server.next(|step| match step {
        Step::AddressElsewhere { address, server, .. } => Some((*address, *server)),
        _ => None,
    });
    assert_eq!(taken, (offers[1].address, Some(OTHER)));

    client.run(&format!("ip address add {}/24 dev eth0", offers[1].address));
    let mut request = discover;
    let kind = request.windows(3).position(|option| option == [code::MESSAGE_TYPE, 1, 1]).expect("option 53");
    request[kind + 2] = MessageType::Request as u8;
    request[12..16].copy_from_slice(&offers[1].address.octets());
    let answer = client.inside(|| {
        let socket = UdpSocket::bind((offers[1].address, 0)).expect("its own address");
        socket.set_read_timeout(Some(LONG)).expect("not zero");
        socket.send_to(&request, (US, 4011)).expect("a route");
        let mut buffer = [0; 2048];
        let (octets, from) = socket.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, (US, 4011).into());
        buffer[..octets].to_vec()
    });
    let answer = Packet::parse(&answer).expect("a DHCP message");
    assert_eq!(answer.message_type(), Some(MessageType::Ack));
    assert_eq!((answer.file().as_ref(), answer.siaddr()), (b"boot.efi".as_slice(), US));
    assert_eq!(answer.text(code::VENDOR_CLASS).as_deref(), Some("PXEClient"));
    let control = answer.option(code::VENDOR_SPECIFIC).expect("option 43");
    assert_eq!(sub_options(&control).next(), Some((6, [8].as_slice())));
    server.next(|step| match step {
        Step::ProxyAnswer { port: 4011, boot_file: Some(file), .. } if file == "boot.efi" => Some(()),
        _ => None,
    });
    server.stop();
}

#[test]
fn who_does_not_boot_hears_nothing_of_us() {
    let host = Host::new();
    let (other, client) = (host.network.neighbour("port0"), host.network.neighbour("port1"));
    let _dnsmasq = addresses_only(&other);
    let serve = "--bridge net=10.0.1.1/24 --no-masquerade --port port0 --port port1";
    let server = host.up_carefully(&format!("{serve} --proxy"));
    let (_machine, address) = Udhcpc::bound(&client);
    assert!((50..=60).contains(&address.octets()[3]), "{address}");
    server.stop();
    let journal = fs::read_to_string(host.state().join("journal.jsonl")).expect("a journal");
    assert!(!journal.contains("proxy-answer") && !journal.contains("dhcp-offer"), "{journal}");
}
