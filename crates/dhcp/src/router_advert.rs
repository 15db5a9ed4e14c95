//! Ends iPXE's wait for an IPv6 router on links that have none (RFC 4861).
//!
//! iPXE goes on with its boot only when both of its configurators, IPv4 and IPv6, are done. On a link without IPv6 router
//! it repeats its router solicitation for 16 s. An advertisement of a router that is none (lifetime 0, no prefix, neither
//! the managed nor the other flag) tells it at once that there is nothing to wait for.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use mac::Mac;

/// Real routers answer within half a second (RFC 4861 section 10, MAX_RA_DELAY_TIME); they go first.
const ROUTERS_FIRST: Duration = Duration::from_millis(600);
/// A machine's solicitations further apart than this are not of one boot.
const ONE_BOOT: Duration = Duration::from_secs(30);
/// ICMPv6 types (RFC 4861 section 4).
pub const ROUTER_SOLICITATION: u8 = 133;
pub const ROUTER_ADVERTISEMENT: u8 = 134;

/// Knows which machines asked for a router, and whether there is one.
#[derive(Debug, Default)]
pub struct RouterAdvert {
    asked: HashMap<Mac, (Instant, Instant)>,
    has_router: bool,
}

impl RouterAdvert {
    /// Somebody else advertised itself: from now on we keep silent.
    pub fn router_heard(&mut self) {
        self.has_router = true;
        self.asked.clear();
    }

    /// A machine in iPXE solicited a router. Returns whether to answer it.
    pub fn solicited(&mut self, now: Instant, machine: Mac) -> bool {
        if self.has_router {
            return false;
        }
        self.asked.retain(|_, (_, last)| now.duration_since(*last) < ONE_BOOT);
        let (first, last) = self.asked.entry(machine).or_insert((now, now));
        *last = now;
        now.duration_since(*first) >= ROUTERS_FIRST
    }
}

/// The body of the advertisement behind type, code and checksum: hop limit unspecified, no flags, lifetime 0, no timers.
pub const NO_ROUTER: [u8; 12] = [0; 12];

/// The link-local address that an interface makes of its MAC (RFC 4291 appendix A).
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

    #[test]
    fn routers_have_their_chance_first() {
        let (mut advert, start) = (RouterAdvert::default(), Instant::now());
        // iPXE asks at once, then after 0.25 s, 0.75 s, 1.8 s, …
        assert!(!advert.solicited(start, MAC));
        assert!(!advert.solicited(start + Duration::from_millis(250), MAC));
        assert!(advert.solicited(start + Duration::from_millis(750), MAC));
    }

    #[test]
    fn a_link_with_a_router_is_left_alone() {
        let (mut advert, start) = (RouterAdvert::default(), Instant::now());
        advert.solicited(start, MAC);
        advert.router_heard();
        assert!(!advert.solicited(start + Duration::from_secs(2), MAC));
    }

    #[test]
    fn the_next_boot_waits_anew() {
        let (mut advert, start) = (RouterAdvert::default(), Instant::now());
        advert.solicited(start, MAC);
        assert!(!advert.solicited(start + Duration::from_secs(60), MAC));
    }

    #[test]
    fn link_local_addresses_come_from_the_mac() {
        assert_eq!(link_local(MAC), "fe80::5054:ff:fe00:1".parse::<Ipv6Addr>().unwrap());
    }
}
