//! DHCP clients that people have: busybox's udhcpc and ISC's dhclient.

use std::net::Ipv4Addr;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::harness::{Network, Program, of_ours};

/// udhcpc on `eth0`, which sets the interface up as it is told.
pub struct Udhcpc(Program);

impl Udhcpc {
    pub fn start(network: &Network, options: &str) -> Udhcpc {
        // Three tries, a second apart, then it gives up. At its end it gives its address back.
        let line = format!("udhcpc -f -n -R -t 3 -T 1 -i eth0 -s {} {options}", of_ours("udhcpc.sh").display());
        Udhcpc(Program::start(network.command(&line)))
    }

    /// A client with an address, and the address.
    pub fn bound(network: &Network) -> (Udhcpc, Ipv4Addr) {
        let mut client = Udhcpc::start(network, "");
        let address = client.told("bound");
        (client, address)
    }

    /// Waits until its script is called for this; gives the address that came with it.
    pub fn told(&mut self, what: &str) -> Ipv4Addr {
        self.0.next(|line| line.strip_prefix(what)?.trim().parse().ok())
    }

    pub fn renew(&mut self) -> Ipv4Addr {
        self.0.signal(Signal::SIGUSR1);
        self.told("renew")
    }

    /// Gives the address back and ends.
    pub fn release(self) {
        self.0.signal(Signal::SIGTERM);
        self.0.finish();
    }
}

/// dhclient on `eth0`. `folder`: where it keeps its leases from one run to the next.
pub struct Dhclient(Program);

impl Dhclient {
    pub fn start(network: &Network, folder: &Path) -> Dhclient {
        Dhclient(Program::start(network.command(&command(folder, "-d -1"))))
    }

    /// Waits until it has got an address for this reason and noted it; gives the address.
    pub fn told(&mut self, reason: &str) -> Ipv4Addr {
        let address = self.0.next(|line| line.strip_prefix(reason)?.trim().parse().ok());
        self.0.next_complaint(|line| line.starts_with("bound to ").then_some(()));
        address
    }

    /// Gives the address back of the one that runs, and ends it.
    pub fn release(network: &Network, folder: &Path) {
        network.run(&command(folder, "-r"));
    }
}

fn command(folder: &Path, options: &str) -> String {
    let (script, folder) = (of_ours("dhclient.sh"), folder.display());
    format!(
        "dhclient {options} -cf /dev/null -lf {folder}/dhclient.leases -pf {folder}/dhclient.pid -sf {} eth0",
        script.display()
    )
}
