//! Who has which address, as the kernel learnt it by ARP.

use std::net::Ipv4Addr;

use mac::Mac;

/// The MAC of a neighbour on `interface`, when the kernel knows it.
pub fn mac_of(interface: &str, address: Ipv4Addr) -> Option<Mac> {
    find(&std::fs::read_to_string("/proc/net/arp").ok()?, interface, address)
}

/// In the kernel's table of neighbours: a line of headings, then address, hardware type, flags, MAC, mask and interface.
fn find(table: &str, interface: &str, address: Ipv4Addr) -> Option<Mac> {
    let address = address.to_string();
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [found, "0x1", flags, mac, _, device] = words[..] else { return None };
        // ATF_COM: it has been resolved.
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        if found != address || device != interface || flags & 2 == 0 {
            return None;
        }
        mac.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.1.7         0x1         0x2         52:54:00:00:00:01     *        net
10.0.1.7         0x1         0x2         52:54:00:00:00:02     *        eth1
10.0.1.8         0x1         0x0         00:00:00:00:00:00     *        net
10.0.1.9         0x1         0x6         52:54:00:00:00:03     *        net
";

    #[test]
    fn neighbours_are_found_by_interface_once_resolved() {
        let find = |interface, last| find(TABLE, interface, Ipv4Addr::new(10, 0, 1, last));
        assert_eq!(find("net", 7), Some(Mac([0x52, 0x54, 0, 0, 0, 1])));
        assert_eq!(find("eth1", 7), Some(Mac([0x52, 0x54, 0, 0, 0, 2])));
        assert_eq!(find("net", 8), None, "nobody answered");
        assert_eq!(find("net", 9), Some(Mac([0x52, 0x54, 0, 0, 0, 3])), "put there by hand");
        assert_eq!(find("net", 10), None);
    }
}
