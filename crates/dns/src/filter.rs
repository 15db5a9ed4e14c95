//! Which addresses of upstream answers are not believed, or changed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::Name;
use crate::settings::{Alias, Rebind, Scope};

impl Rebind {
    /// Whether an upstream server must not give this address to `name`.
    pub(crate) fn forbids(&self, name: &Name, address: IpAddr) -> bool {
        self.stop && is_private(address, !self.localhost_ok) && !self.domains_ok.iter().any(|ok| covers(ok, name))
    }
}

pub(crate) fn is_one_of(address: IpAddr, nets: &[IpNet]) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// The address in place of this one; the first range that has it decides.
pub(crate) fn aliased(address: Ipv4Addr, aliases: &[Alias]) -> Ipv4Addr {
    let alias = aliases.iter().find(|alias| (alias.first..=alias.last).contains(&address));
    alias.map_or(address, |alias| (alias.new & alias.mask) | (address & !alias.mask))
}

/// Addresses that machines of strangers do not have (RFC 6890, RFC 6303).
fn is_private(address: IpAddr, localhost: bool) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4, localhost),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private_v4(v4, localhost),
            None => is_private_v6(v6, localhost),
        },
    }
}

fn is_private_v4(address: Ipv4Addr, localhost: bool) -> bool {
    (localhost && (address.is_loopback() || address.octets()[0] == 0))
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_broadcast()
}

fn is_private_v6(address: Ipv6Addr, localhost: bool) -> bool {
    (localhost && (address.is_loopback() || address.is_unspecified()))
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.segments()[..2] == [0x2001, 0xdb8]
        // Site-local addresses, which were given up (RFC 3879).
        || address.segments()[0] & 0xffc0 == 0xfec0
}

/// Whether `scope` has `name`.
fn covers(scope: &Scope, name: &Name) -> bool {
    match scope {
        Scope::All => true,
        Scope::Plain => name.is_plain(),
        Scope::Domain(domain) => name.is_within(domain),
        Scope::Below(domain) => name != domain && name.is_within(domain),
        Scope::Ending(ending) => {
            let (last, above) = first_label(ending.as_wire());
            name.suffixes().map(first_label).any(|(label, rest)| rest == above && label.ends_with(last))
        }
    }
}

/// The first label of a name in wire form, and what is above it.
fn first_label(wire: &[u8]) -> (&[u8], &[u8]) {
    let (label, rest) = wire.split_at(1 + usize::from(wire[0]));
    (&label[1..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        let is = |text: &str| is_private(text.parse().unwrap(), true);
        for private in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "0.1.2.3",
            "169.254.0.1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "::",
            "::1",
            "127.0.0.1",
        ] {
            assert!(is(private), "{private}");
        }
        for public in ["9.9.9.9", "172.32.0.1", "::ffff:9.9.9.9", "2620:fe::fe", "100.64.0.1"] {
            assert!(!is(public), "{public}");
        }
        for of_this_host in ["127.0.0.2", "::1", "0.0.0.0", "::"] {
            assert!(!is_private(of_this_host.parse().unwrap(), false), "{of_this_host}");
        }
    }

    #[test]
    fn domains_may_have_private_addresses() {
        let allows = |scope: Scope, name: &str| {
            let rebind = Rebind { stop: true, localhost_ok: false, domains_ok: vec![scope] };
            !rebind.forbids(&name.parse().unwrap(), [10, 0, 0, 1].into())
        };
        let domain = |text: &str| Scope::Domain(text.parse().unwrap());
        let ending = |text: &str| Scope::Ending(text.parse().unwrap());
        assert!(allows(Scope::All, "a.b") && allows(Scope::Plain, "a") && !allows(Scope::Plain, "a.b"));
        assert!(allows(domain("b.c"), "a.b.c") && allows(domain("b.c"), "b.c") && !allows(domain("b.c"), "ab.c"));
        assert!(allows(ending("oogle.com"), "google.com") && allows(ending("oogle.com"), "www.google.com"));
        assert!(!allows(ending("oogle.com"), "ogle.com") && !allows(ending("oogle.com"), "google.com.x"));
    }

    #[test]
    fn an_alias_changes_what_its_mask_has() {
        let to = |first: &str, last: &str, new: &str, mask: &str| {
            let [first, last, new, mask] = [first, last, new, mask].map(|text| text.parse().unwrap());
            Alias { first, last, new, mask }
        };
        let net = to("1.2.3.0", "1.2.3.255", "6.7.8.0", "255.255.255.0");
        let one = to("1.2.4.1", "1.2.4.1", "9.9.9.9", "255.255.255.255");
        let new = |text: &str| aliased(text.parse().unwrap(), &[net, one]).to_string();
        assert_eq!([new("1.2.3.56"), new("1.2.4.1"), new("1.2.4.2")], ["6.7.8.56", "9.9.9.9", "1.2.4.2"]);
    }
}
