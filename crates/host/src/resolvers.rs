//! The name servers that this host asks, for machines that reach the world through it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// The host's own list, and the one that systemd-resolved keeps behind its stub on 127.0.0.53.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The IPv4 name servers of this host that other machines can ask too; none where it has only a resolver of its own.
pub fn resolvers() -> Vec<Ipv4Addr> {
    let lists = FILES.iter().map(|file| reachable(&fs::read_to_string(file).unwrap_or_default()));
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

/// The servers that a file like /etc/resolv.conf names, as it names them; none when it cannot be read.
pub fn name_servers(file: &Path) -> Vec<String> {
    named(&fs::read_to_string(file).unwrap_or_default()).map(str::to_owned).collect()
}

/// What `nameserver` lines name (resolv.conf(5)).
fn named(text: &str) -> impl Iterator<Item = &str> {
    let servers = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    servers.filter_map(|rest| rest.split_whitespace().next())
}

/// `nameserver` lines (resolv.conf(5)) with an address beyond this host.
fn reachable(text: &str) -> Vec<Ipv4Addr> {
    let addresses = named(text).filter_map(|server| server.parse::<Ipv4Addr>().ok());
    addresses.filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_on_this_host_is_of_no_use_to_others() {
        let text = "# by systemd-resolved\nnameserver 127.0.0.53\noptions edns0\n";
        assert_eq!(reachable(text), [Ipv4Addr::UNSPECIFIED; 0]);
        let text = "search lan\nnameserver 10.9.0.1\nnameserver fe80::1\n nameserver\t9.9.9.9 # second\n";
        assert_eq!(reachable(text), [Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(9, 9, 9, 9)]);
    }
}
