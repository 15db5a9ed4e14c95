//! The exchange itself: who is answered, with what kind of message, and where it goes.

use std::net::Ipv4Addr;

use dhcp::v4::code;

use super::{FUZZ, ranged};
use crate::compare::What;
use crate::messages::{captured, decline, discover, host, inform, mac, reboot, release, renew, select};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 6, 12, 15, 28, 42, 51, 58, 59];
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 7);
const OTHER_SERVER: [u8; 4] = [10, 0, 1, 2];

const LOWEST: &str = "its manual says: from the lowest free address; it goes on behind the highest leased one";

#[test]
fn one_client_from_discover_to_release() {
    let steps = |group: Group| {
        group
            .then("DISCOVER", discover(1).asks(ASKED))
            .then("REQUEST", select(1, host(100)).asks(ASKED))
            .then("REQUEST again", select(1, host(100)).asks(ASKED))
            .then("INIT-REBOOT", reboot(1, host(100)).asks(ASKED))
            .then("renewal", renew(1, host(100)).asks(ASKED))
            .varies(What::Option(58), FUZZ)
            .varies(What::Option(59), FUZZ)
            .then("DISCOVER again", discover(1).asks(ASKED))
            .then("DISCOVER without a list", discover(1))
            .then("INFORM", inform(1, host(100)).asks(ASKED))
            .differs(What::Option(51), "RFC 2131 section 4.3.5: no lease time in the answer to a DHCPINFORM")
            .then("INFORM from outside the range", inform(2, host(20)).asks(ASKED))
            .then("RELEASE", release(1, host(100)))
            .then("DISCOVER after the RELEASE", discover(1).asks(ASKED))
            .then("REQUEST after the RELEASE", select(1, host(100)).asks(ASKED))
            .then("DECLINE", decline(1, host(100)))
    };
    run(&[
        steps(Group::new("plain", &ranged(&[]))),
        steps(Group::new("authoritative", &ranged(&["dhcp-authoritative"]))),
    ]);
}

#[test]
fn flags_relays_and_identifiers() {
    let id = [&[1][..], &mac(5).0].concat();
    run(&[Group::new("delivery", &ranged(&[]))
        .then("broadcast flag", discover(1).asks(ASKED).broadcast())
        .then("broadcast flag, REQUEST", select(1, host(100)).asks(ASKED).broadcast())
        .then("a relay on the same network", discover(2).asks(ASKED).by(host(5)))
        .then("its REQUEST", select(2, host(101)).asks(ASKED).by(host(5)))
        .then("a relay with the broadcast flag", discover(2).asks(ASKED).by(host(5)).broadcast())
        .then("a client identifier", discover(5).asks(ASKED).with(code::CLIENT_ID, &id))
        .then("its REQUEST", select(5, host(102)).asks(ASKED).with(code::CLIENT_ID, &id))
        .then("a name", discover(6).asks(ASKED).with(code::HOST_NAME, b"six"))
        .then("its REQUEST", select(6, host(103)).asks(ASKED).with(code::HOST_NAME, b"six"))
        .then("option 82 by a relay", discover(7).asks(ASKED).by(host(5)).with(82, &[1, 2, 7, 7]))
        .then("its REQUEST", select(7, host(104)).asks(ASKED).by(host(5)).with(82, &[1, 2, 7, 7]))]);
}

#[test]
fn wrong_addresses_and_servers() {
    let steps = |group: Group| {
        group
            .then("INIT-REBOOT without a lease", reboot(1, host(120)))
            .then("renewal without a lease", renew(2, host(121)))
            .varies(What::Option(58), FUZZ)
            .varies(What::Option(59), FUZZ)
            .then("INIT-REBOOT outside the range", reboot(3, host(20)))
            .then("INIT-REBOOT on another network", reboot(3, ELSEWHERE))
            .then("renewal on another network", renew(3, ELSEWHERE))
            .then("REQUEST without an offer", select(4, host(130)))
            .then("REQUEST for another network", select(8, ELSEWHERE))
            .then("DISCOVER", discover(5))
            .differs(What::Field("yiaddr"), LOWEST)
            .differs(What::Field("to"), LOWEST)
            .then("REQUEST of another server", reboot(5, host(100)).with(code::SERVER_ID, &OTHER_SERVER))
            .then("another's address, INIT-REBOOT", reboot(6, host(130)))
            .then("another's address, renewal", renew(6, host(130)))
            .then("RELEASE of another's", release(6, host(130)))
            .then("DISCOVER with a wish", discover(7).with(code::REQUESTED_ADDRESS, &host(140).octets()))
            .then("its REQUEST", select(7, host(140)))
    };
    run(&[
        steps(Group::new("strange", &ranged(&[])))
            .differs_at("renewal without a lease", What::Answered, "its manual: strict RFC compliance is to ignore it")
            .differs_at("INIT-REBOOT on another network", What::Answered, "RFC 2131 section 4.3.2: a server SHOULD NAK")
            .differs_at(
                "another's address, INIT-REBOOT",
                What::Answered,
                "we know whose it is: a NAK saves it the wait",
            ),
        steps(Group::new("strange, authoritative", &ranged(&["dhcp-authoritative"]))).differs_at(
            "REQUEST of another server",
            What::Answered,
            "RFC 2131 section 4.3.2: it declines our offer; a NAK would undo another server's lease",
        ),
    ]);
}

#[test]
fn firmware_under_the_guides_lines() {
    const CONF: &[&str] = &[
        "dhcp-range=10.0.1.200,10.0.1.253,12h",
        "dhcp-sequential-ip",
        "dhcp-match=set:IPXEBOOT,175 # iPXE sends it",
        "dhcp-option=tag:!IPXEBOOT,67,\"undionly.kpxe\" # others",
        "dhcp-option=67,\"pxelinux.0\"",
        "enable-tftp",
        "tftp-root=/tmp",
    ];
    const LINE: &[&str] = &[
        "strict-order",
        "listen-address=10.0.1.1",
        "dhcp-range=10.0.1.2,10.0.1.254",
        "dhcp-lease-max=253",
        "dhcp-no-override",
        "except-interface=lo",
        "dhcp-sequential-ip",
        "dhcp-authoritative",
    ];
    let boots = [LINE, &CONF[2..]].concat();
    let steps = |group: Group, first: u8| {
        let all = [
            ("seabios-ipxe/01-discover", "seabios-ipxe/02-request"),
            ("undionly/01-discover", "undionly/02-request"),
            ("ovmf-pxe/01-discover", "ovmf-pxe/02-request"),
            ("ovmf-http/01-discover", "ovmf-http/02-request"),
            ("ipxe-efi/01-discover", "ipxe-efi/02-request"),
            ("udhcpc/01-discover", "udhcpc/02-request"),
        ];
        let group = all.into_iter().fold(group, |group, (discover, request)| {
            group.then(discover, captured(discover)).then(request, captured(request).wanting(host(first)))
        });
        let (discover, request) = ("aavmf-pxe/01-discover", "aavmf-pxe/02-request");
        group.then(discover, captured(discover)).then(request, captured(request).wanting(host(first + 1)))
    };
    run(&[
        steps(Group::new("the guide's file", CONF), 200),
        steps(Group::new("the guide's second line", LINE), 2),
        steps(Group::new("the guide's third line", &boots), 2),
    ]);
}

#[test]
fn identifiers_names_and_lists() {
    const MACHINE: &str = "a machine is known by its MAC: firmware, loader and system, which identify themselves \
                           differently, share one address";
    let identified = |id: &[u8]| discover(1).asks(ASKED).with(code::CLIENT_ID, id);
    let fqdn = |flags: u8| [&[flags, 0, 0][..], b"pc"].concat();
    run(&[
        Group::new("identifiers", &ranged(&[]))
            .then("one", identified(&[0, 1]))
            .then("one, REQUEST", select(1, host(100)).with(code::CLIENT_ID, &[0, 1]))
            .then("another of the same machine", identified(&[0, 2]))
            .differs(What::Field("yiaddr"), MACHINE)
            .differs(What::Field("to"), MACHINE),
        Group::new("names", &ranged(&[]))
            .then("FQDN, server to update", discover(2).asks(ASKED).with(code::FQDN, &fqdn(1)))
            .then("FQDN, client updates", discover(2).asks(ASKED).with(code::FQDN, &fqdn(0)))
            .then("FQDN, REQUEST", select(2, host(100)).asks(ASKED).with(code::FQDN, &fqdn(1)))
            .then("a name with a domain", select(2, host(100)).asks(ASKED).with(code::HOST_NAME, b"pc.example.org"))
            .then("not a name", select(2, host(100)).asks(ASKED).with(code::HOST_NAME, b"p c!")),
        Group::new("lists", &ranged(&[]))
            .then("codes twice", discover(3).asks(&[1, 1, 3, 3, 1]))
            .then("rapid commit, not allowed", discover(3).asks(ASKED).with(code::RAPID_COMMIT, &[]))
            .then("a maximum size too small", discover(3).asks(ASKED).with(code::MAX_MESSAGE_SIZE, &[0, 100])),
    ]);
}

#[test]
fn addresses_by_hash() {
    const WHICH: &str =
        "which address a machine finds first is nobody's promise; a lease file that is taken over keeps it";
    run(&[Group::new("hashed", &["dhcp-range=10.0.1.100,10.0.1.150,1h"])
        .throughout(What::Field("yiaddr"), WHICH)
        .throughout(What::Field("to"), WHICH)
        .then("DISCOVER", discover(1).asks(ASKED))
        .then("DISCOVER of another", discover(2).asks(ASKED))
        .then("one with a wish", discover(3).asks(ASKED).with(code::REQUESTED_ADDRESS, &host(120).octets()))
        .then("its REQUEST", select(3, host(120)).asks(ASKED))]);
}
