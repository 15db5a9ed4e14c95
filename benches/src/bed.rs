//! The network that everything is measured in: a host to serve on, and a cable to the machines that it serves.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lab::Namespace;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{BindToDevice, RcvBufForce};

use crate::Result;

/// Addresses of one network.
pub struct Subnet {
    pub server: Ipv4Addr,
    pub prefix: u8,
    /// The machines' own, for TFTP and HTTP.
    pub machine: Ipv4Addr,
    /// What DHCP gives out.
    pub range: (Ipv4Addr, Ipv4Addr),
}

impl Subnet {
    /// As `10.0.1.0/24`.
    pub fn network(&self) -> String {
        let mask = u32::MAX << (32 - self.prefix);
        format!("{}/{}", Ipv4Addr::from_bits(self.server.to_bits() & mask), self.prefix)
    }
}

/// The network of the guides.
pub const SMALL: Subnet = Subnet {
    server: Ipv4Addr::new(10, 0, 1, 1),
    prefix: 24,
    machine: Ipv4Addr::new(10, 0, 1, 2),
    range: (Ipv4Addr::new(10, 0, 1, 100), Ipv4Addr::new(10, 0, 1, 254)),
};

/// Room for thousands of clients.
pub const LARGE: Subnet = Subnet {
    server: Ipv4Addr::new(10, 0, 0, 1),
    prefix: 16,
    machine: Ipv4Addr::new(10, 0, 0, 2),
    range: (Ipv4Addr::new(10, 0, 16, 1), Ipv4Addr::new(10, 0, 47, 254)),
};

/// Room for millions.
pub const HUGE: Subnet = Subnet {
    server: Ipv4Addr::new(10, 0, 0, 1),
    prefix: 8,
    machine: Ipv4Addr::new(10, 0, 0, 2),
    range: (Ipv4Addr::new(10, 16, 0, 1), Ipv4Addr::new(10, 47, 255, 254)),
};

static CONGESTION: OnceLock<String> = OnceLock::new();

/// TCP's congestion control of all hosts that are made from now on, for servers that choose none themselves.
pub fn set_congestion(name: String) {
    CONGESTION.get_or_init(|| name);
}

/// Two networks that vanish with the value: that of the host, and that of the machines, whose `eth0` is plugged into `port0`
/// of the host.
pub struct Bed {
    pub subnet: &'static Subnet,
    pub host: Namespace,
    pub machines: Namespace,
}

impl Bed {
    /// The cable alone: who serves here makes the bridge.
    pub fn bare(subnet: &'static Subnet) -> Result<Bed> {
        let bed = Bed { subnet, host: Namespace::new()?, machines: Namespace::new()? };
        if let Some(name) = CONGESTION.get() {
            bed.host.run(|| fs::write("/proc/sys/net/ipv4/tcp_congestion_control", name)).map_err(|error| {
                format!(
                    "--congestion {name}: {error}; sysctl net.ipv4.tcp_allowed_congestion_control names what can be"
                )
            })?;
        }
        let Subnet { machine, prefix, .. } = subnet;
        let far = bed.machines.path();
        ip(&bed.host, &format!("link add port0 type veth peer name eth0 netns {}", far.display()))?;
        ip(&bed.host, "link set port0 up")?;
        ip(&bed.machines, &format!("address add {machine}/{prefix} dev eth0"))?;
        ip(&bed.machines, "link set eth0 up")?;
        Ok(bed)
    }

    /// With the bridge `net`, address and all.
    pub fn bridged(subnet: &'static Subnet) -> Result<Bed> {
        let bed = Bed::bare(subnet)?;
        let Subnet { server, prefix, .. } = subnet;
        ip(&bed.host, "link add net type bridge")?;
        ip(&bed.host, &format!("address add {server}/{prefix} dev net"))?;
        ip(&bed.host, "link set port0 master net")?;
        ip(&bed.host, "link set net up")?;
        bed.wait_for_carrier()?;
        Ok(bed)
    }

    /// Lets the machines have every address that is given out, without telling any beforehand. The host sends all to one
    /// neighbour: Linux keeps 1,024 of them by default (`gc_thresh3`), in all its namespaces together.
    pub fn own_all_addresses(&self) -> Result<()> {
        let (first, last) = self.subnet.range;
        for block in (first.to_bits() >> 8)..=(last.to_bits() >> 8) {
            let block = Ipv4Addr::from_bits(block << 8);
            ip(&self.machines, &format!("route add local {block}/24 dev eth0"))?;
            ip(&self.host, &format!("route add {block}/24 via {} dev net", self.subnet.machine))?;
        }
        Ok(())
    }

    /// Kea does not listen on a link that is not up when it starts.
    fn wait_for_carrier(&self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            let output = self.host.command("ip").args(["-oneline", "link", "show", "net"]).output()?;
            if String::from_utf8_lossy(&output.stdout).contains(" state UP ") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("the bridge of the bench does not come up".into())
    }

    /// The DHCP clients' socket. It speaks for any number of machines, and hears what is broadcast to them.
    pub fn dhcp_client(&self) -> Result<UdpSocket> {
        let open = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68))?;
            setsockopt(&socket, BindToDevice, &"eth0".into())?;
            setsockopt(&socket, RcvBufForce, &(8 << 20))?;
            socket.set_broadcast(true)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(self.machines.run(open)?)
    }

    /// A socket of a machine that has its address.
    pub fn udp_client(&self) -> Result<UdpSocket> {
        let socket = self.machines.run(|| UdpSocket::bind((self.subnet.machine, 0)))?;
        setsockopt(&socket, RcvBufForce, &(8 << 20))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// Waits until something can be read, `limit` at most, in whole milliseconds. Returns whether it can.
pub fn readable(socket: impl AsFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)).is_ok_and(|ready| ready > 0)
}

pub fn ip(namespace: &Namespace, arguments: &str) -> Result<()> {
    let output = namespace.command("ip").args(arguments.split_whitespace()).output();
    let output = output.map_err(|error| format!("ip (package iproute2) cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
