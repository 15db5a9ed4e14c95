//! Programs that run dnsmasq for their own networks, and find lanboot in its place: libvirt and LXC. Their command
//! lines and files are those that they generate, but for where files lie.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::clients::Udhcpc;
use crate::dnsmasq::{Site, within};

/// What libvirt writes (libvirt/libvirt: src/network/bridge_driver.c, tests/networkxml2confdata).
const LIBVIRT: &str = include_str!("../../crates/config/tests/dnsmasq/libvirt.conf");

/// Stands for libvirt's `libvirt_leaseshelper`: it keeps the leases, so that dnsmasq keeps no lease file.
const HELPER: &str = "#!/bin/sh\n[ \"$1\" = init ] || echo \"$* $DNSMASQ_INTERFACE\" >> @/told\nexit 0\n";

#[test]
fn libvirts_file_serves_a_guest_and_tells_its_helper() {
    let site = Site::new("virbr0", "192.168.122.1/24");
    let folder = site.host.folder.0.display().to_string();
    let mac = site.machine.mac("eth0");
    site.host.file("default.hostsfile", format!("{mac},192.168.122.77,guest\n"));
    site.host.file("default.addnhosts", "");
    let conf = LIBVIRT
        .replace("/var/lib/libvirt/dnsmasq", &folder)
        .replace("/run/libvirt/network", &folder)
        .replace("/var/lib/tftproot", &format!("{folder}/tftp"));
    let conf = site.host.file("default.conf", conf);
    let helper = site.host.file("leaseshelper", HELPER.replace('@', &folder));
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("our own file");
    // bridge_driver.c: networkBuildDhcpDaemonCommandLine.
    let options = format!("--conf-file={} --leasefile-ro --dhcp-script={}", conf.display(), helper.display());
    let daemon = site.start_with(&options, "default.pid");
    let (machine, address) = Udhcpc::bound(&site.machine);
    assert_eq!(address.to_string(), "192.168.122.77");
    let told = || fs::read_to_string(site.path("told")).unwrap_or_default();
    let add = format!("add {mac} 192.168.122.77 guest virbr0");
    within(|| told().lines().any(|line| line == add), "the helper hears of the lease");
    assert!(!site.path("default.leases").exists(), "the helper keeps the leases");
    machine.release();
    let del = format!("del {mac} 192.168.122.77 guest virbr0");
    within(|| told().lines().any(|line| line == del), "the helper hears of its end");
    daemon.stop();
}

/// lxc/lxc: config/init/common/lxc-net.in, with Debian's LXC_DOMAIN set.
#[test]
fn the_line_of_lxc_net_serves() {
    let site = Site::new("lxcbr0", "10.0.3.1/24");
    let leases = site.path("leases").display().to_string();
    let options = format!(
        "-s lxc -S /lxc/ -u nobody --strict-order --bind-interfaces --listen-address 10.0.3.1 \
         --dhcp-range 10.0.3.2,10.0.3.254 --dhcp-lease-max=253 --dhcp-no-override --except-interface=lo \
         --interface=lxcbr0 --dhcp-leasefile={leases} --dhcp-authoritative --conf-file=/dev/null --pid-file={}",
        site.path("pid").display()
    );
    let daemon = site.start_with(&options, "pid");
    let (_machine, address) = Udhcpc::bound(&site.machine);
    assert!(address.to_string().starts_with("10.0.3."), "{address}");
    within(|| fs::read_to_string(&leases).is_ok_and(|text| text.contains(&address.to_string())), "the lease is listed");
    daemon.stop();
}
