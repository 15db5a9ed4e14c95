//! proxyDHCP and PXE menus: dhcp-range=…,proxy, pxe-service, pxe-prompt, dhcp-pxe-vendor, ports 67 and 4011.

use dhcp::v4::code;

use super::ranged;
use crate::compare::What;
use crate::messages::{Message, captured, discover, host, inform, reboot, renew, select};
use crate::scenario::{Group, run};

/// With a prompt, as without one or a service dnsmasq answers nobody.
const PROXY: &[&str] = &["dhcp-range=10.0.1.0,proxy", "pxe-prompt=\"Boot\",0"];
const UUID: [u8; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const ASKED: &[u8] = &[1, 3, 43, 60, 66, 67];
const BIOS: u16 = 0;
const IA32: u16 = 6;
const X64: u16 = 7;
const ARM64: u16 = 11;

fn beside<'a>(more: &[&'a str]) -> Vec<&'a str> {
    PROXY.iter().chain(more).copied().collect()
}

fn group(name: &'static str, more: &[&str]) -> Group {
    Group::new(name, &beside(more))
}

/// What a client asks who has an address of another server.
fn asks_4011(machine: u8, arch: u16) -> Message {
    renew(machine, host(40)).pxe(arch).asks(ASKED)
}

/// A client's whole conversation.
fn conversation(group: Group) -> Group {
    group
        .then("BIOS", discover(1).pxe(BIOS).asks(ASKED))
        .then("BIOS with a machine identifier", discover(1).pxe(BIOS).with(code::CLIENT_MACHINE_ID, &UUID))
        .then("UEFI x64", discover(2).pxe(X64).asks(ASKED))
        .then("UEFI arm64", discover(3).pxe(ARM64).asks(ASKED))
        .then("UEFI ia32", discover(4).pxe(IA32))
        .then("iPXE on BIOS", discover(5).pxe(BIOS).with(code::IPXE, &[33, 1, 1]).with(code::USER_CLASS, b"iPXE"))
        .then("iPXE on UEFI", discover(6).pxe(X64).with(code::IPXE, &[33, 1, 1]).with(code::USER_CLASS, b"iPXE"))
        .then("its REQUEST to the other server", reboot(2, host(40)).with(code::SERVER_ID, &[10, 0, 1, 2]).pxe(X64))
        .then_at_4011("BIOS on 4011", asks_4011(1, BIOS))
        .then_at_4011("UEFI x64 on 4011", asks_4011(2, X64).with(code::CLIENT_MACHINE_ID, &UUID))
        .then_at_4011("UEFI arm64 on 4011", asks_4011(3, ARM64))
        .then_at_4011("iPXE on 4011", asks_4011(6, X64).with(code::IPXE, &[33, 1, 1]))
        .then_at_4011("DISCOVER on 4011", discover(2).pxe(X64))
        .then_at_4011("INFORM on 4011", inform(2, host(40)).pxe(X64))
        .then_at_4011("without an address", reboot(2, host(40)).pxe(X64))
}

#[test]
fn beside_a_server_of_addresses() {
    run(&[
        conversation(group("nothing to boot", &[])),
        conversation(group("a boot file", &["dhcp-boot=pxelinux.0"])),
        conversation(group("a boot file elsewhere", &["dhcp-boot=pxelinux.0,boothost,10.0.1.50"])),
        conversation(group(
            "boot files by tags",
            &[
                "dhcp-match=set:bios,option:client-arch,0",
                "dhcp-match=set:x64,option:client-arch,7",
                "dhcp-match=set:ipxe,175",
                "dhcp-boot=tag:bios,tag:!ipxe,undionly.kpxe",
                "dhcp-boot=tag:x64,tag:!ipxe,snponly.efi,,10.0.1.60",
                "dhcp-boot=tag:ipxe,http://10.0.1.1/boot.ipxe",
            ],
        )),
    ]);
}

#[test]
fn menus_beside_a_server_of_addresses() {
    const ONE_EACH: &[&str] = &[
        "pxe-service=x86PC,\"Install\",pxelinux",
        "pxe-service=x86-64_EFI,\"Install\",bootx64.efi",
        "pxe-service=ARM64_EFI,\"Install\",grubaa64,10.0.1.70",
    ];
    const SEVERAL: &[&str] = &[
        "pxe-prompt=\"Press F8\",10",
        "pxe-service=x86PC,\"Install\",pxelinux",
        "pxe-service=x86PC,\"Windows\",1",
        "pxe-service=x86PC,\"Rescue\",rescue,10.0.1.70",
        "pxe-service=x86PC,\"Others\",2,10.0.1.71",
        "pxe-service=x86PC,\"Disk\",0",
        "pxe-service=x86-64_EFI,\"Install\",bootx64.efi",
        "pxe-service=7,\"Rescue\",rescue.efi",
        "dhcp-boot=fallback.0",
    ];
    const TAGGED: &[&str] = &[
        "dhcp-mac=set:first,52:54:00:00:00:01",
        "pxe-service=tag:first,x86PC,\"First\",first",
        "pxe-service=tag:!first,x86PC,\"Others\",others",
        "pxe-service=x86PC,\"All\",all.0",
        "pxe-prompt=tag:first,\"First\"",
        "pxe-prompt=tag:!first,\"Others\",0",
    ];
    const VENDOR: &[&str] = &[
        "pxe-service=x86PC,\"Install\",pxelinux",
        "dhcp-option=vendor:PXEClient,6,8",
        "dhcp-option=vendor:PXEClient,11,00:01",
        "dhcp-option-force=210,\"/prefix\"",
    ];
    run(&[
        conversation(group("one service each", ONE_EACH)),
        conversation(group("several services", SEVERAL)),
        conversation(group("services by tags", TAGGED)),
        conversation(group("vendor options", VENDOR)),
        conversation(group("one service and a boot file", &[ONE_EACH, &["dhcp-boot=fallback.0"]].concat())),
        conversation(group("a prompt alone", &["pxe-prompt=\"Press F8\",200", "dhcp-boot=pxelinux.0"])),
        conversation(group("a Raspberry Pi's", &["pxe-service=0,\"Raspberry Pi Boot\""])),
    ]);
}

/// What a client asks once its user chose.
fn choices(group: Group) -> Group {
    let chooses = |machine: u8, kind: u16, layer: u16| asks_4011(machine, BIOS).item(kind, layer);
    group
        .then_at_4011("the first entry", chooses(1, 0x8000, 0))
        .then_at_4011("the first entry, its layer 1", chooses(1, 0x8000, 1))
        .then_at_4011("the second entry", chooses(1, 0x8001, 0).with(code::CLIENT_MACHINE_ID, &UUID))
        .then_at_4011("another's boot server", chooses(1, 1, 0))
        .then_at_4011("its own disks", chooses(1, 0, 0))
        .then_at_4011("what is not there", chooses(1, 0x8009, 0))
        .then_at_4011("with a checksum", chooses(1, 0x8000, 0x8000))
        .then_at_4011("by INFORM", inform(1, host(40)).pxe(BIOS).item(0x8000, 0))
        .then_at_4011("by DISCOVER", discover(1).pxe(BIOS).item(0x8000, 0))
        .then("on port 67", chooses(1, 0x8000, 0))
        .then("on port 67, broadcast flag", chooses(1, 0x8001, 0).broadcast())
        .then("on port 67, without an address", reboot(1, host(40)).pxe(BIOS).item(0x8000, 0))
        .then_at_4011("from another network", renew(1, [192, 168, 7, 7].into()).pxe(BIOS).item(0x8000, 0))
        .then_at_4011("of another architecture", asks_4011(1, X64).item(0x8000, 0))
}

const MENU: &[&str] = &[
    "pxe-service=x86PC,\"Install\",pxelinux",
    "pxe-service=x86PC,\"Rescue\",rescue.img,10.0.1.70",
    "pxe-service=x86PC,\"Windows\",1,10.0.1.71",
    "pxe-service=x86PC,\"Disk\",0",
    "dhcp-option=vendor:PXEClient,11,00:01",
];

#[test]
fn boot_servers() {
    run(&[
        choices(group("a boot server beside another server", MENU)),
        choices(Group::new("a boot server with addresses", &ranged(MENU))),
    ]);
}

#[test]
fn menus_with_addresses() {
    let steps = |group: Group| {
        let times = "any order is right (RFC 2131 section 4.1); ours keeps the times together, ahead of the boot file";
        group
            .throughout(What::Order, times)
            .then("BIOS", discover(1).pxe(BIOS).asks(ASKED).with(code::CLIENT_MACHINE_ID, &UUID))
            .then("BIOS, nothing asked for", discover(1).pxe(BIOS))
            .then("BIOS, without 43", discover(1).pxe(BIOS).asks(&[1, 3, 66, 67]))
            .then("REQUEST", select(1, host(100)).pxe(BIOS).asks(ASKED))
            .then("UEFI x64", discover(2).pxe(X64).asks(ASKED))
            .then("REQUEST of UEFI x64", select(2, host(101)).pxe(X64).asks(ASKED))
            .then("no PXE client", discover(3).asks(ASKED))
            .then("a PXE client without an architecture", discover(3).with(60, b"PXEClient").asks(ASKED))
            .then("INFORM", inform(1, host(100)).pxe(BIOS).asks(ASKED))
            .then_at_4011("UEFI x64 on 4011", renew(2, host(101)).pxe(X64).asks(ASKED))
    };
    run(&[
        steps(Group::new("a menu with addresses", &ranged(MENU))),
        steps(Group::new(
            "one UEFI file with addresses",
            &ranged(&["pxe-service=x86-64_EFI,\"Install\",bootx64.efi", "dhcp-boot=fallback.0"]),
        )),
        steps(Group::new("a prompt with addresses", &ranged(&["pxe-prompt=\"Press F8\"", "dhcp-boot=pxelinux.0"]))),
    ]);
}

#[test]
fn who_is_a_pxe_client() {
    let class = |class: &[u8]| discover(1).with(60, class).with(93, &[0, 0]);
    let steps = |group: Group| {
        group
            .then("PXEClient", class(b"PXEClient"))
            .then("a longer class", class(b"PXEClientele"))
            .then("another class", class(b"udhcp 1.35"))
            .then("HW-Client", class(b"HW-Client:Arch:00000"))
            .then("without option 93", discover(1).with(60, b"PXEClient:Arch:00000:UNDI:002001"))
            .then("without option 60", discover(1).with(93, &[0, 0]))
            .then("two architectures", discover(1).with(60, b"PXEClient").with(93, &[0, 7, 0, 0]))
            .then("an architecture of one octet", discover(1).with(60, b"PXEClient").with(93, &[7]))
            .then("a short machine identifier", class(b"PXEClient").with(97, &[0, 1, 2]))
            .then("an operating system", discover(1))
            .then("with the broadcast flag", class(b"PXEClient").broadcast())
            .then("with an address", class(b"PXEClient").at(host(40)))
            .then("by a relay", class(b"PXEClient").by(host(5)))
            .then("by a relay, option 82", class(b"PXEClient").by(host(5)).with(82, &[1, 2, 7, 7]))
            .then("by a relay elsewhere", class(b"PXEClient").by([192, 168, 7, 7].into()))
            .then_at_4011("by a relay on 4011", asks_4011(1, BIOS).by(host(5)))
    };
    const BOOT: &[&str] = &["dhcp-boot=pxelinux.0"];
    run(&[
        steps(group("the usual", BOOT)),
        steps(group("other vendors", &[BOOT, &["dhcp-pxe-vendor=PXEClient,HW-Client"]].concat())),
    ]);
}

#[test]
fn who_is_served_beside_another_server() {
    let pxe = |machine: u8| discover(machine).pxe(BIOS);
    let steps = |group: Group| {
        group
            .then("the first", pxe(1))
            .then("the second", pxe(2))
            .then("the third", pxe(3))
            .then_at_4011("the first on 4011", asks_4011(1, BIOS))
            .then_at_4011("the second on 4011", asks_4011(2, BIOS))
    };
    const TAGS: &[&str] = &["dhcp-mac=set:first,52:54:00:00:00:01", "dhcp-host=52:54:00:00:00:02,set:second"];
    let with = |more: &[&'static str]| [TAGS, more].concat();
    run(&[
        steps(group("ignored by tag", &with(&["dhcp-boot=a", "dhcp-ignore=tag:first"]))),
        steps(group("ignored hosts", &with(&["dhcp-boot=a", "dhcp-host=52:54:00:00:00:03,ignore"]))).differs_at(
            "the third",
            What::Answered,
            "a machine that is to be ignored is so whoever gives it an address",
        ),
        steps(group("known only", &with(&["dhcp-boot=a", "dhcp-ignore=tag:!known", "dhcp-host=52:54:00:fe:*:*"]))),
        steps(group("by tags", &with(&["dhcp-boot=tag:first,a", "dhcp-boot=tag:second,b", "dhcp-boot=c"]))),
        steps(Group::new(
            "a range's tag",
            &[
                "dhcp-range=set:lan,10.0.1.0,proxy",
                "pxe-prompt=\"Boot\",0",
                "dhcp-boot=tag:lan,a",
                "dhcp-boot=tag:!lan,b",
            ],
        )),
        steps(Group::new(
            "with a netmask",
            &["dhcp-range=10.0.1.0,proxy,255.255.255.0", "dhcp-boot=a", "pxe-prompt=x"],
        )),
    ]);
}

#[test]
fn both_on_one_network() {
    let steps = |group: Group| {
        group
            .then("PXE", discover(1).pxe(BIOS))
            .then("an operating system", discover(1))
            .then("its REQUEST", select(1, host(100)))
            .then_at_4011("4011", asks_4011(1, BIOS))
    };
    run(&[
        steps(Group::new("addresses and proxy", &ranged(&["dhcp-range=10.0.1.0,proxy", "dhcp-boot=a"]))),
        steps(Group::new(
            "addresses and proxy, menu",
            &ranged(&["dhcp-range=10.0.1.0,proxy", "dhcp-boot=a", "pxe-prompt=x"]),
        )),
    ]);
}

#[test]
fn firmware_beside_another_server() {
    const CONF: &[&str] = &[
        "dhcp-match=set:ipxe,175",
        "dhcp-match=set:bios,option:client-arch,0",
        "dhcp-boot=tag:ipxe,http://10.0.1.1/boot.ipxe",
        "dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe",
        "dhcp-boot=tag:!ipxe,tag:!bios,snponly.efi",
    ];
    const SERVICES: &[&str] = &[
        "pxe-service=x86PC,\"Boot\",undionly.kpxe",
        "pxe-service=x86-64_EFI,\"Boot\",snponly.efi",
        "pxe-service=ARM64_EFI,\"Boot\",snponly-arm64.efi",
    ];
    let steps = |group: Group| {
        ["seabios-ipxe", "undionly", "ovmf-pxe", "ipxe-efi", "aavmf-pxe", "udhcpc"].into_iter().fold(
            group,
            |group, name| {
                group
                    .then(name, captured(&format!("{name}/01-discover")))
                    .then(name, captured(&format!("{name}/02-request")))
                    .then_at_4011(name, captured(&format!("{name}/02-request")))
                    .then_at_4011(name, captured(&format!("{name}/02-request")).at(host(40)))
            },
        )
    };
    run(&[steps(group("dhcp-boot", CONF)), steps(group("pxe-service", SERVICES))]);
}
