//! A rack's power returns: a hundred machines boot at once, over a network that loses packets.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use storm::Storm;

use crate::harness::Host;

const MACHINES: u32 = 100;
const MIB: usize = 1 << 20;
const LOADER: usize = 90 << 10;
const KERNEL: usize = MIB;
const INITRD: usize = 2 * MIB;

#[test]
fn a_hundred_machines_boot_at_once_though_packets_get_lost() {
    let host = Host::new();
    let files = host.folder.0.join("files");
    fs::create_dir(&files).unwrap();
    for (name, octets) in [("undionly.kpxe", LOADER), ("snponly.efi", LOADER), ("vmlinuz", KERNEL), ("initrd", INITRD)]
    {
        fs::write(files.join(name), vec![7; octets]).unwrap();
    }
    let machines = host.network.neighbour("port0");
    // Each machine has the address that it is given, whichever that is.
    machines.run("ip route add local 10.0.16.0/24 dev eth0");
    machines.run("ip route add 10.0.0.0/16 dev eth0");
    let folder = files.display();
    let server = host.up(&format!(
        "--bridge net=10.0.0.1/16 --port port0 --range 10.0.16.1-10.0.16.254 --conflict-check off --tftp-root {folder} \
         --ipxe {folder} --kernel {folder}/vmlinuz --initrd {folder}/initrd"
    ));
    let storm = Storm {
        machines: MACHINES,
        first: 1,
        server: Ipv4Addr::new(10, 0, 0, 1),
        link: "eth0".into(),
        loss: 0.01,
        patience: Duration::from_secs(120),
    };
    let report = machines.inside(|| storm.run()).unwrap();
    assert_eq!(report.failures, [""; 0]);
    assert_eq!(report.finished.len(), MACHINES as usize);
    assert!(report.dhcp_retries + report.tftp_retries > 0, "nothing got lost: {report:?}");
    let each = (LOADER + KERNEL + INITRD) as u64;
    let all = each * u64::from(MACHINES);
    // The scripts count as well.
    assert!((all..all + 2000 * u64::from(MACHINES)).contains(&report.octets), "{} of {all} octets", report.octets);
    server.stop();
}
