//! Clients that are not among the captures: Raspberry Pi, U-Boot, GRUB, systemd-networkd, Windows, by what is published.

use super::ranged;
use crate::compare::What;
use crate::messages::{host, made};
use crate::scenario::{Group, run};

const TIMES: &str = "any order is right (RFC 2131 section 4.1); ours keeps the times together, ahead of the boot file";

fn all(group: Group) -> Group {
    let exchanges = [
        ("raspberry-pi/01-discover", "raspberry-pi/02-request"),
        ("u-boot/01-discover", "u-boot/02-request"),
        ("grub-bootp/02-discover", "grub-bootp/03-request"),
        ("systemd-networkd/01-discover", "systemd-networkd/02-request"),
        ("windows/01-discover", "windows/02-request"),
    ];
    let mut group = group.throughout(What::Order, TIMES);
    for ((discover, request), address) in exchanges.into_iter().zip(100..) {
        group = group.then(discover, made(discover)).then(request, made(request).wanting(host(address)));
    }
    group
        .then("u-boot/03-bootp", made("u-boot/03-bootp"))
        .then("grub-bootp/01-bootp", made("grub-bootp/01-bootp"))
        .varies(What::Field("cookie"), "options without the magic cookie are none (RFC 1497)")
}

#[test]
fn published_clients() {
    run(&[
        all(Group::new("nothing said", &ranged(&[]))),
        all(Group::new(
            "the guide's options",
            &ranged(&[
                "dhcp-match=set:IPXEBOOT,175",
                "dhcp-option=tag:!IPXEBOOT,67,\"undionly.kpxe\"",
                "dhcp-option=67,\"pxelinux.0\"",
            ]),
        )),
        all(Group::new(
            "by what they are",
            &ranged(&[
                "dhcp-vendorclass=set:pi,PXEClient:Arch:00000",
                "dhcp-vendorclass=set:uboot,U-Boot",
                "dhcp-vendorclass=set:windows,MSFT",
                "dhcp-mac=set:pi,dc:a6:32:*:*:*",
                "dhcp-boot=tag:uboot,boot.scr.uimg,boothost,10.0.1.9",
                "dhcp-option=tag:pi,66,10.0.1.9",
                "dhcp-option=tag:pi,43,\"Raspberry Pi Boot\"",
                "dhcp-option=vendor:MSFT,2,1i",
                "domain=example.org",
                "bootp-dynamic",
                "dhcp-option=tag:bootp,17,/srv/root",
            ]),
        )),
    ]);
}
