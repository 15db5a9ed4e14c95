//! Who holds a port that we want.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Transport;
use crate::netlink::{Attributes, Netlink, NetlinkError, attributes, u32_at};
use crate::rtnl::Rtnl;

/// One program that keeps us from a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub transport: Transport,
    pub port: u16,
    /// The address that was asked about.
    pub address: Ipv4Addr,
    /// What its socket is bound to; an unspecified address holds the port on all.
    pub local: SocketAddr,
    pub uid: u32,
    /// Its name as `ps` shows it; `None`: it runs as somebody whose processes we may not look into.
    pub program: Option<String>,
    pub pid: Option<u32>,
    /// The system's service that it runs in, such as `tftpd-hpa.service`.
    pub unit: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {} on {} is held by ", self.transport, self.port, self.address)?;
        match (&self.program, self.pid, &self.unit) {
            (Some(program), Some(pid), Some(unit)) => write!(f, "{program} (pid {pid}, {unit})"),
            (Some(program), Some(pid), None) => write!(f, "{program} (pid {pid})"),
            _ => write!(f, "a program of the user with id {}", self.uid),
        }
    }
}

impl Holder {
    /// How to free the port.
    pub fn fix(&self) -> String {
        let libvirt = |unit: &str| unit.starts_with("libvirtd.") || unit.starts_with("virtnetworkd.");
        match (&self.unit, self.pid) {
            // systemd holds the sockets of services that it starts on demand.
            (_, Some(1)) => format!("find its socket unit and stop it: systemctl list-sockets | grep :{}", self.port),
            (Some(unit), _) if libvirt(unit) => {
                "stop the libvirt network it serves: virsh net-list; virsh net-destroy NAME".to_owned()
            }
            (Some(unit), _) => format!("systemctl stop {}", unit.trim_end_matches(".service")),
            (None, Some(pid)) => format!("stop it: kill {pid}"),
            (None, None) => format!("see who it is as root: ss -lnp 'sport = :{}'", self.port),
        }
    }
}

/// The programs that would keep a socket from being bound to `address` and `port`.
///
/// `address`: unspecified stands for all. `interface`: what our socket will be bound to (SO_BINDTODEVICE), if it will;
/// sockets bound to another interface are then in nobody's way, such as those of libvirt's own DHCP servers.
pub fn holders(transport: Transport, port: u16, address: Ipv4Addr, interface: Option<&str>) -> io::Result<Vec<Holder>> {
    let index = match interface {
        Some(name) => Rtnl::open().and_then(|mut rtnl| rtnl.link(name)).ok().flatten().map(|link| link.index),
        None => None,
    };
    let in_the_way = |socket: &Socket| {
        let elsewhere = interface.is_some() && socket.interface != 0 && Some(socket.interface) != index;
        socket.local.port() == port && !elsewhere && clashes(socket.local.ip(), socket.v6_only, address)
    };
    let mut sockets = sockets(transport)?;
    sockets.retain(in_the_way);
    let owners = if sockets.is_empty() { HashMap::new() } else { owners(&sockets) };
    let mut holders: Vec<Holder> = Vec::new();
    for socket in sockets {
        let pid = owners.get(&socket.inode).copied();
        // One program often binds both kinds of wildcard.
        if pid.is_none() || holders.iter().all(|holder| holder.pid != pid) {
            holders.push(Holder {
                transport,
                port,
                address,
                local: socket.local,
                uid: socket.uid,
                program: pid.and_then(program),
                pid,
                unit: pid.and_then(unit),
            });
        }
    }
    Ok(holders)
}

fn clashes(local: IpAddr, v6_only: bool, wanted: Ipv4Addr) -> bool {
    match local {
        IpAddr::V4(local) => local.is_unspecified() || wanted.is_unspecified() || local == wanted,
        IpAddr::V6(local) if local.is_unspecified() => !v6_only,
        IpAddr::V6(local) => local.to_ipv4_mapped().is_some_and(|mapped| clashes(IpAddr::V4(mapped), false, wanted)),
    }
}

#[derive(Debug, PartialEq)]
struct Socket {
    local: SocketAddr,
    uid: u32,
    inode: u32,
    /// What it is bound to; 0: to none.
    interface: u32,
    v6_only: bool,
}

/// Listening TCP sockets, or all UDP sockets.
fn sockets(transport: Transport) -> io::Result<Vec<Socket>> {
    // A small kernel may lack sock_diag. Else it is not only the better answer: for each read of the file, the kernel
    // walks its whole table, which takes milliseconds.
    if let Ok(sockets) = diagnosed(transport) {
        return Ok(sockets);
    }
    let name = match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let mut text = fs::read_to_string(format!("/proc/thread-self/net/{name}"))?;
    // Missing where IPv6 is turned off.
    text.push_str(&fs::read_to_string(format!("/proc/thread-self/net/{name}6")).unwrap_or_default());
    Ok(text.lines().filter_map(|line| parse_socket(line, transport)).collect())
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn parse_socket(line: &str, transport: Transport) -> Option<Socket> {
    const TCP_LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if transport == Transport::Tcp && *fields.get(3)? != TCP_LISTEN {
        return None;
    }
    let local = SocketAddr::new(parse_address(address)?, u16::from_str_radix(port, 16).ok()?);
    let (uid, inode) = (fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?);
    // The file does not tell the last two.
    Some(Socket { local, uid, inode, interface: 0, v6_only: false })
}

/// Words of 32 bits, each printed as a number of the host's byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    if hex.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let words = [word(0)?, word(1)?, word(2)?, word(3)?];
    Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?)))
}

/// From the kernel's sock_diag.
fn diagnosed(transport: Transport) -> Result<Vec<Socket>, NetlinkError> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const LISTENING: u32 = 1 << 10; // TCP_LISTEN
    let mut netlink = Netlink::open(libc::NETLINK_SOCK_DIAG)?;
    let (protocol, states) = match transport {
        Transport::Tcp => (libc::IPPROTO_TCP, LISTENING),
        Transport::Udp => (libc::IPPROTO_UDP, u32::MAX),
    };
    let mut sockets = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        // struct inet_diag_req_v2: family, protocol, no extensions, states, any socket.
        let mut request = [0; 56];
        request[0] = family as u8;
        request[1] = protocol as u8;
        request[4..8].copy_from_slice(&states.to_ne_bytes());
        let replies = netlink.dump(SOCK_DIAG_BY_FAMILY, &Attributes::after(&request))?;
        sockets.extend(replies.iter().filter_map(|reply| parse_diag(&reply.body)));
    }
    Ok(sockets)
}

/// struct inet_diag_msg: family, state, two timers, local port, remote port, addresses of 16 octets each, interface,
/// cookie, three numbers, uid, inode; then attributes.
fn parse_diag(body: &[u8]) -> Option<Socket> {
    const V6_ONLY: u16 = 11; // INET_DIAG_SKV6ONLY
    let address = body.get(8..24)?;
    let ip = match i32::from(*body.first()?) {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(&address[..4]).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    Some(Socket {
        local: SocketAddr::new(ip, u16::from_be_bytes([body[4], body[5]])),
        uid: u32_at(body, 64)?,
        inode: u32_at(body, 68)?,
        interface: u32_at(body, 40)?,
        v6_only: attributes(body.get(72..)?).any(|(kind, value)| kind == V6_ONLY && value == [1]),
    })
}

/// The lowest pid that has each socket open: of a server and its workers, the server.
fn owners(sockets: &[Socket]) -> HashMap<u32, u32> {
    let wanted: HashMap<String, u32> = sockets.iter().map(|s| (format!("socket:[{}]", s.inode), s.inode)).collect();
    let mut owners: HashMap<u32, u32> = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            if let Some(inode) = target.to_str().and_then(|target| wanted.get(target)) {
                owners.entry(*inode).and_modify(|lowest| *lowest = pid.min(*lowest)).or_insert(pid);
            }
        }
    }
    owners
}

fn program(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

fn unit(pid: u32) -> Option<String> {
    service_of(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The service in a text such as `0::/system.slice/tftpd-hpa.service`. Services of a user's own systemd are not
/// meant: `systemctl stop` would not reach them.
fn service_of(cgroups: &str) -> Option<String> {
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let service = paths.filter_map(|path| path.strip_prefix("/system.slice/")).find_map(|path| {
        let mut parts = path.split('/');
        parts.find(|part| part.ends_with(".service"))
    });
    service.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_lines_of_proc_net() {
        let udp =
            "  812: 00000000:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16411 2 0 0";
        let socket = parse_socket(udp, Transport::Udp).unwrap();
        assert_eq!(
            socket,
            Socket { local: "0.0.0.0:69".parse().unwrap(), uid: 0, inode: 16411, interface: 0, v6_only: false }
        );
        let tcp6 = "0: 0000000000000000FFFF00000101000A:0050 00000000000000000000000000000000:0000 0A \
                    00000000:00000000 00:00000000 00000000 33 0 77 1 0 100";
        let socket = parse_socket(tcp6, Transport::Tcp).unwrap();
        assert_eq!(socket.local, "[::ffff:10.0.1.1]:80".parse().unwrap());
        assert!(clashes(socket.local.ip(), false, Ipv4Addr::new(10, 0, 1, 1)));
        assert_eq!(parse_socket(&tcp6.replace(" 0A ", " 01 "), Transport::Tcp), None, "a connection is no listener");
    }

    #[test]
    fn the_file_and_sock_diag_tell_of_the_same_sockets() {
        let tcp = std::net::TcpListener::bind("[::]:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for (transport, local) in [(Transport::Tcp, tcp.local_addr()), (Transport::Udp, udp.local_addr())] {
            let local = local.unwrap();
            let diagnosed = diagnosed(transport).unwrap();
            let name = format!("/proc/thread-self/net/{transport}{}", if local.is_ipv6() { "6" } else { "" });
            let file = fs::read_to_string(name.to_lowercase()).unwrap();
            let listed = file.lines().filter_map(|line| parse_socket(line, transport)).find(|s| s.local == local);
            assert_eq!(diagnosed.into_iter().find(|s| s.local == local), listed);
            assert!(listed.is_some());
        }
    }

    #[test]
    fn wildcards_clash_unless_they_are_for_ipv6_alone() {
        let wanted = Ipv4Addr::new(10, 0, 1, 1);
        assert!(clashes("0.0.0.0".parse().unwrap(), false, wanted));
        assert!(clashes("::".parse().unwrap(), false, wanted));
        assert!(!clashes("::".parse().unwrap(), true, wanted));
        assert!(!clashes("127.0.0.1".parse().unwrap(), false, wanted));
        assert!(!clashes("::1".parse().unwrap(), false, wanted));
    }

    #[test]
    fn services_of_the_system_are_named_and_those_of_users_are_not() {
        assert_eq!(service_of("0::/system.slice/tftpd-hpa.service\n").as_deref(), Some("tftpd-hpa.service"));
        assert_eq!(service_of("0::/system.slice/system-x.slice/x@1.service\n").as_deref(), Some("x@1.service"));
        assert_eq!(service_of("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service"), None);
        assert_eq!(service_of("0::/init.scope"), None);
    }

    #[test]
    fn a_holder_reads_as_a_sentence_and_says_how_to_free_the_port() {
        let mut holder = Holder {
            transport: Transport::Udp,
            port: 69,
            address: Ipv4Addr::new(10, 0, 1, 1),
            local: "0.0.0.0:69".parse().unwrap(),
            uid: 0,
            program: Some("in.tftpd".to_owned()),
            pid: Some(812),
            unit: Some("tftpd-hpa.service".to_owned()),
        };
        let text = "UDP port 69 on 10.0.1.1 is held by in.tftpd (pid 812, tftpd-hpa.service)";
        assert_eq!((holder.to_string().as_str(), holder.fix().as_str()), (text, "systemctl stop tftpd-hpa"));
        holder.unit = None;
        assert_eq!(holder.fix(), "stop it: kill 812");
        (holder.program, holder.pid) = (None, None);
        assert_eq!(holder.to_string(), "UDP port 69 on 10.0.1.1 is held by a program of the user with id 0");
    }
}
